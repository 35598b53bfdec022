//! What clients tell of their work: counted once, for keysets that they have, and kept.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::crypto::{ClientId, KeysetId};
use crate::keys::KeyService;
use crate::keys::admin::{GetUsage, UsageScale};
use crate::keys::clock::wall_ms;
use crate::keys::request::{Body, Call, Origin, Request, ServiceId};
use crate::keys::service::{Lease, Renew, Reply, Standing, read_answer};
use crate::keys::usage::{KeysetUse, MAX_USE, MAX_USES, Used};
use crate::keyserver::store::backup::restore;

use super::*;

/// Renews the lease of a client and tells this.
fn tell(engine: &Engine, secret: &Secret, used: Used) -> Result<Lease, KeysError> {
    engine.renew(&Request::sign(engine.service_id(), &secret.parts().0, Renew { used: Some(used) }).expect("sign"))
}

fn used(number: u64, keysets: &[(KeysetId, u64, u64)]) -> Used {
    let one = |(keyset, sealed, opened): &(KeysetId, u64, u64)| KeysetUse {
        keyset: *keyset,
        sealed: *sealed,
        opened: *opened,
    };
    Used { program: [1; 16], number, over_ms: 1, refused: 0, keysets: keysets.iter().map(one).collect() }
}

/// Sealed, opened and refused in the last spans.
fn sums(workspace: &Workspace, scale: UsageScale, keyset: Option<KeysetId>) -> (u64, u64, u64) {
    let spans = workspace.usage(scale, 30, keyset).expect("usage").spans;
    spans.iter().fold((0, 0, 0), |(sealed, opened, refused), span| {
        (sealed + span.sealed, opened + span.opened, refused + span.refused)
    })
}

fn id(workspace: &Workspace, name: &str) -> KeysetId {
    workspace.keyset(name).expect("keyset").id.parse().expect("an id")
}

#[test]
fn reports_count_once_and_for_keysets_that_the_client_has() {
    let home = Home::new();
    let workspace = home.open();
    workspace.create_keyset("tenant").expect("keyset");
    let (default, tenant) = (id(&workspace, "default"), id(&workspace, "tenant"));
    let secret = home.application();
    let engine = home.engine(&secret);
    let all = [(default, 5, 7), (tenant, 100, 100), (KeysetId([9; 16]), 100, 100)];
    tell(&engine, &secret, Used { refused: 2, ..used(1, &all) }).expect("a lease");
    // Read by another engine: it is in the store.
    for (scale, keyset, expected) in [
        (UsageScale::Day, Some(default), (5, 7, 0)),
        (UsageScale::Day, Some(tenant), (0, 0, 0)),
        (UsageScale::Day, Some(KeysetId([9; 16])), (0, 0, 0)),
        (UsageScale::Day, None, (5, 7, 2)),
        (UsageScale::Minute, None, (5, 7, 2)),
        (UsageScale::Moment, None, (5, 7, 2)),
    ] {
        assert_eq!(sums(&workspace, scale, keyset), expected, "{scale:?} {keyset:?}");
    }
    // The same again, and an older one, are none.
    tell(&engine, &secret, used(1, &all)).expect("a lease");
    tell(&engine, &secret, used(0, &all)).expect("a lease");
    assert_eq!(sums(&workspace, UsageScale::Day, None), (5, 7, 2));
    // Another program with the same key is another one.
    tell(&engine, &secret, Used { program: [2; 16], ..used(1, &all) }).expect("a lease");
    assert_eq!(sums(&workspace, UsageScale::Day, Some(default)), (10, 14, 0));
    // What was revoked counts no more.
    workspace.revoke("web", Some("default")).expect("revoke");
    tell(&engine, &secret, used(2, &all)).expect("a lease");
    assert_eq!(sums(&workspace, UsageScale::Day, Some(default)), (10, 14, 0));
    workspace.set_client_enabled("web", false).expect("disable");
    assert!(tell(&engine, &secret, used(3, &all)).is_err());
    assert_eq!(sums(&workspace, UsageScale::Day, None), (10, 14, 2));
}

