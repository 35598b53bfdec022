#!/usr/bin/env bash
# The test suite of a driver, directly and through the proxy, on plain tables: every test must end alike.
#   scripts/suites.sh DRIVER CHECKOUT        DRIVER: one of scripts/suites/*.sh
# COLUMNSEAL_BIN: the binary. SUITE_OUT: where results go (default: a new directory under /tmp, which is kept).
#
# CHECKOUT is a clone of the driver's repository; what its tests need is installed from the package registries beside it. The
# suite runs directly, directly once more, and through the proxy; tests that end otherwise in the two direct runs are told apart.
# Ends with 1 if a test ends otherwise through the proxy that scripts/suites.known does not name.
set -euo pipefail
cd "$(dirname "$0")/.."
usage='usage: scripts/suites.sh DRIVER CHECKOUT'
driver=${1:?$usage}
suite=$(realpath "${2:?$usage}")
known=$PWD/scripts/suites.known
out=${SUITE_OUT:-$(mktemp -d "/tmp/columnseal-$driver.XXXXXX")}
mkdir -p "$out"
fail() { echo "$*" >&2; exit 2; }
quiet() { "$@" >"$out/install.log" 2>&1 || fail "$1 failed: $out/install.log"; }

# What a driver's file may use.
wants() { [ -e "$suite/$1" ] || fail "$suite has no $1"; }
venv() { # ARGUMENT...: of pip install, in an environment of the clone's own
  [ -d "$suite/.venv" ] || quiet python3 -m venv "$suite/.venv"
  quiet "$suite/.venv/bin/pip" install -q "$@"
}
pytest() { # NAME ARGUMENT...
  (cd "$suite" && .venv/bin/pytest -q --cache-clear --junitxml="$out/$1.xml" "${@:2}" >"$out/$1.log" 2>&1 </dev/null) || true
  python3 - "$out/$1.xml" <<'PY'
import sys, xml.etree.ElementTree as tree
for case in tree.parse(sys.argv[1]).iter("testcase"):
    kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
    print(f"{case.get('classname')}::{case.get('name')}".replace(" ", "_"), *(kinds or ["passed"]))
PY
}
go_test() { # NAME
  (cd "$suite" && go test -json -count=1 -p 1 ./... >"$out/$1.log" 2>&1 </dev/null) || true
  python3 - "$out/$1.log" <<'PY'
import sys, json
for line in open(sys.argv[1]):
    event = json.loads(line) if line.startswith("{") else {}
    if event.get("Test") and event["Action"] in ("pass", "fail", "skip"):
        print(f"{event['Package']}::{event['Test']}".replace(" ", "_"), {"pass": "passed"}.get(event["Action"], event["Action"]))
PY
}

# A driver's file defines `prepare`, `run NAME`, which writes lines `test outcome`, and perhaps `setup`, which writes SQL.
database=suite
setup() { :; }
[ -f "scripts/suites/$driver.sh" ] || fail "no such driver: $(cd scripts/suites && echo *.sh)"
. "scripts/suites/$driver.sh"
. scripts/cluster.sh

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
for each in postgres suite; do
  admin $each <<<'CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION "uuid-ossp"'
done
setup | admin "$database"
seal_database "$database"
stop
as_server tee "$dir/pg/template/pg_hba.conf" >/dev/null <<'CONF'
host all pass_user,pqgopassword all password
host all md5_user,pqgomd5,postgres_js_test_md5,testusermd5 all md5
host all scram_user,pqgoscram,postgres_js_test_scram,test all scram-sha-256
hostssl all ssl_user all trust
host all ssl_user,pqgossl,pqgosslcert all reject
host all,replication all all trust
local all all trust
CONF

prepare
for run in direct again proxy; do
  as_server cp -a "$dir/pg/template" "$dir/pg/$run"
  if [ $run = proxy ]; then
    start "$dir/pg/$run" "$behind"
    start_proxy "$database" "$out/columnseal.log"
  else
    start "$dir/pg/$run" "$port"
  fi
  SECONDS=0
  (unset CS_CLIENT_ID CS_CLIENT_KEY; run $run) | sort >"$out/$run.results"
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
