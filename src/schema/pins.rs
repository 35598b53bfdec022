//! Pins: columns that were seen encrypted, or are configured to be, and must not turn up otherwise; and arguments of
//! functions.
//!
//! A pin names its column as `column schema.relation.name`, each part double-quoted where it is not a plain
//! lower-case word; an argument as `argument schema.function.arg2`, counted from 1 as a call gives them, and as
//! `argument schema.function."name =>"`. What to do about an alarm is not decided here: the relation carries it, and every
//! statement on the relation is refused.

use std::collections::HashMap;
use std::sync::Arc;

use super::catalog::{Catalog, Column, Oid, Relation, RelationKind, Standing};
use super::name::quoted;
use super::routine::Routine;
use super::snapshot::settle;
use crate::crypto::TypeId;

/// A pin that does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alarm {
    /// The pin or configured column, as `column schema.relation.name`.
    pub object: String,
    /// The relation that statements are refused on: schema and name.
    pub relation: (String, String),
    /// What kind of wrong it is.
    pub fault: Fault,
    /// What is wrong with it, without a full stop.
    pub why: String,
}

/// Kinds of alarms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The column is plain.
    Plain,
    /// The column is not there.
    Missing,
    /// The column has another encrypted type.
    OtherType,
    /// A relation of the same name in another schema has the column plain.
    Namesake,
}

/// A pinned column as the database has it now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// It is not there.
    Missing,
    /// It is plain.
    Plain,
    /// It has an encrypted type whose definition is signed.
    Encrypted(TypeId, String),
    /// It has an encrypted type of this name that cannot be believed.
    Unsigned(String),
}

impl std::fmt::Display for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

/// First OID that `initdb` does not give.
const FIRST_USER_OID: Oid = 16384;

/// A column's full name.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Name {
    schema: String,
    relation: String,
    column: String,
}

/// Compares a catalog with the pins and with the columns configured as encrypted (`schema.table.column`, checked
/// before by [`is_column_name`]). Every relation that does not hold what it should gets an alarm, and so does
/// whatever reads or inherits from it. The catalog must have been made with its relations (see `snapshot::rest`).
pub fn check(catalog: &mut Catalog, pins: &[(String, TypeId)], configured: &[String]) -> Vec<Alarm> {
    let pinned =
        pins.iter().filter_map(|(object, id)| Some((Name::parse(object.strip_prefix("column ")?)?, Some(*id))));
    let configured = configured.iter().filter_map(|entry| Some((Name::parse(entry)?, None)));
    let wanted: Vec<(Name, Option<TypeId>)> = pinned.chain(configured).collect();
    let mut alarms: Vec<Alarm> = wanted.iter().flat_map(|(name, id)| faults(catalog, name, *id)).collect();
    for alarm in &alarms {
        let (schema, name) = &alarm.relation;
        if let Some(relation) = catalog.relations.get_mut(schema).and_then(|r| r.get_mut(name)) {
            Arc::make_mut(relation).alarm.get_or_insert_with(|| alarm.why.clone());
        }
    }
    if !alarms.is_empty() {
        settle(catalog);
    }
    // Statements on a relation that is gone must not be forwarded with values that were meant for it.
    for (name, _) in &wanted {
        let there = catalog.relation(&name.schema, &name.relation).is_some();
        if !there {
            catalog.touching_names.insert(name.relation.clone());
        }
    }
    for (object, id) in pins {
        if let Some(name) = object.strip_prefix(ARGUMENT).and_then(Name::parse) {
            alarms.extend(check_argument(catalog, &name, *id));
        }
    }
    alarms
}

/// What an object that is an argument begins with.
const ARGUMENT: &str = "argument ";

/// Where no function of the name has the argument of its encrypted type any more, none of them can be called with values.
/// Only what is there and is otherwise is an alarm. Where others of the name take something else in that place, analysis
/// sees to it that no value is given there.
fn check_argument(catalog: &mut Catalog, name: &Name, id: TypeId) -> Option<Alarm> {
    let argument = Argument::parse(&name.column)?;
    let facts = Arc::clone(&catalog.facts);
    let namesakes = || facts.functions.iter().map(|f| &f.routine).filter(|r| r.name == name.relation);
    let is_own = |oid: Oid| catalog.types.get(&oid).is_some_and(|enc| enc.def.id == id);
    let own = |r: &Arc<Routine>| r.schema == name.schema && argument.of(r).is_some_and(is_own);
    let other = namesakes().find(|r| argument.of(r).is_some_and(|oid| !is_own(oid)));
    // What is given by a name that no function has finds none.
    if namesakes().any(own) || (matches!(argument, Argument::Named(_)) && other.is_none()) {
        return None;
    }
    catalog.touching_functions.insert(name.relation.clone());
    // A database in which nothing else is encrypted is not plain.
    catalog.touching_names.insert(name.relation.clone());
    catalog.routines.remove(&name.relation);
    other.map(|other| Alarm {
        object: format!("{ARGUMENT}{}", name.shown()),
        relation: (other.schema.clone(), other.name.clone()),
        fault: Fault::Plain,
        why: format!(
            "{} of function {}.{} must have the encrypted type with id {id}, and of {} it has not",
            argument.shown(),
            quoted(&name.schema),
            quoted(&name.relation),
            quoted(&other.schema),
        ),
    })
}

