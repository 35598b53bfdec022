//! What admins do: keysets, clients, grants, and taking them away.

use crate::crypto::hpke::{Purpose, Sealed};
use crate::crypto::split::{Delta, ServerShare, Tag};
use crate::crypto::{ClientId, Epoch, KeyId, KeysetId, TypeId};
use crate::keys::admin::{
    Act, Answers, Change, NewGrant, Offer, OfferKeyset, PublishKeyset, PutClient, TestKeyset, needs, place,
};
use crate::keys::claims::keyset::DEFAULT;
use crate::keys::claims::{
    Certificate, Claim, ClientKind, ClientRecord, Grant, KeysetRecord, Signed, Split, Trust, name_fault,
};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keys::request::Request;
use crate::keys::service::{PinnedObject, SealedShare};

use super::super::authorize::{Allowed, Permit};
use super::super::root_key::Place;
use super::super::store::tables::{changes, clients, grants, keysets, seen, types, workspace};
use super::super::store::{self, Tx};
use super::Engine;
use super::clients::{for_development, no_admin};
use super::epochs;
use super::fetch::{evaluate, log};

/// How long an offered keyset waits to be published.
pub(super) const OFFER_MS: u64 = 10 * 60 * 1000;

/// What the test fetch of an offered keyset asks for: no real key has these names.
pub const TEST_KEY: KeyId = KeyId([0; 8]);
/// As [`TEST_KEY`].
pub const TEST_TYPE: TypeId = TypeId([0; 16]);

/// A stored grant whose shares are to be stored.
pub(super) struct Given<'a> {
    pub(super) claim: &'a Grant,
    pub(super) digest: [u8; 32],
    /// The client's shares, sealed to it.
    pub(super) sealed: &'a [SealedShare],
}

