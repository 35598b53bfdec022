//! Users that the proxy lets in itself: the commands, rules for roles, records, other parts before and behind.

use crate::support::cluster::psql;
use crate::support::process::run;
use crate::support::raw::{Raw, message, startup, tcp};
use crate::support::{Auth, Cluster, Database, Options, Proxy, ProxyOptions, Workspace, eventually};

/// A cluster that wants a password, a workspace, and settings of a proxy that lets `ann` and `bob` in.
struct Set {
    proxy: Proxy,
    workspace: Workspace,
    cluster: Cluster,
}

fn add(workspace: &Workspace, args: &[&str], password: &str) -> crate::support::process::Output {
    let file = workspace.dir().join("users.txt");
    let mut command = workspace.command(&["auth", "add"]);
    run(command.args(args).arg("--file").arg(file), password)
}

fn set(more: &[(&str, &str)]) -> Set {
    let cluster = Cluster::start(Options::auth(Auth::Scram));
    let direct = cluster.database("shop");
    let workspace = Workspace::init(&direct);
    direct.sql("CREATE TABLE t (id int, e seal.text_eq)");
    for (name, password) in [("ann", "ann's\n"), ("bob", "bob's\n")] {
        add(&workspace, &[name], password).ok();
    }
    let client = workspace.client_create("test", &["default"]);
    let options = ProxyOptions::default().with("CS_AUTH__MODE", "managed").with("CS_AUTH__USERS", "users.txt");
    let options = more.iter().fold(options, |options, (key, value)| options.with(key, value));
    let proxy = Proxy::start_with(&workspace, &client, &direct, &options);
    Set { proxy, workspace, cluster }
}

impl Set {
    fn as_user(&self, name: &str, more: &str) -> Database {
        let port = self.proxy.port;
        Database::named("shop", &format!("postgres://{name}:{name}'s@127.0.0.1:{port}/shop{more}"))
    }
}

#[test]
fn rules_for_roles_go_by_who_the_proxy_let_in() {
    let set = set(&[
        ("CS_POLICY__ROLES__ANN__DECRYPT", "true"),
        ("CS_POLICY__ROLES__*__DECRYPT", "false"),
        ("CS_AUDIT__SINK", "file:access.jsonl"),
        ("CS_AUDIT__INTERVAL", "1s"),
    ]);
    let (ann, bob) = (set.as_user("ann", ""), set.as_user("bob", ""));
    ann.sql("INSERT INTO t VALUES (1, 'ada')");
    assert_eq!(ann.sql("SELECT id, e, session_user FROM t WHERE e = 'ada'"), "1|ada|app\n");
    // The same role to the database; and nothing that SQL says changes who it is.
    for sql in ["SELECT e FROM t", "SET ROLE app; SELECT e FROM t", "SET application_name = 'ann'; SELECT e FROM t"] {
        let refused = bob.psql(sql).failed();
        assert!(refused.contains("42501") && refused.contains("role \"bob\""), "{sql}: {refused}");
    }
    let app = psql(&set.cluster.at("shop", set.proxy.port).url, "SELECT 1").failed();
    assert!(
        app.contains("password authentication failed for user \"app\""),
        "the database's roles are no users: {app}"
    );
    // What anybody may call himself stays on its line in the log.
    assert!(
        set.as_user("eve%0AFORGED%1B[31m", "").psql("SELECT 1").failed().contains("password authentication failed")
    );
    let log = set.proxy.log();
    assert!(log.contains("FORGED") && !log.contains("\nFORGED") && !log.contains('\x1b'), "{log}");
    eventually("records name the user", || {
        let kept = std::fs::read_to_string(set.workspace.dir().join("access.jsonl")).unwrap_or_default();
        kept.contains("\"user\":\"ann\"").then_some(())
    });
}

#[test]
fn a_keyset_may_be_chosen_when_the_session_begins() {
    let set = set(&[]);
    set.workspace.columnseal(&["keyset", "create", "tenant"]).ok();
    let options = "?options=-c%20columnseal.keyset%3Dtenant";
    // Who is not let in learns nothing of keysets.
    let wrong = set.as_user("ann", options).url.replace("ann's", "wrong");
    assert!(psql(&wrong, "SELECT 1").failed().contains("password authentication failed"));
    let refused = set.as_user("ann", options).psql("SELECT 1").failed();
    assert!(refused.contains("tenant"), "{refused}");
    let client = set.workspace.client_create("two", &["default", "tenant"]);
    let options_of_proxy = ProxyOptions::default().with("CS_AUTH__MODE", "managed").with("CS_AUTH__USERS", "users.txt");
    let direct = set.cluster.at("shop", set.cluster.port);
    let proxy = Proxy::start_with(&set.workspace, &client, &direct, &options_of_proxy);
    let url = set.as_user("ann", options).url.replace(&set.proxy.port.to_string(), &proxy.port.to_string());
    assert_eq!(psql(&url, "SHOW columnseal.keyset").ok(), "tenant\n");
}

