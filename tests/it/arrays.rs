//! Rows that clients give as arrays, one an attribute: as on a plain table.

use crate::support::raw::{bind_as, describe_portal, describe_statement, execute, parse, query, sync, transcript};
use crate::support::{Pair, Twin};

const TABLES: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, e seal.text_eq, n seal.int4_ord, d seal.date_eq, v seal.numeric, b seal.bool_eq, p text);
    CREATE UNIQUE INDEX ON t (e);
    CREATE TABLE w (id int, x text);
    INSERT INTO w VALUES (1, 'a'), (2, 'b');";

const ALL: &str = "SELECT id, e, n, d, v, b, p FROM t ORDER BY id";

fn twin() -> Twin {
    let twin = Twin::start();
    twin.create(TABLES);
    twin
}

/// Parse, Describe, Bind and Execute of the unnamed statement.
fn run(sql: &str, oids: &[u32], values: &[Option<&str>]) -> Vec<u8> {
    let values: Vec<Option<&[u8]>> = values.iter().map(|v| v.map(str::as_bytes)).collect();
    let parts = [
        parse("", sql, oids),
        describe_statement(""),
        bind_as("", "", &[], &values, &[]),
        describe_portal(""),
        execute("", 0),
        sync(),
    ];
    parts.concat()
}

/// An array in binary form.
fn binary(element: u32, values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [1, u32::from(values.contains(&None)), element, u32::try_from(values.len()).unwrap(), 1] {
        out.extend(word.to_be_bytes());
    }
    for value in values {
        out.extend(value.map_or(u32::MAX, |v| u32::try_from(v.len()).unwrap()).to_be_bytes());
        out.extend(value.unwrap_or_default());
    }
    out
}

