//! A client that sends exactly the messages it is told to and shows what comes back, one line a message.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection. Reads time out after [`super::PATIENCE`], so a missing answer fails the test instead of hanging it.
pub struct Raw {
    stream: Box<dyn Stream>,
    /// ParameterStatus as received, in order.
    pub parameters: Vec<(String, String)>,
    /// BackendKeyData: process id and key.
    pub key: Option<(u32, Vec<u8>)>,
}

/// What a connection runs over.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A message from the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub tag: u8,
    pub body: Vec<u8>,
}

/// One parameter or result value: `None` is NULL.
pub type Value<'a> = Option<&'a [u8]>;

/// Connects a TCP socket to a port of 127.0.0.1.
pub fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    stream.set_write_timeout(Some(super::PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Raw {
    /// A connection on which nothing has been sent.
    pub fn over(stream: impl Stream + 'static) -> Raw {
        Raw { stream: Box::new(stream), parameters: Vec::new(), key: None }
    }

    /// Logs in as `app` (trust) and reads up to the first ReadyForQuery.
    #[track_caller]
    pub fn connect(port: u16, database: &str) -> Raw {
        Raw::connect_with(port, database, &[])
    }

    /// As [`Raw::connect`], with more startup parameters.
    #[track_caller]
    pub fn connect_with(port: u16, database: &str, more: &[(&str, &str)]) -> Raw {
        let mut raw = Raw::over(tcp(port));
        let mut parameters = vec![("user", "app"), ("database", database)];
        parameters.extend(more);
        raw.send(&startup(0x0003_0000, &parameters));
        let answers = raw.until_ready();
        assert!(answers.iter().all(|m| m.tag != b'E'), "login failed: {answers:?}");
        raw
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// Sends bytes; the peer may have closed.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// What comes next, as much as fits.
    pub fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }

    /// The next byte, for the answer to SSLRequest and GSSENCRequest; `None` at the end of the stream.
    pub fn byte(&mut self) -> Option<u8> {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(1) => Some(byte[0]),
            _ => None,
        }
    }

    /// The next message; `None` at the end of the stream. ParameterStatus and BackendKeyData are also recorded.
    pub fn try_next(&mut self) -> Option<Message> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length.checked_sub(4)?];
        self.stream.read_exact(&mut body).ok()?;
        let message = Message { tag: head[0], body };
        self.record(&message);
        Some(message)
    }

    /// The next message, which must come.
    #[track_caller]
    pub fn next(&mut self) -> Message {
        self.try_next().expect("the server answers")
    }

    /// Messages up to and with ReadyForQuery, or to the end of the stream.
    pub fn until_ready(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.try_next() {
            let last = message.tag == b'Z';
            messages.push(message);
            if last {
                break;
            }
        }
        messages
    }

    /// Sends one message group and reads to ReadyForQuery.
    pub fn ask(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.send(bytes);
        self.until_ready()
    }

    /// Runs a simple query and returns the transcript, ParameterStatus left out.
    pub fn query(&mut self, sql: &str) -> String {
        let answers = self.ask(&query(sql));
        transcript(&answers)
    }

    /// Rows of a simple query that must succeed, as text, values joined by `|`.
    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        let answers = self.ask(&query(sql));
        assert!(answers.iter().all(|m| m.tag != b'E'), "{sql}: {}", transcript(&answers));
        answers.iter().filter(|m| m.tag == b'D').map(|m| m.to_string()[2..].to_owned()).collect()
    }

    /// SQLSTATE and message of a simple query that must fail.
    #[track_caller]
    pub fn error(&mut self, sql: &str) -> PgError {
        let answers = self.ask(&query(sql));
        answers
            .iter()
            .find_map(Message::error)
            .unwrap_or_else(|| panic!("{sql} should have failed: {}", transcript(&answers)))
    }

    fn record(&mut self, message: &Message) {
        match message.tag {
            b'S' => {
                let mut parts = message.body.split(|b| *b == 0).map(|p| String::from_utf8_lossy(p).into_owned());
                if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                    self.parameters.push((name, value));
                }
            }
            b'K' => {
                let (pid, key) = message.body.split_at(4);
                self.key = Some((u32::from_be_bytes(pid.try_into().unwrap()), key.to_vec()));
            }
            _ => {}
        }
    }
}

/// Fields of an ErrorResponse or NoticeResponse.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PgError {
    pub severity: String,
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub position: Option<usize>,
    /// All fields as they came.
    pub all: Vec<(char, String)>,
}

impl Message {
    /// The error this message reports, if it is an ErrorResponse.
    pub fn error(&self) -> Option<PgError> {
        (self.tag == b'E').then(|| self.fields())
    }

