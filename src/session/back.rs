//! Messages from the server: forwarded as runs of bytes, or turned into what the client expects of its own statement.

use std::sync::atomic::Ordering;

use super::copy_in;
use super::copy_out;
use super::cursors;
use super::errors;
use super::exchange::rows_of;
use super::execute::EXPLAINED;
use super::fast::broken;
use super::finish;
use super::ledger::{Await, Entry, Reader, Undo};
use super::prepared::{Cell, Statement};
use super::rows::{self, Missing, RowFault};
use super::state::State;
use super::steps::STEP;
use crate::keys::Ring;
use crate::telemetry::metrics::{Command, Kind};
use crate::wire::client::{self, Kind as Named};
use crate::wire::error::{ErrorView, PgError, Severity};
use crate::wire::frame::{self, BuildError, Frame, HEADER, MAX_LARGE};
use crate::wire::read_error;
use crate::wire::server::{self, TransactionStatus, tag};
use crate::wire::sqlstate::SqlState;

/// Rows of more bytes than this are forwarded in parts where they need no look.
const LARGE: usize = 64 * 1024;

/// Why the back stopped.
pub(super) enum Halt {
    /// At the end of the bytes there are.
    Dry,
    /// Keys must be fetched first.
    Keys(Vec<Missing>),
    /// This key must be fetched again first, with proof.
    Suspect(Missing),
    /// Others are to have their turn first.
    Pause,
}

/// Where answers go.
pub(super) struct Outputs<'a> {
    pub(super) client: &'a mut Vec<u8>,
    pub(super) server: &'a mut Vec<u8>,
}

/// The statement sent in place of one that is refused: always fails, and aborts the transaction as the refusal should.
pub(super) const POISON: &[u8] = b"SELECT columnseal.statement_refused_by_the_proxy";

/// Takes what it can from `input`; says how much was used.
///
/// # Errors
/// The server does not speak the protocol.
pub(super) fn take(
    state: &mut State,
    ring: &Ring,
    input: &[u8],
    out: &mut Outputs<'_>,
) -> Result<(usize, Halt), PgError> {
    let mut used = state.passing_server.min(input.len());
    out.client.extend_from_slice(&input[..used]);
    state.passing_server -= used;
    let dropped = state.dropping_server.min(input.len() - used);
    state.dropping_server -= dropped;
    used += dropped;
    loop {
        let rest = &input[used..];
        let Some((kind, total)) = frame::header(rest, MAX_LARGE).map_err(broken)? else { break };
        let Some(raw) = rest.get(..total) else {
            if total > LARGE && state.passing_server == 0 && passes_in_part(state, kind) {
                out.client.extend_from_slice(rest);
                state.passing_server = total - rest.len();
                used = input.len();
            } else if total > state.most_gathered && gathers(state, kind) {
                refuse_gathered(state, out);
                state.dropping_server = total - rest.len();
                used = input.len();
            }
            break;
        };
        let frame = Frame { tag: kind, body: &raw[HEADER..], raw };
        match one(state, ring, frame, rest, out)? {
            Flow::Next => used += total,
            Flow::Halt(halt) => return Ok((used, halt)),
        }
    }
    Ok((used, Halt::Dry))
}

/// A large message of which only the beginning is there can be forwarded already.
fn passes_in_part(state: &State, kind: u8) -> bool {
    if state.dropping {
        return false;
    }
    match kind {
        tag::COPY_DATA => true,
        tag::DATA_ROW => matches!(
            state.ledger.front(),
            None | Some(Entry { what: Await::Execute(None) | Await::Query, reader: Reader::Client, .. })
        ),
        _ => false,
    }
}

/// A row with aggregates that the proxy computes.
fn gathers(state: &State, kind: u8) -> bool {
    let finished = |cell: &Cell| matches!(cell, Cell::Finished(_));
    kind == tag::DATA_ROW
        && !state.dropping
        && matches!(state.ledger.front(), Some(Entry { what: Await::Execute(Some(portal)), .. }) if portal.cells.iter().any(finished))
}

