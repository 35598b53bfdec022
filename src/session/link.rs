//! How long a connection that is being made may take, and how it is refused.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handshake::{Ended, out_of_time};
pub(super) use crate::net::link::{Link, Message};
use crate::wire::error::PgError;
use crate::wire::sqlstate::SqlState;

/// How long and how far a refused client is still read, so that closing does not take the error back from it.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 256 * 1024);

/// How long a step may take: until a time limit is over or the proxy shuts down.
pub(super) struct Patience<'a> {
    limit: Duration,
    end: Instant,
    shutdown: &'a CancellationToken,
}

impl<'a> Patience<'a> {
    pub(super) fn new(limit: Duration, shutdown: &'a CancellationToken) -> Self {
        Patience { limit, end: Instant::now() + limit, shutdown }
    }

    /// Runs a step. It is dropped where it is when patience ends.
    pub(super) async fn with<T>(&self, step: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
        tokio::select! {
            done = tokio::time::timeout_at(self.end, step) => {
                done.unwrap_or_else(|_| Err(out_of_time(self.limit).into()))
            }
            () = self.shutdown.cancelled() => Err(PgError::fatal(
                SqlState::CANNOT_CONNECT_NOW,
                "the proxy is shutting down",
            ).into()),
        }
    }
}

impl Link {
    /// Closes after what was written has been read, or a little later.
    pub(super) async fn close(mut self) {
        let _ = tokio::time::timeout(LINGER.0, async {
            self.stream.shutdown().await?;
            let mut left = LINGER.1;
            while left > 0 && self.fill().await? {
                left = left.saturating_sub(self.input.len());
                self.input.clear();
            }
            io::Result::Ok(())
        })
        .await;
    }

    /// Tells the client why, and closes.
    pub(super) async fn refuse(mut self, why: &PgError) {
        let told = tokio::time::timeout(LINGER.0, self.send(&why.to_bytes())).await;
        if matches!(told, Ok(Ok(()))) {
            self.close().await;
        }
    }
}
