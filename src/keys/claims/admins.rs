//! The root's word on who the admins are and which keys the key service has, and the checking of everything that rests
//! on it.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::ClientId;
use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::crypto::hpke::SealKey;
use crate::crypto::json::{Base64, Bytes, b64};
use crate::crypto::root::{RootFingerprint, RootKey};
use crate::crypto::sign::{Domain, Signature, VerifyKey};

use super::super::codec::{Malformed, Reader, Writer};
use super::super::error::KeysError;
use super::super::request::ServiceId;
use super::{Claim, Signed};

/// Who may sign claims. The root signs each version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminSet {
    /// Grows with every change.
    pub version: u32,
    /// The admins' public keys.
    pub admins: Vec<ClientPublic>,
}

impl Claim for AdminSet {
    const DOMAIN: Domain = Domain::AdminSet;

    fn write(&self, writer: &mut Writer) {
        writer.u32(self.version).list(&self.admins, |w, admin| {
            w.fixed(&admin.to_bytes());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let version = reader.u32()?;
        let admins = reader.list(|r| ClientPublic::from_bytes(&r.fixed()?).ok_or(Malformed))?;
        Ok(Self { version, admins })
    }

    fn what(&self) -> String {
        format!("the admin set, version {}", self.version)
    }
}

/// The keys of a key service: requests name its id, admins seal to it, it signs what it answers to other machines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceRecord {
    /// Which service.
    pub id: ServiceId,
    /// Verifies its answers.
    pub verify: VerifyKey,
    /// Seals to it.
    pub seal: SealKey,
}

impl Claim for ServiceRecord {
    const DOMAIN: Domain = Domain::Service;

    fn write(&self, writer: &mut Writer) {
        writer.fixed(&self.id.0).fixed(&self.verify.to_bytes()).fixed(&self.seal.to_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let id = ServiceId(reader.fixed()?);
        let verify = VerifyKey::from_bytes(&reader.fixed()?).map_err(|_| Malformed)?;
        let seal = SealKey::from_bytes(&reader.fixed()?).map_err(|_| Malformed)?;
        Ok(Self { id, verify, seal })
    }

    fn what(&self) -> String {
        "the key service's record".to_owned()
    }
}

/// A claim's bytes, the root's public key and its signature.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootSigned {
    /// The root's public key. Believed if its fingerprint is the trusted one.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub root: [u8; 32],
    /// The claim's canonical bytes.
    #[serde(with = "b64")]
    #[schemars(with = "Bytes")]
    pub body: Vec<u8>,
    /// By the root, over the body.
    pub signature: Signature,
}

impl RootSigned {
    /// Signs a claim of the root.
    pub fn new<C: Claim>(claim: &C, root: &RootKey) -> Self {
        let body = claim.encode();
        let signature = root.sign(C::DOMAIN, &body);
        Self { root: root.verify_key().to_bytes(), body, signature }
    }

    /// The claim, if the root with fingerprint `expected` signed it.
    pub fn check<C: Claim>(&self, expected: RootFingerprint, what: &str) -> Result<C, KeysError> {
        let bad = || KeysError::tampered(what);
        let root = VerifyKey::from_bytes(&self.root).map_err(|_| bad())?;
        let found = RootFingerprint::of(&root);
        if found != expected {
            return Err(KeysError::OtherWorkspace { found: found.to_string(), expected: expected.to_string() });
        }
        root.verify(C::DOMAIN, &self.body, &self.signature).map_err(|_| bad())?;
        C::decode(&self.body).map_err(|_| bad())
    }
}

/// The admins that the trusted root names. What checks every claim.
#[derive(Clone, Debug)]
pub struct Trust {
    root: RootFingerprint,
    version: u32,
    admins: HashMap<ClientId, ClientPublic>,
}

impl Trust {
    /// Believes an admin set if the root with fingerprint `expected` signed it.
    pub fn establish(expected: RootFingerprint, signed: &RootSigned) -> Result<Self, KeysError> {
        let set: AdminSet = signed.check(expected, "the admin set")?;
        let admins = set.admins.into_iter().map(|admin| (admin.client_id(), admin)).collect();
        Ok(Self { root: expected, version: set.version, admins })
    }

    /// The claim, if an admin signed it.
    pub fn check<C: Claim>(&self, signed: &Signed, what: impl Fn() -> String) -> Result<C, KeysError> {
        let admin = self.admins.get(&signed.signer).ok_or_else(|| KeysError::tampered(what()))?;
        check_by(admin, signed, what)
    }

    /// The claim, if an admin or this very client signed it.
    pub fn check_own<C: Claim>(
        &self,
        own: &ClientPublic,
        signed: &Signed,
        what: impl Fn() -> String,
    ) -> Result<C, KeysError> {
        if signed.signer == own.client_id() { check_by(own, signed, what) } else { self.check(signed, what) }
    }

    /// This client is an admin.
    pub fn is_admin(&self, client: ClientId) -> bool {
        self.admins.contains_key(&client)
    }

    /// Ids of the admins.
    pub fn admins(&self) -> impl Iterator<Item = ClientId> {
        self.admins.keys().copied()
    }

    /// Public keys of the admins, in the order of their ids.
    pub fn keys(&self) -> Vec<ClientPublic> {
        let mut keys: Vec<_> = self.admins.values().cloned().collect();
        keys.sort_by_key(ClientPublic::client_id);
        keys
    }

    /// The trusted root.
    pub fn root(&self) -> RootFingerprint {
        self.root
    }

    /// Version of the admin set.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// An error unless this key is an admin's.
    pub fn require_admin(&self, key: &ClientKey) -> Result<(), KeysError> {
        let client = key.client_id();
        if self.is_admin(client) { Ok(()) } else { Err(KeysError::NotAdmin { client: client.to_string() }) }
    }
}

fn check_by<C: Claim>(public: &ClientPublic, signed: &Signed, what: impl Fn() -> String) -> Result<C, KeysError> {
    let bad = || KeysError::tampered(what());
    public.verify.verify(C::DOMAIN, &signed.body, &signed.signature).map_err(|_| bad())?;
    C::decode(&signed.body).map_err(|_| bad())
}
