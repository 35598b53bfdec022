//! Rows cut anywhere, fields of every kind, what must be refused, and what is printed.

use proptest::prelude::*;

use super::*;
use crate::wire::sqlstate::SqlState;

/// A row as its fields mean it; `None` is NULL.
type Row = Vec<Option<Vec<u8>>>;

/// Reads everything, given in pieces that end at `cuts`.
fn read(dialect: &Dialect, columns: usize, data: &[u8], cuts: &[usize]) -> Result<(Vec<Row>, u64), CopyError> {
    let mut rows = Rows::new(dialect, columns);
    let (mut out, mut start) = (Vec::new(), 0);
    let ends = cuts.iter().map(|&cut| (cut, false)).chain([(data.len(), true)]);
    for (end, ended) in ends {
        loop {
            let input = &data[start..end.max(start)];
            match rows.next(input, ended)? {
                Step::More => break,
                Step::End => return Ok((out, rows.line())),
                Step::Skip(used) | Step::Head { used, .. } => start += used,
                Step::Row { len, used } => {
                    out.push(fields(dialect, &input[..len])?);
                    start += used;
                }
            }
        }
    }
    panic!("no end was told");
}

fn fields(dialect: &Dialect, row: &[u8]) -> Result<Row, CopyError> {
    if dialect.kind == Kind::Binary {
        let owned = |field: Option<&[u8]>| field.map(<[u8]>::to_vec);
        return Ok(tuple_fields(row).map(|field| owned(field.expect("a tuple that was found is whole"))).collect());
    }
    let one = |field: Result<Field<'_>, CopyError>| {
        let mut value = Vec::new();
        Ok(match dialect.read(&field?, Force::default(), &mut value) {
            Meaning::Null => None,
            _ => Some(value),
        })
    };
    Fields::new(row, dialect).map(one).collect()
}

fn text() -> Dialect {
    Dialect::new(Kind::Text)
}

fn csv() -> Dialect {
    Dialect::new(Kind::Csv)
}

fn some(values: &[&str]) -> Row {
    values.iter().map(|v| (*v != "∅").then(|| v.as_bytes().to_vec())).collect()
}

#[track_caller]
fn reads(dialect: &Dialect, data: &str, rows: &[&[&str]]) {
    let expected: Vec<Row> = rows.iter().map(|row| some(row)).collect();
    let whole = read(dialect, 2, data.as_bytes(), &[]).expect("it can be read").0;
    assert_eq!(whole, expected, "{data:?}");
    for cut in 0..=data.len() {
        let parts = read(dialect, 2, data.as_bytes(), &[cut]).expect("it can be read").0;
        assert_eq!(parts, expected, "{data:?} cut at {cut}");
    }
    let everywhere: Vec<usize> = (0..data.len()).collect();
    assert_eq!(read(dialect, 2, data.as_bytes(), &everywhere).expect("it can be read").0, expected, "{data:?}");
}

#[track_caller]
fn fails(dialect: &Dialect, data: &[u8], message: &str) {
    let everywhere: Vec<usize> = (0..data.len()).collect();
    for cuts in [&[][..], &everywhere] {
        let error = read(dialect, 2, data, cuts).expect_err("it cannot be read");
        assert_eq!((error.sqlstate, &*error.message), (SqlState("22P04"), message), "{data:?}");
    }
}

#[test]
fn text_is_read() {
    let dialect = text();
    reads(&dialect, "", &[]);
    reads(&dialect, "\n", &[&[""]]);
    reads(&dialect, "a\tb\nc\td\n", &[&["a", "b"], &["c", "d"]]);
    reads(&dialect, "a\tb\nc\td", &[&["a", "b"], &["c", "d"]]);
    reads(&dialect, "a\tb\r\nc\td\r\n", &[&["a", "b"], &["c", "d"]]);
    reads(&dialect, "a\tb\rc\td\r", &[&["a", "b"], &["c", "d"]]);
    reads(&dialect, "\\N\t\\\\N\n", &[&["∅", "\\N"]]);
    reads(&dialect, "\\N\\\tx\n", &[&["N\tx"]]);
    reads(&dialect, "a\\tb\tc\\nd\\r\\b\\f\\v\n", &[&["a\tb", "c\nd\r\u{8}\u{c}\u{b}"]]);
    reads(&dialect, "a\\\nb\t\\q\\.\n", &[&["a\nb", "q"]]);
    reads(&dialect, "\\101\\1018\\x41\\x4g\t\\xg\\18\n", &[&["AA8A\u{4}g", "xg\u{1}8"]]);
    reads(&dialect, "a\tb\\", &[&["a", "b"]]);
    reads(&dialect, "a\tb\n\\.\nwhatever\t\\q\r", &[&["a", "b"]]);
    reads(&dialect, "a\tb\\.\nwhatever", &[&["a", "b"]]);
}

