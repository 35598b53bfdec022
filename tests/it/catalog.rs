//! What a statement means when the schema, the search_path or the transaction around it changes: never a plaintext sent
//! on an old judgement, never a value written where it does not belong.

use crate::support::raw::{self, Raw, bind, execute, parse, query, sync, transcript};
use crate::support::{Options, ProxyOptions, Twin, eventually};

fn twin() -> Twin {
    Twin::start_with(Options::logged(), &ProxyOptions::default())
}

/// Runs a prepared statement.
fn run_prepared(raw: &mut Raw, name: &str, values: &[Option<&str>]) -> String {
    transcript(&raw.ask(&[bind("", name, values), execute("", 0), sync()].concat()))
}

#[track_caller]
fn prepare(raw: &mut Raw, name: &str, sql: &str) {
    assert_eq!(transcript(&raw.ask(&[parse(name, sql, &[]), sync()].concat())), "1 \nZ I");
}

/// No marker was sent to the server or logged by it.
#[track_caller]
fn nothing_leaked(twin: &Twin, markers: &[&str]) {
    not_sent(twin, markers);
    let log = twin.cluster.log();
    for marker in markers {
        assert!(!log.contains(marker), "{marker} is in the server's log");
    }
}

/// No marker was sent to the server by the proxy; the plain twin's log may hold it.
#[track_caller]
fn not_sent(twin: &Twin, markers: &[&str]) {
    let sent = twin.relay.sent();
    for marker in markers {
        assert!(!sent.windows(marker.len()).any(|w| w == marker.as_bytes()), "{marker} was sent");
    }
}

#[test]
fn a_prepared_statement_follows_a_column_that_becomes_encrypted() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE st (id int, v text)");
    let mut raw = twin.raw_sealed();
    prepare(&mut raw, "insert", "INSERT INTO st VALUES (1, $1)");
    prepare(&mut raw, "select", "SELECT id FROM st WHERE v = $1");
    assert_eq!(run_prepared(&mut raw, "insert", &[Some("plain")]), "2 \nC INSERT 0 1\nZ I");
    let mut other = twin.raw_sealed();
    other.query("ALTER TABLE st RENAME v TO old");
    other.query("ALTER TABLE st ADD v seal.text_eq");
    // What the client knows of the result may be wrong now: it is told to prepare again, as PostgreSQL would tell it.
    assert_eq!(run_prepared(&mut raw, "select", &[Some("mark-one")]), "E ERROR 0A000\nZ I");
    run_prepared(&mut raw, "insert", &[Some("for the old column, which is plain")]);
    raw.query("INSERT INTO st (id, v) VALUES (3, 'mark-three')");
    prepare(&mut raw, "again", "SELECT id FROM st WHERE v = $1");
    assert_eq!(run_prepared(&mut raw, "again", &[Some("mark-three")]), "2 \nD 3\nC SELECT 1\nZ I");
    nothing_leaked(&twin, &["mark-one", "mark-three"]);
}

#[test]
fn a_prepared_statement_follows_a_table_that_is_swapped() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE st (id int, v text); CREATE TABLE next (id int, v seal.text_eq)");
    let mut raw = twin.raw_sealed();
    prepare(&mut raw, "insert", "INSERT INTO st VALUES ($1, $2)");
    run_prepared(&mut raw, "insert", &[Some("1"), Some("plain")]);
    twin.raw_sealed().query("BEGIN; ALTER TABLE st RENAME TO before; CREATE TABLE st (id int, v seal.text_eq); COMMIT");
    assert_eq!(run_prepared(&mut raw, "insert", &[Some("2"), Some("mark-swap")]), "2 \nC INSERT 0 1\nZ I");
    let batch = [
        parse("", "INSERT INTO st VALUES ($1, $2)", &[]),
        bind("", "", &[Some("3"), Some("mark-batch")]),
        execute("", 0),
        sync(),
    ];
    raw.ask(&batch.concat());
    assert_eq!(raw.rows("SELECT id, v FROM st ORDER BY id"), ["2|mark-swap", "3|mark-batch"]);
    nothing_leaked(&twin, &["mark-swap", "mark-batch"]);
}

