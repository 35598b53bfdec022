//! The admin's view of an embedded workspace: a store, and the device key of `$COLUMNSEAL_HOME`. What `columnseal
//! client`, `keyset` and `type` call. All calls block; none prints. Names and ids (uuids) are taken alike.

pub mod info;
mod init;
mod view;

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::crypto::root::RootFingerprint;
use crate::crypto::split::{Check, SplitError, Tag};
use crate::crypto::{ClientId, Epoch, KeysetId, TypeId};
use crate::keys::admin::{self, Act, GetInventory, OfferKeyset, OwnShare, OwnShares, PutClient, Terms, TestKeyset};
use crate::keys::claims::typedef::MAX_DEFINITION;
use crate::keys::claims::{ClientRecord, KeysetRecord, Signed, Split, TypeClaim, name_fault};
use crate::keys::clock::{rfc3339, wall_ms};
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keys::request::{Body, Request};
use crate::keys::service::{Evaluated, PutType};

use super::engine::{Engine, TEST_KEY, TEST_TYPE};
use super::files;
use view::{KeysetView, View};

pub use crate::keys::claims::ClientKind;
pub use info::{AuditInfo, ClientInfo, Export, GrantInfo, InitReport, KeysetInfo, PinInfo, TypeInfo};
pub use init::device_path;

/// Where a workspace is made.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// `COLUMNSEAL_HOME`.
    pub home: PathBuf,
    /// The store, usually `store/keystore.db` in `home`.
    pub store: PathBuf,
    /// Where the recovery kit goes, usually `recovery-kit.txt` in `home`.
    pub recovery_file: PathBuf,
    /// Name for this device's client, usually the host's name.
    pub device_name: String,
}

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

/// A workspace and the admin's key to it.
pub struct Workspace {
    engine: Engine,
    key: ClientKey,
    root: RootFingerprint,
}

impl Workspace {
    /// Makes what is missing of a workspace: root, store, device key, keyset `default`. The root's seed goes into the recovery
    /// file (0600) and nowhere else. A second run changes nothing.
    pub fn init(options: &InitOptions) -> Result<InitReport, KeysError> {
        init::init(options)
    }

    /// Opens the store with the device key of `home`.
    pub fn open(home: &Path, store: &Path) -> Result<Self, KeysError> {
        let path = device_path(home);
        let secret = files::load(&path)?.ok_or_else(|| KeysError::DeviceKeyMissing { path: path.clone() })?;
        let malformed = |e: crate::crypto::client_key::TextError| KeysError::File {
            path: path.clone(),
            why: format!("the device key {e}"),
        };
        let (key, root) = ClientKey::from_secret(secret.trim()).map_err(malformed)?;
        Ok(Self { engine: Engine::open(store, root)?, key, root })
    }

    /// The key service's engine over the same store.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Fingerprint of the workspace root.
    pub fn root(&self) -> String {
        self.root.to_string()
    }

    /// The device's client id.
    pub fn device(&self) -> ClientId {
        self.key.client_id()
    }

    /// Makes a client key here and grants it the keysets. All or nothing.
    pub fn create_client(&self, new: &NewClient) -> Result<CreatedClient, KeysError> {
        let key = ClientKey::generate().map_err(|e| KeysError::unavailable(e.to_string()))?;
        let client = self.approve_client(key.public(), new)?;
        Ok(CreatedClient { client, secret: SecretString::from(key.to_secret(&self.root).as_str().to_owned()) })
    }

    /// Adds a client whose key was made where it will be used, and grants it the keysets. All or nothing.
    pub fn approve_client(&self, public: &ClientPublic, new: &NewClient) -> Result<ClientInfo, KeysError> {
        valid_name(&new.name)?;
        let (view, now) = (self.view()?, wall_ms());
        let record = ClientRecord {
            public: public.clone(),
            name: new.name.clone(),
            kind: new.kind,
            created_ms: now,
            expires_ms: after(now, new.expires),
        };
        if view.clients.iter().any(|(known, _)| known.id() == record.id()) {
            return Err(KeysError::Exists { what: format!("client {}", record.id()) });
        }
        let terms = terms(&view, new.permissions, record.expires_ms);
        let mut keysets = new.keysets.iter().map(|name| view.keyset(name)).collect::<Result<Vec<_>, _>>()?;
        keysets.sort_by_key(|keyset| keyset.record.id);
        keysets.dedup_by_key(|keyset| keyset.record.id);
        let seal = self.engine.seal_key();
        let grant = |keyset: &&KeysetView| admin::grant(&self.key, &self.own(&view, keyset)?, public, &seal, &terms);
        let grants = keysets.iter().map(grant).collect::<Result<_, _>>()?;
        let signed = Some(Signed::new(&record, &self.key));
        self.engine.put_client(&self.ask(PutClient { record: signed, grants })?)?;
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
        let view = self.view()?;
        let (record, _) = view.client(client)?;
        let keyset = view.keyset(keyset)?;
        let terms = terms(&view, permissions, after(wall_ms(), expires));
        let new = admin::grant(&self.key, &self.own(&view, keyset)?, &record.public, &self.engine.seal_key(), &terms)?;
        self.engine.put_client(&self.ask(PutClient { record: None, grants: vec![new] })?)?;
        let (client, keyset) = (record.id(), keyset.record.id);
        let view = self.view()?;
        let grant = view.grant(client, keyset).ok_or(KeysError::BadAnswer { what: "the new grant is not there" })?;
        Ok(view.grant_info(grant))
    }

