//! How ids and byte strings stand in JSON: ids as uuids, key ids in hexadecimal, all other bytes in base64url without
//! padding. One value has one form; anything else is refused.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Base64url of bytes of any or of one fixed length: `#[serde(with = "b64")]`.
pub mod b64 {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes base64url.
    pub fn serialize<T: AsRef<[u8]>, S: Serializer>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::encode(bytes.as_ref()))
    }

    /// Reads base64url; the length must fit.
    pub fn deserialize<'de, T: TryFrom<Vec<u8>>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        super::decode(&text).ok_or_else(|| D::Error::custom("not base64url of the right length"))
    }
}

/// A list of byte strings: `#[serde(with = "b64_list")]`.
pub mod b64_list {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a list of base64url.
    pub fn serialize<T: AsRef<[u8]>, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|bytes| super::encode(bytes.as_ref())))
    }

    /// Reads a list of base64url.
    pub fn deserialize<'de, T: TryFrom<Vec<u8>>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let one =
            |text: &String| super::decode(text).ok_or_else(|| D::Error::custom("not base64url of the right length"));
        texts.iter().map(one).collect()
    }
}

/// Base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Of base64url without padding.
pub fn decode<T: TryFrom<Vec<u8>>>(text: &str) -> Option<T> {
    T::try_from(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// Serde through `Display` and `FromStr`.
macro_rules! serde_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Serde of a newtype of bytes as base64url.
macro_rules! serde_b64 {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::crypto::json::b64::serialize(&self.0, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::crypto::json::b64::deserialize(deserializer).map(Self)
            }
        }
    };
}

/// The schema of a type that writes itself as text.
macro_rules! schema {
    ($name:ident, $schema:tt) => {
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(crate) use schema;
pub(super) use {serde_b64, serde_text};

/// In schemas: `N` bytes as base64url.
pub struct Base64<const N: usize>;

impl<const N: usize> JsonSchema for Base64<N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Base64_{N}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The bits that the last letter has too many are 0.
        let last = match N % 3 {
            0 => "[A-Za-z0-9_-]",
            1 => "[AQgw]",
            _ => "[AEIMQUYcgkosw048]",
        };
        let letters = (N * 8).div_ceil(6);
        json_schema!({ "type": "string", "pattern": format!("^[A-Za-z0-9_-]{{{}}}{last}$", letters - 1) })
    }
}

/// In schemas: bytes as base64url.
pub struct Bytes;

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$";
        json_schema!({ "type": "string", "pattern": pattern })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KeyId, KeysetId};
    use crate::crypto::sign::Signature;

    #[test]
    fn one_value_has_one_form() {
        let id = KeysetId([0xab; 16]);
        let json = serde_json::to_string(&id).expect("json");
        assert_eq!(json, "\"abababab-abab-abab-abab-abababababab\"");
        assert_eq!(serde_json::from_str::<KeysetId>(&json).expect("read"), id);
        assert_eq!(serde_json::to_string(&KeyId([1; 8])).expect("json"), "\"0101010101010101\"");
        let signature = Signature([7; 64]);
        let json = serde_json::to_string(&signature).expect("json");
        assert_eq!(serde_json::from_str::<Signature>(&json).expect("read"), signature);
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in
            ["\"ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB\"", "\"{abababab-abab-abab-abab-abababababab}\"", "1", "\"\""]
        {
            assert!(serde_json::from_str::<KeysetId>(bad).is_err(), "{bad}");
        }
        for bad in ["\"01\"", "\"010101010101010g\"", "\"0101010101010101ff\"", "null", "\"010101010101010A\""] {
            assert!(serde_json::from_str::<KeyId>(bad).is_err(), "{bad}");
        }
        let short = serde_json::to_string("AAAA").expect("json");
        assert!(serde_json::from_str::<Signature>(&short).is_err());
        let padded = format!("\"{}==\"", super::encode(&[7; 64]));
        assert!(serde_json::from_str::<Signature>(&padded).is_err());
    }
}
