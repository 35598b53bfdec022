# asyncpg, whose submodule must be there too. Its tests of style and of servers that they start themselves are left out.
wants asyncpg/pgproto/pgproto.pyx
setup() { echo 'DROP EXTENSION citext'; } # its tests create it
prepare() {
  venv 'setuptools>=77.0.3,<81' 'Cython>=3.2.1,<4' distro uvloop pytest
  quiet "$suite/.venv/bin/pip" install -q --no-build-isolation -e "$suite"
}
run() {
  PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGDATABASE=suite pytest "$1" --ignore=tests/test__sourcecode.py tests
}
