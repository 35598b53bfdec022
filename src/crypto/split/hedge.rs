//! The hedge secret m of an epoch: without it even a broken group gives no key to the key service.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::super::derive::{self, HEDGE_COMMIT};
use super::super::random::RandomError;
use super::super::secret::Key32;
use super::SplitError;

/// m: 32 secret bytes, only ever inside sealed shares.
pub struct Hedge(Key32);

/// `HKDF-SHA256(salt = "", ikm = m, info = "commit")`: stands in the certificate.
pub type Commitment = [u8; 32];

impl Hedge {
    /// A random secret.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(Key32::generate()?))
    }

    /// From a sealed share.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Key32::new(*bytes))
    }

    /// For a sealed share.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(*self.0.as_bytes())
    }

    /// What the certificate says of it.
    pub fn commit(&self) -> Commitment {
        *derive::hkdf32(&[], self.0.as_bytes(), &[HEDGE_COMMIT]).as_bytes()
    }

    /// Checks the secret against the certificate.
    pub fn verify(&self, commitment: &Commitment) -> Result<(), SplitError> {
        if self.commit().ct_eq(commitment).into() { Ok(()) } else { Err(SplitError::BadHedge) }
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}
