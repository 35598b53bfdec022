//! Settings as a whole: what is taken, and that every fault is told at once and without secrets.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Config, Environment, Faults, KEYS, Sources, load, load_database, load_keyserver};
use crate::keys::settings::{Server, Service};
use crate::keyserver::root_key::Source;
use crate::net::settings::SslMode;
use crate::session::roles::{Mask, Rule, TypeRef};
use crate::session::settings::{AuthMode, Sink};
use crate::telemetry::settings::LogFormat;

struct Case {
    directory: tempfile::TempDir,
    sources: Sources,
}

impl Case {
    fn file(content: &str) -> Case {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("columnseal.toml"), content).expect("it can be written");
        Case { directory, sources: Sources::default() }
    }

    fn with(&self, variables: &[(&str, &str)]) -> Result<Config, Faults> {
        let mut all = vec![("HOME", "/home/someone")];
        all.extend_from_slice(variables);
        load(&Environment::of_pairs(self.directory.path(), &all), &self.sources)
    }

    fn faults(&self, variables: &[(&str, &str)]) -> Vec<String> {
        match self.with(variables) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
        }
    }
}

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml");
    std::fs::read_to_string(path).expect("config/example.toml is there")
}

#[test]
fn the_example_holds_the_defaults() {
    let example = Case::file(&example()).with(&[]).expect("the example has no faults");
    let nothing = Case::file("").with(&[]).expect("no settings are no fault");
    let same_place = |config: &Config| {
        // The two cases live in different directories; nothing else may differ.
        format!("{config:?}")
    };
    assert_eq!(same_place(&example), same_place(&nothing));
}

#[test]
fn the_example_names_every_key_and_no_other() {
    let mut section = String::new();
    let mut named = Vec::new();
    for line in example().lines() {
        if line == "#[policy.roles.analyst]" {
            section = "policy.roles.<role>".to_owned();
        } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, _)) = line.trim_start_matches('#').split_once(" = ")
            && !key.contains(' ')
        {
            named.push(format!("{section}.{key}"));
        }
    }
    let mut expected: Vec<String> = KEYS.iter().map(|known| known.name.to_owned()).collect();
    named.sort();
    expected.sort();
    assert_eq!(named, expected);
}

#[test]
fn docs_name_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let page = std::fs::read_to_string(path).expect("docs/settings.md is there");
    for known in KEYS {
        assert!(page.contains(&format!("`{}`", known.name)), "docs/settings.md does not name {}", known.name);
    }
}

#[test]
fn flags_override_variables_override_the_file() {
    let mut case = Case::file("[server]\nport = 1000\nhost = \"localhost\"\n[log]\nlevel = \"warn\"\n");
    case.sources.flags.push(("server.port".to_owned(), "3000".to_owned()));
    let config = case.with(&[("CS_SERVER__PORT", "2000"), ("CS_LOG__LEVEL", "debug")]).expect("no fault");
    assert_eq!(config.session.port, 3000);
    assert_eq!(config.session.hosts, ["localhost"]);
    assert_eq!(config.telemetry.level, "debug");
    assert_eq!(config.telemetry.format, LogFormat::Json);
}

#[test]
fn every_fault_is_told_at_once() {
    let case = Case::file(
        "[server]\nport = 99999\nprot = 1\nshutdown_timeout = \"soon\"\n[keys]\npool = 0\nservice = \"keys\"\n\
         [policy]\nencrypted = [\"users.email\"]\nkeyset_scope = \"x\"\nroles = 5\n[log]\nlevel = \"loud\"\n[metrics]\nlisten = \"here\"\n\
         [colours]\nsky = 1\n",
    );
    let faults = case.faults(&[("CS_DATABASE__TLS", "maybe"), ("CS_CLIENT_ID", "x"), ("CS_AUTH__MODE", "managed")]);
    for key in [
        "server.port (from columnseal.toml)",
        "server.prot (from columnseal.toml) is not a setting: write server.port, or remove it",
        "server.shutdown_timeout",
        "keys.pool",
        "keys.service (from columnseal.toml) is not a key service",
        "policy.encrypted (from columnseal.toml) has \"users.email\"",
        "policy.keyset_scope (from columnseal.toml) is \"x\"",
        "policy.roles (from columnseal.toml) is not a table of roles",
        "log.level",
        "metrics.listen",
        "colours.sky",
        "database.tls (from CS_DATABASE__TLS) is \"maybe\"",
        "CS_CLIENT_KEY is missing beside CS_CLIENT_ID",
        "auth.users is missing: mode is managed",
        "database.user is missing: auth.mode is managed",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(key)), "{key} is not among {faults:#?}");
    }
    assert_eq!(faults.len(), 15, "{faults:#?}");
}

