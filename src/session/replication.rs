//! Replication connections: which commands they take, and those of physical replication, where there is nothing else.
//!
//! What is replicated is what is stored, so it goes to the client as it is, unlooked at.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::fast::{broken, unknown};
use super::pipe::{HIGH_WATER, Pipe, Side, Want};
use super::{Fault, Login, Shared, errors};
use crate::telemetry::metrics::Phase;
use crate::wire::client::{self, tag};
use crate::wire::error::PgError;
use crate::wire::frame::{self, FrameError, HEADER, MAX_LARGE};

/// Serves a connection of physical replication until either side closes. Not cancel safe.
pub(super) async fn serve<C, S>(login: Login<C, S>, shared: Arc<Shared>) -> Result<(), Fault>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut presence = shared.metrics.connections.opens();
    presence.turn_to(Phase::Active);
    let mut pipe =
        Pipe { client: Side::new(login.client.0, login.client.1), server: Side::new(login.server.0, login.server.1) };
    let outcome = run(&mut pipe).await;
    if let Err(Fault::Tell(error)) = &outcome {
        shared.metrics.told(true, error.sqlstate.0);
        error.write(&mut pipe.client.output);
        client::terminate(&mut pipe.server.output);
        let _ = pipe.drain_server().await;
    }
    let _ = pipe.drain_client().await;
    outcome
}

async fn run<C, S>(pipe: &mut Pipe<C, S>) -> Result<(), Fault>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    // Bytes that are still to come of messages that go on.
    let (mut from_client, mut from_server) = (0, 0);
    let (mut refused, mut left) = (None, false);
    loop {
        let used = answers(&mut from_server, &pipe.server.input).map_err(broken)?;
        pipe.client.output.extend_from_slice(&pipe.server.input[..used]);
        pipe.server.consume(used);
        if refused.is_none() && pipe.server.pending() < HIGH_WATER {
            let (used, outcome) = commands(&mut from_client, &pipe.client.input);
            pipe.server.output.extend_from_slice(&pipe.client.input[..used]);
            pipe.client.consume(used);
            refused = outcome.err();
        }
        if from_server == 0
            && let Some(error) = refused.take()
        {
            return Err(Fault::Tell(error));
        }
        if pipe.server.ended {
            return Ok(());
        }
        if pipe.client.ended && !std::mem::replace(&mut left, true) {
            if from_client > 0 {
                // In the middle of a message whose beginning the server has.
                return Ok(());
            }
            client::terminate(&mut pipe.server.output);
        }
        pipe.turn(Want { client: refused.is_none(), server: true, own: false }).await?;
    }
}

/// How much of what the server says can go on: all but the start of a header. `left`: bytes of a message that are still to come.
fn answers(left: &mut usize, input: &[u8]) -> Result<usize, FrameError> {
    let mut used = 0;
    loop {
        used += pass(left, input.len() - used);
        match frame::header(&input[used..], MAX_LARGE)? {
            Some((_, total)) => *left = total,
            None => return Ok(used),
        }
    }
}

/// How much of what the client says can go on, and why nothing behind that does. `left`: as of [`answers`].
fn commands(left: &mut usize, input: &[u8]) -> (usize, Result<(), PgError>) {
    let mut used = 0;
    loop {
        used += pass(left, input.len() - used);
        match command(&input[used..]) {
            Ok(Some(total)) => *left = total,
            Ok(None) => return (used, Ok(())),
            Err(error) => return (used, Err(error)),
        }
    }
}

fn pass(left: &mut usize, there: usize) -> usize {
    let passed = there.min(*left);
    *left -= passed;
    passed
}

/// Bytes of the message at the start of `rest`, which goes on. `None`: that is not known yet.
fn command(rest: &[u8]) -> Result<Option<usize>, PgError> {
    let Some(&kind) = rest.first() else { return Ok(None) };
    let max = client::max_len(kind).ok_or_else(|| unknown(kind))?;
    let Some((_, total)) = frame::header(rest, max).map_err(broken)? else { return Ok(None) };
    match kind {
        tag::QUERY => {
            let Some(raw) = rest.get(..total) else { return Ok(None) };
            let query = client::Query::parse(&raw[HEADER..]).ok();
            let known = query.is_some_and(|query| is_command(query.sql) || is_show(query.sql));
            if known { Ok(Some(total)) } else { Err(errors::on_physical_replication()) }
        }
        // What a standby says while it streams.
        tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL | tag::TERMINATE => Ok(Some(total)),
        _ => Err(errors::on_physical_replication()),
    }
}

