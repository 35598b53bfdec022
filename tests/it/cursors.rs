//! Cursors declared by SQL over encrypted columns: as on a plain table.

use crate::support::raw::{
    bind, bind_as, close_portal, describe_portal, describe_statement, execute, parse, query, sync, transcript, unsynced,
};
use crate::support::{Pair, Twin};

const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, i seal.int4_ord, d seal.timestamptz, p text);
    CREATE TABLE w (id int, b bytea);
    INSERT INTO w VALUES (1, 'plain');
    INSERT INTO t VALUES (1, 'a', 10, '2024-01-01 00:00+00', 'x'), (2, 'b', 20, '2024-06-01 00:00+00', 'y'),
        (3, NULL, NULL, NULL, NULL), (4, 'a', 5, NULL, 'z'), (5, 'c', -1, '2020-02-02 00:00+00', 'u');";

fn twin() -> Twin {
    Twin::of(TABLES)
}

#[test]
fn rows_are_read_in_every_direction() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    let directions = [
        "NEXT",
        "PRIOR",
        "FIRST",
        "LAST",
        "ABSOLUTE 2",
        "ABSOLUTE -1",
        "RELATIVE -2",
        "RELATIVE 0",
        "0",
        "2",
        "ALL",
        "-3",
        "BACKWARD",
        "BACKWARD 2",
        "BACKWARD ALL",
        "FORWARD",
        "FORWARD 3",
        "FORWARD ALL",
        "FORWARD 0",
        "ABSOLUTE 0",
    ];
    for query in [
        "SELECT id, e, i, d, p FROM t ORDER BY id",
        "SELECT * FROM t ORDER BY i DESC",
        "SELECT e FROM t WHERE e = 'a' ORDER BY id",
        "SELECT a.e, b.i FROM t a JOIN t b ON a.e = b.e ORDER BY a.id, b.id",
        "SELECT e FROM t WHERE id = 1 UNION ALL SELECT e FROM t WHERE id = 2",
        "TABLE t",
    ] {
        pair.each(&["BEGIN", &format!("DECLARE c SCROLL CURSOR FOR {query}")]);
        for direction in directions {
            pair.each(&[&format!("FETCH {direction} FROM c")]);
        }
        for direction in directions {
            pair.each(&[&format!("MOVE {direction} IN c"), "FETCH c"]);
        }
        pair.each(&["CLOSE c", "FETCH c", "COMMIT"]);
    }
    let all = pair.each(&["BEGIN", "DECLARE c CURSOR FOR SELECT e FROM t WHERE i > 5 ORDER BY i", "FETCH ALL c"]);
    assert!(all.contains("D a\nD b"), "{all}");
}

#[test]
fn options_and_errors_are_those_of_postgresql() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    for script in [
        &["DECLARE c CURSOR FOR SELECT e FROM t"][..],
        &[
            "BEGIN",
            "DECLARE c NO SCROLL CURSOR FOR SELECT e FROM t ORDER BY id",
            "FETCH 2 c",
            "FETCH PRIOR c",
            "ROLLBACK",
        ],
        &[
            "BEGIN",
            "DECLARE c INSENSITIVE CURSOR WITHOUT HOLD FOR SELECT e FROM t",
            "DELETE FROM t WHERE id = 5",
            "FETCH ALL c",
            "ROLLBACK",
        ],
        &[
            "BEGIN",
            "DECLARE c CURSOR FOR SELECT e FROM t",
            "DECLARE c CURSOR FOR SELECT i FROM t",
            "FETCH c",
            "ROLLBACK",
        ],
        &[
            "BEGIN",
            "DECLARE c CURSOR FOR SELECT e, 1/(id - 3) FROM t ORDER BY id",
            "FETCH 2 c",
            "FETCH 2 c",
            "FETCH c",
            "COMMIT",
        ],
        &[
            "BEGIN",
            "DECLARE c CURSOR FOR SELECT e FROM t; FETCH 1 FROM c; MOVE 1 IN c; FETCH ALL FROM c; CLOSE c",
            "COMMIT",
        ],
        &["BEGIN; DECLARE c CURSOR FOR SELECT e FROM t ORDER BY id; FETCH 2 FROM c; COMMIT"],
        &["BEGIN", "DECLARE c CURSOR FOR SELECT count(*) FROM t WHERE e = 'a'", "FETCH c", "COMMIT"],
        &[
            "BEGIN",
            "DECLARE \"cursor\" CURSOR FOR SELECT e FROM t ORDER BY id FOR UPDATE",
            "FETCH \"cursor\"",
            "FETCH Cursor",
            "COMMIT",
        ],
        &[
            "BEGIN",
            "DECLARE \"C \"\"x\" CURSOR FOR SELECT e FROM t ORDER BY id",
            "FETCH \"C \"\"x\"",
            "FETCH c",
            "COMMIT",
        ],
        &["FETCH c", "MOVE c", "CLOSE c", "CLOSE ALL", "BEGIN", "FETCH c", "COMMIT"],
        &["BEGIN", "DECLARE c CURSOR FOR SELECT nothing FROM t", "ROLLBACK"],
        &["BEGIN", "DECLARE c CURSOR FOR SELECT id FROM t WHERE i = 'x'", "ROLLBACK"],
    ] {
        pair.each(script);
    }
}

