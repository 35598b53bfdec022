//! The engine of RustCrypto: pure Rust, for targets without aws-lc, and the oracle of the other engine's tests.

use aes_gcm_siv::aead::inout::InOutBuf;
use aes_gcm_siv::{AeadInOut, Aes256GcmSiv, KeyInit};

use super::super::random::NONCE;
use super::super::secret::Key32;
use super::{Refused, TAG};

/// A key, ready for use.
pub(in crate::crypto) struct Cipher(Aes256GcmSiv);

impl Cipher {
    pub(in crate::crypto) fn new(key: &Key32) -> Self {
        Self(Aes256GcmSiv::new(key.as_bytes().into()))
    }

    /// Encrypts `text` in place and writes the tag.
    pub(in crate::crypto) fn seal(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8; TAG],
    ) -> Result<(), Refused> {
        let made = self.0.encrypt_inout_detached(nonce.into(), aad, InOutBuf::from(text)).map_err(|_| Refused)?;
        tag.copy_from_slice(&made);
        Ok(())
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
        let buffers = InOutBuf::new(ciphertext, text).map_err(|_| Refused)?;
        self.0.decrypt_inout_detached(nonce.into(), aad, buffers, tag.into()).map_err(|_| Refused)
    }
}
