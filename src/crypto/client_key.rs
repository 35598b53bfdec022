//! Who a client is: a seed, from it a key that signs and a key that receives sealed shares. Not what it may do.

use zeroize::Zeroizing;

use super::ClientId;
use super::derive::{self, CLIENT_DECOY, CLIENT_ID, CLIENT_SEAL, CLIENT_SIGN};
use super::hpke::{OpenError, OpenKey, Purpose, SealKey};
use super::random::RandomError;
use super::root::RootFingerprint;
use super::secret::{Key32, SecretBytes};
use super::sign::{Domain, Signature, SigningKey, VerifyKey};
use super::text;
pub use super::text::TextError;

/// What a client's secret string begins with.
pub const SECRET_PREFIX: &str = "csck1_";
/// What a client's public string begins with.
pub const PUBLIC_PREFIX: &str = "cspk1_";

/// A client's secret key.
pub struct ClientKey {
    seed: Key32,
    signing: SigningKey,
    opening: OpenKey,
    public: ClientPublic,
}

/// A client's public keys; its id is their hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientPublic {
    /// Verifies what the client signs.
    pub verify: VerifyKey,
    /// Seals to the client.
    pub seal: SealKey,
}

impl ClientKey {
    /// A new client, from the system's random source.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self::from_seed(Key32::generate()?))
    }

    /// The client of a seed.
    pub fn from_seed(seed: Key32) -> Self {
        let signing = SigningKey::derived(&seed, CLIENT_SIGN);
        let opening = OpenKey::new(&derive::hkdf32(&[], seed.as_bytes(), &[CLIENT_SEAL]));
        let public = ClientPublic { verify: signing.verify_key(), seal: opening.seal_key() };
        Self { seed, signing, opening, public }
    }

    /// Reads a secret string: the key, and the root that its holder trusts.
    pub fn from_secret(text: &str) -> Result<(Self, RootFingerprint), TextError> {
        let payload = text::decode::<48>(SECRET_PREFIX, text)?;
        let (seed, root) = payload.split_first_chunk::<32>().expect("48 bytes hold 32");
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(root);
        Ok((Self::from_seed(Key32::new(*seed)), RootFingerprint(fingerprint)))
    }

    /// The secret string: `csck1_` and base64url of `seed 32 || root fingerprint 16 || checksum 4`.
    pub fn to_secret(&self, root: &RootFingerprint) -> Zeroizing<String> {
        let mut payload = Zeroizing::new([0; 48]);
        payload[..32].copy_from_slice(self.seed.as_bytes());
        payload[32..].copy_from_slice(&root.0);
        text::encode(SECRET_PREFIX, &*payload)
    }

    /// The seed, for a caller that keeps it in its own store.
    pub fn seed(&self) -> &Key32 {
        &self.seed
    }

    /// The public keys.
    pub fn public(&self) -> &ClientPublic {
        &self.public
    }

    /// The client's id.
    pub fn client_id(&self) -> ClientId {
        self.public.client_id()
    }

    /// A key for answers to who is nobody: the same in every process of this client.
    pub fn decoy(&self) -> Key32 {
        derive::hkdf32(&[], self.seed.as_bytes(), &[CLIENT_DECOY])
    }

    /// Signs for one purpose.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        self.signing.sign(domain, message)
    }

    /// Opens what was sealed to this client.
    pub fn open_sealed(&self, purpose: Purpose<'_>, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        self.opening.open(purpose, aad, sealed)
    }
}

impl ClientPublic {
    /// `SHA-256("columnseal client v1" || Ed25519 key || X25519 key)[..16]`.
    pub fn client_id(&self) -> ClientId {
        ClientId(derive::hash(&[CLIENT_ID, &self.verify.to_bytes(), &self.seal.to_bytes()]))
    }

    /// The public string for an admin to approve: `cspk1_` and base64url of both keys and a checksum.
    pub fn to_text(&self) -> String {
        text::encode(PUBLIC_PREFIX, &self.to_bytes()).to_string()
    }

