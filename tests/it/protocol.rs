//! Message sequences as drivers and odd clients send them: the transcript through the proxy on an encrypted table must
//! be the one of a plain twin.

use crate::support::raw::{
    self, Raw, bind, bind_as, close_portal, close_statement, describe_portal, describe_statement, execute, flush,
    message, parse, query, run, sync, transcript,
};
use crate::support::{Pair, Twin};

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, i seal.int4_eq, d seal.timestamptz, p text);
    CREATE TABLE w (id int);
    INSERT INTO t VALUES (1, 'a', 1, '2024-01-01 00:00+00', 'x'), (2, 'b', 2, '2024-06-01 00:00+00', 'y'), (3, NULL, NULL, NULL, NULL);";

fn twin() -> Twin {
    Twin::of(TABLES)
}

const SELECT: &str = "SELECT id, e, i FROM t WHERE e = $1 ORDER BY id";
const INSERT: &str = "INSERT INTO t (id, e, i) VALUES ($1, $2, $3)";

#[test]
fn errors_come_in_order_and_skip_to_sync() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let good = || run(SELECT, &[Some("a")]);
    let bad_value = || run("SELECT id FROM t WHERE i = $1", &[Some("no number")]);
    let server_error = || run("SELECT 1/0", &[]);
    for (name, broken) in [("value", bad_value()), ("server", server_error()), ("syntax", run("SELEC 1", &[]))] {
        for before in [vec![], good()] {
            let batch = [before, broken.clone(), good(), sync(), good(), sync()].concat();
            pair.same(name, &batch, 2);
            pair.same("in a transaction", &[query("BEGIN"), batch.clone(), query("ROLLBACK")].concat(), 4);
        }
        // One message at a time, and with Flush instead of Sync.
        for part in
            [parse("", SELECT, &[]), bind("", "", &[Some("a")]), execute("", 0), flush(), broken.clone(), flush()]
        {
            pair.plain.send(&part);
            pair.sealed.send(&part);
        }
        pair.same("after Flush", &sync(), 1);
    }
    pair.same("a savepoint outlives", &query("BEGIN"), 1);
    pair.same("a savepoint outlives", &query("SAVEPOINT s"), 1);
    pair.same("a savepoint outlives", &[bad_value(), sync()].concat(), 1);
    pair.same("a savepoint outlives", &query("ROLLBACK TO s"), 1);
    let after = pair.same("a savepoint outlives", &[good(), sync(), query("COMMIT")].concat(), 2);
    assert!(after.contains("D 1|a|1") && after.ends_with("Z I"), "{after}");
}

#[test]
fn an_error_of_an_earlier_batch_does_not_swallow_a_later_statement() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let insert = |id| format!("INSERT INTO t (id, e) VALUES ({id}, 'x')");
    pair.same("simple", &[query("SELECT 1/0"), query(&insert(10))].concat(), 2);
    let batch = [run("SELECT 1/0", &[]), sync(), run(INSERT, &[Some("11"), Some("x"), Some("1")]), sync()].concat();
    pair.same("extended", &batch, 2);
    pair.same("begin", &query("BEGIN"), 1);
    let parts = ["SAVEPOINT a", "SELECT 1/0", "ROLLBACK TO a", &insert(12), "COMMIT"].map(query);
    pair.same("savepoint", &parts.concat(), 5);
    let kept = pair.same("kept", &query("SELECT id FROM t WHERE id >= 10 ORDER BY id"), 1);
    assert!(kept.contains("D 10\nD 11\nD 12"), "{kept}");
}