fn refuse_gathered(state: &mut State, out: &mut Outputs<'_>) {
    let error = finish::too_much(state.most_gathered);
    state.counted.refused = Some(error.sqlstate);
    refuse(state, &error, out.client);
}

enum Flow {
    Next,
    Halt(Halt),
}

fn one(state: &mut State, ring: &Ring, frame: Frame<'_>, rest: &[u8], out: &mut Outputs<'_>) -> Result<Flow, PgError> {
    match frame.tag {
        tag::NOTICE_RESPONSE | tag::NOTIFICATION_RESPONSE => {
            out.client.extend_from_slice(frame.raw);
            return Ok(Flow::Next);
        }
        tag::PARAMETER_STATUS => {
            if let Ok((name, value)) = server::parameter_status(frame.body) {
                state.reported(name, value);
            }
            out.client.extend_from_slice(frame.raw);
            return Ok(Flow::Next);
        }
        tag::READY_FOR_QUERY => ready(state, frame, out)?,
        _ if state.dropping => {}
        tag::ERROR_RESPONSE => error(state, frame, out)?,
        tag::DATA_ROW => return row(state, ring, frame, rest, out),
        tag::PARSE_COMPLETE | tag::BIND_COMPLETE | tag::CLOSE_COMPLETE => completed(state, frame, out)?,
        tag::PARAMETER_DESCRIPTION => parameters(state, frame, out)?,
        tag::ROW_DESCRIPTION | tag::NO_DATA => described(state, frame, out)?,
        tag::COMMAND_COMPLETE | tag::EMPTY_QUERY_RESPONSE | tag::PORTAL_SUSPENDED => executed(state, frame, out)?,
        tag::COPY_IN_RESPONSE | tag::COPY_BOTH_RESPONSE => {
            state.copying = true;
            out.client.extend_from_slice(frame.raw);
        }
        _ => out.client.extend_from_slice(frame.raw),
    }
    Ok(Flow::Next)
}

fn unexpected(frame: Frame<'_>) -> PgError {
    PgError::fatal(
        SqlState::PROTOCOL_VIOLATION,
        format!(
            "the server sent message type \"{}\" where it was not expected",
            char::from(frame.tag).escape_default()
        ),
    )
}

/// Hands a frame to whoever reads the entry's answer.
fn hand(state: &mut State, reader: Reader, frame: Frame<'_>, out: &mut Outputs<'_>) {
    match reader {
        Reader::Client => out.client.extend_from_slice(frame.raw),
        Reader::Nobody => {}
        Reader::Session => {
            if let Some(collected) = &mut state.collected {
                collected.extend_from_slice(frame.raw);
            }
        }
    }
}

fn pop(state: &mut State) {
    if let Some(entry) = state.ledger.pop()
        && entry.reader == Reader::Session
    {
        state.own = state.own.saturating_sub(1);
    }
}

fn completed(state: &mut State, frame: Frame<'_>, out: &mut Outputs<'_>) -> Result<(), PgError> {
    let entry = state.ledger.front().ok_or_else(|| unexpected(frame))?;
    let reader = entry.reader;
    let announced = match (&entry.what, frame.tag) {
        (Await::Parse(_), tag::PARSE_COMPLETE) | (Await::Close(_), tag::CLOSE_COMPLETE) => None,
        (Await::Prepare(_), tag::PARSE_COMPLETE) => {
            server::put_command_complete(out.client, b"PREPARE").expect("a short tag");
            pop(state);
            return Ok(());
        }
        (Await::Bind(_, announce), tag::BIND_COMPLETE) => announce.clone(),
        _ => return Err(unexpected(frame)),
    };
    hand(state, reader, frame, out);
    state.announced = announced;
    if state.announced.as_ref().is_some_and(|portal| !portal.late) {
        announce(state, out);
    }
    pop(state);
    Ok(())
}

