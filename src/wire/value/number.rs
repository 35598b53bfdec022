//! bool, int2, int4, int8.

use super::PlainType;
use super::error::{Result, ValueError};
use super::scan::{self, trim};

/// An integer type by its limits.
struct Limits {
    min: i64,
    max: i64,
}

fn limits(plain: PlainType) -> Limits {
    match plain {
        PlainType::Int2 => Limits { min: i16::MIN.into(), max: i16::MAX.into() },
        PlainType::Int4 => Limits { min: i32::MIN.into(), max: i32::MAX.into() },
        _ => Limits { min: i64::MIN, max: i64::MAX },
    }
}

/// Appends the stored form of an integer of this type.
pub(crate) fn store_int(plain: PlainType, value: i64, out: &mut Vec<u8>) -> Result<()> {
    let Limits { min, max } = limits(plain);
    if value < min || value > max {
        return Err(ValueError::out_of_range(plain.sql_name()));
    }
    match plain {
        PlainType::Int2 => out.extend_from_slice(&(value as i16).to_be_bytes()),
        PlainType::Int4 => out.extend_from_slice(&(value as i32).to_be_bytes()),
        _ => out.extend_from_slice(&value.to_be_bytes()),
    }
    Ok(())
}

/// An integer from its stored form.
pub(crate) fn load_int(plain: PlainType, stored: &[u8]) -> Result<i64> {
    Ok(match plain {
        PlainType::Int2 => i16::from_be_bytes(scan::stored(plain, stored)?).into(),
        PlainType::Int4 => i32::from_be_bytes(scan::stored(plain, stored)?).into(),
        _ => i64::from_be_bytes(scan::stored(plain, stored)?),
    })
}

/// Reads decimal text: blanks, a sign, digits, blanks.
pub(crate) fn parse_int(plain: PlainType, text: &str, out: &mut Vec<u8>) -> Result<()> {
    let syntax = || ValueError::syntax(plain.sql_name());
    let range = || ValueError::number_range(plain.sql_name());
    let bytes = trim(text).as_bytes();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, bytes),
    };
    if !digits.first().is_some_and(u8::is_ascii_digit) {
        return Err(syntax());
    }
    let Limits { min, max } = limits(plain);
    // Kept negative, since the least integer has no positive twin.
    let mut value: i64 = 0;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(syntax());
        }
        let digit = i64::from(byte - b'0');
        value = value.checked_mul(10).and_then(|v| v.checked_sub(digit)).filter(|v| *v >= min).ok_or_else(range)?;
    }
    if !negative {
        value = value.checked_neg().filter(|v| *v <= max).ok_or_else(range)?;
    }
    store_int(plain, value, out)
}

/// Prints an integer.
pub(crate) fn print_int(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    scan::push_i64(out, load_int(plain, stored)?);
    Ok(())
}

/// Reads a boolean: any unique prefix of true, false, yes, no, on, off, and 1, 0.
pub(crate) fn parse_bool(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let word = trim(text).as_bytes();
    let is = |full: &str, least: usize| {
        word.len() >= least && word.len() <= full.len() && word.eq_ignore_ascii_case(&full.as_bytes()[..word.len()])
    };
    let value = if is("true", 1) || is("yes", 1) || is("on", 2) || word == b"1" {
        1
    } else if is("false", 1) || is("no", 1) || is("off", 2) || word == b"0" {
        0
    } else {
        return Err(ValueError::syntax("boolean"));
    };
    out.push(value);
    Ok(())
}

/// A boolean from its stored form.
pub(crate) fn load_bool(stored: &[u8]) -> Result<bool> {
    match stored {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(ValueError::corrupt(PlainType::Bool)),
    }
}

/// Binary input: any byte but 0 is true.
pub(crate) fn receive_bool(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let [byte] = scan::received(PlainType::Bool, bytes)?;
    out.push(u8::from(byte != 0));
    Ok(())
}

/// Prints `t` or `f`.
pub(crate) fn print_bool(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.push(if load_bool(stored)? { b't' } else { b'f' });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sqlstate::SqlState;

    fn int(plain: PlainType, text: &str) -> std::result::Result<i64, &'static str> {
        let mut out = Vec::new();
        parse_int(plain, text, &mut out).map_err(|e| e.sqlstate.0)?;
        load_int(plain, &out).map_err(|e| e.sqlstate.0)
    }

    #[test]
    fn integers_at_their_limits() {
        assert_eq!(int(PlainType::Int2, "-32768"), Ok(-32768));
        assert_eq!(int(PlainType::Int4, " +2147483647\n"), Ok(2147483647));
        assert_eq!(int(PlainType::Int8, "-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(int(PlainType::Int8, "0000000000000000000000000000001"), Ok(1));
        for (plain, text) in [
            (PlainType::Int2, "32768"),
            (PlainType::Int2, "-32769"),
            (PlainType::Int4, "2147483648"),
            (PlainType::Int8, "9223372036854775808"),
            (PlainType::Int8, "-9223372036854775809"),
            (PlainType::Int4, "99999999999999999999x"),
        ] {
            assert_eq!(int(plain, text), Err(SqlState::NUMERIC_VALUE_OUT_OF_RANGE.0), "{text}");
        }
        for text in ["", " ", "-", "+-1", "1.0", "1e3", "0x10", "1_000", "١", "1 2", "- 1", "abc"] {
            assert_eq!(int(PlainType::Int4, text), Err(SqlState::INVALID_TEXT_REPRESENTATION.0), "{text}");
        }
    }

    #[test]
    fn booleans() {
        for (text, byte) in [("t", 1), ("TRU", 1), (" yes ", 1), ("on", 1), ("1", 1), ("f", 0), ("no", 0), ("of", 0)] {
            let mut out = Vec::new();
            assert!(parse_bool(text, &mut out).is_ok(), "{text}");
            assert_eq!(out, [byte]);
        }
        for text in ["", "o", "truee", "2", "10", "yess", "т"] {
            assert!(parse_bool(text, &mut Vec::new()).is_err(), "{text}");
        }
        assert!(load_bool(&[2]).is_err());
        assert!(receive_bool(&[], &mut Vec::new()).is_err());
    }
}
