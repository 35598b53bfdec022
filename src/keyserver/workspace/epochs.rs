//! Rotating a keyset: a new data epoch is published, handed to every client that uses data keys, and only then used for new
//! values. Each step can be interrupted; running it again goes on.

use crate::crypto::split::{Check, Tag};
use crate::crypto::{Epoch, KeysetId, Kref};
use crate::keys::admin::{self, Act, OfferEpoch, OwnShare, PutClient, Terms, TestEpoch, needs};
use crate::keys::claims::{Epochs, Grant, KeysetRecord, Signed, Split};
use crate::keys::error::KeysError;
use crate::keys::service::Evaluated;

use super::super::engine::TEST_KEY;
use super::ledger::Deed;
use super::view::{KeysetView, View};
use super::{KeysetInfo, Workspace};

/// Clients that are handed an epoch in one request.
const BATCH: usize = 64;

impl Workspace {
    /// Gives a keyset a new data epoch; goes on with one that was not finished. `told` hears how many clients have it, of how
    /// many.
    ///
    /// # Errors
    /// The service's; an unfinished rotation of another admin.
    pub fn rotate_keyset(&self, keyset: &str, told: &dyn Fn(usize, usize)) -> Result<KeysetInfo, KeysError> {
        let view = self.view()?;
        let found = view.keyset(keyset)?;
        let id = found.record.id;
        if newest(found) <= found.record.epochs.current {
            self.publish_epoch(id)?;
        }
        while self.hand_out(id, told)? {}
        self.change(|view| {
            let keyset = find(view, id)?;
            let epochs = Epochs { current: newest(keyset), ..keyset.record.epochs };
            self.put_epochs(view, keyset, epochs)
        })?;
        self.keyset(&id.to_string())
    }

    /// Drops a data epoch and all before it: their shares are deleted, their values can never be read again.
    pub fn drop_epoch(&self, keyset: &str, epoch: u32) -> Result<KeysetInfo, KeysError> {
        let id = self.change(|view| {
            let found = view.keyset(keyset)?;
            droppable(found, epoch)?;
            let epochs = Epochs { oldest: Epoch(epoch + 1), ..found.record.epochs };
            self.put_epochs(view, found, epochs).map(|()| found.record.id)
        })?;
        self.keyset(&id.to_string())
    }

    /// The numbers in the envelopes of an epoch that is to be dropped and of all before it.
    pub fn epoch_krefs(&self, keyset: &str, epoch: u32) -> Result<Vec<Kref>, KeysError> {
        let view = self.view()?;
        let found = view.keyset(keyset)?;
        droppable(found, epoch)?;
        Ok(found.certificates.iter().filter(|c| c.epoch.0 <= epoch).filter_map(|c| c.kref).collect())
    }

    /// Forgets an epoch that was published and never used.
    pub fn abandon_epoch(&self, keyset: &str) -> Result<KeysetInfo, KeysError> {
        let id = self.change(|view| {
            let found = view.keyset(keyset)?;
            let (keyset, epoch) = (found.record.id, newest(found));
            self.act(view, Act::AbandonEpoch { keyset, epoch }).map(|_| keyset)
        })?;
        self.keyset(&id.to_string())
    }

    fn publish_epoch(&self, keyset: KeysetId) -> Result<(), KeysError> {
        let offer = self.ask(&OfferEpoch { keyset })?;
        let new = admin::draw_epoch(keyset, &offer)?;
        let answer = self.ask(&TestEpoch { keyset })?;
        test(&new, &answer)?;
        self.publish(keyset, &new)
    }

    pub(in super::super) fn publish(&self, keyset: KeysetId, new: &OwnShare) -> Result<(), KeysError> {
        self.change(|view| {
            let mut own = view.grant(self.device(), keyset).cloned().ok_or(KeysError::GrantChanged)?;
            let found = find(view, keyset)?;
            let live = |split, epoch| {
                found.record.epochs.keep(split, epoch)
                    && found.certificates.iter().any(|c| (c.split, c.epoch) == (split, epoch))
            };
            own.shares.retain(|share| live(share.split, share.epoch));
            let new = admin::publish_epoch(self.key()?, own, new, view.revision)?;
            self.ask(&new)?;
            self.remember(Deed::gave(&new.grant));
            Ok(())
        })
    }

