//! State of the analysis of one touching statement, and readers of its tokens.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use pg_query::protobuf::RangeVar;

use super::body::{Called, Frame};
use super::copy::{Copy, Forms};
use super::formula::Formula;
use super::lex::{Kind, Lexed};
use super::plan::{Finish, OutColumn, Refusal, SessionState, Template};
use super::refuse::{self, Detail, Result, UNDEFINED_TABLE};
use super::rewrite::Edits;
use super::scope::{Derived, Scope, Span};
use super::site::Site;
use super::steps::Steps;
use super::unnest::Unnest;
use crate::schema::catalog::{Catalog, EncType, Oid, Relation, Standing};
use crate::wire::sqlstate::SqlState;

/// A common table expression that names may mean.
#[derive(Clone)]
pub(super) struct Cte {
    pub(super) name: String,
    /// `None` while its own text is analysed (a recursive reference that came too early).
    pub(super) columns: Option<Rc<[Derived]>>,
    pub(super) opaque: bool,
}

/// What a name in FROM means.
pub(super) enum Resolved {
    Cte(Cte),
    Relation(Arc<Relation>),
}

/// A result column of the outermost statement.
pub(super) enum TopColumn {
    Plain,
    Envelope(Arc<EncType>, Rc<str>),
    Composite(Arc<EncType>, Rc<str>),
    /// As these sites turn out.
    Open(Rc<[usize]>),
    /// JSON that holds encrypted values.
    Built(Rc<str>),
    /// Text that holds encrypted values.
    Joined(Rc<str>),
    /// Computed by the proxy, as the statement's list of such says.
    Finished(usize),
    /// The same, of values of the row.
    Computed(usize),
}

/// What analysis knows besides the text.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) session: &'a SessionState<'a>,
    pub(super) declared: &'a [Oid],
}

/// A name for an output column, should its value be sealed.
pub(super) struct Label {
    pub(super) site: usize,
    pub(super) at: u32,
    pub(super) order: usize,
    pub(super) name: String,
}

/// A view that stands in FROM.
pub(super) struct View {
    /// Its item.
    pub(super) item: u32,
    /// Its name in the text.
    pub(super) span: Span,
    /// The alias that it needs once it is a subquery, if none is written.
    pub(super) alias: Option<String>,
    /// It is in a subquery.
    pub(super) fenced: bool,
}

