//! Counts of one user, database, address and shape of statement since the last write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::keys::access::{AccessRecord, MAX_STATEMENT, TypeAccess};
use crate::schema::catalog::EncType;
use crate::sql::{Shape, ShapeId};

/// Id of the shape of statements that are not kept apart.
const OTHER: &str = "other";

const _: () = assert!(Shape::MAX_TEXT <= MAX_STATEMENT, "the key service takes every shape");

/// Who uses a connection, and from where.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(in crate::session) struct Who {
    /// The role that logged in.
    pub(in crate::session) user: Arc<str>,
    pub(in crate::session) database: Arc<str>,
    /// Address without port, or `local`.
    pub(in crate::session) peer: Arc<str>,
}

/// What is kept apart.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) who: Arc<Who>,
    /// `None`: of all shapes beyond those kept apart.
    pub(super) shape: Option<Arc<Shape>>,
}

impl Key {
    fn id(&self) -> Option<ShapeId> {
        self.shape.as_ref().map(|shape| shape.id)
    }

    pub(super) fn without_shape(self) -> Key {
        Key { shape: None, ..self }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.id() == other.id() && self.who == other.who
    }
}

impl Eq for Key {}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id().hash(state);
        self.who.hash(state);
    }
}

/// Values of one encrypted type.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) enc: Arc<EncType>,
    pub(super) opened: u64,
    pub(super) masked: u64,
    pub(super) sealed: u64,
    pub(super) searched: u64,
}

impl Use {
    pub(super) fn of(enc: &Arc<EncType>) -> Use {
        Use { enc: Arc::clone(enc), opened: 0, masked: 0, sealed: 0, searched: 0 }
    }

    /// Takes the other's counts.
    pub(super) fn take(&mut self, other: &mut Use) {
        self.opened += std::mem::take(&mut other.opened);
        self.masked += std::mem::take(&mut other.masked);
        self.sealed += std::mem::take(&mut other.sealed);
        self.searched += std::mem::take(&mut other.searched);
    }

    fn is_empty(&self) -> bool {
        self.opened + self.sealed + self.searched == 0
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Begin of the window, where it is not that of the last write.
    pub(super) since: Option<u64>,
    pub(super) statements: u64,
    pub(super) refused: u64,
    pub(super) uses: Vec<Use>,
}

impl Counts {
    /// Takes the counts of `uses`, which stay there as zeros.
    pub(super) fn add(&mut self, statements: u64, refused: u64, uses: &mut [Use]) {
        self.statements += statements;
        self.refused += refused;
        for from in uses.iter_mut().filter(|from| !from.is_empty()) {
            self.of(&from.enc).take(from);
        }
    }

    fn of(&mut self, enc: &Arc<EncType>) -> &mut Use {
        let at = self.uses.iter().position(|known| known.enc.def.id == enc.def.id).unwrap_or_else(|| {
            self.uses.push(Use::of(enc));
            self.uses.len() - 1
        });
        &mut self.uses[at]
    }

    fn is_empty(&self) -> bool {
        self.statements + self.refused == 0 && self.uses.iter().all(Use::is_empty)
    }
}

/// An entry. Sessions add to it once a batch.
#[derive(Debug)]
pub(in crate::session) struct Entry {
    key: Key,
    counts: Mutex<Counts>,
}

impl Entry {
    pub(super) fn new(key: Key) -> Self {
        Entry { key, counts: Mutex::default() }
    }

    /// One that only says what was lost.
    pub(super) fn of_nobody() -> Self {
        Entry::new(Key { who: Arc::default(), shape: None })
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was counted, if anything was; `since`: begin of the window.
    pub(super) fn take(&self, since: u64) -> Option<Counts> {
        let mut counts = self.counts();
        if counts.is_empty() {
            return None;
        }
        let mut taken = std::mem::take(&mut *counts);
        taken.since.get_or_insert(since);
        Some(taken)
    }

    /// Takes back what could not be written.
    pub(super) fn put_back(&self, mut earlier: Counts) {
        let mut counts = self.counts();
        counts.since = earlier.since;
        counts.add(earlier.statements, earlier.refused, &mut earlier.uses);
    }

    /// As it is written.
    pub(super) fn record(&self, client: &str, counts: &Counts, until_ms: u64) -> AccessRecord {
        let Key { who, shape } = &self.key;
        let one = |used: &Use| TypeAccess {
            id: used.enc.def.id.to_string(),
            name: used.enc.def.name.clone(),
            opened: used.opened,
            masked: used.masked,
            sealed: used.sealed,
            searched: used.searched,
        };
        AccessRecord {
            from_ms: counts.since.unwrap_or(until_ms),
            until_ms,
            client: client.to_owned(),
            database: who.database.to_string(),
            user: who.user.to_string(),
            peer: who.peer.to_string(),
            shape: shape.as_ref().map_or_else(|| OTHER.to_owned(), |shape| shape.id.to_string()),
            statement: shape.as_ref().map(|shape| shape.text.to_string()).unwrap_or_default(),
            statements: counts.statements,
            refused: counts.refused,
            types: counts.uses.iter().map(one).collect(),
            lost: 0,
        }
    }
}
