//! The arithmetic of creating a keyset and of granting it. What is signed, sealed and stored is the callers' part.
//!
//! ```text
//! create: service draws s_A; admin draws a:      X   = a·B + s_A·B
//! grant:  admin draws c_i, tells the service     δ   = a − c_i        (sealed, never stored)
//!         service:                               s_i = s_A + δ,       checked: s_i·B = X − C_i
//! ```

use curve25519_dalek::scalar::Scalar;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::super::group;
use super::super::random::RandomError;
use super::{ClientShare, PublicShare, ServerShare, SplitError};

/// δ, used once: given to the service sealed and consumed there.
pub struct Delta(Scalar);

impl Delta {
    /// From its canonical 32 bytes, little endian.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SplitError> {
        Ok(Self(group::decode_scalar(bytes).ok_or(SplitError::BadShare)?))
    }

    /// The bytes to seal to the service.
    pub fn into_bytes(self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }
}

impl Drop for Delta {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// `X = a·B + s_A·B`: the public share of a new keyset.
pub fn keyset_public(admin: &ClientShare, server_public: &PublicShare) -> Result<PublicShare, SplitError> {
    admin.public().plus(server_public)
}

impl ClientShare {
    /// The admin's part of a grant: a fresh share for the client, and δ for the service.
    pub fn grant(&self) -> Result<(ClientShare, Delta), RandomError> {
        let share = ClientShare::generate()?;
        let delta = Delta(self.0 - share.0);
        Ok((share, delta))
    }

    /// Checks a received share against the `C_i` of the signed grant.
    pub fn verify(&self, public: &PublicShare) -> Result<(), SplitError> {
        let same = self.public().to_bytes().ct_eq(&public.to_bytes());
        if same.into() { Ok(()) } else { Err(SplitError::Mismatch) }
    }
}

impl ServerShare {
    /// The service's part of a grant: `s_i = s_A + δ`, if that fits `X − C_i`.
    pub fn grant(&self, delta: Delta, keyset: &PublicShare, client: &PublicShare) -> Result<ServerShare, SplitError> {
        let share = ServerShare(self.0 + delta.0);
        share.verify(keyset, client)?;
        Ok(share)
    }

    /// Checks that this share completes the client's: `s·B = X − C`.
    pub fn verify(&self, keyset: &PublicShare, client: &PublicShare) -> Result<(), SplitError> {
        let expected = keyset.minus(client)?;
        let same = self.public().to_bytes().ct_eq(&expected.to_bytes());
        if same.into() { Ok(()) } else { Err(SplitError::Mismatch) }
    }
}
