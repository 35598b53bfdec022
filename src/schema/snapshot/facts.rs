//! What a snapshot keeps beside the catalog: the edges along which touching spreads.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::words::{is_plain, words};
use crate::schema::catalog::Oid;
use crate::schema::routine::Routine;

/// Functions that run SQL text given to them, or read whole relations by name: those of `pg_catalog`, and those
/// of extensions that are written in C. A statement that calls one is never untouched.
pub const SQL_RUNNING_FUNCTIONS: &[&str] = &[
    "query_to_xml",
    "query_to_xmlschema",
    "query_to_xml_and_xmlschema",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "table_to_xml",
    "table_to_xmlschema",
    "table_to_xml_and_xmlschema",
    "schema_to_xml",
    "schema_to_xmlschema",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xmlschema",
    "database_to_xml_and_xmlschema",
    "ts_stat",
    "ts_rewrite",
    "dblink",
    "dblink_exec",
    "dblink_open",
    "dblink_fetch",
    "dblink_close",
    "dblink_send_query",
    "dblink_get_result",
    "dblink_build_sql_insert",
    "dblink_build_sql_update",
    "dblink_build_sql_delete",
    "dblink_connect",
    "dblink_connect_u",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "crosstabn",
    "connectby",
    "xpath_table",
    "pg_background_launch",
    "pg_background_result",
    "plpgsql_check_function",
    "plpgsql_check_function_tb",
    "check_primary_key",
    "check_foreign_key",
];

/// Words in a function's source that may change search_path, the role it depends on, the catalog, or the
/// temporary schema.
const UNSETTLING: &[&str] = &[
    "search_path",
    "set_config",
    "schema",
    "reset",
    "discard",
    "role",
    "authorization",
    "create",
    "alter",
    "drop",
    "temp",
    "temporary",
    "pg_temp",
    "execute",
];

/// What the snapshot keeps so that the closure can be computed again once pins are checked.
#[derive(Debug, Default)]
pub struct Facts {
    /// Functions that `initdb` and the `seal` schema did not make.
    pub(in crate::schema) functions: Vec<Function>,
    /// Relation (view, or table with a rule) and a relation that its rules read.
    pub(in crate::schema) reads: Vec<(Oid, Oid)>,
    /// Relation and a function that its rules call.
    pub(in crate::schema) rule_functions: Vec<(Oid, Oid)>,
    /// Child and parent.
    pub(in crate::schema) family: Vec<(Oid, Oid)>,
    /// Relation and the function of a trigger on it.
    pub(in crate::schema) triggers: Vec<(Oid, Oid)>,
    /// Row type of each relation, by relation: name of the type and of its array.
    pub(in crate::schema) row_types: HashMap<Oid, Vec<String>>,
    /// The relation of each row type and of its array.
    pub(in crate::schema) row_relations: HashMap<Oid, Oid>,
    /// Types that are or contain an encrypted type.
    pub(in crate::schema) containing: HashSet<Oid>,
    /// Names of those types.
    pub(in crate::schema) type_names: Vec<String>,
    /// Those of the names that `pg_catalog` does not have, which tell even when unqualified.
    pub(in crate::schema) telling_names: Vec<String>,
    /// `schema.name` or `name` of functions that the configuration trusts.
    pub(in crate::schema) trusted: Vec<String>,
    /// The `seal` schema is there.
    pub(in crate::schema) installed: bool,
}

/// What the snapshot says of a function that is not the system's.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// How calls of it are judged.
    pub routine: &'a Arc<Routine>,
    /// It runs SQL that its source does not show, or is in a language that is not read.
    pub dynamic: bool,
}

