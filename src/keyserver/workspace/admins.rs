//! Who the admins are. Changing that takes the recovery kit: the root alone names them.

use std::sync::Arc;

use std::path::Path;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::crypto::ClientId;
use crate::crypto::client_key::{ClientKey, ClientPublic};
use crate::crypto::root::{RECOVERY_PREFIX, RootKey};
use crate::keys::admin::{Again, GetInventory, Inventory, SetAdmins};
use crate::keys::claims::{
    AdminSet, Certificate, Claim, ClientKind, ClientRecord, Grant, KeysetRecord, RootSigned, Signed, Trust, TypeClaim,
};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;

use super::super::engine::Engine;
use super::super::files;
use super::super::policy::Policy;
use super::access::Access;
use super::actor::Actor;
use super::ledger::Deed;
use super::view::View;
use super::{InitOptions, Workspace, device_key, device_path};

/// The admins of a workspace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AdminsInfo {
    /// Version of the set.
    pub version: u32,
    /// Fingerprint of the root that signed it.
    pub root: String,
    /// The admins, by name.
    pub admins: Vec<AdminInfo>,
    /// Names of keysets that no admin can grant.
    pub orphans: Vec<String>,
}

/// An admin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AdminInfo {
    /// Client id.
    pub id: String,
    /// Name.
    pub name: String,
    /// `active`, `disabled` or `expired`.
    pub status: &'static str,
    /// Names of the keysets that it can grant.
    pub grants: Vec<String>,
}

/// What came of a recovery.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RecoverReport {
    /// Fingerprint of the workspace root.
    pub root: String,
    /// The new device's client id.
    pub device: String,
    /// Its key file.
    pub device_file: std::path::PathBuf,
    /// Version of the admin set.
    pub version: u32,
    /// Clients that are admins no longer, and disabled.
    pub dismissed: Vec<String>,
    /// Names of keysets that nobody can grant any more; who has them keeps them.
    pub orphans: Vec<String>,
}

/// Reads the root from a recovery kit. What was read is wiped.
fn root_of_kit(kit: &Path) -> Result<RootKey, KeysError> {
    let bad = |why: &str| KeysError::File { path: kit.to_owned(), why: why.to_owned() };
    let text: Zeroizing<String> = files::load(kit)?.ok_or_else(|| bad("there is no such file"))?;
    let line = text.lines().map(str::trim).find(|line| line.starts_with(RECOVERY_PREFIX));
    let line = line.ok_or_else(|| bad("it is no recovery kit: it has no line that begins with csroot1_"))?;
    RootKey::from_recovery(line).map_err(|e| bad(&format!("the recovery kit {e}")))
}

impl Workspace {
    /// The admins, and what each can grant.
    pub fn admins(&self) -> Result<AdminsInfo, KeysError> {
        let view = self.view()?;
        let mut admins: Vec<AdminInfo> = view
            .clients
            .iter()
            .filter(|(record, _)| view.trust.is_admin(record.id()))
            .map(|client| {
                let info = view.client_info(client);
                AdminInfo { grants: grantable(&view, client.0.id()), id: info.id, name: info.name, status: info.status }
            })
            .collect();
        admins.sort_by(|a, b| a.name.cmp(&b.name));
        let root = self.root();
        Ok(AdminsInfo { version: view.trust.version(), root, admins, orphans: orphans(&view) })
    }

    /// Makes a client an admin. It can grant a keyset once an admin who can gave it the permission.
    pub fn add_admin(&self, client: &str, kit: &Path) -> Result<AdminsInfo, KeysError> {
        let root = self.kit(kit)?;
        self.change(|view| {
            let (record, enabled) = view.client(client)?;
            if view.trust.is_admin(record.id()) {
                return Err(KeysError::Exists { what: format!("admin \"{}\"", record.name) });
            }
            if !enabled {
                return Err(KeysError::ClientDisabled { client: record.name.clone() });
            }
            let mut admins = view.trust.keys();
            admins.push(record.public.clone());
            self.set_admins(&root, view, admins, false)
        })?;
        self.admins()
    }

