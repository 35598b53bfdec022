//! Publications: tables that cannot be replicated any more, filters and lists of columns.

use tokio_postgres::Client;

use super::existing::shown;
use super::{Finding, Kind, Level};
use crate::schema::SchemaError;
use crate::schema::catalog::{Catalog, Oid};
use crate::schema::rows::{Row, query};

/// A table in a publication.
pub(super) struct Published {
    pub(super) name: String,
    pub(super) relation: Oid,
    /// Its row filter.
    pub(super) filter: Option<String>,
    /// Its list of columns, where it has one.
    pub(super) columns: Option<Vec<String>>,
    /// UPDATE or DELETE are published.
    pub(super) changes: bool,
    /// `pg_class.relreplident`.
    pub(super) identity: String,
    /// It has a primary key that PostgreSQL knows.
    pub(super) keyed: bool,
    /// Columns of the index that identifies rows.
    pub(super) key: Vec<String>,
}

/// Filters and lists came with PostgreSQL 15: the columns are looked for by name.
const PUBLISHED: &str = "\
SELECT p.pubname, c.oid, pg_catalog.to_jsonb(t) ->> 'rowfilter', \
  CASE WHEN pg_catalog.to_jsonb(r) ->> 'prattrs' IS NOT NULL THEN pg_catalog.to_jsonb(t) -> 'attnames' END, \
  (p.pubupdate OR p.pubdelete)::pg_catalog.text, c.relreplident, \
  EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)::pg_catalog.text, \
  pg_catalog.to_json(ARRAY(SELECT a.attname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
    ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid \
    AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)) \
FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname \
  JOIN pg_catalog.pg_namespace n ON n.nspname = t.schemaname \
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename \
  LEFT JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = c.oid \
ORDER BY 1, 2";

pub(super) async fn read(client: &Client) -> Result<Vec<Published>, SchemaError> {
    let rows = query(client, PUBLISHED).await?;
    let one = |row: Row<'_>| {
        Ok(Published {
            name: row.text(0)?.to_owned(),
            relation: row.number(1)?,
            filter: row.optional(2)?.map(str::to_owned),
            columns: row.optional(3)?.map(|_| row.list(3)).transpose()?,
            changes: row.boolean(4)?,
            identity: row.text(5)?.to_owned(),
            keyed: row.boolean(6)?,
            key: row.list(7)?,
        })
    };
    rows.iter().map(|row| one(Row(row))).collect()
}

pub(super) async fn examine(client: &Client, catalog: &Catalog) -> Result<Vec<Finding>, SchemaError> {
    let published = read(client).await?;
    Ok(published.iter().filter_map(|table| look(table, catalog)).collect())
}

fn look(table: &Published, catalog: &Catalog) -> Option<Finding> {
    let relation = catalog.by_oid(table.relation)?;
    let encrypted = relation.columns.iter().any(|c| c.direct);
    let name = format!("{} of {}", table.name, shown(relation));
    if !encrypted || !table.changes {
        return None;
    }
    match &*table.identity {
        "d" if !table.keyed && relation.indexes.iter().any(|i| i.is_primary()) => {
            let why = "its primary key is over encrypted columns, which PostgreSQL does not know as one: UPDATE and DELETE of published rows fail";
            let advice = "ALTER TABLE ... REPLICA IDENTITY USING INDEX, over plain columns";
            Some(Finding::new(Kind::Publication, &name, Level::Fault, why, advice))
        }
        "f" => {
            let why = "with REPLICA IDENTITY FULL a subscriber compares whole rows, which fails on encrypted columns";
            let advice = "ALTER TABLE ... REPLICA IDENTITY USING INDEX, over plain columns";
            Some(Finding::new(Kind::Publication, &name, Level::Warning, why, advice))
        }
        _ => None,
    }
}
