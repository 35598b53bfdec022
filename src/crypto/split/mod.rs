//! Split keys: a secret x that exists nowhere, of which a client holds c and the key service s, with `c + s = x mod ℓ`.
//!
//! ```text
//! H1(t) = hash_to_ristretto255(t)                          S  = s·H1(tag)            (the service's answer)
//! Z     = c·H1(tag) + S = x·H1(tag)                        X  = x·B                  (public, in the certificate)
//! K     = HKDF-SHA256(salt = m, ikm = enc(2Z), info = "columnseal key v1" || tag)
//! ```
//! One proof per batch shows that every S was made with the s of `X − c·B`. m is the hedge secret of an epoch, known to
//! granted clients only. Which keyset has which shares, and who may ask, is not decided here.

mod answer;
mod derivation;
mod grant;
mod hedge;
mod share;
mod tag;
#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use derivation::Check;
pub use grant::{Delta, keyset_public};
pub use hedge::{Commitment, Hedge};
pub use share::{ClientShare, PublicShare, ServerShare};
pub use tag::Tag;

pub use super::dleq::{MAX_BATCH, Proof};
use super::random::RandomError;

/// The algorithms of a keyset; named in certificate, grant and every tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Suite {
    /// ristretto255, SHA-512, HKDF-SHA256, AES-256-GCM-SIV.
    Ristretto255,
}

impl Suite {
    /// The suite's byte.
    pub fn code(self) -> u8 {
        match self {
            Self::Ristretto255 => 1,
        }
    }

    /// The suite of a byte.
    pub fn from_code(code: u8) -> Option<Self> {
        (code == 1).then_some(Self::Ristretto255)
    }
}

/// Why an act with split keys failed. Whoever sent the bytes named is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No tag, or more than [`MAX_BATCH`].
    #[error("a batch of keys has an impossible size")]
    BatchSize,
    /// Another number of answers than of tags.
    #[error("the key service gave another number of answers than was asked for")]
    AnswerCount,
    /// A tag of the other kind.
    #[error("a tag of another kind was asked for")]
    TagKind,
    /// A share that is no canonical scalar, or 0.
    #[error("a key share is malformed")]
    BadShare,
    /// A public share or answer that is no canonical point, or the identity.
    #[error("a public share or an answer of the key service is malformed")]
    BadPoint,
    /// The key service's proof does not hold: its answers are not to be used.
    #[error("the key service's proof does not hold")]
    BadProof,
    /// The shares of a grant do not add up to the keyset's public share.
    #[error("the shares of a grant do not fit the keyset")]
    Mismatch,
    /// The hedge secret is not the one the certificate commits to.
    #[error("the hedge secret does not fit the keyset's certificate")]
    BadHedge,
}
