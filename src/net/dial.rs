//! Dialing the database: hosts in order, TCP or Unix socket, TLS as `sslmode` says.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustix::net::sockopt;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::binding::end_point;
use super::files::Seen;
use super::hosts::{Hosts, Wanted, shuffle};
use super::login::{Account, Channel};
use super::passfile::{self, PassfileError};
use super::settings::{SslMode, Target};
use super::stream::{Socket, Stream};
use super::tls::{self, TlsError, client_config};
use super::verify::{Check, is_readable};

/// SSLRequest: length 8, code 1234.5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// An idle connection is probed after this long, so that a lost peer is noticed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// Whether TLS is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// Not asked for.
    Plain,
    /// Asked for, and done without if the server has none.
    Offered,
    /// Demanded.
    Tls,
}

/// Where a connection leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Resolved address, and the name it was resolved from.
    Tcp(String, SocketAddr),
    /// Path of the socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host, addr) => write!(f, "{host}:{}", addr.port()),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connection and where it leads.
pub struct Dialed {
    /// The connection; nothing but an SSLRequest was sent over it.
    pub stream: Stream,
    /// The address that answered.
    pub address: Address,
}

/// Why one address could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The name does not resolve.
    #[error("cannot resolve host name: {0}")]
    Resolve(io::Error),
    /// The system refused, or the peer hung up.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nothing happened in time.
    #[error("timeout expired")]
    Timeout,
    /// TLS is demanded and the server has none.
    #[error("server does not support TLS, but TLS was required")]
    NoTls,
    /// The server answered the SSLRequest with something else than yes or no.
    #[error("unexpected answer to the request for TLS")]
    NotPostgres,
    /// The handshake failed, most often because the certificate does not check out.
    #[error("TLS: {0}")]
    Handshake(io::Error),
    /// Direct TLS was not agreed to be for PostgreSQL.
    #[error("TLS without the name \"postgresql\" (ALPN): sslnegotiation=direct needs PostgreSQL 17 or later")]
    Alpn,
    /// It is not what `target_session_attrs` asks for.
    #[error("{0}")]
    Role(&'static str),
    /// The host cannot be written in a certificate.
    #[error("not a valid host name for TLS")]
    Name,
}