/// Analysis of one statement.
pub(super) struct Analyzer<'a> {
    /// The statement's own text.
    pub(super) text: &'a str,
    pub(super) lexed: &'a Lexed,
    /// Where the statement begins in the text that the grammar read.
    pub(super) base: u32,
    pub(super) catalog: &'a Catalog,
    pub(super) session: &'a SessionState<'a>,
    /// OIDs that the client declared for its parameters.
    pub(super) declared: Cow<'a, [Oid]>,
    /// For each token, the bracket that closes or opens it; its own index for other tokens.
    pub(super) partner: Vec<u32>,
    /// Token indices of literals, in order.
    pub(super) literals: Vec<u32>,
    /// Parameters that the client gives: up to its highest `$n`, or as many as it declared.
    pub(super) client_params: usize,
    pub(super) edits: Edits,
    pub(super) sites: Vec<Site>,
    /// Spans to delete if the site is sealed.
    pub(super) drops: Vec<(usize, Span)>,
    /// Names to give to output columns if the site is sealed: the rewriting would change them.
    pub(super) labels: Vec<Label>,
    /// `unnest` in FROM.
    pub(super) unnests: Vec<Unnest>,
    /// Conditions over a value alone.
    pub(super) alone: Vec<super::alone::Alone>,
    /// Conditions that the proxy decides before the statement runs.
    pub(super) searches: Vec<super::search::Found>,
    /// Encrypted values that the result holds within JSON.
    pub(super) marked: super::built::Marked,
    /// Aggregates that the proxy computes.
    /// Aggregates that the proxy computes, and of which of the `formulas`.
    pub(super) finishes: Vec<(Finish, Option<usize>)>,
    /// Expressions that the proxy computes.
    pub(super) formulas: Vec<Formula>,
    /// Conditions that every row of the result must meet, by their location in the tree.
    pub(super) conjuncts: Vec<i32>,
    /// Conditions that may as well be false as NULL, likewise.
    pub(super) asserted: Vec<i32>,
    /// Views that stand in FROM.
    pub(super) views: Vec<View>,
    /// Columns are looked at as the statement itself has just written them.
    pub(super) fresh: bool,
    pub(super) ctes: Vec<Vec<Cte>>,
    /// Something encrypted is touched.
    pub(super) touched: bool,
    /// It is an EXPLAIN that tells of columns by their names and runs nothing: result columns stay columns there.
    pub(super) explains: bool,
    /// Result columns of the outermost statement.
    pub(super) columns: Option<Vec<TopColumn>>,
    /// The same, where they are known from the first.
    pub(super) out_columns: Option<Vec<OutColumn>>,
    /// It is a COPY.
    pub(super) copy: Option<Copy>,
    /// What is sent, where edits do not make it.
    pub(super) forms: Option<Forms>,
    /// What runs in place of the statement.
    pub(super) instead: Option<Template>,
    /// What runs with it.
    pub(super) steps: Option<Steps>,
    /// Result columns that must equal a site: (column, site).
    pub(super) checks: Vec<(usize, usize)>,
    /// Where functions are called that may give another value each time.
    pub(super) varying: Vec<u32>,
    /// Window frames of RANGE with an offset that say no order themselves: the window they name, and where they stand.
    pub(super) ranged: Vec<(String, i32)>,
    /// How many calls of window functions were seen.
    pub(super) windows: usize,
    /// How many times a column was read by which the query groups.
    pub(super) keys: usize,
    /// Literals (by number) whose value decided the analysis.
    pub(super) fixed: Vec<usize>,
    /// The same, of keys that were compared with those of promoted paths.
    pub(super) weighed: std::cell::RefCell<Vec<usize>>,
    /// Functions that are called, whose bodies are to be judged.
    pub(super) calls: Vec<Called>,
    /// What names mean beside columns, where it is the query of a body.
    pub(super) frame: Option<Rc<Frame>>,
    next_item: u32,
}

/// What to do about a pin that does not hold.
const PINNED: &str = "If the change is meant, an admin confirms it: columnseal type confirm (another type) or type unpin (plain, or gone) \"column SCHEMA.TABLE.COLUMN\" --name \
DATABASE (\"columnseal type pins\" lists them). If not, somebody changed the database.";

impl<'a> Analyzer<'a> {
    pub(super) fn new(text: &'a str, lexed: &'a Lexed, base: u32, around: Around<'a>) -> Result<Self> {
        let Around { catalog, session, declared } = around;
        let literals = (0..lexed.tokens.len() as u32).filter(|&i| lexed.tokens[i as usize].is_literal()).collect();
        Ok(Analyzer {
            text,
            lexed,
            base,
            catalog,
            session,
            declared: declared.into(),
            partner: partners(text, lexed),
            literals,
            client_params: client_params(text, lexed)?.max(declared.len()),
            edits: Edits::default(),
            sites: Vec::new(),
            drops: Vec::new(),
            labels: Vec::new(),
            unnests: Vec::new(),
            alone: Vec::new(),
            searches: Vec::new(),
            marked: super::built::Marked::default(),
            finishes: Vec::new(),
            formulas: Vec::new(),
            conjuncts: Vec::new(),
            asserted: Vec::new(),
            views: Vec::new(),
            fresh: false,
            ctes: Vec::new(),
            touched: false,
            explains: false,
            columns: None,
            out_columns: None,
            copy: None,
            forms: None,
            instead: None,
            steps: None,
            checks: Vec::new(),
            varying: Vec::new(),
            ranged: Vec::new(),
            windows: 0,
            keys: 0,
            fixed: Vec::new(),
            weighed: Default::default(),
            calls: Vec::new(),
            frame: None,
            next_item: 0,
        })
    }