#[test]
fn names_and_portals_live_as_long_as_in_postgresql() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let named = [parse("s", SELECT, &[]), describe_statement("s"), bind("p", "s", &[Some("a")]), describe_portal("p")];
    pair.same("named", &[named.concat(), execute("p", 0), sync()].concat(), 1);
    pair.same("a name in use", &[parse("s", "SELECT 1", &[]), sync()].concat(), 1);
    pair.same("closed", &[close_statement("s"), bind("", "s", &[Some("a")]), sync()].concat(), 1);
    pair.same(
        "reused",
        &[parse("s", "SELECT e FROM t WHERE id = $1", &[23]), bind("", "s", &[Some("2")]), execute("", 0), sync()]
            .concat(),
        1,
    );
    pair.same("the portal is gone", &[execute("p", 0), sync()].concat(), 1);
    pair.same("no such statement", &[bind("", "nowhere", &[]), sync()].concat(), 1);
    pair.same(
        "the unnamed one after a simple query",
        &[query("SELECT e FROM t WHERE e = 'a'"), bind("", "", &[]), sync()].concat(),
        2,
    );
    pair.same("deallocated", &[query("DEALLOCATE ALL"), bind("", "s", &[Some("2")]), sync()].concat(), 2);
    // Two portals at once, read in turns.
    let two = "SELECT id, e FROM t WHERE id <= $1 ORDER BY id";
    let open =
        [query("BEGIN"), parse("q", two, &[]), bind("a", "q", &[Some("3")]), bind("b", "q", &[Some("2")]), sync()];
    pair.same("two portals", &open.concat(), 2);
    for (portal, rows) in [("a", 1), ("b", 1), ("a", 1), ("b", 0), ("a", 0)] {
        pair.same("in turns", &[execute(portal, rows), sync()].concat(), 1);
    }
    pair.same("closed twice", &[close_portal("a"), close_portal("a"), sync(), query("COMMIT")].concat(), 2);
    pair.same("after commit", &[execute("b", 0), sync()].concat(), 1);
}

#[test]
fn formats_and_counts_are_checked_as_in_postgresql() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let one = &1i32.to_be_bytes()[..];
    let cases: [(&str, Vec<u8>); 6] = [
        ("binary", bind_as("", "", &[1], &[Some(one)], &[1])),
        ("mixed results", bind_as("", "", &[0], &[Some(b"1")], &[0, 1, 1])),
        ("too few values", bind("", "", &[])),
        ("too many values", bind("", "", &[Some("1"), Some("2")])),
        ("too few result formats", bind_as("", "", &[], &[Some(b"1")], &[0, 1])),
        ("NULL", bind("", "", &[None])),
    ];
    for (name, bound) in cases {
        let sql = "SELECT id, e, i FROM t WHERE i = $1";
        let batch = [parse("", sql, &[]), bound, describe_portal(""), execute("", 0), sync()].concat();
        pair.same(name, &batch, 1);
    }
    // Messages that are not as the protocol says are errors, and the connection goes on.
    for (tag, body) in [(b'B', &b"\0\0\0\x01"[..]), (b'P', b"x\0SELECT"), (b'E', b"\0\0"), (b'D', b"X\0"), (b'C', b"S")]
    {
        pair.sealed.send(&[parse("", SELECT, &[]), message(tag, body), sync()].concat());
        let answers = pair.sealed.until_ready();
        let error = answers.iter().find_map(raw::Message::error).unwrap();
        assert_eq!((error.severity.as_str(), error.code.as_str()), ("ERROR", "08P01"), "{tag}");
    }
    pair.same("still there", &query("SELECT e FROM t WHERE id = 1"), 1);
}

#[test]
fn declared_types_are_told_back() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    for (sql, oids) in [
        (SELECT, &[][..]),
        (SELECT, &[25]),
        (SELECT, &[1043]),
        (SELECT, &[25, 23, 16]),
        ("SELECT id FROM t WHERE i = $1", &[20]),
        ("SELECT id FROM t WHERE i = $1", &[21]),
        ("SELECT id FROM t WHERE e = $2", &[]),
        ("SELECT id FROM t WHERE e = $1::varchar OR i = ANY ($2)", &[]),
        ("INSERT INTO t (id, e, d) VALUES ($1, $2, $3) RETURNING *", &[20]),
    ] {
        pair.same(sql, &[parse("", sql, oids), describe_statement(""), sync()].concat(), 1);
    }
}

