//! COPY FROM STDIN.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Pair, TABLE, field, load, unload};
use crate::support::raw::{Raw, transcript};

/// Statements and data that both sides must treat alike, good and bad.
const LOADS: &[(&str, &str)] = &[
    ("COPY t FROM STDIN", "1\ta\t7\tx\n2\t\\N\t\\N\t\\N\n3\t\t-1\t\n"),
    ("COPY t FROM STDIN", ""),
    ("COPY t FROM STDIN", "1\ta\\tb\\n\\\\\\x41\\101\t 7 \ty"),
    ("COPY t FROM STDIN", "1\ta\\\nb\t7\tx\\\ny\n2\tb\t8\tz\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\r\n2\tb\t8\ty\r\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\r2\tb\t8\ty\r"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\n\\.\n2\tb\tnever read\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\\.\nnever read"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\n\\."),
    ("COPY t (e, id) FROM STDIN", "a\t1\n\\N\t2\n"),
    ("COPY public.t (id, e) FROM stdin;", "1\tü \u{1f512}\n"),
    ("COPY \"t\" (\"id\", \"n\") FROM STDIN WITH (FORMAT text, FREEZE false)", "1\t5\n"),
    ("COPY t (id, e) FROM STDIN WITH (DELIMITER ',', NULL 'nil')", "1,nil\n2,a\\,b\n3,\\nil\n4,nilly\n"),
    ("COPY t (id, e) FROM STDIN DELIMITER '|' NULL ''", "1|\n2|a\\|b\n"),
    ("COPY t (id, e) FROM STDIN DELIMITERS ';'", "1;a\n"),
    ("COPY t (id, e) FROM STDIN (DELIMITER '(')", "1(a\n2(\\(\n"),
    ("COPY t (id, e) FROM STDIN (DELIMITER E'\\x01')", "1\u{1}a\n"),
    ("COPY t FROM STDIN CSV", "1,a,7,x\n2,,,\n3,\"\",\"8\",\"\"\n"),
    ("COPY t FROM STDIN WITH CSV HEADER", "id,e,n,p\n1,\"a,\"\"b\n\",7,\"x\ny\"\n2,b,8,z\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, HEADER match)", "id,e\n1,a\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, HEADER match)", "\"id\",\"e\"\r\n1,a\r\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, HEADER match)", "e,id\n1,a\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, HEADER match)", "id\n1,a\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, HEADER match)", ""),
    ("COPY t (id, e) FROM STDIN (HEADER match)", "id\te\n1\ta\n"),
    ("COPY t (id, e) FROM STDIN (HEADER match)", "id\t\\N\n1\ta\n"),
    ("COPY t (id, e) FROM STDIN (HEADER)", "a value by mistake\n1\ta\n"),
    ("COPY t (id, e) FROM STDIN (HEADER 1, FORMAT 'csv')", "x\n1,a\n"),
    ("COPY t (id, e) FROM STDIN CSV QUOTE '''' ESCAPE '\\' DELIMITER ';'", "1;'a\\'b\\\\;'\n2;\\'\\'\n"),
    ("COPY t (id, e) FROM STDIN CSV QUOTE '\"' ESCAPE '\"' NULL 'nil'", "1,nil\n2,\"nil\"\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NULL (e))", "1,nil\n2,\"nil\"\n3,\"a\"\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NOT_NULL (e))", "1,nil\n2,\"nil\"\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, NULL 'nil', FORCE_NULL (e), FORCE_NOT_NULL (e))", "1,nil\n2,\"nil\"\n"),
    ("COPY t (id, e) FROM STDIN CSV FORCE NOT NULL e", "1,\n2,\"\"\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, FORCE_NULL (n))", "1,a\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, FORCE_NULL (nothing))", "1,a\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, FORCE_QUOTE (e))", "1,a\n"),
    ("COPY t (id, e) FROM STDIN (FORCE_NULL (e))", "1,a\n"),
    ("COPY t (id, e) FROM STDIN (FORMAT csv, ENCODING 'utf-8')", "1,ü\n"),
    ("COPY t (id, e) FROM STDIN CSV", "1,a\n\\.\n2,b\n"),
    ("COPY t (id, e) FROM STDIN CSV", "1,\\.\n2,\\N\n"),
    ("COPY t FROM STDIN WHERE id > 1", "1\ta\t7\tx\n2\tb\t8\ty\n"),
    ("COPY t FROM STDIN WHERE p = 'y' AND e IS NOT NULL", "1\ta\t7\tx\n2\tb\t8\ty\n3\t\\N\t8\ty\n"),
    // Columns and formats that are not there.
    ("COPY t (id, nothing) FROM STDIN", ""),
    ("COPY t (id, e, id) FROM STDIN", ""),
    ("COPY nothing FROM STDIN", ""),
    ("COPY t FROM STDIN (FORMAT xml)", ""),
    ("COPY t FROM STDIN (FORMAT csv, FORMAT csv)", ""),
    ("COPY t FROM STDIN (FORMAT binary, DELIMITER ',')", ""),
    ("COPY t FROM STDIN (FORMAT binary, NULL '')", ""),
    ("COPY t FROM STDIN (FORMAT binary, HEADER)", ""),
    ("COPY t FROM STDIN (DELIMITER 'ab')", ""),
    ("COPY t FROM STDIN (DELIMITER 'a')", ""),
    ("COPY t FROM STDIN (DELIMITER E'\\n')", ""),
    ("COPY t FROM STDIN (NULL E'\\n')", ""),
    ("COPY t FROM STDIN (QUOTE '\"')", ""),
    ("COPY t FROM STDIN (ESCAPE '\"')", ""),
    ("COPY t FROM STDIN (FORMAT csv, QUOTE 'ab')", ""),
    ("COPY t FROM STDIN (FORMAT csv, QUOTE ',')", ""),
    ("COPY t FROM STDIN (FORMAT csv, NULL ',')", ""),
    ("COPY t FROM STDIN (FORMAT csv, NULL '\"')", ""),
    ("COPY t FROM STDIN (HEADER maybe)", ""),
    ("COPY t FROM STDIN (NOTHING 1)", ""),
    ("COPY t FROM STDIN (FREEZE maybe)", ""),
    // Data that is not as it should be.
    ("COPY t FROM STDIN", "1\ta\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\ty\n"),
    ("COPY t (e, n) FROM STDIN", "\n"),
    ("COPY t FROM STDIN", "1\ta\tx\ty\n"),
    ("COPY t FROM STDIN", "1\ta\t99999999999\ty\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\n2\tb\tseven\ty\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\r\n2\tb\t8\ty\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\n2\tb\r\t8\ty\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\n\\.x\n"),
    ("COPY t FROM STDIN", "one\ta\t7\tx\n"),
    ("COPY t FROM STDIN", "1\ta\t7\tx\n1\tb\t8\ty\n"),
    ("COPY t FROM STDIN", "1000\ta\t7\tx\n"),
    ("COPY t FROM STDIN", "\\N\ta\t7\tx\n"),
    ("COPY t FROM STDIN", "1\ta\\0\t7\tx\n"),
    ("COPY t FROM STDIN", "1\ta\\377\t7\tx\n"),
    ("COPY t FROM STDIN CSV", "1,\"a,7,x\n2,b,8,y\n"),
    ("COPY t FROM STDIN CSV", "1,a\"b,7,x\n"),
    ("COPY t FROM STDIN CSV", "1,a,7,x\n2,b\r,8,y\n"),
    ("COPY t FROM STDIN CSV", "1,a,\"\",x\n"),
    ("COPY t (e) FROM STDIN", "a\n"),
];

