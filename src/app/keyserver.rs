//! A key server with its metrics and health.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::KeyServerConfig;
use crate::dashboard;
use crate::keyserver::http::{ServeError, Server};
use crate::telemetry::health::{self, Readiness};
use crate::telemetry::keyserver::KeyServerMetrics;
use crate::telemetry::metrics::Scrape;

/// A key server that is ready to serve.
pub struct KeyServer {
    server: Server,
    health: Option<(TcpListener, Scrape)>,
    readiness: Readiness,
    shutdown: CancellationToken,
}

impl KeyServer {
    /// Opens the store and listens.
    ///
    /// # Errors
    /// What is missing or wrong; nothing stays behind but a new store.
    pub async fn start(config: KeyServerConfig, shutdown: CancellationToken) -> Result<Self, ServeError> {
        let (metrics, scrape) = KeyServerMetrics::new();
        let readiness = Readiness::default();
        let health = match config.telemetry.listen {
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                let listener = bound.map_err(|why| ServeError::Listen { address: address.to_string(), why })?;
                Some((listener, scrape))
            }
            None => None,
        };
        let server = Server::start(config.server, metrics, readiness.clone(), shutdown.clone()).await?;
        let server = server.with_pages(dashboard::pages);
        Ok(Self { server, health, readiness, shutdown })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.server.address()
    }

    /// The file with the token for the first admin; `None`: there is a workspace already.
    pub fn bootstrap_token(&self) -> Option<&Path> {
        self.server.bootstrap_token()
    }

    /// Serves until the shutdown, then lets requests end. Not cancel safe.
    pub async fn run(self) {
        let health = self
            .health
            .map(|(listener, scrape)| tokio::spawn(health::serve(listener, self.readiness, scrape, self.shutdown)));
        self.server.run().await;
        if let Some(Ok(Err(error))) = async { Some(health?.await) }.await {
            tracing::error!(%error, "the health endpoint ended; requests go on: restart to have it again");
        }
    }
}
