//! How a device is let in: what each side holds of a run, and what it believes. Neither believes the key service, which
//! carries the messages. The formulas are in [`crate::crypto::enrol`].

mod requests;

use serde::{Deserialize, Serialize};

use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::crypto::enrol::{Answer, Code, Commitment, Opening, commit};
use crate::crypto::json::b64;
use crate::crypto::random::{self, RandomError};
use crate::crypto::root::RootFingerprint;

pub use requests::{
    AnswerEnrol, ApproveEnrol, BeginEnrol, EnrolState, EnrolStatus, Enrolment, ListEnrol, OF_STRANGERS, RefuseEnrol,
    RevealEnrol, Revealed,
};

/// A run ends this long after it began, in milliseconds.
pub const LIFETIME_MS: u64 = 5 * 60 * 1000;
/// So many codes may be tried in one run.
pub const TRIES: u8 = 3;

/// Why a run goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    /// Too late.
    #[error("five minutes have passed: the device must begin again")]
    Late,
    /// The answer is not the one that the device has seen before.
    #[error("the key service changed the admin's answer: do not trust it, and begin again")]
    OtherAnswer,
    /// What the device revealed is not what it was bound to.
    #[error("the device does not reveal what it was bound to: do not trust the key service, and begin again")]
    OtherDevice,
    /// Not the code of this device.
    #[error("the code is not this device's ({left} more may be tried)")]
    WrongCode {
        /// Tries that are left.
        left: u8,
    },
    /// Not the code of this device, and no more tries.
    #[error("the code is not this device's, and too many were tried: the device must begin again")]
    NoTries,
}

/// The device's side of one run.
pub struct DeviceSide {
    public: ClientPublic,
    root: RootFingerprint,
    opening: Opening,
    began_ms: u64,
    answer: Option<Answer>,
}

impl DeviceSide {
    /// A new run of a new key. `root` is the workspace as the device sees it.
    pub fn begin(key: &ClientKey, root: RootFingerprint, now_ms: u64) -> Result<Self, RandomError> {
        let (public, opening) = (key.public().clone(), random::array()?);
        Ok(Self { public, root, opening, began_ms: now_ms, answer: None })
    }

    /// What is sent first.
    pub fn commitment(&self) -> Commitment {
        commit(&self.public, &self.opening)
    }

    /// Takes the admin's answer: what to reveal, and the code to show. Another answer in the same run is refused.
    pub fn answered(&mut self, answer: Answer, now_ms: u64) -> Result<(Opening, Code), EnrolError> {
        in_time(self.began_ms, now_ms)?;
        if *self.answer.get_or_insert(answer) != answer {
            return Err(EnrolError::OtherAnswer);
        }
        Ok((self.opening, Code::of(&self.public, &self.opening, &answer, self.root)))
    }
}

/// The admin's side of one run. Kept on the admin's device from the answer to the code.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSide {
    #[serde(with = "public")]
    public: ClientPublic,
    #[serde(with = "b64")]
    commitment: Commitment,
    #[serde(with = "b64")]
    answer: Answer,
    began_ms: u64,
    left: u8,
}

impl AdminSide {
    /// Answers a device's commitment. Every run has a fresh answer.
    pub fn answer_to(public: ClientPublic, commitment: Commitment, now_ms: u64) -> Result<Self, RandomError> {
        Ok(Self { public, commitment, answer: random::array()?, began_ms: now_ms, left: TRIES })
    }

    /// The device's keys, as they were when it was answered: what an approval is for, whatever the service says later.
    pub fn public(&self) -> &ClientPublic {
        &self.public
    }

    /// What the device was bound to.
    pub fn commitment(&self) -> Commitment {
        self.commitment
    }

    /// r_A, to send.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// The run is over.
    pub fn over(&self, now_ms: u64) -> bool {
        self.left == 0 || in_time(self.began_ms, now_ms).is_err()
    }

    /// Compares the code that a person read off the device. A wrong one uses up a try.
    pub fn check(
        &mut self,
        opening: &Opening,
        root: RootFingerprint,
        typed: &Code,
        now_ms: u64,
    ) -> Result<(), EnrolError> {
        in_time(self.began_ms, now_ms)?;
        if self.left == 0 {
            return Err(EnrolError::NoTries);
        }
        if commit(&self.public, opening) != self.commitment {
            self.left = 0;
            return Err(EnrolError::OtherDevice);
        }
        if Code::of(&self.public, opening, &self.answer, root) == *typed {
            return Ok(());
        }
        self.left -= 1;
        if self.left == 0 { Err(EnrolError::NoTries) } else { Err(EnrolError::WrongCode { left: self.left }) }
    }
}

fn in_time(began_ms: u64, now_ms: u64) -> Result<(), EnrolError> {
    if now_ms.saturating_sub(began_ms) < LIFETIME_MS { Ok(()) } else { Err(EnrolError::Late) }
}

/// Public keys in JSON.
pub(super) mod public {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use crate::crypto::client_key::ClientPublic;
    use crate::crypto::json::b64;

    pub(in super::super) fn serialize<S: Serializer>(public: &ClientPublic, serializer: S) -> Result<S::Ok, S::Error> {
        b64::serialize(&public.to_bytes(), serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ClientPublic, D::Error> {
        let bytes: [u8; 64] = b64::deserialize(deserializer)?;
        ClientPublic::from_bytes(&bytes).ok_or_else(|| D::Error::custom("malformed public keys"))
    }
}

#[cfg(test)]
mod tests;
