//! RFC 5869, appendix A: HKDF with SHA-256. Our functions give the first 32 bytes of the output.

use super::super::derive::{expand32, hkdf32};
use super::bytes;

/// Key material, salt, info, PRK, first 32 bytes of OKM.
type Case = (Vec<u8>, Vec<u8>, Vec<u8>, &'static str, &'static str);

fn cases() -> [Case; 3] {
    [
        (
            vec![0x0b; 22],
            (0..=0x0c).collect(),
            (0xf0..=0xf9).collect(),
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
        ),
        (
            (0..=0x4f).collect(),
            (0x60..=0xaf).collect(),
            (0xb0..=0xff).collect(),
            "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
        ),
    ]
}

#[test]
fn extract_and_expand() {
    for (ikm, salt, info, prk, okm) in cases() {
        assert_eq!(hex::encode(hkdf32(&salt, &ikm, &[&info]).as_bytes()), okm);
        assert_eq!(hex::encode(expand32(&bytes(prk), &[&info]).as_bytes()), okm);
    }
}

#[test]
fn info_in_parts_is_info_in_one() {
    for (ikm, salt, info, prk, okm) in cases() {
        let (head, tail) = info.split_at(info.len() / 2);
        assert_eq!(hex::encode(hkdf32(&salt, &ikm, &[head, tail]).as_bytes()), okm);
        assert_eq!(hex::encode(expand32(&bytes(prk), &[head, b"", tail]).as_bytes()), okm);
    }
}
