//! Comparisons that PostgreSQL makes part by part, by operators that it looks up itself: of rows, of `CASE value WHEN`.
//! Encrypted parts stand in them as terms, in both forms, so that the operator it finds is that of terms.

use std::rc::Rc;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, Node, SubLink, SubLinkType};

use super::analyzer::Analyzer;
use super::compare::{attribute, first_encrypted, missing, no_equality, term_of};
use super::expr::Val;
use super::refuse::{self, Detail, Result, SYNTAX_ERROR};
use super::scope::{Found, Scope};
use super::site::Decision;
use super::tree;
use crate::schema::catalog::EncType;

const ROWS: &str = "comparison of rows";

impl Analyzer<'_> {
    /// Values compared with one another become terms if one of them is encrypted; else all are plain.
    pub(super) fn by_terms(&mut self, vals: &[Val], construct: &str) -> Result<()> {
        let Some(enc) = first_encrypted(vals) else { return self.plain_vals(vals) };
        let Some((ty, column)) = self.common(vals, construct)? else { return Ok(()) };
        if !ty.def.terms.equal() {
            return Err(no_equality(&ty, &column, construct).at(enc.span.0 as i32));
        }
        vals.iter().try_for_each(|val| self.as_term(val, &ty, &column))
    }

    fn as_term(&mut self, val: &Val, ty: &Arc<EncType>, column: &Rc<str>) -> Result<()> {
        match val {
            Val::Plain => {}
            Val::Enc(enc) => self.term(enc),
            Val::Open(open) if open.simple => {
                self.decide(open.sites[0], Decision::Equal(ty.clone()), column)?;
                let (start, end) = open.span;
                self.edits.each((start, start), Some("(".into()), None);
                self.edits.each((end, end), Some(attribute(ty).into()), None);
            }
            Val::Open(open) => {
                self.store(open, ty, column)?;
                self.edits.wrap_both(open.span, "(", attribute(ty));
            }
        }
        Ok(())
    }

    /// `(a, e) = ($1, $2)`, `(a, e) = (SELECT ...)`, `(a, e) IN ((1, $1), (2, $2))`; `None` if the left side is no row.
    pub(super) fn rows(&mut self, expr: &AExpr, name: &str, scope: &Scope<'_>) -> Option<Result<Val>> {
        let left = row(tree::child(&expr.lexpr)?)?;
        let right = tree::child(&expr.rexpr)?;
        let compared = match (expr.kind(), tree::kind(right)?) {
            (AExprKind::AexprOp | AExprKind::AexprDistinct | AExprKind::AexprNotDistinct, NodeEnum::RowExpr(_)) => {
                let right = row(right)?;
                self.row_pairs(expr, name, left, &[right], scope)
            }
            (AExprKind::AexprOp, NodeEnum::SubLink(link)) if link.sub_link_type() == SubLinkType::ExprSublink => {
                return self.row_with_query(left, link, name, scope);
            }
            (AExprKind::AexprIn, NodeEnum::List(list)) => {
                let rows: Option<Vec<&[Node]>> = list.items.iter().map(row).collect();
                self.row_pairs(expr, name, left, &rows?, scope)
            }
            _ => return None,
        };
        Some(compared.map(|()| Val::Plain))
    }

    fn row_with_query(&mut self, left: &[Node], link: &SubLink, name: &str, scope: &Scope<'_>) -> Option<Result<Val>> {
        let query = tree::child(&link.subselect)?;
        let open = self.token(link.location);
        Some(open.and_then(|open| self.row_and_query(left, query, open, name, scope)))
    }

    fn row_pairs(
        &mut self,
        expr: &AExpr,
        name: &str,
        left: &[Node],
        others: &[&[Node]],
        scope: &Scope<'_>,
    ) -> Result<()> {
        if others.iter().any(|row| row.len() != left.len()) {
            return Err(
                refuse::with(SYNTAX_ERROR, "unequal number of entries in row expressions").at(self.here(expr.location))
            );
        }
        for (i, part) in left.iter().enumerate() {
            let mut vals = vec![self.expr(part, scope)?];
            for row in others {
                vals.push(self.expr(&row[i], scope)?);
            }
            self.part(expr, name, &vals)?;
        }
        Ok(())
    }

    /// One part of the rows.
    fn part(&mut self, expr: &AExpr, name: &str, vals: &[Val]) -> Result<()> {
        let distinct = expr.kind() != AExprKind::AexprOp;
        match first_encrypted(vals).filter(|enc| !distinct && !serves(name, &enc.ty)) {
            Some(enc) => Err(missing(AExprKind::AexprOp, name, &enc)),
            None => self.by_terms(vals, ROWS),
        }
    }

    /// A row compared with those of a query that begins at the bracket `open`: its encrypted columns become terms.
    pub(super) fn row_and_query(
        &mut self,
        left: &[Node],
        query: &Node,
        open: usize,
        name: &str,
        scope: &Scope<'_>,
    ) -> Result<Val> {
        let left = left.iter().map(|part| self.expr(part, scope)).collect::<Result<Vec<_>>>()?;
        let order = self.edits.next_order();
        let outputs = self.query(query, Some(scope))?;
        if outputs.opaque {
            self.plain_outputs(&outputs, ROWS)?;
            return left
                .iter()
                .try_for_each(|val| self.by_terms(&[val.clone(), Val::Plain], ROWS))
                .map(|()| Val::Plain);
        }
        let at = self.lexed.tokens[open].start as i32;
        if outputs.columns.len() != left.len() {
            let few = if outputs.columns.len() < left.len() { "few" } else { "many" };
            return Err(refuse::with(SYNTAX_ERROR, format!("subquery has too {few} columns")).at(at));
        }
        let close = self.partner(open)?;
        let mut outer = Vec::with_capacity(left.len());
        let mut encrypted = false;
        for (i, (val, column)) in left.into_iter().zip(&outputs.columns).enumerate() {
            let inner = self.found(Found { val: column.val.clone(), origin: None }, self.span(open, close))?;
            let column = format!("columnseal_s.c{}", i + 1);
            outer.push(match self.row_column(&val, &inner, name)? {
                Some(ty) => {
                    encrypted = true;
                    term_of(&ty, &column)
                }
                None => column,
            });
        }
        if encrypted {
            let names: Vec<String> = (1..=outer.len()).map(|i| format!("c{i}")).collect();
            let before = format!("SELECT {} FROM (", outer.join(", "));
            let (start, end) = (self.lexed.tokens[open].end, self.lexed.tokens[close].start);
            self.edits.insert_each(start, order, Some(before.clone()), Some(before));
            self.edits.both((end, end), format!(") AS columnseal_s ({})", names.join(", ")));
        }
        Ok(Val::Plain)
    }

    /// A part of a row and the column of a query that it is compared with. Their type, if they are encrypted.
    fn row_column(&mut self, val: &Val, inner: &Val, name: &str) -> Result<Option<Arc<EncType>>> {
        let vals = [val.clone(), inner.clone()];
        let Some(enc) = first_encrypted(&vals) else { return self.plain_vals(&vals).map(|()| None) };
        if !serves(name, &enc.ty) {
            return Err(missing(AExprKind::AexprOp, name, &enc));
        }
        let Some((ty, column)) = self.common(&vals, ROWS)? else { return Ok(None) };
        self.needs_equality(&enc, ROWS)?;
        self.as_term(val, &ty, &column)?;
        if let Val::Open(inner) = inner {
            self.store(inner, &ty, &column)?;
        }
        Ok(Some(ty))
    }
}

/// Terms of this type can be compared so.
fn serves(name: &str, ty: &EncType) -> bool {
    match name {
        "=" | "<>" => true,
        "<" | "<=" | ">" | ">=" => ty.def.terms.ord,
        _ => false,
    }
}

/// The parts of a row, if each stands in the text.
pub(super) fn row(node: &Node) -> Option<&[Node]> {
    match tree::kind(node)? {
        NodeEnum::RowExpr(row) if !row.args.iter().any(tree::is_star) => Some(&row.args),
        _ => None,
    }
}
