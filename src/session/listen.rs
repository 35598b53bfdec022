//! Listening: sockets in, logged-in connections out, each in a task of its own.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::cancel::{self, Cancels};
use super::handshake::{self, Ended, Request, Unopened};
use super::identity::Identity;
use super::link::{Link, Patience};
use super::settings::{AuthMode, Limits, Settings};
use super::startup;
use super::upstream::{self, LoggedIn};
use super::users::{Users, UsersError};
use crate::keys::Ring;
use crate::net::TlsError;
use crate::net::acceptor::Acceptor;
use crate::net::dial::{Dialer, prepare};
use crate::net::proxied;
use crate::net::stream::Socket;
use crate::sql::own::Wish;
use crate::telemetry::metrics::{Metrics, Refused};
use crate::wire::error::PgError;
use crate::wire::sqlstate::SqlState;

/// Connections above the limit that are still heard, so that they may cancel or be told why not.
const OVERFLOW: usize = 64;
/// How often the files of certificates and users are looked at.
const RELOAD: Duration = Duration::from_secs(5);
/// How often it is told how many connections a shutdown waits for.
const TELL: Duration = Duration::from_secs(5);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// Pause after an accept that failed for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why nobody can be let in.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file of users cannot be used.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// The operating system gives no randomness.
    #[error("the operating system gives no random bytes")]
    Random,
}

/// What every connection passes on its way in.
pub struct Gate {
    pub(super) dialer: Dialer,
    pub(super) cancels: Arc<Cancels>,
    /// Who is let in, where the proxy decides that itself.
    pub(super) users: Option<Users>,
    /// Where the salts of users come from that there are not.
    pub(super) decoy: Zeroizing<[u8; 32]>,
    tls: Option<Acceptor>,
    require_tls: bool,
    identity: Identity,
    limits: Limits,
    proxied: bool,
    places: Arc<Semaphore>,
    overflow: Arc<Semaphore>,
    shutdown: CancellationToken,
    drain: Duration,
    metrics: Arc<Metrics>,
    ring: Option<Arc<Ring>>,
}

