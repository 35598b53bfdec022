//! inet and cidr. Stored form: family (2 or 3), prefix length, is_cidr, address length, address.

use std::net::Ipv6Addr;

use super::PlainType;
use super::error::{Result, ValueError};
use super::scan::push_padded;
use crate::wire::sqlstate::SqlState;

const IPV4: u8 = 2;
const IPV6: u8 = 3;

struct Address<'a> {
    family: u8,
    bits: u8,
    bytes: &'a [u8],
}

impl<'a> Address<'a> {
    fn of(bytes: &'a [u8]) -> Option<Address<'a>> {
        let (&[family, bits, _, len], address) = bytes.split_first_chunk::<4>()?;
        let size = match family {
            IPV4 => 4,
            IPV6 => 16,
            _ => return None,
        };
        let fits = usize::from(len) == size && address.len() == size && usize::from(bits) <= size * 8;
        fits.then_some(Address { family, bits, bytes: address })
    }

    fn max_bits(&self) -> u8 {
        if self.family == IPV4 { 32 } else { 128 }
    }

    /// No bit is set to the right of the prefix.
    fn is_network(&self) -> bool {
        let value = self.bytes.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
        let host = u32::from(self.max_bits() - self.bits);
        host == 0 || value & (u128::MAX >> (128 - host)) == 0
    }

    fn push(&self, plain: PlainType, out: &mut Vec<u8>) {
        let is_cidr = u8::from(plain == PlainType::Cidr);
        out.extend_from_slice(&[self.family, self.bits, is_cidr, self.bytes.len() as u8]);
        out.extend_from_slice(self.bytes);
    }
}

fn loose_bits() -> ValueError {
    ValueError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid cidr value")
        .hint("Value has bits set to right of mask.")
}

/// Reads an address with optional prefix length; for cidr also abbreviated networks (`10.1`, `192.168/16`).
pub(crate) fn parse(plain: PlainType, text: &str, out: &mut Vec<u8>) -> Result<()> {
    let syntax = || ValueError::syntax(plain.sql_name());
    let mut buffer = [0; 16];
    let address = if text.contains(':') {
        parse_v6(text, &mut buffer)
    } else {
        parse_v4(text, plain == PlainType::Cidr, &mut buffer)
    };
    let address = address.ok_or_else(syntax)?;
    if plain == PlainType::Cidr && !address.is_network() {
        return Err(loose_bits());
    }
    address.push(plain, out);
    Ok(())
}

/// A decimal number of one to three digits without sign; a leading zero only alone.
fn small(text: &str, max: u16) -> Option<u8> {
    let fits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    let value: u16 = fits.then(|| text.parse().ok()).flatten()?;
    (value <= max).then_some(value as u8)
}

fn prefix(text: &str, max: u16) -> Option<u8> {
    small(text, max).filter(|_| text.len() == 1 || !text.starts_with('0'))
}

fn parse_v6<'b>(text: &str, buffer: &'b mut [u8; 16]) -> Option<Address<'b>> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, prefix(bits, 128)?),
        None => (text, 128),
    };
    *buffer = address.parse::<Ipv6Addr>().ok()?.octets();
    Some(Address { family: IPV6, bits, bytes: buffer })
}

fn parse_v4<'b>(text: &str, cidr: bool, buffer: &'b mut [u8; 16]) -> Option<Address<'b>> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(prefix(bits, 32)?)),
        None => (text, None),
    };
    let mut octets = 0;
    for part in address.split('.') {
        *buffer.get_mut(octets).filter(|_| octets < 4)? = small(part, 255)?;
        octets += 1;
    }
    let bits = match bits {
        Some(bits) if cidr || usize::from(bits).div_ceil(8) <= octets => bits,
        Some(_) => return None,
        None if octets == 4 => 32,
        None if cidr => class_bits(buffer[0], octets),
        None => return None,
    };
    Some(Address { family: IPV4, bits, bytes: &buffer[..4] })
}

/// The prefix length of an abbreviated network, by its class.
fn class_bits(first: u8, octets: usize) -> u8 {
    let class = match first {
        240.. => 32,
        224.. => 8,
        192.. => 24,
        128.. => 16,
        _ => 8,
    };
    let bits = class.max(octets as u8 * 8);
    if bits == 8 && (224..240).contains(&first) { 4 } else { bits }
}

