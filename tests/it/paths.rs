//! Promoted paths of JSON: parts of a document that are compared, sorted, grouped and searched as a column of their type is, with the same
//! answers as plain PostgreSQL, and by an index where it has one.

use crate::support::raw::{every_way, query, two_portals};
use crate::support::{Twin, eventually, placed};

/// Documents that have everything, something and nothing at the promoted paths.
const DOCUMENTS: &[&str] = &[
    "{}",
    "[]",
    "null",
    "7",
    "\"total\"",
    "[{\"total\": 1}]",
    "{\"total\": null, \"customer\": null}",
    "{\"total\": 1, \"customer\": {\"name\": \"Ada\", \"vip\": true}}",
    "{\"total\": 1.0, \"customer\": {\"name\": \"ada\"}}",
    "{\"total\": 1e0, \"customer\": {\"name\": \"\"}}",
    "{\"total\": \"1\", \"customer\": {\"name\": null}}",
    "{\"total\": \" 1.50 \", \"customer\": {\"name\": 7}}",
    "{\"total\": 2, \"customer\": {\"name\": \"Ada Lovelace\"}, \"n\": 3}",
    "{\"total\": -2.5, \"customer\": {\"name\": \"Zoë\"}, \"n\": -3}",
    "{\"total\": 12345678901234567890123456789.5, \"customer\": {\"name\": \"Adam\"}, \"n\": 2147483647}",
    "{\"total\": 1e40, \"customer\": {\"name\": \"日本語\"}, \"n\": \"12\"}",
    "{\"total\": \"NaN\", \"customer\": {\"name\": {\"first\": \"Ada\"}}}",
    "{\"total\": \"Infinity\", \"customer\": {\"name\": [1, 2]}}",
    "{\"total\": 0, \"customer\": {\"name\": \"a_b%c\\\\d\"}, \"a.b\": \"dotted\"}",
    "{\"total\": -0.0, \"customer\": [{\"name\": \"in a list\"}], \"at\": \"2001-02-03T04:05:06Z\"}",
    "{\"total\": 100, \"customer\": \"Ada\", \"at\": \"2001-02-03 05:05:06+01\", \"day\": \"2020-02-29\"}",
    "{\"total\": 99, \"customer\": {\"name\": \"Ada\"}, \"at\": \"1999-12-31T23:59:59.999999-08:00\", \"day\": \"1969-07-20\", \"n\": 3}",
    "{\"total\": 99.0, \"customer\": {\"name\": \"Ada\", \"name2\": \"x\"}, \"day\": \"2020-02-29\", \"u\": \"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"}",
    "{\"total\": {\"a\": 1}, \"total\": 5, \"f\": 0.1, \"u\": \"a0eebc999c0b4ef8bb6d6bb9bd380a11\"}",
    "{\"f\": 1e300, \"n\": 3, \"customer\": {\"name\": \"Ada\"}}",
];

/// What types of the tests promote.
pub const PATHS: [&str; 8] = [
    "total=numeric:ord",
    "customer.name=text:eq,ord,match",
    "n=int4:eq",
    "at=timestamptz:ord",
    "day=date:ord,eq",
    "u=uuid:eq",
    "f=double precision:ord",
    "{a.b}=text:eq",
];

/// Types `deal`, with JSON terms and paths, and `lean`, with a path alone, and empty tables with them on both sides.
fn tables() -> Twin {
    let twin = Twin::start();
    twin.create_type("deal", "eq,json", &PATHS);
    twin.create_type("lean", "", &["total=numeric:ord"]);
    let ddl = |deal: &str, lean: &str| {
        format!(
            "CREATE TABLE t (id int PRIMARY KEY, doc {deal}, n int); CREATE TABLE u (id int, doc {deal}, x text); \
             CREATE TABLE l (id int, doc {lean} NOT NULL)"
        )
    };
    twin.plain.sql(&ddl("jsonb", "jsonb"));
    twin.sealed.sql(&ddl("seal.deal", "seal.lean"));
    twin
}

fn filled() -> Twin {
    let twin = tables();
    for index in ["((doc ->> 'total')::numeric)", "((doc #>> '{customer,name}'))", "((doc ->> 'n')::int)"] {
        twin.both(&format!("CREATE INDEX ON t ({index})"));
    }
    for (id, document) in DOCUMENTS.iter().enumerate() {
        twin.both(&format!("INSERT INTO t VALUES ({id}, '{document}', {})", id % 3));
    }
    twin.both("INSERT INTO t VALUES (1000, NULL, 1); INSERT INTO u SELECT id, doc, 'x' FROM t WHERE n <> 2");
    twin
}

