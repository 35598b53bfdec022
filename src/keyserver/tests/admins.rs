//! The set of admins: the recovery kit at work, and what is refused. The last test is a drill.

use crate::crypto::root::{RECOVERY_PREFIX, RootKey};
use crate::keys::admin::{Act, Again, Change, SetAdmins};
use crate::keys::claims::{AdminSet, RootSigned};
use crate::keys::request::Request;
use crate::keyserver::workspace::InitOptions;
use tempfile::TempDir;

use super::*;

fn kit(home: &Home) -> PathBuf {
    home.options().recovery_file
}

fn root(home: &Home) -> RootKey {
    let text = std::fs::read_to_string(kit(home)).expect("kit");
    let line = text.lines().find(|line| line.starts_with(RECOVERY_PREFIX)).expect("a line");
    RootKey::from_recovery(line).expect("a root")
}

/// A home of its own with a key that was made in the first one, on the same store.
fn desk(home: &Home, secret: &Secret) -> (TempDir, Workspace) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let device = folder.path().join("device");
    std::fs::create_dir(&device).expect("folder");
    let file = device.join("client.key");
    std::fs::write(&file, &secret.0).expect("write");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("mode");
    let workspace = Workspace::open_with(folder.path(), &home.spec(), &home.root_key()).expect("open");
    (folder, workspace)
}

fn device(home: &Home, name: &str) -> Secret {
    let new = NewClient::named(name, ClientKind::Device);
    Secret(home.open().create_client(&new).expect("create").secret.expose_secret().to_owned())
}

fn admin_secret(home: &Home) -> Secret {
    Secret(std::fs::read_to_string(home.path().join("device/client.key")).expect("key").trim().to_owned())
}

#[tokio::test]
async fn admins_come_and_go_and_everything_goes_on() {
    let home = Home::new();
    let web = home.application();
    let sealed = encrypt(&home.ring(&web).await.expect("ring"), "value").await.expect("encrypt");
    home.open().sign_type("text eq", TYPE).expect("sign");
    let (bob, first) = (device(&home, "bob"), home.open());
    let (_folder, second) = desk(&home, &bob);
    assert!(matches!(second.clients(), Err(KeysError::NotAdmin { .. })));
    let info = first.add_admin("bob", &kit(&home)).expect("add");
    assert_eq!((info.version, info.admins.len(), info.orphans.len()), (2, 2, 0));
    // A new admin grants what it was given the right to grant.
    let denied = second.grant("web", "default", Permissions::DECRYPT, None);
    assert!(matches!(denied, Err(KeysError::NoGrant { .. })), "{denied:?}");
    first.grant("bob", "default", Permissions::GRANT, None).expect("grant");
    second.grant("web", "default", Permissions::APPLICATION, None).expect("grant");
    second.create_keyset("bobs").expect("keyset");
    // It takes the first one's place; all that the first one signed goes on under the second one's name.
    let live = home.ring(&web).await.expect("ring");
    let info = second.remove_admin("laptop", &kit(&home)).expect("remove");
    assert_eq!((info.version, info.admins[0].name.as_str(), info.admins.len()), (3, "bob", 1));
    assert_eq!(info.admins[0].grants, ["bobs", "default"]);
    for ring in [live, home.ring(&web).await.expect("ring")] {
        assert_eq!(decrypt(&ring, &sealed).await.expect("decrypt"), "value");
    }
    assert_eq!(second.types().expect("types").len(), 1);
    assert_eq!(second.client("laptop").expect("client").grants.len(), 0, "what only admins may have is gone");
    assert!(matches!(first.clients(), Err(KeysError::NotAdmin { .. })));
    second.audit_verify().expect("whole");
    // What the first one signs now is not taken.
    let key = admin_secret(&home).parts().0;
    let engine = home.engine(&web);
    let act = Act::Revoke { client: bob.parts().0.client_id(), keyset: None };
    let body = Change { expected: engine.revision().expect("revision"), act };
    let refused = engine.act(&Request::sign(engine.service_id(), &key, body).expect("sign"));
    assert!(matches!(refused, Err(KeysError::NotAdmin { .. })));
}

