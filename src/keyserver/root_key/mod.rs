//! The root key of a store, kept outside it. It wraps one thing only: the store key, which wraps the rows. So it is asked
//! once at start, and replacing it rewrites one small row while the service runs.
//!
//! ```text
//! settings     how a root key is named, with what is needed to use it
//! pkcs11_uri   RFC 7512
//! local        file, environment variable: the key's bytes are at hand
//! awskms       AWS KMS, by signed HTTPS requests; credentials of the environment, container or instance
//! vault        the transit engine of Vault or OpenBao
//! pkcs11       a key in a token (HSM)
//! store_key    the store key and the places it wraps for
//! unlock       root key -> store key; stores from before there were store keys
//! rewrap       another root key, and away with the old one
//! ```

#[cfg(feature = "root-awskms")]
mod awskms;
mod local;
#[cfg(feature = "root-pkcs11")]
mod pkcs11;
pub mod pkcs11_uri;
pub mod rewrap;
pub mod settings;
mod store_key;
mod unlock;
#[cfg(feature = "root-vault")]
mod vault;

use crate::crypto::derive::STORE_KEY;
use crate::crypto::secret::Key32;
use crate::keys::RootKeyFault;
use crate::keys::error::KeysError;

pub use rewrap::{RootKeyInfo, rewrap, status};
pub use settings::Source;
pub use store_key::{Place, StoreKey};
pub use unlock::{NewStoreKey, unlock};

/// Where store keys are wrapped and unwrapped. Every call blocks, some on a network.
pub trait RootKey: Send + Sync {
    /// Which wrapped store keys it may be tried on.
    fn kind(&self) -> Kind;

    /// Wraps a store key, bound to its service.
    fn wrap(&self, binding: &Binding, key: &Key32) -> Result<Vec<u8>, RootKeyFault>;

    /// The store key, if it was wrapped by this root key for this service; [`RootKeyFault::Wrong`] otherwise.
    fn unwrap(&self, binding: &Binding, wrapped: &[u8]) -> Result<Key32, RootKeyFault>;

    /// The bytes under which rows of stores from before there were store keys are wrapped.
    fn direct(&self) -> Option<Key32> {
        None
    }
}

/// Root keys of one kind write the same form of wrapped store key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// File and environment variable.
    Local,
    /// AWS KMS.
    AwsKms,
    /// Vault or OpenBao.
    Vault,
    /// A PKCS#11 token.
    Pkcs11,
}

impl Kind {
    /// As the store writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::AwsKms => "awskms",
            Self::Vault => "vault",
            Self::Pkcs11 => "pkcs11",
        }
    }
}

/// The service that a store key belongs to: a wrapped one opens for no other.
#[derive(Clone, Copy)]
pub struct Binding([u8; 16]);

impl Binding {
    /// Of a service id.
    pub fn new(service: [u8; 16]) -> Self {
        Self(service)
    }

    /// As additional data of an AEAD.
    pub fn bytes(&self) -> Vec<u8> {
        [STORE_KEY, &self.0].concat()
    }

    /// As text.
    pub fn text(&self) -> String {
        uuid::Uuid::from_bytes(self.0).to_string()
    }
}

/// A root key that was found, and how to name it in errors.
pub struct Root {
    name: String,
    key: Box<dyn RootKey>,
}

impl Root {
    /// Finds the key. Services and devices may be asked only when it is used.
    pub fn open(source: &Source) -> Result<Self, KeysError> {
        let name = source.to_string();
        let fault = |fault| KeysError::RootKey { key: name.clone(), fault };
        let key: Box<dyn RootKey> = match source {
            Source::File(path) => Box::new(local::Local::file(path, &name)?),
            Source::Environment { name: variable, value } => {
                Box::new(local::Local::variable(variable, value.as_ref()).map_err(fault)?)
            }
            #[cfg(feature = "root-awskms")]
            Source::AwsKms(settings) => Box::new(awskms::AwsKms::new(settings).map_err(fault)?),
            #[cfg(not(feature = "root-awskms"))]
            Source::AwsKms(_) => return Err(fault(RootKeyFault::NotBuilt("root-awskms"))),
            #[cfg(feature = "root-vault")]
            Source::Vault(settings) => Box::new(vault::Vault::new(settings).map_err(fault)?),
            #[cfg(not(feature = "root-vault"))]
            Source::Vault(_) => return Err(fault(RootKeyFault::NotBuilt("root-vault"))),
            #[cfg(feature = "root-pkcs11")]
            Source::Pkcs11(settings) => Box::new(pkcs11::Pkcs11Key::new(settings).map_err(fault)?),
            #[cfg(not(feature = "root-pkcs11"))]
            Source::Pkcs11(_) => return Err(fault(RootKeyFault::NotBuilt("root-pkcs11"))),
        };
        Ok(Self { name, key })
    }

    /// As [`Root::open`]; a file that is not there is made with a new key.
    pub fn open_or_create(source: &Source) -> Result<Self, KeysError> {
        if let Source::File(path) = source {
            local::create(path)?;
        }
        Self::open(source)
    }

    fn fault(&self, fault: RootKeyFault) -> KeysError {
        KeysError::RootKey { key: self.name.clone(), fault }
    }

    fn wrap(&self, binding: &Binding, key: &Key32) -> Result<Vec<u8>, KeysError> {
        let wrapped = self.key.wrap(binding, key).map_err(|fault| self.fault(fault))?;
        // What would not open again must not become the only way into a store.
        let again = self.key.unwrap(binding, &wrapped).map_err(|fault| self.fault(fault))?;
        if again.ct_eq(key) {
            return Ok(wrapped);
        }
        Err(self.fault(RootKeyFault::BadAnswer("it unwraps other bytes than it wrapped".to_owned())))
    }
}

/// A 32-byte key out of what a root key unwrapped.
#[cfg(any(feature = "root-awskms", feature = "root-vault", feature = "root-pkcs11"))]
fn exact(bytes: &[u8]) -> Result<Key32, RootKeyFault> {
    let length = || RootKeyFault::BadAnswer(format!("what it unwrapped has {} bytes, not 32", bytes.len()));
    bytes.try_into().map(Key32::new).map_err(|_| length())
}

/// What somebody else's answer says, on one short line.
#[cfg(any(feature = "root-awskms", feature = "root-vault"))]
fn told(text: &str) -> String {
    const LONGEST: usize = 300;
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let line: String = line.trim_end_matches([':', '.', ' ']).chars().take(LONGEST).collect();
    line
}

/// Store keys travel over TLS, or stay on this machine.
#[cfg(any(feature = "root-awskms", feature = "root-vault"))]
fn private_address(address: &str) -> Result<(), RootKeyFault> {
    let unsafe_address = || RootKeyFault::Malformed("its address is neither https:// nor on this machine".to_owned());
    let Some(rest) = address.strip_prefix("http://") else {
        return if address.starts_with("https://") { Ok(()) } else { Err(unsafe_address()) };
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if local && !authority.contains('@') { Ok(()) } else { Err(unsafe_address()) }
}

#[cfg(test)]
mod tests;
