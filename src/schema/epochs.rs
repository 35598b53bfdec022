//! Where values of given key epochs are stored: what is looked at before an epoch is dropped.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, IsolationLevel};

use super::error::SchemaError;
use crate::crypto::Kref;

/// Columns that hold encrypted values, and whether values can be looked at one by one.
const COLUMNS: &str = "
    WITH RECURSIVE seal(oid, depth) AS (
        SELECT t.oid, 0 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = 'seal' AND t.typtype = 'c' AND EXISTS (
            SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attname = 'c' AND a.attnum > 0)
            AND EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')
        UNION
        SELECT t.oid, 1 FROM seal s JOIN pg_catalog.pg_type t ON t.typelem = s.oid OR t.typbasetype = s.oid
            OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = t.typrelid AND a.atttypid = s.oid AND a.attnum > 0 AND NOT a.attisdropped)
            OR EXISTS (SELECT FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid AND r.rngsubtype = s.oid)
    )
    SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.quote_ident(a.attname),
        pg_catalog.min(s.depth) = 0 AND c.relkind <> 'f' AND c.relpersistence <> 't'
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm', 'f')
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN seal s ON s.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped
    GROUP BY n.nspname, c.relname, a.attname, c.relkind, c.relpersistence ORDER BY 1, 2";

/// Other transactions of this database that run now. The locks on their own virtual ids are seen by every role.
const RUNNING: &str = "
    SELECT coalesce(pg_catalog.array_agg(l.virtualxid), '{}'::pg_catalog.text[])
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'virtualxid' AND l.virtualxid = l.virtualtransaction
        AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
        AND a.datname = pg_catalog.current_database() AND l.pid <> pg_catalog.pg_backend_pid()";

/// Whether some of them still run, or a prepared one waits.
const STILL: &str = "
    SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'virtualxid' AND virtualxid = ANY ($1))
        OR EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database())";

/// How long to wait for transactions that began before.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether they have ended.
const PAUSE: Duration = Duration::from_millis(100);

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Columns looked at.
    pub columns: usize,
    /// `schema.table.column` and how many of its values are of the epochs.
    pub values: Vec<(String, i64)>,
    /// Columns that hold encrypted values in arrays, composites, another session's temporary tables or elsewhere, where this
    /// cannot look.
    pub unseen: Vec<String>,
}

/// Counts values of the epochs with these numbers, in all tables of a database, once every transaction has ended that began
/// before: it may have written some that nobody else can see yet. Not cancel safe: the connection is in a transaction. Reads
/// every row of every encrypted column.
///
/// # Errors
/// [`SchemaError::StillOpen`]; the database's, among them that row security hides rows from the role.
pub async fn values_of(client: &mut Client, krefs: &[Kref]) -> Result<Found, SchemaError> {
    earlier_ended(client).await?;
    let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
    // Rows that a policy hides would be lost: an error is wanted instead.
    tx.batch_execute("SET LOCAL row_security = off; SET LOCAL search_path = pg_catalog").await?;
    let numbers: Vec<Vec<u8>> = krefs.iter().map(|kref| kref.0.to_be_bytes().to_vec()).collect();
    let mut found = Found::default();
    for row in tx.query(COLUMNS, &[]).await? {
        let (table, column, plain): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        let name = format!("{table}.{column}");
        if !plain {
            found.unseen.push(name);
            continue;
        }
        let sql =
            format!("SELECT count(*) FROM ONLY {table} t WHERE substring((t.{column}).c FROM 4 FOR 4) = ANY ($1)");
        let count: i64 = tx.query_one(&sql, &[&numbers]).await?.get(0);
        found.columns += 1;
        if count > 0 {
            found.values.push((name, count));
        }
    }
    tx.commit().await?;
    Ok(found)
}

async fn earlier_ended(client: &Client) -> Result<(), SchemaError> {
    let running: Vec<String> = client.query_one(RUNNING, &[]).await?.get(0);
    let begin = Instant::now();
    while client.query_one(STILL, &[&running]).await?.get(0) {
        if begin.elapsed() >= PATIENCE {
            return Err(SchemaError::StillOpen);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
