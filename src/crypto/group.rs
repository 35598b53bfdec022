//! ristretto255 (RFC 9496) and hashing to it (RFC 9380): points and scalars as bytes, strictly decoded.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::random::{self, RandomError};

/// A random scalar, never 0.
pub(super) fn random_scalar() -> Result<Scalar, RandomError> {
    loop {
        let mut wide = Zeroizing::new([0; 64]);
        random::fill(&mut *wide)?;
        let scalar = Scalar::from_bytes_mod_order_wide(&wide);
        if scalar != Scalar::ZERO {
            return Ok(scalar);
        }
    }
}

/// A canonically encoded scalar, or `None`. 0 is allowed here.
pub(super) fn decode_scalar(bytes: &[u8; 32]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(*bytes).into_option()
}

/// A canonically encoded point other than the identity, or `None`.
pub(super) fn decode_point(bytes: &[u8; 32]) -> Option<RistrettoPoint> {
    CompressedRistretto(*bytes).decompress().filter(|point| !point.is_identity())
}

/// `hash_to_ristretto255` of RFC 9380, appendix B: expand_message_xmd with SHA-512 to 64 bytes, then the one-way map.
pub(super) fn hash_to_group(message: &[&[u8]], dst: &[u8]) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&expand_message(message, dst))
}

/// `HashToScalar` of RFC 9497 for ristretto255-SHA512: the same expansion, reduced as a little-endian number.
pub(super) fn hash_to_scalar(message: &[&[u8]], dst: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&expand_message(message, dst))
}

/// `expand_message_xmd(message, dst, N)` of RFC 9380, section 5.3.1, with SHA-512.
/// N is at most 64 · 255; `dst` is at most 255 bytes.
pub(super) fn expand_message<const N: usize>(message: &[&[u8]], dst: &[u8]) -> [u8; N] {
    const HASH: usize = 64;
    const BLOCK: usize = 128;
    const { assert!(N.div_ceil(HASH) <= 255) };
    let dst_len = u8::try_from(dst.len()).expect("tags are short constants");
    let length = u16::try_from(N).expect("checked above").to_be_bytes();

    let mut b0 = Sha512::new_with_prefix([0; BLOCK]);
    for part in message {
        b0.update(part);
    }
    let b0 = b0.chain_update(length).chain_update([0]).chain_update(dst).chain_update([dst_len]).finalize();

    let mut out = [0; N];
    let mut previous = [0; HASH];
    for (index, chunk) in (1u8..=255).zip(out.chunks_mut(HASH)) {
        for (byte, b0) in previous.iter_mut().zip(b0.iter()) {
            *byte ^= b0;
        }
        let block = Sha512::new_with_prefix(previous)
            .chain_update([index])
            .chain_update(dst)
            .chain_update([dst_len])
            .finalize();
        previous.copy_from_slice(&block);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    out
}
