//! COPY TO STDOUT.

use super::{Pair, TABLE};
use crate::support::raw::{Raw, query, transcript};
use crate::support::{Options, ProxyOptions, Twin};

const ROWS: &str = "INSERT INTO t VALUES (1, 'a', 7, 'x'), (2, NULL, NULL, NULL), (3, E'tab\\t\"q\" \\\\.', -1, E'a\\nb'), (4, '', 0, ''), (5, E'\\\\.', 5, 'nil')";

/// Statements that both sides must answer alike, message by message.
const UNLOADS: &[&str] = &[
    "COPY t TO STDOUT",
    "COPY t (e, id) TO stdout;",
    "copy public.t (e) to STDOUT",
    "COPY t TO STDOUT CSV",
    "COPY t (e) TO STDOUT CSV",
    "COPY t TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE (e, p))",
    "COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE *)",
    "COPY t TO STDOUT CSV HEADER FORCE QUOTE e",
    "COPY t TO STDOUT (HEADER)",
    "COPY t TO STDOUT BINARY",
    "COPY BINARY t TO STDOUT",
    "COPY t (e) TO STDOUT WITH (FORMAT binary)",
    "COPY t TO STDOUT (DELIMITER ',', NULL 'nil')",
    "COPY t TO STDOUT (FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'nil')",
    "COPY (SELECT * FROM t ORDER BY id) TO STDOUT",
    "COPY (SELECT e, 'lit' AS l FROM t ORDER BY id) TO STDOUT CSV HEADER",
    "COPY (SELECT e AS \"E, x\", id + 1 FROM t ORDER BY id) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE (\"E, x\"))",
    "COPY (SELECT id, e FROM t WHERE e = 'a') TO STDOUT",
    "COPY (SELECT id FROM t WHERE e IN ('a', '') ORDER BY id) TO STDOUT",
    "COPY (SELECT COALESCE(e, 'none') FROM t ORDER BY id) TO STDOUT BINARY",
    "COPY (SELECT e FROM t WHERE e = 'nobody') TO STDOUT",
    "COPY (SELECT e FROM t WHERE e = 'nobody') TO STDOUT BINARY",
    "COPY (SELECT e FROM t WHERE e = 'nobody') TO STDOUT CSV HEADER",
    "COPY (SELECT x.e, y.n FROM t x JOIN t y ON x.id = y.id ORDER BY x.id) TO STDOUT",
    "COPY (WITH w AS (SELECT e FROM t WHERE id = 1) SELECT * FROM w) TO STDOUT",
    "COPY (SELECT e FROM t WHERE id = 1 UNION ALL SELECT e FROM t WHERE id = 4) TO STDOUT",
    "COPY ((SELECT e FROM t WHERE id = 1)) TO STDOUT",
    "COPY (VALUES (1, 'x')) TO STDOUT",
    "COPY (INSERT INTO t (id, e) VALUES (10, 'new') RETURNING e, id) TO STDOUT",
    "COPY (UPDATE t SET e = 'newer' WHERE id = 10 RETURNING *) TO STDOUT CSV",
    "COPY (DELETE FROM t WHERE e = 'newer' RETURNING id, e) TO STDOUT",
    "COPY (SELECT count(e) FROM t) TO STDOUT",
    // Errors.
    "COPY t (nothing) TO STDOUT",
    "COPY t (e, e) TO STDOUT",
    "COPY t TO STDOUT (FORMAT csv, FORCE_QUOTE (nothing))",
    "COPY t (id, e) TO STDOUT (FORMAT csv, FORCE_QUOTE (p))",
    "COPY (SELECT e FROM t) TO STDOUT (FORMAT csv, FORCE_QUOTE (p))",
    "COPY t TO STDOUT (FORMAT csv, FORCE_NULL (e))",
    "COPY t TO STDOUT (FORCE_QUOTE (e))",
    "COPY t TO STDOUT (FORMAT csv, HEADER match)",
    "COPY t TO STDOUT (DELIMITER 'x')",
    "COPY (SELECT e FROM t WHERE id = $1) TO STDOUT",
    "COPY (SELECT e FROM t) FROM STDIN",
    "COPY (DELETE FROM t WHERE e = 'a') TO STDOUT",
    "COPY (SELECT nothing FROM t) TO STDOUT",
    "COPY (SELECT e, 1 / (id - id) FROM t) TO STDOUT WITH CSV",
    "COPY v TO STDOUT",
    "COPY (SELECT * FROM v ORDER BY id) TO STDOUT",
    "COPY parent TO STDOUT",
];

