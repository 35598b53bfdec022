//! What a device that is not let in yet, and the admin who lets it in, ask of the key service. The device signs with the
//! key that it wants let in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::ClientId;
use crate::crypto::client_key::ClientPublic;
use crate::crypto::enrol::{Answer, Commitment, Opening};
use crate::crypto::json::{Base64, b64};

use super::super::admin::NewGrant;
use super::super::claims::Signed;
use super::super::service::{Revision, body};
use super::public;

/// A device asks to be let in. A run of the same key that there is already ends.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginEnrol {
    /// The device's keys.
    #[serde(with = "public")]
    #[schemars(with = "Base64<64>")]
    pub public: ClientPublic,
    /// What it is bound to.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub commitment: Commitment,
    /// What the device calls itself.
    pub device: String,
    /// Whose it is, as it says. May be empty.
    pub owner: String,
}

/// The device reveals what it was bound to, once it was answered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevealEnrol {
    /// r_D.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub opening: Opening,
}

/// The device asks how its run stands.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolStatus {}

/// How a run stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EnrolState {
    /// No admin has looked yet.
    Waiting,
    /// An admin has answered; the code is to be shown.
    Answered(
        #[serde(with = "b64")]
        #[schemars(with = "Base64<32>")]
        Answer,
    ),
    /// The device is let in.
    Approved,
    /// It is not.
    Refused(String),
}

/// An admin asks which devices wait.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListEnrol {}

/// A device that waits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Its keys.
    #[serde(with = "public")]
    #[schemars(with = "Base64<64>")]
    pub public: ClientPublic,
    /// What it is bound to.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub commitment: Commitment,
    /// What it calls itself.
    pub device: String,
    /// Whose it is, as it says.
    pub owner: String,
    /// From where it asked.
    pub address: Option<String>,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Some admin has answered.
    pub answered: bool,
    /// What it revealed, if it did.
    pub opening: Option<Revealed>,
}

/// r_D, once it is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Revealed(
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub Opening,
);

/// An admin answers a device, once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerEnrol {
    /// Which.
    pub client: ClientId,
    /// What it was bound to when the admin looked.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub commitment: Commitment,
    /// r_A.
    #[serde(with = "b64")]
    #[schemars(with = "Base64<32>")]
    pub answer: Answer,
}

/// An admin lets a device in: its record and its grants, all or nothing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveEnrol {
    /// The workspace as the admin saw it.
    pub expected: Revision,
    /// The device's record.
    pub record: Signed,
    /// Its grants.
    pub grants: Vec<NewGrant>,
}

/// An admin turns a device away.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefuseEnrol {
    /// Which.
    pub client: ClientId,
    /// What the device is told.
    pub why: String,
}

body!(BeginEnrol -> (), "/v1/enrol/begin", true);
body!(RevealEnrol -> (), "/v1/enrol/reveal", true);
body!(EnrolStatus -> EnrolState, "/v1/enrol/status", false);
body!(ListEnrol -> Vec<Enrolment>, "/v1/enrol/list", false);
body!(AnswerEnrol -> (), "/v1/enrol/answer", true);
body!(ApproveEnrol -> (), "/v1/enrol/approve", true);
body!(RefuseEnrol -> (), "/v1/enrol/refuse", true);

/// Requests of those who are no clients: whoever sends them has proved no more than that it holds some key.
pub const OF_STRANGERS: [&str; 3] = [
    <BeginEnrol as super::super::request::Body>::PATH,
    <RevealEnrol as super::super::request::Body>::PATH,
    <EnrolStatus as super::super::request::Body>::PATH,
];
