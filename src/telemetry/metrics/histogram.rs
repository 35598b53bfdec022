//! Histograms of time with fixed buckets: their memory does not grow where nobody scrapes, and a record takes three additions.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets: in microseconds, and as Prometheus' text form has them in seconds.
const BOUNDS: [(u64, &str); 16] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (30_000_000, "30"),
];

/// A histogram of seconds. Cloning shares it.
#[derive(Clone, Default)]
pub struct Histogram(Arc<Counts>);

#[derive(Default)]
struct Counts {
    /// One more than there are bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Histogram")
    }
}

impl Histogram {
    /// Counts one.
    pub fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(micros, _)| nanos <= micros * 1_000).unwrap_or(BOUNDS.len());
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Appends it in Prometheus' text form. `labels`: `a="b",c="d"`, or nothing.
    fn render(&self, name: &str, labels: &str, out: &mut String) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        for (index, bucket) in self.0.buckets.iter().enumerate() {
            total += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS.get(index).map_or("+Inf", |(_, text)| text);
            let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}");
        }
        let seconds = self.0.nanos.load(Ordering::Relaxed) as f64 / 1e9;
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(out, "{name}_sum{braced} {seconds}\n{name}_count{braced} {total}");
    }
}

/// Histograms of one name, told apart by labels.
#[derive(Clone, Debug)]
pub(in crate::telemetry) struct Family {
    pub(in crate::telemetry) name: &'static str,
    pub(in crate::telemetry) help: &'static str,
    pub(in crate::telemetry) members: Vec<(String, Histogram)>,
}

impl Family {
    /// A name with one histogram.
    pub(in crate::telemetry) fn of(name: &'static str, help: &'static str, only: &Histogram) -> Self {
        Family { name, help, members: vec![(String::new(), only.clone())] }
    }

    /// Appends all of it in Prometheus' text form.
    pub(in crate::telemetry) fn render(&self, out: &mut String) {
        let Family { name, help, members } = self;
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        members.iter().for_each(|(labels, histogram)| histogram.render(name, labels, out));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_bounds_belong_to_the_bucket_below() {
        let histogram = Histogram::default();
        for micros in [50, 100, 101, 2_500, 40_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut page = String::new();
        let family = Family { name: "x_seconds", help: "X.", members: vec![("a=\"b\"".to_owned(), histogram)] };
        family.render(&mut page);
        for line in [
            "# TYPE x_seconds histogram",
            "x_seconds_bucket{a=\"b\",le=\"0.0001\"} 2",
            "x_seconds_bucket{a=\"b\",le=\"0.00025\"} 3",
            "x_seconds_bucket{a=\"b\",le=\"0.0025\"} 4",
            "x_seconds_bucket{a=\"b\",le=\"30\"} 4",
            "x_seconds_bucket{a=\"b\",le=\"+Inf\"} 5",
            "x_seconds_sum{a=\"b\"} 40.002751",
            "x_seconds_count{a=\"b\"} 5",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in:\n{page}");
        }
    }

    #[test]
    fn bounds_rise_and_read_as_they_are() {
        for pair in BOUNDS.windows(2) {
            assert!(pair[0].0 < pair[1].0);
        }
        for (micros, text) in BOUNDS {
            assert_eq!(text.parse::<f64>().expect("a number") * 1e6, micros as f64, "{text}");
        }
    }
}
