//! json and jsonb. json keeps its text; jsonb is normalised to the text PostgreSQL prints.
//!
//! Reading and printing do not recurse: nesting costs heap up to [`MAX_DEPTH`], never stack. Comparing recurses, as deep as both
//! sides are nested.

mod doc;
pub mod extract;
mod lex;
mod path;
mod tree;

pub use doc::{Document, Kind as JsonKind, Part as JsonPart, compare_numbers, index_of, searched};
pub use path::{Constant, JsonPath};
pub use tree::push_string;

use super::PlainType;
use super::error::{Result, STATEMENT_TOO_COMPLEX, ValueError};
use super::scan;
use crate::wire::sqlstate::SqlState;
use lex::{Lexer, Token};
use tree::{Numbers, Tree};

/// Deepest nesting that is taken.
pub(crate) const MAX_DEPTH: usize = 6_000;
/// Longest normalised text (PostgreSQL's own limit on a jsonb's parts is of this order).
pub(crate) const MAX_TEXT: usize = 256 << 20;

fn syntax() -> ValueError {
    ValueError::syntax("json")
}

fn too_deep() -> ValueError {
    ValueError::new(STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .hint("JSON of an encrypted value may be nested 6000 deep.")
}

fn too_long() -> ValueError {
    ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "jsonb value is too long once its numbers are written out")
}

/// What the grammar awaits next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Await {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// Walks the tokens of a document, checking the grammar. Gives every token to `visit`, with `true` for keys.
fn walk<'a>(text: &'a str, unescape: bool, mut visit: impl FnMut(Token<'a>, bool) -> Result<()>) -> Result<()> {
    walk_placed(text, unescape, |token, key, _| visit(token, key))
}

/// The same, with where each token begins and ends.
fn walk_placed<'a>(
    text: &'a str,
    unescape: bool,
    mut visit: impl FnMut(Token<'a>, bool, (usize, usize)) -> Result<()>,
) -> Result<()> {
    let mut lexer = Lexer::new(text, unescape);
    let mut open: Vec<bool> = Vec::new();
    let mut state = Await::Value;
    while let Some(token) = lexer.next()? {
        let key = matches!(state, Await::Key | Await::KeyOrEnd);
        let kind = token.kind();
        state = step(state, kind, &mut open).ok_or_else(syntax)?;
        if open.len() > MAX_DEPTH {
            return Err(too_deep());
        }
        visit(token, key, (lexer.start(), lexer.end()))?;
    }
    if state == Await::Nothing { Ok(()) } else { Err(syntax()) }
}

/// The next state, or `None` where the token does not fit. `open`: enclosing containers, `true` for objects.
fn step(state: Await, kind: u8, open: &mut Vec<bool>) -> Option<Await> {
    let after_value = |open: &[bool]| if open.is_empty() { Await::Nothing } else { Await::CommaOrEnd };
    match (state, kind) {
        (Await::Value | Await::ValueOrEnd, b'[') => {
            open.push(false);
            Some(Await::ValueOrEnd)
        }
        (Await::Value | Await::ValueOrEnd, b'{') => {
            open.push(true);
            Some(Await::KeyOrEnd)
        }
        (Await::Value | Await::ValueOrEnd, b'"' | b'v') => Some(after_value(open)),
        (Await::ValueOrEnd | Await::CommaOrEnd, b']') => (open.pop() == Some(false)).then(|| after_value(open)),
        (Await::KeyOrEnd | Await::CommaOrEnd, b'}') => (open.pop() == Some(true)).then(|| after_value(open)),
        (Await::Key | Await::KeyOrEnd, b'"') => Some(Await::Colon),
        (Await::Colon, b':') => Some(Await::Value),
        (Await::CommaOrEnd, b',') => Some(if *open.last()? { Await::Key } else { Await::Value }),
        _ => None,
    }
}

