//! Backups taken in use, restored to either store; what was taken away since does not come back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::crypto::ClientId;
use crate::keys::request::Request;
use crate::keys::service::GetState;
use crate::keyserver::store::backup::{Act, restore};
use crate::keyserver::tests::kinds::{Kind, Postgres, Sqlite};

use super::*;

/// Places for a restored store: beside the old one, so that the root key is there.
fn targets(home: &Home, name: &str) -> [StoreSpec; 2] {
    let file = StoreSpec::Sqlite(home.path().join("store").join(name));
    [file, Postgres::new().spec(&home.path())]
}

fn engine_at(home: &Home, spec: &StoreSpec, secret: &Secret) -> Engine {
    Engine::open_with(spec, &home.root_key(), secret.parts().1).expect("open")
}

fn state(engine: &Engine, secret: &Secret) -> Result<crate::keys::service::State, KeysError> {
    engine.state(&Request::sign(engine.service_id(), &secret.parts().0, GetState {})?)
}

#[tokio::test]
async fn a_restored_store_of_either_kind_opens_what_was_sealed() {
    let home = Home::new();
    let secret = home.application();
    home.open().create_keyset("tenant").expect("keyset");
    home.open().sign_type("a definition", TYPE).expect("sign");
    let envelope = encrypt(&home.ring(&secret).await.expect("ring"), "text").await.expect("encrypt");
    let file = home.path().join("backup");
    let made = home.service().backup(&file).expect("backup");
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let before = home.open().export().expect("export");
    for spec in targets(&home, "restored.db") {
        let restored = restore(&file, &spec, None).expect("restore");
        assert_eq!((restored.rows, &restored.header), (made.rows, &made.header));
        let engine = engine_at(&home, &spec, &secret);
        assert_eq!((state(&engine, &secret).err(), engine.sealed()), (Some(KeysError::Sealed), Ok(true)));
        let workspace = Workspace::open_with(&home.path(), &spec, &home.root_key()).expect("open");
        assert_eq!(workspace.export().err(), Some(KeysError::Sealed));
        let stranger = engine.unseal(secret.parts().0.client_id());
        assert!(matches!(stranger, Err(KeysError::NotAdmin { .. })));
        assert!(workspace.unseal().expect("unseal"));
        assert!(!workspace.unseal().expect("again"));
        let after = workspace.export().expect("export");
        assert_eq!((&after.clients, &after.keysets, &after.types), (&before.clients, &before.keysets, &before.types));
        assert!(after.generation > before.generation && after.revision > before.revision);
        let actions = workspace.audit_tail(2).expect("tail").into_iter().map(|line| line.action).collect::<Vec<_>>();
        assert_eq!(actions, ["store.restore", "store.unseal"]);
        workspace.audit_verify().expect("whole");
        let (key, root) = secret.parts();
        let service = Arc::new(engine_at(&home, &spec, &secret));
        let ring = Ring::start(&home.settings(), Arc::new(key), root, service).await.expect("start");
        assert_eq!(decrypt(&ring, &envelope).await, Ok("text".to_owned()));
    }
}

#[test]
fn a_damaged_backup_is_refused_and_nothing_is_made() {
    let home = Home::new();
    home.application();
    let file = home.path().join("backup");
    home.service().backup(&file).expect("backup");
    let whole = fs::read(&file).expect("read");
    let target = home.path().join("new").join("restored.db");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(&file, bytes).expect("write");
        let error = restore(&file, &StoreSpec::Sqlite(target.clone()), None).err();
        assert!(
            matches!(error, Some(KeysError::StoreCorrupt { .. } | KeysError::StoreNewer { .. })),
            "{what}: {error:?}"
        );
        assert!(!target.exists(), "{what}");
    };
    for end in (0..whole.len()).step_by(whole.len() / 50).chain([whole.len() - 1]) {
        refused(&whole[..end], &format!("cut at {end}"));
    }
    for at in (0..whole.len()).step_by(whole.len() / 200) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        refused(&bytes, &format!("byte {at}"));
    }
    refused(&[whole.as_slice(), b"\n"].concat(), "a line more");
    refused(&[whole.as_slice(), whole.as_slice()].concat(), "twice");
    let lines = whole.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>();
    for gone in 0..lines.len() {
        let rest = lines.iter().enumerate().filter(|(at, _)| *at != gone).flat_map(|(_, line)| line.to_vec());
        refused(&rest.collect::<Vec<_>>(), &format!("without line {gone}"));
    }
    fs::write(&file, &whole).expect("write");
    restore(&file, &StoreSpec::Sqlite(target), None).expect("whole again");
}

