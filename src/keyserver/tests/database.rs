//! What can happen to a store in a PostgreSQL database: connections that are cut at the worst moment, a server that
//! restarts, is full, read-only, missing, or newer.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use super::super::store::postgres::Postgres as Store;
use super::super::store::spec::StoreSpec;
use super::super::store::{Store as _, Value, write};
use super::super::workspace::Workspace;
use super::kinds::{Kind, Postgres, cluster};
use super::support::{Cluster, Options};
use crate::keys::error::KeysError;

type Home = super::home::Home<Postgres>;

/// Where a connection is cut.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// The commit does not reach the server.
    Before,
    /// The commit is done, and its answer does not arrive.
    After,
}

/// A relay to the server that cuts the connection at the n-th commit from now.
struct Relay {
    port: u16,
    commits: Arc<AtomicI32>,
}

impl Relay {
    fn start(to: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        let port = listener.local_addr().expect("address").port();
        let commits = Arc::new(AtomicI32::new(0));
        let counter = Arc::clone(&commits);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", to)).expect("the server");
                relay(client, server, cut, &counter);
            }
        });
        Self { port, commits }
    }
}

fn relay(client: TcpStream, server: TcpStream, cut: Cut, commits: &Arc<AtomicI32>) {
    let mute = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (mut from, mut to) = (server.try_clone().expect("socket"), client.try_clone().expect("socket"));
    let muted = Arc::clone(&mute);
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            // The server has answered the commit: now the answer gets lost.
            if muted.load(Ordering::SeqCst) || to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
    });
    let (mut from, mut to, commits) = (client, server, Arc::clone(commits));
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let commit = buffer[..count].windows(7).any(|window| window == b"COMMIT\0");
            if commit && commits.fetch_sub(1, Ordering::SeqCst) == 1 {
                match cut {
                    Cut::Before => break,
                    Cut::After => mute.store(true, Ordering::SeqCst),
                }
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}

#[test]
fn a_connection_lost_at_commit_is_resolved_and_nothing_is_done_twice() {
    for cut in [Cut::Before, Cut::After] {
        let home = Home::new();
        let relay = Relay::start(cluster().port, cut);
        let url = home.spec_text().replace(&format!(":{}/", cluster().port), &format!(":{}/", relay.port));
        let workspace =
            Workspace::open_with(&home.path(), &url.parse().expect("a URL"), &home.root_key()).expect("open");
        let before = home.open().audit_verify().expect("whole");
        for at in 1..=8 {
            relay.commits.store(at, Ordering::SeqCst);
            workspace.create_keyset(&format!("k{at}")).expect("it goes on");
        }
        assert_eq!(home.open().keysets().expect("keysets").len(), 9);
        assert_eq!(home.open().audit_verify(), Ok(before + 8));
    }
}

#[test]
fn a_commit_that_cannot_be_resolved_is_said_to_be_unknown() {
    let mut own = Cluster::start(Options::default());
    let database = own.database("keys");
    let relay = Relay::start(own.port, Cut::After);
    drop(Store::create(&database.url).expect("create"));
    let store = Store::open(&own.at("keys", relay.port).url).expect("open");
    relay.commits.store(1, Ordering::SeqCst);
    let outcome = write(&store, |tx| {
        tx.execute(
            "INSERT INTO nonces (client, nonce, time_ms) VALUES ($1, $1, $2)",
            &[Value::Bytes(b"x"), Value::Int(1)],
        )?;
        // Where it would be looked up.
        tx.execute("DROP TABLE writers", &[])
    });
    assert_eq!(outcome, Err(KeysError::OutcomeUnknown));
    own.stop();
}

#[test]
fn a_write_whose_server_ends_its_session_is_done_once() {
    let home = Home::new();
    let workspace = home.open();
    home.sql(
        "CREATE SEQUENCE times;
         CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('times') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON keysets DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cut()",
    );
    let before = workspace.audit_verify().expect("whole");
    workspace.create_keyset("tenant").expect("at the third time");
    assert_eq!((workspace.keysets().expect("keysets").len(), workspace.audit_verify()), (2, Ok(before + 1)));
}