    /// Hands the newest epoch to some clients that lack it. `false`: everybody has it.
    fn hand_out(&self, id: KeysetId, told: &dyn Fn(usize, usize)) -> Result<bool, KeysError> {
        self.change(|view| {
            let keyset = find(view, id)?;
            let epoch = newest(keyset);
            let uses = |grant: &&Grant| grant.keyset == id && needs(grant.permissions, Split::Data);
            let all = view.grants.iter().filter(uses).collect::<Vec<_>>();
            let lacking = all.iter().filter(|grant| grant.share(Split::Data, epoch).is_none()).collect::<Vec<_>>();
            told(all.len() - lacking.len(), all.len());
            if lacking.is_empty() {
                return Ok(false);
            }
            let own = self.own(view, keyset)?;
            let new = |grant: &&&Grant| {
                let client = view.clients.iter().find(|(record, _)| record.id() == grant.client);
                let (client, _) =
                    client.ok_or_else(|| KeysError::tampered(format!("the grant of client {}", grant.client)))?;
                let Grant { permissions, expires_ms, .. } = ***grant;
                let terms = Terms { permissions, expires_ms, types: grant.types.clone(), admins: view.trust.version() };
                admin::grant(self.key()?, &own, &client.public, &view.service.seal, &terms)
            };
            let grants = lacking.iter().take(BATCH).map(new).collect::<Result<Vec<_>, _>>()?;
            let deeds = grants.iter().filter_map(|new| Deed::gave(&new.grant)).collect::<Vec<_>>();
            self.ask(&PutClient { expected: view.revision, record: None, grants })?;
            self.remember(deeds);
            Ok(true)
        })
    }

    fn put_epochs(&self, view: &View, keyset: &KeysetView, epochs: Epochs) -> Result<(), KeysError> {
        let record = KeysetRecord { epochs, ..keyset.record.clone() };
        self.act(view, Act::PutKeyset { record: Signed::new(&record, self.key()?) }).map(drop)
    }
}

fn find(view: &View, id: KeysetId) -> Result<&KeysetView, KeysError> {
    let found = view.keysets.iter().find(|keyset| keyset.record.id == id);
    found.ok_or_else(|| KeysError::UnknownKeyset { keyset: id.to_string() })
}

/// The newest data epoch, in use or not.
pub(super) fn newest(keyset: &KeysetView) -> Epoch {
    let data = keyset.certificates.iter().filter(|c| c.split == Split::Data);
    data.map(|c| c.epoch).max().unwrap_or(Epoch(0))
}

fn droppable(keyset: &KeysetView, epoch: u32) -> Result<(), KeysError> {
    let Epochs { oldest, current } = keyset.record.epochs;
    let name = &keyset.record.name;
    if epoch >= current.0 {
        return Err(KeysError::invalid(format!(
            "epoch {} of keyset \"{name}\" is the one for new values: rotate first, then drop what is before",
            current.0
        )));
    }
    if epoch < oldest.0 {
        return Err(KeysError::invalid(format!("epoch {epoch} of keyset \"{name}\" was dropped before")));
    }
    Ok(())
}

/// An epoch is published only after the service proved that it holds its half.
fn test(new: &OwnShare, answer: &Evaluated) -> Result<(), KeysError> {
    let bad = || KeysError::bad_answer("the proof of a new epoch does not hold");
    let (certificate, proof) = (&new.certificate, answer.proof.as_ref().ok_or_else(bad)?);
    let tag = Tag::data(certificate.keyset, certificate.epoch, TEST_KEY);
    let check = Check::Proved(proof);
    let keys = new.share.derive_keys(&certificate.public, &new.hedge, &[tag], &answer.answers, check);
    keys.map(drop).map_err(|_| bad())
}
