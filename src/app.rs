//! Composition root: the only file that knows every room. `Config` -> [`App`]; [`App::run`] until shutdown.

pub mod doctor;
mod keyserver;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use metrics::Gauge;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Credentials};
use crate::crypto::client_key::{ClientKey, TextError};
use crate::crypto::root::RootFingerprint;
use crate::keys::remote::Remote;
use crate::keys::settings::Service;
use crate::keys::{KeyService, KeysError, Metered, Ring};
use crate::keyserver::{Engine, Policy};
use crate::net::connect::{ConnectError, connect_with};
use crate::net::dial::Dialer;
use crate::net::hosts;
use crate::net::stream::Socket;
use crate::net::{TlsError, https_client_config};
use crate::schema::{SchemaError, database};
use crate::session::audit::{Audit, AuditSink, Handover, SinkError};
use crate::session::cancel::CancelGuard;
use crate::session::catalog::Catalogs;
use crate::session::listen::{self, Gate, GateError, Listener};
use crate::session::settings::{Audit as AuditSettings, AuthMode};
use crate::session::upstream::LoggedIn;
use crate::session::{self, Login, Shared};
use crate::sql::PlanCache;
use crate::telemetry::Metrics;
use crate::telemetry::health::{self, Readiness};
use crate::telemetry::metrics::{KeyService as KeyServiceMetrics, Reloads, Scrape};
use crate::telemetry::slow::SlowLimit;
use crate::telemetry::traces::{Exporter, Span, Tracer};

pub use keyserver::KeyServer;

/// Statement plans kept, shared between all sessions.
const PLANS: usize = 4_096;
/// Batches of records that wait for the key service.
const HANDOVERS: usize = 16;
/// How often it is looked whether the database answers, for `/readyz`.
const DATABASE_PROBE: Duration = Duration::from_secs(1);