impl Gate {
    /// Reads certificates and users; blocks on files. `shutdown` ends accepting and unfinished logins.
    ///
    /// # Errors
    /// They cannot be read or used.
    pub fn new(settings: &Settings, dialer: Dialer, shutdown: CancellationToken) -> Result<Self, GateError> {
        let users = match &settings.auth {
            AuthMode::Passthrough => None,
            AuthMode::Managed { users } => Some(Users::open(users)?),
        };
        let mut decoy = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *decoy).map_err(|_| GateError::Random)?;
        Ok(Gate {
            dialer,
            cancels: Arc::default(),
            users,
            decoy,
            tls: settings.tls.as_ref().map(Acceptor::new).transpose()?,
            require_tls: settings.require_tls,
            identity: identity(settings),
            limits: settings.limits,
            proxied: settings.proxy_protocol,
            places: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
            overflow: Arc::new(Semaphore::new(OVERFLOW)),
            shutdown,
            drain: settings.shutdown_timeout,
            metrics: Arc::new(Metrics::detached()),
            ring: None,
        })
    }

    /// Counting what is refused.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self.tell_certificate();
        self
    }

    /// Knowing the keysets that a startup packet may name. Who is no user is told the same by every proxy with this client key, also after
    /// a restart.
    #[must_use]
    pub fn ring(mut self, ring: Arc<Ring>) -> Self {
        self.decoy = Zeroizing::new(*ring.decoy().as_bytes());
        self.ring = Some(ring);
        self
    }

    /// Whether a session may begin with this keyset.
    pub(super) fn allows(&self, keyset: Option<&Wish>) -> Result<(), PgError> {
        match &self.ring {
            Some(ring) => startup::pick(ring, keyset).map(drop),
            None => Ok(()),
        }
    }

    /// The keys of live sessions.
    pub fn cancels(&self) -> &Arc<Cancels> {
        &self.cancels
    }

    /// Brings one connection from its first byte to a login. `None`: it ended otherwise, and was told why
    /// where it could be.
    pub async fn admit(&self, socket: Socket) -> Option<LoggedIn> {
        self.admit_if(socket, true).await
    }

    async fn admit_if(&self, socket: Socket, has_place: bool) -> Option<LoggedIn> {
        let (link, request) = self.open(socket).await?;
        match request {
            Request::Cancel { pid, key } => {
                cancel::relay(&self.cancels, (&self.dialer, &self.metrics.cancels), pid, &key).await;
                link.close().await;
                None
            }
            Request::Open(_) if !has_place => {
                self.metrics.connections.refused(Refused::Limit);
                link.refuse(&too_many()).await;
                None
            }
            Request::Open(opening) => {
                if let Err(error) = self.identity.check(&link.stream, &opening) {
                    return self.end(link, error.into()).await;
                }
                let patience = Patience::new(self.limits.login, &self.shutdown);
                match upstream::log_in(self, link, opening, &patience).await {
                    Ok(login) => Some(login),
                    Err((link, ended)) => self.end(link, ended).await,
                }
            }
        }
    }

    async fn open(&self, socket: Socket) -> Option<(Link, Request)> {
        let patience = Patience::new(self.limits.startup, &self.shutdown);
        let socket = match self.proxied {
            true => match patience.with(async { Ok(proxied::accept(socket).await?) }).await {
                Ok(socket) => socket,
                Err(_) => {
                    tracing::info!("connection without a PROXY protocol header refused");
                    self.metrics.connections.refused(Refused::Policy);
                    return None;
                }
            },
            false => socket,
        };
        match handshake::open(socket, self.tls.as_ref(), self.require_tls, &patience).await {
            Ok(opened) => Some(opened),
            Err(Unopened { link: Some(link), ended }) => self.end(link, ended).await,
            Err(Unopened { link: None, .. }) => None,
        }
    }

    /// Nothing is owed to whom left; who is refused is told why.
    async fn end<T>(&self, link: Link, ended: Ended) -> Option<T> {
        match ended {
            Ended::Tell(error) => {
                // As a value, in which letters that end a line are written out: names are whatever a client calls itself.
                tracing::info!(sqlstate = error.sqlstate.0, error = error.message, "connection refused");
                self.metrics.connections.refused(Refused::of(error.sqlstate.0));
                link.refuse(&error).await;
            }
            Ended::NotLoggedIn => {
                self.metrics.connections.refused(Refused::Login);
                link.close().await;
            }
            Ended::Quiet => link.close().await,
        }
        None
    }

    /// How many users there are, where the proxy lets them in itself.
    pub fn user_count(&self) -> Option<usize> {
        self.users.as_ref().map(Users::len)
    }

    /// Reads the file of users again, whether it looks changed or not. Blocks.
    pub fn reload_users(&self) {
        self.refresh_users(true);
    }

    fn refresh_users(&self, at_any_rate: bool) {
        let Some(users) = &self.users else { return };
        match users.refresh(at_any_rate) {
            Ok(true) => tracing::info!(users = users.len(), "file of users read again"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "changed file of users cannot be used; keeping the old one"),
        }
    }

    fn tell_certificate(&self) {
        let ends_ms = self.tls.as_ref().and_then(Acceptor::ends_ms).unwrap_or(0);
        self.metrics.standing.certificate.set((ends_ms / 1000) as f64);
    }

    fn reload(&self) {
        self.refresh_users(false);
        match self.dialer.reload_if_changed() {
            Ok(true) => tracing::info!("certificates towards the database read again"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "changed certificates towards the database cannot be used; keeping the old ones");
            }
        }
        match self.tls.as_ref().map(Acceptor::reload_if_changed) {
            Some(Ok(true)) => {
                tracing::info!("TLS certificate read again");
                self.tell_certificate();
            }
            Some(Err(error)) => {
                tracing::error!(%error, "changed TLS certificate cannot be used; keeping the old one: look at tls.certificate and tls.private_key")
            }
            Some(Ok(false)) | None => {}
        }
    }
}