#[test]
fn what_operators_see_is_set_by_spans_urls_and_shares() {
    let case = Case::file("[log]\nslow_statement = \"250ms\"\n[traces]\nendpoint = \"http://c:4318\"\nsample = 0.25\n");
    let telemetry = case.with(&[]).expect("no fault").telemetry;
    assert_eq!(telemetry.slow_statement, Some(std::time::Duration::from_millis(250)));
    let traces = telemetry.traces.expect("an endpoint");
    assert_eq!((traces.endpoint.to_string().as_str(), traces.sample), ("http://c:4318/v1/traces", 0.25));
    let off = [("CS_LOG__SLOW_STATEMENT", "0"), ("CS_TRACES__ENDPOINT", "off"), ("CS_TRACES__SAMPLE", "1")];
    let telemetry = case.with(&off).expect("no fault").telemetry;
    assert_eq!((telemetry.slow_statement, telemetry.traces), (None, None));
    for (variable, bad) in [
        ("CS_LOG__SLOW_STATEMENT", "slow"),
        ("CS_TRACES__ENDPOINT", "grpc://c:4317"),
        ("CS_TRACES__ENDPOINT", "http://user:secret@c:4318"),
        ("CS_TRACES__SAMPLE", "1.1"),
        ("CS_TRACES__SAMPLE", "half"),
    ] {
        let faults = case.faults(&[(variable, bad)]);
        assert!(faults.len() == 1 && !faults[0].contains("secret"), "{bad}: {faults:?}");
    }
}

#[test]
fn what_changed_is_told_by_name_alone() {
    let case = Case::file("[server]\nport = 1\n[database]\npassword = \"first-secret\"\n");
    let look = |variables: &[(&str, &str)]| {
        super::written(&Environment::of_pairs(case.directory.path(), variables), &case.sources)
    };
    let before = look(&[]);
    assert!(look(&[]).differs(&before).is_empty());
    let mut now = look(&[("CS_DATABASE__PASSWORD", "second-secret"), ("CS_LOG__LEVEL", "debug")]);
    assert_eq!(now.differs(&before), ["database.password", "log.level"]);
    assert_eq!(before.differs(&now), ["database.password", "log.level"], "what is gone counts too");
    assert!(!format!("{now:?}").contains("secret"));
    now.take("database.password", &before);
    assert_eq!(now.differs(&before), ["log.level"]);
}

#[test]
fn key_servers_are_named_by_https_urls() {
    let service = |text: &str| Case::file("").with(&[("CS_KEYS__SERVICE", text)]).map(|config| config.keys.service);
    let urls = vec!["https://a:8443".to_owned(), "https://[::1]:8443".to_owned()];
    let several = service("https://a:8443/, https://[::1]:8443").expect("two key servers");
    assert_eq!(several, Service::Server(Server { urls, ca: None }));
    assert_eq!(service("embedded").expect("embedded"), Service::Embedded);
    assert!(service("http://127.0.0.1:8443").is_ok() && service("http://localhost:1").is_ok());
    for bad in ["http://keys:8443", "https://", "https://a/x", "https://u:p@a", "https://a:b", "ftp://a", "keys", ","] {
        let faults = service(bad).expect_err(bad);
        assert!(faults.to_string().contains("keys.service"), "{bad}: {faults}");
    }
}