#[test]
fn commands_write_the_file_and_sighup_has_it_read() {
    let set = set(&[]);
    let command = |args: &[&str]| set.workspace.columnseal(&[&["auth"], args, &["--file", "users.txt"]].concat());
    let listed = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
    assert_eq!(
        listed(&command(&["list", "--json"]).ok()),
        serde_json::json!([{ "user": "ann", "role": null }, { "user": "bob", "role": null }])
    );
    assert!(add(&set.workspace, &["carl", "--as", "app"], "carl's").ok().starts_with("added in "));
    set.proxy.signal("HUP");
    eventually("carl is let in", || (set.as_user("carl", "").psql("SELECT 1").code == 0).then_some(()));
    assert!(add(&set.workspace, &["ann"], "another\n").ok().starts_with("changed in "));
    command(&["remove", "bob"]).ok();
    assert!(command(&["remove", "bob"]).failed().contains("there is no such user"));
    set.proxy.signal("HUP");
    eventually("the old password is none", || (set.as_user("ann", "").psql("SELECT 1").code != 0).then_some(()));
    set.as_user("bob", "").psql("SELECT 1").failed();
    // Nothing but the line is printed, and no file is needed for it.
    let line = run(&mut set.workspace.command(&["auth", "add", "dora", "--print"]), "dora's\n").ok();
    assert!(line.starts_with("\"dora\" \"SCRAM-SHA-256$4096:") && line.lines().count() == 1, "{line}");
    for bad in ["", "\n", "a\0b\n"] {
        assert!(add(&set.workspace, &["eve"], bad).failed().contains("password"), "{bad:?}");
    }
    let text = std::fs::read_to_string(set.workspace.dir().join("users.txt")).unwrap();
    assert!(!text.contains("another") && !text.contains("eve") && text.contains("\"carl\""), "{text}");
    let mode = std::fs::metadata(set.workspace.dir().join("users.txt")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
}

#[test]
fn a_proxy_without_a_usable_file_does_not_start() {
    let cluster = Cluster::plain();
    let direct = cluster.database("shop");
    let workspace = Workspace::init(&direct);
    let client = workspace.client_create("test", &["default"]);
    let starts = |users: &str| {
        let options = ProxyOptions::default().with("CS_AUTH__MODE", "managed").with("CS_AUTH__USERS", users);
        let mut proxy = Proxy::launch(&workspace, &client, &direct, &options);
        let status = proxy.wait_ready().expect("it ends");
        (status.code(), proxy.log())
    };
    std::fs::write(workspace.dir().join("bad.txt"), "\"ann\" \"geheim\"\n").unwrap();
    for (users, said) in [("none.txt", "none.txt"), ("bad.txt", "line 1: not a verifier")] {
        let (code, log) = starts(users);
        assert_eq!(code, Some(3), "{log}");
        assert!(log.contains(said) && log.contains("errors.md#users") && !log.contains("geheim"), "{log}");
    }
}

/// The salt that a user of this name is told.
fn salt(port: u16, user: &str) -> String {
    let mut raw = Raw::over(tcp(port));
    raw.send(&startup(0x0003_0000, &[("user", user), ("database", "shop")]));
    assert_eq!(raw.next().tag, b'R');
    raw.send(&message(b'p', b"SCRAM-SHA-256\0\0\0\0\x10n,,n=,r=abcdefgh"));
    let challenge = String::from_utf8(raw.next().body[4..].to_vec()).unwrap();
    challenge.split(",s=").nth(1).unwrap().to_owned()
}

#[test]
fn who_is_nobody_is_nobody_after_a_restart_and_elsewhere() {
    let set = set(&[]);
    let direct = set.cluster.at("shop", set.cluster.port);
    let options = ProxyOptions::default().with("CS_AUTH__MODE", "managed").with("CS_AUTH__USERS", "users.txt");
    let client = set.workspace.client_create("other", &["default"]);
    let [one, two] = [(); 2].map(|()| Proxy::start_with(&set.workspace, &client, &direct, &options));
    assert_eq!(salt(one.port, "ann"), salt(set.proxy.port, "ann"), "a user's is that of the file");
    assert_eq!(salt(one.port, "nobody"), salt(two.port, "nobody"), "made from the client key");
    assert_ne!(salt(one.port, "nobody"), salt(set.proxy.port, "nobody"));
    assert_ne!(salt(one.port, "nobody"), salt(one.port, "somebody"));
}
