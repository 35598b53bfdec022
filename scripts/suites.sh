#!/usr/bin/env bash
# The test suite of a driver, directly and through the proxy, on plain tables: every test must end alike.
#   scripts/suites.sh psycopg|node-postgres|rust-postgres CHECKOUT
# SUITE_TESTS: of psycopg, only these files of its tests.
# COLUMNSEAL_BIN: the binary. SUITE_OUT: where results go (default: a new directory under /tmp, which is kept).
#
# CHECKOUT is a clone of the driver's repository; what its tests need is installed from the package registries beside it. The
# suite (psycopg's without the tests that it marks as slow) runs directly, directly once more, and through the proxy; tests that end otherwise in the two direct runs are told apart.
# Ends with 1 if a test ends otherwise through the proxy that scripts/suites.known does not name.
set -euo pipefail
cd "$(dirname "$0")/.."
usage='usage: scripts/suites.sh psycopg|node-postgres|rust-postgres CHECKOUT'
driver=${1:?$usage}
suite=$(realpath "${2:?$usage}")
known=$PWD/scripts/suites.known
out=${SUITE_OUT:-$(mktemp -d "/tmp/columnseal-$driver.XXXXXX")}
mkdir -p "$out"
[ "$driver" != rust-postgres ] || SUITE_PORT=5433 # written into its tests
. scripts/cluster.sh
quiet() { "$@" >"$out/install.log" 2>&1 || fail "$1 failed: $out/install.log"; }

# Each driver: prepare_*, then run_* NAME, which writes lines `test outcome`.
prepare_psycopg() {
  [ -d "$suite/psycopg" ] || fail "$suite is no clone of psycopg"
  [ -x "$suite/.venv/bin/pytest" ] || {
    quiet python3 -m venv "$suite/.venv"
    quiet "$suite/.venv/bin/pip" install -q -e "$suite/psycopg" 'pytest>=6.2.5' 'anyio>=4.0' 'pproxy>=2.7'
  }
}
run_psycopg() {
  (cd "$suite" && env -u CS_CLIENT_ID -u CS_CLIENT_KEY PSYCOPG_IMPL=python PYTHONPATH="$suite/psycopg:$suite/psycopg_pool" \
    PSYCOPG_TEST_DSN="host=127.0.0.1 port=$port dbname=suite user=postgres" \
    .venv/bin/pytest -q --cache-clear -p no:randomly -m 'not slow and not mypy and not dns' --junitxml="$out/$1.xml" ${SUITE_TESTS:-tests} >"$out/$1.log" 2>&1) || true
  python3 - "$out/$1.xml" <<'PY' | sort
import sys, xml.etree.ElementTree as tree
for case in tree.parse(sys.argv[1]).iter("testcase"):
    kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
    print(f"{case.get('classname')}::{case.get('name')}".replace(" ", "_"), *(kinds or ["passed"]))
PY
}

prepare_node_postgres() {
  [ -d "$suite/packages/pg" ] || fail "$suite is no clone of node-postgres"
  [ -d "$suite/packages/pg-protocol/dist" ] || {
    quiet npx --yes yarn@1 --cwd "$suite" install --frozen-lockfile --ignore-scripts --ignore-engines
    (cd "$suite" && quiet npx --yes yarn@1 build)
  }
}
run_node_postgres() {
  (cd "$suite/packages/pg" && find test/integration -name '*-tests.js' | sort) | while read -r file; do
    outcome=passed
    (cd "$suite/packages/pg" && env -u CS_CLIENT_ID -u CS_CLIENT_KEY PGHOST=127.0.0.1 PGPORT="$port" PGUSER=postgres PGDATABASE=suite PGTESTNOSSL=true \
      SCRAM_TEST_PGUSER=scram_user SCRAM_TEST_PGPASSWORD=password timeout 120 node "$file" >"$out/$1.one" 2>&1 </dev/null) || outcome=failed
    { echo "== $file"; cat "$out/$1.one"; } >>"$out/$1.log"
    echo "$file $outcome"
    grep -E '[^ ].*(✔|✓)$' "$out/$1.one" | sed "s|^|$file:|; s/ /_/g; s/([0-9.]*ms)//; s/\$/ passed/" || true
  done | sort
  rm -f "$out/$1.one"
}

