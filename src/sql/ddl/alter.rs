//! ALTER TABLE, and what renames and explains its constraints.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, CommentStmt, ObjectType, RangeVar, RenameStmt, TypeName,
};

use super::super::analyzer::{Analyzer, lookup};
use super::super::plan::Template;
use super::super::refuse::{self, Detail, INVALID_TABLE_DEFINITION, Result};
use super::super::statement::Outcome;
use super::super::steps::Steps;
use super::super::tree;
use super::super::types::always_quoted;
use super::unique::Target;
use super::{Table, columns_of};
use crate::schema::catalog::{Key, Relation};

const TAG: &str = "ALTER TABLE";

impl Analyzer<'_> {
    /// ALTER TABLE, command by command.
    pub(in crate::sql) fn alter_table(&mut self, alter: &AlterTableStmt) -> Result<Outcome> {
        let of_index = alter.objtype() == ObjectType::ObjectIndex;
        let range = alter.relation.as_ref().filter(|_| !of_index);
        let relation = range.and_then(|range| self.altered(range));
        let mut columns = Vec::new();
        match range {
            // It is skipped.
            Some(_) if alter.missing_ok && relation.is_none() => {}
            Some(range) => columns.extend(columns_of(&self.changed(range, &added_types(alter))?)),
            None => {}
        }
        let name = alter.relation.as_ref().map_or("", |r| r.relname.as_str());
        let mut table = Table::new(self.item_id(), name, columns);
        for node in &alter.cmds {
            if let Some(NodeEnum::AlterTableCmd(command)) = tree::kind(node) {
                self.alter_command(command, &mut table)?;
            }
        }
        let outcome = self.unedited(TAG)?;
        let (Some(range), Some(relation)) = (range, relation) else { return Ok(outcome) };
        let dropped = names_dropped(alter);
        stays_not_null(alter, &relation, &dropped)?;
        let target = Target {
            schema: Some(&relation.schema),
            name: &relation.name,
            relation: Some(&relation),
            dropped: &dropped,
            only: !range.inh,
            unless_there: false,
        };
        self.one_primary_key(&table, &target)?;
        let drops_index = dropped.iter().any(|name| relation.unique(name).is_some());
        if !drops_index && table.uniques.is_empty() && table.skipped.is_empty() {
            return Ok(outcome);
        }
        self.alter_with_indexes(alter, table, &target, &relation)
    }

    fn altered(&self, range: &RangeVar) -> Option<Arc<Relation>> {
        lookup(self.catalog, self.session, &range.schemaname, &range.relname).cloned()
    }

    /// DROP CONSTRAINT of what is a unique index: first tokens of the commands, and the statements in their place.
    fn dropped(alter: &AlterTableStmt, relation: &Relation, commands: &[usize]) -> Vec<(usize, String)> {
        let mut out = Vec::new();
        for (node, &first) in alter.cmds.iter().zip(commands) {
            let Some(NodeEnum::AlterTableCmd(command)) = tree::kind(node) else { continue };
            if command.subtype() == AlterTableType::AtDropConstraint && relation.unique(&command.name).is_some() {
                let cascade = if command.behavior == CASCADE { " CASCADE" } else { "" };
                out.push((first, format!("DROP INDEX {}{cascade}", index_of(relation, &command.name))));
            }
        }
        out
    }

    /// First tokens of the commands.
    fn commands(&self, alter: &AlterTableStmt) -> Result<Vec<usize>> {
        let Some(range) = &alter.relation else { return Ok(Vec::new()) };
        let mut first = self.name_end(self.token(range.location)?) + 1;
        // t * or ONLY (t)
        first += usize::from(self.is(first, "*") || self.is(first, ")"));
        self.item_starts(first, self.lexed.tokens.len())
    }

    /// ALTER TABLE with what is left of its commands, between dropping and making indexes.
    fn alter_with_indexes(
        &mut self,
        alter: &AlterTableStmt,
        table: Table,
        target: &Target<'_>,
        relation: &Relation,
    ) -> Result<Outcome> {
        let commands = self.commands(alter)?;
        let dropped = Self::dropped(alter, relation, &commands);
        let command = |token: usize| commands.iter().rev().find(|&&first| first <= token).copied();
        let added = table.uniques.iter().filter(|u| !u.of_column).filter_map(|u| command(u.tokens.0));
        let gone: Vec<usize> = dropped.iter().map(|(first, _)| *first).chain(added).collect();
        let mut before: Vec<String> = dropped.into_iter().map(|(_, sql)| sql).collect();
        let mut after = Vec::new();
        let of_columns = table.uniques.iter().filter(|u| u.of_column);
        of_columns.chain(&table.skipped).for_each(|unique| self.drop_of_column(unique));
        let indexes = self.indexes(table.uniques, target);
        if gone.len() == commands.len() {
            // Something goes or is made: else all commands would be left.
            let mut all = std::mem::take(&mut before).into_iter().chain(indexes);
            self.instead = all.next().map(Template::fixed);
            after = all.collect();
        } else {
            after.extend(indexes);
            self.drop_items(commands[0], self.lexed.tokens.len(), &gone)?;
        }
        self.steps = Some(Steps { before, after, tag: TAG });
        Ok(Outcome::Utility)
    }

    fn alter_command(&mut self, command: &AlterTableCmd, table: &mut Table) -> Result<()> {
        let def = command.def.as_deref().and_then(tree::kind);
        match (command.subtype(), def) {
            (AlterTableType::AtAddColumn, Some(NodeEnum::ColumnDef(column))) => {
                let new = self.new_column(column)?;
                if command.missing_ok && table.column(&column.colname).is_some() {
                    // It is skipped, but what it says is read.
                    let mut skipped = Table::new(self.item_id(), "", vec![new]);
                    self.column_constraints(column, &mut skipped)?;
                    table.skipped.extend(skipped.uniques);
                    return Ok(());
                }
                table.add(new);
                self.column_constraints(column, table)
            }
            (AlterTableType::AtColumnDefault, _) => self.default_value(&command.def, &command.name, &table.scope),
            (AlterTableType::AtSetExpression, _) => {
                self.plain_key_column(&command.name, &table.scope, "SET EXPRESSION")?;
                self.plain_some(&command.def, &table.scope, "SET EXPRESSION")
            }
            (AlterTableType::AtAddConstraint, Some(NodeEnum::Constraint(constraint))) => {
                self.constraint(constraint, None, table)
            }
            (AlterTableType::AtAlterColumnType, Some(NodeEnum::ColumnDef(column))) => {
                const TYPE: &str = "ALTER COLUMN ... TYPE";
                self.plain_key_column(&command.name, &table.scope, TYPE).map_err(|mut r| {
                    r.hint = Some(
                        "Add a column of the new type, copy the values through the proxy, then drop the old one."
                            .into(),
                    );
                    r
                })?;
                if let Some(name) = &column.type_name
                    && !self.column_type(name, &command.name)?.is_plain()
                {
                    return Err(refuse::on_column(TYPE, &command.name).hint(
                        "Add a column of the encrypted type, copy the values through the proxy, then drop the old one.",
                    ));
                }
                self.plain_some(&column.raw_default, &table.scope, TYPE)
            }
            (AlterTableType::AtAttachPartition | AlterTableType::AtDetachPartition, _) => Ok(()),
            (AlterTableType::AtAddInherit | AlterTableType::AtDropInherit | AlterTableType::AtReplicaIdentity, _) => {
                Ok(())
            }
            (AlterTableType::AtAddColumn | AlterTableType::AtAddConstraint | AlterTableType::AtAlterColumnType, _) => {
                Err(unknown())
            }
            // Names, flags and options.
            (_, None | Some(NodeEnum::Integer(_) | NodeEnum::String(_))) => Ok(()),
            (AlterTableType::AtSetRelOptions | AlterTableType::AtResetRelOptions, _) => Ok(()),
            (AlterTableType::AtSetOptions | AlterTableType::AtResetOptions, _) => Ok(()),
            (AlterTableType::AtSetStatistics | AlterTableType::AtSetStorage | AlterTableType::AtSetCompression, _) => {
                Ok(())
            }
            _ => Err(unknown()),
        }
    }

    /// ALTER TABLE ... RENAME CONSTRAINT of what is a unique index.
    pub(in crate::sql) fn rename_constraint(&mut self, rename: &RenameStmt) -> Outcome {
        let relation = rename.relation.as_ref().and_then(|range| self.altered(range));
        let Some(relation) = relation.filter(|r| r.unique(&rename.subname).is_some()) else {
            return Outcome::Forward;
        };
        let index = index_of(&relation, &rename.subname);
        self.instead =
            Some(Template::fixed(format!("ALTER INDEX {index} RENAME TO {}", always_quoted(&rename.newname))));
        self.steps = Some(Steps { before: Vec::new(), after: Vec::new(), tag: TAG });
        Outcome::Utility
    }

    /// COMMENT ON CONSTRAINT of what is a unique index.
    pub(in crate::sql) fn comment_on_constraint(&mut self, comment: &CommentStmt) -> Outcome {
        // COMMENT ON CONSTRAINT name ON table
        const TABLE: usize = 5;
        let object = comment.object.as_deref().and_then(tree::kind);
        let Some(NodeEnum::List(list)) = object else { return Outcome::Forward };
        let names = tree::strings(&list.items);
        let Some((constraint, table)) = names.split_last() else { return Outcome::Forward };
        let (schema, table) = match table {
            [.., schema, table] => (*schema, *table),
            [table] => ("", *table),
            [] => return Outcome::Forward,
        };
        match lookup(self.catalog, self.session, schema, table) {
            Some(relation) if relation.unique(constraint).is_some() => {
                let index = index_of(relation, constraint);
                self.edits.both(self.span(2, self.name_end(TABLE)), format!("INDEX {index}"));
                Outcome::Utility
            }
            _ => Outcome::Forward,
        }
    }
}

