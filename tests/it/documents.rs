//! Conditions on encrypted JSON: the same answers as plain PostgreSQL, wherever they stand, and by the index where it has one.

use crate::support::raw::{self, bind, describe_statement, execute, extended, parse, query, sync};
use crate::support::{Twin, eventually, placed};

/// Documents: of every kind, nested and empty, with numbers that are written in several ways, keys that look like numbers, and texts
/// that look like JSON.
const DOCUMENTS: &[&str] = &[
    "{}",
    "[]",
    "null",
    "true",
    "1",
    "\"a\"",
    "\"1\"",
    "[1]",
    "[[1]]",
    "[null]",
    "[\"a\", \"b\"]",
    "[[\"a\"]]",
    "[{\"a\": 1}, {\"b\": 2}]",
    "{\"a\": 1}",
    "{\"a\": 1.0}",
    "{\"a\": 1.50, \"b\": 15e-1}",
    "{\"a\": \"1\"}",
    "{\"a\": \"1.0\"}",
    "{\"a\": null}",
    "{\"a\": true}",
    "{\"a\": \"true\"}",
    "{\"a\": \"null\"}",
    "{\"a\": {}}",
    "{\"a\": []}",
    "{\"a\": \"\"}",
    "{\"\": 1}",
    "{\"a\": {\"b\": 1, \"c\": [1, 2, {\"d\": \"x\"}]}}",
    "{\"a\": {\"b\": {\"c\": {\"d\": {\"e\": \"deep\"}}}}}",
    "{\"a\": [1, 2, 3], \"b\": [\"x\", \"y\"]}",
    "{\"a\": [[1, 2], [3]]}",
    "{\"a\": [{\"b\": 1}, {\"b\": 2, \"c\": 3}]}",
    "{\"0\": \"zero\", \"1\": {\"0\": \"inner\"}}",
    "{\"a\": \"{\\\"b\\\": 1}\"}",
    "{\"a\": \"[1, 2, 3]\"}",
    "{\"name\": \"Ada Lovelace\", \"tags\": [\"math\", \"code\"], \"born\": 1815}",
    "{\"name\": \"ada\", \"tags\": [], \"born\": 1900.5}",
    "{\"name\": \"日本語 テキスト\", \"emoji\": \"\\ud83d\\ude00\", \"é\": 1}",
    "{\"e\\u0301\": 2, \"line\": \"a\\nb\\t\\\"c\\\" \\\\ /\"}",
    "{\"a\": 1, \"a\": 2, \"b\": {\"x\": 1, \"x\": 2}}",
    "{\"n\": 1e400}",
    "{\"n\": -0.0}",
    "{\"n\": 12345678901234567890123456789.000}",
    "{\"n\": 9007199254740993}",
    "{\"n\": 9007199254740992}",
    "{\"a.b\": 1, \"a\": {\"b c\": 2}}",
    "{\"a\": {\"b\": null}}",
    "{\"bb\": 1, \"a\": 2, \"ccc\": 3}",
];

/// What documents are compared with.
const OPERANDS: &[&str] = &[
    "{}",
    "[]",
    "null",
    "true",
    "1",
    "1.00",
    "\"a\"",
    "\"1\"",
    "[1]",
    "[[1]]",
    "[1, 1.0]",
    "[null]",
    "[\"b\", \"a\"]",
    "{\"a\": 1}",
    "{\"a\": 1.5}",
    "{\"a\": \"1\"}",
    "{\"a\": null}",
    "{\"a\": {}}",
    "{\"a\": []}",
    "{\"a\": [1]}",
    "{\"a\": [3, 2]}",
    "{\"a\": [[2]]}",
    "{\"a\": [{\"b\": 2}]}",
    "{\"a\": {\"b\": 1}}",
    "{\"a\": {\"c\": [{\"d\": \"x\"}]}}",
    "{\"a\": 1, \"a\": 2}",
    "{\"\": 1.0}",
    "{\"n\": 10e399}",
    "{\"n\": 0}",
    "{\"n\": 9007199254740993.0}",
    "{\"tags\": [\"code\"]}",
    "{\"name\": \"日本語 テキスト\", \"é\": 1.0}",
    "{\"a\": 1, \"b\": 2, \"ccc\": 3, \"bb\": 1, \"x\": [1, 2, 3]}",
    "[{\"a\": 1, \"b\": 2}, {\"b\": 2, \"a\": 1}, 1, \"a\", [1], null, \"b\"]",
];

