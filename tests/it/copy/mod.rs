//! COPY over encrypted columns: the same bytes, rows and errors as on a plain table.

mod arrays;
mod dump;
mod load;
mod protocol;
mod unload;

use crate::support::Twin;
use crate::support::raw::{self, Message, Raw, message, query, transcript};

/// A table with plain and encrypted columns, the first and last of which are plain.
const TABLE: &str =
    "CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, n seal.int4_eq DEFAULT NULL, p text DEFAULT 'p',
    CHECK (id < 1000));";

/// Runs COPY FROM STDIN with these CopyData messages, if the server asks for them.
fn load(raw: &mut Raw, sql: &str, pieces: &[&[u8]]) -> Vec<Message> {
    raw.send(&query(sql));
    let mut answers = Vec::new();
    loop {
        let answer = raw.next();
        let (asks, ends) = (answer.tag == b'G', answer.tag == b'Z');
        answers.push(answer);
        if ends {
            return answers;
        }
        if asks {
            break;
        }
    }
    let mut bytes: Vec<u8> = pieces.iter().flat_map(|piece| message(b'd', piece)).collect();
    bytes.extend(message(b'c', &[]));
    answers.extend(raw.ask(&bytes));
    answers
}

/// The data that COPY TO STDOUT gives.
#[track_caller]
fn unload(raw: &mut Raw, sql: &str) -> Vec<u8> {
    let answers = raw.ask(&query(sql));
    assert!(answers.iter().all(|m| m.tag != b'E'), "{sql}: {}", transcript(&answers));
    answers.iter().filter(|m| m.tag == b'd').flat_map(|m| m.body.clone()).collect()
}

/// Both sides of a twin, with the same table.
struct Pair {
    plain: Raw,
    sealed: Raw,
    twin: Twin,
}

impl Pair {
    #[track_caller]
    fn new(ddl: &str) -> Pair {
        let twin = Twin::start();
        twin.create(ddl);
        let (plain, sealed) = twin.raw();
        Pair { plain, sealed, twin }
    }

    /// Loads both and compares what is answered; what the sealed side said.
    #[track_caller]
    fn load(&mut self, sql: &str, pieces: &[&[u8]]) -> Vec<Message> {
        let expected = load(&mut self.plain, sql, pieces);
        let answers = load(&mut self.sealed, sql, pieces);
        let shown: Vec<String> = pieces.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(transcript(&answers), transcript(&expected), "{sql}: {shown:?}\n{answers:?}\n{expected:?}");
        answers
    }

    /// Loads the data in one piece and empties the tables; then byte by byte.
    #[track_caller]
    fn load_both_ways(&mut self, sql: &str, data: &str) {
        self.load(sql, &[data.as_bytes()]);
        self.take_rows();
        let bytes: Vec<&[u8]> = data.as_bytes().chunks(1).collect();
        self.load(sql, &bytes);
    }

    /// Asks both and compares.
    #[track_caller]
    fn same(&mut self, sql: &str) -> String {
        let (expected, got) = (self.plain.query(sql), self.sealed.query(sql));
        assert_eq!(got, expected, "{sql}");
        got
    }

    /// The rows of both, which must be the same; empties the tables.
    #[track_caller]
    fn take_rows(&mut self) -> Vec<String> {
        let sql = "SELECT * FROM t ORDER BY id";
        let (expected, rows) = (self.plain.rows(sql), self.sealed.rows(sql));
        assert_eq!(rows, expected);
        self.same("TRUNCATE t");
        rows
    }
}

/// The field of this code in the error among the answers.
fn field(answers: &[Message], code: char) -> Option<String> {
    let error = answers.iter().find_map(raw::Message::error)?;
    error.all.into_iter().find(|(c, _)| *c == code).map(|(_, text)| text)
}
