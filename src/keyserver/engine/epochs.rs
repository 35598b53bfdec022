//! A keyset's data epochs: offered, published to the admin who drew the other half, handed to every other grant, made the
//! one for new values, dropped. Values of an epoch stay readable until it is dropped.

use crate::crypto::split::{ServerShare, Tag};
use crate::crypto::{ClientId, Epoch, KeysetId};
use crate::keys::admin::{EpochOffer, OfferEpoch, PublishEpoch, TestEpoch, needs};
use crate::keys::claims::{Certificate, Epochs, Grant, KeysetRecord, Split, Trust};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keys::request::Request;
use crate::keys::service::Evaluated;

use super::super::authorize::{Allowed, Permit};
use super::super::root_key::Place;
use super::super::store::tables::{changes, grants, keysets, workspace};
use super::super::store::{self, Tx};
use super::Engine;
use super::admin::{Given, OFFER_MS, TEST_KEY, certificates};
use super::fetch::{evaluate, log};

impl Engine {
    /// Draws the service's half of a keyset's next data epoch and takes its number.
    pub fn offer_epoch(&self, request: &Request<OfferEpoch>) -> Result<EpochOffer, KeysError> {
        let keyset = request.body.keyset;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.gate(), request)?;
            permit.allowed(tx, keyset, Permissions::GRANT, None)?;
            let (record, newest) = standing(tx, &trust, keyset)?;
            if newest > record.epochs.current {
                return Err(KeysError::invalid(format!(
                    "epoch {} of keyset \"{}\" is published and not in use yet: finish or abandon that rotation first",
                    newest.0, record.name
                )));
            }
            let (client, now) = (permit.client(), wall_ms());
            let kref = workspace::take_kref(tx)?;
            keysets::drop_offers(tx, keyset, now.saturating_sub(OFFER_MS))?;
            let share = ServerShare::generate()?;
            let wrapped = self.inner.wrap.wrap(&Place::offer(client, keyset, Split::Data), &*share.to_bytes())?;
            keysets::insert_offer(tx, keyset, Split::Data, &keysets::OfferRow { client, kref, wrapped }, now)?;
            Ok(EpochOffer { epoch: keysets::next_epoch(tx, keyset)?, kref, public: share.public() })
        })
    }

    /// A proved answer for [`TEST_KEY`], from an offered epoch.
    pub fn test_epoch(&self, request: &Request<TestEpoch>) -> Result<Evaluated, KeysError> {
        let keyset = request.body.keyset;
        let (share, epoch) = store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.gate(), request)?;
            Ok((self.offered(tx, permit.client(), keyset, Split::Data)?, keysets::next_epoch(tx, keyset)?))
        })?;
        evaluate(&share, &[Tag::data(keyset, epoch, TEST_KEY)], true)
    }

    /// Publishes an offered epoch with the admin's own share of it.
    pub fn publish_epoch(&self, request: &Request<PublishEpoch>) -> Result<(), KeysError> {
        let body = &request.body;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_change(tx, &trust, self.gate(), request, body.expected)?;
            let certificate: Certificate = trust
                .check(&body.certificate, || "the epoch's certificate".to_owned())
                .map_err(KeysError::presented)?;
            let keyset = certificate.keyset;
            let own = permit.allowed(tx, keyset, Permissions::GRANT, None)?;
            let (record, _) = standing(tx, &trust, keyset)?;
            let bad = || KeysError::refused("the certificate does not fit what was offered");
            let offer = keysets::offer(tx, keyset, Split::Data)?.filter(|offer| offer.client == permit.client());
            let fits = certificate.split == Split::Data
                && certificate.epoch == keysets::next_epoch(tx, keyset)?
                && certificate.kref.is_some()
                && certificate.kref == offer.map(|offer| offer.kref);
            if !fits {
                return Err(bad());
            }
            keysets::insert_certificate(tx, &certificate, &body.certificate)?;
            keysets::use_epoch(tx, keyset, certificate.epoch)?;
            self.extend_grant(tx, &permit, &own, &certificate, body)?;
            keysets::drop_offers(tx, keyset, 0)?;
            changes::of_keyset(tx, keyset)?;
            changes::by_admin(tx)?;
            log(tx, &permit, "keyset.epoch", &format!("epoch {} of \"{}\"", certificate.epoch.0, record.name))
        })?;
        self.scrub();
        Ok(())
    }

    /// Replaces the admin's grant by one that has the new epoch's share as well; the shares it had stay.
    fn extend_grant(
        &self,
        tx: &dyn Tx,
        permit: &Permit,
        own: &Allowed,
        certificate: &Certificate,
        body: &PublishEpoch,
    ) -> Result<(), KeysError> {
        let (client, keyset) = (permit.client(), certificate.keyset);
        let grant: Grant =
            permit.trust().check(&body.grant, || "the epoch's grant".to_owned()).map_err(KeysError::presented)?;
        let mut expected = own.grant().clone();
        let live = live(tx, permit.trust(), keyset)?;
        expected.shares.retain(|share| live.iter().any(|c| (c.split, c.epoch) == (share.split, share.epoch)));
        let kept = expected.shares.clone();
        let new = grant.share(Split::Data, certificate.epoch);
        expected.shares.push(new.ok_or_else(|| KeysError::refused("the new grant has no share of the epoch"))?.clone());
        expected.issued_ms = grant.issued_ms;
        if grant != expected {
            return Err(KeysError::refused("the new grant is not the present one and the new epoch"));
        }
        let mut shares = Vec::new();
        for share in &kept {
            shares.push((share.split, share.epoch, own.share(tx, &self.inner.wrap, share.split, share.epoch)?));
        }
        let sealed = grants::sealed(tx, client, keyset)?;
        grants::delete(tx, client, keyset)?;
        grants::insert(tx, client, keyset, &body.grant)?;
        let digest = body.grant.digest();
        for (split, epoch, share) in shares {
            let sealed = sealed.iter().find(|sealed| (sealed.split, sealed.epoch) == (split, epoch));
            let sealed = sealed.ok_or_else(|| KeysError::tampered("the admin's own share"))?;
            let place = Place::share(client, keyset, split, epoch, &digest);
            let wrapped = self.inner.wrap.wrap(&place, &*share.to_bytes())?;
            grants::insert_share(tx, client, keyset, &wrapped, sealed)?;
        }
        let given = Given { claim: &grant, digest, sealed: std::slice::from_ref(&body.sealed) };
        let server = self.offered(tx, client, keyset, Split::Data)?;
        self.keep_share(tx, &given, certificate, &server)
    }
}