#[test]
fn rows_given_as_arrays_are_written() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    for (sql, values) in [
        ("INSERT INTO t (id, e) SELECT * FROM UNNEST($1::bigint[], $2::text[])", vec!["{1,2,3}", "{a,\"b, c\",NULL}"]),
        (
            "INSERT INTO t (id, e, n) SELECT * FROM unnest($1::int8[], $2::text[], $3::int[]) RETURNING id, e, n",
            vec!["{4,5}", "{mark-array-4,mark-array-5}", "{7}"],
        ),
        (
            "INSERT INTO t (id, e) SELECT u.id, u.e FROM unnest($1::bigint[], $2::varchar[]) AS u(id, e) WHERE u.id > 6 ON CONFLICT (id) DO UPDATE SET e = excluded.e",
            vec!["{6,7}", "{no,yes}"],
        ),
        (
            "INSERT INTO t (id, e) SELECT id, e FROM unnest($1::bigint[], $2::text[]) AS u(id, e) ON CONFLICT (e) DO NOTHING",
            vec!["{20,21}", "{a,new}"],
        ),
        (
            "INSERT INTO t (id, d, v, b) SELECT * FROM unnest($1::bigint[], $2::date[], CAST($3 AS numeric[]), ($4)::bool[])",
            vec!["{8,9}", "{2020-01-02,NULL}", "{1.50,NULL}", "{t,f}"],
        ),
        (
            "INSERT INTO t (id, e) SELECT unnest($1::bigint[]), pg_catalog.unnest($2::text[])",
            vec!["{10,11}", "{ten,eleven}"],
        ),
        (
            "INSERT INTO t (id, e) SELECT 12 + id, x FROM w, LATERAL unnest($1::text[]) AS x WHERE w.id = 1",
            vec!["{twelve}"],
        ),
        (
            "UPDATE t SET e = u.e, n = u.n FROM unnest($1::bigint[], $2::text[], $3::int4[]) AS u(id, e, n) WHERE t.id = u.id RETURNING t.id, t.e, t.n",
            vec!["{1,2}", "{mark-array-1,NULL}", "{100,NULL}"],
        ),
        (
            "UPDATE t SET e = u.e FROM (SELECT unnest($1::bigint[]) AS id, unnest($2::text[]) AS e) u WHERE t.id = u.id",
            vec!["{3}", "{three}"],
        ),
        (
            "MERGE INTO t USING unnest($1::bigint[], $2::text[]) AS u(id, e) ON t.id = u.id WHEN MATCHED THEN UPDATE SET e = u.e WHEN NOT MATCHED THEN INSERT (id, e) VALUES (u.id, u.e)",
            vec!["{3,30}", "{iii,mark-array-30}"],
        ),
        ("INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[])", vec!["{}", "{}"]),
        ("INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[])", vec!["{41,42}", "{{x,y}}"]),
        ("INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[])", vec!["{43}", "not an array"]),
        ("INSERT INTO t (id, d) SELECT * FROM unnest($1::bigint[], $2::date[])", vec!["{44}", "{no-date}"]),
        ("INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[])", vec!["{1}", "{again}"]),
        ("INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[])", vec!["{45,46}", "{twice,twice}"]),
    ] {
        let values: Vec<Option<&str>> = values.into_iter().map(Some).collect();
        pair.same(sql, &run(sql, &[], &values), 1);
    }
    pair.same(
        "NULL",
        &run("INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[])", &[], &[Some("{50}"), None]),
        1,
    );
    let rows = pair.each(&[ALL]);
    assert!(rows.contains("mark-array-30"), "{rows}");
    // Literals, as drivers write that put them into the text.
    pair.each(&[
        "INSERT INTO t (id, e) SELECT * FROM UNNEST(('{60,61}')::bigint[], ('{mark-array-60,\"it''s\"}')::text[])",
        "INSERT INTO t (id, e) SELECT * FROM UNNEST('{62}'::bigint[], E'{\"\\x6d62\"}'::text[]) RETURNING *",
        ALL,
    ]);
    let ids = [62i64, 63].map(i64::to_be_bytes);
    let ids = binary(20, &[Some(&ids[0]), Some(&ids[1])]);
    for (format, element, oids) in [(1, 25, &[][..]), (1, 25, &[1016, 1009][..])] {
        let texts = binary(element, &[Some(b"mark-array-b"), None]);
        let sql = "INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[]) ON CONFLICT (id) DO UPDATE SET e = excluded.e";
        let bound = bind_as("", "", &[format], &[Some(&ids), Some(&texts)], &[]);
        pair.same("binary", &[parse("", sql, oids), bound, execute("", 0), sync(), query(ALL)].concat(), 2);
    }
    assert!(!twin.relay.sent().windows(10).any(|w| w == b"mark-array"));
}

#[test]
fn arrays_are_joined_and_searched() {
    let twin = twin();
    let mut pair = Pair::new(&twin);
    pair.each(&["INSERT INTO t (id, e, n) VALUES (1, 'a', 10), (2, 'b', 20), (3, NULL, 30)"]);
    for (sql, values) in [
        ("SELECT t.id, x FROM t JOIN unnest($1::text[]) AS x ON t.e = x ORDER BY 1", vec!["{a,mark-array,NULL}"]),
        ("SELECT id FROM t WHERE e IN (SELECT unnest($1::text[])) ORDER BY 1", vec!["{b,mark-array}"]),
        ("SELECT id FROM t WHERE e IN (SELECT x FROM unnest($1::text[]) x) ORDER BY 1", vec!["{b,mark-array}"]),
        (
            "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM unnest($1::text[], $2::int[]) AS u(e, n) WHERE u.e = t.e AND u.n = t.n) ORDER BY 1",
            vec!["{a,b}", "{10,21}"],
        ),
        ("SELECT e FROM t WHERE id = 1 UNION ALL SELECT unnest($1::text[])", vec!["{mark-array}"]),
        (
            "WITH u AS (SELECT * FROM unnest($1::bigint[], $2::text[]) AS u(id, e)) UPDATE t SET e = u.e FROM u WHERE u.id = t.id RETURNING t.id, t.e",
            vec!["{3}", "{mark-array}"],
        ),
        // Nothing encrypted: as it is.
        (
            "SELECT * FROM unnest($1::int[], $2::text[]) AS u(id, x) JOIN t ON t.id = u.id ORDER BY 1",
            vec!["{1,2}", "{l,m}"],
        ),
        ("SELECT t.id, t.e FROM t WHERE id = ANY (SELECT unnest($1::bigint[])) ORDER BY 1", vec!["{1,3}"]),
        ("SELECT t.id, u FROM t, unnest($1::text[]) u WHERE t.id = 1 ORDER BY u", vec!["{p,q}"]),
    ] {
        let values: Vec<Option<&str>> = values.into_iter().map(Some).collect();
        pair.same(sql, &run(sql, &[], &values), 1);
    }
    assert!(!twin.relay.sent().windows(10).any(|w| w == b"mark-array"));
}

