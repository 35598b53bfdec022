//! JSON documents: the terms of one that is stored, and conditions on parts of them.

use zeroize::Zeroizing;

use super::errors;
use super::operands::Operands;
use super::search::Narrow;
use crate::crypto::term::json::{JsonKey, Path};
use crate::sql::pattern::{Looked, Pattern, Patterns, Quantifier, Search, Step};
use crate::wire::error::PgError;
use crate::wire::sqlstate::SqlState;
use crate::wire::value::{self, Constant, Document, JsonKind, JsonPart, JsonPath, ValueError};

/// How deep a document with terms may be nested.
pub(super) const MAX_DEPTH: usize = 256;
/// How many different tokens it may have: a path and a value each.
pub(super) const MAX_TOKENS: usize = 8_192;
/// Tokens that a search asks for at most.
const MAX_ASKED: usize = 64;

/// The term of a document to store, in its stored form.
///
/// # Errors
/// 54000 for one that is too deep or has too many parts.
pub(super) fn term(stored: &[u8], key: &JsonKey) -> Result<Vec<i64>, ValueError> {
    let document = Document::read(stored)?;
    let too = |what: String| {
        ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("document is too large for its json term: {what}"))
            .hint("Store it under a type without this term, or a part of it in a column of its own.")
    };
    if !document.is_within(MAX_DEPTH) {
        return Err(too(format!("it is nested more than {MAX_DEPTH} deep")));
    }
    let tokens = tokens(document.root(), key, &key.root(), Kept { whole: true, paths: true });
    if tokens.len() > MAX_TOKENS {
        return Err(too(format!("it has more than {MAX_TOKENS} different paths and values")));
    }
    Ok(key.term(tokens))
}

/// Which tokens of a part are wanted.
#[derive(Clone, Copy)]
struct Kept {
    /// The part may be a document.
    whole: bool,
    /// Also those of paths to what has tokens itself, which all documents have that have these.
    paths: bool,
}

