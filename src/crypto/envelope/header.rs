//! The 19 bytes that say how and under which key an envelope was sealed.

use super::super::{KeyId, Kref};
use super::{HEADER, MAX_ENVELOPE, OVERHEAD, Padding};

/// Magic and version of this format.
const VERSION: u8 = 0xC1;
/// AES-256-GCM-SIV. 0 stays unused, so that zeroed bytes are no envelope.
const ALGORITHM: u8 = 1;

/// What an envelope says of itself. Not authenticated until the envelope was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// How the plaintext was padded.
    pub padding: Padding,
    /// How the plaintext is encoded; the meaning is the caller's.
    pub codec: u8,
    /// Keyset and data epoch.
    pub kref: Kref,
    /// The one key that opens it.
    pub key_id: KeyId,
    /// Hint of the encrypted type, see [`super::type_tag`].
    pub type_tag: [u8; 4],
}

/// Bytes that are no envelope of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Shorter than an envelope of nothing, or longer than a database value can be.
    #[error("encrypted value has an impossible length")]
    Length,
    /// Other magic or version.
    #[error("encrypted value has an unknown version")]
    Version,
    /// Other algorithm.
    #[error("encrypted value has an unknown algorithm")]
    Algorithm,
    /// Unknown padding.
    #[error("encrypted value has an unknown padding")]
    Padding,
    /// A flag is set; none is known.
    #[error("encrypted value has an unknown flag")]
    Flag,
}

impl Header {
    /// Reads the header of a whole envelope.
    pub fn parse(envelope: &[u8]) -> Result<Self, EnvelopeError> {
        if !(OVERHEAD..=MAX_ENVELOPE).contains(&envelope.len()) {
            return Err(EnvelopeError::Length);
        }
        if envelope[0] != VERSION {
            return Err(EnvelopeError::Version);
        }
        if envelope[1] >> 4 != ALGORITHM {
            return Err(EnvelopeError::Algorithm);
        }
        if envelope[1] & 0b11 != 0 {
            return Err(EnvelopeError::Flag);
        }
        Ok(Self {
            padding: Padding::from_code(envelope[1] >> 2 & 0b11).ok_or(EnvelopeError::Padding)?,
            codec: envelope[2],
            kref: Kref(u32::from_be_bytes(cut(envelope, 3))),
            key_id: KeyId(cut(envelope, 7)),
            type_tag: cut(envelope, 15),
        })
    }

    pub(super) fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = VERSION;
        bytes[1] = ALGORITHM << 4 | self.padding.code() << 2;
        bytes[2] = self.codec;
        bytes[3..7].copy_from_slice(&self.kref.0.to_be_bytes());
        bytes[7..15].copy_from_slice(&self.key_id.0);
        bytes[15..19].copy_from_slice(&self.type_tag);
        bytes
    }
}

fn cut<const N: usize>(envelope: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&envelope[at..at + N]);
    bytes
}
