//! What is wrong from outside: damaged values, edited types, a key store that is missing or held, keys that are mistyped, a
//! database that goes away. Each is a clear error, and the connection stays usable where PostgreSQL would leave it so.

use crate::support::raw::{bind, execute, parse, query, sync, transcript};
use crate::support::workspace::ClientCredentials;
use crate::support::{Cluster, Proxy, ProxyOptions, Twin, Workspace, eventually};

/// Damages the envelope of one row.
fn damage(twin: &Twin, table: &str, id: i32) {
    let other = "set_byte((e).c, 39, 255 - get_byte((e).c, 39))";
    twin.direct.sql(&format!("UPDATE {table} SET e.c = {other} WHERE id = {id}"));
}

#[test]
fn a_value_that_does_not_open_names_row_and_column() {
    let twin = Twin::start();
    let sql = "CREATE TABLE t (id int, e seal.text_eq, p text); INSERT INTO t VALUES (1, 'one', 'x'), (2, 'two', 'y'), (3, 'three', 'z')";
    twin.sealed.sql(sql);
    damage(&twin, "t", 2);
    let mut raw = twin.raw_sealed();
    let error = raw.error("SELECT id, e FROM t ORDER BY id");
    assert_eq!(error.code, "XX001");
    assert_eq!(error.message, "value of encrypted column t.e in row 2 of the result cannot be decrypted");
    for (field, text) in &error.all {
        assert!(!text.contains("two") && !text.contains("\\x"), "{field}: {text}");
    }
    assert_eq!(raw.rows("SELECT id, p FROM t ORDER BY id"), ["1|x", "2|y", "3|z"], "the connection is usable");
    assert_eq!(raw.rows("SELECT e FROM t WHERE id = 3"), ["three"]);
    // In portions the row is counted from the beginning.
    raw.query("BEGIN");
    raw.ask(&[parse("", "SELECT id, e FROM t ORDER BY id", &[]), bind("c", "", &[]), execute("c", 1), sync()].concat());
    let answers = raw.ask(&[execute("c", 1), sync()].concat());
    let error = answers.iter().find_map(|m| m.error()).unwrap();
    assert!(error.message.contains("in row 2"), "{}", error.message);
    assert_eq!(transcript(&answers).lines().last(), Some("Z E"));
    assert!(twin.proxy.http("/metrics").unwrap().1.contains("columnseal_refusals_total{kind=\"corrupt\"} 2"));
}

#[test]
fn nothing_is_committed_behind_a_row_that_does_not_open() {
    let twin = Twin::start();
    twin.sealed
        .sql("CREATE TABLE t (id int, e seal.text_eq); CREATE TABLE w (id int); INSERT INTO t VALUES (1, 'one')");
    damage(&twin, "t", 1);
    let run = |sql: &str| [parse("", sql, &[]), bind("", "", &[]), execute("", 0)].concat();
    let (bad, write) = ("SELECT e FROM t", "INSERT INTO w VALUES (1)");
    let batches: [(&str, Vec<u8>, usize); 7] = [
        ("a block", [query("BEGIN"), query(write), run(bad), run("COMMIT"), sync()].concat(), 3),
        ("one text", query(&format!("BEGIN; {write}; {bad}; COMMIT")), 1),
        ("an implicit transaction", query(&format!("{write}; {bad}")), 1),
        ("the write behind", query(&format!("{bad}; {write}")), 1),
        ("a batch", [run(write), run(bad), sync()].concat(), 1),
        ("a batch, the write behind", [run(bad), run(write), sync()].concat(), 1),
        ("prepared behind it", [run(bad), parse("later", "SELECT 42", &[]), sync()].concat(), 1),
    ];
    for (name, bytes, ready) in batches {
        let mut raw = twin.raw_sealed();
        raw.send(&bytes);
        let shown: Vec<String> = (0..ready).map(|_| transcript(&raw.until_ready())).collect();
        assert!(shown.concat().contains("E ERROR XX001"), "{name}: {shown:?}");
        raw.query("ROLLBACK");
        assert_eq!(twin.stored("SELECT count(*) FROM w"), "0\n", "{name}");
        // What the client was told of as skipped is not there.
        assert!(transcript(&raw.ask(&[parse("later", "SELECT 1", &[]), sync()].concat())).starts_with('1'), "{name}");
    }
}

