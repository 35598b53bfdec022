//! The two halves of a split key, and their public images.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize, Zeroizing};

use super::super::group;
use super::super::random::RandomError;
use super::SplitError;

macro_rules! share {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(pub(super) Scalar);

        impl $name {
            /// A random share.
            pub fn generate() -> Result<Self, RandomError> {
                Ok(Self(group::random_scalar()?))
            }

            /// From its 32 bytes, little endian: canonical and not 0.
            pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SplitError> {
                let scalar = group::decode_scalar(bytes).filter(|scalar| *scalar != Scalar::ZERO);
                Ok(Self(scalar.ok_or(SplitError::BadShare)?))
            }

            /// The 32 bytes, little endian.
            pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
                Zeroizing::new(self.0.to_bytes())
            }

            /// The share times the base point.
            pub fn public(&self) -> PublicShare {
                PublicShare::of(RistrettoPoint::mul_base(&self.0))
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }
    };
}

share!(/// A client's half of a split key: c; for the admin who created the keyset, a.
    ClientShare);
share!(/// The key service's half of a split key for one client: s.
    ServerShare);

/// A share or a whole split key, times the base point. Never the identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicShare {
    pub(super) point: RistrettoPoint,
    bytes: [u8; 32],
}

impl AsRef<[u8]> for PublicShare {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl TryFrom<Vec<u8>> for PublicShare {
    type Error = SplitError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, SplitError> {
        Self::from_bytes(<&[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| SplitError::BadShare)?)
    }
}

impl PublicShare {
    /// From its canonical encoding.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SplitError> {
        let point = group::decode_point(bytes).ok_or(SplitError::BadPoint)?;
        Ok(Self { point, bytes: *bytes })
    }

    /// The canonical encoding.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.bytes
    }

    /// Of a point that is not the identity.
    pub(super) fn of(point: RistrettoPoint) -> Self {
        Self { point, bytes: point.compress().to_bytes() }
    }

    /// `self + other`, unless that is the identity.
    pub(super) fn plus(&self, other: &Self) -> Result<Self, SplitError> {
        Self::checked(self.point + other.point)
    }

    /// `self − other`, unless that is the identity.
    pub(super) fn minus(&self, other: &Self) -> Result<Self, SplitError> {
        Self::checked(self.point - other.point)
    }

    fn checked(point: RistrettoPoint) -> Result<Self, SplitError> {
        let sum = Self::of(point);
        if sum.bytes == [0; 32] { Err(SplitError::Mismatch) } else { Ok(sum) }
    }
}