#[test]
fn arrays_that_cannot_be_followed_are_refused_and_not_sent() {
    let twin = twin();
    let mut raw = twin.raw_sealed();
    for sql in [
        "INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY",
        "INSERT INTO t (id, e) SELECT 1, x FROM unnest(string_to_array($1, ',')) x, unnest($2::text[]) y",
        "INSERT INTO t (id, e) SELECT id, e || '!' FROM unnest($1::bigint[], $2::text[]) u(id, e)",
        "INSERT INTO t (id, e, p) SELECT id, e, e FROM unnest($1::bigint[], $2::text[]) u(id, e)",
        "INSERT INTO t (id, d) SELECT * FROM unnest($1::bigint[], $2::text[])",
        "INSERT INTO t (id, e) SELECT 5, unnest(ARRAY[$1, $2])",
        "INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::varchar(3)[])",
        "INSERT INTO t (id, e) SELECT * FROM ROWS FROM (unnest($1::bigint[]), unnest($2::text[]))",
        "SELECT id FROM t JOIN unnest($1::text[], $2::text[]) AS u(a, b) ON t.e = u.a AND upper(u.a) = 'X'",
    ] {
        let answers = transcript(&raw.ask(&run(sql, &[], &[Some("{mark-array}"), Some("{mark-array}")])));
        assert!(answers.starts_with("E ERROR 0A000"), "{sql}: {answers}");
    }
    // Declared of another type than it is cast to.
    let sql = "INSERT INTO t (id, e) SELECT * FROM unnest($1::bigint[], $2::text[])";
    let answers = transcript(&raw.ask(&run(sql, &[1016, 1007], &[Some("{1}"), Some("{2}")])));
    assert!(answers.starts_with("E ERROR 0A000"), "{answers}");
    assert!(!twin.relay.sent().windows(10).any(|w| w == b"mark-array"));
}

/// `*` over given values that a comparison has made ones of an encrypted type.
#[test]
fn stars_over_given_values() {
    let twin = Twin::start();
    twin.create("CREATE TABLE xw (id int, e seal.text_eq)");
    let mut pair = Pair::new(&twin);
    pair.each(&[
        "INSERT INTO xw VALUES (1, 'a'), (2, 'b')",
        "SELECT * FROM xw JOIN (VALUES ('a')) v(k) ON e = k",
        "WITH w(k) AS (VALUES ('a')) SELECT w.* FROM w JOIN xw ON e = k",
        "SELECT * FROM (SELECT 'a'::text AS k) v, xw WHERE k = e",
        "SELECT u.* FROM xw, unnest('{a,b}'::text[]) u WHERE u.u = e ORDER BY id",
        "UPDATE xw SET id = 50 FROM unnest('{a}'::text[]) k WHERE e = k RETURNING *",
        "SELECT * FROM xw ORDER BY id",
    ]);
}

const LISTS: &str = "
    CREATE TABLE l (id int PRIMARY KEY, a seal.text_eq[], n seal.int8_ord[], f seal.float8[], u seal.uuid_eq[], b seal.bytea[], c seal.text[], m seal.text_match[], p text[]);
    CREATE INDEX l_a ON l USING gin (a);";

