//! Parts of documents: what stands under a key, at an index, at a path; as it is written there, or as text.
//!
//! Of jsonb every part of the stored text is itself a document in its stored text. json keeps its text as it was written, where keys
//! may stand several times; which one is found is told as PostgreSQL's own parser goes through it.

use std::borrow::Cow;

use super::doc::index_of;
use super::lex::{Lexer, Token};
use super::syntax;
use crate::wire::value::error::{INVALID_PARAMETER_VALUE, Result, ValueError};

/// Calls `visit` with each member of an object or element of an array, in order, until it returns `false`; of a scalar with
/// nothing. Keys have their escapes resolved. `doc` is a document that was read before.
pub fn children<'d>(doc: &'d str, mut visit: impl FnMut(Option<Cow<'d, str>>, &'d str) -> bool) -> Result<()> {
    let mut lexer = Lexer::new(doc, true);
    let object = match lexer.next()? {
        Some(Token::Mark(b'{')) => true,
        Some(Token::Mark(b'[')) => false,
        _ => return Ok(()),
    };
    let mut key = None;
    loop {
        match lexer.next()?.ok_or_else(syntax)? {
            Token::Mark(b'}' | b']') => return Ok(()),
            Token::Mark(b',' | b':') => {}
            Token::Text(text) if object && key.is_none() => key = Some(text),
            first => {
                let start = lexer.start();
                lexer.skip(&first)?;
                if !visit(key.take(), &doc[start..lexer.end()]) {
                    return Ok(());
                }
            }
        }
    }
}

/// How many members or elements there are.
fn count(doc: &str) -> Result<usize> {
    let mut count = 0;
    children(doc, |_, _| {
        count += 1;
        true
    })?;
    Ok(count)
}

/// The kind of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as JSON names them")]
pub enum Shape {
    Object,
    Array,
    Scalar,
}

/// What a document is.
pub fn shape(doc: &str) -> Shape {
    match doc.trim_start_matches([' ', '\t', '\n', '\r']).as_bytes().first() {
        Some(b'{') => Shape::Object,
        Some(b'[') => Shape::Array,
        _ => Shape::Scalar,
    }
}

/// `jsonb -> text`
pub fn field<'d>(doc: &'d str, key: &str) -> Result<Option<&'d str>> {
    let mut found = None;
    if shape(doc) == Shape::Object {
        children(doc, |name, value| {
            found = (name.as_deref() == Some(key)).then_some(value);
            found.is_none()
        })?;
    }
    Ok(found)
}

/// `jsonb -> integer`. PostgreSQL takes a scalar that stands alone for an array of one.
pub fn element(doc: &str, index: i32) -> Result<Option<&str>> {
    match shape(doc) {
        Shape::Object => Ok(None),
        Shape::Array => nth(doc, index),
        Shape::Scalar => Ok(matches!(index, 0 | -1).then_some(doc)),
    }
}

/// An element of an array; negative indices count from its end.
fn nth(doc: &str, index: i32) -> Result<Option<&str>> {
    let index = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => match count(doc)?.checked_sub(index.unsigned_abs() as usize) {
            Some(index) => index,
            None => return Ok(None),
        },
    };
    let (mut at, mut found) = (0, None);
    children(doc, |_, value| {
        found = (at == index).then_some(value);
        at += 1;
        found.is_none()
    })?;
    Ok(found)
}

/// `jsonb #> path`, and what subscripts give.
pub fn path<'d>(doc: &'d str, path: &[&str]) -> Result<Option<&'d str>> {
    let mut at = doc;
    for step in path {
        let found = match shape(at) {
            Shape::Object => field(at, step)?,
            Shape::Array => match index_of(step) {
                Some(index) => nth(at, index)?,
                None => None,
            },
            Shape::Scalar => None,
        };
        match found {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// A part of a document as text: strings without their quotes. `None`: it is null.
pub fn text(part: &str) -> Result<Option<Cow<'_, str>>> {
    match Lexer::new(part, true).next()? {
        Some(Token::Word("null")) => Ok(None),
        Some(Token::Text(text)) => Ok(Some(text)),
        _ => Ok(Some(Cow::Borrowed(part))),
    }
}

/// `json_typeof`, `jsonb_typeof`
pub fn type_of(doc: &str) -> Result<&'static str> {
    Ok(match Lexer::new(doc, false).next()? {
        Some(Token::Mark(b'{')) => "object",
        Some(Token::Mark(_)) => "array",
        Some(Token::Text(_)) => "string",
        Some(Token::Number(_)) => "number",
        Some(Token::Word("null")) => "null",
        Some(Token::Word(_)) => "boolean",
        None => return Err(syntax()),
    })
}

