//! `columnseal bench keys`: what a key service carries. A workspace and a key server of its own are made in a temporary
//! folder; the figures are of this machine, client and server on it.

mod tenants;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use columnseal::crypto::client_key::ClientKey;
use columnseal::crypto::root::RootFingerprint;
use columnseal::crypto::{KeyId, Kref};
use columnseal::keys::remote::Remote;
use columnseal::keys::service::{DecryptGroup, DecryptKeys, EncryptKeys, GetGrants, GetState, Revision, Standing, ask};
use columnseal::keys::settings::{Server, Service, Settings};
use columnseal::keys::{KeyService, Permissions, Ring};
use columnseal::keyserver::root_key::Source;
use columnseal::keyserver::workspace::{ClientKind, InitOptions, NewClient};
use columnseal::keyserver::{Engine, Workspace};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::stage::free_port;

/// Keys in one request, as proxies ask for them.
const BATCH: u32 = 64;
/// How long to wait for a key server, and for a change to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `bench keys`.
#[derive(Args, Debug)]
pub(crate) struct KeysArgs {
    /// Seconds of each load
    #[arg(long, default_value_t = 3, value_parser = super::positive::<u64>)]
    seconds: u64,
    /// Event streams held open at the key server
    #[arg(long, default_value_t = 1_000, value_parser = super::positive::<usize>)]
    streams: usize,
    /// Measure this instead: a client with so many keysets, of which it uses one
    #[arg(long, value_parser = super::positive::<usize>)]
    keysets: Option<usize>,
    /// An empty PostgreSQL database for the store; default: SQLite
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// What a figure is of, and the figure.
type Row = (String, f64);

/// A workspace with one client, and its key server.
struct Bench {
    home: tempdir::Folder,
    /// URL of the store, where it is no file.
    store: Option<String>,
    key: Arc<ClientKey>,
    root: RootFingerprint,
    server: Server,
    child: Child,
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures and prints.
///
/// # Errors
/// What could not be started or measured, in words.
pub(super) async fn run(args: &KeysArgs, json: bool) -> Result<(), String> {
    let length = Duration::from_secs(args.seconds);
    let store = args.store.clone();
    let bench = tokio::task::spawn_blocking(|| Bench::start(store)).await.map_err(|e| e.to_string())??;
    let rows = match args.keysets {
        // Alone: what it takes of memory is seen in a process that has done nothing else.
        Some(count) => bench.tenants(count).await?,
        None => bench.service(length, args.streams).await?,
    };
    if json {
        let value: Vec<Value> = rows.iter().map(|(what, figure)| json!({ "what": what, "figure": figure })).collect();
        return super::super::output::stdout(&format!("{:#}", Value::from(value))).map_err(|e| e.to_string());
    }
    for (what, figure) in rows {
        super::super::output::stdout(&format!("{figure:>12.1}  {what}")).map_err(|e| e.to_string())?;
    }
    Ok(())
}

impl Bench {
    fn start(store: Option<String>) -> Result<Self, String> {
        let home = tempdir::Folder::new()?;
        let place = Place { home: home.0.clone(), store: store.clone() };
        let options = place.options()?;
        std::fs::create_dir_all(home.0.join("store")).map_err(|e| format!("cannot make the store's folder: {e}"))?;
        Workspace::init(&options).map_err(told)?;
        let workspace = place.open()?;
        let new = NewClient { keysets: vec!["default".into()], ..NewClient::named("bench", ClientKind::Application) };
        let secret = workspace.create_client(&new).map_err(told)?.secret;
        let (key, root) = ClientKey::from_secret(secret.expose_secret()).map_err(|e| e.to_string())?;
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
        if let Some(store) = &store {
            command.env("CS_KEYSERVER__STORE", store);
        }
        let child = command
            .arg("keyserver")
            .current_dir(&home.0)
            .env("COLUMNSEAL_HOME", &home.0)
            .env("CS_KEYSERVER__LISTEN", format!("127.0.0.1:{port}"))
            .env("CS_KEYSERVER__ROOT_KEY", options.root_key.to_string())
            .env("CS_KEYSERVER__CLIENT_RATE", "1000000")
            .env("CS_METRICS__LISTEN", "off")
            .env("CS_LOG__LEVEL", "warn")
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| format!("cannot start the key server: {e}"))?;
        let server = Server { urls: vec![format!("http://127.0.0.1:{port}")], ca: None };
        Ok(Self { home, store, key: Arc::new(key), root, server, child })
    }