#[test]
fn paths_are_compared_as_in_postgresql() {
    let twin = filled();
    let mut statements = Vec::new();
    for value in ["1", "1.0", "-2.5", "99", "0", "'NaN'", "1e40", "12345678901234567890123456789.5", "NULL"] {
        for operator in ["=", "<>", "<", "<=", ">", ">="] {
            statements.extend(placed(&format!("(doc ->> 'total')::numeric {operator} {value}")));
        }
    }
    for value in ["'Ada'", "''", "'ada'", "'Zoë'", "'7'", "'[1, 2]'", "'{\"first\": \"Ada\"}'", "NULL"] {
        for operator in ["=", "<>", "<", ">="] {
            statements.extend(placed(&format!("doc -> 'customer' ->> 'name' {operator} {value}")));
        }
    }
    for condition in [
        "(doc ->> 'total')::numeric BETWEEN 1 AND 99",
        "(doc ->> 'total')::numeric NOT BETWEEN SYMMETRIC 99 AND 1",
        "(doc ->> 'total')::numeric IN (1, 2, 99.00)",
        "(doc ->> 'total')::numeric NOT IN (1, 2)",
        "(doc ->> 'total')::numeric = ANY ('{1,100}')",
        "(doc ->> 'total')::numeric < ALL (ARRAY[2, 100])",
        "(doc ->> 'total')::numeric IS DISTINCT FROM 1",
        "(doc ->> 'total')::numeric IS NULL",
        "(doc ->> 'total')::numeric IS NOT NULL",
        "5 > (doc ->> 'total')::numeric",
        "((doc ->> 'total')::numeric, id) > (1, 8)",
        "doc #>> '{customer,name}' IN ('Ada', 'ada')",
        "doc #>> '{customer,name}' IS NULL",
        "(doc ->> 'n')::int = 3",
        "(doc ->> 'n')::int IN (3, -3)",
        "CAST(doc ->> 'n' AS integer) <> 12",
        "(doc ->> 'at')::timestamptz = '2001-02-03 04:05:06+00'",
        "(doc ->> 'at')::timestamptz < '2000-01-01 00:00:00+00'",
        "(doc ->> 'day')::date BETWEEN '2020-01-01' AND '2020-12-31'",
        "(doc ->> 'u')::uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "(doc ->> 'f')::float8 > 0.5",
        "(doc ->> 'f')::double precision = 0.1",
        "doc ->> 'a.b' = 'dotted'",
        "doc IS NULL",
        "doc IS NOT NULL",
        "doc = '{\"total\": 1, \"customer\": {\"name\": \"Ada\", \"vip\": true}}'",
        "doc @> '{\"total\": 1}'",
        "doc -> 'customer' ? 'vip'",
        "doc ->> 'total' = '1'",
    ] {
        statements.extend(placed(condition));
    }
    twin.same_queries(statements);
}

#[test]
fn a_path_is_one_however_it_is_written() {
    let twin = filled();
    let mut statements = Vec::new();
    for name in [
        "doc -> 'customer' ->> 'name'",
        "doc #>> '{customer,name}'",
        "doc #>> ARRAY['customer', 'name']",
        "doc #>> '{customer,name}'::text[]",
        "doc #> '{customer}' ->> 'name'",
        "doc['customer'] ->> 'name'",
        "doc['customer'] #>> '{name}'",
        "jsonb_extract_path_text(doc, 'customer', 'name')",
        "pg_catalog.jsonb_extract_path_text(doc -> 'customer', 'name')",
        "jsonb_extract_path(doc, 'customer') ->> 'name'",
        "((doc) -> ('customer')) ->> 'name'",
        "(t.doc -> 'customer') ->> 'name'::text",
        "public.t.doc::jsonb -> $$customer$$ ->> E'n\\x61me'",
        "(doc -> 'customer' ->> 'name')::text",
        "CAST(doc -> 'customer' ->> 'name' AS varchar)",
    ] {
        for condition in [format!("{name} = 'Ada'"), format!("{name} > 'B'"), format!("{name} LIKE 'Ada%'")] {
            statements.push(format!("SELECT id FROM t WHERE {condition} ORDER BY id"));
        }
        statements.push(format!("SELECT id, {name} AS name FROM t ORDER BY {name} DESC NULLS LAST, id"));
        statements.push(format!("SELECT {name} AS name, count(*) FROM t GROUP BY {name} ORDER BY 1"));
        statements.push(format!("SELECT {name} FROM t ORDER BY id"));
    }
    twin.same_queries(statements);
}

