//! Replication through the proxy: what is stored goes as it is, and SQL beside it is judged as ever.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::cluster::psql;
use crate::support::process::run;
use crate::support::raw::{Raw, message, parse, query, sync, transcript};
use crate::support::{Cluster, Options, ProxyOptions, Twin, eventually};

const SECRET: &str = "nobody may see this";

/// A twin whose role `app` may replicate.
fn twin() -> Twin {
    twin_with(&ProxyOptions::default())
}

fn twin_with(options: &ProxyOptions) -> Twin {
    let twin = Twin::start_with(Options::default().with("wal_level = logical"), options);
    let hba = twin.cluster.dir.join("data/pg_hba.conf");
    let lines = std::fs::read_to_string(&hba).unwrap() + "host replication all 127.0.0.1/32 trust\n";
    std::fs::write(&hba, lines).unwrap();
    twin.cluster.superuser("postgres", "ALTER ROLE app REPLICATION; SELECT pg_reload_conf()");
    twin.sealed.sql("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq); CREATE TABLE plain (id int)");
    twin
}

/// A program of PostgreSQL's that connects through the proxy.
fn program(twin: &Twin, name: &str) -> Command {
    let mut command = Command::new(name);
    command.args(["-h", "127.0.0.1", "-p", &twin.proxy.port.to_string(), "-U", "app", "-w"]);
    command
}

fn end_of_wal(twin: &Twin) -> String {
    twin.cluster.superuser("postgres", "SELECT pg_current_wal_lsn()")
}

#[test]
fn a_base_backup_and_the_log_are_taken_through_the_proxy() {
    let twin = twin();
    twin.sealed.sql(&format!("INSERT INTO t VALUES (1, '{SECRET}')"));
    let dir = tempfile::tempdir().unwrap();
    let (backup, wal) = (dir.path().join("backup"), dir.path().join("wal"));
    eventually("replication is let in", || {
        let mut command = program(&twin, "pg_basebackup");
        let _ = std::fs::remove_dir_all(&backup);
        let taken = run(command.arg("-D").arg(&backup).args(["-X", "stream", "-c", "fast", "-N"]), "");
        (taken.code == 0).then_some(())
    });
    let verify = format!("/usr/lib/postgresql/{}/bin/pg_verifybackup", twin.cluster.version);
    run(Command::new(verify).arg(&backup), "").ok();
    std::fs::create_dir(&wal).unwrap();
    run(program(&twin, "pg_receivewal").arg("-D").arg(&wal).args(["--slot", "s", "--create-slot"]), "").ok();
    twin.sealed.sql(&format!("INSERT INTO t VALUES (2, '{SECRET}')"));
    let end = end_of_wal(&twin);
    let mut receive = program(&twin, "pg_receivewal");
    receive.arg("-D").arg(&wal).args(["--slot", "s", "-n", "--no-sync", "--endpos", &end]);
    let mut receive = receive.spawn().unwrap();
    let streams = "SELECT active FROM pg_replication_slots WHERE slot_name = 's'";
    eventually("it streams", || (twin.cluster.superuser("postgres", streams) == "t").then_some(()));
    // It ends at the first byte behind that end.
    twin.cluster.superuser("postgres", "SELECT pg_switch_wal()");
    assert!(receive.wait().unwrap().success());
    assert!(same_log(&twin, &wal, &end) > 0);
}

/// Segments that were received, each the same bytes as the server's own, as far as this end.
#[track_caller]
fn same_log(twin: &Twin, wal: &Path, end: &str) -> usize {
    let written = usize::from_str_radix(end.split_once('/').unwrap().1, 16).unwrap();
    let segments: Vec<PathBuf> = std::fs::read_dir(wal).unwrap().map(|entry| entry.unwrap().path()).collect();
    for segment in &segments {
        let name = segment.file_name().unwrap().to_string_lossy().into_owned();
        let own = std::fs::read(twin.cluster.dir.join("data/pg_wal").join(name.trim_end_matches(".partial"))).unwrap();
        let received = std::fs::read(segment).unwrap();
        let known = if name.ends_with(".partial") { written % own.len() } else { own.len() };
        assert!(received[..known] == own[..known], "{name}");
    }
    segments.len()
}

