//! An admin's arithmetic: making keysets and grants. Runs where the admin's client key is, never in the key service.
//!
//! ```text
//! keyset   service draws s_A -> s_A·B;  admin draws a, m;  X = a·B + s_A·B
//! grant    admin draws c_i;  δ = a − c_i (sealed to the service);  service: s_i = s_A + δ, checks s_i·B = X − C_i
//! ```

use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::crypto::hpke::{Purpose, SealKey, Sealed};
use crate::crypto::secret::SecretBytes;
use crate::crypto::split::{ClientShare, Hedge, PublicShare, Suite, keyset_public};
use crate::crypto::{ClientId, Epoch, KeysetId, Kref, TypeId};
use zeroize::Zeroizing;

use super::claims::{Certificate, Grant, GrantShare, KeysetRecord, Signed, Split};
use super::clock::wall_ms;
use super::codec::Writer;
use super::error::KeysError;
use super::permissions::Permissions;
use super::request::Body;
use super::service::SealedShare;

/// Asks the service for its half of a new keyset.
#[derive(Clone, Debug)]
pub struct OfferKeyset {
    /// The name it will have.
    pub name: String,
}

/// The service's half of a new keyset.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Id of the keyset.
    pub keyset: KeysetId,
    /// The number in envelopes of its first data epoch.
    pub kref: Kref,
    /// s_A·B of the data key.
    pub data: PublicShare,
    /// s_A·B of the index key.
    pub index: PublicShare,
}

/// Asks for one proved answer of each split key of an offered keyset, before it is published.
#[derive(Clone, Debug)]
pub struct TestKeyset {
    /// The offered keyset.
    pub keyset: KeysetId,
}

/// Publishes an offered keyset with the admin's own grant.
#[derive(Clone, Debug)]
pub struct PublishKeyset {
    /// Its record.
    pub record: Signed,
    /// One certificate per split key.
    pub certificates: Vec<Signed>,
    /// The admin's grant.
    pub grant: Signed,
    /// The admin's shares, sealed to itself.
    pub sealed: Vec<SealedShare>,
}

/// Makes or replaces the record of a client, and gives grants, all or nothing.
#[derive(Clone, Debug)]
pub struct PutClient {
    /// The client's record; `None`: it stays as it is.
    pub record: Option<Signed>,
    /// Grants.
    pub grants: Vec<NewGrant>,
}

/// A grant as an admin hands it to the service.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The grant.
    pub grant: Signed,
    /// The client's shares, sealed to it.
    pub sealed: Vec<SealedShare>,
    /// δ of each share, sealed to the service.
    pub deltas: Vec<SealedShare>,
}

/// Any other act of an admin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Takes one grant away, or all.
    Revoke(ClientId, Option<KeysetId>),
    /// The reversible switch of a client.
    EnableClient(ClientId, bool),
    /// Removes a client and its grants.
    DeleteClient(ClientId),
    /// The reversible switch of a keyset.
    EnableKeyset(KeysetId, bool),
    /// Replaces a keyset's record.
    RenameKeyset(Signed),
    /// Removes a pin: database, object.
    RemovePin(String, String),
}

/// Asks for everything an admin may see.
#[derive(Clone, Debug)]
pub struct GetInventory;

/// The admin's own shares of a keyset.
pub struct OwnShares {
    /// Of the keyset.
    pub shares: Vec<OwnShare>,
}

/// One of the admin's own shares.
pub struct OwnShare {
    /// Certificate of its epoch.
    pub certificate: Certificate,
    /// a.
    pub share: ClientShare,
    /// m.
    pub hedge: Hedge,
}

/// What a grant is to allow.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the client may do.
    pub permissions: Permissions,
    /// Types whose term roots it may have; empty: all.
    pub types: Vec<TypeId>,
    /// Milliseconds since 1970; `None`: does not expire.
    pub expires_ms: Option<u64>,
    /// Version of the admin set.
    pub admins: u32,
}

