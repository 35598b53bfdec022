//! Values sealed and opened, by keyset, on their way to the key service: with the renewals of the lease, and once more at the
//! end. What a report holds stays in it until it was answered, so that one that was lost is sent again as it was.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::crypto::{KeysetId, random};

use super::super::error::KeysError;
use super::super::usage::{KeysetUse, MAX_USE, MAX_USES, Used};

/// Reports are at least this far apart.
pub const REPORTS: Duration = Duration::from_secs(10);
/// A service that does not take reports is asked again after this: it may have been replaced by a newer one.
const NOT_TAKEN: Duration = Duration::from_secs(60 * 60);

/// Counts since the start.
#[derive(Default)]
pub(super) struct Count {
    sealed: AtomicU64,
    opened: AtomicU64,
}

impl Count {
    pub(super) fn sealed(&self, values: u64) {
        self.sealed.fetch_add(values, Ordering::Relaxed);
    }

    pub(super) fn opened(&self, values: u64) {
        self.opened.fetch_add(values, Ordering::Relaxed);
    }
}

/// Everything that was counted, and how much of it was told.
pub(super) struct Usage {
    program: [u8; 16],
    refused: AtomicU64,
    book: Mutex<Book>,
}

struct Book {
    keysets: HashMap<KeysetId, Line>,
    /// Refusals that were told.
    refused: u64,
    /// Of the last report.
    number: u64,
    /// What was done before was told.
    since: Instant,
    /// No report goes out before.
    next: Instant,
    /// A report that was not answered yet, and when it was made.
    waiting: Option<(Used, Instant)>,
}

#[derive(Default)]
struct Line {
    count: Arc<Count>,
    sealed: u64,
    opened: u64,
    /// The last report that it was in: whoever waits longest is told first.
    number: u64,
}

impl Line {
    fn growth(&self, keyset: KeysetId) -> Option<(u64, KeysetUse)> {
        let grown = |count: &AtomicU64, told: u64| count.load(Ordering::Relaxed).saturating_sub(told).min(MAX_USE);
        let sealed = grown(&self.count.sealed, self.sealed);
        let opened = grown(&self.count.opened, self.opened);
        (sealed + opened > 0).then_some((self.number, KeysetUse { keyset, sealed, opened }))
    }
}

