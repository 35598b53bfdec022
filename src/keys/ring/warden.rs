//! Keeps what is held and the lease: reads the state when the revision changes, renews the lease, purges what was taken away.
//! One task does all of it, so that an older answer never overtakes a newer one.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::super::clock::{Boot, jitter};
use super::super::error::KeysError;
use super::super::service::{GetState, Lease, Renew, Standing, State};
use super::super::usage::Used;
use super::Shared;
use super::held::Held;

/// Between two tries of a service that fails.
pub const RETRY: Duration = Duration::from_millis(250);
/// The lease is renewed at least this many times before it would end.
pub const RENEWALS: u32 = 3;

/// What a session waits for.
pub(super) struct Ask {
    /// Read the state, whatever is known; otherwise renewing the lease is enough, which reads it where it has changed.
    pub(super) whole: bool,
    pub(super) reply: oneshot::Sender<Result<(), KeysError>>,
}

/// Runs until cancelled.
pub(super) async fn run(shared: Arc<Shared>, mut asks: mpsc::Receiver<Ask>) {
    let mut watch_again = Instant::now();
    let mut renew_at = Instant::now() + jitter(shared.lease / RENEWALS);
    let mut failing = false;
    loop {
        let seen = **shared.seen.load();
        let watch = async {
            sleep_until(watch_again).await;
            shared.service.next_standing(shared.key.client_id(), seen).await
        };
        let outcome = tokio::select! {
            ask = asks.recv() => match ask {
                Some(ask) => answer(&shared, ask, &mut asks).await,
                None => pending().await,
            },
            standing = watch => match standing {
                Ok(standing) => told(&shared, standing).await,
                Err(error) if error.leaves_access() => Err(error),
                // The client is not wanted any more: the state says why.
                Err(_) => reread(&shared).await,
            },
            () = sleep_until(renew_at) => {
                renew_at = Instant::now() + jitter(shared.lease / RENEWALS);
                renew(&shared).await
            }
        };
        match &outcome {
            Ok(()) if failing => info!("the key service answers again"),
            Err(error) if !failing => {
                warn!(%error, "the key service fails; keys at hand serve until the lease is over: look at the key server, [keys] service and the network")
            }
            _ => {}
        }
        failing = outcome.is_err();
        shared.trouble.store(outcome.err().map(Arc::new));
        watch_again = Instant::now() + if failing { RETRY } else { Duration::ZERO };
    }
}

/// Reads the state, checks it, and makes it what is held. A definite refusal purges everything.
pub(super) async fn refresh(shared: &Arc<Shared>) -> Result<(), KeysError> {
    let sent = Boot::now();
    let loaded = match shared.ask(&GetState {}).await {
        Ok(state) => load(shared, state).await,
        Err(error) => Err(error),
    };
    match loaded {
        Ok(held) => {
            let standing = held.standing;
            not_older(shared, standing)?;
            install(shared, held);
            saw(shared, standing);
            extend(shared, sent);
            Ok(())
        }
        Err(error) => {
            if !error.leaves_access() {
                let refused = shared.held.load().refuse(error.clone());
                install(shared, refused);
            }
            Err(error)
        }
    }
}

/// Opens and checks on a thread that may take its time.
async fn load(shared: &Arc<Shared>, state: State) -> Result<Held, KeysError> {
    let shared = Arc::clone(shared);
    let load = move || Held::load(&shared.key, shared.root, state, &shared.held.load());
    let loaded = tokio::task::spawn_blocking(load).await;
    loaded.unwrap_or_else(|e| Err(KeysError::unavailable(format!("checking the key service's answer failed: {e}"))))
}

/// Answers everybody who waits at once.
async fn answer(shared: &Arc<Shared>, first: Ask, asks: &mut mpsc::Receiver<Ask>) -> Result<(), KeysError> {
    let mut waiting = vec![first];
    while let Ok(ask) = asks.try_recv() {
        waiting.push(ask);
    }
    let whole = waiting.iter().any(|ask| ask.whole);
    let result = if whole { refresh(shared).await } else { renew(shared).await };
    for Ask { reply, .. } in waiting {
        let _ = reply.send(result.clone()); // who asked may have left
    }
    result
}

