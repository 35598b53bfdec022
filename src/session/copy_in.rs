//! COPY FROM STDIN: what the client sends is cut into rows, whose encrypted fields are sealed on their way to the server.
//!
//! Sync. Memory is bounded by one row and one chunk, however large messages are. A row goes on whole, or not at all.

use zeroize::Zeroizing;

use super::audit::Tally;
use super::copy_seal::{Sealer, Stuck, Wanted};
use super::errors;
use crate::crypto::KeysetId;
use crate::keys::Ring;
use crate::wire::client::{self, tag};
use crate::wire::copy::{self, Step};
use crate::wire::error::{ErrorView, PgError};
use crate::wire::frame::{self, BuildError, HEADER};
use crate::wire::sqlstate::SqlState;

/// What the server is told where a COPY is made to fail.
pub(super) const OURS: &[u8] = b"ended by the proxy";

/// Bytes of the client's that are looked at at once.
const CHUNK: usize = 64 * 1024;

/// Longest row, in bytes. PostgreSQL takes up to four times as much.
const MAX_ROW: usize = 256 * 1024 * 1024;

/// The error is PostgreSQL's answer to our CopyFail.
pub(super) fn is_ours(view: &ErrorView<'_>) -> bool {
    view.sqlstate() == SqlState::QUERY_CANCELED.0.as_bytes()
        && view.message().windows(OURS.len()).any(|part| part == OURS)
}

/// What sealing needs of the session.
pub(super) struct Around<'a> {
    pub(super) ring: &'a Ring,
    pub(super) tally: &'a mut Tally,
}

/// Where it stopped.
pub(super) enum Stop {
    /// At the end of the bytes there are.
    Dry,
    /// The server's side is full.
    Full,
    /// A key must be fetched first.
    Keys(Wanted),
    /// At the client's CopyDone; everything before it went on.
    Done,
    /// The client leaves.
    Bye,
}

/// A COPY under way.
pub(super) struct Incoming {
    /// `None`: bytes go on as they are.
    sealer: Option<Sealer>,
    /// Bytes of CopyData; those before `start` are done with.
    buffer: Zeroizing<Vec<u8>>,
    start: usize,
    /// Bytes of the message at hand that are still to come.
    pub(super) left: usize,
    /// The client said CopyDone.
    ended: bool,
    /// What the next row is, where it could not go on.
    step: Option<Step>,
}

impl Incoming {
    /// At the beginning. `sealer`: `None` only where no column is encrypted.
    pub(super) fn new(sealer: Option<Sealer>) -> Self {
        Incoming { sealer, buffer: Zeroizing::default(), start: 0, left: 0, ended: false, step: None }
    }

    /// Values sealed since it was last asked: by keyset, and how many in all.
    pub(super) fn sealed(&mut self, each: impl FnMut(KeysetId, u64)) -> u64 {
        self.sealer.as_mut().map_or(0, |sealer| sealer.sealed.take(each))
    }

    /// Takes what it can of `input`, until `room` bytes or more were appended to `out`; says how much was used.
    ///
    /// The error is what ends the COPY.
    pub(super) fn take(
        &mut self,
        around: &mut Around<'_>,
        input: &[u8],
        room: usize,
        out: &mut Vec<u8>,
    ) -> (usize, Result<Stop, PgError>) {
        let full = out.len() + room;
        if let Some(sealer) = &mut self.sealer {
            sealer.renew(around);
        }
        let mut used = 0;
        loop {
            match self.forward(around, full, out) {
                Ok(()) => {}
                Err(Stuck::Keys(wanted)) => return (used, Ok(Stop::Keys(wanted))),
                Err(Stuck::Bad(error)) => return (used, Err(*error)),
            }
            if out.len() >= full {
                return (used, Ok(Stop::Full));
            }
            if self.ended {
                return (used, Ok(Stop::Done));
            }
            let rest = &input[used..];
            if self.left > 0 {
                let chunk = self.left.min(rest.len()).min(CHUNK);
                if chunk == 0 {
                    return (used, Ok(Stop::Dry));
                }
                self.give(&rest[..chunk]);
                used += chunk;
                continue;
            }
            match self.message(rest, &mut used) {
                Ok(None) => {}
                Ok(Some(stop)) => return (used, Ok(stop)),
                Err(error) => return (used, Err(error)),
            }
        }
    }

