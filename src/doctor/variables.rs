//! Names in the bodies of functions: arguments, variables, records and the rows of triggers, put as queries that the analysis
//! of statements can read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::judge::{Verdict, judge};
use super::plpgsql::Declared;
use super::routines::Function;
use crate::schema::catalog::{Catalog, Column, Oid, Relation, RelationKind};
use crate::schema::name::{always_quoted, qualified};
use crate::sql::lex::{Kind, Lexed, Token};

/// A schema that no database has, for relations that stand for variables.
const SCHEMA: &str = "columnseal_doctor";
/// The one that stands for scalar ones.
const SCALARS: &str = "variables";

/// Variables that PL/pgSQL has of itself.
const SPECIAL: &[&str] = &[
    "found",
    "tg_op",
    "tg_name",
    "tg_when",
    "tg_level",
    "tg_table_name",
    "tg_table_schema",
    "tg_relname",
    "tg_relid",
    "tg_nargs",
    "tg_argv",
    "sqlstate",
    "sqlerrm",
];

/// What names mean in one body.
pub(super) struct Names<'a> {
    function: &'a Function,
    /// The table of the trigger.
    table: Option<&'a Arc<Relation>>,
    path: Vec<String>,
    catalog: Catalog,
    scalars: HashMap<String, Column>,
    /// Records, and their fields where they are known.
    records: HashMap<String, Option<Vec<Column>>>,
}

impl<'a> Names<'a> {
    /// `catalog`: as bodies see it.
    pub(super) fn new(
        function: &'a Function,
        table: Option<&'a Arc<Relation>>,
        catalog: &Catalog,
        path: &[String],
    ) -> Self {
        let path = function.path.clone().unwrap_or_else(|| path.to_vec());
        let mut names =
            Names { function, table, path, catalog: catalog.clone(), scalars: HashMap::new(), records: HashMap::new() };
        names.scalars.extend(SPECIAL.iter().map(|name| ((*name).to_owned(), plain(name))));
        for (i, (name, oid)) in function.arguments.iter().enumerate() {
            let (number, rows) = (format!("${}", i + 1), names.rows_of(*oid));
            names.scalars.insert(number.clone(), names.column(&number, *oid));
            for name in [name, &number].into_iter().filter(|name| !name.is_empty()) {
                match &rows {
                    Some(columns) => drop(names.records.insert(name.clone(), Some(columns.clone()))),
                    None => drop(names.scalars.insert(name.clone(), names.column(name, *oid))),
                }
            }
        }
        names.publish();
        names
    }

    /// Takes in what a block declares.
    pub(super) fn declare(&mut self, declared: &[Declared]) {
        for one in declared {
            let name = one.name.clone();
            match self.of_type(&one.kind) {
                Some(Meaning::Record(columns)) => drop(self.records.insert(name, columns)),
                Some(Meaning::Scalar(column)) => drop(self.scalars.insert(name.clone(), Column { name, ..column })),
                None => {}
            }
        }
        self.publish();
    }

    /// The record holds rows of this query from now on.
    pub(super) fn fill(&mut self, record: &str, query: &str) {
        if self.records.contains_key(record) {
            let columns = self.columns_in(query);
            self.records.insert(record.to_owned(), Some(columns));
            self.publish();
        }
    }

    pub(super) fn is_record(&self, name: &str) -> bool {
        self.records.contains_key(name)
    }

    /// Of a scalar variable: it is of an encrypted type.
    pub(super) fn is_encrypted(&self, name: &str) -> bool {
        self.scalars.get(name).is_some_and(|column| column.direct)
    }

    /// Operators of encrypted types are found by their names.
    pub(super) fn finds_operators(&self) -> bool {
        self.path.iter().any(|schema| schema == "seal")
    }

    pub(super) fn judge(&self, text: &str) -> Verdict {
        judge(text, &self.catalog, &self.path)
    }

    /// Relations that stand for variables, as they are now.
    fn publish(&mut self) {
        let mut scalars: Vec<Column> = self.scalars.values().cloned().collect();
        scalars.sort_by(|a, b| a.name.cmp(&b.name));
        let mut relations = vec![relation(SCALARS.to_owned(), scalars)];
        let records = self.records.iter().filter_map(|(name, columns)| Some((name, columns.clone()?)));
        relations.extend(records.map(|(name, columns)| relation(record(name), columns)));
        for relation in relations {
            self.catalog.put(relation);
        }
    }

    fn column(&self, name: &str, oid: Oid) -> Column {
        let enc = self.catalog.types.get(&oid).or_else(|| self.catalog.array_types.get(&oid)).cloned();
        Column { direct: enc.is_some(), enc, type_oid: oid, ..plain(name) }
    }

