//! What analysis says of a statement.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::schema::catalog::{EncType, Oid};
use crate::wire::server::RowDescription;
use crate::wire::sqlstate::SqlState;
use crate::wire::value::{Aggregate, Digits, Gives, PlainType, Scalar, Sort};

use super::copy::{Copy, CopyIn, CopyOut};
use super::cursor::{Cursor, Fetch};
use super::execute::{Execute, Prepare};
use super::formula::Formula;
use super::literal::Literals;
use super::own::{Show, Wish};
use super::pattern::Search;
use super::shape::Shape;
use super::steps::Steps;

/// What analysis needs to know of a session.
#[derive(Clone, Debug)]
pub struct SessionState<'a> {
    /// Schemas in the order they are searched, as `current_schemas(true)` says (implicit ones included, `pg_temp_N`
    /// by its real name), and after them, once more, the one that new relations come to be in; or `None` where not yet asked for.
    pub search_path: Option<&'a [String]>,
    /// Setting of the same name. Off: analysis refuses literals with a backslash in touching statements.
    pub standard_conforming_strings: bool,
}

/// Outcome for one query text.
#[derive(Clone, Debug)]
pub enum Analysis {
    /// Every statement is untouched: forward the text as it is.
    Untouched(Effects),
    /// The answer depends on the session's search_path: find it out and ask again.
    NeedsSearchPath,
    /// One plan or refusal per statement, in order.
    Statements(Arc<[Statement]>),
}

/// One statement of a query text.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Bytes of the text it stands in, without the semicolon.
    pub span: Range<usize>,
    /// What running it may change in the session.
    pub effects: Effects,
    /// What to do with it.
    pub action: Action,
    /// An earlier statement of the same text may change the catalog or the search_path, so this one must be
    /// analysed again (its span of the text, alone) before it is run.
    pub renew: bool,
}

/// What to do with a statement.
#[derive(Clone, Debug)]
pub enum Action {
    /// Touches nothing encrypted.
    Forward,
    /// Touches encrypted columns and is covered.
    Run(Arc<Plan>),
    /// Sets or resets the keyset of the session: forwarded as it is, once that is granted.
    Choose(Arc<Wish>),
    /// Reads from a cursor, which may be one of encrypted columns: the session knows.
    Fetch(Arc<Fetch>),
    /// Runs a prepared statement by SQL, which may be one on encrypted columns: the session knows.
    Execute(Arc<Execute>),
    /// Refused before anything is sent.
    Refuse(Arc<Refusal>),
}

/// What running a statement may change. Several statements' effects are joined by or.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effects {
    /// May change the catalog (any DDL, DO, CALL).
    pub ddl: bool,
    /// May change settings of the session, search_path and role among them (SET, RESET, set_config, DISCARD, ROLLBACK, DO,
    /// CALL, unknown functions).
    pub settings: bool,
    /// May make or drop a temporary object.
    pub temp: bool,
    /// Writes rows (INSERT, UPDATE, DELETE, MERGE, also in a CTE; anything not surely read-only).
    pub writes: bool,
    /// Drops all prepared statements of the session (DEALLOCATE ALL, DISCARD ALL).
    pub deallocates: bool,
    /// Prepares a statement by SQL (PREPARE).
    pub prepares: bool,
    /// Runs a prepared statement by SQL (EXECUTE).
    pub executes: bool,
    /// Reads from a cursor by its name (FETCH, MOVE).
    pub fetches: bool,
    /// COPY, whose rows follow in messages of their own.
    pub copies: bool,
    /// Begins, ends or rolls back a transaction or savepoint.
    pub transaction: bool,
    /// May turn what settings are: the end of a transaction or savepoint, RESET ALL, DISCARD ALL; or which
    /// cursors and prepared statements there are (DECLARE, CLOSE, PREPARE, DEALLOCATE). [`acts`](super::acts) says what of it.
    pub turns: bool,
    /// Sets or resets the keyset of the session.
    pub chooses: bool,
    /// Calls set_config, whose parameters name a setting.
    pub configures: bool,
}

