//! The audit trail: what is written down, and how every alteration of it is found and named.

use std::collections::BTreeMap;

use crate::crypto::{ClientId, Epoch};
use crate::keys::access::{AccessBatch, AccessRecord, MAX_NAME};
use crate::keys::admin::GetInventory;
use crate::keys::audit::{AuditHead, ReplicaId};
use crate::keys::claims::{Claim, Grant};
use crate::keys::request::{Call, Origin, Request};
use crate::keys::service::{DecryptGroup, DecryptKeys, EncryptKeys, GetGrants, GetState};
use crate::keyserver::store::tables::audit::{Entry, Finding, Flaw};

use super::*;

/// Fetches keys, each written down.
fn fetch(engine: &Engine, secret: &Secret, times: usize) -> Result<(), KeysError> {
    let key = secret.parts().0;
    let state = engine.state(&Request::sign(engine.service_id(), &key, GetState {})?)?;
    let keysets = state.granted.iter().take(1).map(|granted| granted.keyset).collect();
    let grants = engine.grants(&Request::sign(engine.service_id(), &key, GetGrants { keysets })?)?;
    let grant = &grants.first().expect("a grant").grant;
    let keyset = Grant::decode(&grant.body).expect("a grant").keyset;
    let body = || EncryptKeys { keyset, grant: grant.digest(), epoch: Epoch(1), nonce: [1; 16], count: 1 };
    (0..times).try_for_each(|_| engine.encrypt_keys(&Request::sign(engine.service_id(), &key, body())?).map(drop))
}

fn flaws(engine: &Engine) -> Vec<(u64, Flaw)> {
    let (_, findings) = engine.check_trail().expect("it can be read");
    findings.into_iter().map(|Finding { sequence, flaw, .. }| (sequence, flaw)).collect()
}

#[test]
fn every_alteration_is_found_and_named() {
    let last = "(SELECT max(sequence) FROM audit_entries)";
    let zeros = Home::bytes(&"00".repeat(32));
    let cases = [
        ("UPDATE audit_entries SET detail = 'nothing' WHERE sequence = 2".to_owned(), (2, Flaw::Edited)),
        ("UPDATE audit_entries SET time_ms = time_ms + 1 WHERE sequence = 1".to_owned(), (1, Flaw::Edited)),
        ("UPDATE audit_entries SET result = 'refused' WHERE sequence = 3".to_owned(), (3, Flaw::Edited)),
        ("UPDATE audit_entries SET address = '10.0.0.1' WHERE sequence = 3".to_owned(), (3, Flaw::Edited)),
        ("UPDATE audit_entries SET version = '' WHERE sequence = 3".to_owned(), (3, Flaw::Edited)),
        ("UPDATE audit_entries SET format = 1 WHERE sequence = 3".to_owned(), (3, Flaw::Edited)),
        (format!("UPDATE audit_entries SET hash = {zeros} WHERE sequence = 3"), (3, Flaw::Edited)),
        ("DELETE FROM audit_entries WHERE sequence = 2".to_owned(), (3, Flaw::Gap)),
        ("DELETE FROM audit_entries WHERE sequence = 1".to_owned(), (2, Flaw::Gap)),
        (format!("DELETE FROM audit_entries WHERE sequence = {last}"), (4, Flaw::Truncated)),
        (format!("DELETE FROM audit_entries"), (0, Flaw::Truncated)),
        (
            "UPDATE audit_entries SET sequence = 900 WHERE sequence = 2; UPDATE audit_entries SET sequence = 2 WHERE sequence = 3;
             UPDATE audit_entries SET sequence = 3 WHERE sequence = 900".to_owned(),
            (2, Flaw::Moved),
        ),
        (format!("UPDATE replicas SET head = {zeros}"), (5, Flaw::HeadElsewhere)),
        ("UPDATE replicas SET sequence = 4".to_owned(), (4, Flaw::HeadElsewhere)),
        ("DELETE FROM replicas".to_owned(), (0, Flaw::ChainMissing)),
        ("UPDATE replicas SET signed_sequence = 3".to_owned(), (0, Flaw::Signature)),
        (Home::flip("replicas", "signature", ""), (0, Flaw::Signature)),
    ];
    for (damage, expected) in cases {
        let home = Home::new();
        home.application();
        home.open().create_keyset("tenant").expect("keyset");
        let workspace = home.open();
        let engine = home.service();
        engine.sign_heads().expect("sign");
        assert_eq!((workspace.audit_verify(), flaws(&engine)), (Ok(5), vec![]));
        assert_eq!(workspace.audit_tail(100).expect("tail").len(), 5);
        home.sql(&damage);
        let found = flaws(&engine);
        assert!(found.contains(&expected), "{damage}: {found:?}");
        let told = workspace.audit_verify().expect_err("refused").to_string();
        assert!(told.contains(&expected.1.to_string()), "{damage}: {told}");
    }
}

