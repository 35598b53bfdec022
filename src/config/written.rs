//! Which settings were written, and whether they are still the same. Of a value only a hash is kept: it may be a secret.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use super::raw::Raw;

/// Keyed by chance, so that no value can be found by trying.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Hashes of what was written, by `section.key`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written(BTreeMap<String, u64>);

impl Written {
    pub(super) fn of(raw: &Raw) -> Self {
        Written(raw.all().map(|(key, value)| (key.to_owned(), HASHER.hash_one(value.to_string()))).collect())
    }

    /// Keys that are written otherwise than before, or on one side only.
    pub fn differs(&self, before: &Written) -> Vec<String> {
        let here = self.0.iter().filter(|(key, hash)| before.0.get(*key) != Some(hash)).map(|(key, _)| key.clone());
        let gone = before.0.keys().filter(|key| !self.0.contains_key(*key)).cloned();
        let mut keys: Vec<String> = here.chain(gone).collect();
        keys.sort();
        keys
    }

    /// Takes over one key.
    pub fn take(&mut self, key: &str, from: &Written) {
        match from.0.get(key) {
            Some(hash) => self.0.insert(key.to_owned(), *hash),
            None => self.0.remove(key),
        };
    }
}