/// Binary input; the is_cidr byte is not looked at, as in PostgreSQL.
pub(crate) fn receive(plain: PlainType, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let name = plain.name();
    let invalid = |what: &str| {
        let message = format!("invalid {what} in external \"{name}\" value");
        ValueError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
    };
    let Some((&[family, bits, _, len], rest)) = bytes.split_first_chunk::<4>() else { return Err(ValueError::short()) };
    let size = match family {
        IPV4 => 4,
        IPV6 => 16,
        _ => return Err(invalid("address family")),
    };
    if usize::from(bits) > size * 8 {
        return Err(invalid("bits"));
    }
    if usize::from(len) != size {
        return Err(invalid("length"));
    }
    if rest.len() < size {
        return Err(ValueError::short());
    }
    let address = Address::of(bytes).ok_or_else(|| ValueError::binary(plain))?;
    if plain == PlainType::Cidr && !address.is_network() {
        return Err(ValueError::new(SqlState::INVALID_BINARY_REPRESENTATION, "invalid external \"cidr\" value")
            .hint("Value has bits set to right of mask."));
    }
    address.push(plain, out);
    Ok(())
}

fn load(plain: PlainType, stored: &[u8]) -> Result<Address<'_>> {
    Address::of(stored).ok_or_else(|| ValueError::corrupt(plain))
}

/// Prints the address, with the prefix length unless it is an inet of full length.
pub(crate) fn print(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    print_masked(plain == PlainType::Cidr, &load(plain, stored)?, out);
    Ok(())
}

/// Prints with the prefix length always, as casts to text do.
pub(crate) fn print_full(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    print_masked(true, &load(plain, stored)?, out);
    Ok(())
}

fn print_masked(always: bool, address: &Address<'_>, out: &mut Vec<u8>) {
    match *address.bytes {
        [a, b, c, d] => print_v4([a, b, c, d], out),
        _ => print_v6(address.bytes, out),
    }
    if always || address.bits != address.max_bits() {
        out.push(b'/');
        push_padded(out, address.bits.into(), 1);
    }
}

fn print_v4(octets: [u8; 4], out: &mut Vec<u8>) {
    for (index, octet) in octets.into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        push_padded(out, octet.into(), 1);
    }
}

/// The longest run of at least two zero words, the first of equals: start and length.
fn zero_run(words: &[u16; 8]) -> (usize, usize) {
    let mut best = (8, 0);
    let mut start = 0;
    for (index, word) in words.iter().enumerate() {
        if *word != 0 {
            start = index + 1;
        } else if index + 1 - start > best.1 {
            best = (start, index + 1 - start);
        }
    }
    if best.1 < 2 { (8, 0) } else { best }
}

fn print_v6(bytes: &[u8], out: &mut Vec<u8>) {
    use std::io::Write;
    let mut words = [0u16; 8];
    for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    let (start, len) = zero_run(&words);
    let embeds_v4 = start == 0 && (len == 6 || (len == 7 && words[7] != 1) || (len == 5 && words[5] == 0xffff));
    for (index, word) in words.iter().enumerate() {
        if index >= start && index < start + len {
            if index == start {
                out.push(b':');
            }
            continue;
        }
        if index > 0 {
            out.push(b':');
        }
        if index == 6 && embeds_v4 {
            print_v4([bytes[12], bytes[13], bytes[14], bytes[15]], out);
            return;
        }
        write!(out, "{word:x}").expect("a vector takes all writes");
    }
    if len > 0 && start + len == 8 {
        out.push(b':');
    }
}

/// Appends family, prefix length and address: equal as PostgreSQL compares inet and cidr.
pub(crate) fn canonical(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let address = load(plain, stored)?;
    out.extend_from_slice(&[address.family, address.bits]);
    out.extend_from_slice(address.bytes);
    Ok(())
}

