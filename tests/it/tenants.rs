//! Keysets chosen by sessions: who stores and finds what, and whether the choice follows transactions as a setting of
//! PostgreSQL's own does.

use crate::support::raw::{
    self, Raw, bind, describe_portal, describe_statement, execute, parse, query, sync, transcript,
};
use crate::support::{Options, ProxyOptions, Twin, eventually};

const KEYSETS: [&str; 3] = ["tenant-1", "tenant-2", "tenant-3"];
const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq)";

/// A twin whose client has three more keysets, and a keyset that it was not granted.
#[track_caller]
fn tenants(options: &ProxyOptions) -> Twin {
    let mut twin = Twin::start_with(Options::default(), &ProxyOptions::default());
    for keyset in KEYSETS {
        twin.workspace.columnseal(&["keyset", "create", keyset]).ok();
        twin.workspace.grant(&twin.client, keyset);
    }
    twin.workspace.columnseal(&["keyset", "create", "foreign"]).ok();
    twin.sealed.sql(TABLE);
    twin.restart_proxy(options);
    twin
}

/// The keyset that each row is stored under, by the order in which they were first used: read past the proxy.
fn krefs(twin: &Twin) -> Vec<(String, String)> {
    let rows = twin.stored("SELECT id || '|' || encode(substring((e).c FROM 4 FOR 4), 'hex') FROM t ORDER BY id");
    rows.lines().filter_map(|l| l.split_once('|')).map(|(id, kref)| (id.to_owned(), kref.to_owned())).collect()
}

/// Of each row the keyset it is stored under, by name; every keyset was used for one row of `sample` before.
fn stored_under(twin: &Twin, raw: &mut Raw) -> Vec<String> {
    raw.query("SET columnseal.keyset = 'default'");
    raw.query("INSERT INTO t VALUES (-9, 'sample')");
    for (n, keyset) in KEYSETS.iter().enumerate() {
        raw.query(&format!("SET columnseal.keyset = '{keyset}'"));
        raw.query(&format!("INSERT INTO t VALUES (-{}, 'sample')", n + 1));
    }
    let all = krefs(twin);
    let name = |kref: &str| {
        let sample = all.iter().find(|(id, k)| id.starts_with('-') && k == kref).expect("a keyset that has a sample");
        match &*sample.0 {
            "-9" => "default".to_owned(),
            id => KEYSETS[id[1..].parse::<usize>().unwrap() - 1].to_owned(),
        }
    };
    all.iter().filter(|(id, _)| !id.starts_with('-')).map(|(id, kref)| format!("{id} {}", name(kref))).collect()
}

fn id_of(twin: &Twin, keyset: &str) -> String {
    let shown = twin.workspace.columnseal(&["--json", "keyset", "show", keyset]).ok();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown["id"].as_str().unwrap().to_owned()
}

/// Parse, Bind and Execute of the unnamed statement.
fn step(sql: &str, values: &[Option<&str>]) -> Vec<u8> {
    [parse("", sql, &[]), bind("", "", values), execute("", 0)].concat()
}

#[test]
fn each_tenant_stores_and_finds_its_own() {
    let twin = tenants(&ProxyOptions::default());
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t VALUES (0, 'same')");
    let id = id_of(&twin, "tenant-2");
    for (n, set) in [
        "SET columnseal.keyset = 'tenant-1'".to_owned(),
        format!("SET CIPHERSTASH.KEYSET_ID = '{id}'"),
        "set session Cipherstash.Keyset_Name to 'tenant-3'".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(raw.query(set), "C SET\nZ I");
        raw.query(&format!("INSERT INTO t VALUES ({}, 'same')", n + 1));
        assert_eq!(raw.rows("SELECT id FROM t WHERE e = 'same'"), [(n + 1).to_string()], "terms are the keyset's own");
        assert_eq!(raw.rows("SELECT id FROM t WHERE e = ANY('{same}')"), [(n + 1).to_string()]);
    }
    let terms =
        twin.stored("SELECT count(DISTINCT (e).eq) || ' ' || count(DISTINCT substring((e).c FROM 4 FOR 4)) FROM t");
    assert_eq!(terms, "4 4\n");
    assert_eq!(raw.rows("SELECT id, e FROM t ORDER BY id"), ["0|same", "1|same", "2|same", "3|same"]);
    raw.query("RESET cipherstash.keyset_id");
    assert_eq!(raw.rows("SELECT id FROM t WHERE e = 'same'"), ["0"]);
    raw.query(&format!("SET columnseal.keyset = '{id}'"));
    assert_eq!(raw.rows("SELECT id, e FROM t WHERE e = 'same'"), ["2|same"]);
    let update = "UPDATE t SET e = 'other' WHERE e = 'same' RETURNING id";
    assert_eq!(raw.rows(update), ["2"]);
    let stored = stored_under(&twin, &mut raw);
    assert_eq!(stored, ["0 default", "1 tenant-1", "2 tenant-2", "3 tenant-3"]);
}

