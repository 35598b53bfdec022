//! INSERT, UPDATE, DELETE.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{DeleteStmt, InsertStmt, List, Node, ResTarget, ReturningClause, SelectStmt, UpdateStmt};

use super::analyzer::Analyzer;
use super::built::Built;
use super::expr::Val;
use super::from::FromTree;
use super::outputs::{Outputs, Star};
use super::refuse::{self, DATATYPE_MISMATCH, Detail, Result, SYNTAX_ERROR, UNDEFINED_COLUMN};
use super::scope::{ColVal, Columns, Item, Scope};
use super::tree;
use super::types;
use crate::schema::catalog::{Column, EncType, Relation};

impl Analyzer<'_> {
    /// INSERT. `top`: RETURNING is what the client sees.
    pub(super) fn insert(&mut self, insert: &InsertStmt, top: bool) -> Result<Outputs> {
        let frames = self.ctes.len();
        let around = self.frame_scope();
        if let Some(with) = &insert.with_clause {
            self.with(with, Some(&around))?;
        }
        let item = self.target_item(&insert.relation)?;
        let Columns::Relation(relation, _) = item.columns.clone() else { return Err(no_target()) };
        let targets = insert_columns(insert, &relation).map_err(|(at, r)| r.at(self.here(at)))?;
        if let Some(node) = tree::child(&insert.select_stmt) {
            match tree::select(node) {
                Some(rows) if is_plain_values(rows) => self.insert_rows(rows, &relation, &targets)?,
                _ => {
                    let outputs = self.query(node, Some(&around))?;
                    let at = tree::select(node).map_or(-1, |select| self.query_place(select));
                    self.insert_outputs(outputs, &relation, &targets).map_err(|r| r.at(at))?;
                }
            }
        }
        let mut target = FromTree::one(item);
        if let Some(conflict) = &insert.on_conflict_clause {
            target.items = self.on_conflict(conflict, &relation, target.items)?;
        }
        let star = Star::of(&target);
        let scope = Scope::new(target.items, Some(&around));
        let outputs = self.freshly(|a| a.returning(&insert.returning_clause, &scope, &star, top))?;
        self.ctes.truncate(frames);
        Ok(outputs)
    }

    pub(super) fn target_item(&mut self, range: &Option<pg_query::protobuf::RangeVar>) -> Result<Item> {
        let range = range.as_ref().ok_or_else(no_target)?;
        self.range_var(range, true)
    }

    /// VALUES rows straight into columns; DEFAULT may stand for a value.
    fn insert_rows(&mut self, rows: &SelectStmt, relation: &Relation, targets: &[usize]) -> Result<()> {
        let scope = self.frame_scope();
        for row in &rows.values_lists {
            let Some(NodeEnum::List(List { items })) = tree::kind(row) else { continue };
            check_width(items.len(), targets.len())?;
            for (node, &column) in items.iter().zip(targets) {
                self.assign(node, relation, column, &scope)?;
            }
        }
        Ok(())
    }

    fn insert_outputs(&mut self, outputs: Outputs, relation: &Relation, targets: &[usize]) -> Result<()> {
        if outputs.opaque {
            let encrypted = targets.iter().any(|&c| relation.columns[c].enc.is_some() || relation.columns[c].tainted);
            if encrypted || outputs.encrypted().is_some() {
                return Err(refuse::unsupported(
                    "INSERT ... SELECT * over a function is not supported with encrypted columns",
                )
                .hint("Name the columns one by one."));
            }
            return Ok(());
        }
        check_width(outputs.columns.len(), targets.len())?;
        for (output, &column) in outputs.columns.into_iter().zip(targets) {
            let val = match output.val {
                ColVal::Plain => Val::Plain,
                ColVal::Open(sites) => Val::Open(super::expr::Open { sites, simple: false, span: (0, 0) }),
                ColVal::Enc(ty, column) => Val::Enc(super::expr::Enc::new(ty, column, (0, 0))),
                ColVal::Tainted(column) | ColVal::Built(Built { column, .. }) => {
                    return Err(refuse::on_column("INSERT ... SELECT", &column));
                }
            };
            self.assign_val(val, relation, column, -1)?;
        }
        Ok(())
    }

    /// One value for one column.
    pub(super) fn assign(&mut self, node: &Node, relation: &Relation, column: usize, scope: &Scope<'_>) -> Result<()> {
        if matches!(tree::kind(node), Some(NodeEnum::SetToDefault(_))) {
            return Ok(());
        }
        let at = self.here(tree::location(node));
        let val = match self.expr(node, scope) {
            Err(r) if relation.columns[column].enc.is_some() => return Err(r.hint(VALUE_HINT)),
            other => other?,
        };
        self.assign_val(val, relation, column, at)
    }

    fn assign_val(&mut self, val: Val, relation: &Relation, column: usize, at: i32) -> Result<()> {
        let target = &relation.columns[column];
        let name = format!("{}.{}", relation.name, target.name);
        let Some(ty) = target.enc.clone() else {
            return match val {
                _ if target.tainted => Err(refuse::on_column("writing", &name).at(at)),
                Val::Plain => Ok(()),
                Val::Open(open) => self.decide_firm(&open.sites),
                Val::Enc(enc) => Err(refuse::with(
                    DATATYPE_MISMATCH,
                    format!(
                        "encrypted column {} cannot be stored in column {name}, which is not encrypted",
                        enc.column
                    ),
                )
                .at(at)),
            };
        };
        if !target.direct || target.tainted {
            return Err(refuse::on_column("writing to an array, domain or row of an encrypted type", &name).at(at));
        }
        self.usable(&ty)?;
        self.touched = true;
        match val {
            Val::Open(open) => self.store(&open, &ty, &name),
            Val::Enc(enc) if enc.ty.oid == ty.oid => Ok(()),
            Val::Enc(enc) => Err(refuse::with(
                DATATYPE_MISMATCH,
                format!(
                    "column {name} is of type {} but the value is {} of type {}",
                    types::sql_name(&ty),
                    enc.column,
                    types::sql_name(&enc.ty)
                ),
            )
            .at(at)),
            Val::Plain => Err(refuse::on_column("an expression computed by the server as the value", &name)
                .hint(VALUE_HINT)
                .at(at)),
        }
    }

    /// Looks at columns as the statement itself has just written them.
    fn freshly<T>(&mut self, look: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.fresh, true);
        let seen = look(self);
        self.fresh = before;
        seen
    }

    fn returning(
        &mut self,
        clause: &Option<ReturningClause>,
        scope: &Scope<'_>,
        star: &Star,
        top: bool,
    ) -> Result<Outputs> {
        let Some(clause) = clause else { return Ok(Outputs::default()) };
        if !clause.options.is_empty() {
            return Err(refuse::unsupported(
                "RETURNING WITH (OLD, NEW) is not supported in a statement on encrypted columns",
            ));
        }
        let (targets, opaque) = self.targets(&clause.exprs, scope, star, top)?;
        let columns = targets.iter().map(|t| t.column.clone()).collect();
        if top {
            self.columns = Some(targets.into_iter().map(|t| t.top).collect());
        }
        Ok(Outputs { columns, opaque })
    }

    /// UPDATE.
    pub(super) fn update(&mut self, update: &UpdateStmt, top: bool) -> Result<Outputs> {
        let frames = self.ctes.len();
        let around = self.frame_scope();
        if let Some(with) = &update.with_clause {
            self.with(with, Some(&around))?;
        }
        let item = self.target_item(&update.relation)?;
        let Columns::Relation(relation, _) = item.columns.clone() else { return Err(no_target()) };
        let (items, star) = self.with_from(item, &update.from_clause, &around)?;
        let scope = Scope::new(items, Some(&around));
        self.assignments(&update.target_list, &relation, &scope)?;
        self.assert(tree::child(&update.where_clause));
        self.plain_some(&update.where_clause, &scope, "WHERE")?;
        let outputs = self.freshly(|a| a.returning(&update.returning_clause, &scope, &star, top))?;
        self.ctes.truncate(frames);
        Ok(outputs)
    }

    /// DELETE.
    pub(super) fn delete(&mut self, delete: &DeleteStmt, top: bool) -> Result<Outputs> {
        let frames = self.ctes.len();
        let around = self.frame_scope();
        if let Some(with) = &delete.with_clause {
            self.with(with, Some(&around))?;
        }
        let item = self.target_item(&delete.relation)?;
        let (items, star) = self.with_from(item, &delete.using_clause, &around)?;
        let scope = Scope::new(items, Some(&around));
        self.assert(tree::child(&delete.where_clause));
        self.plain_some(&delete.where_clause, &scope, "WHERE")?;
        let outputs = self.returning(&delete.returning_clause, &scope, &star, top)?;
        self.ctes.truncate(frames);
        Ok(outputs)
    }

    /// The target and the items of FROM or USING, and what `*` over them means.
    fn with_from(&mut self, target: Item, list: &[Node], around: &Scope<'_>) -> Result<(Vec<Item>, Star)> {
        let mut tree = FromTree::one(target);
        tree.join(self.from_list(list, Some(around))?);
        let star = Star::of(&tree);
        Ok((tree.items, star))
    }

    /// `SET a = …, (b, c) = …`.
    pub(super) fn assignments(&mut self, list: &[Node], relation: &Arc<Relation>, scope: &Scope<'_>) -> Result<()> {
        let targets: Vec<&ResTarget> = list
            .iter()
            .filter_map(|n| if let Some(NodeEnum::ResTarget(t)) = tree::kind(n) { Some(&**t) } else { None })
            .collect();
        let mut i = 0;
        while let Some(target) = targets.get(i) {
            let Some(value) = tree::child(&target.val) else { return Err(no_target()) };
            match tree::kind(value) {
                Some(NodeEnum::MultiAssignRef(multi)) => {
                    let count = usize::try_from(multi.ncolumns).unwrap_or(1).max(1);
                    let group = targets.get(i..i + count).ok_or_else(no_target)?;
                    for part in group.iter().filter(|t| !t.indirection.is_empty()) {
                        let at = self.here(part.location);
                        let column = find_column(relation, &part.name).map_err(|r| r.at(at))?;
                        plain_part(relation, &relation.columns[column]).map_err(|r| r.at(at))?;
                    }
                    let columns = group.iter().map(|t| self.assigned(t, relation)).collect::<Result<Vec<_>>>()?;
                    let source = tree::child(&multi.source).ok_or_else(no_target)?;
                    self.assign_row(source, relation, &columns, scope)?;
                    i += count;
                }
                _ => {
                    let column = self.assigned(target, relation)?;
                    match part_type(target, &relation.columns[column]) {
                        Some(ty) => self.assign_part(value, relation, (column, ty), scope)?,
                        None => self.assign(value, relation, column, scope)?,
                    }
                    i += 1;
                }
            }
        }
        Ok(())
    }

    fn assigned(&mut self, target: &ResTarget, relation: &Relation) -> Result<usize> {
        let at = self.here(target.location);
        let column = find_column(relation, &target.name).map_err(|r| r.at(at))?;
        if !target.indirection.is_empty() {
            let found = &relation.columns[column];
            if part_type(target, found).is_none() {
                plain_part(relation, found).map_err(|r| r.at(at))?;
            }
            let scope = self.frame_scope();
            self.plain_all(&target.indirection, &scope, "a subscript")?;
        }
        Ok(column)
    }

    /// `SET a[1] = …`, `SET a[1:2] = …`. `ty`: what the value must be.
    fn assign_part(
        &mut self,
        node: &Node,
        relation: &Relation,
        (column, ty): (usize, Arc<EncType>),
        scope: &Scope<'_>,
    ) -> Result<()> {
        let name = format!("{}.{}", relation.name, relation.columns[column].name);
        self.usable(&ty)?;
        self.touched = true;
        match self.expr(node, scope)? {
            Val::Open(open) => self.store(&open, &ty, &name),
            Val::Enc(enc) if enc.ty.oid == ty.oid => Ok(()),
            _ => Err(refuse::on_column("this value of an element", &name)
                .hint(VALUE_HINT)
                .at(self.here(tree::location(node)))),
        }
    }

    /// `(a, b) = ROW(…)` or `(SELECT …)`.
    fn assign_row(&mut self, source: &Node, relation: &Relation, columns: &[usize], scope: &Scope<'_>) -> Result<()> {
        match tree::kind(source) {
            Some(NodeEnum::RowExpr(row)) => {
                check_width(row.args.len(), columns.len())?;
                row.args.iter().zip(columns).try_for_each(|(node, &column)| self.assign(node, relation, column, scope))
            }
            Some(NodeEnum::SubLink(link)) => match tree::child(&link.subselect) {
                Some(query) => {
                    let outputs = self.query(query, Some(scope))?;
                    self.insert_outputs(outputs, relation, columns).map_err(|r| r.at(self.here(link.location)))
                }
                None => Err(no_target()),
            },
            _ => Err(refuse::unsupported(
                "this kind of row assignment is not supported in a statement on encrypted columns",
            )),
        }
    }
}

