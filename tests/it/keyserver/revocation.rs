//! From a revocation to the first refused value, on three proxies of one key server: through the event stream, with that
//! stream cut, and with the key server away. (COPY of encrypted columns is refused before any key is asked for.)

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::raw::{Message, PgError, Raw, bind, execute, parse, query, sync};
use crate::support::workspace::ClientCredentials;
use crate::support::{
    Cluster, Database, KeyServer, Options, PATIENCE, Proxy, ProxyOptions, Relay, Workspace, eventually,
};

const ROWS: &str = "CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, p text);
    INSERT INTO t VALUES (1, 'value', 'plain')";
const ONE: &str = "SELECT e FROM t WHERE id = 1";
/// The same value over and over. Every row is as long as what PostgreSQL sends at a time, and takes its time.
const MANY: &str = "SELECT e, repeat('x', 8192), pg_sleep(0.01) FROM t, generate_series(1, 100000)";
const LEASE: Duration = Duration::from_secs(3);
/// A loaded machine.
const SLACK: Duration = Duration::from_secs(2);

/// Three proxies with one client key.
struct Three {
    cluster: Cluster,
    server: KeyServer,
    admin: Workspace,
    /// As proxies see it; keeps their logs.
    _far: Workspace,
    relay: Relay,
    client: ClientCredentials,
    proxies: [Proxy; 3],
}

impl Three {
    fn start(options: &ProxyOptions) -> Three {
        let cluster = Cluster::start(Options::default());
        let database: Database = cluster.database("shop");
        let server = KeyServer::start();
        let admin = Workspace::found(&server, Some(&database));
        let client = admin.client_create("web", &["default"]);
        let relay = Relay::start(server.port);
        let far = Workspace::far(&format!("https://127.0.0.1:{}", relay.port), &server.authority.certificate);
        let proxies = [(); 3].map(|()| Proxy::start_with(&far, &client, &database, options));
        proxies[0].database(&cluster).sql(ROWS);
        Three { cluster, server, admin, _far: far, relay, client, proxies }
    }

    /// A connection through each.
    fn open(&self) -> [Raw; 3] {
        [0, 1, 2].map(|at| {
            let mut raw = Raw::connect(self.proxies[at].port, "shop");
            assert_eq!(raw.rows(ONE), ["value"]);
            raw
        })
    }
}

/// What came first that was no value, and when.
struct Refused {
    error: PgError,
    at: Instant,
}

/// Reading in a thread of its own that has begun, and goes on when all others have begun too.
struct Reader {
    what: String,
    reading: JoinHandle<Refused>,
    go: Sender<()>,
}

impl Reader {
    /// `next` reads one value, or says why there is none. The first one is read now.
    fn start(what: String, mut raw: Raw, mut next: impl FnMut(&mut Raw) -> Option<PgError> + Send + 'static) -> Reader {
        assert_eq!(next(&mut raw), None, "a value before the revocation");
        let (go, wait) = channel();
        let reading = std::thread::spawn(move || {
            wait.recv().expect("the test goes on");
            let end = Instant::now() + PATIENCE;
            loop {
                assert!(Instant::now() < end, "values are read for {PATIENCE:?}");
                if let Some(error) = next(&mut raw) {
                    return Refused { error, at: Instant::now() };
                }
            }
        });
        Reader { what, reading, go }
    }

    /// One statement after the other on an open connection.
    fn of_statements(at: usize, raw: Raw) -> Reader {
        let next = |raw: &mut Raw| error_in(&raw.ask(&query(ONE)));
        Reader::start(format!("statements, proxy {at}"), raw, next)
    }

    /// A portal that is read one row at a time.
    fn of_a_portal(at: usize, mut raw: Raw) -> Reader {
        raw.query("BEGIN");
        let sql = "SELECT e FROM t, generate_series(1, 100000)";
        let opened = raw.ask(&[parse("", sql, &[]), bind("c", "", &[]), sync()].concat());
        assert_eq!(error_in(&opened), None);
        let next = |raw: &mut Raw| {
            let answers = raw.ask(&[execute("c", 1), sync()].concat());
            let error = error_in(&answers);
            let tags: Vec<u8> = answers.iter().map(|m| m.tag).collect();
            assert!(error.is_some() || tags == *b"DsZ", "a row, and there are more: {tags:?}");
            error
        };
        Reader::start(format!("portal, proxy {at}"), raw, next)
    }

    /// A result that is being sent.
    fn of_a_result(at: usize, raw: Raw) -> Reader {
        Reader::of_messages(format!("result under way, proxy {at}"), raw, MANY, b'D')
    }

    /// A COPY that is being sent.
    fn of_a_copy(at: usize, raw: Raw) -> Reader {
        Reader::of_messages(format!("COPY under way, proxy {at}"), raw, &format!("COPY ({MANY}) TO STDOUT"), b'd')
    }

    /// What one statement gives, in messages of this kind.
    fn of_messages(what: String, mut raw: Raw, sql: &str, kind: u8) -> Reader {
        raw.send(&query(sql));
        let next = move |raw: &mut Raw| loop {
            let message = raw.next();
            match message.tag {
                tag if tag == kind => return None,
                b'E' => return Some(message.fields()),
                _ => {}
            }
        };
        Reader::start(what, raw, next)
    }
}

/// Lets all go on.
fn go(readers: &[Reader]) {
    readers.iter().for_each(|reader| reader.go.send(()).unwrap());
}

fn error_in(messages: &[Message]) -> Option<PgError> {
    messages.iter().find_map(Message::error)
}

