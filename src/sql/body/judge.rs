//! Whether a body only moves encrypted values: its queries are analysed as statements are, with arguments and variables as
//! the outermost columns, and may hold no value that would have to be sealed.
//!
//! The server runs a body as it is written. What analysis would have rewritten fails there, for want of an operator, so it
//! does no harm; but a cast that analysis would have dropped gives another value, and is refused.

use std::rc::Rc;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, TypeName};

use super::frame::Frame;
use super::{block, words_of};
use crate::schema::catalog::{Catalog, Relation};
use crate::schema::routine::{Language, Routine};
use crate::sql::analyzer::{Analyzer, Around, lookup};
use crate::sql::built::Built;
use crate::sql::lex::{Kind, Lexed, StringKind, Token};
use crate::sql::outputs::Outputs;
use crate::sql::parse;
use crate::sql::plan::{Refusal, SessionState};
use crate::sql::refuse::{self, Detail, Result};
use crate::sql::scope::{ColVal, Columns, Derived, Item};
use crate::sql::statement::{slice, statement_tokens};
use crate::sql::tree;
use crate::sql::types::{self, Named};

/// Queries of one body.
const MOST_QUERIES: usize = 10_000;

/// What a function gives.
#[derive(Clone)]
pub(in crate::sql) enum Gives {
    /// Nothing, as a procedure.
    Nothing,
    /// A value, or several such.
    Value(ColVal),
    /// Rows of these columns.
    Row(Vec<ColVal>),
}

impl Gives {
    /// What to write for RETURN QUERY, where PostgreSQL would take the value apart.
    pub(super) fn instead_of_query(&self) -> Option<&'static str> {
        match self {
            Gives::Value(ColVal::Enc(..)) => Some("RETURN NEXT (SELECT ...), in a loop."),
            Gives::Row(columns) if matches!(columns[..], [ColVal::Enc(..)]) => {
                Some("Assign it to the argument, and RETURN NEXT, in a loop.")
            }
            _ => None,
        }
    }
}

/// The judgement of one body.
pub(in crate::sql) struct Judge<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) session: &'a SessionState<'a>,
    /// What queries see of it is their own as long as they last.
    frame: Rc<Frame>,
    pub(super) gives: Gives,
    /// How many it holds, so far.
    queries: usize,
    /// Functions with bodies of their own that it calls.
    calls: Vec<Arc<Routine>>,
}

/// A function that is called.
pub(in crate::sql) struct Called {
    pub(in crate::sql) routine: Arc<Routine>,
    /// The `search_path` that it finds, where that is one of a function around it.
    pub(in crate::sql) path: Option<Rc<[String]>>,
}

/// A part of a text that is a statement.
#[derive(Clone, Copy)]
struct Part<'t> {
    text: &'t str,
    lexed: &'t Lexed,
    /// Where it begins in the text that the grammar read.
    base: u32,
}

/// What a variable is declared as.
pub(super) enum Declared {
    Value(ColVal),
    Record,
    Row(Rc<[Derived]>),
}

impl<'a> Judge<'a> {
    pub(super) fn new(catalog: &'a Catalog, session: &'a SessionState<'a>, frame: Frame, gives: Gives) -> Self {
        Judge { catalog, session, frame: Rc::new(frame), gives, queries: 0, calls: Vec::new() }
    }

    /// What names mean so far.
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The same, to be added to.
    pub(super) fn frame_mut(&mut self) -> &mut Frame {
        Rc::make_mut(&mut self.frame)
    }

    /// Functions that the body calls, if it only moves values.
    pub(super) fn body(mut self, language: Language, source: &str) -> Result<Vec<Arc<Routine>>> {
        match language {
            Language::Sql => self.statements(source)?,
            Language::Block => block::read(&mut self, source)?,
        }
        Ok(self.calls)
    }

