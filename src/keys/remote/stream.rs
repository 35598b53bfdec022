//! The event stream: signed events in order, each with the next number. One that is missing, repeated, altered or late
//! ends the stream, which is then opened anew. While it is closed, the lease decides.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::crypto::sign::VerifyKey;

use super::super::clock::{jitter, spread};
use super::super::error::KeysError;
use super::super::request::Body as _;
use super::super::service::{Revision, Standing, Watch};
use super::super::signed::{Event, Question, verify_event};
use super::transport::Asked;
use super::{Inner, Told};

/// Silence for this long is a disconnect: the server speaks every two seconds.
pub const SILENCE: Duration = Duration::from_secs(5);
/// Before the first try to open the stream anew, at most; doubled with each try. All proxies lose it at the same moment.
pub const REOPEN_FIRST: Duration = Duration::from_secs(1);
/// Before each later try, at most.
pub const REOPEN_LAST: Duration = Duration::from_secs(10);
/// Between two tries of a client that was refused.
const REFUSED: Duration = Duration::from_secs(2);
/// Longest event, in bytes.
const MAX_EVENT: usize = 16 * 1024;

/// How a stream ended.
enum End {
    /// The server ends it in good order, or it was cut.
    Closed(KeysError),
    /// The service refuses the client.
    Refused(KeysError),
}

/// Follows the stream for as long as somebody listens.
pub(super) async fn follow(inner: Arc<Inner>, told: watch::Sender<Told>) {
    let (mut server, mut pause, mut failing) = (inner.transport.first(), REOPEN_FIRST, false);
    loop {
        let mut heard = false;
        let before = told.borrow().clone();
        let last = before.result.and_then(Result::ok).map(|Standing { revision, .. }| revision);
        let end = run(&inner, server, last, |standing| {
            if !std::mem::replace(&mut heard, true) && failing {
                info!("the key server's events are heard again");
            }
            told.send_replace(Told { serial: before.serial, result: Some(Ok(standing)) });
        })
        .await;
        failing = !heard && failing;
        if heard {
            pause = REOPEN_FIRST;
        }
        match end {
            End::Refused(error) => {
                let before = told.borrow().clone();
                if before.result != Some(Err(error.clone())) {
                    told.send_replace(Told { serial: before.serial + 1, result: Some(Err(error)) });
                }
                sleep(jitter(REFUSED)).await;
            }
            End::Closed(error) => {
                if !std::mem::replace(&mut failing, true) {
                    warn!(%error, "the key server's events are not heard; the lease decides");
                } else {
                    debug!(%error, "the key server's events are not heard");
                }
                server = (server + 1) % inner.transport.servers();
                sleep(spread(pause)).await;
                pause = (pause * 2).min(REOPEN_LAST);
            }
        }
    }
}

/// Opens a stream and tells what it says, to its end.
async fn run(inner: &Inner, server: usize, last: Option<Revision>, mut tell: impl FnMut(Standing)) -> End {
    let (question, body) = match open(inner, server, last).await {
        Ok(opened) => opened,
        Err(error) if error.leaves_access() => return End::Closed(error),
        Err(error) => return End::Refused(error),
    };
    let mut events = Events { body, rest: Vec::new(), counter: 0, question, verify: inner.verify };
    loop {
        match events.next().await {
            Ok(Event::Standing(standing)) => tell(standing),
            Ok(Event::Refused(error)) if error.leaves_access() => return End::Closed(error),
            Ok(Event::Refused(error)) => return End::Refused(error),
            Ok(Event::End) => return End::Closed(KeysError::unavailable("it is shutting down")),
            Err(error) => return End::Closed(error),
        }
    }
}

async fn open(
    inner: &Inner,
    server: usize,
    last: Option<Revision>,
) -> Result<(Question<'static>, Incoming), KeysError> {
    let called = (Watch::METHOD, Watch::PATH);
    let auth = inner.authorize(called)?;
    let question = Question::new(&auth, called);
    let mut asked = Asked::get(Watch::PATH, Some(&auth));
    asked.last_event = last.map(|last| format!("{}.{}", last.generation, last.revision));
    let response = inner.transport.open(server, &asked).await?;
    if response.status() == 200 {
        // That the service answers shows in the events.
        return Ok((question, response.into_body()));
    }
    let answer = inner.transport.answer(response).await?;
    Err(match inner.believed(&question, answer) {
        Ok(_) => KeysError::unavailable("it opened no event stream"),
        Err(error) => error,
    })
}

/// Events of one stream.
struct Events {
    body: Incoming,
    rest: Vec<u8>,
    /// Of the last event.
    counter: u64,
    /// The request that opened the stream.
    question: Question<'static>,
    verify: VerifyKey,
}

/// The first line of an event's data.
#[derive(Deserialize)]
struct Numbered {
    counter: u64,
    event: Event,
}

impl Events {
    async fn next(&mut self) -> Result<Event, KeysError> {
        let silent = || KeysError::unavailable(format!("its events have been silent for {SILENCE:?}"));
        timeout(SILENCE, self.block()).await.map_err(|_| silent())?.and_then(|block| self.check(&block))
    }

    /// The text up to the next empty line.
    async fn block(&mut self) -> Result<String, KeysError> {
        loop {
            if let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
                let block = self.rest.drain(..end + 2).take(end).collect();
                return String::from_utf8(block).map_err(|_| forged());
            }
            if self.rest.len() > MAX_EVENT {
                return Err(forged());
            }
            let frame = self.body.frame().await.ok_or_else(|| KeysError::unavailable("its events broke off"))?;
            let frame = frame.map_err(|_| KeysError::unavailable("its events broke off"))?;
            if let Some(data) = frame.data_ref() {
                self.rest.extend_from_slice(data);
            }
        }
    }

    fn check(&mut self, block: &str) -> Result<Event, KeysError> {
        let mut data = block.lines().filter_map(|line| line.strip_prefix("data: "));
        let (Some(text), Some(signature), None) = (data.next(), data.next(), data.next()) else {
            return Err(forged());
        };
        self.counter += 1;
        if !verify_event(&self.verify, &self.question, (self.counter, text), signature) {
            return Err(forged());
        }
        let numbered: Numbered = serde_json::from_str(text).map_err(|_| forged())?;
        if numbered.counter == self.counter { Ok(numbered.event) } else { Err(forged()) }
    }
}

fn forged() -> KeysError {
    KeysError::unavailable("an event is missing, repeated or not the service's")
}
