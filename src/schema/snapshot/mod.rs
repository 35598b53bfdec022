//! The catalog snapshot: the queries that read PostgreSQL's own catalogs, and what is made of their answers.
//!
//! Sync: whoever has a connection runs [`HEAD`], then what [`rest`] names, as text, and hands all answers to [`build`].

mod closure;
mod facts;
mod indexes;
mod queries;
mod taint;
mod types;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(in crate::schema) use closure::settle;
pub use facts::{Facts, Judged, SQL_RUNNING_FUNCTIONS};
pub use queries::{CHANGE_PROBE, HEAD, SNAPSHOT_QUERIES};

use self::facts::Function;
use self::types::{Attributes, PgType};
use super::SchemaError;
use super::catalog::{Catalog, Column, EncType, Oid, Relation, RelationKind};
use super::routine::{self, Body, Language, Routine};
use super::rows::{Answer, Row, pairs};
use crate::crypto::TypeId;

static VERSIONS: AtomicU64 = AtomicU64::new(0);

/// The queries to run after [`HEAD`], given its answer. None where schema `seal` is not there, unless columns are
/// `pinned` (or configured as encrypted): then the relations are wanted all the same.
pub fn rest(head: &[Vec<Option<String>>], pinned: bool) -> &'static [&'static str] {
    if head.is_empty() && !pinned { &[] } else { &SNAPSHOT_QUERIES[1..] }
}

/// Makes the catalog of the answers to [`HEAD`] and [`rest`], in order. `signed`: id and canonical definition of every
/// type the workspace knows. `trusted_functions`: `schema.name` or `name`. Pins are not looked at: see `pins::check`.
pub fn build(
    rows: &[Vec<Vec<Option<String>>>],
    signed: &[(TypeId, String)],
    trusted_functions: &[String],
) -> Result<Catalog, SchemaError> {
    let head = rows.first().ok_or(SchemaError::Answer("no answer"))?;
    let seal_version = head.first().and_then(|row| row.first()?.as_deref()?.parse().ok());
    let version = VERSIONS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut catalog = Catalog { version, seal_version, ..Catalog::default() };
    if rows.len() == 1 && head.is_empty() {
        return Ok(catalog);
    }
    if let Some(row) = head.first().map(|row| Row(row))
        && !(row.boolean(1)? && row.boolean(2)?)
    {
        return Err(SchemaError::Registry);
    }
    let [_, types, relations, attributes, family, rules, trees, functions, triggers, indexes, registry] = rows else {
        return Err(SchemaError::Answer("answers are missing"));
    };
    let types = types::read(types)?;
    let mut known = Known::read(&types, relations, attributes, registry, signed)?;
    indexes::read(indexes, &mut known.relations)?;
    catalog.types = known.encrypted.iter().map(|e| (e.oid, Arc::clone(e))).collect();
    let keys = known.encrypted.iter().flat_map(|e| &e.promoted.paths).flat_map(|path| path.keys.clone());
    catalog.promoted_keys = keys.collect();
    catalog.array_types = known.encrypted.iter().map(|e| (e.array_oid, e.array())).collect();
    catalog.type_names = types.iter().map(|t| (t.oid, (t.schema.clone(), t.name.clone()))).collect();
    let mut facts = known.facts(&types);
    facts.installed = !head.is_empty();
    facts.trusted = trusted_functions.to_vec();
    facts.family = pairs(family)?;
    facts.triggers = pairs(triggers)?;
    for row in rules.iter().map(|row| Row(row)) {
        let edge = (row.oid(0)?, row.oid(1)?);
        let list = if row.text(2)? == "r" { &mut facts.reads } else { &mut facts.rule_functions };
        list.push(edge);
    }
    facts.functions = functions.iter().map(|row| function(Row(row))).collect::<Result<_, _>>()?;
    catalog.facts = Arc::new(facts);
    for relation in known.relations {
        catalog.relations.entry(relation.schema.clone()).or_default().insert(relation.name.clone(), Arc::new(relation));
    }
    settle(&mut catalog);
    let trees: HashMap<Oid, &str> =
        trees.iter().map(|row| Ok((Row(row).oid(0)?, Row(row).text(1)?))).collect::<Result<_, SchemaError>>()?;
    taint::mark(&mut catalog, &trees);
    Ok(catalog)
}

