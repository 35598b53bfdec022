//! What the client holds: its keysets with opened shares, checked. Immutable but for pools and caches; replaced as a whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use crate::crypto::client_key::ClientKey;
use crate::crypto::root::RootFingerprint;
use crate::crypto::split::{ClientShare, Hedge, PublicShare};
use crate::crypto::term::equality::EqKey;
use crate::crypto::{Epoch, KeysetId, Kref, TypeId};

use super::super::admin::open_share;
use super::super::claims::{Certificate, Claim, ClientRecord, Grant, KeysetRecord, Signed, Split, Trust, TypeClaim};
use super::super::clock::{Boot, wall_ms};
use super::super::codec::Writer;
use super::super::error::KeysError;
use super::super::permissions::Permissions;
use super::super::service::{GrantState, Revision, State};
use super::pool::{Limits, Pool};

/// Type ids and canonical definitions.
pub(super) type Types = Arc<Vec<(TypeId, String)>>;

/// Everything held at one revision.
#[derive(Default)]
pub(super) struct Held {
    pub(super) revision: Revision,
    pub(super) keysets: HashMap<KeysetId, Arc<Keyset>>,
    pub(super) names: HashMap<String, KeysetId>,
    pub(super) krefs: HashMap<Kref, (KeysetId, Epoch)>,
    /// Names of keysets whose grant was taken away.
    revoked: HashMap<KeysetId, String>,
    revoked_krefs: HashMap<Kref, String>,
    pub(super) types: Types,
    /// Why the client gets nothing at all.
    pub(super) refused: Option<KeysError>,
}

/// A granted keyset.
pub(super) struct Keyset {
    pub(super) id: KeysetId,
    pub(super) name: String,
    pub(super) grant: Grant,
    /// Of the grant, as fetches name it.
    pub(super) digest: [u8; 32],
    enabled: bool,
    /// Grant and client hold until then.
    until: Boot,
    /// Numbers in envelopes of all data epochs, granted or not.
    krefs: Vec<(Kref, Epoch)>,
    pub(super) data: BTreeMap<Epoch, EpochKey>,
    pub(super) index: BTreeMap<Epoch, EpochKey>,
    pub(super) pool: Pool,
    pub(super) terms: ArcSwap<HashMap<TypeId, Arc<EqKey>>>,
    /// Of everything it was made from: the same stamp, the same keyset.
    stamp: [u8; 32],
}

/// The client's half of one epoch of a split key.
pub(super) struct EpochKey {
    pub(super) kref: Option<Kref>,
    pub(super) public: PublicShare,
    pub(super) share: ClientShare,
    pub(super) hedge: Hedge,
}

impl Keyset {
    /// The grant allows this, now.
    pub(super) fn allows(&self, permission: Permissions, now: Boot) -> bool {
        self.enabled && now < self.until && self.grant.permissions.allows(permission)
    }

    /// As [`allows`](Self::allows), and why not.
    pub(super) fn check(&self, permission: Permissions, now: Boot) -> Result<(), KeysError> {
        let keyset = self.name.clone();
        if !self.enabled {
            Err(KeysError::KeysetDisabled { keyset })
        } else if now >= self.until {
            Err(KeysError::GrantExpired { keyset })
        } else if !self.grant.permissions.allows(permission) {
            Err(KeysError::PermissionMissing {
                keyset,
                permission: permission.names().first().copied().unwrap_or("do that"),
            })
        } else {
            Ok(())
        }
    }

    /// The newest epoch: new values are sealed under it.
    pub(super) fn current(&self, split: Split) -> Option<(Epoch, &EpochKey)> {
        let epochs = if split == Split::Data { &self.data } else { &self.index };
        epochs.last_key_value().map(|(epoch, key)| (*epoch, key))
    }
}

