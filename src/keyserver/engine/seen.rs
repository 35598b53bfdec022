//! When clients were last seen, and from where: for lists, not for decisions. Noted behind the answer, rarely.

use crate::crypto::ClientId;
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::Origin;

use super::super::store;
use super::super::store::tables::{clients, seen};
use super::Engine;

/// A client is noted at most this often, in milliseconds.
const SEEN_MS: u64 = 30_000;

impl Engine {
    /// Takes note of a client whose request was answered. Never makes an answer fail, and none of an async caller wait.
    pub(super) fn saw(&self, client: ClientId, origin: Origin) {
        let now = wall_ms();
        let recent = |last: u64| now.abs_diff(last) < SEEN_MS;
        let mut noted = self.inner.seen.lock().expect("nothing panics while it holds this lock");
        if noted.get(&client).is_some_and(|last| recent(*last)) {
            return;
        }
        noted.insert(client, now);
        drop(noted);
        let engine = self.clone();
        let note = move || {
            if let Err(error) = engine.note(client, &origin, now) {
                tracing::debug!(%client, %error, "a client was seen, but this could not be noted");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(note)),
            Err(_) => note(),
        }
    }

    /// Another process may have noted the client just now: then nothing is written.
    fn note(&self, client: ClientId, origin: &Origin, now_ms: u64) -> Result<(), KeysError> {
        let known = store::peek(self.store(), |tx| seen::find(tx, client))?;
        if known.is_some_and(|seen| now_ms.abs_diff(seen.time_ms) < SEEN_MS) {
            return Ok(());
        }
        store::write(self.store(), |tx| match clients::find(tx, client)? {
            Some(_) => seen::put(tx, client, origin, now_ms),
            None => Ok(()),
        })
    }
}