/// Parts of documents: as JSON, and as text.
const PARTS: &[(&str, &str)] = &[
    ("e -> 'a'", "e ->> 'a'"),
    ("e -> 'a' -> 'b'", "e -> 'a' ->> 'b'"),
    ("(e -> 'a') -> 'c'", "((e -> 'a') ->> 'c')"),
    ("e -> 0", "e ->> 0"),
    ("e -> -1", "e ->> -1"),
    ("e -> 'a' -> 0", "e -> 'a' ->> 1"),
    ("e -> ''", "e ->> ''"),
    ("e -> 'n'", "e ->> 'n'"),
    ("e -> 'name'", "e ->> 'name'"),
    ("e -> 'é'", "e ->> 'line'"),
    ("e #> '{a,b}'", "e #>> '{a,b}'"),
    ("e #> '{a,0}'", "e #>> '{a,c,2,d}'"),
    ("e #> '{}'", "e #>> '{}'"),
    ("e #> '{1,0}'", "e #>> '{1,0}'"),
    ("e #> '{a,-1,b}'", "e #>> '{0}'"),
    ("e #> ARRAY['a', 'b c']", "e #>> ARRAY['tags', '0']"),
    ("e['a']", "e['a'] ->> 'b'"),
    ("e['a']['b']", "e['tags'] ->> 0"),
    ("e['1']['0']", "e['a']['c'] #>> '{2,d}'"),
    ("e[0]", "e[0] ->> 'a'"),
    ("jsonb_extract_path(e, 'a', 'b')", "jsonb_extract_path_text(e, 'a', 'b')"),
    ("jsonb_extract_path(e, 'a', '0')", "jsonb_extract_path_text(e, 'name')"),
    ("e -> NULL", "e ->> NULL"),
    ("e::jsonb -> 'b'", "(e ->> 'a')::text"),
];

const TEXTS: &[&str] = &[
    "'1'",
    "'1.0'",
    "'true'",
    "'null'",
    "''",
    "'{}'",
    "'[1, 2, 3]'",
    "'{\"b\": 1}'",
    "'x'",
    "'ada'",
    "'Ada Lovelace'",
    "'0'",
    "'deep'",
    "NULL",
];

const JSON_TEXTS: &[&str] = &[
    "'1'",
    "'1.00'",
    "'\"1\"'",
    "'null'",
    "'{}'",
    "'[]'",
    "'[1, 2, 3]'",
    "'{\"b\": 1.0}'",
    "'\"ada\"'",
    "'true'",
    "NULL",
];

const PATHS: &[&str] = &[
    "$",
    "$.a",
    "$.a.b",
    "$.a[*].b",
    "$[*].a",
    "$[0]",
    "$.a[1]",
    "$.\"\"",
    "$.\"a.b\"",
    "$.a ? (@ == 1)",
    "$.a ? (@ == \"1\")",
    "$.a ? (@ > 1)",
    "$.a ? (@ == null)",
    "$.a.b ? (@ == 1)",
    "$.a.c[*] ? (@.d == \"x\")",
    "$.a[*] ? (@.b == 2 && @.c == 3)",
    "$ ? (@.name == \"ada\" || @.born < 1850)",
    "$ ? (exists(@.tags) && !(@.name == \"ada\"))",
    "$.n ? (@ == 9007199254740993)",
    "$.tags ? (@ == \"code\")",
    "$.a == 1",
    "$.a > 1 && $.b >= 1.5",
    "$.a != null",
    "$.a == true",
    "$.a",
    "$.a <= \"1\"",
    "!($.a == 1)",
    "exists($.a.b)",
    "$.a == 1 || $.a == \"1\"",
];

fn fill(twin: &Twin) {
    twin.create(
        "CREATE TABLE t (id int PRIMARY KEY, e seal.jsonb_search, n int); CREATE TABLE u (id int, e seal.jsonb_search)",
    );
    twin.both("CREATE INDEX t_e ON t USING gin (e)");
    for (id, document) in DOCUMENTS.iter().enumerate() {
        let document = document.replace('\'', "''");
        twin.both(&format!("INSERT INTO t VALUES ({id}, '{document}', {})", id % 3));
    }
    twin.both("INSERT INTO t VALUES (1000, NULL, 1); INSERT INTO u SELECT id, e FROM t WHERE n = 1");
}