impl Engine {
    /// Draws the service's half of a new keyset and takes its number.
    pub fn offer_keyset(&self, request: &Request<OfferKeyset>) -> Result<Offer, KeysError> {
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.gate(), request)?;
            free_keyset_name(tx, &request.body.name, None)?;
            let (client, now) = (permit.client(), wall_ms());
            let keyset = KeysetId(crate::crypto::random::array()?);
            let kref = workspace::take_kref(tx)?;
            keysets::drop_offers(tx, keyset, now.saturating_sub(OFFER_MS))?;
            let half = |split| -> Result<_, KeysError> {
                let share = ServerShare::generate()?;
                let wrapped = self.inner.wrap.wrap(&Place::offer(client, keyset, split), &*share.to_bytes())?;
                keysets::insert_offer(tx, keyset, split, &keysets::OfferRow { client, kref, wrapped }, now)?;
                Ok(share.public())
            };
            Ok(Offer { keyset, kref, data: half(Split::Data)?, index: half(Split::Index)? })
        })
    }

    /// Proved answers for [`TEST_KEY`] and [`TEST_TYPE`], from an offered keyset.
    pub fn test_keyset(&self, request: &Request<TestKeyset>) -> Result<Answers, KeysError> {
        let keyset = request.body.keyset;
        let (data, index) = store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.gate(), request)?;
            Ok((
                self.offered(tx, permit.client(), keyset, Split::Data)?,
                self.offered(tx, permit.client(), keyset, Split::Index)?,
            ))
        })?;
        let data = evaluate(&data, &[Tag::data(keyset, Epoch(1), TEST_KEY)], true)?;
        Ok(Answers { data, index: evaluate(&index, &[Tag::index(keyset, Epoch(1), TEST_TYPE)], true)? })
    }

    /// Publishes an offered keyset with its first grant.
    pub fn publish_keyset(&self, request: &Request<PublishKeyset>) -> Result<(), KeysError> {
        let body = &request.body;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.gate(), request)?;
            let client = permit.client();
            let record: KeysetRecord =
                trust.check(&body.record, || "the new keyset's record".to_owned()).map_err(KeysError::presented)?;
            free_keyset_name(tx, &record.name, None)?;
            epochs::begins(&record)?;
            keysets::put(tx, record.id, &record.name, &body.record)?;
            let grant: Grant =
                trust.check(&body.grant, || "the new keyset's grant".to_owned()).map_err(KeysError::presented)?;
            if grant.client != client || grant.keyset != record.id || grant.admins != trust.version() {
                return Err(KeysError::tampered("the new keyset's grant").presented());
            }
            let certificates = certify(tx, &permit, record.id, &body.certificates)?;
            grants::insert(tx, client, record.id, &body.grant)?;
            let given = Given { claim: &grant, digest: body.grant.digest(), sealed: &body.sealed };
            for certificate in &certificates {
                let server = self.offered(tx, client, record.id, certificate.split)?;
                self.keep_share(tx, &given, certificate, &server)?;
            }
            keysets::drop_offers(tx, record.id, 0)?;
            changes::of_client(tx, client)?;
            log(tx, &permit, "keyset.create", &format!("\"{}\"", record.name))
        })?;
        self.scrub();
        Ok(())
    }

    /// Makes a client or replaces its record, and gives it grants, all or nothing.
    pub fn put_client(&self, request: &Request<PutClient>) -> Result<(), KeysError> {
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let expected = request.body.expected;
            let permit = Permit::check_change(tx, &trust, self.gate(), request, expected)?;
            if let Some(signed) = &request.body.record {
                self.put_record(tx, &permit, signed)?;
            }
            for new in &request.body.grants {
                self.put_grant(tx, &permit, new)?;
            }
            changes::by_admin(tx)
        })?;
        // Grants that were given anew have left shares behind.
        self.scrub();
        Ok(())
    }

    /// What was deleted must not stay in the files. The change itself is done: failing here is told in the log.
    pub(super) fn scrub(&self) {
        if let Err(error) = self.store().scrub() {
            tracing::warn!(%error, "deleted shares may remain in the key store's write-ahead log until its next checkpoint");
        }
    }

    /// Any other act. Returns the keysets whose grant was taken away.
    pub fn act(&self, request: &Request<Change>) -> Result<Vec<KeysetId>, KeysError> {
        let Change { expected, act } = &request.body;
        let revoked = store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_change(tx, &trust, self.gate(), request, *expected)?;
            changes::by_admin(tx)?;
            run(tx, &permit, act)
        })?;
        self.cut(act);
        // Shares go with grants, clients and dropped epochs.
        self.scrub();
        Ok(revoked)
    }

    pub(super) fn put_grant(&self, tx: &dyn Tx, permit: &Permit, new: &NewGrant) -> Result<(), KeysError> {
        let trust = permit.trust();
        let grant: Grant = trust.check(&new.grant, || "the new grant".to_owned()).map_err(KeysError::presented)?;
        let client = grant.client;
        let own = permit.allowed(tx, grant.keyset, Permissions::GRANT, None)?;
        let row = clients::find(tx, client)?.ok_or_else(|| KeysError::ClientUnknown { client: client.to_string() })?;
        let record: ClientRecord = trust.check(&row.record, || format!("the record of client {client}"))?;
        if grant.admins != trust.version() {
            return Err(KeysError::refused("the set of admins has changed"));
        }
        if grant.permissions.allows(Permissions::GRANT) && !trust.is_admin(client) {
            return Err(KeysError::NotAdmin { client: record.name });
        }
        if record.kind == ClientKind::Device && !trust.is_admin(client) {
            for_development(&record, &own.keyset_record()?)?;
        }
        if !grant.permissions.allows(Permissions::GRANT) || grant.expires_ms.is_some() {
            keep_a_granter(tx, trust, client, grant.keyset)?;
        }
        let certificates = epochs::live(tx, trust, grant.keyset)?;
        let shares = self.grant_shares(tx, &own, &grant, (certificates, &new.deltas))?;
        let before = grants::find(tx, client, grant.keyset)?.and_then(|row| Grant::decode(&row.grant.body).ok());
        grants::delete(tx, client, grant.keyset)?;
        grants::insert(tx, client, grant.keyset, &new.grant)?;
        let given = Given { claim: &grant, digest: new.grant.digest(), sealed: &new.sealed };
        for (certificate, server) in &shares {
            self.keep_share(tx, &given, certificate, server)?;
        }
        changes::of_client(tx, client)?;
        if before.is_some_and(|before| !grant.at_least(&before)) {
            let detail = format!("keyset {} \"{}\" of {client}", grant.keyset, own.keyset_name());
            log(tx, permit, "grant.narrow", &detail)?;
        }
        log(
            tx,
            permit,
            "grant.give",
            &format!("{} on keyset \"{}\" to \"{}\"", grant.permissions, own.keyset_name(), record.name),
        )
    }

    /// `s_i = s_A + δ` for every share of the grant.
    fn grant_shares(
        &self,
        tx: &dyn Tx,
        own: &Allowed,
        grant: &Grant,
        (certificates, deltas): (Vec<Certificate>, &[SealedShare]),
    ) -> Result<Vec<(Certificate, ServerShare)>, KeysError> {
        let bad = || KeysError::refused("the shares of the grant do not fit the keyset");
        let mut shares = Vec::new();
        for certificate in certificates {
            if !needs(grant.permissions, certificate.split) {
                continue;
            }
            let public = grant.share(certificate.split, certificate.epoch).ok_or_else(bad)?;
            let sealed = find(deltas, &certificate).ok_or_else(bad)?;
            let context = place(&certificate, grant.client);
            let purpose = Purpose { sealed: Sealed::Delta, context: &context };
            let delta = self.inner.opening.open(purpose, &public.client.to_bytes(), sealed).map_err(|_| bad())?;
            let delta =
                Delta::from_bytes(<&[u8; 32]>::try_from(delta.as_slice()).map_err(|_| bad())?).map_err(|_| bad())?;
            let mine = own.share(tx, &self.inner.wrap, certificate.split, certificate.epoch)?;
            let server = mine.grant(delta, &certificate.public, &public.client).map_err(|_| bad())?;
            shares.push((certificate, server));
        }
        if shares.len() == grant.shares.len() && !shares.is_empty() { Ok(shares) } else { Err(bad()) }
    }

    /// Stores both halves of a share of a stored grant.
    pub(super) fn keep_share(
        &self,
        tx: &dyn Tx,
        given: &Given<'_>,
        certificate: &Certificate,
        server: &ServerShare,
    ) -> Result<(), KeysError> {
        let bad = || KeysError::refused("the shares of the grant do not fit the keyset");
        let (grant, split, epoch) = (given.claim, certificate.split, certificate.epoch);
        let public = grant.share(split, epoch).filter(|share| share.keyset == certificate.public).ok_or_else(bad)?;
        server.verify(&certificate.public, &public.client).map_err(|_| bad())?;
        let bytes = find(given.sealed, certificate).ok_or_else(bad)?.to_owned();
        let place = Place::share(grant.client, grant.keyset, split, epoch, &given.digest);
        let wrapped = self.inner.wrap.wrap(&place, &*server.to_bytes())?;
        grants::insert_share(tx, grant.client, grant.keyset, &wrapped, &SealedShare { split, epoch, sealed: bytes })
    }

    pub(super) fn offered(
        &self,
        tx: &dyn Tx,
        client: ClientId,
        keyset: KeysetId,
        split: Split,
    ) -> Result<ServerShare, KeysError> {
        let offer = keysets::offer(tx, keyset, split)?.filter(|offer| offer.client == client);
        let offer = offer.ok_or_else(|| KeysError::invalid("this keyset was not offered, or too long ago"))?;
        let bad = || KeysError::tampered("the share of the offered keyset");
        let secret = self.inner.wrap.unwrap(&Place::offer(client, keyset, split), &offer.wrapped).ok_or_else(bad)?;
        ServerShare::from_bytes(<&[u8; 32]>::try_from(secret.as_slice()).map_err(|_| bad())?).map_err(|_| bad())
    }
}

