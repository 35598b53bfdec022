//! A stream and what was read from it, while a connection is being made. Messages here are few and small.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handshake::{Ended, out_of_time};
use crate::net::stream::Stream;
use crate::wire::error::PgError;
use crate::wire::frame::{self, FrameError, HEADER};
use crate::wire::sqlstate::SqlState;

/// Room offered to a read, in bytes.
const READ: usize = 4096;
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

/// One side of a connection that is being made.
pub(super) struct Link {
    pub(super) stream: Stream,
    /// Bytes read and not yet looked at.
    pub(super) input: BytesMut,
}

/// A message of a login.
pub(super) struct Message {
    pub(super) tag: u8,
    raw: Bytes,
}

impl Message {
    /// The whole frame.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// What follows the header.
    pub(super) fn body(&self) -> &[u8] {
        &self.raw[HEADER..]
    }
}

impl Link {
    pub(super) fn new(stream: Stream) -> Self {
        Link { stream, input: BytesMut::new() }
    }

    /// Reads what there is; `false`: the peer closed. Cancel safe.
    pub(super) async fn fill(&mut self) -> io::Result<bool> {
        self.input.reserve(READ);
        Ok(self.stream.read_buf(&mut self.input).await? > 0)
    }

    /// Takes the message at the start of the input, if it is whole.
    pub(super) fn message(&mut self, max_len: usize) -> Result<Option<Message>, FrameError> {
        match frame::header(&self.input, max_len)? {
            Some((tag, total)) if self.input.len() >= total => {
                Ok(Some(Message { tag, raw: self.input.split_to(total).freeze() }))
            }
            _ => Ok(None),
        }
    }

    /// Writes and flushes. Not cancel safe: part may be written.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

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