#[test]
fn rows_and_errors_are_those_of_a_plain_table() {
    let mut pair = Pair::new(TABLE);
    for (sql, data) in LOADS {
        pair.load_both_ways(sql, data);
        pair.take_rows();
    }
    let stored = "COPY t (id, e) FROM STDIN";
    pair.load(stored, &[b"1\tmarker\n"]);
    assert_eq!(pair.twin.stored("SELECT count(*) FROM t WHERE t::text LIKE '%marker%'"), "0\n");
    assert_eq!(pair.sealed.rows("SELECT id FROM t WHERE e = 'marker'"), ["1"], "terms are stored too");
}

#[test]
fn errors_tell_the_place_and_never_the_value() {
    let mut pair = Pair::new(TABLE);
    let bad: &[(&str, &str, &str)] = &[
        ("COPY t FROM STDIN", "1\ta\t7\tx\n2\tb\tsecret\ty\n", "COPY t, line 2, column n"),
        ("COPY t FROM STDIN CSV HEADER", "id,e,n,p\n1,\"a\nb\",7,x\n2,b,secret,y\n", "COPY t, line 4, column n"),
        ("COPY t (n, id) FROM STDIN", "secret\t1\n", "COPY t, line 1, column n"),
        ("COPY t (e, id) FROM STDIN", "secret\n", "COPY t, line 1"),
        ("COPY t (id, e) FROM STDIN CSV", "1,a\n2,\"secret", "COPY t, line 2"),
        ("COPY t FROM STDIN", "1\ta\t7\tx\nnone\tsecret\t8\ty\n", "COPY t, line 2, column id"),
        ("COPY t FROM STDIN", "1\ta\t7\tx\n1000\tsecret\t8\ty\n", "COPY t, line 2"),
    ];
    for (sql, data, context) in bad {
        let answers = pair.load(sql, &[data.as_bytes()]);
        assert_eq!(field(&answers, 'W').as_deref(), Some(*context), "{sql} {data:?}: {answers:?}");
        let shown = format!("{:?}", answers.iter().find_map(|m| m.error()).unwrap());
        assert!(!shown.contains("secret") && !shown.contains("\\x"), "{shown}");
        assert_eq!(pair.take_rows(), [""; 0], "nothing stays of a COPY that failed");
    }
}

