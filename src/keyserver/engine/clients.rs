//! Records of clients: which may be made, which may take another's place.

use crate::crypto::ClientId;
use crate::keys::admin::RotateClient;
use crate::keys::claims::{ClientKind, ClientRecord, KeysetRecord, Signed, Trust};
use crate::keys::error::KeysError;
use crate::keys::request::Request;

use super::super::authorize::Permit;
use super::super::store::tables::{changes, clients};
use super::super::store::{self, Tx};
use super::Engine;
use super::admin::{check_name, revoke};
use super::fetch::log;

impl Engine {
    /// Puts a new key in the place of a client's old one, with its grants.
    pub fn rotate_client(&self, request: &Request<RotateClient>) -> Result<(), KeysError> {
        let body = &request.body;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_change(tx, &trust, self.gate(), request, body.expected)?;
            let old: ClientRecord =
                trust.check(&body.old, || "the old key's record".to_owned()).map_err(KeysError::presented)?;
            let new: ClientRecord =
                trust.check(&body.new, || "the new key's record".to_owned()).map_err(KeysError::presented)?;
            no_admin(&trust, old.id())?;
            let known = clients::find(tx, old.id())?;
            let known = known.ok_or_else(|| KeysError::ClientUnknown { client: old.id().to_string() })?;
            if !known.enabled {
                return Err(KeysError::ClientDisabled { client: old.name });
            }
            if clients::find(tx, new.id())?.is_some() {
                return Err(KeysError::Exists { what: format!("client {}", new.id()) });
            }
            if new.kind != old.kind {
                return Err(KeysError::invalid("the new key must be of the old one's kind"));
            }
            self.put_record(tx, &permit, &body.old)?;
            self.put_record(tx, &permit, &body.new)?;
            for grant in &body.grants {
                self.put_grant(tx, &permit, grant)?;
            }
            if body.revoke {
                revoke(tx, &permit, old.id(), None)?;
            }
            log(tx, &permit, "client.rotate", &format!("{} to {} \"{}\"", old.id(), new.id(), new.name))?;
            changes::by_admin(tx)
        })?;
        self.scrub();
        Ok(())
    }

    /// Stores a record: of a client that there is not yet, or in place of the one that is there.
    pub(super) fn put_record(&self, tx: &dyn Tx, permit: &Permit, signed: &Signed) -> Result<(), KeysError> {
        let trust = permit.trust();
        let record: ClientRecord =
            trust.check(signed, || "the client's record".to_owned()).map_err(KeysError::presented)?;
        let id = record.id();
        check_name(&record.name)?;
        for text in [&record.owner, &record.device].into_iter().filter(|text| !text.is_empty()) {
            check_name(text)?;
        }
        if clients::named(tx, &record.name)?.is_some_and(|other| other != id) {
            return Err(KeysError::Exists { what: format!("client \"{}\"", record.name) });
        }
        if trust.is_admin(id) && record.expires_ms.is_some() {
            return Err(KeysError::invalid(
                "the key of an admin does not expire: take the client out of the admins first",
            ));
        }
        let action = match clients::find(tx, id)? {
            None => "client.create",
            Some(row) => {
                let known: ClientRecord = trust.check(&row.record, || format!("the record of client {id}"))?;
                if (known.kind, known.created_ms) != (record.kind, record.created_ms) {
                    return Err(KeysError::invalid("what kind a key is and when it was made cannot be changed"));
                }
                if known.name == record.name { "client.update" } else { "client.rename" }
            }
        };
        if record.kind == ClientKind::Device && !trust.is_admin(id) {
            self.policy().lets_devices_in()?;
        }
        clients::put(tx, id, &record.name, signed)?;
        changes::of_client(tx, id)?;
        log(tx, permit, action, &format!("{id} \"{}\"", record.name))
    }
}

/// Device keys are for development keysets only.
pub(super) fn for_development(client: &ClientRecord, keyset: &KeysetRecord) -> Result<(), KeysError> {
    if keyset.development {
        return Ok(());
    }
    let (client, keyset) = (&client.name, &keyset.name);
    let why = format!("\"{client}\" is a device key, and keyset \"{keyset}\" is not for development");
    Err(KeysError::Policy { why: why.into() })
}

/// Refuses what must not happen to an admin's key.
pub(super) fn no_admin(trust: &Trust, client: ClientId) -> Result<(), KeysError> {
    match trust.is_admin(client) {
        true => Err(KeysError::invalid("the client is an admin: `columnseal admin remove` takes that away first")),
        false => Ok(()),
    }
}
