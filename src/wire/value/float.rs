//! float4 and float8: text both ways as PostgreSQL prints and reads it.

use std::io::Write;

use super::PlainType;
use super::error::{Result, ValueError};
use super::scan::{self, trim};

/// A float from its stored form, widened. Exact.
pub(crate) fn load(plain: PlainType, stored: &[u8]) -> Result<f64> {
    Ok(match plain {
        PlainType::Float4 => f32::from_be_bytes(scan::stored(plain, stored)?).into(),
        _ => f64::from_be_bytes(scan::stored(plain, stored)?),
    })
}

/// Appends the stored form. A float4 that would overflow or underflow is an error.
pub(crate) fn store(plain: PlainType, value: f64, out: &mut Vec<u8>) -> Result<()> {
    if plain == PlainType::Float8 {
        out.extend_from_slice(&value.to_be_bytes());
        return Ok(());
    }
    let narrow = value as f32;
    if (narrow.is_infinite() && value.is_finite()) || (narrow == 0.0 && value != 0.0) {
        let how = if narrow == 0.0 { "underflow" } else { "overflow" };
        return Err(ValueError::new(
            crate::wire::sqlstate::SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value out of range: {how}"),
        ));
    }
    out.extend_from_slice(&narrow.to_be_bytes());
    Ok(())
}

/// Reads decimal text, `NaN`, `Infinity`, `inf`. Hexadecimal floats are refused.
pub(crate) fn parse(plain: PlainType, text: &str, out: &mut Vec<u8>) -> Result<()> {
    let text = trim(text);
    if let Some(value) = special(text) {
        return match plain {
            PlainType::Float4 => {
                out.extend_from_slice(&(value as f32).to_be_bytes());
                Ok(())
            }
            _ => store(plain, value, out),
        };
    }
    let bytes = text.as_bytes();
    let plausible = bytes.iter().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plausible {
        return Err(ValueError::syntax(plain.sql_name()));
    }
    let syntax = |_| ValueError::syntax(plain.sql_name());
    let mantissa = bytes.split(|b| matches!(b, b'e' | b'E')).next().unwrap_or_default();
    let zero = !mantissa.iter().any(|b| matches!(b, b'1'..=b'9'));
    let (lost, bits): (bool, &[u8]) = match plain {
        PlainType::Float4 => {
            let value: f32 = text.parse().map_err(syntax)?;
            (value.is_infinite() || (value == 0.0 && !zero), &value.to_be_bytes())
        }
        _ => {
            let value: f64 = text.parse().map_err(syntax)?;
            (value.is_infinite() || (value == 0.0 && !zero), &value.to_be_bytes())
        }
    };
    if lost {
        return Err(ValueError::number_range(plain.sql_name()));
    }
    out.extend_from_slice(bits);
    Ok(())
}

fn special(text: &str) -> Option<f64> {
    let (negative, word) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let value = if word.eq_ignore_ascii_case("nan") {
        f64::from_bits(0x7ff8_0000_0000_0000)
    } else if word.eq_ignore_ascii_case("infinity") || word.eq_ignore_ascii_case("inf") {
        f64::INFINITY
    } else {
        return None;
    };
    Some(if negative { -value } else { value })
}

/// Prints a float under `extra_float_digits`: above 0 the shortest text that reads back, else so many digits
/// fewer than the type is sure of.
pub(crate) fn print(plain: PlainType, stored: &[u8], extra_digits: i32, out: &mut Vec<u8>) -> Result<()> {
    let value = load(plain, stored)?;
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-Infinity" } else { b"Infinity" });
    } else if extra_digits > 0 {
        let limit = if plain == PlainType::Float4 { 6 } else { 15 };
        layout(&shortest(plain, value), limit, out);
    } else {
        let sure = if plain == PlainType::Float4 { 6 } else { 15 };
        let precision = (sure + extra_digits).max(1);
        let mut digits = Decimal::rounded(value, precision as usize);
        digits.trim();
        layout(&digits, precision, out);
    }
    Ok(())
}