#[test]
fn texts_of_paths_are_searched_for() {
    let twin = filled();
    let name = "doc #>> '{customer,name}'";
    let mut statements = Vec::new();
    for condition in [
        "LIKE 'Ada%'",
        "LIKE '%Love%'",
        "LIKE 'A%'",
        "LIKE '%'",
        "LIKE ''",
        "LIKE 'a!_b!%c%' ESCAPE '!'",
        "ILIKE 'ADA%'",
        "NOT LIKE 'Ada%'",
        "NOT ILIKE '%d%'",
        "LIKE '%語'",
        "LIKE NULL",
        "LIKE ANY (ARRAY['Ada', '%ë'])",
        "NOT LIKE ALL ('{Ada,%ë}')",
        "^@ 'Ada'",
    ] {
        statements.extend(placed(&format!("{name} {condition}")));
    }
    statements.extend(placed(&format!("starts_with({name}, 'Ada')")));
    statements.extend(placed(&format!("lower({name}) = 'ada'")));
    statements.extend(placed(&format!("UPPER(({name})::text) LIKE UPPER('ada l%')")));
    statements.extend(placed(&format!("lower({name}) IN ('ada', 'adam')")));
    statements
        .push(format!("SELECT t.id, u.id FROM t LEFT JOIN u ON u.id = t.id AND u.{name} LIKE '%da%' ORDER BY 1, 2"));
    statements.push(format!("SELECT count(*) FILTER (WHERE {name} LIKE '%a%'), count(*) FROM t"));
    statements.push(format!("UPDATE t SET n = n + 10 WHERE {name} LIKE 'Ada%' RETURNING id, n"));
    twin.same_queries(statements);
}

#[test]
fn paths_order_rows() {
    let twin = filled();
    let (total, name) = ("(doc ->> 'total')::numeric", "doc -> 'customer' ->> 'name'");
    let statements = [
        format!("SELECT id FROM t ORDER BY {total} DESC NULLS LAST, id LIMIT 20"),
        format!("SELECT id FROM t ORDER BY {total}, id OFFSET 3"),
        format!("SELECT id FROM t ORDER BY {name} NULLS FIRST, {total} DESC, id"),
        format!("SELECT id, {total} AS total FROM t ORDER BY total, id"),
        format!("SELECT id, {total} FROM t ORDER BY 2 DESC, 1"),
        format!("SELECT id, {total} FROM t ORDER BY {total} DESC, id"),
        format!("SELECT {total} FROM t WHERE {total} > 1 ORDER BY numeric DESC LIMIT 3"),
        format!(
            "SELECT id, row_number() OVER (ORDER BY {total}, id), rank() OVER (PARTITION BY n ORDER BY {name}, id) FROM t ORDER BY id"
        ),
        format!("SELECT id, lag({total}) OVER (ORDER BY {total}, id) FROM t ORDER BY id"),
        format!("SELECT array_agg(id ORDER BY {total}, id) FROM t"),
        format!("SELECT DISTINCT ON ({name}) {name} AS name, id FROM t ORDER BY {name}, {total}, id"),
        format!("SELECT DISTINCT {total} FROM t ORDER BY 1"),
        format!("SELECT DISTINCT {name} AS name, n FROM t ORDER BY name, n"),
        format!("SELECT id FROM (SELECT id, {total} AS total FROM t) s WHERE total > 1 ORDER BY total DESC, id"),
        format!("SELECT id FROM (SELECT id, doc FROM t) s WHERE {total} > 1 ORDER BY {total} DESC, id"),
        format!("WITH c AS (SELECT id, {name} AS name FROM t) SELECT * FROM c WHERE name >= 'Ada' ORDER BY name, id"),
        format!("SELECT id FROM t ORDER BY {total} FETCH FIRST 3 ROWS WITH TIES"),
        format!(
            "SELECT GREATEST({total}, 5), LEAST({total}, 5), COALESCE({total}, -1), NULLIF({total}, 1) FROM t ORDER BY id"
        ),
        format!(
            "SELECT CASE WHEN {total} > 5 THEN 'large' WHEN {total} IS NULL THEN 'none' ELSE 'small' END, count(*) FROM t GROUP BY 1 ORDER BY 1"
        ),
    ];
    twin.same_queries(statements);
}

