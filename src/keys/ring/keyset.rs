//! A keyset that was opened: its grant checked, the client's shares unsealed and verified, its pool and term keys.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::crypto::client_key::ClientKey;
use crate::crypto::split::{ClientShare, Hedge, PublicShare};
use crate::crypto::term::TermKeys;
use crate::crypto::{Epoch, KeysetId, Kref, TypeId};

use super::super::admin::open_share;
use super::super::claims::{Certificate, Epochs, Grant, KeysetRecord, Split, Trust};
use super::super::clock::Boot;
use super::super::error::KeysError;
use super::super::permissions::Permissions;
use super::super::service::GrantState;
use super::held::until;
use super::pool::{Limits, Pool};
use super::usage::{Count, Usage};

/// A granted keyset.
pub(super) struct Keyset {
    pub(super) id: KeysetId,
    pub(super) name: String,
    pub(super) grant: Grant,
    /// Of the grant, as fetches name it.
    pub(super) digest: [u8; 32],
    /// Grant and client hold until then.
    until: Boot,
    /// Numbers in envelopes of all data epochs, granted or not.
    krefs: HashMap<Kref, Epoch>,
    /// Of the data epochs.
    epochs: Epochs,
    pub(super) data: BTreeMap<Epoch, EpochKey>,
    pub(super) index: BTreeMap<Epoch, EpochKey>,
    pub(super) pool: Pool,
    pub(super) terms: ArcSwap<HashMap<TypeId, Arc<TermKeys>>>,
    pub(super) count: Arc<Count>,
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
        now < self.until && self.grant.permissions.allows(permission)
    }

    /// As [`allows`](Self::allows), and why not.
    pub(super) fn check(&self, permission: Permissions, now: Boot) -> Result<(), KeysError> {
        let keyset = self.name.clone();
        if now >= self.until {
            Err(KeysError::GrantExpired { keyset })
        } else if !self.grant.permissions.allows(permission) {
            Err(KeysError::missing(keyset, permission.names().first().copied().unwrap_or("do that")))
        } else {
            Ok(())
        }
    }

    /// The epoch for new values, or for terms.
    pub(super) fn current(&self, split: Split) -> Option<(Epoch, &EpochKey)> {
        match split {
            Split::Data => self.data.get_key_value(&self.epochs.current),
            Split::Index => self.index.last_key_value(),
        }
        .map(|(epoch, key)| (*epoch, key))
    }

    /// The epoch of a number in an envelope, if its values can be read.
    pub(super) fn epoch(&self, kref: Kref) -> Result<Epoch, KeysError> {
        let epoch = self.krefs.get(&kref).copied().ok_or(KeysError::GrantChanged)?;
        if self.epochs.keep(Split::Data, epoch) {
            return Ok(epoch);
        }
        Err(KeysError::EpochDropped { keyset: self.name.clone(), epoch })
    }

    /// Numbers in envelopes of all data epochs.
    pub(super) fn krefs(&self) -> Vec<Kref> {
        self.krefs.keys().copied().collect()
    }
}

/// What checking and opening a grant takes.
pub(super) struct Opener<'a> {
    pub(super) key: &'a ClientKey,
    pub(super) trust: &'a Trust,
    pub(super) limits: Limits,
    pub(super) usage: &'a Usage,
    /// End of the client itself.
    pub(super) until: Boot,
}

impl Opener<'_> {
    /// Checks one grant and opens its shares.
    pub(super) fn open(&self, state: &GrantState) -> Result<Keyset, KeysError> {
        let record: KeysetRecord = self.trust.check(&state.keyset, || "a keyset's record".to_owned())?;
        let what = |thing: &str| format!("{thing} of keyset \"{}\"", record.name);
        let grant: Grant = self.trust.check(&state.grant, || what("the grant"))?;
        if (grant.client, grant.keyset) != (self.key.client_id(), record.id) {
            return Err(KeysError::tampered(what("the grant")));
        }
        let mut certificates = Vec::new();
        for signed in &state.certificates {
            let certificate: Certificate = self.trust.check(signed, || what("a certificate"))?;
            if certificate.keyset != record.id {
                return Err(KeysError::tampered(what("a certificate")));
            }
            certificates.push(certificate);
        }
        let (mut data, mut index) = (BTreeMap::new(), BTreeMap::new());
        for share in grant.shares.iter().filter(|share| record.epochs.keep(share.split, share.epoch)) {
            // An epoch that never came into use may have been abandoned.
            let known = certificates.iter().any(|c| (c.split, c.epoch) == (share.split, share.epoch));
            if share.split == Split::Data && share.epoch != record.epochs.current && !known {
                continue;
            }
            let certificate = certificates.iter().find(|c| (c.split, c.epoch) == (share.split, share.epoch));
            let sealed = state.sealed.iter().find(|sealed| (sealed.split, sealed.epoch) == (share.split, share.epoch));
            let opened = certificate
                .zip(sealed)
                .and_then(|(c, sealed)| Some((c, open_share(self.key, c, share, &sealed.sealed)?)));
            let (certificate, (share, hedge)) =
                opened.ok_or_else(|| KeysError::tampered(what("the client's share")))?;
            let half = EpochKey { kref: certificate.kref, public: certificate.public, share, hedge };
            if certificate.split == Split::Data { &mut data } else { &mut index }.insert(certificate.epoch, half);
        }
        Ok(Keyset {
            id: record.id,
            digest: state.grant.digest(),
            until: until(grant.expires_ms).min(self.until),
            krefs: certificates.iter().filter_map(|c| Some((c.kref?, c.epoch))).collect(),
            epochs: record.epochs,
            data,
            index,
            pool: Pool::new(self.limits),
            terms: ArcSwap::default(),
            count: self.usage.of(record.id),
            name: record.name,
            grant,
        })
    }
}
