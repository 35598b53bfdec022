//! What clients tell of their work: values sealed and opened. Gathered in memory and written now and then, all together: with
//! thousands of proxies a change of the store for each report would leave no room for others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::crypto::{ClientId, KeysetId};
use crate::keys::admin::{GetUsage, Usage, UsageScale, UsageSpan};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::Request;
use crate::keys::usage::{MAX_USE, MAX_USES, Used};

use super::super::authorize::Permit;
use super::super::store;
use super::super::store::tables::usage::{self, Counts, Span};
use super::Engine;

/// What was told is written this long after the first of it, and no later.
pub const USAGE_WRITES: Duration = Duration::from_secs(10);
/// Spans of one change of the store, at most.
const MOST: usize = 500;
/// What was done over a longer time counts as done in the last hour, in milliseconds.
const LONGEST_MS: u64 = 60 * 60 * 1000;
/// What is too old is removed this often, in milliseconds.
const CLEARED_MS: u64 = 10 * 60 * 1000;
/// Programs whose last report is known.
const PROGRAMS: usize = 100_000;

/// What was told, and by whom last.
#[derive(Default)]
pub(super) struct Reports {
    book: Mutex<Book>,
    /// Whoever moves spans from memory to the store, or reads both.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Book {
    waiting: HashMap<Span, Counts>,
    /// The last report of each program, and when it came.
    heard: HashMap<(ClientId, [u8; 16]), (u64, u64)>,
    /// Somebody will write what waits.
    writes: bool,
    cleared_ms: u64,
}

impl Book {
    /// Whether a report is a new one.
    fn hears(&mut self, program: (ClientId, [u8; 16]), number: u64, now_ms: u64) -> bool {
        if self.heard.len() >= PROGRAMS {
            self.heard.retain(|_, (_, came_ms)| now_ms.saturating_sub(*came_ms) < LONGEST_MS);
            if self.heard.len() >= PROGRAMS {
                self.heard.clear();
            }
        }
        match self.heard.entry(program) {
            Entry::Occupied(mut last) if last.get().0 < number => {
                last.insert((number, now_ms));
                true
            }
            Entry::Occupied(_) => false,
            Entry::Vacant(new) => {
                new.insert((number, now_ms));
                true
            }
        }
    }

    fn add(&mut self, span: Span, counts: Counts) {
        if !counts.is_zero() {
            let known = self.waiting.entry(span).or_default();
            *known = known.and(counts);
        }
    }

    /// Adds what was done evenly within `over_ms` before `now_ms`, each part to its span. The sum of the parts is the whole.
    fn spread(&mut self, of: (UsageScale, Option<KeysetId>), counts: Counts, (now_ms, over_ms): (u64, u64)) {
        let (scale, keyset) = of;
        let (step, from_ms) = (scale.span_ms(), now_ms.saturating_sub(over_ms));
        let mut begin_ms = from_ms / step * step;
        while begin_ms <= now_ms {
            let end_ms = begin_ms + step;
            let until = |ms: u64, total: u64| {
                let passed = ms.clamp(from_ms, now_ms) - from_ms;
                let part = u128::from(total) * u128::from(passed) / u128::from(now_ms - from_ms);
                u64::try_from(part).unwrap_or(total)
            };
            let part = |total: u64| until(end_ms, total) - until(begin_ms, total);
            let part =
                Counts { sealed: part(counts.sealed), opened: part(counts.opened), refused: part(counts.refused) };
            if end_ms + scale.kept() * step > now_ms {
                self.add(Span { scale, keyset, begin_ms }, part);
            }
            begin_ms = end_ms;
        }
    }
}

