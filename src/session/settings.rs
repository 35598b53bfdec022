//! Settings of this room.

use std::time::Duration;

use crate::net::settings::{ServerTls, Target};

/// How clients are authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthMode {
    /// The client's own PostgreSQL login is relayed.
    Passthrough,
}

/// The proxy's listener and connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on: a host name or address.
    pub host: String,
    /// Port to listen on; 0 picks a free one.
    pub port: u16,
    /// Clients without TLS are refused.
    pub require_tls: bool,
    /// Connections above this are refused with 53300.
    pub max_connections: usize,
    /// How long open transactions may go on after SIGTERM.
    pub shutdown_timeout: Duration,
    /// TLS towards clients, where offered.
    pub tls: Option<ServerTls>,
    /// Authentication.
    pub auth: AuthMode,
    /// The database.
    pub database: Target,
    /// What analysis may trust and must insist on.
    pub policy: Policy,
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
    /// Unsigned types are adopted at first use (development) instead of refused.
    pub adopt_unsigned_types: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            encrypted: Vec::new(),
            trusted_functions: Vec::new(),
            keyset_by_sql: true,
            adopt_unsigned_types: false,
        }
    }
}
