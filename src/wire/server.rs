//! Messages from the server: views of what arrives, builders of what goes to the client.

use super::build::{ValuesBuilder, counted, message};
use super::frame::{self, BuildError, put_cstr};
use super::read::{Formats, MessageError, Oids, Reader, Values};

/// Type bytes.
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub mod tag {
    pub const AUTHENTICATION: u8 = b'R';
    pub const BACKEND_KEY_DATA: u8 = b'K';
    pub const BIND_COMPLETE: u8 = b'2';
    pub const CLOSE_COMPLETE: u8 = b'3';
    pub const COMMAND_COMPLETE: u8 = b'C';
    pub const COPY_BOTH_RESPONSE: u8 = b'W';
    pub const COPY_DATA: u8 = b'd';
    pub const COPY_DONE: u8 = b'c';
    pub const COPY_IN_RESPONSE: u8 = b'G';
    pub const COPY_OUT_RESPONSE: u8 = b'H';
    pub const DATA_ROW: u8 = b'D';
    pub const EMPTY_QUERY_RESPONSE: u8 = b'I';
    pub const ERROR_RESPONSE: u8 = b'E';
    pub const FUNCTION_CALL_RESPONSE: u8 = b'V';
    pub const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';
    pub const NO_DATA: u8 = b'n';
    pub const NOTICE_RESPONSE: u8 = b'N';
    pub const NOTIFICATION_RESPONSE: u8 = b'A';
    pub const PARAMETER_DESCRIPTION: u8 = b't';
    pub const PARAMETER_STATUS: u8 = b'S';
    pub const PARSE_COMPLETE: u8 = b'1';
    pub const PORTAL_SUSPENDED: u8 = b's';
    pub const READY_FOR_QUERY: u8 = b'Z';
    pub const ROW_DESCRIPTION: u8 = b'T';
}

/// One column of a RowDescription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Column name.
    pub name: &'a [u8],
    /// Its table, or 0.
    pub table_oid: u32,
    /// Its attribute number in that table, or 0.
    pub attnum: i16,
    /// Type.
    pub type_oid: u32,
    /// `pg_type.typlen`.
    pub typlen: i16,
    /// Type modifier, or -1.
    pub typmod: i32,
    /// 0 text, 1 binary; 0 where a statement is described.
    pub format: i16,
}

impl<'a> Field<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, MessageError> {
        Ok(Field {
            name: r.cstr()?,
            table_oid: r.u32()?,
            attnum: r.i16()?,
            type_oid: r.u32()?,
            typlen: r.i16()?,
            typmod: r.i32()?,
            format: r.format()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        put_cstr(out, self.name)?;
        out.extend_from_slice(&self.table_oid.to_be_bytes());
        out.extend_from_slice(&self.attnum.to_be_bytes());
        out.extend_from_slice(&self.type_oid.to_be_bytes());
        out.extend_from_slice(&self.typlen.to_be_bytes());
        out.extend_from_slice(&self.typmod.to_be_bytes());
        out.extend_from_slice(&self.format.to_be_bytes());
        Ok(())
    }
}

/// `T`.
#[derive(Clone, Copy)]
pub struct RowDescription<'a> {
    count: u16,
    fields: &'a [u8],
}

impl<'a> RowDescription<'a> {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let count = r.u16()?;
        let fields = r.rest();
        for _ in 0..count {
            Field::read(&mut r)?;
        }
        r.end()?;
        Ok(RowDescription { count, fields })
    }

    /// Columns.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// No columns.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The columns in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let mut r = Reader::new(self.fields);
        (0..self.count).map_while(move |_| Field::read(&mut r).ok())
    }
}

/// `t`: the types of a statement's parameters.
pub struct ParameterDescription;

impl ParameterDescription {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &[u8]) -> Result<Oids<'_>, MessageError> {
        let mut r = Reader::new(body);
        let oids = r.oids()?;
        r.end()?;
        Ok(oids)
    }
}

/// `D`: a row.
pub struct DataRow;

impl DataRow {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &[u8]) -> Result<Values<'_>, MessageError> {
        let mut r = Reader::new(body);
        let values = r.values()?;
        r.end()?;
        Ok(values)
    }
}

/// `G`, `H` or `W`.
#[derive(Clone, Copy)]
pub struct CopyResponse<'a> {
    /// The whole COPY is binary.
    pub binary: bool,
    /// One for each column.
    pub formats: Formats<'a>,
}

impl<'a> CopyResponse<'a> {
    /// # Errors
    /// The body is not as the protocol says.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let binary = match r.u8()? {
            0 => false,
            1 => true,
            other => return Err(MessageError::Subtype(other)),
        };
        let formats = r.formats()?;
        r.end()?;
        Ok(CopyResponse { binary, formats })
    }
}

/// `C`: the command tag.
///
/// # Errors
/// The body is not exactly one string.
pub fn command_complete(body: &[u8]) -> Result<&[u8], MessageError> {
    let mut r = Reader::new(body);
    let tag = r.cstr()?;
    r.end()?;
    Ok(tag)
}

/// Transaction state that ReadyForQuery reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TransactionStatus {
    /// Outside a transaction.
    Idle = b'I',
    /// In a transaction.
    InTransaction = b'T',
    /// In a transaction that failed.
    Failed = b'E',
}

