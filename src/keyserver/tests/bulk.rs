//! Many keysets at once.

use super::super::super::workspace::GRANTS;
use super::*;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

#[test]
fn names_are_looked_at_before_the_first_keyset_is_made() {
    let home = Home::new();
    let workspace = home.open();
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for bad in [&["a", "b", "a"][..], &["a", ""], &["a", "default"], &["a", "x\ny"]] {
        assert!(workspace.create_keysets(&strings(bad), false).is_err(), "{bad:?}");
        assert_eq!(workspace.keysets().expect("keysets").len(), 1, "{bad:?}");
    }
    workspace.create_keysets(&[], false).expect("none");
    workspace.create_keysets(&strings(&["a", "b"]), true).expect("two");
    assert!(workspace.keyset("b").expect("made").development);
    home.client("web", &[], Permissions::APPLICATION);
    let unknown = workspace.grant_all("web", &strings(&["a", "c"]), Permissions::APPLICATION, None);
    assert_eq!(unknown.err(), Some(KeysError::UnknownKeyset { keyset: "c".into() }));
    assert_eq!(workspace.client("web").expect("web").grants, [], "all or nothing");
    assert!(workspace.grant_all("api", &strings(&["a"]), Permissions::APPLICATION, None).is_err());
    let twice = workspace.grant_all("web", &strings(&["a", "b", "a"]), Permissions::APPLICATION, None).expect("grants");
    assert_eq!(twice.len(), 2, "each once");
}

#[tokio::test]
async fn more_grants_than_fit_in_a_request_while_another_admin_is_at_work() {
    let home = Home::new();
    let secret = home.client("web", &[], Permissions::APPLICATION);
    let names = names("tenant-", GRANTS + 20);
    home.open().create_keysets(&names, false).expect("keysets");
    let granted = std::thread::scope(|scope| {
        let granting = scope.spawn(|| home.open().grant_all("web", &names, Permissions::APPLICATION, None));
        for number in 0..3 {
            let new = NewClient::named(&format!("other-{number}"), ClientKind::Application);
            home.open().create_client(&new).expect("another change");
        }
        granting.join().expect("no panic").expect("grants")
    });
    assert_eq!(granted.len(), names.len());
    assert!(granted.iter().zip(&names).all(|(grant, name)| grant.keyset_name == *name), "in the order asked for");
    assert_eq!(home.open().check_grants().expect("the list holds"), []);
    // Used where they are first used.
    let settings = Settings { keyset: Some("tenant-270".into()), ..home.settings() };
    let ring = home.ring_with(&secret, &settings).await.expect("start");
    assert_eq!(ring.keysets().len(), names.len());
    assert_eq!(decrypt(&ring, &encrypt(&ring, "text").await.expect("encrypt")).await.expect("decrypt"), "text");
    home.open().revoke("web", Some("tenant-270")).expect("revoke");
    until(|| ring.default_keyset().is_err()).await;
}
