//! A plan's template and one text's literals make the statement that is sent.

use super::literal::Literals;
use super::plan::{Piece, Template};

/// A statement ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its text.
    pub sql: String,
    /// From places in it to places in the client's statement.
    pub positions: PositionMap,
}

/// Maps error positions of the sent text to the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PositionMap {
    entries: Vec<Entry>,
}

/// From here on (characters from 0, in the sent text) stands what stood there in the client's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    sent: u32,
    client: u32,
    copied: bool,
}

impl PositionMap {
    /// Position in the client's statement of a position in the sent text. Both count characters from 1, as
    /// PostgreSQL's error field does; for a statement among several, add the characters before its span.
    pub fn to_client(&self, position: u32) -> Option<u32> {
        let sent = position.checked_sub(1)?;
        let entry = self.entries[..self.entries.partition_point(|e| e.sent <= sent)].last()?;
        let ahead = if entry.copied { sent - entry.sent } else { 0 };
        Some(entry.client + ahead + 1)
    }
}

impl Template {
    /// The statement for this text (the statement's span of the client's text) with these literals of it.
    pub fn render(&self, text: &str, literals: &Literals) -> Rendered {
        let mut sql = String::with_capacity(text.len() + 64 + self.pieces.len() * 8);
        let mut entries = Vec::with_capacity(self.pieces.len());
        let mut client = Chars::new(text);
        let mut sent = 0u32;
        for piece in &self.pieces {
            let (part, start, copied) = match piece {
                Piece::Text { text: part, source, copied } => (part.as_str(), literals.locate(*source as u32), *copied),
                Piece::Literal(k) => match literals.get(*k) {
                    Some(literal) => (&text[literal.span.clone()], literal.span.start, true),
                    None => continue,
                },
            };
            entries.push(Entry { sent, client: client.before(start), copied });
            sql.push_str(part);
            sent += if part.is_ascii() { part.len() } else { part.chars().count() } as u32;
        }
        Rendered { sql, positions: PositionMap { entries } }
    }
}

/// Counts characters before byte offsets that mostly grow.
struct Chars<'t> {
    text: &'t str,
    ascii: bool,
    byte: usize,
    chars: u32,
}

impl<'t> Chars<'t> {
    fn new(text: &'t str) -> Self {
        Chars { text, ascii: text.is_ascii(), byte: 0, chars: 0 }
    }

    fn before(&mut self, byte: usize) -> u32 {
        let byte = byte.min(self.text.len());
        if self.ascii {
            return byte as u32;
        }
        if byte < self.byte {
            (self.byte, self.chars) = (0, 0);
        }
        self.chars += self.text.as_bytes()[self.byte..byte].iter().filter(|b| (**b & 0xc0) != 0x80).count() as u32;
        self.byte = byte;
        self.chars
    }
}