/// Tells a client that sent a simple query what the rows that follow are, once.
fn announce(state: &mut State, out: &mut Outputs<'_>) {
    if let Some(portal) = state.announced.take()
        && let Some(message) = &portal.row_description
    {
        out.client.extend_from_slice(message);
    }
}

fn parameters(state: &mut State, frame: Frame<'_>, out: &mut Outputs<'_>) -> Result<(), PgError> {
    let entry = state.ledger.front().ok_or_else(|| unexpected(frame))?;
    let Await::DescribeStatement(statement) = &entry.what else { return Err(unexpected(frame)) };
    match (entry.reader, statement) {
        (Reader::Client, Some(Statement::Plan(prepared, _))) => {
            let oids = prepared.client_params().iter().copied();
            server::parameter_description(out.client, oids).map_err(|_| unexpected(frame))?;
        }
        (reader, _) => hand(state, reader, frame, out),
    }
    Ok(())
}

fn described(state: &mut State, frame: Frame<'_>, out: &mut Outputs<'_>) -> Result<(), PgError> {
    let Some(entry) = state.ledger.front() else { return Err(unexpected(frame)) };
    match &entry.what {
        Await::Query => {
            out.client.extend_from_slice(frame.raw);
            return Ok(());
        }
        Await::DescribeStatement(Some(Statement::Plan(prepared, _))) if entry.reader == Reader::Client => {
            match prepared.plan.row_description() {
                Some(body) => rows::describe(body, None, out.client).map_err(|_| unexpected(frame))?,
                None => server::no_data(out.client),
            }
        }
        Await::DescribePortal(Some(portal)) => match &portal.row_description {
            Some(message) => out.client.extend_from_slice(message),
            None => server::no_data(out.client),
        },
        Await::DescribeCursor(declared) => {
            cursors::describe(declared, out.client).map_err(|_| unexpected(frame))?;
        }
        Await::DescribeQuietly if frame.tag == tag::NO_DATA => {}
        Await::DescribeStatement(_) | Await::DescribePortal(None) | Await::DescribeQuietly => {
            let reader = entry.reader;
            hand(state, reader, frame, out);
        }
        _ => return Err(unexpected(frame)),
    }
    pop(state);
    Ok(())
}

fn executed(state: &mut State, frame: Frame<'_>, out: &mut Outputs<'_>) -> Result<(), PgError> {
    announce(state, out);
    let Some(entry) = state.ledger.front() else {
        out.client.extend_from_slice(frame.raw);
        return Ok(());
    };
    let ends = matches!(entry.what, Await::Execute(_) | Await::Step(_));
    if let (Await::Execute(Some(portal)), tag::PORTAL_SUSPENDED) = (&entry.what, frame.tag) {
        portal.rows.fetch_add(state.row, Ordering::Relaxed);
    }
    if let (Await::Execute(Some(portal)), b"DECLARE CURSOR\0") = (&entry.what, frame.body) {
        state.cursors.declared(portal);
    }
    match &entry.what {
        // The query that answers in place of SHOW is not the client's.
        Await::Execute(Some(portal)) if portal.prepared.plan.shows() && frame.tag == tag::COMMAND_COMPLETE => {
            server::put_command_complete(out.client, b"SHOW").expect("a short tag");
        }
        // Of a statement in steps the client sees the end.
        Await::Execute(Some(portal)) if let Some(steps) = &portal.prepared.plan.steps => {
            if steps.after.is_empty() {
                server::put_command_complete(out.client, steps.tag.as_bytes()).expect("a short tag");
            }
        }
        Await::Step(tag) => {
            if let Some(tag) = tag {
                server::put_command_complete(out.client, tag.as_bytes()).expect("a short tag");
            }
        }
        // Nor is the query in place of COPY.
        Await::Execute(Some(portal)) if portal.printer().is_some() => {
            copy_out::close(portal, state.row, out.client).map_err(|_| unexpected(frame))?;
        }
        _ => {
            let reader = entry.reader;
            hand(state, reader, frame, out);
        }
    }
    if frame.tag == tag::COMMAND_COMPLETE && matches!(frame.body, b"DEALLOCATE ALL\0" | b"DISCARD ALL\0") {
        state.names.drop_doomed();
    }
    if frame.tag == tag::COMMAND_COMPLETE {
        let tag = frame.body.strip_suffix(b"\0").unwrap_or(frame.body);
        count(state, tag);
        state.completed(tag);
    }
    state.row = 0;
    state.copying = false;
    if ends {
        pop(state);
    }
    Ok(())
}

