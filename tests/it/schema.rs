//! The `seal` schema, the registry, the catalog snapshot and pins, on real databases, as a role that is no
//! superuser and owns only its database. What is version dependent runs on every major version at hand.

use std::collections::HashSet;

use columnseal::crypto::TypeId;
use columnseal::schema::catalog::{Catalog, Column, Relation, Standing};
use columnseal::schema::database::{self, Installed};
use columnseal::schema::install::{VERSION, install_sql};
use columnseal::schema::{SchemaError, pins, registry, snapshot};
use columnseal::wire::value::PlainType;

use crate::support::Options;
use crate::support::cluster::{self, Cluster, Database};

fn clusters() -> Vec<Cluster> {
    cluster::versions()
        .into_iter()
        .map(|v| Cluster::start(Options { version: Some(v), ..Options::default() }))
        .collect()
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(test)
}

/// A database with the schema in it.
fn installed(cluster: &Cluster, name: &str) -> Database {
    let db = cluster.database(name);
    run(async { database::install(&db.connect().await).await }).unwrap();
    db
}

fn load(db: &Database, signed: &[(TypeId, String)], trusted: &[&str]) -> Catalog {
    let trusted: Vec<String> = trusted.iter().map(ToString::to_string).collect();
    run(async { database::load(&db.connect().await, signed, &trusted, true).await }).unwrap()
}

/// Runs SQL that must fail; its SQLSTATE and message.
#[track_caller]
fn refused(db: &Database, sql: &str) -> String {
    db.psql(sql).failed()
}

#[track_caller]
fn assert_refused(db: &Database, sql: &str, words: &[&str]) {
    let said = refused(db, sql);
    for word in words {
        assert!(said.contains(word), "{sql}\nsaid: {said}\nwithout: {word}");
    }
}

fn relation<'a>(catalog: &'a Catalog, schema: &str, name: &str) -> &'a Relation {
    catalog.relation(schema, name).unwrap_or_else(|| panic!("no relation {schema}.{name}"))
}

fn column<'a>(catalog: &'a Catalog, table: &str, name: &str) -> &'a Column {
    let relation = relation(catalog, "public", table);
    relation.columns.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("no column {table}.{name}"))
}

#[test]
fn installs_once_and_upgrades_in_place() {
    for cluster in clusters() {
        let db = cluster.database("shop");
        run(async {
            let client = db.connect().await;
            assert_eq!(database::version(&client).await.unwrap(), None);
            assert_eq!(database::install(&client).await.unwrap(), Installed::New(VERSION));
            assert_eq!(database::install(&client).await.unwrap(), Installed::Current(VERSION));
        });
        db.sql(&install_sql());
        db.sql(
            "SELECT seal.create_type('email', 'text', 'eq');
             CREATE TABLE u (id int PRIMARY KEY, email seal.email);
             CREATE UNIQUE INDEX u_email ON u (((email).eq));
             INSERT INTO u VALUES (1, ROW('1', '\\x00', '00000000-0000-0000-0000-000000000001'))",
        );
        // An older version: another marker, an operator and a function less, a row of old.
        let state = "SELECT c.relfilenode, c.oid, t.id, (SELECT email::text FROM u) FROM pg_class c, seal.types t \
                     WHERE c.relname = 'u_email' AND t.name = 'email'";
        let before = db.sql(state);
        db.sql(
            "CREATE OR REPLACE FUNCTION seal.version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
             DROP OPERATOR seal.<> (seal.email, seal.email);
             DROP FUNCTION seal.op_not_equal(seal.email, seal.email);
             CREATE OR REPLACE FUNCTION seal.op_less(seal.email, seal.email) RETURNS bool LANGUAGE sql AS 'SELECT true';
             DROP FUNCTION seal.create_type(text, text, text, json, json);
             CREATE FUNCTION seal.create_type(name text, plaintext_type text, terms text DEFAULT '', options json DEFAULT '{}') RETURNS regtype
             LANGUAGE sql AS 'SELECT NULL::regtype'",
        );
        let upgraded = run(async { database::install(&db.connect().await).await });
        assert_eq!(upgraded.unwrap(), Installed::Upgraded { from: 0, to: VERSION });
        assert_eq!(db.sql(state), before);
        db.sql("SELECT 1 FROM u WHERE email OPERATOR(seal.<>) email");
        db.sql("SELECT seal.create_type('note', 'text'); SELECT seal.create_type('doc', 'jsonb', paths => '{\"a.b\": \"int4:ord\"}')");
        assert_eq!(db.sql("SELECT ((NULL::seal.doc).p).p1 IS NULL").trim(), "t");
        assert_refused(&db, "SELECT 1 FROM u WHERE email OPERATOR(seal.<) email", &["0A000"]);
        db.sql("CREATE OR REPLACE FUNCTION seal.version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 99'");
        let newer = run(async { database::install(&db.connect().await).await });
        assert!(matches!(newer, Err(SchemaError::Newer { installed: 99, known: VERSION })), "{newer:?}");
        assert_refused(&db, &format!("BEGIN; {}; COMMIT", install_sql()), &["55000", "99"]);
    }
}

