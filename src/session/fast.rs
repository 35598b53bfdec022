//! The fast path: client messages that need no look inside, or only at a name, forwarded as runs of bytes.
//!
//! Sync, no allocation, no lock but the plan cache's.

use std::sync::Arc;

use super::choice::Turn;
use super::ledger::Await;
use super::prepared::{Bound, Forwarded, Source, Statement, Turning};
use super::replication;
use super::state::State;
use crate::schema::catalog::Oid;
use crate::sql::PlanCache;
use crate::sql::plan::{Analysis, Effects};
use crate::wire::client::{self, Kind, tag};
use crate::wire::error::PgError;
use crate::wire::frame::{self, FrameError, HEADER};
use crate::wire::sqlstate::SqlState;

/// Messages of more bytes than this are forwarded in parts where nothing in them must be seen.
const LARGE: usize = 64 * 1024;

/// A peer that does not speak the protocol: told why, then closed.
pub(super) fn broken(error: FrameError) -> PgError {
    PgError::fatal(SqlState::PROTOCOL_VIOLATION, error.to_string())
}

/// Where the fast path stopped.
pub(super) enum Stop {
    /// At the end of the bytes there are.
    Dry,
    /// At a whole message, of so many bytes, that must be looked at.
    Look(usize),
    /// At Terminate.
    Bye,
}

