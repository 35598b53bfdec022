//! Every construct that an index on a term serves is answered from that index at 10^5 rows: as PostgreSQL really ran it (auto_explain),
//! in custom and in generic plans, with the search path of one tenant's schema, without and with row security.

use crate::support::raw::{self, Raw};
use crate::support::{Options, ProxyOptions, Twin};

const ROWS: usize = 100_000;

const SCHEMA: &str = "CREATE SCHEMA tenant; SET search_path = tenant;
    CREATE TABLE p (id int PRIMARY KEY, n int, e seal.text_eq, o seal.text_ord, d seal.int4_ord, u seal.uuid_eq);
    CREATE TABLE q (id int, e seal.text_eq, u seal.uuid_eq);";

const INDEXES: &str = "SET search_path = tenant; CREATE INDEX p_e ON p (e); CREATE INDEX p_o ON p (o, id);
    CREATE INDEX p_d ON p (d); CREATE UNIQUE INDEX p_u ON p (u); CREATE INDEX p_ne ON p (n, e);";

/// As the tenant's own rows only.
const POLICY: &str = "ALTER TABLE tenant.p ENABLE ROW LEVEL SECURITY; ALTER TABLE tenant.p FORCE ROW LEVEL SECURITY;
    CREATE POLICY mine ON tenant.p USING (n < 90)";