#[test]
fn paths_group_and_join_rows() {
    let twin = filled();
    let (total, name) = ("(doc ->> 'total')::numeric", "doc -> 'customer' ->> 'name'");
    let statements = [
        format!("SELECT {name} AS name, count(*), min({total}), max({total}) FROM t WHERE id < 1000 GROUP BY {name} ORDER BY 1"),
        format!("SELECT {name}, count(*) FROM t GROUP BY 1 ORDER BY 1"),
        format!("SELECT {name} AS who, count(*) FROM t GROUP BY who ORDER BY count(*) DESC, who"),
        format!("SELECT count(*) FROM t GROUP BY {name} ORDER BY 1"),
        format!("SELECT {name} AS name, n, count(*) FROM t GROUP BY {name}, n HAVING {name} > 'A' ORDER BY {name}, n"),
        format!("SELECT {name} AS name, count(*) FROM t GROUP BY {name} HAVING count(*) > 1 AND {name} IS NOT NULL ORDER BY 1"),
        format!("SELECT n, {name} AS name, count(*) FROM t GROUP BY ROLLUP (n, {name}) ORDER BY 1, 2, 3"),
        format!("SELECT COALESCE({name}, 'nobody'), count(*) FROM t GROUP BY {name} ORDER BY {name}"),
        format!("SELECT n, sum({total}), avg({total}), count({total}), count(DISTINCT {total}) FROM t WHERE id < 13 GROUP BY n ORDER BY n"),
        format!("SELECT round(avg({total}), 2), COALESCE(sum({total}), 0), sum({total} * id), sum({total})::numeric(12, 1) FROM t WHERE id < 13"),
        format!("SELECT min({total}), max({total}) FROM t WHERE n = 1"),
        format!("SELECT max({name}) FROM t"),
        format!("SELECT t.id, u.id FROM t JOIN u ON t.{name} = u.{name} ORDER BY 1, 2"),
        "SELECT t.id, u.id FROM t LEFT JOIN u ON (t.doc ->> 'total')::numeric < (u.doc ->> 'total')::numeric AND u.id = 7 ORDER BY 1, 2".to_owned(),
        format!("SELECT id FROM t WHERE {name} IN (SELECT {name} FROM u WHERE id = 7) ORDER BY id"),
        format!("SELECT id FROM t WHERE EXISTS (SELECT FROM u WHERE u.{name} = t.{name} AND u.id <> t.id) ORDER BY id"),
        format!("SELECT {name} FROM t UNION SELECT {name} FROM u ORDER BY 1"),
        format!("SELECT {name} FROM t EXCEPT SELECT {name} FROM u ORDER BY 1"),
    ];
    twin.same_queries(statements);
}

#[test]
fn parameters_are_compared_with_paths() {
    let twin = filled();
    let mut asked = Vec::new();
    for (sql, value) in [
        ("SELECT id FROM t WHERE (doc ->> 'total')::numeric > $1 ORDER BY id", "1.0"),
        ("SELECT id FROM t WHERE (doc ->> 'total')::numeric BETWEEN $1 AND 99 ORDER BY id", "-1"),
        (
            "SELECT id, doc FROM t WHERE (doc ->> 'total')::numeric >= $1::numeric ORDER BY (doc ->> 'total')::numeric, id",
            "1",
        ),
        ("SELECT id, (doc ->> 'total')::numeric FROM t WHERE (doc ->> 'total')::numeric = $1", "1"),
        ("SELECT id FROM t WHERE doc -> 'customer' ->> 'name' = $1 ORDER BY id", "Ada"),
        (
            "SELECT id, doc -> 'customer' ->> 'name' AS name FROM t WHERE doc -> 'customer' ->> 'name' < $1 ORDER BY 2, 1",
            "B",
        ),
        ("SELECT id FROM t WHERE doc -> 'customer' ->> 'name' = ANY ($1) ORDER BY id", "{Ada,ada}"),
        ("SELECT id FROM t WHERE doc #>> '{customer,name}' LIKE $1 || '%' ORDER BY id", "Ada"),
        ("SELECT id FROM t WHERE (doc ->> 'n')::int = $1 ORDER BY id", "3"),
        ("SELECT id FROM t WHERE $1::text IS NULL OR doc ->> 'a.b' = $1 ORDER BY id", "dotted"),
        ("SELECT id FROM t WHERE (doc ->> 'total')::numeric > $1", "no number"),
    ] {
        asked.extend(every_way(sql, value, &[2, 1, 0]));
    }
    asked.push(two_portals("SELECT id FROM t WHERE (doc ->> 'n')::int = $1 ORDER BY id", ["3", "-3"]));
    twin.same(asked);
}

/// Keys that differ make other statements, also where their texts are told apart by literals alone.
#[test]
fn statements_that_differ_in_keys_are_told_apart() {
    let twin = filled();
    let mut statements = Vec::new();
    for _ in 0..2 {
        for key in ["total", "n", "nothing", "a.b"] {
            statements.push(format!("SELECT id, doc ->> '{key}' FROM t ORDER BY id"));
            statements.push(format!("SELECT id FROM t WHERE doc ->> '{key}' = '3' ORDER BY id"));
            statements.push(format!("SELECT id FROM t WHERE doc ->> '{key}' IS NULL ORDER BY id"));
        }
        statements.push("SELECT id FROM t WHERE (doc ->> 'total')::numeric = 99 ORDER BY id".into());
    }
    twin.same_queries(statements);
    let mut raw = twin.raw_sealed();
    for _ in 0..2 {
        assert_eq!(raw.rows("SELECT id FROM t WHERE (doc ->> 'total')::numeric = 2"), ["12"]);
        assert_eq!(raw.error("SELECT id FROM t WHERE (doc ->> 'other')::numeric = 2").code, "0A000");
        assert_eq!(raw.error("SELECT id FROM t WHERE (doc ->> 'n')::numeric = 2").code, "0A000");
        assert_eq!(raw.rows("SELECT id FROM t WHERE doc ->> 'a.b' = 'dotted'"), ["18"]);
        assert_eq!(raw.rows("SELECT id FROM t WHERE doc ->> 'day' = '1969-07-20'"), ["21"]);
    }
}