    /// Takes a client out of the admins. What it signed is signed again by this device.
    pub fn remove_admin(&self, client: &str, kit: &Path) -> Result<AdminsInfo, KeysError> {
        let root = self.kit(kit)?;
        self.change(|view| {
            let record = &view.client(client)?.0;
            if !view.trust.is_admin(record.id()) {
                return Err(KeysError::NotAdmin { client: record.name.clone() });
            }
            if record.id() == self.device() {
                return Err(KeysError::invalid(
                    "an admin cannot remove itself: another admin does, or `columnseal recover`",
                ));
            }
            let admins = view.trust.keys().into_iter().filter(|admin| admin.client_id() != record.id()).collect();
            self.set_admins(&root, view, admins, false)
        })?;
        self.admins()
    }

    /// Every admin's device is lost: this one becomes the only admin, on the word of the recovery kit. Goes on where an
    /// earlier run was interrupted.
    pub fn recover(options: &InitOptions, kit: &Path) -> Result<RecoverReport, KeysError> {
        let root = root_of_kit(kit)?;
        let policy = Policy { devices: options.devices };
        let access =
            Access::Here(Engine::open_with(&options.store, &options.root_key, root.fingerprint())?.under(policy));
        let key = recovered_device(options, &root)?;
        let folder = device_path(&options.home).with_file_name("");
        let actor = Actor::Key(Arc::new(key));
        let workspace = Self { access, actor, root: root.fingerprint(), folder, seen: None };
        workspace.name_this_device(&root, &options.device_name)?;
        let dismissed = workspace.change(|view| {
            let mine = workspace.device();
            let others = view.clients.iter().filter(|(record, _)| view.trust.is_admin(record.id()));
            let names = others.filter(|(record, _)| record.id() != mine).map(|(record, _)| record.name.clone());
            let names = names.collect::<Vec<_>>();
            if view.trust.admins().any(|admin| admin != mine) {
                workspace.set_admins(&root, view, vec![workspace.key()?.public().clone()], true)?;
            }
            Ok(names)
        })?;
        let view = workspace.view()?;
        Ok(RecoverReport {
            root: workspace.root(),
            device: workspace.device().to_string(),
            device_file: device_path(&options.home),
            version: view.trust.version(),
            dismissed,
            orphans: orphans(&view),
        })
    }

    /// First step of a recovery: this device joins the admins there are, so that it can read and check what they signed.
    fn name_this_device(&self, root: &RootKey, name: &str) -> Result<(), KeysError> {
        for _ in 0..super::TRIES {
            let hello = self.access.hello()?;
            let trust = Trust::establish(self.root, &hello.admins)?;
            if trust.is_admin(self.device()) {
                return Ok(());
            }
            let mut admins = trust.keys();
            admins.push(self.key()?.public().clone());
            let id = self.device().to_string();
            let record = ClientRecord {
                public: self.key()?.public().clone(),
                // The lost device may have had the host's name.
                name: format!("{name} ({})", &id[..8]),
                kind: ClientKind::Device,
                created_ms: wall_ms(),
                expires_ms: None,
                owner: String::new(),
                device: name.to_owned(),
            };
            let set = AdminSet { version: trust.version() + 1, admins };
            let done = self.ask(&SetAdmins {
                expected: hello.revision,
                set: RootSigned::new(&set, root),
                record: Some(Signed::new(&record, self.key()?)),
                again: Again::default(),
                lost: true,
            });
            match done {
                Err(KeysError::Conflict) => {}
                done => return done,
            }
        }
        Err(KeysError::Conflict)
    }

    fn kit(&self, kit: &Path) -> Result<RootKey, KeysError> {
        let root = root_of_kit(kit)?;
        if root.fingerprint() == self.root {
            return Ok(root);
        }
        Err(KeysError::OtherWorkspace { found: root.fingerprint().to_string(), expected: self.root.to_string() })
    }

