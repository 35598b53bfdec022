//! Somebody in the middle who ends TLS, here simply by sitting between: he can read and alter everything and holds no key.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::crypto::ClientId;
use crate::keys::error::KeysError;
use crate::keys::request::{Authorization, Body as _};
use crate::keys::service::{Renew, Standing, Watch, ask};
use crate::keys::settings::Server as ServerUrl;
use crate::keys::{KeyService, Permissions};

use super::home::{Secret, decrypt, encrypt, until};
use super::http::Served;
use super::kinds::Sqlite;

type Home = super::home::Home<Sqlite>;

/// Passes everything on as it is.
const WELL: u8 = 0;
/// Gives the answer that a path got first, for ever.
const REPLAY: u8 = 1;
/// Says that the grant was revoked.
const INVENT: u8 = 2;
/// Turns 200 into 403.
const STATUS: u8 = 3;
/// Alters revisions in bodies and events.
const ALTER: u8 = 4;
/// Leaves out every second event.
const DROP: u8 = 5;
/// Tells every event twice.
const REPEAT: u8 = 6;
/// Takes the signature away.
const STRIP: u8 = 7;
/// Answers like a load balancer whose servers are gone.
const GATEWAY: u8 = 8;
/// Asks the same, under the same nonce, as a client that nobody knows.
const STRANGER: u8 = 9;
/// Spoils the request's body.
const SPOIL: u8 = 10;

struct Middle {
    target: SocketAddr,
    mood: AtomicU8,
    client: Client<HttpConnector, Body>,
    first: Mutex<std::collections::HashMap<String, (axum::http::response::Parts, Bytes)>>,
    streams: AtomicUsize,
}

