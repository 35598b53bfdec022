//! What is signed: records, certificates, grants, type definitions by an admin; the set of admins by the workspace root.
//! A claim's bytes are canonical, so that what was signed is what is read.

pub mod admins;
pub mod client;
pub mod grant;
pub mod keyset;
pub mod typedef;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::ClientId;
use crate::crypto::client_key::ClientKey;
use crate::crypto::client_key::SECRET_PREFIX;
use crate::crypto::json::{Bytes, b64};
use crate::crypto::root::RECOVERY_PREFIX;
use crate::crypto::sign::{Domain, Signature};

use super::codec::{Malformed, Reader, Writer};

pub use admins::{AdminSet, RootSigned, ServiceRecord, Trust};
pub use client::{ClientKind, ClientRecord};
pub use grant::{Grant, GrantShare};
pub use keyset::{Certificate, Epochs, KeysetRecord, Split};
pub use typedef::TypeClaim;

/// Longest name of a client or keyset, in bytes.
pub const MAX_NAME: usize = 128;

/// Something that can be signed.
pub trait Claim: Sized {
    /// What the signature is for.
    const DOMAIN: Domain;

    /// Appends the fields.
    fn write(&self, writer: &mut Writer);

    /// Reads the fields back.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// Kind and name, for errors.
    fn what(&self) -> String;

    /// The canonical bytes.
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.write(&mut writer);
        writer.finish()
    }

    /// Reads canonical bytes, all of them.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::bare(bytes);
        let claim = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(claim)
    }
}

/// A claim's bytes and who signed them. Nothing of it holds before [`Trust::check`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The claim's canonical bytes.
    #[serde(with = "b64")]
    #[schemars(with = "Bytes")]
    pub body: Vec<u8>,
    /// Who signed.
    pub signer: ClientId,
    /// Over the body, for the claim's domain.
    pub signature: Signature,
}

impl Signed {
    /// Signs a claim.
    pub fn new<C: Claim>(claim: &C, key: &ClientKey) -> Self {
        let body = claim.encode();
        let signature = key.sign(C::DOMAIN, &body);
        Self { body, signer: key.client_id(), signature }
    }

    /// The same claim, word for word, under another signature.
    pub fn again<C: Claim>(&self, key: &ClientKey) -> Self {
        let signature = key.sign(C::DOMAIN, &self.body);
        Self { body: self.body.clone(), signer: key.client_id(), signature }
    }

    /// SHA-256 of the body: the version of a grant that a share belongs to.
    pub fn digest(&self) -> [u8; 32] {
        use sha2::Digest;
        sha2::Sha256::digest(&self.body).into()
    }
}

/// A name that lists, errors and settings can show: 1 to [`MAX_NAME`] bytes, printable, no blanks at the ends.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.len() > MAX_NAME {
        Some("a name has 1 to 128 bytes")
    } else if name.trim() != name || name.chars().any(char::is_control) {
        Some("a name has no control characters and no blanks at its ends")
    } else if uuid::Uuid::try_parse(name).is_ok() {
        Some("a name must not look like an id")
    } else if [SECRET_PREFIX, RECOVERY_PREFIX].iter().any(|prefix| name.contains(prefix)) {
        Some("this is a secret key, not a name")
    } else {
        None
    }
}
