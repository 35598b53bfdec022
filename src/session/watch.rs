//! What a session tells of itself while it runs: counts, once for a batch of bytes, and exchanges that are over.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::pipe::{HIGH_WATER, Want};
use super::{Session, rows};
use crate::keys::KeysError;
use crate::telemetry::metrics::{Kind, Phase, Spent};
use crate::wire::server::TransactionStatus;

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
        let counted = std::mem::take(&mut self.state.counted);
        let metrics = &self.shared.metrics;
        if counted.opened > 0 {
            metrics.opened(counted.opened);
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
        if let Some(sqlstate) = counted.refused {
            metrics.refused(sqlstate.0);
            tracing::warn!(database = %self.database, sqlstate = sqlstate.0, "a row of an encrypted result was refused");
        }
    }

    /// Takes note of an exchange that is over, if one is.
    pub(super) fn note(&mut self) {
        let more = !self.state.ledger.is_empty();
        let Some(done) = self.state.exchange.over(more) else { return };
        if done.statements > 0 && done.kind != Kind::Refused {
            self.shared.metrics.latency.record(done.kind, done.took, &done.parts);
        }
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