    /// Columns, where the type is that of a table's rows.
    fn rows_of(&self, oid: Oid) -> Option<Vec<Column>> {
        const RECORD: Oid = 2249;
        let relation = self.catalog.relation_of_type(oid).filter(|_| oid != RECORD)?;
        let of_type = relation.kind == RelationKind::Composite && relation.schema == "seal";
        (!of_type).then(|| relation.columns.clone())
    }

    /// A type as a declaration writes it.
    fn of_type(&self, written: &str) -> Option<Meaning> {
        let lower = written.trim().to_ascii_lowercase();
        if lower == "record" {
            return Some(Meaning::Record(None));
        }
        let (name, suffix) = match lower.split_once('%') {
            Some((name, suffix)) => (name.trim().to_owned(), suffix.trim().to_owned()),
            None => (lower.clone(), String::new()),
        };
        let (name, array) = match name.split_once('[') {
            Some((element, _)) => (element.trim().to_owned(), true),
            None => (name, false),
        };
        let parts: Vec<String> = name.split('.').map(|part| part.trim_matches('"').to_owned()).collect();
        let relation = |parts: &[String]| match parts {
            [name] => self.path.iter().find_map(|schema| self.catalog.relation(schema, name)),
            [schema, name] => self.catalog.relation(schema, name),
            _ => None,
        };
        if suffix == "type" {
            let (column, table) = parts.split_last()?;
            let found = match table {
                [] => self.scalars.get(column).cloned(),
                table => relation(table)?.columns.iter().find(|c| c.name == *column).cloned(),
            };
            return found.map(Meaning::Scalar);
        }
        let types = self.catalog.types.values();
        let sealed = match parts.as_slice() {
            [schema, name] if schema == "seal" => types.into_iter().find(|t| t.def.name == *name),
            [name]
                if self.path.first().is_some_and(|first| first == "pg_catalog")
                    && crate::wire::value::PlainType::from_name(name).is_some() =>
            {
                None
            }
            [name] if self.finds_operators() => types.into_iter().find(|t| t.def.name == *name),
            _ => None,
        };
        if let Some(enc) = sealed {
            return Some(Meaning::Scalar(self.column("", if array { enc.array_oid } else { enc.oid })));
        }
        match relation(&parts).filter(|_| !array) {
            Some(relation) => Some(Meaning::Record(Some(relation.columns.clone()))),
            None => Some(Meaning::Scalar(plain(""))),
        }
    }

    /// Columns of the relations that a text names.
    fn columns_in(&self, text: &str) -> Vec<Column> {
        let Ok(lexed) = Lexed::new(text, true) else { return Vec::new() };
        let mut out: Vec<Column> = Vec::new();
        let mut last = String::new();
        for name in lexed.tokens.iter().filter_map(|t| t.name(text)) {
            let found = self.catalog.relation(&last, &name);
            let found = found.or_else(|| self.path.iter().find_map(|schema| self.catalog.relation(schema, &name)));
            out.extend(found.iter().flat_map(|r| r.columns.iter().cloned()));
            last = name.into_owned();
        }
        out
    }

    /// A text of the body as one that stands for itself. `None`: it names what is not known.
    pub(super) fn bind(&self, text: &str, statement: bool) -> Option<String> {
        let lexed = Lexed::new(text, true).ok()?;
        let clash: HashSet<String> = match statement {
            true => self.columns_in(text).into_iter().map(|c| c.name).collect(),
            false => HashSet::new(),
        };
        let binder = Binder { names: self, text, tokens: &lexed.tokens, clash };
        let (mut out, mut at, mut i) = (String::with_capacity(text.len() * 2), 0usize, 0usize);
        while i < lexed.tokens.len() {
            let token = &lexed.tokens[i];
            out += &text[at..token.start as usize];
            let (by, length) = match binder.bound(i)? {
                Some((by, length)) => (by, length),
                None => (token.text(text).to_owned(), 1),
            };
            out += &by;
            i += length;
            at = lexed.tokens[i - 1].end as usize;
        }
        out += &text[at..];
        Some(out)
    }

    /// What takes the place of a target that is assigned to: a statement that stores into it. `None`: that is not known.
    pub(super) fn assign(&self, target: &str, value: &str) -> Option<String> {
        let lexed = Lexed::new(target, true).ok()?;
        let names: Vec<String> = lexed.tokens.iter().filter_map(|t| Some(t.name(target)?.into_owned())).collect();
        let (relation, column) = match (names.as_slice(), lexed.tokens.len()) {
            ([row, column], 3) if row == "new" || row == "old" => (full(self.table?), column),
            ([name], 1) if self.scalars.contains_key(name) => (stands_for(SCALARS), name),
            ([name, column], 3) if self.records.get(name).is_some_and(Option::is_some) => {
                (stands_for(&record(name)), column)
            }
            _ => return None,
        };
        Some(format!("UPDATE {relation} SET {} = ({value})", always_quoted(column)))
    }
}

/// What a name is declared as.
enum Meaning {
    Scalar(Column),
    Record(Option<Vec<Column>>),
}

