//! CREATE STATISTICS over encrypted columns: what the planner then knows of them.

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::raw::{extended, transcript};
use crate::support::{Database, Twin};

const TABLES: &str =
    "CREATE TABLE t (id int, grp seal.text_eq, age seal.int4_ord, note seal.text, tags seal.text_eq[], city text);
    CREATE VIEW seen AS SELECT id, grp FROM t;";
const ROWS: usize = 20_000;
const GROUPS: usize = 1000;
const AGES: usize = 50;

/// Rows of which every group has as many, and every age.
fn rows() -> String {
    let mut out = "COPY t (id, grp, age, note, city) FROM stdin;\n".to_owned();
    for n in 0..ROWS {
        let _ = writeln!(out, "{n}\tgroup {}\t{}\tnote\tcity {}", n % GROUPS, n % AGES, n % 10);
    }
    out + "\\.\n"
}

/// How many rows the planner expects of this query.
#[track_caller]
fn expected(database: &Database, query: &str) -> f64 {
    let plan: Value = serde_json::from_str(&database.sql(&format!("EXPLAIN (FORMAT json) {query}"))).unwrap();
    plan[0]["Plan"]["Plan Rows"].as_f64().unwrap()
}

#[track_caller]
fn near(found: f64, wanted: usize, what: &str) {
    let ratio = found / wanted as f64;
    assert!((0.5..=2.0).contains(&ratio), "{what}: {found}, and it is {wanted}");
}

#[test]
fn the_planner_knows_how_many_groups_there_are() {
    let twin = Twin::of(TABLES);
    twin.sealed.sql(&rows());
    let by_group = "SELECT count(*) FROM t GROUP BY grp";
    let by_term = "SELECT count(*) FROM t GROUP BY (grp).eq";
    let one = "SELECT id FROM t WHERE grp = 'group 7'";
    twin.direct.sql("ANALYZE t");
    assert_eq!(expected(&twin.direct, by_term), 200.0, "without statistics");
    assert_eq!(expected(&twin.sealed, one), ROWS as f64 / 200.0, "without statistics");
    twin.sealed
        .sql("CREATE STATISTICS t_grp ON grp FROM t; CREATE STATISTICS t_all ON \"age\", city, (grp) FROM public.t");
    twin.direct.sql("ANALYZE t");
    let of = |expression: &str| -> f64 {
        let sql = "SELECT DISTINCT n_distinct FROM pg_stats_ext_exprs WHERE expr";
        twin.direct.sql(&format!("{sql} = '{expression}'")).trim().parse().unwrap()
    };
    near(of("(grp).eq"), GROUPS, "values of grp");
    near(of("(age).ord"), AGES, "values of age");
    near(expected(&twin.direct, by_term), GROUPS, "groups, by the term");
    near(expected(&twin.sealed, by_group), GROUPS, "groups, through the proxy");
    near(expected(&twin.sealed, "SELECT DISTINCT ON (age) age FROM t"), AGES, "ages");
    near(expected(&twin.sealed, one), ROWS / GROUPS, "rows of one group");
    let joined = "SELECT a.id FROM t a JOIN t b ON a.grp = b.grp";
    near(expected(&twin.sealed, joined), ROWS * ROWS / GROUPS, "rows of a join");
    assert_eq!(
        twin.direct.sql("SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext ORDER BY stxname DESC"),
        "CREATE STATISTICS public.t_grp ON ((grp).eq) FROM t\n\
         CREATE STATISTICS public.t_all ON city, ((age).ord), ((grp).eq) FROM t\n"
    );
    // The most common terms, as an index would have them; no value.
    let common = "SELECT string_agg(most_common_vals::text, '') FROM pg_stats_ext_exprs";
    let common = twin.direct.sql(common);
    assert!(common.len() > 100 && !common.contains("group"), "{common}");
}

#[test]
fn statistics_are_refused_where_there_is_no_term_and_else_as_postgresql_does() {
    let twin = Twin::of(TABLES);
    let mut raw = twin.raw_sealed();
    for (on, code, why) in [
        ("note FROM t", "0A000", "CREATE STATISTICS on encrypted column t.note needs term eq or ord, which is missing"),
        ("tags, id FROM t", "0A000", "CREATE STATISTICS is not supported on encrypted column t.tags"),
        ("lower(grp), id FROM t", "0A000", "function lower is not supported on encrypted column t.grp"),
        (
            "(grp = 'group 7'), id FROM t",
            "0A000",
            "an expression over encrypted columns in CREATE STATISTICS is not supported",
        ),
        ("id, grp FROM t, seen", "0A000", "only a single relation is allowed in CREATE STATISTICS"),
        ("id, (age).ord FROM t", "42601", "syntax error"),
        ("grp, (grp) FROM t", "42701", "duplicate expression in statistics definition"),
        ("grp, nothing FROM t", "42703", "column \"nothing\" does not exist"),
        ("id FROM t", "42P17", "extended statistics require at least 2 columns"),
        ("grp FROM seen", "42809", "cannot define statistics for relation \"seen\""),
    ] {
        let error = raw.error(&format!("CREATE STATISTICS s ON {on}"));
        assert_eq!(error.code, code, "{on}: {error:?}");
        assert!(error.message.contains(why), "{on}: {error:?}");
    }
    let error = raw.error("CREATE STATISTICS s (mcv) ON grp FROM t");
    assert_eq!(error.message, "when building statistics on a single expression, statistics kinds may not be specified");
    assert_eq!(raw.rows("SELECT count(*) FROM pg_statistic_ext"), ["0"]);
    // Of plain columns as ever, and what names statistics alone.
    for sql in [
        "CREATE STATISTICS s (mcv, ndistinct) ON id, city FROM t",
        "CREATE STATISTICS IF NOT EXISTS s ON grp FROM t",
        "CREATE STATISTICS IF NOT EXISTS r (dependencies) ON grp, (age), lower(city) FROM ONLY t",
        "ALTER STATISTICS r SET STATISTICS 100",
        "ALTER STATISTICS r RENAME TO q",
        "COMMENT ON STATISTICS q IS 'of groups'",
    ] {
        raw.rows(sql);
    }
    assert_eq!(
        raw.rows(
            "SELECT stxname, stxstattarget, obj_description(oid, 'pg_statistic_ext') FROM pg_statistic_ext ORDER BY 1"
        ),
        ["q|100|of groups", "s|-1|∅"]
    );
    assert_eq!(
        twin.direct.sql("SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxname = 'q'"),
        "CREATE STATISTICS public.q (dependencies) ON ((grp).eq), ((age).ord), lower(city) FROM t\n"
    );
    raw.rows("DROP STATISTICS q, s");
    // By messages too, and with a promoted path.
    twin.create_type("deal", "json", &["total=numeric:ord", "customer.name=text:eq"]);
    raw.rows("CREATE TABLE deals (id int, doc seal.deal)");
    let sql = "CREATE STATISTICS d ON ((doc ->> 'total')::numeric), (doc -> 'customer' ->> 'name') FROM deals";
    let answers = raw.ask(&extended(sql, &[]));
    assert!(answers.iter().all(|message| message.error().is_none()), "{}", transcript(&answers));
    assert_eq!(
        twin.direct.sql("SELECT pg_get_statisticsobjdef_expressions(oid) FROM pg_statistic_ext"),
        "{(doc).p.p1.ord,(doc).p.p2.eq}\n"
    );
}
