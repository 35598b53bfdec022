//! What the engine allows and refuses, and the workspace on top of it.

use crate::keys::admin::{Act, Change, GetInventory};
use crate::keys::claims::{Signed, TypeClaim};
use crate::keys::request::{Body, Request, ServiceId};
use crate::keys::service::{
    AddPins, DecryptGroup, DecryptKeys, EncryptKeys, GetGrants, GetPins, GetState, MAX_KEYS, PinnedObject, PutType,
    TermRoots,
};

use super::*;

fn ask<B: Body>(engine: &Engine, secret: &Secret, body: B) -> Request<B> {
    Request::sign(engine.service_id(), &secret.parts().0, body).expect("sign")
}

#[test]
fn init_twice_changes_nothing() {
    let home = Home::empty();
    let first = home.init().expect("init");
    assert!(first.created && first.device_created && first.keyset_created && first.recovery_file.is_some());
    let export = home.open().export().expect("export");
    let device = std::fs::read(&first.device_file).expect("device");
    let second = home.init().expect("init");
    assert!(!second.created && !second.device_created && !second.keyset_created && second.recovery_file.is_none());
    assert_eq!((&second.root, &second.device), (&first.root, &first.device));
    assert_eq!(home.open().export().expect("export"), export);
    assert_eq!(std::fs::read(&first.device_file).expect("device"), device);
}

#[test]
fn concurrent_inits_make_one_workspace() {
    let home = Home::empty();
    let reports = std::thread::scope(|scope| {
        let threads = (0..4).map(|_| scope.spawn(|| home.init())).collect::<Vec<_>>();
        threads.into_iter().map(|t| t.join().expect("no panic").expect("init")).collect::<Vec<_>>()
    });
    assert_eq!(reports.iter().filter(|report| report.created).count(), 1);
    assert!(reports.iter().all(|report| report.root == reports[0].root));
    assert_eq!(home.open().keysets().expect("keysets").len(), 1);
}

#[test]
fn an_interrupted_init_goes_on_and_a_foreign_kit_is_left_alone() {
    let home = Home::empty();
    let first = home.init().expect("init");
    home.lose_store();
    let again = home.init().expect("init");
    assert_eq!((again.created, again.root), (true, first.root));

    let other = Home::empty();
    std::fs::create_dir_all(other.path()).expect("folder");
    std::fs::copy(home.options().recovery_file, other.options().recovery_file).expect("copy");
    assert!(matches!(other.init(), Err(KeysError::Exists { .. })));
    assert!(matches!(
        Workspace::open_with(&other.path(), &other.spec(), &other.root_key()),
        Err(KeysError::DeviceKeyMissing { .. })
    ));
}

#[test]
fn clients_come_and_go() {
    let home = Home::new();
    let workspace = home.open();
    workspace.create_keyset("tenant").expect("keyset");
    let secret = home.client("web", &["default", "tenant", "default"], Permissions::APPLICATION);
    let info = workspace.client("web").expect("client");
    assert_eq!(
        (info.id.as_str(), info.kind, info.status, info.admin),
        (secret.id().as_str(), "application", "active", false)
    );
    assert_eq!(info.grants.len(), 2);
    assert_eq!(info.grants[0].permissions, ["encrypt", "decrypt", "query"]);
    assert_eq!(workspace.client(&secret.id()).expect("by id"), info);

    assert_eq!(workspace.revoke("web", Some("tenant")).expect("revoke").len(), 1);
    assert_eq!(workspace.revoke("web", Some("tenant")).expect("revoke").len(), 0);
    assert_eq!(workspace.rename_client("web", "api").expect("rename").name, "api");
    assert_eq!(workspace.set_client_enabled("api", false).expect("disable").status, "disabled");
    assert_eq!(workspace.set_client_enabled("api", true).expect("enable").status, "active");
    assert_eq!(workspace.revoke("api", None).expect("revoke").len(), 1);
    workspace.delete_client("api").expect("delete");
    assert_eq!(workspace.client("api").err(), Some(KeysError::ClientUnknown { client: "api".into() }));
    assert_eq!(workspace.clients().expect("clients").len(), 1);
    assert!(workspace.audit_verify().expect("whole") > 6);
}