    /// What is around a statement: the arguments and variables of a body, else nothing.
    pub(super) fn frame_scope(&self) -> Rc<Scope<'static>> {
        self.frame.as_ref().map_or_else(|| Rc::new(Scope::new(Vec::new(), None)), |frame| frame.scope())
    }

    pub(super) fn item_id(&mut self) -> u32 {
        self.next_item += 1;
        self.next_item
    }

    /// The token that stands where a node of the tree says it does.
    pub(super) fn token(&self, location: i32) -> Result<usize> {
        u32::try_from(location)
            .ok()
            .and_then(|at| at.checked_sub(self.base))
            .and_then(|at| self.lexed.at(at as usize))
            .ok_or_else(|| {
                refuse::unsupported("a part of this statement cannot be followed in a statement on encrypted columns")
            })
    }

    /// Position in this statement's text of a node's location.
    pub(super) fn here(&self, location: i32) -> i32 {
        if location < 0 { -1 } else { location - self.base as i32 }
    }

    pub(super) fn span(&self, first: usize, last: usize) -> Span {
        (self.lexed.tokens[first].start, self.lexed.tokens[last].end)
    }

    pub(super) fn is_word(&self, token: usize, word: &str) -> bool {
        self.lexed.tokens.get(token).is_some_and(|t| t.is_word(self.text, word))
    }

    pub(super) fn is(&self, token: usize, punct: &str) -> bool {
        self.lexed
            .tokens
            .get(token)
            .is_some_and(|t| matches!(t.kind, Kind::Punct | Kind::Op) && t.text(self.text) == punct)
    }

    fn is_name(&self, token: usize) -> bool {
        self.lexed.tokens.get(token).is_some_and(|t| matches!(t.kind, Kind::Word | Kind::Quoted | Kind::UnicodeQuoted))
    }

    /// The closing bracket of this opening one, or the other way round.
    pub(super) fn partner(&self, token: usize) -> Result<usize> {
        match self.partner.get(token) {
            Some(&p) if p as usize != token => Ok(p as usize),
            _ => Err(refuse::with(SqlState::INTERNAL_ERROR, "a bracket of this statement has no partner")),
        }
    }

    /// Last token of a name that may have several parts (`a.b.c`).
    pub(super) fn name_end(&self, first: usize) -> usize {
        let mut last = first;
        while self.is(last + 1, ".") && (self.is_name(last + 2) || self.is(last + 2, "*")) {
            last += 2;
        }
        last
    }

    /// A name that may have several parts, as it is written, comments aside.
    pub(super) fn name_text(&self, first: usize) -> String {
        self.lexed.tokens[first..=self.name_end(first)].iter().map(|t| t.text(self.text)).collect()
    }

    /// Last token of a type name.
    pub(super) fn type_end(&self, first: usize) -> Result<usize> {
        let word = |i: usize, words: &[&str]| words.iter().any(|w| self.is_word(i, w));
        let mut last = first;
        if word(last, &["setof"]) {
            last += 1;
        }
        let precision = |mut last: usize| -> Result<usize> {
            if self.is(last + 1, "(") {
                last = self.partner(last + 1)?;
            }
            Ok(last)
        };
        if word(last, &["double"]) && word(last + 1, &["precision"]) {
            last += 1;
        } else if word(last, &["time", "timestamp"]) {
            last = precision(last)?;
            if word(last + 1, &["with", "without"]) && word(last + 2, &["time"]) && word(last + 3, &["zone"]) {
                last += 3;
            }
        } else if word(last, &["interval"]) {
            const FIELDS: &[&str] = &["year", "month", "day", "hour", "minute", "second"];
            last = precision(last)?;
            while word(last + 1, FIELDS) || (word(last + 1, &["to"]) && word(last + 2, FIELDS)) {
                last += if word(last + 1, &["to"]) { 2 } else { 1 };
            }
            last = precision(last)?;
        } else {
            if word(last, &["national"]) {
                last += 1;
            }
            last = self.name_end(last);
            if word(last, &["character", "char", "nchar", "bit"]) && word(last + 1, &["varying"]) {
                last += 1;
            }
            last = precision(last)?;
        }
        loop {
            if self.is(last + 1, "[") {
                last = self.partner(last + 1)?;
            } else if word(last + 1, &["array"]) {
                last += 1;
            } else {
                return Ok(last);
            }
        }
    }

    /// Number of the literal that this token is.
    pub(super) fn literal(&self, token: usize) -> Option<usize> {
        self.literals.binary_search(&(token as u32)).ok()
    }

    /// What a name in a FROM list or a target means, CTEs aside if `target`.
    pub(super) fn resolve(&mut self, range: &RangeVar, target: bool) -> Result<Resolved> {
        let at = self.here(range.location);
        if range.schemaname.is_empty() && !target {
            let found = self.ctes.iter().rev().flat_map(|frame| frame.iter().rev()).find(|c| c.name == range.relname);
            if let Some(cte) = found {
                return Ok(Resolved::Cte(cte.clone()));
            }
        }
        let relation = lookup(self.catalog, self.session, &range.schemaname, &range.relname)
            .ok_or_else(|| undefined_table(range).at(at))?;
        if let Some(alarm) = &relation.alarm {
            return Err(refuse::with(SqlState::INVALID_OBJECT_DEFINITION, alarm.clone()).hint(PINNED).at(at));
        }
        self.touched |= relation.touching;
        Ok(Resolved::Relation(relation.clone()))
    }

    /// Refused unless values of this type may be used.
    pub(super) fn usable(&self, t: &EncType) -> Result<()> {
        match &t.standing {
            Standing::Broken(why) => Err(refuse::with(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("encrypted type {} may not be used: {why}", super::types::sql_name(t)),
            )
            .hint("Restore the definition in schema seal; \"columnseal db status\" shows what differs.")),
            Standing::Verified | Standing::Unsigned => Ok(()),
        }
    }
}

