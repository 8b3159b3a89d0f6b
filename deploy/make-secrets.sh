#!/usr/bin/env bash
# Writes the passwords that compose.yaml reads: deploy/.env and deploy/secrets/, private to the user.
# What is there already is kept; `--new` makes new ones (then remove the volume too).
set -euo pipefail
cd "$(dirname "$0")"
umask 077
if [ -e .env ] && [ "${1:-}" != --new ]; then
    echo "deploy/.env is there already; --new replaces it" >&2
    exit 0
fi
password=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')
mkdir -p secrets
printf '%s' "$password" >secrets/db_password
printf '"blog" "%s"\n' "$password" >secrets/userlist.txt
cat >.env <<EOF
DATABASE_URL=postgresql://blog:$password@postgres:5432/blog
POOLED_URL=postgresql://blog:$password@pgbouncer:6432/blog
EOF
# A container's user is another one: it reads what is mounted, not what is around it.
chmod 644 secrets/db_password secrets/userlist.txt
chmod 711 secrets
echo "deploy/.env and deploy/secrets/ are written" >&2
