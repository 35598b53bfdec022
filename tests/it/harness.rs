//! The support itself works: what the other tests lean on is tried here.

use crate::support::cluster::{connect, psql, versions};
use crate::support::raw::{self, Raw, transcript};
use crate::support::{Auth, Cluster, Options, Relay};

#[tokio::test]
async fn a_cluster_serves_a_role_that_is_no_superuser() {
    let cluster = Cluster::plain();
    let db = cluster.database("shop");
    let client = db.connect().await;
    let row = client.query_one("SELECT current_user::text, current_setting('is_superuser')", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("app", "off"));
    client.batch_execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (NULL)").await.unwrap();
    assert_eq!(db.sql("SELECT a FROM t ORDER BY a"), "1\n∅\n");
}

#[test]
fn every_installed_version_starts() {
    assert!(!versions().is_empty());
    for version in versions() {
        let cluster = Cluster::start(Options { version: Some(version), ..Options::default() });
        let shown = cluster.superuser("postgres", "SHOW server_version_num");
        assert_eq!(shown.parse::<u32>().unwrap() / 10_000, version);
    }
}

#[tokio::test]
async fn a_password_is_asked_for_as_configured() {
    for auth in [Auth::Password, Auth::Md5, Auth::Scram] {
        let cluster = Cluster::start(Options::auth(auth));
        let db = cluster.database("shop");
        assert_eq!(db.sql("SELECT 1"), "1\n");
        let stored = cluster.superuser("postgres", "SELECT left(rolpassword, 3) FROM pg_authid WHERE rolname = 'app'");
        assert_eq!(stored, if auth == Auth::Md5 { "md5" } else { "SCR" });
        let refused = connect(&db.url.replace("secret", "wrong")).await.err().unwrap();
        assert_eq!(refused.code().unwrap().code(), "28P01");
    }
}

#[test]
fn tls_is_offered_and_may_be_required() {
    let cluster = Cluster::start(Options { tls: true, tls_only: true, ..Options::default() });
    let db = cluster.database("shop");
    let full = format!("{}?sslmode=verify-full&sslrootcert={}", db.url, cluster.ca().display());
    assert_eq!(psql(&full, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").ok(), "t\n");
    psql(&format!("{}?sslmode=disable", db.url), "SELECT 1").failed();
}

#[test]
fn everything_is_logged_where_asked() {
    let cluster = Cluster::start(Options::logged());
    let db = cluster.database("shop");
    let mut raw = Raw::connect(cluster.port, &db.name);
    raw.ask(&raw::extended("SELECT $1::text", &[Some("in the log as a parameter")]));
    db.sql("SELECT 'in the log as a literal'");
    let log = cluster.log();
    assert!(log.contains("in the log as a parameter") && log.contains("in the log as a literal"));
}

#[test]
fn a_stopped_cluster_comes_back_with_its_data() {
    let mut cluster = Cluster::plain();
    let db = cluster.database("shop");
    let _ = db.sql("CREATE TABLE t AS SELECT 7 AS a");
    cluster.stop();
    db.psql("SELECT 1").failed();
    cluster.restart();
    assert_eq!(db.sql("SELECT a FROM t"), "7\n");
}

#[test]
fn the_relay_records_both_ways_and_can_be_cut() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let relay = Relay::start(cluster.port);
    let db = cluster.at("shop", relay.port);
    assert_eq!(db.sql("SELECT 'marker-' || 'up'"), "marker-up\n");
    let has = |hay: &[u8], needle: &str| hay.windows(needle.len()).any(|w| w == needle.as_bytes());
    assert!(has(&relay.sent(), "SELECT 'marker-' || 'up'") && has(&relay.received(), "marker-up"));
    relay.cut();
    db.psql("SELECT 1").failed();
    relay.resume();
    db.sql("SELECT 1");
}

#[test]
fn the_raw_client_shows_messages() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let mut raw = Raw::connect(cluster.port, "shop");
    assert!(raw.key.is_some() && raw.parameters.iter().any(|(n, v)| n == "server_encoding" && v == "UTF8"));
    assert_eq!(raw.query("SELECT 1 AS a, NULL::text AS b"), "T a:23:4:-1:0 b:25:-1:-1:0\nD 1|∅\nC SELECT 1\nZ I");
    assert_eq!(raw.query("BEGIN; SELECT 1/0"), "C BEGIN\nE ERROR 22012\nZ E");
    assert_eq!(raw.query("ROLLBACK"), "C ROLLBACK\nZ I");
    let parts = [raw::parse("s", "SELECT $1::int4 + 1", &[]), raw::describe_statement("s")];
    raw.send(&parts.concat());
    raw.send(&raw::bind_as("", "s", &[1], &[Some(&41i32.to_be_bytes())], &[1]));
    raw.send(&[raw::execute("", 0), raw::sync()].concat());
    let shown = transcript(&raw.until_ready());
    assert_eq!(shown, "1 \nt [23]\nT ?column?:23:4:-1:0\n2 \nD \\x0000002a\nC SELECT 1\nZ I");
}
