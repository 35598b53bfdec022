//! Values against a real PostgreSQL: what is accepted, with which SQLSTATE it is refused, the bytes it becomes,
//! how it is printed under every session setting, and what is equal.

use std::collections::BTreeSet;

use bytes::BytesMut;
use columnseal::wire::value::{self, Format, PlainType, Settings};
use tokio_postgres::Client;
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::support::Cluster;

/// Binary bytes for a parameter of any type.
#[derive(Debug)]
struct Raw(Vec<u8>);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

fn send_function(plain: PlainType) -> String {
    let name = plain.name();
    match plain {
        PlainType::Numeric | PlainType::Uuid | PlainType::Date | PlainType::Time | PlainType::Timetz => {
            format!("{name}_send")
        }
        PlainType::Timestamp | PlainType::Timestamptz | PlainType::Interval => format!("{name}_send"),
        PlainType::Json | PlainType::Jsonb | PlainType::Inet | PlainType::Cidr => format!("{name}_send"),
        _ => format!("{name}send"),
    }
}

/// Types that this PostgreSQL has without extensions.
fn built_in() -> impl Iterator<Item = PlainType> {
    PlainType::all().filter(|plain| !matches!(plain, PlainType::Citext | PlainType::Enum))
}

/// What PostgreSQL makes of text, in our stored form.
async fn theirs(client: &Client, plain: PlainType, text: &str) -> Result<Vec<u8>, String> {
    // bpchar by way of a literal's cast has no length and keeps its blanks, as input does.
    let sql = format!("SELECT {}($1::text::{})", send_function(plain), plain.name());
    let statement = client.prepare(&sql).await.unwrap();
    match client.query_one(&statement, &[&text]).await {
        Ok(row) => {
            let bytes: Vec<u8> = row.get(0);
            Ok(if plain == PlainType::Jsonb { bytes[1..].to_vec() } else { bytes })
        }
        Err(error) => Err(error.code().expect("an error of the server").code().to_owned()),
    }
}

fn ours(plain: PlainType, text: &str, settings: &Settings) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match value::read(plain, 0, None, Format::Text, text.as_bytes(), settings, &mut out) {
        Ok(()) => Ok(out),
        Err(error) => {
            assert!(text.len() < 4 || !error.message.contains(text), "{plain:?}: the message shows the value");
            Err(error.sqlstate.0.to_owned())
        }
    }
}

