#!/usr/bin/env bash
# The story of the README, start to end, each step checked. COLUMNSEAL_BIN: the binary. ONCE=1: end after the last step.
# DATABASE_URL: an own database (its role must own it); default: a private PostgreSQL is started.
set -euo pipefail
cd "$(dirname "$0")/.."
seal=${COLUMNSEAL_BIN:?set COLUMNSEAL_BIN to the columnseal binary}
rows=10000
dir=$(mktemp -d)
export COLUMNSEAL_HOME="$dir/home"
unset CS_CLIENT_ID CS_CLIENT_KEY CS_CONFIG 2>/dev/null || true
proxy_pid= writer_pid= pg_bin= owner=

if [ -t 1 ]; then bold=$(tput bold 2>/dev/null || true) dim=$(tput dim 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true); else bold='' dim='' plain=''; fi
step=0
say() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$bold" "$step" "$*" "$plain"; }
note() { printf '   %s\n' "$*"; }
fail() { printf '\nThe demo failed: %s\n' "$*" >&2; [ -f "$dir/proxy.log" ] && { echo '--- last lines of the proxy log' >&2; tail -20 "$dir/proxy.log" >&2; }; exit 1; }

as_server() { if [ -n "$owner" ]; then runuser -u "$owner" -- "$@"; else "$@"; fi; }
cleanup() {
  [ -n "$writer_pid" ] && kill "$writer_pid" 2>/dev/null || true
  [ -n "$proxy_pid" ] && kill "$proxy_pid" 2>/dev/null && wait "$proxy_pid" 2>/dev/null || true
  [ -n "$pg_bin" ] && as_server "$pg_bin/pg_ctl" -D "$dir/pg/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

if [ -z "${DATABASE_URL:-}" ]; then
  say "A private PostgreSQL"
  pg_bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
  mkdir -p "$dir/pg"
  if [ "$(id -u)" = 0 ]; then owner=postgres; chown postgres "$dir/pg"; chmod 755 "$dir"; fi
  db_port=$(free_port)
  as_server "$pg_bin/initdb" -A trust -U postgres -E UTF8 --locale=C -D "$dir/pg/data" >/dev/null
  as_server "$pg_bin/pg_ctl" -w -D "$dir/pg/data" -l "$dir/pg/log" \
    -o "-p $db_port -k $dir/pg -c listen_addresses=127.0.0.1 -c log_statement=all" start >/dev/null || fail "PostgreSQL did not start"
  psql -qX "postgres://postgres@127.0.0.1:$db_port/postgres" -c 'CREATE ROLE app LOGIN' -c 'CREATE DATABASE shop OWNER app'
  DATABASE_URL=postgres://app@127.0.0.1:$db_port/shop
  note "$($pg_bin/postgres --version), database shop, owned by role app, which is no superuser"
else
  say "Your PostgreSQL"
  note "${DATABASE_URL%%\?*}"
fi
direct() { psql -qXAt -v ON_ERROR_STOP=1 "$DATABASE_URL" "$@"; }

say "columnseal init: workspace, device key, keyset default, schema seal"
(cd "$dir" && "$seal" init --database "$DATABASE_URL" --recovery-file "$dir/recovery-kit.txt" --yes 2>&1) | sed "s/^/   /" || fail "init failed"
[ "$(stat -c %a "$dir/recovery-kit.txt")" = 600 ] || fail "the recovery kit is readable by others"
[ "$(direct -c "SELECT count(*) > 20 FROM seal.types")" = t ] || fail "the schema seal has no types"

say "columnseal client create: the application's key"
eval "$("$seal" client create web --keyset default --output env | sed 's/^/export /')"
case ${CS_CLIENT_KEY:-} in csck1_*) ;; *) fail "no client key was printed" ;; esac
note "CS_CLIENT_ID=$CS_CLIENT_ID"
note "CS_CLIENT_KEY=csck1_… (shown once; the application's only identity)"

say "columnseal proxy"
proxy_port=$(free_port)
export CS_DATABASE__URL=$DATABASE_URL CS_SERVER__PORT=$proxy_port CS_METRICS__LISTEN=127.0.0.1:$(free_port)
"$seal" proxy >"$dir/proxy.log" 2>&1 &
proxy_pid=$!
proxy_url=$(DATABASE_URL=$DATABASE_URL PORT=$proxy_port python3 - <<'PY'
import os, urllib.parse as u
p = u.urlsplit(os.environ["DATABASE_URL"])
user = p.netloc.rpartition("@")[0]
print(u.urlunsplit((p.scheme, (user + "@" if user else "") + "127.0.0.1:" + os.environ["PORT"], p.path, "", "")))
PY
)
for _ in $(seq 100); do psql -qXAt "$proxy_url" -c 'SELECT 1' >/dev/null 2>&1 && break; kill -0 "$proxy_pid" 2>/dev/null || fail "the proxy ended"; sleep 0.1; done
through() { psql -qXAt -v ON_ERROR_STOP=1 "$proxy_url" "$@"; }
through -c 'SELECT 1' >/dev/null || fail "the proxy does not answer"
note "listens on 127.0.0.1:$proxy_port"

say "An encrypted table, made through the proxy"
direct -c 'DROP TABLE IF EXISTS columnseal_demo'
through -c 'CREATE TABLE columnseal_demo (id bigint PRIMARY KEY, email seal.text_eq, born seal.date, note text)'
through -c 'CREATE INDEX columnseal_demo_email ON columnseal_demo (email)'
note "CREATE TABLE columnseal_demo (id bigint PRIMARY KEY, email seal.text_eq, born seal.date, note text)"

