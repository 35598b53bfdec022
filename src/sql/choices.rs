//! Expressions that choose among values: CASE, NULLIF, GREATEST and LEAST.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, CaseExpr, MinMaxExpr, MinMaxOp};

use super::analyzer::Analyzer;
use super::compare::first_encrypted;
use super::expr::{Enc, Val};
use super::refuse::{self, Detail, Result};
use super::scope::Scope;
use super::sort::missing_order;
use super::tree;
use crate::wire::value::PlainType;

impl Analyzer<'_> {
    pub(super) fn case(&mut self, case: &CaseExpr, scope: &Scope<'_>) -> Result<Val> {
        // The value behind CASE, and those it is compared with.
        let mut tested = match tree::child(&case.arg) {
            Some(arg) => vec![self.expr(arg, scope)?],
            None => Vec::new(),
        };
        let mut vals = Vec::with_capacity(case.args.len() + 1);
        // As PostgreSQL counts them, ELSE comes first.
        if let Some(result) = tree::child(&case.defresult) {
            vals.push(self.expr(result, scope)?);
        }
        for arm in &case.args {
            let Some(NodeEnum::CaseWhen(when)) = tree::kind(arm) else { continue };
            match tree::child(&when.expr) {
                Some(node) if !tested.is_empty() => tested.push(self.expr(node, scope)?),
                _ => self.plain_some(&when.expr, scope, "a CASE condition")?,
            }
            if let Some(result) = tree::child(&when.result) {
                vals.push(self.expr(result, scope)?);
            }
        }
        self.case_values(&tested)?;
        let first = self.token(case.location)?;
        let span = self.span(first, self.case_end(first)?);
        self.combine(vals, span, "CASE")
    }

    /// `CASE value WHEN value`: the first is compared with each of the others.
    fn case_values(&mut self, vals: &[Val]) -> Result<()> {
        if first_encrypted(vals).is_some() {
            return self.by_terms(vals, "CASE value WHEN");
        }
        let (Some(value), others) = (vals.first(), vals.get(1..).unwrap_or_default()) else { return Ok(()) };
        self.plain_val(value)?;
        others.iter().try_for_each(|val| match val {
            Val::Open(open) => self.decide_firm(&open.sites),
            _ => Ok(()),
        })
    }

    /// `NULLIF(e, x)` becomes `CASE WHEN e = x THEN NULL ELSE e END`.
    pub(super) fn null_if(&mut self, expr: &AExpr, scope: &Scope<'_>) -> Result<Val> {
        let mut vals = Vec::with_capacity(2);
        for side in [&expr.lexpr, &expr.rexpr] {
            let Some(node) = tree::child(side) else { return Ok(Val::Plain) };
            vals.push(self.expr(node, scope)?);
        }
        let Some(found) = first_encrypted(&vals) else { return self.plain_vals(&vals).map(|()| Val::Plain) };
        let at = found.span.0 as i32;
        let bare = match &vals[0] {
            Val::Enc(enc) => enc.bare.clone().map(|bare| (enc.clone(), bare)),
            _ => None,
        };
        let Some((enc, bare)) = bare else {
            return Err(refuse::on_column("NULLIF of an expression", &found.column)
                .hint("NULLIF(column, value) works; else write CASE WHEN ... THEN NULL ELSE ... END.")
                .at(at));
        };
        // There PostgreSQL's NULLIF gives another type: that of the operator.
        if matches!(enc.ty.def.plain, PlainType::Varchar | PlainType::Cidr) {
            return Err(refuse::on_column("NULLIF", &enc.column)
                .hint("Write CASE WHEN column = value THEN NULL ELSE column END.")
                .at(at));
        }
        let first = self.token(expr.location)?;
        let (open, close) = (first + 1, self.partner(first + 1)?);
        let starts = self.list_starts(open)?;
        let [_, second] = starts.as_slice() else {
            return Err(refuse::on_column("this form of NULLIF", &found.column));
        };
        let comma = second - 1;
        self.operands(&vals, "NULLIF")?;
        self.edits.both(self.span(first, open), "(CASE WHEN ");
        let (described, executed) = (" OPERATOR(seal.=) ", " OPERATOR(pg_catalog.=) ");
        self.edits.each(self.span(comma, comma), Some(described.into()), Some(executed.into()));
        let (described, executed) = self.kept_text(&enc, &bare.text);
        let last = |text: String| Some(format!(" THEN NULL ELSE {text} END)").into());
        self.edits.each(self.span(close, close), last(described), last(executed));
        Ok(Val::Enc(Enc::new(enc.ty, enc.column, self.span(first, close))))
    }

    /// `GREATEST(e, $1)` becomes the first row, by order term, of a list of its values. NULLs do not count, and of equal
    /// values the first is taken, as in PostgreSQL.
    pub(super) fn extreme_of(&mut self, expr: &MinMaxExpr, scope: &Scope<'_>) -> Result<Val> {
        let least = expr.op() == MinMaxOp::IsLeast;
        let construct = if least { "LEAST" } else { "GREATEST" };
        let mut vals = Vec::with_capacity(expr.args.len());
        let (windows, keys) = (self.windows, self.keys);
        for arg in &expr.args {
            vals.push(self.expr(arg, scope)?);
        }
        let Some(enc) = first_encrypted(&vals) else { return self.plain_vals(&vals).map(|()| Val::Plain) };
        if !enc.ty.def.terms.ord {
            return Err(missing_order(&enc.ty, &enc.column, construct).at(enc.span.0 as i32));
        }
        // A subquery sees neither windows nor groups of the query around it.
        let of = match (self.windows > windows, self.keys > keys) {
            (true, _) => Some("a window function"),
            (_, true) => Some("a column by which the query groups"),
            _ => None,
        };
        if let Some(of) = of {
            return Err(refuse::on_column(&format!("{construct} of {of}"), &enc.column)
                .hint("Compute that in a subquery in FROM, and use its columns.")
                .at(enc.span.0 as i32));
        }
        let first = self.token(expr.location)?;
        let (open, close) = (first + 1, self.partner(first + 1)?);
        let starts = self.list_starts(open)?;
        let Val::Enc(made) = self.combine(vals, self.span(first, close), construct)? else { return Ok(Val::Plain) };
        self.edits.both(self.span(first, open), "(SELECT columnseal_g.v FROM (VALUES (1, ");
        for (n, &start) in starts.iter().enumerate().skip(1) {
            self.edits.both(self.span(start - 1, start - 1), format!("), ({}, ", n + 1));
        }
        let direction = if least { "" } else { " DESC" };
        self.edits.both(
            self.span(close, close),
            format!(
                ")) AS columnseal_g (n, v) WHERE (columnseal_g.v).ord IS NOT NULL ORDER BY (columnseal_g.v).ord{direction}, columnseal_g.n LIMIT 1)"
            ),
        );
        Ok(Val::Enc(made))
    }
}