/// inet as cidr: the bits to the right of the mask are cleared.
pub(crate) fn to_cidr(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let address = load(PlainType::Inet, stored)?;
    let mut bytes = [0; 16];
    let size = address.bytes.len();
    bytes[..size].copy_from_slice(address.bytes);
    for (index, byte) in bytes[..size].iter_mut().enumerate() {
        let kept = usize::from(address.bits).saturating_sub(index * 8).min(8);
        *byte &= (0xff00u16 >> kept) as u8;
    }
    Address { bytes: &bytes[..size], ..address }.push(PlainType::Cidr, out);
    Ok(())
}

/// Appends ordering bytes: family, the bits of the network, each as a pair that an end of the network stands before, then
/// the whole address. So a network comes before those within it, and before its hosts.
pub(crate) fn ordering(plain: PlainType, stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    /// Pairs: the end of the network (00), a bit 0 (01), a bit 1 (10).
    const PAIRS: usize = 4;
    let address = load(plain, stored)?;
    out.push(address.family);
    let bits = usize::from(address.bits);
    let pair = |i: usize| if i < bits { 1 + (address.bytes[i / 8] >> (7 - i % 8) & 1) } else { 0 };
    out.extend((0..bits / PAIRS + 1).map(|byte| (0..PAIRS).fold(0, |all, k| all << 2 | pair(byte * PAIRS + k))));
    out.extend_from_slice(address.bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn ip(stored: &[u8]) -> Option<IpAddr> {
        let bytes = Address::of(stored)?.bytes;
        <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
    }

    fn shown(plain: PlainType, text: &str) -> String {
        let (mut stored, mut out) = (Vec::new(), Vec::new());
        match parse(plain, text, &mut stored).and_then(|()| print(plain, &stored, &mut out)) {
            Ok(()) => String::from_utf8(out).expect("ascii"),
            Err(error) => error.sqlstate.0.to_owned(),
        }
    }

    #[test]
    fn addresses() {
        use PlainType::{Cidr, Inet};
        for (plain, text, want) in [
            (Inet, "10.0.0.1", "10.0.0.1"),
            (Inet, "10.0.0.1/32", "10.0.0.1"),
            (Inet, "10.1/16", "10.1.0.0/16"),
            (Inet, "::1", "::1"),
            (Inet, "::", "::"),
            (Inet, "::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            (Inet, "2001:DB8:0:0:1::/64", "2001:db8:0:0:1::/64"),
            (Cidr, "10.1", "10.1.0.0/16"),
            (Cidr, "192.168.1", "192.168.1.0/24"),
            (Cidr, "10", "10.0.0.0/8"),
            (Cidr, "::/0", "::/0"),
            (Cidr, "10.0.0.1/8", "22P02"),
            (Inet, "10.1", "22P02"),
            (Inet, "10.0.0.1/33", "22P02"),
            (Inet, "10.0.0.256", "22P02"),
            (Inet, "10.0.0.1.2", "22P02"),
            (Inet, "10.0.0.", "22P02"),
            (Inet, "", "22P02"),
            (Inet, "::1/129", "22P02"),
            (Inet, "::g", "22P02"),
            (Inet, "1.2.3.4/", "22P02"),
        ] {
            assert_eq!(shown(plain, text), want, "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_the_address() {
        for text in ["1:0:0:2:0:0:0:3", "0:0:1::", "::1.2.3.4", "fe80::1:2", "1::"] {
            let mut stored = Vec::new();
            parse(PlainType::Inet, text, &mut stored).expect("address");
            assert_eq!(ip(&stored), text.parse().ok());
            assert_eq!(shown(PlainType::Inet, text).parse::<IpAddr>().ok(), ip(&stored));
        }
    }

    #[test]
    fn forged_binary_is_refused() {
        for bytes in
            [&[][..], &[2, 32, 0, 4, 1, 2, 3], &[2, 33, 0, 4, 1, 2, 3, 4], &[9, 0, 0, 0], &[2, 8, 0, 4, 1, 2, 3, 4, 5]]
        {
            assert!(receive(PlainType::Inet, bytes, &mut Vec::new()).is_err());
        }
        assert!(receive(PlainType::Cidr, &[2, 8, 1, 4, 10, 1, 0, 0], &mut Vec::new()).is_err());
    }
}
