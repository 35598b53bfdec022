//! Ed25519 signatures, each for one [`Domain`]: what is signed is `label || message`.

use ed25519_dalek::Signer;

use super::derive;
pub use super::derive::Domain;
use super::random::RandomError;
use super::secret::Key32;

/// A secret signing key. Wiped on drop.
pub struct SigningKey(ed25519_dalek::SigningKey);

/// A public key that verifies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct VerifyKey(ed25519_dalek::VerifyingKey);

/// A signature, 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature(pub [u8; 64]);

super::json::serde_b64!(Signature);
super::json::schema!(Signature, { "type": "string", "pattern": "^[A-Za-z0-9_-]{85}[AQgw]$" });

/// The signature is not of this key over this message for this purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature does not verify")]
pub struct BadSignature;

/// Bytes that are no acceptable public key: no point, not canonical, or of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key is malformed")]
pub struct BadPublicKey;

impl SigningKey {
    /// Of a key service, from its stored seed.
    pub fn service(seed: &Key32) -> Self {
        Self::derived(seed, derive::SERVICE_SIGN)
    }

    /// Random, for tests and one-time uses.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(Key32::generate()?.as_bytes())))
    }

    /// Signs `message` for one purpose.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        Signature(self.0.sign(&labelled(domain, message)).to_bytes())
    }

    /// The public half.
    pub fn verify_key(&self) -> VerifyKey {
        VerifyKey(self.0.verifying_key())
    }

    /// The key that HKDF gives for `label`.
    pub(super) fn derived(seed: &Key32, label: &[u8]) -> Self {
        let key = derive::hkdf32(&[], seed.as_bytes(), &[label]);
        Self(ed25519_dalek::SigningKey::from_bytes(key.as_bytes()))
    }
}

impl VerifyKey {
    /// From 32 bytes: a canonical point, not of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadPublicKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| BadPublicKey)?;
        if key.is_weak() || !canonical(bytes) { Err(BadPublicKey) } else { Ok(Self(key)) }
    }

    /// The 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Strict verification: canonical encodings, no component of small order.
    pub fn verify(&self, domain: Domain, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(&labelled(domain, message), &signature).map_err(|_| BadSignature)
    }
}

fn labelled(domain: Domain, message: &[u8]) -> Vec<u8> {
    [domain.label(), message].concat()
}

/// Whether a decodable point's encoding is the only one of that point.
fn canonical(bytes: &[u8; 32]) -> bool {
    use curve25519_dalek::edwards::CompressedEdwardsY;
    CompressedEdwardsY(*bytes).decompress().is_some_and(|point| point.compress().0 == *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::service(&Key32::new([byte; 32]))
    }

    #[test]
    fn verifies_only_its_key_domain_and_message() {
        let signature = key(1).sign(Domain::Grant, b"message");
        let public = key(1).verify_key();
        assert_eq!(public.verify(Domain::Grant, b"message", &signature), Ok(()));
        assert_eq!(public.verify(Domain::Grant, b"massage", &signature), Err(BadSignature));
        assert_eq!(public.verify(Domain::Certificate, b"message", &signature), Err(BadSignature));
        assert_eq!(key(2).verify_key().verify(Domain::Grant, b"message", &signature), Err(BadSignature));
        for bit in 0..512 {
            let mut altered = signature;
            altered.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(public.verify(Domain::Grant, b"message", &altered), Err(BadSignature), "bit {bit}");
        }
    }

    #[test]
    fn malformed_public_keys_are_refused() {
        let small_order = {
            let mut bytes = [0; 32];
            bytes[0] = 1;
            bytes
        };
        let mut not_canonical = [0xff; 32];
        not_canonical[0] = 0xee; // p + 1: the same point as 1
        not_canonical[31] = 0x7f;
        for bytes in [small_order, not_canonical, [0; 32], [2; 32]] {
            assert_eq!(VerifyKey::from_bytes(&bytes), Err(BadPublicKey), "{}", hex::encode(bytes));
        }
        let good = key(1).verify_key();
        assert_eq!(VerifyKey::from_bytes(&good.to_bytes()), Ok(good));
    }
}
