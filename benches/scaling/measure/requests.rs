//! Requests of each kind: several clients at once, each on a connection of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use columnseal::crypto::random;
use columnseal::crypto::{Epoch, KeysetId, TypeId};
use columnseal::keys::KeyService;
use columnseal::keys::access::{AccessBatch, AccessRecord, TypeAccess};
use columnseal::keys::admin::GetInventory;
use columnseal::keys::request::Call;
use columnseal::keys::service::{
    DecryptGroup, DecryptKeys, EncryptKeys, GetGrants, GetPins, GetState, Renew, Reply, TermRoots, ask,
};
use columnseal::keyserver::engine::SEEN_MS;

use super::process::Cpu;
use super::stage::{Client, Granted, Kind, Stage, ids};
use super::{Figure, show};

/// Clients at once.
const AT_ONCE: usize = 8;
/// Requests of one probe.
const MANY: usize = 1_000;
/// Keysets of a client that has many.
pub const KEYSETS: usize = 500;
/// Clients that were never seen.
const NEW: usize = 600;

/// Runs `work` so many times in all, and tells what one takes.
async fn probe(stage: &Stage, what: &str, count: usize, work: impl AsyncFn(usize)) -> Cpu {
    let before = stage.cpu();
    let share = |first: usize| {
        let work = &work;
        async move {
            for number in (first..count).step_by(AT_ONCE) {
                work(number).await;
            }
        }
    };
    let [a, b, c, d, e, f, g, h] = std::array::from_fn(share);
    tokio::join!(a, b, c, d, e, f, g, h);
    // What is done behind the answer.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cpu = (stage.cpu() - before) / count as f64;
    Figure { what: what.to_owned(), cpu }.show();
    cpu
}

pub async fn run(stage: &Stage) {
    let before = stage.cpu();
    let begin = Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = (stage.cpu() - before) / begin.elapsed().as_secs_f64();
    Figure { what: "idle, a second".into(), cpu: idle }.show();

    let web = stage.make_client("web", &["default"]);
    let mut clients = Vec::new();
    for _ in 0..AT_ONCE {
        clients.push(stage.connect(&web).await);
    }
    let granted = clients[0].granted().await;
    let of = |number: usize| &clients[number % AT_ONCE];
    probe(stage, "connection with TLS, and GET service", 500, async |_| drop(stage.connect(&web).await)).await;
    probe(stage, "GET service", MANY, async |n| drop(of(n).remote.hello().await)).await;
    probe(stage, "lease renewal", MANY, async |n| drop(of(n).ask(&Renew::default()).await)).await;
    let begin = Instant::now();
    for _ in 0..200 {
        of(0).ask(&Renew::default()).await;
    }
    show("  one after the other: wall time of one", begin.elapsed().as_secs_f64() * 1e6 / 200.0, "us");
    probe(stage, "state, 1 keyset", MANY, async |n| drop(of(n).ask(&GetState {}).await)).await;
    probe(stage, "pins, none", MANY, async |n| drop(of(n).ask(&GetPins { database: "x".into() }).await)).await;
    let one = GetGrants { keysets: vec![granted.keyset] };
    probe(stage, "grants, 1", MANY, async |n| drop(of(n).ask(&one).await)).await;
    for count in [1, 9, 256] {
        let what = format!("new data keys, {count}");
        probe(stage, &what, if count > 9 { 100 } else { MANY }, async |n| encrypt(of(n), granted, count).await).await;
    }
    for count in [1, 64, 256] {
        let what = format!("data keys by id, {count}");
        probe(stage, &what, if count > 9 { 200 } else { MANY }, async |n| decrypt(of(n), granted, count).await).await;
    }
    probe(stage, "term root, 1", MANY, async |n| terms(of(n), granted).await).await;
    let size = stage.size();
    for count in [1, 16] {
        probe(stage, &format!("records of access, {count}"), 1_000, async |n| access(of(n), count).await).await;
    }
    show("  the store grew by", (stage.size() - size) / 17_000.0, "bytes a record");
    let begin = Instant::now();
    for _ in 0..100 {
        access(of(0), 1).await;
    }
    show("  one after the other: wall time of one", begin.elapsed().as_secs_f64() * 1e6 / 100.0, "us");
    new_clients(stage).await;
    many_keysets(stage).await;
}

