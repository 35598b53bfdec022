//! Aggregates that the proxy computes of opened values: what the client reads is what plain PostgreSQL computes.

use crate::support::raw::{bind, every_way, execute, parse, query, sync, two_portals};
use crate::support::{Options, ProxyOptions, Twin};

const SCHEMA: &str = "
    CREATE TABLE n (id int PRIMARY KEY, g int, s seal.int2, i seal.int4, b seal.int8, f seal.float4, x seal.float8, d seal.numeric, o seal.int4_ord, t seal.interval,
        ok seal.bool, key seal.text_eq, plain int);
    CREATE TABLE m (id int PRIMARY KEY, g int, day seal.date, at seal.timestamp, tz seal.timestamptz, tm seal.time, ttz seal.timetz, ip seal.inet, net seal.cidr)";

/// Groups: ordinary ones, all NULL, specials, huge ones, and one of a single row.
const ROWS: &str = "
    INSERT INTO n VALUES
      (1, 1, 1, 10, 100, 0.1, 0.1, 1.50, 5, '1 day 02:03:04', true, 'a', 7), (2, 1, 2, 20, 200, 0.2, 0.2, 2.5, 3, '-2 days +01:00', true, 'b', 8),
      (3, 1, NULL, 21, -7, 0.3, 0.3, -0.001, NULL, '1 mon -1 day', NULL, 'a', 9), (4, 1, -5, -10, 3, 1.5, 2.25, 1e10, 9, '00:00:00.000001', true, NULL, NULL),
      (5, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (6, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1),
      (7, 3, 32767, 2147483647, 9223372036854775807, 'NaN', 'inf', 'NaN', 2147483647, '178000000 years', false, 'z', 1),
      (8, 3, 32767, 2147483647, 9223372036854775807, 1, 1, 'inf', 2147483647, '-178000000 years', true, 'z', 1),
      (9, 4, -32768, -2147483648, -9223372036854775808, 3.4e38, 1e300, 123456789012345678901234567890.123456789, 1, '-1 mon -3 days -04:05:06.7', false, 'z', 1),
      (10, 4, -32768, -2147483648, -9223372036854775808, -3.4e38, -1e300, 0.00000000000000000000000000001, 1, '-7 days', false, 'y', 2),
      (11, 4, -1, 0, 1, 1e-10, 1e-300, -987654321.987654321000, 1, '-11:00', NULL, 'x', 2),
      (12, 5, 3, 3, 3, 3, 3, 3.000, 3, '3 mons', false, 'w', 3),
      (13, 6, 0, 0, 0, 'inf', '-inf', '-inf', 0, '0', true, 'w', 3), (14, 6, 1, 1, 1, '-inf', 1, 1, 1, '1 day', true, 'w', 3);
    INSERT INTO m VALUES (1, 1, '2001-02-03', '2001-02-03 04:05:06', '2001-02-03 04:05:06+02', '04:05:06', '04:05:06+02', '10.0.0.1/8', '10.0.0.0/8'),
      (2, 1, '0044-03-15 BC', '-infinity', 'infinity', '23:59:59.999', '03:05:06+01', '::1', '192.168.0.0/24'), (3, 1, 'infinity', '1999-12-31', '1999-12-31', '00:00', '00:00Z', '9.1.2.3', '9.0.0.0/8'),
      (4, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (5, 2, '1970-01-01', NULL, NULL, '12:00', NULL, NULL, '::/0')";

fn twin() -> Twin {
    Twin::filled(SCHEMA, ROWS)
}

/// Of every type and in every group.
const VALUES: &[&str] = &[
    "SELECT g, sum(s), sum(i), sum(b), sum(d) FROM n GROUP BY g ORDER BY g",
    "SELECT g, avg(s), avg(i), avg(b), avg(d) FROM n GROUP BY g ORDER BY g",
    "SELECT g, sum(f), sum(x), avg(f), avg(x) FROM n WHERE g <> 4 GROUP BY g ORDER BY g",
    "SELECT sum(f), avg(f) FROM n WHERE g = 4",
    "SELECT g, sum(t), avg(t) FROM n WHERE g <> 3 GROUP BY g ORDER BY g",
    "SELECT sum(t) FROM n WHERE id = 7",
    "SELECT g, bool_and(ok), bool_or(ok), every(ok) FROM n GROUP BY g ORDER BY g",
    "SELECT g, stddev(s), stddev(i), stddev(b), stddev(d) FROM n GROUP BY g ORDER BY g",
    "SELECT g, stddev_pop(s), stddev_samp(i), stddev_pop(b), stddev_pop(d) FROM n GROUP BY g ORDER BY g",
    "SELECT g, variance(s), var_pop(i), var_samp(b), var_pop(d), var_samp(d) FROM n GROUP BY g ORDER BY g",
    "SELECT g, min(s), max(s), min(i), max(i), min(b), max(b) FROM n GROUP BY g ORDER BY g",
    "SELECT g, min(f), max(f), min(x), max(x), min(d), max(d), min(t), max(t) FROM n GROUP BY g ORDER BY g",
    "SELECT g, min(day), max(day), min(at), max(at), min(tz), max(tz), min(tm), max(tm), min(ttz), max(ttz) FROM m GROUP BY g ORDER BY g",
    "SELECT g, min(ip), max(ip), min(net), max(net) FROM m GROUP BY g ORDER BY g",
    "SELECT sum(s), avg(i), sum(d), bool_or(ok), stddev(i), max(d) FROM n WHERE false",
    "SELECT sum(i), avg(i), sum(b) FROM n WHERE g = 2",
    "SET intervalstyle = 'iso_8601'; SET datestyle = 'German'; SET timezone = 'Asia/Kolkata'; SET extra_float_digits = 0",
    "SELECT sum(t), avg(t), max(t) FROM n WHERE g = 1; SELECT max(day), max(at), min(tz), max(ttz) FROM m; SELECT avg(x) FROM n WHERE g = 1",
    "RESET ALL",
];

/// Of what is computed of each row.
const EXPRESSIONS: &[&str] = &[
    "SELECT sum(i + 1), sum(i * 2), avg(i::numeric / 3), sum(-i::int8), sum(d * 1.19), sum(s::int), sum(i::int8 + b) FROM n WHERE g IN (1, 5)",
    "SELECT g, sum(i * plain), sum(plain * i), avg(d * plain), sum(COALESCE(i, plain)), max(i + plain), min(d - plain) FROM n WHERE g NOT IN (3, 4) GROUP BY g ORDER BY g",
    "SELECT g, sum(i::int8 + o), sum(i::int8 * s), bool_or(ok::int::bool), stddev(i % 3), variance(d + 1), sum(length(key)), avg(length(key)), max(strpos(key, 'a')) FROM n WHERE g NOT IN (3, 4) GROUP BY g ORDER BY g",
    "SELECT round(sum(d * plain), 2), COALESCE(sum(i * plain), 0), COALESCE(sum(i * 2), 0)::text, sum(i * 2)::numeric(12, 1), round(avg(i + 0.5), 3) FROM n WHERE g = 1",
    "SELECT round(sum(d * plain), 2), COALESCE(sum(i * plain), 0), COALESCE(sum(i * 2), 0)::text FROM n WHERE false",
    "SELECT COALESCE(sum(i * plain), 0), COALESCE(sum(i * 2), 7) FROM n WHERE g = 2",
    "SELECT sum(i * 2) FILTER (WHERE plain > 7), sum(DISTINCT i % 2), sum(i + plain ORDER BY id DESC), count(*) FROM n WHERE g = 1",
    "SELECT m.id, (SELECT sum(n.i * m.id) FROM n WHERE n.g = m.id AND n.g <> 3) FROM m ORDER BY id",
    "SELECT q.total FROM (SELECT g, sum(i * plain) AS total FROM n WHERE g < 3 GROUP BY g) q ORDER BY g",
    "SELECT sum(a.i * b.plain), sum(a.i::int8 * b.i) FROM n a LEFT JOIN n b ON a.g = b.g AND b.id > 2 WHERE a.g IN (1, 5)",
    "SELECT sum(i / plain) FROM n WHERE g = 1; SELECT sum(i / (plain - plain)) FROM n WHERE g = 1",
    "SELECT sum(extract(year FROM day)), max(extract(month FROM at)), min(date_part('day', tz)), max(at::date), min(day::timestamp) FROM m WHERE id < 4",
    "COPY (SELECT g, sum(i * plain), avg(d + 1) FROM n WHERE g < 3 GROUP BY g ORDER BY g) TO STDOUT",
    "SELECT sum(i + i), sum(i::numeric) AS x FROM n WHERE g = 1",
];

/// Where they may stand.
const SHAPES: &[&str] = &[
    "SELECT SUM(i), count(*), count(i), pg_catalog.sum(i), sum(plain), max(o), min(plain) FROM n",
    "SELECT sum(i) AS total, (avg(d)) average, (sum(\"i\")) FROM n WHERE g = 1",
    "SELECT sum(ALL i), sum(DISTINCT i), avg(DISTINCT s), count(DISTINCT key), sum(DISTINCT o), bool_and(DISTINCT ok), max(DISTINCT i) FROM n WHERE g IN (1, 3, 4)",
    "SELECT g, sum(i) FILTER (WHERE plain > 7), sum(i) FILTER (WHERE key = 'a'), avg(d) FILTER (WHERE i IS NOT NULL AND o < 6) FROM n GROUP BY g ORDER BY g",
    "SELECT key, sum(i), count(*) FROM n GROUP BY key ORDER BY count(*), min(id)",
    "SELECT o, sum(o), sum(i) FROM n GROUP BY o ORDER BY o",
    "SELECT g, plain, sum(i) FROM n GROUP BY ROLLUP (g, plain) ORDER BY g, plain",
    "SELECT g, sum(i) FROM n GROUP BY g HAVING count(*) > 1 ORDER BY g DESC LIMIT 2",
    "SELECT g, sum(i) FROM n WHERE key <> 'q' GROUP BY g HAVING max(o) > 3 ORDER BY 1",
    "SELECT sum(COALESCE(i, 5)), sum(CASE WHEN id > 3 THEN i END), avg(n.i) FROM n",
    "SELECT sum(a.i) FROM n a JOIN n b ON a.key = b.key",
    "SELECT sum(x ORDER BY id DESC), sum(f ORDER BY o, id) FROM n WHERE g = 1",
    "SELECT * FROM (SELECT g, sum(i) AS total, avg(d) FROM n GROUP BY g) q ORDER BY g",
    "SELECT q.total, q.g FROM (SELECT g, sum(i) AS total FROM n GROUP BY g) q ORDER BY g",
    "WITH q AS (SELECT g, sum(i), bool_or(ok) AS any FROM n GROUP BY g), r (a, b) AS (SELECT g, avg(b) FROM n GROUP BY g) SELECT q.*, r.b FROM q JOIN r ON r.a = q.g ORDER BY g",
    "SELECT m.id, (SELECT sum(i) FROM n WHERE n.g = m.id), (SELECT avg(d) AS a FROM n WHERE n.g = m.id) FROM m ORDER BY id",
    "SELECT m.id, l.total, l.avg FROM m LEFT JOIN LATERAL (SELECT sum(i) AS total, avg(i) FROM n WHERE n.g = m.id) l ON m.id < 4 ORDER BY id",
    "SELECT m.id, q.total FROM m LEFT JOIN (SELECT g, sum(i) AS total FROM n GROUP BY g) q ON q.g = m.id AND m.id > 2 ORDER BY id",
    "SELECT m.id, q.total FROM m LEFT JOIN (SELECT g, COALESCE(sum(i), 0) AS total FROM n GROUP BY g) q ON q.g = m.id AND m.id < 3 ORDER BY id",
    "SELECT COALESCE(sum(i), 0), COALESCE(sum(b), 0), coalesce(avg(d), -1.50) AS c, COALESCE(bool_or(ok), false), COALESCE(sum(x), 0), COALESCE(sum(s), 1.5) FROM n WHERE g = 2",
    "SELECT g, COALESCE(sum(i), 0), COALESCE(sum(b), 5000000000), COALESCE(sum(s), 1.5), COALESCE(bool_and(ok), TRUE) FROM n GROUP BY g ORDER BY g",
    "SELECT COALESCE(sum(i), 0)::int, sum(i)::text, CAST(avg(d) AS float8), sum(s)::numeric, avg(i)::int AS a, COALESCE(sum(i)::float8, 0), bool_or(ok)::text FROM n WHERE g = 1",
    "SELECT g, round(avg(d), 2), round(avg(i), 1), round(avg(d)), trunc(avg(d), 3), ceil(avg(i)), ceiling(sum(d)), floor(avg(s)), abs(sum(i)) FROM n WHERE g <> 4 GROUP BY g ORDER BY g",
    "SELECT g, round(sum(i), -1), trunc(sum(b), -2), round(sum(i)::numeric, 2), round(avg(i), 2)::text, round(COALESCE(avg(d), 0), 2), COALESCE(round(avg(d), 2), 0), round(round(avg(d), 4), 2) FROM n WHERE g <> 4 GROUP BY g ORDER BY g",
    "SELECT sum(d)::numeric(12, 2), avg(i)::numeric(10, 4) AS a, CAST(sum(i) AS numeric(20)), COALESCE(sum(d)::numeric(12, 2), 0), round(sum(d)::numeric(12, 3), 1), sum(i)::numeric(10, 2)::text, sum(i)::decimal(9, 1)::int FROM n WHERE g = 1",
    "SELECT ROUND(AVG(d), 2) FROM n WHERE g = 1; SELECT pg_catalog.round((avg(d)), 2) AS r, round( avg(d) , 2 ) FROM n WHERE g = 1",
    "SELECT sum(i)::numeric(2, 1) FROM n WHERE g = 1",
    "SELECT round(sum(plain), 1), round(avg(plain), 2), round(sum(d) FILTER (WHERE plain > 7), 1) FROM n WHERE o < 9 AND g = 1",
    "SELECT * FROM (SELECT g, round(avg(d), 2) AS mean FROM n WHERE g <> 4 GROUP BY g) q ORDER BY g",
    "SELECT sum(i)::int FROM n WHERE g = 3",
    "SELECT sum(i)::int2, sum(d)::real FROM n WHERE g = 1",
    "SELECT sum(plain)::text, COALESCE(sum(plain), 0), COALESCE(avg(plain), 1)::int FROM n WHERE o = 9 OR g = 1",
    "SELECT sum(t) FROM n WHERE g = 3; SELECT sum(x) FROM n",
    "SELECT sum(i) FROM n WHERE i IS NULL AND o = 3",
    "SELECT sum(i) FROM n LIMIT 0",
    "SELECT sum(i), g FROM n GROUP BY g ORDER BY g OFFSET 1 ROWS FETCH FIRST 2 ROWS ONLY",
    "SELECT id, sum(i) FROM n",
    "SELECT sum(key) FROM n",
    "SELECT avg(day) FROM m",
    "SELECT bool_and(i) FROM n",
    "INSERT INTO n (id, i) VALUES (90, 4) RETURNING sum(i)",
    "BEGIN; DECLARE c CURSOR FOR SELECT g, sum(i), avg(d) FROM n GROUP BY g ORDER BY g; FETCH 2 FROM c; FETCH ALL FROM c; COMMIT",
    "BEGIN; DECLARE c BINARY CURSOR FOR SELECT g, sum(i), avg(d) FROM n GROUP BY g ORDER BY g; FETCH 2 FROM c; COMMIT",
    "PREPARE s (int) AS SELECT sum(i), stddev(b) FROM n WHERE g = $1; EXECUTE s (1); EXECUTE s (4); EXECUTE s (2)",
    "COPY (SELECT g, sum(i), avg(d), bool_or(ok) FROM n GROUP BY g ORDER BY g) TO STDOUT",
    "COPY (SELECT g, sum(i) AS total, sum(d) FROM n GROUP BY g ORDER BY g) TO STDOUT (FORMAT csv, HEADER)",
    "COPY (SELECT sum(i), avg(d) FROM n) TO STDOUT (FORMAT binary)",
];

#[test]
fn the_same_values_as_on_plain_tables() {
    let twin = twin();
    let all = VALUES.iter().chain(EXPRESSIONS).chain(SHAPES);
    twin.same(all.map(|sql| (sql.to_string(), query(sql))));
}

#[test]
fn both_protocols_and_formats() {
    let twin = twin();
    let mut asked = Vec::new();
    for sql in [
        "SELECT g, sum(i), avg(d), sum(x), sum(t), bool_or(ok), stddev(b) FROM n WHERE g < $1::int AND g <> 3 GROUP BY g ORDER BY g",
        "SELECT g, COALESCE(sum(i), 0), sum(i)::float8, max(f), min(d) FROM n WHERE plain < $1 GROUP BY g ORDER BY g",
        "SELECT max(day), min(at), max(tz), min(ttz), max(net) FROM m WHERE id < $1",
        "SELECT * FROM (SELECT o, sum(o) FROM n WHERE o < $1 GROUP BY o) q ORDER BY o",
        "SELECT sum(i * $1), sum(d + plain), COALESCE(sum(i * plain * $1), 0) FROM n WHERE g = 1",
        "SELECT round(avg(d), 2), sum(i)::numeric(9, 3), floor(avg(i)) FROM n WHERE g < 3 AND id < $1::int",
    ] {
        asked.extend(every_way(sql, "9", &[2, 1, 0]));
    }
    asked.push(two_portals("SELECT sum(i), avg(b) FROM n WHERE id < $1", ["3", "9"]));
    twin.same(asked);
}

/// A result that is too large fails as in PostgreSQL, and a transaction with it.
#[test]
fn overflow_fails_the_statement_and_its_transaction() {
    let twin = twin();
    let overflow = "INSERT INTO n (id, g, x, d, t) VALUES (50, 7, 1e308, 9e131071, '2147483647 mons'), (51, 7, 1e308, 9e131071, '2147483647 mons')";
    twin.both(overflow);
    let (mut plain, mut sealed) = twin.raw();
    for sql in [
        "SELECT sum(x) FROM n WHERE g = 7",
        "SELECT avg(x) FROM n WHERE g = 7",
        "SELECT sum(d) FROM n WHERE g = 7",
        "SELECT sum(t) FROM n WHERE g = 7",
        "SELECT avg(t) FROM n WHERE g = 7",
        "SELECT sum(d)::int FROM n WHERE id = 50",
    ] {
        let (want, got) = (plain.error(sql), sealed.error(sql));
        assert_eq!((&want.code, &want.message), (&got.code, &got.message), "{sql}");
    }
    sealed.query("BEGIN");
    assert_eq!(sealed.error("SELECT sum(x) FROM n WHERE g = 7").code, "22003");
    assert_eq!(sealed.error("SELECT 1").code, "25P02");
    sealed.query("ROLLBACK");
    assert_eq!(sealed.rows("SELECT sum(i) FROM n WHERE g = 1"), ["41"]);
}

/// What could not be told from the values, and every other use of a result.
#[test]
fn other_uses_are_refused() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE kept (v int8, d numeric)");
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT g FROM n GROUP BY g HAVING sum(i) > 10",
        "SELECT sum(i) + 1 FROM n",
        "SELECT sum(i) / count(*) FROM n",
        "SELECT g, sum(i) FROM n GROUP BY g ORDER BY sum(i)",
        "SELECT g, sum(i) AS total FROM n GROUP BY g ORDER BY total",
        "SELECT g, sum(i) FROM n GROUP BY g ORDER BY 2",
        "SELECT DISTINCT sum(i) FROM n GROUP BY g",
        "SELECT sum(i) FROM n UNION ALL SELECT 1",
        "SELECT sum(i) FROM n UNION SELECT sum(b) FROM n",
        "SELECT sum(i) OVER (ORDER BY id) FROM n",
        "SELECT max(i) OVER (PARTITION BY g) FROM n",
        "SELECT sum(total) FROM (SELECT sum(i) AS total FROM n GROUP BY g) q",
        "SELECT q.total + 1 FROM (SELECT sum(i) AS total FROM n) q",
        "SELECT COALESCE(q.total, 0) FROM (SELECT sum(i) AS total FROM n) q",
        "SELECT * FROM (SELECT sum(i) AS total FROM n) q WHERE total > 1",
        "SELECT * FROM (SELECT sum(i) AS total FROM n) q JOIN kept ON kept.v = q.total",
        "SELECT id FROM n WHERE i IN (SELECT sum(i) FROM n)",
        "SELECT id FROM n WHERE plain = (SELECT sum(i) FROM n)",
        "SELECT json_build_object('total', sum(i)) FROM n",
        "SELECT row_to_json(q) FROM (SELECT sum(i) AS total FROM n) q",
        "SELECT array_agg(q.total) FROM (SELECT sum(i) AS total FROM n GROUP BY g) q",
        "SELECT COALESCE(sum(i), plain) FROM n GROUP BY plain",
        "SELECT COALESCE(sum(i), sum(b)) FROM n",
        "SELECT COALESCE(sum(i), '0') FROM n",
        "SELECT COALESCE(sum(i), 1, 2) FROM n",
        "SELECT sum(i)::money FROM n",
        "SELECT round(avg(d), plain) FROM n GROUP BY plain",
        "SELECT round(avg(d), $1) FROM n",
        "SELECT round(sum(i)) FROM n",
        "SELECT ceil(sum(x)) FROM n",
        "SELECT round(avg(d), 2) + 1 FROM n",
        "SELECT g FROM n GROUP BY g HAVING round(avg(d), 2) > 1",
        "SELECT sum(i)::varchar(3) FROM n",
        "SELECT sum(i)::text || 'x' FROM n",
        "SELECT stddev(x) FROM n",
        "SELECT sum(DISTINCT x) FROM n",
        "SELECT sum(DISTINCT t) FROM n",
        "SELECT sum(DISTINCT i ORDER BY i) FROM n",
        "SELECT sum(tm) FROM m",
        "SELECT max(key) FROM n",
        "SELECT bit_and(i) FROM n",
        "SELECT sum(i + 1) OVER () FROM n",
        "SELECT max(lower(key)) FROM n",
        "SELECT sum(DISTINCT x + 1) FROM n",
        "SELECT sum(i + random()::int) FROM n",
        "SELECT g FROM n GROUP BY g HAVING sum(i * 2) > 1",
        "SELECT sum(i * 2) + 1 FROM n",
        "SELECT count(i * 2) FROM n",
        "SELECT string_agg(lower(key), ',') FROM n",
        "SELECT json_agg(i + 1) FROM n",
        "SELECT sum(sum(i)) FROM n",
        "SELECT sum(i) FROM n WHERE sum(i) IS NULL",
        "SELECT COALESCE(sum(t), NULL) FROM n",
        "INSERT INTO kept (v) SELECT sum(i) FROM n",
        "INSERT INTO kept (v) VALUES ((SELECT sum(i) FROM n))",
        "INSERT INTO n (id, b) SELECT 70, sum(i) FROM n",
        "UPDATE kept SET v = (SELECT sum(i) FROM n)",
        "CREATE TABLE made AS SELECT sum(i) FROM n",
        "SELECT sum(i) AS total INTO made FROM n",
        "CREATE VIEW made AS SELECT g, sum(i) FROM n GROUP BY g",
        "CREATE MATERIALIZED VIEW made AS SELECT sum(i) FROM n",
        "WITH RECURSIVE r AS (SELECT 1 AS k, sum(i) AS total FROM n UNION ALL SELECT k + 1, total FROM r WHERE k < 2) SELECT * FROM r",
        "SELECT GREATEST(sum(i), 0) FROM n",
        "SELECT CASE WHEN sum(i) > 0 THEN 1 END FROM n",
        "VALUES ((SELECT sum(i) FROM n))",
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT sum(i) FROM n'",
    ] {
        let error = raw.error(sql);
        assert_eq!(error.code, "0A000", "{sql}: {error:?}");
    }
    assert_eq!(raw.rows("SELECT count(*), sum(i) FROM n WHERE g = 1"), ["4|41"]);
}

