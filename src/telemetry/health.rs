//! The HTTP endpoint for operators: `/metrics`, `/healthz` (the process runs) and `/readyz` (it can serve).

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::metrics::Scrape;

/// Whether the process can serve now, and if not, why. Shared between the app, which sets it, and the endpoint.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    began: Instant,
    /// What is missing.
    fault: ArcSwapOption<String>,
    /// Once the process ends: says so.
    draining: OnceLock<Words>,
    /// What is worth knowing although the process serves.
    notes: OnceLock<Words>,
}

type Words = Box<dyn Fn() -> Option<String> + Send + Sync>;

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Readiness").field(&self.why_not()).finish()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Readiness(Arc::new(Inner {
            began: Instant::now(),
            fault: ArcSwapOption::from_pointee("starting".to_owned()),
            draining: OnceLock::new(),
            notes: OnceLock::new(),
        }))
    }
}

impl Readiness {
    /// Everything that serving needs is there.
    pub fn ready(&self) {
        self.0.fault.store(None);
    }

    /// Serving is not possible now. `why` is one line without secrets.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.0.fault.store(Some(Arc::new(why.into())));
    }

    /// The process ends, and will not be ready again. `words` says how far it is, in one line without secrets.
    pub fn drains(&self, words: impl Fn() -> String + Send + Sync + 'static) {
        let _ = self.0.draining.set(Box::new(move || Some(words())));
    }

    /// What is worth knowing although the process serves: lines without secrets.
    pub fn notes(&self, words: impl Fn() -> Option<String> + Send + Sync + 'static) {
        let _ = self.0.notes.set(Box::new(words));
    }

    /// `None` when ready, else why not.
    pub fn why_not(&self) -> Option<String> {
        let draining = self.0.draining.get().and_then(|words| words());
        draining.or_else(|| self.0.fault.load().as_deref().cloned())
    }

    fn page(&self) -> (StatusCode, String) {
        let (status, mut page) = match self.why_not() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        };
        if let Some(notes) = self.0.notes.get().and_then(|words| words()) {
            page = page + &notes + "\n";
        }
        (status, page)
    }

    /// That the process runs, since when, and what it would say to `/readyz`.
    fn alive(&self) -> String {
        let (version, up) = (env!("CARGO_PKG_VERSION"), self.0.began.elapsed().as_secs());
        let state = self.why_not().unwrap_or_else(|| "ready".to_owned());
        format!("ok\ncolumnseal {version}, up for {up} s\n{state}\n")
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
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Served { readiness, scrape });
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

async fn metrics(State(served): State<Served>) -> Result<impl IntoResponse, StatusCode> {
    // It blocks: sessions must not wait for it.
    let page = tokio::task::spawn_blocking(move || served.scrape.render()).await;
    let page = page.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page))
}

async fn readyz(State(served): State<Served>) -> (StatusCode, String) {
    served.readiness.page()
}

async fn healthz(State(served): State<Served>) -> String {
    served.readiness.alive()
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

        readiness.notes(|| Some("the key service does not answer".to_owned()));
        assert!(get(address, "/readyz").await.ends_with("locked\nthe key service does not answer\n"));
        readiness.drains(|| "shutting down: 2 connections are open".to_owned());
        readiness.ready();
        let draining = get(address, "/readyz").await;
        assert!(draining.starts_with("HTTP/1.1 503") && draining.contains("2 connections"), "{draining}");
        let alive = get(address, "/healthz").await;
        assert!(
            alive.starts_with("HTTP/1.1 200") && alive.contains("ok\ncolumnseal ") && alive.contains("shutting down")
        );

        shutdown.cancel();
        served.await.expect("it does not panic").expect("it ends well");
    }
}
