//! A key server, asked over HTTPS. TLS keeps listeners out; what is believed is signed: the server's record by the
//! workspace root, every answer and event by the service's key over the request. What is not signed (the 502 of a
//! load balancer, the refusal of whoever ends TLS) counts as no answer, never as a refusal.
//!
//! ```text
//! transport    connections, several servers, timeouts
//! pause        rest after failures
//! stream       the event stream: events in order, silence, reconnecting
//! ```

mod pause;
mod stream;
mod transport;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::crypto::ClientId;
use crate::crypto::client_key::ClientKey;
use crate::crypto::root::RootFingerprint;
use crate::crypto::sign::VerifyKey;

use super::admin::Hello;
use super::claims::ServiceRecord;
use super::error::KeysError;
use super::request::{Authorization, Call, ServiceId};
use super::service::{API, KeyService, Reply, SERVICE_PATH, ServiceInfo, Standing};
use super::settings::Server;
use super::signed::{Question, verify_answer};
use pause::Pause;
use transport::{Answer, Asked, Transport};

pub use pause::{REST_FIRST, REST_LAST};
pub use stream::{REOPEN_FIRST, REOPEN_LAST, SILENCE};
pub use transport::{IDLE, MAX_ANSWER, REQUEST, post};

/// A key server, as one client sees it.
pub struct Remote {
    inner: Arc<Inner>,
    /// What the event stream told last.
    told: watch::Sender<Told>,
    /// Serial of the refusal that was last handed on.
    handed: AtomicU64,
    /// Follows the event stream, from when it is first asked about.
    follower: OnceLock<JoinHandle<()>>,
}

struct Inner {
    transport: Transport,
    pause: Pause,
    key: Arc<ClientKey>,
    service: ServiceId,
    verify: VerifyKey,
}

/// What the event stream told.
#[derive(Clone, Default)]
struct Told {
    /// Grows with every refusal.
    serial: u64,
    result: Option<Result<Standing, KeysError>>,
}

impl Remote {
    /// Asks which service answers at these addresses, and checks that it is the one of the workspace with this root.
    ///
    /// # Errors
    /// No server answers, or one of another workspace; settings of TLS that cannot be used.
    pub async fn connect(settings: &Server, key: Arc<ClientKey>, root: RootFingerprint) -> Result<Self, KeysError> {
        let transport = Transport::new(settings)?;
        let check = |answer| read_info(&answer)?.record.check::<ServiceRecord>(root, "the key service's record");
        let record = transport.ask(&Asked::get(SERVICE_PATH, None), check).await?;
        let inner = Inner { transport, pause: Pause::default(), key, service: record.id, verify: record.verify };
        let told = watch::Sender::new(Told::default());
        Ok(Self { inner: Arc::new(inner), told, handed: AtomicU64::new(0), follower: OnceLock::new() })
    }

    /// The root that the key server says it belongs to. Not trusted: for those who have nothing better yet.
    pub async fn root_of(settings: &Server) -> Result<RootFingerprint, KeysError> {
        let transport = Transport::new(settings)?;
        let info = transport.ask(&Asked::get(SERVICE_PATH, None), |answer| read_info(&answer)).await?;
        let root =
            VerifyKey::from_bytes(&info.record.root).map_err(|_| KeysError::tampered("the key service's record"))?;
        Ok(RootFingerprint::of(&root))
    }

    /// What everybody may know of the workspace.
    pub async fn hello(&self) -> Result<Hello, KeysError> {
        let asked = Asked::get(SERVICE_PATH, None);
        self.inner.transport.ask(&asked, |answer| Ok(read_info(&answer)?.hello)).await
    }

    fn follow(&self) {
        self.follower.get_or_init(|| tokio::spawn(stream::follow(Arc::clone(&self.inner), self.told.clone())));
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(follower) = self.follower.get() {
            follower.abort();
        }
    }
}

impl Inner {
    /// A request that changes nothing may be sent twice, to another server too. One that changes something is sent again
    /// only if it cannot have arrived: otherwise nobody knows whether it was done.
    async fn call(&self, call: Call) -> Result<Vec<u8>, KeysError> {
        self.pause.check(Instant::now())?;
        let question = Question::new(&call.auth, ("POST", call.path));
        let asked = Asked::post(call.path, &call.auth, call.body, call.changes);
        let answer = self.transport.ask(&asked, |answer| self.believed(&question, answer)).await;
        self.pause.note(&answer, Instant::now());
        answer
    }

    /// The body of an answer that the service signed, or the error that it signed.
    fn believed(&self, question: &Question<'_>, answer: Answer) -> Result<Vec<u8>, KeysError> {
        let signature = answer.signature.as_deref().unwrap_or_default();
        if !verify_answer(&self.verify, question, (answer.status, &answer.body), signature) {
            return Err(answer.unsigned());
        }
        if answer.status == 200 { Ok(answer.body.into()) } else { Err(error(&answer)) }
    }

    fn authorize(&self, call: (&str, &str)) -> Result<Authorization, KeysError> {
        Authorization::sign(self.service, &self.key, call, b"")
    }
}

fn read_info(answer: &Answer) -> Result<ServiceInfo, KeysError> {
    if answer.status != 200 {
        return Err(answer.unsigned());
    }
    let malformed = |_| KeysError::unavailable("what answers there is no key server");
    let info: ServiceInfo = serde_json::from_slice(&answer.body).map_err(malformed)?;
    if info.api != API {
        let what = format!("the key server speaks version {} of the API, this program {API}", info.api);
        return Err(KeysError::invalid(what));
    }
    Ok(info)
}

/// The error that a signed answer tells.
fn error(answer: &Answer) -> KeysError {
    if let Ok(error) = serde_json::from_slice(&answer.body) {
        return error;
    }
    #[derive(serde::Deserialize)]
    struct Problem {
        message: String,
    }
    // A code that this program does not know.
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(problem) if answer.status >= 500 => KeysError::unavailable(problem.message),
        Ok(problem) => KeysError::invalid(problem.message),
        Err(_) => KeysError::bad_answer("its error is malformed"),
    }
}

impl KeyService for Remote {
    fn id(&self) -> ServiceId {
        self.inner.service
    }

    fn call(&self, call: Call) -> Reply<'_, Vec<u8>> {
        Box::pin(self.inner.call(call))
    }

    fn next_standing(&self, _: ClientId, seen: Standing) -> Reply<'_, Standing> {
        Box::pin(async move {
            self.follow();
            let mut told = self.told.subscribe();
            loop {
                let now = told.borrow_and_update().clone();
                match now.result {
                    // An older one says nothing: it was on its way when a newer answer came. That the service went back
                    // shows in its answers, at the renewal of the lease at the latest.
                    Some(Ok(standing)) if standing.revision >= seen.revision && standing != seen => {
                        return Ok(standing);
                    }
                    Some(Err(error)) if self.handed.swap(now.serial, Ordering::AcqRel) != now.serial => {
                        return Err(error);
                    }
                    _ => {}
                }
                if told.changed().await.is_err() {
                    return Err(KeysError::unavailable("its events are not followed any more"));
                }
            }
        })
    }
}
