# lib/pq, without TLS.
wants pqerror
setup() {
  cat <<'SQL'
CREATE ROLE pqgo SUPERUSER LOGIN;
CREATE ROLE pqgossl LOGIN;
CREATE ROLE pqgosslcert LOGIN;
CREATE ROLE pqgopassword LOGIN PASSWORD 'wordpass';
CREATE ROLE pqgoscram LOGIN PASSWORD 'wordpass';
SET password_encryption TO 'md5';
CREATE ROLE pqgomd5 LOGIN PASSWORD 'wordpass';
SQL
}
prepare() { (cd "$suite" && quiet go test -exec true ./...); }
run() {
  PGHOST=127.0.0.1 PGPORT=$port PGUSER=pqgo PGDATABASE=suite PGSSLMODE=disable go_test "$1"
}
