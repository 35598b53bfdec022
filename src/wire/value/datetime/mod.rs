//! date, time, timetz, timestamp, timestamptz.
//!
//! Stored: days (i32) or microseconds (i64) since 2000-01-01; time of day in microseconds; timetz with seconds
//! **west** of UTC behind it, as PostgreSQL has it.

pub(crate) mod calendar;
mod fields;
pub(crate) use fields::fraction;
pub(crate) mod print;
mod words;
pub(crate) mod zone;

use super::PlainType;
use super::error::{Result, ValueError};
use super::scan;
use super::settings::Settings;
use calendar::{DAY, SECOND, UNIX_EPOCH, valid_date, valid_timestamp};
use fields::{Fields, ZoneField};
use words::{Input, Purpose};
use zone::{Abbreviation, Zone};

/// `infinity` of date.
pub(crate) const INFINITY_DATE: i32 = i32::MAX;
/// `-infinity` of date.
pub(crate) const MINUS_INFINITY_DATE: i32 = i32::MIN;

fn moment<'a>(type_name: &'a str, settings: &Settings) -> Purpose<'a> {
    Purpose { order: settings.date_style.order, type_name, time_only: false }
}

/// Reads a date; a time of day and a zone are taken and left, as PostgreSQL does.
pub(crate) fn parse_date(text: &str, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let name = PlainType::Date.sql_name();
    let days = match words::read(text, moment(name, settings))? {
        Input::Infinity => INFINITY_DATE,
        Input::MinusInfinity => MINUS_INFINITY_DATE,
        Input::Epoch => (-UNIX_EPOCH / 86_400) as i32,
        Input::Fields(fields) => {
            let days = fields.date.ok_or_else(|| ValueError::datetime_syntax(name))?.days();
            if !valid_date(days) {
                return Err(ValueError::datetime_range(name));
            }
            days as i32
        }
    };
    out.extend_from_slice(&days.to_be_bytes());
    Ok(())
}

/// Reads a timestamp; a zone is taken and left, as PostgreSQL does.
pub(crate) fn parse_timestamp(text: &str, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let name = PlainType::Timestamp.sql_name();
    let micros = match words::read(text, moment(name, settings))? {
        Input::Infinity => i64::MAX,
        Input::MinusInfinity => i64::MIN,
        Input::Epoch => -UNIX_EPOCH * SECOND,
        Input::Fields(fields) => clock(&fields, name)?,
    };
    out.extend_from_slice(&micros.to_be_bytes());
    Ok(())
}

/// Reads a timestamptz; without a zone it is in the session's.
pub(crate) fn parse_timestamptz(text: &str, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let name = PlainType::Timestamptz.sql_name();
    let micros = match words::read(text, moment(name, settings))? {
        Input::Infinity => i64::MAX,
        Input::MinusInfinity => i64::MIN,
        Input::Epoch => -UNIX_EPOCH * SECOND,
        Input::Fields(fields) => {
            let local = clock(&fields, name)?;
            let offset = local_offset(&fields.zone, local, settings)?;
            utc(local, offset)?
        }
    };
    out.extend_from_slice(&micros.to_be_bytes());
    Ok(())
}

/// Microseconds on the local clock. May lie outside the range by a zone's offset; the caller checks.
fn clock(fields: &Fields, name: &str) -> Result<i64> {
    let days = fields.date.ok_or_else(|| ValueError::datetime_syntax(name))?.days();
    let micros = days.checked_mul(DAY).and_then(|d| d.checked_add(fields.time.unwrap_or(0)));
    let zoned = name == PlainType::Timestamptz.sql_name();
    micros.filter(|m| zoned || valid_timestamp(*m)).ok_or_else(|| ValueError::datetime_range("timestamp"))
}

fn utc(local: i64, offset: i32) -> Result<i64> {
    local
        .checked_sub(i64::from(offset) * SECOND)
        .filter(|m| valid_timestamp(*m))
        .ok_or_else(|| ValueError::datetime_range("timestamp"))
}

/// Seconds east of UTC of a written zone, or of the session's.
fn local_offset(field: &ZoneField, local: i64, settings: &Settings) -> Result<i32> {
    let seconds = local.div_euclid(SECOND);
    match field {
        ZoneField::None => settings.time_zone.offset_of_local(seconds),
        ZoneField::Offset(offset) => Ok(*offset),
        ZoneField::Named(rules) => Zone::of(rules.clone()).offset_of_local(seconds),
        ZoneField::Word(word) => abbreviated(word, seconds, settings),
    }
}

/// Refuses an abbreviation that the session's zone uses with another meaning: PostgreSQL 18 reads it by the zone,
/// older ones by their table.
fn abbreviated(word: &str, seconds: i64, settings: &Settings) -> Result<i32> {
    let offset = match zone::abbreviation(word) {
        Some(Abbreviation::Fixed(offset)) => offset,
        Some(Abbreviation::Of(name)) => {
            let rules = Zone::find(name).map(Zone::of).ok_or_else(unknown_zone)?;
            let offset = rules.offset_of_local(seconds)?;
            let at = rules.at(seconds - i64::from(offset))?;
            if !at.abbreviation().eq_ignore_ascii_case(word.as_bytes()) {
                return Err(unknown_zone());
            }
            offset
        }
        None => return Err(unknown_zone()),
    };
    if let Ok(here) = settings.time_zone.at(seconds - i64::from(offset))
        && here.abbreviation().eq_ignore_ascii_case(word.as_bytes())
        && here.offset != offset
    {
        return Err(ValueError::unsupported("an ambiguous time zone abbreviation", "Write the offset: +05:30."));
    }
    Ok(offset)
}