/// Every way of writing seals the paths, and every way of reading documents passes over them.
#[test]
fn every_way_of_writing_seals_the_paths() {
    let twin = filled();
    let (total, name) = ("(doc ->> 'total')::numeric", "doc -> 'customer' ->> 'name'");
    let check = format!("SELECT id, doc, {total}, {name} FROM t ORDER BY {total} NULLS FIRST, id");
    twin.both("CREATE UNIQUE INDEX t_doc ON t (doc)");
    let statements = [
        "UPDATE t SET doc = '{\"total\": 3, \"customer\": {\"name\": \"Updated\"}}' WHERE id = 0".to_owned(),
        check.clone(),
        format!("UPDATE t SET doc = NULL WHERE {name} = 'Updated' RETURNING id, doc"),
        "INSERT INTO t VALUES (1, '{\"total\": 4}', 1) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc RETURNING doc".into(),
        "INSERT INTO t VALUES (2001, '{\"total\": 4}', 1) ON CONFLICT (doc) DO NOTHING".into(),
        check.clone(),
        "UPDATE t SET doc = u.doc FROM u WHERE u.id = 8 AND t.id = 1".into(),
        "MERGE INTO t USING (SELECT 2002 AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (2002, '{\"total\": 6}', 0)".into(),
        "INSERT INTO t SELECT id + 3000, doc FROM u WHERE id = 12".into(),
        "INSERT INTO t (id, doc) VALUES (2003, '{\"total\": 41}'), (2004, '{\"total\": 42, \"customer\": {\"name\": \"Two\"}}')".into(),
        check.clone(),
        format!("DELETE FROM t WHERE {total} BETWEEN 41 AND 42"),
        format!("BEGIN; DECLARE c CURSOR FOR SELECT id, {total} FROM t WHERE {total} > 0 ORDER BY {total}, id; FETCH 3 FROM c; FETCH ALL FROM c; COMMIT"),
        format!("PREPARE p (numeric) AS SELECT id FROM t WHERE {total} > $1 ORDER BY id; EXECUTE p (50); EXECUTE p (NULL)"),
        format!("COPY (SELECT id, doc, {total} FROM t ORDER BY id) TO STDOUT"),
        format!("CREATE TABLE c AS SELECT id, {total} AS total, {name} AS name FROM t; SELECT id, name FROM c WHERE total > 1 ORDER BY total, id"),
        format!("CREATE VIEW v AS SELECT id, {total} AS total FROM t; SELECT id, total FROM v WHERE total > 1 ORDER BY total DESC, id"),
        "SELECT row_to_json(t) FROM t ORDER BY id".into(),
        "SELECT json_agg(doc ORDER BY id) FROM t".into(),
        format!("SELECT json_build_object('total', {total}) FROM t ORDER BY id"),
        "SELECT array_agg(doc ORDER BY id) FROM t WHERE id < 10".into(),
        "SELECT doc, count(*) FROM t GROUP BY doc ORDER BY count(*), min(id)".into(),
        "SELECT count(*) FROM (SELECT DISTINCT doc FROM t WHERE id IN (7, 8)) s".into(),
        format!("SELECT id, {total} * 2, doc ->> 'total' FROM t WHERE id < 13 ORDER BY id"),
    ];
    let (mut plain, mut sealed) = twin.raw();
    let asked = statements.into_iter().map(|sql| (sql.clone(), query(&sql)));
    crate::support::raw::same(&mut plain, &mut sealed, asked);
    let lacking = "SELECT count(*) FROM t WHERE doc IS NOT NULL AND (doc).p IS NOT DISTINCT FROM NULL";
    assert_eq!(twin.stored(lacking).trim(), "0");
}

#[test]
fn copied_documents_have_their_paths() {
    let twin = filled();
    let lines: String =
        DOCUMENTS.iter().enumerate().map(|(id, doc)| format!("{id}\t{}\n", doc.replace('\\', "\\\\"))).collect();
    for database in [&twin.plain, &twin.sealed] {
        database.sql(&format!("TRUNCATE u;\nCOPY u (id, doc) FROM STDIN;\n{lines}\\.\n"));
    }
    let check = "SELECT id, (doc ->> 'total')::numeric, doc -> 'customer' ->> 'name' FROM u ORDER BY (doc ->> 'total')::numeric, id";
    let found = "SELECT id FROM u WHERE doc #>> '{customer,name}' LIKE '%d%' OR (doc ->> 'n')::int = 3 ORDER BY id";
    twin.same_queries([check, found, "COPY u (id, doc) TO STDOUT (FORMAT csv)"].map(String::from));
    let same = "SELECT count(*) FROM t JOIN u USING (id) WHERE (((t.doc).p).p1).ord IS DISTINCT FROM (((u.doc).p).p1).ord \
                OR (((t.doc).p).p2).m IS DISTINCT FROM (((u.doc).p).p2).m";
    assert_eq!(twin.stored(same).trim(), "0", "COPY and INSERT make the same terms");
    let said = twin.sealed.psql("COPY u (id, doc) FROM STDIN;\n9\t{\"total\": \"xyzzy\"}\n\\.\n").failed();
    assert!(said.contains("promoted path \"total\"") && !said.contains("xyzzy"), "{said}");
    // Arrays of documents.
    twin.sealed.sql("CREATE TABLE a (id int, docs seal.deal[]); INSERT INTO a VALUES (1, ARRAY['{\"total\": 7}', NULL, '{\"n\": 1}']::jsonb[])");
    assert_eq!(twin.sealed.sql("SELECT docs[1], docs[3] FROM a").trim(), "{\"total\": 7}|{\"n\": 1}");
    assert_eq!(twin.stored("SELECT ((docs[1].p).p1).ord IS NULL, ((docs[3].p).p1).ord IS NULL FROM a").trim(), "f|t");
}

