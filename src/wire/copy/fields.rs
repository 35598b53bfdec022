//! Fields of a line, as `CopyReadAttributesText` and `CopyReadAttributesCSV` find them.

use memchr::memchr2;

use super::{CopyError, Dialect, Kind};

/// A field as it stands in the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its bytes, escapes and quotes included.
    pub raw: &'a [u8],
    /// Some of it is quoted.
    pub quoted: bool,
}

/// What FORCE_NULL and FORCE_NOT_NULL say of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Force {
    /// The NULL string is NULL also in quotes.
    pub null: bool,
    /// The NULL string is no NULL.
    pub not_null: bool,
}

/// What a field means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// NULL.
    Null,
    /// The default of the column.
    Default,
    /// The value that was appended.
    Value,
}

/// The fields of a line, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: Option<&'a [u8]>,
    dialect: &'a Dialect,
}

impl<'a> Fields<'a> {
    /// Of a line without its end.
    pub fn new(line: &'a [u8], dialect: &'a Dialect) -> Self {
        Fields { rest: Some(line), dialect }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, CopyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.rest.take()?;
        let found = match self.dialect.kind {
            Kind::Csv => csv_end(line, self.dialect),
            _ => Ok(text_end(line, self.dialect.delimiter)),
        };
        Some(found.map(|(end, next, quoted)| {
            self.rest = next.map(|next| &line[next..]);
            Field { raw: &line[..end], quoted }
        }))
    }
}

/// End of the first field and begin of the next one.
fn text_end(line: &[u8], delimiter: u8) -> (usize, Option<usize>, bool) {
    let mut at = 0;
    while let Some(found) = memchr2(delimiter, b'\\', &line[at..]) {
        let i = at + found;
        if line[i] == delimiter {
            return (i, Some(i + 1), false);
        }
        if i + 1 == line.len() {
            // A backslash at the very end is no part of the field.
            return (i, None, false);
        }
        at = i + 2;
    }
    (line.len(), None, false)
}

fn csv_end(line: &[u8], dialect: &Dialect) -> Result<(usize, Option<usize>, bool), CopyError> {
    let mut quoted = false;
    let mut at = 0;
    while let Some(found) = memchr2(dialect.delimiter, dialect.quote, &line[at..]) {
        let i = at + found;
        if line[i] == dialect.delimiter {
            return Ok((i, Some(i + 1), quoted));
        }
        quoted = true;
        at = quote_end(line, i + 1, dialect).ok_or_else(|| CopyError::format("unterminated CSV quoted field"))?;
    }
    Ok((line.len(), None, quoted))
}

/// Where what is quoted from `at` on ends: after its closing quote.
fn quote_end(line: &[u8], mut at: usize, dialect: &Dialect) -> Option<usize> {
    loop {
        let i = at + memchr2(dialect.quote, dialect.escape, line.get(at..)?)?;
        at = match escapes(line, i, dialect) {
            true => i + 2,
            false if line[i] == dialect.quote => return Some(i + 1),
            false => i + 1,
        };
    }
}

/// The byte at `i` stands before one that it makes a plain one.
fn escapes(line: &[u8], i: usize, dialect: &Dialect) -> bool {
    line[i] == dialect.escape && line.get(i + 1).is_some_and(|next| *next == dialect.escape || *next == dialect.quote)
}

impl Dialect {
    /// What a field means; a value is appended to `out` without escapes and quotes.
    pub fn read(&self, field: &Field<'_>, force: Force, out: &mut Vec<u8>) -> Meaning {
        if !field.quoted && field.raw == &*self.null {
            if force.not_null {
                out.extend_from_slice(&self.null);
                return Meaning::Value;
            }
            return Meaning::Null;
        }
        if self.default.as_deref() == Some(field.raw) {
            return Meaning::Default;
        }
        let start = out.len();
        match self.kind {
            Kind::Csv => self.unquote(field, out),
            _ => unescape(field.raw, out),
        }
        if force.null && out[start..] == *self.null {
            out.truncate(start);
            return Meaning::Null;
        }
        Meaning::Value
    }

    fn unquote(&self, field: &Field<'_>, out: &mut Vec<u8>) {
        if !field.quoted {
            out.extend_from_slice(field.raw);
            return;
        }
        let (raw, mut at, mut within) = (field.raw, 0, false);
        while at < raw.len() {
            let stop = if within {
                memchr2(self.quote, self.escape, &raw[at..])
            } else {
                memchr::memchr(self.quote, &raw[at..])
            };
            let i = stop.map_or(raw.len(), |d| at + d);
            out.extend_from_slice(&raw[at..i]);
            at = i + 1;
            if i == raw.len() {
                break;
            }
            if within && escapes(raw, i, self) {
                out.push(raw[i + 1]);
                at = i + 2;
            } else if raw[i] == self.quote {
                within = !within;
            } else {
                out.push(raw[i]);
            }
        }
    }
}

/// Backslash sequences of the text format.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(i) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..i]);
        let Some((&first, after)) = rest[i + 1..].split_first() else { return };
        let (byte, used) = match first {
            b'0'..=b'7' => number(&rest[i + 1..], 8, 3),
            b'x' => match number(after, 16, 2) {
                (_, 0) => (b'x', 1),
                (byte, digits) => (byte, digits + 1),
            },
            b'b' => (0x08, 1),
            b'f' => (0x0c, 1),
            b'n' => (b'\n', 1),
            b'r' => (b'\r', 1),
            b't' => (b'\t', 1),
            b'v' => (0x0b, 1),
            other => (other, 1),
        };
        out.push(byte);
        rest = &rest[i + 1 + used..];
    }
    out.extend_from_slice(rest);
}

/// The number that up to `most` digits make, cut to a byte, and how many there are.
fn number(text: &[u8], radix: u32, most: usize) -> (u8, usize) {
    let digits = text.iter().take(most).map_while(|b| char::from(*b).to_digit(radix));
    let (value, count) = digits.fold((0u32, 0), |(value, count), digit| (value * radix + digit, count + 1));
    ((value & 0xff) as u8, count)
}