const VALUE_HINT: &str = "Give a parameter, a literal, NULL, DEFAULT, or a column of the same encrypted type; compute the value before sending it.";

/// A part of a column that is assigned to must be one of a plain column.
fn plain_part(relation: &Relation, found: &Column) -> Result<()> {
    match found.enc.is_some() || found.tainted {
        true => {
            let name = format!("{}.{}", relation.name, found.name);
            Err(refuse::on_column("assignment to an attribute or element", &name))
        }
        false => Ok(()),
    }
}

/// What is assigned to an element or a slice of an encrypted array.
fn part_type(target: &ResTarget, column: &Column) -> Option<Arc<EncType>> {
    let indices = |part: &Node| match tree::kind(part) {
        Some(NodeEnum::AIndices(indices)) => Some(indices.is_slice),
        _ => None,
    };
    let slices: Option<Vec<bool>> = target.indirection.iter().map(indices).collect();
    let (slices, ty) = (slices.filter(|s| !s.is_empty())?, column.enc.as_ref().filter(|ty| ty.is_array())?);
    let array = slices.contains(&true);
    (column.direct && !column.tainted).then(|| if array { Arc::clone(ty) } else { Arc::clone(ty.single()) })
}

pub(super) fn no_target() -> Box<super::plan::Refusal> {
    refuse::unsupported("this kind of target is not supported in a statement on encrypted columns")
}