#[test]
fn documents_that_do_not_fit_are_refused() {
    let twin = tables();
    let mut raw = twin.raw_sealed();
    for (document, code, path) in [
        ("{\"total\": \"xyzzy\"}", "22P02", "total"),
        ("{\"total\": true}", "22P02", "total"),
        ("{\"total\": [1]}", "22P02", "total"),
        ("{\"n\": 1.5}", "22P02", "n"),
        ("{\"n\": 3000000000}", "22003", "n"),
        ("{\"u\": \"xyzzy\"}", "22P02", "u"),
        ("{\"at\": \"2001-02-03 04:05:06\"}", "22007", "at"),
        ("{\"day\": \"02/03/2001\"}", "22007", "day"),
        ("{\"day\": \"2001-02-30\"}", "22008", "day"),
    ] {
        let error = raw.error(&format!("INSERT INTO t VALUES (1, '{document}', 1)"));
        assert_eq!(error.code, code, "{document}: {error:?}");
        assert!(error.message.contains(&format!("promoted path \"{path}\"")), "{error:?}");
        assert!(!format!("{error:?}").contains("xyzzy"), "{error:?}");
    }
    let long = format!("{{\"customer\": {{\"name\": \"{}\"}}}}", "x".repeat(65));
    assert_eq!(raw.error(&format!("INSERT INTO t VALUES (1, '{long}', 1)")).code, "54000");
    assert_eq!(raw.rows("SELECT count(*) FROM t"), ["0"]);
}

#[test]
fn what_paths_cannot_do_is_refused() {
    let twin = filled();
    let mut raw = twin.raw_sealed();
    for condition in [
        "(doc ->> 'n')::int > 3",
        "(doc ->> 'total')::int = 3",
        "(doc ->> 'total')::numeric(10, 2) = 3",
        "doc -> 'total' > '3'",
        "(doc -> 'total')::numeric > 3",
        "doc ->> 'other' < 'a'",
        "doc ->> 'a.b' LIKE ANY (SELECT 'a')",
        "(doc ->> 'total')::numeric + 1 > 3",
        "(doc ->> 'total')::numeric = (doc ->> 'f')::numeric",
        "doc #>> '{customer,name}' COLLATE \"en_US\" < 'a'",
        "doc #>> '{customer,name}' ~ 'a'",
        "doc #>> '{customer,name}' = x",
    ] {
        let error =
            raw.error(&format!("SELECT t.id FROM t JOIN u USING (id) WHERE {}", condition.replace("doc", "t.doc")));
        assert!(matches!(error.code.as_str(), "0A000"), "{condition}: {error:?}");
    }
    assert!(
        raw.error("SELECT id FROM t WHERE doc ->> 'other' < 'a'").hint.unwrap_or_default().contains("promoted"),
        "a hint names them"
    );
    for sql in [
        "CREATE INDEX ON t USING gin ((doc ->> 'a.b'))",
        "CREATE INDEX ON t USING gin ((doc #>> '{customer,name}') tsvector_ops)",
        "CREATE INDEX ON t ((doc ->> 'other'))",
        "CREATE INDEX ON t ((doc #>> '{customer,name}') COLLATE \"C\")",
        "SELECT id FROM t ORDER BY (doc ->> 'n')::int",
        "UPDATE t SET doc = jsonb_set(doc, '{total}', '3')",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT id FROM t WHERE (doc ->> ''total'')::numeric > 1'",
    ] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    assert_eq!(raw.error("UPDATE u SET x = doc #>> '{customer,name}'").code, "42804");
}