/// A touching statement, rewritten.
#[derive(Debug)]
pub struct Plan {
    /// Keeps encrypted types, so that PostgreSQL's description is meaningful. Never run.
    /// `None`: there is nothing to describe (utility statements); the executed form is run as it is.
    pub described: Option<Template>,
    /// What runs.
    pub executed: Template,
    /// Parameters `$1..` of both forms, densely numbered.
    pub params: Vec<Param>,
    /// Values that are sent in plain though they belong to no plain column.
    pub loose: Loose,
    /// How many parameters the client gives: up to its highest `$n`, or as many as it declared.
    pub client_params: usize,
    /// Result columns, or `None` for statements without result rows.
    pub columns: Option<Vec<OutColumn>>,
    /// It is a COPY, run as this says.
    pub copy: Option<Copy>,
    /// What runs with it.
    pub steps: Option<Steps>,
    /// Decrypted result columns that must equal an operand: a row that does not is an error (a hostile writer swapped terms).
    pub checks: Vec<Check>,
    /// Conditions that the proxy decides before the statement runs.
    pub searches: Vec<Search>,
    /// What the database makes of letters must be known, for an expression of this column.
    pub letters: Option<String>,
    /// Types of values that result columns hold within JSON and text, as their marks number them.
    pub built: Vec<BuiltValue>,
    /// The statement declares this cursor: the result columns are its rows'.
    pub cursor: Option<Cursor>,
    /// The statement is prepared by SQL.
    pub prepares: Option<Prepare>,
    /// The statement is a FETCH from the cursor of this name.
    pub reads: Option<String>,
    /// Filled by the session once PostgreSQL has confirmed the plan.
    pub confirmed: std::sync::OnceLock<Confirmed>,
    /// What an audit says of the statement; made when it is first asked for.
    pub shape: std::sync::OnceLock<Arc<Shape>>,
}

impl Plan {
    /// Both plans, once confirmed, give the client columns of the same names and types.
    pub fn gives_as(&self, other: &Plan) -> bool {
        let told = |plan: &Plan| -> Option<Vec<(Vec<u8>, Oid, i32)>> {
            let body = plan.row_description()?;
            let fields = RowDescription::parse(body).ok()?;
            Some(fields.fields().map(|f| (f.name.to_vec(), f.type_oid, f.typmod)).collect())
        };
        told(self) == told(other)
    }

    /// It is a COPY FROM STDIN.
    pub fn copy_in(&self) -> Option<&CopyIn> {
        match &self.copy {
            Some(Copy::In(copy)) => Some(copy),
            _ => None,
        }
    }

    /// It is a COPY TO STDOUT.
    pub fn copy_out(&self) -> Option<&CopyOut> {
        match &self.copy {
            Some(Copy::Out(copy)) => Some(copy),
            _ => None,
        }
    }

    /// Columns of the described form.
    pub fn described_columns(&self) -> Option<&[OutColumn]> {
        match self.copy_in() {
            Some(copy) => Some(&copy.described),
            None => self.columns.as_deref(),
        }
    }

    /// Columns of the rows that running the statement returns.
    pub fn returned(&self) -> Option<&[OutColumn]> {
        self.columns.as_deref().filter(|_| self.cursor.is_none())
    }

    /// Body of the RowDescription that the client is told of the statement, if it returns rows and is confirmed.
    pub fn row_description(&self) -> Option<&[u8]> {
        self.confirmed.get().filter(|_| self.cursor.is_none() && self.copy.is_none())?.row_description.as_deref()
    }

    /// The FETCH from the cursor that this plan declares.
    pub fn fetched_by(&self, fetch: &Fetch) -> Plan {
        Plan {
            executed: fetch.executed.clone(),
            built: self.built.clone(),
            reads: Some(fetch.cursor.clone()),
            ..self.without_params()
        }
    }