/// The index, a statement, its parameters.
type Case = (&'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    ("p_e", "SELECT id FROM p WHERE e = $1", &["e7"]),
    ("p_e", "SELECT id FROM p WHERE $1 = e AND id > $2", &["e7", "5"]),
    ("p_e", "SELECT id FROM p WHERE e IN ($1, $2, 'e3')", &["e1", "e2"]),
    ("p_e", "SELECT id FROM p WHERE e = ANY ($1)", &["{e1,e2,e3}"]),
    ("p_e", "SELECT id FROM p WHERE e = ANY (ARRAY[$1, $2])", &["e1", "e2"]),
    ("p_d", "SELECT id FROM p WHERE (e, d) = ($1, $2)", &["e1", "1"]),
    ("p_ne", "SELECT id FROM p WHERE (e, n) IN (($1, 1), ($2, 2))", &["e1", "e2"]),
    ("p_e", "SELECT e, count(*) FROM p WHERE e = $1 GROUP BY e", &["e7"]),
    ("p_e", "SELECT DISTINCT e FROM p WHERE e = $1", &["e7"]),
    ("p_e", "SELECT count(DISTINCT e) FROM p WHERE e IN ($1, $2)", &["e1", "e2"]),
    ("p_e", "SELECT e FROM p WHERE e = $1 UNION SELECT e FROM p WHERE e = $2", &["e1", "e2"]),
    ("p_e", "SELECT e FROM p WHERE e = $1 EXCEPT SELECT e FROM p WHERE e = $2", &["e1", "e2"]),
    ("p_e", "SELECT x.id FROM p x JOIN p y ON x.e = y.e WHERE y.id = $1", &["7"]),
    ("p_e", "SELECT x.id FROM p x JOIN p y USING (e) WHERE y.id = $1", &["7"]),
    ("p_e", "SELECT p.id FROM p JOIN q ON p.e = q.e", &[]),
    ("p_e", "SELECT q.id FROM q LEFT JOIN LATERAL (SELECT id FROM p WHERE p.e = q.e LIMIT 1) l ON true", &[]),
    ("p_e", "SELECT id FROM q WHERE EXISTS (SELECT FROM p WHERE p.e = q.e)", &[]),
    ("p_e", "SELECT id FROM p WHERE e IN (SELECT e FROM q)", &[]),
    ("p_e", "SELECT id FROM p WHERE e = (SELECT e FROM q WHERE id = 1)", &[]),
    ("p_e", "WITH w AS (SELECT * FROM p) SELECT id FROM w WHERE e = $1", &["e7"]),
    ("p_e", "UPDATE p SET n = 2 WHERE e = $1", &["e7"]),
    ("p_e", "DELETE FROM p WHERE e = $1 RETURNING id", &["e7"]),
    ("p_e", "UPDATE p SET n = 3 FROM q WHERE p.e = q.e", &[]),
    ("p_e", "MERGE INTO p USING q ON p.e = q.e WHEN MATCHED THEN UPDATE SET n = 4", &[]),
    ("p_ne", "SELECT id FROM p WHERE n = $1 AND e = $2", &["5", "e7"]),
    ("p_o", "SELECT id FROM p WHERE o = $1", &["o00007"]),
    ("p_o", "SELECT id FROM p WHERE o BETWEEN $1 AND $2", &["o00007", "o00009"]),
    ("p_o", "SELECT id FROM p WHERE o > $1 AND o <= $2 ORDER BY o DESC", &["o00007", "o00009"]),
    ("p_o", "SELECT id FROM p WHERE o IN ($1, $2)", &["o00007", "o00009"]),
    ("p_o", "SELECT id FROM p WHERE o = ANY ($1)", &["{o00007,o00009}"]),
    ("p_o", "SELECT id, o FROM p ORDER BY o LIMIT 10", &[]),
    ("p_o", "SELECT id, o AS k FROM p ORDER BY k DESC, id DESC LIMIT 10 OFFSET 3", &[]),
    ("p_o", "SELECT id, o FROM p ORDER BY 2, 1 LIMIT 10", &[]),
    ("p_o", "SELECT id, o FROM p WHERE (o, id) > ($1, $2) ORDER BY o, id LIMIT 10", &["o30000", "60001"]),
    ("p_o", "SELECT id, o FROM p WHERE (o, id) < ($1, $2) ORDER BY o DESC, id DESC LIMIT 10", &["o30000", "60001"]),
    ("p_o", "SELECT id, o FROM p WHERE o >= $1 AND (o > $1 OR id > 60001) ORDER BY o, id LIMIT 10", &["o30000"]),
    ("p_o", "SELECT DISTINCT ON (o) o, id FROM p ORDER BY o, id LIMIT 10", &[]),
    ("p_o", "SELECT max(o) FROM p", &[]),
    ("p_o", "SELECT min(o) AS first FROM p WHERE id > $1", &["7"]),
    ("p_d", "SELECT id FROM p WHERE d >= $1 AND d < $2", &["17", "19"]),
    ("p_d", "SELECT id FROM p WHERE d = $1 OR d = $2", &["17", "19"]),
    ("p_d", "SELECT id FROM p ORDER BY d NULLS LAST LIMIT 5", &[]),
    ("p_d", "SELECT x.id FROM p x JOIN p y ON x.d = y.d WHERE y.id = $1", &["7"]),
    ("p_d", "DELETE FROM p WHERE d < $1", &["9"]),
    ("p_u", "SELECT id FROM p WHERE u = $1", &["00000000-0000-0000-0000-000000000007"]),
    ("p_u", "SELECT p.id FROM q JOIN p USING (u)", &[]),
];

/// Where the optional filter is left out, or most rows are on one side, there is nothing to look up: no generic plan can go by the index.
const CUSTOM: &[Case] = &[
    ("p_e", "SELECT id FROM p WHERE $1 IS NULL OR e = $1", &["e7"]),
    ("p_e", "SELECT id FROM p WHERE $1 = '' OR e = $1", &["e7"]),
    ("p_o", "SELECT id FROM p WHERE o < $1", &["o00009"]),
    ("p_o", "SELECT id FROM p WHERE $1 <= o", &["o49990"]),
];

/// Over all rows PostgreSQL would rather read the table: what an index can serve at all.
const FORCED: &[Case] = &[
    ("p_e", "SELECT e, count(*) FROM p GROUP BY e", &[]),
    ("p_e", "SELECT DISTINCT e FROM p", &[]),
    ("p_o", "SELECT id, row_number() OVER (PARTITION BY o ORDER BY id) FROM p", &[]),
    ("p_o", "SELECT o, count(*) FROM p GROUP BY o ORDER BY o", &[]),
];

