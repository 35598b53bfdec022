//! Values of plaintext types: from what a client binds or writes to the stored form, and back.
//!
//! The stored form of a value (what an envelope seals) is PostgreSQL's binary send format of its type. Two differ:
//! jsonb is the text PostgreSQL prints, without the version byte; enum labels and citext are their text.
//!
//! What is read is what PostgreSQL reads, or an error; never another value. Left out on purpose, with an error:
//! dates that depend on the clock (`now`), dates and intervals in forms that neither ISO 8601 nor PostgreSQL's own
//! output have, hexadecimal floats. Not here: type modifiers (`varchar(10)`) but those of numeric, enum labels' existence, encodings
//! other than UTF-8.

mod aggregate;
mod anywhere;
mod array;
mod convert;
mod datetime;
mod error;
mod float;
mod interval;
mod json;
mod letters;
mod like;
mod network;
mod number;
mod numeric;
mod order;
mod plain;
mod scalar;
mod scan;
mod settings;
mod text;

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

pub use aggregate::{Aggregate, Function, Gives, Running};
pub use anywhere::at_path;
pub use array::{Array, Dimensions, Elements, Parts, read_array, write_array, write_array_as};
pub use datetime::zone::Zone;
pub use error::ValueError;
pub use json::extract as document;
pub use json::{
    Constant, Document, JsonKind, JsonPart, JsonPath, compare_numbers, index_of, push_string as push_json_string,
    searched,
};
pub use letters::{Form, Letters, Unfollowed};
pub use like::{Like, Literal, fold};
pub use numeric::Digits;
pub use order::{MAX_ORDERING, Place, ordering, ordering_operand};
pub use plain::Oid;
pub use scalar::{Means, Scalar, Signature, Sort, coalesced};
pub use settings::{ByteaOutput, DateForm, DateOrder, DateStyle, Format, IntervalStyle, Settings};

use convert::{Cast, Conversion};
use error::Result;
use plain::{FIRST_USER_OID, UNKNOWN};

/// A plaintext type that an encrypted type can hold. The discriminant is the envelope's codec byte and
/// never changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum PlainType {
    Bool = 1,
    Int2 = 2,
    Int4 = 3,
    Int8 = 4,
    Float4 = 5,
    Float8 = 6,
    Numeric = 7,
    Text = 8,
    Varchar = 9,
    Bpchar = 10,
    Citext = 11,
    Uuid = 12,
    Date = 13,
    Time = 14,
    Timetz = 15,
    Timestamp = 16,
    Timestamptz = 17,
    Interval = 18,
    Bytea = 19,
    Json = 20,
    Jsonb = 21,
    Inet = 22,
    Cidr = 23,
    /// Enum labels, held as text.
    Enum = 24,
}

/// Reads a value that is to be stored, appending its stored form to `out`.
///
/// `declared`: the parameter's type as the client declared it, 0 for none. `cast`: a cast written around it. The
/// value is read as the declared type (else the cast's, else `plain`), cast, and assigned as PostgreSQL assigns;
/// text is assigned to any type. On error `out` may hold a part of the value; the caller drops it.
///
/// # Errors
/// As PostgreSQL's input functions and casts; 42804 where no assignment cast exists.
pub fn read(
    plain: PlainType,
    declared: Oid,
    cast: Option<Oid>,
    format: Format,
    bytes: &[u8],
    settings: &Settings,
    out: &mut Vec<u8>,
) -> std::result::Result<(), ValueError> {
    let start = out.len();
    let result = Reading { plain, declared, cast, settings, exact: false }.read(format, bytes, out);
    forget_on_error(start, result, out)
}

/// Reads an operand of a comparison: like [`read`], but a value that its type cannot hold exactly (2.5 for an
/// integer, a time of day for a date) is an error, since the rounded value would compare as equal.
///
/// # Errors
/// As [`read`], and 0A000 for such a value.
pub fn read_operand(
    plain: PlainType,
    declared: Oid,
    cast: Option<Oid>,
    format: Format,
    bytes: &[u8],
    settings: &Settings,
    out: &mut Vec<u8>,
) -> std::result::Result<(), ValueError> {
    let start = out.len();
    let result = Reading { plain, declared, cast, settings, exact: true }.read(format, bytes, out);
    forget_on_error(start, result, out)
}

