//! What an admin asks concerning clients alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::claims::Signed;
use super::super::service::{Revision, body};
use super::NewGrant;

/// Puts a new key in the place of a client's old one, all or nothing: the old record makes room for the name, the new one
/// takes it, and the grants are given anew.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateClient {
    /// The workspace as the admin saw it.
    pub expected: Revision,
    /// The old key's record, with its new name and end.
    pub old: Signed,
    /// The new key's record.
    pub new: Signed,
    /// The new key's grants.
    pub grants: Vec<NewGrant>,
    /// The old key's grants are taken away at once.
    pub revoke: bool,
}

body!(RotateClient -> (), "/v1/clients/rotate", true);
