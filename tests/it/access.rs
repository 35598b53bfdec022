//! The audit of data access: exact counts for each user and shape, no value in it, and sinks that fail.

use std::path::{Path, PathBuf};

use columnseal::keys::access::AccessRecord;

use crate::support::raw::{Raw, bind, execute, extended, parse, sync, transcript};
use crate::support::{ProxyOptions, Twin, eventually};

const SCHEMA: &str = "CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, n seal.int4_eq, f seal.bool_eq, p text)";

fn options(sink: &str) -> ProxyOptions {
    ProxyOptions::default().with("CS_AUDIT__SINK", sink).with("CS_AUDIT__INTERVAL", "1s")
}

/// A twin whose proxy writes records to a file.
fn twin() -> (Twin, PathBuf) {
    let mut twin = Twin::start();
    let path = twin.workspace.dir().join("access.jsonl");
    twin.restart_proxy(&options("file:access.jsonl"));
    twin.sealed.sql(SCHEMA);
    (twin, path)
}

/// Records so far. A line that is no record fails the test.
fn records(path: &Path) -> Vec<AccessRecord> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// Sums over records whose statement contains `part`: statements, opened, sealed, searched.
fn sums(path: &Path, part: &str) -> (u64, u64, u64, u64) {
    let of = |record: &AccessRecord| {
        let sum = |f: fn(&columnseal::keys::access::TypeAccess) -> u64| record.types.iter().map(f).sum::<u64>();
        (record.statements, sum(|t| t.opened), sum(|t| t.sealed), sum(|t| t.searched))
    };
    let add = |a: (u64, u64, u64, u64), b: (u64, u64, u64, u64)| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3);
    records(path).iter().filter(|r| r.statement.contains(part)).map(of).fold((0, 0, 0, 0), add)
}

fn eventually_sums(path: &Path, part: &str, expected: (u64, u64, u64, u64)) {
    let mut last = (0, 0, 0, 0);
    eventually(&format!("{part} is recorded as {expected:?}"), || {
        let now = sums(path, part);
        if now != last {
            last = now;
            eprintln!("{part}: {now:?}");
        }
        (now == expected).then_some(())
    });
}

#[test]
fn every_statement_and_value_is_counted_once() {
    let (twin, path) = twin();
    let mut raw = twin.raw_sealed();
    for id in 0..10 {
        raw.query(&format!("INSERT INTO t (id, e, n) VALUES ({id}, 'value {id}', {id})"));
    }
    raw.query("INSERT INTO t (id, e, n) VALUES (10, NULL, NULL)");
    raw.rows("SELECT e, n FROM t");
    raw.ask(&extended("select e,  n from T", &[]));
    raw.rows("SELECT n FROM t WHERE e = 'value 1'");
    raw.ask(&extended("SELECT n FROM t WHERE e = $1", &[Some("value 2")]));
    raw.rows("SELECT id FROM t WHERE e IN ('a', 'b', 'value 3')");
    raw.rows("SELECT p FROM t");
    raw.rows("SELECT 1");
    raw.rows("SHOW columnseal.keyset");
    eventually_sums(&path, "insert into t", (11, 0, 20, 0));
    eventually_sums(&path, "select e, n from t", (2, 40, 0, 0));
    eventually_sums(&path, "select n from t where e = ?", (2, 2, 0, 2));
    eventually_sums(&path, "select id from t where e in (?, ...)", (1, 0, 0, 3));
    let all = records(&path);
    assert!(all.iter().all(|r| !r.statement.contains("select ?")), "what touches nothing encrypted is not recorded");
    assert!(all.iter().all(|r| !r.statement.contains("show")), "nor what shows a setting of the proxy's");
    let both = all.iter().find(|r| r.statement == "select e, n from t").unwrap();
    assert_eq!((both.user.as_str(), both.database.as_str(), both.peer.as_str()), ("app", "sealed", "127.0.0.1"));
    assert_eq!((both.client.as_str(), both.shape.len(), both.lost), (twin.client.id.as_str(), 16, 0));
    assert!(both.from_ms <= both.until_ms && both.until_ms - both.from_ms < 60_000);
    let types: Vec<_> = both.types.iter().map(|t| (t.name.as_str(), t.masked)).collect();
    assert_eq!(types, [("text_eq", 0), ("int4_eq", 0)]);
    let shapes: std::collections::BTreeSet<_> =
        all.iter().filter(|r| r.statement == "select e, n from t").map(|r| &r.shape).collect();
    assert_eq!(shapes.len(), 1, "the same shape has the same id, however it is written");
}

