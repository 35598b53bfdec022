//! The command line as a user meets it: results, exit codes, errors in their four lines, JSON, and no key where none
//! belongs.

use std::process::Stdio;

use crate::support::process::run;
use crate::support::{Cluster, Proxy, ProxyOptions, Twin, Workspace};

#[track_caller]
fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn init_makes_everything_once() {
    let cluster = Cluster::plain();
    let database = cluster.database("shop");
    let workspace = Workspace::empty();
    let first = workspace.columnseal(&["init", "--database", &database.url, "--yes", "--json"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(!first.out.contains("csrk1_") && !first.err.contains("csrk1_"), "the recovery kit is never printed");
    let kit = workspace.home().join("recovery-kit.txt");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&kit).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let files = || {
        let store = std::fs::read(workspace.home().join("device/client.key")).unwrap();
        (store, std::fs::read(&kit).unwrap(), std::fs::read(workspace.dir().join("columnseal.toml")).unwrap())
    };
    let before = files();
    let again = workspace.columnseal(&["init", "--database", &database.url, "--yes", "--json"]);
    assert_eq!(again.code, 0, "{}", again.err);
    json(&again.out);
    assert!(files() == before, "a second run changes nothing");
    assert_eq!(json(&workspace.columnseal(&["client", "list", "--json"]).ok()).as_array().unwrap().len(), 1);
    // The whole set-up of the README, with nothing but the printed key for identity.
    let client = workspace.client_create("web", &["default"]);
    let proxy = Proxy::start_with(&workspace, &client, &database, &ProxyOptions::default());
    let through = cluster.at("shop", proxy.port);
    through.sql("CREATE TABLE users (id int PRIMARY KEY, email seal.text_eq)");
}

#[test]
fn results_are_json_where_asked() {
    let cluster = Cluster::plain();
    let database = cluster.database("shop");
    let workspace = Workspace::init(&database);
    let url = database.url.as_str();
    let steps: &[(&[&str], i32)] = &[
        (&["client", "create", "web", "--keyset", "default"], 0),
        (&["client", "create", "web"], 1),
        (&["client", "show", "web"], 0),
        (&["client", "show", "nobody"], 1),
        (&["keyset", "create", "tenant"], 0),
        (&["keyset", "list"], 0),
        (&["keyset", "disable", "default"], 1),
        (&["client", "grant", "web", "tenant"], 0),
        (&["client", "grant", "web", "nowhere"], 1),
        (&["client", "revoke", "web", "tenant"], 0),
        (&["client", "disable", "web"], 0),
        (&["client", "list"], 0),
        (&["type", "create", "card", "--as", "text", "--terms", "eq", "--database", url], 0),
        (&["type", "create", "Bad Name", "--database", url], 6),
        (&["type", "list"], 0),
        (&["type", "pins"], 0),
        (&["db", "status", "--database", url], 0),
        (&["db", "install", "--database", url], 0),
        (&["db", "status", "--print"], 0),
        (&["client", "delete", "web"], 0),
    ];
    for (args, code) in steps {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let out = workspace.columnseal(&args);
        let value = json(&out.out);
        assert_eq!(out.code != 0, *code != 0, "{args:?}: {} {}", out.out, out.err);
        if *code != 0 {
            let error = &value["error"];
            assert!(
                error["attempted"].is_string() && error["why"].is_string() && error["advice"].is_string(),
                "{value}"
            );
            let docs = error["docs"].as_str().unwrap().split_once('#').unwrap().1.to_owned();
            let page = include_str!("../../docs/errors.md");
            assert!(
                page.contains(&format!("## {docs}"))
                    || page.contains(&format!("name=\"{docs}\""))
                    || page.contains(&format!("id=\"{docs}\"")),
                "no anchor {docs}"
            );
        }
    }
}

#[test]
fn errors_say_what_why_and_what_to_do() {
    let workspace = Workspace::empty();
    let out = workspace.columnseal(&["client", "list"]);
    let lines: Vec<&str> = out.err.lines().collect();
    assert!(out.code == 4 && out.out.is_empty(), "{}", out.err);
    assert!(lines[0].starts_with("error: cannot list clients"), "{lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("  why:")) && lines.iter().any(|l| l.starts_with("  do:   ")));
    assert!(lines.last().unwrap().starts_with("  more: docs/errors.md#"));
}

#[test]
fn a_key_that_cannot_be_printed_is_not_kept() {
    let cluster = Cluster::plain();
    let workspace = Workspace::init(&cluster.database("shop"));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = workspace.command(&["client", "create", "lost", "--keyset", "default"]);
    let status = command.stdin(Stdio::null()).stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(!workspace.columnseal(&["client", "list"]).ok().contains("lost"));
}

#[test]
fn keys_in_the_wrong_place_are_not_shown() {
    let cluster = Cluster::plain();
    let workspace = Workspace::init(&cluster.database("shop"));
    let key = workspace.client_create("web", &[]).key;
    let secret = key.strip_prefix("csck1_").unwrap();
    for args in [
        &["client", "show", &key][..],
        &["client", "show", &key, "--json"],
        &["client", "create", "x", "--output", &key],
        &["client", "create", &key],
        &["keyset", "create", &key],
        &["proxy", "--set", &format!("server.port={key}")],
        &[&key],
    ] {
        let out = workspace.columnseal(args);
        assert_ne!(out.code, 0, "{args:?}");
        assert!(!out.out.contains(secret) && !out.err.contains(secret), "{args:?} shows the key");
    }
    assert!(!workspace.columnseal(&["client", "list"]).ok().contains(secret));
}

#[test]
fn the_check_finds_what_would_not_work() {
    let twin = Twin::start();
    let check = |more: &[(&str, &str)]| {
        let mut command = twin.workspace.command(&["proxy", "--check", "--json"]);
        command.env("CS_CLIENT_ID", &twin.client.id).env("CS_CLIENT_KEY", &twin.client.key);
        command.env("CS_DATABASE__URL", &twin.direct.url).envs(more.iter().copied());
        run(&mut command, "")
    };
    let good = check(&[]);
    assert_eq!(good.code, 0, "{} {}", good.out, good.err);
    assert_eq!(json(&good.out)["problems"].as_array().unwrap().len(), 0);
    assert_eq!(check(&[("CS_KEYS__KEYSET", "nowhere")]).code, 5);
    assert_eq!(check(&[("CS_DATABASE__URL", &twin.plain.url)]).code, 6, "seal is not installed there");
    for list in ["email", "[\"email\"]", "[\"\"]", "a.b.c.d", "\"public.users.email\""] {
        assert_eq!(check(&[("CS_POLICY__ENCRYPTED", list)]).code, 3, "{list}");
    }
    twin.sealed.sql("SELECT seal.create_type('card', 'text', 'eq')");
    let unsigned = check(&[]);
    assert!(unsigned.code == 6 && unsigned.out.contains("type adopt card"), "{}", unsigned.out);
}

#[test]
fn columns_that_must_be_encrypted_are_refused_in_plain() {
    for list in ["public.pe.email", "[\"public.pe.email\"]"] {
        let twin = Twin::start_with(
            crate::support::Options::default(),
            &ProxyOptions::default().with("CS_POLICY__ENCRYPTED", list),
        );
        twin.direct.sql("CREATE TABLE pe (id int, email text)");
        let mut raw = twin.raw_sealed();
        assert_eq!(raw.error("INSERT INTO pe VALUES (1, 'mark-policy')").code, "42P17", "{list}");
        let sent = twin.relay.sent();
        assert!(!sent.windows(11).any(|w| w == b"mark-policy"));
    }
}

#[test]
fn the_schemas_sql_can_be_run_by_a_migration_tool() {
    let cluster = Cluster::plain();
    let database = cluster.database("shop");
    let sql = Workspace::empty().columnseal(&["db", "install", "--print"]).ok();
    for _ in 0..2 {
        database.sql(&sql);
    }
    assert_eq!(database.sql("SELECT count(*) > 20 FROM seal.types"), "t\n");
    assert_eq!(Workspace::empty().columnseal(&["db", "status", "--print"]).ok(), sql);
}
