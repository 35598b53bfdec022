//! What orders rows: ORDER BY of queries, windows and aggregates, DISTINCT ON. All go by the term `ord`, whose
//! bytes sort as the values do.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node, SortBy, WindowDef};

use super::analyzer::Analyzer;
use super::built::Built;
use super::compare::{NO_ARRAYS, attribute};
use super::expr::Val;
use super::outputs::Written;
use super::plan::Refusal;
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Derived, Scope};
use super::tree;
use super::types;
use crate::schema::catalog::EncType;

/// `FRAMEOPTION_RANGE` of PostgreSQL's `parsenodes.h`.
const FRAME_RANGE: i32 = 0x2;

/// What keys of a query may name by number or name: its output columns.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) columns: &'a [Derived],
    /// What makes them.
    pub(super) list: &'a [Node],
    /// By column: how an encrypted one is written in an expression.
    pub(super) written: &'a [Written],
}

/// The attribute by which rows are ordered, or told apart.
fn key_attribute(ty: &EncType, column: &str, construct: &str) -> Result<&'static str> {
    let terms = ty.def.terms;
    if terms.ord || (construct == "DISTINCT ON" && terms.eq) {
        return Ok(attribute(ty));
    }
    Err(missing_order(ty, column, construct))
}

pub(super) fn missing_order(ty: &EncType, column: &str, construct: &str) -> Box<Refusal> {
    if ty.is_array() {
        return refuse::on_column(construct, column).hint(NO_ARRAYS);
    }
    refuse::unsupported(format!(
        "{construct} on encrypted column {column} needs term ord, which is missing (type {})",
        types::sql_name(ty)
    ))
    .hint("Use an encrypted type with term ord, or sort after reading.")
}

/// The output columns that a key means by number or name.
fn meant(node: &Node, columns: &[Derived]) -> Vec<usize> {
    if let Some(n) = tree::int_const(node) {
        let index = usize::try_from(n).ok().and_then(|n| n.checked_sub(1));
        return index.filter(|index| *index < columns.len()).into_iter().collect();
    }
    let Some(NodeEnum::ColumnRef(reference)) = tree::kind(node) else { return Vec::new() };
    let [field] = reference.fields.as_slice() else { return Vec::new() };
    let Some(name) = tree::string(field) else { return Vec::new() };
    (0..columns.len()).filter(|&index| columns[index].name == name).collect()
}

/// A key means one encrypted output column by number or name.
pub(super) fn names_encrypted(node: &Node, columns: &[Derived]) -> bool {
    matches!(meant(node, columns).as_slice(), [index] if matches!(columns[*index].val, ColVal::Enc(..)))
}

/// A frame of a distance in values, which only the server could compute.
pub(super) fn has_range_offset(window: &WindowDef) -> bool {
    window.frame_options & FRAME_RANGE != 0 && (window.start_offset.is_some() || window.end_offset.is_some())
}

