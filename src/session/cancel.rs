//! Cancel requests: which server each key came from, and carrying a request there.
//!
//! Clients hold the server's own key, so a request also works through another proxy before the same
//! database; then every configured address is told, and the one that knows the key obeys.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::net::dial::{Address, Dialer, Security};
use crate::telemetry::metrics;
use crate::wire::error::PgError;
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::cancel_request;

/// Longest wait for the server to close, which it does once the request was acted on.
const DONE: Duration = Duration::from_secs(10);

type Key = (u32, Box<[u8]>);

/// The keys of all live sessions.
#[derive(Default)]
pub struct Cancels {
    routes: Mutex<Routes>,
}

#[derive(Default)]
struct Routes {
    by_key: HashMap<Key, (u64, Route, Arc<Asked>)>,
    serial: u64,
}

/// Where a session's server is.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its address.
    pub address: Address,
    /// The session speaks TLS with it, so the request does too.
    pub tls: bool,
}

/// Requests to cancel what a session does. The server obeys one only while it runs a statement; while the proxy holds one,
/// the session must hear of it itself.
#[derive(Default, Debug)]
pub struct Asked {
    count: AtomicU64,
    told: Notify,
}

impl Asked {
    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn one_more(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.told.notify_waiters();
    }

    /// Waits until there are others than these.
    pub(super) async fn beyond(&self, heard: u64) {
        loop {
            let told = self.told.notified();
            if self.count() != heard {
                return;
            }
            told.await;
        }
    }
}

/// Forgets a session's key when dropped.
pub struct CancelGuard {
    cancels: Arc<Cancels>,
    key: Key,
    serial: u64,
    asked: Arc<Asked>,
}

impl CancelGuard {
    /// The requests with this key.
    pub fn asked(&self) -> Arc<Asked> {
        Arc::clone(&self.asked)
    }
}

impl Cancels {
    /// Remembers where the key of a session leads, until the guard is dropped.
    pub fn register(self: &Arc<Self>, pid: u32, key: &[u8], route: Route) -> CancelGuard {
        let key: Key = (pid, key.into());
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.serial += 1;
        let serial = routes.serial;
        let asked = Arc::<Asked>::default();
        routes.by_key.insert(key.clone(), (serial, route, Arc::clone(&asked)));
        CancelGuard { cancels: Arc::clone(self), key, serial, asked }
    }

    /// Where the key leads, if a session here has it, and who is to hear of requests.
    fn session(&self, pid: u32, key: &[u8]) -> Option<(Route, Arc<Asked>)> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.by_key.get(&(pid, key.into())).map(|(_, route, asked)| (route.clone(), Arc::clone(asked)))
    }

    /// Live keys.
    pub fn len(&self) -> usize {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).by_key.len()
    }

    /// No live key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        let mut routes = self.cancels.routes.lock().unwrap_or_else(PoisonError::into_inner);
        // Another session may have been given the same key since.
        if routes.by_key.get(&self.key).is_some_and(|(serial, ..)| *serial == self.serial) {
            routes.by_key.remove(&self.key);
        }
    }
}

/// What a statement is answered that was to be cancelled while the proxy held it; PostgreSQL's words.
pub(super) fn cancelled() -> PgError {
    PgError::error(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}

/// Tells the session, carries a request to the server its key came from, and waits until the server has closed, as a client
/// waits for us. A client is never told what became of it, so faults are only logged.
pub(super) async fn relay(cancels: &Cancels, (dialer, counts): (&Dialer, &metrics::Cancels), pid: u32, key: &[u8]) {
    match cancels.session(pid, key) {
        Some((route, asked)) => {
            asked.one_more();
            let security = if route.tls { Security::Tls } else { Security::Plain };
            match send(dialer, &route.address, security, pid, key).await {
                true => counts.relayed.increment(1),
                false => counts.failed.increment(1),
            }
        }
        None => {
            counts.unknown.increment(1);
            let first = dialer.attempts()[0];
            for address in dialer.addresses().await {
                send(dialer, &address, first, pid, key).await;
            }
        }
    }
}

/// Whether the server was told.
async fn send(dialer: &Dialer, address: &Address, security: Security, pid: u32, key: &[u8]) -> bool {
    let Ok(request) = cancel_request(pid, key) else {
        return false;
    };
    let sent = async {
        let mut stream = dialer.dial_address(address, security).await.map_err(|e| e.to_string())?;
        stream.write_all(&request).await.map_err(|e| e.to_string())?;
        stream.flush().await.map_err(|e| e.to_string())?;
        // The server answers nothing; it closes. TLS may end without a farewell, which is no fault here.
        let _ = tokio::time::timeout(DONE, stream.read(&mut [0])).await;
        Ok::<(), String>(())
    };
    let outcome = sent.await;
    if let Err(error) = &outcome {
        tracing::warn!(%address, %error, "cancel request could not be carried to the server; the statement goes on: look at [database] and the network");
    }
    outcome.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(port: u16) -> Route {
        Route { address: Address::Tcp("db".into(), ([127, 0, 0, 1], port).into()), tls: false }
    }

    fn leads(cancels: &Cancels, pid: u32, key: &[u8]) -> Option<Address> {
        cancels.session(pid, key).map(|(route, _)| route.address)
    }

    #[test]
    fn a_key_is_known_while_its_session_lives() {
        let cancels = Arc::new(Cancels::default());
        let guard = cancels.register(7, b"long key of protocol 3.2", route(1));
        assert_eq!(leads(&cancels, 7, b"long key of protocol 3.2"), Some(route(1).address));
        assert!(leads(&cancels, 8, b"long key of protocol 3.2").is_none());
        assert!(leads(&cancels, 7, b"long").is_none());
        drop(guard);
        assert!(cancels.is_empty());
    }

    #[tokio::test]
    async fn a_request_is_heard_by_the_session_of_its_key() {
        let cancels = Arc::new(Cancels::default());
        let guards = [1, 2].map(|pid| cancels.register(pid, b"1234", route(1)));
        let asked = guards[0].asked();
        let heard = asked.count();
        let waiting = tokio::spawn(async move { asked.beyond(heard).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let Some((_, found)) = cancels.session(1, b"1234") else { panic!("the key is not known") };
        found.one_more();
        waiting.await.unwrap();
        assert_eq!(guards.map(|guard| guard.asked().count()), [1, 0]);
    }

    #[test]
    fn an_old_guard_leaves_a_newer_key_alone() {
        let cancels = Arc::new(Cancels::default());
        let old = cancels.register(7, b"1234", route(1));
        let new = cancels.register(7, b"1234", route(2));
        drop(old);
        assert_eq!(leads(&cancels, 7, b"1234"), Some(route(2).address));
        drop(new);
        assert!(cancels.is_empty());
    }
}
