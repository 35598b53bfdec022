//! Functions of texts. Characters are those of UTF-8; places are counted in them, from 1.

use super::{Means, Scalar, int4};
use crate::wire::sqlstate::SqlState;
use crate::wire::value::error::{INVALID_PARAMETER_VALUE, Result, ValueError};
use crate::wire::value::{PlainType, scan};

/// Longest result of padding.
const MAX_PADDED: usize = 64 << 20;

pub(super) fn apply(function: Scalar, arguments: &[&[u8]], means: Means<'_>, out: &mut Vec<u8>) -> Result<()> {
    let corrupt = || ValueError::corrupt(PlainType::Text);
    let argument = |at: usize| arguments.get(at).copied().ok_or_else(corrupt);
    let number = |at: usize| argument(at).and_then(int4);
    if function == Scalar::OctetLength {
        return count(argument(0)?.len(), out);
    }
    let value = scan::utf8(argument(0)?)?;
    let text = |at: usize| argument(at).and_then(scan::utf8);
    let part = match function {
        Scalar::Cased(form) => {
            let letters = means.letters.ok_or_else(corrupt)?;
            out.extend_from_slice(letters.map(value, form).as_bytes());
            return Ok(());
        }
        Scalar::Length => return count(value.chars().count(), out),
        Scalar::Strpos => return count(strpos(value, text(1)?), out),
        Scalar::StartsWith => {
            out.push(u8::from(value.starts_with(text(1)?)));
            return Ok(());
        }
        Scalar::Trim(start, end) => {
            let set = if arguments.len() > 1 { text(1)? } else { " " };
            let odd = |c: char| set.contains(c);
            let value = if start { value.trim_start_matches(odd) } else { value };
            if end { value.trim_end_matches(odd) } else { value }
        }
        Scalar::Left => &value[..from_end(value, number(1)?)],
        Scalar::Right => match number(1)? {
            0 => "",
            i32::MIN => return Err(ValueError::unsupported("this length of right(...)", "Write a length.")),
            n => &value[from_end(value, -n)..],
        },
        Scalar::Substr => substr(value, number(1)?, if arguments.len() > 2 { Some(number(2)?) } else { None })?,
        Scalar::SplitPart => split_part(value, text(1)?, number(2)?)?,
        Scalar::Replace => {
            let (from, to) = (text(1)?, text(2)?);
            if from.is_empty() {
                value
            } else {
                let mut parts = value.split(from);
                out.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
                for part in parts {
                    out.extend_from_slice(to.as_bytes());
                    out.extend_from_slice(part.as_bytes());
                    if out.len() > MAX_PADDED * 4 {
                        return Err(too_long());
                    }
                }
                return Ok(());
            }
        }
        Scalar::Translate => return translate(value, text(1)?, text(2)?, out),
        Scalar::Reverse => {
            value.chars().rev().for_each(|c| push(c, out));
            return Ok(());
        }
        Scalar::Pad(before) => {
            let fill = if arguments.len() > 2 { text(2)? } else { " " };
            return pad(value, number(1)?, fill, before, out);
        }
        Scalar::Format => {
            let texts = arguments[1..].iter().map(|text| scan::utf8(text)).collect::<Result<Vec<_>>>()?;
            return super::format::apply(value, &texts, MAX_PADDED * 4, out);
        }
        _ => return Err(corrupt()),
    };
    out.extend_from_slice(part.as_bytes());
    Ok(())
}

fn count(n: usize, out: &mut Vec<u8>) -> Result<()> {
    let n = i32::try_from(n).map_err(|_| ValueError::out_of_range(PlainType::Int4.sql_name()))?;
    out.extend_from_slice(&n.to_be_bytes());
    Ok(())
}

fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Bytes of the first `n` characters, or with a negative `n` of all but the last ones.
fn from_end(value: &str, n: i32) -> usize {
    match usize::try_from(n) {
        Ok(n) => value.char_indices().nth(n).map_or(value.len(), |(at, _)| at),
        Err(_) => {
            let n = n.unsigned_abs() as usize;
            value.char_indices().rev().nth(n - 1).map_or(0, |(at, _)| at)
        }
    }
}

fn strpos(value: &str, part: &str) -> usize {
    value.find(part).map_or(0, |at| value[..at].chars().count() + 1)
}

/// As text_substring in PostgreSQL's varlena.c.
fn substr(value: &str, start: i32, length: Option<i32>) -> Result<&str> {
    let end = match length {
        None => None,
        Some(length) if length < 0 => {
            return Err(ValueError::new(SqlState("22011"), "negative substring length not allowed"));
        }
        // Past the largest place there is the end.
        Some(length) => start.checked_add(length),
    };
    let first = usize::try_from(start.max(1) - 1).unwrap_or(0);
    let byte = |place: usize| value.char_indices().nth(place).map_or(value.len(), |(at, _)| at);
    match end {
        Some(end) if end < 1 => Ok(""),
        Some(end) => Ok(&value[byte(first)..byte(usize::try_from(end - 1).unwrap_or(0).max(first))]),
        None => Ok(&value[byte(first)..]),
    }
}

fn split_part<'v>(value: &'v str, delimiter: &str, field: i32) -> Result<&'v str> {
    if field == 0 {
        return Err(ValueError::new(INVALID_PARAMETER_VALUE, "field position must not be zero"));
    }
    if value.is_empty() || delimiter.is_empty() {
        return Ok(if matches!(field, 1 | -1) { value } else { "" });
    }
    let at = field.unsigned_abs() as usize - 1;
    if field > 0 {
        return Ok(value.split(delimiter).nth(at).unwrap_or_default());
    }
    // Counted from the end, but found from the beginning: a delimiter may overlap itself.
    let parts = value.split(delimiter).count();
    Ok(parts.checked_sub(at + 1).and_then(|at| value.split(delimiter).nth(at)).unwrap_or_default())
}

fn translate(value: &str, from: &str, to: &str, out: &mut Vec<u8>) -> Result<()> {
    for c in value.chars() {
        match from.chars().position(|other| other == c) {
            None => push(c, out),
            Some(at) => {
                if let Some(other) = to.chars().nth(at) {
                    push(other, out);
                }
            }
        }
    }
    Ok(())
}

fn pad(value: &str, length: i32, fill: &str, before: bool, out: &mut Vec<u8>) -> Result<()> {
    let length = usize::try_from(length).unwrap_or(0);
    if length > MAX_PADDED {
        return Err(too_long());
    }
    let own = &value[..value.char_indices().nth(length).map_or(value.len(), |(at, _)| at)];
    let lacking = length - own.chars().count();
    let padding = || fill.chars().cycle().take(if fill.is_empty() { 0 } else { lacking });
    if before {
        padding().for_each(|c| push(c, out));
    }
    out.extend_from_slice(own.as_bytes());
    if !before {
        padding().for_each(|c| push(c, out));
    }
    Ok(())
}

pub(super) fn too_long() -> ValueError {
    ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}
