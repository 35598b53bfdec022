//! What an operator sees of a running proxy: metrics, the log of slow statements, traces, readiness, reloads.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::raw::{self, Raw, tcp};
use crate::support::{Options, ProxyOptions, Twin, eventually};

const SCHEMA: &str =
    "CREATE TABLE t (id int PRIMARY KEY, e seal.text_eq, s seal.text, p text); CREATE TABLE n (id int, p text)";

fn page(twin: &Twin) -> String {
    twin.proxy.http("/metrics").expect("metrics").1
}

/// The value of a metric with these labels.
#[track_caller]
fn value(page: &str, metric: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{metric} is not in:\n{page}")).parse().unwrap()
}

/// Names of metrics that a page has, with those of the parts of histograms.
fn names(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

/// Names of metrics in an expression or file.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|w| w.starts_with("columnseal_") || w.starts_with("process_")).map(str::to_owned).collect()
}

fn config(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file)).unwrap()
}

/// Every `expr` of a dashboard.
fn expressions(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| match value {
            Value::String(text) if key == "expr" => found.push(text.clone()),
            other => expressions(other, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn metrics_count_what_happens_and_a_drain_is_told_on_every_endpoint() {
    let mut twin =
        Twin::start_with(Options::default(), &ProxyOptions::default().with("CS_SERVER__SHUTDOWN_TIMEOUT", "20s"));
    twin.sealed.sql(SCHEMA);
    let mut client = twin.raw_sealed();
    client.query("INSERT INTO t VALUES (1, 'a', 'b', 'c'), (2, 'd', NULL, 'f')");
    for _ in 0..3 {
        assert_eq!(client.rows("SELECT e, s FROM t WHERE e = 'a'"), ["a|b"]);
    }
    client.query("SELECT p FROM n");
    assert_eq!(client.error("SELECT initcap(e) FROM t").code, "0A000");
    assert_eq!(client.error("SELECT 1 / 0").code, "22012");
    client.ask(&raw::extended("UPDATE t SET e = $1 WHERE id = 2", &[Some("new")]));
    Raw::over(tcp(twin.proxy.port)).send(&raw::cancel_request(1, &[0; 4]));
    let mut stranger = Raw::over(tcp(twin.proxy.port));
    stranger.send(&raw::startup(0x0003_0000, &[("user", "nobody"), ("database", "sealed")]));
    assert!(stranger.until_ready().iter().any(|m| m.tag == b'E'), "there is no such role");
    let mut waiting = twin.raw_sealed();
    waiting.query("BEGIN; SELECT 1");

    let page = eventually("all is counted", || {
        let page = page(&twin);
        let cancelled = value(&page, "columnseal_cancel_requests_total{outcome=\"unknown\"}") > 0.0;
        (cancelled && value(&page, "columnseal_connections_refused_total{reason=\"login\"}") > 0.0).then_some(page)
    });
    for (metric, expected) in [
        ("columnseal_statements_total{kind=\"encrypted\",command=\"select\"}", 3.0),
        ("columnseal_statements_total{kind=\"encrypted\",command=\"insert\"}", 1.0),
        ("columnseal_statements_total{kind=\"encrypted\",command=\"update\"}", 1.0),
        ("columnseal_statements_total{kind=\"plain\",command=\"transaction\"}", 1.0),
        ("columnseal_statements_total{kind=\"refused\",command=\"select\"}", 1.0),
        ("columnseal_refusals_total{kind=\"unsupported\"}", 1.0),
        ("columnseal_errors_total{blame=\"client\",class=\"0A\"}", 1.0),
        ("columnseal_errors_total{blame=\"client\",class=\"22\"}", 1.0),
        ("columnseal_values_sealed_total", 4.0),
        ("columnseal_values_opened_total", 6.0),
        ("columnseal_connections{phase=\"idle\"}", 1.0),
        ("columnseal_connections{phase=\"transaction\"}", 1.0),
        ("columnseal_connections{phase=\"active\"}", 0.0),
        ("columnseal_database_up", 1.0),
        ("columnseal_key_service_up", 1.0),
        ("columnseal_certificate_expiry_timestamp_seconds", 0.0),
        ("columnseal_draining_seconds", 0.0),
        ("columnseal_drain_limit_seconds", 20.0),
    ] {
        assert_eq!(value(&page, metric), expected, "{metric} in:\n{page}");
    }
    for metric in [
        "columnseal_plan_cache_hits_total",
        "columnseal_plan_cache_misses_total",
        "columnseal_key_cache_hits_total",
        "columnseal_key_lease_seconds",
        "columnseal_catalog_load_seconds_count",
        "columnseal_bytes_received_total{side=\"server\"}",
        "columnseal_bytes_sent_total{side=\"client\"}",
        "columnseal_statement_part_seconds_sum{kind=\"encrypted\",part=\"server\"}",
        "columnseal_statement_part_seconds_sum{kind=\"encrypted\",part=\"proxy\"}",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(value(&page, metric) > 0.0, "{metric} in:\n{page}");
    }
    let part = |part: &str| {
        value(&page, &format!("columnseal_statement_part_seconds_sum{{kind=\"encrypted\",part=\"{part}\"}}"))
    };
    let parts: f64 = ["client", "proxy", "keys", "server"].map(part).iter().sum();
    let whole = value(&page, "columnseal_statement_seconds_sum{kind=\"encrypted\"}");
    assert!((parts - whole).abs() < 0.001, "parts {parts} of {whole}");

    let known = names(&page);
    let dashboard: Value = serde_json::from_str(&config("grafana/columnseal.json")).unwrap();
    let mut asked = Vec::new();
    expressions(&dashboard, &mut asked);
    let alerts = config("prometheus/alerts.yml");
    assert!(asked.len() > 15 && alerts.matches("expr:").count() > 8);
    for text in asked.iter().chain([&alerts]) {
        let of_proxies = |name: &String| !name.starts_with("columnseal_keyserver_");
        let missing: Vec<_> = named(text).into_iter().filter(of_proxies).filter(|name| !known.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?} of {text} is no metric");
    }

    twin.proxy.signal("TERM");
    let (status, why) = eventually("it says that it drains", || {
        let (status, body) = twin.proxy.http("/readyz")?;
        body.contains("shutting down").then_some((status, body))
    });
    let counted = ["1", "2"].iter().any(|open| why.contains(&format!("{open} connections are open")));
    assert!(status == 503 && counted, "{status} {why}");
    let (status, alive) = twin.proxy.http("/healthz").expect("it lives");
    assert!(status == 200 && alive.starts_with("ok\n") && alive.contains("shutting down"), "{alive}");
    eventually("its metrics say so", || {
        (value(&twin.proxy.http("/metrics")?.1, "columnseal_draining_seconds") > 0.0).then_some(())
    });
    waiting.query("COMMIT");
    assert!(twin.proxy.wait_exit().success());
    let log = twin.proxy.log();
    assert!(log.contains("draining: no new connections") && log.contains("\"drained\""), "{log}");
}

/// The fields of the last line of the log with this message.
fn logged(twin: &Twin, message: &str, holds: &str) -> Value {
    eventually(message, || {
        let log = twin.proxy.log();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.rfind(|l| l["message"] == message && l.to_string().contains(holds))
    })
}

fn attribute<'s>(span: &'s Value, name: &str) -> &'s Value {
    let found = span["attributes"].as_array().unwrap().iter().find(|a| a["key"] == name);
    &found.unwrap_or_else(|| panic!("{name} is not in {span}"))["value"]
}

#[test]
fn slow_statements_and_spans_tell_parts_and_shapes_and_reloads_what_changed() {
    let collector = Collector::start();
    let file = "columnseal.toml";
    let options = ProxyOptions::default().with("CS_LOG__FORMAT", "json").with("CS_TRACES__ENDPOINT", &collector.url);
    let mut twin = Twin::start_with(Options::default(), &options);
    twin.sealed.sql(SCHEMA);
    let mut client = Raw::connect_with(twin.proxy.port, "sealed", &[("application_name", "shop-web")]);
    client.query("INSERT INTO t VALUES (1, 'marked-one', 'marked-two', 'marked-three')");
    client.query("INSERT INTO n VALUES (1, 'marked-three')");
    assert!(!twin.proxy.log().contains("slow statement"), "none is slow by default");

    let path = twin.workspace.dir().join(file);
    let before = fs::read_to_string(&path).unwrap().replace("[server]\n", "[server]\nmax_connections = 77\n");
    fs::write(&path, format!("{before}\n[log]\nslow_statement = \"20ms\"\n")).unwrap();
    twin.proxy.signal("HUP");
    let reload = logged(&twin, "settings read again; those named by `restart` are in force after a restart only", "");
    assert_eq!(
        (&reload["applied"], &reload["restart"]),
        (&"log.slow_statement".into(), &"server.max_connections".into())
    );
    // What is watched changes with the exchange after the reload.
    client.query("SELECT 1");
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let slow = format!("SELECT e, pg_sleep(0.05) FROM t WHERE e = 'marked-one' /*traceparent='{parent}'*/");
    assert_eq!(client.rows(&slow), ["marked-one|"]);
    let line = logged(&twin, "slow statement", "pg_sleep (?) from t");
    assert_eq!(line["statement"], "select e, pg_sleep (?) from t where e = ?");
    assert_eq!(
        (&line["user"], &line["database"], &line["application"]),
        (&"app".into(), &"sealed".into(), &"shop-web".into())
    );
    assert_eq!((&line["rows"], &line["statements"], &line["kind"]), (&1.into(), &1.into(), &"encrypted".into()));
    let ms = |name: &str| line[name].as_f64().unwrap_or_else(|| panic!("{name} is not in {line}"));
    assert!(ms("server_ms") >= 50.0 && ms("took_ms") >= ms("server_ms"), "{line}");
    let parts = ["client_ms", "analysis_ms", "keys_ms", "sealing_ms", "server_ms", "opening_ms"].map(ms);
    assert!((parts.iter().sum::<f64>() - ms("took_ms")).abs() < 0.1, "{line}");

    client.ask(&raw::extended("SELECT p, pg_sleep(0.05) FROM n WHERE p = $1", &[Some("marked-three")]));
    let line = logged(&twin, "slow statement", "select p, pg_sleep (?) from n where p = ?");
    assert_eq!(line["kind"], "plain");
    client.error("SELECT pg_sleep(0.05), 1 / (id - 1) FROM n WHERE p = 'marked-three'");
    assert_eq!(logged(&twin, "slow statement", "22012")["sqlstate"], "22012");

    drop(client);
    let caused = eventually("the spans arrive", || {
        let spans = collector.spans();
        spans.iter().find(|span| span["name"] == "connection" && span.to_string().contains("shop-web"))?;
        spans.into_iter().find(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736")
    });
    assert_eq!((&caused["parentSpanId"], &caused["name"]), (&"00f067aa0ba902b7".into(), &"select".into()));
    assert_eq!(attribute(&caused, "db.query.text")["stringValue"], "select e, pg_sleep (?) from t where e = ?");
    assert_eq!(attribute(&caused, "db.response.returned_rows")["intValue"], "1");
    assert!(attribute(&caused, "columnseal.server_seconds")["doubleValue"].as_f64().unwrap() >= 0.05, "{caused}");
    let nanos = |name: &str| caused[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("endTimeUnixNano") - nanos("startTimeUnixNano") >= 50_000_000, "{caused}");
    let spans = collector.spans();
    let link = spans.iter().find(|span| span["name"] == "connection" && span["spanId"] == caused["links"][0]["spanId"]);
    assert_eq!(attribute(link.expect("its connection"), "user.name")["stringValue"], "app");
    assert!(spans.iter().any(|span| span["status"]["message"] == "22012"), "an error is told");

    fs::write(&path, "[log]\nslow_statement = \"soon\"\n").unwrap();
    twin.proxy.signal("HUP");
    let faulty = "settings have faults; the old ones stay in force: correct them and send SIGHUP again";
    assert!(logged(&twin, faulty, "")["faults"].to_string().contains("log.slow_statement"));
    eventually("both are counted", || {
        let page = page(&twin);
        let count = |outcome| value(&page, &format!("columnseal_reloads_total{{outcome=\"{outcome}\"}}"));
        (count("applied") == 1.0 && count("refused") == 1.0).then_some(())
    });
    assert!(value(&page(&twin), "columnseal_slow_statements_total") >= 3.0);
    twin.proxy.signal("TERM");
    twin.proxy.wait_exit();
    for (place, text) in [("log", twin.proxy.log()), ("spans", collector.text())] {
        assert!(!text.contains("marked-"), "a value in the {place}:\n{text}");
    }
}
