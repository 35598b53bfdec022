//! The set of admins: the root signs each version; whatever rested on an admin who leaves rests on another afterwards.

use std::collections::HashSet;
use std::sync::Arc;

use crate::crypto::ClientId;
use crate::keys::admin::{Again, Hello, MAX_ADMINS, SetAdmins};
use crate::keys::claims::{
    AdminSet, Certificate, Claim, ClientKind, ClientRecord, Grant, KeysetRecord, Signed, Trust, TypeClaim,
};
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keys::request::Request;

use super::super::authorize::{Permit, unchanged};
use super::super::root_key::Place;
use super::super::store::tables::{changes, clients, grants, keysets, types, workspace};
use super::super::store::{self, Tx};
use super::Engine;
use super::admin::{granters, revoke_grant};
use super::clients::for_development;
use super::fetch::log;

/// Both sets, while one takes the place of the other.
struct Handover {
    old: Arc<Trust>,
    new: Arc<Trust>,
    /// Who leaves.
    leaving: HashSet<ClientId>,
}

impl Engine {
    /// What everybody may know of the workspace.
    pub fn hello(&self) -> Result<Hello, KeysError> {
        store::peek(self.store(), |tx| {
            Ok(Hello { revision: workspace::require(tx)?.revision, admins: workspace::admins(tx)? })
        })
    }

    /// Puts another admin set in the place of the present one.
    pub fn set_admins(&self, request: &Request<SetAdmins>) -> Result<(), KeysError> {
        let body = &request.body;
        store::write(self.store(), |tx| {
            let old = self.trust(tx)?;
            let set: AdminSet = body.set.check(self.root(), "the new admin set").map_err(KeysError::presented)?;
            let new = Arc::new(Trust::establish(self.root(), &body.set).map_err(KeysError::presented)?);
            let (sender, enabled) = sender(tx, &old, &new, request)?;
            let permit = Permit::by_root(tx, &new, self.gate(), request, sender)?;
            if !enabled {
                return Err(KeysError::ClientDisabled { client: permit.record().name.clone() });
            }
            unchanged(tx, body.expected)?;
            proper(&old, &set)?;
            let leaving = old.admins().filter(|id| !new.is_admin(*id)).collect();
            let handover = Handover { old, new, leaving };
            workspace::insert_admins(tx, set.version, &body.set)?;
            self.sign_again(tx, &handover, &body.again)?;
            // A device that is known keeps its record.
            let known = clients::find(tx, permit.client())?.is_some();
            if let Some(record) = body.record.as_ref().filter(|_| !known) {
                self.put_record(tx, &permit, record)?;
            }
            nothing_left(tx, &handover)?;
            all_known(tx, &handover.new, &set)?;
            for client in &handover.leaving {
                dismiss(tx, &permit, *client, body.lost)?;
            }
            changes::of_all(tx)?;
            changes::by_admin(tx)?;
            let ids = set.admins.iter().map(|admin| admin.client_id().to_string()).collect::<Vec<_>>();
            log(tx, &permit, "admins.set", &format!("version {}: {}", set.version, ids.join(", ")))
        })?;
        self.scrub();
        Ok(())
    }

    /// Takes every claim that is signed again, if it is, word for word, one that is there.
    fn sign_again(&self, tx: &dyn Tx, handover: &Handover, again: &Again) -> Result<(), KeysError> {
        let new = &handover.new;
        for signed in &again.clients {
            let record: ClientRecord =
                new.check(signed, || "a client's record".to_owned()).map_err(KeysError::presented)?;
            let known = clients::find(tx, record.id())?.map(|row| row.record);
            as_it_was(known.as_ref(), signed)?;
            clients::put(tx, record.id(), &record.name, signed)?;
        }
        for signed in &again.keysets {
            let record: KeysetRecord =
                new.check(signed, || "a keyset's record".to_owned()).map_err(KeysError::presented)?;
            let known = keysets::find(tx, record.id)?.map(|row| row.record);
            as_it_was(known.as_ref(), signed)?;
            keysets::put(tx, record.id, &record.name, signed)?;
        }
        for signed in &again.certificates {
            let certificate: Certificate =
                new.check(signed, || "a certificate".to_owned()).map_err(KeysError::presented)?;
            let all = keysets::certificates(tx, certificate.keyset)?;
            as_it_was(all.iter().find(|known| known.body == signed.body), signed)?;
            keysets::sign_certificate(tx, &certificate, signed)?;
        }
        for signed in &again.grants {
            self.sign_grant(tx, new, signed)?;
        }
        for signed in &again.types {
            let claim: TypeClaim =
                new.check(signed, || "a type definition".to_owned()).map_err(KeysError::presented)?;
            let known = types::of(tx, claim.id)?;
            let same = |known: &&Signed| known.body == signed.body && handover.old.is_admin(known.signer);
            as_it_was(known.iter().find(same), signed)?;
            if !known.iter().any(|known| known.signer == signed.signer) {
                types::insert(tx, claim.id, signed)?;
            }
            for known in known.iter().filter(same).filter(|known| handover.leaving.contains(&known.signer)) {
                types::delete(tx, claim.id, known.signer)?;
            }
        }
        Ok(())
    }

