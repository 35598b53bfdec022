//! `columnseal.introspection = plain`: the catalogs say of encrypted columns what they say of the plain twin's.

use std::process::Command;

use crate::support::process::run;
use crate::support::raw::{Raw, bind, describe_statement, execute, parse, query, sync, transcript};
use crate::support::{Database, ProxyOptions, Twin};

const TABLES: &str = "
    CREATE TABLE customers (id serial PRIMARY KEY, email seal.text_search NOT NULL UNIQUE, name seal.varchar_ord, age seal.int4_ord DEFAULT NULL,
        price seal.numeric_eq, seen seal.timestamptz_ord, ok seal.bool, doc seal.jsonb, day seal.interval, tags seal.text_eq[], city varchar(20),
        CONSTRAINT one_a_city_uniq UNIQUE (city, name));
    CREATE INDEX customers_name ON customers (name);
    CREATE UNIQUE INDEX customers_age ON customers (age DESC) INCLUDE (city) WHERE city IS NOT NULL;
    CREATE INDEX customers_price ON customers USING hash (price);
    CREATE INDEX customers_tags ON customers USING gin (tags);
    CREATE INDEX customers_lower ON customers (lower(city));
    CREATE TABLE \"Odd Keys\" (\"The Key\" seal.uuid_eq, eq text, part seal.text_eq, note seal.text, PRIMARY KEY (\"The Key\", part), UNIQUE (eq));
    CREATE TABLE k (k seal.text_eq UNIQUE, index text);
    CREATE TABLE t (p seal.text_eq, r text);
    CREATE STATISTICS shown ON city, id FROM customers;
    CREATE VIEW seen AS SELECT email, age, city FROM customers;
    COMMENT ON COLUMN customers.email IS 'where to write';
    ";

/// What plain columns have no need of.
const STATISTICS: &str =
    "CREATE STATISTICS one ON name FROM customers; CREATE STATISTICS two (mcv) ON age, city FROM customers";

/// psql's output, of a session that sees catalogs as plain where it can choose.
fn psql(database: &Database, script: &str) -> String {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", &database.url]).env("PGOPTIONS", "-c columnseal.introspection=plain");
    run(&mut command, script).ok()
}

/// The name of the database differs.
fn named(out: &str) -> String {
    out.replace("sealed", "plain")
}

