//! What a client tells of its work when it renews its lease: how many values it sealed and opened, by keyset. Hearsay: a key
//! service cannot know it, and nothing rests on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::KeysetId;
use crate::crypto::json::{Base64, b64};

/// Most keysets of one report.
pub const MAX_USES: usize = 256;
/// Most that one number of a report counts for.
pub const MAX_USE: u64 = 1_000_000_000_000;

/// What was done since the last report that was answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Drawn when the program started: several programs may use one key.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<16>")]
    pub program: [u8; 16],
    /// Grows with each report of the program. One that comes twice counts once.
    pub number: u64,
    /// It was done within so many milliseconds before the request.
    pub over_ms: u64,
    /// Statements that were refused.
    pub refused: u64,
    /// At most [`MAX_USES`]; others are ignored, and so are those that were not granted to the client.
    pub keysets: Vec<KeysetUse>,
}

/// What was done with one keyset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysetUse {
    /// Which.
    pub keyset: KeysetId,
    /// Values sealed, for storing.
    pub sealed: u64,
    /// Values opened.
    pub opened: u64,
}