/// No host could be reached.
#[derive(Debug)]
pub struct DialError {
    /// Each address tried, as `host:port` or path, and why it failed.
    pub tried: Vec<(String, Refusal)>,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not connect to the database server")?;
        for (i, (address, why)) in self.tried.iter().enumerate() {
            write!(f, "{} at \"{address}\": {why}", if i == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for DialError {}

/// Dials one target. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    inner: Arc<Inner>,
}

struct Inner {
    target: Target,
    tls: ArcSwapOption<ClientConfig>,
    /// Files that TLS was set up from.
    seen: Seen,
    hosts: Hosts,
}

impl Dialer {
    /// Reads root certificates where `sslmode` needs them. Blocks on files.
    ///
    /// # Errors
    /// They cannot be read or used.
    pub fn new(target: Target) -> Result<Self, TlsError> {
        let own = target.client_certificate.iter().flat_map(|own| [&own.certificate, &own.key]);
        let seen = Seen::new(target.sslrootcert.iter().chain(own));
        let tls = ArcSwapOption::new(client_config(&target)?);
        let hosts = Hosts::new(target.hosts.len());
        Ok(Dialer { inner: Arc::new(Inner { target, tls, seen, hosts }) })
    }

    /// Reads root certificates and the certificate of our own again if their files changed; says whether they did. Connections from
    /// now on use what was read. Blocks on files.
    ///
    /// # Errors
    /// The new files cannot be used; the old ones stay in use, and the same state is not tried again.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        if !self.inner.seen.changed() {
            return Ok(false);
        }
        self.inner.tls.store(client_config(&self.inner.target)?);
        Ok(true)
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// What to try in turn: the second where the server refused the first at the start of the login.
    pub fn attempts(&self) -> &'static [Security] {
        match self.inner.target.sslmode {
            SslMode::Disable => &[Security::Plain],
            SslMode::Allow => &[Security::Plain, Security::Tls],
            SslMode::Prefer => &[Security::Offered, Security::Plain],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Security::Tls],
        }
    }

    /// What matters to a login of ours of a connection that was dialed.
    pub fn channel(&self, stream: &Stream) -> Channel {
        Channel::of(stream, tls::check(&self.inner.target) != Check::Nothing)
    }

    /// An account for a role: the password is that of the settings, or the one in the password file for this address and database.
    ///
    /// # Errors
    /// The password file cannot be used.
    pub async fn account(&self, role: &str, address: &Address, database: &str) -> Result<Account, PassfileError> {
        let Target { user, password, passfile, .. } = &self.inner.target;
        let ours = password.clone().filter(|_| user.as_deref() == Some(role));
        let password = match (ours, passfile) {
            (None, Some(path)) => passfile::find(path, address, (database, role)).await?,
            (ours, _) => ours,
        };
        Ok(Account { role: role.to_owned(), password })
    }

    pub(super) fn hosts(&self) -> &Hosts {
        &self.inner.hosts
    }

    /// Connects to the first host that answers and is what it must be. Each address has `connect_timeout`. Not cancel safe,
    /// but nothing stays behind.
    ///
    /// # Errors
    /// None did.
    pub async fn dial(&self, security: Security) -> Result<Dialed, DialError> {
        let Target { wanted, balanced, hosts, .. } = &self.inner.target;
        let first = self.dial_in(self.inner.hosts.order(*wanted, *balanced), security).await;
        let Err(mut error) = first else { return first };
        if *wanted == Wanted::Any {
            return Err(error);
        }
        // Hosts may have changed their roles since they were looked at.
        self.look().await;
        let order = self.inner.hosts.order(*wanted, *balanced);
        if order.is_empty() {
            let others = hosts.iter().map(|(host, port)| (format!("{host}:{port}"), Refusal::Role(wanted.missing())));
            error.tried.extend(others);
            return Err(error);
        }
        self.dial_in(order, security).await
    }

    async fn dial_in(&self, order: Vec<usize>, security: Security) -> Result<Dialed, DialError> {
        let mut tried = Vec::new();
        for host in order {
            match self.dial_host(host, security).await {
                Ok(dialed) => return Ok(dialed),
                Err(error) => tried.extend(error.tried),
            }
        }
        Err(DialError { tried })
    }

    /// Connects to one host, whatever it is.
    pub(super) async fn dial_host(&self, host: usize, security: Security) -> Result<Dialed, DialError> {
        let Some((host, port)) = self.inner.target.hosts.get(host) else {
            return Err(DialError { tried: Vec::new() });
        };
        let mut addresses = match self.timed(resolve(host, *port)).await {
            Ok(addresses) => addresses,
            Err(why) => return Err(DialError { tried: vec![(format!("{host}:{port}"), why)] }),
        };
        if self.inner.target.balanced {
            shuffle(&mut addresses);
        }
        let mut tried = Vec::new();
        for address in addresses {
            match self.dial_address(&address, security).await {
                Ok(stream) => return Ok(Dialed { stream, address }),
                Err(why) => tried.push((address.to_string(), why)),
            }
        }
        Err(DialError { tried })
    }

    /// Connects to one address.
    ///
    /// # Errors
    /// It could not be reached.
    pub async fn dial_address(&self, address: &Address, security: Security) -> Result<Stream, Refusal> {
        self.timed(self.connect(address, security)).await
    }

    /// Every address of every host, for a message that must reach whichever it concerns.
    pub async fn addresses(&self) -> Vec<Address> {
        let mut all = Vec::new();
        for (host, port) in &self.inner.target.hosts {
            all.extend(self.timed(resolve(host, *port)).await.unwrap_or_default());
        }
        all
    }

    async fn timed<T>(&self, step: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        tokio::time::timeout(self.inner.target.connect_timeout, step).await.unwrap_or(Err(Refusal::Timeout))
    }

    async fn connect(&self, address: &Address, security: Security) -> Result<Stream, Refusal> {
        match address {
            // Libpq never speaks TLS over a Unix socket.
            Address::Unix(path) => Ok(Stream::Plain(Socket::Unix(UnixStream::connect(path).await?))),
            Address::Tcp(host, addr) => {
                let tcp = TcpStream::connect(addr).await?;
                prepare(&tcp)?;
                self.secure(Socket::Tcp(tcp), host, security).await
            }
        }
    }

    async fn secure(&self, mut socket: Socket, host: &str, security: Security) -> Result<Stream, Refusal> {
        let (Some(config), Security::Offered | Security::Tls) = (self.inner.tls.load_full(), security) else {
            return Ok(Stream::Plain(socket));
        };
        if self.inner.target.direct_tls {
            let stream = self.handshake(&config, socket, host).await?;
            return if stream.speaks_postgresql() { Ok(stream) } else { Err(Refusal::Alpn) };
        }
        socket.write_all(&SSL_REQUEST).await?;
        // Exactly one byte is read, so nothing sent before the handshake is ever taken for a message.
        match (socket.read_u8().await?, security) {
            (b'S', _) => self.handshake(&config, socket, host).await,
            (b'N', Security::Offered) => Ok(Stream::Plain(socket)),
            (b'N', _) => Err(Refusal::NoTls),
            _ => Err(Refusal::NotPostgres),
        }
    }

    async fn handshake(&self, config: &Arc<ClientConfig>, socket: Socket, host: &str) -> Result<Stream, Refusal> {
        let name = self.server_name(host, &socket)?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name, socket).await.map_err(Refusal::Handshake)?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let end_point = shown.filter(|shown| is_readable(shown)).and_then(|shown| end_point(shown));
        Ok(Stream::secured(stream, end_point))
    }

    fn server_name(&self, host: &str, socket: &Socket) -> Result<ServerName<'static>, Refusal> {
        match ServerName::try_from(host.to_owned()) {
            Ok(name) => Ok(name),
            Err(_) if self.inner.target.sslmode == SslMode::VerifyFull => Err(Refusal::Name),
            Err(_) => socket.peer().map(|peer| peer.ip().into()).ok_or(Refusal::Name),
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<Address>, Refusal> {
    if host.starts_with('/') {
        return Ok(vec![Address::Unix(PathBuf::from(host).join(format!(".s.PGSQL.{port}")))]);
    }
    let found = lookup_host((host, port)).await.map_err(Refusal::Resolve)?;
    let addresses: Vec<_> = found.map(|addr| Address::Tcp(host.to_owned(), addr)).collect();
    if addresses.is_empty() {
        return Err(Refusal::Resolve(io::Error::new(io::ErrorKind::NotFound, "no addresses")));
    }
    Ok(addresses)
}

/// No delay, and probes while idle.
///
/// # Errors
/// The socket is gone.
pub fn prepare(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, KEEPALIVE_IDLE)?;
    Ok(())
}
