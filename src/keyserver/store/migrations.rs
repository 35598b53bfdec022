//! The schema, in versions. Portable SQL only: what SQLite and PostgreSQL both take. (refinery 0.10 takes rusqlite up to
//! 0.40 and links another SQLite; two tables and this file do what is needed.)

use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;

use super::{Tx, Value};

/// Each version's statements, from 1. Never edited once released: changes are new versions.
const VERSIONS: &[&[&[&str]]] =
    &[&[V1], &[V2_STANDING, V2_EPOCHS, V2_ROOT_KEYS, V2_AUDIT, V2_SERVERS, V2_SEAL, V2_CLIENTS], &[V3_USAGE]];

const V1: &[&str] = &[
    "CREATE TABLE workspace (
        one BIGINT PRIMARY KEY CHECK (one = 1), service_id BYTEA NOT NULL, service_secret BYTEA NOT NULL,
        service_body BYTEA NOT NULL, service_signature BYTEA NOT NULL,
        generation BIGINT NOT NULL, revision BIGINT NOT NULL, next_kref BIGINT NOT NULL,
        audit_sequence BIGINT NOT NULL, audit_head BYTEA NOT NULL, created_ms BIGINT NOT NULL)",
    "CREATE TABLE admin_sets (
        version BIGINT PRIMARY KEY, root BYTEA NOT NULL, body BYTEA NOT NULL, signature BYTEA NOT NULL)",
    "CREATE TABLE clients (
        id BYTEA PRIMARY KEY, name TEXT NOT NULL UNIQUE, enabled BIGINT NOT NULL,
        body BYTEA NOT NULL, signer BYTEA NOT NULL, signature BYTEA NOT NULL)",
    "CREATE TABLE keysets (
        id BYTEA PRIMARY KEY, name TEXT NOT NULL UNIQUE, enabled BIGINT NOT NULL,
        body BYTEA NOT NULL, signer BYTEA NOT NULL, signature BYTEA NOT NULL)",
    "CREATE TABLE offers (
        keyset BYTEA NOT NULL, split BIGINT NOT NULL, client BYTEA NOT NULL, kref BIGINT NOT NULL, wrapped BYTEA NOT NULL,
        created_ms BIGINT NOT NULL, PRIMARY KEY (keyset, split))",
    "CREATE TABLE certificates (
        keyset BYTEA NOT NULL REFERENCES keysets (id), split BIGINT NOT NULL, epoch BIGINT NOT NULL, kref BIGINT UNIQUE,
        body BYTEA NOT NULL, signer BYTEA NOT NULL, signature BYTEA NOT NULL, PRIMARY KEY (keyset, split, epoch))",
    "CREATE TABLE grants (
        client BYTEA NOT NULL REFERENCES clients (id), keyset BYTEA NOT NULL REFERENCES keysets (id),
        body BYTEA NOT NULL, signer BYTEA NOT NULL, signature BYTEA NOT NULL, PRIMARY KEY (client, keyset))",
    "CREATE INDEX grants_of_keyset ON grants (keyset)",
    "CREATE TABLE shares (
        client BYTEA NOT NULL, keyset BYTEA NOT NULL, split BIGINT NOT NULL, epoch BIGINT NOT NULL,
        wrapped BYTEA NOT NULL, sealed BYTEA NOT NULL, PRIMARY KEY (client, keyset, split, epoch),
        FOREIGN KEY (client, keyset) REFERENCES grants (client, keyset))",
    "CREATE TABLE revocations (
        client BYTEA NOT NULL, keyset BYTEA NOT NULL, time_ms BIGINT NOT NULL, PRIMARY KEY (client, keyset))",
    "CREATE TABLE types (
        id BYTEA NOT NULL, signer BYTEA NOT NULL, body BYTEA NOT NULL, signature BYTEA NOT NULL, PRIMARY KEY (id, signer))",
    "CREATE TABLE pins (
        database_name TEXT NOT NULL, object TEXT NOT NULL, type_id BYTEA NOT NULL, client BYTEA NOT NULL,
        time_ms BIGINT NOT NULL, PRIMARY KEY (database_name, object))",
    "CREATE TABLE nonces (client BYTEA NOT NULL, nonce BYTEA NOT NULL, time_ms BIGINT NOT NULL, PRIMARY KEY (client, nonce))",
    "CREATE TABLE audit (
        sequence BIGINT PRIMARY KEY, time_ms BIGINT NOT NULL, client BYTEA NOT NULL, action TEXT NOT NULL,
        detail TEXT NOT NULL, hash BYTEA NOT NULL)",
];

/// Who must look at a change.
const V2_STANDING: &[&str] = &[
    "ALTER TABLE clients ADD COLUMN changed BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE workspace ADD COLUMN changed_all BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE workspace ADD COLUMN administered BIGINT NOT NULL DEFAULT 0",
];

/// Numbers of data epochs that were given.
const V2_EPOCHS: &[&str] = &["ALTER TABLE keysets ADD COLUMN epochs BIGINT NOT NULL DEFAULT 1"];

/// The store key, wrapped once per root key. Empty in a store of version 1 until a root key has opened it: its rows are
/// wrapped under that root key itself, which becomes the store key.
const V2_ROOT_KEYS: &[&str] = &["CREATE TABLE root_keys (
        id BIGINT PRIMARY KEY, kind TEXT NOT NULL, description TEXT NOT NULL, wrapped BYTEA NOT NULL,
        created_ms BIGINT NOT NULL)"];

