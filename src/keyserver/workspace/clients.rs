//! Client keys and their grants.

use std::collections::HashSet;
use std::time::Duration;

use secrecy::SecretString;

use crate::crypto::KeysetId;
use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::keys::admin::{self, Act, NewGrant, PutClient, Terms};
use crate::keys::claims::{ClientRecord, Signed};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keys::service::{Renew, Revision};

use super::ledger::Deed;
use super::view::{KeysetView, View};
use super::{ClientInfo, ClientKind, GrantInfo, Workspace, terms, valid_name};

/// Most grants in one request.
pub const GRANTS: usize = 256;

/// A client key about to be made.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Name, unique in the workspace.
    pub name: String,
    /// What it is for.
    pub kind: ClientKind,
    /// Keysets to grant, by name or id.
    pub keysets: Vec<String>,
    /// What the grants allow.
    pub permissions: Permissions,
    /// Lifetime from now; `None`: does not expire.
    pub expires: Option<Duration>,
    /// Whose it is. Empty: not said.
    pub owner: String,
    /// The device it was made on. Empty: not said.
    pub device: String,
}

impl NewClient {
    /// One without keysets, that does not expire.
    pub fn named(name: &str, kind: ClientKind) -> Self {
        let (name, keysets, permissions) = (name.to_owned(), Vec::new(), Permissions::APPLICATION);
        Self { name, kind, keysets, permissions, expires: None, owner: String::new(), device: String::new() }
    }
}

/// What is to change of a client. `None`: stays.
#[derive(Clone, Debug, Default)]
pub struct ClientUpdate {
    /// Its name.
    pub name: Option<String>,
    /// Whose it is; empty: not said.
    pub owner: Option<String>,
    /// Lifetime from now; `Some(None)`: does not expire.
    pub expires: Option<Option<Duration>>,
}

/// A client key just made.
pub struct CreatedClient {
    /// The client.
    pub client: ClientInfo,
    /// `CS_CLIENT_KEY`. Shown once, kept nowhere.
    pub secret: SecretString,
}

impl Workspace {
    /// Makes a client key here and grants it the keysets. All or nothing.
    pub fn create_client(&self, new: &NewClient) -> Result<CreatedClient, KeysError> {
        let key = ClientKey::generate()?;
        let client = self.approve_client(key.public(), new)?;
        Ok(CreatedClient { client, secret: SecretString::from(key.to_secret(&self.root).as_str().to_owned()) })
    }

    /// Adds a client whose key was made where it will be used, and grants it the keysets. All or nothing.
    pub fn approve_client(&self, public: &ClientPublic, new: &NewClient) -> Result<ClientInfo, KeysError> {
        valid_record(new)?;
        let now = wall_ms();
        let record = ClientRecord {
            public: public.clone(),
            name: new.name.clone(),
            kind: new.kind,
            created_ms: now,
            expires_ms: after(now, new.expires),
            owner: new.owner.clone(),
            device: new.device.clone(),
        };
        self.change(|view| {
            if view.clients.iter().any(|(known, _)| known.id() == record.id()) {
                return Err(KeysError::Exists { what: format!("client {}", record.id()) });
            }
            let terms = terms(view, new.permissions, record.expires_ms);
            let grants = self.grants_of(view, public, &new.keysets, &terms)?;
            let signed = Some(Signed::new(&record, self.key()?));
            let deeds = grants.iter().filter_map(|new: &NewGrant| Deed::gave(&new.grant)).collect::<Vec<_>>();
            self.ask(&PutClient { expected: view.revision, record: signed, grants })?;
            self.remember(deeds);
            Ok(())
        })?;
        self.client(&record.id().to_string())
    }

    /// Grants of keysets, each of them once, by name or id.
    pub(super) fn grants_of(
        &self,
        view: &View,
        public: &ClientPublic,
        keysets: &[String],
        terms: &Terms,
    ) -> Result<Vec<NewGrant>, KeysError> {
        let mut keysets = keysets.iter().map(|name| view.keyset(name)).collect::<Result<Vec<_>, _>>()?;
        keysets.sort_by_key(|keyset| keyset.record.id);
        keysets.dedup_by_key(|keyset| keyset.record.id);
        let seal = &view.service.seal;
        let grant = |keyset: &&KeysetView| admin::grant(self.key()?, &self.own(view, keyset)?, public, seal, terms);
        keysets.iter().map(grant).collect()
    }

    /// All clients, by name.
    pub fn clients(&self) -> Result<Vec<ClientInfo>, KeysError> {
        let view = self.view()?;
        Ok(view.clients.iter().map(|client| view.client_info(client)).collect())
    }

    /// One client.
    pub fn client(&self, client: &str) -> Result<ClientInfo, KeysError> {
        let view = self.view()?;
        view.client(client).map(|client| view.client_info(client))
    }

    /// Grants a keyset, or replaces the grant there is.
    pub fn grant(
        &self,
        client: &str,
        keyset: &str,
        permissions: Permissions,
        expires: Option<Duration>,
    ) -> Result<GrantInfo, KeysError> {
        let mut granted = self.grant_all(client, &[keyset.to_owned()], permissions, expires)?;
        granted.pop().ok_or(KeysError::bad_answer("the new grant is not there"))
    }

