//! Order terms on a real server: indexes that serve them, values that are too long for them, and what is stored.

use crate::support::{Twin, eventually};

const ROWS: usize = 20_000;

/// Statements of which PostgreSQL answers each from an index on the plain column.
const INDEXED: &[&str] = &[
    "SELECT id FROM public.p WHERE day = '2001-02-03'",
    "SELECT id FROM public.p WHERE day < '1970-01-20'",
    "SELECT id FROM public.p WHERE '2024-05-01' <= day",
    "SELECT id FROM public.p WHERE day BETWEEN '2001-02-03' AND '2001-02-09'",
    "SELECT id, day FROM public.p ORDER BY day LIMIT 10",
    "SELECT id, day AS d FROM public.p ORDER BY d DESC NULLS FIRST LIMIT 10",
    "SELECT * FROM public.p WHERE day > '2001-02-03' ORDER BY 2 LIMIT 10",
    "SELECT DISTINCT ON (day) id FROM public.p ORDER BY day LIMIT 10",
    "SELECT max(day) FROM public.p",
    "SELECT min(day) AS first FROM public.p WHERE n = 1 OR n = 2",
    "SELECT x.id FROM public.p x JOIN public.p y ON x.day = y.day WHERE y.id = 7",
    "UPDATE public.p SET n = 2 WHERE day <= '1970-01-05'",
    "DELETE FROM public.p WHERE day IN ('1970-01-05', '1971-01-05')",
];

