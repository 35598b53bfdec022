//! What a session knows beside its bytes: names, what the server owes, transaction, settings, catalog.

use std::sync::Arc;

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::audit::{Observer, Tally};
use super::built::Mark;
use super::cancel::Asked;
use super::catalog::Slot;
use super::choice::{Choice, Turn};
use super::cursors::Cursors;
use super::exchange::{Completed, Exchange, Watched};
use super::finish::Progress;
use super::ledger::{Await, Ledger, Names, Reader};
use super::prepared::{Portal, Seen, Statement, Turning};
use super::roles::Viewer;
use crate::crypto::envelope::DataKey;
use crate::crypto::{KeyId, KeysetId, Kref};
use crate::schema::catalog::Catalog;
use crate::sql::plan::{Effects, SessionState};
use crate::sql::{self, Act};
use crate::wire::error::PgError;
use crate::wire::server::TransactionStatus;
use crate::wire::sqlstate::SqlState;
use crate::wire::value;

/// What is known of the settings of the server's session.
#[derive(Default)]
pub(super) struct Vars {
    /// As `current_schemas(true)` says; `None`: to be asked.
    pub(super) search_path: Option<Vec<String>>,
    /// Grows whenever the search_path may have changed.
    path_version: u64,
    /// Something that may change settings was sent since the server last reported them, which it does before
    /// ReadyForQuery.
    pub(super) unsettled: bool,
    /// Something was set since the last time no transaction was open: its end may set it back.
    set_in_transaction: bool,
}

impl Vars {
    pub(super) fn forget_path(&mut self) {
        self.search_path = None;
        self.path_version += 1;
    }
}

/// What is counted while a batch of bytes is looked at.
#[derive(Default)]
pub(super) struct Counted {
    /// Values opened.
    pub(super) opened: ByKeyset,
    /// A row was refused with this.
    pub(super) refused: Option<SqlState>,
}

/// Values of a few keysets. Most values are of the keyset of the one before.
#[derive(Default)]
pub(super) struct ByKeyset(Vec<(KeysetId, u64)>);

impl ByKeyset {
    /// One more of this keyset.
    pub(super) fn add(&mut self, keyset: KeysetId) {
        match self.0.last_mut() {
            Some((last, values)) if *last == keyset => *values += 1,
            _ => self.turn_to(keyset),
        }
    }

    #[cold]
    fn turn_to(&mut self, keyset: KeysetId) {
        match self.0.iter().position(|(known, _)| *known == keyset) {
            Some(at) => {
                let last = self.0.len() - 1;
                self.0.swap(at, last);
                self.0[last].1 += 1;
            }
            None => self.0.push((keyset, 1)),
        }
    }

    /// Hands on what was counted, and keeps the room. How many in all.
    pub(super) fn take(&mut self, mut each: impl FnMut(KeysetId, u64)) -> u64 {
        let mut all = 0;
        for (keyset, values) in self.0.drain(..) {
            all += values;
            each(keyset, values);
        }
        all
    }
}

/// What the statements since the last Sync do.
#[derive(Default, Clone, Copy)]
pub(super) struct Batch {
    /// Some result has encrypted columns: it may still fail here.
    pub(super) opens: bool,
    /// How many statements were run.
    pub(super) runs: u32,
    /// A statement that writes was run with an aggregate that is computed here: it may fail when all is written.
    pub(super) undoes: bool,
    /// A statement that ends a transaction, or returns to a savepoint, was run.
    pub(super) turns: bool,
}

/// The catalog as this session sees it.
pub(super) struct View {
    pub(super) slot: Arc<Slot>,
    pub(super) catalog: Arc<Catalog>,
    /// Epoch of the slot before `catalog` was read; `None`: it was not read yet.
    pub(super) epoch: Option<u64>,
    /// DDL was sent since `catalog` was read.
    pub(super) dirty: bool,
    /// `catalog` holds what others do not see: an open transaction's DDL, or temporary objects.
    pub(super) private: bool,
    /// Temporary objects were made.
    pub(super) temporary: bool,
    /// The open transaction sees the catalog as it was when it began: it cannot be asked what changed since.
    pub(super) frozen: bool,
    /// DDL ran in the transaction that is open: others must read the catalog anew once it ends.
    pub(super) ddl_open: bool,
}

