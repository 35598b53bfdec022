//! What a session remembers of a statement or portal it sent in rewritten form.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use zeroize::Zeroizing;

use super::audit::Entry;
use super::built;
use super::finish::Finished;
use super::formula::{Computed, Held};
use super::roles::Sight;
use crate::crypto::KeysetId;
use crate::crypto::term::TermKeys;
use crate::schema::catalog::{EncType, Oid};
use crate::sql::own::Wish;
use crate::sql::plan::{Effects, OutColumn, Plan, Role};
use crate::sql::{Act, PositionMap};
use crate::wire::value;

/// What an analysis was made of beside the text. Under another one the same text may mean something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    /// Version of the catalog.
    pub(super) catalog: u64,
    /// Version of the session's search_path.
    pub(super) path: u64,
}

/// A statement that a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Statement {
    /// Forwarded as it is.
    Forwarded(Forwarded),
    /// Rewritten.
    Plan(Arc<Prepared>, Seen),
}

impl Statement {
    /// What its analysis was made of.
    pub(super) fn seen(&self) -> Seen {
        match self {
            Statement::Forwarded(forwarded) => forwarded.seen,
            Statement::Plan(_, seen) => *seen,
        }
    }

    /// It is a FETCH.
    pub(super) fn reads(&self) -> bool {
        match self {
            Statement::Forwarded(forwarded) => forwarded.effects.fetches,
            Statement::Plan(prepared, _) => prepared.plan.reads.is_some(),
        }
    }

    /// The same, analysed anew.
    pub(super) fn seen_at(self, seen: Seen) -> Self {
        match self {
            Statement::Forwarded(forwarded) => Statement::Forwarded(Forwarded { seen, ..forwarded }),
            Statement::Plan(prepared, _) => Statement::Plan(prepared, seen),
        }
    }
}

/// A statement that was forwarded as it is.
#[derive(Clone, Debug)]
pub(super) struct Forwarded {
    /// What running it may change in the session.
    pub(super) effects: Effects,
    pub(super) turning: Turning,
    pub(super) seen: Seen,
    /// The text and the declared types, of a named one.
    pub(super) source: Option<Arc<Source>>,
    /// It was prepared by SQL; the text is that of PREPARE.
    pub(super) by_sql: bool,
}

impl Forwarded {
    /// What PREPARE made of this text. It was judged before it was sent; what it means when it is run is judged then.
    pub(super) fn by_sql(text: &str) -> Self {
        let source = Some(Arc::new(Source { sql: text.as_bytes().to_vec(), oids: Vec::new() }));
        let effects = Effects { writes: true, settings: true, configures: true, ..Effects::default() };
        Forwarded { effects, turning: Turning::Nothing, seen: Seen::default(), source, by_sql: true }
    }
}

/// What running a statement does to the choice of keyset.
#[derive(Clone, Debug, Default)]
pub(super) enum Turning {
    /// Nothing.
    #[default]
    Nothing,
    /// What its words tell.
    Act(Act),
    /// It chooses; whether it may is looked up when it is run.
    Wish(Arc<Wish>),
}

/// What a client prepared. It holds no value of an encrypted column, or it would not have been forwarded.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) sql: Vec<u8>,
    pub(super) oids: Vec<Oid>,
}

/// A portal that a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Bound {
    /// Of a statement that was forwarded: what running it may change.
    Forwarded(Effects, Turning),
    /// Of a plan.
    Plan(Arc<Portal>),
}

/// A rewritten statement as one client prepared it.
pub(super) struct Prepared {
    pub(super) plan: Arc<Plan>,
    /// The statement as the client gave it.
    pub(super) text: Zeroizing<String>,
    /// Parameter types that the client declared; 0 or missing is unspecified.
    pub(super) declared: Vec<Oid>,
    /// By parameter of the plan: its value where that is not a parameter of the client's.
    pub(super) literals: Vec<Option<Zeroizing<String>>>,
    /// Characters of the client's text before this statement.
    pub(super) before: u32,
    /// From the text that was sent to the client's.
    pub(super) positions: PositionMap,
    pub(super) effects: Effects,
    /// Of a FETCH, the portal that declared the cursor.
    pub(super) cursor: Option<Arc<Portal>>,
    /// Where its runs are counted, if they are.
    pub(super) entry: Option<Arc<Entry>>,
    /// Of an EXECUTE within EXPLAIN or CREATE TABLE AS, what it names: this is that statement, with the arguments as parameters.
    pub(super) runs: Option<Runs>,
}

/// An EXECUTE within another statement, which takes no parameters of its own.
pub(super) struct Runs {
    /// The statement as the client gave it.
    pub(super) text: Zeroizing<String>,
    /// The name that it runs.
    pub(super) name: String,
    /// What that stood for.
    pub(super) executed: Arc<Prepared>,
    /// The values of the parameters.
    pub(super) arguments: Vec<Option<Zeroizing<String>>>,
    /// It shows no more of its values, which are all NULL, than the plan: that depends on how PostgreSQL plans.
    pub(super) valueless: bool,
    /// Where the plan is made without values, the query and the types of its parameters: EXPLAIN is of a statement made of it.
    pub(super) generic: Option<(String, Vec<Oid>)>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("params", &self.plan.params.len()).finish_non_exhaustive()
    }
}

