//! Simple queries that touch encrypted columns: run by the extended protocol, answered as simple ones.
//!
//! All statements of one text go into one batch, so they share an implicit transaction as PostgreSQL has it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::choice::Turn;
use super::front::{Part, Verdict};
use super::ledger::{Await, Reader, Undo};
use super::own::Answer;
use super::prepared::{Bound, Prepared};
use super::seal::Given;
use super::{Fault, Session, errors, fast};
use crate::schema::catalog::Oid;
use crate::sql::plan::{Action, Analysis, Effects, Plan, Statement};
use crate::telemetry::metrics::Command;
use crate::wire::client::{self, BindBuilder, Kind};

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// A simple query that the fast path did not forward.
    pub(super) async fn query(&mut self, raw: &Bytes, body: &Bytes) -> Result<(), Fault> {
        let message = client::Query::parse(body).map_err(|_| Fault::Malformed)?;
        self.state.exchange.command = Command::of(message.sql);
        self.state.exchange.hears(message.sql);
        let Some(text) = self.readable(message.sql) else {
            return match self.judge_unreadable(message.sql, &[]).await? {
                None => self.end_query().await,
                Some(Ok(effects)) => self.forward_query(raw, message.sql, effects).await,
                Some(Err(error)) => self.poison_query(error),
            };
        };
        let analysis = match self.analyze(text, &[]).await? {
            None => return self.end_query().await,
            Some(Err(error)) => return self.poison_query(error),
            Some(Ok(analysis)) => analysis,
        };
        if let Analysis::Statements(list) = &analysis {
            for statement in list.iter() {
                if self.names_known(&statement.action).await?.is_none() {
                    return self.end_query().await;
                }
            }
        }
        match analysis {
            Analysis::Untouched(effects) => match self.judge(&Action::Forward, effects, text) {
                Verdict::Refuse(error) => self.poison_query(error),
                _ => self.forward_query(raw, message.sql, effects).await,
            },
            Analysis::Statements(list) if self.forwards(&list) => {
                let effects = list.iter().fold(Effects::default(), |sum, s| sum.join(s.effects));
                self.forward_query(raw, message.sql, effects).await
            }
            Analysis::Statements(list) if self.state.replication => match &list[..] {
                [one] if copies_a_table(&one.action) => self.forward_query(raw, message.sql, one.effects).await,
                _ => self.poison_query(errors::on_replication()),
            },
            Analysis::Statements(list) => {
                self.each(text, &list).await?;
                self.end_query().await
            }
            Analysis::NeedsSearchPath => self.poison_query(errors::internal("search_path was asked for twice")),
        }
    }

    /// Nothing in a text is encrypted: the cursors and prepared statements that it names are not of this session's plans.
    fn forwards(&self, list: &[Statement]) -> bool {
        let plain = |s: &Statement| match &s.action {
            Action::Forward => !s.renew,
            Action::Execute(execute) => {
                !s.renew && matches!(self.judge_execute(execute, s.effects), Verdict::Forward(_))
            }
            Action::Fetch(fetch) => !s.renew && matches!(self.judge_fetch(fetch, s.effects), Verdict::Forward(_)),
            _ => false,
        };
        let none = !self.state.cursors.are_used() && !self.state.names.has_plans();
        (list.len() == 1 || none) && list.iter().all(plain)
    }

    async fn forward_query(&mut self, raw: &Bytes, sql: &[u8], effects: Effects) -> Result<(), Fault> {
        let turns = self.state.turns(effects, sql);
        self.state.runs(effects);
        self.state.exchange.runs_plain();
        self.state.exchange.shows(sql);
        self.pipe.server.output.extend_from_slice(raw);
        self.state.ledger.expect_turns(Await::Query, turns);
        if effects.copies {
            self.copy_begins().await?;
        }
        if effects.prepares && fast::waits(&self.state, effects) {
            self.settle().await?;
        }
        Ok(())
    }

    /// As after a simple query, nothing unnamed stays.
    pub(super) async fn end_query(&mut self) -> Result<(), Fault> {
        self.state.names.set_statement(b"", None);
        self.state.names.set_portal(b"", None);
        if !self.state.ledger.skipping {
            for kind in [Kind::Portal, Kind::Statement] {
                client::close(&mut self.pipe.server.output, kind, b"")?;
                self.state.ledger.push(Await::Close(Undo::None), Reader::Nobody, None);
            }
        }
        self.sync().await
    }

    /// Sends the statements one after the other. One that an earlier one may have changed the meaning of is judged
    /// once that has run.
    async fn each(&mut self, text: &str, list: &[Statement]) -> Result<(), Fault> {
        for statement in list {
            let part = Part::of(text, statement.span.clone());
            if statement.effects.transaction && self.state.batch.opens {
                // A row that does not open must fail before the transaction ends.
                if !self.settled().await? {
                    return Ok(());
                }
            }
            if self.names_known(&statement.action).await?.is_none() {
                return Ok(());
            }
            let verdict = if statement.renew {
                if !self.settled().await? {
                    return Ok(());
                }
                let Some(renewed) = self.renew(part.text, statement.effects).await? else { return Ok(()) };
                renewed
            } else {
                self.judge(&statement.action, statement.effects, text)
            };
            if !self.one(part, verdict).await? || self.state.ledger.skipping {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Judges a statement anew, by itself.
    async fn renew(&mut self, text: &str, effects: Effects) -> Answer<Verdict> {
        Ok(match self.analyze(text, &[]).await? {
            None => None,
            Some(Err(error)) => Some(Verdict::Refuse(error)),
            Some(Ok(Analysis::Statements(list))) => match &list[..] {
                [one] => {
                    let known = self.names_known(&one.action).await?;
                    known.map(|()| self.judge(&one.action, one.effects, text))
                }
                _ => Some(Verdict::Refuse(errors::internal("one statement became several"))),
            },
            Some(Ok(Analysis::Untouched(_))) => Some(self.judge(&Action::Forward, effects, text)),
            Some(Ok(Analysis::NeedsSearchPath)) => {
                Some(Verdict::Refuse(errors::internal("search_path was asked for twice")))
            }
        })
    }

    /// Sends one statement. `false`: it was refused.
    async fn one(&mut self, part: Part<'_>, verdict: Verdict) -> Result<bool, Fault> {
        match verdict {
            Verdict::Refuse(error) => {
                self.poison(error)?;
                Ok(false)
            }
            Verdict::Forward(effects) => {
                let turns = self.state.turns(effects, part.text.as_bytes());
                self.state.runs(effects);
                self.forward_one(part.text, turns)?;
                if effects.copies {
                    self.copy_in(None).await?;
                }
                if effects.prepares && fast::waits(&self.state, effects) {
                    return self.settled().await;
                }
                Ok(true)
            }
            Verdict::Choose(wish, effects) => match self.wished(&wish) {
                Ok(turn) => {
                    self.state.runs(effects);
                    self.forward_one(part.text, vec![turn])?;
                    Ok(true)
                }
                Err(error) => {
                    self.poison(error)?;
                    Ok(false)
                }
            },
            Verdict::Execute(execute) => self.execute_by_sql(&execute, part).await,
            Verdict::Plan(plan, effects) => {
                if let Some(prepare) = &plan.prepares {
                    return self.prepare_by_sql(&plan, prepare, (part, effects)).await;
                }
                // As of FETCH, what CALL and RETURNING give is told once it has run.
                let calls = effects.turns && effects.ddl;
                let ran = calls || effects.writes && !is_select(part.text);
                let given = |prepared: &Prepared| {
                    let (results, late) = (prepared.simple_format(), prepared.cursor.is_some() || ran);
                    Given::Simple { values: &[], results, late }
                };
                self.prepare_and_run((&plan, effects), part, &[], given).await
            }
        }
    }

    /// Prepares a plan for one text and runs it to its end. `given`: its values. `false`: it was refused.
    pub(super) async fn prepare_and_run<'g>(
        &mut self,
        (plan, effects): (&Arc<Plan>, Effects),
        part: Part<'_>,
        declared: &[Oid],
        given: impl FnOnce(&Prepared) -> Given<'g>,
    ) -> Result<bool, Fault> {
        let (prepared, sql) = match self.prepare(plan, effects, part, declared).await? {
            Some(Ok(prepared)) => prepared,
            Some(Err(error)) => {
                self.poison(error)?;
                return Ok(false);
            }
            None => return Ok(false),
        };
        self.send_parse(b"", &prepared, &sql, Reader::Nobody)?;
        let given = given(&prepared);
        self.run_once(b"", &prepared, &given).await
    }

    /// Binds and runs a prepared statement to its end. `false`: it was refused.
    pub(super) async fn run_once(
        &mut self,
        statement: &[u8],
        prepared: &Arc<Prepared>,
        given: &Given<'_>,
    ) -> Result<bool, Fault> {
        self.send_bind(b"", statement, prepared, given, Reader::Nobody).await?;
        if self.state.ledger.skipping {
            return Ok(false);
        }
        match self.state.names.portal(b"").cloned() {
            Some(Bound::Plan(portal)) => self.execute_plan(b"", 0, portal).await?,
            _ => return Err(errors::internal("a portal that was just bound is not there").into()),
        }
        Ok(true)
    }

    /// A statement that touches nothing, among others that do.
    fn forward_one(&mut self, text: &str, turns: Vec<Turn>) -> Result<(), Fault> {
        let out = &mut self.pipe.server.output;
        client::parse(out, b"", text.as_bytes(), [])?;
        BindBuilder::new(out, b"", b"", [])?.finish([])?;
        client::describe(out, Kind::Portal, b"")?;
        client::execute(out, b"", 0)?;
        self.state.in_batch = true;
        self.state.exchange.runs_plain();
        self.state.exchange.shows(text.as_bytes());
        let undo = self.state.names.set_statement(b"", None);
        let ledger = &mut self.state.ledger;
        ledger.push(Await::Parse(undo), Reader::Nobody, None);
        let undo = self.state.names.set_portal(b"", None);
        ledger.push(Await::Bind(undo, None), Reader::Nobody, None);
        ledger.push(Await::DescribeQuietly, Reader::Client, None);
        ledger.expect_turns(Await::Execute(None), turns);
        Ok(())
    }
}

/// COPY of a table to the client. A subscriber begins with it, and goes on with the changes, which are as they are stored: so the
/// rows are, too.
fn copies_a_table(action: &Action) -> bool {
    match action {
        Action::Run(plan) => plan.copy_out().is_some_and(|copy| copy.of_table),
        _ => false,
    }
}

/// A SELECT, which may hold the words of others: FOR UPDATE.
fn is_select(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == '(')
        .get(..6)
        .is_some_and(|w| w.eq_ignore_ascii_case("select"))
}