/// Reads json: checked, kept as it is.
pub(crate) fn parse_json(text: &str, out: &mut Vec<u8>) -> Result<()> {
    walk(text, false, |_, _| Ok(()))?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Reads jsonb: the last of equal keys kept, keys ordered by length and bytes, numbers as numeric prints them.
pub(crate) fn parse_jsonb(text: &str, out: &mut Vec<u8>) -> Result<()> {
    Tree::build(text, Numbers::AsWritten)?.print(out)
}

/// Binary input of jsonb: a version byte 1, then text.
pub(crate) fn receive_jsonb(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match bytes {
        [] => Err(ValueError::short()),
        [1, text @ ..] => parse_jsonb(scan::utf8(text)?, out),
        _ => Err(ValueError::new(SqlState::INTERNAL_ERROR, "unsupported jsonb version number")),
    }
}

/// Appends the text with numbers stripped of trailing zeros: equal exactly when PostgreSQL finds the values equal.
pub(crate) fn canonical_jsonb(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let text = std::str::from_utf8(stored).map_err(|_| ValueError::corrupt(PlainType::Jsonb))?;
    Tree::build(text, Numbers::Canonical)?.print(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jsonb(text: &str) -> String {
        let mut out = Vec::new();
        match parse_jsonb(text, &mut out) {
            Ok(()) => String::from_utf8(out).expect("utf8"),
            Err(error) => error.sqlstate.0.to_owned(),
        }
    }

    #[test]
    fn normalises_as_postgresql() {
        for (text, want) in [
            (" { } ", "{}"),
            ("[ ]", "[]"),
            (r#"{"bb":1,"a":[1,2 ,{"x":null}],"a":2}"#, r#"{"a": 2, "bb": 1}"#),
            (r#"{"b":1,"aa":2,"a":3}"#, r#"{"a": 3, "b": 1, "aa": 2}"#),
            ("1.50e2", "150"),
            ("[1.50,-0,1e3,0.10]", "[1.50, 0, 1000, 0.10]"),
            (r#""\u00e9\ud83d\ude00\/\b\u001f\"""#, "\"é😀/\\b\\u001f\\\"\""),
            ("true", "true"),
        ] {
            assert_eq!(jsonb(text), want, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_json() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{1:1}",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "1e",
            "tru",
            "truee",
            "nul",
            "NaN",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "[1 2]",
            "1 2",
            "{\"a\":1,}",
            "[1}",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\u{a0}1",
            "1a",
            "--1",
            "[1]]",
        ] {
            assert_eq!(jsonb(text), "22P02", "{text}");
        }
        assert_eq!(jsonb(r#""\u0000""#), "22P05");
        assert!(parse_json(r#""\u0000""#, &mut Vec::new()).is_ok());
        assert!(parse_json(r#""\ud800""#, &mut Vec::new()).is_ok());
        assert!(parse_json(r#""\u00g0""#, &mut Vec::new()).is_err());
    }

    #[test]
    fn depth_is_bounded_and_never_overflows_the_stack() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert_eq!(jsonb(&nested(MAX_DEPTH)), nested(MAX_DEPTH));
        assert_eq!(jsonb(&nested(MAX_DEPTH + 1)), "54001");
        assert_eq!(jsonb(&"[".repeat(1 << 20)), "54001");
        assert_eq!(jsonb(&"{\"a\":".repeat(1 << 20)), "54001");
    }

    #[test]
    fn equality() {
        let canon = |text: &str| {
            let mut out = Vec::new();
            parse_jsonb(text, &mut out).expect("json");
            let mut canon = Vec::new();
            canonical_jsonb(&out, &mut canon).expect("json");
            canon
        };
        assert_eq!(canon(r#"{"a":1.0,"b":[1e2]}"#), canon(r#"{"b":[100.00],"a":1}"#));
        assert_eq!(canon("-0.00"), canon("0"));
        assert_ne!(canon("1"), canon("\"1\""));
        assert_ne!(canon("[1]"), canon("1"));
    }
}