impl Prepared {
    /// Position in the client's text of a position in the text that was sent; both count characters from 1.
    pub(super) fn to_client(&self, position: u32) -> Option<u32> {
        if self.runs.is_some() {
            // What the name stands for was written elsewhere.
            return None;
        }
        self.positions.to_client(position).map(|p| p + self.before)
    }

    /// Values are sealed, or terms made, in the keyset that the session chose; or the choice is shown.
    pub(super) fn chooses(&self) -> bool {
        self.plan.params.iter().any(|p| match &p.role {
            Role::Store(enc) | Role::Equal(enc) | Role::EqualArray(enc) => enc.def.keyset.is_none(),
            Role::Shown(_) => true,
            Role::Plain | Role::Test(_) => false,
            Role::Pattern(_) | Role::Patterns(_) | Role::Tokens(_) | Role::Matching(_) | Role::Others(_) => false,
            Role::Given(..) | Role::Held(_) | Role::Mark => false,
        }) || self.plan.searches.iter().any(|s| s.enc.def.keyset.is_none())
            || self.plan.copy_in().is_some()
    }

    /// The format of results of a simple query.
    pub(super) fn simple_format(&self) -> value::Format {
        let cursor = self.cursor.as_ref().and_then(|declared| declared.prepared.plan.cursor.as_ref());
        if cursor.is_some_and(|c| c.binary) { value::Format::Binary } else { value::Format::Text }
    }

    /// Some result column is encrypted.
    pub(super) fn opens(&self) -> bool {
        self.plan.returned().is_some_and(|columns| columns.iter().any(|c| !matches!(c, OutColumn::Plain)))
    }

    /// It writes, and what is computed here may fail once that is done (`sum` out of range, a group too long, a cast).
    pub(super) fn undoes(&self) -> bool {
        let fails = |column: &OutColumn| match column {
            OutColumn::Finished(_) => true,
            OutColumn::Computed(formula) => formula.expr.may_fail(),
            _ => false,
        };
        let computed = |columns: &[OutColumn]| columns.iter().any(fails);
        self.effects.writes && self.plan.returned().is_some_and(computed)
    }

    /// Types of the parameters that the client gives.
    pub(super) fn client_params(&self) -> &[Oid] {
        match (&self.runs, self.plan.confirmed.get()) {
            (None, Some(confirmed)) => &confirmed.client_param_oids,
            _ => &[],
        }
    }

    /// The client's declared type of its parameter `n` (from 0); 0 is unspecified.
    pub(super) fn declared(&self, n: usize) -> Oid {
        self.declared.get(n).copied().unwrap_or(0)
    }
}

/// A portal of a plan.
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    /// One per result column.
    pub(super) cells: Vec<Cell>,
    /// What COPY needs besides, if it is one.
    pub(super) copy: Option<Copying>,
    /// The whole RowDescription message that the client is told, if it has result columns.
    pub(super) row_description: Option<Vec<u8>>,
    /// The session's output settings when it was bound.
    pub(super) settings: Arc<value::Settings>,
    /// What selected columns must be, since they were looked up by it.
    pub(super) checks: Arc<[Checked]>,
    /// What expressions are computed with, if there are any.
    pub(super) held: Option<Arc<Held>>,
    /// A simple query is told what its rows are when the first one comes: PostgreSQL runs utility statements before it tells.
    pub(super) late: bool,
    /// Rows handed on by earlier Executes.
    pub(super) rows: AtomicU64,
}

/// What a COPY needs besides.
pub(super) enum Copying {
    /// FROM STDIN: the keyset of each encrypted column.
    In(Vec<Option<KeysetId>>),
    /// TO STDOUT.
    Out(Printer),
}

/// How the rows of COPY TO STDOUT are printed.
pub(super) struct Printer {
    /// The messages before the first row.
    pub(super) opening: Vec<u8>,
    /// Columns that are always quoted.
    pub(super) quoted: Vec<bool>,
}

/// A selected column that was looked up by an operand: its value must have the operand's term.
pub(super) struct Checked {
    /// Index of the result column.
    pub(super) column: usize,
    pub(super) term: Box<[u8]>,
    /// The keyset and keys that the term was made with.
    pub(super) keyset: KeysetId,
    pub(super) keys: Arc<TermKeys>,
}

impl Portal {
    /// Its rows are printed for COPY TO STDOUT.
    pub(super) fn printer(&self) -> Option<&Printer> {
        match &self.copy {
            Some(Copying::Out(printer)) => Some(printer),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portal").field("columns", &self.cells.len()).finish_non_exhaustive()
    }
}

/// How a result column reaches the client.
pub(super) enum Cell {
    /// As the server sends it.
    Plain,
    /// As the connection's role may see it.
    Sealed {
        enc: Arc<EncType>,
        sight: Sight,
        /// The server sends the whole composite, not the envelope alone.
        composite: bool,
        /// The format that the client asked for.
        format: value::Format,
        /// For errors.
        column: String,
    },
    /// An aggregate that is computed of values.
    Finished(Finished),
    /// An expression that is computed of values.
    Computed(Computed),
    /// JSON or text that holds values.
    Built {
        /// As their marks number them.
        values: Arc<[built::Value]>,
        /// It is JSON, in which values are strings.
        quoted: bool,
        /// As values are printed there.
        settings: Arc<value::Settings>,
        /// For errors.
        column: String,
    },
}
