# rust-postgres: tokio-postgres and postgres.
wants tokio-postgres/Cargo.toml
SUITE_PORT=5433 database=postgres # written into its tests
packages=(-p tokio-postgres -p postgres --features tokio-postgres/with-uuid-1)
prepare() { (cd "$suite" && quiet cargo test --no-run "${packages[@]}"); }
run() {
  (cd "$suite" && cargo test --no-fail-fast "${packages[@]}" >"$out/$1.log" 2>&1 </dev/null) || true
  sed -n 's/^test \(.*\) \.\.\. \(ok\|FAILED\|ignored\).*/\1 \2/p' "$out/$1.log" | tr -d '()' | sed 's/ - /-/; s/ line / /' | awk '{o = $NF; $NF = ""; gsub(" ", "_"); print $0, o}'
}