/// `double precision` to numeric text as its cast does: 15 significant digits (6 for real).
pub(crate) fn print_for_numeric(plain: PlainType, value: f64, out: &mut Vec<u8>) {
    let precision = if plain == PlainType::Float4 { 6 } else { 15 };
    let mut digits = Decimal::rounded(value, precision);
    digits.trim();
    layout(&digits, precision as i32, out);
}

/// A finite float as `d.ddd * 10^exponent`.
struct Decimal {
    negative: bool,
    digits: [u8; 32],
    len: usize,
    exponent: i32,
}

impl Decimal {
    /// Rounded exactly (half to even) to so many significant digits, 1 to 18.
    fn rounded(value: f64, precision: usize) -> Decimal {
        Decimal::scan(format_args!("{:.*e}", precision - 1, value))
    }

    fn scan(text: std::fmt::Arguments<'_>) -> Decimal {
        let mut buffer = [0u8; 64];
        let mut rest = &mut buffer[..];
        rest.write_fmt(text).expect("18 digits and an exponent fit 64 bytes");
        let left = rest.len();
        let text = &buffer[..64 - left];
        let mut decimal = Decimal { negative: false, digits: [b'0'; 32], len: 0, exponent: 0 };
        let mut bytes = text.iter();
        for &byte in bytes.by_ref() {
            match byte {
                b'-' => decimal.negative = true,
                b'e' => break,
                b'0'..=b'9' => {
                    decimal.digits[decimal.len] = byte;
                    decimal.len += 1;
                }
                _ => {}
            }
        }
        let exponent = bytes.as_slice();
        decimal.exponent = std::str::from_utf8(exponent).ok().and_then(|e| e.parse().ok()).unwrap_or(0);
        decimal
    }

    fn reads_back(&self, single: bool, value: f64) -> bool {
        let mut text = [0u8; 64];
        let mut rest = &mut text[..];
        let digits = std::str::from_utf8(&self.digits[..self.len]).expect("digits are ASCII");
        let power = self.exponent + 1;
        write!(rest, "0.{digits}e{power}").expect("32 digits and an exponent fit 64 bytes");
        let left = rest.len();
        let text = std::str::from_utf8(&text[..64 - left]).expect("digits are ASCII");
        if single {
            text.parse::<f32>().is_ok_and(|read| f64::from(read) == value.abs())
        } else {
            text.parse::<f64>().is_ok_and(|read| read == value.abs())
        }
    }

    fn trim(&mut self) {
        while self.len > 1 && self.digits[self.len - 1] == b'0' {
            self.len -= 1;
        }
    }
}

/// Fewest digits that lie strictly inside the interval of numbers that read back as this float.
/// PostgreSQL takes no number on the interval's boundary, unlike most printers.
fn shortest(plain: PlainType, value: f64) -> Decimal {
    let single = plain == PlainType::Float4;
    let decimal = if single {
        Decimal::scan(format_args!("{:e}", value as f32))
    } else {
        Decimal::scan(format_args!("{value:e}"))
    };
    if value == 0.0 {
        return decimal;
    }
    if !on_boundary(single, value, &decimal) {
        // Of two that are equally near PostgreSQL takes the even one.
        let nearest = Decimal::rounded(value, decimal.len);
        return if nearest.reads_back(single, value) { nearest } else { decimal };
    }
    for precision in decimal.len + 1..=17 {
        let mut candidate = Decimal::rounded(value, precision);
        candidate.trim();
        if !on_boundary(single, value, &candidate) {
            return candidate;
        }
    }
    decimal
}