    /// Fields of an ErrorResponse or NoticeResponse.
    pub fn fields(&self) -> PgError {
        let mut error = PgError::default();
        for field in self.body.split(|b| *b == 0).filter(|f| !f.is_empty()) {
            let text = String::from_utf8_lossy(&field[1..]).into_owned();
            match field[0] {
                b'V' => error.severity.clone_from(&text),
                b'C' => error.code.clone_from(&text),
                b'M' => error.message.clone_from(&text),
                b'D' => error.detail = Some(text.clone()),
                b'H' => error.hint = Some(text.clone()),
                b'P' => error.position = text.parse().ok(),
                _ => {}
            }
            error.all.push((char::from(field[0]), text));
        }
        error
    }

    /// Values of a DataRow.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.tag, b'D');
        let mut reader = Reader(&self.body);
        let count = reader.u16();
        let values = (0..count)
            .map(|_| {
                let length = reader.u32();
                (length != u32::MAX).then(|| reader.take(length as usize).to_vec())
            })
            .collect();
        assert!(reader.0.is_empty(), "a DataRow ends with its last value");
        values
    }

    /// Columns of a RowDescription.
    pub fn columns(&self) -> Vec<Column> {
        assert_eq!(self.tag, b'T');
        let mut reader = Reader(&self.body);
        let count = reader.u16();
        let columns = (0..count)
            .map(|_| Column {
                name: reader.text(),
                table: reader.u32(),
                attribute: reader.u16(),
                oid: reader.u32(),
                length: reader.u16().cast_signed(),
                modifier: reader.u32().cast_signed(),
                format: reader.u16(),
            })
            .collect();
        assert!(reader.0.is_empty(), "a RowDescription ends with its last column");
        columns
    }

    /// OIDs of a ParameterDescription.
    pub fn oids(&self) -> Vec<u32> {
        assert_eq!(self.tag, b't');
        let mut reader = Reader(&self.body);
        (0..reader.u16()).map(|_| reader.u32()).collect()
    }
}

/// A column of a RowDescription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    pub name: String,
    pub table: u32,
    pub attribute: u16,
    pub oid: u32,
    pub length: i16,
    pub modifier: i32,
    pub format: u16,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        head
    }
    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }
    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }
    fn text(&mut self) -> String {
        let end = self.0.iter().position(|b| *b == 0).unwrap();
        let text = String::from_utf8_lossy(self.take(end)).into_owned();
        self.take(1);
        text
    }
}

/// One line: the tag and what a client would see. Table OIDs and message texts are left out, so that the
/// transcripts of an encrypted table and its plain twin can be compared.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tag = char::from(self.tag);
        match self.tag {
            b'T' => {
                write!(f, "T")?;
                self.columns()
                    .iter()
                    .try_for_each(|c| write!(f, " {}:{}:{}:{}:{}", c.name, c.oid, c.length, c.modifier, c.format))
            }
            b'D' => {
                let values: Vec<String> = self.values().iter().map(|v| show(v.as_deref())).collect();
                write!(f, "D {}", values.join("|"))
            }
            b't' => write!(f, "t {:?}", self.oids()),
            b'E' | b'N' => {
                let error = self.fields();
                write!(f, "{tag} {} {}", error.severity, error.code)
            }
            b'A' => write!(f, "A {}", show(Some(&self.body[4..]))),
            _ => write!(f, "{tag} {}", show(Some(&self.body))),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error() {
            Some(error) => write!(f, "{error:?}"),
            None => write!(f, "{self}"),
        }
    }
}

fn show(value: Value<'_>) -> String {
    match value {
        None => "∅".into(),
        Some(bytes) => match std::str::from_utf8(bytes.strip_suffix(b"\0").unwrap_or(bytes)) {
            Ok(text) if !text.contains(|c: char| c.is_control()) => text.to_owned(),
            _ => format!("\\x{}", hex::encode(bytes)),
        },
    }
}

/// Messages as lines; ParameterStatus and notices left out.
pub fn transcript(messages: &[Message]) -> String {
    let lines: Vec<String> =
        messages.iter().filter(|m| !matches!(m.tag, b'S' | b'N')).map(ToString::to_string).collect();
    lines.join("\n")
}

fn cstr(out: &mut Vec<u8>, text: &str) {
    out.extend(text.as_bytes());
    out.push(0);
}

/// A startup packet of this protocol code.
pub fn startup(code: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = code.to_be_bytes().to_vec();
    for (name, value) in parameters {
        cstr(&mut body, name);
        cstr(&mut body, value);
    }
    body.push(0);
    untagged(&body)
}

/// A packet without a tag: length and body.
pub fn untagged(body: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    out.extend(body);
    out
}

/// SSLRequest.
pub fn ssl_request() -> Vec<u8> {
    untagged(&80_877_103u32.to_be_bytes())
}

/// GSSENCRequest.
pub fn gss_request() -> Vec<u8> {
    untagged(&80_877_104u32.to_be_bytes())
}

/// CancelRequest.
pub fn cancel_request(pid: u32, key: &[u8]) -> Vec<u8> {
    let mut body = 80_877_102u32.to_be_bytes().to_vec();
    body.extend(pid.to_be_bytes());
    body.extend(key);
    untagged(&body)
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, sql);
    message(b'Q', &body)
}