/// Stores the certificates of a new keyset: one of each split key, of epoch 1, with the number that was offered.
fn certify(tx: &dyn Tx, permit: &Permit, keyset: KeysetId, signed: &[Signed]) -> Result<Vec<Certificate>, KeysError> {
    let bad = || KeysError::refused("the certificates do not fit what was offered");
    let mut all = Vec::new();
    for signed in signed {
        let certificate: Certificate =
            permit.trust().check(signed, || "the new keyset's certificate".to_owned()).map_err(KeysError::presented)?;
        let offer = keysets::offer(tx, keyset, certificate.split)?
            .filter(|offer| offer.client == permit.client())
            .ok_or_else(bad)?;
        let kref = (certificate.split == Split::Data).then_some(offer.kref);
        if certificate.keyset != keyset || certificate.epoch != Epoch(1) || certificate.kref != kref {
            return Err(bad());
        }
        keysets::insert_certificate(tx, &certificate, signed)?;
        all.push(certificate);
    }
    let both = Split::ALL.iter().all(|split| all.iter().filter(|c: &&Certificate| c.split == *split).count() == 1);
    if both { Ok(all) } else { Err(bad()) }
}

fn run(tx: &dyn Tx, permit: &Permit, act: &Act) -> Result<Vec<KeysetId>, KeysError> {
    match act {
        Act::Revoke { client, keyset } => return revoke(tx, permit, *client, *keyset),
        Act::DeleteClient { client } => {
            other_client(tx, permit, *client)?;
            no_admin(permit.trust(), *client)?;
            let revoked = revoke(tx, permit, *client, None)?;
            grants::forget_revocations(tx, *client)?;
            clients::delete(tx, *client)?;
            seen::delete(tx, *client)?;
            log(tx, permit, "client.delete", &client.to_string())?;
            return Ok(revoked);
        }
        Act::EnableClient { client, enabled: on } => {
            other_client(tx, permit, *client)?;
            clients::enable(tx, *client, *on)?;
            changes::of_client(tx, *client)?;
            log(tx, permit, if *on { "client.enable" } else { "client.disable" }, &client.to_string())?;
        }
        Act::EnableKeyset { keyset, enabled: on } => {
            let row = keyset_row(tx, *keyset)?;
            not_default(&row.name)?;
            keysets::enable(tx, *keyset, *on)?;
            changes::of_keyset(tx, *keyset)?;
            log(
                tx,
                permit,
                if *on { "keyset.enable" } else { "keyset.disable" },
                &format!("{keyset} \"{}\"", row.name),
            )?;
        }
        Act::PutKeyset { record } => put_keyset(tx, permit, record)?,
        Act::AbandonEpoch { keyset, epoch } => epochs::abandon(tx, permit, *keyset, *epoch)?,
        Act::RemovePin { database, object } => {
            if !types::delete_pin(tx, database, object)? {
                return Err(no_pin(object, database));
            }
            changes::of_all(tx)?;
            log(tx, permit, "pin.remove", &format!("{object} of database \"{database}\""))?;
        }
        Act::ConfirmPin { database, object, type_id } => {
            let to = PinnedObject { object: object.clone(), type_id: *type_id };
            if !types::move_pin(tx, database, &to, permit.client(), wall_ms())? {
                return Err(no_pin(object, database));
            }
            changes::of_all(tx)?;
            log(tx, permit, "pin.confirm", &format!("{object} of database \"{database}\", type {type_id}"))?;
        }
    }
    Ok(Vec::new())
}

