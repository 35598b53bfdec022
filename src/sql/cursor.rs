//! Cursors declared by SQL, and FETCH from them.
//!
//! DECLARE takes parameters as its query does. Its described form is the query alone, since PostgreSQL describes no DECLARE.

use pg_query::NodeEnum;
use pg_query::protobuf::{DeclareCursorStmt, FetchStmt};

use super::analyzer::Analyzer;
use super::plan::Template;
use super::refuse::{self, Result};
use super::rewrite::Edits;
use super::statement::Outcome;
use super::tree;
use crate::wire::sqlstate::SqlState;

/// Bits of [`DeclareCursorStmt::options`].
const BINARY: i32 = 0x1;
const HOLD: i32 = 0x20;

/// A cursor that a statement declares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Its name.
    pub name: String,
    /// BINARY: a simple FETCH gives its rows in binary.
    pub binary: bool,
    /// WITH HOLD: it outlives its transaction.
    pub hold: bool,
}

/// A FETCH.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The cursor's name.
    pub cursor: String,
    /// The statement as it is.
    pub executed: Template,
}

impl Analyzer<'_> {
    /// DECLARE of a cursor over encrypted columns.
    pub(super) fn declare_cursor(&mut self, declare: &DeclareCursorStmt) -> Result<Outcome> {
        let Some(NodeEnum::SelectStmt(select)) = tree::child(&declare.query).and_then(tree::kind) else {
            return Err(refuse::unsupported("DECLARE CURSOR for this kind of statement is not supported"));
        };
        // DECLARE name ... CURSOR ... FOR query. The name may be any of these words.
        let after = |from: usize, word: &str| (from..self.lexed.tokens.len()).find(|&i| self.is_word(i, word));
        let query = after(2, "cursor").and_then(|cursor| after(cursor + 1, "for")).map(|at| at + 1);
        let Some(query) = query.and_then(|token| self.lexed.tokens.get(token)) else {
            return Err(refuse::with(SqlState::INTERNAL_ERROR, "the query of DECLARE was not found"));
        };
        self.edits.each((0, query.start), Some("".into()), None);
        self.select(select, None, true)?;
        Ok(Outcome::Cursor(Cursor {
            name: declare.portalname.clone(),
            binary: declare.options & BINARY != 0,
            hold: declare.options & HOLD != 0,
        }))
    }

    /// FETCH: whether its cursor is one of encrypted columns is known to the session alone.
    pub(super) fn fetch(&mut self, fetch: &FetchStmt) -> Result<Outcome> {
        let (_, executed) = Edits::default().templates(self.text, self.lexed)?;
        Ok(Outcome::Fetch(Fetch { cursor: fetch.portalname.clone(), executed }))
    }
}