#[test]
fn a_portal_that_is_read_in_parts_counts_once_and_its_rows_all() {
    let (twin, path) = twin();
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t (id, e) VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    raw.query("BEGIN");
    raw.ask(&[parse("s", "SELECT e FROM t", &[]), bind("c", "s", &[]), execute("c", 2), sync()].concat());
    assert!(transcript(&raw.ask(&[execute("c", 2), sync()].concat())).contains("C SELECT"));
    eventually_sums(&path, "select e from t", (1, 3, 0, 0));
}

#[test]
fn no_value_is_in_any_record() {
    let (twin, path) = twin();
    let mut raw = twin.raw_sealed();
    let statements = [
        "INSERT INTO t (id, e) VALUES (1001, 'Zq1secret')",
        "INSERT INTO t (id, e) VALUES (1002, E'Zq2\\'secret\\n')",
        "INSERT INTO t (id, e) VALUES (1003, $$Zq3secret$$)",
        "INSERT INTO t (id, e) VALUES (1004, $tag$Zq4'$$'secret$tag$)",
        "INSERT INTO t (id, e) VALUES (1005, U&'Zq5\\0073ecret')",
        "INSERT INTO t (id, e) VALUES (1006, 'Zq6'\n'secret')",
        "INSERT INTO t (id, e, n) VALUES (1007, 'Zq7''secret', 918273)",
        "INSERT INTO t (id, n) VALUES (1008, -918273)",
        "INSERT INTO t (id, n, f) VALUES (1009, 0xE0301, TRUE)",
        "SELECT id FROM t WHERE n = -918273",
        "SELECT id FROM t WHERE f = true",
        "SELECT id /* Zq8secret */ FROM t WHERE e = 'Zq8secret' -- Zq8secret",
        "SELECT id FROM t WHERE e = 'Zq9secret'::text OR e = CAST('Zq9secret' AS varchar)",
        "SELECT id FROM t WHERE e IN ('Zq10secret', 'Zq11secret') AND id BETWEEN -918273 AND 918273.5e0",
        "SELECT COALESCE(e, 'Zq12secret') FROM t",
        "UPDATE t SET e = 'Zq13secret', p = 'Zq14secret' WHERE e = 'Zq1secret' RETURNING e",
        "SELECT id FROM t WHERE e = '? Zq15secret ...'",
        "WITH w AS (INSERT INTO t (id, e) VALUES (1010, 'Zq16secret') RETURNING *) SELECT e FROM w WHERE p = 'Zq17secret'",
    ];
    for sql in statements {
        let answer = raw.query(sql);
        assert!(!answer.contains("E ERROR"), "{sql}: {answer}");
    }
    raw.ask(&extended("SELECT id FROM t WHERE e = $1 AND p = $2", &[Some("Zq18secret"), Some("Zq19secret")]));
    for refused in [
        "SELECT id FROM t WHERE e LIKE 'Zq20secret'",
        "SELECT id FROM t WHERE \"Zq21secret\" = e",
        "SELEC 'Zq22secret'",
    ] {
        raw.error(refused);
    }
    raw.query("SELECT id, e FROM t WHERE e = 'last'");
    eventually_sums(&path, "select id, e from t where e = ?", (1, 0, 0, 1));
    let text = std::fs::read_to_string(&path).unwrap();
    for piece in ["Zq", "zq", "ecret", "918273", "e0301", "E0301", "0xE", "true", "TRUE", "1001", "- ?", "-?"] {
        assert!(!text.contains(piece), "{piece} is in {text}");
    }
    let hex = hex::encode("secret");
    assert!(!text.contains(&hex));
    let one = "insert into t (id, e) values (?, ...)";
    let runs: u64 = records(&path).iter().filter(|r| r.statement == one).map(|r| r.statements).sum();
    assert_eq!(runs, 6, "they are all one shape");
}

