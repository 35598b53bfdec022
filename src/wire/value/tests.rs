//! Properties of all codecs: nothing panics whatever the bytes, and what is printed reads back.

use proptest::prelude::*;

use super::datetime::calendar::{DAY, MIN_DAY};
use super::*;

fn plain() -> impl Strategy<Value = PlainType> {
    proptest::sample::select(PlainType::all().collect::<Vec<_>>())
}

fn settings() -> impl Strategy<Value = Settings> {
    use {DateForm::*, DateOrder::*};
    let form = proptest::sample::select(vec![Iso, Sql, Postgres, German]);
    let order = proptest::sample::select(vec![Mdy, Dmy, Ymd]);
    let interval = proptest::sample::select(vec![
        IntervalStyle::Postgres,
        IntervalStyle::PostgresVerbose,
        IntervalStyle::SqlStandard,
        IntervalStyle::Iso8601,
    ]);
    let zone =
        proptest::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "<+05:30>-05:30", "Asia/Tokyo"]);
    let bytea = proptest::sample::select(vec![ByteaOutput::Hex, ByteaOutput::Escape]);
    (form, order, interval, zone, 1..=3, bytea).prop_map(|(form, order, interval_style, zone, digits, bytea_output)| {
        Settings {
            date_style: DateStyle { form, order },
            interval_style,
            time_zone: Zone::named(zone),
            extra_float_digits: digits,
            bytea_output,
        }
    })
}

/// Text that looks like a value of some type, or like nothing.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[-+0-9.eExX:/TZ_ ]{0,24}",
        "[0-9]{1,6}[-/.][0-9]{1,3}[-/.][0-9]{1,6}([ T][0-9]{1,2}:[0-9]{1,2}(:[0-9.]{1,9})?)?([+-][0-9:]{1,8}| [A-Za-z/]{1,9})?",
        "(@ )?([-+]?[0-9.]{1,12} ?(years|mon|days|hours|s|us|w|c) ?){0,4}( ago)?",
        "P?[-0-9.YMWDTHS]{0,16}",
        "[\\[\\]{}\",:0-9a-z\\\\ ]{0,32}",
        "[0-9a-f:./]{0,24}",
    ]
}

/// A stored form of a type, random within the type's range.
fn stored(plain: PlainType, [a, b]: [u64; 2], text: &str) -> Option<Vec<u8>> {
    use PlainType::*;
    let settings = Settings::default();
    let mut out = Vec::new();
    match plain {
        Bool => out.push((a & 1) as u8),
        Int2 => out.extend_from_slice(&a.to_be_bytes()[..2]),
        Int4 => out.extend_from_slice(&a.to_be_bytes()[..4]),
        Int8 => out.extend_from_slice(&a.to_be_bytes()),
        Float4 => out.extend_from_slice(&f32::from_bits(a as u32).to_be_bytes()),
        Float8 => out.extend_from_slice(&f64::from_bits(a).to_be_bytes()),
        Uuid => out.extend([a, b].iter().flat_map(|n| n.to_be_bytes())),
        Date => out.extend_from_slice(&((a % 2_400_000) as i32 - 2_400_000).to_be_bytes()),
        Time => out.extend_from_slice(&((a % 86_400_000_001) as i64).to_be_bytes()),
        Timetz => {
            out.extend_from_slice(&((a % 86_400_000_001) as i64).to_be_bytes());
            out.extend_from_slice(&((b % 115_199) as i32 - 57_599).to_be_bytes());
        }
        Timestamp | Timestamptz => {
            let micros = (a % (i64::MAX as u64 / 2)) as i64 + (MIN_DAY + 2) * DAY;
            out.extend_from_slice(&micros.to_be_bytes());
        }
        Interval => {
            out.extend_from_slice(&((a as i64) >> 8).to_be_bytes());
            out.extend_from_slice(&((b as i32) >> 4).to_be_bytes());
            out.extend_from_slice(&(((b >> 32) as i32) >> 4).to_be_bytes());
        }
        Inet => {
            out.extend_from_slice(&[2, (a % 33) as u8, 0, 4]);
            out.extend_from_slice(&b.to_be_bytes()[..4]);
        }
        Cidr => {
            out.extend_from_slice(&[3, 128, 1, 16]);
            out.extend([a, b].iter().flat_map(|n| n.to_be_bytes()));
        }
        Numeric => {
            let number = format!("{}.{}e{}", a as i64, b, b % 60);
            read(plain, 0, None, Format::Text, number.as_bytes(), &settings, &mut out).ok()?;
        }
        Json | Jsonb => {
            let text: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
            let json = format!("{{\"{text}\": [{a}, {b}.50, \"{text}\"], \"\": null}}");
            read(plain, 0, None, Format::Text, json.as_bytes(), &settings, &mut out).ok()?;
        }
        Text | Varchar | Bpchar | Citext | Enum => out.extend(text.bytes().filter(|b| *b != 0)),
        Bytea => out.extend_from_slice(text.as_bytes()),
    }
    Some(out)
}

