//! Keys that are made elsewhere, and keys that take the place of others.

use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;

use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::crypto::client_request::ClientRequest;
use crate::crypto::root::RootFingerprint;
use crate::keys::admin::{self, NewGrant, RotateClient, Terms};
use crate::keys::claims::{ClientRecord, MAX_NAME, Signed};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;

use super::super::engine::Engine;
use super::super::store::spec::StoreSpec;
use super::clients::after;
use super::ledger::Deed;
use super::view::View;
use super::{ClientInfo, NewClient, Workspace, device_key, device_path, valid_name};

/// A client whose key was replaced.
pub struct RotatedClient {
    /// With its new key.
    pub client: ClientInfo,
    /// The old key, under its new name.
    pub old: ClientInfo,
    /// The new `CS_CLIENT_KEY`, where it was made here. Shown once, kept nowhere.
    pub secret: Option<SecretString>,
}

/// A key that was made on the machine that will use it.
pub struct RequestedClient {
    /// For an admin: `csrq1_…`, not secret.
    pub request: ClientRequest,
    /// `CS_CLIENT_ID`.
    pub id: String,
    /// `CS_CLIENT_KEY`.
    pub secret: SecretString,
}

impl RequestedClient {
    /// Makes a key that trusts the workspace of `root`, or else that of this device or of the store.
    ///
    /// # Errors
    /// [`KeysError::Invalid`] where neither tells a workspace.
    pub fn make(name: &str, root: Option<RootFingerprint>, home: &Path, store: &StoreSpec) -> Result<Self, KeysError> {
        if !name.is_empty() {
            valid_name(name)?;
        }
        let root = match root {
            Some(root) => root,
            None if device_path(home).exists() => device_key(home)?.1,
            None => Engine::root_of(store).map_err(|_| {
                KeysError::invalid("it is not known which workspace the key is for: give its --root fingerprint")
            })?,
        };
        let key = ClientKey::generate()?;
        let request = ClientRequest { public: key.public().clone(), root, name: name.to_owned() };
        let secret = SecretString::from(key.to_secret(&root).as_str().to_owned());
        Ok(Self { request, id: key.client_id().to_string(), secret })
    }
}

impl Workspace {
    /// Adds a client whose key was made elsewhere. A request that trusts another workspace is refused: the client would
    /// refuse this one.
    pub fn approve_request(&self, request: &ClientRequest, new: &NewClient) -> Result<ClientInfo, KeysError> {
        self.same_root(request)?;
        self.approve_client(&request.public, new)
    }

    /// Gives a client another key with the same grants. The old one goes on for `overlap`, under another name.
    /// `request`: the new key was made elsewhere.
    pub fn rotate_client(
        &self,
        client: &str,
        overlap: Duration,
        request: Option<&ClientRequest>,
    ) -> Result<RotatedClient, KeysError> {
        request.map_or(Ok(()), |request| self.same_root(request))?;
        let made = match request {
            Some(_) => None,
            None => Some(ClientKey::generate()?),
        };
        let public = request.map(|request| &request.public).or(made.as_ref().map(ClientKey::public));
        let public = public.expect("there is a request or a key that was made");
        let old = self.change(|view| {
            let known = &view.client(client)?.0;
            let now = wall_ms();
            if known.expired(now) {
                return Err(KeysError::ClientExpired { client: known.name.clone() });
            }
            let end = known.expires_ms.unwrap_or(u64::MAX).min(after(now, Some(overlap)).unwrap_or(u64::MAX));
            let old = ClientRecord { name: old_name(known), expires_ms: Some(end), ..known.clone() };
            let new = ClientRecord { public: public.clone(), created_ms: now, ..known.clone() };
            let grants = self.moved(view, known, public)?;
            let mut deeds = grants.iter().filter_map(|new| Deed::gave(&new.grant)).collect::<Vec<_>>();
            if overlap.is_zero() {
                let taken = view.grants.iter().filter(|grant| grant.client == old.id());
                deeds.extend(taken.map(|grant| Deed::took(old.id(), grant.keyset)));
            }
            self.ask(&RotateClient {
                expected: view.revision,
                old: Signed::new(&old, self.key()?),
                new: Signed::new(&new, self.key()?),
                grants,
                revoke: overlap.is_zero(),
            })?;
            self.remember(deeds);
            Ok(old.id())
        })?;
        Ok(RotatedClient {
            client: self.client(&public.client_id().to_string())?,
            old: self.client(&old.to_string())?,
            secret: made.map(|key| SecretString::from(key.to_secret(&self.root).as_str().to_owned())),
        })
    }

    /// What a client may do, for its new key.
    fn moved(&self, view: &View, client: &ClientRecord, public: &ClientPublic) -> Result<Vec<NewGrant>, KeysError> {
        let now = wall_ms();
        let live = view.grants.iter().filter(|grant| grant.client == client.id() && !grant.expired(now));
        let moved = |grant: &crate::keys::claims::Grant| {
            let keyset = view.keyset(&grant.keyset.to_string())?;
            let (permissions, types) = (grant.permissions, grant.types.clone());
            let terms = Terms { permissions, types, expires_ms: grant.expires_ms, admins: view.trust.version() };
            admin::grant(self.key()?, &self.own(view, keyset)?, public, &view.service.seal, &terms)
        };
        live.map(moved).collect()
    }

    fn same_root(&self, request: &ClientRequest) -> Result<(), KeysError> {
        if request.root == self.root {
            return Ok(());
        }
        Err(KeysError::OtherWorkspace { found: self.root.to_string(), expected: request.root.to_string() })
    }
}

/// The name that an old key goes on under: unique, as ids are.
fn old_name(client: &ClientRecord) -> String {
    let id = client.id().to_string();
    let suffix = format!(" (old key {})", &id[..8]);
    let mut end = client.name.len().min(MAX_NAME - suffix.len());
    while !client.name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", client.name[..end].trim_end())
}
