//! What a session uses: keys to encrypt with, keys to decrypt with, term keys, type definitions, pins.
//!
//! ```text
//! held      what the client holds at one revision: the list of its keysets
//! keyset    a keyset of it that was used: grant checked, shares opened
//! open      opens keysets when they are first used
//! pool      data keys ready to encrypt with, of one keyset
//! heads     heads of the audit trail, for the log
//! memory    the newest revision that was seen, kept in a file
//! warden    the task that keeps `held` and the lease: renewal, watch of revisions, purge
//! supply    the task that fetches data keys to encrypt with, and term roots
//! fetch     the task that fetches data keys to decrypt with
//! usage     what was sealed and opened, for the warden to tell
//! ```
//! Keys fetched to decrypt with never encrypt. After the lease, or once a grant is gone, no cached key is given out.

mod fetch;
mod heads;
mod held;
mod keyset;
mod memory;
mod open;
mod pool;
mod supply;
mod usage;
mod warden;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::crypto::client_key::ClientKey;
use crate::crypto::envelope::DataKey;
use crate::crypto::root::RootFingerprint;
use crate::crypto::secret::Key32;
use crate::crypto::term::TermKeys;
use crate::crypto::{ClientId, KeyId, KeysetId, Kref, TypeId};

use super::access::AccessBatch;
use super::alarm::PinAlarms;
use super::claims::typedef::MAX_DEFINITION;
use super::claims::{Signed, TypeClaim};
use super::clock::Boot;
use super::error::KeysError;
use super::permissions::Permissions;
use super::request::Body;
use super::service::{AddPins, GetPins, Granted, KeyService, PinnedObject, PutType, Revision, Standing, ask};
use super::settings::Settings;
use fetch::Wanted;
use heads::Heads;
use held::Held;
use memory::Memory;
use pool::Limits;
use supply::Order;
use usage::Usage;

pub use usage::REPORTS;
pub use warden::{RENEWALS, RETRY};

/// A database object pinned to an encrypted type.
pub type Pin = PinnedObject;

/// Most memory of the decrypt cache, in bytes.
pub const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// What one cached key takes: key schedule, names, the cache's own entry.
pub const ENTRY_BYTES: u32 = 1024;
/// A data key is fetched again after a failure to open at most once in this time.
const REFETCH: Duration = Duration::from_secs(60);
/// Asks that wait for one of the tasks.
const QUEUE: usize = 1024;
/// For the last report, at the end.
const LAST_REPORT: Duration = Duration::from_secs(2);
/// How long pins are waited for that are known from before.
const PINS_PATIENCE: Duration = Duration::from_secs(1);

