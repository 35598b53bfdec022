//! Casts between plaintext types, as PostgreSQL's assignment casts do them.

use zeroize::Zeroizing;

use super::PlainType::{self, *};
use super::datetime::calendar::{DAY, SECOND, valid_timestamp};
use super::datetime::{INFINITY_DATE, MINUS_INFINITY_DATE, split_timetz};
use super::error::{Result, ValueError};
use super::settings::Settings;
use super::{Format, float, json, network, number, numeric, parse, scan, text, write};
use crate::wire::sqlstate::SqlState;

/// What kind of cast is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cast {
    /// To the type of a column.
    Assignment,
    /// Written by the client.
    Explicit,
}

fn is_int(plain: PlainType) -> bool {
    matches!(plain, Int2 | Int4 | Int8)
}

fn is_float(plain: PlainType) -> bool {
    matches!(plain, Float4 | Float8)
}

pub(super) fn is_number(plain: PlainType) -> bool {
    is_int(plain) || is_float(plain) || plain == Numeric
}

fn is_datetime(plain: PlainType) -> bool {
    matches!(plain, Date | Time | Timetz | Timestamp | Timestamptz | Interval)
}

/// A cast from one type to another.
#[derive(Clone, Copy)]
pub(crate) struct Conversion<'a> {
    pub(crate) cast: Cast,
    pub(crate) from: PlainType,
    pub(crate) to: PlainType,
    pub(crate) settings: &'a Settings,
}

/// Appends the stored form of a value of another type as this type.
pub(crate) fn convert(conversion: Conversion<'_>, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let Conversion { cast, from, to, settings } = conversion;
    if from == to {
        out.extend_from_slice(stored);
        return Ok(());
    }
    if from.is_textual() {
        return from_text(from, to, stored, settings, out);
    }
    if to.is_textual() && to != Enum {
        return to_text(from, stored, settings, out);
    }
    match (from, to) {
        _ if is_number(from) && is_number(to) => numbers(from, to, stored, out),
        _ if is_datetime(from) && is_datetime(to) => datetimes(from, to, stored, settings, out),
        (Bool, Int4) if cast == Cast::Explicit => number::store_int(to, number::load_bool(stored)?.into(), out),
        (Int4, Bool) if cast == Cast::Explicit => {
            out.push(u8::from(number::load_int(from, stored)? != 0));
            Ok(())
        }
        (Json, Jsonb) => json::parse_jsonb(scan::utf8(stored)?, out),
        (Jsonb, Json) => {
            out.extend_from_slice(stored);
            Ok(())
        }
        (Inet, Cidr) => network::to_cidr(stored, out),
        (Cidr, Inet) => {
            let mut printed = Zeroizing::new(Vec::new());
            network::print(from, stored, &mut printed)?;
            parse(to, scan::utf8(&printed)?, settings, out)
        }
        _ => Err(ValueError::mismatch(to, from.sql_name())),
    }
}

fn from_text(from: PlainType, to: PlainType, stored: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let stored = if from == Bpchar { text::trim_blanks(stored) } else { stored };
    parse(to, scan::utf8(stored)?, settings, out)
}

fn to_text(from: PlainType, stored: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    match from {
        Bool => {
            out.extend_from_slice(if number::load_bool(stored)? { b"true" } else { b"false" });
            Ok(())
        }
        Inet | Cidr => network::print_full(from, stored, out),
        _ => write(from, stored, Format::Text, settings, out),
    }
}

fn numbers(from: PlainType, to: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    if is_int(from) {
        let value = number::load_int(from, stored)?;
        return match to {
            // A direct conversion: by way of double the result could be rounded twice.
            Float4 => {
                out.extend_from_slice(&(value as f32).to_be_bytes());
                Ok(())
            }
            Float8 => float::store(to, value as f64, out),
            Numeric => {
                let mut printed = Zeroizing::new(Vec::with_capacity(20));
                scan::push_i64(&mut printed, value);
                numeric::parse(scan::utf8(&printed)?, out)
            }
            _ => number::store_int(to, value, out),
        };
    }
    if from == Numeric {
        if is_int(to) {
            return number::store_int(to, numeric::to_int(stored, to.sql_name())?, out);
        }
        let mut printed = Zeroizing::new(Vec::new());
        numeric::print(stored, &mut printed)?;
        return float::parse(to, scan::utf8(&printed)?, out);
    }
    let value = float::load(from, stored)?;
    if is_float(to) {
        return float::store(to, value, out);
    }
    if to == Numeric {
        let mut printed = Zeroizing::new(Vec::new());
        if value.is_finite() {
            float::print_for_numeric(from, value, &mut printed);
        } else {
            float::print(from, stored, 1, &mut printed)?;
        }
        return numeric::parse(scan::utf8(&printed)?, out);
    }
    let rounded = value.round_ties_even();
    // The largest i64 is no float; the next float above it is out of range.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded);
    if !fits {
        return Err(ValueError::out_of_range(to.sql_name()));
    }
    number::store_int(to, rounded as i64, out)
}

