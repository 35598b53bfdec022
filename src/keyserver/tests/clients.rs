//! Kinds of keys, what is said of clients, lists, rotation, keys made elsewhere, and who saw whom.

use crate::crypto::client_request::ClientRequest;
use crate::keys::admin::{PutClient, RotateClient};
use crate::keys::claims::{ClientRecord, Signed};
use crate::keys::clock::wall_ms;
use crate::keys::request::{Origin, Request};
use crate::keys::service::GetState;

use crate::keyserver::Policy;
use crate::keyserver::workspace::{ClientFilter, ClientOrder, ClientUpdate, InitOptions, RequestedClient};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn device(home: &Home, name: &str, keysets: &[&str]) -> Result<Secret, KeysError> {
    let keysets = keysets.iter().map(|name| (*name).to_owned()).collect();
    let new = NewClient { keysets, ..NewClient::named(name, ClientKind::Device) };
    Ok(Secret(home.open().create_client(&new)?.secret.expose_secret().to_owned()))
}

fn state(engine: &Engine, secret: &Secret) -> Result<(), KeysError> {
    engine.state(&Request::sign(engine.service_id(), &secret.parts().0, GetState {}).expect("sign")).map(drop)
}

#[test]
fn device_keys_get_development_keysets_only() {
    let home = Home::new();
    let workspace = home.open();
    workspace.create_keyset("live").expect("keyset");
    assert!(workspace.create_keyset_for("test", true).expect("keyset").development);
    device(&home, "alice", &["default", "test"]).expect("both are for development");
    assert!(matches!(device(&home, "bob", &["live"]), Err(KeysError::Policy { .. })));
    assert!(matches!(workspace.client("bob"), Err(KeysError::ClientUnknown { .. })), "nothing is half done");
    let given = workspace.grant("alice", "live", Permissions::DECRYPT, None);
    assert!(matches!(given, Err(KeysError::Policy { .. })));
    let given = workspace.grant("alice", "test", Permissions::GRANT, None);
    assert_eq!(given.err(), Some(KeysError::NotAdmin { client: "alice".into() }));
    assert!(workspace.grant("laptop", "live", Permissions::ALL, None).is_ok(), "an admin's device may");
    assert!(workspace.rename_keyset("test", "trial").expect("rename").development);
}

#[test]
fn a_production_service_takes_no_device_keys_but_those_of_admins() {
    let home = Home::new();
    let (dev, web) = (device(&home, "alice", &["default"]).expect("device"), home.application());
    let open = home.engine(&dev);
    let closed = open.clone().under(Policy { devices: false });
    assert_eq!((state(&open, &dev), state(&closed, &web)), (Ok(()), Ok(())));
    assert!(matches!(state(&closed, &dev), Err(KeysError::Policy { .. })));
    let workspace = home.open().under(Policy { devices: false });
    workspace.clients().expect("the admin's device goes on");
    let new = NewClient::named("bob", ClientKind::Device);
    assert!(matches!(workspace.create_client(&new), Err(KeysError::Policy { .. })));

    let home = Home::empty();
    Workspace::init(&InitOptions { devices: false, ..home.options() }).expect("init");
    assert!(!home.open().keyset("default").expect("keyset").development);
}

#[test]
fn what_is_said_of_a_client_can_be_changed() {
    let home = Home::new();
    let workspace = home.open();
    home.application();
    let update = ClientUpdate { owner: Some("shop team".into()), expires: Some(Some(DAY)), ..ClientUpdate::default() };
    let info = workspace.update_client("web", &update).expect("update");
    assert_eq!(info.owner.as_deref(), Some("shop team"));
    assert!(info.expires.is_some() && info.status == "active");
    let never = ClientUpdate { expires: Some(None), owner: Some(String::new()), ..ClientUpdate::default() };
    let info = workspace.update_client("web", &never).expect("update");
    assert_eq!((info.owner, info.expires, info.grants.len()), (None, None, 1));
    for bad in [" x", "a\nb", &"x".repeat(129)] {
        let update = ClientUpdate { owner: Some(bad.into()), ..ClientUpdate::default() };
        assert!(matches!(workspace.update_client("web", &update), Err(KeysError::Invalid { .. })), "{bad:?}");
    }
    let ends = ClientUpdate { expires: Some(Some(DAY)), ..ClientUpdate::default() };
    let refused = workspace.update_client("laptop", &ends);
    assert!(matches!(refused, Err(KeysError::Invalid { .. })), "an admin must not lock itself out");
}