fn unknown_zone() -> ValueError {
    ValueError::new(super::error::INVALID_PARAMETER_VALUE, "time zone not recognized")
        .hint("Write the offset from UTC: 2024-01-31 12:00:00+02.")
}

/// Reads a time of day; a date and a zone are taken and left, as PostgreSQL does.
pub(crate) fn parse_time(text: &str, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let (time, _) = time_of_day(text, PlainType::Time, settings)?;
    out.extend_from_slice(&time.to_be_bytes());
    Ok(())
}

/// Reads a time of day with zone. Without one it is the session's, where that does not change about now.
pub(crate) fn parse_timetz(text: &str, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let (time, fields) = time_of_day(text, PlainType::Timetz, settings)?;
    let dated = fields.date.map(|date| date.days() * DAY + time);
    let offset = match (&fields.zone, dated) {
        (ZoneField::Offset(offset), _) => *offset,
        (zone, Some(local)) => local_offset(zone, local, settings)?,
        (ZoneField::None, None) => settings.time_zone.steady_offset()?.ok_or_else(|| {
            ValueError::unsupported(
                "a time without zone so near to a change of the session's clock",
                "Write the offset: 12:00:00+02.",
            )
        })?,
        (ZoneField::Word(word), None) => match zone::abbreviation(word) {
            Some(Abbreviation::Fixed(offset)) => offset,
            _ => return Err(unknown_zone()),
        },
        (ZoneField::Named(_), None) => return Err(unknown_zone()),
    };
    out.extend_from_slice(&time.to_be_bytes());
    out.extend_from_slice(&(-offset).to_be_bytes());
    Ok(())
}

fn time_of_day(text: &str, plain: PlainType, settings: &Settings) -> Result<(i64, Fields)> {
    let syntax = || ValueError::datetime_syntax(plain.sql_name());
    match words::read(text, Purpose { time_only: true, ..moment(plain.sql_name(), settings) })? {
        // The offset of a zone's name depends on the day.
        Input::Fields(fields) if fields.date.is_some() || !matches!(fields.zone, ZoneField::Named(_)) => {
            Ok((fields.time.ok_or_else(syntax)?, fields))
        }
        _ => Err(syntax()),
    }
}

/// Binary input of the types of this module, checked as PostgreSQL's receive functions check.
pub(crate) fn receive(plain: PlainType, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    validate(plain, bytes)?;
    out.extend_from_slice(bytes);
    Ok(())
}

fn validate(plain: PlainType, bytes: &[u8]) -> Result<()> {
    match plain {
        PlainType::Date => {
            let days = i32::from_be_bytes(scan::received(plain, bytes)?);
            let special = days == INFINITY_DATE || days == MINUS_INFINITY_DATE;
            if !special && !valid_date(days.into()) {
                return Err(ValueError::datetime_range("date"));
            }
        }
        PlainType::Time => {
            let micros = i64::from_be_bytes(scan::received(plain, bytes)?);
            if !(0..=DAY).contains(&micros) {
                return Err(ValueError::datetime_range("time"));
            }
        }
        PlainType::Timetz => {
            let (micros, zone) = split_timetz(scan::received(plain, bytes)?);
            if !(0..=DAY).contains(&micros) {
                return Err(ValueError::datetime_range("time"));
            }
            if zone.unsigned_abs() >= 16 * 3600 {
                return Err(ValueError::new(
                    super::error::INVALID_TIME_ZONE_DISPLACEMENT,
                    "time zone displacement out of range",
                ));
            }
        }
        _ => {
            let micros = i64::from_be_bytes(scan::received(plain, bytes)?);
            let special = micros == i64::MAX || micros == i64::MIN;
            if !special && !valid_timestamp(micros) {
                return Err(ValueError::datetime_range("timestamp"));
            }
        }
    }
    Ok(())
}

/// Time of day and seconds west of UTC.
pub(crate) fn split_timetz(bytes: [u8; 12]) -> (i64, i32) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    (i64::from_be_bytes([a, b, c, d, e, f, g, h]), i32::from_be_bytes([i, j, k, l]))
}

/// Prints the types of this module.
pub(crate) fn write_text(plain: PlainType, stored: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    check(plain, stored)?;
    match plain {
        PlainType::Date => print::date(i32::from_be_bytes(scan::stored(plain, stored)?), settings, out),
        PlainType::Time => print::time(i64::from_be_bytes(scan::stored(plain, stored)?), out),
        PlainType::Timetz => {
            let (micros, zone) = split_timetz(scan::stored(plain, stored)?);
            print::time(micros, out);
            print::offset(-zone, out);
        }
        PlainType::Timestamp => print::timestamp(i64::from_be_bytes(scan::stored(plain, stored)?), settings, out),
        _ => print::timestamptz(i64::from_be_bytes(scan::stored(plain, stored)?), settings, out)?,
    }
    Ok(())
}

/// Whether a stored form can be of its type.
pub(crate) fn check(plain: PlainType, stored: &[u8]) -> Result<()> {
    validate(plain, stored).map_err(|_| ValueError::corrupt(plain))
}
