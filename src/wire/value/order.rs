//! Ordering bytes: `memcmp` of two is PostgreSQL's order of the values.
//!
//! Equal bytes are equal values. Text is ordered as under the collation "C" (citext by its folded form), which is what the
//! order of an encrypted text means in every database. Not ordered: json, which has no order; jsonb and enum, whose orders
//! are the server's own.

use zeroize::Zeroizing;

use super::error::{Result, ValueError};
use super::{PlainType, datetime, float, interval, network, number, numeric, scan, text};
use crate::wire::sqlstate::SqlState;

/// Most ordering bytes of a value of varying length, so that its term can be indexed.
pub const MAX_ORDERING: usize = 64;

/// Where an operand stands among the values of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It may equal a value of the type.
    At,
    /// It equals none: directly after every value that has its ordering bytes.
    After,
    /// Before every value.
    Below,
    /// After every value.
    Above,
}

impl PlainType {
    /// Values have ordering bytes.
    pub fn has_order(self) -> bool {
        !matches!(self, PlainType::Json | PlainType::Jsonb | PlainType::Enum)
    }
}

/// Appends the ordering bytes of a stored value.
///
/// # Errors
/// 54000 for a value whose bytes are more than [`MAX_ORDERING`]; 42883 for a type without order; XX001 for a stored form
/// that cannot be of its type.
pub fn ordering(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), ValueError> {
    let start = out.len();
    append(plain, stored, out)?;
    if out.len() - start > MAX_ORDERING {
        let message = format!("value of type {} too long for an order term of {MAX_ORDERING} bytes", plain.sql_name());
        return Err(ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
            .hint("Use an encrypted type without term ord for values that are longer."));
    }
    Ok(())
}

/// Appends the ordering bytes of an operand among values of `own`. `read`: the type it was read as, an integer of any size
/// for integers.
///
/// # Errors
/// As [`ordering`], but for the length: a longer operand stands between two values.
pub fn ordering_operand(
    own: PlainType,
    read: PlainType,
    stored: &[u8],
    out: &mut Vec<u8>,
) -> std::result::Result<Place, ValueError> {
    if matches!(own, PlainType::Int2 | PlainType::Int4 | PlainType::Int8) {
        let value = number::load_int(read, stored)?;
        let (least, most) = match own {
            PlainType::Int2 => (i16::MIN.into(), i16::MAX.into()),
            PlainType::Int4 => (i32::MIN.into(), i32::MAX.into()),
            _ => (i64::MIN, i64::MAX),
        };
        if value < least {
            return Ok(Place::Below);
        }
        if value > most {
            return Ok(Place::Above);
        }
        push_int(own, value, out);
        return Ok(Place::At);
    }
    let start = out.len();
    // What is read as text beside a bpchar keeps the blanks at its end.
    append(if own == PlainType::Bpchar { read } else { own }, stored, out)?;
    if out.len() - start > MAX_ORDERING {
        out.truncate(start + MAX_ORDERING);
        return Ok(Place::After);
    }
    Ok(Place::At)
}

/// Appends the ordering bytes of a value of any length.
pub(super) fn append(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    use PlainType::*;
    match plain {
        Bool => out.push(u8::from(number::load_bool(stored)?)),
        Int2 | Int4 | Int8 => push_int(plain, number::load_int(plain, stored)?, out),
        Float4 | Float8 => {
            let mut bits = Zeroizing::new(Vec::with_capacity(8));
            float::canonical(plain, stored, &mut bits)?;
            let bits = u64::from_be_bytes(scan::stored(plain, &bits)?);
            // Negative numbers turned around; NaN, which is positive here, comes last.
            let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        Numeric => numeric::ordering(stored, out)?,
        Text | Varchar | Bpchar | Citext | Bytea => text::canonical(plain, stored, out)?,
        Uuid => out.extend_from_slice(&scan::stored::<16>(plain, stored)?),
        Date => {
            datetime::check(plain, stored)?;
            push_int(Int4, i32::from_be_bytes(scan::stored(plain, stored)?).into(), out);
        }
        Time | Timestamp | Timestamptz => {
            datetime::check(plain, stored)?;
            push_int(Int8, i64::from_be_bytes(scan::stored(plain, stored)?), out);
        }
        Timetz => {
            datetime::check(plain, stored)?;
            let [a, b, c, d, e, f, g, h, zone @ ..] = scan::stored::<12>(plain, stored)?;
            let zone = i32::from_be_bytes(zone);
            // By the moment in UTC, then by zone; neither overflows, both were checked.
            push_int(Int8, i64::from_be_bytes([a, b, c, d, e, f, g, h]) + i64::from(zone) * 1_000_000, out);
            push_int(Int4, zone.into(), out);
        }
        Interval => {
            let start = out.len();
            interval::canonical(stored, out)?;
            out[start] ^= 0x80;
        }
        Inet | Cidr => network::ordering(plain, stored, out)?,
        Json | Jsonb | Enum => {
            let message = format!("could not identify an ordering operator for type {}", plain.sql_name());
            return Err(ValueError::new(super::error::UNDEFINED_FUNCTION, message));
        }
    }
    Ok(())
}

/// An integer that fits its type, with the sign bit turned.
fn push_int(plain: PlainType, value: i64, out: &mut Vec<u8>) {
    match plain {
        PlainType::Int2 => out.extend_from_slice(&(value as i16 ^ i16::MIN).to_be_bytes()),
        PlainType::Int4 => out.extend_from_slice(&(value as i32 ^ i32::MIN).to_be_bytes()),
        _ => out.extend_from_slice(&(value ^ i64::MIN).to_be_bytes()),
    }
}
