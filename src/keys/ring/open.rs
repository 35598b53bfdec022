//! Opens keysets when they are first used: a client with ten thousand of them reads the grants of those it uses.

use std::collections::HashSet;
use std::sync::Arc;

use crate::crypto::KeysetId;

use super::super::clock::Boot;
use super::super::error::KeysError;
use super::super::permissions::Permissions;
use super::super::service::{GetGrants, MAX_KEYS};
use super::Shared;
use super::held::Held;
use super::keyset::Keyset;

impl Shared {
    /// A granted keyset, opened, and allowed to do this now.
    pub(super) async fn keyset(
        self: &Arc<Self>,
        id: KeysetId,
        permission: Permissions,
    ) -> Result<Arc<Keyset>, KeysError> {
        self.open(&[id]).await?;
        let held = self.held.load();
        let entry = held.entry(id)?;
        entry.enabled()?;
        let keyset = entry.opened().ok_or(KeysError::GrantChanged)?;
        keyset.check(permission, Boot::now())?;
        Ok(Arc::clone(keyset))
    }

    /// Opens those of the keysets that are granted and not open yet. A grant that is not as the list says was changed since
    /// the list was read: then the list is read again, once.
    pub(super) async fn open(self: &Arc<Self>, wanted: &[KeysetId]) -> Result<(), KeysError> {
        if self.open_once(wanted).await? {
            return Ok(());
        }
        self.refreshed().await?;
        if self.open_once(wanted).await? {
            return Ok(());
        }
        Err(KeysError::tampered("the list of granted keysets"))
    }

    /// `false`: some grant is not as the list says.
    async fn open_once(self: &Arc<Self>, wanted: &[KeysetId]) -> Result<bool, KeysError> {
        let held = self.held.load_full();
        let closed = |id: &&KeysetId| held.keysets.get(*id).is_some_and(|entry| entry.opened().is_none());
        let closed = wanted.iter().filter(closed).copied().collect::<HashSet<_>>().into_iter().collect::<Vec<_>>();
        let mut whole = true;
        for keysets in closed.chunks(MAX_KEYS) {
            let states = self.ask(&GetGrants { keysets: keysets.to_vec() }).await?;
            whole &= states.len() == keysets.len();
            let (shared, held) = (Arc::clone(self), Arc::clone(&held));
            let open = move || {
                let open = |state| held.open(&shared.key, (shared.limits, &shared.usage), state);
                states.iter().map(open).collect::<Result<Vec<_>, _>>()
            };
            let opened = tokio::task::spawn_blocking(open).await;
            let opened = opened.unwrap_or_else(|_| Err(KeysError::bad_answer("checking it failed")))?;
            whole &= opened.into_iter().all(|as_listed| as_listed);
        }
        Ok(whole && self.is_held(&held, wanted))
    }

    /// What was opened is still what is held.
    fn is_held(&self, opened: &Arc<Held>, wanted: &[KeysetId]) -> bool {
        let now = self.held.load();
        Arc::ptr_eq(&now, opened)
            || wanted.iter().all(|id| now.keysets.get(id).is_none_or(|entry| entry.opened().is_some()))
    }
}
