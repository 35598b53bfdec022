//! COPY over encrypted columns.
//!
//! COPY FROM STDIN goes to the server as it is; the plan says which fields are to be sealed on the way. COPY TO STDOUT
//! becomes the query that it stands for, whose rows the session prints. So the one has PostgreSQL's own way of loading, the
//! other its own description of the columns, and both what every plan has: confirmation, keys, roles, audit.

mod options;

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{CopyStmt, Node, RangeVar};

use self::options::Options;
use super::analyzer::{Analyzer, TopColumn};
use super::lex::Kind as TokenKind;
use super::plan::{OutColumn, Piece, Template};
use super::refuse::{self, Detail, Result, UNDEFINED_COLUMN};
use super::scope::{Columns, Scope};
use super::statement::Outcome;
use super::tree;
use super::types::always_quoted;
use crate::schema::catalog::{EncType, Relation, RelationKind};
use crate::wire::copy::{Dialect, Force};
use crate::wire::sqlstate::SqlState;

pub use options::Named;

/// `wrong_object_type`.
const WRONG_OBJECT_TYPE: SqlState = SqlState("42809");
/// `invalid_column_reference`.
const INVALID_COLUMN_REFERENCE: SqlState = SqlState("42P10");
/// `duplicate_column`.
const DUPLICATE_COLUMN: SqlState = SqlState("42701");
/// `undefined_parameter`.
const UNDEFINED_PARAMETER: SqlState = SqlState("42P02");

/// How a COPY on encrypted columns is run.
#[derive(Debug)]
pub enum Copy {
    /// Fields are sealed on their way to the server.
    In(CopyIn),
    /// Rows of the executed form are printed.
    Out(CopyOut),
}

/// COPY FROM STDIN.
#[derive(Debug)]
pub struct CopyIn {
    /// The table as errors name it.
    pub table: String,
    /// How rows are written.
    pub dialect: Dialect,
    /// Its columns in order.
    pub columns: Vec<InColumn>,
    /// The same, as the described form has them.
    pub described: Vec<OutColumn>,
}

/// A column that values are given for.
#[derive(Debug)]
pub struct InColumn {
    /// Its name.
    pub name: String,
    /// The encrypted type, if it has one.
    pub enc: Option<Arc<EncType>>,
    /// FORCE_NULL and FORCE_NOT_NULL.
    pub force: Force,
}

/// COPY TO STDOUT.
#[derive(Debug)]
pub struct CopyOut {
    /// It is of a table, and not of a query: its text has no values.
    pub of_table: bool,
    /// How rows are written.
    pub dialect: Dialect,
    /// FORCE_QUOTE.
    pub force_quote: Named,
}

/// Both forms of a statement that is not made by edits.
pub(super) struct Forms {
    pub(super) described: Template,
    /// `None`: by edits.
    pub(super) executed: Option<Template>,
}

