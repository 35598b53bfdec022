//! Root keys over a store: adopting older stores, swapped and cut rows, replacing the root key, faults at every step.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use secrecy::SecretString;

use std::sync::Arc;

use super::super::root_key::Source;
use super::super::{Engine, Workspace};
use super::home::{decrypt, encrypt};
use super::kinds::Sqlite as SqliteKind;
use crate::crypto::derive::{ROOT_WRAP, STORE_KEY, expand32};
use crate::crypto::wrap::WrapKey;
use crate::keys::RootKeyFault;
use crate::keys::error::KeysError;
use crate::keys::{Permissions, Ring};
use crate::keyserver::root_key::rewrap::Rewrapped;
use crate::keyserver::root_key::{rewrap, status, unlock};
use crate::keyserver::store::sqlite::Sqlite;
use crate::keyserver::store::{Row, Store, Tx, Value};

type Home = super::home::Home<SqliteKind>;

fn file(home: &Home) -> Source {
    Source::File(home.store().with_file_name("root.key"))
}

fn variable(byte: &str) -> Source {
    Source::Environment { name: format!("ROOT_{byte}"), value: Some(SecretString::from(byte.repeat(32))) }
}

fn store(home: &Home) -> Sqlite {
    Sqlite::open(&home.store()).expect("open")
}

fn opens(home: &Home, source: &Source) -> Result<(), KeysError> {
    unlock(&store(home), source).map(drop)
}

