//! Small secrets at rest: AES-256-GCM-SIV under a key from outside the store. Not for values of columns.

use super::aead::{Cipher, TAG};
use super::derive::WRAP;
use super::random::{self, NONCE, RandomError};
use super::secret::{Key32, SecretBytes};

/// Bytes that wrapping adds.
pub const OVERHEAD: usize = NONCE + TAG;
/// Longest secret that is wrapped.
pub const MAX_SECRET: usize = 64 * 1024;

/// A key that wraps secrets.
pub struct WrapKey(Cipher);

/// Why a secret was not wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// No nonce.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// More than [`MAX_SECRET`] bytes.
    #[error("a secret to wrap is longer than {MAX_SECRET} bytes")]
    TooLong,
}

/// What was wrapped does not open: another key, another place, or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a wrapped secret does not open")]
pub struct UnwrapError;

impl WrapKey {
    /// Of a uniformly random key.
    pub fn new(key: &Key32) -> Self {
        Self(Cipher::new(key))
    }

    /// `nonce 12 || ciphertext || tag 16`, bound to `place`: what the secret is and to whom it belongs, encoded
    /// unambiguously by the caller.
    pub fn wrap(&self, place: &[u8], secret: &[u8]) -> Result<Vec<u8>, WrapError> {
        if secret.len() > MAX_SECRET {
            return Err(WrapError::TooLong);
        }
        let nonce = random::nonce()?;
        let mut wrapped = Vec::with_capacity(secret.len() + OVERHEAD);
        wrapped.extend_from_slice(&nonce);
        wrapped.extend_from_slice(secret);
        let mut tag = [0; TAG];
        self.0.seal(&nonce, &aad(place), &mut wrapped[NONCE..], &mut tag).map_err(|_| WrapError::TooLong)?;
        wrapped.extend_from_slice(&tag);
        Ok(wrapped)
    }

    /// The secret, if `wrapped` was made under this key for this `place`.
    pub fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretBytes, UnwrapError> {
        let (nonce, rest) = wrapped.split_first_chunk::<NONCE>().ok_or(UnwrapError)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or(UnwrapError)?;
        if ciphertext.len() > MAX_SECRET {
            return Err(UnwrapError);
        }
        let mut secret = SecretBytes::new(vec![0; ciphertext.len()]);
        self.0.open(nonce, &aad(place), ciphertext, tag, &mut secret).map_err(|_| UnwrapError)?;
        Ok(secret)
    }
}

fn aad(place: &[u8]) -> Vec<u8> {
    [WRAP, place].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> WrapKey {
        WrapKey::new(&Key32::new([byte; 32]))
    }

    #[test]
    fn opens_only_with_its_key_and_place() {
        let wrapped = key(1).wrap(b"share a", b"secret").expect("wrap");
        assert_eq!(wrapped.len(), 6 + OVERHEAD);
        assert_eq!(key(1).unwrap(b"share a", &wrapped).expect("unwrap").as_slice(), b"secret");
        assert!(key(2).unwrap(b"share a", &wrapped).is_err());
        assert!(key(1).unwrap(b"share b", &wrapped).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_length_is_refused() {
        let wrapped = key(1).wrap(b"", b"secret").expect("wrap");
        for bit in 0..wrapped.len() * 8 {
            let mut altered = wrapped.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(key(1).unwrap(b"", &altered).is_err(), "bit {bit}");
        }
        for cut in 0..wrapped.len() {
            assert!(key(1).unwrap(b"", &wrapped[..cut]).is_err(), "cut to {cut}");
        }
    }

    #[test]
    fn too_long_is_refused() {
        assert_eq!(key(1).wrap(b"", &vec![0; MAX_SECRET + 1]), Err(WrapError::TooLong));
        assert!(key(1).unwrap(b"", &vec![0; MAX_SECRET + OVERHEAD + 1]).is_err());
    }
}
