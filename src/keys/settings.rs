//! Settings of this room.

use std::path::PathBuf;
use std::time::Duration;

use super::service::Revision;

/// `keys.values_per_key` where nothing else is said.
pub const VALUES_PER_KEY: u32 = 65_536;
/// `keys.key_lifetime` where nothing else is said.
pub const KEY_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// `keys.lease` where nothing else is said.
pub const LEASE: Duration = Duration::from_secs(60);
/// `keys.pool` where nothing else is said.
pub const POOL: usize = 8;

/// Where keys come from and how long they are used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `COLUMNSEAL_HOME`: holds `device/` and `store/`.
    pub home: PathBuf,
    /// Who answers.
    pub service: Service,
    /// The embedded store's SQLite file. Its root key lies beside it as `root.key`.
    pub store: PathBuf,
    /// Name of the keyset for new values; `None`: a session must choose.
    pub keyset: Option<String>,
    /// Values sealed under one data key, 1 to 65,536.
    pub values_per_key: u32,
    /// A data key is not used to encrypt for longer than this.
    pub key_lifetime: Duration,
    /// Answers of the key service hold this long.
    pub lease: Duration,
    /// Data keys kept ready.
    pub pool: usize,
    /// Nothing older than this is taken from the key service: for programs that keep no memory of what they saw.
    pub min_revision: Revision,
    /// The embedded key service takes device keys of clients that are no admins; `false`: production.
    pub devices: bool,
}

/// Which key service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Service {
    /// Within the process, over a store of its own.
    Embedded,
    /// A key server.
    Server(Server),
}

/// Where a key server is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// `https://host:port`, one or several of one workspace.
    pub urls: Vec<String>,
    /// Root certificates (PEM); `None`: those of the operating system.
    pub ca: Option<PathBuf>,
}
