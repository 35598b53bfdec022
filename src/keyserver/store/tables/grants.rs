//! Grants, the wrapped server shares and sealed client shares that belong to them, and what was revoked.

use crate::crypto::{ClientId, Epoch, KeysetId};
use crate::keys::claims::{Signed, Split};
use crate::keys::error::KeysError;
use crate::keys::service::SealedShare;
use crate::keys::usage::MAX_USES;

use super::super::{Row, Tx, Value, WrongCell};
use super::{all, one, signed, signed_values};

/// A grant's row.
#[derive(Clone, Debug)]
pub struct GrantRow {
    /// To whom.
    pub client: ClientId,
    /// Of what.
    pub keyset: KeysetId,
    /// The grant.
    pub grant: Signed,
}

const COLUMNS: &str = "SELECT client, keyset, body, signer, signature FROM grants";

fn row(row: &mut Row) -> Result<GrantRow, WrongCell> {
    Ok(GrantRow { client: ClientId(row.fixed()?), keyset: KeysetId(row.fixed()?), grant: signed(row)? })
}

/// All.
pub fn list(tx: &dyn Tx) -> Result<Vec<GrantRow>, KeysError> {
    all(tx, "grants", COLUMNS, &[], row)
}

/// A client's.
pub fn of_client(tx: &dyn Tx, client: ClientId) -> Result<Vec<GrantRow>, KeysError> {
    all(tx, "grants", &format!("{COLUMNS} WHERE client = $1 ORDER BY keyset"), &[Value::Bytes(&client.0)], row)
}

/// A keyset's.
pub fn of_keyset(tx: &dyn Tx, keyset: KeysetId) -> Result<Vec<GrantRow>, KeysError> {
    all(tx, "grants", &format!("{COLUMNS} WHERE keyset = $1 ORDER BY client"), &[Value::Bytes(&keyset.0)], row)
}

/// What a list of a client's keysets shows of one.
pub struct OverviewRow {
    /// The keyset.
    pub keyset: KeysetId,
    /// Its name.
    pub name: String,
    /// Its switch.
    pub enabled: bool,
    /// Of its record.
    pub keyset_signature: [u8; 64],
    /// The grant's bytes.
    pub grant_body: Vec<u8>,
    /// Of the grant.
    pub grant_signature: [u8; 64],
}

/// A client's keysets.
pub fn overview(tx: &dyn Tx, client: ClientId) -> Result<Vec<OverviewRow>, KeysError> {
    let sql = "SELECT k.id, k.name, k.enabled, k.signature, g.body, g.signature FROM grants g JOIN keysets k ON k.id = g.keyset
        WHERE g.client = $1 ORDER BY k.name";
    all(tx, "grants", sql, &[Value::Bytes(&client.0)], |row| {
        Ok(OverviewRow {
            keyset: KeysetId(row.fixed()?),
            name: row.text()?,
            enabled: row.int()? == 1,
            keyset_signature: row.fixed()?,
            grant_body: row.bytes()?,
            grant_signature: row.fixed()?,
        })
    })
}

/// One.
pub fn find(tx: &dyn Tx, client: ClientId, keyset: KeysetId) -> Result<Option<GrantRow>, KeysError> {
    let key = [Value::Bytes(&client.0), Value::Bytes(&keyset.0)];
    one(tx, "grants", &format!("{COLUMNS} WHERE client = $1 AND keyset = $2"), &key, row)
}

/// Which of these keysets a client has, up to the [`MAX_USES`] first.
pub fn held(tx: &dyn Tx, client: ClientId, keysets: &[KeysetId]) -> Result<Vec<KeysetId>, KeysError> {
    let keysets = &keysets[..keysets.len().min(MAX_USES)];
    let Some(first) = keysets.first() else { return Ok(Vec::new()) };
    // Few statements are prepared: the number of places is a power of two, and the first fills those that are left.
    let places = keysets.len().next_power_of_two();
    let names = (2..places + 2).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let filled = keysets.iter().chain(std::iter::repeat(first)).take(places);
    let values = std::iter::once(&client.0).chain(filled.map(|keyset| &keyset.0));
    let values = values.map(|id| Value::Bytes(id)).collect::<Vec<_>>();
    let sql = format!("SELECT keyset FROM grants WHERE client = $1 AND keyset IN ({names})");
    all(tx, "grants", &sql, &values, |row| Ok(KeysetId(row.fixed()?)))
}

/// Adds a grant; there must be none. What was revoked before no longer counts.
pub fn insert(tx: &dyn Tx, client: ClientId, keyset: KeysetId, grant: &Signed) -> Result<(), KeysError> {
    let [body, signer, signature] = signed_values(grant);
    let key = [Value::Bytes(&client.0), Value::Bytes(&keyset.0)];
    let sql = "INSERT INTO grants (client, keyset, body, signer, signature) VALUES ($1, $2, $3, $4, $5)";
    tx.execute(sql, &[key[0], key[1], body, signer, signature])?;
    tx.execute("DELETE FROM revocations WHERE client = $1 AND keyset = $2", &key).map(drop)
}

/// Removes a grant and its shares.
pub fn delete(tx: &dyn Tx, client: ClientId, keyset: KeysetId) -> Result<(), KeysError> {
    let key = [Value::Bytes(&client.0), Value::Bytes(&keyset.0)];
    tx.execute("DELETE FROM shares WHERE client = $1 AND keyset = $2", &key)?;
    tx.execute("DELETE FROM grants WHERE client = $1 AND keyset = $2", &key).map(drop)
}

