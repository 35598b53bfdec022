//! Many keysets of one client: making and granting them by commands, and what a proxy's start takes with all of them.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use columnseal::crypto::ClientId;
use columnseal::crypto::client_key::ClientKey;
use columnseal::keys::remote::Remote;
use columnseal::keys::request::{Call, ServiceId};
use columnseal::keys::service::{Reply, Standing};
use columnseal::keys::settings::Settings;
use columnseal::keys::{KeyService, Ring};
use columnseal::keyserver::workspace::{ClientKind, NewClient};
use secrecy::ExposeSecret;

use super::{Bench, Row, told};

/// A key server, and how often it was asked.
struct Counted {
    remote: Remote,
    asked: AtomicU64,
    /// Of these, for grants, keys and term roots.
    fetches: AtomicU64,
}

impl KeyService for Counted {
    fn id(&self) -> ServiceId {
        self.remote.id()
    }

    fn call(&self, call: Call) -> Reply<'_, Vec<u8>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if ["/v1/grants", "/v1/keys", "/v1/terms"].iter().any(|path| call.path.starts_with(path)) {
            self.fetches.fetch_add(1, Ordering::Relaxed);
        }
        self.remote.call(call)
    }

    fn next_standing(&self, client: ClientId, seen: Standing) -> Reply<'_, Standing> {
        self.remote.next_standing(client, seen)
    }
}

impl Bench {
    /// A client with so many keysets, and a ring of it.
    pub(super) async fn tenants(&self, count: usize) -> Result<Vec<Row>, String> {
        let home = self.place();
        let make = move || {
            let new = NewClient::named("many", ClientKind::Application);
            home.open()?.create_client(&new).map(|made| made.secret).map_err(told)
        };
        let secret = tokio::task::spawn_blocking(make).await.map_err(|e| e.to_string())??;
        let (key, root) = ClientKey::from_secret(secret.expose_secret()).map_err(|e| e.to_string())?;
        let names: Vec<String> = (0..count).map(|number| format!("tenant-{number}")).collect();
        let (made, granted) = (
            self.command(&["keyset", "create"], &names).await?,
            self.command(&["client", "grant", "many"], &names).await?,
        );

        let key = Arc::new(key);
        let remote = Remote::connect(&self.server, Arc::clone(&key), root).await.map_err(told)?;
        let service = Arc::new(Counted { remote, asked: AtomicU64::new(0), fetches: AtomicU64::new(0) });
        let (before, begin) = (resident()?, Instant::now());
        let settings = Settings { keyset: None, ..self.settings() };
        let ring =
            Ring::start(&settings, key, root, Arc::clone(&service) as Arc<dyn KeyService>).await.map_err(told)?;
        let start = begin.elapsed().as_secs_f64() * 1e3;
        let memory = resident()?.saturating_sub(before) as f64 / 1024.0;
        let (asked, fetched) = (service.asked.load(Ordering::Relaxed), service.fetches.load(Ordering::Relaxed));
        if ring.keysets().len() != count {
            return Err(format!("{} keysets are granted, not {count}", ring.keysets().len()));
        }
        let begin = Instant::now();
        let keyset = ring.resolve(&format!("tenant-{}", count / 2)).map_err(told)?;
        ring.ready(keyset).await.map_err(told)?;
        ring.data_key(keyset, 1).ok_or("the ring has no data key")?;
        let first = begin.elapsed().as_secs_f64() * 1e3;
        ring.stop().await;
        let of = |what: &str| format!("{count} keysets of one client: {what}");
        Ok(vec![
            (of("made by one command over HTTP: per second"), count as f64 / made),
            (of("granted by one command over HTTP: per second"), count as f64 / granted),
            (of("start of a ring over HTTP: ms"), start),
            (of("memory of the process that the ring's start added: MiB"), memory),
            (of("requests at start"), asked as f64),
            (of("requests at start that fetch grants or keys"), fetched as f64),
            (of("first use of one, until it can encrypt: ms"), first),
        ])
    }

    /// Seconds that a command of the admin takes.
    async fn command(&self, args: &[&str], names: &[String]) -> Result<f64, String> {
        let exe = std::env::current_exe().map_err(|e| e.to_string())?;
        let url = self.server.urls.first().ok_or("the key server has no address")?;
        let mut command = Command::new(exe);
        command.args(args).args(names).arg("--quiet").current_dir(&self.home.0).env("COLUMNSEAL_HOME", &self.home.0);
        command.env("CS_KEYS__SERVICE", url).env("CS_LOG__LEVEL", "warn").stdout(Stdio::null());
        let (what, begin) = (args.join(" "), Instant::now());
        let status = tokio::task::spawn_blocking(move || command.status()).await.map_err(|e| e.to_string())?;
        let status = status.map_err(|e| format!("cannot run columnseal {what}: {e}"))?;
        if status.success() { Ok(begin.elapsed().as_secs_f64()) } else { Err(format!("columnseal {what} failed")) }
    }
}

/// Memory of this process that is in use, in KiB.
fn resident() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|e| format!("/proc/self/status: {e}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| "/proc/self/status names no VmRSS".to_owned())
}
