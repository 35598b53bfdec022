//! What one proxy asks for, statement by statement: keysets that are opened, data keys that are fetched. Played once for each
//! size of proxy with a cache as the proxy has it; the large simulation then asks at the rates that were found.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use columnseal::keys::ring::{CACHE_BYTES, ENTRY_BYTES};
use columnseal::keys::settings::{KEY_LIFETIME, POOL};

use super::random::Random;

/// What applications do. Assumed, not measured.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Statements on encrypted columns, of one proxy, a second.
    pub statements: f64,
    /// Share of them that store a value.
    pub writes: f64,
    /// Rows that a reading statement shows.
    pub rows: usize,
    /// Proxies that store values under one keyset: each has data keys of its own.
    pub writers: usize,
    /// Days that values were stored for. What is read is beyond the k newest data keys of its keyset in one of k cases.
    pub days: u64,
}

/// Ends of the spans of time that rates are told for, in seconds since the start or the purge.
const SPANS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 900.0, 3_600.0];

/// What is asked for in one span of time, a second.
#[derive(Clone, Copy, Default, Debug)]
pub struct Rates {
    /// Keysets opened: their grant is read.
    pub opened: f64,
    /// Pools filled.
    pub filled: f64,
    /// Term roots.
    pub terms: f64,
    /// Requests for data keys by id.
    pub fetches: f64,
    /// Ids in them.
    pub ids: f64,
}

impl Rates {
    /// All requests.
    pub fn all(&self) -> f64 {
        self.opened + self.filled + self.terms + self.fetches
    }
}

/// How much a proxy has at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fresh {
    /// It has run for long.
    Long,
    /// It was started then.
    Started(u64),
    /// It lost the data keys of its cache then.
    Purged(u64),
}

/// Rates of one size of proxy.
pub struct Demand {
    /// After a start, and after a purge of the cache.
    cold: Vec<Rates>,
    purged: Vec<Rates>,
    /// Data keys kept and keysets in use at the end.
    pub cached: usize,
    pub used: usize,
}

impl Demand {
    /// Plays a proxy with so many keysets.
    pub fn play(keysets: usize, load: &Load, random: &mut Random) -> Self {
        let mut proxy = Played::new(keysets);
        let cold = proxy.spans(load, random);
        proxy.cache = Lru::new();
        let purged = proxy.spans(load, random);
        Self { cold, purged, cached: proxy.cache.last.len(), used: proxy.opened.len() }
    }

    /// What is asked for now by a proxy that was started, or lost its cache, at some time.
    pub fn at(&self, now: u64, fresh: Fresh) -> Rates {
        let span = |since: u64| {
            let seconds = (now - since) as f64 / 1e9;
            SPANS.iter().position(|end| seconds < *end).unwrap_or(SPANS.len() - 1)
        };
        match fresh {
            Fresh::Long => self.purged[SPANS.len() - 1],
            Fresh::Started(since) => self.cold[span(since)],
            Fresh::Purged(since) => self.purged[span(since)],
        }
    }
}

/// A proxy as it is played.
struct Played {
    keysets: usize,
    opened: HashSet<u32>,
    searched: HashSet<u32>,
    /// Of a keyset: data keys left and when the present one ends, in seconds.
    pools: HashMap<u32, (usize, f64)>,
    cache: Lru,
    now: f64,
}

impl Played {
    fn new(keysets: usize) -> Self {
        let (opened, searched, pools) = Default::default();
        Self { keysets, opened, searched, pools, cache: Lru::new(), now: 0.0 }
    }

    fn spans(&mut self, load: &Load, random: &mut Random) -> Vec<Rates> {
        let mut begin = 0.0;
        let span = |end: &f64| {
            let seconds = *end - std::mem::replace(&mut begin, *end);
            let mut sum = Rates::default();
            for _ in 0..(seconds * load.statements) as usize {
                self.now += 1.0 / load.statements;
                self.statement(load, random, &mut sum);
            }
            let Rates { opened, filled, terms, fetches, ids } = sum;
            Rates {
                opened: opened / seconds,
                filled: filled / seconds,
                terms: terms / seconds,
                fetches: fetches / seconds,
                ids: if fetches > 0.0 { ids / fetches } else { 0.0 },
            }
        };
        SPANS.iter().map(span).collect()
    }

    fn statement(&mut self, load: &Load, random: &mut Random, sum: &mut Rates) {
        let keyset = random.zipf(self.keysets) as u32;
        if self.opened.insert(keyset) {
            sum.opened += 1.0;
        }
        if self.searched.insert(keyset) {
            sum.terms += 1.0;
        }
        if random.unit() < load.writes {
            self.store(keyset, sum);
            return;
        }
        let existing = load.writers * lifetimes(Duration::from_secs(86_400 * load.days));
        let newest = existing + load.writers * lifetimes(Duration::from_secs(self.now as u64));
        let missing =
            (0..load.rows).filter(|_| self.cache.miss((keyset, (newest - random.recent(existing)) as u32))).count();
        if missing > 0 {
            sum.fetches += 1.0;
            sum.ids += missing as f64;
        }
    }

    /// As `keys::ring::pool`: a key ends some time after its first use; fewer than half of the spare ones left, and it is filled.
    fn store(&mut self, keyset: u32, sum: &mut Rates) {
        let pool = self.pools.entry(keyset).or_insert((0, 0.0));
        if self.now >= pool.1 {
            *pool = (pool.0.saturating_sub(1), self.now + KEY_LIFETIME.as_secs_f64());
            if pool.0 < (POOL / 2).max(1) {
                sum.filled += 1.0;
                pool.0 = POOL;
            }
        }
    }
}

/// Data keys that one writer makes in this time.
fn lifetimes(time: Duration) -> usize {
    (time.as_secs() / KEY_LIFETIME.as_secs()) as usize
}

/// The cache of data keys to decrypt with.
struct Lru {
    last: HashMap<(u32, u32), u64>,
    used: VecDeque<((u32, u32), u64)>,
    clock: u64,
}

impl Lru {
    fn new() -> Self {
        Self { last: HashMap::new(), used: VecDeque::new(), clock: 0 }
    }

    /// Uses a key; whether it was not there.
    fn miss(&mut self, key: (u32, u32)) -> bool {
        self.clock += 1;
        self.used.push_back((key, self.clock));
        let missing = self.last.insert(key, self.clock).is_none();
        let room = (CACHE_BYTES / u64::from(ENTRY_BYTES)) as usize;
        while self.last.len() > room {
            let Some((oldest, at)) = self.used.pop_front() else { break };
            if self.last.get(&oldest) == Some(&at) {
                self.last.remove(&oldest);
            }
        }
        missing
    }
}
