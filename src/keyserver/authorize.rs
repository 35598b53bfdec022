//! Who may do what. Every call of the engine begins here, and goes on with a [`Permit`] or an [`Allowed`], which nothing
//! else can make.

use std::sync::Arc;

use crate::crypto::split::ServerShare;
use crate::crypto::{ClientId, Epoch, KeysetId};
use crate::keys::claims::{ClientKind, ClientRecord, Grant, KeysetRecord, Split, Trust};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keys::request::{Body, Origin, Request, ServiceId, WINDOW_MS};
use crate::keys::service::Revision;

use super::policy::Policy;
use super::root_key::{Place, StoreKey};
use super::store::Tx;
use super::store::tables::keysets::KeysetRow;
use super::store::tables::{clients, grants, keysets, workspace};

/// The service at whose door a request is checked.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// Requests are signed for it.
    pub service: ServiceId,
    /// Whom it lets in.
    pub policy: Policy,
}

/// A request that its client signed, just now, and that client is in good standing.
pub struct Permit {
    record: ClientRecord,
    trust: Arc<Trust>,
    origin: Origin,
}

/// The record of a client that may ask at all. `proven` comes before anything is said of its standing.
pub(super) fn good_standing(
    tx: &dyn Tx,
    trust: &Trust,
    policy: Policy,
    id: ClientId,
    proven: impl Fn(&ClientRecord) -> Result<(), KeysError>,
) -> Result<ClientRecord, KeysError> {
    let row = clients::find(tx, id)?.ok_or_else(|| KeysError::ClientUnknown { client: id.to_string() })?;
    let record: ClientRecord = trust.check(&row.record, || format!("the record of client {id}"))?;
    if record.id() != id {
        return Err(KeysError::tampered(format!("the record of client {id}")));
    }
    proven(&record)?;
    if !row.enabled {
        return Err(KeysError::ClientDisabled { client: record.name });
    }
    if record.expired(wall_ms()) {
        return Err(KeysError::ClientExpired { client: record.name });
    }
    if record.kind == ClientKind::Device && !trust.is_admin(id) {
        policy.lets_devices_in()?;
    }
    Ok(record)
}

/// A request that changes something is taken once.
pub(super) fn use_nonce<B: Body>(tx: &dyn Tx, request: &Request<B>) -> Result<(), KeysError> {
    let (auth, forget_ms) = (&request.auth, wall_ms().saturating_sub(3 * WINDOW_MS));
    match workspace::use_nonce(tx, auth.client, &auth.nonce, auth.time_ms, forget_ms)? {
        true => Ok(()),
        false => Err(KeysError::refused("it was made before")),
    }
}

/// An error where an admin has changed anything since the workspace was as `expected`.
pub(super) fn unchanged(tx: &dyn Tx, expected: Revision) -> Result<(), KeysError> {
    let row = workspace::require(tx)?;
    let same = expected.generation == row.revision.generation && row.administered <= expected.revision;
    if same { Ok(()) } else { Err(KeysError::Conflict) }
}

/// A permit together with a grant that allows the act.
pub struct Allowed {
    trust: Arc<Trust>,
    client: ClientId,
    keyset: KeysetRow,
    grant: Grant,
    digest: [u8; 32],
}

impl Permit {
    /// Checks signature, time, and the client's standing; a request that changes something uses up its nonce.
    pub fn check<B: Body>(
        tx: &dyn Tx,
        trust: &Arc<Trust>,
        gate: Gate,
        request: &Request<B>,
    ) -> Result<Self, KeysError> {
        let id = request.auth.client;
        let record = good_standing(tx, trust, gate.policy, id, |record| request.verify(gate.service, &record.public))?;
        if B::CHANGES {
            use_nonce(tx, request)?;
        }
        Ok(Self { trust: Arc::clone(trust), record, origin: request.origin.clone() })
    }

    /// As [`check`](Self::check), and the client is an admin.
    pub fn check_admin<B: Body>(
        tx: &dyn Tx,
        trust: &Arc<Trust>,
        gate: Gate,
        request: &Request<B>,
    ) -> Result<Self, KeysError> {
        let permit = Self::check(tx, trust, gate, request)?;
        let admin = trust.is_admin(permit.client());
        if admin { Ok(permit) } else { Err(KeysError::NotAdmin { client: permit.record.name }) }
    }

    /// As [`check_admin`](Self::check_admin), and no admin has changed anything since the workspace was as `expected`.
    pub fn check_change<B: Body>(
        tx: &dyn Tx,
        trust: &Arc<Trust>,
        gate: Gate,
        request: &Request<B>,
        expected: Revision,
    ) -> Result<Self, KeysError> {
        let permit = Self::check_admin(tx, trust, gate, request)?;
        unchanged(tx, expected)?;
        Ok(permit)
    }

