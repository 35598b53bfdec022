//! The admin's own list of the grants it gave and took, on its device: `device/grants.log`, one JSON object a line, each with
//! a hash over the one before. What the key service shows is compared with it. It holds no share and no key.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::crypto::json::b64;
use crate::crypto::{ClientId, KeysetId};
use crate::keys::admin::GetInventory;
use crate::keys::claims::{Claim, Grant, Signed};
use crate::keys::clock::wall_ms;
use crate::keys::codec::Writer;
use crate::keys::error::KeysError;

use super::super::files;
use super::Workspace;
use super::view::View;

/// Bytes of the end that are read to add lines: a line has some 300.
const END: u64 = 4096;

/// Whose grant, of what.
type Place = (ClientId, KeysetId);

/// What was done with a grant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    place: Place,
    /// Digest of the grant that was given; `None`: it was taken.
    given: Option<[u8; 32]>,
}

/// One line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sequence: u64,
    time_ms: u64,
    client: ClientId,
    keyset: KeysetId,
    given: bool,
    #[serde(with = "b64")]
    digest: [u8; 32],
    #[serde(with = "b64")]
    hash: [u8; 32],
}

/// A grant that the key service shows otherwise than this device remembers it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Client, by name where it has one.
    pub client: String,
    /// Keyset, by name where it has one.
    pub keyset: String,
    /// `gone`, `back` or `other`.
    pub finding: &'static str,
    /// What that means.
    pub meaning: &'static str,
}

impl Deed {
    /// A grant was given.
    pub(super) fn gave(signed: &Signed) -> Option<Self> {
        let grant = Grant::decode(&signed.body).ok()?;
        Some(Self { place: (grant.client, grant.keyset), given: Some(signed.digest()) })
    }

    /// A grant was taken.
    pub(super) fn took(client: ClientId, keyset: KeysetId) -> Self {
        Self { place: (client, keyset), given: None }
    }
}

impl Workspace {
    /// Writes down what the key service has done at this device's word. That is done: failing here is told in the log.
    pub(super) fn remember(&self, deeds: impl IntoIterator<Item = Deed>) {
        if self.key().is_err() {
            return; // there is no device
        }
        let deeds = deeds.into_iter().collect::<Vec<_>>();
        if let Err(error) = append(&self.ledger(), &deeds) {
            tracing::warn!(%error, "the device's list of grants could not be continued");
        }
    }

    /// Grants that the key service shows otherwise than this device gave or took them. Empty: all is as remembered.
    ///
    /// # Errors
    /// [`KeysError::Tampered`] where the list itself does not hold.
    pub fn check_grants(&self) -> Result<Vec<Finding>, KeysError> {
        let inventory = self.ask(&GetInventory {})?;
        let view = View::check(self.root, inventory.clone())?;
        let mut live = remembered(&self.ledger())?;
        let mut found = Vec::new();
        for (client, keyset, signed) in &inventory.grants {
            let known = live.remove(&(*client, *keyset));
            // Another admin's word counts as much as this one's: it replaces what was given here.
            if signed.signer != self.device() {
                continue;
            }
            match known {
                Some(digest) if digest == signed.digest() => {}
                Some(_) => found.push(((*client, *keyset), "other", "it is not the one that was given last")),
                None => found.push(((*client, *keyset), "back", "it was taken, or given from elsewhere with this key")),
            }
        }
        let gone = "another admin took it, or the key service dropped it: `columnseal audit tail`";
        found.extend(live.into_keys().map(|place| (place, "gone", gone)));
        let client =
            |id: ClientId| view.client(&id.to_string()).map_or(id.to_string(), |(record, _)| record.name.clone());
        let keyset =
            |id: KeysetId| view.keyset(&id.to_string()).map_or(id.to_string(), |keyset| keyset.record.name.clone());
        let finding = |((c, k), finding, meaning)| Finding { client: client(c), keyset: keyset(k), finding, meaning };
        Ok(found.into_iter().map(finding).collect())
    }

    fn ledger(&self) -> std::path::PathBuf {
        self.folder.join("grants.log")
    }
}

/// The grants that were given and not taken.
fn remembered(path: &Path) -> Result<BTreeMap<Place, [u8; 32]>, KeysError> {
    let mut live = BTreeMap::new();
    let Ok(mut file) = File::open(path) else { return Ok(live) };
    for entry in read(path, &mut file)? {
        let place = (entry.client, entry.keyset);
        if entry.given {
            live.insert(place, entry.digest)
        } else {
            live.remove(&place)
        };
    }
    Ok(live)
}

/// Adds lines, alone among the processes of this device.
fn append(path: &Path, deeds: &[Deed]) -> Result<(), KeysError> {
    let error = |e: std::io::Error| files::file_error(path, &e);
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(error)?;
    file.lock().map_err(error)?;
    let (mut sequence, mut hash) = end(path, &mut file)?;
    let mut text = String::new();
    for deed in deeds {
        sequence += 1;
        let (client, keyset) = deed.place;
        let digest = deed.given.unwrap_or_default();
        let mut entry =
            Entry { sequence, time_ms: wall_ms(), client, keyset, given: deed.given.is_some(), digest, hash };
        entry.hash = entry.chained(&hash);
        hash = entry.hash;
        text += &serde_json::to_string(&entry).map_err(|e| KeysError::invalid(e.to_string()))?;
        text.push('\n');
    }
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(error)
}

/// Sequence and hash to go on from. Only the end is read, however long the list is: the last line must follow the one before.
fn end(path: &Path, file: &mut File) -> Result<(u64, [u8; 32]), KeysError> {
    let error = |e: std::io::Error| files::file_error(path, &e);
    let start = file.metadata().map_err(error)?.len().saturating_sub(END);
    file.seek(SeekFrom::Start(start)).map_err(error)?;
    if start == 0 {
        return Ok(read(path, file)?.last().map_or((0, [0; 32]), |last| (last.sequence, last.hash)));
    }
    let bad = || KeysError::tampered(format!("the end of {}", path.display()));
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(error)?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let mut lines = text.lines().rev();
    let mut line = || serde_json::from_str::<Entry>(lines.next()?).ok();
    let (last, before) = line().zip(line()).ok_or_else(bad)?;
    let follows = last.sequence == before.sequence.wrapping_add(1) && last.hash == last.chained(&before.hash);
    if follows && text.ends_with('\n') { Ok((last.sequence, last.hash)) } else { Err(bad()) }
}

fn read(path: &Path, file: &mut File) -> Result<Vec<Entry>, KeysError> {
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|e| files::file_error(path, &e))?;
    let (mut entries, mut hash) = (Vec::<Entry>::new(), [0; 32]);
    for line in text.lines() {
        let number = entries.len() as u64 + 1;
        let bad = || KeysError::tampered(format!("line {number} of {}", path.display()));
        let entry: Entry = serde_json::from_str(line).map_err(|_| bad())?;
        if entry.sequence != number || entry.hash != entry.chained(&hash) {
            return Err(bad());
        }
        hash = entry.hash;
        entries.push(entry);
    }
    Ok(entries)
}

impl Entry {
    fn chained(&self, before: &[u8; 32]) -> [u8; 32] {
        let mut writer = Writer::new("columnseal grants log v1");
        writer.fixed(before).u64(self.sequence).u64(self.time_ms).fixed(&self.client.0).fixed(&self.keyset.0);
        writer.u8(u8::from(self.given)).fixed(&self.digest);
        Sha256::digest(writer.finish()).into()
    }
}