/// Every type, its edge values, and what prints them in another way.
const TYPES: &str = "CREATE TABLE t (id int PRIMARY KEY, a seal.bool, b seal.int2, c seal.int4_eq, d seal.int8_eq, f seal.float4,
    g seal.float8_eq, h seal.numeric_eq, i seal.text_eq, j seal.varchar, k seal.bpchar_eq, l seal.uuid_eq, m seal.date_eq, n seal.time,
    o seal.timetz, q seal.timestamp_eq, r seal.timestamptz_eq, s seal.interval, u seal.bytea_eq, v seal.json, w seal.jsonb_eq, x seal.inet_eq,
    y seal.cidr)";

const VALUES: &str = "INSERT INTO t VALUES
    (1, true, 32767, 2147483647, 9223372036854775807, 'NaN', 'Infinity', 'NaN', '', '', '', '00000000-0000-0000-0000-000000000000',
     'infinity', '24:00', '23:59:59.999999-12', '-infinity', 'infinity', '-1 year 3 days -04:05:06.789', '', 'null', 'null', '::1', '10.0.0.0/8'),
    (2, false, -32768, -2147483648, -9223372036854775808, '-0', '5e-324', '-1.50', E'tab\\t nl\\n cr\\r back\\\\ quote\" comma, bell\\b',
     E'\\\\.', 'x  ', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '0044-03-15 BC', '00:00:00.000001', '00:00+00', '294276-12-31 23:59:59.999999',
     '2000-01-01 02:00+02', '1 mon 30 days 24:00:00', '\\x00ff5c270a', '{ \"b\":1, \"a\":[\"x\\ty\"]}', '{\"k\": \"v,\\\\n\"}', '10.1.2.3/8',
     '2001:db8::/32'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, true, 0, 0, 0, 1.5, 0.1, '123456789012345678901234567890.123456789', '\\N', 'NULL', 'é', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
     '2024-02-29', '12:34:56', '12:34:56+05:30', '1969-07-20 20:17:40', '1969-07-20 20:17:40+00', '0', '\\x', '\"\"', '[]', '127.0.0.1',
     '192.168.1.0/24')";

