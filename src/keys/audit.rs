//! Heads of audit chains: what lease answers carry and proxies log, so that a service that rewrote its own log is found.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::derive::Domain;
use crate::crypto::json::{Base64, b64};
use crate::crypto::sign::{Signature, SigningKey, VerifyKey};

use super::codec::Writer;
use super::request::ServiceId;

/// One chain of the audit trail. The chain of changes bears the service's own id, each server's key fetches an id of
/// their own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaId(pub [u8; 16]);

/// Where a chain stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// The chain.
    pub replica: ReplicaId,
    /// Its last entry.
    pub sequence: u64,
    /// That entry's hash, which covers all before.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub hash: [u8; 32],
}

/// A head that the service vouches for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedHead {
    /// The head.
    pub head: AuditHead,
    /// The service's signature.
    pub signature: Signature,
}

impl AuditHead {
    /// Signs it.
    pub fn sign(self, service: ServiceId, key: &SigningKey) -> SignedHead {
        SignedHead { head: self, signature: key.sign(Domain::AuditHead, &self.message(service)) }
    }

    fn message(&self, service: ServiceId) -> Vec<u8> {
        let mut writer = Writer::new("audit head");
        writer.fixed(&service.0).fixed(&self.replica.0).u64(self.sequence).fixed(&self.hash).finish()
    }
}

impl SignedHead {
    /// Whether that service signed it.
    pub fn holds(&self, service: ServiceId, key: &VerifyKey) -> bool {
        key.verify(Domain::AuditHead, &self.head.message(service), &self.signature).is_ok()
    }
}

crate::crypto::json::schema!(ReplicaId, {
    "type": "string",
    "format": "uuid",
    "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
});

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl serde::Serialize for ReplicaId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ReplicaId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplicaId({self})")
    }
}

impl FromStr for ReplicaId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Ok(Self(*uuid::Uuid::try_parse(text)?.as_bytes()))
    }
}

/// `replica:sequence:hash`, the hash in hex.
impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.replica, self.sequence, hex::encode(self.hash))
    }
}

impl FromStr for AuditHead {
    type Err = super::codec::Malformed;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || super::codec::Malformed;
        let mut parts = text.trim().splitn(3, ':');
        let mut part = || parts.next().ok_or_else(bad);
        let replica = part()?.parse().map_err(|_| bad())?;
        let sequence = part()?.parse().map_err(|_| bad())?;
        let mut hash = [0; 32];
        hex::decode_to_slice(part()?, &mut hash).map_err(|_| bad())?;
        Ok(Self { replica, sequence, hash })
    }
}

/// `replica:sequence:hash:signature` in hex, as logs hold it.
impl fmt::Display for SignedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.head, hex::encode(self.signature.0))
    }
}

impl FromStr for SignedHead {
    type Err = super::codec::Malformed;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || super::codec::Malformed;
        let (head, signature) = text.rsplit_once(':').ok_or_else(bad)?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(signature, &mut bytes).map_err(|_| bad())?;
        Ok(Self { head: head.parse()?, signature: Signature(bytes) })
    }
}

impl SignedHead {
    /// Every head that stands in a text, such as the log of a proxy in any format.
    pub fn all_in(text: &str) -> impl Iterator<Item = Self> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '-'));
        words.filter(|word| word.len() > 200).filter_map(|word| word.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::secret::Key32;

    fn head() -> AuditHead {
        AuditHead { replica: ReplicaId([3; 16]), sequence: 7, hash: [9; 32] }
    }

    #[test]
    fn a_head_is_of_one_service_chain_place_and_hash() {
        let key = SigningKey::service(&Key32::new([1; 32]));
        let signed = head().sign(ServiceId([2; 16]), &key);
        let public = key.verify_key();
        assert!(signed.holds(ServiceId([2; 16]), &public));
        assert!(!signed.holds(ServiceId([4; 16]), &public));
        for other in [
            AuditHead { replica: ReplicaId([4; 16]), ..head() },
            AuditHead { sequence: 8, ..head() },
            AuditHead { hash: [8; 32], ..head() },
        ] {
            assert!(!SignedHead { head: other, ..signed }.holds(ServiceId([2; 16]), &public));
        }
    }

    #[test]
    fn signed_heads_are_found_in_logs() {
        let signed = head().sign(ServiceId([2; 16]), &SigningKey::service(&Key32::new([1; 32])));
        let text = signed.to_string();
        assert_eq!(text.parse(), Ok(signed));
        let log =
            format!("12:00 INFO audit head head={text}\n{{\"head\":\"{text}\"}}\n{} {}x head=1:2:3", head(), text);
        assert_eq!(SignedHead::all_in(&log).collect::<Vec<_>>(), [signed, signed]);
        assert_eq!(SignedHead::all_in("").count(), 0);
    }

    #[test]
    fn heads_are_read_as_they_are_written() {
        assert_eq!(head().to_string().parse(), Ok(head()));
        let hash = "09".repeat(32);
        for bad in [
            "",
            "x",
            "03030303-0303-0303-0303-030303030303:7",
            &format!("x:7:{hash}"),
            &format!("{}:-1:{hash}", head().replica),
        ] {
            assert!(bad.parse::<AuditHead>().is_err(), "{bad}");
        }
    }
}
