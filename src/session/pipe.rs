//! The two streams of a session and their buffers: moves bytes, knows no messages.
//!
//! Memory is bounded by not reading from one side while the other side's output is above [`HIGH_WATER`].

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

/// A side is not read while this many bytes, or more, wait to be written to the other.
pub(super) const HIGH_WATER: usize = 256 * 1024;

/// Least room offered to a read, in bytes. A session that does nothing holds it twice.
const READ_MIN: usize = 4 * 1024;

/// Most room offered to a read, in bytes.
const READ_MAX: usize = 128 * 1024;

/// Buffers above this capacity are given back once they are empty.
const KEEP: usize = 64 * 1024;

/// One side of a session.
pub(super) struct Side<T> {
    stream: T,
    /// Bytes read and not yet looked at.
    pub(super) input: BytesMut,
    /// Bytes to be written; those before `written` are already gone.
    pub(super) output: Vec<u8>,
    written: usize,
    needs_flush: bool,
    room: usize,
    /// The peer closed its writing half.
    pub(super) ended: bool,
    /// Bytes read from the peer so far.
    pub(super) taken: u64,
    /// Bytes written to the peer so far.
    pub(super) given: u64,
    /// The peer may be gone: what it can no longer take is dropped, and that is no error.
    pub(super) parting: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Side<T> {
    /// A side over a stream, with bytes already read from it.
    pub(super) fn new(stream: T, input: BytesMut) -> Self {
        Side {
            stream,
            input,
            output: Vec::new(),
            written: 0,
            needs_flush: false,
            room: READ_MIN,
            ended: false,
            taken: 0,
            given: 0,
            parting: false,
        }
    }

    /// Bytes that wait to be written.
    pub(super) fn pending(&self) -> usize {
        self.output.len() - self.written
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input.reserve(self.room);
        let had = self.input.len();
        match poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.input) {
            Poll::Ready(Ok(n)) => {
                self.ended = n == 0;
                self.taken += n as u64;
                self.room = room_after(self.room, n);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            Poll::Pending => {
                if had == 0 && self.input.capacity() > KEEP {
                    self.input = BytesMut::new();
                }
                Poll::Pending
            }
        }
    }

    /// Writes what waits. Ready once everything is written and flushed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_write_out(cx) {
            Poll::Ready(Err(_)) if self.parting => {
                self.written = self.output.len();
                self.needs_flush = false;
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.output.len() {
            let n = match Pin::new(&mut self.stream).poll_write(cx, &self.output[self.written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {
                    self.compact();
                    return Poll::Pending;
                }
            };
            self.written += n;
            self.given += n as u64;
            self.needs_flush = true;
        }
        if self.written > 0 {
            self.written = 0;
            if self.output.capacity() > KEEP { self.output = Vec::new() } else { self.output.clear() }
        }
        if self.needs_flush {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.needs_flush = false,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn compact(&mut self) {
        if self.written >= KEEP {
            self.output.drain(..self.written);
            self.written = 0;
        }
    }

    /// Takes `n` looked-at bytes off the input.
    pub(super) fn consume(&mut self, n: usize) {
        self.input.advance(n);
    }
}

/// Room for the next read after one of `n` bytes: more at once where it was filled, less where most of it was not needed.
fn room_after(room: usize, n: usize) -> usize {
    match n {
        n if n >= room => (room * 2).min(READ_MAX),
        n if n < room / 4 => (room / 2).max(READ_MIN),
        _ => room,
    }
}

/// Both sides.
pub(super) struct Pipe<C, S> {
    pub(super) client: Side<C>,
    pub(super) server: Side<S>,
}

/// Which sides may be read in a turn.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) client: bool,
    pub(super) server: bool,
    /// What the server says next is for the session itself, so a client that does not read does not hold it back.
    pub(super) own: bool,
}

impl<C, S> Pipe<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Writes what waits on both sides and reads until at least one wanted side gave bytes or ended, or until a side
    /// whose output held reading back is below [`HIGH_WATER`] again.
    ///
    /// Cancel safe: bytes live in the sides, not in the future.
    pub(super) async fn turn(&mut self, want: Want) -> io::Result<()> {
        poll_fn(|cx| self.poll_turn(cx, want)).await
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, want: Want) -> Poll<io::Result<()>> {
        let full = (self.client.pending() >= HIGH_WATER, self.server.pending() >= HIGH_WATER);
        if let Poll::Ready(Err(e)) = self.server.poll_drain(cx) {
            return Poll::Ready(Err(e));
        }
        if let Poll::Ready(Err(e)) = self.client.poll_drain(cx) {
            return Poll::Ready(Err(e));
        }
        let mut progress =
            (full.0 && self.client.pending() < HIGH_WATER) || (full.1 && self.server.pending() < HIGH_WATER);
        if want.server && !self.server.ended && (want.own || self.client.pending() < HIGH_WATER) {
            match self.server.poll_fill(cx) {
                Poll::Ready(Ok(())) => progress = true,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {}
            }
        }
        if want.client && !self.client.ended && self.server.pending() < HIGH_WATER {
            match self.client.poll_fill(cx) {
                Poll::Ready(Ok(())) => progress = true,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {}
            }
        }
        if progress { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Writes everything that waits to the client. Cancel safe.
    pub(super) async fn drain_client(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.client.poll_drain(cx)).await
    }

    /// Writes everything that waits to the server. Cancel safe.
    pub(super) async fn drain_server(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.server.poll_drain(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_follows_what_is_read() {
        let after = |reads: &[usize]| reads.iter().fold(READ_MIN, |room, n| room_after(room, *n));
        assert_eq!(after(&[10, 20, 0]), READ_MIN);
        assert_eq!(after(&[READ_MIN, 2 * READ_MIN]), 4 * READ_MIN);
        // Results of the same size come with one read each, after the first.
        assert_eq!(after(&[READ_MIN, READ_MIN / 2, 3 * READ_MIN / 2]), 2 * READ_MIN);
        assert_eq!(after(&[READ_MIN, 10, 10]), READ_MIN);
        let mut room = READ_MIN;
        (0..20).for_each(|_| room = room_after(room, room));
        assert_eq!(room, READ_MAX);
        (0..20).for_each(|_| room = room_after(room, 1));
        assert_eq!(room, READ_MIN);
    }
}
