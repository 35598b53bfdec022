//! Signed answers: whoever ends TLS can neither extend a lease nor invent a refusal. The service's key signs
//! `"columnseal answer v1" || lp(nonce of the request) || status u32 || SHA-256(body)`, and for events of a stream
//! `"columnseal answer v1" || lp(nonce of the request) || 0 u32 || counter u64 || SHA-256(text)`: no answer has status 0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::crypto::json::{decode, encode};
use crate::crypto::sign::{Domain, Signature, SigningKey, VerifyKey};

use super::codec::Writer;
use super::error::KeysError;
use super::service::Standing;

/// The header that carries an answer's signature.
pub const HEADER: &str = "columnseal-signature";

/// What a stream tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Where the client stands: at once, at each change, and every two seconds.
    Standing(Standing),
    /// The client is not served any more; the stream ends.
    Refused(KeysError),
    /// The server shuts down; the stream ends, and another server may go on with it.
    End,
}

impl Event {
    /// Its name in the stream.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Standing(_) => "standing",
            Self::Refused(_) => "refused",
            Self::End => "end",
        }
    }
}

/// Signs an answer: the header's value.
pub fn sign_answer(key: &SigningKey, nonce: &[u8; 16], status: u16, body: &[u8]) -> String {
    encode(&key.sign(Domain::Answer, &answer(nonce, status, body)).0)
}

/// The header's value is the service's signature over this answer to the request of this nonce.
pub fn verify_answer(key: &VerifyKey, nonce: &[u8; 16], (status, body): (u16, &[u8]), header: &str) -> bool {
    verify(key, &answer(nonce, status, body), header)
}

/// Signs an event: the last line of its data.
pub fn sign_event(key: &SigningKey, nonce: &[u8; 16], counter: u64, text: &str) -> String {
    encode(&key.sign(Domain::Answer, &event(nonce, counter, text)).0)
}

/// The last line is the service's signature over this event of the stream that the nonce opened.
pub fn verify_event(key: &VerifyKey, nonce: &[u8; 16], (counter, text): (u64, &str), last: &str) -> bool {
    verify(key, &event(nonce, counter, text), last)
}

fn verify(key: &VerifyKey, message: &[u8], signature: &str) -> bool {
    decode(signature).is_some_and(|bytes| key.verify(Domain::Answer, message, &Signature(bytes)).is_ok())
}

fn answer(nonce: &[u8; 16], status: u16, body: &[u8]) -> Vec<u8> {
    Writer::default().bytes(nonce).u32(status.into()).fixed(&Sha256::digest(body)).finish()
}

fn event(nonce: &[u8; 16], counter: u64, text: &str) -> Vec<u8> {
    Writer::default().bytes(nonce).u32(0).u64(counter).fixed(&Sha256::digest(text.as_bytes())).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Key32;

    #[test]
    fn a_signature_holds_for_one_answer_to_one_request() {
        let key = SigningKey::service(&Key32::new([1; 32]));
        let public = key.verify_key();
        let header = sign_answer(&key, &[7; 16], 200, b"{}");
        assert!(verify_answer(&public, &[7; 16], (200, b"{}"), &header));
        assert!(!verify_answer(&public, &[8; 16], (200, b"{}"), &header), "another request");
        assert!(!verify_answer(&public, &[7; 16], (403, b"{}"), &header), "another status");
        assert!(!verify_answer(&public, &[7; 16], (200, b"[]"), &header), "another body");
        assert!(!verify_answer(&public, &[7; 16], (200, b"{}"), &header[1..]), "a cut signature");
        assert!(!verify_answer(&public, &[7; 16], (200, b"{}"), ""), "no signature");
        let other = SigningKey::service(&Key32::new([2; 32])).verify_key();
        assert!(!verify_answer(&other, &[7; 16], (200, b"{}"), &header), "another service");
    }

    #[test]
    fn an_event_holds_at_its_place_in_its_stream() {
        let key = SigningKey::service(&Key32::new([1; 32]));
        let public = key.verify_key();
        let last = sign_event(&key, &[7; 16], 3, "x");
        assert!(verify_event(&public, &[7; 16], (3, "x"), &last));
        assert!(!verify_event(&public, &[7; 16], (4, "x"), &last));
        assert!(!verify_event(&public, &[9; 16], (3, "x"), &last));
        assert!(!verify_event(&public, &[7; 16], (3, "y"), &last));
        assert!(!verify_answer(&public, &[7; 16], (0, b"x"), &last), "an event is no answer");
    }
}
