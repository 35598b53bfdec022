//! Byte streams to clients and servers: TCP, Unix socket or in-process pipe, each with or without TLS.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

use super::tls::is_postgresql;

/// A connection without TLS of its own.
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// TCP by way of a load balancer, and the address of the client behind it.
    Proxied(TcpStream, SocketAddr),
    /// A Unix socket.
    Unix(UnixStream),
    /// A pipe in this process.
    Pipe(DuplexStream),
}

impl Socket {
    /// Address of the peer, for TCP.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(tcp) => tcp.peer_addr().ok(),
            Socket::Proxied(_, client) => Some(*client),
            Socket::Unix(_) | Socket::Pipe(_) => None,
        }
    }

    /// The bytes never leave this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Socket::Tcp(_) | Socket::Proxied(..) => {
                self.peer().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
            }
            Socket::Unix(_) | Socket::Pipe(_) => true,
        }
    }
}

/// A connection, with TLS or without.
pub enum Stream {
    /// Without.
    Plain(Socket),
    /// With TLS of either side.
    Tls(Box<Secured>),
}

/// A connection with TLS.
pub struct Secured {
    tls: TlsStream<Socket>,
    /// `tls-server-end-point` of the server's certificate, ours or the peer's; `None` where nothing can be bound to it.
    end_point: Option<Vec<u8>>,
}

/// A connection from a client.
pub type ClientStream = Stream;
/// A connection to a server.
pub type ServerStream = Stream;

/// What a TLS handshake agreed on.
#[derive(Clone, Debug)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// Cipher suite.
    pub cipher: String,
    /// DER of the peer's own certificate, if it showed one.
    pub peer_certificate: Option<Vec<u8>>,
}

impl Stream {
    pub(super) fn secured(tls: impl Into<TlsStream<Socket>>, end_point: Option<Vec<u8>>) -> Stream {
        Stream::Tls(Box::new(Secured { tls: tls.into(), end_point }))
    }

    /// What a login over this connection can be bound to: `tls-server-end-point` of the certificate that the server of it showed.
    pub fn end_point(&self) -> Option<&[u8]> {
        match self {
            Stream::Plain(_) => None,
            Stream::Tls(secured) => secured.end_point.as_deref(),
        }
    }

    /// The connection below TLS.
    pub fn socket(&self) -> &Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(secured) => secured.tls.get_ref().0,
        }
    }

    /// What TLS agreed on; `None` without TLS.
    pub fn tls(&self) -> Option<TlsInfo> {
        let Stream::Tls(secured) = self else { return None };
        let common = secured.tls.get_ref().1;
        let version = match common.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        };
        let suite = common.negotiated_cipher_suite().map(|suite| suite.suite());
        Some(TlsInfo {
            version,
            cipher: suite.and_then(|s| s.as_str()).unwrap_or("unknown").to_owned(),
            peer_certificate: common.peer_certificates().and_then(|c| c.first()).map(|c| c.to_vec()),
        })
    }

    /// TLS agreed on PostgreSQL's name (ALPN).
    pub(super) fn speaks_postgresql(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Tls(secured) => is_postgresql(secured.tls.get_ref().1.alpn_protocol()),
        }
    }

    /// TLS is on.
    pub fn is_tls(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }
}

macro_rules! on_socket {
    ($self:expr, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Socket::Tcp(io) | Socket::Proxied(io, _) => {
                let $io = Pin::new(io);
                $call
            }
            Socket::Unix(io) => {
                let $io = Pin::new(io);
                $call
            }
            Socket::Pipe(io) => {
                let $io = Pin::new(io);
                $call
            }
        }
    };
}

macro_rules! on_stream {
    ($self:expr, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(io) => {
                let $io = Pin::new(io);
                $call
            }
            Stream::Tls(io) => {
                let $io = Pin::new(&mut io.tls);
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, io => io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_socket!(self, io => io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_socket!(self, io => io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, io => io.poll_shutdown(cx))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, io => io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, io => io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, io => io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, io => io.poll_shutdown(cx))
    }
}
