//! Data keys ready to encrypt with, of one keyset. Taking is lock-free and allocates nothing; only one task adds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::crypto::envelope::DataKey;

use super::super::clock::Boot;
use super::super::service::MAX_KEYS;

/// How long and for how many values a data key is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) values_per_key: u32,
    pub(super) key_lifetime: Duration,
    pub(super) pool: usize,
}

pub(super) struct Pool {
    shelf: ArcSwap<Shelf>,
    /// A refill was asked for and has not ended.
    asked: AtomicBool,
    /// Spare keys to keep. Doubled whenever the pool ran dry.
    target: AtomicUsize,
    limits: Limits,
}

/// Keys in the order they are used up. Slots before the cursor are used up; the cursor only grows.
struct Shelf {
    slots: Vec<Arc<Slot>>,
    cursor: AtomicUsize,
}

struct Slot {
    key: Arc<DataKey>,
    /// Values that may still be sealed.
    left: AtomicU32,
    /// End of use in boot time; 0 while not used yet.
    until: AtomicU64,
}

/// What a taker got.
pub(super) struct Taken {
    /// A key and for how many values.
    pub(super) key: Option<(Arc<DataKey>, u32)>,
    /// The caller must ask for a refill: nobody else was told to.
    pub(super) refill: bool,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
        let shelf = ArcSwap::from_pointee(Shelf { slots: Vec::new(), cursor: AtomicUsize::new(0) });
        Self { shelf, asked: AtomicBool::new(false), target: AtomicUsize::new(limits.pool.clamp(1, MAX_KEYS)), limits }
    }

    /// A key for at least one and at most `values` values.
    pub(super) fn take(&self, values: u32, now: Boot) -> Taken {
        let shelf = self.shelf.load();
        let key = shelf.take(values.max(1), now, self.limits.key_lifetime);
        let low = shelf.spare() < self.low();
        Taken { key, refill: low && !self.asked.swap(true, Ordering::AcqRel) }
    }

    /// A key can be taken. May be wrong by the time it is read.
    pub(super) fn has_key(&self, now: Boot) -> bool {
        self.shelf.load().usable(now) > 0
    }

    /// How many keys to fetch now; 0: none. `starved`: a session waits, so that the pool was too small.
    pub(super) fn missing(&self, now: Boot, starved: bool) -> usize {
        let usable = self.shelf.load().usable(now);
        let mut target = self.target.load(Ordering::Relaxed);
        if starved && usable == 0 && !self.shelf.load().slots.is_empty() {
            target = (target * 2).min(MAX_KEYS);
            self.target.store(target, Ordering::Relaxed);
        }
        if usable > self.low() { 0 } else { (target + 1).saturating_sub(usable).min(MAX_KEYS) }
    }

    /// Adds fetched keys behind those that are left. Only one task may call this.
    pub(super) fn add(&self, keys: Vec<DataKey>, now: Boot) {
        let old = self.shelf.load();
        let slot = |key| Slot {
            key: Arc::new(key),
            left: AtomicU32::new(self.limits.values_per_key.max(1)),
            until: AtomicU64::new(0),
        };
        let left = old.slots.iter().filter(|slot| slot.usable(now)).cloned();
        let slots = left.chain(keys.into_iter().map(|key| Arc::new(slot(key)))).collect();
        self.shelf.store(Arc::new(Shelf { slots, cursor: AtomicUsize::new(0) }));
    }

    /// A refill has ended: the next taker that finds the pool low asks again.
    pub(super) fn refilled(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// Fewer spare keys than this: refill.
    fn low(&self) -> usize {
        (self.target.load(Ordering::Relaxed) / 2).max(1)
    }
}

