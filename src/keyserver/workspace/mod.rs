//! The admin's view of a workspace: a key service, and the device key of `$COLUMNSEAL_HOME`. What `columnseal client`,
//! `keyset`, `type` and `audit` call. All calls block; none prints. Names and ids (uuids) are taken alike.
//!
//! ```text
//! access     the key service: embedded store or key server
//! actor      who acts: a device's key, or an admin's session
//! init       making a workspace
//! clients    client keys and grants         keysets   keysets
//! epochs     rotating keysets
//! find       lists of clients, chosen and sorted   rotate   keys made elsewhere, keys replaced
//! enrol      a device asks to be let in            devices  an admin lets it in
//! ledger     the device's own list of its grants
//! admins     who the admins are, recovery
//! types      signed definitions and pins    trail     the audit trail
//! view       the workspace, checked         info      what commands show
//! ```

mod access;
mod actor;
mod admins;
mod clients;
mod devices;
mod enrol;
mod epochs;
mod find;
pub mod info;
mod init;
mod keysets;
mod ledger;
mod rotate;
mod trail;
mod types;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::client_key::ClientKey;
use crate::crypto::random;
use crate::crypto::root::RootFingerprint;
use crate::crypto::{ClientId, KeysetId};
use crate::keys::admin::{
    self, Act, Activity, Change, GetActivity, GetInventory, GetPresence, GetUsage, OpenSession, OwnShare, OwnShares,
    PresenceReport, SessionTicket, Terms, Unseal, Usage, UsageScale,
};
use crate::keys::claims::{Certificate, name_fault};
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keys::request::{Body, Origin};
use crate::keys::service::read_answer;
use crate::keys::settings::{Server, Service, Settings};

use super::engine::{Engine, root_key_path};
use super::files;
use super::policy::Policy;
use super::root_key::Source;
use super::store::spec::StoreSpec;
use access::Access;
use actor::Actor;
use view::{KeysetView, View};

pub use crate::keys::claims::ClientKind;
pub use actor::{Sight, stamp};
pub use admins::{AdminInfo, AdminsInfo, RecoverReport};
pub use clients::{ClientUpdate, CreatedClient, GRANTS, NewClient};
pub use devices::{Approval, DeviceInfo};
pub use enrol::{EnrolReport, Enrolling, Progress};
pub use find::{ClientFilter, ClientOrder};
pub use info::{AuditInfo, ClientInfo, Export, GrantInfo, InitReport, KeysetInfo, PinInfo, SeenInfo, TypeInfo};
pub use init::device_path;
pub use ledger::Finding;
pub use rotate::{RequestedClient, RotatedClient};
pub use trail::AuditExport;

pub use super::store::tables::audit::{Finding as AuditFinding, Flaw, Report as AuditReport};

/// A change is tried this often while other admins change the workspace at the same time.
const TRIES: u32 = 32;
/// Longest wait before another try, times the number of tries: admins who act at once must not meet again and again.
const PAUSE_MS: u64 = 20;

/// Where a workspace is made.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// `COLUMNSEAL_HOME`.
    pub home: PathBuf,
    /// The store, usually the file `store/keystore.db` in `home`.
    pub store: StoreSpec,
    /// Where the recovery kit goes, usually `recovery-kit.txt` in `home`.
    pub recovery_file: PathBuf,
    /// Name for this device's client, usually the host's name.
    pub device_name: String,
    /// The key service takes device keys; then keyset `default` is for development.
    pub devices: bool,
    /// The store's root key. A file that is not there is made; anything else must be there.
    pub root_key: Source,
}

/// A workspace and the admin's key to it. Cheap to clone.
#[derive(Clone)]
pub struct Workspace {
    access: Access,
    actor: Actor,
    root: RootFingerprint,
    /// Where the device keeps what is its own.
    folder: PathBuf,
    /// What changes are made on condition of.
    seen: Option<Sight>,
}

impl Workspace {
    /// Makes what is missing of a workspace: root, store, device key, keyset `default`. The root's seed goes into the recovery
    /// file (0600) and nowhere else. A second run changes nothing.
    pub fn init(options: &InitOptions) -> Result<InitReport, KeysError> {
        init::init(options)
    }

