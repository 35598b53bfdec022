//! An admin's arithmetic: making keysets and grants. Runs where the admin's client key is, never in the key service.
//!
//! ```text
//! keyset   service draws s_A -> s_A·B;  admin draws a, m;  X = a·B + s_A·B
//! grant    admin draws c_i;  δ = a − c_i (sealed to the service);  service: s_i = s_A + δ, checks s_i·B = X − C_i
//! ```

mod activity;
mod admins;
mod clients;
mod requests;

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
use super::service::{Revision, SealedShare};

pub use activity::{
    Activity, GetActivity, GetPresence, GetUsage, HOURS, HourCount, OpenSession, Presence, PresenceReport,
    SessionTicket, Usage, UsageScale, UsageSpan,
};
pub use admins::{Again, Hello, MAX_ADMINS, SetAdmins};
pub use clients::RotateClient;
pub use requests::{
    Act, Answers, AuditChain, AuditEntry, Change, ClientEntry, EpochOffer, GetAudit, GetAuditChains, GetAuditPage,
    GetInventory, Inventory, KeysetEntry, MAX_AUDIT_PAGE, NewGrant, Offer, OfferEpoch, OfferKeyset, PublishEpoch,
    PublishKeyset, PutClient, Seen, TestEpoch, TestKeyset, Unseal,
};

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
    let place = |split, kref| Certified { keyset: offer.keyset, split, epoch: Epoch(1), kref };
    let data = draw_one(place(Split::Data, Some(offer.kref)), &offer.data)?;
    let index = draw_one(place(Split::Index, None), &offer.index)?;
    Ok(OwnShares { shares: vec![data, index] })
}

/// The admin's half of an offered data epoch.
pub fn draw_epoch(keyset: KeysetId, offer: &EpochOffer) -> Result<OwnShare, KeysError> {
    let place = Certified { keyset, split: Split::Data, epoch: offer.epoch, kref: Some(offer.kref) };
    draw_one(place, &offer.public)
}

/// What a certificate is of.
struct Certified {
    keyset: KeysetId,
    split: Split,
    epoch: Epoch,
    kref: Option<Kref>,
}

fn draw_one(of: Certified, server: &PublicShare) -> Result<OwnShare, KeysError> {
    let share = ClientShare::generate()?;
    let hedge = Hedge::generate()?;
    let public = keyset_public(&share, server).map_err(|_| KeysError::bad_answer("a malformed share"))?;
    let Certified { keyset, split, epoch, kref } = of;
    let (suite, commitment) = (Suite::Ristretto255, hedge.commit());
    let certificate = Certificate { suite, keyset, split, epoch, kref, public, commitment };
    Ok(OwnShare { certificate, share, hedge })
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

/// Everything that publishes a data epoch: `held` is the admin's present grant with the shares of live epochs only, `new` its
/// half of the epoch.
pub fn publish_epoch(
    key: &ClientKey,
    held: Grant,
    new: &OwnShare,
    expected: Revision,
) -> Result<PublishEpoch, KeysError> {
    let certificate = &new.certificate;
    let (split, epoch) = (certificate.split, certificate.epoch);
    let mut grant = held;
    grant.shares.push(GrantShare { split, epoch, keyset: certificate.public, client: new.share.public() });
    grant.issued_ms = wall_ms();
    Ok(PublishEpoch {
        expected,
        certificate: Signed::new(certificate, key),
        grant: Signed::new(&grant, key),
        sealed: seal_share(key.public(), key.client_id(), certificate, &new.share, &new.hedge)?,
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
        let (share, delta) = own.share.grant()?;
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

fn unsealed() -> KeysError {
    KeysError::invalid("a share cannot be sealed to this public key")
}