#[test]
fn a_prepared_statement_follows_the_search_path() {
    let twin = twin();
    let tables =
        "CREATE SCHEMA s2; CREATE TABLE dd (id int, e seal.text_eq); CREATE TABLE s2.dd (id int, e seal.varchar_eq);
        CREATE TABLE au (id int, e text); CREATE TABLE s2.au2 (id int, e text)";
    twin.sealed.sql(tables);
    twin.sealed.sql("INSERT INTO dd VALUES (1, 'keep'); INSERT INTO s2.dd VALUES (1, 'keep'), (2, 'keep')");
    let mut raw = twin.raw_sealed();
    prepare(&mut raw, "d", "DELETE FROM dd WHERE e <> $1");
    assert_eq!(run_prepared(&mut raw, "d", &[Some("keep")]), "2 \nC DELETE 0\nZ I");
    raw.query("SET search_path = s2");
    assert_eq!(run_prepared(&mut raw, "d", &[Some("keep")]), "2 \nC DELETE 0\nZ I");
    // In one batch with the change.
    raw.query("SET search_path = public");
    let batch = [
        parse("", "SET search_path = s2", &[]),
        bind("", "", &[]),
        execute("", 0),
        bind("", "d", &[Some("keep")]),
        execute("", 0),
        sync(),
    ];
    let shown = transcript(&raw.ask(&batch.concat()));
    assert!(shown.contains("C SET\n2 \nC DELETE 0"), "{shown}");
    assert_eq!(twin.stored("SELECT (SELECT count(*) FROM dd), (SELECT count(*) FROM s2.dd)"), "1|2\n");
}

#[test]
fn temporary_tables_are_judged_as_their_session_sees_them() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE pl (id int, e text); CREATE TABLE en (id int, e seal.text_eq)");
    let mut raw = twin.raw_sealed();
    raw.rows("SELECT id FROM en WHERE e = 'x'");
    raw.query("CREATE TEMP TABLE pl (id int, e seal.text_eq)");
    assert_eq!(raw.query("INSERT INTO pl VALUES (1, 'mark-temp')"), "C INSERT 0 1\nZ I");
    assert_eq!(raw.rows("SELECT e FROM pl WHERE e = 'mark-temp'"), ["mark-temp"]);
    raw.query("DROP TABLE pg_temp.pl");
    raw.query("INSERT INTO pl VALUES (1, 'now plain')");
    assert_eq!(twin.stored("SELECT e FROM pl"), "now plain\n");
    // The other way round the pin speaks: what looks like the encrypted table is plain.
    raw.query("CREATE TEMP TABLE en (id int, e text)");
    assert_eq!(raw.error("INSERT INTO en VALUES (1, 'mark-shadow')").code, "42P17");
    nothing_leaked(&twin, &["mark-temp", "mark-shadow"]);
}

#[test]
fn others_see_a_change_once_it_is_committed() {
    let twin = twin();
    let (mut one, mut two) = (twin.raw_sealed(), twin.raw_sealed());
    one.query("BEGIN; SELECT 1/0");
    two.query("CREATE TABLE nn (id int, e seal.text_eq)");
    let answers = one.ask(&query("ROLLBACK"));
    assert_eq!(transcript(&answers), "C ROLLBACK\nZ I");
    one.query("BEGIN; SELECT 1/0");
    two.query("CREATE TABLE mm (id int, e seal.text_eq)");
    one.send(&[query("ROLLBACK"), query("INSERT INTO mm VALUES (1, 'mark-failed')")].concat());
    one.until_ready();
    assert_eq!(transcript(&one.until_ready()), "C INSERT 0 1\nZ I");
    // Prepared before and run after, within one transaction.
    one.query("BEGIN");
    one.ask(&[parse("", "CREATE TABLE late (id int, e seal.text_eq)", &[]), bind("ddl", "", &[]), sync()].concat());
    one.query("SELECT id, e FROM mm");
    let shown = transcript(&one.ask(&[execute("ddl", 0), sync()].concat()));
    assert_eq!(shown, "C CREATE TABLE\nZ T");
    assert_eq!(one.query("INSERT INTO late VALUES (1, 'mark-late')"), "C INSERT 0 1\nZ T");
    one.query("ROLLBACK");
    nothing_leaked(&twin, &["mark-failed", "mark-late"]);
}

