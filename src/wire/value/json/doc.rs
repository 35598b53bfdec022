//! A JSON document to look into: its parts, what it holds, and whether two are equal, as jsonb has these.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::tree::{Node, Numbers, Tree};
use super::{Result, scan};

/// A document.
pub struct Document<'a>(Tree<'a>);

/// A part of a document: itself, or what stands somewhere within.
#[derive(Clone, Copy)]
pub struct Part<'d> {
    tree: &'d Tree<'d>,
    node: usize,
}

/// What a part is.
pub enum Kind<'d> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as jsonb prints it.
    Number(&'d str),
    /// A string.
    Text(&'d str),
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Document<'a> {
    /// Reads the text of a jsonb.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn read(text: &'a [u8]) -> Result<Document<'a>> {
        Ok(Document(Tree::build(scan::utf8(text)?, Numbers::AsWritten)?))
    }

    /// The same, with texts of its own.
    pub fn into_owned(self) -> Document<'static> {
        Document(self.0.into_owned())
    }

    /// All of it.
    pub fn root(&self) -> Part<'_> {
        Part { tree: &self.0, node: 0 }
    }

    /// No more than so many containers stand in one another.
    pub fn is_within(&self, depth: usize) -> bool {
        let mut at = vec![(0, 0)];
        while let Some((node, outer)) = at.pop() {
            let part = Part { tree: &self.0, node };
            if matches!(part.kind(), Kind::Array | Kind::Object) {
                if outer == depth {
                    return false;
                }
                at.extend(part.children().map(|(_, child)| (child.node, outer + 1)));
            }
        }
        true
    }
}

impl<'d> Part<'d> {
    fn at(self, node: usize) -> Part<'d> {
        Part { node, ..self }
    }

    /// What it is.
    pub fn kind(self) -> Kind<'d> {
        match &self.tree.nodes[self.node] {
            Node::Word("null") => Kind::Null,
            Node::Word(word) => Kind::Bool(*word == "true"),
            Node::Number(start, end) => Kind::Number(self.tree.number_at(*start, *end)),
            Node::Text(text) => Kind::Text(text),
            Node::Array(_) => Kind::Array,
            Node::Object(_) => Kind::Object,
        }
    }

    /// What stands in an array or object, with the keys of an object.
    pub fn children(self) -> impl Iterator<Item = (Option<&'d str>, Part<'d>)> {
        let (items, entries): (&[usize], &[(Cow<'d, str>, usize)]) = match &self.tree.nodes[self.node] {
            Node::Array(items) => (items, &[]),
            Node::Object(entries) => (&[], entries),
            _ => (&[], &[]),
        };
        let items = items.iter().map(move |item| (None, self.at(*item)));
        items.chain(entries.iter().map(move |(key, child)| (Some(&**key), self.at(*child))))
    }

    /// `-> 'key'`
    pub fn key(self, key: &str) -> Option<Part<'d>> {
        let Node::Object(entries) = &self.tree.nodes[self.node] else { return None };
        let order = |own: &str| (own.len(), own.as_bytes()).cmp(&(key.len(), key.as_bytes()));
        entries.binary_search_by(|(own, _)| order(own)).ok().map(|at| self.at(entries[at].1))
    }

    /// `-> 1`. Of a scalar PostgreSQL gives the scalar itself as its only element.
    pub fn index(self, index: i64) -> Option<Part<'d>> {
        match &self.tree.nodes[self.node] {
            Node::Array(items) => {
                let from_start = if index < 0 { index + items.len() as i64 } else { index };
                usize::try_from(from_start).ok().and_then(|at| items.get(at)).map(|item| self.at(*item))
            }
            Node::Object(_) => None,
            _ => matches!(index, 0 | -1).then_some(self),
        }
    }

    /// One step of `#>`: a key of an object, or the number of an element of an array.
    pub fn step(self, step: &str) -> Option<Part<'d>> {
        match &self.tree.nodes[self.node] {
            Node::Object(_) => self.key(step),
            Node::Array(_) => self.index(index_of(step)?.into()),
            _ => None,
        }
    }

    /// What `->>` gives; `None` is NULL.
    ///
    /// # Errors
    /// It is too long.
    pub fn text(self) -> Result<Option<Cow<'d, str>>> {
        Ok(Some(match self.kind() {
            Kind::Null => return Ok(None),
            Kind::Bool(true) => Cow::Borrowed("true"),
            Kind::Bool(false) => Cow::Borrowed("false"),
            Kind::Number(text) | Kind::Text(text) => Cow::Borrowed(text),
            Kind::Array | Kind::Object => {
                let mut out = Vec::new();
                self.tree.print_at(self.node, &mut out)?;
                Cow::Owned(String::from_utf8_lossy(&out).into_owned())
            }
        }))
    }

    /// `?`: a key of an object, a string of an array, or a string.
    pub fn has(self, text: &str) -> bool {
        match self.kind() {
            Kind::Object => self.key(text).is_some(),
            Kind::Array => self.children().any(|(_, item)| matches!(item.kind(), Kind::Text(own) if own == text)),
            Kind::Text(own) => own == text,
            _ => false,
        }
    }

    /// `=`
    pub fn equals(self, other: Part<'_>) -> bool {
        if let Some(equal) = same_scalar(self, other) {
            return equal;
        }
        let same = matches!((self.kind(), other.kind()), (Kind::Array, Kind::Array) | (Kind::Object, Kind::Object));
        same && self.children().count() == other.children().count()
            && self.children().zip(other.children()).all(|(own, theirs)| own.0 == theirs.0 && own.1.equals(theirs.1))
    }

    /// `@>`, of whole documents: an array holds a scalar too.
    pub fn contains(self, other: Part<'_>) -> bool {
        match (self.kind(), other.kind()) {
            (Kind::Array, Kind::Array | Kind::Object) | (Kind::Object, _) => self.holds(other),
            (Kind::Array, _) => self.children().any(|(_, item)| same_scalar(item, other) == Some(true)),
            _ => same_scalar(self, other) == Some(true),
        }
    }

    /// Containment within documents.
    fn holds(self, other: Part<'_>) -> bool {
        match (self.kind(), other.kind()) {
            (Kind::Object, Kind::Object) => other
                .children()
                .all(|(key, theirs)| key.and_then(|key| self.key(key)).is_some_and(|own| own.holds(theirs))),
            (Kind::Array, Kind::Array) => {
                other.children().all(|(_, theirs)| self.children().any(|(_, own)| own.holds(theirs)))
            }
            _ => same_scalar(self, other) == Some(true),
        }
    }
}