#[test]
fn changes_that_would_lock_everybody_out_are_refused() {
    let home = Home::new();
    let (first, kit) = (home.open(), kit(&home));
    device(&home, "bob");
    home.application();
    first.create_keyset("live").expect("keyset");
    assert!(matches!(first.remove_admin("laptop", &kit), Err(KeysError::Invalid { .. })), "itself");
    assert!(matches!(first.remove_admin("web", &kit), Err(KeysError::NotAdmin { .. })));
    assert!(matches!(first.add_admin("laptop", &kit), Err(KeysError::Exists { .. })));
    assert!(matches!(first.add_admin("nobody", &kit), Err(KeysError::ClientUnknown { .. })));
    first.set_client_enabled("bob", false).expect("disable");
    assert!(matches!(first.add_admin("bob", &kit), Err(KeysError::ClientDisabled { .. })));
    first.set_client_enabled("bob", true).expect("enable");
    let soon = crate::keyserver::workspace::ClientUpdate {
        expires: Some(Some(Duration::from_secs(60))),
        ..crate::keyserver::workspace::ClientUpdate::default()
    };
    first.update_client("bob", &soon).expect("expire");
    assert!(matches!(first.add_admin("bob", &kit), Err(KeysError::Invalid { .. })), "an admin's key does not end");
    assert_eq!(first.admins().expect("admins").version, 1);
    // The only one who can grant a keyset stays, and an admin is not deleted.
    let carol = device(&home, "carol");
    first.add_admin("carol", &kit).expect("add");
    let (_folder, second) = desk(&home, &carol);
    let refused = second.remove_admin("laptop", &kit).expect_err("refused").to_string();
    assert!(refused.contains("default") || refused.contains("live"), "{refused}");
    assert!(matches!(second.delete_client("laptop"), Err(KeysError::Invalid { .. })));
    assert_eq!(second.admins().expect("admins").version, 2);
}

