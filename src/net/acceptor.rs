//! TLS towards clients, with certificates that are read again when their files change.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::settings::{Pem, ServerTls};
use super::stream::{Socket, Stream};
use super::tls::{HTTP, POSTGRESQL, TlsError, is_postgresql, server_config};

/// Accepts TLS from clients.
pub struct Acceptor {
    settings: ServerTls,
    alpn: &'static [u8],
    config: ArcSwap<ServerConfig>,
    seen: Mutex<Vec<Stamp>>,
}

/// A file's time of change and length; `None` where it is not there.
type Stamp = Option<(SystemTime, u64)>;

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
        let seen = stamps(settings);
        let config = ArcSwap::new(server_config(settings, alpn)?);
        Ok(Acceptor { settings: settings.clone(), alpn, config, seen: Mutex::new(seen) })
    }

    /// Reads the files again if one of them changed; says whether it did. Handshakes from now on use
    /// what was read. Blocks on files.
    ///
    /// # Errors
    /// The new files cannot be used; the old ones stay in use, and the same state is not tried again.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let now = stamps(&self.settings);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        self.config.store(server_config(&self.settings, self.alpn)?);
        Ok(true)
    }

    /// The handshake that follows SSLRequest. Not cancel safe: the socket is lost.
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn accept(&self, socket: Socket) -> io::Result<Stream> {
        let stream = TlsAcceptor::from(self.config.load_full()).accept(socket).await?;
        Ok(Stream::Tls(Box::new(stream.into())))
    }

    /// The handshake of direct TLS, where the client must ask for PostgreSQL by ALPN. Not cancel safe:
    /// the socket is lost.
    ///
    /// # Errors
    /// The handshake failed, or the client meant another protocol.
    pub async fn accept_direct(&self, socket: Socket) -> io::Result<Stream> {
        let stream = TlsAcceptor::from(self.config.load_full()).accept(socket).await?;
        if !is_postgresql(stream.get_ref().1.alpn_protocol()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "direct TLS without ALPN postgresql"));
        }
        Ok(Stream::Tls(Box::new(stream.into())))
    }
}

fn stamps(settings: &ServerTls) -> Vec<Stamp> {
    let pems = [Some(&settings.certificate), Some(&settings.private_key), settings.client_ca.as_ref()];
    pems.into_iter().flatten().filter_map(path).map(stamp).collect()
}

fn path(pem: &Pem) -> Option<&PathBuf> {
    match pem {
        Pem::Path(path) => Some(path),
        Pem::Text(_) => None,
    }
}

fn stamp(path: &PathBuf) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
