//! GROUP BY: encrypted keys are grouped by the term that comparisons use, and a key that is read gives one value of its group.
//!
//! Outside of aggregates a key stands in one of these forms. Where another group by (ROLLUP and the like) makes the key
//! NULL, so is its term and with it the value.

use pg_query::NodeEnum;
use pg_query::protobuf::{CoercionForm, FuncCall, Node, ResTarget, SelectStmt};

use super::analyzer::Analyzer;
use super::compare::{attribute, no_equality, term_of};
use super::expr::{Enc, Val};
use super::outputs::{Slot, Star};
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Derived, Found, Scope, Seen};
use super::tree;
use super::types;
use crate::schema::catalog::EncType;
use crate::schema::registry::attributes;

/// What the attribute `v` of every value holds.
const GUARD: &str = "'1'";

/// PostgreSQL's own aggregates: what stands in their arguments is looked at row by row.
const AGGREGATES: &[&str] = &[
    "any_value",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "dense_rank",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "mode",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "range_intersect_agg",
    "rank",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
    "xmlagg",
];

/// A column as it is written, so that its name may be repeated.
#[derive(Clone, Debug)]
pub(super) struct Bare {
    /// Item and column.
    pub(super) column: (u32, usize),
    pub(super) text: String,
}

/// The described form: has the type and is made of the key's term alone.
fn described(ty: &EncType, text: &str) -> String {
    let (compared, _) = ty.def.terms.compared();
    let part = |(name, _)| if name == compared { term_of(ty, text) } else { "NULL".into() };
    composed(ty, attributes(ty.def.terms).into_iter().map(part).collect())
}

fn composed(ty: &EncType, parts: Vec<String>) -> String {
    format!("ROW({})::{}", parts.join(", "), types::sql_name(ty))
}

/// One member of a group of values that are equal. Of arrays PostgreSQL has a `min` that keeps one value alone.
fn member(text: &str, attribute: &str, filter: &str) -> String {
    format!("(pg_catalog.min(ARRAY[({text}).{attribute}]){filter})[1]")
}

/// One value of the group of the key `text`, or its envelope. `filter`: which rows of the group may give it.
pub(super) fn one_of(ty: &EncType, text: &str, filter: &str, reduced: bool) -> String {
    let terms = ty.def.terms;
    let (compared, _) = terms.compared();
    let value = if reduced {
        member(text, "c", filter)
    } else if terms.matching || terms.json {
        format!("(pg_catalog.array_agg({text}){filter})[1]")
    } else {
        let part = |(name, _)| match name {
            "v" => GUARD.into(),
            name if name == compared => term_of(ty, text),
            name => member(text, name, filter),
        };
        composed(ty, attributes(terms).into_iter().map(part).collect())
    };
    format!("CASE WHEN {} IS NOT NULL THEN {value} END", term_of(ty, text))
}

/// A key of GROUP BY that is an output column, by its number.
pub(super) struct Output<'n> {
    node: &'n Node,
    column: usize,
}

