//! What an admin's page shows of the service's work: what was given and refused by hour, who is connected, what proxies told of
//! theirs; and the ticket with which an admin signs in to the key server's page.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::{ClientId, KeysetId};

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
    /// When the server's TLS certificate ends, in milliseconds since 1970; not there without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_ends_ms: Option<u64>,
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

/// How long a span of usage is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageScale {
    /// Ten seconds, of all keysets together.
    Moment,
    /// A minute, of all keysets together.
    Minute,
    /// A day in UTC.
    Day,
}

impl UsageScale {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Moment, Self::Minute, Self::Day];

    /// In milliseconds.
    pub fn span_ms(self) -> u64 {
        match self {
            Self::Moment => 10_000,
            Self::Minute => 60_000,
            Self::Day => 24 * 60 * 60 * 1000,
        }
    }

    /// How many of them are kept.
    pub fn kept(self) -> u64 {
        match self {
            Self::Moment => 60,
            Self::Minute => 2 * 24 * 60,
            Self::Day => 400,
        }
    }
}

/// Asks how many values proxies say they sealed and opened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetUsage {
    /// By spans of which length.
    pub scale: UsageScale,
    /// How many of them, up to the present one.
    pub spans: u32,
    /// Of one keyset, by day; none: of all.
    pub keyset: Option<KeysetId>,
}

/// What proxies told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// The service's clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// Spans in which something was done, in order.
    pub spans: Vec<UsageSpan>,
}

/// One span.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageSpan {
    /// When it began, in milliseconds since 1970.
    pub begin_ms: u64,
    /// Values sealed.
    pub sealed: u64,
    /// Values opened.
    pub opened: u64,
    /// Statements that proxies refused; none of one keyset.
    pub refused: u64,
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
body!(GetUsage -> Usage, "/v1/usage", false);
body!(OpenSession -> SessionTicket, "/v1/sessions/open", true);
