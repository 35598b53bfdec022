//! `min(e)` and `max(e)`: aggregates of the seal schema, which compare order terms; or, where a query gives nothing else, its
//! first row in that order, which an index finds.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, ResTarget, SelectStmt};

use super::analyzer::{Analyzer, TopColumn};
use super::expr::{Enc, Val};
use super::outputs::Outputs;
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Derived, Scope};
use super::sort::missing_order;
use super::tree;
use super::types::{always_quoted, shown_as};
use crate::schema::catalog::EncType;
use crate::wire::value::PlainType;

/// A query that gives one minimum or maximum of a column and nothing else.
pub(super) struct Lone<'q> {
    target: &'q ResTarget,
    call: &'q FuncCall,
    name: &'q str,
}

/// Whether a query is so. What it is the minimum of is not looked at.
pub(super) fn lone(select: &SelectStmt) -> Option<Lone<'_>> {
    let [node] = select.target_list.as_slice() else { return None };
    let Some(NodeEnum::ResTarget(target)) = tree::kind(node) else { return None };
    let Some(NodeEnum::FuncCall(call)) = tree::kind(tree::child(&target.val)?) else { return None };
    let name = tree::own_name(&call.funcname).filter(|name| ["min", "max"].contains(name))?;
    let column = call.args.len() == 1 && matches!(tree::kind(&call.args[0]), Some(NodeEnum::ColumnRef(_)));
    let bare = call.agg_order.is_empty() && call.agg_filter.is_none() && call.over.is_none();
    let rest = select.group_clause.is_empty()
        && select.having_clause.is_none()
        && select.distinct_clause.is_empty()
        && select.window_clause.is_empty()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.locking_clause.is_empty()
        && select.into_clause.is_none();
    (column && bare && rest && !select.from_clause.is_empty()).then_some(Lone { target, call, name })
}

impl Analyzer<'_> {
    /// `SELECT max(e) FROM t WHERE c` as
    /// `SELECT (SELECT e FROM t WHERE (c) AND (e).ord IS NOT NULL ORDER BY (e).ord DESC LIMIT 1)`; `None` where that is not for
    /// this column. FROM and WHERE have been analysed.
    pub(super) fn lone_extreme(
        &mut self,
        lone: &Lone<'_>,
        select: &SelectStmt,
        scope: &Scope<'_>,
        top: bool,
    ) -> Result<Option<Outputs>> {
        let Lone { target, call, name } = *lone;
        let Val::Enc(enc) = self.expr(&call.args[0], scope)? else { return Ok(None) };
        // Of a column of the query around, it is an aggregate of that one.
        let own = enc.bare.as_ref().is_some_and(|bare| scope.items.iter().any(|item| item.id == bare.column.0));
        if !own || check(name, &enc).is_err() {
            return Ok(None);
        }
        let Some(column) = self.text.get(enc.span.0 as usize..enc.span.1 as usize) else { return Ok(None) };
        let first = self.token(call.location)?;
        let close = self.partner(self.name_end(first) + 1)?;
        let Some(from) = self.word_between("from", close + 1, self.lexed.tokens.len()) else { return Ok(None) };
        let end = self.query_end(from)?;
        let filter = match select.where_clause {
            Some(_) => match self.word_between("where", from + 1, end) {
                Some(filter) => Some(filter),
                None => return Ok(None),
            },
            None => None,
        };
        let (outer, envelope) = if top { ("(", ").c") } else { ("", "") };
        let known = format!("({column}).ord IS NOT NULL");
        let known = if filter.is_some() { format!(") AND {known}") } else { format!(" WHERE {known}") };
        let direction = if name == "max" { " DESC" } else { "" };
        let shown = if target.name.is_empty() { name } else { &target.name };
        let tail = format!("{known} ORDER BY ({column}).ord{direction} LIMIT 1)");
        let label = format!(" AS {}", always_quoted(shown));
        let begin = format!("(SELECT {column}");
        self.edits.each(self.span(first, close), Some(begin.clone().into()), Some(format!("{outer}{begin}").into()));
        if from > close + 1 {
            self.edits.both(self.span(close + 1, from - 1), "");
        }
        if let Some(filter) = filter {
            let after = self.lexed.tokens[filter].end;
            self.edits.both((after, after), "(");
        }
        let at = self.lexed.tokens[end - 1].end;
        self.edits.each(
            (at, at),
            Some(format!("{tail}{label}").into()),
            Some(format!("{tail}{envelope}{label}").into()),
        );
        let ty = result_type(enc.ty);
        if top {
            self.columns = Some(vec![TopColumn::Envelope(ty.clone(), enc.column.clone())]);
        }
        let column = Derived { name: shown.to_string(), val: ColVal::Enc(ty, enc.column) };
        Ok(Some(Outputs { columns: vec![column], opaque: false }))
    }

    /// An unquoted word outside brackets, among these tokens.
    fn word_between(&self, word: &str, mut at: usize, end: usize) -> Option<usize> {
        while at < end {
            if self.is(at, "(") || self.is(at, "[") {
                at = self.partner(at).ok()?;
            } else if self.is(at, ")") || self.is(at, "]") {
                return None;
            } else if self.is_word(at, word) && !self.is(at - 1, ".") && !self.is_word(at - 1, "as") {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    /// `min(e)`, `max(e)`: aggregates of the seal schema, which compare order terms.
    pub(super) fn extreme(&mut self, call: &FuncCall, name: &str, enc: Enc, scope: &Scope<'_>) -> Result<Val> {
        check(name, &enc)?;
        self.order_all(&call.agg_order, scope, "ORDER BY in an aggregate")?;
        self.call_tail(call, scope)?;
        let first = self.token(call.location)?;
        let name_end = self.name_end(first);
        self.edits.both(self.span(first, name_end), format!("seal.ord_{name}"));
        if call.agg_distinct {
            // The same with or without; composites have no equality of their own.
            self.edits.both(self.span(name_end + 2, name_end + 2), "");
        }
        let last = self.call_end(call)?;
        Ok(Val::Enc(Enc::new(result_type(enc.ty), enc.column, self.span(first, last))))
    }
}

/// PostgreSQL has the function for the plaintext type, and the column the term.
fn check(name: &str, enc: &Enc) -> Result<()> {
    let at = enc.span.0 as i32;
    match enc.ty.def.plain {
        plain @ (PlainType::Bool | PlainType::Uuid | PlainType::Bytea) => {
            let message = format!("function {name}({}) does not exist", plain.sql_name());
            Err(refuse::with(refuse::UNDEFINED_FUNCTION, message).at(at))
        }
        _ if !enc.ty.def.terms.ord => Err(missing_order(&enc.ty, &enc.column, name).at(at)),
        _ => Ok(()),
    }
}

/// The type of the result: PostgreSQL has these functions for text and not for varchar, and for inet and not for cidr.
fn result_type(ty: Arc<EncType>) -> Arc<EncType> {
    let shown = match ty.def.plain {
        PlainType::Varchar => PlainType::Text,
        PlainType::Cidr => PlainType::Inet,
        _ => return ty,
    };
    shown_as(&ty, shown)
}
