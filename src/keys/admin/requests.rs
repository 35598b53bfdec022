//! What an admin asks of the key service.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::json::{Base64, b64};
use crate::crypto::split::PublicShare;
use crate::crypto::{ClientId, Epoch, KeysetId, Kref, TypeId};

use super::super::audit::{AuditHead, ReplicaId, SignedHead};
use super::super::claims::{RootSigned, Signed};
use super::super::service::{Evaluated, PinnedObject, Revision, SealedShare, body};

/// Asks the service for its half of a new keyset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferKeyset {
    /// The name it will have.
    pub name: String,
}

/// The service's half of a new keyset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Id of the keyset.
    pub keyset: KeysetId,
    /// The number in envelopes of its first data epoch.
    pub kref: Kref,
    /// s_A·B of the data key.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub data: PublicShare,
    /// s_A·B of the index key.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub index: PublicShare,
}

/// Asks for one proved answer of each split key of an offered keyset, before it is published.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestKeyset {
    /// The offered keyset.
    pub keyset: KeysetId,
}

/// Proved answers of an offered keyset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Of the data key.
    pub data: Evaluated,
    /// Of the index key.
    pub index: Evaluated,
}

/// Publishes an offered keyset with the admin's own grant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishKeyset {
    /// Its record.
    pub record: Signed,
    /// One certificate per split key.
    pub certificates: Vec<Signed>,
    /// The admin's grant.
    pub grant: Signed,
    /// The admin's shares, sealed to itself.
    pub sealed: Vec<SealedShare>,
}

/// Asks for the service's half of a keyset's next data epoch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferEpoch {
    /// The keyset.
    pub keyset: KeysetId,
}

/// The service's half of a keyset's next data epoch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EpochOffer {
    /// The epoch.
    pub epoch: Epoch,
    /// The number in its envelopes.
    pub kref: Kref,
    /// s_A·B.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub public: PublicShare,
}

/// Asks for a proved answer of an offered epoch, before it is published.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestEpoch {
    /// The keyset.
    pub keyset: KeysetId,
}

/// Publishes an offered epoch: the admin holds it, nobody else yet, and new values go on to use the one before.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishEpoch {
    /// The workspace as the admin saw it.
    pub expected: Revision,
    /// The epoch's certificate.
    pub certificate: Signed,
    /// The admin's grant: all shares of its present one, and one of the new epoch.
    pub grant: Signed,
    /// The admin's share of the new epoch, sealed to itself.
    pub sealed: SealedShare,
}

/// Makes or replaces the record of a client, and gives grants, all or nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutClient {
    /// The workspace as the admin saw it.
    pub expected: Revision,
    /// The client's record; `None`: it stays as it is.
    pub record: Option<Signed>,
    /// Grants.
    pub grants: Vec<NewGrant>,
}

/// A grant as an admin hands it to the service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// The grant.
    pub grant: Signed,
    /// The client's shares, sealed to it.
    pub sealed: Vec<SealedShare>,
    /// δ of each share, sealed to the service.
    pub deltas: Vec<SealedShare>,
}

/// Any other act of an admin.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The workspace as the admin saw it.
    pub expected: Revision,
    /// What to do.
    pub act: Act,
}

/// What an admin can do beside making keysets and grants.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Takes one grant away, or all.
    Revoke {
        /// From whom.
        client: ClientId,
        /// `None`: all.
        keyset: Option<KeysetId>,
    },
    /// The reversible switch of a client.
    EnableClient {
        /// Which.
        client: ClientId,
        /// On or off.
        enabled: bool,
    },
    /// Removes a client and its grants.
    DeleteClient {
        /// Which.
        client: ClientId,
    },
    /// The reversible switch of a keyset.
    EnableKeyset {
        /// Which.
        keyset: KeysetId,
        /// On or off.
        enabled: bool,
    },
    /// Replaces a keyset's record: another name, another epoch for new values, epochs that are dropped.
    PutKeyset {
        /// The new record.
        record: Signed,
    },
    /// Forgets a data epoch that was published and is not in use.
    AbandonEpoch {
        /// Of which keyset.
        keyset: KeysetId,
        /// The epoch.
        epoch: Epoch,
    },
    /// Pins an object that is pinned to another type: what its database says now is meant.
    ConfirmPin {
        /// The database's configured name.
        database: String,
        /// The object.
        object: String,
        /// The type it has now.
        type_id: TypeId,
    },
    /// Removes a pin.
    RemovePin {
        /// The database's configured name.
        database: String,
        /// The object.
        object: String,
    },
}

