//! LIKE and its kin: the same answers as plain PostgreSQL, wherever the condition stands, and by the index where it has one.

use crate::support::raw::{self, Message, bind, describe_statement, execute, extended, parse, query, sync};
use crate::support::{Twin, eventually};

/// Values: of both cases and several scripts, with wildcards and escapes in them, short, empty and NULL.
const VALUES: &[&str] = &[
    "NULL",
    "''",
    "'a'",
    "'A'",
    "'ab'",
    "'abc'",
    "'ABC'",
    "'aBc def'",
    "'banana'",
    "'Banana split'",
    "'100%'",
    "'100 % sure'",
    "'a_c'",
    "'a\\c'",
    "'\\'",
    "'%'",
    "'_'",
    "'äöü'",
    "'ÄÖÜ'",
    "'straße'",
    "'STRASSE'",
    "'İstanbul'",
    "'istanbul'",
    "'ısı'",
    "'Ada Lovelace'",
    "'ada@example.com'",
    "'ADA@EXAMPLE.COM'",
    "'日本語テキスト'",
    "'日本'",
    "'  padded '",
    "'e\u{301}te'",
    "'\u{e9}te'",
    "'mississippi'",
    "'x!y%z'",
    "'line\nbreak'",
    "'banana banana banana banana'",
    "'nab'",
    "'k'",
    "'\u{212a}'",
];

/// Patterns of every form, as literals.
const PATTERNS: &[&str] = &[
    "''",
    "'%'",
    "'%%'",
    "'_'",
    "'__'",
    "'_%'",
    "'a'",
    "'a%'",
    "'%a'",
    "'%a%'",
    "'ab%'",
    "'%bc'",
    "'%nan%'",
    "'b%n%a'",
    "'a_c'",
    "'a\\_c'",
    "'100\\%'",
    "'100%'",
    "'%\\%%'",
    "'\\\\'",
    "'a\\\\c'",
    "'Ä%'",
    "'%öü'",
    "'stra%e'",
    "'%istan%'",
    "'i%'",
    "'日本%'",
    "'%テキ%'",
    "'%é%'",
    "'e\u{301}%'",
    "'%iss%pi'",
    "'ADA%'",
    "'%@example.com'",
    "' %'",
    "'%\n%'",
    "'banana%banana'",
    "'k'",
    "'\u{212a}'",
    "NULL",
    "'%' || 'nan' || '%'",
    "concat('%', 'nan', NULL, '%')",
    "'b' || NULL",
];

fn fill(twin: &Twin) {
    twin.create(
        "CREATE TABLE t (id int PRIMARY KEY, s seal.text_search, v seal.varchar_match, plain text, n int);
         CREATE INDEX ON t (id)",
    );
    twin.sealed.sql("CREATE INDEX ON t USING gin (s)");
    for (id, value) in VALUES.iter().enumerate() {
        let insert = format!("INSERT INTO t VALUES ({id}, {value}, {value}, {value}, {})", id % 3);
        twin.plain.sql(&insert);
        // The plain column of the encrypted twin does not hold the values, which the server must not see.
        twin.sealed.sql(&format!("INSERT INTO t VALUES ({id}, {value}, {value}, 'none', {})", id % 3));
    }
}

#[test]
fn every_pattern_finds_what_postgresql_finds() {
    let twin = Twin::start();
    fill(&twin);
    let mut statements = Vec::new();
    for pattern in PATTERNS {
        for operator in ["LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE", "~~", "!~~*", "^@"] {
            statements.push(format!("SELECT id, s FROM t WHERE s {operator} {pattern} ORDER BY id"));
        }
        statements.push(format!("SELECT count(*) FROM t WHERE v LIKE {pattern} AND n < 2"));
        statements.push(format!("SELECT id FROM t WHERE starts_with(v, {pattern}) ORDER BY id"));
    }
    twin.same_queries(statements);
}

