use super::*;

#[test]
fn what_is_counted_is_rendered() {
    let (metrics, scrape) = Metrics::new();
    let (one, mut two) = (metrics.connections.opens(), metrics.connections.opens());
    drop(metrics.connections.opens());
    two.turn_to(Phase::Active);
    metrics.connections.refused(Refused::Limit);
    metrics.statements.of(Kind::Encrypted, Command::Select).increment(3);
    metrics.values_opened.increment(64);
    metrics.key_service.record(true, Duration::from_millis(2));
    let parts = [0, 1, 0, 2, 5, 3].map(Duration::from_millis);
    metrics.latency.record(Kind::Encrypted, Duration::from_millis(11), &parts);
    for sqlstate in ["0A000", "22P02", "XX001", "08P01", "99999"] {
        metrics.refused(sqlstate);
    }
    metrics.told(false, "23505");
    scrape.before({
        let lease = metrics.standing.lease.clone();
        move || lease.set(42.0)
    });
    let page = scrape.render();
    for line in [
        "columnseal_connections{phase=\"idle\"} 1",
        "columnseal_connections{phase=\"active\"} 1",
        "columnseal_connections_accepted_total 3",
        "columnseal_connections_refused_total{reason=\"limit\"} 1",
        "columnseal_refusals_total{kind=\"value\"} 1",
        "columnseal_refusals_total{kind=\"protocol\"} 2",
        "columnseal_errors_total{blame=\"data\",class=\"XX\"} 1",
        "columnseal_errors_total{blame=\"client\",class=\"23\"} 1",
        "columnseal_errors_total{blame=\"client\",class=\"other\"} 1",
        "columnseal_statements_total{kind=\"encrypted\",command=\"select\"} 3",
        "columnseal_values_opened_total 64",
        "columnseal_key_lease_seconds 42",
        "columnseal_key_service_requests_total{outcome=\"answered\"} 1",
        "columnseal_key_service_request_seconds_bucket{le=\"0.0025\"} 1",
        "columnseal_statement_seconds_count{kind=\"encrypted\"} 1",
        "columnseal_statement_part_seconds_sum{kind=\"encrypted\",part=\"proxy\"} 0.006",
        "columnseal_statement_part_seconds_count{kind=\"encrypted\",part=\"keys\"} 0",
        "# TYPE process_cpu_seconds_total counter",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in:\n{page}");
    }
    assert!(page.contains("# HELP columnseal_refusals_total"));
    drop((one, two));
    assert!(scrape.render().contains("columnseal_connections{phase=\"idle\"} 0"));
}

#[test]
fn two_sets_do_not_share_counters() {
    let (first, _) = Metrics::new();
    let (_, page) = Metrics::new();
    first.values_sealed.increment(7);
    assert!(!page.render().contains("columnseal_values_sealed_total 7"));
}

#[test]
fn detached_handles_take_anything() {
    let metrics = Metrics::detached();
    metrics.refused("57P03");
    metrics.key_service.record(false, Duration::from_secs(1));
}

/// The table of docs/operations.md and the page name the same metrics, and every one says what it is.
#[test]
fn the_documentation_names_every_metric_and_no_other() {
    let (metrics, scrape) = Metrics::new();
    metrics.told(true, "0A000");
    let page = scrape.render();
    let field = |line: &str, kind: &str| line.strip_prefix(kind)?.split(' ').next().map(str::to_owned);
    let mut shown: Vec<String> = page.lines().filter_map(|line| field(line, "# TYPE ")).collect();
    let mut helped: Vec<String> = page.lines().filter_map(|line| field(line, "# HELP ")).collect();
    shown.sort();
    helped.sort();
    assert_eq!(shown, helped, "every metric has its help");
    let docs = include_str!("../../../docs/operations.md");
    let table = docs.split("\n## Metrics\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let name = |line: &str| {
        let name = line.strip_prefix("| `")?.split(['`', '{']).next()?;
        (name.starts_with("columnseal_") || name.starts_with("process_")).then(|| name.to_owned())
    };
    let mut told: Vec<String> = table.lines().filter_map(name).collect();
    told.sort();
    assert_eq!(told, shown, "the table (left) and the page (right)");
}
