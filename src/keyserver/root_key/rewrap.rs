//! Another root key for a store that is in use. First the store key is added under the new root key: either opens the
//! store from then on. When nothing is configured with the old one any more, it is taken away. Each step is one
//! transaction, and no step leaves the store without a root key that was just seen to open it; whatever was interrupted
//! is completed by the same command again.

use crate::crypto::ClientId;
use crate::keys::RootKeyFault;
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;

use super::super::store::tables::audit::{self, Entry};
use super::super::store::tables::root_keys::{self, RootKeyRow};
use super::super::store::{self, Store};
use super::unlock::Sight;
use super::{Root, Source};

/// Who acts in the audit trail: whoever runs commands on the store, no client.
const OPERATOR: ClientId = ClientId([0; 16]);

/// A root key that opens a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootKeyInfo {
    /// Its number in the store.
    pub id: u64,
    /// As settings named it when it was added.
    pub description: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// The root key of the settings is this one.
    pub configured: bool,
}

/// What a rewrap has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrapped {
    /// The new root key, as the store names it.
    pub root_key: String,
    /// It was added now; otherwise it was there.
    pub added: bool,
    /// Root keys that were taken away.
    pub removed: Vec<String>,
    /// Root keys besides the new one that still open the store.
    pub remaining: Vec<String>,
}

/// Makes `to` open the store that `from` opens; with `finish`, and nothing else any more.
pub fn rewrap(store: &dyn Store, from: &Source, to: &Source, finish: bool) -> Result<Rewrapped, KeysError> {
    let to = Root::open(to)?;
    let sight = Sight::of(store)?;
    if sight.rows.is_empty() {
        sight.adopt(store, &Root::open(from)?)?;
    }
    let (id, added) = match known(store, &to)? {
        Some(id) => (id, false),
        None => (add(store, &Root::open(from)?, &to)?, true),
    };
    let removed = if finish { keep_only(store, &to)? } else { Vec::new() };
    let rows = Sight::of(store)?.rows;
    Ok(Rewrapped {
        root_key: rows.iter().find(|row| row.id == id).map_or_else(|| to.name.clone(), |row| row.description.clone()),
        added,
        removed,
        remaining: rows.into_iter().filter(|row| row.id != id).map(|row| row.description).collect(),
    })
}

/// The root keys that open the store, and which of them is `source`, if it can be had.
pub fn status(store: &dyn Store, source: &Source) -> Result<(Vec<RootKeyInfo>, Result<(), KeysError>), KeysError> {
    let sight = Sight::of(store)?;
    let found = Root::open(source).and_then(|root| match sight.rows.is_empty() {
        true => sight.direct(&root).map(|_| 0),
        false => sight.find(&root).map(|(id, _)| id),
    });
    let info = |row: RootKeyRow| RootKeyInfo {
        configured: found.as_ref().is_ok_and(|id| *id == row.id),
        id: row.id,
        description: row.description,
        created_ms: row.created_ms,
    };
    Ok((sight.rows.into_iter().map(info).collect(), found.clone().map(drop)))
}

/// The row that the root key opens, if there is one.
fn known(store: &dyn Store, root: &Root) -> Result<Option<u64>, KeysError> {
    match Sight::of(store)?.find(root) {
        Ok((id, _)) => Ok(Some(id)),
        Err(KeysError::RootKey { fault: RootKeyFault::Wrong, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Adds the store key under `to`. `Root::wrap` has seen it open again.
fn add(store: &dyn Store, from: &Root, to: &Root) -> Result<u64, KeysError> {
    let sight = Sight::of(store)?;
    let (_, key) = sight.find(from)?;
    let wrapped = to.wrap(&sight.binding(), &key)?;
    store::write(store, |tx| {
        // A store that was replaced meanwhile has another key.
        if !Sight::within(tx)?.opens(&key) {
            return Err(to.fault(RootKeyFault::Wrong));
        }
        let id = root_keys::insert(tx, to.key.kind().name(), &to.name, &wrapped)?;
        audit::append(tx, Entry::new(wall_ms(), OPERATOR, "root_key.add", &to.name))?;
        Ok(id)
    })
}

/// Takes every other root key away, after the row of this one was seen to open the store as it lies there.
fn keep_only(store: &dyn Store, root: &Root) -> Result<Vec<String>, KeysError> {
    let sight = Sight::of(store)?;
    let (id, _) = sight.find(root)?;
    let kept = sight.rows.into_iter().find(|row| row.id == id).expect("find names one of these rows");
    let removed = store::write(store, |tx| {
        let rows = root_keys::list(tx)?;
        if !rows.contains(&kept) {
            return Err(KeysError::unavailable("the store's root keys were changed by somebody else meanwhile"));
        }
        let mut removed = Vec::new();
        for row in rows.into_iter().filter(|row| row.id != id) {
            root_keys::delete(tx, row.id)?;
            audit::append(tx, Entry::new(wall_ms(), OPERATOR, "root_key.remove", &row.description))?;
            removed.push(row.description);
        }
        Ok(removed)
    })?;
    // The old wrapped key must not stay behind in a journal. A busy reader may delay that.
    if let Err(error) = store.scrub() {
        tracing::warn!(%error, "what opened the store by its old root key may remain in the store's journal for a while");
    }
    Ok(removed)
}
