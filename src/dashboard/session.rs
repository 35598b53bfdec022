//! Sessions in a cookie, signed and not kept: they outlive a restart and hold on every replica.
//!
//! ```text
//! client 16 || id 16 || token 16 || began_ms 8 || used_ms 8 || signature 64
//! ```
//!
//! The token goes into every form: a page of another origin cannot read it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use subtle::ConstantTimeEq;

use crate::crypto::ClientId;
use crate::crypto::json::{decode, encode};
use crate::crypto::random;
use crate::crypto::sign::{Domain, Signature, SigningKey};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;

/// A session ends after this, whatever is done in it.
const LONGEST_MS: u64 = 8 * 60 * 60 * 1000;

/// Somebody is signed in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Who.
    pub(super) client: ClientId,
    id: [u8; 16],
    token: [u8; 16],
    began_ms: u64,
    used_ms: u64,
}

impl Session {
    /// A new one.
    pub(super) fn begin(client: ClientId) -> Result<Self, KeysError> {
        let now = wall_ms();
        Ok(Self { client, id: random::array()?, token: random::array()?, began_ms: now, used_ms: now })
    }

    /// What forms carry.
    pub(super) fn token(&self) -> String {
        encode(&self.token)
    }

    /// Whether a form was made in this session.
    pub(super) fn made(&self, token: &str) -> bool {
        decode::<[u8; 16]>(token).is_some_and(|token| token.ct_eq(&self.token).into())
    }

    /// Used just now; `None`: that is known already, give or take a few seconds.
    pub(super) fn used(&self, idle: Duration) -> Option<Self> {
        let now = wall_ms();
        let due = millis(idle) / 8;
        (now.saturating_sub(self.used_ms) > due).then(|| Self { used_ms: now, ..self.clone() })
    }

    fn body(&self) -> [u8; 64] {
        let mut body = [0; 64];
        body[..16].copy_from_slice(&self.client.0);
        body[16..32].copy_from_slice(&self.id);
        body[32..48].copy_from_slice(&self.token);
        body[48..56].copy_from_slice(&self.began_ms.to_be_bytes());
        body[56..].copy_from_slice(&self.used_ms.to_be_bytes());
        body
    }

    /// The cookie's value.
    pub(super) fn write(&self, key: &SigningKey) -> String {
        let body = self.body();
        encode(&[&body[..], &key.sign(Domain::Session, &body).0].concat())
    }

    /// Reads a cookie; `None`: it is none, or over.
    pub(super) fn read(text: &str, key: &SigningKey, idle: Duration) -> Option<Self> {
        let bytes: [u8; 128] = decode(text)?;
        let (body, signature) = bytes.split_first_chunk::<64>()?;
        let signature = Signature(signature.try_into().ok()?);
        key.verify_key().verify(Domain::Session, body, &signature).ok()?;
        let part = |at: usize| body[at..at + 16].try_into().expect("16 of 64 bytes");
        let time = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().expect("8 of 64 bytes"));
        let session =
            Self { client: ClientId(part(0)), id: part(16), token: part(32), began_ms: time(48), used_ms: time(56) };
        let now = wall_ms();
        let over =
            now.saturating_sub(session.used_ms) > millis(idle) || now.saturating_sub(session.began_ms) > LONGEST_MS;
        (!over).then_some(session)
    }
}

/// Sessions that were ended before their time, by this process.
#[derive(Default)]
pub(super) struct Ended(Mutex<HashMap<[u8; 16], u64>>);

impl Ended {
    /// Signs out.
    pub(super) fn end(&self, session: &Session) {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = wall_ms();
        ended.retain(|_, began| now.saturating_sub(*began) <= LONGEST_MS);
        ended.insert(session.id, session.began_ms);
    }

    /// Whether it was signed out of.
    pub(super) fn has(&self, session: &Session) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&session.id)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Key32;

    const IDLE: Duration = Duration::from_secs(60);

    fn key(seed: u8) -> SigningKey {
        SigningKey::service(&Key32::new([seed; 32]))
    }

    #[test]
    fn a_session_is_read_back_by_its_own_key_alone() {
        let session = Session::begin(ClientId([7; 16])).expect("there is randomness");
        let cookie = session.write(&key(1));
        assert!(Session::read(&cookie, &key(1), IDLE) == Some(session.clone()));
        assert!(Session::read(&cookie, &key(2), IDLE).is_none(), "another server's");
        let mut bytes: [u8; 128] = decode(&cookie).expect("128 bytes");
        bytes[0] ^= 1;
        assert!(Session::read(&encode(&bytes), &key(1), IDLE).is_none(), "another client");
        for bad in ["", "x", &cookie[1..], &format!("{cookie}A")] {
            assert!(Session::read(bad, &key(1), IDLE).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_session_ends_when_nothing_is_done_and_after_a_day_at_work() {
        let fresh = Session::begin(ClientId([7; 16])).expect("there is randomness");
        let idle = Session { used_ms: fresh.used_ms - 61_000, ..fresh.clone() };
        assert!(Session::read(&idle.write(&key(1)), &key(1), IDLE).is_none());
        let old = Session { began_ms: fresh.began_ms - LONGEST_MS - 1, ..fresh.clone() };
        assert!(Session::read(&old.write(&key(1)), &key(1), IDLE).is_none());
        assert!(fresh.used(IDLE).is_none() && idle.used(IDLE).is_some());
    }

    #[test]
    fn forms_of_another_session_are_told_apart() {
        let [one, other] = [(); 2].map(|()| Session::begin(ClientId([7; 16])).expect("there is randomness"));
        assert!(one.made(&one.token()) && !one.made(&other.token()) && !one.made(""));
        let ended = Ended::default();
        ended.end(&one);
        assert!(ended.has(&one) && !ended.has(&other));
    }
}