/// The admin's half of an offered keyset.
pub fn draw(offer: &Offer) -> Result<OwnShares, KeysError> {
    let draw = |split, kref, server: &PublicShare| -> Result<OwnShare, KeysError> {
        let share = ClientShare::generate().map_err(no_random)?;
        let hedge = Hedge::generate().map_err(no_random)?;
        let public = keyset_public(&share, server).map_err(|_| KeysError::BadAnswer { what: "a malformed share" })?;
        let certificate = Certificate {
            suite: Suite::Ristretto255,
            keyset: offer.keyset,
            split,
            epoch: Epoch(1),
            kref,
            public,
            commitment: hedge.commit(),
        };
        Ok(OwnShare { certificate, share, hedge })
    };
    let data = draw(Split::Data, Some(offer.kref), &offer.data)?;
    let index = draw(Split::Index, None, &offer.index)?;
    Ok(OwnShares { shares: vec![data, index] })
}

/// Everything that publishes a keyset.
pub fn publish(
    key: &ClientKey,
    own: &OwnShares,
    record: &KeysetRecord,
    admins: u32,
) -> Result<PublishKeyset, KeysError> {
    let terms = Terms { permissions: Permissions::ALL, types: Vec::new(), expires_ms: None, admins };
    let public = own.shares.iter().map(|own| (own, own.share.public())).collect::<Vec<_>>();
    let grant = grant_claim(record.id, key.client_id(), &terms, &public);
    let sealed = own
        .shares
        .iter()
        .map(|own| seal_share(key.public(), key.client_id(), &own.certificate, &own.share, &own.hedge));
    Ok(PublishKeyset {
        record: Signed::new(record, key),
        certificates: own.shares.iter().map(|own| Signed::new(&own.certificate, key)).collect(),
        grant: Signed::new(&grant, key),
        sealed: sealed.collect::<Result<_, _>>()?,
    })
}

/// A grant of what the admin holds to `client`. Shares are drawn for the split keys that the permissions need.
pub fn grant(
    key: &ClientKey,
    own: &OwnShares,
    client: &ClientPublic,
    service: &SealKey,
    terms: &Terms,
) -> Result<NewGrant, KeysError> {
    let id = client.client_id();
    let (mut public, mut sealed, mut deltas) = (Vec::new(), Vec::new(), Vec::new());
    let mut keyset = None;
    for own in own.shares.iter().filter(|own| needs(terms.permissions, own.certificate.split)) {
        let certificate = &own.certificate;
        let (share, delta) = own.share.grant().map_err(no_random)?;
        sealed.push(seal_share(client, id, certificate, &share, &own.hedge)?);
        let context = place(certificate, id);
        let purpose = Purpose { sealed: Sealed::Delta, context: &context };
        let delta = delta.into_bytes();
        let delta = service.seal(purpose, &share.public().to_bytes(), &*delta).map_err(|_| unsealed())?;
        deltas.push(SealedShare { split: certificate.split, epoch: certificate.epoch, sealed: delta });
        public.push((own, share.public()));
        keyset = Some(certificate.keyset);
    }
    let keyset = keyset.ok_or_else(|| KeysError::invalid("a grant must allow something"))?;
    let claim = grant_claim(keyset, id, terms, &public);
    Ok(NewGrant { grant: Signed::new(&claim, key), sealed, deltas })
}

/// Whether permissions need a share of this split key.
pub fn needs(permissions: Permissions, split: Split) -> bool {
    match split {
        Split::Data => permissions.allows(Permissions::ENCRYPT) || permissions.allows(Permissions::DECRYPT),
        Split::Index => permissions.allows(Permissions::QUERY),
    }
}

/// What a sealed share or δ concerns: split key, epoch and client.
pub fn place(certificate: &Certificate, client: ClientId) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.fixed(&certificate.keyset.0).u8(certificate.split.code()).u32(certificate.epoch.0).fixed(&client.0);
    writer.finish()
}

/// Opens a share that was sealed to `key`, and checks it against certificate and grant.
pub fn open_share(
    key: &ClientKey,
    certificate: &Certificate,
    share: &GrantShare,
    sealed: &[u8],
) -> Option<(ClientShare, Hedge)> {
    let context = place(certificate, key.client_id());
    let purpose = Purpose { sealed: Sealed::ClientShare, context: &context };
    let opened: SecretBytes = key.open_sealed(purpose, &certificate.public.to_bytes(), sealed).ok()?;
    let (client, hedge) = opened.split_first_chunk::<32>()?;
    let own = ClientShare::from_bytes(client).ok()?;
    let hedge = Hedge::from_bytes(<&[u8; 32]>::try_from(hedge).ok()?);
    own.verify(&share.client).ok()?;
    hedge.verify(&certificate.commitment).ok()?;
    (share.keyset == certificate.public).then_some((own, hedge))
}

