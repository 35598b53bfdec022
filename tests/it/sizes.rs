//! The most that PostgreSQL allows of everything: columns, parameters, rows, long values, pipelines. In bounded memory.

use crate::support::raw::{self, Raw, transcript};
use crate::support::{Pair, Twin};

/// Memory that a proxy may need on top of what it has, in KiB, whatever passes through it.
const BOUND: u64 = 12 * 1024;

#[test]
fn sixteen_hundred_columns() {
    let twin = Twin::start();
    let columns: Vec<String> = (2..=1600)
        .map(|n| match n % 400 {
            0 => format!("c{n} seal.text_eq"),
            _ => format!("c{n} int"),
        })
        .collect();
    twin.create(&format!("CREATE TABLE wide (id int PRIMARY KEY, {})", columns.join(", ")));
    let mut pair = Pair::new(&twin);
    pair.each(&["INSERT INTO wide (id, c2, c400, c1600) VALUES (1, 2, 'four hundred', 'last'), (2, NULL, NULL, 'x')"]);
    let all = pair.each(&["SELECT * FROM wide ORDER BY id"]);
    assert!(all.contains("four hundred") && all.contains("last"));
    pair.same("extended", &raw::extended("SELECT * FROM wide WHERE c1600 = $1", &[Some("last")]), 1);
    let values: Vec<String> =
        (3..=1602).map(|n| if n % 400 == 2 { format!("'v{n}'") } else { n.to_string() }).collect();
    pair.each(&[&format!("INSERT INTO wide VALUES ({}) RETURNING *", values.join(", "))]);
    let many: Vec<String> = (0..1664).map(|_| "c400".to_owned()).collect();
    pair.each(&[
        &format!("SELECT {} FROM wide", many.join(", ")),
        &format!("SELECT {}, id FROM wide", many.join(", ")),
    ]);
}

#[test]
fn sixty_five_thousand_parameters() {
    let twin = Twin::start();
    twin.create("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, p text)");
    let mut pair = Pair::new(&twin);
    let rows = 65_535 / 3;
    let list: Vec<String> = (0..rows).map(|n| format!("(${}, ${}, ${})", 3 * n + 1, 3 * n + 2, 3 * n + 3)).collect();
    let values: Vec<String> =
        (0..rows).flat_map(|n| [n.to_string(), format!("e{}", n % 100), format!("p{n}")]).collect();
    let values: Vec<Option<&str>> = values.iter().map(|v| Some(v.as_str())).collect();
    pair.same("insert", &raw::extended(&format!("INSERT INTO t VALUES {}", list.join(", ")), &values), 1);
    let list: Vec<String> = (1..=65_535).map(|n| format!("${n}")).collect();
    let values: Vec<String> = (0..65_535).map(|n| format!("e{}", n * 3)).collect();
    let values: Vec<Option<&str>> = values.iter().map(|v| Some(v.as_str())).collect();
    let sql = format!("SELECT count(*), min(id) FROM t WHERE e IN ({})", list.join(", "));
    pair.same("in", &raw::extended(&sql, &values), 1);
}

#[test]
fn long_values() {
    let twin = Twin::start();
    twin.create("CREATE TABLE t (id int PRIMARY KEY, e seal.text, p text)");
    // Warm, so that what is measured is the value.
    let mut pair = Pair::new(&twin);
    pair.each(&["INSERT INTO t VALUES (1, 'e', 'p')", "SELECT * FROM t"]);
    let before = twin.proxy.peak();
    let length = 400_000_000u64;
    let mut raw = twin.raw_sealed();
    raw.send(&raw::query(&format!("SELECT repeat('x', {length})")));
    assert!(swallow(raw, "SELECT 1") > length, "all of it came");
    let grown = twin.proxy.peak() - before;
    assert!(grown < BOUND, "{grown} KiB for a plain value");
    let long = "long ✓ ".repeat(4_000_000);
    pair.same("insert", &raw::extended("INSERT INTO t VALUES (2, $1, 'p') RETURNING id", &[Some(&long)]), 1);
    let (plain, sealed) = (&mut pair.plain, &mut pair.sealed);
    let ask = raw::query("SELECT id, e FROM t ORDER BY id");
    assert!(transcript(&plain.ask(&ask)) == transcript(&sealed.ask(&ask)), "the long value comes back");
}

/// Reads everything up to the end of the session, the last of which is this command tag; how many bytes.
#[track_caller]
fn swallow(mut raw: Raw, tag: &str) -> u64 {
    raw.send(&raw::terminate());
    let (mut all, mut buffer, mut tail) = (0, vec![0; 1 << 20], Vec::new());
    while let Ok(n @ 1..) = raw.read(&mut buffer) {
        all += n as u64;
        tail.extend_from_slice(&buffer[n.saturating_sub(64)..n]);
        tail.drain(..tail.len().saturating_sub(64));
    }
    let end = [tag.as_bytes(), b"\0Z\0\0\0\x05I"].concat();
    assert!(tail.ends_with(&end), "{tag}: {}", tail.escape_ascii());
    all
}

#[test]
fn millions_of_rows() {
    let twin = Twin::start();
    twin.create("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq)");
    twin.sealed.sql("INSERT INTO t VALUES (1, 'person@example.com'); SELECT * FROM t");
    let before = twin.proxy.peak();
    let rows = |sql: &str, tag: &str| {
        let mut raw = twin.raw_sealed();
        raw.send(&raw::query(sql));
        swallow(raw, tag)
    };
    assert!(rows("SELECT n FROM generate_series(1, 3000000) n", "SELECT 3000000") > 3_000_000 * 12);
    assert!(rows("SELECT e FROM t, generate_series(1, 200000)", "SELECT 200000") > 200_000 * 25);
    let grown = twin.proxy.peak() - before;
    assert!(grown < BOUND, "{grown} KiB");
}

#[test]
fn ten_thousand_messages_in_one_go() {
    let twin = Twin::start();
    twin.create("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, CHECK (id <> 5000))");
    let mut pair = Pair::new(&twin);
    let insert =
        |n: usize| raw::unsynced("INSERT INTO t VALUES ($1, $2)", &[Some(&n.to_string()), Some(&format!("e{n}"))]);
    let all: Vec<u8> = (0..2500).flat_map(insert).chain(raw::sync()).collect();
    pair.same("10,000 messages", &all, 1);
    let failing: Vec<u8> =
        (2500..7500).flat_map(insert).chain(raw::sync()).chain(raw::query("SELECT count(*) FROM t")).collect();
    pair.same("an error in the middle takes the batch back", &failing, 2);
    let each: Vec<u8> = (4900..5100).flat_map(|n| [insert(n), raw::sync()].concat()).collect();
    pair.same("with a Sync each, an error is one statement's", &each, 200);
    let named: Vec<u8> = (0..5000)
        .flat_map(|n| raw::parse(&format!("s{n}"), "SELECT id FROM t WHERE e = $1", &[]))
        .chain(raw::sync())
        .collect();
    pair.same("5,000 statements by name", &named, 1);
    let used: Vec<u8> = [4999, 0, 2500]
        .iter()
        .flat_map(|n| [raw::bind("", &format!("s{n}"), &[Some("e7")]), raw::execute("", 0)].concat())
        .chain(raw::sync())
        .collect();
    let got = pair.same("any of them can be used", &used, 1);
    assert_eq!(got.matches("SELECT 1").count(), 3, "{got}");
}
