//! Client messages that must be looked at: analysed, confirmed with PostgreSQL, rewritten, refused.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::audit::{Entry, Observer};
use super::back::POISON;
use super::built;
use super::cancel::cancelled;
use super::confirm;
use super::fast::{self, may_read_otherwise};
use super::introspect::Introspected;
use super::ledger::{Await, Reader};
use super::own::Answer;
use super::prepared::{Bound, Prepared, Statement, Turning};
use super::roles::Sight;
use super::{Fault, Session, errors, seal};
use crate::schema::catalog::{EncType, Oid, Standing};
use crate::sql;
use crate::sql::execute::Execute;
use crate::sql::own::Wish;
use crate::sql::pattern::Search;
use crate::sql::plan::{Action, Analysis, BuiltValue, Effects, OutColumn, Param, Plan, Source, Written};
use crate::telemetry::metrics::{Command, Kind, Spent};
use crate::wire::client::{self, tag};
use crate::wire::error::PgError;
use crate::wire::frame::HEADER;

/// Name under which a statement is sent that is made to fail.
const POISONED: &[u8] = b"_columnseal_refused";

/// `unknown`: a parameter that is declared so is left to PostgreSQL, as one that is not declared.
const UNKNOWN: Oid = 705;

/// What to do with one statement.
pub(super) enum Verdict {
    /// Forward its text.
    Forward(Effects),
    /// Send the plan's text instead.
    Plan(Arc<Plan>, Effects),
    /// Forward its text, which chooses the keyset, if it may.
    Choose(Arc<Wish>, Effects),
    /// Run what was prepared under a name.
    Execute(Arc<Execute>),
    /// Refuse it.
    Refuse(PgError),
}

/// Functions of large objects, which libpq and other drivers call by messages: the OIDs of `lo_*`, `loread` and `lowrite`.
const LARGE_OBJECTS: [u32; 20] =
    [715, 764, 765, 767, 952, 953, 954, 955, 956, 957, 958, 964, 1004, 3170, 3171, 3172, 3457, 3458, 3459, 3460];

/// A statement within the client's text.
#[derive(Clone, Copy)]
pub(super) struct Part<'t> {
    pub(super) text: &'t str,
    /// Characters of the client's text before it.
    pub(super) before: u32,
}