/// `json_array_length`, `jsonb_array_length`
pub fn array_length(doc: &str) -> Result<usize> {
    let no_array = |what| ValueError::new(INVALID_PARAMETER_VALUE, format!("cannot get array length of a {what}"));
    match shape(doc) {
        Shape::Array => count(doc),
        Shape::Object => Err(no_array("non-array")),
        Shape::Scalar => Err(no_array("scalar")),
    }
}

/// `jsonb_pretty`
pub fn pretty(doc: &str, out: &mut Vec<u8>) -> Result<()> {
    const INDENT: &[u8] = b"    ";
    let mut lexer = Lexer::new(doc, false);
    let mut depth = 0;
    let line = |depth: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        (0..depth).for_each(|_| out.extend_from_slice(INDENT));
    };
    let (mut first, mut after_key) = (false, false);
    while let Some(token) = lexer.next()? {
        let mark = if let Token::Mark(mark) = token { mark } else { b' ' };
        match mark {
            b'}' | b']' => {
                depth -= 1;
                line(depth, out);
                out.push(mark);
                first = false;
                continue;
            }
            b',' => {
                out.push(mark);
                line(depth, out);
                continue;
            }
            b':' => {
                out.extend_from_slice(b": ");
                after_key = true;
                continue;
            }
            _ => {}
        }
        if first && !after_key {
            line(depth, out);
        }
        out.extend_from_slice(&doc.as_bytes()[lexer.start()..lexer.end()]);
        (first, after_key) = (matches!(mark, b'{' | b'['), false);
        depth += usize::from(first);
    }
    Ok(())
}

/// A step into json, which may be a key or an index as what it meets is an object or an array.
#[derive(Clone, Copy, Default)]
pub struct Step<'p> {
    key: Option<&'p str>,
    index: Option<i32>,
}

impl<'p> Step<'p> {
    /// `-> text`
    pub fn key(key: &'p str) -> Self {
        Step { key: Some(key), index: None }
    }

    /// `-> integer`
    pub fn at(index: i32) -> Self {
        Step { key: None, index: told(index) }
    }

    /// A step of `#>`
    pub fn either(step: &'p str) -> Self {
        Step { key: Some(step), index: index_of(step).and_then(told) }
    }
}

/// PostgreSQL takes the least number for none.
fn told(index: i32) -> Option<i32> {
    (index != i32::MIN).then_some(index)
}

/// What json holds at a path, as it is written there or, with `as_text`, as text.
///
/// PostgreSQL goes through the document once; of equal keys the last one counts at the end of the path, and before it any: one that
/// leads nowhere does not undo what was found under another. An index from the end counts by the first array at its depth.
pub fn json<'d>(doc: &'d str, path: &[Step<'_>], as_text: bool) -> Result<Option<Cow<'d, str>>> {
    let mut walk = Walk { doc, path, indexes: path.iter().map(|s| s.index).collect(), as_text, ..Walk::default() };
    walk.fits = vec![false; path.len()];
    walk.at = vec![-1; path.len()];
    if let Some(first) = walk.fits.first_mut() {
        *first = true;
    }
    super::walk_placed(doc, true, |token, key, place| walk.token(token, key, place))?;
    Ok(walk.found)
}

/// What goes through json.
#[derive(Default)]
struct Walk<'d, 'p> {
    doc: &'d str,
    path: &'p [Step<'p>],
    indexes: Vec<Option<i32>>,
    as_text: bool,
    /// By depth: the steps so far fit.
    fits: Vec<bool>,
    /// By depth: the element at hand of the array there.
    at: Vec<i32>,
    /// Enclosing containers; of an object the key at hand.
    open: Vec<Option<Cow<'d, str>>>,
    /// Where the value begins that is wanted.
    start: Option<usize>,
    /// The next string is wanted.
    next: bool,
    found: Option<Cow<'d, str>>,
}

