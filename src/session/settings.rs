//! Settings of this room.

use std::path::PathBuf;
use std::time::Duration;

use super::roles::Roles;
use crate::net::settings::{ServerTls, Target};
use crate::net::target::is_loopback;
pub use crate::sql::introspect::Introspection;

/// Most bytes of a row with aggregates that the proxy computes, unless the settings say otherwise.
const GATHERED: usize = 256 << 20;

/// How clients are authenticated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AuthMode {
    /// The client's own PostgreSQL login is relayed.
    Passthrough,
    /// The proxy lets clients in itself, and logs in to the database with an account of its own.
    Managed {
        /// The file of users.
        users: PathBuf,
    },
}

/// The proxy's listener and connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen: host names, addresses, `*` for all of them, folders of Unix sockets.
    pub hosts: Vec<String>,
    /// Permissions of Unix sockets.
    pub socket_mode: u32,
    /// Port to listen on; 0 picks a free one.
    pub port: u16,
    /// Clients without TLS are refused.
    pub require_tls: bool,
    /// Connections above this are refused with 53300.
    pub max_connections: usize,
    /// How long open transactions may go on after SIGTERM.
    pub shutdown_timeout: Duration,
    /// Limits of each connection.
    pub limits: Limits,
    /// Connections begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// TLS towards clients, where offered.
    pub tls: Option<ServerTls>,
    /// Authentication.
    pub auth: AuthMode,
    /// The database.
    pub database: Target,
    /// What analysis may trust and must insist on.
    pub policy: Policy,
}

impl Settings {
    /// Only this machine can connect.
    pub fn is_local(&self) -> bool {
        self.hosts.iter().all(|host| is_loopback(host.trim_start_matches('[').trim_end_matches(']')))
    }
}

/// Limits of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// From accepting a connection to its startup packet.
    pub startup: Duration,
    /// From the startup packet to the end of the login.
    pub login: Duration,
    /// Without a statement, outside a transaction.
    pub idle: Option<Duration>,
    /// Without a statement, in an open transaction.
    pub idle_transaction: Option<Duration>,
    /// Most bytes of a row with aggregates that the proxy computes.
    pub gathered: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let (startup, login) = (Duration::from_secs(15), Duration::from_secs(60));
        Limits { startup, login, idle: None, idle_transaction: None, gathered: GATHERED }
    }
}

/// `[policy]`.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Columns that must be encrypted, as `schema.table.column`.
    pub encrypted: Vec<String>,
    /// Functions that are known not to touch encrypted columns, as `schema.name`.
    pub trusted_functions: Vec<String>,
    /// Statements may choose the keyset of a session; else only its startup packet may.
    pub keyset_by_sql: bool,
    /// How sessions see catalogs, unless they choose.
    pub introspection: Introspection,
    /// Unsigned types are adopted at first use (development) instead of refused.
    pub adopt_unsigned_types: bool,
    /// What database roles may read.
    pub roles: Roles,
}

/// `[audit]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audit {
    /// Where records of data access go.
    pub sink: Sink,
    /// Statements on encrypted columns are refused while records cannot be kept.
    pub required: bool,
    /// How often records are written.
    pub interval: Duration,
}

impl Default for Audit {
    fn default() -> Self {
        Audit { sink: Sink::Keystore, required: false, interval: Duration::from_secs(5) }
    }
}

/// Where records of data access go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sink {
    /// Nowhere: none are made.
    Off,
    /// Standard output, as JSON lines.
    Stdout,
    /// A file that is appended to, as JSON lines.
    File(PathBuf),
    /// The key service.
    Keystore,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            encrypted: Vec::new(),
            trusted_functions: Vec::new(),
            keyset_by_sql: true,
            introspection: Introspection::Sealed,
            adopt_unsigned_types: false,
            roles: Roles::default(),
        }
    }
}