/// Clients that are seen for the first time, and then again.
async fn new_clients(stage: &Stage) {
    let before = stage.cpu();
    let keys = (0..NEW).map(|n| stage.make_client(&format!("new-{n}"), &["default"])).collect::<Vec<_>>();
    Figure { what: "making a client with one grant".into(), cpu: (stage.cpu() - before) / NEW as f64 }.show();
    let mut clients = Vec::new();
    for key in &keys {
        clients.push(stage.connect(key).await);
    }
    let first =
        probe(stage, "lease renewal, client noted", NEW, async |n| drop(clients[n].ask(&Renew::default()).await)).await;
    let again =
        probe(stage, "lease renewal, noted before", NEW, async |n| drop(clients[n].ask(&Renew::default()).await)).await;
    Figure { what: "noting when a client was seen".into(), cpu: first - again }.show();
    if stage.kind == Kind::Postgres {
        slow_notes(stage, &clients).await;
    }
}

/// Many clients are seen while noting one takes 50 ms: what a renewal of another client waits for.
async fn slow_notes(stage: &Stage, clients: &[Client]) {
    stage.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END';
         CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON seen FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    tokio::time::sleep(Duration::from_millis(SEEN_MS + 500)).await;
    let other = stage.connect(&stage.make_client("other", &["default"])).await;
    other.ask(&Renew::default()).await;
    let all = clients.iter().map(|client| (Arc::clone(&client.remote), Arc::clone(&client.key)));
    for (remote, key) in all {
        tokio::spawn(async move { drop(ask(&*remote as &dyn KeyService, &key, &Renew::default()).await) });
    }
    let (begin, mut longest, mut count) = (Instant::now(), Duration::ZERO, 0);
    while begin.elapsed() < Duration::from_secs(30) {
        let sent = Instant::now();
        drop(ask(&*other.remote as &dyn KeyService, &other.key, &Renew::default()).await);
        (longest, count) = (longest.max(sent.elapsed()), count + 1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    show("600 notes of 50 ms: longest renewal of another client", longest.as_secs_f64() * 1e3, "ms");
    show("  renewals in 30 s", f64::from(count), "");
    stage.sql("DROP TRIGGER slow ON seen");
}

async fn many_keysets(stage: &Stage) {
    let names = (0..KEYSETS).map(|n| format!("tenant-{n}")).collect::<Vec<_>>();
    let many = stage.make_client("many", &[]);
    let client = stage.connect(&many).await;
    let (before, size) = (stage.cpu(), stage.size());
    stage.admin.create_keysets(&names, false).expect("keysets");
    Figure { what: "making a keyset".into(), cpu: (stage.cpu() - before) / KEYSETS as f64 }.show();
    show("  the store grew by", (stage.size() - size) / KEYSETS as f64, "bytes a keyset");
    let (before, size) = (stage.cpu(), stage.size());
    let allowed = columnseal::keys::Permissions::APPLICATION;
    stage.admin.grant_all("many", &names, allowed, None).expect("grants");
    Figure { what: "granting a keyset".into(), cpu: (stage.cpu() - before) / KEYSETS as f64 }.show();
    show("  the store grew by", (stage.size() - size) / KEYSETS as f64, "bytes a grant");
    let state = async || {
        let call = Call::sign(client.remote.id(), &client.key, &GetState {}).expect("a call");
        client.remote.call(call).await.expect("an answer").len()
    };
    show("state, many keysets: answer", state().await as f64, "bytes");
    probe(stage, "state, many keysets", 50, async |_| assert!(state().await > 0)).await;
    let held = client.ask(&GetState {}).await;
    let some = held.granted.iter().take(64).map(|listed| listed.keyset).collect::<Vec<KeysetId>>();
    probe(stage, "grants, 64", 100, async |_| drop(client.ask(&GetGrants { keysets: some.clone() }).await)).await;
    let admin = stage.connect(&(Arc::clone(&stage.admin_key), many.1)).await;
    let inventory = async || {
        let call = Call::sign(admin.remote.id(), &admin.key, &GetInventory {}).expect("a call");
        admin.remote.call(call).await.expect("an answer").len()
    };
    show("inventory of the workspace: answer", inventory().await as f64, "bytes");
    probe(stage, "inventory of the workspace", 10, async |_| assert!(inventory().await > 0)).await;
}

async fn encrypt(client: &Client, granted: Granted, count: u32) {
    let Granted { keyset, grant, epoch, .. } = granted;
    let nonce = random::array().expect("random");
    client.ask(&EncryptKeys { keyset, grant, epoch, nonce, count }).await;
}

async fn decrypt(client: &Client, granted: Granted, count: usize) {
    let groups = vec![DecryptGroup { kref: granted.kref, grant: granted.grant, ids: ids(count) }];
    client.ask(&DecryptKeys { groups, proved: false }).await;
}

async fn terms(client: &Client, granted: Granted) {
    let Granted { keyset, grant, .. } = granted;
    let types = vec![TypeId(random::array().expect("random"))];
    client.ask(&TermRoots { keyset, grant, epoch: Epoch(1), types }).await;
}

async fn access(client: &Client, count: usize) {
    let of = |name: &str| TypeAccess {
        id: "018f0000-0000-7000-8000-000000000000".into(),
        name: name.into(),
        opened: 1,
        masked: 0,
        sealed: 0,
        searched: 1,
    };
    let record = |number: usize| AccessRecord {
        from_ms: 1,
        until_ms: 2,
        client: client.key.client_id().to_string(),
        database: "shop".into(),
        user: "app".into(),
        peer: "10.0.0.1".into(),
        shape: format!("{number:016x}"),
        statement: "SELECT id, email, born FROM users WHERE email = ? AND active LIMIT ?".into(),
        statements: 10,
        refused: 0,
        types: vec![of("text_eq"), of("date")],
        lost: 0,
    };
    client.ask(&AccessBatch { records: (0..count).map(record).collect() }).await;
}

/// Statements that PostgreSQL sees for one request of each kind; each is a round trip.
pub async fn round_trips(stage: &Stage) {
    assert_eq!(stage.kind, Kind::Logged);
    let web = stage.make_client("web", &["default"]);
    let client = stage.connect(&web).await;
    let granted = client.granted().await;
    let idle = statements(stage, Duration::from_secs(5)).await;
    show("idle, a second", idle, "statements");
    let count = async |what: &str, work: &dyn Fn() -> Reply<'static, ()>| {
        // Connections and prepared statements are there afterwards.
        for _ in 0..20 {
            work().await.expect("an answer");
        }
        let (begin, before) = (Instant::now(), lines(stage));
        for _ in 0..100 {
            work().await.expect("an answer");
        }
        let seen = (lines(stage) - before) as f64 - idle * begin.elapsed().as_secs_f64();
        show(what, seen / 100.0, "statements");
    };
    let asker = Arc::new(client);
    let of = |work: fn(Arc<Client>, Granted) -> Reply<'static, ()>| {
        let asker = Arc::clone(&asker);
        move || work(Arc::clone(&asker), granted)
    };
    count("lease renewal", &of(|c, _| done(async move { c.ask(&Renew::default()).await }))).await;
    count("state, 1 keyset", &of(|c, _| done(async move { c.ask(&GetState {}).await }))).await;
    count("grants, 1", &of(|c, g| done(async move { c.ask(&GetGrants { keysets: vec![g.keyset] }).await }))).await;
    count("new data keys, 9", &of(|c, g| done(async move { encrypt(&c, g, 9).await }))).await;
    count("data keys by id, 64", &of(|c, g| done(async move { decrypt(&c, g, 64).await }))).await;
    count("term root", &of(|c, g| done(async move { terms(&c, g).await }))).await;
    count("records of access, 1", &of(|c, _| done(async move { access(&c, 1).await }))).await;
    let other = stage.connect(&stage.make_client("never-seen", &["default"])).await;
    let before = lines(stage);
    other.ask(&Renew::default()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    show("lease renewal, client noted, and 0.2 s idle", (lines(stage) - before) as f64, "statements");
}

fn done<T>(work: impl Future<Output = T> + Send + 'static) -> Reply<'static, ()> {
    Box::pin(async move {
        work.await;
        Ok(())
    })
}

fn lines(stage: &Stage) -> usize {
    let log = stage.cluster.as_ref().map(|(cluster, _)| cluster.log()).unwrap_or_default();
    log.lines()
        .filter(|line| line.contains("LOG:") && (line.contains(" statement: ") || line.contains(" execute ")))
        .count()
}

async fn statements(stage: &Stage, time: Duration) -> f64 {
    let before = lines(stage);
    tokio::time::sleep(time).await;
    (lines(stage) - before) as f64 / time.as_secs_f64()
}
