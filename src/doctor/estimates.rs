//! Large tables with encrypted columns of which the planner knows nothing.

use std::collections::HashSet;

use tokio_postgres::Client;

use super::existing::shown;
use super::judge::attributes;
use super::objects::{Kind, OURS, Object};
use super::{Finding, Level};
use crate::schema::SchemaError;
use crate::schema::catalog::{Catalog, Column, Oid, Relation};
use crate::schema::name::quoted;
use crate::schema::rows::{Row, query};

/// From this many rows on it is told of.
const MANY: u32 = 100_000;

/// Columns that are compared by a term, of which there is neither an index nor statistics.
pub(super) async fn examine(
    client: &Client,
    catalog: &Catalog,
    objects: &[Object],
) -> Result<Vec<Finding>, SchemaError> {
    let of_terms = objects.iter().filter(|object| matches!(object.kind, Kind::Index | Kind::Statistics));
    let known: HashSet<(Kind, Oid, String, String)> = of_terms
        .flat_map(|object| {
            let terms = attributes(&object.text, catalog).into_iter();
            terms.map(|(column, term)| (object.kind, object.relation, column, term))
        })
        .collect();
    let text = format!(
        "SELECT c.oid::pg_catalog.text, c.relkind::pg_catalog.text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND c.reltuples >= {MANY} AND {OURS}"
    );
    let mut found = Vec::new();
    for row in query(client, &text).await? {
        let Some(relation) = catalog.by_oid(Row(&row).oid(0)?) else { continue };
        // ANALYZE of a partitioned table looks at no index.
        let tell: &[Kind] = match Row(&row).text(1)? {
            "p" => &[Kind::Statistics],
            _ => &[Kind::Index, Kind::Statistics],
        };
        let unknown = |column: &&Column| {
            let terms = column.enc.as_ref().filter(|enc| column.direct && !enc.is_array()).map(|enc| enc.def.terms);
            terms.is_some_and(|terms| {
                let of_column = |kind: &Kind| {
                    known.contains(&(*kind, relation.oid, column.name.clone(), terms.compared().0.to_owned()))
                };
                terms.equal() && !tell.iter().any(of_column)
            })
        };
        let columns: Vec<&str> = relation.columns.iter().filter(unknown).map(|c| c.name.as_str()).collect();
        found.extend(finding(relation, &columns));
    }
    Ok(found)
}

fn finding(relation: &Relation, columns: &[&str]) -> Option<Finding> {
    let first = columns.first()?;
    let names: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
    let (them, each) = if columns.len() == 1 { ("it", "") } else { ("them", ", one for each column") };
    let why = format!(
        "without index and statistics the planner counts on 200 different values of {}: GROUP BY, DISTINCT, joins and filters on {them} may be planned badly",
        names.join(", ")
    );
    let (schema, table) = (quoted(&relation.schema), shown(relation));
    let name = format!("{}_{first}_stat", relation.name);
    let advice = format!(
        "CREATE STATISTICS {schema}.{} ON {} FROM {table}, through the proxy{each}; then ANALYZE {table}. \
         With more than 3,000 different values see docs/operations.md#statistics",
        quoted(&name),
        names[0]
    );
    Some(Finding::new(Kind::Statistics, &table, Level::Warning, why, advice))
}
