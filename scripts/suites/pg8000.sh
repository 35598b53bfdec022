# pg8000. Its tests of logins want a server that is set up for one of them at a time: left out, as those of its README and its benchmarks.
wants src/pg8000/native.py
database=postgres # as its tests do
prepare() { venv -e "$suite" pytest pytest-mock pytest-benchmark pytz; }
run() {
  PGHOST=127.0.0.1 PGPORT=$port pytest "$1" --ignore-glob='*/auth/*' --ignore=test/test_readme.py --benchmark-skip test
}
