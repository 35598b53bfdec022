//! Connections: TLS, limits on time and number, and the end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::net::acceptor::Acceptor;
use crate::net::stream::{Socket, Stream};

use super::host::Host;
use super::requests::Peer;

/// For a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an accept that failed, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;

/// Accepts until the shutdown, then waits for what is under way, within the time that settings give it.
pub(super) async fn run(listener: TcpListener, acceptor: Option<Arc<Acceptor>>, host: Arc<Host>, router: Router) {
    let (tasks, slots) = (TaskTracker::new(), Arc::new(Semaphore::new(host.settings.max_connections)));
    let service = TowerToHyperService::new(router);
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            biased;
            () = host.shutdown.cancelled() => break,
            accepted = accepted => accepted,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (service, acceptor, host) = (service.clone(), acceptor.clone(), Arc::clone(&host));
        tasks.spawn(async move {
            let _slot = slot;
            let _open = host.metrics.connected();
            if let Some(stream) = secured(tcp, acceptor.as_deref()).await {
                let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
                    request.extensions_mut().insert(Peer(address));
                    service.call(request)
                });
                serve(stream, service, &host).await;
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(host.settings.shutdown_timeout, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "ending with requests under way");
    }
}

async fn secured(tcp: TcpStream, acceptor: Option<&Acceptor>) -> Option<Stream> {
    drop(tcp.set_nodelay(true));
    let socket = Socket::Tcp(tcp);
    let Some(acceptor) = acceptor else { return Some(Stream::Plain(socket)) };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

async fn serve<S>(stream: Stream, service: S, host: &Host)
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = axum::body::Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(host.settings.request_timeout)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = host.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
