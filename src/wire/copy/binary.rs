//! Tuples of the binary format.

use super::{CopyError, Step};
use crate::wire::read::{MessageError, Reader};

/// What stands before the tuples: signature, no flags, no extension.
pub const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What stands after them.
pub const TRAILER: [u8; 2] = [0xff; 2];

/// Bytes of the signature.
const SIGNATURE: usize = 11;
/// Flags that a reader must know; this one once meant OIDs.
const OIDS: u32 = 1 << 16;

/// Where tuples end.
#[derive(Debug)]
pub(super) struct Tuples {
    columns: usize,
    begun: bool,
    /// The trailer came.
    finished: bool,
    /// How much of the tuple at hand was looked at, and its fields so far.
    at: usize,
    fields: usize,
    pub(super) row: u64,
}

fn array<const N: usize>(input: &[u8], at: usize) -> Option<[u8; N]> {
    input.get(at..)?.first_chunk::<N>().copied()
}

impl Tuples {
    pub(super) fn new(columns: usize) -> Self {
        Tuples { columns, begun: false, finished: false, at: 0, fields: 0, row: 0 }
    }

    pub(super) fn next(&mut self, input: &[u8], ended: bool) -> Result<Step, CopyError> {
        if !self.begun {
            return self.header(input, ended);
        }
        if self.finished {
            return match (input.is_empty(), ended) {
                (false, _) => Err(CopyError::format("received copy data after EOF marker")),
                (true, true) => Ok(Step::End),
                (true, false) => Ok(Step::More),
            };
        }
        if self.at == 0 {
            let Some(count) = array(input, 0).map(i16::from_be_bytes) else {
                return Ok(if ended { Step::End } else { Step::More });
            };
            self.row += 1;
            if count == -1 {
                self.finished = true;
                return Ok(Step::Skip(TRAILER.len()));
            }
            if usize::try_from(count) != Ok(self.columns) {
                let expected = self.columns;
                return Err(CopyError::format(format!("row field count is {count}, expected {expected}")));
            }
            (self.at, self.fields) = (2, 0);
        }
        self.tuple(input, ended)
    }

    fn tuple(&mut self, input: &[u8], ended: bool) -> Result<Step, CopyError> {
        let more = || match ended {
            true => Err(CopyError::format("unexpected EOF in COPY data")),
            false => Ok(Step::More),
        };
        while self.fields < self.columns {
            let Some(length) = array(input, self.at).map(i32::from_be_bytes) else { return more() };
            let length = match length {
                -1 => 0,
                _ => usize::try_from(length).map_err(|_| CopyError::format("invalid field size"))?,
            };
            let end = self.at + 4 + length;
            if end > input.len() {
                return more();
            }
            self.at = end;
            self.fields += 1;
        }
        let used = std::mem::take(&mut self.at);
        Ok(Step::Row { len: used, used })
    }

    fn header(&mut self, input: &[u8], ended: bool) -> Result<Step, CopyError> {
        let missing = |what: &str| match ended {
            true => Err(CopyError::format(format!("invalid COPY file header ({what})"))),
            false => Ok(Step::More),
        };
        let known = input.len().min(SIGNATURE);
        if input[..known] != HEADER[..known] || (ended && known < SIGNATURE) {
            return Err(CopyError::format("COPY file signature not recognized"));
        }
        if known < SIGNATURE {
            return Ok(Step::More);
        }
        let Some(flags) = array(input, SIGNATURE).map(u32::from_be_bytes) else { return missing("missing flags") };
        if flags & OIDS != 0 {
            return Err(CopyError::format("invalid COPY file header (WITH OIDS)"));
        }
        if flags >> 16 != 0 {
            return Err(CopyError::format("unrecognized critical flags in COPY file header"));
        }
        let Some(extension) = array(input, SIGNATURE + 4).map(i32::from_be_bytes) else {
            return missing("missing length");
        };
        let Ok(extension) = usize::try_from(extension) else {
            return Err(CopyError::format("invalid COPY file header (missing length)"));
        };
        let used = HEADER.len() + extension;
        if input.len() < used {
            return missing("wrong length");
        }
        self.begun = true;
        Ok(Step::Skip(used))
    }
}

/// The fields of a tuple that [`Rows`](super::Rows) found; `None` is NULL.
pub fn tuple_fields(tuple: &[u8]) -> impl Iterator<Item = Result<Option<&[u8]>, MessageError>> {
    let mut reader = Reader::new(tuple);
    let count = reader.u16().unwrap_or(0);
    (0..count).map(move |_| reader.value())
}
