//! JSON terms: for every path of a document that it exists, and each scalar at it, keyed.
//!
//! ```text
//! path(k1 … kn) = HMAC-SHA256(key, 1 || path(k1 … kn-1) || kn)      path() = 32 zero bytes
//! exists        = HMAC-SHA256(key, 2 || path)[..8] as a signed number
//! scalar        = HMAC-SHA256(key, 3 || path || text)[..8]
//! null          = HMAC-SHA256(key, 4 || path)[..8]
//! term          = the sorted set of a document's tokens, filled with decoys to a multiple of 8
//! ```
//!
//! A path is made of keys alone: where an element stands in an array, and that it stands in one, is no part of it. So a document
//! has every token of one that it contains. What is walked, and the text of a scalar, is not decided here. Some documents have the
//! tokens of what they do not contain, so what has them must be looked at.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::super::derive::{self, TERM_JSON};
use super::super::secret::TermRoot;

/// Terms have a multiple of this many tokens.
pub const MULTIPLE: usize = 8;

/// Different decoys, as of match terms.
const DECOYS: u8 = 64;

const KEY: u8 = 1;
const EXISTS: u8 = 2;
const SCALAR: u8 = 3;
const NULL: u8 = 4;
const DECOY: u8 = 5;
const CHOICE: u8 = 6;

/// Makes the JSON terms of one encrypted type in one keyset. Keeps the keyed HMAC state, which is wiped on drop.
pub struct JsonKey(Hmac<Sha256>);

/// A path within documents.
#[derive(Clone, Copy)]
pub struct Path([u8; 32]);

impl JsonKey {
    /// `class` as of [`EqKey`](super::equality::EqKey).
    pub fn new(root: &TermRoot, class: u8) -> Self {
        let key = derive::expand32(root.as_bytes(), &[TERM_JSON, &[class]]);
        Self(Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length"))
    }

    /// The path of a whole document.
    pub fn root(&self) -> Path {
        Path([0; 32])
    }

    /// A path with a key more.
    pub fn path(&self, outer: &Path, key: &str) -> Path {
        Path(self.mac(&[&[KEY], &outer.0, key.as_bytes()]))
    }

    /// The token of documents that have something at a path.
    pub fn exists(&self, path: &Path) -> i64 {
        token(self.mac(&[&[EXISTS], &path.0]))
    }

    /// The token of documents that have a scalar at a path. `text`: the same for equal scalars.
    pub fn scalar(&self, path: &Path, text: &str) -> i64 {
        token(self.mac(&[&[SCALAR], &path.0, text.as_bytes()]))
    }

    /// The token of documents that have `null` at a path.
    pub fn null(&self, path: &Path) -> i64 {
        token(self.mac(&[&[NULL], &path.0]))
    }

    /// The term of a document with these tokens: sorted, a multiple of [`MULTIPLE`], never empty. Decoys hide how many there are,
    /// and follow from the tokens, so that equal documents stored twice tell nothing new.
    pub fn term(&self, mut tokens: Vec<i64>) -> Vec<i64> {
        tokens.sort_unstable();
        tokens.dedup();
        let missing = tokens.len().max(1).next_multiple_of(MULTIPLE) - tokens.len();
        let sum = tokens.iter().fold(0i64, |sum, token| sum.wrapping_add(*token));
        let choice = self.mac(&[&[CHOICE], &sum.to_be_bytes(), &(tokens.len() as u64).to_be_bytes()]);
        for &byte in choice.iter().take(missing) {
            let mut number = byte % DECOYS;
            let decoy = loop {
                let decoy = token(self.mac(&[&[DECOY], &[number]]));
                if !tokens.contains(&decoy) {
                    break decoy;
                }
                number = (number + 1) % DECOYS;
            };
            tokens.push(decoy);
        }
        tokens.sort_unstable();
        tokens
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

fn token(mac: [u8; 32]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = mac;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Key32;

    fn key(root: u8, class: u8) -> JsonKey {
        JsonKey::new(&TermRoot::new(Key32::new([root; 32])), class)
    }

    /// Of Python's hmac and hashlib over the formula above.
    #[test]
    fn known_answers() {
        let key = key(7, 0);
        let root = key.root();
        let a = key.path(&root, "a");
        let b = key.path(&a, "b");
        assert_eq!(hex::encode(b.0), "93bbe5ccd08da6c0d3edba98215ddd84d01fd833a696ff71d78571bd8b130749");
        let tokens = [key.exists(&a), key.exists(&b), key.scalar(&b, "1.5"), key.null(&a), key.scalar(&root, "ada")];
        assert_eq!(
            tokens,
            [1725244165837897847, 327950358121764369, 7351617542149573376, 278030217158689814, -8736604259222955938]
        );
        assert_eq!(
            key.term(vec![key.exists(&a)]),
            [
                -8188151215091258870,
                -7832257378446007681,
                -6175240933361036338,
                -4591544143453035998,
                -2884154106715763144,
                -1848047036219384423,
                1725244165837897847,
                5917536600792622571
            ]
        );
    }

    #[test]
    fn terms_are_sorted_sets_of_a_multiple_of_eight() {
        let key = key(1, 0);
        for n in 0..100 {
            let tokens = |reversed: bool| -> Vec<i64> {
                let tokens = (0..n).map(|i| key.scalar(&key.root(), &i.to_string()));
                if reversed { tokens.rev().collect() } else { tokens.clone().chain(tokens).collect() }
            };
            let term = key.term(tokens(false));
            assert!(!term.is_empty() && term.len().is_multiple_of(MULTIPLE), "{n} tokens: {}", term.len());
            assert!(term.windows(2).all(|pair| pair[0] < pair[1]), "{n} tokens");
            assert!(tokens(true).iter().all(|token| term.binary_search(token).is_ok()), "{n} tokens");
            assert_eq!(term, key.term(tokens(true)), "neither order nor repetition counts");
        }
    }

    #[test]
    fn what_differs_has_other_tokens() {
        let of = |key: &JsonKey| {
            let root = key.root();
            let (a, ab) = (key.path(&root, "a"), key.path(&key.path(&root, "a"), "b"));
            let (flat, empty) = (key.path(&root, "ab"), key.path(&root, ""));
            let paths = [root, a, ab, flat, empty, key.path(&empty, "")];
            let each = |path: &Path| [key.exists(path), key.null(path), key.scalar(path, ""), key.scalar(path, "null")];
            paths.iter().flat_map(each).collect::<Vec<i64>>()
        };
        let mut all = [of(&key(1, 0)), of(&key(1, 1)), of(&key(2, 0))].concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "other paths, kinds, classes and roots");
    }
}