/// Forwards what it can from `input` to `output`; says how much was used.
///
/// # Errors
/// The client does not speak the protocol.
pub(super) fn forward(
    state: &mut State,
    plans: &PlanCache,
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(usize, Stop), PgError> {
    let mut used = state.passing_client.min(input.len());
    output.extend_from_slice(&input[..used]);
    state.passing_client -= used;
    let dropped = state.dropping_client.min(input.len() - used);
    used += dropped;
    state.dropping_client -= dropped;
    // Frames to be forwarded are copied as one run.
    let mut run = used;
    let stop = loop {
        if state.fenced || state.passing_client > 0 || state.dropping_client > 0 {
            break Stop::Dry;
        }
        let rest = &input[used..];
        let Some(&kind) = rest.first() else { break Stop::Dry };
        let max = client::max_len(kind).ok_or_else(|| unknown(kind))?;
        let Some((_, total)) = frame::header(rest, max).map_err(broken)? else { break Stop::Dry };
        let Some(raw) = rest.get(..total) else {
            if kind == tag::COPY_DATA && (state.ledger.skipping || state.is_stale_copy()) {
                output.extend_from_slice(&input[run..used]);
                state.dropping_client = total - rest.len();
                (used, run) = (input.len(), input.len());
            } else if total > LARGE && passes_in_part(state, kind, &rest[HEADER..]) {
                state.passing_client = total - rest.len();
                used = input.len();
            }
            break Stop::Dry;
        };
        match one(state, plans, kind, &raw[HEADER..]) {
            Verdict::Forward => used += total,
            Verdict::Drop => {
                output.extend_from_slice(&input[run..used]);
                used += total;
                run = used;
            }
            Verdict::Look => break Stop::Look(total),
            Verdict::Bye => break Stop::Bye,
        }
    };
    output.extend_from_slice(&input[run..used]);
    Ok((used, stop))
}

/// A message that no client sends.
pub(super) fn unknown(kind: u8) -> PgError {
    PgError::fatal(SqlState::PROTOCOL_VIOLATION, format!("invalid frontend message type {kind}"))
}

/// A large message of which only the beginning is there can be forwarded already.
fn passes_in_part(state: &mut State, kind: u8, body: &[u8]) -> bool {
    if state.ledger.skipping {
        return false;
    }
    match kind {
        tag::COPY_DATA => true,
        tag::BIND => {
            let mut names = body.splitn(3, |b| *b == 0);
            let (Some(portal), Some(statement), Some(_)) = (names.next(), names.next(), names.next()) else {
                return false;
            };
            forward_bind(state, portal, statement)
        }
        _ => false,
    }
}

enum Verdict {
    Forward,
    Drop,
    Look,
    Bye,
}

fn one(state: &mut State, plans: &PlanCache, kind: u8, body: &[u8]) -> Verdict {
    if state.ledger.skipping && !matches!(kind, tag::SYNC | tag::TERMINATE) {
        return Verdict::Drop;
    }
    match kind {
        // Within a batch, what was sent before it decides whether the server looks at it.
        tag::QUERY | tag::FUNCTION_CALL if state.in_batch => Verdict::Look,
        tag::QUERY => query(state, plans, body),
        tag::PARSE => parse(state, plans, body),
        tag::BIND => bind(state, body),
        tag::EXECUTE => execute(state, body),
        tag::DESCRIBE => describe(state, body),
        tag::CLOSE => close(state, body),
        tag::SYNC => sync(state),
        tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL if state.is_stale_copy() => Verdict::Drop,
        tag::COPY_DONE | tag::COPY_FAIL => {
            state.copying = false;
            Verdict::Forward
        }
        tag::COPY_DATA | tag::FLUSH => Verdict::Forward,
        tag::TERMINATE => Verdict::Bye,
        _ => Verdict::Look,
    }
}

/// A message of the extended protocol goes on.
fn in_batch(state: &mut State, what: Await) -> Verdict {
    state.in_batch = true;
    state.ledger.expect(what);
    Verdict::Forward
}

/// The text is known to touch nothing: its effects.
fn untouched(state: &State, plans: &PlanCache, sql: &[u8], oids: &[Oid]) -> Option<Effects> {
    if !state.catalog_is_current() || (state.vars.unsettled && may_read_otherwise(sql)) {
        return None;
    }
    let sql = std::str::from_utf8(sql).ok().filter(|sql| state.reads_utf8() || sql.is_ascii())?;
    match plans.analyze(sql, oids, &state.view.catalog, &state.analysis_state()) {
        Ok(Analysis::Untouched(effects)) => Some(effects),
        _ => None,
    }
}

/// Settings decide where strings of this text end, or what its letters are.
pub(super) fn may_read_otherwise(sql: &[u8]) -> bool {
    memchr::memchr(b'\\', sql).is_some() || !sql.is_ascii()
}

fn query(state: &mut State, plans: &PlanCache, body: &[u8]) -> Verdict {
    let Ok(message) = client::Query::parse(body) else { return Verdict::Look };
    if state.replication && replication::is_command(message.sql) {
        state.ledger.expect(Await::Query);
        return Verdict::Forward;
    }
    if state.may_introspect(message.sql) {
        return Verdict::Look;
    }
    match untouched(state, plans, message.sql, &[]) {
        Some(effects) if !effects.copies && !waits(state, effects) => {
            state.runs(effects);
            state.exchange.hears(message.sql);
            state.exchange.runs_plain();
            state.exchange.shows(message.sql);
            let turns = state.turns(effects, message.sql);
            state.ledger.expect_turns(Await::Query, turns);
            Verdict::Forward
        }
        _ => Verdict::Look,
    }
}

/// What it does to the statements prepared by SQL, or runs of them, must be known before anything else is sent.
pub(super) fn waits(state: &State, effects: Effects) -> bool {
    (effects.prepares || effects.executes) && !state.view.catalog.is_plain()
}

fn parse(state: &mut State, plans: &PlanCache, body: &[u8]) -> Verdict {
    let Ok(message) = client::Parse::parse(body) else { return Verdict::Look };
    if state.may_introspect(message.sql) {
        return Verdict::Look;
    }
    let effects = if message.oids.is_empty() {
        untouched(state, plans, message.sql, &[])
    } else {
        let oids: Vec<Oid> = message.oids.iter().collect();
        untouched(state, plans, message.sql, &oids)
    };
    match effects {
        Some(effects) => {
            state.exchange.hears(message.sql);
            let turning = state.turning(effects, message.sql);
            forward_parse(state, &message, effects, turning);
            Verdict::Forward
        }
        None => Verdict::Look,
    }
}

/// Remembers a statement that is forwarded as it is.
pub(super) fn forward_parse(state: &mut State, message: &client::Parse<'_>, effects: Effects, turning: Turning) {
    let source = if message.name.is_empty() {
        state.names.keep_unnamed(message.sql, message.oids.iter());
        None
    } else {
        Some(Arc::new(Source { sql: message.sql.to_vec(), oids: message.oids.iter().collect() }))
    };
    let known = Statement::Forwarded(Forwarded { effects, turning, seen: state.seen(), source, by_sql: false });
    let undo = state.names.set_statement(message.name, Some(known));
    state.in_batch = true;
    state.ledger.expect(Await::Parse(undo));
}

fn bind(state: &mut State, body: &[u8]) -> Verdict {
    let mut names = body.splitn(3, |b| *b == 0);
    let (Some(portal), Some(statement)) = (names.next(), names.next()) else { return Verdict::Look };
    if forward_bind(state, portal, statement) { Verdict::Forward } else { Verdict::Look }
}

/// Whether a Bind can be forwarded as it is; then it is noted.
fn forward_bind(state: &mut State, portal: &[u8], statement: &[u8]) -> bool {
    if !state.catalog_is_current() || state.names.is_unsure(statement) {
        return false;
    }
    let (effects, turning) = match state.names.statement(statement) {
        Some(Statement::Forwarded(known)) if known.seen == state.seen() => (known.effects, known.turning.clone()),
        None if state.view.catalog.is_plain() => Default::default(),
        // Its values may be meant for a statement that was refused, or that means something else by now.
        _ => return false,
    };
    let of_cursor = effects.fetches && state.cursors.are_used();
    let of_plan = effects.executes && waits(state, effects);
    if effects.configures || of_cursor || of_plan || (effects.transaction && state.batch.opens) {
        return false;
    }
    state.shows_prepared(statement);
    bound(state, portal, effects, turning);
    true
}

/// Notes a Bind of a forwarded statement.
pub(super) fn bound(state: &mut State, portal: &[u8], effects: Effects, turning: Turning) {
    state.note(effects);
    let kept = (effects != Effects::default()).then_some(Bound::Forwarded(effects, turning));
    let undo = state.names.set_portal(portal, kept);
    state.in_batch = true;
    state.ledger.expect(Await::Bind(undo, None));
}

fn execute(state: &mut State, body: &[u8]) -> Verdict {
    let Ok(message) = client::Execute::parse(body) else { return Verdict::Look };
    let mut turns = Vec::new();
    let portal = match state.names.portal(message.portal).cloned() {
        Some(Bound::Forwarded(effects, _))
            if effects.copies
                || effects.chooses
                || waits(state, effects)
                || (effects.transaction && state.batch.opens) =>
        {
            return Verdict::Look;
        }
        Some(Bound::Forwarded(effects, turning)) => {
            state.runs(effects);
            if let Turning::Act(act) = turning {
                state.acts_soon(&act);
                turns.push(Turn::Act(act));
            }
            None
        }
        Some(Bound::Plan(portal))
            if portal.copy.is_some() || portal.prepared.plan.steps.is_some() || portal.prepared.runs.is_some() =>
        {
            return Verdict::Look;
        }
        Some(Bound::Plan(portal)) => {
            state.batch.opens |= portal.prepared.opens();
            state.batch.undoes |= portal.prepared.undoes();
            if portal.prepared.plan.cursor.is_some() {
                state.cursors.declares();
            }
            state.runs(portal.prepared.effects);
            Some(portal)
        }
        None if state.cursors.are_used() && !message.portal.is_empty() => return Verdict::Look,
        None => {
            state.runs(Effects::default());
            None
        }
    };
    match &portal {
        Some(portal) => state.exchange.runs_plan(&portal.prepared),
        None => state.exchange.runs_plain(),
    }
    state.in_batch = true;
    state.ledger.expect_turns(Await::Execute(portal), turns);
    Verdict::Forward
}

fn describe(state: &mut State, body: &[u8]) -> Verdict {
    let Ok(message) = client::Describe::parse(body) else { return Verdict::Look };
    let what = match message.kind {
        Kind::Statement => Await::DescribeStatement(state.names.statement(message.name).cloned()),
        Kind::Portal => Await::DescribePortal(match state.names.portal(message.name) {
            Some(Bound::Plan(portal)) => Some(Arc::clone(portal)),
            None if state.cursors.are_used() && !message.name.is_empty() => return Verdict::Look,
            _ => None,
        }),
    };
    in_batch(state, what)
}

fn close(state: &mut State, body: &[u8]) -> Verdict {
    let Ok(message) = client::Close::parse(body) else { return Verdict::Look };
    if state.batch.opens && message.kind == Kind::Statement {
        // A row that does not open must fail before the statement is gone.
        return Verdict::Look;
    }
    let undo = match message.kind {
        Kind::Statement => state.names.set_statement(message.name, None),
        Kind::Portal => {
            state.cursors.closed(message.name);
            state.names.set_portal(message.name, None)
        }
    };
    // By itself it opens no implicit transaction.
    state.ledger.expect(Await::Close(undo));
    Verdict::Forward
}

fn sync(state: &mut State) -> Verdict {
    if state.copying {
        return Verdict::Forward;
    }
    if state.batch.opens || state.dropping {
        return Verdict::Look;
    }
    state.synced();
    Verdict::Forward
}
