//! OpenTelemetry traces: spans of connections and statements, sent to a collector by OTLP over HTTP, as JSON.
//!
//! Nothing that serves a client ever waits for a collector: spans go into a bounded queue, and what finds it full is
//! dropped and counted.
//!
//! ```text
//! context  ids, and the W3C traceparent that a client gives
//! otlp     spans as OTLP's JSON
//! export   the task that sends them
//! ```

mod context;
mod export;
mod otlp;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use metrics::Counter;
use tokio::sync::mpsc;

use super::metrics::Spans;

pub use context::{Context, SpanId};
pub use export::{EndpointError, Exporter, check_endpoint};

/// Spans that wait for the collector, at most.
const QUEUE: usize = 4096;

/// A value of an attribute.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// Seconds and the like.
    Real(f64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

/// What kind of span it is, as OTLP numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpanKind {
    /// The proxy serves somebody.
    Server = 2,
}

/// Something that took time. It holds names and counts, never literals, parameters or rows.
#[derive(Clone, Debug)]
pub struct Span {
    /// Of which trace, and its own id.
    pub context: Context,
    /// The span that caused it.
    pub parent: Option<SpanId>,
    /// A span of another trace that it belongs to.
    pub link: Option<Context>,
    /// What happened.
    pub name: String,
    /// What kind of span it is.
    pub kind: SpanKind,
    /// Begin and end.
    pub time: (SystemTime, SystemTime),
    /// More about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did: a SQLSTATE.
    pub error: Option<String>,
}

/// Takes spans. Cloning shares the queue.
#[derive(Clone)]
pub struct Tracer(Arc<Inner>);

struct Inner {
    queue: mpsc::Sender<Span>,
    dropped: Counter,
    /// Of 2^32 traces that begin here, how many are kept.
    share: u64,
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tracer")
    }
}

impl Tracer {
    /// A tracer, and what is to be given to an [`Exporter`]. `sample`: which share of traces that begin here is kept, 0 to 1.
    pub fn new(sample: f64, spans: &Spans) -> (Tracer, mpsc::Receiver<Span>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let share = (sample.clamp(0.0, 1.0) * 4_294_967_296.0) as u64;
        (Tracer(Arc::new(Inner { queue, dropped: spans.dropped.clone(), share })), waiting)
    }

    /// The ids of a trace that begins here, kept or not.
    pub fn begin(&self) -> Context {
        let mut context = Context::random();
        context.sampled = context.chance() < self.0.share;
        context
    }

    /// The ids of a span caused by `parent`.
    pub fn within(&self, parent: Context) -> Context {
        Context { span: Context::random().span, ..parent }
    }

    /// Hands a span on, if its trace is kept. Never waits.
    pub fn send(&self, span: Span) {
        if span.context.sampled && self.0.queue.try_send(span).is_err() {
            self.0.dropped.increment(1);
        }
    }
}

/// The wall clock at `began`, and now.
pub fn since(began: Instant) -> (SystemTime, SystemTime) {
    let now = SystemTime::now();
    (now.checked_sub(began.elapsed()).unwrap_or(now), now)
}

#[cfg(test)]
mod tests;
