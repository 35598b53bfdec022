//! Which of several hosts connections go to: libpq's `target_session_attrs` and `load_balance_hosts`.
//!
//! The login is the client's own and cannot be made twice, so a host is not tried out with it, as libpq does: our own
//! connections look what each host is, every second, and again before a connection is refused.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connect;
use super::dial::Dialer;

/// How often hosts are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Read-only as libpq has it: no transaction of a standby writes, nor one that is read-only by default.
const LOOK: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
     pg_catalog.current_setting('default_transaction_read_only') OPERATOR(pg_catalog.=) 'on'";

/// libpq's `target_session_attrs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "named as libpq names them")]
pub enum Wanted {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// What a host was when it was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    standby: bool,
    read_only: bool,
}

impl Wanted {
    /// The value of this name.
    pub fn named(name: &str) -> Option<Wanted> {
        Some(match name {
            "any" => Wanted::Any,
            "read-write" => Wanted::ReadWrite,
            "read-only" => Wanted::ReadOnly,
            "primary" => Wanted::Primary,
            "standby" => Wanted::Standby,
            "prefer-standby" => Wanted::PreferStandby,
            _ => return None,
        })
    }

    fn takes(self, state: State) -> bool {
        let read_only = state.standby || state.read_only;
        match self {
            Wanted::Any | Wanted::PreferStandby => true,
            Wanted::ReadWrite => !read_only,
            Wanted::ReadOnly => read_only,
            Wanted::Primary => !state.standby,
            Wanted::Standby => state.standby,
        }
    }

    /// What a host is not, in libpq's words.
    pub(super) fn missing(self) -> &'static str {
        match self {
            Wanted::ReadWrite => "session is read-only",
            Wanted::ReadOnly => "session is not read-only",
            Wanted::Primary => "server is in hot standby mode",
            Wanted::Standby => "server is not in hot standby mode",
            Wanted::Any | Wanted::PreferStandby => "server cannot be looked at",
        }
    }
}

/// What is known of the hosts of a target.
pub(super) struct Hosts {
    states: Mutex<Vec<Option<State>>>,
    /// When the last look that ended began. Held while one is under way.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

impl Hosts {
    pub(super) fn new(count: usize) -> Self {
        Hosts { states: Mutex::new(vec![None; count]), looked: tokio::sync::Mutex::default() }
    }

    fn set(&self, host: usize, state: Option<State>) {
        if let Some(known) = self.states.lock().unwrap_or_else(PoisonError::into_inner).get_mut(host) {
            *known = state;
        }
    }

    /// Hosts to try, in order.
    pub(super) fn order(&self, wanted: Wanted, shuffled: bool) -> Vec<usize> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<usize> = (0..states.len()).collect();
        if shuffled {
            shuffle(&mut order);
        }
        if wanted != Wanted::Any {
            order.retain(|&host| states[host].is_some_and(|state| wanted.takes(state)));
        }
        if wanted == Wanted::PreferStandby {
            order.sort_by_key(|&host| states[host].is_some_and(|state| !state.standby));
        }
        order
    }
}

impl Dialer {
    /// Looks what each host is, all at once. A look that others began meanwhile serves too.
    pub(super) async fn look(&self) {
        let asked = Instant::now();
        let mut looked = self.hosts().looked.lock().await;
        if looked.is_some_and(|began| began >= asked) {
            return;
        }
        let began = Instant::now();
        let mut looks = JoinSet::new();
        for host in 0..self.target().hosts.len() {
            let dialer = self.clone();
            looks.spawn(async move { dialer.hosts().set(host, dialer.look_at(host).await) });
        }
        while looks.join_next().await.is_some() {}
        *looked = Some(began);
    }

    async fn look_at(&self, host: usize) -> Option<State> {
        let look = async {
            let client = connect::to_host(self, host).await.ok()?;
            let row = client.query_one(LOOK, &[]).await.ok()?;
            Some(State { standby: row.try_get(0).ok()?, read_only: row.try_get(1).ok()? })
        };
        tokio::time::timeout(self.target().connect_timeout, look).await.ok().flatten()
    }
}

/// Random order. Nothing secret hangs on it.
pub(super) fn shuffle<T>(items: &mut [T]) {
    let random = RandomState::new();
    for end in (1..items.len()).rev() {
        let other = random.hash_one(end) % (end as u64 + 1);
        items.swap(end, other as usize);
    }
}

/// Looks at the hosts until shutdown, where it matters which one is taken.
pub async fn watch(dialer: Dialer, shutdown: CancellationToken) {
    if dialer.target().wanted == Wanted::Any {
        return;
    }
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let looks = async {
        loop {
            interval.tick().await;
            dialer.look().await;
        }
    };
    shutdown.run_until_cancelled(looks).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_taken_as_libpq_takes_them() {
        let hosts = Hosts::new(4);
        for wanted in ["read-write", "read-only", "primary", "standby", "prefer-standby"] {
            assert!(hosts.order(Wanted::named(wanted).expect("known"), false).is_empty(), "nothing is known yet");
        }
        let state = |standby, read_only| Some(State { standby, read_only });
        for (host, state) in [state(true, false), state(false, true), None, state(false, false)].into_iter().enumerate()
        {
            hosts.set(host, state);
        }
        for (wanted, order) in [
            ("any", &[0, 1, 2, 3][..]),
            ("read-write", &[3]),
            ("read-only", &[0, 1]),
            ("primary", &[1, 3]),
            ("standby", &[0]),
            ("prefer-standby", &[0, 1, 3]),
        ] {
            let wanted = Wanted::named(wanted).expect("known");
            assert_eq!(hosts.order(wanted, false), order, "{wanted:?}");
            let mut shuffled = hosts.order(wanted, true);
            shuffled.sort_unstable();
            assert_eq!(shuffled, order);
        }
        assert_eq!(Wanted::named("master"), None);
    }

    #[test]
    fn shuffling_spreads() {
        let hosts = Hosts::new(3);
        let mut first = [0; 3];
        for _ in 0..300 {
            first[hosts.order(Wanted::Any, true)[0]] += 1;
        }
        assert!(first.iter().all(|n| *n > 50), "{first:?}");
    }
}
