//! FROM lists: the items they bring into scope.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{Alias, JoinExpr, JoinType, Node, RangeFunction, RangeSubselect, RangeVar};

use super::analyzer::{Analyzer, Resolved, View};
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Columns, Derived, Item, Scope};
use super::tree;
use super::types::always_quoted;
use crate::schema::catalog::RelationKind;

/// Items of a FROM clause, and what `*` over them means.
#[derive(Default)]
pub(super) struct FromTree {
    pub(super) items: Vec<Item>,
    /// Columns of `*`, as (item index, column index).
    pub(super) star: Vec<(usize, usize)>,
    /// `*` is not the plain concatenation of the items' columns.
    pub(super) merged: bool,
}

impl FromTree {
    pub(super) fn one(item: Item) -> Self {
        let star = (0..item.len()).map(|i| (0, i)).collect();
        FromTree { items: vec![item], star, merged: false }
    }

    pub(super) fn join(&mut self, other: FromTree) {
        let base = self.items.len();
        self.items.extend(other.items);
        self.star.extend(other.star.into_iter().map(|(i, c)| (i + base, c)));
        self.merged |= other.merged;
    }
}

impl Analyzer<'_> {
    /// Brings a FROM list into scope. `first`: items that stand before it (an UPDATE's target).
    pub(super) fn from_list(&mut self, list: &[Node], outer: Option<&Scope<'_>>) -> Result<FromTree> {
        let mut tree = FromTree::default();
        for node in list {
            let lateral = Scope::new(std::mem::take(&mut tree.items), outer);
            let next = self.from_node(node, outer, &lateral);
            tree.items = lateral.items;
            tree.join(next?);
        }
        Ok(tree)
    }

    /// `outer`: what a subquery sees; `lateral`: what a lateral one sees.
    pub(super) fn from_node(
        &mut self,
        node: &Node,
        outer: Option<&Scope<'_>>,
        lateral: &Scope<'_>,
    ) -> Result<FromTree> {
        match tree::kind(node) {
            Some(NodeEnum::RangeVar(range)) => Ok(FromTree::one(self.range_var(range, false)?)),
            Some(NodeEnum::RangeSubselect(sub)) => Ok(FromTree::one(self.range_subselect(sub, outer, lateral)?)),
            Some(NodeEnum::RangeFunction(function)) => Ok(FromTree::one(self.range_function(function, lateral)?)),
            Some(NodeEnum::JoinExpr(join)) => self.join(join, outer, lateral),
            Some(NodeEnum::RangeTableSample(sample)) => {
                for arg in sample.args.iter().chain(sample.repeatable.as_deref()) {
                    self.plain(arg, lateral, "TABLESAMPLE")?;
                }
                match tree::child(&sample.relation) {
                    Some(relation) => self.from_node(relation, outer, lateral),
                    None => Ok(FromTree::default()),
                }
            }
            _ => {
                Err(refuse::unsupported("this kind of FROM item is not supported in a statement on encrypted columns"))
            }
        }
    }

    /// A named relation or CTE as an item.
    pub(super) fn range_var(&mut self, range: &RangeVar, target: bool) -> Result<Item> {
        let resolved = self.resolve(range, target)?;
        let (alias, renamed) = alias_of(&range.alias, &range.relname);
        let id = self.item_id();
        if let (Resolved::Relation(relation), false) = (&resolved, target)
            && relation.kind == RelationKind::View
            && let Ok(first) = self.token(range.location)
        {
            let named = range.alias.is_none().then(|| always_quoted(&range.relname));
            let span = self.span(first, self.name_end(first));
            self.views.push(View { item: id, span, alias: named, fenced: false });
        }
        let (columns, opaque) = match resolved {
            Resolved::Relation(relation) => (Columns::Relation(relation, renamed), false),
            Resolved::Cte(cte) => {
                let columns = cte.columns.ok_or_else(|| {
                    refuse::unsupported(format!(
                        "reference to \"{}\" before its own definition is not supported here",
                        cte.name
                    ))
                    .at(self.here(range.location))
                })?;
                (Columns::Derived(rename(columns, &renamed)), cte.opaque)
            }
        };
        Ok(Item { opaque, ..Item::new(id, &alias, columns) })
    }

    fn range_subselect(
        &mut self,
        sub: &RangeSubselect,
        outer: Option<&Scope<'_>>,
        lateral: &Scope<'_>,
    ) -> Result<Item> {
        let scope = if sub.lateral { Some(lateral) } else { outer };
        let Some(query) = tree::child(&sub.subquery) else {
            return Err(refuse::unsupported(
                "this kind of FROM item is not supported in a statement on encrypted columns",
            ));
        };
        let outputs = self.query(query, scope)?;
        let (alias, renamed) = alias_of(&sub.alias, "");
        Ok(Item {
            opaque: outputs.opaque,
            ..Item::new(self.item_id(), &alias, Columns::Derived(rename(outputs.columns.into(), &renamed)))
        })
    }

    fn range_function(&mut self, function: &RangeFunction, lateral: &Scope<'_>) -> Result<Item> {
        if let Some(item) = self.range_unnest(function, lateral)? {
            return Ok(item);
        }
        if let Some(item) = self.range_routine(function, lateral)? {
            return Ok(item);
        }
        let mut names = Vec::new();
        for list in &function.functions {
            let Some(NodeEnum::List(list)) = tree::kind(list) else { continue };
            let mut parts = list.items.iter();
            if let Some(call) = parts.next() {
                self.plain(call, lateral, "a function in FROM")?;
                names.push(super::outputs::column_name(call));
            }
            for definition in parts {
                self.column_definitions(definition)?;
            }
        }
        for definition in &function.coldeflist {
            self.column_definitions(definition)?;
        }
        let (alias, renamed) = alias_of(&function.alias, names.first().map_or("", String::as_str));
        let scalar =
            names.len() == 1 && matches!(names[0].as_str(), "generate_series" | "unnest") && one_argument(function);
        let mut columns = Vec::new();
        if scalar {
            let name = renamed.first().cloned().unwrap_or_else(|| alias.clone());
            columns.push(Derived { name, val: ColVal::Plain });
            if function.ordinality {
                let name = renamed.get(1).cloned().unwrap_or_else(|| "ordinality".into());
                columns.push(Derived { name, val: ColVal::Plain });
            }
        }
        Ok(Item { opaque: !scalar, ..Item::new(self.item_id(), &alias, Columns::Derived(columns.into())) })
    }

    /// Column definitions of a function in FROM: none may be of an encrypted type.
    fn column_definitions(&mut self, node: &Node) -> Result<()> {
        match tree::kind(node) {
            Some(NodeEnum::ColumnDef(column)) => match &column.type_name {
                Some(name) => self.plain_type(name, "a function's column definition list"),
                None => Ok(()),
            },
            Some(NodeEnum::List(list)) => list.items.iter().try_for_each(|n| self.column_definitions(n)),
            _ => Ok(()),
        }
    }

    fn join(&mut self, join: &JoinExpr, outer: Option<&Scope<'_>>, lateral: &Scope<'_>) -> Result<FromTree> {
        let empty = || refuse::unsupported("this kind of join is not supported in a statement on encrypted columns");
        let mut left = self.from_node(tree::child(&join.larg).ok_or_else(empty)?, outer, lateral)?;
        let scope = Scope::new(std::mem::take(&mut left.items), Some(lateral));
        let right = self.from_node(tree::child(&join.rarg).ok_or_else(empty)?, outer, &scope);
        left.items = scope.items;
        let mut right = right?;
        let (nullable_left, nullable_right) = match join.jointype() {
            JoinType::JoinLeft => (false, true),
            JoinType::JoinRight => (true, false),
            JoinType::JoinFull => (true, true),
            _ => (false, false),
        };
        left.items.iter_mut().for_each(|i| i.nullable |= nullable_left);
        right.items.iter_mut().for_each(|i| i.nullable |= nullable_right);
        let mut tree = if join.is_natural || !join.using_clause.is_empty() {
            self.merge_columns(join, left, right)?
        } else {
            left.join(right);
            left
        };
        if let Some(quals) = tree::child(&join.quals) {
            self.assert(Some(quals));
            // A join condition sees the two sides and the outer query, not earlier items of the list.
            let scope = Scope::new(std::mem::take(&mut tree.items), outer);
            let checked = self.plain(quals, &scope, "a join condition");
            tree.items = scope.items;
            checked?;
        }
        match &join.alias {
            Some(alias) => self.join_alias(join, tree, alias),
            None => Ok(tree),
        }
    }

    /// JOIN … USING and NATURAL JOIN: the named columns of both sides become one.
    fn merge_columns(&mut self, join: &JoinExpr, mut left: FromTree, right: FromTree) -> Result<FromTree> {
        let name = |tree: &FromTree, &(i, c): &(usize, usize)| tree.items[i].name(c).to_string();
        let names: Vec<String> = if join.is_natural {
            if left.items.iter().chain(&right.items).any(|i| i.opaque) {
                return Err(refuse::unsupported(
                    "NATURAL JOIN with a function is not supported in a statement on encrypted columns",
                )
                .hint("Write JOIN ... ON, or name the function's columns in a subquery.")
                .at(self.right_place(join)));
            }
            left.star
                .iter()
                .map(|at| name(&left, at))
                .filter(|n| right.star.iter().any(|r| name(&right, r) == *n))
                .collect()
        } else {
            join.using_clause.iter().filter_map(tree::string).map(str::to_string).collect()
        };
        let encrypted = |side: &FromTree| {
            side.star.iter().any(|at| names.contains(&name(side, at)) && side.items[at.0].val(at.1).is_encrypted())
        };
        let written_out = left.items.iter().chain(&right.items).any(|i| i.spelled.is_some());
        if written_out || encrypted(&left) || encrypted(&right) {
            let at = self.right_place(join);
            return self.merge_encrypted(join, left, right, &names).map_err(|r| r.at(at));
        }
        for side in [&left, &right] {
            for at in side.star.iter().filter(|at| names.contains(&name(side, at))) {
                if let ColVal::Open(sites) = side.items[at.0].val(at.1) {
                    self.decide_plain(&sites)?;
                }
            }
        }
        let (common, rest): (Vec<_>, Vec<_>) =
            left.star.iter().copied().partition(|at| names.contains(&name(&left, at)));
        left.star =
            names.iter().filter_map(|n| common.iter().find(|at| name(&left, at) == *n).copied()).chain(rest).collect();
        let base = left.items.len();
        let kept: Vec<_> = right.star.iter().copied().filter(|at| !names.contains(&name(&right, at))).collect();
        left.star.extend(kept.into_iter().map(|(i, c)| (i + base, c)));
        left.items.extend(right.items.into_iter().map(|mut item| {
            item.merged.extend(names.iter().cloned());
            item
        }));
        if let Some(alias) = &join.join_using_alias {
            let columns = names.iter().map(|name| Derived { name: name.clone(), val: ColVal::Plain });
            let columns = Columns::Derived(columns.collect());
            left.items.push(Item { qualified_only: true, ..Item::new(self.item_id(), &alias.aliasname, columns) });
        }
        left.merged = true;
        Ok(left)
    }

    /// `(a JOIN b …) AS j`: the items inside are hidden behind one.
    fn join_alias(&mut self, join: &JoinExpr, tree: FromTree, alias: &Alias) -> Result<FromTree> {
        if tree.items.iter().any(|i| i.spelled.is_some()) {
            self.spell_query(join, &tree)?;
        }
        let renamed: Vec<String> = alias.colnames.iter().filter_map(tree::string).map(str::to_string).collect();
        let columns: Rc<[Derived]> = tree
            .star
            .iter()
            .map(|&(i, c)| Derived { name: tree.items[i].name(c).to_string(), val: tree.items[i].val(c) })
            .collect();
        Ok(FromTree::one(Item {
            opaque: tree.items.iter().any(|i| i.opaque),
            nullable: true,
            ..Item::new(self.item_id(), &alias.aliasname, Columns::Derived(rename(columns, &renamed)))
        }))
    }
}

fn one_argument(function: &RangeFunction) -> bool {
    let call = function.functions.first().and_then(|l| match tree::kind(l)? {
        NodeEnum::List(list) => tree::kind(list.items.first()?),
        _ => None,
    });
    match call {
        Some(NodeEnum::FuncCall(call)) => {
            tree::strings(&call.funcname).last() != Some(&"unnest") || call.args.len() == 1
        }
        _ => false,
    }
}

pub(super) fn alias_of(alias: &Option<Alias>, name: &str) -> (String, Vec<String>) {
    match alias {
        Some(alias) => {
            (alias.aliasname.clone(), alias.colnames.iter().filter_map(tree::string).map(str::to_string).collect())
        }
        None => (name.to_string(), Vec::new()),
    }
}

/// Gives new names to the first columns.
pub(super) fn rename(columns: Rc<[Derived]>, names: &[String]) -> Rc<[Derived]> {
    if names.is_empty() {
        return columns;
    }
    let named =
        |(i, c): (usize, &Derived)| Derived { name: names.get(i).unwrap_or(&c.name).clone(), val: c.val.clone() };
    columns.iter().enumerate().map(named).collect()
}
