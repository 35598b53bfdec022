//! COPY within the protocol: extended, pipelined, among others, given up, cancelled.

use super::{Pair, TABLE, field, load};
use crate::support::eventually;
use crate::support::raw::{
    Message, Raw, bind, bind_as, cancel_request, describe_portal, describe_statement, execute, flush, message, parse,
    query, sync, tcp, terminate, transcript,
};

fn data(bytes: &[u8]) -> Vec<u8> {
    message(b'd', bytes)
}

fn done() -> Vec<u8> {
    message(b'c', &[])
}

impl Pair {
    /// Sends the same messages to both, without waiting, and compares all answers up to so many ReadyForQuery.
    #[track_caller]
    fn ask(&mut self, parts: &[Vec<u8>], ready: usize) -> String {
        let bytes = parts.concat();
        let mut both = [&mut self.plain, &mut self.sealed].map(|raw| {
            raw.send(&bytes);
            let answers: Vec<Message> = (0..ready).flat_map(|_| raw.until_ready()).collect();
            transcript(&answers)
        });
        assert_eq!(both[1], both[0], "{:?}", String::from_utf8_lossy(&bytes));
        std::mem::take(&mut both[1])
    }
}

const FROM: &str = "COPY t (id, e) FROM STDIN";

#[test]
fn the_extended_protocol() {
    let mut pair = Pair::new(TABLE);
    let prepared =
        |sql: &str| [parse("", sql, &[]), describe_statement(""), bind("", "", &[]), describe_portal("")].concat();
    let run = |sql: &str| [prepared(sql), execute("", 0)].concat();
    // As libpq sends it, as others do, and without waiting for anything.
    let said = pair.ask(&[run(FROM), sync(), data(b"1\ta\n2\t"), data(b"b\n"), done(), sync()], 1);
    assert!(said.contains("C COPY 2"), "{said}");
    pair.ask(&[run(FROM), flush(), data(b"3\tc\n"), flush(), sync(), done(), sync()], 1);
    pair.ask(&[run(FROM), data(b"4\td\n"), done(), run("SELECT e FROM t WHERE e = 'd'"), sync()], 1);
    // Errors skip to Sync.
    pair.ask(&[run(FROM), data(b"5\n"), data(b"6\tf\n"), done(), run("SELECT 1"), sync()], 1);
    pair.ask(&[run(FROM), data(b"1\tdouble\n"), done(), run("SELECT 1"), sync()], 1);
    pair.ask(&[run("SELECT 1 / 0"), run(FROM), sync()], 1);
    // Out, with formats that mean nothing.
    pair.ask(&[run("COPY t (id, e) TO STDOUT"), sync()], 1);
    let formats = bind_as("", "", &[], &[], &[1, 0, 1]);
    pair.ask(&[parse("", "COPY t (id, e) TO STDOUT CSV", &[]), formats, execute("", 1), sync()], 1);
    pair.ask(
        &[
            run("SELECT e FROM t WHERE id = 1"),
            run("COPY t (e) TO STDOUT BINARY"),
            run("SELECT e FROM t WHERE id = 2"),
            sync(),
        ],
        1,
    );
    // Named statements and portals, more than once.
    pair.ask(&[parse("load", FROM, &[]), parse("unload", "COPY t (id, e) TO STDOUT", &[]), sync()], 1);
    for id in 10..13 {
        let row = format!("{id}\tx\n");
        let load = [bind("in", "load", &[]), execute("in", 0), data(row.as_bytes()), done(), sync()];
        pair.ask(&load, 1);
        pair.ask(&[bind("out", "unload", &[]), describe_portal("out"), execute("out", 0), sync()], 1);
    }
    pair.ask(&[bind("", "load", &[Some("x")]), execute("", 0), sync()], 1);
    pair.take_rows();
}

