//! Who acts on a workspace: a device with its key, or an admin who is signed in to the key server's page; and what an admin
//! had seen before acting.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::crypto::ClientId;
use crate::crypto::client_key::ClientKey;
use crate::keys::error::KeysError;
use crate::keys::request::{Body, Call, Origin};

use super::access::Access;
use super::view::View;
use super::{ClientInfo, KeysetInfo};

/// Who acts.
#[derive(Clone)]
pub(super) enum Actor {
    /// A device, which signs what it asks.
    Key(Arc<ClientKey>),
    /// An admin's session, which may ask for little: the engine says what.
    Session(ClientId, Origin),
}

impl Actor {
    /// The client that acts.
    pub(super) fn client(&self) -> ClientId {
        match self {
            Self::Key(key) => key.client_id(),
            Self::Session(client, _) => *client,
        }
    }

    /// The key, for what only a key can do.
    pub(super) fn key(&self) -> Result<&ClientKey, KeysError> {
        let why = "this needs an admin's key, which the key server has not: do it with the command line or the dashboard on the admin's machine".into();
        match self {
            Self::Key(key) => Ok(key),
            Self::Session(..) => Err(KeysError::Policy { why }),
        }
    }

    /// Asks in the actor's name. The answer, in JSON.
    pub(super) fn ask<B: Body>(&self, access: &Access, body: &B) -> Result<Vec<u8>, KeysError> {
        match (self, access) {
            (Self::Key(key), access) => access.call(Call::sign(access.id(), key, body)?),
            (Self::Session(client, origin), Access::Here(engine)) => {
                let body = serde_json::to_vec(body).map_err(|e| KeysError::invalid(e.to_string()))?;
                engine.handle_session(*client, origin.clone(), B::PATH, &body)
            }
            (Self::Session(..), Access::There(..)) => Err(KeysError::invalid("a session is of the service itself")),
        }
    }
}

/// A client, a keyset, or both, as somebody saw them: what is decided then must not fall on something else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sight {
    /// Id or name.
    pub client: Option<String>,
    /// Id or name.
    pub keyset: Option<String>,
    /// What [`stamp`] said of them.
    pub stamp: String,
}

impl Sight {
    pub(super) fn holds(&self, view: &View) -> Result<bool, KeysError> {
        let client = self.client.as_deref().map(|name| view.client(name).map(|found| view.client_info(found)));
        let keyset = self.keyset.as_deref().map(|name| view.keyset(name).map(|found| view.keyset_info(found)));
        let (client, keyset) = (client.transpose()?, keyset.transpose()?);
        Ok(stamp(client.as_ref(), keyset.as_ref()) == self.stamp)
    }
}

/// Stands for all that is decided of a client, a keyset, or both: another one after any change of it.
pub fn stamp(client: Option<&ClientInfo>, keyset: Option<&KeysetInfo>) -> String {
    // When it was seen and how many others there are says nothing of it.
    let client = client.map(|client| ClientInfo { seen: None, ..client.clone() });
    let keyset = keyset.map(|keyset| KeysetInfo { clients: 0, ..keyset.clone() });
    let text = serde_json::to_vec(&(client, keyset)).expect("these structs have string keys and no failing parts");
    hex::encode(&Sha256::digest(text)[..16])
}