fn no_pin(object: &str, database: &str) -> KeysError {
    KeysError::invalid(format!("there is no pin of {object} in database \"{database}\""))
}

/// Another name, another epoch for new values, or epochs dropped.
fn put_keyset(tx: &dyn Tx, permit: &Permit, signed: &Signed) -> Result<(), KeysError> {
    let what = || "the keyset's record".to_owned();
    let record: KeysetRecord = permit.trust().check(signed, what).map_err(KeysError::presented)?;
    let row = keyset_row(tx, record.id)?;
    let before: KeysetRecord = permit.trust().check(&row.record, what)?;
    if record.created_ms != before.created_ms {
        return Err(KeysError::invalid("when a keyset was made does not change"));
    }
    if record.development != before.development {
        return Err(KeysError::invalid("what a keyset is for does not change: who has it was let in for that"));
    }
    if record.name != before.name {
        not_default(&row.name)?;
        free_keyset_name(tx, &record.name, Some(record.id))?;
        log(tx, permit, "keyset.rename", &format!("\"{}\" to \"{}\"", row.name, record.name))?;
    }
    for (action, detail) in epochs::move_epochs(tx, permit, &before, &record)? {
        log(tx, permit, action, &detail)?;
    }
    keysets::put(tx, record.id, &record.name, signed)?;
    changes::of_keyset(tx, record.id)
}

