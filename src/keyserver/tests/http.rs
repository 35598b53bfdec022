//! The key server over loopback: rings on it, bad input, limits, the end, the first admin.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::crypto::sign::VerifyKey;
use crate::keys::claims::ServiceRecord;
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::remote::Remote;
use crate::keys::request::{Authorization, Body, Call};
use crate::keys::service::{AddPins, GetState, PinnedObject, Renew, Standing, Watch, ask};
use crate::keys::settings::{Server as ServerUrl, Service, Settings};
use crate::keys::signed::{HEADER, Question, verify_answer};
use crate::keys::{KeyService, Permissions, Ring};
use crate::telemetry::health::Readiness;
use crate::telemetry::keyserver::KeyServerMetrics;
use crate::telemetry::metrics::Scrape;

use super::super::engine::ROUTES;
use super::super::http::{Server, document};
use super::super::settings::Settings as ServerSettings;
use super::super::workspace::{ClientKind, NewClient, Workspace};
use super::home::{Secret, TYPE, decrypt, encrypt, until};
use super::kinds::Sqlite;

type Home = super::home::Home<Sqlite>;

/// A running key server.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    scrape: Scrape,
}

impl Served {
    pub(super) async fn of(home: &Home) -> Self {
        Self::with(home, |_| ()).await
    }

    pub(super) async fn with(home: &Home, change: impl FnOnce(&mut ServerSettings)) -> Self {
        let mut settings = ServerSettings {
            listen: ("127.0.0.1".into(), 0),
            store: home.spec(),
            root_key: home.root_key(),
            bootstrap_token: home.token(),
            tls: None,
            max_body: 64 * 1024,
            max_connections: 100,
            request_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(10),
            dashboard: true,
            session: Duration::from_secs(900),
            client_rate: 1_000,
            failure_rate: 1_000,
            devices: true,
        };
        change(&mut settings);
        let (shutdown, (metrics, scrape)) = (CancellationToken::new(), KeyServerMetrics::new());
        let started = Server::start(settings, metrics, Readiness::default(), shutdown.clone()).await;
        let server = started.expect("the key server starts");
        let address = server.address().expect("it listens");
        Self { address, shutdown, task: tokio::spawn(server.run()), scrape }
    }

    pub(super) fn url(&self) -> ServerUrl {
        ServerUrl { urls: vec![format!("http://{}", self.address)], ca: None }
    }

    /// A gauge, as a whole number.
    pub(super) fn metric(&self, name: &str) -> usize {
        let page = self.scrape.render();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        value.unwrap_or_default() as usize
    }

    /// Requests answered under paths that begin so.
    pub(super) fn requests(&self, path: &str) -> usize {
        let label = format!("path=\"{path}");
        let page = self.scrape.render();
        let lines = page.lines().filter(|line| line.starts_with("columnseal_keyserver_requests_total"));
        let counts = lines
            .filter(|line| line.contains(&label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        counts.sum()
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("it ends well");
    }

    /// Sends a request as it stands and reads the answer: status, head, body.
    async fn raw(&self, request: &[u8]) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        // A server that has said why may close before it has read everything.
        drop(stream.write_all(request).await);
        let mut all = Vec::new();
        drop(stream.read_to_end(&mut all).await);
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
        let head = String::from_utf8(all[..end].to_vec()).expect("text").to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, head, all[end + 4..].to_vec())
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String, Value) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n", body.len());
        let (status, head, body) = self.raw(&[request.as_bytes(), body].concat()).await;
        (status, head, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(super) async fn post(&self, path: &str, auth: &Authorization, body: &[u8]) -> (u16, String, Value) {
        let headers = [("content-type", "application/json"), ("authorization", &auth.header())];
        self.send("POST", path, &headers, body).await
    }
}

impl Home {
    fn token(&self) -> PathBuf {
        self.path().with_file_name("bootstrap.token")
    }

    pub(super) async fn remote(&self, server: &ServerUrl, secret: &Secret) -> Result<Remote, KeysError> {
        let (key, root) = secret.parts();
        Remote::connect(server, Arc::new(key), root).await
    }

