//! Who is connected to this server, and whether clients have heard of what was taken from them. In memory: a server that
//! starts anew has seen nothing yet.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::crypto::ClientId;
use crate::keys::admin::{Act, GetPresence, Presence, PresenceReport};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::Request;

use super::super::authorize::Permit;
use super::super::store;
use super::super::store::tables::grants;
use super::Engine;

/// What was taken longer ago than this is not told any more, in milliseconds.
const REMEMBERED_MS: u64 = 60 * 60 * 1000;

/// Every client of which something is known.
#[derive(Default)]
pub(super) struct Watchers(Mutex<HashMap<ClientId, Watcher>>);

#[derive(Default)]
struct Watcher {
    streams: u32,
    cut: Option<Cut>,
}

/// Something was taken from a client.
struct Cut {
    time_ms: u64,
    streams_then: u32,
    heard: u32,
    heard_after_ms: Option<u64>,
}

/// An event stream of a client is open. Ends with the value.
pub struct Streaming {
    engine: Engine,
    client: ClientId,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let mut all = self.engine.inner.watchers.lock();
        if let Some(watcher) = all.get_mut(&self.client) {
            watcher.streams = watcher.streams.saturating_sub(1);
            if watcher.streams == 0 && watcher.cut.is_none() {
                all.remove(&self.client);
            }
        }
    }
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, Watcher>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// A client has an event stream open.
    pub fn streaming(&self, client: ClientId) -> Streaming {
        self.inner.watchers.lock().entry(client).or_default().streams += 1;
        Streaming { engine: self.clone(), client }
    }

    /// Who is connected, for an admin.
    pub fn presence(&self, request: &Request<GetPresence>) -> Result<PresenceReport, KeysError> {
        store::peek(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.gate(), request).map(drop)
        })?;
        let now_ms = wall_ms();
        let mut all = self.inner.watchers.lock();
        all.retain(|_, watcher| {
            watcher.cut.take_if(|cut| cut.time_ms.saturating_add(REMEMBERED_MS) < now_ms);
            watcher.streams > 0 || watcher.cut.is_some()
        });
        let told = |(client, watcher): (&ClientId, &Watcher)| {
            let cut = watcher.cut.as_ref();
            Presence {
                client: *client,
                streams: watcher.streams,
                cut_ms: cut.map(|cut| cut.time_ms),
                streams_then: cut.map_or(0, |cut| cut.streams_then),
                heard: cut.map_or(0, |cut| cut.heard),
                heard_after_ms: cut.and_then(|cut| cut.heard_after_ms),
            }
        };
        let mut clients = all.iter().map(told).collect::<Vec<_>>();
        clients.sort_by_key(|presence| presence.client);
        let certificate_ends_ms = Some(self.inner.served_until.load(Ordering::Relaxed)).filter(|end| *end > 0);
        Ok(PresenceReport { now_ms, clients, certificate_ends_ms })
    }

    /// The server's TLS certificate ends then, in milliseconds since 1970.
    pub fn served_until(&self, ends_ms: Option<u64>) {
        self.inner.served_until.store(ends_ms.unwrap_or(0), Ordering::Relaxed);
    }

    /// An act was done: from whom has it taken something?
    pub(super) fn cut(&self, act: &Act) {
        let clients = match act {
            Act::Revoke { client, .. } | Act::DeleteClient { client } => vec![*client],
            Act::EnableClient { client, enabled: false } => vec![*client],
            Act::EnableKeyset { keyset, enabled: false } => {
                let holders = store::peek(self.store(), |tx| grants::of_keyset(tx, *keyset));
                holders.unwrap_or_default().into_iter().map(|row| row.client).collect()
            }
            _ => return,
        };
        let (time_ms, mut all) = (wall_ms(), self.inner.watchers.lock());
        for client in clients {
            let watcher = all.entry(client).or_default();
            let streams_then = watcher.streams;
            watcher.cut = Some(Cut { time_ms, streams_then, heard: 0, heard_after_ms: None });
        }
    }

    /// A client was told where it stands, as of `began_ms` or later.
    pub(super) fn heard(&self, client: ClientId, began_ms: u64) {
        let mut all = self.inner.watchers.lock();
        let Some(cut) = all.get_mut(&client).and_then(|watcher| watcher.cut.as_mut()) else { return };
        if began_ms < cut.time_ms {
            return;
        }
        cut.heard = cut.heard.saturating_add(1);
        if cut.heard <= cut.streams_then.max(1) {
            cut.heard_after_ms = Some(wall_ms().saturating_sub(cut.time_ms));
        }
    }
}