/// A session's state.
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) names: Names,
    pub(super) cursors: Cursors,
    pub(super) status: TransactionStatus,
    pub(super) vars: Vars,
    /// The keyset for new values and for search.
    pub(super) choice: Choice,
    pub(super) batch: Batch,
    pub(super) view: View,
    /// How values are printed and read.
    pub(super) settings: Arc<value::Settings>,
    pub(super) standard_conforming_strings: bool,
    pub(super) client_encoding: String,
    /// What this database makes of letters' case; `None`: to be asked.
    pub(super) letters: Option<Arc<value::Letters>>,
    /// What values in JSON begin with, since a statement first put some there.
    pub(super) mark: Option<Mark>,
    /// A `replication=database` connection: replication commands beside SQL.
    pub(super) replication: bool,
    /// COPY FROM STDIN is under way.
    pub(super) copying: bool,
    /// Since when the session waits for its client, and how many bytes that had sent then.
    pub(super) idle_since: Option<(Instant, u64)>,
    /// The client has left: its answers are still delivered.
    pub(super) leaving: bool,
    /// Results that may still fail here are on their way: nothing more is taken from the client until all is answered.
    pub(super) fenced: bool,
    /// An error of ours was sent in place of an answer: answers are dropped until ReadyForQuery.
    pub(super) dropping: bool,
    /// Statements that the server has prepared and the client takes for skipped.
    pub(super) surplus: Vec<Box<[u8]>>,
    /// The portal of a simple query's FETCH, until its first row or its end.
    pub(super) announced: Option<Arc<Portal>>,
    /// Rows of the current result so far, for errors.
    pub(super) row: u64,
    pub(super) counted: Counted,
    /// Statements that completed; handed on with `counted`.
    pub(super) statements: Completed,
    /// SQLSTATEs of errors of the server's; handed on with `counted`.
    pub(super) errors: Vec<[u8; 5]>,
    /// Bytes that were counted: read from and written to the client, read from and written to the server.
    pub(super) bytes: [u64; 4],
    /// From the client's message at hand to its answer.
    pub(super) exchange: Exchange,
    /// How the client calls itself.
    pub(super) application: String,
    /// What is counted for the audit; handed on with `counted`.
    pub(super) tally: Tally,
    /// Requests to cancel, and how many there were when the message at hand came.
    pub(super) asked: Arc<Asked>,
    pub(super) heard: u64,
    /// Who is connected, for the audit.
    pub(super) observer: Option<Observer>,
    /// Whose eyes results are for.
    pub(super) viewer: Viewer,
    /// Answers collected for the session itself.
    pub(super) collected: Option<Vec<u8>>,
    /// Entries of the ledger that the session reads.
    pub(super) own: usize,
    /// A question of the session's failed.
    pub(super) own_failed: bool,
    /// Messages of the extended protocol were sent since the last Sync.
    pub(super) in_batch: bool,
    /// A line `\.` ends CSV: so before PostgreSQL 18.
    pub(super) csv_marker: bool,
    /// Text of the value at hand; as `scratch`.
    pub(super) printed: Zeroizing<Vec<u8>>,
    /// Plaintext of the value at hand; kept to be reused, wiped on drop.
    pub(super) scratch: Zeroizing<Vec<u8>>,
    /// Aggregates of the row at hand.
    pub(super) progress: Progress,
    /// Most bytes of a row with aggregates that the proxy computes.
    pub(super) most_gathered: usize,
    /// Keys of the rows at hand; emptied whenever more bytes are awaited, so that a revocation is noticed.
    pub(super) keys: Vec<(Kref, KeyId, Arc<DataKey>)>,
    /// The key that was fetched again, proved, since a value did not open under it.
    pub(super) proved: Option<(Kref, KeyId)>,
    /// Why COPY FROM is made to fail, until the server says that it has.
    pub(super) copy_fault: Option<Box<PgError>>,
    /// Bytes of a message that are dropped as they come.
    pub(super) dropping_client: usize,
    /// Bytes of a large message that are forwarded as they come.
    pub(super) passing_client: usize,
    /// As `passing_client`, from the server.
    pub(super) passing_server: usize,
    /// As `dropping_client`, from the server.
    pub(super) dropping_server: usize,
}

impl State {
    /// Somebody asked to cancel the statement of the message at hand.
    pub(super) fn is_cancelled(&self) -> bool {
        self.asked.count() != self.heard
    }