#[test]
fn a_key_made_elsewhere_is_approved_by_its_public_string() {
    let home = Home::new();
    let workspace = home.open();
    let key = ClientKey::generate().expect("key");
    let public = crate::crypto::client_key::ClientPublic::from_text(&key.public().to_text()).expect("public");
    let (keysets, permissions) = (vec!["default".to_owned()], Permissions::DECRYPT);
    let mut new = NewClient { keysets, permissions, ..NewClient::named("ci", ClientKind::Application) };
    assert_eq!(workspace.approve_client(&public, &new).expect("approve").id, key.client_id().to_string());
    new.name = "ci2".into();
    assert!(matches!(workspace.approve_client(&public, &new), Err(KeysError::Exists { .. })));
    let root = workspace.root().parse().expect("a fingerprint");
    let secret = Secret(key.to_secret(&root).to_string());
    home.engine(&secret).state(&ask(&home.engine(&secret), &secret, GetState {})).expect("its own state");
}

#[test]
fn bad_names_and_doubles_are_refused_and_leave_nothing() {
    let home = Home::new();
    let workspace = home.open();
    home.application();
    let new = |name: &str, keyset: &str| {
        let keysets = vec![keyset.to_owned()];
        let permissions = Permissions::APPLICATION;
        let new = NewClient { keysets, permissions, ..NewClient::named(name, ClientKind::Application) };
        workspace.create_client(&new).err().expect("refused")
    };
    for name in ["", " web", "we\nb", &"x".repeat(129), "123e4567-e89b-12d3-a456-426614174000"] {
        assert!(matches!(new(name, "default"), KeysError::Invalid { .. }), "{name:?}");
        assert!(matches!(workspace.create_keyset(name), Err(KeysError::Invalid { .. })), "{name:?}");
    }
    assert!(matches!(new("web", "default"), KeysError::Exists { .. }));
    assert_eq!(new("api", "nowhere"), KeysError::UnknownKeyset { keyset: "nowhere".into() });
    assert!(matches!(workspace.create_keyset("default"), Err(KeysError::Exists { .. })));
    assert!(matches!(workspace.rename_client("web", "laptop"), Err(KeysError::Exists { .. })));
    assert_eq!(workspace.clients().expect("clients").len(), 2);
}

#[test]
fn the_default_keyset_and_the_last_admin_are_protected() {
    let home = Home::new();
    let workspace = home.open();
    for refused in [
        workspace.rename_keyset("default", "other").map(drop),
        workspace.set_keyset_enabled("default", false).map(drop),
        workspace.revoke("laptop", None).map(drop),
        workspace.set_client_enabled("laptop", false).map(drop),
        workspace.delete_client("laptop").map(drop),
        workspace.grant("laptop", "default", Permissions::DECRYPT, None).map(drop),
    ] {
        assert!(matches!(refused, Err(KeysError::Invalid { .. })), "{refused:?}");
    }
    home.application();
    let granted = workspace.grant("web", "default", Permissions::GRANT, None);
    assert_eq!(granted.err(), Some(KeysError::NotAdmin { client: "web".into() }));
}

#[test]
fn numbers_in_envelopes_are_never_given_twice() {
    let home = Home::new();
    let workspace = home.open();
    let first = workspace.create_keyset("a").expect("a").kref;
    assert!(matches!(workspace.create_keyset("a"), Err(KeysError::Exists { .. })));
    let second = workspace.create_keyset("b").expect("b").kref;
    assert!(first > 1 && second > first);
}

#[test]
fn requests_are_checked() {
    let home = Home::new();
    let (secret, other) = (home.application(), home.client("other", &[], Permissions::APPLICATION));
    let engine = home.engine(&secret);
    let good = ask(&engine, &secret, GetState {});
    engine.state(&good).expect("good");

    let mut late = good.clone();
    late.auth.time_ms -= 61_000;
    let mut forged = good.clone();
    forged.auth.client = other.parts().0.client_id();
    let mut bent = good.clone();
    bent.auth.signature.0[3] ^= 1;
    let elsewhere = Request::sign(ServiceId([1; 16]), &secret.parts().0, GetState {}).expect("sign");
    for bad in [late, forged, bent, elsewhere] {
        assert!(matches!(engine.state(&bad), Err(KeysError::Refused { .. })));
    }
    let stranger = ClientKey::generate().expect("key");
    let unknown = Request::sign(engine.service_id(), &stranger, GetState {}).expect("sign");
    assert!(matches!(engine.state(&unknown), Err(KeysError::ClientUnknown { .. })));

    let pins = AddPins { database: "shop".into(), pins: vec![] };
    let mut change = ask(&engine, &secret, pins);
    engine.add_pins(&change).expect("first");
    assert_eq!(engine.add_pins(&change).err(), Some(KeysError::refused("it was made before")));
    change.body.database = "other".into();
    assert!(matches!(engine.add_pins(&change), Err(KeysError::Refused { .. })));
}

