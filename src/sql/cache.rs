//! Analyses that were made before: by exact text, else by token skeleton. Shared between sessions.
//!
//! A text, or a literal that an analysis depends on, is kept only if it holds no value of an encrypted column, so that the
//! cache holds none either.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::analyzer::Around;
use super::lex::Lexed;
use super::literal::Literals;
use super::plan::{Action, Analysis, Param, Piece, Plan, Refusal, Role, SessionState, Source, Statement, Template};
use super::refuse::SYNTAX_ERROR;
use super::skeleton::skeleton;
use super::statement::{self, Analyzed, FirstLook};
use crate::schema::catalog::{Catalog, Oid};

/// Bytes for each statement that the cache is made for.
const BYTES_A_STATEMENT: u64 = 8 * 1024;
/// A single entry takes this part of the cache at most.
const LARGEST_PART: u64 = 8;

/// What an analysis depends on.
struct Key {
    text: Box<str>,
    declared: Box<[Oid]>,
    version: u64,
    path: Option<Box<[String]>>,
    conforming: bool,
}

/// The same, borrowed.
struct Query<'q> {
    text: &'q str,
    declared: &'q [Oid],
    version: u64,
    path: Option<&'q [String]>,
    conforming: bool,
}

impl Query<'_> {
    fn to_key(&self) -> Key {
        Key {
            text: self.text.into(),
            declared: self.declared.into(),
            version: self.version,
            path: self.path.map(Into::into),
            conforming: self.conforming,
        }
    }
}

fn hash_parts<H: Hasher>(state: &mut H, text: &str, declared: &[Oid], version: u64, path: Option<&[String]>) {
    state.write(text.as_bytes());
    declared.hash(state);
    state.write_u64(version);
    path.hash(state);
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_parts(state, &self.text, &self.declared, self.version, self.path.as_deref());
    }
}

impl Hash for Query<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_parts(state, self.text, self.declared, self.version, self.path);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        let query = Query {
            text: &other.text,
            declared: &other.declared,
            version: other.version,
            path: other.path.as_deref(),
            conforming: other.conforming,
        };
        query.equivalent(self)
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Query<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.version == key.version
            && self.conforming == key.conforming
            && self.text == &*key.text
            && self.declared == &*key.declared
            && self.path == key.path.as_deref()
    }
}

/// Outcome for one text.
type Outcome = Result<Analysis, Arc<Refusal>>;

/// An outcome kept by exact text.
#[derive(Clone)]
struct Exact(Outcome);