#[test]
fn roles_are_told_apart_and_refusals_recorded() {
    let mut twin = Twin::start();
    let path = twin.workspace.dir().join("access.jsonl");
    twin.restart_proxy(
        &options("file:access.jsonl")
            .with("CS_POLICY__ROLES__APP__DECRYPT", "false")
            .with("CS_POLICY__ROLES__APP__MASK", "last4"),
    );
    twin.sealed.sql(SCHEMA);
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t (id, e, n) VALUES (1, '4111111111111234', 7)");
    assert_eq!(raw.rows("SELECT e, n FROM t"), ["************1234|∅"]);
    eventually_sums(&path, "select e, n from t", (1, 1, 0, 0));
    let masked: Vec<_> = records(&path).into_iter().flat_map(|r| r.types).filter(|t| t.opened > 0).collect();
    assert_eq!(masked.iter().map(|t| (t.name.as_str(), t.opened, t.masked)).collect::<Vec<_>>(), [("text_eq", 1, 1)]);
    twin.restart_proxy(&options("file:access.jsonl").with("CS_POLICY__ROLES__APP__DECRYPT", "false"));
    let mut raw = twin.raw_sealed();
    assert_eq!(raw.error("SELECT e FROM t").code, "42501");
    let refused = |r: &AccessRecord| r.statement == "select e from t" && (r.refused, r.statements) == (1, 0);
    eventually("the refusal is recorded", || records(&path).iter().any(refused).then_some(()));
}

#[test]
fn the_file_is_private_and_survives_rotation() {
    use std::os::unix::fs::PermissionsExt;
    let (twin, path) = twin();
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t (id, e) VALUES (1, 'a')");
    eventually_sums(&path, "insert", (1, 0, 1, 0));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let moved = path.with_extension("1");
    std::fs::rename(&path, &moved).unwrap();
    raw.query("INSERT INTO t (id, e) VALUES (2, 'b')");
    eventually_sums(&path, "insert", (1, 0, 1, 0));
    assert_eq!(sums(&moved, "insert"), (1, 0, 1, 0), "nothing more was written to the one that was moved away");
    // Replaced by another file of the same name, and told by SIGHUP.
    let again = path.with_extension("2");
    std::fs::rename(&path, &again).unwrap();
    twin.proxy.signal("HUP");
    eventually("SIGHUP makes the file anew", || path.exists().then_some(()));
    raw.query("INSERT INTO t (id, e) VALUES (3, 'c')");
    eventually_sums(&path, "insert", (1, 0, 1, 0));
}

#[test]
fn what_was_counted_is_written_at_the_end() {
    let mut twin = Twin::start();
    let path = twin.workspace.dir().join("access.jsonl");
    twin.restart_proxy(&options("file:access.jsonl").with("CS_AUDIT__INTERVAL", "5m"));
    twin.sealed.sql(SCHEMA);
    let mut raw = twin.raw_sealed();
    raw.query("INSERT INTO t (id, e) VALUES (1, 'a')");
    assert_eq!(records(&path), []);
    twin.proxy.signal("TERM");
    assert!(twin.proxy.wait_exit().success());
    assert_eq!(sums(&path, "insert"), (1, 0, 1, 0));
}

#[test]
fn standard_output_takes_lines_too() {
    let mut twin = Twin::start();
    twin.restart_proxy(&options("stdout"));
    twin.sealed.sql(SCHEMA);
    twin.sealed.sql("INSERT INTO t (id, e) VALUES (1, 'a')");
    let line = eventually("a record is printed", || {
        twin.proxy.log().lines().find(|line| line.contains("\"insert into t (id, e)")).map(str::to_owned)
    });
    let record: AccessRecord = serde_json::from_str(&line).unwrap();
    assert_eq!((record.statements, record.types[0].sealed), (1, 1));
}