    /// As [`init`](Self::init), on a key server; `token` is needed to make the workspace. A second run changes nothing.
    pub fn init_server(options: &InitOptions, server: &Server, token: Option<&Path>) -> Result<InitReport, KeysError> {
        init::init_server(options, server, token)
    }

    /// Opens the store with the device key of `home` and the root key beside the store.
    pub fn open(home: &Path, store: &Path) -> Result<Self, KeysError> {
        let spec = StoreSpec::Sqlite(store.to_owned());
        Self::open_with(home, &spec, &Source::File(root_key_path(store)))
    }

    /// As [`open`](Self::open), of a store anywhere and with another root key.
    pub fn open_with(home: &Path, store: &StoreSpec, root_key: &Source) -> Result<Self, KeysError> {
        let (key, root) = device_key(home)?;
        let access = Access::Here(Engine::open_with(store, root_key, root)?);
        let folder = device_path(home).with_file_name("");
        Ok(Self { access, actor: Actor::Key(Arc::new(key)), root, folder, seen: None })
    }

    /// Asks a key server with the device key of `home`.
    pub fn connect(home: &Path, server: &Server) -> Result<Self, KeysError> {
        let (key, root) = device_key(home)?;
        let key = Arc::new(key);
        let access = Access::connect(server, &key, root)?;
        let folder = device_path(home).with_file_name("");
        Ok(Self { access, actor: Actor::Key(key), root, folder, seen: None })
    }

    /// As an admin who is signed in to the key server's page sees it, within the key server. No key is at hand: nothing can be
    /// granted or made.
    pub fn of_session(engine: &Engine, client: ClientId, origin: Origin) -> Self {
        let (access, root) = (Access::Here(engine.clone()), engine.root());
        Self { access, actor: Actor::Session(client, origin), root, folder: PathBuf::new(), seen: None }
    }

    /// The same workspace; a change is made only while what it concerns is as it was seen, and is a conflict otherwise.
    #[must_use]
    pub fn as_seen(&self, sight: Sight) -> Self {
        Self { seen: Some(sight), ..self.clone() }
    }

    /// The workspace that settings name.
    pub fn of(settings: &Settings, root_key: &Source) -> Result<Self, KeysError> {
        match &settings.service {
            Service::Embedded => Self::open_with(&settings.home, &settings.store.clone().into(), root_key),
            Service::Server(server) => Self::connect(&settings.home, server),
        }
    }

    /// Lets a restored store serve again. `false`: it was not sealed.
    pub fn unseal(&self) -> Result<bool, KeysError> {
        match &self.access {
            Access::Here(engine) if self.actor.key().is_ok() => engine.unseal(self.device()),
            Access::Here(_) | Access::There(..) => self.ask(&Unseal {}),
        }
    }

    /// The same workspace, of whose key service an embedded store lets in whom `policy` allows.
    #[must_use]
    pub fn under(self, policy: Policy) -> Self {
        Self { access: self.access.under(policy), ..self }
    }

    /// Fingerprint of the workspace root.
    pub fn root(&self) -> String {
        self.root.to_string()
    }

    /// The device's client id.
    pub fn device(&self) -> ClientId {
        self.actor.client()
    }

    /// The device's key.
    fn key(&self) -> Result<&ClientKey, KeysError> {
        self.actor.key()
    }

    /// The public state of the workspace.
    pub fn export(&self) -> Result<Export, KeysError> {
        self.view().map(View::export)
    }

    /// The public state of the workspace, and when clients were last seen: in one look.
    pub fn survey(&self) -> Result<Export, KeysError> {
        self.view().map(View::survey)
    }

    /// The key service runs in this process, over a store of its own.
    pub fn is_embedded(&self) -> bool {
        matches!((&self.access, &self.actor), (Access::Here(_), Actor::Key(_)))
    }

    /// What the audit trail holds of the last hours, counted.
    pub fn activity(&self, hours: u32) -> Result<Activity, KeysError> {
        self.ask(&GetActivity { hours })
    }

    /// Who is connected to the answering server.
    pub fn presence(&self) -> Result<PresenceReport, KeysError> {
        self.ask(&GetPresence {})
    }

    /// How many values proxies say they sealed and opened, in the last spans of this length: of one keyset or of all.
    pub fn usage(&self, scale: UsageScale, spans: u32, keyset: Option<KeysetId>) -> Result<Usage, KeysError> {
        self.ask(&GetUsage { scale, spans, keyset })
    }