/// `Z`.
///
/// # Errors
/// The body is not one known status.
pub fn ready_for_query(body: &[u8]) -> Result<TransactionStatus, MessageError> {
    match body {
        b"I" => Ok(TransactionStatus::Idle),
        b"T" => Ok(TransactionStatus::InTransaction),
        b"E" => Ok(TransactionStatus::Failed),
        [] => Err(MessageError::Truncated),
        [other] => Err(MessageError::Subtype(*other)),
        _ => Err(MessageError::Trailing),
    }
}

/// `S`: name and value of a setting.
///
/// # Errors
/// The body is not exactly two strings.
pub fn parameter_status(body: &[u8]) -> Result<(&[u8], &[u8]), MessageError> {
    let mut r = Reader::new(body);
    let pair = (r.cstr()?, r.cstr()?);
    r.end()?;
    Ok(pair)
}

/// `K`.
#[derive(Clone, Copy)]
pub struct BackendKeyData<'a> {
    /// The server process.
    pub pid: u32,
    /// What a cancel request must show: 4 bytes in protocol 3.0, up to [`MAX_CANCEL_KEY`] in 3.2.
    pub key: &'a [u8],
}

/// Longest cancel key of protocol 3.2, in bytes.
pub const MAX_CANCEL_KEY: usize = 256;

impl<'a> BackendKeyData<'a> {
    /// # Errors
    /// No process number, or a key shorter than 4 or longer than [`MAX_CANCEL_KEY`] bytes.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        let pid = r.u32()?;
        match r.rest() {
            key if key.len() < 4 => Err(MessageError::Truncated),
            key if key.len() > MAX_CANCEL_KEY => Err(MessageError::Trailing),
            key => Ok(BackendKeyData { pid, key }),
        }
    }
}

/// Appends a RowDescription.
///
/// # Errors
/// A name holds a NUL, too many columns, too long; nothing was appended.
pub fn row_description<'a>(out: &mut Vec<u8>, fields: impl IntoIterator<Item = Field<'a>>) -> Result<(), BuildError> {
    message(out, tag::ROW_DESCRIPTION, |out| {
        let mut outcome = Ok(());
        counted(out, fields, |out, field| {
            if outcome.is_ok() {
                outcome = field.write(out);
            }
        })?;
        outcome
    })
}

/// Appends a ParameterDescription.
///
/// # Errors
/// More than 65,535 types; nothing was appended.
pub fn parameter_description(out: &mut Vec<u8>, oids: impl IntoIterator<Item = u32>) -> Result<(), BuildError> {
    message(out, tag::PARAMETER_DESCRIPTION, |out| {
        counted(out, oids, |out, oid| out.extend_from_slice(&oid.to_be_bytes()))
    })
}

/// Builds a DataRow: [`DataRowBuilder::new`], the values, [`DataRowBuilder::finish`]. Dropped unfinished,
/// it takes back everything it wrote.
pub struct DataRowBuilder<'o> {
    values: ValuesBuilder<'o>,
}

impl<'o> DataRowBuilder<'o> {
    /// Begins a row.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        let start = frame::begin(out, tag::DATA_ROW);
        DataRowBuilder { values: ValuesBuilder::new(out, start) }
    }

    /// The values.
    pub fn values(&mut self) -> &mut ValuesBuilder<'o> {
        &mut self.values
    }

    /// Ends the row.
    ///
    /// # Errors
    /// Too long or more than 65,535 values; nothing stays appended.
    pub fn finish(self) -> Result<(), BuildError> {
        self.values.close(|_| Ok(()))
    }
}

/// Appends a CommandComplete.
///
/// # Errors
/// The tag holds a NUL or is too long; nothing was appended.
pub fn put_command_complete(out: &mut Vec<u8>, command: &[u8]) -> Result<(), BuildError> {
    message(out, tag::COMMAND_COMPLETE, |out| put_cstr(out, command))
}

/// Appends a ParameterStatus.
///
/// # Errors
/// A NUL inside, or too long; nothing was appended.
pub fn put_parameter_status(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), BuildError> {
    message(out, tag::PARAMETER_STATUS, |out| {
        put_cstr(out, name)?;
        put_cstr(out, value)
    })
}

/// Appends a ReadyForQuery.
pub fn put_ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    out.extend_from_slice(&[tag::READY_FOR_QUERY, 0, 0, 0, 5, status as u8]);
}

/// Appends a ParseComplete.
pub fn parse_complete(out: &mut Vec<u8>) {
    frame::bare(out, tag::PARSE_COMPLETE);
}

/// Appends a BindComplete.
pub fn bind_complete(out: &mut Vec<u8>) {
    frame::bare(out, tag::BIND_COMPLETE);
}

/// Appends a CloseComplete.
pub fn close_complete(out: &mut Vec<u8>) {
    frame::bare(out, tag::CLOSE_COMPLETE);
}

/// Appends a NoData.
pub fn no_data(out: &mut Vec<u8>) {
    frame::bare(out, tag::NO_DATA);
}

/// Appends an EmptyQueryResponse.
pub fn empty_query_response(out: &mut Vec<u8>) {
    frame::bare(out, tag::EMPTY_QUERY_RESPONSE);
}
