//! The formats of COPY: rows and fields of what a client sends, and how values are printed for it.
//!
//! Reads what PostgreSQL reads (`copyfromparse.c`), and nothing else; prints byte for byte what it prints. Bytes may be cut
//! anywhere: [`Rows`] goes on where it stopped. No type is known here but the composites that go to the server.

mod binary;
mod fields;
mod lines;
mod print;
mod record;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::sqlstate::SqlState;

pub use binary::{HEADER as BINARY_HEADER, TRAILER as BINARY_TRAILER, tuple_fields};
pub use fields::{Field, Fields, Force, Meaning};
pub use print::{copy_data, copy_done, copy_out_response};
pub use record::record_text;

use binary::Tuples;
use lines::Lines;

/// `bad_copy_file_format`.
pub const BAD_COPY_FORMAT: SqlState = SqlState("22P04");

/// Which of the three formats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// Tabs and backslashes.
    #[default]
    Text,
    /// Commas and quotes.
    Csv,
    /// Lengths.
    Binary,
}

/// The first line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Header {
    /// Is a row.
    #[default]
    None,
    /// Names columns, and is skipped when it is read.
    Present,
    /// Must name the columns.
    Match,
}

/// How a COPY is written: its options, defaults filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialect {
    /// Format.
    pub kind: Kind,
    /// Between fields.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: Box<[u8]>,
    /// What stands for the default of a column.
    pub default: Option<Box<[u8]>>,
    /// Around fields of CSV.
    pub quote: u8,
    /// Before quotes within such fields.
    pub escape: u8,
    /// First line.
    pub header: Header,
    /// A line `\.` ends CSV (so before PostgreSQL 18).
    pub csv_marker: bool,
}

impl Dialect {
    /// The defaults of a format.
    pub fn new(kind: Kind) -> Self {
        let (delimiter, null): (u8, &[u8]) = if kind == Kind::Csv { (b',', b"") } else { (b'\t', b"\\N") };
        Dialect {
            kind,
            delimiter,
            null: null.into(),
            default: None,
            quote: b'"',
            escape: b'"',
            header: Header::None,
            csv_marker: true,
        }
    }
}

/// What a client sent is not what its COPY says. Worded as PostgreSQL words it, without the data.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CopyError {
    /// Code.
    pub sqlstate: SqlState,
    /// Message.
    pub message: Cow<'static, str>,
}

impl CopyError {
    /// A fault of the format.
    #[cold]
    pub fn format(message: impl Into<Cow<'static, str>>) -> Self {
        CopyError { sqlstate: BAD_COPY_FORMAT, message: message.into() }
    }
}

/// What the bytes at hand begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Not yet a whole row.
    More,
    /// So many bytes that are no row: what stands before and after binary tuples.
    Skip(usize),
    /// The header line.
    Head {
        /// Bytes without the line's end.
        len: usize,
        /// Bytes in all.
        used: usize,
    },
    /// A row.
    Row {
        /// Bytes without the line's end.
        len: usize,
        /// Bytes in all.
        used: usize,
    },
    /// The end: what follows is dropped.
    End,
}

/// Finds the rows in a stream of bytes.
#[derive(Debug)]
pub struct Rows(Form);

#[derive(Debug)]
enum Form {
    Lines(Lines),
    Tuples(Tuples),
}

impl Rows {
    /// At the beginning, of rows with so many columns.
    pub fn new(dialect: &Dialect, columns: usize) -> Self {
        Rows(match dialect.kind {
            Kind::Binary => Form::Tuples(Tuples::new(columns)),
            Kind::Text | Kind::Csv => Form::Lines(Lines::new(dialect)),
        })
    }

    /// Looks at `input`, which begins where the last row ended: the bytes given before and not used come again, longer.
    /// `ended`: no more will come.
    ///
    /// # Errors
    /// The format is broken; nothing may be asked any more.
    pub fn next(&mut self, input: &[u8], ended: bool) -> Result<Step, CopyError> {
        match &mut self.0 {
            Form::Lines(lines) => lines.next(input, ended),
            Form::Tuples(tuples) => tuples.next(input, ended),
        }
    }

    /// The line, from 1, that the last step was about; of binary: the row.
    pub fn line(&self) -> u64 {
        match &self.0 {
            Form::Lines(lines) => lines.line,
            Form::Tuples(tuples) => tuples.row,
        }
    }
}
