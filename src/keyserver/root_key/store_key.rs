//! The store key: 32 random bytes per store that wrap what rests in it, each secret for its place. Held in memory while
//! the service runs, so that no root key is asked per request; wiped on drop.

use crate::crypto::secret::{Key32, SecretBytes};
use crate::crypto::wrap::WrapKey;
use crate::crypto::{ClientId, Epoch, KeysetId};
use crate::keys::claims::Split;
use crate::keys::codec::Writer;
use crate::keys::error::KeysError;

/// Wraps what rests in the store.
pub struct StoreKey(WrapKey);

/// Where a wrapped secret belongs: it opens nowhere else.
pub struct Place(Vec<u8>);

impl StoreKey {
    /// Of its bytes.
    pub fn new(key: &Key32) -> Self {
        Self(WrapKey::new(key))
    }

    /// Wraps a secret for its place.
    pub fn wrap(&self, place: &Place, secret: &[u8]) -> Result<Vec<u8>, KeysError> {
        self.0.wrap(&place.0, secret).map_err(|e| KeysError::unavailable(e.to_string()))
    }

    /// Unwraps a secret. `None`: it is of another place, another store key, or altered.
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
