//! The workspace's one row, its admin sets, and the nonces of requests that changed something.

use crate::crypto::sign::Signature;
use crate::crypto::{ClientId, Kref, random};
use crate::keys::audit::ReplicaId;
use crate::keys::claims::RootSigned;
use crate::keys::error::KeysError;
use crate::keys::request::ServiceId;
use crate::keys::service::Revision;

use super::super::{Tx, Value};
use super::{all, audit, one};

/// Fewest numbers for envelopes that a restore passes over, as long as there are so many: no store gives more between a backup
/// and its loss.
const LEAP: u32 = 1 << 20;

/// The workspace's row.
pub struct WorkspaceRow {
    /// Which service this is.
    pub service: ServiceId,
    /// The service's two keys, wrapped.
    pub service_secret: Vec<u8>,
    /// The service's record: bytes and the root's signature.
    pub service_record: (Vec<u8>, Signature),
    /// How new the state is.
    pub revision: Revision,
    /// The revision with which something last changed that concerns every client.
    pub changed_all: u64,
    /// The revision of the last change by an admin.
    pub administered: u64,
    /// It was restored, and no admin has acknowledged that yet.
    pub sealed: bool,
}

/// The row, if the workspace was made.
pub fn find(tx: &dyn Tx) -> Result<Option<WorkspaceRow>, KeysError> {
    let sql = "SELECT service_id, service_secret, service_body, service_signature, generation, revision, changed_all, administered, sealed FROM workspace";
    one(tx, "workspace", sql, &[], |row| {
        Ok(WorkspaceRow {
            service: ServiceId(row.fixed()?),
            service_secret: row.bytes()?,
            service_record: (row.bytes()?, Signature(row.fixed()?)),
            revision: Revision { generation: row.int()?, revision: row.int()? },
            changed_all: row.int()?,
            administered: row.int()?,
            sealed: row.int()? != 0,
        })
    })
}

/// The row; a store without one is unfinished.
pub fn require(tx: &dyn Tx) -> Result<WorkspaceRow, KeysError> {
    find(tx)?.ok_or_else(|| tx.corrupt("it holds no workspace: `columnseal init` did not finish"))
}

/// Makes the row, and the chain of changes.
pub fn insert(tx: &dyn Tx, id: ServiceId, secret: &[u8], record: &RootSigned, now_ms: u64) -> Result<(), KeysError> {
    let sql =
        "INSERT INTO workspace (one, service_id, service_secret, service_body, service_signature, generation, revision,
        next_kref, sealed, created_ms) VALUES (1, $1, $2, $3, $4, 1, 1, 1, 0, $5)";
    let (body, signature) = (Value::Bytes(&record.body), Value::Bytes(&record.signature.0));
    let secret = Value::Bytes(secret);
    tx.execute(sql, &[Value::Bytes(&id.0), secret, body, signature, Value::Int(now_ms)])?;
    audit::open_chain(tx, ReplicaId(id.0), now_ms)
}

/// Counts a change; the new revision.
pub fn advance(tx: &dyn Tx) -> Result<u64, KeysError> {
    tx.execute("UPDATE workspace SET revision = revision + 1", &[])?;
    Ok(require(tx)?.revision.revision)
}

/// Takes the next number for envelopes. A number is never given twice, also not of offers that were dropped.
pub fn take_kref(tx: &dyn Tx) -> Result<Kref, KeysError> {
    let next = one(tx, "workspace", "SELECT next_kref FROM workspace", &[], |row| row.int32())?;
    let next = next.filter(|next| *next != 0).ok_or_else(|| tx.corrupt("it holds no workspace"))?;
    tx.execute("UPDATE workspace SET next_kref = next_kref + 1", &[])?;
    Ok(Kref(next))
}

/// Marks the store as restored: it serves nobody. The generation tells clients that what they saw is another history; it is
/// the time of the restore, so that a backup that is restored twice makes two. Numbers for envelopes go on far from those
/// that were given since the backup, by the store that is lost or by an earlier restore: their values would be taken for others.
pub fn seal(tx: &dyn Tx, now_ms: u64) -> Result<(), KeysError> {
    let next = one(tx, "workspace", "SELECT next_kref FROM workspace", &[], |row| row.int32())?;
    let room = u32::MAX - next.ok_or_else(|| tx.corrupt("it holds no workspace"))?;
    let chance = random::array()?;
    let leap = LEAP.min(room / 16) + u32::from_be_bytes(chance) % (room / 16 + 1);
    let sql = "UPDATE workspace SET sealed = 1, generation = CASE WHEN generation < $1 THEN $1 ELSE generation + 1 END,
        next_kref = next_kref + $2, revision = revision + 1, changed_all = revision + 1";
    tx.execute(sql, &[Value::Int(now_ms), Value::Int(leap.into())]).map(drop)
}

/// Lets the store serve again.
pub fn unseal(tx: &dyn Tx) -> Result<(), KeysError> {
    tx.execute("UPDATE workspace SET sealed = 0, revision = revision + 1, changed_all = revision + 1", &[]).map(drop)
}

/// The newest admin set.
pub fn admins(tx: &dyn Tx) -> Result<RootSigned, KeysError> {
    admins_and_seal(tx).map(|(admins, _)| admins)
}

/// The newest admin set, and whether the store is sealed.
pub fn admins_and_seal(tx: &dyn Tx) -> Result<(RootSigned, bool), KeysError> {
    let sql =
        "SELECT root, body, signature, (SELECT sealed FROM workspace) FROM admin_sets ORDER BY version DESC LIMIT 1";
    let found = one(tx, "admin_sets", sql, &[], |row| {
        let set = RootSigned { root: row.fixed()?, body: row.bytes()?, signature: Signature(row.fixed()?) };
        Ok((set, row.int()? != 0))
    })?;
    found.ok_or_else(|| tx.corrupt("it holds no admin set"))
}

/// Adds an admin set.
pub fn insert_admins(tx: &dyn Tx, version: u32, set: &RootSigned) -> Result<(), KeysError> {
    let values =
        [Value::Int(version.into()), Value::Bytes(&set.root), Value::Bytes(&set.body), Value::Bytes(&set.signature.0)];
    tx.execute("INSERT INTO admin_sets (version, root, body, signature) VALUES ($1, $2, $3, $4)", &values).map(drop)
}

/// Uses up a nonce. `false`: it was used before. Those of requests before `forget_ms` are forgotten.
pub fn use_nonce(
    tx: &dyn Tx,
    client: ClientId,
    nonce: &[u8; 16],
    time_ms: u64,
    forget_ms: u64,
) -> Result<bool, KeysError> {
    tx.execute("DELETE FROM nonces WHERE time_ms < $1", &[Value::Int(forget_ms)])?;
    let values = [Value::Bytes(&client.0), Value::Bytes(nonce), Value::Int(time_ms)];
    let seen = all(tx, "nonces", "SELECT time_ms FROM nonces WHERE client = $1 AND nonce = $2", &values[..2], |row| {
        row.int()
    })?;
    if !seen.is_empty() {
        return Ok(false);
    }
    tx.execute("INSERT INTO nonces (client, nonce, time_ms) VALUES ($1, $2, $3)", &values)?;
    Ok(true)
}
