//! Signed type definitions, and pins.

use crate::crypto::{ClientId, TypeId};
use crate::keys::claims::Signed;
use crate::keys::error::KeysError;
use crate::keys::service::PinnedObject;

use super::super::{Tx, Value};
use super::{all, one, signed, signed_values};

/// All definitions, by id.
pub fn list(tx: &dyn Tx) -> Result<Vec<(TypeId, Signed)>, KeysError> {
    let sql = "SELECT id, body, signer, signature FROM types ORDER BY id, signer";
    all(tx, "types", sql, &[], |row| Ok((TypeId(row.fixed()?), signed(row)?)))
}

/// All definitions of one type.
pub fn of(tx: &dyn Tx, id: TypeId) -> Result<Vec<Signed>, KeysError> {
    all(tx, "types", "SELECT body, signer, signature FROM types WHERE id = $1", &[Value::Bytes(&id.0)], signed)
}

/// Adds a definition; its signer must have none of this type.
pub fn insert(tx: &dyn Tx, id: TypeId, definition: &Signed) -> Result<(), KeysError> {
    let [body, signer, signature] = signed_values(definition);
    let sql = "INSERT INTO types (id, signer, body, signature) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, &[Value::Bytes(&id.0), signer, body, signature]).map(drop)
}

/// Removes one signer's definition.
pub fn delete(tx: &dyn Tx, id: TypeId, signer: ClientId) -> Result<(), KeysError> {
    tx.execute("DELETE FROM types WHERE id = $1 AND signer = $2", &[Value::Bytes(&id.0), Value::Bytes(&signer.0)])
        .map(drop)
}

/// Pins with their databases: of one database, or of all.
pub fn pins(tx: &dyn Tx, database: Option<&str>) -> Result<Vec<(String, PinnedObject)>, KeysError> {
    let sql = "SELECT database_name, object, type_id FROM pins";
    let (sql, values) = match &database {
        None => (format!("{sql} ORDER BY database_name, object"), Vec::new()),
        Some(name) => (format!("{sql} WHERE database_name = $1 ORDER BY object"), vec![Value::Text(name)]),
    };
    all(tx, "pins", &sql, &values, |row| {
        Ok((row.text()?, PinnedObject { object: row.text()?, type_id: TypeId(row.fixed()?) }))
    })
}

/// The type that an object is pinned to.
pub fn pin(tx: &dyn Tx, database: &str, object: &str) -> Result<Option<TypeId>, KeysError> {
    let sql = "SELECT type_id FROM pins WHERE database_name = $1 AND object = $2";
    one(tx, "pins", sql, &[Value::Text(database), Value::Text(object)], |row| Ok(TypeId(row.fixed()?)))
}

/// Adds a pin.
pub fn insert_pin(
    tx: &dyn Tx,
    database: &str,
    pin: &PinnedObject,
    client: ClientId,
    now_ms: u64,
) -> Result<(), KeysError> {
    let sql = "INSERT INTO pins (database_name, object, type_id, client, time_ms) VALUES ($1, $2, $3, $4, $5)";
    let (name, object) = (Value::Text(database), Value::Text(&pin.object));
    tx.execute(sql, &[name, object, Value::Bytes(&pin.type_id.0), Value::Bytes(&client.0), Value::Int(now_ms)])
        .map(drop)
}

/// Pins a pinned object to another type. `false`: it was not pinned.
pub fn move_pin(
    tx: &dyn Tx,
    database: &str,
    to: &PinnedObject,
    client: ClientId,
    now_ms: u64,
) -> Result<bool, KeysError> {
    let sql = "UPDATE pins SET type_id = $3, client = $4, time_ms = $5 WHERE database_name = $1 AND object = $2";
    let (name, object) = (Value::Text(database), Value::Text(&to.object));
    let values = [name, object, Value::Bytes(&to.type_id.0), Value::Bytes(&client.0), Value::Int(now_ms)];
    Ok(tx.execute(sql, &values)? > 0)
}

/// Removes a pin. `false`: there was none.
pub fn delete_pin(tx: &dyn Tx, database: &str, object: &str) -> Result<bool, KeysError> {
    let sql = "DELETE FROM pins WHERE database_name = $1 AND object = $2";
    Ok(tx.execute(sql, &[Value::Text(database), Value::Text(object)])? > 0)
}
