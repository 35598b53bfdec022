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
use crate::schema::catalog::Oid;
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
            Action::Execute(_) if self.state.names.has_plans() => Ok(self.settled().await?.then_some(())),
            _ => Ok(Some(())),
        }
    }

    /// What to do with an EXECUTE. What was sent before must be answered.
    pub(super) fn judge_execute(&self, execute: &Arc<Execute>, effects: Effects) -> Verdict {
        match self.state.names.statement(execute.name.as_bytes()) {
            Some(Statement::Plan(..)) if execute.arguments.is_some() => Verdict::Execute(Arc::clone(execute)),
            Some(Statement::Plan(..)) => Verdict::Refuse(errors::execute_within()),
            _ => match self.objection_to_execute(execute) {
                Some(error) => Verdict::Refuse(error),
                None => Verdict::Forward(effects),
            },
        }
    }

    /// Why an EXECUTE of what is no plan cannot be forwarded: what the name stands for may have become one, or it was
    /// refused, and the arguments were meant for it.
    fn objection_to_execute(&self, execute: &Execute) -> Option<PgError> {
        let state = &self.state;
        if state.view.catalog.is_plain() {
            return None;
        }
        if let Some(Statement::Forwarded(known)) = state.names.statement(execute.name.as_bytes()) {
            let source = known.source.as_ref().filter(|_| known.seen != state.seen());
            let is_plain = source.is_none_or(|s| std::str::from_utf8(&s.sql).is_ok_and(|t| self.is_plain(t, &s.oids)));
            return (!is_plain).then(errors::execute_after_change);
        }
        match state.by_sql.texts(&execute.name) {
            None if execute.arguments.as_ref().is_some_and(Vec::is_empty) => None,
            None => Some(errors::no_statement(execute.name.as_bytes())),
            Some(_) if !state.prepared_before() => None,
            Some(texts) => match texts.is_some_and(|texts| texts.iter().all(|text| self.is_plain(text, &[]))) {
                true => None,
                false => Some(errors::execute_after_change()),
            },
        }
    }

    /// Nothing in a text is encrypted, as things are now.
    fn is_plain(&self, text: &str, oids: &[Oid]) -> bool {
        let state = &self.state;
        match self.shared.plans.analyze(text, oids, &state.view.catalog, &state.analysis_state()) {
            Ok(Analysis::Untouched(_)) => true,
            Ok(Analysis::Statements(list)) => list.iter().all(|s| matches!(s.action, Action::Forward)),
            Ok(Analysis::NeedsSearchPath) | Err(_) => false,
        }
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
            Ok((prepared, values)) => {
                let given = Given::Simple { values: &values, results: Format::Text, late: true };
                self.run_once(name, &prepared, &given).await
            }
        }
    }
}

/// The arguments as text.
///
/// # Errors
/// They are not as many as the statement takes, or such that only the server could read.
fn arguments(prepared: &Prepared, execute: &Execute, text: &str) -> Result<Vec<Option<Zeroizing<String>>>, PgError> {
    let given = execute.arguments.as_deref().unwrap_or_default();
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
