//! One request: limits, body, engine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::enrol::OF_STRANGERS;
use crate::keys::error::KeysError;
use crate::keys::request::{Authorization, Body as _, Origin, Request as Signed};
use crate::keys::service::{API, DecryptKeys, EncryptKeys, ServiceInfo, TermRoots, Watch};
use crate::keys::signed::Question;

use super::super::bootstrap::Founder;
use super::super::engine::ROUTES;
use super::around::{Cause, Streaming};
use super::events::Stream;
use super::fault::Fault;
use super::host::Host;

/// Longest version that a client is believed to have.
const MAX_VERSION: usize = 64;

/// The other end of the connection.
#[derive(Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The header as a client key makes it.
pub(super) fn authorization(headers: &HeaderMap) -> Option<Authorization> {
    Authorization::from_header(headers.get(header::AUTHORIZATION)?.to_str().ok()?)
}

/// Any signed request by POST.
pub(super) async fn ask(State(host): State<Arc<Host>>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let auth = authorization(&head.headers);
    limited(&host, &head, auth.clone(), answer(&host, &head, auth, body)).await
}

/// `GET /v1/events`.
pub(super) async fn events(State(host): State<Arc<Host>>, request: Request) -> Result<Response, Fault> {
    let (head, _) = request.into_parts();
    let auth = authorization(&head.headers);
    limited(&host, &head, auth.clone(), stream(&host, &head, auth)).await
}

/// `GET /v1/service`.
pub(super) async fn service(State(host): State<Arc<Host>>) -> Result<Response, Fault> {
    let engine = host.require()?;
    let record = engine.record_signed().clone();
    let hello = engine.blocking(crate::keyserver::Engine::hello).await.map_err(Fault::from)?;
    written(&ServiceInfo { api: API, version: env!("CARGO_PKG_VERSION").to_owned(), record, hello })
}

/// `POST /v1/bootstrap/offer`.
pub(super) async fn offer(State(host): State<Arc<Host>>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    limited(&host, &head, None, bootstrap(&host, &head, body, Founder::offer)).await
}

/// `POST /v1/bootstrap/found`.
pub(super) async fn found(State(host): State<Arc<Host>>, request: Request) -> Result<Response, Fault> {
    let (head, body) = request.into_parts();
    let answer = limited(&host, &head, None, bootstrap(&host, &head, body, Founder::found)).await?;
    let settling = Arc::clone(&host);
    let settled = tokio::task::spawn_blocking(move || settling.settle()).await;
    settled.map_err(|_| Fault::internal())??;
    tracing::info!("the workspace of this key server was founded");
    Ok(answer)
}

