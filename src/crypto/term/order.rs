//! Order terms: order-revealing bytes, so that `memcmp` of two terms is the order of the values.
//!
//! ```text
//! for each bit b_i of the ordering bytes, most significant first:
//!     digit_i = floor(PRF(bits before i) * (2^L - 1) / 2^64) + b_i       L bits
//! PRF: AES-256 in CBC-MAC over a prefix-free coding of (bits before i), first 8 bytes as a number
//! ```
//!
//! Two values have equal digits up to their first differing bit, where they differ by one: the term of the smaller is
//! smaller. Nothing wraps, since `floor(x * (2^L - 1) / 2^64) <= 2^L - 2`. What this tells a thief: order, equality, length and
//! the place of the first differing bit of each pair, and of other bits what `docs/leakage.md` says.

use aes::Aes256Enc;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

use super::super::derive::{self, TERM_ORDER};
use super::super::secret::TermRoot;

/// How long the digits of a term are: `L`. The label of the key names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Digits {
    /// Of 8 bits.
    #[default]
    Short,
    /// Of 16 bits, hardened: they tell fewer of the bits they stand for, in terms of twice the length.
    Long,
}

impl Digits {
    const fn bytes(self) -> usize {
        match self {
            Digits::Short => 1,
            Digits::Long => 2,
        }
    }
}

/// Bytes whose bits one chaining block covers.
const CHUNK: usize = 8;

/// Byte 9 of a chaining block; those of digits have the number of the bit, under 64.
const CHAIN: u8 = 64;

/// Makes the order terms of one encrypted type in one keyset. Wiped on drop.
pub struct OrdKey {
    prf: Aes256Enc,
    digits: Digits,
}

type Block = Array<u8, aes::cipher::consts::U16>;

impl OrdKey {
    /// `class` as of [`EqKey`](super::equality::EqKey).
    pub fn new(root: &TermRoot, class: u8, digits: Digits) -> Self {
        let key = derive::expand32(root.as_bytes(), &[TERM_ORDER, &[8 * digits.bytes() as u8, class]]);
        Self { prf: Aes256Enc::new(&Array::from(*key.as_bytes())), digits }
    }

    /// Bytes of the term of this many ordering bytes.
    pub const fn len(digits: Digits, ordering: usize) -> usize {
        ordering * 8 * digits.bytes()
    }

    /// Appends the term of ordering bytes: [`len`](Self::len) bytes.
    pub fn term(&self, ordering: &[u8], out: &mut Vec<u8>) {
        out.reserve(Self::len(self.digits, ordering.len()));
        let mut chain = Block::default();
        for chunk in ordering.chunks(CHUNK) {
            self.digits(&chain, chunk, out);
            if chunk.len() == CHUNK {
                mix(&mut chain, chunk, CHAIN);
                self.prf.encrypt_block(&mut chain);
            }
        }
    }

    fn digits(&self, chain: &Block, chunk: &[u8], out: &mut Vec<u8>) {
        let bits = chunk.len() * 8;
        let mut whole = [0; CHUNK];
        whole[..chunk.len()].copy_from_slice(chunk);
        let value = u64::from_be_bytes(whole);
        let mut blocks = [*chain; CHUNK * 8];
        for (i, block) in blocks[..bits].iter_mut().enumerate() {
            // The bits before the i-th; the shift by 64 of the first would overflow.
            let before = value & !(u64::MAX >> i);
            mix(block, &before.to_be_bytes(), i as u8);
        }
        self.prf.encrypt_blocks(&mut blocks[..bits]);
        for (i, block) in blocks[..bits].iter().enumerate() {
            let [a, b, c, d, e, f, g, h, ..] = block.0;
            let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            let bit = (value >> (63 - i)) as u8 & 1;
            match self.digits {
                Digits::Short => out.push(((u128::from(random) * 0xff) >> 64) as u8 + bit),
                Digits::Long => {
                    let digit = ((u128::from(random) * 0xffff) >> 64) as u16 + u16::from(bit);
                    out.extend_from_slice(&digit.to_be_bytes());
                }
            }
        }
    }
}