#[test]
fn several_statements_of_one_query() {
    let mut pair = Pair::new(TABLE);
    // Each COPY asks for its own rows.
    let texts = [
        "INSERT INTO t (id, e) VALUES (1, 'a'); COPY t (id, e) FROM STDIN; SELECT id, e FROM t ORDER BY id",
        "COPY t (id, e) FROM STDIN; COPY t (id, p) FROM STDIN; SELECT * FROM t ORDER BY id",
        "BEGIN; COPY t (id, e) FROM STDIN; COMMIT; COPY t (id, e) TO STDOUT; COPY t (id) TO STDOUT",
        "COPY t (id, e) FROM STDIN; SELECT 1 / 0",
        "CREATE TEMP TABLE made (id int, e text); COPY made FROM STDIN; SELECT * FROM made",
        "COPY t (id, e) FROM STDIN; ROLLBACK",
    ];
    for text in texts {
        let mut said = Vec::new();
        for raw in [&mut pair.plain, &mut pair.sealed] {
            raw.send(&query(text));
            let (mut answers, mut id) = (Vec::new(), 10);
            while answers.last().is_none_or(|m: &Message| m.tag != b'Z') {
                let answer = raw.next();
                if answer.tag == b'G' {
                    id += 10;
                    raw.send(&[data(format!("{id}\tx\n{}\ty\n", id + 1).as_bytes()), done()].concat());
                }
                answers.push(answer);
            }
            said.push(transcript(&answers));
        }
        assert_eq!(said[1], said[0], "{text}");
        pair.same("SELECT * FROM t ORDER BY id");
        pair.same("TRUNCATE t");
    }
}

#[test]
fn transactions_hold_what_was_loaded() {
    let mut pair = Pair::new(TABLE);
    pair.same("BEGIN");
    pair.load(FROM, &[b"1\ta\n"]);
    pair.same("SELECT e FROM t");
    pair.same("SAVEPOINT s");
    pair.load("COPY t (id, n) FROM STDIN", &[b"2\tnone\n"]);
    pair.same("SELECT 1");
    pair.same("ROLLBACK TO s");
    pair.load(FROM, &[b"2\tb\n"]);
    pair.same("COPY t (id, e) TO STDOUT");
    pair.same("COMMIT");
    assert_eq!(pair.take_rows().len(), 2);
    pair.same("BEGIN");
    pair.same("TRUNCATE t");
    pair.load("COPY t (id, e) FROM STDIN (FREEZE)", &[b"1\ta\n"]);
    pair.same("COMMIT");
    pair.load("COPY t (id, e) FROM STDIN (FREEZE)", &[b"2\ta\n"]);
    assert_eq!(pair.take_rows().len(), 1);
    pair.same("BEGIN READ ONLY");
    pair.load(FROM, &[b"1\ta\n"]);
    pair.same("ROLLBACK");
}

#[test]
fn the_client_may_give_up() {
    let mut pair = Pair::new(TABLE);
    let fail = || message(b'f', b"no more\0");
    let said = pair.ask(&[query(FROM), data(b"1\ta\n"), fail()], 1);
    assert!(said.ends_with("E ERROR 57014\nZ I"), "{said}");
    pair.sealed.send(&[query(FROM), data(b"1\ta\n"), fail()].concat());
    let answers = pair.sealed.until_ready();
    let told = answers.iter().find_map(Message::error).unwrap();
    assert_eq!(told.message, "COPY from stdin failed: no more");
    assert_eq!(field(&answers, 'W').as_deref(), Some("COPY t, line 2"));
    pair.ask(&[parse("", FROM, &[]), bind("", "", &[]), execute("", 0), data(b"1\ta\n"), fail(), sync()], 1);
    // Something else instead of rows ends the connection.
    let mut other = pair.twin.raw_sealed();
    let said = transcript(&other.ask(&[query(FROM), data(b"1\ta\n"), query("SELECT 1")].concat()));
    assert!(said.ends_with("E FATAL 08P01") && other.try_next().is_none(), "{said}");
    // Rows for a COPY that is over go nowhere.
    pair.ask(&[query(FROM), data(b"1\n"), data(b"2\tb\n"), done(), data(b"3\tc\n"), query("SELECT 1")], 2);
    pair.ask(&[query("COPY t (nothing) FROM STDIN"), data(b"2\tb\n"), done(), query("SELECT 1")], 2);
    pair.take_rows();
}