/// Arrays as parameters, in both forms, with and without a declared type.
#[test]
fn columns_of_arrays_take_and_give_both_formats() {
    let twin = Twin::start();
    twin.create(LISTS);
    let mut pair = Pair::new(&twin);
    let numbers = [7i64, -8].map(i64::to_be_bytes);
    let numbers = binary(20, &[Some(&numbers[0]), None, Some(&numbers[1])]);
    let floats = binary(701, &[Some(&1.5f64.to_be_bytes())]);
    let texts = binary(25, &[Some(b"mark-list-a"), None, Some(b"")]);
    let uuids = binary(2950, &[Some(&[7; 16])]);
    let insert = "INSERT INTO l (id, a, n, f, u) VALUES ($1, $2, $3, $4, $5) RETURNING *";
    for (id, oids) in [(1u32, &[][..]), (2, &[23, 1009, 1016, 1022, 2951][..])] {
        let id = id.to_be_bytes();
        let values: [Option<&[u8]>; 5] = [Some(&id), Some(&texts), Some(&numbers), Some(&floats), Some(&uuids)];
        for results in [0, 1] {
            let bound = bind_as("", "", &[1], &values, &[results]);
            let parts = [
                query("BEGIN"),
                parse("", insert, oids),
                describe_statement(""),
                bound,
                describe_portal(""),
                execute("", 0),
                sync(),
            ];
            pair.same("binary", &[parts.concat(), query(if results == 0 { "ROLLBACK" } else { "COMMIT" })].concat(), 3);
        }
    }
    let empty = [0u32, 0, 25].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let planes = [2u32, 0, 25, 2, 1, 1, 0, 1].iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let planes = [planes, b"a\0\0\0\x01b".to_vec()].concat();
    for array in [empty, planes] {
        let sql = "UPDATE l SET a = $1, c = $2 WHERE id = 1 RETURNING a, c, a[1]";
        let bound = bind_as("", "", &[1], &[Some(&array), Some(&array)], &[1]);
        pair.same("shape", &[parse("", sql, &[]), bound, describe_portal(""), execute("", 0), sync()].concat(), 1);
    }
    for (sql, values) in [
        (
            "SELECT id, a @> $1, $2 = ANY(a), a = $1, n && $3 FROM l ORDER BY id",
            vec!["{mark-list-a}", "mark-list-a", "{7}"],
        ),
        (
            "UPDATE l SET a = array_append(a, $1), n[1] = $2, p = $3 RETURNING a, n, p",
            vec!["mark-list-b", "5", "{plain}"],
        ),
        ("SELECT array_position(a, $1), a || $2 FROM l ORDER BY id", vec!["mark-list-b", "{mark-list-c}"]),
    ] {
        let values: Vec<Option<&str>> = values.into_iter().map(Some).collect();
        pair.same(sql, &run(sql, &[], &values), 1);
    }
    pair.each(&[
        "INSERT INTO l (id, a, b) VALUES (9, ARRAY['mark-list-d'], '{\"\\\\x00ff\"}') RETURNING a, b",
        "SELECT * FROM l ORDER BY id",
    ]);
    assert!(!twin.relay.sent().windows(9).any(|w| w == b"mark-list"), "plaintext was sent");
    assert_eq!(
        twin.stored("SELECT count(*) FROM l WHERE l::text LIKE '%mark-list%' OR l::text LIKE '%\\\\x00ff%'"),
        "0\n"
    );
    assert_eq!(twin.stored("SELECT pg_typeof(a), cardinality(a) FROM l WHERE id = 9"), "seal.text_eq[]|1\n");
    // Pinned as other columns are.
    let pins = twin.workspace.command(&["type", "pins"]);
    assert!(
        crate::support::process::run({ pins }.env("CS_DATABASE__URL", &twin.direct.url), "")
            .ok()
            .contains("public.l.a")
    );
}

