//! Queries: SELECT, VALUES, set operations, common table expressions.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, BoolExprType, CommonTableExpr, Node, SelectStmt, SetOperation, WithClause};

use super::analyzer::{Analyzer, Cte, TopColumn};
use super::expr::{Open, Val};
use super::from::rename;
use super::outputs::{Outputs, Star, Target};
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
            Some(NodeEnum::MergeStmt(_)) => {
                Err(refuse::unsupported("MERGE is not supported in a statement on encrypted columns"))
            }
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
        if cte.search_clause.is_some() || cte.cycle_clause.is_some() {
            return Err(refuse::unsupported("SEARCH and CYCLE are not supported in a statement on encrypted columns")
                .at(self.here(cte.location)));
        }
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
                self.set_tail(select, outer, &first)?;
                self.unite(select, first, second)?
            }
            _ => self.query(query, outer)?,
        };
        self.ctes.truncate(depth);
        self.declare(Cte {
            name: cte.ctename.clone(),
            columns: Some(rename(outputs.columns.into(), &names)),
            opaque: outputs.opaque,
        });
        Ok(())
    }

    fn set_operation(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>, top: bool) -> Result<Outputs> {
        let (Some(left), Some(right)) = (&select.larg, &select.rarg) else { return Ok(Outputs::default()) };
        let left = self.select(left, outer, false)?;
        let right = self.select(right, outer, false)?;
        let outputs = self.unite(select, left, right)?;
        self.set_tail(select, outer, &outputs)?;
        if top {
            self.top_composites(&outputs)?;
        }
        Ok(outputs)
    }

    /// Columns of the outermost statement where they cannot be reduced to envelopes.
    fn top_composites(&mut self, outputs: &Outputs) -> Result<()> {
        let column = |c: &Derived| match &c.val {
            ColVal::Plain | ColVal::Tainted(_) => TopColumn::Plain,
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

    /// Columns of two branches, one by one.
    fn unite(&mut self, select: &SelectStmt, left: Outputs, right: Outputs) -> Result<Outputs> {
        let (name, all) = match select.op() {
            SetOperation::SetopUnion => ("UNION", select.all),
            SetOperation::SetopIntersect => ("INTERSECT", false),
            _ => ("EXCEPT", false),
        };
        let opaque = left.opaque || right.opaque;
        if let Some(column) = left.encrypted().or(right.encrypted()).filter(|_| !all || opaque) {
            return Err(refuse::on_column(name, column).hint("UNION ALL of columns of one encrypted type works."));
        }
        let mut columns = Vec::with_capacity(left.columns.len());
        for (l, r) in left.columns.into_iter().zip(right.columns) {
            columns.push(Derived { name: l.name, val: self.united(l.val, r.val, name, all)? });
        }
        Ok(Outputs { columns, opaque })
    }

    fn united(&mut self, left: ColVal, right: ColVal, name: &str, all: bool) -> Result<ColVal> {
        Ok(match (left, right) {
            (ColVal::Open(l), ColVal::Open(r)) if all => ColVal::Open(l.iter().chain(r.iter()).copied().collect()),
            (ColVal::Open(l), ColVal::Open(r)) => {
                self.decide_plain(&l)?;
                self.decide_plain(&r)?;
                ColVal::Plain
            }
            (ColVal::Plain, ColVal::Plain) => ColVal::Plain,
            (ColVal::Open(sites), ColVal::Plain) | (ColVal::Plain, ColVal::Open(sites)) => {
                self.decide_plain(&sites)?;
                ColVal::Plain
            }
            (ColVal::Enc(ty, column), ColVal::Open(sites)) => {
                self.join_values(&Open { sites, simple: false, span: (0, 0) }, false, &ty, &column, name)?;
                ColVal::Enc(ty, column)
            }
            (ColVal::Open(sites), ColVal::Enc(ty, column)) => {
                self.join_values(&Open { sites, simple: false, span: (0, 0) }, true, &ty, &column, name)?;
                ColVal::Enc(ty, column)
            }
            (ColVal::Enc(l, column), ColVal::Enc(r, _)) if l.oid == r.oid => ColVal::Enc(l, column),
            (ColVal::Enc(_, column) | ColVal::Tainted(column), _)
            | (_, ColVal::Enc(_, column) | ColVal::Tainted(column)) => {
                return Err(refuse::on_column(&format!("{name} with a column of another type"), &column));
            }
        })
    }

    /// ORDER BY, LIMIT and OFFSET of a set operation or VALUES: they see the output columns alone.
    fn set_tail(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>, outputs: &Outputs) -> Result<()> {
        let scope = Scope { items: Vec::new(), parent: outer };
        for sort in &select.sort_clause {
            self.sort_key(sort, &scope, Keys { columns: &outputs.columns, references: &[] }, "ORDER BY")?;
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
        let scope = Scope { items: Vec::new(), parent: outer };
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
        self.set_tail(select, outer, &outputs)?;
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
        let scope = Scope { items: std::mem::take(&mut from.items), parent: outer };
        let before = self.sites.len();
        self.plain_some(&select.where_clause, &scope, "WHERE")?;
        let (targets, opaque) = self.targets(&select.target_list, &scope, &star, top)?;
        let columns: Vec<Derived> = targets.iter().map(|t| t.column.clone()).collect();
        let references: Vec<Option<String>> = targets.iter().map(|t| t.reference.clone()).collect();
        let keys = Keys { columns: &columns, references: &references };
        self.distinct(select, &scope, keys)?;
        for key in &select.group_clause {
            self.group_key(key, &scope, &columns)?;
        }
        self.plain_some(&select.having_clause, &scope, "HAVING")?;
        for window in &select.window_clause {
            if let Some(NodeEnum::WindowDef(window)) = tree::kind(window) {
                self.window(window, &scope)?;
            }
        }
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

    fn distinct(&mut self, select: &SelectStmt, scope: &Scope<'_>, outputs: Keys<'_>) -> Result<()> {
        // Plain DISTINCT is a list of one empty node.
        if select.distinct_clause.iter().any(|n| tree::kind(n).is_none()) {
            for column in outputs.columns {
                match &column.val {
                    ColVal::Enc(_, column) | ColVal::Tainted(column) => {
                        return Err(refuse::on_column("SELECT DISTINCT", column)
                            .hint("Select distinct plain columns, or make rows distinct after reading."));
                    }
                    ColVal::Open(sites) => self.decide_plain(sites)?,
                    ColVal::Plain => {}
                }
            }
            return Ok(());
        }
        let mut keys = select.distinct_clause.iter();
        keys.try_for_each(|key| self.sort_key(key, scope, outputs, "DISTINCT ON"))
    }

    fn group_key(&mut self, key: &Node, scope: &Scope<'_>, columns: &[Derived]) -> Result<()> {
        match tree::kind(key) {
            Some(NodeEnum::GroupingSet(set)) => set.content.iter().try_for_each(|k| self.group_key(k, scope, columns)),
            Some(NodeEnum::RowExpr(row)) => row.args.iter().try_for_each(|k| self.group_key(k, scope, columns)),
            // A bare name is an input column first, an output column else.
            Some(NodeEnum::ColumnRef(c))
                if c.fields.len() == 1
                    && self.expr(key, scope).is_err_and(|r| r.sqlstate == refuse::UNDEFINED_COLUMN) =>
            {
                self.output_key(key, columns, "GROUP BY").unwrap_or(Ok(()))
            }
            _ => self.ordinal_key(key, columns, "GROUP BY").unwrap_or_else(|| self.plain(key, scope, "GROUP BY")),
        }
    }

    pub(super) fn ordinal_key(&mut self, node: &Node, columns: &[Derived], construct: &str) -> Option<Result<()>> {
        let n = tree::int_const(node)?;
        if let Some(k) = self.token(tree::location(node)).ok().and_then(|t| self.literal(t)) {
            self.fixed.push(k);
        }
        let column = usize::try_from(n).ok()?.checked_sub(1).and_then(|i| columns.get(i))?;
        Some(self.plain_key(column, construct, node))
    }

    pub(super) fn output_key(&mut self, node: &Node, columns: &[Derived], construct: &str) -> Option<Result<()>> {
        let Some(NodeEnum::ColumnRef(reference)) = tree::kind(node) else { return None };
        let [field] = reference.fields.as_slice() else { return None };
        let name = tree::string(field)?;
        let mut named = columns.iter().filter(|c| c.name == name);
        let first = named.next()?;
        Some(std::iter::once(first).chain(named).try_for_each(|c| self.plain_key(c, construct, node)))
    }

    pub(super) fn plain_key(&mut self, column: &Derived, construct: &str, node: &Node) -> Result<()> {
        match &column.val {
            ColVal::Plain => Ok(()),
            ColVal::Open(sites) => self.decide_plain(sites),
            ColVal::Enc(_, name) | ColVal::Tainted(name) => {
                Err(refuse::on_column(construct, name).at(self.here(tree::location(node))))
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
        let Some(NodeEnum::ColumnRef(reference)) = tree::kind(column) else { return };
        let found = match tree::strings(&reference.fields).as_slice() {
            [name] if reference.fields.len() == 1 => scope.bare(name),
            [alias, name] if reference.fields.len() == 2 => scope.qualified(None, alias, name),
            _ => return,
        };
        let Ok(origin) = found.map(|f| f.origin) else { return };
        let Some(origin) = origin.filter(|o| scope.items.iter().any(|i| i.id == o.0 && !i.nullable)) else { return };
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