#[test]
fn indexes_serve_ranges_and_sorting() {
    let twin = Twin::start();
    twin.create(
        "CREATE TABLE p (id int PRIMARY KEY, day seal.date_ord, n int); CREATE INDEX p_day ON p (day);
         CREATE TABLE r (id int, day seal.date_ord, n int); CREATE INDEX r_day ON r (day)",
    );
    let ids: Vec<usize> = (0..ROWS).collect();
    for rows in ids.chunks(1000) {
        let values: Vec<String> = rows.iter().map(|id| format!("({id}, date '1970-01-01' + {id}, 1)")).collect();
        twin.plain.sql(&format!("INSERT INTO p VALUES {}", values.join(", ")));
    }
    let days = twin.plain.sql("SELECT id || ', ''' || day || ''', 1' FROM p ORDER BY id");
    for rows in days.lines().collect::<Vec<_>>().chunks(1000) {
        twin.sealed.sql(&format!("INSERT INTO p VALUES ({})", rows.join("), (")));
    }
    let policy = "ALTER TABLE r ENABLE ROW LEVEL SECURITY; ALTER TABLE r FORCE ROW LEVEL SECURITY; \
                  CREATE POLICY mine ON r USING (n = 1); INSERT INTO r SELECT * FROM p; ";
    for database in [&twin.plain, &twin.direct] {
        database.superuser(&format!("{policy} VACUUM ANALYZE p"));
        database.superuser("VACUUM ANALYZE r");
    }
    let mut wrong = Vec::new();
    for settings in ["", "SET search_path = ''; ", "SET plan_cache_mode = force_generic_plan; "] {
        for statement in INDEXED {
            for (side, database) in [("plain", &twin.plain), ("encrypted", &twin.sealed)] {
                let plan = database.sql(&format!("{settings}EXPLAIN (COSTS OFF) {statement}"));
                if !plan.contains("p_day") || plan.contains("Seq Scan on p") || plan.contains("Sort Key") {
                    wrong.push(format!("{side}: {settings}{statement}\n{plan}"));
                }
            }
        }
    }
    for (side, database) in [("plain", &twin.plain), ("encrypted", &twin.sealed)] {
        let plan = database.sql("EXPLAIN (COSTS OFF) SELECT id FROM r WHERE day < '1970-01-20' ORDER BY day");
        if !plan.contains("r_day") || plan.contains("Seq Scan") {
            wrong.push(format!("{side}, with row security:\n{plan}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for database in [&twin.plain, &twin.sealed] {
        assert_eq!(database.sql("SELECT max(day), count(*) FROM p WHERE day < '1970-01-20'"), "1970-01-19|19\n");
    }
}

#[test]
fn a_value_that_is_too_long_is_refused_and_a_longer_operand_is_right() {
    let twin = Twin::start();
    twin.create("CREATE TABLE t (id int, e seal.text_ord)");
    let (most, more) = ("m".repeat(64), "m".repeat(65));
    twin.both(&format!("INSERT INTO t VALUES (1, 'a'), (2, '{most}'), (3, 'z'), (4, ''), (5, NULL)"));
    for condition in [
        format!("e < '{more}'"),
        format!("e >= '{more}'"),
        format!("e = '{more}'"),
        format!("e <> '{more}'"),
        "e > ''".into(),
    ] {
        let sql = format!("SELECT id FROM t WHERE {condition} ORDER BY e, id");
        assert_eq!(twin.sealed.sql(&sql), twin.plain.sql(&sql), "{condition}");
    }
    let refused = twin.raw_sealed().error(&format!("INSERT INTO t VALUES (6, '{more}')"));
    assert_eq!(refused.code, "54000", "{refused:?}");
    assert!(refused.message.contains("64 bytes") && !format!("{refused:?}").contains(&more), "{refused:?}");
    assert_eq!(twin.stored("SELECT count(*) FROM t"), "5\n");
    // Eight bytes of term a byte, in the order of the values; two writings of one value have one term.
    twin.sealed.sql("INSERT INTO t VALUES (7, 'a')");
    assert_eq!(
        twin.stored("SELECT id, octet_length((e).ord) FROM t WHERE e IS NOT NULL ORDER BY (e).ord, id"),
        "4|0\n1|8\n7|8\n2|512\n3|8\n"
    );
    assert_eq!(twin.stored("SELECT count(DISTINCT (e).ord), count(DISTINCT (e).c) FROM t WHERE id IN (1, 7)"), "1|2\n");
}

#[test]
fn a_hardened_type_sorts_the_same_with_terms_twice_as_long() {
    let twin = Twin::start();
    let (url, options) = (twin.direct.url.clone(), r#"{"hardened": true}"#);
    let create =
        ["type", "create", "rank", "--as", "text", "--terms", "eq,ord", "--options", options, "--database", &url];
    twin.workspace.columnseal(&create).ok();
    let mut raw = twin.raw_sealed();
    // Where the type is known, it is known as signed.
    eventually("the type is known", || {
        raw.query("CREATE TABLE h (id int, e seal.rank)").starts_with("C ").then_some(())
    });
    raw.query("CREATE INDEX h_e ON h (e)");
    twin.plain.sql("CREATE TABLE h (id int, e text)");
    let (most, more) = ("m".repeat(64), "m".repeat(65));
    twin.both(&format!(
        "INSERT INTO h VALUES (1, 'a'), (2, '{most}'), (3, 'z'), (4, ''), (5, NULL), (6, 'ab'), (7, 'a')"
    ));
    for sql in [
        "SELECT id, e FROM h ORDER BY e, id".to_owned(),
        "SELECT id FROM h WHERE e > 'a' ORDER BY e DESC, id".into(),
        "SELECT id FROM h WHERE e = 'a' ORDER BY id".into(),
        "SELECT id FROM h WHERE e BETWEEN 'a' AND 'b' ORDER BY id".into(),
        "SELECT max(e), min(e) FROM h".into(),
        "SELECT max(e) FROM h".into(),
        "SELECT e, count(*) FROM h GROUP BY e ORDER BY e".into(),
        format!("SELECT id FROM h WHERE e < '{more}' ORDER BY e, id"),
        format!("SELECT id FROM h WHERE e >= '{more}' ORDER BY e, id"),
    ] {
        assert_eq!(twin.sealed.sql(&sql), twin.plain.sql(&sql), "{sql}");
    }
    let stored = "SELECT id, octet_length((e).ord) FROM h WHERE e IS NOT NULL ORDER BY (e).ord, id";
    assert_eq!(twin.stored(stored), "4|0\n1|16\n7|16\n6|32\n2|1024\n3|16\n");
    // Whoever takes the option away in the database is noticed.
    twin.direct.superuser("UPDATE seal.types SET options = '{}' WHERE name = 'rank'");
    let refused = eventually("the edit is seen", || {
        let answer = raw.query("SELECT id FROM h WHERE e = 'a'");
        answer.starts_with("E ").then_some(answer)
    });
    assert!(refused.contains("42P17"), "{refused}");
}
