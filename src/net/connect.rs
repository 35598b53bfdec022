//! Our own connections to the database, by tokio-postgres over the same dialing and checks.
//!
//! TLS is done by [`Dialer`], so tokio-postgres sees a stream that needs none, and logs in by SCRAM without
//! channel binding.

use secrecy::ExposeSecret;
use tokio_postgres::config::SslMode as NoNegotiation;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::dial::{DialError, Dialed, Dialer, Security};
use super::settings::Target;
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
    let config = config(dialer.target(), database);
    let login = config.connect_raw(dialed.stream, NoTls);
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

fn config(target: &Target, database: Option<&str>) -> Config {
    let mut config = Config::new();
    config.ssl_mode(NoNegotiation::Disable).application_name(APPLICATION_NAME);
    // Without a role tokio-postgres takes the name of the operating system's user, as libpq does.
    if let Some(user) = &target.user {
        config.user(user);
    }
    if let Some(name) = database.or(target.name.as_deref()) {
        config.dbname(name);
    }
    if let Some(password) = &target.password {
        config.password(password.expose_secret());
    }
    config
}

/// `no pg_hba.conf entry`: another kind of connection may be let in.
fn is_refused_at_start(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// The server's own words where it spoke.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}
