//! Files: missing, damaged, locked, foreign, readable by others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::super::Engine;
use super::super::workspace::Workspace;
use super::kinds::Sqlite;
use crate::keys::RootKeyFault;
use crate::keys::error::KeysError;

type Home = super::home::Home<Sqlite>;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn open(home: &Home) -> Result<Workspace, KeysError> {
    Workspace::open(&home.path(), &home.store())
}

#[test]
fn a_missing_store_is_named_and_never_made() {
    let home = Home::new();
    let secret = home.application();
    fs::remove_file(home.store()).expect("remove");
    let error = Engine::open(&home.store(), secret.parts().1).err().expect("refused");
    assert_eq!(error, KeysError::StoreMissing { path: home.store() });
    assert!(!home.store().exists());
}

#[test]
fn what_is_no_store_is_corrupt() {
    let home = Home::new();
    for content in [
        &b""[..],
        b"not a database, but longer than a header of SQLite would be, by some hundred bytes".repeat(40).as_slice(),
    ] {
        fs::remove_file(home.store()).expect("remove");
        let _ = fs::remove_file(home.store().with_extension("db-wal"));
        let _ = fs::remove_file(home.store().with_extension("db-shm"));
        fs::write(home.store(), content).expect("write");
        fs::set_permissions(home.store(), fs::Permissions::from_mode(0o600)).expect("chmod");
        assert!(matches!(open(&home), Err(KeysError::StoreCorrupt { .. })));
    }
}

#[test]
fn damaged_pages_are_found_at_open() {
    let home = Home::new();
    home.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let mut bytes = fs::read(home.store()).expect("read");
    for page in bytes.chunks_mut(4096).skip(2) {
        page[..64].fill(0xee);
    }
    fs::write(home.store(), bytes).expect("write");
    assert!(matches!(open(&home), Err(KeysError::StoreCorrupt { .. })));
}

#[test]
fn a_truncated_store_is_corrupt() {
    let home = Home::new();
    home.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let bytes = fs::read(home.store()).expect("read");
    fs::write(home.store(), &bytes[..bytes.len() / 2]).expect("write");
    assert!(matches!(open(&home), Err(KeysError::StoreCorrupt { .. })));
}

#[test]
fn a_newer_store_is_refused() {
    let home = Home::new();
    home.sql("INSERT INTO schema_versions VALUES (99, 0)");
    assert!(matches!(open(&home), Err(KeysError::StoreNewer { found: 99, .. })));
}

#[test]
fn a_locked_store_is_named() {
    let home = Home::new();
    let workspace = home.open();
    let holder = rusqlite::Connection::open(home.store()).expect("open");
    holder.execute_batch("BEGIN IMMEDIATE").expect("lock");
    assert_eq!(workspace.create_keyset("k").err(), Some(KeysError::StoreLocked { path: home.store() }));
    holder.execute_batch("ROLLBACK").expect("unlock");
    workspace.create_keyset("k").expect("free again");
}

#[test]
fn secret_files_are_private_and_refused_when_not() {
    let home = Home::new();
    let device = super::super::workspace::device_path(&home.path());
    let root_key = home.store().with_file_name("root.key");
    for folder in [home.path(), home.path().join("device"), home.path().join("store")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    for file in [home.store(), root_key.clone(), device.clone(), home.options().recovery_file] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    for file in [home.store(), root_key, device] {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("chmod");
        assert_eq!(open(&home).err(), Some(KeysError::FileMode { path: file.clone(), mode: 0o640 }));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
    }
    open(&home).map(drop).expect("private again");
}

#[test]
fn the_root_key_must_be_the_stores_own() {
    let home = Home::new();
    let root_key = home.store().with_file_name("root.key");
    for wrong in ["", "zz", &"00".repeat(31), &"00".repeat(32), &"00".repeat(33)] {
        fs::write(&root_key, wrong).expect("write");
        assert!(matches!(open(&home), Err(KeysError::RootKey { .. })), "{wrong}");
    }
    fs::remove_file(&root_key).expect("remove");
    assert!(matches!(open(&home), Err(KeysError::RootKey { fault: RootKeyFault::Missing(_), .. })));
}

#[test]
fn a_store_of_another_workspace_is_refused() {
    let (home, other) = (Home::new(), Home::new());
    let secret = other.application();
    let error = Engine::open(&home.store(), secret.parts().1).err().expect("refused");
    assert_eq!(error, KeysError::OtherWorkspace { found: home.open().root(), expected: other.open().root() });
}

#[test]
fn a_replaced_file_is_not_the_store() {
    let home = Home::new();
    let workspace = home.open();
    let copy = home.store().with_extension("copy");
    fs::copy(home.store(), &copy).expect("copy");
    fs::rename(&copy, home.store()).expect("rename");
    assert!(matches!(workspace.clients(), Err(KeysError::Unavailable { .. })));
    fs::remove_file(home.store()).expect("remove");
    assert!(matches!(workspace.clients(), Err(KeysError::StoreMissing { .. })));
}

#[test]
fn revoked_shares_are_gone_from_every_file() {
    let home = Home::new();
    home.application();
    let read = |sql: &str| {
        let connection = rusqlite::Connection::open(home.store()).expect("open");
        let mut statement = connection.prepare(sql).expect("prepare");
        let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).expect("query");
        rows.collect::<Result<Vec<_>, _>>().expect("rows")
    };
    let id = "(SELECT id FROM clients WHERE name = 'web')";
    let mut secrets = read(&format!("SELECT wrapped FROM shares WHERE client = {id}"));
    secrets.extend(read(&format!("SELECT sealed FROM shares WHERE client = {id}")));
    assert_eq!(secrets.len(), 4);
    let found = || {
        let files = fs::read_dir(home.store().parent().expect("a folder")).expect("list");
        let bytes = files.map(|file| fs::read(file.expect("entry").path()).expect("read")).collect::<Vec<_>>();
        let inside = |secret: &Vec<u8>| bytes.iter().any(|file| file.windows(32).any(|window| window == &secret[..32]));
        secrets.iter().filter(|secret| inside(secret)).count()
    };
    assert_eq!(found(), 4);
    home.open().revoke("web", None).expect("revoke");
    assert_eq!(found(), 0);
}
