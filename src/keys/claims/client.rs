//! A client's record.

use crate::crypto::ClientId;
use crate::crypto::client_key::ClientPublic;
use crate::crypto::sign::Domain;

use super::super::codec::{Malformed, Reader, Writer};
use super::{Claim, MAX_NAME};

/// What a client key is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// A developer's device.
    Device,
    /// Production or CI.
    Application,
}

impl ClientKind {
    /// `device` or `application`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Application => "application",
        }
    }
}

/// Who a client is. Whether it is enabled is the key service's to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientRecord {
    /// Its public keys; its id is their hash.
    pub public: ClientPublic,
    /// Name, unique in the workspace.
    pub name: String,
    /// What it is for.
    pub kind: ClientKind,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Milliseconds since 1970; `None`: does not expire.
    pub expires_ms: Option<u64>,
    /// Whose it is: a person or a team, as the admin wrote it. Empty: not said.
    pub owner: String,
    /// The device that it was made on, as the device called itself. Empty: not said.
    pub device: String,
}

impl ClientRecord {
    /// The client's id.
    pub fn id(&self) -> ClientId {
        self.public.client_id()
    }

    /// The key is past its time.
    pub fn expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|end| end <= now_ms)
    }
}

impl Claim for ClientRecord {
    const DOMAIN: Domain = Domain::ClientRecord;

    fn write(&self, writer: &mut Writer) {
        writer.fixed(&self.public.to_bytes()).text(&self.name).u8(match self.kind {
            ClientKind::Device => 1,
            ClientKind::Application => 2,
        });
        writer.u64(self.created_ms).opt_u64(self.expires_ms);
        // Records of before there were owners have neither, and stay as they were signed.
        if !self.owner.is_empty() || !self.device.is_empty() {
            writer.text(&self.owner).text(&self.device);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let public = ClientPublic::from_bytes(&reader.fixed()?).ok_or(Malformed)?;
        let name = reader.text()?;
        let kind = match reader.u8()? {
            1 => ClientKind::Device,
            2 => ClientKind::Application,
            _ => return Err(Malformed),
        };
        let (created_ms, expires_ms) = (reader.u64()?, reader.opt_u64()?);
        let (owner, device) = match reader.is_empty() {
            true => (String::new(), String::new()),
            false => (reader.text()?, reader.text()?),
        };
        let known = [&owner, &device].iter().all(|text| text.len() <= MAX_NAME);
        if !known { Err(Malformed) } else { Ok(Self { public, name, kind, created_ms, expires_ms, owner, device }) }
    }

    fn what(&self) -> String {
        format!("the record of client \"{}\"", self.name)
    }
}
