//! Values within JSON that the server built: found by their marks, and printed as PostgreSQL prints them there.
//!
//! ```text
//! "<mark>NN<hex>;"       NN: which of the plan's types   hex: the envelope   the quotes are the JSON string's
//! ```

use std::sync::Arc;

use memchr::memmem;

use super::roles::{Sight, Viewer};
use super::seal;
use crate::schema::catalog::EncType;
use crate::sql::plan::{BuiltValue, Plan, Written};
use crate::wire::error::PgError;
use crate::wire::value::{self, DateForm, Format, PlainType, Settings, ValueError};

/// What values in JSON begin with: hexadecimal digits of a random number, the session's own.
pub(super) type Mark = [u8; 32];

/// A new one.
pub(super) fn mark() -> Result<Mark, crate::crypto::random::RandomError> {
    let mut mark = [0; 32];
    hex::encode_to_slice(crate::crypto::random::array::<16>()?, &mut mark).expect("two digits a byte");
    Ok(mark)
}

/// A type of values that a result column may hold.
pub(super) struct Value {
    pub(super) enc: Arc<EncType>,
    pub(super) sight: Sight,
    /// For errors.
    pub(super) column: String,
    /// How it is written.
    pub(super) written: Written,
}

/// The types of values in JSON, as the role may see them.
pub(super) fn values(plan: &Plan, viewer: &Viewer) -> Result<Arc<[Value]>, PgError> {
    if plan.built.is_empty() {
        return Ok(Arc::default());
    }
    let one = |value: &BuiltValue| {
        let BuiltValue { enc, column, written } = value;
        Ok(Value {
            enc: Arc::clone(enc),
            sight: seal::sight(viewer, enc, column)?,
            column: column.clone(),
            written: *written,
        })
    };
    plan.built.iter().map(one).collect()
}

/// A value where it stands.
pub(super) struct Token<'b> {
    /// Bytes before it, from the end of the one before.
    pub(super) before: &'b [u8],
    /// Which of the plan's types.
    pub(super) value: usize,
    /// The envelope in hexadecimal.
    pub(super) envelope: &'b [u8],
    /// Bytes after it.
    pub(super) rest: &'b [u8],
}

/// Something stands beside a mark that no statement puts there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forged;

/// The first value in what is left of a column. `None`: there is none. `quoted`: each is a string of JSON.
pub(super) fn next<'b>(mark: &Mark, body: &'b [u8], quoted: bool) -> Result<Option<Token<'b>>, Forged> {
    let Some(at) = memmem::find(body, mark) else { return Ok(None) };
    let quote = usize::from(quoted);
    let token = || {
        let before = body.get(..at.checked_sub(quote)?)?;
        let inner = body.get(at + mark.len()..)?;
        let end = inner.iter().position(|b| *b == b';')?;
        let (number, envelope) = inner[..end].split_first_chunk::<2>()?;
        let mut value = [0];
        hex::decode_to_slice(number, &mut value).ok()?;
        let fits = !quoted || (body[at - 1] == b'"' && inner.get(end + 1) == Some(&b'"'));
        let rest = &inner[end..];
        fits.then(|| Token { before, value: value[0].into(), envelope, rest: &rest[1 + quote..] })
    };
    token().map(Some).ok_or(Forged)
}

/// Session settings as JSON has them: dates in ISO 8601.
pub(super) fn settings(session: &Settings) -> Settings {
    let mut settings = session.clone();
    settings.date_style.form = DateForm::Iso;
    settings
}

/// Appends an opened value as it is to be written. `text`: scratch, wiped by its owner.
pub(super) fn write(
    value: &Value,
    stored: &[u8],
    settings: &Settings,
    text: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    use PlainType::*;
    let enc = &*value.enc;
    match value.written {
        Written::Json => {}
        Written::Output | Written::Given => {
            return value::write_as(enc.shown, (enc.def.plain, stored), Format::Text, settings, out);
        }
        Written::Cast => return value::cast(enc.def.plain, Text, stored, settings, out),
    }
    text.clear();
    value::write_as(enc.shown, (enc.def.plain, stored), Format::Text, settings, text)?;
    match enc.shown {
        Bool => out.extend_from_slice(if text.as_slice() == b"t" { b"true" } else { b"false" }),
        Int2 | Int4 | Int8 | Float4 | Float8 | Numeric if is_number(text) => out.extend_from_slice(text),
        Json | Jsonb => out.extend_from_slice(text),
        Timestamp | Timestamptz => {
            to_moment(text);
            value::push_json_string(text, out);
        }
        _ => value::push_json_string(text, out),
    }
    Ok(())
}