/// A group of a million values stays under the limit; one over a smaller limit is an error that leaves all else as it was.
#[test]
fn groups_are_bounded() {
    let mut twin = Twin::start_with(Options::default(), &ProxyOptions::default());
    twin.create("CREATE TABLE t (id int, n seal.int4)");
    let values: Vec<String> = (0..1000).map(|n| format!("({n}, {n})")).collect();
    twin.sealed.sql(&format!("INSERT INTO t VALUES {}", values.join(", ")));
    let million = "SELECT sum(n), count(*) FROM t, generate_series(1, 1000)";
    assert_eq!(twin.raw_sealed().rows(million), ["499500000|1000000"]);

    twin.restart_proxy(&ProxyOptions::default().with("CS_SERVER__MAX_AGGREGATE_MIB", "1"));
    let mut raw = twin.raw_sealed();
    let small = "SELECT id % 2, sum(n) FROM t, generate_series(1, 10) GROUP BY 1 ORDER BY 1";
    for _ in 0..2 {
        let error = raw.error(million);
        assert_eq!(error.code, "54000", "{error:?}");
        assert!(error.message.contains("1 MiB") && error.hint.is_some_and(|h| h.contains("max_aggregate_mib")));
        assert_eq!(raw.rows(small), ["0|2495000", "1|2500000"]);
    }
    raw.query("BEGIN");
    assert_eq!(raw.error(million).code, "54000");
    assert_eq!(raw.error("SELECT 1").code, "25P02");
    raw.query("ROLLBACK");
    // What is no aggregate is not limited by it.
    let all = raw.rows("SELECT array_length(array_agg(n), 1), count(*) FROM t, generate_series(1, 30)");
    assert_eq!(all, ["30000|30000"]);
    let sent = [parse("", million, &[]), bind("", "", &[]), execute("", 0), sync(), query("SELECT 1")].concat();
    let answers = raw.ask(&sent);
    assert_eq!(answers.iter().find_map(|m| m.error()).map(|e| e.code), Some("54000".to_owned()));
    assert!(raw.until_ready().iter().any(|m| m.tag == b'D'));
    assert_eq!(raw.rows(small).len(), 2);
}

