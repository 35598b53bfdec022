//! Text that the server builds of encrypted values: what the client reads is what plain PostgreSQL joins.

use crate::support::Twin;
use crate::support::raw::{every_way, extended, query};

const SCHEMA: &str = "
    CREATE TABLE u (id int PRIMARY KEY, g int, name seal.text_ord, mail seal.varchar_eq, n seal.int4, big seal.int8, b seal.bool, d seal.numeric, f seal.float8, r seal.float4,
        day seal.date, at seal.timestamp, tz seal.timestamptz, t seal.time, i seal.interval, raw seal.bytea, key seal.uuid, doc seal.jsonb, ip seal.inet, plain text, num int)";

const ROWS: &str = "
    INSERT INTO u VALUES (1, 1, 'Ada', 'ada@example.com', 36, 9007199254740993, true, 1.50, 0.1, 0.1, '1815-12-10', '2001-02-03 04:05:06.789', '2001-02-03 04:05:06+02', '04:05:06',
        '1 day 02:03:04', '\\x00ff', '6f1d3c5e-1111-4222-8333-444455556666', '{\"a\": [1, 2.50, null]}', '10.0.0.1/8', 'p1', 1),
      (2, 1, 'quote \" back \\ percent %s ; {x}', '', -1, 0, false, 'NaN', 'NaN', 1e30, 'infinity', '-infinity', '0044-03-15 01:02:03+00 BC', '00:00', '0', '', NULL, '[]', '::1', 'p2', 2),
      (3, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
      (4, 2, E'äöü 日本 😀\\n\\t', 'ünï', 0, 1, true, 100000000000000000000.000100, -0.0, 3, '0044-03-15 BC', '1999-12-31 23:59:59', 'epoch', '23:59:59.999', '-1 mon', '\\x', NULL, '\"s\"', '10.1.2.3', 'p4', 4)";

fn twin() -> Twin {
    Twin::filled(SCHEMA, ROWS)
}

const SAME: &[&str] = &[
    "SELECT name || ' <' || mail || '>' AS who, mail || name, name || name FROM u ORDER BY id",
    "SELECT name || plain, plain || name, name || num, num || name, name || NULL, (name || ' ') || (mail || '!') FROM u ORDER BY id",
    "SELECT n || ' pounds', name || ': ' || n, name || b, name || d || day, name || at || '/' || tz, name || t || i || key || ip FROM u ORDER BY id",
    "SELECT concat(name, ' ', mail, plain, n, b, d, f, r), concat(name), concat(name, NULL, num) FROM u ORDER BY id",
    "SELECT concat_ws(', ', name, mail, plain, day), concat_ws(plain, name, mail), concat_ws(NULL, name), concat(name, concat(' ', mail)) FROM u ORDER BY id",
    "SELECT concat(name, raw, doc, ip, key, tz, i) FROM u ORDER BY id",
    "SELECT n::text, big::text, b::text, d::text, f::text, r::text, day::text, at::text, tz::text, t::text FROM u ORDER BY id",
    "SELECT i::text, raw::text, key::varchar, doc::text, CAST(ip AS text) FROM u ORDER BY id",
    "SELECT COALESCE(name, 'nobody') || ' (' || COALESCE(mail, '-') || ')' FROM u ORDER BY id",
    "SELECT name::text || ' '::text || mail::text, (name || 'x')::text, ('a' || name)::varchar FROM u ORDER BY id",
    "SELECT string_agg(name, ', ' ORDER BY id), string_agg(mail, '' ORDER BY id DESC), string_agg(name, plain ORDER BY id) FROM u",
    "SELECT g, string_agg(name, ' | ' ORDER BY name DESC NULLS LAST) FILTER (WHERE id <> 2), count(*) FROM u GROUP BY g ORDER BY g",
    "SELECT string_agg(name || '=' || mail, E'\\n' ORDER BY id), string_agg(n::text, ',' ORDER BY id) FROM u",
    "SELECT * FROM (SELECT id, name || '!' AS loud FROM u) q ORDER BY id",
    "SELECT q.loud || '!', concat(q.loud, q.id) FROM (SELECT id, name || '!' AS loud FROM u) q ORDER BY id",
    "WITH q AS (SELECT id, name || '!' AS loud FROM u) SELECT u.id, q.loud FROM u LEFT JOIN q ON q.id = u.id AND u.id > 1 ORDER BY u.id",
    "SELECT id, (SELECT string_agg(w.name, ';' ORDER BY w.id) FROM u w WHERE w.g = u.g) FROM u ORDER BY id",
    "SET datestyle = 'German'; SET timezone = 'Asia/Kolkata'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape'; SET extra_float_digits = 0",
    "SELECT concat(name, day, at, tz, i, raw, f), name || day || at || tz || i || r, tz::text, raw::text FROM u ORDER BY id",
    "RESET ALL",
    "SELECT n || big FROM u",
    "SELECT name || no FROM u",
    "INSERT INTO u (id, name, mail) VALUES (9, 'new', 'n@x') RETURNING name || ' ' || mail, concat(id, name)",
    "UPDATE u SET name = 'newer' WHERE id = 9 RETURNING name || '?'",
    "DELETE FROM u WHERE id = 9 RETURNING concat(name, '.')",
    "BEGIN; DECLARE c CURSOR FOR SELECT name || '!' FROM u ORDER BY id; FETCH 1 FROM c; FETCH ALL FROM c; COMMIT",
    "BEGIN; DECLARE c BINARY CURSOR FOR SELECT name || '!' FROM u ORDER BY id; FETCH 2 FROM c; COMMIT",
    "PREPARE s (text, int) AS SELECT name || $1 || mail FROM u WHERE id = $2; EXECUTE s (' & ', 1); EXECUTE s (NULL, 2); EXECUTE s ('', 4)",
    "COPY (SELECT id, name || ' ' || mail, n::text FROM u ORDER BY id) TO STDOUT",
    "COPY (SELECT string_agg(name, '\"' ORDER BY id) AS all FROM u) TO STDOUT (FORMAT csv, HEADER)",
];

#[test]
fn the_same_text_as_on_plain_tables() {
    let twin = twin();
    twin.same(SAME.iter().map(|sql| (sql.to_string(), query(sql))));
}

#[test]
fn both_protocols_and_formats() {
    let twin = twin();
    let mut asked = Vec::new();
    for sql in [
        "SELECT name || $1::text || plain FROM u ORDER BY id",
        "SELECT id, concat_ws($1::text, name, id, b) FROM u ORDER BY id",
        "SELECT string_agg(name, $1 ORDER BY id) FROM u",
        "SELECT n::text, name || ' ' || day FROM u WHERE plain <> $1 ORDER BY id",
    ] {
        asked.extend(every_way(sql, "-", &[2, 0]));
        asked.push((sql.to_owned(), extended(sql, &[Some(" a\"b ")])));
        asked.push((format!("NULL {sql}"), extended(sql, &[None])));
    }
    twin.same(asked);
}

#[test]
fn other_uses_are_refused() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE kept (t text)");
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT id FROM u WHERE name || 'x' = 'Adax'",
        "SELECT id FROM u WHERE concat(name) LIKE 'A%'",
        "SELECT name || 'x' AS t FROM u ORDER BY t",
        "SELECT name || 'x' FROM u ORDER BY 1",
        "SELECT DISTINCT name || 'x' FROM u",
        "SELECT name || 'x', count(*) FROM u GROUP BY 1",
        "SELECT name || 'x' FROM u GROUP BY name",
        "SELECT name || 'x' FROM u UNION ALL SELECT 'y'",
        "SELECT length(name || 'x') FROM u",
        "SELECT upper(name || 'x') FROM u",
        "SELECT (name || 'x')::varchar(3) FROM u",
        "SELECT (name || 'x')::json FROM u",
        "SELECT json_build_object('t', name || 'x') FROM u",
        "SELECT array_agg(name || 'x') FROM u",
        "SELECT CASE WHEN id = 1 THEN name || 'x' END FROM u",
        "SELECT COALESCE(q.t, 'x') FROM (SELECT name || 'x' AS t FROM u) q",
        "SELECT * FROM (SELECT name || 'x' AS t FROM u) q WHERE t = 'Adax'",
        "SELECT name || 5 FROM u",
        "SELECT doc || '{}' FROM u",
        "SELECT raw || '\\x00' FROM u",
        "SELECT format('%s', name || 'x') FROM u",
        "SELECT string_agg(DISTINCT name, ',') FROM u",
        "INSERT INTO kept SELECT name || 'x' FROM u",
        "UPDATE kept SET t = (SELECT name || 'x' FROM u LIMIT 1)",
        "CREATE TABLE made AS SELECT name || 'x' AS t FROM u",
        "CREATE VIEW made AS SELECT name || 'x' AS t FROM u",
        "CREATE VIEW made AS SELECT n::text AS t FROM u",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT name || id FROM u'",
    ] {
        let error = raw.error(sql);
        assert_eq!(error.code, "0A000", "{sql}: {error:?}");
    }
    assert_eq!(raw.rows("SELECT name || '!' FROM u WHERE id = 1"), ["Ada!"]);
}

