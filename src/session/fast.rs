//! The fast path: client messages that need no look inside, or only at a name, forwarded as runs of bytes.
//!
//! Sync, no allocation, no lock but the plan cache's.

use super::ledger::Await;
use super::prepared::Statement;
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
    // Frames to be forwarded are copied as one run.
    let mut run = used;
    let stop = loop {
        if state.fenced || state.passing_client > 0 {
            break Stop::Dry;
        }
        let rest = &input[used..];
        let Some(&kind) = rest.first() else { break Stop::Dry };
        let max = client::max_len(kind).ok_or_else(|| unknown(kind))?;
        let Some((_, total)) = frame::header(rest, max).map_err(broken)? else { break Stop::Dry };
        let Some(raw) = rest.get(..total) else {
            if total > LARGE && passes_in_part(state, kind, &rest[HEADER..]) {
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

fn unknown(kind: u8) -> PgError {
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
            match state.names.statement(statement) {
                Some(Statement::Forwarded(_)) => {}
                None if state.view.catalog.is_plain() => {}
                _ => return false,
            }
            let undo = state.names.set_portal(portal, None);
            state.in_batch = true;
            state.ledger.expect(Await::Bind(undo, None));
            true
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
        tag::QUERY => query(state, plans, body),
        tag::PARSE => parse(state, plans, body),
        tag::BIND => bind(state, body),
        tag::EXECUTE => execute(state, body),
        tag::DESCRIBE => describe(state, body),
        tag::CLOSE => close(state, body),
        tag::SYNC => sync(state),
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
    if !state.catalog_is_current() {
        return None;
    }
    let sql = std::str::from_utf8(sql).ok()?;
    match plans.analyze(sql, oids, &state.view.catalog, &state.analysis_state()) {
        Ok(Analysis::Untouched(effects)) => Some(effects),
        _ => None,
    }
}

fn query(state: &mut State, plans: &PlanCache, body: &[u8]) -> Verdict {
    let Ok(message) = client::Query::parse(body) else { return Verdict::Look };
    if state.replication && is_replication_command(message.sql) {
        state.ledger.expect(Await::Query);
        return Verdict::Forward;
    }
    match untouched(state, plans, message.sql, &[]) {
        Some(effects) if !needs_look(state, effects) => {
            state.note(effects);
            state.ledger.expect(Await::Query);
            Verdict::Forward
        }
        _ => Verdict::Look,
    }
}

/// Commands of the streaming replication protocol; they hold no values of columns.
fn is_replication_command(sql: &[u8]) -> bool {
    const COMMANDS: [&str; 9] = [
        "IDENTIFY_SYSTEM",
        "TIMELINE_HISTORY",
        "CREATE_REPLICATION_SLOT",
        "ALTER_REPLICATION_SLOT",
        "READ_REPLICATION_SLOT",
        "START_REPLICATION",
        "DROP_REPLICATION_SLOT",
        "BASE_BACKUP",
        "UPLOAD_MANIFEST",
    ];
    let word = sql.split(|b| !b.is_ascii_alphabetic() && *b != b'_').next().unwrap_or_default();
    COMMANDS.iter().any(|command| word.eq_ignore_ascii_case(command.as_bytes()))
}

/// Text that touches nothing by itself, and yet cannot be forwarded blindly: EXECUTE may name a plan's statement.
pub(super) fn needs_look(state: &State, effects: Effects) -> bool {
    effects.executes && state.names.has_plans()
}

fn parse(state: &mut State, plans: &PlanCache, body: &[u8]) -> Verdict {
    let Ok(message) = client::Parse::parse(body) else { return Verdict::Look };
    let effects = if message.oids.is_empty() {
        untouched(state, plans, message.sql, &[])
    } else {
        let oids: Vec<Oid> = message.oids.iter().collect();
        untouched(state, plans, message.sql, &oids)
    };
    match effects {
        Some(effects) if !needs_look(state, effects) => {
            let undo = state.names.set_statement(message.name, Some(Statement::Forwarded(effects)));
            in_batch(state, Await::Parse(undo))
        }
        _ => Verdict::Look,
    }
}

fn bind(state: &mut State, body: &[u8]) -> Verdict {
    let mut names = body.splitn(3, |b| *b == 0);
    let (Some(portal), Some(statement)) = (names.next(), names.next()) else { return Verdict::Look };
    match state.names.statement(statement) {
        Some(Statement::Plan(_)) => return Verdict::Look,
        Some(Statement::Forwarded(effects)) => {
            let effects = *effects;
            state.note(effects);
        }
        None if state.view.catalog.is_plain() => {}
        // Its values may be meant for a statement that was refused.
        None => return Verdict::Look,
    }
    let undo = state.names.set_portal(portal, None);
    in_batch(state, Await::Bind(undo, None))
}

fn execute(state: &mut State, body: &[u8]) -> Verdict {
    let Ok(message) = client::Execute::parse(body) else { return Verdict::Look };
    let portal = state.names.portal(message.portal).cloned();
    if let Some(portal) = &portal {
        state.batch.opens |= portal.prepared.opens();
        let effects = portal.prepared.effects;
        state.note(effects);
    }
    in_batch(state, Await::Execute(portal))
}

fn describe(state: &mut State, body: &[u8]) -> Verdict {
    let Ok(message) = client::Describe::parse(body) else { return Verdict::Look };
    let what = match message.kind {
        Kind::Statement => Await::DescribeStatement(state.names.statement(message.name).cloned()),
        Kind::Portal => Await::DescribePortal(state.names.portal(message.name).cloned()),
    };
    in_batch(state, what)
}

fn close(state: &mut State, body: &[u8]) -> Verdict {
    let Ok(message) = client::Close::parse(body) else { return Verdict::Look };
    let undo = match message.kind {
        Kind::Statement => state.names.set_statement(message.name, None),
        Kind::Portal => state.names.set_portal(message.name, None),
    };
    in_batch(state, Await::Close(undo))
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