    /// Hands over from the present set to another, with all that those who leave have signed.
    fn set_admins(
        &self,
        root: &RootKey,
        decided: &View,
        admins: Vec<ClientPublic>,
        lost: bool,
    ) -> Result<(), KeysError> {
        let inventory = self.ask(&GetInventory {})?;
        let view = View::check(self.root, inventory.clone())?;
        let set = AdminSet { version: view.trust.version() + 1, admins };
        let stays = |id: ClientId| set.admins.iter().any(|admin| admin.client_id() == id);
        let leaving = view.trust.admins().filter(|id| !stays(*id)).collect::<Vec<_>>();
        let again = again(self.key()?, &inventory, &leaving, set.version)?;
        // What changed since the admins were decided on is a conflict.
        let (expected, set) = (decided.revision, RootSigned::new(&set, root));
        let mut deeds = again.grants.iter().filter_map(Deed::gave).collect::<Vec<_>>();
        let granter = |grant: &Grant| grant.permissions.allows(Permissions::GRANT);
        let leaves = |grant: &&Grant| leaving.contains(&grant.client);
        let others = view.grants.iter().filter(|grant| view.trust.is_admin(grant.client) && !leaves(grant));
        let others = others.filter(|grant| granter(grant) && grant.expires_ms.is_none());
        let others = others.map(|grant| grant.keyset).collect::<Vec<_>>();
        let taken = view.grants.iter().filter(leaves).filter(|grant| match granter(grant) {
            true => others.contains(&grant.keyset),
            false => view.is_production_on_device(grant),
        });
        deeds.extend(taken.map(|grant| Deed::took(grant.client, grant.keyset)));
        self.ask(&SetAdmins { expected, set, record: None, again, lost })?;
        self.remember(deeds);
        Ok(())
    }
}

/// The device key of a recovery: new, or of a run that was interrupted.
fn recovered_device(options: &InitOptions, root: &RootKey) -> Result<ClientKey, KeysError> {
    let file = device_path(&options.home);
    if file.exists() {
        let (key, of) = device_key(&options.home)?;
        let exists = || KeysError::Exists { what: format!("the device key of another workspace, {},", file.display()) };
        return if of == root.fingerprint() { Ok(key) } else { Err(exists()) };
    }
    files::private_folder(&options.home)?;
    files::private_folder(file.parent().expect("the path ends in device/client.key"))?;
    let key = ClientKey::generate()?;
    let secret = Zeroizing::new(format!("{}\n", *key.to_secret(&root.fingerprint())));
    if !files::create(&file, &secret)? {
        return Err(KeysError::Exists { what: format!("the device key {}", file.display()) });
    }
    Ok(key)
}

/// Everything that those who leave have signed, under the signature of `key`.
fn again(key: &ClientKey, all: &Inventory, leaving: &[ClientId], version: u32) -> Result<Again, KeysError> {
    let gone = |signed: &&Signed| leaving.contains(&signed.signer);
    let mut grants = Vec::new();
    for signed in all.grants.iter().map(|(_, _, signed)| signed).filter(gone) {
        let grant = Grant::decode(&signed.body).map_err(|_| KeysError::tampered("a grant"))?;
        grants.push(Signed::new(&Grant { admins: version, ..grant }, key));
    }
    let certificates = all.keysets.iter().flat_map(|keyset| &keyset.certificates);
    Ok(Again {
        clients: all.clients.iter().map(|c| &c.record).filter(gone).map(|s| s.again::<ClientRecord>(key)).collect(),
        keysets: all.keysets.iter().map(|k| &k.record).filter(gone).map(|s| s.again::<KeysetRecord>(key)).collect(),
        certificates: certificates.filter(gone).map(|signed| signed.again::<Certificate>(key)).collect(),
        grants,
        types: all.types.iter().filter(gone).map(|signed| signed.again::<TypeClaim>(key)).collect(),
    })
}

/// Names of the keysets that a client can grant.
fn grantable(view: &View, client: ClientId) -> Vec<String> {
    let now = wall_ms();
    let can = |keyset: &&super::view::KeysetView| {
        let grant = view.grant(client, keyset.record.id);
        grant.is_some_and(|grant| grant.permissions.allows(Permissions::GRANT) && !grant.expired(now))
    };
    view.keysets.iter().filter(can).map(|keyset| keyset.record.name.clone()).collect()
}

/// Names of the keysets that no admin can grant.
fn orphans(view: &View) -> Vec<String> {
    let granted = view.trust.admins().flat_map(|admin| grantable(view, admin)).collect::<Vec<_>>();
    let names = view.keysets.iter().map(|keyset| keyset.record.name.clone());
    names.filter(|name| !granted.contains(name)).collect()
}