    /// A statement that gives the same columns, and takes nothing.
    pub fn without_params(&self) -> Plan {
        let row_description = self.confirmed.get().and_then(|c| c.row_description.clone());
        Plan {
            described: None,
            executed: Template::default(),
            params: Vec::new(),
            loose: Loose::default(),
            client_params: 0,
            columns: self.columns.clone(),
            copy: None,
            steps: None,
            checks: Vec::new(),
            searches: Vec::new(),
            letters: None,
            built: Vec::new(),
            cursor: None,
            prepares: None,
            reads: None,
            confirmed: Confirmed { client_param_oids: Vec::new(), row_description }.into(),
            shape: std::sync::OnceLock::new(),
        }
    }

    /// It is a SHOW of the proxy's own.
    pub fn shows(&self) -> bool {
        matches!(&self.params[..], [one] if matches!(one.role, Role::Shown(_)))
    }
}

/// Values that are sent in plain and are neither stored in a plain column nor compared with a plain expression. A
/// statement in which one of them is also the value of something sealed is refused.
#[derive(Debug, Default)]
pub struct Loose {
    /// Literal strings, by number.
    pub literals: Vec<usize>,
    /// Parameters of the client's, counted from 0.
    pub params: Vec<usize>,
}

/// What PostgreSQL said of the described form.
#[derive(Debug)]
pub struct Confirmed {
    /// Type OIDs of the client's own parameters, as it is told: plaintext types for encrypted ones.
    pub client_param_oids: Vec<Oid>,
    /// Body of the RowDescription that the client is told, with formats 0; `None` for NoData. Of a DECLARE, that of its
    /// cursor's rows.
    pub row_description: Option<Vec<u8>>,
}

/// Text of a rewritten statement, as pieces, so that one plan serves all texts that differ in literals only.
#[derive(Debug, Default, Clone)]
pub struct Template {
    /// Pieces in order.
    pub pieces: Vec<Piece>,
}

/// A piece of a rewritten statement.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Fixed text. `source`: byte offset in the text that was analysed, for mapping error positions back.
    Text {
        /// Bytes to send.
        text: String,
        /// Where in the skeleton of the analysed statement it stood (start), or the nearest place before it. The
        /// skeleton is the statement with every literal and every comment taken for one byte, so that it is the
        /// same for all texts that a plan serves.
        source: usize,
        /// The piece is a copy of the skeleton from `source` on.
        copied: bool,
    },
    /// The k-th literal token of the client's text, as it stands there.
    Literal(usize),
}

/// Where a parameter of the rewritten statement gets its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The client's `$n`, counted from 0.
    Client(usize),
    /// The k-th literal token of the statement's own text (its span, when a text has several): its value as text;
    /// NULL is no literal token.
    Literal(usize),
    /// The same, with a minus sign before it.
    Negated(usize),
    /// `TRUE` or `FALSE`.
    Bool(bool),
    /// What the proxy shows of itself.
    Shown,
    /// What the proxy found.
    Search,
}

impl Source {
    /// The value as text, unless it is the client's parameter or a literal that PostgreSQL could not read either.
    pub fn text<'t>(&self, text: &'t str, literals: &Literals) -> Option<Cow<'t, str>> {
        match *self {
            Source::Client(_) | Source::Shown | Source::Search => None,
            Source::Literal(k) => literals.get(k)?.value(text),
            Source::Negated(k) => Some(Cow::Owned(format!("-{}", literals.get(k)?.value(text)?))),
            Source::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
        }
    }
}

/// A parameter of the rewritten statement.
#[derive(Clone, Debug)]
pub struct Param {
    /// Where its value comes from.
    pub source: Source,
    /// What is made of it.
    pub role: Role,
    /// For errors: the column it is for, as `table.column`; empty for plain ones.
    pub column: String,
    /// It stands in an IN list of several: PostgreSQL gives it the column's own type, not the operator's.
    pub listed: bool,
    /// Type that a cast dropped from around it named (`$1::varchar`, `'5'::int4`): decides how an untyped value is read.
    pub cast: Option<Oid>,
    /// That cast was to a `numeric(precision, scale)`, for a numeric: the value is rounded to it.
    pub digits: Option<Digits>,
}

impl Param {
    /// One that is in no list and has no cast. `column`: the one it is for, or empty.
    pub(super) fn new(source: Source, role: Role, column: &str) -> Param {
        Param { source, role, column: column.to_string(), listed: false, cast: None, digits: None }
    }
}

