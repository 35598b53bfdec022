//! Logins of every method, with and without TLS on either side.

use columnseal::net::connect::{ConnectError, connect};
use columnseal::net::settings::Target;

use super::{Certificates, Proxy, With, cluster_with_tls};
use crate::support::cluster::psql;
use crate::support::raw::{self, Raw, message, startup, tcp, transcript};
use crate::support::{Auth, Cluster, Options, eventually};

const WHO: &str = "SELECT current_user || ' ' || current_database()";

/// Logs in through the proxy by psql and by tokio-postgres over our own dialing; both must see themselves.
async fn logs_in(url: &str) {
    assert_eq!(psql(url, WHO).ok(), "app shop\n", "{url}");
    let target = Target::parse(url, None).unwrap();
    let client = connect(&target, None).await.unwrap_or_else(|e| panic!("{url}: {e}"));
    let row = client.query_one(WHO, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "app shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_with_and_without_tls_on_either_side() {
    let certificates = Certificates::new();
    for auth in [Auth::Trust, Auth::Password, Auth::Md5, Auth::Scram] {
        let cluster = cluster_with_tls(auth);
        cluster.database("shop");
        for upstream in ["disable", "require", "prefer"] {
            let database = format!("postgres://127.0.0.1:{}?sslmode={upstream}", cluster.port);
            let with = With { tls: Some(certificates.tls()), ..With::default() };
            let proxy = Proxy::before(&database, with).await;
            let url = cluster.at("shop", proxy.port).url;
            logs_in(&format!("{url}?sslmode=disable")).await;
            // A server with TLS refuses a client that would bind and was not offered to.
            let binding = if upstream == "require" { "&channel_binding=disable" } else { "" };
            let tls = format!("{url}?sslmode=verify-full&sslrootcert={}", certificates.ca().display());
            logs_in(&format!("{tls}{binding}")).await;
            proxy.shutdown.cancel();
            proxy.task.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_binding_that_cannot_hold_is_explained() {
    let certificates = Certificates::new();
    let cluster = cluster_with_tls(Auth::Scram);
    cluster.database("shop");
    let database = format!("postgres://127.0.0.1:{}?sslmode=require", cluster.port);
    let proxy = Proxy::before(&database, With { tls: Some(certificates.tls()), ..With::default() }).await;
    let url = cluster.at("shop", proxy.port).url;
    let refused = psql(&format!("{url}?sslmode=require"), "SELECT 1").failed();
    assert!(refused.contains("channel binding") && refused.contains("channel_binding=disable"), "{refused}");
    let demanded = psql(&format!("{url}?sslmode=require&channel_binding=require"), "SELECT 1").failed();
    assert!(demanded.contains("channel binding"), "{demanded}");
    for (mechanism, data) in
        [("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=x"), ("SCRAM-SHA-256", "p=x,,n=,r=x")]
    {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&startup(0x0003_0000, &[("user", "app"), ("database", "shop")]));
        let offered = raw.next();
        assert_eq!((offered.tag, &offered.body[4..]), (b'R', &b"SCRAM-SHA-256\0\0"[..]));
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        raw.send(&message(b'p', &[mechanism.as_bytes(), b"\0", &length, data.as_bytes()].concat()));
        let error = raw.next().error().unwrap();
        assert_eq!((error.severity.as_str(), error.code.as_str()), ("FATAL", "28000"));
        assert!(error.hint.unwrap().contains("channel_binding=disable"));
        assert!(raw.try_next().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_the_servers_own_error_and_the_end() {
    for auth in [Auth::Password, Auth::Md5, Auth::Scram] {
        let cluster = Cluster::start(Options { auth, log_everything: true, ..Options::default() });
        cluster.database("shop");
        let proxy = Proxy::new(&cluster, With::default()).await;
        let url = cluster.at("shop", proxy.port).url.replace("secret", "wrong");
        let refused = psql(&url, "SELECT 'must not arrive'").failed();
        assert!(refused.contains("password authentication failed for user \"app\""), "{refused}");
        let target = Target::parse(&format!("{url}?sslmode=disable"), None).unwrap();
        match connect(&target, None).await.map(|_| ()) {
            Err(ConnectError::Login(e)) => assert_eq!(e.code().map(|c| c.code()), Some("28P01")),
            other => panic!("{other:?}"),
        }
        assert!(!cluster.log().contains("must not arrive"));
        assert!(proxy.gate.cancels().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_but_a_password_is_taken_during_a_login() {
    let cluster = Cluster::start(Options::auth(Auth::Password));
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With::default()).await;
    let begin = || {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&startup(0x0003_0000, &[("user", "app"), ("database", "shop")]));
        assert_eq!(raw.next().tag, b'R');
        raw
    };
    let long = [&b"p"[..], &70_000u32.to_be_bytes()].concat();
    for bad in [raw::query("SELECT 1"), vec![b'p', 0, 0, 0, 3], vec![b'p', 0xff, 0xff, 0xff, 0xff], long] {
        let mut raw = begin();
        raw.send(&bad);
        assert_eq!(raw.next().error().unwrap().code, "08P01", "{bad:?}");
        assert!(raw.try_next().is_none());
    }
    // A client that leaves takes its server connection with it.
    drop(begin());
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'";
    eventually("no login is left", || (cluster.superuser("postgres", waiting) == "0").then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_sent_with_the_startup_packet_arrive_after_the_login() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With::default()).await;
    let mut raw = Raw::over(tcp(proxy.port));
    let hello = startup(0x0003_0000, &[("user", "app"), ("database", "shop"), ("application_name", "early")]);
    raw.send(&[hello, raw::query("SHOW application_name")].concat());
    let login = transcript(&raw.until_ready());
    assert!(login.starts_with("R ") && login.ends_with("Z I"), "{login}");
    assert_eq!(transcript(&raw.until_ready()), "T application_name:25:-1:-1:0\nD early\nC SHOW\nZ I");
    assert!(raw.parameters.iter().any(|p| *p == ("application_name".into(), "early".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_protocol_is_negotiated_down() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With::default()).await;
    let parameters = [("user", "app"), ("database", "shop"), ("_pq_.test", "1")];
    for code in [0x0003_270f, 0x0003_0002, 0x0003_0000] {
        let mut raw = Raw::over(tcp(proxy.port));
        raw.send(&startup(code, &parameters));
        let answers = raw.until_ready();
        let negotiated = &answers[0];
        assert_eq!(negotiated.tag, b'v', "{answers:?}");
        assert!(negotiated.body[..4] <= 0x0003_0002u32.to_be_bytes()[..]);
        assert_eq!(&negotiated.body[4..], b"\0\0\0\x01_pq_.test\0");
        assert_eq!(answers.iter().filter(|m| m.tag == b'v').count(), 1);
        assert_eq!(raw.query("SELECT 1"), "T ?column?:23:4:-1:0\nD 1\nC SELECT 1\nZ I");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_or_gone_is_said() {
    let mut cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With::default()).await;
    let hello = startup(0x0003_0000, &[("user", "app"), ("database", "nowhere")]);
    let mut raw = Raw::over(tcp(proxy.port));
    raw.send(&hello);
    assert_eq!(raw.until_ready().last().unwrap().error().unwrap().code, "3D000");
    cluster.stop();
    let mut raw = Raw::over(tcp(proxy.port));
    raw.send(&hello);
    let error = raw.next().error().unwrap();
    assert_eq!((error.severity.as_str(), error.code.as_str()), ("FATAL", "08001"));
    assert!(error.message.contains(&format!("127.0.0.1:{}", cluster.port)), "{}", error.message);
    assert!(error.hint.is_some() && raw.try_next().is_none());
    cluster.restart();
    assert_eq!(psql(&cluster.at("shop", proxy.port).url, "SELECT 1").ok(), "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_host_is_tried_and_allow_ends_with_tls() {
    let cluster = Cluster::start(Options { tls: true, tls_only: true, ..Options::default() });
    cluster.database("shop");
    let dead = crate::support::free_port();
    let database = format!("postgres://127.0.0.1:{dead},127.0.0.1:{}?sslmode=allow", cluster.port);
    let proxy = Proxy::before(&database, With::default()).await;
    let tls = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(psql(&cluster.at("shop", proxy.port).url, tls).ok(), "t\n");
    // Without TLS the server's own refusal is relayed.
    let proxy = Proxy::new(&cluster, With::default()).await;
    let refused = psql(&cluster.at("shop", proxy.port).url, tls).failed();
    assert!(refused.contains("no pg_hba.conf entry"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unix_sockets_on_both_sides() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let dir = tempfile::tempdir().unwrap();
    let database = format!("host={} port={}", cluster.dir.display(), cluster.port);
    let with = With { hosts: Some(vec![dir.path().display().to_string()]), require_tls: true, ..With::default() };
    let proxy = Proxy::before(&database, with).await;
    let url = format!("postgres://postgres@/shop?host={}&port=0", dir.path().display());
    // libpq takes no port 0, so the file is given another name.
    std::fs::hard_link(dir.path().join(".s.PGSQL.0"), dir.path().join(".s.PGSQL.1")).unwrap();
    assert_eq!(psql(&url.replace("port=0", "port=1"), "SELECT current_user").ok(), "postgres\n");
    proxy.shutdown.cancel();
    proxy.task.await.unwrap();
    assert!(!dir.path().join(".s.PGSQL.0").exists());
}

#[tokio::test]
async fn a_login_runs_over_a_pipe() {
    use columnseal::net::stream::Socket;
    use columnseal::session::handshake::Replication;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let cluster = Cluster::plain();
    cluster.database("shop");
    let proxy = Proxy::new(&cluster, With::default()).await;
    let (mut client, ours) = tokio::io::duplex(64);
    let hello = startup(0x0003_0000, &[("user", "app"), ("database", "shop"), ("replication", "off")]);
    let sent = async {
        client.write_all(&hello).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"Z\0\0\0\x05I") {
            assert!(client.read_buf(&mut seen).await.unwrap() > 0);
        }
    };
    let (admitted, ()) = tokio::join!(proxy.gate.admit(Socket::Pipe(ours)), sent);
    let login = admitted.unwrap();
    assert_eq!((login.opening.user.as_str(), login.opening.database.as_str()), ("app", "shop"));
    assert_eq!((login.opening.replication, login.minor), (Replication::No, 0));
    assert_eq!(login.parameters.get("client_encoding").map(String::as_str), Some("UTF8"));
    assert!(login.client_read.is_empty() && login.server_read.is_empty() && login.client_tls.is_none());
    assert_eq!((login.backend_pid.is_some(), proxy.gate.cancels().len()), (true, 1));
    drop(login);
    assert!(proxy.gate.cancels().is_empty());
}
