//! The store key, wrapped once per root key that opens the store.

use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;

use super::super::{Row, Tx, Value, WrongCell};
use super::{all, one};

/// The store key under one root key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootKeyRow {
    /// Number, never used twice while its row is there.
    pub id: u64,
    /// What form `wrapped` has.
    pub kind: String,
    /// The root key as settings named it, without secrets.
    pub description: String,
    /// The wrapped store key.
    pub wrapped: Vec<u8>,
    /// Milliseconds since 1970.
    pub created_ms: u64,
}

fn row(row: &mut Row) -> Result<RootKeyRow, WrongCell> {
    Ok(RootKeyRow {
        id: row.int()?,
        kind: row.text()?,
        description: row.text()?,
        wrapped: row.bytes()?,
        created_ms: row.int()?,
    })
}

/// All, oldest first.
pub fn list(tx: &dyn Tx) -> Result<Vec<RootKeyRow>, KeysError> {
    all(tx, "root_keys", "SELECT id, kind, description, wrapped, created_ms FROM root_keys ORDER BY id", &[], row)
}

/// Adds one; its number.
pub fn insert(tx: &dyn Tx, kind: &str, description: &str, wrapped: &[u8]) -> Result<u64, KeysError> {
    let next = one(tx, "root_keys", "SELECT coalesce(max(id), 0) + 1 FROM root_keys", &[], |row| row.int())?;
    let next = next.ok_or_else(|| tx.corrupt("table root_keys cannot be counted"))?;
    let values =
        [Value::Int(next), Value::Text(kind), Value::Text(description), Value::Bytes(wrapped), Value::Int(wall_ms())];
    tx.execute(
        "INSERT INTO root_keys (id, kind, description, wrapped, created_ms) VALUES ($1, $2, $3, $4, $5)",
        &values,
    )?;
    Ok(next)
}

/// Removes one.
pub fn delete(tx: &dyn Tx, id: u64) -> Result<(), KeysError> {
    tx.execute("DELETE FROM root_keys WHERE id = $1", &[Value::Int(id)]).map(drop)
}
