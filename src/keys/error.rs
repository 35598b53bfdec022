//! What can go wrong with keys. Each message is one plain line; callers add what was attempted. No secrets in any.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::crypto::Epoch;
use crate::crypto::random::RandomError;

use super::root_fault::RootKeyFault;
use super::service::Revision;

/// An error of the keys or keyserver room. In JSON its cause is `code`; what concerns one machine only never travels.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum KeysError {
    /// There is no key store at that path. Only `columnseal init` makes one.
    #[error("there is no key store at {}", path.display())]
    #[serde(skip)]
    StoreMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Another process held the store for longer than we wait.
    #[error("the key store {} is locked by another process", path.display())]
    #[serde(skip)]
    StoreLocked {
        /// The store.
        path: PathBuf,
    },
    /// The store's file is damaged or is no key store.
    #[error("the key store {} is corrupt: {what}", path.display())]
    #[serde(skip)]
    StoreCorrupt {
        /// The store.
        path: PathBuf,
        /// What does not hold.
        what: String,
    },
    /// The store was written by a newer columnseal.
    #[error("the key store {} has schema version {found}, this columnseal knows up to {known}", path.display())]
    #[serde(skip)]
    StoreNewer {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this binary knows.
        known: u32,
    },
    /// The store belongs to another workspace than the client key.
    #[error("the key store belongs to workspace {found}, the client key to workspace {expected}")]
    OtherWorkspace {
        /// Root fingerprint of the store.
        found: String,
        /// Root fingerprint in the client key.
        expected: String,
    },
    /// The root key that was named does not open the store.
    #[error("the root key {key} {fault}")]
    #[serde(skip)]
    RootKey {
        /// How the settings name it, without secrets.
        key: String,
        /// What is wrong with it.
        fault: RootKeyFault,
    },
    /// A secret file can be read by others.
    #[error("{} has mode {mode:04o}, it must not be accessible to group or others", path.display())]
    #[serde(skip)]
    FileMode {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is no device key: `columnseal init` makes it.
    #[error("there is no device key at {}", path.display())]
    #[serde(skip)]
    DeviceKeyMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A local file could not be read or written.
    #[error("{}: {why}", path.display())]
    #[serde(skip)]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        why: String,
    },
    /// Something signed does not check out.
    #[error("{what} does not check out: its signature or contents are not the workspace's")]
    Tampered {
        /// The thing, by kind and name.
        what: String,
    },
    /// The service shows an older state than one already seen.
    #[error("the key service went back from revision {seen} to {found}")]
    RolledBack {
        /// Highest revision seen.
        seen: Revision,
        /// Revision shown now.
        found: Revision,
    },
    /// The client is not known to the workspace.
    #[error("client {client} is unknown to this workspace")]
    ClientUnknown {
        /// Its id or name.
        client: String,
    },
    /// The client is disabled.
    #[error("client {client} is disabled")]
    ClientDisabled {
        /// Its id or name.
        client: String,
    },
    /// The client's key has expired.
    #[error("client {client} has expired")]
    ClientExpired {
        /// Its id or name.
        client: String,
    },
    /// The client never had a grant for the keyset.
    #[error("the client has no grant for keyset \"{keyset}\"")]
    NoGrant {
        /// Name or id.
        keyset: String,
    },
    /// The client's grant for the keyset was revoked.
    #[error("the client's grant for keyset \"{keyset}\" was revoked")]
    Revoked {
        /// Name or id.
        keyset: String,
    },
    /// The client's grant for the keyset has expired.
    #[error("the client's grant for keyset \"{keyset}\" has expired")]
    GrantExpired {
        /// Name or id.
        keyset: String,
    },
    /// There is no such keyset.
    #[error("keyset \"{keyset}\" does not exist")]
    UnknownKeyset {
        /// Name or id.
        keyset: String,
    },
    /// The keyset is disabled.
    #[error("keyset \"{keyset}\" is disabled")]
    KeysetDisabled {
        /// Name or id.
        keyset: String,
    },
    /// The epoch of a value was dropped: nobody can read it any more.
    #[error("epoch {} of keyset \"{keyset}\" was dropped, and what was encrypted under it with it", epoch.0)]
    EpochDropped {
        /// Name.
        keyset: String,
        /// The epoch.
        epoch: Epoch,
    },
    /// No keyset is configured for new values and none was chosen.
    #[error("no keyset is chosen")]
    NoKeysetChosen,
    /// The grant does not allow the act.
    #[error("the client's grant for keyset \"{keyset}\" does not allow to {permission}")]
    PermissionMissing {
        /// Name or id.
        keyset: String,
        /// `encrypt`, `decrypt`, `query` or `grant`.
        permission: Cow<'static, str>,
    },
    /// The client is not an admin of the workspace.
    #[error("client {client} is not an admin of this workspace")]
    NotAdmin {
        /// Its id or name.
        client: String,
    },
    /// The last answer of the key service no longer holds and there is no new one.
    #[error("the lease on keys has ended and could not be renewed: {why}")]
    LeaseExpired {
        /// Why renewal failed.
        why: String,
    },
    /// The connection was lost at the very end of a change.
    #[error("the connection to the key store was lost while a change was committed: it may have been done or not")]
    OutcomeUnknown,
    /// The key service does not answer.
    #[error("the key service is unavailable: {why}")]
    Unavailable {
        /// Why.
        why: String,
    },
    /// The store can be read, and takes no changes: keys that are held go on, new ones cannot be noted down.
    #[error("{store} takes no changes: {why}")]
    NotWritable {
        /// Which store, as the reader may know it.
        store: Cow<'static, str>,
        /// Why.
        why: Cow<'static, str>,
    },
    /// The key service answered with something that is not a valid answer.
    #[error("the key service gave a wrong answer: {what}")]
    BadAnswer {
        /// What does not hold.
        what: Cow<'static, str>,
    },
    /// A request was refused before it was looked at.
    #[error("the key service refused the request: {why}")]
    Refused {
        /// Why.
        why: Cow<'static, str>,
    },
    /// The client's clock is not the key service's.
    #[error("the client's clock is {} s {} the key service's", skew_ms.unsigned_abs().div_ceil(1000), if *skew_ms < 0 { "behind" } else { "ahead of" })]
    ClockSkew {
        /// By how much, in milliseconds; negative: it is behind.
        skew_ms: i64,
    },
    /// A fetch with the shares of a replaced grant: the client reads its state again and retries.
    #[error("the grant was replaced")]
    GrantChanged,
    /// Somebody else changed the workspace after the request's sender had looked at it.
    #[error("the workspace was changed by somebody else meanwhile")]
    Conflict,
    /// The client asks too often.
    #[error("the client asks too often, again in {retry_ms} ms")]
    TooManyRequests {
        /// When it may ask again.
        retry_ms: u64,
    },
    /// The store was restored from a backup and waits for an admin.
    #[error("the key store was restored from a backup and serves nobody until an admin acknowledges it")]
    Sealed,
    /// The key server's policy does not let this kind of client in.
    #[error("the key server's policy refuses: {why}")]
    Policy {
        /// What is not allowed.
        why: Cow<'static, str>,
    },
    /// What was asked for cannot be done with these inputs.
    #[error("{what}")]
    Invalid {
        /// The reason.
        what: String,
    },
    /// The thing exists already.
    #[error("{what} exists already")]
    Exists {
        /// The thing, by kind and name.
        what: String,
    },
}