/// Settings that change how values are printed and read.
const SETTINGS: &[&str] = &[
    "SET DateStyle = 'ISO, MDY'",
    "SET DateStyle = 'SQL, DMY'; SET TimeZone = 'America/New_York'; SET IntervalStyle = 'sql_standard'; SET bytea_output = 'escape'",
    "SET DateStyle = 'Postgres, MDY'; SET TimeZone = 'Europe/Berlin'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 0",
];

#[test]
fn every_type_goes_both_ways_in_every_format() {
    let mut pair = Pair::new(TYPES);
    pair.plain.query(VALUES);
    let formats = [
        "",
        "CSV",
        "CSV HEADER FORCE QUOTE *",
        "BINARY",
        "DELIMITER ',' NULL 'x'",
        "CSV DELIMITER '|' QUOTE '''' ESCAPE '\\'",
    ];
    for settings in SETTINGS {
        pair.same(settings);
        for format in formats {
            let to = format!("COPY t TO STDOUT {format}");
            let from = format!("COPY t FROM STDIN {}", format.replace(" FORCE QUOTE *", ""));
            let data = unload(&mut pair.plain, &to);
            let answers = load(&mut pair.sealed, &from, &[&data]);
            assert!(transcript(&answers).contains("C COPY 4"), "{from}: {answers:?}");
            let back = unload(&mut pair.sealed, &to);
            let both = [&data, &back].map(|d| String::from_utf8_lossy(d).into_owned());
            assert_eq!(back, data, "{to} under {settings}:\n{}\n{}", both[0], both[1]);
            let all = "SELECT * FROM t ORDER BY id";
            assert_eq!(pair.sealed.rows(all), pair.plain.rows(all), "{from} under {settings}");
            pair.sealed.query("TRUNCATE t");
        }
    }
}

#[test]
fn rows_may_be_cut_at_every_byte() {
    let mut pair = Pair::new(TABLE);
    pair.plain.query("INSERT INTO t VALUES (1, E'a\\\\\\n\\t\"b', 7, 'x,y'), (2, NULL, NULL, NULL)");
    for format in ["", "CSV", "BINARY"] {
        let data = unload(&mut pair.plain, &format!("COPY t TO STDOUT {format}"));
        for cut in 0..=data.len() {
            let sql = format!("COPY t FROM STDIN {format}");
            let answers = load(&mut pair.sealed, &sql, &[&data[..cut], &data[cut..]]);
            assert!(transcript(&answers).contains("C COPY 2"), "{sql} cut at {cut}: {answers:?}");
            let all = "SELECT * FROM t ORDER BY id";
            assert_eq!(pair.sealed.rows(all), pair.plain.rows(all), "{sql} cut at {cut}");
            pair.sealed.query("TRUNCATE t");
        }
    }
}

#[test]
fn broken_binary_data_is_refused_as_on_a_plain_table() {
    let mut pair = Pair::new(TABLE);
    pair.plain.query("INSERT INTO t VALUES (1, 'a', 7, 'x')");
    let good = unload(&mut pair.plain, "COPY t TO STDOUT BINARY");
    pair.plain.query("TRUNCATE t");
    for cut in 0..good.len() {
        pair.load("COPY t FROM STDIN BINARY", &[&good[..cut]]);
        pair.take_rows();
    }
    // A length of the integer's, a length beyond the end, a count, text that is not UTF-8, more after the end.
    for (at, byte) in [(20, 5), (20, 3), (24, 3), (29, 0x7f), (33, 0xff), (34, 0xff), (37, 5), (37, 3), (34, 0x7f)] {
        let mut bad = good.clone();
        bad[at] = byte;
        // PostgreSQL reads values before it has the whole row, so it may find another fault first.
        for raw in [&mut pair.plain, &mut pair.sealed] {
            let said = transcript(&load(raw, "COPY t FROM STDIN BINARY", &[&bad]));
            assert!(said.contains("E ERROR "), "{at} {byte}: {said}");
        }
        pair.take_rows();
    }
    pair.load("COPY t FROM STDIN BINARY", &[&good, b"more"]);
    pair.load("COPY t FROM STDIN BINARY", &[b"1\ta\t7\tx\n"]);
    pair.take_rows();
}

