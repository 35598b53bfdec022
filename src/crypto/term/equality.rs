//! Equality terms: `HMAC-SHA256(HKDF-Expand(term root, label || class), canonical)[..16]`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::derive::{self, TERM_EQUALITY};
use super::super::secret::TermRoot;

/// Bytes of an equality term.
pub const TERM: usize = 16;

/// Makes the equality terms of one encrypted type in one keyset and plaintext class. Keeps the keyed HMAC state, which
/// is wiped on drop.
pub struct EqKey(Hmac<Sha256>);

impl EqKey {
    /// `class` separates plaintext classes that one root serves; 0 where there is but one.
    pub fn new(root: &TermRoot, class: u8) -> Self {
        let key = derive::expand32(root.as_bytes(), &[TERM_EQUALITY, &[class]]);
        Self(Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length"))
    }

    /// The term of a value in canonical form: equal forms, and practically only those, have equal terms.
    pub fn term(&self, canonical: &[u8]) -> [u8; TERM] {
        let mut mac = self.0.clone();
        mac.update(canonical);
        let full = mac.finalize().into_bytes();
        let mut term = [0; TERM];
        term.copy_from_slice(&full[..TERM]);
        term
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Key32;

    fn key(root: u8, class: u8) -> EqKey {
        EqKey::new(&TermRoot::new(Key32::new([root; 32])), class)
    }

    #[test]
    fn known_answer() {
        // HMAC-SHA256 and HKDF-Expand of Python's hmac and hashlib over the same inputs.
        assert_eq!(hex::encode(key(7, 0).term(b"ada@example.com")), "ffc45872916428612c1cb250d0875966");
    }

    #[test]
    fn equal_values_only_and_only_under_the_same_key() {
        let term = key(1, 0).term(b"a");
        assert_eq!(term, key(1, 0).term(b"a"));
        assert_ne!(term, key(1, 0).term(b"b"));
        assert_ne!(term, key(1, 0).term(b""));
        assert_ne!(term, key(1, 1).term(b"a"));
        assert_ne!(term, key(2, 0).term(b"a"));
    }

    #[test]
    fn is_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<EqKey>();
    }
}