#[test]
fn rows_and_errors_are_those_of_a_plain_table() {
    let more = "CREATE VIEW v AS SELECT id, e FROM t; CREATE TABLE parent (e seal.text_eq); CREATE TABLE child () INHERITS (parent);";
    let mut pair = Pair::new(&format!("{TABLE} {more}"));
    pair.same(ROWS);
    pair.same("INSERT INTO parent VALUES ('in the parent')");
    pair.same("INSERT INTO child VALUES ('in the child')");
    let first_error = |text: &str| text.lines().find(|l| l.starts_with('E')).map(str::to_owned);
    for sql in UNLOADS {
        let (expected, got) = (pair.plain.query(sql), pair.sealed.query(sql));
        if sql.contains("1 / ") {
            // PostgreSQL announces rows before it has one.
            assert_eq!(first_error(&got), first_error(&expected), "{sql}");
            continue;
        }
        assert_eq!(got, expected, "{sql}");
    }
}

#[test]
fn a_value_that_does_not_open_ends_it() {
    let mut pair = Pair::new(TABLE);
    pair.same(ROWS);
    pair.twin.direct.sql("UPDATE t SET e.c = '\\x00' WHERE id = 5");
    let answers = pair.sealed.ask(&query("COPY t TO STDOUT"));
    let text = transcript(&answers);
    assert!(text.ends_with("E ERROR XX001\nZ I"), "{text}");
    assert_eq!(answers.iter().filter(|m| m.tag == b'd').count(), 4, "{text}");
    assert_eq!(pair.sealed.rows("SELECT e FROM t WHERE id = 1"), ["a"]);
    pair.sealed.query("BEGIN");
    assert!(pair.sealed.query("COPY (SELECT e FROM t WHERE id = 5) TO STDOUT").ends_with("E ERROR XX001\nZ E"));
    assert_eq!(pair.sealed.query("ROLLBACK"), "C ROLLBACK\nZ I");
}

#[test]
fn roles_see_what_their_rule_says_and_the_audit_counts() {
    let rules = [
        ("CS_POLICY__ROLES__APP__TYPES", "int4_eq"),
        ("CS_POLICY__ROLES__APP__MASK", "last4"),
        ("CS_AUDIT__SINK", "file:access.jsonl"),
    ];
    let options = rules.iter().fold(ProxyOptions::default(), |options, (key, value)| options.with(key, value));
    let mut twin = Twin::start_with(Options::default(), &options);
    twin.create(TABLE);
    let mut raw = twin.raw_sealed();
    super::load(&mut raw, "COPY t FROM STDIN", &[b"1\t4111111111111234\t7\tx\n2\tshort\t8\ty\n3\t\\N\t\\N\tz\n"]);
    let data = super::unload(&mut raw, "COPY t TO STDOUT");
    assert_eq!(String::from_utf8(data).unwrap(), "1\t************1234\t7\tx\n2\t*****\t8\ty\n3\t\\N\t\\N\tz\n");
    drop(raw);
    twin.proxy.signal("TERM");
    twin.proxy.wait_exit();
    let log = std::fs::read_to_string(twin.workspace.dir().join("access.jsonl")).unwrap();
    let count = |name: &str| -> u64 {
        let records = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let copies = records.filter(|r| r["statement"].as_str().unwrap().starts_with("copy"));
        copies.flat_map(|r| r["types"].as_array().unwrap().clone()).map(|t| t[name].as_u64().unwrap()).sum()
    };
    assert_eq!((count("sealed"), count("opened"), count("masked")), (5, 4, 2), "{log}");
}

#[test]
fn a_role_that_may_not_read_is_refused_and_may_still_load() {
    let options = ProxyOptions::default().with("CS_POLICY__ROLES__APP__DECRYPT", "false");
    let twin = Twin::start_with(Options::default(), &options);
    twin.create(TABLE);
    let mut raw: Raw = twin.raw_sealed();
    let answers = super::load(&mut raw, "COPY t FROM STDIN", &[b"1\ta\t7\tx\n"]);
    assert!(transcript(&answers).contains("C COPY 1"), "{answers:?}");
    assert_eq!(raw.error("COPY t TO STDOUT").code, "42501");
    assert_eq!(raw.error("COPY (SELECT e FROM t) TO STDOUT").code, "42501");
    assert_eq!(super::unload(&mut raw, "COPY t (id, p) TO STDOUT"), b"1\tx\n");
}
