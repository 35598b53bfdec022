//! A catalog as it would be: with a column of another type, before anything is changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::catalog::{Catalog, EncType, Oid, Relation};
use super::routine::Routine;
use super::snapshot::settle;

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

    /// This catalog with columns of encrypted types: of each relation, by name. Such a relation has no indexes any more.
    pub fn with(&self, changes: &HashMap<Oid, Vec<(String, Arc<EncType>)>>) -> Catalog {
        let mut catalog = self.clone();
        for relation in catalog.relations.values_mut().flat_map(HashMap::values_mut) {
            let Some(changed) = changes.get(&relation.oid) else { continue };
            let relation = Arc::make_mut(relation);
            relation.indexes.clear();
            for column in &mut relation.columns {
                if let Some((_, enc)) = changed.iter().find(|(name, _)| *name == column.name) {
                    (column.enc, column.type_oid) = (Some(Arc::clone(enc)), enc.oid);
                    (column.direct, column.tainted) = (true, false);
                }
            }
        }
        settle(&mut catalog);
        catalog
    }

    /// This catalog as statements in bodies of functions see it: every function may be called, whatever its body does.
    pub fn for_bodies(&self) -> Catalog {
        let mut catalog = self.clone();
        for routine in catalog.routines.values_mut().flatten() {
            *routine = Arc::new(Routine { followed: true, body: None, ..Routine::clone(routine) });
        }
        catalog
    }

    /// Another relation that statements can name, or one of that name as it is now.
    pub fn put(&mut self, relation: Relation) {
        if relation.touching {
            self.touching_names.insert(relation.name.clone());
        }
        self.relations.entry(relation.schema.clone()).or_default().insert(relation.name.clone(), Arc::new(relation));
    }
}
