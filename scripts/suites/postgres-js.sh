# postgres.js: its tests run in order in one process, with a harness that goes on after a test that failed (its own leaves out the rest then).
# Without TLS. Those tests are skipped that want a second server on port 5433, or TLS.
wants src/connection.js
SUITE_PORT=5432 # written into its tests
database=template1 # of which they make their own
setup() {
  cat <<'SQL'
ALTER SYSTEM SET wal_level = logical;
SQL
}
prepare() { :; }
run() {
  rm -rf "$out/$1.tests"
  mkdir "$out/$1.tests"
  cp -r "$suite/src" "$suite/tests" "$suite/package.json" "$out/$1.tests"
  cp scripts/suites/postgres-js.mjs "$out/$1.tests/tests/test.js"
  (cd "$out/$1.tests" && PGHOST=127.0.0.1 PGUSER=postgres PGSOCKET="$dir/pg" timeout 500 node tests/index.js >"$out/$1.log" 2>&1 </dev/null) || true
  sed -n 's/^test \(.*\)/\1/p' "$out/$1.log"
}
