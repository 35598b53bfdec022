//! `columnseal encrypt --dry-run`: what it foretells comes true.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{entries, json, run, shop};
use crate::support::raw::{Raw, query};
use crate::support::{Options, Twin};

const TABLES: &str = include_str!("plain_tables.sql");
const OBJECTS: &str = include_str!("plain.sql");

#[test]
fn what_the_dry_run_foretells_comes_true() {
    let twin = Twin::start();
    twin.workspace.columnseal(&["db", "install", "--database", &twin.plain.url]).ok();
    twin.plain.sql(&TABLES.replace("{email}", "text"));
    twin.plain.sql(OBJECTS);
    twin.plain.sql("INSERT INTO users (id, email, name) VALUES (1, 'ann@x', 'Ann'), (2, 'bob@x', 'Bob')");
    let state = "SELECT md5(string_agg(c::text, ',' ORDER BY c.oid)) FROM pg_class c WHERE c.oid >= 16384";
    let before = twin.plain.sql(state);
    let args = ["encrypt", "public.users.email", "--type", "seal.text_eq", "--dry-run", "--json"];
    let out = run(&twin.workspace, &twin.client, &twin.plain, &args);
    assert_eq!(out.code, 6, "{}{}", out.out, out.err);
    assert_eq!(twin.plain.sql(state), before, "nothing is changed");
    let report = json(&out.out);
    assert_eq!((&report["rows"], &report["nulls"]), (&Value::from(2), &Value::from(0)));
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    let objects = report["objects"].as_array().unwrap();
    let found: BTreeSet<(String, String)> = objects
        .iter()
        .map(|item| (text(item, "effect"), format!("{} {}", text(item, "kind"), text(item, "object"))))
        .collect();
    let all = entries(OBJECTS, &["change", "make anew", "nothing"]);
    let wanted: BTreeSet<(String, String)> =
        all.iter().flat_map(|entry| entry.expected.clone()).filter(|(effect, _)| effect != "nothing").collect();
    let missing: Vec<_> = wanted.difference(&found).collect();
    let more: Vec<_> = found.difference(&wanted).collect();
    assert!(missing.is_empty() && more.is_empty(), "not told: {missing:#?}\ntold without need: {more:#?}");
    let served = |name: &str| objects.iter().find(|item| item["object"] == name).unwrap()["why"].clone();
    assert_eq!(served("public.users_email_idx"), "served by term eq");
    assert_eq!(served("public.s_email"), "of term eq");
    assert!(!out.out.contains("ann@x"), "no value is told");
    // Now with the type, each object by itself through the proxy.
    twin.sealed.sql(&TABLES.replace("{email}", "seal.text_eq"));
    twin.sealed.sql("INSERT INTO users (id, email, name) VALUES (1, 'ann@x', 'Ann')");
    let (mut direct, mut through) = (Raw::connect(twin.cluster.port, "sealed"), twin.raw_sealed());
    let fails = |raw: &mut Raw, sql: &str| raw.ask(&query(sql)).iter().find_map(|message| message.error());
    for entry in &all {
        let (effect, object) = &entry.expected[0];
        let is_function = object.starts_with("function");
        let failed = match effect.as_str() {
            "nothing" => fails(&mut direct, &entry.sql),
            _ if is_function => fails(&mut direct, &format!("SET check_function_bodies = off; {}", entry.sql)),
            _ => fails(&mut through, &entry.sql),
        };
        assert_eq!(failed.is_some(), !is_function && effect == "change", "{effect}: {}\n{failed:?}", entry.sql);
    }
    // The proxy reads the schema anew.
    assert_eq!(fails(&mut through, "CREATE TABLE last (id int)"), None);
    for (entry, call) in all.iter().flat_map(|entry| entry.calls.iter().map(move |call| (entry, call))) {
        let failed = fails(&mut through, call);
        assert_eq!(failed.is_some(), entry.expected[0].0 == "change", "{:?}: {call}\n{failed:?}", entry.expected);
    }
}

