//! Bodies that the server runs over encrypted columns, and calls that could mean several functions: the same as on plain
//! tables where they only move values, else refused with nothing sent.

use crate::support::raw::{bind, describe_portal, describe_statement, execute, extended, parse, sync, transcript};
use crate::support::{Options, Pair, ProxyOptions, Twin};

const TABLES: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, e seal.text_eq, n seal.int4_ord, p int, label text);
    CREATE TABLE kept (id bigint, e seal.text_eq, note text);
    CREATE TABLE w (id int, x text);";

const ROWS: &str =
    "INSERT INTO t VALUES (1, 'mark-one', 1, 1, 'a'), (2, 'mark-two', 2, 2, 'b'), (3, NULL, NULL, 3, 'it''s')";

const FUNCTIONS: &[&str] = &[
    "CREATE FUNCTION swap(a bigint, b bigint) RETURNS int LANGUAGE plpgsql AS $$
     DECLARE x seal.text_eq; y t.e%TYPE; n int := 0; m int;
     BEGIN
       x := (SELECT t.e FROM t WHERE t.id = a);
       y := (SELECT t.e FROM t WHERE t.id = b);
       IF x IS NULL AND y IS NULL THEN RETURN 0; END IF;
       UPDATE t SET e = y WHERE t.id = a;
       GET DIAGNOSTICS m = ROW_COUNT;
       n := n + m;
       UPDATE t SET e = x, label = 'swapped' WHERE t.id = b;
       IF FOUND THEN n := n + 1; END IF;
       RETURN n;
     END $$",
    "CREATE FUNCTION keep(below bigint, why text DEFAULT 'kept') RETURNS int LANGUAGE plpgsql AS $$
     DECLARE r record; n int := 0; other seal.text_eq;
     BEGIN
       FOR r IN SELECT t.id, t.e FROM t WHERE t.id < below ORDER BY t.id LOOP
         CONTINUE WHEN r.e IS NULL;
         other := r.e;
         INSERT INTO kept (id, e, note) VALUES (r.id, other, why);
         n := n + 1;
         EXIT WHEN n >= 10;
       END LOOP;
       FOR i IN 1..2 LOOP n := n + i; END LOOP;
       RETURN n;
     END $$",
    "CREATE FUNCTION put(i bigint, m seal.text_eq) RETURNS bigint LANGUAGE plpgsql SET search_path = public, seal AS $$
     DECLARE found_id bigint; r t%ROWTYPE;
     BEGIN
       SELECT t.id INTO found_id FROM t WHERE t.e = m;
       IF found_id IS NOT NULL THEN RETURN found_id; END IF;
       INSERT INTO t (id, e, label) VALUES (i, m, 'new') RETURNING id INTO found_id;
       SELECT * INTO STRICT r FROM t WHERE t.id = found_id;
       INSERT INTO kept (id, e, note) VALUES (r.id, r.e, 'put');
       RETURN r.id;
     EXCEPTION WHEN unique_violation THEN
       RETURN -1;
     END $$",
    "CREATE FUNCTION first_of(VARIADIC x int[]) RETURNS int LANGUAGE sql AS 'SELECT x[1]'",
    "CREATE FUNCTION mail(i bigint) RETURNS seal.text_eq LANGUAGE plpgsql AS $$ DECLARE v seal.text_eq; BEGIN v := (SELECT t.e FROM t WHERE t.id = i); RETURN v; END $$",
    "CREATE FUNCTION mail(i bigint, otherwise seal.text_eq) RETURNS seal.text_eq LANGUAGE plpgsql AS $$ BEGIN RETURN COALESCE(mail(i), otherwise); END $$",
    "CREATE FUNCTION label_of(m seal.text_eq) RETURNS text LANGUAGE sql SET search_path = public, seal AS $$ SELECT t.label FROM t WHERE t.e = m AND t.label <> '' $$",
    "CREATE FUNCTION label_of(m seal.int4_ord) RETURNS text LANGUAGE sql SET search_path = public, seal AS $$ SELECT t.label FROM t WHERE t.n = m $$",
    "CREATE FUNCTION label_of(m bigint) RETURNS text LANGUAGE sql AS $$ SELECT t.label FROM t WHERE t.id = m $$",
    "CREATE FUNCTION pairs(below bigint) RETURNS TABLE (i bigint, m seal.text_eq) LANGUAGE plpgsql AS $$
     BEGIN
       RETURN QUERY SELECT t.id, t.e FROM t WHERE t.id < below ORDER BY t.id;
       i := 0; m := (SELECT t.e FROM t WHERE t.id = 1); RETURN NEXT;
     END $$",
    "CREATE FUNCTION one(i bigint, OUT m seal.text_eq) LANGUAGE plpgsql AS $$ BEGIN m := (SELECT t.e FROM t WHERE t.id = i); END $$",
    "CREATE FUNCTION one_label(i bigint, OUT l text) LANGUAGE sql AS $$ SELECT t.label FROM t WHERE t.id = i $$",
    "CREATE FUNCTION mails(below bigint) RETURNS TABLE (m seal.text_eq) LANGUAGE sql AS $$ SELECT t.e FROM t WHERE t.id < below ORDER BY t.id $$",
    "CREATE FUNCTION twice(INOUT m seal.text_eq) RETURNS SETOF seal.text_eq LANGUAGE plpgsql AS $$ BEGIN RETURN NEXT; RETURN NEXT; m := NULL; RETURN NEXT; END $$",
    "CREATE FUNCTION ids(OUT bigint) RETURNS SETOF bigint LANGUAGE sql AS $$ SELECT t.id FROM t WHERE t.e IS NOT NULL ORDER BY t.id $$",
    "CREATE FUNCTION filled(OUT n bigint) BEGIN ATOMIC SELECT count(*) FROM t WHERE t.e IS NOT NULL; END",
    "CREATE PROCEDURE take(i bigint, INOUT m seal.text_eq, why text DEFAULT 'taken') LANGUAGE plpgsql AS $$
     BEGIN IF m IS NULL THEN m := mail(i); ELSE UPDATE t SET e = m, label = why WHERE t.id = i; END IF; END $$",
];