#[test]
fn a_standby_follows_through_the_proxy() {
    let twin = twin();
    twin.sealed.sql(&format!("INSERT INTO t VALUES (1, '{SECRET}')"));
    let connect = || Raw::connect_with(twin.proxy.port, "sealed", &[("replication", "true")]);
    drop(eventually("replication is let in", || std::panic::catch_unwind(connect).ok()));
    let standby = twin.cluster.standby_by("127.0.0.1", twin.proxy.port, "app");
    twin.sealed.sql("INSERT INTO t VALUES (2, 'second'); UPDATE t SET e = 'first' WHERE id = 1");
    let stored = |cluster: &Cluster| cluster.superuser("sealed", "SELECT id, e FROM t ORDER BY id");
    eventually("it follows", || (stored(&standby) == stored(&twin.cluster)).then_some(()));
    assert!(!stored(&standby).contains("second"));
    let client = twin.workspace.client_create("reader", &["default"]);
    let database = standby.at("sealed", standby.port);
    let proxy = crate::support::Proxy::start_with(&twin.workspace, &client, &database, &ProxyOptions::default());
    let read = standby.at("sealed", proxy.port);
    assert_eq!(read.sql("SELECT id, e FROM t ORDER BY id"), "1|first\n2|second\n");
    assert_eq!(read.sql("SELECT id FROM t WHERE e = 'second'"), "2\n");
    assert_eq!(read.psql("INSERT INTO t VALUES (3, 'x')").failed().matches("25006").count(), 1);
}

#[test]
fn a_shutdown_ends_streams_and_nothing_is_lost() {
    let options = ProxyOptions::default().with("CS_SERVER__SHUTDOWN_TIMEOUT", "1s");
    let mut twin = twin_with(&options);
    let dir = tempfile::tempdir().unwrap();
    let receive = |twin: &Twin, more: &[&str]| {
        let mut command = program(twin, "pg_receivewal");
        command.arg("-D").arg(dir.path()).args(["--slot", "s", "-n", "--no-sync"]).args(more);
        command
    };
    eventually("replication is let in", || (run(receive(&twin, &[]).arg("--create-slot"), "").code == 0).then_some(()));
    let mut streaming = receive(&twin, &[]).spawn().unwrap();
    let active = "SELECT active FROM pg_replication_slots WHERE slot_name = 's'";
    eventually("it streams", || (twin.cluster.superuser("postgres", active) == "t").then_some(()));
    twin.sealed.sql(&format!("INSERT INTO t VALUES (1, '{SECRET}')"));
    twin.proxy.signal("TERM");
    assert!(twin.proxy.wait_exit().success());
    assert!(!streaming.wait().unwrap().success(), "its connection is over");
    eventually("the server knows", || (twin.cluster.superuser("postgres", active) == "f").then_some(()));
    twin.cluster.superuser("sealed", "INSERT INTO plain SELECT generate_series(1, 1000)");
    let through = twin.cluster.at("sealed", twin.relay.port);
    twin.proxy = crate::support::Proxy::start_with(&twin.workspace, &twin.client, &through, &options);
    let end = end_of_wal(&twin);
    let mut again = receive(&twin, &["--endpos", &end]).spawn().unwrap();
    eventually("it streams again", || (twin.cluster.superuser("postgres", active) == "t").then_some(()));
    twin.cluster.superuser("postgres", "SELECT pg_switch_wal()");
    assert!(again.wait().unwrap().success());
    assert!(same_log(&twin, dir.path(), &end) > 0);
}

