//! Statements of the client's that are run as several.

use super::plan::{Piece, Template};

/// What runs with a plan's executed form, within the same transaction, so that all of it is one statement to the client.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Steps {
    /// Statements that run before it.
    pub before: Vec<String>,
    /// Statements that run after it.
    pub after: Vec<String>,
    /// What the client is told at the end.
    pub tag: &'static str,
}

impl Template {
    /// A text that depends on nothing.
    pub(super) fn fixed(text: String) -> Template {
        Template { pieces: vec![Piece::Text { text, source: 0, copied: false }] }
    }
}
