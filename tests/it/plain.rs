//! Plain tables in a database that has encrypted ones: what a client is told is what PostgreSQL says.

use crate::support::raw::query;
use crate::support::{Pair, Twin};

const TABLES: &str = "
    CREATE TABLE p (id int PRIMARY KEY, n int NOT NULL CHECK (n < 10), x bytea);
    CREATE TABLE parted (a int, b text) PARTITION BY LIST (a);
    CREATE TABLE part PARTITION OF parted FOR VALUES IN (1);
    CREATE VIEW v AS SELECT * FROM p WHERE n > 1 WITH CHECK OPTION;
    CREATE TABLE s (id int PRIMARY KEY, e seal.text_eq NOT NULL, n int CHECK (n < 10));
    CREATE VIEW sv AS SELECT id, n FROM s WHERE n > 1 WITH CHECK OPTION;
    INSERT INTO p VALUES (1, 5, NULL);";

#[test]
fn failing_rows_of_plain_tables_are_shown() {
    let twin = Twin::start();
    twin.create(TABLES);
    let (mut plain, mut sealed) = twin.raw();
    for sql in [
        "INSERT INTO p VALUES (2, NULL)",
        "INSERT INTO p VALUES (2, 11, 'x')",
        "INSERT INTO p VALUES (1, 1)",
        "UPDATE p SET n = 12",
        "INSERT INTO parted VALUES (2, 'b')",
        "INSERT INTO part VALUES (2, 'b')",
        "INSERT INTO v VALUES (2, 1)",
        "UPDATE v SET n = 0",
        "CREATE TABLE new (a int NOT NULL); INSERT INTO new VALUES (NULL)",
        "CREATE TEMP TABLE t (a int CHECK (a > 0)); INSERT INTO t VALUES (0)",
        "SELECT \"\"",
    ] {
        let (said, shown) = (plain.error(sql), sealed.error(sql));
        assert_eq!((shown.code, shown.message, shown.detail), (said.code, said.message, said.detail), "{sql}");
    }
}

#[test]
fn failing_rows_with_encrypted_values_are_not_shown() {
    let twin = Twin::start();
    twin.create(TABLES);
    let mut sealed = twin.raw_sealed();
    sealed.query("INSERT INTO s VALUES (1, 'secret', 5)");
    for (sql, code) in [
        ("INSERT INTO s VALUES (2, 'secret', 11)", "23514"),
        ("INSERT INTO s (id, n) VALUES (2, 1)", "23502"),
        ("UPDATE s SET n = 12", "23514"),
        ("UPDATE sv SET n = 12", "23514"),
        ("INSERT INTO sv VALUES (3, 1)", "23502"),
        ("BEGIN; ALTER TABLE s RENAME TO u; UPDATE u SET n = 12", "23514"),
    ] {
        let error = sealed.error(sql);
        assert_eq!((error.code.as_str(), error.detail.as_deref()), (code, None), "{sql}: {error:?}");
        sealed.query("ROLLBACK");
    }
}

const FUNCTIONS: &[&str] = &[
    "CREATE FUNCTION dynamic(q text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE q INTO n; RETURN n; END $$",
    "CREATE OR REPLACE FUNCTION dynamic(q text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN EXECUTE q; RETURN 1; END $$",
    "CREATE OR REPLACE PROCEDURE dynamic_too(q text) LANGUAGE plpgsql AS $$ BEGIN EXECUTE q; END $$",
    "CREATE OR REPLACE PROCEDURE dynamic_too(q text) LANGUAGE plpgsql AS $$ BEGIN NULL; END $$",
    "CALL dynamic_too('x')",
    "CREATE OR REPLACE FUNCTION dynamic(q text) RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint'",
    "SELECT dynamic('x')",
    "DROP FUNCTION dynamic",
];

#[test]
fn functions_that_run_dynamic_sql_can_be_replaced() {
    let twin = Twin::start();
    twin.create(TABLES);
    let mut pair = Pair::new(&twin);
    pair.each(FUNCTIONS);
}

/// What the text that they run names is known.
const TEXTS: &[&str] = &[
    "SELECT query_to_xml('SELECT id, n FROM p WHERE n = 5', true, false, '')",
    "SELECT xpath('//n/text()', query_to_xml($q$ SELECT n FROM p $q$, false, false, ''))::text",
    "SELECT table_to_xml('public.p', true, true, '')",
    "SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', b) FROM parted') ORDER BY word",
    "SELECT ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c'::tsquery)",
    "SELECT ts_rewrite('a & b'::tsquery, 'SELECT ''a''::tsquery, b::tsquery FROM parted')",
];

/// What it names is encrypted, or cannot be known.
const OPAQUE: &[&str] = &[
    "SELECT query_to_xml('SELECT * FROM s', true, false, '')",
    "SELECT query_to_xml('SELECT * FROM sv', true, false, '')",
    "SELECT query_to_xml('SELECT 1 FROM ' || 's', true, false, '')",
    "SELECT query_to_xml(x::text, true, false, '') FROM p",
    "SELECT query_to_xml(E'SELECT * FROM \\x73', true, false, '')",
    "SELECT query_to_xml('SELECT * FROM U&\"\\0073\"', true, false, '')",
    "SELECT query_to_xml('SELECT query_to_xml(''SELECT * FROM '' || ''s'', true, true, '''')', true, false, '')",
    "SELECT query_to_xml('SELECT ''a''::seal.text_eq', true, false, '')",
    "SELECT query_to_xml('EXECUTE q', true, false, '')",
    "SELECT query_to_xml('VALUES (dynamic(''x''))', true, false, '')",
    "SELECT table_to_xml('s', true, true, '')",
    "SELECT table_to_xml('1259', true, true, '')",
    "SELECT table_to_xml('s'::regclass, true, true, '')",
    "SELECT schema_to_xml('public', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT * FROM ts_stat('SELECT e FROM s')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT a, b FROM s')",
];