/// Adds (modulo 2) eight bytes and the kind of the block to a chaining value.
fn mix(block: &mut Block, bytes: &[u8], kind: u8) {
    block.iter_mut().zip(bytes).for_each(|(b, x)| *b ^= x);
    block[CHUNK] ^= kind;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::secret::Key32;

    fn key(root: u8) -> OrdKey {
        OrdKey::new(&TermRoot::new(Key32::new([root; 32])), 0, Digits::Short)
    }

    fn hardened(root: u8) -> OrdKey {
        OrdKey::new(&TermRoot::new(Key32::new([root; 32])), 0, Digits::Long)
    }

    fn term(key: &OrdKey, ordering: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        key.term(ordering, &mut out);
        out
    }

    /// Of Python's hmac and cryptography over the formula above.
    #[test]
    fn known_answers() {
        assert_eq!(hex::encode(term(&key(7), b"\x80\x00")), "2776a8ee5f25f2e2ba1cda6b735b4e33");
        assert_eq!(
            hex::encode(term(&key(7), b"123456789")),
            "2671b9ac96120b9ce618d136c6ede936f97c84f28c3546e6ce67301bd4381b9bdc8825dcf2b874cafe048ecbce4d434a6dec4848f3bbaac0d39864b94059b8106f52dfe6ab1a5fdc"
        );
    }

    #[test]
    fn every_pair_of_two_bytes_is_in_order() {
        for key in [key(1), hardened(1)] {
            let terms: Vec<Vec<u8>> = (0..=u16::MAX).map(|n| term(&key, &n.to_be_bytes())).collect();
            assert!(terms.windows(2).all(|pair| pair[0] < pair[1]), "neighbours are in order, so all are");
            assert!(terms.iter().all(|term| term.len() == OrdKey::len(key.digits, 2)));
        }
        assert_eq!((OrdKey::len(Digits::Short, 8), OrdKey::len(Digits::Long, 8)), (64, 128));
    }

    /// Digits of two lengths are those of two keys.
    #[test]
    fn hardened_terms_tell_nothing_of_the_others() {
        let (short, long) = (key(6), hardened(6));
        let equal = (0..4096u64).filter(|n| {
            let value = n.wrapping_mul(SCATTER).to_be_bytes();
            term(&long, &value)[2 * SHARED] == term(&short, &value)[SHARED]
        });
        let equal = equal.count();
        assert!(equal < 4096 / 100, "{equal} of 4096 first halves are the short digit");
    }

    #[test]
    fn a_million_pairs_are_in_order() {
        let (key, long) = (key(2), hardened(2));
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut before = (0u64, term(&key, &0u64.to_be_bytes()));
        for _ in 0..1_000_000 {
            // Half of them share a long prefix.
            let value = if next() % 2 == 0 { next() } else { before.0 ^ (next() % 1024) };
            let own = term(&key, &value.to_be_bytes());
            assert_eq!(own.cmp(&before.1), value.cmp(&before.0), "{value:x} {:x}", before.0);
            if next() % 16 == 0 {
                let (a, b) = (term(&long, &value.to_be_bytes()), term(&long, &before.0.to_be_bytes()));
                assert_eq!(a.cmp(&b), value.cmp(&before.0), "hardened: {value:x} {:x}", before.0);
            }
            before = (value, own);
        }
    }

    proptest! {
        #[test]
        fn strings_of_any_length_are_in_order(a: Vec<u8>, b: Vec<u8>, common: Vec<u8>) {
            let (a, b) = ([common.clone(), a].concat(), [common, b].concat());
            for key in [key(3), hardened(3)] {
                prop_assert_eq!(term(&key, &a).cmp(&term(&key, &b)), a.cmp(&b));
            }
        }
    }

    /// Spreads small numbers over all.
    const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;
    /// Bits that several of some thousand spread numbers share.
    const SHARED: usize = 24;

    /// Of values that differ in one bit, what stands after that digit looks random: no byte of it is foreseeable.
    #[test]
    fn digits_after_the_first_difference_are_random() {
        let key = key(4);
        let (mut same, mut all) = (0u32, 0u32);
        for n in 0..8192u64 {
            let value = n.wrapping_mul(SCATTER);
            let (a, b) = (term(&key, &value.to_be_bytes()), term(&key, &(value ^ (1 << 62)).to_be_bytes()));
            assert_eq!(a[0], b[0]);
            assert_eq!(a[1].abs_diff(b[1]), 1);
            same += a[SHARED..].iter().zip(&b[SHARED..]).filter(|(x, y)| x == y).count() as u32;
            all += (a.len() - SHARED) as u32;
        }
        let expected = all / 255;
        assert!(same.abs_diff(expected) < expected / 10, "{same} of {all} are the same, expected about {expected}");
    }

    /// A digit tells the bit where it is 0 or 255, and hardly more: 0.39 % of the bits, those aside whose prefix many values
    /// share.
    #[test]
    fn a_digit_hardly_tells_its_bit() {
        let key = key(5);
        let mut counts = [[0i64; 256]; 2];
        for n in 0..20_000u64 {
            let value = n.wrapping_mul(SCATTER);
            for (i, digit) in term(&key, &value.to_be_bytes()).iter().enumerate().skip(SHARED) {
                counts[(value >> (63 - i)) as usize & 1][usize::from(*digit)] += 1;
            }
        }
        let total: i64 = counts.iter().flatten().sum();
        let distance: i64 = (0..256).map(|d| (counts[0][d] - counts[1][d]).abs()).sum();
        // Noise of sqrt(n) for each of 256 classes, and 2/255 by design.
        assert!((distance as f64) / (total as f64) < 0.03, "{distance} of {total}");
    }

    /// Of a hardened digit the upper byte tells nothing that can be measured.
    #[test]
    fn a_hardened_digit_tells_less_of_its_bit() {
        let key = hardened(5);
        let (mut told, mut all) = (0u64, 0u64);
        for n in 0..20_000u64 {
            let value = n.wrapping_mul(SCATTER);
            for digit in term(&key, &value.to_be_bytes()).chunks(2).skip(SHARED) {
                told += u64::from(digit == [0, 0] || digit == [0xff, 0xff]);
                all += 1;
            }
        }
        // Expected 1 of 65,535; of digits of 8 bits it is 1 of 255.
        assert!(told < 4 * all / 65_535, "{told} of {all} digits tell their bit");
    }

    #[test]
    fn is_another_under_another_key() {
        assert_ne!(term(&key(1), b"abc"), term(&key(2), b"abc"));
        assert!(term(&key(1), b"").is_empty());
    }
}
