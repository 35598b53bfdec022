//! Objects that are there, beside columns that are encrypted.

use tokio_postgres::Client;

use super::judge::{Misuse, Verdict, attributes, judge, misuse, printed_path, taken_back, takes_of_arrays};
use super::objects::{self, Kind, Object};
use super::{Finding, Level, columns, estimates, publications, routines};
use crate::schema::SchemaError;
use crate::schema::catalog::{Catalog, Relation, RelationKind};
use crate::schema::name::quoted;
use crate::sql::WHAT_WORKS;
use crate::sql::plan::Refusal;

pub(super) async fn examine(client: &Client, catalog: &Catalog) -> Result<Vec<Finding>, SchemaError> {
    let objects = objects::read(client).await?;
    let mut found: Vec<Finding> = objects.iter().filter_map(|object| look(object, catalog)).collect();
    found.extend(routines::examine(client, catalog).await?);
    found.extend(publications::examine(client, catalog).await?);
    found.extend(columns::forgotten(catalog));
    found.extend(estimates::examine(client, catalog, &objects).await?);
    Ok(found)
}

/// What is wrong with an object, if anything.
fn look(object: &Object, catalog: &Catalog) -> Option<Finding> {
    match object.kind {
        Kind::Index => index(object, catalog),
        Kind::View | Kind::MaterializedView => view(object, catalog),
        Kind::Column => column(object, catalog),
        Kind::Domain | Kind::CompositeType => refused(object, catalog),
        // Of UNIQUE and PRIMARY KEY the index is looked at.
        Kind::Constraint if matches!(&*object.detail, "u" | "p") => None,
        _ if !touches(object, catalog) => None,
        Kind::Rule => rule(object, catalog),
        Kind::Statistics => statistics(object, catalog),
        _ => kept(object, catalog),
    }
}

fn touches(object: &Object, catalog: &Catalog) -> bool {
    object.relation == 0 || catalog.by_oid(object.relation).is_some_and(|relation| relation.touching)
}

/// What the proxy refuses to make.
fn refused(object: &Object, catalog: &Catalog) -> Option<Finding> {
    match judge(&object.text, catalog, &printed_path()) {
        Verdict::Refused(refusal) => Some(told(object, &refusal)),
        _ => None,
    }
}

/// A refusal, in its own words.
fn told(object: &Object, refusal: &Refusal) -> Finding {
    Finding::new(object.kind, &object.name, Level::Fault, refusal.message.clone(), advice(object.kind, refusal))
}

/// What to do about a refusal: its hint, unless that speaks of statements in general.
pub(super) fn advice(kind: Kind, refusal: &Refusal) -> String {
    let own = refusal.hint.as_ref().filter(|hint| *hint != WHAT_WORKS);
    own.cloned().unwrap_or_else(|| match kind {
        Kind::Column => "Keep the values in rows of a table of their own".to_owned(),
        Kind::Generated | Kind::Constraint | Kind::Default => {
            "Drop it, and compute or check in the application".to_owned()
        }
        Kind::Index => "Drop it; CREATE INDEX ON table (column) through the proxy makes one that is used".to_owned(),
        _ => "Take this out of its definition, and make it anew through the proxy".to_owned(),
    })
}

/// What the server keeps and runs by itself: policies, triggers' conditions, constraints, defaults, partition keys.
fn kept(object: &Object, catalog: &Catalog) -> Option<Finding> {
    let (text, _) = taken_back(&object.text, catalog);
    if let Verdict::Refused(refusal) = judge(&text, catalog, &printed_path()) {
        return Some(told(object, &refusal));
    }
    misused(object, catalog)
}

fn misused(object: &Object, catalog: &Catalog) -> Option<Finding> {
    let (why, advice) = match misuse(&object.tree, catalog)? {
        Misuse::Compared => (
            "it compares encrypted values as records of ciphertext, which PostgreSQL fails at when it runs",
            "Make it anew through the proxy, which compares by terms",
        ),
        Misuse::Printed => (
            "it makes text of encrypted values: that is ciphertext, which equals nothing",
            "Leave the cast away, and make it anew through the proxy",
        ),
    };
    Some(Finding::new(object.kind, &object.name, Level::Fault, why, advice))
}

fn view(object: &Object, catalog: &Catalog) -> Option<Finding> {
    let relation = catalog.by_oid(object.relation).filter(|relation| relation.touching)?;
    let tainted: Vec<&str> = relation.columns.iter().filter(|c| c.tainted).map(|c| c.name.as_str()).collect();
    let (text, changed) = taken_back(&object.text, catalog);
    let verdict = judge(&text, catalog, &printed_path());
    match (tainted.as_slice(), verdict) {
        ([], Verdict::Refused(refusal)) if !(changed && misuse(&object.tree, catalog).is_none()) => {
            Some(told(object, &refusal))
        }
        ([], _) => misused(object, catalog),
        (columns, verdict) => {
            let why = format!(
                "{} made from encrypted values in a way that cannot be followed; statements cannot use it",
                list(columns)
            );
            let advice = match verdict {
                Verdict::Refused(refusal) => format!("{}. {}", refusal.message, advice(object.kind, &refusal)),
                _ => "Select the encrypted column itself, and compute on the values read".to_owned(),
            };
            Some(Finding::new(object.kind, &object.name, Level::Fault, why, advice))
        }
    }
}

fn list(columns: &[&str]) -> String {
    match columns {
        [one] => format!("column {one} is"),
        many => format!("columns {} are", many.join(", ")),
    }
}

