//! Messages from clients: views of what arrives, encoders of what goes on to the server.

use super::build::{ValuesBuilder, counted, message};
use super::frame::{self, BuildError, MAX_LARGE, MAX_SMALL, put_cstr};
use super::read::{Formats, MessageError, Oids, Reader, Values};

/// Type bytes.
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub mod tag {
    pub const BIND: u8 = b'B';
    pub const CLOSE: u8 = b'C';
    pub const COPY_DATA: u8 = b'd';
    pub const COPY_DONE: u8 = b'c';
    pub const COPY_FAIL: u8 = b'f';
    pub const DESCRIBE: u8 = b'D';
    pub const EXECUTE: u8 = b'E';
    pub const FLUSH: u8 = b'H';
    pub const FUNCTION_CALL: u8 = b'F';
    pub const PARSE: u8 = b'P';
    /// Password, SASL and GSS responses.
    pub const PASSWORD: u8 = b'p';
    pub const QUERY: u8 = b'Q';
    pub const SYNC: u8 = b'S';
    pub const TERMINATE: u8 = b'X';
}

/// Greatest length field of a message of this type after the login, as PostgreSQL limits it; `None`: there
/// is no such client message, and PostgreSQL would close the connection.
pub fn max_len(tag: u8) -> Option<usize> {
    match tag {
        tag::QUERY | tag::PARSE | tag::BIND | tag::COPY_DATA | tag::FUNCTION_CALL => Some(MAX_LARGE),
        tag::CLOSE
        | tag::COPY_DONE
        | tag::COPY_FAIL
        | tag::DESCRIBE
        | tag::EXECUTE
        | tag::FLUSH
        | tag::SYNC
        | tag::TERMINATE => Some(MAX_SMALL),
        _ => None,
    }
}

/// `Q`.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The text, which may hold several statements.
    pub sql: &'a [u8],
}

impl<'a> Query<'a> {
    /// # Errors
    /// The body is not exactly one string.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let sql = r.cstr()?;
        r.end()?;
        Ok(Query { sql })
    }
}

/// `P`.
#[derive(Clone, Copy)]
pub struct Parse<'a> {
    /// Statement name; empty is the unnamed one.
    pub name: &'a [u8],
    /// One statement.
    pub sql: &'a [u8],
    /// Declared parameter types, possibly fewer than there are parameters; 0 is unspecified.
    pub oids: Oids<'a>,
}

impl<'a> Parse<'a> {
    /// # Errors
    /// The body is not as the protocol says.
    #[expect(clippy::self_named_constructors, reason = "every view is made by `parse`")]
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let message = Parse { name: r.cstr()?, sql: r.cstr()?, oids: r.oids()? };
        r.end()?;
        Ok(message)
    }
}

/// `B`.
#[derive(Clone, Copy)]
pub struct Bind<'a> {
    /// Portal name; empty is the unnamed one.
    pub portal: &'a [u8],
    /// Statement name.
    pub statement: &'a [u8],
    /// Formats of the parameters; they fit the number of parameters.
    pub formats: Formats<'a>,
    /// The parameters.
    pub params: Values<'a>,
    /// Formats of the result columns. Whether they fit is only known with the statement.
    pub result_formats: Formats<'a>,
}

impl<'a> Bind<'a> {
    /// # Errors
    /// The body is not as the protocol says, or the format codes do not fit the parameters.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let message = Bind {
            portal: r.cstr()?,
            statement: r.cstr()?,
            formats: r.formats()?,
            params: r.values()?,
            result_formats: r.formats()?,
        };
        r.end()?;
        let (formats, values) = (message.formats.len(), message.params.len());
        if !message.formats.fits(values) {
            return Err(MessageError::FormatCount { formats, values });
        }
        Ok(message)
    }
}

/// What Describe and Close name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A prepared statement.
    Statement = b'S',
    /// A portal.
    Portal = b'P',
}

/// `D` or `C`: both have the same body.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    /// Statement or portal.
    pub kind: Kind,
    /// Its name; empty is the unnamed one.
    pub name: &'a [u8],
}

/// `D`.
pub type Describe<'a> = Named<'a>;
/// `C`.
pub type Close<'a> = Named<'a>;

impl<'a> Named<'a> {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let kind = match r.u8()? {
            b'S' => Kind::Statement,
            b'P' => Kind::Portal,
            other => return Err(MessageError::Subtype(other)),
        };
        let name = r.cstr()?;
        r.end()?;
        Ok(Named { kind, name })
    }
}

/// `E`.
#[derive(Clone, Copy)]
pub struct Execute<'a> {
    /// Portal name.
    pub portal: &'a [u8],
    /// Rows wanted; zero or less is all of them.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let message = Execute { portal: r.cstr()?, max_rows: r.i32()? };
        r.end()?;
        Ok(message)
    }
}