#[test]
fn documents_contain_what_they_contain_in_postgresql() {
    let twin = Twin::start();
    fill(&twin);
    let mut statements = Vec::new();
    for operand in OPERANDS {
        statements.extend(placed(&format!("e @> '{operand}'")));
        statements.extend(placed(&format!("e <@ '{operand}'")));
        statements.push(format!("SELECT id FROM t WHERE e = '{operand}' ORDER BY id"));
        statements.push(format!("SELECT id FROM t WHERE e -> 'a' @> '{operand}' ORDER BY id"));
        statements.push(format!("SELECT id, e['a'] <@ '{operand}' FROM t ORDER BY id"));
    }
    statements.extend(placed("e @> NULL"));
    statements.push("SELECT id FROM t WHERE e @> '{' ".into());
    statements.push("SELECT id FROM t WHERE e <> '{\"a\": 1}' ORDER BY id".into());
    twin.same_queries(statements);
}

#[test]
fn keys_exist_as_in_postgresql() {
    let twin = Twin::start();
    fill(&twin);
    let mut statements = Vec::new();
    for key in ["'a'", "'b'", "''", "'1'", "'é'", "'nothing'", "NULL"] {
        statements.extend(placed(&format!("e ? {key}")));
        statements.extend(placed(&format!("e -> 'a' ? {key}")));
        statements.extend(placed(&format!("e -> 0 ? {key}")));
    }
    for keys in [
        "'{a,b}'",
        "ARRAY['a', 'b']",
        "'{}'",
        "ARRAY['1']",
        "'{a,NULL}'",
        "ARRAY['b', NULL]",
        "'{bb,a,ccc}'::text[]",
        "NULL",
    ] {
        for operator in ["?|", "?&"] {
            statements.extend(placed(&format!("e {operator} {keys}")));
            statements.extend(placed(&format!("e -> 'a' {operator} {keys}")));
        }
    }
    twin.same_queries(statements);
}

#[test]
fn parts_are_compared_as_in_postgresql() {
    let twin = Twin::start();
    fill(&twin);
    let mut statements = Vec::new();
    let each = |condition: &str, other: &str| {
        [
            format!("SELECT id FROM t WHERE {condition} ORDER BY id"),
            format!("SELECT id, {condition}, {other}, NOT ({condition}) FROM t ORDER BY id"),
        ]
    };
    for (i, (json, text)) in PARTS.iter().enumerate() {
        // Every value with the first parts, and with the others some each.
        let taken = |n: &(usize, &&str)| i < 4 || n.0 % 4 == i % 4;
        for (_, value) in TEXTS.iter().enumerate().filter(taken) {
            statements.extend(each(&format!("{text} = {value}"), &format!("{text} <> {value}")));
        }
        for (_, value) in JSON_TEXTS.iter().enumerate().filter(taken) {
            statements.extend(each(&format!("{json} = {value}"), &format!("{json} <> {value}")));
        }
        for part in [json, text] {
            statements.extend(each(&format!("{part} IS NOT NULL"), &format!("{part} IS NULL")));
            statements.push(format!("SELECT id FROM t WHERE {part} IS NULL ORDER BY id"));
        }
        for (condition, other) in [
            ("IN ('1', 'true', 'x')", "NOT IN ('1', 'Ada Lovelace', '{}')"),
            ("= ANY ('{1,1.0,ada}')", "<> ALL (ARRAY['1', 'deep'])"),
            ("LIKE '%a%'", "NOT ILIKE 'ADA%'"),
        ] {
            statements.extend(each(&format!("{text} {condition}"), &format!("{text} {other}")));
        }
        statements.extend(each(&format!("{json} IN ('1', '{{}}', '\"x\"')"), &format!("{json} NOT IN ('1.0', '[]')")));
    }
    twin.same_queries(statements);
}

#[test]
fn paths_of_jsonpath_find_what_they_find_in_postgresql() {
    let twin = Twin::start();
    fill(&twin);
    let mut statements = Vec::new();
    for path in PATHS {
        statements.extend(placed(&format!("e @? '{path}'")));
        statements.extend(placed(&format!("e @@ '{path}'")));
        statements.extend(placed(&format!("e -> 'a' @? '{path}'")));
        statements.extend(placed(&format!("jsonb_path_exists(e, '{path}')")));
    }
    statements.extend(placed("e @? NULL"));
    twin.same_queries(statements);
    let mut raw = twin.raw_sealed();
    for path in ["$.a.size() > 1", "strict $.a", "$.**", "$.a ? (@ like_regex \"x\")", "$.a[last]", "$.a +"] {
        let error = raw.error(&format!("SELECT id FROM t WHERE e @? '{path}'"));
        assert_eq!(error.code, "0A000", "{path}: {error:?}");
    }
}