#[test]
fn nothing_is_overwritten() {
    let home = Home::new();
    let file = home.path().join("backup");
    home.service().backup(&file).expect("backup");
    let whole = fs::read(&file).expect("read");
    assert!(matches!(home.service().backup(&file), Err(KeysError::Exists { .. })));
    let before = home.open().export().expect("export");
    assert!(matches!(restore(&file, &home.spec(), None), Err(KeysError::Exists { .. })));
    assert_eq!((home.open().export().expect("export"), fs::read(&file).expect("read")), (before, whole));
    let nowhere = home.path().join("no-folder").join("backup");
    assert!(matches!(home.service().backup(&nowhere), Err(KeysError::File { .. })));
    let here = fs::read_dir(home.path()).expect("list").map(|entry| entry.expect("entry").file_name());
    assert!(here.into_iter().all(|name| !name.to_string_lossy().contains("partial")));
}

fn write_lines(engine: &Engine, after: u64, to: &Path) -> Vec<Act> {
    let all = engine.export_revocations(after).expect("export");
    let lines = all.iter().map(|one| serde_json::to_string(one).expect("json") + "\n").collect::<String>();
    fs::write(to, lines).expect("write");
    all.into_iter().map(|one| one.act).collect()
}

#[test]
fn what_was_taken_away_since_does_not_come_back() {
    let home = Home::new();
    let workspace = home.open();
    workspace.create_keyset("tenant").expect("keyset");
    let both = ["default", "tenant"];
    let [web, api, old, ci] =
        ["web", "api", "old", "ci"].map(|name| home.client(name, &both, Permissions::APPLICATION));
    // Taken away before the backup and given again: that counts.
    workspace.revoke("ci", None).expect("revoke");
    workspace.grant("ci", "default", Permissions::APPLICATION, None).expect("grant");
    let file = home.path().join("backup");
    let made = home.service().backup(&file).expect("backup");
    workspace.revoke("web", Some("default")).expect("revoke");
    workspace.set_client_enabled("api", false).expect("disable");
    workspace.delete_client("old").expect("delete");
    workspace.set_keyset_enabled("tenant", false).expect("disable");
    let since = home.path().join("revocations");
    write_lines(&home.service(), 0, &since);
    let later = home.service().export_revocations(made.header.changes).expect("export");
    let acts = later.iter().map(|one| one.act).collect::<Vec<_>>();
    assert_eq!(
        acts,
        [Act::Revoke, Act::DisableClient, Act::Revoke, Act::Revoke, Act::DeleteClient, Act::DisableKeyset]
    );
    assert_eq!(later[0].client, Some(web.parts().0.client_id()));
    for spec in targets(&home, "restored.db") {
        assert_eq!(restore(&file, &spec, Some(&since)).expect("restore").revocations, 6);
        Workspace::open_with(&home.path(), &spec, &home.root_key()).expect("open").unseal().expect("unseal");
        let engine = engine_at(&home, &spec, &web);
        let held = |secret: &Secret| {
            let granted = state(&engine, secret)?.granted;
            Ok::<_, KeysError>(granted.into_iter().map(|one| (one.name, one.enabled)).collect::<Vec<_>>())
        };
        assert_eq!(held(&web), Ok(vec![("tenant".to_owned(), false)]));
        assert_eq!(held(&ci), Ok(vec![("default".to_owned(), true)]));
        assert_eq!(held(&api), Err(KeysError::ClientDisabled { client: "api".into() }));
        assert!(matches!(held(&old), Err(KeysError::ClientUnknown { .. })));
        assert_eq!(state(&engine, &web).expect("state").revoked.len(), 1);
    }
}

fn open_at(home: &Home, spec: &StoreSpec) -> Workspace {
    Workspace::open_with(&home.path(), spec, &home.root_key()).expect("open")
}

#[test]
fn a_backup_restored_twice_makes_two_histories() {
    let home = Home::new();
    let file = home.path().join("backup");
    home.service().backup(&file).expect("backup");
    // What the store does before it is lost.
    let lost = ["one", "two", "three"].map(|name| home.open().create_keyset(name).expect("keyset").kref);
    let mut seen = vec![(home.open().export().expect("export").generation, lost.to_vec())];
    for spec in targets(&home, "first.db").into_iter().chain(targets(&home, "second.db")) {
        restore(&file, &spec, None).expect("restore");
        let workspace = open_at(&home, &spec);
        workspace.unseal().expect("unseal");
        let krefs = ["one", "two", "three"].map(|name| workspace.create_keyset(name).expect("keyset").kref);
        let generation = workspace.export().expect("export").generation;
        for (before, given) in &seen {
            assert!(generation > *before, "{generation} after {before}");
            assert!(!krefs.iter().any(|kref| given.contains(kref)), "{krefs:?} after {given:?}");
        }
        seen.push((generation, krefs.to_vec()));
    }
    // A backup of a restored store is restored as well, however often: numbers do not run out.
    let (mut spec, mut last) = (StoreSpec::Sqlite(home.path().join("store").join("first.db")), 0);
    for round in 0..20 {
        let file = home.path().join(format!("again{round}"));
        crate::keyserver::store::backup::backup(&*spec.open().expect("open"), &file).expect("backup");
        spec = StoreSpec::Sqlite(home.path().join("store").join(format!("again{round}.db")));
        restore(&file, &spec, None).expect("restore");
        open_at(&home, &spec).unseal().expect("unseal");
        let kref = open_at(&home, &spec).create_keyset(&format!("again{round}")).expect("keyset").kref;
        assert!(kref > last);
        last = kref;
    }
}

