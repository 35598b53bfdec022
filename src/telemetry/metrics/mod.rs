//! Metrics as a struct of handles: made once at start, passed down, never looked up by name.
//!
//! ```text
//! kinds       what they are told apart by
//! registry    where handles come from
//! histogram   times, in fixed buckets
//! connections connections by what they do now
//! process     what every process tells
//! ```

mod connections;
mod histogram;
mod kinds;
mod process;
mod registry;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Label};
use metrics_exporter_prometheus::PrometheusHandle;

pub use connections::{Connected, Connections};
pub use histogram::Histogram;
pub use kinds::{Command, Kind, Phase, Refused, Spent};

pub(super) use histogram::Family;
pub(super) use registry::{Pair, Registry};

use process::Process;

/// Counters and what they mean.
const COUNTERS: [Pair; 22] = [
    ("columnseal_connections_accepted_total", "Client connections that logged in."),
    ("columnseal_connections_refused_total", "Client connections that were not let in, by reason."),
    ("columnseal_statements_total", "Statements that completed or were refused by the proxy, by kind and command."),
    ("columnseal_values_sealed_total", "Values encrypted for storing."),
    ("columnseal_values_opened_total", "Values decrypted."),
    ("columnseal_bytes_received_total", "Bytes read after the login, by side."),
    ("columnseal_bytes_sent_total", "Bytes written after the login, by side."),
    ("columnseal_refusals_total", "Errors raised by the proxy itself in sessions, by kind."),
    ("columnseal_errors_total", "Errors that clients were told, by who has to act and class of SQLSTATE."),
    ("columnseal_slow_statements_total", "Statements slower than log.slow_statement."),
    ("columnseal_cancel_requests_total", "Cancel requests of clients, by outcome."),
    ("columnseal_plan_cache_hits_total", "Statements whose analysis was at hand."),
    ("columnseal_plan_cache_misses_total", "Statements that had to be analysed."),
    ("columnseal_key_cache_hits_total", "Data keys to decrypt with that were at hand, once a batch of rows."),
    ("columnseal_key_cache_misses_total", "Data keys to decrypt with that had to be fetched."),
    ("columnseal_key_service_requests_total", "Requests to the key service, by outcome."),
    ("columnseal_catalog_loads_total", "Reads of the catalog."),
    ("columnseal_catalog_failures_total", "Reads of the catalog that failed."),
    ("columnseal_audit_records_total", "Records of data access written."),
    ("columnseal_audit_failures_total", "Attempts to write records of data access that failed."),
    ("columnseal_trace_spans_total", "Spans for the trace collector, by outcome."),
    ("columnseal_reloads_total", "Times that settings were read again, by outcome."),
];

/// Gauges and what they mean.
const GAUGES: [Pair; 10] = [
    ("columnseal_build_info", "1; the version is a label."),
    ("columnseal_connections", "Client connections open now, by what they do."),
    ("columnseal_pin_alarms", "Pinned columns that are not as pinned; statements on their relations are refused."),
    ("columnseal_audit_failing", "1 while records of data access cannot be written."),
    ("columnseal_database_up", "1 while a host of the database takes connections."),
    ("columnseal_key_service_up", "1 while the key service answers and does not refuse this client."),
    (
        "columnseal_key_lease_seconds",
        "Time for which keys at hand may still be used without hearing from the key service.",
    ),
    (
        "columnseal_certificate_expiry_timestamp_seconds",
        "When the TLS certificate that clients are shown ends, or one of its chain, in seconds since 1970; 0 without one.",
    ),
    ("columnseal_draining_seconds", "How long the proxy has been shutting down; 0 while it is not."),
    ("columnseal_drain_limit_seconds", "server.shutdown_timeout: sessions are cut off after this."),
];

const STATEMENT: (&str, &str) =
    ("columnseal_statement_seconds", "From a client's first message to the ReadyForQuery that answers it, by kind.");
const PARTS: (&str, &str) = (
    "columnseal_statement_part_seconds",
    "What that time was spent on: client, proxy, keys, server; where it was any.",
);
const KEY_SERVICE: (&str, &str) =
    ("columnseal_key_service_request_seconds", "Time from request to answer of the key service.");