/// Types and relations of a database.
struct Known {
    encrypted: Vec<Arc<EncType>>,
    containing: HashSet<Oid>,
    relations: Vec<Relation>,
}

impl Known {
    fn read(
        types: &[PgType],
        relations: &Answer,
        columns: &Answer,
        registry: &Answer,
        signed: &[(TypeId, String)],
    ) -> Result<Known, SchemaError> {
        let mut relations: Vec<Relation> = relations.iter().map(|row| relation(Row(row))).collect::<Result<_, _>>()?;
        let mut by_relation: HashMap<Oid, Vec<Column>> = HashMap::new();
        for row in columns.iter().map(|row| Row(row)) {
            by_relation.entry(row.oid(0)?).or_default().push(column(row)?);
        }
        by_relation.values_mut().for_each(|columns| columns.sort_by_key(|c| c.attnum));
        let attribute = |c: &Column| (c.name.clone(), c.type_oid);
        let attributes: Attributes =
            by_relation.iter().map(|(oid, c)| (*oid, c.iter().map(attribute).collect())).collect();
        let composite = |r: &&Relation| r.kind == RelationKind::Composite && r.schema == "seal";
        let composites: HashSet<Oid> = relations.iter().filter(composite).map(|r| r.oid).collect();
        let encrypted = types::encrypted(types, &composites, &attributes, registry, signed);
        let containing = types::containing(types, &encrypted, &attributes);
        let reach = Reach::new(types, &encrypted, &containing);
        for relation in &mut relations {
            relation.columns = by_relation.remove(&relation.oid).unwrap_or_default();
            // The composites of encrypted types are no places where values of such are kept.
            if !composite(&&*relation) {
                relation.columns.iter_mut().for_each(|column| reach.mark(column));
            }
        }
        Ok(Known { encrypted, containing, relations })
    }

    fn facts(&self, types: &[PgType]) -> Facts {
        let system: HashSet<&str> =
            types.iter().filter(|t| t.schema == "pg_catalog").map(|t| t.name.as_str()).collect();
        let mut facts = Facts { containing: self.containing.clone(), ..Facts::default() };
        let by_oid: HashMap<Oid, &PgType> = types.iter().map(|t| (t.oid, t)).collect();
        let names = self.containing.iter().filter_map(|oid| by_oid.get(oid)).map(|t| &t.name);
        facts.type_names = names.clone().cloned().collect();
        facts.telling_names = names.filter(|n| !system.contains(n.as_str())).cloned().collect();
        for row in types.iter().filter(|t| t.relation != 0 && t.schema != "pg_catalog") {
            let array = by_oid.get(&row.array);
            let own = std::iter::once(row).chain(array.copied());
            facts.row_relations.extend(own.clone().map(|t| (t.oid, row.relation)));
            facts.row_types.insert(row.relation, own.map(|t| t.name.clone()).collect());
        }
        facts
    }
}

/// From the OID of a type to the encrypted type in it.
struct Reach<'a> {
    /// And arrays of them.
    encrypted: HashMap<Oid, Arc<EncType>>,
    types: HashMap<Oid, &'a PgType>,
    containing: &'a HashSet<Oid>,
}

impl<'a> Reach<'a> {
    fn new(types: &'a [PgType], encrypted: &'a [Arc<EncType>], containing: &'a HashSet<Oid>) -> Self {
        let encrypted = encrypted.iter().flat_map(|e| [Arc::clone(e), e.array()]).map(|e| (e.oid, e)).collect();
        Reach { encrypted, types: types.iter().map(|t| (t.oid, t)).collect(), containing }
    }

    fn mark(&self, column: &mut Column) {
        column.direct = self.encrypted.contains_key(&column.type_oid);
        column.enc = self.through(column.type_oid).cloned();
        column.tainted = !column.direct && self.containing.contains(&column.type_oid);
    }

    /// Through domains and arrays, not through rows.
    fn through(&self, mut oid: Oid) -> Option<&Arc<EncType>> {
        for _ in 0..32 {
            if let Some(found) = self.encrypted.get(&oid) {
                return Some(found);
            }
            let t = self.types.get(&oid)?;
            oid = if t.base != 0 { t.base } else { t.element };
        }
        None
    }
}

