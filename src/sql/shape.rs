//! The shape of a statement, for audit: what is left when every value is taken out of it.
//!
//! Literals, `TRUE` and `FALSE`, and parameters become `?`; a sign before a number goes with it; comments go; words are in
//! small letters; lists of the same items are shortened, so that their length does not matter. Names stay: of tables, columns,
//! functions and labels.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest, Sha256};

use super::lex::{Kind, Lexed, Token};

/// Stands for a value.
const VALUE: &str = "?";
/// Stands for more items like the one before.
const MORE: &str = "...";

/// Key words after which `-` and `+` are signs, beside those of every clause that ends in an operator or a parenthesis.
const BEFORE_A_SIGN: [&str; 34] = [
    "all",
    "and",
    "any",
    "as",
    "between",
    "by",
    "case",
    "default",
    "distinct",
    "else",
    "fetch",
    "first",
    "for",
    "from",
    "having",
    "ilike",
    "in",
    "is",
    "like",
    "limit",
    "next",
    "not",
    "offset",
    "on",
    "or",
    "return",
    "returning",
    "select",
    "set",
    "some",
    "then",
    "to",
    "when",
    "where",
];

/// A statement without its values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Of the whole text, the same in every process.
    pub id: ShapeId,
    /// At most 1 KiB of it.
    pub text: Box<str>,
}

/// The first eight bytes of the SHA-256 of a shape's text; printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ShapeId(pub [u8; 8]);

impl fmt::Display for ShapeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Shape {
    /// Longest text that a shape keeps, in bytes. The id is of the whole text.
    pub const MAX_TEXT: usize = 1024;

    /// The shape of one statement's text. One that cannot be read has the shape of an empty text. `conforming`:
    /// standard_conforming_strings, as the server reads the text.
    pub fn of(text: &str, conforming: bool) -> Shape {
        Shape::read(text, Lexed::new(text, conforming).unwrap_or_default())
    }

    /// As [`of`](Self::of), where the setting is not known any more. A text in which it decides where strings end has the
    /// shape of an empty text: what is a name by one reading is a value by the other.
    pub fn of_any(text: &str) -> Shape {
        Shape::read(text, Lexed::new(text, true).ok().filter(|lexed| lexed.is_sure(text)).unwrap_or_default())
    }

    fn read(text: &str, lexed: Lexed) -> Shape {
        let whole = joined(&pieces(text, &lexed.tokens));
        let digest = Sha256::digest(whole.as_bytes());
        let id = ShapeId(*digest.first_chunk().expect("a digest has 32 bytes"));
        let end = (0..=Self::MAX_TEXT.min(whole.len())).rev().find(|&at| whole.is_char_boundary(at)).unwrap_or(0);
        Shape { id, text: whole[..end].into() }
    }
}

/// What stands for each token, lists shortened.
fn pieces<'t>(text: &'t str, tokens: &[Token]) -> Vec<Cow<'t, str>> {
    let mut out: Pieces<'t> = Pieces::default();
    for (index, token) in tokens.iter().enumerate() {
        let piece = match token.kind {
            Kind::Str(_) | Kind::Int | Kind::Float | Kind::Param => Cow::Borrowed(VALUE),
            Kind::Word if token.is_word(text, "true") || token.is_word(text, "false") => Cow::Borrowed(VALUE),
            Kind::Word => Cow::Owned(token.text(text).to_lowercase()),
            Kind::Quoted | Kind::UnicodeQuoted | Kind::Punct => Cow::Borrowed(token.text(text)),
            Kind::Op if is_sign(text, tokens, index) => continue,
            Kind::Op => Cow::Borrowed(token.text(text)),
            Kind::Other => continue,
        };
        out.push(piece);
    }
    out.pieces
}

/// The token is the sign of the number after it: part of a value.
fn is_sign(text: &str, tokens: &[Token], index: usize) -> bool {
    let is_minus = |token: &Token| token.kind == Kind::Op && matches!(token.text(text), "-" | "+");
    let mut after = tokens[index..].iter().skip_while(|token| is_minus(token));
    if !is_minus(&tokens[index]) || !after.next().is_some_and(|token| matches!(token.kind, Kind::Int | Kind::Float)) {
        return false;
    }
    let Some(before) = index.checked_sub(1).map(|i| &tokens[i]) else { return true };
    match before.kind {
        Kind::Op => true,
        Kind::Punct => !matches!(before.text(text), ")" | "]"),
        Kind::Word => BEFORE_A_SIGN.iter().any(|word| before.is_word(text, word)),
        _ => false,
    }
}

