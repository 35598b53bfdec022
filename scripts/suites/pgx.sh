# pgx and pgxpool, without TLS. Its packages run one after the other.
wants pgconn/pgconn.go
setup() {
  cat <<'SQL'
CREATE DOMAIN uint64 AS numeric(20,0);
ALTER ROLE md5_user SUPERUSER;
CREATE ROLE " tricky, ' } "" \\ test user " SUPERUSER PASSWORD 'secret';
SQL
}
prepare() { (cd "$suite" && quiet go test -exec true ./...); }
run() {
  local at="host=127.0.0.1 port=$port dbname=suite"
  PGX_TEST_DATABASE="$at user=postgres" PGX_TEST_TCP_CONN_STRING="$at user=md5_user password=password" \
    PGX_TEST_MD5_PASSWORD_CONN_STRING="$at user=md5_user password=password" PGX_TEST_PLAIN_PASSWORD_CONN_STRING="$at user=pass_user password=password" \
    PGX_TEST_SCRAM_PASSWORD_CONN_STRING="$at user=scram_user password=password" go_test "$1"
}
