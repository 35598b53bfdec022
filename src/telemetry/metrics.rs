//! Metrics as a struct of handles: made once at start, passed down, never looked up by name.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub(super) const METADATA: Metadata<'static> = Metadata::new("columnseal", Level::INFO, Some("columnseal"));
/// Bucket bounds of durations, in seconds.
pub(super) const SECONDS: [f64; 11] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Every metric of the process. Cloning shares the counters.
#[derive(Clone)]
pub struct Metrics {
    /// Client connections open now.
    pub connections: Gauge,
    /// Client connections accepted.
    pub connections_accepted: Counter,
    /// Client connections refused before a session began (limit, TLS required, bad startup).
    pub connections_refused: Counter,
    /// Statements by what analysis said.
    pub statements: Statements,
    /// Values sealed. Counted once a batch.
    pub values_sealed: Counter,
    /// Values opened. Counted once a batch.
    pub values_opened: Counter,
    /// Errors raised by the proxy itself, by kind.
    pub refusals: Refusals,
    /// Requests to the key service.
    pub key_service: KeyService,
    /// Catalog snapshots taken.
    pub catalog_loads: Counter,
    /// Catalog snapshots that failed.
    pub catalog_failures: Counter,
    /// Pins that do not hold now.
    pub alarms: Gauge,
    /// Records of data access.
    pub audit: Audit,
}

/// Records of data access, and whether they can be kept.
#[derive(Clone)]
pub struct Audit {
    /// Written.
    pub records: Counter,
    /// Attempts to write that failed.
    pub failures: Counter,
    /// 1 while they cannot be written.
    pub failing: Gauge,
}

/// `columnseal_statements_total{kind}`.
#[derive(Clone)]
pub struct Statements {
    /// Forwarded as they are.
    pub untouched: Counter,
    /// Rewritten because they touch encrypted columns.
    pub encrypted: Counter,
    /// Refused before anything was sent.
    pub refused: Counter,
}

/// `columnseal_refusals_total{kind}`.
#[derive(Clone)]
pub struct Refusals {
    /// A construct that is not supported on encrypted columns.
    pub unsupported: Counter,
    /// A value that does not read as its type.
    pub value: Counter,
    /// A grant missing or revoked, or the key service unavailable.
    pub keys: Counter,
    /// A stored value that does not open.
    pub corrupt: Counter,
    /// The protocol was broken or a limit exceeded.
    pub protocol: Counter,
    /// The catalog, a type definition or a pin does not hold.
    pub catalog: Counter,
}

/// `columnseal_key_service_requests_total{outcome}` and how long they took.
#[derive(Clone)]
pub struct KeyService {
    /// Answered.
    pub answered: Counter,
    /// Refused or failed.
    pub failed: Counter,
    /// Seconds from sending to answer.
    pub seconds: Histogram,
}

impl KeyService {
    /// Counts one request.
    pub fn record(&self, ok: bool, took: Duration) {
        if ok { &self.answered } else { &self.failed }.increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Handles that count, and what renders them for Prometheus.
    pub fn new() -> (Metrics, Scrape) {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("the bucket list is not empty")
            .build_recorder();
        describe(&recorder);
        let handle = recorder.handle();
        (Metrics::register(&recorder), Scrape(handle))
    }

    /// Handles that count nothing, for tests and commands.
    pub fn detached() -> Metrics {
        let counter = Counter::noop;
        Metrics {
            connections: Gauge::noop(),
            connections_accepted: counter(),
            connections_refused: counter(),
            statements: Statements { untouched: counter(), encrypted: counter(), refused: counter() },
            values_sealed: counter(),
            values_opened: counter(),
            refusals: Refusals {
                unsupported: counter(),
                value: counter(),
                keys: counter(),
                corrupt: counter(),
                protocol: counter(),
                catalog: counter(),
            },
            key_service: KeyService { answered: counter(), failed: counter(), seconds: Histogram::noop() },
            catalog_loads: counter(),
            catalog_failures: counter(),
            alarms: Gauge::noop(),
            audit: Audit { records: counter(), failures: counter(), failing: Gauge::noop() },
        }
    }

    /// A batch of `count` values was sealed.
    pub fn sealed(&self, count: u64) {
        self.values_sealed.increment(count);
    }

    /// A batch of `count` values was opened.
    pub fn opened(&self, count: u64) {
        self.values_opened.increment(count);
    }

    /// The proxy raised an error of its own with this SQLSTATE.
    pub fn refused(&self, sqlstate: &str) {
        let refusals = &self.refusals;
        match sqlstate {
            "0A000" => &refusals.unsupported,
            "42501" | "57P03" | "38000" | "28000" => &refusals.keys,
            "XX001" => &refusals.corrupt,
            "42P17" => &refusals.catalog,
            state if state.starts_with("22") => &refusals.value,
            _ => &refusals.protocol,
        }
        .increment(1);
    }

    /// Counts a client connection until it is dropped.
    pub fn connected(&self) -> Connected {
        self.connections_accepted.increment(1);
        self.connections.increment(1.0);
        Connected(self.connections.clone())
    }

    fn register(recorder: &PrometheusRecorder) -> Metrics {
        let counter = |name: &'static str| recorder.register_counter(&Key::from_static_name(name), &METADATA);
        let gauge = |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        let labelled = |name: &'static str, label: &'static str, value: &'static str| {
            recorder.register_counter(&Key::from_parts(name, vec![Label::new(label, value)]), &METADATA)
        };
        let statement = |kind| labelled("columnseal_statements_total", "kind", kind);
        let refusal = |kind| labelled("columnseal_refusals_total", "kind", kind);
        let request = |outcome| labelled("columnseal_key_service_requests_total", "outcome", outcome);
        Metrics {
            connections: gauge("columnseal_connections"),
            connections_accepted: counter("columnseal_connections_accepted_total"),
            connections_refused: counter("columnseal_connections_refused_total"),
            statements: Statements {
                untouched: statement("untouched"),
                encrypted: statement("encrypted"),
                refused: statement("refused"),
            },
            values_sealed: counter("columnseal_values_sealed_total"),
            values_opened: counter("columnseal_values_opened_total"),
            refusals: Refusals {
                unsupported: refusal("unsupported"),
                value: refusal("value"),
                keys: refusal("keys"),
                corrupt: refusal("corrupt"),
                protocol: refusal("protocol"),
                catalog: refusal("catalog"),
            },
            key_service: KeyService {
                answered: request("answered"),
                failed: request("failed"),
                seconds: recorder
                    .register_histogram(&Key::from_static_name("columnseal_key_service_request_seconds"), &METADATA),
            },
            catalog_loads: counter("columnseal_catalog_loads_total"),
            catalog_failures: counter("columnseal_catalog_failures_total"),
            alarms: gauge("columnseal_pin_alarms"),
            audit: Audit {
                records: counter("columnseal_audit_records_total"),
                failures: counter("columnseal_audit_failures_total"),
                failing: gauge("columnseal_audit_failing"),
            },
        }
    }
}

