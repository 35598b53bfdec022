//! Cancel requests reach the server that the key came from.

use std::time::Duration;

use super::{Certificates, Proxy, With, cluster_with_tls};
use crate::support::cluster::connect;
use crate::support::raw::{Raw, SILENCE, cancel_request, message, query, startup, tcp};
use crate::support::{Auth, Cluster, Twin, eventually};

/// Starts a long statement and waits until the server runs it.
fn sleeping(cluster: &Cluster, port: u16) -> Raw {
    let mut raw = Raw::connect(port, "shop");
    raw.send(&query("SELECT pg_sleep(60)"));
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    eventually("the statement runs", || (cluster.superuser("postgres", running) == "1").then_some(()));
    raw
}

/// Sends the request as libpq does: send, then wait for the end of the stream.
fn cancel(port: u16, pid: u32, key: &[u8]) {
    let mut raw = Raw::over(tcp(port));
    raw.send(&cancel_request(pid, key));
    assert!(raw.try_next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled_even_when_no_place_is_free() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With { max_connections: Some(1), ..With::default() }).await;
    let mut raw = sleeping(&cluster, proxy.port);
    let (pid, key) = raw.key.clone().unwrap();
    cancel(proxy.port, pid, &[0, 0, 0, 0]);
    cancel(proxy.port, pid, &[7; 256]);
    cancel(proxy.port, pid.wrapping_add(1), &key);
    tokio::time::sleep(SILENCE).await;
    cancel(proxy.port, pid, &key);
    assert_eq!(raw.next().tag, b'T');
    assert_eq!(raw.next().error().unwrap().code, "57014");
    assert_eq!(raw.until_ready().last().map(|m| m.tag), Some(b'Z'));
    assert_eq!(raw.rows("SELECT 1"), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_proxy_before_the_same_database_carries_it_too() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With::default()).await;
    let other = Proxy::new(&cluster, With::default()).await;
    let mut raw = sleeping(&cluster, proxy.port);
    let (pid, key) = raw.key.clone().unwrap();
    cancel(other.port, pid, &key);
    assert_eq!(raw.until_ready().iter().find_map(|m| m.error()).unwrap().code, "57014");
}

/// Cancels what this session does; it is told so.
#[track_caller]
fn is_cancelled(twin: &Twin, raw: &mut Raw) {
    let (pid, key) = raw.key.clone().unwrap();
    cancel(twin.proxy.port, pid, &key);
    assert_eq!(raw.until_ready().iter().find_map(|m| m.error()).unwrap().code, "57014");
}

#[test]
fn a_statement_that_waits_for_the_catalog_is_cancelled() {
    let twin = Twin::of("CREATE TABLE t (id int, e seal.text_eq)");
    let (mut first, mut held) = (twin.raw_sealed(), twin.raw_sealed());
    for raw in [&mut first, &mut held] {
        raw.rows("SELECT count(*) FROM t WHERE e = 'x'");
    }
    // The schema has changed, and who reads it anew waits for a lock.
    twin.sealed.sql("CREATE TABLE changed (id int)");
    let mut lock = Raw::connect(twin.cluster.port, "sealed");
    let locked = lock.ask(&query("BEGIN; LOCK TABLE seal.types IN ACCESS EXCLUSIVE MODE"));
    assert!(locked.iter().all(|m| m.error().is_none()), "{locked:?}");
    first.send(&query("SELECT count(*) FROM t WHERE e = 'x'"));
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'seal.types'::regclass";
    eventually("the catalog is read", || (twin.stored(waiting).trim() == "1").then_some(()));
    held.send(&query("SELECT pg_sleep(60)"));
    std::thread::sleep(SILENCE);
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    assert_eq!(twin.stored(asleep).trim(), "0", "the proxy did not hold it");
    is_cancelled(&twin, &mut held);
    lock.query("COMMIT");
    assert!(first.until_ready().iter().all(|m| m.error().is_none()));
    assert_eq!(held.rows("SELECT count(*) FROM t WHERE e = 'x'"), ["0"]);
}

