//! From when on a statement is slow. May change while the proxy runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// `log.slow_statement`. Cloning shares it.
#[derive(Clone, Debug)]
pub struct SlowLimit(Arc<AtomicU64>);

/// No statement is slow.
const NEVER: u64 = u64::MAX;

impl SlowLimit {
    /// `None`: no statement is slow.
    pub fn new(limit: Option<Duration>) -> Self {
        let slow = SlowLimit(Arc::new(AtomicU64::new(NEVER)));
        slow.set(limit);
        slow
    }

    /// Another limit from now on.
    pub fn set(&self, limit: Option<Duration>) {
        let nanos = limit.map_or(NEVER, |limit| u64::try_from(limit.as_nanos()).unwrap_or(NEVER));
        self.0.store(nanos, Ordering::Relaxed);
    }

    /// Some statement may be slow.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != NEVER
    }

    /// What took so long was slow.
    pub fn is_over(&self, took: Duration) -> bool {
        took.as_nanos() >= u128::from(self.0.load(Ordering::Relaxed)) && self.is_set()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_itself_is_slow_and_without_one_nothing_is() {
        let slow = SlowLimit::new(None);
        assert!(!slow.is_set() && !slow.is_over(Duration::MAX));
        slow.clone().set(Some(Duration::from_millis(5)));
        assert!(slow.is_over(Duration::from_millis(5)) && !slow.is_over(Duration::from_micros(4_999)));
    }
}