/// Forms that PostgreSQL itself cannot read back: abbreviations of zones, and dates printed in another order than
/// the one they are read in.
fn may_not_read_back(plain: PlainType, settings: &Settings) -> bool {
    use PlainType::{Date, Timestamp, Timestamptz};
    let style = settings.date_style;
    let odd = style.order == DateOrder::Ymd || (style.form == DateForm::German && style.order == DateOrder::Mdy);
    let odd_order = odd && matches!(plain, Date | Timestamp);
    style.form != DateForm::Iso && (plain == Timestamptz || odd_order)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_bytes(
        plain in plain(),
        declared in proptest::sample::select(vec![0, 16, 17, 19, 20, 21, 23, 25, 114, 700, 701, 705, 869, 1042, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 3802, 99_999]),
        cast in proptest::option::of(proptest::sample::select(vec![20, 25, 1082, 1184, 1700, 701, 4242])),
        binary: bool,
        bytes: Vec<u8>,
        settings in settings(),
    ) {
        let format = if binary { Format::Binary } else { Format::Text };
        let mut out = b"kept".to_vec();
        if read_operand(plain, declared, cast, format, &bytes, &settings, &mut out).is_err() {
            prop_assert_eq!(&out, b"kept");
        }
        let mut out = Vec::new();
        if read(plain, declared, cast, format, &bytes, &settings, &mut out).is_ok() {
            let mut sink = Vec::new();
            write(plain, &out, Format::Text, &settings, &mut sink).expect("what was read prints");
            if plain.has_equality() {
                canonical(plain, &out, &mut sink).expect("what was read has canonical bytes");
            }
        }
        let mut sink = Vec::new();
        let _ = write(plain, &bytes, format, &settings, &mut sink);
        let _ = canonical(plain, &bytes, &mut sink);
        let _ = read_array(plain, declared, format, &bytes, &settings);
    }

    #[test]
    fn nothing_panics_on_text(plain in plain(), text in text(), settings in settings()) {
        let mut out = Vec::new();
        if read(plain, 0, None, Format::Text, text.as_bytes(), &settings, &mut out).is_ok() {
            let mut sink = Vec::new();
            write(plain, &out, Format::Text, &settings, &mut sink).expect("what was read prints");
        }
        if let Ok(array) = read_array(plain, 0, Format::Text, text.as_bytes(), &settings) {
            let mut sink = Vec::new();
            write_array(plain, &array, Format::Text, &settings, &mut sink).expect("what was read prints");
        }
    }

    #[test]
    fn what_is_printed_reads_back(plain in plain(), a: u64, b: u64, text: String, settings in settings()) {
        let Some(stored) = stored(plain, [a, b], &text) else { return Ok(()) };
        for format in [Format::Text, Format::Binary] {
            let (mut shown, mut again) = (Vec::new(), Vec::new());
            write(plain, &stored, format, &settings, &mut shown).expect("a valid value prints");
            let result = read(plain, 0, None, format, &shown, &settings, &mut again);
            if format == Format::Text && may_not_read_back(plain, &settings) {
                continue;
            }
            result.expect("what was printed is read");
            let mut canons = [Vec::new(), Vec::new()];
            if plain.has_equality() {
                canonical(plain, &stored, &mut canons[0]).expect("canonical");
                canonical(plain, &again, &mut canons[1]).expect("canonical");
                prop_assert_eq!(&canons[0], &canons[1]);
                prop_assert!(!is_canonical(plain) || canons[0] == stored);
            }
            // All NaNs print alike.
            let nan = plain.name().starts_with("float") && shown == b"NaN";
            if !nan {
                prop_assert_eq!(&again, &stored);
            }
        }
    }

    #[test]
    fn arrays_read_back(plain in plain(), values: Vec<Option<(u64, u64, String)>>, settings in settings()) {
        let dimensions = Dimensions::one(values.len());
        let mut array = Array::like(&Parts { element: plain.oid(), dimensions, nulls: false, items: Vec::new() });
        for value in &values {
            let element = value.as_ref().and_then(|(a, b, text)| stored(plain, [*a, *b], text));
            array.push_stored(element.as_deref());
        }
        for format in [Format::Text, Format::Binary] {
            let mut shown = Vec::new();
            write_array(plain, &array, format, &settings, &mut shown).expect("an array prints");
            let again = read_array(plain, 0, format, &shown, &settings);
            if format == Format::Text && may_not_read_back(plain, &settings) {
                continue;
            }
            let again = again.expect("what was printed is read");
            prop_assert_eq!(again.len(), array.len());
            prop_assert!(again.iter().map(|e| e.is_none()).eq(array.iter().map(|e| e.is_none())));
        }
    }
}