#[test]
fn does_not_touch_a_schema_it_did_not_make() {
    let cluster = Cluster::plain();
    let db = cluster.database("shop");
    db.sql("CREATE SCHEMA seal; CREATE TABLE seal.stamps (id int)");
    let failed = run(async { database::install(&db.connect().await).await });
    assert!(
        matches!(&failed, Err(SchemaError::Database(e)) if e.code().is_some_and(|c| c.code() == "42P06")),
        "{failed:?}"
    );
    assert_eq!(db.sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'seal'::regnamespace").trim(), "1");
    // A role that may not create schemas gets PostgreSQL's own answer, and nothing is left half made.
    let other = cluster.database("other");
    other.superuser("ALTER DATABASE other OWNER TO postgres; REVOKE CREATE ON DATABASE other FROM PUBLIC");
    let failed = run(async { database::install(&other.connect().await).await });
    assert!(
        matches!(&failed, Err(SchemaError::Database(e)) if e.code().is_some_and(|c| c.code() == "42501")),
        "{failed:?}"
    );
}

#[test]
fn two_installations_at_once() {
    let cluster = Cluster::plain();
    let db = cluster.database("shop");
    run(async {
        let (one, two) = (db.connect().await, db.connect().await);
        let (one, two) = tokio::join!(database::install(&one), database::install(&two));
        one.unwrap();
        two.unwrap();
    });
    assert_eq!(db.sql("SELECT seal.version()").trim(), VERSION.to_string());
}

#[test]
fn every_ready_made_type_stores_and_compares() {
    for cluster in clusters() {
        let db = installed(&cluster, "shop");
        for kind in PlainType::all() {
            let name = kind.name();
            db.sql(&format!(
                "CREATE TABLE s_{name} (v seal.{name}); INSERT INTO s_{name} VALUES (ROW('1', '\\xc1')), (NULL);
                 CREATE TABLE a_{name} (v seal.{name}[]); INSERT INTO a_{name} SELECT array_agg(v) FROM s_{name}"
            ));
            for op in ["=", "<>", "<", "<=", ">", ">="] {
                let term = if matches!(op, "=" | "<>") { "\"eq\"" } else { "\"ord\"" };
                let sql = format!("SELECT 1 FROM s_{name} WHERE v OPERATOR(seal.{op}) v");
                assert_refused(&db, &sql, &["0A000", &format!("operator {op} "), &format!("seal.{name}:"), term]);
            }
            if !kind.has_equality() {
                assert_eq!(db.sql(&format!("SELECT to_regtype('seal.{name}_eq')")).trim(), "∅");
                continue;
            }
            let term = "00000000-0000-0000-0000-00000000000";
            db.sql(&format!(
                "CREATE TABLE e_{name} (v seal.{name}_eq);
                 INSERT INTO e_{name} VALUES (ROW('1', '\\xc1', '{term}1')), (ROW('1', '\\xc2', '{term}2')), (NULL)"
            ));
            let count =
                |filter: &str| db.sql(&format!("SELECT count(*) FROM e_{name} WHERE {filter}")).trim().to_owned();
            let operand = format!("ROW('1', '', '{term}1')::seal.{name}_eq");
            assert_eq!(count(&format!("v OPERATOR(seal.=) {operand}")), "1", "{name}");
            assert_eq!(count(&format!("v OPERATOR(seal.<>) {operand}")), "1", "{name}");
            assert_eq!(count(&format!("(v).eq = ANY (seal.eq(ARRAY[{operand}, NULL]))")), "1", "{name}");
            assert_eq!(count(&format!("seal.eq(v) = '{term}2'")), "1", "{name}");
            assert_eq!(count(&format!("(v).eq = ANY (seal.eq(NULL::seal.{name}_eq[])) IS NULL")), "3", "{name}");
            assert_eq!(count("v IS NULL"), "1", "{name}");
            assert_eq!(count("v IS NOT NULL"), "2", "{name}");
            let sql = format!("SELECT 1 FROM e_{name} WHERE v OPERATOR(seal.<) v");
            assert_refused(&db, &sql, &["0A000", "operator < ", &format!("seal.{name}_eq:"), "\"ord\""]);
        }
    }
}

#[test]
fn missing_terms_are_said_wherever_they_are_missing() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    db.sql("CREATE TABLE empty (e seal.text_eq, s seal.text); CREATE TABLE t (e seal.text_eq, s seal.text); INSERT INTO t VALUES (NULL, NULL)");
    for op in ["~~", "!~~", "~~*", "!~~*", "~", "!~", "~*", "!~*", "^@", "@@"] {
        let words = ["0A000", &format!("operator {op} "), "seal.text_eq:", "\"match\""];
        // No row, a NULL operand, an outer join's NULL: still no comparison.
        assert_refused(&db, &format!("SELECT 1 FROM empty WHERE e OPERATOR(seal.{op}) e"), &words);
        assert_refused(&db, &format!("SELECT 1 FROM t WHERE e OPERATOR(seal.{op}) NULL::seal.text_eq"), &words);
    }
    assert_refused(
        &db,
        "SELECT * FROM t a LEFT JOIN empty b ON a.s OPERATOR(seal.=) b.s",
        &["0A000", "operator =", "seal.text:"],
    );
    assert_refused(&db, "CREATE INDEX ON t ((e OPERATOR(seal.<) e)); SELECT 1", &["0A000"]);
    for sql in ["EXPLAIN SELECT 1 FROM t WHERE s OPERATOR(seal.=) s", "DELETE FROM t WHERE s OPERATOR(seal.<>) s"] {
        assert_refused(&db, sql, &["0A000", "HINT"]);
    }
    db.sql("CREATE TABLE j (d seal.jsonb)");
    for op in ["@>", "<@", "?", "?|", "?&", "@?", "@@", "->", "->>", "#>", "#>>"] {
        let words = ["0A000", &format!("operator {op} "), "seal.jsonb:", "\"json\""];
        assert_refused(&db, &format!("SELECT 1 FROM j WHERE (d OPERATOR(seal.{op}) d)"), &words);
    }
}

#[test]
fn misuse_fails_in_the_database() {
    for cluster in clusters() {
        let db = installed(&cluster, "shop");
        db.sql(
            "SELECT seal.create_type('email', 'text', 'eq'); SELECT seal.create_type('login', 'text', 'eq');
             CREATE TABLE u (id int, email seal.email, login seal.login);
             INSERT INTO u SELECT i, ROW('1', '\\x00', gen_random_uuid())::seal.email, ROW('1', '\\x00', gen_random_uuid())::seal.login
               FROM generate_series(1, 3) i",
        );
        for sql in [
            "SELECT email FROM u GROUP BY email",
            "SELECT DISTINCT email FROM u",
            "SELECT DISTINCT ON (email) id FROM u",
            "SELECT count(DISTINCT email) FROM u",
            "SELECT email FROM u ORDER BY email",
            "SELECT min(email) FROM u",
            "SELECT email FROM u UNION SELECT email FROM u",
            "SELECT email FROM u EXCEPT SELECT email FROM u",
            "SELECT row_number() OVER (PARTITION BY email) FROM u",
            "SELECT array_agg(id ORDER BY email) FROM u",
            "SELECT 1 FROM u a JOIN u b USING (email)",
            "SELECT 1 FROM u WHERE email = email",
            "SELECT 1 FROM u WHERE email < email",
            "SELECT 1 FROM u WHERE email IN (SELECT email FROM u)",
            "SELECT NULLIF(email, email) FROM u",
            "SELECT 1 FROM u WHERE email IS DISTINCT FROM email",
            "SELECT 1 FROM u WHERE ROW(id, email) = ROW(1, email)",
            "SELECT 1 FROM u WHERE email = 'a@b'",
            "SELECT 1 FROM u WHERE email = 'a@b'::text",
            "SELECT 1 FROM u WHERE email OPERATOR(seal.=) 'a@b'",
            "SELECT 1 FROM u WHERE email LIKE 'a%'",
            "SELECT 1 FROM u WHERE email OPERATOR(seal.=) login",
            "SELECT lower(email) FROM u",
            "SELECT length(email) FROM u",
            "SELECT sum(email) FROM u",
            "INSERT INTO u (email) VALUES ('a@b')",
            "INSERT INTO u (email) SELECT 'a@b'::text",
            "UPDATE u SET email = login",
            "CREATE UNIQUE INDEX ON u (email)",
        ] {
            refused(&db, sql);
        }
    }
}