const CATALOG: (&str, &str) = ("columnseal_catalog_load_seconds", "Time that a read of the catalog took.");

/// Every metric of the process. Cloning shares the counters.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// Client connections.
    pub connections: Connections,
    /// Statements by kind and command.
    pub statements: Statements,
    /// How long statements take.
    pub latency: Latency,
    /// Values sealed. Counted once a batch.
    pub values_sealed: Counter,
    /// Values opened. Counted once a batch.
    pub values_opened: Counter,
    /// Bytes of both sides. Counted once a batch.
    pub bytes: Bytes,
    /// Errors raised by the proxy itself, by kind.
    pub refusals: Refusals,
    /// Statements slower than the settings say.
    pub slow: Counter,
    /// Cancel requests.
    pub cancels: Cancels,
    /// Hits and misses of caches, set when somebody asks.
    pub caches: Caches,
    /// Requests to the key service.
    pub key_service: KeyService,
    /// Catalog snapshots.
    pub catalog: Catalog,
    /// Pins that do not hold now.
    pub alarms: Gauge,
    /// Records of data access.
    pub audit: Audit,
    /// What the proxy needs, and whether it ends.
    pub standing: Standing,
    /// Spans on their way to a collector.
    pub spans: Spans,
    /// Settings read again.
    pub reloads: Reloads,
}

/// `columnseal_statements_total{kind,command}`.
#[derive(Clone)]
pub struct Statements(Arc<[[Counter; Command::COUNT]; 3]>);

impl Statements {
    /// The counter of one kind and command.
    pub fn of(&self, kind: Kind, command: Command) -> &Counter {
        &self.0[kind as usize][command as usize]
    }
}

/// `columnseal_statement_seconds{kind}` and `columnseal_statement_part_seconds{kind,part}`.
#[derive(Clone)]
pub struct Latency([(Histogram, [Histogram; 4]); 2]);

/// Labels of parts: what the proxy itself does is one.
const SHARES: [&str; 4] = ["client", "proxy", "keys", "server"];

impl Latency {
    /// Counts a statement that was not refused. `parts`: by the numbers of [`Spent`].
    pub fn record(&self, kind: Kind, total: Duration, parts: &[Duration; Spent::COUNT]) {
        let Some((whole, shares)) = self.0.get(kind as usize) else { return };
        whole.record(total);
        let of = |part: Spent| parts[part as usize];
        let proxy = of(Spent::Analysis) + of(Spent::Sealing) + of(Spent::Opening);
        for (share, took) in shares.iter().zip([of(Spent::Client), proxy, of(Spent::Keys), of(Spent::Server)]) {
            if !took.is_zero() {
                share.record(took);
            }
        }
    }

    fn families(&self) -> [Family; 2] {
        let kinds = || Kind::ALL.iter().zip(&self.0);
        let whole = kinds().map(|(kind, (whole, _))| (format!("kind=\"{}\"", kind.name()), whole.clone()));
        let part = |kind: &Kind, share: &str| format!("kind=\"{}\",part=\"{share}\"", kind.name());
        let shares = kinds().flat_map(|(kind, (_, shares))| {
            SHARES.iter().zip(shares).map(move |(share, histogram)| (part(kind, share), histogram.clone()))
        });
        [
            Family { name: STATEMENT.0, help: STATEMENT.1, members: whole.collect() },
            Family { name: PARTS.0, help: PARTS.1, members: shares.collect() },
        ]
    }
}

/// `columnseal_bytes_received_total{side}` and `columnseal_bytes_sent_total{side}`: from and to the client, from and to the server.
#[derive(Clone)]
pub struct Bytes(pub [Counter; 4]);

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

/// `columnseal_cancel_requests_total{outcome}`.
#[derive(Clone)]
pub struct Cancels {
    /// Of a session here, carried to its server.
    pub relayed: Counter,
    /// Of no session here: told to every server.
    pub unknown: Counter,
    /// A server could not be told.
    pub failed: Counter,
}