#[test]
fn catalogs_say_of_encrypted_columns_what_they_say_of_plain_ones() {
    let twin = Twin::of(TABLES);
    twin.sealed.sql(STATISTICS);
    let relations = "c.relname IN ('customers', 'Odd Keys', 'seen')";
    for sql in [
        r"\d customers",
        r#"\d "Odd Keys""#,
        r"\d+ seen",
        r"\d customers_age",
        r"\di",
        &format!("SELECT c.relname, attname, format_type(atttypid, atttypmod), atttypid::regtype, attlen, attbyval, attalign, attstorage, attcollation, attndims, attnotnull
            FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE attnum > 0 AND {relations} ORDER BY 1, attnum"),
        &format!("SELECT pg_catalog.pg_attribute.attname, pg_type.typname FROM pg_catalog.pg_attribute JOIN pg_type ON pg_type.oid = pg_catalog.pg_attribute.atttypid
            WHERE pg_attribute.attrelid IN (SELECT oid FROM pg_class c WHERE {relations}) AND pg_attribute.attnum > 0 ORDER BY 1, 2"),
        "SELECT c.relname, i.indkey, i.indisunique, i.indisprimary, i.indcollation, i.indoption, (SELECT array_agg(opcname ORDER BY o) FROM unnest(i.indclass) WITH ORDINALITY AS u(x, o)
            JOIN pg_opclass ON pg_opclass.oid = x), pg_get_expr(i.indexprs, i.indrelid), pg_get_indexdef(i.indexrelid, 1, true), i.indnatts
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT c.relname, attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE c.relkind = 'i' AND c.relnamespace = 'public'::regnamespace ORDER BY 1, attnum",
        "SELECT conname, contype, conrelid::regclass, conkey, conindid::regclass, condeferrable, convalidated, pg_get_constraintdef(oid), pg_catalog.pg_get_constraintdef(oid, true)
            FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT table_schema, table_name, column_name, ordinal_position, is_nullable, data_type, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale,
            datetime_precision, interval_type, udt_schema, udt_name, is_updatable FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2, 4",
        "SELECT * FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS WHERE table_schema = 'public' AND constraint_type <> 'CHECK' ORDER BY constraint_name",
        "SELECT * FROM information_schema.key_column_usage WHERE table_schema = 'public' ORDER BY constraint_name, ordinal_position",
        "SELECT * FROM information_schema.constraint_column_usage WHERE table_schema = 'public' AND column_name <> 'id' ORDER BY constraint_name, column_name",
        // Every form that a name in FROM may have.
        "WITH keys AS (SELECT indrelid, unnest(indkey) AS k FROM ONLY pg_index WHERE indisprimary) SELECT attname FROM keys, LATERAL (SELECT * FROM pg_attribute AS a
            WHERE a.attrelid = indrelid AND attnum = k) AS x WHERE indrelid::regclass::text LIKE '%Keys%' ORDER BY 1",
        "SELECT stxname, stxkeys, stxkind, stxrelid::regclass, pg_get_statisticsobjdef(s.oid) FROM pg_statistic_ext s ORDER BY 1",
        "WITH pg_constraint AS (SELECT 1 AS one) SELECT * FROM pg_constraint",
        "SELECT tableoid::regclass, conname FROM pg_constraint WHERE conname LIKE 'customers%' ORDER BY 2",
        "SELECT count(*) > 0 FROM (TABLE pg_index) AS t",
        "SELECT t.atttypid::regtype FROM pg_attribute * AS t WHERE t.attrelid = 'customers'::regclass AND t.attname = 'name'",
        "CREATE TEMP TABLE kept AS SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'seen'::regclass; SELECT * FROM kept ORDER BY 1",
        r"COPY (SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'seen' ORDER BY 1) TO STDOUT",
        "EXPLAIN (COSTS OFF) SELECT 1 WHERE 1 = 0 AND EXISTS (SELECT FROM pg_index)",
        "PREPARE found(text) AS SELECT data_type FROM information_schema.columns WHERE table_name = 'customers' AND column_name = $1; EXECUTE found('age')",
        "BEGIN; DECLARE c CURSOR FOR SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'seen'::regclass ORDER BY attnum; FETCH 2 FROM c; COMMIT",
    ] {
        assert_eq!(named(&psql(&twin.sealed, sql)), psql(&twin.plain, sql), "{sql}");
    }
}

