//! Proxies on a key server.

use std::time::{Duration, Instant};

use crate::support::raw::{self, Raw, query};
use crate::support::{Cluster, KeyServer, Options, Proxy, ProxyOptions, Workspace, eventually};

const ROWS: &str = "CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq);
    INSERT INTO t VALUES (1, 'value'), (2, 'other')";

/// Asks until it fails; the SQLSTATE.
fn refused(raw: &mut Raw, sql: &str) -> String {
    eventually("it is refused", || raw.ask(&query(sql)).iter().find_map(raw::Message::error).map(|error| error.code))
}

#[test]
fn a_proxy_on_a_key_server_from_the_first_row_to_the_revocation() {
    let cluster = Cluster::start(Options::default());
    let database = cluster.database("shop");
    let server = KeyServer::start();
    let workspace = Workspace::found(&server, Some(&database));
    let client = workspace.client_create("web", &["default"]);
    let proxy = Proxy::start_with(&workspace, &client, &database, &ProxyOptions::default());
    proxy.database(&cluster).sql(ROWS);
    let mut raw = Raw::connect(proxy.port, "shop");
    assert_eq!(raw.rows("SELECT id FROM t WHERE e = 'other'"), ["2"]);
    assert_eq!(raw.rows("SELECT e FROM t ORDER BY id"), ["value", "other"]);
    assert!(!database.sql("SELECT t::text FROM t").contains("value"), "plaintext is stored");
    assert_eq!(server.metric("columnseal_keyserver_event_streams"), Some(1.0));
    assert!(server.metric("columnseal_keyserver_keys_total{kind=\"encrypt\"}").is_some_and(|keys| keys >= 1.0));

    workspace.revoke(&client, None);
    let revoked = Instant::now();
    assert_eq!(refused(&mut raw, "SELECT e FROM t"), "42501");
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    workspace.grant(&client, "default");
    eventually("it is granted again", || raw.query("SELECT e FROM t").contains("D value").then_some(()));
    assert!(!server.log().contains("csck1_") && !server.log().contains("csboot1_"));
}

#[test]
fn two_replicas_serve_one_workspace() {
    let cluster = Cluster::start(Options::default());
    let database = cluster.database("shop");
    let mut server = KeyServer::start();
    let admin = Workspace::found(&server, Some(&database));
    let client = admin.client_create("web", &["default"]);
    let replica = server.replica();
    let urls = format!("{},https://localhost:{}", server.url(), replica.port);
    let far = Workspace::far(&urls, &server.authority.certificate);
    let proxy = Proxy::start_with(&far, &client, &database, &ProxyOptions::default());
    proxy.database(&cluster).sql(ROWS);
    let mut raw = Raw::connect(proxy.port, "shop");
    server.kill();
    assert_eq!(raw.rows("SELECT e FROM t WHERE id = 1"), ["value"]);
    let through = admin.through(&format!("https://127.0.0.1:{}", replica.port), &server.authority.certificate);
    through.revoke(&client, None);
    assert_eq!(refused(&mut raw, "SELECT e FROM t WHERE id = 1"), "42501");
}