/// What a statement wrote is undone when the aggregate of it fails, which is told once the server is done.
#[test]
fn what_was_written_is_undone_with_the_aggregate() {
    let twin = Twin::start_with(Options::default(), &ProxyOptions::default().with("CS_SERVER__MAX_AGGREGATE_MIB", "1"));
    twin.create("CREATE TABLE t (id int, n seal.int4, f seal.float8)");
    twin.sealed.sql("INSERT INTO t VALUES (1, 2147483647, 1e308), (2, 2147483647, 1e308)");
    let mut raw = twin.raw_sealed();
    for (sql, code) in [
        ("WITH d AS (DELETE FROM t RETURNING f) SELECT sum(f) FROM d", "22003"),
        ("WITH d AS (DELETE FROM t RETURNING n) SELECT sum(n)::int FROM d", "22003"),
        ("WITH d AS (UPDATE t SET id = 3 RETURNING n) SELECT sum(n) FROM d, generate_series(1, 20000)", "54000"),
        ("COPY (WITH d AS (DELETE FROM t RETURNING f) SELECT sum(f) FROM d) TO STDOUT", "22003"),
    ] {
        assert_eq!(raw.error(sql).code, code, "{sql}");
        assert_eq!(raw.rows("SELECT id FROM t ORDER BY id"), ["1", "2"], "{sql}");
        if sql.starts_with("COPY") {
            continue;
        }
        let sent = [parse("", sql, &[]), bind("", "", &[]), execute("", 0), sync()].concat();
        let answers = raw.ask(&sent);
        assert_eq!(answers.iter().find_map(|m| m.error()).map(|e| e.code), Some(code.to_owned()), "{sql}");
        assert_eq!(raw.rows("SELECT id FROM t ORDER BY id"), ["1", "2"], "{sql}");
    }
    assert_eq!(raw.rows("WITH d AS (DELETE FROM t RETURNING n) SELECT sum(n) FROM d"), ["4294967294"]);
    assert_eq!(raw.rows("SELECT count(*) FROM t"), ["0"]);
}

/// The server sees neither values nor what is computed of them.
#[test]
fn the_server_sees_no_value() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, n seal.int8, d seal.numeric)");
    twin.direct.superuser("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()");
    twin.sealed.sql("INSERT INTO t VALUES (1, 7170131719, 1234.56789), (2, 7170131720, 2345.67891)");
    let mut raw = twin.raw_sealed();
    assert_eq!(
        raw.rows("SELECT sum(n), COALESCE(avg(n), 3141592653), sum(d) FROM t"),
        ["14340263439|7170131719.50000000|3580.24680"]
    );
    assert_eq!(raw.rows("SELECT COALESCE(sum(n), 3141592653) FROM t WHERE false"), ["3141592653"]);
    assert_eq!(raw.rows("SELECT COALESCE(sum(n), 3141592654) FROM t WHERE false"), ["3141592654"]);
    let seen = [twin.relay.sent(), twin.cluster.log().into_bytes()].concat();
    let seen = String::from_utf8_lossy(&seen);
    for secret in ["71701317", "14340263439", "1234.56", "2345.67", "3580.2", "314159265"] {
        assert!(!seen.contains(secret), "{secret} reached the server");
    }
    assert!(seen.contains("array_agg"), "the statements were seen");
}
