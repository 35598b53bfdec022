//! Bytes in any pieces and pipes that are full: the session runs over in-memory pipes of a few bytes, with a relay before the
//! server that hands on as little at a time.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use columnseal::app::App;
use columnseal::config::{self, Environment, Sources};
use columnseal::net::stream::Socket;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, split};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::raw::{self, Message, startup, transcript};
use crate::support::{PATIENCE, Twin};

const TABLE: &str =
    "CREATE TABLE notes (id int PRIMARY KEY, secret seal.text_search UNIQUE, age seal.int4_ord, label text)";

/// A relay that hands on a few bytes at a time, in both directions.
struct Trickle {
    port: u16,
    /// What comes from the proxy is not read while this is set.
    stopped: watch::Sender<bool>,
}

impl Trickle {
    /// Towards a port of 127.0.0.1, in pieces of at most so many bytes.
    async fn start(target: u16, piece: usize) -> Trickle {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(16).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stopped, stops) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((proxy, _)) = listener.accept().await {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await.unwrap();
                proxy.set_nodelay(true).unwrap();
                let ((from_proxy, to_proxy), (from_server, to_server)) = (proxy.into_split(), server.into_split());
                tokio::spawn(hand_on(from_proxy, to_server, piece, stops.clone()));
                tokio::spawn(hand_on(from_server, to_proxy, piece, watch::channel(false).1));
            }
        });
        Trickle { port, stopped }
    }
}

/// Hands on pieces of at most so many bytes until a side closes.
async fn hand_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    piece: usize,
    mut stopped: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; piece];
    loop {
        if stopped.wait_for(|stopped| !stopped).await.is_err() {
            return;
        }
        match from.read(&mut buffer).await {
            Ok(read) if read > 0 && to.write_all(&buffer[..read]).await.is_ok() => {}
            _ => return,
        }
    }
}

/// A proxy in this process, before this port.
async fn app(twin: &Twin, port: u16) -> App {
    let home = twin.workspace.home();
    let url = twin.cluster.at("sealed", port).url;
    let pairs = [
        ("COLUMNSEAL_HOME", home.to_str().unwrap()),
        ("CS_CLIENT_ID", &twin.client.id),
        ("CS_CLIENT_KEY", &twin.client.key),
        ("CS_DATABASE__URL", &url),
        ("CS_SERVER__PORT", "0"),
        ("CS_METRICS__LISTEN", "127.0.0.1:0"),
    ];
    let environment = Environment::of_pairs(twin.workspace.dir(), &pairs);
    let config = config::load(&environment, &Sources::default()).unwrap();
    App::start(&config, CancellationToken::new()).await.unwrap()
}

/// A connection to it over a pipe that holds so many bytes each way; logged in.
async fn connect(app: &App, capacity: usize) -> DuplexStream {
    let (mut client, ours) = tokio::io::duplex(capacity);
    tokio::spawn(app.serve(Socket::Pipe(ours)));
    let hello = startup(0x0003_0000, &[("user", "app"), ("database", "sealed")]);
    client.write_all(&hello).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"Z\0\0\0\x05I") {
        assert!(client.read_buf(&mut seen).await.unwrap() > 0, "{}", seen.escape_ascii());
    }
    client
}

/// Reads until so many ReadyForQuery have come.
async fn answers(mut client: impl AsyncRead + Unpin, ready: usize) -> Vec<Message> {
    let (mut messages, mut seen) = (Vec::new(), 0);
    while seen < ready {
        let (tag, length) = (client.read_u8().await.unwrap(), client.read_u32().await.unwrap() as usize);
        let mut body = vec![0; length - 4];
        client.read_exact(&mut body).await.unwrap();
        seen += usize::from(tag == b'Z');
        messages.push(Message { tag, body });
    }
    messages
}

