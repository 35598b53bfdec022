//! Signed requests: `"columnseal req v1" || service id 16 || client id 16 || lp(method) || lp(path) || time_ms || nonce 16 ||
//! SHA-256(body)`. Embedded ones are signed like those that travel.

use sha2::{Digest, Sha256};

use crate::crypto::ClientId;
use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::crypto::random;
use crate::crypto::sign::{Domain, Signature};

use super::clock::wall_ms;
use super::codec::Writer;
use super::error::KeysError;

/// How far a request's time may be from the service's, in milliseconds.
pub const WINDOW_MS: u64 = 60_000;

/// Which key service a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ServiceId(pub [u8; 16]);

/// The body of a request.
pub trait Body {
    /// Where it goes.
    const PATH: &'static str;
    /// It changes something: its nonce is used up.
    const CHANGES: bool;

    /// Appends the canonical bytes.
    fn write(&self, writer: &mut Writer);
}

/// Who asks, when, and that this is what was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authorization {
    /// The client.
    pub client: ClientId,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Random.
    pub nonce: [u8; 16],
    /// By the client.
    pub signature: Signature,
}

/// A body and its authorization.
#[derive(Clone, Debug)]
pub struct Request<B> {
    /// What is asked.
    pub body: B,
    /// By whom.
    pub auth: Authorization,
}

impl<B: Body> Request<B> {
    /// Signs a request with a fresh nonce.
    pub fn sign(service: ServiceId, key: &ClientKey, body: B) -> Result<Self, KeysError> {
        let nonce = random::array().map_err(|e| KeysError::unavailable(e.to_string()))?;
        let (client, time_ms) = (key.client_id(), wall_ms());
        let message = message(service, client, time_ms, &nonce, &body);
        let signature = key.sign(Domain::Request, &message);
        Ok(Self { body, auth: Authorization { client, time_ms, nonce, signature } })
    }

    /// Checks signature and time. Whether the client may ask is another matter.
    pub fn verify(&self, service: ServiceId, public: &ClientPublic, now_ms: u64) -> Result<(), KeysError> {
        let auth = &self.auth;
        if auth.time_ms.abs_diff(now_ms) > WINDOW_MS {
            return Err(KeysError::Refused { why: "its time is more than 60 s from the key service's" });
        }
        let message = message(service, auth.client, auth.time_ms, &auth.nonce, &self.body);
        let verified = public.verify.verify(Domain::Request, &message, &auth.signature);
        verified.map_err(|_| KeysError::Refused { why: "its signature is not the client's" })
    }
}

fn message<B: Body>(service: ServiceId, client: ClientId, time_ms: u64, nonce: &[u8; 16], body: &B) -> Vec<u8> {
    let mut bytes = Writer::default();
    body.write(&mut bytes);
    let mut writer = Writer::default();
    writer.fixed(&service.0).fixed(&client.0).text("POST").text(B::PATH).u64(time_ms).fixed(nonce);
    writer.fixed(&Sha256::digest(bytes.finish()));
    writer.finish()
}
