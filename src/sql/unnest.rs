//! `unnest` of arrays: encrypted ones, and those that the client gives, as bulk loading writes it, whose elements may be for
//! encrypted columns.
//!
//! In FROM, PostgreSQL takes an array of composites apart into their attributes; in a select list it does not. So where
//! an array is sealed, `FROM unnest($1, $2) AS u (a, b)` becomes a subquery that has both in its select list, which gives
//! the same rows.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node, RangeFunction};

use super::analyzer::Analyzer;
use super::expr::{Open, Val};
use super::from::alias_of;
use super::refuse::{self, Detail, Result};
use super::routine::is_bare;
use super::scope::{ColVal, Columns, Derived, Item, Scope, Span};
use super::tree;
use super::types::{self, Named, always_quoted};

const UNNEST: &str = "unnest";

/// An `unnest` in FROM.
pub(super) struct Unnest {
    /// The arrays that the client gives.
    pub(super) sites: Vec<usize>,
    /// What makes it a subquery, should one of them be sealed.
    pub(super) edits: Vec<(Span, String)>,
}

impl Analyzer<'_> {
    /// `unnest` of one given array as an expression: its elements.
    pub(super) fn elements(&mut self, call: &FuncCall, open: &Open) -> Result<Val> {
        let span = self.span_of(call)?;
        open.sites.iter().for_each(|&site| self.sites[site].element = true);
        Ok(Val::Open(Open { sites: open.sites.clone(), simple: false, span }))
    }

    /// `unnest` in FROM, where the types of its columns are known. `None`: another function.
    pub(super) fn range_unnest(&mut self, function: &RangeFunction, lateral: &Scope<'_>) -> Result<Option<Item>> {
        let Some(call) = unnest_of(function).filter(|_| !self.catalog.touching_functions.contains(UNNEST)) else {
            return Ok(None);
        };
        self.note_call(call, UNNEST, true);
        let mut vals = Vec::with_capacity(call.args.len());
        let (mut encrypted, mut known) = (false, true);
        for arg in &call.args {
            let plain = self.is_plain_array(arg);
            known &= plain;
            vals.push(match self.expr(arg, lateral)? {
                Val::Open(open) if open.simple && plain => {
                    open.sites.iter().for_each(|&site| self.sites[site].element = true);
                    ColVal::Open(open.sites)
                }
                Val::Open(open) => {
                    self.decide_plain(&open.sites)?;
                    ColVal::Plain
                }
                Val::Plain => ColVal::Plain,
                Val::Enc(enc) if enc.ty.is_array() => {
                    encrypted = true;
                    ColVal::Enc(enc.ty.single().clone(), enc.column)
                }
                Val::Enc(enc) => return Err(refuse::on_column(UNNEST, &enc.column).at(enc.span.0 as i32)),
            });
        }
        let (alias, renamed) = alias_of(&function.alias, "unnest");
        let own = if vals.len() == 1 { alias.as_str() } else { "unnest" };
        let name = |i: usize| renamed.get(i).map_or(own, String::as_str).to_string();
        let columns: Vec<Derived> =
            vals.into_iter().enumerate().map(|(i, val)| Derived { name: name(i), val }).collect();
        // Of several arrays that are not given, one may be of rows, which are several columns.
        let opaque = !encrypted && !known && columns.len() > 1;
        if opaque {
            for column in &columns {
                if let ColVal::Open(sites) = &column.val {
                    self.decide_plain(sites)?;
                }
            }
            return Ok(Some(Item { opaque, ..Item::new(self.item_id(), &alias, Columns::Derived([].into())) }));
        }
        if encrypted || known {
            self.note_unnest(function, call, &columns, encrypted)?;
        }
        Ok(Some(Item::new(self.item_id(), &alias, Columns::Derived(columns.into()))))
    }

    /// Notes how it becomes a subquery. `encrypted`: it does in any case.
    fn note_unnest(
        &mut self,
        function: &RangeFunction,
        call: &FuncCall,
        columns: &[Derived],
        encrypted: bool,
    ) -> Result<()> {
        let open = |c: &Derived| if let ColVal::Open(sites) = &c.val { sites.to_vec() } else { Vec::new() };
        let sites: Vec<usize> = columns.iter().flat_map(open).collect();
        let first = self.token(call.location)?;
        let opening = self.name_end(first) + 1;
        let closing = self.partner(opening)?;
        let label = |i: usize| columns.get(i).map_or_else(String::new, |c| always_quoted(&c.name));
        let lateral = if function.lateral { "" } else { "LATERAL " };
        let mut edits = vec![(self.span(first, opening), format!("{lateral}(SELECT pg_catalog.unnest("))];
        let (mut at, mut column) = (opening + 1, 0);
        while at < closing {
            if self.is(at, ",") {
                edits.push((self.span(at, at), format!(") AS {}, pg_catalog.unnest(", label(column))));
                column += 1;
            }
            at = if self.is(at, "(") || self.is(at, "[") { self.partner(at)? } else { at } + 1;
        }
        let named = if function.alias.is_some() { "" } else { " AS unnest" };
        edits.push((self.span(closing, closing), format!(") AS {}){named}", label(column))));
        match encrypted {
            true => edits.into_iter().for_each(|(span, text)| self.edits.both(span, text)),
            false => self.unnests.push(Unnest { sites, edits }),
        }
        Ok(())
    }

    /// A given value, or what is cast to an array of a built-in type: not an array of rows, which would be several columns.
    fn is_plain_array(&self, node: &Node) -> bool {
        match tree::kind(node) {
            Some(NodeEnum::ParamRef(_) | NodeEnum::AConst(_)) => true,
            Some(NodeEnum::TypeCast(cast)) => cast.type_name.as_ref().is_some_and(|name| {
                let named = types::named(name, self.catalog, self.session);
                matches!(named, Named::Builtin { array: true, .. } | Named::EncArray(_))
            }),
            _ => false,
        }
    }
}

/// The call of `unnest` that a function in FROM is, if it is that alone.
fn unnest_of(function: &RangeFunction) -> Option<&FuncCall> {
    if function.ordinality || function.is_rowsfrom || !function.coldeflist.is_empty() {
        return None;
    }
    let [list] = &function.functions[..] else { return None };
    let NodeEnum::List(list) = tree::kind(list)? else { return None };
    let NodeEnum::FuncCall(call) = tree::kind(list.items.first()?)? else { return None };
    let named = tree::own_name(&call.funcname) == Some("unnest");
    (named && is_bare(call)).then_some(call)
}
