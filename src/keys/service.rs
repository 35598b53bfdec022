//! What a client may ask of a key service, and what it answers. The embedded engine and a key server answer alike.
//! Answers are data from another party: whoever asks checks signatures, proofs and key ids.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::client_key::ClientKey;
use crate::crypto::json::{Base64, Bytes, b64, b64_list};
use crate::crypto::split::{Answer, Proof};
use crate::crypto::{ClientId, Epoch, KeyId, KeysetId, Kref, TypeId};

use super::admin::Hello;
use super::audit::SignedHead;
use super::claims::{RootSigned, Signed, Split};
use super::codec::Malformed;
use super::error::KeysError;
use super::permissions::Permissions;
use super::request::{Body, Call, ServiceId};
use super::usage::Used;

/// Most keys, types or keysets of one request.
pub const MAX_KEYS: usize = 256;
/// Longest object or database name of a pin, in bytes.
pub const MAX_PIN: usize = 1024;
/// Most pins of one request.
pub const MAX_PINS: usize = 10_000;

/// A future that a key service returns.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeysError>> + Send + 'a>>;

/// A key service. For the slow path only: every call may take a round trip.
pub trait KeyService: Send + Sync {
    /// Which service this is: goes into every request.
    fn id(&self) -> ServiceId;
    /// Answers a request, in JSON.
    fn call(&self, call: Call) -> Reply<'_, Vec<u8>>;
    /// Waits until a client's standing is another than `seen`, and tells it. Cancel safe.
    fn next_standing(&self, client: ClientId, seen: Standing) -> Reply<'_, Standing>;
}

/// Asks a service as the client of `key`.
pub async fn ask<B: Body>(service: &dyn KeyService, key: &ClientKey, body: &B) -> Result<B::Answer, KeysError> {
    let answer = service.call(Call::sign(service.id(), key, body)?).await?;
    read_answer::<B>(&answer)
}

/// Reads the answer to a request.
pub fn read_answer<B: Body>(answer: &[u8]) -> Result<B::Answer, KeysError> {
    serde_json::from_slice(answer).map_err(|_| KeysError::bad_answer("it is malformed"))
}

/// How new a state is: generations grow with every restore, revisions with every change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// Restores.
    pub generation: u64,
    /// Changes.
    pub revision: u64,
}

/// `GENERATION.REVISION`, as settings and files have it.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation, self.revision)
    }
}

impl FromStr for Revision {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (generation, revision) = text.split_once('.').ok_or(Malformed)?;
        let number = |text: &str| text.parse().map_err(|_| Malformed);
        Ok(Self { generation: number(generation)?, revision: number(revision)? })
    }
}

/// Where the workspace and one client of it stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Of the workspace.
    pub revision: Revision,
    /// The revision with which something last changed that concerns the client.
    pub changed: u64,
}

/// Asks for the [`State`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetState {}

/// What a lease rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Where the workspace and the client stand.
    pub standing: Standing,
    /// Where the chains of the audit trail stand that the answering server writes. For the client's log: a trail that is
    /// rewritten later does not hold them.
    pub heads: Vec<SignedHead>,
}

/// Asks for the [`Lease`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// What the client did since it told last. A service that does not know of it refuses the request as malformed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
}

/// Everything that concerns one client, but the grants themselves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// How new this is.
    pub standing: Standing,
    /// Who the admins are.
    pub admins: RootSigned,
    /// The client's record.
    pub record: Signed,
    /// Keysets it was granted.
    pub granted: Vec<Granted>,
    /// Keysets whose grant was taken from it.
    pub revoked: Vec<RevokedKeyset>,
    /// Type definitions signed by admins and by the client itself.
    pub types: Vec<Signed>,
}

/// A granted keyset as a list shows it. Nothing of it holds before the grant itself was read and checked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// Id.
    pub keyset: KeysetId,
    /// Name.
    pub name: String,
    /// The switch.
    pub enabled: bool,
    /// What the grant allows.
    pub permissions: Permissions,
    /// The numbers in envelopes, of all data epochs.
    pub krefs: Vec<Kref>,
    /// Changes with whatever the grant rests on.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<16>")]
    pub stamp: [u8; 16],
}

/// Asks for grants and what belongs to them; keysets that are not granted are left out of the answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetGrants {
    /// Of which keysets, 1 to [`MAX_KEYS`].
    pub keysets: Vec<KeysetId>,
}

/// A grant and what belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantState {
    /// The keyset's record.
    pub keyset: Signed,
    /// Certificates of every live epoch.
    pub certificates: Vec<Signed>,
    /// The grant.
    pub grant: Signed,
    /// The client's sealed shares.
    pub sealed: Vec<SealedShare>,
}

/// A share sealed to a client: `c 32 || m 32`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedShare {
    /// Of which split key.
    pub split: Split,
    /// Of which epoch.
    pub epoch: Epoch,
    /// HPKE.
    #[serde(with = "b64")]
    #[schemars(with = "Bytes")]
    pub sealed: Vec<u8>,
}

