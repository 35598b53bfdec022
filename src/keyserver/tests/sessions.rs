//! Admins who are signed in to the key server's page: tickets, what a session may ask, and what others hear of it.

use crate::keys::admin::{Act, Change, OpenSession, UsageScale};
use crate::keys::request::{Body, Origin, Request};
use crate::keys::service::{GetState, Revision};

use crate::keyserver::engine::ROUTES;
use crate::keyserver::workspace::{Sight, stamp};

use super::*;

fn origin() -> Origin {
    Origin { address: Some("192.0.2.7".into()), version: None }
}

fn presence(home: &Home, engine: &Engine) -> Vec<crate::keys::admin::Presence> {
    Workspace::of_session(engine, home.open().device(), origin()).presence().expect("presence").clients
}

#[test]
fn a_ticket_signs_an_admin_in_once() {
    let home = Home::new();
    let web = home.application();
    let (workspace, engine) = (home.open(), home.engine(&web));
    let ticket = workspace.open_session().expect("an admin's").ticket;
    assert_eq!(engine.redeem(&ticket, &origin()), Ok(workspace.device()));
    assert!(matches!(engine.redeem(&ticket, &origin()), Err(KeysError::Refused { .. })), "once");
    for bad in ["", "x", &ticket[1..]] {
        assert!(matches!(engine.redeem(bad, &origin()), Err(KeysError::Refused { .. })), "{bad}");
    }
    let other = Home::new();
    let foreign = other.open().open_session().expect("an admin's").ticket;
    assert!(matches!(engine.redeem(&foreign, &origin()), Err(KeysError::Refused { .. })), "another service's");
    let request = Request::sign(engine.service_id(), &web.parts().0, OpenSession {}).expect("sign");
    assert!(matches!(engine.open_session(&request), Err(KeysError::NotAdmin { .. })));
    let trail = workspace.audit_tail(3).expect("trail");
    let opened = trail.iter().find(|entry| entry.action == "session.open").expect("it is written down");
    assert_eq!((opened.client.clone(), opened.address.as_deref()), (workspace.device().to_string(), Some("192.0.2.7")));
}

#[test]
fn a_session_reads_and_takes_and_gives_nothing() {
    let home = Home::new();
    let web = home.application();
    let (workspace, engine) = (home.open(), home.engine(&web));
    workspace.create_keyset("tenant").expect("keyset");
    let admin = workspace.device();
    let session = Workspace::of_session(&engine, admin, origin());
    assert_eq!(session.survey().expect("reads").clients.len(), 2);
    assert!(session.activity(24).is_ok() && session.presence().is_ok() && session.waiting().is_ok());
    assert!(session.audit_tail(5).is_ok() && session.audit_verify().is_ok());
    assert!(session.usage(UsageScale::Day, 30, None).is_ok());
    let reads = [
        "/v1/inventory",
        "/v1/audit",
        "/v1/audit/chains",
        "/v1/audit/page",
        "/v1/activity",
        "/v1/usage",
        "/v1/presence",
        "/v1/enrol/list",
    ];
    for route in ROUTES.iter().filter(|route| !reads.contains(&route.path)) {
        let answer = engine.handle_session(admin, origin(), route.path, b"{}");
        assert!(matches!(answer, Err(KeysError::Policy { .. })), "{}: {answer:?}", route.path);
    }
    let keyset = workspace.keyset("tenant").expect("keyset").id.parse().expect("an id");
    let client = web.parts().0.client_id();
    for act in [
        Act::EnableClient { client, enabled: true },
        Act::EnableKeyset { keyset, enabled: true },
        Act::DeleteClient { client },
        Act::RemovePin { database: "shop".into(), object: "x".into() },
        Act::AbandonEpoch { keyset, epoch: crate::crypto::Epoch(2) },
    ] {
        let change = Change { expected: Revision { generation: 0, revision: u64::MAX }, act };
        let body = serde_json::to_vec(&change).expect("json");
        let answer = engine.handle_session(admin, origin(), Change::PATH, &body);
        assert!(matches!(answer, Err(KeysError::Policy { .. })), "{change:?}");
    }
    assert!(matches!(session.create_keyset("more"), Err(KeysError::Policy { .. })));
    assert!(matches!(session.grant("web", "tenant", Permissions::DECRYPT, None), Err(KeysError::Policy { .. })));
    assert!(matches!(
        session.create_client(&NewClient::named("new", ClientKind::Application)),
        Err(KeysError::Policy { .. })
    ));
    session.revoke("web", None).expect("it takes");
    session.set_client_enabled("web", false).expect("it takes");
    session.set_keyset_enabled("tenant", false).expect("it takes");
    assert!(matches!(session.set_client_enabled("web", true), Err(KeysError::Policy { .. })));
    assert!(!home.path().join("grants.log").exists(), "a session keeps no list of a device");
    // Whoever is no admin has no session, and a client that was disabled neither.
    let stranger = Workspace::of_session(&engine, client, origin());
    assert!(matches!(stranger.survey(), Err(KeysError::ClientDisabled { .. })));
}

#[test]
fn what_was_seen_is_what_is_changed() {
    let home = Home::new();
    home.application();
    let workspace = home.open();
    let seen = workspace.client("web").expect("client");
    let sight = |client| Sight { client: Some("web".into()), keyset: None, stamp: stamp(Some(client), None) };
    workspace.rename_keyset("default", "x").expect_err("default keeps its name");
    workspace.create_keyset("tenant").expect("another thing changed");
    workspace.as_seen(sight(&seen)).set_client_enabled("web", false).expect("the client is as it was seen");
    let stale = workspace.as_seen(sight(&seen));
    assert_eq!(stale.set_client_enabled("web", true).err(), Some(KeysError::Conflict));
    assert_eq!(stale.grant("web", "tenant", Permissions::DECRYPT, None).err(), Some(KeysError::Conflict));
    assert_eq!(workspace.client("web").expect("client").status, "disabled");
}

#[test]
fn what_a_connected_client_heard_is_told() {
    let home = Home::new();
    let web = home.application();
    let (workspace, engine) = (home.open(), home.engine(&web));
    let (key, client) = (web.parts().0, web.parts().0.client_id());
    assert!(presence(&home, &engine).is_empty());
    let streams = [engine.streaming(client), engine.streaming(client)];
    assert_eq!(presence(&home, &engine)[0].streams, 2);
    let session = Workspace::of_session(&engine, workspace.device(), origin());
    session.revoke("web", Some("default")).expect("revoke");
    let taken = presence(&home, &engine)[0];
    assert_eq!((taken.streams_then, taken.heard, taken.heard_after_ms), (2, 0, None));
    assert!(taken.cut_ms.is_some());
    for heard in 1..=3 {
        engine.state(&Request::sign(engine.service_id(), &key, GetState {}).expect("sign")).expect("state");
        assert_eq!(presence(&home, &engine)[0].heard, heard);
    }
    assert!(presence(&home, &engine)[0].heard_after_ms.is_some());
    drop(streams);
    assert_eq!(presence(&home, &engine)[0].streams, 0, "what was taken is remembered for a while");
}
