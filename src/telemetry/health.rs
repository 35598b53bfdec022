//! The HTTP endpoint for operators: `/metrics`, `/healthz` (the process runs) and `/readyz` (it can serve).

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Scrape;

/// Whether the proxy can serve now, and if not, why. Shared between the app, which sets it, and the endpoint.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<ArcSwap<Option<String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Readiness(Arc::new(ArcSwap::from_pointee(Some("starting".to_owned()))))
    }
}

impl Readiness {
    /// Everything that serving needs is there.
    pub fn ready(&self) {
        self.0.store(Arc::new(None));
    }

    /// Serving is not possible now. `why` is one line without secrets.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.0.store(Arc::new(Some(why.into())));
    }

    /// `None` when ready, else why not.
    pub fn why_not(&self) -> Option<String> {
        self.0.load().as_ref().clone()
    }
}

#[derive(Clone)]
struct Served {
    readiness: Readiness,
    scrape: Scrape,
}

/// Serves until `shutdown`. Not cancel safe: requests under way would be dropped.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    scrape: Scrape,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(Served { readiness, scrape });
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn metrics(State(served): State<Served>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], served.scrape.render())
}

async fn readyz(State(served): State<Served>) -> (StatusCode, String) {
    match served.readiness.why_not() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("the endpoint listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the endpoint reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the endpoint answers");
        answer
    }

    #[tokio::test]
    async fn answers_follow_the_readiness_and_shutdown_ends_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (metrics, scrape) = Metrics::new();
        for _ in 0..4 {
            drop(metrics.connections.opens());
        }
        let readiness = Readiness::default();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(listener, readiness.clone(), scrape, shutdown.clone()));

        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let early = get(address, "/readyz").await;
        assert!(early.starts_with("HTTP/1.1 503") && early.ends_with("starting\n"), "{early}");
        readiness.ready();
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        readiness.not_ready("the key store is locked");
        assert!(get(address, "/readyz").await.ends_with("the key store is locked\n"));
        assert!(get(address, "/metrics").await.contains("columnseal_connections_accepted_total 4"));
        assert!(get(address, "/nothing").await.starts_with("HTTP/1.1 404"));

        shutdown.cancel();
        served.await.expect("it does not panic").expect("it ends well");
    }
}
