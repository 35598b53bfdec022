//! Settings of this room: the database target and TLS.

use std::path::PathBuf;

use secrecy::SecretString;

use super::hosts::Wanted;

/// Libpq's `sslmode`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as libpq names them")]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    /// All of them, from the weakest to the strictest.
    pub const ALL: [SslMode; 6] =
        [SslMode::Disable, SslMode::Allow, SslMode::Prefer, SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Allow => "allow",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }
}

/// Libpq's `channel_binding`: whether our own logins are bound to the TLS connection that they are made over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "named as libpq names them")]
pub enum ChannelBinding {
    Disable,
    #[default]
    Prefer,
    Require,
}

/// A certificate that the proxy shows to servers, and its key, as PEM files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificate {
    /// The chain.
    pub certificate: PathBuf,
    /// The key of its first certificate.
    pub key: PathBuf,
}

/// The database behind the proxy.
#[derive(Clone, Debug)]
pub struct Target {
    /// Hosts and ports in the order they are tried; a host that starts with `/` is a Unix socket directory.
    pub hosts: Vec<(String, u16)>,
    /// Database of our own connections; also the name that pins are kept under.
    pub name: Option<String>,
    /// Role of our own connections (catalog).
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// TLS towards the server.
    pub sslmode: SslMode,
    /// Root certificates; `None`: those of the operating system.
    pub sslrootcert: Option<PathBuf>,
    /// What the proxy shows where a server asks for it.
    pub client_certificate: Option<ClientCertificate>,
    /// TLS begins at once, without asking for it (`sslnegotiation=direct`).
    pub direct_tls: bool,
    /// Channel binding of logins of our own.
    pub channel_binding: ChannelBinding,
    /// Passwords of roles, where `password` is not theirs.
    pub passfile: Option<PathBuf>,
    /// What a host must be.
    pub wanted: Wanted,
    /// Hosts are tried in random order.
    pub balanced: bool,
    /// Limit for one connection attempt.
    pub connect_timeout: std::time::Duration,
}

/// A PEM given as a path or in place.
#[derive(Clone)]
pub enum Pem {
    /// A file.
    Path(PathBuf),
    /// The PEM text itself.
    Text(SecretString),
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pem::Path(path) => path.fmt(f),
            Pem::Text(_) => f.write_str("(PEM)"),
        }
    }
}

/// TLS towards clients.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Certificate chain.
    pub certificate: Pem,
    /// Its key.
    pub private_key: Pem,
    /// Client certificates are required and must chain to this.
    pub client_ca: Option<Pem>,
}