impl Held {
    /// A granted keyset, or why there is none.
    pub(super) fn keyset(&self, id: KeysetId) -> Result<&Arc<Keyset>, KeysError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        self.keysets.get(&id).ok_or_else(|| match self.revoked.get(&id) {
            Some(name) => KeysError::Revoked { keyset: name.clone() },
            None => KeysError::NoGrant { keyset: id.to_string() },
        })
    }

    /// The id of a keyset given by name or id, or why it cannot be used.
    pub(super) fn resolve(&self, name: &str) -> Result<KeysetId, KeysError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        let by_id = || {
            name.parse::<KeysetId>().ok().filter(|id| self.keysets.contains_key(id) || self.revoked.contains_key(id))
        };
        if let Some(id) = self.names.get(name).copied().or_else(by_id) {
            return self.keyset(id).map(|keyset| keyset.id);
        }
        let revoked = self.revoked.values().any(|revoked| revoked == name);
        let keyset = name.to_owned();
        Err(if revoked { KeysError::Revoked { keyset } } else { KeysError::NoGrant { keyset } })
    }

    /// The keyset and epoch of a number in an envelope, or why there is none.
    pub(super) fn of_kref(&self, kref: Kref) -> Result<(&Arc<Keyset>, Epoch), KeysError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        if let Some((id, epoch)) = self.krefs.get(&kref) {
            return self.keyset(*id).map(|keyset| (keyset, *epoch));
        }
        Err(match self.revoked_krefs.get(&kref) {
            Some(name) => KeysError::Revoked { keyset: name.clone() },
            None => KeysError::NoGrant { keyset: format!("number {}", kref.0) },
        })
    }

    /// What is left where the service refuses the client as a whole. Types stay: they are no secret.
    pub(super) fn refuse(&self, error: KeysError) -> Self {
        Self { revision: self.revision, types: Arc::clone(&self.types), refused: Some(error), ..Self::default() }
    }

    /// Checks a state against the root and opens its shares. What has not changed since `before` is kept as it is.
    pub(super) fn load(
        key: &ClientKey,
        root: RootFingerprint,
        limits: Limits,
        state: &State,
        before: &Self,
    ) -> Result<Self, KeysError> {
        let trust = Trust::establish(root, &state.admins)?;
        let record: ClientRecord = trust.check(&state.record, || "the client's record".to_owned())?;
        if record.id() != key.client_id() {
            return Err(KeysError::tampered("the client's record"));
        }
        let mut held = Self { revision: state.revision, types: types(&trust, key, &state.types)?, ..Self::default() };
        let known = before.keysets.values().map(|keyset| (keyset.stamp, keyset)).collect::<HashMap<_, _>>();
        let opener = Opener { key, trust: &trust, client: &record, limits };
        for grant in &state.grants {
            let stamp = stamp(grant, record.expires_ms);
            let keyset = match known.get(&stamp) {
                Some(keyset) => Arc::clone(keyset),
                None => Arc::new(opener.open(grant, stamp)?),
            };
            held.names.insert(keyset.name.clone(), keyset.id);
            held.krefs.extend(keyset.krefs.iter().map(|(kref, epoch)| (*kref, (keyset.id, *epoch))));
            held.keysets.insert(keyset.id, keyset);
        }
        held.remember_revoked(state, before);
        Ok(held)
    }

    /// Some keyset of `before` is gone or another.
    pub(super) fn lost_some(&self, before: &Self) -> bool {
        before.keysets.iter().any(|(id, old)| !self.keysets.get(id).is_some_and(|new| Arc::ptr_eq(new, old)))
    }

    fn remember_revoked(&mut self, state: &State, before: &Self) {
        for gone in &state.revoked {
            self.revoked.insert(gone.keyset, gone.name.clone());
            self.revoked_krefs.extend(gone.krefs.iter().map(|kref| (*kref, gone.name.clone())));
        }
        // Whatever the service says of it: what was there and is no more, was taken away.
        for gone in before.keysets.values().filter(|old| !self.keysets.contains_key(&old.id)) {
            self.revoked.insert(gone.id, gone.name.clone());
            self.revoked_krefs.extend(gone.krefs.iter().map(|(kref, _)| (*kref, gone.name.clone())));
        }
    }
}

/// What checking and opening a grant takes.
struct Opener<'a> {
    key: &'a ClientKey,
    trust: &'a Trust,
    client: &'a ClientRecord,
    limits: Limits,
}