#[test]
fn a_key_server_off_loopback_needs_a_certificate() {
    let load = |variables: &[(&str, &str)]| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let environment = Environment::of_pairs(directory.path(), variables);
        load_keyserver(&environment, &Sources::default()).map(|config| config.server)
    };
    let server = load(&[]).expect("the defaults");
    assert_eq!((server.listen.0.as_str(), server.listen.1, server.max_body), ("127.0.0.1", 8443, 1 << 20));
    assert!(load(&[("CS_KEYSERVER__LISTEN", "[::1]:8443")]).is_ok());
    for (key, bad) in [
        ("CS_KEYSERVER__LISTEN", "0.0.0.0:8443"),
        ("CS_KEYSERVER__LISTEN", "8443"),
        ("CS_KEYSERVER__LISTEN", "localhost:99999"),
        ("CS_KEYSERVER__STORE", "mysql://x"),
        ("CS_KEYSERVER__STORE", "sqlite:"),
        ("CS_KEYSERVER__MAX_BODY", "7"),
        ("CS_KEYSERVER__CLIENT_RATE", "0"),
    ] {
        assert!(load(&[(key, bad)]).is_err(), "{key} {bad}");
    }
}

#[test]
fn off_loopback_tls_and_an_auth_mode_must_be_meant() {
    let bare = Case::file("[server]\nhost = \"0.0.0.0\"\n").faults(&[]);
    assert_eq!(bare.len(), 2, "{bare:#?}");
    assert!(bare[0].starts_with("server.require_tls is true by default off loopback without a certificate"));
    assert!(bare[1].starts_with("auth.mode must be chosen"));

    let open = Case::file("[server]\nhost = \"0.0.0.0\"\nrequire_tls = false\n[auth]\nmode = \"passthrough\"\n");
    let faults = open.faults(&[]);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].contains("whoever administers the database can log in and read"));
    assert!(!open.with(&[("CS_AUTH__ACCEPT_DATABASE_AUTH", "true")]).expect("it is meant now").session.require_tls);
}

#[test]
fn managed_logins_need_users_and_a_role() {
    let managed = "[auth]\nmode = \"managed\"\nusers = \"users.txt\"\n[database]\nuser = \"app\"\n";
    let case = Case::file(managed);
    let config = case.with(&[]).expect("no fault");
    assert_eq!(config.session.auth, AuthMode::Managed { users: case.directory.path().join("users.txt") });
    // Off loopback nothing else is needed for it: the database decides nothing.
    let open = case.faults(&[("CS_SERVER__HOST", "0.0.0.0")]);
    assert!(open.len() == 1 && open[0].starts_with("server.require_tls"), "{open:#?}");
    let stray = Case::file("[auth]\nusers = \"users.txt\"\n").faults(&[]);
    assert!(stray[0].starts_with("auth.users (from columnseal.toml) stands without mode"), "{stray:#?}");
}

#[test]
fn several_addresses_are_a_list() {
    let case = Case::file("[server]\nhost = [\"127.0.0.1\", \"::1\", \"/run/columnseal\"]\nsocket_mode = \"0770\"\n");
    let session = case.with(&[]).expect("all of this machine").session;
    assert_eq!((session.hosts.len(), session.socket_mode, session.require_tls), (3, 0o770, false));
    let listed = case.with(&[("CS_SERVER__HOST", "localhost,[::1]")]).expect("a list").session.hosts;
    assert_eq!(listed, ["localhost", "[::1]"]);
    let open = case.faults(&[("CS_SERVER__HOST", "127.0.0.1,0.0.0.0"), ("CS_SERVER__SOCKET_MODE", "0999")]);
    assert_eq!(open.len(), 3, "one that is open to a network is enough: {open:#?}");
    assert!(open[0].starts_with("server.require_tls") && open[2].starts_with("server.socket_mode"), "{open:#?}");
    assert!(!case.faults(&[("CS_SERVER__HOST", "")]).is_empty());
}