#[test]
fn only_admins_act() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let act = ask(
        &engine,
        &secret,
        Change {
            expected: engine.revision().expect("revision"),
            act: Act::Revoke { client: home.open().device(), keyset: None },
        },
    );
    assert_eq!(engine.act(&act).err(), Some(KeysError::NotAdmin { client: "web".into() }));
    let inventory = ask(&engine, &secret, GetInventory {});
    assert_eq!(engine.inventory(&inventory).err(), Some(KeysError::NotAdmin { client: "web".into() }));
}

fn grant_of(engine: &Engine, secret: &Secret) -> (crate::crypto::KeysetId, [u8; 32]) {
    use crate::keys::claims::{Claim, Grant};
    let state = engine.state(&ask(engine, secret, GetState {})).expect("state");
    let keysets = vec![state.granted.first().expect("a keyset").keyset];
    let grants = engine.grants(&ask(engine, secret, GetGrants { keysets })).expect("grants");
    let grant = &grants.first().expect("a grant").grant;
    (Grant::decode(&grant.body).expect("grant").keyset, grant.digest())
}

#[test]
fn each_permission_allows_its_own_act_only() {
    let home = Home::new();
    let epoch = crate::crypto::Epoch(1);
    for (name, permissions) in [("e", Permissions::ENCRYPT), ("d", Permissions::DECRYPT), ("q", Permissions::QUERY)] {
        let secret = home.client(name, &["default"], permissions);
        let engine = home.engine(&secret);
        let (keyset, grant) = grant_of(&engine, &secret);
        let encrypt =
            engine.encrypt_keys(&ask(&engine, &secret, EncryptKeys { keyset, grant, epoch, nonce: [1; 16], count: 2 }));
        let group = DecryptGroup { kref: Kref(1), grant, ids: vec![KeyId([1; 8])] };
        let decrypt = engine.decrypt_keys(&ask(&engine, &secret, DecryptKeys { groups: vec![group], proved: false }));
        let decrypt = decrypt.expect("request").remove(0).result().map(drop);
        let query = engine.term_roots(&ask(&engine, &secret, TermRoots { keyset, grant, epoch, types: vec![TYPE] }));
        let missing = |permission: &'static str| Err(KeysError::missing("default", permission));
        let expect = |bit| if permissions == bit { Ok(()) } else { missing(bit.names()[0]) };
        assert_eq!(encrypt.map(drop), expect(Permissions::ENCRYPT), "{name}");
        assert_eq!(decrypt, expect(Permissions::DECRYPT), "{name}");
        assert_eq!(query.map(drop), expect(Permissions::QUERY), "{name}");
    }
}

#[test]
fn impossible_batches_are_refused() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let (keyset, grant) = grant_of(&engine, &secret);
    for count in [0, MAX_KEYS as u32 + 1, u32::MAX] {
        let body = EncryptKeys { keyset, grant, epoch: crate::crypto::Epoch(1), nonce: [1; 16], count };
        assert!(matches!(engine.encrypt_keys(&ask(&engine, &secret, body)), Err(KeysError::Refused { .. })));
    }
    let ids = vec![KeyId([1; 8]); MAX_KEYS + 1];
    let body = DecryptKeys { groups: vec![DecryptGroup { kref: Kref(1), grant, ids }], proved: false };
    assert!(matches!(engine.decrypt_keys(&ask(&engine, &secret, body)), Err(KeysError::Refused { .. })));
    let body = EncryptKeys { keyset, grant, epoch: crate::crypto::Epoch(9), nonce: [1; 16], count: 1 };
    assert!(matches!(engine.encrypt_keys(&ask(&engine, &secret, body)), Err(KeysError::Invalid { .. })));
}

