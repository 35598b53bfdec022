//! numeric: base-10000 digits as PostgreSQL sends them. Reads and prints decimal text; no arithmetic but rounding.
//!
//! Stored form: ndigits, weight, sign, dscale (two bytes each), then the digits. Leading and trailing zero
//! digits are always stripped, so that equal values differ in dscale only.

use zeroize::Zeroizing;

use super::PlainType;
use super::error::{Result, ValueError};
use super::scan::trim;
use crate::wire::sqlstate::SqlState;

pub(super) const NEGATIVE: u16 = 0x4000;
pub(super) const NAN: u16 = 0xC000;
pub(super) const INFINITY: u16 = 0xD000;
pub(super) const MINUS_INFINITY: u16 = 0xF000;
/// What PostgreSQL sends as the scale of an infinity.
const INFINITY_SCALE: u16 = 32;
const MAX_SCALE: i64 = 0x3FFF;
const HEADER: usize = 8;

/// Precision and scale of a `numeric(precision, scale)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Digits {
    /// Decimal digits in all, 1 to 1000.
    pub precision: u16,
    /// Decimal digits after the point, 0 to `precision`.
    pub scale: u16,
}

impl Digits {
    /// `pg_attribute.atttypmod` of such a type.
    pub fn typmod(self) -> i32 {
        (i32::from(self.precision) << 16 | i32::from(self.scale)) + 4
    }
}

/// A numeric in its stored form.
pub(super) struct View<'a> {
    pub(super) sign: u16,
    pub(super) weight: i32,
    pub(super) dscale: u16,
    digits: &'a [u8],
}

impl<'a> View<'a> {
    fn of(bytes: &'a [u8]) -> Option<View<'a>> {
        let (header, digits) = bytes.split_first_chunk::<HEADER>()?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if usize::from(word(0)) * 2 != digits.len() {
            return None;
        }
        let weight = i32::from(word(2) as i16);
        Some(View { sign: word(4), weight, dscale: word(6), digits })
    }

    pub(super) fn stored(bytes: &'a [u8]) -> Result<View<'a>> {
        View::of(bytes)
            .filter(|v| v.dscale <= MAX_SCALE as u16 && valid_sign(v.sign) && v.groups().all(|g| g < 10_000))
            .ok_or_else(|| ValueError::corrupt(PlainType::Numeric))
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = u16> + 'a {
        self.digits.chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]]))
    }

    /// The base-10000 digit of weight `at` (0: units).
    fn group(&self, at: i32) -> u16 {
        let index = self.weight - at;
        let Ok(index) = usize::try_from(index) else { return 0 };
        self.digits.get(index * 2..index * 2 + 2).map_or(0, |c| u16::from_be_bytes([c[0], c[1]]))
    }
}

fn valid_sign(sign: u16) -> bool {
    matches!(sign, 0 | NEGATIVE | NAN | INFINITY | MINUS_INFINITY)
}

