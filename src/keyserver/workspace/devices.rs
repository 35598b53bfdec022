//! Letting devices in: the admin answers them, and compares the code that a person reads off the device.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::crypto::enrol::Code;
use crate::keys::claims::keyset::DEFAULT;
use crate::keys::claims::{ClientKind, ClientRecord, Signed};
use crate::keys::clock::{rfc3339, wall_ms};
use crate::keys::enrol::{AdminSide, AnswerEnrol, ApproveEnrol, EnrolError, Enrolment, ListEnrol, RefuseEnrol};
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;

use super::super::files;
use super::clients::{after, valid_record};
use super::ledger::Deed;
use super::{ClientInfo, NewClient, Workspace, terms};

/// Most devices that one admin answers at a time: each is a guess for whoever stands in between.
const MAX_ANSWERED: usize = 16;

/// A device that waits to be let in. Name, owner and address are what it says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DeviceInfo {
    /// The id it will have.
    pub id: String,
    /// What it calls itself.
    pub device: String,
    /// Whose it is, as it says.
    pub owner: Option<String>,
    /// From where it asked.
    pub address: Option<String>,
    /// RFC 3339, UTC.
    pub since: String,
    /// `code`: it shows its code; `answered`: it will at once; `elsewhere`: another admin or another device of this
    /// admin answered it.
    pub status: &'static str,
}

/// How a device is to be let in.
#[derive(Clone, Debug, Default)]
pub struct Approval {
    /// Of these waiting devices only: by id or by what it calls itself.
    pub device: Option<String>,
    /// Name of the client; `None`: owner and device, as they say.
    pub name: Option<String>,
    /// Keysets to grant, by name or id; empty: keyset `default`.
    pub keysets: Vec<String>,
    /// Lifetime from now; `None`: does not expire.
    pub expires: Option<Duration>,
}

impl Workspace {
    /// The devices that wait. Those that nobody has answered are answered: then they show their code.
    pub fn devices(&self) -> Result<Vec<DeviceInfo>, KeysError> {
        let mut book = Book::load(&self.folder)?;
        let mut list = Vec::new();
        for entry in self.ask(&ListEnrol {})? {
            let mut answered = book.of(&entry).is_some();
            if !entry.answered && book.0.len() < MAX_ANSWERED {
                let side = AdminSide::answer_to(entry.public.clone(), entry.commitment, wall_ms())?;
                let answer = side.answer();
                // Kept first: an answer that is not known here any more could not be compared with anything.
                book.0.retain(|known| known.public() != &entry.public);
                book.0.push(side);
                book.save(&self.folder)?;
                let client = entry.public.client_id();
                answered = match self.ask(&AnswerEnrol { client, commitment: entry.commitment, answer }) {
                    Ok(()) => true,
                    Err(KeysError::Refused { .. } | KeysError::Invalid { .. }) => false,
                    Err(error) => return Err(error),
                };
            }
            list.push(info(&entry, answered));
        }
        Ok(list)
    }

    /// The devices that wait, and nothing done about them: none is answered.
    pub fn waiting(&self) -> Result<Vec<DeviceInfo>, KeysError> {
        Ok(self.ask(&ListEnrol {})?.iter().map(|entry| info(entry, entry.answered)).collect())
    }

    /// Lets in the device that shows this code.
    pub fn approve_device(&self, code: &Code, how: &Approval) -> Result<ClientInfo, KeysError> {
        let mut book = Book::load(&self.folder)?;
        let waiting = self.ask(&ListEnrol {})?;
        let asked = waiting.iter().filter(|entry| how.device.as_ref().is_none_or(|name| named(entry, name)));
        let mut outcome = Err(KeysError::invalid("no device shows a code to this admin: `columnseal device list`"));
        for entry in asked {
            let (Some(side), Some(opening)) = (book.of(entry), &entry.opening) else { continue };
            match side.check(&opening.0, self.root, code, wall_ms()) {
                Ok(()) => {
                    outcome = Ok(entry);
                    break;
                }
                Err(error) => {
                    outcome = Err(KeysError::invalid(error.to_string()));
                    if matches!(error, EnrolError::NoTries | EnrolError::OtherDevice) {
                        self.ask(&RefuseEnrol {
                            client: entry.public.client_id(),
                            why: "the code did not fit".into(),
                        })?;
                    }
                }
            }
        }
        book.save(&self.folder)?;
        let entry = outcome?;
        let client = self.admit(entry, how)?;
        book.0.retain(|side| side.public() != &entry.public);
        book.save(&self.folder)?;
        Ok(client)
    }