    /// Takes away one grant, or all where no keyset is named. Returns what was taken away, which may be nothing.
    pub fn revoke(&self, client: &str, keyset: Option<&str>) -> Result<Vec<GrantInfo>, KeysError> {
        let view = self.view()?;
        let client = view.client(client)?.0.id();
        let keyset = keyset.map(|name| view.keyset(name).map(|keyset| keyset.record.id)).transpose()?;
        let taken = self.act(Act::Revoke(client, keyset))?;
        Ok(taken.iter().filter_map(|keyset| view.grant(client, *keyset)).map(|grant| view.grant_info(grant)).collect())
    }

    /// The reversible switch.
    pub fn set_client_enabled(&self, client: &str, enabled: bool) -> Result<ClientInfo, KeysError> {
        let id = self.view()?.client(client)?.0.id();
        self.act(Act::EnableClient(id, enabled))?;
        self.client(&id.to_string())
    }

    /// Gives a client another name.
    pub fn rename_client(&self, client: &str, name: &str) -> Result<ClientInfo, KeysError> {
        valid_name(name)?;
        let record = ClientRecord { name: name.to_owned(), ..self.view()?.client(client)?.0.clone() };
        let signed = Signed::new(&record, &self.key);
        self.engine.put_client(&self.ask(PutClient { record: Some(signed), grants: Vec::new() })?)?;
        self.client(name)
    }

    /// Removes a client with its grants.
    pub fn delete_client(&self, client: &str) -> Result<ClientInfo, KeysError> {
        let info = self.client(client)?;
        let id = self.view()?.client(client)?.0.id();
        self.act(Act::DeleteClient(id))?;
        Ok(info)
    }

    /// Makes a keyset, granted to this device with all permissions.
    pub fn create_keyset(&self, name: &str) -> Result<KeysetInfo, KeysError> {
        valid_name(name)?;
        let version = self.view()?.trust.version();
        let offer = self.engine.offer_keyset(&self.ask(OfferKeyset { name: name.to_owned() })?)?;
        let own = admin::draw(&offer)?;
        let answers = self.engine.test_keyset(&self.ask(TestKeyset { keyset: offer.keyset })?)?;
        test(&own, offer.keyset, &answers)
            .map_err(|_| KeysError::BadAnswer { what: "the proof of a new keyset does not hold" })?;
        let record = KeysetRecord { id: offer.keyset, name: name.to_owned(), created_ms: wall_ms() };
        self.engine.publish_keyset(&self.ask(admin::publish(&self.key, &own, &record, version)?)?)?;
        self.keyset(name)
    }

    /// All keysets, by name.
    pub fn keysets(&self) -> Result<Vec<KeysetInfo>, KeysError> {
        let view = self.view()?;
        Ok(view.keysets.iter().map(|keyset| view.keyset_info(keyset)).collect())
    }

    /// One keyset.
    pub fn keyset(&self, keyset: &str) -> Result<KeysetInfo, KeysError> {
        let view = self.view()?;
        view.keyset(keyset).map(|keyset| view.keyset_info(keyset))
    }

    /// Gives a keyset another name; not `default`.
    pub fn rename_keyset(&self, keyset: &str, name: &str) -> Result<KeysetInfo, KeysError> {
        valid_name(name)?;
        let record = KeysetRecord { name: name.to_owned(), ..self.view()?.keyset(keyset)?.record.clone() };
        self.act(Act::RenameKeyset(Signed::new(&record, &self.key)))?;
        self.keyset(name)
    }

    /// The reversible switch; not for `default`.
    pub fn set_keyset_enabled(&self, keyset: &str, enabled: bool) -> Result<KeysetInfo, KeysError> {
        let id = self.view()?.keyset(keyset)?.record.id;
        self.act(Act::EnableKeyset(id, enabled))?;
        self.keyset(&id.to_string())
    }

    /// Signs a type definition for the whole workspace. Signing the same again changes nothing.
    pub fn sign_type(&self, definition: &str, id: TypeId) -> Result<TypeInfo, KeysError> {
        if definition.len() > MAX_DEFINITION {
            return Err(KeysError::invalid(format!("a type definition is longer than {MAX_DEFINITION} bytes")));
        }
        let claim = TypeClaim { id, definition: definition.to_owned() };
        self.engine.put_type(&self.ask(PutType { signed: Signed::new(&claim, &self.key) })?)?;
        let (signer, admin) = (self.device().to_string(), true);
        Ok(TypeInfo { id: id.to_string(), definition: claim.definition, signer, admin })
    }