pub(super) fn check_width(values: usize, columns: usize) -> Result<()> {
    match values <= columns {
        true => Ok(()),
        false => Err(refuse::with(SYNTAX_ERROR, "INSERT has more expressions than target columns")),
    }
}

pub(super) fn find_column(relation: &Relation, name: &str) -> Result<usize> {
    relation.columns.iter().position(|c| c.name == name).ok_or_else(|| {
        refuse::with(UNDEFINED_COLUMN, format!("column \"{name}\" of relation \"{}\" does not exist", relation.name))
    })
}

/// VALUES with nothing around: rows whose items may be DEFAULT.
fn is_plain_values(select: &SelectStmt) -> bool {
    !select.values_lists.is_empty()
        && select.with_clause.is_none()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && !tree::is_set_operation(select)
}

/// Columns that an INSERT gives values for, by index.
fn insert_columns(insert: &InsertStmt, relation: &Relation) -> Result<Vec<usize>, (i32, Box<super::plan::Refusal>)> {
    if insert.cols.is_empty() {
        return Ok((0..relation.columns.len()).collect());
    }
    let mut columns = Vec::with_capacity(insert.cols.len());
    for node in &insert.cols {
        let Some(NodeEnum::ResTarget(target)) = tree::kind(node) else { continue };
        let column = find_column(relation, &target.name).map_err(|r| (target.location, r))?;
        if !target.indirection.is_empty() {
            plain_part(relation, &relation.columns[column]).map_err(|r| (target.location, r))?;
        }
        columns.push(column);
    }
    Ok(columns)
}
