//! Small pieces that the codecs share: PostgreSQL's notion of blanks, fixed-size reads.

use super::PlainType;
use super::error::{Result, ValueError};

/// `isspace` of the C locale.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// Without leading and trailing blanks.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii() && is_space(c as u8))
}

/// Text as PostgreSQL takes it: UTF-8 without NUL.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(bytes).map_err(|_| ValueError::encoding())?;
    if memchr::memchr(0, bytes).is_some() {
        return Err(ValueError::encoding());
    }
    Ok(text)
}

/// Binary input of a fixed size.
pub(crate) fn received<const N: usize>(plain: PlainType, bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| if bytes.len() < N { ValueError::short() } else { ValueError::binary(plain) })
}

/// Stored form of a fixed size.
pub(crate) fn stored<const N: usize>(plain: PlainType, bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| ValueError::corrupt(plain))
}

/// Appends a number padded with zeros to a width, without allocating.
pub(crate) fn push_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut rest = value;
    while rest > 0 || at > digits.len() - width.max(1) {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a signed number.
pub(crate) fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_padded(out, value.unsigned_abs(), 1);
}
