//! When and from where clients were last seen.

use crate::crypto::ClientId;
use crate::keys::admin::Seen;
use crate::keys::error::KeysError;
use crate::keys::request::Origin;

use super::super::{Row, Tx, Value, WrongCell};
use super::{all, one};

/// Longest address or version that is kept, in characters.
const MAX_TEXT: usize = 64;

fn row(row: &mut Row) -> Result<(ClientId, Seen), WrongCell> {
    let (client, time_ms) = (ClientId(row.fixed()?), row.int()?);
    let mut text = || row.text().map(|text| Some(text).filter(|text| !text.is_empty()));
    Ok((client, Seen { time_ms, address: text()?, version: text()? }))
}

/// All clients that were ever seen.
pub fn list(tx: &dyn Tx) -> Result<Vec<(ClientId, Seen)>, KeysError> {
    all(tx, "seen", "SELECT client, time_ms, address, version FROM seen", &[], row)
}

/// One client.
pub fn find(tx: &dyn Tx, client: ClientId) -> Result<Option<Seen>, KeysError> {
    let sql = "SELECT client, time_ms, address, version FROM seen WHERE client = $1";
    Ok(one(tx, "seen", sql, &[Value::Bytes(&client.0)], row)?.map(|(_, seen)| seen))
}

/// Notes a client.
pub fn put(tx: &dyn Tx, client: ClientId, origin: &Origin, now_ms: u64) -> Result<(), KeysError> {
    let short = |text: &Option<String>| text.iter().flat_map(|text| text.chars()).take(MAX_TEXT).collect::<String>();
    let (address, version) = (short(&origin.address), short(&origin.version));
    let sql = "INSERT INTO seen (client, time_ms, address, version) VALUES ($1, $2, $3, $4)
        ON CONFLICT (client) DO UPDATE SET time_ms = excluded.time_ms, address = excluded.address, version = excluded.version";
    let values = [Value::Bytes(&client.0), Value::Int(now_ms), Value::Text(&address), Value::Text(&version)];
    tx.execute(sql, &values).map(drop)
}

/// Forgets a client.
pub fn delete(tx: &dyn Tx, client: ClientId) -> Result<(), KeysError> {
    tx.execute("DELETE FROM seen WHERE client = $1", &[Value::Bytes(&client.0)]).map(drop)
}
