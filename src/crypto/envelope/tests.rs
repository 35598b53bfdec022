//! Envelopes: round trips, known answers, and everything that must not open.

use proptest::prelude::*;

use super::super::random::NONCE;
use super::super::secret::Key32;
use super::super::{Epoch, KeyId, KeysetId, Kref, TypeId};
use super::*;

const KREF: Kref = Kref(0x0102_0304);
const KEYSET: KeysetId = KeysetId([0x11; 16]);
const EPOCH: Epoch = Epoch(5);
const KEY_ID: KeyId = KeyId([0x22; 8]);
const TYPE: TypeId = TypeId([0x33; 16]);
const ALL: [Padding; 3] = [Padding::None, Padding::To16, Padding::Padme];

fn secret() -> Key32 {
    Key32::new([0x44; 32])
}

fn key() -> DataKey {
    DataKey::new(KREF, KEYSET, EPOCH, KEY_ID, secret())
}

fn header(padding: Padding, codec: u8) -> Header {
    Header { padding, codec, kref: KREF, key_id: KEY_ID, type_tag: type_tag(&TYPE) }
}

fn seal(padding: Padding, codec: u8, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    key().seal(&TYPE, padding, codec, text, &mut out).expect("seals");
    out
}

fn open_as(key: &DataKey, type_id: &TypeId, envelope: &[u8]) -> Result<(u8, Vec<u8>), OpenError> {
    let mut out = Vec::new();
    key.open(type_id, envelope, &mut out).map(|codec| (codec, out))
}

fn open(envelope: &[u8]) -> Result<(u8, Vec<u8>), OpenError> {
    open_as(&key(), &TYPE, envelope)
}

/// AES-256-GCM-SIV of Python's `cryptography` over the layout of `docs/keys.md`, put together there by hand.
#[test]
fn known_answers() {
    for (padding, text, expected) in [
        (
            Padding::None,
            "",
            "c11007010203042222222222222222a088eff955555555555555555555555590086c880f988214419e03f297842c72",
        ),
        (
            Padding::To16,
            "ada@example.com",
            "c11407010203042222222222222222a088eff9555555555555555555555555\
             f4c247dae929c66faef42d1c5ed77b06352816b0f8521ad520cf545bdf3ab577",
        ),
        (
            Padding::Padme,
            "ada@example.com.",
            "c11807010203042222222222222222a088eff9555555555555555555555555\
             8fa5bd861133f7d71eaeef40190bf85d2fc2cfebff0fabc11a029bcb86b40f250ec498b9b9ff5a9af35612afee9ddc97",
        ),
    ] {
        let header = header(padding, 7);
        let nonce: [u8; NONCE] = [0x55; NONCE];
        let mut out = Vec::new();
        key().seal_under(&header, &nonce, &TYPE, text.as_bytes(), &mut out).expect("seals");
        assert_eq!(hex::encode(&out), expected);
        assert_eq!(open(&out), Ok((7, text.as_bytes().to_vec())));
    }
}

#[test]
fn layout() {
    let envelope = seal(Padding::To16, 9, b"text");
    assert_eq!(envelope.len(), OVERHEAD + 16);
    assert_eq!(envelope[..3], [0xC1, 0x14, 9]);
    assert_eq!(envelope[3..7], [1, 2, 3, 4]);
    assert_eq!(envelope[7..15], KEY_ID.0);
    assert_eq!(envelope[15..19], type_tag(&TYPE));
    assert_eq!(Header::parse(&envelope), Ok(header(Padding::To16, 9)));
    assert_eq!(OVERHEAD, 47);
}

#[test]
fn every_flipped_bit_is_refused() {
    for padding in ALL {
        let envelope = seal(padding, 1, b"some text of a value");
        for bit in 0..envelope.len() * 8 {
            let mut altered = envelope.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&altered).is_err(), "{padding:?}, bit {bit}");
        }
    }
}

