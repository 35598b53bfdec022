//! Metrics of a key server.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Gauge, Histogram, Key, KeyName, Label, Recorder, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use super::metrics::{METADATA, SECONDS, Scrape};

/// Every metric of a key server. Cloning shares the counters.
#[derive(Clone)]
pub struct KeyServerMetrics {
    recorder: Arc<PrometheusRecorder>,
    seconds: Histogram,
    connections: Gauge,
    streams: Gauge,
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
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("the bucket list is not empty")
            .build_recorder();
        describe(&recorder);
        let scrape = Scrape::of(recorder.handle());
        let gauge = |name: &'static str| recorder.register_gauge(&Key::from_static_name(name), &METADATA);
        let (connections, streams) =
            (gauge("columnseal_keyserver_connections"), gauge("columnseal_keyserver_event_streams"));
        let seconds = Key::from_static_name("columnseal_keyserver_request_seconds");
        let seconds = recorder.register_histogram(&seconds, &METADATA);
        (Self { recorder: Arc::new(recorder), seconds, connections, streams }, scrape)
    }

    /// An answer was given. `path` is a known one or `other`.
    pub fn answered(&self, path: &'static str, status: u16, took: Duration) {
        let labels = vec![Label::new("path", path), Label::new("code", status.to_string())];
        let key = Key::from_parts("columnseal_keyserver_requests_total", labels);
        self.recorder.register_counter(&key, &METADATA).increment(1);
        self.seconds.record(took.as_secs_f64());
    }

    /// So many keys' halves were given, of one kind.
    pub fn gave(&self, kind: &'static str, count: u64) {
        let key = Key::from_parts("columnseal_keyserver_keys_total", vec![Label::new("kind", kind)]);
        self.recorder.register_counter(&key, &METADATA).increment(count);
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

fn describe(recorder: &PrometheusRecorder) {
    let name = KeyName::from_const_str;
    let count = Some(Unit::Count);
    let requests = "Requests answered, by path and HTTP status.";
    recorder.describe_counter(name("columnseal_keyserver_requests_total"), count, requests.into());
    let keys = "The service's halves of keys that were given, by kind.";
    recorder.describe_counter(name("columnseal_keyserver_keys_total"), count, keys.into());
    let seconds = "Time from the head of a request to its answer.";
    recorder.describe_histogram(name("columnseal_keyserver_request_seconds"), Some(Unit::Seconds), seconds.into());
    recorder.describe_gauge(name("columnseal_keyserver_connections"), count, "Connections open now.".into());
    recorder.describe_gauge(name("columnseal_keyserver_event_streams"), count, "Event streams open now.".into());
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
