//! MERGE: a target joined with a source, and what is done with the rows of either.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{CmdType, MergeMatchKind, MergeStmt, MergeWhenClause};

use super::analyzer::Analyzer;
use super::dml::{check_width, find_column, no_target};
use super::refuse::{self, Detail, Result};
use super::scope::{Columns, Item, Scope};
use super::tree;
use crate::schema::catalog::Relation;

impl Analyzer<'_> {
    pub(super) fn merge(&mut self, merge: &MergeStmt) -> Result<()> {
        if merge.returning_clause.is_some() {
            return Err(refuse::unsupported(
                "MERGE ... RETURNING is not supported in a statement on encrypted columns",
            )
            .hint("Read the rows after it, or write INSERT ... ON CONFLICT ... RETURNING."));
        }
        let frames = self.ctes.len();
        let around = self.frame_scope();
        if let Some(with) = &merge.with_clause {
            self.with(with, Some(&around))?;
        }
        let target = self.target_item(&merge.relation)?;
        let Columns::Relation(relation, _) = target.columns.clone() else { return Err(no_target()) };
        let source = tree::child(&merge.source_relation).ok_or_else(no_target)?;
        let source = self.from_node(source, Some(&around), &around)?;
        let mut items = vec![target];
        items.extend(source.items);
        let scope = Scope::new(items.clone(), Some(&around));
        self.plain_some(&merge.join_condition, &scope, "a join condition")?;
        for node in &merge.merge_when_clauses {
            if let Some(NodeEnum::MergeWhenClause(when)) = tree::kind(node) {
                self.merge_action(when, &relation, &items)?;
            }
        }
        self.ctes.truncate(frames);
        Ok(())
    }

    fn merge_action(&mut self, when: &MergeWhenClause, relation: &Arc<Relation>, items: &[Item]) -> Result<()> {
        // What the action sees: the row of the target, of the source, or both.
        let seen = match when.match_kind() {
            MergeMatchKind::MergeWhenNotMatchedByTarget => &items[1..],
            MergeMatchKind::MergeWhenNotMatchedBySource => &items[..1],
            _ => items,
        };
        let around = self.frame_scope();
        let scope = Scope::new(seen.to_vec(), Some(&around));
        self.plain_some(&when.condition, &scope, "a condition of WHEN")?;
        match when.command_type() {
            CmdType::CmdUpdate => self.assignments(&when.target_list, relation, &scope),
            CmdType::CmdInsert => self.merge_insert(when, relation, &scope),
            _ => Ok(()),
        }
    }

    fn merge_insert(&mut self, when: &MergeWhenClause, relation: &Arc<Relation>, scope: &Scope<'_>) -> Result<()> {
        let mut columns = Vec::with_capacity(when.values.len());
        for node in &when.target_list {
            let Some(NodeEnum::ResTarget(target)) = tree::kind(node) else { continue };
            let at = self.here(target.location);
            if !target.indirection.is_empty() {
                return Err(refuse::unsupported(
                    "assignment to an attribute or element is not supported in MERGE on encrypted columns",
                )
                .at(at));
            }
            columns.push(find_column(relation, &target.name).map_err(|r| r.at(at))?);
        }
        if columns.is_empty() {
            columns.extend(0..relation.columns.len());
        }
        check_width(when.values.len(), columns.len())?;
        when.values.iter().zip(columns).try_for_each(|(value, column)| self.assign(value, relation, column, scope))
    }
}