#[test]
fn lists_are_chosen_and_sorted() {
    let home = Home::new();
    let workspace = home.open();
    let new = |name: &str, kind, keysets: &[&str], owner: &str, expires| {
        let keysets = keysets.iter().map(|name| (*name).to_owned()).collect();
        let new = NewClient { keysets, owner: owner.into(), expires, ..NewClient::named(name, kind) };
        Secret(workspace.create_client(&new).expect("create").secret.expose_secret().to_owned())
    };
    let zoo = new("zoo", ClientKind::Application, &["default"], "ops", Some(10 * DAY));
    new("api", ClientKind::Application, &[], "ops", Some(90 * DAY));
    new("pad", ClientKind::Device, &["default"], "ann", None);
    workspace.set_client_enabled("api", false).expect("disable");
    let names = |filter: ClientFilter, order| {
        let found = workspace.find_clients(&filter, order).expect("find");
        found.into_iter().map(|info| info.name).collect::<Vec<_>>()
    };
    let all = ClientFilter::default;
    assert_eq!(names(all(), ClientOrder::Name), ["api", "laptop", "pad", "zoo"]);
    assert_eq!(names(all(), ClientOrder::Created), ["laptop", "zoo", "api", "pad"]);
    assert_eq!(names(all(), ClientOrder::Expires)[..2], ["zoo", "api"]);
    assert_eq!(names(ClientFilter { kind: Some(ClientKind::Device), ..all() }, ClientOrder::Name), ["laptop", "pad"]);
    assert_eq!(names(ClientFilter { status: Some("disabled".into()), ..all() }, ClientOrder::Name), ["api"]);
    assert_eq!(
        names(ClientFilter { keyset: Some("default".into()), ..all() }, ClientOrder::Name),
        ["laptop", "pad", "zoo"]
    );
    assert_eq!(names(ClientFilter { owner: Some("ops".into()), ..all() }, ClientOrder::Name), ["api", "zoo"]);
    assert_eq!(names(ClientFilter { expiring: Some(30 * DAY), ..all() }, ClientOrder::Name), ["zoo"]);
    assert!(names(ClientFilter { unused: Some(DAY), ..all() }, ClientOrder::Name).is_empty());
    let unknown = workspace.find_clients(&ClientFilter { keyset: Some("x".into()), ..all() }, ClientOrder::Name);
    assert!(matches!(unknown, Err(KeysError::UnknownKeyset { .. })));

    // Not seen for ninety days: long ago, or never since it was made.
    home.sql("UPDATE seen SET time_ms = 0");
    drop(zoo);
    let unused = names(ClientFilter { unused: Some(90 * DAY), ..all() }, ClientOrder::Seen);
    assert_eq!(unused, ["laptop"], "the others were made just now");
}

