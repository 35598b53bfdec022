//! What kind of cluster a test wants.

/// How PostgreSQL authenticates the role `app` over TCP. The superuser `postgres` is always let in through the Unix socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Auth {
    #[default]
    Trust,
    Password,
    Md5,
    Scram,
}

impl Auth {
    /// As pg_hba.conf names it.
    pub fn method(self) -> &'static str {
        match self {
            Auth::Trust => "trust",
            Auth::Password => "password",
            Auth::Md5 => "md5",
            Auth::Scram => "scram-sha-256",
        }
    }
}

/// Options of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Major version as in `/usr/lib/postgresql/NN`; `None`: `COLUMNSEAL_TEST_PG` or the newest installed.
    pub version: Option<u32>,
    /// Authentication of `app`.
    pub auth: Auth,
    /// Offer TLS with a certificate for `localhost` and `127.0.0.1` from the cluster's own CA (`Cluster::ca`).
    pub tls: bool,
    /// Refuse TCP connections of `app` that do not use TLS.
    pub tls_only: bool,
    /// Log every statement, duration and parameter.
    pub log_everything: bool,
    /// Further lines of postgresql.conf.
    pub conf: Vec<String>,
}

impl Options {
    /// Logs all that PostgreSQL can log of a statement.
    pub fn logged() -> Options {
        Options { log_everything: true, ..Options::default() }
    }

    /// Authenticates `app` in this way.
    pub fn auth(auth: Auth) -> Options {
        Options { auth, ..Options::default() }
    }

    /// Adds a line of postgresql.conf.
    pub fn with(mut self, line: &str) -> Options {
        self.conf.push(line.to_owned());
        self
    }
}