#[test]
fn a_search_is_cancelled_between_the_parts_that_it_reads() {
    let twin = Twin::of("CREATE TABLE t (id int, e seal.text_match)");
    let rows: Vec<String> = (0..20_000).map(|n| format!("({n}, 'number {n}')")).collect();
    twin.sealed.sql(&format!("INSERT INTO t VALUES {}", rows.join(", ")));
    let mut raw = twin.raw_sealed();
    raw.rows("SELECT count(*) FROM t WHERE e LIKE '%number 7%'");
    let (pid, _) = raw.key.clone().unwrap();
    for pause in [0, 20, 50, 90] {
        let before = twin.stored("SELECT clock_timestamp()");
        let begun =
            format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND query_start > '{}'", before.trim());
        raw.send(&query("SELECT pg_sleep(60) FROM t WHERE e LIKE '%umber%'"));
        eventually("the search begins", || (twin.stored(&begun).trim() == "1").then_some(()));
        std::thread::sleep(Duration::from_millis(pause));
        is_cancelled(&twin, &mut raw);
        assert_eq!(raw.rows("SELECT 1"), ["1"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_cancel_over_tls_on_both_sides() {
    let certificates = Certificates::new();
    let cluster = cluster_with_tls(Auth::Trust);
    cluster.database("shop");
    let url = format!("postgres://127.0.0.1:{}?sslmode=require", cluster.port);
    let proxy = Proxy::before(&url, With { tls: Some(certificates.tls()), ..With::default() }).await;
    // tokio-postgres in the clear.
    let client = connect(&cluster.at("shop", proxy.port).url).await.unwrap();
    let token = client.cancel_token();
    let statement = client.batch_execute("SELECT pg_sleep(60)");
    let cancelling = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            token.cancel_query(tokio_postgres::NoTls).await.unwrap();
        }
    };
    let outcome = tokio::select! { outcome = statement => outcome, () = cancelling => unreachable!() };
    assert_eq!(outcome.unwrap_err().code().map(|c| c.code()), Some("57014"));
    // psql over TLS: an interrupt makes libpq send the request.
    let tls = format!("{}?sslmode=require", cluster.at("shop", proxy.port).url);
    let mut psql = std::process::Command::new("psql");
    psql.args(["-X", &tls, "-v", "VERBOSITY=verbose", "-c", "SELECT pg_sleep(60)"]);
    psql.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let psql = psql.spawn().unwrap();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    eventually("the statement runs", || (cluster.superuser("postgres", running) == "1").then_some(()));
    let pid = rustix::process::Pid::from_child(&psql);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = psql.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("57014"), "{said}");
}

/// Reads a packet without a tag.
fn packet(stream: &mut std::net::TcpStream) -> Vec<u8> {
    use std::io::Read;
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body).unwrap();
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn long_keys_of_protocol_3_2_are_carried_both_ways() {
    use std::io::Write;
    let server = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("postgres://127.0.0.1:{}?sslmode=disable", server.local_addr().unwrap().port());
    let proxy = Proxy::before(&url, With::default()).await;
    let key: Vec<u8> = (0..32).collect();
    let mut client = Raw::over(tcp(proxy.port));
    client.send(&startup(0x0003_0002, &[("user", "app"), ("database", "shop")]));
    let (mut session, _) = server.accept().unwrap();
    assert_eq!(
        packet(&mut session)[..4],
        0x0003_0002u32.to_be_bytes(),
        "the server is asked for what the client wants"
    );
    let body = [&7u32.to_be_bytes()[..], &key].concat();
    let answer = [message(b'R', &[0; 4]), message(b'K', &body), message(b'Z', b"I")].concat();
    session.write_all(&answer).unwrap();
    let login = client.until_ready();
    assert_eq!(login.iter().map(|m| m.tag).collect::<Vec<_>>(), [b'R', b'K', b'Z'], "nothing was to be negotiated");
    assert_eq!(client.key, Some((7, key.clone())));
    let mut request = Raw::over(tcp(proxy.port));
    request.send(&cancel_request(7, &key));
    let (mut carried, _) = server.accept().unwrap();
    let expected = [&80_877_102u32.to_be_bytes()[..], &7u32.to_be_bytes(), &key].concat();
    assert_eq!(packet(&mut carried), expected);
    drop(carried);
    assert!(request.try_next().is_none());
}
