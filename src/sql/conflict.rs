//! ON CONFLICT: its target finds a unique index, which for an encrypted column stands on its term.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{IndexElem, InferClause, OnConflictClause};

use super::analyzer::Analyzer;
use super::built::Built;
use super::compare::{attribute_of_key, no_equality};
use super::ddl::list;
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Columns, Item, Scope};
use super::tree;
use crate::schema::catalog::Relation;

impl Analyzer<'_> {
    pub(super) fn on_conflict(
        &mut self,
        conflict: &OnConflictClause,
        relation: &Arc<Relation>,
        mut items: Vec<Item>,
    ) -> Result<Vec<Item>> {
        let around = self.frame_scope();
        let mut scope = Scope::new(std::mem::take(&mut items), Some(&around));
        if let Some(infer) = &conflict.infer {
            self.conflict_target(infer, &scope)?;
            self.conflict_constraint(infer, relation)?;
        }
        let excluded = Item {
            qualified_only: true,
            ..Item::new(self.item_id(), "excluded", Columns::Relation(relation.clone(), Vec::new()))
        };
        scope.items.push(excluded);
        self.assignments(&conflict.target_list, relation, &scope)?;
        self.plain_some(&conflict.where_clause, &scope, "ON CONFLICT DO UPDATE ... WHERE")?;
        scope.items.pop();
        Ok(scope.items)
    }

    fn conflict_target(&mut self, infer: &InferClause, scope: &Scope<'_>) -> Result<()> {
        if infer.index_elems.is_empty() {
            return Ok(());
        }
        let starts = self.list_starts(self.token(infer.location)?)?;
        for (node, token) in infer.index_elems.iter().zip(starts) {
            if let Some(NodeEnum::IndexElem(elem)) = tree::kind(node) {
                self.conflict_element(elem, token, scope)?;
            }
        }
        self.plain_some(&infer.where_clause, scope, "ON CONFLICT ... WHERE")
    }

    /// `ON CONSTRAINT name` of what is a unique index: by what it keeps unique.
    fn conflict_constraint(&mut self, infer: &InferClause, relation: &Relation) -> Result<()> {
        let Some(index) = relation.unique(&infer.conname) else { return Ok(()) };
        // ON CONSTRAINT name
        let first = self.token(infer.location)?;
        self.touched = true;
        self.edits.both(self.span(first, first + 2), format!("({})", list(&index.unique)));
        Ok(())
    }

    fn conflict_element(&mut self, elem: &IndexElem, token: usize, scope: &Scope<'_>) -> Result<()> {
        const CONFLICT: &str = "ON CONFLICT";
        if let Some(expr) = tree::child(&elem.expr)
            && let Some(path) = self.promoted(expr, scope)?
        {
            self.needs_equality(&path, CONFLICT)?;
            self.edits.wrap_both(path.span, "((", attribute_of_key(&path.ty));
            return Ok(());
        }
        if elem.name.is_empty() {
            return self.plain_some(&elem.expr, scope, CONFLICT);
        }
        let item = &scope.items[0];
        let at = self.lexed.tokens[token].start as i32;
        match (0..item.len()).find(|&i| item.name(i) == elem.name).map(|i| item.val(i)) {
            Some(ColVal::Tainted(column) | ColVal::Built(Built { column, .. })) => {
                Err(refuse::on_column(CONFLICT, &column).at(at))
            }
            Some(ColVal::Enc(ty, column)) => {
                if !ty.def.terms.equal() {
                    return Err(no_equality(&ty, &column, CONFLICT).at(at));
                }
                if !elem.collation.is_empty() || !elem.opclass.is_empty() {
                    return Err(refuse::on_column("ON CONFLICT with a collation or operator class", &column).at(at));
                }
                self.touched = true;
                self.edits.wrap_both(self.span(token, token), "((", attribute_of_key(&ty));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
