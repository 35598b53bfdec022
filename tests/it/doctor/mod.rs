//! `columnseal doctor` and `columnseal encrypt --dry-run`: what they say of a database, and that it is so.

mod ahead;
mod dumped;
mod planned;
mod setup;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::process::Output;
use crate::support::raw::{Raw, query};
use crate::support::twin::plain;
use crate::support::workspace::ClientCredentials;
use crate::support::{Cluster, Database, Options, ProxyOptions, Twin, Workspace};

const TABLES: &str = include_str!("tables.sql");
const BROKEN: &str = include_str!("broken.sql");
const FINE: &str = include_str!("fine.sql");
const THROUGH: &str = include_str!("through.sql");

/// Statements of a file, what is expected of the objects that they make, and statements that use them.
struct Entry {
    /// `fault` and `view public.v`, for each object that something is said of.
    expected: Vec<(String, String)>,
    sql: String,
    calls: Vec<String>,
}

/// An entry begins with a comment `-- WORD: object`, for several objects with several.
fn entries(text: &str, words: &[&str]) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    for line in text.lines() {
        let head = line.strip_prefix("-- ").and_then(|line| line.split_once(": "));
        match head {
            Some((word, object)) if words.contains(&word) => {
                let expected = (word.to_owned(), object.to_owned());
                match out.last_mut().filter(|entry| entry.sql.is_empty()) {
                    Some(entry) => entry.expected.push(expected),
                    None => out.push(Entry { expected: vec![expected], sql: String::new(), calls: Vec::new() }),
                }
            }
            Some(("call", call)) => out.last_mut().unwrap().calls.push(call.to_owned()),
            _ if line.starts_with("--") => {}
            _ => {
                if let Some(entry) = out.last_mut() {
                    entry.sql += line;
                    entry.sql += "\n";
                }
            }
        }
    }
    out
}

/// A database with schema `seal`, and a client that may use its workspace.
fn shop(options: Options) -> (Cluster, Database, Workspace, ClientCredentials) {
    let cluster = Cluster::start(options);
    let database = cluster.database("shop");
    let workspace = Workspace::init(&database);
    let client = workspace.client_create("web", &["default"]);
    (cluster, database, workspace, client)
}