pub(super) fn revoke(
    tx: &dyn Tx,
    permit: &Permit,
    client: ClientId,
    keyset: Option<KeysetId>,
) -> Result<Vec<KeysetId>, KeysError> {
    if clients::find(tx, client)?.is_none() {
        return Err(KeysError::ClientUnknown { client: client.to_string() });
    }
    let all = grants::of_client(tx, client)?.into_iter().map(|row| row.keyset);
    let taken = all.filter(|id| keyset.is_none_or(|only| only == *id)).collect::<Vec<_>>();
    if !taken.is_empty() {
        changes::of_client(tx, client)?;
    }
    for id in &taken {
        keep_a_granter(tx, permit.trust(), client, *id)?;
        revoke_grant(tx, permit, client, *id)?;
    }
    Ok(taken)
}

pub(super) fn revoke_grant(tx: &dyn Tx, permit: &Permit, client: ClientId, keyset: KeysetId) -> Result<(), KeysError> {
    let name = keyset_row(tx, keyset)?.name;
    grants::delete(tx, client, keyset)?;
    grants::insert_revocation(tx, client, keyset, wall_ms())?;
    log(tx, permit, "grant.revoke", &format!("keyset {keyset} \"{name}\" of {client}"))
}

/// Refuses to take a keyset from the last client that can grant it: nobody could ever again.
fn keep_a_granter(tx: &dyn Tx, trust: &Trust, client: ClientId, keyset: KeysetId) -> Result<(), KeysError> {
    let granters = granters(tx, trust, keyset)?;
    if granters.contains(&client) && granters.iter().all(|granter| *granter == client) {
        return Err(KeysError::invalid(
            "this is the only grant from which the keyset can be granted: grant it to another admin first",
        ));
    }
    Ok(())
}

/// Admins who can grant a keyset. A grant that ends does not count: afterwards nobody could.
pub(super) fn granters(tx: &dyn Tx, trust: &Trust, keyset: KeysetId) -> Result<Vec<ClientId>, KeysError> {
    let mut all = Vec::new();
    for row in grants::of_keyset(tx, keyset)?.into_iter().filter(|row| trust.is_admin(row.client)) {
        let grant: Grant = trust.check(&row.grant, || format!("the grant of keyset {keyset}"))?;
        if grant.permissions.allows(Permissions::GRANT) && grant.expires_ms.is_none() {
            all.push(row.client);
        }
    }
    Ok(all)
}

fn other_client(tx: &dyn Tx, permit: &Permit, client: ClientId) -> Result<(), KeysError> {
    if clients::find(tx, client)?.is_none() {
        return Err(KeysError::ClientUnknown { client: client.to_string() });
    }
    if client == permit.client() { Err(KeysError::invalid("a client cannot disable or delete itself")) } else { Ok(()) }
}

fn keyset_row(tx: &dyn Tx, keyset: KeysetId) -> Result<keysets::KeysetRow, KeysError> {
    keysets::find(tx, keyset)?.ok_or_else(|| KeysError::UnknownKeyset { keyset: keyset.to_string() })
}

pub(super) fn certificates(tx: &dyn Tx, trust: &Trust, keyset: KeysetId) -> Result<Vec<Certificate>, KeysError> {
    let check = |signed: &Signed| trust.check(signed, || format!("a certificate of keyset {keyset}"));
    keysets::certificates(tx, keyset)?.iter().map(check).collect()
}

fn find<'a>(sealed: &'a [SealedShare], certificate: &Certificate) -> Option<&'a [u8]> {
    let found = sealed.iter().find(|sealed| sealed.split == certificate.split && sealed.epoch == certificate.epoch);
    found.map(|sealed| sealed.sealed.as_slice())
}

fn not_default(name: &str) -> Result<(), KeysError> {
    if name == DEFAULT { Err(KeysError::invalid("keyset \"default\" cannot be renamed or disabled")) } else { Ok(()) }
}

pub(super) fn check_name(name: &str) -> Result<(), KeysError> {
    name_fault(name).map_or(Ok(()), |fault| Err(KeysError::invalid(fault)))
}

fn free_keyset_name(tx: &dyn Tx, name: &str, own: Option<KeysetId>) -> Result<(), KeysError> {
    check_name(name)?;
    match keysets::named(tx, name)? {
        Some(row) if Some(row.id) != own => Err(KeysError::Exists { what: format!("keyset \"{name}\"") }),
        _ => Ok(()),
    }
}