/// Why the proxy does not start. Each is one line without secrets.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Neither `CS_CLIENT_ID` nor `CS_CLIENT_KEY` is there.
    #[error("CS_CLIENT_ID and CS_CLIENT_KEY are not set")]
    NoClientKey,
    /// The client key cannot be read.
    #[error("CS_CLIENT_KEY {0}")]
    ClientKey(#[from] TextError),
    /// The id is not the key's.
    #[error("CS_CLIENT_ID is {given}, but CS_CLIENT_KEY belongs to client {derived}")]
    OtherClient {
        /// As configured.
        given: String,
        /// As the key says.
        derived: String,
    },
    /// The key service refuses or cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody could be let in.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// An address cannot be listened on.
    #[error("{address} cannot be listened on: {why}")]
    Listen {
        /// Host and port.
        address: String,
        /// What the operating system says.
        why: std::io::Error,
    },
    /// The database cannot be reached, or refuses the proxy's own login. Only a check fails with this.
    #[error(transparent)]
    Database(#[from] ConnectError),
    /// The catalog or the `seal` schema cannot be read. Only a check fails with this.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Records of data access cannot be kept, and must be.
    #[error("records of data access cannot be kept: {0}")]
    Audit(#[from] SinkError),
}

/// A proxy that is ready to serve.
pub struct App {
    listeners: Vec<Listener>,
    gate: Arc<Gate>,
    dialer: Dialer,
    shared: Arc<Shared>,
    /// The key service, where it is in this process.
    embedded: Option<Engine>,
    sink: AuditSink,
    handovers: mpsc::Receiver<Handover>,
    health: Option<(TcpListener, Scrape)>,
    readiness: Readiness,
    /// What sends spans, and the spans.
    traces: Option<(Exporter, mpsc::Receiver<Span>)>,
    /// The longest that a shutdown takes.
    drain: Duration,
    shutdown: CancellationToken,
}

/// Where a proxy listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// For clients: `host:port`, or the path of a Unix socket.
    pub proxy: Vec<String>,
    /// For metrics and health.
    pub metrics: Option<SocketAddr>,
}

impl App {
    /// Opens the key store, warms the keys, and listens. The database may be down: it is needed by connections only.
    ///
    /// # Errors
    /// What is missing or wrong; nothing stays behind.
    pub async fn start(config: &Config, shutdown: CancellationToken) -> Result<App, StartError> {
        warn_of_risks(config);
        let (metrics, scrape) = Metrics::new();
        let metrics = Arc::new(metrics);
        let readiness = Readiness::default();
        let session = &config.session;
        let dialer = Dialer::new(session.database.clone())?;
        let gate = Gate::new(session, dialer.clone(), shutdown.clone())?.metrics(Arc::clone(&metrics));
        // Ports first: they fail at once, and health can be asked while keys are fetched.
        let health = match config.telemetry.listen {
            Some(address) => Some((bind_health(address).await?, scrape)),
            None => None,
        };
        let listeners = listen::bind(&session.hosts, session.port, session.socket_mode)
            .await
            .map_err(|(host, why)| StartError::Listen { address: format!("{host}:{}", session.port), why })?;
        let (ring, embedded) = start_ring(config, metrics.key_service.clone()).await?;
        warn_of_grants(config, &ring);
        let catalogs = Catalogs::new(
            Arc::clone(&ring),
            session.policy.clone(),
            session.database.clone(),
            Arc::clone(&metrics),
            shutdown.clone(),
        );
        let gate = Arc::new(gate.ring(Arc::clone(&ring)));
        let (keyset_by_sql, introspection) = (session.policy.keyset_by_sql, session.policy.introspection);
        let (keystore, handovers) = mpsc::channel(HANDOVERS);
        let sink = open_sink(&config.audit, keystore).await?;
        let audit = Audit::new(&config.audit, ring.client(), Arc::clone(&metrics));
        let roles = session.policy.roles.clone();
        let plans = PlanCache::new(PLANS);
        let limits = session.limits;
        let slow = SlowLimit::new(config.telemetry.slow_statement);
        let (tracer, waiting) = config.telemetry.traces.as_ref().map(|t| Tracer::new(t.sample, &metrics.spans)).unzip();
        let shared =
            Shared { ring, plans, catalogs, metrics, keyset_by_sql, introspection, roles, audit, limits, slow, tracer };
        let shared = Arc::new(shared);
        if let Some((_, scrape)) = &health {
            sample(scrape, &shared);
        }
        readiness.notes({
            let ring = Arc::clone(&shared.ring);
            move || key_note(&ring)
        });
        let traces = exporter(config, waiting, &shared.metrics)?;
        shared.metrics.standing.drain_limit.set(session.shutdown_timeout.as_secs_f64());
        Ok(App {
            listeners,
            gate,
            dialer,
            shared,
            embedded,
            sink,
            handovers,
            health,
            readiness,
            traces,
            drain: session.shutdown_timeout,
            shutdown,
        })
    }

    /// The audit of data access, for who rotates its file.
    pub fn audit(&self) -> Arc<Audit> {
        Arc::clone(&self.shared.audit)
    }

    /// From when on a statement is slow, for who changes it.
    pub fn slow(&self) -> SlowLimit {
        self.shared.slow.clone()
    }

    /// What counts reloads of settings.
    pub fn reloads(&self) -> Reloads {
        self.shared.metrics.reloads.clone()
    }

    /// The way in, for who has its files read again.
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            proxy: self.listeners.iter().map(Listener::address).collect(),
            metrics: self.health.as_ref().and_then(|(listener, _)| listener.local_addr().ok()),
        }
    }

    /// Serves one connection that somebody else accepted, from its first byte to its end, as [`App::run`] serves its own.
    pub fn serve(&self, socket: Socket) -> impl Future<Output = ()> + Send + 'static {
        let (gate, shared, drain) = (Arc::clone(&self.gate), Arc::clone(&self.shared), self.shutdown.clone());
        async move {
            if let Some(login) = gate.admit(socket).await {
                serve_one(login, shared, drain).await;
            }
        }
    }

    /// Serves until `shutdown`, then lets open transactions end within `shutdown_timeout`. Not cancel safe.
    pub async fn run(self) {
        let tasks = TaskTracker::new();
        // Health and metrics are served as long as a session lives.
        let served_until = CancellationToken::new();
        if let Some((listener, scrape)) = self.health {
            let began: Arc<OnceLock<Instant>> = Arc::default();
            let (draining, since) = (self.shared.metrics.standing.draining.clone(), Arc::clone(&began));
            scrape.before(move || draining.set(since.get().map_or(0.0, |at| at.elapsed().as_secs_f64())));
            let (shutdown, readiness, limit) = (self.shutdown.clone(), self.readiness.clone(), self.drain);
            let connections = self.shared.metrics.connections.clone();
            tasks.spawn(async move {
                shutdown.cancelled().await;
                let at = *began.get_or_init(Instant::now);
                readiness.drains(move || {
                    let (open, left) = (connections.open(), limit.saturating_sub(at.elapsed()).as_secs());
                    format!("shutting down: {open} connections are open, those left in {left} s are cut off")
                });
            });
            let served = health::serve(listener, self.readiness.clone(), scrape, served_until.clone());
            tasks.spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(%error, "the health endpoint ended; statements go on: restart to have it again");
                }
            });
        }
        let traced_until = CancellationToken::new();
        if let Some((exporter, spans)) = self.traces {
            tasks.spawn(exporter.run(spans, traced_until.clone()));
        }
        tasks.spawn(hosts::watch(self.dialer.clone(), self.shutdown.clone()));
        let up = self.shared.metrics.standing.database.clone();
        tasks.spawn(watch_database(self.dialer, self.readiness.clone(), up, self.shutdown.clone()));
        let sessions_over = CancellationToken::new();
        tasks.spawn(keep_in_keystore(Arc::clone(&self.shared.ring), self.handovers));
        let audit = tasks.spawn(Arc::clone(&self.shared.audit).run(self.sink, sessions_over.clone()));
        let shared = Arc::clone(&self.shared);
        let drain = self.shutdown.clone();
        listen::run(self.listeners, self.gate, move |login| serve_one(login, Arc::clone(&shared), drain.clone())).await;
        self.shutdown.cancel();
        traced_until.cancel();
        served_until.cancel();
        sessions_over.cancel();
        let _ = audit.await;
        self.shared.ring.stop().await;
        tasks.close();
        tasks.wait().await;
        if let Some(engine) = self.embedded {
            engine.close().await;
        }
    }
}