/// A connection whose plans are looked up in the server's log.
struct Watched<'t> {
    twin: &'t Twin,
    raw: Raw,
    wrong: Vec<String>,
}

impl Watched<'_> {
    fn check(&mut self, settings: &str, (index, sql, values): &Case) {
        let before = self.twin.cluster.log().len();
        let values: Vec<Option<&str>> = values.iter().map(|v| Some(*v)).collect();
        self.raw.query("BEGIN");
        // A plan is logged when its portal is closed.
        let parts = [raw::parse("", sql, &[]), raw::bind("", "", &values), raw::execute("", 0), raw::close_portal("")];
        let answers = self.raw.ask(&[parts.concat(), raw::sync()].concat());
        let log = self.twin.cluster.log().split_off(before);
        self.raw.query("ROLLBACK");
        let served = [format!("using {index} on p"), format!("Bitmap Index Scan on {index} ")];
        let failed = answers.iter().find_map(raw::Message::error);
        let plan = log.rsplit_once("plan:").map_or("", |(_, plan)| plan);
        if failed.is_some() || log.contains("Seq Scan on p ") || !served.iter().any(|s| log.contains(s.as_str())) {
            self.wrong.push(format!("{settings}: {sql}\n{failed:?}\n{plan}"));
        }
    }

    fn check_all(&mut self, what: &str, cases: &[Case], settings: &[&str]) {
        for setting in settings {
            self.raw.rows(setting);
        }
        for case in cases {
            self.check(&format!("{what}, {settings:?}"), case);
        }
    }
}

fn load(twin: &Twin) {
    twin.sealed.sql(SCHEMA);
    let mut rows = String::from("COPY tenant.p FROM STDIN;\n");
    for id in 0..ROWS {
        let v = id / 2;
        rows.push_str(&format!("{id}\t{}\te{v}\to{v:05}\t{v}\t00000000-0000-0000-0000-{id:012}\n", id % 100));
    }
    rows.push_str("\\.\n");
    twin.sealed.sql(&rows);
    twin.sealed.sql(INDEXES);
    twin.sealed.sql(
        "INSERT INTO tenant.q VALUES (1, 'e1', '00000000-0000-0000-0000-000000000001'), (2, 'e9', NULL), (3, NULL, NULL)",
    );
    twin.direct.superuser("VACUUM ANALYZE tenant.p");
    twin.direct.superuser("VACUUM ANALYZE tenant.q");
}

#[test]
fn indexes_serve_every_construct_at_a_hundred_thousand_rows() {
    let options = Options::default()
        .with("session_preload_libraries = 'auto_explain'")
        .with("auto_explain.log_min_duration = 0")
        .with("max_parallel_workers_per_gather = 0");
    let twin = Twin::start_with(options, &ProxyOptions::default());
    load(&twin);
    let mut wrong = Vec::new();
    for policy in ["", POLICY] {
        twin.direct.superuser(policy);
        let mut watched = Watched { twin: &twin, raw: twin.raw_sealed(), wrong: Vec::new() };
        watched.raw.rows("SET search_path = tenant");
        let what = if policy.is_empty() { "without row security" } else { "with row security" };
        watched.check_all(what, CASES, &["SET plan_cache_mode = force_generic_plan"]);
        watched.check_all(what, CASES, &["SET plan_cache_mode = force_custom_plan"]);
        watched.check_all(what, CUSTOM, &[]);
        let forced = ["SET enable_hashagg = off", "SET enable_sort = off", "SET enable_seqscan = off"];
        watched.check_all(what, FORCED, &forced);
        wrong.append(&mut watched.wrong);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let upsert = "EXPLAIN (COSTS OFF) INSERT INTO tenant.p (id, u) VALUES (-1, '00000000-0000-0000-0000-000000000007') ON CONFLICT (u)";
    for action in ["DO NOTHING", "DO UPDATE SET n = 1"] {
        let plan = twin.sealed.sql(&format!("SET search_path = ''; {upsert} {action}"));
        assert!(plan.contains("Conflict Arbiter Indexes: p_u"), "{plan}");
    }
}
