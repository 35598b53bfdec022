//! Functions and procedures: whether statements may call them, and whether their bodies run over encrypted columns.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio_postgres::Client;

use super::{Finding, Kind, Level, bodies};
use crate::schema::SchemaError;
use crate::schema::catalog::{Catalog, Oid};
use crate::schema::routine::{Language, Routine, is_polymorphic, obstacle, schemas_of};
use crate::schema::rows::{Row, query};
use crate::sql::judge_routine;
use crate::sql::plan::SessionState;

/// `trigger` and `event_trigger`.
const TRIGGER: Oid = 2279;
const EVENT_TRIGGER: Oid = 3838;

/// A function as `pg_proc` has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Function {
    pub(super) oid: Oid,
    /// Schema, name and types of arguments.
    pub(super) shown: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) language: String,
    /// As written, or as printed where it is no string.
    pub(super) source: String,
    /// Names and types of all arguments, OUT and TABLE ones too.
    pub(super) arguments: Vec<(String, Oid)>,
    pub(super) result: Oid,
    pub(super) set: bool,
    /// The schemas that it is run with, where it says so.
    pub(super) path: Option<Vec<String>>,
    /// Those depend on who asks.
    pub(super) floats: bool,
    /// Relations that it is a trigger of.
    pub(super) serves: Vec<Oid>,
}

impl Function {
    pub(super) fn word(&self) -> Kind {
        match &*self.kind {
            "p" => Kind::Procedure,
            "a" => Kind::Aggregate,
            _ => Kind::Function,
        }
    }
}

const FUNCTIONS: &str = "\
SELECT p.oid, pg_catalog.format('%I.%I(', n.nspname, p.proname) || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', \
  n.nspname, p.proname, p.prokind, l.lanname, coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc), \
  coalesce(pg_catalog.to_json(p.proargnames), '[]'), \
  pg_catalog.array_to_string(coalesce(p.proallargtypes, p.proargtypes::pg_catalog.oid[]), ' '), p.prorettype, p.proretset::pg_catalog.text, \
  (SELECT pg_catalog.substr(c, pg_catalog.length('search_path=') + 1) FROM pg_catalog.unnest(p.proconfig) c \
     WHERE c LIKE 'search_path=%'), \
  pg_catalog.to_json(ARRAY(SELECT DISTINCT g.tgrelid::pg_catalog.text FROM pg_catalog.pg_trigger g \
     WHERE g.tgfoid = p.oid AND g.tgparentid = 0 ORDER BY 1)) \
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
WHERE p.oid >= 16384 AND n.nspname <> 'seal' AND NOT pg_catalog.pg_is_other_temp_schema(n.oid) \
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e \
    WHERE e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.objid = p.oid AND e.deptype = 'e') ORDER BY 2";

/// All functions that no extension brought, and the schemas of the role's sessions.
pub(super) async fn read(client: &Client) -> Result<(Vec<Function>, Vec<String>), SchemaError> {
    const PATH: &str = "SET LOCAL search_path = pg_catalog; \
        SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'";
    let answer = query(client, PATH).await?;
    let setting = answer.first().map(|row| Row(row).optional(0)).transpose()?.flatten().unwrap_or_default();
    let path = searched(schemas_of(setting).unwrap_or_default());
    let rows = query(client, FUNCTIONS).await?;
    client.batch_execute("SET LOCAL search_path = seal").await?;
    Ok((rows.iter().map(|row| function(Row(row))).collect::<Result<_, _>>()?, path))
}

/// The schemas that are searched, implicit ones included, and the one that new relations come to be in.
fn searched(written: Vec<String>) -> Vec<String> {
    let mut path: Vec<String> = written.into_iter().filter(|schema| !schema.starts_with('$')).collect();
    if !path.iter().any(|schema| schema == "pg_catalog") {
        path.insert(0, "pg_catalog".to_owned());
    }
    path.extend(path.last().cloned());
    path
}

fn function(row: Row<'_>) -> Result<Function, SchemaError> {
    let types = row.text(8)?.split(' ').filter(|t| !t.is_empty()).map(str::parse::<Oid>);
    let types: Vec<Oid> =
        types.collect::<Result<_, _>>().map_err(|_| SchemaError::Answer("a field is not a number"))?;
    let names = row.list(7)?;
    let path = row.optional(11)?.map(|setting| schemas_of(setting).unwrap_or_else(|| vec!["$".to_owned()]));
    let arguments =
        types.iter().enumerate().map(|(i, oid)| (names.get(i).cloned().unwrap_or_default(), *oid)).collect();
    Ok(Function {
        oid: row.number(0)?,
        shown: row.text(1)?.to_owned(),
        name: row.text(3)?.to_owned(),
        kind: row.text(4)?.to_owned(),
        language: row.text(5)?.to_owned(),
        source: row.text(6)?.to_owned(),
        arguments,
        result: row.number(9)?,
        set: row.boolean(10)?,
        floats: path.iter().flatten().any(|schema| schema.starts_with('$')),
        path: path.map(searched),
        serves: row.list(12)?.iter().filter_map(|oid| oid.parse().ok()).collect(),
    })
}

/// What is wrong with functions and trigger functions.
pub(super) async fn examine(client: &Client, catalog: &Catalog) -> Result<Vec<Finding>, SchemaError> {
    let (functions, path) = read(client).await?;
    let judge = Judge::new(catalog, &path);
    Ok(functions.iter().flat_map(|function| judge.look(function)).collect())
}

