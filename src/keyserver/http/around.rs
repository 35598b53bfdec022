//! Around every request: a panic is an answer too, every answer to a signed request is signed, and each is counted and
//! logged. Bodies are never logged.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::CONNECTION;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::keys::request::Body as _;
use crate::keys::service::{SERVICE_PATH, Watch};
use crate::keys::signed::{HEADER, Question, sign_answer};

use super::super::bootstrap::{FOUND_PATH, OFFER_PATH};
use super::super::engine::ROUTES;
use super::fault::Fault;
use super::host::Host;
use super::openapi;
use super::pages::{PAGE, PageHost, Pages};
use super::requests::{self, Peer, authorization, json};
use super::rest::lend;

/// Of a response whose body is signed piece by piece.
#[derive(Clone, Copy)]
pub(super) struct Streaming;

/// Of a response: what the log may know of why it failed.
#[derive(Clone)]
pub(super) struct Cause(pub(super) Arc<str>);

/// Paths that are asked by GET, and those of bootstrapping.
const OTHERS: [&str; 7] = [SERVICE_PATH, Watch::PATH, OFFER_PATH, FOUND_PATH, "/openapi.json", "/healthz", "/readyz"];

/// Every path.
pub(super) fn router(host: &Arc<Host>, pages: Option<Pages>) -> Router {
    let mut router = Router::new()
        .route(SERVICE_PATH, get(requests::service))
        .route(Watch::PATH, get(requests::events))
        .route(OFFER_PATH, post(requests::offer))
        .route(FOUND_PATH, post(requests::found))
        .route("/openapi.json", get(|| async { json(openapi::text()) }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(requests::ready));
    for route in ROUTES {
        router = router.route(route.path, post(requests::ask));
    }
    let api = router.with_state(Arc::clone(host));
    let pages = pages.map_or_else(Router::new, |pages| pages(PageHost::of(host)));
    api.merge(pages)
        .fallback(|| async { Fault::not_found() })
        .method_not_allowed_fallback(|| async { Fault::wrong_method() })
        .layer(from_fn_with_state(Arc::clone(host), around))
}

async fn around(State(host): State<Arc<Host>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let path = known(request.uri().path());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let asked = (request.method().clone(), request.uri().path().to_owned());
    let auth = authorization(request.headers());
    let (head, body) = request.into_parts();
    let (body, rest) = lend(body);
    let request = Request::from_parts(head, body);
    // A task of its own: a change that was begun is not given up when its sender leaves, and a panic ends here.
    let answered = tokio::spawn(next.run(request)).await;
    let response = answered.unwrap_or_else(|error| {
        tracing::error!(path, %error, "a request failed");
        Fault::internal().into_response()
    });
    let status = response.status();
    let (client, took) = (auth.as_ref().map(|auth| auth.client.to_string()), begin.elapsed());
    host.metrics.answered(path, status.as_u16(), took);
    let (client, code) = (client.as_deref().unwrap_or("-"), status.as_u16());
    if status.is_server_error() {
        let why = response.extensions().get::<Cause>().map_or("-", |cause| &cause.0);
        tracing::warn!(path, code, client, ?peer, ?took, why, "request failed");
    } else if status.is_client_error() {
        tracing::info!(path, code, client, ?peer, ?took, "request refused");
    } else {
        tracing::debug!(path, code, client, ?peer, ?took, "request answered");
    }
    let mut response = match auth {
        Some(auth) if response.extensions().get::<Streaming>().is_none() => {
            signed(&host, &Question::new(&auth, (asked.0.as_str(), &asked.1)), response).await
        }
        _ => response,
    };
    if !rest.read(host.settings.max_body).await {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Adds the service's signature.
async fn signed(host: &Host, question: &Question<'_>, response: Response) -> Response {
    let Some(engine) = host.engine() else { return response };
    let (mut head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return Fault::internal().into_response() };
    let signature = sign_answer(engine.signing_key(), question, head.status.as_u16(), &body);
    if let Ok(value) = HeaderValue::from_str(&signature) {
        head.headers.insert(HeaderName::from_static(HEADER), value);
    }
    Response::from_parts(head, Body::from(body))
}

/// The path as metrics and log show it.
fn known(path: &str) -> &'static str {
    let all = ROUTES.iter().map(|route| route.path).chain(OTHERS);
    let other = if path.starts_with("/v1/") { "other" } else { PAGE };
    all.into_iter().find(|known| *known == path).unwrap_or(other)
}