impl Shelf {
    fn take(&self, values: u32, now: Boot, lifetime: Duration) -> Option<(Arc<DataKey>, u32)> {
        loop {
            let at = self.cursor.load(Ordering::Acquire);
            let slot = self.slots.get(at)?;
            if let Some(granted) = slot.take(values, now, lifetime) {
                return Some((Arc::clone(&slot.key), granted));
            }
            // Used up: whoever is first moves on, the others look again.
            let _ = self.cursor.compare_exchange(at, at + 1, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Slots behind the one in use.
    fn spare(&self) -> usize {
        self.slots.len().saturating_sub(self.cursor.load(Ordering::Relaxed) + 1)
    }

    fn usable(&self, now: Boot) -> usize {
        self.slots.iter().filter(|slot| slot.usable(now)).count()
    }
}

impl Slot {
    fn usable(&self, now: Boot) -> bool {
        let until = self.until.load(Ordering::Acquire);
        self.left.load(Ordering::Acquire) > 0 && (until == 0 || now.0 < until)
    }

    fn take(&self, values: u32, now: Boot, lifetime: Duration) -> Option<u32> {
        let end = now.plus(lifetime).0;
        let until = self
            .until
            .compare_exchange(0, end, Ordering::AcqRel, Ordering::Acquire)
            .map_or_else(|known| known, |_| end);
        if now.0 >= until {
            return None;
        }
        let take = |left: u32| (left > 0).then(|| left.saturating_sub(values));
        let before = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        Some(before.min(values))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::crypto::secret::Key32;
    use crate::crypto::{Epoch, KeyId, KeysetId, Kref};

    const NOW: Boot = Boot(1);

    fn pool(values_per_key: u32, pool: usize) -> Pool {
        Pool::new(Limits { values_per_key, key_lifetime: Duration::from_secs(60), pool })
    }

    fn keys(ids: std::ops::Range<u8>) -> Vec<DataKey> {
        ids.map(|id| DataKey::new(Kref(1), KeysetId([1; 16]), Epoch(1), KeyId([id; 8]), Key32::new([id; 32]))).collect()
    }

    fn take(pool: &Pool, values: u32, now: Boot) -> Option<(u8, u32)> {
        pool.take(values, now).key.map(|(key, granted)| (key.key_id().0[0], granted))
    }

    #[test]
    fn a_key_is_used_for_no_more_values_than_allowed() {
        let pool = pool(10, 2);
        pool.add(keys(0..2), NOW);
        assert_eq!(take(&pool, 7, NOW), Some((0, 7)));
        assert_eq!(take(&pool, 7, NOW), Some((0, 3)));
        assert_eq!(take(&pool, 0, NOW), Some((1, 1)));
        assert_eq!(take(&pool, 99, NOW), Some((1, 9)));
        assert_eq!(take(&pool, 1, NOW), None);
        assert!(!pool.has_key(NOW));
    }

    #[test]
    fn one_value_per_key() {
        let pool = pool(1, 4);
        pool.add(keys(0..4), NOW);
        let taken = (0..5).map(|_| take(&pool, 5, NOW)).collect::<Vec<_>>();
        assert_eq!(taken, [Some((0, 1)), Some((1, 1)), Some((2, 1)), Some((3, 1)), None]);
    }

    #[test]
    fn a_key_is_not_used_beyond_its_lifetime_which_begins_with_its_use() {
        let pool = pool(10, 2);
        pool.add(keys(0..2), NOW);
        let late = NOW.plus(Duration::from_secs(3600));
        assert_eq!(take(&pool, 1, late), Some((0, 1)));
        assert_eq!(take(&pool, 1, late.plus(Duration::from_secs(59))), Some((0, 1)));
        assert_eq!(take(&pool, 1, late.plus(Duration::from_secs(60))), Some((1, 1)));
    }

    #[test]
    fn a_refill_is_asked_for_once_and_before_the_pool_is_dry() {
        let pool = pool(1, 4);
        pool.add(keys(0..5), NOW);
        let asked = (0..5).map(|_| pool.take(1, NOW)).map(|t| (t.key.is_some(), t.refill)).collect::<Vec<_>>();
        assert!(asked.iter().all(|(key, _)| *key));
        assert_eq!(asked.iter().filter(|(_, refill)| *refill).count(), 1);
        assert!(!asked[4].1, "the last key is not what asks");
        pool.refilled();
        assert!(pool.take(1, NOW).refill);
    }

    #[test]
    fn a_dry_pool_grows() {
        let pool = pool(1, 4);
        assert_eq!(pool.missing(NOW, true), 5);
        pool.add(keys(0..5), NOW);
        assert_eq!(pool.missing(NOW, true), 0);
        while take(&pool, 1, NOW).is_some() {}
        assert_eq!(pool.missing(NOW, true), 9);
        for _ in 0..20 {
            pool.missing(NOW, true);
        }
        assert_eq!(pool.missing(NOW, true), MAX_KEYS);
    }

    #[test]
    fn adding_keeps_what_is_left_and_its_count() {
        let pool = pool(10, 2);
        pool.add(keys(0..2), NOW);
        assert_eq!(take(&pool, 4, NOW), Some((0, 4)));
        pool.add(keys(2..3), NOW);
        assert_eq!(take(&pool, 99, NOW), Some((0, 6)));
        assert_eq!(take(&pool, 99, NOW), Some((1, 10)));
        assert_eq!(take(&pool, 99, NOW), Some((2, 10)));
        assert_eq!(take(&pool, 99, NOW), None);
    }

    #[test]
    fn threads_never_take_more_than_there_is() {
        let pool = pool(1000, 4);
        pool.add(keys(0..4), NOW);
        let run = || {
            let mut mine = HashMap::<u8, u32>::new();
            while let Some((id, granted)) = take(&pool, 3, NOW) {
                *mine.entry(id).or_default() += granted;
            }
            mine
        };
        let all = std::thread::scope(|scope| {
            let threads = (0..4).map(|_| scope.spawn(run)).collect::<Vec<_>>();
            threads.into_iter().map(|t| t.join().expect("no panic")).collect::<Vec<_>>()
        });
        for id in 0..4 {
            assert_eq!(all.iter().filter_map(|mine| mine.get(&id)).sum::<u32>(), 1000, "key {id}");
        }
    }
}
