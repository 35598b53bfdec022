//! A part of jsonpath: lax paths of keys and elements, filters and predicates that compare with constants.
//!
//! ```text
//! $.a."b c"[*][0] ? (@.d == 1 && (@.e != "x" || !(exists(@.f))))        $.a > 1
//! ```
//!
//! What is not of it is refused as a whole. Steps, filters and comparisons take arrays apart as PostgreSQL's lax mode does.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::ValueError;
use super::doc::{Document, Kind, Part, compare_numbers};
use crate::wire::value::numeric;

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 32;

/// A path of jsonpath.
pub struct JsonPath(Expression);

enum Expression {
    Path(Path),
    Predicate(Predicate),
}

/// Steps, and a filter of what they find.
struct Path {
    steps: Vec<Step>,
    filter: Option<Predicate>,
}

enum Step {
    Key(String),
    Every,
    Element(i64),
}

enum Predicate {
    Compare {
        from: Start,
        path: Vec<Step>,
        operator: Operator,
        constant: Constant,
    },
    Exists {
        from: Start,
        path: Vec<Step>,
    },
    /// Joined by `&&`. A list, since a path may join any number of them.
    All(Vec<Predicate>),
    /// Joined by `||`.
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
}

/// Where a path in a predicate begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Root,
    Current,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// What is compared with.
pub enum Constant {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as jsonb prints it.
    Number(String),
    /// A string.
    Text(String),
}

impl JsonPath {
    /// Reads a path; `None`: it is not of the part that is understood, or none at all.
    pub fn read(text: &str) -> Option<JsonPath> {
        let mut reader = Reader { text, at: 0, depth: 0 };
        reader.word("lax");
        let expression = match reader.clone().path() {
            Some((path, rest)) if rest.is_done() => Expression::Path(path),
            _ => Expression::Predicate(reader.either(Start::Root)?),
        };
        let read = match &expression {
            Expression::Path(_) => true,
            Expression::Predicate(_) => reader.is_done(),
        };
        read.then_some(JsonPath(expression))
    }

    /// `@?`: something is found.
    pub fn exists(&self, document: Part<'_>) -> bool {
        match &self.0 {
            Expression::Path(path) => !path.find(document, document).is_empty(),
            // The outcome is found, whatever it is.
            Expression::Predicate(_) => true,
        }
    }

    /// `@@`: what the predicate says; `None` is NULL.
    pub fn matches(&self, document: Part<'_>) -> Option<bool> {
        match &self.0 {
            Expression::Predicate(predicate) => predicate.of(document, document),
            Expression::Path(path) => match path.find(document, document).as_slice() {
                [one] => {
                    if let Kind::Bool(value) = one.kind() {
                        Some(value)
                    } else {
                        None
                    }
                }
                _ => None,
            },
        }
    }

    /// Paths of keys at which every document that fulfils it has something, and a constant that it has there. `exists`: of `@?`.
    pub fn needs(&self, exists: bool) -> Vec<(Vec<&str>, Option<&Constant>)> {
        let mut needs = Vec::new();
        match &self.0 {
            Expression::Path(path) => {
                needs.push((keys(&path.steps), None));
                if let Some(filter) = &path.filter {
                    filter.needs(&keys(&path.steps), &mut needs);
                }
            }
            Expression::Predicate(predicate) if !exists => predicate.needs(&[], &mut needs),
            Expression::Predicate(_) => {}
        }
        needs
    }
}

fn keys(steps: &[Step]) -> Vec<&str> {
    steps.iter().filter_map(|step| if let Step::Key(key) = step { Some(&**key) } else { None }).collect()
}

impl Path {
    fn find<'d>(&self, from: Part<'d>, root: Part<'d>) -> Vec<Part<'d>> {
        let found = walk(&self.steps, from);
        let Some(filter) = &self.filter else { return found };
        let mut passed = Vec::new();
        for part in found {
            let fits = |part: &Part<'d>| filter.of(*part, root) == Some(true);
            match part.kind() {
                Kind::Array => passed.extend(part.children().map(|(_, item)| item).filter(fits)),
                _ => passed.extend(Some(part).filter(fits)),
            }
        }
        passed
    }
}

