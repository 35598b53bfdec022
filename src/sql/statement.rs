//! One query text: untouched, or a plan or refusal for each of its statements.

use std::ops::Range;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, RawStmt};

use super::analyzer::{Analyzer, Around, TopColumn};
use super::cursor::{Cursor, Fetch};
use super::execute::{Execute, Prepare};
use super::formula::Formula;
use super::lex::{Kind, Lexed, StringKind, Token};
use super::own::{Show, Wish};
use super::parse;
use super::plan::{Action, Analysis, Check, Effects, Finish, Of, OutColumn, Plan, Refusal, SessionState, Statement};
use super::refuse::{self, Detail, Result, SYNTAX_ERROR};
use super::site::Decision;
use super::untouched;
use crate::schema::catalog::{Catalog, Oid};
use crate::wire::sqlstate::SqlState;

/// Analyses a query text of the simple or extended protocol.
///
/// `declared`: OIDs that the client gave its parameters (0 or missing: none).
///
/// # Errors
///
/// A text that cannot be read while the database has encrypted columns. Refusals of single statements are actions of
/// [`Analysis::Statements`].
pub fn analyze(
    text: &str,
    declared: &[Oid],
    catalog: &Catalog,
    session: &SessionState<'_>,
) -> Result<Analysis, Refusal> {
    let around = Around { catalog, session, declared };
    let analysis = first_look(text, around).and_then(|look| match look {
        FirstLook::Decided(analysis) => Ok(analysis),
        FirstLook::Tree(lexed) => Ok(analyze_tree(text, &lexed, around)?.analysis),
    });
    analysis.map_err(|r| *r)
}

/// An analysis, and the literals of each statement that it depends on by value.
pub(super) struct Analyzed {
    pub(super) analysis: Analysis,
    /// (statement, literal of it).
    pub(super) fixed: Vec<(usize, usize)>,
}

/// What a text's words decide.
pub(super) enum FirstLook {
    Decided(Analysis),
    /// The tree must be looked at.
    Tree(Lexed),
}

/// What can be decided without the grammar.
pub(super) fn first_look(text: &str, around: Around<'_>) -> Result<FirstLook> {
    let Around { catalog, session, .. } = around;
    let lexed = match Lexed::new(text, session.standard_conforming_strings) {
        Ok(lexed) => lexed,
        // PostgreSQL cannot read it either; what it says of it is its own affair.
        Err(_) if catalog.is_plain() => return Ok(FirstLook::Decided(Analysis::Untouched(Effects::default()))),
        Err(e) => return Err(refuse::with(SYNTAX_ERROR, e.message).at(e.position as i32)),
    };
    let words = untouched::words_of_text(text, &lexed, catalog);
    if !words.ours && (catalog.is_plain() || !words.suspect) {
        return Ok(FirstLook::Decided(Analysis::Untouched(words.effects)));
    }
    if !session.standard_conforming_strings && (words.ours || !catalog.is_plain()) {
        // The grammar reads a backslash in a plain string as one of its letters, and would see the string end elsewhere.
        let odd = |t: &&Token| t.kind == Kind::Str(StringKind::Plain) && t.text(text).contains('\\');
        if let Some(token) = lexed.tokens.iter().find(odd) {
            return Err(refuse::unsupported(
                "a string with backslashes needs standard_conforming_strings in a statement on encrypted columns",
            )
            .hint("Write E'...', or set standard_conforming_strings to on.")
            .at(token.start as i32));
        }
    }
    if session.search_path.is_none() && !catalog.is_plain() {
        return Ok(FirstLook::Decided(Analysis::NeedsSearchPath));
    }
    Ok(FirstLook::Tree(lexed))
}

/// Analysis of a text whose words do not decide.
pub(super) fn analyze_tree(text: &str, lexed: &Lexed, around: Around<'_>) -> Result<Analyzed> {
    parse::with_tree(text, lexed, |raw| statements(text, lexed, raw, around))
}

