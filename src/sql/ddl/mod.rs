//! Tables with encrypted columns: CREATE TABLE in `create`, ALTER TABLE in `alter`, CREATE INDEX in `index`, CREATE STATISTICS in
//! `statistics`, UNIQUE and PRIMARY KEY in `unique`. Here is what they share.

mod alter;
mod create;
mod index;
mod names;
mod statistics;
mod unique;

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{ColumnDef, ConstrType, Constraint, Node, RangeVar, TypeName};

use self::unique::Unique;
use super::analyzer::{Analyzer, lookup};
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Columns, Derived, Item, Scope};
use super::tree;
use super::types::{self, Named};

pub(super) use self::unique::list;

const STORED: &str = "The server would keep and print the value in plain.";

/// A table that a statement makes or changes.
struct Table {
    scope: Scope<'static>,
    /// UNIQUE and PRIMARY KEY over encrypted columns.
    uniques: Vec<Unique>,
    /// Those of a column that is there already: they are not looked at.
    skipped: Vec<Unique>,
    /// How many PRIMARY KEY the statement has.
    primary: usize,
}

impl Table {
    fn new(item: u32, name: &str, columns: Vec<Derived>) -> Table {
        let item = Item::new(item, name, Columns::Derived(columns.into()));
        Table { scope: Scope::new(vec![item], None), uniques: Vec::new(), skipped: Vec::new(), primary: 0 }
    }

    fn column(&self, name: &str) -> Option<ColVal> {
        column(&self.scope, name)
    }

    fn add(&mut self, column: Derived) {
        if let Columns::Derived(known) = &self.scope.items[0].columns {
            self.scope.items[0].columns = Columns::Derived(known.iter().cloned().chain([column]).collect());
        }
    }
}

/// The column of this name of the table that is alone in scope.
fn column(scope: &Scope<'_>, name: &str) -> Option<ColVal> {
    let item = &scope.items[0];
    (0..item.len()).find(|&i| item.name(i) == name).map(|i| item.val(i))
}

fn columns_of(item: &Item) -> impl Iterator<Item = Derived> {
    (0..item.len()).map(|i| Derived { name: item.name(i).to_string(), val: item.val(i) })
}

