//! Catalog snapshots of the databases behind the proxy, shared between sessions.
//!
//! A snapshot is read over a session's own connection when it is first needed or known to be stale, so nothing but the
//! client's login is required; where the proxy has credentials of its own, a watcher also notices DDL that did not pass
//! through it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::alarms::Alarms;
use super::settings::Policy;
use crate::keys::{KeysError, Pin, Ring};
use crate::net::connect::{ConnectError, connect};
use crate::net::settings::Target;
use crate::schema::catalog::{Catalog, EncType, Standing};
use crate::schema::{SchemaError, database, pins, registry, snapshot};
use crate::telemetry::metrics::Metrics;
use crate::wire::value::Letters;

/// How often DDL that did not pass through the proxy is looked for.
const PROBE_INTERVAL: Duration = Duration::from_millis(PROBE_MS);
const PROBE_MS: u64 = 1000;
/// Time of a look that whoever comes next does not rely on.
const LONG_AGO: u64 = 1;

/// How often it is looked whether the workspace changed.
const KEYS_INTERVAL: Duration = Duration::from_millis(250);
/// How long a snapshot waits for definitions of types that are not known as signed.
const TYPES_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a session waits for another to read the snapshot.
pub(super) const READING_PATIENCE: Duration = Duration::from_secs(2);