#[test]
fn conditions_on_documents_stand_anywhere() {
    let twin = Twin::start();
    fill(&twin);
    let statements = [
        "SELECT id, e FROM t WHERE e @> '{\"a\": 1}' ORDER BY id LIMIT 1 OFFSET 1",
        "SELECT id FROM t WHERE e ->> 'a' = '1' OR e ? 'name' OR n = 2 ORDER BY id",
        "SELECT id FROM t WHERE NOT (e ->> 'a' = '1' OR e ? 'name') ORDER BY id",
        "SELECT id FROM t WHERE (e ->> 'a' = '1') IS NULL ORDER BY id",
        "SELECT id FROM t WHERE (e ->> 'a' = '1') IS NOT TRUE AND n = 1 ORDER BY id",
        "SELECT e ->> 'a' = '1', count(*) FROM t GROUP BY 1 ORDER BY 1",
        "SELECT n, count(*) FILTER (WHERE e ->> 'a' = '1'), count(*) FILTER (WHERE e @> '{\"a\": {}}') FROM t GROUP BY n ORDER BY n",
        "SELECT a.id, b.id FROM t a LEFT JOIN t b ON b.e -> 'a' = '1' AND b.id > a.id WHERE a.e ? 'tags' ORDER BY 1, 2",
        "SELECT a.id, b.id FROM t a JOIN u b USING (id) WHERE b.e @> '1' OR a.e ->> 'a' = 'true' ORDER BY 1",
        "SELECT id FROM t a WHERE EXISTS (SELECT FROM u b WHERE b.id = a.id AND b.e ->> 'a' IS NOT NULL) ORDER BY id",
        "SELECT id FROM t WHERE id IN (SELECT id FROM u WHERE e #>> '{a,b}' = '1') ORDER BY id",
        "SELECT CASE WHEN e ? 'a' THEN 'a' WHEN e @> '[]' THEN 'array' ELSE 'other' END, count(*) FROM t GROUP BY 1 ORDER BY 1",
        "WITH x AS (SELECT id, e FROM t WHERE e['a']['b'] = '1') SELECT id, e FROM x ORDER BY id",
        "SELECT id FROM t WHERE e ? 'a' UNION SELECT id FROM u WHERE e @> '[1]' ORDER BY 1",
        "SELECT id FROM t WHERE e @> '{\"tags\": [\"code\"]}' FOR UPDATE",
        "SELECT id FROM t WHERE lower(e ->> 'name') = 'ada' ORDER BY id",
        "SELECT id FROM t WHERE UPPER((e ->> 'name')::text) LIKE UPPER('ada%') ORDER BY id",
        "SELECT id FROM t WHERE e ->> 'name' LIKE concat('%', 'Love', '%') ORDER BY id",
        "SELECT id FROM t WHERE e ->> 'name' LIKE 'A!da%' ESCAPE '!' ORDER BY id",
        "SELECT id FROM t WHERE e ->> 'name' ^@ 'Ada' ORDER BY id",
        "SELECT id FROM t WHERE (e->'a'->>'b')='1'AND n>=0 ORDER BY id",
        "SELECT id FROM t WHERE e OPERATOR(pg_catalog.@>) '{\"a\": 1}'::jsonb ORDER BY id",
        "SELECT id FROM t WHERE ((e))->>('a') /* which */ = ('1') -- one\n ORDER BY id",
        "SELECT \"t\".id FROM public.t WHERE public.t.e ->> 'a' = '1' ORDER BY 1",
        "UPDATE t SET n = n + 10 WHERE e @> '{\"a\": {\"b\": 1}}' RETURNING id, e, n",
        "UPDATE t SET n = u.id FROM u WHERE u.id = t.id AND u.e ->> 'a' = '1'",
        "UPDATE t SET e = '{\"a\": \"changed\"}' WHERE e ->> 'a' = 'true'",
        "SELECT id FROM t WHERE e ->> 'a' = 'changed' ORDER BY id",
        "DELETE FROM t WHERE e ->> 'name' ILIKE 'ADA%' OR e @> 'null'",
        "INSERT INTO t (id, e) SELECT id + 2000, e FROM t WHERE e ? 'b'",
        "SELECT id, e, n FROM t ORDER BY id",
        "BEGIN; DECLARE c CURSOR FOR SELECT id FROM t WHERE e ? 'a' ORDER BY id; FETCH 2 FROM c; FETCH ALL FROM c; COMMIT",
        "PREPARE p (text, jsonb) AS SELECT id FROM t WHERE e ->> 'a' = $1 OR e @> $2 ORDER BY id; EXECUTE p ('1', '{\"bb\": 1}'); EXECUTE p (NULL, '[1]')",
        "COPY (SELECT id, e FROM t WHERE e ? 'b' ORDER BY id) TO STDOUT",
        "BEGIN; SELECT id FROM t WHERE e @> 'x'; SELECT 1; ROLLBACK",
        "BEGIN; INSERT INTO t (id, e) VALUES (3000, '{\"fresh\": true}'); SELECT id FROM t WHERE e ? 'fresh'; ROLLBACK",
    ];
    twin.same_queries(statements.map(String::from));
}

