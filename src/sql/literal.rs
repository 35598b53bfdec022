//! Literal tokens of a text and their values.

use std::borrow::Cow;
use std::ops::Range;

use super::lex::{Kind, Lexed, StringKind, Token};

/// A literal token (string or number) of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Literal {
    /// Bytes it stands in.
    pub span: Range<usize>,
    /// Class of the token.
    pub kind: Kind,
    /// Offset in the skeleton: the text with every literal and comment taken for one byte.
    pub(super) skeleton: u32,
}

/// Literals of one statement's text, numbered as [`Piece::Literal`](super::plan::Piece::Literal) and
/// [`Source::Literal`](super::plan::Source::Literal) number them.
#[derive(Clone, Debug, Default)]
pub struct Literals {
    /// In order of the text.
    pub list: Vec<Literal>,
    /// Skeleton offset after each comment, and the text offset there.
    pub(super) comments: Vec<(u32, u32)>,
}

/// The literals of one statement's text (`text[statement.span]` when a text has several). A text that cannot be
/// read has none.
pub fn literals(text: &str) -> Literals {
    Lexed::new(text, true).map(|lexed| Literals::of(&lexed)).unwrap_or_default()
}

impl Literals {
    pub(super) fn of(lexed: &Lexed) -> Literals {
        let mut out = Literals::default();
        let mut cut = 0u32; // bytes of the text that the skeleton lacks so far
        let mut comments = lexed.comments.iter().peekable();
        for token in lexed.tokens.iter().filter(|t| t.is_literal()) {
            while let Some(&&(start, end)) = comments.peek().filter(|c| c.0 < token.start) {
                cut += end - start - 1;
                out.comments.push((end - cut, end));
                comments.next();
            }
            let skeleton = token.start - cut;
            out.list.push(Literal { span: token.start as usize..token.end as usize, kind: token.kind, skeleton });
            cut += token.end - token.start - 1;
        }
        for &(start, end) in comments {
            cut += end - start - 1;
            out.comments.push((end - cut, end));
        }
        out
    }

    /// Byte offset in the text of a skeleton offset.
    pub(super) fn locate(&self, skeleton: u32) -> usize {
        let literal = self.list.partition_point(|l| l.skeleton < skeleton);
        let comment = self.comments.partition_point(|c| c.0 <= skeleton);
        let from_literal = literal.checked_sub(1).map(|i| (self.list[i].skeleton + 1, self.list[i].span.end as u32));
        let from_comment = comment.checked_sub(1).map(|i| self.comments[i]);
        let (base, text) = from_literal.max(from_comment).unwrap_or((0, 0));
        (text + (skeleton - base.min(skeleton))) as usize
    }
}

impl std::ops::Deref for Literals {
    type Target = [Literal];

    fn deref(&self) -> &[Literal] {
        &self.list
    }
}

impl Literal {
    /// The value as text: what `'…'` means, or the number as written (without underscores).
    ///
    /// `None`: an escape that PostgreSQL would refuse too.
    pub fn value<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        raw_value(&text[self.span.clone()], self.kind)
    }
}

/// The value of a literal token.
pub(super) fn value<'t>(text: &'t str, token: &Token) -> Option<Cow<'t, str>> {
    raw_value(token.text(text), token.kind)
}

fn raw_value(raw: &str, kind: Kind) -> Option<Cow<'_, str>> {
    match kind {
        Kind::Int => integer(raw),
        Kind::Float => Some(without(raw, '_')),
        Kind::Str(StringKind::Dollar) => {
            let tag = raw[1..].find('$')? + 2;
            Some(Cow::Borrowed(&raw[tag..raw.len() - tag]))
        }
        Kind::Str(kind) => string(raw, kind),
        _ => None,
    }
}

fn without(raw: &str, c: char) -> Cow<'_, str> {
    if raw.contains(c) { Cow::Owned(raw.replace(c, "")) } else { Cow::Borrowed(raw) }
}

fn integer(raw: &str) -> Option<Cow<'_, str>> {
    let clean = without(raw, '_');
    let radix = match clean.as_bytes().get(1) {
        Some(b'x' | b'X') => 16,
        Some(b'o' | b'O') => 8,
        Some(b'b' | b'B') => 2,
        _ => return Some(clean),
    };
    u128::from_str_radix(&clean[2..], radix).ok().map(|n| Cow::Owned(n.to_string()))
}

/// Pieces between quotes of a string token, continuations joined.
fn string(raw: &str, kind: StringKind) -> Option<Cow<'_, str>> {
    let open = raw.find('\'')?;
    let bytes = raw.as_bytes();
    let plain = !matches!(kind, StringKind::Escape | StringKind::Unicode);
    let inner = &raw[open + 1..raw.len() - 1];
    if !inner.contains('\'') && (plain || !inner.contains('\\')) {
        return Some(Cow::Borrowed(inner));
    }
    let mut joined = Vec::with_capacity(raw.len());
    let mut at = open + 1;
    loop {
        let b = *bytes.get(at)?;
        match b {
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => {
                joined.push(b'\'');
                at += 2;
            }
            b'\'' => match reopen(bytes, at + 1) {
                Some(next) => at = next,
                None => break,
            },
            b'\\' if kind == StringKind::Escape => at = super::escape::backslash(bytes, at, &mut joined)?,
            b'\\' if kind == StringKind::Unicode => at = super::escape::unicode(bytes, at, &mut joined)?,
            _ => {
                joined.push(b);
                at += 1;
            }
        }
    }
    String::from_utf8(joined).ok().map(Cow::Owned)
}

/// After a closing quote inside one token: where the continuation's content begins.
fn reopen(bytes: &[u8], mut at: usize) -> Option<usize> {
    while at < bytes.len() {
        match bytes[at] {
            b'\'' => return Some(at + 1),
            b'-' => at += bytes[at..].iter().position(|b| matches!(b, b'\n' | b'\r'))?,
            _ => at += 1,
        }
    }
    None
}
