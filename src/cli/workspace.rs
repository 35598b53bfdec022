//! The workspace that commands act on, and how its errors are told.

use std::time::Duration;

use columnseal::config::{load_store, parse_span};
use columnseal::keys::RootKeyFault;
use columnseal::keys::error::KeysError;
use columnseal::keyserver::Policy;
use columnseal::keyserver::workspace::Workspace;

use super::Context;
use super::output::{Exit, Failure};

/// Opens the workspace of this device for `attempted`.
pub(super) fn open(context: &Context, attempted: &str) -> Result<Workspace, Failure> {
    let (settings, root_key) = context.settings(attempted, load_store(&context.environment, &context.sources))?;
    let policy = Policy { devices: settings.devices };
    let workspace = Workspace::of(&settings, &root_key);
    Ok(workspace.map_err(|error| failure(attempted, &error))?.under(policy))
}

/// What the user sees of an error of the keys rooms.
pub(super) fn failure(attempted: &str, error: &KeysError) -> Failure {
    let (exit, anchor, advice) = advice(error);
    Failure::new(exit, anchor, attempted, error, advice)
}

/// Exit code, anchor in `docs/errors.md`, and what to do.
fn advice(error: &KeysError) -> (Exit, &'static str, &'static str) {
    use KeysError as E;
    match error {
        E::StoreMissing { .. } => (
            Exit::Store,
            "store-missing",
            "run `columnseal init`, or set COLUMNSEAL_HOME or [keys] store to where the store is",
        ),
        E::StoreLocked { .. } => {
            (Exit::Store, "store-locked", "wait for the other process, or end it, and run this again")
        }
        E::StoreCorrupt { .. } => {
            (Exit::Store, "store-corrupt", "restore the store and its root key from a backup of both")
        }
        E::StoreNewer { .. } => (Exit::Store, "store-newer", "use the newer columnseal that wrote the store"),
        E::OtherWorkspace { .. } => {
            (Exit::Store, "other-workspace", "use the client key that belongs to this store, or name the right store")
        }
        E::RootKey { fault, .. } => (Exit::Store, "root-key", root_key(fault)),
        E::FileMode { .. } => (Exit::Store, "file-mode", "take the rights of group and others away: chmod go= FILE"),
        E::DeviceKeyMissing { .. } => (
            Exit::Store,
            "device-key",
            "run `columnseal init` on this device, or run the command where the workspace was made",
        ),
        E::File { .. } => (Exit::Store, "files", "look at the path, its owner and the space left on the disk"),
        E::Tampered { .. } => {
            (Exit::Store, "tampered", "do not go on: find out who wrote to the store, and restore it")
        }
        E::RolledBack { .. } => (
            Exit::Store,
            "rolled-back",
            "put the newest copy of the store in place; if the older one is meant, remove the folder seen in COLUMNSEAL_HOME",
        ),
        E::ClientUnknown { .. } => (Exit::Keys, "client-unknown", "`columnseal client list` shows every client"),
        E::ClientDisabled { .. } => (Exit::Keys, "client-disabled", "an admin can run `columnseal client enable ID`"),
        E::ClientExpired { .. } => {
            (Exit::Keys, "client-expired", "make a new client key: `columnseal client create NAME`")
        }
        E::NoGrant { .. } | E::Revoked { .. } | E::GrantExpired { .. } => {
            (Exit::Keys, "no-grant", "an admin can run `columnseal client grant ID KEYSET`")
        }
        E::UnknownKeyset { .. } => (Exit::Keys, "keyset-unknown", "`columnseal keyset list` shows every keyset"),
        E::KeysetDisabled { .. } => {
            (Exit::Keys, "keyset-disabled", "an admin can run `columnseal keyset enable KEYSET`")
        }
        E::NoKeysetChosen => (Exit::Keys, "no-keyset", "set [keys] keyset"),
        E::PermissionMissing { .. } => {
            (Exit::Keys, "permission", "an admin can grant it: `columnseal client grant ID KEYSET --allow …`")
        }
        E::NotAdmin { .. } => (Exit::Keys, "not-admin", "run the command with the device key of an admin"),
        E::LeaseExpired { .. } | E::Unavailable { .. } | E::BadAnswer { .. } | E::Refused { .. } => {
            (Exit::Store, "key-service", "look at the key store or key server, and run this again")
        }
        E::NotWritable { .. } => {
            (Exit::Store, "store-full", "make room for the store, or make it writable, and run this again")
        }
        E::ClockSkew { .. } => (Exit::Failed, "clock", "set the clock of this machine"),
        E::TooManyRequests { .. } => (Exit::Failed, "rate", "wait a moment and run this again"),
        E::Sealed => (Exit::Store, "sealed", "an admin runs `columnseal store unseal`"),
        E::OutcomeUnknown => (Exit::Store, "outcome-unknown", "look whether it was done, and run this again if not"),
        E::Policy { .. } => {
            (Exit::Keys, "policy", "use an application key, or a keyset that was made with --development")
        }
        E::Conflict => (Exit::Failed, "conflict", "run this again"),
        E::Exists { .. } => (Exit::Failed, "exists", "choose another name, or use the one there is"),
        _ => (Exit::Failed, "invalid", "correct what is named"),
    }
}

fn root_key(fault: &RootKeyFault) -> &'static str {
    use RootKeyFault as F;
    match fault {
        F::Missing(_) | F::Wrong => {
            "put back a root key of this store, or name it by root_key; `columnseal store status` lists them"
        }
        F::Malformed(_) => "put back the root key as it was made, or correct how it is named",
        F::Unreachable(_) => "make the service or device that holds it reachable, and run this again",
        F::Disabled(_) => "enable it where it is kept, or open the store by another of its root keys",
        F::Denied(_) => "give this caller the right to encrypt and decrypt with it",
        F::BadAnswer(_) => "look at what answers there, and trust it only when that is known",
        F::NotBuilt(_) => "use a binary with that feature, or another kind of root key",
    }
}

/// `90d`, `12h`, ….
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    parse_span(text).filter(|span| !span.is_zero()).ok_or_else(|| "write a time span such as 90d or 12h".to_owned())
}

/// A name for people to read: `value`, or a dash.
pub(super) fn or_dash(value: Option<&String>) -> String {
    value.map_or_else(|| "-".to_owned(), Clone::clone)
}

/// A result as JSON.
pub(super) fn json<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::to_value(value).expect("these structs have string keys and no failing parts")
}
