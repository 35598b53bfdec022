//! Connections to one or several key servers: pooled, with timeouts; the next server where one does not answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::crypto::random;
use crate::net::https_client_config;

use super::super::clock::jitter;
use super::super::error::KeysError;
use super::super::request::Authorization;
use super::super::settings::Server;
use super::super::signed::HEADER;

/// For one connection attempt.
const CONNECT: Duration = Duration::from_secs(5);
/// From sending a request to the whole of its answer.
pub const REQUEST: Duration = Duration::from_secs(10);
/// Shorter than the time after which a server closes connections that are idle.
pub const IDLE: Duration = Duration::from_secs(8);
/// Connections kept for each server.
const POOL: usize = 16;
/// Longest answer. Ten thousand grants have 5 MB.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// Before the only server is asked once more, at most.
const AGAIN: Duration = Duration::from_millis(200);
const AGENT: &str = concat!("columnseal/", env!("CARGO_PKG_VERSION"));

/// A client of key servers.
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    servers: Vec<Uri>,
    /// The server that answered last.
    first: AtomicUsize,
}

/// A request.
pub(super) struct Asked {
    method: Method,
    path: &'static str,
    authorization: Option<String>,
    /// The last event that was seen.
    pub(super) last_event: Option<String>,
    body: Bytes,
    changes: bool,
}

/// An answer; nothing of it is checked.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) signature: Option<String>,
    pub(super) body: Bytes,
}

impl Asked {
    pub(super) fn get(path: &'static str, auth: Option<&Authorization>) -> Self {
        let authorization = auth.map(Authorization::header);
        Self { method: Method::GET, path, authorization, last_event: None, body: Bytes::new(), changes: false }
    }

    pub(super) fn post(path: &'static str, auth: &Authorization, body: Vec<u8>, changes: bool) -> Self {
        let authorization = Some(auth.header());
        Self { method: Method::POST, path, authorization, last_event: None, body: body.into(), changes }
    }
}

impl Answer {
    /// What an answer comes to that the service did not sign.
    pub(super) fn unsigned(&self) -> KeysError {
        KeysError::unavailable(format!("an answer with HTTP status {} that the service did not sign", self.status))
    }

    async fn read(response: Response<Incoming>) -> Result<Self, KeysError> {
        let status = response.status().as_u16();
        let signature = response.headers().get(HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|_| KeysError::unavailable("its answer did not come whole"))?.to_bytes();
        Ok(Self { status, signature, body })
    }
}

/// What came of one attempt.
enum Failure {
    /// It cannot have arrived.
    NotSent(KeysError),
    /// It may have arrived.
    Lost(KeysError),
}

impl Failure {
    fn error(self) -> KeysError {
        match self {
            Self::NotSent(error) | Self::Lost(error) => error,
        }
    }
}

impl Transport {
    pub(super) fn new(settings: &Server) -> Result<Self, KeysError> {
        let tls = https_client_config(settings.ca.as_deref()).map_err(|e| KeysError::invalid(e.to_string()))?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        // Settings let plain HTTP pass to loopback only.
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(POOL)
            .build(connector);
        let parse = |url: &String| url.parse().map_err(|_| KeysError::invalid(format!("{url} is no URL")));
        let servers = settings.urls.iter().map(parse).collect::<Result<Vec<Uri>, _>>()?;
        if servers.is_empty() {
            return Err(KeysError::invalid("no key server is named"));
        }
        // Each process begins somewhere, so that all together use all of them.
        let first = random::array::<2>().map_or(0, u16::from_be_bytes);
        let first = AtomicUsize::new(usize::from(first) % servers.len());
        Ok(Self { client, servers, first })
    }

    /// The server that is asked first.
    pub(super) fn first(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }

    /// How many servers there are.
    pub(super) fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Asks the server that answered last, then the others, until `believe` takes an answer or refuses for good. A single
    /// server is asked once more, in case a connection died just then.
    pub(super) async fn ask<T>(
        &self,
        asked: &Asked,
        believe: impl Fn(Answer) -> Result<T, KeysError>,
    ) -> Result<T, KeysError> {
        let (first, count) = (self.first(), self.servers.len());
        let tries = count.max(2);
        let mut attempt = 0;
        loop {
            let server = (first + attempt) % count;
            let error = match self.attempt(server, asked).await {
                Ok(answer) => match believe(answer) {
                    Err(error) if error.is_transient() && !asked.changes => error,
                    done => {
                        self.first.store(server, Ordering::Relaxed);
                        return done;
                    }
                },
                Err(Failure::Lost(error)) if asked.changes => {
                    let why = format!("{error}; whether the change was made is not known, look before you repeat it");
                    return Err(KeysError::unavailable(why));
                }
                Err(failure) => failure.error(),
            };
            attempt += 1;
            if attempt == tries {
                return Err(error);
            }
            if count == 1 {
                tokio::time::sleep(jitter(AGAIN)).await;
            }
        }
    }

