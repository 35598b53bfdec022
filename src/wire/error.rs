//! ErrorResponse and NoticeResponse: ours to be written, the server's to be read and edited.

use super::frame;
use super::read::{MessageError, Reader};
use super::sqlstate::SqlState;

/// Longest text of one field of an error of ours, in bytes; more is cut.
pub const MAX_FIELD: usize = 64 * 1024;

/// Codes of the fields of an error or notice.
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub mod field {
    pub const SEVERITY: u8 = b'S';
    /// Severity that is never localised.
    pub const SEVERITY_RAW: u8 = b'V';
    pub const SQLSTATE: u8 = b'C';
    pub const MESSAGE: u8 = b'M';
    pub const DETAIL: u8 = b'D';
    pub const HINT: u8 = b'H';
    /// In characters from 1, in the text the client sent.
    pub const POSITION: u8 = b'P';
    /// In characters from 1, in `INTERNAL_QUERY`.
    pub const INTERNAL_POSITION: u8 = b'p';
    pub const INTERNAL_QUERY: u8 = b'q';
    /// The CONTEXT line.
    pub const CONTEXT: u8 = b'W';
    pub const SCHEMA: u8 = b's';
    pub const TABLE: u8 = b't';
    pub const COLUMN: u8 = b'c';
    pub const DATA_TYPE: u8 = b'd';
    pub const CONSTRAINT: u8 = b'n';
    pub const FILE: u8 = b'F';
    pub const LINE: u8 = b'L';
    pub const ROUTINE: u8 = b'R';
}

/// How bad it is, and by that which message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
    /// A notice that warns.
    Warning,
    /// A notice.
    Notice,
}

impl Severity {
    /// As the protocol spells it.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
        }
    }

    fn tag(self) -> u8 {
        match self {
            Severity::Error | Severity::Fatal => b'E',
            Severity::Warning | Severity::Notice => b'N',
        }
    }
}

/// An error or notice of our own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PgError {
    /// Severity.
    pub severity: Severity,
    /// Code.
    pub sqlstate: SqlState,
    /// One line, lower case, no full stop.
    pub message: String,
    /// Why.
    pub detail: Option<Box<str>>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the client's text, in characters from 1.
    pub position: Option<u32>,
    /// What was being done.
    pub context: Option<String>,
}

impl PgError {
    /// An error with a message alone.
    pub fn new(severity: Severity, sqlstate: SqlState, message: impl Into<String>) -> Self {
        PgError { severity, sqlstate, message: message.into(), detail: None, hint: None, position: None, context: None }
    }

    /// A failed statement.
    pub fn error(sqlstate: SqlState, message: impl Into<String>) -> Self {
        PgError::new(Severity::Error, sqlstate, message)
    }

    /// The end of the connection.
    pub fn fatal(sqlstate: SqlState, message: impl Into<String>) -> Self {
        PgError::new(Severity::Fatal, sqlstate, message)
    }

    /// With a detail.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a position in characters from 1.
    #[must_use]
    pub fn position(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }

    /// Appends the whole ErrorResponse or NoticeResponse. Texts are cut at a NUL and at [`MAX_FIELD`].
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = frame::begin(out, self.severity.tag());
        put(out, field::SEVERITY, Some(self.severity.name()));
        put(out, field::SEVERITY_RAW, Some(self.severity.name()));
        put(out, field::SQLSTATE, Some(self.sqlstate.0));
        put(out, field::MESSAGE, Some(&self.message));
        put(out, field::DETAIL, self.detail.as_deref());
        put(out, field::HINT, self.hint.as_deref());
        put(out, field::POSITION, self.position.map(|p| p.to_string()).as_deref());
        put(out, field::CONTEXT, self.context.as_deref());
        out.push(0);
        frame::finish(out, start).expect("a dozen fields of MAX_FIELD bytes are far below the limit");
    }

    /// The whole message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write(&mut out);
        out
    }
}

impl std::fmt::Display for PgError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.sqlstate.0)
    }
}

impl std::error::Error for PgError {}

fn put(out: &mut Vec<u8>, code: u8, text: Option<&str>) {
    let Some(text) = text else { return };
    let end = memchr::memchr(0, text.as_bytes()).unwrap_or(text.len());
    out.push(code);
    out.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(end.min(MAX_FIELD))]);
    out.push(0);
}

/// A received ErrorResponse or NoticeResponse.
#[derive(Clone, Copy)]
pub struct ErrorView<'a> {
    fields: &'a [u8],
}

impl<'a> ErrorView<'a> {
    /// # Errors
    /// The body is not a list of fields.
    pub fn parse(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(body);
        while r.u8()? != 0 {
            r.cstr()?;
        }
        r.end()?;
        Ok(ErrorView { fields: body })
    }

    /// The fields in order, as code and text.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut r = Reader::new(self.fields);
        std::iter::from_fn(move || match r.u8() {
            Ok(code) if code != 0 => r.cstr().ok().map(|text| (code, text)),
            _ => None,
        })
    }

    /// The text of the field of this code.
    pub fn field(&self, code: u8) -> Option<&'a [u8]> {
        self.fields().find(|(c, _)| *c == code).map(|(_, text)| text)
    }

    /// SQLSTATE; empty if the server gave none.
    pub fn sqlstate(&self) -> &'a [u8] {
        self.field(field::SQLSTATE).unwrap_or_default()
    }

    /// The message; empty if the server gave none.
    pub fn message(&self) -> &'a [u8] {
        self.field(field::MESSAGE).unwrap_or_default()
    }

    /// The connection ends after this error.
    pub fn is_fatal(&self) -> bool {
        let severity = self.field(field::SEVERITY_RAW).or(self.field(field::SEVERITY));
        matches!(severity, Some(b"FATAL" | b"PANIC"))
    }

    /// Position in characters from 1, in the text the server was sent.
    pub fn position(&self) -> Option<u32> {
        std::str::from_utf8(self.field(field::POSITION)?).ok()?.parse().ok()
    }

    /// Appends a message of type `tag` (that of the received one) with every field passed through `edit`.
    ///
    /// # Errors
    /// A replacement holds a NUL or makes the message too long; nothing was appended.
    pub fn rewrite<'e>(
        &self,
        out: &mut Vec<u8>,
        tag: u8,
        mut edit: impl FnMut(u8, &'a [u8]) -> Edit<'e>,
    ) -> Result<(), frame::BuildError> {
        super::build::message(out, tag, |out| {
            for (code, text) in self.fields() {
                let replaced = edit(code, text);
                let text = match &replaced {
                    Edit::Keep => text,
                    Edit::Drop => continue,
                    Edit::Replace(with) => with,
                };
                out.push(code);
                frame::put_cstr(out, text)?;
            }
            out.push(0);
            Ok(())
        })
    }
}

/// What becomes of one field of a received error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edit<'e> {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
    /// It is replaced.
    Replace(std::borrow::Cow<'e, [u8]>),
}
