//! The short code by which an admin recognises a device: 40 bits that both sides compute and a person carries across.
//!
//! ```text
//! device -> admin   H(pk || r_D)          admin -> device   r_A          device -> admin   r_D
//! code = SHA-256(pk || r_D || r_A || root fingerprint)[..5]
//! ```
//! The device is bound to pk and r_D before it sees r_A, the admin has chosen r_A before it sees r_D: whoever stands
//! between them gets one guess out of 2^40 per run.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;

use super::client_key::ClientPublic;
use super::derive::{self, ENROL_CODE, ENROL_COMMIT};
use super::root::RootFingerprint;

/// r_D.
pub type Opening = [u8; 32];
/// r_A.
pub type Answer = [u8; 32];
/// `H(pk || r_D)`.
pub type Commitment = [u8; 32];

/// Digits without those that look like others (Crockford's base 32).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 40 bits, shown as two groups of four characters.
#[derive(Clone, Copy)]
pub struct Code([u8; 5]);

/// No code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has eight letters and digits, as 4K7M-X2QP")]
pub struct BadCode;

/// What a device is bound to before it sees the admin's answer.
pub fn commit(public: &ClientPublic, opening: &Opening) -> Commitment {
    derive::hash(&[ENROL_COMMIT, &public.to_bytes(), opening])
}

impl Code {
    /// As one side sees it.
    pub fn of(public: &ClientPublic, opening: &Opening, answer: &Answer, root: RootFingerprint) -> Self {
        Self(derive::hash(&[ENROL_CODE, &public.to_bytes(), opening, answer, &root.0]))
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Code {}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let digit = DIGITS[(bits >> (5 * place) & 31) as usize];
            write!(f, "{}{}", char::from(digit), if place == 4 { "-" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

impl FromStr for Code {
    type Err = BadCode;

    /// Takes lower case, blanks and dashes anywhere, and O, I and L for what they look like.
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let (mut bits, mut count) = (0u64, 0);
        for c in text.chars().filter(|c| !matches!(c, '-' | ' ')) {
            let c = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                c => c,
            };
            let digit = DIGITS.iter().position(|digit| char::from(*digit) == c).ok_or(BadCode)?;
            bits = bits.wrapping_shl(5) | digit as u64;
            count += 1;
        }
        if count != 8 {
            return Err(BadCode);
        }
        let bytes = bits.to_be_bytes();
        Ok(Self([bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::client_key::ClientKey;
    use super::super::secret::Key32;
    use super::*;

    fn public(byte: u8) -> ClientPublic {
        ClientKey::from_seed(Key32::new([byte; 32])).public().clone()
    }

    #[test]
    fn codes_are_read_as_people_write_them() {
        let code = Code([0xff, 0x00, 0x12, 0x34, 0x56]);
        let text = code.to_string();
        assert_eq!(text.len(), 9);
        let (lower, bare) = (text.to_lowercase(), text.replace('-', ""));
        for written in [text.as_str(), &lower, &bare, &format!(" {bare} "), &text.replace('0', "o")] {
            assert_eq!(written.parse(), Ok(code), "{written}");
        }
        for bad in ["", "4K7M-X2Q", "4K7M-X2QPP", "4K7M-X2Q!", "4K7M-X2QU", "4K7MéX2QP"] {
            assert_eq!(bad.parse::<Code>(), Err(BadCode), "{bad}");
        }
        assert!(!format!("{code:?}").contains(&text[..4]));
    }

    #[test]
    fn the_code_depends_on_all_that_goes_in() {
        let root = RootFingerprint([1; 16]);
        let code = Code::of(&public(1), &[2; 32], &[3; 32], root);
        assert_eq!(Code::of(&public(1), &[2; 32], &[3; 32], root), code);
        assert_ne!(Code::of(&public(2), &[2; 32], &[3; 32], root), code);
        assert_ne!(Code::of(&public(1), &[9; 32], &[3; 32], root), code);
        assert_ne!(Code::of(&public(1), &[2; 32], &[9; 32], root), code);
        assert_ne!(Code::of(&public(1), &[2; 32], &[3; 32], RootFingerprint([9; 16])), code);
        assert_ne!(commit(&public(1), &[2; 32]), commit(&public(2), &[2; 32]));
        assert_ne!(commit(&public(1), &[2; 32]), commit(&public(1), &[9; 32]));
    }
}
