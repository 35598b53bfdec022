//! What an operator sees of a running proxy.

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

#[test]
fn metrics_count_what_happens_until_the_last_connection_ends() {
    let mut twin =
        Twin::start_with(Options::default(), &ProxyOptions::default().with("CS_SERVER__SHUTDOWN_TIMEOUT", "20s"));
    twin.sealed.sql(SCHEMA);
    let mut client = twin.raw_sealed();
    client.query("INSERT INTO t VALUES (1, 'a', 'b', 'c'), (2, 'd', NULL, 'f')");
    for _ in 0..3 {
        assert_eq!(client.rows("SELECT e, s FROM t WHERE e = 'a'"), ["a|b"]);
    }
    client.query("SELECT p FROM n");
    assert_eq!(client.error("SELECT e || 'x' FROM t").code, "0A000");
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

    twin.proxy.signal("TERM");
    eventually("its metrics say so", || {
        (value(&twin.proxy.http("/metrics")?.1, "columnseal_draining_seconds") > 0.0).then_some(())
    });
    waiting.query("COMMIT");
    assert!(twin.proxy.wait_exit().success());
}