/// What a catalog says of functions.
pub(super) struct Judge<'a> {
    catalog: &'a Catalog,
    /// The same as bodies see it.
    within: Catalog,
    /// The schemas of the role's sessions.
    path: &'a [String],
    /// By OID: how calls are judged, and whether it runs dynamic SQL. Without those that the configuration trusts.
    known: HashMap<Oid, (&'a Arc<Routine>, bool)>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(catalog: &'a Catalog, path: &'a [String]) -> Self {
        let known = catalog.facts.functions().map(|f| (f.oid, (f.routine, f.dynamic))).collect();
        Judge { catalog, within: catalog.for_bodies(), path, known }
    }

    /// What is wrong with one.
    pub(super) fn look(&self, function: &Function) -> Vec<Finding> {
        let Some((routine, dynamic)) = self.known.get(&function.oid) else { return Vec::new() };
        let touches = self.catalog.touching_functions.contains(&function.name);
        match function.result {
            EVENT_TRIGGER => Vec::new(),
            TRIGGER => self.serving(function, touches),
            // A call is read as a cast to the rows of that relation.
            _ if !touches && self.catalog.touching_names.contains(&function.name) => {
                let why = format!(
                    "calls of it are refused: a relation with encrypted columns is called {} too",
                    function.name
                );
                vec![Finding::new(function.word(), &function.shown, Level::Fault, why, "Give it another name")]
            }
            _ if !touches => Vec::new(),
            _ => match call_trouble(function, self.of_catalog(routine), *dynamic, self) {
                Some((why, advice)) => vec![Finding::new(function.word(), &function.shown, Level::Fault, why, advice)],
                None => findings(function, bodies::troubles(function, None, &self.within, self.path)),
            },
        }
    }

    /// The same as statements see it.
    fn of_catalog<'r>(&'r self, routine: &'r Arc<Routine>) -> &'r Arc<Routine> {
        let same = |r: &&Arc<Routine>| {
            r.schema == routine.schema && r.procedure == routine.procedure && r.inputs == routine.inputs
        };
        self.catalog.routines.get(&routine.name).and_then(|all| all.iter().find(same)).unwrap_or(routine)
    }

    /// A trigger function, on each of its tables.
    fn serving(&self, function: &Function, touches: bool) -> Vec<Finding> {
        let tables = function.serves.iter().filter_map(|oid| self.catalog.by_oid(*oid));
        let tables = tables.filter(|table| touches || table.touching);
        let troubles = tables.flat_map(|table| bodies::troubles(function, Some(table), &self.within, self.path));
        findings(function, troubles.collect())
    }
}

/// One finding of each kind of trouble; every line in it once.
fn findings(function: &Function, troubles: Vec<bodies::Trouble>) -> Vec<Finding> {
    let seen: BTreeSet<bodies::Trouble> = troubles.into_iter().collect();
    let one = |t: bodies::Trouble| {
        let why = if t.line > 0 { format!("line {}: {}", t.line, t.why) } else { t.why };
        Finding::new(function.word(), &function.shown, t.level, why, t.advice)
    };
    seen.into_iter().map(one).collect()
}

/// Why the proxy refuses every call, and what to change.
fn call_trouble(
    function: &Function,
    routine: &Arc<Routine>,
    dynamic: bool,
    judge: &Judge<'_>,
) -> Option<(String, String)> {
    if routine.followed || !routine.touching {
        let session = SessionState { search_path: Some(judge.path), standard_conforming_strings: true };
        let refusal = judge_routine(routine, judge.catalog, &session)?;
        return Some((format!("calls of it are refused: {}", refusal.message), refusal.hint.unwrap_or_default()));
    }
    const MOVE: &str = "Let it only store, select and compare arguments and columns; or do the work in the application";
    const TRUSTED: &str = "If it touches no encrypted column, list it in policy.trusted_functions";
    let read = Language::of(&function.language).is_some();
    if !read && function.kind != "a" {
        let why = format!("calls of it are refused: what language {} does is not looked at", function.language);
        return Some((why, format!("{TRUSTED}. Else write it in SQL or PL/pgSQL")));
    }
    if dynamic {
        let why = "calls of it are refused: it runs dynamic SQL (EXECUTE), which may touch encrypted columns";
        return Some((why.to_owned(), TRUSTED.to_owned()));
    }
    let types = || routine.inputs.iter().chain([&routine.result]);
    let (how, advice) = match &*function.kind {
        "a" | "w" => ("it is an aggregate or window function".to_owned(), MOVE),
        _ if routine.variadic => ("it is VARIADIC".to_owned(), "Give it each argument by itself"),
        _ if types().any(|oid| is_polymorphic(*oid)) => {
            let why = "its arguments or its result are of a type that stands for others (anyelement)";
            (why.to_owned(), "Write the types themselves")
        }
        _ if function.floats => {
            let why = "its search_path depends on who calls it";
            (why.to_owned(), "ALTER FUNCTION ... SET search_path = public, seal (with the schemas it needs)")
        }
        _ => match obstacle(&function.source) {
            Some(what) => (format!("it has {what}"), MOVE),
            None => {
                let why = "its arguments or its result are of a type that takes any value (text, varchar)";
                (why.to_owned(), "Write its body as a string ($$ ... $$), which is looked into further")
            }
        },
    };
    let why =
        format!("calls of it are refused: it touches encrypted columns, and does more than move their values: {how}");
    Some((why, format!("{advice}. {TRUSTED}")))
}