/// One client connection, from its login to its end.
async fn serve_one(login: LoggedIn, shared: Arc<Shared>, drain: CancellationToken) {
    let (database, peer) = (login.opening.database.clone(), login.peer);
    let cancel = login.cancel;
    let login = Login {
        client: (login.client, login.client_read),
        server: (login.server, login.server_read),
        database: login.opening.database,
        user: login.opening.user,
        peer: login.peer,
        asked: cancel.as_ref().map(CancelGuard::asked).unwrap_or_default(),
        parameters: login.parameters,
        replication: login.opening.replication,
        chosen: login.opening.chosen,
    };
    match session::serve(login, shared, drain).await {
        Ok(()) => tracing::debug!(database, ?peer, "connection ended"),
        Err(error) => tracing::info!(database, ?peer, %error, "connection ended"),
    }
}

/// Hands records of data access to the key service, until nobody sends any.
async fn keep_in_keystore(ring: Arc<Ring>, mut handovers: mpsc::Receiver<Handover>) {
    while let Some(Handover { batch, kept }) = handovers.recv().await {
        let outcome = ring.keep_access(batch).await.map_err(|error| error.to_string());
        let _ = kept.send(outcome); // who waited may have given up
    }
}

/// The sink of records of data access. One that cannot be opened is tried again later, unless it is required.
async fn open_sink(settings: &AuditSettings, keystore: mpsc::Sender<Handover>) -> Result<AuditSink, SinkError> {
    let sink = AuditSink::new(&settings.sink, keystore);
    match sink.check().await {
        Err(error) if settings.required => return Err(error),
        Err(error) => {
            tracing::error!(%error, "records of data access cannot be kept; statements run all the same: look at [audit] sink")
        }
        Ok(()) => {}
    }
    Ok(sink)
}

/// Reads the client key and starts the key ring over the embedded store, whose engine comes with it, or a key server.
async fn start_ring(config: &Config, metrics: KeyServiceMetrics) -> Result<(Arc<Ring>, Option<Engine>), StartError> {
    let (client, root) = client_key(config.client.as_ref())?;
    let client = Arc::new(client);
    let (service, embedded): (Arc<dyn KeyService>, _) = match &config.keys.service {
        Service::Server(server) => (Arc::new(Remote::connect(server, Arc::clone(&client), root).await?), None),
        Service::Embedded => {
            let (store, root_key) = (config.keys.store.clone(), config.root_key.clone());
            let opened = tokio::task::spawn_blocking(move || Engine::open_with(&store.into(), &root_key, root)).await;
            let engine = opened.map_err(|error| KeysError::unavailable(error.to_string()))??;
            let engine = engine.under(Policy { devices: config.keys.devices });
            (Arc::new(engine.clone()), Some(engine))
        }
    };
    let service = Arc::new(Metered::new(service, metrics));
    Ok((Ring::start(&config.keys, client, root, service).await?, embedded))
}

fn client_key(credentials: Option<&Credentials>) -> Result<(ClientKey, RootFingerprint), StartError> {
    let credentials = credentials.ok_or(StartError::NoClientKey)?;
    let (client, root) = ClientKey::from_secret(credentials.key.expose_secret())?;
    let derived = client.client_id();
    if credentials.id.parse() != Ok(derived) {
        return Err(StartError::OtherClient { given: credentials.id.clone(), derived: derived.to_string() });
    }
    Ok((client, root))
}

async fn bind_health(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|why| StartError::Listen { address: address.to_string(), why })
}

/// Has metrics set, before each page, that are counted elsewhere or not at all.
fn sample(scrape: &Scrape, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    scrape.before(move || {
        let Shared { metrics, ring, plans, .. } = &*shared;
        for (counters, looked) in [(&metrics.caches.plans, plans.looked()), (&metrics.caches.keys, ring.looked())] {
            counters.0.absolute(looked.0);
            counters.1.absolute(looked.1);
        }
        metrics.standing.lease.set(ring.lease_left().as_secs_f64());
        metrics.standing.key_service.set(if ring.trouble().is_none() { 1.0 } else { 0.0 });
    });
}