/// What the identity of clients rests on.
fn identity(settings: &Settings) -> Identity {
    match &settings.tls {
        _ if settings.policy.roles.is_empty() => Identity::Any,
        Some(tls) if tls.client_ca.is_some() => Identity::Certificate,
        _ => Identity::Login,
    }
}

fn too_many() -> PgError {
    PgError::fatal(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
        .hint("This limit is the proxy's: [server] max_connections.")
}

/// A socket that takes connections.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket; its file goes when this does.
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket, removed when dropped.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// `host:port` or a path.
    pub fn address(&self) -> String {
        match self {
            Listener::Tcp(tcp) => tcp.local_addr().map_or_else(|_| "?".to_owned(), |addr| addr.to_string()),
            Listener::Unix(_, file) => file.0.display().to_string(),
        }
    }

    /// The port, for TCP.
    pub fn port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(tcp) => tcp.local_addr().ok().map(|addr| addr.port()),
            Listener::Unix(..) => None,
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        match self {
            Listener::Tcp(tcp) => tcp.poll_accept(cx).map_ok(|(tcp, _)| {
                // Fails only on a connection that is gone, which the first read will tell.
                let _ = prepare(&tcp);
                Socket::Tcp(tcp)
            }),
            Listener::Unix(unix, _) => unix.poll_accept(cx).map_ok(|(unix, _)| Socket::Unix(unix)),
        }
    }
}

/// Listens on every address of every host (a name, an address, or `*` for all of this machine), and on `.s.PGSQL.<port>` in
/// folders. Port 0 picks a free one, the same for all of them.
///
/// # Errors
/// A name does not resolve, or an address of this machine cannot be listened on; with the host it is of.
pub async fn bind(hosts: &[String], port: u16, socket_mode: u32) -> Result<Vec<Listener>, (String, io::Error)> {
    let mut listeners: Vec<Listener> = Vec::new();
    // Folders last: where the port is to be picked, TCP does.
    let (folders, names): (Vec<_>, Vec<_>) = hosts.iter().partition(|host| host.starts_with('/'));
    // An IPv6 socket for all addresses takes IPv4 as well, but where that has one of its own.
    let both = names.iter().any(|host| matches!(host.as_str(), "*" | "0.0.0.0"));
    for host in names {
        bind_tcp(host, (port, both), &mut listeners).await.map_err(|why| (host.clone(), why))?;
    }
    let port = listeners.first().and_then(Listener::port).unwrap_or(port);
    for folder in folders {
        let path = PathBuf::from(folder).join(format!(".s.PGSQL.{port}"));
        let listener = bind_unix(path, socket_mode).await.map_err(|why| (folder.clone(), why))?;
        listeners.push(listener);
    }
    Ok(listeners)
}

async fn bind_tcp(host: &str, (port, both): (u16, bool), listeners: &mut Vec<Listener>) -> io::Result<()> {
    let addresses: Vec<SocketAddr> = match host {
        "*" => vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()],
        host => lookup_host((host.trim_start_matches('[').trim_end_matches(']'), port)).await?.collect(),
    };
    let (mut bound, mut absent) = (false, None);
    for mut address in addresses {
        address.set_port(listeners.first().and_then(Listener::port).unwrap_or(port));
        let is_ours =
            |listener: &Listener| matches!(listener, Listener::Tcp(tcp) if tcp.local_addr().ok() == Some(address));
        if listeners.iter().any(is_ours) {
            // Two names of one address.
            bound = true;
            continue;
        }
        match listen_on(address, both) {
            Ok(tcp) => {
                listeners.push(Listener::Tcp(tcp));
                bound = true;
            }
            // `localhost` may name an address of a protocol that is switched off here.
            Err(e) if is_absent(&e) => absent = Some(e),
            Err(e) => return Err(e),
        }
    }
    if bound { Ok(()) } else { Err(absent.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())) }
}

