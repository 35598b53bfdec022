//! Everything an admin may see. Signed things are given as they are, for the admin's side to check.

use crate::crypto::{ClientId, KeysetId};
use crate::keys::admin::GetInventory;
use crate::keys::claims::{RootSigned, Signed};
use crate::keys::error::KeysError;
use crate::keys::request::Request;
use crate::keys::service::{PinnedObject, Revision, SealedShare};

use super::super::authorize::Permit;
use super::super::store;
use super::super::store::tables::audit::{self, AuditRow};
use super::super::store::tables::{clients, grants, keysets, types, workspace};
use super::Engine;

/// The workspace.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// How new this is.
    pub revision: Revision,
    /// Who the admins are.
    pub admins: RootSigned,
    /// Clients, by name.
    pub clients: Vec<ClientEntry>,
    /// Keysets, by name.
    pub keysets: Vec<KeysetEntry>,
    /// All grants: client, keyset, grant.
    pub grants: Vec<(ClientId, KeysetId, Signed)>,
    /// Type definitions.
    pub types: Vec<TypeEntry>,
    /// Pins with their databases.
    pub pins: Vec<(String, PinnedObject)>,
}

/// A client.
#[derive(Clone, Debug)]
pub struct ClientEntry {
    /// Id.
    pub id: ClientId,
    /// The switch.
    pub enabled: bool,
    /// Its record.
    pub record: Signed,
}

/// A keyset.
#[derive(Clone, Debug)]
pub struct KeysetEntry {
    /// Id.
    pub id: KeysetId,
    /// The switch.
    pub enabled: bool,
    /// Its record.
    pub record: Signed,
    /// Certificates of every epoch.
    pub certificates: Vec<Signed>,
    /// The asking admin's sealed shares.
    pub sealed: Vec<SealedShare>,
}

/// A type definition.
#[derive(Clone, Debug)]
pub struct TypeEntry {
    /// Signed by an admin or by the client it counts for.
    pub signed: Signed,
}

impl Engine {
    /// The workspace, for an admin.
    pub fn inventory(&self, request: &Request<GetInventory>) -> Result<Inventory, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.service_id(), request)?;
            let entry = |row: keysets::KeysetRow| {
                let (certificates, sealed) =
                    (keysets::certificates(tx, row.id)?, grants::sealed(tx, permit.client(), row.id)?);
                Ok(KeysetEntry { id: row.id, enabled: row.enabled, record: row.record, certificates, sealed })
            };
            let client = |row: clients::ClientRow| ClientEntry { id: row.id, enabled: row.enabled, record: row.record };
            Ok(Inventory {
                revision: workspace::require(tx)?.revision,
                admins: workspace::admins(tx)?,
                clients: clients::list(tx)?.into_iter().map(client).collect(),
                keysets: keysets::list(tx)?.into_iter().map(entry).collect::<Result<_, KeysError>>()?,
                grants: grants::list(tx)?.into_iter().map(|row| (row.client, row.keyset, row.grant)).collect(),
                types: types::list(tx)?.into_iter().map(|(_, signed)| TypeEntry { signed }).collect(),
                pins: types::pins(tx, None)?,
            })
        })
    }

    /// The last `limit` entries of the audit trail, for an admin.
    pub fn audit_tail(&self, request: &Request<GetInventory>, limit: u32) -> Result<Vec<AuditRow>, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.service_id(), request)?;
            audit::tail(tx, limit)
        })
    }

    /// Walks the audit chain, for an admin: its length, or where it does not hold.
    pub fn audit_verify(&self, request: &Request<GetInventory>) -> Result<u64, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.service_id(), request)?;
            audit::verify(tx)
        })
    }
}