/// The tokens of a part at a path.
fn tokens(part: JsonPart<'_>, key: &JsonKey, path: &Path, kept: Kept) -> Vec<i64> {
    let mut tokens = Vec::new();
    let mut at = vec![(part, *path, kept.whole)];
    while let Some((part, path, whole)) = at.pop() {
        match part.kind() {
            JsonKind::Null => tokens.push(key.null(&path)),
            JsonKind::Bool(value) => tokens.push(key.scalar(&path, if value { "true" } else { "false" })),
            JsonKind::Number(text) => tokens.push(key.scalar(&path, value::searched(text))),
            JsonKind::Text(text) => {
                tokens.push(key.scalar(&path, value::searched(text)));
                // `?` asks for a key or a string.
                if whole && kept.paths {
                    tokens.push(key.exists(&key.path(&path, text)));
                }
            }
            JsonKind::Array => at.extend(part.children().map(|(_, item)| (item, path, whole))),
            JsonKind::Object => {
                for (name, child) in part.children() {
                    let path = key.path(&path, name.unwrap_or_default());
                    if kept.paths || !has_tokens(child) {
                        tokens.push(key.exists(&path));
                    }
                    at.push((child, path, false));
                }
            }
        }
    }
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

/// It has tokens itself, besides that of its own path.
fn has_tokens(part: JsonPart<'_>) -> bool {
    let mut at = vec![part];
    while let Some(part) = at.pop() {
        match part.kind() {
            JsonKind::Array => at.extend(part.children().map(|(_, child)| child)),
            JsonKind::Object if part.children().next().is_none() => {}
            _ => return true,
        }
    }
    false
}

/// A step of the way to a part.
enum Way {
    Key(Zeroizing<String>),
    Index(i64),
    Either(Zeroizing<String>),
}

/// A condition on a part of a document, its values read.
pub(super) struct Inquiry {
    /// `None`: a step is NULL.
    way: Option<Vec<Way>>,
    asked: Asked,
}

/// What is asked of a part.
enum Asked {
    /// What patterns ask of its text.
    Text,
    Present,
    Same(Quantifier, Vec<Document<'static>>),
    Contains(Document<'static>),
    Contained(Document<'static>),
    Has(Quantifier, Vec<Zeroizing<String>>),
    Exists(JsonPath),
    Match(JsonPath),
}

impl Inquiry {
    /// Reads the values of a condition; `None`: it is NULL whatever the document.
    pub(super) fn read(search: &Search, operands: &Operands<'_>) -> Result<Option<Inquiry>, PgError> {
        let Some(part) = &search.part else { return Ok(None) };
        let mut way = Some(Vec::new());
        for step in &part.steps {
            let steps = match *step {
                Step::Key(n) => operands.text(n)?.map(|key| vec![Way::Key(key)]),
                Step::Index(n) => operands.index(n)?.map(|index| vec![Way::Index(index)]),
                Step::Either(n) => operands.text(n)?.map(|step| vec![Way::Either(step)]),
                Step::Path(n) => {
                    let steps = operands.array(n)?;
                    steps.and_then(|steps| steps.into_iter().map(|step| step.map(Way::Either)).collect())
                }
                Step::Null => None,
            };
            way = way.zip(steps).map(|(way, steps)| way.into_iter().chain(steps).collect());
        }
        let asked = match search.looked {
            Looked::Present => Some(Asked::Present),
            Looked::Same => same(search, operands)?,
            Looked::Contains => one(search, operands)?.map(Asked::Contains),
            Looked::Contained => one(search, operands)?.map(Asked::Contained),
            Looked::Has => has(search, operands, Quantifier::Any)?,
            Looked::HasAll => has(search, operands, Quantifier::All)?,
            Looked::Exists => json_path(search, operands)?.map(Asked::Exists),
            Looked::Match => json_path(search, operands)?.map(Asked::Match),
            _ => Some(Asked::Text),
        };
        Ok(asked.map(|asked| Inquiry { way, asked }))
    }

    /// The part of a document; `None` is NULL.
    fn part<'d>(&self, document: &'d Document<'_>) -> Option<JsonPart<'d>> {
        self.way.as_ref()?.iter().try_fold(document.root(), |part, way| match way {
            Way::Key(key) => part.key(key),
            Way::Index(index) => part.index(*index),
            Way::Either(step) => part.step(step),
        })
    }

    /// Whether a document fulfils the condition; `None` is NULL. `text`: what patterns say of the part's text.
    pub(super) fn of(
        &self,
        search: &Search,
        stored: &[u8],
        text: impl FnOnce(&str) -> Result<bool, ValueError>,
    ) -> Result<Option<bool>, ValueError> {
        let document = Document::read(stored)?;
        let found = self.part(&document);
        let shown = || match found {
            Some(part) if search.part.as_ref().is_some_and(|part| part.text) => part.text(),
            _ => Ok(None),
        };
        let Some(part) = found else { return Ok(matches!(self.asked, Asked::Present).then_some(false)) };
        Ok(Some(match &self.asked {
            Asked::Exists(path) => path.exists(part),
            Asked::Match(path) => return Ok(path.matches(part)),
            Asked::Text => {
                let Some(shown) = shown()? else { return Ok(None) };
                text(&shown)?
            }
            Asked::Present => !search.part.as_ref().is_some_and(|part| part.text) || shown()?.is_some(),
            Asked::Same(Quantifier::Any, others) => others.iter().any(|other| part.equals(other.root())),
            Asked::Same(Quantifier::All, others) => others.iter().all(|other| part.equals(other.root())),
            Asked::Contains(other) => part.contains(other.root()),
            Asked::Contained(other) => other.root().contains(part),
            Asked::Has(Quantifier::Any, keys) => keys.iter().any(|key| part.has(key)),
            Asked::Has(Quantifier::All, keys) => keys.iter().all(|key| part.has(key)),
        }))
    }

    /// What narrows the search. `texts`: those that the part's text may be equal to; `None`: any.
    pub(super) fn narrow(&self, search: &Search, texts: Option<(Quantifier, Vec<String>)>, key: &JsonKey) -> Narrow {
        let Some(part) = search.part.as_ref().filter(|part| !part.negated) else { return Narrow::Nothing };
        let Some(way) = &self.way else { return Narrow::Nothing };
        // Where a missing part makes NULL of the condition, and that is not the same as false, all must be looked at.
        if !part.asserted {
            return Narrow::Nothing;
        }
        let (path, exact) = path_of(way, key);
        let exists = || path.iter().map(|path| key.exists(path)).collect::<Vec<i64>>();
        let root = key.root();
        let at = path.as_ref().unwrap_or(&root);
        let whole = way.is_empty();
        let of = |other: JsonPart<'_>| tokens(other, key, at, Kept { whole, paths: false });
        // What has a token of something at or below the path has that of the path.
        let all = |mut tokens: Vec<i64>| {
            if tokens.is_empty() {
                tokens.extend(exists());
            }
            tokens.sort_unstable();
            tokens.dedup();
            tokens.truncate(MAX_ASKED);
            Narrow::All(tokens)
        };
        let each = |quantifier: Quantifier, parts: Vec<Vec<i64>>| match quantifier {
            Quantifier::All => all(parts.concat()),
            Quantifier::Any => {
                let one = |tokens: &Vec<i64>| tokens.first().copied().or_else(|| exists().first().copied());
                parts.iter().map(one).collect::<Option<Vec<i64>>>().map_or(Narrow::Nothing, Narrow::Any)
            }
        };
        match &self.asked {
            _ if !exact => match search.overlap() {
                true => exists().first().map_or(Narrow::Nothing, |token| Narrow::Any(vec![*token])),
                false => all(Vec::new()),
            },
            Asked::Present => all(Vec::new()),
            Asked::Text => match texts {
                None if search.overlap() => each(Quantifier::Any, vec![Vec::new()]),
                None => all(Vec::new()),
                Some((quantifier, texts)) => {
                    let token = |text: &String| match text.starts_with(['{', '[']) {
                        true => Vec::new(),
                        false => vec![key.scalar(at, value::searched(text))],
                    };
                    each(quantifier, texts.iter().map(token).collect())
                }
            },
            Asked::Same(quantifier, others) => each(*quantifier, others.iter().map(|other| of(other.root())).collect()),
            Asked::Contains(other) => all(of(other.root())),
            Asked::Contained(_) => all(Vec::new()),
            Asked::Exists(wanted) => all(needed(wanted.needs(true), key, at)),
            Asked::Match(wanted) => all(needed(wanted.needs(false), key, at)),
            Asked::Has(quantifier, keys) => {
                let token = |text: &Zeroizing<String>| match whole {
                    true => vec![key.exists(&key.path(&root, text))],
                    false => Vec::new(),
                };
                each(*quantifier, keys.iter().map(token).collect())
            }
        }
    }
}

/// Tokens of what a jsonpath needs below a path.
fn needed(needs: Vec<(Vec<&str>, Option<&Constant>)>, key: &JsonKey, from: &Path) -> Vec<i64> {
    let mut tokens = Vec::new();
    for (keys, constant) in &needs {
        let path = keys.iter().fold(*from, |path, name| key.path(&path, name));
        let within = |(other, at): &(Vec<&str>, Option<_>)| {
            other.starts_with(keys) && (other.len() > keys.len() || at.is_some())
        };
        // Of many some are asked for, whichever they are.
        let implied = needs.len() <= MAX_ASKED && needs.iter().any(within);
        tokens.extend((!keys.is_empty() && !implied).then(|| key.exists(&path)));
        tokens.extend(constant.map(|constant| match constant {
            Constant::Null => key.null(&path),
            Constant::Bool(value) => key.scalar(&path, if *value { "true" } else { "false" }),
            Constant::Number(text) | Constant::Text(text) => key.scalar(&path, value::searched(text)),
        }));
    }
    tokens
}

/// The path of keys that a way goes, `None` for that of the document; and whether that is all of it: a step that may be a key
/// or number an element ends it.
fn path_of(way: &[Way], key: &JsonKey) -> (Option<Path>, bool) {
    let mut path = None;
    for step in way {
        let name = match step {
            Way::Index(_) => continue,
            Way::Either(step) if value::index_of(step).is_some() => return (path, false),
            Way::Key(name) | Way::Either(name) => name,
        };
        path = Some(key.path(&path.unwrap_or_else(|| key.root()), name));
    }
    (path, true)
}

/// The document that a condition compares with.
fn one(search: &Search, operands: &Operands<'_>) -> Result<Option<Document<'static>>, PgError> {
    match &search.patterns {
        Patterns::One(Pattern::Value(n)) => operands.document(*n),
        _ => Ok(None),
    }
}

/// The jsonpath that a condition asks for.
fn json_path(search: &Search, operands: &Operands<'_>) -> Result<Option<JsonPath>, PgError> {
    let text = match &search.patterns {
        Patterns::One(Pattern::Value(n)) => operands.text(*n)?,
        _ => None,
    };
    let Some(text) = text else { return Ok(None) };
    JsonPath::read(&text).map(Some).ok_or_else(|| {
        PgError::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("this jsonpath on encrypted column {} is not supported", search.column),
        )
        .hint("Lax paths of keys, [*] and [n] work, with one filter at their end or a predicate: comparisons of such paths with constants, joined by && and ||, and exists.")
    })
}

fn same(search: &Search, operands: &Operands<'_>) -> Result<Option<Asked>, PgError> {
    let Patterns::List(quantifier, list) = &search.patterns else {
        return Ok(one(search, operands)?.map(|document| Asked::Same(Quantifier::All, vec![document])));
    };
    let document = |pattern: &Pattern| match pattern {
        Pattern::Value(n) => operands.document(*n),
        _ => Ok(None),
    };
    let documents: Option<Vec<_>> = list.iter().map(document).collect::<Result<Vec<_>, _>>()?.into_iter().collect();
    match documents {
        Some(documents) => Ok(Some(Asked::Same(*quantifier, documents))),
        None => Err(errors::odd_patterns(&search.column, "NULL among the values")),
    }
}

fn has(search: &Search, operands: &Operands<'_>, quantifier: Quantifier) -> Result<Option<Asked>, PgError> {
    let keys = match &search.patterns {
        Patterns::One(Pattern::Value(n)) => operands.text(*n)?.map(|key| vec![key]),
        // What is NULL is no key.
        Patterns::Array(_, n) => operands.array(*n)?.map(|keys| keys.into_iter().flatten().collect()),
        Patterns::List(_, list) => {
            let text = |pattern: &Pattern| match pattern {
                Pattern::Value(n) => operands.text(*n),
                _ => Ok(None),
            };
            let keys = list.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            Some(keys.into_iter().flatten().collect())
        }
        _ => None,
    };
    Ok(keys.map(|keys| Asked::Has(quantifier, keys)))
}
