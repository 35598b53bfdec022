//! Logins that the proxy decides itself, and its own login to the database.

use std::path::PathBuf;
use std::time::Duration;

use columnseal::session::settings::Limits;
use columnseal::session::users::{line, put};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use rcgen::{CertificateParams, KeyPair};

use super::{Certificates, Proxy, With, cluster_with_tls};
use crate::support::cluster::psql;
use crate::support::raw::{Message, Raw, cancel_request, message, query, startup, tcp, transcript};
use crate::support::{Auth, Cluster, Options, eventually};

const WHO: &str = "SELECT session_user || ' ' || current_database()";
const ANN: &str = "ann's pässword";

/// A folder with a file of users, in which `ann` is.
struct Users {
    dir: tempfile::TempDir,
}

impl Users {
    fn new() -> Users {
        let users = Users { dir: tempfile::tempdir().unwrap() };
        users.add("ann", ANN, None);
        users
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("users.txt")
    }

    fn add(&self, name: &str, password: &str, role: Option<&str>) {
        let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
        put(&self.file(), name, Some(&line(name, &verifier, role))).unwrap();
    }

    fn with(&self) -> With {
        With { users: Some(self.file()), ..With::default() }
    }
}

/// The database with the proxy's own account.
fn account(cluster: &Cluster, query: &str) -> String {
    format!("postgres://app:app%20secret@127.0.0.1:{}/shop?{query}", cluster.port)
}