#[tokio::test]
async fn a_shredded_epoch_does_not_come_back() {
    let home = Home::new();
    let workspace = home.open();
    let secret = home.application();
    let old = encrypt(&home.ring(&secret).await.expect("ring"), "old").await.expect("encrypt");
    let before = home.path().join("before");
    home.service().backup(&before).expect("backup");
    workspace.rotate_keyset("default", &|_, _| {}).expect("rotate");
    let new = encrypt(&home.ring(&secret).await.expect("ring"), "new").await.expect("encrypt");
    let between = home.path().join("between");
    home.service().backup(&between).expect("backup");
    workspace.drop_epoch("default", 1).expect("drop");
    let since = home.path().join("revocations");
    assert!(write_lines(&home.service(), 0, &since).contains(&Act::DropEpochs));
    for (file, has_new) in [(&between, true), (&before, false)] {
        for spec in targets(&home, if has_new { "between.db" } else { "before.db" }) {
            restore(file, &spec, Some(&since)).expect("restore");
            let workspace = open_at(&home, &spec);
            workspace.unseal().expect("unseal");
            let ring = async || {
                let (key, root) = secret.parts();
                Ring::start(&home.settings(), Arc::new(key), root, Arc::new(engine_at(&home, &spec, &secret))).await
            };
            let running = ring().await.expect("start");
            let dropped = decrypt(&running, &old).await;
            assert!(matches!(dropped, Err(KeysError::EpochDropped { .. })), "{dropped:?}");
            assert_eq!(decrypt(&running, &new).await.is_ok(), has_new);
            // What was made after the backup is lost, but the keyset goes on.
            let info = workspace.rotate_keyset("default", &|_, _| {}).expect("rotate");
            assert_eq!((info.data_epoch, info.oldest_epoch), (3, 2));
            let running = ring().await.expect("start");
            let newest = encrypt(&running, "newest").await.expect("encrypt");
            assert_eq!(decrypt(&running, &newest).await, Ok("newest".to_owned()));
        }
    }
}

#[test]
fn what_was_shortened_or_narrowed_since_does_not_come_back() {
    let home = Home::new();
    let workspace = home.open();
    workspace.create_keyset("tenant").expect("keyset");
    let both = ["default", "tenant"];
    let names = ["web", "api", "ci", "batch"];
    let [web, api, ci, batch] = names.map(|name| home.client(name, &both, Permissions::APPLICATION));
    let second = home.client("second", &[], Permissions::APPLICATION);
    let kit = home.path().join("recovery-kit.txt");
    workspace.add_admin("second", &kit).expect("admin");
    let file = home.path().join("backup");
    home.service().backup(&file).expect("backup");
    // The same or more is no revocation.
    workspace.grant("web", "default", Permissions::APPLICATION, None).expect("grant");
    workspace.grant("api", "default", Permissions::DECRYPT, None).expect("grant");
    workspace.grant("ci", "tenant", Permissions::APPLICATION, Some(Duration::from_secs(3600))).expect("grant");
    workspace.rotate_client("batch", Duration::from_secs(3600), None).expect("rotate");
    workspace.remove_admin("second", &kit).expect("remove");
    let since = home.path().join("revocations");
    let acts = write_lines(&home.service(), 0, &since);
    assert_eq!(acts, [Act::NarrowGrant, Act::NarrowGrant, Act::EndClient, Act::RemoveAdmin]);
    for spec in targets(&home, "restored.db") {
        assert_eq!(restore(&file, &spec, Some(&since)).expect("restore").revocations, 4);
        let workspace = open_at(&home, &spec);
        workspace.unseal().expect("unseal");
        let engine = engine_at(&home, &spec, &web);
        let held = |secret: &Secret| {
            let granted = state(&engine, secret)?.granted;
            Ok::<_, KeysError>(granted.into_iter().map(|one| one.name).collect::<Vec<_>>())
        };
        assert_eq!(held(&web), Ok(vec!["default".to_owned(), "tenant".to_owned()]));
        assert_eq!(held(&api), Ok(vec!["tenant".to_owned()]));
        assert_eq!(held(&ci), Ok(vec!["default".to_owned()]));
        assert_eq!(held(&second), Err(KeysError::ClientDisabled { client: "second".into() }));
        assert!(held(&batch).is_ok(), "until the overlap ends");
        assert!(workspace.client(&batch.id()).expect("client").expires.is_some());
        workspace.grant("api", "default", Permissions::DECRYPT, None).expect("given again");
        assert_eq!(held(&api).map(|all| all.len()), Ok(2));
    }
}

