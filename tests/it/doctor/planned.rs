//! What doctor says of tables whose encrypted columns the planner knows nothing of.

use serde_json::Value;

use super::{json, run};
use crate::support::Twin;

#[test]
fn doctor_asks_for_statistics_of_large_tables() {
    let twin = Twin::of(
        "CREATE TABLE large (id int PRIMARY KEY, grp seal.text_eq, age seal.int4_ord, mail seal.text_search, note seal.text, tags seal.text_eq[]);
         CREATE TABLE small (id int, grp seal.text_eq);
         CREATE INDEX ON large (id, mail)",
    );
    let said = || -> Vec<(String, String)> {
        // As if it were large.
        twin.direct.superuser("UPDATE pg_class SET reltuples = 100000 WHERE relname = 'large'");
        let out = run(&twin.workspace, &twin.client, &twin.direct, &["doctor", "--json"]);
        assert_eq!(out.code, 0, "{}{}", out.out, out.err);
        let report = json(&out.out);
        let text = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
        let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "statistics");
        checks
            .inspect(|check| {
                assert_eq!((&check["level"], &check["object"]), (&"warning".into(), &"public.large".into()))
            })
            .map(|check| (text(check, "why"), text(check, "advice")))
            .collect()
    };
    const MANY: &str = ". With more than 3,000 different values see docs/operations.md#statistics";
    let why = |columns: &str, them: &str| {
        format!(
            "without index and statistics the planner counts on 200 different values of {columns}: GROUP BY, DISTINCT, joins and filters on {them} may be planned badly"
        )
    };
    let [(found, advice)] = &said()[..] else { panic!("not one finding") };
    assert_eq!(*found, why("grp, age", "them"));
    assert_eq!(
        advice.strip_suffix(MANY),
        Some(
            "CREATE STATISTICS public.large_grp_stat ON grp FROM public.large, through the proxy, one for each column; then ANALYZE public.large"
        )
    );
    let statement = |advice: &str| advice.split(", through").next().unwrap().to_owned();
    twin.sealed.sql(&statement(advice));
    let [(found, advice)] = &said()[..] else { panic!("not one finding") };
    assert_eq!(*found, why("age", "it"));
    assert_eq!(
        advice.strip_suffix(MANY),
        Some(
            "CREATE STATISTICS public.large_age_stat ON age FROM public.large, through the proxy; then ANALYZE public.large"
        )
    );
    twin.sealed.sql(&statement(advice));
    assert_eq!(said(), []);
    twin.sealed.sql("DROP STATISTICS large_age_stat; CREATE INDEX ON large (age)");
    assert_eq!(said(), []);
}