    pub(super) async fn far_ring(
        &self,
        server: &ServerUrl,
        secret: &Secret,
        lease: Duration,
    ) -> Result<Arc<Ring>, KeysError> {
        let (key, root) = secret.parts();
        let remote = Arc::new(self.remote(server, secret).await?);
        let settings = Settings { lease, service: Service::Server(server.clone()), ..self.settings() };
        Ring::start(&settings, Arc::new(key), root, remote).await
    }
}

pub(super) const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn rings_on_a_key_server_share_keys_and_hear_of_revocations() {
    let home = Home::new();
    let (web, api) = (home.application(), home.client("api", &["default"], Permissions::APPLICATION));
    let server = Served::of(&home).await;
    let one = home.far_ring(&server.url(), &web, MINUTE).await.expect("web");
    let other = home.far_ring(&server.url(), &api, MINUTE).await.expect("api");
    let envelope = encrypt(&one, "text").await.expect("encrypt");
    assert_eq!(decrypt(&other, &envelope).await.expect("decrypt"), "text");
    let keyset = one.default_keyset().expect("default");
    one.fetch_term_keys(keyset, TYPE).await.expect("term");

    home.open().revoke("web", None).expect("revoke");
    let took = until(|| one.data_key(keyset, 1).is_none()).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(one.ready(keyset).await, Err(KeysError::Revoked { keyset: "default".into() }));
    assert_eq!(decrypt(&other, &envelope).await.expect("the other client goes on"), "text");
    home.open().grant("web", "default", Permissions::APPLICATION, None).expect("grant");
    until(|| one.default_keyset().is_ok()).await;
    assert_eq!(decrypt(&one, &envelope).await.expect("granted again"), "text");
    one.stop().await;
    other.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_client_is_refused_and_comes_back() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let ring = home.far_ring(&server.url(), &secret, MINUTE).await.expect("start");
    let keyset = ring.default_keyset().expect("default");
    home.open().set_client_enabled("web", false).expect("disable");
    let took = until(|| ring.data_key(keyset, 1).is_none()).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(ring.ready(keyset).await, Err(KeysError::ClientDisabled { client: "web".into() }));
    home.open().set_client_enabled("web", true).expect("enable");
    until(|| ring.default_keyset().is_ok()).await;
    home.open().delete_client("web").expect("delete");
    until(|| ring.default_keyset().is_err()).await;
    assert_eq!(ring.default_keyset(), Err(KeysError::ClientUnknown { client: secret.id() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_server_the_lease_decides_and_service_resumes_by_itself() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let address = server.address;
    let ring = home.far_ring(&server.url(), &secret, Duration::from_secs(2)).await.expect("start");
    let keyset = ring.default_keyset().expect("default");
    let envelope = encrypt(&ring, "text").await.expect("encrypt");
    assert_eq!(decrypt(&ring, &envelope).await.expect("decrypt"), "text");
    let stopped = Instant::now();
    server.stop().await;
    assert_eq!(decrypt(&ring, &envelope).await.expect("what is cached serves"), "text");
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}", stopped.elapsed());
    let ended = decrypt(&ring, &envelope).await;
    assert!(matches!(ended, Err(KeysError::LeaseExpired { .. })), "{ended:?}");

    let back = Served::with(&home, |settings| settings.listen.1 = address.port()).await;
    let begin = Instant::now();
    while decrypt(&ring, &envelope).await.is_err() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it does not resume");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    back.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_takes_over() {
    let home = Home::new();
    let secret = home.application();
    let (one, two) = (Served::of(&home).await, Served::of(&home).await);
    let url = ServerUrl { urls: [one.url().urls, two.url().urls].concat(), ca: None };
    let ring = home.far_ring(&url, &secret, MINUTE).await.expect("start");
    let keyset = ring.default_keyset().expect("default");
    let envelope = encrypt(&ring, "text").await.expect("encrypt");
    one.stop().await;
    assert_eq!(decrypt(&ring, &envelope).await.expect("by the second"), "text");
    home.open().revoke("web", None).expect("revoke");
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert_eq!(ring.ready(keyset).await, Err(KeysError::Revoked { keyset: "default".into() }));
    two.stop().await;
}

#[tokio::test]
async fn a_server_of_another_workspace_is_refused() {
    let (home, other) = (Home::new(), Home::new());
    let server = Served::of(&home).await;
    let refused = other.remote(&server.url(), &other.application()).await.err();
    assert!(matches!(refused, Some(KeysError::OtherWorkspace { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_replayed_change_and_a_clock_that_is_off_are_refused() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let remote = home.remote(&server.url(), &secret).await.expect("connect");
    let (key, _) = secret.parts();
    let pin = PinnedObject { object: "column public.t.e".into(), type_id: TYPE };
    let call = Call::sign(remote.id(), &key, &AddPins { database: "shop".into(), pins: vec![pin] }).expect("sign");
    assert_eq!(server.post(call.path, &call.auth, &call.body).await.0, 200);
    let (status, _, body) = server.post(call.path, &call.auth, &call.body).await;
    assert_eq!((status, &body["code"], &body["why"]), (401, &"refused".into(), &"it was made before".into()));

    let late = Authorization::sign_at(remote.id(), &key, ("POST", Renew::PATH), (b"{}", wall_ms() - 90_000));
    let (status, head, body) = server.post(Renew::PATH, &late.expect("sign"), b"{}").await;
    assert_eq!((status, &body["code"]), (401, &"clock_skew".into()), "{body}");
    assert!(head.contains(HEADER) && body["skew_ms"].as_i64().is_some_and(|skew| (-95_000..-85_000).contains(&skew)));
}

#[tokio::test]
async fn bad_input_gets_an_answer_in_json() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let remote = home.remote(&server.url(), &secret).await.expect("connect");
    let (key, _) = secret.parts();
    let auth = |path: &str, body: &[u8]| Authorization::sign(remote.id(), &key, ("POST", path), body).expect("sign");
    let json = ("content-type", "application/json");
    let long = vec![b' '; 65 * 1024];
    let cases: [(&str, &str, &[u8], u16, &str); 9] = [
        ("GET", "/v1/nothing", b"", 404, "not_found"),
        ("POST", "/v1/nothing", b"{}", 404, "not_found"),
        ("GET", Renew::PATH, b"", 405, "method_not_allowed"),
        ("DELETE", Watch::PATH, b"", 405, "method_not_allowed"),
        ("POST", Renew::PATH, &long, 413, "body_too_large"),
        ("POST", Renew::PATH, b"{\"a\": 1}", 400, "invalid"),
        ("POST", Renew::PATH, b"\xff\x00garbage", 400, "invalid"),
        ("POST", Renew::PATH, b"", 400, "invalid"),
        ("POST", GetState::PATH, b"[{}]", 400, "invalid"),
    ];
    for (method, path, body, status, code) in cases {
        let auth = auth(path, body);
        let (found, head, answer) = server.send(method, path, &[json, ("authorization", &auth.header())], body).await;
        assert_eq!((found, &answer["code"]), (status, &code.into()), "{method} {path}: {answer}");
        assert!(answer["message"].is_string() && answer["hint"].is_string(), "{answer}");
        assert!(head.contains("content-type: application/json") && head.contains(HEADER), "{head}");
    }
    let header = auth(Renew::PATH, b"{}").header();
    let (status, _, answer) = server.send("POST", Renew::PATH, &[("authorization", &header)], b"{}").await;
    assert_eq!((status, &answer["code"]), (415, &"unsupported_media_type".into()));
    for header in
        ["", "Bearer x", "Columnseal client=", &header[..header.len() - 1], &header.replace("time=", "time=-")]
    {
        let (status, head, answer) = server.send("POST", Renew::PATH, &[json, ("authorization", header)], b"{}").await;
        assert_eq!((status, &answer["code"]), (401, &"not_signed".into()), "{header}");
        assert!(head.contains("www-authenticate: columnseal") && !head.contains(HEADER));
    }
    // A body, path or client that is not the signed one.
    let forged = auth(Renew::PATH, b"{}");
    assert_eq!(server.post(Renew::PATH, &forged, b"{ }").await.0, 401);
    assert_eq!(server.post(GetState::PATH, &forged, b"{}").await.0, 401);
    let head = "POST /v1/lease HTTP/1.1\r\nhost: x\r\n";
    let garbage: [&[u8]; 4] =
        [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n \r\n\r\n"];
    for garbage in garbage {
        assert_eq!(server.raw(garbage).await.0, 400, "{garbage:?}");
    }
    let many = format!("{head}{}\r\n", (0..100).map(|n| format!("x-{n}: y\r\n")).collect::<String>());
    assert_eq!(server.raw(many.as_bytes()).await.0, 431);
    let long = format!("{head}x: {}\r\n\r\n", "y".repeat(70_000));
    assert_eq!(server.raw(long.as_bytes()).await.0, 431);
    assert_eq!(server.send("GET", "/healthz", &[], b"").await.0, 200);
}

#[tokio::test]
async fn a_connection_goes_on_after_bodies_that_nobody_wanted() {
    let home = Home::new();
    let server = Served::of(&home).await;
    let mut stream = TcpStream::connect(server.address).await.expect("connect");
    let request = |path: &str, length: usize| {
        format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n")
    };
    for (path, status) in [("/v1/nothing", 404), ("/healthz", 405), (Renew::PATH, 401), ("/v1/nothing", 404)] {
        for length in [0, 2, 60_000] {
            stream.write_all(request(path, length).as_bytes()).await.expect("the head");
            stream.write_all(&vec![b'x'; length]).await.expect("the body");
            let (found, head) = answer(&mut stream).await;
            assert_eq!(found, status, "{path} {length}");
            assert!(!head.contains("connection: close"), "{head}");
        }
    }
    // Too long to be read for nothing: the answer comes first, and says that it is the last.
    stream.write_all(request("/v1/nothing", 200_000).as_bytes()).await.expect("the head");
    stream.write_all(&[b'x'; 100_000]).await.expect("half of the body");
    let (status, head) = answer(&mut stream).await;
    assert!(status == 404 && head.contains("connection: close"), "{head}");
    // One of which half is missing.
    let mut stream = TcpStream::connect(server.address).await.expect("connect");
    stream.write_all((request("/v1/nothing", 10) + "half").as_bytes()).await.expect("half of it");
    let (status, head) = answer(&mut stream).await;
    assert!(status == 404 && head.contains("connection: close"), "{head}");
    assert_eq!(stream.read(&mut [0; 16]).await.expect("no reset"), 0, "it ends");
    server.stop().await;
}

/// Reads one answer: status and head.
async fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("text").to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).expect("a length");
    stream.read_exact(&mut vec![0; length]).await.expect("a body");
    (head[9..12].parse().expect("a status"), head)
}

#[tokio::test]
async fn slow_and_half_requests_are_cut_and_others_are_served() {
    let home = Home::new();
    let server = Served::with(&home, |settings| settings.request_timeout = Duration::from_secs(1)).await;
    let secret = home.application();
    let (service, key) = (home.engine(&secret).service_id(), secret.parts().0);
    let auth = Authorization::sign(service, &key, ("POST", Renew::PATH), b"{}");
    let header = auth.expect("sign").header();
    let mut idle = Vec::new();
    for start in ["", "POST", "POST /v1/lease HTTP/1.1\r\nhost: x\r\n"].iter().cycle().take(60) {
        let mut stream = TcpStream::connect(server.address).await.expect("connect");
        stream.write_all(start.as_bytes()).await.expect("send");
        idle.push(stream);
    }
    let half = format!(
        "POST /v1/lease HTTP/1.1\r\nhost: x\r\nauthorization: {header}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{"
    );
    let mut slow = TcpStream::connect(server.address).await.expect("connect");
    slow.write_all(half.as_bytes()).await.expect("send");
    assert_eq!(server.send("GET", "/healthz", &[], b"").await.0, 200);
    let mut answer = vec![0; 12];
    slow.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, b"HTTP/1.1 408");
    for mut stream in idle {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "an idle connection stays open");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let home = Home::new();
    let (web, api) = (home.application(), home.client("api", &["default"], Permissions::APPLICATION));
    let server = Served::with(&home, |settings| settings.client_rate = 2).await;
    let remote = home.remote(&server.url(), &web).await.expect("connect");
    let mut refused = None;
    for _ in 0..20 {
        let call = Call::sign(remote.id(), &web.parts().0, &Renew::default()).expect("sign");
        let (status, head, body) = server.post(call.path, &call.auth, &call.body).await;
        if status == 429 {
            refused = Some((head, body));
            break;
        }
    }
    let (head, body) = refused.expect("429 within 20 requests");
    assert!(head.contains("retry-after: 1") && body["code"] == "too_many_requests" && body["retry_ms"].is_u64());
    let call = Call::sign(remote.id(), &api.parts().0, &Renew::default()).expect("sign");
    assert_eq!(server.post(call.path, &call.auth, &call.body).await.0, 200, "another client");
}

#[tokio::test]
async fn answers_are_signed_by_the_service_that_the_root_names() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let (_, _, info) = server.send("GET", "/v1/service", &[], b"").await;
    let record = serde_json::from_value::<crate::keys::claims::RootSigned>(info["record"].clone()).expect("a record");
    let record: ServiceRecord = record.check(secret.parts().1, "record").expect("the root's");
    let call = Call::sign(record.id, &secret.parts().0, &Renew::default()).expect("sign");
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\nauthorization: {}\r\ncontent-length: 2\r\n\r\n{{}}",
        call.path,
        call.auth.header()
    );
    let mut stream = TcpStream::connect(server.address).await.expect("connect");
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let signature = head.lines().find_map(|line| line.strip_prefix("columnseal-signature: ")).expect("a signature");
    let verify: VerifyKey = record.verify;
    let question = Question::new(&call.auth, ("POST", call.path));
    assert!(verify_answer(&verify, &question, (200, body.as_bytes()), signature));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_lets_requests_end_and_tells_the_streams() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let remote = home.remote(&server.url(), &secret).await.expect("connect");
    let auth = Authorization::sign(remote.id(), &secret.parts().0, ("GET", Watch::PATH), b"").expect("sign");
    let mut stream = TcpStream::connect(server.address).await.expect("connect");
    let request = format!("GET {} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n", Watch::PATH, auth.header());
    stream.write_all(request.as_bytes()).await.expect("send");
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains("event: standing") {
        let read = stream.read(&mut buffer).await.expect("read");
        assert!(read > 0, "it ended early: {text}");
        text += std::str::from_utf8(&buffer[..read]).expect("text");
    }
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    let busy = (0..8).map(|_| {
        let (key, url) = (secret.parts().0, server.url());
        let (root, key) = (secret.parts().1, Arc::new(key));
        tokio::spawn(async move {
            let remote = Remote::connect(&url, Arc::clone(&key), root).await?;
            let mut done = 0;
            while ask(&remote, &key, &Renew::default()).await.is_ok() {
                done += 1;
            }
            Ok::<u32, KeysError>(done)
        })
    });
    let busy = busy.collect::<Vec<_>>();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop().await;
    stream.read_to_string(&mut text).await.expect("the rest");
    assert!(text.contains("event: end"), "{text}");
    for task in busy {
        assert!(task.await.expect("no panic").expect("it connected") > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_tells_standings_and_takes_a_last_id() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let remote = home.remote(&server.url(), &secret).await.expect("connect");
    let client = secret.parts().0.client_id();
    let first = remote.next_standing(client, Standing::default()).await.expect("at once");
    let begin = Instant::now();
    home.open().grant("web", "default", Permissions::DECRYPT, None).expect("grant");
    let second = remote.next_standing(client, first).await.expect("a change");
    assert!(second.changed > first.changed && second.revision > first.revision);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    for (id, status) in [("1.2", 200), ("x", 400), ("1", 400), ("1.2.3", 400)] {
        let auth = Authorization::sign(remote.id(), &secret.parts().0, ("GET", Watch::PATH), b"").expect("sign");
        let mut stream = TcpStream::connect(server.address).await.expect("connect");
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\nlast-event-id: {id}\r\n\r\n",
            Watch::PATH,
            auth.header()
        );
        stream.write_all(request.as_bytes()).await.expect("send");
        let mut head = vec![0; 12];
        stream.read_exact(&mut head).await.expect("read");
        assert_eq!(String::from_utf8(head).expect("text"), format!("HTTP/1.1 {status}"), "{id}");
    }
}

/// Opens an event stream and reads it up to the first event.
async fn open_stream(server: SocketAddr, auth: Authorization) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.expect("connect");
    let request = format!("GET {} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n\r\n", Watch::PATH, auth.header());
    stream.write_all(request.as_bytes()).await.expect("send");
    read_until(&mut stream, "event: standing").await;
    stream
}

async fn read_until(stream: &mut TcpStream, wanted: &str) {
    let (mut text, mut buffer) = (String::new(), [0; 2048]);
    while !text.contains(wanted) {
        let read = stream.read(&mut buffer).await.expect("read");
        assert!(read > 0, "it ended: {text}");
        text += std::str::from_utf8(&buffer[..read]).expect("text");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_reaches_hundreds_of_streams() {
    const STREAMS: usize = 300;
    let home = Home::new();
    let secret = home.application();
    let server = Served::with(&home, |settings| settings.max_connections = 2 * STREAMS).await;
    let remote = home.remote(&server.url(), &secret).await.expect("connect");
    let key = secret.parts().0;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let auth = Authorization::sign(remote.id(), &key, ("GET", Watch::PATH), b"").expect("sign");
        streams.push(open_stream(server.address, auth).await);
    }
    let before = home.engine(&secret).revision().expect("a revision").revision;
    home.open().set_client_enabled("web", false).expect("disable");
    let begin = Instant::now();
    for stream in &mut streams {
        read_until(stream, "event: refused").await;
    }
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(home.engine(&secret).revision().expect("a revision").revision > before);
    drop(streams);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_admin_founds_the_workspace_once_and_only_with_the_token() {
    let (place, admin, late) = (Home::empty(), Home::empty(), Home::empty());
    let server = Served::of(&place).await;
    assert_eq!(server.send("GET", "/readyz", &[], b"").await.0, 503);
    assert_eq!(server.send("GET", "/v1/service", &[], b"").await.2["code"], "no_workspace");
    let init = |home: &Home, token: PathBuf| {
        let (options, url) = (home.options(), server.url());
        tokio::task::spawn_blocking(move || Workspace::init_server(&options, &url, Some(&token)))
    };
    let wrong = place.path().with_file_name("wrong.token");
    super::super::files::create(&wrong, &format!("csboot1_{}\n", "0".repeat(64))).expect("write");
    let refused = init(&admin, wrong.clone()).await.expect("no panic");
    assert!(matches!(refused, Err(KeysError::Refused { .. })), "{refused:?}");
    assert!(!admin.options().recovery_file.exists(), "nothing is left behind");

    let kept = place.path().with_file_name("kept.token");
    let text = std::fs::read_to_string(place.token()).expect("the server wrote it");
    super::super::files::create(&kept, &text).expect("write");
    let report = init(&admin, kept.clone()).await.expect("no panic").expect("founded");
    assert!(report.created && report.keyset_created);
    assert!(!place.token().exists(), "the token is used up");
    let again = init(&admin, kept.clone()).await.expect("no panic").expect("it changes nothing");
    assert!(!again.created && !again.keyset_created && again.root == report.root);
    let other = init(&late, kept).await.expect("no panic");
    assert!(matches!(other, Err(KeysError::DeviceKeyMissing { .. })), "{other:?}");

    until_ready(&server).await;
    let (path, url) = (admin.path(), server.url());
    let made = tokio::task::spawn_blocking(move || {
        let workspace = Workspace::connect(&path, &url)?;
        let keysets = vec!["default".to_owned()];
        let new = NewClient { keysets, ..NewClient::named("web", ClientKind::Application) };
        let secret = Secret(workspace.create_client(&new)?.secret.expose_secret().to_owned());
        assert!(workspace.audit_verify()? > 3);
        Ok::<_, KeysError>(secret)
    });
    let secret = made.await.expect("no panic").expect("an admin from afar");
    let ring = admin.far_ring(&server.url(), &secret, MINUTE).await.expect("start");
    let envelope = encrypt(&ring, "text").await.expect("encrypt");
    assert_eq!(decrypt(&ring, &envelope).await.expect("decrypt"), "text");
}

async fn until_ready(server: &Served) {
    let begin = Instant::now();
    while server.send("GET", "/readyz", &[], b"").await.0 != 200 {
        assert!(begin.elapsed() < Duration::from_secs(10), "it does not become ready");
    }
}

#[test]
fn the_document_names_every_request() {
    let document = document();
    for route in ROUTES {
        let operation = &document["paths"][route.path]["post"];
        assert!(operation["requestBody"]["content"]["application/json"]["schema"].is_object(), "{}", route.path);
        assert_eq!(operation["security"][0]["signature"], serde_json::json!([]), "{}", route.path);
    }
    for path in ["/v1/service", "/v1/events", "/v1/bootstrap/offer", "/v1/bootstrap/found", "/openapi.json"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let mut missing = Vec::new();
    references(document, document, &mut missing);
    assert!(missing.is_empty(), "{missing:?}");
}

/// References that lead nowhere.
fn references(document: &Value, value: &Value, missing: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let found = document.pointer(reference.trim_start_matches('#'));
                missing.extend(found.is_none().then(|| reference.clone()));
            }
            fields.values().for_each(|field| references(document, field, missing));
        }
        Value::Array(items) => items.iter().for_each(|item| references(document, item, missing)),
        _ => {}
    }
}
