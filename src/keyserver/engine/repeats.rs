//! What comes again and again: the audit trail holds the first of a kind, and later how many more there were. A client that
//! asks in a loop for what it may not have cannot fill the trail.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::crypto::ClientId;
use crate::keys::clock::wall_ms;

use super::super::store::tables::audit::{Entry, OK};

/// What a refused request is written down as; its detail is the path.
pub(super) const REFUSED: &str = "request";
/// What an alarm of a pin is written down as, whichever proxy tells it first.
pub(super) const ALARM: &str = "pin.alarm";

/// A refusal is written down once in this time, for each client, path and code.
const REFUSAL: Duration = Duration::from_secs(30);
/// An alarm is written down once in this time, for each column and kind.
const ALARMED: Duration = Duration::from_secs(5 * 60);
/// It is looked this often for counts to be written down.
const SWEEP: Duration = Duration::from_secs(1);
/// Kinds that are told apart at most. What is beyond is written down each time.
const MANY: usize = 16_384;

/// What was written down lately.
#[derive(Default)]
pub(super) struct Repeats(Mutex<Known>);

#[derive(Default)]
struct Known {
    all: HashMap<Kind, Slot>,
    swept: Option<Instant>,
}

/// Entries that say the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    client: Option<ClientId>,
    what: String,
    result: String,
}

struct Slot {
    since: Instant,
    window: Duration,
    /// How many were left out, and the last of them.
    left_out: Option<(u64, Entry)>,
}

impl Repeats {
    /// What of `entries` is to be written down now, and counts of what was left out whose time is over.
    pub(super) fn thin(&self, entries: Vec<Entry>, now: Instant) -> Vec<Entry> {
        let mut known = self.known();
        let mut kept = known.sweep(now);
        for entry in entries {
            match Kind::of(&entry) {
                Some(kind) => kept.extend(known.take(kind, entry, now)),
                None => kept.push(entry),
            }
        }
        kept
    }

    /// Everything that was left out so far.
    pub(super) fn rest(&self) -> Vec<Entry> {
        self.known().all.values_mut().filter_map(Slot::told).collect()
    }

    /// These were not written down after all.
    pub(super) fn forget(&self, entries: &[Entry]) {
        let mut known = self.known();
        entries.iter().filter_map(Kind::of).for_each(|kind| drop(known.all.remove(&kind)));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn take(&mut self, kind: Kind, entry: Entry, now: Instant) -> Option<Entry> {
        // A count that is due waits for the sweep.
        let counts = |slot: &Slot| slot.left_out.is_some() || !slot.is_over(now);
        if let Some(slot) = self.all.get_mut(&kind).filter(|slot| counts(slot)) {
            let before = slot.left_out.as_ref().map_or(0, |(count, _)| *count);
            slot.left_out = Some((before + 1, entry));
            return None;
        }
        if self.all.len() < MANY {
            let window = if entry.action == ALARM { ALARMED } else { REFUSAL };
            self.all.insert(kind, Slot { since: now, window, left_out: None });
        }
        Some(entry)
    }

    /// A kind of which some were left out begins anew with their number; the others are forgotten.
    fn sweep(&mut self, now: Instant) -> Vec<Entry> {
        if self.swept.is_some_and(|last| now.duration_since(last) < SWEEP) {
            return Vec::new();
        }
        self.swept = Some(now);
        let mut counts = Vec::new();
        self.all.retain(|_, slot| {
            if !slot.is_over(now) {
                return true;
            }
            slot.since = now;
            let told = slot.told();
            let goes_on = told.is_some();
            counts.extend(told);
            goes_on
        });
        counts
    }
}

impl Slot {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= self.window
    }

    /// The entry that tells how many were left out.
    fn told(&mut self) -> Option<Entry> {
        let (count, last) = self.left_out.take()?;
        Some(Entry { time_ms: wall_ms(), detail: format!("{}; {count} like it left out", last.detail), ..last })
    }
}