/// The proxy makes no rules, and does not look into those that are there.
fn rule(object: &Object, catalog: &Catalog) -> Option<Finding> {
    if let Some(found) = misused(object, catalog) {
        return Some(found);
    }
    let why = "what a rule does with encrypted values is not looked at";
    Some(Finding::new(Kind::Rule, &object.name, Level::Warning, why, "Use a trigger"))
}

/// Statistics over encrypted columns, or over what is made from them.
fn statistics(object: &Object, catalog: &Catalog) -> Option<Finding> {
    // As the proxy makes them.
    if let Verdict::Fine = judge(&object.detail, catalog, &printed_path()) {
        return None;
    }
    // The term of a column is a plain value, of which statistics help.
    let terms_only = attributes(&object.text, catalog).iter().all(|(_, term)| term != "c" && term != "v");
    let verdict = judge(&object.text, catalog, &printed_path());
    let wrong = match verdict {
        Verdict::Fine => false,
        Verdict::Rewritten { columns, .. } => columns.iter().any(Option::is_some),
        Verdict::Refused(_) => !terms_only || attributes(&object.text, catalog).is_empty(),
    };
    let why = "it holds statistics of ciphertext, which tell the planner nothing";
    wrong.then(|| Finding::new(object.kind, &object.name, Level::Warning, why, "DROP STATISTICS"))
}

/// A column whose type contains an encrypted one.
fn column(object: &Object, catalog: &Catalog) -> Option<Finding> {
    let relation = catalog.by_oid(object.relation)?;
    relation.columns.iter().find(|c| c.name == object.detail && c.tainted)?;
    match judge(&object.text, catalog, &printed_path()) {
        Verdict::Refused(refusal) => Some(told(object, &refusal)),
        _ => {
            let why = "its type contains an encrypted type, which statements cannot use";
            Some(Finding::new(
                Kind::Column,
                &object.name,
                Level::Fault,
                why,
                "Give the column the encrypted type itself",
            ))
        }
    }
}

fn index(object: &Object, catalog: &Catalog) -> Option<Finding> {
    let relation = catalog.by_oid(object.relation).filter(|relation| relation.touching)?;
    let fault = |why: String, advice: String| Some(Finding::new(Kind::Index, &object.name, Level::Fault, why, advice));
    let (method, unique, constraint) = object.index();
    // As the proxy makes it for arrays.
    if method == "gin" && takes_of_arrays(&object.text) {
        return None;
    }
    match judge(&object.text, catalog, &printed_path()) {
        Verdict::Rewritten { text, .. } => {
            let drop = match constraint {
                Some(name) => format!("ALTER TABLE {} DROP CONSTRAINT {name}", shown(relation)),
                None => "DROP INDEX".to_owned(),
            };
            let made = text
                .split(" USING ")
                .nth(1)
                .and_then(|by| by.split(" WHERE ").next())
                .map(|by| format!(", as USING {by}"))
                .unwrap_or_default();
            let why = "it stands on the encrypted value itself and not on a term: PostgreSQL fails at the second row";
            fault(why.to_owned(), format!("{drop}, and make it anew through the proxy, which puts it on a term{made}"))
        }
        Verdict::Refused(refusal) => {
            let ciphertext = attributes(&object.text, catalog).iter().any(|(_, term)| term == "c" || term == "v");
            match (ciphertext, unique) {
                (true, true) => {
                    let why = "it keeps ciphertext unique, which no two values share: it keeps nothing unique";
                    fault(why.to_owned(), "Drop it, and make a unique index on the column through the proxy".to_owned())
                }
                (true, false) => {
                    let why = "it stands on ciphertext: no statement uses it";
                    let advice = "Drop it; CREATE INDEX ON table (column) through the proxy makes one that is used";
                    Some(Finding::new(Kind::Index, &object.name, Level::Warning, why, advice))
                }
                (false, _) => Some(told(object, &refusal)),
            }
        }
        Verdict::Fine => unused(object, method, catalog),
    }
}

/// An index on a term that comparisons do not use.
fn unused(object: &Object, method: &str, catalog: &Catalog) -> Option<Finding> {
    let relation = catalog.by_oid(object.relation)?;
    let wrong = attributes(&object.text, catalog).into_iter().find_map(|(name, term)| {
        let enc = relation.columns.iter().find(|c| c.name == name && c.direct)?.enc.clone()?;
        let (compared, _) = enc.def.terms.compared();
        match &*term {
            "m" | "j" if method == "gin" => None,
            // Of a promoted path.
            "p" => None,
            "m" => Some(format!("it holds match terms of {name} USING {method}: LIKE is served by gin alone")),
            "j" => Some(format!(
                "it holds json terms of {name} USING {method}: conditions on JSON are served by gin alone"
            )),
            term if term != compared => Some(format!(
                "it holds term {term} of {name}, and comparisons of seal.{} use {compared}: no statement uses it",
                enc.def.name
            )),
            _ => None,
        }
    })?;
    let advice = "Drop it, and make it anew through the proxy: CREATE INDEX ON table (column)";
    Some(Finding::new(Kind::Index, &object.name, Level::Warning, wrong, advice))
}

/// A relation's name with its schema.
pub(super) fn shown(relation: &Relation) -> String {
    format!("{}.{}", quoted(&relation.schema), quoted(&relation.name))
}

/// Tables, partitions and foreign tables.
pub(super) fn is_table(kind: RelationKind) -> bool {
    matches!(kind, RelationKind::Table | RelationKind::Partitioned | RelationKind::Foreign)
}