fn overflow() -> ValueError {
    ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

pub(super) fn push_special(sign: u16, out: &mut Vec<u8>) {
    let scale = if sign == NAN { 0 } else { INFINITY_SCALE };
    for word in [0, 0, sign, scale] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// Writes a stored form, stripping zero digits at both ends. Checks ranges.
pub(super) fn push(
    sign: u16,
    weight: i64,
    dscale: i64,
    groups: impl Iterator<Item = u16>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let mut weight = weight;
    let mut end = out.len();
    for group in groups {
        if group == 0 && out.len() == start + HEADER {
            weight -= 1;
            continue;
        }
        out.extend_from_slice(&group.to_be_bytes());
        if group != 0 {
            end = out.len();
        }
    }
    out.truncate(end);
    let count = (end - start - HEADER) / 2;
    let (sign, weight) = if count == 0 { (0, 0) } else { (sign, weight) };
    let (Ok(weight), true, Ok(count)) = (i16::try_from(weight), dscale <= MAX_SCALE, u16::try_from(count)) else {
        out.truncate(start);
        return Err(overflow());
    };
    let header = &mut out[start..start + HEADER];
    header[..2].copy_from_slice(&count.to_be_bytes());
    header[2..4].copy_from_slice(&weight.to_be_bytes());
    header[4..6].copy_from_slice(&sign.to_be_bytes());
    header[6..].copy_from_slice(&(dscale as u16).to_be_bytes());
    Ok(())
}

/// Reads decimal text with optional exponent, `NaN`, `Infinity`, `inf`.
pub(crate) fn parse(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let text = trim(text);
    if let Some(sign) = special(text) {
        push_special(sign, out);
        return Ok(());
    }
    let syntax = || ValueError::syntax("numeric");
    let bytes = text.as_bytes();
    let (sign, bytes) = match bytes {
        [b'-', rest @ ..] => (NEGATIVE, rest),
        [b'+', rest @ ..] => (0, rest),
        _ => (0, bytes),
    };
    let end = bytes.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(bytes.len());
    let (mantissa, tail) = bytes.split_at(end);
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    let digits = || whole.iter().chain(fraction);
    if digits().next().is_none() || !digits().all(u8::is_ascii_digit) {
        return Err(syntax());
    }
    let exponent = if tail.is_empty() { 0 } else { exponent(&tail[1..])? };
    let scale = (fraction.len() as i64 - exponent).max(0);
    // Weight of the first decimal digit, and of the base-10000 digit that it falls in.
    let first = whole.len() as i64 - 1 + exponent;
    let weight = first.div_euclid(4);
    let padding = 3 - first.rem_euclid(4);
    let mut decimals = std::iter::repeat_n(b'0', padding as usize).chain(digits().copied());
    let groups = std::iter::from_fn(|| {
        let head = decimals.next()?;
        let mut group = u16::from(head - b'0');
        for _ in 0..3 {
            group = group * 10 + u16::from(decimals.next().unwrap_or(b'0') - b'0');
        }
        Some(group)
    });
    push(sign, weight, scale, groups, out)
}

fn special(text: &str) -> Option<u16> {
    if text.eq_ignore_ascii_case("nan") {
        return Some(NAN);
    }
    let (sign, word) = match text.as_bytes() {
        [b'-', ..] => (MINUS_INFINITY, &text[1..]),
        [b'+', ..] => (INFINITY, &text[1..]),
        _ => (INFINITY, text),
    };
    (word.eq_ignore_ascii_case("infinity") || word.eq_ignore_ascii_case("inf")).then_some(sign)
}

fn exponent(bytes: &[u8]) -> Result<i64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ValueError::syntax("numeric"));
    }
    let mut value: i64 = 0;
    for digit in digits {
        value = value * 10 + i64::from(digit - b'0');
        if value >= i64::from(i32::MAX / 2) {
            return Err(overflow());
        }
    }
    Ok(if negative { -value } else { value })
}

/// Binary input. Digits that the scale hides are cut off, as PostgreSQL does.
pub(crate) fn receive(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let invalid = |what: &str| {
        let message = format!("invalid {what} in external \"numeric\" value");
        ValueError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
    };
    let Some(count) = bytes.first_chunk::<2>() else { return Err(ValueError::short()) };
    if bytes.len() < HEADER + 2 * usize::from(u16::from_be_bytes(*count)) {
        return Err(ValueError::short());
    }
    let view = View::of(bytes).ok_or_else(|| ValueError::binary(PlainType::Numeric))?;
    if !valid_sign(view.sign) {
        return Err(invalid("sign"));
    }
    if i64::from(view.dscale) > MAX_SCALE {
        return Err(invalid("scale"));
    }
    if view.groups().any(|g| g > 9999) {
        return Err(invalid("digit"));
    }
    if view.sign >= NAN {
        push_special(view.sign, out);
        return Ok(());
    }
    let shown = (view.weight + 1) * 4 + i32::from(view.dscale);
    let groups = view.groups().enumerate().map_while(|(index, group)| {
        let left = shown - index as i32 * 4;
        match left {
            ..=0 => None,
            1 => Some(group - group % 1000),
            2 => Some(group - group % 100),
            3 => Some(group - group % 10),
            _ => Some(group),
        }
    });
    push(view.sign, view.weight.into(), view.dscale.into(), groups, out)
}

/// Prints as PostgreSQL does: all digits, no exponent.
pub(crate) fn print(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    print_scaled(stored, false, out)
}

/// Prints with no more fractional digits than the value needs, so that equal values print equally.
pub(crate) fn print_plain(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    print_scaled(stored, true, out)
}

fn print_scaled(stored: &[u8], bare: bool, out: &mut Vec<u8>) -> Result<()> {
    let view = View::stored(stored)?;
    let word: &[u8] = match view.sign {
        NAN => b"NaN",
        INFINITY => b"Infinity",
        MINUS_INFINITY => b"-Infinity",
        NEGATIVE => b"-",
        _ => b"",
    };
    out.extend_from_slice(word);
    if view.sign >= NAN {
        return Ok(());
    }
    let start = out.len();
    for at in (0..=view.weight.max(0)).rev() {
        let digits = decimals(view.group(at));
        let skip = if out.len() == start { digits.iter().position(|d| *d != b'0').unwrap_or(4) } else { 0 };
        out.extend_from_slice(&digits[skip..]);
    }
    if out.len() == start {
        out.push(b'0');
    }
    let scale = usize::from(view.dscale);
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + scale;
        let mut at = -1;
        while out.len() < end {
            let digits = decimals(view.group(at));
            let room = (end - out.len()).min(4);
            out.extend_from_slice(&digits[..room]);
            at -= 1;
        }
        if bare {
            let kept = out.iter().rposition(|b| *b != b'0').unwrap_or(start);
            out.truncate(if out[kept] == b'.' { kept } else { kept + 1 });
        }
    }
    Ok(())
}

