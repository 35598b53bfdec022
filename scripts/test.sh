#!/usr/bin/env bash
# Runs all tests in one build profile: with nextest where it is installed, else with cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."
# pg_query builds its own grammar; a protoc on PATH would make it regenerate sources.
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --locked --no-fail-fast
else
  cargo test --locked --no-fail-fast -- --test-threads=2
fi