#[test]
fn a_certificate_and_its_key_come_together() {
    let case = Case::file("[tls]\ncertificate = \"server.crt\"\n");
    let faults = case.faults(&[]);
    assert!(faults.iter().any(|fault| fault.contains("server.crt, which is not a file")), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.starts_with("tls.private_key is missing")), "{faults:#?}");

    std::fs::write(case.directory.path().join("server.crt"), "x").expect("it can be written");
    let pem = "-----BEGIN PRIVATE KEY-----\ngeheim\n-----END PRIVATE KEY-----\n";
    let config = case.with(&[("CS_TLS__PRIVATE_KEY", pem)]).expect("no fault");
    let shown = format!("{config:?}");
    assert!(shown.contains("(PEM)") && !shown.contains("geheim"), "{shown}");
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let case = Case::file("[database]\nuser = \"app\"\npassword = \"first-geheim\"\n");
    std::fs::write(case.directory.path().join("pw"), "second-geheim\n").expect("it can be written");
    std::fs::write(case.directory.path().join("key"), "csck1_third-geheim\n").expect("it can be written");
    let id = "5f0c5d1e-0000-4000-8000-000000000000";
    let config = case
        .with(&[("CS_DATABASE__PASSWORD_FILE", "pw"), ("CS_CLIENT_ID", id), ("CS_CLIENT_KEY_FILE", "key")])
        .expect("no fault");
    let password = config.session.database.password.as_ref().expect("it has one");
    assert_eq!(password.expose_secret(), "second-geheim");
    assert_eq!(config.client.as_ref().expect("it has one").key.expose_secret(), "csck1_third-geheim");
    assert!(!format!("{config:?}").contains("geheim"));

    let missing = case.faults(&[("CS_DATABASE__PASSWORD_FILE", "nowhere")]);
    assert!(missing[0].contains("nowhere, which cannot be read"), "{missing:#?}");
}

#[test]
fn broken_files_are_told_without_their_lines() {
    for broken in ["[database]\npassword = \"geheim\n", "[database]\npassword = geheim\n", "geheim", "x = \"geheim\""] {
        let faults = Case::file(broken).faults(&[]);
        assert_eq!(faults.len(), 1, "{broken}");
        assert!(!faults[0].contains("geheim") || broken == "geheim", "{}", faults[0]);
    }
    let mut case = Case::file("");
    case.sources.file = Some("other.toml".into());
    assert!(case.faults(&[])[0].starts_with("other.toml cannot be read"));
    std::fs::write(case.directory.path().join("other.toml"), [0xff, 0xfe]).expect("it can be written");
    assert!(case.faults(&[])[0].contains("not UTF-8"));
}

#[test]
fn tls_to_the_database_is_checked_off_loopback() {
    let mode = |variables: &[(&str, &str)]| Case::file("").with(variables).expect("no fault").session.database.sslmode;
    assert_eq!(mode(&[]), SslMode::Prefer);
    assert_eq!(mode(&[("CS_DATABASE__HOST", "db.internal")]), SslMode::VerifyFull);
    assert_eq!(mode(&[("CS_DATABASE__URL", "postgres://u@db.internal/x")]), SslMode::VerifyFull);
    assert_eq!(mode(&[("CS_DATABASE__URL", "postgres://u@db.internal/x?sslmode=require")]), SslMode::Require);
    let url = ("CS_DATABASE__URL", "postgres://u@db/x");
    assert_eq!(mode(&[url, ("CS_DATABASE__TLS", "require")]), SslMode::Require);
}

#[test]
fn a_url_and_its_parts_exclude_each_other() {
    let file = "[database]\nhost = \"h\"\nport = 1\nurl = \"postgres://u:geheim@db/x?sslmode=require\"\n";
    let faults = Case::file(file).faults(&[("CS_DATABASE__PASSWORD", "geheim")]);
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults[0].starts_with("database.host (from columnseal.toml) stands beside database.url"));
    assert!(faults[1].starts_with("database.port (from columnseal.toml) stands beside database.url"));
    assert!(faults[2].starts_with("database.password (from CS_DATABASE__PASSWORD) is given twice"));
    assert!(!faults.concat().contains("geheim"));
}

