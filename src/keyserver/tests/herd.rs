//! Many proxies that lose their key server at the same moment: none of them hurries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::home::until;
use super::http::{MINUTE, Served};
use super::kinds::Sqlite;

type Home = super::home::Home<Sqlite>;

const RINGS: usize = 200;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

async fn serve(home: &Home, port: u16) -> Served {
    let change = |settings: &mut super::super::settings::Settings| {
        settings.listen.1 = port;
        settings.max_connections = 10 * RINGS;
        settings.client_rate = 100_000;
    };
    Served::with(home, change).await
}

/// Waits until `count` is reached; how long it took, and the most it grew between two looks.
async fn watch(count: impl Fn() -> usize, end: usize) -> (Duration, usize) {
    let (begin, mut before, mut most) = (Instant::now(), count(), 0);
    let mut look = tokio::time::interval(LOOK);
    while before < end {
        assert!(begin.elapsed() < Duration::from_secs(60), "{before} of {end}");
        look.tick().await;
        let now = count();
        most = most.max(now - before);
        before = now;
    }
    (begin.elapsed(), most)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_rings_come_back_one_by_one() {
    let home = Home::new();
    let secret = home.application();
    let server = serve(&home, 0).await;
    let (url, port) = (server.url(), server.address.port());
    let mut rings = Vec::new();
    for _ in 0..RINGS {
        rings.push(home.far_ring(&url, &secret, MINUTE).await.expect("start"));
    }
    until(|| server.metric("columnseal_keyserver_event_streams") == RINGS).await;
    server.stop().await;

    // While it is away: whoever listens there hangs up.
    let away = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free again");
    let tries = Arc::new(AtomicUsize::new(0));
    let mut hanging_up = JoinSet::new();
    let counted = Arc::clone(&tries);
    hanging_up.spawn(async move {
        while away.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (took, most) = watch(|| tries.load(Ordering::SeqCst), 2 * RINGS).await;
    eprintln!("away: {} tries in {took:?}, at most {most} in {LOOK:?}", 2 * RINGS);
    assert!(took > Duration::from_secs(1) && most < RINGS / 2, "they hurry: {took:?}, {most} in {LOOK:?}");
    hanging_up.shutdown().await;

    // Back: one request of each to hear events again, and renewals that fall into these seconds. Nothing is read anew.
    let server = serve(&home, port).await;
    let (took, most) = watch(|| server.metric("columnseal_keyserver_event_streams"), RINGS).await;
    let asked = server.requests("");
    eprintln!("back: all {RINGS} in {took:?} with {asked} requests, at most {most} in {LOOK:?}");
    assert!(most < RINGS / 2, "a herd: {most} in {LOOK:?}");
    assert!(asked < 2 * RINGS, "{asked} requests");
    for path in ["/v1/state", "/v1/grants", "/v1/keys"] {
        assert_eq!(server.requests(path), 0, "{path}");
    }
    assert!(rings.iter().all(|ring| ring.data_key(ring.default_keyset().expect("default"), 1).is_some()));
    server.stop().await;
}