/// A keyset that the client once had.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokedKeyset {
    /// Id.
    pub keyset: KeysetId,
    /// Name.
    pub name: String,
    /// The numbers in envelopes.
    pub krefs: Vec<Kref>,
}

/// Asks for new data keys.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncryptKeys {
    /// Of which keyset.
    pub keyset: KeysetId,
    /// Digest of the grant whose shares the client holds.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub grant: [u8; 32],
    /// Of which data epoch.
    pub epoch: Epoch,
    /// Half of what the ids are made of.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<16>")]
    pub nonce: [u8; 16],
    /// How many, 1 to [`MAX_KEYS`].
    pub count: u32,
}

/// New data keys: answers for `key_id(nonce, server_nonce, 0..count)`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeys {
    /// The other half of what the ids are made of.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<16>")]
    pub server_nonce: [u8; 16],
    /// Answers, proved.
    pub evaluated: Evaluated,
}

/// Answers in the order asked.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluated {
    /// S of each tag.
    #[serde(with = "b64_list")]
    #[schemars(with = "Vec<Base64<32>>")]
    pub answers: Vec<Answer>,
    /// Where asked for.
    pub proof: Option<Proof>,
}

/// Asks for data keys by id.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecryptKeys {
    /// By epoch. At most [`MAX_KEYS`] ids in all.
    pub groups: Vec<DecryptGroup>,
    /// With a proof each.
    pub proved: bool,
}

/// Ids of one data epoch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecryptGroup {
    /// The epoch.
    pub kref: Kref,
    /// Digest of the grant whose shares the client holds.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub grant: [u8; 32],
    /// The ids.
    pub ids: Vec<KeyId>,
}

/// What came of one group.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecryptedGroup {
    /// Answers in the order of the ids.
    Keys(Evaluated),
    /// The epoch is refused.
    Refused(KeysError),
}

impl DecryptedGroup {
    /// As a result.
    pub fn result(self) -> Result<Evaluated, KeysError> {
        match self {
            Self::Keys(keys) => Ok(keys),
            Self::Refused(error) => Err(error),
        }
    }
}

impl From<Result<Evaluated, KeysError>> for DecryptedGroup {
    fn from(result: Result<Evaluated, KeysError>) -> Self {
        match result {
            Ok(keys) => Self::Keys(keys),
            Err(error) => Self::Refused(error.abroad()),
        }
    }
}

/// Asks for term roots.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TermRoots {
    /// Of which keyset.
    pub keyset: KeysetId,
    /// Digest of the grant whose shares the client holds.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub grant: [u8; 32],
    /// Of which index epoch.
    pub epoch: Epoch,
    /// Of which types, 1 to [`MAX_KEYS`].
    pub types: Vec<TypeId>,
}

/// Stores a signed type definition.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutType {
    /// Signed by an admin or by the asking client.
    pub signed: Signed,
}

/// A database object that was seen with an encrypted type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PinnedObject {
    /// `column public.users.email` and the like.
    pub object: String,
    /// The type.
    pub type_id: TypeId,
}

/// Asks for the pins of a database.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPins {
    /// Its configured name.
    pub database: String,
}

/// Adds pins.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddPins {
    /// The database's configured name.
    pub database: String,
    /// The pins, at most [`MAX_PINS`].
    pub pins: Vec<PinnedObject>,
}

/// Implements [`Body`]: what answers it, where it goes, whether it changes something.
macro_rules! body {
    ($name:ident -> $answer:ty, $path:literal, $changes:literal) => {
        impl $crate::keys::request::Body for $name {
            type Answer = $answer;
            const PATH: &'static str = $path;
            const CHANGES: bool = $changes;
        }
    };
}

pub(super) use body;

body!(GetState -> State, "/v1/state", false);
body!(Renew -> Lease, "/v1/lease", false);
body!(GetGrants -> Vec<GrantState>, "/v1/grants", false);
body!(EncryptKeys -> NewKeys, "/v1/keys/encrypt", false);
body!(DecryptKeys -> Vec<DecryptedGroup>, "/v1/keys/decrypt", false);
body!(TermRoots -> Evaluated, "/v1/terms", false);
body!(PutType -> (), "/v1/types/put", true);
body!(GetPins -> Vec<PinnedObject>, "/v1/pins", false);
body!(AddPins -> (), "/v1/pins/add", true);

/// Opens the stream of [`Event`](super::signed::Event)s.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {}

impl super::request::Body for Watch {
    type Answer = Standing;
    const METHOD: &'static str = "GET";
    const PATH: &'static str = "/v1/events";
    const CHANGES: bool = false;
}

/// Which key service answers here, for anybody to ask.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServiceInfo {
    /// Version of the requests and answers.
    pub api: u32,
    /// Version of the program.
    pub version: String,
    /// The service's record, signed by the workspace root.
    pub record: RootSigned,
    /// What everybody may know of the workspace.
    pub hello: Hello,
}

/// Version of the requests and answers.
pub const API: u32 = 1;
/// Where [`ServiceInfo`] is.
pub const SERVICE_PATH: &str = "/v1/service";
