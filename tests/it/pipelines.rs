//! The protocol at length: thousands of messages and of names, portals that stay open, function calls, and waiting.

use crate::support::raw::{
    bind, close_portal, close_statement, describe_portal, execute, message, parse, query, run, sync, transcript,
};
use crate::support::{Pair, Twin};

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, p text);
    INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, NULL, NULL), (4, 'a', 'z');";

fn twin() -> Twin {
    Twin::of(TABLES)
}

#[test]
fn ten_thousand_messages_with_errors_anywhere() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let (mut batch, mut messages, mut syncs) = (Vec::new(), 0, 0);
    batch.extend(parse("i", "INSERT INTO t (id, e, p) VALUES ($1, $2, $3)", &[]));
    batch.extend(parse("s", "SELECT id, e FROM t WHERE e = $1 ORDER BY id LIMIT 3", &[]));
    batch.extend(parse("n", "SELECT $1::int + 1", &[]));
    for n in 0..3_400u32 {
        let (id, text) = ((100 + n).to_string(), format!("value {}", n % 7));
        batch.extend(match n % 17 {
            3 => [bind("", "s", &[Some(&text)]), describe_portal(""), execute("", 0)].concat(),
            // Errors of the server, of names, and of values that are encrypted.
            5 => [bind("", "i", &[Some("1"), Some(&text), None]), execute("", 0), execute("", 0)].concat(),
            7 if n % 5 == 0 => [bind("", "none", &[]), execute("", 0), execute("", 0)].concat(),
            9 if n % 3 == 0 => run("SELECT nothing FROM t", &[]),
            11 => [bind("", "n", &[Some(&id)]), execute("", 0), close_portal("")].concat(),
            13 => run("SELECT 1", &[]),
            _ => [bind("", "i", &[Some(&id), Some(&text), Some("p")]), execute("", 0), close_portal("")].concat(),
        });
        messages += 3;
        if n % 5 == 4 {
            batch.extend(sync());
            syncs += 1;
        }
    }
    batch.extend(sync());
    assert!(messages > 10_000);
    pair.same("a pipeline", &batch, syncs + 1);
    let counted =
        pair.same("what it left", &query("SELECT e, count(*) FROM t GROUP BY e ORDER BY count(*), min(id)"), 1);
    assert!(counted.contains("D value 3|"), "{counted}");
}

#[test]
fn portals_stay_open_across_sync() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let begin = [
        parse("s", "SELECT id, e FROM t ORDER BY id", &[]),
        parse("p", "SELECT id, p FROM t ORDER BY id DESC", &[]),
        parse("w", "SELECT id, e, p FROM t WHERE e = $1 ORDER BY id", &[]),
    ];
    pair.same("begin", &[query("BEGIN"), begin.concat(), sync()].concat(), 2);
    let bound =
        [bind("one", "s", &[]), bind("two", "p", &[]), bind("three", "w", &[Some("a")]), bind("four", "s", &[])];
    pair.same("bound", &[bound.concat(), sync()].concat(), 1);
    for (portal, rows) in
        [("one", 1), ("two", 2), ("three", 1), ("one", 1), ("four", 3), ("three", 1), ("two", 1), ("one", 0)]
    {
        let ask = [describe_portal(portal), execute(portal, rows), sync()].concat();
        pair.same(portal, &ask, 1);
    }
    pair.same("a simple query between", &query("INSERT INTO t VALUES (9, 'nine', NULL)"), 1);
    // As of the portal's beginning.
    pair.same("the rest", &[execute("four", 0), execute("two", 0), execute("three", 0), sync()].concat(), 1);
    pair.same("closed", &[close_portal("one"), describe_portal("one"), sync()].concat(), 1);
    pair.same("rolled back", &[query("ROLLBACK"), execute("two", 0), sync()].concat(), 2);
    pair.same("named statements stay", &[bind("", "w", &[Some("a")]), execute("", 0), sync()].concat(), 1);
}

