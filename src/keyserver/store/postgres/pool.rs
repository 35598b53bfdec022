//! Few connections, made when needed and again when lost.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Statement};

use crate::keys::error::KeysError;
use crate::net::connect::connect_with;
use crate::net::dial::Dialer;

use super::drive::Driver;
use super::fault::Place;

/// Connections at a time.
pub const CONNECTIONS: usize = 8;
/// How long to wait for a free one, and for any answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A server that died in the middle of a change does not hold up the others for longer.
const SESSION: &str = "SET statement_timeout = '8s'; SET idle_in_transaction_session_timeout = '10s'";

/// Connections to one store.
pub(super) struct Pool {
    dialer: Dialer,
    free: Mutex<Free>,
    returned: Condvar,
}

#[derive(Default)]
struct Free {
    idle: Vec<Session>,
    taken: usize,
}

/// A connection and the statements it has prepared.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) prepared: HashMap<String, Statement>,
}

/// A connection in use. It is closed unless it is given back, as after a panic in the middle of a transaction.
pub(super) struct Lent<'a> {
    pool: &'a Pool,
    session: Option<Session>,
}

impl Pool {
    pub(super) fn new(dialer: Dialer) -> Self {
        Self { dialer, free: Mutex::default(), returned: Condvar::new() }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection: a free one, or a new one where there are few.
    pub(super) fn lend(&self, driver: &Driver, place: &Place) -> Result<Lent<'_>, KeysError> {
        let end = Instant::now() + PATIENCE;
        let mut free = self.free();
        loop {
            while let Some(session) = free.idle.pop() {
                if !session.client.is_closed() {
                    free.taken += 1;
                    return Ok(Lent { pool: self, session: Some(session) });
                }
            }
            if free.taken < CONNECTIONS {
                break;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(place.unavailable("every connection to it is busy"));
            }
            free = self.returned.wait_timeout(free, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        free.taken += 1;
        drop(free);
        let mut lent = Lent { pool: self, session: None };
        lent.session = Some(self.connect(driver, place)?);
        Ok(lent)
    }

    fn connect(&self, driver: &Driver, place: &Place) -> Result<Session, KeysError> {
        let dialer = self.dialer.clone();
        let limit = dialer.target().connect_timeout.saturating_mul(2).clamp(PATIENCE, 6 * PATIENCE);
        let connected = driver.spawn(limit, async move { connect_with(&dialer, None).await });
        let client = match connected {
            Err(_) => return Err(place.unavailable("it does not answer")),
            Ok(Err(error)) => return Err(place.unavailable(&error.to_string())),
            Ok(Ok(client)) => client,
        };
        match driver.wait(PATIENCE, client.batch_execute(SESSION)) {
            Err(_) => Err(place.unavailable("it does not answer")),
            Ok(Err(error)) => Err(place.fault(&error)),
            Ok(Ok(())) => Ok(Session { client, prepared: HashMap::new() }),
        }
    }
}

impl Lent<'_> {
    pub(super) fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a connection is lent until it is given back")
    }

    /// Gives the connection back, outside any transaction.
    pub(super) fn give_back(mut self) {
        let session = self.session.take().filter(|session| !session.client.is_closed());
        self.pool.free().idle.extend(session);
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pool.free().taken -= 1;
        self.pool.returned.notify_one();
    }
}