/// Pieces so far, with what is needed to shorten lists.
#[derive(Default)]
struct Pieces<'t> {
    pieces: Vec<Cow<'t, str>>,
    /// Where the parentheses that are open begin, and the ones that were closed last within each.
    open: Vec<(usize, Option<(usize, usize)>)>,
    /// The parentheses that were closed last outside of all: first and last piece.
    outside: Option<(usize, usize)>,
}

impl<'t> Pieces<'t> {
    fn push(&mut self, piece: Cow<'t, str>) {
        self.pieces.push(piece);
        let last = self.pieces.len() - 1;
        match &*self.pieces[last] {
            "(" => self.open.push((last, None)),
            ")" => self.close(),
            VALUE => self.shorten(last, |pieces, end| (pieces[end] == VALUE).then_some(end)),
            _ => {}
        }
    }

    fn close(&mut self) {
        let Some((start, _)) = self.open.pop() else { return };
        let last = self.pieces.len() - 1;
        let closed = self.open.last().map_or(self.outside, |(_, closed)| *closed);
        let same = closed.filter(|&(first, end)| end < start && self.pieces[first..=end] == self.pieces[start..]);
        self.shorten(start, |_, end| same.filter(|same| same.1 == end).map(|same| same.0));
        // A group that was taken away leaves the one before as the last.
        if self.pieces.len() > last {
            let closed = self.open.last_mut().map_or(&mut self.outside, |(_, closed)| closed);
            *closed = Some((start, last));
        }
    }