    /// SQL: statement by statement, the last of which gives the result.
    fn statements(&mut self, source: &str) -> Result<()> {
        let lexed = self.tokens(source)?;
        let raw = parse::shallow(source, &lexed)?;
        for (i, statement) in raw.iter().enumerate() {
            let Some(node) = statement.stmt.as_deref() else { continue };
            let tokens = statement_tokens(source, &lexed, statement);
            let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { continue };
            let span = first.start as usize..last.end as usize;
            let own = slice(&lexed, &span).ok_or_else(not_read)?;
            let part = Part { text: &source[span], lexed: &own, base: first.start };
            let gives = if i + 1 == raw.len() { self.gives.clone() } else { Gives::Nothing };
            self.part(part, node, |analyzer, outputs| analyzer.gives(&outputs, &gives))?;
        }
        Ok(())
    }

    /// One query, and what is done with what its columns hold.
    pub(super) fn query<T>(
        &mut self,
        sql: &str,
        then: impl FnOnce(&mut Analyzer<'_>, Outputs) -> Result<T>,
    ) -> Result<T> {
        let lexed = self.tokens(sql)?;
        let raw = parse::shallow(sql, &lexed)?;
        match raw.as_slice() {
            [one] => {
                let node = one.stmt.as_deref().ok_or_else(not_read)?;
                self.part(Part { text: sql, lexed: &lexed, base: 0 }, node, then)
            }
            _ => Err(not_read()),
        }
    }

    fn part<T>(
        &mut self,
        part: Part<'_>,
        node: &Node,
        then: impl FnOnce(&mut Analyzer<'_>, Outputs) -> Result<T>,
    ) -> Result<T> {
        self.queries += 1;
        if self.queries > MOST_QUERIES {
            return Err(refuse::unsupported(format!("it holds more than {MOST_QUERIES} queries and expressions")));
        }
        let around = Around { catalog: self.catalog, session: self.session, declared: &[] };
        let mut analyzer = Analyzer::new(part.text, part.lexed, part.base, around)?;
        analyzer.frame = Some(Rc::clone(&self.frame));
        let outputs = analyzer.moved(node)?;
        let made = then(&mut analyzer, outputs)?;
        analyzer.holds_no_value()?;
        self.calls.extend(analyzer.calls.drain(..).map(|called| called.routine));
        Ok(made)
    }

    /// The tokens of a text that means the same whatever the settings are when it runs.
    pub(super) fn tokens(&self, text: &str) -> Result<Lexed> {
        let lexed = Lexed::new(text, true).map_err(|_| not_read())?;
        for token in &lexed.tokens {
            let odd = match token.kind {
                Kind::UnicodeQuoted | Kind::Str(StringKind::Unicode) => true,
                Kind::Str(StringKind::Plain) => token.text(text).contains('\\'),
                _ => false,
            };
            if odd {
                return Err(refuse::unsupported("a string or name with escapes cannot be followed in a body"));
            }
            let name = token.name(text).unwrap_or_default();
            if name == "set_config" || self.catalog.unknown_functions.contains(name.as_ref()) {
                return Err(refuse::unsupported(format!("function {name} may change what names mean")));
            }
        }
        Ok(lexed)
    }

    /// The type that a variable is declared of.
    pub(super) fn declared(&self, text: &str) -> Result<Declared> {
        let words: Vec<String> = words_of(text).collect();
        if words == ["record"] {
            return Ok(Declared::Record);
        }
        if let Some((name, of)) = text.rsplit_once('%') {
            return self.declared_as(name, of.trim());
        }
        let sql = format!("SELECT NULL::{text}");
        let raw = parse::shallow(&sql, &self.tokens(&sql)?)?;
        let name = type_of_cast(&raw).ok_or_else(|| unknown_type(text))?;
        let parts = tree::strings(&name.names);
        let (schema, last) = match parts[..] {
            [schema, last] => (schema, last),
            [last] => ("", last),
            _ => return Err(unknown_type(text)),
        };
        let row = lookup(self.catalog, self.session, schema, last).filter(|_| name.array_bounds.is_empty());
        match (types::named(name, self.catalog, self.session), row) {
            (Named::Enc(ty), _) => Ok(Declared::Value(ColVal::Enc(ty, "a variable".into()))),
            (Named::Builtin { .. }, _) | (Named::Other, None) => Ok(Declared::Value(ColVal::Plain)),
            (Named::Other | Named::Touching, Some(relation)) => Ok(Declared::Row(row_of(relation))),
            (Named::EncArray(_), _) | (Named::Touching, None) => Err(unknown_type(text)),
        }
    }

    /// `name%TYPE`, `name%ROWTYPE`.
    fn declared_as(&self, name: &str, of: &str) -> Result<Declared> {
        let lexed = self.tokens(name)?;
        let parts: Vec<String> = lexed.tokens.iter().filter_map(|t| t.name(name)).map(|n| n.into_owned()).collect();
        if lexed.tokens.len() != 2 * parts.len().max(1) - 1 {
            return Err(unknown_type(name));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let relation = |schema: &str, name: &str| {
            lookup(self.catalog, self.session, schema, name).ok_or_else(|| unknown_type(name))
        };
        // A variable of the name would come before.
        if parts.len() > 1 && self.frame.variable(parts[0]).is_some() {
            return Err(unknown_type(name));
        }
        if of.eq_ignore_ascii_case("rowtype") {
            return match parts[..] {
                [name] => relation("", name).map(|r| Declared::Row(row_of(r))),
                [schema, name] => relation(schema, name).map(|r| Declared::Row(row_of(r))),
                _ => Err(unknown_type(name)),
            };
        }
        let (relation, column) = match parts[..] {
            [table, column] => (relation("", table)?, column),
            [schema, table, column] => (relation(schema, table)?, column),
            _ => return Err(unknown_type(name)),
        };
        let found = row_of(relation).iter().find(|c| c.name == column).map(|c| c.val.clone());
        match found {
            Some(val @ (ColVal::Plain | ColVal::Enc(..))) if of.eq_ignore_ascii_case("type") => {
                Ok(Declared::Value(val))
            }
            _ => Err(unknown_type(name)),
        }
    }
}

impl Analyzer<'_> {
    /// A query of a body.
    fn moved(&mut self, node: &Node) -> Result<Outputs> {
        let frame = self.frame_scope();
        match tree::kind(node) {
            Some(
                NodeEnum::SelectStmt(_)
                | NodeEnum::InsertStmt(_)
                | NodeEnum::UpdateStmt(_)
                | NodeEnum::DeleteStmt(_)
                | NodeEnum::MergeStmt(_),
            ) => self.query(node, Some(&frame)),
            _ => Err(refuse::unsupported("it holds a statement that is no query")),
        }
    }

    /// No value of the body's own would be one of an encrypted column.
    fn holds_no_value(&self) -> Result<()> {
        let sealed = |cast: &Named| matches!(cast, Named::Enc(_) | Named::EncArray(_) | Named::Touching);
        let value = self.sites.iter().find(|s| s.source.is_some() && (!s.is_plain() || s.casts.iter().any(sealed)));
        if let Some(site) = value {
            return Err(refuse::unsupported(format!("it holds a value of encrypted column {}", site.column)));
        }
        if !self.marked.is_empty() {
            return Err(refuse::unsupported("it builds JSON of encrypted values"));
        }
        if self.searches.is_empty() { Ok(()) } else { Err(refuse::unsupported("it searches an encrypted column")) }
    }

    /// What a column holds goes to where this is held.
    pub(super) fn flows(&mut self, val: &ColVal, to: &ColVal, what: &str) -> Result<()> {
        match (val, to) {
            (ColVal::Plain, ColVal::Plain) => Ok(()),
            (ColVal::Open(sites), ColVal::Plain) => self.decide_plain(sites),
            // NULL alone.
            (ColVal::Open(sites), ColVal::Enc(..)) if sites.iter().all(|&s| self.sites[s].source.is_none()) => Ok(()),
            (ColVal::Enc(one, _), ColVal::Enc(other, _)) if one.oid == other.oid => Ok(()),
            (ColVal::Enc(_, column), ColVal::Plain)
            | (ColVal::Tainted(column) | ColVal::Built(Built { column, .. }), _) => Err(refuse::unsupported(format!(
                "encrypted column {column} cannot be stored in {what}, which is not encrypted"
            ))),
            (_, ColVal::Enc(ty, _)) => Err(refuse::unsupported(format!(
                "{what} is of type {} and is given something else",
                types::sql_name(ty)
            ))),
            _ => Err(refuse::unsupported(format!("what {what} is given cannot be followed"))),
        }
    }

    /// The only column of a query goes there.
    pub(super) fn flows_alone(&mut self, outputs: &Outputs, to: &ColVal, what: &str) -> Result<()> {
        match outputs.columns.as_slice() {
            [one] if !outputs.opaque => self.flows(&one.val, to, what),
            _ => Err(refuse::unsupported(format!("{what} is given several columns"))),
        }
    }

    /// What a query reads is what the function gives.
    pub(super) fn gives(&mut self, outputs: &Outputs, gives: &Gives) -> Result<()> {
        const RESULT: &str = "the result";
        match gives {
            Gives::Nothing => Ok(()),
            Gives::Value(to @ ColVal::Enc(..)) => self.flows_alone(outputs, to, RESULT),
            // Several are a row of plain columns.
            Gives::Value(to) => outputs.columns.iter().try_for_each(|c| self.flows(&c.val, to, RESULT)),
            Gives::Row(columns) => {
                let plain = columns.iter().all(ColVal::is_plain);
                if outputs.columns.len() != columns.len() && !(outputs.opaque && plain) {
                    return Err(refuse::unsupported("the result has other columns than are declared"));
                }
                outputs.columns.iter().zip(columns).try_for_each(|(c, to)| self.flows(&c.val, to, RESULT))
            }
        }
    }
}

/// The columns of a relation's rows.
fn row_of(relation: &Arc<Relation>) -> Rc<[Derived]> {
    let item = Item::new(0, "", Columns::Relation(Arc::clone(relation), Vec::new()));
    (0..item.len()).map(|i| Derived { name: item.name(i).to_string(), val: item.val(i) }).collect()
}

/// The type of `SELECT NULL::type`.
fn type_of_cast(raw: &[pg_query::protobuf::RawStmt]) -> Option<&TypeName> {
    let [one] = raw else { return None };
    let NodeEnum::SelectStmt(select) = tree::kind(one.stmt.as_deref()?)? else { return None };
    let [target] = select.target_list.as_slice() else { return None };
    let NodeEnum::ResTarget(target) = tree::kind(target)? else { return None };
    let bare = select.from_clause.is_empty() && target.name.is_empty();
    match tree::kind(tree::child(&target.val)?)? {
        NodeEnum::TypeCast(cast) if bare => cast.type_name.as_ref().filter(|name| !name.setof && !name.pct_type),
        _ => None,
    }
}

/// The type as it is written, if nothing that may be a value stands in it.
fn unknown_type(text: &str) -> Box<Refusal> {
    let named = Lexed::new(text, true).is_ok_and(|l| l.comments.is_empty() && !l.tokens.iter().any(Token::is_literal));
    let of = if named { format!("type {}", text.trim()) } else { "this type".to_owned() };
    refuse::unsupported(format!("a variable of {of} cannot be followed"))
}

/// It is not read.
pub(super) fn not_read() -> Box<Refusal> {
    refuse::unsupported("it holds something that cannot be followed")
        .hint("A body may have blocks, variables, assignments, IF, CASE, loops, RETURN, RAISE and queries.")
}