impl Analyzer<'_> {
    /// COPY, of a relation or of a query.
    pub(super) fn copy(&mut self, copy: &CopyStmt) -> Result<Outcome> {
        match (tree::child(&copy.query), &copy.relation) {
            (Some(query), _) => self.copy_query(copy, query),
            (None, Some(range)) => {
                // What options hold decides how rows are read, and conditions go to the server as they are.
                self.fixed.extend(0..self.literals.len());
                self.copy_relation(copy, range)
            }
            (None, None) => Ok(Outcome::Forward),
        }
    }

    fn copy_relation(&mut self, copy: &CopyStmt, range: &RangeVar) -> Result<Outcome> {
        let item = self.range_var(range, true)?;
        let Columns::Relation(relation, _) = item.columns.clone() else { return Err(unreadable()) };
        if copy.where_clause.is_some() {
            let scope = Scope::new(vec![item], None);
            self.plain_some(&copy.where_clause, &scope, "COPY FROM ... WHERE")?;
            self.unedited("COPY FROM ... WHERE")?;
        }
        let columns = listed(&copy.attlist, &relation)?;
        let mut encrypted = columns.iter().map(|&i| &relation.columns[i]).filter(|c| c.enc.is_some() || c.tainted);
        let Some(first) = encrypted.next() else { return Ok(Outcome::Forward) };
        let unknown = |c: &&crate::schema::catalog::Column| c.tainted || !c.direct;
        if let Some(column) = Some(first).into_iter().chain(encrypted).find(unknown) {
            return Err(refuse::on_column("COPY", &format!("{}.{}", relation.name, column.name)));
        }
        no_file(copy)?;
        match copy.is_from {
            true => {
                if copy.attlist.is_empty() {
                    self.name_columns(range, &relation, &columns)?;
                }
                self.copy_in(copy, relation, &columns)
            }
            false => self.copy_out(copy, &relation, &columns),
        }
    }

    /// Writes the columns out, so that fields go where analysis thinks they go, whatever others do to the table meanwhile.
    fn name_columns(&mut self, range: &RangeVar, relation: &Relation, columns: &[usize]) -> Result<()> {
        let names: Vec<String> = columns.iter().map(|&i| always_quoted(&relation.columns[i].name)).collect();
        let end = self.lexed.tokens[self.name_end(self.token(range.location)?)].end;
        self.edits.executed((end, end), format!(" ({})", names.join(", ")));
        Ok(())
    }

    fn copy_in(&mut self, copy: &CopyStmt, relation: Arc<Relation>, columns: &[usize]) -> Result<Outcome> {
        let Options { dialect, force_null, force_not_null, .. } = Options::read(&copy.options, true)?;
        let names: Vec<&str> = columns.iter().map(|&i| relation.columns[i].name.as_str()).collect();
        check_forced(&force_not_null, "FORCE_NOT_NULL", &relation, &names)?;
        check_forced(&force_null, "FORCE_NULL", &relation, &names)?;
        let column = |&i: &usize| {
            let column = &relation.columns[i];
            let force = Force { null: force_null.holds(&column.name), not_null: force_not_null.holds(&column.name) };
            InColumn { name: column.name.clone(), enc: column.enc.clone(), force }
        };
        let (described, out) = self.selected(&relation, columns, false)?;
        self.forms = Some(Forms { described: whole(described), executed: None });
        self.copy = Some(Copy::In(CopyIn {
            table: relation.name.clone(),
            dialect,
            columns: columns.iter().map(column).collect(),
            described: out,
        }));
        Ok(Outcome::Described)
    }

    fn copy_out(&mut self, copy: &CopyStmt, relation: &Relation, columns: &[usize]) -> Result<Outcome> {
        let Options { dialect, force_quote, .. } = Options::read(&copy.options, false)?;
        let names: Vec<&str> = columns.iter().map(|&i| relation.columns[i].name.as_str()).collect();
        check_forced(&force_quote, "FORCE_QUOTE", relation, &names)?;
        let kind = match relation.kind {
            RelationKind::Table => None,
            RelationKind::Partitioned => Some("partitioned table"),
            RelationKind::View => Some("view"),
            RelationKind::MaterializedView => Some("materialized view"),
            RelationKind::Foreign => Some("foreign table"),
            RelationKind::Sequence => Some("sequence"),
            RelationKind::Composite => Some("non-table relation"),
        };
        if let Some(kind) = kind {
            return Err(refuse::with(WRONG_OBJECT_TYPE, format!("cannot copy from {kind} \"{}\"", relation.name))
                .hint("Try the COPY (SELECT ...) TO variant."));
        }
        let (described, _) = self.selected(relation, columns, false)?;
        let (executed, out) = self.selected(relation, columns, true)?;
        self.forms = Some(Forms { described: whole(described), executed: Some(whole(executed)) });
        self.out_columns = Some(out);
        self.copy = Some(Copy::Out(CopyOut { of_table: true, dialect, force_quote }));
        Ok(Outcome::Described)
    }

    /// The query that gives a relation's columns: encrypted ones whole, or as envelopes.
    fn selected(&self, relation: &Relation, columns: &[usize], lean: bool) -> Result<(String, Vec<OutColumn>)> {
        let mut list = Vec::with_capacity(columns.len());
        let mut out = Vec::with_capacity(columns.len());
        for &i in columns {
            let column = &relation.columns[i];
            let name = always_quoted(&column.name);
            let Some(enc) = &column.enc else {
                list.push(format!("r.{name}"));
                out.push(OutColumn::Plain);
                continue;
            };
            self.usable(enc)?;
            let label = format!("{}.{}", relation.name, column.name);
            if lean && !enc.is_array() {
                list.push(format!("(r.{name}).c AS {name}"));
                out.push(OutColumn::Envelope(Arc::clone(enc), label));
            } else {
                list.push(format!("r.{name}"));
                out.push(OutColumn::Composite(Arc::clone(enc), label));
            }
        }
        let (schema, table) = (always_quoted(&relation.schema), always_quoted(&relation.name));
        Ok((format!("SELECT {} FROM ONLY {schema}.{table} AS r", list.join(", ")), out))
    }

    fn copy_query(&mut self, copy: &CopyStmt, query: &Node) -> Result<Outcome> {
        if self.lexed.tokens.iter().any(|t| t.kind == TokenKind::Param) {
            return Err(refuse::with(UNDEFINED_PARAMETER, "there is no parameter in COPY"));
        }
        let open = 1;
        if !self.is(open, "(") {
            return Err(unreadable());
        }
        let close = self.partner(open)?;
        let outside = |&token: &u32| (token as usize) < open || token as usize > close;
        let options = (0..self.literals.len()).filter(|&k| outside(&self.literals[k])).collect::<Vec<_>>();
        self.fixed.extend(options);
        match tree::kind(query) {
            Some(NodeEnum::SelectStmt(select)) => _ = self.select(select, None, true)?,
            Some(NodeEnum::InsertStmt(insert)) => _ = self.insert(insert, true)?,
            Some(NodeEnum::UpdateStmt(update)) => _ = self.update(update, true)?,
            Some(NodeEnum::DeleteStmt(delete)) => _ = self.delete(delete, true)?,
            _ => return Err(refuse::unsupported("COPY of this kind of query on encrypted columns is not supported")),
        }
        if self.all_plain() {
            return Ok(Outcome::Forward);
        }
        no_file(copy)?;
        if self.columns.is_none() {
            return Err(refuse::unsupported("COPY query must have a RETURNING clause"));
        }
        let Options { dialect, force_quote, .. } = Options::read(&copy.options, false)?;
        self.edits.both((0, self.lexed.tokens[open].end), "");
        self.edits.both((self.lexed.tokens[close].start, self.text.len() as u32), "");
        self.copy = Some(Copy::Out(CopyOut { of_table: false, dialect, force_quote }));
        Ok(Outcome::Described)
    }

    /// Nothing was rewritten, and no column is encrypted.
    fn all_plain(&self) -> bool {
        let plain = |site: usize| self.sites[site].is_plain();
        let column = |column: &TopColumn| match column {
            TopColumn::Plain => true,
            TopColumn::Open(sites) => sites.iter().all(|&site| plain(site)),
            TopColumn::Envelope(..) | TopColumn::Composite(..) | TopColumn::Built(_) => false,
            TopColumn::Joined(_) | TopColumn::Finished(_) | TopColumn::Computed(_) => false,
        };
        self.edits.is_empty() && (0..self.sites.len()).all(plain) && self.columns.iter().flatten().all(column)
    }
}