/// Remembers that a grant was taken away.
pub fn insert_revocation(tx: &dyn Tx, client: ClientId, keyset: KeysetId, now_ms: u64) -> Result<(), KeysError> {
    let sql = "INSERT INTO revocations (client, keyset, time_ms) VALUES ($1, $2, $3)
        ON CONFLICT (client, keyset) DO UPDATE SET time_ms = excluded.time_ms";
    tx.execute(sql, &[Value::Bytes(&client.0), Value::Bytes(&keyset.0), Value::Int(now_ms)]).map(drop)
}

/// Keysets whose grant was taken from a client.
pub fn revoked(tx: &dyn Tx, client: ClientId) -> Result<Vec<KeysetId>, KeysError> {
    let sql = "SELECT keyset FROM revocations WHERE client = $1";
    all(tx, "revocations", sql, &[Value::Bytes(&client.0)], |row| Ok(KeysetId(row.fixed()?)))
}

/// Forgets a client's revocations.
pub fn forget_revocations(tx: &dyn Tx, client: ClientId) -> Result<(), KeysError> {
    tx.execute("DELETE FROM revocations WHERE client = $1", &[Value::Bytes(&client.0)]).map(drop)
}

/// Adds both halves of a share: the server's, wrapped, and the client's, sealed.
pub fn insert_share(
    tx: &dyn Tx,
    client: ClientId,
    keyset: KeysetId,
    wrapped: &[u8],
    sealed: &SealedShare,
) -> Result<(), KeysError> {
    let sql = "INSERT INTO shares (client, keyset, split, epoch, wrapped, sealed) VALUES ($1, $2, $3, $4, $5, $6)";
    let (split, epoch) = (Value::Int(sealed.split.code().into()), Value::Int(sealed.epoch.0.into()));
    let values = [
        Value::Bytes(&client.0),
        Value::Bytes(&keyset.0),
        split,
        epoch,
        Value::Bytes(wrapped),
        Value::Bytes(&sealed.sealed),
    ];
    tx.execute(sql, &values).map(drop)
}

/// Replaces a grant's words and signature; its shares stay.
pub fn sign(tx: &dyn Tx, client: ClientId, keyset: KeysetId, grant: &Signed) -> Result<(), KeysError> {
    let [body, signer, signature] = signed_values(grant);
    let sql = "UPDATE grants SET body = $1, signer = $2, signature = $3 WHERE client = $4 AND keyset = $5";
    tx.execute(sql, &[body, signer, signature, Value::Bytes(&client.0), Value::Bytes(&keyset.0)]).map(drop)
}

/// Replaces the server's wrapped share.
pub fn rewrap(
    tx: &dyn Tx,
    (client, keyset): (ClientId, KeysetId),
    (split, epoch): (Split, Epoch),
    wrapped: &[u8],
) -> Result<(), KeysError> {
    let sql = "UPDATE shares SET wrapped = $1 WHERE client = $2 AND keyset = $3 AND split = $4 AND epoch = $5";
    let (split, epoch) = (Value::Int(split.code().into()), Value::Int(epoch.0.into()));
    tx.execute(sql, &[Value::Bytes(wrapped), Value::Bytes(&client.0), Value::Bytes(&keyset.0), split, epoch]).map(drop)
}

/// The server's wrapped share.
pub fn wrapped(
    tx: &dyn Tx,
    client: ClientId,
    keyset: KeysetId,
    split: Split,
    epoch: Epoch,
) -> Result<Option<Vec<u8>>, KeysError> {
    let sql = "SELECT wrapped FROM shares WHERE client = $1 AND keyset = $2 AND split = $3 AND epoch = $4";
    let key =
        [Value::Bytes(&client.0), Value::Bytes(&keyset.0), Value::Int(split.code().into()), Value::Int(epoch.0.into())];
    one(tx, "shares", sql, &key, |row| row.bytes())
}

/// The client's sealed shares.
pub fn sealed(tx: &dyn Tx, client: ClientId, keyset: KeysetId) -> Result<Vec<SealedShare>, KeysError> {
    let sql = "SELECT split, epoch, sealed FROM shares WHERE client = $1 AND keyset = $2 ORDER BY split, epoch";
    all(tx, "shares", sql, &[Value::Bytes(&client.0), Value::Bytes(&keyset.0)], |row| {
        let split = u8::try_from(row.int()?).ok().and_then(Split::from_code).ok_or(WrongCell)?;
        Ok(SealedShare { split, epoch: Epoch(row.int32()?), sealed: row.bytes()? })
    })
}

/// Removes everybody's shares of data epochs before this one.
pub fn delete_shares_before(tx: &dyn Tx, keyset: KeysetId, epoch: Epoch) -> Result<(), KeysError> {
    let sql = "DELETE FROM shares WHERE keyset = $1 AND split = $2 AND epoch < $3";
    tx.execute(sql, &data_epoch(&keyset, epoch)).map(drop)
}

/// Removes everybody's shares of one data epoch.
pub fn delete_shares_of(tx: &dyn Tx, keyset: KeysetId, epoch: Epoch) -> Result<(), KeysError> {
    let sql = "DELETE FROM shares WHERE keyset = $1 AND split = $2 AND epoch = $3";
    tx.execute(sql, &data_epoch(&keyset, epoch)).map(drop)
}

fn data_epoch(keyset: &KeysetId, epoch: Epoch) -> [Value<'_>; 3] {
    [Value::Bytes(&keyset.0), Value::Int(Split::Data.code().into()), Value::Int(epoch.0.into())]
}