fn grant_claim(keyset: KeysetId, client: ClientId, terms: &Terms, public: &[(&OwnShare, PublicShare)]) -> Grant {
    let share = |(own, client): &(&OwnShare, PublicShare)| GrantShare {
        split: own.certificate.split,
        epoch: own.certificate.epoch,
        keyset: own.certificate.public,
        client: *client,
    };
    Grant {
        suite: Suite::Ristretto255,
        keyset,
        client,
        permissions: terms.permissions,
        types: terms.types.clone(),
        shares: public.iter().map(share).collect(),
        issued_ms: wall_ms(),
        expires_ms: terms.expires_ms,
        admins: terms.admins,
    }
}

fn seal_share(
    to: &ClientPublic,
    id: ClientId,
    certificate: &Certificate,
    share: &ClientShare,
    hedge: &Hedge,
) -> Result<SealedShare, KeysError> {
    let mut message = Zeroizing::new([0; 64]);
    message[..32].copy_from_slice(&*share.to_bytes());
    message[32..].copy_from_slice(&*hedge.to_bytes());
    let context = place(certificate, id);
    let purpose = Purpose { sealed: Sealed::ClientShare, context: &context };
    let sealed = to.seal.seal(purpose, &certificate.public.to_bytes(), &*message).map_err(|_| unsealed())?;
    Ok(SealedShare { split: certificate.split, epoch: certificate.epoch, sealed })
}

fn no_random(error: crate::crypto::random::RandomError) -> KeysError {
    KeysError::unavailable(error.to_string())
}

fn unsealed() -> KeysError {
    KeysError::invalid("a share cannot be sealed to this public key")
}

impl Body for OfferKeyset {
    const PATH: &'static str = "/v1/keysets/offer";
    const CHANGES: bool = true;
    fn write(&self, w: &mut Writer) {
        w.text(&self.name);
    }
}

impl Body for TestKeyset {
    const PATH: &'static str = "/v1/keysets/test";
    const CHANGES: bool = false;
    fn write(&self, w: &mut Writer) {
        w.fixed(&self.keyset.0);
    }
}

impl Body for PublishKeyset {
    const PATH: &'static str = "/v1/keysets/publish";
    const CHANGES: bool = true;
    fn write(&self, w: &mut Writer) {
        self.record.write(w);
        w.list(&self.certificates, |w, signed| signed.write(w));
        self.grant.write(w);
        w.list(&self.sealed, write_sealed);
    }
}

impl Body for PutClient {
    const PATH: &'static str = "/v1/clients/put";
    const CHANGES: bool = true;
    fn write(&self, w: &mut Writer) {
        w.list(self.record.as_slice(), |w, signed| signed.write(w));
        w.list(&self.grants, |w, new| {
            new.grant.write(w);
            w.list(&new.sealed, write_sealed).list(&new.deltas, write_sealed);
        });
    }
}

impl Body for Act {
    const PATH: &'static str = "/v1/act";
    const CHANGES: bool = true;
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Revoke(client, None) => w.u8(1).fixed(&client.0),
            Self::Revoke(client, Some(keyset)) => w.u8(2).fixed(&client.0).fixed(&keyset.0),
            Self::EnableClient(client, on) => w.u8(3).fixed(&client.0).u8(u8::from(*on)),
            Self::DeleteClient(client) => w.u8(4).fixed(&client.0),
            Self::EnableKeyset(keyset, on) => w.u8(5).fixed(&keyset.0).u8(u8::from(*on)),
            Self::RenameKeyset(signed) => {
                signed.write(w.u8(6));
                w
            }
            Self::RemovePin(database, object) => w.u8(7).text(database).text(object),
        };
    }
}

impl Body for GetInventory {
    const PATH: &'static str = "/v1/inventory";
    const CHANGES: bool = false;
    fn write(&self, _: &mut Writer) {}
}

fn write_sealed(w: &mut Writer, sealed: &SealedShare) {
    w.u8(sealed.split.code()).u32(sealed.epoch.0).bytes(&sealed.sealed);
}
