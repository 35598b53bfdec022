//! What a plan says of LIKE and its kin: where patterns come from, and in which relation the values are looked at.

use std::ops::Range;
use std::sync::Arc;

use crate::schema::catalog::EncType;

/// Bytes of an envelope that no other value has: key id, type tag and nonce.
pub const IDENTITY: Range<usize> = 7..31;

/// A condition that the proxy decides value by value before the statement runs.
#[derive(Clone, Debug)]
pub struct Search {
    /// Type of the column.
    pub enc: Arc<EncType>,
    /// Names the column for errors, as `table.column`.
    pub column: String,
    /// The relation and its column, quoted. `None`: the type is approximate, and what has the terms matches.
    pub from: Option<(String, String)>,
    /// How patterns are read.
    pub looked: Looked,
    /// What is compared with.
    pub patterns: Patterns,
    /// What stands after ESCAPE.
    pub escape: Option<Pattern>,
}

/// How a pattern is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Looked {
    /// LIKE
    Like,
    /// ILIKE
    Ilike,
    /// `starts_with`, `^@`: the pattern is a prefix.
    Prefix,
}

/// ANY or ALL of several patterns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as SQL names them")]
pub enum Quantifier {
    Any,
    All,
}

/// What a value is compared with.
#[derive(Clone, Debug)]
pub enum Patterns {
    /// One pattern.
    One(Pattern),
    /// Those of `ARRAY[...]`.
    List(Quantifier, Vec<Pattern>),
    /// Those of an array, the value of this parameter.
    Array(Quantifier, usize),
}

/// Where the text of a pattern comes from.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// The value of this parameter of the plan.
    Value(usize),
    /// NULL.
    Null,
    /// Joined by `||`: NULL if any of it is.
    Joined(Vec<Pattern>),
    /// Joined by concat, which passes over NULL.
    Concat(Vec<Pattern>),
}

impl Patterns {
    /// Values that have one of the tokens are looked at, not those that have all of them.
    pub fn overlap(&self) -> bool {
        matches!(self, Patterns::List(Quantifier::Any, _) | Patterns::Array(Quantifier::Any, _))
    }
}

impl Search {
    /// The same, with other numbers for what patterns are made of.
    pub(super) fn renumbered(self, number: &impl Fn(usize) -> Option<usize>) -> Search {
        let one = |pattern: Pattern| pattern.renumbered(number);
        let patterns = match self.patterns {
            Patterns::One(pattern) => Patterns::One(one(pattern)),
            Patterns::List(quantifier, list) => Patterns::List(quantifier, list.into_iter().map(one).collect()),
            Patterns::Array(quantifier, n) => Patterns::Array(quantifier, number(n).unwrap_or(n)),
        };
        Search { patterns, escape: self.escape.map(one), ..self }
    }
}

impl Pattern {
    fn renumbered(self, number: &impl Fn(usize) -> Option<usize>) -> Pattern {
        let all = |parts: Vec<Pattern>| parts.into_iter().map(|p| p.renumbered(number)).collect();
        match self {
            Pattern::Value(n) => number(n).map_or(Pattern::Null, Pattern::Value),
            Pattern::Null => Pattern::Null,
            Pattern::Joined(parts) => Pattern::Joined(all(parts)),
            Pattern::Concat(parts) => Pattern::Concat(all(parts)),
        }
    }
}