    /// A request of a client that the root names an admin in a set that is to be: whether the present one knows it does
    /// not matter. `trust` is that of the new set, `record` the client's.
    pub fn by_root<B: Body>(
        tx: &dyn Tx,
        trust: &Arc<Trust>,
        gate: Gate,
        request: &Request<B>,
        record: ClientRecord,
    ) -> Result<Self, KeysError> {
        let id = request.auth.client;
        if record.id() != id {
            return Err(KeysError::refused("its sender's record is another client's"));
        }
        request.verify(gate.service, &record.public)?;
        if !trust.is_admin(id) {
            return Err(KeysError::NotAdmin { client: id.to_string() });
        }
        use_nonce(tx, request)?;
        Ok(Self { trust: Arc::clone(trust), record, origin: request.origin.clone() })
    }

    /// The client.
    pub fn client(&self) -> ClientId {
        self.record.id()
    }

    /// Its record.
    pub fn record(&self) -> &ClientRecord {
        &self.record
    }

    /// Where the request came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The admins of the workspace, as the root names them.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The grant that allows `permission` on `keyset`, if there is one. `digest` is that of the grant whose shares the
    /// client holds; `None` where it does not matter.
    pub fn allowed(
        &self,
        tx: &dyn Tx,
        keyset: KeysetId,
        permission: Permissions,
        digest: Option<&[u8; 32]>,
    ) -> Result<Allowed, KeysError> {
        let row = keysets::find(tx, keyset)?.ok_or_else(|| KeysError::UnknownKeyset { keyset: keyset.to_string() })?;
        let name = || row.name.clone();
        let revoked = grants::revoked(tx, self.client())?.contains(&keyset);
        let Some(found) = grants::find(tx, self.client(), keyset)? else {
            return Err(if revoked {
                KeysError::Revoked { keyset: name() }
            } else {
                KeysError::NoGrant { keyset: name() }
            });
        };
        if revoked {
            // Granting again forgets the revocation: these rows were put back by somebody else.
            return Err(KeysError::tampered(format!("the grant of keyset \"{}\", which was revoked,", row.name)));
        }
        // The switch stops the use of keys; grants may be prepared while it is off.
        if !row.enabled && permission != Permissions::GRANT {
            return Err(KeysError::KeysetDisabled { keyset: name() });
        }
        let what = || format!("the grant of keyset \"{}\"", row.name);
        let grant: Grant = self.trust.check(&found.grant, what)?;
        if (grant.client, grant.keyset) != (self.client(), keyset) {
            return Err(KeysError::tampered(what()));
        }
        if grant.expired(wall_ms()) {
            return Err(KeysError::GrantExpired { keyset: name() });
        }
        if !grant.permissions.allows(permission) {
            let missing = permission.names().first().copied().unwrap_or("do that");
            return Err(KeysError::missing(name(), missing));
        }
        let current = found.grant.digest();
        if digest.is_some_and(|held| *held != current) {
            return Err(KeysError::GrantChanged);
        }
        Ok(Allowed { trust: Arc::clone(&self.trust), client: self.client(), keyset: row, grant, digest: current })
    }
}

impl Allowed {
    /// The keyset's record.
    pub fn keyset_record(&self) -> Result<KeysetRecord, KeysError> {
        self.trust.check(&self.keyset.record, || format!("the record of keyset \"{}\"", self.keyset.name))
    }

    /// The keyset's name.
    pub fn keyset_name(&self) -> &str {
        &self.keyset.name
    }

    /// The grant.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The service's half of the client's share, checked against the grant: `s·B = X − C`.
    pub fn share(&self, tx: &dyn Tx, wrap: &StoreKey, split: Split, epoch: Epoch) -> Result<ServerShare, KeysError> {
        let keyset = self.keyset.id;
        let bad = || KeysError::tampered(format!("the share of keyset \"{}\"", self.keyset.name));
        let public = self
            .grant
            .share(split, epoch)
            .ok_or_else(|| KeysError::invalid(format!("the grant has no share of epoch {}", epoch.0)))?;
        let Some(wrapped) = grants::wrapped(tx, self.client, keyset, split, epoch)? else {
            let dropped = !self.keyset_record()?.epochs.keep(split, epoch);
            let gone = || KeysError::EpochDropped { keyset: self.keyset.name.clone(), epoch };
            return Err(if dropped { gone() } else { bad() });
        };
        let secret =
            wrap.unwrap(&Place::share(self.client, keyset, split, epoch, &self.digest), &wrapped).ok_or_else(bad)?;
        let bytes = <&[u8; 32]>::try_from(secret.as_slice()).map_err(|_| bad())?;
        let share = ServerShare::from_bytes(bytes).map_err(|_| bad())?;
        share.verify(&public.keyset, &public.client).map_err(|_| bad())?;
        Ok(share)
    }
}
