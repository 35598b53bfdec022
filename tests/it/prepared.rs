//! PREPARE, EXECUTE and DEALLOCATE by SQL of statements on encrypted columns: as on a plain table.

use crate::support::raw::{
    Raw, bind, close_statement, describe_portal, describe_statement, execute, parse, query, sync, transcript, unsynced,
};
use crate::support::{Pair, Twin};

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, i seal.int4_ord, n seal.numeric_eq, b seal.bool_eq, d seal.date_eq, p text);
    CREATE TABLE w (id int, x text);
    INSERT INTO w VALUES (1, 'plain');
    INSERT INTO t VALUES (1, 'a', 10, 1.5, true, '2024-01-01', 'x'), (2, 'b', 20, 2, false, '2024-06-01', 'y'), (3, NULL, NULL, NULL, NULL, NULL, NULL);";

fn twin() -> Twin {
    Twin::of(TABLES)
}

#[test]
fn statements_are_prepared_and_run() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    for script in [
        &[
            "PREPARE p AS SELECT id, e, i FROM t WHERE e = $1 ORDER BY id",
            "EXECUTE p('a')",
            "EXECUTE p('it''s')",
            "EXECUTE p(E'\\x61')",
            "EXECUTE p(NULL)",
            "EXECUTE p('b'::text)",
            "EXECUTE p('b'::varchar)",
            "EXECUTE p($$b$$)",
        ][..],
        &[
            "PREPARE q (text, int) AS SELECT e FROM t WHERE e = $1 OR i > $2 ORDER BY id",
            "EXECUTE q('b', 5)",
            "EXECUTE q(NULL, -5)",
            "EXECUTE q('a', '15')",
            "EXECUTE q('a', 99999999999)",
            "EXECUTE q('a', 'x')",
            "EXECUTE q('a')",
            "EXECUTE q",
            "EXECUTE q('a', 1, 2)",
        ],
        &[
            "PREPARE i (int, text, int4, numeric, bool, date) AS INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, $2 || '!') RETURNING *",
        ],
        &[
            "PREPARE i (int, text, int4, numeric, bool, date) AS INSERT INTO t VALUES ($1, $2, $3, $4, $5, $6, 'p') RETURNING *",
            "EXECUTE i(10, 'new', -7, 1.25, TRUE, '2020-02-02')",
            "EXECUTE i(11, 'new', 8, -3, false, DATE '2020-02-02')",
            "EXECUTE i(10, 'twice', 1, 1, true, NULL)",
            "SELECT * FROM t ORDER BY id",
        ],
        &[
            "PREPARE u AS UPDATE t SET e = $1, i = 77 WHERE e = 'new'",
            "EXECUTE u('newer')",
            "EXECUTE u('newer')",
            "PREPARE d AS DELETE FROM t WHERE i = $1",
            "EXECUTE d(77)",
            "EXECUTE d(77)",
            "SELECT count(*) FROM t",
        ],
        &["PREPARE n AS SELECT e FROM t WHERE e = 'a'", "EXECUTE n", "EXECUTE n()", "EXECUTE n(1)"],
        &[
            "PREPARE several AS SELECT e FROM t WHERE id = $1; EXECUTE several(1); EXECUTE several(2); SELECT e FROM t WHERE id = 1",
        ],
        &["PREPARE bad AS SELECT nothing FROM t", "EXECUTE bad"],
    ] {
        // Refusals are ours alone.
        let refused = |sql: &str| sql.contains("|| '!'");
        for sql in script {
            if refused(sql) {
                assert_eq!(pair.sealed.error(sql).code, "0A000", "{sql}");
            } else {
                pair.each(&[sql]);
            }
        }
    }
}