fn decimals(group: u16) -> [u8; 4] {
    [group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|d| b'0' + d as u8)
}

/// Rounds half away from zero to an integer. `type_name`: the integer type, for errors.
pub(crate) fn to_int(stored: &[u8], type_name: &str) -> Result<i64> {
    let view = View::stored(stored)?;
    if view.sign >= NAN {
        let what = if view.sign == NAN { "NaN" } else { "infinity" };
        return Err(ValueError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot convert {what} to {type_name}")));
    }
    let range = || ValueError::out_of_range(type_name);
    if view.weight > 4 {
        return Err(range());
    }
    let mut value = (0..=view.weight).rev().fold(0i128, |n, at| n * 10_000 + i128::from(view.group(at)));
    if view.group(-1) >= 5_000 {
        value += 1;
    }
    let value = if view.sign == NEGATIVE { -value } else { value };
    i64::try_from(value).map_err(|_| range())
}

/// Appends the value as a `numeric(precision, scale)` holds it, rounded half away from zero.
///
/// # Errors
/// 22003 for a value with too many digits before the point.
pub(crate) fn fit(stored: &[u8], digits: Digits, out: &mut Vec<u8>) -> Result<()> {
    let overflow = || ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
    let view = View::stored(stored)?;
    if view.sign == NAN {
        out.extend_from_slice(stored);
        return Ok(());
    }
    if view.sign > NAN {
        return Err(overflow());
    }
    let mut printed = Zeroizing::new(Vec::new());
    print(stored, &mut printed)?;
    let unsigned = printed.strip_prefix(b"-").unwrap_or(&printed);
    let point = unsigned.iter().position(|b| *b == b'.').unwrap_or(unsigned.len());
    let (whole, fraction) = (&unsigned[..point], unsigned.get(point + 1..).unwrap_or_default());
    let scale = usize::from(digits.scale);
    // A zero in front takes the carry.
    let mut kept = Zeroizing::new(Vec::with_capacity(whole.len() + scale + 3));
    kept.push(b'0');
    kept.extend_from_slice(whole);
    kept.extend((0..scale).map(|at| fraction.get(at).copied().unwrap_or(b'0')));
    if fraction.get(scale).is_some_and(|next| *next >= b'5') {
        for digit in kept.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                break;
            }
            *digit = b'0';
        }
    }
    let leading = kept.iter().take_while(|digit| **digit == b'0').count();
    if kept.len() - leading > usize::from(digits.precision) {
        return Err(overflow());
    }
    let point = kept.len() - scale;
    kept.insert(point, b'.');
    if view.sign == NEGATIVE {
        kept.insert(0, b'-');
    }
    parse(super::scan::utf8(&kept)?, out)
}

/// Appends bytes that are equal exactly when the values are: sign, weight, digits without outer zeros.
pub(crate) fn canonical(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let view = View::stored(stored)?;
    let leading = view.groups().take_while(|g| *g == 0).count();
    let digits = &view.digits[leading * 2..];
    let trailing = digits.rchunks_exact(2).take_while(|c| **c == [0, 0]).count();
    let digits = &digits[..digits.len() - trailing * 2];
    let (sign, weight) = match (view.sign, digits.is_empty()) {
        (NAN.., _) => (view.sign, 0),
        (_, true) => (0, 0),
        (sign, false) => (sign, view.weight - leading as i32),
    };
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    if sign < NAN {
        out.extend_from_slice(digits);
    }
    Ok(())
}

