//! The first admin of a key server. The server makes its own keys; the admin makes the root, signs the server's public keys
//! with it, and names itself. Both show that they know the one-time token without sending it, so that whoever ends TLS can
//! put nothing in between:
//!
//! ```text
//! admin  -> server   nonce
//! server -> admin    offer {service id, verify, seal}, HMAC(token, "bootstrap offer" || nonce || offer)
//! admin  -> server   founding {service record, admin set, client record}, HMAC(token, "bootstrap founding" || founding)
//! ```

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::crypto::client_key::ClientKey;
use crate::crypto::hpke::{OpenKey, SealKey};
use crate::crypto::json::{Base64, b64};
use crate::crypto::random;
use crate::crypto::root::{RootFingerprint, RootKey};
use crate::crypto::secret::Key32;
use crate::crypto::sign::{SigningKey, VerifyKey};
use crate::keys::claims::{AdminSet, Claim, ClientRecord, RootSigned, ServiceRecord, Signed, Trust, name_fault};
use crate::keys::clock::wall_ms;
use crate::keys::codec::Writer;
use crate::keys::error::KeysError;
use crate::keys::request::ServiceId;

use super::files;
use super::root_key::{NewStoreKey, Place, Source};
use super::store::tables::audit::{self, Entry};
use super::store::tables::{clients, workspace};
use super::store::{self, Store};

/// Where an offer is asked for.
pub const OFFER_PATH: &str = "/v1/bootstrap/offer";
/// Where a workspace is founded.
pub const FOUND_PATH: &str = "/v1/bootstrap/found";
/// What a token begins with.
pub const PREFIX: &str = "csboot1_";

/// The one-time token. Wiped on drop.
pub struct Token(Zeroizing<[u8; 32]>);

/// Asks for the server's public keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskOffer {
    /// Random.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<16>")]
    pub nonce: [u8; 16],
}

/// The server's public keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceOffer {
    /// Id of the service.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<16>")]
    pub service: [u8; 16],
    /// Verifies what it answers.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub verify: [u8; 32],
    /// Seals to it.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub seal: [u8; 32],
    /// By the token.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub proof: [u8; 32],
}

/// Founds the workspace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Founding {
    /// The service's record.
    pub service: RootSigned,
    /// The first admin set.
    pub admins: RootSigned,
    /// The first admin's record.
    pub client: Signed,
    /// By the token.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub proof: [u8; 32],
}

impl Token {
    /// Reads the file, and makes it where there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, KeysError> {
        let token = Self(Zeroizing::new(random::array()?));
        let text = Zeroizing::new(format!("{PREFIX}{}\n", hex::encode(*token.0)));
        if let Some(folder) = path.parent() {
            files::private_folder(folder)?;
        }
        files::create(path, &text)?;
        Self::load(path)
    }

    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let fault = |why: &str| KeysError::File { path: path.to_owned(), why: why.to_owned() };
        let text = files::load(path)?.ok_or_else(|| fault("there is no such file"))?;
        Self::read(&text).ok_or_else(|| fault("it holds no bootstrap token"))
    }

    /// Reads a token.
    pub fn read(text: &str) -> Option<Self> {
        let mut token = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim().strip_prefix(PREFIX)?, &mut *token).ok()?;
        Some(Self(token))
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(message);
        mac
    }

    fn prove(&self, message: &[u8]) -> [u8; 32] {
        self.mac(message).finalize().into_bytes().into()
    }

    /// In constant time.
    fn proves(&self, message: &[u8], proof: &[u8; 32]) -> bool {
        self.mac(message).verify_slice(proof).is_ok()
    }
}

impl ServiceOffer {
    fn message(&self, nonce: &[u8; 16]) -> Vec<u8> {
        let mut writer = Writer::new("bootstrap offer");
        writer.fixed(nonce).fixed(&self.service).fixed(&self.verify).fixed(&self.seal);
        writer.finish()
    }
}

impl Founding {
    fn message(&self) -> Vec<u8> {
        let mut writer = Writer::new("bootstrap founding");
        for signed in [&self.service, &self.admins] {
            writer.fixed(&signed.root).bytes(&signed.body).fixed(&signed.signature.0);
        }
        writer.fixed(&self.client.signer.0).bytes(&self.client.body).fixed(&self.client.signature.0);
        writer.finish()
    }
}

/// The server's side, while there is no workspace.
pub(super) struct Founder {
    store: Box<dyn Store>,
    service: ServiceId,
    secret: ServiceSecret,
    /// The store's key to be, wrapped under the root key.
    key: NewStoreKey,
    token: Token,
    token_path: PathBuf,
}

impl Founder {
    /// Draws the keys; a root key file and a token that are not there are made.
    pub(super) fn new(store: Box<dyn Store>, root_key: &Source, token_path: &Path) -> Result<Self, KeysError> {
        let service = ServiceId(random::array()?);
        if let Source::File(path) = root_key {
            files::private_folder(path.parent().unwrap_or(Path::new("")))?;
        }
        let (secret, key) = (ServiceSecret::generate()?, NewStoreKey::make(root_key, service.0)?);
        let token = Token::load_or_create(token_path)?;
        Ok(Self { store, service, secret, key, token, token_path: token_path.to_owned() })
    }