#[test]
fn cursors_end_as_in_postgresql() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    const C: &str = "DECLARE c CURSOR FOR SELECT e FROM t ORDER BY id";
    const H: &str = "DECLARE h CURSOR WITH HOLD FOR SELECT e, i FROM t ORDER BY id";
    for script in [
        &["BEGIN", C, "FETCH c", "COMMIT", "FETCH c"][..],
        &["BEGIN", C, "FETCH c", "COMMIT AND CHAIN", "FETCH c", "COMMIT"],
        &[
            "BEGIN",
            H,
            "FETCH h",
            "COMMIT",
            "FETCH h",
            "BEGIN",
            "FETCH h",
            "ROLLBACK",
            "FETCH ALL h",
            "CLOSE h",
            "FETCH h",
        ],
        &["BEGIN", H, "ROLLBACK", "FETCH h"],
        &[H, "FETCH 2 h", "SELECT 1/0", "FETCH 2 h", "DISCARD ALL", "FETCH h"],
        &["BEGIN", "SAVEPOINT s", C, "FETCH c", "ROLLBACK TO s", "FETCH c", "ROLLBACK"],
        &[
            "BEGIN",
            C,
            "SAVEPOINT s",
            "FETCH 2 c",
            "DECLARE c CURSOR FOR SELECT i FROM t",
            "ROLLBACK TO s",
            "FETCH c",
            "COMMIT",
        ],
        &["BEGIN", C, "CLOSE ALL", "DECLARE c CURSOR FOR SELECT * FROM w", "FETCH c", "COMMIT"],
        &["BEGIN", "SAVEPOINT s", C, "ROLLBACK TO s", "DECLARE c CURSOR FOR SELECT * FROM w", "FETCH ALL c", "COMMIT"],
        &["BEGIN", "DECLARE c CURSOR FOR SELECT id, b FROM w", "FETCH c", "CLOSE c", C, "FETCH c", "COMMIT"],
        &[H, "BEGIN", C, "FETCH h", "FETCH c", "COMMIT", "FETCH h", "FETCH c", "CLOSE ALL", "FETCH h"],
    ] {
        pair.each(script);
    }
}