/// What `/readyz` tells of keys. Those at hand serve for a while, and plain statements need none.
fn key_note(ring: &Ring) -> Option<String> {
    let (trouble, left) = (ring.trouble()?, ring.lease_left().as_secs());
    Some(format!("note: keys are in trouble, those at hand serve for {left} s: {trouble}"))
}

/// What sends spans, where they are wanted.
fn exporter(
    config: &Config,
    waiting: Option<mpsc::Receiver<Span>>,
    metrics: &Metrics,
) -> Result<Option<(Exporter, mpsc::Receiver<Span>)>, StartError> {
    let Some((settings, waiting)) = config.telemetry.traces.as_ref().zip(waiting) else { return Ok(None) };
    let secure = settings.endpoint.scheme_str() == Some("https");
    let tls = secure.then(|| https_client_config(None)).transpose()?;
    Ok(Some((Exporter::new(settings.endpoint.clone(), tls, metrics.spans.clone()), waiting)))
}

/// Sets the readiness by whether a host of the database answers.
async fn watch_database(dialer: Dialer, readiness: Readiness, up: Gauge, shutdown: CancellationToken) {
    let mut failing = false;
    loop {
        let dialed = dialer.dial(dialer.attempts()[0]).await;
        up.set(if dialed.is_ok() { 1.0 } else { 0.0 });
        match dialed {
            Ok(_) => {
                readiness.ready();
                if std::mem::take(&mut failing) {
                    tracing::info!("the database answers again");
                }
            }
            Err(error) => {
                readiness.not_ready(format!("the database does not answer: {error}"));
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "the database does not answer; new connections are refused: look whether it runs, and at [database]");
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(DATABASE_PROBE) => {}
        }
    }
}

/// Set-ups that work and are weaker than they look.
fn warn_of_risks(config: &Config) {
    if config.session.auth == AuthMode::Passthrough && config.session.database.client_certificate.is_some() {
        tracing::warn!(
            "the certificate of sslcert is shown for whoever connects: a database that lets roles in by it alone lets everybody in as them; \
             have it ask for a password as well, or set auth.mode = \"managed\""
        );
    }
    if config.session.is_local() {
        return;
    }
    let device = config.keys.home.join("device/client.key");
    if std::fs::File::open(&device).is_ok() {
        tracing::warn!(
            device = %device.display(),
            "an admin's device key can be read by this proxy: whoever takes over the proxy can grant; keep it elsewhere"
        );
    }
    if !config.session.require_tls {
        tracing::warn!("clients may connect without TLS: logins and plaintext can be read on the network");
    }
}

/// A key that may grant, in a proxy that others reach.
fn warn_of_grants(config: &Config, ring: &Ring) {
    if !config.session.is_local() && ring.may_grant() {
        tracing::warn!("CS_CLIENT_KEY may grant keysets: whoever takes over this proxy can grant; use a key without");
    }
}

/// What a check found.
#[derive(Debug)]
pub struct Checked {
    /// The client that the key belongs to.
    pub client: String,
    /// The keyset for new values; empty where every session must choose.
    pub keyset: String,
    /// Users that the proxy lets in itself; `None` where it relays logins.
    pub users: Option<usize>,
    /// State of the `seal` schema; `None` where the proxy has no login of its own to look with.
    pub schema: Option<database::Status>,
}

/// Tries everything that serving needs, and listens nowhere.
///
/// # Errors
/// The first thing that does not hold.
pub async fn check(config: &Config) -> Result<Checked, StartError> {
    let session = &config.session;
    let dialer = Dialer::new(session.database.clone())?;
    let users = Gate::new(session, dialer.clone(), CancellationToken::new())?.user_count();
    let (client, _) = client_key(config.client.as_ref())?;
    let (ring, _) = start_ring(config, Metrics::detached().key_service).await?;
    let signed = ring.types();
    let usable = usable_keyset(&ring).await;
    ring.stop().await;
    usable?;
    let schema = match &session.database.user {
        Some(_) => {
            let connection = connect_with(&dialer, None).await?;
            Some(database::status(&connection, &signed).await?)
        }
        None => {
            dialer.dial(dialer.attempts()[0]).await.map_err(ConnectError::from)?;
            None
        }
    };
    let keyset = config.keys.keyset.clone().unwrap_or_default();
    Ok(Checked { client: client.client_id().to_string(), keyset, users, schema })
}

/// New values can be sealed in the keyset that is configured, if one is.
async fn usable_keyset(ring: &Ring) -> Result<(), KeysError> {
    match ring.default_keyset() {
        Ok(keyset) => ring.ready(keyset).await,
        // Every session chooses.
        Err(KeysError::NoKeysetChosen) => Ok(()),
        Err(error) => Err(error),
    }
}