    /// As [`grant`](Self::grant), of many keysets, in requests of at most [`GRANTS`] each of which is all or nothing. The
    /// workspace is read once, and again only where others change it meanwhile.
    pub fn grant_all(
        &self,
        client: &str,
        keysets: &[String],
        permissions: Permissions,
        expires: Option<Duration>,
    ) -> Result<Vec<GrantInfo>, KeysError> {
        let mut view = self.view_as_seen()?;
        let client = view.client(client)?.0.clone();
        let mut ids =
            keysets.iter().map(|name| Ok(view.keyset(name)?.record.id)).collect::<Result<Vec<_>, KeysError>>()?;
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(*id));
        let allowed = (permissions, after(wall_ms(), expires));
        for (at, some) in ids.chunks(GRANTS).enumerate() {
            if at > 0 {
                self.after_grants(&mut view, GRANTS as u64)?;
            }
            match self.give(&view, &client, some, allowed) {
                Err(KeysError::Conflict) => self.change(|view| self.give(view, &client, some, allowed))?,
                done => done?,
            }
        }
        let (view, client) = (self.view()?, client.id());
        let granted = ids.iter().map(|keyset| view.grant(client, *keyset).map(|grant| view.grant_info(grant)));
        granted.collect::<Option<_>>().ok_or(KeysError::bad_answer("a new grant is not there"))
    }

    /// Gives grants on a workspace as it was seen, all or nothing.
    fn give(
        &self,
        view: &View,
        client: &ClientRecord,
        keysets: &[KeysetId],
        (permissions, expires_ms): (Permissions, Option<u64>),
    ) -> Result<(), KeysError> {
        let terms = terms(view, permissions, expires_ms);
        let grant = |id: &KeysetId| {
            let keyset = view.keyset_of(*id).ok_or_else(|| KeysError::UnknownKeyset { keyset: id.to_string() })?;
            admin::grant(self.key()?, &self.own(view, keyset)?, &client.public, &view.service.seal, &terms)
        };
        let grants = keysets.iter().map(grant).collect::<Result<Vec<_>, _>>()?;
        let deeds = grants.iter().filter_map(|new| Deed::gave(&new.grant)).collect::<Vec<_>>();
        self.ask(&PutClient { expected: view.revision, record: None, grants })?;
        self.remember(deeds);
        Ok(())
    }

    /// Goes on with a view after this device gave so many grants. If the workspace moved by these and no more, the view
    /// holds but for them; otherwise it is read anew.
    fn after_grants(&self, view: &mut View, count: u64) -> Result<(), KeysError> {
        let moved = Revision { revision: view.revision.revision + count + 1, ..view.revision };
        if self.ask(&Renew::default())?.standing.revision == moved {
            view.revision = moved;
        } else {
            *view = self.view()?;
        }
        Ok(())
    }

    /// Takes away one grant, or all where no keyset is named. Returns what was taken away, which may be nothing.
    pub fn revoke(&self, client: &str, keyset: Option<&str>) -> Result<Vec<GrantInfo>, KeysError> {
        self.change(|view| {
            let client = view.client(client)?.0.id();
            let keyset = keyset.map(|name| view.keyset(name).map(|keyset| keyset.record.id)).transpose()?;
            let taken = self.act(view, Act::Revoke { client, keyset })?;
            self.remember(taken.iter().map(|keyset| Deed::took(client, *keyset)));
            let grants = taken.iter().filter_map(|keyset| view.grant(client, *keyset));
            Ok(grants.map(|grant| view.grant_info(grant)).collect())
        })
    }

    /// The reversible switch.
    pub fn set_client_enabled(&self, client: &str, enabled: bool) -> Result<ClientInfo, KeysError> {
        let id = self.change(|view| {
            let client = view.client(client)?.0.id();
            self.act(view, Act::EnableClient { client, enabled }).map(|_| client)
        })?;
        self.client(&id.to_string())
    }

    /// Gives a client another name.
    pub fn rename_client(&self, client: &str, name: &str) -> Result<ClientInfo, KeysError> {
        self.update_client(client, &ClientUpdate { name: Some(name.to_owned()), ..ClientUpdate::default() })
    }

    /// Changes what is said of a client.
    pub fn update_client(&self, client: &str, update: &ClientUpdate) -> Result<ClientInfo, KeysError> {
        update.name.as_deref().map_or(Ok(()), valid_name)?;
        update.owner.as_deref().map_or(Ok(()), valid_label)?;
        let id = self.change(|view| {
            let known = view.client(client)?.0.clone();
            let record = ClientRecord {
                name: update.name.clone().unwrap_or(known.name),
                owner: update.owner.clone().unwrap_or(known.owner),
                expires_ms: update.expires.map_or(known.expires_ms, |lifetime| after(wall_ms(), lifetime)),
                ..known
            };
            let signed = Some(Signed::new(&record, self.key()?));
            self.ask(&PutClient { expected: view.revision, record: signed, grants: Vec::new() })?;
            Ok(record.id())
        })?;
        self.client(&id.to_string())
    }

    /// Removes a client with its grants.
    pub fn delete_client(&self, client: &str) -> Result<ClientInfo, KeysError> {
        self.change(|view| {
            let found = view.client(client)?;
            let info = view.client_info(found);
            let taken = self.act(view, Act::DeleteClient { client: found.0.id() })?;
            self.remember(taken.iter().map(|keyset| Deed::took(found.0.id(), *keyset)));
            Ok(info)
        })
    }
}

/// Names and labels of a client that is to be made.
pub(super) fn valid_record(new: &NewClient) -> Result<(), KeysError> {
    valid_name(&new.name)?;
    valid_label(&new.owner)?;
    valid_label(&new.device)
}

/// As a name, but it may be empty.
fn valid_label(text: &str) -> Result<(), KeysError> {
    if text.is_empty() { Ok(()) } else { valid_name(text) }
}

pub(super) fn after(now_ms: u64, lifetime: Option<Duration>) -> Option<u64> {
    lifetime.map(|lifetime| now_ms.saturating_add(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)))
}
