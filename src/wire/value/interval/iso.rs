//! Intervals with ISO 8601 designators: `P1Y2M3DT4H5M6.7S`.

use super::Interval;
use super::sum::{Sum, Unit, field_range, syntax};
use crate::wire::value::datetime::calendar::{HOUR, MINUTE, SECOND};
use crate::wire::value::error::Result;

/// Largest number of units that PostgreSQL takes.
const LIMIT: f64 = 1.0e15;

/// Reads text that starts with `P`.
pub(super) fn read(text: &str) -> Result<Interval> {
    let mut rest = text.strip_prefix('P').ok_or_else(syntax)?;
    let mut sum = Sum::default();
    let (mut in_time, mut fields) = (false, 0);
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('T') {
            if in_time {
                return Err(syntax());
            }
            (in_time, fields, rest) = (true, 0, tail);
            continue;
        }
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '.')).ok_or_else(syntax)?;
        let (number, tail) = rest.split_at(end);
        let value = read_number(number)?;
        let unit = match (in_time, tail.as_bytes()[0]) {
            (false, b'Y') => Unit::Years(1),
            (false, b'M') => Unit::Month,
            (false, b'W') => Unit::Week,
            (false, b'D') => Unit::Day,
            (true, b'H') => Unit::Micros(HOUR),
            (true, b'M') => Unit::Micros(MINUTE),
            (true, b'S') => Unit::Micros(SECOND),
            _ => return Err(syntax()),
        };
        sum.add(unit, value.trunc() as i64, value - value.trunc())?;
        fields += 1;
        rest = &tail[1..];
    }
    if fields == 0 {
        return Err(syntax());
    }
    sum.finish(false)
}

fn read_number(text: &str) -> Result<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.contains('-') || !digits.bytes().any(|b| b.is_ascii_digit()) {
        return Err(syntax());
    }
    let value: f64 = text.parse().map_err(|_| syntax())?;
    if value.abs() > LIMIT { Err(field_range()) } else { Ok(value) }
}
