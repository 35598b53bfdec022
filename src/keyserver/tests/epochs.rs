//! Rotation of keysets: old values stay readable until their epoch is dropped, and nobody writes what others cannot read.

use crate::keys::admin::{self, OfferEpoch, TestEpoch};
use crate::keys::request::{Body, Call};
use crate::keys::service::read_answer;

use super::*;

fn kref(envelope: &[u8]) -> u32 {
    name(envelope).0.0
}

/// An admin's request past the workspace.
fn ask<B: Body>(home: &Home, body: &B) -> B::Answer {
    let device = std::fs::read_to_string(crate::keyserver::workspace::device_path(&home.path())).expect("device");
    let (key, _) = ClientKey::from_secret(device.trim()).expect("a key");
    let engine = home.service();
    let call = Call::sign(engine.service_id(), &key, body).expect("sign");
    let answer = engine.handle(call.path, call.auth, Default::default(), &call.body).expect("handle");
    read_answer::<B>(&answer).expect("answer")
}

#[tokio::test]
async fn running_clients_follow_a_rotation() {
    let home = Home::new();
    let (web, api) = (home.application(), home.client("api", &["default"], Permissions::APPLICATION));
    let (web, api) = (home.ring(&web).await.expect("web"), home.ring(&api).await.expect("api"));
    let keyset = web.default_keyset().expect("default");
    let term = web.fetch_term_keys(keyset, TYPE).await.expect("term").eq.term(b"x");
    let old = encrypt(&web, "old").await.expect("encrypt");
    let info = home.open().rotate_keyset("default", &|_, _| {}).expect("rotate");
    assert_eq!((info.data_epoch, info.oldest_epoch, info.rotating), (2, 1, false));
    assert_ne!(kref(&old), info.kref);

    let mut new = encrypt(&web, "new").await.expect("encrypt");
    let begin = std::time::Instant::now();
    while kref(&new) != info.kref {
        assert!(begin.elapsed() < Duration::from_secs(10), "new values do not use the new epoch");
        tokio::time::sleep(Duration::from_millis(5)).await;
        new = encrypt(&web, "new").await.expect("encrypt");
    }
    for ring in [&web, &api] {
        assert_eq!(decrypt(ring, &old).await.expect("old"), "old");
        assert_eq!(decrypt(ring, &new).await.expect("new"), "new");
        assert_eq!(ring.fetch_term_keys(keyset, TYPE).await.expect("term").eq.term(b"x"), term, "terms have no epoch");
    }
    let late = home.ring(&home.client("late", &["default"], Permissions::DECRYPT)).await.expect("late");
    assert_eq!(decrypt(&late, &old).await.expect("old"), "old");
    assert_eq!(decrypt(&late, &new).await.expect("new"), "new");
}

#[tokio::test]
async fn an_interrupted_rotation_changes_nothing_and_goes_on() {
    let home = Home::new();
    let secret = home.application();
    let before = home.open().keyset("default").expect("keyset");
    let keyset = before.id.parse().expect("id");
    // As far as an admin gets who is killed after publishing.
    let offer = ask(&home, &OfferEpoch { keyset });
    let new = admin::draw_epoch(keyset, &offer).expect("draw");
    ask(&home, &TestEpoch { keyset });
    let half = home.open();
    half.publish(keyset, &new).expect("publish");

    let ring = home.ring(&secret).await.expect("start");
    let value = encrypt(&ring, "text").await.expect("encrypt");
    assert_eq!(kref(&value), before.kref, "an epoch that not everybody has is not used");
    assert!(home.open().keyset("default").expect("keyset").rotating);
    let other = home.client("other", &["default"], Permissions::APPLICATION);
    let done = home.open().rotate_keyset("default", &|_, _| {}).expect("go on");
    assert_eq!((done.data_epoch, done.kref, done.rotating), (2, offer.kref.0, false));
    let other = home.ring(&other).await.expect("other");
    assert_eq!(kref(&encrypt(&other, "x").await.expect("encrypt")), done.kref);
    assert_eq!(decrypt(&other, &value).await.expect("old"), "text");
}

#[tokio::test]
async fn an_epoch_that_was_never_used_can_be_abandoned() {
    let home = Home::new();
    let secret = home.application();
    let keyset = home.open().keyset("default").expect("keyset").id.parse().expect("id");
    let offer = ask(&home, &OfferEpoch { keyset });
    let new = admin::draw_epoch(keyset, &offer).expect("draw");
    home.open().publish(keyset, &new).expect("publish");
    assert!(!home.open().abandon_epoch("default").expect("abandon").rotating);
    let ring = home.ring(&secret).await.expect("start");
    let value = encrypt(&ring, "text").await.expect("encrypt");
    let info = home.open().rotate_keyset("default", &|_, _| {}).expect("rotate");
    assert_eq!(info.data_epoch, 3, "the number of the abandoned one is not given again");
    assert_ne!(info.kref, offer.kref.0, "a number is never given twice");
    assert_eq!(decrypt(&home.ring(&secret).await.expect("start"), &value).await.expect("old"), "text");
    assert!(matches!(home.open().abandon_epoch("default"), Err(KeysError::Invalid { .. })));
}

#[tokio::test]
async fn a_dropped_epoch_is_gone_and_says_so() {
    let home = Home::new();
    let secret = home.application();
    let ring = home.ring(&secret).await.expect("start");
    let old = encrypt(&ring, "old").await.expect("encrypt");
    let workspace = home.open();
    assert!(matches!(workspace.drop_epoch("default", 1), Err(KeysError::Invalid { .. })), "it is in use");
    workspace.rotate_keyset("default", &|_, _| {}).expect("rotate");
    decrypt(&ring, &old).await.expect("still there");
    let info = workspace.drop_epoch("default", 1).expect("drop");
    assert_eq!((info.oldest_epoch, info.data_epoch), (2, 2));
    let (number, id) = name(&old);
    until(|| ring.cached(number, id).is_none()).await;
    let dropped = KeysError::EpochDropped { keyset: "default".into(), epoch: crate::crypto::Epoch(1) };
    assert_eq!(ring.fetch(&[(number, id)]).await, Err(dropped.clone()));
    let fresh = home.ring(&secret).await.expect("start");
    assert_eq!(decrypt(&fresh, &old).await, Err(dropped));
    let new = encrypt(&fresh, "new").await.expect("encrypt");
    assert_eq!(decrypt(&fresh, &new).await.expect("new"), "new");
    let left = home.number("SELECT count(*) FROM shares WHERE split = 1 AND epoch = 1");
    assert_eq!(left, 0, "the shares are deleted");
    for bad in [0, 1, 2, 9] {
        assert!(matches!(workspace.drop_epoch("default", bad), Err(KeysError::Invalid { .. })), "{bad}");
    }
    workspace.audit_verify().expect("whole");
}

#[tokio::test]
async fn many_clients_are_handed_an_epoch_in_batches() {
    let home = Home::new();
    let secrets =
        (0..70).map(|n| home.client(&format!("c{n}"), &["default"], Permissions::APPLICATION)).collect::<Vec<_>>();
    let seen = std::cell::RefCell::new(Vec::new());
    home.open().rotate_keyset("default", &|done, all| seen.borrow_mut().push((done, all))).expect("rotate");
    assert_eq!(*seen.borrow(), [(1, 71), (65, 71), (71, 71)]);
    let ring = home.ring(&secrets[69]).await.expect("start");
    encrypt(&ring, "x").await.expect("encrypt");
}