/// A chain that was cut and whose row was made to fit.
fn cut(home: &Home, sequence: u64) {
    home.sql(&format!(
        "DELETE FROM audit_entries WHERE sequence > {sequence};
         UPDATE replicas SET sequence = {sequence}, head = (SELECT hash FROM audit_entries WHERE sequence = {sequence})"
    ));
}

#[test]
fn a_cut_that_fits_is_found_by_the_signed_head() {
    let home = Home::new();
    home.application();
    home.service().sign_heads().expect("sign");
    cut(&home, 2);
    assert_eq!(flaws(&home.service()), [(2, Flaw::Truncated)]);
    // Taken back to where no head was signed, it is whole: only a head that was seen elsewhere tells.
    home.sql("UPDATE replicas SET signed_sequence = NULL, signed_head = NULL, signature = NULL");
    assert_eq!(flaws(&home.service()), []);
}

#[test]
fn heads_that_proxies_logged_find_a_log_that_was_rewritten() {
    let home = Home::new();
    home.application();
    let workspace = home.open();
    let engine = home.service();
    let seen = engine.signed_heads().expect("heads").pop().expect("a chain").head;
    let logged = seen.to_string().parse::<AuditHead>().expect("as it was logged");
    assert_eq!(engine.verify_heads(&[logged]), Ok(vec![]));
    workspace.create_keyset("later").expect("keyset");
    assert_eq!(engine.verify_heads(&[logged]), Ok(vec![]));
    let found = |head: AuditHead| {
        let found = engine.verify_heads(&[head]).expect("read");
        found.into_iter().map(|finding| (finding.sequence, finding.flaw)).collect::<Vec<_>>()
    };
    assert_eq!(found(AuditHead { hash: [1; 32], ..seen }), [(seen.sequence, Flaw::HeadElsewhere)]);
    assert_eq!(found(AuditHead { sequence: 900, ..seen }), [(seen.sequence + 1, Flaw::Truncated)]);
    assert_eq!(found(AuditHead { replica: ReplicaId([9; 16]), ..seen }), [(0, Flaw::ChainMissing)]);
    home.sql("UPDATE replicas SET signed_sequence = NULL, signed_head = NULL, signature = NULL");
    cut(&home, 2);
    assert_eq!(found(logged), [(2, Flaw::Truncated)]);
}

#[test]
fn keys_are_written_down_before_they_are_given() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let before = home.open().audit_verify().expect("whole");
    fetch(&engine, &secret, 3).expect("fetch");
    let trail = home.open().audit_tail(100).expect("tail");
    let fetched = trail.iter().filter(|line| line.action == "keys.encrypt" && line.client == secret.id());
    assert_eq!(fetched.count(), 3);
    assert!(home.open().audit_verify().expect("whole") >= before + 3);
    home.sql("ALTER TABLE audit_entries RENAME TO gone");
    assert!(fetch(&engine, &secret, 1).is_err());
}

#[test]
fn refusals_and_where_they_came_from_are_kept() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let mut entry = Entry::new(1, ClientId([4; 16]), "keys.decrypt", "keyset \"default\"");
    entry.result = "revoked".into();
    entry.address = Some("10.1.2.3".into());
    entry.version = Some("0.9.0".into());
    engine.record(vec![entry.clone()]).expect("kept");
    let rows = engine.export_trail(&BTreeMap::new(), 100).expect("export");
    assert!(rows.iter().any(|row| row.entry == entry));
    assert_eq!(flaws(&engine), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_in_a_loop_cannot_fill_the_trail() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let key = secret.parts().0;
    home.open().revoke("web", Some("default")).expect("revoke");
    let ask = |groups: usize| {
        let group = DecryptGroup { kref: Kref(1), grant: [1; 32], ids: vec![KeyId([1; 8])] };
        let call = Call::sign(engine.service_id(), &key, &DecryptKeys { groups: vec![group; groups], proved: false });
        let call = call.expect("sign");
        engine.handle(call.path, call.auth, Origin::default(), &call.body).expect("answered");
        let call = Call::sign(engine.service_id(), &key, &GetInventory {}).expect("sign");
        engine.handle(call.path, call.auth, Origin::default(), &call.body).expect_err("no admin");
    };
    let refusals = || {
        let lines = home.open().audit_tail(1_000).expect("tail").into_iter();
        let refused = lines.filter(|line| line.client == secret.id() && line.result != "ok");
        refused.map(|line| (line.action, line.detail, line.result)).collect::<Vec<_>>()
    };
    ask(200);
    let first = refusals();
    let told = first.iter().map(|(action, _, result)| (action.as_str(), result.as_str())).collect::<Vec<_>>();
    assert_eq!(told, [("keys.decrypt", "revoked"), ("request", "not_admin")]);
    assert!(first[0].1.starts_with("1 of number 1, ") && first[0].1.len() < 200, "{first:?}");
    (0..50).for_each(|_| ask(3));
    assert_eq!(refusals(), first);
    engine.close().await;
    let last = refusals().split_off(2);
    assert!(last.iter().all(|(_, detail, _)| detail.ends_with("; 50 like it left out")) && last.len() == 2, "{last:?}");
    home.open().audit_verify().expect("whole");
}

