//! Match terms: sets of keyed trigrams, so that a value that holds a run of characters has all terms of the run.
//!
//! ```text
//! value:    S S c1 c2 … cn E E           each three that follow each other are a trigram: n + 2 of them
//! run:      c1 … cn, with S S before it where a pattern is anchored at the start, with E E after it at the end
//! token   = AES-256(key, trigram)[..4] as a signed number
//! whole   = AES-256(key, WHOLE || SHA-256(value without blanks at its end)[..12])[..4], where the type says so
//! term    = the sorted set of a value's tokens and its whole, filled with decoys to a multiple of 8
//! ```
//!
//! The characters are those of the folded value (`wire::value::like`): folding, and what is then compared exactly, is not done
//! here. A value that matches has every token of the pattern; some others have them too, so what has them must be
//! looked at.

use aes::Aes256Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

use super::super::derive::{self, TERM_MATCH};
use super::super::secret::TermRoot;

/// Terms have a multiple of this many tokens.
pub const MULTIPLE: usize = 8;

/// Stands before a value; no character.
const START: u32 = 0x11_0000;
/// Stands after a value; no character.
const END: u32 = 0x11_0001;
/// Stands first in the block of a decoy; no character.
const DECOY: u32 = u32::MAX;
/// Stands first in the block of a value as a whole; no character.
const WHOLE: u32 = u32::MAX - 1;
/// Different decoys: few, so that each stands in as many values as a common trigram does.
const DECOYS: u8 = 64;
/// Blocks encrypted at once.
const BATCH: usize = 64;

type Block = Array<u8, aes::cipher::consts::U16>;

/// Makes the match terms of one encrypted type in one keyset. Wiped on drop.
pub struct MatchKey(Aes256Enc);

/// A run of characters that a value must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run<'t> {
    /// The characters, folded as the values are.
    pub text: &'t str,
    /// The value begins with it.
    pub starts: bool,
    /// The value ends with it.
    pub ends: bool,
}

impl MatchKey {
    /// `class` as of [`EqKey`](super::equality::EqKey).
    pub fn new(root: &TermRoot, class: u8) -> Self {
        let key = derive::expand32(root.as_bytes(), &[TERM_MATCH, &[class]]);
        Self(Aes256Enc::new(&Array::from(*key.as_bytes())))
    }

    /// The term of a folded value: sorted, a multiple of [`MULTIPLE`] tokens, never empty. `whole`: [`Self::whole`] is one of them.
    pub fn term(&self, folded: &str, whole: bool) -> Vec<i32> {
        let mut tokens = self.tokens([Run { text: folded, starts: true, ends: true }]);
        if whole {
            let token = self.whole(folded);
            if let Err(at) = tokens.binary_search(&token) {
                tokens.insert(at, token);
            }
        }
        self.fill(&mut tokens);
        tokens
    }

    /// The token of a folded value as a whole. Blanks at its end do not count, so that it serves bpchar too.
    pub fn whole(&self, folded: &str) -> i32 {
        let digest: [u8; 12] = derive::hash(&[folded.trim_end_matches(' ').as_bytes()]);
        let mut block = block([WHOLE, 0, 0, 0]);
        block[4..].copy_from_slice(&digest);
        self.0.encrypt_block(&mut block);
        token(&block)
    }

    /// Tokens that every value has that holds all the runs: sorted. Empty where the runs are too short to have any.
    pub fn tokens<'t>(&self, runs: impl IntoIterator<Item = Run<'t>>) -> Vec<i32> {
        let mut tokens = Vec::new();
        let mut batch = Vec::with_capacity(BATCH);
        for run in runs {
            let mark = |mark: u32, stands: bool| std::iter::repeat_n(mark, if stands { 2 } else { 0 });
            let chars = mark(START, run.starts).chain(run.text.chars().map(u32::from)).chain(mark(END, run.ends));
            let mut window = [0u32; 3];
            for (n, c) in chars.enumerate() {
                window = [window[1], window[2], c];
                if n >= 2 {
                    batch.push(block([window[0], window[1], window[2], 0]));
                    if batch.len() == BATCH {
                        self.encrypt(&mut batch, &mut tokens);
                    }
                }
            }
        }
        self.encrypt(&mut batch, &mut tokens);
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }

    fn encrypt(&self, batch: &mut Vec<Block>, tokens: &mut Vec<i32>) {
        self.0.encrypt_blocks(batch);
        tokens.extend(batch.drain(..).map(|block| token(&block)));
    }

    /// Decoys hide how many tokens there are. They follow from the tokens, so that equal values stored twice tell nothing new.
    fn fill(&self, tokens: &mut Vec<i32>) {
        let missing = tokens.len().next_multiple_of(MULTIPLE) - tokens.len();
        if missing == 0 {
            return;
        }
        let sum = tokens.iter().fold(0u32, |sum, token| sum.wrapping_add(*token as u32));
        let mut choice = block([DECOY, DECOY, sum, tokens.len() as u32]);
        self.0.encrypt_block(&mut choice);
        for &byte in choice.iter().take(missing) {
            let mut number = byte % DECOYS;
            let decoy = loop {
                let mut block = block([DECOY, number.into(), 0, 0]);
                self.0.encrypt_block(&mut block);
                let decoy = token(&block);
                if !tokens.contains(&decoy) {
                    break decoy;
                }
                number = (number + 1) % DECOYS;
            };
            tokens.push(decoy);
        }
        tokens.sort_unstable();
    }
}

