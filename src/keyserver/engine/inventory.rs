//! Everything an admin may see. Signed things are given as they are, for the admin's side to check.

use std::collections::HashMap;

use crate::keys::admin::{AuditEntry, ClientEntry, GetAudit, GetInventory, Inventory, KeysetEntry, VerifyAudit};
use crate::keys::claims::RootSigned;
use crate::keys::error::KeysError;
use crate::keys::request::Request;

use super::super::authorize::Permit;
use super::super::store;
use super::super::store::tables::{audit, clients, grants, keysets, seen, types, workspace};
use super::Engine;

/// Most entries of the audit trail in one answer.
const MAX_ENTRIES: u32 = 100_000;

impl Engine {
    /// The workspace, for an admin.
    pub fn inventory(&self, request: &Request<GetInventory>) -> Result<Inventory, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.gate(), request)?;
            let entry = |row: keysets::KeysetRow| {
                let (certificates, sealed) =
                    (keysets::certificates(tx, row.id)?, grants::sealed(tx, permit.client(), row.id)?);
                Ok(KeysetEntry { id: row.id, enabled: row.enabled, record: row.record, certificates, sealed })
            };
            let mut seen: HashMap<_, _> = seen::list(tx)?.into_iter().collect();
            let client = |row: clients::ClientRow| {
                let clients::ClientRow { id, enabled, record } = row;
                ClientEntry { id, enabled, record, seen: seen.remove(&id) }
            };
            let (row, admins) = (workspace::require(tx)?, workspace::admins(tx)?);
            let (body, signature) = row.service_record;
            Ok(Inventory {
                revision: row.revision,
                service: RootSigned { root: admins.root, body, signature },
                admins,
                clients: clients::list(tx)?.into_iter().map(client).collect(),
                keysets: keysets::list(tx)?.into_iter().map(entry).collect::<Result<_, KeysError>>()?,
                grants: grants::list(tx)?.into_iter().map(|row| (row.client, row.keyset, row.grant)).collect(),
                types: types::list(tx)?.into_iter().map(|(_, signed)| signed).collect(),
                pins: types::pins(tx, None)?,
            })
        })
    }

    /// The last entries of the audit trail, for an admin.
    pub fn audit_tail(&self, request: &Request<GetAudit>) -> Result<Vec<AuditEntry>, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.gate(), request)?;
            let rows = audit::tail(tx, request.body.limit.min(MAX_ENTRIES))?;
            Ok(rows.into_iter().map(Into::into).collect())
        })
    }

    /// Walks every audit chain, for an admin: the number of entries, or where they do not hold.
    pub fn audit_verify(&self, request: &Request<VerifyAudit>) -> Result<u64, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.gate(), request)?;
            let (entries, findings) = self.check_trail_in(tx)?;
            let told = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            if findings.is_empty() { Ok(entries) } else { Err(KeysError::tampered(told)) }
        })
    }
}
