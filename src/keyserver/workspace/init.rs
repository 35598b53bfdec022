//! Making a workspace: root, store, device key, keyset `default`. What is there is left as it is.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::crypto::client_key::ClientKey;
use crate::crypto::random;
use crate::crypto::root::{RECOVERY_PREFIX, RootFingerprint, RootKey};
use crate::keys::claims::keyset::DEFAULT;
use crate::keys::claims::{AdminSet, Claim, ClientKind, ClientRecord, RootSigned, ServiceRecord, Signed, name_fault};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::remote::post;
use crate::keys::request::ServiceId;
use crate::keys::settings::Server;

use super::super::bootstrap::{
    FOUND_PATH, OFFER_PATH, ServiceOffer, ServiceSecret, Token, ask_offer, check_offer, found as found_by,
};
use super::super::files;
use super::super::policy::Policy;
use super::super::root_key::{NewStoreKey, Place, Source};
use super::super::store::tables::audit::{self, Entry};
use super::super::store::tables::{clients, workspace};
use super::super::store::{self, Store, Tx};
use super::access::Thread;
use super::{InitOptions, InitReport, Workspace};

/// The device key's file in `home`.
pub fn device_path(home: &Path) -> PathBuf {
    home.join("device").join("client.key")
}

/// Root and device key of a workspace that is being made.
struct Founders {
    root: RootKey,
    device: ClientKey,
}

pub(super) fn init(options: &InitOptions) -> Result<InitReport, KeysError> {
    if let Some(fault) = name_fault(&options.device_name) {
        return Err(KeysError::invalid(format!("the device's name: {fault}")));
    }
    let device_file = device_path(&options.home);
    files::private_folder(&options.home)?;
    files::private_folder(device_file.parent().expect("the path ends in device/client.key"))?;
    let store = options.store.create()?;
    let created = match store::read(&*store, workspace::find)? {
        Some(_) => false,
        None => found(options, &device_file, &*store)?,
    };
    drop(store);
    let policy = Policy { devices: options.devices };
    let workspace = Workspace::open_with(&options.home, &options.store, &options.root_key)?.under(policy);
    report(options, &workspace, created, options.store.to_string())
}

/// Makes the workspace on a key server that has none yet, for which the token is needed; one that is there stays.
pub(super) fn init_server(
    options: &InitOptions,
    server: &Server,
    token: Option<&Path>,
) -> Result<InitReport, KeysError> {
    if let Some(fault) = name_fault(&options.device_name) {
        return Err(KeysError::invalid(format!("the device's name: {fault}")));
    }
    let device_file = device_path(&options.home);
    let created = match token {
        Some(token) => found_there(options, server, &device_file, &Token::load(token)?)?,
        None => false,
    };
    let workspace = Workspace::connect(&options.home, server)?;
    report(options, &workspace, created, server.urls.join(","))
}