#[test]
fn names_live_as_in_postgresql() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    const P: &str = "PREPARE p AS SELECT e FROM t WHERE id = $1";
    for script in [
        &["EXECUTE p(1)", "DEALLOCATE p", P, P, "EXECUTE p(1)", "DEALLOCATE p", "EXECUTE p(1)"][..],
        &["BEGIN", P, "ROLLBACK", "EXECUTE p(1)", "DEALLOCATE PREPARE p", "DEALLOCATE p"],
        &[P, "BEGIN", "DEALLOCATE p", "ROLLBACK", "EXECUTE p(1)"],
        &[
            P,
            "DEALLOCATE ALL",
            "EXECUTE p(1)",
            P,
            "DISCARD ALL",
            "EXECUTE p(1)",
            P,
            "EXECUTE p(2)",
            "DEALLOCATE PREPARE ALL",
            "EXECUTE p(2)",
        ],
        &["BEGIN", "SELECT 1/0", P, "EXECUTE p(1)", "ROLLBACK", "EXECUTE p(1)"],
        &["BEGIN", P, "EXECUTE p('x')", "EXECUTE p(1)", "ROLLBACK", "EXECUTE p(1)", "DEALLOCATE p"],
        &[
            "PREPARE w AS SELECT x FROM w WHERE id = $1",
            "EXECUTE w(1)",
            P,
            "EXECUTE w(1)",
            "EXECUTE p(1)",
            "DEALLOCATE w",
            "DEALLOCATE p",
        ],
        &[
            P,
            "DEALLOCATE p; PREPARE p AS SELECT x FROM w WHERE id = $1",
            "EXECUTE p(1)",
            "DEALLOCATE p",
            P,
            "EXECUTE p(1)",
            "DEALLOCATE p",
        ],
        &[
            "PREPARE \"P \"\"q\" AS SELECT e FROM t WHERE id = 2",
            "EXECUTE \"P \"\"q\"",
            "EXECUTE p",
            "DEALLOCATE \"P \"\"q\"",
            "EXECUTE \"P \"\"q\"",
        ],
        &[
            "PREPARE w AS SELECT x FROM w",
            "BEGIN; EXECUTE w; COMMIT",
            "EXPLAIN (COSTS OFF) EXECUTE w",
            "CREATE TEMP TABLE c AS EXECUTE w",
            "TABLE c",
        ],
    ] {
        pair.each(script);
    }
    // Names of the protocol and of SQL are the same.
    pair.same(
        "by messages",
        &[parse("m", "SELECT e FROM t WHERE e = $1", &[]), sync(), query("EXECUTE m('b')")].concat(),
        2,
    );
    pair.each(&["PREPARE s AS SELECT e FROM t WHERE e = $1"]);
    pair.same(
        "run by messages",
        &[bind("", "s", &[Some("a")]), execute("", 0), sync(), parse("s", "SELECT 1", &[]), sync()].concat(),
        2,
    );
    pair.each(&["DEALLOCATE s"]);
    pair.same("gone for messages", &[bind("", "s", &[Some("a")]), execute("", 0), sync()].concat(), 1);
}

#[test]
fn tables_are_made_of_queries() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    for script in [
        &[
            "SELECT id, e, i INTO s FROM t WHERE id < 3",
            "SELECT * FROM s ORDER BY id",
            "SELECT id FROM s WHERE e = 'b'",
            "DROP TABLE s",
        ][..],
        &[
            "BEGIN",
            "SELECT * INTO TEMP s FROM t",
            "SELECT e FROM s ORDER BY id",
            "INSERT INTO s (id, e) VALUES (9, 'i')",
            "SELECT e FROM s WHERE e = 'i'",
            "ROLLBACK",
        ],
        &[
            "SELECT id, e, 'x' AS label INTO s2 FROM t WHERE e = 'mark-execute' OR i > 15",
            "TABLE s2",
            "DROP TABLE s2",
            "CREATE TABLE s3 AS SELECT id, COALESCE(e, 'mark-execute') AS e FROM t WHERE e IN ('a', 'mark-execute') OR e IS NULL",
            "SELECT * FROM s3 ORDER BY id",
            "SELECT id FROM s3 WHERE e = 'mark-execute'",
            "CREATE TABLE s3 AS SELECT e FROM t WHERE e = 'mark-execute'",
            "CREATE TABLE IF NOT EXISTS s3 AS SELECT e FROM t WHERE e = 'mark-execute'",
            "DROP TABLE s3",
            "SELECT e INTO t FROM t",
            "SELECT nothing INTO s FROM t",
            "SELECT x INTO s FROM w",
            "TABLE s",
            "DROP TABLE s",
        ],
        &[
            "CREATE MATERIALIZED VIEW m AS SELECT id, e FROM t",
            "SELECT id FROM m WHERE e = 'a'",
            "INSERT INTO t (id, e) VALUES (5, 'a')",
            "REFRESH MATERIALIZED VIEW m",
            "SELECT id, e FROM m ORDER BY id",
            "TRUNCATE t",
            "SELECT e FROM t",
            "REFRESH MATERIALIZED VIEW m",
            "TABLE m",
        ],
    ] {
        pair.each(script);
    }
    assert_eq!(
        pair.sealed.error("CREATE MATERIALIZED VIEW s AS SELECT e FROM t WHERE e = 'mark-execute'").code,
        "0A000"
    );
    assert!(!twin.relay.sent().windows(12).any(|w| w == b"mark-execute"));
}

#[test]
fn what_is_not_followed_is_refused_and_not_sent() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    raw.query("PREPARE p (text) AS SELECT id FROM t WHERE e = $1");
    raw.query("PREPARE i AS SELECT id FROM t WHERE i = $1");
    for sql in [
        "EXECUTE p(lower('MARK-Execute'))",
        "EXECUTE p('mark-execute' || '')",
        "EXECUTE p('mark-execute'::varchar(3))",
        "EXECUTE p(5)",
        "EXECUTE p(true)",
        "EXECUTE i(1.5)",
        "EXECUTE i('1'::numeric)",
        "EXPLAIN EXECUTE p(lower('mark-execute'))",
        "CREATE TEMP TABLE c AS EXECUTE p('mark-execute' || '')",
        "PREPARE x (seal.text_eq) AS SELECT id FROM t WHERE e = $1",
        "PREPARE x (text) AS SELECT id FROM t WHERE e = $1 || 'mark-execute'",
    ] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    for text in ["PREPARE x AS SELECT e FROM t", "EXECUTE p('mark-execute')"] {
        let answers = transcript(&raw.ask(&[parse("", text, &[]), bind("", "", &[]), execute("", 0), sync()].concat()));
        assert!(answers.starts_with("E ERROR 0A000"), "{text}: {answers}");
    }
    assert_eq!(raw.query("EXECUTE p('a')").lines().last(), Some("Z I"));
    assert!(!twin.relay.sent().windows(12).any(|w| w.eq_ignore_ascii_case(b"mark-execute")));
}