#[test]
fn changes_are_decoded_as_they_are_stored() {
    let twin = twin();
    let recv = |args: &[&str]| {
        let mut command = program(&twin, "pg_recvlogical");
        run(command.args(["-d", "sealed", "--slot", "s"]).args(args), "")
    };
    eventually("replication is let in", || (recv(&["--create-slot", "-P", "test_decoding"]).code == 0).then_some(()));
    twin.sealed.sql(&format!("INSERT INTO t VALUES (1, '{SECRET}'); INSERT INTO plain VALUES (7)"));
    let end = end_of_wal(&twin);
    let changes = recv(&["--start", "-f", "-", "-n", "--endpos", &end]).ok();
    assert!(changes.contains("table public.plain: INSERT: id[integer]:7"), "{changes}");
    assert!(changes.contains("table public.t: INSERT: id[integer]:1") && !changes.contains(SECRET), "{changes}");
    recv(&["--drop-slot"]).ok();
}

#[test]
fn statements_beside_it_are_judged() {
    let twin = twin();
    twin.sealed.sql(&format!("INSERT INTO t VALUES (1, '{SECRET}')"));
    twin.relay.clear();
    let mut raw = eventually("replication is let in", || {
        std::panic::catch_unwind(|| Raw::connect_with(twin.proxy.port, "sealed", &[("replication", "database")])).ok()
    });
    assert!(raw.query("IDENTIFY_SYSTEM").contains("\nD "), "a replication command");
    assert!(raw.query(" IDENTIFY_SYSTEM ; ").contains("\nD "));
    assert_eq!(raw.rows("SELECT 1 + 1"), ["2"]);
    assert_eq!(raw.rows("SELECT count(*) FROM plain"), ["0"]);
    for sql in [
        "SELECT e FROM t".to_owned(),
        format!("SELECT id FROM t WHERE e = '{SECRET}'"),
        format!("INSERT INTO t VALUES (2, '{SECRET}')"),
        format!("INSERT INTO plain VALUES (1); INSERT INTO t VALUES (2, '{SECRET}')"),
        format!("COPY (SELECT id FROM t WHERE e = '{SECRET}') TO STDOUT"),
        "COPY (SELECT e FROM t) TO STDOUT".to_owned(),
        "COPY t FROM STDIN".to_owned(),
        format!("BASE_BACKUP; INSERT INTO t VALUES (2, '{SECRET}')"),
        format!("START_REPLICATION SLOT x LOGICAL 0/0 (a ';'); INSERT INTO t VALUES (2, '{SECRET}')"),
        "identify_system".to_owned(),
        format!("IDENTIFY_SYSTEM '; INSERT INTO t VALUES (2, '{SECRET}')"),
    ] {
        let error = raw.error(&sql);
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    }
    // The rows of a table as they are stored, which is what the changes that follow are.
    let copied = raw.query("COPY t TO STDOUT");
    assert!(copied.contains("C COPY 1") && !copied.contains(SECRET), "{copied}");
    assert_eq!(raw.rows("SELECT count(*) FROM plain"), ["0"], "the session goes on");
    let answer = transcript(&raw.ask(&[parse("", "SELECT 1", &[]), sync()].concat()));
    assert_eq!(answer, "E ERROR 08P01\nZ I", "as PostgreSQL");
    raw.send(&query("SELECT 2"));
    assert!(transcript(&raw.until_ready()).contains("D 2"));
    let sent = String::from_utf8_lossy(&twin.relay.sent()).into_owned();
    assert!(!sent.contains(SECRET), "plaintext was sent");
}