/// Counts a statement of the client's that is complete. `tag`: of its CommandComplete.
fn count(state: &mut State, tag: &[u8]) {
    let (kind, command) = match state.ledger.front() {
        // Its last step ends it.
        Some(Entry { what: Await::Execute(Some(portal)), .. })
            if portal.prepared.plan.steps.as_ref().is_some_and(|steps| !steps.after.is_empty()) =>
        {
            return;
        }
        Some(Entry { what: Await::Execute(Some(portal)), .. }) if portal.prepared.plan.copy.is_some() => {
            (Kind::Encrypted, Command::Copy)
        }
        Some(Entry { what: Await::Execute(Some(_)), .. }) => (Kind::Encrypted, Command::of(tag)),
        Some(Entry { what: Await::Step(Some(tag)), .. }) => (Kind::Encrypted, Command::of(tag.as_bytes())),
        None | Some(Entry { what: Await::Execute(None) | Await::Query, reader: Reader::Client, .. }) => {
            (Kind::Plain, Command::of(tag))
        }
        Some(_) => return,
    };
    state.exchange.gave(rows_of(tag));
    state.statements.add(kind, command);
}

fn ready(state: &mut State, frame: Frame<'_>, out: &mut Outputs<'_>) -> Result<(), PgError> {
    let status = server::ready_for_query(frame.body).map_err(|_| unexpected(frame))?;
    let reader = match state.ledger.front() {
        Some(entry) if entry.what.ends_ready() => {
            let reader = entry.reader;
            pop(state);
            reader
        }
        Some(_) => return Err(unexpected(frame)),
        None => Reader::Client,
    };
    if state.dropping && status == TransactionStatus::InTransaction {
        // The server believes that all went well: make it fail, so that the transaction is as the client was told.
        client::query(out.server, POISON).map_err(|_| unexpected(frame))?;
        let dropped = PgError::error(SqlState::INTERNAL_ERROR, "");
        state.ledger.expect(Await::PoisonQuery(Box::new(dropped)));
        return Ok(());
    }
    state.dropping = false;
    state.copying = false;
    state.ready(status);
    if reader == Reader::Client {
        out.client.extend_from_slice(frame.raw);
        state.exchange.answered();
    }
    close_surplus(state, out.server).map_err(|_| unexpected(frame))
}

