//! A catalog as it would be: with a column of another type, before anything is changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::catalog::{Catalog, Column, EncType, Oid, Relation};
use super::routine::Routine;
use super::snapshot::settle;

/// What a column of a view would be.
#[derive(Clone, Debug)]
pub enum Becomes {
    /// Plain.
    Plain,
    /// Of this encrypted type.
    Encrypted(Arc<EncType>),
    /// Made from encrypted values in a way that cannot be followed.
    Tainted,
}

impl Catalog {
    /// The relation of this OID.
    pub fn by_oid(&self, oid: Oid) -> Option<&Arc<Relation>> {
        self.relations.values().flat_map(HashMap::values).find(|r| r.oid == oid)
    }

    /// A table with its partitions, children and parents.
    pub fn family(&self, oid: Oid) -> HashSet<Oid> {
        let mut found = HashSet::from([oid]);
        loop {
            let before = found.len();
            for (child, parent) in &self.facts.family {
                if found.contains(child) || found.contains(parent) {
                    found.extend([*child, *parent]);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// This catalog with columns that are otherwise: of each relation, by name. Such a relation has no indexes any more.
    pub fn with(&self, changes: &HashMap<Oid, Vec<(String, Becomes)>>) -> Catalog {
        let mut catalog = self.clone();
        for relation in catalog.relations.values_mut().flat_map(HashMap::values_mut) {
            let Some(changed) = changes.get(&relation.oid) else { continue };
            let relation = Arc::make_mut(relation);
            relation.indexes.clear();
            for column in &mut relation.columns {
                if let Some((_, becomes)) = changed.iter().find(|(name, _)| *name == column.name) {
                    change(column, becomes);
                }
            }
        }
        settle(&mut catalog);
        catalog
    }

    /// This catalog with another relation that statements can name, and in which every function may be called, whatever its
    /// body does.
    pub fn with_relation(&self, relation: Relation) -> Catalog {
        let mut catalog = self.clone();
        if relation.touching {
            catalog.touching_names.insert(relation.name.clone());
        }
        for routine in catalog.routines.values_mut().flatten() {
            *routine = Arc::new(Routine { followed: true, body: None, ..Routine::clone(routine) });
        }
        catalog.relations.entry(relation.schema.clone()).or_default().insert(relation.name.clone(), Arc::new(relation));
        catalog
    }
}

fn change(column: &mut Column, becomes: &Becomes) {
    (column.enc, column.direct, column.tainted) = match becomes {
        Becomes::Plain => (None, false, false),
        Becomes::Encrypted(enc) => (Some(Arc::clone(enc)), true, false),
        Becomes::Tainted => (None, false, true),
    };
    if let Some(enc) = &column.enc {
        column.type_oid = enc.oid;
    }
}
