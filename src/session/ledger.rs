//! What the server still owes: one entry per message sent to it that it answers, in order.
//!
//! PostgreSQL answers in order, and after an error skips to the next Sync; the ledger does the same, and takes back
//! what skipped messages would have changed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::choice::Turn;
use super::prepared::{Bound, Forwarded, Portal, Seen, Source, Statement};
use crate::schema::catalog::Oid;
use crate::sql::PositionMap;
use crate::wire::error::PgError;

/// Who reads the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reader {
    /// The client.
    Client,
    /// Nobody, unless it is an error, which goes to the client.
    Nobody,
    /// The session itself; an error goes to the client.
    Session,
}

/// What a message does to the names that the server keeps, and how to take it back.
#[derive(Debug)]
pub(super) enum Undo {
    /// Nothing to take back.
    None,
    /// The statement of this name was another, or none, before.
    Statement(Box<[u8]>, Option<Statement>),
    /// The portal of this name was another, or none, before.
    Portal(Box<[u8]>, Option<Bound>),
}

/// A message that awaits its answer.
#[derive(Debug)]
pub(super) enum Await {
    /// Parse.
    Parse(Undo),
    /// Parse for a client that sent PREPARE as a simple query.
    Prepare(Undo),
    /// Bind; the RowDescription to announce to a client that sent a simple query.
    Bind(Undo, Option<Arc<Portal>>),
    /// Close.
    Close(Undo),
    /// Describe of a statement: of a plan, or forwarded.
    DescribeStatement(Option<Statement>),
    /// Describe of a portal: of a plan, or forwarded.
    DescribePortal(Option<Arc<Portal>>),
    /// Describe of a cursor, by the portal that declared it.
    DescribeCursor(Arc<Portal>),
    /// Describe of a portal for a client that sent a simple query: NoData is not for it.
    DescribeQuietly,
    /// Execute: rows of a plan, or forwarded.
    Execute(Option<Arc<Portal>>),
    /// Execute of a step of a statement; what the client is told, where it is the last.
    Step(Option<&'static str>),
    /// Simple query, forwarded: ends with ReadyForQuery.
    Query,
    /// Function call: ends with ReadyForQuery.
    FunctionCall,
    /// Sync: ends with ReadyForQuery.
    Sync,
    /// A statement made to fail in place of one that is refused. Its error is replaced by ours.
    Poison(Box<PgError>),
    /// As `Poison`, as a simple query: ends with ReadyForQuery.
    PoisonQuery(Box<PgError>),
}

impl Await {
    /// Its answer ends with ReadyForQuery: what an error skips to.
    pub(super) fn ends_ready(&self) -> bool {
        matches!(self, Await::Query | Await::FunctionCall | Await::Sync | Await::PoisonQuery(_))
    }
}

/// An entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) what: Await,
    pub(super) reader: Reader,
    /// Statement whose text the server sees, for mapping error positions.
    pub(super) statement: Option<Statement>,
    /// What its statements do to the choice of keyset once they are complete, the next one last.
    pub(super) turns: Vec<Turn>,
    /// Of a text that was edited on its way, from its places to the client's.
    pub(super) edited: Option<PositionMap>,
    /// Its answer may change the choice.
    moves: bool,
}

/// Statements and portals by name, as the server will have them once it has seen everything sent.
#[derive(Debug, Default)]
pub(super) struct Names {
    statements: HashMap<Box<[u8]>, Statement>,
    portals: HashMap<Box<[u8]>, Bound>,
    /// Plans that were replaced or closed by messages not answered yet.
    unsure: HashSet<Box<[u8]>>,
    /// Statements that go once DEALLOCATE ALL or DISCARD ALL has run.
    doomed: HashSet<Box<[u8]>>,
    /// What the unnamed statement was made of, if it was forwarded. Kept apart, so that it needs no memory of its own.
    unnamed: Source,
}

impl Names {
    /// What is known of a statement. `None`: it was not prepared by a message, or was refused.
    pub(super) fn statement(&self, name: &[u8]) -> Option<&Statement> {
        self.statements.get(name)
    }

    /// The portal of this name, if running it needs a look.
    pub(super) fn portal(&self, name: &[u8]) -> Option<&Bound> {
        self.portals.get(name)
    }

    /// Some statement with a plan is prepared.
    pub(super) fn has_plans(&self) -> bool {
        self.statements.values().any(|s| matches!(s, Statement::Plan(..)))
    }

    /// A statement is about to be replaced or dropped by SQL.
    pub(super) fn doom(&mut self, name: &str) {
        if self.statements.contains_key(name.as_bytes()) {
            self.doomed.insert(name.as_bytes().into());
        }
    }

