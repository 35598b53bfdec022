//! Padding hides the exact length of a value. It stands inside the plaintext, so it is encrypted and authenticated.
//!
//! Padded modes append one byte 0x80 and then zeros (ISO/IEC 7816-4) up to the mode's length for `n + 1` bytes, where n
//! is the plaintext's length. Removing is unambiguous: the last non-zero byte must be that 0x80, and the total must be
//! the very length that padding the rest gives.

const MARK: u8 = 0x80;
const BLOCK: usize = 16;
/// Up to this length Padmé would leak more than blocks of 16 do.
const PADME_FROM: usize = 256;

/// How a plaintext is padded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum Padding {
    /// Not at all: the length is public. For types of fixed size.
    #[default]
    None,
    /// To the next multiple of 16 bytes.
    To16,
    /// To multiples of 16 up to 256 bytes, from there Padmé: at most 12 % longer, and O(log log n) bits leak.
    Padme,
}

impl Padding {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::To16 => 1,
            Self::Padme => 2,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::To16),
            2 => Some(Self::Padme),
            _ => None,
        }
    }

    /// Length of a padded plaintext of `n` bytes. `None` past the range of lengths.
    pub fn padded_len(self, n: usize) -> Option<usize> {
        match self {
            Self::None => Some(n),
            Self::To16 => n.checked_add(1)?.checked_next_multiple_of(BLOCK),
            Self::Padme => match n.checked_add(1)? {
                marked if marked <= PADME_FROM => marked.checked_next_multiple_of(BLOCK),
                marked => padme(marked),
            },
        }
    }

    /// Appends the padding of `n` bytes that end `out`; `padded` is [`Padding::padded_len`] of n.
    pub(super) fn append(self, n: usize, padded: usize, out: &mut Vec<u8>) {
        if self != Self::None {
            out.push(MARK);
            out.resize(out.len() + padded - n - 1, 0);
        }
    }

    /// Length of the plaintext within `padded`; `None` if no plaintext pads to that.
    pub(super) fn plain_len(self, padded: &[u8]) -> Option<usize> {
        if self == Self::None {
            return Some(padded.len());
        }
        let n = padded.iter().rposition(|&byte| byte != 0)?;
        (padded[n] == MARK && self.padded_len(n)? == padded.len()).then_some(n)
    }
}

/// Padmé (Nikitin and others, 2019): keeps the top `log2(log2 n) + 1` bits of a length of at least 2, rounding up.
fn padme(n: usize) -> Option<usize> {
    let exponent = n.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1 << (exponent - kept)) - 1;
    Some(n.checked_add(mask)? & !mask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Padding; 3] = [Padding::None, Padding::To16, Padding::Padme];

    #[test]
    fn lengths() {
        for (n, to16, padme) in [
            (0, 16, 16),
            (15, 16, 16),
            (16, 32, 32),
            (255, 256, 256),
            (256, 272, 272),
            (511, 512, 512),
            (512, 528, 544),
            (1000, 1008, 1024),
            (1_000_000, 1_000_016, 1_015_808),
        ] {
            assert_eq!(Padding::None.padded_len(n), Some(n));
            assert_eq!(Padding::To16.padded_len(n), Some(to16));
            assert_eq!(Padding::Padme.padded_len(n), Some(padme), "{n}");
        }
    }

    #[test]
    fn lengths_past_the_range_are_refused() {
        for padding in [Padding::To16, Padding::Padme] {
            assert_eq!(padding.padded_len(usize::MAX), None);
            assert_eq!(padding.padded_len(usize::MAX - 1), None);
        }
    }

    #[test]
    fn only_the_padding_itself_is_removed() {
        let padded = |text: &[u8], length| [text, &[MARK], &vec![0; length - text.len() - 1]].concat();
        assert_eq!(Padding::To16.plain_len(&padded(b"abc", 16)), Some(3));
        assert_eq!(Padding::To16.plain_len(&padded(b"abc", 32)), None, "a block too many");
        assert_eq!(Padding::To16.plain_len(&[0; 16]), None, "no mark");
        assert_eq!(Padding::To16.plain_len(&[7; 16]), None, "another mark");
        assert_eq!(Padding::To16.plain_len(&[]), None);
        assert_eq!(Padding::To16.plain_len(&padded(b"abc", 15)), None);
    }

    #[test]
    fn padme_grows_steadily_and_by_an_eighth_at_most() {
        let mut last = 0;
        for n in 0..100_000 {
            let padded = Padding::Padme.padded_len(n).expect("in range");
            assert!(padded > n && padded >= last);
            assert!(n < PADME_FROM || padded <= n + 1 + n / 8, "{n}");
            last = padded;
        }
    }

    proptest! {
        #[test]
        fn padding_is_removed_whatever_the_text_ends_with(
            text in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0x80]), 0..600),
        ) {
            for padding in ALL {
                let padded = padding.padded_len(text.len()).expect("in range");
                let mut out = text.clone();
                padding.append(text.len(), padded, &mut out);
                prop_assert_eq!(out.len(), padded);
                prop_assert_eq!(padding.plain_len(&out), Some(text.len()));
            }
        }
    }
}
