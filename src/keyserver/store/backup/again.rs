//! Taking away again what a backup has brought back.
//!
//! A signed record from the file of revocations takes the place of the backup's if an admin of the backup signed it: anything
//! else would be refused by whoever reads it. Where none did, what is taken away is rather more than less. All of it stands in
//! the trail as it would if an admin did it now, so that it is among the revocations of the new store too.

use crate::crypto::root::RootFingerprint;
use crate::crypto::sign::VerifyKey;
use crate::crypto::{ClientId, Epoch, KeysetId};
use crate::keys::claims::{Claim, ClientRecord, Grant, KeysetRecord, Signed, Trust};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;

use super::super::Tx;
use super::super::tables::audit::{self, Entry};
use super::super::tables::{clients, grants, keysets, workspace};
use super::revocations::{Act, Revocation};

/// Applies revocations to a store that was filled from a backup.
pub(super) fn take_away(tx: &dyn Tx, since: &[Revocation]) -> Result<(), KeysError> {
    if since.is_empty() {
        return Ok(());
    }
    let admins = workspace::admins(tx)?;
    let root = VerifyKey::from_bytes(&admins.root).map_err(|_| KeysError::tampered("the admin set"))?;
    let trust = Trust::establish(RootFingerprint::of(&root), &admins)?;
    since.iter().try_for_each(|one| apply(tx, &trust, one))
}

fn apply(tx: &dyn Tx, trust: &Trust, one: &Revocation) -> Result<(), KeysError> {
    let lacks = |what| KeysError::invalid(format!("revocation {} does not say {what}", one.sequence));
    let client = || one.client.ok_or_else(|| lacks("of which client"));
    let keyset = || one.keyset.ok_or_else(|| lacks("of which keyset"));
    match one.act {
        Act::Revoke => revoke(tx, (client()?, one.keyset), one.time_ms),
        // The grant that took its place is lost with its shares: what is left to give is nothing.
        Act::NarrowGrant => revoke(tx, (client()?, Some(keyset()?)), one.time_ms),
        Act::DisableClient | Act::RemoveAdmin => disable(tx, client()?),
        Act::DeleteClient => {
            revoke(tx, (client()?, None), one.time_ms)?;
            if !grants::of_client(tx, client()?)?.is_empty() {
                return Ok(());
            }
            grants::forget_revocations(tx, client()?)?;
            clients::delete(tx, client()?)?;
            told(tx, "client.delete", &client()?.to_string())
        }
        Act::EndClient => end_client(tx, trust, client()?, one.record.as_ref()),
        Act::DisableKeyset => {
            keysets::enable(tx, keyset()?, false)?;
            told(tx, "keyset.disable", &keyset()?.to_string())
        }
        Act::DropEpochs => {
            let record = one.record.as_ref().ok_or_else(|| lacks("which epochs"))?;
            drop_epochs(tx, trust, keyset()?, record)
        }
    }
}

/// Takes grants away. A client from whose grant alone a keyset can be granted is disabled instead: whoever could grant it since is
/// not in the backup, and nobody could ever again.
fn revoke(tx: &dyn Tx, (client, keyset): (ClientId, Option<KeysetId>), time_ms: u64) -> Result<(), KeysError> {
    let held = grants::of_client(tx, client)?;
    for row in held.iter().filter(|row| keyset.is_none_or(|keyset| keyset == row.keyset)) {
        let others = grants::of_keyset(tx, row.keyset)?;
        if grants_on(row) && !others.iter().any(|other| other.client != client && grants_on(other)) {
            disable(tx, client)?;
            continue;
        }
        grants::delete(tx, client, row.keyset)?;
        grants::insert_revocation(tx, client, row.keyset, time_ms)?;
        told(tx, "grant.revoke", &format!("keyset {} of {client}", row.keyset))?;
    }
    Ok(())
}

fn grants_on(row: &grants::GrantRow) -> bool {
    Grant::listed_permissions(&row.grant.body).allows(Permissions::GRANT)
}

/// Gives a client key the end it was given since; where that cannot be, its end is now.
fn end_client(tx: &dyn Tx, trust: &Trust, id: ClientId, signed: Option<&Signed>) -> Result<(), KeysError> {
    let Some(row) = clients::find(tx, id)? else { return Ok(()) };
    let end = |record: &ClientRecord| record.expires_ms.unwrap_or(u64::MAX);
    let known = ClientRecord::decode(&row.record.body).map_err(|_| tx.corrupt("a client's record"))?;
    let new = signed.and_then(|signed| Some((signed, vouched::<ClientRecord>(trust, signed)?)));
    // Keys of admins have no end.
    let Some((signed, record)) = new.filter(|(_, record)| record.id() == id && !trust.is_admin(id)) else {
        return disable(tx, id);
    };
    if end(&record) >= end(&known) {
        return Ok(());
    }
    match clients::named(tx, &record.name)? {
        Some(other) if other != id => disable(tx, id),
        _ => {
            clients::put(tx, id, &record.name, signed)?;
            told(tx, "client.update", &id.to_string())
        }
    }
}

/// Shreds epochs that were dropped since. Where the backup's newest is among them, the keyset has no epoch for new values until
/// it is rotated: what was encrypted after the backup is lost in any case.
fn drop_epochs(tx: &dyn Tx, trust: &Trust, id: KeysetId, signed: &Signed) -> Result<(), KeysError> {
    let Some(row) = keysets::find(tx, id)? else { return Ok(()) };
    let known = KeysetRecord::decode(&row.record.body).map_err(|_| tx.corrupt("a keyset's record"))?.epochs;
    let malformed = || KeysError::invalid(format!("a revocation of keyset {id} has no record of it"));
    let record = KeysetRecord::decode(&signed.body).ok().filter(|record| record.id == id).ok_or_else(malformed)?;
    let (oldest, current) = (record.epochs.oldest, record.epochs.current);
    if oldest <= known.oldest {
        return Ok(());
    }
    grants::delete_shares_before(tx, id, oldest)?;
    told(tx, "keyset.drop_epoch", &format!("epochs before {} of {id}", oldest.0))?;
    let free = keysets::named(tx, &record.name)?.is_none_or(|other| other.id == id);
    if free && vouched::<KeysetRecord>(trust, signed).is_some() {
        if keysets::next_epoch(tx, id)? <= current {
            keysets::use_epoch(tx, id, current)?;
        }
        return keysets::put(tx, id, &record.name, signed);
    }
    // Epochs without a certificate were never there, but the one for new values cannot be missing.
    for epoch in (known.oldest.0..oldest.0).map(Epoch).filter(|epoch| *epoch != known.current) {
        keysets::delete_certificate(tx, id, epoch)?;
    }
    Ok(())
}

fn disable(tx: &dyn Tx, client: ClientId) -> Result<(), KeysError> {
    clients::enable(tx, client, false)?;
    told(tx, "client.disable", &client.to_string())
}

fn told(tx: &dyn Tx, action: &str, detail: &str) -> Result<(), KeysError> {
    audit::append(tx, Entry::new(wall_ms(), ClientId([0; 16]), action, detail)).map(drop)
}

/// The claim, if an admin of the backup signed it.
fn vouched<C: Claim>(trust: &Trust, signed: &Signed) -> Option<C> {
    trust.check(signed, || "a record".to_owned()).ok()
}
