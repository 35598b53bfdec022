//! The audit trail of an engine: what it gives away is written down first, requests that come together in one
//! transaction. Changes are written down in their own transactions ([`log`](super::fetch::log)).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::crypto::ClientId;
use crate::keys::access::{AccessBatch, AccessRecord, MAX_NAME, MAX_RECORDS, MAX_STATEMENT, MAX_TYPES};
use crate::keys::alarm::{MAX_ALARMS, PinAlarm, PinAlarms};
use crate::keys::audit::{AuditHead, ReplicaId, SignedHead};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::{Origin, Request, ServiceId};
use crate::keys::service::MAX_PIN;

use super::super::authorize::Permit;
use super::super::store::tables::audit::{self, CHAIN_OPENED, Entry};
use super::super::store::{self, Store, Tx};
use super::Engine;
use super::repeats::{ALARM, Repeats};

/// A head is signed and kept this often, so that a cut of the chain is found.
const SIGN_EVERY: u64 = 1_000;
/// Entries in one transaction.
const MOST: usize = 512;

/// The engine's own chain.
pub(super) struct Trail {
    replica: ReplicaId,
    /// The chain has its row.
    opened: AtomicBool,
    signed: AtomicU64,
    repeats: Repeats,
    queue: Mutex<Queue>,
    turn: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Somebody is writing.
    busy: bool,
    entries: Vec<Entry>,
    batch: Arc<Batch>,
}

/// Entries that are written together, and how that went.
#[derive(Default)]
struct Batch(OnceLock<Result<(), KeysError>>);

impl Trail {
    /// Where one file is all, writers take turns anyway, and the chain of changes serves for all.
    pub(super) fn new(store: &dyn Store, service: ServiceId) -> Result<Self, KeysError> {
        let shared = store.shared();
        let replica = ReplicaId(if shared { crate::crypto::random::array()? } else { service.0 });
        let (repeats, queue, turn) = (Repeats::default(), Mutex::default(), Condvar::new());
        Ok(Self { replica, opened: AtomicBool::new(!shared), signed: AtomicU64::new(0), repeats, queue, turn })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds entries and waits until they are kept. Whoever comes while others write joins the next transaction.
    fn add(&self, entries: Vec<Entry>, write: impl Fn(Vec<Entry>) -> Result<(), KeysError>) -> Result<(), KeysError> {
        let mut queue = self.queue();
        while queue.entries.len() >= MOST {
            queue = self.turn.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.entries.extend(entries);
        let batch = Arc::clone(&queue.batch);
        loop {
            if let Some(result) = batch.0.get() {
                return result.clone();
            }
            if !queue.busy {
                break;
            }
            queue = self.turn.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        // A batch is closed by its writer alone, so this is the open one.
        queue.busy = true;
        queue.batch = Arc::default();
        let entries = std::mem::take(&mut queue.entries);
        drop(queue);
        let turn = Turn { trail: self, batch: &batch };
        let result = write(entries);
        let _ = turn.batch.0.set(result.clone());
        drop(turn);
        result
    }
}

/// The turn to write. Ends also by a panic: nobody waits for ever.
struct Turn<'a> {
    trail: &'a Trail,
    batch: &'a Batch,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.batch.0.get_or_init(|| Err(KeysError::unavailable("the audit trail could not be written")));
        self.trail.queue().busy = false;
        self.trail.turn.notify_all();
    }
}

impl Engine {
    /// Writes down what is not a change: keys given, requests refused, of those that come again and again a few. Returns
    /// when it is kept.
    pub fn record(&self, entries: Vec<Entry>) -> Result<(), KeysError> {
        let repeats = &self.inner.trail.repeats;
        let entries = repeats.thin(entries, Instant::now());
        let refused = entries.iter().filter(|entry| entry.result != audit::OK).cloned().collect::<Vec<_>>();
        self.keep(entries).inspect_err(|_| repeats.forget(&refused))
    }

    fn keep(&self, entries: Vec<Entry>) -> Result<(), KeysError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.inner.trail.add(entries, |entries| self.write_down(&entries))
    }

