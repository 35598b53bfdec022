//! Why a root key cannot be used: one cause each, with what to do. No secrets in any.

/// What is wrong with a root key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RootKeyFault {
    /// There is no such file, variable, key or token.
    #[error("is missing: {0}")]
    Missing(String),
    /// It is there, but is no root key.
    #[error("cannot be used: {0}")]
    Malformed(String),
    /// Whoever holds it does not answer.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It is switched off or about to be deleted.
    #[error("is disabled: {0}")]
    Disabled(String),
    /// Whoever holds it refuses this caller.
    #[error("may not be used by this caller: {0}")]
    Denied(String),
    /// It works, and does not open this store.
    #[error("is not one that opens this store")]
    Wrong,
    /// Whoever holds it answered with something that cannot be.
    #[error("gave a wrong answer: {0}")]
    BadAnswer(String),
    /// This binary was built without it.
    #[error("is of a kind that this binary was built without: feature {0}")]
    NotBuilt(&'static str),
}

impl RootKeyFault {
    /// What to do about it, as a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing(_) => {
                "Put back the root key the store was made with, or name the right one; `columnseal store status` lists them."
            }
            Self::Malformed(_) => {
                "Put back the root key as it was made: docs/operations.md shows the form of each kind."
            }
            Self::Unreachable(_) => "Make the service or device that holds the root key reachable, and start again.",
            Self::Disabled(_) => "Enable the root key where it is kept, or open the store by another of its root keys.",
            Self::Denied(_) => "Give this caller the right to encrypt and decrypt with the root key.",
            Self::Wrong => "Name a root key of this very store; `columnseal store status` lists them.",
            Self::BadAnswer(_) => "Check what answers at that address, and do not trust it until it is known.",
            Self::NotBuilt(_) => "Use a binary with that feature, or another kind of root key.",
        }
    }
}