    /// Somebody has founded the workspace.
    pub(super) fn is_founded(&self) -> Result<bool, KeysError> {
        store::peek(&*self.store, |tx| Ok(workspace::find(tx)?.is_some()))
    }

    /// The public keys.
    pub(super) fn offer(&self, ask: &AskOffer) -> Result<ServiceOffer, KeysError> {
        let (verify, seal) = self.secret.public();
        let (verify, seal) = (verify.to_bytes(), seal.to_bytes());
        let mut offer = ServiceOffer { service: self.service.0, verify, seal, proof: [0; 32] };
        offer.proof = self.token.prove(&offer.message(&ask.nonce));
        Ok(offer)
    }

    /// Founds the workspace, once; the token is used up.
    pub(super) fn found(&self, founding: &Founding) -> Result<(), KeysError> {
        if !self.token.proves(&founding.message(), &founding.proof) {
            return Err(KeysError::refused("the bootstrap token is not this key server's"));
        }
        let bad = || KeysError::tampered("what the first admin sent");
        let root = RootFingerprint::of(&VerifyKey::from_bytes(&founding.service.root).map_err(|_| bad())?);
        let record: ServiceRecord = founding.service.check(root, "the key service's record")?;
        let admins: AdminSet = founding.admins.check(root, "the admin set")?;
        let trust = Trust::establish(root, &founding.admins)?;
        let client: ClientRecord = trust.check(&founding.client, || "the first admin's record".to_owned())?;
        let alone = admins.version == 1 && admins.admins.len() == 1 && founding.client.signer == client.id();
        let ours = (record.id, (record.verify, record.seal.clone())) == (self.service, self.secret.public());
        if !alone || !ours || name_fault(&client.name).is_some() {
            return Err(bad());
        }
        let wrapped = self.key.key.wrap(&Place::service(&self.service.0), &*self.secret.0)?;
        let founded = store::write(&*self.store, |tx| {
            if workspace::find(tx)?.is_some() {
                return Ok(false);
            }
            let now = wall_ms();
            workspace::insert(tx, record.id, &wrapped, &founding.service, now)?;
            self.key.insert(tx)?;
            workspace::insert_admins(tx, admins.version, &founding.admins)?;
            clients::put(tx, client.id(), &client.name, &founding.client)?;
            audit::append(tx, Entry::new(now, client.id(), "workspace.create", &client.what()))?;
            Ok(true)
        })?;
        self.used_up();
        if founded { Ok(()) } else { Err(KeysError::Exists { what: "the workspace of this key server".to_owned() }) }
    }

    /// Removes the token, unless that is done.
    pub(super) fn used_up(&self) {
        if let Err(error) = std::fs::remove_file(&self.token_path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %self.token_path.display(), %error, "the used bootstrap token could not be removed");
        }
    }
}

/// The seeds of the service's two keys.
pub(super) struct ServiceSecret(pub(super) Zeroizing<[u8; 64]>);

impl ServiceSecret {
    pub(super) fn generate() -> Result<Self, KeysError> {
        let mut seeds = Zeroizing::new([0; 64]);
        random::fill(&mut *seeds)?;
        Ok(Self(seeds))
    }

    pub(super) fn public(&self) -> (VerifyKey, SealKey) {
        let (mut signing, mut opening) = ([0; 32], [0; 32]);
        signing.copy_from_slice(&self.0[..32]);
        opening.copy_from_slice(&self.0[32..]);
        let verify = SigningKey::service(&Key32::new(signing)).verify_key();
        (verify, OpenKey::new(&Key32::new(opening)).seal_key())
    }
}

/// The admin's side: asks with this.
pub(super) fn ask_offer() -> Result<AskOffer, KeysError> {
    Ok(AskOffer { nonce: random::array()? })
}

/// The admin's side: the offer comes from whoever knows the token.
pub(super) fn check_offer(token: &Token, ask: &AskOffer, offer: &ServiceOffer) -> Result<(), KeysError> {
    let proven = token.proves(&offer.message(&ask.nonce), &offer.proof);
    if proven { Ok(()) } else { Err(KeysError::refused("the bootstrap token is not this key server's")) }
}

/// The admin's side: what founds the workspace over a checked offer.
pub(super) fn found(
    token: &Token,
    offer: &ServiceOffer,
    root: &RootKey,
    (device, record): (&ClientKey, &ClientRecord),
) -> Result<Founding, KeysError> {
    let malformed = || KeysError::bad_answer("its keys are malformed");
    let service = ServiceRecord {
        id: ServiceId(offer.service),
        verify: VerifyKey::from_bytes(&offer.verify).map_err(|_| malformed())?,
        seal: SealKey::from_bytes(&offer.seal).map_err(|_| malformed())?,
    };
    let admins = AdminSet { version: 1, admins: vec![device.public().clone()] };
    let mut founding = Founding {
        service: RootSigned::new(&service, root),
        admins: RootSigned::new(&admins, root),
        client: Signed::new(record, device),
        proof: [0; 32],
    };
    founding.proof = token.prove(&founding.message());
    Ok(founding)
}