/// Appends a Query.
///
/// # Errors
/// Too long, or a NUL inside; nothing was appended.
pub fn query(out: &mut Vec<u8>, sql: &[u8]) -> Result<(), BuildError> {
    message(out, tag::QUERY, |out| put_cstr(out, sql))
}

/// Appends a Parse.
///
/// # Errors
/// Too long, a NUL inside, or more than 65,535 types; nothing was appended.
pub fn parse(
    out: &mut Vec<u8>,
    name: &[u8],
    sql: &[u8],
    oids: impl IntoIterator<Item = u32>,
) -> Result<(), BuildError> {
    message(out, tag::PARSE, |out| {
        put_cstr(out, name)?;
        put_cstr(out, sql)?;
        counted(out, oids, |out, oid| out.extend_from_slice(&oid.to_be_bytes()))
    })
}

/// Builds a Bind: [`BindBuilder::new`], the parameters, [`BindBuilder::finish`]. Dropped unfinished, it
/// takes back everything it wrote.
pub struct BindBuilder<'o> {
    values: ValuesBuilder<'o>,
}

impl<'o> BindBuilder<'o> {
    /// Begins with the formats of the parameters (none: all text; one: for all; else one each).
    ///
    /// # Errors
    /// A NUL inside, or more than 65,535 formats; nothing was appended.
    pub fn new(
        out: &'o mut Vec<u8>,
        portal: &[u8],
        statement: &[u8],
        formats: impl IntoIterator<Item = i16>,
    ) -> Result<Self, BuildError> {
        let start = frame::begin(out, tag::BIND);
        let head = put_cstr(out, portal)
            .and_then(|()| put_cstr(out, statement))
            .and_then(|()| counted(out, formats, put_format));
        if let Err(e) = head {
            out.truncate(start);
            return Err(e);
        }
        Ok(BindBuilder { values: ValuesBuilder::new(out, start) })
    }

    /// The parameters.
    pub fn params(&mut self) -> &mut ValuesBuilder<'o> {
        &mut self.values
    }

    /// Ends with the formats of the result columns (at most 65,535).
    ///
    /// # Errors
    /// Too long or too many; nothing stays appended.
    pub fn finish(self, result_formats: impl IntoIterator<Item = i16>) -> Result<(), BuildError> {
        self.values.close(|out| counted(out, result_formats, put_format))
    }
}

fn put_format(out: &mut Vec<u8>, code: i16) {
    out.extend_from_slice(&code.to_be_bytes());
}

/// Appends a Describe.
///
/// # Errors
/// Too long, or a NUL inside; nothing was appended.
pub fn describe(out: &mut Vec<u8>, kind: Kind, name: &[u8]) -> Result<(), BuildError> {
    named(out, tag::DESCRIBE, kind, name)
}

/// Appends a Close.
///
/// # Errors
/// Too long, or a NUL inside; nothing was appended.
pub fn close(out: &mut Vec<u8>, kind: Kind, name: &[u8]) -> Result<(), BuildError> {
    named(out, tag::CLOSE, kind, name)
}

fn named(out: &mut Vec<u8>, tag: u8, kind: Kind, name: &[u8]) -> Result<(), BuildError> {
    message(out, tag, |out| {
        out.push(kind as u8);
        put_cstr(out, name)
    })
}

/// Appends an Execute; `max_rows` 0 is all rows.
///
/// # Errors
/// Too long, or a NUL inside; nothing was appended.
pub fn execute(out: &mut Vec<u8>, portal: &[u8], max_rows: i32) -> Result<(), BuildError> {
    message(out, tag::EXECUTE, |out| {
        put_cstr(out, portal)?;
        out.extend_from_slice(&max_rows.to_be_bytes());
        Ok(())
    })
}

/// Appends a CopyDone.
pub fn copy_done(out: &mut Vec<u8>) {
    frame::bare(out, tag::COPY_DONE);
}

/// Appends a CopyFail.
///
/// # Errors
/// Too long, or a NUL inside; nothing was appended.
pub fn copy_fail(out: &mut Vec<u8>, why: &[u8]) -> Result<(), BuildError> {
    message(out, tag::COPY_FAIL, |out| put_cstr(out, why))
}

/// Appends a Flush.
pub fn flush(out: &mut Vec<u8>) {
    frame::bare(out, tag::FLUSH);
}

/// Appends a Sync.
pub fn sync(out: &mut Vec<u8>) {
    frame::bare(out, tag::SYNC);
}

/// Appends a Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    frame::bare(out, tag::TERMINATE);
}
