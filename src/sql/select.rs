//! Queries: SELECT, VALUES, set operations, common table expressions.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, BoolExprType, CommonTableExpr, Node, SelectStmt, SetOperation, WithClause};

use super::analyzer::{Analyzer, Cte, TopColumn};
use super::built::{Built, only_selected};
use super::expr::Val;
use super::extreme;
use super::from::rename;
use super::outputs::{Outputs, Star, Target, Written};
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Derived, Scope};
use super::site::Decision;
use super::sort::Keys;
use super::tree;

impl Analyzer<'_> {
    /// A query in any place but the outermost: SELECT, or a data-modifying statement of a CTE.
    pub(super) fn query(&mut self, node: &Node, outer: Option<&Scope<'_>>) -> Result<Outputs> {
        match tree::kind(node) {
            Some(NodeEnum::SelectStmt(select)) => self.select(select, outer, false),
            Some(NodeEnum::InsertStmt(insert)) => self.insert(insert, false),
            Some(NodeEnum::UpdateStmt(update)) => self.update(update, false),
            Some(NodeEnum::DeleteStmt(delete)) => self.delete(delete, false),
            Some(NodeEnum::MergeStmt(merge)) => self.merge(merge).map(|()| Outputs::default()),
            _ => Err(refuse::unsupported("this kind of query is not supported in a statement on encrypted columns")),
        }
    }

    /// A SELECT. `top`: its columns are what the client sees.
    pub(super) fn select(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>, top: bool) -> Result<Outputs> {
        let frames = self.ctes.len();
        if let Some(with) = &select.with_clause {
            self.with(with, outer)?;
        }
        let outputs = if tree::is_set_operation(select) {
            self.set_operation(select, outer, top)
        } else if !select.values_lists.is_empty() {
            self.values(select, outer, top)
        } else {
            self.simple_select(select, outer, top)
        };
        self.ctes.truncate(frames);
        outputs
    }

    /// WITH: its queries in order, each seeing those before it.
    pub(super) fn with(&mut self, with: &WithClause, outer: Option<&Scope<'_>>) -> Result<()> {
        self.ctes.push(Vec::new());
        if with.recursive {
            // A name that is not analysed yet must not be taken for a table.
            for node in &with.ctes {
                if let Some(NodeEnum::CommonTableExpr(cte)) = tree::kind(node) {
                    self.declare(Cte { name: cte.ctename.clone(), columns: None, opaque: false });
                }
            }
        }
        for node in &with.ctes {
            if let Some(NodeEnum::CommonTableExpr(cte)) = tree::kind(node) {
                self.cte(cte, with.recursive, outer)?;
            }
        }
        Ok(())
    }

    fn declare(&mut self, cte: Cte) {
        if let Some(frame) = self.ctes.last_mut() {
            frame.retain(|c| c.name != cte.name);
            frame.push(cte);
        }
    }

    fn cte(&mut self, cte: &CommonTableExpr, recursive: bool, outer: Option<&Scope<'_>>) -> Result<()> {
        let Some(query) = tree::child(&cte.ctequery) else { return Ok(()) };
        let names: Vec<String> = cte.aliascolnames.iter().filter_map(tree::string).map(str::to_string).collect();
        let depth = self.ctes.len();
        let outputs = match tree::select(query) {
            Some(select) if recursive && select.op() == SetOperation::SetopUnion && select.with_clause.is_none() => {
                let first = match &select.larg {
                    Some(left) => self.select(left, outer, false)?,
                    None => Outputs::default(),
                };
                let known = Cte {
                    name: cte.ctename.clone(),
                    columns: Some(rename(first.columns.clone().into(), &names)),
                    opaque: first.opaque,
                };
                self.declare(known);
                let second = match &select.rarg {
                    Some(right) => self.select(right, outer, false)?,
                    None => Outputs::default(),
                };
                self.set_tail(select, outer, Keys { columns: &first.columns, list: &[], written: &[] })?;
                if let Some(column) = first.encrypted().or(second.encrypted()).filter(|_| !select.all) {
                    return Err(refuse::on_column("UNION in a recursive query", column)
                        .hint("UNION ALL works, with a condition that ends the recursion.")
                        .at(self.operator_place(select)));
                }
                self.unite(select, first, second)?
            }
            _ => self.query(query, outer)?,
        };
        self.ctes.truncate(depth);
        let mut columns = rename(outputs.columns.into(), &names);
        if cte.search_clause.is_some() || cte.cycle_clause.is_some() {
            columns = self.search_and_cycle(cte, columns.to_vec())?.into();
        }
        self.declare(Cte { name: cte.ctename.clone(), columns: Some(columns), opaque: outputs.opaque });
        Ok(())
    }

    /// SEARCH and CYCLE go by rows of the columns that they name, which must be plain, and add columns of their own.
    fn search_and_cycle(&mut self, cte: &CommonTableExpr, mut columns: Vec<Derived>) -> Result<Vec<Derived>> {
        let (search, cycle) = (cte.search_clause.as_ref(), cte.cycle_clause.as_ref());
        let by = search.iter().flat_map(|s| &s.search_col_list).map(|name| ("SEARCH", name));
        let by = by.chain(cycle.iter().flat_map(|c| &c.cycle_col_list).map(|name| ("CYCLE", name)));
        for (construct, name) in by {
            match columns.iter().find(|c| tree::string(name) == Some(&c.name)).map(|c| &c.val) {
                Some(ColVal::Enc(_, column) | ColVal::Tainted(column) | ColVal::Built(Built { column, .. })) => {
                    return Err(refuse::on_column(&format!("{construct} by a column"), column)
                        .hint("Name plain columns, such as a primary key.")
                        .at(self.here(cte.location)));
                }
                Some(ColVal::Open(sites)) => self.decide_plain(sites)?,
                Some(ColVal::Plain) | None => {}
            }
        }
        let scope = Scope::new(Vec::new(), None);
        let marks = cycle.iter().flat_map(|c| [tree::child(&c.cycle_mark_value), tree::child(&c.cycle_mark_default)]);
        // Those that are not written stand nowhere.
        for mark in marks.flatten().filter(|mark| tree::location(mark) >= 0) {
            if let Val::Open(open) = self.expr(mark, &scope)? {
                self.decide_firm(&open.sites)?;
            }
        }
        let added = search.iter().map(|s| &s.search_seq_column);
        let added = added.chain(cycle.iter().flat_map(|c| [&c.cycle_mark_column, &c.cycle_path_column]));
        columns.extend(added.map(|name| Derived { name: name.clone(), val: ColVal::Plain }));
        Ok(columns)
    }

    /// Columns of the outermost statement where they cannot be reduced to envelopes.
    pub(super) fn top_composites(&mut self, outputs: &Outputs) -> Result<()> {
        let column = |c: &Derived| match &c.val {
            ColVal::Plain | ColVal::Tainted(_) => TopColumn::Plain,
            ColVal::Built(built) => built.top(),
            ColVal::Enc(ty, column) => TopColumn::Composite(ty.clone(), column.clone()),
            ColVal::Open(sites) => TopColumn::Open(sites.clone()),
        };
        if outputs.opaque {
            return Err(refuse::unsupported("* over a function is not supported in a statement on encrypted columns")
                .hint("Name the columns one by one."));
        }
        self.columns = Some(outputs.columns.iter().map(column).collect());
        Ok(())
    }

    /// ORDER BY, LIMIT and OFFSET of a set operation or VALUES: they see the output columns alone.
    pub(super) fn set_tail(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>, outputs: Keys<'_>) -> Result<()> {
        let scope = Scope::new(Vec::new(), outer);
        for sort in &select.sort_clause {
            self.sort_key(sort, &scope, outputs, "ORDER BY")?;
        }
        self.limits(select, &scope)
    }

    fn limits(&mut self, select: &SelectStmt, scope: &Scope<'_>) -> Result<()> {
        for (node, construct) in [(&select.limit_count, "LIMIT"), (&select.limit_offset, "OFFSET")] {
            let Some(node) = tree::child(node) else { continue };
            match self.expr(node, scope)? {
                Val::Open(open) => self.decide_firm(&open.sites)?,
                Val::Plain => {}
                Val::Enc(enc) => return Err(refuse::on_column(construct, &enc.column).at(enc.span.0 as i32)),
            }
        }
        Ok(())
    }

    fn values(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>, top: bool) -> Result<Outputs> {
        let scope = Scope::new(Vec::new(), outer);
        let mut rows: Vec<Vec<Val>> = Vec::with_capacity(select.values_lists.len());
        for row in &select.values_lists {
            if let Some(NodeEnum::List(list)) = tree::kind(row) {
                rows.push(list.items.iter().map(|n| self.expr(n, &scope)).collect::<Result<_>>()?);
            }
        }
        let width = rows.iter().map(Vec::len).min().unwrap_or(0);
        let mut columns = Vec::with_capacity(width);
        for i in 0..width {
            let vals: Vec<Val> = rows.iter().map(|r| r[i].clone()).collect();
            columns.push(Derived { name: format!("column{}", i + 1), val: self.values_column(vals)? });
        }
        let outputs = Outputs { columns, opaque: false };
        self.set_tail(select, outer, Keys { columns: &outputs.columns, list: &[], written: &[] })?;
        if top {
            self.top_composites(&outputs)?;
        }
        Ok(outputs)
    }

    fn values_column(&mut self, vals: Vec<Val>) -> Result<ColVal> {
        Ok(match self.combine(vals, (0, 0), "VALUES")? {
            Val::Plain => ColVal::Plain,
            Val::Enc(enc) => ColVal::Enc(enc.ty, enc.column),
            Val::Open(open) => ColVal::Open(open.sites),
        })
    }

    fn simple_select(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>, top: bool) -> Result<Outputs> {
        if select.into_clause.is_some() {
            return Err(refuse::unsupported("SELECT INTO is not supported in a statement on encrypted columns")
                .hint("CREATE TABLE, then INSERT ... SELECT."));
        }
        let mut from = self.from_list(&select.from_clause, outer)?;
        let star = Star::of(&from);
        let mut scope = Scope::new(std::mem::take(&mut from.items), outer);
        let before = self.sites.len();
        if top {
            self.note_conjuncts(tree::child(&select.where_clause));
        }
        self.assert(tree::child(&select.where_clause));
        self.plain_some(&select.where_clause, &scope, "WHERE")?;
        if let Some(lone) = extreme::lone(select)
            && let Some(outputs) = self.lone_extreme(&lone, select, &scope, top)?
        {
            return Ok(outputs);
        }
        let frames = self.ranged.len();
        let outputs = self.group_by(select, &mut scope, &star)?;
        let (targets, opaque) = self.targets(&select.target_list, &scope, &star, top)?;
        let columns: Vec<Derived> = targets.iter().map(|t| t.column.clone()).collect();
        let written: Vec<Written> = targets.iter().map(|t| t.written.clone()).collect();
        let keys = Keys { columns: &columns, list: &select.target_list, written: &written };
        scope.group.computed = self.group_outputs(&outputs, &targets, &select.target_list)?;
        if !select.distinct_clause.is_empty()
            && let Some(built) = columns.iter().find_map(|c| if let ColVal::Built(b) = &c.val { Some(b) } else { None })
        {
            return Err(only_selected(built));
        }
        self.distinct(select, &scope, &targets)?;
        self.plain_some(&select.having_clause, &scope, "HAVING")?;
        self.windows(&select.window_clause, &scope, frames)?;
        for sort in &select.sort_clause {
            self.sort_key(sort, &scope, keys, "ORDER BY")?;
        }
        self.limits(select, &scope)?;
        if top {
            self.find_checks(select, &scope, &targets, before)?;
            self.columns = Some(targets.into_iter().map(|t| t.top).collect());
        }
        Ok(Outputs { columns, opaque })
    }

    /// Conditions that every row must meet.
    fn note_conjuncts(&mut self, condition: Option<&Node>) {
        let mut nodes: Vec<&Node> = condition.into_iter().collect();
        while let Some(node) = nodes.pop() {
            match tree::kind(node) {
                Some(NodeEnum::BoolExpr(expr)) if expr.boolop() == BoolExprType::AndExpr => nodes.extend(&expr.args),
                Some(NodeEnum::AExpr(expr)) => self.conjuncts.push(expr.location),
                Some(NodeEnum::FuncCall(call)) => self.conjuncts.push(call.location),
                _ => {}
            }
        }
    }

    /// Selected columns that WHERE binds to an operand: `e = $1` among the top-level conjuncts.
    fn find_checks(&mut self, select: &SelectStmt, scope: &Scope<'_>, targets: &[Target], before: usize) -> Result<()> {
        let Some(condition) = tree::child(&select.where_clause) else { return Ok(()) };
        let mut conjuncts = vec![condition];
        while let Some(node) = conjuncts.pop() {
            match tree::kind(node) {
                Some(NodeEnum::BoolExpr(expr)) if expr.boolop() == BoolExprType::AndExpr => {
                    conjuncts.extend(&expr.args)
                }
                Some(NodeEnum::AExpr(expr))
                    if expr.kind() == AExprKind::AexprOp && tree::strings(&expr.name).last() == Some(&"=") =>
                {
                    let (Some(l), Some(r)) = (tree::child(&expr.lexpr), tree::child(&expr.rexpr)) else { continue };
                    self.find_check(l, r, scope, targets, before);
                    self.find_check(r, l, scope, targets, before);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn find_check(&mut self, column: &Node, operand: &Node, scope: &Scope<'_>, targets: &[Target], before: usize) {
        let own = |origin: &(u32, usize)| scope.items.iter().any(|i| i.id == origin.0 && !i.nullable);
        if let Some(place) = self.path_of(column, scope).map(|path| path.place()).filter(|place| own(&place.0)) {
            let Some(site) = self.operand_site(operand, before) else { return };
            let same = targets.iter().enumerate().filter(|(_, t)| t.path == Some(place));
            self.checks.extend(same.map(|(i, _)| (i, site)));
            return;
        }
        let Some(NodeEnum::ColumnRef(reference)) = tree::kind(column) else { return };
        let found = match tree::strings(&reference.fields).as_slice() {
            [name] if reference.fields.len() == 1 => scope.bare(name),
            [alias, name] if reference.fields.len() == 2 => scope.qualified(None, alias, name),
            _ => return,
        };
        let Ok(origin) = found.map(|f| f.origin) else { return };
        let Some(origin) = origin.filter(own) else { return };
        let Some(site) = self.operand_site(operand, before) else { return };
        for (i, _) in targets.iter().enumerate().filter(|(_, t)| t.origin == Some(origin)) {
            self.checks.push((i, site));
        }
    }

    /// The site that this node is, casts aside.
    fn operand_site(&self, node: &Node, before: usize) -> Option<usize> {
        let location = match tree::kind(node)? {
            NodeEnum::ParamRef(p) => p.location,
            NodeEnum::AConst(c) => c.location,
            NodeEnum::TypeCast(cast) => return self.operand_site(tree::child(&cast.arg)?, before),
            _ => return None,
        };
        let start = self.lexed.tokens[self.token(location).ok()?].start;
        let find = |s: &super::site::Site| s.span.0 == start && matches!(s.decision, Some(Decision::Equal(_)));
        (before..self.sites.len()).find(|&i| find(&self.sites[i]))
    }
}
