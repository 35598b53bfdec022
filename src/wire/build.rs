//! Building messages that hold a list of values, lengths filled in afterwards.

use super::frame::{self, BuildError};

/// Builds the list of values of a Bind or DataRow at the end of a buffer. Dropped unfinished, it takes
/// back everything it wrote.
pub struct ValuesBuilder<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    count_at: usize,
    count: usize,
    done: bool,
}

impl<'o> ValuesBuilder<'o> {
    /// The message began at `start`; the count of values comes next.
    pub(super) fn new(out: &'o mut Vec<u8>, start: usize) -> Self {
        let count_at = out.len();
        out.extend_from_slice(&[0, 0]);
        ValuesBuilder { out, start, count_at, count: 0, done: false }
    }

    /// Values so far.
    pub fn len(&self) -> usize {
        self.count
    }

    /// No value yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends a value; `None` is NULL.
    pub fn value(&mut self, value: Option<&[u8]>) {
        match value {
            None => {
                self.count += 1;
                self.out.extend_from_slice(&[0xff; 4]);
            }
            Some(bytes) => self.append(|out| out.extend_from_slice(bytes)),
        }
    }

    /// Appends the value that `write` appends to the buffer; on its error the value is taken back.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn value_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let at = self.out.len();
        let mut outcome = Ok(());
        self.append(|out| outcome = write(out));
        if outcome.is_err() {
            self.out.truncate(at);
            self.count -= 1;
        }
        outcome
    }

    /// Appends `count` values that already carry their lengths, as [`super::Values::raw`] gives them.
    pub fn raw(&mut self, values: super::Values<'_>) {
        self.count += values.len();
        self.out.extend_from_slice(values.raw());
    }

    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.count += 1;
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        write(self.out);
        // A length over the limit makes the whole message too long, so `close` refuses it.
        let length = (self.out.len() - at - 4).min(frame::MAX_LARGE);
        frame::fill_u32(self.out, at, length);
    }

    /// Ends the list (so that fields after it may follow) and the message.
    pub(super) fn close(mut self, tail: impl FnOnce(&mut Vec<u8>) -> Result<(), BuildError>) -> Result<(), BuildError> {
        let count = u16::try_from(self.count).map_err(|_| BuildError::TooLong)?;
        self.out[self.count_at..self.count_at + 2].copy_from_slice(&count.to_be_bytes());
        tail(self.out)?;
        self.done = true;
        frame::finish(self.out, self.start)
    }
}

impl Drop for ValuesBuilder<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.out.truncate(self.start);
        }
    }
}

/// Appends a count of two bytes and what `items` writes, refusing more than 65,535.
pub(super) fn counted<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) -> Result<(), BuildError> {
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    let mut count: u16 = 0;
    for item in items {
        count = count.checked_add(1).ok_or(BuildError::TooLong)?;
        write(out, item);
    }
    out[at..at + 2].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

/// Builds one message of tag `tag`; on error nothing of it stays in `out`.
pub(super) fn message(
    out: &mut Vec<u8>,
    tag: u8,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), BuildError>,
) -> Result<(), BuildError> {
    let start = frame::begin(out, tag);
    match write(out) {
        Ok(()) => frame::finish(out, start),
        Err(e) => {
            out.truncate(start);
            Err(e)
        }
    }
}
