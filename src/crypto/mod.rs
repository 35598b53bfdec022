//! Cryptography as `docs/keys.md` specifies it. Sync, no I/O but the system's random source, no logs, no metrics.
//!
//! ```text
//! envelope     one encrypted value, and the data key that seals and opens it
//! term         search terms
//! split        split keys: shares, grants, derivation of data keys and term roots   (dleq, group beneath)
//! client_key   who a client is: seed, identity, secret string                        (sign, hpke beneath)
//! root         the workspace root
//! wrap         small secrets at rest
//! derive       every label of the protocol
//! ```

mod aead;
pub mod client_key;
pub mod client_request;
pub mod derive;
pub mod dleq;
pub mod enrol;
pub mod envelope;
pub mod group;
pub mod hpke;
pub mod json;
pub mod key_id;
pub mod random;
pub mod root;
pub mod secret;
pub mod sign;
pub mod split;
pub mod term;
mod text;
#[cfg(test)]
mod vectors;
pub mod wrap;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                uuid::Uuid::from_bytes(self.0).fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, uuid::Error> {
                Ok(Self(*uuid::Uuid::try_parse(s)?.as_bytes()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            /// Only the form that is written: people's other spellings of a uuid have no place on the wire.
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                let id = text.parse::<Self>().map_err(serde::de::Error::custom)?;
                if id.to_string() == text { Ok(id) } else { Err(serde::de::Error::custom("not a uuid in its usual form")) }
            }
        }

        json::schema!($name, {
            "type": "string",
            "format": "uuid",
            "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        });
    };
}

id!(/// An encrypted type: the cryptographic context of a value. Random, v5 for ready-made types, never reused.
    TypeId);
id!(/// A keyset.
    KeysetId);
id!(/// A client: the first 16 bytes of the hash of its public keys.
    ClientId);

/// A keyset and data epoch, allocated uniquely by the key service and signed in the certificate.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Kref(pub u32);

/// An epoch of a split key, from 1.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Epoch(pub u32);

/// A data key's public name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 8]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// No key id: 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id has 16 lower-case hexadecimal digits")]
pub struct BadKeyId;

impl std::str::FromStr for KeyId {
    type Err = BadKeyId;

    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        let mut id = [0; 8];
        hex::decode_to_slice(text, &mut id).map_err(|_| BadKeyId)?;
        if text.bytes().any(|b| b.is_ascii_uppercase()) { Err(BadKeyId) } else { Ok(Self(id)) }
    }
}

json::serde_text!(KeyId);
json::schema!(KeyId, { "type": "string", "pattern": "^[0-9a-f]{16}$" });