/// `/readyz`.
pub(super) async fn ready(State(host): State<Arc<Host>>) -> (StatusCode, String) {
    match host.readiness.why_not() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// Refuses who asked too often, and counts the request for or against whom it turns out to be from.
async fn limited(
    host: &Host,
    head: &Parts,
    auth: Option<Authorization>,
    work: impl Future<Output = Result<Response, Fault>>,
) -> Result<Response, Fault> {
    let (address, client) = (address(head), auth.map(|auth| auth.client));
    host.limits.admit(address, client)?;
    let outcome = work.await;
    match (&outcome, client) {
        _ if OF_STRANGERS.contains(&head.uri.path()) => host.limits.unproven(address),
        (Err(fault), _) if fault.is_unproven() => host.limits.unproven(address),
        (_, Some(client)) => host.limits.proven(client),
        (_, None) => {}
    }
    outcome
}

async fn answer(host: &Host, head: &Parts, auth: Option<Authorization>, body: Body) -> Result<Response, Fault> {
    let engine = host.require()?;
    let auth = auth.ok_or_else(Fault::not_signed)?;
    let body = whole(host, head, body).await?;
    let (path, origin) = (head.uri.path().to_owned(), origin(head));
    let given = given(&path, &body);
    let changes = ROUTES.iter().any(|route| route.path == path && route.changes);
    let answer = engine.blocking(move |engine| engine.handle(&path, auth, origin, &body)).await?;
    if changes {
        host.hub.poke();
    }
    if let Some((kind, count)) = given {
        host.metrics.gave(kind, count);
    }
    Ok(json(answer.into()))
}

async fn stream(host: &Host, head: &Parts, auth: Option<Authorization>) -> Result<Response, Fault> {
    let engine = host.require()?;
    let auth = auth.ok_or_else(Fault::not_signed)?;
    let seen = head.headers.get("last-event-id");
    if seen.is_some_and(|seen| !seen.to_str().is_ok_and(is_revision)) {
        return Err(KeysError::invalid("Last-Event-ID is no id of an event").into());
    }
    let (question, origin) = (Question::new(&auth, (Watch::METHOD, Watch::PATH)), origin(head));
    let before = host.hub.subscribe();
    let request = Signed::bare(auth, origin, Watch {});
    let watched = engine.blocking(move |engine| engine.watch(&request)).await?;
    let (shutdown, open) = (host.shutdown.clone(), (host.metrics.streaming(), engine.streaming(question.client)));
    let stream = Stream { engine: engine.clone(), question, watched, shutdown, _open: open };
    let mut response = host.hub.open(before, stream).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(Streaming);
    Ok(response)
}

/// `generation.revision`.
fn is_revision(text: &str) -> bool {
    text.split_once('.')
        .is_some_and(|(generation, revision)| generation.parse::<u64>().is_ok() && revision.parse::<u64>().is_ok())
}

async fn bootstrap<A: DeserializeOwned + Send + 'static, T: Serialize + Send + 'static>(
    host: &Host,
    head: &Parts,
    body: Body,
    act: fn(&Founder, &A) -> Result<T, KeysError>,
) -> Result<Response, Fault> {
    let founder = host.founder()?;
    let body = whole(host, head, body).await?;
    let asked: A = serde_json::from_slice(&body).map_err(|e| KeysError::invalid(format!("the request's body: {e}")))?;
    let done = tokio::task::spawn_blocking(move || act(&founder, &asked)).await;
    written(&done.map_err(|_| Fault::internal())??)
}

/// Reads the body: JSON, not too long, and soon.
async fn whole(host: &Host, head: &Parts, body: Body) -> Result<Bytes, Fault> {
    let most = host.settings.max_body;
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        return Err(Fault::not_json());
    }
    let read = tokio::time::timeout(host.settings.request_timeout, Limited::new(body, most).collect());
    match read.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Fault::too_long(most)),
        Ok(Err(_)) => Err(Fault::cut_off()),
        Err(_) => Err(Fault::too_slow()),
    }
}

fn address(head: &Parts) -> Option<IpAddr> {
    head.extensions.get::<Peer>().map(|peer| peer.0.ip().to_canonical())
}

fn origin(head: &Parts) -> Origin {
    let agent = head.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let version = agent.and_then(|agent| agent.strip_prefix("columnseal/")).filter(|text| text.len() <= MAX_VERSION);
    Origin { address: address(head).map(|address| address.to_string()), version: version.map(str::to_owned) }
}

/// What kind of keys a request asks for, and how many.
fn given(path: &str, body: &[u8]) -> Option<(&'static str, u64)> {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    match path {
        EncryptKeys::PATH => Some(("encrypt", serde_json::from_slice::<EncryptKeys>(body).ok()?.count.into())),
        DecryptKeys::PATH => {
            let groups = serde_json::from_slice::<DecryptKeys>(body).ok()?.groups;
            Some(("decrypt", count(groups.iter().map(|group| group.ids.len()).sum())))
        }
        TermRoots::PATH => Some(("terms", count(serde_json::from_slice::<TermRoots>(body).ok()?.types.len()))),
        _ => None,
    }
}

fn written<T: Serialize>(answer: &T) -> Result<Response, Fault> {
    serde_json::to_vec(answer).map(|body| json(body.into())).map_err(|_| Fault::internal())
}

/// An answer in JSON.
pub(super) fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, retry, cause) = (self.status(), self.retry_after(), self.cause());
        let mut response = (status, json(self.json().to_string().into())).into_response();
        if let Some(cause) = cause {
            response.extensions_mut().insert(Cause(cause.into()));
        }
        let headers = response.headers_mut();
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Columnseal"));
        }
        response
    }
}
