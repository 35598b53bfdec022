//! When clients were last seen, and from where: for lists, not for decisions. Noted behind the answer, rarely, and all that wait at
//! once: with thousands of clients a change of the store for each would leave no room for others.

use std::collections::HashMap;

use crate::crypto::ClientId;
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::Origin;

use super::super::store;
use super::super::store::tables::{clients, seen};
use super::Engine;

/// A client is noted at most this often, in milliseconds.
pub const SEEN_MS: u64 = 30_000;
/// Notes of one change, at most.
pub const SEEN_MOST: usize = 500;

/// Who was seen.
#[derive(Default)]
pub(super) struct Seen {
    /// When each was noted last, by this process.
    noted: HashMap<ClientId, u64>,
    waiting: Vec<Note>,
    /// Somebody is writing, and takes what waits next.
    writing: bool,
}

struct Note {
    client: ClientId,
    origin: Origin,
    time_ms: u64,
}

impl Engine {
    /// Takes note of a client whose request was answered. Never makes an answer fail, and none of an async caller wait.
    pub(super) fn saw(&self, client: ClientId, origin: Origin) {
        let now = wall_ms();
        let mut seen = self.inner.seen.lock().expect("nothing panics while it holds this lock");
        if seen.noted.get(&client).is_some_and(|last| is_recent(*last, now)) {
            return;
        }
        seen.noted.insert(client, now);
        seen.waiting.push(Note { client, origin, time_ms: now });
        if std::mem::replace(&mut seen.writing, true) {
            return;
        }
        drop(seen);
        let engine = self.clone();
        let write = move || {
            while let Some(notes) = engine.waiting() {
                if let Err(error) = engine.note(&notes) {
                    tracing::debug!(clients = notes.len(), %error, "clients were seen, but this could not be noted");
                }
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(write)),
            Err(_) => write(),
        }
    }

    /// What waits; nothing, and whoever comes next writes.
    fn waiting(&self) -> Option<Vec<Note>> {
        let mut seen = self.inner.seen.lock().expect("nothing panics while it holds this lock");
        let most = seen.waiting.len().min(SEEN_MOST);
        seen.writing = most > 0;
        seen.writing.then(|| seen.waiting.drain(..most).collect())
    }

    /// Another process may have noted a client just now: then nothing is written of it.
    fn note(&self, notes: &[Note]) -> Result<(), KeysError> {
        let due = store::peek(self.store(), |tx| {
            let mut due = Vec::new();
            for note in notes {
                if !seen::find(tx, note.client)?.is_some_and(|seen| is_recent(seen.time_ms, note.time_ms)) {
                    due.push(note);
                }
            }
            Ok(due)
        })?;
        if due.is_empty() {
            return Ok(());
        }
        store::write(self.store(), |tx| {
            for note in &due {
                if clients::find(tx, note.client)?.is_some() {
                    seen::put(tx, note.client, &note.origin, note.time_ms)?;
                }
            }
            Ok(())
        })
    }
}

fn is_recent(last_ms: u64, now_ms: u64) -> bool {
    now_ms.abs_diff(last_ms) < SEEN_MS
}