/// Makes the stored form of a numeric that of the value as a `numeric(precision, scale)`.
///
/// # Errors
/// 22003 for a value with too many digits before the point.
pub fn fit_numeric(stored: &mut Zeroizing<Vec<u8>>, digits: Digits) -> std::result::Result<(), ValueError> {
    let mut fitted = Zeroizing::new(Vec::with_capacity(stored.len() + 2));
    numeric::fit(stored, digits, &mut fitted)?;
    *stored = fitted;
    Ok(())
}

fn forget_on_error(start: usize, result: Result<()>, out: &mut Vec<u8>) -> Result<()> {
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// How a value comes to its type.
struct Reading<'a> {
    plain: PlainType,
    declared: Oid,
    cast: Option<Oid>,
    settings: &'a Settings,
    /// Refuse what would be rounded.
    exact: bool,
}

impl Reading<'_> {
    fn read(&self, format: Format, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let cast = self.cast.map(|oid| self.type_of(oid, format)).transpose()?;
        let source = match self.declared {
            0 => cast.unwrap_or(self.plain),
            UNKNOWN if format == Format::Text => cast.unwrap_or(self.plain),
            oid => self.type_of(oid, format)?,
        };
        let middle = cast.unwrap_or(source);
        if source == self.plain && middle == self.plain {
            return decode(self.plain, format, bytes, self.settings, out);
        }
        if middle == source {
            match (source, format) {
                // What drivers do all the time, without a copy between.
                (PlainType::Text | PlainType::Varchar, _) => {
                    return parse(self.plain, scan::utf8(bytes)?, self.settings, out);
                }
                (PlainType::Int2, Format::Binary) => drop(scan::received::<2>(source, bytes)?),
                (PlainType::Int4, Format::Binary) => drop(scan::received::<4>(source, bytes)?),
                (PlainType::Int8, Format::Binary) => drop(scan::received::<8>(source, bytes)?),
                _ => return self.through(source, format, bytes, out),
            }
            return self.assign(source, bytes, out);
        }
        let mut first = Zeroizing::new(Vec::new());
        decode(source, format, bytes, self.settings, &mut first)?;
        let mut second = Zeroizing::new(Vec::new());
        let explicit = Conversion { cast: Cast::Explicit, from: source, to: middle, settings: self.settings };
        convert::convert(explicit, &first, &mut second)?;
        self.assign(middle, &second, out)
    }

    /// By way of the stored form of another type.
    fn through(&self, source: PlainType, format: Format, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut stored = Zeroizing::new(Vec::new());
        decode(source, format, bytes, self.settings, &mut stored)?;
        self.assign(source, &stored, out)
    }

    fn assign(&self, from: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let assignment = Conversion { cast: Cast::Assignment, from, to: self.plain, settings: self.settings };
        convert::convert(assignment, stored, out)?;
        if self.exact {
            convert::check_exact(assignment, stored, &out[start..])?;
        }
        Ok(())
    }

    /// The plaintext type of an OID. Types that users made have OIDs of their own in every database: they are
    /// taken for the type itself where that is an enum or citext, and for text where the value is text.
    fn type_of(&self, oid: Oid, format: Format) -> Result<PlainType> {
        if let Some(plain) = PlainType::from_oid(oid) {
            return Ok(plain);
        }
        let own = matches!(self.plain, PlainType::Enum | PlainType::Citext);
        let text = self.plain.is_textual() && format == Format::Text;
        if oid >= FIRST_USER_OID && (own || text) {
            return Ok(self.plain);
        }
        Err(ValueError::mismatch(self.plain, &format!("OID {oid}")))
    }
}

/// Reads a value of its own type.
fn decode(plain: PlainType, format: Format, bytes: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    match format {
        Format::Text => parse(plain, scan::utf8(bytes)?, settings, out),
        Format::Binary => receive(plain, bytes, out),
    }
}

