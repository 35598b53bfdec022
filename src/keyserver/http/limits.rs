//! How often a client, or an address that shows no client's signature, may ask: token buckets.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::crypto::ClientId;
use crate::keys::error::KeysError;

/// Buckets are looked through for full ones, which say nothing, when there are more.
const MANY: usize = 16_384;

/// Both kinds of bucket.
pub(super) struct Limits {
    clients: Buckets<ClientId>,
    addresses: Buckets<IpAddr>,
}

impl Limits {
    /// Of requests a second.
    pub(super) fn new(client_rate: u32, failure_rate: u32) -> Self {
        Self { clients: Buckets::new(client_rate, 2), addresses: Buckets::new(failure_rate, 10) }
    }

    /// Before anything is looked at: the address has not failed too often, nor this client asked too often.
    pub(super) fn admit(&self, address: Option<IpAddr>, client: Option<ClientId>) -> Result<(), KeysError> {
        if let Some(address) = address {
            self.addresses.check(&network(address))?;
        }
        client.map_or(Ok(()), |client| self.clients.check(&client))
    }

    /// The request was signed by the client. Only this takes from its bucket, so that nobody else can empty it.
    pub(super) fn proven(&self, client: ClientId) {
        self.clients.take(client);
    }

    /// Nothing showed that a client signed the request.
    pub(super) fn unproven(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.addresses.take(network(address));
        }
    }
}

/// One subscriber of IPv6 has 2^64 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

struct Buckets<K> {
    rate: f64,
    most: f64,
    all: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: u32, burst: u32) -> Self {
        let rate = f64::from(rate.max(1));
        Self { rate, most: rate * f64::from(burst), all: Mutex::default() }
    }

    fn check(&self, key: &K) -> Result<(), KeysError> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bucket) = all.get(key) else { return Ok(()) };
        let tokens = self.now(bucket);
        if tokens >= 1.0 {
            return Ok(());
        }
        // At most as long as the burst lasts: what was asked at the same time is a debt.
        let retry_ms = ((1.0 - tokens) / self.rate * 1000.0).ceil();
        Err(KeysError::TooManyRequests { retry_ms: if retry_ms > 1.0 { retry_ms as u64 } else { 1 } })
    }

    fn take(&self, key: K) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MANY {
            all.retain(|_, bucket| self.now(bucket) < self.most);
        }
        let at = Instant::now();
        let tokens = all.get(&key).map_or(self.most, |bucket| self.now(bucket));
        all.insert(key, Bucket { tokens: (tokens - 1.0).max(-self.most), at });
    }

    fn now(&self, bucket: &Bucket) -> f64 {
        (bucket.tokens + bucket.at.elapsed().as_secs_f64() * self.rate).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_often_waits_and_nobody_else_does() {
        let limits = Limits::new(1, 1);
        let (one, other) = (ClientId([1; 16]), ClientId([2; 16]));
        for _ in 0..2 {
            limits.admit(None, Some(one)).expect("within the burst");
            limits.proven(one);
        }
        let refused = limits.admit(None, Some(one));
        assert!(matches!(refused, Err(KeysError::TooManyRequests { retry_ms: 1..=1000 })), "{refused:?}");
        limits.admit(None, Some(other)).expect("another client");
    }

    #[test]
    fn a_forger_empties_his_own_address_and_not_the_client() {
        let limits = Limits::new(1, 1);
        let (forger, other) = ("2001:db8::1".parse().ok(), "2001:db8:0:1::1".parse().ok());
        for _ in 0..10 {
            limits.unproven(forger);
        }
        let client = Some(ClientId([1; 16]));
        assert!(limits.admit("2001:db8::ffff".parse().ok(), client).is_err(), "the same network");
        limits.admit(other, client).expect("the client from elsewhere");
    }
}