/// The service told where the client stands: the state is read if something changed that concerns it.
async fn told(shared: &Arc<Shared>, standing: Standing) -> Result<(), KeysError> {
    not_older(shared, standing)?;
    let held = shared.held.load();
    let same = held.refused.is_none()
        && held.standing.revision.generation == standing.revision.generation
        && held.standing.changed == standing.changed;
    if same {
        saw(shared, standing);
        return Ok(());
    }
    reread(shared).await
}

/// Something changed: if it cannot be seen, nothing cached may be used until it can.
async fn reread(shared: &Arc<Shared>) -> Result<(), KeysError> {
    let result = refresh(shared).await;
    if result.is_err() {
        suspend(shared);
        sleep(RETRY).await;
    }
    result
}

async fn renew(shared: &Arc<Shared>) -> Result<(), KeysError> {
    let sent = Boot::now();
    match lease(shared).await {
        Ok(Lease { standing, heads }) => {
            shared.heads.told(&heads, Instant::now());
            told(shared, standing).await?;
            if shared.held.load().refused.is_none() {
                extend(shared, sent);
            }
            Ok(())
        }
        Err(error) if error.leaves_access() => Err(error),
        Err(_) => refresh(shared).await,
    }
}

/// Asks for the lease, and tells on the way what was done since the last time. A service that knows nothing of that is asked
/// without it.
async fn lease(shared: &Shared) -> Result<Lease, KeysError> {
    let Some(used) = shared.usage.report(Instant::now(), false) else { return shared.ask(&Renew::default()).await };
    match tell(shared, used).await {
        Err(KeysError::Invalid { .. }) => {
            shared.usage.not_taken(Instant::now());
            shared.ask(&Renew::default()).await
        }
        answer => answer,
    }
}

async fn tell(shared: &Shared, used: Used) -> Result<Lease, KeysError> {
    let lease = shared.ask(&Renew { used: Some(used) }).await?;
    shared.usage.told();
    Ok(lease)
}

/// Tells what was not told yet: the ring ends.
pub(super) async fn tell_last(shared: &Shared) {
    if let Some(used) = shared.usage.report(Instant::now(), true) {
        let _ = tell(shared, used).await; // it is lost then
    }
}

/// The newest standing is known from now on, also after a restart.
fn saw(shared: &Shared, standing: Standing) {
    shared.seen.store(Arc::new(standing));
    if let Some(memory) = &shared.memory {
        memory.saw(standing.revision);
    }
}

/// The lease holds from when the request was sent.
fn extend(shared: &Shared, sent: Boot) {
    shared.lease_until.store(sent.plus(shared.lease).0, Ordering::Release);
}

/// Ends the lease and purges.
fn suspend(shared: &Shared) {
    shared.lease_until.store(0, Ordering::Release);
    purge(shared);
}

fn install(shared: &Shared, held: Held) {
    let before = shared.held.swap(Arc::new(held));
    let now = shared.held.load();
    if now.lost_some(&before) {
        purge(shared);
    }
    if now.refused.is_some() {
        shared.lease_until.store(0, Ordering::Release);
    }
}

fn purge(shared: &Shared) {
    shared.cache.invalidate_all();
    shared.cache.run_pending_tasks();
    shared.generation.fetch_add(1, Ordering::AcqRel);
}

/// An error, and nothing cached is used, where the service shows something older than it did.
fn not_older(shared: &Shared, found: Standing) -> Result<(), KeysError> {
    let (seen, found) = (shared.seen.load().revision, found.revision);
    if found >= seen {
        return Ok(());
    }
    suspend(shared);
    Err(KeysError::RolledBack { seen, found })
}
