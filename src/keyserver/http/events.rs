//! Event streams. One task looks at the store; each stream wakes when the revision moved, and asks for its client's standing
//! only where that moved too. Every event is signed over the request that opened the stream and a counter.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::service::Standing;
use crate::keys::signed::{Event, Question, sign_event};
use crate::telemetry::health::Readiness;
use crate::telemetry::keyserver::Open;

use super::super::engine::{Engine, Overview, Streaming, WATCH, Watched};

/// A stream says that it lives this often.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// Events that wait for a reader; more, and the stream ends.
const WAITING: usize = 8;
/// Expiry is looked at again after this long at the latest: wall clocks step.
const EXPIRY: Duration = Duration::from_secs(60);

/// What the one poller knows.
#[derive(Clone, Default)]
struct Known {
    overview: Arc<Overview>,
    /// The store cannot be read: nothing may be said of the present.
    failing: bool,
}

/// Tells all streams of changes.
pub(super) struct Hub {
    known: watch::Sender<Known>,
    poke: Notify,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self { known: watch::Sender::new(Known::default()), poke: Notify::new() }
    }

    /// Something was changed here: no need to wait for the next look.
    pub(super) fn poke(&self) {
        self.poke.notify_one();
    }

    /// Looks at the store until `shutdown`.
    pub(super) async fn poll(&self, engine: &Engine, readiness: &Readiness, shutdown: &CancellationToken) {
        let mut version = None;
        loop {
            let found = self.look(engine, &mut version).await;
            match &found {
                Ok(()) => readiness.ready(),
                Err(error) => {
                    version = None;
                    readiness.not_ready("the key store cannot be read");
                    self.known.send_if_modified(|known| {
                        if !known.failing {
                            tracing::warn!(%error, "the key store cannot be read: event streams fall silent");
                        }
                        !std::mem::replace(&mut known.failing, true)
                    });
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.poke.notified() => {}
                () = sleep(WATCH) => {}
            }
        }
    }

    /// The store's version, then its revision, and all standings only if that moved.
    async fn look(&self, engine: &Engine, seen: &mut Option<i64>) -> Result<(), KeysError> {
        let version = engine.blocking(Engine::store_version).await?;
        if seen.replace(version) == Some(version) {
            return Ok(());
        }
        let revision = engine.blocking(Engine::revision).await?;
        let same = {
            let known = self.known.borrow();
            known.overview.revision == revision && !known.failing
        };
        if !same {
            let overview = Arc::new(engine.blocking(Engine::overview).await?);
            self.known.send_replace(Known { overview, failing: false });
        }
        Ok(())
    }

    /// Opens a stream for a client that `watched` was just checked for. `before` was taken before that check.
    pub(super) fn open(&self, before: Subscription, stream: Stream) -> Body {
        let (lines, body) = mpsc::channel(WAITING);
        tokio::spawn(stream.run(before.0, lines));
        Body::new(Lines(body))
    }

    /// To be taken before the client is checked, so that no change falls in between.
    pub(super) fn subscribe(&self) -> Subscription {
        Subscription(self.known.subscribe())
    }
}

/// Changes from a certain moment on.
pub(super) struct Subscription(watch::Receiver<Known>);

/// One stream.
pub(super) struct Stream {
    pub(super) engine: Engine,
    /// The request that opened it.
    pub(super) question: Question<'static>,
    pub(super) watched: Watched,
    pub(super) shutdown: CancellationToken,
    /// Held until the stream ends.
    pub(super) _open: (Open, Streaming),
}

/// Why a stream ends.
enum End {
    /// The reader left, or does not read.
    Gone,
    /// The client is not served any more.
    Refused(KeysError),
    /// The server ends.
    Shutdown,
}

impl Stream {
    async fn run(mut self, mut known: watch::Receiver<Known>, lines: mpsc::Sender<Bytes>) {
        let mut writer = Writer { counter: 0, lines };
        let end = self.follow(&mut known, &mut writer).await;
        let last = match end {
            End::Gone => return,
            End::Refused(error) => {
                tracing::info!(client = %self.question.client, %error, "event stream ended");
                Event::Refused(error.abroad())
            }
            End::Shutdown => Event::End,
        };
        writer.write(&self, &last);
    }

    async fn follow(&mut self, known: &mut watch::Receiver<Known>, writer: &mut Writer) -> End {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut beat = false;
            let expiry = Instant::now() + self.expires_in();
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return End::Shutdown,
                () = writer.lines.closed() => return End::Gone,
                changed = known.changed() => {
                    if changed.is_err() {
                        return End::Shutdown;
                    }
                    let now = known.borrow_and_update().clone();
                    if now.failing || !self.concerns(&now.overview) {
                        continue;
                    }
                }
                () = sleep_until(expiry) => {}
                _ = heartbeat.tick() => {
                    let now = known.borrow().clone();
                    if now.failing {
                        continue;
                    }
                    // What moved and could not be read is read now: the old standing is not told again.
                    beat = self.concerns(&now.overview);
                    if !beat {
                        self.advance(&now.overview);
                        if !writer.write(self, &Event::Standing(self.watched.standing)) {
                            return End::Gone;
                        }
                        continue;
                    }
                }
            }
            match self.look().await {
                Ok(moved) if moved || beat => {
                    heartbeat.reset();
                    if !writer.write(self, &Event::Standing(self.watched.standing)) {
                        return End::Gone;
                    }
                }
                Ok(_) => {}
                Err(error) if error.is_transient() => sleep(WATCH).await,
                Err(error) => return End::Refused(error),
            }
        }
    }

    /// Something of this client moved.
    fn concerns(&self, overview: &Overview) -> bool {
        let standing = self.watched.standing;
        let moved = |(enabled, changed): &(bool, u64)| {
            !enabled
                || (*changed).max(overview.changed_all) != standing.changed
                || overview.revision.generation != standing.revision.generation
        };
        overview.clients.get(&self.question.client).is_none_or(moved)
    }

    /// What did not move of this client holds at the newer revision too.
    fn advance(&mut self, overview: &Overview) {
        if !self.concerns(overview) && overview.revision > self.watched.standing.revision {
            self.watched.standing.revision = overview.revision;
        }
    }

    /// Reads the client's standing; whether it is another.
    async fn look(&mut self) -> Result<bool, KeysError> {
        let client = self.question.client;
        let found = self.engine.blocking(move |engine| engine.watched(client)).await?;
        let before: Standing = std::mem::replace(&mut self.watched, found).standing;
        Ok(found.standing != before)
    }

    fn expires_in(&self) -> Duration {
        let left = |end: u64| Duration::from_millis(end.saturating_sub(wall_ms()).saturating_add(1));
        self.watched.expires_ms.map_or(EXPIRY, left).min(EXPIRY)
    }
}

/// Writes events, each with the next number.
struct Writer {
    counter: u64,
    lines: mpsc::Sender<Bytes>,
}

impl Writer {
    /// `false`: nobody reads.
    fn write(&mut self, stream: &Stream, event: &Event) -> bool {
        self.counter += 1;
        let revision = stream.watched.standing.revision;
        let text = serde_json::json!({ "counter": self.counter, "event": event }).to_string();
        let signature = sign_event(stream.engine.signing_key(), &stream.question, self.counter, &text);
        let block = format!(
            "event: {}\nid: {}.{}\ndata: {text}\ndata: {signature}\n\n",
            event.name(),
            revision.generation,
            revision.revision
        );
        self.lines.try_send(block.into()).is_ok()
    }
}

/// A body of what a channel gives.
struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
