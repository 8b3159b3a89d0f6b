#!/usr/bin/env bash
# Installs what `make demo|test|bench` needs and does not find: on Debian and Ubuntu by package
# name, with sudo when not root; elsewhere it says exactly what to install.
set -euo pipefail

wanted=${1:?"usage: install-deps.sh demo|test|bench"}
packages=()
missing=()

need() { # need <what> <Debian package>
    missing+=("$1")
    packages+=("$2")
}

has_postgres() {
    if [ -n "${PINCHPOINT_PG_BIN:-}" ] && [ -x "$PINCHPOINT_PG_BIN/initdb" ]; then return 0; fi
    local candidate
    for candidate in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
        /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
        if [ -x "$candidate/initdb" ] && [ -x "$candidate/postgres" ]; then return 0; fi
    done
    command -v initdb >/dev/null && command -v postgres >/dev/null
}

has_pgbench() {
    command -v pgbench >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/pgbench' >/dev/null
}

command -v cc >/dev/null || need "a C compiler (cc)" gcc
command -v make >/dev/null || need "make" make
has_postgres || need "PostgreSQL's server programs, version 14 or newer" postgresql
case $wanted in
demo) ;;
test) command -v openssl >/dev/null || need "openssl, for the TLS tests" openssl ;;
bench)
    has_pgbench || need "pgbench" postgresql-contrib
    python3 -c 'import venv, ensurepip' 2>/dev/null || need "Python's venv" python3-venv
    ;;
*)
    echo "install-deps.sh: unknown set '$wanted'; one of demo, test, bench" >&2
    exit 2
    ;;
esac

if [ ${#packages[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        {
            echo "These are missing and cannot be installed by themselves on this system:"
            printf '  - %s\n' "${missing[@]}"
            echo "Fedora: dnf install gcc make postgresql-server postgresql-contrib openssl"
            echo "macOS:  brew install postgresql@17 openssl"
            echo "Arch:   pacman -S base-devel postgresql openssl"
        } >&2
        exit 1
    fi
    sudo=()
    if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi
    echo "installing: ${packages[*]}"
    # Debian starts a server of its own when it installs one; nobody asked for that.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${sudo[@]}" mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${packages[@]}"
fi

if ! command -v cargo >/dev/null; then
    echo "Rust is missing: install rustup (https://rustup.rs), then run this again" >&2
    exit 1
fi
version=$(cargo --version | awk '{print $2}')
if [ "$(printf '%s\n' 1.90.0 "$version" | sort -V | head -n 1)" != 1.90.0 ]; then
    echo "cargo $version is too old: 1.90 or newer is needed (rustup update)" >&2
    exit 1
fi
if [ "$wanted" = test ] && ! cargo nextest --version >/dev/null 2>&1; then
    echo "installing: cargo-nextest"
    cargo install --locked cargo-nextest
fi
