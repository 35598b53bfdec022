//! Published vectors of the standards beneath, and known answers of our own. AES-GCM-SIV's are beside the cipher.

mod hkdf;
mod hpke;
mod own;
mod ristretto;
mod voprf;
mod xmd;

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).expect("hex").try_into().expect("length")
}
