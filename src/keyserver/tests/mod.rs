//! Tests over a real store: workspace and engine, and the ring on top of them.

mod engine;
mod epochs;
mod model;
mod ring;
mod root_key;
mod service;
mod store;
mod tamper;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::crypto::client_key::ClientKey;
use crate::crypto::envelope::{DataKey, Header, Padding};
use crate::crypto::root::RootFingerprint;
use crate::crypto::{KeyId, Kref, TypeId};
use crate::keys::error::KeysError;
use crate::keys::settings::Settings;
use crate::keys::{Permissions, Ring};

use super::Engine;
use super::root_key::Source;
use super::workspace::{ClientKind, InitOptions, InitReport, NewClient, Workspace};

const TYPE: TypeId = TypeId([7; 16]);

/// A folder with a workspace.
struct Home {
    folder: TempDir,
}

impl Home {
    fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn new() -> Self {
        let home = Self::empty();
        home.init().expect("init");
        home
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn store(&self) -> PathBuf {
        self.path().join("store").join("keystore.db")
    }

    fn options(&self) -> InitOptions {
        let home = self.path();
        let (store, recovery_file) = (self.store(), home.join("recovery-kit.txt"));
        let root_key = Source::File(store.with_file_name("root.key"));
        InitOptions { home, store, recovery_file, device_name: "laptop".into(), root_key }
    }

    fn init(&self) -> Result<InitReport, KeysError> {
        Workspace::init(&self.options())
    }

    fn open(&self) -> Workspace {
        Workspace::open(&self.path(), &self.store()).expect("open")
    }

    fn client(&self, name: &str, keysets: &[&str], permissions: Permissions) -> Secret {
        let keysets = keysets.iter().map(|name| (*name).to_owned()).collect();
        let new = NewClient { name: name.into(), kind: ClientKind::Application, keysets, permissions, expires: None };
        Secret(self.open().create_client(&new).expect("create").secret.expose_secret().to_owned())
    }

    fn application(&self) -> Secret {
        self.client("web", &["default"], Permissions::APPLICATION)
    }

    fn settings(&self) -> Settings {
        Settings {
            home: self.path(),
            store: self.store(),
            keyset: Some("default".into()),
            values_per_key: 65_536,
            key_lifetime: Duration::from_secs(900),
            lease: Duration::from_secs(60),
            pool: 8,
        }
    }

    async fn ring(&self, secret: &Secret) -> Result<Arc<Ring>, KeysError> {
        self.ring_with(secret, &self.settings()).await
    }

    async fn ring_with(&self, secret: &Secret, settings: &Settings) -> Result<Arc<Ring>, KeysError> {
        let (key, root) = secret.parts();
        let service = Arc::new(Engine::open(&self.store(), root)?);
        Ring::start(settings, Arc::new(key), root, service).await
    }

    fn engine(&self, secret: &Secret) -> Engine {
        Engine::open(&self.store(), secret.parts().1).expect("open")
    }

    /// Runs SQL behind the engine's back.
    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.store()).expect("open");
        connection.execute_batch(sql).expect("sql");
    }
}

/// A client's secret string.
struct Secret(String);

impl Secret {
    fn parts(&self) -> (ClientKey, RootFingerprint) {
        ClientKey::from_secret(&self.0).expect("a whole secret")
    }

    fn id(&self) -> String {
        self.parts().0.client_id().to_string()
    }
}

fn seal(key: &DataKey, text: &str) -> Vec<u8> {
    let mut envelope = Vec::new();
    key.seal(&TYPE, Padding::To16, 0, text.as_bytes(), &mut envelope).expect("seal");
    envelope
}

fn name(envelope: &[u8]) -> (Kref, KeyId) {
    let header = Header::parse(envelope).expect("an envelope");
    (header.kref, header.key_id)
}

/// One value sealed under the default keyset.
async fn encrypt(ring: &Ring, text: &str) -> Result<Vec<u8>, KeysError> {
    let keyset = ring.default_keyset()?;
    loop {
        if let Some((key, _)) = ring.data_key(keyset, 1) {
            return Ok(seal(&key, text));
        }
        ring.ready(keyset).await?;
    }
}

/// What a session does with a stored value.
async fn decrypt(ring: &Ring, envelope: &[u8]) -> Result<String, KeysError> {
    let (kref, id) = name(envelope);
    if ring.cached(kref, id).is_none() {
        ring.fetch(&[(kref, id)]).await?;
    }
    let key = ring.cached(kref, id).ok_or(KeysError::bad_answer("a fetched key is not there"))?;
    let mut text = Vec::new();
    key.open(&TYPE, envelope, &mut text).map_err(|_| KeysError::bad_answer("it does not open"))?;
    Ok(String::from_utf8(text).expect("text"))
}

/// Waits until `event` holds; fails the test after a generous while.
async fn until(event: impl Fn() -> bool) -> Duration {
    let begin = std::time::Instant::now();
    while !event() {
        assert!(begin.elapsed() < Duration::from_secs(10), "the event did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}
