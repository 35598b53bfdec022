//! Everything an admin may see. Signed things are given as they are, for the admin's side to check.

use std::collections::HashMap;

use crate::keys::admin::{
    AuditChain, AuditEntry, ClientEntry, GetAudit, GetAuditChains, GetAuditPage, GetInventory, Inventory, KeysetEntry,
    MAX_AUDIT_PAGE,
};
use crate::keys::claims::RootSigned;
use crate::keys::error::KeysError;
use crate::keys::request::{Body, Request};

use super::super::authorize::Permit;
use super::super::store::tables::audit::{self, AuditRow};
use super::super::store::tables::{clients, grants, keysets, seen, types, workspace};
use super::super::store::{self, Tx};
use super::Engine;

/// Most entries of one look at the end of the audit trail.
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
        self.for_admin(request, |tx| entries(audit::tail(tx, request.body.limit.min(MAX_ENTRIES))?))
    }

    /// The chains of the audit trail, for an admin.
    pub fn audit_chains(&self, request: &Request<GetAuditChains>) -> Result<Vec<AuditChain>, KeysError> {
        self.for_admin(request, |tx| {
            let chain = |row: audit::ChainRow| AuditChain {
                replica: row.head.replica,
                head: Some(row.head),
                signed: row.signed,
            };
            let mut chains = audit::chains(tx)?.into_iter().map(chain).collect::<Vec<_>>();
            let known = chains.iter().map(|chain| chain.replica).collect::<Vec<_>>();
            let strays = audit::with_entries(tx)?.into_iter().filter(|replica| !known.contains(replica));
            chains.extend(strays.map(|replica| AuditChain { replica, head: None, signed: None }));
            Ok(chains)
        })
    }

    /// Entries of one chain, for an admin.
    pub fn audit_page(&self, request: &Request<GetAuditPage>) -> Result<Vec<AuditEntry>, KeysError> {
        let GetAuditPage { replica, after, limit } = request.body;
        self.for_admin(request, |tx| entries(audit::page(tx, replica, after, limit.min(MAX_AUDIT_PAGE))?))
    }

    fn for_admin<B: Body, T>(
        &self,
        request: &Request<B>,
        read: impl Fn(&dyn Tx) -> Result<T, KeysError>,
    ) -> Result<T, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.gate(), request)?;
            read(tx)
        })
    }
}

fn entries(rows: Vec<AuditRow>) -> Result<Vec<AuditEntry>, KeysError> {
    Ok(rows.into_iter().map(Into::into).collect())
}
