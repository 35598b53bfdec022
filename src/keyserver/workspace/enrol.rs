//! A device that asks to be let into a workspace that another device made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::crypto::client_key::ClientKey;
use crate::crypto::root::RootFingerprint;
use crate::keys::claims::{ClientRecord, Trust};
use crate::keys::clock::wall_ms;
use crate::keys::enrol::{BeginEnrol, DeviceSide, EnrolError, EnrolState, EnrolStatus, LIFETIME_MS, RevealEnrol};
use crate::keys::error::KeysError;
use crate::keys::request::{Body, Call};
use crate::keys::service::{GetState, read_answer};
use crate::keys::settings::Service;

use super::super::engine::Engine;
use super::super::files;
use super::super::policy::Policy;
use super::access::Access;
use super::{InitOptions, device_path};

/// A device that waits.
pub struct Enrolling {
    access: Access,
    key: Arc<ClientKey>,
    root: RootFingerprint,
    side: DeviceSide,
    device_file: PathBuf,
    began_ms: u64,
    revealed: bool,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// No admin has looked yet.
    Waiting,
    /// This is the code to be read to the admin.
    Code(String),
    /// The device is let in; its key is on disk.
    Approved(EnrolReport),
    /// It is not, for this reason.
    Refused(String),
}

/// A device that was let in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EnrolReport {
    /// Fingerprint of the workspace root.
    pub root: String,
    /// Device client id.
    pub device: String,
    /// Its name.
    pub name: String,
    /// Device key file.
    pub device_file: PathBuf,
    /// Names of its keysets.
    pub keysets: Vec<String>,
}

impl Enrolling {
    /// Whether the workspace is there, but no key of this device.
    ///
    /// # Errors
    /// It cannot be known: the store is damaged, the key server does not answer or is not to be believed.
    pub fn is_needed(options: &InitOptions, service: &Service) -> Result<bool, KeysError> {
        if device_path(&options.home).exists() {
            return Ok(false);
        }
        match service {
            Service::Server(server) => Access::root_of(server).map(|_| true),
            Service::Embedded if options.store.is_missing() => Ok(false),
            // An interrupted `init` has made a store without a workspace.
            Service::Embedded => Ok(Engine::root_of(&options.store).is_ok()),
        }
    }

    /// Makes this device's key and asks for it to be let in.
    pub fn begin(options: &InitOptions, service: &Service, owner: &str) -> Result<Self, KeysError> {
        let by = (options.device_name.as_str(), owner);
        if let Service::Server(server) = service {
            let root = Access::root_of(server)?;
            return Self::begin_with(|key| Access::connect(server, key, root), root, &options.home, by);
        }
        let root = Engine::root_of(&options.store)?;
        let engine =
            Engine::open_with(&options.store, &options.root_key, root)?.under(Policy { devices: options.devices });
        Self::begin_with(|_| Ok(Access::Here(engine)), root, &options.home, by)
    }

    /// As [`begin`](Self::begin), at any key service. `root` need not be trusted: the code covers it.
    fn begin_with(
        access: impl FnOnce(&Arc<ClientKey>) -> Result<Access, KeysError>,
        root: RootFingerprint,
        home: &Path,
        (device, owner): (&str, &str),
    ) -> Result<Self, KeysError> {
        let (key, now) = (Arc::new(ClientKey::generate()?), wall_ms());
        let side = DeviceSide::begin(&key, root, now)?;
        let device_file = device_path(home);
        if device_file.exists() {
            return Err(KeysError::Exists { what: format!("the device key {}", device_file.display()) });
        }
        files::private_folder(home)?;
        files::private_folder(device_file.parent().expect("the path ends in device/client.key"))?;
        let (public, commitment, access) = (key.public().clone(), side.commitment(), access(&key)?);
        let this = Self { access, key, root, side, device_file, began_ms: now, revealed: false };
        this.ask(&BeginEnrol { public, commitment, device: device.to_owned(), owner: owner.to_owned() })?;
        Ok(this)
    }

    /// Asks how it stands, and does what is to be done.
    ///
    /// # Errors
    /// Of the service; [`KeysError::Invalid`] where the run is over or something does not hold.
    pub fn poll(&mut self) -> Result<Progress, KeysError> {
        let over = |e: EnrolError| KeysError::invalid(e.to_string());
        match self.ask(&EnrolStatus {})? {
            EnrolState::Approved => self.finish().map(Progress::Approved),
            EnrolState::Refused(why) => Ok(Progress::Refused(why)),
            EnrolState::Waiting if wall_ms().saturating_sub(self.began_ms) >= LIFETIME_MS => {
                Err(over(EnrolError::Late))
            }
            EnrolState::Waiting => Ok(Progress::Waiting),
            EnrolState::Answered(answer) => {
                let (opening, code) = self.side.answered(answer, wall_ms()).map_err(over)?;
                if !self.revealed {
                    self.ask(&RevealEnrol { opening })?;
                    self.revealed = true;
                }
                Ok(Progress::Code(code.to_string()))
            }
        }
    }

    /// The workspace must know the device, on the word of an admin whom the root names.
    fn finish(&self) -> Result<EnrolReport, KeysError> {
        if !self.revealed {
            return Err(KeysError::bad_answer("the device was let in before it showed a code"));
        }
        let state = self.ask(&GetState {})?;
        let trust = Trust::establish(self.root, &state.admins)?;
        let record: ClientRecord = trust.check(&state.record, || "this device's record".to_owned())?;
        if record.id() != self.key.client_id() {
            return Err(KeysError::tampered("this device's record"));
        }
        let secret = Zeroizing::new(format!("{}\n", *self.key.to_secret(&self.root)));
        if !files::create(&self.device_file, &secret)? {
            return Err(KeysError::Exists { what: format!("the device key {}", self.device_file.display()) });
        }
        Ok(EnrolReport {
            root: self.root.to_string(),
            device: record.id().to_string(),
            name: record.name,
            device_file: self.device_file.clone(),
            keysets: state.granted.into_iter().map(|granted| granted.name).collect(),
        })
    }

    fn ask<B: Body>(&self, body: &B) -> Result<B::Answer, KeysError> {
        read_answer::<B>(&self.access.call(Call::sign(self.access.id(), &self.key, body)?)?)
    }
}
