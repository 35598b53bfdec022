//! What a client may know: its grants and what they rest on, type definitions, pins.

use crate::crypto::ClientId;
use crate::keys::claims::{Trust, TypeClaim};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::Request;
use crate::keys::service::{
    AddPins, GetPins, GetState, GrantState, MAX_PIN, MAX_PINS, PinnedObject, PutType, Renew, Revision, RevokedKeyset,
    State,
};

use super::super::authorize::Permit;
use super::super::store::tables::{clients, grants, keysets, types, workspace};
use super::super::store::{self, Tx};
use super::Engine;
use super::fetch::log;

/// Most definitions that one workspace keeps.
const MAX_TYPES: usize = 10_000;

impl Engine {
    /// Everything that concerns the asking client.
    pub fn state(&self, request: &Request<GetState>) -> Result<State, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.service_id(), request)?;
            let client = permit.client();
            let record = clients::find(tx, client)?
                .ok_or_else(|| KeysError::ClientUnknown { client: client.to_string() })?
                .record;
            Ok(State {
                revision: workspace::require(tx)?.revision,
                admins: workspace::admins(tx)?,
                record,
                grants: grant_states(tx, client)?,
                revoked: revoked(tx, client)?,
                types: definitions(tx, &trust, client)?,
            })
        })
    }

    /// The present revision, for a client in good standing. Writes nothing: a full disk does not end leases.
    pub fn renew(&self, request: &Request<Renew>) -> Result<Revision, KeysError> {
        store::peek(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check(tx, &trust, self.service_id(), request)?;
            Ok(workspace::require(tx)?.revision)
        })
    }

    /// Stores a definition, signed by an admin or by the asking client. The same again changes nothing; another of the same
    /// id is refused.
    pub fn put_type(&self, request: &Request<PutType>) -> Result<(), KeysError> {
        let signed = &request.body.signed;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.service_id(), request)?;
            let claim: TypeClaim =
                trust.check_own(&permit.record().public, signed, || "the type definition".to_owned())?;
            let known = types::of(tx, claim.id)?;
            if known.iter().any(|known| known.body != signed.body && counts(&trust, permit.client(), known.signer)) {
                return Err(KeysError::Exists { what: format!("another definition of type {}", claim.id) });
            }
            if known.iter().any(|known| known.signer == signed.signer && known.body == signed.body) {
                return Ok(());
            }
            if types::list(tx)?.len() >= MAX_TYPES {
                return Err(KeysError::invalid(format!("the workspace has {MAX_TYPES} type definitions already")));
            }
            types::insert(tx, claim.id, signed)?;
            workspace::advance(tx)?;
            log(tx, &permit, "type.sign", &claim.id.to_string())
        })
    }

    /// The pins of a database.
    pub fn pins(&self, request: &Request<GetPins>) -> Result<Vec<PinnedObject>, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check(tx, &trust, self.service_id(), request)?;
            let pins = types::pins(tx, Some(&request.body.database))?;
            Ok(pins.into_iter().map(|(_, pin)| pin).collect())
        })
    }

    /// Adds pins. One that contradicts an existing pin refuses all; one that is there changes nothing.
    pub fn add_pins(&self, request: &Request<AddPins>) -> Result<(), KeysError> {
        let AddPins { database, pins } = &request.body;
        let long = |text: &str| text.is_empty() || text.len() > MAX_PIN;
        if pins.len() > MAX_PINS || long(database) || pins.iter().any(|pin| long(&pin.object)) {
            return Err(KeysError::invalid("too many pins, or a name of one is empty or too long"));
        }
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.service_id(), request)?;
            let mut added = 0;
            for pin in pins {
                match types::pin(tx, database, &pin.object)? {
                    Some(known) if known == pin.type_id => {}
                    Some(_) => {
                        return Err(KeysError::Exists { what: format!("a pin of {} to another type", pin.object) });
                    }
                    None => {
                        types::insert_pin(tx, database, pin, permit.client(), wall_ms())?;
                        added += 1;
                    }
                }
            }
            if added > 0 { log(tx, &permit, "pin.add", &format!("{added} of database \"{database}\"")) } else { Ok(()) }
        })
    }
}

fn grant_states(tx: &dyn Tx, client: ClientId) -> Result<Vec<GrantState>, KeysError> {
    let state = |row: grants::GrantRow| {
        let keyset = keysets::find(tx, row.keyset)?.ok_or_else(|| tx.corrupt("a grant is of no keyset"))?;
        Ok(GrantState {
            keyset: keyset.record,
            enabled: keyset.enabled,
            certificates: keysets::certificates(tx, row.keyset)?,
            grant: row.grant,
            sealed: grants::sealed(tx, client, row.keyset)?,
        })
    };
    grants::of_client(tx, client)?.into_iter().map(state).collect()
}

fn revoked(tx: &dyn Tx, client: ClientId) -> Result<Vec<RevokedKeyset>, KeysError> {
    let mut all = Vec::new();
    for keyset in grants::revoked(tx, client)? {
        if let Some(row) = keysets::find(tx, keyset)? {
            all.push(RevokedKeyset { keyset, name: row.name, krefs: keysets::krefs(tx, keyset)? });
        }
    }
    Ok(all)
}

fn definitions(tx: &dyn Tx, trust: &Trust, client: ClientId) -> Result<Vec<crate::keys::claims::Signed>, KeysError> {
    let all = types::list(tx)?.into_iter();
    Ok(all.filter(|(_, signed)| counts(trust, client, signed.signer)).map(|(_, signed)| signed).collect())
}

/// A definition counts for everybody if an admin signed it, otherwise for its signer.
fn counts(trust: &Trust, client: ClientId, signer: ClientId) -> bool {
    signer == client || trust.is_admin(signer)
}
