//! What a client may ask of a key service, and what it answers. The embedded engine and a key server answer alike.
//! Answers are data from another party: whoever asks checks signatures, proofs and key ids.

use std::future::Future;
use std::pin::Pin;

use crate::crypto::split::{Answer, Proof};
use crate::crypto::{Epoch, KeyId, KeysetId, Kref, TypeId};

use super::claims::{RootSigned, Signed, Split};
use super::codec::Writer;
use super::error::KeysError;
use super::request::{Body, Request, ServiceId};

/// Most keys or types of one request.
pub const MAX_KEYS: usize = 256;
/// Longest object or database name of a pin, in bytes.
pub const MAX_PIN: usize = 1024;
/// Most pins of one request.
pub const MAX_PINS: usize = 10_000;

/// Why a fetch with the shares of a replaced grant is refused: the client reads its state again and retries.
pub const GRANT_CHANGED: &str = "the grant was replaced";

/// A future that a key service returns.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeysError>> + Send + 'a>>;

/// A key service. For the slow path only: every call may take a round trip.
pub trait KeyService: Send + Sync {
    /// Which service this is: goes into every request.
    fn id(&self) -> ServiceId;
    /// The client's record, grants and sealed shares, and what they rest on.
    fn state(&self, request: Request<GetState>) -> Reply<'_, State>;
    /// The present revision, for the lease.
    fn renew(&self, request: Request<Renew>) -> Reply<'_, Revision>;
    /// Waits until the service's revision is another than `seen`, and tells it. Cancel safe.
    fn next_revision(&self, seen: Revision) -> Reply<'_, Revision>;
    /// Keys to encrypt with: new ids, proved.
    fn encrypt_keys(&self, request: Request<EncryptKeys>) -> Reply<'_, NewKeys>;
    /// Keys of given ids, of one or several epochs; one result for each.
    fn decrypt_keys(&self, request: Request<DecryptKeys>) -> Reply<'_, Vec<Result<Evaluated, KeysError>>>;
    /// Term roots, proved.
    fn term_roots(&self, request: Request<TermRoots>) -> Reply<'_, Evaluated>;
    /// Stores a signed type definition.
    fn put_type(&self, request: Request<PutType>) -> Reply<'_, ()>;
    /// The pins of a database.
    fn pins(&self, request: Request<GetPins>) -> Reply<'_, Vec<PinnedObject>>;
    /// Adds pins. One that contradicts an existing pin refuses all.
    fn add_pins(&self, request: Request<AddPins>) -> Reply<'_, ()>;
}

/// How new a state is: generations grow with every restore, revisions with every change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Revision {
    /// Restores.
    pub generation: u64,
    /// Changes.
    pub revision: u64,
}

/// Asks for [`State`].
#[derive(Clone, Debug)]
pub struct GetState;

/// Asks for the [`Revision`].
#[derive(Clone, Debug)]
pub struct Renew;

/// Everything that concerns one client.
#[derive(Clone, Debug)]
pub struct State {
    /// How new this is.
    pub revision: Revision,
    /// Who the admins are.
    pub admins: RootSigned,
    /// The client's record.
    pub record: Signed,
    /// Its grants.
    pub grants: Vec<GrantState>,
    /// Keysets whose grant was taken from it.
    pub revoked: Vec<RevokedKeyset>,
    /// Type definitions signed by admins and by the client itself.
    pub types: Vec<Signed>,
}

/// A grant and what belongs to it.
#[derive(Clone, Debug)]
pub struct GrantState {
    /// The keyset's record.
    pub keyset: Signed,
    /// The keyset is enabled.
    pub enabled: bool,
    /// Certificates of every live epoch.
    pub certificates: Vec<Signed>,
    /// The grant.
    pub grant: Signed,
    /// The client's sealed shares.
    pub sealed: Vec<SealedShare>,
}

/// A share sealed to a client: `c 32 || m 32`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedShare {
    /// Of which split key.
    pub split: Split,
    /// Of which epoch.
    pub epoch: Epoch,
    /// HPKE.
    pub sealed: Vec<u8>,
}

/// A keyset that the client once had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevokedKeyset {
    /// Id.
    pub keyset: KeysetId,
    /// Name.
    pub name: String,
    /// The numbers in envelopes.
    pub krefs: Vec<Kref>,
}