#[test]
fn a_transaction_that_cannot_see_a_change_is_told_to_try_again() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE en (id int, e seal.text_eq); CREATE TABLE pl (id int, e text)");
    let (mut one, mut two) = (twin.raw_sealed(), twin.raw_sealed());
    one.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    one.rows("SELECT id FROM en WHERE e = 'x'");
    two.query("ALTER TABLE pl ADD f seal.text_eq");
    // Somebody who can see it reads the catalog; then it may be judged.
    let before = one.query("SELECT id FROM en WHERE e = 'mark-frozen'");
    assert!(before.contains("E ERROR 40001") || before.starts_with("T id"), "{before}");
    one.query("ROLLBACK");
    assert_eq!(one.rows("SELECT count(*) FROM pl WHERE f = 'mark-frozen'"), ["0"]);
    nothing_leaked(&twin, &["mark-frozen"]);
}

#[test]
fn ddl_past_the_proxy_is_noticed() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.text_eq)");
    let mut raw = twin.raw_sealed();
    raw.rows("SELECT e FROM t");
    twin.direct.sql("ALTER TABLE t ADD f seal.int4_eq");
    crate::support::eventually("the new column is known", || {
        let answers = raw.ask(&query("INSERT INTO t (id, f) VALUES (1, 7)"));
        transcript(&answers).starts_with("C INSERT").then_some(())
    });
    assert_eq!(raw.rows("SELECT f FROM t WHERE f = 7")[0], "7");
    // A column that turned plain, was dropped, or a table that is gone: nothing is sent for it.
    twin.direct.sql("ALTER TABLE t DROP e; ALTER TABLE t ADD e text");
    crate::support::eventually("the alarm", || {
        let answers = raw.ask(&query("SELECT id FROM t WHERE id = 1"));
        answers.iter().find_map(raw::Message::error).filter(|e| e.code == "42P17")
    });
    let error = raw.error("INSERT INTO t (id, e) VALUES (2, 'mark-pin')");
    assert!(error.code == "42P17" && error.hint.unwrap().contains("type unpin"));
    let (_, metrics) = twin.proxy.http("/metrics").expect("metrics");
    assert!(metrics.contains("columnseal_pin_alarms 1"), "{metrics}");
    assert!(twin.proxy.log().contains("a pinned column is not as it was"));
    crate::support::eventually("the audit trail has it", || {
        let trail = twin.workspace.columnseal(&["audit", "tail", "-n", "1000"]).ok();
        let line = trail.lines().find(|line| line.contains("pin.alarm"))?.to_owned();
        (line.contains("column public.t.e of database \"sealed\"") && line.contains("pin_")).then_some(())
    });
    let (object, url) = ("column public.t.e", twin.direct.url.as_str());
    let refused = twin.workspace.columnseal(&["type", "confirm", object, "--name", "sealed", "--database", url]);
    assert!(refused.code != 0 && refused.err.contains("is plain"), "{} {}", refused.out, refused.err);
    // An admin confirms, and it counts at once.
    twin.workspace.columnseal(&["type", "unpin", "column public.t.e", "--name", "sealed"]).ok();
    crate::support::eventually("the pin is forgotten", || {
        raw.query("SELECT id FROM t WHERE id = 1").starts_with('T').then_some(())
    });
    twin.direct.sql("ALTER TABLE t RENAME TO gone");
    crate::support::eventually("it is gone", || {
        let answers = raw.ask(&query("SELECT id FROM t WHERE id = 1"));
        answers.iter().find_map(raw::Message::error).filter(|e| e.code == "42P01")
    });
    crate::support::eventually("it is known to be gone", || {
        twin.relay.clear();
        let code = raw.error("SELECT id FROM t WHERE f = 987654321").code;
        let sent = twin.relay.sent();
        (code == "42P01" && !sent.windows(9).any(|w| w == b"987654321")).then_some(())
    });
    nothing_leaked(&twin, &["mark-pin"]);
}

