//! The ring over an embedded engine: permissions, pool, revocation, two processes.

use super::*;

const PERMISSIONS: [Permissions; 3] = [Permissions::ENCRYPT, Permissions::DECRYPT, Permissions::QUERY];

#[tokio::test]
async fn what_one_client_seals_another_opens() {
    let home = Home::new();
    let (web, api) = (home.application(), home.client("api", &["default"], Permissions::APPLICATION));
    let (web, api) = (home.ring(&web).await.expect("web"), home.ring(&api).await.expect("api"));
    let envelope = encrypt(&web, "text").await.expect("encrypt");
    assert_eq!(decrypt(&api, &envelope).await.expect("decrypt"), "text");
    assert_eq!(decrypt(&web, &envelope).await.expect("decrypt"), "text");
    let keyset = web.default_keyset().expect("default");
    let (a, b) = (
        web.fetch_term_keys(keyset, TYPE).await.expect("term"),
        api.fetch_term_keys(keyset, TYPE).await.expect("term"),
    );
    assert_eq!(a.eq.term(b"x"), b.eq.term(b"x"));
    assert!(web.term_keys(keyset, TYPE).is_some());
    assert!(web.term_keys(keyset, TypeId([9; 16])).is_none());
}

#[tokio::test]
async fn a_key_fetched_to_decrypt_never_encrypts() {
    let home = Home::new();
    let secret = home.application();
    let ring = home.ring(&secret).await.expect("start");
    let envelope = encrypt(&ring, "text").await.expect("encrypt");
    decrypt(&ring, &envelope).await.expect("decrypt");
    let (kref, id) = name(&envelope);
    assert!(!ring.cached(kref, id).expect("cached").seals());
    assert!(ring.refetch(kref, id).await.expect("refetch"));
    assert!(!ring.cached(kref, id).expect("cached").seals());
    assert!(!ring.refetch(kref, id).await.expect("refetch"), "at most one a minute");
}

#[tokio::test]
async fn names_ids_and_what_is_not_granted() {
    let home = Home::new();
    let tenant = home.open().create_keyset("tenant").expect("keyset");
    let secret = home.application();
    let ring = home.ring(&secret).await.expect("start");
    let default = ring.default_keyset().expect("default");
    assert_eq!(ring.keyset_named("default"), Some(default));
    assert_eq!(ring.keyset_named(&default.to_string()), Some(default));
    assert_eq!(ring.keyset_named("tenant"), None);
    assert_eq!(ring.resolve("tenant"), Err(KeysError::NoGrant { keyset: "tenant".into() }));
    let tenant_id = tenant.id.parse().expect("id");
    assert!(ring.data_key(tenant_id, 1).is_none());
    assert!(matches!(ring.ready(tenant_id).await, Err(KeysError::NoGrant { .. })));
    assert!(matches!(ring.fetch(&[(Kref(tenant.kref), KeyId([1; 8]))]).await, Err(KeysError::NoGrant { .. })));
    assert!(matches!(ring.fetch(&[(Kref(99), KeyId([1; 8]))]).await, Err(KeysError::NoGrant { .. })));
    home.open().grant("web", "tenant", Permissions::APPLICATION, None).expect("grant");
    until(|| ring.keyset_named("tenant").is_some()).await;
    ring.ready(tenant_id).await.expect("granted");
    assert!(ring.data_key(tenant_id, 1).is_some());
}

#[tokio::test]
async fn each_permission_gives_its_own_keys_only() {
    let home = Home::new();
    let web = home.application();
    let envelope = encrypt(&home.ring(&web).await.expect("start"), "text").await.expect("encrypt");
    for (client, permission) in ["e", "d", "q"].into_iter().zip(PERMISSIONS) {
        let ring = home.ring(&home.client(client, &["default"], permission)).await.expect("start");
        let keyset = ring.default_keyset().expect("default");
        let results = [
            encrypt(&ring, "x").await.map(drop),
            decrypt(&ring, &envelope).await.map(drop),
            ring.fetch_term_keys(keyset, TYPE).await.map(drop),
        ];
        for (result, act) in results.into_iter().zip(PERMISSIONS) {
            let missing = KeysError::missing("default", act.names()[0]);
            assert_eq!(result, if act == permission { Ok(()) } else { Err(missing) }, "{client}");
        }
    }
}