    /// A session that was just logged in. `watched`: somebody may want to know which statement it is that runs.
    pub(super) fn new(slot: Arc<Slot>, choice: Choice, watched: Watched) -> Self {
        let view = View {
            slot,
            catalog: Arc::default(),
            epoch: None,
            dirty: false,
            private: false,
            temporary: false,
            frozen: false,
            ddl_open: false,
        };
        State {
            asked: Arc::default(),
            heard: 0,
            ledger: Ledger::default(),
            names: Names::default(),
            cursors: Cursors::default(),
            status: TransactionStatus::Idle,
            vars: Vars::default(),
            choice,
            batch: Batch::default(),
            view,
            settings: Arc::new(value::Settings::default()),
            standard_conforming_strings: true,
            client_encoding: "UTF8".to_owned(),
            letters: None,
            mark: None,
            replication: false,
            copying: false,
            idle_since: None,
            leaving: false,
            fenced: false,
            dropping: false,
            surplus: Vec::new(),
            announced: None,
            row: 0,
            counted: Counted::default(),
            statements: Completed::default(),
            errors: Vec::new(),
            bytes: [0; 4],
            exchange: Exchange::new(watched),
            application: String::new(),
            tally: Tally::default(),
            observer: None,
            viewer: Viewer::default(),
            collected: None,
            own: 0,
            own_failed: false,
            in_batch: false,
            csv_marker: true,
            printed: Zeroizing::new(Vec::new()),
            scratch: Zeroizing::new(Vec::new()),
            progress: Progress::default(),
            most_gathered: usize::MAX,
            keys: Vec::new(),
            proved: None,
            copy_fault: None,
            dropping_client: 0,
            passing_client: 0,
            passing_server: 0,
            dropping_server: 0,
        }
    }

    /// A Sync was sent.
    pub(super) fn synced(&mut self) {
        self.batch = Batch::default();
        self.in_batch = false;
        self.ledger.expect(Await::Sync);
    }

