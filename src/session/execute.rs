//! Statements on encrypted columns that are prepared and run by SQL.
//!
//! PREPARE becomes a Parse under its name, which PostgreSQL keeps with those of SQL, and EXECUTE a Bind and an Execute.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::front::{Part, Verdict};
use super::ledger::{Await, Reader};
use super::own::Answer;
use super::prepared::{Prepared, Statement};
use super::seal::Given;
use super::{Fault, Session, confirm, errors};
use crate::sql;
use crate::sql::execute::{Argument, Execute, Prepare};
use crate::sql::plan::{Action, Analysis, Effects, Plan};
use crate::wire::client;
use crate::wire::error::PgError;
use crate::wire::value::Format;

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Waits until the names that a statement depends on are known. `None`: something failed.
    pub(super) async fn names_known(&mut self, action: &Action) -> Answer<()> {
        match action {
            Action::Fetch(_) => self.cursors_known().await,
            Action::Execute(execute) => self.statement_known(&execute.name).await,
            _ => Ok(Some(())),
        }
    }

    /// Waits until it is known what a name of a prepared statement stands for; where it was prepared under another schema
    /// or search_path, it is judged again. `None`: something failed.
    async fn statement_known(&mut self, name: &str) -> Answer<()> {
        if self.state.view.catalog.is_plain() && self.state.catalog_is_current() {
            return Ok(Some(()));
        }
        if !self.settled().await? {
            return Ok(None);
        }
        let forwarded = match self.state.names.statement(name.as_bytes()) {
            Some(Statement::Forwarded(forwarded)) if forwarded.seen != self.state.seen() => forwarded,
            _ => return Ok(Some(())),
        };
        let Some(source) = forwarded.source.clone() else { return Ok(Some(())) };
        let Ok(text) = std::str::from_utf8(&source.sql) else { return Ok(Some(())) };
        let touches_nothing = match self.analyze(text, &source.oids).await? {
            None => return Ok(None),
            Some(Err(_)) => false,
            Some(Ok(Analysis::Untouched(_))) => true,
            Some(Ok(Analysis::Statements(list))) => list.iter().all(|s| matches!(s.action, Action::Forward)),
            Some(Ok(Analysis::NeedsSearchPath)) => false,
        };
        if touches_nothing {
            self.state.names.confirm(name.as_bytes(), self.state.seen());
        }
        Ok(Some(()))
    }

    /// What to do with an EXECUTE whose name is [known](Self::names_known).
    pub(super) fn judge_execute(&self, execute: &Arc<Execute>, effects: Effects) -> Verdict {
        match self.runs_plan(&execute.name) {
            Ok(false) => Verdict::Forward(effects),
            Ok(true) => Verdict::Execute(Arc::clone(execute)),
            Err(error) => Verdict::Refuse(error),
        }
    }

    /// Whether a name stands for a plan, and not for what is forwarded.
    ///
    /// # Errors
    /// Nothing is known of it, or what is known does not hold any more.
    fn runs_plan(&self, name: &str) -> Result<bool, PgError> {
        match self.state.names.statement(name.as_bytes()) {
            _ if self.state.view.catalog.is_plain() => Ok(false),
            Some(Statement::Plan(..)) => Ok(true),
            Some(Statement::Forwarded(known)) if known.seen == self.state.seen() && !known.effects.executes => {
                Ok(false)
            }
            Some(Statement::Forwarded(_)) => Err(errors::execute_after_change()),
            // Its arguments may be meant for encrypted columns.
            None => Err(errors::no_statement(name.as_bytes())),
        }
    }

    /// Why a portal that runs EXECUTE cannot be run now, if it was bound before. `None`: something failed.
    pub(super) async fn execute_objection(&mut self, name: &str) -> Answer<Option<PgError>> {
        if self.statement_known(name).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(match self.runs_plan(name) {
            Ok(false) => None,
            Ok(true) => Some(errors::simple_only("EXECUTE")),
            Err(error) => Some(error),
        }))
    }

    /// PREPARE. `false`: it was refused.
    pub(super) async fn prepare_by_sql(
        &mut self,
        plan: &Arc<Plan>,
        Prepare { name, types }: &Prepare,
        (part, effects): (Part<'_>, Effects),
    ) -> Result<bool, Fault> {
        let (prepared, sql) = match self.prepare(plan, effects, part, types).await? {
            Some(Ok(prepared)) => prepared,
            Some(Err(error)) => {
                self.poison(error)?;
                return Ok(false);
            }
            None => return Ok(false),
        };
        let oids = confirm::executed_oids(plan, types);
        client::parse(&mut self.pipe.server.output, name.as_bytes(), sql.as_bytes(), oids)?;
        let statement = Statement::Plan(prepared, self.state.seen());
        let undo = self.state.names.set_statement(name.as_bytes(), Some(statement.clone()));
        self.state.in_batch = true;
        self.state.runs(Effects::default());
        self.state.ledger.push(Await::Prepare(undo), Reader::Client, Some(statement));
        Ok(true)
    }

    /// EXECUTE. `false`: it was refused.
    pub(super) async fn execute_by_sql(&mut self, execute: &Execute, part: Part<'_>) -> Result<bool, Fault> {
        let name = execute.name.as_bytes();
        let Some(known) = self.state.names.statement(name).cloned() else {
            self.poison(errors::no_statement(name))?;
            return Ok(false);
        };
        let outcome = match self.current(name, known).await? {
            None => return Ok(false),
            Some(Ok(Statement::Plan(prepared, _))) => {
                arguments(&prepared, execute, part.text).map(|arguments| (prepared, arguments))
            }
            Some(Ok(Statement::Forwarded(_))) => Err(errors::execute_after_change()),
            Some(Err(error)) => Err(error),
        };
        match outcome {
            Err(error) => {
                self.poison(error)?;
                Ok(false)
            }
            Ok((prepared, values)) if execute.within => self.execute_within(&prepared, &values, part.text).await,
            Ok((prepared, values)) => {
                let given = Given::Simple { values: &values, results: Format::Text, late: true };
                self.run_once(name, &prepared, &given).await
            }
        }
    }

    /// EXPLAIN and CREATE TABLE AS of an EXECUTE: of the statement itself, with the arguments as its parameters.
    async fn execute_within(
        &mut self,
        executed: &Prepared,
        values: &[Option<Zeroizing<String>>],
        text: &str,
    ) -> Result<bool, Fault> {
        let conforming = self.state.standard_conforming_strings;
        let query = match &executed.plan.prepares {
            Some(_) => sql::execute::prepared_query(&executed.text, conforming),
            None => Some(executed.text.as_str()),
        };
        let Some(whole) = query.and_then(|query| sql::execute::in_place(text, query, conforming)) else {
            self.poison(errors::execute_within())?;
            return Ok(false);
        };
        let whole = Zeroizing::new(whole);
        let Some((verdict, _)) = self.verdict_of_one(whole.as_bytes(), &executed.declared).await? else {
            return Ok(false);
        };
        let (plan, effects) = match verdict {
            Verdict::Plan(plan, effects) if plan.client_params == values.len() => (plan, effects),
            Verdict::Refuse(error) => {
                self.poison(PgError { position: None, ..error })?;
                return Ok(false);
            }
            _ => {
                self.poison(errors::execute_within())?;
                return Ok(false);
            }
        };
        let part = Part { text: &whole, before: 0 };
        let given = |_: &Prepared| Given::Simple { values, results: Format::Text, late: true };
        self.prepare_and_run((&plan, effects), part, &executed.declared, given).await
    }
}

/// The arguments as text.
///
/// # Errors
/// They are not as many as the statement takes, or such that only the server could read.
fn arguments(prepared: &Prepared, execute: &Execute, text: &str) -> Result<Vec<Option<Zeroizing<String>>>, PgError> {
    let given = &execute.arguments;
    let wanted = prepared.plan.client_params;
    if wanted == 0 {
        // PostgreSQL does not look at them either.
        return Ok(Vec::new());
    }
    if given.len() != wanted {
        return Err(errors::argument_count(&execute.name, given.len(), wanted));
    }
    let types = prepared.plan.confirmed.get().map_or(&[][..], |c| &c.client_param_oids);
    let tokens = sql::literals(text);
    let one = |(n, argument): (usize, &Argument)| {
        let fits = types.get(n).is_some_and(|&oid| argument.fits(oid));
        match &argument.source {
            _ if !fits => Err(errors::argument(n + 1)),
            None => Ok(None),
            Some(source) => {
                let value = source.text(text, &tokens).ok_or_else(errors::unreadable_literal)?;
                Ok(Some(Zeroizing::new(value.into_owned())))
            }
        }
    };
    given.iter().enumerate().map(one).collect()
}