#[test]
fn csv_is_read() {
    let dialect = csv();
    reads(&dialect, "a,b\nc,d\n", &[&["a", "b"], &["c", "d"]]);
    reads(&dialect, ",\"\"\n", &[&["∅", ""]]);
    reads(&dialect, "\"a,b\",\"c\"\"d\"\n", &[&["a,b", "c\"d"]]);
    reads(&dialect, "\"a\nb\",\"c\r\nd\"\nx,y\n", &[&["a\nb", "c\r\nd"], &["x", "y"]]);
    reads(&dialect, "a\"b,c\"d,e\n", &[&["ab,cd", "e"]]);
    reads(&dialect, "\\.x,\\\n", &[&["\\.x", "\\"]]);
    reads(&dialect, "a,\\.\n\\.\nwhatever\"", &[&["a", "\\."]]);
    let other = Dialect { quote: b'\'', escape: b'\\', delimiter: b';', null: b"nil"[..].into(), ..csv() };
    reads(&other, "'a\\'b\\\\';nil\n'nil';\\'\\''\n", &[&["a'b\\", "∅"], &["nil", "\\'"]]);
    reads(&other, "'a\\b';''\n", &[&["a\\b", ""]]);
    let later = Dialect { csv_marker: false, ..csv() };
    reads(&later, "a,b\n\\.\nc,d\n", &[&["a", "b"], &["\\."], &["c", "d"]]);
}

#[test]
fn headers_are_no_rows() {
    reads(&Dialect { header: Header::Present, ..csv() }, "\"i\nd\",x\na,b\n", &[&["a", "b"]]);
    reads(&Dialect { header: Header::Match, ..text() }, "id\tx\r\na\tb\r\n", &[&["a", "b"]]);
    reads(&Dialect { header: Header::Present, ..text() }, "", &[]);
}

#[test]
fn what_forcing_and_defaults_mean() {
    let dialect = Dialect { default: Some(b"\\D"[..].into()), null: b"nil"[..].into(), ..csv() };
    let meaning = |raw: &str, quoted, force| {
        let mut value = Vec::new();
        let meaning = dialect.read(&Field { raw: raw.as_bytes(), quoted }, force, &mut value);
        (meaning, String::from_utf8(value).expect("text"))
    };
    let (null, not_null) = (Force { null: true, not_null: false }, Force { null: false, not_null: true });
    let both = Force { null: true, not_null: true };
    assert_eq!(meaning("nil", false, Force::default()).0, Meaning::Null);
    assert_eq!(meaning("\"nil\"", true, Force::default()), (Meaning::Value, "nil".into()));
    assert_eq!(meaning("nil", false, not_null), (Meaning::Value, "nil".into()));
    assert_eq!(meaning("\"nil\"", true, null), (Meaning::Null, String::new()));
    assert_eq!(meaning("nil", false, both), (Meaning::Value, "nil".into()));
    assert_eq!(meaning("\"nil\"", true, both).0, Meaning::Null);
    assert_eq!(meaning("\\D", false, Force::default()).0, Meaning::Default);
    assert_eq!(meaning("\"\\D\"", true, Force::default()), (Meaning::Value, "\\D".into()));
}

#[test]
fn broken_lines_are_refused() {
    fails(&text(), b"a\tb\nc\rd\n", "literal carriage return found in data");
    fails(&text(), b"a\r\nb\rc", "literal carriage return found in data");
    fails(&text(), b"a\rb\nc", "literal newline found in data");
    fails(&text(), b"a\r\nb\n", "literal newline found in data");
    fails(&text(), b"a\n\\.x\n", "end-of-copy marker corrupt");
    fails(&text(), b"a\n\\.", "end-of-copy marker corrupt");
    fails(&text(), b"a\n\\.\r\n", "end-of-copy marker does not match previous newline style");
    fails(&text(), b"a\r\n\\.\n", "end-of-copy marker does not match previous newline style");
    fails(&csv(), b"a\nb\rc\n", "unquoted carriage return found in data");
    fails(&csv(), b"a\rb\nc\r", "unquoted newline found in data");
    fails(&csv(), b"a,\"b\nc\n", "unterminated CSV quoted field");
    fails(&csv(), b"\"a\n", "unterminated CSV quoted field");
}

fn binary(rows: &[&[Option<&[u8]>]]) -> Vec<u8> {
    let mut data = BINARY_HEADER.to_vec();
    for row in rows {
        data.extend_from_slice(&(row.len() as u16).to_be_bytes());
        for value in *row {
            data.extend_from_slice(&value.map_or(-1, |v| v.len() as i32).to_be_bytes());
            data.extend_from_slice(value.unwrap_or_default());
        }
    }
    data.extend_from_slice(&BINARY_TRAILER);
    data
}