impl<'d> Walk<'d, '_> {
    fn token(&mut self, token: Token<'d>, key: bool, (start, end): (usize, usize)) -> Result<()> {
        match token {
            Token::Text(text) if key => {
                if let Some(last) = self.open.last_mut() {
                    *last = Some(text);
                }
                return Ok(());
            }
            Token::Mark(b',' | b':') => return Ok(()),
            Token::Mark(b'}' | b']') => {
                self.open.pop();
                self.value_ends(false, end);
                return Ok(());
            }
            _ => {}
        }
        let is_text = matches!(token, Token::Text(_));
        self.value_begins(is_text, start);
        match token {
            Token::Mark(mark) => {
                if mark == b'[' {
                    self.array_begins(start)?;
                }
                if self.open.is_empty() && self.path.is_empty() {
                    self.start = Some(start);
                }
                self.open.push((mark == b'{').then_some(Cow::Borrowed("")));
            }
            scalar => {
                let null = matches!(scalar, Token::Word("null"));
                self.scalar(scalar, end);
                self.value_ends(null, end);
            }
        }
        Ok(())
    }

    /// The value at hand stands where the path leads. `None`: not so far as the path goes.
    fn is_wanted(&self) -> Option<bool> {
        let depth = self.open.len();
        let step = self.path.get(depth.checked_sub(1)?)?;
        let fits = match self.open.last()? {
            Some(key) => step.key == Some(key),
            None => self.indexes[depth - 1] == Some(self.at[depth - 1]),
        };
        (self.fits[depth - 1] && fits).then_some(depth == self.path.len())
    }

    fn value_begins(&mut self, is_text: bool, start: usize) {
        let depth = self.open.len();
        if let (Some(None), true) = (self.open.last(), depth <= self.path.len()) {
            self.at[depth - 1] += 1;
        }
        match self.is_wanted() {
            Some(true) => {
                self.found = None;
                self.next = self.as_text && is_text;
                self.start = (!self.next).then_some(start);
            }
            Some(false) => self.fits[depth] = true,
            None => {}
        }
    }

    fn value_ends(&mut self, null: bool, end: usize) {
        let depth = self.open.len();
        let whole = depth == 0 && self.path.is_empty();
        match self.is_wanted() {
            Some(false) => self.fits[depth] = false,
            None if !whole => {}
            _ => {
                if let Some(start) = self.start.take() {
                    self.found = (!(null && self.as_text)).then(|| Cow::Borrowed(&self.doc[start..end]));
                }
            }
        }
    }

    fn array_begins(&mut self, start: usize) -> Result<()> {
        let depth = self.open.len();
        let Some(index) = self.indexes.get_mut(depth) else { return Ok(()) };
        self.at[depth] = -1;
        if let Some(from_end) = index.filter(|index| *index < 0) {
            let length = i32::try_from(count(&self.doc[start..])?).unwrap_or(i32::MAX);
            if -from_end <= length {
                *index = Some(from_end + length);
            }
        }
        Ok(())
    }

    fn scalar(&mut self, scalar: Token<'d>, end: usize) {
        let whole = self.open.is_empty() && self.path.is_empty();
        match scalar {
            Token::Text(text) if self.next || (whole && self.as_text) => {
                self.found = Some(text);
                self.next = false;
            }
            Token::Word("null") if whole && self.as_text => self.found = None,
            // PostgreSQL keeps the blanks before it.
            _ if whole => self.found = Some(Cow::Borrowed(&self.doc[..end])),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = r#"{"a": [1, {"b": null}, "x\"y"], "b": {}, "": "e", "ab": true}"#;

    #[test]
    fn members_and_elements() {
        for (key, want) in
            [("a", Some(r#"[1, {"b": null}, "x\"y"]"#)), ("", Some("\"e\"")), ("c", None), ("b", Some("{}"))]
        {
            assert_eq!(field(DOC, key).expect("a document"), want, "{key}");
        }
        for (index, want) in
            [(0, Some("1")), (-1, Some("\"x\\\"y\"")), (-3, Some("1")), (3, None), (-4, None), (i32::MIN, None)]
        {
            assert_eq!(element(r#"[1, {"b": null}, "x\"y"]"#, index).expect("a document"), want, "{index}");
        }
        assert_eq!(element("5", 0).expect("a document"), Some("5"));
        assert_eq!(element("5", -1).expect("a document"), Some("5"));
        assert_eq!(element("5", 1).expect("a document"), None);
        assert_eq!(field("5", "a").expect("a document"), None);
        assert_eq!(field("[1]", "0").expect("a document"), None);
    }

    #[test]
    fn paths() {
        for (steps, want) in [
            (&["a", "1", "b"][..], Some("null")),
            (&["a", " +1", "b"], Some("null")),
            (&["a", "-1"], Some("\"x\\\"y\"")),
            (&["a", "1x"], None),
            (&["a", ""], None),
            (&["a", "0", "0"], None),
            (&[], Some(DOC)),
        ] {
            assert_eq!(path(DOC, steps).expect("a document"), want, "{steps:?}");
        }
        assert_eq!(path("5", &["0"]).expect("a document"), None);
    }

    #[test]
    fn parts_as_text() {
        for (part, want) in
            [("null", None), ("\"a\\u00e4\\n\"", Some("aä\n")), ("1.50", Some("1.50")), ("[1, 2]", Some("[1, 2]"))]
        {
            assert_eq!(text(part).expect("a document").as_deref(), want, "{part}");
        }
    }

    #[test]
    fn json_is_gone_through_as_postgresql_does() {
        let doc = r#" {"a" : {"b":1}, "a":{"c": [ 1 ,2 ] } } "#;
        let keys = |steps: &[&'static str]| steps.iter().map(|s| Step::either(s)).collect::<Vec<_>>();
        let found = |steps: &[&'static str]| json(doc, &keys(steps), false).expect("a document").map(Cow::into_owned);
        assert_eq!(found(&["a", "b"]).as_deref(), Some("1"), "what another key of the name leads to stays");
        assert_eq!(found(&["a"]).as_deref(), Some(r#"{"c": [ 1 ,2 ] }"#));
        assert_eq!(found(&["a", "c", "-1"]).as_deref(), Some("2"));
        assert_eq!(found(&[]).as_deref(), Some(doc.trim()));
        let first = r#"{"x": [1, 2, 3], "a": [5]}"#;
        assert_eq!(json(first, &keys(&["a", "-1"]), false).expect("a document"), None, "counted by the first array");
        assert_eq!(json(first, &[Step::key("a")], false).expect("a document").as_deref(), Some("[5]"));
        assert_eq!(json("[1, null]", &[Step::at(1)], true).expect("a document"), None);
        assert_eq!(json("[1, null]", &[Step::at(1)], false).expect("a document").as_deref(), Some("null"));
        assert_eq!(json(" \"a\\\"b\"", &[], true).expect("a document").as_deref(), Some("a\"b"));
        assert_eq!(json(" 5 ", &[], false).expect("a document").as_deref(), Some(" 5"));
        assert_eq!(json(r#"{"a": "\u0000"}"#, &[Step::key("b")], false).expect_err("no character").sqlstate.0, "22P05");
    }

    #[test]
    fn pretty_and_kinds() {
        let mut out = Vec::new();
        pretty(r#"{"a": [], "b": {"c": [1, "x"]}}"#, &mut out).expect("a document");
        let want = "{\n    \"a\": [\n    ],\n    \"b\": {\n        \"c\": [\n            1,\n            \"x\"\n        ]\n    }\n}";
        assert_eq!(String::from_utf8(out).expect("utf8"), want);
        for (doc, want) in [
            ("{}", "object"),
            ("[1]", "array"),
            ("\"\"", "string"),
            ("-1", "number"),
            ("false", "boolean"),
            ("null", "null"),
        ] {
            assert_eq!(type_of(doc).expect("a document"), want);
        }
        assert_eq!(array_length("[1, [2, 3], {\"a\": 1}]").expect("an array"), 3);
        assert_eq!(array_length("{}").expect_err("none").sqlstate.0, "22023");
    }
}
