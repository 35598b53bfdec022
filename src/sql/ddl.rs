//! CREATE TABLE, ALTER TABLE and CREATE INDEX where encrypted types or columns take part.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, ConstrType, Constraint, CreateStmt, IndexElem, IndexStmt,
    Node, RangeVar, TypeName,
};

use super::analyzer::Analyzer;
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Columns, Derived, Item, Scope};
use super::statement::Outcome;
use super::tree;
use super::types::{self, Named};
use crate::schema::catalog::EncType;

const STORED: &str = "The server would keep and print the value in plain.";

impl Analyzer<'_> {
    /// CREATE TABLE: encrypted types are fine; what would need a value, an order or an equality of theirs is not.
    pub(super) fn create_table(&mut self, create: &CreateStmt) -> Result<Outcome> {
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
        let scope = self.table_scope(name, columns);
        for element in create.table_elts.iter().chain(&create.constraints) {
            match tree::kind(element) {
                Some(NodeEnum::ColumnDef(column)) => self.column_constraints(column, &scope)?,
                Some(NodeEnum::Constraint(constraint)) => self.constraint(constraint, None, &scope)?,
                _ => {}
            }
        }
        if let Some(spec) = &create.partspec {
            for param in &spec.part_params {
                let Some(NodeEnum::PartitionElem(elem)) = tree::kind(param) else { continue };
                self.plain_key_column(&elem.name, &scope, "PARTITION BY")?;
                self.plain_some(&elem.expr, &scope, "PARTITION BY")?;
            }
        }
        self.unedited("CREATE TABLE")
    }

    fn table_scope(&mut self, name: &str, columns: Vec<Derived>) -> Scope<'static> {
        let item = Item {
            id: self.item_id(),
            alias: name.to_string(),
            columns: Columns::Derived(columns.into()),
            opaque: false,
            nullable: false,
            merged: Vec::new(),
            qualified_only: false,
            spelled: None,
        };
        Scope::new(vec![item], None)
    }

    fn inherit(&mut self, range: &RangeVar, columns: &mut Vec<Derived>) -> Result<()> {
        let item = self.range_var(range, true)?;
        columns.extend((0..item.len()).map(|i| Derived { name: item.name(i).to_string(), val: item.val(i) }));
        Ok(())
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
            Named::EncArray(_) => {
                Err(refuse::unsupported(format!("column {column} of an array of an encrypted type is not supported"))
                    .at(at))
            }
            Named::Touching => Err(refuse::unsupported(format!(
                "the type of column {column} contains an encrypted type, or is none of the search_path"
            ))
            .hint("Write the encrypted type with its schema, as in seal.text_eq.")
            .at(at)),
        }
    }

    fn column_constraints(&mut self, column: &ColumnDef, scope: &Scope<'_>) -> Result<()> {
        for node in &column.constraints {
            if let Some(NodeEnum::Constraint(constraint)) = tree::kind(node) {
                self.constraint(constraint, Some(&column.colname), scope)?;
            }
        }
        if column.raw_default.is_some() {
            self.default_value(&column.raw_default, &column.colname, scope)?;
        }
        Ok(())
    }

    /// A constraint of a column or of the table.
    fn constraint(&mut self, constraint: &Constraint, column: Option<&str>, scope: &Scope<'_>) -> Result<()> {
        let construct = match constraint.contype() {
            ConstrType::ConstrDefault => {
                return self.default_value(&constraint.raw_expr, column.unwrap_or_default(), scope);
            }
            ConstrType::ConstrCheck => "CHECK",
            ConstrType::ConstrGenerated => "GENERATED",
            ConstrType::ConstrIdentity => "GENERATED AS IDENTITY",
            ConstrType::ConstrPrimary => "PRIMARY KEY",
            ConstrType::ConstrUnique => "UNIQUE",
            ConstrType::ConstrExclusion => "EXCLUDE",
            ConstrType::ConstrForeign => "REFERENCES",
            _ => return Ok(()),
        };
        let own = matches!(
            constraint.contype(),
            ConstrType::ConstrPrimary
                | ConstrType::ConstrUnique
                | ConstrType::ConstrForeign
                | ConstrType::ConstrGenerated
                | ConstrType::ConstrIdentity
        );
        let keys = [&constraint.keys, &constraint.including, &constraint.fk_attrs];
        for name in keys.into_iter().flatten().filter_map(tree::string).chain(column.filter(|_| own)) {
            self.plain_key_column(name, scope, construct).map_err(|r| r.at(self.here(constraint.location)))?;
        }
        if constraint.contype() == ConstrType::ConstrForeign
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
        let item = &scope.items[0];
        match (0..item.len()).find(|&i| item.name(i) == name).map(|i| item.val(i)) {
            Some(ColVal::Enc(_, column) | ColVal::Tainted(column)) => {
                Err(refuse::on_column(construct, &column).hint(instead_of(construct)))
            }
            _ => Ok(()),
        }
    }

    /// DEFAULT of a column: NULL alone for an encrypted one.
    fn default_value(&mut self, value: &Option<Box<Node>>, column: &str, scope: &Scope<'_>) -> Result<()> {
        let Some(node) = tree::child(value) else { return Ok(()) };
        let item = &scope.items[0];
        let val = (0..item.len()).find(|&i| item.name(i) == column).map(|i| item.val(i));
        match val {
            Some(ColVal::Enc(_, name) | ColVal::Tainted(name)) if !is_null(node) => {
                Err(refuse::on_column("DEFAULT", &name).hint(STORED).at(self.here(tree::location(node))))
            }
            _ => self.plain(node, scope, "DEFAULT"),
        }
    }

    /// ALTER TABLE, command by command.
    pub(super) fn alter_table(&mut self, alter: &AlterTableStmt) -> Result<Outcome> {
        let columns = match &alter.relation {
            Some(range) if alter.objtype() != pg_query::protobuf::ObjectType::ObjectIndex => {
                let mut columns = Vec::new();
                self.inherit(range, &mut columns)?;
                columns
            }
            _ => Vec::new(),
        };
        let name = alter.relation.as_ref().map_or("", |r| r.relname.as_str());
        let mut scope = self.table_scope(name, columns);
        for node in &alter.cmds {
            if let Some(NodeEnum::AlterTableCmd(command)) = tree::kind(node) {
                self.alter_command(command, &mut scope)?;
            }
        }
        self.unedited("ALTER TABLE")
    }

    fn alter_command(&mut self, command: &AlterTableCmd, scope: &mut Scope<'static>) -> Result<()> {
        let def = command.def.as_deref().and_then(tree::kind);
        match (command.subtype(), def) {
            (AlterTableType::AtAddColumn, Some(NodeEnum::ColumnDef(column))) => {
                let new = self.new_column(column)?;
                if let Columns::Derived(known) = &scope.items[0].columns {
                    scope.items[0].columns = Columns::Derived(known.iter().cloned().chain([new]).collect());
                }
                self.column_constraints(column, scope)
            }
            (AlterTableType::AtColumnDefault, _) => self.default_value(&command.def, &command.name, scope),
            (AlterTableType::AtSetExpression, _) => {
                self.plain_key_column(&command.name, scope, "SET EXPRESSION")?;
                self.plain_some(&command.def, scope, "SET EXPRESSION")
            }
            (AlterTableType::AtAddConstraint, Some(NodeEnum::Constraint(constraint))) => {
                self.constraint(constraint, None, scope)
            }
            (AlterTableType::AtAlterColumnType, Some(NodeEnum::ColumnDef(column))) => {
                const TYPE: &str = "ALTER COLUMN ... TYPE";
                self.plain_key_column(&command.name, scope, TYPE).map_err(|mut r| {
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
                self.plain_some(&column.raw_default, scope, TYPE)
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

    /// CREATE INDEX: an encrypted column is indexed by the term that its comparisons use.
    pub(super) fn create_index(&mut self, index: &IndexStmt) -> Result<Outcome> {
        let Some(range) = &index.relation else { return Ok(Outcome::Forward) };
        let item = self.range_var(range, true)?;
        let scope = Scope::new(vec![item], None);
        let elements = self.index_elements()?;
        for (node, token) in index.index_params.iter().zip(elements) {
            if let Some(NodeEnum::IndexElem(elem)) = tree::kind(node) {
                self.index_element(elem, token, &index.access_method, &scope)?;
            }
        }
        for node in &index.index_including_params {
            if let Some(NodeEnum::IndexElem(elem)) = tree::kind(node) {
                self.plain_key_column(&elem.name, &scope, "INCLUDE")?;
            }
        }
        let edited = !self.edits.is_empty();
        self.plain_some(&index.where_clause, &scope, "an index condition")?;
        if self.sites.iter().any(|s| !matches!(s.decision, None | Some(super::site::Decision::Plain))) {
            return Err(refuse::unsupported(
                "an index condition that holds a value of an encrypted column is not supported",
            )
            .hint(STORED));
        }
        Ok(if edited { Outcome::Utility } else { Outcome::Forward })
    }

    /// First tokens of the index's elements.
    fn index_elements(&self) -> Result<Vec<usize>> {
        let on = (0..self.lexed.tokens.len()).find(|&i| self.is_word(i, "on")).unwrap_or_default();
        let open = (on..self.lexed.tokens.len()).find(|&i| self.is(i, "(")).unwrap_or_default();
        self.list_starts(open)
    }

    /// An index over the match term. The operator class that a plain text would need is left away.
    fn match_index(&mut self, elem: &IndexElem, token: usize, column: &str) -> Result<()> {
        let class = tree::strings(&elem.opclass);
        if !class.is_empty() {
            if class.last() != Some(&"gin_trgm_ops") || !elem.opclassopts.is_empty() {
                return Err(refuse::on_column("an operator class of an index", column)
                    .at(self.lexed.tokens[token].start as i32));
            }
            self.edits.both(self.span(token + 1, self.name_end(token + 1)), "");
        }
        self.edits.wrap(self.span(token, token), "((", ").m)");
        Ok(())
    }

    fn index_element(&mut self, elem: &IndexElem, token: usize, method: &str, scope: &Scope<'_>) -> Result<()> {
        if tree::child(&elem.expr).is_some_and(|expr| is_term(expr, scope)) {
            return Ok(());
        }
        let sites = self.sites.len();
        self.plain_some(&elem.expr, scope, "an index expression")?;
        if self.sites[sites..].iter().any(|s| !matches!(s.decision, None | Some(super::site::Decision::Plain)))
            || elem.name.is_empty()
        {
            return match self.edits.is_empty() || elem.name.is_empty() && self.sites.len() == sites {
                true => Ok(()),
                false => Err(refuse::unsupported("an index expression over encrypted columns is not supported")),
            };
        }
        let item = &scope.items[0];
        let found = (0..item.len()).find(|&i| item.name(i) == elem.name).map(|i| item.val(i));
        let at = self.lexed.tokens[token].start as i32;
        match found {
            Some(ColVal::Enc(ty, column)) => {
                self.usable(&ty)?;
                if method == "gin" && ty.def.terms.matching {
                    return self.match_index(elem, token, &column);
                }
                if method == "gin" || !ty.def.terms.equal() {
                    return Err(no_index(&ty, &column, method).at(at));
                }
                if !elem.opclass.is_empty() || !elem.collation.is_empty() {
                    return Err(refuse::on_column("an operator class or collation of an index", &column).at(at));
                }
                self.edits.wrap(self.span(token, token), "((", if ty.def.terms.ord { ").ord)" } else { ").eq)" });
                Ok(())
            }
            Some(ColVal::Tainted(column)) => Err(refuse::on_column("an index", &column).at(at)),
            _ => Ok(()),
        }
    }
}

/// An index by a term that the type does not have.
fn no_index(ty: &EncType, column: &str, method: &str) -> Box<super::plan::Refusal> {
    let term = if method == "gin" { "match" } else { "eq or ord" };
    let refusal = refuse::unsupported(format!(
        "an index USING {method} on encrypted column {column} needs term {term}, which is missing (type {})",
        types::sql_name(ty)
    ));
    if ty.def.terms.matching { refusal.hint("LIKE is served by an index USING gin (column).") } else { refusal }
}

/// `(e).eq` of an encrypted column: what such an index is, as the server prints it and a dump holds it.
fn is_term(expr: &Node, scope: &Scope<'_>) -> bool {
    const TERMS: [&str; 4] = ["eq", "ord", "m", "j"];
    let Some(NodeEnum::AIndirection(taken)) = tree::kind(expr) else { return false };
    let Some(NodeEnum::ColumnRef(column)) = taken.arg.as_deref().and_then(tree::kind) else { return false };
    let (names, attributes) = (tree::strings(&column.fields), tree::strings(&taken.indirection));
    match (&names[..], &attributes[..]) {
        ([name], [term]) if TERMS.contains(term) => {
            scope.bare(name).is_ok_and(|found| matches!(found.val, ColVal::Enc(..)))
        }
        _ => false,
    }
}

fn unknown() -> Box<super::plan::Refusal> {
    refuse::unsupported("this form of ALTER TABLE is not supported on a relation with encrypted columns")
}

/// What works where a key of this kind does not.
fn instead_of(construct: &str) -> &'static str {
    match construct {
        "UNIQUE" => {
            "CREATE UNIQUE INDEX name ON table (column) keeps values unique, with a type that has term eq; ON CONFLICT (column) finds it."
        }
        "PRIMARY KEY" => {
            "Take a plain column as PRIMARY KEY; CREATE UNIQUE INDEX ON table (column) keeps the encrypted values unique, with a type that has term eq."
        }
        "REFERENCES" => {
            "Let the foreign key name a plain key of the other table; queries can join encrypted columns of one type."
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