#[test]
fn records_of_data_access_are_kept_for_who_may_ask() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let record = AccessRecord {
        from_ms: 1,
        until_ms: 2,
        client: secret.id(),
        database: "d".into(),
        user: "u".repeat(MAX_NAME),
        peer: "local".into(),
        shape: "other".into(),
        statement: String::new(),
        statements: 3,
        refused: 0,
        types: Vec::new(),
        lost: 0,
    };
    let key = secret.parts().0;
    let keep = |record: &AccessRecord| {
        let batch = AccessBatch { records: vec![record.clone()] };
        engine.keep_access(&Request::sign(engine.service_id(), &key, batch)?)
    };
    keep(&record).expect("kept");
    let trail = home.open().audit_tail(100).expect("tail");
    let kept = trail.iter().find(|line| line.action == "data.access" && line.client == secret.id()).expect("an entry");
    assert_eq!(serde_json::from_str::<AccessRecord>(&kept.detail).expect("a record"), record);
    let long = AccessRecord { user: "u".repeat(MAX_NAME + 1), ..record.clone() };
    assert!(matches!(keep(&long), Err(KeysError::Invalid { .. })));
    home.open().set_client_enabled("web", false).expect("disable");
    assert!(matches!(keep(&record), Err(KeysError::ClientDisabled { .. })));
}

#[test]
fn an_export_in_pages_gives_each_entry_once() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    fetch(&engine, &secret, 7).expect("fetch");
    home.open().create_keyset("tenant").expect("keyset");
    let (mut after, mut all) = (BTreeMap::new(), Vec::new());
    loop {
        let page = engine.export_trail(&after, 2).expect("page");
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        for row in page {
            after.insert(row.replica, row.sequence);
            all.push((row.entry.time_ms, row.replica, row.sequence));
        }
    }
    assert!(all.is_sorted_by_key(|row| row.0), "{all:?}");
    let entries = home.open().audit_verify().expect("whole");
    assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len() as u64, entries);
    assert_eq!(all.len() as u64, entries);
    engine.record(vec![Entry::new(1, ClientId([0; 16]), "late", "")]).expect("kept");
    let late = engine.export_trail(&after, 100).expect("page");
    assert_eq!(late.iter().map(|row| row.entry.action.as_str()).collect::<Vec<_>>(), ["late"]);
}

#[test]
fn heads_are_signed_by_the_way() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let entries = (0..1_100).map(|n| Entry::new(n, ClientId([0; 16]), "act", "")).collect();
    engine.record(entries).expect("kept");
    let head = engine.head().expect("head");
    assert!(head.sequence >= 1_100);
    home.sql(&format!("DELETE FROM audit_entries WHERE sequence > 500"));
    home.sql("UPDATE replicas SET sequence = 500, head = (SELECT hash FROM audit_entries a WHERE a.sequence = 500 AND a.replica = replicas.replica) WHERE sequence > 500");
    assert_eq!(flaws(&engine), [(500, Flaw::Truncated)]);
}

#[test]
fn many_fetches_at_once_make_one_whole_trail() {
    let home = Home::new();
    let secret = home.application();
    let engines = [home.engine(&secret), home.engine(&secret)];
    let before = home.open().audit_verify().expect("whole");
    std::thread::scope(|scope| {
        for engine in &engines {
            for _ in 0..4 {
                scope.spawn(|| fetch(engine, &secret, 10).expect("fetch"));
            }
        }
        scope.spawn(|| {
            for number in 0..5 {
                home.open().create_keyset(&format!("k{number}")).expect("keyset");
            }
        });
    });
    let opened = engines.iter().filter(|engine| engine.head().expect("head").sequence == 40).count() as u64;
    assert_eq!(home.open().audit_verify(), Ok(before + 80 + 5 + opened));
}

/// Prints key fetches a second, alone and from eight threads: `cargo nextest run --run-ignored only fetches_a_second`.
#[test]
#[ignore = "measures, and asserts nothing"]
fn fetches_a_second() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    for threads in [1, 8] {
        let begin = std::time::Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| fetch(&engine, &secret, 500).expect("fetch"));
            }
        });
        let each = f64::from(threads) * 500.0 / begin.elapsed().as_secs_f64();
        eprintln!("{}: {threads} threads, {each:.0} requests/s", module_path!());
    }
}
