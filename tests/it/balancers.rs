//! Between other parts: HAProxy in front, PgBouncer in front and behind. And clients that say nothing for too long.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::cluster::{account, run_as, temp_dir};
use crate::support::process::{Tied, run};
use crate::support::raw::{Raw, cancel_request, extended, query, startup, tcp, transcript};
use crate::support::tls::Authority;
use crate::support::{Auth, Cluster, Database, Options, Proxy, ProxyOptions, Workspace, eventually, free_port};

/// A program with a configuration of its own, listening on a port.
struct Beside {
    port: u16,
    dir: std::path::PathBuf,
    process: Tied,
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.process.stop("TERM");
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Beside {
    #[track_caller]
    fn start(write: impl Fn(&Path, u16) -> Command) -> Beside {
        for _ in 0..5 {
            let (port, dir) = (free_port(), temp_dir(account()));
            let mut command = write(&dir, port);
            let log = std::fs::File::create(dir.join("log")).unwrap();
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
            let mut process = Tied::spawn(&mut command, "TERM", Some(&dir));
            let up = eventually("it listens or is gone", || {
                if process.exited().is_some() {
                    return Some(false);
                }
                std::net::TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true)
            });
            if up {
                return Beside { port, dir, process };
            }
            eprintln!("{}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
        }
        panic!("it did not start");
    }

    /// HAProxy, which tells the address of its clients.
    fn haproxy(to: u16) -> Beside {
        Beside::start(|dir, port| {
            let conf = format!(
                "defaults\n mode tcp\n timeout connect 10s\n timeout client 1m\n timeout server 1m\n\
                 frontend f\n bind 127.0.0.1:{port}\n default_backend b\n\
                 backend b\n server s 127.0.0.1:{to} send-proxy-v2\n"
            );
            std::fs::write(dir.join("haproxy.cfg"), conf).unwrap();
            let mut command = Command::new("/usr/sbin/haproxy");
            command.arg("-db").arg("-f").arg(dir.join("haproxy.cfg"));
            run_as(&mut command, account());
            command
        })
    }

    /// PgBouncer before what listens on a port.
    fn pgbouncer(to: u16, mode: &str) -> Beside {
        Beside::pgbouncer_as(to, mode, "user=app")
    }

    /// The same, that logs in there with an account of its own.
    fn pgbouncer_as(to: u16, mode: &str, login: &str) -> Beside {
        Beside::start(|dir, port| {
            let mut conf = "[databases]\n".to_owned();
            _ = writeln!(conf, "* = host=127.0.0.1 port={to} {login}");
            _ = writeln!(conf, "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any");
            _ = writeln!(conf, "pool_mode = {mode}\nunix_socket_dir =\nignore_startup_parameters = extra_float_digits");
            std::fs::write(dir.join("pgbouncer.ini"), conf).unwrap();
            let mut command = Command::new("/usr/sbin/pgbouncer");
            command.arg(dir.join("pgbouncer.ini"));
            run_as(&mut command, account());
            command
        })
    }
}

const STATEMENTS: &[&str] = &[
    "INSERT INTO t VALUES (1, 'ada'), (2, 'grace'), (3, NULL)",
    "SELECT * FROM t WHERE e = 'ada'",
    "BEGIN; UPDATE t SET e = 'eve' WHERE id = 3; SELECT id, e FROM t ORDER BY id; COMMIT",
    "SELECT count(*) FROM t; SELECT e FROM t WHERE id = 3",
    "SELECT 1/0",
    "DELETE FROM t WHERE e IN ('ada', 'eve')",
    "SELECT id, e FROM t",
    "DELETE FROM t",
];

/// The same statements by both protocols; they must work however connections are shared.
#[track_caller]
fn works(port: u16, database: &str) {
    let expected =
        ["C INSERT 0 3", "D 1|ada", "D 3|eve", "D eve", "E ERROR 22012", "C DELETE 2", "D 2|grace", "C DELETE 1"];
    // Two connections in turn, so that a pool hands the server's about.
    let mut clients = [Raw::connect(port, database), Raw::connect(port, database)];
    for (n, (sql, expected)) in STATEMENTS.iter().zip(expected).enumerate() {
        let answer = clients[n % 2].query(sql);
        assert!(answer.contains(expected), "{sql}: {answer}");
    }
    for (n, value) in ["ada", "grace", "eve"].into_iter().enumerate() {
        let id = n.to_string();
        let insert = extended("INSERT INTO t VALUES ($1, $2)", &[Some(&id), Some(value)]);
        let answer = transcript(&clients[n % 2].ask(&insert));
        assert!(answer.contains("C INSERT 0 1"), "{answer}");
        let select = extended("SELECT id, e FROM t WHERE e = $1", &[Some(value)]);
        let answer = transcript(&clients[(n + 1) % 2].ask(&select));
        assert!(answer.contains(&format!("D {n}|{value}")), "{answer}");
    }
    let answer = clients[0].query("DELETE FROM t");
    assert!(answer.contains("C DELETE 3"), "{answer}");
}

/// One of several clients: its own rows, in transactions and outside, undone and kept, by both protocols.
fn one_of_many(port: u16, me: usize) {
    let mut raw = Raw::connect(port, "shop");
    let mut kept = Vec::new();
    for n in 0..60 {
        let (id, value) = (me * 1000 + n, format!("value {} of {me}", n % 7));
        let expected = |answer: String, part: &str| assert!(answer.contains(part), "{me}, {n}: {answer}");
        match n % 6 {
            0 => {
                expected(raw.query(&format!("INSERT INTO t VALUES ({id}, '{value}')")), "C INSERT 0 1");
                kept.push((id, value));
            }
            1 => {
                let (id_text, value_text) = (id.to_string(), Some(value.as_str()));
                let insert = extended("INSERT INTO t VALUES ($1, $2)", &[Some(&id_text), value_text]);
                expected(transcript(&raw.ask(&insert)), "C INSERT 0 1");
                kept.push((id, value));
            }
            2 => {
                raw.query("BEGIN");
                expected(raw.query(&format!("INSERT INTO t VALUES ({id}, '{value}')")), "C INSERT 0 1");
                expected(raw.query(&format!("SELECT e FROM t WHERE id = {id}")), &format!("D {value}"));
                let undo = n % 4 == 0;
                raw.query(if undo { "ROLLBACK" } else { "COMMIT" });
                if !undo {
                    kept.push((id, value));
                }
            }
            3 => {
                raw.query("BEGIN");
                expected(raw.query("SELECT 1/0"), "E ERROR 22012");
                expected(raw.query("SELECT e FROM t"), "E ERROR 25P02");
                raw.query("ROLLBACK");
            }
            4 => {
                let sql = format!(
                    "BEGIN; DECLARE c CURSOR FOR SELECT e FROM t WHERE id / 1000 = {me} AND e = '{value}'; FETCH ALL c; COMMIT"
                );
                let found = raw.query(&sql).matches("D value").count();
                assert_eq!(found, kept.iter().filter(|(_, known)| *known == value).count(), "{me}, {n}");
            }
            _ => {
                let select = extended("SELECT id FROM t WHERE e = $1", &[Some(&value)]);
                let found = transcript(&raw.ask(&select)).matches("\nD ").count();
                assert_eq!(found, kept.iter().filter(|(_, known)| *known == value).count(), "{me}, {n}");
            }
        }
    }
}

/// Many clients at once share few connections of the server's.
fn many_work(port: u16) {
    std::thread::scope(|scope| {
        for me in 1..=6 {
            scope.spawn(move || one_of_many(port, me));
        }
    });
    Raw::connect(port, "shop").query("DELETE FROM t");
}

/// A workspace for a cluster's database, with a table.
fn made(cluster: &Cluster) -> (Workspace, Database) {
    let direct = cluster.database("shop");
    let workspace = Workspace::init(&direct);
    direct.sql("CREATE TABLE t (id int, e seal.text_eq)");
    (workspace, direct)
}

#[test]
fn pgbouncer_in_front() {
    let cluster = Cluster::start(Options::default());
    let (workspace, direct) = made(&cluster);
    let proxy = Proxy::start(&workspace, &direct);
    for mode in ["session", "transaction"] {
        let pool = Beside::pgbouncer(proxy.port, mode);
        works(pool.port, "shop");
        many_work(pool.port);
    }
    assert_eq!(direct.sql("SELECT count(*) FROM t"), "0\n");
}

#[test]
fn pgbouncer_behind() {
    let cluster = Cluster::start(Options::default());
    let (workspace, _) = made(&cluster);
    for mode in ["session", "transaction"] {
        let pool = Beside::pgbouncer(cluster.port, mode);
        let client = workspace.client_create(mode, &["default"]);
        let database = cluster.at("shop", pool.port);
        let proxy = Proxy::start_with(&workspace, &client, &database, &ProxyOptions::default());
        works(proxy.port, "shop");
        many_work(proxy.port);
    }
}

#[test]
fn pgbouncer_before_and_behind_logins_that_the_proxy_manages() {
    let cluster = Cluster::start(Options::auth(Auth::Scram));
    let (workspace, direct) = made(&cluster);
    let mut add = workspace.command(&["auth", "add", "ann", "--file", "users.txt"]);
    run(&mut add, "ann's\n").ok();
    let behind = Beside::pgbouncer_as(cluster.port, "transaction", "user=app password='app secret'");
    let client = workspace.client_create("test", &["default"]);
    let options = ProxyOptions::default().with("CS_AUTH__MODE", "managed").with("CS_AUTH__USERS", "users.txt");
    let proxy = Proxy::start_with(&workspace, &client, &cluster.at("shop", behind.port), &options);
    let front = Beside::pgbouncer_as(proxy.port, "session", "user=ann password='ann''s'");
    works(front.port, "shop");
    let stranger = Beside::pgbouncer_as(proxy.port, "session", "user=ann password='wrong'");
    let mut raw = Raw::over(tcp(stranger.port));
    raw.send(&startup(0x0003_0000, &[("user", "app"), ("database", "shop")]));
    assert!(raw.until_ready().iter().any(|m| m.tag == b'E'));
    assert_eq!(direct.sql("SELECT count(*) FROM t"), "0\n");
}

#[test]
fn haproxy_in_front_tells_who_the_client_is() {
    let cluster = Cluster::start(Options::default());
    let (workspace, direct) = made(&cluster);
    let client = workspace.client_create("test", &["default"]);
    let records = workspace.dir().join("access.jsonl");
    let options = ProxyOptions::default()
        .with("CS_SERVER__PROXY_PROTOCOL", "true")
        .with("CS_AUDIT__SINK", &format!("file:{}", records.display()))
        .with("CS_AUDIT__INTERVAL", "1s");
    let proxy = Proxy::start_with(&workspace, &client, &direct, &options);
    let balancer = Beside::haproxy(proxy.port);
    works(balancer.port, "shop");
    // Without the header nothing is answered, whatever is said.
    for bytes in
        [startup(0x0003_0000, &[("user", "app"), ("database", "shop")]), b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n".to_vec()]
    {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&bytes);
        assert!(raw.try_next().is_none(), "a connection without header is closed");
    }
    // A client that the balancer says to be elsewhere.
    let mut raw = Raw::over(tcp(proxy.port));
    let header = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &[192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 2][..]].concat();
    raw.send(&[header, startup(0x0003_0000, &[("user", "app"), ("database", "shop")])].concat());
    assert!(transcript(&raw.until_ready()).contains("Z I"));
    raw.query("SELECT id FROM t WHERE e = 'ada'");
    eventually("its address is recorded", || {
        std::fs::read_to_string(&records).unwrap_or_default().contains("192.0.2.7").then_some(())
    });
}

