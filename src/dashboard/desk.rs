//! What a page has under way: jobs that take a while, and keys that are waiting to be shown once. In memory alone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::crypto::json::encode;
use crate::crypto::random;
use crate::keys::error::KeysError;

/// Most jobs that are remembered, and most keys that wait.
const MOST: usize = 32;
/// A key that nobody has looked at is not shown after this, and forgotten with the next one that is made or looked for.
const WAITS: Duration = Duration::from_secs(300);

/// Keys with their names and when they were made.
type Keys = VecDeque<(String, Instant, MadeKey)>;

/// Everything.
#[derive(Default)]
pub(super) struct Desk {
    jobs: Mutex<VecDeque<Arc<Job>>>,
    keys: Mutex<Keys>,
}

/// A client key that was just made.
pub(super) struct MadeKey {
    /// Client id.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// `CS_CLIENT_KEY`.
    pub(super) secret: SecretString,
    /// What else is to be said.
    pub(super) note: Option<String>,
}

/// Something that takes a while.
pub(super) struct Job {
    /// Names it in the address.
    pub(super) id: String,
    /// What is done.
    pub(super) title: String,
    /// Where it belongs.
    pub(super) back: String,
    /// When it began.
    pub(super) began: Instant,
    state: Mutex<State>,
}

/// How far a job is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// So many of so many.
    Running(usize, usize),
    /// What came of it.
    Done(String),
    /// Why not: what went wrong, and what to do.
    Failed(String, String),
}

impl Job {
    /// How far it is.
    pub(super) fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Desk {
    /// Begins a job on a thread of its own. `work` tells how far it is, and in the end what came of it.
    pub(super) fn begin(
        &self,
        title: String,
        back: String,
        work: impl FnOnce(&dyn Fn(usize, usize)) -> Result<String, KeysError> + Send + 'static,
    ) -> Result<String, KeysError> {
        let id = name()?;
        let state = Mutex::new(State::Running(0, 0));
        let job = Arc::new(Job { id: id.clone(), title, back, began: Instant::now(), state });
        let running = Arc::clone(&job);
        let run = move || {
            let outcome = work(&|done, all| running.set(State::Running(done, all)));
            running.set(match outcome {
                Ok(text) => State::Done(text),
                Err(error) => State::Failed(error.to_string(), error.hint().to_owned()),
            });
        };
        let spawned = std::thread::Builder::new().name("dashboard-job".to_owned()).spawn(run);
        spawned.map_err(|error| KeysError::unavailable(error.to_string()))?;
        let mut jobs = lock(&self.jobs);
        jobs.push_back(job);
        if jobs.len() > MOST {
            jobs.pop_front();
        }
        Ok(id)
    }

    /// A job.
    pub(super) fn job(&self, id: &str) -> Option<Arc<Job>> {
        lock(&self.jobs).iter().find(|job| job.id == id).cloned()
    }

    /// Keeps a key until it is shown. Names it in the address.
    pub(super) fn keep(&self, key: MadeKey) -> Result<String, KeysError> {
        let id = name()?;
        let mut keys = waiting(&self.keys);
        keys.push_back((id.clone(), Instant::now(), key));
        if keys.len() > MOST {
            keys.pop_front();
        }
        Ok(id)
    }

    /// Takes a key to be shown: the first who asks has it.
    pub(super) fn take(&self, id: &str) -> Option<MadeKey> {
        let mut keys = waiting(&self.keys);
        let at = keys.iter().position(|(known, ..)| known == id)?;
        keys.remove(at).map(|(_, _, key)| key)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those that may still be shown.
fn waiting(keys: &Mutex<Keys>) -> MutexGuard<'_, Keys> {
    let mut keys = lock(keys);
    keys.retain(|(_, since, _)| since.elapsed() < WAITS);
    keys
}

fn name() -> Result<String, KeysError> {
    let bytes: [u8; 16] = random::array()?;
    Ok(encode(&bytes))
}