fn block(words: [u32; 4]) -> Block {
    let mut block = Block::default();
    for (bytes, word) in block.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    block
}

fn token(block: &Block) -> i32 {
    i32::from_be_bytes([block[0], block[1], block[2], block[3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::secret::Key32;

    fn key(root: u8) -> MatchKey {
        MatchKey::new(&TermRoot::new(Key32::new([root; 32])), 0)
    }

    fn run(text: &str, starts: bool, ends: bool) -> Run<'_> {
        Run { text, starts, ends }
    }

    fn has(term: &[i32], tokens: &[i32]) -> bool {
        tokens.iter().all(|t| term.binary_search(t).is_ok())
    }

    /// Of Python's hmac and cryptography over the formula above.
    #[test]
    fn known_answers() {
        assert_eq!(key(7).tokens([run("ada", false, false)]), [2034395434]);
        assert_eq!(key(7).whole("ada"), 206195701);
        assert_eq!(
            key(7).term("ada", false),
            [-1892238133, -1188731633, -1150712963, -1083090033, -972333087, 1769523438, 1854798721, 2034395434]
        );
    }

    #[test]
    fn terms_are_sorted_sets_of_a_multiple_of_eight() {
        let key = key(1);
        for n in 0..100 {
            let text: String = ('a'..='z').cycle().take(n).collect();
            let term = key.term(&text, n % 2 == 0);
            assert!(!term.is_empty() && term.len().is_multiple_of(MULTIPLE), "{n} characters: {} tokens", term.len());
            assert!(term.windows(2).all(|pair| pair[0] < pair[1]), "{n} characters");
            assert_eq!(term, key.term(&text, n % 2 == 0));
        }
    }

    #[test]
    fn a_value_as_a_whole_is_told_from_its_parts() {
        let key = key(6);
        let whole = key.whole("banana");
        assert!(has(&key.term("banana", true), &[whole]) && !has(&key.term("banana", false), &[whole]));
        assert_eq!(key.whole("banana  "), whole, "blanks at the end");
        for other in ["", "banan", "bananas", " banana", "ban  ana"] {
            assert_ne!(key.whole(other), whole, "{other}");
            assert!(!has(&key.term(other, true), &[whole]), "{other}");
        }
        assert_ne!(super::tests::key(4).whole("banana"), whole, "another key");
    }

    #[test]
    fn what_is_too_short_has_no_tokens() {
        let key = key(2);
        for text in ["", "a", "ab", "äß"] {
            assert!(key.tokens([run(text, false, false)]).is_empty(), "{text}");
            assert_eq!(key.tokens([run(text, true, false)]).is_empty(), text.is_empty());
            assert_eq!(key.tokens([run(text, false, true)]).is_empty(), text.is_empty());
            assert!(!key.tokens([run(text, true, true)]).is_empty(), "a whole value, {text}");
        }
    }

    #[test]
    fn anchors_and_other_runs_are_told_apart() {
        let key = key(3);
        let term = key.term("banana", false);
        for good in [run("nan", false, false), run("ba", true, false), run("b", true, false), run("na", false, true)] {
            assert!(has(&term, &key.tokens([good])), "{good:?}");
        }
        for bad in [run("nan", true, false), run("a", true, false), run("b", false, true), run("bab", false, false)] {
            assert!(!has(&term, &key.tokens([bad])), "{bad:?}");
        }
        assert!(
            !has(&super::tests::key(4).term("banana", false), &key.tokens([run("nan", false, false)])),
            "another key"
        );
    }

    proptest! {
        #[test]
        fn a_value_has_the_tokens_of_every_part_of_it(before: String, part: String, after: String) {
            let key = key(5);
            let term = key.term(&format!("{before}{part}{after}"), true);
            prop_assert!(has(&term, &key.tokens([run(&part, false, false)])));
            prop_assert!(has(&term, &key.tokens([run(&before, true, false), run(&after, false, true)])));
        }
    }
}