/// An outcome kept by skeleton.
struct Shared {
    outcome: Outcome,
    /// Literals (by number in the whole text) that must read as they did.
    fixed: Vec<(usize, Box<str>)>,
    /// For each statement its first and last token; for each refusal (in statement order) the token it points at.
    spans: Vec<(usize, usize)>,
    pointed: Vec<Option<usize>>,
    weight: u64,
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Key, Exact> for ByWeight {
    fn weight(&self, key: &Key, value: &Exact) -> u64 {
        key.text.len() as u64 + 512 + statements_of(&value.0).iter().map(weight).sum::<u64>()
    }
}

impl Weighter<Key, Arc<Shared>> for ByWeight {
    fn weight(&self, key: &Key, value: &Arc<Shared>) -> u64 {
        key.text.len() as u64 + value.weight
    }
}

/// Analyses made before. Bounded by bytes; what is used least goes first.
pub struct PlanCache {
    exact: Cache<Key, Exact, ByWeight>,
    shared: Cache<Key, Arc<Shared>, ByWeight>,
    largest: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl PlanCache {
    /// A cache for about this many statements (8 KiB each).
    pub fn new(statements: usize) -> PlanCache {
        let bytes = statements.max(16) as u64 * BYTES_A_STATEMENT;
        PlanCache {
            exact: Cache::with_weighter(statements, bytes / 2, ByWeight),
            shared: Cache::with_weighter(statements / 2, bytes / 2, ByWeight),
            largest: bytes / 2 / LARGEST_PART,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Texts whose analysis was at hand, and texts that had to be analysed, so far.
    pub fn looked(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// As [`analyze`](super::analyze), from the cache if it was asked before.
    ///
    /// # Errors
    ///
    /// As of [`analyze`](super::analyze).
    pub fn analyze(&self, text: &str, declared: &[Oid], catalog: &Catalog, session: &SessionState<'_>) -> Outcome {
        let query = Query {
            text,
            declared,
            version: catalog.version,
            path: session.search_path,
            conforming: session.standard_conforming_strings,
        };
        match self.exact.get(&query) {
            Some(Exact(outcome)) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                outcome
            }
            None => self.miss(&query, catalog, session),
        }
    }

    fn miss(&self, query: &Query<'_>, catalog: &Catalog, session: &SessionState<'_>) -> Outcome {
        let around = Around { catalog, session, declared: query.declared };
        let missed = || self.misses.fetch_add(1, Ordering::Relaxed);
        let lexed = match statement::first_look(query.text, around) {
            Ok(FirstLook::Decided(analysis)) => {
                missed();
                self.keep_exact(query, &Ok(analysis.clone()));
                return Ok(analysis);
            }
            Ok(FirstLook::Tree(lexed)) => lexed,
            Err(refusal) => return Err(Arc::new(*refusal)),
        };
        let literals = Literals::of(&lexed);
        // With standard_conforming_strings off, analysis depends on what is in literals.
        let skeleton = if query.conforming { skeleton(query.text, &lexed, &literals, catalog) } else { None };
        let shared = skeleton.as_deref().map(|text| Query { text, ..*query });
        if let Some(found) = shared.as_ref().and_then(|q| self.shared.get(q))
            && found.serves(query.text, &literals)
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return found.outcome_for(&lexed, query.text);
        }
        missed();
        let (outcome, fixed) = match statement::analyze_tree(query.text, &lexed, around) {
            Ok(Analyzed { analysis, fixed }) => (Ok(analysis), fixed),
            Err(refusal) => (Err(Arc::new(*refusal)), Vec::new()),
        };
        if literals.is_empty() || holds_no_value(&outcome) {
            self.keep_exact(query, &outcome);
        }
        // What is untouched because of a literal's value has no statements that the literal could be counted in. What is wrong with a
        // text may be wrong with a literal.
        let shareable = match &outcome {
            Ok(Analysis::Statements(statements)) => !fixed.iter().any(|&fixed| may_be_value(statements, fixed)),
            Ok(_) => fixed.is_empty(),
            Err(refusal) => fixed.is_empty() && refusal.sqlstate != SYNTAX_ERROR,
        };
        if let Some(key) = shared.filter(|_| shareable && (!literals.is_empty() || !lexed.comments.is_empty())) {
            let shared = Shared::new(query.text, outcome.clone(), &fixed, &lexed, &literals);
            if shared.weight + key.text.len() as u64 <= self.largest {
                self.shared.insert(key.to_key(), Arc::new(shared));
            }
        }
        outcome
    }

    fn keep_exact(&self, query: &Query<'_>, outcome: &Outcome) {
        let weight = query.text.len() as u64 + 512 + statements_of(outcome).iter().map(weight).sum::<u64>();
        if weight <= self.largest && !matches!(outcome, Ok(Analysis::NeedsSearchPath)) {
            self.exact.insert(query.to_key(), Exact(outcome.clone()));
        }
    }
}

fn statements_of(outcome: &Outcome) -> &[Statement] {
    match outcome {
        Ok(Analysis::Statements(statements)) => statements,
        _ => &[],
    }
}

/// The text has no literal that is a value of an encrypted column.
fn holds_no_value(outcome: &Outcome) -> bool {
    match outcome {
        Ok(Analysis::Untouched(_) | Analysis::NeedsSearchPath) => true,
        Ok(Analysis::Statements(statements)) => statements.iter().all(|s| match &s.action {
            Action::Forward | Action::Choose(_) | Action::Fetch(_) => true,
            Action::Run(plan) => plan.params.iter().all(|p| matches!(p.source, Source::Client(_))),
            Action::Refuse(_) | Action::Execute(_) => false,
        }),
        Err(_) => false,
    }
}

/// A literal (by statement, and number in it) that the analysis depends on may be a value of an encrypted column.
fn may_be_value(statements: &[Statement], (statement, literal): (usize, usize)) -> bool {
    let sealed = |param: &Param| {
        let same = matches!(param.source, Source::Literal(k) | Source::Negated(k) if k == literal);
        same && !matches!(param.role, Role::Plain)
    };
    match &statements[statement].action {
        Action::Refuse(_) | Action::Execute(_) => true,
        Action::Run(plan) => plan.params.iter().any(sealed),
        Action::Forward | Action::Choose(_) | Action::Fetch(_) => false,
    }
}

impl Shared {
    fn new(text: &str, outcome: Outcome, fixed: &[(usize, usize)], lexed: &Lexed, literals: &Literals) -> Shared {
        let token = |at: usize| lexed.tokens.partition_point(|t| (t.start as usize) < at);
        let statements = statements_of(&outcome);
        let spans = statements.iter().map(|s| (token(s.span.start), token(s.span.end) - 1)).collect();
        let refusals = statements.iter().filter_map(|s| if let Action::Refuse(r) = &s.action { Some(r) } else { None });
        let pointed = refusals.chain(outcome.as_ref().err()).map(|r| r.position.map(token)).collect();
        let first = |statement: usize| literals.partition_point(|l| l.span.start < statements[statement].span.start);
        let fixed = fixed.iter().map(|&(statement, k)| {
            let k = first(statement) + k;
            (k, literals.get(k).map_or("", |l| &text[l.span.clone()]).into())
        });
        let fixed: Vec<(usize, Box<str>)> = fixed.collect();
        let kept = fixed.iter().map(|(_, text)| text.len() as u64 + 32).sum::<u64>();
        let weight = 1024 + kept + statements.iter().map(weight).sum::<u64>();
        Shared { fixed, spans, pointed, weight, outcome: outcome.clone() }
    }

    fn serves(&self, text: &str, literals: &Literals) -> bool {
        self.fixed.iter().all(|(k, value)| literals.get(*k).is_some_and(|l| text[l.span.clone()] == **value))
    }

    /// The outcome for another text of the same skeleton: spans and positions are its own.
    fn outcome_for(&self, lexed: &Lexed, text: &str) -> Outcome {
        let mut pointed = self.pointed.iter();
        let mut moved = |refusal: &Arc<Refusal>| {
            let token = pointed.next().copied().flatten();
            let position = token.map(|t| lexed.tokens.get(t).map_or(text.len(), |t| t.start as usize));
            Arc::new(Refusal { position, ..Refusal::clone(refusal) })
        };
        let statements = match &self.outcome {
            Ok(Analysis::Statements(statements)) => statements,
            Ok(other) => return Ok(other.clone()),
            Err(refusal) => return Err(moved(refusal)),
        };
        let with_span = |(statement, &(first, last)): (&Statement, &(usize, usize))| Statement {
            span: lexed.tokens[first].start as usize..lexed.tokens[last].end as usize,
            effects: statement.effects,
            renew: statement.renew,
            action: match &statement.action {
                Action::Refuse(refusal) => Action::Refuse(moved(refusal)),
                other => other.clone(),
            },
        };
        Ok(Analysis::Statements(statements.iter().zip(&self.spans).map(with_span).collect()))
    }
}

/// About the bytes that a statement's plan takes.
fn weight(statement: &Statement) -> u64 {
    let template = |template: &Template| {
        let text = |piece: &Piece| if let Piece::Text { text, .. } = piece { text.len() } else { 0 };
        template.pieces.iter().map(|piece| size_of::<Piece>() + text(piece)).sum::<usize>()
    };
    let plan = |plan: &Plan| {
        let params = plan.params.iter().map(|p| size_of::<Param>() + p.column.len() + 8).sum::<usize>();
        let columns = plan.columns.as_ref().map_or(0, |columns| columns.len() * 160);
        let templates = template(&plan.executed) + plan.described.as_ref().map_or(0, template);
        (512 + params + columns + templates) as u64
    };
    let own = size_of::<Statement>() as u64;
    own + if let Action::Run(p) = &statement.action { plan(p) } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tests::support;

    /// How many analyses are kept by skeleton, and what they weigh, once this was analysed.
    fn kept(text: &str) -> (usize, u64) {
        let (catalog, path) = (support::catalog(), support::path());
        let session = SessionState { search_path: Some(&path), standard_conforming_strings: true };
        let cache = PlanCache::new(1024);
        for _ in 0..2 {
            let again = cache.analyze(text, &[], &catalog, &session).expect("analysed");
            assert!(matches!(again, Analysis::Statements(_) | Analysis::Untouched(_)), "{text}");
        }
        (cache.shared.len(), cache.shared.weight())
    }

    #[test]
    fn literals_that_an_analysis_depends_on_are_kept_where_they_are_no_values() {
        for (text, number) in [
            ("SELECT id FROM users WHERE email = 'secret'", 1),
            ("SELECT email, 'x' FROM users GROUP BY 1", 1),
            ("SELECT id FROM users WHERE 'secret' = '' OR email = 'secret'", 1),
            ("SELECT name::varchar(3), email FROM users WHERE email = 'secret'", 1),
            ("SELECT upper(email), 'x' FROM users", 1),
            // Refused, or grouped by it.
            ("DO $$ BEGIN UPDATE users SET email = 'secret'; END $$", 0),
            ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'UPDATE users SET email = ''secret'''", 0),
            ("SELECT name::varchar(3), initcap(email) FROM users", 0),
            ("SELECT coalesce(email, 'secret') FROM users GROUP BY coalesce(email, 'secret')", 0),
            ("SELECT id FROM users WHERE email = 'a'; DO $$ BEGIN UPDATE users SET email = 'secret'; END $$", 0),
        ] {
            assert_eq!(kept(text).0, number, "{text}");
        }
    }

    #[test]
    fn literals_that_are_kept_have_their_weight() {
        let weight = |length: usize| {
            kept(&format!("SELECT set_config('{}', 'b', true), id, email FROM users", "a".repeat(length))).1
        };
        assert_eq!(weight(5_000), weight(5) + 4_995);
    }
}