#[test]
fn numbers_are_capped_and_sums_end_where_they_must() {
    let home = Home::new();
    let (workspace, secret) = (home.open(), home.application());
    let (engine, default) = (home.engine(&secret), id(&workspace, "default"));
    tell(&engine, &secret, used(1, &[(default, u64::MAX, MAX_USE + 1)])).expect("a lease");
    assert_eq!(sums(&workspace, UsageScale::Day, Some(default)), (MAX_USE, MAX_USE, 0));
    home.sql("UPDATE usage SET sealed = 4611686018427387900");
    tell(&engine, &secret, used(2, &[(default, 9, 9)])).expect("a lease");
    assert_eq!(sums(&workspace, UsageScale::Day, Some(default)), (1 << 62, MAX_USE + 9, 0));
    // Surplus keysets are left out, not refused: the lease does not hang on it.
    let many = vec![(default, 1, 0); MAX_USES + 50];
    let before = sums(&workspace, UsageScale::Day, Some(default)).1;
    tell(&engine, &secret, used(3, &[many, vec![(default, 0, 1)]].concat())).expect("a lease");
    assert_eq!(sums(&workspace, UsageScale::Day, Some(default)).1, before);
}

#[test]
fn a_client_that_tells_nothing_is_served_as_before() {
    let home = Home::new();
    let secret = home.application();
    let (engine, key) = (home.engine(&secret), secret.parts().0);
    let call = Call::sign(engine.service_id(), &key, &Renew::default()).expect("sign");
    assert_eq!(call.body, b"{}", "as clients that know nothing of it ask");
    let answer = engine.handle(Renew::PATH, call.auth, Origin::default(), &call.body).expect("a lease");
    read_answer::<Renew>(&answer).expect("a lease");
}

#[test]
fn only_admins_read_them() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let ask = GetUsage { scale: UsageScale::Day, spans: 1, keyset: None };
    let request = Request::sign(engine.service_id(), &secret.parts().0, ask).expect("sign");
    assert!(matches!(engine.usage(&request), Err(KeysError::NotAdmin { .. })));
}

