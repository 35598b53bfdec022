//! The key service itself: every call checks its request, does its work in one transaction, and leaves a line in the audit
//! trail where keys are given or something changes. All methods block; [`service`] is the same for async callers.

mod activity;
mod admin;
mod admins;
mod backup;
mod clients;
mod dispatch;
mod enrol;
mod epochs;
mod fetch;
mod inventory;
mod presence;
mod repeats;
mod seen;
mod service;
mod session;
mod state;
mod trail;
mod usage;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;

use crate::crypto::ClientId;
use crate::crypto::hpke::{OpenKey, SealKey};
use crate::crypto::root::RootFingerprint;
use crate::crypto::secret::Key32;
use crate::crypto::sign::{SigningKey, VerifyKey};
use crate::keys::claims::{RootSigned, ServiceRecord, Trust};
use crate::keys::error::KeysError;
use crate::keys::request::ServiceId;
use crate::keys::service::{Revision, Standing};

use super::authorize::Gate;
use super::policy::Policy;
use super::root_key::{Place, Source, StoreKey, unlock};
use super::store::spec::StoreSpec;
use super::store::tables::workspace::{self, WorkspaceRow};
use super::store::{self, Store, Tx};
use trail::Trail;

pub use admin::{TEST_KEY, TEST_TYPE};
pub use dispatch::{ROUTES, Route};
pub use presence::Streaming;
pub use seen::{SEEN_MOST, SEEN_MS};
pub use service::WATCH;
pub use usage::USAGE_WRITES;
pub use watch::{Overview, Watched};

/// A key service over one store. Cheap to clone; several, in several processes, may work on one store.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
    policy: Policy,
}

struct Inner {
    store: Box<dyn Store>,
    wrap: StoreKey,
    service: ServiceId,
    trail: Trail,
    /// Opens what admins seal to the service.
    opening: OpenKey,
    /// Signs what is answered to other machines, and heads of the audit trail.
    signing: SigningKey,
    /// The service's public keys, signed by the root.
    record: RootSigned,
    root: RootFingerprint,
    /// The admin set last checked, and what came of it.
    trust: ArcSwapOption<(RootSigned, Arc<Trust>)>,
    /// When clients were seen, and what of it is still to be written.
    seen: Mutex<seen::Seen>,
    /// Who is connected, and what they heard of what was taken from them.
    watchers: presence::Watchers,
    /// What clients told of their work, and is still to be written.
    usage: usage::Reports,
    /// When the server's TLS certificate ends, in milliseconds since 1970; 0: it has none.
    served_until: AtomicU64,
}

/// Where a store's root key lies if nothing else is said.
pub fn root_key_path(store: &Path) -> PathBuf {
    store.with_file_name("root.key")
}

impl Engine {
    /// Opens an existing store with the root key beside it, whose workspace must be the one with this root. Never makes a
    /// store.
    pub fn open(path: &Path, root: RootFingerprint) -> Result<Self, KeysError> {
        Self::open_with(&StoreSpec::Sqlite(path.to_owned()), &Source::File(root_key_path(path)), root)
    }

    /// As [`Engine::open`], of a store anywhere and with another root key. It is asked now and never again.
    pub fn open_with(spec: &StoreSpec, root_key: &Source, root: RootFingerprint) -> Result<Self, KeysError> {
        Self::over(spec.open()?, root_key, root)
    }

    /// The root that a store says it belongs to. Not trusted: for those who have nothing better yet.
    pub fn root_of(spec: &StoreSpec) -> Result<RootFingerprint, KeysError> {
        let admins = store::read(&*spec.open()?, workspace::admins)?;
        let root = VerifyKey::from_bytes(&admins.root).map_err(|_| KeysError::tampered("the admin set"))?;
        Ok(RootFingerprint::of(&root))
    }

    /// Over a store that this process keeps for others: its workspace is whichever it holds.
    pub(super) fn serve(store: Box<dyn Store>, root_key: &Source) -> Result<Self, KeysError> {
        let admins = store::read(&*store, workspace::admins)?;
        let root = VerifyKey::from_bytes(&admins.root).map_err(|_| KeysError::tampered("the admin set"))?;
        Self::over(store, root_key, RootFingerprint::of(&root))
    }