/// Waits until `work` succeeds.
async fn eventually<F: Future<Output = Result<(), KeysError>>>(work: impl Fn() -> F) {
    let begin = std::time::Instant::now();
    while let Err(error) = work().await {
        assert!(begin.elapsed() < Duration::from_secs(10), "{error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Everything a session could ask for, each refused with `error` and nothing cached.
async fn assert_refused(ring: &Ring, keyset: crate::crypto::KeysetId, envelope: &[u8], error: KeysError) {
    let (kref, id) = name(envelope);
    assert!(
        ring.data_key(keyset, 1).is_none() && ring.cached(kref, id).is_none() && ring.term_keys(keyset, TYPE).is_none()
    );
    assert_eq!(ring.ready(keyset).await, Err(error.clone()));
    assert_eq!(ring.fetch(&[(kref, id)]).await, Err(error.clone()));
    assert_eq!(ring.fetch_term_keys(keyset, TYPE).await.map(drop), Err(error));
}

#[tokio::test]
async fn a_revocation_reaches_a_running_ring() {
    let home = Home::new();
    let secret = home.application();
    let ring = home.ring(&secret).await.expect("start");
    let keyset = ring.default_keyset().expect("default");
    let envelope = encrypt(&ring, "text").await.expect("encrypt");
    decrypt(&ring, &envelope).await.expect("decrypt");
    ring.fetch_term_keys(keyset, TYPE).await.expect("term");
    let generation = ring.generation();
    home.open().revoke("web", Some("default")).expect("revoke");
    let took = until(|| ring.data_key(keyset, 1).is_none()).await;
    assert!(ring.generation() > generation);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let revoked = KeysError::Revoked { keyset: "default".into() };
    assert_refused(&ring, keyset, &envelope, revoked.clone()).await;
    assert_eq!(ring.default_keyset(), Err(revoked.clone()));
    assert_eq!(home.ring(&secret).await.err(), Some(revoked));

    home.open().grant("web", "default", Permissions::APPLICATION, None).expect("grant");
    until(|| ring.default_keyset().is_ok()).await;
    assert_eq!(decrypt(&ring, &envelope).await.expect("granted again"), "text");
}

#[tokio::test]
async fn switches_reach_a_running_ring_both_ways() {
    let home = Home::new();
    let workspace = home.open();
    workspace.create_keyset("tenant").expect("keyset");
    let secret = home.client("web", &["tenant"], Permissions::APPLICATION);
    let settings = Settings { keyset: Some("tenant".into()), ..home.settings() };
    let ring = home.ring_with(&secret, &settings).await.expect("start");
    let keyset = ring.default_keyset().expect("tenant");
    let envelope = encrypt(&ring, "text").await.expect("encrypt");

    workspace.set_keyset_enabled("tenant", false).expect("disable");
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert_refused(&ring, keyset, &envelope, KeysError::KeysetDisabled { keyset: "tenant".into() }).await;
    workspace.set_keyset_enabled("tenant", true).expect("enable");
    eventually(|| ring.ready(keyset)).await;
    assert!(ring.data_key(keyset, 1).is_some());

    workspace.set_client_enabled("web", false).expect("disable");
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert_refused(&ring, keyset, &envelope, KeysError::ClientDisabled { client: "web".into() }).await;
    workspace.set_client_enabled("web", true).expect("enable");
    until(|| ring.default_keyset().is_ok()).await;
    assert_eq!(decrypt(&ring, &envelope).await.expect("enabled"), "text");

    workspace.delete_client("web").expect("delete");
    until(|| ring.default_keyset().is_err()).await;
    assert_refused(&ring, keyset, &envelope, KeysError::ClientUnknown { client: secret.id() }).await;
}

#[tokio::test]
async fn a_replaced_grant_goes_on_without_a_failure() {
    let home = Home::new();
    let secret = home.application();
    let ring = home.ring(&secret).await.expect("start");
    for round in 0..5 {
        let envelope = encrypt(&ring, "text").await.expect("encrypt");
        home.open().grant("web", "default", Permissions::APPLICATION, None).expect("grant");
        assert_eq!(decrypt(&ring, &envelope).await.expect("decrypt"), "text", "round {round}");
    }
}

#[tokio::test]
async fn one_value_per_key_never_repeats_a_key() {
    let home = Home::new();
    let secret = home.application();
    let ring =
        home.ring_with(&secret, &Settings { values_per_key: 1, pool: 2, ..home.settings() }).await.expect("start");
    let keyset = ring.default_keyset().expect("default");
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 300 {
        match ring.data_key(keyset, 10) {
            Some((key, granted)) => {
                assert_eq!(granted, 1);
                assert!(seen.insert(key.key_id()), "a key was given twice");
            }
            None => ring.ready(keyset).await.expect("ready"),
        }
    }
}

#[tokio::test]
async fn a_data_key_is_replaced_when_its_lifetime_is_over() {
    let home = Home::new();
    let secret = home.application();
    let settings = Settings { key_lifetime: Duration::from_millis(50), ..home.settings() };
    let ring = home.ring_with(&secret, &settings).await.expect("start");
    let first = name(&encrypt(&ring, "a").await.expect("encrypt"));
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_ne!(name(&encrypt(&ring, "b").await.expect("encrypt")), first);
}

#[tokio::test]
async fn many_sessions_share_one_ring() {
    let home = Home::new();
    let secret = home.application();
    let settings = Settings { values_per_key: 3, ..home.settings() };
    let ring = home.ring_with(&secret, &settings).await.expect("start");
    let sessions = (0..20).map(|session| {
        let ring = Arc::clone(&ring);
        tokio::spawn(async move {
            for value in 0..20 {
                let text = format!("{session}/{value}");
                let envelope = encrypt(&ring, &text).await.expect("encrypt");
                assert_eq!(decrypt(&ring, &envelope).await.expect("decrypt"), text);
            }
        })
    });
    for session in sessions.collect::<Vec<_>>() {
        session.await.expect("no panic");
    }
    ring.stop().await;
    assert!(matches!(ring.ready(ring.default_keyset().expect("default")).await, Err(KeysError::Unavailable { .. })));
}

#[tokio::test]
async fn types_and_pins_reach_the_ring() {
    let home = Home::new();
    let secret = home.application();
    let ring = home.ring(&secret).await.expect("start");
    ring.adopt_type("mine", TYPE).await.expect("adopt");
    assert_eq!(*ring.types(), [(TYPE, "mine".to_owned())]);
    assert!(matches!(ring.adopt_type("other", TYPE).await, Err(KeysError::Exists { .. })));
    home.open().sign_type("theirs", TypeId([8; 16])).expect("sign");
    until(|| ring.types().len() == 2).await;
    home.open().sign_type("an admin's", TYPE).expect("sign");
    until(|| ring.types()[0] == (TYPE, "an admin's".to_owned())).await;
    let pin = crate::keys::Pin { object: "column public.t.c".into(), type_id: TYPE };
    ring.add_pins("shop", std::slice::from_ref(&pin)).await.expect("add");
    assert_eq!(ring.pins("shop").await.expect("pins"), [pin]);
}

#[tokio::test]
async fn a_rename_changes_the_name_only() {
    let home = Home::new();
    let workspace = home.open();
    workspace.create_keyset("tenant").expect("keyset");
    let secret = home.client("web", &["default", "tenant"], Permissions::APPLICATION);
    let ring = home.ring(&secret).await.expect("start");
    let id = ring.keyset_named("tenant").expect("tenant");
    workspace.rename_keyset("tenant", "customer").expect("rename");
    until(|| ring.keyset_named("customer") == Some(id)).await;
    assert_eq!(ring.keyset_named("tenant"), None);
}

/// Run by the test below in a process of its own.
#[test]
fn child_process_revokes() {
    let Some(home) = std::env::var_os("COLUMNSEAL_TEST_CHILD").map(PathBuf::from) else { return };
    let store = std::env::var("COLUMNSEAL_TEST_STORE").expect("set with the other");
    let store = store.parse::<StoreSpec>().expect("a store");
    let workspace =
        Workspace::open_with(&home, &store, &Source::File(home.join("store").join("root.key"))).expect("open");
    workspace.create_keyset("made-elsewhere").expect("keyset");
    assert_eq!(workspace.revoke("web", None).expect("revoke").len(), 1);
}

#[tokio::test]
async fn another_process_revokes() {
    let home = Home::new();
    let secret = home.application();
    let ring = home.ring(&secret).await.expect("start");
    let keyset = ring.default_keyset().expect("default");
    let mut child = std::process::Command::new(std::env::current_exe().expect("this binary"));
    let name = module_path!().split_once("::").expect("a module of the crate").1;
    child.args(["--exact", &format!("{name}::child_process_revokes")]);
    child.env("COLUMNSEAL_TEST_CHILD", home.path()).env("COLUMNSEAL_TEST_STORE", home.spec_text());
    let output = child.output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert_eq!(ring.ready(keyset).await, Err(KeysError::Revoked { keyset: "default".into() }));
    assert_eq!(home.open().keysets().expect("keysets").len(), 2);
}

#[tokio::test]
async fn two_engines_on_one_store_write_at_the_same_time() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let home = &home;
            scope.spawn(move || {
                for client in 0..5 {
                    home.client(&format!("c{thread}-{client}"), &["default"], Permissions::APPLICATION);
                }
            });
        }
    });
    let workspace = home.open();
    assert_eq!(workspace.clients().expect("clients").len(), 21);
    workspace.audit_verify().expect("one chain");
}