#[test]
fn clients_are_noted_when_they_ask_and_rarely() {
    let home = Home::new();
    let secret = home.application();
    assert_eq!(home.open().client("web").expect("client").seen, None);
    let engine = home.engine(&secret);
    let ask = |engine: &Engine, address: &str| {
        let call =
            crate::keys::request::Call::sign(engine.service_id(), &secret.parts().0, &GetState {}).expect("sign");
        let origin = Origin { address: Some(address.into()), version: Some("0.1.0".into()) };
        engine.handle(call.path, call.auth, origin, &call.body).expect("state");
    };
    ask(&engine, "10.0.0.1");
    let seen = home.open().client("web").expect("client").seen.expect("seen");
    assert_eq!((seen.address.as_deref(), seen.version.as_deref()), (Some("10.0.0.1"), Some("0.1.0")));
    ask(&engine, "10.0.0.2");
    ask(&home.engine(&secret), "10.0.0.3");
    let again = home.open().client("web").expect("client").seen.expect("seen");
    assert_eq!(again.address.as_deref(), Some("10.0.0.1"), "at most once in half a minute, whichever process asks");
    home.sql("UPDATE seen SET time_ms = 1000");
    ask(&home.engine(&secret), "10.0.0.4");
    assert_eq!(home.open().client("web").expect("client").seen.expect("seen").address.as_deref(), Some("10.0.0.4"));
    let before = home.open().export().expect("export");
    assert!(before.clients.iter().all(|client| client.seen.is_none()), "what happened is no decision");

    // A request that is refused notes nothing.
    home.sql("DELETE FROM seen");
    let mut call =
        crate::keys::request::Call::sign(engine.service_id(), &secret.parts().0, &GetState {}).expect("sign");
    call.auth.signature.0[0] ^= 1;
    assert!(home.engine(&secret).handle(call.path, call.auth, Origin::default(), &call.body).is_err());
    assert_eq!(home.open().client("web").expect("client").seen, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_ask_at_the_same_moment_are_all_noted() {
    let home = Home::new();
    let secrets: Vec<Secret> =
        (0..12).map(|n| home.client(&format!("web{n}"), &["default"], Permissions::APPLICATION)).collect();
    let engine = home.service();
    for secret in &secrets {
        let call =
            crate::keys::request::Call::sign(engine.service_id(), &secret.parts().0, &GetState {}).expect("sign");
        let origin = Origin { address: Some("10.0.0.1".into()), version: None };
        engine.handle(call.path, call.auth, origin, &call.body).expect("state");
    }
    let noted = || home.number("SELECT count(*) FROM seen WHERE address = '10.0.0.1'");
    crate::keyserver::tests::home::until(|| noted() == 12).await;
}

#[test]
fn a_key_made_elsewhere_trusts_the_workspace_that_lets_it_in() {
    let (home, other) = (Home::new(), Home::new());
    let workspace = home.open();
    let nowhere = home.path().join("nowhere");
    let no_store = StoreSpec::Sqlite(nowhere.clone());
    let unknown = RequestedClient::make("ci", None, &nowhere, &no_store);
    assert!(matches!(unknown, Err(KeysError::Invalid { .. })));
    let made = RequestedClient::make("ci", None, &nowhere, &home.spec()).expect("from the store");
    let request = ClientRequest::from_text(&made.request.to_text()).expect("read");
    let new = NewClient { keysets: vec!["default".into()], ..NewClient::named("ci", ClientKind::Application) };
    let refused = other.open().approve_request(&request, &new);
    assert!(matches!(refused, Err(KeysError::OtherWorkspace { .. })));
    assert_eq!(workspace.approve_request(&request, &new).expect("approve").id, made.id);
    let secret = Secret(made.secret.expose_secret().to_owned());
    assert_eq!(state(&home.engine(&secret), &secret), Ok(()));
    assert!(matches!(workspace.approve_request(&request, &new), Err(KeysError::Exists { .. })));
    assert!(RequestedClient::make(" bad", None, &nowhere, &home.spec()).is_err());
}

#[tokio::test]
async fn a_rotated_client_goes_on_under_its_name_and_the_old_key_until_its_end() {
    let home = Home::new();
    home.open().create_keyset("tenant").expect("keyset");
    let old = home.client("web", &["default", "tenant"], Permissions::APPLICATION);
    home.open()
        .update_client("web", &ClientUpdate { owner: Some("ops".into()), ..ClientUpdate::default() })
        .expect("owner");
    let sealed = encrypt(&home.ring(&old).await.expect("ring"), "before").await.expect("encrypt");
    let rotated = home.open().rotate_client("web", 7 * DAY, None).expect("rotate");
    let new = Secret(rotated.secret.expect("made here").expose_secret().to_owned());
    assert_eq!((rotated.client.name.as_str(), rotated.client.owner.as_deref()), ("web", Some("ops")));
    assert_eq!(rotated.client.id, new.id());
    assert_eq!((rotated.client.grants.len(), rotated.old.id.clone()), (2, old.id()));
    assert!(rotated.old.name.starts_with("web (old key ") && rotated.old.expires.is_some());
    for key in [&old, &new] {
        let ring = home.ring(key).await.expect("ring");
        assert_eq!(decrypt(&ring, &sealed).await.expect("decrypt"), "before");
    }
    // At its end the old one is refused, the new one is not.
    let end = ClientUpdate { expires: Some(Some(Duration::ZERO)), ..ClientUpdate::default() };
    home.open().update_client(&old.id(), &end).expect("end");
    assert!(matches!(home.ring(&old).await, Err(KeysError::ClientExpired { .. })));
    home.ring(&new).await.expect("ring");
    // Again, and at once.
    let again = home.open().rotate_client("web", Duration::ZERO, None).expect("rotate");
    assert_eq!((again.old.status, again.old.grants.len(), again.client.grants.len()), ("expired", 0, 2));
    assert!(home.ring(&new).await.is_err());
}

#[test]
fn rotations_that_must_not_be_are_refused() {
    let home = Home::new();
    let workspace = home.open();
    home.application();
    let admin = workspace.rotate_client("laptop", DAY, None);
    assert!(matches!(admin, Err(KeysError::Invalid { .. })), "the root names admins by their keys");
    assert!(matches!(workspace.rotate_client("nobody", DAY, None), Err(KeysError::ClientUnknown { .. })));
    let end = ClientUpdate { expires: Some(Some(Duration::ZERO)), ..ClientUpdate::default() };
    workspace.update_client("web", &end).expect("end");
    assert!(matches!(workspace.rotate_client("web", DAY, None), Err(KeysError::ClientExpired { .. })));
    let long = "ü".repeat(64);
    let names = workspace.create_client(&NewClient::named(&long, ClientKind::Application)).expect("create");
    let rotated = workspace.rotate_client(&names.client.id, DAY, None).expect("rotate");
    assert_eq!(rotated.client.name, long);
    assert!(rotated.old.name.len() <= 128);
}

#[test]
fn kind_and_birth_of_a_key_stay() {
    let home = Home::new();
    home.application();
    let admin = Secret(std::fs::read_to_string(home.path().join("device/client.key")).expect("key").trim().to_owned());
    let (key, engine) = (admin.parts().0, home.engine(&admin));
    let record: ClientRecord = {
        let inventory = crate::keys::admin::GetInventory {};
        let inventory = engine.inventory(&Request::sign(engine.service_id(), &key, inventory).expect("sign"));
        let entry = inventory.expect("inventory").clients.into_iter().find(|entry| entry.id != key.client_id());
        crate::keys::claims::Claim::decode(&entry.expect("web").record.body).expect("record")
    };
    let put = |record: &ClientRecord| {
        let expected = engine.revision().expect("revision");
        let body = PutClient { expected, record: Some(Signed::new(record, &key)), grants: Vec::new() };
        engine.put_client(&Request::sign(engine.service_id(), &key, body).expect("sign"))
    };
    assert!(put(&record).is_ok());
    for changed in [
        ClientRecord { kind: ClientKind::Device, ..record.clone() },
        ClientRecord { created_ms: 5, ..record.clone() },
        ClientRecord { owner: "a\tb".into(), ..record.clone() },
        ClientRecord { name: "laptop".into(), ..record.clone() },
    ] {
        assert!(matches!(put(&changed), Err(KeysError::Invalid { .. } | KeysError::Exists { .. })), "{changed:?}");
    }
    // A new key of another kind, or one that is there already, cannot take a place.
    let fresh = ClientKey::generate().expect("key").public().clone();
    let rotate = |old: &ClientRecord, new: &ClientRecord| {
        let expected = engine.revision().expect("revision");
        let (old, new) = (Signed::new(old, &key), Signed::new(new, &key));
        let body = RotateClient { expected, old, new, grants: Vec::new(), revoke: false };
        engine.rotate_client(&Request::sign(engine.service_id(), &key, body).expect("sign"))
    };
    let renamed = ClientRecord { name: "web old".into(), ..record.clone() };
    let new = ClientRecord { public: fresh.clone(), created_ms: wall_ms(), ..record.clone() };
    assert!(matches!(
        rotate(&renamed, &ClientRecord { kind: ClientKind::Device, ..new.clone() }),
        Err(KeysError::Invalid { .. })
    ));
    assert!(matches!(rotate(&renamed, &record), Err(KeysError::Exists { .. })));
    assert!(matches!(rotate(&record, &new), Err(KeysError::Exists { .. })), "the name must be free");
    assert!(matches!(
        rotate(&ClientRecord { public: fresh, ..renamed.clone() }, &new),
        Err(KeysError::ClientUnknown { .. })
    ));
    assert_eq!(rotate(&renamed, &new), Ok(()));
}

#[test]
fn admins_who_act_at_the_same_time_lose_nothing() {
    let home = Home::new();
    for index in 0..4 {
        home.open().create_keyset(&format!("k{index}")).expect("keyset");
    }
    let client = home.client("web", &[], Permissions::APPLICATION);
    std::thread::scope(|scope| {
        for index in 0..4 {
            let home = &home;
            scope.spawn(move || {
                let workspace = home.open();
                workspace.grant("web", &format!("k{index}"), Permissions::APPLICATION, None).expect("grant");
                let name = format!("c{index}");
                workspace.create_client(&NewClient::named(&name, ClientKind::Application)).expect("create");
            });
        }
    });
    let info = home.open().client(&client.id()).expect("client");
    assert_eq!(info.grants.len(), 4);
    assert_eq!(home.open().clients().expect("clients").len(), 6);
}

#[test]
fn the_devices_own_list_tells_what_the_service_invents_or_drops() {
    let home = Home::new();
    let workspace = home.open();
    home.application();
    home.client("api", &["default"], Permissions::APPLICATION);
    let findings = || {
        let found = home.open().check_grants().expect("check");
        found.into_iter().map(|finding| (finding.client, finding.finding)).collect::<Vec<_>>()
    };
    assert_eq!(findings(), []);
    // An older grant is kept aside, replaced by its admin, and put back by the service.
    home.sql("CREATE TABLE aside AS SELECT * FROM grants; CREATE TABLE aside_shares AS SELECT * FROM shares");
    workspace.grant("web", "default", Permissions::DECRYPT, None).expect("grant");
    workspace.revoke("api", None).expect("revoke");
    workspace.rotate_client("web", DAY, None).expect("rotate");
    assert_eq!(findings(), []);
    let kept = "WHERE (client, keyset) IN (SELECT client, keyset FROM aside)";
    home.sql(&format!(
        "DELETE FROM shares {kept}; DELETE FROM grants {kept};
        INSERT INTO grants SELECT * FROM aside; INSERT INTO shares SELECT * FROM aside_shares"
    ));
    let mut found = findings();
    found.sort();
    let web = workspace.clients().expect("clients").into_iter().find(|c| c.name.contains("old key")).expect("old").name;
    assert_eq!(found, [("api".to_owned(), "back"), (web, "other")]);
    home.sql("DELETE FROM shares; DELETE FROM grants WHERE client IN (SELECT id FROM clients WHERE name = 'web')");
    assert!(findings().contains(&("web".to_owned(), "gone")));
    // A long list is continued by its end alone, which must hold.
    let (file, many) = (home.path().join("device/grants.log"), |n| format!("more-{n}"));
    let before = findings();
    workspace.create_keysets(&(0..20).map(many).collect::<Vec<_>>(), false).expect("keysets");
    assert_eq!(findings(), before);
    let whole = std::fs::read_to_string(&file).expect("list");
    let last = whole.lines().last().expect("a line").to_owned();
    for bad in [whole.trim_end().to_owned(), format!("{whole}x\n"), format!("{whole}{last}\n")] {
        std::fs::write(&file, &bad).expect("write");
        workspace.grant("web", "more-1", Permissions::APPLICATION, None).expect("granted, if not remembered");
        assert_eq!(std::fs::read_to_string(&file).expect("list"), bad, "nothing is put behind what does not hold");
    }
    std::fs::write(&file, &whole).expect("write");
    // The list itself holds or does not.
    let file = home.path().join("device/grants.log");
    let text = std::fs::read_to_string(&file).expect("list");
    let cut = text.lines().skip(1).collect::<Vec<_>>().join("\n");
    for bad in
        [cut, text.replacen("true", "false", 1), text.replacen("\"sequence\":2", "\"sequence\":3", 1), "x".into()]
    {
        std::fs::write(&file, bad).expect("write");
        assert!(matches!(home.open().check_grants(), Err(KeysError::Tampered { .. })));
    }
}