fn printed(plain: PlainType, stored: &[u8], settings: &Settings) -> String {
    let mut out = Vec::new();
    value::write(plain, stored, Format::Text, settings, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Sets on both sides.
async fn set(client: &Client, settings: &mut Settings, values: &[(&str, &str)]) {
    for (name, value) in values {
        client.batch_execute(&format!("SET {name} = '{value}'")).await.unwrap();
        let shown: String = client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get(0);
        settings.report(name, &shown);
    }
}

/// Inputs that both sides must treat alike.
fn inputs(plain: PlainType) -> Vec<String> {
    let blank = ["", " ", "\t1\n", " 1 ", "NULL", "x"];
    let lines: &str = match plain {
        PlainType::Bool => include_str!("values/bool.txt"),
        PlainType::Int2 | PlainType::Int4 | PlainType::Int8 => include_str!("values/int.txt"),
        PlainType::Float4 | PlainType::Float8 => include_str!("values/float.txt"),
        PlainType::Numeric => include_str!("values/numeric.txt"),
        PlainType::Uuid => include_str!("values/uuid.txt"),
        PlainType::Date | PlainType::Timestamp | PlainType::Timestamptz | PlainType::Time | PlainType::Timetz => {
            include_str!("values/datetime.txt")
        }
        PlainType::Interval => include_str!("values/interval.txt"),
        PlainType::Bytea => include_str!("values/bytea.txt"),
        PlainType::Json | PlainType::Jsonb => include_str!("values/json.txt"),
        PlainType::Inet | PlainType::Cidr => include_str!("values/network.txt"),
        PlainType::Text | PlainType::Varchar | PlainType::Bpchar | PlainType::Citext | PlainType::Enum => {
            include_str!("values/text.txt")
        }
    };
    blank.iter().map(|s| (*s).to_owned()).chain(lines.lines().map(str::to_owned)).collect()
}

/// Whether an input may be refused here though PostgreSQL takes it: date and interval forms beyond ISO 8601 and
/// PostgreSQL's own output, hexadecimal floats and networks, times whose offset depends on the day.
fn may_be_narrower(plain: PlainType) -> bool {
    use PlainType::{Cidr, Float4, Float8, Inet, Numeric};
    is_datetime(plain) || matches!(plain, Float4 | Float8 | Numeric | Inet | Cidr)
}

fn is_datetime(plain: PlainType) -> bool {
    use PlainType::{Date, Interval, Time, Timestamp, Timestamptz, Timetz};
    matches!(plain, Date | Time | Timetz | Timestamp | Timestamptz | Interval)
}

async fn start() -> (Cluster, Client) {
    let cluster = Cluster::plain();
    let database = cluster.database("values");
    let client = database.connect().await;
    (cluster, client)
}

const SETTINGS: &[&[(&str, &str)]] = &[
    &[("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"), ("TimeZone", "UTC"), ("extra_float_digits", "1")],
    &[
        ("DateStyle", "SQL, DMY"),
        ("IntervalStyle", "sql_standard"),
        ("TimeZone", "America/New_York"),
        ("extra_float_digits", "0"),
    ],
    &[
        ("DateStyle", "Postgres, MDY"),
        ("IntervalStyle", "postgres_verbose"),
        ("TimeZone", "Europe/Berlin"),
        ("extra_float_digits", "-5"),
    ],
    &[
        ("DateStyle", "German, DMY"),
        ("IntervalStyle", "iso_8601"),
        ("TimeZone", "Asia/Kolkata"),
        ("extra_float_digits", "3"),
        ("bytea_output", "escape"),
    ],
    &[("DateStyle", "ISO, YMD"), ("IntervalStyle", "postgres"), ("TimeZone", "-3.5"), ("extra_float_digits", "-15")],
    &[
        ("DateStyle", "SQL, MDY"),
        ("IntervalStyle", "postgres"),
        ("TimeZone", "Europe/Moscow"),
        ("extra_float_digits", "2"),
    ],
    &[("DateStyle", "Postgres, DMY"), ("IntervalStyle", "postgres"), ("TimeZone", "Pacific/Apia")],
    &[("DateStyle", "ISO, DMY"), ("TimeZone", "Australia/Lord_Howe")],
    &[("DateStyle", "SQL, YMD"), ("TimeZone", "Africa/Monrovia")],
];

#[tokio::test]
async fn text_is_read_as_postgresql_reads_it() {
    let (_cluster, client) = start().await;
    let mut settings = Settings::default();
    let mut wrong = Vec::new();
    let mut narrower = BTreeSet::new();
    for values in SETTINGS {
        set(&client, &mut settings, values).await;
        for plain in built_in() {
            for text in inputs(plain) {
                let (ours, theirs) = (ours(plain, &text, &settings), theirs(&client, plain, &text).await);
                if ours == theirs {
                    continue;
                }
                // Of a form that is not read here it is not known which fault PostgreSQL finds first.
                let both_refuse = ours.is_err() && theirs.is_err() && is_datetime(plain);
                if both_refuse && (ours == Err("22007".into()) || theirs == Err("22007".into())) {
                    continue;
                }
                if ours.is_err() && theirs.is_ok() && may_be_narrower(plain) {
                    narrower.insert(format!("{} {text:?}", plain.name()));
                    continue;
                }
                wrong
                    .push(format!("{} {text:?} under {values:?}: {ours:02x?}, PostgreSQL {theirs:02x?}", plain.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    // Narrower, but not by much: odd forms such as `y2001m02d04` or `1e 5`.
    assert!(narrower.len() < 90, "inputs that PostgreSQL takes were refused: {narrower:?}");
}

#[tokio::test]
async fn these_forms_are_read() {
    let (_cluster, client) = start().await;
    let mut settings = Settings::default();
    set(&client, &mut settings, &[("TimeZone", "Europe/Berlin")]).await;
    let mut wrong = Vec::new();
    for (plain, texts) in [
        (
            PlainType::Date,
            &[
                "2024-01-05",
                "20240105",
                "01/05/2024",
                "Jan 5, 2024",
                "5 January 2024",
                "05-Jan-2024",
                "infinity",
                "epoch",
                "0044-03-15 BC",
                "2024-01-05T10:00:00Z",
            ][..],
        ),
        (PlainType::Time, &["04:05", "04:05:06.789", "4:05 PM", "24:00:00", "2024-01-05 04:05:06+02"][..]),
        (
            PlainType::Timetz,
            &["04:05:06+02", "04:05:06.5-03:30", "04:05:06Z", "04:05:06 EST", "2024-07-01 04:05 Europe/Berlin"][..],
        ),
        (
            PlainType::Timestamp,
            &[
                "2024-01-05 04:05:06",
                "2024-01-05T04:05:06.123456",
                "20240105T040506",
                "Fri Jan 05 04:05:06 2024",
                "2024-01-05",
                "-infinity",
                "2024-01-05 04:05:06+02",
            ][..],
        ),
        (
            PlainType::Timestamptz,
            &[
                "2024-01-05 04:05:06",
                "2024-07-05 04:05:06+02",
                "2024-07-05T04:05:06Z",
                "Fri Jan 05 04:05:06 2024 CET",
                "2024-03-31 02:30:00",
                "2024-10-27 02:30:00",
                "2024-01-05 04:05 America/New_York",
                "infinity",
                "epoch",
            ][..],
        ),
        (
            PlainType::Interval,
            &[
                "1 year 2 mons 3 days 04:05:06.5",
                "@ 1 year 2 mons -3 days ago",
                "P1Y2M3DT4H5M6.5S",
                "1-2 3 4:05:06",
                "1.5 hours",
                "2 weeks",
                "-1 days +02:00:00",
            ][..],
        ),
        (PlainType::Numeric, &["NaN", "-Infinity", "1e-20", ".5", "1.500"][..]),
        (PlainType::Float8, &["1e308", "5e-324", "-inf", "nan", ".5", "1."][..]),
    ] {
        for text in texts {
            let (ours, theirs) = (ours(plain, text, &settings), theirs(&client, plain, text).await);
            if ours.is_err() || ours != theirs {
                wrong.push(format!("{} {text:?}: {ours:02x?}, PostgreSQL {theirs:02x?}", plain.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Seeded random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Small numbers as often as large ones.
    fn spread(&mut self) -> i64 {
        let shift = self.next() % 64;
        (self.next() as i64) >> shift
    }
}

fn random(plain: PlainType, random: &mut Random) -> Vec<u8> {
    let value = random.spread();
    match plain {
        PlainType::Bool => vec![(value & 1) as u8],
        PlainType::Int2 => (value as i16).to_be_bytes().to_vec(),
        PlainType::Int4 => (value as i32).to_be_bytes().to_vec(),
        PlainType::Int8 => value.to_be_bytes().to_vec(),
        PlainType::Float4 if value & 1 == 0 => (random.next() as u32).to_be_bytes().to_vec(),
        PlainType::Float4 => ((value as i32) as f32 / 100.0).to_be_bytes().to_vec(),
        PlainType::Float8 if value & 1 == 0 => random.next().to_be_bytes().to_vec(),
        PlainType::Float8 => (value as f64 / 1000.0).to_be_bytes().to_vec(),
        PlainType::Date => ((value % 2_400_000) as i32).to_be_bytes().to_vec(),
        PlainType::Time => value.rem_euclid(86_400_000_001).to_be_bytes().to_vec(),
        PlainType::Timetz => {
            let mut bytes = value.rem_euclid(86_400_000_001).to_be_bytes().to_vec();
            let zone = (random.spread() % 57_599) as i32;
            bytes.extend_from_slice(&zone.to_be_bytes());
            bytes
        }
        PlainType::Timestamp | PlainType::Timestamptz => {
            let valid = -211_810_000_000_000_000..9_223_371_000_000_000_000;
            let micros = if valid.contains(&value) { value } else { value % 100_000_000_000_000_000 };
            micros.to_be_bytes().to_vec()
        }
        PlainType::Interval => {
            let mut bytes = (value % 1_000_000_000_000_000).to_be_bytes().to_vec();
            bytes.extend_from_slice(&((random.spread() % 100_000) as i32).to_be_bytes());
            bytes.extend_from_slice(&((random.spread() % 100_000) as i32).to_be_bytes());
            bytes
        }
        PlainType::Uuid => (0..2).flat_map(|_| random.next().to_be_bytes()).collect(),
        PlainType::Bytea => random.next().to_be_bytes()[..(value & 7) as usize].to_vec(),
        PlainType::Inet | PlainType::Cidr => random_address(plain, random),
        PlainType::Numeric => {
            let text = format!("{value}.{:03}e{}", random.next() % 1000, random.spread() % 40);
            ours(plain, &text, &Settings::default()).unwrap()
        }
        PlainType::Json | PlainType::Jsonb => {
            let text = format!("{{\"a\": [{value}, {{\"b{}\": \"\\u00e9\"}}], \"\": {}.50}}", value & 3, value % 100);
            ours(plain, &text, &Settings::default()).unwrap()
        }
        _ => format!("é {value} ").into_bytes(),
    }
}

fn random_address(plain: PlainType, random: &mut Random) -> Vec<u8> {
    let (family, size) = if random.next() & 1 == 0 { (2u8, 4usize) } else { (3, 16) };
    let cidr = plain == PlainType::Cidr;
    let bits = if cidr { size as u8 * 8 } else { (random.next() % (size as u64 * 8 + 1)) as u8 };
    let mut bytes = vec![family, bits, u8::from(cidr), size as u8];
    // Many zero bytes, for the forms with `::`.
    bytes.extend((0..size).map(|_| if random.next().is_multiple_of(3) { random.next() as u8 } else { 0 }));
    bytes
}

#[tokio::test]
async fn values_are_printed_as_postgresql_prints_them() {
    let (_cluster, client) = start().await;
    let mut settings = Settings::default();
    let mut wrong = Vec::new();
    for values in SETTINGS {
        set(&client, &mut settings, values).await;
        for plain in built_in() {
            let sql = format!("SELECT format('%s', $1::{})", plain.name());
            let statement = client.prepare(&sql).await.unwrap();
            let mut source = Random(0x9e37_79b9_7f4a_7c15 ^ u64::from(plain.code()));
            let edges = inputs(plain).into_iter().filter_map(|text| ours(plain, &text, &settings).ok());
            let randoms = (0..150).map(|_| random(plain, &mut source));
            for stored in edges.chain(randoms).collect::<Vec<_>>() {
                let mut sent = Vec::new();
                value::write(plain, &stored, Format::Binary, &settings, &mut sent).unwrap();
                let theirs: String = client.query_one(&statement, &[&Raw(sent)]).await.unwrap().get(0);
                let shown = printed(plain, &stored, &settings);
                if shown != theirs {
                    wrong.push(format!("{} under {values:?}: {shown}, PostgreSQL {theirs}", plain.name()));
                    continue;
                }
                check_read_back(&client, plain, &stored, &shown, &settings, &mut wrong).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// What was printed is read back as PostgreSQL reads it back.
async fn check_read_back(
    client: &Client,
    plain: PlainType,
    stored: &[u8],
    shown: &str,
    settings: &Settings,
    wrong: &mut Vec<String>,
) {
    let again = ours(plain, shown, settings);
    if again.as_deref() == Ok(stored) {
        return;
    }
    let theirs = theirs(client, plain, shown).await;
    // Abbreviations that mean one thing in the zone and another in PostgreSQL's table are refused here.
    let ambiguous = again.is_err() && plain == PlainType::Timestamptz;
    if again != theirs && !ambiguous {
        wrong.push(format!("{} {shown:?}: read back {again:02x?}, PostgreSQL {theirs:02x?}", plain.name()));
    }
}

#[tokio::test]
async fn equal_is_what_postgresql_finds_equal() {
    let (_cluster, client) = start().await;
    let settings = Settings::default();
    for plain in built_in().filter(|plain| plain.has_equality()) {
        let mut texts = Vec::new();
        for text in inputs(plain).into_iter().filter(|text| ours(plain, text, &settings).is_ok()) {
            texts.push(text);
        }
        let sql = format!(
            "WITH v AS (SELECT v::{} AS v, i FROM unnest($1::text[]) WITH ORDINALITY AS u(v, i)) \
             SELECT a.i, b.i FROM v a JOIN v b ON a.v = b.v AND a.i < b.i",
            plain.name()
        );
        let rows = client.query(&sql, &[&texts]).await.unwrap();
        let theirs: BTreeSet<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let canonical: Vec<Vec<u8>> = texts
            .iter()
            .map(|text| {
                let mut out = Vec::new();
                value::canonical(plain, &ours(plain, text, &settings).unwrap(), &mut out).unwrap();
                out
            })
            .collect();
        for a in 0..texts.len() {
            for b in a + 1..texts.len() {
                let equal = theirs.contains(&(a as i64 + 1, b as i64 + 1));
                assert_eq!(canonical[a] == canonical[b], equal, "{}: {:?} and {:?}", plain.name(), texts[a], texts[b]);
            }
        }
    }
}

#[tokio::test]
async fn ordered_is_what_postgresql_orders() {
    let (_cluster, client) = start().await;
    let settings = Settings::default();
    for plain in built_in().filter(|plain| plain.has_order()) {
        let stored = |text: &String| ours(plain, text, &settings).ok().map(|stored| (text.clone(), stored));
        let mut values: Vec<(String, Vec<u8>)> = inputs(plain).iter().filter_map(stored).collect();
        let mut source = Random(4711 + u64::from(plain.code()));
        for stored in (0..60).map(|_| random(plain, &mut source)).collect::<Vec<_>>() {
            let mut text = Vec::new();
            value::write(plain, &stored, Format::Text, &settings, &mut text).unwrap();
            values.push((String::from_utf8(text).unwrap(), stored));
        }
        let collate = if plain.name() == "text" || plain.name().ends_with("char") { "COLLATE \"C\"" } else { "" };
        let sql = format!(
            "SELECT rank() OVER (ORDER BY v::{} {collate}) FROM unnest($1::text[]) WITH ORDINALITY AS u(v, i) ORDER BY i",
            plain.name()
        );
        let texts: Vec<&str> = values.iter().map(|(text, _)| text.as_str()).collect();
        let ranks: Vec<i64> = client.query(&sql, &[&texts]).await.unwrap().iter().map(|row| row.get(0)).collect();
        let mut ordered = Vec::new();
        for ((text, stored), rank) in values.iter().zip(ranks) {
            let mut bytes = Vec::new();
            match value::ordering(plain, stored, &mut bytes) {
                Ok(()) => ordered.push((bytes, rank, text)),
                Err(error) => assert_eq!(error.sqlstate.0, "54000", "{}: {text:?}", plain.name()),
            }
        }
        assert!(ordered.len() > 4, "{}", plain.name());
        ordered.sort();
        for pair in ordered.windows(2) {
            let [(a, rank_a, text_a), (b, rank_b, text_b)] = pair else { unreachable!() };
            assert_eq!(a.cmp(b), rank_a.cmp(rank_b), "{}: {text_a:?} and {text_b:?}", plain.name());
        }
    }
}

/// Binary parameters of one type for a column of another, as `INSERT` assigns them.
#[tokio::test]
async fn assignment_casts_are_postgresqls() {
    let (_cluster, client) = start().await;
    let mut settings = Settings::default();
    set(&client, &mut settings, &[("TimeZone", "America/New_York")]).await;
    let mut wrong = Vec::new();
    for to in built_in() {
        client.batch_execute(&format!("CREATE TEMP TABLE IF NOT EXISTS t_{0} (v {0})", to.name())).await.unwrap();
        for from in built_in() {
            let sql =
                format!("INSERT INTO t_{} VALUES ($1::{}) RETURNING {}(v)", to.name(), from.name(), send_function(to));
            let statement = client.prepare(&sql).await;
            let mut source = Random(77 + u64::from(from.code()) * 31 + u64::from(to.code()));
            let edges = inputs(from).into_iter().filter_map(|text| ours(from, &text, &settings).ok()).take(60);
            let randoms = (0..20).map(|_| random(from, &mut source));
            for stored in edges.chain(randoms).collect::<Vec<_>>() {
                let mut sent = Vec::new();
                value::write(from, &stored, Format::Binary, &settings, &mut sent).unwrap();
                let mut out = Vec::new();
                let ours = value::read(to, from.oid(), None, Format::Binary, &sent, &settings, &mut out);
                let ours = ours.map(|()| out).map_err(|error| error.sqlstate.0.to_owned());
                let theirs = match &statement {
                    Ok(statement) => match client.query_one(statement, &[&Raw(sent)]).await {
                        Ok(row) => row.get::<_, Option<Vec<u8>>>(0).ok_or("NULL".to_owned()),
                        Err(error) => Err(error.code().expect("an error of the server").code().to_owned()),
                    },
                    Err(error) => Err(error.code().expect("an error of the server").code().to_owned()),
                };
                let theirs = theirs.map(|bytes| if to == PlainType::Jsonb { bytes[1..].to_vec() } else { bytes });
                let refused = ours.is_err() && theirs.is_err();
                // Text is assigned to any type here, since drivers declare it so.
                let textual = matches!(from, PlainType::Text | PlainType::Varchar | PlainType::Bpchar);
                if ours == theirs
                    || (refused && ours.as_ref().err() == theirs.as_ref().err())
                    || (textual && statement.is_err())
                {
                    continue;
                }
                if theirs == Err("NULL".to_owned()) && ours.is_err() {
                    continue;
                }
                wrong.push(format!(
                    "{} -> {} of {stored:02x?}: {ours:02x?}, PostgreSQL {theirs:02x?}",
                    from.name(),
                    to.name()
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn arrays_are_read_as_postgresql_reads_them() {
    let (_cluster, client) = start().await;
    let settings = Settings::default();
    let statement = client
        .prepare(
            "SELECT coalesce(array_agg(e ORDER BY i), '{}') FROM unnest($1::text::text[]) WITH ORDINALITY AS u(e, i)",
        )
        .await
        .unwrap();
    let mut wrong = Vec::new();
    for text in include_str!("values/array.txt").lines().chain([""]) {
        let theirs = match client.query_one(&statement, &[&text]).await {
            Ok(row) => Ok(row.get::<_, Vec<Option<String>>>(0)),
            Err(error) => Err(error.code().expect("an error of the server").code().to_owned()),
        };
        let ours = value::read_array(PlainType::Text, 1009, Format::Text, text.as_bytes(), &settings)
            .map(|array| array.iter().map(|e| e.map(|e| String::from_utf8(e.to_vec()).unwrap())).collect::<Vec<_>>())
            .map_err(|error| error.sqlstate.0.to_owned());
        if ours != theirs {
            wrong.push(format!("{text:?}: {ours:?}, PostgreSQL {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
