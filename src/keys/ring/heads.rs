//! Heads of the audit trail, as leases bring them: logged, so that `columnseal audit verify --heads` finds a service that
//! rewrote its own trail.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::super::audit::{AuditHead, ReplicaId, SignedHead};

/// A chain's head is logged at most this often.
const EVERY: Duration = Duration::from_secs(60);
/// Chains of which something is kept. A server has two, and a new one each time it starts.
const MANY: usize = 1024;

/// What was told and logged.
#[derive(Default)]
pub(super) struct Heads(Mutex<HashMap<ReplicaId, Known>>);

struct Known {
    newest: AuditHead,
    logged: AuditHead,
    at: Instant,
}

impl Heads {
    /// Logs what is new. A chain that went back is said at once.
    pub(super) fn told(&self, heads: &[SignedHead], now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for signed in heads {
            let head = signed.head;
            let Some(chain) = known.get_mut(&head.replica) else {
                if known.len() >= MANY {
                    known.clear();
                }
                info!(head = %signed, "audit head");
                known.insert(head.replica, Known { newest: head, logged: head, at: now });
                continue;
            };
            if went_back(&chain.newest, &head) {
                warn!(head = %signed, before = %chain.newest, "the audit trail of the key service went back or was rewritten: look with `columnseal audit verify --heads`");
                (chain.newest, chain.logged, chain.at) = (head, head, now);
                continue;
            }
            chain.newest = head;
            if chain.logged != head && now.duration_since(chain.at) >= EVERY {
                info!(head = %signed, "audit head");
                (chain.logged, chain.at) = (head, now);
            }
        }
    }
}

fn went_back(before: &AuditHead, now: &AuditHead) -> bool {
    now.sequence < before.sequence || (now.sequence == before.sequence && now.hash != before.hash)
}