#[test]
fn a_prepared_statement_follows_the_schema() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    raw.query("PREPARE p AS SELECT e FROM t WHERE e = $1");
    raw.query("CREATE INDEX ON t (e)");
    assert_eq!(raw.rows("EXECUTE p('a')"), ["a"]);
    raw.query("ALTER TABLE t RENAME TO gone");
    assert_eq!(raw.error("EXECUTE p('a')").code, "42P01");
    raw.query("CREATE TABLE t (id int, e text)");
    raw.query("INSERT INTO t VALUES (1, 'a')");
    // The name of a pinned column that is plain now is an alarm.
    assert_eq!(raw.error("EXECUTE p('mark-schema')").code, "42P17");
    assert!(!twin.relay.sent().windows(11).any(|w| w == b"mark-schema"));
}

/// Statements that touch nothing encrypted: they go on after the schema or the search_path changed.
#[test]
fn a_plain_statement_goes_on_after_a_change() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    pair.each(&[
        "PREPARE q (int) AS SELECT x, $1 + 1 FROM w",
        "PREPARE r AS INSERT INTO w VALUES ($1, 'new') RETURNING id",
        "CREATE TABLE other (id int)",
        "EXECUTE q(1)",
        "EXECUTE r(7)",
        "EXPLAIN (COSTS OFF) EXECUTE q(1)",
        "CREATE TABLE kept AS EXECUTE q(2)",
        "TABLE kept",
        "SET search_path = pg_catalog, public",
        "EXECUTE q(3)",
        "PREPARE q AS SELECT 1",
        "EXECUTE q(4)",
        "DEALLOCATE q",
        "ALTER TABLE other ADD n int",
        "EXECUTE q(5)",
        "EXECUTE r(8)",
        "DEALLOCATE ALL; PREPARE q (int) AS SELECT $1",
        "EXECUTE q(6)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER f BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TRIGGER g BEFORE INSERT ON other FOR EACH ROW EXECUTE PROCEDURE f()",
    ]);
    pair.same("by messages", &[parse("m", "SELECT $1::text || x FROM w WHERE id = 1", &[]), sync()].concat(), 1);
    pair.each(&["CREATE TABLE third (id int)", "EXECUTE m('a')", "EXPLAIN (COSTS OFF) EXECUTE m('a')"]);
}

#[test]
fn a_statement_that_was_plain_is_not_run_once_it_touches() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    for sql in [
        "CREATE SCHEMA one; CREATE TABLE one.s (id int); CREATE TABLE one.w (x text)",
        "CREATE SCHEMA two; CREATE TABLE two.s (id int, x seal.text_eq); CREATE TABLE two.w (y int)",
        "SET search_path = one",
        "PREPARE q (text) AS SELECT id FROM s, w WHERE x = $1",
        "EXECUTE q('a')",
    ] {
        let answer = raw.query(sql);
        assert!(answer.ends_with("Z I") && !answer.contains("E ERROR"), "{sql}: {answer}");
    }
    raw.query("SET search_path = two");
    for sql in ["EXECUTE q('mark-path')", "EXPLAIN EXECUTE q('mark-path')", "CREATE TABLE c AS EXECUTE q('mark-path')"]
    {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    // The same name prepared again: PostgreSQL keeps the first.
    raw.query("PREPARE q (text) AS SELECT $1");
    assert_eq!(raw.error("EXECUTE q('mark-path')").code, "0A000");
    // Meant for something that was refused, or never was.
    for sql in ["EXECUTE nothing('mark-path')", "EXPLAIN EXECUTE nothing('mark-path')"] {
        assert_eq!(raw.error(sql).code, "26000", "{sql}");
    }
    raw.query("PREPARE y (bigint) AS SELECT $1");
    let inner = "EXECUTE y((SELECT count(*) FROM two.s WHERE x = 'mark-inner'))";
    assert_eq!(raw.error(inner).code, "0A000");
    for mark in [&b"mark-path"[..], b"mark-inner"] {
        assert!(!twin.relay.sent().windows(mark.len()).any(|w| w == mark), "{}", String::from_utf8_lossy(mark));
    }
}

const SEALED: &str = "SELECT e FROM t WHERE e = $1";
const PLAIN: &str = "SELECT x FROM w WHERE x = $1";

