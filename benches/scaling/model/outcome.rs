//! What is counted.

use super::{KINDS, Kind};

/// Of one kind of work.
#[derive(Clone, Copy, Default, Debug)]
pub struct Count {
    pub done: u64,
    /// Nanoseconds of processor time of replicas, and of the store.
    pub server: u64,
    pub store: u64,
}

/// A series of times in nanoseconds.
#[derive(Clone, Default, Debug)]
pub struct Times(Vec<u64>);

impl Times {
    pub fn add(&mut self, time: u64) {
        self.0.push(time);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that this share of all does not exceed, in seconds.
    pub fn share(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share) as usize).map_or(0.0, |time| *time as f64 / 1e9)
    }
}

/// A resource and how much of it was used, 1 being all.
pub type Use = (&'static str, f64);

#[derive(Clone, Default, Debug)]
pub struct Outcome {
    counts: [Count; KINDS.len()],
    /// From a question to its answer.
    pub renewals: Times,
    pub fetches: Times,
    /// From a change to when a proxy that it concerns acts on it.
    pub applied: Times,
    /// Questions without an answer.
    pub failed: u64,
    /// Event streams that were lost.
    pub lost_streams: u64,
    /// Proxies that were without a lease at some time, and how long, longest and in all.
    pub without_lease: usize,
    pub longest_without: u64,
    /// From the disturbance until every proxy has a lease and a stream again.
    pub recovered: Option<u64>,
    pub uses: Vec<Use>,
    pub events: u64,
}

impl Outcome {
    pub fn count(&mut self, kind: Kind) -> &mut Count {
        let at = KINDS.iter().position(|known| *known == kind).expect("every kind is listed");
        &mut self.counts[at]
    }

    pub fn counted(&self, kind: Kind) -> Count {
        let at = KINDS.iter().position(|known| *known == kind).expect("every kind is listed");
        self.counts[at]
    }

    /// The resource that is used most.
    pub fn scarcest(&self) -> Use {
        self.uses.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("nothing", 0.0))
    }
}