#[test]
fn operators_use_indexes_and_joins_hash() {
    for cluster in clusters() {
        let db = installed(&cluster, "shop");
        db.sql(
            "CREATE TABLE u (id int, email seal.text_eq);
             INSERT INTO u SELECT i, ROW('1', '\\x00', md5(i::text)::uuid)::seal.text_eq FROM generate_series(1, 5000) i;
             CREATE INDEX u_eq ON u (((email).eq)); ANALYZE u",
        );
        let operand = "ROW('1', '', md5('77')::uuid)::seal.text_eq";
        let prepare = "PREPARE p(seal.text_eq) AS SELECT id FROM u WHERE email OPERATOR(seal.=) $1;
                       PREPARE q(seal.text_eq[]) AS SELECT id FROM u WHERE (email).eq = ANY (seal.eq($1));";
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let plan = |what: &str| {
                db.sql(&format!("SET plan_cache_mode = {mode}; {prepare} EXPLAIN (COSTS OFF) EXECUTE {what}"))
            };
            let run = |what: &str| db.sql(&format!("SET plan_cache_mode = {mode}; {prepare} EXECUTE {what}"));
            for what in [format!("p({operand})"), format!("q(ARRAY[{operand}])")] {
                let plan = plan(&what);
                assert!(plan.contains("u_eq") && !plan.contains("Seq Scan"), "{} {mode}\n{plan}", cluster.version);
                assert_eq!(run(&what).trim(), "77");
            }
        }
        let join = db.sql("EXPLAIN (COSTS OFF) SELECT * FROM u a JOIN u b ON a.email OPERATOR(seal.=) b.email");
        assert!(join.contains("Hash Join") || join.contains("Merge Join"), "{join}");
        let parallel = db.sql(
            "SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET enable_indexscan = off;
             SET enable_bitmapscan = off; EXPLAIN (COSTS OFF) SELECT count(*) FROM u WHERE email OPERATOR(seal.<>) email",
        );
        assert!(parallel.contains("Parallel Seq Scan"), "{parallel}");
    }
}

#[test]
fn search_path_does_not_matter() {
    let cluster = Cluster::plain();
    let db = cluster.database("shop");
    // Things of the same names, first in the path.
    db.sql(
        "CREATE SCHEMA evil;
         CREATE FUNCTION evil.eq_any(uuid, uuid) RETURNS bool LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR evil.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = evil.eq_any);
         CREATE FUNCTION evil.oids(oid, oid) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
         CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.oids);
         CREATE FUNCTION evil.unnest(anyarray) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
         CREATE DOMAIN evil.text AS int; CREATE DOMAIN evil.uuid AS int; CREATE DOMAIN evil.bool AS int;
         ALTER ROLE app IN DATABASE shop SET search_path = evil, pg_catalog",
    );
    let db = installed_again(db);
    db.sql("SELECT seal.create_type('email', 'text', 'eq')");
    for path in ["evil, pg_catalog", "''", "seal, pg_catalog", "pg_temp, seal, public"] {
        let set = format!("SET search_path = {path};");
        db.sql(&format!("{set} SELECT seal.create_type('t_' || abs(hashtext('{path}')), 'int4', 'eq')"));
        let operand = |last: u8| format!("ROW('1', '', '00000000-0000-0000-0000-00000000000{last}')::seal.email");
        let same = db.sql(&format!("{set} SELECT {} OPERATOR(seal.=) {}", operand(1), operand(2)));
        assert_eq!(same.trim(), "f", "{path}");
        let any = db.sql(&format!("{set} SELECT pg_catalog.array_length(seal.eq(ARRAY[{}]), 1)", operand(1)));
        assert_eq!(any.trim(), "1", "{path}");
        for query in snapshot::SNAPSHOT_QUERIES.iter().chain([&snapshot::CHANGE_PROBE]) {
            db.sql(&format!("{set} {query}"));
        }
        assert_eq!(db.sql(&format!("{set} {}", snapshot::CHANGE_PROBE)), db.sql(snapshot::CHANGE_PROBE), "{path}");
    }
}

fn installed_again(db: Database) -> Database {
    run(async { database::install(&db.connect().await).await }).unwrap();
    db
}

