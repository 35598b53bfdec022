//! What clients, scanners and broken programs say first; limits of time and number.

use std::io::Read;
use std::time::{Duration, Instant};

use columnseal::session::settings::Limits;

use super::{Certificates, Proxy, With};
use crate::support::cluster::psql;
use crate::support::raw::{Raw, gss_request, ssl_request, startup, tcp, untagged};
use crate::support::{Cluster, eventually};

const V3: u32 = 0x0003_0000;

fn hello() -> Vec<u8> {
    startup(V3, &[("user", "app"), ("database", "shop")])
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_encryption_come_in_any_order() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With::default()).await;
    let orders: [&[Vec<u8>]; 5] =
        [&[], &[ssl_request()], &[gss_request()], &[ssl_request(), gss_request()], &[gss_request(), ssl_request()]];
    for order in orders {
        let mut raw = Raw::over(tcp(proxy.port));
        for request in order {
            raw.send(request);
            assert_eq!(raw.byte(), Some(b'N'));
        }
        raw.send(&hello());
        assert_eq!(raw.until_ready().last().map(|m| m.tag), Some(b'Z'), "{order:?}");
    }
    for twice in [ssl_request(), gss_request()] {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&twice);
        assert_eq!(raw.byte(), Some(b'N'));
        raw.send(&twice);
        assert_eq!(raw.next().error().unwrap().code, "08P01");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_answered_and_closed() {
    let cluster = Cluster::plain();
    let proxy = Proxy::new(&cluster, With::default()).await;
    let long = startup(V3, &[("user", &"x".repeat(10_000))]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![0, 0, 0, 0], "08P01"),
        (vec![0, 0, 0, 7, 0, 3, 0], "08P01"),
        (vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0], "08P01"),
        (vec![0xff; 100], "08P01"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "08P01"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "08P01"),
        (long, "08P01"),
        (startup(0x0002_0000, &[("user", "app")]), "0A000"),
        (startup(0x0004_0000, &[("user", "app")]), "0A000"),
        (startup(V3, &[("database", "shop")]), "28000"),
        (startup(V3, &[("user", "")]), "28000"),
        (startup(V3, &[]), "28000"),
        (untagged(b"\0\x03\0\0user\0app\0"), "08P01"),
        (untagged(b"\0\x03\0\0user\0app\0\0trailing"), "08P01"),
        (untagged(b"\0\x03\0\0user\0\xff\xfe\0\0"), "22021"),
        (untagged(&80_877_102u32.to_be_bytes()), "08P01"),
    ];
    for (bytes, code) in cases {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&bytes);
        let error = raw.next().error().unwrap_or_else(|| panic!("{bytes:?} is answered by an error"));
        assert_eq!((error.severity.as_str(), error.code.as_str()), ("FATAL", code), "{bytes:?}");
        assert!(raw.try_next().is_none());
    }
    let mut leaves = Raw::over(tcp(proxy.port));
    leaves.send(b"X\0\0\0\x04");
    assert!(leaves.try_next().is_none(), "who leaves is told nothing");
    let nobody = cluster.superuser("postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'");
    assert_eq!(nobody, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_little_or_nothing_is_let_go() {
    let cluster = Cluster::plain();
    let (startup, login) = (Duration::from_millis(200), Duration::from_millis(300));
    let limits = Limits { startup, login, ..Limits::default() };
    let proxy = Proxy::new(&cluster, With { limits: Some(limits), ..With::default() }).await;
    for beginning in [&[][..], &[0], &[0, 0, 0, 50, 0, 3]] {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(beginning);
        let began = Instant::now();
        assert_eq!(raw.next().error().unwrap().code, "57014");
        assert!(raw.try_next().is_none() && began.elapsed() < Duration::from_secs(10));
    }
    // A server that never answers.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgres://127.0.0.1:{}?sslmode=disable", silent.local_addr().unwrap().port());
    let proxy = Proxy::before(&url, With { limits: Some(limits), ..With::default() }).await;
    let mut raw = Raw::over(tcp(proxy.port));
    raw.send(&hello());
    assert_eq!(raw.next().error().unwrap().code, "57014");
    // A client that only connects and leaves is nobody's fault.
    drop(tcp(proxy.port));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_talks_nonsense_is_not_believed() {
    use std::io::Write;
    let answers: [&[u8]; 5] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"R\0\0\0\x03",
        b"R\xff\xff\xff\xff",
        b"R\0\0\0\x06\0\0",
        b"S\0\0\0\x06ab",
    ];
    for answer in answers {
        let server = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("postgres://127.0.0.1:{}?sslmode=disable", server.local_addr().unwrap().port());
        let proxy = Proxy::before(&url, With::default()).await;
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&hello());
        let (mut stream, _) = server.accept().unwrap();
        let mut got = [0; 8];
        stream.read_exact(&mut got).unwrap();
        stream.write_all(answer).unwrap();
        assert_eq!(raw.next().error().unwrap().code, "08P01", "{answer:?}");
        assert!(raw.try_next().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_before_the_tls_handshake_are_refused() {
    let cluster = Cluster::plain();
    let certificates = Certificates::new();
    let proxy = Proxy::new(&cluster, With { tls: Some(certificates.tls()), ..With::default() }).await;
    let mut raw = Raw::over(tcp(proxy.port));
    raw.send(&[ssl_request(), hello()].concat());
    let error = raw.next().error().unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("08P01", "received unencrypted data after SSL request"));
    assert!(raw.try_next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_may_be_required() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let certificates = Certificates::new();
    let with = With { tls: Some(certificates.tls()), require_tls: true, ..With::default() };
    let proxy = Proxy::new(&cluster, with).await;
    let mut raw = Raw::over(tcp(proxy.port));
    raw.send(&gss_request());
    assert_eq!(raw.byte(), Some(b'N'));
    raw.send(&hello());
    let error = raw.next().error().unwrap();
    assert_eq!(error.code, "28000");
    assert!(error.hint.unwrap().contains("sslmode=require"));
    let url = cluster.at("shop", proxy.port).url;
    assert_eq!(psql(&format!("{url}?sslmode=require"), "SELECT 1").ok(), "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_are_limited_and_given_back() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With { max_connections: Some(2), ..With::default() }).await;
    let first = Raw::connect(proxy.port, "shop");
    let _second = Raw::connect(proxy.port, "shop");
    let mut third = Raw::over(tcp(proxy.port));
    third.send(&ssl_request());
    assert_eq!(third.byte(), Some(b'N'));
    third.send(&hello());
    assert_eq!(third.next().error().unwrap().code, "53300");
    drop(first);
    eventually("a place is free", || {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&hello());
        (raw.next().tag == b'R').then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_waits_for_sessions_and_then_cuts_them_off() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With::default()).await;
    let mut session = Raw::connect(proxy.port, "shop");
    let mut opening = Raw::over(tcp(proxy.port));
    opening.send(&ssl_request());
    assert_eq!(opening.byte(), Some(b'N'));
    proxy.shutdown.cancel();
    assert_eq!(opening.next().error().unwrap().code, "57P03");
    assert_eq!(session.rows("SELECT 1"), ["1"]);
    eventually("nobody listens", || std::net::TcpStream::connect(("127.0.0.1", proxy.port)).err());
    let began = Instant::now();
    proxy.task.await.unwrap();
    assert!(began.elapsed() > Duration::from_secs(3));
    assert!(session.try_next().is_none());
}