/// Whether a decimal is exactly halfway between a float and its neighbour.
fn on_boundary(single: bool, value: f64, decimal: &Decimal) -> bool {
    let (mantissa, exponent, least) = if single {
        let bits = (value as f32).to_bits();
        let raw = (bits >> 23 & 0xff) as i32;
        let fraction = u64::from(bits & 0x7f_ffff);
        if raw == 0 { (fraction, -149, false) } else { (fraction | 1 << 23, raw - 150, fraction == 0) }
    } else {
        let bits = value.to_bits();
        let raw = (bits >> 52 & 0x7ff) as i32;
        let fraction = bits & 0xf_ffff_ffff_ffff;
        if raw == 0 { (fraction, -1074, false) } else { (fraction | 1 << 52, raw - 1075, fraction == 0) }
    };
    let digits = decimal.digits[..decimal.len].iter().fold(0u64, |n, d| n * 10 + u64::from(d - b'0'));
    let power = decimal.exponent - (decimal.len as i32 - 1);
    let above = same(digits, power, 2 * mantissa + 1, exponent - 1);
    let below = if least {
        same(digits, power, 4 * mantissa - 1, exponent - 2)
    } else {
        same(digits, power, 2 * mantissa - 1, exponent - 1)
    };
    above || below
}

/// Whether `digits * 10^power == odd * 2^exponent`, for odd `odd`.
fn same(digits: u64, power: i32, odd: u64, exponent: i32) -> bool {
    if digits == 0 {
        return false;
    }
    let twos = digits.trailing_zeros() as i32;
    if twos + power != exponent {
        return false;
    }
    let (mut low, mut high) = (u128::from(digits >> twos), u128::from(odd));
    let side = if power >= 0 { &mut low } else { &mut high };
    for _ in 0..power.unsigned_abs() {
        match side.checked_mul(5) {
            Some(product) => *side = product,
            None => return false,
        }
    }
    low == high
}

/// Fixed notation for exponents from -4 up to the limit, else scientific with at least two exponent digits.
fn layout(decimal: &Decimal, limit: i32, out: &mut Vec<u8>) {
    let digits = &decimal.digits[..decimal.len];
    if decimal.negative {
        out.push(b'-');
    }
    let exponent = decimal.exponent;
    if !(-4..limit).contains(&exponent) {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        scan::push_padded(out, exponent.unsigned_abs().into(), 2);
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-exponent - 1) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        if digits.len() > whole {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        } else {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        }
    }
}

/// Appends eight bytes that are equal exactly when PostgreSQL finds the floats equal.
pub(crate) fn canonical(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let value = load(plain, stored)?;
    let value = if value.is_nan() {
        f64::from_bits(0x7ff8_0000_0000_0000)
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    out.extend_from_slice(&value.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(plain: PlainType, text: &str, extra: i32) -> String {
        let (mut stored, mut out) = (Vec::new(), Vec::new());
        match parse(plain, text, &mut stored).and_then(|()| print(plain, &stored, extra, &mut out)) {
            Ok(()) => String::from_utf8(out).expect("ascii"),
            Err(error) => error.sqlstate.0.to_owned(),
        }
    }

    #[test]
    fn prints_as_postgresql() {
        let cases = [
            ("0", 1, "0"),
            ("-0", 1, "-0"),
            ("1e15", 1, "1e+15"),
            ("123456789012345", 1, "123456789012345"),
            ("0.0001", 1, "0.0001"),
            ("0.00001", 1, "1e-05"),
            ("1e23", 1, "9.999999999999999e+22"),
            ("5e-324", 1, "5e-324"),
            ("0.1", 0, "0.1"),
            ("0.30000000000000004", 0, "0.3"),
            ("123456789", -10, "1.2346e+08"),
            ("inf", 1, "Infinity"),
            ("-INFINITY", 0, "-Infinity"),
            ("nan", 1, "NaN"),
            ("1e400", 1, "22003"),
            ("1e-400", 1, "22003"),
            ("0e999", 1, "0"),
        ];
        for (text, extra, want) in cases {
            assert_eq!(shown(PlainType::Float8, text, extra), want, "{text} {extra}");
        }
        assert_eq!(shown(PlainType::Float4, "1e6", 1), "1e+06");
        assert_eq!(shown(PlainType::Float4, "16777216", 1), "1.6777216e+07");
        assert_eq!(shown(PlainType::Float4, "0.1", 1), "0.1");
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in ["", " ", ".", "e5", "1e", "1e+", "0x1p3", "1_0", "nan(1)", "1,5", "--1", "infinit", "1 2"] {
            assert_eq!(shown(PlainType::Float8, text, 1), "22P02", "{text}");
        }
    }
}
