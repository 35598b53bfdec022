//! The key server: the engine over HTTPS. Requests are signed by clients, answers by the service, so that TLS keeps out
//! listeners only.
//!
//! ```text
//! host         what all requests share: engine, limits, streams
//! requests     one request: limits, body, engine
//! around       around every request: panics, the answer's signature, metrics, log
//! fault        what is told where there is no answer
//! events       event streams           limits       how often one may ask
//! openapi      the document            connections  TLS, slow clients, the end
//! pages        pages that somebody else serves beside the API
//! ```

mod around;
mod connections;
mod events;
mod fault;
mod host;
mod limits;
mod openapi;
mod pages;
mod requests;
mod rest;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::keys::error::KeysError;
use crate::net::TlsError;
use crate::net::acceptor::Acceptor;
use crate::telemetry::health::Readiness;
use crate::telemetry::keyserver::KeyServerMetrics;

use super::engine::WATCH;
use super::settings::Settings;
use host::Host;

pub use events::HEARTBEAT;
pub use openapi::document;
pub use pages::{PageHost, Pages};
pub use requests::Peer;

/// Certificate files are looked at this often.
const RELOAD: Duration = Duration::from_secs(2);

/// Why a key server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store, its root key, or the workspace in it.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {why}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the operating system says.
        why: std::io::Error,
    },
}

/// A key server that is ready to serve.
pub struct Server {
    listener: TcpListener,
    acceptor: Option<Arc<Acceptor>>,
    host: Arc<Host>,
    pages: Option<Pages>,
}

impl Server {
    /// Opens the store, makes it where there is none, and listens.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub async fn start(
        settings: Settings,
        metrics: KeyServerMetrics,
        readiness: Readiness,
        shutdown: CancellationToken,
    ) -> Result<Self, ServeError> {
        let acceptor = settings.tls.as_ref().map(Acceptor::http).transpose()?.map(Arc::new);
        let (name, port) = (settings.listen.0.as_str(), settings.listen.1);
        let listener = TcpListener::bind((name, port))
            .await
            .map_err(|why| ServeError::Listen { address: format!("{name}:{port}"), why })?;
        let opened = tokio::task::spawn_blocking(move || Host::open(settings, metrics, readiness, shutdown)).await;
        let host = opened.map_err(|error| KeysError::unavailable(error.to_string()))??;
        Ok(Self { listener, acceptor, host: Arc::new(host), pages: None })
    }

    /// Serves pages too.
    #[must_use]
    pub fn with_pages(self, pages: Pages) -> Self {
        Self { pages: Some(pages), ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The file with the token for the first admin; `None`: there is a workspace already.
    pub fn bootstrap_token(&self) -> Option<&std::path::Path> {
        self.host.engine().is_none().then_some(&self.host.settings.bootstrap_token)
    }

    /// Serves until the shutdown, then lets requests end. Not cancel safe.
    pub async fn run(self) {
        let tasks = TaskTracker::new();
        tasks.spawn(keep(Arc::clone(&self.host)));
        if let Some(acceptor) = &self.acceptor {
            let (acceptor, host) = (Arc::clone(acceptor), Arc::clone(&self.host));
            tasks.spawn(async move { host.shutdown.run_until_cancelled(reload(&acceptor, &host)).await });
        }
        let router = around::router(&self.host, self.pages);
        connections::run(self.listener, self.acceptor, Arc::clone(&self.host), router).await;
        tasks.close();
        tasks.wait().await;
        if let Some(engine) = self.host.engine() {
            engine.close().await;
        }
    }
}

/// Waits for a workspace, which another replica may found, then tells the event streams of its changes.
async fn keep(host: Arc<Host>) {
    while host.engine().is_none() {
        host.readiness.not_ready("there is no workspace yet: `columnseal init --server` makes it");
        let settling = Arc::clone(&host);
        match tokio::task::spawn_blocking(move || settling.settle()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the key store cannot be read"),
            Err(error) => tracing::error!(%error, "looking for a workspace failed"),
        }
        tokio::select! {
            () = host.shutdown.cancelled() => return,
            () = sleep(WATCH) => {}
        }
    }
    if let Some(engine) = host.engine() {
        host.hub.poll(engine, &host.readiness, &host.shutdown).await;
    }
    host.readiness.not_ready("shutting down");
}

/// Reads the certificate again when it changed, and tells when it ends.
async fn reload(acceptor: &Arc<Acceptor>, host: &Host) {
    loop {
        let ends_ms = acceptor.ends_ms();
        host.metrics.certificate_ends(ends_ms);
        if let Some(engine) = host.engine() {
            engine.served_until(ends_ms);
        }
        sleep(RELOAD).await;
        let acceptor = Arc::clone(acceptor);
        match tokio::task::spawn_blocking(move || acceptor.reload_if_changed()).await {
            Ok(Ok(true)) => tracing::info!("TLS certificate read again"),
            Ok(Err(error)) => {
                tracing::error!(%error, "changed TLS certificate cannot be used; keeping the old one");
            }
            Ok(Ok(false)) => {}
            Err(error) => tracing::error!(%error, "reading the TLS certificate again failed"),
        }
    }
}
