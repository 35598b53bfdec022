//! The audit trail: what is written down, and how every alteration of it is found and named.

use std::collections::BTreeMap;

use crate::crypto::{ClientId, Epoch};
use crate::keys::access::{AccessBatch, AccessRecord, MAX_NAME};
use crate::keys::admin::GetInventory;
use crate::keys::alarm::{MAX_ALARMS, PinAlarm, PinAlarms, PinFault};
use crate::keys::audit::{AuditHead, ReplicaId, SignedHead};
use crate::keys::claims::{Claim, Grant};
use crate::keys::request::{Call, Origin, Request};
use crate::keys::service::{DecryptGroup, DecryptKeys, EncryptKeys, GetGrants, GetState, Renew};
use crate::keyserver::store::tables::audit::{self, Entry, Finding, Flaw};
use crate::keyserver::store::{self, Value};

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

fn flaws(home: &Home) -> Vec<(u64, Flaw)> {
    flaws_against(home, &[])
}

/// What is wrong where these heads were kept elsewhere.
fn flaws_against(home: &Home, heads: &[SignedHead]) -> Vec<(u64, Flaw)> {
    let findings = home.open().audit_check(heads).expect("it can be read").findings;
    findings.into_iter().map(|Finding { sequence, flaw, .. }| (sequence, flaw)).collect()
}

/// The heads that a lease brings to this client.
fn leased(engine: &Engine, secret: &Secret) -> Vec<SignedHead> {
    let request = Request::sign(engine.service_id(), &secret.parts().0, Renew::default()).expect("sign");
    engine.renew(&request).expect("a lease").heads
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
        assert_eq!((workspace.audit_verify(), flaws(&home)), (Ok(5), vec![]));
        assert_eq!(workspace.audit_tail(100).expect("tail").len(), 5);
        home.sql(&damage);
        let found = flaws(&home);
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
    assert_eq!(flaws(&home), [(2, Flaw::Truncated)]);
    // Taken back to where no head was signed, it is whole: only a head that was seen elsewhere tells.
    home.sql("UPDATE replicas SET signed_sequence = NULL, signed_head = NULL, signature = NULL");
    assert_eq!(flaws(&home), []);
}

#[test]
fn heads_that_proxies_logged_find_a_trail_that_was_cut() {
    let home = Home::new();
    let secret = home.application();
    let workspace = home.open();
    let engine = home.engine(&secret);
    let seen = leased(&engine, &secret)[0];
    let logged = seen.to_string().parse::<SignedHead>().expect("as it was logged");
    assert_eq!(flaws_against(&home, &[logged]), []);
    workspace.create_keyset("later").expect("keyset");
    assert_eq!(flaws_against(&home, &[logged, leased(&engine, &secret)[0]]), []);
    let signed = |head: AuditHead| [head.sign(engine.service_id(), engine.signing_key())];
    let (head, last) = (seen.head, seen.head.sequence + 1);
    for (altered, expected) in [
        (AuditHead { hash: [1; 32], ..head }, (head.sequence, Flaw::HeadElsewhere)),
        (AuditHead { sequence: 900, ..head }, (last, Flaw::Truncated)),
        (AuditHead { sequence: 0, ..head }, (0, Flaw::HeadElsewhere)),
        (AuditHead { replica: ReplicaId([9; 16]), ..head }, (0, Flaw::ChainMissing)),
    ] {
        assert_eq!(flaws_against(&home, &signed(altered)), [expected], "{altered:?}");
    }
    // Whoever writes a log cannot accuse the service with it.
    let forged = SignedHead { head: AuditHead { hash: [1; 32], ..head }, ..seen };
    assert_eq!(flaws_against(&home, &[forged]), [(head.sequence, Flaw::Forged)]);
    home.sql("UPDATE replicas SET signed_sequence = NULL, signed_head = NULL, signature = NULL");
    cut(&home, 2);
    assert_eq!(flaws_against(&home, &[logged]), [(2, Flaw::Truncated)]);
}