/// What makes or drops statement `p`, and what runs it.
fn makers() -> Vec<(&'static str, Vec<u8>)> {
    let by_messages = |sql| [parse("p", sql, &[]), sync()].concat();
    vec![
        ("PREPARE of plain columns", query(&format!("PREPARE p AS {PLAIN}"))),
        ("PREPARE of encrypted columns", query(&format!("PREPARE p AS {SEALED}"))),
        ("Parse of plain columns", by_messages(PLAIN)),
        ("Parse of encrypted columns", by_messages(SEALED)),
        ("DEALLOCATE", query("DEALLOCATE p")),
        ("Close", [close_statement("p"), sync()].concat()),
        ("a batch that fails before Close", [parse("", "SELEC", &[]), close_statement("p"), sync()].concat()),
    ]
}

fn runs() -> Vec<u8> {
    [query("EXECUTE p('a')"), bind("", "p", &[Some("a")]), execute("", 0), sync()].concat()
}

#[test]
fn names_of_sql_and_of_messages_are_one_in_every_order() {
    let twin = twin();
    twin.plain.sql("INSERT INTO w VALUES (2, 'a')");
    twin.sealed.sql("INSERT INTO w VALUES (2, 'a')");
    let mut pair = Pair::new(&twin);
    let makers = makers();
    for first in &makers {
        for second in &makers {
            for third in &makers {
                let what = format!("{}, {}, {}", first.0, second.0, third.0);
                pair.each(&["DEALLOCATE ALL"]);
                // Each is answered before the next is sent.
                for (name, bytes) in [first, second, third] {
                    pair.same(&format!("{what}: {name}"), bytes, 1);
                    pair.same(&format!("{what}: run after {name}"), &runs(), 2);
                }
                pair.each(&["DEALLOCATE ALL"]);
                // All are sent at once.
                let all = [&first.1, &runs(), &second.1, &runs(), &third.1, &runs()].map(Vec::as_slice).concat();
                pair.same(&format!("{what}, at once"), &all, 9);
            }
        }
    }
}

#[test]
fn names_change_within_one_batch() {
    let twin = twin();
    twin.plain.sql("INSERT INTO w VALUES (2, 'a')");
    twin.sealed.sql("INSERT INTO w VALUES (2, 'a')");
    let mut pair = Pair::new(&twin);
    let run = |sql: &str| [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat();
    let bound = [bind("", "p", &[Some("a")]), execute("", 0)].concat();
    let parsed = |sql: &str| parse("p", sql, &[]);
    let parts: Vec<(&str, Vec<u8>)> = vec![
        ("Parse plain", parsed(PLAIN)),
        ("Parse sealed", parsed(SEALED)),
        ("Close", close_statement("p")),
        ("DEALLOCATE", run("DEALLOCATE p")),
        ("PREPARE plain", run(&format!("PREPARE p AS {PLAIN}"))),
    ];
    for first in &parts {
        for second in &parts {
            for third in &parts {
                let all = [&first.1, &bound, &second.1, &bound, &third.1, &bound, &sync()].map(Vec::as_slice).concat();
                pair.each(&["DEALLOCATE ALL"]);
                let what = format!("{}, {}, {}", first.0, second.0, third.0);
                pair.same(&what, &all, 1);
                pair.same(&format!("{what}, afterwards"), &runs(), 2);
            }
        }
    }
}

#[test]
fn an_execute_that_was_parsed_before_runs_no_plan() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    let run = || [bind("", "x", &[]), execute("", 0), sync()].concat();
    for execute_text in ["EXECUTE p('mark-plain')", "EXPLAIN EXECUTE p('mark-plain')"] {
        raw.query("DEALLOCATE ALL");
        raw.query(&format!("PREPARE p AS {PLAIN}"));
        raw.ask(&[parse("x", execute_text, &[]), sync()].concat());
        let answers = transcript(&raw.ask(&run()));
        assert!(!answers.contains("E ERROR"), "plain: {answers}");
        // Bound while it is plain, run once it is not.
        raw.query("BEGIN");
        raw.ask(&[bind("portal", "x", &[]), sync()].concat());
        raw.query("DEALLOCATE p");
        raw.query(&format!("PREPARE p AS {SEALED}"));
        let answers = transcript(&raw.ask(&[execute("portal", 0), sync()].concat()));
        assert!(answers.starts_with("E ERROR 0A000"), "{execute_text}: {answers}");
        raw.query("ROLLBACK");
        let answers = transcript(&raw.ask(&run()));
        assert!(answers.starts_with("E ERROR 0A000"), "{execute_text}: {answers}");
        // The same without waiting for any answer.
        raw.query("DEALLOCATE p");
        raw.query(&format!("PREPARE p AS {PLAIN}"));
        let all = [query("DEALLOCATE p"), query(&format!("PREPARE p AS {SEALED}")), run()];
        raw.send(&all.concat());
        let answers: Vec<String> = (0..3).map(|_| transcript(&raw.until_ready())).collect();
        assert!(answers[2].starts_with("E ERROR 0A000"), "{execute_text}: {answers:?}");
        assert_eq!(raw.query("EXECUTE p('a')").lines().nth(1), Some("D a"));
    }
}

