//! Fetches what encrypting needs before it is needed: data keys for the pools, and term roots. Everything here is proved.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::crypto::envelope::DataKey;
use crate::crypto::key_id::key_id;
use crate::crypto::random;
use crate::crypto::split::{Check, Tag};
use crate::crypto::term::TermKeys;
use crate::crypto::{Epoch, KeysetId, TypeId};

use super::super::claims::Split;
use super::super::clock::Boot;
use super::super::error::KeysError;
use super::super::permissions::Permissions;
use super::super::service::{EncryptKeys, Evaluated, TermRoots};
use super::Shared;
use super::keyset::Keyset;

/// What to fetch.
pub(super) enum Order {
    /// A pool is running low.
    Refill(KeysetId),
    /// A session waits for a data key.
    Ready(KeysetId, oneshot::Sender<Result<(), KeysError>>),
    /// A session waits for the keys of a type's terms.
    Term(KeysetId, TypeId, oneshot::Sender<Result<Arc<TermKeys>, KeysError>>),
}

/// Runs until cancelled: one order after the other, so that those for the same thing find it done.
pub(super) async fn run(shared: Arc<Shared>, mut orders: mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        match order {
            Order::Refill(id) => {
                let Ok(keyset) = shared.keyset(id, Permissions::ENCRYPT).await else { continue };
                let filled = fill(&shared, &keyset, false).await;
                keyset.pool.refilled();
                if let Err(error) = filled {
                    warn!(keyset = keyset.name, %error, "no new data keys: values cannot be stored once those at hand are used up; look at the key service and the client's grant");
                }
            }
            Order::Ready(id, reply) => {
                let done = retry(&shared, || ready(&shared, id)).await;
                let _ = reply.send(done); // who asked may have left
            }
            Order::Term(id, type_id, reply) => {
                let done = retry(&shared, || term(&shared, id, type_id)).await;
                let _ = reply.send(done);
            }
        }
    }
}

/// A grant that was replaced while its old shares were in use: read the state again and retry, once.
async fn retry<T, F: Future<Output = Result<T, KeysError>>>(
    shared: &Shared,
    work: impl Fn() -> F,
) -> Result<T, KeysError> {
    match work().await {
        Err(KeysError::GrantChanged) => {
            shared.refreshed().await?;
            work().await
        }
        done => done,
    }
}

async fn ready(shared: &Arc<Shared>, id: KeysetId) -> Result<(), KeysError> {
    let keyset = shared.keyset(id, Permissions::ENCRYPT).await?;
    fill(shared, &keyset, true).await
}

/// Fetches new data keys into the pool, if it is low.
async fn fill(shared: &Arc<Shared>, keyset: &Arc<Keyset>, starved: bool) -> Result<(), KeysError> {
    let now = Boot::now();
    let count = keyset.pool.missing(now, starved);
    if count == 0 || (starved && keyset.pool.has_key(now)) {
        return Ok(());
    }
    let count = u32::try_from(count).expect("at most MAX_KEYS");
    let (epoch, _) = keyset.current(Split::Data).ok_or_else(|| no_share(keyset, "encrypt"))?;
    let nonce = random::array()?;
    let new = shared.ask(&EncryptKeys { keyset: keyset.id, grant: keyset.digest, epoch, nonce, count }).await?;
    let keys = {
        let keyset = Arc::clone(keyset);
        let derive = move || derive(&keyset, epoch, (&nonce, &new.server_nonce), count, &new.evaluated);
        tokio::task::spawn_blocking(derive)
            .await
            .unwrap_or_else(|_| Err(KeysError::bad_answer("deriving its keys failed")))?
    };
    keyset.pool.add(keys, Boot::now());
    Ok(())
}

fn derive(
    keyset: &Keyset,
    epoch: Epoch,
    nonces: (&[u8; 16], &[u8; 16]),
    count: u32,
    answer: &Evaluated,
) -> Result<Vec<DataKey>, KeysError> {
    let half = keyset.data.get(&epoch).ok_or_else(|| no_share(keyset, "encrypt"))?;
    let kref = half.kref.ok_or_else(|| no_share(keyset, "encrypt"))?;
    let proof = answer.proof.as_ref().ok_or(KeysError::bad_answer("a proof is missing"))?;
    let ids = (0..count).map(|k| key_id(nonces.0, nonces.1, k)).collect::<Vec<_>>();
    let tags = ids.iter().map(|id| Tag::data(keyset.id, epoch, *id)).collect::<Vec<_>>();
    let keys = half.share.derive_keys(&half.public, &half.hedge, &tags, &answer.answers, Check::Proved(proof));
    let keys = keys.map_err(|_| KeysError::bad_answer("its proof does not hold"))?;
    Ok(ids.into_iter().zip(keys).map(|(id, key)| DataKey::new(kref, keyset.id, epoch, id, key)).collect())
}

async fn term(shared: &Arc<Shared>, id: KeysetId, type_id: TypeId) -> Result<Arc<TermKeys>, KeysError> {
    let keyset = shared.keyset(id, Permissions::QUERY).await?;
    if let Some(known) = keyset.terms.load().get(&type_id) {
        return Ok(Arc::clone(known));
    }
    if !keyset.grant.covers(type_id) {
        return Err(KeysError::missing(keyset.name.as_str(), "query"));
    }
    let (epoch, half) = keyset.current(Split::Index).ok_or_else(|| no_share(&keyset, "query"))?;
    let types = vec![type_id];
    let answer = shared.ask(&TermRoots { keyset: keyset.id, grant: keyset.digest, epoch, types }).await?;
    let proof = answer.proof.as_ref().ok_or(KeysError::bad_answer("a proof is missing"))?;
    let tag = Tag::index(keyset.id, epoch, type_id);
    let roots = half.share.derive_term_roots(&half.public, &half.hedge, &[tag], &answer.answers, proof);
    let roots = roots.map_err(|_| KeysError::bad_answer("its proof does not hold"))?;
    let root = roots.first().ok_or(KeysError::bad_answer("a term root is missing"))?;
    let key = Arc::new(TermKeys::new(root));
    keyset.terms.rcu(|terms| {
        let mut terms = (**terms).clone();
        terms.insert(type_id, Arc::clone(&key));
        terms
    });
    Ok(key)
}

fn no_share(keyset: &Keyset, permission: &'static str) -> KeysError {
    KeysError::missing(keyset.name.as_str(), permission)
}
