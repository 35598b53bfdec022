//! What the server keeps and runs itself, over encrypted columns: functions, procedures, triggers, policies, DO blocks.

use crate::support::raw::{bind, describe_portal, describe_statement, execute, extended, parse, sync, transcript};
use crate::support::{Pair, Twin};

const TABLES: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, e seal.text_eq, n seal.int4_ord, p int, label text, changes int DEFAULT 0);
    CREATE TABLE w (id int, x text);";

const FUNCTIONS: &[&str] = &[
    "CREATE FUNCTION add_user(i bigint, m seal.text_eq, q int) RETURNS bigint LANGUAGE sql AS 'INSERT INTO t (id, e, p) VALUES (i, m, q) RETURNING id'",
    "CREATE FUNCTION mail_of(i bigint) RETURNS seal.text_eq LANGUAGE sql STABLE AS 'SELECT t.e FROM t WHERE t.id = i'",
    "CREATE FUNCTION id_of(wanted seal.text_eq) RETURNS bigint LANGUAGE sql SET search_path = public, seal AS 'SELECT t.id FROM t WHERE t.e = wanted'",
    "CREATE FUNCTION mails() RETURNS SETOF seal.text_eq LANGUAGE sql AS 'SELECT t.e FROM t WHERE t.e IS NOT NULL ORDER BY t.id'",
    "CREATE FUNCTION listed(below bigint) RETURNS TABLE (id bigint, e seal.text_eq) LANGUAGE sql AS 'SELECT t.id, t.e FROM t WHERE t.id < below ORDER BY t.id'",
    "CREATE FUNCTION set_mail(i bigint, m seal.text_eq) RETURNS seal.text_eq LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET e = m WHERE t.id = i; RETURN (SELECT t.e FROM t WHERE t.id = i); END $$",
    "CREATE PROCEDURE put(i bigint, INOUT m seal.text_eq) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t (id, e) VALUES (i, m); END $$",
    "CREATE PROCEDURE drop_of(m seal.text_eq) LANGUAGE sql SET search_path = public, seal AS 'DELETE FROM t WHERE t.e = m'",
    "CREATE FUNCTION filled() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM t WHERE t.e IS NOT NULL; END",
];

fn twin() -> Twin {
    Twin::of(TABLES)
}

#[test]
fn functions_take_and_give_encrypted_values() {
    let twin = twin();
    FUNCTIONS.iter().for_each(|ddl| twin.create(ddl));
    let mut pair = Pair::new(&twin);
    pair.each(&[
        "SELECT add_user(1, 'a', 5), add_user(2, 'mark-function', 6), add_user(3, NULL, NULL)",
        "SELECT add_user(1, 'mark-function', 5)",
        "SELECT * FROM t ORDER BY id",
        "SELECT mail_of(1), mail_of(3), mail_of(99)",
        "SELECT id_of('mark-function'), id_of('mark-function-2'), id_of(NULL)",
        "SELECT id, mail_of(id) AS m FROM t WHERE mail_of(id) = 'mark-function' OR id_of(e) = 1 ORDER BY id",
        "SELECT mails()",
        "SELECT * FROM listed(3)",
        "SELECT l.id, l.e FROM listed(10) AS l JOIN t ON t.e = l.e WHERE l.e = 'mark-function'",
        "SELECT set_mail(1, 'mark-function-new') AS now",
        "CALL put(4, 'mark-function-put')",
        "CALL put(4, 'mark-function-put')",
        "CALL drop_of('mark-function')",
        "INSERT INTO t (id, e) VALUES (9, mail_of(1)) RETURNING e",
        "UPDATE t SET e = mail_of(4) WHERE id = 9",
        "SELECT filled()",
        "SELECT id, e, p FROM t ORDER BY id",
    ]);
    for (sql, values) in [
        ("SELECT id_of($1)", &[Some("mark-function-put")][..]),
        ("SELECT add_user($1, $2, $3)", &[Some("20"), Some("mark-function-20"), None]),
        ("SELECT mail_of($1)", &[Some("20")]),
        ("CALL put($1, $2)", &[Some("21"), Some("mark-function-21")]),
        ("SELECT * FROM listed($1) WHERE e = $2", &[Some("50"), Some("mark-function-21")]),
    ] {
        let described = [parse("", sql, &[]), describe_statement("")].concat();
        let run = [bind("", "", values), describe_portal(""), execute("", 0), sync()].concat();
        pair.same(sql, &[described, run].concat(), 1);
    }
    assert!(!twin.relay.sent().windows(13).any(|w| w == b"mark-function"));
}