    /// What the key service does for a few clients.
    async fn service(&self, length: Duration, streams: usize) -> Result<Vec<Row>, String> {
        let (keys, grants) = (self.keys(length)?, self.grants(length)?);
        let (median, late) = self.fetches(length).await?;
        let [first, last] = self.revocation().await?;
        let told = self.streams(streams).await?;
        let rows = [
            ("data keys to encrypt with, proved, in batches of 64, one thread, embedded: per second", keys),
            ("client and grant made, one after the other, embedded: per second", grants),
            ("one data key to decrypt with, over HTTP on this machine, p50: µs", median),
            ("the same, p99: µs", late),
            ("revoke until the first of 3 rings refuses: ms", first),
            ("revoke until the last of 3 rings refuses: ms", last),
            ("event streams told of a change: streams", streams as f64),
            ("a change until the last stream has told: ms", told),
        ];
        Ok(rows.map(|(what, figure)| (what.to_owned(), figure)).to_vec())
    }

    /// Data keys a second of one thread.
    fn keys(&self, length: Duration) -> Result<f64, String> {
        let (engine, grant) = (self.engine()?, self.grant()?);
        let begin = Instant::now();
        let mut made = 0;
        while begin.elapsed() < length {
            let request = columnseal::keys::request::Request::sign(engine.service_id(), &self.key, grant.encrypt()?);
            engine.encrypt_keys(&request.map_err(told)?).map_err(told)?;
            made += BATCH;
        }
        Ok(f64::from(made) / begin.elapsed().as_secs_f64())
    }

    /// Clients with a grant a second.
    fn grants(&self, length: Duration) -> Result<f64, String> {
        let workspace = self.place().open()?;
        let begin = Instant::now();
        let mut made = 0;
        while begin.elapsed() < length {
            let keysets = vec!["default".to_owned()];
            let new = NewClient { keysets, ..NewClient::named(&format!("c{made}"), ClientKind::Application) };
            workspace.create_client(&new).map_err(told)?;
            made += 1;
        }
        Ok(f64::from(made) / begin.elapsed().as_secs_f64())
    }

    /// Microseconds of a fetch of one key: median and 99th percentile.
    async fn fetches(&self, length: Duration) -> Result<(f64, f64), String> {
        let (remote, grant) = (self.remote().await?, self.grant()?);
        let mut taken = Vec::new();
        let begin = Instant::now();
        while begin.elapsed() < length {
            let sent = Instant::now();
            ask(&remote, &self.key, &grant.decrypt(taken.len() as u64)).await.map_err(told)?;
            taken.push(sent.elapsed().as_secs_f64() * 1e6);
        }
        taken.sort_by(f64::total_cmp);
        let at = |part: usize| taken.get(taken.len() * part / 100).copied().unwrap_or_default();
        Ok((at(50), at(99)))
    }

