//! Sealed messages: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305.
//!
//! A sealed message hides its content, and does not say who sealed it: what matters is signed beside it.

use std::convert::Infallible;

use ::hpke::aead::ChaCha20Poly1305;
use ::hpke::kdf::HkdfSha256;
use ::hpke::kem::{Kem as _, X25519HkdfSha256};
use ::hpke::rand_core::{TryCryptoRng, TryRng};
use ::hpke::{Deserializable, OpModeR, OpModeS, Serializable};
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity;

pub use super::derive::Sealed;
use super::random::RandomError;
use super::secret::{Key32, SecretBytes};
use super::sign::BadPublicKey;

type Kem = X25519HkdfSha256;
type Private = <Kem as ::hpke::Kem>::PrivateKey;
type Public = <Kem as ::hpke::Kem>::PublicKey;
type Encapped = <Kem as ::hpke::Kem>::EncappedKey;

/// Bytes of the encapsulated key that precede the ciphertext.
const ENCAPPED: usize = 32;
/// Bytes that sealing adds.
pub const OVERHEAD: usize = ENCAPPED + 16;
/// Longest message that is opened.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// The public key that messages are sealed to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealKey(Public);

/// The secret key that opens them. Wiped on drop.
pub struct OpenKey(Private);

/// Why a message was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No ephemeral key.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// More than [`MAX_MESSAGE`] bytes.
    #[error("a message to seal is longer than {MAX_MESSAGE} bytes")]
    TooLong,
    /// The receiver's key gives no shared secret.
    #[error("a message cannot be sealed to this key")]
    Refused,
}

/// A sealed message does not open: for another receiver or purpose, or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed message does not open")]
pub struct OpenError;

/// What a message is sealed for: HPKE `info = label || context`.
#[derive(Clone, Copy)]
pub struct Purpose<'a> {
    /// What it holds.
    pub sealed: Sealed,
    /// Whom and what it concerns, encoded unambiguously by the caller.
    pub context: &'a [u8],
}

impl SealKey {
    /// From 32 bytes that are no point of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadPublicKey> {
        let low_order = MontgomeryPoint(*bytes).mul_clamped([0x55; 32]).is_identity();
        let high_bit = bytes[31] & 0x80 != 0;
        if low_order || high_bit {
            return Err(BadPublicKey);
        }
        Public::from_bytes(bytes).map(Self).map_err(|_| BadPublicKey)
    }

    /// The 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes().into()
    }

    /// `encapsulated key 32 || ciphertext || tag 16`.
    pub fn seal(&self, purpose: Purpose<'_>, aad: &[u8], message: &[u8]) -> Result<Vec<u8>, SealError> {
        if message.len() > MAX_MESSAGE {
            return Err(SealError::TooLong);
        }
        self.seal_with(Ephemeral(Some(Key32::generate()?)), &purpose.info(), aad, message)
    }

    /// Under a given ephemeral secret and a whole `info`.
    pub(super) fn seal_with(
        &self,
        mut ephemeral: Ephemeral,
        info: &[u8],
        aad: &[u8],
        message: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let (encapped, ciphertext) = ::hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeS::Base,
            &self.0,
            info,
            message,
            aad,
            &mut ephemeral,
        )
        .map_err(|_| SealError::Refused)?;
        Ok([encapped.to_bytes().as_slice(), &ciphertext].concat())
    }
}

impl OpenKey {
    /// From 32 uniformly random bytes, as X25519 takes them.
    pub fn new(key: &Key32) -> Self {
        Self(Private::from_bytes(key.as_bytes()).expect("32 bytes are an X25519 key"))
    }

    /// The public half.
    pub fn seal_key(&self) -> SealKey {
        SealKey(Kem::sk_to_pk(&self.0))
    }

    /// The message, if it was sealed to this key for this purpose with this `aad`.
    pub fn open(&self, purpose: Purpose<'_>, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        self.open_with(&purpose.info(), aad, sealed)
    }