impl Facts {
    /// All functions that `initdb` and the `seal` schema did not make, but for those that the configuration trusts.
    pub fn functions(&self) -> impl Iterator<Item = Judged<'_>> {
        let known = self.functions.iter().filter(|f| !f.trusted(&self.trusted));
        known.map(|f| Judged { oid: f.oid, routine: &f.routine, dynamic: f.dynamic })
    }

    /// The database has a function of this name, in some schema, that `initdb` did not make.
    pub fn has_function(&self, name: &str) -> bool {
        self.functions.iter().any(|function| function.routine.name == name)
    }

    /// The relation is a partition, or inherits.
    pub fn is_child(&self, relation: Oid) -> bool {
        self.family.iter().any(|(child, _)| *child == relation)
    }
}

/// A function, as far as touching goes.
#[derive(Debug)]
pub(in crate::schema) struct Function {
    pub(in crate::schema) oid: Oid,
    pub(in crate::schema) schema: String,
    pub(in crate::schema) name: String,
    /// How calls of it are judged.
    pub(in crate::schema) routine: Arc<Routine>,
    /// Words of its source; empty for C.
    pub(in crate::schema) words: HashSet<Box<str>>,
    /// Lower-case source, for names that are no words.
    pub(in crate::schema) source: String,
    /// Types of its arguments and result.
    pub(in crate::schema) types: Vec<Oid>,
    /// Runs SQL that its source does not show: dynamic SQL, or a language that we do not read.
    pub(in crate::schema) dynamic: bool,
    /// May change search_path, the role, the catalog or the temporary schema.
    pub(in crate::schema) unsettling: bool,
}

impl Function {
    pub(super) fn new(oid: Oid, language: &str, source: &str, types: Vec<Oid>, routine: Routine) -> Function {
        let (schema, name) = (routine.schema.as_str(), routine.name.as_str());
        let runs = |word: &str| SQL_RUNNING_FUNCTIONS.contains(&word.to_lowercase().as_str());
        let (words, source, dynamic) = match language {
            "c" => (HashSet::new(), String::new(), runs(name) || schema == "cron"),
            "internal" => {
                let words = words(source);
                let dynamic = words.iter().any(|w| runs(w));
                (words, String::new(), dynamic)
            }
            "sql" | "plpgsql" => {
                let words = words(source);
                let dynamic = words.contains("execute")
                    || source.to_lowercase().contains("u&\"")
                    || words.iter().any(|w| runs(w));
                (words, source.to_lowercase(), dynamic)
            }
            _ => (HashSet::new(), String::new(), true),
        };
        let unsettling = dynamic || UNSETTLING.iter().any(|w| words.contains(*w));
        let (schema, name) = (schema.to_owned(), name.to_owned());
        Function { oid, schema, name, routine: Arc::new(routine), words, source, types, dynamic, unsettling }
    }

    /// Its source may name one of these objects.
    pub(in crate::schema) fn names(&self, names: &Names) -> bool {
        self.words.iter().any(|word| names.words.contains(&**word))
            || names.odd.iter().any(|name| self.source.contains(name.as_str()))
    }

    /// The configuration trusts it.
    pub(in crate::schema) fn trusted(&self, trusted: &[String]) -> bool {
        trusted
            .iter()
            .any(|t| *t == self.name || t.split_once('.').is_some_and(|(s, n)| s == self.schema && n == self.name))
    }
}

/// Names of objects, to be looked for in functions' sources whatever their case.
#[derive(Default)]
pub(in crate::schema) struct Names {
    words: HashSet<String>,
    /// Those that are no words, in each way a source may write them.
    odd: Vec<String>,
}

impl Names {
    pub(in crate::schema) fn insert(&mut self, name: &str) {
        let lower = name.to_lowercase();
        if is_plain(&lower) {
            self.words.insert(lower);
        } else {
            self.odd.extend([lower.replace('"', "\"\""), lower.replace('\'', "''"), lower]);
        }
    }
}

impl<'a> FromIterator<&'a str> for Names {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Names {
        let mut all = Names::default();
        names.into_iter().for_each(|name| all.insert(name));
        all
    }
}
