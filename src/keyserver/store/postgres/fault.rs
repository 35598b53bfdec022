//! What PostgreSQL says, as errors of the keys room. Never with the URL's password.

use std::path::PathBuf;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::keys::error::KeysError;
use crate::net::settings::Target;

/// Where a store is, as it may be shown.
pub(super) struct Place(String);

/// What to do about a statement that failed.
#[derive(PartialEq, Eq)]
pub(super) enum Remedy {
    /// The same again, on the same connection: others were in the way.
    Again,
    /// The same again, on another connection.
    Reconnect,
    /// Nothing.
    Tell,
}

impl Place {
    pub(super) fn of(target: &Target) -> Self {
        let hosts = target.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect::<Vec<_>>().join(",");
        let user = target.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        Self(format!("postgres://{user}{hosts}/{}", target.name.as_deref().unwrap_or_default()))
    }

    pub(super) fn shown(self) -> String {
        self.0
    }

    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(&self.0)
    }

    pub(super) fn corrupt(&self, what: &str) -> KeysError {
        KeysError::StoreCorrupt { path: self.path(), what: what.to_owned() }
    }

    pub(super) fn unavailable(&self, why: &str) -> KeysError {
        KeysError::unavailable(format!("the key store {}: {why}", self.0))
    }

    fn not_writable(&self, why: &'static str) -> KeysError {
        KeysError::NotWritable { store: format!("the key store {}", self.0).into(), why: why.into() }
    }

    pub(super) fn fault(&self, error: &Error) -> KeysError {
        let Some(said) = error.as_db_error() else {
            return match error.is_closed() {
                true => self.unavailable("the connection was lost"),
                // What was sent or came is not of the type it should have.
                false if std::error::Error::source(error).is_some_and(|why| why.is::<std::io::Error>()) => {
                    self.unavailable("the connection was lost")
                }
                false => self.corrupt("a row is not as it was written"),
            };
        };
        match said.code() {
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED | &SqlState::LOCK_NOT_AVAILABLE => {
                KeysError::StoreLocked { path: self.path() }
            }
            &SqlState::DISK_FULL => self.not_writable("its disk is full"),
            &SqlState::READ_ONLY_SQL_TRANSACTION => self.not_writable("it is read-only"),
            &SqlState::QUERY_CANCELED => self.unavailable("it did not answer in time"),
            &SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN => self.corrupt("a table is missing"),
            &SqlState::CHARACTER_NOT_IN_REPERTOIRE => {
                KeysError::invalid("a name holds characters that cannot be stored")
            }
            // The row type of a table that another server makes at this moment counts as an object.
            &SqlState::DUPLICATE_TABLE | &SqlState::DUPLICATE_OBJECT => {
                KeysError::Exists { what: "a table of the key store".to_owned() }
            }
            code if code.code().starts_with("23") => self.corrupt("its rows contradict each other"),
            code if code.code().starts_with("XX") => self.corrupt("a page is damaged"),
            _ => self.unavailable(&format!("{} ({})", said.message(), said.code().code())),
        }
    }
}

impl Remedy {
    pub(super) fn of(error: &Error) -> Self {
        let Some(code) = error.code() else {
            let lost =
                error.is_closed() || std::error::Error::source(error).is_some_and(|why| why.is::<std::io::Error>());
            return if lost { Remedy::Reconnect } else { Remedy::Tell };
        };
        match code.code() {
            "40001" | "40P01" => Remedy::Again,
            // The server is ending, restarting, or ended this session.
            "57P01" | "57P02" | "57P03" | "25P03" => Remedy::Reconnect,
            code if code.starts_with("08") => Remedy::Reconnect,
            _ => Remedy::Tell,
        }
    }
}