#[test]
fn a_later_source_names_another_database_whole() {
    let case = Case::file("[database]\nhost = \"h\"\nuser = \"u\"\npassword = \"geheim\"\ntls = \"disable\"\n");
    let config = case.with(&[("CS_DATABASE__URL", "postgres://v@db.internal/x")]).expect("no fault");
    let database = config.session.database;
    assert_eq!(database.hosts, [("db.internal".to_owned(), 5432)]);
    assert!(database.password.is_none(), "a password never goes to a host it was not meant for");
    assert_eq!(database.sslmode, SslMode::VerifyFull);

    let case = Case::file("[database]\nurl = \"postgres://u:geheim@h/x\"\n");
    let database = case.with(&[("CS_DATABASE__HOST", "127.0.0.1")]).expect("no fault").session.database;
    assert_eq!((database.hosts, database.password.is_none()), (vec![("127.0.0.1".to_owned(), 5432)], true));
}

#[test]
fn a_command_may_name_another_database() {
    let case = Case::file("[database]\nhost = \"h\"\nport = 1\n[server]\nport = 99999\n");
    let environment = Environment::of_pairs(case.directory.path(), &[("HOME", "/h")]);
    let target = load_database(&environment, &case.sources, Some("postgres://u@[::1]:7000/x")).expect("no fault");
    assert_eq!(target.hosts, [("::1".to_owned(), 7000)]);
    assert_eq!(target.connect_timeout, Duration::from_secs(10));
}

#[test]
fn variables_of_others_are_left_alone() {
    let config = Case::file("").with(&[("CS_WORKSPACE_CRN", "x"), ("CSS__X", "y"), ("CS_SERVER__HOST", "")]);
    assert!(config.is_err(), "an empty host is a fault");
    assert!(Case::file("").with(&[("CS_WORKSPACE_CRN", "x"), ("CSS__X", "y")]).is_ok());
}

#[test]
fn roles_have_tables_of_their_own() {
    let case = Case::file(
        "[policy.roles.analyst]\ndecrypt = false\nmask = \"last4\"\n[policy.roles.\"Jane.Doe\"]\ntypes = [\"email\"]\n\
         [policy.roles.app]\n[policy.roles.\"*\"]\ndecrypt = false\n",
    );
    let of = |variables: &[(&str, &str)], role: &str| {
        let config = case.with(variables).expect("no fault");
        Rule::clone(&config.session.policy.roles.of(role))
    };
    let none = Rule { decrypt: false, ..Rule::default() };
    assert_eq!(of(&[], "analyst"), Rule { mask: Mask::Last4, ..none.clone() });
    let email = vec![TypeRef::Name("email".to_owned())];
    assert_eq!(of(&[], "Jane.Doe"), Rule { types: Some(email), ..Rule::default() });
    assert_eq!(of(&[], "app"), Rule::default(), "an empty table lifts the rule for all");
    assert_eq!(of(&[], "jane.doe"), none);
    assert_eq!(
        of(&[("CS_POLICY__ROLES__ANALYST__MASK", "null")], "analyst"),
        Rule { mask: Mask::Null, ..none.clone() }
    );
    let id = "5f0c5d1e-0000-4000-8000-000000000000";
    let variables = [("CS_POLICY__ROLES__BI__TOOL__TYPES", id), ("CS_POLICY__ROLES__*__DECRYPT", "true")];
    let types = Some(vec![TypeRef::Id(id.parse().expect("an id"))]);
    assert_eq!(of(&variables, "bi__tool"), Rule { types, ..Rule::default() });
    assert_eq!(of(&variables, "anyone"), Rule::default());
    let mut flags = Case::file("");
    flags.sources.flags.push(("policy.roles.a.b.decrypt".to_owned(), "false".to_owned()));
    assert_eq!(*flags.with(&[]).expect("no fault").session.policy.roles.of("a.b"), none);
}