#[test]
fn statements_prepared_while_columns_were_plain_are_judged_again() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE was (id int, e text)");
    let mut raw = twin.raw_sealed();
    let inserting = parse("m", "INSERT INTO was VALUES (1, $1)", &[]);
    raw.ask(&[inserting, parse("n", "SELECT id FROM w WHERE x = $1", &[]), sync()].concat());
    raw.query("PREPARE s (text) AS INSERT INTO was VALUES (1, $1)");
    raw.query("PREPARE r AS SELECT id FROM w WHERE x = $1");
    let bound = |name: &str, value: &str| [bind("", name, &[Some(value)]), execute("", 0), sync()].concat();
    twin.sealed.sql("ALTER TABLE was DROP COLUMN e; ALTER TABLE was ADD COLUMN e seal.text_eq");
    for name in ["m", "s"] {
        assert_eq!(raw.error(&format!("EXECUTE {name}('mark-again')")).code, "0A000", "{name}");
    }
    let answers = transcript(&raw.ask(&bound("s", "mark-again")));
    assert!(answers.starts_with("E ERROR 0A000"), "{answers}");
    // Those that are plain still go on, by SQL and by message.
    for name in ["n", "r"] {
        assert_eq!(raw.rows(&format!("EXECUTE {name}('plain')")), ["1"], "{name}");
        assert!(transcript(&raw.ask(&bound(name, "plain"))).contains("D 1"), "{name}");
    }
    twin.sealed.sql("CREATE SCHEMA other; CREATE TABLE other.w (id int, x seal.text_eq)");
    raw.query("SET search_path = other, public");
    for name in ["n", "r"] {
        assert_eq!(raw.error(&format!("EXECUTE {name}('mark-again')")).code, "0A000", "{name}");
    }
    assert!(transcript(&raw.ask(&bound("r", "mark-again"))).starts_with("E ERROR"), "it means an encrypted column now");
    assert!(!twin.relay.sent().windows(10).any(|w| w == b"mark-again"));
}

#[test]
fn what_an_execute_would_do_is_explained_and_kept() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    for statement in [
        "PREPARE p AS SELECT id, e FROM t WHERE e = $1 OR i > $2 ORDER BY id",
        "PREPARE q AS /* as */ SELECT e FROM t WHERE e = 'mark-execute' -- end",
        "PREPARE w AS INSERT INTO t (id, e) VALUES ($1, $2) RETURNING e",
    ] {
        pair.each(&[statement]);
    }
    pair.same("by message", &[parse("m", "SELECT id FROM t WHERE e = $1", &[25]), sync()].concat(), 1);
    for script in [
        &[
            "CREATE TABLE c1 AS EXECUTE p('a', 15)",
            "SELECT * FROM c1 ORDER BY id",
            "SELECT id FROM c1 WHERE e = 'b'",
            "DROP TABLE c1",
        ][..],
        &["CREATE TEMP TABLE c2 (a, b) AS EXECUTE p('mark-execute', '15') WITH DATA", "TABLE c2", "DROP TABLE c2"],
        &["CREATE TABLE c4 AS EXECUTE q", "TABLE c4", "CREATE TABLE c4 AS EXECUTE q", "DROP TABLE c4"],
        &["CREATE TABLE c5 AS EXECUTE m('a')", "TABLE c5", "DROP TABLE c5"],
        &["CREATE TABLE public.as AS EXECUTE p('mark-execute', 15)", "SELECT * FROM public.as ORDER BY id"],
        &[
            "CREATE TABLE IF NOT EXISTS public . as (as_, \"as\") AS EXECUTE p('mark-execute', 15)",
            "DROP TABLE public.as",
        ],
        &[
            "CREATE TABLE \"as\" AS EXECUTE p('mark-execute', 15)",
            "SELECT * FROM \"as\" ORDER BY id",
            "DROP TABLE \"as\"",
        ],
        &[
            "CREATE TABLE c6 AS EXECUTE p('a')",
            "CREATE TABLE c6 AS EXECUTE p('a', 'x')",
            "EXPLAIN EXECUTE p('a', 1, 2)",
        ],
    ] {
        pair.each(script);
    }
    let sealed = &mut pair.sealed;
    sealed.rows("CREATE TABLE c3 AS EXECUTE p('a', 5) WITH NO DATA");
    assert!(sealed.rows("TABLE c3").is_empty());
    for (explain, marks) in [
        ("EXPLAIN EXECUTE p('mark-execute', 4)", "Scan"),
        ("EXPLAIN (VERBOSE, COSTS OFF) EXECUTE q", "Output"),
        ("EXPLAIN (ANALYZE, COSTS OFF, FORMAT json) EXECUTE p('mark-execute', 1)", "\"Plan\""),
        ("EXPLAIN (FORMAT yaml) EXECUTE m('mark-execute')", "Plan:"),
        ("EXPLAIN (FORMAT xml) EXECUTE w(90, 'mark-execute')", "<explain"),
        ("EXPLAIN CREATE TABLE c AS EXECUTE p('mark-execute', 1)", "Scan"),
        ("EXPLAIN CREATE TABLE public.as AS EXECUTE p('mark-execute', 1)", "Scan"),
        ("EXPLAIN CREATE TABLE c AS SELECT e FROM t WHERE e = 'mark-execute'", "Scan"),
        ("EXPLAIN DECLARE c CURSOR FOR SELECT e FROM t WHERE e = 'mark-execute'", "Scan"),
        ("EXPLAIN (ANALYZE, FORMAT json) UPDATE t SET e = 'mark-execute' WHERE e = 'b'", "\"Plan\""),
        ("EXPLAIN (FORMAT yaml, VERBOSE) DELETE FROM t WHERE e IN ('mark-execute', 'b') RETURNING e", "Plan:"),
        (
            "EXPLAIN (FORMAT xml) MERGE INTO t USING (VALUES ('mark-execute')) v (e) ON t.e = v.e WHEN MATCHED THEN DELETE",
            "<explain",
        ),
        ("EXPLAIN (ANALYZE, VERBOSE) INSERT INTO t (id, e) VALUES (91, 'mark-execute')", "Insert"),
    ] {
        let rows = sealed.rows(explain).join("\n");
        // A value of several lines is shown in hex.
        let has = |text: &str| rows.contains(text) || rows.contains(&hex::encode(text));
        assert!(has(marks), "{explain}: {rows}");
        assert!(!has("mark-execute"), "{explain} shows a value: {rows}");
    }
    // ANALYZE runs it.
    sealed.rows("EXPLAIN ANALYZE EXECUTE w(92, 'mark-execute')");
    assert_eq!(sealed.rows("SELECT id FROM t WHERE e = 'mark-execute' ORDER BY id"), ["2", "91", "92"]);
    assert!(!twin.relay.sent().windows(12).any(|w| w == b"mark-execute"));
}

