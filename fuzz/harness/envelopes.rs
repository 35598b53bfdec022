//! Envelopes: what was not sealed does not open, and what was sealed opens whole or, when touched, not at all.

use columnseal::crypto::envelope::{DataKey, Header, Padding};
use columnseal::crypto::secret::Key32;
use columnseal::crypto::{Epoch, KeyId, KeysetId, Kref, TypeId};

const TYPE: TypeId = TypeId([3; 16]);

/// The first bytes choose padding, codec and what is changed; the rest is a value, and by itself an envelope.
pub fn envelopes(data: &[u8]) {
    let key = DataKey::new(Kref(1), KeysetId([1; 16]), Epoch(1), KeyId([2; 8]), Key32::new([4; 32]));
    let mut out = b"kept".to_vec();
    let _ = Header::parse(data);
    assert!(key.open(&TYPE, data, &mut out).is_err(), "nobody sealed this");
    assert_eq!(out, b"kept");
    let Some((&[padding, codec, at, bit], value)) = data.split_first_chunk::<4>() else { return };
    let padding = [Padding::None, Padding::To16, Padding::Padme][usize::from(padding) % 3];
    let mut envelope = Vec::new();
    if key.seal(&TYPE, padding, codec, value, &mut envelope).is_err() {
        return assert!(envelope.is_empty());
    }
    assert_eq!(key.open(&TYPE, &envelope, &mut out), Ok(codec));
    assert_eq!(&out[4..], value);
    out.truncate(4);
    assert!(key.open(&TypeId([5; 16]), &envelope, &mut out).is_err(), "another type's");
    let place = usize::from(at) * 251 % envelope.len();
    envelope[place] ^= 1 << (bit % 8);
    assert!(key.open(&TYPE, &envelope, &mut out).is_err(), "byte {place} was changed");
    envelope[place] ^= 1 << (bit % 8);
    assert!(key.open(&TYPE, &envelope[..place], &mut out).is_err(), "cut at {place}");
    assert_eq!(out, b"kept");
}