#[test]
fn rules_that_do_not_mean_what_they_say_are_faults() {
    let long = "r".repeat(64);
    for (file, fault) in [
        (
            "[policy.roles.a]\ndecript = false\n",
            "policy.roles.a.decript (from columnseal.toml) is not a setting: write policy.roles.a.decrypt",
        ),
        (
            "[policy.roles.a]\ndecrypt = \"perhaps\"\n",
            "policy.roles.a.decrypt (from columnseal.toml) is neither true nor false",
        ),
        ("[policy.roles.a]\nmask = \"last4\"\n", "policy.roles.a.mask (from columnseal.toml) masks nothing"),
        (
            "[policy.roles.a]\ndecrypt = true\nmask = \"null\"\n",
            "policy.roles.a.mask (from columnseal.toml) masks nothing",
        ),
        (
            "[policy.roles.a]\ndecrypt = false\nmask = \"last5\"\n",
            "policy.roles.a.mask (from columnseal.toml) is \"last5\"",
        ),
        (
            "[policy.roles.a]\ndecrypt = false\ntypes = [\"x\"]\n",
            "policy.roles.a.types (from columnseal.toml) stands beside decrypt = false",
        ),
        (
            "[policy.roles.a]\ntypes = [\"seal.email\"]\n",
            "policy.roles.a.types (from columnseal.toml) has \"seal.email\"",
        ),
        ("[policy.roles.a]\ntypes = [\"\"]\n", "policy.roles.a.types (from columnseal.toml) has \"\""),
        ("[policy.roles.a]\ntypes = 5\n", "policy.roles.a.types (from columnseal.toml) is not a list"),
        ("[policy]\nroles = []\n", "policy.roles (from columnseal.toml) is not a table of roles"),
        ("[policy.roles]\na = false\n", "policy.roles.a (from columnseal.toml) is not a table"),
        ("[policy.roles.a.b]\ndecrypt = false\n", "policy.roles.a.b (from columnseal.toml) is not a setting"),
        (
            &format!("[policy.roles.{long}]\ndecrypt = false\n"),
            &format!("policy.roles.{long}.decrypt (from columnseal.toml) is not the name of a role"),
        ),
    ] {
        let faults = Case::file(file).faults(&[]);
        assert_eq!(faults.len(), 1, "{file}: {faults:#?}");
        assert!(faults[0].starts_with(fault), "{file}: {}", faults[0]);
    }
    let variable = Case::file("").faults(&[("CS_POLICY__ROLES__ANALYST", "x"), ("CS_POLICY__ROLES__A__COLOUR", "x")]);
    assert_eq!(variable.len(), 2, "{variable:#?}");
    assert!(variable.iter().all(|fault| fault.contains("is not a setting")), "{variable:#?}");
}

#[test]
fn the_audit_has_a_sink() {
    let audit = |file: &str| Case::file(file).with(&[]).expect("no fault").audit;
    assert_eq!(audit("").sink, Sink::Keystore);
    assert_eq!(audit("[audit]\nsink = \"off\"\n").sink, Sink::Off);
    assert_eq!(audit("[audit]\nsink = \"stdout\"\nrequired = true\n").sink, Sink::Stdout);
    let case = Case::file("[audit]\nsink = \"file:logs/access.jsonl\"\ninterval = \"30s\"\n");
    let audit = case.with(&[]).expect("no fault").audit;
    assert_eq!(audit.sink, Sink::File(case.directory.path().join("logs/access.jsonl")), "from the file that names it");
    assert_eq!(audit.interval, Duration::from_secs(30));
    for (file, fault) in [
        ("[audit]\nsink = \"syslog\"\n", "audit.sink (from columnseal.toml) is \"syslog\""),
        ("[audit]\nsink = \"file:\"\n", "audit.sink (from columnseal.toml) is \"file:\""),
        ("[audit]\nsink = \"\"\n", "audit.sink (from columnseal.toml) is \"\""),
        (
            "[audit]\nsink = \"off\"\nrequired = true\n",
            "audit.required (from columnseal.toml) is true while audit.sink is",
        ),
        ("[audit]\ninterval = \"1h\"\n", "audit.interval (from columnseal.toml) is not a time span"),
    ] {
        let faults = Case::file(file).faults(&[]);
        assert_eq!(faults.len(), 1, "{file}: {faults:#?}");
        assert!(faults[0].starts_with(fault), "{file}: {}", faults[0]);
    }
}

