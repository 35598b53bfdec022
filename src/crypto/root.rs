//! The workspace root: names the admins and the key service. Its seed exists in the recovery kit only.

use zeroize::Zeroizing;

use super::derive::{self, ROOT_ID, ROOT_SIGN};
use super::random::RandomError;
use super::secret::Key32;
use super::sign::{Domain, Signature, SigningKey, VerifyKey};
use super::text::{self, TextError};

/// What the recovery kit's line begins with.
pub const RECOVERY_PREFIX: &str = "csroot1_";

/// The root's seed and signing key.
pub struct RootKey {
    seed: Key32,
    signing: SigningKey,
}

/// `SHA-256("columnseal root v1" || root public key)[..16]`: what every secret string trusts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootFingerprint(pub [u8; 16]);

impl RootKey {
    /// A new root.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self::from_seed(Key32::generate()?))
    }

    /// The root of a seed.
    pub fn from_seed(seed: Key32) -> Self {
        let signing = SigningKey::derived(&seed, ROOT_SIGN);
        Self { seed, signing }
    }

    /// Reads the line of a recovery kit.
    pub fn from_recovery(text: &str) -> Result<Self, TextError> {
        text::decode::<32>(RECOVERY_PREFIX, text).map(|seed| Self::from_seed(Key32::new(*seed)))
    }

    /// The line of the recovery kit: `csroot1_…`. Secret.
    pub fn to_recovery(&self) -> Zeroizing<String> {
        text::encode(RECOVERY_PREFIX, self.seed.as_bytes())
    }

    /// Signs for one purpose.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        self.signing.sign(domain, message)
    }

    /// The public key.
    pub fn verify_key(&self) -> VerifyKey {
        self.signing.verify_key()
    }

    /// The public key's fingerprint.
    pub fn fingerprint(&self) -> RootFingerprint {
        RootFingerprint::of(&self.verify_key())
    }
}

impl RootFingerprint {
    /// The fingerprint of a root's public key. Compare it with the trusted one before believing the key.
    pub fn of(key: &VerifyKey) -> Self {
        Self(derive::hash(&[ROOT_ID, &key.to_bytes()]))
    }
}

impl std::fmt::Display for RootFingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for RootFingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RootFingerprint({self})")
    }
}

/// No fingerprint: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a root fingerprint has 32 hexadecimal digits")]
pub struct BadFingerprint;

impl std::str::FromStr for RootFingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadFingerprint)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_line_restores_the_root() {
        let root = RootKey::from_seed(Key32::new([9; 32]));
        let line = root.to_recovery();
        let restored = RootKey::from_recovery(&line).expect("whole line");
        assert_eq!(restored.fingerprint(), root.fingerprint());
        let signature = restored.sign(Domain::AdminSet, b"admins");
        assert!(root.verify_key().verify(Domain::AdminSet, b"admins", &signature).is_ok());
        assert!(matches!(RootKey::from_recovery("csck1_AAAA"), Err(TextError::Prefix(RECOVERY_PREFIX))));
        assert!(matches!(RootKey::from_recovery(&line[..line.len() - 1]), Err(TextError::Length { .. })));
    }

    #[test]
    fn fingerprints_are_read_back() {
        let fingerprint = RootKey::from_seed(Key32::new([9; 32])).fingerprint();
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!("00".parse::<RootFingerprint>(), Err(BadFingerprint));
        assert_eq!("zz".repeat(16).parse::<RootFingerprint>(), Err(BadFingerprint));
    }
}