    /// It was.
    pub(super) fn drop_if_doomed(&mut self, name: &str) {
        if self.doomed.remove(name.as_bytes()) || self.statements.get(name.as_bytes()).is_some_and(is_by_sql) {
            self.statements.remove(name.as_bytes());
        }
    }

    /// A statement that touches nothing was prepared by SQL.
    pub(super) fn prepared_by_sql(&mut self, name: &str, text: &str) {
        self.doomed.remove(name.as_bytes());
        self.statements.insert(name.as_bytes().into(), Statement::Forwarded(Forwarded::by_sql(text)));
    }

    /// All named statements are about to be dropped by SQL.
    pub(super) fn doom_statements(&mut self) {
        self.doomed = self.statements.keys().filter(|name| !name.is_empty()).cloned().collect();
    }

    /// They were.
    pub(super) fn drop_doomed(&mut self) {
        for name in self.doomed.drain() {
            self.statements.remove(&name);
        }
        // Those are known once they are there, in the order of the server's answers.
        self.statements.retain(|_, statement| !is_by_sql(statement));
    }

    /// A plan of this name was replaced or closed, and the server has not said yet whether that holds.
    pub(super) fn is_unsure(&self, name: &[u8]) -> bool {
        self.unsure.contains(name)
    }

    /// Everything that was sent is answered.
    pub(super) fn settle(&mut self) {
        self.unsure.clear();
        self.doomed.clear();
    }

    /// No transaction is open: its portals are gone.
    pub(super) fn forget_portals(&mut self) {
        self.portals.clear();
    }

    /// Remembers what the unnamed statement is made of.
    pub(super) fn keep_unnamed(&mut self, sql: &[u8], oids: impl Iterator<Item = Oid>) {
        self.unnamed.sql.clear();
        self.unnamed.sql.extend_from_slice(sql);
        self.unnamed.oids.clear();
        self.unnamed.oids.extend(oids);
    }

    /// Text and declared types of a statement.
    pub(super) fn source(&self, name: &[u8]) -> Option<(Zeroizing<Vec<u8>>, Vec<Oid>)> {
        let (sql, oids) = match self.statements.get(name)? {
            Statement::Plan(prepared, _) => match &prepared.runs {
                Some(runs) => (runs.text.as_bytes(), &[][..]),
                None => (prepared.text.as_bytes(), &prepared.declared[..]),
            },
            Statement::Forwarded(forwarded) => {
                let source = forwarded.source.as_deref().unwrap_or(&self.unnamed);
                (source.sql.as_slice(), &source.oids[..])
            }
        };
        Some((Zeroizing::new(sql.to_vec()), oids.to_vec()))
    }

    /// The text of a statement that was forwarded.
    pub(super) fn text(&self, name: &[u8]) -> Option<&[u8]> {
        match self.statements.get(name)? {
            Statement::Plan(..) => None,
            Statement::Forwarded(forwarded) => Some(&forwarded.source.as_deref().unwrap_or(&self.unnamed).sql),
        }
    }

    /// The statement was analysed anew and is still the same.
    pub(super) fn confirm(&mut self, name: &[u8], seen: Seen) {
        if let Some(statement) = self.statements.get_mut(name) {
            *statement = statement.clone().seen_at(seen);
        }
    }

    /// Sets or removes a statement.
    pub(super) fn set_statement(&mut self, name: &[u8], new: Option<Statement>) -> Undo {
        let old = match new {
            Some(statement) => self.statements.insert(name.into(), statement),
            None if self.statements.is_empty() => return Undo::None,
            None => match self.statements.remove(name) {
                Some(old) => Some(old),
                None => return Undo::None,
            },
        };
        self.doomed.remove(name);
        if !name.is_empty() && matches!(old, Some(Statement::Plan(..))) {
            self.unsure.insert(name.into());
        }
        Undo::Statement(name.into(), old)
    }

    /// Sets or removes a portal.
    pub(super) fn set_portal(&mut self, name: &[u8], new: Option<Bound>) -> Undo {
        let old = match new {
            Some(portal) => self.portals.insert(name.into(), portal),
            None if self.portals.is_empty() => return Undo::None,
            None => match self.portals.remove(name) {
                Some(old) => Some(old),
                None => return Undo::None,
            },
        };
        Undo::Portal(name.into(), old)
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::None => {}
            // What it was made of is gone.
            Undo::Statement(name, Some(Statement::Forwarded(_))) if name.is_empty() => {
                drop(self.statements.remove(&name))
            }
            Undo::Statement(name, Some(old)) => drop(self.statements.insert(name, old)),
            Undo::Statement(name, None) => drop(self.statements.remove(&name)),
            Undo::Portal(name, Some(old)) => drop(self.portals.insert(name, old)),
            Undo::Portal(name, None) => drop(self.portals.remove(&name)),
        }
    }
}

