//! Clients: the signed record, and whether it is enabled.

use crate::crypto::ClientId;
use crate::keys::claims::Signed;
use crate::keys::error::KeysError;

use super::super::{Row, Tx, Value, WrongCell};
use super::{all, one, signed, signed_values};

/// A client's row.
#[derive(Clone, Debug)]
pub struct ClientRow {
    /// Id.
    pub id: ClientId,
    /// The switch.
    pub enabled: bool,
    /// Its record.
    pub record: Signed,
}

const COLUMNS: &str = "SELECT id, enabled, body, signer, signature FROM clients";

fn row(row: &mut Row) -> Result<ClientRow, WrongCell> {
    Ok(ClientRow { id: ClientId(row.fixed()?), enabled: row.int()? == 1, record: signed(row)? })
}

/// All, by name.
pub fn list(tx: &dyn Tx) -> Result<Vec<ClientRow>, KeysError> {
    all(tx, "clients", &format!("{COLUMNS} ORDER BY name"), &[], row)
}

/// One.
pub fn find(tx: &dyn Tx, id: ClientId) -> Result<Option<ClientRow>, KeysError> {
    one(tx, "clients", &format!("{COLUMNS} WHERE id = $1"), &[Value::Bytes(&id.0)], row)
}

/// The revision with which something of a client last changed.
pub fn changed(tx: &dyn Tx, id: ClientId) -> Result<Option<u64>, KeysError> {
    one(tx, "clients", "SELECT changed FROM clients WHERE id = $1", &[Value::Bytes(&id.0)], |row| row.int())
}

/// Of every client: whether it is enabled, and the revision with which something of it last changed.
pub fn standings(tx: &dyn Tx) -> Result<Vec<(ClientId, bool, u64)>, KeysError> {
    all(tx, "clients", "SELECT id, enabled, changed FROM clients", &[], |row| {
        Ok((ClientId(row.fixed()?), row.int()? == 1, row.int()?))
    })
}

/// Whose name this is.
pub fn named(tx: &dyn Tx, name: &str) -> Result<Option<ClientId>, KeysError> {
    one(tx, "clients", "SELECT id FROM clients WHERE name = $1", &[Value::Text(name)], |row| Ok(ClientId(row.fixed()?)))
}

/// Adds a client, enabled, or replaces its record.
pub fn put(tx: &dyn Tx, id: ClientId, name: &str, record: &Signed) -> Result<(), KeysError> {
    let [body, signer, signature] = signed_values(record);
    let sql = "INSERT INTO clients (id, name, enabled, body, signer, signature) VALUES ($1, $2, 1, $3, $4, $5)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body, signer = excluded.signer, signature = excluded.signature";
    tx.execute(sql, &[Value::Bytes(&id.0), Value::Text(name), body, signer, signature]).map(drop)
}

/// Turns the switch.
pub fn enable(tx: &dyn Tx, id: ClientId, enabled: bool) -> Result<(), KeysError> {
    tx.execute("UPDATE clients SET enabled = $2 WHERE id = $1", &[Value::Bytes(&id.0), Value::Int(enabled.into())])
        .map(drop)
}

/// Removes a client that has no grants.
pub fn delete(tx: &dyn Tx, id: ClientId) -> Result<(), KeysError> {
    tx.execute("DELETE FROM clients WHERE id = $1", &[Value::Bytes(&id.0)]).map(drop)
}