#[test]
fn functions_that_run_a_text_run_what_is_known_to_be_plain() {
    let twin = Twin::start();
    twin.create(TABLES);
    let mut pair = Pair::new(&twin);
    pair.each(&FUNCTIONS[..1]);
    pair.each(TEXTS);
    for sql in OPAQUE {
        assert_eq!(pair.sealed.error(sql).code, "0A000", "{sql}");
    }
    // The same but for the text.
    pair.each(&["SELECT query_to_xml('SELECT id FROM p', true, false, '')"]);
    assert_eq!(pair.sealed.error("SELECT query_to_xml('SELECT id FROM s', true, false, '')").code, "0A000");
}

/// The extension's type has the name of a ready-made one, wherever both are in the search_path.
#[test]
fn columns_of_the_extensions_citext_are_plain() {
    let twin = Twin::start();
    twin.direct.superuser("CREATE EXTENSION citext");
    for path in ["public", "public, seal"] {
        let sql = format!(
            "SET search_path = {path}; CREATE TABLE c (id int, b citext, e seal.text_eq); CREATE TABLE d (b public.citext);
             INSERT INTO c VALUES (1, 'Ann', 'sealed'); SELECT id, b, e FROM c WHERE b = 'ann' AND e = 'sealed';
             SELECT 'A'::citext = 'a', b FROM c"
        );
        assert_eq!(twin.sealed.sql(&sql), "1|Ann|sealed\nt|Ann\n", "{path}");
        assert_eq!(twin.stored("SELECT b FROM c"), "Ann\n", "{path}");
        // Types and functions of it are plain too.
        let made = format!(
            "SET search_path = {path}; CREATE DOMAIN short AS citext CHECK (length(VALUE) < 9); CREATE TYPE pair AS (a citext, b citext[]);
             CREATE TYPE span AS RANGE (SUBTYPE = citext);
             CREATE FUNCTION same(citext) RETURNS citext LANGUAGE sql AS 'SELECT $1';
             CREATE TABLE made (s short, p pair, r span, j citext); INSERT INTO made VALUES ('Ann', ('Ann', '{{Bo}}'), '[a,b)', '1');
             SELECT s = 'ann', (p).a = 'ANN', p, r @> 'A'::citext, same(j) FROM made"
        );
        assert_eq!(twin.sealed.sql(&made), "t|t|(Ann,{Bo})|t|1\n", "{path}");
        twin.sealed.sql("DROP TABLE c, d, made; DROP TYPE pair, span; DROP DOMAIN short; DROP FUNCTION same");
    }
    let of_seal = "SET search_path = seal, public; CREATE TABLE public.of_seal (b citext); INSERT INTO public.of_seal VALUES ('sealed'); SELECT b FROM public.of_seal";
    assert_eq!(twin.sealed.sql(of_seal), "sealed\n");
    assert!(!twin.stored("SELECT o::text FROM public.of_seal o").contains("sealed"));
    let mut pair = Pair::new(&twin);
    for made in ["DOMAIN d AS citext", "TYPE t AS (a citext)", "TYPE t AS RANGE (SUBTYPE = citext)"] {
        assert_eq!(
            pair.sealed.error(&format!("SET search_path = seal, public; CREATE {made}")).code,
            "0A000",
            "{made}"
        );
    }
}

/// As drivers ask whether a connection is alive.
#[test]
fn an_empty_text_is_answered_in_a_failed_transaction() {
    let twin = Twin::of("CREATE TABLE s (e seal.text_eq)");
    let asked = ["BEGIN", "INVALID SQL", ";", "", "-- ping", "SELECT 1", "ROLLBACK", ";", "SELECT 1"];
    twin.same(asked.map(|sql| (sql.to_string(), query(sql))));
}

/// The proxy's own connection does not outlast its clients, as no other may be there then.
#[test]
fn a_database_that_clients_have_left_can_be_copied_renamed_and_dropped() {
    let twin = Twin::start();
    let superuser = |sql: &str| twin.cluster.superuser("postgres", sql);
    assert_eq!(twin.sealed.sql("CREATE TABLE t (v text); INSERT INTO t VALUES ('plain'); SELECT v FROM t"), "plain\n");
    superuser("CREATE DATABASE other TEMPLATE sealed OWNER app");
    assert_eq!(twin.sealed.sql("SELECT v FROM t"), "plain\n");
    // Another database gets the name, with another table of that name.
    twin.cluster.superuser("other", "SET ROLE app; DROP TABLE t; CREATE TABLE t (v seal.text_eq)");
    superuser("ALTER DATABASE sealed RENAME TO gone");
    superuser("ALTER DATABASE other RENAME TO sealed");
    assert_eq!(twin.sealed.sql("INSERT INTO t VALUES ('secret'); SELECT v FROM t"), "secret\n");
    assert!(!twin.stored("SELECT t::text FROM t").contains("secret"));
    superuser("DROP DATABASE sealed");
    superuser("DROP DATABASE gone");
}
