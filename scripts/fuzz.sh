#!/usr/bin/env bash
# Runs fuzz targets of cargo-fuzz one after the other, then minimises their corpora.
#   scripts/fuzz.sh SECONDS [TARGET...]
# Sanitizers would need a nightly compiler, and the proxy has no unsafe code of its own: the targets run without.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: scripts/fuzz.sh SECONDS [TARGET...]}
shift
cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
mapfile -t targets < <(cargo fuzz list)
[ $# = 0 ] || targets=("$@")
for target in "${targets[@]}"; do
  cargo fuzz run -s none "$target" -- -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=4096
  cargo fuzz cmin -s none "$target"
done