#[test]
fn binary_is_read() {
    let dialect = Dialect::new(Kind::Binary);
    let rows: &[&[Option<&[u8]>]] = &[&[Some(b"a\n"), None], &[Some(b""), Some(b"\\.")]];
    let data = binary(rows);
    let expected: Vec<Row> = rows.iter().map(|row| row.iter().map(|v| v.map(<[u8]>::to_vec)).collect()).collect();
    for cut in 0..data.len() {
        assert_eq!(read(&dialect, 2, &data, &[cut]).expect("it can be read").0, expected, "cut at {cut}");
    }
    let bare = &data[..data.len() - 2];
    assert_eq!(read(&dialect, 2, bare, &[]).expect("the trailer may be missing").0, expected);
    let mut extended = data.clone();
    extended[18] = 3;
    extended.splice(19..19, *b"xyz");
    assert_eq!(read(&dialect, 2, &extended, &[]).expect("an extension is skipped").0, expected);
}

#[test]
fn broken_tuples_are_refused() {
    let dialect = Dialect::new(Kind::Binary);
    let data = binary(&[&[Some(b"a"), None]]);
    fails(&dialect, b"PGCOPX", "COPY file signature not recognized");
    fails(&dialect, b"", "COPY file signature not recognized");
    fails(&dialect, &data[..10], "COPY file signature not recognized");
    fails(&dialect, &data[..13], "invalid COPY file header (missing flags)");
    fails(&dialect, &data[..17], "invalid COPY file header (missing length)");
    let with = |at: usize, byte: u8| {
        let mut changed = data.clone();
        changed[at] = byte;
        changed
    };
    fails(&dialect, &with(12, 1), "invalid COPY file header (WITH OIDS)");
    fails(&dialect, &with(11, 1), "unrecognized critical flags in COPY file header");
    fails(&dialect, &with(15, 0xff), "invalid COPY file header (missing length)");
    fails(&dialect, &with(16, 1), "invalid COPY file header (wrong length)");
    fails(&dialect, &with(20, 3), "row field count is 3, expected 2");
    fails(&dialect, &with(21, 0xfe), "invalid field size");
    fails(&dialect, &data[..24], "unexpected EOF in COPY data");
    fails(&dialect, &[&data[..], b"x"].concat(), "received copy data after EOF marker");
}

#[test]
fn lines_are_counted_as_postgresql_counts_them() {
    let count = |dialect: &Dialect, data: &str| read(dialect, 2, data.as_bytes(), &[]).expect("it can be read").1;
    assert_eq!(count(&text(), "a\nb\\\nc\nd\n"), 3);
    assert_eq!(count(&csv(), "a\n\"b\nc\"\nd\n"), 4);
    assert_eq!(count(&Dialect { header: Header::Present, ..csv() }, "x\na\n"), 2);
}

