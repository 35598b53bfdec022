//! Dates and times as PostgreSQL prints them in each DateStyle.

use super::calendar::{Civil, DAY, HOUR, MINUTE, SECOND, weekday};
use super::{INFINITY_DATE, MINUS_INFINITY_DATE};
use crate::wire::value::error::Result;
use crate::wire::value::scan::push_padded;
use crate::wire::value::settings::{DateForm, DateOrder, DateStyle, Settings};

const WEEKDAYS: [&[u8]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

fn push_two(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
}

fn push_infinity(out: &mut Vec<u8>, negative: bool) {
    out.extend_from_slice(if negative { b"-infinity" } else { b"infinity" });
}

/// The year as written: 1 for 1 BC and for 1 AD.
fn push_year(out: &mut Vec<u8>, year: i64) {
    let shown = if year > 0 { year } else { 1 - year };
    push_padded(out, shown.unsigned_abs(), 4);
}

fn push_era(out: &mut Vec<u8>, year: i64) {
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// Day and month in the session's order, joined by a separator.
fn push_day_month(out: &mut Vec<u8>, order: DateOrder, separator: u8, civil: Civil) {
    let (first, second) = if order == DateOrder::Dmy { (civil.day, civil.month) } else { (civil.month, civil.day) };
    push_two(out, first);
    out.push(separator);
    push_two(out, second);
}

fn push_date(out: &mut Vec<u8>, style: DateStyle, civil: Civil, postgres_separator: u8) {
    match style.form {
        DateForm::Iso => {
            push_year(out, civil.year);
            out.push(b'-');
            push_two(out, civil.month);
            out.push(b'-');
            push_two(out, civil.day);
        }
        DateForm::Sql | DateForm::Postgres => {
            let separator = if style.form == DateForm::Sql { b'/' } else { postgres_separator };
            push_day_month(out, style.order, separator, civil);
            out.push(separator);
            push_year(out, civil.year);
        }
        DateForm::German => {
            push_day_month(out, DateOrder::Dmy, b'.', civil);
            out.push(b'.');
            push_year(out, civil.year);
        }
    }
}

/// Prints a date, days since 2000-01-01.
pub(crate) fn date(days: i32, settings: &Settings, out: &mut Vec<u8>) {
    if days == INFINITY_DATE || days == MINUS_INFINITY_DATE {
        return push_infinity(out, days < 0);
    }
    let civil = Civil::of(days.into());
    push_date(out, settings.date_style, civil, b'-');
    push_era(out, civil.year);
}

/// Prints a time of day in microseconds, 24:00:00 included; fraction without trailing zeros.
pub(crate) fn time(micros: i64, out: &mut Vec<u8>) {
    push_two(out, (micros / HOUR) as u8);
    out.push(b':');
    push_two(out, (micros / MINUTE % 60) as u8);
    out.push(b':');
    push_two(out, (micros / SECOND % 60) as u8);
    fraction(micros % SECOND, out);
}

/// Prints a fraction of a second, without trailing zeros, or nothing.
pub(crate) fn fraction(micros: i64, out: &mut Vec<u8>) {
    if micros != 0 {
        out.push(b'.');
        push_padded(out, micros.unsigned_abs(), 6);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Prints an offset as `+HH[:MM[:SS]]`.
pub(crate) fn offset(seconds: i32, out: &mut Vec<u8>) {
    let size = seconds.unsigned_abs();
    out.push(if seconds < 0 { b'-' } else { b'+' });
    push_padded(out, (size / 3600).into(), 2);
    if !size.is_multiple_of(3600) {
        out.push(b':');
        push_padded(out, (size / 60 % 60).into(), 2);
    }
    if !size.is_multiple_of(60) {
        out.push(b':');
        push_padded(out, (size % 60).into(), 2);
    }
}

/// Prints a timestamp, microseconds since 2000-01-01.
pub(crate) fn timestamp(micros: i64, settings: &Settings, out: &mut Vec<u8>) {
    if micros == i64::MAX || micros == i64::MIN {
        return push_infinity(out, micros < 0);
    }
    moment(micros.div_euclid(DAY), micros.rem_euclid(DAY), settings.date_style, |_| (), out);
}

/// Prints a timestamptz in the session's time zone.
pub(crate) fn timestamptz(micros: i64, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    if micros == i64::MAX || micros == i64::MIN {
        push_infinity(out, micros < 0);
        return Ok(());
    }
    let iso = settings.date_style.form == DateForm::Iso;
    let seconds = micros.div_euclid(SECOND);
    let local = settings.time_zone.at(seconds)?;
    let here = seconds + i64::from(local.offset);
    let of_day = here.rem_euclid(86_400) * SECOND + micros.rem_euclid(SECOND);
    let zone = |out: &mut Vec<u8>| {
        if iso {
            offset(local.offset, out);
        } else {
            out.push(b' ');
            out.extend_from_slice(local.abbreviation());
        }
    };
    moment(here.div_euclid(86_400), of_day, settings.date_style, zone, out);
    Ok(())
}

fn moment(days: i64, of_day: i64, style: DateStyle, zone: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let civil = Civil::of(days);
    if style.form == DateForm::Postgres {
        out.extend_from_slice(WEEKDAYS[weekday(days)]);
        out.push(b' ');
        let month = MONTHS[usize::from(civil.month) - 1];
        if style.order == DateOrder::Dmy {
            push_two(out, civil.day);
            out.push(b' ');
            out.extend_from_slice(month);
        } else {
            out.extend_from_slice(month);
            out.push(b' ');
            push_two(out, civil.day);
        }
        out.push(b' ');
        time(of_day, out);
        out.push(b' ');
        push_year(out, civil.year);
    } else {
        push_date(out, style, civil, b'-');
        out.push(b' ');
        time(of_day, out);
    }
    zone(out);
    push_era(out, civil.year);
}
