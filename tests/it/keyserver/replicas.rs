//! Two key servers on one PostgreSQL.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::raw::{self, Raw, query};
use crate::support::{Cluster, KeyServer, Options, Proxy, ProxyOptions, Workspace, eventually};

/// Names of the clients, and of how many keysets each has grants.
fn clients(workspace: &Workspace) -> BTreeMap<String, usize> {
    let listed: Value = serde_json::from_str(&workspace.columnseal(&["client", "list", "--json"]).ok()).unwrap();
    let list = listed.as_array().or_else(|| listed["clients"].as_array()).expect("a list");
    let of = |client: &Value| {
        (client["name"].as_str().unwrap().to_owned(), client["grants"].as_array().map_or(0, |grants| grants.len()))
    };
    list.iter().map(of).collect()
}

#[test]
fn a_replica_killed_in_the_middle_of_changes_leaves_nothing_half_and_clients_go_on_with_the_other() {
    let cluster = Cluster::start(Options::default());
    let (database, store) = (cluster.database("shop"), cluster.database("keys"));
    let server = KeyServer::start_with(&[("CS_KEYSERVER__STORE", &store.url)]);
    let authority = &server.authority.certificate;
    let admin = Workspace::found(&server, Some(&database));
    admin.columnseal(&["keyset", "create", "tenant"]).ok();
    let client = admin.client_create("web", &["default"]);
    let mut replica = server.replica();
    // What asks both asks the replica first.
    let both = admin.through(&format!("https://localhost:{},{}", replica.port, server.url()), authority);
    let proxy = Proxy::start_with(&both, &client, &database, &ProxyOptions::default());
    proxy.database(&cluster).sql("CREATE TABLE t (id int, e seal.text_eq); INSERT INTO t VALUES (1, 'value')");
    let mut raw = Raw::connect(proxy.port, "shop");
    assert_eq!(raw.rows("SELECT e FROM t"), ["value"]);

    // Done through one, it is known to the clients of the other within a second.
    admin.revoke(&client, None);
    let revoked = Instant::now();
    let code = eventually("it is refused", || raw.ask(&query("SELECT e FROM t")).iter().find_map(raw::Message::error));
    assert_eq!(code.code, "42501");
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    admin.grant(&client, "default");
    eventually("it is granted again", || raw.query("SELECT e FROM t").contains("D value").then_some(()));

    let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let wait_for_more = |more: usize| {
        let before = made.load(Ordering::SeqCst);
        eventually("clients are made", || (made.load(Ordering::SeqCst) >= before + more).then_some(()));
    };
    let succeeded = std::thread::scope(|scope| {
        let (both, stop, made) = (&both, &stop, &made);
        let work = |worker: usize| {
            move || {
                let mut succeeded = Vec::new();
                for number in (0..).take_while(|_| !stop.load(Ordering::SeqCst)) {
                    let name = format!("load-{worker}-{number}");
                    let create = ["client", "create", &name, "--keyset", "default", "--keyset", "tenant"];
                    let done = both.columnseal(&create);
                    if done.code == 0 {
                        made.fetch_add(1, Ordering::SeqCst);
                        succeeded.push(name);
                    } else {
                        assert!(!done.err.contains("panicked"), "{}", done.err);
                    }
                }
                succeeded
            }
        };
        let workers = [0, 1, 2].map(|worker| scope.spawn(work(worker)));
        wait_for_more(3);
        replica.kill();
        wait_for_more(6);
        stop.store(true, Ordering::SeqCst);
        workers.map(|worker| worker.join().unwrap()).concat()
    });
    let listed = clients(&admin);
    for name in &succeeded {
        assert!(listed.contains_key(name), "{name} was said to be made");
    }
    for (name, grants) in listed.iter().filter(|(name, _)| name.starts_with("load-")) {
        assert_eq!(*grants, 2, "{name} is half granted");
    }
    admin.columnseal(&["audit", "verify"]).ok();
    assert_eq!(raw.rows("SELECT e FROM t"), ["value"]);
    admin.revoke(&client, None);
    eventually("it hears of changes through the other", || {
        raw.ask(&query("SELECT e FROM t")).iter().find_map(raw::Message::error)
    });
}
