//! Backups of the store in use, what was taken away since one, and serving again after a restore.

use std::path::Path;

use crate::crypto::ClientId;
use crate::keys::admin::Unseal;
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::Request;

use super::super::authorize::Permit;
use super::super::store::backup::{self, Made, Revocation};
use super::super::store::tables::audit::{self, Entry};
use super::super::store::tables::workspace;
use super::super::store::{self};
use super::Engine;
use super::fetch::log;

impl Engine {
    /// Writes a backup to a new file while the store is in use.
    pub fn backup(&self, to: &Path) -> Result<Made, KeysError> {
        backup::backup(self.store(), to)
    }

    /// What was taken away after that place of the chain of changes: for a restore, kept elsewhere.
    pub fn export_revocations(&self, after: u64) -> Result<Vec<Revocation>, KeysError> {
        store::read(self.store(), |tx| backup::since(tx, after))
    }

    /// The store was restored, and serves nobody.
    pub fn sealed(&self) -> Result<bool, KeysError> {
        store::peek(self.store(), |tx| Ok(workspace::require(tx)?.sealed))
    }

    /// As [`unseal`](Self::unseal), for an admin who asks from elsewhere, and is not disabled.
    pub fn unseal_asked(&self, request: &Request<Unseal>) -> Result<bool, KeysError> {
        store::write(self.store(), |tx| {
            let (signed, sealed) = workspace::admins_and_seal(tx)?;
            let permit = Permit::check_admin(tx, &self.trusted(signed)?, self.gate(), request)?;
            if sealed {
                workspace::unseal(tx)?;
                log(tx, &permit, "store.unseal", "restored store")?;
            }
            Ok(sealed)
        })
    }

    /// Lets a restored store serve again, by the word of an admin who has the store and its root key. `false`: it was not sealed.
    pub fn unseal(&self, admin: ClientId) -> Result<bool, KeysError> {
        store::write(self.store(), |tx| {
            let (signed, sealed) = workspace::admins_and_seal(tx)?;
            if !self.trusted(signed)?.is_admin(admin) {
                return Err(KeysError::NotAdmin { client: admin.to_string() });
            }
            if sealed {
                workspace::unseal(tx)?;
                audit::append(tx, Entry::new(wall_ms(), admin, "store.unseal", "restored store"))?;
            }
            Ok(sealed)
        })
    }
}
