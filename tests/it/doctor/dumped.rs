//! The trial of a dump: it is made by a connection like all others, and leaves nothing behind, or says what.

use std::process::Stdio;

use super::shop;
use crate::support::process::{self, Tied};
use crate::support::workspace::ClientCredentials;
use crate::support::{Auth, Cluster, Database, Options, Workspace, eventually};

/// Settings of libpq that lead nowhere, as a shell may have them.
const ASTRAY: &[(&str, &str)] = &[
    ("PGHOST", "/nowhere"),
    ("PGHOSTADDR", "127.0.0.9"),
    ("PGPORT", "9"),
    ("PGUSER", "nobody"),
    ("PGPASSWORD", "wrong"),
    ("PGPASSFILE", "/nowhere"),
    ("PGSERVICE", "nothing"),
    ("PGSSLMODE", "require"),
    ("PGSSLCERT", "/nowhere"),
    ("PGREQUIREPEER", "nobody"),
    ("PGOPTIONS", "-c nothing=1"),
    ("PGCLIENTENCODING", "nothing"),
];

#[test]
fn the_dump_connects_as_all_connections_do() {
    let options = Options { auth: Auth::Scram, tls: true, tls_only: true, ..Options::default() };
    let (cluster, database, workspace, client) = shop(options);
    database.superuser("ALTER ROLE app CREATEDB");
    let passfile = workspace.dir().join("pgpass");
    std::fs::write(&passfile, format!("*:{}:*:app:app secret\n", cluster.port)).unwrap();
    std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let url = format!(
        "postgres://app@127.0.0.1:9,localhost:{}/shop?sslmode=verify-full&sslrootcert={}&passfile={}",
        cluster.port,
        cluster.ca().display(),
        passfile.display()
    );
    let mut command = workspace.command(&["doctor"]);
    command.env("CS_CLIENT_ID", &client.id).env("CS_CLIENT_KEY", &client.key).env("CS_DATABASE__URL", &url);
    let out = process::run(command.envs(ASTRAY.iter().copied()), "");
    assert!(out.out.contains("a dump of the schema restores into a new database"), "{}{}", out.out, out.err);
    assert_eq!(out.code, 0, "{}", out.out);
}

/// A database whose dump is restored as soon as `shop` holds table `go`, and not before.
fn slow() -> (Cluster, Database, Workspace, ClientCredentials) {
    let (cluster, database, workspace, client) = shop(Options::default());
    database.superuser("ALTER ROLE app CREATEDB");
    // An index holds what its expression is for constants.
    database.sql(
        "CREATE FUNCTION waits(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
         BEGIN IF current_database() <> 'shop' THEN PERFORM pg_catalog.pg_sleep(600); END IF; RETURN $1; END $$;
         CREATE TABLE late (id int); CREATE INDEX ON late ((id + waits(1)))",
    );
    (cluster, database, workspace, client)
}

/// Runs doctor until it restores the dump, then this; what it says of the dump.
fn meanwhile(set_up: &(Cluster, Database, Workspace, ClientCredentials), act: impl FnOnce(&Tied)) -> String {
    let (_, database, workspace, client) = set_up;
    let mut command = workspace.command(&["doctor", "--json"]);
    command.env("CS_CLIENT_ID", &client.id).env("CS_CLIENT_KEY", &client.key).env("CS_DATABASE__URL", &database.url);
    let said = workspace.dir().join("said.json");
    command.stdout(std::fs::File::create(&said).unwrap()).stdin(Stdio::null());
    let mut doctor = Tied::spawn(&mut command, "TERM", None);
    let restoring =
        "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'columnseal_doctor%' AND wait_event = 'PgSleep'";
    eventually("the dump is restored", || (database.superuser(restoring) == "1").then_some(()));
    act(&doctor);
    assert_eq!(doctor.wait().code(), Some(0));
    let report = super::json(&std::fs::read_to_string(&said).unwrap());
    let of_dump = report["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "dump");
    of_dump.map(|check| format!("{}: {}\n", check["level"].as_str().unwrap(), check["why"].as_str().unwrap())).collect()
}

#[test]
fn the_database_of_the_trial_is_dropped_or_named() {
    let set_up = slow();
    let database = &set_up.1;
    let left =
        || database.superuser("SELECT string_agg(datname, ',') FROM pg_database WHERE datname LIKE 'columnseal%'");
    let not_tried = |said: &str| said.lines().count() == 1 && said.starts_with("warning: it was not tried");
    for signal in ["TERM", "INT", "HUP"] {
        let said = meanwhile(&set_up, |doctor| doctor.signal(signal));
        assert!(not_tried(&said) && said.contains("it was interrupted"), "{said}");
        assert_eq!(left(), "∅", "after {signal}");
    }
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'";
    let said = meanwhile(&set_up, |_| drop(database.superuser(cut)));
    assert!(not_tried(&said), "{said}");
    assert_eq!(left(), "∅", "after both connections were lost");
    let said = meanwhile(&set_up, |_| drop(database.superuser(&format!("ALTER ROLE app NOLOGIN; {cut}"))));
    assert!(
        said.contains(&format!("warning: database {}, in which it was tried, could not be dropped", left())),
        "{said}"
    );
}