#[test]
fn conditions_stand_anywhere() {
    let twin = Twin::start();
    fill(&twin);
    let statements = [
        "SELECT id, s FROM t WHERE s LIKE '%a%' ORDER BY id LIMIT 3 OFFSET 2",
        "SELECT id, s LIKE '%an%' AS l, NOT (s ILIKE 'B%') FROM t ORDER BY id",
        "SELECT id FROM t WHERE s LIKE 'a%' OR v ILIKE 'B%' OR n = 1 ORDER BY id",
        "SELECT id FROM t WHERE NOT (s LIKE 'a%' OR v ILIKE 'b%') ORDER BY id",
        "SELECT (s LIKE 'a%') IS NULL, count(*) FROM t GROUP BY 1 ORDER BY 1",
        "SELECT n, count(*) FILTER (WHERE s LIKE '%a%'), sum(n) FROM t WHERE v NOT LIKE 'x%' GROUP BY n ORDER BY n",
        "SELECT a.id, b.id FROM t a LEFT JOIN t b ON b.s LIKE 'ban%' AND b.id > a.id WHERE a.s LIKE 'B%' ORDER BY 1, 2",
        "SELECT id FROM t a WHERE EXISTS (SELECT FROM t b WHERE b.s LIKE 'ban%' AND b.n = a.n) ORDER BY id",
        "SELECT CASE WHEN s LIKE '%\\%%' THEN 'percent' WHEN s ILIKE 'a%' THEN 'a' ELSE 'other' END, count(*) FROM t GROUP BY 1 ORDER BY 1",
        "WITH x AS (SELECT id, s FROM t WHERE s LIKE '%b%') SELECT id, s FROM x ORDER BY id",
        "SELECT id FROM t WHERE s LIKE 'a%' UNION SELECT id FROM t WHERE v LIKE '%c' ORDER BY 1",
        "SELECT DISTINCT s FROM t WHERE s LIKE 'banana%' AND n >= 0 AND s = 'banana'",
        "SELECT id FROM t WHERE s LIKE ANY (ARRAY['ban%', '%c', '_']) ORDER BY id",
        "SELECT id FROM t WHERE s LIKE ANY ('{ban%,ada%,mis%}') ORDER BY id",
        "SELECT id FROM t WHERE s NOT LIKE ANY (ARRAY['ban%', '%a']) ORDER BY id",
        "SELECT id FROM t WHERE s LIKE ALL (ARRAY['b%', '%a']) ORDER BY id",
        "SELECT id FROM t WHERE s NOT LIKE ALL (ARRAY['b%', '%a']) ORDER BY id",
        "SELECT id FROM t WHERE s LIKE 'x!!y!%z' ESCAPE '!' ORDER BY id",
        "SELECT id FROM t WHERE s LIKE 'a\\c' ESCAPE '' ORDER BY id",
        "SELECT id FROM t WHERE s NOT LIKE 'aÄ_c' ESCAPE 'Ä' ORDER BY id",
        "SELECT id FROM t WHERE s LIKE 'abc' ESCAPE 'ab'",
        "SELECT id FROM t WHERE s LIKE 'a' ESCAPE NULL",
        "SELECT id FROM t WHERE s LIKE 'abc\\' AND id = 5",
        "SELECT id FROM t WHERE s LIKE 'zzz\\'",
        "SELECT id FROM t WHERE s LIKE 'ban%' FOR UPDATE",
        "SELECT id FROM (SELECT * FROM t WHERE s LIKE 'ban%' LIMIT 2) x ORDER BY id",
        "SELECT id, s FROM t WHERE ((s)) LIKE ('%n' || ('a')) AND (n IN (0, 1, 2)) ORDER BY s LIKE 'B%', id",
        "UPDATE t SET n = n + 10 WHERE s LIKE '%nan%' RETURNING id, s, n",
        "DELETE FROM t WHERE s ILIKE 'ÄÖ_' OR v LIKE '%\\\\%'",
        "UPDATE t SET s = 'changed', v = NULL WHERE s LIKE 'ab%'",
        "INSERT INTO t (id, s) SELECT id + 100, s FROM t WHERE s LIKE '%e%'",
        "SELECT id, s, v, n FROM t ORDER BY id",
        "BEGIN; DECLARE c CURSOR FOR SELECT id, s FROM t WHERE s LIKE '%a%' ORDER BY id; FETCH 2 FROM c; FETCH ALL FROM c; COMMIT",
        "PREPARE p (text) AS SELECT id FROM t WHERE s LIKE $1 ORDER BY id; EXECUTE p ('b%'); EXECUTE p ('%e'); EXECUTE p (NULL)",
        "COPY (SELECT id, s FROM t WHERE s LIKE '%a%' ORDER BY id) TO STDOUT",
        "CREATE TABLE made AS SELECT id, plain FROM t WHERE false; SELECT count(*) FROM made",
        "BEGIN; INSERT INTO t (id, s) VALUES (200, 'banana new'); SELECT id FROM t WHERE s LIKE 'banana n%'; ROLLBACK",
        "BEGIN; SELECT id FROM t WHERE s LIKE 'ab%' ESCAPE 'xy'; SELECT 1; ROLLBACK",
        "SELECT id FROM t WHERE s LIKE 'ban%'; SELECT id FROM t WHERE s LIKE '%@example.com'; SELECT 1",
    ];
    twin.same_queries(statements.map(String::from));
}