#[test]
fn every_other_length_is_refused() {
    let envelope = seal(Padding::None, 1, b"some text");
    for cut in 0..envelope.len() {
        assert!(open(&envelope[..cut]).is_err(), "cut to {cut}");
        assert!(open(&envelope[envelope.len() - cut..]).is_err(), "last {cut}");
    }
    assert!(open(&[envelope.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn another_context_does_not_open() {
    let envelope = seal(Padding::None, 1, b"text");
    let refused = Err(OpenError::Refused);
    assert_eq!(open_as(&key(), &TypeId([0x34; 16]), &envelope), refused);
    let keyset = DataKey::new(KREF, KeysetId([0x12; 16]), EPOCH, KEY_ID, secret());
    assert_eq!(open_as(&keyset, &TYPE, &envelope), refused);
    let epoch = DataKey::new(KREF, KEYSET, Epoch(6), KEY_ID, secret());
    assert_eq!(open_as(&epoch, &TYPE, &envelope), refused);
    let secret = DataKey::new(KREF, KEYSET, EPOCH, KEY_ID, Key32::new([0x45; 32]));
    assert_eq!(open_as(&secret, &TYPE, &envelope), refused);
}

#[test]
fn another_key_is_not_tried() {
    let envelope = seal(Padding::None, 1, b"text");
    let kref = DataKey::new(Kref(1), KEYSET, EPOCH, KEY_ID, secret());
    assert_eq!(open_as(&kref, &TYPE, &envelope), Err(OpenError::OtherKey));
    let key_id = DataKey::new(KREF, KEYSET, EPOCH, KeyId([0; 8]), secret());
    assert_eq!(open_as(&key_id, &TYPE, &envelope), Err(OpenError::OtherKey));
}

#[test]
fn malformed_headers_are_told_apart() {
    let envelope = seal(Padding::None, 1, b"text");
    let with = |at: usize, byte: u8| {
        let mut altered = envelope.clone();
        altered[at] = byte;
        Header::parse(&altered).map(|_| ())
    };
    for version in (0..=255).filter(|version| *version != 0xC1) {
        assert_eq!(with(0, version), Err(EnvelopeError::Version));
    }
    for algorithm in (0..16).filter(|algorithm| *algorithm != 1) {
        assert_eq!(with(1, algorithm << 4), Err(EnvelopeError::Algorithm));
    }
    for flags in 1..4 {
        assert_eq!(with(1, 0x10 | flags), Err(EnvelopeError::Flag));
    }
    assert_eq!(with(1, 0x10 | 3 << 2), Err(EnvelopeError::Padding));
    assert_eq!(Header::parse(&envelope[..OVERHEAD - 1]), Err(EnvelopeError::Length));
    assert_eq!(Header::parse(&[]), Err(EnvelopeError::Length));
    assert_eq!(Header::parse(&[0; 100]), Err(EnvelopeError::Version));
}

#[test]
fn an_authentic_plaintext_with_false_padding_is_refused() {
    for text in [&[0u8; 16][..], &[1; 16], &[0x80; 15], b"", &[b'a', 0x80, 0, 0]] {
        let header = header(Padding::To16, 1).bytes();
        let mut out = [&header, &[0; NONCE][..], text].concat();
        key().encrypt(0, &header, &[0; NONCE], &TYPE, &mut out).expect("seals");
        assert_eq!(open(&out), Err(OpenError::Refused), "{text:?}");
    }
}

#[test]
fn nothing_is_appended_on_error_and_only_appended_on_success() {
    let mut envelope = seal(Padding::Padme, 1, b"text");
    let mut out = b"before".to_vec();
    assert_eq!(key().open(&TYPE, &envelope, &mut out), Ok(1));
    assert_eq!(out, b"beforetext");
    let last = envelope.len() - 1;
    envelope[last] ^= 1;
    assert_eq!(key().open(&TYPE, &envelope, &mut out), Err(OpenError::Refused));
    assert_eq!(out, b"beforetext");
    key().seal(&TYPE, Padding::None, 1, b"x", &mut out).expect("seals");
    assert_eq!(out[..10], *b"beforetext");
    assert_eq!(out.len(), 10 + OVERHEAD + 1);
}

#[test]
fn a_key_derived_without_proof_seals_nothing() {
    let key = DataKey::new_open_only(KREF, KEYSET, EPOCH, KEY_ID, secret());
    let mut out = Vec::new();
    assert_eq!(key.seal(&TYPE, Padding::None, 1, b"text", &mut out), Err(SealError::OpenOnly));
    assert!(out.is_empty());
    assert_eq!(open_as(&key, &TYPE, &seal(Padding::None, 1, b"text")), Ok((1, b"text".to_vec())));
    assert!(!key.seals());
}

#[test]
fn sealing_allocates_once_and_opening_not_at_all_in_a_buffer_that_fits() {
    let mut out = Vec::with_capacity(OVERHEAD + 272);
    let (start, capacity) = (out.as_ptr(), out.capacity());
    key().seal(&TYPE, Padding::Padme, 1, &[7; 256], &mut out).expect("seals");
    assert_eq!((out.as_ptr(), out.capacity()), (start, capacity));
    let mut text = Vec::with_capacity(272);
    let (start, capacity) = (text.as_ptr(), text.capacity());
    key().open(&TYPE, &out, &mut text).expect("opens");
    assert_eq!((text.as_ptr(), text.capacity()), (start, capacity));
}

#[test]
fn is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<DataKey>();
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        text in prop::collection::vec(any::<u8>(), 0..2000),
        codec: u8,
        type_id: [u8; 16],
        padding in prop::sample::select(ALL.to_vec()),
    ) {
        let mut envelope = Vec::new();
        key().seal(&TypeId(type_id), padding, codec, &text, &mut envelope).expect("seals");
        prop_assert_eq!(envelope.len(), OVERHEAD + padding.padded_len(text.len()).expect("in range"));
        prop_assert_eq!(open_as(&key(), &TypeId(type_id), &envelope), Ok((codec, text)));
    }

    #[test]
    fn arbitrary_bytes_never_open_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes).is_err());
        let mut posing = seal(Padding::To16, 1, b"text");
        posing.truncate(31);
        posing.extend_from_slice(&bytes);
        prop_assert!(open(&posing).is_err());
    }

    #[test]
    fn equal_texts_have_different_envelopes(text in prop::collection::vec(any::<u8>(), 0..50)) {
        prop_assert_ne!(seal(Padding::None, 1, &text), seal(Padding::None, 1, &text));
    }
}