#[test]
fn a_server_that_hangs_in_a_change_does_not_stop_the_others_for_long() {
    let home = Home::new();
    let store = Store::open(&home.spec_text()).expect("open");
    let begin = std::time::Instant::now();
    std::thread::scope(|scope| {
        let (held, wait) = std::sync::mpsc::channel::<()>();
        let name = home.spec_text().rsplit('/').next().expect("a name").to_owned();
        let hangs = scope.spawn(move || {
            let mut tries = 0;
            write(&store, |tx| {
                tries += 1;
                if tries > 1 {
                    return Err(KeysError::invalid("enough"));
                }
                tx.execute("UPDATE workspace SET next_kref = 4000", &[])?;
                let _ = held.send(());
                let idle = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'";
                cluster().superuser("postgres", &format!("{idle} AND datname = '{name}'"));
                tx.execute("UPDATE workspace SET next_kref = 5000", &[]).map(drop)
            })
        });
        wait.recv().expect("it is in its turn");
        home.open().create_keyset("tenant").expect("the turn comes");
        assert_eq!(hangs.join().expect("no panic"), Err(KeysError::invalid("enough")));
    });
    assert!(begin.elapsed().as_secs() < 20);
    assert!(home.open().keyset("tenant").expect("there").kref < 100, "nothing of the half change is left");
}

#[test]
fn a_database_that_restarts_is_found_again() {
    let mut own = Cluster::start(Options::default());
    let store = Store::create(&own.database("keys").url).expect("create");
    let first = store.version().expect("version");
    own.stop();
    assert!(matches!(store.version(), Err(KeysError::Unavailable { .. })));
    own.restart();
    assert_eq!(store.version(), Ok(first));
    write(&store, |_| Ok(())).expect("write");
    assert!(store.version().expect("version") > first);
}

#[test]
fn full_and_read_only_databases_are_named_and_leave_nothing() {
    let home = Home::new();
    let workspace = home.open();
    let told = |workspace: &Workspace| workspace.create_keyset("tenant").expect_err("refused").to_string();
    home.sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'no space left'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION full_disk()",
    );
    assert!(told(&workspace).contains("its disk is full"));
    home.sql("DROP TRIGGER full_disk ON audit_entries");
    assert_eq!(workspace.keysets().expect("keysets").len(), 1);
    let name = home.spec_text().rsplit('/').next().expect("a name").to_owned();
    home.sql(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let workspace = home.open();
    assert!(told(&workspace).contains("it is read-only"));
    assert_eq!(workspace.keysets().expect("it can be read").len(), 1);
    cluster().superuser("postgres", &format!("ALTER DATABASE {name} RESET default_transaction_read_only"));
    home.open().create_keyset("tenant").expect("again");
}

#[test]
fn what_is_no_store_is_named_without_the_password() {
    let empty = Postgres::new().spec(std::path::Path::new(""));
    let newer = Home::new();
    newer.sql("INSERT INTO schema_versions VALUES (99, 0)");
    let nowhere = |url: &str| url.parse::<StoreSpec>().expect("a URL").open().err().expect("refused");
    assert!(matches!(empty.open().err(), Some(KeysError::StoreMissing { .. })));
    assert!(matches!(newer.spec().open().err(), Some(KeysError::StoreNewer { found: 99, .. })));
    let port = cluster().port;
    for url in [
        "postgres://u:geheim@127.0.0.1:1/d".to_owned(),
        format!("postgres://app:geheim@127.0.0.1:{port}/nowhere"),
        format!("postgres://nobody:geheim@127.0.0.1:{port}/postgres"),
        "postgres://u:geheim@127.0.0.1:1/d?sslrootcert=/nowhere&sslmode=verify-full".to_owned(),
        "postgres://u:geheim@127.0.0.1:1/d?sslmode=none".to_owned(),
    ] {
        let error = nowhere(&url);
        assert!(matches!(error, KeysError::Unavailable { .. } | KeysError::Invalid { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
    }
}

#[test]
fn a_store_is_used_from_tasks_and_threads_alike() {
    let home = Home::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without timers");
    runtime.block_on(async { home.open().create_keyset("a").expect("on a task") });
    std::thread::scope(|scope| scope.spawn(|| home.open().create_keyset("b").map(drop)).join().expect("no panic"))
        .expect("on a thread");
    assert_eq!(home.open().keysets().expect("keysets").len(), 3);
    assert!(home.path().join("store").join("root.key").exists());
}