#[test]
fn nothing_is_kept_of_a_client_that_leaves() {
    let pair = Pair::new(TABLE);
    for last in [terminate(), Vec::new()] {
        let mut raw = Raw::connect(pair.twin.proxy.port, "sealed");
        raw.send(&query(FROM));
        assert_eq!(raw.next().tag, b'G');
        raw.send(&[data(b"1\ta\n2\tb\n"), last].concat());
        drop(raw);
        eventually("the server has let go", || {
            let open = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY t %' AND datname = 'sealed'";
            (pair.twin.direct.superuser(open) == "0").then_some(())
        });
        assert_eq!(pair.twin.stored("SELECT count(*) FROM t"), "0\n");
    }
}

#[test]
fn a_cancel_reaches_a_copy() {
    let pair = Pair::new(TABLE);
    let mut raw = pair.twin.raw_sealed();
    raw.send(&query(FROM));
    assert_eq!(raw.next().tag, b'G');
    raw.send(&data(b"1\ta\n"));
    let (pid, key) = raw.key.clone().unwrap();
    let mut other = Raw::over(tcp(pair.twin.proxy.port));
    other.send(&cancel_request(pid, &key));
    assert!(other.try_next().is_none());
    // The server looks up when the next rows come.
    for id in 2..50 {
        raw.send(&data(format!("{id}\tb\n").repeat(1).as_bytes()));
    }
    raw.send(&done());
    let said = transcript(&raw.until_ready());
    assert!(said.contains("E ERROR 57014"), "{said}");
    assert_eq!(raw.rows("SELECT count(*) FROM t"), ["0"]);
}

#[test]
fn a_revocation_ends_a_copy() {
    let twin = Pair::new(TABLE).twin;
    let mut raw = twin.raw_sealed();
    load(&mut raw, FROM, &[b"1\ta\n"]);
    let mut reader = twin.raw_sealed();
    assert_eq!(reader.rows("SELECT e FROM t"), ["a"]);
    raw.send(&query(FROM));
    assert_eq!(raw.next().tag, b'G');
    raw.send(&data(b"2\tb\n"));
    twin.workspace.revoke(&twin.client, None);
    eventually("it is revoked", || reader.query("SELECT e FROM t").contains("42501").then_some(()));
    raw.send(&[data(b"3\tmark-revoked\n"), done()].concat());
    let said = transcript(&raw.until_ready());
    assert_eq!(said, "E ERROR 42501\nZ I");
    assert_eq!(raw.rows("SELECT count(*) FROM t"), ["1"]);
    assert!(reader.query("COPY t TO STDOUT").contains("E ERROR 42501"));
    assert!(!twin.relay.sent().windows(12).any(|w| w == b"mark-revoked"));
}

#[test]
fn long_rows_and_long_messages_are_cut_and_joined() {
    let mut pair = Pair::new(TABLE);
    let long = "x".repeat(3_000_000);
    let rows: String = (1..4).map(|id| format!("{id}\t{long}\t7\t{long}\n")).collect();
    pair.load("COPY t FROM STDIN", &[rows.as_bytes()]);
    let (head, tail) = rows.as_bytes().split_at(4_000_001);
    pair.same("SELECT id, length(p) FROM t ORDER BY id");
    pair.same("TRUNCATE t");
    pair.load("COPY t FROM STDIN CSV DELIMITER E'\\t'", &[head, tail]);
    assert_eq!(pair.sealed.rows("SELECT e FROM t WHERE id = 3"), [long.as_str()]);
    pair.same("COPY t TO STDOUT");
    // The rest of a message that failed is not taken for messages.
    let mut bad = b"9\tx\tnone\tx\n".to_vec();
    bad.extend(rows.as_bytes());
    pair.load("COPY t FROM STDIN", &[&bad]);
    pair.load("COPY t FROM STDIN", &[rows.as_bytes()]);
    pair.take_rows();
}