    /// A ticket with which this admin signs in to the key server's page.
    pub fn open_session(&self) -> Result<SessionTicket, KeysError> {
        self.ask(&OpenSession {})
    }

    fn ask<B: Body>(&self, body: &B) -> Result<B::Answer, KeysError> {
        read_answer::<B>(&self.actor.ask(&self.access, body)?)
    }

    fn view(&self) -> Result<View, KeysError> {
        View::check(self.root, self.ask(&GetInventory {})?)
    }

    /// Decides on the workspace as it is and acts; again where another admin acted in between.
    fn change<T>(&self, decide: impl Fn(&View) -> Result<T, KeysError>) -> Result<T, KeysError> {
        for tried in 1..TRIES {
            match decide(&self.view_as_seen()?) {
                Err(KeysError::Conflict) => {}
                done => return done,
            }
            let [chance] = random::array::<1>()?;
            let most = PAUSE_MS * u64::from(tried.min(8));
            std::thread::sleep(Duration::from_millis(most * u64::from(chance) / 256));
        }
        decide(&self.view_as_seen()?)
    }

    /// The workspace, if what the change concerns is still as it was seen.
    fn view_as_seen(&self) -> Result<View, KeysError> {
        let view = self.view()?;
        let same = self.seen.as_ref().map_or(Ok(true), |sight| sight.holds(&view))?;
        if same { Ok(view) } else { Err(KeysError::Conflict) }
    }

    fn act(&self, view: &View, act: Act) -> Result<Vec<crate::crypto::KeysetId>, KeysError> {
        self.ask(&Change { expected: view.revision, act })
    }

    /// The device's own shares of a keyset, opened and checked.
    fn own(&self, view: &View, keyset: &KeysetView) -> Result<OwnShares, KeysError> {
        let name = || keyset.record.name.clone();
        let grant = view.grant(self.device(), keyset.record.id).ok_or_else(|| KeysError::NoGrant { keyset: name() })?;
        if !grant.permissions.allows(Permissions::GRANT) {
            return Err(KeysError::missing(name(), "grant"));
        }
        let mut shares = Vec::new();
        let live = |c: &&Certificate| keyset.record.epochs.keep(c.split, c.epoch);
        for certificate in keyset.certificates.iter().filter(live) {
            let (split, epoch) = (certificate.split, certificate.epoch);
            let sealed = keyset.sealed.iter().find(|sealed| (sealed.split, sealed.epoch) == (split, epoch));
            let opened = grant
                .share(split, epoch)
                .zip(sealed)
                .and_then(|(share, sealed)| admin::open_share(self.key().ok()?, certificate, share, &sealed.sealed));
            if grant.share(split, epoch).is_none() && epoch > keyset.record.epochs.current {
                let name = name();
                return Err(KeysError::invalid(format!(
                    "another admin began to rotate keyset \"{name}\": that admin must finish it, or you abandon it (`keyset rotate {name} --abandon`)"
                )));
            }
            let (share, hedge) =
                opened.ok_or_else(|| KeysError::tampered(format!("the device's share of keyset \"{}\"", name())))?;
            shares.push(OwnShare { certificate: certificate.clone(), share, hedge });
        }
        Ok(OwnShares { shares })
    }
}

/// The device key of `home`, and the root that it trusts.
fn device_key(home: &Path) -> Result<(ClientKey, RootFingerprint), KeysError> {
    let path = device_path(home);
    let secret = files::load(&path)?.ok_or_else(|| KeysError::DeviceKeyMissing { path: path.clone() })?;
    let malformed = |e: crate::crypto::client_key::TextError| KeysError::File {
        path: path.clone(),
        why: format!("the device key {e}"),
    };
    ClientKey::from_secret(secret.trim()).map_err(malformed)
}

fn terms(view: &View, permissions: Permissions, expires_ms: Option<u64>) -> Terms {
    Terms { permissions, types: Vec::new(), expires_ms, admins: view.trust.version() }
}

fn valid_name(name: &str) -> Result<(), KeysError> {
    name_fault(name).map_or(Ok(()), |fault| Err(KeysError::invalid(fault)))
}
