# pgjdbc. PGJDBC_CLASSPATH: its classes and those of its tests, and of JUnit with its console, built before. Without TLS and replicas.
wants build.properties
setup() {
  cat <<'SQL'
ALTER SYSTEM SET wal_level = logical;
ALTER SYSTEM SET max_prepared_transactions = 64;
CREATE ROLE test LOGIN REPLICATION PASSWORD 'test';
ALTER DATABASE suite OWNER TO test;
GRANT ALL ON SCHEMA public TO test;
CREATE DATABASE test_2 OWNER test;
SQL
}
prepare() { : "${PGJDBC_CLASSPATH:?}"; }
run() {
  local at="$out/$1.dir"
  rm -rf "$at" && mkdir -p "$at/pgjdbc"
  sed "s/^test.url.PGPORT=.*/test.url.PGPORT=$port/; s/^test.url.PGHOST=.*/test.url.PGHOST=127.0.0.1/; s/^test.url.PGDBNAME=.*/test.url.PGDBNAME=suite/" "$suite/build.properties" >"$at/build.properties"
  printf 'enable_ssl_tests=false\n' >"$at/ssltest.properties"
  (cd "$at/pgjdbc" && timeout "${SUITE_SECONDS:-1500}" java -Xmx1g -Duser.language=tr -Duser.country=TR -Djunit.jupiter.extensions.autodetection.enabled=true -Djunit.jupiter.execution.timeout.default=60s \
    -Dbuild.properties.relative.path=../ -Dtest.url.PGHOST=127.0.0.1 -Dtest.url.PGPORT="$port" -Dtest.url.PGDBNAME=suite -Duser=test -Dpassword=test -DprivilegedUser=postgres -DprivilegedPassword= \
    -cp "$PGJDBC_CLASSPATH" org.junit.platform.console.ConsoleLauncher --disable-banner --details=verbose --disable-ansi-colors \
    ${SUITE_TESTS:---scan-classpath} >"$out/$1.log" 2>&1 </dev/null) || true
  python3 - "$out/$1.log" <<'PY'
import sys, re, urllib.parse
name, seen = None, {}
for line in open(sys.argv[1], errors="replace"):
    if found := re.search(r"uniqueId: \[engine:[a-z-]+\]/(.*)", line):
        name = urllib.parse.unquote(found[1]).strip().replace(" ", "_").replace("org.postgresql.", "")
    elif (found := re.search(r" status: \S+ (\w+)", line)) and re.search(r"\[(method|test|test-template-invocation):", name):
        seen[name] = seen.get(name, 0) + 1
        print(f"{name}#{seen[name]}" if seen[name] > 1 else name, {"SUCCESSFUL": "passed", "ABORTED": "skipped"}.get(found[1], found[1].lower()))
PY
}
