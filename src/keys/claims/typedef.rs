//! A type definition, signed as its canonical text. What the text means is the schema room's.

use crate::crypto::TypeId;
use crate::crypto::sign::Domain;

use super::super::codec::{Malformed, Reader, Writer};
use super::Claim;

/// Longest canonical definition, in bytes.
pub const MAX_DEFINITION: usize = 64 * 1024;

/// An encrypted type's id and canonical definition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeClaim {
    /// Cryptographic context.
    pub id: TypeId,
    /// Canonical definition.
    pub definition: String,
}

impl Claim for TypeClaim {
    const DOMAIN: Domain = Domain::TypeDefinition;

    fn write(&self, writer: &mut Writer) {
        writer.fixed(&self.id.0).text(&self.definition);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let claim = Self { id: TypeId(reader.fixed()?), definition: reader.text()? };
        if claim.definition.len() > MAX_DEFINITION { Err(Malformed) } else { Ok(claim) }
    }

    fn what(&self) -> String {
        format!("the definition of type {}", self.id)
    }
}
