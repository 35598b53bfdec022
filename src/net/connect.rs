//! Our own connections to the database, by tokio-postgres over the same dialing and checks.
//!
//! TLS is done by [`Dialer`]; tokio-postgres is told what a login can be bound to.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{ChannelBinding as Binding, SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config};

use super::dial::{Address, DialError, Dialed, Dialer, Security};
use super::login::LoginError;
use super::passfile::PassfileError;
use super::settings::{self, Target};
use super::stream::Stream;
use super::tls::TlsError;

/// Name our own connections go by in `pg_stat_activity`.
const APPLICATION_NAME: &str = "columnseal";

/// A connection of our own that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Root certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No host answers.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The file of passwords cannot be used.
    #[error(transparent)]
    Passfile(#[from] PassfileError),
    /// The login was refused.
    #[error("login to the database failed: {}", describe(.0))]
    Login(#[source] tokio_postgres::Error),
}

/// Connects to `target`, or to another database there. The connection lives as long as the client.
///
/// # Errors
/// No host answers, or the login is refused.
pub async fn connect(target: &Target, database: Option<&str>) -> Result<Client, ConnectError> {
    let dialer = Dialer::new(target.clone())?;
    connect_with(&dialer, database).await
}

/// As [`connect`], with root certificates that were read before.
///
/// # Errors
/// No host answers, or the login is refused.
pub async fn connect_with(dialer: &Dialer, database: Option<&str>) -> Result<Client, ConnectError> {
    attempts(dialer, database, |security| dialer.dial(security)).await
}

/// As [`connect_with`], to one host, whatever it is.
pub(super) async fn to_host(dialer: &Dialer, host: usize) -> Result<Client, ConnectError> {
    attempts(dialer, None, |security| dialer.dial_host(host, security)).await
}

async fn attempts<F, Fut>(dialer: &Dialer, database: Option<&str>, dial: F) -> Result<Client, ConnectError>
where
    F: Fn(Security) -> Fut,
    Fut: Future<Output = Result<Dialed, DialError>>,
{
    let mut outcome = None;
    for security in dialer.attempts() {
        let attempted = match dial(*security).await {
            Ok(dialed) => attempt(dialer, database, dialed).await,
            Err(error) => Err(error.into()),
        };
        match attempted {
            Err(ConnectError::Login(e)) if is_refused_at_start(&e) => outcome = Some(ConnectError::Login(e)),
            // What the first attempt met is the better account.
            Err(e) => return Err(outcome.unwrap_or(e)),
            Ok(client) => return Ok(client),
        }
    }
    Err(outcome.expect("every sslmode has an attempt"))
}

async fn attempt(dialer: &Dialer, database: Option<&str>, dialed: Dialed) -> Result<Client, ConnectError> {
    let config = config(dialer, &dialed.address, database).await?;
    let private = dialer.channel(&dialed.stream).private;
    let stream = Watched { stream: dialed.stream, head: (!private).then(Vec::new) };
    let login = config.connect_raw(stream, Secured);
    let limit = dialer.target().connect_timeout;
    let (client, connection) = match tokio::time::timeout(limit, login).await {
        Ok(login) => login.map_err(ConnectError::Login)?,
        Err(_) => {
            let tried = vec![(dialed.address.to_string(), super::dial::Refusal::Timeout)];
            return Err(DialError { tried }.into());
        }
    };
    // Ends by itself when the client is dropped or the server hangs up.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "own database connection ended");
        }
    });
    Ok(client)
}

async fn config(dialer: &Dialer, address: &Address, database: Option<&str>) -> Result<Config, PassfileError> {
    let target = dialer.target();
    let mut config = Config::new();
    // What is asked of the stream is what it is bound to: it has its TLS, or does without.
    config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct).application_name(APPLICATION_NAME);
    config.channel_binding(match target.channel_binding {
        settings::ChannelBinding::Disable => Binding::Disable,
        settings::ChannelBinding::Prefer => Binding::Prefer,
        settings::ChannelBinding::Require => Binding::Require,
    });
    let name = database.or(target.name.as_deref());
    if let Some(name) = name {
        config.dbname(name);
    }
    // Without a role tokio-postgres takes the name of the operating system's user, as libpq does.
    let mut password = target.password.clone();
    if let Some(user) = &target.user {
        config.user(user);
        password = dialer.account(user, address, name.unwrap_or(user)).await?.password;
    }
    if let Some(password) = password {
        config.password(password.expose_secret());
    }
    Ok(config)
}

/// The stream of a connection of ours. Where others may listen, a question for the password as it is, or hashed by MD5, is
/// an error before it can be answered: it would be the server's first message.
struct Watched {
    stream: Stream,
    /// The first bytes of the server's, until they are known to be no such question.
    head: Option<Vec<u8>>,
}

/// `R`, a length, and the code of the question.
const QUESTION: usize = 9;

impl Watched {
    fn look(&mut self, read: &[u8]) -> io::Result<()> {
        let Some(head) = &mut self.head else { return Ok(()) };
        head.extend_from_slice(&read[..read.len().min(QUESTION - head.len())]);
        let how = match head.as_slice() {
            [b'R', _, _, _, _, 0, 0, 0, 3] => "as it is",
            [b'R', _, _, _, _, 0, 0, 0, 5] => "hashed by MD5",
            head if head.len() < QUESTION => return Ok(()),
            _ => {
                self.head = None;
                return Ok(());
            }
        };
        Err(io::Error::new(io::ErrorKind::PermissionDenied, LoginError::Exposed(how)))
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.look(&buf.filled()[before..]))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl TlsStream for Watched {
    fn channel_binding(&self) -> ChannelBinding {
        match self.stream.end_point() {
            Some(end_point) => ChannelBinding::tls_server_end_point(end_point.to_vec()),
            None => ChannelBinding::none(),
        }
    }
}

/// Hands the stream back: its TLS is done.
struct Secured;

impl TlsConnect<Watched> for Secured {
    type Stream = Watched;
    type Error = io::Error;
    type Future = Ready<io::Result<Watched>>;

    fn connect(self, stream: Watched) -> Self::Future {
        ready(Ok(stream))
    }
}

/// `no pg_hba.conf entry`: another kind of connection may be let in.
fn is_refused_at_start(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// The server's own words where it spoke.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}