#[test]
fn thousands_of_named_statements_are_kept_and_given_back() {
    const NAMES: usize = 2_000;
    let twin = twin();
    let mut raw = twin.raw_sealed();
    let name = |n: usize| format!("statement number {n}");
    let prepare: Vec<u8> = (0..NAMES)
        .flat_map(|n| {
            let sql = if n % 2 == 0 {
                "SELECT id, e FROM t WHERE e = $1 ORDER BY id"
            } else {
                "SELECT p FROM t WHERE p = $1"
            };
            parse(&name(n), sql, &[])
        })
        .collect();
    let close: Vec<u8> = (0..NAMES).flat_map(|n| close_statement(&name(n))).collect();
    let mut round = || {
        let prepared = raw.ask(&[prepare.clone(), sync()].concat());
        assert_eq!(prepared.iter().filter(|m| m.tag == b'1').count(), NAMES);
        for n in [0, NAMES / 2, NAMES - 2] {
            let shown = transcript(&raw.ask(&[bind("", &name(n), &[Some("a")]), execute("", 0), sync()].concat()));
            assert!(shown.contains("D 1|a\nD 4|a"), "{shown}");
        }
        let closed = raw.ask(&[close.clone(), sync()].concat());
        assert_eq!(closed.iter().filter(|m| m.tag == b'3').count(), NAMES);
        let gone = transcript(&raw.ask(&[bind("", &name(0), &[Some("a")]), sync()].concat()));
        assert!(gone.contains("26000"), "{gone}");
    };
    round();
    let after_one = twin.proxy.memory();
    (0..4).for_each(|_| round());
    let grown = twin.proxy.memory().saturating_sub(after_one);
    assert!(grown < 16 * 1024, "four more rounds took {grown} KiB");
}

/// A function call message with arguments and a result in text.
fn call(oid: u32, arguments: &[&str]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(u16::try_from(arguments.len()).unwrap().to_be_bytes());
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend(argument.as_bytes());
    }
    body.extend([0, 0]);
    message(b'F', &body)
}

#[test]
fn function_calls_are_for_large_objects() {
    let twin = twin();
    let oid = |name: &str| twin.direct.superuser(&format!("SELECT '{name}'::regproc::oid")).parse::<u32>().unwrap();
    twin.direct.sql("CREATE FUNCTION mine(text) RETURNS text LANGUAGE sql AS 'SELECT $1'");
    let (set_config, mine) = (oid("set_config"), oid("mine"));
    let query_to_xml = oid("query_to_xml");
    twin.relay.clear();
    for (oid, arguments) in [
        (mine, &["nobody may see this"][..]),
        (query_to_xml, &["SELECT id FROM t WHERE e = 'nobody may see this'", "t", "t", ""]),
        (set_config, &["search_path", "pg_temp", "f"]),
    ] {
        // On a fresh connection, and on one that has read the catalog.
        let mut raw = twin.raw_sealed();
        for _ in 0..2 {
            assert_eq!(transcript(&raw.ask(&call(oid, arguments))), "E ERROR 0A000\nZ I", "{oid}");
            assert_eq!(raw.rows("SELECT e FROM t WHERE id = 1"), ["a"]);
        }
    }
    assert!(!String::from_utf8_lossy(&twin.relay.sent()).contains("nobody may see this"));
    let (creat, open, unlink) = (oid("lo_creat"), oid("lo_open"), oid("lo_unlink"));
    let mut pair = Pair::new(&twin);
    pair.same("in a transaction", &query("BEGIN"), 1);
    for side in [&mut pair.plain, &mut pair.sealed] {
        let made = side.ask(&call(creat, &["-1"]));
        let id = String::from_utf8(made[0].body[4..].to_vec()).unwrap();
        assert!(id.parse::<u32>().is_ok(), "{}", transcript(&made));
        let opened = side.ask(&call(open, &[&id, "131072"]));
        assert_eq!(opened[0].tag, b'V', "{}", transcript(&opened));
        assert_eq!(side.ask(&call(unlink, &[&id]))[0].tag, b'V');
    }
    pair.same("an error", &call(open, &["1", "131072"]), 1);
    pair.same("in a failed transaction", &[call(mine, &["x"]), query("ROLLBACK")].concat(), 2);
}

#[test]
fn a_session_that_only_listens_is_told() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    assert_eq!(raw.rows("SELECT e FROM t WHERE id = 1"), ["a"]);
    raw.query("LISTEN news");
    for n in 0..3 {
        twin.sealed.sql(&format!("NOTIFY news, 'number {n}'"));
        let told = raw.next();
        assert!(told.tag == b'A' && String::from_utf8_lossy(&told.body).contains(&format!("number {n}")));
    }
    assert_eq!(raw.rows("SELECT e FROM t WHERE id = 2"), ["b"]);
}