/// Sends what ends with `ready` ReadyForQuery messages.
fn answers(raw: &mut Raw, bytes: &[u8], ready: usize) -> String {
    raw.send(bytes);
    (0..ready).map(|_| transcript(&raw.until_ready())).collect::<Vec<_>>().join("\n")
}

/// Parse, Describe, Bind, and Execute of `rows` at a time.
fn in_messages(sql: &str, rows: u32) -> Vec<u8> {
    [
        [parse("x", sql, &[]), describe_statement("x"), sync()].concat(),
        [bind("", "x", &[]), describe_portal(""), execute("", rows), execute("", 0), sync()].concat(),
        [close_statement("x"), sync()].concat(),
    ]
    .concat()
}

#[test]
fn an_execute_within_another_statement_comes_by_messages_too() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    pair.each(&[
        "PREPARE p (text, int) AS SELECT id, e FROM t WHERE e = $1 OR i > $2 ORDER BY id",
        "PREPARE w AS INSERT INTO t (id, e) VALUES ($1, $2) RETURNING e",
    ]);
    pair.same("prepared by message", &[parse("m", "SELECT id, e FROM t WHERE e = $1", &[25]), sync()].concat(), 1);
    for sql in [
        "CREATE TABLE c AS EXECUTE p('mark-within', 15)",
        "CREATE TABLE IF NOT EXISTS c AS EXECUTE p(NULL, NULL)",
        "CREATE TABLE d AS EXECUTE m('a');",
    ] {
        let once = [parse("", sql, &[]), describe_statement(""), bind("", "", &[]), execute("", 0), sync()].concat();
        pair.same(sql, &once, 1);
    }
    pair.each(&["SELECT * FROM c ORDER BY id", "SELECT id FROM d WHERE e = 'a'"]);
    for (sql, marks) in [
        ("EXPLAIN EXECUTE p('mark-within', 4)", "Scan"),
        ("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE p(NULL, NULL)", "\"Plan\""),
        ("EXPLAIN (FORMAT yaml) EXECUTE m('mark-within');", "Plan:"),
        ("EXPLAIN VERBOSE EXECUTE m(NULL)", "Output: id, e\n"),
        ("EXPLAIN ANALYZE VERBOSE EXECUTE m(NULL)", "Output: id, (e).c"),
        ("EXPLAIN (FORMAT xml) EXECUTE w(90, 'mark-within')", "<explain"),
        ("EXPLAIN CREATE TABLE e AS EXECUTE p('mark-within', 1)", "Scan"),
        ("EXPLAIN ANALYZE EXECUTE w(91, 'mark-within')", "Insert"),
    ] {
        let bytes = in_messages(sql, 0);
        let (plain, sealed) = (answers(&mut pair.plain, &bytes, 3), answers(&mut pair.sealed, &bytes, 3));
        let has = |text: &str| sealed.contains(text) || sealed.contains(&hex::encode(text));
        assert!(has(marks) && !has("mark-within"), "{sql}: {sealed}");
        // Plans are of other lines.
        let told = |all: &str| all.lines().filter(|l| !l.starts_with("D ")).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(told(&sealed), told(&plain), "{sql}");
    }
    pair.each(&["SELECT id FROM t WHERE e = 'mark-within'"]);
    // Row by row.
    let by_row = answers(&mut pair.sealed, &in_messages("EXPLAIN ANALYZE EXECUTE m('mark-within')", 1), 3);
    assert!(by_row.contains("\ns \n") && by_row.contains("Execution Time"), "{by_row}");
    // By PostgreSQL, and so by the proxy.
    for (sql, code) in [
        ("EXPLAIN EXECUTE m", "42601"),
        ("EXPLAIN EXECUTE m('a', 'mark-within')", "42601"),
        ("EXPLAIN EXECUTE p('a', 'mark-within')", "22P02"),
        ("EXPLAIN EXECUTE nothing('mark-within')", "26000"),
        ("EXPLAIN ANALYZE EXECUTE w(91, 'mark-within')", "23505"),
        ("CREATE TABLE c AS EXECUTE m('mark-within')", "42P07"),
    ] {
        for side in [&mut pair.plain, &mut pair.sealed] {
            let failed = answers(side, &[unsynced(sql, &[]), sync()].concat(), 1);
            assert!(failed.contains(&format!("E ERROR {code}")) && failed.ends_with("Z I"), "{sql}: {failed}");
        }
    }
    // By the proxy.
    let sealed = &mut pair.sealed;
    for sql in ["EXPLAIN EXECUTE m(lower('mark-within'))", "EXECUTE m('mark-within')", "EXPLAIN EXECUTE m(7)"] {
        let failed = answers(sealed, &[unsynced(sql, &[]), sync()].concat(), 1);
        assert!(failed.starts_with("E ERROR 0A000") && failed.ends_with("Z I"), "{sql}: {failed}");
    }
    let failed = answers(sealed, &[unsynced("EXPLAIN EXECUTE m('a')", &[Some("mark-within")]), sync()].concat(), 1);
    assert!(failed.contains("E ERROR 08P01"), "{failed}");
    let declared = [parse("", "EXPLAIN EXECUTE m('mark-within')", &[25]), sync()].concat();
    assert!(answers(sealed, &declared, 1).starts_with("E ERROR 0A000"), "no parameter of its own");
    // What runs another by its name is not run by its name.
    answers(sealed, &[parse("x", "EXPLAIN EXECUTE m('mark-within')", &[]), sync()].concat(), 1);
    for sql in ["EXECUTE x", "EXPLAIN EXECUTE x", "CREATE TABLE e AS EXECUTE x"] {
        assert_eq!(sealed.error(sql).code, "0A000", "{sql}");
    }
    assert!(!twin.relay.sent().windows(11).any(|w| w == b"mark-within"));
}

