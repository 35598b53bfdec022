//! Event streams, what they are told, and what a proxy keeps in memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use columnseal::crypto::client_key::ClientKey;
use columnseal::crypto::root::RootFingerprint;
use columnseal::keys::service::Standing;
use columnseal::keys::settings::{KEY_LIFETIME, LEASE, POOL, Service, Settings, VALUES_PER_KEY};
use columnseal::keys::{KeyService, Ring};
use columnseal::keyserver::http::HEARTBEAT;
use tokio::task::JoinSet;

use super::process::{Cpu, memory};
use super::requests::KEYSETS;
use super::stage::{Client, Kind, Stage, ids};
use super::{Figure, show};

/// Streams that are open.
const STREAMS: usize = 500;
/// Clients in the store that nobody has opened a stream for.
const CLIENTS: usize = 10_000;
/// Changes of each kind.
const CHANGES: usize = 5;
/// Data keys that a proxy keeps.
const CACHED: usize = 10_000;

pub async fn run(stage: &Stage) {
    if stage.kind == Kind::Sqlite {
        proxy_memory(stage).await;
    }
    let quiet = change(stage, "workspace", &[]).await;
    Figure { what: "a change that concerns nobody, no streams".into(), cpu: quiet }.show();
    let (before, begin) = (stage.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = (stage.cpu() - before) / begin.elapsed().as_secs_f64();

    let web = stage.make_client("listener", &["default"]);
    let (memory, before) = (stage.memory(), stage.cpu());
    let clients = streams(stage, &web).await;
    let opened = (stage.cpu() - before) / STREAMS as f64;
    Figure { what: "connection, GET service, and opening a stream".into(), cpu: opened }.show();
    tokio::time::sleep(Duration::from_secs(12)).await;
    show("memory of the key server for one stream", (stage.memory() - memory) / STREAMS as f64, "KiB");

    let (before, begin) = (stage.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(20)).await;
    let beating = (stage.cpu() - before) / begin.elapsed().as_secs_f64();
    let beats = STREAMS as f64 / HEARTBEAT.as_secs_f64();
    Figure { what: "one heartbeat of one stream".into(), cpu: (beating - idle) / beats }.show();

    let others = change(stage, "workspace", &[]).await - beating * QUIET.as_secs_f64();
    let woken = (others - (quiet - idle * QUIET.as_secs_f64())) / STREAMS as f64;
    Figure { what: "a change that concerns others, for each stream".into(), cpu: woken }.show();
    let begin = Instant::now();
    let all = change(stage, "changed_all", &clients).await - beating * QUIET.as_secs_f64();
    let concerned = (all - others) / STREAMS as f64;
    Figure { what: "a change that concerns all, for each stream".into(), cpu: concerned }.show();
    show("  on average until all were told, at most", told_in(begin) * 1e3, "ms");
    many_clients(stage, beating).await;
    show("memory of the key server at the end", stage.memory() / 1024.0, "MiB");
}

/// After each change nothing is asked for this long.
const QUIET: Duration = Duration::from_millis(1_000);

fn told_in(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() / CHANGES as f64 - QUIET.as_secs_f64()
}

/// What a change in the store costs, with the second after it; waits until these clients were told.
async fn change(stage: &Stage, what: &str, told: &[Client]) -> Cpu {
    let turn = if stage.kind == Kind::Sqlite { "" } else { "UPDATE turns SET number = number + 1;" };
    let set = if what == "changed_all" { ", changed_all = revision + 1" } else { "" };
    let sql = format!("BEGIN; {turn} UPDATE workspace SET revision = revision + 1{set}; COMMIT;");
    let before = stage.cpu();
    for _ in 0..CHANGES {
        let mut telling = JoinSet::new();
        for client in told {
            let (remote, id) = (Arc::clone(&client.remote), client.key.client_id());
            let seen = remote.next_standing(id, Standing::default()).await.expect("a standing");
            telling.spawn(async move {
                let mut now = seen;
                while now.changed == seen.changed {
                    now = remote.next_standing(id, now).await.expect("another standing");
                }
            });
        }
        stage.sql(&sql);
        telling.join_all().await;
        tokio::time::sleep(QUIET).await;
    }
    (stage.cpu() - before) / CHANGES as f64
}

async fn streams(stage: &Stage, web: &(Arc<ClientKey>, RootFingerprint)) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..STREAMS {
        let client = stage.connect(web).await;
        client.remote.next_standing(client.key.client_id(), Standing::default()).await.expect("a standing");
        clients.push(client);
    }
    clients
}

/// More clients in the store: their records are another's, which nobody reads.
async fn many_clients(stage: &Stage, beating: Cpu) {
    let before = change(stage, "workspace", &[]).await - beating * QUIET.as_secs_f64();
    let (numbers, id) = match stage.kind {
        Kind::Sqlite => (
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {CLIENTS})"),
            "randomblob(16)",
        ),
        _ => (
            format!("WITH n(i) AS (SELECT generate_series(1, {CLIENTS}))"),
            "decode(md5(i::text || random()::text), 'hex')",
        ),
    };
    let insert = "INSERT INTO clients (id, name, enabled, body, signer, signature)";
    let one = "(SELECT body, signer, signature FROM clients LIMIT 1)";
    stage.sql(&format!("{insert} {numbers} SELECT {id}, 'fake-' || i, 1, body, signer, signature FROM n, {one} one"));
    let after = change(stage, "workspace", &[]).await - beating * QUIET.as_secs_f64();
    Figure { what: "a change, for each 1,000 clients".into(), cpu: (after - before) / (CLIENTS as f64 / 1e3) }.show();
}

/// Of this process, which holds what a proxy holds.
async fn proxy_memory(stage: &Stage) {
    let now = || memory(std::process::id());
    let (key, root) = stage.make_client("proxy", &[]);
    let names = (0..KEYSETS).map(|n| format!("tenant-{n}")).collect::<Vec<_>>();
    let allowed = columnseal::keys::Permissions::APPLICATION;
    stage.admin.grant_all("proxy", &names, allowed, None).expect("grants");
    let client = stage.connect(&(Arc::clone(&key), root)).await;
    let settings = Settings {
        home: std::path::PathBuf::from("/nonexistent"),
        service: Service::Server(stage.address.clone()),
        store: std::path::PathBuf::new(),
        keyset: None,
        values_per_key: VALUES_PER_KEY,
        key_lifetime: KEY_LIFETIME,
        lease: LEASE,
        pool: POOL,
        min_revision: Default::default(),
        devices: true,
    };
    let before = now();
    let ring = Ring::start(&settings, key, root, Arc::clone(&client.remote) as Arc<dyn KeyService>).await;
    let ring = ring.expect("it starts");
    show("memory of a proxy for one keyset of its list", (now() - before) / KEYSETS as f64, "KiB");
    let keysets = ring.granted();
    let before = now();
    for listed in &keysets {
        ring.ready(listed.keyset).await.expect("data keys");
    }
    show("memory of a proxy for one keyset in use, with its pool", (now() - before) / KEYSETS as f64, "KiB");
    let kref = keysets[0].krefs[0];
    let before = now();
    for some in ids(CACHED).chunks(250) {
        let wanted = some.iter().map(|id| (kref, *id)).collect::<Vec<_>>();
        ring.fetch(&wanted).await.expect("keys");
    }
    show("memory of a proxy for one data key that it keeps", (now() - before) * 1024.0 / CACHED as f64, "bytes");
    ring.stop().await;
}
