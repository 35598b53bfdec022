//! Search terms: what the database compares instead of plaintext. What each leaks is in `docs/keys.md`.
//!
//! A term is made from the canonical form of a value; making that form is not done here.

pub mod equality;
pub mod json;
pub mod matching;
pub mod order;

use super::secret::TermRoot;
use equality::EqKey;
use json::JsonKey;
use matching::MatchKey;
use order::{Digits, OrdKey};

/// One plaintext class per type so far.
const CLASS: u8 = 0;

/// The keys of all terms that one encrypted type may have in one keyset.
pub struct TermKeys {
    /// Of equality terms.
    pub eq: EqKey,
    /// Of match terms.
    pub matching: MatchKey,
    /// Of JSON terms.
    pub json: JsonKey,
    ord: OrdKey,
    hardened: OrdKey,
}

impl TermKeys {
    /// Derived from the type's term root.
    pub fn new(root: &TermRoot) -> Self {
        let ord = |digits| OrdKey::new(root, CLASS, digits);
        Self {
            eq: EqKey::new(root, CLASS),
            matching: MatchKey::new(root, CLASS),
            json: JsonKey::new(root, CLASS),
            ord: ord(Digits::Short),
            hardened: ord(Digits::Long),
        }
    }

    /// Of order terms with such digits.
    pub fn ord(&self, digits: Digits) -> &OrdKey {
        match digits {
            Digits::Short => &self.ord,
            Digits::Long => &self.hardened,
        }
    }
}
