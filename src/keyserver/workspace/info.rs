//! What the command line shows of a workspace: plain values, no secrets but the one that is shown once.

use std::path::PathBuf;

use serde::Serialize;

/// A client, as lists show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClientInfo {
    /// Client id, a uuid.
    pub id: String,
    /// Name, unique in the workspace.
    pub name: String,
    /// `device` or `application`.
    pub kind: &'static str,
    /// `active`, `disabled` or `expired`.
    pub status: &'static str,
    /// Named in the workspace's admin set.
    pub admin: bool,
    /// Whose it is, where that was said.
    pub owner: Option<String>,
    /// The device it was made on, where that was said.
    pub device: Option<String>,
    /// RFC 3339, UTC.
    pub created: String,
    /// RFC 3339, UTC; `None`: does not expire.
    pub expires: Option<String>,
    /// When it last asked for something; `None`: not yet.
    pub seen: Option<SeenInfo>,
    /// Its live grants.
    pub grants: Vec<GrantInfo>,
}

/// When a client last asked for something, give or take half a minute.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SeenInfo {
    /// RFC 3339, UTC.
    pub time: String,
    /// Network address; `None`: the same machine.
    pub address: Option<String>,
    /// Version of its program, as it says.
    pub version: Option<String>,
}

/// A grant, as lists show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct GrantInfo {
    /// Client id.
    pub client: String,
    /// Keyset id.
    pub keyset: String,
    /// Keyset name.
    pub keyset_name: String,
    /// Of `encrypt`, `decrypt`, `query`, `grant`.
    pub permissions: Vec<&'static str>,
    /// RFC 3339, UTC; `None`: does not expire.
    pub expires: Option<String>,
}

/// A keyset, as lists show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct KeysetInfo {
    /// Keyset id, a uuid.
    pub id: String,
    /// Name, unique in the workspace.
    pub name: String,
    /// For development: device keys may have it.
    pub development: bool,
    /// `active` or `disabled`.
    pub status: &'static str,
    /// The number in envelopes sealed under its current data epoch.
    pub kref: u32,
    /// Current data epoch.
    pub data_epoch: u32,
    /// Oldest data epoch that was not dropped.
    pub oldest_epoch: u32,
    /// A newer data epoch is published and not in use yet.
    pub rotating: bool,
    /// Current index epoch.
    pub index_epoch: u32,
    /// RFC 3339, UTC.
    pub created: String,
    /// Clients with a live grant.
    pub clients: u64,
}

/// A signed type definition, as lists show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TypeInfo {
    /// Type id, a uuid.
    pub id: String,
    /// Canonical definition.
    pub definition: String,
    /// Id of the client that signed it.
    pub signer: String,
    /// Signed by an admin: then it counts for every client, otherwise for its signer.
    pub admin: bool,
}

/// A pin, as lists show it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PinInfo {
    /// Configured database name.
    pub database: String,
    /// `column public.users.email` and the like.
    pub object: String,
    /// Encrypted type id.
    pub type_id: String,
}

/// One line of the audit trail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AuditInfo {
    /// Id of its chain.
    pub chain: String,
    /// Place in the chain, from 1.
    pub sequence: u64,
    /// RFC 3339, UTC.
    pub time: String,
    /// Id of the acting client.
    pub client: String,
    /// What was done: `keys.decrypt`, `grant.revoke`, ….
    pub action: String,
    /// On what.
    pub detail: String,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// Where the request came from; `None`: from the same process.
    pub address: Option<String>,
    /// Version of the client's program, as it said.
    pub version: Option<String>,
    /// SHA-256 of this entry and the one before, hex.
    pub hash: String,
}

/// What `init` did or found. Running it again reports `created: false` everywhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InitReport {
    /// The workspace was made just now.
    pub created: bool,
    /// Fingerprint of the workspace root.
    pub root: String,
    /// The recovery kit, where it was written just now.
    pub recovery_file: Option<PathBuf>,
    /// Device client id.
    pub device: String,
    /// Device key file.
    pub device_file: PathBuf,
    /// The device key was made just now.
    pub device_created: bool,
    /// The store's path, or the key server's address.
    pub store: String,
    /// Keyset `default` was made just now.
    pub keyset_created: bool,
}

/// The public state of a workspace, for back-ups of what was decided and for review. Holds no share and no key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Export {
    /// Fingerprint of the workspace root.
    pub root: String,
    /// Grows with every restore.
    pub generation: u64,
    /// Grows with every change.
    pub revision: u64,
    /// All clients with their grants.
    pub clients: Vec<ClientInfo>,
    /// All keysets.
    pub keysets: Vec<KeysetInfo>,
    /// All signed type definitions.
    pub types: Vec<TypeInfo>,
    /// All pins.
    pub pins: Vec<PinInfo>,
}