fn datetimes(from: PlainType, to: PlainType, stored: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    match (from, to) {
        (Date, Timestamp | Timestamptz) => {
            let days = i32::from_be_bytes(scan::stored(from, stored)?);
            let local = match days {
                INFINITY_DATE => i64::MAX,
                MINUS_INFINITY_DATE => i64::MIN,
                days => (i64::from(days).checked_mul(DAY)).filter(|m| valid_timestamp(*m)).ok_or_else(date_range)?,
            };
            let micros = if to == Timestamptz { to_utc(local, settings)? } else { local };
            out.extend_from_slice(&micros.to_be_bytes());
        }
        (Timestamp, Timestamptz) => {
            let local = i64::from_be_bytes(scan::stored(from, stored)?);
            out.extend_from_slice(&to_utc(local, settings)?.to_be_bytes());
        }
        (Timestamptz, Timestamp) => {
            let local = to_local(i64::from_be_bytes(scan::stored(from, stored)?), settings)?.0;
            out.extend_from_slice(&local.to_be_bytes());
        }
        (Timestamp | Timestamptz, Date | Time | Timetz) => {
            return part_of_moment(from, to, stored, settings, out);
        }
        (Time, Timetz) => {
            let local = i64::from_be_bytes(scan::stored(from, stored)?);
            let offset = settings.time_zone.steady_offset()?.ok_or_else(|| {
                let what = "a time without zone so near to a change of the session's clock";
                ValueError::unsupported(what, "Write the offset: 12:00:00+02.")
            })?;
            out.extend_from_slice(&local.to_be_bytes());
            out.extend_from_slice(&(-offset).to_be_bytes());
        }
        (Timetz, Time) => {
            let (local, _) = split_timetz(scan::stored(from, stored)?);
            out.extend_from_slice(&local.to_be_bytes());
        }
        (Time, Interval) => {
            let local: [u8; 8] = scan::stored(from, stored)?;
            out.extend_from_slice(&local);
            out.extend_from_slice(&[0; 8]);
        }
        (Interval, Time) => {
            let micros = super::interval::Interval::load(stored)?.micros;
            out.extend_from_slice(&micros.rem_euclid(DAY).to_be_bytes());
        }
        _ => return Err(ValueError::mismatch(to, from.sql_name())),
    }
    Ok(())
}

pub(super) fn date_range() -> ValueError {
    ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")
}

fn timestamp_range() -> ValueError {
    ValueError::datetime_range("timestamp")
}

pub(super) fn to_utc(local: i64, settings: &Settings) -> Result<i64> {
    if local == i64::MAX || local == i64::MIN {
        return Ok(local);
    }
    let offset = settings.time_zone.offset_of_local(local.div_euclid(SECOND))?;
    let micros = local.checked_sub(i64::from(offset) * SECOND);
    micros.filter(|m| valid_timestamp(*m)).ok_or_else(timestamp_range)
}

/// The local clock, and the offset in seconds east of UTC.
pub(super) fn to_local(micros: i64, settings: &Settings) -> Result<(i64, i32)> {
    if micros == i64::MAX || micros == i64::MIN {
        return Ok((micros, 0));
    }
    let offset = settings.time_zone.offset_at(micros.div_euclid(SECOND))?;
    let local = micros.checked_add(i64::from(offset) * SECOND).filter(|m| valid_timestamp(*m));
    Ok((local.ok_or_else(timestamp_range)?, offset))
}

fn part_of_moment(from: PlainType, to: PlainType, stored: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let micros = i64::from_be_bytes(scan::stored(from, stored)?);
    let (local, offset) = if from == Timestamptz { to_local(micros, settings)? } else { (micros, 0) };
    let infinite = micros == i64::MAX || micros == i64::MIN;
    match (to, from) {
        (Date, _) if infinite => {
            let days = if micros > 0 { INFINITY_DATE } else { MINUS_INFINITY_DATE };
            out.extend_from_slice(&days.to_be_bytes());
        }
        // PostgreSQL makes NULL of these.
        _ if infinite => return Err(ValueError::datetime_range("timestamp")),
        (Date, _) => out.extend_from_slice(&(local.div_euclid(DAY) as i32).to_be_bytes()),
        (Time, _) => out.extend_from_slice(&local.rem_euclid(DAY).to_be_bytes()),
        (_, Timestamptz) => {
            out.extend_from_slice(&local.rem_euclid(DAY).to_be_bytes());
            out.extend_from_slice(&(-offset).to_be_bytes());
        }
        _ => return Err(ValueError::mismatch(to, from.sql_name())),
    }
    Ok(())
}

/// Refuses an operand whose value was changed by its conversion. Only numbers and dates can be.
pub(crate) fn check_exact(conversion: Conversion<'_>, before: &[u8], after: &[u8]) -> Result<()> {
    let Conversion { from, to, settings, .. } = conversion;
    let lossy =
        (is_number(from) && is_number(to)) || (is_datetime(from) && is_datetime(to)) || (from, to) == (Inet, Cidr);
    if !lossy || from == to {
        return Ok(());
    }
    let way_back = Conversion { cast: Cast::Assignment, from: to, to: from, settings };
    let mut back = Zeroizing::new(Vec::new());
    let mut canonical = [Zeroizing::new(Vec::new()), Zeroizing::new(Vec::new())];
    let returned = convert(way_back, after, &mut back)
        .and_then(|()| super::canonical(from, &back, &mut canonical[0]))
        .and_then(|()| super::canonical(from, before, &mut canonical[1]));
    if returned.is_ok() && canonical[0] == canonical[1] {
        return Ok(());
    }
    let (from, to) = (from.sql_name(), to.sql_name());
    Err(ValueError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("a value of type {from} cannot be compared exactly with an encrypted value of type {to}"),
    )
    .hint("Cast the value to the type of the column."))
}
