//! COPY and dumps of columns that are arrays of encrypted values.

use super::dump::{dump, other, restore};
use super::{Pair, load, unload};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, a seal.text_eq[], n seal.int4_ord[], d seal.date[], p text);
    CREATE INDEX t_a ON t USING gin (a);";

const LOADS: &[(&str, &str)] = &[
    ("COPY t (id, a, n, p) FROM STDIN", "1\t{a,b}\t{1,2}\tx\n2\t{}\t\\N\ty\n3\t\\N\t{NULL,3}\tz\n"),
    ("COPY t (id, a) FROM STDIN", "1\t{\"a,b\",\"say \\\\\"hi\\\\\"\",NULL,\"\",\"NULL\"}\n"),
    ("COPY t (id, a, n) FROM STDIN", "1\t{{a,b},{c,d}}\t[0:1]={5,6}\n"),
    ("COPY t (a, id) FROM STDIN CSV", "\"{a,\"\"b c\"\"}\",1\n,2\n{},3\n"),
    ("COPY t (id, d) FROM STDIN", "1\t{2000-01-01,infinity}\n"),
    ("COPY t (id, a) FROM STDIN", "1\t{a\n"),
    ("COPY t (id, a) FROM STDIN", "1\ta\n"),
    ("COPY t (id, n) FROM STDIN", "1\t{1,x}\n"),
    ("COPY t (id, n) FROM STDIN", "1\t{{1},{2,3}}\n"),
    ("COPY t (id, a) FROM STDIN", "1\t[2147483646:2147483646]={a}\n"),
    ("COPY t (id, a) FROM STDIN", "1\t[2147483647:2147483647]={a}\n"),
    ("COPY t (id, n) FROM STDIN", "1\t[1:1][2147483647:2147483647]={{1}}\n"),
];

#[test]
fn rows_with_arrays_are_copied() {
    let mut pair = Pair::new(TABLE);
    for (sql, data) in LOADS {
        pair.load_both_ways(sql, data);
        for out in ["COPY t TO STDOUT", "COPY t (id, a) TO STDOUT CSV", "COPY (SELECT a, a[1], n FROM t) TO STDOUT"] {
            assert_eq!(unload(&mut pair.sealed, out), unload(&mut pair.plain, out), "{out}");
        }
        let out = "COPY t TO STDOUT BINARY";
        let (plain, sealed) = (unload(&mut pair.plain, out), unload(&mut pair.sealed, out));
        assert_eq!(sealed, plain, "{out}");
        pair.same("TRUNCATE t");
        pair.load("COPY t FROM STDIN BINARY", &[&plain]);
        pair.take_rows();
    }
}

/// One row takes more keys than are at hand at once.
#[test]
fn long_arrays_are_copied() {
    let mut pair = Pair::new(TABLE);
    let many = (0..3000).map(|n| format!("mark{n}")).collect::<Vec<_>>().join(",");
    let row = format!("1\t{{{many}}}\t{{1}}\n2\t{{{many}}}\t{{2}}\n");
    pair.load("COPY t (id, a, n) FROM STDIN", &[row.as_bytes()]);
    pair.same("SELECT id, cardinality(a), a[2999] FROM t ORDER BY id");
    assert_eq!(pair.twin.stored("SELECT count(*) FROM t WHERE t::text LIKE '%mark%'"), "0\n");
    assert_eq!(pair.take_rows().len(), 2);
    assert!(!pair.twin.relay.sent().windows(5).any(|w| w == b"mark9"));
    load(&mut pair.sealed, "COPY t (id, a) FROM STDIN", &[b"1\tmark9\n"]);
    assert!(!pair.twin.relay.sent().windows(5).any(|w| w == b"mark9"));
}

#[test]
fn dumps_hold_arrays() {
    let pair = Pair::new(TABLE);
    pair.twin.sealed.sql(
        "INSERT INTO t VALUES (1, '{marta,\"b c\",NULL}', '{1,2}', NULL, 'p'), (2, '{}', '{{3},{4}}', '[2:2]={2000-01-01}', NULL)",
    );
    let all = "SELECT * FROM t ORDER BY id";
    let dumped = dump(&pair.twin.sealed, &["--exclude-schema=seal", "--no-owner"]);
    assert!(dumped.contains("{marta,\"b c\",NULL}"), "{dumped}");
    let found = "SELECT id FROM t WHERE a @> '{marta}' AND 2 = ANY (n)";
    let (database, proxy) = other(&pair, true);
    let through = proxy.database(&pair.twin.cluster);
    restore(&through, &dumped);
    assert_eq!(through.sql(all), pair.twin.sealed.sql(all));
    assert_eq!(through.sql(found), "1\n");
    let index = database.sql("SELECT indexdef FROM pg_indexes WHERE indexname = 't_a'");
    assert!(index.contains("USING gin (seal.eq(a))"), "{index}");
    assert!(!database.sql("SELECT string_agg(t::text, '') FROM t").contains("marta"), "ciphertext is stored");
}
