//! text, varchar, bpchar, citext, enum labels, uuid, bytea.

use super::PlainType;
use super::error::{INVALID_PARAMETER_VALUE, Result, ValueError};
use super::scan;
use super::settings::ByteaOutput;

/// Canonical bytes of a textual type.
///
/// bpchar: without trailing blanks. citext: every character replaced by the first of its Unicode lower-case
/// mapping (simple folding, whatever the database's locale). Others: the bytes themselves.
pub(crate) fn canonical(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match plain {
        PlainType::Bpchar => out.extend_from_slice(trim_blanks(stored)),
        PlainType::Citext => {
            let text = std::str::from_utf8(stored).map_err(|_| ValueError::corrupt(plain))?;
            fold(text, out);
        }
        _ => out.extend_from_slice(stored),
    }
    Ok(())
}

/// Without trailing spaces.
pub(crate) fn trim_blanks(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
    &bytes[..end]
}

fn fold(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.bytes().map(|b| b.to_ascii_lowercase()));
        return;
    }
    for c in text.chars() {
        let lower = c.to_lowercase().next().unwrap_or(c);
        out.extend_from_slice(lower.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Reads a uuid: 32 hexadecimal digits, hyphens after any group of four, all in braces or not.
pub(crate) fn parse_uuid(text: &str, out: &mut Vec<u8>) -> Result<()> {
    let bytes = uuid_bytes(text.as_bytes()).ok_or_else(|| ValueError::syntax("uuid"))?;
    out.extend_from_slice(&bytes);
    Ok(())
}

fn uuid_bytes(text: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match text {
        [b'{', inner @ .., b'}'] => inner,
        _ => text,
    };
    let mut value = [0; 16];
    for (index, byte) in value.iter_mut().enumerate() {
        let (&[high, low], tail) = rest.split_first_chunk::<2>()?;
        *byte = hex_digit(high)? << 4 | hex_digit(low)?;
        rest = match tail {
            [b'-', after @ ..] if index % 2 == 1 && index < 15 => after,
            _ => tail,
        };
    }
    rest.is_empty().then_some(value)
}

/// Prints a uuid in groups of 8-4-4-4-12.
pub(crate) fn print_uuid(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let value: [u8; 16] = scan::stored(PlainType::Uuid, stored)?;
    for (index, byte) in value.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        push_hex(*byte, out);
    }
    Ok(())
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

/// Reads a bytea in hex (`\x..`) or escape form.
pub(crate) fn parse_bytea(text: &str, out: &mut Vec<u8>) -> Result<()> {
    match text.as_bytes().strip_prefix(b"\\x") {
        Some(hex) => parse_hex(hex, out),
        None => parse_escape(text.as_bytes(), out),
    }
}

fn parse_hex(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let bad = |message: &str| ValueError::new(INVALID_PARAMETER_VALUE, message);
    let mut rest = text.iter();
    while let Some(&first) = rest.next() {
        if matches!(first, b' ' | b'\n' | b'\t' | b'\r') {
            continue;
        }
        let high = hex_digit(first).ok_or_else(|| bad("invalid hexadecimal digit"))?;
        let second = *rest.next().ok_or_else(|| bad("invalid hexadecimal data: odd number of digits"))?;
        let low = hex_digit(second).ok_or_else(|| bad("invalid hexadecimal digit"))?;
        out.push(high << 4 | low);
    }
    Ok(())
}

fn parse_escape(mut text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    loop {
        text = match text {
            [] => return Ok(()),
            [b'\\', b'\\', rest @ ..] => {
                out.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => return Err(ValueError::syntax("bytea")),
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

/// Prints a bytea under `bytea_output`.
pub(crate) fn print_bytea(stored: &[u8], form: ByteaOutput, out: &mut Vec<u8>) {
    match form {
        ByteaOutput::Hex => {
            out.reserve(2 + stored.len() * 2);
            out.extend_from_slice(b"\\x");
            for byte in stored {
                push_hex(*byte, out);
            }
        }
        ByteaOutput::Escape => {
            for &byte in stored {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(byte),
                    _ => {
                        let octal = [b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)];
                        out.extend_from_slice(&octal);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canon(plain: PlainType, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        canonical(plain, text.as_bytes(), &mut out).expect("text");
        out
    }

    #[test]
    fn equality_of_text() {
        assert_eq!(canon(PlainType::Bpchar, "a  "), b"a");
        assert_eq!(canon(PlainType::Bpchar, "   "), b"");
        assert_eq!(canon(PlainType::Text, "a "), b"a ");
        assert_eq!(canon(PlainType::Citext, "ÄbC"), "äbc".as_bytes());
        assert_eq!(canon(PlainType::Citext, "ABC"), canon(PlainType::Citext, "abc"));
        assert!(canonical(PlainType::Citext, &[0xff], &mut Vec::new()).is_err());
    }

    #[test]
    fn uuids() {
        let want = [0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8, 0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11];
        for text in [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(uuid_bytes(text.as_bytes()), Some(want), "{text}");
        }
        for text in [
            "",
            "{}",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
            " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a-0eebc999c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert_eq!(uuid_bytes(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn bytea_both_forms() {
        for (text, want) in [("\\x", &b""[..]), ("\\xDEad be\nef", b"\xde\xad\xbe\xef"), ("a\\\\b\\001", b"a\\b\x01")] {
            let mut out = Vec::new();
            parse_bytea(text, &mut out).expect("bytea");
            assert_eq!(out, want);
            for form in [ByteaOutput::Hex, ByteaOutput::Escape] {
                let (mut printed, mut again) = (Vec::new(), Vec::new());
                print_bytea(&out, form, &mut printed);
                parse_bytea(std::str::from_utf8(&printed).expect("ascii"), &mut again).expect("printed");
                assert_eq!(again, out);
            }
        }
        for (text, state) in [
            ("\\x1", "22023"),
            ("\\x1 2", "22023"),
            ("\\xgg", "22023"),
            ("\\", "22P02"),
            ("\\8", "22P02"),
            ("\\400", "22P02"),
        ] {
            let error = parse_bytea(text, &mut Vec::new()).expect_err(text);
            assert_eq!(error.sqlstate.0, state, "{text}");
        }
    }
}