#[test]
fn functions_that_cannot_be_followed_are_refused_and_not_sent() {
    let twin = twin();
    FUNCTIONS.iter().for_each(|ddl| twin.create(ddl));
    twin.direct.sql(
        "CREATE FUNCTION text_of(m seal.text_eq) RETURNS text LANGUAGE sql AS 'SELECT m::text';
         CREATE FUNCTION given_back(m seal.text_eq) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN m; END';
         CREATE FUNCTION any_of(VARIADIC m seal.text_eq[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION two(m seal.text_eq) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION two(m seal.int4_ord) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION looks(m text) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t WHERE t.e::text = m';
         CREATE FUNCTION row_of(i bigint) RETURNS t LANGUAGE sql AS 'SELECT t FROM t WHERE t.id = i'",
    );
    let mut raw = twin.raw_sealed();
    // What the proxy did not make is known once it looks again.
    raw.query("CREATE TABLE look (id int)");
    for sql in [
        "SELECT text_of('mark-refused')",
        "SELECT given_back('mark-refused')",
        "SELECT any_of('mark-refused')",
        "SELECT two('mark-refused')",
        "SELECT looks('mark-refused')",
        "SELECT row_of(1)",
        "SELECT * FROM row_of(1) WHERE e = 'mark-refused'",
        "SELECT id_of(lower('mark-refused'))",
        "SELECT id_of(x) FROM w WHERE x = 'mark-refused'",
        "SELECT id_of(other => 'mark-refused')",
        "SELECT upper(mail_of(1)::text), id_of('mark-refused')",
        "SELECT * FROM mails() WHERE mails = 'mark-refused'",
        "SELECT listed(5), id_of('mark-refused')",
        "SELECT count(*) FILTER (WHERE id_of(e) = 1), string_agg(mail_of(id), 'mark-refused') FROM t",
        "CALL put((SELECT 1), lower('mark-refused'))",
        "CREATE FUNCTION f(m seal.text_eq) RETURNS bigint LANGUAGE sql AS 'SELECT id FROM t WHERE e = ''mark-refused'''",
        "CREATE FUNCTION f(m seal.text_eq DEFAULT 'mark-refused') RETURNS bigint LANGUAGE sql AS 'SELECT id FROM t'",
        "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT id FROM t WHERE e = 'mark-refused'; END",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.e = 'mark-refused' THEN RETURN NULL; END IF; RETURN NEW; END $$",
        "CREATE PROCEDURE f() LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET e = 'mark-refused'; END $$",
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.e = 'mark-refused') EXECUTE FUNCTION stamp()",
        "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION stamp()",
        "CREATE POLICY g ON t USING (e = 'mark-refused')",
        "CREATE POLICY g ON t USING (e = current_setting('mark-refused'))",
        "CREATE RULE g AS ON INSERT TO t DO ALSO INSERT INTO w VALUES (1, 'mark-refused')",
        "DO $$ BEGIN UPDATE t SET e = 'mark-refused'; END $$",
        "DO $$ BEGIN PERFORM add_user(1, 'mark-refused', 1); END $$",
    ] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    let answers = transcript(&raw.ask(&extended("SELECT text_of($1)", &[Some("mark-refused")])));
    assert!(answers.starts_with("E ERROR 0A000"), "{answers}");
    // PostgreSQL finds no operator for encrypted values where `seal` is not in the search_path: an error, no wrong answer.
    raw.query(
        "CREATE FUNCTION bare_id_of(m seal.text_eq) RETURNS bigint LANGUAGE sql AS 'SELECT t.id FROM t WHERE t.e = m'",
    );
    raw.query("INSERT INTO t (id, e) VALUES (1, 'a'), (2, 'b')");
    assert_eq!(raw.error("SELECT bare_id_of('a')").code, "42883");
    assert!(!twin.relay.sent().windows(12).any(|w| w == b"mark-refused"));
}

#[test]
fn a_function_whose_arguments_became_plain_is_not_called() {
    let twin = twin();
    FUNCTIONS.iter().for_each(|ddl| twin.create(ddl));
    let mut raw = twin.raw_sealed();
    raw.rows("SELECT add_user(1, 'a', 5)");
    let pins = twin.workspace.columnseal(&["type", "pins"]).ok();
    assert!(pins.contains("argument public.add_user.arg2") && pins.contains("argument public.put.arg2"), "{pins}");
    for (change, again) in [
        ("DROP FUNCTION add_user", "CREATE TABLE look1 (id int)"),
        (
            "CREATE FUNCTION add_user(i bigint, m text, q int) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
            "CREATE TABLE look2 (id int)",
        ),
        (
            "CREATE SCHEMA other; CREATE FUNCTION other.id_of(m text) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
            "CREATE TABLE look3 (id int)",
        ),
    ] {
        twin.direct.sql(change);
        // What was done past the proxy is known once it looks again.
        raw.query(again);
        assert_eq!(raw.error("SELECT add_user(2, 'mark-pinned', 5)").code, "0A000", "{change}");
    }
    assert_eq!(raw.error("SELECT id_of('mark-pinned')").code, "0A000");
    assert_eq!(raw.error("SELECT other.id_of('mark-pinned')").code, "0A000");
    assert!(!twin.relay.sent().windows(11).any(|w| w == b"mark-pinned"));
}

#[test]
fn triggers_see_what_changes() {
    let twin = twin();
    for ddl in [
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.p := 77; IF NEW.e IS NULL THEN NEW.label := 'none'; END IF; RETURN NEW; END $$",
        "CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changes := OLD.changes + 1; RETURN NEW; END $$",
        "CREATE TRIGGER a BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp()",
        "CREATE TRIGGER b BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.e IS DISTINCT FROM NEW.e AND NEW.e IS NOT NULL) EXECUTE FUNCTION changed()",
        "CREATE TRIGGER c BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.n < NEW.n OR OLD.label = 'grow') EXECUTE FUNCTION changed()",
    ] {
        twin.create(ddl);
    }
    let mut pair = Pair::new(&twin);
    pair.each(&[
        "INSERT INTO t (id, e, n) VALUES (1, 'a', 1), (2, NULL, 2) RETURNING *",
        "UPDATE t SET e = 'a' WHERE id = 1 RETURNING changes",
        "UPDATE t SET e = 'b' WHERE id = 1 RETURNING changes",
        "UPDATE t SET e = NULL RETURNING changes, label",
        "UPDATE t SET n = 1 RETURNING changes",
        "UPDATE t SET n = 5 RETURNING changes",
        "UPDATE t SET label = 'grow' RETURNING changes",
        "UPDATE t SET label = 'x' RETURNING changes",
        "SELECT * FROM t ORDER BY id",
    ]);
}

#[test]
fn policies_choose_rows() {
    let twin = twin();
    for ddl in [
        "CREATE TABLE r (tenant int, id int, e seal.text_eq)",
        "INSERT INTO r VALUES (1, 1, 'a'), (1, 2, 'b'), (2, 3, 'a'), (2, 4, NULL)",
        "ALTER TABLE r ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE r FORCE ROW LEVEL SECURITY",
        "CREATE POLICY tenants ON r USING (tenant = current_setting('app.tenant', true)::int)",
        "CREATE POLICY filled ON r AS RESTRICTIVE FOR INSERT WITH CHECK (e IS NOT NULL)",
    ] {
        twin.create(ddl);
    }
    let mut pair = Pair::new(&twin);
    pair.each(&[
        "SELECT * FROM r ORDER BY id",
        "SET app.tenant = '1'",
        "SELECT * FROM r ORDER BY id",
        "SELECT id FROM r WHERE e = 'a'",
        "INSERT INTO r VALUES (1, 5, 'c')",
        "INSERT INTO r VALUES (2, 6, 'd')",
        "INSERT INTO r VALUES (1, 7, NULL)",
        "UPDATE r SET e = 'z' RETURNING id, e",
        "SET app.tenant = '2'",
        "SELECT * FROM r ORDER BY id",
        "DELETE FROM r WHERE e = 'a' RETURNING id",
        "DO $$ BEGIN PERFORM 1; END $$",
    ]);
}
