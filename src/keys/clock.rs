//! Two clocks: one that never steps and runs during suspend, for leases; one for people and expiry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::crypto::random;

/// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Boot(pub u64);

impl Boot {
    /// Now.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).expect("boot time is not negative");
        let nanos = u64::try_from(now.tv_nsec).expect("nanoseconds are not negative");
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    /// This much later.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Somewhere between half of `most` and `most`, so that many processes do not act at once.
pub fn jitter(most: Duration) -> Duration {
    let random = random::array::<2>().map_or(u16::MAX, u16::from_be_bytes);
    most.mul_f64(0.5 + f64::from(random) / f64::from(u16::MAX) / 2.0)
}

/// Anywhere up to `most`: for what happens to many processes at the same moment.
pub fn spread(most: Duration) -> Duration {
    (jitter(most) - most / 2) * 2
}

/// Milliseconds since 1970, UTC.
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339 in UTC, to the second.
pub fn rfc3339(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(chrono::DateTime::from_timestamp_millis)
        .map_or_else(|| "never".to_owned(), |t| t.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_does_not_go_back() {
        let before = Boot::now();
        assert!(Boot::now() >= before);
        assert!(before.plus(Duration::MAX) > before);
    }

    #[test]
    fn jitter_stays_within_half_and_whole() {
        let most = Duration::from_secs(4);
        assert!((0..100).map(|_| jitter(most)).all(|some| most / 2 <= some && some <= most));
        let spread = (0..100).map(|_| spread(most)).collect::<Vec<_>>();
        assert!(spread.iter().all(|some| *some <= most));
        assert!(spread.iter().any(|some| *some < most / 4) && spread.iter().any(|some| *some > most * 3 / 4));
    }

    #[test]
    fn times_print_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(u64::MAX), "never");
    }
}