impl Usage {
    pub(super) fn new(now: Instant) -> Result<Self, KeysError> {
        let program = random::array()?;
        let book =
            Book { keysets: HashMap::new(), refused: 0, number: 0, since: now, next: now + REPORTS, waiting: None };
        Ok(Self { program, refused: AtomicU64::new(0), book: Mutex::new(book) })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where values of a keyset are counted.
    pub(super) fn of(&self, keyset: KeysetId) -> Arc<Count> {
        Arc::clone(&self.book().keysets.entry(keyset).or_default().count)
    }

    /// A statement was refused.
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// What is to be told now. `last`: there will be no other occasion.
    pub(super) fn report(&self, now: Instant, last: bool) -> Option<Used> {
        let mut book = self.book();
        if now < book.next && !last {
            return None;
        }
        let over = |since: Instant| u64::try_from(now.duration_since(since).as_millis()).unwrap_or(u64::MAX);
        let since = book.since;
        if let Some((used, _)) = &mut book.waiting {
            used.over_ms = over(since);
            let used = used.clone();
            book.next = now + REPORTS;
            return Some(used);
        }
        let grown = book.keysets.iter().filter_map(|(keyset, line)| line.growth(*keyset));
        let mut grown = grown.collect::<Vec<_>>();
        grown.sort_unstable_by_key(|(number, used)| (*number, used.keyset));
        let keysets = grown.into_iter().take(MAX_USES).map(|(_, used)| used).collect::<Vec<_>>();
        let refused = self.refused.load(Ordering::Relaxed).saturating_sub(book.refused).min(MAX_USE);
        if keysets.is_empty() && refused == 0 {
            book.since = now;
            return None;
        }
        book.number += 1;
        let used = Used { program: self.program, number: book.number, over_ms: over(since), refused, keysets };
        book.next = now + REPORTS;
        book.waiting = Some((used.clone(), now));
        Some(used)
    }

    /// The report that is waiting was answered.
    pub(super) fn told(&self) {
        let mut book = self.book();
        let Some((used, made)) = book.waiting.take() else { return };
        for KeysetUse { keyset, sealed, opened } in used.keysets {
            let line = book.keysets.entry(keyset).or_default();
            line.sealed += sealed;
            line.opened += opened;
            line.number = used.number;
        }
        book.refused += used.refused;
        book.since = made;
    }

    /// The service does not know of reports.
    pub(super) fn not_taken(&self, now: Instant) {
        self.book().next = now + NOT_TAKEN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyset(number: u16) -> KeysetId {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        KeysetId(id)
    }

    fn told(used: &Used) -> Vec<(KeysetId, u64, u64)> {
        used.keysets.iter().map(|used| (used.keyset, used.sealed, used.opened)).collect()
    }

    #[test]
    fn growth_is_told_once_and_what_was_lost_again_as_it_was() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let usage = Usage::new(start).expect("random");
        assert_eq!(usage.report(at(10), false), None, "nothing was done");
        usage.of(keyset(1)).sealed(5);
        usage.of(keyset(1)).opened(7);
        usage.refused();
        assert_eq!(usage.report(at(9), false), None, "too soon");
        let first = usage.report(at(20), false).expect("a report");
        assert_eq!((told(&first), first.refused), (vec![(keyset(1), 5, 7)], 1));
        assert_eq!(first.over_ms, 10_000, "since it was last looked");
        usage.of(keyset(1)).sealed(1);
        assert_eq!(usage.report(at(25), false), None, "too soon");
        let again = usage.report(at(30), false).expect("a report");
        assert_eq!((told(&again), again.number, again.over_ms), (told(&first), first.number, 20_000));
        usage.told();
        let next = usage.report(at(40), false).expect("a report");
        assert_eq!((told(&next), next.refused), (vec![(keyset(1), 1, 0)], 0));
        assert_eq!((next.number, next.over_ms), (first.number + 1, 20_000), "since the first was made");
        usage.told();
        assert_eq!(usage.report(at(50), false), None);
        usage.told();
        usage.of(keyset(1)).opened(2);
        assert_eq!(told(&usage.report(at(51), true).expect("the last")), [(keyset(1), 0, 2)]);
    }

    #[test]
    fn a_report_is_bounded_and_nobody_waits_for_ever() {
        let start = Instant::now();
        let usage = Usage::new(start).expect("random");
        let many = u16::try_from(MAX_USES * 2 + 10).expect("few");
        let mut heard = HashMap::<KeysetId, u64>::new();
        for round in 1..=3 {
            (0..many).for_each(|number| usage.of(keyset(number)).sealed(1));
            let report = usage.report(start + REPORTS * round, false).expect("a report");
            assert!(report.keysets.len() <= MAX_USES);
            report.keysets.iter().for_each(|used| *heard.entry(used.keyset).or_default() += used.sealed);
            usage.told();
        }
        assert_eq!(heard.len(), usize::from(many), "each was in one of three");
        for round in 4..=8 {
            for used in usage.report(start + REPORTS * round, false).into_iter().flat_map(|report| report.keysets) {
                *heard.entry(used.keyset).or_default() += used.sealed;
            }
            usage.told();
        }
        assert!(heard.values().all(|sealed| *sealed == 3), "nothing is lost");
    }

    #[test]
    fn a_number_that_is_too_large_comes_in_parts() {
        let start = Instant::now();
        let usage = Usage::new(start).expect("random");
        usage.of(keyset(1)).sealed(MAX_USE + 3);
        assert_eq!(told(&usage.report(start + REPORTS, false).expect("a report")), [(keyset(1), MAX_USE, 0)]);
        usage.told();
        assert_eq!(told(&usage.report(start + REPORTS * 2, false).expect("a report")), [(keyset(1), 3, 0)]);
    }

    #[test]
    fn a_service_that_takes_no_reports_is_left_alone_for_a_while() {
        let start = Instant::now();
        let usage = Usage::new(start).expect("random");
        usage.of(keyset(1)).sealed(1);
        assert!(usage.report(start + REPORTS, false).is_some());
        usage.not_taken(start + REPORTS);
        assert_eq!(usage.report(start + REPORTS * 2, false), None);
        assert!(usage.report(start + REPORTS + NOT_TAKEN, false).is_some());
    }
}
