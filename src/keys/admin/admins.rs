//! Another set of admins. The root signs it; what admins signed who are no longer in it is signed again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::claims::{RootSigned, Signed};
use super::super::service::{Revision, body};

/// Most admins of a workspace.
pub const MAX_ADMINS: usize = 64;

/// Puts another admin set in the place of the present one, all or nothing. Signed by a client that the new set names: the
/// root's signature is what allows it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAdmins {
    /// The workspace as its sender saw it.
    pub expected: Revision,
    /// The new set, of the next version.
    pub set: RootSigned,
    /// The record of the sender, where the workspace does not know it yet.
    pub record: Option<Signed>,
    /// What was signed by those who are no longer admins, signed again.
    pub again: Again,
    /// Those who are no longer admins lost their keys: their clients are disabled, and keep grants from which nobody else
    /// can grant, should a key be found again. Other grants that allow to grant are taken from whoever leaves.
    pub lost: bool,
}

/// Claims, word for word as they are, under the signature of a remaining admin. Grants name the new version of the set.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Again {
    /// Records of clients.
    pub clients: Vec<Signed>,
    /// Records of keysets.
    pub keysets: Vec<Signed>,
    /// Certificates.
    pub certificates: Vec<Signed>,
    /// Grants.
    pub grants: Vec<Signed>,
    /// Type definitions.
    pub types: Vec<Signed>,
}

/// What everybody may know of a workspace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// How new this is.
    pub revision: Revision,
    /// Who the admins are, on the root's word.
    pub admins: RootSigned,
}

body!(SetAdmins -> (), "/v1/admins/set", true);
