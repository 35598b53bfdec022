//! The skeleton of a text: what is left when literals lose their values and comments their words.
//!
//! Texts of one skeleton have the same tokens but for the values of their literals, so one analysis serves them all,
//! save for literals whose value it depended on.

use super::lex::{Kind, Lexed, StringKind};
use super::literal::Literals;
use crate::schema::catalog::Catalog;

/// The skeleton of a text, one byte for each literal (naming its kind and, for integers, its size) and comment.
/// `None`: the text has bytes that could be taken for those.
pub(super) fn skeleton(text: &str, lexed: &Lexed, literals: &Literals, catalog: &Catalog) -> Option<Box<str>> {
    if lexed.tokens.iter().any(|t| t.kind == Kind::Other) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut comments = lexed.comments.iter().peekable();
    let mut at = 0;
    let mut cut = |out: &mut String, start: usize, end: usize, mark: char| {
        out.push_str(&text[at..start]);
        out.push(mark);
        at = end;
    };
    for literal in literals.iter() {
        while let Some(&(start, end)) = comments.next_if(|c| (c.0 as usize) < literal.span.start) {
            cut(&mut out, start as usize, end as usize, ' ');
        }
        let value = literal.value(text);
        let names_path = value.as_deref().is_some_and(|value| catalog.may_name_path(value));
        let mark = if names_path { path_mark(literal.kind) } else { mark(literal.kind, value.as_deref()) };
        cut(&mut out, literal.span.start, literal.span.end, mark);
    }
    for &(start, end) in comments {
        cut(&mut out, start as usize, end as usize, ' ');
    }
    out.push_str(&text[at..]);
    Some(out.into_boxed_str())
}

/// What may be a key of a promoted path is told from what is none, so that texts with other keys go on sharing their analyses.
fn path_mark(kind: Kind) -> char {
    match kind {
        Kind::Str(StringKind::Plain) => '\x10',
        Kind::Str(StringKind::Escape) => '\x11',
        Kind::Str(StringKind::Dollar) => '\x12',
        kind => mark(kind, None),
    }
}

/// PostgreSQL gives integers of different sizes different types.
fn mark(kind: Kind, value: Option<&str>) -> char {
    match kind {
        Kind::Int => match value.and_then(|v| v.parse::<i64>().ok()) {
            Some(n) if i32::try_from(n).is_ok() => '\x01',
            Some(_) => '\x02',
            None => '\x03',
        },
        Kind::Str(StringKind::Plain) => '\x05',
        Kind::Str(StringKind::Escape) => '\x06',
        Kind::Str(StringKind::Unicode) => '\x07',
        Kind::Str(StringKind::Bits) => '\x08',
        Kind::Str(StringKind::Hex) => '\x0e',
        Kind::Str(StringKind::Dollar) => '\x0f',
        _ => '\x04',
    }
}