impl Analyzer<'_> {
    /// A key of ORDER BY or DISTINCT ON: an output column by name or number, or an expression.
    pub(super) fn sort_key(&mut self, key: &Node, scope: &Scope<'_>, outputs: Keys<'_>, construct: &str) -> Result<()> {
        let (node, sort) = match tree::kind(key) {
            Some(NodeEnum::SortBy(sort)) => match tree::child(&sort.node) {
                Some(node) => (node, Some(&**sort)),
                None => return Ok(()),
            },
            _ => (key, None),
        };
        if tree::int_const(node).is_some()
            && let Some(literal) = self.token(tree::location(node)).ok().and_then(|token| self.literal(token))
        {
            self.fixed.push(literal);
        }
        match meant(node, outputs.columns).as_slice() {
            [] => match self.alike(node, outputs.list) {
                Some(index) if matches!(outputs.columns[index].val, ColVal::Enc(..)) => {
                    self.output_sort_key(node, sort, (outputs, index), construct)
                }
                _ => self.order_by(node, sort, scope, construct).map(|_| ()),
            },
            [index] if matches!(outputs.columns[*index].val, ColVal::Enc(..)) => {
                self.output_sort_key(node, sort, (outputs, *index), construct)
            }
            several => several.iter().try_for_each(|&index| self.plain_key(&outputs.columns[index], construct, node)),
        }
    }

    /// One of several output columns that a key may mean.
    fn plain_key(&mut self, column: &Derived, construct: &str, node: &Node) -> Result<()> {
        match &column.val {
            ColVal::Plain => Ok(()),
            ColVal::Open(sites) => self.decide_plain(sites),
            ColVal::Enc(..) => {
                let message = format!("{construct} \"{}\" is ambiguous", column.name);
                Err(refuse::with(refuse::AMBIGUOUS_COLUMN, message).at(self.here(tree::location(node))))
            }
            ColVal::Tainted(name) | ColVal::Built(Built { column: name, .. }) => {
                Err(refuse::on_column(construct, name).at(self.here(tree::location(node))))
            }
        }
    }

    fn output_sort_key(
        &mut self,
        node: &Node,
        sort: Option<&SortBy>,
        (outputs, index): (Keys<'_>, usize),
        construct: &str,
    ) -> Result<()> {
        let ColVal::Enc(ty, column) = &outputs.columns[index].val else { return Ok(()) };
        let at = self.here(tree::location(node));
        let attribute = self.sort_attribute(ty, column, sort, construct).map_err(|r| r.at(at))?;
        let written = outputs.written.get(index).unwrap_or(&Written::Not);
        let reference = self.write(written, construct, column).map_err(|r| r.at(at))?;
        let (first, last) = self.expression(node)?;
        self.edits.both(self.span(first, last), format!("({reference}{attribute}"));
        Ok(())
    }

    fn sort_attribute(
        &self,
        ty: &EncType,
        column: &str,
        sort: Option<&SortBy>,
        construct: &str,
    ) -> Result<&'static str> {
        if sort.is_some_and(|sort| !sort.use_op.is_empty()) {
            return Err(refuse::on_column("ORDER BY ... USING", column).hint("Write ASC or DESC."));
        }
        key_attribute(ty, column, construct)
    }

    /// Keys of ORDER BY in a window or an aggregate: expressions alone. Gives an encrypted column among them.
    pub(super) fn order_all(&mut self, keys: &[Node], scope: &Scope<'_>, construct: &str) -> Result<Option<Rc<str>>> {
        let mut found = None;
        for key in keys {
            let sort = if let Some(NodeEnum::SortBy(sort)) = tree::kind(key) { Some(&**sort) } else { None };
            if let Some(node) = tree::sorted(key) {
                found = self.order_by(node, sort, scope, construct)?.or(found);
            }
        }
        Ok(found)
    }

    /// ORDER BY within an aggregate. With WITHIN GROUP the key is what the aggregate is computed from.
    pub(super) fn aggregate_order(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<()> {
        if !call.agg_within_group {
            return self.order_all(&call.agg_order, scope, "ORDER BY in an aggregate").map(drop);
        }
        let key = |key: &Node| match tree::kind(key) {
            Some(NodeEnum::SortBy(sort)) => self.plain_some(&sort.node, scope, "WITHIN GROUP"),
            _ => self.plain(key, scope, "WITHIN GROUP"),
        };
        call.agg_order.iter().try_for_each(key)
    }

    fn order_by(
        &mut self,
        node: &Node,
        sort: Option<&SortBy>,
        scope: &Scope<'_>,
        construct: &str,
    ) -> Result<Option<Rc<str>>> {
        match self.expr(node, scope)? {
            Val::Plain => Ok(None),
            Val::Open(open) => self.decide_plain(&open.sites).map(|()| None),
            Val::Enc(enc) => {
                let at = enc.span.0 as i32;
                let attribute = self.sort_attribute(&enc.ty, &enc.column, sort, construct).map_err(|r| r.at(at))?;
                match enc.grouped {
                    true => self.term(&enc),
                    false => self.edits.wrap_both(enc.span, "(", attribute),
                }
                Ok(Some(enc.column))
            }
        }
    }
}
