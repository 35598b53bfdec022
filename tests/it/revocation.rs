//! Grants taken away under open connections, the lease without a store, and two proxies on one store.

use std::time::{Duration, Instant};

use crate::support::raw::{self, Raw, bind, execute, parse, query, sync, transcript};
use crate::support::{Proxy, ProxyOptions, Twin, eventually};

const ROWS: &str = "CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, p text);
    INSERT INTO t SELECT g, NULL, 'plain' FROM generate_series(1, 3) g; UPDATE t SET e = 'value'";

/// SQLSTATE of the next error that this statement gives; it is run until it does.
fn refused(raw: &mut Raw, sql: &str) -> (String, Duration) {
    let began = Instant::now();
    let code = eventually("it is refused", || {
        let answers = raw.ask(&query(sql));
        answers.iter().find_map(raw::Message::error).map(|e| e.code)
    });
    (code, began.elapsed())
}

#[test]
fn a_revocation_reaches_open_connections_within_a_second() {
    let twin = Twin::start();
    twin.sealed.sql(ROWS);
    let [mut reader, mut writer, mut open, mut cursor, mut fetching] = std::array::from_fn(|_| twin.raw_sealed());
    assert_eq!(reader.rows("SELECT e FROM t WHERE e = 'value' LIMIT 1"), ["value"]);
    writer.query("UPDATE t SET e = 'value' WHERE id = 1");
    open.query("BEGIN");
    open.query("UPDATE t SET e = 'value' WHERE id = 2");
    cursor.query("BEGIN");
    let declare = [parse("", "SELECT e FROM t ORDER BY id", &[]), bind("c", "", &[]), execute("c", 1), sync()];
    assert!(transcript(&cursor.ask(&declare.concat())).contains("D value"));
    fetching.query("BEGIN; DECLARE f CURSOR FOR SELECT e FROM t ORDER BY id");
    assert_eq!(fetching.rows("FETCH f"), ["value"]);
    twin.workspace.revoke(&twin.client, None);
    let revoked = Instant::now();
    let (code, _) = refused(&mut reader, "SELECT e FROM t WHERE id = 1");
    let took = revoked.elapsed();
    assert_eq!(code, "42501");
    assert!(took < Duration::from_secs(1), "refused after {took:?}");
    // Everywhere: a write, an open transaction, a cursor in the middle of its rows.
    assert_eq!(writer.error("UPDATE t SET e = 'mark-revoked' WHERE id = 1").code, "42501");
    assert_eq!(writer.error("SELECT id FROM t WHERE e = 'mark-revoked'").code, "42501");
    assert_eq!(open.error("SELECT e FROM t WHERE id = 2").code, "42501");
    assert_eq!(open.error("SELECT 1").code, "25P02", "the transaction has failed, as PostgreSQL's would");
    assert_eq!(open.query("ROLLBACK"), "C ROLLBACK\nZ I");
    let fetched = transcript(&cursor.ask(&[execute("c", 1), sync()].concat()));
    assert_eq!(fetched, "E ERROR 42501\nZ E");
    assert_eq!(fetching.error("FETCH f").code, "42501");
    // What is not encrypted goes on, on the same connections.
    assert_eq!(reader.rows("SELECT p FROM t WHERE id = 1"), ["plain"]);
    let sent = twin.relay.sent();
    assert!(!sent.windows(12).any(|w| w == b"mark-revoked"));
    twin.workspace.grant(&twin.client, "default");
    eventually("it is granted again", || {
        (reader.query("SELECT e FROM t WHERE id = 1").contains("D value")).then_some(())
    });
}

#[test]
fn disabling_is_the_switch_that_comes_back() {
    let twin = Twin::start();
    twin.sealed.sql(ROWS);
    let mut raw = twin.raw_sealed();
    assert!(raw.query("SELECT e FROM t WHERE id = 1").contains("D value"));
    twin.workspace.columnseal(&["client", "disable", &twin.client.id]).ok();
    assert_eq!(refused(&mut raw, "SELECT e FROM t WHERE id = 1").0, "42501");
    twin.workspace.columnseal(&["client", "enable", &twin.client.id]).ok();
    eventually("it works again", || (raw.query("SELECT e FROM t WHERE id = 1").contains("D value")).then_some(()));
}

#[test]
fn every_proxy_on_a_store_notices() {
    let twin = Twin::start();
    twin.sealed.sql(ROWS);
    let database = twin.cluster.at("sealed", twin.cluster.port);
    let other = twin.workspace.client_create("other", &["default"]);
    let second = Proxy::start_with(&twin.workspace, &twin.client, &database, &ProxyOptions::default());
    let third = Proxy::start_with(&twin.workspace, &other, &database, &ProxyOptions::default());
    let mut sessions = [twin.proxy.port, second.port, third.port].map(|port| Raw::connect(port, "sealed"));
    for raw in &mut sessions {
        assert_eq!(raw.rows("SELECT e FROM t WHERE id = 1"), ["value"]);
    }
    twin.workspace.revoke(&twin.client, Some("default"));
    for raw in &mut sessions[..2] {
        assert_eq!(refused(raw, "SELECT e FROM t WHERE id = 1").0, "42501");
    }
    assert_eq!(sessions[2].rows("SELECT e FROM t WHERE id = 1"), ["value"], "another client's grant is untouched");
}

#[test]
fn without_its_store_a_proxy_serves_no_longer_than_the_lease() {
    let mut twin = Twin::start();
    twin.sealed.sql(ROWS);
    twin.restart_proxy(&ProxyOptions::default().with("CS_KEYS__LEASE", "2s"));
    let mut raw = twin.raw_sealed();
    assert_eq!(raw.rows("SELECT e FROM t WHERE id = 1"), ["value"]);
    let (store, aside) = (twin.workspace.store(), twin.workspace.dir().join("aside"));
    std::fs::rename(&store, &aside).unwrap();
    let (code, took) = refused(&mut raw, "SELECT e FROM t WHERE id = 1");
    assert!(code == "57P03" && took < Duration::from_secs(4), "{code} after {took:?}");
    assert_eq!(raw.error("INSERT INTO t VALUES (9, 'mark-lease', NULL)").code, "57P03", "nothing new is written");
    assert_eq!(raw.rows("SELECT p FROM t WHERE id = 1"), ["plain"]);
    assert_eq!(twin.stored("SELECT count(*) FROM t WHERE id = 9"), "0\n");
}

#[test]
fn a_killed_proxy_loses_nothing_that_was_acknowledged() {
    let mut twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq)");
    let mut raw = twin.raw_sealed();
    let mut acknowledged = 0;
    for id in 0..200 {
        raw.send(&query(&format!("INSERT INTO t VALUES ({id}, 'value {id}')")));
        if id < 100 {
            assert_eq!(transcript(&raw.until_ready()), "C INSERT 0 1\nZ I");
            acknowledged = id + 1;
        }
    }
    twin.proxy.signal("KILL");
    twin.proxy.wait_exit();
    twin.restart_proxy(&ProxyOptions::default());
    let mut raw = twin.raw_sealed();
    let rows = raw.rows("SELECT id, e FROM t ORDER BY id");
    assert!(rows.len() >= acknowledged);
    for (id, row) in rows.iter().enumerate() {
        assert_eq!(*row, format!("{id}|value {id}"), "every stored row opens");
    }
}