/// The header of PROXY protocol, version 2, for a client at an address of IPv6.
fn from_ipv6(last: u8) -> Vec<u8> {
    let mut client = [0; 16];
    client[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    client[15] = last;
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24", &client[..], &[0; 16], &[0, 1, 0, 2]].concat()
}

#[test]
fn haproxy_in_front_hands_on_tls_and_cancels() {
    let cluster = Cluster::start(Options::default());
    let (workspace, direct) = made(&cluster);
    let client = workspace.client_create("test", &["default"]);
    let authority = Authority::new(workspace.dir(), "proxy-ca");
    let issued = authority.issue("proxy", &["127.0.0.1"]);
    let records = workspace.dir().join("access.jsonl");
    let options = ProxyOptions::default()
        .with("CS_SERVER__PROXY_PROTOCOL", "true")
        .with("CS_TLS__CERTIFICATE", &issued.certificate.to_string_lossy())
        .with("CS_TLS__PRIVATE_KEY", &issued.key.to_string_lossy())
        .with("CS_AUDIT__SINK", &format!("file:{}", records.display()))
        .with("CS_AUDIT__INTERVAL", "1s");
    let proxy = Proxy::start_with(&workspace, &client, &direct, &options);
    let balancer = Beside::haproxy(proxy.port);
    let url = format!(
        "postgres://app@127.0.0.1:{}/shop?sslmode=verify-full&sslrootcert={}",
        balancer.port,
        authority.certificate.display()
    );
    let shop = Database::named("shop", &url);
    shop.sql("INSERT INTO t VALUES (1, 'ada')");
    assert_eq!(shop.sql("SELECT e FROM t WHERE e = 'ada'"), "ada\n");
    let mut busy = Raw::connect(balancer.port, "shop");
    busy.send(&query("SELECT e, pg_sleep(60) FROM t"));
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60) FROM t' AND state = 'active'";
    eventually("the statement runs", || (cluster.superuser("shop", running) == "1").then_some(()));
    let (pid, key) = busy.key.clone().expect("the proxy gave one");
    Raw::over(tcp(balancer.port)).send(&cancel_request(pid, &key));
    assert!(transcript(&busy.until_ready()).contains("57014"));
    let mut far = Raw::over(tcp(proxy.port));
    far.send(&[from_ipv6(7), startup(0x0003_0000, &[("user", "app"), ("database", "shop")])].concat());
    assert!(transcript(&far.until_ready()).contains("Z I"));
    assert_eq!(far.rows("SELECT e FROM t"), ["ada"]);
    eventually("its address is recorded", || {
        std::fs::read_to_string(&records).unwrap_or_default().contains("2001:db8::7").then_some(())
    });
}