fn random_rows(pair: &mut Pair, format: &str, data: &str, cuts: &[usize]) {
    // The column that is plain and may be wrong stands last: in one row PostgreSQL tells the first fault.
    let sql = format!("COPY t (e, n, p, id) FROM STDIN {format}");
    let mut cuts: Vec<usize> = cuts.iter().copied().filter(|cut| *cut < data.len()).collect();
    cuts.sort_unstable();
    let ends: Vec<usize> = cuts.iter().copied().chain([data.len()]).collect();
    let starts = [0].into_iter().chain(cuts);
    let pieces: Vec<&[u8]> = starts.zip(ends).map(|(start, end)| &data.as_bytes()[start..end]).collect();
    if data.contains('\r') {
        // Where lines end so, PostgreSQL looks at one only once the next has begun: of two faults it may tell the other.
        let both =
            [&mut pair.plain, &mut pair.sealed].map(|raw| transcript(&load(raw, &sql, &pieces)).contains("E ERROR"));
        assert_eq!(both[0], both[1], "{sql}: {data:?}");
    } else {
        pair.load(&sql, &pieces);
    }
    pair.take_rows();
}

#[test]
fn random_data_split_at_random_is_read_alike() {
    let mut pair = Pair::new(TABLE);
    let field = prop_oneof![
        "[a-z]{0,4}",
        "[0-9]{1,4}",
        "[\"\\\\,\r\n\tNx.|']{0,5}",
        "\"[a\"\\\\,\n\t]{0,4}\"",
        Just("\\N".into())
    ];
    let row = (0..3000i32, prop::collection::vec(field, 2..5));
    let data = (prop::collection::vec(row, 0..4), prop::collection::vec(0usize..60, 0..5));
    let format = prop::sample::select(vec!["", "CSV", "CSV ESCAPE '\\' NULL 'x'", "DELIMITER '|' NULL 'x'"]);
    let cell = std::cell::RefCell::new(&mut pair);
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&(format, data), |(format, (rows, cuts))| {
        let delimiter = if format.starts_with("CSV") {
            ","
        } else if format.is_empty() {
            "\t"
        } else {
            "|"
        };
        let line = |(id, fields): &(i32, Vec<String>)| format!("{}{delimiter}{id}\n", fields.join(delimiter));
        let data: String = rows.iter().map(line).collect();
        random_rows(&mut cell.borrow_mut(), format, &data, &cuts);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn files_of_the_server_and_conditions_on_values_are_refused() {
    let mut pair = Pair::new(TABLE);
    for sql in [
        "COPY t FROM '/tmp/nothing'",
        "COPY t FROM PROGRAM 'true'",
        "COPY t TO '/tmp/nothing'",
        "COPY (SELECT e FROM t) TO PROGRAM 'true'",
        "COPY t FROM STDIN WHERE e = 'x'",
        "COPY t FROM STDIN WHERE e::text LIKE 'x%'",
        "COPY t FROM STDIN (ENCODING 'LATIN1')",
        "COPY t FROM STDIN (ON_ERROR ignore)",
    ] {
        assert_eq!(pair.sealed.error(sql).code, "0A000", "{sql}");
    }
    // What names plain columns alone passes.
    pair.load("COPY t (id, p) FROM STDIN", &[b"1\tx\n"]);
    pair.same("COPY t (id, p) TO STDOUT");
    pair.same("COPY (SELECT id FROM t) TO STDOUT");
}

/// A partitioned table, defaults, an identity, a stored generated column, triggers: as PostgreSQL does them.
#[test]
fn tables_of_every_kind_are_loaded() {
    let ddl = "CREATE TABLE parts (id int GENERATED ALWAYS AS IDENTITY, k int, e seal.text_eq, p text DEFAULT 'd',
            g int GENERATED ALWAYS AS (k * 2) STORED) PARTITION BY RANGE (k);
        CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10);
        CREATE TABLE high (p text, id int NOT NULL, k int, e seal.text_eq, g int GENERATED ALWAYS AS (k * 2) STORED);
        ALTER TABLE parts ATTACH PARTITION high FOR VALUES FROM (10) TO (20);";
    let mut pair = Pair::new(ddl);
    pair.load("COPY parts (k, e) FROM STDIN", &[b"1\ta\n11\tb\n"]);
    pair.load("COPY parts (k, e) FROM STDIN", &[b"21\ta\n"]);
    pair.load("COPY parts (g, e) FROM STDIN", &[]);
    pair.same("SELECT id, k, e, p, g FROM parts ORDER BY k");
    pair.same("COPY parts TO STDOUT");
    pair.same("COPY (SELECT * FROM parts ORDER BY k) TO STDOUT");
    pair.same("COPY low TO STDOUT");
    pair.same("COPY high TO STDOUT CSV HEADER");
    pair.same("COPY high (g) TO STDOUT");
}