#[test]
fn values_of_conditions_come_as_parameters() {
    let twin = Twin::start();
    fill(&twin);
    let conditions: [(&str, &[Option<&str>]); 12] = [
        ("e @> $1", &[Some("{\"a\": 1}"), Some("{}"), Some("1"), None, Some("{")]),
        ("e @> $1::jsonb", &[Some("[1]"), None]),
        ("e <@ $1", &[Some("{\"a\": 1, \"b\": 2}"), None]),
        ("e ? $1", &[Some("a"), Some(""), None]),
        ("e ?| $1", &[Some("{a,1}"), Some("{}"), None]),
        ("e ?& $1::text[]", &[Some("{a,b}"), Some("{}"), None]),
        ("e ->> 'a' = $1", &[Some("1"), Some("1.0"), Some("true"), None]),
        ("e -> 'a' = $1", &[Some("1"), Some("\"1\""), Some("null"), None]),
        ("e -> 'a' = ANY (ARRAY[$1::jsonb, '{}'])", &[Some("1")]),
        ("e ->> 'name' LIKE '%' || $1 || '%'", &[Some("Love"), Some("%"), None]),
        ("e ->> $1 = '1'", &[Some("a"), Some("1"), Some(""), None]),
        ("e #>> $1 = '1'", &[Some("{a,b}"), Some("{}"), Some("{a,0}"), Some("{a,NULL}"), None]),
    ];
    let mut asked = Vec::new();
    for (condition, values) in conditions {
        let sql = format!("SELECT id FROM t WHERE {condition} ORDER BY id");
        asked.push((format!("describe {condition}"), [parse("", &sql, &[]), describe_statement(""), sync()].concat()));
        for value in values {
            asked.push((format!("{condition} {value:?}"), extended(&sql, &[*value])));
            asked.push((
                format!("{condition} {value:?} for each"),
                extended(&format!("SELECT id, {condition} FROM t ORDER BY id"), &[*value]),
            ));
        }
    }
    let sql = "SELECT id FROM t WHERE ($1::text IS NULL OR e ->> 'a' = $1) AND e ? $2 ORDER BY id";
    for values in [[Some("1"), Some("a")], [None, Some("a")]] {
        asked.push((format!("{sql} {values:?}"), extended(sql, &values)));
    }
    // An index as a number.
    let sql = "SELECT id FROM t WHERE e -> $1::int = $2 ORDER BY id";
    asked.push((sql.into(), extended(sql, &[Some("0"), Some("1")])));
    asked.push((
        "declared".into(),
        [
            parse("", "SELECT id FROM t WHERE e ->> $1 = '1' ORDER BY id", &[23]),
            bind("", "", &[Some("0")]),
            execute("", 0),
            sync(),
        ]
        .concat(),
    ));
    // Several portals of one statement.
    let sql = "SELECT id FROM t WHERE e ->> 'a' = $1 ORDER BY id";
    let pipeline = [
        parse("p", sql, &[]),
        bind("one", "p", &[Some("1")]),
        bind("two", "p", &[Some("true")]),
        execute("one", 1),
        execute("two", 1),
        execute("one", 0),
        execute("two", 0),
        sync(),
    ];
    asked.push(("a pipeline".into(), pipeline.concat()));
    asked.push(("again".into(), [bind("", "p", &[Some("1.0")]), execute("", 0), sync()].concat()));
    let (mut plain, mut sealed) = twin.raw();
    raw::same(&mut plain, &mut sealed, asked);
}

