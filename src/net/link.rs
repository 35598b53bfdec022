//! A stream and what was read from it, while a connection is being made. Messages here are few and small.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::Stream;
use crate::wire::frame::{self, FrameError, HEADER};

/// Room offered to a read, in bytes.
const READ: usize = 4096;

/// One side of a connection that is being made.
pub(crate) struct Link {
    pub(crate) stream: Stream,
    /// Bytes read and not yet looked at.
    pub(crate) input: BytesMut,
}

/// A message of a login.
pub(crate) struct Message {
    pub(crate) tag: u8,
    raw: Bytes,
}

impl Message {
    /// The whole frame.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// What follows the header.
    pub(crate) fn body(&self) -> &[u8] {
        &self.raw[HEADER..]
    }
}

impl Link {
    pub(crate) fn new(stream: Stream) -> Self {
        Link { stream, input: BytesMut::new() }
    }

    /// Reads what there is; `false`: the peer closed. Cancel safe.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        self.input.reserve(READ);
        Ok(self.stream.read_buf(&mut self.input).await? > 0)
    }

    /// Takes the message at the start of the input, if it is whole.
    pub(crate) fn message(&mut self, max_len: usize) -> Result<Option<Message>, FrameError> {
        match frame::header(&self.input, max_len)? {
            Some((tag, total)) if self.input.len() >= total => {
                Ok(Some(Message { tag, raw: self.input.split_to(total).freeze() }))
            }
            _ => Ok(None),
        }
    }

    /// Writes and flushes. Not cancel safe: part may be written.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }
}
