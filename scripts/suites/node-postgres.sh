# node-postgres: each file of pg's integration tests is one process; what it prints of its tests is counted too.
wants packages/pg/package.json
prepare() {
  [ -d "$suite/packages/pg-protocol/dist" ] || {
    quiet npx --yes yarn@1 --cwd "$suite" install --frozen-lockfile --ignore-scripts --ignore-engines
    (cd "$suite" && quiet npx --yes yarn@1 build)
  }
}
run() {
  (cd "$suite/packages/pg" && find test/integration -name '*-tests.js' | sort) | while read -r file; do
    outcome=passed
    (cd "$suite/packages/pg" && PGHOST=127.0.0.1 PGPORT="$port" PGUSER=postgres PGDATABASE=suite PGTESTNOSSL=true NODE_NO_WARNINGS=1 \
      SCRAM_TEST_PGUSER=scram_user SCRAM_TEST_PGPASSWORD=password timeout 120 node "$file" >"$out/$1.one" 2>&1 </dev/null) || outcome=failed
    { echo "== $file"; cat "$out/$1.one"; } >>"$out/$1.log"
    echo "$file $outcome"
    grep -E '[^ ].*(✔|✓)$' "$out/$1.one" | sed "s|^|$file:|; s/ /_/g; s/([0-9.]*ms)//; s/\$/ passed/" || true
  done
  rm -f "$out/$1.one"
}
