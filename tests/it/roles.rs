//! Rules for roles: what each sees of encrypted columns, in every way that values leave, and that SQL does not change it.

use crate::support::raw::{
    self, Raw, bind, bind_as, describe_portal, execute, extended, parse, startup, sync, tcp, transcript,
};
use crate::support::{ProxyOptions, Twin, eventually};

/// Roles beside `app`, which is listed and may read all: `plain_reader` is not listed.
const ROLES: [&str; 8] = ["analyst", "support", "clerk", "auditor", "boss", "plain_reader", "half", "dealer"];

const SCHEMA: &str = "
    CREATE TABLE cards (id int PRIMARY KEY, email seal.text_eq, pan seal.varchar_eq, pin seal.int4_eq, note seal.text,
        doc seal.jsonb, plain text);
    INSERT INTO cards VALUES (1, 'ada@example.com', '4111111111111234', 4711, 'a long note', '{\"a\": 1}', 'p1'),
        (2, 'bob@example.com', '5500', 1234, NULL, NULL, 'p2'), (3, NULL, NULL, NULL, NULL, NULL, 'p3');
    GRANT SELECT, INSERT, UPDATE, DELETE ON cards TO PUBLIC;";

/// A twin with rules for roles, and those roles.
fn twin() -> Twin {
    let rules = [
        ("CS_POLICY__ROLES__APP__DECRYPT", "true"),
        ("CS_POLICY__ROLES__ANALYST__DECRYPT", "false"),
        ("CS_POLICY__ROLES__ANALYST__MASK", "null"),
        ("CS_POLICY__ROLES__SUPPORT__TYPES", "text_eq"),
        ("CS_POLICY__ROLES__SUPPORT__MASK", "last4"),
        ("CS_POLICY__ROLES__CLERK__DECRYPT", "false"),
        ("CS_POLICY__ROLES__CLERK__MASK", "full"),
        ("CS_POLICY__ROLES__AUDITOR__DECRYPT", "no"),
        ("CS_POLICY__ROLES__BOSS__DECRYPT", "false"),
        ("CS_POLICY__ROLES__HALF__TYPES", ""),
        ("CS_POLICY__ROLES__HALF__MASK", "first4"),
        ("CS_POLICY__ROLES__DEALER__TYPES", "deal"),
        ("CS_POLICY__ROLES__DEALER__MASK", "first4"),
        ("CS_POLICY__ROLES__*__DECRYPT", "false"),
    ];
    let options = rules.iter().fold(ProxyOptions::default(), |options, (key, value)| options.with(key, value));
    let twin = Twin::start_with(crate::support::Options::default(), &options);
    for role in ROLES {
        let more = if role == "boss" { " SUPERUSER" } else { "" };
        twin.cluster.superuser("postgres", &format!("CREATE ROLE {role} LOGIN{more}; GRANT {role} TO app"));
    }
    let hba = twin.cluster.dir.join("data/pg_hba.conf");
    let lines = std::fs::read_to_string(&hba).unwrap() + "host all all 127.0.0.1/32 trust\n";
    std::fs::write(&hba, lines).unwrap();
    twin.cluster.superuser("postgres", "SELECT pg_reload_conf()");
    twin.sealed.sql(SCHEMA);
    twin
}

/// What comes back to a login as this role.
fn log_in(port: u16, user: &str) -> (Raw, Vec<raw::Message>) {
    let mut raw = Raw::over(tcp(port));
    raw.send(&startup(0x0003_0000, &[("user", user), ("database", "sealed")]));
    let answers = raw.until_ready();
    (raw, answers)
}

/// A session of this role.
fn as_role(twin: &Twin, user: &str) -> Raw {
    eventually("the role may log in", || {
        let (raw, answers) = log_in(twin.proxy.port, user);
        answers.iter().all(|m| m.tag != b'E').then_some(raw)
    })
}