/// Whether the metrics page has this line.
fn counts(twin: &Twin, line: &str) -> bool {
    twin.proxy.http("/metrics").is_some_and(|(_, page)| page.lines().any(|l| l == line))
}

#[test]
fn a_sink_that_fails_is_loud_and_loses_nothing() {
    let mut twin = Twin::start();
    let dir = twin.workspace.dir().join("later");
    twin.restart_proxy(&options("file:later/access.jsonl"));
    twin.sealed.sql(SCHEMA);
    let mut raw = twin.raw_sealed();
    assert_eq!(raw.query("INSERT INTO t (id, e) VALUES (1, 'a')"), "C INSERT 0 1\nZ I", "statements run all the same");
    eventually("the metric says so", || counts(&twin, "columnseal_audit_failing 1").then_some(()));
    raw.query("INSERT INTO t (id, e) VALUES (2, 'b')");
    assert!(twin.proxy.log().contains("records of data access cannot be kept"));
    std::fs::create_dir(&dir).unwrap();
    let path = dir.join("access.jsonl");
    eventually_sums(&path, "insert", (2, 0, 2, 0));
    eventually("it is well again", || counts(&twin, "columnseal_audit_failing 0").then_some(()));
}

#[test]
fn where_records_are_required_nothing_runs_without_them() {
    let mut twin = Twin::start();
    twin.sealed.sql(SCHEMA);
    twin.sealed.sql("CREATE TABLE others (p text)");
    let required = |sink: &str| options(sink).with("CS_AUDIT__REQUIRED", "true");
    let dir = twin.workspace.dir().join("audit");
    std::fs::create_dir(&dir).unwrap();
    twin.restart_proxy(&required("file:audit/access.jsonl"));
    let path = dir.join("access.jsonl");
    let (mut raw, mut prepared) = (twin.raw_sealed(), twin.raw_sealed());
    raw.query("INSERT INTO t (id, e) VALUES (1, 'a')");
    prepared.ask(&[parse("s", "SELECT e FROM t", &[]), bind("", "s", &[]), execute("", 0), sync()].concat());
    eventually_sums(&path, "insert", (1, 0, 1, 0));
    // The folder is gone: nothing can be written any more.
    std::fs::rename(&dir, dir.with_extension("gone")).unwrap();
    let code = |raw: &mut Raw| {
        let answers = raw.ask(&crate::support::raw::query("SELECT id FROM t WHERE e = 'a'"));
        answers.iter().find_map(crate::support::raw::Message::error).map(|e| e.code)
    };
    assert_eq!(eventually("it is refused", || code(&mut raw)), "57P03");
    let run = [bind("", "s", &[]), execute("", 0), sync()].concat();
    assert_eq!(transcript(&prepared.ask(&run)), "E ERROR 57P03\nZ I", "also what was prepared before");
    assert_eq!(raw.error("INSERT INTO t (id, e) VALUES (2, 'b')").code, "57P03");
    assert_eq!(raw.rows("SELECT p FROM others"), Vec::<String>::new(), "what is not encrypted goes on");
    assert_eq!(raw.rows("SHOW columnseal.keyset"), ["default"], "so does what reads no data");
    std::fs::rename(dir.with_extension("gone"), &dir).unwrap();
    eventually("it runs again", || code(&mut raw).is_none().then_some(()));
    // A sink that fails from the start.
    let database = twin.cluster.at("sealed", twin.relay.port);
    let mut proxy =
        crate::support::Proxy::launch(&twin.workspace, &twin.client, &database, &required("file:nowhere/x"));
    assert!(!proxy.wait_exit().success());
    assert!(proxy.log().contains("records of data access cannot be kept"), "{}", proxy.log());
}