prepare_rust_postgres() {
  [ -d "$suite/tokio-postgres" ] || fail "$suite is no clone of rust-postgres"
  (cd "$suite" && quiet cargo test --no-run -p tokio-postgres -p postgres --features tokio-postgres/with-uuid-1)
}
run_rust_postgres() {
  (cd "$suite" && env -u CS_CLIENT_ID -u CS_CLIENT_KEY cargo test --no-fail-fast -p tokio-postgres -p postgres --features tokio-postgres/with-uuid-1 \
    >"$out/$1.log" 2>&1 </dev/null) || true
  sed -n 's/^test \(.*\) \.\.\. \(ok\|FAILED\|ignored\).*/\1 \2/p' "$out/$1.log" | tr -d '()' | sed 's/ - /-/; s/ line / /' | awk '{o = $NF; $NF = ""; gsub(" ", "_"); print $0, o}' | sort
}

# As rust-postgres asks of its server; the others take it too.
as_server "$pg_bin/initdb" -A trust -U postgres -E UTF8 --locale=C.UTF-8 -D "$dir/pg/template" >/dev/null
as_server tee -a "$dir/pg/template/postgresql.conf" >/dev/null <<'CONF'
max_prepared_transactions = 10
fsync = off
CONF
start "$dir/pg/template" "$behind"
admin() { psql -qXAt -v ON_ERROR_STOP=1 "postgres://postgres@127.0.0.1:$behind/$1" >/dev/null; }
admin postgres <<'SQL'
CREATE ROLE scram_user PASSWORD 'password' LOGIN;
CREATE ROLE pass_user PASSWORD 'password' LOGIN;
CREATE ROLE ssl_user LOGIN;
SET password_encryption TO 'md5';
CREATE ROLE md5_user PASSWORD 'password' LOGIN;
CREATE DATABASE suite;
SQL
for database in postgres suite; do
  admin $database <<<'CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION "uuid-ossp"'
done
database=suite
[ "$driver" != rust-postgres ] || database=postgres
seal_database $database
stop
as_server tee "$dir/pg/template/pg_hba.conf" >/dev/null <<'CONF'
host all pass_user all password
host all md5_user all md5
host all scram_user all scram-sha-256
hostssl all ssl_user all trust
host all ssl_user all reject
host all,replication all all trust
local all all trust
CONF

name=${driver//-/_}
prepare_"$name"
for run in direct again proxy; do
  as_server cp -a "$dir/pg/template" "$dir/pg/$run"
  if [ $run = proxy ]; then
    start "$dir/pg/$run" "$behind"
    start_proxy $database "$out/columnseal.log"
  else
    start "$dir/pg/$run" "$port"
  fi
  SECONDS=0
  run_"$name" $run >"$out/$run.results"
  printf '%s: %d tests in %d s, of which %d passed\n' $run "$(wc -l <"$out/$run.results")" "$SECONDS" "$(grep -cE ' (passed|ok)$' "$out/$run.results")"
  end_proxy
  stop
  cat "$dir/pg/$run.log" >"$out/$run.server.log"
  as_server rm -rf "$dir/pg/$run"
done

python3 - "$out" "$known" "$driver" <<'PY'
import sys, pathlib
out, known, driver = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
read = lambda run: dict(line.rsplit(" ", 1) for line in (out / f"{run}.results").read_text().splitlines())
direct, again, proxy = read("direct"), read("again"), read("proxy")
reasons = dict(line.split(None, 2)[1:] for line in open(known) if line.split() and line.split()[0] == driver)
told = {"same": [], "unsteady": [], "known": [], "different": []}
for test in sorted(direct.keys() | proxy.keys()):
    if direct.get(test) == proxy.get(test): kind = "same"
    elif direct.get(test) != again.get(test): kind = "unsteady"
    elif any(test.startswith(name) for name in reasons): kind = "known"
    else: kind = "different"
    told[kind].append(test)
print(f"{len(told['same'])} the same")
for kind, what in (("unsteady", "not the same in two direct runs either"), ("known", "as scripts/suites.known says"), ("different", "different")):
    print(f"{len(told[kind])} {what}")
    for test in told[kind]:
        print(f"  {test}: {direct.get(test, 'not run')}, through the proxy {proxy.get(test, 'not run')}")
print(f"Results and logs: {out}")
passed = any(direct[test] in ("passed", "ok") for test in told["same"])
sys.exit(1 if told["different"] or not passed else 0)
PY
