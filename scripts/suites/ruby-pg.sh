# ruby-pg, whose extension must be built in the clone (lib/pg_ext.so), with RSpec. Its specs start a server of their own: scripts/suites/ruby-pg.rb
# has them use the one here. Without TLS. They make their database themselves, so it has no schema seal: with it seven of them fail directly too, since
# PG::BasicTypeMapForQueries finds types by their names alone.
wants lib/pg_ext.so
setup() { echo "CREATE ROLE root SUPERUSER LOGIN;"; }
prepare() { command -v rspec >/dev/null || fail "rspec is missing"; }
run() {
  rm -rf "$out/$1.dir" && mkdir "$out/$1.dir"
  (cd "$suite" && PGPORT=$port PGUSER=postgres RUBY_PG_TEST_DIR="$out/$1.dir" SUITE_SOCKET="$dir/pg" timeout 550 rspec -I lib -I spec -r ./spec/helpers.rb -r "$OLDPWD/scripts/suites/ruby-pg.rb" \
    --seed 1 --format json --out "$out/$1.json" --format documentation spec >"$out/$1.log" 2>&1 </dev/null) || true
  python3 - "$out/$1.json" <<'PY'
import sys, json
seen = {}
for example in json.load(open(sys.argv[1]))["examples"]:
    name = (example["file_path"].split("/")[-1] + "::" + example["full_description"]).replace(" ", "_").replace("\n", "_")
    seen[name] = seen.get(name, 0) + 1
    print(name + (f"#{seen[name]}" if seen[name] > 1 else ""), example["status"])
PY
}