/// `false`: the key server has a workspace already. Root and device key are on disk before it is founded, so that a second
/// run goes on where the first was interrupted.
fn found_there(options: &InitOptions, server: &Server, device_file: &Path, token: &Token) -> Result<bool, KeysError> {
    let thread = Thread::start()?;
    let ask = ask_offer()?;
    let offer: ServiceOffer = match post_there(&thread, server, OFFER_PATH, &ask)? {
        Ok(offer) => offer,
        Err(KeysError::Exists { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    check_offer(token, &ask, &offer)?;
    files::private_folder(&options.home)?;
    files::private_folder(device_file.parent().expect("the path ends in device/client.key"))?;
    let founders = match unfinished(options, device_file)? {
        Some(founders) => founders,
        None => fresh(options, device_file)?,
    };
    let record = first_record(&founders.device, &options.device_name);
    let founding = found_by(token, &offer, &founders.root, (&founders.device, &record))?;
    match post_there::<_, ()>(&thread, server, FOUND_PATH, &founding)? {
        Ok(()) => Ok(true),
        Err(KeysError::Exists { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The outer error: nobody answers. The inner one: what the server says.
fn post_there<A: Serialize, T: DeserializeOwned>(
    thread: &Thread,
    server: &Server,
    path: &'static str,
    body: &A,
) -> Result<Result<T, KeysError>, KeysError> {
    let body = serde_json::to_vec(body).map_err(|e| KeysError::invalid(e.to_string()))?;
    let server = server.clone();
    match thread.run(async move { post(&server, path, body).await })? {
        Ok(answer) => serde_json::from_slice(&answer).map(Ok).map_err(|_| KeysError::bad_answer("it is malformed")),
        Err(error) => Ok(Err(error)),
    }
}

fn report(options: &InitOptions, workspace: &Workspace, created: bool, store: String) -> Result<InitReport, KeysError> {
    let keyset_created = match workspace.keysets() {
        Ok(keysets) => !keysets.iter().any(|keyset| keyset.name == DEFAULT),
        // A device that was let in: there is nothing for it to make.
        Err(KeysError::NotAdmin { .. }) => false,
        Err(e) => return Err(e),
    };
    if keyset_created {
        match workspace.create_keyset_for(DEFAULT, options.devices) {
            Ok(_) | Err(KeysError::Exists { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(InitReport {
        created,
        root: workspace.root(),
        recovery_file: created.then(|| options.recovery_file.clone()),
        device: workspace.device().to_string(),
        device_file: device_path(&options.home),
        device_created: created,
        store,
        keyset_created,
    })
}

/// Makes the workspace in one transaction; the files of root and device are on disk before it is committed. `false`:
/// another process was faster.
fn found(options: &InitOptions, device_file: &Path, store: &dyn Store) -> Result<bool, KeysError> {
    let service = ServiceId(random::array()?);
    if let Source::File(path) = &options.root_key {
        files::private_folder(path.parent().unwrap_or(Path::new("")))?;
    }
    let key = NewStoreKey::make(&options.root_key, service.0)?;
    store::write(store, |tx| {
        if workspace::find(tx)?.is_some() {
            return Ok(false);
        }
        let founders = match unfinished(options, device_file)? {
            Some(founders) => founders,
            None => fresh(options, device_file)?,
        };
        insert(tx, service, &key, &founders, &options.device_name)?;
        Ok(true)
    })
}

/// What an `init` that was interrupted before its commit has left.
fn unfinished(options: &InitOptions, device_file: &Path) -> Result<Option<Founders>, KeysError> {
    let kit = files::load(&options.recovery_file)?;
    let device = files::load(device_file)?;
    let exists = |what: &str, path: &Path| KeysError::Exists {
        what: format!("{what} of another workspace, {},", path.display()),
    };
    match (kit, device) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(exists("the recovery kit", &options.recovery_file)),
        (None, Some(_)) => Err(exists("the device key", device_file)),
        (Some(kit), Some(device)) => {
            let line = kit.lines().map(str::trim).find(|line| line.starts_with(RECOVERY_PREFIX));
            let root = line.and_then(|line| RootKey::from_recovery(line).ok());
            let device = ClientKey::from_secret(device.trim()).ok();
            match (root, device) {
                (Some(root), Some((device, of))) if root.fingerprint() == of => Ok(Some(Founders { root, device })),
                _ => Err(exists("the recovery kit", &options.recovery_file)),
            }
        }
    }
}

fn fresh(options: &InitOptions, device_file: &Path) -> Result<Founders, KeysError> {
    let root = RootKey::generate()?;
    let device = ClientKey::generate()?;
    let fingerprint = root.fingerprint();
    if let Some(folder) = options.recovery_file.parent() {
        files::private_folder(folder)?;
    }
    if !files::create(&options.recovery_file, &recovery_kit(&root, fingerprint))? {
        return Err(KeysError::Exists { what: format!("the recovery kit {}", options.recovery_file.display()) });
    }
    let secret = Zeroizing::new(format!("{}\n", *device.to_secret(&fingerprint)));
    if !files::create(device_file, &secret)? {
        return Err(KeysError::Exists { what: format!("the device key {}", device_file.display()) });
    }
    Ok(Founders { root, device })
}

fn insert(
    tx: &dyn Tx,
    service: ServiceId,
    key: &NewStoreKey,
    founders: &Founders,
    name: &str,
) -> Result<(), KeysError> {
    let (now, device) = (wall_ms(), &founders.device);
    let secret = ServiceSecret::generate()?;
    let (verify, seal) = secret.public();
    let record = ServiceRecord { id: service, verify, seal };
    let secret = key.key.wrap(&Place::service(&service.0), &*secret.0)?;
    workspace::insert(tx, service, &secret, &RootSigned::new(&record, &founders.root), now)?;
    key.insert(tx)?;
    let set = AdminSet { version: 1, admins: vec![device.public().clone()] };
    workspace::insert_admins(tx, set.version, &RootSigned::new(&set, &founders.root))?;
    let record = first_record(device, name);
    clients::put(tx, record.id(), name, &Signed::new(&record, device))?;
    audit::append(tx, Entry::new(now, record.id(), "workspace.create", &record.what())).map(drop)
}

/// The record of the device that makes a workspace.
fn first_record(device: &ClientKey, name: &str) -> ClientRecord {
    ClientRecord {
        public: device.public().clone(),
        name: name.to_owned(),
        kind: ClientKind::Device,
        created_ms: wall_ms(),
        expires_ms: None,
        owner: String::new(),
        device: name.to_owned(),
    }
}

fn recovery_kit(root: &RootKey, fingerprint: RootFingerprint) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "Columnseal recovery kit of workspace {fingerprint}\n\
         \n\
         Whoever holds the line below can name the admins of this workspace. It is needed when every admin key is lost\n\
         or one must be removed; nothing else needs it. Move this file offline now, and keep no copy on this machine.\n\
         \n\
         {}\n",
        *root.to_recovery()
    ))
}