#[test]
fn operands_are_not_rounded() {
    let settings = Settings::default();
    let operand = |plain, declared, text: &str| {
        let mut out = Vec::new();
        read_operand(plain, declared, None, Format::Text, text.as_bytes(), &settings, &mut out)
            .map_err(|e| e.sqlstate.0)
    };
    assert_eq!(operand(PlainType::Int4, 1700, "5.0"), Ok(()));
    assert_eq!(operand(PlainType::Int4, 1700, "5.5"), Err("0A000"));
    assert_eq!(operand(PlainType::Float4, 701, "0.1"), Err("0A000"));
    assert_eq!(operand(PlainType::Date, 1114, "2024-01-05 00:00:00"), Ok(()));
    assert_eq!(operand(PlainType::Date, 1114, "2024-01-05 00:00:01"), Err("0A000"));
}

#[test]
fn elements_of_operands_are_not_rounded() {
    let settings = Settings::default();
    let elements = |text: &str| {
        let array = read_array(PlainType::Int4, 1231, Format::Text, text.as_bytes(), &settings);
        array.map(|array| array.len()).map_err(|e| e.sqlstate.0)
    };
    assert_eq!(elements("{5.0,NULL,6}"), Ok(3));
    assert_eq!(elements("{5.5}"), Err("0A000"));
}

#[test]
fn casts_come_before_the_assignment() {
    let settings = Settings::default();
    let stored = |plain, declared, cast, text: &str| {
        let mut out = Vec::new();
        read(plain, declared, cast, Format::Text, text.as_bytes(), &settings, &mut out).map_err(|e| e.sqlstate.0)?;
        Ok::<_, &str>(out)
    };
    assert_eq!(stored(PlainType::Text, 0, Some(23), "007"), Ok(b"7".to_vec()));
    assert_eq!(stored(PlainType::Int4, 25, Some(1043), "7"), Ok(7i32.to_be_bytes().to_vec()));
    assert_eq!(stored(PlainType::Text, 0, Some(16), "yes"), Ok(b"true".to_vec()));
    assert_eq!(stored(PlainType::Text, 0, Some(1042), "a  "), Ok(b"a".to_vec()));
    assert_eq!(stored(PlainType::Int4, 1082, None, "2024-01-05"), Err("42804"));
    assert_eq!(stored(PlainType::Int4, 99_999, None, "5"), Err("42804"));
    assert_eq!(stored(PlainType::Enum, 99_999, None, "label"), Ok(b"label".to_vec()));
}

#[test]
fn text_is_checked_and_errors_never_show_it() {
    let settings = Settings::default();
    for plain in PlainType::all() {
        for bytes in [&b"secret\0"[..], b"secret\xff", b"\xed\xa0\x80"] {
            let error = read(plain, 0, None, Format::Text, bytes, &settings, &mut Vec::new()).expect_err("not UTF-8");
            assert_eq!(error.sqlstate.0, "22021");
        }
        if let Err(error) = read(plain, 0, None, Format::Text, b"secret9", &settings, &mut Vec::new()) {
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
