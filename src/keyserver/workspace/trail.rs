//! The audit trail.

use crate::keys::admin::{AuditEntry, GetAudit, VerifyAudit};
use crate::keys::clock::rfc3339;
use crate::keys::error::KeysError;

use super::{AuditInfo, Workspace};

impl Workspace {
    /// The last `limit` lines of the audit trail, oldest first.
    pub fn audit_tail(&self, limit: u32) -> Result<Vec<AuditInfo>, KeysError> {
        let rows = self.ask(&GetAudit { limit })?;
        let info = |row: AuditEntry| AuditInfo {
            chain: row.replica.to_string(),
            sequence: row.sequence,
            time: rfc3339(row.time_ms),
            client: row.client.to_string(),
            action: row.action,
            detail: row.detail,
            result: row.result,
            address: row.address,
            version: row.version,
            hash: hex::encode(row.hash),
        };
        Ok(rows.into_iter().map(info).collect())
    }

    /// Walks the whole audit chain; the number of entries, or where it breaks.
    pub fn audit_verify(&self) -> Result<u64, KeysError> {
        self.ask(&VerifyAudit {})
    }
}