impl<'t> Part<'t> {
    /// The statement at `span` of a whole text.
    pub(super) fn of(text: &'t str, span: Range<usize>) -> Self {
        let before = text[..span.start].chars().count();
        Part { text: &text[span], before: u32::try_from(before).unwrap_or(u32::MAX) }
    }
}

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Handles the message of `total` bytes at the start of the client's input.
    pub(super) async fn look(&mut self, total: usize) -> Result<(), Fault> {
        let mut raw = self.pipe.client.input.split_to(total).freeze();
        self.state.heard = self.state.asked.count();
        let simple = matches!(raw[0], tag::QUERY | tag::FUNCTION_CALL);
        if simple && self.state.in_batch {
            // An error before it makes the server skip it; else it ends the batch.
            if !self.settled().await? {
                return Ok(());
            }
        }
        match self.introspected(&raw).await {
            Ok(Introspected::Unchanged) => {}
            Ok(Introspected::Rewritten(message)) => raw = message,
            Ok(Introspected::Answered) => {
                self.state.in_batch &= !simple;
                return Ok(());
            }
            // What is wrong with it is told below.
            Err(Fault::Malformed) => {}
            Err(fault) => return Err(fault),
        }
        let done = self.handle(&raw).await;
        self.state.ledger.edited = None;
        let done = match done {
            Err(Fault::Malformed) if simple => self.poison_query(errors::malformed()),
            Err(Fault::Malformed) => self.poison(errors::malformed()),
            done => done,
        };
        if simple {
            // It ends with ReadyForQuery, and a batch before it with it.
            self.state.in_batch = false;
        }
        done
    }

    async fn handle(&mut self, raw: &Bytes) -> Result<(), Fault> {
        let body = raw.slice(HEADER..);
        match raw[0] {
            tag::QUERY => self.query(raw, &body).await,
            tag::PARSE => self.parse(raw, &body).await,
            tag::BIND => self.bind(raw, &body).await,
            tag::EXECUTE => self.execute(raw, &body).await,
            tag::DESCRIBE => self.describe_cursor(raw, &body).await,
            tag::CLOSE => self.close_statement(raw, &body).await,
            tag::SYNC => self.sync().await,
            tag::FUNCTION_CALL => self.function_call(raw, &body).await,
            _ => Err(Fault::Malformed),
        }
    }

    /// What analysis says of a text. `None`: the client already has an error.
    pub(super) async fn analyze(&mut self, text: &str, oids: &[Oid]) -> Answer<Result<Analysis, PgError>> {
        // A catalog read since the statement came is new enough, whatever others change meanwhile.
        let mut fresh = false;
        loop {
            // By a catalog without encrypted columns any text would be sent, also one that is no statement.
            let known = || !self.state.view.catalog.is_plain() && is_about_transaction(text);
            let current = fresh || self.state.catalog_is_current() || known();
            let unsettled = self.state.vars.unsettled && may_read_otherwise(text.as_bytes());
            let state = self.state.analysis_state();
            let analysis = match current && !unsettled {
                true => self.shared.plans.analyze(text, oids, &self.state.view.catalog, &state),
                false => Ok(Analysis::NeedsSearchPath),
            };
            match analysis {
                Ok(Analysis::NeedsSearchPath) => {}
                Ok(analysis) => return Ok(Some(Ok(analysis))),
                Err(refusal) => return Ok(Some(Err(errors::refusal(&refusal, text)))),
            }
            // Something must be asked. What is on its way may fail or end the transaction: it is awaited first.
            if !self.settled().await? {
                return Ok(None);
            }
            if self.state.has_failed() {
                return Ok(Some(self.analyze_failed(text)));
            }
            if !current {
                match self.refresh_catalog().await? {
                    Some(Ok(())) => fresh = true,
                    Some(Err(e)) => return Ok(Some(Err(e))),
                    None => return Ok(None),
                }
            } else if self.ask_vars().await?.is_none() {
                return Ok(None);
            }
            if self.state.is_cancelled() {
                return Ok(Some(Err(cancelled())));
            }
        }
    }

    /// In a failed transaction nothing can be asked. What begins with the end of the transaction goes on: the rest of
    /// it is judged afterwards. Everything else fails.
    fn analyze_failed(&self, text: &str) -> Result<Analysis, PgError> {
        sql::after_failure(text, self.state.standard_conforming_strings).ok_or_else(errors::in_failed_transaction)
    }

    /// Turns an action into a verdict, with the checks that need the session.
    pub(super) fn judge(&self, action: &Action, effects: Effects, text: &str) -> Verdict {
        match action {
            Action::Refuse(refusal) => Verdict::Refuse(errors::refusal(refusal, text)),
            Action::Forward => Verdict::Forward(effects),
            Action::Execute(execute) => self.judge_execute(execute, effects),
            Action::Fetch(fetch) => self.judge_fetch(fetch, effects),
            Action::Choose(wish) => Verdict::Choose(Arc::clone(wish), effects),
            Action::Run(plan) => match self.objection(plan) {
                Some(error) => Verdict::Refuse(error),
                // They are those of what is prepared.
                None if plan.prepares.is_some() => {
                    Verdict::Plan(Arc::clone(plan), Effects { prepares: false, turns: false, ..effects })
                }
                None => Verdict::Plan(Arc::clone(plan), effects),
            },
        }
    }

    pub(super) fn objection(&self, plan: &Plan) -> Option<PgError> {
        if !self.state.reads_utf8() {
            return Some(errors::client_encoding(&self.state.client_encoding));
        }
        let of_params = plan.params.iter().filter_map(|p| p.role.enc()).chain(plan.searches.iter().map(|s| &s.enc));
        let of_built = plan.built.iter().map(|value| &value.enc);
        let of_columns = plan.described_columns().into_iter().flatten().filter_map(|c| c.enc());
        of_params.chain(of_columns).chain(of_built).find_map(|t| match &t.standing {
            Standing::Verified => None,
            Standing::Unsigned => Some(errors::unsigned_type(t.known_name())),
            Standing::Broken(why) => Some(errors::broken_type(t.known_name(), why)),
        })
    }

    async fn parse(&mut self, raw: &Bytes, body: &Bytes) -> Result<(), Fault> {
        let message = client::Parse::parse(body).map_err(|_| Fault::Malformed)?;
        self.state.exchange.command = Command::of(message.sql);
        self.state.exchange.hears(message.sql);
        let oids: Vec<Oid> = message.oids.iter().map(|oid| if oid == UNKNOWN { 0 } else { oid }).collect();
        let Some((verdict, span)) = self.verdict_of_one(message.sql, &oids).await? else { return Ok(()) };
        match verdict {
            Verdict::Refuse(error) => self.refuse_parse(message.name, error),
            Verdict::Execute(execute) if execute.within && oids.is_empty() => {
                let Some(text) = utf8(message.sql)?.get(span) else { return Err(Fault::Malformed) };
                match self.prepare_within(&execute, text).await? {
                    Some(Ok((prepared, sql))) => self.send_parse(message.name, &prepared, &sql, Reader::Client),
                    Some(Err(error)) => self.refuse_parse(message.name, error),
                    None => Ok(()),
                }
            }
            Verdict::Execute(_) => self.refuse_parse(message.name, errors::simple_only("EXECUTE")),
            Verdict::Plan(plan, _) if plan.prepares.is_some() => {
                self.refuse_parse(message.name, errors::simple_only("PREPARE"))
            }
            Verdict::Forward(effects) => {
                self.pipe.server.output.extend_from_slice(raw);
                let turning = self.state.turning(effects, message.sql);
                fast::forward_parse(&mut self.state, &message, effects, turning);
                Ok(())
            }
            Verdict::Choose(wish, effects) => {
                self.pipe.server.output.extend_from_slice(raw);
                fast::forward_parse(&mut self.state, &message, effects, Turning::Wish(wish));
                Ok(())
            }
            Verdict::Plan(plan, effects) => {
                let text = utf8(message.sql)?;
                let part = Part::of(text, span);
                let prepared = match self.prepare(&plan, effects, part, &oids).await? {
                    Some(Ok(prepared)) => prepared,
                    Some(Err(error)) => return self.refuse_parse(message.name, error),
                    None => return Ok(()),
                };
                self.send_parse(message.name, &prepared.0, &prepared.1, Reader::Client)
            }
        }
    }

    /// As PostgreSQL, a Parse that fails still ends the unnamed statement before it.
    fn refuse_parse(&mut self, name: &[u8], error: PgError) -> Result<(), Fault> {
        if name.is_empty() {
            self.state.names.set_statement(name, None);
        }
        self.poison(error)
    }

    pub(super) async fn verdict_of_one(&mut self, sql: &[u8], oids: &[Oid]) -> Answer<(Verdict, Range<usize>)> {
        let whole = 0..sql.len();
        let Some(text) = self.readable(sql) else {
            let judged = self.judge_unreadable(sql, oids).await?;
            return Ok(judged.map(|judged| (judged.map_or_else(Verdict::Refuse, Verdict::Forward), whole)));
        };
        let analysis = match self.analyze(text, oids).await? {
            None => return Ok(None),
            Some(Err(error)) => return Ok(Some((Verdict::Refuse(error), whole))),
            Some(Ok(analysis)) => analysis,
        };
        let verdict = match analysis {
            Analysis::Statements(list) => match &list[..] {
                [one] => {
                    if self.names_known(&one.action).await?.is_none() {
                        return Ok(None);
                    }
                    return Ok(Some((self.judge(&one.action, one.effects, text), one.span.clone())));
                }
                _ => Verdict::Refuse(errors::several_statements()),
            },
            Analysis::Untouched(effects) => self.judge(&Action::Forward, effects, text),
            Analysis::NeedsSearchPath => Verdict::Refuse(errors::internal("search_path was asked for twice")),
        };
        Ok(Some((verdict, whole)))
    }

    /// Renders a plan for one text and has PostgreSQL confirm it if it has not yet: what to remember and what to send.
    pub(super) async fn prepare(
        &mut self,
        plan: &Arc<Plan>,
        effects: Effects,
        part: Part<'_>,
        oids: &[Oid],
    ) -> Answer<Result<(Arc<Prepared>, String), PgError>> {
        let Part { text, before } = part;
        let cursor = plan.reads.as_deref().and_then(|name| self.state.cursors.get(name)).map(Arc::clone);
        let entry = match &cursor {
            Some(declared) => declared.prepared.entry.clone(),
            None => self.entry(plan, text),
        };
        if let Some(error) = self.denied(plan) {
            self.state.tally.refused(entry.as_ref());
            return Ok(Some(Err(error)));
        }
        let tokens = sql::literals(text);
        let value = |p: &Param| p.source.text(text, &tokens).map(|t| Zeroizing::new(t.into_owned()));
        let literals: Vec<_> = plan.params.iter().map(value).collect();
        if plan
            .params
            .iter()
            .zip(&literals)
            .any(|(p, l)| l.is_none() && !matches!(p.source, Source::Client(_) | Source::Shown | Source::Search))
        {
            return Ok(Some(Err(errors::unreadable_literal())));
        }
        if let Some(column) = told_in_plain(plan, text, &tokens, &literals) {
            return Ok(Some(Err(errors::told_in_plain(column))));
        }
        if plan.confirmed.get().is_none()
            && let Some(template) = &plan.described
        {
            let described = template.render(text, &tokens);
            let prepared = Arc::new(Prepared {
                plan: Arc::clone(plan),
                text: Zeroizing::default(),
                declared: oids.to_vec(),
                literals: Vec::new(),
                before,
                positions: described.positions,
                effects,
                cursor: None,
                entry: None,
                runs: None,
            });
            let types = confirm::described_oids(plan, oids);
            let Some(description) = self.ask_description(&described.sql, &types, &prepared).await? else {
                return Ok(None);
            };
            match confirm::confirm(plan, &description, oids, &self.state.view.catalog) {
                Ok(confirmed) => drop(plan.confirmed.set(confirmed)),
                Err(error) => return Ok(Some(Err(error))),
            }
        }
        let executed = plan.executed.render(text, &tokens);
        let prepared = Prepared {
            plan: Arc::clone(plan),
            text: Zeroizing::new(text.to_owned()),
            declared: oids.to_vec(),
            literals,
            before,
            positions: executed.positions,
            effects,
            cursor,
            entry,
            runs: None,
        };
        Ok(Some(Ok((Arc::new(prepared), executed.sql))))
    }

    /// Where runs of a plan are counted. A SHOW of the proxy's own is no access to data.
    fn entry(&mut self, plan: &Plan, text: &str) -> Option<Arc<Entry>> {
        if plan.shows() {
            return None;
        }
        let conforming = self.state.standard_conforming_strings;
        let shape = || Arc::clone(plan.shape.get_or_init(|| Arc::new(sql::Shape::of(text, conforming))));
        self.state.observer.as_mut()?.entry(shape)
    }

    /// A result column that the connection's role may not read in any form.
    fn denied(&self, plan: &Plan) -> Option<PgError> {
        let viewer = &self.state.viewer;
        // What opens values to compare them tells of more than single guesses.
        let hidden = |search: &&Search| viewer.rule.sight(&search.enc) != Some(Sight::Whole);
        if let Some(search) = plan.searches.iter().find(hidden) {
            return Some(errors::unreadable_for(&viewer.role, &search.column, search.enc.known_name()));
        }
        // In text that is joined a NULL in place of a value could not make it NULL, and what the client gave is no value to mask.
        let hidden = |value: &&BuiltValue| match viewer.rule.sight(&value.enc) {
            None => true,
            Some(Sight::Whole) => false,
            Some(Sight::Hidden) => value.written != Written::Json,
            Some(Sight::Masked(_)) => value.written == Written::Given,
        };
        if let Some(value) = plan.built.iter().find(hidden) {
            return Some(errors::unreadable_for(&viewer.role, &value.column, value.enc.known_name()));
        }
        let denied = |(enc, column): (&Arc<EncType>, &str)| {
            let none = viewer.rule.sight(enc).is_none();
            none.then(|| errors::unreadable_for(&viewer.role, column, enc.known_name()))
        };
        plan.columns.iter().flatten().find_map(|column| match column {
            OutColumn::Envelope(enc, name) | OutColumn::Composite(enc, name) => denied((enc, name)),
            OutColumn::Computed(formula) => formula.sealed().find_map(denied),
            OutColumn::Finished(finish) => finish.sealed().find_map(denied),
            _ => None,
        })
    }

    /// Sends the executed form under the client's name.
    pub(super) fn send_parse(
        &mut self,
        name: &[u8],
        prepared: &Arc<Prepared>,
        sql: &str,
        reader: Reader,
    ) -> Result<(), Fault> {
        let types = confirm::executed_oids(&prepared.plan, &prepared.declared);
        client::parse(&mut self.pipe.server.output, name, sql.as_bytes(), types)?;
        let statement = Statement::Plan(Arc::clone(prepared), self.state.seen());
        let undo = self.state.names.set_statement(name, Some(statement.clone()));
        self.state.in_batch = true;
        self.state.ledger.push(Await::Parse(undo), reader, Some(statement));
        Ok(())
    }

    /// Seals the parameters and sends Bind. A value that cannot be sealed is an error at this place.
    pub(super) async fn send_bind(
        &mut self,
        portal: &[u8],
        statement: &[u8],
        prepared: &Arc<Prepared>,
        given: &seal::Given<'_>,
        reader: Reader,
    ) -> Result<(), Fault> {
        let unknown = self.state.vars.unsettled || (prepared.opens() && self.state.vars.search_path.is_none());
        if unknown && self.ask_vars().await?.is_none() {
            return Ok(());
        }
        if prepared.chooses() && self.state.ledger.is_moving() && !self.settled().await? {
            return Ok(());
        }
        if !prepared.plan.shows() && self.state.observer.as_ref().is_some_and(Observer::refuses) {
            return self.poison(errors::unrecorded());
        }
        let shown = match self.shown(prepared) {
            Ok(shown) => shown,
            Err(error) => return self.poison(error),
        };
        let found = match prepared.plan.searches.is_empty() && prepared.plan.letters.is_none() {
            true => Vec::new(),
            false => match self.search(prepared, given).await? {
                Some(Ok(found)) => found,
                Some(Err(error)) => return self.poison(error),
                None => return Ok(()),
            },
        };
        if !prepared.plan.built.is_empty() && self.state.mark.is_none() {
            match built::mark() {
                Ok(mark) => self.state.mark = Some(mark),
                Err(_) => return self.poison(errors::internal("the system gives no random numbers")),
            }
        }
        let within = seal::Within {
            ring: &self.shared.ring,
            found: &found,
            mark: self.state.mark,
            letters: self.state.letters.as_ref(),
            settings: Arc::clone(&self.state.settings),
            pick: self.state.choice.active(),
            shown: shown.as_deref(),
            viewer: &self.state.viewer,
            tally: &mut self.state.tally,
            exchange: &mut self.state.exchange,
        };
        let bound = tokio::select! {
            biased;
            bound = seal::bind(within, prepared, portal, statement, given, &mut self.pipe.server.output) => bound,
            // Keys are awaited.
            () = self.state.asked.beyond(self.state.heard) => Err(cancelled()),
        };
        self.state.exchange.turn_to(Some(Spent::Analysis));
        match bound {
            Ok((portal_state, sealed)) => {
                let values = sealed.iter().map(|(_, values)| u64::from(*values)).sum();
                self.shared.metrics.sealed(values);
                sealed.iter().for_each(|(keyset, values)| self.shared.ring.sealed(*keyset, (*values).into()));
                // Once, however often the portal or cursor is read from.
                if prepared.cursor.is_none() {
                    self.state.tally.ran(prepared.entry.as_ref());
                }
                let portal_state = Arc::new(portal_state);
                let undo = self.state.names.set_portal(portal, Some(Bound::Plan(Arc::clone(&portal_state))));
                let announce = (reader == Reader::Nobody).then_some(portal_state);
                self.state.in_batch = true;
                self.state.ledger.push(
                    Await::Bind(undo, announce),
                    reader,
                    Some(Statement::Plan(Arc::clone(prepared), self.state.seen())),
                );
                Ok(())
            }
            Err(error) => self.poison(error),
        }
    }

    fn refuses(&mut self, error: &PgError) {
        self.shared.refused(error.sqlstate.0);
        self.shared.metrics.statements.of(Kind::Refused, self.state.exchange.command).increment(1);
        self.state.exchange.refuses();
        self.state.exchange.failed(error.sqlstate.0.as_bytes());
    }

    /// Makes the server fail where a statement is refused, so that order, skipping and transaction state are its own.
    pub(super) fn poison(&mut self, error: PgError) -> Result<(), Fault> {
        self.refuses(&error);
        client::parse(&mut self.pipe.server.output, POISONED, POISON, [])?;
        self.state.in_batch = true;
        self.state.ledger.expect(Await::Poison(Box::new(error)));
        // Whatever fails first, the server skips to the next Sync. Values meant for this statement need not travel.
        self.state.ledger.skipping = true;
        Ok(())
    }

    /// Sync after results that may still fail here. Where something else depends on them, they are awaited first, so
    /// that a failure rolls back; else the session only stops taking more from the client.
    pub(super) async fn sync(&mut self) -> Result<(), Fault> {
        let depends = self.state.batch.runs > 1 || self.state.batch.undoes;
        if self.state.batch.opens && depends && !self.state.ledger.is_empty() {
            self.settle().await?;
        }
        if self.state.dropping {
            client::parse(&mut self.pipe.server.output, POISONED, POISON, [])?;
        }
        client::sync(&mut self.pipe.server.output);
        self.state.fenced = self.state.batch.opens;
        self.state.synced();
        Ok(())
    }

    /// Its arguments go as they are, and what the function does with them is not known: it may run a text.
    async fn function_call(&mut self, raw: &Bytes, body: &Bytes) -> Result<(), Fault> {
        let oid = body.first_chunk::<4>().map(|b| u32::from_be_bytes(*b)).ok_or(Fault::Malformed)?;
        if !LARGE_OBJECTS.contains(&oid) {
            if self.state.has_failed() {
                return self.poison_query(errors::in_failed_transaction());
            }
            if !self.state.catalog_is_current() {
                match self.refresh_catalog().await? {
                    Some(Ok(())) => {}
                    Some(Err(error)) => return self.poison_query(error),
                    None => return self.end_query().await,
                }
            }
            if !self.state.view.catalog.is_plain() {
                return self.poison_query(errors::function_call());
            }
            self.state.runs(Effects { ddl: true, settings: true, ..Effects::default() });
        }
        self.pipe.server.output.extend_from_slice(raw);
        self.state.ledger.expect(Await::FunctionCall);
        Ok(())
    }

    /// As [`Session::poison`], for messages that end with ReadyForQuery by themselves.
    pub(super) fn poison_query(&mut self, error: PgError) -> Result<(), Fault> {
        self.refuses(&error);
        client::query(&mut self.pipe.server.output, POISON)?;
        self.state.ledger.expect(Await::PoisonQuery(Box::new(error)));
        Ok(())
    }
}

