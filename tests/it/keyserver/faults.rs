//! Idle crowds, the end under load, and the token of the first admin.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::raw::Raw;
use crate::support::{Cluster, KeyServer, Options, Proxy, ProxyOptions, Workspace, eventually};

#[test]
fn a_thousand_idle_connections_keep_nobody_out() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let server = KeyServer::start_with(&[("CS_KEYSERVER__REQUEST_TIMEOUT", "5s")]);
    let workspace = Workspace::found(&server, None);
    let idle: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    workspace.columnseal(&["keyset", "list"]).ok();
    eventually("they are closed", || {
        server.metric("columnseal_keyserver_connections").filter(|open| *open < 10.0).map(drop)
    });
    drop(idle);
    workspace.columnseal(&["keyset", "list"]).ok();
}

#[test]
fn the_end_waits_for_requests_and_ends_streams() {
    let mut server = KeyServer::start();
    let workspace = Workspace::found(&server, None);
    let commands: Vec<_> = (0..4)
        .map(|number| {
            let mut command = workspace.command(&["keyset", "create", &format!("tenant-{number}")]);
            std::thread::spawn(move || command.output().unwrap())
        })
        .collect();
    server.signal("TERM");
    assert!(server.wait_exit().success(), "{}", server.log());
    let done = commands.into_iter().map(|command| command.join().unwrap().status.success()).filter(|ok| *ok).count();
    server.restart();
    let listed = workspace.columnseal(&["keyset", "list"]).ok();
    assert!(listed.matches("tenant-").count() >= done, "a keyset was said to be made and is not there:\n{listed}");
}

#[test]
fn a_reload_says_of_what_a_key_server_applies_alone_that_it_did() {
    let server = KeyServer::start();
    let settings = server.dir().join("columnseal.toml");
    std::fs::write(&settings, "[log]\nlevel = \"debug\"\nslow_statement = \"20ms\"\n").unwrap();
    server.signal("HUP");
    eventually("it tells", || server.log().contains("settings read again").then_some(()));
    let log = server.log();
    let told = log.lines().find(|line| line.contains("settings read again")).expect("it told");
    assert!(
        told.contains("\"applied\":\"log.level\"") && told.contains("\"restart\":\"log.slow_statement\""),
        "{told}"
    );
}

#[test]
fn a_store_that_cannot_grow_serves_what_is_held_says_why_and_goes_on() {
    let cluster = Cluster::start(Options::default());
    let database = cluster.database("shop");
    let server = KeyServer::start();
    let workspace = Workspace::found(&server, Some(&database));
    let client = workspace.client_create("web", &["default"]);
    let options = ProxyOptions::default().with("CS_KEYS__LEASE", "3s");
    let proxy = Proxy::start_with(&workspace, &client, &database, &options);
    proxy.database(&cluster).sql("CREATE TABLE t (id int, e seal.text_eq); INSERT INTO t VALUES (1, 'value')");
    let mut raw = Raw::connect(proxy.port, "shop");
    assert_eq!(raw.rows("SELECT e FROM t"), ["value"]);
    server.limit_files(Some(4096));
    for _ in 0..3 {
        let said = workspace.columnseal(&["keyset", "create", "tenant"]).failed();
        assert!(said.contains("the key server's store takes no changes") && said.contains("make room"), "{said}");
        let said = workspace.columnseal(&["client", "create", "api", "--keyset", "default"]).failed();
        assert!(said.contains("takes no changes"), "{said}");
    }
    // A lease is renewed without a change: keys that are held go on past its end.
    let begin = Instant::now();
    eventually("a lease has passed", || {
        assert_eq!(raw.rows("SELECT e FROM t"), ["value"]);
        (begin.elapsed() > Duration::from_secs(5)).then_some(())
    });
    assert!(!workspace.columnseal(&["keyset", "list"]).ok().contains("tenant"), "half done");
    assert!(!workspace.columnseal(&["client", "list"]).ok().contains("api"), "half done");
    server.limit_files(None);
    workspace.columnseal(&["keyset", "create", "tenant"]).ok();
    workspace.client_create("api", &["default", "tenant"]);
    workspace.columnseal(&["audit", "verify"]).ok();
    assert!(server.log().contains("takes no changes"), "{}", server.log());
}

#[test]
fn only_the_token_makes_the_first_admin() {
    let server = KeyServer::start();
    let wrong = Workspace::far(&server.url(), &server.authority.certificate);
    let file = wrong.dir().join("token");
    std::fs::write(&file, format!("csboot1_{}\n", "ab".repeat(32))).unwrap();
    let name = file.to_str().unwrap();
    let said = wrong.columnseal(&["init", "--bootstrap-token", name, "--yes"]).failed();
    assert!(said.contains("0644") || said.contains("mode"), "a token that others can read: {said}");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let said = wrong.columnseal(&["init", "--bootstrap-token", name, "--yes"]).failed();
    assert!(said.contains("the bootstrap token is not this key server's"), "{said}");
    assert!(!wrong.home().join("recovery-kit.txt").exists());
    let kept = std::fs::read(server.token()).unwrap();
    let admin = Workspace::found(&server, None);
    assert!(!server.token().exists());
    std::fs::write(&file, kept).unwrap();
    wrong.columnseal(&["init", "--bootstrap-token", name, "--yes"]).failed();
    assert_eq!(admin.columnseal(&["client", "list", "--json"]).ok().matches("\"admin\": true").count(), 1);
}
