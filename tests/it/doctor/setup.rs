//! A fault in each part of the set-up is found, and told by its check.

use super::{json, shop};
use crate::support::process;
use crate::support::{Options, Workspace};

/// Runs doctor with these settings; the exit code, and `check: why` of each fault and warning.
fn doctor(workspace: &Workspace, settings: &[(&str, &str)]) -> (i32, Vec<String>) {
    let mut command = workspace.command(&["doctor", "--json"]);
    command.envs(settings.iter().copied());
    let out = process::run(&mut command, "");
    let report = json(&out.out);
    let wrong = report["checks"].as_array().unwrap().iter().filter(|check| check["level"] != "ok");
    let shown = wrong.map(|c| {
        format!("{} {}: {}", c["level"].as_str().unwrap(), c["check"].as_str().unwrap(), c["why"].as_str().unwrap())
    });
    (out.code, shown.collect())
}

#[track_caller]
fn found(workspace: &Workspace, settings: &[(&str, &str)], code: i32, fault: &str) {
    let (given, found) = doctor(workspace, settings);
    assert!(found.iter().any(|line| line.starts_with("fault") && line.contains(fault)), "{fault}: {found:#?}");
    assert_eq!(given, code, "{found:#?}");
}

#[test]
fn faults_of_settings_and_keys_are_found() {
    let (_cluster, database, workspace, client) = shop(Options::default());
    let none = workspace.client_create("none", &[]);
    let other = workspace.client_create("other", &["default"]);
    let good =
        [("CS_CLIENT_ID", client.id.as_str()), ("CS_CLIENT_KEY", &client.key), ("CS_DATABASE__URL", &database.url)];
    let with = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        good.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let check = |more: &[(&'static str, &str)], code: i32, fault: &str| {
        let all = with(more);
        let all: Vec<(&str, &str)> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        found(&workspace, &all, code, fault);
    };
    let (code, wrong) = doctor(&workspace, &good);
    assert!(code == 0 && wrong.len() == 1 && wrong[0].contains("CREATEDB"), "{wrong:#?}");
    check(&[("CS_SERVER__PORT", "many"), ("CS_LOG__LEVEL", "loud")], 3, "settings: server.port");
    found(
        &workspace,
        &[("CS_DATABASE__URL", &database.url)],
        5,
        "client key: CS_CLIENT_ID and CS_CLIENT_KEY are not set",
    );
    check(&[("CS_CLIENT_KEY", "csck1_mistyped")], 5, "client key: ");
    check(&[("CS_CLIENT_KEY", other.key.as_str())], 5, "client key: CS_CLIENT_ID is");
    check(&[("CS_KEYS__STORE", "/nowhere/keystore.db")], 4, "key service: ");
    check(&[("CS_CLIENT_ID", none.id.as_str()), ("CS_CLIENT_KEY", &none.key)], 5, "keyset");
    check(&[("CS_KEYS__KEYSET", "nothing")], 5, "keyset");
    check(&[("CS_KEYS__SERVICE", "http://127.0.0.1:9")], 4, "key service: ");
    check(&[("CS_AUDIT__SINK", "file:/nowhere/audit.jsonl"), ("CS_AUDIT__REQUIRED", "true")], 1, "audit: ");
    workspace.columnseal(&["client", "disable", "web"]).ok();
    check(&[], 5, "key service: ");
}

#[test]
fn faults_of_the_database_are_found() {
    let (cluster, database, workspace, client) = shop(Options::default());
    let bare = cluster.database("bare");
    let check = |url: &str, more: &[(&str, &str)], fault: &str| {
        let own = [("CS_CLIENT_ID", client.id.as_str()), ("CS_CLIENT_KEY", &client.key), ("CS_DATABASE__URL", url)];
        let all: Vec<(&str, &str)> = own.iter().chain(more).copied().collect();
        found(&workspace, &all, 6, fault);
    };
    let url = database.url.as_str();
    check("postgres://app@127.0.0.1:9/shop", &[], "database: ");
    check(&url.replace("/shop", "/nowhere"), &[], "database: ");
    check(&url.replace("app:", "nobody:"), &[], "database: ");
    check(&bare.url, &[], "seal: schema seal is not installed");
    check(
        url,
        &[("CS_POLICY__ENCRYPTED", "public.users.email")],
        "pins: column public.users.email must be encrypted, and its table is not there",
    );
    database.sql("SELECT seal.create_type('card', 'text', 'eq')");
    check(url, &[], "types: type seal.card is not signed");
    workspace.columnseal(&["type", "adopt", "card", "--database", url]).ok();
    database.superuser("UPDATE seal.types SET terms = '' WHERE name = 'card'");
    check(url, &[], "types: type seal.card is refused");
    database.superuser("UPDATE seal.types SET terms = 'eq' WHERE name = 'card'");
    database.superuser("DROP TYPE seal.timetz_eq CASCADE");
    check(url, &[], "types: seal.types has a row for timetz_eq");
    database.superuser("DELETE FROM seal.types WHERE name = 'timetz_eq'");
    check(url, &[], "types: the ready-made type seal.timetz_eq is missing");
    // A column that was seen encrypted and is plain now.
    {
        let proxy =
            crate::support::Proxy::start_with(&workspace, &client, &database, &crate::support::ProxyOptions::default());
        cluster.at("shop", proxy.port).sql("CREATE TABLE users (id int, email seal.text_eq); SELECT * FROM users");
    }
    database.sql("ALTER TABLE users DROP COLUMN email; ALTER TABLE users ADD COLUMN email text");
    check(url, &[], "pins: column public.users.email must be encrypted, but is plain");
    // A schema whose dump does not restore.
    database.superuser("ALTER ROLE app CREATEDB");
    database.sql(
        "CREATE FUNCTION inner_one(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
         CREATE FUNCTION outer_one(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT inner_one($1)';
         CREATE TABLE odd (id int); CREATE INDEX ON odd (outer_one(id))",
    );
    check(url, &[], "dump: a dump of the schema does not restore: function inner_one(integer) does not exist");
    let left = database.superuser("SELECT count(*) FROM pg_database WHERE datname LIKE 'columnseal_doctor%'");
    assert_eq!(left, "0");
    database.superuser("ALTER TABLE seal.types RENAME TO hidden");
    check(url, &[], "catalog: ");
}