#[test]
fn the_extended_protocol_declares_and_fetches() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    pair.each(&["BEGIN"]);
    let declare = "DECLARE c SCROLL CURSOR FOR SELECT id, e, i FROM t WHERE e = $1 OR i > $2 ORDER BY id";
    pair.same("described", &[parse("s", declare, &[]), describe_statement("s"), sync()].concat(), 1);
    let values = &[Some("c"), Some("9")];
    let all = [bind("", "s", values), describe_portal(""), execute("", 0), unsynced("FETCH 2 FROM c", &[]), sync()];
    let rows = pair.same("in one batch", &all.concat(), 1);
    assert!(rows.contains("D 1|a|10"), "{rows}");
    pair.same(
        "binary",
        &[
            parse("f", "FETCH ALL FROM c", &[]),
            describe_statement("f"),
            bind_as("", "f", &[], &[], &[1]),
            execute("", 0),
            sync(),
        ]
        .concat(),
        1,
    );
    pair.same(
        "mixed",
        &[
            query("MOVE ABSOLUTE 0 IN c"),
            bind_as("", "f", &[], &[], &[0, 1, 0]),
            describe_portal(""),
            execute("", 0),
            sync(),
        ]
        .concat(),
        2,
    );
    pair.same("the cursor itself", &[describe_portal("c"), sync()].concat(), 1);
    pair.same(
        "in portions",
        &[
            query("MOVE FIRST IN c"),
            bind("p", "f", &[]),
            execute("p", 1),
            sync(),
            execute("p", 1),
            sync(),
            execute("p", 0),
            sync(),
        ]
        .concat(),
        4,
    );
    pair.same("closed", &[close_portal("c"), unsynced("FETCH c", &[]), sync(), query("ROLLBACK")].concat(), 2);
    pair.same(
        "another under its name",
        &[
            query("BEGIN"),
            query("DECLARE c CURSOR FOR SELECT id, e, i FROM t ORDER BY id"),
            bind("", "f", &[]),
            execute("", 0),
            sync(),
            query("COMMIT"),
        ]
        .concat(),
        4,
    );
    // Rows of a cursor can be had by FETCH alone.
    pair.sealed
        .send(&[query("BEGIN"), query("DECLARE c CURSOR FOR SELECT e FROM t"), execute("c", 0), sync()].concat());
    let answers: Vec<String> = (0..3).map(|_| transcript(&pair.sealed.until_ready())).collect();
    assert!(answers[2].starts_with("E ERROR 0A000"), "{answers:?}");
}

#[test]
fn binary_cursors_give_binary() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    pair.each(&[
        "BEGIN",
        "DECLARE c BINARY CURSOR FOR SELECT id, e, i, d FROM t ORDER BY id",
        "FETCH 2 c",
        "DECLARE w BINARY CURSOR FOR SELECT id FROM w",
        "FETCH w",
        "FETCH 1 FROM c; FETCH ALL FROM c",
        "COMMIT",
    ]);
}

#[test]
fn rows_at_a_cursor_are_changed() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    pair.each(&[
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT id, e FROM t WHERE e = 'a' FOR UPDATE",
        "FETCH 2 c",
        "UPDATE t SET e = 'changed', i = 7 WHERE CURRENT OF c",
        "SELECT id, e, i FROM t ORDER BY id",
        "DELETE FROM t WHERE CURRENT OF c",
        "SELECT id, e, i FROM t ORDER BY id",
        "MOVE PRIOR IN c",
        "ROLLBACK",
        "BEGIN",
        "DECLARE c CURSOR FOR SELECT e FROM t ORDER BY id",
        "FETCH c",
        "UPDATE t SET e = 'x' WHERE CURRENT OF c RETURNING id, e",
        "ROLLBACK",
        "BEGIN",
        "UPDATE t SET e = 'x' WHERE CURRENT OF nowhere",
        "ROLLBACK",
    ]);
}

#[test]
fn a_swapped_term_is_found_out_by_fetch() {
    let twin = twin();
    twin.stored("UPDATE t SET e.eq = (SELECT (e).eq FROM t WHERE id = 1) WHERE id = 2");
    let mut raw = twin.raw_sealed();
    raw.query("BEGIN");
    raw.query("DECLARE c CURSOR FOR SELECT id, e FROM t WHERE e = 'a' ORDER BY id");
    assert_eq!(raw.rows("FETCH c"), ["1|a"]);
    assert_eq!(raw.error("FETCH c").code, "XX001");
    assert!(raw.query("SELECT 1").contains("25P02"));
}