/// Hits and misses of caches.
#[derive(Clone)]
pub struct Caches {
    /// Plans: hits, misses.
    pub plans: (Counter, Counter),
    /// Data keys to decrypt with: hits, misses.
    pub keys: (Counter, Counter),
}

/// `columnseal_key_service_requests_total{outcome}` and how long they took.
#[derive(Clone)]
pub struct KeyService {
    /// Answered.
    pub answered: Counter,
    /// Refused or failed.
    pub failed: Counter,
    /// From sending to answer.
    pub seconds: Histogram,
}

impl KeyService {
    /// Counts one request.
    pub fn record(&self, ok: bool, took: Duration) {
        if ok { &self.answered } else { &self.failed }.increment(1);
        self.seconds.record(took);
    }
}

/// Catalog snapshots.
#[derive(Clone)]
pub struct Catalog {
    /// Taken.
    pub loads: Counter,
    /// That failed.
    pub failures: Counter,
    /// From the first question to the snapshot.
    pub seconds: Histogram,
}

/// What the proxy needs, and whether it ends.
#[derive(Clone)]
pub struct Standing {
    /// A host of the database takes connections.
    pub database: Gauge,
    /// The key service answers.
    pub key_service: Gauge,
    /// Seconds of the lease that are left.
    pub lease: Gauge,
    /// When the certificate ends that clients are shown, in seconds since 1970.
    pub certificate: Gauge,
    /// Seconds since the shutdown began.
    pub draining: Gauge,
    /// The longest that it takes.
    pub drain_limit: Gauge,
}

/// `columnseal_trace_spans_total{outcome}`.
#[derive(Clone)]
pub struct Spans {
    /// The collector took them.
    pub exported: Counter,
    /// The queue was full.
    pub dropped: Counter,
    /// The collector did not take them.
    pub failed: Counter,
}

/// `columnseal_reloads_total{outcome}`.
#[derive(Clone)]
pub struct Reloads {
    /// They were applied.
    pub applied: Counter,
    /// They have faults.
    pub refused: Counter,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Handles that count, and what renders them for Prometheus.
    pub fn new() -> (Metrics, Scrape) {
        let (registry, handle) = Registry::new();
        registry.describe(&COUNTERS, &GAUGES);
        let metrics = Metrics::register(registry);
        let mut scrape = Scrape::of(handle);
        scrape.families.extend(metrics.latency.families());
        scrape.families.push(Family::of(KEY_SERVICE.0, KEY_SERVICE.1, &metrics.key_service.seconds));
        scrape.families.push(Family::of(CATALOG.0, CATALOG.1, &metrics.catalog.seconds));
        let connections = metrics.connections.clone();
        scrape.before(move || connections.sample());
        (metrics, scrape)
    }

    /// Handles that count nothing, for tests and commands.
    pub fn detached() -> Metrics {
        Metrics::register(Registry::default())
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
        self.told(true, sqlstate);
    }

    /// A client was told of an error. `ours`: the proxy raised it, not PostgreSQL.
    pub fn told(&self, ours: bool, sqlstate: &str) {
        let labels =
            vec![Label::new("blame", kinds::blame(ours, sqlstate)), Label::new("class", kinds::class(sqlstate))];
        self.registry.owned_counter("columnseal_errors_total", labels).increment(1);
    }

