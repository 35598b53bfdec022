//! The parts of a written date or time: dates in digits, times of day, offsets.

use jiff::tz::TimeZone;

use super::calendar::{Civil, DAY, HOUR, MINUTE, SECOND};
use crate::wire::value::error::{INVALID_TIME_ZONE_DISPLACEMENT, Result, ValueError};
use crate::wire::value::settings::DateOrder;

/// What was written.
pub(super) struct Fields {
    pub(super) date: Option<Civil>,
    /// Microseconds of the day, up to 24 hours.
    pub(super) time: Option<i64>,
    pub(super) zone: ZoneField,
}

/// A written zone.
pub(super) enum ZoneField {
    None,
    /// Seconds east of UTC.
    Offset(i32),
    /// A zone of the database.
    Named(TimeZone),
    /// An abbreviation.
    Word(Box<str>),
}

/// A date before its era is known.
#[derive(Clone, Copy)]
pub(super) struct Written {
    pub(super) year: i64,
    /// Written with one or two digits.
    pub(super) short_year: bool,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl Written {
    /// The day, with years of two digits between 1970 and 2069.
    pub(super) fn civil(self, before_christ: bool) -> Result<Civil> {
        let year = match self.year {
            year if before_christ => 1 - year,
            year if self.short_year && year < 70 => year + 2000,
            year if self.short_year => year + 1900,
            year => year,
        };
        if (self.year < 1 && (before_christ || !self.short_year)) || year > i64::from(i32::MAX) {
            return Err(ValueError::field_range());
        }
        Civil::new(year, self.month, self.day)
            .ok_or_else(|| ValueError::field_range().hint("Perhaps you need a different \"datestyle\" setting."))
    }
}

/// A number of 1 to 18 digits.
pub(super) fn number(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

fn named(names: &[&str], word: &str) -> Option<usize> {
    names.iter().position(|n| word.eq_ignore_ascii_case(n) || word.eq_ignore_ascii_case(&n[..3]))
}

/// 1 to 12 for a month's name or its first three letters.
pub(super) fn month(word: &str) -> Option<i64> {
    if word.eq_ignore_ascii_case("sept") {
        return Some(9);
    }
    named(&MONTHS, word).map(|m| m as i64 + 1)
}

/// Whether a word names a day of the week.
pub(super) fn is_weekday(word: &str) -> bool {
    ["tues", "wednes", "thur", "thurs"].iter().any(|d| word.eq_ignore_ascii_case(d)) || named(&WEEKDAYS, word).is_some()
}

/// Three parts joined by one of `- / .`; the month in digits or by name. `None`: not such a date.
pub(super) fn date(text: &str, order: DateOrder) -> Option<Written> {
    let separator = text.find(['-', '/', '.']).map(|at| &text[at..=at])?;
    let mut parts = text.split(separator);
    let parts = [parts.next()?, parts.next()?, parts.next().filter(|_| parts.next().is_none())?];
    if let Some(at) = parts.iter().position(|p| month(p).is_some()) {
        return dated_by_name(parts, at);
    }
    let [year, month, day] = if parts[0].len() > 2 {
        parts
    } else {
        match order {
            DateOrder::Ymd => parts,
            DateOrder::Mdy => [parts[2], parts[0], parts[1]],
            DateOrder::Dmy => [parts[2], parts[1], parts[0]],
        }
    };
    if month.len() > 2 || (day.len() > 2 && day != parts[2]) {
        return None;
    }
    Some(Written { year: number(year)?, short_year: year.len() <= 2, month: number(month)?, day: number(day)? })
}

/// `05-Jan-2024`, `Jan-05-2024`, `2024-Jan-05`: the year has three digits or more, the day at most two.
fn dated_by_name(parts: [&str; 3], at: usize) -> Option<Written> {
    let mut others = parts.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, part)| *part);
    let (first, second) = (others.next()?, others.next()?);
    let (year, day) = if first.len() > 2 { (first, second) } else { (second, first) };
    if year.len() <= 2 || day.len() > 2 {
        return None;
    }
    Some(Written { year: number(year)?, short_year: false, month: month(parts[at])?, day: number(day)? })
}

/// `YYYYMMDD`.
pub(super) fn compact_date(text: &str) -> Option<Written> {
    number(text).filter(|_| text.len() == 8).map(|n| Written {
        year: n / 10_000,
        short_year: false,
        month: n / 100 % 100,
        day: n % 100,
    })
}

/// A fraction of a second as PostgreSQL rounds it: digits behind a point, to microseconds.
pub(crate) fn fraction(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if digits.len() <= 6 {
        let value: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        return Some(value * 10i64.pow(6 - digits.len() as u32));
    }
    let value: f64 = format!("0.{digits}").parse().ok()?;
    Some((value * 1e6).round_ties_even() as i64)
}

/// Hours on a clock of 12.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Am,
    Pm,
}

/// `HH:MM[:SS[.f]]`, or `HHMMSS[.f]` where `compact`. `None`: not such a time.
pub(super) fn time(text: &str, compact: bool) -> Option<[i64; 4]> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if compact && whole.len() == 6 && !whole.contains(':') {
        let n = number(whole)?;
        return Some([n / 10_000, n / 100 % 100, n % 100, fraction(digits)?]);
    }
    let mut parts = whole.split(':');
    let part = |text: &str| number(text).filter(|_| text.len() <= 2);
    let (hour, minute) = (part(parts.next()?)?, part(parts.next()?)?);
    let second = match parts.next() {
        Some(second) => part(second)?,
        None if text.len() == whole.len() => 0,
        None => return None,
    };
    if parts.next().is_some() {
        return None;
    }
    Some([hour, minute, second, fraction(digits)?])
}

/// Microseconds of the day; ranges checked. 60 seconds and 24:00:00 are taken.
pub(super) fn of_day([hour, minute, second, micros]: [i64; 4], half: Option<Half>) -> Result<i64> {
    let hour = match half {
        Some(_) if hour > 12 => return Err(ValueError::field_range()),
        Some(Half::Am) if hour == 12 => 0,
        Some(Half::Pm) if hour != 12 => hour + 12,
        _ => hour,
    };
    let time = hour * HOUR + minute * MINUTE + second * SECOND + micros;
    if hour > 24 || minute > 59 || second > 60 || time > DAY {
        return Err(ValueError::field_range());
    }
    Ok(time)
}

/// `+HH`, `+HHMM`, `+HH:MM`, `+HH:MM:SS` as seconds east of UTC. `None`: not an offset.
pub(super) fn offset(text: &str) -> Option<Result<i32>> {
    let (sign, digits) = match text.as_bytes() {
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => return None,
    };
    let mut parts = digits.split(':');
    let first = number(parts.next()?)?;
    let (hour, minute, second) = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) if digits.len() > 2 => (first / 100, first % 100, 0),
        (None, ..) => (first, 0, 0),
        (Some(minute), None, _) => (first, number(minute)?, 0),
        (Some(minute), Some(second), None) => (first, number(minute)?, number(second)?),
        _ => return None,
    };
    if hour > 15 || minute > 59 || second > 59 {
        let message = "time zone displacement out of range";
        return Some(Err(ValueError::new(INVALID_TIME_ZONE_DISPLACEMENT, message)));
    }
    Some(Ok(sign * (hour * 3600 + minute * 60 + second) as i32))
}
