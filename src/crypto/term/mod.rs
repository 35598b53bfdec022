//! Search terms: what the database compares instead of plaintext. What each leaks is in `docs/keys.md`.
//!
//! A term is made from the canonical form of a value; making that form is not done here.

pub mod equality;
pub mod matching;
pub mod order;

use super::secret::TermRoot;
use equality::EqKey;
use matching::MatchKey;
use order::OrdKey;

/// One plaintext class per type so far.
const CLASS: u8 = 0;

/// The keys of all terms that one encrypted type may have in one keyset.
pub struct TermKeys {
    /// Of equality terms.
    pub eq: EqKey,
    /// Of order terms.
    pub ord: OrdKey,
    /// Of match terms.
    pub matching: MatchKey,
}

impl TermKeys {
    /// Derived from the type's term root.
    pub fn new(root: &TermRoot) -> Self {
        Self { eq: EqKey::new(root, CLASS), ord: OrdKey::new(root, CLASS), matching: MatchKey::new(root, CLASS) }
    }
}