/// The tokens of a text, and what they mean.
struct Binder<'a> {
    names: &'a Names<'a>,
    text: &'a str,
    tokens: &'a [Token],
    /// Columns of what the statement names: they go before variables.
    clash: HashSet<String>,
}

impl Binder<'_> {
    fn is(&self, i: usize, mark: &str) -> bool {
        self.tokens.get(i).is_some_and(|t| t.text(self.text) == mark)
    }

    fn word(&self, i: usize, word: &str) -> bool {
        self.tokens.get(i).is_some_and(|t| t.is_word(self.text, word))
    }

    /// What stands for the token, and how many it stands for. The outer `None`: it is not known.
    fn bound(&self, i: usize) -> Option<Option<(String, usize)>> {
        let token = &self.tokens[i];
        let field = self.tokens.get(i + 2).filter(|_| self.is(i + 1, ".")).and_then(|t| t.name(self.text));
        if token.kind == Kind::Param {
            let number = token.text(self.text);
            return Some(Some(match field.filter(|_| self.names.is_record(number)) {
                Some(field) => (of_record(number, &field), 3),
                None => (scalar(number), 1),
            }));
        }
        let Some(name) = token.name(self.text).filter(|_| i == 0 || !self.is(i - 1, ".")) else { return Some(None) };
        if let Some(table) = self.names.table.filter(|_| *name == *"new" || *name == *"old") {
            return Some(Some(self.row(i, &name, field.as_deref(), table)));
        }
        if let Some(columns) = self.names.records.get(&*name) {
            return match (columns, &field) {
                (Some(_), Some(field)) => Some(Some((of_record(&name, field), 3))),
                _ if self.clash.contains(&*name) || self.is(i + 1, ".") && field.is_none() => Some(None),
                _ => None,
            };
        }
        match field {
            Some(field) if *name == *self.names.function.name && self.names.scalars.contains_key(&*field) => {
                Some(Some((scalar(&field), 3)))
            }
            Some(_) => Some(None),
            None => Some(self.variable(i, &name)),
        }
    }

    fn variable(&self, i: usize, name: &str) -> Option<(String, usize)> {
        let written = self.is(i + 1, "(") || self.word(i.wrapping_sub(1), "as") || self.clash.contains(name);
        (self.names.scalars.contains_key(name) && !written).then(|| (scalar(name), 1))
    }

    /// `NEW.email`, `NEW.*`, `NEW`.
    fn row(&self, i: usize, name: &str, field: Option<&str>, table: &Relation) -> (String, usize) {
        let from = full(table);
        if let Some(field) = field {
            return (format!("(SELECT {name}.{} FROM {from} AS {name})", always_quoted(field)), 3);
        }
        let star = self.is(i + 1, ".") && self.is(i + 2, "*");
        let length = if star { 3 } else { 1 };
        let image = ["*<>", "*="].into_iter().any(|op| self.is(i + length, op) || (i > 0 && self.is(i - 1, op)));
        if image {
            // Rows compared by their bytes: any type can be.
            return ("ROW(1)".to_owned(), length);
        }
        let before = i == 0 || self.is(i - 1, ",") || self.word(i - 1, "select") || self.word(i - 1, "all");
        let in_values = i > 1 && self.is(i - 1, "(") && self.word(i - 2, "values");
        let after = self.is(i + length, ",")
            || self.is(i + length, ")")
            || self.word(i + length, "from")
            || i + length == self.tokens.len();
        if star && (before || in_values) && after {
            let one = |c: &Column| format!("(SELECT {name}.{} FROM {from} AS {name})", always_quoted(&c.name));
            return (table.columns.iter().map(one).collect::<Vec<_>>().join(", "), length);
        }
        (format!("(SELECT {name} FROM {from} AS {name})"), length)
    }
}

fn plain(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        attnum: 0,
        type_oid: 25,
        enc: None,
        direct: false,
        tainted: false,
        generated: false,
    }
}

fn relation(name: String, columns: Vec<Column>) -> Relation {
    let touching = columns.iter().any(|c| c.enc.is_some() || c.tainted);
    let kind = RelationKind::Table;
    Relation { oid: 0, schema: SCHEMA.to_owned(), name, kind, columns, indexes: Vec::new(), touching, alarm: None }
}

fn record(name: &str) -> String {
    format!("record {name}")
}

fn stands_for(name: &str) -> String {
    qualified(SCHEMA, name)
}

fn of_record(name: &str, field: &str) -> String {
    format!("(SELECT r.{} FROM {} AS r)", always_quoted(field), stands_for(&record(name)))
}

fn scalar(name: &str) -> String {
    format!("(SELECT v.{} FROM {} AS v)", always_quoted(name), stands_for(SCALARS))
}

fn full(relation: &Relation) -> String {
    qualified(&relation.schema, &relation.name)
}