/// Runs `columnseal ARGS` as the proxy's client on this database.
fn run(workspace: &Workspace, client: &ClientCredentials, database: &Database, args: &[&str]) -> Output {
    let mut command = workspace.command(args);
    command.env("CS_CLIENT_ID", &client.id).env("CS_CLIENT_KEY", &client.key).env("CS_DATABASE__URL", &database.url);
    crate::support::process::run(&mut command, "")
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A database full of objects, and its plain twin with the same as far as it can have them.
fn built() -> Twin {
    let twin = Twin::start_with(Options::default(), &ProxyOptions::default());
    twin.sealed.sql(TABLES);
    for text in [BROKEN, FINE] {
        twin.direct.sql(text);
    }
    // Last, and through the proxy: then it knows of the others.
    twin.sealed.sql(THROUGH);
    let mut raw = twin.raw_plain();
    for statement in [TABLES, BROKEN, FINE, THROUGH].into_iter().flat_map(statements) {
        raw.query(&plain(&statement));
    }
    twin
}

/// The statements of a file, one by one: they end with a line's end.
fn statements(text: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    for line in text.lines().filter(|line| !line.starts_with("--")) {
        quoted ^= line.matches("$$").count() % 2 == 1;
        let last = out.last_mut().unwrap();
        *last += line;
        *last += "\n";
        if !quoted && line.ends_with(';') {
            out.push(String::new());
        }
    }
    out.retain(|statement| !statement.trim().is_empty());
    out
}

#[test]
fn doctor_names_every_object_that_breaks_and_no_other() {
    let twin = built();
    twin.direct.superuser("ALTER ROLE app CREATEDB");
    let out = run(&twin.workspace, &twin.client, &twin.direct, &["doctor", "--json"]);
    assert_eq!(out.code, 6, "{}{}", out.out, out.err);
    let report = json(&out.out);
    let checks = report["checks"].as_array().unwrap();
    let text = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
    let of_objects = checks.iter().filter(|check| !text(check, "object").is_empty());
    let found: BTreeSet<(String, String)> = of_objects
        .map(|check| (text(check, "level"), format!("{} {}", text(check, "check"), text(check, "object"))))
        .collect();
    let wanted: BTreeSet<(String, String)> =
        entries(BROKEN, &["fault", "warning"]).into_iter().flat_map(|entry| entry.expected).collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    let more: Vec<_> = found.difference(&wanted).collect();
    let told = |check: &&Value| more.iter().any(|(_, named)| named.ends_with(&text(check, "object")));
    let told: Vec<&Value> = checks.iter().filter(|c| !text(c, "object").is_empty()).filter(told).collect();
    assert!(missing.is_empty() && more.is_empty(), "not named: {missing:#?}\nnamed though it works: {told:#?}");
    for check in checks.iter().filter(|check| text(check, "level") != "ok") {
        assert!(!text(check, "why").is_empty() && !text(check, "advice").is_empty(), "{check}");
    }
    let set_up = checks.iter().filter(|check| text(check, "object").is_empty());
    assert!(set_up.clone().all(|check| text(check, "level") == "ok"), "{:#?}", set_up.collect::<Vec<_>>());
    let scratch = "SELECT count(*) FROM pg_database WHERE datname LIKE 'columnseal_doctor%'";
    assert_eq!(twin.direct.superuser(scratch), "0", "the database that the dump was tried in is gone");
    // For people the same, in the same order.
    let shown = run(&twin.workspace, &twin.client, &twin.direct, &["doctor"]).out;
    let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(lines.len(), checks.len() + 1, "{shown}");
    for (line, check) in lines.iter().zip(checks).filter(|(_, check)| text(check, "check") != "lease") {
        assert!(line.starts_with(&text(check, "level")) && line.ends_with(&text(check, "why")), "{line}\n{check}");
    }
    assert!(!shown.contains("ann@x") && !out.out.contains("ann@x"), "no value is told");
}

/// What a connection answers to statements in a transaction that is rolled back: rows in any order, or the first error.
fn answer(raw: &mut Raw, statements: &[String]) -> Result<Vec<String>, String> {
    raw.query("BEGIN");
    let mut rows = Vec::new();
    let mut failed = None;
    for statement in statements {
        let messages = raw.ask(&query(statement));
        if let Some(error) = messages.iter().find_map(|m| m.error()) {
            failed = Some(error.code);
            break;
        }
        let mut own: Vec<String> = messages.iter().filter(|m| m.tag == b'D').map(ToString::to_string).collect();
        own.sort();
        rows.extend(own);
    }
    raw.query("ROLLBACK");
    failed.map_or(Ok(rows), Err)
}

/// Statements that use what an entry makes: views are read, triggers fire, functions are called.
fn uses(entry: &Entry) -> Vec<Vec<String>> {
    let mut out: Vec<Vec<String>> = entry.calls.iter().map(|call| vec![call.clone()]).collect();
    let words: Vec<&str> = entry.sql.split_whitespace().collect();
    for (i, word) in words.iter().enumerate() {
        match *word {
            "VIEW" => out.push(vec![format!("SELECT * FROM {}", words[i + 1])]),
            "TRIGGER" => {
                let on = words[i..].iter().position(|word| *word == "ON").unwrap();
                out.push(fires(words[i + on + 1]));
            }
            _ => {}
        }
    }
    out
}

/// Writes to a table with a trigger, and reads what came of it.
fn fires(table: &str) -> Vec<String> {
    let statements = match table {
        "b_plain_into_on" => vec![format!("INSERT INTO {table} (id, title) VALUES (7, 'x@x')")],
        "events" => vec![
            "INSERT INTO events (id, title) VALUES (1, 'a')".to_owned(),
            "UPDATE events SET title = 'b'".to_owned(),
        ],
        "b_array_changed_on" | "f_lists_on" => vec![
            format!("INSERT INTO {table} (id, emails) VALUES (1, '{{a@x,b@x}}'), (2, NULL)"),
            format!("UPDATE {table} SET emails = '{{c@x,d@x}}' WHERE id = 1"),
        ],
        _ => vec![
            format!(
                "INSERT INTO {table} (id, email, other, born, bio, secret, name, age) VALUES \
                 (1, 'ann@x', 'o@x', '2000-01-01', 'hello', 's', 'Ann', 5)"
            ),
            format!("UPDATE {table} SET age = 8, email = 'new@x', born = '2001-01-01'"),
        ],
    };
    let read = [
        format!("SELECT * FROM {table}"),
        "SELECT what FROM notes".into(),
        "SELECT * FROM history".into(),
        "SELECT id, email FROM people".into(),
    ];
    statements.into_iter().chain(read).collect()
}

#[test]
fn what_doctor_says_of_functions_views_and_triggers_is_so() {
    let twin = built();
    let (mut direct, mut through) = twin.raw();
    let mut used = 0;
    let broken = entries(BROKEN, &["fault", "warning"]);
    for entry in broken.iter().filter(|entry| entry.expected[0].0 == "fault") {
        for statements in uses(entry) {
            used += 1;
            let (plain, sealed) = (answer(&mut direct, &statements), answer(&mut through, &statements));
            assert!(sealed != plain, "{:?} works:\n{statements:#?}\n{sealed:#?}", entry.expected);
            // What names a part of a ciphertext is nothing that a plain table has.
            let parts = entry.expected[0].1 == "view public.b_attribute";
            assert_eq!(plain.is_err(), parts, "{:?} on plain tables:\n{statements:#?}\n{plain:#?}", entry.expected);
            assert!(sealed.is_err() || !parts, "{:?} works:\n{statements:#?}", entry.expected);
        }
    }
    assert!(used > 35, "only {used} uses of what breaks");
    used = 0;
    let fine: Vec<Entry> = [FINE, THROUGH]
        .into_iter()
        .flat_map(|text| text.split_inclusive(";\n"))
        .map(|sql| {
            let calls = sql.lines().filter_map(|line| line.strip_prefix("-- call: ").map(str::to_owned)).collect();
            let sql = sql.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
            Entry { expected: Vec::new(), sql, calls }
        })
        .collect();
    for statements in fine.iter().flat_map(uses) {
        used += 1;
        let (plain, sealed) = (answer(&mut direct, &statements), answer(&mut through, &statements));
        assert_eq!(sealed, plain, "{statements:#?}");
    }
    assert!(used > 25, "only {used} uses of what works");
}