/// Appends ordering bytes: a byte for sign and kind, then weight and digits without outer zeros; those of a negative number
/// complemented and ended by the greatest, so that the longer of two comes first.
pub(crate) fn ordering(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut exact = Zeroizing::new(Vec::with_capacity(stored.len()));
    canonical(stored, &mut exact)?;
    let (head, digits) = exact.split_first_chunk::<6>().ok_or_else(|| ValueError::corrupt(PlainType::Numeric))?;
    let sign = u16::from_be_bytes([head[0], head[1]]);
    // Within i16, but for leading zeros that were dropped.
    let weight =
        i32::from_be_bytes([head[2], head[3], head[4], head[5]]).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    let kind = match sign {
        NAN => 0xff,
        INFINITY => 0xfe,
        MINUS_INFINITY => 0x00,
        NEGATIVE => 0x01,
        _ if digits.is_empty() => 0x80,
        _ => 0x81,
    };
    out.push(kind);
    if !matches!(kind, 0x01 | 0x81) {
        return Ok(());
    }
    let start = out.len();
    out.extend_from_slice(&((weight as u16) ^ 0x8000).to_be_bytes());
    for digit in digits.chunks_exact(2) {
        out.extend_from_slice(&(u16::from_be_bytes([digit[0], digit[1]]) + 1).to_be_bytes());
    }
    if kind == 0x01 {
        out[start..].iter_mut().for_each(|b| *b = !*b);
        out.extend_from_slice(&[0xff, 0xff]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (mut stored, mut out) = (Vec::new(), Vec::new());
        match parse(text, &mut stored).and_then(|()| print(&stored, &mut out)) {
            Ok(()) => String::from_utf8(out).expect("ascii"),
            Err(error) => error.sqlstate.0.to_owned(),
        }
    }

    #[test]
    fn prints_what_it_read() {
        for (text, want) in [
            ("0", "0"),
            ("-0.00", "0.00"),
            ("00012.3400", "12.3400"),
            ("1e5", "100000"),
            ("1.5e-7", "0.00000015"),
            ("1234567.00012e3", "1234567000.12"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            (" 10000 ", "10000"),
            ("0.00010000", "0.00010000"),
            ("99999999999999999999.9999", "99999999999999999999.9999"),
            ("nan", "NaN"),
            ("-inf", "-Infinity"),
            ("+Infinity", "Infinity"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
        assert_eq!(shown("1e131071").len(), 131_072);
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", ".", "-", "1.2.3", "1e", "e1", "1e+", "1 2", "0x1", "1_0", "+nan", "1,0", "--1", "1e1e1", "٣"]
        {
            assert_eq!(shown(text), "22P02", "{text}");
        }
        for text in ["1e131072", "1e-16384", "1e2147483647", "1e-99999999999999999999"] {
            assert_eq!(shown(text), "22003", "{text}");
        }
        for bytes in
            [&[][..], &[0, 1, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 1, 0, 0], &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]]
        {
            assert!(receive(bytes, &mut Vec::new()).is_err());
            assert!(print(bytes, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn equal_values_have_equal_canonical_bytes() {
        let canon = |text: &str| {
            let (mut stored, mut out) = (Vec::new(), Vec::new());
            parse(text, &mut stored).and_then(|()| canonical(&stored, &mut out)).expect("numeric");
            out
        };
        assert_eq!(canon("1"), canon("1.000"));
        assert_eq!(canon("-0.0"), canon("0"));
        assert_eq!(canon("100e-2"), canon("1"));
        assert_ne!(canon("1"), canon("10000"));
        assert_ne!(canon("1"), canon("-1"));
        assert_ne!(canon("inf"), canon("-inf"));
    }

    #[test]
    fn fits_a_precision_and_scale() {
        let fitted = |text: &str, precision: u16, scale: u16| {
            let (mut stored, mut fitted, mut out) = (Vec::new(), Vec::new(), Vec::new());
            parse(text, &mut stored)
                .and_then(|()| fit(&stored, Digits { precision, scale }, &mut fitted))
                .and_then(|()| print(&fitted, &mut out))
                .map_or_else(|e| e.sqlstate.0.to_owned(), |()| String::from_utf8(out).expect("ascii"))
        };
        for (text, precision, scale, want) in [
            ("1.5", 10, 2, "1.50"),
            ("-1.235", 10, 2, "-1.24"),
            ("1.2349999", 10, 2, "1.23"),
            ("-0.004", 10, 2, "0.00"),
            ("99.995", 5, 2, "100.00"),
            ("999.995", 5, 2, "22003"),
            ("0.99", 2, 2, "0.99"),
            ("0.995", 2, 2, "22003"),
            ("12345.5", 5, 0, "12346"),
            ("1e3", 3, 0, "22003"),
            ("0", 1, 1, "0.0"),
            ("nan", 3, 1, "NaN"),
            ("-inf", 3, 1, "22003"),
        ] {
            assert_eq!(fitted(text, precision, scale), want, "{text}::numeric({precision}, {scale})");
        }
    }

    #[test]
    fn rounds_half_away_from_zero() {
        let int = |text: &str| {
            let mut stored = Vec::new();
            parse(text, &mut stored).and_then(|()| to_int(&stored, "bigint")).map_err(|e| e.sqlstate.0)
        };
        assert_eq!(int("2.5"), Ok(3));
        assert_eq!(int("-2.5"), Ok(-3));
        assert_eq!(int("0.4999"), Ok(0));
        assert_eq!(int("-9223372036854775808.4"), Ok(i64::MIN));
        assert_eq!(int("9223372036854775807.5"), Err("22003"));
        assert_eq!(int("1e100"), Err("22003"));
        assert_eq!(int("nan"), Err("0A000"));
    }
}