    /// All signed type definitions.
    pub fn types(&self) -> Result<Vec<TypeInfo>, KeysError> {
        Ok(self.view()?.types)
    }

    /// Pins of one database, or of all.
    pub fn pins(&self, database: Option<&str>) -> Result<Vec<PinInfo>, KeysError> {
        let pins = self.view()?.pins.into_iter();
        Ok(pins.filter(|pin| database.is_none_or(|name| name == pin.database)).collect())
    }

    /// Removes a pin. `false`: there was none.
    pub fn remove_pin(&self, database: &str, object: &str) -> Result<bool, KeysError> {
        if !self.pins(Some(database))?.iter().any(|pin| pin.object == object) {
            return Ok(false);
        }
        self.act(Act::RemovePin(database.to_owned(), object.to_owned())).map(|_| true)
    }

    /// The last `limit` lines of the audit trail, oldest first.
    pub fn audit_tail(&self, limit: u32) -> Result<Vec<AuditInfo>, KeysError> {
        let rows = self.engine.audit_tail(&self.ask(GetInventory)?, limit)?;
        let info = |row: super::store::tables::audit::AuditRow| AuditInfo {
            sequence: row.sequence,
            time: rfc3339(row.time_ms),
            client: row.client.to_string(),
            action: row.action,
            detail: row.detail,
            hash: hex::encode(row.hash),
        };
        Ok(rows.into_iter().map(info).collect())
    }

    /// Walks the whole audit chain; the number of entries, or where it breaks.
    pub fn audit_verify(&self) -> Result<u64, KeysError> {
        self.engine.audit_verify(&self.ask(GetInventory)?)
    }

    /// The public state of the workspace.
    pub fn export(&self) -> Result<Export, KeysError> {
        self.view().map(View::export)
    }

    fn ask<B: Body>(&self, body: B) -> Result<Request<B>, KeysError> {
        Request::sign(self.engine.service_id(), &self.key, body)
    }

    fn act(&self, act: Act) -> Result<Vec<KeysetId>, KeysError> {
        self.engine.act(&self.ask(act)?)
    }

    fn view(&self) -> Result<View, KeysError> {
        View::check(self.root, self.engine.inventory(&self.ask(GetInventory)?)?)
    }

    /// The device's own shares of a keyset, opened and checked.
    fn own(&self, view: &View, keyset: &KeysetView) -> Result<OwnShares, KeysError> {
        let name = || keyset.record.name.clone();
        let grant = view.grant(self.device(), keyset.record.id).ok_or_else(|| KeysError::NoGrant { keyset: name() })?;
        if !grant.permissions.allows(Permissions::GRANT) {
            return Err(KeysError::PermissionMissing { keyset: name(), permission: "grant" });
        }
        let mut shares = Vec::new();
        for certificate in &keyset.certificates {
            let (split, epoch) = (certificate.split, certificate.epoch);
            let sealed = keyset.sealed.iter().find(|sealed| (sealed.split, sealed.epoch) == (split, epoch));
            let opened = grant
                .share(split, epoch)
                .zip(sealed)
                .and_then(|(share, sealed)| admin::open_share(&self.key, certificate, share, &sealed.sealed));
            let (share, hedge) =
                opened.ok_or_else(|| KeysError::tampered(format!("the device's share of keyset \"{}\"", name())))?;
            shares.push(OwnShare { certificate: certificate.clone(), share, hedge });
        }
        Ok(OwnShares { shares })
    }
}

/// A keyset is published only after the service proved, for both split keys, that it holds its half.
fn test(own: &OwnShares, keyset: KeysetId, (data, index): &(Evaluated, Evaluated)) -> Result<(), SplitError> {
    for own in &own.shares {
        let certificate = &own.certificate;
        let split = certificate.split;
        let evaluated = if split == Split::Data { data } else { index };
        let proof = evaluated.proof.as_ref().ok_or(SplitError::BadProof)?;
        let (answers, public) = (&evaluated.answers, &certificate.public);
        match split {
            Split::Data => drop(own.share.derive_keys(
                public,
                &own.hedge,
                &[Tag::data(keyset, Epoch(1), TEST_KEY)],
                answers,
                Check::Proved(proof),
            )?),
            Split::Index => drop(own.share.derive_term_roots(
                public,
                &own.hedge,
                &[Tag::index(keyset, Epoch(1), TEST_TYPE)],
                answers,
                proof,
            )?),
        }
    }
    Ok(())
}

fn terms(view: &View, permissions: Permissions, expires_ms: Option<u64>) -> Terms {
    Terms { permissions, types: Vec::new(), expires_ms, admins: view.trust.version() }
}

fn valid_name(name: &str) -> Result<(), KeysError> {
    name_fault(name).map_or(Ok(()), |fault| Err(KeysError::invalid(fault)))
}

fn after(now_ms: u64, lifetime: Option<Duration>) -> Option<u64> {
    lifetime.map(|lifetime| now_ms.saturating_add(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)))
}
