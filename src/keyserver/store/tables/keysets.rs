//! Keysets: the signed record, certificates of their epochs, and offers that are not published yet.

use crate::crypto::{ClientId, Epoch, KeysetId, Kref};
use crate::keys::claims::{Certificate, Signed, Split};
use crate::keys::error::KeysError;

use super::super::{Row, Tx, Value, WrongCell};
use super::{all, one, signed, signed_values};

/// A keyset's row.
#[derive(Clone, Debug)]
pub struct KeysetRow {
    /// Id.
    pub id: KeysetId,
    /// Name.
    pub name: String,
    /// The switch.
    pub enabled: bool,
    /// Its record.
    pub record: Signed,
}

/// The service's wrapped half of an offered keyset.
pub struct OfferRow {
    /// To whom it was offered.
    pub client: ClientId,
    /// Its number.
    pub kref: Kref,
    /// s_A, wrapped.
    pub wrapped: Vec<u8>,
}

const COLUMNS: &str = "SELECT id, name, enabled, body, signer, signature FROM keysets";

fn row(row: &mut Row) -> Result<KeysetRow, WrongCell> {
    Ok(KeysetRow { id: KeysetId(row.fixed()?), name: row.text()?, enabled: row.int()? == 1, record: signed(row)? })
}

/// All, by name.
pub fn list(tx: &dyn Tx) -> Result<Vec<KeysetRow>, KeysError> {
    all(tx, "keysets", &format!("{COLUMNS} ORDER BY name"), &[], row)
}

/// One.
pub fn find(tx: &dyn Tx, id: KeysetId) -> Result<Option<KeysetRow>, KeysError> {
    one(tx, "keysets", &format!("{COLUMNS} WHERE id = $1"), &[Value::Bytes(&id.0)], row)
}

/// One, by name.
pub fn named(tx: &dyn Tx, name: &str) -> Result<Option<KeysetRow>, KeysError> {
    one(tx, "keysets", &format!("{COLUMNS} WHERE name = $1"), &[Value::Text(name)], row)
}

/// The keyset whose data epoch has this number, and the epoch.
pub fn of_kref(tx: &dyn Tx, kref: Kref) -> Result<Option<(KeysetId, Epoch)>, KeysError> {
    let sql = "SELECT keyset, epoch FROM certificates WHERE kref = $1";
    one(tx, "certificates", sql, &[Value::Int(kref.0.into())], |row| Ok((KeysetId(row.fixed()?), Epoch(row.int32()?))))
}

/// Adds a keyset, enabled, or replaces its record.
pub fn put(tx: &dyn Tx, id: KeysetId, name: &str, record: &Signed) -> Result<(), KeysError> {
    let [body, signer, signature] = signed_values(record);
    let sql = "INSERT INTO keysets (id, name, enabled, body, signer, signature) VALUES ($1, $2, 1, $3, $4, $5)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body, signer = excluded.signer, signature = excluded.signature";
    tx.execute(sql, &[Value::Bytes(&id.0), Value::Text(name), body, signer, signature]).map(drop)
}

/// Turns the switch.
pub fn enable(tx: &dyn Tx, id: KeysetId, enabled: bool) -> Result<(), KeysError> {
    tx.execute("UPDATE keysets SET enabled = $2 WHERE id = $1", &[Value::Bytes(&id.0), Value::Int(enabled.into())])
        .map(drop)
}

/// Certificates of all epochs, data before index.
pub fn certificates(tx: &dyn Tx, keyset: KeysetId) -> Result<Vec<Signed>, KeysError> {
    let sql = "SELECT body, signer, signature FROM certificates WHERE keyset = $1 ORDER BY split, epoch";
    all(tx, "certificates", sql, &[Value::Bytes(&keyset.0)], signed)
}

/// Keyset, number and signature of every certificate that a client's grants rest on.
pub fn certificates_of(tx: &dyn Tx, client: ClientId) -> Result<Vec<(KeysetId, Option<Kref>, [u8; 64])>, KeysError> {
    let sql =
        "SELECT c.keyset, coalesce(c.kref, 0), c.signature FROM grants g JOIN certificates c ON c.keyset = g.keyset
        WHERE g.client = $1 ORDER BY c.keyset, c.split, c.epoch";
    all(tx, "certificates", sql, &[Value::Bytes(&client.0)], |row| {
        let (keyset, kref) = (KeysetId(row.fixed()?), row.int32()?);
        Ok((keyset, Some(Kref(kref)).filter(|kref| kref.0 != 0), row.fixed()?))
    })
}

