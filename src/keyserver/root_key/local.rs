//! A root key whose bytes are at hand: a file, or a variable that the settings hand over.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::crypto::derive::{ROOT_WRAP, expand32};
use crate::crypto::secret::Key32;
use crate::crypto::wrap::WrapKey;
use crate::keys::RootKeyFault;
use crate::keys::error::KeysError;

use super::super::files;
use super::{Binding, Kind, RootKey};

/// The key, and what wraps store keys: HKDF-Expand(key, [`ROOT_WRAP`]).
pub(super) struct Local {
    key: Key32,
    wrap: WrapKey,
}

impl Local {
    /// Of a file with 64 hexadecimal digits, readable by its owner only.
    pub(super) fn file(path: &Path, name: &str) -> Result<Self, KeysError> {
        let fault = |fault| KeysError::RootKey { key: name.to_owned(), fault };
        let missing = || fault(RootKeyFault::Missing("there is no such file".to_owned()));
        let text = files::load(path)?.ok_or_else(missing)?;
        let key = hexadecimal(text.trim_end())
            .ok_or_else(|| fault(RootKeyFault::Malformed("it is not 64 hexadecimal digits".to_owned())))?;
        Ok(Self::new(key))
    }

    /// Of a variable's value: 64 hexadecimal digits, or 32 bytes in base64.
    pub(super) fn variable(name: &str, value: Option<&SecretString>) -> Result<Self, RootKeyFault> {
        let value = value.ok_or_else(|| RootKeyFault::Missing(format!("neither {name} nor {name}_FILE is set")))?;
        let text = value.expose_secret().trim();
        let key = hexadecimal(text).or_else(|| base64(text)).ok_or_else(|| {
            RootKeyFault::Malformed("it is neither 64 hexadecimal digits nor 32 bytes in base64".to_owned())
        })?;
        Ok(Self::new(key))
    }

    fn new(key: Key32) -> Self {
        let wrap = WrapKey::new(&expand32(key.as_bytes(), &[ROOT_WRAP]));
        Self { key, wrap }
    }
}

impl RootKey for Local {
    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn wrap(&self, binding: &Binding, key: &Key32) -> Result<Vec<u8>, RootKeyFault> {
        self.wrap.wrap(&binding.bytes(), key.as_bytes()).map_err(|e| RootKeyFault::Unreachable(e.to_string()))
    }

    fn unwrap(&self, binding: &Binding, wrapped: &[u8]) -> Result<Key32, RootKeyFault> {
        let key = self.wrap.unwrap(&binding.bytes(), wrapped).map_err(|_| RootKeyFault::Wrong)?;
        key.as_slice().try_into().map(Key32::new).map_err(|_| RootKeyFault::Wrong)
    }

    fn direct(&self) -> Option<Key32> {
        Some(Key32::new(*self.key.as_bytes()))
    }
}

/// Makes a file with a new key where there is none.
pub(super) fn create(path: &Path) -> Result<(), KeysError> {
    let key = Key32::generate()?;
    let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(key.as_bytes()))));
    files::create(path, &text).map(drop)
}

fn hexadecimal(text: &str) -> Option<Key32> {
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text, &mut *key).ok()?;
    Some(Key32::new(*key))
}

fn base64(text: &str) -> Option<Key32> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    bytes.as_slice().try_into().map(Key32::new).ok()
}
