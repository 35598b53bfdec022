//! The engine of aws-lc: about four times faster on short values.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};

use super::super::random::NONCE;
use super::super::secret::Key32;
use super::{Refused, TAG};

/// A key, ready for use. aws-lc wipes its state when freed.
pub(in crate::crypto) struct Cipher(LessSafeKey);

impl Cipher {
    pub(in crate::crypto) fn new(key: &Key32) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key.as_bytes()).expect("the key has the algorithm's 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts `text` in place and writes the tag.
    pub(in crate::crypto) fn seal(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG],
    ) -> Result<(), Refused> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.seal_in_place_scatter(nonce, Aad::from(aad), text, &[], tag).map_err(|_| Refused)
    }

    /// Decrypts `ciphertext` into `text` of the same length. On refusal `text` holds nothing of use.
    pub(in crate::crypto) fn open(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG],
        text: &mut [u8],
    ) -> Result<(), Refused> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, text).map_err(|_| Refused)
    }
}