/// Neither values nor what is given beside them reach the server, and no mark the client.
#[test]
fn the_server_sees_no_value_and_the_client_no_mark() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, s seal.text_ord, n seal.int4)");
    twin.direct.superuser("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()");
    twin.sealed.sql("INSERT INTO t VALUES (1, 'Xyzzy', 7170131), (2, NULL, NULL)");
    let mut raw = twin.raw_sealed();
    for (sql, want) in [
        ("SELECT s || ' plugh ' || s || n FROM t WHERE id = 1", "Xyzzy plugh Xyzzy7170131"),
        ("SELECT concat(s, 'plugh', n) FROM t ORDER BY id DESC LIMIT 1", "plugh"),
        ("SELECT string_agg(s || 'plugh', ' plugh ' ORDER BY s) FROM t", "Xyzzyplugh"),
        ("SELECT n::text FROM t WHERE id = 1", "7170131"),
    ] {
        assert_eq!(raw.rows(sql), [want], "{sql}");
    }
    let answers = raw.ask(&extended("SELECT s || $1 || $2::text FROM t WHERE id = 1", &[Some("plugh"), Some("xyzzy")]));
    assert!(answers.iter().any(|m| m.to_string().contains("Xyzzyplughxyzzy")), "{answers:?}");
    let seen = [twin.relay.sent(), twin.cluster.log().into_bytes()].concat();
    let seen = String::from_utf8_lossy(&seen).to_lowercase();
    for secret in ["xyzzy", "plugh", "7170131"] {
        assert!(!seen.contains(secret), "{secret} reached the server");
    }
    assert!(seen.contains("string_agg"), "the statements were seen");
}

#[test]
fn functions_of_the_databases_own_do_not_get_what_stands_for_values() {
    let twin = twin();
    twin.both(
        "CREATE FUNCTION concat(text, text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
         CREATE FUNCTION json_build_object(text, text) RETURNS text LANGUAGE sql AS 'SELECT upper($2)'",
    );
    let mut raw = twin.raw_sealed();
    for sql in ["SELECT concat(name, 'x') FROM u", "SELECT json_build_object('a', name) FROM u"] {
        let error = raw.error(sql);
        assert_eq!(error.code, "0A000", "{sql}: {error:?}");
        assert!(format!("{:?}", error.hint).contains("pg_catalog."), "{error:?}");
    }
    let same =
        ["SELECT pg_catalog.concat(name, 'x') FROM u ORDER BY id", "SELECT concat(plain, 'x') FROM u ORDER BY id"];
    twin.same(same.map(|sql| (sql.to_string(), query(sql))));
}