/// Parse.
pub fn parse(name: &str, sql: &str, oids: &[u32]) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, name);
    cstr(&mut body, sql);
    body.extend(u16::try_from(oids.len()).unwrap().to_be_bytes());
    oids.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
    message(b'P', &body)
}

/// Bind with format lists as they are sent (empty: all text; one: for all).
pub fn bind_as(portal: &str, name: &str, formats: &[u16], values: &[Value<'_>], results: &[u16]) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, portal);
    cstr(&mut body, name);
    codes(&mut body, formats);
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            None => body.extend(u32::MAX.to_be_bytes()),
            Some(bytes) => {
                body.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
                body.extend(*bytes);
            }
        }
    }
    codes(&mut body, results);
    message(b'B', &body)
}

/// Bind with text parameters and text results.
pub fn bind(portal: &str, name: &str, values: &[Option<&str>]) -> Vec<u8> {
    let values: Vec<Value<'_>> = values.iter().map(|v| v.map(str::as_bytes)).collect();
    bind_as(portal, name, &[], &values, &[])
}

fn codes(body: &mut Vec<u8>, codes: &[u16]) {
    body.extend(u16::try_from(codes.len()).unwrap().to_be_bytes());
    codes.iter().for_each(|code| body.extend(code.to_be_bytes()));
}

/// Describe of a statement.
pub fn describe_statement(name: &str) -> Vec<u8> {
    named(b'D', b'S', name)
}

/// Describe of a portal.
pub fn describe_portal(name: &str) -> Vec<u8> {
    named(b'D', b'P', name)
}

/// Close of a statement.
pub fn close_statement(name: &str) -> Vec<u8> {
    named(b'C', b'S', name)
}

/// Close of a portal.
pub fn close_portal(name: &str) -> Vec<u8> {
    named(b'C', b'P', name)
}

fn named(tag: u8, kind: u8, name: &str) -> Vec<u8> {
    let mut body = vec![kind];
    cstr(&mut body, name);
    message(tag, &body)
}

/// Execute; 0 rows means all.
pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    let mut body = Vec::new();
    cstr(&mut body, portal);
    body.extend(rows.to_be_bytes());
    message(b'E', &body)
}

/// Flush.
pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// Terminate.
pub fn terminate() -> Vec<u8> {
    message(b'X', &[])
}

/// Any message.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend(body);
    out
}

/// Parse, Bind, Describe, Execute and Sync of the unnamed statement, with text values.
pub fn extended(sql: &str, values: &[Option<&str>]) -> Vec<u8> {
    [unsynced(sql, values), sync()].concat()
}

/// Parse, Bind and Execute of the unnamed statement, with text values.
pub fn run(sql: &str, values: &[Option<&str>]) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", values), execute("", 0)].concat()
}

/// As [`extended`], and more is to come.
pub fn unsynced(sql: &str, values: &[Option<&str>]) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", values), describe_portal(""), execute("", 0)].concat()
}

/// A statement of one value as clients may run it: described, run at once, and by a portal in steps of so many rows with results in
/// text and in binary. Each with words for it.
pub fn every_way(sql: &str, value: &str, steps: &[u32]) -> Vec<(String, Vec<u8>)> {
    let mut asked = vec![
        (format!("describe {sql}"), [parse("", sql, &[]), describe_statement(""), sync()].concat()),
        (sql.to_owned(), extended(sql, &[Some(value)])),
    ];
    for format in [0, 1] {
        let mut bytes =
            [parse("s", sql, &[]), bind_as("", "s", &[], &[Some(value.as_bytes())], &[format]), describe_portal("")]
                .concat();
        steps.iter().for_each(|rows| bytes.extend(execute("", *rows)));
        bytes.extend([close_statement("s"), sync()].concat());
        asked.push((format!("results in format {format}: {sql}"), bytes));
    }
    asked
}

/// Two portals of one statement, whose parameter is an int4, the later one run first.
pub fn two_portals(sql: &str, [one, two]: [&str; 2]) -> (String, Vec<u8>) {
    let bytes = [
        parse("j", sql, &[23]),
        bind("one", "j", &[Some(one)]),
        bind("two", "j", &[Some(two)]),
        execute("two", 0),
        execute("one", 0),
        sync(),
    ];
    (format!("two portals: {sql}"), bytes.concat())
}

/// Asks both the same and collects what differs: rows, types, tags, errors' SQLSTATE and message. Each with words for it.
#[track_caller]
pub fn same(plain: &mut Raw, sealed: &mut Raw, asked: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let mut wrong = Vec::new();
    for (what, bytes) in asked {
        let (want, got) = (transcript(&plain.ask(&bytes)), transcript(&sealed.ask(&bytes)));
        if want != got {
            wrong.push(format!("{what}\n  plain:\n{want}\n  sealed:\n{got}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// How long to wait for something that must not come.
pub const SILENCE: Duration = Duration::from_millis(300);
