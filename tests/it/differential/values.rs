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

/// Values that can be found again wherever they went: long, and like nothing else.
const MARKED: &[(&str, u32, &[&str])] = &[
    ("bool", 16, &["true", "false"]),
    ("int2", 21, &["31847", "-28391"]),
    ("int4", 23, &["1517371159", "-1938274651"]),
    ("int8", 20, &["7264810359172846503", "-5837261940182736455"]),
    ("float4", 700, &["7391.0625", "-4.718281e+21"]),
    ("float8", 701, &["83719.4402716153", "-5.5511151231e-117"]),
    ("numeric", 1700, &["918273645546372819.5081726354", "-77120934.00019283"]),
    ("text", 25, &["", "Zq-secret-alpha-8841", "Yx-Secret-Beta-2093", "Wv secret gamma, 7716 \u{fc}"]),
    ("varchar", 1043, &["Vc-secret-delta-4471", "Vd-Secret-Epsilon-9082"]),
    ("bpchar", 1042, &["Bp-secret-zeta-3316", "Bq-secret-eta-6629"]),
    ("uuid", 2950, &["9b2f6c84-71d3-4e0a-8f57-c6e1d40a9b38", "5c81e7d2-0a4f-43b6-9d18-72fa6be03c95"]),
    ("date", 1082, &["2087-11-23", "1931-02-17"]),
    ("time", 1083, &["13:47:29.618403", "22:08:51.074926"]),
    ("timetz", 1266, &["05:51:08.240917+03:30", "19:24:33.806142-07"]),
    ("timestamp", 1114, &["2071-08-19 04:13:52.917364", "1947-05-30 17:26:41.380295"]),
    ("timestamptz", 1184, &["2063-12-05 21:36:18.485921+00", "1952-09-14 08:47:03.162748+00"]),
    ("interval", 1186, &["7 years 5 mons 23 days 11:42:36.904817", "-3 years -8 mons +19 days 04:17:25.630481"]),
    ("bytea", 17, &["\\x8f3ad20c5be1774690d1ce28", "\\x47e6b1920d8c3fa55d7e0c9413"]),
    ("inet", 869, &["10.183.74.219", "2001:db8:7c3a:91e4::5fd2"]),
    ("cidr", 650, &["172.29.183.192/26", "2001:db8:77aa::/48"]),
    ("jsonb", 3802, &["{\"marker\": \"Qp-secret-theta-5512\"}"]),
    ("json", 114, &["{\"marker\": \"Jn-secret-iota-7340\"}"]),
];

impl Values {
    /// Asks a plain connection for the binary form of every edge value.
    pub fn load(plain: &mut Raw) -> Values {
        Values::load_from(plain, POOLS)
    }

    /// As [`Values::load`], of values that can be searched for.
    pub fn marked(plain: &mut Raw) -> Values {
        Values::load_from(plain, MARKED)
    }

    /// All pools.
    pub fn pools(&self) -> &[Pool] {
        &self.0
    }

    fn load_from(plain: &mut Raw, pools: &[(&'static str, u32, &[&str])]) -> Values {
        let load = |(name, oid, texts): &(&'static str, u32, &[&str])| Pool {
            name,
            oid: *oid,
            values: texts
                .iter()
                .map(|text| Value { text: (*text).into(), binary: binary(plain, *oid, text) })
                .collect(),
        };
        Values(pools.iter().map(load).collect())
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