/// The client side of one client key. Shared by all sessions.
pub struct Ring {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What sessions and tasks have in common.
struct Shared {
    key: Arc<ClientKey>,
    root: RootFingerprint,
    service: Arc<dyn KeyService>,
    limits: Limits,
    lease: Duration,
    /// Name of the keyset for new values.
    keyset: Option<String>,
    held: ArcSwap<Held>,
    /// The newest standing that the service told.
    seen: ArcSwap<Standing>,
    heads: Heads,
    /// Where there is a home to keep it in.
    memory: Option<Memory>,
    /// End of the lease in boot time.
    lease_until: AtomicU64,
    /// Purges so far.
    generation: AtomicU64,
    /// Why the last question to the service failed.
    trouble: ArcSwapOption<KeysError>,
    cache: Cache<(Kref, KeyId), Arc<DataKey>>,
    hits: AtomicU64,
    misses: AtomicU64,
    refetched: Cache<(Kref, KeyId), ()>,
    usage: Usage,
    /// Pins as they were read last, by database: they serve while the service is away, no longer than keys do.
    pins: Mutex<HashMap<String, Vec<Pin>>>,
    to_warden: mpsc::Sender<warden::Ask>,
    to_supply: mpsc::Sender<Order>,
    to_fetch: mpsc::Sender<Wanted>,
}

impl Ring {
    /// Checks the client's standing and grants, makes keys of the default keyset ready where it may encrypt, and starts the
    /// tasks that keep all of it current. They end with [`stop`](Self::stop) or when the ring is dropped.
    ///
    /// # Errors
    /// The service's or store's; a grant of the default keyset that is missing while the client has no other.
    pub async fn start(
        settings: &Settings,
        client: Arc<ClientKey>,
        root: RootFingerprint,
        service: Arc<dyn KeyService>,
    ) -> Result<Arc<Self>, KeysError> {
        let (to_warden, asks) = mpsc::channel(QUEUE);
        let (to_supply, orders) = mpsc::channel(QUEUE);
        let (to_fetch, wanted) = mpsc::channel(QUEUE);
        let limits = Limits {
            values_per_key: settings.values_per_key,
            key_lifetime: settings.key_lifetime,
            pool: settings.pool,
        };
        let cache = Cache::builder()
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_, _| ENTRY_BYTES)
            .max_capacity(CACHE_BYTES);
        let (memory, seen) = remembered(settings, root).await;
        let shared = Arc::new(Shared {
            key: client,
            root,
            service,
            limits,
            lease: settings.lease,
            keyset: settings.keyset.clone(),
            held: ArcSwap::default(),
            seen: ArcSwap::from_pointee(Standing { revision: seen, changed: 0 }),
            heads: Heads::default(),
            memory,
            lease_until: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            trouble: ArcSwapOption::empty(),
            cache: cache.build(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            refetched: Cache::builder().time_to_live(REFETCH).max_capacity(65_536).build(),
            usage: Usage::new(tokio::time::Instant::now())?,
            pins: Mutex::default(),
            to_warden,
            to_supply,
            to_fetch,
        });
        warden::refresh(&shared).await?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(stop.clone().run_until_cancelled_owned(warden::run(Arc::clone(&shared), asks)));
        tasks.spawn(stop.clone().run_until_cancelled_owned(supply::run(Arc::clone(&shared), orders)));
        tasks.spawn(stop.clone().run_until_cancelled_owned(fetch::run(Arc::clone(&shared), wanted)));
        tasks.close();
        let ring = Self { shared, tasks, stop };
        ring.shared.warm().await?;
        Ok(Arc::new(ring))
    }

    /// Ends the tasks and waits for them; what was not told yet of values sealed and opened is. Cancel safe.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
        let _ = tokio::time::timeout(LAST_REPORT, warden::tell_last(&self.shared)).await; // it is lost then
        if let Some(memory) = &self.shared.memory {
            memory.close(self.shared.seen.load().revision).await;
        }
    }

    /// The keyset for new values.
    pub fn default_keyset(&self) -> Result<KeysetId, KeysError> {
        self.shared.default_keyset()
    }

    /// A granted keyset by name or id.
    pub fn keyset_named(&self, name: &str) -> Option<KeysetId> {
        self.resolve(name).ok()
    }

    /// As [`keyset_named`](Self::keyset_named), and why not.
    pub fn resolve(&self, name: &str) -> Result<KeysetId, KeysError> {
        self.shared.held.load().resolve(name)
    }

    /// As [`resolve`](Self::resolve), of a keyset that is enabled.
    pub fn choose(&self, name: &str) -> Result<KeysetId, KeysError> {
        let held = self.shared.held.load();
        let id = held.resolve(name)?;
        held.entry(id)?.enabled().map(|()| id)
    }

    /// The keyset that this number stands for, if it is granted.
    pub fn keyset_of(&self, kref: Kref) -> Option<KeysetId> {
        self.shared.held.load().krefs.get(&kref).copied()
    }

    /// The name of a granted keyset.
    pub fn name_of(&self, id: KeysetId) -> Option<String> {
        self.shared.held.load().keysets.get(&id).map(|entry| entry.listed.name.clone())
    }

    /// The keyset for new values as the settings name it.
    pub fn configured(&self) -> Option<&str> {
        self.shared.keyset.as_deref()
    }

