//! Secret bytes: wiped on drop; no `Debug`, `Clone`, `==` or serialization.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::random::{self, RandomError};

/// 32 secret bytes: a data key or a seed.
pub struct Key32([u8; 32]);

impl Key32 {
    /// Takes over `bytes`. The caller wipes its own copy.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Fresh from the system's random source.
    pub fn generate() -> Result<Self, RandomError> {
        let mut key = Self([0; 32]);
        random::fill(&mut key.0)?;
        Ok(key)
    }

    /// The bytes. Do not copy them where they are not wiped.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Equality in constant time.
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Drop for Key32 {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The root of all search terms of one encrypted type in one keyset.
pub struct TermRoot(Key32);

impl TermRoot {
    /// Takes over a derived key.
    pub fn new(key: Key32) -> Self {
        Self(key)
    }

    /// The bytes. Do not copy them where they are not wiped.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// Plaintext or key material on its way, wiped on drop.
pub type SecretBytes = Zeroizing<Vec<u8>>;
