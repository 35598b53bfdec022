# psycopg 3, in pure Python, without the tests that it marks as slow. SUITE_TESTS: only these files of its tests.
wants psycopg/pyproject.toml
prepare() { venv -e "$suite/psycopg" 'pytest>=6.2.5' 'anyio>=4.0' 'pproxy>=2.7'; }
run() {
  PSYCOPG_IMPL=python PYTHONPATH="$suite/psycopg:$suite/psycopg_pool" PSYCOPG_TEST_DSN="host=127.0.0.1 port=$port dbname=suite user=postgres" \
    pytest "$1" -p no:randomly -m 'not slow and not mypy and not dns' ${SUITE_TESTS:-tests}
}