#[test]
fn migrations_can_be_run_again_from_the_first() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    let first = "CREATE TABLE t (id int, e seal.text_eq, plain text); CREATE INDEX ON t (e, plain)";
    let second = "ALTER TABLE t ADD code varchar(10), ADD later seal.text_ord; CREATE INDEX ON t (later)";
    for round in 0..2 {
        for migration in [first, second] {
            let answer = raw.query(migration);
            assert!(answer.ends_with("C CREATE INDEX\nZ I"), "{round}: {answer}");
        }
        assert_eq!(raw.query("INSERT INTO t VALUES (1, 'x', 'y', NULL, 'z')"), "C INSERT 0 1\nZ I");
        raw.query("DROP TABLE t");
    }
    // Values do not go to the table while it lacks the column.
    raw.query(first);
    for refused in [
        "INSERT INTO t (id, e) VALUES (1, 'mark-lacking')",
        "CREATE INDEX ON t (plain) WHERE plain = 'mark-lacking'",
        "CREATE INDEX ON t ((plain || 'mark-lacking'))",
        "ALTER TABLE t ADD later text DEFAULT 'mark-lacking'",
    ] {
        assert_eq!(raw.error(refused).code, "42P17", "{refused}");
    }
    nothing_leaked(&twin, &["mark-lacking"]);
}

#[test]
fn a_confirmed_pin_holds_the_column_to_its_new_type() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.text_eq)");
    let mut raw = twin.raw_sealed();
    raw.rows("SELECT e FROM t");
    let mut alarm = |what: &str, mark: &str| {
        crate::support::eventually(what, || {
            let answers = raw.ask(&query(&format!("INSERT INTO t (id, e) VALUES (1, '{mark}')")));
            answers.iter().find_map(raw::Message::error).filter(|e| e.code == "42P17")
        })
    };
    twin.direct.sql("ALTER TABLE t DROP e; ALTER TABLE t ADD e seal.varchar_eq");
    alarm("the alarm of another type", "mark-first");
    let confirm = |object: &str| {
        let url = twin.direct.url.as_str();
        twin.workspace.columnseal(&["type", "confirm", object, "--name", "sealed", "--database", url])
    };
    assert!(confirm("column public.t.nothing").err.contains("no pin of that object"));
    assert!(confirm("column public.t.e").ok().contains("seal.varchar_eq"));
    assert!(confirm("column public.t.e").ok().contains("has the type it is held to"));
    let mut other = twin.raw_sealed();
    crate::support::eventually("it is heeded", || {
        let answers = other.ask(&query("INSERT INTO t (id, e) VALUES (2, 'mark-second')"));
        transcript(&answers).starts_with("C INSERT").then_some(())
    });
    // It was not forgotten: a plain column is an alarm as before.
    twin.direct.sql("ALTER TABLE t DROP e; ALTER TABLE t ADD e text");
    alarm("the alarm of a plain column", "mark-third");
    let trail = twin.workspace.columnseal(&["audit", "tail", "-n", "1000"]).ok();
    for told in ["pin.confirm", "pin_other_type"] {
        assert!(trail.contains(told), "{trail}");
    }
    nothing_leaked(&twin, &["mark-second", "mark-third"]);
}

#[test]
fn statements_prepared_by_sql_are_not_run_after_a_change() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.text_eq); CREATE TABLE n7 (id int, v text)");
    let mut raw = twin.raw_sealed();
    raw.query("PREPARE pi (text) AS INSERT INTO n7 VALUES (1, $1)");
    assert_eq!(raw.query("EXECUTE pi ('fine')"), "C INSERT 0 1\nZ I");
    twin.raw_sealed().query("BEGIN; DROP TABLE n7; CREATE TABLE n7 (id int, v seal.text_eq); COMMIT");
    assert_eq!(raw.error("EXECUTE pi ('mark-execute')").code, "0A000");
    nothing_leaked(&twin, &["mark-execute"]);
}

#[test]
fn strings_end_where_the_session_says() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.text_eq)");
    let mut raw = twin.raw_sealed();
    raw.query("SET standard_conforming_strings = off");
    for sql in [
        r"SELECT 'x\' AS a --', id FROM t WHERE e='mark-scs'",
        r"SELECT 'x\'', id FROM t WHERE e='mark-scs' --'",
        r"INSERT INTO t VALUES (1, 'a\\mark-scs')",
    ] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    assert_eq!(raw.query("SELECT id FROM t WHERE e = E'mark\\x2dscs'"), "T id:23:4:-1:0\nC SELECT 0\nZ I");
    raw.query("RESET ALL");
    // The change on its way in the same batch.
    let set = [parse("", "SET standard_conforming_strings = off", &[]), bind("", "", &[]), execute("", 0)].concat();
    let then = [parse("", r"SELECT 'x\'', id FROM t WHERE e='mark-scs' --'", &[]), sync()].concat();
    let shown = transcript(&raw.ask(&[set, then].concat()));
    assert!(shown.contains("E ERROR 0A000"), "{shown}");
    nothing_leaked(&twin, &["mark-scs"]);
}

