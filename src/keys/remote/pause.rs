//! Rest after failures: a key server that does not answer is not asked again at once by everything that wants something of
//! it. What is asked meanwhile fails with the error there was, so that sessions learn of it without waiting.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::super::clock::jitter;
use super::super::error::KeysError;

/// After the second failure in a row, at most; doubled with each further one.
pub const REST_FIRST: Duration = Duration::from_millis(100);
/// After each later one, at most.
pub const REST_LAST: Duration = Duration::from_secs(2);

/// Whether, and since when, questions fail.
#[derive(Default)]
pub(super) struct Pause(Mutex<Option<Failing>>);

struct Failing {
    error: KeysError,
    until: Instant,
    /// The rest after the next failure, at most.
    next: Duration,
}

impl Pause {
    /// The error of before, while it rests.
    pub(super) fn check(&self, now: Instant) -> Result<(), KeysError> {
        match &*self.failing() {
            Some(failing) if now < failing.until => Err(failing.error.clone()),
            _ => Ok(()),
        }
    }

    /// Takes what came of a question.
    pub(super) fn note<T>(&self, outcome: &Result<T, KeysError>, now: Instant) {
        let error = outcome.as_ref().err().filter(|error| error.is_transient());
        let mut failing = self.failing();
        *failing = error.map(|error| {
            let (rest, next) = match &*failing {
                // One failure may be a connection that died just then.
                None => (Duration::ZERO, REST_FIRST),
                Some(before) => (jitter(before.next), (before.next * 2).min(REST_LAST)),
            };
            Failing { error: error.clone(), until: now + rest, next }
        });
    }

    fn failing(&self) -> MutexGuard<'_, Option<Failing>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_longer_with_every_failure_and_not_after_an_answer() {
        let (pause, mut now) = (Pause::default(), Instant::now());
        let failed: Result<(), _> = Err(KeysError::unavailable("gone"));
        pause.note(&failed, now);
        assert_eq!(pause.check(now), Ok(()), "one failure is none");
        let mut most = REST_FIRST;
        for _ in 0..10 {
            pause.note(&failed, now);
            let almost = now + most / 2 - Duration::from_millis(1);
            assert_eq!(pause.check(almost), failed);
            now += most;
            assert_eq!(pause.check(now), Ok(()), "after at most {most:?}");
            most = (most * 2).min(REST_LAST);
        }
        pause.note(&failed, now);
        assert_eq!(pause.check(now), failed);
        // A refusal is an answer.
        pause.note::<()>(&Err(KeysError::Revoked { keyset: "k".into() }), now);
        assert_eq!(pause.check(now), Ok(()));
        pause.note(&failed, now);
        assert_eq!(pause.check(now), Ok(()), "counted anew");
    }
}
