//! Where handles come from: a recorder that counts, or nothing at all.

use std::sync::Arc;

use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub(in crate::telemetry) const METADATA: Metadata<'static> =
    Metadata::new("columnseal", Level::INFO, Some("columnseal"));

/// A name, and a value that its metrics are told apart by.
pub(in crate::telemetry) type Pair = (&'static str, &'static str);

/// Makes handles. Cloning shares what they count.
#[derive(Clone, Default)]
pub(in crate::telemetry) struct Registry(Option<Arc<PrometheusRecorder>>);

impl Registry {
    /// One that counts, and what renders it.
    pub(in crate::telemetry) fn new() -> (Self, PrometheusHandle) {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        (Registry(Some(Arc::new(recorder))), handle)
    }

    pub(in crate::telemetry) fn counter(&self, name: &'static str, labels: &[Pair]) -> Counter {
        self.owned_counter(name, labels.iter().map(|(label, value)| Label::new(*label, *value)).collect())
    }

    /// As [`counter`](Self::counter), with labels that are known only when something happens. The caller bounds how many.
    pub(in crate::telemetry) fn owned_counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        match &self.0 {
            Some(recorder) => recorder.register_counter(&Key::from_parts(name, labels), &METADATA),
            None => Counter::noop(),
        }
    }

    pub(in crate::telemetry) fn gauge(&self, name: &'static str, labels: &[Pair]) -> Gauge {
        let labels: Vec<Label> = labels.iter().map(|(label, value)| Label::new(*label, *value)).collect();
        match &self.0 {
            Some(recorder) => recorder.register_gauge(&Key::from_parts(name, labels), &METADATA),
            None => Gauge::noop(),
        }
    }

    /// Says what counters and gauges mean.
    pub(in crate::telemetry) fn describe(&self, counters: &[Pair], gauges: &[Pair]) {
        let Some(recorder) = &self.0 else { return };
        for (name, help) in counters {
            recorder.describe_counter(KeyName::from_const_str(name), None, (*help).into());
        }
        for (name, help) in gauges {
            recorder.describe_gauge(KeyName::from_const_str(name), None, (*help).into());
        }
    }
}
