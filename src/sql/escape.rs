//! Backslash escapes of `E'…'` and `U&'…'` strings.

/// Reads the escape at `at` of an `E'…'` string; returns where it ends.
pub(super) fn backslash(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let c = *bytes.get(at + 1)?;
    match c {
        b'b' => out.push(8),
        b'f' => out.push(12),
        b'n' => out.push(b'\n'),
        b'r' => out.push(b'\r'),
        b't' => out.push(b'\t'),
        b'v' => out.push(11),
        b'0'..=b'7' => {
            let (value, end) = digits(bytes, at + 1, 3, 8);
            out.push(nonzero(value & 0xff)? as u8);
            return Some(end);
        }
        b'x' if bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit) => {
            let (value, end) = digits(bytes, at + 2, 2, 16);
            out.push(nonzero(value)? as u8);
            return Some(end);
        }
        b'u' => return exact(bytes, at + 2, 4, b"\\u", out),
        b'U' => return exact(bytes, at + 2, 8, b"\\U", out),
        other => out.push(other),
    }
    Some(at + 2)
}

/// Reads the escape at `at` of a `U&'…'` string (default escape character); returns where it ends.
pub(super) fn unicode(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'\\' => {
            out.push(b'\\');
            Some(at + 2)
        }
        b'+' => exact(bytes, at + 2, 6, b"\\+", out),
        _ => exact(bytes, at + 1, 4, b"\\", out),
    }
}

fn nonzero(value: u32) -> Option<u32> {
    (value != 0).then_some(value)
}

/// Up to `most` digits of this radix; their value and where they end.
fn digits(bytes: &[u8], at: usize, most: usize, radix: u32) -> (u32, usize) {
    let mut value = 0u32;
    let mut end = at;
    while end < at + most {
        let Some(digit) = bytes.get(end).and_then(|b| char::from(*b).to_digit(radix)) else { break };
        value = value.wrapping_mul(radix) | digit;
        end += 1;
    }
    (value, end)
}

/// Exactly `count` hex digits as a character; a high surrogate must be followed by its partner.
fn exact(bytes: &[u8], at: usize, count: usize, prefix: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let (first, end) = digits(bytes, at, count, 16);
    if end != at + count {
        return None;
    }
    let (code, end) = match first {
        0xd800..=0xdbff => {
            let next = bytes.get(end..end + prefix.len()).filter(|p| *p == prefix).map(|_| end + prefix.len())?;
            let (second, end) = digits(bytes, next, count, 16);
            if end != next + count || !(0xdc00..=0xdfff).contains(&second) {
                return None;
            }
            (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), end)
        }
        code => (code, end),
    };
    let c = char::from_u32(nonzero(code)?)?;
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(end)
}
