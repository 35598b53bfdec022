//! Signed answers: whoever ends TLS can neither extend a lease nor invent a refusal, not even with a client key of its own.
//! The service's key signs `"columnseal answer v1" || client id 16 || lp(method) || lp(path) || nonce 16 || status u32 ||
//! SHA-256(body)`, all but the last two being the request's; for events of a stream `... || nonce 16 || 0 u32 || counter u64 ||
//! SHA-256(text)`: no answer has status 0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::crypto::ClientId;
use crate::crypto::json::{decode, encode};
use crate::crypto::sign::{Domain, Signature, SigningKey, VerifyKey};

use super::codec::Writer;
use super::error::KeysError;
use super::request::Authorization;
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

/// The request that is answered. What answers it answers no other: no other client's, and none to another path.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub client: ClientId,
    /// HTTP's method.
    pub method: &'a str,
    /// Where it goes.
    pub path: &'a str,
    /// Of the request.
    pub nonce: [u8; 16],
}

impl<'a> Question<'a> {
    /// What was asked under this authorization.
    pub fn new(auth: &Authorization, (method, path): (&'a str, &'a str)) -> Self {
        Self { client: auth.client, method, path, nonce: auth.nonce }
    }

    fn message(&self, status: u16) -> Writer {
        let mut writer = Writer::default();
        writer.fixed(&self.client.0).text(self.method).text(self.path).fixed(&self.nonce).u32(status.into());
        writer
    }

    fn answer(&self, status: u16, body: &[u8]) -> Vec<u8> {
        self.message(status).fixed(&Sha256::digest(body)).finish()
    }

    fn event(&self, counter: u64, text: &str) -> Vec<u8> {
        self.message(0).u64(counter).fixed(&Sha256::digest(text.as_bytes())).finish()
    }
}

/// Signs an answer: the header's value.
pub fn sign_answer(key: &SigningKey, question: &Question<'_>, status: u16, body: &[u8]) -> String {
    encode(&key.sign(Domain::Answer, &question.answer(status, body)).0)
}

/// The header's value is the service's signature over this answer to this request.
pub fn verify_answer(key: &VerifyKey, question: &Question<'_>, (status, body): (u16, &[u8]), header: &str) -> bool {
    verify(key, &question.answer(status, body), header)
}

/// Signs an event: the last line of its data.
pub fn sign_event(key: &SigningKey, question: &Question<'_>, counter: u64, text: &str) -> String {
    encode(&key.sign(Domain::Answer, &question.event(counter, text)).0)
}

/// The last line is the service's signature over this event of the stream that the request opened.
pub fn verify_event(key: &VerifyKey, question: &Question<'_>, (counter, text): (u64, &str), last: &str) -> bool {
    verify(key, &question.event(counter, text), last)
}

fn verify(key: &VerifyKey, message: &[u8], signature: &str) -> bool {
    decode(signature).is_some_and(|bytes| key.verify(Domain::Answer, message, &Signature(bytes)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Key32;

    fn question(nonce: u8) -> Question<'static> {
        Question { client: ClientId([1; 16]), method: "POST", path: "/v1/state", nonce: [nonce; 16] }
    }

    #[test]
    fn a_signature_holds_for_one_answer_to_one_request() {
        let key = SigningKey::service(&Key32::new([1; 32]));
        let public = key.verify_key();
        let asked = question(7);
        let header = sign_answer(&key, &asked, 200, b"{}");
        let holds = |asked: Question<'_>| verify_answer(&public, &asked, (200, b"{}"), &header);
        assert!(holds(asked));
        assert!(!holds(question(8)), "another request");
        assert!(!holds(Question { client: ClientId([2; 16]), ..asked }), "another client's request");
        assert!(!holds(Question { path: "/v1/renew", ..asked }), "another path");
        assert!(!holds(Question { method: "GET", ..asked }), "another method");
        assert!(!verify_answer(&public, &asked, (403, b"{}"), &header), "another status");
        assert!(!verify_answer(&public, &asked, (200, b"[]"), &header), "another body");
        assert!(!verify_answer(&public, &asked, (200, b"{}"), &header[1..]), "a cut signature");
        assert!(!verify_answer(&public, &asked, (200, b"{}"), ""), "no signature");
        let other = SigningKey::service(&Key32::new([2; 32])).verify_key();
        assert!(!verify_answer(&other, &asked, (200, b"{}"), &header), "another service");
    }

    #[test]
    fn an_event_holds_at_its_place_in_its_stream() {
        let key = SigningKey::service(&Key32::new([1; 32]));
        let public = key.verify_key();
        let asked = question(7);
        let last = sign_event(&key, &asked, 3, "x");
        assert!(verify_event(&public, &asked, (3, "x"), &last));
        assert!(!verify_event(&public, &asked, (4, "x"), &last));
        assert!(!verify_event(&public, &question(9), (3, "x"), &last));
        assert!(!verify_event(&public, &Question { client: ClientId([2; 16]), ..asked }, (3, "x"), &last));
        assert!(!verify_event(&public, &asked, (3, "y"), &last));
        assert!(!verify_answer(&public, &asked, (0, b"x"), &last), "an event is no answer");
    }
}
