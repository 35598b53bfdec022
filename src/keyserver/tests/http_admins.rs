//! Admins and devices at a key server over loopback: who may come in, two who act at once, a restored store that is unsealed.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::keys::Permissions;
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::{Authorization, Body};
use crate::keys::service::Renew;
use crate::keys::settings::Server as ServerUrl;

use super::super::store::backup::restore;
use super::super::store::spec::StoreSpec;
use super::super::workspace::{ClientKind, NewClient, Workspace};
use super::home::{Secret, decrypt, encrypt};
use super::http::Served;
use super::kinds::Sqlite;

type Home = super::home::Home<Sqlite>;

const MINUTE: Duration = Duration::from_secs(60);

/// A machine with that key, which asks the server.
fn desk(server: &ServerUrl, secret: &str) -> (TempDir, Workspace) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("device").join("client.key");
    crate::keyserver::files::private_folder(file.parent().expect("a folder")).expect("folder");
    assert!(crate::keyserver::files::create(&file, secret).expect("key"));
    let workspace = Workspace::connect(folder.path(), server).expect("connect");
    (folder, workspace)
}

/// Commands block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_production_server_takes_no_device_keys() {
    let home = Home::new();
    let new = NewClient { keysets: vec!["default".into()], ..NewClient::named("alice", ClientKind::Device) };
    let device = Secret(home.open().create_client(&new).expect("device").secret.expose_secret().to_owned());
    let web = home.application();
    let server = Served::with(&home, |settings| settings.devices = false).await;
    let refused = home.far_ring(&server.url(), &device, MINUTE).await.err();
    assert!(matches!(refused, Some(KeysError::Policy { .. })), "{refused:?}");
    let (id, (key, _)) = (home.service().service_id(), device.parts());
    let auth = Authorization::sign_at(id, &key, ("POST", Renew::PATH), (b"{}", wall_ms())).expect("sign");
    let (status, _, body) = server.post(Renew::PATH, &auth, b"{}").await;
    assert_eq!((status, &body["code"]), (403, &"policy".into()), "{body}");
    let ring = home.far_ring(&server.url(), &web, MINUTE).await.expect("applications come in");
    encrypt(&ring, "text").await.expect("encrypt");
    let (path, url) = (home.path(), server.url());
    let admin = blocking(move || Workspace::connect(&path, &url)?.clients()).await.expect("an admin's device comes in");
    assert_eq!(admin.len(), 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_admins_who_grant_at_the_same_time_lose_nothing() {
    let home = Home::new();
    let (workspace, kit) = (home.open(), home.path().join("recovery-kit.txt"));
    let second = home.client("second", &[], Permissions::APPLICATION);
    workspace.add_admin("second", &kit).expect("admin");
    let keysets = ["default", "k0", "k1", "k2"];
    for keyset in &keysets[1..] {
        workspace.create_keyset(keyset).expect("keyset");
    }
    for keyset in keysets {
        workspace.grant("second", keyset, Permissions::ALL, None).expect("grant");
    }
    let web = home.client("web", &[], Permissions::APPLICATION);
    let server = Served::of(&home).await;
    let first = std::fs::read_to_string(home.path().join("device/client.key")).expect("key");
    let acts = [first.trim().to_owned(), second.0].map(|secret| {
        let url = server.url();
        // Both give the same grants, in opposite order, and clients of their own.
        blocking(move || {
            let (_folder, workspace) = desk(&url, &secret);
            let own = workspace.device().to_string();
            for round in 0..4 {
                for at in 0..4 {
                    let at = if own.as_str() < "8" { at } else { 3 - at };
                    workspace.grant("web", keysets[at], Permissions::APPLICATION, None).expect("grant");
                }
                let new = NewClient {
                    keysets: vec!["k0".into()],
                    ..NewClient::named(&format!("{round} of {}", &own[..8]), ClientKind::Application)
                };
                workspace.create_client(&new).expect("create");
            }
        })
    });
    for act in acts {
        act.await;
    }
    let ring = home.far_ring(&server.url(), &web, MINUTE).await.expect("start");
    for keyset in keysets {
        let id = ring.resolve(keyset).expect("granted");
        ring.ready(id).await.expect("every grant is whole");
    }
    let clients = workspace.clients().expect("clients");
    assert_eq!(clients.len(), 3 + 8);
    assert!(clients.iter().filter(|client| client.name.contains(" of ")).all(|client| client.grants.len() == 1));
    workspace.audit_verify().expect("whole");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_is_unsealed_from_the_admins_machine() {
    let home = Home::new();
    let web = home.application();
    let envelope = encrypt(&home.ring(&web).await.expect("ring"), "text").await.expect("encrypt");
    let file = home.path().join("backup");
    home.service().backup(&file).expect("backup");
    let spec = StoreSpec::Sqlite(home.path().join("store").join("restored.db"));
    restore(&file, &spec, None).expect("restore");
    let server = Served::with(&home, |settings| settings.store = spec.clone()).await;
    let sealed = home.far_ring(&server.url(), &web, MINUTE).await.err();
    assert_eq!(sealed, Some(KeysError::Sealed));
    let (url, secret) = (server.url(), web.0.clone());
    let stranger = blocking(move || desk(&url, &secret).1.unseal()).await;
    assert_eq!(stranger, Err(KeysError::NotAdmin { client: "web".into() }));
    let (path, url) = (home.path(), server.url());
    let admin = Arc::new(blocking(move || Workspace::connect(&path, &url)).await.expect("connect"));
    for was_sealed in [true, false] {
        let admin = Arc::clone(&admin);
        assert_eq!(blocking(move || admin.unseal()).await, Ok(was_sealed));
    }
    let ring = home.far_ring(&server.url(), &web, MINUTE).await.expect("it serves");
    assert_eq!(decrypt(&ring, &envelope).await, Ok("text".to_owned()));
    let last = blocking(move || admin.audit_tail(8)).await.expect("tail");
    assert!(last.iter().any(|line| line.action == "store.unseal"));
    server.stop().await;
}