/// Whether two scalars are equal; `None`: one of the two is no scalar.
fn same_scalar(one: Part<'_>, other: Part<'_>) -> Option<bool> {
    Some(match (one.kind(), other.kind()) {
        (Kind::Array | Kind::Object, _) | (_, Kind::Array | Kind::Object) => return None,
        (Kind::Null, Kind::Null) => true,
        (Kind::Bool(one), Kind::Bool(other)) => one == other,
        (Kind::Number(one), Kind::Number(other)) => canonical_number(one) == canonical_number(other),
        (Kind::Text(one), Kind::Text(other)) => one == other,
        _ => false,
    })
}

/// A number as jsonb prints it, without the zeros that end its fraction.
fn canonical_number(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// The order of two numbers as jsonb prints them.
pub fn compare_numbers(one: &str, other: &str) -> Ordering {
    fn parts(text: &str) -> (bool, &str, &str) {
        let text = canonical_number(text);
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        (negative, whole, fraction)
    }
    let ((n1, w1, f1), (n2, w2, f2)) = (parts(one), parts(other));
    let unsigned = w1.len().cmp(&w2.len()).then_with(|| w1.cmp(w2)).then_with(|| f1.cmp(f2));
    match (n1, n2) {
        (false, false) => unsigned,
        (true, true) => unsigned.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// The text of a scalar as terms are made of it: a number, and a string that `->>` shows as one, without the zeros that end its
/// fraction. Equal scalars have equal ones, and so have those whose texts are equal.
pub fn searched(text: &str) -> &str {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if all(whole) && all(fraction) { canonical_number(text) } else { text }
}

/// A step of a path that numbers an element, as strtol reads it.
pub fn index_of(step: &str) -> Option<i32> {
    let text = step.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(text: &str) -> Document<'_> {
        Document::read(text.as_bytes()).expect("JSON")
    }

    #[test]
    fn contains_as_postgresql() {
        for (holds, one, other) in [
            (true, "{}", "{}"),
            (false, "{}", "[]"),
            (false, "[]", "{}"),
            (true, "[1]", "[]"),
            (true, "[1, [2]]", "1"),
            (false, "[1, [2]]", "2"),
            (false, "1", "[1]"),
            (false, "1", "[]"),
            (true, "1.0", "1"),
            (true, r#"{"a": 1, "b": [1, {"c": 2.50, "d": 1}]}"#, r#"{"b": [{"c": 2.5}]}"#),
            (false, r#"{"a": {"b": 1}}"#, r#"{"b": 1}"#),
            (true, r#"{"a": {"b": 1}}"#, r#"{"a": {}}"#),
            (false, r#"{"a": []}"#, r#"{"a": {}}"#),
            (true, r#"{"a": [1, 1]}"#, r#"{"a": [1, 1, 1]}"#),
            (false, r#"{"a": [1]}"#, r#"{"a": 1}"#),
            (true, "[[1, 2]]", "[[1], [2]]"),
            (false, r#"["1"]"#, "1"),
            (false, "{}", "null"),
            (true, "[null]", "null"),
        ] {
            assert_eq!(doc(one).root().contains(doc(other).root()), holds, "{one} @> {other}");
        }
    }

    #[test]
    fn equals_as_postgresql() {
        for (equal, one, other) in [
            (true, r#"{"a": 1, "b": 1e2}"#, r#"{"b": 100.0, "a": 1.0}"#),
            (false, "[1]", "1"),
            (false, "[1, 2]", "[2, 1]"),
            (false, "[1]", "[1, 1]"),
            (false, "{}", "[]"),
            (false, r#""1""#, "1"),
            (true, "1e400", "10e399"),
            (true, "-0.0", "0"),
        ] {
            assert_eq!(doc(one).root().equals(doc(other).root()), equal, "{one} = {other}");
        }
    }

    #[test]
    fn parts_are_found_as_in_postgresql() {
        let text = r#"{"a": [1, {"b": null, "0": "x"}], "1": true}"#;
        let doc = doc(text);
        let at = |steps: &[&str]| {
            steps.iter().try_fold(doc.root(), |part, step| part.step(step)).map(|part| part.text().expect("short"))
        };
        assert_eq!(at(&["a", "0"]), Some(Some("1".into())));
        assert_eq!(at(&["a", "-1", "0"]), Some(Some("x".into())));
        assert_eq!(at(&["a", " +1", "b"]), Some(None));
        assert_eq!(at(&["a", "0", "0"]), None);
        assert_eq!(at(&["a", "1x"]), None);
        assert_eq!(at(&["1"]), Some(Some("true".into())));
        assert_eq!(at(&["a"]), Some(Some(r#"[1, {"0": "x", "b": null}]"#.into())));
        assert!(doc.root().index(0).is_none());
        assert!(doc.root().key("a").and_then(|a| a.index(0)).and_then(|one| one.index(-1)).is_some());
        assert!(doc.is_within(3) && !doc.is_within(2));
    }

    #[test]
    fn numbers_are_ordered() {
        let sorted = ["-1000000", "-10.5", "-10", "-0.5", "0", "0.05", "0.5", "0.51", "9", "10", "10.01"];
        for (i, one) in sorted.iter().enumerate() {
            for (j, other) in sorted.iter().enumerate() {
                assert_eq!(compare_numbers(one, other), i.cmp(&j), "{one} {other}");
            }
        }
        assert_eq!(compare_numbers("1.50", "1.5"), Ordering::Equal);
    }

    #[test]
    fn texts_that_may_be_numbers_are_searched_as_such() {
        for (text, want) in
            [("1.0", "1"), ("1", "1"), ("10", "10"), ("-2.50", "-2.5"), ("1.", "1."), ("1e1", "1e1"), ("", "")]
        {
            assert_eq!(searched(text), want);
        }
    }
}