#[test]
fn indexes_serve_paths() {
    let twin = tables();
    for start in (0..6_000).step_by(1000) {
        let row = |i: i32| {
            format!(
                "({i}, '{{\"total\": {}, \"n\": {}, \"customer\": {{\"name\": \"user {i}\"}}}}', 1)",
                i * 10,
                i % 500
            )
        };
        let rows: Vec<String> = (start..start + 1000).map(row).collect();
        twin.sealed.sql(&format!("INSERT INTO t VALUES {}", rows.join(", ")));
    }
    twin.sealed.sql(
        "CREATE INDEX t_total ON t (((doc ->> 'total')::numeric)); CREATE INDEX t_name ON t ((doc -> 'customer' ->> 'name') DESC, id); \
         CREATE INDEX t_like ON t USING gin ((doc #>> '{customer,name}') gin_trgm_ops); CREATE UNIQUE INDEX t_u ON t (((doc ->> 'u')::uuid)); \
         CREATE INDEX t_n ON t (jsonb_extract_path_text(doc, 'a.b'), n)",
    );
    twin.direct.superuser("ANALYZE t");
    let mut wrong = Vec::new();
    for (rest, index, count) in [
        ("WHERE (doc ->> 'total')::numeric > 59000", "t_total", 99),
        ("WHERE (doc ->> 'total')::numeric BETWEEN 100 AND 200", "t_total", 11),
        ("WHERE (doc ->> 'total')::numeric = 100", "t_total", 1),
        ("WHERE (doc ->> 'total')::numeric IN (100, 110)", "t_total", 2),
        ("ORDER BY (doc ->> 'total')::numeric DESC LIMIT 20", "t_total", 20),
        ("WHERE (doc ->> 'total')::numeric > 100 ORDER BY (doc ->> 'total')::numeric LIMIT 5", "t_total", 5),
        ("WHERE doc #>> '{customer,name}' = 'user 77'", "t_name", 1),
        ("WHERE doc['customer'] ->> 'name' < 'user 100'", "t_name", 3),
        ("WHERE doc #>> '{customer,name}' LIKE '%ser 599%'", "t_like", 11),
        ("WHERE doc #>> '{customer,name}' ILIKE 'USER 599_'", "t_like", 10),
        ("WHERE (doc ->> 'u')::uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "t_u", 0),
    ] {
        let plan = twin.sealed.sql(&format!("EXPLAIN (COSTS OFF) SELECT id FROM t {rest}"));
        if !plan.contains(index) || plan.contains("Seq Scan on t") {
            wrong.push(format!("{rest}\n{plan}"));
        }
        let found = twin.sealed.sql(&format!("SELECT count(*) FROM (SELECT id FROM t {rest}) s"));
        assert_eq!(found.trim(), count.to_string(), "{rest}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let twice = "INSERT INTO t VALUES (9001, '{\"u\": \"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"}')";
    twin.sealed.sql(twice);
    let again = twice.replace("9001", "9002");
    let error = twin.raw_sealed().error(&again);
    assert_eq!((error.code.as_str(), error.detail), ("23505", None));
    twin.sealed.sql(&format!("{again} ON CONFLICT (((doc ->> 'u')::uuid)) DO UPDATE SET n = 77"));
    assert_eq!(twin.sealed.sql("SELECT id FROM t WHERE n = 77").trim(), "9001");
    // What a dump holds of an index is taken as it is.
    let def =
        twin.direct.sql("SELECT indexdef FROM pg_indexes WHERE indexname = 't_total'").replace("t_total", "t_again");
    assert!(def.contains("(((doc).p.p1.ord))"), "{def}");
    twin.sealed.sql(&def);
}

/// Nothing of what is stored or asked reaches the server, and terms of two paths have nothing in common.
#[test]
fn the_server_sees_no_part_at_a_path() {
    let twin = Twin::start();
    twin.create_type("pair", "", &["a=text:eq,ord,match", "b=text:eq,ord,match", "c.d=numeric:ord,eq"]);
    twin.create_type("other", "", &["a=text:eq,ord,match"]);
    twin.sealed.sql("CREATE TABLE t (id int, doc seal.pair, o seal.other, s seal.text_search)");
    twin.direct.superuser("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()");
    let document = "{\"a\": \"frotz\", \"b\": \"frotz\", \"c\": {\"d\": 7340019}}";
    twin.sealed
        .sql(&format!("INSERT INTO t VALUES (1, '{document}', '{document}', 'frotz'), (2, '{document}', NULL, NULL)"));
    let mut raw = twin.raw_sealed();
    for (sql, rows) in [
        ("SELECT id FROM t WHERE doc ->> 'a' = 'frotz' ORDER BY id", 2),
        ("SELECT id FROM t WHERE doc ->> 'b' > 'frotx'", 2),
        ("SELECT id FROM t WHERE doc ->> 'a' LIKE '%rot%' AND doc ->> 'b' ILIKE 'FROTZ'", 2),
        ("SELECT id FROM t WHERE (doc -> 'c' ->> 'd')::numeric BETWEEN 7340018 AND 7340019.5", 2),
        (
            "SELECT doc ->> 'a', (doc #>> '{c,d}')::numeric FROM t GROUP BY 1, 2 HAVING (doc #>> '{c,d}')::numeric = 7340019",
            1,
        ),
        ("EXPLAIN ANALYZE VERBOSE SELECT id FROM t WHERE doc ->> 'a' = 'frotz'", 4),
    ] {
        assert!(raw.rows(sql).len() >= rows, "{sql}");
    }
    raw.query("SELECT id FROM t WHERE doc ->> 'frotz' < 'frotz'");
    raw.query("INSERT INTO t (doc) VALUES ('{\"c\": {\"d\": \"frotz7340019\"}}')");
    let seen = [twin.relay.sent(), twin.cluster.log().into_bytes()].concat();
    let seen = String::from_utf8_lossy(&seen).to_lowercase();
    for secret in ["frotz", "7340019", "frotx"] {
        assert!(!seen.contains(secret), "{secret} reached the server");
    }
    assert!(!twin.stored("SELECT t::text FROM t").contains("frotz"));
    let differ = "SELECT (a).eq = (b).eq, (a).ord = (b).ord, (a).m && (b).m, (a).eq = (o).eq, (a).ord = (o).ord, (a).eq = (s).eq, (a).m && (s).m \
                  FROM (SELECT ((doc).p).p1 AS a, ((doc).p).p2 AS b, ((o).p).p1 AS o, s FROM t WHERE id = 1) x";
    assert_eq!(twin.stored(differ).trim(), "f|f|f|f|f|f|f");
    let same = "SELECT count(DISTINCT (((doc).p).p1).eq), count(DISTINCT (((doc).p).p3).ord), count(DISTINCT (((doc).p).p1).c) FROM t";
    assert_eq!(twin.stored(same).trim(), "1|1|2");
}

#[test]
fn types_with_paths_are_made_and_checked() {
    let twin = tables();
    let listed = twin.workspace.columnseal(&["type", "list"]).ok();
    assert!(listed.contains("total=numeric:ord") && listed.contains("customer.name=text:eq,ord,match"), "{listed}");
    let shown = twin.sealed.sql("SHOW columnseal.types");
    assert!(shown.contains("{total: numeric:ord}") && !shown.contains('$'), "{shown}");
    let args = ["type", "create", "bad", "--as", "jsonb", "--path", "total", "--database", &twin.direct.url];
    assert!(twin.workspace.columnseal(&args).failed().contains("NAME=TYPE:TERMS"));
    for (call, words) in [
        ("'x', 'jsonb', paths => '{\"0\": \"text:eq\"}'", "is not a path"),
        ("'x', 'jsonb', paths => '{\"a\": \"text\"}'", "needs a type and terms"),
        ("'x', 'jsonb', paths => '{\"a\": \"bool:eq\"}'", "needs a type and terms"),
        ("'x', 'jsonb', paths => '{\"a\": \"int4:match\"}'", "cannot have the term"),
        ("'x', 'json', paths => '{\"a\": \"int4:eq\"}'", "of a jsonb"),
        ("'x', 'jsonb', paths => '[]'", "JSON object"),
        ("'x', 'jsonb', '', '{\"paths\": []}'", "no option"),
    ] {
        let said = twin.direct.psql(&format!("SELECT seal.create_type({call})")).failed();
        assert!(said.contains(words), "{call}: {said}");
    }
    // Sixteen paths with long names: their definition comes in parts.
    let paths: Vec<String> = (0..16).map(|n| format!("{}{n}.\"ä\\ {n}=numeric:eq,ord", "long".repeat(10))).collect();
    twin.create_type("wide", "json", &paths.iter().map(String::as_str).collect::<Vec<_>>());
    let mut raw = twin.raw_sealed();
    raw.query("CREATE TABLE w (id int, doc seal.wide)");
    let document = format!("{{\"{}15\": {{\"\\\"ä\\\\ 15\": 5}}}}", "long".repeat(10));
    raw.query(&format!("INSERT INTO w VALUES (1, '{document}')"));
    let column = format!("(doc #>> ARRAY['{}15', '\"ä\\ 15'])::numeric", "long".repeat(10));
    assert_eq!(raw.rows(&format!("SELECT id FROM w WHERE {column} = 5")), ["1"]);
    // An edit of the registry or of a composite by whoever controls the database.
    raw.query("INSERT INTO l VALUES (1, '{\"total\": 1}')");
    twin.direct.superuser(
        "UPDATE seal.types SET options = jsonb_set(options, '{paths,0,plain}', '\"text\"') WHERE name = 'lean'",
    );
    eventually("the edit is noticed", || raw.query("SELECT doc FROM l").starts_with("E ERROR").then_some(()));
    assert_eq!(
        raw.error("SELECT id FROM l WHERE (doc ->> 'total')::numeric > 0").code,
        raw.error("SELECT doc FROM l").code
    );
}
