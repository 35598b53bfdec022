//! CREATE TABLE.

use pg_query::NodeEnum;
use pg_query::protobuf::CreateStmt;

use super::super::analyzer::Analyzer;
use super::super::plan::SessionState;
use super::super::refuse::{Detail, Result};
use super::super::statement::Outcome;
use super::super::steps::Steps;
use super::super::tree;
use super::unique::Target;
use super::{Table, range_var};

impl Analyzer<'_> {
    /// CREATE TABLE: encrypted types are fine; what would need a value or an order of theirs is not.
    pub(in crate::sql) fn create_table(&mut self, create: &CreateStmt) -> Result<Outcome> {
        if let Some(name) = &create.of_typename {
            self.plain_type(name, "CREATE TABLE ... OF")?;
        }
        let mut columns = Vec::new();
        for range in create.inh_relations.iter().filter_map(range_var) {
            self.inherit(range, &mut columns)?;
        }
        for element in &create.table_elts {
            match tree::kind(element) {
                Some(NodeEnum::ColumnDef(column)) => columns.push(self.new_column(column)?),
                Some(NodeEnum::TableLikeClause(like)) => {
                    if let Some(range) = &like.relation {
                        self.inherit(range, &mut columns)?;
                    }
                }
                _ => {}
            }
        }
        let name = create.relation.as_ref().map_or("", |r| r.relname.as_str());
        let mut table = Table::new(self.item_id(), name, columns);
        for element in create.table_elts.iter().chain(&create.constraints) {
            match tree::kind(element) {
                Some(NodeEnum::ColumnDef(column)) => self.column_constraints(column, &mut table)?,
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint, None, &mut table)?,
                _ => {}
            }
        }
        if let Some(spec) = &create.partspec {
            for param in &spec.part_params {
                let Some(NodeEnum::PartitionElem(elem)) = tree::kind(param) else { continue };
                self.plain_key_column(&elem.name, &table.scope, "PARTITION BY")?;
                self.plain_some(&elem.expr, &table.scope, "PARTITION BY")?;
            }
        }
        let outcome = self.unedited("CREATE TABLE")?;
        if table.uniques.is_empty() { Ok(outcome) } else { self.create_with_indexes(create, table) }
    }

    /// CREATE TABLE without its UNIQUE and PRIMARY KEY over encrypted columns, and then their indexes.
    fn create_with_indexes(&mut self, create: &CreateStmt, table: Table) -> Result<Outcome> {
        let Some(relation) = &create.relation else { return Ok(Outcome::Forward) };
        let temporary = relation.relpersistence == "t";
        let schema = match relation.schemaname.as_str() {
            "" if temporary => Some("pg_temp"),
            "" => creation_schema(self.session),
            schema => Some(schema),
        };
        let target = Target {
            schema,
            name: &relation.relname,
            relation: None,
            dropped: &[],
            only: false,
            unless_there: create.if_not_exists,
        };
        self.one_primary_key(&table, &target).map_err(|r| r.at(self.here(relation.location)))?;
        let there =
            schema.is_some_and(|s| self.catalog.relation(&self.temporary_schema(s), &relation.relname).is_some());
        self.drop_elements(create, &table)?;
        let after = match create.if_not_exists && there {
            // It is skipped.
            true => Vec::new(),
            false => self.indexes(table.uniques, &target),
        };
        self.steps = Some(Steps { before: Vec::new(), after, tag: "CREATE TABLE" });
        Ok(Outcome::Utility)
    }

    /// The name that `pg_temp` stands for.
    pub(super) fn temporary_schema(&self, schema: &str) -> String {
        let path = self.session.search_path.unwrap_or_default();
        let own = path.iter().find(|s| schema == "pg_temp" && s.starts_with("pg_temp_"));
        own.cloned().unwrap_or_else(|| schema.to_owned())
    }

    fn drop_elements(&mut self, create: &CreateStmt, table: &Table) -> Result<()> {
        for unique in table.uniques.iter().filter(|u| u.of_column) {
            self.drop_of_column(unique);
        }
        let gone: Vec<usize> = table.uniques.iter().filter(|u| !u.of_column).map(|u| u.tokens.0).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let Some(open) = self.enclosing(gone[0]) else { return Ok(()) };
        let close = self.partner(open)?;
        let whole = gone.len() == create.table_elts.len();
        if whole && (create.partbound.is_some() || create.of_typename.is_some()) {
            // Without elements there are no brackets.
            self.edits.both(self.span(open, close), "");
            return Ok(());
        }
        self.drop_items(open + 1, close, &gone)
    }
}

/// The schema that new relations come to be in.
fn creation_schema<'s>(session: &'s SessionState<'_>) -> Option<&'s str> {
    let path = session.search_path.unwrap_or_default();
    path.last().map(String::as_str)
}