#[test]
fn idle_sessions_are_ended_and_busy_ones_are_not() {
    let cluster = Cluster::start(Options::default());
    let (workspace, direct) = made(&cluster);
    let client = workspace.client_create("test", &["default"]);
    let options = ProxyOptions::default()
        .with("CS_SERVER__IDLE_TIMEOUT", "1500ms")
        .with("CS_SERVER__IDLE_TRANSACTION_TIMEOUT", "700ms");
    let proxy = Proxy::start_with(&workspace, &client, &direct, &options);
    let connect = || Raw::connect(proxy.port, "shop");
    let fatal = |raw: &mut Raw| {
        let error = raw.next().error().expect("an error");
        assert!(raw.try_next().is_none(), "the connection is closed");
        (error.severity, error.code)
    };
    let is = |severity: &str, code: &str| (severity.to_owned(), code.to_owned());
    let mut idle = connect();
    let mut open = connect();
    let mut failed = connect();
    open.query("BEGIN; INSERT INTO t VALUES (1, 'x')");
    failed.query("BEGIN; SELECT 1/0");
    // Longer than any limit, but at work.
    let mut busy = connect();
    assert!(busy.query("SELECT pg_sleep(2.5)").contains("C SELECT 1"));
    assert_eq!(fatal(&mut idle), is("FATAL", "57P05"));
    assert_eq!(fatal(&mut open), is("FATAL", "25P03"));
    assert_eq!(fatal(&mut failed), is("FATAL", "25P03"));
    assert_eq!(direct.sql("SELECT count(*) FROM t"), "0\n", "what was open is rolled back");
    assert!(busy.query("SELECT 1").contains("C SELECT 1"));
}