/// What steps find, in lax mode.
fn walk<'d>(steps: &[Step], from: Part<'d>) -> Vec<Part<'d>> {
    let mut found = vec![from];
    for step in steps {
        let mut next = Vec::new();
        for part in found {
            let array = matches!(part.kind(), Kind::Array);
            match step {
                Step::Key(key) if array => next.extend(part.children().filter_map(|(_, item)| item.key(key))),
                Step::Key(key) => next.extend(part.key(key)),
                Step::Every if array => next.extend(part.children().map(|(_, item)| item)),
                Step::Every => next.push(part),
                Step::Element(n) if array => next.extend(part.index(*n)),
                Step::Element(n) => next.extend((*n == 0).then_some(part)),
            }
        }
        found = next;
    }
    found
}

impl Predicate {
    /// `None`: unknown.
    fn of(&self, current: Part<'_>, root: Part<'_>) -> Option<bool> {
        let start = |from: Start| if from == Start::Root { root } else { current };
        match self {
            Predicate::All(all) => unless(all.iter().map(|one| one.of(current, root)), false),
            Predicate::Any(any) => unless(any.iter().map(|one| one.of(current, root)), true),
            Predicate::Not(inner) => inner.of(current, root).map(|outcome| !outcome),
            Predicate::Exists { from, path } => Some(!walk(path, start(*from)).is_empty()),
            Predicate::Compare { from, path, operator, constant } => {
                let items = walk(path, start(*from)).into_iter().flat_map(|part| match part.kind() {
                    Kind::Array => part.children().map(|(_, item)| item).collect(),
                    _ => vec![part],
                });
                unless(items.map(|item| compare(item, *operator, constant)), true)
            }
        }
    }

    fn needs<'s>(&'s self, current: &[&'s str], needs: &mut Vec<(Vec<&'s str>, Option<&'s Constant>)>) {
        let full = |from: Start, path: &'s [Step]| {
            let before = if from == Start::Current { current } else { &[] };
            before.iter().copied().chain(keys(path)).collect::<Vec<&str>>()
        };
        match self {
            Predicate::All(all) => all.iter().for_each(|one| one.needs(current, needs)),
            Predicate::Compare { from, path, operator, constant } => {
                needs.push((full(*from, path), (*operator == Operator::Equal).then_some(constant)));
            }
            Predicate::Exists { from, path } => needs.push((full(*from, path), None)),
            Predicate::Any(_) | Predicate::Not(_) => {}
        }
    }
}

/// `decisive` if one outcome is that; else unknown if one is; else the other.
fn unless(outcomes: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut unknown = false;
    for outcome in outcomes {
        match outcome {
            Some(outcome) if outcome == decisive => return Some(decisive),
            Some(_) => {}
            None => unknown = true,
        }
    }
    if unknown { None } else { Some(!decisive) }
}

/// Compares as jsonpath does: items of different kinds are not compared, but with null.
fn compare(item: Part<'_>, operator: Operator, constant: &Constant) -> Option<bool> {
    let order = match (item.kind(), constant) {
        (Kind::Null, Constant::Null) => Ordering::Equal,
        (Kind::Bool(one), Constant::Bool(other)) => one.cmp(other),
        (Kind::Number(one), Constant::Number(other)) => compare_numbers(one, other),
        (Kind::Text(one), Constant::Text(other)) => one.cmp(other.as_str()),
        (Kind::Null, _) | (_, Constant::Null) => return Some(operator == Operator::NotEqual),
        _ => return None,
    };
    Some(match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterEqual => order.is_ge(),
    })
}