#[test]
fn values_that_could_not_be_stored_are_counted() {
    let (_cluster, database, workspace, client) = shop(Options::default());
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY, code varchar(200) NOT NULL, said text, n numeric, list text[]);
         CREATE TABLE parent (id int, e text); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1, 'x');
         INSERT INTO t SELECT i, CASE WHEN i < 4 THEN repeat('z', 90) ELSE 'code ' || i END, CASE WHEN i % 2 = 0 THEN 'hidden' ELSE i::text END, NULL
           FROM generate_series(1, 12000) i",
    );
    let ahead = |column: &str, kind: &str| {
        let out = run(&workspace, &client, &database, &["encrypt", column, "--type", kind, "--dry-run", "--json"]);
        (out.code, json(&out.out))
    };
    let faults = |report: &Value| -> Vec<(String, u64)> {
        let list = report["cannot_be_stored"].as_array().unwrap();
        list.iter().map(|f| (f["sqlstate"].as_str().unwrap().to_owned(), f["values"].as_u64().unwrap())).collect()
    };
    let (code, report) = ahead("t.code", "seal.text_ord");
    assert_eq!(
        (code, faults(&report), &report["rows"]),
        (6, vec![("54000".to_owned(), 3)], &Value::from(12000)),
        "{report}"
    );
    let whys: Vec<&str> = report["objects"].as_array().unwrap().iter().map(|o| o["why"].as_str().unwrap()).collect();
    assert!(whys.iter().any(|why| why.contains("character varying(200)")) && whys.contains(&"NOT NULL"), "{report}");
    let (_, report) = ahead("t.said", "seal.int4_eq");
    assert_eq!(faults(&report), [("22P02".to_owned(), 6000)], "{report}");
    assert!(!report.to_string().contains("hidden"), "no value is told");
    let (code, report) = ahead("t.n", "numeric_eq");
    assert_eq!((code, &report["nulls"], faults(&report)), (0, &Value::from(12000), vec![]), "{report}");
    // What stands at a promoted path must fit it too.
    workspace
        .columnseal(&[
            "type",
            "create",
            "deal",
            "--as",
            "jsonb",
            "--terms",
            "json",
            "--path",
            "total=numeric:ord",
            "--path",
            "who.name=text:ord",
        ])
        .ok();
    database.sql(
        "CREATE TABLE deals (id int, doc jsonb); INSERT INTO deals VALUES (1, '{\"total\": 7}'), (2, '{\"total\": \"hidden\"}'), (3, '{\"total\": []}'), \
         (4, '{\"who\": {\"name\": \"Ada\"}}'), (6, '7'), (7, NULL); INSERT INTO deals SELECT 5, jsonb_build_object('who', jsonb_build_object('name', repeat('z', 90)))",
    );
    let (code, report) = ahead("deals.doc", "seal.deal");
    assert_eq!((code, faults(&report)), (6, vec![("22P02".to_owned(), 2), ("54000".to_owned(), 1)]), "{report}");
    let text = report.to_string();
    assert!(
        text.contains("at promoted path \\\"total\\\"") && text.contains("at promoted path \\\"who.name\\\""),
        "{text}"
    );
    assert!(!text.contains("hidden") && !text.contains("zzz"), "no value is told");
    let (code, report) = ahead("parent.e", "seal.text");
    assert_eq!((code, &report["rows"]), (0, &Value::from(1)), "rows of children count");
    let whys = |column: &str| -> Vec<String> {
        let (_, report) = ahead(column, "seal.text_eq");
        report["objects"].as_array().unwrap().iter().map(|o| o["why"].as_str().unwrap().to_owned()).collect()
    };
    database.sql("CREATE DOMAIN short AS varchar(5); CREATE DOMAIN shorter AS short CHECK (VALUE <> ''); CREATE TABLE odd (p point, d shorter)");
    assert_eq!(
        whys("odd.p"),
        ["it is of type point, and seal.text_eq holds text: statements and applications see that type"]
    );
    assert_eq!(whys("odd.d"), ["the limit of public.shorter is not kept: encrypted values have none"]);
    // Rows that a policy hides count too, or nothing does.
    database.sql("ALTER TABLE parent ENABLE ROW LEVEL SECURITY; ALTER TABLE parent FORCE ROW LEVEL SECURITY");
    let out = run(&workspace, &client, &database, &["encrypt", "parent.e", "--type", "seal.text", "--dry-run"]);
    assert!(out.code == 6 && out.err.contains("row-level security"), "{} {}{}", out.code, out.out, out.err);
    database.sql("ALTER TABLE parent NO FORCE ROW LEVEL SECURITY");
    let (code, report) = ahead("parent.e", "seal.text");
    assert_eq!((code, &report["rows"]), (0, &Value::from(1)), "its owner sees all rows");
    // What cannot be looked at is said in one line.
    database.sql("CREATE VIEW v AS SELECT * FROM t; CREATE TABLE sealed (e seal.text_eq)");
    for (args, why) in [
        (["t.code", "seal.nothing"], "there is no encrypted type seal.nothing"),
        (["t.nothing", "seal.text_eq"], "has no column nothing"),
        (["t.list", "seal.text_eq"], "it would be of type seal.text_eq[]"),
        (["nothing.e", "seal.text_eq"], "there is no table"),
        (["e", "seal.text_eq"], "is no column"),
        (["v.code", "seal.text_eq"], "is not a table"),
        (["sealed.e", "seal.text_eq"], "is encrypted already"),
        (["child.e", "seal.text_eq"], "inherits its columns"),
    ] {
        let out = run(&workspace, &client, &database, &["encrypt", args[0], "--type", args[1], "--dry-run"]);
        assert!(out.code == 1 && out.err.contains(why), "{args:?}: {} {}", out.code, out.err);
    }
    let out = run(&workspace, &client, &database, &["encrypt", "t.code", "--type", "seal.text_ord"]);
    assert_eq!(out.code, 1);
    assert!(out.err.contains("does not convert columns") && out.err.contains("docs/sql.md#ddl"), "{}", out.err);
}