    fn give(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.start));
        self.buffer.extend_from_slice(bytes);
        self.left -= bytes.len();
    }

    /// The message that `rest` begins with.
    fn message(&mut self, rest: &[u8], used: &mut usize) -> Result<Option<Stop>, PgError> {
        let Some(&kind) = rest.first() else { return Ok(Some(Stop::Dry)) };
        let max = client::max_len(kind).ok_or_else(|| super::fast::unknown(kind))?;
        let Some((_, total)) = frame::header(rest, max).map_err(super::fast::broken)? else {
            return Ok(Some(Stop::Dry));
        };
        if kind == tag::COPY_DATA {
            *used += HEADER;
            self.left = total - HEADER;
            return Ok(None);
        }
        let Some(raw) = rest.get(..total) else { return Ok(Some(Stop::Dry)) };
        *used += total;
        match kind {
            // Clients send them before they know that rows are awaited.
            tag::FLUSH | tag::SYNC => Ok(None),
            tag::COPY_DONE => {
                self.ended = true;
                Ok(None)
            }
            tag::COPY_FAIL => Err(self.context(errors::copy_failed(&raw[HEADER..]))),
            tag::TERMINATE => Ok(Some(Stop::Bye)),
            // As PostgreSQL: what follows cannot be told apart from rows any more.
            _ => Err(errors::unexpected_in_copy(kind)),
        }
    }

    /// Where a row is that the client has given up.
    fn context(&self, mut error: PgError) -> PgError {
        error.context = self.sealer.as_ref().map(|sealer| sealer.context(1, None));
        error
    }

    /// Hands on the rows at hand, as one message.
    fn forward(&mut self, around: &mut Around<'_>, full: usize, out: &mut Vec<u8>) -> Result<(), Stuck> {
        let mut outcome = Ok(());
        let built = copy::copy_data(out, |out| {
            outcome = self.rows(around, full, out);
            Ok::<(), BuildError>(())
        });
        match built {
            Ok(Ok(())) => outcome,
            _ => Err(Stuck::Bad(Box::new(errors::too_many()))),
        }
    }

    fn rows(&mut self, around: &mut Around<'_>, full: usize, out: &mut Vec<u8>) -> Result<(), Stuck> {
        let Some(sealer) = &mut self.sealer else {
            out.extend_from_slice(&self.buffer[self.start..]);
            self.start = self.buffer.len();
            return Ok(());
        };
        while out.len() < full {
            let input = &self.buffer[self.start..];
            let step = match self.step.take() {
                Some(step) => step,
                None => sealer.next(input, self.ended)?,
            };
            match step {
                Step::More if input.len() > MAX_ROW => {
                    return Err(Stuck::Bad(Box::new(errors::copy_row_too_long(MAX_ROW, sealer.context(1, None)))));
                }
                Step::More => return Ok(()),
                Step::End => {
                    self.start = self.buffer.len();
                    return Ok(());
                }
                Step::Skip(used) => {
                    sealer.skip(out);
                    self.start += used;
                }
                Step::Head { len, used } => {
                    sealer.head(&input[..len], &input[len..used], out)?;
                    self.start += used;
                }
                Step::Row { len, used } => {
                    let before = out.len();
                    if let Err(stuck) = sealer.row(around, &input[..len], &input[len..used], out) {
                        out.truncate(before);
                        self.step = Some(step);
                        return Err(stuck);
                    }
                    self.start += used;
                }
            }
        }
        Ok(())
    }
}
