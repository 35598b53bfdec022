//! Settings of this room: the key server.

use std::path::PathBuf;
use std::time::Duration;

use crate::net::settings::ServerTls;

use super::root_key::Source;
use super::store::spec::StoreSpec;

/// `keyserver.max_connections` where nothing else is said.
pub const MAX_CONNECTIONS: u32 = 10_000;
/// `keyserver.request_timeout` where nothing else is said.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// `keyserver.client_rate` where nothing else is said.
pub const CLIENT_RATE: u32 = 500;

/// `[keyserver]`, and `[tls]` as it uses it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host and port to listen on.
    pub listen: (String, u16),
    /// Where the state is kept.
    pub store: StoreSpec,
    /// What opens the store.
    pub root_key: Source,
    /// Where the one-time token for the first admin is written while there is no workspace.
    pub bootstrap_token: PathBuf,
    /// Certificate and key; `None`: plain HTTP, on loopback only.
    pub tls: Option<ServerTls>,
    /// Device keys of developers are let in.
    pub devices: bool,
    /// Longest body of a request, in bytes.
    pub max_body: usize,
    /// Connections above this wait.
    pub max_connections: usize,
    /// For the head of a request, and again for its body.
    pub request_timeout: Duration,
    /// After a signal to end, requests may go on for this long.
    pub shutdown_timeout: Duration,
    /// The page for admins is served.
    pub dashboard: bool,
    /// An admin who does nothing there is signed out after this.
    pub session: Duration,
    /// Requests a second of one client, over time; twice that at once.
    pub client_rate: u32,
    /// Requests a second of one address that are not signed by a known client; ten times that at once.
    pub failure_rate: u32,
}