impl Analyzer<'_> {
    /// Notes how the query at hand sees a column.
    pub(super) fn see(&self, mut enc: Enc, text: &str, scope: &Scope<'_>) -> Result<Enc> {
        let Some(origin) = enc.origin else { return Ok(enc) };
        match scope.sees(origin) {
            Seen::OuterKey => {
                return Err(refuse::unsupported(format!(
                    "a subquery that uses encrypted column {}, by which the query around it groups, is not supported",
                    enc.column
                ))
                .hint("Group in a subquery in FROM, and use its columns.")
                .at(enc.span.0 as i32));
            }
            seen => enc.grouped = seen == Seen::Key,
        }
        enc.bare = Some(Bare { column: origin, text: text.to_string() }.into());
        Ok(enc)
    }

    /// A value as the term that comparisons use, in both forms.
    pub(super) fn term(&mut self, enc: &Enc) {
        self.edits.wrap_both(enc.span, "(", attribute(&enc.ty));
    }

    /// An operand of a comparison: of its type in the described form, its term in the executed one.
    pub(super) fn compared(&mut self, enc: &Enc) {
        match &enc.bare {
            Some(bare) if enc.grouped => {
                let (described, executed) = (described(&enc.ty, &bare.text), term_of(&enc.ty, &bare.text));
                self.edits.each(enc.span, Some(described.into()), Some(executed.into()));
            }
            _ => self.edits.wrap(enc.span, "(", attribute(&enc.ty)),
        }
    }

    /// A value of which the executed form gives the envelope.
    pub(super) fn enveloped(&mut self, enc: &Enc) {
        if !self.one(enc, true) {
            self.edits.wrap(enc.span, "(", ").c");
        }
    }

    /// A value that stays one of its type.
    pub(super) fn kept(&mut self, enc: &Enc) {
        self.one(enc, false);
    }

    /// Puts one value of its group in place of a key. Whether it is one.
    fn one(&mut self, enc: &Enc, reduced: bool) -> bool {
        let Some(bare) = enc.bare.as_ref().filter(|_| enc.grouped) else { return false };
        let executed = one_of(&enc.ty, &bare.text, "", reduced);
        self.edits.each(enc.span, Some(described(&enc.ty, &bare.text).into()), Some(executed.into()));
        true
    }

    /// What [`Self::kept`] makes of a column, as text in the two forms.
    pub(super) fn kept_text(&self, enc: &Enc, text: &str) -> (String, String) {
        match enc.grouped {
            true => Self::key_of_star(&enc.ty, text, false),
            false => (text.to_string(), text.to_string()),
        }
    }

    /// A key in an expansion of `*`: its text in the two forms.
    pub(super) fn key_of_star(ty: &EncType, text: &str, top: bool) -> (String, String) {
        (described(ty, text), one_of(ty, text, "", top))
    }

    /// Looks at GROUP BY before all else that sees groups: its encrypted columns become the scope's keys. Returns the keys
    /// that are output columns of another kind.
    pub(super) fn group_by<'n>(
        &mut self,
        select: &'n SelectStmt,
        scope: &mut Scope<'_>,
        star: &Star,
    ) -> Result<Vec<Output<'n>>> {
        let (mut keys, mut outputs) = (Vec::new(), Vec::new());
        for key in &select.group_clause {
            scope.group.sets |= matches!(tree::kind(key), Some(NodeEnum::GroupingSet(_)));
            self.group_key(key, select, scope, star, (&mut keys, &mut outputs))?;
        }
        scope.group.keys = keys;
        Ok(outputs)
    }

    fn group_key<'n>(
        &mut self,
        key: &'n Node,
        select: &'n SelectStmt,
        scope: &Scope<'_>,
        star: &Star,
        found: (&mut Vec<(u32, usize)>, &mut Vec<Output<'n>>),
    ) -> Result<()> {
        let (keys, outputs) = found;
        let parts = match tree::kind(key) {
            Some(NodeEnum::GroupingSet(set)) => Some(&set.content),
            // `(a, b)`, not `ROW(a, b)`.
            Some(NodeEnum::RowExpr(row)) if row.row_format() == CoercionForm::CoerceImplicitCast => Some(&row.args),
            _ => None,
        };
        if let Some(parts) = parts {
            return parts.iter().try_for_each(|k| self.group_key(k, select, scope, star, (&mut *keys, &mut *outputs)));
        }
        let Some(column) = self.output_named(key, select, scope, star)? else {
            return match self.expr(key, scope)? {
                Val::Plain => Ok(()),
                Val::Open(open) => self.decide_plain(&open.sites),
                Val::Enc(enc) => {
                    self.needs_equality(&enc, "GROUP BY")?;
                    self.term(&enc);
                    keys.extend(enc.bare.map(|b| b.column));
                    Ok(())
                }
            };
        };
        match self.slot_column(&star.slots(&select.target_list, scope), column, scope)? {
            Some(enc) => {
                self.needs_equality(&enc, "GROUP BY")?;
                let first = self.token(tree::location(key))?;
                let bare = enc.bare.as_ref().map_or("", |b| &b.text);
                self.edits.both(self.span(first, self.name_end(first)), term_of(&enc.ty, bare));
                keys.extend(enc.bare.map(|b| b.column));
            }
            None => outputs.push(Output { node: key, column }),
        }
        Ok(())
    }

    /// The output column that a key means by its number, or by a name that no column of FROM has.
    fn output_named(
        &mut self,
        key: &Node,
        select: &SelectStmt,
        scope: &Scope<'_>,
        star: &Star,
    ) -> Result<Option<usize>> {
        if let Some(n) = tree::int_const(key) {
            self.fixed.extend(self.token(tree::location(key)).ok().and_then(|t| self.literal(t)));
            return Ok(usize::try_from(n).ok().and_then(|n| n.checked_sub(1)));
        }
        let Some(NodeEnum::ColumnRef(reference)) = tree::kind(key) else { return Ok(None) };
        let [field] = reference.fields.as_slice() else { return Ok(None) };
        let Some(name) = tree::string(field) else { return Ok(None) };
        if scope.local(name).map_err(|r| r.at(self.here(reference.location)))?.is_some() {
            return Ok(None);
        }
        let slots = star.slots(&select.target_list, scope);
        Ok(slots.iter().position(|slot| matches!(slot, Slot::Target(t) if output_name(t) == name)))
    }

    /// The encrypted column that an output column is, if it is one by itself.
    fn slot_column(&mut self, slots: &[Slot<'_>], column: usize, scope: &Scope<'_>) -> Result<Option<Enc>> {
        let (found, text) = match slots.get(column) {
            Some(Slot::Column(found, text)) => (found.clone(), text.clone()),
            Some(Slot::Target(target)) => match self.named_column(target, scope) {
                Some(named) => named,
                None => return Ok(None),
            },
            None => return Ok(None),
        };
        match self.found(found, (0, 0))? {
            Val::Enc(enc) => self.see(enc, &text, scope).map(Some),
            _ => Ok(None),
        }
    }

    /// The column that a select item names, and how it does.
    fn named_column(&self, target: &ResTarget, scope: &Scope<'_>) -> Option<(Found, String)> {
        let Some(NodeEnum::ColumnRef(reference)) = tree::child(&target.val).and_then(tree::kind) else { return None };
        let found = scope.named(reference)?.ok()?;
        let first = self.token(reference.location).ok()?;
        let spelled = found.origin.and_then(|origin| scope.spelled(origin));
        let text = spelled.map_or_else(|| self.name_text(first), str::to_string);
        Some((found, text))
    }

    /// Keys that are output columns and no columns of FROM: plain ones.
    pub(super) fn group_outputs(&mut self, outputs: &[Output<'_>], columns: &[Derived]) -> Result<()> {
        for output in outputs {
            match columns.get(output.column).map(|c| &c.val) {
                Some(ColVal::Enc(_, column) | ColVal::Tainted(column)) => {
                    return Err(refuse::on_column("GROUP BY of an expression that is selected", column)
                        .hint("Compute it in a subquery in FROM, and group by its column.")
                        .at(self.here(tree::location(output.node))));
                }
                Some(ColVal::Open(sites)) => self.decide_plain(&sites.clone())?,
                Some(ColVal::Plain) | None => {}
            }
        }
        Ok(())
    }

    /// GROUPING(...): its arguments are keys.
    pub(super) fn grouping(&mut self, args: &[Node], scope: &Scope<'_>) -> Result<()> {
        for arg in args {
            match self.expr(arg, scope)? {
                Val::Enc(enc) => self.term(&enc),
                Val::Open(open) => self.decide_plain(&open.sites)?,
                Val::Plain => {}
            }
        }
        Ok(())
    }

    /// Refused unless values of the type can be told apart.
    pub(super) fn needs_equality(&self, enc: &Enc, construct: &str) -> Result<()> {
        match enc.ty.def.terms.equal() {
            true => Ok(()),
            false => Err(no_equality(&enc.ty, &enc.column, construct).at(enc.span.0 as i32)),
        }
    }
}

/// An aggregate of PostgreSQL's, which is no window function here.
pub(super) fn is_aggregate(call: &FuncCall) -> bool {
    let names = tree::strings(&call.funcname);
    let builtin = names.len() == 1 || names[0] == "pg_catalog";
    builtin && call.over.is_none() && names.last().is_some_and(|name| AGGREGATES.contains(name))
}

fn output_name(target: &ResTarget) -> String {
    match tree::child(&target.val) {
        Some(node) if target.name.is_empty() => super::outputs::column_name(node),
        _ => target.name.clone(),
    }
}
