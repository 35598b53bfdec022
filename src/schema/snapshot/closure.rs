//! The closure of encrypted columns: which relations, types and functions a statement must not name to be untouched.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::facts::{Facts, Function, Names};
use crate::schema::catalog::{Catalog, Oid, Relation};
use crate::schema::routine::Routine;

/// Functions of the `seal` schema that run DDL.
const DEFINING: [&str; 4] = ["create_type", "define_type", "equip_type", "open_to_public"];

/// Computes what touches from the columns, alarms and facts of a catalog, and writes it into it. Alarms spread to
/// whatever reads, inherits from or is inherited by the relation.
pub(in crate::schema) fn settle(catalog: &mut Catalog) {
    let facts = Arc::clone(&catalog.facts);
    let names: HashMap<Oid, String> = each(catalog).map(|r| (r.oid, r.name.clone())).collect();
    let mut found = Found::seeds(catalog);
    found.spread(&facts, &names);
    let alarms = spread_alarms(catalog, &facts);
    let triggered = triggered(&facts, &found);
    for relation in catalog.relations.values_mut().flat_map(HashMap::values_mut) {
        let touching = found.relations.contains(&relation.oid) || triggered.contains(&relation.oid);
        let alarm = alarms.get(&relation.oid);
        if relation.touching != touching || relation.alarm.as_ref() != alarm {
            let changed = Arc::make_mut(relation);
            changed.touching = touching;
            changed.alarm = alarm.cloned();
        }
    }
    let touching = || found.relations.iter().chain(&triggered);
    catalog.touching_names = touching().filter_map(|oid| names.get(oid).cloned()).collect();
    catalog.touching_types = facts.type_names.iter().cloned().collect();
    catalog.touching_types.extend(touching().filter_map(|oid| facts.row_types.get(oid)).flatten().cloned());
    let rows = facts.row_relations.iter().filter(|(_, r)| found.relations.contains(r) || triggered.contains(r));
    catalog.containing = facts.containing.iter().copied().chain(rows.map(|(row, _)| *row)).collect();
    catalog.touching_functions = bare(&facts, &found.functions);
    catalog.routines = HashMap::new();
    for function in facts.functions.iter().filter(|f| catalog.touching_functions.contains(&f.name)) {
        let touching = found.functions.contains(&function.oid);
        let routine = Arc::new(Routine { touching, ..(*function.routine).clone() });
        catalog.routines.entry(function.name.clone()).or_default().push(routine);
    }
    catalog.unknown_functions = bare(&facts, &unsettling(&facts));
    if facts.installed {
        catalog.unknown_functions.extend(DEFINING.map(String::from));
    }
}

/// Functions that may be called by a rule and touch.
pub(super) fn touching_functions(catalog: &Catalog) -> HashSet<Oid> {
    let facts = &catalog.facts;
    let by_name = |f: &&Function| catalog.touching_functions.contains(&f.name);
    facts.functions.iter().filter(by_name).map(|f| f.oid).collect()
}

fn each(catalog: &Catalog) -> impl Iterator<Item = &Arc<Relation>> {
    catalog.relations.values().flat_map(HashMap::values)
}

#[derive(Default)]
struct Found {
    relations: HashSet<Oid>,
    functions: HashSet<Oid>,
}

impl Found {
    fn seeds(catalog: &Catalog) -> Found {
        let touches = |r: &&Arc<Relation>| r.alarm.is_some() || r.columns.iter().any(|c| c.enc.is_some() || c.tainted);
        Found { relations: each(catalog).filter(touches).map(|r| r.oid).collect(), ..Found::default() }
    }

    /// To the fixpoint.
    fn spread(&mut self, facts: &Facts, names: &HashMap<Oid, String>) {
        loop {
            let before = (self.relations.len(), self.functions.len());
            spread_edges(&mut self.relations, facts);
            self.spread_functions(facts, names);
            let called = facts.rule_functions.iter().filter(|(_, f)| self.functions.contains(f));
            self.relations.extend(called.map(|(relation, _)| *relation));
            if (self.relations.len(), self.functions.len()) == before {
                return;
            }
        }
    }

    fn spread_functions(&mut self, facts: &Facts, names: &HashMap<Oid, String>) {
        let used = !self.relations.is_empty();
        let relations = self.relations.iter().filter_map(|oid| names.get(oid)).map(String::as_str);
        let functions = facts.functions.iter().filter(|f| self.functions.contains(&f.oid)).map(|f| f.name.as_str());
        let types = facts.telling_names.iter().map(String::as_str).chain(facts.installed.then_some("seal"));
        let mut touching: Names = relations.chain(functions).chain(types).collect();
        loop {
            let before = self.functions.len();
            for function in &facts.functions {
                let touches = used && function.dynamic
                    || function.types.iter().any(|t| facts.containing.contains(t))
                    || self.row_type_argument(function, facts)
                    || function.names(&touching);
                if touches && !function.trusted(&facts.trusted) && self.functions.insert(function.oid) {
                    touching.insert(&function.name);
                }
            }
            if self.functions.len() == before {
                return;
            }
        }
    }

    fn row_type_argument(&self, function: &Function, facts: &Facts) -> bool {
        let relation = |t: &Oid| facts.row_relations.get(t).is_some_and(|r| self.relations.contains(r));
        function.types.iter().any(relation)
    }
}

/// Along rules (what reads a touching relation) and families (both ways).
fn spread_edges(relations: &mut HashSet<Oid>, facts: &Facts) {
    loop {
        let before = relations.len();
        let read = facts.reads.iter().map(|(reader, read)| (*read, *reader));
        let down = facts.family.iter().copied();
        let up = facts.family.iter().map(|(child, parent)| (*parent, *child));
        for (from, to) in read.chain(down).chain(up) {
            if relations.contains(&from) {
                relations.insert(to);
            }
        }
        if relations.len() == before {
            return;
        }
    }
}

fn spread_alarms(catalog: &Catalog, facts: &Facts) -> HashMap<Oid, String> {
    let mut alarms: HashMap<Oid, String> = each(catalog).filter_map(|r| Some((r.oid, r.alarm.clone()?))).collect();
    let own: Vec<Oid> = alarms.keys().copied().collect();
    for oid in own {
        let mut reached = HashSet::from([oid]);
        spread_edges(&mut reached, facts);
        let why = alarms.get(&oid).cloned().unwrap_or_default();
        for other in reached {
            alarms.entry(other).or_insert_with(|| why.clone());
        }
    }
    alarms
}

/// Relations with a trigger whose function touches. Touching does not spread from them: reading them runs nothing,
/// and what their triggers do to encrypted columns PostgreSQL's types check.
fn triggered(facts: &Facts, found: &Found) -> HashSet<Oid> {
    facts.triggers.iter().filter(|(_, f)| found.functions.contains(f)).map(|(relation, _)| *relation).collect()
}

/// Functions that may unsettle a session, and those that call one.
fn unsettling(facts: &Facts) -> HashSet<Oid> {
    let mut found: HashSet<Oid> = facts.functions.iter().filter(|f| f.unsettling).map(|f| f.oid).collect();
    loop {
        let before = found.len();
        let names: Names = facts.functions.iter().filter(|f| found.contains(&f.oid)).map(|f| f.name.as_str()).collect();
        found.extend(facts.functions.iter().filter(|f| f.names(&names)).map(|f| f.oid));
        if found.len() == before {
            return found;
        }
    }
}

fn bare(facts: &Facts, oids: &HashSet<Oid>) -> HashSet<String> {
    facts.functions.iter().filter(|f| oids.contains(&f.oid)).map(|f| f.name.clone()).collect()
}