fn statements(text: &str, lexed: &Lexed, raw: &[RawStmt], around: Around<'_>) -> Analyzed {
    let mut out: Vec<Statement> = Vec::with_capacity(raw.len());
    let mut fixed = Vec::new();
    let mut renew = false;
    for statement in raw {
        let Some(node) = statement.stmt.as_deref() else { continue };
        let tokens = statement_tokens(text, lexed, statement);
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { continue };
        let span = first.start as usize..last.end as usize;
        let words = untouched::words(text, tokens, around.catalog);
        let action = match words.suspect || words.ours {
            false => Action::Forward,
            true => {
                let (action, literals) = one(text, lexed, span.clone(), node, around);
                fixed.extend(literals.into_iter().map(|k| (out.len(), k)));
                action
            }
        };
        let effects = Effects { chooses: matches!(action, Action::Choose(_)), ..words.effects };
        out.push(Statement { span, effects, action, renew });
        renew |= words.effects.ddl || words.effects.settings;
    }
    let touched = out.iter().any(|s| !matches!(s.action, Action::Forward));
    // Even where all are forwarded, a later one may mean something else once an earlier one has run.
    if touched || out.iter().any(|s| s.renew) {
        return Analyzed { analysis: Analysis::Statements(out.into()), fixed };
    }
    let effects = out.iter().fold(Effects::default(), |sum, s| sum.join(s.effects));
    Analyzed { analysis: Analysis::Untouched(effects), fixed }
}

/// What of a text can go on while a transaction has failed, judged by its words alone: `None` unless its first statement
/// ends the transaction, or returns to a savepoint, or there is none: an empty text is answered as one. All that follows must be analysed again once that has run.
pub fn after_failure(text: &str, standard_conforming_strings: bool) -> Option<Analysis> {
    let lexed = Lexed::new(text, standard_conforming_strings).ok()?;
    let catalog = Catalog::default();
    let parts = lexed.tokens.split(|t| t.kind == Kind::Punct && t.text(text) == ";").filter(|part| !part.is_empty());
    let mut out: Vec<Statement> = Vec::new();
    for tokens in parts {
        let effects = untouched::words(text, tokens, &catalog).effects;
        let span = tokens.first()?.start as usize..tokens.last()?.end as usize;
        let goes_on = effects.transaction && !effects.ddl;
        if out.is_empty() && !goes_on {
            return None;
        }
        out.push(Statement { span, effects, action: Action::Forward, renew: !out.is_empty() });
    }
    match &out[..] {
        [] => Some(Analysis::Untouched(Effects::default())),
        [one] => Some(Analysis::Untouched(one.effects)),
        _ => Some(Analysis::Statements(out.into())),
    }
}

/// Tokens of a statement: those in the bytes that the grammar gives it, semicolons aside.
pub(super) fn statement_tokens<'l>(text: &str, lexed: &'l Lexed, raw: &RawStmt) -> &'l [Token] {
    let start = raw.stmt_location.max(0) as u32;
    let end = if raw.stmt_len > 0 { start + raw.stmt_len as u32 } else { text.len() as u32 };
    let first = lexed.tokens.partition_point(|t| t.start < start);
    let last = lexed.tokens.partition_point(|t| t.start < end);
    let mut tokens = &lexed.tokens[first..last];
    let is_end = |t: &Token| t.kind == Kind::Punct && t.text(text) == ";";
    while let Some((_, rest)) = tokens.split_first().filter(|(t, _)| is_end(t)) {
        tokens = rest;
    }
    while let Some((_, rest)) = tokens.split_last().filter(|(t, _)| is_end(t)) {
        tokens = rest;
    }
    tokens
}

