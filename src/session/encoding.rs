//! Statements in other encodings than UTF-8. Analysis reads UTF-8; what touches nothing encrypted may have letters beyond ASCII in
//! its strings and comments all the same.

use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use super::errors;
use super::own::Answer;
use crate::schema::catalog::Oid;
use crate::sql;
use crate::sql::lex::{Kind, Lexed};
use crate::sql::plan::{Analysis, Effects};
use crate::wire::error::PgError;

/// PostgreSQL's encodings in which a byte below 0x80 is ASCII wherever it stands, by how their names begin.
const KEEP_ASCII: [&str; 7] = ["LATIN", "ISO_8859", "WIN12", "WIN866", "WIN874", "KOI8", "EUC_"];

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// The text of a statement, where it is read as it stands.
    pub(super) fn readable<'t>(&self, sql: &'t [u8]) -> Option<&'t str> {
        std::str::from_utf8(sql).ok().filter(|text| text.is_ascii() || self.state.reads_utf8())
    }

    /// Whether a text that is not can be sent, and what running it may change. `None`: the client already has an error.
    pub(super) async fn judge_unreadable(&mut self, sql: &[u8], oids: &[Oid]) -> Answer<Result<Effects, PgError>> {
        if self.keeps_ascii() {
            // Each byte is a letter of its own, so that different ones stay different.
            let text: String = sql.iter().copied().map(char::from).collect();
            if names_are_ascii(&text, self.state.standard_conforming_strings) {
                match self.analyze(&text, oids).await? {
                    None => return Ok(None),
                    // The encoding may only now be known.
                    Some(Ok(Analysis::Untouched(effects))) if is_read_alike(effects) && self.keeps_ascii() => {
                        return Ok(Some(Ok(effects)));
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(Some(self.judge_unread(sql)))
    }

    /// What cannot be read can be forwarded only where nothing is encrypted.
    fn judge_unread(&self, sql: &[u8]) -> Result<Effects, PgError> {
        if self.state.view.catalog.is_plain()
            && self.state.catalog_is_current()
            && !sql::holds_ours(&String::from_utf8_lossy(sql))
        {
            let copies = sql.windows(4).any(|word| word.eq_ignore_ascii_case(b"copy"));
            return Ok(Effects { ddl: true, settings: true, turns: true, copies, ..Effects::default() });
        }
        Err(errors::client_encoding(&self.state.client_encoding))
    }

    fn keeps_ascii(&self) -> bool {
        let encoding = self.state.client_encoding.to_ascii_uppercase();
        KEEP_ASCII.iter().any(|begin| encoding.starts_with(begin))
    }
}

/// Letters beyond ASCII stand in strings and comments alone: a name could be another one than it seems.
fn names_are_ascii(text: &str, conforming: bool) -> bool {
    let is_string = |kind| matches!(kind, Kind::Str(_));
    Lexed::new(text, conforming)
        .is_ok_and(|lexed| lexed.tokens.iter().all(|token| is_string(token.kind) || token.text(text).is_ascii()))
}

/// What it does depends on no letter of it: no text in it is run or kept.
fn is_read_alike(effects: Effects) -> bool {
    let Effects { writes, transaction, settings, .. } = effects;
    effects == Effects { writes, transaction, settings, ..Effects::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_may_stand_in_strings_and_comments() {
        for text in ["SELECT 'é' /* é */ -- é", "SELECT $a$é$a$, E'\\'é', \"a\"", "SELECT 1"] {
            assert!(names_are_ascii(text, true), "{text}");
        }
        for text in ["SELECT é", "SELECT \"é\"", "SELECT 1 AS é", "SELECT a.é", "SELECT 'open é", "SELECT é$a$x$a$"]
        {
            assert!(!names_are_ascii(text, true), "{text}");
        }
        assert!(!names_are_ascii("SELECT $é$ FROM users $é$é", true));
    }
}