#[test]
fn what_conditions_cannot_say_is_refused() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.jsonb_search, o seal.jsonb_eq, plain text); INSERT INTO t VALUES (1, '{\"a\": 1}', '{}', 'a')");
    let mut raw = twin.raw_sealed();
    for condition in [
        "o @> '{}'",
        "o ->> 'a' = '1'",
        "o ? 'a'",
        "e ->> 'a' < '2'",
        "e ->> 'a' BETWEEN '1' AND '2'",
        "(e ->> 'a')::int = 1",
        "e -> 'a' < '2'",
        "e ->> plain = '1'",
        "e ->> 'a' = plain",
        "e @> jsonb_build_object('a', 1)",
        "'{}' <@ e",
        "'1' = e ->> 'a'",
        "e ->> 'a' = e ->> 'b'",
        "e @> e",
        "e #- '{a}' = '{}'",
        "e - 'a' = '{}'",
        "e || '{}' = '{}'",
        "e['a':'b'] = '1'",
        "e ->> 'a' IN (SELECT plain FROM t)",
        "e ->> 'a' IS DISTINCT FROM '1'",
        "e ->> 'a' ~ '1'",
        "e ->> 'a' = ANY ('{}')",
        "e ->> 'a' IN ('1', NULL)",
        "e ->> 1.5 = '1'",
    ] {
        let error = raw.error(&format!("SELECT id FROM t WHERE {condition}"));
        assert_eq!(error.code, "0A000", "{condition}: {error:?}");
        assert!(
            error.message.contains("t.e") || error.message.contains("t.o") || condition.contains("1.5"),
            "{condition}: {error:?}"
        );
    }
    for sql in [
        "SELECT id FROM (SELECT id, e AS d FROM t) x WHERE d ->> 'a' = '1'",
        "UPDATE t SET id = 2 RETURNING e ? 'a'",
        "SELECT id FROM t GROUP BY id, e HAVING e ? 'a'",
        "CREATE VIEW v AS SELECT id FROM t WHERE e ->> 'a' = '1'",
        "CREATE INDEX ON t ((e ->> 'a'))",
        "CREATE INDEX ON t USING gin (o)",
        "CREATE INDEX ON t USING gin ((e -> 'a'))",
    ] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
}

#[test]
fn documents_too_large_for_their_term_are_refused() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.jsonb_search, s seal.jsonb)");
    let mut raw = twin.raw_sealed();
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    let wide = |n: usize| format!("[{}]", (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(", "));
    let insert = |column: &str, document: &str| format!("INSERT INTO t ({column}) VALUES ('{document}')");
    for fits in [nested(256), wide(8_192)] {
        assert!(raw.query(&insert("e", &fits)).contains("INSERT 0 1"), "{}", fits.len());
        assert!(raw.query(&format!("SELECT count(*) FROM t WHERE e @> '{fits}'")).contains("D 1"), "{}", fits.len());
    }
    for large in [nested(257), wide(8_193)] {
        let error = raw.error(&insert("e", &large));
        assert_eq!(error.code, "54000", "{error:?}");
        assert!(error.message.contains("json term"), "{error:?}");
        assert!(raw.query(&insert("s", &large)).contains("INSERT 0 1"), "{}", large.len());
        // As an operand it is only contained in nothing.
        assert!(raw.query(&format!("SELECT count(*) FROM t WHERE e @> '{large}'")).contains("D 0"), "{}", large.len());
    }
}