/// Lets a restored store serve again. The answer: it was sealed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unseal {}

/// Asks for everything an admin may see.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetInventory {}

/// The workspace. Signed things are given as they are, for the admin's side to check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// How new this is.
    pub revision: Revision,
    /// Who the admins are.
    pub admins: RootSigned,
    /// The key service's record: what admins seal to.
    pub service: RootSigned,
    /// Clients, by name.
    pub clients: Vec<ClientEntry>,
    /// Keysets, by name.
    pub keysets: Vec<KeysetEntry>,
    /// All grants: client, keyset, grant.
    pub grants: Vec<(ClientId, KeysetId, Signed)>,
    /// Type definitions, each signed by an admin or by the client it counts for.
    pub types: Vec<Signed>,
    /// Pins with their databases.
    pub pins: Vec<(String, PinnedObject)>,
}

/// A client.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// Id.
    pub id: ClientId,
    /// The switch.
    pub enabled: bool,
    /// Its record.
    pub record: Signed,
    /// When it last asked for something.
    pub seen: Option<Seen>,
}

/// When a client last asked for something, and from where. Only what the service says: nothing is signed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// Network address; `None`: the same machine.
    pub address: Option<String>,
    /// Version of its program, as it says.
    pub version: Option<String>,
}

/// A keyset.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysetEntry {
    /// Id.
    pub id: KeysetId,
    /// The switch.
    pub enabled: bool,
    /// Its record.
    pub record: Signed,
    /// Certificates of every epoch.
    pub certificates: Vec<Signed>,
    /// The asking admin's sealed shares.
    pub sealed: Vec<SealedShare>,
}

/// Asks for the end of the audit trail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetAudit {
    /// How many entries at most.
    pub limit: u32,
}

/// One entry of the audit trail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its chain.
    pub replica: ReplicaId,
    /// Place in the chain, from 1.
    pub sequence: u64,
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// The acting client.
    pub client: ClientId,
    /// What was done.
    pub action: String,
    /// On what.
    pub detail: String,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// Where the request came from, as the service saw it.
    pub address: Option<String>,
    /// Version of the client's program, as it said.
    pub version: Option<String>,
    /// Over all of it and the hash before.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub hash: [u8; 32],
    /// How it was hashed.
    pub format: u64,
}

/// Asks for the chains of the audit trail.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetAuditChains {}

/// A chain of the audit trail. Whoever asks checks it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditChain {
    /// The chain.
    pub replica: ReplicaId,
    /// Where it ends; `None`: there are entries of it, but it was never opened.
    pub head: Option<AuditHead>,
    /// The newest head that the service signed and kept.
    pub signed: Option<SignedHead>,
}

/// Most entries of one [`GetAuditPage`].
pub const MAX_AUDIT_PAGE: u32 = 1_000;

/// Asks for entries of one chain, in their order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetAuditPage {
    /// The chain.
    pub replica: ReplicaId,
    /// Entries after this one; 0: from the first.
    pub after: u64,
    /// How many at most, and at most [`MAX_AUDIT_PAGE`].
    pub limit: u32,
}

body!(GetAudit -> Vec<AuditEntry>, "/v1/audit", false);
body!(GetAuditChains -> Vec<AuditChain>, "/v1/audit/chains", false);
body!(GetAuditPage -> Vec<AuditEntry>, "/v1/audit/page", false);
body!(OfferKeyset -> Offer, "/v1/keysets/offer", true);
body!(TestKeyset -> Answers, "/v1/keysets/test", false);
body!(PublishKeyset -> (), "/v1/keysets/publish", true);
body!(OfferEpoch -> EpochOffer, "/v1/epochs/offer", true);
body!(TestEpoch -> Evaluated, "/v1/epochs/test", false);
body!(PublishEpoch -> (), "/v1/epochs/publish", true);
body!(PutClient -> (), "/v1/clients/put", true);
body!(Change -> Vec<KeysetId>, "/v1/act", true);
body!(Unseal -> bool, "/v1/unseal", true);
body!(GetInventory -> Inventory, "/v1/inventory", false);
