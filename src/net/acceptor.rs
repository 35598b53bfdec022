//! TLS towards clients, with certificates that are read again when their files change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::TlsAcceptor;

use super::files::Seen;
use super::settings::{Pem, ServerTls};
use super::stream::{Socket, Stream};
use super::tls::{HTTP, POSTGRESQL, Served, TlsError, server_config};

/// Accepts TLS from clients.
pub struct Acceptor {
    settings: ServerTls,
    alpn: &'static [u8],
    served: ArcSwap<Served>,
    seen: Seen,
}

impl Acceptor {
    /// Reads certificate, key and authority.
    ///
    /// # Errors
    /// One of them cannot be read or used.
    pub fn new(settings: &ServerTls) -> Result<Self, TlsError> {
        Self::speaking(settings, POSTGRESQL)
    }

    /// As [`new`](Self::new), for HTTP.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn http(settings: &ServerTls) -> Result<Self, TlsError> {
        Self::speaking(settings, HTTP)
    }

    fn speaking(settings: &ServerTls, alpn: &'static [u8]) -> Result<Self, TlsError> {
        let pems = [Some(&settings.certificate), Some(&settings.private_key), settings.client_ca.as_ref()];
        let seen = Seen::new(pems.into_iter().flatten().filter_map(path));
        let served = ArcSwap::new(server_config(settings, alpn)?);
        Ok(Acceptor { settings: settings.clone(), alpn, served, seen })
    }

    /// Reads the files again if one of them changed; says whether it did. Handshakes from now on use
    /// what was read. Blocks on files.
    ///
    /// # Errors
    /// The new files cannot be used; the old ones stay in use, and the same state is not tried again.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        if !self.seen.changed() {
            return Ok(false);
        }
        self.served.store(server_config(&self.settings, self.alpn)?);
        Ok(true)
    }

    /// When the certificate ends, or one of its chain, in milliseconds since 1970.
    pub fn ends_ms(&self) -> Option<u64> {
        self.served.load().ends_ms
    }

    /// The handshake that follows SSLRequest. Not cancel safe: the socket is lost.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn accept(&self, socket: Socket) -> io::Result<Stream> {
        let served = self.served.load_full();
        let stream = TlsAcceptor::from(Arc::clone(&served.config)).accept(socket).await?;
        Ok(Stream::secured(stream, served.end_point.clone()))
    }

    /// The handshake of direct TLS, where the client must ask for PostgreSQL by ALPN. Not cancel safe:
    /// the socket is lost.
    ///
    /// # Errors
    /// The handshake failed, or the client meant another protocol.
    pub async fn accept_direct(&self, socket: Socket) -> io::Result<Stream> {
        let served = self.served.load_full();
        let stream = TlsAcceptor::from(Arc::clone(&served.config)).accept(socket).await?;
        let stream = Stream::secured(stream, served.end_point.clone());
        if !stream.speaks_postgresql() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "direct TLS without ALPN postgresql"));
        }
        Ok(stream)
    }
}

fn path(pem: &Pem) -> Option<&PathBuf> {
    match pem {
        Pem::Path(path) => Some(path),
        Pem::Text(_) => None,
    }
}