#[test]
fn heads_that_proxies_logged_find_a_trail_that_was_written_anew() {
    let home = Home::new();
    let secret = home.application();
    home.open().create_keyset("secret").expect("keyset");
    let engine = home.engine(&secret);
    let early = leased(&engine, &secret);
    home.open().set_client_enabled("web", false).expect("disable");
    home.open().set_client_enabled("web", true).expect("enable");
    let late = leased(&engine, &secret);
    assert_eq!(flaws_against(&home, &[early.clone(), late.clone()].concat()), []);
    // The service leaves out an act and hashes and signs all that came after it anew.
    let kept = home.open().audit_export().expect("export").collect::<Result<Vec<_>, _>>().expect("read");
    let main = ReplicaId(engine.service_id().0);
    rewrite(&home, &engine, |entry| !entry.detail.contains("\"secret\""));
    assert_eq!(flaws(&home), [], "nothing in the store tells");
    let gone = kept.iter().find(|line| line.detail.contains("\"secret\"")).expect("the act").sequence;
    let found = flaws_against(&home, &[early.clone(), late.clone()].concat());
    let place =
        |heads: &[SignedHead]| heads.iter().find(|head| head.head.replica == main).expect("a head").head.sequence;
    assert_eq!(place(&early), gone);
    assert_eq!(found, [(gone, Flaw::HeadElsewhere), (place(&late) - 1, Flaw::Truncated)]);
}

