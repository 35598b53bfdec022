//! A data key and what it seals and opens.

use zeroize::Zeroize;

use super::super::aead::{Cipher, TAG};
use super::super::derive::ENVELOPE;
use super::super::random::{self, NONCE, RandomError};
use super::super::secret::Key32;
use super::super::{Epoch, KeyId, KeysetId, Kref, TypeId};
use super::{EnvelopeError, HEADER, Header, MAX_ENVELOPE, OVERHEAD, PREFIX, Padding, type_tag};

const AAD: usize = ENVELOPE.len() + HEADER + 16 + 4 + 16;
const AAD_HEADER: usize = ENVELOPE.len();
const AAD_KEYSET: usize = AAD_HEADER + HEADER;
const AAD_EPOCH: usize = AAD_KEYSET + 16;
const AAD_TYPE: usize = AAD_EPOCH + 4;

/// A ready cipher, bound to its name, keyset and epoch. Seals and opens without allocating beyond the caller's buffer.
pub struct DataKey {
    cipher: Cipher,
    kref: Kref,
    key_id: KeyId,
    keyset: KeysetId,
    epoch: Epoch,
    seals: bool,
}

/// Why a value was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No nonce.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The envelope would be longer than a database value can be.
    #[error("value is too long to be encrypted")]
    TooLong,
    /// The key was fetched without proof, to open with.
    #[error("this data key is for decrypting only")]
    OpenOnly,
}

/// Why an envelope was not opened. A refusal carries no detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No envelope at all.
    #[error(transparent)]
    Malformed(#[from] EnvelopeError),
    /// The envelope names another key than this one.
    #[error("encrypted value names another data key")]
    OtherKey,
    /// Altered, of another type, keyset or epoch, or this is not the key it was sealed with.
    #[error("encrypted value does not open")]
    Refused,
}

impl DataKey {
    /// A key whose derivation was proved: it seals and opens.
    pub fn new(kref: Kref, keyset: KeysetId, epoch: Epoch, key_id: KeyId, key: Key32) -> Self {
        Self { cipher: Cipher::new(&key), kref, key_id, keyset, epoch, seals: true }
    }

    /// A key derived without proof: it opens only, since the AEAD's tag is what tells a false key.
    pub fn new_open_only(kref: Kref, keyset: KeysetId, epoch: Epoch, key_id: KeyId, key: Key32) -> Self {
        Self { seals: false, ..Self::new(kref, keyset, epoch, key_id, key) }
    }

    /// Keyset and data epoch, as in the envelope.
    pub fn kref(&self) -> Kref {
        self.kref
    }

    /// The key's name, as in the envelope.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The keyset.
    pub fn keyset(&self) -> KeysetId {
        self.keyset
    }

    /// The epoch of the keyset's data key.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether this key may seal.
    pub fn seals(&self) -> bool {
        self.seals
    }

    /// Appends the envelope of `plaintext` to `out`; nothing on error.
    pub fn seal(
        &self,
        type_id: &TypeId,
        padding: Padding,
        codec: u8,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        if !self.seals {
            return Err(SealError::OpenOnly);
        }
        let header = Header { padding, codec, kref: self.kref, key_id: self.key_id, type_tag: type_tag(type_id) };
        self.seal_under(&header, &random::nonce()?, type_id, plaintext, out)
    }

    /// Appends the plaintext of `envelope` to `out`, padding removed, and returns its codec; nothing on error.
    pub fn open(&self, type_id: &TypeId, envelope: &[u8], out: &mut Vec<u8>) -> Result<u8, OpenError> {
        let header = Header::parse(envelope)?;
        if header.kref != self.kref || header.key_id != self.key_id {
            return Err(OpenError::OtherKey);
        }
        let start = out.len();
        match self.open_into(&header, type_id, envelope, out) {
            Some(length) => {
                out.truncate(start + length);
                Ok(header.codec)
            }
            None => {
                out[start..].zeroize();
                out.truncate(start);
                Err(OpenError::Refused)
            }
        }
    }

    pub(super) fn seal_under(
        &self,
        header: &Header,
        nonce: &[u8; NONCE],
        type_id: &TypeId,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let padded = header.padding.padded_len(plaintext.len()).ok_or(SealError::TooLong)?;
        if padded > MAX_ENVELOPE - OVERHEAD {
            return Err(SealError::TooLong);
        }
        let start = out.len();
        out.reserve(OVERHEAD + padded);
        let header_bytes = header.bytes();
        out.extend_from_slice(&header_bytes);
        out.extend_from_slice(nonce);
        out.extend_from_slice(plaintext);
        header.padding.append(plaintext.len(), padded, out);
        self.encrypt(start, &header_bytes, nonce, type_id, out)
    }

    /// Encrypts what follows the prefix of the envelope that begins at `start`, and appends the tag.
    pub(super) fn encrypt(
        &self,
        start: usize,
        header: &[u8; HEADER],
        nonce: &[u8; NONCE],
        type_id: &TypeId,
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let aad = self.aad(header, type_id);
        let mut tag = [0; TAG];
        if self.cipher.seal(nonce, &aad, &mut out[start + PREFIX..], &mut tag).is_err() {
            out[start..].zeroize();
            out.truncate(start);
            return Err(SealError::TooLong);
        }
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Decrypts to the end of `out` and returns the plaintext's length there, which may be less than was appended.
    fn open_into(&self, header: &Header, type_id: &TypeId, envelope: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let (header_bytes, rest) = envelope.split_first_chunk::<HEADER>()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG>()?;
        let start = out.len();
        out.resize(start + ciphertext.len(), 0);
        let aad = self.aad(header_bytes, type_id);
        self.cipher.open(nonce, &aad, ciphertext, tag, &mut out[start..]).ok()?;
        header.padding.plain_len(&out[start..])
    }

    fn aad(&self, header: &[u8; HEADER], type_id: &TypeId) -> [u8; AAD] {
        let mut aad = [0; AAD];
        aad[..AAD_HEADER].copy_from_slice(ENVELOPE);
        aad[AAD_HEADER..AAD_KEYSET].copy_from_slice(header);
        aad[AAD_KEYSET..AAD_EPOCH].copy_from_slice(&self.keyset.0);
        aad[AAD_EPOCH..AAD_TYPE].copy_from_slice(&self.epoch.0.to_be_bytes());
        aad[AAD_TYPE..].copy_from_slice(&type_id.0);
        aad
    }
}