#[test]
fn create_type_says_what_is_wrong() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    let long = "a".repeat(64);
    for (call, words) in [
        ("'Email', 'text'", &["42602", "'Email'", "HINT"][..]),
        ("'e\"x', 'text'", &["42602"]),
        ("'e''; DROP TABLE seal.types; --', 'text'", &["42602"]),
        ("'', 'text'", &["42602"]),
        ("'_email', 'text'", &["42602"]),
        ("'ü', 'text'", &["42602"]),
        (&format!("'{long}', 'text'"), &["42622"]),
        ("NULL, 'text'", &["22004"]),
        ("'email', NULL", &["22004"]),
        ("'types', 'text'", &["42710"]),
        ("'text', 'text'", &["42939"]),
        ("'int4_ord', 'int4'", &["42939"]),
        ("'text_search', 'text'", &["42939"]),
        ("'email', 'point'", &["42704", "'point'", "timestamptz"]),
        ("'email', 'int4', 'eq, match'", &["0A000", "\"match\"", "citext"]),
        ("'email', 'text', 'eq', '{\"approximate\": true}'", &["22023", "match"]),
        ("'email', 'text', 'match', '{\"approximate\": 1}'", &["22023", "approximate"]),
        ("'email', 'jsonb', 'ord'", &["0A000", "\"ord\""]),
        ("'email', 'enum', 'eq, ord'", &["0A000", "\"ord\""]),
        ("'flag', 'bool', 'ord'", &["22023", "force"]),
        ("'email', 'text', 'json'", &["0A000", "\"json\""]),
        ("'email', 'text', 'equality'", &["22023", "'equality'"]),
        ("'email', 'json', 'eq'", &["0A000", "jsonb"]),
        ("'flag', 'bool', 'eq'", &["22023", "force"]),
        ("'email', 'text', '', '[]'", &["22023"]),
        ("'email', 'text', '', NULL", &["22023"]),
        ("'email', 'text', '', '{\"pading\": \"none\"}'", &["22023", "'pading'", "padding"]),
        ("'email', 'text', '', '{\"padding\": 16}'", &["22023"]),
        ("'email', 'text', '', '{\"padding\": null}'", &["22023"]),
        ("'email', 'text', '', '{\"padding\": \"32\"}'", &["22023"]),
        ("'email', 'text', '', '{\"keyset\": \"default\"}'", &["22023"]),
        ("'email', 'text', '', '{\"force\": 1}'", &["22023"]),
        ("'email', 'text', 'eq', '{\"hardened\": true}'", &["22023", "hardened", "\"ord\""]),
        ("'email', 'text', 'eq,ord', '{\"hardened\": 16}'", &["22023", "hardened"]),
        ("'email', 'text', 'match', '{\"whole\": false}'", &["22023", "'whole'"]),
    ] {
        assert_refused(&db, &format!("SELECT seal.create_type({call})"), words);
    }
    assert_eq!(db.sql("SELECT count(*) FROM seal.types").trim(), registry::ready_made().len().to_string());
    for (call, row) in [
        ("'select', ' Integer ', ' EQ '", "select|int4|eq|{}|∅"),
        (&format!("'{}', 'character varying', ''", &long[..63]), &format!("{}|varchar||{{}}|∅", &long[..63])),
        ("'flag', 'bool', 'eq', '{\"force\": true}'", "flag|bool|eq|{}|∅"),
        ("'doc', 'jsonb', 'json'", "doc|jsonb|json|{}|∅"),
        (
            "'rough', 'text', 'match, ord', '{\"approximate\": true}'",
            "rough|text|ord,match|{\"whole\": true, \"approximate\": true}|∅",
        ),
        ("'score', 'int4', 'ord', '{\"hardened\": true}'", "score|int4|ord|{\"hardened\": true}|∅"),
        ("'secret', 'bytea', NULL, '{\"padding\": \"none\"}'", "secret|bytea||{\"padding\": \"none\"}|∅"),
        (
            "'tenant', 'text', 'eq,eq', '{\"keyset\": \"00000000-0000-0000-0000-0000000000aa\"}'",
            "tenant|text|eq|{}|00000000-0000-0000-0000-0000000000aa",
        ),
    ] {
        let name = row.split('|').next().unwrap();
        db.sql(&format!("SELECT seal.create_type({call}); CREATE TABLE \"t_{name}\" (v seal.\"{name}\")"));
        let sql = format!("SELECT name, plain, terms, options, keyset FROM seal.types WHERE name = '{name}'");
        assert_eq!(db.sql(&sql).trim(), row);
        assert_refused(&db, &format!("SELECT seal.create_type({call})"), &["42710"]);
    }
    let catalog = load(&db, &[], &[]);
    assert!(catalog.types.values().all(|t| !matches!(t.standing, Standing::Broken(_))));
    run(async {
        let client = db.connect().await;
        let made = database::create_type(&client, "ssn", "text", "eq", (r#"{"padding": "16"}"#, "{}")).await.unwrap();
        assert_eq!((made.name.as_str(), made.plain, made.terms.eq), ("ssn", PlainType::Text, true));
        assert_eq!(made.options, r#"{"padding":"16"}"#);
        assert_eq!(registry::parse(&registry::canonical(&made).unwrap()).unwrap(), made);
        let again = database::create_type(&client, "ssn", "text", "eq", ("{}", "{}")).await;
        assert!(matches!(&again, Err(SchemaError::Database(e)) if e.code().is_some_and(|c| c.code() == "42710")));
        assert_eq!(database::definition(&client, "nothing").await.unwrap(), None);
    });
}

#[test]
fn other_roles_use_types_but_do_not_make_them() {
    let cluster = Cluster::plain();
    let db = cluster.database("shop");
    db.superuser("CREATE ROLE clerk; GRANT clerk TO app");
    // The owner's habits must not matter.
    db.sql("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC");
    let db = installed_again(db);
    db.sql("SELECT seal.create_type('email', 'text', 'eq'); CREATE TABLE u (email seal.email); GRANT ALL ON u TO clerk; CREATE SCHEMA own AUTHORIZATION clerk");
    let value = "ROW('1', '\\x00', '00000000-0000-0000-0000-000000000001')::seal.email";
    db.sql(&format!(
        "SET ROLE clerk; INSERT INTO u VALUES ({value}); SELECT 1 FROM u WHERE email OPERATOR(seal.=) {value};
         SELECT seal.eq(ARRAY[email]) FROM u; CREATE TABLE own.t (e seal.email, f seal.int4_eq); SELECT seal.version()"
    ));
    assert_refused(&db, "SET ROLE clerk; SELECT 1 FROM u WHERE email OPERATOR(seal.<) email", &["0A000"]);
    assert_refused(&db, "SET ROLE clerk; SELECT seal.create_type('mine', 'text')", &["42501"]);
    assert_refused(&db, "SET ROLE clerk; UPDATE seal.types SET plain = 'int4'", &["42501"]);
    for query in snapshot::SNAPSHOT_QUERIES.iter().chain([&snapshot::CHANGE_PROBE]) {
        db.sql(&format!("SET ROLE clerk; {query}"));
    }
}

#[test]
fn dump_and_restore_keep_everything() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    db.sql(
        "SELECT seal.create_type('email', 'text', 'eq', '{\"padding\": \"none\"}');
         CREATE TABLE u (id int, email seal.email, CHECK ((email).v IS NOT NULL));
         CREATE UNIQUE INDEX ON u (((email).eq));
         CREATE VIEW w AS SELECT id FROM u WHERE email OPERATOR(seal.=) email;
         INSERT INTO u VALUES (1, ROW('1', '\\xc1', '00000000-0000-0000-0000-000000000001'))",
    );
    let dump = std::process::Command::new("pg_dump").arg(&db.url).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let copy = cluster.database("copy");
    copy.sql(&String::from_utf8(dump.stdout).unwrap());
    let state = "SELECT string_agg(t::text, '/' ORDER BY name) FROM seal.types t; SELECT u.* FROM u; SELECT * FROM w";
    assert_eq!(copy.sql(state), db.sql(state));
    assert_refused(&copy, "SELECT 1 FROM u WHERE email OPERATOR(seal.<) email", &["0A000"]);
    let status = run(async { database::status(&copy.connect().await, &[]).await }).unwrap();
    assert_eq!((status.installed, status.problems, status.unsigned), (Some(VERSION), vec![], vec!["email".to_owned()]));
    assert_eq!(run(async { database::install(&copy.connect().await).await }).unwrap(), Installed::Current(VERSION));
}

#[test]
fn a_database_without_the_schema_is_plain() {
    let cluster = Cluster::plain();
    let db = cluster.database("shop");
    db.sql("CREATE TABLE users (email text)");
    run(async {
        let client = db.connect().await;
        let catalog = database::load(&client, &[], &[], false).await.unwrap();
        assert!(catalog.is_plain() && catalog.relations.is_empty() && catalog.seal_version.is_none());
        // No query of the snapshot fails, or it would end a session's transaction.
        for query in snapshot::SNAPSHOT_QUERIES.iter().chain([&snapshot::CHANGE_PROBE]) {
            client.simple_query(query).await.unwrap();
        }
        let mut catalog = database::load(&client, &[], &[], true).await.unwrap();
        assert!(catalog.is_plain());
        assert_eq!(pins::check(&mut catalog, &[], &["public.users.email".to_owned()]).len(), 1);
        assert!(!catalog.is_plain() && catalog.touching_names.contains("users"));
        assert_eq!(database::status(&client, &[]).await.unwrap().installed, None);
        let none = database::create_type(&client, "email", "text", "", ("{}", "{}")).await;
        assert!(matches!(none, Err(SchemaError::NotInstalled)));
    });
}

#[test]
fn snapshot_knows_what_touches() {
    for cluster in clusters() {
        let db = installed(&cluster, "shop");
        db.sql(
            r#"
            SELECT seal.create_type('email', 'text', 'eq');
            CREATE DOMAIN mail AS seal.email;
            CREATE TABLE users (id int PRIMARY KEY, gone int, email seal.email, name text, total int GENERATED ALWAYS AS (1) STORED);
            ALTER TABLE users DROP COLUMN gone;
            CREATE TABLE plain (id int, note text);
            CREATE TABLE lists (id int, emails seal.email[], m mail, u users, us users[]);
            CREATE TABLE events (id int, email seal.email) PARTITION BY RANGE (id);
            CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (1) TO (2);
            CREATE TABLE base (id int);
            CREATE TABLE derived (email seal.email) INHERITS (base);
            CREATE TABLE "Odd ""Table" ("E mail" seal.email);
            CREATE TABLE ruled (id int);
            CREATE RULE r AS ON INSERT TO ruled DO ALSO DELETE FROM users;
            CREATE VIEW v AS SELECT id, email, email::text AS leak, name || 'x' AS label, row_to_json(users) AS doc, 1 AS one,
              (SELECT count(*) FROM users x WHERE x.id = users.id) AS sub, count(*) OVER () AS many FROM users;
            CREATE VIEW v2 AS SELECT leak AS l, id AS i, email AS e FROM v;
            CREATE VIEW v3 AS SELECT id::text AS k, count(*) AS n, max(name) AS m, bool_or(email IS NULL) AS b FROM users GROUP BY id::text;
            CREATE VIEW v4 AS SELECT name AS a FROM users UNION ALL SELECT leak FROM v;
            CREATE VIEW v5 AS SELECT p.note, s.n AS name, s.x FROM plain p JOIN (SELECT id, name AS n, concat(email) AS x FROM users) s USING (id);
            CREATE VIEW v6 AS WITH c AS (SELECT name FROM users) SELECT * FROM c;
            CREATE VIEW clean AS SELECT * FROM plain;
            CREATE MATERIALIZED VIEW mv AS SELECT id, email, email::text AS leak FROM users;
            CREATE FUNCTION by_name() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM Users';
            CREATE FUNCTION calls() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN BY_NAME(); END $$;
            CREATE FUNCTION by_atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM users; END;
            CREATE FUNCTION by_odd() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM "Odd ""Table"';
            CREATE FUNCTION by_type(seal.email) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION by_array(seal.email[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION by_row(plain, v2) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION dynamic(q text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE q; END $$;
            CREATE FUNCTION clean(q text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN /* execute users */ RETURN q; -- users
              END $$;
            CREATE FUNCTION reads_plain() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM plain';
            CREATE FUNCTION paths() RETURNS void LANGUAGE sql AS 'SET search_path = public';
            CREATE FUNCTION paths_too() RETURNS text LANGUAGE sql AS $$ SELECT paths(); SELECT 'x' $$;
            CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM by_name(); RETURN NEW; END $$;
            CREATE TABLE audited (id int);
            CREATE TRIGGER t BEFORE INSERT ON audited FOR EACH ROW EXECUTE FUNCTION trig();
            CREATE FUNCTION reads_audited() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM audited';
            CREATE FUNCTION state(int, int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM users; RETURN 1; END $$;
            CREATE AGGREGATE agg(int) (SFUNC = state, STYPE = int);
            CREATE VIEW v7 AS SELECT calls() AS c, id FROM plain;
            "#,
        );
        let catalog = load(&db, &[], &[]);
        let has = |set: &HashSet<String>, names: &[&str]| {
            for name in names {
                assert!(set.contains(*name), "{} is missing", name);
            }
        };
        let lacks = |set: &HashSet<String>, names: &[&str]| {
            for name in names {
                assert!(!set.contains(*name), "{} should not be there", name);
            }
        };
        has(
            &catalog.touching_names,
            &[
                "users",
                "lists",
                "events",
                "events_1",
                "base",
                "derived",
                "Odd \"Table",
                "ruled",
                "v",
                "v2",
                "v3",
                "v4",
                "v5",
                "v6",
                "mv",
                "audited",
                "v7",
            ],
        );
        lacks(&catalog.touching_names, &["plain", "clean", "types", "pg_class"]);
        has(&catalog.touching_types, &["email", "_email", "mail", "users", "_users", "text_eq", "v2"]);
        has(&catalog.touching_types, &["text", "_text", "int4"]);
        lacks(&catalog.touching_types, &["int4range", "oid", "plain", "_plain"]);
        has(
            &catalog.touching_functions,
            &[
                "by_name",
                "calls",
                "by_atomic",
                "by_odd",
                "by_type",
                "by_array",
                "by_row",
                "dynamic",
                "trig",
                "state",
                "agg",
            ],
        );
        lacks(&catalog.touching_functions, &["clean", "reads_plain", "reads_audited", "create_type", "paths"]);
        has(&catalog.unknown_functions, &["dynamic", "paths", "paths_too", "create_type"]);
        lacks(&catalog.unknown_functions, &["clean", "by_name", "reads_plain"]);

        let users = relation(&catalog, "public", "users");
        let columns: Vec<_> =
            users.columns.iter().map(|c| (c.name.as_str(), c.attnum, c.direct, c.tainted, c.generated)).collect();
        assert_eq!(
            columns,
            [
                ("id", 1, false, false, false),
                ("email", 3, true, false, false),
                ("name", 4, false, false, false),
                ("total", 5, false, false, true)
            ]
        );
        assert_eq!(users.columns[1].enc.as_ref().unwrap().def.name, "email");
        for (table, name, enc, direct, tainted) in [
            ("lists", "emails", true, true, false),
            ("lists", "m", true, false, true),
            ("lists", "u", false, false, true),
            ("lists", "us", false, false, true),
            ("events_1", "email", true, true, false),
            ("Odd \"Table", "E mail", true, true, false),
            ("v", "id", false, false, false),
            ("v", "email", true, true, false),
            ("v", "leak", false, false, true),
            ("v", "label", false, false, false),
            ("v", "doc", false, false, true),
            ("v", "one", false, false, false),
            ("v", "sub", false, false, true),
            ("v", "many", false, false, false),
            ("v2", "l", false, false, true),
            ("v2", "i", false, false, false),
            ("v2", "e", true, true, false),
            ("v3", "k", false, false, false),
            ("v3", "n", false, false, false),
            ("v3", "m", false, false, false),
            ("v3", "b", false, false, true),
            ("v4", "a", false, false, true),
            ("v5", "note", false, false, false),
            ("v5", "name", false, false, false),
            ("v5", "x", false, false, true),
            ("v6", "name", false, false, true),
            ("v7", "c", false, false, true),
            ("v7", "id", false, false, false),
            ("mv", "email", true, true, false),
            ("mv", "leak", false, false, true),
            ("clean", "note", false, false, false),
        ] {
            let c = column(&catalog, table, name);
            assert_eq!(
                (c.enc.is_some(), c.direct, c.tainted),
                (enc, direct, tainted),
                "{} {table}.{name}",
                cluster.version
            );
        }
        assert!(catalog.relation("pg_catalog", "pg_class").is_some());
        assert_eq!(catalog.seal_version, Some(VERSION));
        let email = catalog.types.values().find(|t| t.def.name == "email").unwrap();
        assert_eq!((email.plain_oid, email.plain_array_oid, &email.standing), (25, 1009, &Standing::Unsigned));
        let array = catalog.array_types.get(&email.array_oid).unwrap();
        assert_eq!((array.oid, array.single().oid, array.plain_oid), (email.array_oid, email.oid, 1009));
        assert_eq!(catalog.type_names.get(&email.oid).unwrap(), &("seal".to_owned(), "email".to_owned()));

        let trusting = load(&db, &[], &["public.dynamic", "by_name"]);
        lacks(&trusting.touching_functions, &["dynamic", "by_name", "calls", "trig"]);
        lacks(&trusting.touching_names, &["audited", "v7"]);
        assert!(trusting.version > catalog.version);
    }
}

#[test]
fn snapshot_knows_what_keeps_encrypted_columns_unique() {
    for cluster in clusters() {
        let db = installed(&cluster, "shop");
        db.sql(
            r#"
            CREATE TABLE t (id int PRIMARY KEY, email seal.text_eq, n seal.int4_ord, gone int, note text, "E m" seal.text_eq, UNIQUE (note));
            ALTER TABLE t DROP COLUMN gone;
            CREATE UNIQUE INDEX one ON t (((email).eq)) INCLUDE (id);
            CREATE UNIQUE INDEX "Two Keys" ON t (note, ((n).ord), (("E m").eq));
            CREATE INDEX not_unique ON t (((email).eq));
            CREATE UNIQUE INDEX partial ON t (((email).eq)) WHERE id > 5;
            CREATE UNIQUE INDEX other_term ON t (((n).eq));
            CREATE UNIQUE INDEX envelope ON t (((email).c));
            CREATE UNIQUE INDEX computed ON t (((email).eq), lower(note));
            CREATE UNIQUE INDEX checked ON t (((email).eq), id);
            ALTER TABLE t ADD CONSTRAINT checked CHECK (id > 0)"#,
        );
        let catalog = load(&db, &[], &[]);
        let t = relation(&catalog, "public", "t");
        let shown = |name: &str| {
            let keys = t.unique(name)?.unique.iter();
            Some(keys.map(|k| format!("{} {}", k.column, k.term.unwrap_or("plain"))).collect::<Vec<_>>().join(", "))
        };
        assert_eq!(shown("one").as_deref(), Some("email eq"));
        assert_eq!(shown("Two Keys").as_deref(), Some("note plain, n ord, E m eq"));
        for name in ["t_pkey", "t_note_key", "not_unique", "partial", "other_term", "envelope", "computed", "checked"] {
            assert_eq!(shown(name), None, "{name}");
            assert!(t.indexes.iter().any(|i| i.name == name), "{name}");
        }
        let primary: Vec<&str> = t.indexes.iter().filter(|i| i.primary).map(|i| i.name.as_str()).collect();
        assert_eq!(primary, ["t_pkey"]);
    }
}

#[test]
fn dynamic_functions_are_harmless_while_nothing_is_encrypted() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    db.sql("CREATE TABLE t (id int); CREATE FUNCTION dynamic(q text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE q; END $$");
    let catalog = load(&db, &[], &[]);
    assert!(catalog.touching_functions.is_empty() && catalog.touching_names.is_empty());
    assert!(catalog.unknown_functions.contains("dynamic"));
}

#[test]
fn temporary_tables_are_seen_by_their_own_session_only() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    run(async {
        let (own, other) = (db.connect().await, db.connect().await);
        let probe = database::change_probe(&other).await.unwrap();
        own.batch_execute("CREATE TEMP TABLE mine (e seal.text_eq)").await.unwrap();
        let own_view = database::load(&own, &[], &[], true).await.unwrap();
        let other_view = database::load(&other, &[], &[], true).await.unwrap();
        assert!(own_view.touching_names.contains("mine") && !other_view.touching_names.contains("mine"));
        assert!(pins::new_pins(&own_view, &[]).is_empty());
        assert_eq!(database::change_probe(&other).await.unwrap(), probe);
    });
}

#[test]
fn the_change_probe_notices_ddl_and_nothing_else() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    db.sql("CREATE TABLE t (id int, note text); CREATE TABLE p (id int, note text); INSERT INTO t SELECT generate_series(1, 100)");
    run(async {
        let client = db.connect().await;
        let mut before = database::change_probe(&client).await.unwrap();
        for quiet in [
            "INSERT INTO t VALUES (1)",
            "TRUNCATE t",
            "ANALYZE t",
            "VACUUM t",
            "CREATE INDEX t_id ON t (id)",
            "CREATE INDEX t_note ON t (lower(note))",
            "SELECT 1",
        ] {
            client.batch_execute(quiet).await.unwrap();
            assert_eq!(database::change_probe(&client).await.unwrap(), before, "{quiet}");
        }
        for ddl in [
            "CREATE TABLE n (id int)",
            "ALTER TABLE n ADD COLUMN e seal.text_eq",
            "CREATE UNIQUE INDEX k ON n (((e).eq))",
            "ALTER INDEX k RENAME TO n_e_key",
            "DROP INDEX n_e_key",
            "ALTER TABLE n RENAME COLUMN e TO f",
            "ALTER TABLE n ALTER COLUMN f TYPE seal.text USING NULL",
            "ALTER TABLE n DROP COLUMN f",
            "ALTER TABLE n RENAME TO m",
            "CREATE VIEW v AS SELECT * FROM m",
            "CREATE OR REPLACE VIEW v AS SELECT id + 0 AS id FROM m",
            "ALTER TABLE t INHERIT p",
            "ALTER TABLE t NO INHERIT p",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
            "CREATE RULE r AS ON DELETE TO t DO ALSO SELECT 1",
            "CREATE DOMAIN d AS int",
            "CREATE SCHEMA other",
            "ALTER TABLE m SET SCHEMA other",
            "ALTER SCHEMA other RENAME TO another",
            "SELECT seal.create_type('email', 'text', 'eq')",
            "DROP SCHEMA another CASCADE",
            "DROP FUNCTION f()",
        ] {
            client.batch_execute(ddl).await.unwrap();
            let after = database::change_probe(&client).await.unwrap();
            assert_ne!(after, before, "{ddl}");
            before = after;
        }
    });
}

#[test]
fn edited_definitions_are_noticed() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    db.sql("SELECT seal.create_type('email', 'text', 'eq'); SELECT seal.create_type('ssn', 'text'); CREATE TABLE u (email seal.email)");
    let signed: Vec<(TypeId, String)> = run(async {
        let client = db.connect().await;
        let mut signed = Vec::new();
        for name in ["email", "ssn"] {
            let def = database::definition(&client, name).await.unwrap().unwrap();
            signed.push((def.id, registry::canonical(&def).unwrap()));
        }
        signed
    });
    let standing = |name: &str| {
        let catalog = load(&db, &signed, &[]);
        let found = catalog.types.values().find(|t| t.def.name == name).unwrap();
        found.standing.clone()
    };
    let swap = |from: &str| {
        format!(
            "WITH gone AS (DELETE FROM seal.types WHERE name = '{from}' RETURNING id) SELECT id AS swapped FROM gone \\gset
             UPDATE seal.types SET id = :'swapped' WHERE name = 'ssn'"
        )
    };
    assert_eq!(
        (standing("email"), standing("ssn"), standing("int4_eq")),
        (Standing::Verified, Standing::Verified, Standing::Verified)
    );
    for (edit, name) in [
        ("UPDATE seal.types SET plain = 'int4' WHERE name = 'email'", "email"),
        ("UPDATE seal.types SET plain = 'nonsense' WHERE name = 'email'", "email"),
        ("UPDATE seal.types SET terms = '' WHERE name = 'email'", "email"),
        ("UPDATE seal.types SET terms = 'eq,ord' WHERE name = 'email'", "email"),
        ("UPDATE seal.types SET options = '{\"padding\": \"none\"}' WHERE name = 'email'", "email"),
        ("UPDATE seal.types SET options = '{\"hardened\": true}' WHERE name = 'email'", "email"),
        ("UPDATE seal.types SET options = '[]' WHERE name = 'email'", "email"),
        ("UPDATE seal.types SET keyset = gen_random_uuid() WHERE name = 'email'", "email"),
        ("UPDATE seal.types SET options = json_build_object('x', repeat('y', 3000)) WHERE name = 'email'", "email"),
        ("DELETE FROM seal.types WHERE name = 'email'", "email"),
        ("DELETE FROM seal.types WHERE name = 'int4_eq'", "int4_eq"),
        ("UPDATE seal.types SET id = gen_random_uuid() WHERE name = 'text_eq'", "text_eq"),
        ("UPDATE seal.types SET terms = '' WHERE name = 'text_eq'", "text_eq"),
        // Another type's id: first that of a signed type, then that of a ready-made one.
        (&swap("email"), "ssn"),
        (&swap("int8_eq"), "ssn"),
        ("ALTER TYPE seal.ssn ADD ATTRIBUTE plain text", "ssn"),
        ("ALTER TYPE seal.text RENAME ATTRIBUTE c TO d", "text"),
        ("CREATE TYPE seal.rogue AS (v json, c bytea)", "rogue"),
    ] {
        let undo = db.sql("SELECT string_agg(format('(%L,%L,%L,%L,%L::jsonb,%L::uuid)', name, id, plain, terms, options, keyset), ',') FROM seal.types");
        db.sql(edit);
        assert!(matches!(standing(name), Standing::Broken(_)), "{edit}: {:?}", standing(name));
        db.sql(&format!(
            "DELETE FROM seal.types; INSERT INTO seal.types (name, id, plain, terms, options, keyset) SELECT name, id::uuid, plain, terms, options, keyset FROM (VALUES {undo}) x(name, id, plain, terms, options, keyset)"
        ));
    }
    // A type whose row got a new id is a type that nobody signed.
    db.sql("UPDATE seal.types SET id = gen_random_uuid() WHERE name = 'email'");
    assert_eq!(standing("email"), Standing::Unsigned);
    db.sql("DROP TYPE IF EXISTS seal.text_eq CASCADE; CREATE INDEX bad ON u (email)");
    let status = run(async { database::status(&db.connect().await, &signed).await }).unwrap();
    let said = status.problems.join("\n");
    for word in ["seal.rogue", "seal.ssn", "text_eq", "index bad"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert_eq!((status.unsigned, status.columns), (vec!["email".to_owned()], 1));
}

#[test]
fn a_registry_that_cannot_be_read_is_an_error() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    db.sql("ALTER TABLE seal.types RENAME TO other_types");
    let failed = run(async { database::load(&db.connect().await, &[], &[], true).await });
    assert!(matches!(failed, Err(SchemaError::Registry)), "{failed:?}");
}

#[test]
fn pins_that_do_not_hold_are_alarms() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    db.sql(
        r#"
        CREATE TABLE users (id int, email seal.text_eq, "Odd name" seal.text);
        CREATE TABLE logs (id int, users text);
        CREATE VIEW w AS SELECT id, email FROM users;
        CREATE FUNCTION add(text) RETURNS void LANGUAGE sql AS 'INSERT INTO logs (users) VALUES ($1)';
        "#,
    );
    let first = load(&db, &[], &[]);
    let known = pins::new_pins(&first, &[]);
    let objects: Vec<&str> = known.iter().map(|(object, _)| object.as_str()).collect();
    assert_eq!(objects, ["column public.users.\"Odd name\"", "column public.users.email", "column public.w.email"]);
    assert!(pins::new_pins(&first, &known).is_empty());
    let alarms = |configured: &[&str]| {
        let mut catalog = load(&db, &[], &[]);
        let configured: Vec<String> = configured.iter().map(ToString::to_string).collect();
        let alarms = pins::check(&mut catalog, &known, &configured);
        for alarm in &alarms {
            let (schema, name) = &alarm.relation;
            let relation = relation(&catalog, schema, name);
            assert!(relation.alarm.is_some() && relation.touching && catalog.touching_names.contains(name), "{alarm}");
        }
        (alarms.iter().map(ToString::to_string).collect::<Vec<_>>(), catalog)
    };
    assert_eq!(alarms(&["public.users.email", "public.nothing.email"]).0, Vec::<String>::new());
    assert_eq!(alarms(&["public.logs.id"]).0.len(), 1);

    let check = |edit: &str, undo: &str, words: &[&str]| {
        db.sql(edit);
        let (said, catalog) = alarms(&[]);
        assert_eq!(said.len(), words.len(), "{edit}: {said:?}");
        for (text, word) in said.iter().zip(words) {
            assert!(text.contains(word), "{edit}: {text}");
        }
        db.sql(undo);
        catalog
    };
    check(
        "CREATE SCHEMA other; CREATE TABLE other.users (email text)",
        "DROP SCHEMA other CASCADE",
        &["in schema other"],
    );
    check(
        "CREATE SCHEMA other; CREATE TABLE other.users (id int, email seal.text_eq)",
        "DROP SCHEMA other CASCADE",
        &[],
    );
    check(
        "ALTER TABLE users RENAME COLUMN \"Odd name\" TO odd",
        "ALTER TABLE users RENAME COLUMN odd TO \"Odd name\"",
        &["not there"],
    );
    // Dropped and made anew in plain, with a view that was there before and a function that writes to it.
    db.sql("CREATE FUNCTION write(text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO users (email) VALUES ($1); END $$");
    let catalog = check(
        "DROP VIEW w; ALTER TABLE users ALTER COLUMN email TYPE text USING NULL; CREATE VIEW w AS SELECT id, NULL::seal.text_eq AS email FROM users",
        "DROP VIEW w; ALTER TABLE users ALTER COLUMN email TYPE seal.text USING NULL; CREATE VIEW w AS SELECT id, NULL::seal.text_eq AS email FROM users",
        &["public.users.email must be encrypted, but is plain"],
    );
    assert!(relation(&catalog, "public", "w").alarm.is_some());
    assert!(catalog.touching_functions.contains("write"));
    assert!(relation(&catalog, "public", "logs").alarm.is_none());
    let (said, _) = alarms(&[]);
    assert!(said.len() == 1 && said[0].contains("seal.text with id"), "{said:?}");
    // Gone altogether: nothing to be alarmed about, until something of that name is there again.
    check("DROP VIEW w; ALTER TABLE users RENAME TO people", "SELECT 1", &[]);
    check("CREATE TABLE users (id int)", "SELECT 1", &["not there", "not there"]);
    // Without the schema the pins still hold.
    db.sql("DROP TABLE users, people; DROP SCHEMA seal CASCADE; CREATE TABLE users (email text)");
    let (said, catalog) = alarms(&[]);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(!catalog.is_plain());
    // A session's own temporary table.
    run(async {
        let client = db.connect().await;
        client.batch_execute("DROP TABLE users; CREATE TEMP TABLE users (email text)").await.unwrap();
        let mut catalog = database::load(&client, &[], &[], true).await.unwrap();
        assert!(pins::check(&mut catalog, &known, &[]).iter().all(|a| a.relation.0.starts_with("pg_temp")));
        assert_eq!(pins::check(&mut catalog, &known, &[]).len(), 1);
    });
}

#[test]
fn long_chains_of_views_are_no_trouble() {
    let cluster = Cluster::plain();
    let db = installed(&cluster, "shop");
    db.sql("CREATE TABLE t (id int, e seal.text_eq); CREATE VIEW v0 AS SELECT id, e FROM t");
    let views: String = (1..=1500).map(|i| format!("CREATE VIEW v{i} AS SELECT id, e FROM v{};", i - 1)).collect();
    db.sql(&views);
    let catalog = load(&db, &[], &[]);
    assert!(!column(&catalog, "v9", "id").tainted);
    let last = relation(&catalog, "public", "v1500");
    assert!(last.touching && last.columns[1].direct);
}