#[test]
fn settings_count_from_where_they_are_set() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let select = "SELECT id, d FROM t WHERE id < 3 ORDER BY id";
    for setting in [
        "SET TimeZone = 'Asia/Tokyo'",
        "SET DateStyle = 'German'",
        "SELECT set_config('TimeZone', 'America/Lima', false) IS NULL",
    ] {
        pair.same(setting, &query(&format!("{setting}; {select}")), 1);
        pair.same(setting, &query("RESET ALL"), 1);
        pair.same(setting, &[run(setting, &[]), run(select, &[]), sync()].concat(), 1);
        pair.same(setting, &[query("RESET ALL"), query(select)].concat(), 2);
    }
    let local = [
        "BEGIN",
        "SET LOCAL TimeZone = 'Asia/Tokyo'",
        "INSERT INTO t (id, d) VALUES (20, '2024-01-01 00:00')",
        "ROLLBACK",
    ];
    pair.same(
        "local",
        &[local.map(query).concat(), query("INSERT INTO t (id, d) VALUES (20, '2024-01-01 00:00')")].concat(),
        5,
    );
    pair.same(
        "order of days",
        &[
            query("SET DateStyle = 'ISO, DMY'"),
            run("INSERT INTO t (id, d) VALUES (21, $1)", &[Some("03/02/2024")]),
            sync(),
        ]
        .concat(),
        2,
    );
    pair.same("stored", &[query("RESET ALL"), query("SELECT id, d FROM t WHERE id >= 20 ORDER BY id")].concat(), 2);
    // Text that cannot be read as UTF-8 is refused, not stored as something else.
    pair.sealed.send(
        &[run("SET client_encoding = 'LATIN1'", &[]), run(INSERT, &[Some("30"), Some("Ã©"), None]), sync()].concat(),
    );
    assert!(transcript(&pair.sealed.until_ready()).contains("E ERROR 0A000"));
}

#[test]
fn copy_in_pipelines_is_followed() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let copy = || run("COPY w FROM STDIN", &[]);
    let data = |text: &str| message(b'd', text.as_bytes());
    let done = || message(b'c', b"");
    let good = [copy(), data("1\n"), data("2\n"), done(), sync()].concat();
    let bad = [copy(), data("zz\n"), data("3\n"), done(), sync()].concat();
    let failed = [copy(), data("4\n"), message(b'f', b"no\0"), sync()].concat();
    let next = [run(SELECT, &[Some("a")]), sync()].concat();
    for (name, batch) in [("good", good), ("bad", bad), ("failed by the client", failed)] {
        pair.same(name, &[batch, next.clone()].concat(), 2);
    }
    pair.same("Sync before the rows", &[copy(), sync(), data("5\n"), done(), sync(), next.clone()].concat(), 2);
    pair.same("simple", &[query("COPY w FROM STDIN"), data("6\n"), done(), next.clone()].concat(), 2);
    pair.same("simple and bad", &[query("COPY w FROM STDIN"), data("zz\n"), done(), next].concat(), 2);
    pair.same("out", &[run("COPY w TO STDOUT", &[]), sync(), query("COPY (SELECT 1) TO STDOUT")].concat(), 2);
    let rows = pair.same("rows", &query("SELECT id FROM w ORDER BY id"), 1);
    assert!(rows.contains("D 1\nD 2\nD 5\nD 6"), "{rows}");
}

#[test]
fn a_simple_query_within_a_batch_is_skipped_after_an_error() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let encrypted = || query("SELECT e FROM t WHERE id = 1");
    pair.same(
        "after an error",
        &[run("SELECT 1/0", &[]), encrypted(), run("INSERT INTO w VALUES (1)", &[]), sync(), encrypted()].concat(),
        2,
    );
    pair.same("without one", &[run(SELECT, &[Some("a")]), encrypted(), run(SELECT, &[Some("b")]), sync()].concat(), 2);
    pair.same("nothing was written", &query("SELECT count(*) FROM w"), 1);
}

#[test]
fn several_statements_share_one_transaction() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    for (name, sql) in [
        ("all well", "INSERT INTO w VALUES (1); SELECT e FROM t WHERE id = 1; INSERT INTO w VALUES (2)"),
        (
            "an error undoes all",
            "INSERT INTO w VALUES (3); SELECT e FROM t WHERE e = 'a'; SELECT 1/0; INSERT INTO w VALUES (4)",
        ),
        ("up to a commit", "INSERT INTO w VALUES (5); COMMIT; SELECT e FROM t WHERE id = 1; SELECT 1/0"),
        ("a block", "BEGIN; INSERT INTO w VALUES (6); SELECT e FROM t WHERE id = 1; COMMIT"),
        ("an open block", "BEGIN; UPDATE t SET e = 'c' WHERE id = 2; SELECT e FROM t WHERE id = 2"),
        ("its end", "ROLLBACK; SELECT e FROM t WHERE id = 2"),
        ("a failed block", "BEGIN; SELECT 1/0; SELECT e FROM t WHERE id = 1"),
        ("and its end", "ROLLBACK; SELECT e FROM t WHERE id = 1; SELECT id FROM w ORDER BY id"),
        ("nothing", ";;"),
    ] {
        pair.same(name, &query(sql), 1);
    }
}