#[test]
fn values_cast_to_an_encrypted_type_alone_are_sealed_too() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT 'mark-cast'::seal.text_eq IS NULL",
        "SELECT CAST('mark-cast' AS seal.text_eq)",
        "VALUES (seal.text_eq 'mark-cast')",
    ] {
        raw.query(sql);
    }
    assert_eq!(raw.rows("SELECT 'mark-cast'::seal.text_eq"), ["mark-cast"]);
    nothing_leaked(&twin, &["mark-cast"]);
}

#[test]
fn functions_over_ordinary_types_can_be_made() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.text_eq)");
    let mut raw = twin.raw_sealed();
    for sql in [
        "CREATE FUNCTION plain_add(a integer, b int4) RETURNS bigint LANGUAGE sql AS 'SELECT (a + b)::bigint'",
        "CREATE PROCEDURE nothing(a text, b uuid) LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE pair AS (a text, b int4)",
        "DO $$ BEGIN PERFORM 2; END $$",
    ] {
        assert!(raw.query(sql).starts_with("C "), "{sql}");
    }
    assert_eq!(raw.rows("SELECT plain_add(1, 2)"), ["3"]);
    for sql in [
        "CREATE FUNCTION reads(a int) RETURNS bigint LANGUAGE sql AS 'SELECT count(e::text) FROM t'",
        "CREATE FUNCTION takes(a seal.text_eq) RETURNS text LANGUAGE sql AS 'SELECT a::text'",
        "DO $$ BEGIN PERFORM e::text FROM t; END $$",
    ] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    assert!(raw.query("DO $$ BEGIN PERFORM 3; END $$").starts_with("C DO"), "a refusal is that body's own");
}

#[test]
fn conditions_over_a_value_alone_answer_as_postgresql() {
    let twin = twin();
    twin.create("CREATE TABLE t (id int, p text, e seal.text_eq)");
    for side in [&twin.plain, &twin.sealed] {
        side.sql("INSERT INTO t VALUES (1, 'a', 'a'), (2, 'b', 'b'), (3, NULL, NULL)");
    }
    let (mut plain, mut sealed) = twin.raw();
    let conditions = [
        "$1 IS NULL OR e = $1",
        "$1::text IS NULL OR e = $1::text",
        "$1 IS NOT NULL AND e = $1",
        "$1 = '' OR e = $1",
        "$1 <> '' AND e = $1",
        "$1 ISNULL OR NOT e = $1",
    ];
    for condition in conditions {
        for value in [Some("a"), Some(""), None] {
            let sql = format!("SELECT id FROM t WHERE {condition} ORDER BY id");
            let batch = [parse("", &sql, &[25]), bind("", "", &[value]), execute("", 0), sync()].concat();
            let (left, right) = (plain.ask(&batch), sealed.ask(&batch));
            assert_eq!(transcript(&right), transcript(&left), "{condition} with {value:?}");
        }
    }
    for sql in [
        "SELECT id FROM t WHERE 'a' = '' OR e = 'a'",
        "SELECT id FROM t WHERE 'mark-alone' IS NULL OR e = 'mark-alone'",
        "SELECT id, 'mark-alone' IS NULL FROM t WHERE e = 'mark-alone'",
        "SELECT id FROM t WHERE date '2001-01-01' IS NULL OR e = 'a' ORDER BY id",
    ] {
        assert_eq!(sealed.query(sql), plain.query(sql), "{sql}");
    }
    let two = "SELECT id FROM t WHERE $1 IS NULL OR e = $2";
    sealed.ask(&raw::extended(two, &[Some("mark-twice"), Some("mark-twice")]));
    // A value that is sealed and also stands where it would be sent is refused; one that has a place of its own is not.
    for refused in [
        "SELECT id FROM t WHERE length('mark-loose') = 0 OR e = 'mark-loose'",
        "SELECT id FROM t WHERE 'mark-loose' = 'x' OR e = 'mark-loose'",
    ] {
        assert_eq!(sealed.error(refused).code, "0A000", "{refused}");
    }
    assert_eq!(sealed.error("SELECT id FROM t WHERE text 'a' IS NULL OR e = 'a'").code, "0A000");
    for fine in [
        "SELECT id FROM t WHERE p = 'a' AND e = 'a'",
        "SELECT 'a' AS kind, id FROM t WHERE e = 'a'",
        "SELECT id FROM t WHERE p IN ('a', 'b') AND e = 'a'",
        "SELECT id FROM t WHERE p = ANY ('{a}') AND starts_with(p, 'a') AND e = 'a'",
        "SELECT id FROM t WHERE (p, id) = ('a', 1) AND e = 'a'",
    ] {
        assert_eq!(sealed.query(fine), plain.query(fine), "{fine}");
    }
    not_sent(&twin, &["mark-alone", "mark-twice", "mark-loose"]);
}

