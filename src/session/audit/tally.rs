//! Counts of one session since its last batch.

use std::collections::HashMap;
use std::sync::Arc;

use super::Audit;
use super::entry::{Entry, Key, Use, Who};
use crate::schema::catalog::EncType;
use crate::sql::{Shape, ShapeId};

/// Entries that a session keeps at hand, so that it seldom asks for one.
const KNOWN: usize = 64;

/// One connection, as the audit sees it.
pub(in crate::session) struct Observer {
    audit: Arc<Audit>,
    who: Arc<Who>,
    known: HashMap<ShapeId, Arc<Entry>>,
}

impl Observer {
    pub(in crate::session) fn new(audit: &Arc<Audit>, who: Who) -> Self {
        Observer { audit: Arc::clone(audit), who: Arc::new(who), known: HashMap::new() }
    }

    /// The entry that runs of a shape are counted in. `None`: nothing is recorded.
    pub(in crate::session) fn entry(&mut self, shape: impl FnOnce() -> Arc<Shape>) -> Option<Arc<Entry>> {
        if self.audit.off {
            return None;
        }
        let shape = shape();
        if let Some(entry) = self.known.get(&shape.id) {
            return Some(Arc::clone(entry));
        }
        let id = shape.id;
        let entry = self.audit.entry(Key { who: Arc::clone(&self.who), shape: Some(shape) });
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(id, Arc::clone(&entry));
        Some(entry)
    }

    /// Statements on encrypted columns must be refused, since they cannot be recorded.
    pub(in crate::session) fn refuses(&self) -> bool {
        self.audit.refuses()
    }
}

/// What was counted since the last batch, of one entry at a time. Without an entry nothing is.
#[derive(Default)]
pub(in crate::session) struct Tally {
    entry: Option<Arc<Entry>>,
    statements: u64,
    refused: u64,
    /// Kept from batch to batch, so that nothing is allocated.
    uses: Vec<Use>,
    /// Opened values of the row at hand, by place in `uses`: opened, masked.
    row: Vec<(u64, u64)>,
}

impl Tally {
    /// What follows counts for this entry.
    pub(in crate::session) fn turn_to(&mut self, entry: Option<&Arc<Entry>>) {
        let same = match (&self.entry, entry) {
            (Some(ours), Some(other)) => Arc::ptr_eq(ours, other),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.settle();
            self.uses.clear();
            self.row.clear();
            self.entry = entry.cloned();
        }
    }

    /// A statement of this entry is bound, to be run.
    pub(in crate::session) fn ran(&mut self, entry: Option<&Arc<Entry>>) {
        self.turn_to(entry);
        self.statements += 1;
    }

    /// A statement of this entry was refused because of the role.
    pub(in crate::session) fn refused(&mut self, entry: Option<&Arc<Entry>>) {
        self.turn_to(entry);
        self.refused += 1;
    }

    fn of(&mut self, enc: &Arc<EncType>) -> usize {
        if let Some(at) = self.uses.iter().position(|known| known.enc.def.id == enc.def.id) {
            return at;
        }
        self.uses.push(Use::of(enc));
        self.row.push((0, 0));
        self.uses.len() - 1
    }

    /// A value was sealed.
    pub(in crate::session) fn sealed(&mut self, enc: &Arc<EncType>) {
        let at = self.of(enc);
        self.uses[at].sealed += 1;
    }

    /// Values are searched for.
    pub(in crate::session) fn searched(&mut self, enc: &Arc<EncType>, values: usize) {
        let at = self.of(enc);
        self.uses[at].searched += values as u64;
    }

    /// A value of the row at hand was opened. Counts once the row is done.
    pub(in crate::session) fn opened(&mut self, enc: &Arc<EncType>, masked: bool) {
        let at = self.of(enc);
        let (opened, hidden) = &mut self.row[at];
        *opened += 1;
        *hidden += u64::from(masked);
    }

    /// So many values of the row at hand were opened, to be taken together.
    pub(in crate::session) fn opened_many(&mut self, enc: &Arc<EncType>, values: u64) {
        if values > 0 {
            let at = self.of(enc);
            self.row[at].0 += values;
        }
    }

    /// The row at hand is done, or begins anew (`counts` is false): then its values will be opened once more.
    pub(in crate::session) fn row_ends(&mut self, counts: bool) {
        for (used, (opened, masked)) in self.uses.iter_mut().zip(&mut self.row) {
            if counts {
                used.opened += *opened;
                used.masked += *masked;
            }
            (*opened, *masked) = (0, 0);
        }
    }

    /// Hands on what was counted.
    pub(in crate::session) fn settle(&mut self) {
        let (statements, refused) = (std::mem::take(&mut self.statements), std::mem::take(&mut self.refused));
        let Some(entry) = &self.entry else { return };
        let idle = statements + refused == 0 && self.uses.iter().all(|u| u.opened + u.sealed + u.searched == 0);
        if !idle {
            entry.counts().add(statements, refused, &mut self.uses);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.settle();
    }
}