    /// Turns a waiting device away.
    pub fn refuse_device(&self, device: &str) -> Result<DeviceInfo, KeysError> {
        let waiting = self.ask(&ListEnrol {})?;
        let mut found = waiting.iter().filter(|entry| named(entry, device));
        let entry = match (found.next(), found.next()) {
            (Some(entry), None) => entry,
            (None, _) => return Err(KeysError::invalid(format!("no device \"{device}\" waits to be let in"))),
            _ => return Err(KeysError::invalid(format!("several devices call themselves \"{device}\": give the id"))),
        };
        self.ask(&RefuseEnrol { client: entry.public.client_id(), why: "an admin turned the device away".into() })?;
        Ok(info(entry, false))
    }

    fn admit(&self, entry: &Enrolment, how: &Approval) -> Result<ClientInfo, KeysError> {
        let said = match entry.owner.is_empty() {
            true => entry.device.clone(),
            false => format!("{}@{}", entry.owner, entry.device),
        };
        let new = NewClient {
            owner: entry.owner.clone(),
            device: entry.device.clone(),
            ..NewClient::named(how.name.as_ref().unwrap_or(&said), ClientKind::Device)
        };
        valid_record(&new)?;
        let now = wall_ms();
        let record = ClientRecord {
            public: entry.public.clone(),
            name: new.name,
            kind: new.kind,
            created_ms: now,
            expires_ms: after(now, how.expires),
            owner: new.owner,
            device: new.device,
        };
        let keysets = if how.keysets.is_empty() { vec![DEFAULT.to_owned()] } else { how.keysets.clone() };
        self.change(|view| {
            let terms = terms(view, Permissions::APPLICATION, record.expires_ms);
            let grants = self.grants_of(view, &record.public, &keysets, &terms)?;
            let signed = Signed::new(&record, self.key()?);
            let deeds = grants.iter().filter_map(|new| Deed::gave(&new.grant)).collect::<Vec<_>>();
            self.ask(&ApproveEnrol { expected: view.revision, record: signed, grants })?;
            self.remember(deeds);
            Ok(())
        })?;
        self.client(&record.id().to_string())
    }
}

/// The runs that this admin has answered, kept between two commands.
struct Book(Vec<AdminSide>);

impl Book {
    fn load(folder: &Path) -> Result<Self, KeysError> {
        let path = folder.join("enrolments.json");
        let text = files::load(&path)?;
        // One that cannot be read is of no use: the devices begin again.
        let sides: Vec<AdminSide> = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let now = wall_ms();
        Ok(Self(sides.into_iter().filter(|side| !side.over(now)).collect()))
    }

    fn save(&self, folder: &Path) -> Result<(), KeysError> {
        let text = serde_json::to_string(&self.0).map_err(|e| KeysError::invalid(e.to_string()))?;
        files::replace(&folder.join("enrolments.json"), &text)
    }

    /// The run of a device, if it is the one that was answered here.
    fn of(&mut self, entry: &Enrolment) -> Option<&mut AdminSide> {
        self.0.iter_mut().find(|side| side.public() == &entry.public && side.commitment() == entry.commitment)
    }
}

fn named(entry: &Enrolment, name: &str) -> bool {
    entry.device == name || entry.public.client_id().to_string() == name
}

fn info(entry: &Enrolment, answered: bool) -> DeviceInfo {
    DeviceInfo {
        id: entry.public.client_id().to_string(),
        device: entry.device.clone(),
        owner: Some(entry.owner.clone()).filter(|owner| !owner.is_empty()),
        address: entry.address.clone(),
        since: rfc3339(entry.created_ms),
        status: match (answered, &entry.opening) {
            (true, Some(_)) => "code",
            (true, None) => "answered",
            (false, _) => "elsewhere",
        },
    }
}