#[test]
fn the_index_serves_conditions_on_documents() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE p (id int PRIMARY KEY, e seal.jsonb_search, n int); CREATE INDEX p_e ON p USING gin (e jsonb_path_ops)");
    for start in (0..12_000).step_by(1000) {
        let row = |i: i32| {
            format!(
                "({i}, '{{\"user\": {{\"id\": {i}, \"name\": \"user {i}\"}}, \"tags\": [\"t{}\", \"all\"], \"k{}\": true}}', 1)",
                i % 500,
                i % 300
            )
        };
        let rows: Vec<String> = (start..start + 1000).map(row).collect();
        twin.sealed.sql(&format!("INSERT INTO p VALUES {}", rows.join(", ")));
    }
    twin.direct.superuser("ANALYZE p");
    let conditions = [
        ("e @> '{\"user\": {\"id\": 77}}'", 1, 1),
        ("e @> '{\"tags\": [\"t77\"]}'", 24, 1),
        ("e ? 'k7'", 40, 1),
        ("e ?| ARRAY['k7', 'k8']", 80, 2),
        ("e ?& ARRAY['k7', 'tags']", 40, 2),
        ("e -> 'user' ->> 'name' = 'user 77'", 1, 1),
        ("e #>> '{user,id}' = '77'", 1, 1),
        ("e['user']['id'] = '77.0'", 1, 1),
        ("e -> 'user' ->> 'name' IN ('user 77', 'user 78')", 2, 2),
        ("e -> 'k7' IS NOT NULL", 40, 1),
        ("e @? '$.user ? (@.id == 77)'", 1, 1),
        ("e @@ '$.user.name == \"user 77\"'", 1, 1),
        ("(e ->> 'k7' = 'true' OR e @> '{\"tags\": [\"t8\"]}')", 64, 2),
    ];
    let mut wrong = Vec::new();
    for (condition, count, tokens) in conditions {
        for settings in ["", "SET search_path = ''; "] {
            let plan = twin
                .sealed
                .sql(&format!("{settings}EXPLAIN (COSTS OFF) SELECT id FROM public.p WHERE {condition} AND n = 1"));
            let asked: Vec<&str> = plan.lines().filter(|line| line.contains("Index Cond")).collect();
            // Not of paths to what is asked for.
            let fits = asked.join(",").matches(',').count() + 1 == tokens;
            if !plan.contains("p_e") || plan.contains("Seq Scan on p") || !fits {
                wrong.push(format!("{settings}{condition}\n{plan}"));
            }
        }
        let found = twin.sealed.sql(&format!("SELECT count(*) FROM p WHERE {condition}"));
        assert_eq!(found.trim(), count.to_string(), "{condition}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is equal has equal tokens, whatever else a document holds: those of the keys, of "all", and of the tag.
    let shared = |rows: &str| {
        twin.stored(&format!(
            "SELECT count(*) FROM (SELECT unnest((e).j) AS j FROM p WHERE {rows} GROUP BY 1 HAVING count(*) = 24) s"
        ))
    };
    assert_eq!((shared("id % 500 = 77").trim(), shared("id < 24").trim()), ("6", "5"));
    let odd = "SELECT count(*) FROM p WHERE cardinality((e).j) % 8 <> 0 OR (e).j <> ARRAY(SELECT DISTINCT unnest((e).j) ORDER BY 1)";
    assert_eq!(twin.stored(odd).trim(), "0", "sorted sets of a multiple of eight");
}

/// Nothing of what is asked, and nothing that is stored, reaches the server.
#[test]
fn the_server_sees_no_part_of_a_document() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.jsonb_search)");
    twin.direct.superuser("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()");
    twin.sealed
        .sql("INSERT INTO t VALUES (1, '{\"xyzzy\": {\"plugh\": \"frotz\", \"n\": 7340019}}'), (2, '[\"xyzzy\"]')");
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT id FROM t WHERE e @> '{\"xyzzy\": {\"n\": 7340019}}'",
        "SELECT id FROM t WHERE e <@ '[\"xyzzy\", \"plugh\"]'",
        "SELECT id FROM t WHERE e ? 'xyzzy' OR e ?| ARRAY['plugh', 'frotz'] OR e ?& '{xyzzy}'",
        "SELECT id FROM t WHERE e -> 'xyzzy' ->> 'plugh' = 'frotz'",
        "SELECT id FROM t WHERE e #>> '{xyzzy,plugh}' LIKE '%frotz%' AND 1 / (id - 1) > 0",
        "SELECT id, e['xyzzy']['plugh'] = '\"frotz\"' FROM t",
        "SELECT id FROM t WHERE e -> 'xyzzy' ->> 'n' IN ('7340019', 'frotz')",
        "SELECT id FROM t WHERE jsonb_extract_path_text(e, 'xyzzy', 'plugh') IS NOT NULL",
        "SELECT id FROM t WHERE e @? '$.xyzzy ? (@.plugh == \"frotz\")' OR e @@ '$.xyzzy.n == 7340019'",
        "EXPLAIN ANALYZE VERBOSE SELECT id FROM t WHERE e ->> 'xyzzy' = 'frotz'",
        "SELECT id FROM t WHERE e ->> 'xyzzy' < 'frotz'",
        "SELECT id FROM t WHERE 'frotz' = e ->> 'xyzzy'",
        "SELECT id FROM t WHERE e @> jsonb_build_object('xyzzy', 'frotz')",
        "SELECT id FROM t WHERE e @? '$.xyzzy.size() == 7340019'",
    ] {
        raw.query(sql);
    }
    raw.ask(&extended(
        "SELECT id FROM t WHERE e ->> $1 = $2 OR e @> $3",
        &[Some("xyzzy"), Some("frotz"), Some("{\"plugh\": 1}")],
    ));
    let seen = [twin.relay.sent(), twin.cluster.log().into_bytes()].concat();
    let seen = String::from_utf8_lossy(&seen).to_lowercase();
    for secret in ["xyzzy", "plugh", "frotz", "7340019"] {
        assert!(!seen.contains(secret), "{secret} reached the server");
    }
    assert!(seen.contains(".j operator(pg_catalog.@>)"), "the statements were seen");
}

