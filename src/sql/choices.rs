//! Expressions that choose among values: CASE and NULLIF.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, CaseExpr};

use super::analyzer::Analyzer;
use super::compare::first_encrypted;
use super::expr::{Enc, Val};
use super::refuse::{self, Detail, Result};
use super::scope::{Scope, Span};
use super::tree;
use crate::wire::sqlstate::SqlState;
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
        let span = self.case_span(case.location)?;
        self.combine(vals, span, "CASE")
    }

    /// From CASE to its END.
    fn case_span(&self, location: i32) -> Result<Span> {
        let first = self.token(location)?;
        let (mut depth, mut i) = (0usize, first);
        while i < self.lexed.tokens.len() {
            let named = i > 0 && self.is(i - 1, ".");
            if self.is(i, "(") || self.is(i, "[") {
                i = self.partner(i)?;
            } else if !named && self.is_word(i, "case") {
                depth += 1;
            } else if !named && self.is_word(i, "end") {
                depth -= 1;
                if depth == 0 {
                    return Ok(self.span(first, i));
                }
            }
            i += 1;
        }
        Err(refuse::with(SqlState::INTERNAL_ERROR, "a CASE of this statement has no END in its text"))
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
}
