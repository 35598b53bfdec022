//! Connections by what they do now. They move often: two additions each time, and gauges are set when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use metrics::{Counter, Gauge};

use super::kinds::{Phase, Refused};
use super::registry::Registry;

/// Client connections. Cloning shares the counts.
#[derive(Clone)]
pub struct Connections {
    now: Arc<[AtomicI64; Phase::ALL.len()]>,
    gauges: [Gauge; Phase::ALL.len()],
    accepted: Counter,
    refused: [Counter; Refused::ALL.len()],
}

impl Connections {
    pub(super) fn new(registry: &Registry) -> Self {
        let gauge = |phase: Phase| registry.gauge("columnseal_connections", &[("phase", phase.name())]);
        let refused =
            |why: Refused| registry.counter("columnseal_connections_refused_total", &[("reason", why.name())]);
        Connections {
            now: Arc::default(),
            gauges: Phase::ALL.map(gauge),
            accepted: registry.counter("columnseal_connections_accepted_total", &[]),
            refused: Refused::ALL.map(refused),
        }
    }

    /// Counts a connection that begins, until it is dropped.
    pub fn starts(&self) -> Connected {
        Connected::new(self, Phase::Starting)
    }

    /// Counts a connection that logged in, until it is dropped.
    pub fn opens(&self) -> Connected {
        self.accepted.increment(1);
        Connected::new(self, Phase::Idle)
    }

    /// A connection was not let in.
    pub fn refused(&self, why: Refused) {
        self.refused[why as usize].increment(1);
    }

    /// Connections that logged in and are open now.
    pub fn open(&self) -> u64 {
        let counts = Phase::ALL.iter().zip(self.now.iter()).filter(|(phase, _)| **phase != Phase::Starting);
        u64::try_from(counts.map(|(_, count)| count.load(Ordering::Relaxed)).sum::<i64>()).unwrap_or(0)
    }

    pub(super) fn sample(&self) {
        for (gauge, count) in self.gauges.iter().zip(self.now.iter()) {
            gauge.set(count.load(Ordering::Relaxed) as f64);
        }
    }
}

/// One connection, as the gauges count it.
#[must_use]
pub struct Connected {
    now: Arc<[AtomicI64; Phase::ALL.len()]>,
    phase: Phase,
}

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connected").field(&self.phase).finish()
    }
}

impl Connected {
    fn new(of: &Connections, phase: Phase) -> Self {
        of.now[phase as usize].fetch_add(1, Ordering::Relaxed);
        Connected { now: Arc::clone(&of.now), phase }
    }

    /// It does something else now.
    pub fn turn_to(&mut self, phase: Phase) {
        if phase != self.phase {
            self.now[self.phase as usize].fetch_sub(1, Ordering::Relaxed);
            self.now[phase as usize].fetch_add(1, Ordering::Relaxed);
            self.phase = phase;
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.now[self.phase as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
