//! What a session tells of itself while it runs: counts, once for a batch of bytes, and exchanges that are over.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::exchange::{Done, Watched};
use super::pipe::{HIGH_WATER, Want};
use super::{Session, Shared, rows};
use crate::keys::KeysError;
use crate::sql::Shape;
use crate::telemetry::metrics::{Command, Kind, Phase, Spent};
use crate::telemetry::traces::{self, Context, Span, SpanKind, Value};
use crate::wire::server::TransactionStatus;

/// Attributes of spans, by the numbers of [`Spent`].
const PARTS: [&str; Spent::COUNT] = [
    "columnseal.client_seconds",
    "columnseal.analysis_seconds",
    "columnseal.keys_seconds",
    "columnseal.sealing_seconds",
    "columnseal.server_seconds",
    "columnseal.opening_seconds",
];

impl Shared {
    /// An error that the proxy raises itself, in place of an answer of the server's.
    pub(super) fn refused(&self, sqlstate: &str) {
        self.metrics.refused(sqlstate);
        self.ring.refused();
    }

    /// What somebody wants to know of statements.
    pub(super) fn watched(&self) -> Watched {
        let causes = self.tracer.is_some();
        Watched { shapes: causes || self.slow.is_set(), causes }
    }
}

impl Done {
    /// Why it failed, if it did.
    fn sqlstate(&self) -> Option<&str> {
        std::str::from_utf8(self.failed.as_ref()?).ok()
    }
}

