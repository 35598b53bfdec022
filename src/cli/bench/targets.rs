//! What is aimed at, as ratios within one run, and whether this run got there.

use super::figures::Report;
use super::loads::LOOKUP_ALONE;
use super::{bulk, columns, connections, wire};

const PROXY: &str = "columnseal";
const PLAIN: &str = "columnseal, plain";
const SEALED: &str = "columnseal, encrypted";

/// One aim.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) target: String,
    pub(super) measured: f64,
    pub(super) met: bool,
}

/// Of everything that was measured.
pub(super) fn rows(report: &Report) -> Vec<Row> {
    let mut rows = Vec::new();
    wire_rows(report, &mut rows);
    column_rows(report, &mut rows);
    bulk_rows(report, &mut rows);
    for single in
        report.singles.iter().filter(|s| s.section == connections::SECTION && s.what.starts_with("memory with"))
    {
        let count: f64 = single.what.split(' ').nth(2).and_then(|n| n.parse().ok()).unwrap_or(0.0);
        rows.push(at_most(format!("{} (MiB)", single.what), single.value, 20.0 + count * 0.028));
    }
    if let Some(figure) = report.of(connections::SECTION, "start to first encrypted answer", 1).first() {
        rows.push(at_most("start to first encrypted answer (ms)".into(), figure.times()[0] / 1e3, 300.0));
    }
    rows
}

fn wire_rows(report: &Report, rows: &mut Vec<Row>) {
    let loads = report.loads(wire::SECTION);
    let ratio = |(load, size): &(String, u32)| report.ratio((wire::SECTION, load, *size), PROXY, "PgBouncer, session");
    let mut ratios: Vec<f64> = loads.iter().filter_map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        rows.push(at_least("plain traffic / PgBouncer session, median over loads".into(), *median, 1.05));
        rows.push(at_least("plain traffic / PgBouncer session, least".into(), ratios[0], 0.9));
    }
    let cpu = |(load, size): &(String, u32)| {
        let of = |way: &str| report.at((wire::SECTION, load, *size), way)?.cpu();
        Some(of(PROXY)? / of("splice")?)
    };
    let mut ratios: Vec<f64> = loads.iter().filter_map(cpu).filter(|r| r.is_finite()).collect();
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        rows.push(at_most("plain traffic, CPU / splice, median over loads".into(), *median, 1.10));
    }
}

fn column_rows(report: &Report, rows: &mut Vec<Row>) {
    let loads = report.loads(columns::SECTION);
    let ratio = |load: &str, size, over| report.ratio((columns::SECTION, load, size), SEALED, over);
    for (load, size) in &loads {
        let (over, least) = match load.as_str() {
            "lookup" => (PLAIN, 0.9),
            // Times, as rates.
            "LIKE" | "group by" => (PLAIN, 1.0 / 1.5),
            LOOKUP_ALONE => {
                // With more clients than processors it would be the time spent waiting for one.
                let p50 = |way: &str| Some(report.at((columns::SECTION, load, *size), way)?.times()[0]);
                if let Some((sealed, direct)) = p50(SEALED).zip(p50("direct, plain")) {
                    let what = format!("{LOOKUP_ALONE}, {size} rows: p50 above direct plain (µs)");
                    rows.push(at_most(what, sealed - direct, 60.0));
                }
                continue;
            }
            _ => continue,
        };
        if let Some(measured) = ratio(load, *size, over) {
            rows.push(at_least(format!("{load}, {size} rows: encrypted / plain through the proxy"), measured, least));
        }
    }
    let sizes: Vec<u32> = loads.iter().filter(|(load, _)| load == "lookup").map(|(_, size)| *size).collect();
    let p50 = |size: u32| Some(report.at((columns::SECTION, "lookup", size), SEALED)?.times()[0]);
    if let (Some(least), Some(most)) = (sizes.iter().min(), sizes.iter().max())
        && least < most
        && let Some((small, large)) = p50(*least).zip(p50(*most))
    {
        rows.push(at_most(format!("lookup, p50 at {most} rows / at {least} rows"), large / small, 1.2));
    }
}

fn bulk_rows(report: &Report, rows: &mut Vec<Row>) {
    let rate = |load: &str, encrypted| Some(report.at((bulk::SECTION, load, encrypted), PROXY)?.rate());
    for load in ["SELECT", "COPY FROM"] {
        if let Some((sealed, plain)) = rate(load, 5).zip(rate(load, 0)) {
            rows.push(at_least(
                format!("{load}, 5 encrypted columns of 20 / none, through the proxy"),
                sealed / plain,
                0.5,
            ));
        }
    }
    for single in report.singles.iter().filter(|s| s.what.starts_with("values opened")) {
        rows.push(at_least("values opened by one processor, a second".into(), single.value, 1.5e6));
    }
}

fn at_least(what: String, measured: f64, target: f64) -> Row {
    Row { what, target: format!("≥ {target:.2}"), measured, met: measured >= target }
}

fn at_most(what: String, measured: f64, target: f64) -> Row {
    Row { what, target: format!("≤ {target:.2}"), measured, met: measured <= target }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::figures::tests::sample;

    #[test]
    fn targets_are_met_or_missed() {
        let rows = rows(&sample());
        let of =
            |what: &str| rows.iter().find(|r| r.what.starts_with(what)).map(|r| (r.met, (r.measured * 100.0).round()));
        assert_eq!(of("plain traffic / PgBouncer session, median"), Some((true, 108.0)));
        assert_eq!(of("plain traffic, CPU / splice"), Some((true, 100.0)));
        assert_eq!(of("lookup, 10000 rows: encrypted"), Some((true, 95.0)));
        assert_eq!(of("lookup, 1 client, 10000 rows: p50 above"), Some((false, 126_316.0)));
        assert_eq!(of("lookup, p50 at 100000 rows"), Some((true, 100.0)));
        assert_eq!(of("COPY FROM"), None);
    }
}
