//! What a plan says of LIKE and its kin, and of conditions on JSON: where patterns come from, and in which relation the values are
//! looked at.

use std::ops::Range;
use std::sync::Arc;

use crate::schema::catalog::EncType;
use crate::wire::value::{Form, PlainType};

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
    /// Of a promoted path of the column, the number.
    pub path: Option<usize>,
    /// What of the value is compared.
    pub shown: Shown,
    /// How patterns are read.
    pub looked: Looked,
    /// What is compared with.
    pub patterns: Patterns,
    /// What stands after ESCAPE.
    pub escape: Option<Pattern>,
    /// The part of a JSON document that is compared, if the values are documents.
    pub part: Option<Part>,
}

/// A part of a document.
#[derive(Clone, Debug)]
pub struct Part {
    /// The way to it; none: it is the document.
    pub steps: Vec<Step>,
    /// It is taken as a text.
    pub text: bool,
    /// The condition holds where the comparison does not.
    pub negated: bool,
    /// NULL is as good as false where the condition stands.
    pub asserted: bool,
}

/// A step of the way to a part of a document, the value of a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// `-> 'key'`
    Key(usize),
    /// `-> 1`
    Index(usize),
    /// A subscript: a key of an object, or the number of an element of an array.
    Either(usize),
    /// `#> '{a,1}'`: several of these.
    Path(usize),
    /// NULL.
    Null,
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
    /// `=`: the pattern is the value.
    Equal,
    /// `=` of documents.
    Same,
    /// `@>`
    Contains,
    /// `<@`
    Contained,
    /// `?`, and `?|` of several.
    Has,
    /// `?&`
    HasAll,
    /// `IS NOT NULL`
    Present,
    /// `@?`, `jsonb_path_exists`
    Exists,
    /// `@@`, `jsonb_path_match`
    Match,
}

/// What of a value is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// It, as one of its type.
    Value,
    /// It as a text.
    Text,
    /// That in lower or upper case.
    Cased(Form),
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
    /// Nothing.
    None,
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
    /// What lower or upper makes of another.
    Cased(Form, Box<Pattern>),
}

impl Search {
    /// The attribute that narrows it.
    pub fn term(&self) -> &'static str {
        if self.part.is_some() { "j" } else { "m" }
    }

    /// How the condition is named in errors.
    pub(super) fn construct(&self) -> &'static str {
        if self.part.is_some() { "a condition on JSON" } else { "LIKE" }
    }

    /// Texts are compared.
    pub fn is_text(&self) -> bool {
        matches!(self.looked, Looked::Like | Looked::Ilike | Looked::Prefix | Looked::Equal)
    }

    /// Values that have one of the tokens are looked at, not those that have all of them.
    pub fn overlap(&self) -> bool {
        matches!(self.patterns, Patterns::List(Quantifier::Any, _) | Patterns::Array(Quantifier::Any, _))
    }

    /// The parameters whose values the proxy keeps: the way to a part, then what it is compared with.
    pub(super) fn kept(&self) -> Vec<usize> {
        let mut kept = Vec::new();
        for step in self.part.iter().flat_map(|part| &part.steps) {
            kept.extend(match step {
                Step::Key(n) | Step::Either(n) | Step::Index(n) | Step::Path(n) => Some(*n),
                Step::Null => None,
            });
        }
        let mut patterns: Vec<&Pattern> = self.escape.iter().collect();
        match &self.patterns {
            Patterns::One(pattern) => patterns.push(pattern),
            Patterns::List(_, list) => patterns.extend(list),
            Patterns::Array(_, n) => kept.push(*n),
            Patterns::None => {}
        }
        while let Some(pattern) = patterns.pop() {
            match pattern {
                Pattern::Value(n) => kept.push(*n),
                Pattern::Null => {}
                Pattern::Joined(parts) | Pattern::Concat(parts) => patterns.extend(parts),
                Pattern::Cased(_, inner) => patterns.push(inner),
            }
        }
        kept
    }

    /// What matches is told by letters' case: the database's rules must be known.
    pub fn tells_case(&self) -> bool {
        let patterns = match &self.patterns {
            Patterns::One(pattern) => pattern.tells_case(),
            Patterns::List(_, list) => list.iter().any(Pattern::tells_case),
            Patterns::Array(..) | Patterns::None => false,
        };
        patterns || self.escape.as_ref().is_some_and(Pattern::tells_case) || self.forms().next().is_some()
    }

    /// Patterns and values are compared in lower case.
    pub fn lowers(&self) -> bool {
        let by_type = self.enc.def.plain == PlainType::Citext && self.shown == Shown::Value;
        self.looked == Looked::Ilike || (by_type && self.looked != Looked::Prefix)
    }

    /// The cases that a value is put in, one after the other.
    pub fn forms(&self) -> impl Iterator<Item = Form> {
        let shown = if let Shown::Cased(form) = self.shown { Some(form) } else { None };
        shown.into_iter().chain(self.lowers().then_some(Form::Lower))
    }

    /// The value's blanks at the end do not count, as in every text made of a bpchar.
    pub fn trims(&self) -> bool {
        let text = self.shown != Shown::Value || self.looked == Looked::Prefix;
        text && self.enc.def.plain == PlainType::Bpchar
    }

    /// The same, with other numbers for what patterns are made of.
    pub(super) fn renumbered(self, number: &impl Fn(usize) -> Option<usize>) -> Search {
        let one = |pattern: Pattern| pattern.renumbered(number);
        let patterns = match self.patterns {
            Patterns::One(pattern) => Patterns::One(one(pattern)),
            Patterns::List(quantifier, list) => Patterns::List(quantifier, list.into_iter().map(one).collect()),
            Patterns::Array(quantifier, n) => Patterns::Array(quantifier, number(n).unwrap_or(n)),
            Patterns::None => Patterns::None,
        };
        let part = self.part.map(|part| part.renumbered(number));
        Search { patterns, escape: self.escape.map(one), part, ..self }
    }
}

impl Part {
    fn renumbered(self, number: &impl Fn(usize) -> Option<usize>) -> Part {
        let steps = self.steps.into_iter().map(|step| {
            let renumbered = match step {
                Step::Key(n) => number(n).map(Step::Key),
                Step::Index(n) => number(n).map(Step::Index),
                Step::Either(n) => number(n).map(Step::Either),
                Step::Path(n) => number(n).map(Step::Path),
                Step::Null => None,
            };
            renumbered.unwrap_or(Step::Null)
        });
        Part { steps: steps.collect(), ..self }
    }
}

impl Pattern {
    fn tells_case(&self) -> bool {
        match self {
            Pattern::Value(_) | Pattern::Null => false,
            Pattern::Joined(parts) | Pattern::Concat(parts) => parts.iter().any(Pattern::tells_case),
            Pattern::Cased(..) => true,
        }
    }

    fn renumbered(self, number: &impl Fn(usize) -> Option<usize>) -> Pattern {
        let all = |parts: Vec<Pattern>| parts.into_iter().map(|p| p.renumbered(number)).collect();
        match self {
            Pattern::Value(n) => number(n).map_or(Pattern::Null, Pattern::Value),
            Pattern::Null => Pattern::Null,
            Pattern::Joined(parts) => Pattern::Joined(all(parts)),
            Pattern::Concat(parts) => Pattern::Concat(all(parts)),
            Pattern::Cased(form, inner) => Pattern::Cased(form, Box::new(inner.renumbered(number))),
        }
    }
}