#[test]
fn home_follows_the_environment() {
    let home = |pairs: &[(&str, &str)]| Environment::of_pairs(Path::new("/srv/app"), pairs).home();
    assert_eq!(home(&[("HOME", "/h")]), Path::new("/h/.columnseal"));
    assert_eq!(home(&[("HOME", "/h"), ("COLUMNSEAL_HOME", "/data/cs")]), Path::new("/data/cs"));
    assert_eq!(home(&[("COLUMNSEAL_HOME", "cs")]), Path::new("/srv/app/cs"));
}

#[test]
fn a_root_key_takes_what_its_kind_needs_from_the_environment() {
    let case = Case::file("[keys]\nstore = \"store/keystore.db\"\n");
    let root_key = |spec: &str, variables: &[(&str, &str)]| {
        let all: Vec<(&str, &str)> = variables.iter().copied().chain([("CS_KEYS__ROOT_KEY", spec)]).collect();
        case.with(&all).map(|config| config.root_key)
    };
    let beside = case.with(&[]).expect("no fault").root_key.to_string();
    assert!(beside.starts_with("file:") && beside.ends_with("store/root.key"), "{beside}");
    let Ok(Source::Environment { name, value: Some(value) }) = root_key("env:ROOT", &[("ROOT", "5ec2e7")]) else {
        panic!("a variable");
    };
    assert_eq!((name.as_str(), value.expose_secret()), ("ROOT", "5ec2e7"));
    let aws = [
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", "https://kms.example"),
        ("AWS_ACCESS_KEY_ID", "AK"),
        ("AWS_SECRET_ACCESS_KEY", "5ec2e7"),
    ];
    let Ok(Source::AwsKms(kms)) = root_key("awskms:alias/x", &aws) else { panic!("a key in KMS") };
    assert_eq!((kms.region.as_deref(), kms.endpoint.as_deref()), (Some("eu-west-1"), Some("https://kms.example")));
    assert!(kms.credentials.is_some());
    let Ok(Source::AwsKms(kms)) = root_key("awskms:alias/x", &aws[..3]) else { panic!("a key in KMS") };
    assert!(kms.credentials.is_none(), "half an access key is none");
    let vault = [("VAULT_ADDR", "https://vault:8200/"), ("VAULT_TOKEN", "5ec2e7"), ("VAULT_NAMESPACE", "team")];
    let shown = root_key("vault:transit/cs", &vault).expect("no fault");
    assert_eq!(shown.to_string(), "vault:https://vault:8200/transit/cs");
    let uri = "pkcs11:token=t;object=o?module-path=/m.so&pin-source=env:PIN";
    let pin = root_key(uri, &[("PIN", "5ec2e7")]).expect("no fault");
    for source in [shown, pin, root_key("awskms:alias/x", &aws).expect("no fault")] {
        assert!(!format!("{source:?} {source}").contains("5ec2e7"), "{source:?}");
    }
}

#[test]
fn a_root_key_that_cannot_be_meant_is_a_fault() {
    let case = Case::file("");
    for (spec, problem) in [
        ("root.key", "has no kind"),
        ("gcpkms:x", "is of no kind that is known"),
        ("env:1", "does not name an environment variable"),
        ("vault:transit/cs", "names no address and VAULT_ADDR is not set"),
        ("pkcs11:token=t;object=o", "names no module-path"),
        ("pkcs11:token=t;object=o?module-path=/m&pin-source=env:PIN", "takes its PIN from PIN, which is not set"),
        ("pkcs11:token=t;object=o?module-path=/m&pin-source=/none/pin", "which cannot be read"),
        ("pkcs11:token=t;object=o?module-path=/m&pin-value=5ec2e7", "holds a PIN"),
    ] {
        let faults = case.faults(&[("CS_KEYS__ROOT_KEY", spec)]);
        assert!(faults.iter().any(|fault| fault.starts_with("keys.root_key") && fault.contains(problem)), "{faults:?}");
        assert!(faults.iter().all(|fault| !fault.contains("5ec2e7")), "{faults:?}");
    }
}