    /// Reads a public string.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let payload = text::decode::<64>(PUBLIC_PREFIX, text)?;
        Self::from_bytes(&payload).ok_or(TextError::Key)
    }

    /// `Ed25519 key 32 || X25519 key 32`.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.verify.to_bytes());
        bytes[32..].copy_from_slice(&self.seal.to_bytes());
        bytes
    }

    /// Of the 64 bytes, if both keys are well-formed.
    pub fn from_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let (verify, seal) = bytes.split_first_chunk::<32>()?;
        Some(Self { verify: VerifyKey::from_bytes(verify).ok()?, seal: SealKey::from_bytes(seal.first_chunk()?).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hpke::Sealed;
    use super::*;

    const ROOT: RootFingerprint = RootFingerprint([0xab; 16]);

    fn client(byte: u8) -> ClientKey {
        ClientKey::from_seed(Key32::new([byte; 32]))
    }

    fn read(text: &str) -> Result<ClientId, TextError> {
        ClientKey::from_secret(text).map(|(client, _)| client.client_id())
    }

    #[test]
    fn faults_of_secret_strings_are_told_apart() {
        let secret = client(1).to_secret(&ROOT);
        assert_eq!(read(&secret), Ok(client(1).client_id()));
        assert_eq!(read("cspk1_AAAA"), Err(TextError::Prefix(SECRET_PREFIX)));
        assert_eq!(read(""), Err(TextError::Prefix(SECRET_PREFIX)));
        let found = secret.len() - 3;
        assert_eq!(read(&secret[..found]), Err(TextError::Length { expected: secret.len(), found }));
        assert_eq!(read(&format!("{}!", &secret[..20])), Err(TextError::Character(21)));
        let mistyped = secret.chars().rev().collect::<String>();
        let mistyped = format!("{SECRET_PREFIX}{}", &mistyped[..secret.len() - SECRET_PREFIX.len()]);
        assert_eq!(read(&mistyped), Err(TextError::Checksum));
    }

    #[test]
    fn errors_say_nothing_of_the_secret() {
        let secret = client(1).to_secret(&ROOT);
        for text in [&secret[..30], &secret[1..], &format!("{}+", &secret[..30])] {
            let message = ClientKey::from_secret(text).err().expect("refused").to_string();
            assert!(!message.contains(&secret[8..14]), "{message}");
        }
    }

    #[test]
    fn public_strings_are_read_back() {
        let public = client(1).public().clone();
        assert_eq!(ClientPublic::from_text(&public.to_text()), Ok(public.clone()));
        assert_eq!(ClientPublic::from_bytes(&public.to_bytes()), Some(public.clone()));
        let secret = client(1).to_secret(&ROOT);
        assert_eq!(ClientPublic::from_text(&secret), Err(TextError::Prefix(PUBLIC_PREFIX)));
    }

    #[test]
    fn public_strings_of_malformed_keys_are_refused() {
        let good = client(1).public().to_bytes();
        for range in [0..32, 32..64] {
            let mut bytes = good;
            bytes[range].fill(0);
            let text = text::encode(PUBLIC_PREFIX, &bytes);
            assert_eq!(ClientPublic::from_text(&text), Err(TextError::Key));
        }
    }

    #[test]
    fn the_id_hashes_both_keys() {
        let (one, other) = (client(1).public().clone(), client(2).public().clone());
        let mixed = ClientPublic { verify: one.verify, seal: other.seal.clone() };
        assert_ne!(one.client_id(), other.client_id());
        assert_ne!(mixed.client_id(), one.client_id());
        assert_ne!(mixed.client_id(), other.client_id());
    }

    #[test]
    fn signs_and_opens() {
        let client = client(1);
        let signature = client.sign(Domain::Request, b"request");
        assert!(client.public().verify.verify(Domain::Request, b"request", &signature).is_ok());
        let purpose = Purpose { sealed: Sealed::ClientShare, context: b"" };
        let sealed = client.public().seal.seal(purpose, b"aad", b"share").expect("seals");
        assert_eq!(client.open_sealed(purpose, b"aad", &sealed).expect("opens").as_slice(), b"share");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn secret_strings_are_read_back(seed: [u8; 32], root: [u8; 16]) {
            let client = ClientKey::from_seed(Key32::new(seed));
            let secret = client.to_secret(&RootFingerprint(root));
            let (back, fingerprint) = ClientKey::from_secret(&secret).expect("reads");
            prop_assert_eq!(back.client_id(), client.client_id());
            prop_assert_eq!(fingerprint, RootFingerprint(root));
            prop_assert_eq!(back.seed().as_bytes(), &seed);
        }

        #[test]
        fn arbitrary_text_never_panics(text: String) {
            let (secret, public) = (format!("{SECRET_PREFIX}{text}"), format!("{PUBLIC_PREFIX}{text}"));
            prop_assert!(ClientKey::from_secret(&text).is_err());
            prop_assert!(ClientKey::from_secret(&secret).is_err());
            prop_assert!(ClientPublic::from_text(&public).is_err());
        }
    }
}