#[test]
fn three_proxies_refuse_within_a_second_in_the_middle_of_whatever_they_do() {
    let three = Three::start(&ProxyOptions::default());
    let mut readers = Vec::new();
    for begin in [Reader::of_statements, Reader::of_a_portal, Reader::of_a_result, Reader::of_a_copy] {
        readers.extend(three.open().into_iter().enumerate().map(|(at, raw)| begin(at, raw)));
    }
    go(&readers);
    three.admin.revoke(&three.client, None);
    let revoked = Instant::now();
    for Reader { what, reading, .. } in readers {
        let refused = reading.join().unwrap();
        // Refused before the command had ended: zero.
        let took = refused.at.saturating_duration_since(revoked);
        eprintln!("{what}: refused {took:?} after `client revoke`");
        assert_eq!(refused.error.code, "42501", "{what}: {:?}", refused.error);
        assert!(refused.error.message.contains("default"), "{what}: {:?}", refused.error);
        assert!(took < Duration::from_secs(1), "{what}: {took:?}");
    }
    let mut again = [0, 1, 2].map(|at| Raw::connect(three.proxies[at].port, "shop"));
    for raw in &mut again {
        assert_eq!(raw.error("INSERT INTO t VALUES (2, 'mark', NULL)").code, "42501");
        assert_eq!(raw.rows("SELECT p FROM t WHERE id = 1"), ["plain"], "what is not encrypted goes on");
    }
    three.admin.grant(&three.client, "default");
    for raw in &mut again {
        eventually("it is granted again", || raw.query(ONE).contains("D value").then_some(()));
    }
    assert_eq!(three.proxies[0].database(&three.cluster).sql("SELECT count(*) FROM t"), "1\n");
}

/// Serves what is cached, and refuses once the lease is over, and says that this is why.
fn assert_lease_decides(readers: Vec<Reader>, lease: Duration, cut: Instant) {
    for Reader { what, reading, .. } in readers {
        let refused = reading.join().unwrap();
        let took = refused.at.duration_since(cut);
        eprintln!("{what}: refused {took:?} after the cut");
        assert_eq!(refused.error.code, "57P03", "{what}: {:?}", refused.error);
        assert!(refused.error.message.contains("lease on keys has ended"), "{what}: {:?}", refused.error);
        assert!(took < lease + SLACK, "{what}: {took:?}");
    }
}

#[test]
fn with_the_events_cut_the_lease_decides_on_three_proxies() {
    let three = Three::start(&ProxyOptions::default().with("CS_KEYS__LEASE", "3s"));
    let mut readers = Vec::new();
    for begin in [Reader::of_statements, Reader::of_a_portal] {
        readers.extend(three.open().into_iter().enumerate().map(|(at, raw)| begin(at, raw)));
    }
    go(&readers);
    three.relay.cut();
    let cut = Instant::now();
    three.admin.revoke(&three.client, None);
    assert_lease_decides(readers, LEASE, cut);
    three.relay.resume();
    for mut raw in [0, 1, 2].map(|at| Raw::connect(three.proxies[at].port, "shop")) {
        eventually("the reason is known", || (raw.error(ONE).code == "42501").then_some(()));
    }
    three.admin.grant(&three.client, "default");
    for mut raw in [0, 1, 2].map(|at| Raw::connect(three.proxies[at].port, "shop")) {
        eventually("it works again", || raw.query(ONE).contains("D value").then_some(()));
    }
}

/// How often a proxy has read the catalog, as its metrics say.
fn loads(metrics: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix("columnseal_catalog_loads_total ")?.parse().ok())
}

#[test]
fn with_the_key_server_away_three_proxies_serve_for_a_lease_and_resume_by_themselves() {
    // A statement may wait for seconds while another reads the catalog, and asks a service that does not answer.
    let mut three = Three::start(&ProxyOptions::default().with("CS_KEYS__LEASE", "8s"));
    let begin = |(at, raw)| Reader::of_statements(at, raw);
    let readers: Vec<_> = three.open().into_iter().enumerate().map(begin).collect();
    let mut cached = three.open();
    go(&readers);
    // What changed at first (the schema, pins) is known to every proxy: to learn it later would take a service that answers.
    let read = || three.proxies.each_ref().map(|proxy| loads(&proxy.http("/metrics").unwrap().1));
    eventually("no proxy reads the catalog any more", || {
        let before = read();
        std::thread::sleep(Duration::from_secs(2));
        (before == read() && before[0].is_some()).then_some(())
    });
    for raw in &mut cached {
        assert_eq!(raw.rows(ONE), ["value"]);
    }
    three.server.kill();
    let killed = Instant::now();
    for raw in &mut cached {
        assert_eq!(error_in(&raw.ask(&query(ONE))), None, "what is cached serves");
    }
    assert_lease_decides(readers, Duration::from_secs(8), killed);
    for raw in &mut cached {
        assert_eq!(raw.error("INSERT INTO t VALUES (2, 'mark', NULL)").code, "57P03", "nothing new is written");
        assert_eq!(raw.rows("SELECT p FROM t WHERE id = 1"), ["plain"]);
    }
    three.server.restart();
    let back = Instant::now();
    for raw in &mut cached {
        eventually("it works again", || raw.query(ONE).contains("D value").then_some(()));
    }
    eprintln!("served again {:?} after the key server answered", back.elapsed());
    assert!(three.proxies.iter_mut().all(|proxy| proxy.exited().is_none()));
}