#[test]
fn brackets_and_casts_around_the_column_change_nothing() {
    let twin = Twin::start();
    fill(&twin);
    let mut statements = Vec::new();
    for column in ["(s)", "((s))", "(s::text)", "(s)::text", "CAST(s AS text)", "(t.s)", "(\"s\")"] {
        for operator in ["LIKE", "NOT LIKE", "!~~", "NOT ILIKE"] {
            statements.push(format!("SELECT id FROM t WHERE {column} {operator} 'ban%' ORDER BY id"));
            statements.push(format!("SELECT id FROM t WHERE NOT ({column} {operator} '%a%' OR n = 1) ORDER BY id"));
        }
        statements.push(format!("SELECT id FROM t WHERE {column} LIKE ANY ('{{ban%,%c}}') ORDER BY id"));
        statements.push(format!("SELECT id FROM t WHERE {column} NOT LIKE ALL (ARRAY['ban%', '%c']) ORDER BY id"));
        statements.push(format!("SELECT id FROM t WHERE NOT starts_with({column}, 'ban') ORDER BY id"));
    }
    statements.push("DELETE FROM t WHERE NOT ((s::text) NOT LIKE 'ban%') RETURNING id".into());
    twin.same_queries(statements);
}

/// PostgreSQL takes a condition into a view, to rows that the view does not show.
#[test]
fn views_over_joins_are_searched() {
    let twin = Twin::start();
    twin.create(
        "CREATE TABLE cust (id int PRIMARY KEY, e seal.text_match);
         CREATE TABLE ord (cid int);
         CREATE VIEW buyers AS SELECT c.id, c.e FROM cust c JOIN ord o ON o.cid = c.id;
         CREATE VIEW others AS SELECT id, e FROM cust WHERE NOT EXISTS (SELECT FROM ord WHERE cid = cust.id)",
    );
    twin.sealed.sql("CREATE INDEX ON cust USING gin (e)");
    let rows: Vec<String> = (0..1500).map(|i| format!("({i}, 'name {i}')")).collect();
    let fill = format!(
        "INSERT INTO cust VALUES {}; INSERT INTO ord SELECT 3 * g FROM generate_series(0, 499) g",
        rows.join(", ")
    );
    twin.both(&fill);
    twin.both("ANALYZE cust; ANALYZE ord");
    let statements = [
        "SELECT count(*) FROM buyers WHERE e LIKE '%name 12%'",
        "SELECT count(*) FROM buyers AS b WHERE b.e NOT LIKE '%12%'",
        "SELECT count(*), min(i) FROM buyers b(i, v) WHERE v ILIKE '%NAME 3%' AND i > 5",
        "SELECT count(*) FROM others WHERE e LIKE '%9%'",
        "SELECT id FROM cust c WHERE id < 20 AND NOT EXISTS (SELECT 1 FROM buyers b WHERE b.id = c.id AND b.e LIKE 'name 1%') ORDER BY id",
        "SELECT * FROM buyers WHERE e LIKE 'name 12' FOR UPDATE",
        "SELECT x.id FROM public.buyers x JOIN others y ON y.id = x.id + 1 WHERE x.e LIKE '%44%' AND y.e LIKE '%5' ORDER BY 1",
    ];
    twin.same_queries(statements.map(String::from));
}