fn relation(row: Row<'_>) -> Result<Relation, SchemaError> {
    let kind = match row.text(3)? {
        "r" => RelationKind::Table,
        "p" => RelationKind::Partitioned,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::Foreign,
        "c" => RelationKind::Composite,
        "S" => RelationKind::Sequence,
        _ => return Err(SchemaError::Answer("unknown kind of relation")),
    };
    Ok(Relation {
        oid: row.oid(0)?,
        schema: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        kind,
        columns: Vec::new(),
        indexes: Vec::new(),
        touching: false,
        alarm: None,
    })
}

fn column(row: Row<'_>) -> Result<Column, SchemaError> {
    Ok(Column {
        name: row.text(2)?.to_owned(),
        attnum: row.number(1)?,
        type_oid: row.oid(3)?,
        enc: None,
        direct: false,
        tainted: false,
        generated: !row.text(4)?.is_empty(),
    })
}

fn function(row: Row<'_>) -> Result<Function, SchemaError> {
    let words = row.text(5)?.split(' ').filter(|t| !t.is_empty()).map(str::parse);
    let mut types: Vec<Oid> =
        words.collect::<Result<_, _>>().map_err(|_| SchemaError::Answer("a field is not a number"))?;
    let routine = routine(row, &types)?;
    types.push(row.oid(6)?);
    Ok(Function::new(row.oid(0)?, row.text(3)?, row.text(4)?, types, routine))
}

/// The signature. `types`: of all arguments.
fn routine(row: Row<'_>, types: &[Oid]) -> Result<Routine, SchemaError> {
    let names: Vec<String> =
        serde_json::from_str(row.text(10)?).map_err(|_| SchemaError::Answer("names of arguments are no list"))?;
    let (modes, kind) = (row.text(9)?.as_bytes(), row.text(7)?);
    let mode = |i: usize| modes.get(i).copied().unwrap_or(b'i');
    let procedure = kind == "p";
    let given = |i: &usize| matches!(mode(*i), b'i' | b'b' | b'v') || (procedure && mode(*i) == b'o');
    let shown = |i: &usize| matches!(mode(*i), b'o' | b'b' | b't');
    let name = |i: usize| names.get(i).cloned().unwrap_or_default();
    let all = || 0..types.len();
    let outputs: Vec<(String, Oid)> = all().filter(shown).map(|i| (name(i), types[i])).collect();
    let result = row.oid(6)?;
    let mut results = outputs.iter().map(|(_, oid)| *oid).chain((outputs.is_empty()).then_some(result));
    let variadic = modes.contains(&b'v');
    let (language, source) = (Language::of(row.text(3)?), row.text(4)?);
    // What PostgreSQL keeps parsed is printed with the names that whoever reads it sees.
    let kept = language == Some(Language::Sql) && begins_kept(source);
    let path = row.optional(11)?.map(routine::path_of);
    let followed = language.is_some()
        && matches!(kind, "f" | "p")
        && !variadic
        && path != Some(None)
        && !types.iter().chain([&result]).any(|t| routine::is_polymorphic(*t))
        && (!kept || (!results.any(routine::takes_anything) && routine::moves(source)));
    let body = language.filter(|_| followed && !kept).map(|language| {
        let arguments = all().map(|i| (name(i), types[i], given(&i))).collect();
        Arc::new(Body { language, source: source.to_owned(), arguments, path: path.flatten() })
    });
    Ok(Routine {
        schema: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        procedure,
        inputs: all().filter(given).map(|i| types[i]).collect(),
        names: all().filter(given).map(name).collect(),
        defaults: row.number(8)?,
        outputs,
        result,
        variadic,
        touching: false,
        followed,
        body,
    })
}

/// A body in the SQL standard's form.
fn begins_kept(source: &str) -> bool {
    let mut words = source.split_whitespace();
    let first = words.next().unwrap_or_default();
    first.eq_ignore_ascii_case("return")
        || first.eq_ignore_ascii_case("begin") && words.next().is_some_and(|word| word.eq_ignore_ascii_case("atomic"))
}