fn error(state: &mut State, frame: Frame<'_>, out: &mut Outputs<'_>) -> Result<(), PgError> {
    let view = ErrorView::parse(frame.body).map_err(read_error)?;
    let ours = matches!(state.ledger.front(), Some(Entry { what: Await::Poison(_) | Await::PoisonQuery(_), .. }));
    if let (Ok(code), false) = (<[u8; 5]>::try_from(view.sqlstate()), ours || state.copy_fault.is_some()) {
        state.errors.push(code);
        state.exchange.failed(&code);
    }
    let poisoned = view.sqlstate() != SqlState::IN_FAILED_SQL_TRANSACTION.0.as_bytes();
    if let Some(ours) = state.copy_fault.take()
        && copy_in::is_ours(&view)
    {
        ours.write(out.client);
        state.failed();
        return Ok(());
    }
    match state.ledger.front() {
        Some(Entry { what: Await::Poison(ours) | Await::PoisonQuery(ours), .. }) if poisoned => ours.write(out.client),
        Some(Entry { statement: Some(Statement::Plan(prepared, _)), .. }) => {
            errors::translate(view, Some(prepared), None, &state.view.catalog, out.client)
                .map_err(|_| unexpected(frame))?;
        }
        Some(Entry { what: Await::Execute(Some(portal)), .. }) => {
            if portal.prepared.runs.as_ref().is_some_and(|runs| runs.generic.is_some()) {
                state.surplus.push(EXPLAINED.as_bytes().into());
            }
            errors::translate(view, Some(&portal.prepared), None, &state.view.catalog, out.client)
                .map_err(|_| unexpected(frame))?;
        }
        Some(Entry { what: Await::Step(_), .. }) => {
            state.surplus.push(STEP.into());
            errors::translate_step(view, out.client).map_err(|_| unexpected(frame))?;
        }
        Some(entry) if !state.view.catalog.is_plain() => {
            errors::translate(view, None, entry.edited.as_ref(), &state.view.catalog, out.client)
                .map_err(|_| unexpected(frame))?;
        }
        _ => out.client.extend_from_slice(frame.raw),
    }
    if !state.ledger.is_empty() {
        state.failed();
    }
    Ok(())
}

fn row(state: &mut State, ring: &Ring, frame: Frame<'_>, rest: &[u8], out: &mut Outputs<'_>) -> Result<Flow, PgError> {
    let portal = match state.ledger.front() {
        Some(Entry { what: Await::Execute(Some(portal)), .. })
            if portal.prepared.opens() || portal.printer().is_some() =>
        {
            portal.clone()
        }
        Some(Entry { reader, .. }) => {
            let reader = *reader;
            announce(state, out);
            hand(state, reader, frame, out);
            return Ok(Flow::Next);
        }
        None => {
            out.client.extend_from_slice(frame.raw);
            return Ok(Flow::Next);
        }
    };
    announce(state, out);
    if frame.raw.len() > state.most_gathered && gathers(state, frame.tag) {
        refuse_gathered(state, out);
        return Ok(Flow::Next);
    }
    match rows::open(state, ring, &portal, frame.body, out.client) {
        Ok(()) => {
            state.row += 1;
            Ok(Flow::Next)
        }
        Err(RowFault::Missing) => Ok(Flow::Halt(Halt::Keys(rows::missing(state, ring, &portal, rest)))),
        Err(RowFault::Suspect(key)) => Ok(Flow::Halt(Halt::Suspect(key))),
        Err(RowFault::Pause) => Ok(Flow::Halt(Halt::Pause)),
        Err(RowFault::Bad(error)) => {
            state.counted.refused = Some(error.sqlstate);
            refuse(state, &error, out.client);
            Ok(Flow::Next)
        }
    }
}

/// Sends an error of ours in place of the answer at hand and drops what follows until ReadyForQuery.
pub(super) fn refuse(state: &mut State, error: &PgError, out: &mut Vec<u8>) {
    debug_assert!(error.severity == Severity::Error, "fatal errors close the connection");
    error.write(out);
    state.progress.clear();
    state.dropping = true;
    // The server, which knows of no error, prepares them all the same.
    let parsed = state.failed();
    state.surplus.extend(parsed);
}

/// Closes the statements that the client takes for skipped, once its answer is complete.
fn close_surplus(state: &mut State, out: &mut Vec<u8>) -> Result<(), BuildError> {
    if state.surplus.is_empty() {
        return Ok(());
    }
    for name in std::mem::take(&mut state.surplus) {
        client::close(out, Named::Statement, &name)?;
        state.ledger.push(Await::Close(Undo::None), Reader::Nobody, None);
    }
    client::flush(out);
    Ok(())
}
