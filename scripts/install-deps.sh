#!/usr/bin/env bash
# Installs what `make demo`, `make test` or `make bench` needs and does not find: on Debian and
# Ubuntu by package name, with sudo when not root; elsewhere it says exactly what to install.
set -euo pipefail

rust_at_least=1.90.0
wanted=${1:-}
case $wanted in
demo | test | bench) ;;
*)
    echo "usage: scripts/install-deps.sh demo|test|bench" >&2
    exit 2
    ;;
esac

missing=()  # what people call it
packages=() # what Debian calls it

need() { # need <what> <Debian package>
    missing+=("$1")
    packages+=("$2")
}

# Where the distributions put PostgreSQL's programs.
postgres_directories() {
    printf '%s\n' "${PINCHPOINT_PG_BIN:-}" "$(pg_config --bindir 2>/dev/null || true)" \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
        /usr/local/opt/postgresql@*/bin /home/linuxbrew/.linuxbrew/opt/postgresql@*/bin \
        /Library/PostgreSQL/*/bin
    tr ':' '\n' <<<"$PATH"
}

has_program() { # has_program <name>...: one of PostgreSQL's directories holds them all
    local directory name
    while IFS= read -r directory; do
        [ -n "$directory" ] || continue
        for name in "$@"; do
            [ -x "$directory/$name" ] || continue 2
        done
        return 0
    done < <(postgres_directories)
    return 1
}

has_pgbouncer() {
    command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || [ -x /opt/homebrew/bin/pgbouncer ]
}

has_venv() {
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

look() {
    command -v cc >/dev/null || need "a C compiler (cc)" gcc
    # Without the C library's headers a compiler of Debian's is of no use.
    if command -v dpkg-query >/dev/null && ! [ -e /usr/include/stdio.h ]; then
        need "the C library's headers" libc6-dev
    fi
    has_program initdb postgres || need "PostgreSQL's server programs" postgresql
    case $wanted in
    test)
        command -v redis-server >/dev/null || need "Redis, for the tests of the cache" redis-server
        command -v promtool >/dev/null || need "Prometheus, for the tests of the dashboard" prometheus
        command -v openssl >/dev/null || need "openssl, for the tests of TLS" openssl
        has_pgbouncer || need "PgBouncer, for the tests of the matrix" pgbouncer
        has_venv || need "Python 3.10 or newer with venv, for the applications of the matrix" python3-venv
        ;;
    bench)
        has_program pgbench || need "pgbench" postgresql-contrib
        has_program psql || need "psql" postgresql-client
        command -v redis-server >/dev/null || need "Redis" redis-server
        command -v wrk >/dev/null || need "wrk" wrk
        command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || need "nginx" nginx-light
        if ! command -v python3 >/dev/null; then
            need "Python 3.10 or newer" python3
        fi
        python3 -c 'import venv, ensurepip' 2>/dev/null || need "Python's venv" python3-venv
        ;;
    esac
}

explain() {
    echo "missing, and not installed by this script on this system:"
    printf '  - %s\n' "${missing[@]}"
    echo "install, then run this again:"
    echo "  Fedora  sudo dnf install gcc postgresql-server postgresql-contrib openssl python3"
    echo "  Arch    sudo pacman -S --needed base-devel postgresql openssl python"
    echo "  macOS   brew install postgresql@17 openssl python"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "install-deps.sh: needs root to install ${packages[*]}; there is no sudo" >&2
        return 1
    fi
}

# Debian's package makes and starts a server of its own on the standard port; nobody asked for
# that. While a PostgreSQL server is installed, and only then, a drop-in says no.
drop_in=/etc/postgresql-common/createcluster.d/pinchpoint-install.conf

forbid_cluster() {
    as_root mkdir -p "${drop_in%/*}"
    echo "create_main_cluster = false" | as_root tee "$drop_in" >/dev/null
    trap 'as_root rm -f "$drop_in"' EXIT
}

allow_cluster() {
    as_root rm -f "$drop_in"
    trap - EXIT
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -yq --no-install-recommends "${packages[@]}" </dev/null
}

install() {
    echo "installing with apt-get: ${packages[*]}"
    case " ${packages[*]} " in *" postgresql "*) forbid_cluster ;; esac
    # The package lists of a fresh machine are empty or old; of others, mostly good enough.
    if ! apt_install; then
        as_root apt-get update -q
        apt_install
    fi
    allow_cluster
}

check_rust() {
    if ! command -v cargo >/dev/null; then
        echo "Rust is missing: install it from https://rustup.rs, then run this again" >&2
        exit 1
    fi
    local version
    version=$(cargo --version | awk '{print $2}')
    if [ "$(printf '%s\n' "$rust_at_least" "$version" | sort -V | head -n 1)" != "$rust_at_least" ]; then
        echo "cargo $version is too old: $rust_at_least or newer is needed (rustup update stable)" >&2
        exit 1
    fi
    [ "$wanted" = test ] || return 0
    local component
    for component in fmt:rustfmt clippy:clippy; do
        if ! cargo "${component%:*}" --version >/dev/null 2>&1; then
            echo "installing with rustup: ${component#*:}"
            rustup component add "${component#*:}"
        fi
    done
    if ! cargo nextest --version >/dev/null 2>&1; then
        echo "installing with cargo: cargo-nextest (some minutes, once)"
        cargo install --locked cargo-nextest
    fi
}

look
if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        explain >&2
        exit 1
    fi
    install
    missing=()
    packages=()
    look
    if [ ${#missing[@]} -gt 0 ]; then
        echo "still missing after the installation: ${missing[*]}" >&2
        exit 1
    fi
fi
check_rust
if [ "$wanted" = test ]; then
    "$(dirname "$0")/postgresql-18.sh" || echo "PostgreSQL 18 for the tests is not to be had; they run on what is there"
fi
