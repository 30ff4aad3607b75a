#!/usr/bin/env bash
# Random secrets in deploy/secrets, for compose.yaml; those that are there stay as they are. The
# folder is closed to others; its files are not, as containers read them as users of their own.
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p -m 700 secrets
# Keeps what it reads in a file of that name, unless there is one.
write() {
    local value
    value=$(cat)
    [ ! -e "secrets/$1" ] || return 0
    printf '%s\n' "$value" >"secrets/$1.new"
    chmod 644 "secrets/$1.new"
    mv "secrets/$1.new" "secrets/$1"
}
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
for name in postgresql_password postgresql_admin_password postgresql_flow_password \
    postgresql_reader_password rabbitmq_password redis_password influxdb_password influxdb_token \
    grafana_password; do
    random | write "$name"
done
printf 'default_user = farwatch\ndefault_pass = %s\n' "$(cat secrets/rabbitmq_password)" | write rabbitmq.conf
printf 'requirepass %s\n' "$(cat secrets/redis_password)" | write redis.conf