#[tokio::test]
async fn an_older_state_than_the_configured_one_is_refused_at_start() {
    let home = Home::new();
    let secret = home.application();
    let now = home.engine(&secret).revision().expect("revision");
    let at = |revision| Settings { min_revision: revision, ..home.settings() };
    home.ring_with(&secret, &at(now)).await.expect("as new as it must be");
    let mut later = now;
    later.revision += 1;
    let refused = home.ring_with(&secret, &at(later)).await.err();
    assert_eq!(refused, Some(KeysError::RolledBack { seen: later, found: now }));
    later.revision = 0;
    later.generation += 1;
    assert!(matches!(home.ring_with(&secret, &at(later)).await, Err(KeysError::RolledBack { .. })));
}

#[tokio::test]
async fn a_ring_that_is_started_anew_refuses_an_older_service() {
    let home = Home::new();
    let secret = home.application();
    let before = home.engine(&secret).revision().expect("revision");
    home.open().create_keyset("later").expect("keyset");
    let ring = home.ring(&secret).await.expect("start");
    let newest = ring.revision();
    ring.stop().await;
    // An older copy of the store takes its place.
    home.sql(&format!("UPDATE workspace SET revision = {}", before.revision));
    let refused = home.ring(&secret).await.err().expect("refused");
    assert_eq!(refused, KeysError::RolledBack { seen: newest, found: before });
    assert!(refused.hint().contains("COLUMNSEAL_HOME/seen"));
    // Who cannot remember, and who was told to forget, goes on.
    let elsewhere = Settings { home: home.path().join("nowhere"), ..home.settings() };
    home.ring_with(&secret, &elsewhere).await.expect("nothing is remembered").stop().await;
    assert!(!home.path().join("nowhere").exists());
    std::fs::remove_dir_all(home.path().join("seen")).expect("removed");
    home.ring(&secret).await.expect("forgotten").stop().await;
}