/// What is made of a parameter's value.
#[derive(Clone, Debug)]
pub enum Role {
    /// Sent as the client gave it, with the client's declared OID and format.
    Plain,
    /// A value to store: envelope and all terms, as the composite; or an array of such values.
    Store(Arc<EncType>),
    /// An operand of a comparison: the term that comparisons of the type use.
    Equal(Arc<EncType>),
    /// An array of such operands.
    EqualArray(Arc<EncType>),
    /// A condition over the value alone, decided by the proxy: its outcome, as bool.
    Test(Test),
    /// What SHOW answers, as text.
    Shown(Show),
    /// A pattern, which the server is not sent: NULL.
    Pattern(Arc<EncType>),
    /// An array of patterns, likewise.
    Patterns(Arc<EncType>),
    /// A part of a condition on JSON, likewise.
    Given(Arc<EncType>, Given),
    /// Of this search of the plan: tokens that narrow it, as `int4[]`, of documents as `int8[]`.
    Tokens(usize),
    /// Of this search: envelopes that match, as `bytea[]`.
    Matching(usize),
    /// Of this search: envelopes that have the tokens and do not match, as `bytea[]`.
    Others(usize),
    /// What values in JSON begin with, as text.
    Mark,
    /// Read as this, for what the proxy computes; the server is not sent it: NULL.
    Held(Sort),
}

/// What a part of a condition on JSON is read as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// A document.
    Document,
    /// A key, or another text.
    Text,
    /// The number of an element.
    Index,
    /// An array of texts.
    Texts,
    /// A path of jsonpath.
    Path,
}

impl Given {
    /// The type's name.
    pub(super) fn sql_name(self) -> &'static str {
        match self {
            Given::Document => "jsonb",
            Given::Text => "text",
            Given::Index => "int4",
            Given::Texts => "text[]",
            Given::Path => "jsonpath",
        }
    }

    /// The type's OID.
    pub fn oid(self) -> Oid {
        match self {
            Given::Document => 3802,
            Given::Text => 25,
            Given::Index => 23,
            Given::Texts => 1009,
            Given::Path => 4072,
        }
    }
}

/// A condition over one value alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Test {
    /// `IS NULL`
    Null,
    /// `IS NOT NULL`
    NotNull,
    /// `= ''`
    Empty,
    /// `<> ''`
    NotEmpty,
}

impl Test {
    /// The outcome for a value; `None` is NULL.
    pub fn of(self, value: Option<&[u8]>) -> Option<bool> {
        match self {
            Test::Null => Some(value.is_none()),
            Test::NotNull => Some(value.is_some()),
            Test::Empty => value.map(<[u8]>::is_empty),
            Test::NotEmpty => value.map(|v| !v.is_empty()),
        }
    }
}

impl Role {
    /// The value may be one of an encrypted column.
    pub fn holds(&self) -> bool {
        self.enc().is_some() || matches!(self, Role::Held(_))
    }

    /// The encrypted type, if it has one.
    pub fn enc(&self) -> Option<&Arc<EncType>> {
        match self {
            Role::Plain | Role::Test(_) | Role::Shown(_) => None,
            Role::Tokens(_) | Role::Matching(_) | Role::Others(_) | Role::Mark | Role::Held(_) => None,
            Role::Store(t) | Role::Equal(t) | Role::EqualArray(t) => Some(t),
            Role::Pattern(t) | Role::Patterns(t) | Role::Given(t, _) => Some(t),
        }
    }
}

/// A result column of the executed form.
#[derive(Clone, Debug)]
pub enum OutColumn {
    /// As PostgreSQL sends it.
    Plain,
    /// Encrypted, sent as the envelope alone (`bytea`).
    Envelope(Arc<EncType>, String),
    /// Encrypted, sent as the whole composite. The string names the column for errors.
    Composite(Arc<EncType>, String),
    /// JSON of the server's own, with marked values in it. The string names a column for errors.
    Built(String),
    /// Text of the server's own, likewise.
    Joined(String),
    /// An array of envelopes (`bytea[]`), of which the proxy computes the value.
    Finished(Arc<Finish>),
    /// One envelope, or an array of them, of which the proxy computes the value.
    Computed(Arc<Formula>),
}