#[test]
fn what_a_name_stands_for_is_looked_up_when_it_is_run() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    let run = [bind("", "x", &[]), execute("", 0), sync()].concat();
    let explain = [parse("x", "EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p('a')", &[]), sync()].concat();
    raw.query("PREPARE p AS SELECT e FROM t WHERE e = $1");
    let first = answers(&mut raw, &[explain, run.clone()].concat(), 2);
    assert!(first.contains("Output: e") && first.ends_with("C EXPLAIN\nZ I"), "{first}");
    raw.query("DEALLOCATE p");
    assert_eq!(answers(&mut raw, &run, 1), "E ERROR 26000\nZ I");
    raw.query("PREPARE p AS SELECT id, e FROM t WHERE e = $1");
    let second = answers(&mut raw, &run, 1);
    assert!(second.contains("Output: id, e") && second.ends_with("C EXPLAIN\nZ I"), "{second}");
    // Another schema.
    raw.query("CREATE SCHEMA other");
    raw.query("CREATE TABLE other.t (e seal.text_eq, id int)");
    raw.query("SET search_path = other");
    let third = answers(&mut raw, &run, 1);
    assert!(third.contains("other.t"), "{third}");
    raw.query("RESET search_path");
    // Between Bind and Execute.
    let closed = [bind("", "x", &[]), close_statement("p"), execute("", 0), sync()].concat();
    let gone = answers(&mut raw, &closed, 1);
    assert_eq!(gone, "2 \n3 \nE ERROR 26000\nZ I");
    let another =
        [parse("p", SEALED, &[]), bind("", "x", &[]), close_statement("p"), parse("p", SEALED, &[]), execute("", 0)];
    let changed = answers(&mut raw, &[another.concat(), sync()].concat(), 1);
    assert!(changed.ends_with("1 \nE ERROR 0A000\nZ I"), "{changed}");
    // A plain one has its name now.
    raw.query("DEALLOCATE ALL");
    let both = [
        parse("p", SEALED, &[]),
        parse("x", "EXPLAIN (VERBOSE, COSTS OFF) EXECUTE p('mark-name')", &[]),
        close_statement("p"),
        parse("p", "SELECT x FROM w WHERE id = $1::text::int", &[]),
        sync(),
    ];
    answers(&mut raw, &both.concat(), 1);
    let plain = answers(&mut raw, &run, 1);
    assert!(plain.contains("E ERROR 0A000"), "{plain}");
    assert_eq!(raw.query("SELECT 1").lines().last(), Some("Z I"));
    let sent = String::from_utf8_lossy(&twin.relay.sent()).into_owned();
    assert!(sent.contains("EXPLAIN (VERBOSE, COSTS OFF)") && !sent.contains("mark-name"));
}