#[test]
fn each_role_sees_what_its_rule_says() {
    let twin = twin();
    let all = "SELECT id, email, pan, pin, note, doc, plain FROM cards ORDER BY id";
    let seen = |role: &str| as_role(&twin, role).rows(all);
    assert_eq!(
        seen("app"),
        [
            "1|ada@example.com|4111111111111234|4711|a long note|{\"a\": 1}|p1",
            "2|bob@example.com|5500|1234|∅|∅|p2",
            "3|∅|∅|∅|∅|∅|p3"
        ]
    );
    assert_eq!(seen("analyst"), ["1|∅|∅|∅|∅|∅|p1", "2|∅|∅|∅|∅|∅|p2", "3|∅|∅|∅|∅|∅|p3"]);
    // Reads seal.text_eq, so emails; the others masked: short ones as a whole, what is no text as NULL.
    assert_eq!(
        seen("support"),
        ["1|ada@example.com|************1234|∅|*******note|∅|p1", "2|bob@example.com|****|∅|∅|∅|p2", "3|∅|∅|∅|∅|∅|p3"]
    );
    assert_eq!(
        seen("clerk"),
        ["1|********|********|∅|********|∅|p1", "2|********|********|∅|∅|∅|p2", "3|∅|∅|∅|∅|∅|p3"]
    );
    assert_eq!(
        seen("half")[0],
        "1|ada@***********|4111************|∅|a lo*******|∅|p1",
        "an empty list of types is none"
    );
    for role in ["auditor", "plain_reader", "boss"] {
        let error = as_role(&twin, role).error(all);
        assert_eq!(error.code, "42501", "{role}");
        assert!(error.message.contains(&format!("role \"{role}\"")), "{error:?}");
        assert!(error.message.contains("cards.email") && error.message.contains("seal.text_eq"), "{error:?}");
        assert!(error.hint.unwrap_or_default().contains("[policy.roles]"));
    }
}

/// An expression is one of what the role may see.
#[test]
fn expressions_follow_the_rules() {
    let twin = twin();
    let sql = "SELECT upper(email), right(pan, 6), pin + 1, COALESCE(pin * 2, 7), COALESCE(upper(note), 'none'), doc -> 'a', strpos(pan, '4111'), email::text FROM cards WHERE id = 1";
    let seen = |role: &str| as_role(&twin, role).rows(sql);
    assert_eq!(seen("app"), ["ADA@EXAMPLE.COM|111234|4712|9422|A LONG NOTE|1|1|ada@example.com"]);
    assert_eq!(seen("analyst"), ["∅|∅|∅|7|none|∅|∅|∅"]);
    assert_eq!(seen("support"), ["ADA@EXAMPLE.COM|**1234|∅|7|*******NOTE|∅|0|ada@example.com"]);
    assert_eq!(seen("clerk"), ["********|******|∅|7|********|∅|0|********"]);
    for role in ["auditor", "plain_reader", "boss"] {
        for sql in [
            "SELECT lower(email) FROM cards",
            "SELECT id, pin + 1 FROM cards",
            "SELECT COALESCE(pin * 2, 7) FROM cards",
        ] {
            let error = as_role(&twin, role).error(sql);
            assert_eq!(error.code, "42501", "{role}: {sql}");
        }
    }
}

