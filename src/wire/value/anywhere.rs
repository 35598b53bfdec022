//! Texts whose meaning no setting of a session changes, and parts of documents that are such.

use zeroize::Zeroizing;

use super::error::{Result, ValueError};
use super::{Format, PlainType, Settings, document, read};

/// What a document in its stored form has at a path of keys, cast to a type, in that type's stored form. `None`: null, or nothing.
///
/// # Errors
/// The text there is not one of the type, as of [`read`], or it is a date or time that is not in ISO 8601, or a `timestamptz` that
/// tells no offset (22007).
pub fn at_path(doc: &str, keys: &[String], plain: PlainType) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let Some(part) = document::path(doc, &keys)? else { return Ok(None) };
    let Some(text) = document::text(part)? else { return Ok(None) };
    let text = Zeroizing::new(text.into_owned());
    let mut stored = Zeroizing::new(Vec::with_capacity(text.len() + 16));
    if !is_firm(plain, text.as_bytes()) {
        return Err(ValueError::datetime_syntax(plain.sql_name())
            .hint("Write it in ISO 8601, as 2001-02-03T04:05:06+00:00: what it means must not depend on a session's settings."));
    }
    read(plain, 0, None, Format::Text, text.as_bytes(), &Settings::default(), &mut stored)?;
    Ok(Some(stored))
}

/// No setting changes what a text means.
fn is_firm(plain: PlainType, text: &[u8]) -> bool {
    let digits = |from: usize, to: usize| text.get(from..to).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    let is = |at: usize, wanted: &[u8]| text.get(at).is_some_and(|b| wanted.contains(b));
    let date = digits(0, 4) && is(4, b"-") && digits(5, 7) && is(7, b"-") && digits(8, 10);
    let time = is(10, b"T ") && digits(11, 13) && is(13, b":") && digits(14, 16);
    let rest = text.get(16..).unwrap_or_default();
    let zone = rest.iter().position(|b| matches!(b, b'+' | b'-' | b'Z')).unwrap_or(rest.len());
    let (seconds, offset) = rest.split_at(zone);
    let firm = time
        && seconds.iter().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'))
        && offset.iter().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'+' | b'-' | b'Z'));
    match plain {
        PlainType::Date | PlainType::Timestamp => date && (text.len() == 10 || firm),
        PlainType::Timestamptz => date && firm && !offset.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sqlstate::SqlState;

    fn at(doc: &str, path: &str, plain: PlainType) -> Result<Option<Vec<u8>>> {
        let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
        at_path(doc, &keys, plain).map(|found| found.map(|found| found.to_vec()))
    }

    #[test]
    fn parts_are_what_their_cast_gives() {
        let doc = r#"{"a": {"b": "x y", "n": null, "d": {"e": 1.50}, "t": true}, "s": "12", "l": [{"b": 1}]}"#;
        let text =
            |path: &str| at(doc, path, PlainType::Text).map(|found| found.map(|t| String::from_utf8(t).expect("text")));
        for (path, found) in [
            ("a.b", Some("x y")),
            ("a.n", None),
            ("a.n.x", None),
            ("a.t", Some("true")),
            ("a.d", Some(r#"{"e": 1.50}"#)),
            ("a.d.e", Some("1.50")),
            ("a.b.c", None),
            ("l.b", None),
            ("l", Some(r#"[{"b": 1}]"#)),
            ("x", None),
        ] {
            assert_eq!(text(path).expect("text"), found.map(str::to_owned), "{path}");
        }
        assert_eq!(at(doc, "s", PlainType::Int4), Ok(Some(12i32.to_be_bytes().to_vec())));
        for (path, plain) in [("a.b", PlainType::Int4), ("a.d.e", PlainType::Int4), ("a.d", PlainType::Numeric)] {
            let fault = at(doc, path, plain).expect_err("no such value");
            assert_eq!(fault.sqlstate, SqlState::INVALID_TEXT_REPRESENTATION, "{path}");
        }
    }

    #[test]
    fn dates_and_times_are_read_where_they_mean_one_thing() {
        use PlainType::{Date, Timestamp, Timestamptz};
        for (text, plain, fits) in [
            ("2001-02-03", Date, true),
            ("2001-02-03T04:05:06Z", Date, true),
            ("02/03/2001", Date, false),
            ("3 Feb 2001", Date, false),
            ("today", Date, false),
            ("infinity", Date, false),
            ("2001-02-30", Date, false),
            ("2001-02-03 04:05", Timestamp, true),
            ("2001-02-03T04:05:06.789", Timestamp, true),
            ("2001-02-03 04:05 PM", Timestamp, false),
            ("2001-02-03T04:05:06Z", Timestamptz, true),
            ("2001-02-03 04:05:06.5-03:30", Timestamptz, true),
            ("2001-02-03T04:05:06", Timestamptz, false),
            ("2001-02-03", Timestamptz, false),
            ("2001-02-03T04:05:06 CET", Timestamptz, false),
            ("", Timestamptz, false),
        ] {
            assert_eq!(at(&format!(r#"{{"a": "{text}"}}"#), "a", plain).is_ok(), fits, "{text} {plain:?}");
        }
    }
}
