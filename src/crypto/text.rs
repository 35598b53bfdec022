//! Keys as text for people: `prefix || base64url(payload || CRC-32 of prefix and payload)`, without padding.
//!
//! The checksum is against slips of copying, not against attackers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

const CHECKSUM: usize = 4;

/// Why a key's text was not read. Carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Another kind of text.
    #[error("does not begin with `{0}`")]
    Prefix(&'static str),
    /// A character outside base64url, at this position of the text, from 1.
    #[error("has a character at position {0} that cannot stand there")]
    Character(usize),
    /// Cut off or too long.
    #[error("has {found} characters instead of {expected}: it was not copied whole")]
    Length {
        /// Characters of a whole text.
        expected: usize,
        /// Characters given.
        found: usize,
    },
    /// Mistyped.
    #[error("has a wrong checksum: it was mistyped or altered")]
    Checksum,
    /// Well-formed text of keys that no key pair has.
    #[error("holds a malformed public key")]
    Key,
}

/// Characters of the text of an `n`-byte payload.
fn text_len(prefix: &str, n: usize) -> usize {
    prefix.len() + ((n + CHECKSUM) * 4).div_ceil(3)
}

/// The text of `payload`.
pub(super) fn encode(prefix: &'static str, payload: &[u8]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(payload.len() + CHECKSUM));
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&checksum(prefix, payload));
    let mut text = Zeroizing::new(String::with_capacity(text_len(prefix, payload.len()) + 4));
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
    text
}

/// The N-byte payload of a text, checked.
pub(super) fn decode<const N: usize>(prefix: &'static str, text: &str) -> Result<Zeroizing<[u8; N]>, TextError> {
    let body = text.strip_prefix(prefix).ok_or(TextError::Prefix(prefix))?;
    if let Some(at) = body.chars().position(|c| !is_body(c)) {
        return Err(TextError::Character(prefix.len() + at + 1));
    }
    let expected = text_len(prefix, N);
    if text.len() != expected {
        return Err(TextError::Length { expected, found: text.len() });
    }
    // The only fault left is a set bit behind the last byte.
    let mut bytes = Zeroizing::new(vec![0; N + CHECKSUM]);
    URL_SAFE_NO_PAD.decode_slice(body, &mut bytes).map_err(|_| TextError::Checksum)?;
    let (payload, sum) = bytes.split_first_chunk::<N>().expect("the buffer is longer than N");
    if checksum(prefix, payload) != sum { Err(TextError::Checksum) } else { Ok(Zeroizing::new(*payload)) }
}

/// The payload of a text, of a length within `range`, checked. For what is not secret.
pub(super) fn decode_within(
    prefix: &'static str,
    text: &str,
    range: std::ops::RangeInclusive<usize>,
) -> Result<Vec<u8>, TextError> {
    let body = text.strip_prefix(prefix).ok_or(TextError::Prefix(prefix))?;
    if let Some(at) = body.chars().position(|c| !is_body(c)) {
        return Err(TextError::Character(prefix.len() + at + 1));
    }
    let (least, most) = (text_len(prefix, *range.start()), text_len(prefix, *range.end()));
    if text.len() < least || text.len() > most {
        let expected = if text.len() < least { least } else { most };
        return Err(TextError::Length { expected, found: text.len() });
    }
    let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| TextError::Checksum)?;
    let (payload, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(TextError::Checksum)?;
    if checksum(prefix, payload) != *sum { Err(TextError::Checksum) } else { Ok(payload.to_vec()) }
}

/// Whether base64url has this character.
pub(super) fn is_body(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn checksum(prefix: &str, payload: &[u8]) -> [u8; CHECKSUM] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(prefix.as_bytes());
    crc.update(payload);
    crc.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "csxx1_";

    fn read(text: &str) -> Result<[u8; 5], TextError> {
        decode::<5>(PREFIX, text).map(|payload| *payload)
    }

    #[test]
    fn faults_are_told_apart() {
        let text = encode(PREFIX, b"hello").to_string();
        assert_eq!(text.len(), 18);
        assert_eq!(read(&text), Ok(*b"hello"));
        assert_eq!(read("csyy1_AAAA"), Err(TextError::Prefix(PREFIX)));
        assert_eq!(read(""), Err(TextError::Prefix(PREFIX)));
        assert_eq!(read(&text[..17]), Err(TextError::Length { expected: 18, found: 17 }));
        assert_eq!(read(&format!("{text}A")), Err(TextError::Length { expected: 18, found: 19 }));
        assert_eq!(read(PREFIX), Err(TextError::Length { expected: 18, found: 6 }));
        assert_eq!(read(&format!("{}+{}", &text[..8], &text[9..])), Err(TextError::Character(9)));
        assert_eq!(read(&format!("{}é{}", &text[..8], &text[9..])), Err(TextError::Character(9)));
        assert_eq!(read(&format!("{text}\n")), Err(TextError::Character(19)));
        assert_eq!(read(&format!("{text}=")), Err(TextError::Character(19)));
    }

    #[test]
    fn every_other_character_anywhere_is_refused() {
        let text = encode(PREFIX, b"hello").to_string();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for at in PREFIX.len()..text.len() {
            for c in alphabet.chars().filter(|c| !text[at..].starts_with(*c)) {
                let altered = format!("{}{c}{}", &text[..at], &text[at + 1..]);
                assert_eq!(read(&altered), Err(TextError::Checksum), "{altered}");
            }
        }
    }

    #[test]
    fn the_prefix_is_under_the_checksum() {
        let other = encode("csyy1_", b"hello").replace("csyy1_", PREFIX);
        assert_eq!(read(&other), Err(TextError::Checksum));
    }
}