/// A document that is written between the look and the statement is an error that says so, not a row too few.
#[test]
fn documents_that_change_in_between_are_an_error() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, e seal.jsonb_search); INSERT INTO t VALUES (1, '{\"a\": 1}')");
    let (mut first, mut second) = (twin.raw_sealed(), twin.raw_sealed());
    first.query("BEGIN");
    first.query("UPDATE t SET e = '{\"a\": 1, \"b\": 2}' WHERE id = 1");
    second.send(&query("UPDATE t SET id = id + 1 WHERE e ->> 'a' = '1'"));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    eventually("the second waits", || (twin.direct.superuser(waiting).trim() == "1").then_some(()));
    first.query("COMMIT");
    let answers = second.until_ready();
    let error = answers.iter().find_map(raw::Message::error).expect("an error");
    assert_eq!(error.code, "40001");
    assert_eq!(twin.sealed.sql("UPDATE t SET id = id + 1 WHERE e ->> 'a' = '1' RETURNING id"), "2\n");
}

#[test]
fn types_of_ones_own_have_the_term() {
    let twin = Twin::start();
    let url = &twin.direct.url;
    twin.workspace
        .columnseal(&["type", "create", "profile", "--as", "jsonb", "--terms", "json", "--database", url])
        .ok();
    let mut raw = twin.raw_sealed();
    eventually("the type is known", || {
        raw.query("CREATE TABLE IF NOT EXISTS t (id int, e seal.profile)");
        raw.query("INSERT INTO t VALUES (1, '{\"a\": 1}')").starts_with("C INSERT").then_some(())
    });
    assert_eq!(raw.rows("SELECT id FROM t WHERE e @> '{\"a\": 1.0}'"), ["1"]);
    assert_eq!(raw.error("SELECT id FROM t WHERE e = '{}'").code, "0A000");
    for (plain, terms) in [("json", "json"), ("text", "json"), ("jsonb", "match"), ("jsonb", "ord")] {
        let made = twin.direct.psql(&format!("SELECT seal.create_type('other', '{plain}', '{terms}')")).failed();
        assert!(made.contains("cannot have the term"), "{plain} {terms}: {made}");
    }
    raw.query("CREATE INDEX t_e ON t USING gin (e jsonb_path_ops)");
    assert!(twin.direct.sql("SELECT indexdef FROM pg_indexes WHERE indexname = 't_e'").contains("((e).j)"));
    raw.query("SET columnseal.introspection = plain");
    let shown = raw.rows("SELECT indexdef FROM pg_indexes WHERE indexname = 't_e'");
    assert_eq!(shown, ["CREATE INDEX t_e ON public.t USING gin (e)"]);
    // Past the proxy every operator says what it needs.
    for (operator, of) in
        [("@>", "profile"), ("?", "profile"), ("->>", "jsonb_search"), ("@@", "jsonb"), ("#>>", "jsonb_eq")]
    {
        let said =
            twin.direct.psql(&format!("SELECT NULL::seal.{of} OPERATOR(seal.{operator}) NULL::seal.{of}")).failed();
        assert!(said.contains(&format!("operator {operator}")), "{operator} of {of}: {said}");
    }
}