/// One open connection, as the gauge counts it.
#[must_use]
pub struct Connected(Gauge);

impl std::fmt::Debug for Connected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connected")
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn describe(recorder: &PrometheusRecorder) {
    const COUNTERS: [(&str, &str); 11] = [
        ("columnseal_connections_accepted_total", "Client connections accepted."),
        ("columnseal_connections_refused_total", "Client connections refused before a session began."),
        ("columnseal_statements_total", "Statements, by what analysis said of them."),
        ("columnseal_values_sealed_total", "Values sealed."),
        ("columnseal_values_opened_total", "Values opened."),
        ("columnseal_refusals_total", "Errors raised by the proxy itself, by kind."),
        ("columnseal_key_service_requests_total", "Requests to the key service, by outcome."),
        ("columnseal_catalog_loads_total", "Catalog snapshots taken."),
        ("columnseal_catalog_failures_total", "Catalog snapshots that failed."),
        ("columnseal_audit_records_total", "Records of data access written."),
        ("columnseal_audit_failures_total", "Attempts to write records of data access that failed."),
    ];
    for (name, text) in COUNTERS {
        recorder.describe_counter(KeyName::from_const_str(name), Some(Unit::Count), text.into());
    }
    recorder.describe_gauge(
        KeyName::from_const_str("columnseal_connections"),
        Some(Unit::Count),
        "Client connections open now.".into(),
    );
    recorder.describe_gauge(
        KeyName::from_const_str("columnseal_pin_alarms"),
        Some(Unit::Count),
        "Pinned columns that are not as pinned; statements on their relations are refused.".into(),
    );
    recorder.describe_gauge(
        KeyName::from_const_str("columnseal_audit_failing"),
        Some(Unit::Count),
        "1 while records of data access cannot be written.".into(),
    );
    recorder.describe_histogram(
        KeyName::from_const_str("columnseal_key_service_request_seconds"),
        Some(Unit::Seconds),
        "Time from request to answer of the key service.".into(),
    );
}

/// Renders every metric as Prometheus' text format.
#[derive(Clone)]
pub struct Scrape(PrometheusHandle);

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrape")
    }
}

impl Scrape {
    pub(super) fn of(handle: PrometheusHandle) -> Self {
        Self(handle)
    }

    /// The whole page.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let (metrics, scrape) = Metrics::new();
        let (one, two) = (metrics.connected(), metrics.connected());
        drop(metrics.connected());
        metrics.statements.encrypted.increment(3);
        metrics.values_opened.increment(64);
        metrics.key_service.record(true, Duration::from_millis(2));
        for sqlstate in ["0A000", "22P02", "XX001", "08P01", "99999"] {
            metrics.refused(sqlstate);
        }
        let page = scrape.render();
        drop((one, two));
        assert!(scrape.render().contains("columnseal_connections 0"));
        for line in [
            "columnseal_connections 2",
            "columnseal_connections_accepted_total 3",
            "columnseal_refusals_total{kind=\"value\"} 1",
            "columnseal_refusals_total{kind=\"protocol\"} 2",
            "columnseal_statements_total{kind=\"encrypted\"} 3",
            "columnseal_values_opened_total 64",
            "columnseal_key_service_requests_total{outcome=\"answered\"} 1",
            "columnseal_key_service_request_seconds_bucket{le=\"0.0025\"} 1",
            "# HELP columnseal_refusals_total",
        ] {
            assert!(page.contains(line), "{line} is not in:\n{page}");
        }
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
        metrics.refusals.keys.increment(1);
        metrics.key_service.record(false, Duration::from_secs(1));
    }
}