/// `NaN` and the infinities are no numbers in JSON.
fn is_number(text: &[u8]) -> bool {
    text.strip_prefix(b"-").unwrap_or(text).first().is_some_and(u8::is_ascii_digit)
}

/// Makes of `2001-02-03 04:05:06+02` what XML Schema has: `2001-02-03T04:05:06+02:00`.
fn to_moment(out: &mut Vec<u8>) {
    let Some(space) = out.iter().position(|b| *b == b' ') else { return };
    out[space] = b'T';
    let era = out[space..].iter().position(|b| *b == b' ').map_or(out.len(), |at| space + at);
    if let Some(sign) = out[space..era].iter().position(|b| matches!(b, b'+' | b'-'))
        && !out[space + sign..era].contains(&b':')
    {
        out.splice(era..era, *b":00");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = *b"0123456789abcdef0123456789abcdef";

    fn body(text: &str) -> Vec<u8> {
        text.replace('#', "0123456789abcdef0123456789abcdef").into_bytes()
    }

    #[test]
    fn values_are_found_where_they_stand() {
        let bytes = body("\x01[01, \"#00ab;\", \"#01;\"]");
        let first = next(&MARK, &bytes, true).expect("well formed").expect("one");
        assert_eq!((first.before, first.value, first.envelope), (&b"\x01[01, "[..], 0, &b"ab"[..]));
        let second = next(&MARK, first.rest, true).expect("well formed").expect("another");
        assert_eq!((second.before, second.value, second.envelope, second.rest), (&b", "[..], 1, &b""[..], &b"]"[..]));
        assert_eq!(next(&MARK, second.rest, true).map(|t| t.is_none()), Ok(true));
    }

    #[test]
    fn what_no_statement_makes_is_refused() {
        for odd in ["#00ab;", "\"x#00ab;\"", "\"#00ab;x\"", "\"#00ab", "\"#zz;\"", "\"#0;\"", "\"#", "#"] {
            assert!(next(&MARK, &body(odd), true).is_err(), "{odd}");
        }
    }

    #[test]
    fn in_text_nothing_stands_around_them() {
        let bytes = body("\"#00ab;#01;x");
        let first = next(&MARK, &bytes, false).expect("well formed").expect("one");
        assert_eq!((first.before, first.value, first.envelope), (&b"\""[..], 0, &b"ab"[..]));
        let second = next(&MARK, first.rest, false).expect("well formed").expect("another");
        assert_eq!((second.before, second.value, second.rest), (&b""[..], 1, &b"x"[..]));
        for odd in ["#00ab", "#zz;", "#0;", "#", "x#00"] {
            assert!(next(&MARK, &body(odd), false).is_err(), "{odd}");
        }
    }

    #[test]
    fn strings_and_moments() {
        let mut out = Vec::new();
        value::push_json_string("a\"\\\n\u{1}\u{7f}ä/".as_bytes(), &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001\u{7f}ä/\"".as_bytes());
        for (text, shown) in [
            ("2001-02-03 04:05:06", "2001-02-03T04:05:06"),
            ("2001-02-03 04:05:06.5+02", "2001-02-03T04:05:06.5+02:00"),
            ("2001-02-03 04:05:06-03:30", "2001-02-03T04:05:06-03:30"),
            ("0044-03-15 00:00:00+00 BC", "0044-03-15T00:00:00+00:00 BC"),
            ("infinity", "infinity"),
        ] {
            let mut out = text.as_bytes().to_vec();
            to_moment(&mut out);
            assert_eq!(out, shown.as_bytes(), "{text}");
        }
    }
}