#[test]
fn asynchronous_messages_pass_at_any_time() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    raw.rows("LISTEN news");
    twin.sealed.sql("NOTIFY news, 'told'");
    let answers = raw.ask(&[run(SELECT, &[Some("a")]), sync()].concat());
    let shown = transcript(&answers);
    assert!(shown.contains("D 1|a|1"), "{shown}");
    let mut all = answers;
    // PostgreSQL tells between transactions, so it may be the next answer that brings it.
    all.extend(raw.ask(&query("SELECT 1")));
    assert!(all.iter().any(|m| m.tag == b'A'), "the notification came");
}

#[test]
fn a_client_that_leaves_has_its_statements_run() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    let insert = |n: usize| query(&format!("INSERT INTO t (id, e) VALUES ({}, '{}')", 1000 + n, "x".repeat(200)));
    let many: Vec<u8> = (0..500).flat_map(insert).collect();
    raw.send(&[many, raw::terminate()].concat());
    while raw.try_next().is_some() {}
    assert_eq!(twin.stored("SELECT count(*) FROM t WHERE id >= 1000"), "500\n");
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_else() {
    let twin = twin();
    twin.sealed.sql("INSERT INTO t (id, p) SELECT g, repeat('p', 1000) FROM generate_series(10000, 29999) g");
    let mut silent = twin.raw_sealed();
    silent.send(&[query("SELECT p FROM t"), query("SELECT e FROM t WHERE e = 'a'")].concat());
    let mut other = twin.raw_sealed();
    other.query("CREATE TABLE fresh (id int, e seal.text_eq)");
    assert_eq!(other.query("INSERT INTO fresh VALUES (1, 'secret')"), "C INSERT 0 1\nZ I");
    let big = silent.until_ready();
    assert!(big.len() > 20_000);
    assert!(transcript(&silent.until_ready()).contains("D a"));
}

#[test]
fn a_failed_transaction_can_be_ended_in_every_way() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let run = |sql: &str| [parse("", sql, &[]), bind("", "", &[]), execute("", 0), sync()].concat();
    // The statement that fails is DDL, so the catalog is not current either.
    for (name, batches) in [
        ("one by one", vec![run("BEGIN"), run("CREATE TABLE w (a int)"), run("ROLLBACK"), query("SELECT 1")]),
        ("simple", ["BEGIN", "CREATE TABLE w (a int)", "ROLLBACK", "SELECT 1"].map(query).to_vec()),
        (
            "savepoint",
            ["BEGIN", "SAVEPOINT s", "CREATE TABLE w (a int)", "ROLLBACK TO s", "INSERT INTO w VALUES (7)", "COMMIT"]
                .map(query)
                .to_vec(),
        ),
    ] {
        for batch in &batches {
            pair.same(name, batch, 1);
        }
        pair.same(&format!("{name}, in one write"), &batches.concat(), batches.len());
    }
    pair.same("begun", &[query("BEGIN"), query("SELECT 1/0")].concat(), 2);
    twin.raw_sealed().query("CREATE TABLE meanwhile (a int)");
    twin.raw_plain().query("CREATE TABLE meanwhile (a int)");
    pair.same("after a change by others", &run("ROLLBACK"), 1);
    pair.same("kept", &query("SELECT count(*) FROM w"), 1);
}

