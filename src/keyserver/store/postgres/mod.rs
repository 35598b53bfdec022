//! The store in a PostgreSQL database, or in what speaks its protocol: several servers work on it, none leads.
//!
//! Changes take turns by one row (`turns`) that each updates first: under every isolation level another change waits
//! or begins anew. Reads see one snapshot. What a server adds to its own audit chain meets nobody. No advisory locks,
//! no LISTEN.

mod drive;
mod fault;
mod open;
mod pool;
mod transaction;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::net::settings::Target;

use super::{Store, Tx, Value};
use drive::Driver;
use fault::{Place, Remedy};
use pool::Pool;
use transaction::{Commit, Open};

pub use pool::CONNECTIONS;

/// How often the same is tried when others are in the way, and the pause after the first time; it doubles.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(2);

/// One snapshot for all statements.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Each statement sees what was committed before it; nothing is, while it is our turn.
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// A writer that was not heard of for this long is forgotten.
const FORGET_MS: u64 = 24 * 60 * 60 * 1000;

type Work<'a> = &'a mut dyn FnMut(&dyn Tx) -> Result<(), KeysError>;

/// A store in a database.
pub struct Postgres {
    place: Place,
    pool: Pool,
    /// Names this opening of the store among others' writers.
    writer: [u8; 16],
    /// Number of the last change that was begun here.
    marker: AtomicU64,
    /// One change at a time, so that what became of it can be found out.
    changing: Mutex<()>,
    // Last, so that connections go before what drives them.
    driver: Driver,
}

/// How one attempt went.
enum Attempt {
    Over(Result<(), KeysError>),
    Again(KeysError),
    /// Of a commit nobody knows whether it was done.
    Unknown,
}

impl Postgres {
    fn attempt(&self, begin: &str, work: Work<'_>) -> Attempt {
        let mut lent = match self.pool.lend(&self.driver, &self.place) {
            Ok(lent) => lent,
            Err(error) => return Attempt::Over(Err(error)),
        };
        let open = match Open::begin(&self.driver, &self.place, &mut lent, begin) {
            Ok(open) => open,
            Err((remedy, error)) => {
                return if remedy == Remedy::Tell { Attempt::Over(Err(error)) } else { Attempt::Again(error) };
            }
        };
        let (attempt, usable) = match work(&open) {
            Err(error) => match open.remedy() {
                Remedy::Tell => (Attempt::Over(Err(error)), open.roll_back()),
                Remedy::Again => (Attempt::Again(error), open.roll_back()),
                Remedy::Reconnect => (Attempt::Again(error), false),
            },
            // Nothing can be committed after a failure, whatever became of its error.
            Ok(()) if open.has_failed() => (Attempt::Over(Err(self.place.unavailable("a statement failed"))), false),
            Ok(()) => match open.commit() {
                Commit::Done => (Attempt::Over(Ok(())), true),
                Commit::Refused(Remedy::Tell, error) => (Attempt::Over(Err(error)), open.roll_back()),
                Commit::Refused(_, error) => (Attempt::Again(error), open.roll_back()),
                Commit::Unknown => (Attempt::Unknown, false),
            },
        };
        if usable {
            lent.give_back();
        }
        attempt
    }

    /// Tries until it is done, refused, or too often in the way. `known` finds out about a commit whose answer was lost.
    fn run(&self, begin: &str, work: Work<'_>, known: &dyn Fn() -> Result<bool, KeysError>) -> Result<(), KeysError> {
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let error = match self.attempt(begin, work) {
                Attempt::Over(result) => return result,
                Attempt::Unknown => match known() {
                    Ok(true) => return Ok(()),
                    Ok(false) => self.place.unavailable("the connection was lost"),
                    Err(_) => return Err(KeysError::OutcomeUnknown),
                },
                Attempt::Again(error) => error,
            };
            if attempt == TRIES {
                return Err(error);
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }

    fn snapshot(&self, work: Work<'_>) -> Result<(), KeysError> {
        // Nothing was to be kept: it can be read again.
        self.run(READ, work, &|| Ok(false))
    }

    /// Whether our change of this number was committed. Waits for the connection that was lost to end its transaction.
    fn committed(&self, marker: u64) -> Result<bool, KeysError> {
        let mut found = None;
        let lost = || Err(KeysError::OutcomeUnknown);
        let ask = &mut |tx: &dyn Tx| {
            take_turn(tx)?;
            let sql = "SELECT marker FROM writers WHERE writer = $1";
            let mut rows = tx.rows(sql, &[Value::Bytes(&self.writer)])?;
            found = rows.pop().map(|mut row| row.int()).transpose().map_err(|_| tx.corrupt("a writer's row"))?;
            Ok(())
        };
        self.run(WRITE, ask, &lost)?;
        Ok(found == Some(marker))
    }
}

impl Store for Postgres {
    fn read(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.snapshot(work)
    }

    fn write(&self, work: Work<'_>) -> Result<(), KeysError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let marker = self.marker.fetch_add(1, Ordering::Relaxed) + 1;
        let work = &mut |tx: &dyn Tx| {
            take_turn(tx)?;
            mark(tx, &self.writer, marker)?;
            work(tx)
        };
        self.run(WRITE, work, &|| self.committed(marker))
    }

    fn append(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.run(WRITE, work, &|| Err(KeysError::OutcomeUnknown))
    }

    fn shared(&self) -> bool {
        true
    }

    fn peek(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.snapshot(work)
    }

    fn version(&self) -> Result<i64, KeysError> {
        let mut version = None;
        self.snapshot(&mut |tx| {
            let number = tx.rows("SELECT number FROM turns", &[])?.pop().and_then(|mut row| row.int().ok());
            version = number.and_then(|number| i64::try_from(number).ok());
            Ok(())
        })?;
        version.ok_or_else(|| self.place.corrupt("the number of changes is unreadable"))
    }

    /// Nothing: what PostgreSQL keeps of deleted rows (dead tuples, WAL, replicas) is out of a client's reach. It holds
    /// shares wrapped by the root key, and for a client that may be compromised the docs advise rotation.
    fn scrub(&self) -> Result<(), KeysError> {
        Ok(())
    }

    fn corrupt(&self, what: &str) -> KeysError {
        self.place.corrupt(what)
    }
}

/// Waits for our turn to change something, and counts the change.
fn take_turn(tx: &dyn Tx) -> Result<(), KeysError> {
    match tx.execute("UPDATE turns SET number = number + 1", &[])? {
        1 => Ok(()),
        _ => Err(tx.corrupt("it lost the row that changes take turns by")),
    }
}

/// Leaves our mark on the change, to find out later whether it was committed.
fn mark(tx: &dyn Tx, writer: &[u8; 16], marker: u64) -> Result<(), KeysError> {
    let now = wall_ms();
    if marker == 1 {
        tx.execute("DELETE FROM writers WHERE time_ms < $1", &[Value::Int(now.saturating_sub(FORGET_MS))])?;
    }
    let sql = "INSERT INTO writers (writer, marker, time_ms) VALUES ($1, $2, $3)
        ON CONFLICT (writer) DO UPDATE SET marker = excluded.marker, time_ms = excluded.time_ms";
    tx.execute(sql, &[Value::Bytes(writer), Value::Int(marker), Value::Int(now)]).map(drop)
}

/// A URL without its password.
pub fn shown(url: &str) -> String {
    Target::parse(url, None).map_or_else(|_| "postgres://…".to_owned(), |target| Place::of(&target).shown())
}