#[test]
fn a_lookup_that_finds_another_row_is_noticed() {
    let twin = Twin::start();
    let sql = "CREATE TABLE t (id int, e seal.text_eq, role text); INSERT INTO t VALUES (1, 'admin', 'all'), (2, 'guest', 'none')";
    twin.sealed.sql(sql);
    let mut raw = twin.raw_sealed();
    assert_eq!(raw.rows("SELECT e, role FROM t WHERE e = 'admin'"), ["admin|all"]);
    twin.direct.sql("UPDATE t SET e.eq = (SELECT (e).eq FROM t WHERE id = 1) WHERE id = 2; DELETE FROM t WHERE id = 1");
    assert_eq!(raw.error("SELECT e, role FROM t WHERE e = 'admin'").code, "XX001");
    twin.direct.sql("UPDATE t SET e.c = NULL");
    assert_eq!(raw.error("SELECT e, role FROM t WHERE e = 'admin'").code, "XX001");
    assert_eq!(raw.rows("SELECT role FROM t WHERE id = 2"), ["none"]);
}

#[test]
fn types_that_do_not_check_out_are_not_used() {
    let twin = Twin::start();
    let mut raw = twin.raw_sealed();
    twin.sealed.sql("CREATE TABLE plain (id int)");
    twin.sealed.sql("SELECT seal.create_type('card', 'text', 'eq')");
    twin.sealed.sql("CREATE TABLE cards (id int, e seal.card)");
    let error = raw.error("INSERT INTO cards VALUES (1, 'mark-unsigned')");
    assert!(error.code == "42P17" && error.hint.unwrap().contains("type adopt card"));
    twin.workspace.columnseal(&["type", "adopt", "card", "--database", &twin.direct.url]).ok();
    eventually("the signature is known", || {
        (raw.query("INSERT INTO cards VALUES (1, 'kept')").starts_with('C')).then_some(())
    });
    twin.direct.superuser("UPDATE seal.types SET plain = 'int4' WHERE name = 'card'");
    eventually("the edit is noticed", || {
        let answers = raw.ask(&query("INSERT INTO cards VALUES (2, 'mark-edited')"));
        answers.iter().find_map(|m| m.error()).filter(|e| e.code == "42P17" && e.hint.is_some())
    });
    assert_eq!(raw.rows("SELECT count(*) FROM plain"), ["0"]);
    twin.direct.superuser("UPDATE seal.types SET plain = 'text' WHERE name = 'card'");
    eventually("it is as it was", || (raw.query("SELECT e FROM cards").contains("D kept")).then_some(()));
    let sent = twin.relay.sent();
    let marker = b"mark-unsigned";
    assert!(!sent.windows(marker.len()).any(|w| w == marker), "the value was sent");
}

#[test]
fn a_database_without_the_schema_is_plain_until_it_has_it() {
    let cluster = Cluster::plain();
    let (bare, other) = (cluster.database("bare"), cluster.database("other"));
    let workspace = Workspace::init(&other);
    let proxy = Proxy::start(&workspace, &bare);
    let through = cluster.at("bare", proxy.port);
    through.sql("CREATE TABLE t (id int, e text); INSERT INTO t VALUES (1, 'plain')");
    assert!(through.psql("CREATE TABLE s (e seal.text_eq)").failed().contains("schema \"seal\" does not exist"));
    workspace.columnseal(&["db", "install", "--database", &bare.url]).ok();
    eventually("the schema is known", || {
        let out = through.psql(
            "CREATE TABLE IF NOT EXISTS s (e seal.text_eq); INSERT INTO s VALUES ('sealed'); SELECT e FROM s LIMIT 1",
        );
        (out.code == 0 && out.out == "sealed\n").then_some(())
    });
    assert!(!bare.sql("SELECT s::text FROM s").contains("sealed"));
}

#[test]
fn a_database_that_goes_away_is_said_and_comes_back() {
    let mut cluster = Cluster::plain();
    let database = cluster.database("shop");
    let workspace = Workspace::init(&database);
    let proxy = Proxy::start(&workspace, &database);
    let through = cluster.at("shop", proxy.port);
    through.sql("CREATE TABLE t (id int, e seal.text_eq); INSERT INTO t VALUES (1, 'kept')");
    cluster.stop();
    let refused = through.psql("SELECT 1").failed();
    assert!(refused.contains("could not connect to the database server"), "{refused}");
    eventually("it is not ready", || (proxy.http("/readyz")?.0 == 503).then_some(()));
    assert_eq!(proxy.http("/healthz").unwrap().0, 200);
    cluster.restart();
    eventually("it is ready", || (proxy.http("/readyz")?.0 == 200).then_some(()));
    assert_eq!(through.sql("SELECT e FROM t WHERE e = 'kept'"), "kept\n");
}

