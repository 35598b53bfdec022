//! GROUP BY: encrypted keys are grouped by the term that comparisons use, and a key that is read gives one value of its group.
//!
//! Outside of aggregates a key stands in one of these forms. Where another group by (ROLLUP and the like) makes the key
//! NULL, so is its term and with it the value.

use pg_query::NodeEnum;
use pg_query::protobuf::{CoercionForm, FuncCall, Node, ResTarget, SelectStmt};

use super::analyzer::Analyzer;
use super::built::Built;
use super::compare::{attribute, no_equality, term_of};
use super::expr::{Enc, Val};
use super::outputs::{Slot, Star, Target, Written};
use super::refuse::{self, Detail, Result};
use super::rewrite::Part;
use super::scope::{ColVal, Computed, Found, Scope, Seen};
use super::tree;
use super::types;
use crate::schema::catalog::EncType;
use crate::schema::registry::attributes;

const GROUP_BY: &str = "GROUP BY";

/// What the attribute `v` of every value holds.
const GUARD: &str = "'1'";

/// PostgreSQL's own aggregates: what stands in their arguments is looked at row by row.
pub(super) const AGGREGATES: &[&str] = &[
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
    /// Of a promoted path of it, the number.
    pub(super) path: Option<usize>,
    /// How it is written: the column, or what gives the path of it.
    pub(super) text: String,
}

/// Columns by which a query groups, and promoted paths of columns.
#[derive(Default)]
struct Keys {
    columns: Vec<(u32, usize)>,
    paths: Vec<((u32, usize), usize)>,
}

impl Keys {
    fn add(&mut self, bare: Option<&Bare>) {
        match bare {
            Some(Bare { column, path: Some(number), .. }) => self.paths.push((*column, *number)),
            Some(Bare { column, .. }) => self.columns.push(*column),
            None => {}
        }
    }
}

/// The attributes of a composite.
fn attributes_of(ty: &EncType) -> Vec<&'static str> {
    let paths = (!ty.promoted.paths.is_empty()).then_some("p");
    attributes(ty.def.terms).into_iter().map(|(name, _)| name).chain(paths).collect()
}