/// Numbers of all data epochs.
pub fn krefs(tx: &dyn Tx, keyset: KeysetId) -> Result<Vec<Kref>, KeysError> {
    let sql = "SELECT kref FROM certificates WHERE keyset = $1 AND kref IS NOT NULL ORDER BY kref";
    all(tx, "certificates", sql, &[Value::Bytes(&keyset.0)], |row| Ok(Kref(row.int32()?)))
}

/// Adds a certificate.
pub fn insert_certificate(tx: &dyn Tx, certificate: &Certificate, proof: &Signed) -> Result<(), KeysError> {
    let [body, signer, signature] = signed_values(proof);
    let kref = certificate.kref.map_or(Value::Null, |kref| Value::Int(kref.0.into()));
    let (split, epoch) = (Value::Int(certificate.split.code().into()), Value::Int(certificate.epoch.0.into()));
    let sql = "INSERT INTO certificates (keyset, split, epoch, kref, body, signer, signature) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    tx.execute(sql, &[Value::Bytes(&certificate.keyset.0), split, epoch, kref, body, signer, signature]).map(drop)
}

/// The number of a keyset's next data epoch. None is given twice, also not those of epochs that were abandoned.
pub fn next_epoch(tx: &dyn Tx, keyset: KeysetId) -> Result<Epoch, KeysError> {
    let sql = "SELECT epochs + 1 FROM keysets WHERE id = $1";
    let next = one(tx, "keysets", sql, &[Value::Bytes(&keyset.0)], |row| row.int32())?;
    next.map(Epoch).ok_or_else(|| KeysError::UnknownKeyset { keyset: keyset.to_string() })
}

/// Takes the number of a data epoch.
pub fn use_epoch(tx: &dyn Tx, keyset: KeysetId, epoch: Epoch) -> Result<(), KeysError> {
    let sql = "UPDATE keysets SET epochs = $1 WHERE id = $2";
    tx.execute(sql, &[Value::Int(epoch.0.into()), Value::Bytes(&keyset.0)]).map(drop)
}

/// Removes the certificate of a data epoch.
pub fn delete_certificate(tx: &dyn Tx, keyset: KeysetId, epoch: Epoch) -> Result<(), KeysError> {
    let sql = "DELETE FROM certificates WHERE keyset = $1 AND split = $2 AND epoch = $3";
    let split = Value::Int(Split::Data.code().into());
    tx.execute(sql, &[Value::Bytes(&keyset.0), split, Value::Int(epoch.0.into())]).map(drop)
}

/// Puts another signature to a certificate.
pub fn sign_certificate(tx: &dyn Tx, certificate: &Certificate, proof: &Signed) -> Result<(), KeysError> {
    let [_, signer, signature] = signed_values(proof);
    let (split, epoch) = (Value::Int(certificate.split.code().into()), Value::Int(certificate.epoch.0.into()));
    let sql = "UPDATE certificates SET signer = $1, signature = $2 WHERE keyset = $3 AND split = $4 AND epoch = $5";
    tx.execute(sql, &[signer, signature, Value::Bytes(&certificate.keyset.0), split, epoch]).map(drop)
}

/// Adds one half of an offer.
pub fn insert_offer(
    tx: &dyn Tx,
    keyset: KeysetId,
    split: Split,
    offer: &OfferRow,
    now_ms: u64,
) -> Result<(), KeysError> {
    let sql = "INSERT INTO offers (keyset, split, client, kref, wrapped, created_ms) VALUES ($1, $2, $3, $4, $5, $6)";
    let (split, kref) = (Value::Int(split.code().into()), Value::Int(offer.kref.0.into()));
    let values = [
        Value::Bytes(&keyset.0),
        split,
        Value::Bytes(&offer.client.0),
        kref,
        Value::Bytes(&offer.wrapped),
        Value::Int(now_ms),
    ];
    tx.execute(sql, &values).map(drop)
}

/// One half of an offer.
pub fn offer(tx: &dyn Tx, keyset: KeysetId, split: Split) -> Result<Option<OfferRow>, KeysError> {
    let sql = "SELECT client, kref, wrapped FROM offers WHERE keyset = $1 AND split = $2";
    one(tx, "offers", sql, &[Value::Bytes(&keyset.0), Value::Int(split.code().into())], |row| {
        Ok(OfferRow { client: ClientId(row.fixed()?), kref: Kref(row.int32()?), wrapped: row.bytes()? })
    })
}

/// Removes an offer, and any made before `forget_ms`.
pub fn drop_offers(tx: &dyn Tx, keyset: KeysetId, forget_ms: u64) -> Result<(), KeysError> {
    let sql = "DELETE FROM offers WHERE keyset = $1 OR created_ms < $2";
    tx.execute(sql, &[Value::Bytes(&keyset.0), Value::Int(forget_ms)]).map(drop)
}
