//! A store of the first schema version opens, and its audit trail goes on.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::super::workspace::{Workspace, device_path};
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;

const V1: &str = include_str!("fixtures/v1.sql");

fn secret(path: &Path, label: &str) {
    let text = V1.lines().find_map(|line| line.split_once(label)).expect("the fixture names it").1;
    fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).expect("file");
    std::io::Write::write_all(&mut file, text.trim().as_bytes()).expect("write");
}

/// A home with the fixture's store, after `damage`.
fn home(damage: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = folder.path().join("store").join("keystore.db");
    secret(&store.with_file_name("root.key"), "root.key: ");
    secret(&device_path(folder.path()), "device key: ");
    let connection = rusqlite::Connection::open(&store).expect("open");
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {V1}; {damage}")).expect("the fixture is SQL");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).expect("chmod");
    (folder, store)
}

#[test]
fn a_store_of_version_1_goes_on() {
    let (folder, store) = home("");
    let workspace = Workspace::open(folder.path(), &store).expect("open");
    assert_eq!(workspace.audit_verify(), Ok(8));
    let lines = workspace.audit_tail(8).expect("tail");
    assert_eq!((lines[0].action.as_str(), lines[7].action.as_str()), ("workspace.create", "client.disable"));
    let web = workspace.client("web").expect("client");
    assert_eq!((web.status, web.grants.len()), ("disabled", 1));
    workspace.set_client_enabled("web", true).expect("enable");
    workspace.grant("web", "tenant", Permissions::APPLICATION, None).expect("the shares still open");
    assert_eq!(Workspace::open(folder.path(), &store).expect("again").audit_verify(), Ok(10));
}

#[test]
fn what_was_altered_before_is_found_after() {
    for damage in [
        "UPDATE audit SET detail = 'nothing' WHERE sequence = 3",
        "DELETE FROM audit WHERE sequence = 4",
        "DELETE FROM audit WHERE sequence = 8",
        "DELETE FROM audit",
        "UPDATE workspace SET audit_sequence = 7",
    ] {
        let (folder, store) = home(damage);
        let workspace = Workspace::open(folder.path(), &store).expect("open");
        assert!(matches!(workspace.audit_verify(), Err(KeysError::Tampered { .. })), "{damage}");
    }
}

#[test]
fn several_processes_may_find_the_old_schema() {
    let (folder, store) = home("");
    std::thread::scope(|scope| {
        let opens = (0..4).map(|_| scope.spawn(|| Workspace::open(folder.path(), &store).map(drop)));
        let opens = opens.collect::<Vec<_>>();
        assert!(opens.into_iter().all(|open| open.join().expect("no panic").is_ok()));
    });
    assert_eq!(Workspace::open(folder.path(), &store).expect("open").audit_verify(), Ok(8));
}
