# Sourced: a private PostgreSQL and a proxy in front of it, for the scripts that run other projects' tests.
#   $dir: a directory of the script's own, removed at the end; $seal: the binary; $port: where tests connect; $behind: PostgreSQL's port then.
seal=$(realpath "${COLUMNSEAL_BIN:?set COLUMNSEAL_BIN to the columnseal binary}")
dir=$(mktemp -d)
export COLUMNSEAL_HOME="$dir/home"
unset CS_CLIENT_ID CS_CLIENT_KEY CS_CONFIG 2>/dev/null || true
pg_bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
owner= proxy_pid= running=
[ "$(id -u)" = 0 ] && owner=postgres
as_server() { if [ -n "$owner" ]; then runuser -u "$owner" -- "$@"; else "$@"; fi; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
fail() { echo "$*" >&2; exit 2; }
end_proxy() { [ -z "$proxy_pid" ] || { kill "$proxy_pid" && wait "$proxy_pid"; } 2>/dev/null || true; proxy_pid=; }
cleanup() {
  end_proxy
  [ -z "$running" ] || as_server "$pg_bin/pg_ctl" -D "$running" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
chmod 755 "$dir"
mkdir "$dir/pg"
[ -z "$owner" ] || chown "$owner" "$dir/pg"
port=${SUITE_PORT:-$(free_port)} behind=$(free_port)

start() { # DATA PORT
  as_server "$pg_bin/pg_ctl" -w -D "$1" -l "$1.log" -o "-p $2 -k $dir/pg -c listen_addresses=127.0.0.1" start >/dev/null || fail "PostgreSQL did not start: $1.log"
  running=$1
}
stop() { as_server "$pg_bin/pg_ctl" -w -D "$running" -m fast stop >/dev/null; running=; }

# seal_database NAME: with the schema seal and an encrypted table, so that every statement is judged; makes the client key of the proxy.
seal_database() {
  (cd "$dir" && "$seal" init --database "postgres://postgres@127.0.0.1:$behind/$1" --yes --quiet >/dev/null) || fail "init failed"
  eval "$("$seal" client create suite --keyset default --output env --quiet | sed 's/^/export /')"
  psql -qXAt -v ON_ERROR_STOP=1 "postgres://postgres@127.0.0.1:$behind/$1" -c 'CREATE SCHEMA sealed' \
    -c 'CREATE TABLE sealed.columnseal_suite (id int PRIMARY KEY, secret seal.text_ord)'
}

# start_proxy DATABASE LOG [SETTING=VALUE...]: from $port to $behind; with a Unix socket beside PostgreSQL's.
start_proxy() {
  local database=$1 log=$2
  shift 2
  env CS_DATABASE__URL="postgres://postgres@127.0.0.1:$behind/$database" CS_SERVER__PORT="$port" CS_SERVER__HOST="127.0.0.1,$dir/pg" CS_METRICS__LISTEN="127.0.0.1:$(free_port)" "$@" \
    "$seal" proxy >"$log" 2>&1 &
  proxy_pid=$!
  for _ in $(seq 100); do
    psql -qXAt "postgres://postgres@127.0.0.1:$port/$database" -c 'SELECT 1' >/dev/null 2>&1 && return
    kill -0 "$proxy_pid" 2>/dev/null || fail "the proxy ended: $log"
    sleep 0.1
  done
  fail "the proxy does not answer: $log"
}