/// Writes the chain of changes anew without some of its entries, with hashes and a signed head that fit.
fn rewrite(home: &Home, engine: &Engine, keep: impl Fn(&Entry) -> bool) {
    let main = ReplicaId(engine.service_id().0);
    let rewritten = store::write(&*home.spec().open().expect("open"), |tx| {
        let rows = audit::page(tx, main, 0, 10_000)?;
        tx.execute("DELETE FROM audit_entries WHERE replica = $1", &[Value::Bytes(&main.0)])?;
        let zero = [Value::Bytes(&main.0), Value::Bytes(&[0; 32])];
        tx.execute("UPDATE replicas SET sequence = 0, head = $2 WHERE replica = $1", &zero)?;
        let entries = rows.into_iter().map(|row| row.entry).filter(|entry| keep(entry)).collect();
        audit::extend(tx, main, entries).map(drop)
    });
    rewritten.expect("written anew");
    engine.sign_heads().expect("signed anew");
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
    let lines = home.open().audit_tail(100).expect("tail");
    let kept = lines.iter().find(|line| line.result == "revoked").expect("the refusal");
    let of = (kept.client.as_str(), kept.action.as_str(), kept.detail.as_str());
    assert_eq!(of, (entry.client.to_string().as_str(), "keys.decrypt", "keyset \"default\""));
    assert_eq!((kept.address.as_deref(), kept.version.as_deref()), (Some("10.1.2.3"), Some("0.9.0")));
    assert_eq!(flaws(&home), []);
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
fn alarms_of_pins_are_kept_once_whoever_tells_them() {
    let home = Home::new();
    let secrets = [home.application(), home.client("other", &["default"], Permissions::APPLICATION)];
    let engine = home.engine(&secrets[0]);
    let alarm = |object: &str, fault| PinAlarm { object: object.into(), fault };
    let tell = |secret: &Secret, database: &str, alarms: Vec<PinAlarm>| {
        let body = PinAlarms { database: database.into(), alarms };
        engine.keep_alarms(&Request::sign(engine.service_id(), &secret.parts().0, body)?)
    };
    for _ in 0..3 {
        for secret in &secrets {
            tell(secret, "shop", vec![alarm("column public.t.e", PinFault::Plain)]).expect("kept");
        }
    }
    tell(&secrets[1], "shop", vec![alarm("column public.t.e", PinFault::Missing)]).expect("kept");
    tell(&secrets[1], "other", vec![alarm("column public.t.e", PinFault::Plain)]).expect("kept");
    let lines = home.open().audit_tail(100).expect("tail").into_iter().filter(|line| line.action == "pin.alarm");
    let told = lines.map(|line| (line.client, line.detail, line.result)).collect::<Vec<_>>();
    let line = |secret: &Secret, database: &str, result: &str| {
        (secret.id(), format!("column public.t.e of database \"{database}\""), result.to_owned())
    };
    let expected = [
        line(&secrets[0], "shop", "pin_plain"),
        line(&secrets[1], "shop", "pin_missing"),
        line(&secrets[1], "other", "pin_plain"),
    ];
    assert_eq!(told, expected);
    for (database, alarms) in [
        ("", vec![]),
        (&*"d".repeat(2_000), vec![]),
        ("shop", vec![alarm("", PinFault::Plain)]),
        ("shop", vec![alarm(&"o".repeat(2_000), PinFault::Plain)]),
        ("shop", vec![alarm("column a.b.c", PinFault::Plain); MAX_ALARMS + 1]),
    ] {
        let refused = tell(&secrets[0], database, alarms);
        assert!(matches!(refused, Err(KeysError::Invalid { .. })), "{refused:?}");
    }
    home.open().set_client_enabled("web", false).expect("disable");
    let refused = tell(&secrets[0], "shop", vec![alarm("column a.b.c", PinFault::Plain)]);
    assert!(matches!(refused, Err(KeysError::ClientDisabled { .. })), "{refused:?}");
}

#[test]
fn an_export_gives_each_entry_once_however_many_there_are() {
    let home = Home::new();
    let secret = home.application();
    let engines = [home.engine(&secret), home.engine(&secret)];
    for (number, engine) in engines.iter().enumerate() {
        let entry = |n: u64| Entry::new(1_000 + 2 * n + number as u64, ClientId([0; 16]), "act", &n.to_string());
        engine.record((0..5_100).map(entry).collect()).expect("kept");
    }
    home.open().create_keyset("tenant").expect("keyset");
    let workspace = home.open();
    let mut export = workspace.audit_export().expect("export");
    // What comes after the export began is not in it.
    engines[0].record(vec![Entry::new(1, ClientId([0; 16]), "late", "")]).expect("kept");
    let lines = export.by_ref().collect::<Result<Vec<_>, _>>().expect("read");
    assert!(export.next().is_none() && lines.iter().all(|line| line.action != "late"));
    let entries = workspace.audit_verify().expect("whole");
    assert_eq!(lines.len() as u64 + 1, entries);
    let mut last = BTreeMap::new();
    for line in &lines {
        let before = last.insert(&line.chain, line.sequence).unwrap_or(0);
        assert_eq!(line.sequence, before + 1, "in the order of its chain");
    }
    if last.len() > 1 {
        let acts = lines.iter().filter(|line| line.action == "act").map(|line| &line.time).collect::<Vec<_>>();
        assert!(acts.is_sorted(), "by time, from several chains");
    }
}

#[test]
fn heads_are_signed_by_the_way() {
    let home = Home::new();
    let secret = home.application();
    let engine = home.engine(&secret);
    let entries = (0..1_100).map(|n| Entry::new(n, ClientId([0; 16]), "act", "")).collect();
    engine.record(entries).expect("kept");
    assert!(leased(&engine, &secret).iter().any(|signed| signed.head.sequence >= 1_100));
    home.sql(&format!("DELETE FROM audit_entries WHERE sequence > 500"));
    home.sql("UPDATE replicas SET sequence = 500, head = (SELECT hash FROM audit_entries a WHERE a.sequence = 500 AND a.replica = replicas.replica) WHERE sequence > 500");
    assert_eq!(flaws(&home), [(500, Flaw::Truncated)]);
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
    // Where each server has a chain of its own, its opening is one more change.
    let opened = engines.iter().filter(|engine| leased(engine, &secret).len() == 2).count() as u64;
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