#[derive(Clone)]
struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn rest(&mut self) -> &'t str {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
        self.at = self.text.len() - rest.len();
        rest
    }

    fn is_done(&self) -> bool {
        self.clone().rest().is_empty()
    }

    fn mark(&mut self, mark: &str) -> bool {
        let found = self.rest().starts_with(mark);
        self.at += if found { mark.len() } else { 0 };
        found
    }

    /// Characters of a key that is not quoted.
    fn bare(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || "?%$.[]{}()|&!=<>@#,*:-+/\\\"'".contains(c));
        let word = &rest[..end.unwrap_or(rest.len())];
        (!word.is_empty()).then(|| {
            self.at += word.len();
            word
        })
    }

    fn word(&mut self, word: &str) -> bool {
        let mut ahead = self.clone();
        let found = ahead.bare() == Some(word);
        if found {
            *self = ahead;
        }
        found
    }

    /// A string in quotes, whose escapes are those of JSON.
    fn quoted(&mut self) -> Option<String> {
        let rest = self.rest().strip_prefix('"')?;
        let mut escaped = false;
        let end = rest.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        self.at += end + 2;
        let text = &self.text[self.at - end - 2..self.at];
        match Document::read(text.as_bytes()).ok()?.root().kind() {
            Kind::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }

    fn path(mut self) -> Option<(Path, Reader<'t>)> {
        if !self.mark("$") {
            return None;
        }
        let steps = self.steps()?;
        let filter = match self.mark("?") {
            true if self.mark("(") => {
                let filter = self.either(Start::Current)?;
                Some(filter).filter(|_| self.mark(")"))
            }
            true => return None,
            false => return Some((Path { steps, filter: None }, self)),
        };
        Some((Path { steps, filter: Some(filter?) }, self))
    }

    fn steps(&mut self) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with('.') {
                self.at += 1;
                let key = match self.rest().starts_with('"') {
                    true => self.quoted()?,
                    false => self.bare().filter(|key| !key.starts_with(|c: char| c.is_ascii_digit()))?.to_owned(),
                };
                // A method.
                if self.rest().starts_with('(') {
                    return None;
                }
                steps.push(Step::Key(key));
            } else if rest.starts_with('[') {
                self.at += 1;
                let step = match self.mark("*") {
                    true => Step::Every,
                    false => Step::Element(self.bare().filter(|n| plain_number(n))?.parse::<i32>().ok()?.into()),
                };
                steps.push(step);
                if !self.mark("]") {
                    return None;
                }
            } else {
                return Some(steps);
            }
        }
    }

    /// Predicates joined by `||`. `within`: a filter, where `@` stands for what it looks at.
    fn either(&mut self, within: Start) -> Option<Predicate> {
        self.joined("||", |reader| reader.both(within)).map(|any| single(any).unwrap_or_else(Predicate::Any))
    }

    fn both(&mut self, within: Start) -> Option<Predicate> {
        self.joined("&&", |reader| reader.predicate(within)).map(|all| single(all).unwrap_or_else(Predicate::All))
    }

    fn joined(&mut self, joint: &str, one: impl Fn(&mut Self) -> Option<Predicate>) -> Option<Vec<Predicate>> {
        let mut all = vec![one(self)?];
        while self.mark(joint) {
            all.push(one(self)?);
        }
        Some(all)
    }

    fn predicate(&mut self, within: Start) -> Option<Predicate> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let predicate = if self.rest().starts_with('!') && !self.rest().starts_with("!=") {
            self.at += 1;
            // PostgreSQL takes no other predicate after it.
            match self.rest().starts_with('(') || self.clone().word("exists") {
                true => Predicate::Not(Box::new(self.predicate(within)?)),
                false => return None,
            }
        } else if self.mark("(") {
            let inner = self.either(within)?;
            Some(inner).filter(|_| self.mark(")"))?
        } else if self.word("exists") {
            let (true, from) = (self.mark("("), self.from(within)?) else { return None };
            let path = self.steps()?;
            Some(Predicate::Exists { from, path }).filter(|_| self.mark(")"))?
        } else {
            let from = self.from(within)?;
            let path = self.steps()?;
            Predicate::Compare { from, path, operator: self.operator()?, constant: self.constant()? }
        };
        self.depth -= 1;
        Some(predicate)
    }

    fn from(&mut self, within: Start) -> Option<Start> {
        match () {
            () if self.mark("$") => Some(Start::Root),
            () if within == Start::Current && self.mark("@") => Some(Start::Current),
            () => None,
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<>", Operator::NotEqual),
            ("<=", Operator::LessEqual),
            (">=", Operator::GreaterEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        operators.into_iter().find(|(mark, _)| self.mark(mark)).map(|(_, operator)| operator)
    }

    fn constant(&mut self) -> Option<Constant> {
        if self.rest().starts_with('"') {
            return self.quoted().map(Constant::Text);
        }
        let negative = self.mark("-");
        let rest = self.rest();
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            self.at += end;
            // What else could belong to a number.
            if self.text[self.at..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                return None;
            }
            return number(&rest[..end], negative).map(Constant::Number);
        }
        match self.bare() {
            _ if negative => None,
            Some("true") => Some(Constant::Bool(true)),
            Some("false") => Some(Constant::Bool(false)),
            Some("null") => Some(Constant::Null),
            _ => None,
        }
    }
}