#[test]
fn bodies_with_variables_and_loops_give_the_same() {
    let twin = Twin::start();
    twin.create(TABLES);
    FUNCTIONS.iter().for_each(|ddl| twin.create(ddl));
    let mut pair = Pair::new(&twin);
    pair.each(&[
        ROWS,
        "SELECT swap(1, 2)",
        "SELECT swap(2, 3)",
        "SELECT swap(9, 3)",
        "SELECT keep(10)",
        "SELECT keep(below => 2, why => 'by name')",
        "SELECT keep(why => 'turned', below => 3)",
        "SELECT put(7, 'mark-one'), put(8, 'mark-eight'), put(8, 'mark-nine')",
        "SELECT put(m => 'mark-ten', i => 10), put(11, m => NULL)",
        "SELECT id, e, n, p, label FROM t ORDER BY id",
        "SELECT * FROM kept ORDER BY note, id",
        "SELECT first_of(1, 2)",
        "SELECT mail(1), mail(3), mail(3, 'mark-other'), mail(i => 1, otherwise => NULL)",
        "SELECT id FROM t WHERE mail(id, e) = 'mark-one'",
        "SELECT label_of(e), label_of(n), label_of(id) FROM t ORDER BY id",
        "SELECT * FROM pairs(3)",
        "SELECT b.i, t.id FROM pairs(100) AS b JOIN t ON t.e = b.m ORDER BY 1, 2",
        "SELECT one(1), one(3), one_label(1), mails(100), filled()",
        "SELECT id, one(id) AS o FROM t WHERE one(id) = 'mark-one' OR one_label(id) = 'swapped' ORDER BY id",
        "SELECT * FROM one(1)",
        "SELECT * FROM one(3) AS o",
        "SELECT t.id, o.m, l.x FROM t, one(t.id) o, one_label(t.id) AS l (x) ORDER BY t.id",
        "SELECT t.id, x FROM t LEFT JOIN LATERAL mails(t.id) AS o (x) ON x = t.e ORDER BY t.id, x IS NULL",
        "SELECT m AS a, mails.m, count(*) OVER () FROM mails(3)",
        "SELECT * FROM mails(100) WHERE m = 'mark-one'",
        "SELECT t.id FROM mails(100) AS o JOIN t ON t.e = o.m ORDER BY 1",
        "SELECT * FROM twice('mark-twice')",
        "SELECT twice(e) FROM t ORDER BY id",
        "SELECT * FROM ids(), filled(), one_label(1)",
        "SELECT i.ids, t.e FROM ids() AS i JOIN t ON t.id = i.ids ORDER BY 1",
        "SELECT i, t.e FROM ids() AS i JOIN t ON t.id = i ORDER BY 1",
        "UPDATE t SET e = o.m FROM one(1) o WHERE t.id = 3",
        "INSERT INTO kept SELECT 50, m, 'only' FROM mails(100)",
        "CREATE VIEW seen AS SELECT t.id, o.m FROM t, one(t.id) o",
        "SELECT * FROM seen ORDER BY id",
        "CALL take(1, NULL)",
        "CALL take(1, 'mark-taken')",
        "CALL take(why => 'as told', m => 'mark-told', i => 2)",
        "SELECT id, e, label FROM t ORDER BY id",
    ]);
    for (sql, values) in [
        ("SELECT put($1, $2)", &[Some("20"), Some("mark-20")][..]),
        ("SELECT put(m => $1, i => $2)", &[Some("mark-21"), Some("21")]),
        ("SELECT mail($1), mail($1, $2)", &[Some("20"), Some("mark-none")]),
        ("CALL take(m => $1, i => $2)", &[Some("mark-22"), Some("20")]),
        ("SELECT * FROM twice($1) WHERE m = $1", &[Some("mark-23")]),
        ("SELECT one($1), o.m FROM one($1) o", &[Some("20")]),
    ] {
        let described = [parse("", sql, &[]), describe_statement("")].concat();
        let run = [bind("", "", values), describe_portal(""), execute("", 0), sync()].concat();
        pair.same(sql, &[described, run].concat(), 1);
    }
    // Which of several is meant can be told by a cast to the encrypted type.
    let rows = pair.sealed.rows("SELECT label_of('mark-told'::seal.text_eq), label_of(2::seal.int4_ord)");
    assert_eq!(rows, ["as told|as told"]);
    assert!(!twin.relay.sent().windows(5).any(|w| w == b"mark-"));
}