    /// What analysis may know.
    pub(super) fn analysis_state(&self) -> SessionState<'_> {
        SessionState {
            search_path: self.vars.search_path.as_deref(),
            standard_conforming_strings: self.standard_conforming_strings,
        }
    }

    /// The transaction has failed, as far as is known: only what ends it may run.
    pub(super) fn has_failed(&self) -> bool {
        self.status == TransactionStatus::Failed && !self.batch.turns
    }

    /// A statement with these effects is run: beyond [`State::note`], what only running it does.
    pub(super) fn runs(&mut self, effects: Effects) {
        self.note(effects);
        self.batch.runs += 1;
        self.batch.turns |= effects.transaction;
        if effects.deallocates {
            self.names.doom_statements();
        }
    }

    /// What an analysis made now depends on.
    pub(super) fn seen(&self) -> Seen {
        Seen { catalog: self.view.catalog.version, path: self.vars.path_version }
    }

    /// A statement with these effects is about to run.
    pub(super) fn note(&mut self, effects: Effects) {
        if effects == Effects::default() {
            return;
        }
        self.view.dirty |= effects.ddl;
        self.view.ddl_open |= effects.ddl;
        self.view.temporary |= effects.temp && effects.ddl;
        if effects.settings || (effects.transaction && self.vars.set_in_transaction) {
            self.vars.unsettled = true;
            self.vars.forget_path();
        }
        if effects.ddl {
            // What a name of a schema means, and which schemas may be used, may have changed.
            self.vars.forget_path();
        }
        if effects.temp {
            // The schema of temporary objects joins the search_path.
            self.vars.forget_path();
        }
        self.vars.set_in_transaction |= effects.settings || effects.temp;
    }

    fn acts(&self, effects: Effects, text: &[u8]) -> Vec<Act> {
        match effects.turns {
            true => sql::acts(&String::from_utf8_lossy(text), self.standard_conforming_strings),
            false => Vec::new(),
        }
    }

    /// What the statements of a text do to the choice of keyset, the next one last.
    pub(super) fn turns(&mut self, effects: Effects, text: &[u8]) -> Vec<Turn> {
        let acts = self.acts(effects, text);
        acts.iter().for_each(|act| self.acts_soon(act));
        acts.into_iter().rev().map(Turn::Act).collect()
    }

    /// A statement that does this is about to run.
    pub(super) fn acts_soon(&mut self, act: &Act) {
        if let Act::Prepare(name, _) | Act::Deallocate(name) = act {
            self.names.doom(name);
        }
    }

    /// As [`turns`](Self::turns), of a single statement.
    pub(super) fn turning(&self, effects: Effects, text: &[u8]) -> Turning {
        self.acts(effects, text).pop().map_or(Turning::Nothing, Turning::Act)
    }

    /// A statement that was forwarded runs: its text is looked up only for who watches.
    pub(super) fn shows_prepared(&mut self, name: &[u8]) {
        if self.exchange.watched.shapes
            && let Some(text) = self.names.text(name)
        {
            self.exchange.shows(text);
        }
    }

    /// A statement is complete. `tag`: of its CommandComplete.
    pub(super) fn completed(&mut self, tag: &[u8]) {
        if let Some(turn) = self.ledger.turn() {
            if let Turn::Act(act) = &turn {
                self.cursors.completed(act, tag);
                match (act, tag) {
                    (Act::Prepare(name, text), b"PREPARE") => self.names.prepared_by_sql(name, text),
                    (Act::Deallocate(name), b"DEALLOCATE") => self.names.drop_if_doomed(name),
                    _ => {}
                }
            }
            self.choice.completed(&turn, tag);
            self.ledger.choice_open = self.choice.is_open();
        }
    }

    /// Learns what the server says of its settings when asked.
    pub(super) fn learned(&mut self, path: Vec<String>, settings: impl Iterator<Item = (&'static str, String)>) {
        if self.vars.search_path.as_ref() != Some(&path) {
            self.vars.search_path = Some(path);
        }
        for (name, value) in settings {
            match name {
                "extra_float_digits" | "bytea_output" => Arc::make_mut(&mut self.settings).report(name, &value),
                name => self.reported(name.as_bytes(), value.as_bytes()),
            }
        }
        self.vars.unsettled = false;
    }

    /// A ParameterStatus went by.
    pub(super) fn reported(&mut self, name: &[u8], value: &[u8]) {
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else { return };
        match name {
            "standard_conforming_strings" => self.standard_conforming_strings = value == "on",
            "client_encoding" => value.clone_into(&mut self.client_encoding),
            "application_name" => value.clone_into(&mut self.application),
            "server_version" => {
                let major =
                    value.split(|c: char| !c.is_ascii_digit()).next().and_then(|major| major.parse::<u32>().ok());
                self.csv_marker = major.is_none_or(|major| major < 18);
            }
            "DateStyle" | "IntervalStyle" | "TimeZone" => {
                Arc::make_mut(&mut self.settings).report(name, value);
            }
            _ => {}
        }
    }

    /// ReadyForQuery came.
    pub(super) fn ready(&mut self, status: TransactionStatus) {
        self.status = status;
        self.choice.ready(status);
        self.cursors.ready(status == TransactionStatus::Idle);
        self.ledger.choice_open = self.choice.is_open();
        self.row = 0;
        self.proved = None;
        if status == TransactionStatus::Idle {
            if std::mem::take(&mut self.vars.set_in_transaction) {
                self.vars.forget_path();
            }
            self.view.frozen = false;
            if self.view.ddl_open {
                self.view.slot.invalidate();
                // More of it may be on its way.
                self.view.ddl_open = !self.ledger.is_empty();
            }
        }
        if self.ledger.is_empty() {
            self.names.settle();
            self.batch = Batch::default();
            self.fenced = false;
            self.vars.unsettled = false;
            if status == TransactionStatus::Idle {
                self.view.dirty = false;
                self.names.forget_portals();
            }
        }
    }

    /// Analysis may rely on the catalog at hand.
    pub(super) fn catalog_is_current(&self) -> bool {
        let view = &self.view;
        !view.dirty
            && view.epoch == Some(view.slot.epoch())
            && (view.frozen || !view.slot.needs_probe())
            && (!view.private || view.temporary || self.status != TransactionStatus::Idle || self.in_batch)
    }

    /// Rows of a COPY that is over, or was refused: values of encrypted columns may be among them. The server would drop them.
    pub(super) fn is_stale_copy(&self) -> bool {
        !self.copying && !self.view.catalog.is_plain() && !self.ledger.ends_in_query()
    }

    /// The server reported an error for what is at the front of the ledger.
    ///
    /// Returns the names of statements whose Parse the client must take for skipped.
    pub(super) fn failed(&mut self) -> Vec<Box<[u8]>> {
        let parsed = self.ledger.fail(&mut self.names);
        self.choice.failed();
        self.cursors.failed();
        self.announced = None;
        self.row = 0;
        self.copying = false;
        let own = self.ledger.own();
        if own < self.own {
            self.own = own;
            self.own_failed = true;
        }
        if self.vars.set_in_transaction {
            self.vars.forget_path();
        }
        parsed
    }

    /// Expects an answer that the session itself reads.
    pub(super) fn expect_own(&mut self, what: Await, statement: Option<Statement>) {
        self.own += 1;
        self.collected.get_or_insert_default();
        self.ledger.push(what, Reader::Session, statement);
    }

    /// The encodings under which text can be read as UTF-8.
    pub(super) fn reads_utf8(&self) -> bool {
        self.client_encoding.eq_ignore_ascii_case("UTF8") || self.client_encoding.eq_ignore_ascii_case("SQL_ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart_by_keyset_in_whatever_order_they_come() {
        let mut counted = ByKeyset::default();
        let mut told = Vec::new();
        assert_eq!(counted.take(|_, _| panic!("nothing was counted")), 0);
        for keyset in [1, 1, 2, 1, 3, 2, 2] {
            counted.add(KeysetId([keyset; 16]));
        }
        assert_eq!(counted.take(|keyset, values| told.push((keyset.0[0], values))), 7);
        told.sort_unstable();
        assert_eq!(told, [(1, 3), (2, 3), (3, 1)]);
        assert_eq!(counted.take(|_, _| panic!("it was taken")), 0);
    }
}