fn is_by_sql(statement: &Statement) -> bool {
    matches!(statement, Statement::Forwarded(Forwarded { by_sql: true, .. }))
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    queue: VecDeque<Entry>,
    /// The server skips everything until the next Sync.
    pub(super) skipping: bool,
    /// The open transaction holds a choice of keyset that its end may change.
    pub(super) choice_open: bool,
    /// The client's message at hand was edited: for the entry that its text is of.
    pub(super) edited: Option<PositionMap>,
    /// Entries whose answer may change the choice.
    moving: usize,
}

impl Ledger {
    /// A message was sent whose answer the client reads.
    pub(super) fn expect(&mut self, what: Await) {
        self.push(what, Reader::Client, None);
    }

    /// A message was sent. While the server skips, only what ends with ReadyForQuery is answered.
    pub(super) fn push(&mut self, what: Await, reader: Reader, statement: Option<Statement>) {
        self.push_entry(what, reader, statement, Vec::new());
    }

    /// As [`expect`](Self::expect), of statements that may change the choice of keyset.
    pub(super) fn expect_turns(&mut self, what: Await, turns: Vec<Turn>) {
        self.push_entry(what, Reader::Client, None, turns);
    }

    fn push_entry(&mut self, what: Await, reader: Reader, statement: Option<Statement>, turns: Vec<Turn>) {
        if self.skipping {
            if !matches!(what, Await::Sync) {
                return;
            }
            self.skipping = false;
        }
        let ends = what.ends_ready() || turns.iter().any(Turn::ends);
        let moves = turns.iter().any(Turn::sets) || (ends && (self.choice_open || self.moving > 0));
        self.moving += usize::from(moves);
        let is_text = reader == Reader::Client && matches!(what, Await::Query | Await::Parse(_));
        let edited = if is_text { self.edited.take() } else { None };
        self.queue.push_back(Entry { what, reader, statement, turns, edited, moves });
    }

    /// What the session has chosen may be another once everything sent is answered.
    pub(super) fn is_moving(&self) -> bool {
        self.moving > 0
    }

    /// What the next complete statement does to what the session has chosen.
    pub(super) fn turn(&mut self) -> Option<Turn> {
        self.queue.front_mut()?.turns.pop()
    }

    /// What the next answer is for.
    pub(super) fn front(&self) -> Option<&Entry> {
        self.queue.front()
    }

    /// The last message sent was a simple query, forwarded as it is.
    pub(super) fn ends_in_query(&self) -> bool {
        self.queue.back().is_some_and(|e| matches!(e.what, Await::Query))
    }

    /// The answer is complete.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.queue.pop_front()?;
        self.moving -= usize::from(entry.moves);
        Some(entry)
    }

    /// Nothing is owed.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Number of answers owed.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Answers owed that the session reads.
    pub(super) fn own(&self) -> usize {
        self.queue.iter().filter(|e| e.reader == Reader::Session).count()
    }

    /// The server reported an error for the front entry: drops everything up to what ends with ReadyForQuery and takes
    /// back what the dropped messages would have changed. Returns the names of statements whose Parse was dropped.
    pub(super) fn fail(&mut self, names: &mut Names) -> Vec<Box<[u8]>> {
        // After an error of the extended protocol the server skips to Sync, over simple queries too.
        let skips_to_sync = self.queue.front().is_some_and(|e| !e.what.ends_ready());
        let is_end = |e: &Entry| if skips_to_sync { matches!(e.what, Await::Sync) } else { e.what.ends_ready() };
        let end = self.queue.iter().position(is_end);
        self.skipping = end.is_none();
        let dropped: Vec<Entry> = self.queue.drain(..end.unwrap_or(self.queue.len())).collect();
        self.moving -= dropped.iter().filter(|e| e.moves).count();
        let mut parsed = Vec::new();
        for entry in dropped.into_iter().rev() {
            match entry.what {
                Await::Parse(undo) | Await::Prepare(undo) => {
                    if let Undo::Statement(name, None) = &undo
                        && !name.is_empty()
                    {
                        parsed.push(name.clone());
                    }
                    names.undo(undo);
                }
                Await::Bind(undo, _) | Await::Close(undo) => names.undo(undo),
                _ => {}
            }
        }
        parsed
    }
}