/// The GIN index over the terms serves containment.
#[test]
fn containment_uses_the_index() {
    let twin = Twin::start();
    twin.create(LISTS);
    twin.sealed.sql("INSERT INTO l (id, a) SELECT g, ARRAY['all', 'x'] FROM generate_series(1, 500) g");
    twin.sealed.sql("INSERT INTO l (id, a) VALUES (1000, '{rare,x}')");
    twin.direct.sql("ANALYZE l");
    let plan = twin.sealed.sql("SET enable_seqscan = off; EXPLAIN (COSTS off) SELECT id FROM l WHERE a @> '{rare}'");
    assert!(plan.contains("Bitmap Index Scan on l_a"), "{plan}");
    assert_eq!(twin.sealed.sql("SELECT id FROM l WHERE a @> '{rare}'"), "1000\n");
}

/// What would show ciphertext, or give a wrong answer, is refused before anything is sent.
#[test]
fn what_arrays_cannot_be_used_for_is_refused() {
    let twin = Twin::start();
    twin.create(LISTS);
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT a::text FROM l",
        "SELECT array_to_string(a, ',') FROM l",
        "SELECT to_json(a) FROM l",
        "SELECT array_to_json(array_agg(a[1])) FROM l",
        "SELECT array_agg(a[1]::text || '') FROM l",
        "SELECT json_agg(a) FROM l",
        "SELECT l FROM l",
        "SELECT array_remove(a, 'mark-list') FROM l",
        "SELECT array_replace(a, 'mark-list', 'b') FROM l",
        "SELECT DISTINCT a FROM l",
        "SELECT a FROM l GROUP BY a",
        "SELECT a FROM l ORDER BY a",
        "SELECT a FROM l UNION SELECT a FROM l",
        "SELECT max(n) FROM l",
        "SELECT id FROM l WHERE a > '{mark-list}'",
        "SELECT id FROM l WHERE c @> '{mark-list}'",
        "SELECT id FROM l WHERE 'mark-list' = ANY(c)",
        "SELECT id FROM l WHERE a @> p",
        "SELECT id FROM l WHERE p @> a",
        "SELECT id FROM l WHERE a IN ('{mark-list}')",
        "SELECT id FROM l WHERE 'mark-list' LIKE ANY(a)",
        "SELECT id FROM l WHERE m[1] LIKE 'mark-list%'",
        "SELECT id FROM l, unnest(m) AS z WHERE z LIKE 'mark-list%'",
        "SELECT * FROM l JOIN l AS k USING (a)",
        "SELECT a || p FROM l",
        "SELECT ARRAY[a[1], p[1]] FROM l",
        "SELECT array_fill(a[1], ARRAY[2]) FROM l",
        "SELECT x FROM l, unnest(a) WITH ORDINALITY AS y(x, o)",
        "SELECT (unnest(a)).c FROM l",
        "UPDATE l SET a = string_to_array('mark-list', ',')",
        "UPDATE l SET a = p",
        "UPDATE l SET a[1] = p[1]",
        "UPDATE l SET a = 'mark-list'::text",
        "UPDATE l SET (p[1], a[1]) = ('x', 'mark-list')",
        "UPDATE l SET (a[1], p[1]) = ('mark-list', 'x')",
        "INSERT INTO l (id, a[1]) VALUES (1, 'mark-list')",
        "CREATE INDEX ON l (a)",
        "CREATE UNIQUE INDEX ON l (a)",
        "CREATE INDEX ON l USING gin (c)",
        "ALTER TABLE l ADD UNIQUE (a)",
        "ALTER TABLE l ADD CHECK (a[1] = 'mark-list')",
        "ALTER TABLE l ALTER a SET DEFAULT '{mark-list}'",
        "CREATE VIEW v AS SELECT a::text FROM l",
        "CREATE DOMAIN d AS seal.text_eq[]",
    ] {
        let error = raw.error(sql);
        assert_eq!(error.code, "0A000", "{sql}: {error:?}");
    }
    assert!(!twin.relay.sent().windows(9).any(|w| w == b"mark-list"), "plaintext was sent");
}