#[test]
fn a_keyset_that_cannot_be_used_is_refused_at_set() {
    let twin = tenants(&ProxyOptions::default());
    let mut raw = twin.raw_sealed();
    raw.query("SET columnseal.keyset = 'tenant-1'");
    for (set, code) in [
        ("SET columnseal.keyset = 'foreign'", "42501"),
        ("SET columnseal.keyset = 'never'", "42501"),
        ("SET columnseal.keyset = '01234567-89ab-cdef-0123-456789abcdef'", "42501"),
        ("SET cipherstash.keyset_id = 'tenant-2'", "22023"),
        ("SET columnseal.keyset = 'tenant-1', 'tenant-2'", "22023"),
        ("SET columnseal.keyset FROM CURRENT", "0A000"),
        ("SET columnseal.status = 'x'", "55P02"),
        ("SET columnseal.other = 'x'", "42704"),
        ("SHOW columnseal.other", "42704"),
        ("SELECT set_config('columnseal.keyset', 'tenant-2', false)", "0A000"),
        ("DO $$ BEGIN SET columnseal.keyset = 'tenant-2'; END $$", "0A000"),
        (
            "CREATE FUNCTION set_config() RETURNS text LANGUAGE sql AS $$ SET columnseal.keyset = 'x'; SELECT '' $$",
            "0A000",
        ),
        ("ALTER ROLE app SET columnseal.keyset = 'tenant-2'", "0A000"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql SET columnseal.keyset = 'tenant-2' AS 'SELECT 1'", "0A000"),
    ] {
        assert_eq!(raw.error(set).code, code, "{set}");
        assert_eq!(raw.rows("SHOW columnseal.keyset"), ["tenant-1"], "after {set}");
    }
    let by_name = format!("SET cipherstash.keyset_name = '{}'", id_of(&twin, "tenant-2"));
    assert_eq!(raw.error(&by_name).code, "42501");
    let config = parse("", "SELECT set_config($1, 'tenant-2', false)", &[25]);
    let by_value = [config.clone(), bind("", "", &[Some("ColumnSeal.keyset")]), execute("", 0), sync()].concat();
    assert!(transcript(&raw.ask(&by_value)).contains("E ERROR 0A000"));
    let harmless = [config, bind("", "", &[Some("my.setting")]), execute("", 0), sync()].concat();
    assert!(transcript(&raw.ask(&harmless)).contains("D tenant-2"));
    let twice = [step("SET columnseal.keyset = 'foreign'", &[]), step("SELECT 1", &[]), sync()].concat();
    assert_eq!(transcript(&raw.ask(&twice)), "1 \n2 \nE ERROR 42501\nZ I");
    assert_eq!(raw.rows("SHOW columnseal.keyset"), ["tenant-1"]);
}

#[test]
fn what_the_server_does_by_itself_chooses_nothing() {
    let twin = tenants(&ProxyOptions::default());
    twin.direct.superuser(
        "CREATE FUNCTION turn() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
             PERFORM set_config('columnseal.keyset', 'tenant-2', false); RETURN current_setting('columnseal.keyset'); END $$;
         CREATE FUNCTION within() RETURNS text LANGUAGE sql SET columnseal.keyset = 'tenant-2' AS 'SELECT turn()';
         ALTER ROLE app SET columnseal.keyset = 'tenant-3'",
    );
    let mut raw = twin.raw_sealed();
    assert_eq!(raw.rows("SHOW columnseal.keyset"), ["default"]);
    raw.query("SET columnseal.keyset = 'tenant-1'");
    raw.query("SELECT turn()");
    raw.query("SELECT within()");
    raw.query("PREPARE p (text) AS SELECT set_config($1, 'tenant-2', false)");
    raw.query("EXECUTE p ('columnseal.keyset')");
    assert_eq!(raw.rows("SHOW columnseal.keyset"), ["tenant-1"]);
    raw.query("INSERT INTO t VALUES (1, 'x')");
    assert_eq!(stored_under(&twin, &mut raw), ["1 tenant-1"]);
}

#[test]
fn a_switch_in_a_pipeline_counts_for_what_follows() {
    let twin = tenants(&ProxyOptions::default());
    let mut raw = twin.raw_sealed();
    let insert = |id: &str| step("INSERT INTO t VALUES ($1, $2)", &[Some(id), Some("value")]);
    let set = |keyset: &str| step(&format!("SET columnseal.keyset = '{keyset}'"), &[]);
    // Batches one behind the other, nothing awaited between them.
    let batches = [
        [set("tenant-1"), insert("1"), set("tenant-2"), insert("2"), sync()].concat(),
        [insert("3"), set("tenant-3"), insert("4"), step("SELECT 1/0", &[]), insert("5"), sync()].concat(),
        [insert("6"), step("BEGIN", &[]), set("tenant-3"), insert("7"), step("SAVEPOINT s", &[]), sync()].concat(),
        [set("tenant-1"), insert("8"), step("ROLLBACK TO s", &[]), insert("9"), step("COMMIT", &[]), sync()].concat(),
        [insert("10"), set("foreign"), insert("11"), sync()].concat(),
        [step("BEGIN", &[]), step("SET LOCAL columnseal.keyset = 'tenant-1'", &[]), insert("12"), sync()].concat(),
        [insert("13"), step("COMMIT", &[]), insert("14"), sync()].concat(),
        [step("RESET columnseal.keyset", &[]), insert("15"), sync(), step("DISCARD ALL", &[]), sync()].concat(),
    ];
    raw.send(&batches.concat());
    let mut said = String::new();
    for _ in 0..9 {
        said += &transcript(&raw.until_ready());
    }
    assert_eq!(said.matches("E ERROR").count(), 2, "{said}");
    let expected = [
        "1 tenant-1",
        "2 tenant-2",
        "6 tenant-2",
        "7 tenant-3",
        "9 tenant-3",
        "12 tenant-1",
        "13 tenant-1",
        "14 tenant-3",
        "15 default",
    ];
    assert_eq!(stored_under(&twin, &mut raw), expected);
}

#[test]
fn statements_of_one_query_follow_one_another() {
    let twin = tenants(&ProxyOptions::default());
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t VALUES (1, 'x'); SET columnseal.keyset = 'tenant-1'; INSERT INTO t VALUES (2, 'x')");
    raw.query("SET columnseal.keyset = 'tenant-2'; INSERT INTO t VALUES (3, 'x'); SELECT 1/0");
    raw.query("INSERT INTO t VALUES (4, 'x'); BEGIN; SET LOCAL columnseal.keyset = 'tenant-2'; INSERT INTO t VALUES (5, 'x'); COMMIT; INSERT INTO t VALUES (6, 'x')");
    raw.query("SET columnseal.keyset = 'tenant-3'; INSERT INTO t VALUES (7, 'x'); SET columnseal.keyset = 'foreign'; SELECT 1");
    raw.query("SELECT 1; RESET ALL; SELECT 2; INSERT INTO t VALUES (8, 'x')");
    let expected = ["1 default", "2 tenant-1", "4 tenant-1", "5 tenant-2", "6 tenant-1", "8 default"];
    assert_eq!(stored_under(&twin, &mut raw), expected);
}

#[test]
fn a_connection_handed_to_another_tenant_keeps_nothing() {
    let twin = tenants(&ProxyOptions::default());
    let mut raw = Raw::connect_with(twin.proxy.port, "sealed", &[("options", "-c columnseal.keyset=tenant-3")]);
    let resets = [
        "DISCARD ALL",
        "RESET ALL",
        "RESET columnseal.keyset",
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
        "ROLLBACK; DISCARD TEMP; RESET ALL",
    ];
    for (n, reset) in resets.iter().enumerate() {
        raw.query("SET columnseal.keyset = 'tenant-1'");
        if reset.starts_with("ROLLBACK") {
            raw.query("BEGIN");
            raw.query("SET columnseal.keyset = 'tenant-2'");
        }
        assert!(raw.query(reset).ends_with("Z I"), "{reset}");
        assert_eq!(raw.rows("SHOW columnseal.keyset"), ["tenant-3"], "{reset}");
        raw.query(&format!("INSERT INTO t VALUES ({n}, 'x')"));
    }
    let stored = stored_under(&twin, &mut raw);
    assert!(stored.len() == resets.len() && stored.iter().all(|s| s.ends_with("tenant-3")), "{stored:?}");
}

#[test]
fn the_startup_packet_chooses() {
    let twin = tenants(&ProxyOptions::default());
    for (name, value) in [
        ("options", "-c columnseal.keyset=tenant-2"),
        ("options", "-c work_mem=1MB --cipherstash.keyset-name=tenant-2"),
        ("columnseal.keyset", "tenant-2"),
    ] {
        let mut raw = Raw::connect_with(twin.proxy.port, "sealed", &[(name, value)]);
        assert_eq!(raw.rows("SHOW columnseal.keyset"), ["tenant-2"]);
        assert_eq!(raw.rows("SHOW cipherstash.keyset_id"), [id_of(&twin, "tenant-2")]);
    }
    for (value, code) in [("-c columnseal.keyset=foreign", "42501"), ("-c columnseal.other=x", "42704")] {
        let mut raw = Raw::over(raw::tcp(twin.proxy.port));
        raw.send(&raw::startup(0x0003_0000, &[("user", "app"), ("database", "sealed"), ("options", value)]));
        let answers = raw.until_ready();
        let error = answers.iter().find_map(raw::Message::error).expect("refused");
        assert_eq!((error.severity.as_str(), error.code.as_str()), ("FATAL", code));
        assert!(answers.iter().all(|m| m.tag != b'Z'));
    }
}

#[test]
fn with_scope_startup_sql_chooses_nothing() {
    let twin = tenants(&ProxyOptions::default().with("CS_POLICY__KEYSET_SCOPE", "startup"));
    let mut raw = Raw::connect_with(twin.proxy.port, "sealed", &[("columnseal.keyset", "tenant-1")]);
    for set in ["SET columnseal.keyset = 'tenant-2'", "SET LOCAL cipherstash.keyset_name = 'tenant-2'"] {
        assert_eq!(raw.error(set).code, "55P02");
    }
    let by_protocol = [step("SET columnseal.keyset = 'tenant-2'", &[]), sync()].concat();
    assert!(transcript(&raw.ask(&by_protocol)).contains("E ERROR 55P02"));
    assert_eq!(raw.query("RESET columnseal.keyset"), "C RESET\nZ I");
    raw.query("INSERT INTO t VALUES (1, 'x')");
    assert_eq!(raw.rows("SHOW columnseal.keyset"), ["tenant-1"]);
    assert_eq!(raw.rows("SELECT id FROM t WHERE e = 'x'"), ["1"]);
}

#[test]
fn without_a_keyset_what_needs_one_says_how_to_choose() {
    let twin = tenants(&ProxyOptions::default().with("CS_KEYS__KEYSET", ""));
    let mut raw = twin.raw_sealed();
    assert_eq!(raw.rows("SHOW columnseal.keyset"), [""]);
    for sql in ["INSERT INTO t VALUES (1, 'x')", "SELECT id FROM t WHERE e = 'x'"] {
        let error = raw.error(sql);
        assert_eq!(error.code, "42501");
        let hint = error.hint.unwrap();
        assert!(hint.contains("SET columnseal.keyset") && hint.contains("[keys] keyset"), "{hint}");
    }
    assert!(raw.rows("SELECT e FROM t").is_empty(), "reading needs no choice");
    raw.query("SET columnseal.keyset = 'tenant-1'");
    raw.query("INSERT INTO t VALUES (1, 'x')");
    assert_eq!(raw.rows("SELECT e FROM t WHERE e = 'x'"), ["x"]);
    raw.query("SET columnseal.keyset = ''");
    assert_eq!(raw.error("INSERT INTO t VALUES (2, 'x')").code, "42501");
    assert_eq!(raw.rows("SELECT e FROM t"), ["x"]);
}

#[test]
fn a_keyset_taken_away_is_refused_at_its_next_use() {
    let twin = tenants(&ProxyOptions::default());
    let mut raw = twin.raw_sealed();
    raw.query("SET columnseal.keyset = 'tenant-1'");
    raw.query("INSERT INTO t VALUES (1, 'x')");
    twin.workspace.revoke(&twin.client, Some("tenant-1"));
    let refused = |raw: &mut Raw, sql: &str| {
        eventually("it is refused", || raw.ask(&query(sql)).iter().find_map(raw::Message::error).map(|e| e.code))
    };
    assert_eq!(refused(&mut raw, "UPDATE t SET e = 'y' WHERE id = 1"), "42501");
    assert_eq!(refused(&mut raw, "SET columnseal.keyset = 'tenant-1'"), "42501");
    twin.workspace.columnseal(&["keyset", "disable", "tenant-2"]).ok();
    assert_eq!(refused(&mut raw, "SET columnseal.keyset = 'tenant-2'"), "42501");
    raw.query("RESET columnseal.keyset");
    raw.query("INSERT INTO t VALUES (2, 'x')");
    assert_eq!(raw.rows("SELECT e FROM t WHERE id = 2"), ["x"], "another keyset is untouched");
    twin.workspace.grant(&twin.client, "tenant-1");
    eventually("it is granted again", || {
        raw.query("SET columnseal.keyset = 'tenant-1'").starts_with("C SET").then_some(())
    });
}

#[test]
fn a_type_that_pins_its_keyset_keeps_it() {
    let twin = tenants(&ProxyOptions::default());
    let pinned = format!("{{\"keyset\": \"{}\"}}", id_of(&twin, "tenant-3"));
    let url = twin.direct.url.clone();
    let create = ["type", "create", "card", "--as", "text", "--terms", "eq", "--options", &pinned, "--database", &url];
    twin.workspace.columnseal(&create).ok();
    let mut raw = twin.raw_sealed();
    eventually("the type is known", || {
        raw.query("CREATE TABLE IF NOT EXISTS p (id int, c seal.card, e seal.text_eq)");
        raw.query("SET columnseal.keyset = 'tenant-1'");
        raw.query("INSERT INTO p VALUES (1, 'x', 'x')").starts_with("C INSERT").then_some(())
    });
    raw.query("SET columnseal.keyset = 'tenant-2'");
    raw.query("INSERT INTO p VALUES (2, 'x', 'x')");
    assert_eq!(raw.rows("SELECT id FROM p WHERE c = 'x' ORDER BY id"), ["1", "2"]);
    assert_eq!(raw.rows("SELECT id FROM p WHERE e = 'x'"), ["2"]);
    let kinds = "SELECT count(DISTINCT substring((c).c FROM 4 FOR 4)) || ' ' || count(DISTINCT substring((e).c FROM 4 FOR 4)) FROM p";
    assert_eq!(twin.stored(kinds), "1 2\n");
    let types = raw.rows("SHOW columnseal.types");
    assert!(types.iter().any(|t| t.starts_with("card|") && t.ends_with("|text|eq|tenant-3|verified")), "{types:?}");
}

#[test]
fn the_proxy_shows_what_it_is() {
    let twin = tenants(&ProxyOptions::default());
    let mut raw = twin.raw_sealed();
    raw.query("SET columnseal.keyset = 'tenant-2'");
    assert_eq!(raw.rows("SHOW columnseal.version"), [env!("CARGO_PKG_VERSION")]);
    let status = raw.rows("SHOW columnseal.status").remove(0);
    let id = id_of(&twin, "tenant-2");
    assert!(status.starts_with(&format!("{}|tenant-2|{id}|ok|", twin.client.id)), "{status}");
    let keysets = raw.rows("SHOW columnseal.keysets");
    assert_eq!(keysets.len(), 4);
    assert!(keysets.contains(&format!("tenant-2|{id}|encrypt,decrypt,query|t|t")), "{keysets:?}");
    // By protocol, described, in order, twice from one prepared statement.
    let batch = [
        parse("s", "SHOW columnseal.keyset", &[]),
        describe_statement("s"),
        bind("", "s", &[]),
        describe_portal(""),
        execute("", 0),
        step("SET columnseal.keyset = 'tenant-3'", &[]),
        bind("", "s", &[]),
        execute("", 0),
        step("SHOW columnseal.keysets", &[]),
        sync(),
    ];
    let said = transcript(&raw.ask(&batch.concat()));
    let head = "1 \nt []\nT columnseal.keyset:25:-1:-1:0\n2 \nT columnseal.keyset:25:-1:-1:0\nD tenant-2\nC SHOW\n\
                1 \n2 \nC SET\n2 \nD tenant-3\nC SHOW\n1 \n2 \nD ";
    assert!(said.starts_with(head) && said.ends_with("C SHOW\nZ I"), "{said}");
    raw.query("BEGIN");
    raw.error("SELECT 1/0");
    for show in ["SHOW columnseal.keyset", "SHOW columnseal.status", "SHOW columnseal.keysets", "SHOW columnseal.types"]
    {
        assert_eq!(raw.error(show).code, "25P02");
    }
    raw.query("ROLLBACK");
    // Where nothing is encrypted, the proxy is asked all the same.
    let mut plain = Raw::connect(twin.proxy.port, "plain");
    assert_eq!(plain.rows("SHOW columnseal.keyset"), ["default"]);
    assert!(plain.rows("SHOW columnseal.types").is_empty());
}

/// Steele and Vigna's splitmix64: the same scripts in every run.
struct Rng(u64);

impl Rng {
    /// From 0 up to and without `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// One random statement on the setting, as plain PostgreSQL takes it for `my.setting`.
fn random(rng: &mut Rng) -> String {
    let keyset = rng.pick(&KEYSETS);
    let save = rng.pick(&["a", "b", "\"A\""]);
    match rng.below(24) {
        0..5 => format!("SET my.setting = '{keyset}'"),
        5..8 => format!("SET LOCAL my.setting TO '{keyset}'"),
        8 => "RESET my.setting".into(),
        9 => "SET my.setting = DEFAULT".into(),
        10 => "SET LOCAL my.setting TO DEFAULT".into(),
        11 => "RESET ALL".into(),
        12 => "DISCARD ALL".into(),
        13..15 => "BEGIN".into(),
        15 => rng.pick(&["COMMIT", "END", "COMMIT AND CHAIN"]).into(),
        16 => rng.pick(&["ROLLBACK", "ABORT", "ROLLBACK AND CHAIN"]).into(),
        17..19 => format!("SAVEPOINT {save}"),
        19 => format!("RELEASE {save}"),
        20..22 => format!("ROLLBACK TO SAVEPOINT {save}"),
        22 => "SELECT 1/0".into(),
        _ => "SELECT 1".into(),
    }
}

/// A group of statements as one sends them, and how many ReadyForQuery answer it.
fn group(rng: &mut Rng) -> (Vec<u8>, usize, Vec<String>) {
    let mut statements: Vec<String> = (0..1 + rng.below(4)).map(|_| random(rng)).collect();
    let show = || "SHOW my.setting".to_owned();
    let form = rng.below(4);
    if form == 1 || form == 2 {
        // Whether DISCARD ALL may stand among others depends on what was sent before it, questions of the proxy included;
        // and of a text with several statements, those that choose are sent as in a pipeline.
        statements.iter_mut().filter(|s| *s == "DISCARD ALL").for_each(|s| *s = "RESET ALL".into());
    }
    let (bytes, answers) = match form {
        0 => (statements.iter().map(|s| query(s)).collect::<Vec<_>>().concat(), statements.len()),
        1 => (query(&statements.join("; ")), 1),
        2 => {
            statements.insert(rng.below(statements.len() + 1), show());
            let steps: Vec<Vec<u8>> = statements.iter().map(|s| step(s, &[])).collect();
            ([steps.concat(), sync()].concat(), 1)
        }
        _ => {
            let steps: Vec<Vec<u8>> = statements.iter().map(|s| [step(s, &[]), sync()].concat()).collect();
            (steps.concat(), statements.len())
        }
    };
    let mut all = statements;
    all.push(show());
    ([bytes, query(&show())].concat(), answers + 1, all)
}

/// The same bytes to both, under each one's name of the setting; both must answer alike, to the letter.
#[test]
fn the_choice_follows_transactions_as_a_setting_of_postgresql_does() {
    let twin = tenants(&ProxyOptions::default());
    for seed in 0..150 {
        let mut rng = Rng(seed);
        let begin = [("options", "-c my.setting=default")];
        let mut plain = Raw::connect_with(twin.cluster.port, "plain", &begin);
        let mut sealed = twin.raw_sealed();
        let mut script = Vec::new();
        for _ in 0..12 {
            let (bytes, answers, statements) = group(&mut rng);
            script.push(statements.join("; "));
            let renamed = rename(&bytes);
            plain.send(&bytes);
            sealed.send(&renamed);
            let read =
                |raw: &mut Raw| (0..answers).map(|_| transcript(&raw.until_ready())).collect::<Vec<_>>().join("\n");
            let (expected, said) = (read(&mut plain), read(&mut sealed).replace("columnseal.keyset", "my.setting"));
            assert_eq!(said, expected, "seed {seed}:\n{}", script.join("\n"));
        }
    }
}

/// The messages with another name of the setting: lengths are made anew.
fn rename(bytes: &[u8]) -> Vec<u8> {
    let (from, to): (&[u8], &[u8]) = (b"my.setting", b"columnseal.keyset");
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
        let mut body = rest[5..=length].to_vec();
        while let Some(at) = body.windows(from.len()).position(|w| w == from) {
            body.splice(at..at + from.len(), to.iter().copied());
        }
        out.extend(raw::message(rest[0], &body));
        rest = &rest[length + 1..];
    }
    out
}

#[test]
fn like_finds_values_of_the_chosen_keyset() {
    let twin = tenants(&ProxyOptions::default());
    twin.sealed.sql("CREATE TABLE m (id int PRIMARY KEY, e seal.text_match)");
    let mut raw = twin.raw_sealed();
    for (n, keyset) in KEYSETS.iter().enumerate() {
        raw.query(&format!("SET columnseal.keyset = '{keyset}'"));
        raw.query(&format!("INSERT INTO m VALUES ({}, 'banana'), ({}, 'cherry')", 2 * n, 2 * n + 1));
    }
    raw.query("SET columnseal.keyset = 'tenant-2'");
    for (condition, ids) in [
        ("e LIKE 'ban%'", &["2"][..]),
        ("e LIKE '%an%'", &["2"]),
        ("e LIKE '______'", &["2", "3"]),
        ("e NOT LIKE '%an%'", &["0", "1", "3", "4", "5"]),
        ("e LIKE '%'", &["0", "1", "2", "3", "4", "5"]),
        ("e LIKE ANY ('{ban%,%erry}')", &["2", "3"]),
    ] {
        assert_eq!(raw.rows(&format!("SELECT id FROM m WHERE {condition} ORDER BY id")), ids, "{condition}");
    }
    // Values of a keyset that is no longer granted are passed over, not opened.
    twin.workspace.revoke(&twin.client, Some("tenant-1"));
    eventually("it is revoked", || {
        raw.query("SET columnseal.keyset = 'tenant-1'").starts_with("E ERROR 42501").then_some(())
    });
    raw.query("SET columnseal.keyset = 'tenant-2'");
    assert_eq!(raw.rows("SELECT id FROM m WHERE e LIKE '%an%' ORDER BY id"), ["2"]);
}
