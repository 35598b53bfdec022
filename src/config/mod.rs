//! Settings: one TOML file, overridden by `CS_<SECTION>__<KEY>`, overridden by flags.
//!
//! `raw` gathers what was written and where, `resolve` turns it into each room's `Settings` and reports every
//! fault at once. The only reader of the environment. Secrets are never part of a fault.

mod database;
mod environment;
mod faults;
mod keyserver;
mod known;
mod policy;
mod raw;
mod reader;
mod resolve;
mod root_key;
mod written;

use std::path::PathBuf;

use secrecy::SecretString;

use crate::keyserver::root_key::Source;
use crate::{keys, net, session, telemetry};

pub use environment::Environment;
pub use faults::{Fault, Faults};
pub use known::{KEYS, Known};
pub use reader::parse_span;
pub use written::Written;

/// Everything the proxy needs to start.
#[derive(Debug)]
pub struct Config {
    /// The listener, authentication, the database and the policy.
    pub session: session::settings::Settings,
    /// Records of data access.
    pub audit: session::settings::Audit,
    /// Where keys come from.
    pub keys: keys::settings::Settings,
    /// The root key of the embedded store.
    pub root_key: Source,
    /// Log, metrics and health.
    pub telemetry: telemetry::settings::Settings,
    /// `CS_CLIENT_ID` and `CS_CLIENT_KEY`, where given.
    pub client: Option<Credentials>,
}

/// Everything a key server needs to start.
#[derive(Debug)]
pub struct KeyServerConfig {
    /// The listener, the store and the limits.
    pub server: crate::keyserver::settings::Settings,
    /// Log, metrics and health.
    pub telemetry: telemetry::settings::Settings,
}

/// The client key of an application.
#[derive(Debug)]
pub struct Credentials {
    /// The uuid as written; it must be the one that the key derives.
    pub id: String,
    /// `csck1_…`.
    pub key: SecretString,
}

/// Where settings come from besides the environment.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`; without it `columnseal.toml` in the current directory is read if it is there.
    pub file: Option<PathBuf>,
    /// Flags as (`section.key`, value); they override everything.
    pub flags: Vec<(String, String)>,
}

/// All settings, or every fault in them.
pub fn load(environment: &Environment, sources: &Sources) -> Result<Config, Faults> {
    let mut faults = Faults::default();
    let raw = raw::gather(environment, sources, &mut faults);
    let config = resolve::config(&mut reader::Reader::new(&raw, environment, &mut faults));
    faults.or(config)
}

/// Only the key store, its settings and its root key: what commands that manage clients and keysets need.
pub fn load_store(environment: &Environment, sources: &Sources) -> Result<(keys::settings::Settings, Source), Faults> {
    let mut faults = Faults::default();
    let raw = raw::gather(environment, sources, &mut faults);
    let mut reader = reader::Reader::new(&raw, environment, &mut faults);
    let keys = resolve::keys(&mut reader);
    let root_key = root_key::setting(&mut reader, "keys.root_key", &keys.store);
    faults.or((keys, root_key))
}

/// A root key that a command names by its flag `--to`; relative paths count from the current directory.
pub fn load_root_key(environment: &Environment, spec: &str) -> Result<Source, Faults> {
    let mut faults = Faults::default();
    let raw = raw::Raw::default();
    let mut reader = reader::Reader::new(&raw, environment, &mut faults);
    let found = root_key::resolve(&mut reader, "--to", spec, environment.directory());
    faults.or(found.unwrap_or_else(|| Source::File(PathBuf::new())))
}

/// Only the file of users, where one is named.
pub fn load_users(environment: &Environment, sources: &Sources) -> Result<Option<PathBuf>, Faults> {
    let mut faults = Faults::default();
    let raw = raw::gather(environment, sources, &mut faults);
    let users = resolve::users(&mut reader::Reader::new(&raw, environment, &mut faults));
    faults.or(users)
}

/// Only what a key server needs.
pub fn load_keyserver(environment: &Environment, sources: &Sources) -> Result<KeyServerConfig, Faults> {
    let mut faults = Faults::default();
    let raw = raw::gather(environment, sources, &mut faults);
    let config = keyserver::config(&mut reader::Reader::new(&raw, environment, &mut faults));
    faults.or(config)
}

/// Only the database, with `url` (a command's `--database`) in place of `[database]` where given.
pub fn load_database(
    environment: &Environment,
    sources: &Sources,
    url: Option<&str>,
) -> Result<net::settings::Target, Faults> {
    let mut faults = Faults::default();
    let mut raw = raw::gather(environment, sources, &mut faults);
    if let Some(url) = url {
        raw.replace_section("database", "url", url, "--database");
    }
    let target = database::target(&mut reader::Reader::new(&raw, environment, &mut faults));
    faults.or(target)
}

/// What was written, to see later what changed.
pub fn written(environment: &Environment, sources: &Sources) -> Written {
    Written::of(&raw::gather(environment, sources, &mut Faults::default()))
}

/// Whether a database was named at all, so that a command may leave it alone otherwise.
pub fn names_database(environment: &Environment, sources: &Sources) -> bool {
    let mut ignored = Faults::default();
    raw::gather(environment, sources, &mut ignored).has_section("database")
}

#[cfg(test)]
mod tests;