/// One chain became several; the one there was goes on as the chain of changes, which bears the service's id.
const V2_AUDIT: &[&str] = &[
    "CREATE TABLE replicas (
        replica BYTEA PRIMARY KEY, started_ms BIGINT NOT NULL, sequence BIGINT NOT NULL, head BYTEA NOT NULL,
        signed_sequence BIGINT, signed_head BYTEA, signature BYTEA)",
    "CREATE TABLE audit_entries (
        replica BYTEA NOT NULL, sequence BIGINT NOT NULL, format BIGINT NOT NULL, time_ms BIGINT NOT NULL,
        client BYTEA NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL, result TEXT NOT NULL, address TEXT, version TEXT,
        hash BYTEA NOT NULL, PRIMARY KEY (replica, sequence))",
    "CREATE INDEX audit_by_time ON audit_entries (time_ms, replica, sequence)",
    "INSERT INTO replicas (replica, started_ms, sequence, head)
        SELECT service_id, created_ms, audit_sequence, audit_head FROM workspace",
    "INSERT INTO audit_entries (replica, sequence, format, time_ms, client, action, detail, result, hash)
        SELECT w.service_id, a.sequence, 1, a.time_ms, a.client, a.action, a.detail, 'ok', a.hash
        FROM audit a CROSS JOIN workspace w",
    "DROP TABLE audit",
    "ALTER TABLE workspace DROP COLUMN audit_sequence",
    "ALTER TABLE workspace DROP COLUMN audit_head",
];

/// What servers on one PostgreSQL take turns by: the number of changes, and each one's last change.
const V2_SERVERS: &[&str] = &[
    "CREATE TABLE turns (one BIGINT PRIMARY KEY CHECK (one = 1), number BIGINT NOT NULL)",
    "INSERT INTO turns (one, number) VALUES (1, 0)",
    "CREATE TABLE writers (writer BYTEA PRIMARY KEY, marker BIGINT NOT NULL, time_ms BIGINT NOT NULL)",
];

/// A restored store serves nobody until an admin says so.
const V2_SEAL: &[&str] = &["ALTER TABLE workspace ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0"];

/// When clients were last seen, and devices that wait to be let in.
const V2_CLIENTS: &[&str] = &[
    "CREATE TABLE seen (
        client BYTEA PRIMARY KEY, time_ms BIGINT NOT NULL, address TEXT NOT NULL, version TEXT NOT NULL)",
    "CREATE TABLE enrolments (
        client BYTEA PRIMARY KEY, public BYTEA NOT NULL, commitment BYTEA NOT NULL, device TEXT NOT NULL, owner TEXT NOT NULL,
        address TEXT NOT NULL, created_ms BIGINT NOT NULL, answer BYTEA NOT NULL, opening BYTEA NOT NULL, refused TEXT NOT NULL,
        approved BIGINT NOT NULL)",
];

/// What proxies told of values sealed and opened. A keyset of no bytes: of all.
const V3_USAGE: &[&str] = &[
    "CREATE TABLE usage (
        keyset BYTEA NOT NULL, scale BIGINT NOT NULL, begin_ms BIGINT NOT NULL,
        sealed BIGINT NOT NULL, opened BIGINT NOT NULL, refused BIGINT NOT NULL, PRIMARY KEY (keyset, scale, begin_ms))",
    "CREATE INDEX usage_by_time ON usage (scale, begin_ms)",
];

/// The newest version this binary knows.
pub fn newest() -> u32 {
    u32::try_from(VERSIONS.len()).expect("there are few versions")
}

/// Tables of a schema version, each after those it refers to.
pub fn tables(version: u32) -> Vec<&'static str> {
    let statements = VERSIONS.iter().take(version as usize).flat_map(|parts| parts.iter().copied().flatten());
    let mut tables = Vec::new();
    for statement in statements {
        if let Some(rest) = statement.strip_prefix("CREATE TABLE ") {
            tables.extend(rest.split_whitespace().next());
        } else if let Some(name) = statement.strip_prefix("DROP TABLE ") {
            tables.retain(|table| *table != name);
        }
    }
    tables
}

/// Makes the table of versions.
pub fn prepare(tx: &dyn Tx) -> Result<(), KeysError> {
    let sql = "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT PRIMARY KEY, applied_ms BIGINT NOT NULL)";
    tx.execute(sql, &[]).map(drop)
}

/// The version of the schema; 0 where nothing was applied yet.
pub fn version(tx: &dyn Tx) -> Result<u32, KeysError> {
    let mut rows = tx.rows("SELECT coalesce(max(version), 0) FROM schema_versions", &[])?;
    let version = rows.pop().and_then(|mut row| row.int32().ok());
    version.ok_or_else(|| tx.corrupt("the schema version is unreadable"))
}

/// Applies every version after `from` up to `until`.
pub fn apply_until(tx: &dyn Tx, from: u32, until: u32) -> Result<(), KeysError> {
    for (version, parts) in (1u32..).zip(VERSIONS).filter(|(version, _)| (from + 1..=until).contains(version)) {
        for statement in parts.iter().copied().flatten() {
            tx.execute(statement, &[])?;
        }
        let row = [Value::Int(version.into()), Value::Int(wall_ms())];
        tx.execute("INSERT INTO schema_versions (version, applied_ms) VALUES ($1, $2)", &row)?;
    }
    Ok(())
}