/// The column of a sealed literal whose value also stands in the text where it is sent in plain.
fn told_in_plain<'p>(
    plan: &'p Plan,
    text: &str,
    tokens: &sql::Literals,
    sealed: &[Option<Zeroizing<String>>],
) -> Option<&'p str> {
    let loose = plan.loose.literals.iter().filter_map(|&k| tokens.get(k)?.value(text)).filter(|v| !v.is_empty());
    loose.into_iter().find_map(|value| {
        let mut params = plan.params.iter().zip(sealed).filter(|(p, _)| p.role.holds());
        let same = |literal: &Option<Zeroizing<String>>| literal.as_ref().is_some_and(|l| l.as_str() == value);
        params.find(|(_, literal)| same(literal)).map(|(p, _)| p.column.as_str())
    })
}

pub(super) fn utf8(sql: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(sql).map_err(|_| Fault::Malformed)
}

/// What ends a transaction, divides it, or sets its level, whatever the catalog holds. Nothing may be asked before SET TRANSACTION, which
/// must come before any query of its transaction; and one that cannot be judged any more can still be ended.
fn is_about_transaction(text: &str) -> bool {
    let statement = text.trim().trim_end_matches(';');
    let mut words = statement.split_ascii_whitespace().map(str::to_ascii_lowercase);
    let mut next = || words.next().unwrap_or_default();
    let is = match next().as_str() {
        "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => true,
        "set" => {
            let first = next();
            let name = if matches!(first.as_str(), "local" | "session") { next() } else { first };
            name.starts_with("transaction")
        }
        _ => false,
    };
    is && !statement.contains(';')
}