/// Asks for new data keys.
#[derive(Clone, Debug)]
pub struct EncryptKeys {
    /// Of which keyset.
    pub keyset: KeysetId,
    /// Digest of the grant whose shares the client holds.
    pub grant: [u8; 32],
    /// Of which data epoch.
    pub epoch: Epoch,
    /// Half of what the ids are made of.
    pub nonce: [u8; 16],
    /// How many, 1 to [`MAX_KEYS`].
    pub count: u32,
}

/// New data keys: answers for `key_id(nonce, server_nonce, 0..count)`.
#[derive(Clone, Debug)]
pub struct NewKeys {
    /// The other half of what the ids are made of.
    pub server_nonce: [u8; 16],
    /// Answers, proved.
    pub evaluated: Evaluated,
}

/// Answers in the order asked.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// S of each tag.
    pub answers: Vec<Answer>,
    /// Where asked for.
    pub proof: Option<Proof>,
}

/// Asks for data keys by id.
#[derive(Clone, Debug)]
pub struct DecryptKeys {
    /// By epoch. At most [`MAX_KEYS`] ids in all.
    pub groups: Vec<DecryptGroup>,
    /// With a proof each.
    pub proved: bool,
}

/// Ids of one data epoch.
#[derive(Clone, Debug)]
pub struct DecryptGroup {
    /// The epoch.
    pub kref: Kref,
    /// Digest of the grant whose shares the client holds.
    pub grant: [u8; 32],
    /// The ids.
    pub ids: Vec<KeyId>,
}

/// Asks for term roots.
#[derive(Clone, Debug)]
pub struct TermRoots {
    /// Of which keyset.
    pub keyset: KeysetId,
    /// Digest of the grant whose shares the client holds.
    pub grant: [u8; 32],
    /// Of which index epoch.
    pub epoch: Epoch,
    /// Of which types, 1 to [`MAX_KEYS`].
    pub types: Vec<TypeId>,
}

/// Stores a signed type definition.
#[derive(Clone, Debug)]
pub struct PutType {
    /// Signed by an admin or by the asking client.
    pub signed: Signed,
}

/// A database object that was seen with an encrypted type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinnedObject {
    /// `column public.users.email` and the like.
    pub object: String,
    /// The type.
    pub type_id: TypeId,
}

/// Asks for the pins of a database.
#[derive(Clone, Debug)]
pub struct GetPins {
    /// Its configured name.
    pub database: String,
}

/// Adds pins.
#[derive(Clone, Debug)]
pub struct AddPins {
    /// The database's configured name.
    pub database: String,
    /// The pins, at most [`MAX_PINS`].
    pub pins: Vec<PinnedObject>,
}

macro_rules! body {
    ($name:ident, $path:literal, $changes:literal, |$this:ident, $writer:ident| $write:expr) => {
        impl Body for $name {
            const PATH: &'static str = $path;
            const CHANGES: bool = $changes;

            fn write(&self, $writer: &mut Writer) {
                let $this = self;
                let _ = $write;
            }
        }
    };
}

body!(GetState, "/v1/state", false, |_this, w| w);
body!(Renew, "/v1/lease", false, |_this, w| w);
body!(EncryptKeys, "/v1/keys/encrypt", false, |this, w| {
    w.fixed(&this.keyset.0).fixed(&this.grant).u32(this.epoch.0).fixed(&this.nonce).u32(this.count)
});
body!(DecryptKeys, "/v1/keys/decrypt", false, |this, w| {
    w.u8(u8::from(this.proved)).list(&this.groups, |w, group| {
        w.u32(group.kref.0).fixed(&group.grant).list(&group.ids, |w, id| {
            w.fixed(&id.0);
        });
    })
});
body!(TermRoots, "/v1/terms", false, |this, w| {
    w.fixed(&this.keyset.0).fixed(&this.grant).u32(this.epoch.0).list(&this.types, |w, id| {
        w.fixed(&id.0);
    })
});
body!(PutType, "/v1/types/put", true, |this, w| this.signed.write(w));
body!(GetPins, "/v1/pins", false, |this, w| w.text(&this.database));
body!(AddPins, "/v1/pins/add", true, |this, w| {
    w.text(&this.database).list(&this.pins, |w, pin| {
        w.text(&pin.object).fixed(&pin.type_id.0);
    })
});