impl Middle {
    async fn before(server: &Served) -> (Arc<Self>, ServerUrl) {
        let middle = Arc::new(Self {
            target: server.address,
            mood: AtomicU8::new(WELL),
            client: Client::builder(TokioExecutor::new()).build_http(),
            first: Mutex::default(),
            streams: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(pass).with_state(Arc::clone(&middle));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (middle, ServerUrl { urls: vec![url], ca: None })
    }

    fn set(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn mood(&self) -> u8 {
        self.mood.load(Ordering::SeqCst)
    }

    /// An answer with its body, altered by mood.
    fn alter(&self, path: &str, mut head: axum::http::response::Parts, body: Bytes) -> Response {
        self.first.lock().expect("no panic").entry(path.to_owned()).or_insert((head.clone(), body.clone()));
        let mut body = body;
        match self.mood() {
            REPLAY => (head, body) = self.first.lock().expect("no panic")[path].clone(),
            STATUS => head.status = StatusCode::FORBIDDEN,
            ALTER => body = altered(&body),
            STRIP => drop(head.headers.remove(crate::keys::signed::HEADER)),
            _ => {}
        }
        head.headers.remove("content-length");
        Response::from_parts(head, Body::from(body))
    }
}

fn altered(bytes: &[u8]) -> Bytes {
    String::from_utf8_lossy(bytes).replace("\"revision\":", "\"revision\":9").into()
}

fn as_a_stranger(headers: &mut HeaderMap) {
    if let Some(value) = headers.get_mut("authorization") {
        let mut auth = Authorization::from_header(value.to_str().expect("text")).expect("an authorization");
        auth.client = ClientId([9; 16]);
        *value = auth.header().parse().expect("a header");
    }
}

async fn pass(State(middle): State<Arc<Middle>>, request: Request) -> Response {
    match middle.mood() {
        INVENT => {
            let body = r#"{"code":"revoked","keyset":"default","message":"it was revoked","hint":"None."}"#;
            return (StatusCode::FORBIDDEN, [("content-type", "application/json")], body).into_response();
        }
        GATEWAY => return (StatusCode::BAD_GATEWAY, "<html>502</html>").into_response(),
        _ => {}
    }
    let (mut head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let mut body = to_bytes(body, usize::MAX).await.expect("a body");
    match middle.mood() {
        STRANGER => as_a_stranger(&mut head.headers),
        SPOIL => body = Bytes::from([body.as_ref(), b" "].concat()),
        _ => {}
    }
    head.headers.remove("content-length");
    head.uri = format!("http://{}{path}", middle.target).parse().expect("a URI");
    let sent = middle.client.request(Request::from_parts(head, Body::from(body))).await;
    let Ok(response) = sent else { return StatusCode::BAD_GATEWAY.into_response() };
    let (head, body) = response.into_parts();
    if path == Watch::PATH && head.status == StatusCode::OK {
        middle.streams.fetch_add(1, Ordering::SeqCst);
        return Response::from_parts(head, Body::from_stream_of(body, middle));
    }
    let body = body.collect().await.expect("a whole body").to_bytes();
    middle.alter(&path, head, body)
}

trait FromStream {
    fn from_stream_of(body: hyper::body::Incoming, middle: Arc<Middle>) -> Self;
}

impl FromStream for Body {
    fn from_stream_of(mut body: hyper::body::Incoming, middle: Arc<Middle>) -> Self {
        let (events, lines) = tokio::sync::mpsc::channel::<Bytes>(16);
        tokio::spawn(async move {
            let mut number = 0;
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(data) = frame.into_data() else { continue };
                number += 1;
                let told = match middle.mood() {
                    DROP if number % 2 == 1 => vec![],
                    REPEAT => vec![data.clone(), data],
                    ALTER => vec![altered(&data)],
                    _ => vec![data],
                };
                for data in told {
                    if events.send(data).await.is_err() {
                        return;
                    }
                }
            }
        });
        Body::new(Told(lines))
    }
}

struct Told(tokio::sync::mpsc::Receiver<Bytes>);

impl hyper::body::Body for Told {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|data| data.map(|data| Ok(hyper::body::Frame::data(data))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_service_did_not_sign_is_believed() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let (middle, url) = Middle::before(&server).await;
    let remote = home.remote(&url, &secret).await.expect("connect");
    let (key, _) = secret.parts();
    ask(&remote, &key, &Renew::default()).await.expect("honest");
    for mood in [REPLAY, INVENT, STATUS, ALTER, STRIP, GATEWAY, STRANGER] {
        middle.set(mood);
        let answer = ask(&remote, &key, &Renew::default()).await;
        assert!(matches!(answer, Err(KeysError::Unavailable { .. })), "mood {mood}: {answer:?}");
    }
    middle.set(WELL);
    while let Err(error) = ask(&remote, &key, &Renew::default()).await {
        assert!(error.is_transient(), "it rests after failures: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A refusal that is the service's own.
    home.open().set_client_enabled("web", false).expect("disable");
    let refused = ask(&remote, &key, &Renew::default()).await;
    assert_eq!(refused.err(), Some(KeysError::ClientDisabled { client: "web".into() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_answer_extends_no_lease_and_an_invented_refusal_takes_nothing() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let (middle, url) = Middle::before(&server).await;
    let lease = Duration::from_secs(2);
    let ring = home.far_ring(&url, &secret, lease).await.expect("start");
    let keyset = ring.default_keyset().expect("default");
    let generation = ring.generation();
    let envelope = encrypt(&ring, "text").await.expect("encrypt");
    for mood in [INVENT, STRANGER, SPOIL] {
        middle.set(mood);
        tokio::time::sleep(lease / 2).await;
        let kept = ring.data_key(keyset, 1).is_some() && ring.generation() == generation;
        assert!(kept, "mood {mood}: nothing was purged");
        middle.set(WELL);
        tokio::time::sleep(lease).await;
        until(|| ring.data_key(keyset, 1).is_some()).await;
    }
    assert_eq!(decrypt(&ring, &envelope).await.expect("decrypt"), "text");
    middle.set(REPLAY);
    until(|| ring.data_key(keyset, 1).is_none()).await;
    let ended = decrypt(&ring, &envelope).await;
    assert!(matches!(ended, Err(KeysError::LeaseExpired { .. })), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_altered_missing_or_repeated_are_not_believed() {
    let home = Home::new();
    let secret = home.application();
    let server = Served::of(&home).await;
    let (middle, url) = Middle::before(&server).await;
    let client = secret.parts().0.client_id();
    for mood in [ALTER, DROP, REPEAT] {
        let remote = home.remote(&url, &secret).await.expect("connect");
        middle.set(mood);
        let real = server_standing(&home, &secret);
        let before = middle.streams.load(Ordering::SeqCst);
        let mut seen = Standing::default();
        // The stream is opened again and again; whatever it tells is the service's own.
        while middle.streams.load(Ordering::SeqCst) < before + 2 {
            let told = tokio::time::timeout(Duration::from_millis(200), remote.next_standing(client, seen)).await;
            if let Ok(Ok(standing)) = told {
                assert_eq!(standing, real, "mood {mood}");
                seen = standing;
            }
        }
        middle.set(WELL);
        home.open().grant("web", "default", Permissions::APPLICATION, None).expect("grant");
        let honest = tokio::time::timeout(Duration::from_secs(15), remote.next_standing(client, real)).await;
        assert!(honest.expect("in time").expect("a standing").changed > real.changed);
    }
}

fn server_standing(home: &Home, secret: &Secret) -> Standing {
    home.engine(secret).standing(secret.parts().0.client_id()).expect("a standing")
}