/// Whoever reads documents reads what is at their promoted paths, and nobody else.
#[test]
fn promoted_paths_follow_the_rules() {
    let twin = twin();
    twin.create_type("deal", "json", &["total=numeric:ord", "customer.name=text:eq,ord,match"]);
    twin.sealed.sql(
        "CREATE TABLE deals (id int, doc seal.deal, pan seal.varchar_eq); GRANT SELECT ON deals TO PUBLIC; \
         INSERT INTO deals VALUES (1, '{\"total\": 7, \"customer\": {\"name\": \"Ada Lovelace\"}}', '4111111111111234'), (2, '{\"total\": 5}', NULL)",
    );
    let (total, name) = ("(doc ->> 'total')::numeric", "doc -> 'customer' ->> 'name'");
    let parts = format!("SELECT id, {total}, {name}, pan FROM deals WHERE {total} > 5 ORDER BY {name}");
    let built = format!("SELECT json_build_array({name}, {total}), id FROM deals WHERE id = 1");
    let sums = format!("SELECT sum({total}), count(*), max({name}) FROM deals");
    let seen = |role: &str, sql: &str| as_role(&twin, role).rows(sql);
    for (role, row, json, sum) in [
        ("app", "1|7|Ada Lovelace|4111111111111234", "[\"Ada Lovelace\", 7]|1", "12|2|Ada Lovelace"),
        ("dealer", "1|7|Ada Lovelace|4111************", "[\"Ada Lovelace\", 7]|1", "12|2|Ada Lovelace"),
        ("support", "1|∅|********lace|************1234", "[\"********lace\", null]|1", "∅|2|********lace"),
        ("clerk", "1|∅|********|********", "[\"********\", null]|1", "∅|2|********"),
        ("analyst", "1|∅|∅|∅", "[null, null]|1", "∅|2|∅"),
    ] {
        assert_eq!(seen(role, &parts), [row], "{role}");
        assert_eq!(seen(role, &built), [json], "{role}");
        assert_eq!(seen(role, &sums), [sum], "{role}");
    }
    let like = format!("SELECT id FROM deals WHERE {name} LIKE '%Love%'");
    assert_eq!(seen("dealer", &like), ["1"]);
    for (role, sql) in
        [("auditor", &parts), ("boss", &built), ("plain_reader", &sums), ("support", &like), ("clerk", &like)]
    {
        let error = as_role(&twin, role).error(sql);
        assert_eq!(error.code, "42501", "{role}: {sql}");
        assert!(error.message.contains("seal.deal") && !error.message.contains('$'), "{error:?}");
    }
}

/// An aggregate tells of values no more than they would themselves.
#[test]
fn aggregates_and_text_follow_the_rules() {
    let twin = twin();
    let sum = "SELECT sum(pin), count(pin), COALESCE(avg(pin)::int, 0), max(pin) FROM cards";
    let list = "SELECT string_agg(pan, plain ORDER BY id), max(plain) FROM cards";
    let seen = |role: &str, sql: &str| as_role(&twin, role).rows(sql);
    assert_eq!(seen("app", sum), ["5945|2|2973|4711"]);
    assert_eq!(seen("app", list), ["4111111111111234p25500|p3"]);
    for role in ["analyst", "support", "clerk", "half"] {
        assert_eq!(seen(role, sum), ["∅|2|0|∅"], "{role}");
    }
    assert_eq!(seen("support", list), ["************1234p2****|p3"]);
    assert_eq!(seen("clerk", list), ["********p2********|p3"]);
    let given = "SELECT pan || '!' FROM cards WHERE id = 1";
    assert_eq!(seen("app", given), ["4111111111111234!"]);
    for (role, sql) in [
        ("auditor", sum),
        ("boss", list),
        ("analyst", list),
        ("support", given),
        ("clerk", "SELECT pin::text FROM cards"),
    ] {
        assert_eq!(as_role(&twin, role).error(sql).code, "42501", "{role}: {sql}");
    }
}

#[test]
fn elements_of_arrays_are_masked_one_by_one() {
    let twin = twin();
    let all = "SELECT array_agg(pan ORDER BY id), array_agg(pin ORDER BY id), ARRAY[min(id)] FROM cards";
    let seen = |role: &str| as_role(&twin, role).rows(all);
    assert_eq!(seen("app"), ["{4111111111111234,5500,NULL}|{4711,1234,NULL}|{1}"]);
    assert_eq!(seen("support"), ["{************1234,****,NULL}|∅|{1}"]);
    assert_eq!(seen("clerk"), ["{********,********,NULL}|∅|{1}"]);
    assert_eq!(seen("analyst"), ["∅|∅|{1}"]);
    assert_eq!(as_role(&twin, "auditor").error(all).code, "42501");
}

