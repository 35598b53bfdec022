//! From a client's first byte to a login, and cancel requests: against a real PostgreSQL, with a session that
//! only forwards bytes.

mod cancel;
mod listening;
mod logins;
mod managed;
mod openings;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use columnseal::net::dial::Dialer;
use columnseal::net::settings::{Pem, ServerTls, Target};
use columnseal::session::listen::{Gate, Listener, bind, run};
use columnseal::session::roles::Roles;
use columnseal::session::settings::{AuthMode, Limits, Policy, Settings};
use columnseal::session::upstream::LoggedIn;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::tls::{Authority, Issued};
use crate::support::{Cluster, Options};

/// A proxy in this process that forwards bytes once a client is logged in.
struct Proxy {
    port: u16,
    gate: Arc<Gate>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// How a proxy differs from the plain one.
#[derive(Clone, Default)]
struct With {
    tls: Option<ServerTls>,
    require_tls: bool,
    max_connections: Option<usize>,
    limits: Option<Limits>,
    proxy_protocol: bool,
    hosts: Option<Vec<String>>,
    socket_mode: Option<u32>,
    users: Option<PathBuf>,
    roles: Roles,
}

impl Proxy {
    /// One before the database that `url` names, with a `tls` mode of the URL's own.
    async fn before(url: &str, with: With) -> Proxy {
        let target = Target::parse(url, None).unwrap();
        let settings = Settings {
            hosts: with.hosts.unwrap_or_else(|| vec!["127.0.0.1".to_owned()]),
            socket_mode: with.socket_mode.unwrap_or(0o777),
            port: 0,
            require_tls: with.require_tls,
            max_connections: with.max_connections.unwrap_or(100),
            shutdown_timeout: Duration::from_secs(5),
            limits: with.limits.unwrap_or_default(),
            proxy_protocol: with.proxy_protocol,
            tls: with.tls,
            auth: match with.users {
                Some(users) => AuthMode::Managed { users },
                None => AuthMode::Passthrough,
            },
            database: target.clone(),
            policy: Policy { roles: with.roles, ..Policy::default() },
        };
        let shutdown = CancellationToken::new();
        let gate = Gate::new(&settings, Dialer::new(target).unwrap(), shutdown.clone()).unwrap();
        let gate = Arc::new(gate);
        let listeners = bind(&settings.hosts, settings.port, settings.socket_mode).await.unwrap();
        let port = listeners.iter().find_map(Listener::port).unwrap_or_default();
        let task = tokio::spawn(run(listeners, Arc::clone(&gate), forward));
        Proxy { port, gate, shutdown, task }
    }

    /// One before a cluster.
    async fn new(cluster: &Cluster, with: With) -> Proxy {
        Proxy::before(&at(cluster), with).await
    }
}

/// The cluster as a target, without TLS.
fn at(cluster: &Cluster) -> String {
    format!("postgres://127.0.0.1:{}?sslmode=disable", cluster.port)
}

/// A session that looks at nothing.
async fn forward(login: LoggedIn) {
    let LoggedIn { mut client, mut server, client_read, server_read, cancel, .. } = login;
    let forwarded = async {
        server.write_all(&client_read).await?;
        client.write_all(&server_read).await?;
        copy_bidirectional(&mut client, &mut server).await
    };
    let _ = forwarded.await;
    drop(cancel);
}

/// A directory with an authority and a certificate for `localhost` and `127.0.0.1`.
struct Certificates {
    dir: tempfile::TempDir,
    authority: Authority,
    issued: Issued,
}

impl Certificates {
    fn new() -> Certificates {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "proxy-ca");
        let issued = authority.issue("proxy", &["localhost", "127.0.0.1"]);
        Certificates { dir, authority, issued }
    }

    fn ca(&self) -> PathBuf {
        self.authority.certificate.clone()
    }

    fn tls(&self) -> ServerTls {
        ServerTls {
            certificate: Pem::Path(self.issued.certificate.clone()),
            private_key: Pem::Path(self.issued.key.clone()),
            client_ca: None,
        }
    }
}

fn cluster_with_tls(auth: crate::support::Auth) -> Cluster {
    Cluster::start(Options { auth, tls: true, ..Options::default() })
}
