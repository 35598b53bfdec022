//! What an admin's page shows of the service's work: what was given and refused by hour, who is connected; and the ticket
//! with which an admin signs in to the key server's page.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::ClientId;

use super::super::service::body;

/// Most hours of one look: five weeks.
pub const HOURS: u32 = 24 * 35;

/// Asks what the audit trail holds of the last hours, counted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetActivity {
    /// How many, at most [`HOURS`].
    pub hours: u32,
}

/// What the audit trail holds, counted by hour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// The service's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// What was before this was not counted: the trail holds more than is looked at.
    pub from_ms: u64,
    /// The counts, by hour.
    pub counts: Vec<HourCount>,
}

/// Entries of one hour that are alike.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HourCount {
    /// When the hour began, in milliseconds since 1970.
    pub hour_ms: u64,
    /// The acting client.
    pub client: ClientId,
    /// What was done: `keys.encrypt`, `grant.revoke`, …
    pub action: String,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// Name of the keyset, of keys that were given.
    pub keyset: Option<String>,
    /// How many entries.
    pub entries: u64,
    /// How many keys were given.
    pub keys: u64,
}

/// Asks which clients are connected to the answering server, and what they heard since something was taken from them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPresence {}

/// Clients of one server. Other servers on the same store know of theirs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PresenceReport {
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// Those that are connected, and those from whom this server took something.
    pub clients: Vec<Presence>,
}

/// One client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// Its id.
    pub client: ClientId,
    /// Event streams that it has open: one for each proxy.
    pub streams: u32,
    /// When this server last took something from it, in milliseconds since 1970.
    pub cut_ms: Option<u64>,
    /// Event streams that were open then.
    pub streams_then: u32,
    /// How often it has since read where it stands: whoever has read it holds no key of what was taken.
    pub heard: u32,
    /// When it did so last, as often as there were streams, in milliseconds after `cut_ms`.
    pub heard_after_ms: Option<u64>,
}

/// Asks for a ticket to the key server's page.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {}

/// Lets an admin sign in once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionTicket {
    /// Goes into the address of the page.
    pub ticket: String,
    /// It is taken for this long, in milliseconds.
    pub valid_ms: u64,
}

/// Without the ticket.
impl fmt::Debug for SessionTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTicket").field("valid_ms", &self.valid_ms).finish_non_exhaustive()
    }
}

body!(GetActivity -> Activity, "/v1/activity", false);
body!(GetPresence -> PresenceReport, "/v1/presence", false);
body!(OpenSession -> SessionTicket, "/v1/sessions/open", true);