/// To a thousandth.
fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Waits for bytes, and knows for whose. Cancel safe.
    pub(super) async fn turn(&mut self, want: Want) -> io::Result<()> {
        self.waits();
        let turned = self.pipe.turn(want).await;
        self.woke();
        turned
    }

    /// The session is about to wait.
    pub(super) fn waits(&mut self) {
        let state = &mut self.state;
        let owed = !state.ledger.is_empty();
        self.presence.turn_to(match (owed, state.status) {
            (true, _) => Phase::Active,
            (false, TransactionStatus::Idle) => Phase::Idle,
            (false, _) => Phase::Transaction,
        });
        let reads_no_more = self.pipe.client.pending() >= HIGH_WATER;
        let sends = !owed || (state.copying && self.pipe.server.pending() < HIGH_WATER);
        state.exchange.turn_to(match state.exchange.is_open() {
            false => None,
            true if reads_no_more || sends => Some(Spent::Client),
            true => Some(Spent::Server),
        });
    }

    /// Bytes came, or went.
    pub(super) fn woke(&mut self) {
        let rows = !self.pipe.server.input.is_empty();
        let part = if rows { Spent::Opening } else { Spent::Analysis };
        self.state.exchange.turn_to(Some(part));
    }

    /// Hands on what was counted while a batch of bytes was looked at.
    pub(super) fn count(&mut self) {
        self.state.tally.settle();
        let (metrics, ring) = (&self.shared.metrics, &self.shared.ring);
        let opened = self.state.counted.opened.take(|keyset, values| ring.opened(keyset, values));
        if opened > 0 {
            metrics.opened(opened);
        }
        self.state.statements.take(|kind, command, count| metrics.statements.of(kind, command).increment(count));
        for code in self.state.errors.drain(..) {
            metrics.told(false, std::str::from_utf8(&code).unwrap_or_default());
        }
        let (client, server) = (&self.pipe.client, &self.pipe.server);
        let bytes = [client.taken, client.given, server.taken, server.given];
        for ((counter, now), before) in metrics.bytes.0.iter().zip(bytes).zip(&mut self.state.bytes) {
            if now > *before {
                counter.increment(now - *before);
                *before = now;
            }
        }
        if let Some(sqlstate) = self.state.counted.refused.take() {
            self.shared.refused(sqlstate.0);
            self.state.exchange.failed(sqlstate.0.as_bytes());
            tracing::warn!(
                database = self.database,
                sqlstate = sqlstate.0,
                "a row of an encrypted result was refused: docs/errors.md says what its SQLSTATE means"
            );
        }
    }

    /// Takes note of an exchange that is over, if one is.
    pub(super) fn note(&mut self) {
        let more = !self.state.ledger.is_empty();
        let Some(done) = self.state.exchange.over(more) else { return };
        if done.statements > 0 && done.kind != Kind::Refused {
            self.shared.metrics.latency.record(done.kind, done.took, &done.parts);
        }
        let slow = self.shared.slow.is_over(done.took);
        let span =
            self.shared.tracer.as_ref().filter(|_| done.statements > 0 || done.kind == Kind::Refused).map(|tracer| {
                match done.caused {
                    Some(caused) => tracer.within(caused),
                    None => tracer.begin(),
                }
            });
        let span = span.filter(|span| span.sampled);
        if slow || span.is_some() {
            let shape = self.state.exchange.take_shape();
            if slow {
                self.log_slow(&done, shape.as_deref());
            }
            if let Some(span) = span {
                self.trace(&done, shape.as_deref(), span);
            }
        }
        self.state.exchange.watched = self.shared.watched();
    }

    fn log_slow(&self, done: &Done, shape: Option<&Shape>) {
        self.shared.metrics.slow.increment(1);
        let [client, analysis, keys, sealing, server, opening] = done.parts.map(millis);
        tracing::warn!(
            database = self.database,
            user = &*self.state.viewer.role,
            application = self.state.application,
            kind = done.kind.name(),
            statements = done.statements,
            rows = done.rows,
            sqlstate = done.sqlstate(),
            took_ms = millis(done.took),
            client_ms = client,
            analysis_ms = analysis,
            keys_ms = keys,
            sealing_ms = sealing,
            server_ms = server,
            opening_ms = opening,
            shape = shape.map(|shape| shape.id.to_string()),
            statement = shape.map(|shape| &*shape.text),
            "slow statement"
        );
    }

    fn trace(&self, done: &Done, shape: Option<&Shape>, context: Context) {
        let Some(tracer) = &self.shared.tracer else { return };
        let command = shape.map_or(done.command, |shape| Command::of(shape.text.as_bytes()));
        let mut attributes = self.who();
        attributes.extend([
            ("db.operation.name", command.name().into()),
            ("db.response.returned_rows", Value::Number(done.rows)),
            ("columnseal.kind", done.kind.name().into()),
            ("columnseal.statements", Value::Number(done.statements.into())),
        ]);
        if let Some(shape) = shape {
            attributes.extend([
                ("db.query.text", (*shape.text).into()),
                ("columnseal.shape", Value::Text(shape.id.to_string())),
            ]);
        }
        attributes.extend(PARTS.iter().zip(done.parts).map(|(name, took)| (*name, Value::Real(took.as_secs_f64()))));
        tracer.send(Span {
            context,
            parent: done.caused.map(|caused| caused.span),
            link: Some(self.connection.0),
            name: command.name().to_owned(),
            kind: SpanKind::Server,
            time: traces::since(done.began),
            attributes,
            error: done.sqlstate().map(str::to_owned),
        });
    }

    /// Tells a collector of the connection, which is over.
    pub(super) fn trace_connection(&self, failed: bool) {
        let Some(tracer) = &self.shared.tracer else { return };
        let (context, began) = self.connection;
        let mut attributes = self.who();
        let bytes = [
            ("columnseal.client.received_bytes", self.pipe.client.taken),
            ("columnseal.client.sent_bytes", self.pipe.client.given),
            ("columnseal.server.received_bytes", self.pipe.server.taken),
            ("columnseal.server.sent_bytes", self.pipe.server.given),
        ];
        attributes.extend(bytes.map(|(name, count)| (name, Value::Number(count))));
        tracer.send(Span {
            context,
            parent: None,
            link: None,
            name: "connection".to_owned(),
            kind: SpanKind::Server,
            time: traces::since(began),
            attributes,
            error: failed.then(|| "the connection ended early".to_owned()),
        });
    }

    fn who(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("db.system.name", "postgresql".into()),
            ("db.namespace", self.database.as_str().into()),
            ("user.name", (*self.state.viewer.role).into()),
            ("columnseal.application", self.state.application.as_str().into()),
        ]
    }

    /// Fetches keys that rows need.
    pub(super) async fn fetch(&mut self, missing: &[rows::Missing]) -> Result<(), KeysError> {
        self.state.exchange.turn_to(Some(Spent::Keys));
        let fetched = self.shared.ring.fetch(missing).await;
        self.state.exchange.turn_to(Some(Spent::Opening));
        fetched
    }

    /// Fetches a key again, with proof: a lying key service is told from a value that was changed. The row is tried once
    /// more then.
    pub(super) async fn prove(&mut self, key: rows::Missing) -> Result<(), KeysError> {
        self.state.exchange.turn_to(Some(Spent::Keys));
        let proved = self.shared.ring.refetch(key.0, key.1).await;
        self.state.exchange.turn_to(Some(Spent::Opening));
        proved?;
        self.state.keys.clear();
        self.state.proved = Some(key);
        Ok(())
    }
}
