//! A grant: which client may do what with a keyset, and the public halves of its shares.

use crate::crypto::sign::Domain;
use crate::crypto::split::{PublicShare, Suite};
use crate::crypto::{ClientId, Epoch, KeysetId, TypeId};

use super::super::codec::{Malformed, Reader, Writer};
use super::super::permissions::Permissions;
use super::Claim;
use super::keyset::Split;

/// One share of a grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GrantShare {
    /// Of which split key.
    pub split: Split,
    /// Of which epoch.
    pub epoch: Epoch,
    /// X of the certificate.
    pub keyset: PublicShare,
    /// C = c·B.
    pub client: PublicShare,
}

/// What an admin allows a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Algorithms.
    pub suite: Suite,
    /// The keyset.
    pub keyset: KeysetId,
    /// The client.
    pub client: ClientId,
    /// What it may do.
    pub permissions: Permissions,
    /// Types whose term roots it may have; empty: all.
    pub types: Vec<TypeId>,
    /// One per split key and epoch.
    pub shares: Vec<GrantShare>,
    /// Milliseconds since 1970.
    pub issued_ms: u64,
    /// Milliseconds since 1970; `None`: does not expire.
    pub expires_ms: Option<u64>,
    /// Version of the admin set that its signer was in.
    pub admins: u32,
}

impl Grant {
    /// The grant is past its time.
    pub fn expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|end| end <= now_ms)
    }

    /// It allows whatever `other` does, for as long.
    pub fn at_least(&self, other: &Self) -> bool {
        let end = |grant: &Self| grant.expires_ms.unwrap_or(u64::MAX);
        let all = |grant: &Self| grant.types.is_empty();
        let types = all(self) || !all(other) && other.types.iter().all(|id| self.types.contains(id));
        self.permissions.allows(other.permissions) && end(self) >= end(other) && types
    }

    /// The permissions in a grant's bytes, for lists: nothing is checked.
    pub fn listed_permissions(body: &[u8]) -> Permissions {
        let bits = body.get(1 + 16 + 16).copied();
        bits.and_then(Permissions::from_bits).unwrap_or_default()
    }

    /// The grant covers term roots of this type.
    pub fn covers(&self, type_id: TypeId) -> bool {
        self.types.is_empty() || self.types.contains(&type_id)
    }

    /// The share of one split key and epoch.
    pub fn share(&self, split: Split, epoch: Epoch) -> Option<&GrantShare> {
        self.shares.iter().find(|share| share.split == split && share.epoch == epoch)
    }
}

impl Claim for Grant {
    const DOMAIN: Domain = Domain::Grant;

    fn write(&self, writer: &mut Writer) {
        writer.u8(self.suite.code()).fixed(&self.keyset.0).fixed(&self.client.0).u8(self.permissions.bits());
        writer.list(&self.types, |w, id| {
            w.fixed(&id.0);
        });
        writer.list(&self.shares, |w, share| {
            w.u8(share.split.code()).u32(share.epoch.0);
            w.fixed(&share.keyset.to_bytes()).fixed(&share.client.to_bytes());
        });
        writer.u64(self.issued_ms).opt_u64(self.expires_ms).u32(self.admins);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            suite: Suite::from_code(reader.u8()?).ok_or(Malformed)?,
            keyset: KeysetId(reader.fixed()?),
            client: ClientId(reader.fixed()?),
            permissions: Permissions::from_bits(reader.u8()?).ok_or(Malformed)?,
            types: reader.list(|r| Ok(TypeId(r.fixed()?)))?,
            shares: reader.list(share)?,
            issued_ms: reader.u64()?,
            expires_ms: reader.opt_u64()?,
            admins: reader.u32()?,
        })
    }

    fn what(&self) -> String {
        format!("the grant of keyset {} to client {}", self.keyset, self.client)
    }
}

fn share(reader: &mut Reader<'_>) -> Result<GrantShare, Malformed> {
    Ok(GrantShare {
        split: Split::from_code(reader.u8()?).ok_or(Malformed)?,
        epoch: Epoch(reader.u32()?),
        keyset: PublicShare::from_bytes(&reader.fixed()?).map_err(|_| Malformed)?,
        client: PublicShare::from_bytes(&reader.fixed()?).map_err(|_| Malformed)?,
    })
}
