//! What was taken away since a backup: restoring would give it back.

use serde::{Deserialize, Serialize};

use crate::crypto::{ClientId, KeysetId};
use crate::keys::error::KeysError;

use super::super::Tx;
use super::super::tables::audit::{self, AuditRow};
use super::super::tables::{clients, grants, keysets};

/// Entries read at a time.
const PAGE: u32 = 1_000;

/// What was taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Act {
    /// A grant.
    #[serde(rename = "grant.revoke")]
    Revoke,
    /// The use of a client key.
    #[serde(rename = "client.disable")]
    DisableClient,
    /// A client with all its grants.
    #[serde(rename = "client.delete")]
    DeleteClient,
    /// The use of a keyset.
    #[serde(rename = "keyset.disable")]
    DisableKeyset,
}

/// One act, a line of JSON in a file of revocations.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// What was done.
    pub act: Act,
    /// To which client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// Of which keyset; none: of every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyset: Option<KeysetId>,
    /// When, milliseconds since 1970.
    pub time_ms: u64,
    /// Its place in the chain of changes.
    pub sequence: u64,
}

impl Revocation {
    /// What an entry of the chain of changes took away; `None`: nothing.
    fn of(tx: &dyn Tx, row: &AuditRow) -> Result<Option<Self>, KeysError> {
        let (detail, mut client, mut keyset) = (row.entry.detail.as_str(), None, None);
        let act = match row.entry.action.as_str() {
            "grant.revoke" => {
                let (what, whom) = detail.rsplit_once(" of ").unwrap_or((detail, ""));
                client = whom.parse().ok();
                keyset = named(tx, what.strip_prefix("keyset ").unwrap_or(what))?;
                Act::Revoke
            }
            "client.disable" => Act::DisableClient,
            "client.delete" => Act::DeleteClient,
            "keyset.disable" => {
                keyset = named(tx, detail)?;
                Act::DisableKeyset
            }
            _ => return Ok(None),
        };
        if matches!(act, Act::DisableClient | Act::DeleteClient) {
            client = detail.parse().ok();
        }
        let (time_ms, sequence) = (row.entry.time_ms, row.sequence);
        Ok(Some(Self { act, client, keyset, time_ms, sequence }))
    }

    /// Takes away again what a backup has brought back.
    pub(super) fn apply(&self, tx: &dyn Tx) -> Result<(), KeysError> {
        match (self.act, self.client, self.keyset) {
            (Act::Revoke, Some(client), keyset) => self.revoke(tx, client, keyset),
            (Act::DisableClient, Some(client), _) => clients::enable(tx, client, false),
            (Act::DeleteClient, Some(client), _) => {
                self.revoke(tx, client, None)?;
                grants::forget_revocations(tx, client)?;
                clients::delete(tx, client)
            }
            (Act::DisableKeyset, _, Some(keyset)) => keysets::enable(tx, keyset, false),
            _ => Err(KeysError::invalid(format!("revocation {} names neither client nor keyset", self.sequence))),
        }
    }

    fn revoke(&self, tx: &dyn Tx, client: ClientId, keyset: Option<KeysetId>) -> Result<(), KeysError> {
        let held = grants::of_client(tx, client)?.into_iter().map(|grant| grant.keyset);
        for taken in held.filter(|held| keyset.is_none_or(|keyset| keyset == *held)) {
            grants::delete(tx, client, taken)?;
            grants::insert_revocation(tx, client, taken, self.time_ms)?;
        }
        Ok(())
    }
}

/// A keyset written as `ID "name"`, or before there were ids in the trail by its name alone.
fn named(tx: &dyn Tx, text: &str) -> Result<Option<KeysetId>, KeysError> {
    if let Some(id) = text.split(' ').next().and_then(|id| id.parse().ok()) {
        return Ok(Some(id));
    }
    let name = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    Ok(keysets::named(tx, name)?.map(|row| row.id))
}

/// What was taken away after that place of the chain of changes.
pub fn since(tx: &dyn Tx, after: u64) -> Result<Vec<Revocation>, KeysError> {
    let (main, mut seen, mut found) = (audit::main(tx)?, after, Vec::new());
    loop {
        let page = audit::page(tx, main, seen, PAGE)?;
        let Some(last) = page.last() else { return Ok(found) };
        seen = last.sequence;
        for row in &page {
            found.extend(Revocation::of(tx, row)?);
        }
    }
}