#[test]
fn a_proxy_starts_while_the_database_is_down() {
    let mut cluster = Cluster::plain();
    let database = cluster.database("shop");
    let workspace = Workspace::init(&database);
    let client = workspace.client_create("web", &["default"]);
    cluster.stop();
    let proxy = Proxy::launch(&workspace, &client, &database, &ProxyOptions::default());
    eventually("it says so", || (proxy.http("/readyz")?.0 == 503).then_some(()));
    cluster.restart();
    eventually("it is ready", || (proxy.http("/readyz")?.0 == 200).then_some(()));
    assert_eq!(cluster.at("shop", proxy.port).sql("SELECT 1"), "1\n");
}

/// Starts a proxy that must not start; returns its exit code and what it said.
fn refused_start(
    workspace: &Workspace,
    client: &ClientCredentials,
    database: &crate::support::Database,
) -> (i32, String) {
    let mut proxy = Proxy::launch(workspace, client, database, &ProxyOptions::default());
    let status = proxy.wait_exit();
    (status.code().unwrap_or(-1), proxy.log())
}

#[test]
fn client_keys_that_cannot_be_right_are_told_from_wrong_ones() {
    let cluster = Cluster::plain();
    let database = cluster.database("shop");
    let workspace = Workspace::init(&database);
    let client = workspace.client_create("web", &["default"]);
    let other = workspace.client_create("other", &[]);
    let key = client.key.as_str();
    let swapped = |at: usize| {
        let mut bytes = key.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let cases = [
        ("truncated", key[..key.len() - 3].to_owned(), "CS_CLIENT_KEY"),
        ("mistyped", swapped(20), "checksum"),
        ("mistyped at its end", swapped(key.len() - 1), "checksum"),
        ("no key", "hunter2".to_owned(), "does not begin"),
        ("another client's", other.key.clone(), "belongs to client"),
    ];
    for (name, key, said) in cases {
        let client = ClientCredentials { id: client.id.clone(), key: key.clone() };
        let (code, log) = refused_start(&workspace, &client, &database);
        assert_eq!(code, 5, "{name}: {log}");
        assert!(log.contains(said), "{name}: {log}");
        assert!(!log.contains(key.trim_start_matches("csck1_")), "{name}: the key is shown");
    }
    let (code, log) = refused_start(&workspace, &other, &database);
    assert!(code == 5 && log.contains("no grant"), "{log}");
}

#[test]
fn key_stores_that_cannot_be_used_are_said() {
    let cluster = Cluster::plain();
    let database = cluster.database("shop");
    let workspace = Workspace::init(&database);
    let client = workspace.client_create("web", &["default"]);
    let (store, kept) = (workspace.store(), workspace.dir().join("kept"));
    std::fs::copy(&store, &kept).unwrap();
    let whole = std::fs::read(&store).unwrap();
    // Missing: never made by a proxy.
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", store.display()));
    }
    let (code, log) = refused_start(&workspace, &client, &database);
    assert!(code == 4 && log.contains("no key store at"), "{log}");
    assert!(!store.exists());
    // Corrupt.
    for (name, bytes) in [("no SQLite", b"nothing of the kind".to_vec()), ("cut", whole[..whole.len() / 2].to_vec())] {
        std::fs::write(&store, bytes).unwrap();
        std::fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let (code, log) = refused_start(&workspace, &client, &database);
        assert!(code == 4 && log.contains("corrupt"), "{name}: {log}");
    }
    std::fs::write(&store, &whole).unwrap();
    // Readable by others.
    std::fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let (code, log) = refused_start(&workspace, &client, &database);
    assert!(code == 4 && log.contains("mode 0644"), "{log}");
    std::fs::set_permissions(&store, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // Another workspace's.
    let elsewhere = Workspace::init(&cluster.database("elsewhere"));
    let (code, log) = refused_start(&elsewhere, &client, &database);
    assert!(code == 4 && log.contains("belongs to workspace"), "{log}");
    // As it was.
    let proxy = Proxy::start_with(&workspace, &client, &database, &ProxyOptions::default());
    assert_eq!(cluster.at("shop", proxy.port).sql("SELECT 1"), "1\n");
}
