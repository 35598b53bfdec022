//! Signed requests: `"columnseal req v1" || service id 16 || client id 16 || lp(method) || lp(path) || time_ms || nonce 16 ||
//! SHA-256(body)`. The body is JSON; its bytes are what is hashed. Embedded requests are signed like those that travel.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::crypto::ClientId;
use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::crypto::json::{decode, encode};
use crate::crypto::random;
use crate::crypto::sign::{Domain, Signature};

use super::clock::wall_ms;
use super::codec::Writer;
use super::error::KeysError;

/// How far a request's time may be from the service's, in milliseconds.
pub const WINDOW_MS: u64 = 60_000;
/// What the `Authorization` header of a request begins with.
pub const SCHEME: &str = "Columnseal ";

/// Which key service a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ServiceId(pub [u8; 16]);

/// The body of a request, and what answers it.
pub trait Body: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The answer.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// HTTP's method. A request by GET has no body.
    const METHOD: &'static str = "POST";
    /// Where it goes.
    const PATH: &'static str;
    /// It changes something: its nonce is used up.
    const CHANGES: bool;
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

/// Where a request came from, as far as the service can tell.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// Network address; `None`: the same process.
    pub address: Option<String>,
    /// Version of the client's program, as it says.
    pub version: Option<String>,
}

/// A request as it travels.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where it goes.
    pub path: &'static str,
    /// It changes something: whether it was done is not known where its answer is lost.
    pub changes: bool,
    /// By whom.
    pub auth: Authorization,
    /// JSON.
    pub body: Vec<u8>,
}

/// A request as the service reads it: a body, and the authorization that covers the bytes it was read from.
#[derive(Clone, Debug)]
pub struct Request<B> {
    /// What is asked.
    pub body: B,
    /// By whom.
    pub auth: Authorization,
    /// From where.
    pub origin: Origin,
    digest: [u8; 32],
    /// The service itself has seen who asks: there is no signature.
    vouched: bool,
}

impl Authorization {
    /// Signs for a method and path, with a fresh nonce.
    pub fn sign(service: ServiceId, key: &ClientKey, call: (&str, &str), body: &[u8]) -> Result<Self, KeysError> {
        Self::sign_at(service, key, call, (body, wall_ms()))
    }

    /// As [`sign`](Self::sign), at another time.
    pub(crate) fn sign_at(
        service: ServiceId,
        key: &ClientKey,
        (method, path): (&str, &str),
        (body, time_ms): (&[u8], u64),
    ) -> Result<Self, KeysError> {
        let nonce = random::array()?;
        let client = key.client_id();
        let digest = Sha256::digest(body).into();
        let mut auth = Self { client, time_ms, nonce, signature: Signature([0; 64]) };
        auth.signature = key.sign(Domain::Request, &auth.message(service, (method, path), &digest));
        Ok(auth)
    }

    /// Checks signature and time. Whether the client may ask is another matter.
    pub fn verify(
        &self,
        service: ServiceId,
        public: &ClientPublic,
        call: (&str, &str),
        digest: &[u8; 32],
    ) -> Result<(), KeysError> {
        let now_ms = wall_ms();
        let message = self.message(service, call, digest);
        let verified = public.verify.verify(Domain::Request, &message, &self.signature);
        verified.map_err(|_| KeysError::refused("its signature is not the client's"))?;
        if self.time_ms.abs_diff(now_ms) > WINDOW_MS {
            let skew_ms = i64::try_from(self.time_ms).unwrap_or(i64::MAX).saturating_sub_unsigned(now_ms);
            return Err(KeysError::ClockSkew { skew_ms });
        }
        Ok(())
    }

    /// The header's value.
    pub fn header(&self) -> String {
        format!(
            "{SCHEME}client={},time={},nonce={},signature={}",
            self.client,
            self.time_ms,
            encode(&self.nonce),
            encode(&self.signature.0)
        )
    }

    /// Reads a header's value.
    pub fn from_header(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(SCHEME)?.split(',');
        let mut next = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
        let client = next("client")?;
        let auth = Self {
            client: client.parse().ok()?,
            time_ms: next("time")?.parse().ok()?,
            nonce: decode(next("nonce")?)?,
            signature: Signature(decode(next("signature")?)?),
        };
        (parts.next().is_none() && auth.client.to_string() == client).then_some(auth)
    }

    fn message(&self, service: ServiceId, (method, path): (&str, &str), digest: &[u8; 32]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.fixed(&service.0).fixed(&self.client.0).text(method).text(path);
        writer.u64(self.time_ms).fixed(&self.nonce).fixed(digest);
        writer.finish()
    }
}

impl Call {
    /// Signs a request with a fresh nonce.
    pub fn sign<B: Body>(service: ServiceId, key: &ClientKey, body: &B) -> Result<Self, KeysError> {
        let body =
            serde_json::to_vec(body).map_err(|e| KeysError::invalid(format!("a request cannot be written: {e}")))?;
        let auth = Authorization::sign(service, key, (B::METHOD, B::PATH), &body)?;
        Ok(Self { path: B::PATH, changes: B::CHANGES, auth, body })
    }
}

impl<B: Body> Request<B> {
    /// Signs a request within the process.
    pub fn sign(service: ServiceId, key: &ClientKey, body: B) -> Result<Self, KeysError> {
        let call = Call::sign(service, key, &body)?;
        let (digest, origin) = (Sha256::digest(&call.body).into(), Origin::default());
        Ok(Self { digest, body, auth: call.auth, origin, vouched: false })
    }