fn listen_on(address: SocketAddr, ipv6_only: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    if address.is_ipv6() && ipv6_only {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn is_absent(error: &io::Error) -> bool {
    const NO_IPV6: i32 = 97; // EAFNOSUPPORT of Linux
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(NO_IPV6)
}

async fn bind_unix(path: PathBuf, mode: u32) -> io::Result<Listener> {
    // A file that nobody listens on is left from a process that was killed.
    match UnixStream::connect(&path).await {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(&path)?,
        Err(_) => {}
    }
    // It is nobody's until it has its permissions. By default they are PostgreSQL's own: who may log in is decided by the login.
    let unready = path.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&unready);
    let listener = UnixListener::bind(&unready)?;
    let mut file = SocketFile(unready);
    std::fs::set_permissions(&file.0, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    std::fs::hard_link(&file.0, &path)?;
    file = SocketFile(path);
    Ok(Listener::Unix(listener, file))
}

/// Accepts connections and gives each login to `serve`, until shutdown; then waits for the sessions to end,
/// at most `shutdown_timeout`, and cuts off the rest.
pub async fn run<F, Fut>(listeners: Vec<Listener>, gate: Arc<Gate>, serve: F)
where
    F: Fn(LoggedIn) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut reload = tokio::time::interval(RELOAD);
    reload.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = gate.shutdown.cancelled() => break,
            accepted = accept(&listeners) => match accepted {
                Ok(socket) => enter(&gate, socket, &mut tasks, serve.clone()),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again: look at the limit of open files (ulimit -n)");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = tasks.join_next() => report(ended),
            _ = reload.tick() => {
                let gate = Arc::clone(&gate);
                let _ = tokio::task::spawn_blocking(move || gate.reload()).await;
            }
        }
    }
    drop(listeners);
    drain(tasks, gate.drain).await;
}

/// Waits for sessions to end, at most so long, and cuts off the rest.
async fn drain(mut tasks: JoinSet<()>, limit: Duration) {
    let began = Instant::now();
    tracing::info!(connections = tasks.len(), ?limit, "draining: no new connections; open transactions may end first");
    let mut told = tokio::time::interval(TELL);
    told.tick().await;
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(ended) => report(ended),
                None => break,
            },
            _ = told.tick() => tracing::info!(connections = tasks.len(), "still draining"),
            () = tokio::time::sleep_until(began + limit) => {
                let connections = tasks.len();
                tracing::warn!(connections, "shutdown timeout over: cutting off sessions, whose transactions roll back; end long transactions first, or set a longer server.shutdown_timeout");
                tasks.shutdown().await;
                break;
            }
        }
    }
    tracing::info!(took_s = began.elapsed().as_secs(), "drained");
}

fn enter<F, Fut>(gate: &Arc<Gate>, socket: Socket, tasks: &mut JoinSet<()>, serve: F)
where
    F: Fn(LoggedIn) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let place = Arc::clone(&gate.places).try_acquire_owned().ok();
    let heard = match place {
        Some(_) => None,
        None => match Arc::clone(&gate.overflow).try_acquire_owned() {
            Ok(heard) => Some(heard),
            Err(_) => return,
        },
    };
    let gate = Arc::clone(gate);
    tasks.spawn(async move {
        let starts = gate.metrics.connections.starts();
        let admitted = gate.admit_if(socket, place.is_some()).await;
        drop(starts);
        if let Some(login) = admitted {
            serve(login).await;
        }
        drop((place, heard));
    });
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // What it says may quote a statement; the panic hook has told the place.
        tracing::error!(task = %error.id(), "a session panicked, which is a fault of columnseal; its client lost the connection: please report the place that is told above");
    }
}

async fn accept(listeners: &[Listener]) -> io::Result<Socket> {
    poll_fn(|cx| {
        for listener in listeners {
            if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}