    /// Takes away the item that begins at `start` and ends the pieces, if the same item stands before it: `item , item`, or
    /// `item , ... , item`. `same`: whether an item that ends there is the same.
    fn shorten(&mut self, start: usize, same: impl Fn(&[Cow<'t, str>], usize) -> Option<usize>) {
        let is = |at: Option<usize>, what: &str| at.is_some_and(|at| self.pieces[at] == what);
        let comma = start.checked_sub(1);
        if !is(comma, ",") {
            return;
        }
        let end = start.checked_sub(2);
        let shortened = is(end, MORE);
        let item = if shortened { start.checked_sub(4) } else { end };
        if item.and_then(|end| same(&self.pieces, end)).is_none() {
            return;
        }
        self.pieces.truncate(start - usize::from(shortened));
        if !shortened {
            self.pieces.push(Cow::Borrowed(MORE));
        }
    }
}

/// Pieces as one text.
fn joined(pieces: &[Cow<'_, str>]) -> String {
    let mut out = String::new();
    let mut glue = true;
    for piece in pieces {
        let closes = matches!(&**piece, "," | ")" | "]" | ";" | "." | "::" | ":" | "[");
        if !glue && !closes {
            out.push(' ');
        }
        out.push_str(piece);
        glue = matches!(&**piece, "(" | "[" | "." | "::" | ":");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        Shape::of(text, true).text.into()
    }

    /// No form of a value stays, whatever way it is written.
    #[test]
    fn values_are_taken_out_in_every_form() {
        for (text, left) in [
            ("SELECT e FROM t WHERE e = 'secret'", "select e from t where e = ?"),
            ("select  E from T where e='it''s secret'", "select e from t where e = ?"),
            (r"SELECT e FROM t WHERE e = E'se\'cret\\'", "select e from t where e = ?"),
            (r"SELECT e FROM t WHERE e = U&'secret\0041'", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e = $$secret$$", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e = $tag$ $$ secret $tag$", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e = 'sec'\n   'ret'", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e = B'1010' OR e = X'5ec7e7'", "select e from t where e = ? or e = ?"),
            ("SELECT e FROM t WHERE e = $1", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e = 4111", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e = 0x4111 -- secret", "select e from t where e = ?"),
            ("SELECT e /* secret /* nested */ */ FROM t", "select e from t"),
            ("SELECT e FROM t WHERE e = -4111.5e-3", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e = - 4111", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e = - - 4111", "select e from t where e = ?"),
            ("SELECT e FROM t WHERE e IN (-1)", "select e from t where e in (?)"),
            ("SELECT -1, +2", "select ?, ..."),
            ("SELECT e FROM t WHERE e = TRUE OR e = False", "select e from t where e = ? or e = ?"),
            ("SELECT e FROM t WHERE e = '2020-01-01'::date", "select e from t where e = ?::date"),
            ("SELECT e FROM t WHERE e = DATE '2020-01-01'", "select e from t where e = date ?"),
            (
                "UPDATE t SET e = -5, f = id - 5 WHERE g BETWEEN -1 AND -2",
                "update t set e = ?, f = id - ? where g between ? and ?",
            ),
            ("SELECT e FROM t WHERE e = '?' AND f = '...'", "select e from t where e = ? and f = ?"),
        ] {
            assert_eq!(shape(text), left, "{text}");
        }
    }

    #[test]
    fn the_length_of_lists_does_not_matter() {
        for (text, left) in [
            ("SELECT e FROM t WHERE e IN ('a')", "select e from t where e in (?)"),
            ("SELECT e FROM t WHERE e IN ('a', 'b')", "select e from t where e in (?, ...)"),
            ("SELECT e FROM t WHERE e IN ('a', $1, 3, 'd')", "select e from t where e in (?, ...)"),
            ("SELECT e FROM t WHERE e = ANY(ARRAY['a','b'])", "select e from t where e = any (array[?, ...])"),
            ("INSERT INTO t (a, b) VALUES (1, 'x')", "insert into t (a, b) values (?, ...)"),
            ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')", "insert into t (a, b) values (?, ...), ..."),
            ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, 'z')", "insert into t (a, b) values (?, ...), ..."),
            (
                "INSERT INTO t VALUES (DEFAULT, f(1)), (DEFAULT, f(2)), (DEFAULT, f(3))",
                "insert into t values (default, f (?)), ...",
            ),
            ("INSERT INTO t VALUES (1, DEFAULT), (DEFAULT, 2)", "insert into t values (?, default), (default, ?)"),
            ("SELECT f(1), f(2) FROM t", "select f (?), f (?) from t"),
            ("SELECT a, a FROM t", "select a, a from t"),
        ] {
            assert_eq!(shape(text), left, "{text}");
        }
    }

    #[test]
    fn where_strings_end_is_as_the_server_reads_it() {
        let text = r"SELECT e FROM t WHERE e = 'a\' OR secret = \'b'";
        assert_eq!(&*Shape::of(text, false).text, "select e from t where e = ?");
        assert_eq!(&*Shape::of_any(text).text, "");
        for sure in [r"SELECT '\d+', E'it\'s'", "SELECT 'a', 'b'"] {
            assert_eq!(Shape::of_any(sure), Shape::of(sure, true), "{sure}");
        }
    }

    #[test]
    fn names_and_structure_tell_shapes_apart() {
        let id = |text: &str| Shape::of(text, true).id;
        assert_eq!(id("SELECT e FROM t WHERE e = 'a'"), id("select e\nfrom T where e=$1 -- b"));
        for other in ["SELECT f FROM t WHERE e = 'a'", "SELECT e FROM t WHERE e <> 'a'", "SELECT e FROM t"] {
            assert_ne!(id("SELECT e FROM t WHERE e = 'a'"), id(other), "{other}");
        }
        assert_eq!(id("SELECT 1").to_string().len(), 16);
    }

    #[test]
    fn what_is_too_long_or_cannot_be_read_is_no_fault() {
        let long = format!("SELECT {}", (0..500).map(|n| format!("ä{n}")).collect::<Vec<_>>().join(", "));
        let cut = Shape::of(&long, true);
        assert!(cut.text.len() <= Shape::MAX_TEXT && cut.text.len() > Shape::MAX_TEXT - 4);
        assert_ne!(cut.id, Shape::of(&format!("{long}, x"), true).id);
        for broken in ["SELECT 'secret", "SELECT $$secret", "/* secret", ")))", ", , ,", "", "((1), (1)), ((1), (1))"] {
            assert!(!shape(broken).contains("secret"), "{broken}");
        }
    }
}