/// Commands of the streaming replication protocol; they hold no values of columns. What stands behind one is no part of it: the server
/// refuses it, but would log it.
pub(super) fn is_command(sql: &[u8]) -> bool {
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
    COMMANDS.iter().any(|command| first_word(sql) == command.as_bytes()) && is_one_command(sql)
}

/// SHOW, which is a replication command, too. Where there are statements as well it is judged as one.
fn is_show(sql: &[u8]) -> bool {
    first_word(sql) == b"SHOW" && is_one_command(sql)
}

fn first_word(sql: &[u8]) -> &[u8] {
    sql.trim_ascii_start().split(|b| !b.is_ascii_alphabetic() && *b != b'_').next().unwrap_or_default()
}

/// All quotes end, and nothing but blanks follows a semicolon outside of them.
fn is_one_command(sql: &[u8]) -> bool {
    let (mut quote, mut ended) = (None, false);
    for &byte in sql {
        match (quote, byte) {
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, byte) if ended && !byte.is_ascii_whitespace() => return false,
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b';') => ended = true,
            (None, _) => {}
        }
    }
    quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replication_command_is_all_that_a_text_is() {
        for sql in [
            "IDENTIFY_SYSTEM",
            " IDENTIFY_SYSTEM; ",
            "START_REPLICATION SLOT \"s;\" LOGICAL 0/0 (proto_version '1', publication_names '\"a\"\";b''\"')",
            "BASE_BACKUP ( LABEL 'it''s; mine' )\n;",
        ] {
            assert!(is_command(sql.as_bytes()), "{sql}");
        }
        for sql in [
            "SELECT 1",
            "IDENTIFY_SYSTEMS",
            "identify_system",
            "IDENTIFY_SYSTEM; INSERT INTO t VALUES ('x')",
            "BASE_BACKUP;;SELECT 1",
            "BASE_BACKUP (LABEL 'x); INSERT INTO t VALUES ('y')",
            "-- IDENTIFY_SYSTEM",
        ] {
            assert!(!is_command(sql.as_bytes()), "{sql}");
        }
    }

    /// What goes on of bytes that come in parts of this size, and whether the rest is refused.
    fn goes_on(bytes: &[u8], part: usize) -> (Vec<u8>, bool) {
        let (mut out, mut input, mut left) = (Vec::new(), Vec::new(), 0);
        for part in bytes.chunks(part) {
            input.extend_from_slice(part);
            let (used, outcome) = commands(&mut left, &input);
            out.extend(input.drain(..used));
            if outcome.is_err() {
                return (out, true);
            }
        }
        (out, false)
    }

    #[test]
    fn a_command_is_judged_whole_and_rows_go_on_in_parts() {
        let query = |sql: &[u8]| {
            let mut out = Vec::new();
            client::query(&mut out, sql).expect("small");
            out
        };
        let status = [&b"d\0\0\0\x06"[..], b"r!"].concat();
        let allowed = [query(b"IDENTIFY_SYSTEM"), query(b"SHOW x"), status.clone(), b"c\0\0\0\x04".to_vec()].concat();
        let bad =
            [query(b"SELECT 1"), query(b"SHOW x; SELECT 1"), query(b"show x"), query(b""), b"P\0\0\0\x08".to_vec()];
        for part in [1, 2, 7, 1_000] {
            assert_eq!(goes_on(&allowed, part), (allowed.clone(), false), "{part}");
            for bad in &bad {
                let all = [&allowed[..], bad, &status].concat();
                assert_eq!(goes_on(&all, part), (allowed.clone(), true), "{part} {bad:?}");
            }
        }
        assert_eq!(goes_on(&status[..6], 6), (status[..6].to_vec(), false), "as soon as it is there");
        assert_eq!(goes_on(&query(b"IDENTIFY_SYSTEM")[..19], 19), (Vec::new(), false));
        for broken in [&b"Q\0\0\0\x03"[..], b"c\x01\0\0\0", b"?\0\0\0\x04", b"Q\0\0\0\x06a\0\0"] {
            assert!(goes_on(broken, 8).1, "{broken:?}");
        }
    }

    #[test]
    fn an_error_comes_between_two_answers() {
        let mut left = 0;
        let answers = |left: &mut usize, input: &[u8]| answers(left, input).expect("well formed");
        assert_eq!(answers(&mut left, b"d\0\0\0\x06abZ\0\0"), 7, "a header must be whole");
        assert_eq!(left, 0);
        assert_eq!((answers(&mut left, b"d\0\0\0\x08ab"), left), (7, 2));
        assert_eq!((answers(&mut left, b"c"), left), (1, 1));
        assert_eq!((answers(&mut left, b"dZ\0\0\0\x05I"), left), (7, 0));
    }
}