    /// All granted keysets, by name.
    pub fn granted(&self) -> Vec<Granted> {
        let held = self.shared.held.load();
        let mut all: Vec<Granted> = held.keysets.values().map(|entry| entry.listed.clone()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A key for answers to who is nobody.
    pub fn decoy(&self) -> Key32 {
        self.shared.key.decoy()
    }

    /// The client.
    pub fn client(&self) -> ClientId {
        self.shared.key.client_id()
    }

    /// What is left of the lease; zero once it is over.
    pub fn lease_left(&self) -> Duration {
        Duration::from_nanos(self.shared.lease_until.load(Ordering::Acquire).saturating_sub(Boot::now().0))
    }

    /// Why keys are refused, or the key service fails, if so.
    pub fn trouble(&self) -> Option<KeysError> {
        let refused = self.shared.held.load().refused.clone();
        refused.or_else(|| self.shared.trouble.load_full().map(|error| KeysError::clone(&error)))
    }

    /// Names and ids of all granted keysets, by name.
    pub fn keysets(&self) -> Vec<(String, KeysetId)> {
        let held = self.shared.held.load();
        let all = held.keysets.values().map(|entry| (entry.listed.name.clone(), entry.listed.keyset));
        let mut all = all.collect::<Vec<_>>();
        all.sort();
        all
    }

    /// Some grant allows granting: whoever takes this client's key can make others. Worth a warning off loopback.
    pub fn may_grant(&self) -> bool {
        let held = self.shared.held.load();
        held.keysets.values().any(|entry| entry.listed.permissions.allows(Permissions::GRANT))
    }

    /// A key to encrypt with, for at least one and at most `values` values. Takes no lock and allocates nothing. `None`: the
    /// pool is empty, the lease over or the grant gone; [`ready`](Self::ready) waits or says why.
    pub fn data_key(&self, keyset: KeysetId, values: u32) -> Option<(Arc<DataKey>, u32)> {
        let now = self.shared.leased()?;
        let held = self.shared.held.load();
        let keyset = held.keysets.get(&keyset)?.allowed(Permissions::ENCRYPT, now)?;
        let taken = keyset.pool.take(values, now);
        if taken.refill && self.shared.to_supply.try_send(Order::Refill(keyset.id)).is_err() {
            keyset.pool.refilled();
        }
        taken.key
    }

    /// Waits until [`data_key`](Self::data_key) has a key. Cancel safe: a fetch that was begun goes on.
    pub async fn ready(&self, keyset: KeysetId) -> Result<(), KeysError> {
        self.shared.with_lease(|held| held.entry(keyset)?.enabled()).await?;
        self.shared.order(|reply| Order::Ready(keyset, reply)).await
    }

    /// The keys of a type's terms, if they were fetched, the lease holds and the grant allows queries.
    pub fn term_keys(&self, keyset: KeysetId, type_id: TypeId) -> Option<Arc<TermKeys>> {
        let now = self.shared.leased()?;
        let held = self.shared.held.load();
        let keyset = held.keysets.get(&keyset)?.allowed(Permissions::QUERY, now)?;
        keyset.terms.load().get(&type_id).cloned()
    }

    /// As [`term_keys`](Self::term_keys), fetched where they were not. Cancel safe: a fetch that was begun goes on.
    pub async fn fetch_term_keys(&self, keyset: KeysetId, type_id: TypeId) -> Result<Arc<TermKeys>, KeysError> {
        self.shared.with_lease(|held| held.entry(keyset)?.enabled()).await?;
        self.shared.order(|reply| Order::Term(keyset, type_id, reply)).await
    }

    /// A key to decrypt with. `None`: it was not fetched, the lease is over or the grant gone; [`fetch`](Self::fetch) fetches
    /// or says why.
    pub fn cached(&self, kref: Kref, key_id: KeyId) -> Option<Arc<DataKey>> {
        let now = self.shared.leased()?;
        let held = self.shared.held.load();
        held.keysets.get(held.krefs.get(&kref)?)?.allowed(Permissions::DECRYPT, now)?;
        let found = self.shared.cache.get(&(kref, key_id));
        if found.is_some() { &self.shared.hits } else { &self.shared.misses }.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// How often a key to decrypt with was at hand, and how often not, so far.
    pub fn looked(&self) -> (u64, u64) {
        (self.shared.hits.load(Ordering::Relaxed), self.shared.misses.load(Ordering::Relaxed))
    }

    /// A batch of values of this keyset was sealed.
    pub fn sealed(&self, keyset: KeysetId, values: u64) {
        self.shared.count(keyset, |count| count.sealed(values));
    }

    /// A batch of values of this keyset was opened.
    pub fn opened(&self, keyset: KeysetId, values: u64) {
        self.shared.count(keyset, |count| count.opened(values));
    }

    /// A statement was refused.
    pub fn refused(&self) {
        self.shared.usage.refused();
    }

    /// Fetches keys to decrypt with: all that are missing in one request, together with those of other sessions. Afterwards
    /// [`cached`](Self::cached) has them. Cancel safe: a fetch that was begun goes on.
    pub async fn fetch(&self, wanted: &[(Kref, KeyId)]) -> Result<(), KeysError> {
        self.shared.fetch(wanted, false).await
    }

    /// Fetches one key again, with proof, because a value did not open under the cached one. At most once per key and
    /// minute: `false` means that this was done just now and the value is what is wrong.
    pub async fn refetch(&self, kref: Kref, key_id: KeyId) -> Result<bool, KeysError> {
        if !self.shared.refetched.entry((kref, key_id)).or_insert(()).is_fresh() {
            return Ok(false);
        }
        // What was cached is not to be believed, whatever comes of this.
        self.shared.cache.invalidate(&(kref, key_id));
        let fetched = self.shared.fetch(&[(kref, key_id)], true).await;
        if fetched.is_err() {
            self.shared.refetched.invalidate(&(kref, key_id));
        }
        fetched.map(|()| true)
    }

    /// The revision of the workspace that is known.
    pub fn revision(&self) -> Revision {
        self.shared.held.load().standing.revision
    }

    /// Grows at every purge: a batch that still holds keys looks again.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// Type definitions that the workspace, or this client itself, signed: id and canonical text.
    pub fn types(&self) -> Arc<Vec<(TypeId, String)>> {
        Arc::clone(&self.shared.held.load().types)
    }

    /// Reads the state of the workspace anew. Cancel safe.
    ///
    /// # Errors
    /// The service cannot be reached, or refuses.
    pub async fn refresh(&self) -> Result<(), KeysError> {
        self.shared.refreshed().await
    }

    /// Signs a definition with the client's own key. It counts for this client; for all, an admin must sign it.
    pub async fn adopt_type(&self, definition: &str, id: TypeId) -> Result<(), KeysError> {
        if definition.len() > MAX_DEFINITION {
            return Err(KeysError::invalid(format!("a type definition is longer than {MAX_DEFINITION} bytes")));
        }
        let claim = TypeClaim { id, definition: definition.to_owned() };
        let signed = Signed::new(&claim, &self.shared.key);
        self.shared.ask(&PutType { signed }).await?;
        self.shared.refreshed().await
    }

    /// Hands records of data access to the audit trail.
    pub async fn keep_access(&self, batch: AccessBatch) -> Result<(), KeysError> {
        self.shared.ask(&batch).await
    }

    /// Tells the audit trail of pins that do not hold.
    pub async fn tell_alarms(&self, alarms: &PinAlarms) -> Result<(), KeysError> {
        self.shared.ask(alarms).await
    }

    /// The pins of a database, by its configured name; while the service is away, or slow, and the lease holds, as they were last.
    pub async fn pins(&self, database: &str) -> Result<Vec<Pin>, KeysError> {
        let known = || self.shared.leased().and_then(|_| self.shared.known_pins().get(database).cloned());
        let failing = self.shared.trouble.load().is_some();
        if let Some(pins) = known().filter(|_| failing) {
            return Ok(pins);
        }
        let body = GetPins { database: database.to_owned() };
        let asked = self.shared.ask(&body);
        let answer = match known().is_some() {
            false => asked.await,
            true => tokio::time::timeout(PINS_PATIENCE, asked)
                .await
                .unwrap_or_else(|_| Err(KeysError::unavailable(format!("it gave no pins within {PINS_PATIENCE:?}")))),
        };
        match answer {
            Ok(pins) => {
                self.shared.known_pins().insert(database.to_owned(), pins.clone());
                Ok(pins)
            }
            Err(error) if error.is_transient() => {
                let before = self.shared.known_pins().contains_key(database);
                known().ok_or(if before { KeysError::LeaseExpired { why: error.to_string() } } else { error })
            }
            Err(error) => Err(error),
        }
    }

    /// Adds pins to a database. One that contradicts an existing pin refuses all.
    pub async fn add_pins(&self, database: &str, pins: &[Pin]) -> Result<(), KeysError> {
        self.shared.ask(&AddPins { database: database.to_owned(), pins: pins.to_vec() }).await?;
        if let Some(known) = self.shared.known_pins().get_mut(database) {
            known.extend_from_slice(pins);
        }
        Ok(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    async fn ask<B: Body>(&self, body: &B) -> Result<B::Answer, KeysError> {
        ask(&*self.service, &self.key, body).await
    }

    /// Now, if the lease holds.
    fn leased(&self) -> Option<Boot> {
        let now = Boot::now();
        (now.0 < self.lease_until.load(Ordering::Acquire)).then_some(now)
    }

    /// Counts for a keyset. Takes a lock only where the keyset is none that is held open.
    fn count(&self, keyset: KeysetId, add: impl FnOnce(&usage::Count)) {
        match self.held.load().keysets.get(&keyset).and_then(|entry| entry.opened()) {
            Some(opened) => add(&opened.count),
            None => add(&self.usage.of(keyset)),
        }
    }

    fn known_pins(&self) -> MutexGuard<'_, HashMap<String, Vec<Pin>>> {
        self.pins.lock().expect("nothing panics while it holds this lock")
    }

    fn default_keyset(&self) -> Result<KeysetId, KeysError> {
        let name = self.keyset.as_deref().ok_or(KeysError::NoKeysetChosen)?;
        self.held.load().resolve(name)
    }

    /// Makes the default keyset ready at start. A grant that is missing is no error as long as there is another.
    async fn warm(&self) -> Result<(), KeysError> {
        let id = match self.default_keyset() {
            Ok(id) => id,
            Err(KeysError::NoKeysetChosen) => return Ok(()),
            Err(e) if self.held.load().keysets.is_empty() => return Err(e),
            Err(_) => return Ok(()),
        };
        match self.order(|reply| Order::Ready(id, reply)).await {
            Err(
                KeysError::PermissionMissing { .. } | KeysError::GrantExpired { .. } | KeysError::KeysetDisabled { .. },
            ) => Ok(()),
            done => done,
        }
    }

    /// Runs a check on what is held, renewing the lease first where it is over.
    async fn with_lease<T>(&self, check: impl Fn(&Held) -> Result<T, KeysError>) -> Result<T, KeysError> {
        if self.leased().is_none() {
            if let Some(refused) = &self.held.load().refused {
                return Err(refused.clone());
            }
            self.ask_warden(false)
                .await
                .map_err(|e| if e.is_transient() { KeysError::LeaseExpired { why: e.to_string() } } else { e })?;
        }
        check(&self.held.load())
    }

    /// Waits until the warden has read the state anew.
    async fn refreshed(&self) -> Result<(), KeysError> {
        self.ask_warden(true).await
    }

    async fn ask_warden(&self, whole: bool) -> Result<(), KeysError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.to_warden.send(warden::Ask { whole, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Gives the supply an order and waits for it.
    async fn order<T>(
        &self,
        order: impl FnOnce(tokio::sync::oneshot::Sender<Result<T, KeysError>>) -> Order,
    ) -> Result<T, KeysError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.to_supply.send(order(reply)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    async fn fetch(&self, wanted: &[(Kref, KeyId)], again: bool) -> Result<(), KeysError> {
        let check = |held: &Held| wanted.iter().try_for_each(|(kref, _)| held.of_kref(*kref)?.enabled());
        self.with_lease(check).await?;
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.to_fetch.send(Wanted { keys: wanted.to_vec(), again, reply }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// The memory, and the newest revision that it or the settings know of.
async fn remembered(settings: &Settings, root: RootFingerprint) -> (Option<Memory>, Revision) {
    let home = settings.home.clone();
    let opened = tokio::task::spawn_blocking(move || Memory::open(&home, root)).await.ok().flatten();
    let (memory, kept) = opened.unzip();
    (memory, kept.unwrap_or_default().max(settings.min_revision))
}

fn stopped() -> KeysError {
    KeysError::unavailable("the proxy is shutting down")
}