/// A bare name follows its schemas: those that are made, renamed or opened to a role while sessions are open.
#[test]
fn schemas_that_change_are_noticed() {
    let twin = Twin::start();
    let mut raw = twin.raw_sealed();
    raw.query("CREATE TABLE public.t3x (p2 text); CREATE SCHEMA later; CREATE TABLE later.t3x (p seal.text_eq)");
    assert!(raw.query("INSERT INTO t3x VALUES ('public')").contains("C INSERT 0 1"));
    // The search path begins with "$user".
    raw.query("ALTER SCHEMA later RENAME TO app");
    assert!(raw.query("INSERT INTO t3x VALUES ('mark-own')").contains("C INSERT 0 1"));
    assert_eq!(raw.rows("SELECT p FROM t3x WHERE p = 'mark-own'"), ["mark-own"]);
    raw.query("ALTER SCHEMA app RENAME TO later");
    assert!(raw.query("INSERT INTO t3x VALUES ('public')").contains("C INSERT 0 1"));
    // By another session, past the proxy: within the time that changes of others take to be seen.
    twin.direct.sql("ALTER SCHEMA later RENAME TO app");
    eventually("the other's change is seen", || {
        (raw.query("SELECT p FROM t3x WHERE p = 'x'").contains("C SELECT 0")).then_some(())
    });
    assert!(raw.query("INSERT INTO t3x VALUES ('mark-other')").contains("C INSERT 0 1"));
    raw.query("REVOKE USAGE ON SCHEMA app FROM app");
    assert!(raw.query("INSERT INTO t3x VALUES ('public')").contains("C INSERT 0 1"));
    raw.query("GRANT USAGE ON SCHEMA app TO app");
    assert!(raw.query("INSERT INTO t3x VALUES ('mark-grant')").contains("C INSERT 0 1"));
    assert!(!twin.relay.sent().windows(5).any(|w| w == b"mark-"), "a value was sent in plain");
}

#[test]
fn a_table_with_unique_values_is_not_made_in_pg_temp_by_the_search_path() {
    let twin = Twin::start();
    let mut raw = twin.raw_sealed();
    raw.query("CREATE TABLE g (e seal.text_eq, id int); INSERT INTO g VALUES ('a', 1)");
    raw.query("SET search_path = pg_temp, public");
    let answer = raw.query("CREATE TABLE g (e seal.text_eq UNIQUE, id int)");
    if answer.contains("C CREATE TABLE") {
        assert_eq!(raw.error("INSERT INTO g VALUES ('b', 1), ('b', 2)").code, "23505");
    } else {
        assert!(answer.contains("E ERROR 0A000"), "{answer}");
    }
    assert_eq!(
        twin.direct.sql("SELECT count(*) FROM pg_indexes WHERE tablename = 'g' AND schemaname = 'public'"),
        "0\n"
    );
}

/// Nothing may be asked of the server before SET TRANSACTION, which must be the first of its transaction; and what cannot be judged
/// any more can still be ended.
#[test]
fn a_schema_change_is_not_in_the_way_of_a_transactions_level_and_end() {
    let twin = Twin::start();
    let mut raw = twin.raw_sealed();
    twin.sealed.sql("CREATE TABLE first (id int, e seal.text_eq)");
    for set in [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        "set local  transaction\tisolation level serializable;",
        "SET transaction_isolation = 'serializable'",
    ] {
        assert_eq!(raw.query("BEGIN"), "C BEGIN\nZ T", "{set}");
        twin.sealed.sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id int, e seal.text_eq)");
        assert_eq!(raw.query(set), "C SET\nZ T", "{set}");
        assert_eq!(raw.query("ROLLBACK"), "C ROLLBACK\nZ I", "{set}");
    }
}
