//! From a root key to the store key.

use crate::crypto::secret::Key32;
use crate::keys::RootKeyFault;
use crate::keys::error::KeysError;

use super::super::store::tables::root_keys::{self, RootKeyRow};
use super::super::store::tables::workspace::{self, WorkspaceRow};
use super::super::store::{self, Store, Tx};
use super::{Binding, Place, Root, Source, StoreKey};

/// The store key of a store, opened by the root key of `source`. Asks whoever holds the root key; nothing of that is
/// needed afterwards.
pub fn unlock(store: &dyn Store, source: &Source) -> Result<StoreKey, KeysError> {
    let sight = Sight::of(store)?;
    let root = Root::open(source)?;
    let key = match sight.rows.is_empty() {
        true => sight.adopt(store, &root)?,
        false => sight.find(&root)?.1,
    };
    Ok(StoreKey::new(&key))
}

/// The key of a store that is being made, wrapped under its first root key.
pub struct NewStoreKey {
    /// The key.
    pub key: StoreKey,
    kind: &'static str,
    description: String,
    wrapped: Vec<u8>,
}

impl NewStoreKey {
    /// Draws a key for `service`. A root key file that is not there is made.
    pub fn make(source: &Source, service: [u8; 16]) -> Result<Self, KeysError> {
        let root = Root::open_or_create(source)?;
        let key = Key32::generate()?;
        let wrapped = root.wrap(&Binding::new(service), &key)?;
        Ok(Self { key: StoreKey::new(&key), kind: root.key.kind().name(), description: root.name, wrapped })
    }

    /// Writes it to the store.
    pub fn insert(&self, tx: &dyn Tx) -> Result<(), KeysError> {
        root_keys::insert(tx, self.kind, &self.description, &self.wrapped).map(drop)
    }
}

/// What a store says of its root keys.
pub(super) struct Sight {
    pub(super) workspace: WorkspaceRow,
    pub(super) rows: Vec<RootKeyRow>,
}

impl Sight {
    pub(super) fn of(store: &dyn Store) -> Result<Self, KeysError> {
        store::read(store, Self::within)
    }

    pub(super) fn within(tx: &dyn Tx) -> Result<Self, KeysError> {
        Ok(Self { workspace: workspace::require(tx)?, rows: root_keys::list(tx)? })
    }

    pub(super) fn binding(&self) -> Binding {
        Binding::new(self.workspace.service.0)
    }

    /// The row that the root key opens, and the store key. Rows of its own name are tried first: a file may have moved and
    /// an alias may name another key, so others of its kind are tried as well.
    pub(super) fn find(&self, root: &Root) -> Result<(u64, Key32), KeysError> {
        let mut rows: Vec<&RootKeyRow> = self.rows.iter().filter(|row| row.kind == root.key.kind().name()).collect();
        rows.sort_by_key(|row| row.description != root.name);
        let mut fault = RootKeyFault::Wrong;
        for row in rows {
            match root.key.unwrap(&self.binding(), &row.wrapped) {
                Ok(key) if self.opens(&key) => return Ok((row.id, key)),
                Ok(_) => {
                    let what = "what it unwrapped does not open this store".to_owned();
                    return Err(root.fault(RootKeyFault::BadAnswer(what)));
                }
                Err(RootKeyFault::Wrong) => {}
                Err(other) => fault = other,
            }
        }
        Err(root.fault(fault))
    }

    /// Whether this is the store's key: the service's own secret opens under it.
    pub(super) fn opens(&self, key: &Key32) -> bool {
        let place = Place::service(&self.workspace.service.0);
        StoreKey::new(key).unwrap(&place, &self.workspace.service_secret).is_some()
    }

    /// The root key's own bytes, if they are the store key.
    pub(super) fn direct(&self, root: &Root) -> Result<Key32, KeysError> {
        root.key.direct().filter(|key| self.opens(key)).ok_or_else(|| root.fault(RootKeyFault::Wrong))
    }

    /// A store from before there were store keys: its rows are wrapped under the root key's own bytes, which become the
    /// store key. Processes of the older version that have the store open go on.
    pub(super) fn adopt(&self, store: &dyn Store, root: &Root) -> Result<Key32, KeysError> {
        let key = self.direct(root)?;
        let wrapped = root.wrap(&self.binding(), &key)?;
        store::write(store, |tx| match root_keys::list(tx)?.is_empty() {
            true => root_keys::insert(tx, root.key.kind().name(), &root.name, &wrapped).map(drop),
            false => Ok(()),
        })?;
        Ok(key)
    }
}