/// Everything that a client may do, in one go; how many ReadyForQuery answer it.
fn script() -> (Vec<u8>, usize) {
    let insert = |id: &str, secret: &str| {
        raw::unsynced(
            "INSERT INTO notes VALUES ($1, $2, $3, $4) RETURNING secret, age",
            &[Some(id), Some(secret), Some("7"), Some("l")],
        )
    };
    let many = (0..40).flat_map(|n| insert(&n.to_string(), &format!("secret {n}"))).chain(raw::sync()).collect();
    let failing = [insert("100", "new"), insert("101", "secret 3"), insert("102", "newer"), raw::sync()].concat();
    let copied: String = (200..260).map(|n| format!("{n}\tcopied\\t{n}\t{n}\tx\n")).collect();
    let copy = [
        raw::query("COPY notes (id, secret, age, label) FROM STDIN"),
        copied.as_bytes().chunks(37).flat_map(|piece| raw::message(b'd', piece)).collect(),
        raw::message(b'c', b""),
    ]
    .concat();
    let portal = [
        raw::query("BEGIN"),
        raw::parse("s", "SELECT id, secret FROM notes WHERE age >= $1 ORDER BY id", &[]),
        raw::describe_statement("s"),
        raw::bind("p", "s", &[Some("7")]),
        raw::describe_portal("p"),
        raw::execute("p", 3),
        raw::flush(),
        raw::execute("p", 2),
        raw::sync(),
        raw::execute("p", 0),
        raw::close_portal("p"),
        raw::close_statement("s"),
        raw::sync(),
        raw::query("COMMIT"),
    ]
    .concat();
    let long = "long ".repeat(20_000);
    let parts: [(Vec<u8>, usize); 9] = [
        (raw::query("SELECT 1; SELECT repeat('x', 5000)"), 1),
        (many, 1),
        (failing, 1),
        (copy, 1),
        (portal, 4),
        ([insert("300", &long), raw::sync()].concat(), 1),
        (
            raw::query("SELECT id, label FROM notes WHERE secret LIKE '%ret 1%' ORDER BY id; SELECT nothing; SELECT 2"),
            1,
        ),
        (raw::query("COPY (SELECT id, secret, age FROM notes ORDER BY id) TO STDOUT"), 1),
        (raw::query("DELETE FROM notes"), 1),
    ];
    let ready = parts.iter().map(|(_, ready)| ready).sum();
    (parts.into_iter().flat_map(|(bytes, _)| bytes).collect(), ready)
}

#[test]
fn bytes_may_come_in_any_pieces() {
    let twin = Twin::start();
    twin.create(TABLE);
    let (bytes, ready) = script();
    let mut plain = twin.raw_plain();
    plain.send(&bytes);
    let expected: Vec<String> = (0..ready).map(|_| transcript(&plain.until_ready())).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for (capacity, piece) in [(1, 1), (2, 5), (7, 3), (64, 64), (5, 1000), (4096, 2)] {
            let trickle = Trickle::start(twin.cluster.port, piece).await;
            let app = app(&twin, trickle.port).await;
            let (reads, mut writes) = split(connect(&app, capacity).await);
            let sent = writes.write_all(&bytes);
            let both = async { tokio::join!(sent, answers(reads, ready)) };
            let (sent, messages) = tokio::time::timeout(4 * PATIENCE, both).await.expect("no side waits for ever");
            sent.unwrap();
            let what = format!("pipes of {capacity} bytes, pieces of {piece}");
            assert_eq!(transcript(&messages), expected.join("\n"), "{what}");
        }
    });
}

#[test]
fn a_side_that_takes_nothing_for_a_while_gets_everything_later() {
    let twin = Twin::start();
    twin.create(TABLE);
    let most = 20_000;
    let label = |n: usize| format!("{n:4} {}", "label ".repeat(3500));
    let statement = move |n: usize| {
        let values = [Some(label(n)), Some(format!("secret {n}"))];
        let sql = "SELECT $1::text, repeat('y', 10000), count(*) FROM notes WHERE secret = $2";
        raw::extended(sql, &values.each_ref().map(Option::as_deref))
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let trickle = Trickle::start(twin.cluster.port, 1 << 16).await;
        let app = app(&twin, trickle.port).await;
        for server_stops in [false, true] {
            let (reads, mut writes) = split(connect(&app, 8192).await);
            trickle.stopped.send_replace(server_stops);
            let (taken, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let (counted, ends) = (Arc::clone(&taken), Arc::clone(&enough));
            let writing = tokio::spawn(async move {
                let mut count = 0;
                while count < most && !ends.load(Ordering::SeqCst) {
                    for piece in statement(count).chunks(512) {
                        writes.write_all(piece).await.unwrap();
                        counted.fetch_add(piece.len(), Ordering::SeqCst);
                    }
                    count += 1;
                }
                writes.write_all(&raw::query("SELECT 'the end'")).await.unwrap();
                (count, writes)
            });
            // Nobody reads: all buffers on the way fill up, and the client is held up.
            let mut last = usize::MAX;
            while last != taken.load(Ordering::SeqCst) {
                last = taken.load(Ordering::SeqCst);
                tokio::time::sleep(raw::SILENCE).await;
            }
            assert!(!writing.is_finished(), "the proxy took {last} bytes, which is everything");
            enough.store(true, Ordering::SeqCst);
            trickle.stopped.send_replace(false);
            let read = async {
                let mut reads = reads;
                let (mut count, mut first) = (0, Vec::new());
                while first != b"the end" {
                    let messages = answers(&mut reads, 1).await;
                    let row = messages.iter().find(|m| m.tag == b'D').expect("a row");
                    first = row.values()[0].clone().unwrap();
                    assert!(first == label(count).as_bytes() || first == b"the end", "every answer, in order");
                    count += 1;
                }
                count - 1
            };
            let answered = tokio::time::timeout(4 * PATIENCE, read).await.expect("no deadlock");
            let (count, writes) = writing.await.unwrap();
            assert_eq!(answered, count);
            drop(writes);
        }
    });
}