    /// A grant names the new set, so that nobody can show it beside the old one; its shares are bound to it anew.
    fn sign_grant(&self, tx: &dyn Tx, new: &Trust, signed: &Signed) -> Result<(), KeysError> {
        let grant: Grant = new.check(signed, || "a grant".to_owned()).map_err(KeysError::presented)?;
        let (client, keyset) = (grant.client, grant.keyset);
        let bad = || KeysError::tampered(format!("the grant of keyset {keyset} to client {client}"));
        let row = grants::find(tx, client, keyset)?.ok_or(KeysError::Conflict)?;
        let known = Grant::decode(&row.grant.body).map_err(|_| bad())?;
        if (Grant { admins: new.version(), ..known }) != grant {
            return Err(KeysError::Conflict);
        }
        let (before, after) = (row.grant.digest(), signed.digest());
        for share in &grant.shares {
            let (split, epoch) = (share.split, share.epoch);
            let place = |digest| Place::share(client, keyset, split, epoch, digest);
            // Shares of dropped epochs are gone.
            let Some(wrapped) = grants::wrapped(tx, client, keyset, split, epoch)? else { continue };
            let secret = self.inner.wrap.unwrap(&place(&before), &wrapped).ok_or_else(bad)?;
            grants::rewrap(tx, (client, keyset), (split, epoch), &self.inner.wrap.wrap(&place(&after), &secret)?)?;
        }
        grants::sign(tx, client, keyset, signed)
    }
}

/// The record of whoever sends a new set: the one that is there, or one that comes with the set. And its switch.
fn sender(
    tx: &dyn Tx,
    old: &Trust,
    new: &Trust,
    request: &Request<SetAdmins>,
) -> Result<(ClientRecord, bool), KeysError> {
    let id = request.auth.client;
    let what = || "the record of whoever asks".to_owned();
    match (clients::find(tx, id)?, &request.body.record) {
        (Some(row), _) => Ok((old.check(&row.record, what)?, row.enabled)),
        (None, Some(record)) => Ok((new.check(record, what).map_err(KeysError::presented)?, true)),
        (None, None) => Err(KeysError::ClientUnknown { client: id.to_string() }),
    }
}

/// The next version, with somebody in it, and nobody twice.
fn proper(old: &Trust, set: &AdminSet) -> Result<(), KeysError> {
    if old.version().checked_add(1) != Some(set.version) {
        return Err(KeysError::Conflict);
    }
    let ids = set.admins.iter().map(crate::crypto::client_key::ClientPublic::client_id).collect::<HashSet<_>>();
    match set.admins.len() {
        0 => Err(KeysError::invalid("at least one admin must remain")),
        count if count > MAX_ADMINS || ids.len() != count => {
            Err(KeysError::invalid(format!("a workspace has at most {MAX_ADMINS} admins, each of them once")))
        }
        _ => Ok(()),
    }
}

/// Every admin is a client of the workspace whose key does not end.
fn all_known(tx: &dyn Tx, new: &Trust, set: &AdminSet) -> Result<(), KeysError> {
    for id in set.admins.iter().map(crate::crypto::client_key::ClientPublic::client_id) {
        let row = clients::find(tx, id)?.ok_or_else(|| KeysError::ClientUnknown { client: id.to_string() })?;
        let record: ClientRecord = new.check(&row.record, || format!("the record of client {id}"))?;
        if record.expires_ms.is_some() {
            let why = format!("\"{}\" expires, and the key of an admin must not", record.name);
            return Err(KeysError::invalid(why));
        }
    }
    Ok(())
}

/// Nothing rests on the word of those who leave.
fn nothing_left(tx: &dyn Tx, handover: &Handover) -> Result<(), KeysError> {
    let gone = |signed: &Signed| handover.leaving.contains(&signed.signer);
    let mut left = clients::list(tx)?.iter().any(|row| gone(&row.record));
    for row in keysets::list(tx)? {
        left |= gone(&row.record) || keysets::certificates(tx, row.id)?.iter().any(gone);
    }
    left |= grants::list(tx)?.iter().any(|row| gone(&row.grant));
    left |= types::list(tx)?.iter().any(|(_, signed)| gone(signed));
    if left { Err(KeysError::Conflict) } else { Ok(()) }
}

/// A claim that is signed again must be one that is there.
fn as_it_was(known: Option<&Signed>, signed: &Signed) -> Result<(), KeysError> {
    if known.is_some_and(|known| known.body == signed.body) { Ok(()) } else { Err(KeysError::Conflict) }
}

/// Takes from a former admin what only admins may have.
fn dismiss(tx: &dyn Tx, permit: &Permit, client: ClientId, lost: bool) -> Result<(), KeysError> {
    log(tx, permit, "admin.remove", &client.to_string())?;
    if lost {
        log(tx, permit, "client.disable", &client.to_string())?;
        clients::enable(tx, client, false)?;
    }
    let row = clients::find(tx, client)?.ok_or_else(|| tx.corrupt("an admin is no client"))?;
    let record: ClientRecord = permit.trust().check(&row.record, || format!("the record of client {client}"))?;
    for row in grants::of_client(tx, client)? {
        let keyset = keysets::find(tx, row.keyset)?.ok_or_else(|| tx.corrupt("a grant is of no keyset"))?;
        let of: KeysetRecord = permit.trust().check(&keyset.record, || format!("keyset \"{}\"", keyset.name))?;
        let granter = Grant::listed_permissions(&row.grant.body).allows(Permissions::GRANT);
        let others = granters(tx, permit.trust(), row.keyset)?.iter().any(|granter| *granter != client);
        if granter && !others {
            if !lost {
                let why = format!("nobody else can grant keyset \"{}\": grant it to another admin first", keyset.name);
                return Err(KeysError::invalid(why));
            }
        } else if granter || (record.kind == ClientKind::Device && for_development(&record, &of).is_err()) {
            revoke_grant(tx, permit, client, row.keyset)?;
        }
    }
    Ok(())
}