/// How a result column is computed of the values of a group.
#[derive(Clone, Debug)]
pub struct Finish {
    /// What it is an aggregate of.
    pub of: Of,
    /// The function.
    pub aggregate: Aggregate,
    /// What is done with its result, in order.
    pub then: Vec<Then>,
    /// Names it for errors.
    pub column: String,
}

/// What an aggregate takes together.
#[derive(Clone, Debug)]
pub enum Of {
    /// Values of this type.
    Value(Arc<EncType>),
    /// What is computed of the values of each row: all of them in one array, row after row.
    Formula(Arc<Formula>),
}

/// A step after an aggregate.
#[derive(Clone, PartialEq, Eq)]
pub enum Then {
    /// A cast to this type.
    Cast(PlainType),
    /// Rounded to precision and scale.
    Fit(Digits),
    /// A function that gives the type that it is asked with, and its second argument.
    Call(Scalar, Option<i32>),
    /// What NULL becomes, in its stored form.
    Otherwise(Box<[u8]>),
}

/// Without the client's constant.
impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Then::Cast(plain) => write!(f, "Cast({plain:?})"),
            Then::Fit(digits) => write!(f, "{digits:?}"),
            Then::Call(function, argument) => write!(f, "{function:?}({argument:?})"),
            Then::Otherwise(_) => f.write_str("Otherwise(..)"),
        }
    }
}

impl Finish {
    /// Types of the encrypted values that are opened for it, and what names them for errors.
    pub fn sealed(&self) -> impl Iterator<Item = (&Arc<EncType>, &str)> {
        let (value, formula) = match &self.of {
            Of::Value(enc) => (Some((enc, self.column.as_str())), None),
            Of::Formula(formula) => (None, Some(formula.sealed())),
        };
        value.into_iter().chain(formula.into_iter().flatten())
    }

    /// The type that the function gives.
    pub fn given(&self) -> PlainType {
        match self.aggregate.function.gives(self.aggregate.plain) {
            Gives::Type(plain) => plain,
            Gives::Nothing | Gives::Other => self.aggregate.plain,
        }
    }

    /// The type that the client is told.
    pub fn result(&self) -> PlainType {
        let cast = |then: &Then| if let Then::Cast(to) = then { Some(*to) } else { None };
        self.then.iter().rev().find_map(cast).unwrap_or(self.given())
    }

    /// `pg_attribute.atttypmod` of the result.
    pub fn typmod(&self) -> i32 {
        match self.then.last() {
            Some(Then::Fit(digits)) => digits.typmod(),
            _ => -1,
        }
    }
}

/// A type of values that result columns hold within JSON.
#[derive(Clone, Debug)]
pub struct BuiltValue {
    /// The type.
    pub enc: Arc<EncType>,
    /// Names a column of it for errors.
    pub column: String,
    /// How it is written there.
    pub written: Written,
}

/// How a value is written into what is built of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// As JSON.
    Json,
    /// As text that its type prints.
    Output,
    /// As a cast to text gives it.
    Cast,
    /// It is a text that the client gave.
    Given,
}

impl OutColumn {
    /// The encrypted type, if it has one.
    pub fn enc(&self) -> Option<&Arc<EncType>> {
        match self {
            OutColumn::Plain | OutColumn::Built(_) | OutColumn::Joined(_) => None,
            OutColumn::Finished(_) | OutColumn::Computed(_) => None,
            OutColumn::Envelope(t, _) | OutColumn::Composite(t, _) => Some(t),
        }
    }
}

/// A result column that must equal a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check {
    /// Index of the result column.
    pub column: usize,
    /// Index of the parameter (role `Equal`).
    pub param: usize,
}

/// Why a statement is refused. Carries names of columns and constructs, never literals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Usually 0A000.
    pub sqlstate: SqlState,
    /// Names the column and the construct.
    pub message: String,
    /// What would work.
    pub hint: Option<String>,
    /// Byte offset into the client's text.
    pub position: Option<usize>,
}
