//! Parts of dates and moments, as PostgreSQL counts them: years before Christ without a year 0, weeks from Monday.

use super::Scalar;
use crate::wire::sqlstate::SqlState;
use crate::wire::value::PlainType::{self, Date, Timestamptz};
use crate::wire::value::convert::{date_range, to_local, to_utc};
use crate::wire::value::datetime::calendar::{Civil, DAY, HOUR, MINUTE, SECOND, UNIX_EPOCH, valid_timestamp, weekday};
use crate::wire::value::datetime::{INFINITY_DATE, MINUS_INFINITY_DATE};
use crate::wire::value::error::{Result, ValueError};
use crate::wire::value::settings::Settings;
use crate::wire::value::{float, numeric, scan};

/// Days from the beginning of Julian days to 2000-01-01.
const JULIAN: i64 = 2_451_545;

/// A part that is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Dow,
    Isodow,
    Doy,
    Isoyear,
    Julian,
    Epoch,
}

impl Unit {
    fn named(word: &str) -> Option<Unit> {
        use Unit::*;
        Some(match word.to_ascii_lowercase().as_str() {
            "microseconds" => Microseconds,
            "milliseconds" => Milliseconds,
            "second" => Second,
            "minute" => Minute,
            "hour" => Hour,
            "day" => Day,
            "week" => Week,
            "month" => Month,
            "quarter" => Quarter,
            "year" => Year,
            "decade" => Decade,
            "century" => Century,
            "millennium" => Millennium,
            "dow" => Dow,
            "isodow" => Isodow,
            "doy" => Doy,
            "isoyear" => Isoyear,
            "julian" => Julian,
            "epoch" => Epoch,
            _ => return None,
        })
    }

    /// It comes again and again.
    fn recurs(self) -> bool {
        use Unit::*;
        !matches!(self, Year | Decade | Century | Millennium | Isoyear | Julian | Epoch)
    }

    /// A moment is not cut to it.
    fn is_counted(self) -> bool {
        use Unit::*;
        matches!(self, Dow | Isodow | Doy | Isoyear | Julian | Epoch)
    }

    fn is_of_day(self) -> bool {
        use Unit::*;
        matches!(self, Microseconds | Milliseconds | Second | Minute | Hour)
    }
}

/// The moment's local day and time of day, and itself in microseconds since 2000-01-01, which a date that is extracted from has not.
enum Moment {
    At(i64, i64, i64),
    /// With `true` in the past.
    Infinite(bool),
}

fn moment(function: Scalar, of: PlainType, stored: &[u8], settings: &Settings) -> Result<Moment> {
    if of == Date {
        return Ok(match i32::from_be_bytes(scan::stored(of, stored)?) {
            INFINITY_DATE => Moment::Infinite(false),
            MINUS_INFINITY_DATE => Moment::Infinite(true),
            days if matches!(function, Scalar::Extract(_)) => Moment::At(days.into(), 0, 0),
            days => {
                let micros = i64::from(days).checked_mul(DAY).filter(|micros| valid_timestamp(*micros));
                Moment::At(days.into(), 0, micros.ok_or_else(date_range)?)
            }
        });
    }
    let micros = i64::from_be_bytes(scan::stored(of, stored)?);
    if micros == i64::MAX || micros == i64::MIN {
        return Ok(Moment::Infinite(micros < 0));
    }
    let local = if of == Timestamptz { to_local(micros, settings)?.0 } else { micros };
    Ok(Moment::At(local.div_euclid(DAY), local.rem_euclid(DAY), micros))
}

