//! Bind, Execute and Close that need a look: of plans, of statements whose meaning may have changed since they were
//! prepared, and where rows that are on their way may still fail.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::choice::{Pick, Setting, Turn};
use super::fast;
use super::front::{Part, Verdict, utf8};
use super::introspect;
use super::ledger::{Await, Reader};
use super::own::Answer;
use super::prepared::{Bound, Forwarded, Source, Statement, Turning};
use super::{Fault, Session, errors, seal};
use crate::schema::catalog::Oid;
use crate::sql::introspect::Introspection;
use crate::sql::own::{Spelling, Wish};
use crate::sql::{Act, names_ours};
use crate::wire::client::{self, Kind};
use crate::wire::error::PgError;

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Bind of a plan, or of a statement that must be judged again.
    pub(super) async fn bind(&mut self, raw: &Bytes, body: &Bytes) -> Result<(), Fault> {
        let message = client::Bind::parse(body).map_err(|_| Fault::Malformed)?;
        if self.state.names.is_unsure(message.statement) {
            if !self.settled().await? {
                return Ok(());
            }
            self.state.names.settle();
        }
        let Some(known) = self.state.names.statement(message.statement).cloned() else {
            return self.poison(errors::no_statement(message.statement));
        };
        let run = match &known {
            Statement::Plan(prepared, _) if prepared.runs.is_some() => Some(Arc::clone(prepared)),
            _ => None,
        };
        let current = match run.as_ref().and_then(|prepared| prepared.runs.as_ref()) {
            Some(runs) => self.current_run(message.statement, known, runs).await?,
            None => self.current(message.statement, known).await?,
        };
        let statement = match current {
            Some(Ok(statement)) => statement,
            Some(Err(error)) => return self.poison(error),
            None => return Ok(()),
        };
        match statement {
            Statement::Forwarded(Forwarded { effects, turning, .. }) => {
                if effects.configures && message.params.iter().flatten().any(names_own_setting) {
                    return self.poison(errors::own_setting_by_parameter());
                }
                if effects.transaction && self.state.batch.opens && !self.settled().await? {
                    // A row that did not open failed before the transaction's end.
                    return Ok(());
                }
                self.pipe.server.output.extend_from_slice(raw);
                self.state.shows_prepared(message.statement);
                fast::bound(&mut self.state, message.portal, effects, turning);
                Ok(())
            }
            Statement::Plan(prepared, _) => {
                let given = seal::Given::Bind(message);
                self.send_bind(message.portal, message.statement, &prepared, &given, Reader::Client).await
            }
        }
    }

    /// A statement as it is to be run now: where the catalog or the search_path changed since it was prepared, it is
    /// judged again, and prepared again if it has become another.
    pub(super) async fn current(&mut self, name: &[u8], known: Statement) -> Answer<Result<Statement, PgError>> {
        if known.reads() && self.cursors_known().await?.is_none() {
            return Ok(None);
        }
        if known.seen() == self.state.seen() && self.state.catalog_is_current() && !self.reads_anew(&known) {
            return Ok(Some(Ok(known)));
        }
        let Some((sql, oids)) = self.state.names.source(name) else {
            return Ok(Some(Err(errors::no_statement(name))));
        };
        let Some((verdict, _)) = self.verdict_of_one(&sql, &oids).await? else { return Ok(None) };
        let seen = self.state.seen();
        let same = match (&verdict, &known) {
            (Verdict::Forward(_) | Verdict::Choose(..), Statement::Forwarded(_)) => true,
            (Verdict::Plan(plan, _), Statement::Plan(prepared, _)) => Arc::ptr_eq(plan, &prepared.plan),
            _ => false,
        };
        if same {
            self.state.names.confirm(name, seen);
            return Ok(Some(Ok(known.seen_at(seen))));
        }
        self.prepare_again(name, known, verdict, (&sql, &oids)).await
    }

    /// Replaces a prepared statement on the server.
    pub(super) async fn prepare_again(
        &mut self,
        name: &[u8],
        known: Statement,
        verdict: Verdict,
        (sql, oids): (&[u8], &[Oid]),
    ) -> Answer<Result<Statement, PgError>> {
        match verdict {
            Verdict::Refuse(error) => Ok(Some(Err(error))),
            _ if matches!(&known, Statement::Forwarded(forwarded) if forwarded.by_sql) => {
                Ok(Some(Err(errors::execute_after_change())))
            }
            Verdict::Choose(..) | Verdict::Execute(_) => Ok(Some(Err(errors::changed_result()))),
            // What was given for an encrypted column is not for what the name stands for now.
            Verdict::Forward(_) if matches!(&known, Statement::Plan(p, _) if p.runs.is_some()) => {
                Ok(Some(Err(errors::changed_result())))
            }
            Verdict::Forward(_) if matches!(&known, Statement::Plan(p, _) if p.plan.prepares.is_some()) => {
                Ok(Some(Err(errors::execute_after_change())))
            }
            Verdict::Forward(effects) => {
                self.close_quietly(name)?;
                client::parse(&mut self.pipe.server.output, name, sql, oids.iter().copied())?;
                let source = Source { sql: sql.to_vec(), oids: oids.to_vec() };
                let turning = self.state.turning(effects, sql);
                let (seen, source) = (self.state.seen(), Some(Arc::new(source)));
                let forwarded = Forwarded { effects, turning, seen, source, by_sql: false };
                let statement = Statement::Forwarded(forwarded);
                let undo = self.state.names.set_statement(name, Some(statement.clone()));
                self.state.in_batch = true;
                self.state.ledger.push(Await::Parse(undo), Reader::Nobody, None);
                Ok(Some(Ok(statement)))
            }
            Verdict::Plan(plan, effects) => {
                let text = utf8(sql)?;
                let (prepared, sql) = match self.prepare(&plan, effects, Part::of(text, 0..text.len()), oids).await? {
                    Some(Ok(prepared)) => prepared,
                    Some(Err(error)) => return Ok(Some(Err(error))),
                    None => return Ok(None),
                };
                // What the client was told of a forwarded one is not known any more.
                let same_result = match &known {
                    Statement::Plan(before, _) => before.plan.gives_as(&plan),
                    Statement::Forwarded(_) => plan.returned().is_none() || plan.copy.is_some(),
                };
                if !same_result {
                    return Ok(Some(Err(errors::changed_result())));
                }
                self.close_quietly(name)?;
                self.send_parse(name, &prepared, &sql, Reader::Nobody)?;
                Ok(Some(Ok(Statement::Plan(prepared, self.state.seen()))))
            }
        }
    }

    pub(super) fn close_quietly(&mut self, name: &[u8]) -> Result<(), Fault> {
        client::close(&mut self.pipe.server.output, Kind::Statement, name)?;
        let undo = self.state.names.set_statement(name, None);
        self.state.ledger.push(Await::Close(undo), Reader::Nobody, None);
        Ok(())
    }

    /// Execute of a portal that the rest must wait for.
    pub(super) async fn execute(&mut self, raw: &Bytes, body: &Bytes) -> Result<(), Fault> {
        let message = client::Execute::parse(body).map_err(|_| Fault::Malformed)?;
        let (effects, turning) = match self.state.names.portal(message.portal).cloned() {
            Some(Bound::Forwarded(effects, turning)) => (effects, turning),
            Some(Bound::Plan(portal)) => {
                let mut rows = 0;
                if let Some(runs) = &portal.prepared.runs {
                    rows = message.max_rows;
                    match self.run_objection(runs).await? {
                        None => return Ok(()),
                        Some(Some(error)) => return self.poison(error),
                        Some(None) => {}
                    }
                }
                return self.execute_plan(message.portal, rows, portal).await;
            }
            None => return self.execute_cursor(raw, message.portal).await,
        };
        if let Turning::Act(Act::Execute(name)) = &turning {
            match self.execute_objection(name).await? {
                None => return Ok(()),
                Some(Some(error)) => return self.poison(error),
                Some(None) => {}
            }
        }
        let turn = match turning {
            Turning::Nothing => None,
            Turning::Act(act) => {
                self.state.acts_soon(&act);
                Some(Turn::Act(act))
            }
            Turning::Wish(wish) => match self.wished(&wish) {
                Ok(turn) => Some(turn),
                Err(error) => return self.poison(error),
            },
        };
        if effects.transaction && self.state.batch.opens && !self.settled().await? {
            return Ok(());
        }
        self.state.runs(effects);
        self.state.exchange.runs_plain();
        self.state.in_batch = true;
        self.pipe.server.output.extend_from_slice(raw);
        self.state.ledger.expect_turns(Await::Execute(None), turn.into_iter().collect());
        if effects.copies {
            self.copy_begins().await?;
        }
        if effects.prepares && fast::waits(&self.state, effects) {
            self.settle().await?;
        }
        Ok(())
    }

    /// What SET or RESET of a setting does, if it may.
    pub(super) fn wished(&self, wish: &Wish) -> Result<Turn, PgError> {
        let setting = match (&wish.value, wish.spelling) {
            (None, spelling) => return Ok(Turn::Reset(spelling, wish.local)),
            (Some(value), Spelling::Introspection) => {
                Setting::Introspection(Introspection::of(value).ok_or_else(introspect::unknown)?)
            }
            (Some(_), _) if !self.shared.keyset_by_sql => return Err(errors::keyset_at_startup()),
            (Some(value), spelling) => Setting::Keyset(Pick::wanted(&self.shared.ring, spelling, value)?),
        };
        Ok(Turn::Set(setting, wish.local))
    }

    /// COPY FROM changes what the server makes of the messages that follow: it is awaited.
    pub(super) async fn copy_begins(&mut self) -> Result<(), Fault> {
        client::flush(&mut self.pipe.server.output);
        self.until(|state| state.copying || state.ledger.is_empty()).await
    }

    /// Close of a statement while rows may still fail.
    pub(super) async fn close_statement(&mut self, raw: &Bytes, body: &Bytes) -> Result<(), Fault> {
        let message = client::Close::parse(body).map_err(|_| Fault::Malformed)?;
        if !self.settled().await? {
            return Ok(());
        }
        let undo = self.state.names.set_statement(message.name, None);
        self.pipe.server.output.extend_from_slice(raw);
        self.state.in_batch = true;
        self.state.ledger.expect(Await::Close(undo));
        Ok(())
    }
}

/// A value, in text or binary, that is the name of a setting of ours.
fn names_own_setting(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok_and(names_ours)
}
