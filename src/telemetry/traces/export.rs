//! Sends spans to a collector, in batches. A collector that does not answer costs the spans, nothing else.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::metrics::Spans;
use super::{Span, otlp};

/// Spans of one request, at most.
const BATCH: usize = 512;
/// The first span of a batch waits so long for others.
const GATHER: Duration = Duration::from_secs(1);
/// For one request.
const REQUEST: Duration = Duration::from_secs(5);
/// For all that is under way or left at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// Where collectors take traces, when the settings name only the host.
const PATH: &str = "/v1/traces";

/// An endpoint that spans cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no `http` or `https` URL with a host, or one with a name and password.
    #[error("is not a URL such as http://127.0.0.1:4318")]
    NoUrl,
}

/// The URL that spans are sent to.
///
/// # Errors
/// It is none.
pub fn check_endpoint(text: &str) -> Result<Uri, EndpointError> {
    let uri: Uri = text.parse().map_err(|_| EndpointError::NoUrl)?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    // A password would stand in logs.
    let named = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !known || named || uri.host().is_none_or(str::is_empty) {
        return Err(EndpointError::NoUrl);
    }
    if uri.path() != "/" {
        return Ok(uri);
    }
    format!("{}{PATH}", text.trim_end_matches('/')).parse().map_err(|_| EndpointError::NoUrl)
}

enum Http {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// What sends.
pub struct Exporter {
    endpoint: Uri,
    http: Http,
    spans: Spans,
    failing: bool,
}

impl Exporter {
    /// `tls`: how to check an `https` endpoint.
    pub fn new(endpoint: Uri, tls: Option<rustls::ClientConfig>, spans: Spans) -> Self {
        let builder = Client::builder(TokioExecutor::new());
        let http = match tls {
            None => Http::Plain(builder.build(HttpConnector::new())),
            Some(tls) => {
                let mut tcp = HttpConnector::new();
                tcp.enforce_http(false);
                let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1();
                Http::Tls(builder.build(connector.wrap_connector(tcp)))
            }
        };
        Exporter { endpoint, http, spans, failing: false }
    }

    /// Sends what comes until `end`; then what is left, for a moment. Cancel safe but for the batch at hand.
    pub async fn run(mut self, waiting: mpsc::Receiver<Span>, end: CancellationToken) {
        let cut = async {
            end.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            () = self.send_all(waiting, &end) => {}
            () = cut => {}
        }
    }

    async fn send_all(&mut self, mut waiting: mpsc::Receiver<Span>, end: &CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let first = tokio::select! {
                biased;
                () = end.cancelled() => break,
                first = waiting.recv() => first,
            };
            let Some(first) = first else { return };
            batch.push(first);
            let gathered = tokio::time::sleep(GATHER);
            tokio::pin!(gathered);
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                tokio::select! {
                    biased;
                    count = waiting.recv_many(&mut batch, room) => if count == 0 { break },
                    () = &mut gathered => break,
                    () = end.cancelled() => break,
                }
            }
            self.send(&mut batch).await;
        }
        waiting.close();
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            self.send(&mut batch).await;
        }
    }

    async fn send(&mut self, batch: &mut Vec<Span>) {
        let count = batch.len() as u64;
        let body = otlp::body(batch).to_string();
        batch.clear();
        let outcome = match tokio::time::timeout(REQUEST, self.post(body)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("no answer within {REQUEST:?}")),
        };
        match outcome {
            Ok(()) => {
                self.spans.exported.increment(count);
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the trace collector takes spans again");
                }
            }
            Err(why) => {
                self.spans.failed.increment(count);
                if !std::mem::replace(&mut self.failing, true) {
                    let collector = self.endpoint.authority().map(ToString::to_string);
                    tracing::warn!(
                        collector,
                        why,
                        "the trace collector does not take spans, which are lost; statements go on. Look at [traces] endpoint and the collector"
                    );
                }
            }
        }
    }

    async fn post(&self, body: String) -> Result<(), String> {
        let request = Request::post(&self.endpoint).header(CONTENT_TYPE, "application/json");
        let request = request.body(Full::from(body)).map_err(|error| error.to_string())?;
        let sent = match &self.http {
            Http::Plain(client) => client.request(request),
            Http::Tls(client) => client.request(request),
        };
        let answer = sent.await.map_err(|error| cause(&error))?;
        // What it says is not read: a collector may answer as long as it likes.
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("HTTP status {status}")),
        }
    }
}

/// The innermost cause, which says most.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
