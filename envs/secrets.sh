#!/bin/sh
# Make the secret files that docker-compose.yaml mounts, each once; what is there is never changed.
# The folder keeps other users of this host out; the files in it can be read by the containers' users, and written by you.
set -eu
umask 077

cd "$(dirname "$0")/.."
# Where docker compose looks too: this shell's setting, else the one in .env, else the default.
in_env_file=$([ ! -e .env ] || sed -n "s/^TOCSIN_SECRETS=//p" .env | tail -n 1 | tr -d "\"'")
folder=${TOCSIN_SECRETS:-${in_env_file:-./.tocsin/compose/secrets}}
mkdir -p "$folder"

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

put() { # put NAME VALUE
    [ -e "$folder/$1" ] && return 0
    printf '%s' "$2" >"$folder/$1.new"
    chmod 644 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
    echo "made $folder/$1"
}

put postgres_password "$(random)"
put clickhouse_password "$(random)"
put grafana_password "$(random)"
put service_token "$(random)"
put session_secret "$(random)"
put database_url "postgresql://tocsin:$(cat "$folder/postgres_password")@postgres:5432/tocsin"
put clickhouse_url "http://tocsin:$(cat "$folder/clickhouse_password")@clickhouse:8123/tocsin"
put redis_url "${REDIS_URL:-redis://valkey:6379/0}"
put telegram_bot_token "${TELEGRAM_BOT_TOKEN:-}"

[ -s "$folder/telegram_bot_token" ] || {
    echo "write the bot's token (from @BotFather) into $folder/telegram_bot_token" >&2
    exit 1
}