/// What a session that was opened now is connected to.
fn port_of(proxy: &Proxy) -> Result<String, String> {
    let mut raw = Raw::over(tcp(proxy.port));
    raw.send(&startup(0x0003_0000, &[("user", "app"), ("database", "shop")]));
    let answers = raw.until_ready();
    match answers.iter().find_map(|m| m.error()) {
        Some(error) => Err(error.message),
        None => Ok(raw.rows("SELECT current_setting('port')").join("")),
    }
}

#[test]
fn the_host_is_the_one_that_was_asked_for_also_after_a_failover() {
    let mut primary = Cluster::start(Options::default());
    let (workspace, _) = made(&primary);
    let client = workspace.client_create("test", &["default"]);
    let standby = primary.standby();
    // The standby is named first.
    let url = format!("postgres://app@127.0.0.1:{},127.0.0.1:{}/shop", standby.port, primary.port);
    let proxy = |attrs: &str| {
        let database = Database::named("shop", &format!("{url}?target_session_attrs={attrs}"));
        Proxy::start_with(&workspace, &client, &database, &ProxyOptions::default())
    };
    let (first, second) = (primary.port.to_string(), standby.port.to_string());
    let writer = proxy("read-write");
    for (attrs, port) in [
        ("any", &second),
        ("primary", &first),
        ("standby", &second),
        ("prefer-standby", &second),
        ("read-only", &second),
    ] {
        assert_eq!(port_of(&proxy(attrs)).as_ref(), Ok(port), "{attrs}");
    }
    assert_eq!(port_of(&writer), Ok(first));
    primary.stop();
    let refused = port_of(&writer).expect_err("nobody takes writes");
    assert!(refused.contains("session is read-only"), "{refused}");
    standby.superuser("postgres", "SELECT pg_promote()");
    eventually("the new primary is found", || (port_of(&writer).as_ref() == Ok(&second)).then_some(()));
    works(writer.port, "shop");
}

#[test]
fn connections_are_spread_over_hosts() {
    let (one, two) = (Cluster::start(Options::default()), Cluster::start(Options::default()));
    let (workspace, _) = made(&one);
    two.database("shop");
    let client = workspace.client_create("test", &["default"]);
    let url = format!("postgres://app@127.0.0.1:{},127.0.0.1:{}/shop?load_balance_hosts=random", one.port, two.port);
    let proxy = Proxy::start_with(&workspace, &client, &Database::named("shop", &url), &ProxyOptions::default());
    let mut seen: Vec<String> = (0..40).map(|_| port_of(&proxy).expect("both answer")).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2, "{seen:?}");
}