/// The described form: has the type and is made of the key's term alone.
fn described(ty: &EncType, text: &str) -> String {
    let (compared, _) = ty.def.terms.compared();
    let part = |name| if name == compared { term_of(ty, text) } else { "NULL".into() };
    composed(ty, attributes_of(ty).into_iter().map(part).collect())
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
    } else if terms.matching || terms.json || !ty.promoted.paths.is_empty() {
        format!("(pg_catalog.array_agg({text}){filter})[1]")
    } else {
        let part = |name| match name {
            "v" => GUARD.into(),
            name if name == compared => term_of(ty, text),
            name => member(text, name, filter),
        };
        composed(ty, attributes_of(ty).into_iter().map(part).collect())
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
    pub(super) fn see(&mut self, mut enc: Enc, text: &str, scope: &Scope<'_>) -> Result<Enc> {
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
        self.keys += usize::from(enc.grouped);
        enc.bare = Some(Bare { column: origin, path: None, text: text.to_string() }.into());
        Ok(enc)
    }

    /// A value as the term that comparisons use, in both forms.
    pub(super) fn term(&mut self, enc: &Enc) {
        match enc.bare.as_ref().filter(|_| enc.grouped) {
            Some(bare) => self.edits.both(enc.span, term_of(&enc.ty, &bare.text)),
            None => self.edits.wrap_both(enc.span, "(", attribute(&enc.ty)),
        }
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

    /// A value of which the executed form gives the envelope. Arrays stay what they are.
    pub(super) fn enveloped(&mut self, enc: &Enc) {
        if enc.ty.is_array() {
            return;
        }
        if !self.one(enc, true) && !self.explains {
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
        let (mut keys, mut outputs) = (Keys::default(), Vec::new());
        for key in &select.group_clause {
            scope.group.sets |= matches!(tree::kind(key), Some(NodeEnum::GroupingSet(_)));
            self.group_key(key, select, scope, star, (&mut keys, &mut outputs))?;
        }
        (scope.group.keys, scope.group.paths) = (keys.columns, keys.paths);
        scope.group.outputs = outputs.iter().map(|output| output.column).collect();
        Ok(outputs)
    }

    fn group_key<'n>(
        &mut self,
        key: &'n Node,
        select: &'n SelectStmt,
        scope: &Scope<'_>,
        star: &Star,
        found: (&mut Keys, &mut Vec<Output<'n>>),
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
        let named = match self.output_named(key, select, scope, star)? {
            None => self.alike(key, &select.target_list),
            named => named,
        };
        let Some(column) = named else {
            return match self.expr(key, scope)? {
                Val::Plain => Ok(()),
                Val::Open(open) => self.decide_plain(&open.sites),
                Val::Enc(enc) => {
                    self.needs_equality(&enc, GROUP_BY)?;
                    self.term(&enc);
                    keys.add(enc.bare.as_deref());
                    Ok(())
                }
            };
        };
        match self.slot_column(&star.slots(&select.target_list, scope), column, scope)? {
            Some(enc) => {
                self.needs_equality(&enc, GROUP_BY)?;
                let first = self.token(tree::location(key))?;
                let bare = enc.bare.as_ref().map_or("", |b| &b.text);
                self.edits.both(self.span(first, self.name_end(first)), term_of(&enc.ty, bare));
                keys.add(enc.bare.as_deref());
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
        if let Some(Slot::Target(target)) = slots.get(column)
            && let Some(path) = tree::child(&target.val).and_then(|node| self.path_of(node, scope))
        {
            return self.promoted_at(path, (0, 0), scope).map(Some);
        }
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

    /// Keys that are output columns and no columns of FROM. Gives those that are computed of encrypted values.
    pub(super) fn group_outputs(
        &mut self,
        outputs: &[Output<'_>],
        targets: &[Target],
        list: &[Node],
    ) -> Result<Vec<Computed>> {
        let mut computed = Vec::new();
        for output in outputs {
            let Some(target) = targets.get(output.column) else { continue };
            let at = self.here(tree::location(output.node));
            let key = match &target.column.val {
                ColVal::Enc(ty, column) => {
                    if let Some(words) = self.words_of_item(list, output.column) {
                        let (ty, column, written) = (ty.clone(), column.clone(), target.written.clone());
                        computed.push(Computed { words, ty, column, written });
                    }
                    let text = self.write(&target.written, GROUP_BY, column).map_err(|r| r.at(at))?;
                    term_of(ty, &text)
                }
                ColVal::Tainted(column) | ColVal::Built(Built { column, .. }) => {
                    return Err(refuse::on_column(GROUP_BY, column).at(at));
                }
                val => {
                    if let ColVal::Open(sites) = val {
                        self.decide_plain(sites)?;
                    }
                    // Of an expression that is written twice the values would be two parameters.
                    (output.column + 1).to_string()
                }
            };
            let named = matches!(tree::kind(output.node), Some(NodeEnum::ColumnRef(_) | NodeEnum::AConst(_)));
            if !named || matches!(target.column.val, ColVal::Enc(..)) {
                let (first, last) = self.expression(output.node)?;
                self.edits.both(self.span(first, last), key);
            }
        }
        Ok(computed)
    }

    /// The key by which the query groups that is written as this expression is.
    pub(super) fn computed_key(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Option<Enc>> {
        if scope.group.inside.get() || scope.group.computed.is_empty() {
            return Ok(None);
        }
        let Ok(words) = self.expression(node) else { return Ok(None) };
        for key in &scope.group.computed {
            if self.same(words, key.words) {
                let text = self.write(&key.written, GROUP_BY, &key.column)?;
                let bare = Some(Bare { column: (u32::MAX, 0), path: None, text }.into());
                self.keys += 1;
                let enc = Enc::new(key.ty.clone(), key.column.clone(), self.span(words.0, words.1));
                return Ok(Some(Enc { bare, grouped: true, ..enc }));
            }
        }
        Ok(None)
    }

    /// A select item by which the query groups becomes one value of its group, computed where it stands.
    pub(super) fn grouped_by(&mut self, enc: &Enc, part: Part, reduced: bool) -> Result<()> {
        self.needs_equality(enc, GROUP_BY)?;
        let (start, end) = enc.span;
        let text = self.write(&Written::Copy(part), GROUP_BY, &enc.column).map_err(|r| r.at(start as i32))?;
        let around = |made: String| {
            let (before, after) = made.rsplit_once(&text).unwrap_or_default();
            (before.to_string(), after.to_string())
        };
        let (described, executed) = (around(described(&enc.ty, &text)), around(one_of(&enc.ty, &text, "", reduced)));
        self.edits.each((start, start), Some(described.0.into()), Some(executed.0.into()));
        self.edits.each((end, end), Some(described.1.into()), Some(executed.1.into()));
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