#[test]
fn an_error_while_values_are_looked_at_leaves_the_connection_usable() {
    let twin = Twin::start();
    twin.sealed.sql(
        "CREATE TABLE t (id int, s seal.text_match, n int); INSERT INTO t VALUES (1, 'banana', 1), (2, 'cherry', 0)",
    );
    twin.sealed.sql("CREATE VIEW bad AS SELECT id, s FROM t WHERE 1 / n > 0");
    twin.cluster.superuser("sealed", "CREATE ROLE blind; GRANT SELECT (id) ON t TO blind; GRANT blind TO app");
    let mut raw = twin.raw_sealed();
    for (sql, code) in [
        ("SET ROLE blind", ""),
        ("SELECT id FROM t WHERE s LIKE 'ban%'", "42501"),
        ("RESET ROLE", ""),
        ("SELECT id FROM bad WHERE s LIKE '%e%'", "22012"),
        ("BEGIN", ""),
        ("SAVEPOINT a", ""),
        ("SELECT id FROM bad WHERE s LIKE '%e%'", "22012"),
        ("ROLLBACK TO a", ""),
        ("SELECT id FROM t WHERE s LIKE 'ban%'", ""),
        ("COMMIT", ""),
        ("SELECT 1", ""),
        ("CREATE TABLE later (s seal.text_eq)", ""),
        ("SELECT id FROM t WHERE s LIKE '%err%'", ""),
    ] {
        let answer = raw.query(sql);
        let expected =
            if code.is_empty() { answer.contains("C ") } else { answer.contains(&format!("E ERROR {code}")) };
        assert!(expected, "{sql}: {answer}");
        assert!(!answer.contains("_columnseal"), "{sql}: {answer}");
    }
}