    /// Reads a request as it came.
    pub fn read(auth: Authorization, origin: Origin, body: &[u8]) -> Result<Self, KeysError> {
        let digest = Sha256::digest(body).into();
        let body = serde_json::from_slice(body).map_err(|e| KeysError::invalid(format!("the request's body: {e}")))?;
        Ok(Self { body, auth, origin, digest, vouched: false })
    }

    /// A request of an admin who is signed in to the key server's page. For the service alone, which has seen whose session it
    /// is: nothing is signed. The client's standing is checked as for every request.
    pub(crate) fn of_session(client: ClientId, origin: Origin, body: &[u8]) -> Result<Self, KeysError> {
        let nonce = random::array()?;
        let auth = Authorization { client, time_ms: wall_ms(), nonce, signature: Signature([0; 64]) };
        Ok(Self { vouched: true, ..Self::read(auth, origin, body)? })
    }

    /// It is one of a session.
    pub(crate) fn is_of_session(&self) -> bool {
        self.vouched
    }

    /// A request whose method has no body.
    pub fn bare(auth: Authorization, origin: Origin, body: B) -> Self {
        Self { body, auth, origin, digest: Sha256::digest(b"").into(), vouched: false }
    }

    /// Checks signature and time. Whether the client may ask is another matter.
    pub fn verify(&self, service: ServiceId, public: &ClientPublic) -> Result<(), KeysError> {
        if self.vouched {
            return Ok(());
        }
        self.auth.verify(service, public, (B::METHOD, B::PATH), &self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::EncryptKeys;
    use super::*;
    use crate::crypto::secret::Key32;
    use crate::crypto::{Epoch, KeysetId};

    const SERVICE: ServiceId = ServiceId([3; 16]);

    fn key() -> ClientKey {
        ClientKey::from_seed(Key32::new([7; 32]))
    }

    fn call() -> Call {
        let body = EncryptKeys { keyset: KeysetId([1; 16]), grant: [2; 32], epoch: Epoch(1), nonce: [3; 16], count: 8 };
        Call::sign(SERVICE, &key(), &body).expect("sign")
    }

    fn verified(call: &Call, service: ServiceId) -> Result<(), KeysError> {
        let request = Request::<EncryptKeys>::read(call.auth.clone(), Origin::default(), &call.body)?;
        request.verify(service, key().public())
    }

    #[test]
    fn what_was_signed_is_what_is_verified() {
        let call = call();
        assert_eq!(verified(&call, SERVICE), Ok(()));
        let not_signed = Err(KeysError::refused("its signature is not the client's"));
        assert_eq!(verified(&call, ServiceId([4; 16])), not_signed);
        let mut other = call.clone();
        other.body = String::from_utf8(other.body).expect("json").replace("\"count\":8", "\"count\":9").into_bytes();
        assert_eq!(verified(&other, SERVICE), not_signed);
        let alterations: [fn(&mut Authorization); 3] =
            [|auth| auth.time_ms += 1, |auth| auth.nonce[0] ^= 1, |auth| auth.client.0[0] ^= 1];
        for alter in alterations {
            let mut other = call.clone();
            alter(&mut other.auth);
            assert_eq!(verified(&other, SERVICE), not_signed);
        }
        let digest = Sha256::digest(&call.body).into();
        for (method, path) in [("GET", EncryptKeys::PATH), ("POST", "/v1/state")] {
            assert_eq!(call.auth.verify(SERVICE, key().public(), (method, path), &digest), not_signed);
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much() {
        let mut auth = call().auth;
        let digest = [0; 32];
        for minutes in [-2, 2] {
            auth.time_ms = wall_ms().saturating_add_signed(minutes * 60_000);
            auth.signature = key().sign(Domain::Request, &auth.message(SERVICE, ("POST", "/"), &digest));
            match auth.verify(SERVICE, key().public(), ("POST", "/"), &digest) {
                Err(KeysError::ClockSkew { skew_ms }) => {
                    assert!((skew_ms - minutes * 60_000).abs() < 5_000, "{skew_ms}")
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn headers_are_read_back_and_nothing_else_is() {
        let auth = call().auth;
        let header = auth.header();
        assert_eq!(Authorization::from_header(&header), Some(auth));
        for bad in [
            "",
            "Bearer x",
            &header[1..],
            &header[..header.len() - 1],
            &format!("{header},more=1"),
            &header.replace("client=", "client= "),
            &header.replace("time=", "time=-"),
            &header.to_uppercase(),
        ] {
            assert_eq!(Authorization::from_header(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_and_missing_fields_are_refused() {
        let call = call();
        let text = String::from_utf8(call.body).expect("json");
        for bad in [
            text.replace("\"count\"", "\"counts\""),
            text.replace('{', "{\"more\":1,"),
            text.replace("8}", "-8}"),
            text.replace("8}", "8.5}"),
            format!("{text} x"),
            "[]".to_owned(),
            String::new(),
        ] {
            let read = Request::<EncryptKeys>::read(call.auth.clone(), Origin::default(), bad.as_bytes());
            assert!(matches!(read, Err(KeysError::Invalid { .. })), "{bad}");
        }
    }
}