#[test]
fn a_simple_query_ends_the_batch_before_it() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let write = || run("INSERT INTO w VALUES ($1)", &[Some("50")]);
    pair.same("it fails", &[write(), query("SELECT 1/0, 'new' FROM t WHERE e = 'a' AND id > -77")].concat(), 1);
    pair.same(
        "it fails by a key",
        &[run(INSERT, &[Some("77"), Some("x"), None]), query("INSERT INTO t (id, e) VALUES (1, 'dup')")].concat(),
        1,
    );
    pair.same("nothing stays", &query("SELECT count(*) FROM w; SELECT count(*) FROM t WHERE id = 77"), 1);
}

#[test]
fn a_name_whose_message_failed_is_what_it_was() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    pair.same("prepared", &[parse("s1", "INSERT INTO t (id, e) VALUES ($1, $2)", &[]), sync()].concat(), 1);
    let bind_it = |id: &str, marker: &str| [bind("", "s1", &[Some(id), Some(marker)]), execute("", 0), sync()].concat();
    let again = parse("s1", "SELECT $1::int, $2::text", &[]);
    pair.same("the name is taken", &[again.clone(), sync(), bind_it("880", "mark-taken")].concat(), 2);
    let skipped =
        [run("SELECT 1/0", &[]), close_statement("s1"), again, sync(), bind_it("881", "mark-skipped")].concat();
    pair.same("the Close is skipped", &skipped, 2);
    let dropped = [run("SELECT 1/0", &[]), run("DEALLOCATE ALL", &[]), sync(), bind_it("882", "x")].concat();
    pair.same("DEALLOCATE ALL is skipped", &dropped, 2);
    pair.same("and then runs", &[query("DEALLOCATE ALL"), bind_it("883", "x")].concat(), 2);
    let sent = twin.relay.sent();
    assert!(!sent.windows(5).any(|w| w == b"mark-"));
}

#[test]
fn statements_that_must_stand_alone_do() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    pair.same("VACUUM behind a Close", &[close_statement("zz"), run("VACUUM w", &[]), sync()].concat(), 1);
    pair.same(
        "after a rewritten query nothing unnamed stays",
        &[query("SELECT e FROM t WHERE id = 1"), describe_statement(""), sync()].concat(),
        2,
    );
    pair.same(
        "in a block neither",
        &[query("BEGIN"), query("SELECT e FROM t WHERE id = 1"), execute("", 0), sync(), query("ROLLBACK")].concat(),
        4,
    );
}