/// As sqlx asks for its macros, which know what may be NULL by the joins of the plan.
#[test]
fn a_generic_plan_is_explained_where_plans_are_generic() {
    let twin = twin();
    twin.create("CREATE TABLE o (id int PRIMARY KEY, tid int NOT NULL, k seal.text_eq NOT NULL, n int NOT NULL)");
    let mut pair = Pair::new(&twin);
    let outputs = |rows: &str| -> Vec<String> {
        let line = |l: &str| l.strip_prefix("D ").map(str::trim).filter(|l| l.starts_with("Output")).map(str::to_owned);
        rows.lines().filter_map(line).collect()
    };
    pair.each(&["SET enable_hashjoin = off", "SET enable_mergejoin = off"]);
    for (sql, arguments) in [
        ("SELECT t.id, o.k, o.n FROM t LEFT JOIN o ON o.tid = t.id WHERE t.e = $1", "NULL"),
        ("SELECT t.*, o.* FROM t LEFT JOIN o ON o.tid = t.id WHERE t.e = ANY($1) OR t.i > $2", "NULL, NULL"),
        ("SELECT t.e, o.k FROM t LEFT JOIN o ON o.k = t.e WHERE t.id = 1 AND $1::text IS NULL", "NULL"),
        ("SELECT t.e, o.k FROM t FULL JOIN o ON o.tid = t.id", ""),
    ] {
        for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
            pair.each(&[&format!("SET plan_cache_mode = {mode}")]);
            pair.same(sql, &[parse("p", sql, &[]), sync()].concat(), 1);
            let execute_text = match arguments {
                "" => "EXECUTE p".to_owned(),
                arguments => format!("EXECUTE p({arguments})"),
            };
            let explain = format!("EXPLAIN (VERBOSE, COSTS OFF) {execute_text}");
            let bytes = in_messages(&explain, 0);
            for (bytes, ready) in [(bytes.clone(), 3), (bytes, 3), (query(&explain), 1)] {
                let (plain, sealed) =
                    (answers(&mut pair.plain, &bytes, ready), answers(&mut pair.sealed, &bytes, ready));
                assert!(!sealed.contains("E ERROR"), "{sql}, {mode}: {sealed}");
                let (plain, sealed) = (outputs(&plain), outputs(&sealed));
                assert_eq!(sealed, plain, "{sql}, {mode}");
            }
            pair.same("again", &[close_statement("p"), sync()].concat(), 1);
        }
    }
    // By hand, with values: as before.
    pair.sealed.query("SET plan_cache_mode = force_generic_plan");
    pair.sealed.query("PREPARE q AS SELECT id FROM t WHERE e = $1");
    let rows = pair.sealed.rows("EXPLAIN (ANALYZE, VERBOSE, COSTS OFF) EXECUTE q('mark-generic')").join("\n");
    assert!(rows.contains("actual"), "{rows}");
    // Nothing is left of it.
    let left = pair.sealed.rows("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '\\_columnseal%'");
    assert_eq!(left, ["0"]);
    assert!(!twin.relay.sent().windows(12).any(|w| w == b"mark-generic"));
}

/// A `bpchar` is compared as text with what is declared text: blanks at the operand's end count.
#[test]
fn blanks_count_where_an_operand_is_text() {
    let twin = Twin::start();
    twin.create("CREATE TABLE k (id int, e seal.bpchar_eq, o seal.bpchar_ord); INSERT INTO k VALUES (1, 'x', 'x'), (2, 'x  ', 'x  ')");
    let mut pair = Pair::new(&twin);
    for condition in ["e = $1", "o = $1", "o < $1", "o >= $1", "e IN ($1, $1)", "$1 <> e"] {
        let sql = format!("SELECT count(*) FROM k WHERE {condition}");
        for declared in [0, 25, 1043, 1042] {
            for value in ["x", "x ", "x    "] {
                let what = format!("{condition} with {value:?} declared {declared}");
                let asked =
                    [parse("", &sql, &[declared]), bind("", "", &[Some(value)]), execute("", 0), sync()].concat();
                pair.same(&what, &asked, 1);
            }
        }
    }
    pair.each(&[
        "SELECT count(*) FROM k WHERE e = 'x  '",
        "PREPARE q (text) AS SELECT count(*) FROM k WHERE e = $1",
        "EXECUTE q('x')",
        "EXECUTE q('x ')",
    ]);
}
