//! Keysets: their name, and the certificate of each epoch of their two split keys.

use crate::crypto::sign::Domain;
use crate::crypto::split::{Commitment, PublicShare, Suite};
use crate::crypto::{Epoch, KeysetId, Kref};

use super::super::codec::{Malformed, Reader, Writer};
use super::Claim;

/// Name of the keyset that always exists.
pub const DEFAULT: &str = "default";

/// Which of a keyset's two split keys.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Data keys.
    Data,
    /// Term roots.
    Index,
}

impl Split {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Data, Self::Index];

    /// Its byte.
    pub fn code(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Index => 2,
        }
    }

    /// Of a byte.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.code() == code)
    }
}

/// A keyset's id and name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeysetRecord {
    /// Id.
    pub id: KeysetId,
    /// Name, unique in the workspace.
    pub name: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// The data epochs that are alive.
    pub epochs: Epochs,
    /// For development: device keys may have it.
    pub development: bool,
}

/// Data epochs: from the oldest whose values can still be read to the one for new values. Newer ones are being handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epochs {
    /// Older ones were dropped: their values are gone for good.
    pub oldest: Epoch,
    /// For new values.
    pub current: Epoch,
}

impl Epochs {
    /// Of a new keyset.
    pub const FIRST: Self = Self { oldest: Epoch(1), current: Epoch(1) };

    /// Shares of this epoch are kept. Only data epochs are ever dropped.
    pub fn keep(&self, split: Split, epoch: Epoch) -> bool {
        split == Split::Index || epoch >= self.oldest
    }
}

impl Claim for KeysetRecord {
    const DOMAIN: Domain = Domain::KeysetRecord;

    fn write(&self, writer: &mut Writer) {
        writer.fixed(&self.id.0).text(&self.name).u64(self.created_ms);
        // Records of before there were further epochs stay as they were signed.
        if self.epochs != Epochs::FIRST || self.development {
            writer.u32(self.epochs.oldest.0).u32(self.epochs.current.0);
        }
        if self.development {
            writer.u8(1);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (id, name, created_ms) = (KeysetId(reader.fixed()?), reader.text()?, reader.u64()?);
        let (mut epochs, mut development) = (Epochs::FIRST, false);
        if !reader.is_empty() {
            epochs = Epochs { oldest: Epoch(reader.u32()?), current: Epoch(reader.u32()?) };
            development = !reader.is_empty() && reader.u8()? == 1;
            let whole = epochs.oldest.0 > 0 && epochs.oldest <= epochs.current;
            // One record has one encoding: what is as it was before there were epochs and development is left away.
            if !whole || (epochs == Epochs::FIRST && !development) {
                return Err(Malformed);
            }
        }
        Ok(Self { id, name, created_ms, epochs, development })
    }

    fn what(&self) -> String {
        format!("the record of keyset \"{}\"", self.name)
    }
}

/// What is public of one epoch of a split key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Algorithms.
    pub suite: Suite,
    /// The keyset.
    pub keyset: KeysetId,
    /// Which split key.
    pub split: Split,
    /// Which epoch of it.
    pub epoch: Epoch,
    /// The number in envelopes; index epochs have none.
    pub kref: Option<Kref>,
    /// X.
    pub public: PublicShare,
    /// Of the hedge secret.
    pub commitment: Commitment,
}

impl Claim for Certificate {
    const DOMAIN: Domain = Domain::Certificate;

    fn write(&self, writer: &mut Writer) {
        writer.u8(self.suite.code()).fixed(&self.keyset.0).u8(self.split.code()).u32(self.epoch.0);
        writer.u32(self.kref.map_or(0, |kref| kref.0)).fixed(&self.public.to_bytes()).fixed(&self.commitment);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let suite = Suite::from_code(reader.u8()?).ok_or(Malformed)?;
        let keyset = KeysetId(reader.fixed()?);
        let split = Split::from_code(reader.u8()?).ok_or(Malformed)?;
        let epoch = Epoch(reader.u32()?);
        let kref = Some(reader.u32()?).filter(|kref| *kref != 0).map(Kref);
        let public = PublicShare::from_bytes(&reader.fixed()?).map_err(|_| Malformed)?;
        let commitment = reader.fixed()?;
        // A kref belongs to every data epoch and to no index epoch.
        if (split == Split::Data) != kref.is_some() || epoch.0 == 0 {
            return Err(Malformed);
        }
        Ok(Self { suite, keyset, split, epoch, kref, public, commitment })
    }

    fn what(&self) -> String {
        format!("the certificate of keyset {}", self.keyset)
    }
}