/// Whether a configured entry names a column, for the configuration's own check.
pub fn is_column_name(entry: &str) -> bool {
    Name::parse(entry).is_some()
}

/// What a pinned object is in this catalog, for who confirms a change. `None`: it names no column.
pub fn look(catalog: &Catalog, object: &str) -> Option<Found> {
    let name = Name::parse(object.strip_prefix("column ")?)?;
    let relation = catalog.relation(&name.schema, &name.relation);
    let Some(column) = relation.and_then(|relation| relation.columns.iter().find(|c| c.name == name.column)) else {
        return Some(Found::Missing);
    };
    Some(match column.enc.as_ref().filter(|_| column.direct) {
        None => Found::Plain,
        Some(enc) if enc.standing == Standing::Verified => Found::Encrypted(enc.def.id, enc.def.name.clone()),
        Some(enc) => Found::Unsigned(enc.def.name.clone()),
    })
}

/// The object is a column of a table that is not there.
pub fn is_without_table(catalog: &Catalog, object: &str) -> bool {
    let name = object.strip_prefix("column ").and_then(Name::parse);
    name.is_some_and(|name| catalog.relation(&name.schema, &name.relation).is_none())
}

/// Pins for encrypted columns that `known` does not hold yet: of tables and views that are not temporary, and of
/// types that can be believed.
pub fn new_pins(catalog: &Catalog, known: &[(String, TypeId)]) -> Vec<(String, TypeId)> {
    let known: HashMap<&str, TypeId> = known.iter().map(|(object, id)| (object.as_str(), *id)).collect();
    let mut found: Vec<(String, TypeId)> = catalog
        .relations
        .values()
        .flat_map(HashMap::values)
        .filter(|r| r.touching && r.alarm.is_none() && pinnable(r))
        .flat_map(|r| r.columns.iter().filter_map(|column| pin(r, column)))
        .chain(catalog.facts.functions.iter().flat_map(|f| arguments(catalog, &f.routine)))
        .filter(|(object, _)| !known.contains_key(object.as_str()))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// An argument of a call, by number from 0 or by name.
enum Argument<'n> {
    At(usize),
    Named(&'n str),
}

impl<'n> Argument<'n> {
    fn parse(text: &'n str) -> Option<Argument<'n>> {
        match text.strip_suffix(" =>") {
            Some(name) => Some(Argument::Named(name)),
            None => text.strip_prefix("arg")?.parse::<usize>().ok()?.checked_sub(1).map(Argument::At),
        }
    }

    fn of(&self, routine: &Routine) -> Option<Oid> {
        match self {
            Argument::At(n) => routine.inputs.get(*n).copied(),
            Argument::Named(name) => routine.input(name).map(|n| routine.inputs[n]),
        }
    }

    fn shown(&self) -> String {
        match self {
            Argument::At(n) => format!("argument {}", n + 1),
            Argument::Named(name) => format!("argument {name}"),
        }
    }

    fn column(&self) -> String {
        match self {
            Argument::At(n) => format!("arg{}", n + 1),
            Argument::Named(name) => format!("{name} =>"),
        }
    }
}

/// Pins for the encrypted arguments of a function that may be called with values.
fn arguments(catalog: &Catalog, routine: &Routine) -> Vec<(String, TypeId)> {
    if routine.schema.starts_with("pg_") || routine.schema == "seal" {
        return Vec::new();
    }
    let of_name = catalog.routines.get(&routine.name).map_or(&[][..], Vec::as_slice);
    let pin = |argument: Argument<'_>, oid: Oid| {
        let enc = catalog.types.get(&oid).filter(|enc| enc.standing == Standing::Verified)?;
        // Where functions of the name differ, none is called with a value there.
        if !of_name.iter().all(|r| argument.of(r).is_none_or(|other| other == oid)) {
            return None;
        }
        let (schema, relation) = (routine.schema.clone(), routine.name.clone());
        let name = Name { schema, relation, column: argument.column() };
        Some((format!("{ARGUMENT}{}", name.shown()), enc.def.id))
    };
    let numbered = routine.inputs.iter().enumerate().map(|(n, oid)| (Argument::At(n), *oid));
    let named = routine.names.iter().zip(&routine.inputs).map(|(name, oid)| (Argument::Named(name), *oid));
    let named = named.filter(|(argument, _)| !matches!(argument, Argument::Named("")));
    numbered.chain(named).filter_map(|(argument, oid)| pin(argument, oid)).collect()
}

fn pinnable(relation: &Relation) -> bool {
    let kind = !matches!(relation.kind, RelationKind::Composite | RelationKind::Sequence);
    kind && !relation.schema.starts_with("pg_")
}

fn pin(relation: &Relation, column: &Column) -> Option<(String, TypeId)> {
    let enc = column.enc.as_ref().filter(|enc| column.direct && enc.standing == Standing::Verified)?;
    let name = Name { schema: relation.schema.clone(), relation: relation.name.clone(), column: column.name.clone() };
    Some((name.object(), enc.def.id))
}

/// Relations on which this column is not as it should be. `id`: the type it must have; without, any encrypted type.
fn faults(catalog: &Catalog, name: &Name, id: Option<TypeId>) -> Vec<Alarm> {
    let namesakes = catalog.relations.values().filter_map(|relations| relations.get(&name.relation));
    let fault = |relation: &Arc<Relation>| {
        let column = relation.columns.iter().find(|c| c.name == name.column);
        let (fault, why) = match relation.schema == name.schema {
            true => own_fault(name, column, id),
            false => namesake_fault(name, relation, column).map(|why| (Fault::Namesake, why)),
        }?;
        Some(Alarm { object: name.object(), relation: (relation.schema.clone(), relation.name.clone()), fault, why })
    };
    namesakes.filter_map(fault).collect()
}

fn own_fault(name: &Name, column: Option<&Column>, id: Option<TypeId>) -> Option<(Fault, String)> {
    let shown = name.shown();
    let Some(column) = column else {
        return Some((Fault::Missing, format!("column {shown} must be encrypted, but is not there")));
    };
    let Some(enc) = column.enc.as_ref().filter(|_| column.direct) else {
        return Some((Fault::Plain, format!("column {shown} must be encrypted, but is plain")));
    };
    id.filter(|id| *id != enc.def.id).map(|id| {
        let why = format!(
            "column {shown} must have the encrypted type with id {id}, but has seal.{} with id {}",
            enc.def.name, enc.def.id
        );
        (Fault::OtherType, why)
    })
}

fn namesake_fault(name: &Name, relation: &Relation, column: Option<&Column>) -> Option<String> {
    let plain = column.is_some_and(|c| c.enc.is_none());
    (plain && relation.oid >= FIRST_USER_OID && relation.kind != RelationKind::Composite).then(|| {
        let shown = quoted(&relation.schema);
        format!(
            "column {} must be encrypted, and the relation of the same name in schema {shown} has it plain",
            name.shown()
        )
    })
}

impl Name {
    fn object(&self) -> String {
        format!("column {}", self.shown())
    }

    fn shown(&self) -> String {
        format!("{}.{}.{}", quoted(&self.schema), quoted(&self.relation), quoted(&self.column))
    }

    fn parse(text: &str) -> Option<Name> {
        let [schema, relation, column] = <[String; 3]>::try_from(name_parts(text)?).ok()?;
        Some(Name { schema, relation, column })
    }
}

/// The parts of a name as SQL writes it, `schema."Table".column`. `None`: it is none.
pub fn name_parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = part(rest)?;
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// One part of a name, and what follows it. Unquoted parts fold to lower case, as in SQL.
fn part(text: &str) -> Option<(String, &str)> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(['.', '"']).unwrap_or(text.len());
        let word = &text[..end];
        let plain = !word.is_empty() && !word.contains(char::is_whitespace);
        return plain.then(|| (word.to_lowercase(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = inner;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return (!name.is_empty()).then_some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_and_read_alike() {
        for parts in [["public", "users", "email"], ["Odd.One", "a\"b", "ü x"], ["a", "B", "\""]] {
            let [schema, relation, column] = parts.map(String::from);
            let name = Name { schema, relation, column };
            assert_eq!(Name::parse(&name.shown()), Some(name));
        }
        assert_eq!(Name::parse("Public.Users.EMail").map(|n| n.shown()), Some("public.users.email".to_owned()));
    }

    #[test]
    fn what_is_no_column_name_is_refused() {
        for text in [
            "",
            "a",
            "a.b",
            "a.b.c.d",
            "a..c",
            ".a.b",
            "a.b.",
            "\"a.b.c",
            "a.\"\".c",
            "a.\"b\"c.d",
            "a.b c.d",
            "a b.c.d",
        ] {
            assert!(!is_column_name(text), "{text}");
        }
    }
}
