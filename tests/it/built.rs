//! JSON that the server builds of encrypted values: what the client reads is what plain PostgreSQL builds.

use crate::support::Twin;
use crate::support::raw::{every_way, query, two_portals};

const SCHEMA: &str = "
    CREATE TABLE u (id int PRIMARY KEY, name seal.text_ord, mail seal.varchar_eq, n seal.int4_ord, big seal.int8, small seal.int2, b seal.bool,
        d seal.numeric_ord, day seal.date, at seal.timestamp, tz seal.timestamptz, t seal.time, i seal.interval, raw seal.bytea, key seal.uuid_eq,
        doc seal.jsonb, ip seal.inet, plain text);
    CREATE TABLE p (id int PRIMARY KEY, uid int, title seal.text_match, score seal.float8, doc seal.json, f seal.float4)";

const ROWS: &str = "
    INSERT INTO u VALUES (1, 'Ada', 'ada@example.com', 36, 9007199254740993, -3, true, 1.50, '1815-12-10', '2001-02-03 04:05:06.789', '2001-02-03 04:05:06+02', '04:05:06',
        '1 day 02:03:04', '\\x00ff', '6f1d3c5e-1111-4222-8333-444455556666', '{\"a\": [1, 2.50, null], \"b\": \"x\"}', '10.0.0.1/8', 'p1'),
      (2, 'quote \" back \\ slash / tab \t line
 end', '', -1, 0, 0, false, 'NaN', 'infinity', '-infinity', '0044-03-15 01:02:03+00 BC', '00:00', '0', '', NULL, '[]', '::1', 'p2'),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
      (4, E'\\x01\\x1f\\x7f\\b\\f äöü 日本 😀 </script>;\"', 'ünï', 0, 1, 1, true, 100000000000000000000.000100, '0044-03-15 BC', '1999-12-31 23:59:59', 'epoch', '23:59:59.999', '-1 mon', '\\x', NULL,
        '\"s\"', '10.1.2.3', 'p4');
    INSERT INTO p VALUES (10, 1, 'first', 1.5, '{\"b\": 1,  \"a\": 2}', 0.1), (11, 1, 'second', 1e300, '[1, 1.0]', 'NaN'), (12, 2, NULL, NULL, NULL, NULL), (13, NULL, 'lost', -0.0, 'null', 3)";

fn twin() -> Twin {
    Twin::filled(SCHEMA, ROWS)
}

/// Of every type, in every function that builds.
const VALUES: &[&str] = &[
    "SELECT json_build_object('id', id, 'name', name, 'mail', mail, 'n', n, 'big', big, 'small', small, 'b', b) FROM u ORDER BY id",
    "SELECT jsonb_build_object('id', id, 'name', name, 'mail', mail, 'n', n, 'big', big, 'small', small, 'b', b) FROM u ORDER BY id",
    "SELECT json_build_object('d', d, 'day', day, 'at', at, 'tz', tz, 't', t, 'i', i, 'raw', raw, 'key', key, 'doc', doc, 'ip', ip) FROM u ORDER BY id",
    "SELECT jsonb_build_object('d', d, 'day', day, 'at', at, 'tz', tz, 't', t, 'i', i, 'raw', raw, 'key', key, 'doc', doc, 'ip', ip) FROM u ORDER BY id",
    "SELECT json_build_array(name, n, plain, id + 1, true, NULL), jsonb_build_array(n, name, b) FROM u ORDER BY id",
    "SELECT to_json(name), to_jsonb(n), to_json(b), to_jsonb(d), to_json(doc), to_jsonb(doc) FROM u ORDER BY id",
    "SELECT json_build_object('s', score, 'f', f, 'd', doc), json_build_array(title) FROM p ORDER BY id",
    "SET datestyle = 'German'; SET timezone = 'Asia/Kolkata'; SET intervalstyle = 'iso_8601'; SET bytea_output = 'escape'",
    "SELECT json_build_array(day, at, tz, i, raw), jsonb_build_array(day, at, tz, i, raw) FROM u ORDER BY id",
    "RESET ALL",
];

/// As Prisma, Drizzle, Hasura and PostgREST write them, and where they may stand.
const SHAPES: &[&str] = &[
    "SELECT json_agg(name ORDER BY id), jsonb_agg(n ORDER BY id) FROM u",
    "SELECT json_agg(name ORDER BY name DESC NULLS LAST) FILTER (WHERE id < 4) FROM u",
    "SELECT json_object_agg(id, name ORDER BY id), jsonb_object_agg(id::text, n) FROM u",
    "SELECT uid, json_agg(json_build_object('t', title, 'id', id) ORDER BY id) AS posts FROM p GROUP BY uid ORDER BY uid",
    "SELECT coalesce(json_agg(title), '[]'::json) FROM p WHERE id < 0",
    "SELECT COALESCE(JSONB_AGG(name), '[]') AS j, count(*) FROM u WHERE id < 0",
    "SELECT t1.id, x.__prisma_data__ AS posts FROM u AS t1 LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG(__prisma_data__), '[]') AS __prisma_data__ FROM \
     (SELECT t3.__prisma_data__ FROM (SELECT JSONB_BUILD_OBJECT('id', t2.id, 'title', t2.title) AS __prisma_data__ FROM (SELECT p.* FROM p WHERE p.uid = t1.id \
     ORDER BY p.id) AS t2) AS t3) AS t4) AS x ON TRUE ORDER BY t1.id",
    "select u.id, u.name, posts.data as posts from u left join lateral (select coalesce(json_agg(json_build_array(p.id, p.title) order by p.id), '[]'::json) as data \
     from p where p.uid = u.id) posts on true order by u.id",
    "SELECT coalesce(json_agg(\"root\" ORDER BY \"root.pg.id\"), '[]') AS \"root\" FROM (SELECT row_to_json((SELECT \"_e\" FROM (SELECT \"_root.base\".\"id\" AS \"id\", \
     \"_root.base\".\"name\" AS \"name\", \"_root.base\".\"n\" AS \"n\") AS \"_e\")) AS \"root\", \"_root.base\".\"id\" AS \"root.pg.id\" FROM (SELECT * FROM u WHERE id > 0) AS \"_root.base\") AS \"_root\"",
    "WITH pgrst_source AS (SELECT u.id, u.name, COALESCE(u_p.u_p, '[]') AS posts FROM u LEFT JOIN LATERAL (SELECT json_agg(u_p) AS u_p FROM (SELECT p.title, p.id FROM p \
     WHERE p.uid = u.id ORDER BY p.id) AS u_p) AS u_p ON TRUE ORDER BY u.id) SELECT null::bigint AS total, coalesce(json_agg(_postgrest_t), '[]')::character varying AS body \
     FROM (SELECT * FROM pgrst_source) _postgrest_t",
    "SELECT row_to_json(p) FROM p ORDER BY id",
    "SELECT row_to_json(p.*, true) FROM p ORDER BY id",
    "SELECT to_jsonb(x) FROM (SELECT id, name, b, plain FROM u) x ORDER BY id",
    "SELECT u.id, row_to_json(x) FROM u LEFT JOIN (SELECT id, uid, title FROM p WHERE title LIKE '%s%') x ON x.uid = u.id ORDER BY u.id, x.id",
    "SELECT json_agg(x) FROM (SELECT id, name FROM u ORDER BY id) x",
    "SELECT * FROM (SELECT id, json_build_object('name', name) AS j FROM u) s WHERE id < 3 ORDER BY id",
    "SELECT s.j, s.id FROM (SELECT id, json_build_object('name', name) AS j FROM u) s ORDER BY s.id LIMIT 2",
    "SELECT id, (SELECT json_agg(p.title ORDER BY p.id) FROM p WHERE p.uid = u.id) FROM u ORDER BY id",
    "SELECT id, COALESCE((SELECT jsonb_agg(p.title ORDER BY p.id) FROM p WHERE p.uid = u.id), '[]'::jsonb) AS titles FROM u ORDER BY id",
    "SELECT json_build_object('a', json_build_object('b', json_build_array(max(name), min(n), id))) FROM u GROUP BY id ORDER BY id",
    "SELECT json_build_object('user', x, 'n', x.id) FROM (SELECT id, name FROM u) x ORDER BY x.id",
    "SELECT json_build_object('name', name)::jsonb, json_build_object('name', name)::text, jsonb_build_object('b', id, 'a', name)::json::varchar FROM u ORDER BY id",
    "SELECT json_build_object('m', max(n), 'x', min(name)) FROM u",
    "SELECT json_build_object('c', COALESCE(name, 'none'), 'k', CASE WHEN b THEN name END) FROM (SELECT name, true AS b FROM u ORDER BY id) u",
    "SELECT json_agg(name) OVER (ORDER BY id) FROM u ORDER BY id",
    "SELECT json_build_object('plain', plain, 'id', id), row_to_json(x) FROM (SELECT id, plain FROM u) x ORDER BY id",
    "INSERT INTO p (id, title) VALUES (20, 'new \"one\"') RETURNING json_build_object('id', id, 'title', title), row_to_json(p)",
    "UPDATE p SET title = 'newer' WHERE id = 20 RETURNING jsonb_build_object('id', id, 'title', title)",
    "DELETE FROM p WHERE id = 20 RETURNING to_json(title)",
    "WITH gone AS (DELETE FROM p WHERE id = 21 RETURNING json_build_object('t', title) AS j) SELECT * FROM gone",
    "BEGIN; DECLARE c CURSOR FOR SELECT json_build_object('name', name) FROM u ORDER BY id; FETCH 1 FROM c; FETCH ALL FROM c; COMMIT",
    "BEGIN; DECLARE c BINARY CURSOR FOR SELECT jsonb_build_object('name', name) FROM u ORDER BY id; FETCH 2 FROM c; COMMIT",
    "PREPARE s (int) AS SELECT json_build_object('name', name) FROM u WHERE id = $1; EXECUTE s (1); EXECUTE s (4)",
    "COPY (SELECT id, json_build_object('name', name, 'n', n) FROM u ORDER BY id) TO STDOUT",
    "COPY (SELECT jsonb_agg(name ORDER BY id) FROM u) TO STDOUT (FORMAT csv, HEADER)",
    "SELECT json_agg(name) FROM u WHERE false; SELECT json_build_object('n', n) FROM u WHERE n = 36",
];

#[test]
fn the_same_json_as_on_plain_tables() {
    let twin = twin();
    let all = VALUES.iter().chain(SHAPES);
    twin.same(all.map(|sql| (sql.to_string(), query(sql))));
}

#[test]
fn both_protocols_and_formats() {
    let twin = twin();
    let mut asked = Vec::new();
    for sql in [
        "SELECT json_build_object('name', name, 'n', n) FROM u WHERE plain <> $1::text ORDER BY id",
        "SELECT jsonb_agg(name ORDER BY id) FROM u WHERE plain <> $1",
        "SELECT json_build_object('name', name)::text FROM u WHERE plain <> $1 ORDER BY id",
        "SELECT COALESCE(jsonb_agg(name), $1::jsonb) FROM u WHERE id < 0",
    ] {
        let value = if sql.contains("$1::jsonb") { "[1]" } else { "a\"b" };
        asked.extend(every_way(sql, value, &[2, 0]));
    }
    asked.push(two_portals("SELECT json_agg(name ORDER BY id) FROM u WHERE id < $1", ["3", "9"]));
    twin.same(asked);
}

/// What could depend on the value, and every other use of what is built.
#[test]
fn other_uses_are_refused() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE kept (j jsonb, t text)");
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT jsonb_build_object(name, 1) FROM u",
        "SELECT json_object_agg(name, id) FROM u",
        "SELECT json_agg(DISTINCT name) FROM u",
        "SELECT json_build_object('name', name, 'given', 'Ada') FROM u",
        "SELECT json_build_array(json_build_object('name', name), -1) FROM u",
        "SELECT DISTINCT jsonb_build_object('name', name) FROM u",
        "SELECT DISTINCT ON (id) id, jsonb_build_object('name', name) FROM u",
        "SELECT jsonb_build_object('name', name) FROM u ORDER BY 1",
        "SELECT jsonb_build_object('name', name) AS j FROM u ORDER BY j",
        "SELECT jsonb_build_object('name', name) AS j FROM u ORDER BY jsonb_build_object('name', name)",
        "SELECT jsonb_build_object('name', name) AS j, count(*) FROM u GROUP BY 1",
        "SELECT jsonb_build_object('name', name) AS j, count(*) FROM u GROUP BY j",
        "SELECT count(*) FROM (SELECT jsonb_build_object('name', name) AS j FROM u) s GROUP BY s.j",
        "SELECT jsonb_build_object('name', name) FROM u UNION SELECT '[]'::jsonb",
        "SELECT jsonb_build_object('name', name) FROM u UNION ALL SELECT '[]'::jsonb",
        "SELECT id FROM u WHERE jsonb_build_object('name', name) = '{\"name\": \"Ada\"}'",
        "SELECT id FROM u WHERE jsonb_build_object('name', name) @> '{\"name\": \"Ada\"}'",
        "SELECT id FROM u WHERE row_to_json(u)::text LIKE '%Ada%'",
        "SELECT id FROM u WHERE to_jsonb(u) ->> 'name' = 'Ada'",
        "SELECT jsonb_build_object('name', name) -> 'name' FROM u",
        "SELECT length(json_build_object('name', name)::text) FROM u",
        "SELECT json_build_object('name', name)::varchar(10) FROM u",
        "SELECT json_build_object('j', json_build_object('name', name)::text) FROM u",
        "SELECT json_build_object('name', name) || '' FROM u",
        "SELECT json_array_elements(json_agg(name)) FROM u",
        "SELECT j.* FROM (SELECT json_agg(name) AS a FROM u) s, json_array_elements(s.a) j",
        "SELECT array_agg(json_build_object('name', name)) FROM u",
        "SELECT max(jsonb_build_object('name', name)::text) FROM u",
        "SELECT json_build_object(VARIADIC ARRAY['name', name]) FROM u",
        "SELECT jsonb_build_object('s', score) FROM p",
        "SELECT json_build_object('s', score)::jsonb FROM p",
        "SELECT json_build_object('name', name) FROM u GROUP BY name",
        "SELECT u FROM u",
        "SELECT s.r FROM (SELECT u AS r FROM u) s",
        "SELECT (row_to_json(u) ->> 'name') FROM u",
        "INSERT INTO kept (j) SELECT jsonb_build_object('name', name) FROM u",
        "INSERT INTO kept (j) VALUES ((SELECT jsonb_agg(name) FROM u))",
        "UPDATE kept SET j = (SELECT jsonb_agg(name) FROM u)",
        "UPDATE kept SET (j, t) = (SELECT jsonb_agg(name), 'x' FROM u)",
        "CREATE TABLE made AS SELECT jsonb_build_object('name', name) AS j FROM u",
        "CREATE VIEW made AS SELECT jsonb_build_object('name', name) AS j FROM u",
        "SELECT 1 FROM u JOIN (SELECT jsonb_agg(name) AS j FROM u) s ON s.j = '[]'",
        "SELECT EXISTS (SELECT 1 FROM (SELECT jsonb_agg(name) AS j FROM u) s WHERE s.j = '[]')",
        "SELECT '[]'::jsonb IN (SELECT jsonb_build_object('name', name) FROM u)",
        "WITH RECURSIVE r AS (SELECT 1 AS n, jsonb_build_object('name', name) AS j FROM u UNION ALL SELECT n + 1, j FROM r WHERE n < 2) SELECT * FROM r",
        "SELECT jsonb_build_object('name', name) AS j INTO made FROM u",
        "VALUES ((SELECT json_agg(name) FROM u))",
    ] {
        let error = raw.error(sql);
        assert_eq!(error.code, "0A000", "{sql}: {error:?}");
    }
    let mut all = String::new();
    for sql in ["SELECT json_agg(name) FROM u WHERE id = 1", "SELECT row_to_json(p) FROM p WHERE id = 10"] {
        all += &raw.query(sql);
    }
    assert!(all.contains("Ada") && all.contains("first"), "{all}");
}

