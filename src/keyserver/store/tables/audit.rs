//! The audit trail: each entry's hash covers the one before, and the workspace's row holds the last.

use sha2::{Digest, Sha256};

use crate::crypto::ClientId;
use crate::keys::admin::AuditEntry;
use crate::keys::codec::Writer;
use crate::keys::error::KeysError;

use super::super::{Row, Tx, Value, WrongCell};
use super::{all, workspace};

/// Appends an entry.
pub fn append(tx: &dyn Tx, now_ms: u64, client: ClientId, action: &str, detail: &str) -> Result<(), KeysError> {
    let workspace = workspace::require(tx)?;
    let (action, detail) = (action.to_owned(), detail.to_owned());
    let mut entry =
        AuditEntry { sequence: workspace.audit_sequence + 1, time_ms: now_ms, client, action, detail, hash: [0; 32] };
    entry.hash = hash(&workspace.audit_head, &entry);
    let sql = "INSERT INTO audit (sequence, time_ms, client, action, detail, hash) VALUES ($1, $2, $3, $4, $5, $6)";
    let (sequence, time) = (Value::Int(entry.sequence), Value::Int(now_ms));
    let values = [
        sequence,
        time,
        Value::Bytes(&client.0),
        Value::Text(&entry.action),
        Value::Text(&entry.detail),
        Value::Bytes(&entry.hash),
    ];
    tx.execute(sql, &values)?;
    workspace::set_audit(tx, entry.sequence, &entry.hash)
}

/// The last `limit` entries, oldest first.
pub fn tail(tx: &dyn Tx, limit: u32) -> Result<Vec<AuditEntry>, KeysError> {
    let sql = "SELECT sequence, time_ms, client, action, detail, hash FROM audit ORDER BY sequence DESC LIMIT $1";
    let mut rows = all(tx, "audit", sql, &[Value::Int(limit.into())], row)?;
    rows.reverse();
    Ok(rows)
}

/// Entries after `sequence`, oldest first, at most `limit`.
fn after(tx: &dyn Tx, sequence: u64, limit: u32) -> Result<Vec<AuditEntry>, KeysError> {
    let sql = "SELECT sequence, time_ms, client, action, detail, hash FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2";
    all(tx, "audit", sql, &[Value::Int(sequence), Value::Int(limit.into())], row)
}

/// Walks the chain: its length, or where it does not hold.
pub fn verify(tx: &dyn Tx) -> Result<u64, KeysError> {
    const PAGE: u32 = 1000;
    let (mut last, mut head) = (0, [0; 32]);
    loop {
        let page = after(tx, last, PAGE)?;
        for entry in &page {
            if entry.sequence != last + 1 {
                return Err(KeysError::tampered(format!("the audit trail: an entry after {last} is missing")));
            }
            if hash(&head, entry) != entry.hash {
                return Err(KeysError::tampered(format!("entry {} of the audit trail", entry.sequence)));
            }
            (last, head) = (entry.sequence, entry.hash);
        }
        if page.is_empty() {
            break;
        }
    }
    let workspace = workspace::require(tx)?;
    if (workspace.audit_sequence, workspace.audit_head) == (last, head) {
        Ok(last)
    } else {
        Err(KeysError::tampered(format!(
            "the audit trail: it ends at {last}, but {} was the last entry",
            workspace.audit_sequence
        )))
    }
}

fn row(row: &mut Row) -> Result<AuditEntry, WrongCell> {
    Ok(AuditEntry {
        sequence: row.int()?,
        time_ms: row.int()?,
        client: ClientId(row.fixed()?),
        action: row.text()?,
        detail: row.text()?,
        hash: row.fixed()?,
    })
}

fn hash(previous: &[u8; 32], entry: &AuditEntry) -> [u8; 32] {
    let mut writer = Writer::new("columnseal audit entry v1");
    writer
        .fixed(previous)
        .u64(entry.sequence)
        .u64(entry.time_ms)
        .fixed(&entry.client.0)
        .text(&entry.action)
        .text(&entry.detail);
    Sha256::digest(writer.finish()).into()
}
