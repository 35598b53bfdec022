//! What a client may know: its grants and what they rest on, type definitions, pins.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::crypto::{ClientId, KeysetId};
use crate::keys::claims::{Grant, Trust, TypeClaim};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::request::Request;
use crate::keys::service::{
    AddPins, GetGrants, GetPins, GetState, GrantState, Granted, Lease, MAX_KEYS, MAX_PIN, MAX_PINS, PinnedObject,
    PutType, Renew, RevokedKeyset, Standing, State,
};

use super::super::authorize::Permit;
use super::super::store::tables::{changes, clients, grants, keysets, types, workspace};
use super::super::store::{self, Tx};
use super::Engine;
use super::fetch::log;

/// Most definitions that one workspace keeps.
const MAX_TYPES: usize = 10_000;

impl Engine {
    /// Everything that concerns the asking client.
    pub fn state(&self, request: &Request<GetState>) -> Result<State, KeysError> {
        let began = wall_ms();
        let state = store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
            let client = permit.client();
            let record = clients::find(tx, client)?
                .ok_or_else(|| KeysError::ClientUnknown { client: client.to_string() })?
                .record;
            Ok(State {
                standing: standing(tx, client)?,
                admins: workspace::admins(tx)?,
                record,
                granted: granted(tx, client)?,
                revoked: revoked(tx, client)?,
                types: definitions(tx, &trust, client)?,
            })
        })?;
        self.heard(request.auth.client, began);
        Ok(state)
    }

    /// Grants of the asking client, with what they rest on.
    pub fn grants(&self, request: &Request<GetGrants>) -> Result<Vec<GrantState>, KeysError> {
        let wanted = &request.body.keysets;
        if !(1..=MAX_KEYS).contains(&wanted.len()) {
            return Err(KeysError::refused("it asks for no keyset or for too many"));
        }
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
            let mut all = Vec::new();
            for keyset in wanted {
                all.extend(grant_state(tx, permit.client(), *keyset)?);
            }
            Ok(all)
        })
    }

    /// The present revision, for a client in good standing. Waits for no writer: a full disk does not end leases. What the client
    /// tells of its work counts for keysets that it has.
    pub fn renew(&self, request: &Request<Renew>) -> Result<Lease, KeysError> {
        let told = request.body.used.as_ref();
        let keysets = told.map(|used| used.keysets.iter().map(|used| used.keyset).collect::<Vec<_>>());
        let (standing, heads, held) = store::peek(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
            let held = keysets.as_deref().map_or(Ok(Vec::new()), |all| grants::held(tx, permit.client(), all))?;
            Ok((standing(tx, permit.client())?, self.heads(tx)?, held))
        })?;
        if let Some(used) = told {
            self.reported(request.auth.client, used, &held, wall_ms());
        }
        Ok(Lease { standing, heads: heads.into_iter().map(|head| self.sign(head)).collect() })
    }

    /// Stores a definition, signed by an admin or by the asking client. The same again changes nothing; another of the same
    /// id is refused.
    pub fn put_type(&self, request: &Request<PutType>) -> Result<(), KeysError> {
        let signed = &request.body.signed;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
            let claim: TypeClaim = trust
                .check_own(&permit.record().public, signed, || "the type definition".to_owned())
                .map_err(KeysError::presented)?;
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
            match trust.is_admin(signed.signer) {
                true => changes::of_all(tx)?,
                false => changes::of_client(tx, permit.client())?,
            }
            log(tx, &permit, "type.sign", &claim.id.to_string())
        })
    }

    /// The pins of a database.
    pub fn pins(&self, request: &Request<GetPins>) -> Result<Vec<PinnedObject>, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check(tx, &trust, self.gate(), request)?;
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
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
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

/// Where the workspace and a client stand.
pub(super) fn standing(tx: &dyn Tx, client: ClientId) -> Result<Standing, KeysError> {
    let row = workspace::require(tx)?;
    let own = clients::changed(tx, client)?.ok_or_else(|| KeysError::ClientUnknown { client: client.to_string() })?;
    Ok(Standing { revision: row.revision, changed: own.max(row.changed_all) })
}

fn grant_state(tx: &dyn Tx, client: ClientId, keyset: KeysetId) -> Result<Option<GrantState>, KeysError> {
    let Some(found) = grants::find(tx, client, keyset)? else { return Ok(None) };
    let row = keysets::find(tx, keyset)?.ok_or_else(|| tx.corrupt("a grant is of no keyset"))?;
    Ok(Some(GrantState {
        keyset: row.record,
        certificates: keysets::certificates(tx, keyset)?,
        grant: found.grant,
        sealed: grants::sealed(tx, client, keyset)?,
    }))
}

/// The list of a client's keysets, read in two queries however many there are.
fn granted(tx: &dyn Tx, client: ClientId) -> Result<Vec<Granted>, KeysError> {
    let mut all = Vec::new();
    let mut hashers = HashMap::new();
    for row in grants::overview(tx, client)? {
        let mut hasher = Sha256::new();
        hasher.update(row.keyset_signature);
        hasher.update(row.grant_signature);
        hashers.insert(row.keyset, (hasher, all.len()));
        all.push(Granted {
            keyset: row.keyset,
            name: row.name,
            enabled: row.enabled,
            permissions: Grant::listed_permissions(&row.grant_body),
            krefs: Vec::new(),
            stamp: [0; 16],
        });
    }
    for (keyset, kref, signature) in keysets::certificates_of(tx, client)? {
        let Some((hasher, place)) = hashers.get_mut(&keyset) else { continue };
        hasher.update(signature);
        all[*place].krefs.extend(kref);
    }
    for (hasher, place) in hashers.into_values() {
        let granted = &mut all[place];
        granted.stamp.copy_from_slice(&hasher.finalize()[..16]);
    }
    Ok(all)
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