#[test]
fn relations_of_every_kind_are_looked_at() {
    let twin = Twin::start();
    twin.create(
        "CREATE SCHEMA \"Odd schema\";
         CREATE TABLE \"Odd schema\".\"T\" (id int, \"The value\" seal.text_match);
         CREATE TABLE parts (id int, s seal.text_match) PARTITION BY RANGE (id);
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
         CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (100);
         CREATE TABLE parent (id int, s seal.text_match);
         CREATE TABLE child (more int) INHERITS (parent);
         CREATE VIEW shown AS SELECT id + 1 AS n, s AS t FROM parts WHERE id > 1",
    );
    twin.plain.sql("CREATE TABLE secured (id int, s text, owner int)");
    twin.sealed.sql("CREATE TABLE secured (id int, s seal.citext_match, owner int)");
    let statements = [
        "INSERT INTO \"Odd schema\".\"T\" VALUES (1, 'banana'), (2, 'cherry')",
        "INSERT INTO parts VALUES (1, 'banana'), (2, 'bandana'), (11, 'ban'), (12, 'cherry')",
        "INSERT INTO parent VALUES (1, 'banana')",
        "INSERT INTO child VALUES (2, 'bandana', 3)",
        "INSERT INTO secured VALUES (1, 'Banana', 1), (2, 'bandana', 2)",
        "SELECT o.id FROM \"Odd schema\".\"T\" AS o WHERE o.\"The value\" LIKE '%nan%'",
        "SELECT id, s FROM parts WHERE s LIKE 'ban%' ORDER BY id",
        "SELECT id, s FROM parts_2 WHERE s LIKE 'ban%' ORDER BY id",
        "SELECT id, s FROM parent WHERE s LIKE 'ban%' ORDER BY id",
        "SELECT id, s FROM ONLY parent WHERE s LIKE 'ban%' ORDER BY id",
        "SELECT n, t FROM shown WHERE t NOT LIKE 'ban_' AND t ILIKE 'B%' ORDER BY n",
        "SELECT n FROM shown x JOIN parent p ON p.s LIKE 'banana' AND x.t LIKE '%a' ORDER BY n",
        "SET search_path = 'Odd schema', public",
        "SELECT id FROM \"T\" WHERE \"The value\" LIKE 'ch%'",
        "RESET search_path",
        "BEGIN",
        "CREATE TEMP TABLE tmp (id int, s {text}) ON COMMIT DROP",
        "INSERT INTO tmp VALUES (1, 'banana'), (2, 'x')",
        "SELECT id FROM tmp WHERE s LIKE '%nan%'",
        "SAVEPOINT a",
        "SELECT 1 / 0",
        "SELECT id FROM parts WHERE s LIKE '%nan%'",
        "ROLLBACK TO a",
        "SELECT id FROM parts WHERE s LIKE '%nan%'",
        "COMMIT",
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        "SELECT id FROM parts WHERE s LIKE '%nan%'",
        "COMMIT",
        "MERGE INTO parent USING (VALUES (1), (2)) v(n) ON parent.s LIKE 'banana' AND v.n = 1 \
         WHEN MATCHED THEN UPDATE SET id = 7 WHEN NOT MATCHED THEN INSERT VALUES (v.n, 'new')",
        "SELECT id, s FROM parent ORDER BY id",
        "INSERT INTO parts VALUES (20, 'banana split'); SELECT id FROM parts WHERE s LIKE 'banana s%'",
        "SELECT id FROM secured WHERE s LIKE 'BAN%' ORDER BY id",
        "SELECT id FROM secured WHERE s LIKE '%NDA%' AND owner = 2",
        "SELECT id FROM nowhere WHERE s LIKE 'a%'",
        "SELECT nothing FROM parts WHERE s LIKE 'a%'",
    ];
    let (mut plain, mut sealed) = twin.raw();
    let mut wrong = Vec::new();
    for sql in statements {
        let want = plain.query(&sql.replace("{text}", "text"));
        let got = sealed.query(&sql.replace("{text}", "seal.text_match"));
        // citext is an extension: the plain twin has text there, whose case is told apart.
        let expected = match sql {
            _ if sql.contains("'BAN%'") => want.replace("C SELECT 0", "D 1\nD 2\nC SELECT 2"),
            _ if sql.contains("'%NDA%'") => want.replace("C SELECT 0", "D 2\nC SELECT 1"),
            _ => want,
        };
        if expected != got {
            wrong.push(format!("{sql}\n  plain:\n{expected}\n  sealed:\n{got}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn parameters_of_both_protocols() {
    let twin = Twin::start();
    fill(&twin);
    let conditions = [
        "s LIKE $1",
        "s NOT ILIKE $1",
        "s LIKE '%' || $1 || '%'",
        "s ILIKE concat($1::text, '%')",
        "v LIKE $1::varchar",
        "starts_with(s, $1)",
        "$1::text IS NULL OR s ILIKE '%' || $1 || '%'",
    ];
    let values = [Some("ban%"), Some("nan"), Some(""), Some("%"), Some("A"), None, Some("zzzz"), Some("ÄÖ")];
    let mut asked = Vec::new();
    for condition in conditions {
        let sql = format!("SELECT id, s FROM t WHERE {condition} ORDER BY id");
        let described = [parse("", &sql, &[]), describe_statement(""), sync()].concat();
        asked.push((format!("describe {condition}"), described));
        for value in values {
            asked.push((format!("{condition} {value:?}"), extended(&sql, &[value])));
        }
    }
    let arrays = [
        "SELECT id FROM t WHERE s LIKE ANY ($1) ORDER BY id",
        "SELECT id FROM t WHERE s NOT ILIKE ALL ($1) ORDER BY id",
    ];
    for sql in arrays {
        for value in [Some("{ban%,%c}"), Some("{_}"), Some("{%}"), Some("{%,x%}"), None] {
            asked.push((format!("{sql} {value:?}"), extended(sql, &[value])));
        }
    }
    // Several Executes of one portal, several portals of one statement.
    let sql = "SELECT id, s FROM t WHERE s LIKE $1 ORDER BY id";
    let pipeline = [
        parse("p", sql, &[]),
        bind("one", "p", &[Some("%a%")]),
        bind("two", "p", &[Some("b%")]),
        execute("one", 2),
        execute("two", 1),
        execute("one", 0),
        execute("two", 0),
        sync(),
    ];
    asked.push(("a pipeline".into(), pipeline.concat()));
    for value in &values {
        asked.push((format!("again {value:?}"), [bind("", "p", &[*value]), execute("", 0), sync()].concat()));
    }
    let (mut plain, mut sealed) = twin.raw();
    raw::same(&mut plain, &mut sealed, asked);
}

/// 10,000 texts of two words and a number, `birch ivy 81` the one with the id 81, with an index.
fn fill_words(twin: &Twin) {
    twin.sealed.sql("CREATE TABLE p (id int PRIMARY KEY, s seal.text_search, n int); CREATE INDEX p_s ON p USING gin (s gin_trgm_ops)");
    let words = ["amber", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ivy", "juniper"];
    for start in (0..10_000).step_by(1000) {
        let row = |i: i32| format!("({i}, '{} {} {i}', 1)", words[i as usize % 10], words[i as usize / 10 % 10]);
        twin.sealed
            .sql(&format!("INSERT INTO p VALUES {}", (start..start + 1000).map(row).collect::<Vec<_>>().join(", ")));
    }
    twin.direct.superuser("ANALYZE p");
}

/// Not by all its runs of characters, most of which many texts have.
#[test]
fn whole_texts_are_found_by_one_token_each() {
    let twin = Twin::start();
    fill_words(&twin);
    for (condition, tokens, ids) in [
        ("lower(s) = lower('Birch Ivy 81')", 1, "81\n"),
        ("upper(s::text) = upper('birch ivy 81')", 1, "81\n"),
        ("s ILIKE 'BIRCH IVY 81'", 1, "81\n"),
        ("s LIKE 'birch ivy 81'", 1, "81\n"),
        ("s LIKE 'Birch ivy 81'", 1, ""),
        ("lower(s) IN ('birch ivy 81', lower('AMBER AMBER 100'), 'birch ivy')", 3, "81\n100\n"),
        ("s LIKE 'birch ivy 81%'", 12, "81\n8181\n"),
    ] {
        let plan = twin.sealed.sql(&format!("EXPLAIN (COSTS OFF) SELECT id FROM p WHERE {condition}"));
        let asked =
            plan.lines().find(|line| line.contains("Index Cond")).unwrap_or_else(|| panic!("{condition}: {plan}"));
        assert_eq!(asked.matches(',').count() + 1, tokens, "{condition}: {plan}");
        assert_eq!(twin.sealed.sql(&format!("SELECT id FROM p WHERE {condition} ORDER BY id")), ids, "{condition}");
    }
}

#[test]
fn the_index_serves_what_it_would_serve_in_postgresql() {
    let twin = Twin::start();
    fill_words(&twin);
    let mut wrong = Vec::new();
    for settings in ["", "SET search_path = ''; ", "SET plan_cache_mode = force_generic_plan; "] {
        for condition in [
            "s LIKE '%birch 81%'",
            "s LIKE 'fir elm 4%'",
            "s ILIKE '%GINKGO 6%'",
            "s LIKE ANY (ARRAY['%7891%', '%1234%'])",
            "starts_with(s, 'ivy birch 1')",
            "(s LIKE '%birch 81%' OR s LIKE '%cedar 99%')",
        ] {
            let plan = twin
                .sealed
                .sql(&format!("{settings}EXPLAIN (COSTS OFF) SELECT id FROM public.p WHERE {condition} AND n = 1"));
            if !plan.contains("p_s") || plan.contains("Seq Scan on p") {
                wrong.push(format!("{settings}{condition}\n{plan}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(twin.sealed.sql("SELECT count(*) FROM p WHERE s LIKE '%birch%'"), "1900\n");
    assert_eq!(twin.sealed.sql("SELECT count(*) FROM p WHERE s LIKE '_irch%'"), "1000\n");
}

/// Nothing of what is searched for, and nothing that is stored, reaches the server.
#[test]
fn the_server_sees_no_pattern() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, s seal.text_match)");
    twin.direct.superuser("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()");
    twin.sealed.sql("INSERT INTO t VALUES (1, 'Xyzzy plugh'), (2, 'other')");
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT id FROM t WHERE s LIKE '%zzy plu%'",
        "SELECT id FROM t WHERE s ILIKE concat('%', 'XYZZY', '%')",
        "SELECT id FROM t WHERE s LIKE 'Xyzzy!_' ESCAPE '!' OR s LIKE ANY ('{%plugh%}')",
        "SELECT id FROM t WHERE s LIKE 'Xyzzy%' AND 1 / (id - 1) > 0",
        "EXPLAIN ANALYZE VERBOSE SELECT id FROM t WHERE s LIKE 'Xyzzy%'",
    ] {
        raw.query(sql);
    }
    raw.ask(&extended("SELECT id FROM t WHERE s LIKE '%' || $1 || '%'", &[Some("zzy")]));
    for sql in [
        "SELECT id FROM t WHERE starts_with('Xyzzy', s)",
        "SELECT id FROM t WHERE 'xyzzy' LIKE s",
        "SELECT 'xyzzy' ^@ s FROM t",
    ] {
        assert_eq!(raw.error(sql).code, "0A000", "{sql}");
    }
    let seen = [twin.relay.sent(), twin.cluster.log().into_bytes()].concat();
    let seen = String::from_utf8_lossy(&seen).to_lowercase();
    for secret in ["xyzzy", "zzy", "plugh"] {
        assert!(!seen.contains(secret), "{secret} reached the server");
    }
    assert!(seen.contains("pg_catalog.@>"), "the statements were seen");
}

/// A value that is written between the look and the statement is an error that says so, not a row too few.
#[test]
fn what_changes_in_between_is_an_error() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, s seal.text_match); INSERT INTO t VALUES (1, 'banana')");
    // Every value is changed by the time it is updated: the second update waits for the first.
    let (mut first, mut second) = (twin.raw_sealed(), twin.raw_sealed());
    first.query("BEGIN");
    first.query("UPDATE t SET s = 'bananas' WHERE id = 1");
    second.send(&query("UPDATE t SET id = id + 1 WHERE s LIKE 'ban%'"));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    eventually("the second waits", || (twin.direct.superuser(waiting).trim() == "1").then_some(()));
    first.query("COMMIT");
    let answers = second.until_ready();
    let error = answers.iter().find_map(Message::error).expect("an error");
    assert_eq!(error.code, "40001");
    assert_eq!(twin.sealed.sql("UPDATE t SET id = id + 1 WHERE s LIKE 'ban%' RETURNING id, s"), "2|bananas\n");
}

#[test]
fn approximate_types_answer_where_others_are_refused() {
    let twin = Twin::start();
    let url = &twin.direct.url;
    let options = ["--options", "{\"approximate\": true}", "--database", url];
    let made = [&["type", "create", "rough", "--as", "text", "--terms", "match"][..], &options].concat();
    twin.workspace.columnseal(&made).ok();
    let mut raw = twin.raw_sealed();
    eventually("the type is known", || {
        raw.query("CREATE TABLE IF NOT EXISTS known (s seal.rough)");
        raw.query("INSERT INTO known VALUES ('x')").starts_with("C INSERT").then_some(())
    });
    twin.sealed.sql("CREATE TABLE t (id int, s seal.rough, x seal.text_match); INSERT INTO t VALUES (1, 'banana', 'banana'), (2, 'BANANA', 'b')");
    let sub = |column: &str, pattern: &str| {
        format!("SELECT id FROM (SELECT id, {column} AS c FROM t) q WHERE c LIKE '{pattern}' ORDER BY id")
    };
    assert_eq!(raw.rows(&sub("s", "ban%")), ["1", "2"], "case is not told apart");
    assert_eq!(raw.rows("SELECT id FROM t WHERE s LIKE 'ban%'"), ["1"], "exact where it can be");
    assert_eq!(raw.error(&sub("s", "%an%")).code, "0A000", "too short for a term");
    assert_eq!(raw.error(&sub("x", "ban%")).code, "0A000");
    assert_eq!(raw.error("SELECT id FROM (SELECT id, s AS c FROM t) q WHERE c NOT LIKE 'ban%'").code, "0A000");
}
