//! What a derived key is for. Both sides build the tag from its parts; it is never taken from the other's bytes.

use super::super::derive::{TAG_DATA, TAG_INDEX};
use super::super::{Epoch, KeyId, KeysetId, TypeId};
use super::Suite;

/// Longest tag: "index" and its parts.
const MAX: usize = 5 + 1 + 16 + 4 + 16;

/// Names one derived key. Public.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Tag {
    bytes: [u8; MAX],
    len: usize,
}

impl Tag {
    /// `"data" || suite 1 || keyset 16 || epoch u32 || key id 8`: a data key.
    pub fn data(keyset: KeysetId, epoch: Epoch, key_id: KeyId) -> Self {
        Self::build(TAG_DATA, keyset, epoch, &key_id.0)
    }

    /// `"index" || suite 1 || keyset 16 || epoch u32 || encrypted type 16`: the root of a type's search terms.
    pub fn index(keyset: KeysetId, epoch: Epoch, type_id: TypeId) -> Self {
        Self::build(TAG_INDEX, keyset, epoch, &type_id.0)
    }

    /// The tag's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn is_data(&self) -> bool {
        self.bytes.starts_with(TAG_DATA)
    }

    pub(super) fn is_index(&self) -> bool {
        self.bytes.starts_with(TAG_INDEX)
    }

    fn build(kind: &[u8], keyset: KeysetId, epoch: Epoch, name: &[u8]) -> Self {
        let parts: [&[u8]; 5] = [kind, &[Suite::Ristretto255.code()], &keyset.0, &epoch.0.to_be_bytes(), name];
        let mut tag = Self { bytes: [0; MAX], len: 0 };
        for part in parts {
            tag.bytes[tag.len..tag.len + part.len()].copy_from_slice(part);
            tag.len += part.len();
        }
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let data = Tag::data(KeysetId([2; 16]), Epoch(3), KeyId([4; 8]));
        assert_eq!(hex::encode(data.bytes()), format!("64617461{}{}00000003{}", "01", "02".repeat(16), "04".repeat(8)));
        let index = Tag::index(KeysetId([2; 16]), Epoch(3), TypeId([5; 16]));
        assert_eq!(
            hex::encode(index.bytes()),
            format!("696e646578{}{}00000003{}", "01", "02".repeat(16), "05".repeat(16))
        );
        assert!(data.is_data() && !data.is_index() && index.is_index() && !index.is_data());
    }
}
