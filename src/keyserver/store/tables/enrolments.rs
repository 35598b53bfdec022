//! Devices that wait to be let in. Empty bytes and texts stand for what is not there yet.

use crate::crypto::ClientId;
use crate::crypto::client_key::ClientPublic;
use crate::crypto::enrol::{Answer, Commitment, Opening};
use crate::keys::error::KeysError;

use super::super::{Row, Tx, Value, WrongCell};
use super::{all, one};

/// A waiting device.
pub struct EnrolmentRow {
    /// Its keys.
    pub public: ClientPublic,
    /// What it is bound to.
    pub commitment: Commitment,
    /// What it calls itself.
    pub device: String,
    /// Whose it is, as it says.
    pub owner: String,
    /// From where it asked.
    pub address: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// r_A.
    pub answer: Option<Answer>,
    /// r_D.
    pub opening: Option<Opening>,
    /// Why it was turned away.
    pub refused: Option<String>,
    /// It was let in.
    pub approved: bool,
}

const COLUMNS: &str =
    "SELECT public, commitment, device, owner, address, created_ms, answer, opening, refused, approved FROM enrolments";

fn row(row: &mut Row) -> Result<EnrolmentRow, WrongCell> {
    let optional = |row: &mut Row| {
        let bytes = row.bytes()?;
        if bytes.is_empty() { Ok(None) } else { bytes.try_into().map(Some).map_err(|_| WrongCell) }
    };
    Ok(EnrolmentRow {
        public: ClientPublic::from_bytes(&row.fixed()?).ok_or(WrongCell)?,
        commitment: row.fixed()?,
        device: row.text()?,
        owner: row.text()?,
        address: row.text()?,
        created_ms: row.int()?,
        answer: optional(row)?,
        opening: optional(row)?,
        refused: Some(row.text()?).filter(|why| !why.is_empty()),
        approved: row.int()? == 1,
    })
}

/// All, the oldest first.
pub fn list(tx: &dyn Tx) -> Result<Vec<EnrolmentRow>, KeysError> {
    all(tx, "enrolments", &format!("{COLUMNS} ORDER BY created_ms"), &[], row)
}

/// One that began after `since_ms`.
pub fn find(tx: &dyn Tx, client: ClientId, since_ms: u64) -> Result<Option<EnrolmentRow>, KeysError> {
    let values = [Value::Bytes(&client.0), Value::Int(since_ms)];
    one(tx, "enrolments", &format!("{COLUMNS} WHERE client = $1 AND created_ms > $2"), &values, row)
}

/// Adds a device, in place of an earlier run of the same key.
pub fn put(tx: &dyn Tx, new: &EnrolmentRow) -> Result<(), KeysError> {
    let id = new.public.client_id();
    tx.execute("DELETE FROM enrolments WHERE client = $1", &[Value::Bytes(&id.0)])?;
    let sql =
        "INSERT INTO enrolments (client, public, commitment, device, owner, address, created_ms, answer, opening, refused, approved)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, 0)";
    let values = [
        Value::Bytes(&id.0),
        Value::Bytes(&new.public.to_bytes()),
        Value::Bytes(&new.commitment),
        Value::Text(&new.device),
        Value::Text(&new.owner),
        Value::Text(&new.address),
        Value::Int(new.created_ms),
        Value::Bytes(&[]),
        Value::Text(""),
    ];
    tx.execute(sql, &values).map(drop)
}

/// Keeps the admin's answer.
pub fn answer(tx: &dyn Tx, client: ClientId, answer: &Answer) -> Result<(), KeysError> {
    let values = [Value::Bytes(answer), Value::Bytes(&client.0)];
    tx.execute("UPDATE enrolments SET answer = $1 WHERE client = $2", &values).map(drop)
}

/// Keeps what the device revealed.
pub fn reveal(tx: &dyn Tx, client: ClientId, opening: &Opening) -> Result<(), KeysError> {
    let values = [Value::Bytes(opening), Value::Bytes(&client.0)];
    tx.execute("UPDATE enrolments SET opening = $1 WHERE client = $2", &values).map(drop)
}

/// The device is let in.
pub fn approve(tx: &dyn Tx, client: ClientId) -> Result<(), KeysError> {
    tx.execute("UPDATE enrolments SET approved = 1 WHERE client = $1", &[Value::Bytes(&client.0)]).map(drop)
}

/// The device is turned away.
pub fn refuse(tx: &dyn Tx, client: ClientId, why: &str) -> Result<(), KeysError> {
    let values = [Value::Text(why), Value::Bytes(&client.0)];
    tx.execute("UPDATE enrolments SET refused = $1 WHERE client = $2", &values).map(drop)
}

/// Forgets what began before.
pub fn forget(tx: &dyn Tx, before_ms: u64) -> Result<(), KeysError> {
    tx.execute("DELETE FROM enrolments WHERE created_ms <= $1", &[Value::Int(before_ms)]).map(drop)
}
