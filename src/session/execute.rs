//! Statements on encrypted columns that are prepared and run by SQL.
//!
//! PREPARE becomes a Parse under its name, which PostgreSQL keeps with those of SQL, and EXECUTE a Bind and an Execute.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::front::{Part, Verdict};
use super::ledger::{Await, Reader, Undo};
use super::own::Answer;
use super::prepared::{Prepared, Runs, Statement};
use super::seal::Given;
use super::{Fault, Session, confirm, errors};
use crate::sql;
use crate::sql::execute::{Argument, Execute, Prepare};
use crate::sql::plan::{Action, Analysis, Effects, Plan};
use crate::wire::client::{self, Kind};
use crate::wire::error::PgError;
use crate::wire::value::Format;

/// Name of the statement that an EXPLAIN explains where plans are generic.
pub(super) const EXPLAINED: &str = "_columnseal_explained";

const PLANS: &str = "SELECT pg_catalog.current_setting('plan_cache_mode', true)";

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
        let outcome = if execute.within {
            let run = self.prepare_within(execute, part.text).await?;
            run.map(|run| run.map(|(prepared, sql)| (prepared, Some(sql), Vec::new())))
        } else {
            let executed = self.executed(&execute.name).await?;
            executed.map(|executed| {
                let executed = executed?;
                arguments(&executed, execute, part.text).map(|values| (executed, None, values))
            })
        };
        let (prepared, sql, values) = match outcome {
            None => return Ok(false),
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => {
                self.poison(error)?;
                return Ok(false);
            }
        };
        let mut statement = execute.name.as_bytes();
        if let Some(sql) = sql {
            statement = b"";
            self.send_parse(statement, &prepared, &sql, Reader::Nobody)?;
        }
        let given = Given::Simple { values: &values, results: Format::Text, late: true };
        self.run_once(statement, &prepared, &given).await
    }

    /// The plan that a name stands for, as it is to be run now.
    async fn executed(&mut self, name: &str) -> Answer<Result<Arc<Prepared>, PgError>> {
        let name = name.as_bytes();
        Ok(match self.state.names.statement(name).cloned() {
            None => Some(Err(errors::no_statement(name))),
            Some(Statement::Plan(prepared, _)) if prepared.runs.is_some() => Some(Err(errors::execute_within())),
            Some(known) => match self.current(name, known).await? {
                None => None,
                Some(Ok(Statement::Plan(prepared, _))) => Some(Ok(prepared)),
                Some(Ok(Statement::Forwarded(_))) => Some(Err(errors::execute_after_change())),
                Some(Err(error)) => Some(Err(error)),
            },
        })
    }

    /// EXPLAIN and CREATE TABLE AS of an EXECUTE: what to remember and what to send.
    pub(super) async fn prepare_within(
        &mut self,
        execute: &Execute,
        text: &str,
    ) -> Answer<Result<(Arc<Prepared>, String), PgError>> {
        match self.executed(&execute.name).await? {
            None => Ok(None),
            Some(Ok(executed)) => self.prepare_run(executed, execute, text).await,
            Some(Err(error)) => Ok(Some(Err(error))),
        }
    }

    /// EXPLAIN and CREATE TABLE AS of an EXECUTE are those of the statement itself, with the arguments as its parameters.
    async fn prepare_run(
        &mut self,
        executed: Arc<Prepared>,
        execute: &Execute,
        text: &str,
    ) -> Answer<Result<(Arc<Prepared>, String), PgError>> {
        let arguments = match arguments(&executed, execute, text) {
            Ok(arguments) => arguments,
            Err(error) => return Ok(Some(Err(error))),
        };
        let conforming = self.state.standard_conforming_strings;
        let query = match &executed.plan.prepares {
            Some(_) => sql::execute::prepared_query(&executed.text, conforming),
            None => Some(executed.text.as_str()),
        };
        let Some(whole) = query.and_then(|query| sql::execute::in_place(text, query, conforming)) else {
            return Ok(Some(Err(errors::execute_within())));
        };
        let whole = Zeroizing::new(whole);
        let (plan, effects) = match self.verdict_of_one(whole.as_bytes(), &executed.declared).await? {
            None => return Ok(None),
            Some((Verdict::Plan(plan, effects), _)) if plan.client_params == arguments.len() => (plan, effects),
            Some((Verdict::Refuse(error), _)) => return Ok(Some(Err(PgError { position: None, ..error }))),
            Some(_) => return Ok(Some(Err(errors::execute_within()))),
        };
        let part = Part { text: &whole, before: 0 };
        let (prepared, mut sql) = match self.prepare(&plan, effects, part, &executed.declared).await? {
            None => return Ok(None),
            Some(Ok(prepared)) => prepared,
            Some(Err(error)) => return Ok(Some(Err(PgError { position: None, ..error }))),
        };
        let Some(mut prepared) = Arc::into_inner(prepared) else {
            return Ok(Some(Err(errors::internal("a statement that was just prepared is in use"))));
        };
        let name = execute.name.clone();
        let text = Zeroizing::new(text.to_owned());
        let mut runs = Runs { text, name, executed, arguments, valueless: false, generic: None };
        if let Some((explain, query)) = runs.without_values(&sql, conforming)
            && plan.steps.is_none()
        {
            let Some(generic) = self.plans_are_generic().await? else { return Ok(None) };
            let (explain, query) = (explain.to_owned(), query.to_owned());
            runs.valueless = true;
            if generic {
                let types = confirm::executed_oids(&plan, &prepared.declared);
                let nulls = vec!["NULL"; types.len()].join(", ");
                sql = format!("{explain}EXECUTE {EXPLAINED}({nulls})");
                runs.generic = Some((query, types));
                runs.arguments = Vec::new();
                prepared.plan = Arc::new(plan.without_params());
                prepared.literals = Vec::new();
            }
        }
        prepared.runs = Some(runs);
        Ok(Some(Ok((Arc::new(prepared), sql))))
    }

    /// Whether PostgreSQL plans prepared statements without their values.
    async fn plans_are_generic(&mut self) -> Answer<bool> {
        let Some(rows) = self.ask(PLANS).await? else { return Ok(None) };
        Ok(Some(rows.into_iter().flatten().flatten().any(|mode| mode == "force_generic_plan")))
    }

    /// What EXPLAIN names where plans are generic, until it has run. `end`: it has.
    pub(super) fn explained(&mut self, prepared: &Arc<Prepared>, end: bool) -> Result<(), Fault> {
        let Some((query, types)) = prepared.runs.as_ref().and_then(|runs| runs.generic.as_ref()) else { return Ok(()) };
        let out = &mut self.pipe.server.output;
        // One that failed may have left it, and is not yet known to have.
        client::close(out, Kind::Statement, EXPLAINED.as_bytes())?;
        self.state.ledger.push(Await::Close(Undo::None), Reader::Nobody, None);
        if !end {
            client::parse(out, EXPLAINED.as_bytes(), query.as_bytes(), types.iter().copied())?;
            let statement = Some(Statement::Plan(Arc::clone(prepared), self.state.seen()));
            self.state.ledger.push(Await::Parse(Undo::None), Reader::Nobody, statement);
        }
        Ok(())
    }

    /// As [`current`](Self::current), of a statement that runs another by its name, which may stand for something else by now.
    pub(super) async fn current_run(
        &mut self,
        name: &[u8],
        known: Statement,
        runs: &Runs,
    ) -> Answer<Result<Statement, PgError>> {
        let sql = runs.text.as_bytes();
        let execute = match self.verdict_of_one(sql, &[]).await? {
            None => return Ok(None),
            Some((Verdict::Execute(execute), _)) => execute,
            Some((verdict, _)) => return self.prepare_again(name, known, verdict, (sql, &[])).await,
        };
        let executed = match self.executed(&execute.name).await? {
            None => return Ok(None),
            Some(Ok(executed)) => executed,
            Some(Err(error)) => return Ok(Some(Err(error))),
        };
        let same = Arc::ptr_eq(&executed, &runs.executed);
        if same && !runs.valueless {
            return Ok(Some(Ok(known)));
        }
        let (prepared, sql) = match self.prepare_run(executed, &execute, &runs.text).await? {
            None => return Ok(None),
            Some(Ok(prepared)) => prepared,
            Some(Err(error)) => return Ok(Some(Err(error))),
        };
        if same && prepared.runs.as_ref().is_some_and(|now| now.generic.is_some() == runs.generic.is_some()) {
            return Ok(Some(Ok(known)));
        }
        self.close_quietly(name)?;
        self.send_parse(name, &prepared, &sql, Reader::Nobody)?;
        Ok(Some(Ok(Statement::Plan(prepared, self.state.seen()))))
    }

    /// Why a portal that runs a statement by its name cannot be run now: the name stands for another since it was bound. `None`:
    /// something failed.
    pub(super) async fn run_objection(&mut self, runs: &Runs) -> Answer<Option<PgError>> {
        if !self.settled().await? {
            return Ok(None);
        }
        Ok(Some(match self.state.names.statement(runs.name.as_bytes()) {
            Some(Statement::Plan(now, _)) if Arc::ptr_eq(now, &runs.executed) => None,
            Some(_) => Some(errors::changed_result()),
            None => Some(errors::no_statement(runs.name.as_bytes())),
        }))
    }
}

impl Runs {
    /// EXPLAIN without ANALYZE shows no more of values than the plan that is made for them. Where all are NULL: the text before its
    /// query in the client's text, and the query in the text that would be sent.
    fn without_values<'t>(&'t self, sql: &'t str, conforming: bool) -> Option<(&'t str, &'t str)> {
        let none = !self.arguments.is_empty() && self.arguments.iter().all(Option::is_none);
        none.then(|| sql::execute::explained(&self.text, sql, conforming)).flatten()
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
