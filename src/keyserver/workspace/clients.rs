//! Client keys and their grants.

use std::time::Duration;

use secrecy::SecretString;

use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::keys::admin::{self, Act, PutClient};
use crate::keys::claims::{ClientRecord, Signed};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;

use super::view::KeysetView;
use super::{ClientInfo, ClientKind, GrantInfo, Workspace, terms, valid_name};

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
        let key = ClientKey::generate().map_err(|e| KeysError::unavailable(e.to_string()))?;
        let client = self.approve_client(key.public(), new)?;
        Ok(CreatedClient { client, secret: SecretString::from(key.to_secret(&self.root).as_str().to_owned()) })
    }

    /// Adds a client whose key was made where it will be used, and grants it the keysets. All or nothing.
    pub fn approve_client(&self, public: &ClientPublic, new: &NewClient) -> Result<ClientInfo, KeysError> {
        valid_name(&new.name)?;
        let now = wall_ms();
        let record = ClientRecord {
            public: public.clone(),
            name: new.name.clone(),
            kind: new.kind,
            created_ms: now,
            expires_ms: after(now, new.expires),
            owner: String::new(),
            device: String::new(),
        };
        self.change(|view| {
            if view.clients.iter().any(|(known, _)| known.id() == record.id()) {
                return Err(KeysError::Exists { what: format!("client {}", record.id()) });
            }
            let terms = terms(view, new.permissions, record.expires_ms);
            let mut keysets = new.keysets.iter().map(|name| view.keyset(name)).collect::<Result<Vec<_>, _>>()?;
            keysets.sort_by_key(|keyset| keyset.record.id);
            keysets.dedup_by_key(|keyset| keyset.record.id);
            let seal = &view.service.seal;
            let grant = |keyset: &&KeysetView| admin::grant(&self.key, &self.own(view, keyset)?, public, seal, &terms);
            let grants = keysets.iter().map(grant).collect::<Result<_, _>>()?;
            let signed = Some(Signed::new(&record, &self.key));
            self.ask(&PutClient { expected: view.revision, record: signed, grants })
        })?;
        self.client(&record.id().to_string())
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
        let (client, keyset) = self.change(|view| {
            let (record, _) = view.client(client)?;
            let keyset = view.keyset(keyset)?;
            let terms = terms(view, permissions, after(wall_ms(), expires));
            let own = self.own(view, keyset)?;
            let new = admin::grant(&self.key, &own, &record.public, &view.service.seal, &terms)?;
            self.ask(&PutClient { expected: view.revision, record: None, grants: vec![new] })?;
            Ok((record.id(), keyset.record.id))
        })?;
        let view = self.view()?;
        let grant = view.grant(client, keyset).ok_or(KeysError::bad_answer("the new grant is not there"))?;
        Ok(view.grant_info(grant))
    }

    /// Takes away one grant, or all where no keyset is named. Returns what was taken away, which may be nothing.
    pub fn revoke(&self, client: &str, keyset: Option<&str>) -> Result<Vec<GrantInfo>, KeysError> {
        self.change(|view| {
            let client = view.client(client)?.0.id();
            let keyset = keyset.map(|name| view.keyset(name).map(|keyset| keyset.record.id)).transpose()?;
            let taken = self.act(view, Act::Revoke { client, keyset })?;
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
        valid_name(name)?;
        self.change(|view| {
            let record = ClientRecord { name: name.to_owned(), ..view.client(client)?.0.clone() };
            let record = Some(Signed::new(&record, &self.key));
            self.ask(&PutClient { expected: view.revision, record, grants: Vec::new() })
        })?;
        self.client(name)
    }

    /// Removes a client with its grants.
    pub fn delete_client(&self, client: &str) -> Result<ClientInfo, KeysError> {
        self.change(|view| {
            let found = view.client(client)?;
            let info = view.client_info(found);
            self.act(view, Act::DeleteClient { client: found.0.id() }).map(|_| info)
        })
    }
}

fn after(now_ms: u64, lifetime: Option<Duration>) -> Option<u64> {
    lifetime.map(|lifetime| now_ms.saturating_add(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)))
}
