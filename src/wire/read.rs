//! Reading the inside of a message: a cursor that checks every length, and the views several messages share.

use super::error::{PgError, Severity};
use super::sqlstate::SqlState;

/// A message whose frame is whole and whose inside is not as the protocol says. Wording as PostgreSQL's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MessageError {
    /// A field reaches beyond the end.
    #[error("insufficient data left in message")]
    Truncated,
    /// A string without its NUL.
    #[error("invalid string in message")]
    Unterminated,
    /// Bytes after the last field.
    #[error("invalid message format")]
    Trailing,
    /// A negative length that does not mean NULL, or a negative count.
    #[error("invalid length {0} in message")]
    Length(i32),
    /// Neither text (0) nor binary (1).
    #[error("unsupported format code: {0}")]
    Format(i16),
    /// Describe or Close of something that is neither statement nor portal, an unknown status, an unknown version.
    #[error("invalid subtype {0} in message")]
    Subtype(u8),
    /// Format codes that are neither none, one nor one each.
    #[error("bind message has {formats} parameter formats but {values} parameters")]
    FormatCount {
        /// Codes given.
        formats: usize,
        /// Values given.
        values: usize,
    },
}

impl MessageError {
    /// What the sender is told.
    pub fn to_pg(self, severity: Severity) -> PgError {
        PgError::new(severity, SqlState::PROTOCOL_VIOLATION, self.to_string())
    }
}

/// What a peer is told whose message cannot be read: the connection ends.
pub fn read_error(error: MessageError) -> PgError {
    error.to_pg(Severity::Fatal)
}

/// A cursor over a message's body.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Reader { rest: body }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn bytes(&mut self, n: usize) -> Result<&'a [u8], MessageError> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(MessageError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(MessageError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, MessageError> {
        self.array::<1>().map(|[b]| b)
    }

    pub(super) fn u16(&mut self) -> Result<u16, MessageError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, MessageError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, MessageError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, MessageError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A string up to its NUL, without it.
    pub(super) fn cstr(&mut self) -> Result<&'a [u8], MessageError> {
        let end = memchr::memchr(0, self.rest).ok_or(MessageError::Unterminated)?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    /// A length and so many bytes; -1 is NULL.
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>, MessageError> {
        match self.i32()? {
            -1 => Ok(None),
            len => {
                let n = usize::try_from(len).map_err(|_| MessageError::Length(len))?;
                self.bytes(n).map(Some)
            }
        }
    }

    pub(super) fn format(&mut self) -> Result<i16, MessageError> {
        match self.i16()? {
            code @ (0 | 1) => Ok(code),
            code => Err(MessageError::Format(code)),
        }
    }

    /// A count and so many format codes.
    pub(super) fn formats(&mut self) -> Result<Formats<'a>, MessageError> {
        let count = self.u16()?;
        let codes = self.bytes(2 * usize::from(count))?;
        let formats = Formats { codes };
        match formats.iter().find(|code| !matches!(code, 0 | 1)) {
            Some(code) => Err(MessageError::Format(code)),
            None => Ok(formats),
        }
    }

    /// A count and so many OIDs.
    pub(super) fn oids(&mut self) -> Result<Oids<'a>, MessageError> {
        let count = self.u16()?;
        Ok(Oids { bytes: self.bytes(4 * usize::from(count))? })
    }

    /// A count and so many values.
    pub(super) fn values(&mut self) -> Result<Values<'a>, MessageError> {
        let count = self.u16()?;
        let data = self.rest;
        for _ in 0..count {
            self.value()?;
        }
        let used = data.len() - self.rest.len();
        Ok(Values { count, data: &data[..used] })
    }

    /// The whole body was read.
    pub(super) fn end(self) -> Result<(), MessageError> {
        if self.rest.is_empty() { Ok(()) } else { Err(MessageError::Trailing) }
    }
}

/// Format codes of Bind or a COPY response; each is 0 (text) or 1 (binary).
#[derive(Clone, Copy)]
pub struct Formats<'a> {
    codes: &'a [u8],
}

impl<'a> Formats<'a> {
    /// How many codes were given (0: all text, 1: the same for all).
    pub fn len(&self) -> usize {
        self.codes.len() / 2
    }

    /// No codes were given: all are text.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The codes as given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i16> + Clone + use<'a> {
        self.codes.chunks_exact(2).map(|c| i16::from_be_bytes([c[0], c[1]]))
    }

    /// The format of item `index` (from 0) by Bind's rule: none given means text, one given holds for all.
    /// An index beyond the codes is text.
    pub fn of(&self, index: usize) -> i16 {
        let at = if self.len() == 1 { 0 } else { index };
        match self.codes.get(2 * at..2 * at + 2) {
            Some(c) => i16::from_be_bytes([c[0], c[1]]),
            None => 0,
        }
    }

    /// The codes fit `n` items: none, one, or one each.
    pub fn fits(&self, n: usize) -> bool {
        self.len() <= 1 || self.len() == n
    }
}

/// Type OIDs of Parse or ParameterDescription.
#[derive(Clone, Copy)]
pub struct Oids<'a> {
    bytes: &'a [u8],
}

impl<'a> Oids<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// In order; 0 is an unspecified type.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + Clone + use<'a> {
        self.bytes.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]))
    }
}

/// Values of Bind or DataRow, checked when they were parsed.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    count: u16,
    data: &'a [u8],
}

impl<'a> Values<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values as they lie in the message: a length of four bytes before each, no count.
    pub fn raw(&self) -> &'a [u8] {
        self.data
    }

    /// In order; `None` is NULL.
    pub fn iter(&self) -> ValuesIter<'a> {
        ValuesIter { left: self.count, reader: Reader::new(self.data) }
    }
}

impl<'a> IntoIterator for Values<'a> {
    type Item = Option<&'a [u8]>;
    type IntoIter = ValuesIter<'a>;

    fn into_iter(self) -> ValuesIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Values`].
#[derive(Clone)]
pub struct ValuesIter<'a> {
    left: u16,
    reader: Reader<'a>,
}

impl<'a> Iterator for ValuesIter<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.reader.value().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for ValuesIter<'_> {}