/// Analyses one statement of a text.
fn one(text: &str, lexed: &Lexed, span: Range<usize>, node: &Node, around: Around<'_>) -> (Action, Vec<usize>) {
    let whole = span.start == 0 && span.end == text.len();
    let own = if whole { None } else { slice(lexed, &span) };
    let lexed = own.as_ref().unwrap_or(lexed);
    let slice = &text[span.clone()];
    let mut fixed = Vec::new();
    let outcome = Analyzer::new(slice, lexed, span.start as u32, around).and_then(|mut analyzer| {
        let kind = analyzer.statement(node).and_then(|kind| analyzer.follow().map(|()| kind));
        // A refusal too may depend on what a literal holds.
        fixed = std::mem::take(&mut analyzer.fixed);
        fixed.extend(analyzer.weighed.take());
        fixed.sort_unstable();
        fixed.dedup();
        analyzer.finish(kind?)
    });
    match outcome {
        Ok(action) => (action, fixed),
        Err(mut refusal) => {
            refusal.position = refusal.position.map(|p| p + span.start);
            if refusal.sqlstate == SqlState::FEATURE_NOT_SUPPORTED {
                refusal.hint.get_or_insert_with(|| refuse::WHAT_WORKS.into());
            }
            (Action::Refuse(Arc::new(*refusal)), fixed)
        }
    }
}

/// The tokens of a part of a text, as that part's own.
pub(super) fn slice(lexed: &Lexed, span: &Range<usize>) -> Option<Lexed> {
    let (start, end) = (span.start as u32, span.end as u32);
    let moved = |t: &Token| Token { start: t.start - start, end: t.end - start, kind: t.kind };
    let first = lexed.tokens.partition_point(|t| t.start < start);
    let last = lexed.tokens.partition_point(|t| t.start < end);
    let comments = &lexed.comments[lexed.comments.partition_point(|c| c.0 < start)..];
    let comments = comments.iter().take_while(|c| c.1 <= end).map(|c| (c.0 - start, c.1 - start));
    Some(Lexed { tokens: lexed.tokens[first..last].iter().map(moved).collect(), comments: comments.collect() })
}

/// What analysis made of a statement.
pub(super) enum Outcome {
    /// It touches nothing encrypted, or no value of it: as it is.
    Forward,
    /// Rewritten; there is something to describe.
    Described,
    /// Rewritten; the executed form is all there is.
    Utility,
    /// The proxy answers of itself.
    Show(Show),
    /// The keyset of the session is chosen.
    Choose(Wish),
    /// A cursor is declared over what is described.
    Cursor(Cursor),
    /// Rows of a cursor are read.
    Fetch(Fetch),
    /// What is described is prepared.
    Prepare(Prepare),
    /// A prepared statement is run.
    Execute(Execute),
}