impl Analyzer<'_> {
    /// The columns of another table are this one's as well.
    fn inherit(&mut self, range: &RangeVar, columns: &mut Vec<Derived>) -> Result<()> {
        let item = self.range_var(range, true)?;
        columns.extend(columns_of(&item));
        Ok(())
    }

    /// The table that a statement changes. Where the statement holds no value, its pinned columns may be missing: migrations
    /// that make a table anew come to them one by one. `lengths`: types whose lengths are no values.
    fn changed(&mut self, range: &RangeVar, lengths: &[&TypeName]) -> Result<Item> {
        let lengths = lengths.iter().flat_map(|name| &name.typmods).filter_map(|length| match tree::kind(length) {
            Some(NodeEnum::AConst(length)) => self.token(length.location).ok(),
            _ => None,
        });
        let lengths: Vec<u32> = lengths.map(|token| token as u32).collect();
        let found = lookup(self.catalog, self.session, &range.schemaname, &range.relname);
        match found.filter(|r| r.alarm.is_some() && self.literals.iter().all(|l| lengths.contains(l))).cloned() {
            None => self.range_var(range, true),
            Some(relation) => {
                self.touched |= relation.touching;
                Ok(Item::new(self.item_id(), &range.relname, Columns::Relation(relation, Vec::new())))
            }
        }
    }

    fn new_column(&mut self, column: &ColumnDef) -> Result<Derived> {
        let val = match &column.type_name {
            Some(name) => self.column_type(name, &column.colname)?,
            None => ColVal::Plain,
        };
        Ok(Derived { name: column.colname.clone(), val })
    }

    /// What a column of this declared type holds.
    fn column_type(&mut self, name: &TypeName, column: &str) -> Result<ColVal> {
        let at = self.here(name.location);
        match types::named(name, self.catalog, self.session) {
            Named::Builtin { .. } | Named::Other => Ok(ColVal::Plain),
            Named::Enc(ty) => {
                self.usable(&ty)?;
                Ok(ColVal::Enc(ty, Rc::from(column)))
            }
            Named::EncArray(ty) => {
                self.usable(&ty)?;
                Ok(ColVal::Enc(ty.array(), Rc::from(column)))
            }
            Named::Touching => Err(refuse::unsupported(format!(
                "the type of column {column} contains an encrypted type, or is none of the search_path"
            ))
            .hint("Write the encrypted type with its schema, as in seal.text_eq.")
            .at(at)),
        }
    }

    fn column_constraints(&mut self, column: &ColumnDef, table: &mut Table) -> Result<()> {
        for node in &column.constraints {
            if let Some(NodeEnum::Constraint(constraint)) = tree::kind(node) {
                self.constraint(constraint, Some(&column.colname), table)?;
            }
        }
        if column.raw_default.is_some() {
            self.default_value(&column.raw_default, &column.colname, &table.scope)?;
        }
        Ok(())
    }

    /// A constraint of a column or of the table.
    fn constraint(&mut self, constraint: &Constraint, column: Option<&str>, table: &mut Table) -> Result<()> {
        let kind = constraint.contype();
        if matches!(kind, ConstrType::ConstrPrimary | ConstrType::ConstrUnique) {
            return self.unique(constraint, column, table);
        }
        let scope = &table.scope;
        let construct = match kind {
            ConstrType::ConstrDefault => {
                return self.default_value(&constraint.raw_expr, column.unwrap_or_default(), scope);
            }
            ConstrType::ConstrCheck => "CHECK",
            ConstrType::ConstrGenerated => "GENERATED",
            ConstrType::ConstrIdentity => "GENERATED AS IDENTITY",
            ConstrType::ConstrExclusion => "EXCLUDE",
            ConstrType::ConstrForeign => "REFERENCES",
            _ => return Ok(()),
        };
        let own = matches!(kind, ConstrType::ConstrForeign | ConstrType::ConstrGenerated | ConstrType::ConstrIdentity);
        for name in tree::strings(&constraint.fk_attrs).into_iter().chain(column.filter(|_| own)) {
            self.plain_key_column(name, scope, construct).map_err(|r| r.at(self.here(constraint.location)))?;
        }
        if kind == ConstrType::ConstrForeign
            && let Some(range) = &constraint.pktable
        {
            self.referenced(range, &constraint.pk_attrs)?;
        }
        for exclusion in &constraint.exclusions {
            let Some(NodeEnum::List(pair)) = tree::kind(exclusion) else { continue };
            if let Some(NodeEnum::IndexElem(elem)) = pair.items.first().and_then(tree::kind) {
                self.plain_key_column(&elem.name, scope, construct)?;
                self.plain_some(&elem.expr, scope, construct)?;
            }
        }
        self.plain_some(&constraint.raw_expr, scope, construct)?;
        self.plain_some(&constraint.where_clause, scope, construct)
    }

    /// Columns that a foreign key names in another table.
    fn referenced(&mut self, range: &RangeVar, names: &[Node]) -> Result<()> {
        let Ok(item) = self.range_var(range, true) else { return Ok(()) };
        let scope = Scope::new(vec![item], None);
        names.iter().filter_map(tree::string).try_for_each(|name| self.plain_key_column(name, &scope, "REFERENCES"))
    }

    fn plain_key_column(&mut self, name: &str, scope: &Scope<'_>, construct: &str) -> Result<()> {
        match column(scope, name) {
            Some(ColVal::Enc(_, column) | ColVal::Tainted(column)) => {
                Err(refuse::on_column(construct, &column).hint(instead_of(construct)))
            }
            _ => Ok(()),
        }
    }

    /// DEFAULT of a column: NULL alone for an encrypted one.
    fn default_value(&mut self, value: &Option<Box<Node>>, column: &str, scope: &Scope<'_>) -> Result<()> {
        let Some(node) = tree::child(value) else { return Ok(()) };
        match self::column(scope, column) {
            Some(ColVal::Enc(_, name) | ColVal::Tainted(name)) if !is_null(node) => {
                Err(refuse::on_column("DEFAULT", &name).hint(STORED).at(self.here(tree::location(node))))
            }
            _ => self.plain(node, scope, "DEFAULT"),
        }
    }
}

/// What works where a key of this kind does not.
fn instead_of(construct: &str) -> &'static str {
    match construct {
        "REFERENCES" => {
            "Let the foreign key name a plain column; UNIQUE works on the encrypted ones, and queries can join those of one type."
        }
        _ => "For uniqueness and look-ups use CREATE [UNIQUE] INDEX ON table (column), with a type that has term eq.",
    }
}

fn is_null(node: &Node) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::AConst(constant)) => constant.isnull,
        Some(NodeEnum::TypeCast(cast)) => tree::child(&cast.arg).is_some_and(is_null),
        _ => false,
    }
}

fn range_var(node: &Node) -> Option<&RangeVar> {
    match tree::kind(node)? {
        NodeEnum::RangeVar(range) => Some(range),
        _ => None,
    }
}