/// Nothing of the values reaches the server, and nothing of the marks the client.
#[test]
fn the_server_sees_no_value_and_the_client_no_mark() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, s seal.text_ord)");
    twin.direct.superuser("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()");
    twin.sealed.sql("INSERT INTO t VALUES (1, 'Xyzzy plugh'), (2, NULL)");
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT json_agg(s ORDER BY id) FROM t",
        "SELECT row_to_json(t) FROM t WHERE id = 1",
        "SELECT jsonb_build_object('s', s, 'lower', COALESCE(s, 'xyzzy')) FROM t ORDER BY id",
        "SELECT json_build_object('s', s)::text FROM t ORDER BY s",
    ] {
        let answer = raw.query(sql);
        assert!(answer.contains("Xyzzy plugh") && answer.len() < 400, "{answer}");
    }
    // What has the look of a mark but is not the session's own is text as any other.
    let odd = "SELECT json_build_object('0123456789abcdef0123456789abcdef00ab;', s) FROM t WHERE id = 2";
    assert!(raw.query(odd).contains("0123456789abcdef0123456789abcdef00ab;"));
    let seen = [twin.relay.sent(), twin.cluster.log().into_bytes()].concat();
    let seen = String::from_utf8_lossy(&seen).to_lowercase();
    assert!(!seen.contains("xyzzy") && !seen.contains("plugh"), "a value reached the server");
    assert!(seen.contains("json_agg"), "the statements were seen");
}