#[test]
fn the_kit_must_be_this_workspaces_and_private() {
    let (home, other) = (Home::new(), Home::new());
    device(&home, "bob");
    let workspace = home.open();
    assert!(matches!(workspace.add_admin("bob", &kit(&other)), Err(KeysError::OtherWorkspace { .. })));
    let missing = home.path().join("nowhere");
    assert!(matches!(workspace.add_admin("bob", &missing), Err(KeysError::File { .. })));
    for bad in ["", "no kit at all", "csroot1_AAAA"] {
        let file = home.path().join("bad.txt");
        std::fs::write(&file, bad).expect("write");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
        let refused = workspace.add_admin("bob", &file);
        assert!(matches!(refused, Err(KeysError::File { .. })), "{bad:?} {refused:?}");
    }
    std::fs::set_permissions(kit(&home), std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("mode");
    assert!(matches!(workspace.add_admin("bob", &kit(&home)), Err(KeysError::FileMode { .. })));
    assert_eq!(workspace.admins().expect("admins").version, 1);
}

#[test]
fn sets_that_the_root_did_not_sign_or_that_leave_something_behind_are_refused() {
    let home = Home::new();
    let bob = device(&home, "bob");
    home.application();
    let (mine, engine) = (admin_secret(&home), home.engine(&bob));
    let both = || vec![mine.parts().0.public().clone(), bob.parts().0.public().clone()];
    let set = |version, admins, root: &RootKey, sender: &Secret| {
        let set = RootSigned::new(&AdminSet { version, admins }, root);
        let expected = engine.revision().expect("revision");
        let body = SetAdmins { expected, set, record: None, again: Again::default(), lost: false };
        engine.set_admins(&Request::sign(engine.service_id(), &sender.parts().0, body).expect("sign"))
    };
    let (good, evil) = (root(&home), RootKey::generate().expect("root"));
    assert!(matches!(set(2, both(), &evil, &mine), Err(KeysError::Invalid { .. })), "another root");
    assert!(matches!(set(1, both(), &good, &mine), Err(KeysError::Conflict)), "the same version");
    assert!(matches!(set(3, both(), &good, &mine), Err(KeysError::Conflict)), "one is left out");
    assert!(matches!(set(2, Vec::new(), &good, &mine), Err(KeysError::NotAdmin { .. })));
    let twice = vec![mine.parts().0.public().clone(), mine.parts().0.public().clone()];
    assert!(matches!(set(2, twice, &good, &mine), Err(KeysError::Invalid { .. })));
    let only_bob = vec![bob.parts().0.public().clone()];
    assert!(matches!(set(2, only_bob.clone(), &good, &mine), Err(KeysError::NotAdmin { .. })), "who asks is not in it");
    assert!(matches!(set(2, only_bob, &good, &bob), Err(KeysError::Conflict)), "nothing is signed again");
    let stranger = vec![mine.parts().0.public().clone(), ClientKey::generate().expect("key").public().clone()];
    assert!(matches!(set(2, stranger, &good, &mine), Err(KeysError::ClientUnknown { .. })));
    assert_eq!(home.open().admins().expect("admins").version, 1);
    assert_eq!(set(2, both(), &good, &mine), Ok(()));
    assert_eq!(home.open().admins().expect("admins").version, 2);
}

#[test]
fn an_older_admin_set_that_is_put_back_is_noticed() {
    let home = Home::new();
    let bob = device(&home, "bob");
    home.open().add_admin("bob", &kit(&home)).expect("add");
    home.open().grant("bob", "default", Permissions::GRANT, None).expect("grant");
    home.sql("DELETE FROM admin_sets WHERE version = 2");
    assert!(matches!(home.open().clients(), Err(KeysError::Tampered { .. })));
    drop(bob);
}

#[tokio::test]
async fn drill_every_device_is_lost() {
    let home = Home::new();
    let web = home.application();
    home.open().create_keyset("live").expect("keyset");
    home.open().grant("web", "live", Permissions::APPLICATION, None).expect("grant");
    home.open().sign_type("text eq", TYPE).expect("sign");
    let sealed = encrypt(&home.ring(&web).await.expect("ring"), "value").await.expect("encrypt");
    let lost = admin_secret(&home);

    // The laptop is gone. A new one, the store and the kit are what is left.
    let fresh = tempfile::tempdir().expect("a temporary folder");
    let options = InitOptions { home: fresh.path().join("home"), device_name: "laptop".into(), ..home.options() };
    let foreign = Home::new();
    assert!(matches!(Workspace::recover(&options, &kit(&foreign)), Err(KeysError::OtherWorkspace { .. })));
    assert!(!options.home.join("device/client.key").exists());
    let report = Workspace::recover(&options, &kit(&home)).expect("recover");
    assert_eq!((report.dismissed, report.version), (vec!["laptop".to_owned()], 3));
    assert_eq!(report.orphans, ["default", "live"], "no share of the lost device is left");
    // Twice changes nothing more.
    let again = Workspace::recover(&options, &kit(&home)).expect("recover");
    assert_eq!((again.version, again.dismissed.len(), again.device), (3, 0, report.device.clone()));

    // Applications go on, running ones and new ones.
    let ring = home.ring(&web).await.expect("ring");
    assert_eq!(decrypt(&ring, &sealed).await.expect("decrypt"), "value");
    encrypt(&ring, "more").await.expect("encrypt");
    let workspace = Workspace::open_with(&options.home, &options.store, &options.root_key).expect("open");
    assert_eq!(workspace.admins().expect("admins").admins.len(), 1);
    assert_eq!(workspace.types().expect("types").len(), 1);
    // What cannot be granted any more is said; everything else works.
    let refused = workspace.grant("web", "default", Permissions::DECRYPT, None);
    assert!(matches!(refused, Err(KeysError::NoGrant { .. })));
    workspace.create_keyset("next").expect("keyset");
    workspace.grant("web", "next", Permissions::APPLICATION, None).expect("grant");
    workspace.revoke("web", Some("live")).expect("revoke");
    workspace.rename_client("web", "shop").expect("rename");

    // Whoever finds the laptop has nothing.
    let (_folder, old) = desk(&home, &lost);
    assert!(matches!(old.clients(), Err(KeysError::ClientDisabled { .. })));
    assert!(home.ring(&lost).await.is_err());

    // Found again by its owner: enabled, an admin once more, its keysets can be granted from it.
    workspace.set_client_enabled(&lost.id(), true).expect("enable");
    workspace.add_admin(&lost.id(), &kit(&home)).expect("add");
    old.grant(&workspace.device().to_string(), "default", Permissions::GRANT, None).expect("grant");
    workspace.remove_admin(&lost.id(), &kit(&home)).expect_err("it alone can grant keyset live");
    old.grant(&workspace.device().to_string(), "live", Permissions::GRANT, None).expect("grant");
    let info = workspace.remove_admin(&lost.id(), &kit(&home)).expect("remove");
    assert_eq!((info.version, info.orphans.len()), (5, 0));
    let ring = home.ring(&web).await.expect("ring");
    assert_eq!(decrypt(&ring, &sealed).await.expect("decrypt"), "value");
    workspace.audit_verify().expect("whole");
}