impl Reports {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// A client told of its work; `held`: keysets that it has. Never makes an answer fail, and none of an async caller wait.
    pub(super) fn reported(&self, client: ClientId, used: &Used, held: &[KeysetId], now_ms: u64) {
        let mut book = self.inner.usage.book();
        if !book.hears((client, used.program), used.number, now_ms) {
            return;
        }
        let time = (now_ms, used.over_ms.clamp(1, LONGEST_MS));
        let mut whole = Counts { refused: used.refused.min(MAX_USE), ..Counts::default() };
        for one in used.keysets.iter().take(MAX_USES).filter(|one| held.contains(&one.keyset)) {
            let counts = Counts { sealed: one.sealed.min(MAX_USE), opened: one.opened.min(MAX_USE), refused: 0 };
            book.spread((UsageScale::Day, Some(one.keyset)), counts, time);
            whole = whole.and(counts);
        }
        for scale in UsageScale::ALL {
            book.spread((scale, None), whole, time);
        }
        if book.waiting.is_empty() || std::mem::replace(&mut book.writes, true) {
            return;
        }
        drop(book);
        let engine = self.clone();
        let write = move || {
            if let Err(error) = engine.write_usage(wall_ms()) {
                tracing::warn!(%error, "what proxies told of values sealed and opened cannot be kept yet");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async {
                tokio::time::sleep(USAGE_WRITES).await;
                drop(tokio::task::spawn_blocking(write).await);
            })),
            Err(_) => write(),
        }
    }

    /// Writes what waits. What cannot be written goes on waiting.
    pub(super) fn write_usage(&self, now_ms: u64) -> Result<(), KeysError> {
        let reports = &self.inner.usage;
        let _turn = reports.turn();
        let (waiting, clears) = {
            let mut book = reports.book();
            book.writes = false;
            let clears = now_ms.saturating_sub(book.cleared_ms) >= CLEARED_MS && !book.waiting.is_empty();
            (std::mem::take(&mut book.waiting), clears)
        };
        // In one order, whoever writes: servers on one store do not wait for each other crosswise.
        let mut spans = waiting.into_iter().collect::<Vec<_>>();
        spans.sort_unstable_by_key(|(span, _)| *span);
        let mut written = 0;
        let mut outcome = Ok(());
        for part in spans.chunks(MOST) {
            outcome = store::write(self.store(), |tx| {
                part.iter().try_for_each(|(span, counts)| usage::add(tx, *span, *counts))
            });
            // Nobody knows whether they were: they are not written twice.
            written += if matches!(outcome, Ok(()) | Err(KeysError::OutcomeUnknown)) { part.len() } else { 0 };
            if outcome.is_err() {
                break;
            }
        }
        let mut book = reports.book();
        spans.drain(..written);
        spans.into_iter().for_each(|(span, counts)| book.add(span, counts));
        let kept = |scale: UsageScale| now_ms.saturating_sub(scale.kept() * scale.span_ms());
        book.waiting.retain(|span, _| span.begin_ms >= kept(span.scale));
        outcome?;
        if clears {
            book.cleared_ms = now_ms;
            drop(book);
            store::write(self.store(), |tx| {
                UsageScale::ALL.into_iter().try_for_each(|scale| usage::forget(tx, scale, kept(scale)))
            })?;
        }
        Ok(())
    }

    /// What clients told, for an admin: what is kept, and what this server has still to write.
    pub fn usage(&self, request: &Request<GetUsage>) -> Result<Usage, KeysError> {
        let GetUsage { scale, spans, keyset } = request.body;
        let now_ms = wall_ms();
        let step = scale.span_ms();
        let back = u64::from(spans).min(scale.kept()).saturating_sub(1);
        let from_ms = (now_ms / step).saturating_sub(back) * step;
        let reports = &self.inner.usage;
        let _turn = reports.turn();
        let kept = store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.gate(), request)?;
            usage::since(tx, scale, keyset, from_ms)
        })?;
        let mut all = kept.into_iter().collect::<std::collections::BTreeMap<_, _>>();
        let book = reports.book();
        let fits = |span: &Span| span.scale == scale && span.keyset == keyset && span.begin_ms >= from_ms;
        for (span, counts) in book.waiting.iter().filter(|(span, _)| fits(span)) {
            let known = all.entry(span.begin_ms).or_default();
            *known = known.and(*counts);
        }
        let span = |(begin_ms, Counts { sealed, opened, refused })| UsageSpan { begin_ms, sealed, opened, refused };
        Ok(Usage { now_ms, spans: all.into_iter().map(span).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYSET: Option<KeysetId> = Some(KeysetId([1; 16]));

    fn of(book: &Book, scale: UsageScale) -> Vec<(u64, u64)> {
        let spans = book.waiting.iter().filter(|(span, _)| span.scale == scale);
        let mut all = spans.map(|(span, counts)| (span.begin_ms, counts.sealed)).collect::<Vec<_>>();
        all.sort_unstable();
        all
    }

    #[test]
    fn what_was_done_over_a_while_is_spread_and_nothing_is_lost() {
        let sealed = |sealed| Counts { sealed, ..Counts::default() };
        let mut book = Book::default();
        let hour = LONGEST_MS;
        book.spread((UsageScale::Moment, None), sealed(100), (hour + 5_000, 20_000));
        assert_eq!(of(&book, UsageScale::Moment), [(hour - 20_000, 25), (hour - 10_000, 50), (hour, 25)]);
        book.spread((UsageScale::Minute, None), sealed(7), (hour + 1, 1));
        assert_eq!(of(&book, UsageScale::Minute), [(hour, 7)]);
        for over in [1, 3, 9_999, 10_000, 60_001, hour] {
            let mut book = Book::default();
            book.spread((UsageScale::Minute, KEYSET), sealed(1_000_003), (2 * hour + 12_345, over));
            assert_eq!(of(&book, UsageScale::Minute).iter().map(|(_, sealed)| sealed).sum::<u64>(), 1_000_003);
        }
        let mut book = Book::default();
        book.spread((UsageScale::Moment, None), sealed(3_600), (10 * hour, hour));
        assert!(of(&book, UsageScale::Moment).len() <= 61, "what would not be kept is not gathered");
    }

    #[test]
    fn sums_do_not_overflow() {
        let most = Counts { sealed: usage::MOST, opened: u64::MAX, refused: 1 };
        assert_eq!(most.and(most), Counts { sealed: usage::MOST, opened: usage::MOST, refused: 2 });
    }

    #[test]
    fn a_report_that_comes_again_is_none_and_programs_are_bounded() {
        let (mut book, client) = (Book::default(), ClientId([1; 16]));
        let mut hears = |program: u32, number| {
            let mut name = [0; 16];
            name[..4].copy_from_slice(&program.to_be_bytes());
            book.hears((client, name), number, 1)
        };
        assert!(hears(1, 1) && !hears(1, 1) && hears(1, 2) && !hears(1, 1) && hears(2, 1));
        let many = u32::try_from(PROGRAMS).expect("few") + 10;
        assert!((0..many).filter(|program| hears(*program, 9)).count() >= PROGRAMS);
        assert!(book.heard.len() <= PROGRAMS);
    }
}