fn printed(dialect: &Dialect, value: &str, force: bool, single: bool) -> String {
    let mut out = Vec::new();
    dialect.print(value.as_bytes(), force, single, &mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn values_are_printed_as_postgresql_prints_them() {
    assert_eq!(printed(&text(), "a\tb\\c\nd\r\u{8}\u{b}\u{c}\u{1}", false, false), "a\\tb\\\\c\\nd\\r\\b\\v\\f\u{1}");
    assert_eq!(printed(&Dialect { delimiter: b',', ..text() }, "a,b\tc", false, false), "a\\,b\\tc");
    assert_eq!(printed(&Dialect { delimiter: b',', ..text() }, ",a\\,b c,\\", false, false), "\\,a\\\\\\,b c\\,\\\\");
    assert_eq!(printed(&text(), "\\.", false, true), "\\\\.");
    assert_eq!(printed(&csv(), "", false, false), "\"\"");
    assert_eq!(printed(&csv(), "a b", false, false), "a b");
    assert_eq!(printed(&csv(), "a b", true, false), "\"a b\"");
    assert_eq!(printed(&csv(), "a,\"b", false, false), "\"a,\"\"b\"");
    assert_eq!(printed(&csv(), "\\.", false, true), "\"\\.\"");
    assert_eq!(printed(&csv(), "\\.", false, false), "\\.");
    let other = Dialect { quote: b'\'', escape: b'\\', ..csv() };
    assert_eq!(printed(&other, "a'b\\\n", false, false), "'a\\'b\\\\\n'");
}

#[test]
fn composites_become_text() {
    let mut record = 5i32.to_be_bytes().to_vec();
    let attributes: [(u32, &[u8]); 5] = [
        (114, b"1"),
        (17, b"\x00\xff"),
        (2950, &[0xab; 16]),
        (1007, b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\xff\xff\xff\xff\0\0\0\x04\0\0\0\x07"),
        (1016, b"\0\0\0\0\0\0\0\0\0\0\0\x14"),
    ];
    for (oid, bytes) in attributes {
        record.extend_from_slice(&oid.to_be_bytes());
        record.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        record.extend_from_slice(bytes);
    }
    let mut out = Vec::new();
    record_text(&record, &[], &mut out).expect("it is a record");
    let uuid = "ab".repeat(16);
    assert_eq!(String::from_utf8(out).expect("text"), format!(r#"("1","\\x00ff",{uuid},"{{-1,7}}","{{}}")"#));
    for end in 0..record.len() {
        assert!(record_text(&record[..end], &[], &mut Vec::new()).is_err(), "cut at {end}");
    }
    record[7] = 25;
    assert!(record_text(&record, &[], &mut Vec::new()).is_err(), "an attribute of another type");
}

#[test]
fn composites_within_composites_become_text() {
    let within = |oid: u32, record: &[u8]| {
        [
            &2i32.to_be_bytes()[..],
            &oid.to_be_bytes(),
            &(record.len() as u32).to_be_bytes(),
            record,
            &oid.to_be_bytes(),
            &[0xff; 4],
        ]
        .concat()
    };
    let value = within(17, b"\x07");
    let (row, whole) = (within(9001, &value), within(9002, &within(9001, &value)));
    let text = |record: &[u8], nested: &[u32]| {
        let mut out = Vec::new();
        record_text(record, nested, &mut out).map(|()| String::from_utf8(out).expect("text"))
    };
    assert_eq!(text(&value, &[]).expect("a record"), r#"("\\x07",)"#);
    assert_eq!(text(&row, &[9001]).expect("a record"), r#"("(""\\\\x07"",)",)"#);
    let twice = r#"("(""(""""\\\\\\\\x07"""",)"",)",)"#;
    assert_eq!(text(&whole, &[9001, 9002]).expect("a record"), twice);
    assert!(text(&whole, &[9002]).is_err(), "of a type that is not named");
    assert!(text(&within(9001, &whole), &[9001, 9002]).is_err(), "too deep");
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let null = prop::sample::select(vec!["", "\\N", "nil", "x"]);
    let bytes =
        prop::sample::select(vec![(b',', b'"', b'"'), (b';', b'\'', b'\\'), (b'|', b'"', b'\\'), (b'Z', b'q', b'e')]);
    let kind = prop::sample::select(vec![Kind::Text, Kind::Csv]);
    (kind, null, bytes).prop_map(|(kind, null, (delimiter, quote, escape))| Dialect {
        delimiter,
        quote,
        escape,
        null: null.as_bytes().into(),
        ..Dialect::new(kind)
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(
        dialect in dialects(),
        rows in prop::collection::vec(prop::collection::vec(prop::option::of("[a-zZ,;|'\"\\\\.\r\n\t ]{0,8}"), 1..4), 0..6),
        cuts in prop::collection::vec(0usize..400, 0..6),
    ) {
        let mut data = Vec::new();
        for row in &rows {
            for (i, value) in row.iter().enumerate() {
                if i > 0 {
                    data.push(dialect.delimiter);
                }
                match value {
                    None => dialect.print_null(false, &mut data),
                    Some(value) => dialect.print(value.as_bytes(), false, row.len() == 1, &mut data),
                }
            }
            data.push(b'\n');
        }
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < data.len()).collect();
        cuts.sort_unstable();
        let expected: Vec<Row> = rows.iter().map(|row| row.iter().map(|v| v.as_ref().map(|v| v.as_bytes().to_vec())).collect()).collect();
        // Of text, a value that is the NULL string is NULL, as it is in PostgreSQL.
        let same = |value: &Option<Vec<u8>>| value.clone().filter(|v| dialect.kind == Kind::Csv || **v != *dialect.null);
        let expected: Vec<Row> = expected.iter().map(|row| row.iter().map(same).collect()).collect();
        prop_assert_eq!(read(&dialect, 3, &data, &cuts).expect("it can be read").0, expected);
    }

    #[test]
    fn hostile_bytes_never_panic_and_read_alike_however_they_are_cut(
        dialect in dialects(),
        binary in any::<bool>(),
        data in prop::collection::vec(prop::sample::select(b"a,;|Zqe'\"\\.\r\n\t1x\0\xff".to_vec()), 0..60),
        cuts in prop::collection::vec(0usize..60, 0..8),
    ) {
        let dialect = if binary { Dialect::new(Kind::Binary) } else { dialect };
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < data.len()).collect();
        cuts.sort_unstable();
        prop_assert_eq!(read(&dialect, 2, &data, &cuts), read(&dialect, 2, &data, &[]));
    }
}