#[test]
fn what_is_old_goes_and_backups_have_the_rest() {
    let home = Home::new();
    let (workspace, secret) = (home.open(), home.application());
    let (engine, default) = (home.engine(&secret), id(&workspace, "default"));
    let day = UsageScale::Day.span_ms();
    let today = wall_ms() / day * day;
    let insert = |ago: u64, scale: u64| {
        let (begin, keyset) = (today - ago * day, hex::encode(default.0));
        home.sql(&format!("INSERT INTO usage VALUES ({}, {scale}, {begin}, 1, 1, 0)", Home::bytes(&keyset)));
    };
    insert(401, 3);
    insert(399, 3);
    insert(29, 3);
    insert(3, 2);
    assert_eq!(sums(&workspace, UsageScale::Day, Some(default)), (1, 1, 0), "of thirty days");
    tell(&engine, &secret, used(1, &[(default, 10, 0)])).expect("a lease");
    assert_eq!(sums(&workspace, UsageScale::Day, Some(default)), (11, 1, 0));
    assert_eq!(home.number(&format!("SELECT count(*) FROM usage WHERE begin_ms < {}", today - 400 * day)), 0);
    assert_eq!(home.number("SELECT count(*) FROM usage WHERE scale = 3 AND length(keyset) = 16"), 3);
    assert_eq!(
        home.number(&format!("SELECT count(*) FROM usage WHERE begin_ms = {} AND scale = 2", today - 3 * day)),
        0
    );
    let file = home.path().join("backup");
    home.service().backup(&file).expect("backup");
    let spec = StoreSpec::Sqlite(home.path().join("store").join("restored.db"));
    restore(&file, &spec, None).expect("restore");
    let restored = Workspace::open_with(&home.path(), &spec, &home.root_key()).expect("open");
    restored.unseal().expect("unseal");
    assert_eq!(sums(&restored, UsageScale::Day, Some(default)), (11, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_in_memory_is_read_too_and_kept_at_the_end() {
    let home = Home::new();
    let (workspace, secret) = (home.open(), home.application());
    let (engine, default) = (home.engine(&secret), id(&workspace, "default"));
    tell(&engine, &secret, used(1, &[(default, 3, 4)])).expect("a lease");
    assert_eq!(home.number("SELECT count(*) FROM usage"), 0, "not written yet");
    let device = std::fs::read_to_string(home.path().join("device/client.key")).expect("a device key");
    let admin = Secret(device.trim().to_owned()).parts().0;
    let read = || {
        let ask = GetUsage { scale: UsageScale::Day, spans: 30, keyset: Some(default) };
        let spans = engine.usage(&Request::sign(engine.service_id(), &admin, ask).expect("sign")).expect("usage").spans;
        spans.iter().map(|span| (span.sealed, span.opened)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    assert_eq!(read(), (3, 4));
    engine.close().await;
    assert_eq!(read(), (3, 4), "not twice");
    let workspace = tokio::task::spawn_blocking(move || sums(&workspace, UsageScale::Day, Some(default)));
    assert_eq!(workspace.await.expect("no panic"), (3, 4, 0));
}

const WELL: u8 = 0;
/// Nothing arrives.
const DOWN: u8 = 1;
/// Requests arrive, answers do not.
const LOSES: u8 = 2;
/// It knows nothing of reports.
const OLD: u8 = 3;

struct Flaky {
    engine: Engine,
    mood: AtomicU8,
    refused: AtomicUsize,
}

impl Flaky {
    fn set(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }
}

impl KeyService for Flaky {
    fn id(&self) -> ServiceId {
        self.engine.service_id()
    }

    fn call(&self, call: Call) -> Reply<'_, Vec<u8>> {
        Box::pin(async move {
            let mood = self.mood.load(Ordering::SeqCst);
            if mood == DOWN {
                return Err(KeysError::unavailable("unplugged"));
            }
            if mood == OLD && call.path == Renew::PATH && call.body != b"{}" {
                self.refused.fetch_add(1, Ordering::SeqCst);
                return Err(KeysError::invalid("the request's body: unknown field `used`"));
            }
            let answer = self.engine.call(call).await;
            if mood == LOSES { Err(KeysError::unavailable("cut")) } else { answer }
        })
    }

    fn next_standing(&self, client: ClientId, seen: Standing) -> Reply<'_, Standing> {
        self.engine.next_standing(client, seen)
    }
}

async fn flaky(home: &Home, secret: &Secret, lease: Duration) -> (Arc<Flaky>, Arc<Ring>) {
    let (engine, mood) = (home.engine(secret), AtomicU8::new(WELL));
    let service = Arc::new(Flaky { engine, mood, refused: AtomicUsize::new(0) });
    let (key, root) = secret.parts();
    let settings = Settings { lease, ..home.settings() };
    let ring = Ring::start(&settings, Arc::new(key), root, Arc::clone(&service) as Arc<dyn KeyService>).await;
    (service, ring.expect("start"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_was_lost_is_told_again_and_counts_once() {
    let home = Home::new();
    let secret = home.application();
    let (service, ring) = flaky(&home, &secret, Duration::from_secs(60)).await;
    let keyset = ring.default_keyset().expect("default");
    ring.sealed(keyset, 3);
    ring.opened(keyset, 2);
    ring.refused();
    let now = async || {
        service.engine.close().await;
        tokio::task::block_in_place(|| {
            let workspace = home.open();
            (sums(&workspace, UsageScale::Day, Some(keyset)), sums(&workspace, UsageScale::Day, None))
        })
    };
    service.set(DOWN);
    ring.stop().await;
    assert_eq!(now().await.0, (0, 0, 0), "it never came");
    service.set(LOSES);
    ring.stop().await;
    assert_eq!(now().await, ((3, 2, 0), (3, 2, 1)), "it came, and who told does not know");
    ring.sealed(keyset, 1);
    service.set(WELL);
    ring.stop().await;
    assert_eq!(now().await, ((3, 2, 0), (3, 2, 1)), "the same again");
    ring.stop().await;
    assert_eq!(now().await, ((4, 2, 0), (4, 2, 1)), "what came later");
    ring.stop().await;
    assert_eq!(now().await, ((4, 2, 0), (4, 2, 1)), "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_knows_nothing_of_reports_goes_on_giving_leases() {
    let home = Home::new();
    let secret = home.application();
    let (service, ring) = flaky(&home, &secret, Duration::from_millis(900)).await;
    let keyset = ring.default_keyset().expect("default");
    service.set(OLD);
    ring.sealed(keyset, 3);
    let begin = std::time::Instant::now();
    while service.refused.load(Ordering::SeqCst) == 0 {
        assert!(begin.elapsed() < Duration::from_secs(30), "it was never told");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    assert!(ring.data_key(keyset, 1).is_some(), "the lease goes on");
    assert_eq!(service.refused.load(Ordering::SeqCst), 1, "it is not told again");
}
