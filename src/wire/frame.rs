//! Frames: one tag byte, a big-endian length that counts itself, a body.
//!
//! Only the header is looked at. The startup packet, which has no tag, is [`super::startup`]'s.

/// Bytes of tag and length.
pub const HEADER: usize = 5;
/// Greatest length field of a message that may be large (PostgreSQL's own limit, 1 GiB less one).
pub const MAX_LARGE: usize = 0x3fff_ffff;
/// Greatest length field of every other client message (PostgreSQL's `PQ_SMALL_MESSAGE_LIMIT`).
pub const MAX_SMALL: usize = 10_000;

/// One whole message.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The message's type byte.
    pub tag: u8,
    /// What follows the header.
    pub body: &'a [u8],
    /// Tag, length and body, to be forwarded as they are.
    pub raw: &'a [u8],
}

/// What a buffer starts with.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    /// A whole message; the next starts `raw.len()` bytes later.
    Frame(Frame<'a>),
    /// The message is not there yet.
    NeedMore {
        /// Bytes there are.
        have: usize,
        /// Bytes of the whole frame, once its header is there.
        total: Option<usize>,
    },
}

/// A header that cannot be followed: the stream is out of step and must be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// The length field counts itself, so it is never below 4.
    #[error("invalid message length {length}")]
    Short {
        /// Type byte.
        tag: u8,
        /// Length field.
        length: u32,
    },
    /// Longer than allowed.
    #[error("message of {length} bytes is longer than {max}")]
    Long {
        /// Type byte.
        tag: u8,
        /// Length field.
        length: u32,
        /// Limit of the length field.
        max: usize,
    },
}

/// A message that cannot be built; nothing of it was left in the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BuildError {
    /// Longer than [`MAX_LARGE`], or more than 65,535 items.
    #[error("message too long")]
    TooLong,
    /// A string holds a NUL, where the peer would see its end.
    #[error("string with a NUL byte")]
    Nul,
}

/// The header at the start of `buf`: type byte and length of the whole frame in bytes. `None`: fewer than
/// five bytes are there.
///
/// # Errors
/// A length field under 4 or over `max_len`.
pub fn header(buf: &[u8], max_len: usize) -> Result<Option<(u8, usize)>, FrameError> {
    let Some((&[tag, a, b, c, d], _)) = buf.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if length < 4 {
        return Err(FrameError::Short { tag, length });
    }
    match usize::try_from(length) {
        Ok(len) if len <= max_len => Ok(Some((tag, len + 1))),
        _ => Err(FrameError::Long { tag, length, max: max_len }),
    }
}

/// The message at the start of `buf`. `max_len` limits its length field.
///
/// # Errors
/// A length field under 4 or over `max_len`.
pub fn step(buf: &[u8], max_len: usize) -> Result<Step<'_>, FrameError> {
    let have = buf.len();
    let Some((tag, total)) = header(buf, max_len)? else {
        return Ok(Step::NeedMore { have, total: None });
    };
    match buf.get(..total) {
        Some(raw) => Ok(Step::Frame(Frame { tag, body: &raw[HEADER..], raw })),
        None => Ok(Step::NeedMore { have, total: Some(total) }),
    }
}

/// Begins a message in `out`; what is returned goes to [`finish`] or [`abandon`].
pub(super) fn begin(out: &mut Vec<u8>, tag: u8) -> usize {
    let start = out.len();
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    start
}

/// Fills in the length of the message begun at `start`; takes the message back if it is too long.
pub(super) fn finish(out: &mut Vec<u8>, start: usize) -> Result<(), BuildError> {
    let length = out.len() - start - 1;
    if length > MAX_LARGE {
        out.truncate(start);
        return Err(BuildError::TooLong);
    }
    fill_u32(out, start + 1, length);
    Ok(())
}

/// Writes `value`, which must be at most [`MAX_LARGE`], over the four bytes at `at`.
pub(super) fn fill_u32(out: &mut [u8], at: usize, value: usize) {
    let value = u32::try_from(value).expect("checked against MAX_LARGE by every caller");
    out[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Appends a message without a body.
pub(super) fn bare(out: &mut Vec<u8>, tag: u8) {
    out.extend_from_slice(&[tag, 0, 0, 0, 4]);
}

/// Appends `text` and its NUL.
pub(super) fn put_cstr(out: &mut Vec<u8>, text: &[u8]) -> Result<(), BuildError> {
    if memchr::memchr(0, text).is_some() {
        return Err(BuildError::Nul);
    }
    out.extend_from_slice(text);
    out.push(0);
    Ok(())
}
