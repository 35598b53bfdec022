//! Metrics of a key server.

use std::time::Duration;

use metrics::{Gauge, Label};

use super::metrics::{Family, Histogram, Pair, Registry, Scrape};

const COUNTERS: [Pair; 2] = [
    ("columnseal_keyserver_requests_total", "Requests answered, by path and HTTP status."),
    ("columnseal_keyserver_keys_total", "The service's halves of keys that were given, by kind."),
];
const GAUGES: [Pair; 3] = [
    ("columnseal_keyserver_connections", "Connections open now."),
    ("columnseal_keyserver_event_streams", "Event streams open now."),
    (
        "columnseal_keyserver_certificate_expiry_timestamp_seconds",
        "When the TLS certificate ends, or one of its chain, in seconds since 1970; 0 without one.",
    ),
];

/// Every metric of a key server. Cloning shares the counters.
#[derive(Clone)]
pub struct KeyServerMetrics {
    registry: Registry,
    seconds: Histogram,
    connections: Gauge,
    streams: Gauge,
    certificate: Gauge,
}

impl std::fmt::Debug for KeyServerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyServerMetrics")
    }
}

/// Something open, as its gauge counts it.
#[must_use]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl KeyServerMetrics {
    /// Handles that count, and what renders them for Prometheus.
    pub fn new() -> (Self, Scrape) {
        let (registry, handle) = Registry::new();
        registry.describe(&COUNTERS, &GAUGES);
        let gauge = |name: &'static str| registry.gauge(name, &[]);
        let (connections, streams) =
            (gauge("columnseal_keyserver_connections"), gauge("columnseal_keyserver_event_streams"));
        let certificate = gauge("columnseal_keyserver_certificate_expiry_timestamp_seconds");
        let seconds = Histogram::default();
        let help = "Time from the head of a request to its answer.";
        let scrape = Scrape::of(handle).with(Family::of("columnseal_keyserver_request_seconds", help, &seconds));
        (Self { registry, seconds, connections, streams, certificate }, scrape)
    }

    /// An answer was given. `path` is a known one or `other`.
    pub fn answered(&self, path: &'static str, status: u16, took: Duration) {
        let labels = vec![Label::new("path", path), Label::new("code", status.to_string())];
        self.registry.owned_counter("columnseal_keyserver_requests_total", labels).increment(1);
        self.seconds.record(took);
    }

    /// So many keys' halves were given, of one kind.
    pub fn gave(&self, kind: &'static str, count: u64) {
        self.registry.counter("columnseal_keyserver_keys_total", &[("kind", kind)]).increment(count);
    }

    /// The TLS certificate ends then, in milliseconds since 1970.
    pub fn certificate_ends(&self, ms: Option<u64>) {
        self.certificate.set((ms.unwrap_or(0) / 1000) as f64);
    }

    /// Counts a connection until it is dropped.
    pub fn connected(&self) -> Open {
        opened(&self.connections)
    }

    /// Counts an event stream until it is dropped.
    pub fn streaming(&self) -> Open {
        opened(&self.streams)
    }
}

fn opened(gauge: &Gauge) -> Open {
    gauge.increment(1.0);
    Open(gauge.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let (metrics, scrape) = KeyServerMetrics::new();
        let stream = metrics.streaming();
        metrics.answered("/v1/lease", 200, Duration::from_millis(2));
        metrics.answered("/v1/lease", 403, Duration::from_millis(2));
        metrics.gave("encrypt", 64);
        let page = scrape.render();
        for line in [
            "columnseal_keyserver_event_streams 1",
            "columnseal_keyserver_requests_total{path=\"/v1/lease\",code=\"403\"} 1",
            "columnseal_keyserver_keys_total{kind=\"encrypt\"} 64",
            "columnseal_keyserver_request_seconds_count 2",
        ] {
            assert!(page.contains(line), "{line} is missing in\n{page}");
        }
        drop(stream);
        assert!(scrape.render().contains("columnseal_keyserver_event_streams 0"));
    }
}