/// Why no snapshot can be had.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// What the database holds cannot be read as a catalog.
    #[error("the catalog cannot be read: {0}")]
    Schema(#[from] SchemaError),
    /// Pins or signed types cannot be had.
    #[error("the key service gives no pins: {0}")]
    Keys(#[from] KeysError),
}

/// Why a watcher stopped.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// Rows in text form, one list per query.
pub(super) type Answers = Vec<Vec<Vec<Option<String>>>>;

/// The snapshot of one database.
pub(super) struct Slot {
    name: String,
    current: ArcSwapOption<Current>,
    /// Grows whenever the catalog is known to have changed. What was read in an older epoch is stale.
    epoch: AtomicU64,
    /// Held while a snapshot is read, so that sessions read it once. Whoever waits too long reads for itself.
    pub(super) reading: AsyncMutex<()>,
    watched: AtomicBool,
    /// A session came since the watcher looked for one.
    came: AtomicBool,
    started: Instant,
    /// Milliseconds from `started` to the last look for changes; 0: there was none.
    probed_at: AtomicU64,
    probe: Mutex<Option<String>>,
    /// Alarms that were logged.
    alarms: Mutex<Vec<String>>,
    /// What this database makes of letters' case, and the epoch in which it was asked: a database of this name may be made anew.
    letters: ArcSwapOption<(u64, Arc<Letters>)>,
}

struct Current {
    catalog: Arc<Catalog>,
    /// Epoch in which it was begun to be read.
    epoch: u64,
}

impl Slot {
    fn new(name: &str) -> Self {
        Slot {
            name: name.to_owned(),
            current: ArcSwapOption::empty(),
            epoch: AtomicU64::new(0),
            reading: AsyncMutex::new(()),
            watched: AtomicBool::new(false),
            came: AtomicBool::new(true),
            started: Instant::now(),
            probed_at: AtomicU64::new(0),
            probe: Mutex::default(),
            alarms: Mutex::default(),
            letters: ArcSwapOption::empty(),
        }
    }

    /// What another session learned of letters since the catalog changed last.
    pub(super) fn letters(&self) -> Option<Arc<Letters>> {
        let known = self.letters.load();
        known.as_ref().filter(|known| known.0 == self.epoch()).map(|known| Arc::clone(&known.1))
    }

    /// Keeps what was asked in this epoch.
    pub(super) fn learned(&self, epoch: u64, letters: Arc<Letters>) {
        self.letters.store(Some(Arc::new((epoch, letters))));
    }

    /// The epoch now.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The snapshot and its epoch, unless there is none or it is known to be stale.
    pub(super) fn fresh(&self) -> Option<(Arc<Catalog>, u64)> {
        let current = self.current.load();
        current.as_ref().filter(|c| c.epoch == self.epoch()).map(|c| (Arc::clone(&c.catalog), c.epoch))
    }

    /// The catalog changed: the next statement reads it anew.
    pub(super) fn invalidate(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Nobody has looked for changes yet, or nobody watches this database and the last look is too long ago.
    pub(super) fn needs_probe(&self) -> bool {
        let at = self.probed_at.load(Ordering::Relaxed);
        at <= LONG_AGO || (!self.watched.load(Ordering::Relaxed) && self.clock().saturating_sub(at) >= PROBE_MS)
    }

    /// Sessions have it, besides the list of slots and the watcher if there is one.
    fn in_use(self: &Arc<Self>, watcher: bool) -> bool {
        Arc::strong_count(self) > 1 + usize::from(watcher)
    }

    /// Sessions have it, or had it since the watcher asked before.
    fn wanted(self: &Arc<Self>) -> bool {
        self.came.swap(false, Ordering::AcqRel) || self.in_use(true)
    }

    /// A session comes. Where nobody was, a database of this name may be another one by now.
    fn enter(self: &Arc<Self>, watcher: bool) {
        self.came.store(true, Ordering::Release);
        if !self.watched.load(Ordering::Acquire) && !self.in_use(watcher) {
            self.probed_at.fetch_min(LONG_AGO, Ordering::AcqRel);
        }
    }

    fn clock(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(LONG_AGO + 1)
    }

    /// Takes the answer of [`snapshot::CHANGE_PROBE`]. What differs from the answer before is a change.
    pub(super) fn probed(&self, text: Option<String>) {
        let mut probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.probed_at.swap(self.clock(), Ordering::AcqRel) == 0;
        if *probe != text {
            *probe = text;
            // A snapshot is read only after a first look.
            if !first {
                self.invalidate();
            }
        }
    }
}

/// Snapshots by database name.
pub struct Catalogs {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    ring: Arc<Ring>,
    policy: Policy,
    target: Target,
    metrics: Arc<Metrics>,
    alarms: Arc<Alarms>,
    shutdown: CancellationToken,
}

impl Catalogs {
    /// No snapshots yet. Must be called within a runtime; its tasks end with `shutdown`.
    pub fn new(
        ring: Arc<Ring>,
        policy: Policy,
        target: Target,
        metrics: Arc<Metrics>,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let alarms = Arc::new(Alarms::default());
        tokio::spawn(Arc::clone(&alarms).run(Arc::clone(&ring), shutdown.clone()));
        let catalogs = Arc::new(Catalogs { slots: Mutex::default(), ring, policy, target, metrics, alarms, shutdown });
        tokio::spawn(follow_keys(Arc::clone(&catalogs)));
        catalogs
    }

    /// The slot of a database; the first asker starts its watcher.
    pub(super) fn slot(self: &Arc<Self>, database: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(database) {
            slot.enter(self.target.user.is_some());
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot::new(database));
        slots.insert(database.to_owned(), Arc::clone(&slot));
        drop(slots);
        if self.target.user.is_some() {
            tokio::spawn(watch(Arc::clone(self), Arc::clone(&slot)));
        }
        slot
    }

    /// Makes the answers of [`snapshot::SNAPSHOT_QUERIES`], read in this epoch, the current snapshot.
    ///
    /// # Errors
    /// See [`CatalogError`]; the slot stays as it was.
    pub(super) async fn publish(
        &self,
        slot: &Slot,
        answers: &Answers,
        epoch: u64,
    ) -> Result<Arc<Catalog>, CatalogError> {
        let catalog = self.build(slot, answers, true).await?;
        slot.current.store(Some(Arc::new(Current { catalog: Arc::clone(&catalog), epoch })));
        Ok(catalog)
    }

    /// Some column of the database is pinned, or configured as encrypted.
    ///
    /// # Errors
    /// The pins cannot be had.
    pub(super) async fn has_pins(&self, database: &str) -> Result<bool, CatalogError> {
        Ok(!self.policy.encrypted.is_empty() || !self.ring.pins(database).await?.is_empty())
    }

    /// Builds a snapshot. `learn`: new encrypted columns are pinned and unsigned types adopted where that is allowed;
    /// a snapshot of an open transaction does neither.
    ///
    /// # Errors
    /// See [`CatalogError`].
    pub(super) async fn build(
        &self,
        slot: &Slot,
        answers: &Answers,
        learn: bool,
    ) -> Result<Arc<Catalog>, CatalogError> {
        let built = self.make(slot, answers, learn).await;
        match &built {
            Ok(_) => self.metrics.catalog.loads.increment(1),
            Err(_) => self.metrics.catalog.failures.increment(1),
        }
        built
    }

    async fn make(&self, slot: &Slot, answers: &Answers, learn: bool) -> Result<Arc<Catalog>, CatalogError> {
        let database = slot.name.as_str();
        let trusted = &self.policy.trusted_functions;
        let mut catalog = snapshot::build(answers, &self.ring.types(), trusted)?;
        if unsigned(&catalog).next().is_some() && self.learn_types().await {
            catalog = snapshot::build(answers, &self.ring.types(), trusted)?;
        }
        if learn && self.policy.adopt_unsigned_types && self.adopt(&catalog).await? {
            catalog = snapshot::build(answers, &self.ring.types(), trusted)?;
        }
        let known = self.ring.pins(database).await?;
        let known: Vec<_> = known.into_iter().map(|p| (p.object, p.type_id)).collect();
        let alarms = pins::check(&mut catalog, &known, &self.policy.encrypted);
        if learn {
            self.report(slot, &alarms);
        }
        if learn {
            let new: Vec<Pin> =
                pins::new_pins(&catalog, &known).into_iter().map(|(object, type_id)| Pin { object, type_id }).collect();
            if !new.is_empty() {
                info!(database, columns = new.len(), "new encrypted columns pinned");
                self.ring.add_pins(database, &new).await?;
            }
        }
        Ok(Arc::new(catalog))
    }

    /// Logs alarms that were not there before, and has the audit trail keep them.
    fn report(&self, slot: &Slot, alarms: &[pins::Alarm]) {
        let mut known = slot.alarms.lock().unwrap_or_else(PoisonError::into_inner);
        let new = |alarm: &&pins::Alarm| !known.contains(&alarm.why);
        self.alarms.note(&slot.name, alarms.iter().filter(new));
        for alarm in alarms.iter().filter(new) {
            warn!(
                database = slot.name,
                object = alarm.object,
                why = alarm.why,
                "a pinned column is not as it was; statements on it are refused: docs/security.md#pins says what to do"
            );
        }
        self.metrics.alarms.increment(alarms.len() as f64 - known.len() as f64);
        *known = alarms.iter().map(|alarm| alarm.why.clone()).collect();
    }

    /// Asks for the definitions that are signed by now. Whether there are others than before.
    async fn learn_types(&self) -> bool {
        let known = self.ring.types();
        match tokio::time::timeout(TYPES_TIMEOUT, self.ring.refresh()).await {
            Ok(Ok(())) => self.ring.types() != known,
            // It fails for others as well, and is told there; what is known counts on.
            Ok(Err(_)) | Err(_) => false,
        }
    }

    async fn adopt(&self, catalog: &Catalog) -> Result<bool, CatalogError> {
        let mut any = false;
        for enc in unsigned(catalog) {
            self.ring.adopt_type(&registry::canonical(&enc.def)?, enc.def.id).await?;
            info!(name = enc.def.name, "encrypted type adopted");
            any = true;
        }
        Ok(any)
    }
}

fn unsigned(catalog: &Catalog) -> impl Iterator<Item = &Arc<EncType>> {
    catalog.types.values().filter(|t| t.standing == Standing::Unsigned && t.whole.is_none())
}

/// Has snapshots read anew when the workspace changes: pins and signed definitions are part of them.
async fn follow_keys(catalogs: Arc<Catalogs>) {
    let mut seen = catalogs.ring.revision();
    loop {
        tokio::select! {
            () = catalogs.shutdown.cancelled() => return,
            () = tokio::time::sleep(KEYS_INTERVAL) => {}
        }
        let now = catalogs.ring.revision();
        if now != seen {
            seen = now;
            catalogs.slots.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|slot| slot.invalidate());
        }
    }
}

/// Looks for DDL that did not pass through the proxy, over a connection of its own, until shutdown. While no session uses the
/// database there is no connection: it would keep the database from being dropped, renamed or copied.
async fn watch(catalogs: Arc<Catalogs>, slot: Arc<Slot>) {
    let mut warned = false;
    loop {
        let attempt = watch_once(&catalogs, &slot);
        let ended = tokio::select! {
            () = catalogs.shutdown.cancelled() => return,
            ended = attempt => ended,
        };
        slot.watched.store(false, Ordering::Release);
        let pause = if ended.is_ok() { PROBE_INTERVAL } else { PROBE_INTERVAL * 5 };
        if let Err(e) = ended
            && !std::mem::replace(&mut warned, true)
        {
            warn!(database = slot.name, error = %e, "cannot watch the catalog with the proxy's own login; sessions look for themselves: look at [database] user and password");
        }
        tokio::select! {
            () = catalogs.shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Watches while sessions come or stay.
async fn watch_once(catalogs: &Catalogs, slot: &Arc<Slot>) -> Result<(), WatchError> {
    if !slot.wanted() {
        return Ok(());
    }
    let client = connect(&catalogs.target, Some(&slot.name)).await?;
    let mut tick = tokio::time::interval(PROBE_INTERVAL);
    loop {
        tick.tick().await;
        if !slot.wanted() {
            slot.watched.store(false, Ordering::Release);
            return Ok(());
        }
        slot.probed(Some(database::change_probe(&client).await?));
        slot.watched.store(true, Ordering::Relaxed);
    }
}