#[test]
fn physical_replication_takes_no_statements() {
    let twin = twin();
    let connect = || Raw::connect_with(twin.proxy.port, "sealed", &[("replication", "true")]);
    drop(eventually("replication is let in", || std::panic::catch_unwind(connect).ok()));
    twin.relay.clear();
    let mut raw = connect();
    assert!(raw.query("IDENTIFY_SYSTEM").contains("\nD "));
    assert!(raw.query("SHOW wal_segment_size").contains("\nD "));
    assert_eq!(raw.error("BASE_BACKUP (NO_SUCH_OPTION)").severity, "ERROR", "the server's own");
    let insert = format!("INSERT INTO t VALUES (1, '{SECRET}')");
    for sent in [
        query(&insert),
        query(&format!("IDENTIFY_SYSTEM; {insert}")),
        query(&format!("SHOW wal_segment_size; {insert}")),
        query(&format!("SHOW\twal_segment_size;{insert}")),
        query("SELECT 1"),
        parse("", &insert, &[]),
        message(b'F', insert.as_bytes()),
        // Behind what is allowed, and in two parts.
        [query("IDENTIFY_SYSTEM"), query(&insert)].concat(),
    ] {
        let mut raw = connect();
        let half = sent.len() / 2;
        raw.send(&sent[..half]);
        raw.send(&sent[half..]);
        let mut came = Vec::new();
        while let Some(message) = raw.try_next() {
            came.push(message);
        }
        let error = came.last().and_then(|last| last.error()).expect("an error, and the end");
        assert_eq!((error.severity.as_str(), error.code.as_str()), ("FATAL", "0A000"), "{error:?}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    }
    assert_eq!(raw.query("IDENTIFY_SYSTEM").matches("\nD ").count(), 1, "others go on");
    let sent = String::from_utf8_lossy(&twin.relay.sent()).into_owned();
    assert!(!sent.contains(SECRET) && !sent.contains("INSERT") && !sent.contains("SELECT"), "a statement was sent");
    assert!(!twin.cluster.log().contains(SECRET), "plaintext was logged");
}

#[test]
fn a_subscriber_follows_through_the_proxy() {
    let twin = twin();
    twin.sealed.sql(&format!("INSERT INTO t VALUES (1, '{SECRET}'), (2, NULL)"));
    twin.cluster.superuser("sealed", "CREATE PUBLICATION p FOR TABLE t");
    let subscriber = Cluster::start(Options::default());
    let database = subscriber.database("sealed");
    // The same encrypted types, and the same keys to read by.
    twin.workspace.columnseal(&["db", "install", "--database", &database.url]).ok();
    database.sql("CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq)");
    let proxied = format!("host=127.0.0.1 port={} user=app dbname=sealed", twin.proxy.port);
    eventually("replication is let in", || {
        let sql = format!("CREATE SUBSCRIPTION s CONNECTION '{proxied}' PUBLICATION p");
        let said = psql(
            &format!("postgres://postgres@/sealed?host={}&port={}", subscriber.dir.display(), subscriber.port),
            &sql,
        );
        (said.code == 0).then_some(())
    });
    let stored = |database: &crate::support::Database| database.sql("SELECT id, e FROM t ORDER BY id");
    eventually("the rows are copied", || (stored(&database) == stored(&twin.direct)).then_some(()));
    twin.sealed
        .sql("INSERT INTO t VALUES (3, 'three'); UPDATE t SET e = 'one' WHERE id = 1; DELETE FROM t WHERE id = 2");
    eventually("the changes follow", || (stored(&database) == stored(&twin.direct)).then_some(()));
    assert!(!stored(&database).contains("three"));
    // A proxy before the subscriber reads what was written by another before the publisher.
    let client = twin.workspace.client_create("reader", &["default"]);
    let proxy = crate::support::Proxy::start_with(&twin.workspace, &client, &database, &ProxyOptions::default());
    let read = subscriber.at("sealed", proxy.port);
    assert_eq!(read.sql("SELECT id, e FROM t ORDER BY id"), "1|one\n3|three\n");
    assert_eq!(read.sql("SELECT id FROM t WHERE e = 'three'"), "3\n");
    subscriber.superuser("sealed", "DROP SUBSCRIPTION s");
}
