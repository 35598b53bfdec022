//! Alarms of pins: what a proxy says to the audit trail when a column is not what it was pinned to. Names only, never values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::body;

/// Most alarms of one request.
pub const MAX_ALARMS: usize = 1024;

/// What is wrong with a pinned column.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PinFault {
    /// It is plain.
    Plain,
    /// It is not there.
    Missing,
    /// It has another encrypted type.
    OtherType,
    /// A relation of the same name in another schema has it plain.
    Namesake,
}

impl PinFault {
    /// As the audit trail names it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Plain => "pin_plain",
            Self::Missing => "pin_missing",
            Self::OtherType => "pin_other_type",
            Self::Namesake => "pin_namesake",
        }
    }
}

/// A pin that does not hold.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PinAlarm {
    /// `column public.users.email` and the like.
    pub object: String,
    /// What is wrong.
    pub fault: PinFault,
}

/// Tells of pins that do not hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PinAlarms {
    /// The database's configured name.
    pub database: String,
    /// At most [`MAX_ALARMS`].
    pub alarms: Vec<PinAlarm>,
}

body!(PinAlarms -> (), "/v1/pins/alarm", true);
