//! Intervals as words and numbers: `1 year 2 mons 3 days 04:05:06`, `@ 1 day ago`, `1-2 3 4:05:06`.

use super::Interval;
use super::sum::{Sum, Unit, field_range, syntax};
use crate::wire::value::datetime::calendar::{HOUR, MINUTE, SECOND};
use crate::wire::value::datetime::fraction;
use crate::wire::value::error::Result;

/// Most fields an interval is written with.
const MAX_FIELDS: usize = 25;

/// The pieces of the text: words, numbers, times, in the order written.
struct Pieces<'a> {
    pieces: [&'a str; MAX_FIELDS],
    len: usize,
}

impl<'a> Pieces<'a> {
    fn of(text: &'a str) -> Result<Pieces<'a>> {
        let mut pieces = Pieces { pieces: [""; MAX_FIELDS], len: 0 };
        for word in text.split([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']) {
            // A unit may be attached to its number.
            let unit = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
            let (number, unit) = word.split_at(unit);
            for piece in [number, unit].into_iter().filter(|p| !p.is_empty()) {
                *pieces.pieces.get_mut(pieces.len).ok_or_else(syntax)? = piece;
                pieces.len += 1;
            }
        }
        Ok(pieces)
    }

    fn as_slice(&self) -> &[&'a str] {
        &self.pieces[..self.len]
    }
}

/// What unit a number without one has: seconds at the end, days before a time.
struct Reader {
    sum: Sum,
    /// Unit of the number to the left.
    unit: Option<Unit>,
    /// The unit was written and awaits its number.
    awaits_number: bool,
    seen: u16,
    negate_all: bool,
}

/// Reads an interval. `standard`: the session's IntervalStyle is sql_standard, where one leading minus negates all.
pub(super) fn read(text: &str, standard: bool) -> Result<Interval> {
    let pieces = Pieces::of(text)?;
    let mut pieces = pieces.as_slice();
    if let ["@", rest @ ..] = pieces {
        pieces = rest;
    }
    let signed = |p: &str| p.starts_with(['+', '-']);
    let negate_all = standard && text.starts_with('-') && !pieces.iter().skip(1).any(|p| signed(p));
    let ago = pieces.last().is_some_and(|p| p.eq_ignore_ascii_case("ago"));
    if ago {
        pieces = &pieces[..pieces.len() - 1];
    }
    let mut reader = Reader { sum: Sum::default(), unit: None, awaits_number: false, seen: 0, negate_all };
    for piece in pieces.iter().rev() {
        reader.piece(piece)?;
    }
    if reader.seen == 0 || reader.awaits_number {
        return Err(syntax());
    }
    reader.sum.finish(ago)
}

impl Reader {
    fn piece(&mut self, piece: &str) -> Result<()> {
        if piece.starts_with(|c: char| c.is_ascii_alphabetic()) {
            if self.awaits_number {
                return Err(syntax());
            }
            self.unit = Some(unit(piece).ok_or_else(syntax)?);
            self.awaits_number = true;
            return Ok(());
        }
        if piece.contains(':') {
            if self.awaits_number {
                return Err(syntax());
            }
            let micros = time(piece)?;
            self.mark(Unit::Micros(SECOND))?;
            self.mark(Unit::Micros(MINUTE))?;
            self.mark(Unit::Micros(HOUR))?;
            self.unit = Some(Unit::Day);
            let micros = if self.negate_all && micros > 0 { -micros } else { micros };
            return self.sum.add_micros(micros);
        }
        let (unit, whole, part) = self.number(piece)?;
        self.mark(unit)?;
        self.awaits_number = false;
        self.unit = Some(if unit == Unit::Micros(HOUR) { Unit::Day } else { unit });
        let (whole, part) = if self.negate_all { (-whole.abs(), -part.abs()) } else { (whole, part) };
        self.sum.add(unit, whole, part)
    }

    /// A number in the unit at hand, or `years-months`.
    fn number(&self, piece: &str) -> Result<(Unit, i64, f64)> {
        let negative = piece.starts_with('-');
        let digits = piece.strip_prefix(['+', '-']).unwrap_or(piece);
        if let Some((years, months)) = digits.split_once('-') {
            let (years, months) = (integer(years)?, integer(months)?);
            if months > 11 {
                return Err(field_range());
            }
            let total = years.checked_mul(12).and_then(|y| y.checked_add(months)).ok_or_else(field_range)?;
            return Ok((Unit::Month, if negative { -total } else { total }, 0.0));
        }
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(syntax());
        }
        let whole = if whole.is_empty() { 0 } else { integer(whole)? };
        let part: f64 = if part.is_empty() { 0.0 } else { format!("0.{part}").parse().map_err(|_| syntax())? };
        let unit = self.unit.unwrap_or(Unit::Micros(SECOND));
        Ok(if negative { (unit, -whole, -part) } else { (unit, whole, part) })
    }

    /// A field may be written once only.
    fn mark(&mut self, unit: Unit) -> Result<()> {
        let bit = match unit {
            Unit::Micros(1) => 0,
            Unit::Micros(1_000) => 1,
            Unit::Micros(SECOND) => 2,
            Unit::Micros(MINUTE) => 3,
            Unit::Micros(HOUR) => 4,
            Unit::Micros(_) | Unit::Day => 5,
            Unit::Week => 6,
            Unit::Month => 7,
            Unit::Years(1) => 8,
            Unit::Years(10) => 9,
            Unit::Years(100) => 10,
            Unit::Years(_) => 11,
        };
        if self.seen & 1 << bit != 0 {
            return Err(syntax());
        }
        self.seen |= 1 << bit;
        Ok(())
    }
}

fn integer(digits: &str) -> Result<i64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(syntax());
    }
    digits.parse().map_err(|_| field_range())
}

/// `[+-]HH:MM[:SS[.f]]`, or `MM:SS.f`, in microseconds.
fn time(piece: &str) -> Result<i64> {
    let negative = piece.starts_with('-');
    let digits = piece.strip_prefix(['+', '-']).unwrap_or(piece);
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(w, p)| (w, Some(p)));
    let mut parts = whole.split(':');
    let mut next = || parts.next().map(integer).transpose();
    let (first, second, third) = (next()?.ok_or_else(syntax)?, next()?.ok_or_else(syntax)?, next()?);
    if parts.next().is_some() {
        return Err(syntax());
    }
    let (hour, minute, second) = match (third, part) {
        (Some(third), _) => (first, second, third),
        (None, Some(_)) => (0, first, second),
        (None, None) => (first, second, 0),
    };
    let micros = fraction(part.unwrap_or("")).ok_or_else(syntax)?;
    if minute > 59 || second > 60 {
        return Err(field_range());
    }
    let total = hour.checked_mul(HOUR).and_then(|h| h.checked_add(minute * MINUTE + second * SECOND + micros));
    let total = total.ok_or_else(field_range)?;
    Ok(if negative { -total } else { total })
}

fn unit(word: &str) -> Option<Unit> {
    let word = word.to_ascii_lowercase();
    Some(match word.as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => Unit::Micros(1),
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => Unit::Micros(1_000),
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(SECOND),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Micros(MINUTE),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Micros(HOUR),
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Years(1),
        "dec" | "decs" | "decade" | "decades" => Unit::Years(10),
        "c" | "cent" | "century" | "centuries" => Unit::Years(100),
        "mil" | "mils" | "millennium" | "millennia" => Unit::Years(1_000),
        _ => return None,
    })
}