impl Opener<'_> {
    /// Checks one grant and opens its shares.
    fn open(&self, state: &GrantState, stamp: [u8; 32]) -> Result<Keyset, KeysError> {
        let Self { key, trust, client, limits } = *self;
        let record: KeysetRecord = trust.check(&state.keyset, || "a keyset's record".to_owned())?;
        let what = |thing: &str| format!("{thing} of keyset \"{}\"", record.name);
        let grant: Grant = trust.check(&state.grant, || what("the grant"))?;
        if (grant.client, grant.keyset) != (key.client_id(), record.id) {
            return Err(KeysError::tampered(what("the grant")));
        }
        let mut certificates = Vec::new();
        for signed in &state.certificates {
            let certificate: Certificate = trust.check(signed, || what("a certificate"))?;
            if certificate.keyset != record.id {
                return Err(KeysError::tampered(what("a certificate")));
            }
            certificates.push(certificate);
        }
        let (mut data, mut index) = (BTreeMap::new(), BTreeMap::new());
        for share in &grant.shares {
            let certificate = certificates.iter().find(|c| (c.split, c.epoch) == (share.split, share.epoch));
            let sealed = state.sealed.iter().find(|sealed| (sealed.split, sealed.epoch) == (share.split, share.epoch));
            let opened =
                certificate.zip(sealed).and_then(|(c, sealed)| Some((c, open_share(key, c, share, &sealed.sealed)?)));
            let (certificate, (share, hedge)) =
                opened.ok_or_else(|| KeysError::tampered(what("the client's share")))?;
            let half = EpochKey { kref: certificate.kref, public: certificate.public, share, hedge };
            if certificate.split == Split::Data { &mut data } else { &mut index }.insert(certificate.epoch, half);
        }
        Ok(Keyset {
            id: record.id,
            digest: state.grant.digest(),
            enabled: state.enabled,
            until: until([grant.expires_ms, client.expires_ms]),
            krefs: certificates.iter().filter_map(|c| Some((c.kref?, c.epoch))).collect(),
            data,
            index,
            pool: Pool::new(limits),
            terms: ArcSwap::default(),
            stamp,
            name: record.name,
            grant,
        })
    }
}

/// Definitions of admins, and of this client where no admin has defined the type. Two of admins that differ are refused.
fn types(trust: &Trust, key: &ClientKey, all: &[Signed]) -> Result<Types, KeysError> {
    let (admins, own): (Vec<_>, Vec<_>) = all.iter().partition(|signed| trust.is_admin(signed.signer));
    let mut types = BTreeMap::<TypeId, String>::new();
    for signed in admins {
        let claim: TypeClaim = trust.check(signed, || "a type definition".to_owned())?;
        let known = types.entry(claim.id).or_insert_with(|| claim.definition.clone());
        if *known != claim.definition {
            return Err(KeysError::tampered(claim.what()));
        }
    }
    for signed in own {
        let claim: TypeClaim = trust.check_own(key.public(), signed, || "a type definition".to_owned())?;
        types.entry(claim.id).or_insert(claim.definition);
    }
    Ok(Arc::new(types.into_iter().collect()))
}

/// The first of these wall-clock ends, in boot time.
fn until(ends_ms: [Option<u64>; 2]) -> Boot {
    let first = ends_ms.into_iter().flatten().min();
    first.map_or(Boot(u64::MAX), |end| Boot::now().plus(Duration::from_millis(end.saturating_sub(wall_ms()))))
}

fn stamp(state: &GrantState, client_expires: Option<u64>) -> [u8; 32] {
    let mut writer = Writer::default();
    state.keyset.write(&mut writer);
    state.grant.write(&mut writer);
    writer.u8(u8::from(state.enabled)).opt_u64(client_expires);
    writer.list(&state.certificates, |w, signed| signed.write(w));
    writer.list(&state.sealed, |w, sealed| {
        w.u8(sealed.split.code()).u32(sealed.epoch.0).bytes(&sealed.sealed);
    });
    Sha256::digest(writer.finish()).into()
}