/// `DropBehavior` of the grammar.
const CASCADE: i32 = pg_query::protobuf::DropBehavior::DropCascade as i32;

/// Types of the columns that it adds.
fn added_types(alter: &AlterTableStmt) -> Vec<&TypeName> {
    let commands = alter.cmds.iter().filter_map(tree::kind);
    let added = commands.filter_map(|command| match command {
        NodeEnum::AlterTableCmd(command) => command.def.as_deref().and_then(tree::kind),
        _ => None,
    });
    added
        .filter_map(|def| match def {
            NodeEnum::ColumnDef(column) => column.type_name.as_ref(),
            _ => None,
        })
        .collect()
}

/// An index of a relation, as it is written.
fn index_of(relation: &Relation, name: &str) -> String {
    format!("{}.{}", always_quoted(&relation.schema), always_quoted(name))
}

/// Names that DROP CONSTRAINT gives.
fn names_dropped(alter: &AlterTableStmt) -> Vec<&str> {
    let one = |node| match tree::kind(node)? {
        NodeEnum::AlterTableCmd(command) if command.subtype() == AlterTableType::AtDropConstraint => {
            Some(command.name.as_str())
        }
        _ => None,
    };
    alter.cmds.iter().filter_map(one).collect()
}

/// Refused where a column of a primary key over encrypted columns would no longer be NOT NULL.
fn stays_not_null(alter: &AlterTableStmt, relation: &Relation, dropped: &[&str]) -> Result<()> {
    let primary = relation.indexes.iter().filter(|i| i.is_primary() && !dropped.contains(&i.name.as_str()));
    let keys: Vec<&Key> = primary.flat_map(|i| &i.unique).collect();
    for node in &alter.cmds {
        if let Some(NodeEnum::AlterTableCmd(command)) = tree::kind(node)
            && command.subtype() == AlterTableType::AtDropNotNull
            && keys.iter().any(|key| key.column == command.name)
        {
            let message = format!("column \"{}\" is in a primary key", command.name);
            return Err(refuse::with(INVALID_TABLE_DEFINITION, message));
        }
    }
    Ok(())
}

fn unknown() -> Box<super::super::plan::Refusal> {
    refuse::unsupported("this form of ALTER TABLE is not supported on a relation with encrypted columns")
}