/// `of`: the type of the second argument. Returns whether there is a result.
pub(super) fn apply(
    function: Scalar,
    of: PlainType,
    arguments: &[&[u8]],
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<bool> {
    let [word, value] = arguments else { return Err(ValueError::corrupt(of)) };
    let unit = Unit::named(scan::utf8(word)?);
    let unit = unit.filter(|unit| !matches!(function, Scalar::DateTrunc(_)) || !unit.is_counted());
    let unit = unit.ok_or_else(|| {
        ValueError::unsupported("this unit of time", "Write year, quarter, month, week, day, hour, minute or second.")
    })?;
    let moment = moment(function, of, value, settings)?;
    match function {
        Scalar::DateTrunc(_) => truncated(of, unit, value, (moment, settings), out).map(|()| true),
        _ => part(function, of, unit, moment, out),
    }
}

fn truncated(
    of: PlainType,
    unit: Unit,
    value: &[u8],
    (moment, settings): (Moment, &Settings),
    out: &mut Vec<u8>,
) -> Result<()> {
    let Moment::At(days, time, micros) = moment else {
        out.extend_from_slice(value);
        return Ok(());
    };
    let of_day = match unit {
        Unit::Microseconds => Some(1),
        Unit::Milliseconds => Some(1_000),
        Unit::Second => Some(SECOND),
        Unit::Minute => Some(MINUTE),
        Unit::Hour => Some(HOUR),
        _ => None,
    };
    let cut = match of_day {
        // The offset stays: within an hour that comes twice it is still told which one.
        Some(step) => micros - time % step,
        None => {
            let cut = first_day(unit, days) * DAY;
            if of == Timestamptz { to_utc(cut, settings)? } else { cut }
        }
    };
    if !valid_timestamp(cut) {
        return Err(ValueError::datetime_range("timestamp"));
    }
    out.extend_from_slice(&cut.to_be_bytes());
    Ok(())
}

/// The first day of the unit that a day is in.
fn first_day(unit: Unit, days: i64) -> i64 {
    let Civil { year, month, .. } = Civil::of(days);
    // The years of the first span begin with 1.
    let first_year = |length: i64| (span(year, length) - i64::from(year > 0)) * length + 1;
    let (year, month) = match unit {
        Unit::Week => return days - (weekday(days) as i64 + 6) % 7,
        Unit::Month => (year, month),
        Unit::Quarter => (year, (month - 1) / 3 * 3 + 1),
        Unit::Year => (year, 1),
        Unit::Decade => (decade(year) * 10, 1),
        Unit::Century => (first_year(100), 1),
        Unit::Millennium => (first_year(1000), 1),
        _ => return days,
    };
    Civil { year, month, day: 1 }.days()
}

/// The number of a span of so many years, as PostgreSQL counts centuries and millennia.
fn span(year: i64, length: i64) -> i64 {
    match year > 0 {
        true => (year + length - 1) / length,
        false => -((length - 1 - (year - 1)) / length),
    }
}

fn decade(year: i64) -> i64 {
    if year >= 0 { year / 10 } else { -((8 - (year - 1)) / 10) }
}

/// Monday of the first week of a year: the one with its fourth of January.
fn first_week(year: i64) -> i64 {
    first_day(Unit::Week, Civil { year, month: 1, day: 4 }.days())
}

fn iso_year(days: i64) -> i64 {
    let year = Civil::of(days).year;
    if days < first_week(year) {
        year - 1
    } else if days >= first_week(year + 1) {
        year + 1
    } else {
        year
    }
}

fn part(function: Scalar, of: PlainType, unit: Unit, moment: Moment, out: &mut Vec<u8>) -> Result<bool> {
    let extracted = matches!(function, Scalar::Extract(_));
    // date_part of a date is that of its midnight.
    if extracted && of == Date && unit.is_of_day() {
        let message = "this unit is not supported for type date";
        return Err(ValueError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
    }
    let (days, of_day, micros) = match moment {
        Moment::Infinite(_) if unit.recurs() => return Ok(false),
        Moment::Infinite(past) => {
            let value = if past { f64::NEG_INFINITY } else { f64::INFINITY };
            match extracted {
                true => numeric::push_special(if past { numeric::MINUS_INFINITY } else { numeric::INFINITY }, out),
                false => float::store(PlainType::Float8, value, out)?,
            }
            return Ok(true);
        }
        Moment::At(days, of_day, micros) => (days, of_day, micros),
    };
    let (second, fraction) = ((of_day / SECOND % 60) as f64, (of_day % SECOND) as f64);
    let (value, scale) = match unit {
        Unit::Second if !extracted => {
            return float::store(PlainType::Float8, second + fraction / 1e6, out).map(|()| true);
        }
        Unit::Milliseconds if !extracted => {
            return float::store(PlainType::Float8, second * 1e3 + fraction / 1e3, out).map(|()| true);
        }
        Unit::Microseconds => (of_day % MINUTE, 0),
        Unit::Milliseconds => (of_day % MINUTE, 3),
        Unit::Second => (of_day % MINUTE, 6),
        Unit::Minute => (of_day / MINUTE % 60, 0),
        Unit::Hour => (of_day / HOUR, 0),
        Unit::Epoch if of == Date && extracted => (days * (DAY / SECOND) + UNIX_EPOCH, 0),
        Unit::Epoch => {
            let since = i128::from(micros) + i128::from(UNIX_EPOCH * SECOND);
            return store(extracted, since, 6, out).map(|()| true);
        }
        Unit::Julian if of == Date && extracted => (days + JULIAN, 0),
        Unit::Julian => {
            return Err(ValueError::unsupported("the Julian day of a moment", "Cast it to date."));
        }
        unit => (of_days(unit, days), 0),
    };
    store(extracted, value.into(), scale, out).map(|()| true)
}

fn of_days(unit: Unit, days: i64) -> i64 {
    let Civil { year, month, day } = Civil::of(days);
    // There is no year 0.
    let shown = |year: i64| if year > 0 { year } else { year - 1 };
    match unit {
        Unit::Day => day.into(),
        Unit::Month => month.into(),
        Unit::Quarter => i64::from(month - 1) / 3 + 1,
        Unit::Year => shown(year),
        Unit::Decade => decade(year),
        Unit::Century => span(year, 100),
        Unit::Millennium => span(year, 1000),
        Unit::Dow => weekday(days) as i64,
        Unit::Isodow => (weekday(days) as i64 + 6) % 7 + 1,
        Unit::Doy => days - Civil { year, month: 1, day: 1 }.days() + 1,
        Unit::Isoyear => shown(iso_year(days)),
        Unit::Week => (days - first_week(iso_year(days))) / 7 + 1,
        _ => 0,
    }
}

/// A number of so many decimal places, as numeric or as a float. PostgreSQL adds whole seconds and their fraction as floats.
fn store(extracted: bool, value: i128, scale: usize, out: &mut Vec<u8>) -> Result<()> {
    let base = 10i128.pow(scale as u32);
    if !extracted {
        return float::store(PlainType::Float8, value as f64 / base as f64, out);
    }
    let (sign, value) = (if value < 0 { "-" } else { "" }, value.abs());
    let text = match scale {
        0 => format!("{sign}{value}"),
        _ => format!("{sign}{}.{:0scale$}", value / base, value % base),
    };
    numeric::parse(&text, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_and_years() {
        let days = |year, month, day| Civil { year, month, day }.days();
        for (at, week, year) in [
            ((2005, 1, 1), 53, 2004),
            ((2006, 1, 1), 52, 2005),
            ((2012, 12, 31), 1, 2013),
            ((2000, 1, 3), 1, 2000),
            ((2020, 12, 31), 53, 2020),
        ] {
            let days = days(at.0, at.1, at.2);
            assert_eq!((of_days(Unit::Week, days), of_days(Unit::Isoyear, days)), (week, year), "{at:?}");
        }
        assert_eq!(of_days(Unit::Year, days(0, 3, 4)), -1);
        assert_eq!(of_days(Unit::Century, days(1900, 3, 4)), 19);
        assert_eq!(of_days(Unit::Century, days(0, 3, 4)), -1);
        assert_eq!(first_day(Unit::Century, days(2000, 3, 4)), days(1901, 1, 1));
        assert_eq!(first_day(Unit::Decade, days(1999, 3, 4)), days(1990, 1, 1));
    }
}
