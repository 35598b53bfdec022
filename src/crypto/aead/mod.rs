//! AES-256-GCM-SIV (RFC 8452) on slices, by one of two engines. Not the envelope: no header, no padding, no nonces.

#[cfg(any(test, not(feature = "portable-aead")))]
mod aws;
#[cfg(any(test, feature = "portable-aead"))]
mod portable;
#[cfg(test)]
mod rfc8452;
#[cfg(test)]
mod tests;

#[cfg(not(feature = "portable-aead"))]
pub(super) use aws::Cipher;
#[cfg(feature = "portable-aead")]
pub(super) use portable::Cipher;

/// Bytes of the tag.
pub(super) const TAG: usize = 16;

/// The engine refused: on opening, the message is not authentic; on sealing, it is too long for the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused;
