//! `columnseal keyset rotate` under a running proxy: epochs of stored values, and what may be dropped.

use serde_json::Value;

use crate::support::{Twin, eventually};

/// How many stored values there are of each number, as a direct connection sees it.
fn krefs(twin: &Twin) -> String {
    let counts = twin.stored(
        "SELECT string_agg(k || ':' || n, ' ' ORDER BY k) FROM (
            SELECT encode(substring((e).c FROM 4 FOR 4), 'hex') AS k, count(*) AS n FROM t GROUP BY 1) s",
    );
    counts.trim().to_owned()
}

#[test]
fn old_values_stay_readable_until_their_epoch_is_dropped() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq)");
    let database = twin.cluster.at("sealed", twin.cluster.port).url.clone();
    let run = |args: &[&str]| twin.workspace.columnseal(args);
    let rotate = |more: &[&str]| run(&[&["keyset", "rotate", "default"], more].concat());
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t VALUES (1, 'old')");
    assert_eq!(krefs(&twin), "00000001:1");

    let told: Value = serde_json::from_str(&rotate(&["--json"]).ok()).expect("json");
    assert_eq!((&told["data_epoch"], &told["rotating"]), (&2.into(), &false.into()));
    eventually("new values use the new epoch", || {
        raw.query("DELETE FROM t WHERE id = 2");
        raw.query("INSERT INTO t VALUES (2, 'new')");
        (krefs(&twin) == "00000001:1 00000002:1").then_some(())
    });
    assert_eq!(raw.rows("SELECT e FROM t ORDER BY id"), ["old", "new"]);
    assert_eq!(raw.rows("SELECT id FROM t WHERE e = 'old'"), ["1"], "terms have no epoch");

    let refused = rotate(&["--drop-epoch", "1", "--database", &database]).failed();
    assert!(refused.contains("public.t.e holds 1 such values"), "{refused}");
    let refused = rotate(&["--drop-epoch", "2", "--unchecked"]).failed();
    assert!(refused.contains("is the one for new values"), "{refused}");
    let elsewhere = twin.cluster.database("elsewhere").url.clone();
    let refused = rotate(&["--drop-epoch", "1", "--database", &elsewhere]).failed();
    assert!(refused.contains("sealed"), "a database that proxies use is not left out: {refused}");
    assert_eq!(raw.rows("SELECT e FROM t WHERE id = 1"), ["old"], "nothing was dropped");

    raw.query("UPDATE t SET e = 'old' WHERE id = 1");
    assert_eq!(krefs(&twin), "00000002:2");
    rotate(&["--drop-epoch", "1", "--database", &database]).ok();
    assert_eq!(raw.rows("SELECT e FROM t ORDER BY id"), ["old", "new"]);
    let shown = run(&["keyset", "show", "default"]).ok();
    assert!(shown.contains("data 2, index 1"), "{shown}");
}

#[test]
fn what_an_open_transaction_wrote_is_not_dropped() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq)");
    let database = twin.cluster.at("sealed", twin.cluster.port).url.clone();
    let mut open = twin.raw_sealed();
    open.query("BEGIN");
    open.query("INSERT INTO t VALUES (1, 'not seen yet')");
    twin.workspace.columnseal(&["keyset", "rotate", "default"]).ok();
    let drop = ["keyset", "rotate", "default", "--drop-epoch", "1", "--database", &database];
    let refused = std::thread::scope(|scope| {
        let dropping = scope.spawn(|| twin.workspace.columnseal(&drop).failed());
        eventually("it waits for the transaction", || {
            let waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_prepared_xacts%' AND pid <> pg_backend_pid()";
            (twin.stored(waits).trim() == "1").then_some(())
        });
        open.query("COMMIT");
        dropping.join().expect("it ends")
    });
    assert!(refused.contains("public.t.e holds 1 such values"), "{refused}");
    assert_eq!(twin.raw_sealed().rows("SELECT e FROM t"), ["not seen yet"]);
}

#[test]
fn a_dropped_value_is_refused_by_name() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, p text)");
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t VALUES (1, 'old', 'plain')");
    twin.workspace.columnseal(&["keyset", "rotate", "default"]).ok();
    twin.workspace.columnseal(&["keyset", "rotate", "default", "--drop-epoch", "1", "--unchecked"]).ok();
    let error = eventually("it is refused", || {
        let answers = raw.ask(&crate::support::raw::query("SELECT e FROM t"));
        answers.iter().find_map(crate::support::raw::Message::error)
    });
    assert!(error.message.contains("epoch 1 of keyset \"default\" was dropped"), "{error:?}");
    assert_eq!(raw.rows("SELECT p FROM t"), ["plain"]);
}

#[test]
fn the_trail_tells_of_changes_fetches_refusals_and_alterations() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq)");
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t VALUES (1, 'value')");
    raw.rows("SELECT e FROM t");
    twin.workspace.columnseal(&["client", "disable", &twin.client.id]).ok();
    let run = |args: &[&str]| twin.workspace.columnseal(args);
    let entries = eventually("the refusal is written down", || {
        let told: Value = serde_json::from_str(&run(&["audit", "tail", "-n", "1000", "--json"]).ok()).expect("json");
        let all = told.as_array().expect("a list").clone();
        all.iter().any(|entry| entry["result"] == "client_disabled").then_some(all)
    });
    let of = |action: &str| entries.iter().filter(|entry| entry["action"] == action).count();
    assert!(of("keys.encrypt") > 0 && of("client.disable") == 1 && of("keyset.create") == 1, "{entries:?}");
    assert!(!serde_json::to_string(&entries).expect("json").contains("'value'"));
    let whole: Value = serde_json::from_str(&run(&["audit", "verify", "--json"]).ok()).expect("json");
    assert_eq!(whole["whole"], true);
    let store = rusqlite::Connection::open(twin.workspace.store()).expect("the store");
    store.execute("UPDATE audit_entries SET detail = 'nothing' WHERE action = 'client.disable'", []).expect("an edit");
    let refused = run(&["audit", "verify"]).failed();
    assert!(refused.contains("does not check out"), "{refused}");
}