    async fn attempt(&self, server: usize, asked: &Asked) -> Result<Answer, Failure> {
        let whole = async {
            let response = self.send(server, asked).await?;
            Answer::read(response).await.map_err(Failure::Lost)
        };
        let in_time = tokio::time::timeout(REQUEST, whole).await;
        in_time.unwrap_or_else(|_| {
            let why = format!("{} did not answer within {REQUEST:?}", self.servers[server]);
            Err(Failure::Lost(KeysError::unavailable(why)))
        })
    }

    /// Opens a stream at a server: the head has come, the body is still to be read.
    pub(super) async fn open(&self, server: usize, asked: &Asked) -> Result<Response<Incoming>, KeysError> {
        let server = server % self.servers.len();
        let sent = tokio::time::timeout(REQUEST, self.send(server, asked)).await;
        match sent {
            Ok(sent) => sent.map_err(Failure::error),
            Err(_) => Err(KeysError::unavailable(format!("{} does not answer", self.servers[server]))),
        }
    }

    /// Reads what came instead of a stream.
    pub(super) async fn answer(&self, response: Response<Incoming>) -> Result<Answer, KeysError> {
        let read = tokio::time::timeout(REQUEST, Answer::read(response)).await;
        read.unwrap_or_else(|_| Err(KeysError::unavailable("its answer did not come in time")))
    }

    async fn send(&self, server: usize, asked: &Asked) -> Result<Response<Incoming>, Failure> {
        let base = &self.servers[server];
        let fault = |error: hyper::http::Error| Failure::NotSent(KeysError::invalid(error.to_string()));
        let uri = Uri::builder()
            .scheme(base.scheme_str().unwrap_or("https"))
            .authority(base.authority().map_or("", |authority| authority.as_str()))
            .path_and_query(asked.path)
            .build()
            .map_err(fault)?;
        let mut request = Request::builder().method(&asked.method).uri(uri).header(USER_AGENT, AGENT);
        if let Some(authorization) = &asked.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(id) = &asked.last_event {
            request = request.header("last-event-id", id);
        }
        request = match asked.method {
            Method::GET => request.header(ACCEPT, "application/json, text/event-stream"),
            _ => request.header(CONTENT_TYPE, "application/json"),
        };
        let request = request.body(Full::new(asked.body.clone())).map_err(fault)?;
        self.client.request(request).await.map_err(|error| {
            let why = KeysError::unavailable(format!("{base} {}", described(&error)));
            if error.is_connect() { Failure::NotSent(why) } else { Failure::Lost(why) }
        })
    }
}

/// What the innermost cause says: TLS and sockets put theirs at the end.
fn described(error: &hyper_util::client::legacy::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let what = if error.is_connect() { "cannot be reached" } else { "broke off" };
    format!("{what}: {cause}")
}

/// A request of somebody who is no client yet. `Ok` holds the answer's body, the inner error what the server said: nothing of
/// either is signed.
///
/// # Errors
/// No server answers.
pub async fn post(
    settings: &Server,
    path: &'static str,
    body: Vec<u8>,
) -> Result<Result<Vec<u8>, KeysError>, KeysError> {
    let transport = Transport::new(settings)?;
    let asked =
        Asked { method: Method::POST, path, authorization: None, last_event: None, body: body.into(), changes: true };
    let read =
        |answer: Answer| Ok(if answer.status == 200 { Ok(answer.body.into()) } else { Err(super::error(&answer)) });
    transport.ask(&asked, read).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_processes_begin_at_all_servers() {
        let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(String::from).to_vec();
        let settings = Server { urls, ca: None };
        let begun: std::collections::HashSet<usize> =
            (0..40).map(|_| Transport::new(&settings).expect("settings").first()).collect();
        assert_eq!(begun, [0, 1].into());
    }
}
