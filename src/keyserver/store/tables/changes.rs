//! Who must hear of a change: each client has the revision with which something last changed that concerns it, so that
//! the others are not made to look.

use crate::crypto::{ClientId, KeysetId};
use crate::keys::error::KeysError;

use super::super::{Tx, Value};
use super::workspace::advance;

/// Something of one client changed.
pub fn of_client(tx: &dyn Tx, client: ClientId) -> Result<(), KeysError> {
    let values = [Value::Int(advance(tx)?), Value::Bytes(&client.0)];
    tx.execute("UPDATE clients SET changed = $1 WHERE id = $2", &values).map(drop)
}

/// Something of a keyset changed: it concerns whoever has or had a grant of it.
pub fn of_keyset(tx: &dyn Tx, keyset: KeysetId) -> Result<(), KeysError> {
    let sql = "UPDATE clients SET changed = $1 WHERE id IN (SELECT client FROM grants WHERE keyset = $2)
        OR id IN (SELECT client FROM revocations WHERE keyset = $2)";
    tx.execute(sql, &[Value::Int(advance(tx)?), Value::Bytes(&keyset.0)]).map(drop)
}

/// Something changed that concerns every client.
pub fn of_all(tx: &dyn Tx) -> Result<(), KeysError> {
    tx.execute("UPDATE workspace SET changed_all = $1", &[Value::Int(advance(tx)?)]).map(drop)
}

/// An admin changed something: whoever decided on what was there before must look again.
pub fn by_admin(tx: &dyn Tx) -> Result<(), KeysError> {
    tx.execute("UPDATE workspace SET administered = $1", &[Value::Int(advance(tx)?)]).map(drop)
}
