//! The audit trail, counted by hour: what a page draws. The newest entries only, however long the trail is.

use std::collections::BTreeMap;

use crate::keys::admin::{Activity, GetActivity, HOURS, HourCount};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::Request;

use super::super::authorize::Permit;
use super::super::store;
use super::super::store::tables::audit::{self, OK};
use super::Engine;

/// Most entries that are looked at.
const ENTRIES: u32 = 20_000;
const HOUR_MS: u64 = 60 * 60 * 1000;

impl Engine {
    /// What was given, done and refused, for an admin.
    pub fn activity(&self, request: &Request<GetActivity>) -> Result<Activity, KeysError> {
        let rows = store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.gate(), request)?;
            audit::tail(tx, ENTRIES)
        })?;
        let now_ms = wall_ms();
        let hours = u64::from(request.body.hours.min(HOURS));
        let asked_ms = (now_ms / HOUR_MS).saturating_sub(hours.saturating_sub(1)) * HOUR_MS;
        // Of a trail that is longer than what was read, the first hour is not whole.
        let cut = u32::try_from(rows.len()).is_ok_and(|read| read >= ENTRIES);
        let oldest_ms = rows.first().map_or(0, |row| if cut { row.entry.time_ms } else { 0 });
        let from_ms = asked_ms.max(oldest_ms);
        let mut counts = BTreeMap::<_, (u64, u64)>::new();
        for row in rows.into_iter().filter(|row| row.entry.time_ms >= from_ms) {
            let entry = row.entry;
            let (keys, keyset) = if entry.result == OK { given(&entry.action, &entry.detail) } else { (0, None) };
            let hour_ms = entry.time_ms / HOUR_MS * HOUR_MS;
            let keyset = keyset.map(str::to_owned);
            let count = counts.entry((hour_ms, entry.client, entry.action, entry.result, keyset)).or_default();
            *count = (count.0 + 1, count.1 + keys);
        }
        let count = |((hour_ms, client, action, result, keyset), (entries, keys))| HourCount {
            hour_ms,
            client,
            action,
            result,
            keyset,
            entries,
            keys,
        };
        Ok(Activity { now_ms, from_ms, counts: counts.into_iter().map(count).collect() })
    }
}

/// How many keys of which keyset an entry gave: `64 of keyset "default"`.
fn given<'a>(action: &str, detail: &'a str) -> (u64, Option<&'a str>) {
    if !action.starts_with("keys.") {
        return (0, None);
    }
    let parts = detail.strip_suffix('"').and_then(|detail| detail.split_once(" of keyset \""));
    parts.map_or((0, None), |(count, keyset)| (count.parse().unwrap_or(0), Some(keyset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_where_they_were_given() {
        assert_eq!(given("keys.encrypt", "64 of keyset \"default\""), (64, Some("default")));
        assert_eq!(given("keys.decrypt", "2 of keyset \"a \" of keyset \"\""), (2, Some("a \" of keyset \"")));
        assert_eq!(given("terms", "2 of keyset \"default\""), (0, None));
        assert_eq!(given("keys.decrypt", "2 of number 7"), (0, None));
    }
}
