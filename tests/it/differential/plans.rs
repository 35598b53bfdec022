//! Where PostgreSQL uses an index on a plain column, it uses the one on the term of an encrypted one.

use crate::support::Twin;

const ROWS: usize = 10_000;

/// Settings, and statements of which both plans use an index with them.
const STATEMENTS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "SELECT id FROM p WHERE e IN ('v1', 'v2', 'v3')",
            "SELECT id FROM p WHERE (e, n) IN (('v1', 1), ('v2', 2))",
            "SELECT id FROM p WHERE (e, n) = ('v1', 1)",
            "SELECT e, count(*) FROM p WHERE e = 'v7' GROUP BY e",
            "SELECT DISTINCT e FROM p WHERE e = 'v7'",
            "SELECT e FROM p WHERE e = 'v1' UNION SELECT e FROM p WHERE e = 'v2'",
            "SELECT e FROM p WHERE e = 'v1' INTERSECT SELECT e FROM p WHERE e = 'v2'",
            "SELECT x.id FROM p x JOIN p y USING (e) WHERE x.id = 5",
            "MERGE INTO p USING (VALUES ('v1'), ('new')) s (e) ON p.e = s.e WHEN MATCHED THEN DELETE",
            "SELECT count(DISTINCT e) FROM p WHERE e IN ('v1', 'v2')",
        ],
    ),
    // Over all rows PostgreSQL would rather read the table and hash.
    (
        "SET enable_hashagg = off; SET enable_sort = off; SET enable_seqscan = off; ",
        &[
            "SELECT e, count(*) FROM p GROUP BY e",
            "SELECT e FROM p GROUP BY e HAVING count(*) > 1",
            "SELECT DISTINCT e FROM p",
            "SELECT DISTINCT ON (e) e FROM p",
            "SELECT id, row_number() OVER (PARTITION BY e) FROM p",
        ],
    ),
];

#[test]
fn indexes_serve_what_equality_carries() {
    let twin = Twin::start();
    twin.create("CREATE TABLE p (id int PRIMARY KEY, e seal.text_eq, n int); CREATE INDEX p_e ON p (e)");
    let ids: Vec<usize> = (0..ROWS).collect();
    for rows in ids.chunks(1000) {
        // Every value twice.
        let values: Vec<String> = rows.iter().map(|id| format!("({id}, 'v{}', 1)", id / 2)).collect();
        let insert = format!("INSERT INTO p VALUES {}", values.join(", "));
        twin.plain.sql(&insert);
        twin.sealed.sql(&insert);
    }
    for database in [&twin.plain, &twin.direct] {
        database.superuser("VACUUM ANALYZE p");
    }
    let mut wrong = Vec::new();
    for (settings, statements) in STATEMENTS {
        for statement in *statements {
            for (side, database) in [("plain", &twin.plain), ("encrypted", &twin.sealed)] {
                let plan = database.sql(&format!("{settings}EXPLAIN (COSTS OFF) {statement}"));
                if !plan.contains("p_e")
                    || plan.contains("Seq Scan on p")
                    || plan.contains("Sort") && !settings.is_empty()
                {
                    wrong.push(format!("{side}: {statement}\n{plan}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let upsert = "EXPLAIN (COSTS OFF) INSERT INTO q VALUES (1, 'v1') ON CONFLICT (e) DO NOTHING";
    twin.create("CREATE TABLE q (id int, e seal.text_eq); CREATE UNIQUE INDEX q_e ON q (e)");
    for database in [&twin.plain, &twin.sealed] {
        let plan = database.sql(upsert);
        assert!(plan.contains("Conflict Arbiter Indexes: q_e"), "{plan}");
    }
}