/// What `ann` connects to.
fn ann(port: u16, query: &str) -> String {
    format!("postgres://ann:ann's%20p%C3%A4ssword@127.0.0.1:{port}/shop?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_proved_and_channels_bound_on_both_sides() {
    let (certificates, users) = (Certificates::new(), Users::new());
    let cluster = cluster_with_tls(Auth::Scram);
    cluster.database("shop");
    let upstream = [
        "sslmode=disable".to_owned(),
        "sslmode=require&channel_binding=require".to_owned(),
        "sslmode=require&channel_binding=disable".to_owned(),
        format!("sslmode=verify-full&channel_binding=require&sslrootcert={}", cluster.ca().display()),
    ];
    for upstream in upstream {
        let with = With { tls: Some(certificates.tls()), ..users.with() };
        let proxy = Proxy::before(&account(&cluster, &upstream), with).await;
        for query in [
            "sslmode=disable",
            "sslmode=require&channel_binding=disable",
            "sslmode=require&channel_binding=prefer",
            "sslmode=require&channel_binding=require",
        ] {
            assert_eq!(psql(&ann(proxy.port, query), WHO).ok(), "app shop\n", "{upstream} {query}");
        }
        let refused = psql(&ann(proxy.port, "sslmode=disable&channel_binding=require"), WHO).failed();
        assert!(refused.contains("channel binding"), "{refused}");
        // A password is wrong, or the client is bound to another certificate than ours, as when somebody stands between.
        let wrong = ann(proxy.port, "sslmode=require").replace("ann's", "bob's");
        assert!(psql(&wrong, WHO).failed().contains("password authentication failed for user \"ann\""));
        proxy.shutdown.cancel();
    }
    // The proxy's own connections are bound as well.
    let target = account(&cluster, "sslmode=require&channel_binding=require");
    let target = columnseal::net::settings::Target::parse(&target, None).unwrap();
    assert!(columnseal::net::connect::connect(&target, None).await.is_ok());
    let target = account(&cluster, "sslmode=disable&channel_binding=require");
    let target = columnseal::net::settings::Target::parse(&target, None).unwrap();
    let refused = columnseal::net::connect::connect(&target, None).await.map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("channel binding"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_of_the_database_is_answered() {
    let users = Users::new();
    for auth in [Auth::Trust, Auth::Password, Auth::Md5] {
        let cluster = cluster_with_tls(auth);
        cluster.database("shop");
        let ca = format!("sslmode=verify-full&sslrootcert={}", cluster.ca().display());
        for query in ["sslmode=disable", "sslmode=require", &ca] {
            let proxy = Proxy::before(&account(&cluster, query), users.with()).await;
            assert_eq!(psql(&ann(proxy.port, "sslmode=disable"), WHO).ok(), "app shop\n", "{auth:?} {query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_names_no_hash_is_not_offered_for_binding() {
    let (cluster, users) = (Cluster::plain(), Users::new());
    cluster.database("shop");
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let tls = columnseal::net::settings::ServerTls {
        certificate: columnseal::net::settings::Pem::Text(certificate.pem().into()),
        private_key: columnseal::net::settings::Pem::Text(key.serialize_pem().into()),
        client_ca: None,
    };
    let proxy = Proxy::before(&account(&cluster, "sslmode=disable"), With { tls: Some(tls), ..users.with() }).await;
    assert_eq!(psql(&ann(proxy.port, "sslmode=require"), WHO).ok(), "app shop\n");
    let refused = psql(&ann(proxy.port, "sslmode=require&channel_binding=require"), WHO).failed();
    assert!(refused.contains("channel binding"), "{refused}");
}

/// A login by messages, up to the answer to the proof: every message that came.
fn log_in(raw: &mut Raw, code: u32, parameters: &[(&str, &str)], password: &str) -> Vec<Message> {
    raw.send(&startup(code, parameters));
    let mut came = vec![raw.next()];
    if came[0].tag == b'v' {
        came.push(raw.next());
    }
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let first = scram.message().to_vec();
    let length = u32::try_from(first.len()).unwrap().to_be_bytes();
    raw.send(&message(b'p', &[&b"SCRAM-SHA-256\0"[..], &length, &first].concat()));
    let challenge = raw.next();
    scram.update(&challenge.body[4..]).unwrap();
    came.push(challenge);
    raw.send(&message(b'p', scram.message()));
    let last = raw.next();
    if last.tag == b'R' {
        scram.finish(&last.body[4..]).unwrap();
    }
    came.push(last);
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_who_is_a_user() {
    let cluster = Cluster::start(Options::auth(Auth::Scram).with("log_connections = on"));
    cluster.database("shop");
    let users = Users::new();
    let proxy = Proxy::before(&account(&cluster, "sslmode=disable"), users.with()).await;
    let attempt = |user: &str| {
        let mut raw = Raw::over(tcp(proxy.port));
        let came = log_in(&mut raw, 0x0003_0000, &[("user", user), ("database", "shop")], "guess");
        assert!(raw.try_next().is_none());
        let challenge = String::from_utf8(came[1].body[4..].to_vec()).unwrap();
        let (nonce, salt) = challenge.split_once(",s=").unwrap();
        let error = came[2].error().unwrap();
        let said = (error.severity, error.code, error.message.replace(user, "USER"), error.detail, error.hint);
        (came.iter().map(|m| m.tag).collect::<Vec<_>>(), nonce.len(), salt.to_owned(), said)
    };
    let (known, unknown) = (attempt("ann"), attempt("bob"));
    assert_eq!((&known.0, known.1, &known.3), (&unknown.0, unknown.1, &unknown.3));
    assert_eq!(known.3.1, "28P01");
    assert_eq!(known.2.len(), unknown.2.len(), "salts and iterations look alike");
    assert!(known.2 != unknown.2 && known.2 == attempt("ann").2 && unknown.2 == attempt("bob").2, "and stay the same");
    assert!(unknown.2 != attempt("carl").2);
    assert!(!cluster.log().contains("user=app"), "the database hears of nobody who was not let in");
    assert!(proxy.gate.cancels().is_empty());
    // And it would have told.
    assert_eq!(psql(&ann(proxy.port, "sslmode=disable"), WHO).ok(), "app shop\n");
    eventually("the database hears of who is let in", || cluster.log().contains("user=app").then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_proof_is_refused() {
    let (cluster, users) = (Cluster::plain(), Users::new());
    let proxy = Proxy::before(&account(&cluster, "sslmode=disable"), users.with()).await;
    let begin = || {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&startup(0x0003_0000, &[("user", "ann")]));
        assert_eq!(&raw.next().body[4..], b"SCRAM-SHA-256\0\0");
        raw
    };
    let initial = |mechanism: &str, data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        message(b'p', &[mechanism.as_bytes(), b"\0", &length, data].concat())
    };
    for bad in [
        query("SELECT 1"),
        vec![b'p', 0, 0, 0, 3],
        vec![b'p', 0, 0, 0, 4],
        [&b"p"[..], &70_000u32.to_be_bytes()].concat(),
        message(b'p', b"SCRAM-SHA-256"),
        message(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
        message(b'p', &[ANN.as_bytes(), b"\0"].concat()),
        initial("SCRAM-SHA-256", b""),
        initial("SCRAM-SHA-1", b"n,,n=,r=abc"),
        initial("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc"),
        initial("SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=abc"),
    ] {
        let mut raw = begin();
        raw.send(&bad);
        let error = raw.next().error().unwrap();
        assert_eq!((error.severity.as_str(), error.code.as_str()), ("FATAL", "08P01"), "{bad:?}");
        assert!(raw.try_next().is_none());
    }
    // A challenge that is answered by the password of another exchange.
    let mut raw = begin();
    raw.send(&initial("SCRAM-SHA-256", b"n,,n=,r=abc"));
    assert_eq!(raw.next().body[..4], [0, 0, 0, 11]);
    raw.send(&message(b'p', b"c=biws,r=abc,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    assert_eq!(raw.next().error().unwrap().code, "08P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_asks_for_is_carried() {
    let (cluster, users) = (Cluster::plain(), Users::new());
    cluster.database("shop");
    cluster.database("ann");
    let proxy = Proxy::before(&account(&cluster, "sslmode=disable"), users.with()).await;
    let mut raw = Raw::over(tcp(proxy.port));
    let parameters = [
        ("user", "ann"),
        ("application_name", "till"),
        ("options", "-c work_mem=77kB"),
        ("search_path", "x, public"),
        ("_pq_.test", "1"),
    ];
    let came = log_in(&mut raw, 0x0003_270f, &parameters, ANN);
    // What is not known is said before the login, once; here by the proxy, whatever the server knows.
    assert_eq!((came[0].tag, &came[0].body[..]), (b'v', &b"\0\x03\0\x02\0\0\0\x01_pq_.test\0"[..]));
    assert_eq!(came.iter().map(|m| m.tag).collect::<Vec<_>>(), [b'v', b'R', b'R', b'R']);
    let rest = raw.until_ready();
    assert_eq!((rest[0].tag, &rest[0].body[..]), (b'R', &[0; 4][..]));
    assert!(rest[1..].iter().all(|m| matches!(m.tag, b'S' | b'K' | b'Z')), "{}", transcript(&rest));
    let all = "SELECT session_user, current_database(), current_setting('application_name'), current_setting('work_mem'), \
               current_setting('search_path')";
    // As with PostgreSQL, the database is called as the user where none is named: as the one that the client gave.
    assert_eq!(raw.rows(all), ["app|ann|till|77kB|x, public"]);
    // Its key is the server's, and cancels.
    let (pid, key) = raw.key.clone().unwrap();
    raw.send(&query("SELECT pg_sleep(60)"));
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    eventually("the statement runs", || (cluster.superuser("postgres", running) == "1").then_some(()));
    let mut cancel = Raw::over(tcp(proxy.port));
    cancel.send(&cancel_request(pid, &key));
    assert!(cancel.try_next().is_none());
    assert_eq!(raw.until_ready().iter().find_map(|m| m.error()).unwrap().code, "57014");
    // Errors of the database that are about what the client asked for are the client's.
    let nowhere = ann(proxy.port, "sslmode=disable").replace("/shop", "/nowhere");
    assert!(psql(&nowhere, "SELECT 1").failed().contains("database \"nowhere\" does not exist"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_be_another_role_whose_password_is_in_a_file() {
    let (cluster, users) = (Cluster::start(Options::auth(Auth::Scram)), Users::new());
    cluster.database("shop");
    cluster.superuser("postgres", "CREATE ROLE reader LOGIN PASSWORD 'r:1'");
    let hba = cluster.dir.join("data/pg_hba.conf");
    let lines = std::fs::read_to_string(&hba).unwrap() + "host all reader 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(&hba, lines).unwrap();
    cluster.superuser("postgres", "SELECT pg_reload_conf()");
    users.add("rita", "rita's", Some("reader"));
    let passfile = users.dir.path().join("pgpass");
    std::fs::write(&passfile, format!("127.0.0.1:{}:shop:reader:r\\:1\n", cluster.port)).unwrap();
    std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let database = account(&cluster, &format!("sslmode=disable&passfile={}", passfile.display()));
    let proxy = Proxy::before(&database, users.with()).await;
    let rita = format!("postgres://rita:rita's@127.0.0.1:{}/shop", proxy.port);
    eventually("the role is let in", || {
        let said = psql(&rita, WHO);
        (said.code == 0).then(|| assert_eq!(said.out, "reader shop\n"))
    });
    assert_eq!(psql(&ann(proxy.port, "sslmode=disable"), WHO).ok(), "app shop\n");
    // Without it the database refuses the proxy. What it says is the proxy's business, and in its log alone.
    let proxy = Proxy::before(&account(&cluster, "sslmode=disable"), users.with()).await;
    let refused =
        psql(&rita.replace(&rita[rita.rfind(':').unwrap()..], &format!(":{}/shop", proxy.port)), WHO).failed();
    assert!(refused.contains("the proxy could not log in to the database"), "{refused}");
    assert!(!refused.contains("reader"), "{refused}");
    let wrong = account(&cluster, "sslmode=disable").replace("app%20secret", "geheim");
    let proxy = Proxy::before(&wrong, users.with()).await;
    let refused = psql(&ann(proxy.port, "sslmode=disable"), WHO).failed();
    assert!(refused.contains("could not log in") && !refused.contains("app"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_others_could_read_is_not_sent() {
    // A server that asks for the password as it is, at an address that is not this machine's to the proxy.
    let users = Users::new();
    let cluster = cluster_with_tls(Auth::Password);
    cluster.database("shop");
    let Some(address) = outside() else { return };
    let relay = crate::support::Relay::start_at(&address, cluster.port);
    for mode in ["disable", "require"] {
        let database = format!("postgres://app:app%20secret@{address}:{}/shop?sslmode={mode}", relay.port);
        let proxy = Proxy::before(&database, users.with()).await;
        let refused = psql(&ann(proxy.port, "sslmode=disable"), WHO).failed();
        assert!(refused.contains("could not log in"), "{mode}: {refused}");
        let target = columnseal::net::settings::Target::parse(&database, None).unwrap();
        let own = columnseal::net::connect::connect(&target, None).await.map(|_| ()).unwrap_err().to_string();
        assert!(own.contains("others may listen"), "{own}");
    }
    let leaked = String::from_utf8_lossy(&relay.sent()).contains("app secret");
    assert!(!leaked, "the password went out");
}

/// An address of this machine that is not loopback.
fn outside() -> Option<String> {
    let probe = std::net::UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    probe.connect(("192.0.2.1", 9)).ok()?;
    let ip = probe.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then(|| ip.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_and_go_without_a_restart() {
    let (cluster, users) = (Cluster::plain(), Users::new());
    cluster.database("shop");
    let proxy = Proxy::before(&account(&cluster, "sslmode=disable"), users.with()).await;
    let bob = format!("postgres://bob:b@127.0.0.1:{}/shop", proxy.port);
    psql(&bob, WHO).failed();
    users.add("bob", "b", None);
    eventually("the changed file is seen", || (psql(&bob, WHO).code == 0).then_some(()));
    std::fs::write(users.file(), "broken").unwrap();
    proxy.gate.reload_users();
    assert_eq!(psql(&bob, WHO).ok(), "app shop\n", "a broken file changes nothing");
    std::fs::write(users.file(), "").unwrap();
    proxy.gate.reload_users();
    psql(&bob, WHO).failed();
    assert_eq!(proxy.gate.user_count(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_finish_is_let_go() {
    let (cluster, users) = (Cluster::plain(), Users::new());
    let limits = Limits { login: Duration::from_millis(300), ..Limits::default() };
    let with = With { limits: Some(limits), max_connections: Some(1), ..users.with() };
    let proxy = Proxy::before(&account(&cluster, "sslmode=disable"), with).await;
    let mut raw = Raw::over(tcp(proxy.port));
    raw.send(&startup(0x0003_0000, &[("user", "ann"), ("database", "postgres")]));
    assert_eq!(raw.next().tag, b'R');
    assert_eq!(raw.next().error().unwrap().code, "57014");
    assert!(raw.try_next().is_none());
    // Its place is free again.
    eventually("another is let in", || {
        let postgres = ann(proxy.port, "sslmode=disable").replace("/shop", "/postgres");
        (psql(&postgres, "SELECT 1").code == 0).then_some(())
    });
}