#[test]
fn a_dump_of_the_schema_is_that_of_plain_tables() {
    let twin = Twin::of(TABLES);
    twin.sealed.sql(STATISTICS);
    let dump = |database: &Database| {
        let mut command = Command::new("pg_dump");
        command
            .args(["--schema-only", "--schema=public", "-d", &database.url])
            .env("PGOPTIONS", "-c columnseal.introspection=plain");
        // A schema change that is noticed while its transaction begins makes it fail, to be tried again.
        let first = run(&mut command, "");
        let out = if first.err.contains("schema changed") { run(&mut command, "") } else { first }.ok();
        out.lines().filter(|line| !line.starts_with("\\")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(dump(&twin.sealed), dump(&twin.plain));
}

const SHOWN: &str =
    "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'age'";

#[test]
fn a_session_chooses_how_it_sees_catalogs() {
    let mut twin = Twin::of(TABLES);
    let mut raw = twin.raw_sealed();
    let (sealed, plain) = (vec!["seal.int4_ord".to_owned()], vec!["integer".to_owned()]);
    assert_eq!(raw.rows(SHOWN), sealed);
    let mut each = |steps: &[(&str, &[String])]| {
        for (sql, seen) in steps {
            raw.query(sql);
            assert_eq!(raw.rows(SHOWN), *seen, "after {sql}");
        }
    };
    each(&[
        ("SET columnseal.introspection = plain", &plain),
        ("BEGIN; SET LOCAL columnseal.introspection = 'sealed'", &sealed),
        ("COMMIT", &plain),
        ("BEGIN; RESET columnseal.introspection; SAVEPOINT a; SET columnseal.introspection TO PLAIN", &plain),
        ("ROLLBACK TO a", &sealed),
        ("ROLLBACK", &plain),
        ("SET columnseal.keyset = default", &plain),
        ("RESET ALL", &sealed),
        ("SET columnseal.introspection = plain", &plain),
        ("DISCARD ALL", &sealed),
    ]);
    assert_eq!(raw.rows("SHOW columnseal.introspection"), ["sealed"]);
    assert_eq!(raw.error("SET columnseal.introspection = clear").code, "22023");
    assert_eq!(raw.error("SET columnseal.introspection = 1, 2").code, "22023");
    // In one batch, SET counts for what is sent after it.
    let batch = [
        parse("", "SET columnseal.introspection = plain", &[]),
        bind("", "", &[]),
        execute("", 0),
        parse("s", &SHOWN.replace("'age'", "$1"), &[]),
        describe_statement("s"),
        bind("", "s", &[Some("age")]),
        execute("", 0),
        sync(),
    ];
    let answer = transcript(&raw.ask(&batch.concat()));
    assert!(answer.contains("integer"), "{answer}");
    // What was prepared stays so.
    raw.query("SET columnseal.introspection = sealed");
    let again = transcript(&raw.ask(&[bind("", "s", &[Some("age")]), execute("", 0), sync()].concat()));
    assert!(again.contains("integer"), "{again}");

    let mut begun = Raw::connect_with(twin.proxy.port, "sealed", &[("options", "-c columnseal.introspection=plain")]);
    assert_eq!(begun.rows(SHOWN), plain);
    begun.query("SET columnseal.introspection = sealed");
    assert_eq!(begun.rows(SHOWN), sealed);
    begun.query("RESET columnseal.introspection");
    assert_eq!(begun.rows(SHOWN), plain);

    twin.restart_proxy(&ProxyOptions::default().with("CS_POLICY__INTROSPECTION", "plain"));
    assert_eq!(twin.raw_sealed().rows(SHOWN), plain);
}

#[test]
fn errors_of_statements_about_catalogs_are_postgresqls() {
    let twin = Twin::of(TABLES);
    let mut plain = twin.raw_plain();
    let mut sealed = Raw::connect_with(twin.proxy.port, "sealed", &[("columnseal.introspection", "plain")]);
    for sql in [
        "SELECT attname, nothing FROM pg_attribute",
        "SELECT 'ü', pg_get_indexdef(1) FROM pg_catalog.pg_index WHERE nothing = 1",
        "UPDATE pg_attribute SET attname = 'x' WHERE attname = 'age'",
        "SELECT * FROM pg_index WHERE 1 / (indnatts - indnatts) = 1",
        "SELECT FROM pg_attribute WHERE",
    ] {
        assert_eq!(transcript(&sealed.ask(&query(sql))), transcript(&plain.ask(&query(sql))), "{sql}");
    }
    // Beside encrypted columns, in one statement and in one text.
    for side in [&mut plain, &mut sealed] {
        side.query("INSERT INTO customers (email, age) VALUES ('a@example.com', 7)");
    }
    let both = "SELECT email, (SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'email') FROM customers WHERE age = 7;
        SELECT data_type FROM information_schema.columns WHERE column_name = 'seen'";
    assert_eq!(transcript(&sealed.ask(&query(both))), transcript(&plain.ask(&query(both))));
}

#[test]
fn an_older_schema_is_told() {
    let twin = Twin::of("CREATE TABLE t (e seal.text_eq)");
    twin.direct.sql("CREATE OR REPLACE FUNCTION seal.version() RETURNS int4 LANGUAGE sql IMMUTABLE AS 'SELECT 4'");
    let mut raw = Raw::connect_with(twin.proxy.port, "sealed", &[("columnseal.introspection", "plain")]);
    assert_eq!(raw.error(SHOWN).code, "55000");
    assert_eq!(raw.rows("SELECT count(*) FROM t"), ["0"]);
    raw.query("SET columnseal.introspection = sealed");
    assert_eq!(raw.rows("SELECT count(*) > 0 FROM pg_attribute"), ["t"]);
}

/// Whoever may make types in schema `seal` does not write other sessions' statements.
#[test]
fn a_name_of_a_type_is_no_sql() {
    let twin = Twin::of("CREATE TABLE t (e seal.text_eq)");
    twin.direct.sql(r#"CREATE TYPE seal."o' THEN 1/0 WHEN 'x" AS (v json, c bytea)"#);
    let mut raw = Raw::connect_with(twin.proxy.port, "sealed", &[("columnseal.introspection", "plain")]);
    let sql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't'";
    assert_eq!(raw.rows(sql), ["e|text"]);
}
