//! Proxies, replicas of the key server and their PostgreSQL store, event by event. What each does follows its own code and
//! takes its own constants; what it costs is in [`figures`](super::figures).
//!
//! ```text
//! demand      what one proxy asks for, statement by statement
//! proxy       lease, event stream, questions        server     replicas and the store
//! world       time and events                       outcome    what is counted
//! resources   cores and places                      random     chance with a seed
//! ```

pub mod demand;
pub mod outcome;
mod proxy;
pub mod random;
mod resources;
mod server;
pub mod world;

use std::time::Duration;

use columnseal::keys::settings::LEASE;
use columnseal::keyserver::settings::MAX_CONNECTIONS;
use demand::Load;

/// Nanoseconds.
pub fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

pub const SECOND: u64 = 1_000_000_000;

/// One world.
#[derive(Clone, Debug)]
pub struct Setting {
    pub seed: u64,
    pub proxies: usize,
    /// Of all proxies, keysets that are granted: share of proxies, and how many each has.
    pub sizes: Vec<(f64, usize)>,
    pub load: Load,
    /// Share of the proxies that run statements; the others wait for clients.
    pub active: f64,
    pub replicas: usize,
    /// Cores of one replica, and of the store.
    pub cores: usize,
    pub store_cores: usize,
    /// From a replica to the store and back, and until a commit is on disk.
    pub trip: Duration,
    pub commit: Duration,
    pub lease: Duration,
    pub max_connections: usize,
}

impl Default for Setting {
    /// 10,000 proxies; 2,350,000 grants of 1,000,000 keysets.
    fn default() -> Self {
        Self {
            seed: 1,
            proxies: 10_000,
            sizes: vec![(0.50, 10), (0.40, 100), (0.09, 1_000), (0.01, 10_000)],
            load: Load { statements: 5.0, writes: 0.2, rows: 2, writers: 2, days: 30 },
            active: 1.0,
            replicas: 10,
            cores: 4,
            store_cores: 16,
            trip: Duration::from_micros(300),
            commit: Duration::from_millis(1),
            lease: LEASE,
            max_connections: MAX_CONNECTIONS as usize,
        }
    }
}

/// What is asked of a key server, and what it does by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Service,
    State,
    Pins,
    Renew,
    Grants,
    Fill,
    Terms,
    Fetch,
    Records,
    Open,
    /// Heartbeats of event streams.
    Beat,
    /// Wakes a stream, and reads where its client stands.
    Look,
    /// Notes when a client was seen.
    Note,
    /// Looks at the store for changes.
    Poll,
}

pub const KINDS: [Kind; 14] = [
    Kind::Service,
    Kind::State,
    Kind::Pins,
    Kind::Renew,
    Kind::Grants,
    Kind::Fill,
    Kind::Terms,
    Kind::Fetch,
    Kind::Records,
    Kind::Open,
    Kind::Beat,
    Kind::Look,
    Kind::Note,
    Kind::Poll,
];
