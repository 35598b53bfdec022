//! A workspace of a test, and what tests do with its keys.

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
use crate::keys::settings::{Service, Settings};
use crate::keys::{Permissions, Ring};

use super::super::Engine;
use super::super::root_key::Source;
use super::super::store::spec::StoreSpec;
use super::super::workspace::{ClientKind, InitOptions, InitReport, NewClient, Workspace, device_path};
use super::kinds::Kind;

pub(super) const TYPE: TypeId = TypeId([7; 16]);

/// A folder with a workspace, and the place of its store.
pub(super) struct Home<K> {
    folder: TempDir,
    kind: K,
}

impl<K: Kind> Home<K> {
    pub(super) fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), kind: K::new() }
    }

    pub(super) fn new() -> Self {
        let home = Self::empty();
        home.init().expect("init");
        home
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    pub(super) fn spec(&self) -> StoreSpec {
        self.kind.spec(&self.path())
    }

    /// The store's name, its password included.
    pub(super) fn spec_text(&self) -> String {
        match self.spec() {
            StoreSpec::Sqlite(path) => path.display().to_string(),
            StoreSpec::Postgres(url) => url.expose_secret().to_owned(),
        }
    }

    pub(super) fn lose_store(&self) {
        self.kind.lose(&self.path());
    }

    pub(super) fn root_key(&self) -> Source {
        Source::File(self.path().join("store").join("root.key"))
    }

    pub(super) fn options(&self) -> InitOptions {
        let home = self.path();
        let (store, recovery_file) = (self.spec(), home.join("recovery-kit.txt"));
        InitOptions {
            home,
            store,
            recovery_file,
            device_name: "laptop".into(),
            root_key: self.root_key(),
            devices: true,
        }
    }

    pub(super) fn init(&self) -> Result<InitReport, KeysError> {
        Workspace::init(&self.options())
    }

    pub(super) fn open(&self) -> Workspace {
        Workspace::open_with(&self.path(), &self.spec(), &self.root_key()).expect("open")
    }

    pub(super) fn client(&self, name: &str, keysets: &[&str], permissions: Permissions) -> Secret {
        let keysets = keysets.iter().map(|name| (*name).to_owned()).collect();
        let new = NewClient { keysets, permissions, ..NewClient::named(name, ClientKind::Application) };
        Secret(self.open().create_client(&new).expect("create").secret.expose_secret().to_owned())
    }

    pub(super) fn application(&self) -> Secret {
        self.client("web", &["default"], Permissions::APPLICATION)
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            home: self.path(),
            store: self.spec().path().map(PathBuf::from).unwrap_or_default(),
            service: Service::Embedded,
            keyset: Some("default".into()),
            values_per_key: 65_536,
            key_lifetime: Duration::from_secs(900),
            lease: Duration::from_secs(60),
            pool: 8,
            min_revision: Default::default(),
            devices: true,
        }
    }

    pub(super) async fn ring(&self, secret: &Secret) -> Result<Arc<Ring>, KeysError> {
        self.ring_with(secret, &self.settings()).await
    }

    pub(super) async fn ring_with(&self, secret: &Secret, settings: &Settings) -> Result<Arc<Ring>, KeysError> {
        let (key, root) = secret.parts();
        let service = Arc::new(self.open_engine(root)?);
        Ring::start(settings, Arc::new(key), root, service).await
    }

    pub(super) fn engine(&self, secret: &Secret) -> Engine {
        self.open_engine(secret.parts().1).expect("open")
    }

    /// The engine, as an admin on this device has it.
    pub(super) fn service(&self) -> Engine {
        let key = std::fs::read_to_string(device_path(&self.path())).expect("a device key");
        self.engine(&Secret(key.trim().to_owned()))
    }

    pub(super) fn open_engine(&self, root: RootFingerprint) -> Result<Engine, KeysError> {
        Engine::open_with(&self.spec(), &self.root_key(), root)
    }

    /// Runs SQL behind the engine's back.
    pub(super) fn sql(&self, sql: &str) {
        self.kind.sql(&self.path(), sql);
    }

    /// Asks for a number behind the engine's back.
    pub(super) fn number(&self, sql: &str) -> i64 {
        self.kind.number(&self.path(), sql)
    }

    /// Bytes in hex, as the store's SQL writes them.
    pub(super) fn bytes(hex: &str) -> String {
        K::bytes(hex)
    }

    /// One flipped bit in the middle of a column.
    pub(super) fn flip(table: &str, column: &str, of: &str) -> String {
        format!("UPDATE {table} SET {column} = {} {of}", K::flipped(column))
    }
}

impl Home<super::kinds::Sqlite> {
    pub(super) fn store(&self) -> PathBuf {
        self.spec().path().expect("a file").to_owned()
    }
}

/// A client's secret string.
pub(super) struct Secret(pub(super) String);

impl Secret {
    pub(super) fn parts(&self) -> (ClientKey, RootFingerprint) {
        ClientKey::from_secret(&self.0).expect("a whole secret")
    }

    pub(super) fn id(&self) -> String {
        self.parts().0.client_id().to_string()
    }
}

pub(super) fn seal(key: &DataKey, text: &str) -> Vec<u8> {
    let mut envelope = Vec::new();
    key.seal(&TYPE, Padding::To16, 0, text.as_bytes(), &mut envelope).expect("seal");
    envelope
}

pub(super) fn name(envelope: &[u8]) -> (Kref, KeyId) {
    let header = Header::parse(envelope).expect("an envelope");
    (header.kref, header.key_id)
}

/// One value sealed under the default keyset.
pub(super) async fn encrypt(ring: &Ring, text: &str) -> Result<Vec<u8>, KeysError> {
    let keyset = ring.default_keyset()?;
    loop {
        if let Some((key, _)) = ring.data_key(keyset, 1) {
            return Ok(seal(&key, text));
        }
        ring.ready(keyset).await?;
    }
}

/// What a session does with a stored value.
pub(super) async fn decrypt(ring: &Ring, envelope: &[u8]) -> Result<String, KeysError> {
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
pub(super) async fn until(event: impl Fn() -> bool) -> Duration {
    let begin = std::time::Instant::now();
    while !event() {
        assert!(begin.elapsed() < Duration::from_secs(10), "the event did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}