#[test]
fn the_keyset_that_is_chosen_counts() {
    let mut pair = Pair::new(TABLE);
    pair.twin.workspace.columnseal(&["keyset", "create", "other"]).ok();
    pair.twin.workspace.grant(&pair.twin.client, "other");
    let mut raw = pair.twin.raw_sealed();
    crate::support::eventually("the grant is known", || {
        raw.query("SET columnseal.keyset = 'other'").starts_with('C').then_some(())
    });
    load(&mut raw, "COPY t (id, e) FROM STDIN", &[b"1\ta\n"]);
    assert_eq!(raw.rows("SELECT id FROM t WHERE e = 'a'"), ["1"]);
    assert_eq!(pair.sealed.rows("SELECT id FROM t WHERE e = 'a'"), [""; 0], "not of the default keyset");
    raw.query("SET columnseal.keyset = ''");
    let answers = load(&mut raw, "COPY t (id, e) FROM STDIN", &[b"2\ta\n"]);
    assert!(transcript(&answers).starts_with("E ERROR 42501"), "{answers:?}");
}

#[test]
fn terms_of_order_are_stored_too() {
    let mut pair = Pair::new("CREATE TABLE t (id int PRIMARY KEY, e seal.text_ord, n seal.numeric_ord)");
    pair.load("COPY t FROM STDIN", &[b"1\tb\t7.5\n2\ta\t-1\n3\t\\N\t\\N\n4\tab\t1e3\n"]);
    pair.same("SELECT id FROM t WHERE n > 5 ORDER BY e");
    pair.same("COPY (SELECT e, n FROM t ORDER BY e DESC NULLS LAST) TO STDOUT");
    pair.same("COPY (SELECT max(n), min(e) FROM t) TO STDOUT CSV HEADER");
}