say "$rows rows: half by psql, half by a driver (psycopg 3)"
half=$((rows / 2))
python3 - "$half" >"$dir/load.sql" <<'PY'
import sys
n = int(sys.argv[1])
for start in range(0, n, 500):
    values = ", ".join(f"({i}, 'person{i}@example.com', '19{i % 90 + 10}-0{i % 9 + 1}-1{i % 10}', 'row {i}')" for i in range(start, start + 500))
    print(f"INSERT INTO columnseal_demo (id, email, born, note) VALUES {values};")
PY
through -f "$dir/load.sql" || fail "psql could not load"
venv=${COLUMNSEAL_VENV:-target/demo-venv}
if ! "$venv/bin/python" -c 'import psycopg' 2>/dev/null; then
  python3 -m venv "$venv" && "$venv/bin/pip" -q --disable-pip-version-check install 'psycopg[binary]>=3.2,<4' || fail "psycopg could not be installed"
fi
"$venv/bin/python" - "$proxy_url" "$half" "$rows" <<'PY' || fail "the driver could not load"
import datetime, sys, psycopg
url, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with psycopg.connect(url) as db, db.cursor() as cur:
    cur.executemany(
        "INSERT INTO columnseal_demo (id, email, born, note) VALUES (%s, %s, %s, %s)",
        [(i, f"person{i}@example.com", datetime.date(1910 + i % 90, i % 9 + 1, 10 + i % 10), f"row {i}") for i in range(first, last)],
    )
PY
[ "$(through -c 'SELECT count(email) FROM columnseal_demo')" = $rows ] || fail "rows are missing"
note "$rows rows are there"

say "A query by the encrypted column, through the proxy"
query="SELECT id, email, born, note FROM columnseal_demo WHERE email = 'person7777@example.com'"
found=$(through -c "$query")
note "$query"
note "-> $found"
case $found in "7777|person7777@example.com|"*"|row 7777") ;; *) fail "the wrong row: $found" ;; esac
direct -c 'ANALYZE columnseal_demo'
plan=$(through -c "EXPLAIN $query") || fail "EXPLAIN failed"
printf '%s\n' "$plan" | sed 's/^/   /'
case $plan in *columnseal_demo_email*) ;; *) fail "the index was not used" ;; esac
case $plan in *person7777*) fail "the plan shows the plaintext" ;; esac
note "the index is used, and what is searched for is a term, not the address"

say "The same row, read directly from the database"
raw=$(direct -c 'SELECT id, (email).c, (email).eq, (born).c, note FROM columnseal_demo WHERE id = 7777')
printf '   %s\n' "$raw" | cut -c1-200
case $raw in *person7777@example*) fail "plaintext in the database" ;; '7777|\xc1'*) ;; *) fail "no envelope in the database: $raw" ;; esac
if [ -n "$pg_bin" ]; then
  as_server grep -q 'person[0-9]*@example' "$dir/pg/log" && fail "plaintext in the server's log"
  note "and no address in the server's log, which holds every statement (log_statement = all)"
fi

say "The grant is revoked; a connection that is open stays open"
cat >"$dir/reader.py" <<'PY'
import sys, time, psycopg
url, go = sys.argv[1], sys.argv[2]
import os
with psycopg.connect(url, autocommit=True) as db:
    read = lambda: db.execute("SELECT email FROM columnseal_demo WHERE id = 42").fetchone()[0]
    assert read() == "person42@example.com"
    open(go, "w").close()
    print("before the revocation:", read(), flush=True)
    while not os.path.exists(go + ".revoked"):
        time.sleep(0.01)
    revoked = time.monotonic()
    while True:
        try:
            read()
        except psycopg.Error as e:
            took = time.monotonic() - revoked
            print(f"after it: refused ({e.sqlstate}) {took * 1000:.0f} ms later: {str(e).splitlines()[0]}", flush=True)
            break
        if time.monotonic() - revoked > 10:
            sys.exit("still readable 10 s after the revocation")
        time.sleep(0.02)
    # What touches nothing encrypted goes on working on the same connection.
    assert db.execute("SELECT note FROM columnseal_demo WHERE id = 42").fetchone()[0] == "row 42"
    try:
        read()
    except psycopg.Error:
        print("the connection still works for what is not encrypted, and still refuses what is", flush=True)
    else:
        sys.exit("readable again")
PY
"$venv/bin/python" "$dir/reader.py" "$proxy_url" "$dir/go" >"$dir/reader.out" 2>&1 &
writer_pid=$!
for _ in $(seq 200); do [ -e "$dir/go" ] && break; kill -0 "$writer_pid" 2>/dev/null || { cat "$dir/reader.out" >&2; fail "the reader ended"; }; sleep 0.05; done
"$seal" client revoke "$CS_CLIENT_ID" default >/dev/null || fail "client revoke failed"
: >"$dir/go.revoked"
wait "$writer_pid" || { cat "$dir/reader.out" >&2; fail "the revocation did not take"; }
writer_pid=
sed 's/^/   /' "$dir/reader.out"

if [ -n "${ONCE:-}" ]; then
  printf '\n%sEvery step held.%s\n' "$bold" "$plain"
  exit 0
fi
"$seal" client grant "$CS_CLIENT_ID" default >/dev/null
printf '\n%sEvery step held.%s The grant is given again, and the proxy stays up. In another terminal:\n\n' "$bold" "$plain"
printf '   export DATABASE_URL=%s\n   psql "$DATABASE_URL" -c "SELECT * FROM columnseal_demo LIMIT 3"\n   psql "%s" -c "SELECT * FROM columnseal_demo LIMIT 3"    # the same, read directly\n\n' "$proxy_url" "$DATABASE_URL"
printf 'The CLI of this workspace: COLUMNSEAL_HOME=%s %s client list\nControl-C ends it all.\n' "$COLUMNSEAL_HOME" "$seal"
wait "$proxy_pid"