impl Analyzer<'_> {
    fn statement(&mut self, node: &Node) -> Result<Outcome> {
        let analysed = match super::tree::kind(node) {
            Some(NodeEnum::SelectStmt(select)) if select.into_clause.is_some() => {
                return match self.select_into(select) {
                    Err(_) if !self.touched && !self.touches(node) => Ok(Outcome::Forward),
                    outcome => outcome,
                };
            }
            Some(NodeEnum::SelectStmt(select)) => self.select(select, None, true).map(|_| ()),
            Some(NodeEnum::InsertStmt(insert)) => self.insert(insert, true).map(|_| ()),
            Some(NodeEnum::UpdateStmt(update)) => self.update(update, true).map(|_| ()),
            Some(NodeEnum::DeleteStmt(delete)) => self.delete(delete, true).map(|_| ()),
            Some(NodeEnum::MergeStmt(merge)) => self.merge(merge),
            _ => return self.utility(node),
        };
        match analysed {
            Ok(()) if self.touched => Ok(Outcome::Described),
            Ok(()) => Ok(Outcome::Forward),
            // What is not understood may be forwarded if nothing in it is encrypted.
            Err(_) if !self.touched && !self.touches(node) => Ok(Outcome::Forward),
            Err(refusal) => Err(refusal),
        }
    }

    fn finish(mut self, kind: Outcome) -> Result<Action> {
        let kind = match kind {
            Outcome::Forward => {
                if let Some(formula) = self.formulas.first() {
                    return Err(refuse::on_column("an expression in this statement", &formula.column));
                }
                return match (self.marked.column(), self.finished_column()) {
                    (Some(column), _) => Err(refuse::on_column("JSON built of it in this statement", column)),
                    (_, Some(column)) => Err(refuse::on_column("an aggregate in this statement", column)),
                    _ => Ok(Action::Forward),
                };
            }
            Outcome::Show(show) => return Ok(Action::Run(Arc::new(show.plan(self.client_params)))),
            Outcome::Choose(wish) => return Ok(Action::Choose(Arc::new(wish))),
            Outcome::Execute(execute) => return Ok(Action::Execute(Arc::new(execute))),
            Outcome::Fetch(fetch) => return Ok(Action::Fetch(Arc::new(fetch))),
            other => other,
        };
        if let (Some(formula), Outcome::Utility, true) = (self.formulas.first(), &kind, self.copy.is_none()) {
            return Err(refuse::on_column("an expression in this statement", &formula.column));
        }
        let (mut params, index) = self.place_sites()?;
        let formulas = std::mem::take(&mut self.formulas).into_iter();
        let formulas = formulas.map(|f| Arc::new(Formula { expr: f.expr.renumbered(&|site| index[site]), ..f }));
        let formulas: Vec<Arc<Formula>> = formulas.collect();
        let letters = formulas.iter().find(|f: &&Arc<Formula>| f.expr.tells_case()).map(|f| f.column.clone());
        let searches = self.place_searches(&mut params, &index);
        if !searches.is_empty() && matches!(kind, Outcome::Utility) && self.copy.is_none() {
            return Err(refuse::on_column(
                &format!("{} in this statement", searches[0].construct()),
                &searches[0].column,
            ));
        }
        let built = self.place_built(&mut params)?;
        if let (Some(value), Outcome::Utility, true) = (built.first(), &kind, self.copy.is_none()) {
            return Err(refuse::on_column("JSON built of it in this statement", &value.column));
        }
        let columns =
            self.columns.take().map(|columns| columns.into_iter().map(|c| self.out_column(c, &formulas)).collect());
        let columns = columns.or(self.out_columns.take());
        let mut checks: Vec<Check> =
            self.checks.iter().filter_map(|&(column, site)| index[site].map(|param| Check { column, param })).collect();
        checks.dedup();
        let loose = self.loose();
        let (mut described, mut executed) = self.edits.templates(self.text, self.lexed)?;
        if let Some(forms) = self.forms.take() {
            described = forms.described;
            executed = forms.executed.unwrap_or(executed);
        }
        executed = self.instead.take().unwrap_or(executed);
        let described = (!matches!(kind, Outcome::Utility)).then_some(described);
        let (cursor, prepares) = match kind {
            Outcome::Cursor(cursor) => (Some(cursor), None),
            Outcome::Prepare(prepare) => (None, Some(prepare)),
            _ => (None, None),
        };
        Ok(Action::Run(Arc::new(Plan {
            described,
            executed,
            params,
            loose,
            client_params: self.client_params,
            columns,
            copy: self.copy.take(),
            steps: self.steps.take(),
            checks,
            searches,
            letters,
            built,
            cursor,
            prepares,
            reads: None,
            confirmed: std::sync::OnceLock::new(),
            shape: std::sync::OnceLock::new(),
        })))
    }

    fn out_column(&self, column: TopColumn, formulas: &[Arc<Formula>]) -> OutColumn {
        match column {
            TopColumn::Plain => OutColumn::Plain,
            TopColumn::Built(name) => OutColumn::Built(name.to_string()),
            TopColumn::Joined(name) => OutColumn::Joined(name.to_string()),
            TopColumn::Computed(at) => OutColumn::Computed(Arc::clone(&formulas[at])),
            TopColumn::Finished(at) => {
                let (finish, formula) = &self.finishes[at];
                let of = formula.map_or(finish.of.clone(), |at| Of::Formula(Arc::clone(&formulas[at])));
                OutColumn::Finished(Arc::new(Finish { of, ..finish.clone() }))
            }
            TopColumn::Envelope(ty, name) => OutColumn::Envelope(ty, name.to_string()),
            TopColumn::Composite(ty, name) => OutColumn::Composite(ty, name.to_string()),
            TopColumn::Open(sites) => match sites.iter().find_map(|&s| match &self.sites[s].decision {
                Some(Decision::Store(ty)) => Some((ty.clone(), self.sites[s].column.to_string())),
                _ => None,
            }) {
                Some((ty, name)) => OutColumn::Composite(ty, name),
                None => OutColumn::Plain,
            },
        }
    }
}
