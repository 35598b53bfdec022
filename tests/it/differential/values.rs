//! Edge values of every type: as text and in PostgreSQL's own binary form, which the plain twin is asked for.

use crate::support::raw::{self, Raw};

/// One value.
pub struct Value {
    /// What PostgreSQL reads as text.
    pub text: String,
    /// Its binary form.
    pub binary: Vec<u8>,
}

/// All values of a type.
pub struct Pool {
    pub name: &'static str,
    pub oid: u32,
    pub values: Vec<Value>,
}

/// All pools.
pub struct Values(Vec<Pool>);

// Name, OID, values as text. Few of each, so that equal ones meet.
const POOLS: &[(&str, u32, &[&str])] = &[
    ("bool", 16, &["true", "false"]),
    ("int2", 21, &["0", "-1", "32767", "-32768", "7"]),
    ("int4", 23, &["0", "-1", "42", "2147483647", "-2147483648"]),
    ("int8", 20, &["0", "-1", "42", "9223372036854775807", "-9223372036854775808"]),
    ("float4", 700, &["0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e38"]),
    ("float8", 701, &["0", "-0", "0.1", "NaN", "Infinity", "-Infinity", "5e-324", "1.7976931348623157e308"]),
    (
        "numeric",
        1700,
        &["0", "0.00", "-1.50", "-1.5", "NaN", "Infinity", "123456789012345678901234567890.123456789", "1e-20", "100"],
    ),
    (
        "text",
        25,
        &[
            "",
            " ",
            "a",
            "A",
            "O'Brien",
            "back\\slash",
            "\u{fc}n\u{ef}c\u{f6}d\u{e9} \u{1f512}",
            "line\nbreak\ttab",
            "{\"a\": \"b,c\"}",
            "NULL",
            "(1,2)",
            "$1",
        ],
    ),
    ("varchar", 1043, &["", "x", "x ", "longer than sixteen bytes, to cross a padding step"]),
    ("bpchar", 1042, &["", "x", "x  ", "yy"]),
    (
        "uuid",
        2950,
        &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        ],
    ),
    (
        "date",
        1082,
        &["2000-01-01", "1969-07-20", "0044-03-15 BC", "infinity", "-infinity", "5874897-12-31", "4713-11-24 BC"],
    ),
    ("time", 1083, &["00:00:00", "24:00:00", "23:59:59.999999", "12:00"]),
    ("timetz", 1266, &["00:00:00+00", "12:00:00.5+05:30", "06:30:00.5+00", "23:59:59-12"]),
    (
        "timestamp",
        1114,
        &[
            "2000-01-01 00:00:00",
            "1969-07-20 20:17:40.000001",
            "infinity",
            "-infinity",
            "0044-03-15 12:00:00 BC",
            "294276-12-31 23:59:59.999999",
        ],
    ),
    (
        "timestamptz",
        1184,
        &[
            "2000-01-01 00:00:00+00",
            "2000-01-01 02:00:00+02",
            "1969-07-20 20:17:40+00",
            "infinity",
            "0044-03-15 12:00:00+00 BC",
        ],
    ),
    (
        "interval",
        1186,
        &["0", "1 day", "24:00:00", "1 mon", "30 days", "-1 year -2 mons +3 days -04:05:06.789", "00:00:00.000001"],
    ),
    ("bytea", 17, &["\\x", "\\x00", "\\x00ff5c27", "\\x6162"]),
    ("inet", 869, &["127.0.0.1", "10.1.2.3/8", "10.1.2.3", "::1", "2001:db8::1/64"]),
    ("cidr", 650, &["10.0.0.0/8", "2001:db8::/32", "192.168.1.0/24"]),
    ("jsonb", 3802, &["null", "{}", "[1, 2.50, null]", "{\"k\": {\"j\": \"v\"}, \"a\": true}", "\"text\""]),
    ("json", 114, &["null", "{ }", "{\"b\":1,\"a\":2, \"b\":3}"]),
];

impl Values {
    /// Asks a plain connection for the binary form of every value.
    pub fn load(plain: &mut Raw) -> Values {
        let load = |(name, oid, texts): &(&'static str, u32, &[&str])| Pool {
            name,
            oid: *oid,
            values: texts
                .iter()
                .map(|text| Value { text: (*text).into(), binary: binary(plain, *oid, text) })
                .collect(),
        };
        Values(POOLS.iter().map(load).collect())
    }

    /// The pool of a type.
    pub fn of(&self, name: &str) -> &Pool {
        self.0.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no values of type {name}"))
    }
}

fn binary(plain: &mut Raw, oid: u32, text: &str) -> Vec<u8> {
    let bind = raw::bind_as("", "", &[], &[Some(text.as_bytes())], &[1]);
    let answers = plain.ask(&[raw::parse("", "SELECT $1", &[oid]), bind, raw::execute("", 0), raw::sync()].concat());
    let row = answers.iter().find(|m| m.tag == b'D').unwrap_or_else(|| panic!("{text}: {answers:?}"));
    row.values().remove(0).unwrap()
}