/// `COLUMNSEAL_COPY_ROWS` says how many rows; the time is printed.
#[test]
fn memory_does_not_grow_with_the_rows() {
    let many: usize = std::env::var("COLUMNSEAL_COPY_ROWS").map_or(60_000, |n| n.parse().unwrap());
    let twin = crate::support::Twin::start();
    twin.create("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, n seal.int4, p text)");
    let (file, back) = (twin.workspace.dir().join("rows"), twin.workspace.dir().join("back"));
    let go = |rows: usize| {
        let line = |id: usize| format!("{id}\tperson{id}@example.com\t{id}\tsome plain text of row {id}\n");
        std::fs::write(&file, (0..rows).map(line).collect::<String>()).unwrap();
        twin.direct.sql("TRUNCATE t");
        let began = std::time::Instant::now();
        twin.sealed.sql(&format!("\\copy t FROM '{}'", file.display()));
        let loaded = began.elapsed();
        twin.sealed.sql(&format!("\\copy (SELECT * FROM t ORDER BY id) TO '{}'", back.display()));
        assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(&back).unwrap());
        eprintln!("{rows} rows: in {loaded:?}, out {:?}, peak {} KiB", began.elapsed() - loaded, twin.proxy.peak());
    };
    go(many / 6);
    let before = twin.proxy.peak();
    go(many);
    let grown = twin.proxy.peak() - before;
    assert!(grown < 6 * 1024, "{grown} KiB more for {many} rows");
}

/// What goes to the server while rows of each kind are loaded, well or badly, holds none of the values.
#[test]
fn no_value_is_sent_in_plain() {
    let twin =
        crate::support::Twin::start_with(crate::support::Options::logged(), &crate::support::ProxyOptions::default());
    twin.create(TABLE);
    let mut raw: Raw = twin.raw_sealed();
    for (sql, data) in [
        ("COPY t (id, e) FROM STDIN", "1\tZqSecret\n"),
        ("COPY t (id, e) FROM STDIN CSV HEADER", "id,ZqSecret\n2,\"ZqSecret\"\n3,ZqSecret\n"),
        ("COPY t (id, e) FROM STDIN CSV HEADER MATCH", "id,ZqSecret\n"),
        ("COPY t (id, e) FROM STDIN (HEADER)", "ZqSecret\n"),
        ("COPY t FROM STDIN", "ZqSecret\n"),
        ("COPY t FROM STDIN", "1\t1\t1\t1\tZqSecret\n"),
        ("COPY t (id, e) FROM STDIN", "4\ta\n\\.\nZqSecret\tZqSecret\n"),
        ("COPY t (id, n) FROM STDIN", "5\tZqSecret\n6\tZqSecret\n"),
        ("COPY t (id, e) FROM STDIN", "1\tZqSecret\n1\tZqSecret\n"),
        ("COPY t (id, e) FROM STDIN", "1000\tZqSecret\n7\tZqSecret\n"),
        ("COPY t (id, e) FROM STDIN CSV", "8,\"ZqSecret\n9,ZqSecret"),
        ("COPY t (id, e) FROM STDIN BINARY", "ZqSecret\n"),
        ("COPY t FROM STDIN (ENCODING 'LATIN1')", "ZqSecret\n"),
    ] {
        load(&mut raw, sql, &[data.as_bytes()]);
        // A client that does not wait to be asked, and goes on after the error.
        let row = crate::support::raw::message(b'd', data.as_bytes());
        let parts =
            [crate::support::raw::query(sql), row.clone(), row.clone(), crate::support::raw::message(b'c', &[])];
        raw.ask(&parts.concat());
        raw.send(&[row.clone(), row].concat());
        let mut fails = crate::support::raw::query("COPY t (id, e) FROM STDIN");
        fails.extend(crate::support::raw::message(b'f', b"ZqSecret\0"));
        raw.ask(&fails);
    }
    assert_eq!(raw.rows("SELECT 1"), ["1"]);
    for (place, hay) in [("sent", twin.relay.sent()), ("log", twin.cluster.log().into_bytes())] {
        let text = String::from_utf8_lossy(&hay).into_owned();
        let at = text.find("ZqSecret").map(|at| text[at.saturating_sub(200)..].chars().take(300).collect::<String>());
        assert_eq!(at, None, "{place}");
        assert!(!text.contains(&hex::encode("ZqSecret")), "{place}");
    }
}
