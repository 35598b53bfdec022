//! Tells the key service of pins that do not hold, so that its audit trail has them. No session waits for that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::keys::alarm::{MAX_ALARMS, PinAlarm, PinAlarms, PinFault};
use crate::keys::{KeysError, Ring};
use crate::schema::pins::{Alarm, Fault};

/// The same alarm is told again after this at the earliest.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// Between two tries of a key service that does not answer.
const RETRY: Duration = Duration::from_secs(5);
/// Alarms kept, told ones included. More are in the log only.
const MANY: usize = 16 * MAX_ALARMS;

/// Alarms on their way, by database.
#[derive(Default)]
pub(super) struct Alarms {
    known: Mutex<Known>,
    wake: Notify,
}

#[derive(Default)]
struct Known {
    waiting: BTreeMap<String, BTreeSet<PinAlarm>>,
    told: HashMap<(String, PinAlarm), Instant>,
}

impl Alarms {
    /// Takes note of alarms of a database. Those told just now are not told again.
    pub(super) fn note<'a>(&self, database: &str, alarms: impl Iterator<Item = &'a Alarm>) {
        let mut known = self.known();
        for alarm in alarms.map(|alarm| PinAlarm { object: alarm.object.clone(), fault: fault(alarm.fault) }) {
            known.add(database, alarm, Instant::now());
        }
        if !known.waiting.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Tells them until `shutdown`. Cancel safe.
    pub(super) async fn run(self: Arc<Self>, ring: Arc<Ring>, shutdown: CancellationToken) {
        loop {
            let retry = match self.known().waiting.is_empty() {
                true => Duration::MAX,
                false => RETRY,
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(retry) => {}
            }
            while let Some(batch) = self.next() {
                match ring.tell_alarms(&batch).await {
                    Err(error) if error.is_transient() => break,
                    outcome => self.settle(&batch, outcome),
                }
            }
        }
    }

    fn next(&self) -> Option<PinAlarms> {
        let known = self.known();
        let (database, alarms) = known.waiting.first_key_value()?;
        Some(PinAlarms { database: database.clone(), alarms: alarms.iter().take(MAX_ALARMS).cloned().collect() })
    }

    /// Kept, or refused for good: either way not to be told again soon.
    fn settle(&self, batch: &PinAlarms, outcome: Result<(), KeysError>) {
        if let Err(error) = outcome {
            warn!(database = batch.database, %error, "the key service did not take the alarms of pins, which are in this log alone: look at its version and the client's grants");
        }
        let mut known = self.known();
        if let Some(waiting) = known.waiting.get_mut(&batch.database) {
            waiting.retain(|alarm| !batch.alarms.contains(alarm));
            if waiting.is_empty() {
                known.waiting.remove(&batch.database);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, database: &str, alarm: PinAlarm, now: Instant) {
        self.told.retain(|_, at| now.duration_since(*at) < AGAIN);
        let key = (database.to_owned(), alarm);
        if self.told.len() >= MANY || self.told.contains_key(&key) {
            return;
        }
        self.waiting.entry(key.0.clone()).or_default().insert(key.1.clone());
        self.told.insert(key, now);
    }
}

fn fault(fault: Fault) -> PinFault {
    match fault {
        Fault::Plain => PinFault::Plain,
        Fault::Missing => PinFault::Missing,
        Fault::OtherType => PinFault::OtherType,
        Fault::Namesake => PinFault::Namesake,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(object: &str, fault: Fault) -> Alarm {
        Alarm { object: object.to_owned(), relation: ("public".into(), "t".into()), fault, why: String::new() }
    }

    #[test]
    fn an_alarm_is_told_once_in_its_time() {
        let alarms = Alarms::default();
        let plain = alarm("column public.t.e", Fault::Plain);
        for _ in 0..100 {
            alarms.note("shop", [&plain].into_iter());
        }
        alarms.note("other", [&plain].into_iter());
        alarms.note("shop", [&alarm("column public.t.e", Fault::Missing)].into_iter());
        let mut told = Vec::new();
        while let Some(batch) = alarms.next() {
            told.push((batch.database.clone(), batch.alarms.len()));
            alarms.settle(&batch, Ok(()));
        }
        assert_eq!(told, [("other".to_owned(), 1), ("shop".to_owned(), 2)]);
        alarms.note("shop", [&plain].into_iter());
        assert!(alarms.next().is_none());
        let later = Instant::now() + AGAIN;
        alarms.known().add("shop", PinAlarm { object: plain.object, fault: PinFault::Plain }, later);
        assert!(alarms.next().is_some());
    }

    #[test]
    fn no_flood_of_alarms_takes_more_memory() {
        let alarms = Alarms::default();
        let all = (0..MANY + 5).map(|n| alarm(&format!("column public.t.c{n}"), Fault::Plain)).collect::<Vec<_>>();
        alarms.note("shop", all.iter().take(3));
        let mut known = alarms.known();
        let now = Instant::now();
        let filler = |n: usize| ("shop".to_owned(), PinAlarm { object: n.to_string(), fault: PinFault::Plain });
        known.told.extend((3..MANY).map(|n| (filler(n), now)));
        known.add("shop", PinAlarm { object: "one more".into(), fault: PinFault::Plain }, now);
        assert_eq!((known.told.len(), known.waiting["shop"].len()), (MANY, 3));
    }
}