/// The only one of a list; else the list.
fn single(mut list: Vec<Predicate>) -> Result<Predicate, Vec<Predicate>> {
    match list.pop() {
        Some(only) if list.is_empty() => Ok(only),
        last => {
            list.extend(last);
            Err(list)
        }
    }
}

/// Digits, the first of them no zero before others.
fn plain_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'))
}

/// A number of a path, as jsonb prints it.
fn number(text: &str, negative: bool) -> Option<String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !plain_number(whole) || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let signed: Cow<'_, str> = if negative { format!("-{text}").into() } else { text.into() };
    let (mut stored, mut printed) = (Vec::new(), Vec::new());
    let read: Result<(), ValueError> =
        numeric::parse(&signed, &mut stored).and_then(|()| numeric::print(&stored, &mut printed));
    read.ok().and_then(|()| String::from_utf8(printed).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_as_postgresql() {
        let text = r#"{"a": {"b": [1, {"c": "x"}, [2]]}, "d": null, "e f": true}"#;
        let document = Document::read(text.as_bytes()).expect("JSON");
        for (path, exists) in [
            ("$", true),
            ("$.a.b", true),
            ("lax $.a.b.c", true),
            ("$.a.b[*].c", true),
            ("$.a.b[1].c", true),
            ("$.a.b[0].c", false),
            ("$.a.b[3]", false),
            ("$.a[0].b", true),
            ("$.\"e f\" ? (@ == true)", true),
            ("$.a.b ? (@ == 1)", true),
            ("$.a.b ? (@ == 2)", true),
            ("$.a.b ? (@ > 2)", false),
            ("$.a.b ? (@.c == \"x\")", true),
            ("$ ? (@.a.b == 1 && !(@.d == 1))", true),
            ("$ ? (@.d != 1)", true),
            ("$ ? (@.x == 1 || exists(@.a))", true),
            ("$.d ? (@ == null)", true),
            ("$.a == 7", true),
        ] {
            let read = JsonPath::read(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(read.exists(document.root()), exists, "{path}");
        }
        for (path, matches) in [
            ("$.a.b == 1", Some(true)),
            ("$.a.b == 3", None),
            ("$.a.b[0] == 3", Some(false)),
            ("$.\"e f\"", Some(true)),
            ("$.d", None),
            ("$.x == 1", Some(false)),
            ("$.x == 1 || $.a.b == 3", None),
            ("!($.x == 1)", Some(true)),
            ("($.a.b == -1.50)", None),
        ] {
            let read = JsonPath::read(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(read.matches(document.root()), matches, "{path}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for path in [
            "",
            "a",
            "$.",
            "$.*",
            "$.**",
            "$.a.size()",
            "strict $.a",
            "$.a[last]",
            "$.a[0 to 1]",
            "$.a ? (@ like_regex \"x\")",
            "$.a ? (@ starts with \"x\")",
            "$.a == $x",
            "$.a + 1 == 2",
            "$.a ? (@ == 1).b",
            "$.a == 01",
            "$.a == 1.",
            "$.a == 1e2",
            "$.1a",
            "$.a ? (@ == 1",
            "$.a == 1 x",
            "@.a == 1",
            "$.a == \"x",
            "(($.a))",
            "1 == $.a",
        ] {
            assert!(JsonPath::read(path).is_none(), "{path}");
        }
        assert!(JsonPath::read(&"(".repeat(10_000)).is_none());
    }

    #[test]
    fn any_number_of_predicates_may_be_joined() {
        let document = Document::read(br#"{"a": 1}"#).expect("JSON");
        for (joint, expected) in [(" && ", Some(true)), (" || ", Some(true))] {
            let read = JsonPath::read(&vec!["$.a == 1"; 200_000].join(joint)).expect("a path");
            assert_eq!(read.matches(document.root()), expected, "{joint}");
        }
    }
}