/// Without randomness nothing can be made, now.
impl From<RandomError> for KeysError {
    fn from(error: RandomError) -> Self {
        Self::unavailable(error.to_string())
    }
}

impl KeysError {
    /// Something signed that does not check out.
    pub fn tampered(what: impl Into<String>) -> Self {
        Self::Tampered { what: what.into() }
    }

    /// As the error of a claim that came with a request: its sender is to blame, not the store.
    #[must_use]
    pub fn presented(self) -> Self {
        match self {
            Self::Tampered { what } => Self::invalid(format!(
                "{what} does not check out: it is malformed, or no admin of the workspace signed it"
            )),
            Self::OtherWorkspace { .. } => Self::invalid("the root of another workspace signed it"),
            other => other,
        }
    }

    /// Inputs that cannot be used.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into() }
    }

    /// A request that is refused before it is looked at.
    pub fn refused(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused { why: why.into() }
    }

    /// An answer that is not valid.
    pub fn bad_answer(what: impl Into<Cow<'static, str>>) -> Self {
        Self::BadAnswer { what: what.into() }
    }

    /// A grant that does not allow enough.
    pub fn missing(keyset: impl Into<String>, permission: impl Into<Cow<'static, str>>) -> Self {
        Self::PermissionMissing { keyset: keyset.into(), permission: permission.into() }
    }

    /// What another machine may know of it: not paths, nor what is wrong with a store.
    #[must_use]
    pub fn abroad(self) -> Self {
        match self {
            Self::StoreLocked { .. } => Self::unavailable("its key store is busy"),
            Self::StoreMissing { .. }
            | Self::StoreCorrupt { .. }
            | Self::StoreNewer { .. }
            | Self::RootKey { .. }
            | Self::FileMode { .. }
            | Self::DeviceKeyMissing { .. }
            | Self::File { .. } => Self::unavailable("its key store cannot be used"),
            Self::NotWritable { why, .. } => Self::NotWritable { store: "the key server's store".into(), why },
            Self::Unavailable { .. } => Self::unavailable("it cannot do its work just now"),
            other => other,
        }
    }

    /// The service is unavailable.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into() }
    }

    /// The code of a refusal that belongs into the audit trail: a client that proved who it is asked for what it may not have.
    pub fn refusal(&self) -> Option<String> {
        let refused = matches!(
            self,
            Self::ClientDisabled { .. }
                | Self::ClientExpired { .. }
                | Self::NoGrant { .. }
                | Self::Revoked { .. }
                | Self::GrantExpired { .. }
                | Self::KeysetDisabled { .. }
                | Self::PermissionMissing { .. }
                | Self::NotAdmin { .. }
                | Self::Policy { .. }
        );
        let code = |value: serde_json::Value| Some(value.get("code")?.as_str()?.to_owned());
        refused.then(|| serde_json::to_value(self).ok().and_then(code)).flatten()
    }

    /// The service cannot be asked or gives no answer just now: nothing says that access was taken away.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::StoreMissing { .. }
                | Self::StoreLocked { .. }
                | Self::StoreCorrupt { .. }
                | Self::Unavailable { .. }
                | Self::NotWritable { .. }
                | Self::LeaseExpired { .. }
                | Self::OutcomeUnknown
                | Self::File { .. }
                | Self::TooManyRequests { .. }
                | Self::Sealed
        )
    }

    /// Says nothing of the client's access: it is transient, or it is about the request as it arrived. Whoever ends TLS can
    /// spoil a request, and the service then signs that it was spoilt.
    pub fn leaves_access(&self) -> bool {
        self.is_transient() || matches!(self, Self::Refused { .. } | Self::Invalid { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::StoreMissing { .. } => "Run `columnseal init`, or point [keys] store at the key store.",
            Self::StoreLocked { .. } => {
                "Find the process that holds the store (`fuser`); columnseal's own never hold it for long."
            }
            Self::StoreCorrupt { .. } => "Restore the store from a back-up; nothing was written to it.",
            Self::StoreNewer { .. } => "Run the newer columnseal.",
            Self::OtherWorkspace { .. } => "Use the store and the client key of the same workspace.",
            Self::RootKey { fault, .. } => fault.hint(),
            Self::FileMode { .. } => "Run `chmod go=` on it, and consider whether it was read.",
            Self::DeviceKeyMissing { .. } => "Run `columnseal init` on this device, or set COLUMNSEAL_HOME.",
            Self::File { .. } => "Check that the file exists and may be read and written.",
            Self::Tampered { .. } => {
                "The key store was altered by something else than columnseal: restore it and find out by whom."
            }
            Self::RolledBack { .. } => {
                "Put the newest store back: an older one may hold grants that were revoked since. If it is meant, remove COLUMNSEAL_HOME/seen and start the proxy anew."
            }
            Self::ClientUnknown { .. } => {
                "Make a client key with `columnseal client create` and use its CS_CLIENT_KEY."
            }
            Self::ClientDisabled { .. } => "An admin can enable it with `columnseal client enable`.",
            Self::ClientExpired { .. } => "Make a new client key with `columnseal client create`.",
            Self::NoGrant { .. } | Self::Revoked { .. } | Self::GrantExpired { .. } => {
                "An admin can grant it with `columnseal client grant`."
            }
            Self::PermissionMissing { .. } => "An admin can grant more with `columnseal client grant`.",
            Self::EpochDropped { .. } => "Nothing can: the epoch's keys were shredded on purpose.",
            Self::UnknownKeyset { .. } => "See `columnseal keyset list`.",
            Self::KeysetDisabled { .. } => "An admin can enable it with `columnseal keyset enable`.",
            Self::NoKeysetChosen => "Set [keys] keyset, or SET columnseal.keyset = '<name>'.",
            Self::NotAdmin { .. } => "Use the device key of an admin.",
            Self::LeaseExpired { .. } | Self::Unavailable { .. } => {
                "Make the key service or its store reachable and try again."
            }
            Self::NotWritable { .. } => {
                "Make room, or make it writable: nothing was changed, and it goes on by itself."
            }
            Self::OutcomeUnknown => "Look whether the change was made before making it again.",
            Self::BadAnswer { .. } => "Do not trust this key service: check what runs there.",
            Self::Refused { .. } | Self::GrantChanged | Self::Conflict => "Try again.",
            Self::ClockSkew { .. } => "Set this machine's clock: requests may be at most 60 s off.",
            Self::TooManyRequests { .. } => "Wait a moment, or have the key server's limits raised.",
            Self::Sealed => {
                "An admin runs `columnseal store unseal`, here or with the key server's address, once what was taken away since the backup is known."
            }
            Self::Policy { .. } => "Use a client key of the kind that the key server's policy allows.",
            Self::Exists { .. } | Self::Invalid { .. } => "Choose other values and try again.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line_and_hints_are_sentences() {
        let path = PathBuf::from("/store");
        let all = [
            KeysError::StoreMissing { path: path.clone() },
            KeysError::StoreNewer { path: path.clone(), found: 2, known: 1 },
            KeysError::FileMode { path, mode: 0o644 },
            KeysError::Revoked { keyset: "default".into() },
            KeysError::LeaseExpired { why: "gone".into() },
            KeysError::NoKeysetChosen,
        ];
        for error in all {
            assert!(!error.to_string().contains('\n') && !error.to_string().ends_with('.'), "{error}");
            assert!(error.hint().ends_with('.'), "{error}");
        }
    }

    #[test]
    fn taken_access_is_not_transient() {
        assert!(KeysError::unavailable("x").is_transient());
        assert!(!KeysError::Revoked { keyset: "k".into() }.is_transient());
        assert!(!KeysError::ClientDisabled { client: "c".into() }.is_transient());
        assert!(!KeysError::tampered("x").is_transient());
        for error in [KeysError::Revoked { keyset: "k".into() }, KeysError::ClientUnknown { client: "c".into() }] {
            assert!(!error.leaves_access());
        }
        assert!(KeysError::refused("its signature is not the client's").leaves_access());
    }
}
