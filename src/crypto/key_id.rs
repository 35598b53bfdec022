//! Names of data keys, chosen by both sides so that neither can ask for an existing one.

use super::KeyId;
use super::derive::{self, KEY_ID};

/// `key_id_k = SHA-256("kid" || client nonce 16 || server nonce 16 || k u32)[..8]`, big endian.
///
/// The client's nonce stands in its request, the server's fresh one in the answer; the client recomputes every id.
pub fn key_id(client_nonce: &[u8; 16], server_nonce: &[u8; 16], k: u32) -> KeyId {
    KeyId(derive::hash(&[KEY_ID, client_nonce, server_nonce, &k.to_be_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_changes_the_id() {
        let id = key_id(&[1; 16], &[2; 16], 3);
        assert_ne!(id, key_id(&[2; 16], &[1; 16], 3));
        assert_ne!(id, key_id(&[1; 16], &[2; 16], 4));
        assert_ne!(id, key_id(&[1; 16], &[3; 16], 3));
        assert_eq!(id, key_id(&[1; 16], &[2; 16], 3));
    }
}