#[test]
fn do_blocks_that_move_values_give_the_same() {
    let twin = Twin::start();
    twin.create(TABLES);
    let mut pair = Pair::new(&twin);
    pair.each(&[ROWS]);
    for body in [
        "BEGIN INSERT INTO kept SELECT id, e, 'all' FROM t; UPDATE t SET e = NULL WHERE p = 2; END",
        "DECLARE r record; last t.e%TYPE; BEGIN FOR r IN SELECT id, e FROM t ORDER BY id LOOP IF r.e IS NULL THEN UPDATE t SET e = last WHERE id = r.id; END IF; last := r.e; END LOOP; END",
        "<<outside>> DECLARE c int := 0; u t; BEGIN WHILE c < 3 LOOP c := c + 1; SELECT * INTO u FROM t WHERE id = c; CASE c WHEN 1, 2 THEN INSERT INTO kept VALUES (c, u.e, u.label); ELSE RAISE NOTICE 'row %', u.id; END CASE; END LOOP; END outside",
        "BEGIN INSERT INTO t (id, e) SELECT id, e FROM t; EXCEPTION WHEN unique_violation THEN INSERT INTO kept VALUES (0, NULL, sqlstate); END",
        "BEGIN INSERT INTO t (id, e) SELECT id, e FROM t; END",
        "BEGIN UPDATE t SET e = NULL WHERE id = 1; RAISE EXCEPTION 'no'; END",
        "DECLARE n int; BEGIN DELETE FROM kept k USING t WHERE t.id = k.id AND k.note = 'all'; GET DIAGNOSTICS n = ROW_COUNT; INSERT INTO w VALUES (n, 'gone'); END",
        "BEGIN EXECUTE 'CREATE TABLE made AS SELECT 1 AS id'; EXECUTE $q$INSERT INTO w SELECT id, $1 FROM made$q$ USING 'made'; END",
    ] {
        pair.same(body, &crate::support::raw::query(&format!("DO $do$ {body} $do$")), 1);
    }
    pair.each(&[
        "SELECT id, e, label FROM t ORDER BY id",
        "SELECT * FROM kept ORDER BY note, id, e IS NULL",
        "SELECT * FROM w ORDER BY x",
    ]);
    twin.create("CREATE TABLE single (id int, e seal.text_eq UNIQUE)");
    pair.each(&["INSERT INTO single VALUES (1, 'mark-single')"]);
    // What fails within a block shows no terms.
    let error = pair.sealed.error("DO $$ BEGIN INSERT INTO single SELECT 2, s.e FROM single s; END $$");
    assert_eq!(error.code, "23505");
    let shown = format!("{:?}", error.all);
    assert!(shown.contains("single_e_key") && !shown.contains("\\\\x") && !shown.contains(")=(\""), "{shown}");
    assert!(!twin.relay.sent().windows(5).any(|w| w == b"mark-"));
}