    fn register(registry: Registry) -> Metrics {
        let counter = |name: &'static str| registry.counter(name, &[]);
        let gauge = |name: &'static str| registry.gauge(name, &[]);
        let outcome = |name: &'static str, outcome: &'static str| registry.counter(name, &[("outcome", outcome)]);
        let refusal = |kind| registry.counter("columnseal_refusals_total", &[("kind", kind)]);
        let side = |name: &'static str, side: &'static str| registry.counter(name, &[("side", side)]);
        let (received, sent) = ("columnseal_bytes_received_total", "columnseal_bytes_sent_total");
        registry.gauge("columnseal_build_info", &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        Metrics {
            connections: Connections::new(&registry),
            statements: statements(&registry),
            latency: Latency(std::array::from_fn(|_| Default::default())),
            values_sealed: counter("columnseal_values_sealed_total"),
            values_opened: counter("columnseal_values_opened_total"),
            bytes: Bytes([
                side(received, "client"),
                side(sent, "client"),
                side(received, "server"),
                side(sent, "server"),
            ]),
            refusals: Refusals {
                unsupported: refusal("unsupported"),
                value: refusal("value"),
                keys: refusal("keys"),
                corrupt: refusal("corrupt"),
                protocol: refusal("protocol"),
                catalog: refusal("catalog"),
            },
            slow: counter("columnseal_slow_statements_total"),
            cancels: Cancels {
                relayed: outcome("columnseal_cancel_requests_total", "relayed"),
                unknown: outcome("columnseal_cancel_requests_total", "unknown"),
                failed: outcome("columnseal_cancel_requests_total", "failed"),
            },
            caches: Caches {
                plans: (counter("columnseal_plan_cache_hits_total"), counter("columnseal_plan_cache_misses_total")),
                keys: (counter("columnseal_key_cache_hits_total"), counter("columnseal_key_cache_misses_total")),
            },
            key_service: KeyService {
                answered: outcome("columnseal_key_service_requests_total", "answered"),
                failed: outcome("columnseal_key_service_requests_total", "failed"),
                seconds: Histogram::default(),
            },
            catalog: Catalog {
                loads: counter("columnseal_catalog_loads_total"),
                failures: counter("columnseal_catalog_failures_total"),
                seconds: Histogram::default(),
            },
            alarms: gauge("columnseal_pin_alarms"),
            audit: Audit {
                records: counter("columnseal_audit_records_total"),
                failures: counter("columnseal_audit_failures_total"),
                failing: gauge("columnseal_audit_failing"),
            },
            standing: Standing {
                database: gauge("columnseal_database_up"),
                key_service: gauge("columnseal_key_service_up"),
                lease: gauge("columnseal_key_lease_seconds"),
                certificate: gauge("columnseal_certificate_expiry_timestamp_seconds"),
                draining: gauge("columnseal_draining_seconds"),
                drain_limit: gauge("columnseal_drain_limit_seconds"),
            },
            spans: Spans {
                exported: outcome("columnseal_trace_spans_total", "exported"),
                dropped: outcome("columnseal_trace_spans_total", "dropped"),
                failed: outcome("columnseal_trace_spans_total", "failed"),
            },
            reloads: Reloads {
                applied: outcome("columnseal_reloads_total", "applied"),
                refused: outcome("columnseal_reloads_total", "refused"),
            },
            registry,
        }
    }
}

fn statements(registry: &Registry) -> Statements {
    let of = |kind: Kind, command| {
        registry.counter("columnseal_statements_total", &[("kind", kind.name()), ("command", command)])
    };
    Statements(Arc::new(Kind::ALL.map(|kind| Command::names().map(|command| of(kind, command)))))
}

type Sampler = Box<dyn Fn() + Send>;

/// Renders every metric as Prometheus' text format.
#[derive(Clone)]
pub struct Scrape {
    handle: PrometheusHandle,
    families: Vec<Family>,
    /// Sets what is known only when asked.
    samplers: Arc<Mutex<Vec<Sampler>>>,
    process: Process,
}

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrape")
    }
}

impl Scrape {
    pub(super) fn of(handle: PrometheusHandle) -> Self {
        Self { handle, families: Vec::new(), samplers: Arc::default(), process: Process::new() }
    }

    pub(super) fn with(mut self, family: Family) -> Self {
        self.families.push(family);
        self
    }

    /// Has `sample` run before each page, to set what is not counted as it happens. It must not block.
    pub fn before(&self, sample: impl Fn() + Send + 'static) {
        self.samplers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(sample));
    }

    /// The whole page. Blocks for the time of a few reads of `/proc`.
    pub fn render(&self) -> String {
        self.samplers.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|sample| sample());
        let mut page = self.handle.render();
        self.families.iter().for_each(|family| family.render(&mut page));
        self.process.render(&mut page);
        page
    }
}

#[cfg(test)]
mod tests;