    /// Keeps a proxy's records of data access.
    pub fn keep_access(&self, request: &Request<AccessBatch>) -> Result<(), KeysError> {
        let records = &request.body.records;
        if records.len() > MAX_RECORDS || records.iter().any(|record| !is_bounded(record)) {
            return Err(KeysError::invalid("there are too many records of data access, or one is too long"));
        }
        let client = store::append(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Ok(Permit::check(tx, &trust, self.gate(), request)?.client())
        })?;
        let entry = |record: &AccessRecord| {
            let detail = serde_json::to_string(record).map_err(|e| KeysError::invalid(e.to_string()))?;
            let mut entry = Entry::new(wall_ms(), client, "data.access", &detail);
            entry.address.clone_from(&request.origin.address);
            entry.version.clone_from(&request.origin.version);
            Ok(entry)
        };
        self.record(records.iter().map(entry).collect::<Result<_, KeysError>>()?)
    }

    /// Keeps a proxy's alarms of pins: whoever tells one first, once in a few minutes.
    pub fn keep_alarms(&self, request: &Request<PinAlarms>) -> Result<(), KeysError> {
        let PinAlarms { database, alarms } = &request.body;
        let long = |text: &str| text.is_empty() || text.len() > MAX_PIN;
        if alarms.len() > MAX_ALARMS || long(database) || alarms.iter().any(|alarm| long(&alarm.object)) {
            return Err(KeysError::invalid("there are too many alarms, or a name of one is empty or too long"));
        }
        let client = store::append(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Ok(Permit::check(tx, &trust, self.gate(), request)?.client())
        })?;
        let entry = |alarm: &PinAlarm| {
            let entry = Entry::new(wall_ms(), client, ALARM, &format!("{} of database \"{database}\"", alarm.object));
            let Origin { address, version } = request.origin.clone();
            Entry { result: alarm.fault.code().to_owned(), address, version, ..entry }
        };
        self.record(alarms.iter().map(entry).collect())
    }

    fn write_down(&self, entries: &[Entry]) -> Result<(), KeysError> {
        let trail = &self.inner.trail;
        if !trail.opened.load(Ordering::Acquire) {
            self.open_chain()?;
            trail.opened.store(true, Ordering::Release);
        }
        let due = |head: &AuditHead| head.sequence >= trail.signed.load(Ordering::Relaxed) + SIGN_EVERY;
        let signed = store::append(self.store(), |tx| {
            let head = audit::extend(tx, trail.replica, entries.to_vec())?;
            if !due(&head) {
                return Ok(None);
            }
            audit::keep_signed(tx, &self.sign(head))?;
            Ok(Some(head.sequence))
        })?;
        if let Some(sequence) = signed {
            trail.signed.store(sequence, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A chain that was opened is named in the chain of changes, and missed there when it vanishes.
    fn open_chain(&self) -> Result<(), KeysError> {
        let (replica, now) = (self.inner.trail.replica, wall_ms());
        store::write(self.store(), |tx| {
            if audit::chain(tx, replica)?.is_some() {
                return Ok(());
            }
            audit::open_chain(tx, replica, now)?;
            let nobody = ClientId([0; 16]);
            let head = audit::append(tx, Entry::new(now, nobody, CHAIN_OPENED, &replica.to_string()))?;
            audit::keep_signed(tx, &self.sign(head))
        })
    }

    pub(super) fn sign(&self, head: AuditHead) -> SignedHead {
        head.sign(self.inner.service, &self.inner.signing)
    }

    /// Writes down what proxies told last and what was left out, then signs and keeps where its chains end, so that a cut is
    /// found that comes after. Says so in the log if it cannot.
    pub async fn close(&self) {
        let end = |engine: &Self| {
            if let Err(error) = engine.write_usage(wall_ms()) {
                tracing::warn!(%error, "what proxies told last of values sealed and opened could not be kept");
            }
            engine.keep(engine.inner.trail.repeats.rest()).and_then(|()| engine.sign_heads())
        };
        if let Err(error) = self.blocking(end).await {
            tracing::warn!(%error, "the end of the audit trail could not be written and signed");
        }
    }

    /// Signs and keeps where every chain ends that this engine writes.
    pub fn sign_heads(&self) -> Result<(), KeysError> {
        let stale = |chain: &audit::ChainRow| chain.signed.is_none_or(|signed| signed.head != chain.head);
        store::write(self.store(), |tx| {
            for chain in self.own_chains(tx)?.iter().filter(|chain| stale(chain)) {
                audit::keep_signed(tx, &self.sign(chain.head))?;
            }
            Ok(())
        })
    }

    /// Where the chains stand that this engine writes: that of changes, and that of its key fetches once it has some.
    pub(super) fn heads(&self, tx: &dyn Tx) -> Result<Vec<AuditHead>, KeysError> {
        Ok(self.own_chains(tx)?.into_iter().map(|chain| chain.head).collect())
    }

    fn own_chains(&self, tx: &dyn Tx) -> Result<Vec<audit::ChainRow>, KeysError> {
        let (own, main) = (self.inner.trail.replica, audit::main(tx)?);
        let mut chains = Vec::from_iter(audit::chain(tx, main)?);
        if own != main {
            chains.extend(audit::chain(tx, own)?);
        }
        Ok(chains)
    }
}

fn is_bounded(record: &AccessRecord) -> bool {
    const MAX_ID: usize = 64;
    let names = [&record.database, &record.user];
    let ids = [&record.peer, &record.client, &record.shape];
    record.statement.len() <= MAX_STATEMENT
        && names.iter().all(|name| name.len() <= MAX_NAME)
        && ids.iter().all(|id| id.len() <= MAX_ID)
        && record.types.len() <= MAX_TYPES
        && record.types.iter().all(|of| of.id.len() <= MAX_ID && of.name.len() <= MAX_ID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    fn trail() -> Trail {
        let (repeats, queue, turn) = (Repeats::default(), Mutex::default(), Condvar::new());
        Trail { replica: ReplicaId([1; 16]), opened: true.into(), signed: 0.into(), repeats, queue, turn }
    }

    fn entry() -> Vec<Entry> {
        vec![Entry::new(1, ClientId([1; 16]), "act", "")]
    }

    #[test]
    fn who_comes_while_others_write_shares_one_transaction() {
        let (trail, writes, entries) = (trail(), AtomicUsize::new(0), AtomicUsize::new(0));
        let waiting = || trail.queue().entries.len();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    trail.add(entry(), |written| {
                        // The first waits for all the others.
                        while writes.load(Ordering::SeqCst) == 0 && waiting() < 7 {
                            std::thread::yield_now();
                        }
                        writes.fetch_add(1, Ordering::SeqCst);
                        entries.fetch_add(written.len(), Ordering::SeqCst);
                        Ok(())
                    })
                });
            }
        });
        assert_eq!((writes.into_inner(), entries.into_inner()), (2, 8));
    }

    #[test]
    fn a_failure_is_told_to_all_of_its_batch_and_the_next_goes_on() {
        let trail = trail();
        let failed = KeysError::unavailable("full");
        assert_eq!(trail.add(entry(), |_| Err(failed.clone())), Err(failed.clone()));
        assert_eq!(trail.add(entry(), |_| Ok(())), Ok(()));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trail.add(entry(), |_| panic!("no"))));
        assert!(panicked.is_err());
        assert_eq!(trail.add(entry(), |_| Ok(())), Ok(()));
    }
}