#[test]
fn bodies_that_do_more_are_refused_and_not_sent() {
    let twin = Twin::start_with(Options::logged(), &ProxyOptions::default());
    twin.create(TABLES);
    FUNCTIONS.iter().for_each(|ddl| twin.create(ddl));
    let mut raw = twin.raw_sealed();
    for body in [
        "UPDATE t SET e = 'hidden'",
        "DELETE FROM t WHERE e = 'hidden'",
        "IF EXISTS (SELECT FROM t WHERE n > 4711) THEN NULL; END IF",
        "PERFORM put(1, 'hidden')",
        "PERFORM label_of('hidden')",
        "INSERT INTO w SELECT id, e FROM t WHERE label = 'hidden'",
        "RAISE NOTICE 'hidden %', (SELECT e FROM t LIMIT 1)",
        "PERFORM FROM t WHERE e::text = 'hidden'",
        "PERFORM row_to_json(t) FROM t WHERE label = 'hidden'",
        "EXECUTE 'UPDATE t SET e = ''hidden'''",
        "EXECUTE 'UPDATE ' || 't SET e = $1' USING 'hidden'",
        "EXECUTE format('UPDATE %I SET e = %L', 't', 'hidden')",
        "EXECUTE 'PREPARE p AS SELECT ''hidden'''",
    ] {
        let sql = format!("DO $do$ BEGIN {body}; END $do$");
        assert_eq!(raw.error(&sql).code, "0A000", "{sql}");
        let sql = format!("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $do$ BEGIN {body}; END $do$");
        if !body.starts_with("EXECUTE") {
            assert_eq!(raw.error(&sql).code, "0A000", "{sql}");
        }
    }
    for (declared, body) in [
        ("v seal.text_eq := 'hidden'", "UPDATE t SET e = v"),
        ("v seal.text_eq", "v := 'hidden'; UPDATE t SET e = v"),
        ("v text := 'hidden'", "UPDATE t SET e = v"),
        ("v text := 'hidden'", "v := (SELECT e FROM t LIMIT 1); INSERT INTO w VALUES (1, v)"),
        ("r record", "SELECT 'hidden' AS x INTO r; UPDATE t SET e = r.x"),
        ("e text := 'hidden'", "UPDATE t SET n = NULL WHERE t.e = e"),
        ("v seal.text_eq", "SELECT e INTO v FROM t WHERE label = 'hidden'"),
    ] {
        let sql = format!("DO $do$ DECLARE {declared}; BEGIN {body}; END $do$");
        assert_eq!(raw.error(&sql).code, "0A000", "{sql}");
    }
    for sql in [
        "CREATE FUNCTION f(m text) RETURNS bigint LANGUAGE sql AS $$ SELECT id FROM t WHERE e = m OR label = 'hidden' $$",
        "CREATE FUNCTION f(m seal.text_eq) RETURNS text LANGUAGE plpgsql AS $$ BEGIN IF 'hidden' = '' THEN RETURN ''; END IF; RETURN m; END $$",
        "CREATE FUNCTION f(m seal.text_eq) RETURNS void LANGUAGE sql AS $$ INSERT INTO w (x) VALUES (m), ('hidden') $$",
        "SELECT label_of('hidden')",
        "SELECT label_of(lower('hidden'))",
        "SELECT label_of('hidden'::text)",
        "SELECT mail(1, lower('hidden'))",
        "SELECT put(i => 1, x => 'hidden')",
        "SELECT put('hidden')",
        "CALL take(1, lower('hidden'))",
        "CALL take('hidden')",
    ] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    let answers = transcript(&raw.ask(&extended("SELECT label_of($1)", &[Some("hidden")])));
    assert!(answers.starts_with("E ERROR 0A000"), "{answers}");
    // Made past the proxy, they are not called.
    twin.direct.sql(
        "CREATE FUNCTION leaks(m seal.text_eq) RETURNS void LANGUAGE sql AS 'INSERT INTO w (x) VALUES (m)';
         CREATE FUNCTION takes(m text) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT t.id FROM t WHERE t.e::text = m); END';
         CREATE FUNCTION outer_of(m seal.text_eq) RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM leaks(m); END'",
    );
    raw.query("CREATE TABLE look (id int)");
    for sql in ["SELECT leaks('hidden')", "SELECT takes('hidden')", "SELECT outer_of('hidden')"] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    assert!(!twin.relay.sent().windows(6).any(|w| w == b"hidden"));
}

#[test]
fn arguments_given_by_name_are_pinned_by_name() {
    let twin = Twin::start();
    twin.create(TABLES);
    FUNCTIONS.iter().for_each(|ddl| twin.create(ddl));
    let mut raw = twin.raw_sealed();
    raw.rows("SELECT put(m => 'a', i => 1)");
    let pins = twin.workspace.columnseal(&["type", "pins"]).ok();
    for pin in ["argument public.put.arg2", "argument public.put.\"m =>\"", "argument public.mail.arg2"] {
        assert!(pins.contains(pin), "{pin} in {pins}");
    }
    // Functions of one name that take other types in the same place do not break the pin of the first.
    assert_eq!(raw.rows("SELECT label_of(e) FROM t"), ["new"]);
    twin.direct.sql(
        "DROP FUNCTION put; CREATE FUNCTION put(m bigint, i seal.text_eq) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
    );
    raw.query("CREATE TABLE look (id int)");
    assert_eq!(raw.error("SELECT put(m => 'hidden', i => 1)").code, "0A000");
    assert!(!twin.relay.sent().windows(6).any(|w| w == b"hidden"));
}