#[track_caller]
fn refused(home: &Home, source: &Source) -> RootKeyFault {
    match opens(home, source) {
        Err(KeysError::RootKey { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

fn read(home: &Home, sql: &str) -> Vec<u8> {
    rusqlite::Connection::open(home.store()).expect("open").query_row(sql, [], |row| row.get(0)).expect("one row")
}

fn count(home: &Home) -> i64 {
    let connection = rusqlite::Connection::open(home.store()).expect("open");
    connection.query_row("SELECT count(*) FROM root_keys", [], |row| row.get(0)).expect("a count")
}

/// Turns the store into one of version 1 as migrating leaves it: no root keys, and the store key's bytes in root.key.
fn downgrade(home: &Home) {
    let path = home.store().with_file_name("root.key");
    let text = fs::read_to_string(&path).expect("root.key");
    let root: [u8; 32] = hex::decode(text.trim()).expect("digits").try_into().expect("32 bytes");
    let place = [STORE_KEY, &read(home, "SELECT service_id FROM workspace")].concat();
    let wrapped = read(home, "SELECT wrapped FROM root_keys");
    let key = WrapKey::new(&expand32(&root, &[ROOT_WRAP])).unwrap(&place, &wrapped).expect("unwrap");
    fs::write(&path, hex::encode(&*key)).expect("write");
    home.sql("DELETE FROM root_keys");
}

fn status_of(home: &Home, source: &Source) -> Vec<(String, bool)> {
    let (keys, _) = status(&store(home), source).expect("status");
    keys.into_iter().map(|key| (key.description, key.configured)).collect()
}

#[tokio::test]
async fn a_store_of_version_1_is_adopted_and_keeps_everything() {
    let home = Home::new();
    let secret = home.application();
    let ring = home.ring(&secret).await.expect("ring");
    let envelope = encrypt(&ring, "before").await.expect("encrypt");
    ring.stop().await;
    downgrade(&home);
    // Looking does not adopt, and another root key does not either.
    assert_eq!(status_of(&home, &file(&home)), []);
    assert_eq!(refused(&home, &variable("ab")), RootKeyFault::Wrong);
    assert_eq!(count(&home), 0);
    let ring = home.ring(&secret).await.expect("adopted");
    assert_eq!(decrypt(&ring, &envelope).await.as_deref(), Ok("before"));
    assert_eq!(count(&home), 1);
    assert_eq!(status_of(&home, &file(&home)), [(file(&home).to_string(), true)]);
    ring.stop().await;
    home.client("more", &["default"], Permissions::APPLICATION);
}

#[test]
fn a_store_of_version_1_can_be_rewrapped_at_once() {
    let home = Home::new();
    downgrade(&home);
    let done = rewrap(&store(&home), &file(&home), &variable("ab"), true).expect("rewrap");
    let expected = Rewrapped {
        root_key: "env:ROOT_ab".into(),
        added: true,
        removed: vec![file(&home).to_string()],
        remaining: Vec::new(),
    };
    assert_eq!(done, expected);
    opens(&home, &variable("ab")).expect("the new one");
    assert_eq!(refused(&home, &file(&home)), RootKeyFault::Wrong);
}

#[test]
fn rewrapping_to_the_root_key_there_is_changes_nothing() {
    let home = Home::new();
    for _ in 0..2 {
        let done = rewrap(&store(&home), &file(&home), &file(&home), true).expect("rewrap");
        assert!(!done.added && done.removed.is_empty() && done.remaining.is_empty(), "{done:?}");
        assert_eq!(count(&home), 1);
        downgrade(&home);
    }
}

#[test]
fn a_moved_root_key_still_opens() {
    let home = Home::new();
    let moved = home.path().join("elsewhere.key");
    fs::rename(home.store().with_file_name("root.key"), &moved).expect("move");
    opens(&home, &Source::File(moved)).expect("the same key");
    assert!(matches!(refused(&home, &file(&home)), RootKeyFault::Missing(_)));
}

#[test]
fn root_keys_of_other_stores_do_not_open_this_one() {
    let (home, other) = (Home::new(), Home::new());
    assert_eq!(refused(&home, &file(&other)), RootKeyFault::Wrong);
    // A row of another store under this store's root key: bound to the other's service.
    rewrap(&store(&other), &file(&other), &file(&home), false).expect("rewrap");
    let foreign = read(&other, "SELECT wrapped FROM root_keys ORDER BY id DESC LIMIT 1");
    home.sql(&format!("UPDATE root_keys SET wrapped = X'{}'", hex::encode(foreign)));
    assert_eq!(refused(&home, &file(&home)), RootKeyFault::Wrong);
}

#[test]
fn cut_altered_and_mislabelled_rows_do_not_open() {
    let home = Home::new();
    let good = hex::encode(read(&home, "SELECT wrapped FROM root_keys"));
    let put =
        |wrapped: &str, kind: &str| home.sql(&format!("UPDATE root_keys SET wrapped = X'{wrapped}', kind = '{kind}'"));
    for wrapped in
        ["", "00", &good[2..], &good[..good.len() - 2], &format!("{good}00"), &good.replacen(&good[..2], "ff", 1)]
    {
        put(wrapped, "local");
        if wrapped != good {
            assert_eq!(refused(&home, &file(&home)), RootKeyFault::Wrong, "{wrapped}");
        }
    }
    put(&good, "vault");
    assert_eq!(refused(&home, &file(&home)), RootKeyFault::Wrong);
    put(&good, "local");
    opens(&home, &file(&home)).expect("as it was");
    home.sql("UPDATE root_keys SET wrapped = NULL WHERE 0; UPDATE root_keys SET kind = X'00'");
    assert!(matches!(opens(&home, &file(&home)), Err(KeysError::StoreCorrupt { .. })));
}

#[test]
fn a_store_without_any_root_key_is_not_taken_for_an_old_one() {
    let home = Home::new();
    home.sql("DELETE FROM root_keys");
    assert_eq!(refused(&home, &file(&home)), RootKeyFault::Wrong);
    assert_eq!(count(&home), 0);
}

#[test]
fn swapped_wrapped_rows_do_not_open() {
    let home = Home::new();
    let (one, two) = (home.application(), home.client("two", &["default"], Permissions::APPLICATION));
    home.sql(&format!(
        "CREATE TEMP TABLE w AS SELECT client, split, wrapped FROM shares;
         UPDATE shares SET wrapped = (SELECT wrapped FROM w WHERE w.split = shares.split AND w.client =
            CASE WHEN shares.client = X'{one}' THEN X'{two}' ELSE X'{one}' END) WHERE client IN (X'{one}', X'{two}')",
        one = hex::encode(one.parts().0.client_id().0),
        two = hex::encode(two.parts().0.client_id().0),
    ));
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let tried = runtime.block_on(async { encrypt(&*home.ring(&one).await?, "x").await });
    assert!(matches!(tried, Err(KeysError::Tampered { .. })), "{tried:?}");
}

#[tokio::test]
async fn the_root_key_is_replaced_while_the_store_is_used() {
    let home = Home::new();
    let secret = home.application();
    let running = home.ring(&secret).await.expect("ring");
    let envelope = encrypt(&running, "value").await.expect("encrypt");
    let new = variable("ab");
    let done = rewrap(&store(&home), &file(&home), &new, false).expect("rewrap");
    assert!(done.added && done.removed.is_empty());
    assert_eq!(done.remaining, [file(&home).to_string()]);
    // Replicas of either configuration run.
    let root = secret.parts().1;
    for source in [file(&home), new.clone()] {
        Engine::open_with(&home.spec(), &source, root).expect("either opens");
    }
    // Again changes nothing.
    let again = rewrap(&store(&home), &file(&home), &new, false).expect("again");
    assert!(!again.added);
    assert_eq!(count(&home), 2);
    assert_eq!(status_of(&home, &new), [(file(&home).to_string(), false), ("env:ROOT_ab".into(), true)]);
    let done = rewrap(&store(&home), &file(&home), &new, true).expect("finish");
    assert_eq!((done.added, done.removed), (false, vec![file(&home).to_string()]));
    assert_eq!(refused(&home, &file(&home)), RootKeyFault::Wrong);
    // What was opened by the old root key goes on: nothing asks for it again.
    fs::remove_file(home.store().with_file_name("root.key")).expect("destroy");
    assert_eq!(decrypt(&running, &envelope).await.as_deref(), Ok("value"));
    encrypt(&running, "another").await.expect("encrypt");
    running.stop().await;
    let service = Arc::new(Engine::open_with(&home.spec(), &new, root).expect("open"));
    let (key, root) = secret.parts();
    let ring = Ring::start(&home.settings(), Arc::new(key), root, service).await.expect("ring");
    assert_eq!(decrypt(&ring, &envelope).await.as_deref(), Ok("value"));
    ring.stop().await;
    let workspace = Workspace::open_with(&home.path(), &home.spec(), &new).expect("open");
    let acts: Vec<String> = workspace.audit_tail(10).expect("audit").into_iter().map(|entry| entry.action).collect();
    assert!(
        acts.iter().any(|act| act == "root_key.add") && acts.iter().any(|act| act == "root_key.remove"),
        "{acts:?}"
    );
}

#[test]
fn nothing_is_taken_away_for_a_root_key_that_does_not_open() {
    let home = Home::new();
    let missing = Source::File(home.path().join("none.key"));
    assert!(rewrap(&store(&home), &file(&home), &missing, true).is_err());
    assert!(rewrap(&store(&home), &variable("cd"), &variable("ab"), true).is_err());
    assert_eq!(count(&home), 1);
    // A row under the new one's name that it does not open.
    home.sql("INSERT INTO root_keys VALUES (2, 'local', 'env:ROOT_ab', X'00112233', 0)");
    let done = rewrap(&store(&home), &file(&home), &variable("ab"), true).expect("rewrap");
    assert!(done.added);
    assert_eq!(count(&home), 1);
    opens(&home, &variable("ab")).expect("the new one");
}

/// A store that fails at one of its operations, as a process that is killed there would leave it.
struct Faulty<'a> {
    inner: &'a dyn Store,
    /// Operations that still succeed.
    left: AtomicI64,
}

struct FaultyTx<'a, 'b>(&'a dyn Tx, &'a Faulty<'b>);

impl Faulty<'_> {
    fn step(&self) -> Result<(), KeysError> {
        match self.left.fetch_sub(1, Ordering::Relaxed) {
            1.. => Ok(()),
            _ => Err(KeysError::unavailable("the fault of this test")),
        }
    }
}

type Work<'w> = &'w mut dyn FnMut(&dyn Tx) -> Result<(), KeysError>;

impl Store for Faulty<'_> {
    fn read(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.inner.read(&mut |tx| work(&FaultyTx(tx, self)))
    }

    fn write(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.inner.write(&mut |tx| work(&FaultyTx(tx, self)))?;
        // Committed, and nobody was told.
        self.step()
    }

    fn append(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.inner.append(work)
    }

    fn shared(&self) -> bool {
        self.inner.shared()
    }

    fn peek(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.inner.peek(work)
    }

    fn version(&self) -> Result<i64, KeysError> {
        self.inner.version()
    }

    fn scrub(&self) -> Result<(), KeysError> {
        self.inner.scrub()
    }

    fn corrupt(&self, what: &str) -> KeysError {
        self.inner.corrupt(what)
    }
}

impl Tx for FaultyTx<'_, '_> {
    fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, KeysError> {
        self.1.step()?;
        self.0.execute(sql, parameters)
    }

    fn columns(&self, table: &str) -> Result<Vec<String>, KeysError> {
        self.0.columns(table)
    }

    fn rows(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Vec<Row>, KeysError> {
        self.1.step()?;
        self.0.rows(sql, parameters)
    }

    fn corrupt(&self, what: &str) -> KeysError {
        self.0.corrupt(what)
    }
}

/// Rewraps with a fault at every operation, one after the other; `start` prepares the store.
fn at_every_step(finish: bool, start: impl Fn(&Home)) {
    let template = Home::new();
    start(&template);
    template.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    for left in 0..100 {
        let home = Home::empty();
        fs::create_dir_all(home.store().parent().expect("a folder")).expect("mkdir");
        for from in [template.store(), template.store().with_file_name("root.key")] {
            let to: PathBuf = home.store().with_file_name(from.file_name().expect("a name"));
            fs::copy(&from, to).expect("copy");
        }
        let (old, new) = (file(&home), variable("ab"));
        let store = store(&home);
        let faulty = Faulty { inner: &store, left: AtomicI64::new(left) };
        let tried = rewrap(&faulty, &old, &new, finish);
        if tried.is_ok() {
            assert!(left > 4, "the faults were reached: {left}");
            return;
        }
        let (by_old, by_new) = (opens(&home, &old), opens(&home, &new));
        assert!(by_old.is_ok() || by_new.is_ok(), "after {left} operations: {by_old:?}, {by_new:?}");
        let done = rewrap(&store, &old, &new, true).expect("the same again completes it");
        assert_eq!(done.remaining, [""; 0]);
        opens(&home, &new).expect("the new one opens");
        assert_eq!(refused(&home, &old), RootKeyFault::Wrong);
    }
    panic!("it never came through");
}

#[test]
fn a_fault_at_any_step_of_adding_leaves_a_store_that_opens() {
    at_every_step(false, |_| {});
}

#[test]
fn a_fault_at_any_step_of_finishing_leaves_a_store_that_opens() {
    at_every_step(true, |_| {});
}

#[test]
fn a_fault_at_any_step_of_adopting_leaves_a_store_that_opens() {
    at_every_step(true, downgrade);
}