    /// Under a whole `info`.
    pub(super) fn open_with(&self, info: &[u8], aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let (encapped, ciphertext) = sealed.split_first_chunk::<ENCAPPED>().ok_or(OpenError)?;
        if ciphertext.len() > MAX_MESSAGE + OVERHEAD - ENCAPPED {
            return Err(OpenError);
        }
        let encapped = Encapped::from_bytes(encapped).map_err(|_| OpenError)?;
        ::hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.0,
            &encapped,
            info,
            ciphertext,
            aad,
        )
        .map(SecretBytes::new)
        .map_err(|_| OpenError)
    }
}

impl Purpose<'_> {
    fn info(&self) -> Vec<u8> {
        [self.sealed.label(), self.context].concat()
    }
}

/// The random bytes of one encapsulation, drawn before so that a failing source is an error and no panic.
pub(super) struct Ephemeral(pub(super) Option<Key32>);

impl TryRng for Ephemeral {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("an encapsulation draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("an encapsulation draws bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let drawn = self.0.take().expect("an encapsulation draws once");
        bytes.copy_from_slice(drawn.as_bytes());
        Ok(())
    }
}

impl TryCryptoRng for Ephemeral {}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: Purpose<'static> = Purpose { sealed: Sealed::ClientShare, context: b"client 1" };

    fn key(byte: u8) -> OpenKey {
        OpenKey::new(&Key32::new([byte; 32]))
    }

    #[test]
    fn opens_for_its_receiver_and_purpose_only() {
        let sealed = key(1).seal_key().seal(PURPOSE, b"aad", b"share").expect("seals");
        assert_eq!(sealed.len(), 5 + OVERHEAD);
        assert_eq!(key(1).open(PURPOSE, b"aad", &sealed).expect("opens").as_slice(), b"share");
        let other_label = Purpose { sealed: Sealed::Delta, ..PURPOSE };
        let other_context = Purpose { context: b"client 2", ..PURPOSE };
        assert!(key(2).open(PURPOSE, b"aad", &sealed).is_err());
        assert!(key(1).open(other_label, b"aad", &sealed).is_err());
        assert!(key(1).open(other_context, b"aad", &sealed).is_err());
        assert!(key(1).open(PURPOSE, b"", &sealed).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_length_is_refused() {
        let sealed = key(1).seal_key().seal(PURPOSE, b"", b"s").expect("seals");
        // The top bit of the encapsulated key means nothing in X25519, but HPKE hashes its bytes.
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(key(1).open(PURPOSE, b"", &altered).is_err(), "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert!(key(1).open(PURPOSE, b"", &sealed[..cut]).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let seal = || key(1).seal_key().seal(PURPOSE, b"", b"s").expect("seals");
        assert_ne!(seal(), seal());
    }

    #[test]
    fn keys_of_small_order_are_refused() {
        let mut one = [0; 32];
        one[0] = 1;
        let mut p_minus_1 = [0xff; 32];
        (p_minus_1[0], p_minus_1[31]) = (0xec, 0x7f);
        for bytes in [[0; 32], one, p_minus_1, [0xff; 32]] {
            assert_eq!(SealKey::from_bytes(&bytes), Err(BadPublicKey), "{}", hex::encode(bytes));
        }
        let good = key(1).seal_key();
        assert_eq!(SealKey::from_bytes(&good.to_bytes()), Ok(good));
    }

    #[test]
    fn messages_past_the_limit_are_refused() {
        let long = vec![0; MAX_MESSAGE + 1];
        assert_eq!(key(1).seal_key().seal(PURPOSE, b"", &long), Err(SealError::TooLong));
        assert!(key(1).open(PURPOSE, b"", &vec![0; MAX_MESSAGE + OVERHEAD + 1]).is_err());
        assert!(key(1).seal_key().seal(PURPOSE, b"", &long[1..]).is_ok());
    }
}
