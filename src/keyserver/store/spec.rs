//! Which store: a file, or a database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use crate::keys::error::KeysError;

use super::Store;
use super::postgres::Postgres;
use super::sqlite::Sqlite;

/// Names a store: `sqlite:PATH`, a plain path, or `postgres://…`.
#[derive(Clone)]
pub enum StoreSpec {
    /// A file.
    Sqlite(PathBuf),
    /// A database, by its URL. It may hold a password.
    Postgres(SecretString),
}

impl StoreSpec {
    /// Opens an existing store. Never makes one.
    pub fn open(&self) -> Result<Box<dyn Store>, KeysError> {
        Ok(match self {
            StoreSpec::Sqlite(path) => Box::new(Sqlite::open(path)?),
            StoreSpec::Postgres(url) => Box::new(Postgres::open(url.expose_secret())?),
        })
    }

    /// Makes an empty store; one that is there is opened.
    pub fn create(&self) -> Result<Box<dyn Store>, KeysError> {
        Ok(match self {
            StoreSpec::Sqlite(path) => Box::new(Sqlite::create(path)?),
            StoreSpec::Postgres(url) => Box::new(Postgres::create(url.expose_secret())?),
        })
    }

    /// Makes an empty store with the schema of that version; one that is there is opened as it is.
    pub(super) fn create_at(&self, version: u32) -> Result<Box<dyn Store>, KeysError> {
        Ok(match self {
            StoreSpec::Sqlite(path) => Box::new(Sqlite::create_at(path, version)?),
            StoreSpec::Postgres(url) => Box::new(Postgres::create_at(url.expose_secret(), version)?),
        })
    }

    /// It is a file, and there is none.
    pub fn is_missing(&self) -> bool {
        self.path().is_some_and(|path| !path.exists())
    }

    /// The file, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            StoreSpec::Sqlite(path) => Some(path),
            StoreSpec::Postgres(_) => None,
        }
    }
}

impl FromStr for StoreSpec {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        let text = text.trim();
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(StoreSpec::Postgres(text.to_owned().into()));
        }
        let path = text.strip_prefix("sqlite:").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(KeysError::invalid("a key store is sqlite:PATH or postgres://USER@HOST/DATABASE"));
        }
        Ok(StoreSpec::Sqlite(PathBuf::from(path)))
    }
}

impl From<PathBuf> for StoreSpec {
    fn from(path: PathBuf) -> Self {
        StoreSpec::Sqlite(path)
    }
}

/// Without password.
impl fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreSpec::Sqlite(path) => path.display().fmt(f),
            StoreSpec::Postgres(url) => f.write_str(&super::postgres::shown(url.expose_secret())),
        }
    }
}

impl fmt::Debug for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_databases_are_told_apart() {
        for (text, shown) in [
            ("sqlite:/a/b.db", "/a/b.db"),
            ("/a/b.db", "/a/b.db"),
            ("postgres://u:geheim@h:1/d", "postgres://u@h:1/d"),
            ("postgresql://h/d?user=u&password=geheim", "postgres://u@h:5432/d"),
            ("postgres://u:geheim@h:x/d", "postgres://…"),
        ] {
            let spec = text.parse::<StoreSpec>().expect("a store");
            assert_eq!((spec.to_string().as_str(), format!("{spec:?}").contains("geheim")), (shown, false));
        }
        for bad in ["", "sqlite:", "mysql://h/d", "https://h"] {
            assert!(matches!(bad.parse::<StoreSpec>(), Err(KeysError::Invalid { .. })), "{bad}");
        }
    }
}
