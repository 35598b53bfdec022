//! JOIN ... USING and NATURAL JOIN over encrypted columns: written out as ON, with terms. The columns that the two sides
//! have in common belong to an item of their own, whose columns are spelled out wherever they are named.

use pg_query::NodeEnum;
use pg_query::protobuf::{Alias, JoinExpr, JoinType, Node};

use super::analyzer::Analyzer;
use super::built::Built;
use super::compare::term_of;
use super::expr::{Enc, Open, Val};
use super::from::FromTree;
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Columns, Derived, Item, Spelled};
use super::tree;
use super::types::always_quoted;

/// A column of an item.
type At = (usize, usize);

impl Analyzer<'_> {
    /// Joins two sides by columns of the same names, of which some are encrypted.
    pub(super) fn merge_encrypted(
        &mut self,
        join: &JoinExpr,
        mut left: FromTree,
        mut right: FromTree,
        names: &[String],
    ) -> Result<FromTree> {
        let construct = if join.is_natural { "NATURAL JOIN" } else { "JOIN ... USING" };
        let mut conditions = Vec::with_capacity(names.len());
        let (mut columns, mut spelled) = (Vec::new(), Vec::new());
        let mut nullable = join.jointype() == JoinType::JoinFull;
        for name in names {
            let (l, r) = (only(&left, name)?, only(&right, name)?);
            let (lt, rt) = (reference(&left, l)?, reference(&right, r)?);
            let val = self.joined((&left.items[l.0], l.1), (&right.items[r.0], r.1), construct)?;
            conditions.push(match val {
                ColVal::Enc(ref ty, _) => format!("{} OPERATOR(pg_catalog.=) {}", term_of(ty, &lt), term_of(ty, &rt)),
                _ => format!("{lt} = {rt}"),
            });
            let type_oid = left.items[l.0].type_oid(l.1);
            let (text, item) = match join.jointype() {
                JoinType::JoinRight => (rt, &right.items[r.0]),
                JoinType::JoinFull => (format!("COALESCE({lt}, {rt})"), &left.items[l.0]),
                _ => (lt, &left.items[l.0]),
            };
            nullable |= item.nullable;
            columns.push(Derived { name: name.clone(), val });
            spelled.push(Spelled { text, type_oid });
        }
        self.spell_out(join, &format!("ON {}", conditions.join(" AND ")))?;
        let common = |tree: &FromTree, at: &At| names.iter().any(|n| n == tree.items[at.0].name(at.1));
        let rest = |tree: &FromTree, base: usize| -> Vec<At> {
            let kept = tree.star.iter().filter(|at| !common(tree, at));
            kept.map(|&(i, c)| (i + base, c)).collect()
        };
        let base = left.items.len();
        let mut star: Vec<At> = (0..names.len()).map(|c| (base, c)).collect();
        star.extend(rest(&left, 0));
        star.extend(rest(&right, base + 1));
        for item in left.items.iter_mut().chain(&mut right.items) {
            item.merged.extend(names.iter().cloned());
        }
        let merged = Item {
            nullable,
            spelled: Some(spelled.into()),
            ..Item::new(
                self.item_id(),
                join.join_using_alias.as_ref().map_or("", |alias| alias.aliasname.as_str()),
                Columns::Derived(columns.into()),
            )
        };
        left.items.push(merged);
        left.items.extend(right.items);
        left.star = star;
        left.merged |= right.merged;
        Ok(left)
    }

    /// What the common column of two sides holds.
    fn joined(&mut self, left: (&Item, usize), right: (&Item, usize), construct: &str) -> Result<ColVal> {
        let vals = [left.0.val(left.1), right.0.val(right.1)];
        let mut both = Vec::with_capacity(2);
        for val in &vals {
            both.push(match val {
                ColVal::Plain => Val::Plain,
                ColVal::Open(sites) => Val::Open(Open { sites: sites.clone(), simple: false, span: (0, 0) }),
                ColVal::Enc(ty, column) => Val::Enc(Enc::new(ty.clone(), column.clone(), (0, 0))),
                ColVal::Tainted(column) | ColVal::Built(Built { column, .. }) => {
                    return Err(refuse::on_column(construct, column));
                }
            });
        }
        let Some((ty, column)) = self.common(&both, construct).map_err(|mut r| {
            r.position = None;
            r
        })?
        else {
            // Where the two have one type, so has the common column.
            return match (left.0.type_oid(left.1), right.0.type_oid(right.1)) {
                (Some(l), Some(r)) if l == r => Ok(ColVal::Plain),
                _ => Err(refuse::unsupported(format!(
                    "{construct} over encrypted columns and column {}, whose types on the two sides may differ, is not supported",
                    left.0.name(left.1)
                ))
                .hint("Write JOIN ... ON a.column = b.column.")),
            };
        };
        self.usable(&ty)?;
        self.touched = true;
        self.needs_equality(&Enc::new(ty.clone(), column.clone(), (0, 0)), construct).map_err(|mut r| {
            r.position = None;
            r
        })?;
        for val in &both {
            if let Val::Open(open) = val {
                self.store(open, &ty, &column)?;
            }
        }
        Ok(ColVal::Enc(ty, column))
    }

    /// Puts a condition in place of USING or NATURAL.
    fn spell_out(&mut self, join: &JoinExpr, condition: &str) -> Result<()> {
        let (first, last) = self.right_side(join).ok_or_else(unknown)?;
        if !join.is_natural {
            if !self.is_word(last + 1, "using") {
                return Err(unknown());
            }
            let mut close = self.partner(last + 2)?;
            if join.join_using_alias.is_some() && self.is_word(close + 1, "as") {
                close += 2;
            }
            self.edits.both(self.span(last + 1, close), condition.to_string());
            return Ok(());
        }
        let natural =
            (first.saturating_sub(6)..first).rev().find(|&t| self.is_word(t, "natural")).ok_or_else(unknown)?;
        self.edits.both(self.span(natural, natural), "");
        let end = self.lexed.tokens[last].end;
        self.edits.both((end, end), format!(" {condition}"));
        Ok(())
    }

    /// First and last token of the right side of a join, its alias included.
    fn right_side(&self, join: &JoinExpr) -> Option<(usize, usize)> {
        let node = tree::child(&join.rarg)?;
        let (first, last, alias): (usize, usize, &Option<Alias>) = match tree::kind(node)? {
            NodeEnum::RangeVar(range) if range.inh => {
                let first = self.token(range.location).ok()?;
                let last = self.name_end(first);
                (first, last + usize::from(self.is(last + 1, "*")), &range.alias)
            }
            NodeEnum::RangeSubselect(sub) => {
                let open = self.leaf_of(node)?;
                (open, self.partner(open).ok()?, &sub.alias)
            }
            NodeEnum::JoinExpr(right) => {
                let left = self.leaf_of(tree::child(&join.larg)?)?;
                let around = |open: &usize| (*open..=self.partner[*open] as usize).contains(&left);
                let brackets = self.levels(self.leaf_of(node)?).into_iter().skip(1);
                let open = brackets.take_while(|open| !around(open)).last()?;
                (open, self.partner(open).ok()?, &right.alias)
            }
            _ => return None,
        };
        let Some(alias) = alias else { return Some((first, last)) };
        let name = last + 1 + usize::from(self.is_word(last + 1, "as"));
        match alias.colnames.is_empty() {
            true => Some((first, name)),
            false => Some((first, self.partner(name + 1).ok()?)),
        }
    }

    /// Where the right side of a join begins.
    pub(super) fn right_place(&self, join: &JoinExpr) -> i32 {
        let leaf = tree::child(&join.rarg).and_then(|node| self.leaf_of(node));
        leaf.map_or(-1, |token| self.lexed.tokens[token].start as i32)
    }

    /// The first token of what stands leftmost in an item of FROM.
    fn leaf_of(&self, node: &Node) -> Option<usize> {
        match tree::kind(node)? {
            NodeEnum::RangeVar(range) => self.token(range.location).ok(),
            NodeEnum::RangeSubselect(sub) => self.bracket_of(tree::select(tree::child(&sub.subquery)?)?),
            NodeEnum::JoinExpr(join) => self.leaf_of(tree::child(&join.larg)?),
            NodeEnum::RangeFunction(function) => match tree::kind(function.functions.first()?)? {
                NodeEnum::List(list) => self.token(tree::location(list.items.first()?)).ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// `(a JOIN b USING (e)) AS j` becomes a query in FROM: its columns are those of the join as it was written.
    pub(super) fn spell_query(&mut self, join: &JoinExpr, tree: &FromTree) -> Result<()> {
        let leaf = |side| tree::child(side).and_then(|n| self.leaf_of(n)).ok_or_else(unknown);
        let (left, right) = (leaf(&join.larg)?, leaf(&join.rarg)?);
        let outside = self.levels(right);
        let open = self.levels(left).into_iter().skip(1).find(|open| outside.contains(open)).ok_or_else(unknown)?;
        if tree.items.iter().any(|i| i.opaque) {
            return Err(unknown());
        }
        let column = |&(i, c): &At| {
            let text = reference(tree, (i, c))?;
            Ok(format!("{text} AS {}", always_quoted(tree.items[i].name(c))))
        };
        let columns = tree.star.iter().map(column).collect::<Result<Vec<_>>>()?;
        let at = self.lexed.tokens[open].end;
        self.edits.both((at, at), format!("SELECT {} FROM ", columns.join(", ")));
        Ok(())
    }
}

/// The one column of a side that has this name.
fn only(tree: &FromTree, name: &str) -> Result<At> {
    let mut named = tree.star.iter().filter(|at| tree.items[at.0].name(at.1) == name);
    match (named.next(), named.next()) {
        (Some(at), None) => Ok(*at),
        (Some(_), Some(_)) => Err(refuse::with(
            refuse::AMBIGUOUS_COLUMN,
            format!("common column name \"{name}\" appears more than once in a table of the join"),
        )),
        (None, _) => Err(refuse::with(
            refuse::UNDEFINED_COLUMN,
            format!("column \"{name}\" specified in USING clause does not exist in a table of the join"),
        )),
    }
}

/// How a column can be written.
fn reference(tree: &FromTree, at: At) -> Result<String> {
    let item = &tree.items[at.0];
    let twins = tree.items.iter().filter(|i| i.alias == item.alias && i.spelled.is_none()).count();
    match item.spelled.is_some() || (!item.alias.is_empty() && twins == 1) {
        true => Ok(item.written(at.1)),
        false => Err(unknown()),
    }
}

fn unknown() -> Box<super::plan::Refusal> {
    refuse::unsupported("this kind of JOIN ... USING or NATURAL JOIN over encrypted columns is not supported")
        .hint("Write JOIN ... ON a.column = b.column.")
}