/// PostgreSQL's input functions.
fn parse(plain: PlainType, input: &str, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    use PlainType::*;
    match plain {
        Bool => number::parse_bool(input, out),
        Int2 | Int4 | Int8 => number::parse_int(plain, input, out),
        Float4 | Float8 => float::parse(plain, input, out),
        Numeric => numeric::parse(input, out),
        Text | Varchar | Bpchar | Citext | Enum => {
            out.extend_from_slice(input.as_bytes());
            Ok(())
        }
        Uuid => text::parse_uuid(input, out),
        Date => datetime::parse_date(input, settings, out),
        Time => datetime::parse_time(input, settings, out),
        Timetz => datetime::parse_timetz(input, settings, out),
        Timestamp => datetime::parse_timestamp(input, settings, out),
        Timestamptz => datetime::parse_timestamptz(input, settings, out),
        Interval => interval::parse(input, settings, out),
        Bytea => text::parse_bytea(input, out),
        Json => json::parse_json(input, out),
        Jsonb => json::parse_jsonb(input, out),
        Inet | Cidr => network::parse(plain, input, out),
    }
}

/// PostgreSQL's receive functions.
fn receive(plain: PlainType, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    use PlainType::*;
    match plain {
        Bool => return number::receive_bool(bytes, out),
        Int2 => drop(scan::received::<2>(plain, bytes)?),
        Int4 | Float4 => drop(scan::received::<4>(plain, bytes)?),
        Int8 | Float8 => drop(scan::received::<8>(plain, bytes)?),
        Numeric => return numeric::receive(bytes, out),
        Text | Varchar | Bpchar | Citext | Enum => drop(scan::utf8(bytes)?),
        Uuid => drop(scan::received::<16>(plain, bytes)?),
        Date | Time | Timetz | Timestamp | Timestamptz => return datetime::receive(plain, bytes, out),
        Interval => return interval::receive(bytes, out),
        Bytea => {}
        Json => return json::parse_json(scan::utf8(bytes)?, out),
        Jsonb => return json::receive_jsonb(bytes, out),
        Inet | Cidr => return network::receive(plain, bytes, out),
    }
    out.extend_from_slice(bytes);
    Ok(())
}

