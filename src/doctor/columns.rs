//! Plain columns that look as if they held what is encrypted beside them.

use std::collections::HashMap;

use super::existing::{is_table, shown};
use super::{Finding, Kind, Level};
use crate::schema::catalog::{Catalog, Column, Relation};
use crate::schema::name::quoted;

/// Words that a copy of a column or table is named with.
const COPIES: &[&str] = &[
    "plain",
    "plaintext",
    "clear",
    "cleartext",
    "unencrypted",
    "decrypted",
    "old",
    "orig",
    "original",
    "raw",
    "backup",
    "bak",
    "copy",
    "tmp",
    "temp",
    "prev",
    "previous",
    "before",
];

/// Types that can hold no copy of a value: booleans and numbers of the system.
const NEVER: [u32; 2] = [16, 26];

/// Plain columns under a name that a copy of an encrypted one would have: `email_plain` beside `email`, and `email` of
/// `users_old` beside `users`.
pub(super) fn forgotten(catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    for relations in catalog.relations.values() {
        for relation in relations.values().filter(|r| is_table(r.kind) && r.columns.iter().any(|c| c.direct)) {
            found.extend(beside(relation));
            found.extend(in_copies(relation, relations));
        }
    }
    found
}

fn beside(relation: &Relation) -> Vec<Finding> {
    let encrypted: Vec<&Column> = relation.columns.iter().filter(|c| c.direct).collect();
    let copy = |column: &&Column| column.enc.is_none() && !column.tainted && !NEVER.contains(&column.type_oid);
    let one = |column: &Column| {
        let of = encrypted.iter().find(|enc| is_copy(&column.name, &enc.name))?;
        let why = format!("it is plain, and looks like a copy of encrypted column {}", of.name);
        Some(finding(relation, column, why))
    };
    relation.columns.iter().filter(copy).filter_map(one).collect()
}

fn in_copies(relation: &Relation, relations: &HashMap<String, std::sync::Arc<Relation>>) -> Vec<Finding> {
    let mut found = Vec::new();
    for other in relations.values().filter(|other| is_table(other.kind) && is_copy(&other.name, &relation.name)) {
        for enc in relation.columns.iter().filter(|c| c.direct) {
            if let Some(column) = other.columns.iter().find(|c| c.name == enc.name && c.enc.is_none()) {
                let why =
                    format!("it is plain, and looks like a copy of encrypted column {}.{}", shown(relation), enc.name);
                found.push(finding(other, column, why));
            }
        }
    }
    found
}

fn finding(relation: &Relation, column: &Column, why: String) -> Finding {
    let name = format!("{}.{}", shown(relation), quoted(&column.name));
    let advice = "If it holds plaintext, drop it, and remember the write-ahead log and backups";
    Finding::new(Kind::Column, &name, Level::Warning, why, advice)
}

/// `email_plain`, `plain_email` of `email`.
fn is_copy(name: &str, of: &str) -> bool {
    let rest = name.strip_prefix(of).and_then(|rest| rest.strip_prefix('_'));
    let rest = rest.or_else(|| name.strip_suffix(of).and_then(|rest| rest.strip_suffix('_')));
    rest.is_some_and(|rest| COPIES.contains(&rest.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies() {
        for name in ["email_plain", "plain_email", "email_old", "email_old2", "old_email", "email_bak_2024"] {
            assert!(is_copy(name, "email"), "{name}");
        }
        for name in ["email", "emails", "email_id", "email_verified", "email_domain", "work_email", "plain"] {
            assert!(!is_copy(name, "email"), "{name}");
        }
    }
}
