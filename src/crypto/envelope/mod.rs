//! One encrypted value. Not the search terms beside it, and not which key or type a column has.
//!
//! ```text
//! 0  1  0xC1 (magic and version)      1  1  alg<<4 | pad<<2 | flags (0)      2  1  plaintext codec
//! 3  4  kref                          7  8  key id                           15 4  type tag
//! 19 12 nonce                         31 n  ciphertext                       31+n 16 tag
//! AAD = "columnseal v1" || bytes 0..19 || keyset 16 || epoch u32 || type id 16      (integers big endian)
//! ```

mod data_key;
mod header;
mod padding;
#[cfg(test)]
mod tests;
mod type_tag;

pub use data_key::{DataKey, OpenError, SealError};
pub use header::{EnvelopeError, Header};
pub use padding::Padding;
pub use type_tag::type_tag;

use super::aead::TAG;
use super::random::NONCE;

/// Bytes before the nonce.
const HEADER: usize = 19;
/// Bytes before the ciphertext.
const PREFIX: usize = HEADER + NONCE;
/// Bytes that an envelope adds to its padded plaintext.
pub const OVERHEAD: usize = PREFIX + TAG;
/// Longest envelope: what a `bytea` of PostgreSQL can hold.
pub const MAX_ENVELOPE: usize = 0x3fff_ffff - 4;