    /// Milliseconds from a revocation until the first and the last of three rings refuse.
    async fn revocation(&self) -> Result<[f64; 2], String> {
        let mut rings = Vec::new();
        for _ in 0..3 {
            let service: Arc<dyn KeyService> = Arc::new(self.remote().await?);
            let ring = Ring::start(&self.settings(), Arc::clone(&self.key), self.root, service).await.map_err(told)?;
            let keyset = ring.default_keyset().map_err(told)?;
            ring.data_key(keyset, 1).ok_or("a ring has no data key")?;
            rings.push((ring, keyset));
        }
        let begin = Instant::now();
        self.admin(|workspace| workspace.revoke("bench", None).map(drop)).await?;
        let mut refused = vec![None; rings.len()];
        while refused.iter().any(Option::is_none) {
            if begin.elapsed() > PATIENCE {
                return Err("the revocation did not arrive".to_owned());
            }
            for ((ring, keyset), when) in rings.iter().zip(&mut refused) {
                if when.is_none() && ring.data_key(*keyset, 1).is_none() {
                    *when = Some(begin.elapsed());
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.admin(|workspace| workspace.grant("bench", "default", Permissions::APPLICATION, None).map(drop)).await?;
        let mut times: Vec<f64> = refused.into_iter().flatten().map(|when| when.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        Ok([times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default()])
    }

    /// Milliseconds from a change until every one of these streams has told of it.
    async fn streams(&self, count: usize) -> Result<f64, String> {
        let client = self.key.client_id();
        let mut open = Vec::new();
        for _ in 0..count {
            open.push(Arc::new(self.remote().await?));
        }
        let first = |remote: &Arc<Remote>| {
            let remote = Arc::clone(remote);
            tokio::spawn(async move { remote.next_standing(client, Standing::default()).await })
        };
        let mut seen = Vec::new();
        for waiting in open.iter().map(first).collect::<Vec<_>>() {
            seen.push(waiting.await.map_err(|e| e.to_string())?.map_err(told)?);
        }
        let next = |(remote, seen): (&Arc<Remote>, Standing)| {
            let remote = Arc::clone(remote);
            tokio::spawn(async move { remote.next_standing(client, seen).await.map(|_| Instant::now()) })
        };
        let waiting: Vec<_> = open.iter().zip(seen).map(next).collect();
        let begin = Instant::now();
        self.admin(|workspace| workspace.grant("bench", "default", Permissions::APPLICATION, None).map(drop)).await?;
        let mut last = begin;
        for stream in waiting {
            last = last.max(stream.await.map_err(|e| e.to_string())?.map_err(told)?);
        }
        Ok((last - begin).as_secs_f64() * 1e3)
    }

    async fn admin(
        &self,
        act: impl FnOnce(&Workspace) -> Result<(), columnseal::keys::KeysError> + Send + 'static,
    ) -> Result<(), String> {
        let place = self.place();
        let done = tokio::task::spawn_blocking(move || act(&place.open()?).map_err(told)).await;
        done.map_err(|e| e.to_string())?
    }

    async fn remote(&self) -> Result<Remote, String> {
        let begin = Instant::now();
        loop {
            match Remote::connect(&self.server, Arc::clone(&self.key), self.root).await {
                Ok(remote) => return Ok(remote),
                Err(error) if begin.elapsed() > PATIENCE => return Err(error.to_string()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn place(&self) -> Place {
        Place { home: self.home.0.clone(), store: self.store.clone() }
    }

    fn engine(&self) -> Result<Engine, String> {
        let options = self.place().options()?;
        Engine::open_with(&options.store, &options.root_key, self.root).map_err(told)
    }

    fn settings(&self) -> Settings {
        let home = self.home.0.clone();
        Settings {
            service: Service::Server(self.server.clone()),
            store: home.join("store").join("keystore.db"),
            home,
            keyset: Some("default".into()),
            values_per_key: 65_536,
            key_lifetime: Duration::from_secs(900),
            lease: Duration::from_secs(60),
            pool: 8,
            min_revision: Revision::default(),
            devices: true,
        }
    }

    /// What fetches name of the client's grant.
    fn grant(&self) -> Result<Granted, String> {
        let engine = self.engine()?;
        let sign = |body| columnseal::keys::request::Request::sign(engine.service_id(), &self.key, body);
        let state = engine.state(&sign(GetState {}).map_err(told)?).map_err(told)?;
        let listed = state.granted.first().ok_or("the client has no keyset")?;
        let body = GetGrants { keysets: vec![listed.keyset] };
        let request = columnseal::keys::request::Request::sign(engine.service_id(), &self.key, body).map_err(told)?;
        let grants = engine.grants(&request).map_err(told)?;
        let grant = grants.first().ok_or("the client has no grant")?.grant.digest();
        let kref = *listed.krefs.first().ok_or("the keyset has no epoch")?;
        Ok(Granted { keyset: listed.keyset, kref, grant })
    }
}

/// A grant as fetches name it.
struct Granted {
    keyset: columnseal::crypto::KeysetId,
    kref: Kref,
    grant: [u8; 32],
}

impl Granted {
    fn encrypt(&self) -> Result<EncryptKeys, String> {
        let nonce = columnseal::crypto::random::array().map_err(|e| e.to_string())?;
        let epoch = columnseal::crypto::Epoch(1);
        Ok(EncryptKeys { keyset: self.keyset, grant: self.grant, epoch, nonce, count: BATCH })
    }

    fn decrypt(&self, number: u64) -> DecryptKeys {
        let group = DecryptGroup { kref: self.kref, grant: self.grant, ids: vec![KeyId(number.to_be_bytes())] };
        DecryptKeys { groups: vec![group], proved: false }
    }
}

/// Where the workspace is.
struct Place {
    home: PathBuf,
    store: Option<String>,
}

impl Place {
    fn options(&self) -> Result<InitOptions, String> {
        let home = self.home.clone();
        let file = home.join("store").join("keystore.db");
        let root_key = Source::File(file.with_file_name("root.key"));
        let store = self.store.as_ref().map_or_else(|| Ok(file.into()), |url| url.parse().map_err(told))?;
        let recovery_file = home.join("recovery-kit.txt");
        Ok(InitOptions { home, root_key, store, recovery_file, device_name: "admin".into(), devices: true })
    }

    fn open(&self) -> Result<Workspace, String> {
        let options = self.options()?;
        Workspace::open_with(&options.home, &options.store, &options.root_key).map_err(told)
    }
}

fn told(error: columnseal::keys::KeysError) -> String {
    error.to_string()
}

/// A folder that goes when the benchmark ends.
mod tempdir {
    use std::path::PathBuf;

    pub(super) struct Folder(pub(super) PathBuf);

    impl Folder {
        pub(super) fn new() -> Result<Self, String> {
            let path = std::env::temp_dir().join(format!("columnseal-bench-keys-{}", std::process::id()));
            std::fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
            Ok(Self(path))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
