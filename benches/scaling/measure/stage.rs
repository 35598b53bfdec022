//! A key server as a process, its store, an admin, and clients.

use std::sync::Arc;

use columnseal::crypto::client_key::ClientKey;
use columnseal::crypto::root::RootFingerprint;
use columnseal::crypto::{Epoch, KeyId, KeysetId, Kref};
use columnseal::keys::KeyService;
use columnseal::keys::remote::Remote;
use columnseal::keys::request::Body;
use columnseal::keys::service::{GetGrants, GetState, ask};
use columnseal::keys::settings::Server;
use columnseal::keyserver::Workspace as Admin;
use columnseal::keyserver::workspace::{ClientKind, NewClient, device_path};
use secrecy::ExposeSecret;

use super::process::{Cpu, family, memory, time};
use crate::support::{Cluster, Database, KeyServer, Options, Workspace};

/// Where the key server keeps its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Sqlite,
    Postgres,
    /// PostgreSQL that logs every statement.
    Logged,
}

pub struct Stage {
    pub kind: Kind,
    pub cluster: Option<(Cluster, Database)>,
    pub server: KeyServer,
    pub admin: Admin,
    pub admin_key: Arc<ClientKey>,
    pub address: Server,
    _home: Workspace,
}

/// A client with a connection of its own.
pub struct Client {
    pub key: Arc<ClientKey>,
    pub remote: Arc<Remote>,
}

/// The grant of one keyset, as fetches name it.
#[derive(Clone, Copy)]
pub struct Granted {
    pub keyset: KeysetId,
    pub kref: Kref,
    pub grant: [u8; 32],
    pub epoch: Epoch,
}

impl Stage {
    pub fn new(kind: Kind) -> Self {
        let cluster = (kind != Kind::Sqlite).then(|| {
            let options = if kind == Kind::Logged { Options::logged() } else { Options::default().with("fsync = on") };
            let cluster = Cluster::start(options.with("shared_buffers = 128MB"));
            let database = cluster.database("keys");
            (cluster, database)
        });
        let mut env = vec![("CS_KEYSERVER__CLIENT_RATE", "1000000"), ("CS_KEYSERVER__MAX_CONNECTIONS", "100000")];
        env.extend(cluster.as_ref().map(|(_, database)| ("CS_KEYSERVER__STORE", database.url.as_str())));
        let server = KeyServer::start_with(&env);
        let home = Workspace::found(&server, None);
        let address = Server { urls: vec![server.url()], ca: Some(server.authority.certificate.clone()) };
        let admin = Admin::connect(&home.home(), &address).expect("the admin connects");
        let secret = std::fs::read_to_string(device_path(&home.home())).expect("a device key");
        let (admin_key, _) = ClientKey::from_secret(secret.trim()).expect("a whole key");
        Self { kind, cluster, server, admin, admin_key: Arc::new(admin_key), address, _home: home }
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Cpu {
        let store = self.cluster.as_ref().map_or(0.0, |(cluster, _)| {
            let pid = std::fs::read_to_string(cluster.dir.join("data/postmaster.pid")).expect("a pid file");
            family(pid.lines().next().and_then(|line| line.trim().parse().ok()).expect("a pid"))
        });
        Cpu { server: time(self.server.id(), false), store }
    }

    pub fn memory(&self) -> f64 {
        memory(self.server.id())
    }

    /// Makes a client with a grant of these keysets.
    pub fn make_client(&self, name: &str, keysets: &[&str]) -> (Arc<ClientKey>, RootFingerprint) {
        let keysets = keysets.iter().map(|name| (*name).to_owned()).collect();
        let new = NewClient { keysets, ..NewClient::named(name, ClientKind::Application) };
        let made = self.admin.create_client(&new).expect("a client");
        let (key, root) = ClientKey::from_secret(made.secret.expose_secret()).expect("a whole key");
        (Arc::new(key), root)
    }

    pub async fn connect(&self, (key, root): &(Arc<ClientKey>, RootFingerprint)) -> Client {
        let remote = Remote::connect(&self.address, Arc::clone(key), *root).await.expect("it answers");
        Client { key: Arc::clone(key), remote: Arc::new(remote) }
    }

    /// Runs SQL on the store, behind the key server's back.
    pub fn sql(&self, sql: &str) {
        match &self.cluster {
            Some((_, database)) => drop(database.sql(sql)),
            None => {
                let path = self.server.token().with_file_name("keystore.db");
                let connection = rusqlite::Connection::open(path).expect("the store");
                connection.busy_timeout(std::time::Duration::from_secs(5)).expect("a timeout");
                connection.execute_batch(sql).expect("the statements run");
            }
        }
    }

    /// Bytes that the store takes.
    pub fn size(&self) -> f64 {
        match &self.cluster {
            Some((_, database)) => {
                database.sql("SELECT pg_database_size(current_database())").trim().parse().expect("a size")
            }
            None => {
                self.sql("PRAGMA wal_checkpoint(TRUNCATE)");
                std::fs::metadata(self.server.token().with_file_name("keystore.db")).expect("the store").len() as f64
            }
        }
    }
}

impl Client {
    pub async fn ask<B: Body>(&self, body: &B) -> B::Answer {
        ask(&*self.remote as &dyn KeyService, &self.key, body).await.expect("an answer")
    }

    /// The first keyset that is granted.
    pub async fn granted(&self) -> Granted {
        let state = self.ask(&GetState {}).await;
        let listed = &state.granted[0];
        let grants = self.ask(&GetGrants { keysets: vec![listed.keyset] }).await;
        Granted { keyset: listed.keyset, kref: listed.krefs[0], grant: grants[0].grant.digest(), epoch: Epoch(1) }
    }
}

/// Ids that nobody has seen.
pub fn ids(count: usize) -> Vec<KeyId> {
    (0..count).map(|_| KeyId(columnseal::crypto::random::array().expect("random"))).collect()
}
