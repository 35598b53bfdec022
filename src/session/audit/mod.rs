//! The audit of data access: which user ran which shape of statement on encrypted columns, from where, and with how many values.
//!
//! ```text
//! tally    counts of one session since its last batch: no lock, no allocation for a value
//! entry    counts of one user, database, address and shape since the last write
//! sink     where records are written: standard output, a file, the key service
//! ```
//! Nothing here ever holds a value, a literal or a parameter.

mod entry;
mod file;
mod sink;
mod tally;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::settings;
use crate::crypto::ClientId;
use crate::keys::access::{AccessRecord, MAX_RECORDS};
use crate::keys::clock::wall_ms;
use crate::telemetry::metrics::Metrics;

pub(super) use entry::{Entry, Who};
pub use file::AuditFile;
pub use sink::{AuditSink, Handover, SinkError};
pub(super) use tally::{Observer, Tally};

use entry::{Counts, Key};

/// Entries kept apart at most. What is beyond is summed up without its shape.
const MAX_ENTRIES: usize = 8192;
/// Entries without a shape at most. Runs beyond are counted as lost.
const MAX_OTHERS: usize = 1024;

/// What all sessions count into, and what is written of it.
pub struct Audit {
    client: String,
    off: bool,
    required: bool,
    interval: Duration,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    /// Counts what no entry could be kept for. Only how much it was is written.
    overflow: Arc<Entry>,
    /// Records cannot be kept now.
    failing: AtomicBool,
    reopen: AtomicBool,
    /// Wakes the writer before its time.
    wake: Notify,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("required", &self.required).finish_non_exhaustive()
    }
}

impl Audit {
    /// Nothing counted yet. Records name `client`, the client key of this proxy.
    pub fn new(settings: &settings::Audit, client: ClientId, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Audit {
            client: client.to_string(),
            off: settings.sink == settings::Sink::Off,
            required: settings.required,
            interval: settings.interval,
            entries: Mutex::default(),
            overflow: Arc::new(Entry::of_nobody()),
            failing: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
            wake: Notify::new(),
            metrics,
        })
    }

    /// Statements must be refused, since what they do cannot be recorded.
    pub(super) fn refuses(&self) -> bool {
        self.required && self.failing.load(Ordering::Relaxed)
    }

    /// Closes and opens the file again before the next write, which comes at once: after it was rotated.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// The entry of a key, made where there is none.
    fn entry(&self, key: Key) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&key) {
            return Arc::clone(entry);
        }
        let full = entries.len() >= MAX_ENTRIES;
        let key = if full { key.without_shape() } else { key };
        if let Some(entry) = entries.get(&key) {
            return Arc::clone(entry);
        }
        if entries.len() >= MAX_ENTRIES + MAX_OTHERS {
            self.failing.store(true, Ordering::Relaxed);
            return Arc::clone(&self.overflow);
        }
        let entry = Arc::new(Entry::new(key.clone()));
        entries.insert(key, Arc::clone(&entry));
        entry
    }

    /// Writes what was counted every few seconds, until `end`; then once more. The sessions must have ended by then.
    /// Not cancel safe: records may be half written.
    pub async fn run(self: Arc<Self>, mut sink: AuditSink, end: CancellationToken) {
        let mut since = wall_ms();
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
            since = self.write(&mut sink, since).await;
        }
        self.write(&mut sink, since).await;
        let mut left = self.drain(since);
        left.extend(self.overflow.take(since).map(|counts| (Arc::clone(&self.overflow), counts)));
        if !left.is_empty() {
            let statements: u64 = left.iter().map(|(_, counts)| counts.statements + counts.refused).sum();
            tracing::error!(statements, "the proxy ends, and these runs of statements are not in the audit trail");
        }
    }

    /// Writes what was counted since the last time. What cannot be written stays counted. Returns the begin of the next window.
    async fn write(&self, sink: &mut AuditSink, since: u64) -> u64 {
        if self.reopen.swap(false, Ordering::Relaxed) {
            sink.reopen();
        }
        let until = wall_ms();
        let mut drained = self.drain(since);
        let overflowed = self.overflow.take(since);
        if overflowed.is_some() && drained.is_empty() {
            drained.push((Arc::new(Entry::of_nobody()), Counts::default()));
        }
        let mut records: Vec<AccessRecord> =
            drained.iter().map(|(entry, counts)| entry.record(&self.client, counts, until)).collect();
        if let Some(first) = records.first_mut() {
            first.lost = overflowed.as_ref().map_or(0, |counts| counts.statements + counts.refused);
        }
        let mut kept = 0;
        let mut failure = sink.check().await.err();
        for batch in records.chunks(MAX_RECORDS) {
            if failure.is_some() {
                break;
            }
            let (n, outcome) = sink.write(batch).await;
            kept += n;
            failure = outcome.err();
        }
        if kept == 0
            && let Some(counts) = overflowed
        {
            self.overflow.put_back(counts);
        }
        let waiting = drained.len() - kept;
        drained.drain(kept..).for_each(|(entry, counts)| entry.put_back(counts));
        self.report(kept, waiting, failure);
        until
    }

    /// Says how a write went.
    fn report(&self, kept: usize, waiting: usize, failure: Option<SinkError>) {
        self.metrics.audit.records.increment(kept as u64);
        let failed = failure.is_some();
        let before = self.failing.swap(failed, Ordering::Relaxed);
        self.metrics.audit.failing.set(if failed { 1.0 } else { 0.0 });
        if let Some(error) = failure {
            self.metrics.audit.failures.increment(1);
            tracing::error!(%error, waiting, required = self.required, "records of data access cannot be kept; they wait: look at [audit] sink");
        } else if before {
            tracing::info!(kept, "records of data access are kept again");
        }
    }

    /// Takes what was counted; entries that nobody uses any more go.
    fn drain(&self, since: u64) -> Vec<(Arc<Entry>, Counts)> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let mut drained = Vec::new();
        entries.retain(|_, entry| {
            // Sessions get entries under this lock only, so one that only this map holds is nobody's.
            let used = Arc::strong_count(entry) > 1;
            let counted = entry.take(since);
            let kept = used || counted.is_some();
            drained.extend(counted.map(|counts| (Arc::clone(entry), counts)));
            kept
        });
        drained
    }
}