/// The relation that a name means in this session.
pub(super) fn lookup<'c>(
    catalog: &'c Catalog,
    session: &SessionState<'_>,
    schema: &str,
    name: &str,
) -> Option<&'c Arc<Relation>> {
    let path = session.search_path.unwrap_or_default();
    match schema {
        "" => path.iter().find_map(|schema| catalog.relation(schema, name)),
        "pg_temp" => path
            .iter()
            .filter(|schema| schema.starts_with("pg_temp_"))
            .find_map(|schema| catalog.relation(schema, name)),
        schema => catalog.relation(schema, name),
    }
}

fn undefined_table(range: &RangeVar) -> Box<Refusal> {
    let name = if range.schemaname.is_empty() {
        range.relname.clone()
    } else {
        format!("{}.{}", range.schemaname, range.relname)
    };
    refuse::with(UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
}

fn partners(text: &str, lexed: &Lexed) -> Vec<u32> {
    let mut partner: Vec<u32> = (0..lexed.tokens.len() as u32).collect();
    let mut open = Vec::new();
    for (i, token) in lexed.tokens.iter().enumerate().filter(|(_, t)| t.kind == Kind::Punct) {
        match text.as_bytes()[token.start as usize] {
            b'(' | b'[' => open.push(i),
            b')' | b']' => {
                if let Some(o) = open.pop() {
                    partner[o] = i as u32;
                    partner[i] = o as u32;
                }
            }
            _ => {}
        }
    }
    partner
}

fn client_params(text: &str, lexed: &Lexed) -> Result<usize> {
    let params = lexed.tokens.iter().filter(|t| t.kind == Kind::Param);
    let mut highest = 0;
    for token in params {
        match token.text(text)[1..].parse::<usize>() {
            Ok(n) if (1..=usize::from(u16::MAX)).contains(&n) => highest = highest.max(n),
            _ => {
                return Err(refuse::with(SqlState("42P02"), "there is no such parameter").at(token.start as i32));
            }
        }
    }
    Ok(highest)
}