fn whole(text: String) -> Template {
    Template { pieces: vec![Piece::Text { text, source: 0, copied: false }] }
}

fn unreadable() -> Box<super::plan::Refusal> {
    refuse::unsupported("this form of COPY is not supported on encrypted columns")
}

/// A file of the server, or a program there, would have the values in plain, or as ciphertext that no client can read.
fn no_file(copy: &CopyStmt) -> Result<()> {
    let what = match (copy.is_program, copy.filename.is_empty()) {
        (true, _) => "PROGRAM",
        (false, false) => "a file",
        (false, true) => return Ok(()),
    };
    let (way, instead) = if copy.is_from { ("FROM", "STDIN") } else { ("TO", "STDOUT") };
    Err(refuse::unsupported(format!("COPY {way} {what} of the server is not supported on encrypted columns"))
        .hint(format!("Use COPY {way} {instead}; in psql, \\copy.")))
}

/// Columns that COPY means, by index: `CopyGetAttnums`.
fn listed(list: &[Node], relation: &Relation) -> Result<Vec<usize>> {
    if list.is_empty() {
        return Ok((0..relation.columns.len()).filter(|&i| !relation.columns[i].generated).collect());
    }
    let mut columns = Vec::with_capacity(list.len());
    for name in tree::strings(list) {
        let column = find(name, relation)?;
        if relation.columns[column].generated {
            return Err(refuse::with(INVALID_COLUMN_REFERENCE, format!("column \"{name}\" is a generated column"))
                .hint("Generated columns cannot be used in COPY."));
        }
        if columns.contains(&column) {
            return Err(refuse::with(DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once")));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn find(name: &str, relation: &Relation) -> Result<usize> {
    relation.columns.iter().position(|c| c.name == name).ok_or_else(|| {
        let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
        refuse::with(UNDEFINED_COLUMN, message)
    })
}

/// Columns that an option names are columns of this COPY.
fn check_forced(named: &Named, option: &str, relation: &Relation, listed: &[&str]) -> Result<()> {
    let Named::Columns(names) = named else { return Ok(()) };
    for name in names {
        find(name, relation)?;
        if !listed.contains(&name.as_str()) {
            let message = format!("{option} column \"{name}\" not referenced by COPY");
            return Err(refuse::with(INVALID_COLUMN_REFERENCE, message));
        }
    }
    Ok(())
}