#[test]
fn schema_changes_by_others_starve_nobody() {
    let twin = twin();
    let (port, stop) = (twin.proxy.port, std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = std::sync::Arc::clone(&stop);
    let changes = std::thread::spawn(move || {
        let mut raw = Raw::connect(port, "sealed");
        while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
            raw.query("CREATE TABLE churn (a int)");
            raw.query("DROP TABLE churn");
        }
    });
    let mut raw = twin.raw_sealed();
    for _ in 0..20 {
        assert_eq!(raw.rows("SELECT e FROM t WHERE id = 1"), ["a"]);
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    changes.join().unwrap();
}

#[test]
fn values_are_cast_as_postgresql_casts_them() {
    let twin = twin();
    twin.create("CREATE TABLE n (id serial PRIMARY KEY, a seal.numeric_eq, b seal.numeric_eq)");
    let mut pair = Pair::new(&twin);
    for sql in [
        "INSERT INTO n (a, b) VALUES (1.235::numeric(10,2), '12345.678'::decimal(7, 1)) RETURNING a, b",
        "INSERT INTO n (a, b) VALUES ((-0.004)::numeric(10,2), CAST(99.5 AS numeric(3))) RETURNING a, b",
        "INSERT INTO n (a) VALUES ('nan'::numeric(3,1)), (NULL::numeric(3,1)) RETURNING a",
        "INSERT INTO n (a) VALUES (1234.5::numeric(5,2))",
        "INSERT INTO n (a) VALUES ('inf'::numeric(5,2))",
        "SELECT id FROM n WHERE a = 1.2351::numeric(10,2) OR b IN (99.6::numeric(3), 7)",
        "SELECT id FROM n WHERE a = 1.2351::numeric(10,3)",
        "UPDATE n SET a = 9.999::numeric(4,2) WHERE id = 1 RETURNING a",
        "SELECT id, COALESCE(b, 1.234::numeric(10,2)) FROM n ORDER BY id",
        "WITH w AS (SELECT 2.123456789 AS q) INSERT INTO n (a) SELECT q::float4 FROM w RETURNING a",
    ] {
        pair.same(sql, &query(sql), 1);
    }
    let values = [Some("7.005"), Some("-8.994999")];
    let many =
        "INSERT INTO n (a) SELECT p0::NUMERIC(10, 2) FROM (VALUES ($1, 0), ($2, 1)) AS v(p0, n) ORDER BY n RETURNING a";
    pair.same("as SQLAlchemy inserts", &[run(many, &values), sync()].concat(), 1);
    let one = "SELECT id FROM n WHERE a = $1::numeric(10,2) OR a = $2::numeric(10,2) ORDER BY id";
    pair.same("as parameters", &[run(one, &values), sync()].concat(), 1);
    // One value in two places, of which one has a cast: it would change in both.
    for outputs in ["q::float4, q", "q, q::float4", "q::numeric(3,1), q", "q::numeric(3,1), q::numeric(4,2)"] {
        let sql = format!("WITH w AS (SELECT 2.123456789 AS q) INSERT INTO n (a, b) SELECT {outputs} FROM w");
        assert_eq!(pair.sealed.error(&sql).code, "0A000", "{sql}");
    }
    for cast in ["varchar(3)", "numeric(10,2)"] {
        assert_eq!(pair.sealed.error(&format!("UPDATE t SET e = 'abcd'::{cast}")).code, "0A000", "{cast}");
    }
}

/// What a simple query that fails has told of its rows before, as PostgreSQL tells it.
#[test]
fn rows_of_a_failing_statement_are_told_as_in_postgresql() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    twin.create("CREATE TABLE tells (id int PRIMARY KEY, e seal.text_eq)");
    pair.each(&[
        "INSERT INTO tells VALUES (1, 'a'), (2, 'b') RETURNING id, e",
        "INSERT INTO tells VALUES (1, 'a') RETURNING id, e",
        "UPDATE tells SET id = 1 WHERE e = 'b' RETURNING *",
        "DELETE FROM tells WHERE e = 'b' AND 1 / (id - 2) = 1 RETURNING e",
        "DELETE FROM tells WHERE e = 'nobody' RETURNING e",
        "SELECT e, 1 / (id - 1) FROM tells WHERE e = 'a'",
        "SELECT e, 1 / (id - 1) FROM tells WHERE e = 'a' FOR UPDATE",
        "WITH w AS (INSERT INTO tells VALUES (2, 'c') RETURNING e) SELECT * FROM w",
    ]);
}

/// In other encodings than UTF-8 strings and comments of plain statements may hold any letter; names may not, since they could be
/// other ones than they seem.
#[test]
fn plain_statements_may_hold_letters_of_any_encoding() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let bytes =
        |text: &[u8]| [&[b'Q'][..], &u32::try_from(text.len() + 5).unwrap().to_be_bytes(), text, b"\0"].concat();
    for encoding in ["LATIN1", "LATIN9", "WIN1252", "KOI8R", "EUC_JP"] {
        pair.each(&[&format!("SET client_encoding = '{encoding}'")]);
        for text in [
            &b"SELECT '\xc1\xc2' /* \xa4\xa4 */"[..],
            b"SELECT length('\xa4\xe2'), $a$\xb0\xa1$a$ -- \xb0\xa1",
            b"SELECT 'a' AS b",
        ] {
            pair.same(&format!("{encoding} {}", text.escape_ascii()), &bytes(text), 1);
        }
        for text in [
            &b"SELECT 1 AS \xc1\xc2"[..],
            b"SELECT e FROM t WHERE e = '\xc1\xc2'",
            b"SELECT '\xc1\xc2', e FROM t",
            b"DO '\xc1\xc2'",
        ] {
            let answer = transcript(&pair.sealed.ask(&bytes(text)));
            assert!(answer.starts_with("E ERROR 0A000"), "{encoding} {}: {answer}", text.escape_ascii());
        }
    }
    pair.each(&["SET client_encoding = 'SJIS'"]);
    let answer = transcript(&pair.sealed.ask(&bytes(b"SELECT '\x83\x5c'")));
    assert!(answer.starts_with("E ERROR 0A000"), "a letter that ends in a backslash: {answer}");
}
