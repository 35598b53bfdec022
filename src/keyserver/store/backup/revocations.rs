//! What was taken away since a backup: restoring would give it back.

use serde::{Deserialize, Serialize};

use crate::crypto::{ClientId, KeysetId};
use crate::keys::claims::{Claim, ClientRecord, Signed};
use crate::keys::error::KeysError;

use super::super::Tx;
use super::super::tables::audit::{self, AuditRow};
use super::super::tables::{clients, keysets};

/// Entries read at a time.
const PAGE: u32 = 1_000;

/// What was taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Act {
    /// A grant.
    #[serde(rename = "grant.revoke")]
    Revoke,
    /// A part of a grant: it was replaced by one that allows less or ends sooner.
    #[serde(rename = "grant.narrow")]
    NarrowGrant,
    /// The use of a client key after some time.
    #[serde(rename = "client.end")]
    EndClient,
    /// The use of a client key.
    #[serde(rename = "client.disable")]
    DisableClient,
    /// A client with all its grants.
    #[serde(rename = "client.delete")]
    DeleteClient,
    /// The rights of an admin.
    #[serde(rename = "admin.remove")]
    RemoveAdmin,
    /// The use of a keyset.
    #[serde(rename = "keyset.disable")]
    DisableKeyset,
    /// What was encrypted under old epochs of a keyset.
    #[serde(rename = "keyset.drop_epoch")]
    DropEpochs,
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
    /// The present record of the client or keyset, where that says what was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Signed>,
    /// When, milliseconds since 1970.
    pub time_ms: u64,
    /// Its place in the chain of changes.
    pub sequence: u64,
}

impl Revocation {
    /// What an entry of the chain of changes took away; `None`: nothing.
    fn of(tx: &dyn Tx, row: &AuditRow) -> Result<Option<Self>, KeysError> {
        let (detail, time_ms, sequence) = (row.entry.detail.as_str(), row.entry.time_ms, row.sequence);
        let empty = Self { act: Act::Revoke, client: None, keyset: None, record: None, time_ms, sequence };
        let of_grant = |act| {
            let (what, whom) = detail.rsplit_once(" of ").unwrap_or((detail, ""));
            let keyset = named(tx, what.strip_prefix("keyset ").unwrap_or(what))?;
            Ok(Some(Self { act, client: whom.parse().ok(), keyset, ..empty.clone() }))
        };
        let of_client = |act| Ok(Some(Self { act, client: detail.parse().ok(), ..empty.clone() }));
        match row.entry.action.as_str() {
            "grant.revoke" => of_grant(Act::Revoke),
            "grant.narrow" => of_grant(Act::NarrowGrant),
            "client.disable" => of_client(Act::DisableClient),
            "client.delete" => of_client(Act::DeleteClient),
            "admin.remove" => of_client(Act::RemoveAdmin),
            "client.update" | "client.rename" => ended(tx, &empty, detail),
            "keyset.disable" => Ok(Some(Self { act: Act::DisableKeyset, keyset: named(tx, detail)?, ..empty })),
            "keyset.drop_epoch" => {
                let keyset = named(tx, detail.rsplit_once(" of ").map_or("", |(_, keyset)| keyset))?;
                let row = keyset.map(|id| keysets::find(tx, id)).transpose()?.flatten();
                Ok(Some(Self { act: Act::DropEpochs, keyset, record: row.map(|row| row.record), ..empty }))
            }
            _ => Ok(None),
        }
    }
}

/// A change of a client's record, if its key ends now.
fn ended(tx: &dyn Tx, empty: &Revocation, detail: &str) -> Result<Option<Revocation>, KeysError> {
    let id = detail.split(' ').next().and_then(|id| id.parse::<ClientId>().ok());
    let record = id.map(|id| clients::find(tx, id)).transpose()?.flatten().map(|row| row.record);
    let ends = |record: &Signed| ClientRecord::decode(&record.body).is_ok_and(|record| record.expires_ms.is_some());
    let record = record.filter(ends);
    Ok(record.map(|record| Revocation { act: Act::EndClient, client: id, record: Some(record), ..empty.clone() }))
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