#[test]
fn the_last_who_can_grant_is_disabled_rather_than_lost() {
    let home = Home::new();
    let file = home.path().join("backup");
    home.service().backup(&file).expect("backup");
    let since = home.path().join("revocations");
    let device = home.open().device();
    fs::write(&since, format!(r#"{{"act":"grant.revoke","client":"{device}","time_ms":1,"sequence":9000}}"#))
        .expect("write");
    let spec = StoreSpec::Sqlite(home.path().join("store").join("restored.db"));
    restore(&file, &spec, Some(&since)).expect("restore");
    let workspace = open_at(&home, &spec);
    workspace.unseal().expect("unseal");
    assert!(matches!(workspace.export(), Err(KeysError::ClientDisabled { .. })));
    let Ok(connection) = rusqlite::Connection::open(spec.path().expect("a file")) else { panic!("open") };
    let left = connection.query_row("SELECT count(*) FROM shares", [], |row| row.get::<_, i64>(0)).expect("count");
    assert!(left > 0);
}

#[test]
fn a_bad_file_of_revocations_makes_no_store() {
    let home = Home::new();
    let file = home.path().join("backup");
    home.service().backup(&file).expect("backup");
    let (since, target) = (home.path().join("revocations"), home.path().join("restored.db"));
    let id = ClientId([1; 16]);
    for bad in [
        "x".to_owned(),
        "{}".to_owned(),
        r#"{"act":"grant.give","client":null,"time_ms":1,"sequence":9}"#.to_owned(),
        format!(r#"{{"act":"grant.revoke","client":"{id}","time_ms":1}}"#),
        format!(r#"{{"act":"grant.revoke","client":"{id}","time_ms":1,"sequence":9,"more":1}}"#),
        r#"{"act":"grant.revoke","client":"1","time_ms":1,"sequence":9}"#.to_owned(),
    ] {
        fs::write(&since, &bad).expect("write");
        let error = restore(&file, &StoreSpec::Sqlite(target.clone()), Some(&since));
        assert!(matches!(error, Err(KeysError::File { .. })), "{bad}: {error:?}");
        assert!(!target.exists());
    }
    // One that names nobody is found when it is applied: the store stays empty, and can be filled again.
    let keyset = "01234567-89ab-cdef-0123-456789abcdef";
    for bad in [
        r#"{"act":"grant.revoke","time_ms":1,"sequence":9000}"#.to_owned(),
        format!(r#"{{"act":"grant.narrow","client":"{id}","time_ms":1,"sequence":9000}}"#),
        r#"{"act":"keyset.disable","time_ms":1,"sequence":9000}"#.to_owned(),
        format!(r#"{{"act":"keyset.drop_epoch","keyset":"{keyset}","time_ms":1,"sequence":9000}}"#),
        r#"{"act":"admin.remove","time_ms":1,"sequence":9000}"#.to_owned(),
    ] {
        fs::write(&since, &bad).expect("write");
        let error = restore(&file, &StoreSpec::Sqlite(target.clone()), Some(&since));
        assert!(matches!(error, Err(KeysError::Invalid { .. })), "{bad}: {error:?}");
    }
    restore(&file, &StoreSpec::Sqlite(target), None).expect("restore");
}

#[test]
fn a_backup_under_changes_is_of_one_moment() {
    let home = Home::new();
    let changes = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if !changes.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                home.client(&format!("c{number}"), &["default"], Permissions::APPLICATION);
            }
        });
        for number in 0..5 {
            let file = home.path().join(format!("backup{number}"));
            home.service().backup(&file).expect("backup");
            let spec = StoreSpec::Sqlite(
                Sqlite.spec(&home.path()).path().expect("a path").with_file_name(format!("r{number}.db")),
            );
            restore(&file, &spec, None).expect("restore");
            let workspace = Workspace::open_with(&home.path(), &spec, &home.root_key()).expect("open");
            workspace.unseal().expect("unseal");
            let export = workspace.export().expect("every grant has its client");
            assert!(export.clients.iter().all(|client| client.grants.len() == 1), "no client without its grant");
            workspace.audit_verify().expect("whole");
        }
        changes.store(false, std::sync::atomic::Ordering::Relaxed);
    });
}