    fn over(store: Box<dyn Store>, root_key: &Source, root: RootFingerprint) -> Result<Self, KeysError> {
        let (row, admins) = store::read(&*store, |tx| Ok((workspace::require(tx)?, workspace::admins(tx)?)))?;
        let trust = Trust::establish(root, &admins)?;
        let wrap = unlock(&*store, root_key)?;
        let (body, signature) = row.service_record.clone();
        let record = RootSigned { root: admins.root, body, signature };
        let (signing, opening) = open_service(&row, &record, &wrap, root)?;
        let trust = ArcSwapOption::from_pointee((admins, Arc::new(trust)));
        let (service, trail, seen) = (row.service, Trail::new(&*store, row.service)?, Mutex::default());
        let inner = Inner {
            store,
            wrap,
            service,
            trail,
            opening,
            signing,
            record,
            root,
            trust,
            seen,
            watchers: presence::Watchers::default(),
            usage: usage::Reports::default(),
            served_until: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner), policy: Policy::default() })
    }

    /// The same engine, which lets in whom `policy` allows.
    #[must_use]
    pub fn under(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Whom it lets in.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    fn gate(&self) -> Gate {
        Gate { service: self.inner.service, policy: self.policy }
    }

    /// Which service this is.
    pub fn service_id(&self) -> ServiceId {
        self.inner.service
    }

    /// What admins seal to.
    pub fn seal_key(&self) -> SealKey {
        self.inner.opening.seal_key()
    }

    /// What signs answers to other machines.
    pub fn signing_key(&self) -> &SigningKey {
        &self.inner.signing
    }

    /// The service's public keys, signed by the root.
    pub fn record_signed(&self) -> &RootSigned {
        &self.inner.record
    }

    /// The workspace's root.
    pub fn root(&self) -> RootFingerprint {
        self.inner.root
    }

    /// How new the state is. Does not wait for writers.
    pub fn revision(&self) -> Result<Revision, KeysError> {
        store::peek(self.store(), |tx| Ok(workspace::require(tx)?.revision))
    }

    /// Where the workspace and one client stand. Does not wait for writers.
    ///
    /// # Errors
    /// [`KeysError::ClientUnknown`]; the store's.
    pub fn standing(&self, client: ClientId) -> Result<Standing, KeysError> {
        store::peek(self.store(), |tx| state::standing(tx, client))
    }

    /// A number that changes whenever the store does.
    pub fn store_version(&self) -> Result<i64, KeysError> {
        self.store().version()
    }

    fn store(&self) -> &dyn Store {
        &*self.inner.store
    }

    /// The admin set of the store, checked against the root. A restored store that nobody acknowledged serves nobody.
    fn trust(&self, tx: &dyn Tx) -> Result<Arc<Trust>, KeysError> {
        let (signed, sealed) = workspace::admins_and_seal(tx)?;
        if sealed { Err(KeysError::Sealed) } else { self.trusted(signed) }
    }

    fn trusted(&self, signed: RootSigned) -> Result<Arc<Trust>, KeysError> {
        if let Some(known) = self.inner.trust.load().as_deref().filter(|known| known.0 == signed) {
            return Ok(Arc::clone(&known.1));
        }
        let trust = Arc::new(Trust::establish(self.inner.root, &signed)?);
        self.inner.trust.store(Some(Arc::new((signed, Arc::clone(&trust)))));
        Ok(trust)
    }
}

/// The service's keys: what signs, and what opens what admins seal to it; checked against the record that the root signed.
fn open_service(
    row: &WorkspaceRow,
    signed: &RootSigned,
    wrap: &StoreKey,
    root: RootFingerprint,
) -> Result<(SigningKey, OpenKey), KeysError> {
    let what = "the key service's record";
    let record: ServiceRecord = signed.check(root, what)?;
    let wrong = || KeysError::tampered("the key service's secret");
    let secret = wrap.unwrap(&Place::service(&row.service.0), &row.service_secret).ok_or_else(wrong)?;
    let (signing, opening) = secret.split_first_chunk::<32>().ok_or_else(wrong)?;
    let signing = SigningKey::service(&Key32::new(*signing));
    let opening = OpenKey::new(&Key32::new(opening.try_into().map_err(|_| wrong())?));
    let same = (record.id, record.verify, record.seal) == (row.service, signing.verify_key(), opening.seal_key());
    if same { Ok((signing, opening)) } else { Err(KeysError::tampered(what)) }
}
