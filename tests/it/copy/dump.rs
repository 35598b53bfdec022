//! pg_dump and pg_restore: through the proxy in plain, directly as ciphertext.

use std::process::Command;

use super::Pair;
use crate::support::process::run;
use crate::support::{Database, Proxy, ProxyOptions};

const SCHEMA: &str =
    "CREATE TABLE people (id int PRIMARY KEY, email seal.text_eq, born seal.date, note text, doc seal.jsonb);
    CREATE UNIQUE INDEX people_email ON people (email);
    CREATE TABLE notes (id serial PRIMARY KEY, person int REFERENCES people, body seal.text DEFAULT NULL);
    CREATE STATISTICS people_both (mcv) ON note, email FROM people;
    CREATE VIEW mails AS SELECT id, email FROM people;
    INSERT INTO people VALUES (1, 'ada@example.com', '1815-12-10', 'plain', '{\"a\": [1, 2]}'),
        (2, E'tab\\t back\\\\ nl\\n', NULL, NULL, NULL), (3, NULL, 'infinity', '', 'null');
    INSERT INTO notes (person, body) VALUES (1, 'first'), (2, NULL);";

/// To PostgreSQL an expression; one plain column has none of its own.
const SINGLE: &str = "CREATE STATISTICS people_email_stat ON email FROM people";

const STATISTICS: &str = "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext ORDER BY stxname";

const ALL: &str = "SELECT p.*, n.body FROM people p LEFT JOIN notes n ON n.person = p.id ORDER BY p.id";

/// A schema change that is noticed while its transaction begins makes it fail, to be tried again.
pub fn dump(database: &Database, more: &[&str]) -> String {
    let dump = || run(Command::new("pg_dump").arg(&database.url).args(more), "");
    let first = dump();
    if first.err.contains("schema changed") { dump().ok() } else { first.ok() }
}

pub fn restore(database: &Database, dump: &str) {
    // As psql reads a dump: with its COPY data inline.
    run(Command::new("psql").arg(&database.url).args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]), dump).ok();
}

/// Another database of the cluster, with schema `seal`, and a proxy in front of it.
pub fn other(pair: &Pair, installed: bool) -> (Database, Proxy) {
    let twin = &pair.twin;
    let database = twin.cluster.database("other");
    if installed {
        let mut install = twin.workspace.command(&["db", "install"]);
        run(install.env("CS_DATABASE__URL", &database.url), "").ok();
    }
    let proxy = Proxy::start_with(&twin.workspace, &twin.client, &database, &ProxyOptions::default());
    (database, proxy)
}

#[test]
fn a_dump_through_the_proxy_is_plain_and_restores_through_a_proxy() {
    let mut pair = Pair::new(SCHEMA);
    pair.twin.sealed.sql(SINGLE);
    let dumped = dump(&pair.twin.sealed, &["--exclude-schema=seal", "--no-owner"]);
    for value in ["ada@example.com", "1815-12-10", "{\"a\": [1, 2]}", "first", "tab\\t back\\\\ nl\\n"] {
        assert!(dumped.contains(value), "{value} is not in the dump:\n{dumped}");
    }
    let (database, proxy) = other(&pair, true);
    let through = proxy.database(&pair.twin.cluster);
    restore(&through, &dumped);
    assert_eq!(through.sql(ALL), pair.twin.sealed.sql(ALL));
    assert_eq!(through.sql(STATISTICS), pair.twin.direct.sql(STATISTICS));
    assert_eq!(through.sql("SELECT id FROM people WHERE email = 'ada@example.com'"), "1\n");
    assert!(!database.sql("SELECT string_agg(p::text, '') FROM people p").contains("ada@"), "ciphertext is stored");
    pair.same("SELECT 1");
}

#[test]
fn a_direct_dump_keeps_ciphertext_that_another_proxy_reads() {
    let pair = Pair::new(SCHEMA);
    pair.twin.sealed.sql(SINGLE);
    let file = pair.twin.workspace.dir().join("dump");
    let path = file.to_str().unwrap();
    dump(&pair.twin.direct, &["--format=custom", "--no-owner", "--file", path]);
    assert!(!String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains("ada@example.com"));
    let (database, proxy) = other(&pair, false);
    run(Command::new("pg_restore").args(["--no-owner", "--dbname", &database.url, path]), "").ok();
    let through = proxy.database(&pair.twin.cluster);
    assert_eq!(through.sql(ALL), pair.twin.sealed.sql(ALL));
    assert_eq!(through.sql(STATISTICS), pair.twin.direct.sql(STATISTICS));
    assert_eq!(through.sql("SELECT id FROM people WHERE email = 'ada@example.com'"), "1\n");
}
