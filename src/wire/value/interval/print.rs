//! Intervals as PostgreSQL prints them in each IntervalStyle.

use super::Interval;
use crate::wire::value::datetime::calendar::{HOUR, MINUTE, SECOND};
use crate::wire::value::datetime::print::fraction;
use crate::wire::value::scan::{push_i64, push_padded};
use crate::wire::value::settings::IntervalStyle;

/// Fields of an interval; those of one part (year-month, time) have one sign.
#[derive(Clone, Copy)]
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Parts {
    fn of(interval: Interval) -> Parts {
        let Interval { micros, days, months } = interval;
        Parts {
            years: i64::from(months / 12),
            months: i64::from(months % 12),
            days: days.into(),
            hours: micros / HOUR,
            minutes: micros / MINUTE % 60,
            seconds: micros / SECOND % 60,
            micros: micros % SECOND,
        }
    }

    fn time(&self) -> [i64; 4] {
        [self.hours, self.minutes, self.seconds, self.micros]
    }

    fn has_time(&self) -> bool {
        self.time() != [0; 4]
    }

    fn time_negative(&self) -> bool {
        self.time().iter().any(|t| *t < 0)
    }

    fn all(&self) -> [i64; 7] {
        [self.years, self.months, self.days, self.hours, self.minutes, self.seconds, self.micros]
    }
}

/// Prints an interval.
pub(super) fn interval(interval: Interval, style: IntervalStyle, out: &mut Vec<u8>) {
    let parts = Parts::of(interval);
    match style {
        IntervalStyle::Postgres => postgres(&parts, out),
        IntervalStyle::PostgresVerbose => verbose(&parts, out),
        IntervalStyle::SqlStandard => standard(&parts, out),
        IntervalStyle::Iso8601 => iso(&parts, out),
    }
}

/// `MM:SS[.f]` without signs.
fn push_minutes(parts: &Parts, out: &mut Vec<u8>) {
    push_padded(out, parts.minutes.unsigned_abs(), 2);
    out.push(b':');
    push_padded(out, parts.seconds.unsigned_abs(), 2);
    fraction(parts.micros, out);
}

fn plural(value: i64, unit: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(unit.as_bytes());
    if value != 1 {
        out.push(b's');
    }
}

fn postgres(parts: &Parts, out: &mut Vec<u8>) {
    let start = out.len();
    let mut after_negative = false;
    for (value, unit) in [(parts.years, "year"), (parts.months, "mon"), (parts.days, "day")] {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        if after_negative && value > 0 {
            out.push(b'+');
        }
        push_i64(out, value);
        plural(value, unit, out);
        after_negative = value < 0;
    }
    if out.len() > start && !parts.has_time() {
        return;
    }
    if out.len() > start {
        out.push(b' ');
    }
    if parts.time_negative() {
        out.push(b'-');
    } else if after_negative {
        out.push(b'+');
    }
    push_padded(out, parts.hours.unsigned_abs(), 2);
    out.push(b':');
    push_minutes(parts, out);
}

fn verbose(parts: &Parts, out: &mut Vec<u8>) {
    out.push(b'@');
    // The sign of the first field that is not zero; all others are shown relative to it.
    let mut ago: Option<bool> = None;
    let fields = [
        (parts.years, "year"),
        (parts.months, "mon"),
        (parts.days, "day"),
        (parts.hours, "hour"),
        (parts.minutes, "min"),
    ];
    for (value, unit) in fields {
        if value == 0 {
            continue;
        }
        let shown = if *ago.get_or_insert(value < 0) { -value } else { value };
        out.push(b' ');
        push_i64(out, shown);
        plural(shown, unit, out);
    }
    if parts.seconds != 0 || parts.micros != 0 {
        let negative = parts.seconds < 0 || parts.micros < 0;
        out.push(b' ');
        if *ago.get_or_insert(negative) != negative {
            out.push(b'-');
        }
        push_padded(out, parts.seconds.unsigned_abs(), 1);
        fraction(parts.micros, out);
        out.extend_from_slice(if parts.seconds.abs() != 1 || parts.micros != 0 { b" secs" } else { b" sec" });
    }
    match ago {
        None => out.extend_from_slice(b" 0"),
        Some(true) => out.extend_from_slice(b" ago"),
        Some(false) => {}
    }
}

fn standard(parts: &Parts, out: &mut Vec<u8>) {
    let negative = parts.all().iter().any(|p| *p < 0);
    let positive = parts.all().iter().any(|p| *p > 0);
    let year_month = parts.years != 0 || parts.months != 0;
    let day_time = parts.days != 0 || parts.has_time();
    if !negative && !positive {
        out.push(b'0');
        return;
    }
    if (negative && positive) || (year_month && day_time) {
        return signed_standard(parts, out);
    }
    if negative {
        out.push(b'-');
    }
    if year_month {
        push_padded(out, parts.years.unsigned_abs(), 1);
        out.push(b'-');
        push_padded(out, parts.months.unsigned_abs(), 1);
        return;
    }
    if parts.days != 0 {
        push_padded(out, parts.days.unsigned_abs(), 1);
        out.push(b' ');
    }
    push_padded(out, parts.hours.unsigned_abs(), 1);
    out.push(b':');
    push_minutes(parts, out);
}

/// Every part with its own sign.
fn signed_standard(parts: &Parts, out: &mut Vec<u8>) {
    let sign = |negative| if negative { b'-' } else { b'+' };
    out.push(sign(parts.years < 0 || parts.months < 0));
    push_padded(out, parts.years.unsigned_abs(), 1);
    out.push(b'-');
    push_padded(out, parts.months.unsigned_abs(), 1);
    out.extend_from_slice(&[b' ', sign(parts.days < 0)]);
    push_padded(out, parts.days.unsigned_abs(), 1);
    out.extend_from_slice(&[b' ', sign(parts.time_negative())]);
    push_padded(out, parts.hours.unsigned_abs(), 1);
    out.push(b':');
    push_minutes(parts, out);
}

fn iso(parts: &Parts, out: &mut Vec<u8>) {
    if parts.all() == [0; 7] {
        out.extend_from_slice(b"PT0S");
        return;
    }
    let field = |value: i64, unit: u8, out: &mut Vec<u8>| {
        if value != 0 {
            push_i64(out, value);
            out.push(unit);
        }
    };
    out.push(b'P');
    field(parts.years, b'Y', out);
    field(parts.months, b'M', out);
    field(parts.days, b'D', out);
    if !parts.has_time() {
        return;
    }
    out.push(b'T');
    field(parts.hours, b'H', out);
    field(parts.minutes, b'M', out);
    if parts.seconds != 0 || parts.micros != 0 {
        if parts.seconds < 0 || parts.micros < 0 {
            out.push(b'-');
        }
        push_padded(out, parts.seconds.unsigned_abs(), 1);
        fraction(parts.micros, out);
        out.push(b'S');
    }
}