impl Kind {
    /// `None`: of this every entry is written down.
    fn of(entry: &Entry) -> Option<Self> {
        let (client, what) = match entry.action.as_str() {
            ALARM => (None, &entry.detail),
            REFUSED => (Some(entry.client), &entry.detail),
            _ => (Some(entry.client), &entry.action),
        };
        (entry.result != OK).then(|| Self { client, what: what.clone(), result: entry.result.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(client: u8, action: &str, detail: &str, result: &str) -> Entry {
        let entry = Entry::new(1, ClientId([client; 16]), action, detail);
        Entry { result: result.to_owned(), ..entry }
    }

    fn details(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.detail.as_str()).collect()
    }

    #[test]
    fn a_loop_gives_one_entry_in_its_time_and_a_count() {
        let (repeats, begin) = (Repeats::default(), Instant::now());
        let refused = || vec![entry(1, REFUSED, "/v1/keys/decrypt", "revoked")];
        let mut written = Vec::new();
        for tick in 0..610 {
            written.extend(repeats.thin(refused(), begin + Duration::from_millis(tick * 100)));
        }
        let counted = "/v1/keys/decrypt; 299 like it left out";
        assert_eq!(details(&written)[..2], ["/v1/keys/decrypt", counted]);
        assert_eq!(written.len(), 3, "{:?}", details(&written));
        let counts = |entries: &[Entry]| -> usize {
            let of = |text: &str| text.split_once("; ").map_or(1, |(_, rest)| rest[..3].trim().parse().unwrap_or(1));
            entries.iter().map(|entry| of(&entry.detail)).sum()
        };
        written.extend(repeats.rest());
        assert_eq!(counts(&written), 610, "{:?}", details(&written));
        assert!(repeats.rest().is_empty());
    }

    #[test]
    fn a_count_comes_although_the_loop_ended() {
        let (repeats, begin) = (Repeats::default(), Instant::now());
        for _ in 0..3 {
            repeats.thin(vec![entry(1, REFUSED, "/v1/terms", "no_grant")], begin);
        }
        assert!(repeats.thin(Vec::new(), begin + Duration::from_secs(29)).is_empty());
        let later = repeats.thin(vec![entry(2, "keys.encrypt", "1", OK)], begin + Duration::from_secs(31));
        assert_eq!(details(&later), ["/v1/terms; 2 like it left out", "1"]);
        let again = repeats.thin(vec![entry(1, REFUSED, "/v1/terms", "no_grant")], begin + Duration::from_secs(90));
        assert_eq!(details(&again), ["/v1/terms"], "nothing was left out since, so it is written down at once");
    }

    #[test]
    fn what_differs_is_told_apart_and_what_was_done_always_stands_there() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        let all = vec![
            entry(1, REFUSED, "/v1/terms", "no_grant"),
            entry(2, REFUSED, "/v1/terms", "no_grant"),
            entry(1, REFUSED, "/v1/terms", "revoked"),
            entry(1, REFUSED, "/v1/pins", "no_grant"),
            entry(1, "keys.decrypt", "1 of number 1", "revoked"),
            entry(1, "keys.encrypt", "1", OK),
            entry(1, "keys.encrypt", "1", OK),
            entry(1, ALARM, "column a.b.c of database \"d\"", "plain"),
            entry(1, ALARM, "column a.b.c of database \"d\"", "missing"),
        ];
        assert_eq!(repeats.thin(all.clone(), now), all);
        let again = vec![
            entry(1, "keys.decrypt", "5 of number 2", "revoked"),
            entry(3, ALARM, "column a.b.c of database \"d\"", "plain"),
        ];
        assert!(repeats.thin(again.clone(), now).is_empty());
        repeats.forget(&again);
        assert_eq!(repeats.thin(again.clone(), now), again, "what could not be written comes again");
    }
}