#[test]
fn a_definition_counts_for_all_if_an_admin_signed_it_and_otherwise_for_its_signer() {
    let home = Home::new();
    let (web, api) = (home.application(), home.client("api", &["default"], Permissions::APPLICATION));
    let engine = home.engine(&web);
    let put = |secret: &Secret, definition: &str| {
        let claim = TypeClaim { id: TYPE, definition: definition.into() };
        engine.put_type(&ask(&engine, secret, PutType { signed: Signed::new(&claim, &secret.parts().0) }))
    };
    let seen = |secret: &Secret| engine.state(&ask(&engine, secret, GetState {})).expect("state").types.len();
    put(&web, "one").expect("own");
    put(&web, "one").expect("again");
    assert!(matches!(put(&web, "two"), Err(KeysError::Exists { .. })));
    assert_eq!((seen(&web), seen(&api)), (1, 0));
    home.open().sign_type("one", TYPE).expect("sign");
    assert_eq!((seen(&web), seen(&api)), (2, 1));
    assert!(matches!(put(&api, "two"), Err(KeysError::Exists { .. })));
    assert!(matches!(home.open().sign_type("two", TYPE), Err(KeysError::Exists { .. })));

    let claim = TypeClaim { id: TypeId([8; 16]), definition: "x".into() };
    let signed = Signed::new(&claim, &api.parts().0);
    let refused = engine.put_type(&ask(&engine, &web, PutType { signed }));
    assert!(matches!(refused, Err(KeysError::Invalid { .. })), "{refused:?}");
}

#[test]
fn pins_are_added_once_and_never_silently_changed() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let pin = |object: &str, byte| PinnedObject { object: object.into(), type_id: TypeId([byte; 16]) };
    let add =
        |pins: Vec<PinnedObject>| engine.add_pins(&ask(&engine, &secret, AddPins { database: "shop".into(), pins }));
    let pins =
        |database: &str| engine.pins(&ask(&engine, &secret, GetPins { database: database.into() })).expect("pins");
    add(vec![pin("column public.users.email", 1)]).expect("new");
    add(vec![pin("column public.users.email", 1), pin("column public.users.name", 1)]).expect("more");
    let contradiction = add(vec![pin("column public.users.phone", 1), pin("column public.users.email", 2)]);
    assert!(matches!(contradiction, Err(KeysError::Exists { .. })));
    assert_eq!(pins("shop").len(), 2);
    assert_eq!(pins("other"), []);
    assert!(matches!(add(vec![pin("", 1)]), Err(KeysError::Invalid { .. })));

    let workspace = home.open();
    assert_eq!(workspace.pins(Some("shop")).expect("pins").len(), 2);
    let confirm = |object: &str, id| workspace.confirm_pin("shop", object, id);
    let of_name = |workspace: &Workspace| {
        let pins = workspace.pins(Some("shop")).expect("pins").into_iter();
        pins.filter(|pin| pin.object == "column public.users.name").map(|pin| pin.type_id).collect::<Vec<_>>()
    };
    let before = of_name(&workspace);
    let (same, other) = (before[0].parse::<TypeId>().expect("an id"), TypeId([0x77; 16]));
    assert_eq!(confirm("column public.users.name", same), Ok(false));
    assert_eq!(confirm("column public.users.name", other), Ok(true));
    assert_eq!(of_name(&workspace), [other.to_string()]);
    assert!(matches!(confirm("column public.users.nobody", other), Err(KeysError::Invalid { .. })));
    assert!(matches!(
        workspace.confirm_pin("other", "column public.users.name", other),
        Err(KeysError::Invalid { .. })
    ));
    assert!(workspace.remove_pin("shop", "column public.users.name").expect("remove"));
    assert!(!workspace.remove_pin("shop", "column public.users.name").expect("remove"));
    assert_eq!(pins("shop"), [pin("column public.users.email", 1)]);
}

#[test]
fn expired_clients_and_grants_are_refused() {
    let home = Home::new();
    let workspace = home.open();
    let keysets = vec!["default".to_owned()];
    let expires = Some(Duration::ZERO);
    let permissions = Permissions::APPLICATION;
    let new = NewClient { keysets, permissions, expires, ..NewClient::named("old", ClientKind::Application) };
    let secret = Secret(workspace.create_client(&new).expect("create").secret.expose_secret().to_owned());
    assert_eq!(workspace.client("old").expect("client").status, "expired");
    let engine = home.engine(&secret);
    let state = engine.state(&ask(&engine, &secret, GetState {}));
    assert_eq!(state.err(), Some(KeysError::ClientExpired { client: "old".into() }));

    let secret = home.application();
    workspace.grant("web", "default", permissions, expires).expect("grant");
    let (keyset, grant) = grant_of(&engine, &secret);
    let body = EncryptKeys { keyset, grant, epoch: crate::crypto::Epoch(1), nonce: [1; 16], count: 1 };
    let refused = engine.encrypt_keys(&ask(&engine, &secret, body));
    assert_eq!(refused.err(), Some(KeysError::GrantExpired { keyset: "default".into() }));
}