#[test]
fn values_in_json_are_masked_one_by_one() {
    let twin = twin();
    let all = "SELECT json_agg(json_build_array(email, pan, pin, doc) ORDER BY id) FROM cards WHERE id < 3";
    let seen = |role: &str| as_role(&twin, role).rows(all);
    assert_eq!(
        seen("app"),
        [r#"[["ada@example.com", "4111111111111234", 4711, {"a": 1}], ["bob@example.com", "5500", 1234, null]]"#]
    );
    assert_eq!(
        seen("support"),
        [r#"[["ada@example.com", "************1234", null, null], ["bob@example.com", "****", null, null]]"#]
    );
    assert_eq!(seen("analyst"), ["[[null, null, null, null], [null, null, null, null]]"]);
    assert_eq!(as_role(&twin, "auditor").error(all).code, "42501");
    assert_eq!(
        as_role(&twin, "support").rows("SELECT row_to_json(c) -> 'x' IS NULL FROM (SELECT id FROM cards) c LIMIT 1"),
        ["t"]
    );
}

#[test]
fn every_way_out_is_covered() {
    let twin = twin();
    twin.sealed.sql("CREATE VIEW v AS SELECT id, pan AS number FROM cards");
    twin.cluster.superuser("sealed", "GRANT SELECT ON v TO PUBLIC");
    let (mut whole, mut masked, mut hidden) =
        (as_role(&twin, "app"), as_role(&twin, "clerk"), as_role(&twin, "analyst"));
    let mut refused = as_role(&twin, "auditor");
    let statements = [
        "SELECT pan FROM cards WHERE id = 1",
        "SELECT number FROM v WHERE id = 1",
        "SELECT s.x FROM (SELECT pan AS x FROM cards WHERE id = 1) s",
        "WITH w AS (SELECT pan FROM cards WHERE id = 1) SELECT pan FROM w",
        "SELECT COALESCE(pan, 'none of it') FROM cards WHERE id = 1",
        "SELECT CASE WHEN id = 1 THEN pan ELSE 'none of it' END FROM cards WHERE id = 1",
        "SELECT pan FROM cards WHERE id = 1 UNION ALL SELECT pan FROM cards WHERE id = 99",
        "UPDATE cards SET plain = plain WHERE id = 1 RETURNING pan",
        "WITH w AS (UPDATE cards SET plain = plain WHERE id = 1 RETURNING *) SELECT pan FROM w",
        "SELECT c.pan FROM cards c JOIN cards d ON c.pan = d.pan WHERE d.id = 1",
        "SELECT pan FROM cards WHERE pan = '4111111111111234'",
        "SELECT pan FROM cards WHERE pan IN ('4111111111111234', 'x')",
        "SELECT pan::text FROM cards WHERE id = 1",
    ];
    for sql in statements {
        let value = whole.rows(sql);
        assert_eq!(value, ["4111111111111234"], "{sql}");
        assert_eq!(masked.rows(sql), ["********"], "{sql}");
        assert_eq!(hidden.rows(sql), ["∅"], "{sql}");
        assert_eq!(refused.error(sql).code, "42501", "{sql}");
        for format in [0, 1] {
            let ask = [
                parse("", sql, &[]),
                bind_as("", "", &[], &[], &[format]),
                describe_portal(""),
                execute("", 0),
                sync(),
            ];
            let answers = [&mut whole, &mut masked, &mut hidden].map(|raw| raw.ask(&ask.concat()));
            let values = answers.each_ref().map(|a| a.iter().find(|m| m.tag == b'D').unwrap().values().remove(0));
            assert_eq!(values[0].as_deref(), Some(&b"4111111111111234"[..]), "{sql}");
            assert_eq!(values[1].as_deref(), Some(&b"********"[..]), "{sql}");
            assert_eq!(values[2], None, "{sql}");
            let described = answers.each_ref().map(|a| a.iter().find(|m| m.tag == b'T').unwrap().columns());
            assert!(described[0] == described[1] && described[0] == described[2], "{sql}: columns stay as they are");
            let answer = refused.ask(&ask.concat());
            assert_eq!(transcript(&answer), "E ERROR 42501\nZ I", "{sql}");
        }
    }
    let insert = "INSERT INTO cards (id, pan) VALUES (50, '4000000000000002') RETURNING pan, id";
    assert_eq!(hidden.rows(insert), ["∅|50"]);
    assert_eq!(refused.error(&insert.replace("50", "51")).code, "42501");
    assert_eq!(
        whole.rows("SELECT pan FROM cards WHERE id IN (50, 51)"),
        ["4000000000000002"],
        "a refused one writes nothing"
    );
}

#[test]
fn a_portal_read_in_parts_is_masked_to_its_end() {
    let twin = twin();
    let mut raw = as_role(&twin, "clerk");
    raw.query("BEGIN");
    let begin = [parse("s", "SELECT pan FROM cards ORDER BY id", &[]), bind("c", "s", &[]), execute("c", 1), sync()];
    assert_eq!(transcript(&raw.ask(&begin.concat())), "1 \n2 \nD ********\ns \nZ T");
    // What the server says of roles meanwhile changes nothing.
    assert!(raw.query("SET LOCAL ROLE clerk").starts_with("C SET"));
    assert_eq!(transcript(&raw.ask(&[execute("c", 1), sync()].concat())), "D ********\ns \nZ T");
    assert_eq!(transcript(&raw.ask(&[execute("c", 0), sync()].concat())), "D ∅\nC SELECT 1\nZ T");
}

#[test]
fn sql_does_not_change_who_is_connected() {
    let twin = twin();
    let sql = "SELECT email FROM cards WHERE id = 1";
    // From a role that may read all to one that may not: still the one that logged in.
    let mut app = as_role(&twin, "app");
    for set in ["SET ROLE auditor", "SET ROLE analyst", "RESET ROLE", "BEGIN; SET LOCAL ROLE clerk; COMMIT"] {
        app.query(set);
        assert_eq!(app.rows(sql), ["ada@example.com"], "{set}");
    }
    // A superuser that may not read, and becomes one that may.
    let mut boss = as_role(&twin, "boss");
    for set in [
        "SET ROLE app",
        "SET SESSION AUTHORIZATION app",
        "SELECT set_config('role', 'app', false)",
        "SET application_name = 'app'",
        "ALTER ROLE boss SET role = 'app'",
        "BEGIN; SET LOCAL SESSION AUTHORIZATION app; COMMIT",
    ] {
        boss.query(set);
        assert_eq!(boss.error(sql).code, "42501", "{set}");
    }
    // A new login takes the setting made above; and the startup packet may name a role too.
    assert_eq!(as_role(&twin, "boss").error(sql).code, "42501");
    let mut raw = Raw::over(tcp(twin.proxy.port));
    let parameters = [("user", "boss"), ("database", "sealed"), ("options", "-c role=app"), ("role", "app")];
    raw.send(&startup(0x0003_0000, &parameters));
    raw.until_ready();
    assert_eq!(raw.error(sql).code, "42501");
    // The last name given is the one that PostgreSQL takes.
    let mut raw = Raw::over(tcp(twin.proxy.port));
    raw.send(&startup(0x0003_0000, &[("user", "app"), ("user", "boss"), ("database", "sealed")]));
    raw.until_ready();
    assert_eq!(raw.rows("SELECT session_user"), ["boss"]);
    assert_eq!(raw.error(sql).code, "42501");
}

#[test]
fn names_that_may_mean_another_role_are_refused() {
    let twin = twin();
    let long = "r".repeat(63);
    twin.cluster.superuser("postgres", &format!("CREATE ROLE {long} LOGIN"));
    drop(as_role(&twin, &long));
    for name in [format!("{long}x"), "app@".to_owned()] {
        let (_, answers) = log_in(twin.proxy.port, &name);
        assert_eq!(answers[0].error().map(|e| e.code).as_deref(), Some("28000"), "{name}");
        assert_eq!(answers.len(), 1);
    }
}

#[test]
fn what_is_hidden_is_never_opened() {
    let twin = twin();
    let opened = || {
        let (_, page) = twin.proxy.http("/metrics").unwrap();
        let line = page.lines().find(|line| line.starts_with("columnseal_values_opened_total ")).unwrap().to_owned();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let before = opened();
    let mut hidden = as_role(&twin, "analyst");
    assert_eq!(hidden.rows("SELECT * FROM cards").len(), 3);
    assert_eq!(hidden.rows("SELECT pan FROM cards WHERE pan = '5500'"), ["∅"]);
    as_role(&twin, "auditor").error("SELECT * FROM cards");
    assert_eq!(opened(), before);
    // A value that cannot even be opened is no matter to who does not see it.
    twin.direct.superuser("UPDATE cards SET note.c = '\\x00' WHERE id = 1");
    assert_eq!(hidden.rows("SELECT note FROM cards WHERE id = 1"), ["∅"]);
    assert_eq!(as_role(&twin, "clerk").error("SELECT note FROM cards WHERE id = 1").code, "XX001");
    assert_eq!(opened(), before);
}

#[test]
fn lookups_work_and_are_verified_before_the_mask() {
    let twin = twin();
    let sql = "SELECT id, pan FROM cards WHERE pan = $1";
    let ask = |raw: &mut Raw, value: &str| transcript(&raw.ask(&extended(sql, &[Some(value)])));
    let rows = |text: &str| text.lines().filter(|l| l.starts_with("D ")).map(str::to_owned).collect::<Vec<_>>();
    let (mut support, mut analyst) = (as_role(&twin, "support"), as_role(&twin, "analyst"));
    assert_eq!(rows(&ask(&mut support, "4111111111111234")), ["D 1|************1234"]);
    assert_eq!(rows(&ask(&mut support, "************1234")), Vec::<String>::new(), "a mask is not the value");
    assert_eq!(rows(&ask(&mut analyst, "4111111111111234")), ["D 1|∅"]);
    // Somebody swaps the search terms of two rows.
    let swap = "UPDATE cards c SET pan.eq = (d.pan).eq FROM cards d WHERE c.id + d.id = 3 AND c.id IN (1, 2)";
    twin.direct.superuser(swap);
    assert!(ask(&mut support, "4111111111111234").contains("E ERROR XX001"));
    assert!(ask(&mut as_role(&twin, "app"), "4111111111111234").contains("E ERROR XX001"));
}

#[test]
fn writing_needs_no_right_to_read() {
    let twin = twin();
    let mut clerk = as_role(&twin, "auditor");
    assert_eq!(clerk.query("INSERT INTO cards (id, email) VALUES (9, 'new@example.com')"), "C INSERT 0 1\nZ I");
    assert_eq!(
        clerk.query("UPDATE cards SET email = 'changed@example.com' WHERE email = 'new@example.com'"),
        "C UPDATE 1\nZ I"
    );
    assert_eq!(clerk.rows("SELECT id, plain FROM cards WHERE email = 'changed@example.com'"), ["9|∅"]);
    assert_eq!(as_role(&twin, "app").rows("SELECT email FROM cards WHERE id = 9"), ["changed@example.com"]);
    // A refusal fails the transaction as any error does, and is told at its place in a pipeline.
    clerk.query("BEGIN");
    assert_eq!(clerk.error("SELECT email FROM cards").code, "42501");
    assert_eq!(clerk.error("SELECT 1").code, "25P02");
    assert_eq!(clerk.query("ROLLBACK"), "C ROLLBACK\nZ I");
    let pipeline =
        [extended("SELECT 1", &[]), extended("SELECT email FROM cards", &[]), extended("SELECT 2", &[])].concat();
    clerk.send(&pipeline);
    let answers = [clerk.until_ready(), clerk.until_ready(), clerk.until_ready()].map(|a| transcript(&a));
    assert!(answers[0].contains("D 1") && answers[2].contains("D 2"), "{answers:?}");
    assert_eq!(answers[1], "E ERROR 42501\nZ I");
}

#[test]
fn like_is_for_roles_that_read_the_type() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE names (id int, n seal.text_match); INSERT INTO names VALUES (1, 'banana'), (2, 'x'); GRANT SELECT ON names TO PUBLIC");
    let sql = "SELECT id FROM names WHERE n LIKE '%nan%'";
    assert_eq!(as_role(&twin, "app").rows(sql), ["1"]);
    for role in ["analyst", "support", "clerk", "auditor", "boss", "plain_reader"] {
        let mut raw = as_role(&twin, role);
        assert_eq!(raw.error(sql).code, "42501", "{role}");
        let answers = transcript(&raw.ask(&extended("SELECT id FROM names WHERE n LIKE $1", &[Some("%nan%")])));
        assert!(answers.contains("E ERROR 42501"), "{role}: {answers}");
        assert_eq!(raw.rows("SELECT count(*) FROM names WHERE n IS NOT NULL"), ["2"], "{role}");
    }
}