/// The keyset's record, and its newest data epoch.
fn standing(tx: &dyn Tx, trust: &Trust, keyset: KeysetId) -> Result<(KeysetRecord, Epoch), KeysError> {
    let row = keysets::find(tx, keyset)?.ok_or_else(|| KeysError::UnknownKeyset { keyset: keyset.to_string() })?;
    let record: KeysetRecord = trust.check(&row.record, || format!("the record of keyset \"{}\"", row.name))?;
    let all = certificates(tx, trust, keyset)?;
    let newest = all.iter().filter(|c| c.split == Split::Data).map(|c| c.epoch).max();
    Ok((record, newest.ok_or_else(|| tx.corrupt("a keyset has no certificate"))?))
}

/// Checks and carries out what a new record says of epochs. Returns what was done, for the trail.
pub(super) fn move_epochs(
    tx: &dyn Tx,
    permit: &Permit,
    before: &KeysetRecord,
    after: &KeysetRecord,
) -> Result<Vec<(&'static str, String)>, KeysError> {
    let (old, new) = (before.epochs, after.epochs);
    if old == new {
        return Ok(Vec::new());
    }
    let (_, newest) = standing(tx, permit.trust(), before.id)?;
    if new.current < old.current || new.oldest < old.oldest || new.current > newest {
        return Err(KeysError::invalid("epochs only go forward, and no further than what is published"));
    }
    permit.allowed(tx, before.id, Permissions::GRANT, None)?;
    let mut done = Vec::new();
    if new.current > old.current {
        everybody_has(tx, permit.trust(), before, new.current)?;
        done.push(("keyset.rotate", format!("\"{}\" to epoch {}", after.name, new.current.0)));
    }
    if new.oldest > old.oldest {
        grants::delete_shares_before(tx, before.id, new.oldest)?;
        done.push(("keyset.drop_epoch", format!("epochs before {} of {} \"{}\"", new.oldest.0, after.id, after.name)));
    }
    Ok(done)
}

/// Whoever can use data keys must have a share of an epoch before it is used: else they could not read what others write.
fn everybody_has(tx: &dyn Tx, trust: &Trust, keyset: &KeysetRecord, epoch: Epoch) -> Result<(), KeysError> {
    let lacking = grants_of(tx, trust, keyset.id)?
        .into_iter()
        .filter(|(_, grant)| needs(grant.permissions, Split::Data) && grant.share(Split::Data, epoch).is_none());
    match lacking.map(|(client, _)| client).next() {
        Some(client) => Err(KeysError::invalid(format!(
            "client {client} has no share of epoch {} of keyset \"{}\" yet",
            epoch.0, keyset.name
        ))),
        None => Ok(()),
    }
}

fn grants_of(tx: &dyn Tx, trust: &Trust, keyset: KeysetId) -> Result<Vec<(ClientId, Grant)>, KeysError> {
    let check = |row: grants::GrantRow| {
        let grant = trust.check(&row.grant, || format!("the grant of client {}", row.client))?;
        Ok((row.client, grant))
    };
    grants::of_keyset(tx, keyset)?.into_iter().map(check).collect()
}

/// Forgets an epoch that was published and never used: its admin may be lost before everybody has it.
pub(super) fn abandon(tx: &dyn Tx, permit: &Permit, keyset: KeysetId, epoch: Epoch) -> Result<(), KeysError> {
    let (record, newest) = standing(tx, permit.trust(), keyset)?;
    if epoch != newest || epoch <= record.epochs.current {
        return Err(KeysError::invalid(format!(
            "epoch {} of keyset \"{}\" is not waiting to be used",
            epoch.0, record.name
        )));
    }
    grants::delete_shares_of(tx, keyset, epoch)?;
    keysets::delete_certificate(tx, keyset, epoch)?;
    changes::of_keyset(tx, keyset)?;
    log(tx, permit, "keyset.abandon_epoch", &format!("epoch {} of \"{}\"", epoch.0, record.name))
}

/// The certificates of live epochs.
pub(super) fn live(tx: &dyn Tx, trust: &Trust, keyset: KeysetId) -> Result<Vec<Certificate>, KeysError> {
    let (record, _) = standing(tx, trust, keyset)?;
    let all = certificates(tx, trust, keyset)?;
    Ok(all.into_iter().filter(|c| record.epochs.keep(c.split, c.epoch)).collect())
}

/// A keyset begins with its first epochs.
pub(super) fn begins(record: &KeysetRecord) -> Result<(), KeysError> {
    if record.epochs == Epochs::FIRST { Ok(()) } else { Err(KeysError::invalid("a new keyset begins with epoch 1")) }
}