/// As [`write`], of a value of another type as this one.
pub fn write_as(
    shown: PlainType,
    (plain, stored): (PlainType, &[u8]),
    format: Format,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> std::result::Result<(), ValueError> {
    if shown == plain {
        return write(plain, stored, format, settings, out);
    }
    let mut converted = Zeroizing::new(Vec::new());
    let conversion = Conversion { cast: Cast::Assignment, from: plain, to: shown, settings };
    convert::convert(conversion, stored, &mut converted)?;
    write(shown, &converted, format, settings, out)
}

/// Appends a stored value as a cast that is written out gives it, in the stored form of the other type.
///
/// # Errors
/// As PostgreSQL's casts.
pub fn cast(
    from: PlainType,
    to: PlainType,
    stored: &[u8],
    settings: &Settings,
    out: &mut Vec<u8>,
) -> std::result::Result<(), ValueError> {
    convert::convert(Conversion { cast: Cast::Explicit, from, to, settings }, stored, out)
}

/// [`cast`] is that of PostgreSQL between these types: of numbers, and from numbers, truth values and intervals to text.
pub fn casts(from: PlainType, to: PlainType) -> bool {
    let text = matches!(to, PlainType::Text | PlainType::Varchar);
    let shown = convert::is_number(from) || matches!(from, PlainType::Bool | PlainType::Interval);
    from == to || (convert::is_number(from) && convert::is_number(to)) || (text && shown)
}

/// [`cast`] is that of PostgreSQL, or fails as it does, between these different types.
pub fn recasts(from: PlainType, to: PlainType) -> bool {
    use PlainType::*;
    match (from, to) {
        (Citext | Enum, _) | (_, Citext | Enum | Bpchar) => false,
        (_, Text | Varchar) | (Text | Varchar, _) => true,
        (Bool, Int4) | (Int4, Bool) | (Json, Jsonb) | (Jsonb, Json) => true,
        (Date, Timestamp | Timestamptz) | (Timestamp | Timestamptz, Date) => true,
        (Timestamp, Timestamptz) | (Timestamptz, Timestamp) => true,
        _ => convert::is_number(from) && convert::is_number(to),
    }
}

/// The type that COALESCE of an expression of the first type and a constant of the second has, for numbers and truth values.
pub fn common_type(first: PlainType, constant: PlainType) -> Option<PlainType> {
    use PlainType::*;
    match (first, constant) {
        (Float4 | Float8, Int4 | Int8 | Numeric) => Some(first),
        (Bool, Bool) | (_, Int4 | Int8 | Numeric) => coalesced([first, constant]),
        _ => None,
    }
}

/// Appends what PostgreSQL would print or send for a stored value.
///
/// # Errors
/// XX001 for a stored form that cannot be of its type; 22023 for a timestamptz in a time zone that is not known.
pub fn write(
    plain: PlainType,
    stored: &[u8],
    format: Format,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> std::result::Result<(), ValueError> {
    use PlainType::*;
    if format == Format::Binary {
        if plain == Jsonb {
            out.push(1);
        }
        out.extend_from_slice(stored);
        return Ok(());
    }
    match plain {
        Bool => number::print_bool(stored, out),
        Int2 | Int4 | Int8 => number::print_int(plain, stored, out),
        Float4 | Float8 => float::print(plain, stored, settings.extra_float_digits, out),
        Numeric => numeric::print(stored, out),
        Text | Varchar | Bpchar | Citext | Enum | Json | Jsonb => {
            out.extend_from_slice(stored);
            Ok(())
        }
        Uuid => text::print_uuid(stored, out),
        Date | Time | Timetz | Timestamp | Timestamptz => datetime::write_text(plain, stored, settings, out),
        Interval => interval::write_text(stored, settings.interval_style, out),
        Bytea => {
            text::print_bytea(stored, settings.bytea_output, out);
            Ok(())
        }
        Inet | Cidr => network::print(plain, stored, out),
    }
}

/// Whether the stored form of such values is the canonical one.
pub fn is_canonical(plain: PlainType) -> bool {
    matches!(plain, PlainType::Text | PlainType::Varchar | PlainType::Enum | PlainType::Bytea)
}

/// Appends the canonical bytes of a stored value: equal for two values of one type exactly when PostgreSQL's `=`
/// holds between them. Text is compared as under a deterministic collation; citext folds case by Unicode's simple
/// lower-case mapping; NaN equals NaN.
///
/// # Errors
/// 42883 for json, which has no equality; XX001 for a stored form that cannot be of its type.
pub fn canonical(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), ValueError> {
    use PlainType::*;
    match plain {
        Bool => {
            out.push(u8::from(number::load_bool(stored)?));
            Ok(())
        }
        Int2 | Int4 | Int8 => {
            out.extend_from_slice(&number::load_int(plain, stored)?.to_be_bytes());
            Ok(())
        }
        Float4 | Float8 => float::canonical(plain, stored, out),
        Numeric => numeric::canonical(stored, out),
        Text | Varchar | Bpchar | Citext | Enum | Bytea => text::canonical(plain, stored, out),
        Uuid => {
            out.extend_from_slice(&scan::stored::<16>(plain, stored)?);
            Ok(())
        }
        Date | Time | Timetz | Timestamp | Timestamptz => {
            datetime::check(plain, stored)?;
            out.extend_from_slice(stored);
            Ok(())
        }
        Interval => interval::canonical(stored, out),
        Json => {
            Err(ValueError::new(error::UNDEFINED_FUNCTION, "could not identify an equality operator for type json")
                .hint("Use jsonb for values that are compared."))
        }
        Jsonb => json::canonical_jsonb(stored, out),
        Inet | Cidr => network::canonical(plain, stored, out),
    }
}
