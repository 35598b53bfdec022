//! The suite on SQLite.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::crypto::client_key::ClientKey;
use crate::crypto::{KeyId, Kref, TypeId};
use crate::keys::error::KeysError;
use crate::keys::settings::Settings;
use crate::keys::{Permissions, Ring};

use super::super::Engine;
use super::super::root_key::Source;
use super::super::store::spec::StoreSpec;
use super::super::workspace::{ClientKind, NewClient, Workspace};
use super::home::{Secret, TYPE, decrypt, encrypt, name, seal, until};

type Home = super::home::Home<super::kinds::Sqlite>;

#[path = "admins.rs"]
mod admins;
#[path = "backup.rs"]
mod backup;
#[path = "bulk.rs"]
mod bulk;
#[path = "clients.rs"]
mod clients;
#[path = "crash.rs"]
mod crash;
#[path = "engine.rs"]
mod engine;
#[path = "enrol.rs"]
mod enrol;
#[path = "epochs.rs"]
mod epochs;
#[path = "model.rs"]
mod model;
#[path = "ring.rs"]
mod ring;
#[path = "service.rs"]
mod service;
#[path = "sessions.rs"]
mod sessions;
#[path = "tamper.rs"]
mod tamper;
#[path = "trail.rs"]
mod trail;
#[path = "usage.rs"]
mod usage;
