//! The key under which server shares rest: a file beside the store. Losing it loses the store; having it and the store
//! is having the key service's half of every key.

use std::path::Path;

use zeroize::Zeroizing;

use crate::crypto::secret::{Key32, SecretBytes};
use crate::crypto::wrap::WrapKey;
use crate::crypto::{ClientId, Epoch, KeysetId};
use crate::keys::claims::Split;
use crate::keys::codec::Writer;
use crate::keys::error::KeysError;

use super::files;

/// Wraps what rests in the store.
pub struct RootWrap(WrapKey);

/// Where a wrapped secret belongs: it opens nowhere else.
pub struct Place(Vec<u8>);

impl RootWrap {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let fault = |what: &'static str| KeysError::RootKey { path: path.to_owned(), what: what.into() };
        let text = files::load(path)?.ok_or_else(|| fault("it is missing"))?;
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim_end(), &mut *key).map_err(|_| fault("it is not 64 hexadecimal digits"))?;
        Ok(Self(WrapKey::new(&Key32::new(*key))))
    }

    /// Makes the file where there is none, and reads it.
    pub fn load_or_create(path: &Path) -> Result<Self, KeysError> {
        let key = Key32::generate().map_err(|e| KeysError::unavailable(e.to_string()))?;
        let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(key.as_bytes()))));
        files::create(path, &text)?;
        Self::load(path)
    }

    /// Wraps a secret for its place.
    pub fn wrap(&self, place: &Place, secret: &[u8]) -> Result<Vec<u8>, KeysError> {
        self.0.wrap(&place.0, secret).map_err(|e| KeysError::unavailable(e.to_string()))
    }

    /// Unwraps a secret. `None`: it is of another place, another root key, or altered.
    pub fn unwrap(&self, place: &Place, wrapped: &[u8]) -> Option<SecretBytes> {
        self.0.unwrap(&place.0, wrapped).ok()
    }
}

impl Place {
    /// The service's own keys.
    pub fn service(service: &[u8; 16]) -> Self {
        Self(Writer::new("service keys").fixed(service).finish())
    }

    /// A server share of a grant. The grant's digest binds it to that very grant.
    pub fn share(client: ClientId, keyset: KeysetId, split: Split, epoch: Epoch, grant: &[u8; 32]) -> Self {
        let mut writer = Writer::new("server share");
        writer.fixed(&client.0).fixed(&keyset.0).u8(split.code()).u32(epoch.0).fixed(grant);
        Self(writer.finish())
    }

    /// The server share of an offered keyset.
    pub fn offer(client: ClientId, keyset: KeysetId, split: Split) -> Self {
        let mut writer = Writer::new("offered share");
        writer.fixed(&client.0).fixed(&keyset.0).u8(split.code());
        Self(writer.finish())
    }
}
