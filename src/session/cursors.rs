//! Cursors of encrypted columns that were declared by SQL, by name: what their rows hold.
//!
//! A cursor is known once the server has said that it was declared. One that is gone may stay known until its name is
//! declared anew or its transaction ends: FETCH from it fails on the server.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::front::Verdict;
use super::ledger::{Await, Reader};
use super::own::Answer;
use super::prepared::{Bound, Forwarded, Portal, Statement};
use super::{Fault, Session, errors, rows};
use crate::sql::Act;
use crate::sql::cursor::Fetch;
use crate::sql::plan::Effects;
use crate::wire::client::{self, Kind};
use crate::wire::server;

/// The cursors of a session.
#[derive(Default)]
pub(super) struct Cursors {
    known: HashMap<Box<str>, Known>,
    /// One was declared in this session: names must be looked at from then on.
    used: bool,
    /// Something failed since the last ReadyForQuery.
    failed: bool,
}

struct Known {
    /// The portal that DECLARE was run by.
    declared: Arc<Portal>,
    /// Its transaction was committed, so only CLOSE ends it.
    held: bool,
}

impl Cursors {
    /// Whether names of portals may be those of cursors.
    pub(super) fn are_used(&self) -> bool {
        self.used
    }

    /// A DECLARE was sent.
    pub(super) fn declares(&mut self) {
        self.used = true;
    }

    /// The portal that declared the cursor of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Portal>> {
        Some(&self.known.get(name)?.declared)
    }

    /// DECLARE was run.
    pub(super) fn declared(&mut self, portal: &Arc<Portal>) {
        if let Some(cursor) = &portal.prepared.plan.cursor {
            self.known.insert(cursor.name.as_str().into(), Known { declared: Arc::clone(portal), held: false });
        }
    }

    /// The portal of this name was closed.
    pub(super) fn closed(&mut self, name: &[u8]) {
        if self.used
            && let Ok(name) = std::str::from_utf8(name)
        {
            self.known.remove(name);
        }
    }

    /// A statement is complete, with this tag.
    pub(super) fn completed(&mut self, act: &Act, tag: &[u8]) {
        if self.known.is_empty() {
            return;
        }
        match (act, tag) {
            (Act::Declare(name) | Act::Close(Some(name)), b"DECLARE CURSOR" | b"CLOSE CURSOR") => {
                self.known.remove(name);
            }
            (Act::Close(None), b"CLOSE CURSOR ALL") | (Act::DiscardAll, b"DISCARD ALL") => self.known.clear(),
            (Act::Commit(_), b"COMMIT") => self.transaction_ended(true),
            (Act::Commit(_) | Act::Rollback(_), b"ROLLBACK") => self.transaction_ended(false),
            _ => {}
        }
    }

    fn transaction_ended(&mut self, committed: bool) {
        self.known.retain(|_, known| {
            known.held |= committed && known.declared.prepared.plan.cursor.as_ref().is_some_and(|c| c.hold);
            known.held
        });
    }

    /// The server reported an error, or one was sent in its place.
    pub(super) fn failed(&mut self) {
        self.failed = true;
    }

    /// ReadyForQuery came. `idle`: no transaction is open.
    pub(super) fn ready(&mut self, idle: bool) {
        let failed = std::mem::take(&mut self.failed);
        if idle && !self.known.is_empty() {
            self.transaction_ended(!failed);
        }
    }
}

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// What to do with a FETCH. What was sent before must be answered.
    pub(super) fn judge_fetch(&self, fetch: &Fetch, effects: Effects) -> Verdict {
        if let Some(declared) = self.state.cursors.get(&fetch.cursor) {
            let plan = declared.prepared.plan.fetched_by(fetch);
            return match self.objection(&plan) {
                Some(error) => Verdict::Refuse(error),
                None => Verdict::Plan(Arc::new(plan), effects),
            };
        }
        match self.state.names.portal(fetch.cursor.as_bytes()) {
            Some(Bound::Plan(portal)) if portal.prepared.opens() => Verdict::Refuse(errors::fetch_of_plan()),
            _ => Verdict::Forward(effects),
        }
    }

    /// Waits until the cursors that were declared are known, where some were. `None`: something failed.
    pub(super) async fn cursors_known(&mut self) -> Answer<()> {
        let known = !self.state.cursors.are_used() || self.settled().await?;
        Ok(known.then_some(()))
    }

    /// A FETCH was prepared when another cursor, or none, had the name; or an EXECUTE, which may name another statement.
    pub(super) fn reads_anew(&self, known: &Statement) -> bool {
        match known {
            Statement::Forwarded(Forwarded { effects, .. }) => {
                (effects.fetches && self.state.cursors.are_used()) || effects.executes
            }
            Statement::Plan(prepared, _) => prepared.plan.reads.as_deref().is_some_and(|name| {
                let now = self.state.cursors.get(name);
                !now.zip(prepared.cursor.as_ref()).is_some_and(|(now, then)| Arc::ptr_eq(now, then))
            }),
        }
    }

    /// Describe of what may be a cursor.
    pub(super) async fn describe_cursor(&mut self, raw: &[u8], body: &[u8]) -> Result<(), Fault> {
        let message = client::Describe::parse(body).map_err(|_| Fault::Malformed)?;
        if self.cursors_known().await?.is_none() {
            return Ok(());
        }
        let declared = std::str::from_utf8(message.name).ok().and_then(|name| self.state.cursors.get(name));
        let what = declared.filter(|_| message.kind == Kind::Portal).map(Arc::clone);
        self.pipe.server.output.extend_from_slice(raw);
        self.state.in_batch = true;
        self.state.ledger.push(what.map_or(Await::DescribePortal(None), Await::DescribeCursor), Reader::Client, None);
        Ok(())
    }

    /// Execute of what may be a cursor.
    pub(super) async fn execute_cursor(&mut self, raw: &[u8], portal: &[u8]) -> Result<(), Fault> {
        if self.cursors_known().await?.is_none() {
            return Ok(());
        }
        if std::str::from_utf8(portal).is_ok_and(|name| self.state.cursors.get(name).is_some()) {
            return self.poison(errors::execute_of_cursor());
        }
        self.state.runs(Effects::default());
        self.state.exchange.runs_plain();
        self.state.in_batch = true;
        self.pipe.server.output.extend_from_slice(raw);
        self.state.ledger.expect(Await::Execute(None));
        Ok(())
    }
}

/// Tells the client what a cursor's rows are.
pub(super) fn describe(declared: &Portal, out: &mut Vec<u8>) -> Result<(), crate::wire::frame::BuildError> {
    match declared.prepared.plan.confirmed.get().and_then(|c| c.row_description.as_deref()) {
        Some(body) => rows::describe(body, None, out),
        None => {
            server::no_data(out);
            Ok(())
        }
    }
}
