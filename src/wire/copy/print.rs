//! Printing values as `copyto.c` does, and the messages that carry rows.

use memchr::memchr2;

use super::{Dialect, Kind};
use crate::wire::build::message;
use crate::wire::frame::{self, BuildError, HEADER};
use crate::wire::server::tag;

impl Dialect {
    /// Appends a value with what escapes and quotes it. `single`: the row has no other column.
    pub fn print(&self, value: &[u8], force_quote: bool, single: bool, out: &mut Vec<u8>) {
        match self.kind {
            Kind::Text => self.print_text(value, out),
            Kind::Csv if force_quote || self.needs_quotes(value, single) => self.print_quoted(value, out),
            Kind::Csv | Kind::Binary => out.extend_from_slice(value),
        }
    }

    fn needs_quotes(&self, value: &[u8], single: bool) -> bool {
        value == &*self.null
            || (single && value == b"\\.")
            || memchr2(b'\n', b'\r', value).is_some()
            || memchr2(self.delimiter, self.quote, value).is_some()
    }

    fn print_quoted(&self, value: &[u8], out: &mut Vec<u8>) {
        out.push(self.quote);
        let mut rest = value;
        while let Some(i) = memchr2(self.quote, self.escape, rest) {
            out.extend_from_slice(&rest[..i]);
            out.extend_from_slice(&[self.escape, rest[i]]);
            rest = &rest[i + 1..];
        }
        out.extend_from_slice(rest);
        out.push(self.quote);
    }

    fn print_text(&self, value: &[u8], out: &mut Vec<u8>) {
        // Most values have no control characters, and are searched as a whole.
        if value.iter().all(|byte| *byte >= b' ') {
            let mut rest = value;
            while let Some(at) = memchr2(b'\\', self.delimiter, rest) {
                out.extend_from_slice(&rest[..at]);
                out.extend_from_slice(&[b'\\', rest[at]]);
                rest = &rest[at + 1..];
            }
            return out.extend_from_slice(rest);
        }
        let mut start = 0;
        for (i, &byte) in value.iter().enumerate() {
            let escaped = match byte {
                0x08 => b'b',
                0x09 => b't',
                0x0a => b'n',
                0x0b => b'v',
                0x0c => b'f',
                0x0d => b'r',
                b'\\' => b'\\',
                _ if byte == self.delimiter => byte,
                _ => continue,
            };
            out.extend_from_slice(&value[start..i]);
            out.extend_from_slice(&[b'\\', escaped]);
            start = i + 1;
        }
        out.extend_from_slice(&value[start..]);
    }

    /// Appends a value such that it is read as one and not as NULL or a default, whatever the options are.
    pub fn print_firm(&self, value: &[u8], out: &mut Vec<u8>) {
        self.print(value, true, false, out);
    }

    /// Appends what is read as NULL. `force_null`: as FORCE_NULL says of the column.
    pub fn print_null(&self, force_null: bool, out: &mut Vec<u8>) {
        // In quotes it is NULL by FORCE_NULL alone, whatever FORCE_NOT_NULL says.
        match force_null {
            true => self.print_quoted(&self.null, out),
            false => out.extend_from_slice(&self.null),
        }
    }
}

/// Appends a CopyOutResponse for so many columns.
///
/// # Errors
/// More than 65,535 columns; nothing was appended.
pub fn copy_out_response(out: &mut Vec<u8>, binary: bool, columns: usize) -> Result<(), BuildError> {
    let count = u16::try_from(columns).map_err(|_| BuildError::TooLong)?;
    message(out, tag::COPY_OUT_RESPONSE, |out| {
        out.push(u8::from(binary));
        out.extend_from_slice(&count.to_be_bytes());
        (0..count).for_each(|_| out.extend_from_slice(&i16::from(binary).to_be_bytes()));
        Ok(())
    })
}

/// Appends one CopyData with what `write` appends; none if that is nothing, or too long, or an error.
///
/// # Errors
/// Those of `write`; within, that it is too long.
pub fn copy_data<E>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<Result<(), BuildError>, E> {
    let start = frame::begin(out, tag::COPY_DATA);
    let written = write(out);
    if written.is_err() || out.len() == start + HEADER {
        out.truncate(start);
        return written.map(Ok);
    }
    Ok(frame::finish(out, start))
}

/// Appends a CopyDone.
pub fn copy_done(out: &mut Vec<u8>) {
    frame::bare(out, tag::COPY_DONE);
}
