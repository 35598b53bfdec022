//! Logins that the proxy decides itself (`[auth] mode = "managed"`): the client proves its password by SCRAM, and only then is there
//! a connection to the database, with an account of the proxy's.

use std::sync::Arc;

use super::handshake::{Ended, Opening, unbuildable};
use super::link::{Link, Message};
use super::scram::{Exchange, PLAIN, PLUS};
use super::users::{User, Users};
use crate::wire::client::tag;
use crate::wire::error::{ErrorView, PgError};
use crate::wire::frame::HEADER;
use crate::wire::read_error;
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::{MAX_AUTH, SaslInitial, put_sasl, put_sasl_step};

/// Lets the client prove that it is who it says. Not cancel safe: messages may be half written.
pub(super) async fn verify(
    client: &mut Link,
    opening: &Opening,
    users: &Users,
    decoy: &[u8; 32],
) -> Result<Arc<User>, Ended> {
    let (user, known) = users.find(&opening.user, decoy);
    let offered = client.stream.end_point().map(<[u8]>::to_vec);
    client.send(&offer(opening, offered.is_some())?).await?;
    let chosen = answer(client).await?;
    let initial = SaslInitial::parse(chosen.body()).map_err(read_error)?;
    let data = initial.data.unwrap_or_default();
    let failed = |failed: super::scram::Failed| failed.told(&opening.user);
    let verifier = (&user.verifier, known);
    let (exchange, first) = Exchange::begin(verifier, initial.mechanism, data, offered.as_deref()).map_err(failed)?;
    let mut out = Vec::new();
    put_sasl_step(&mut out, first.as_bytes(), false).map_err(unbuildable)?;
    client.send(&out).await?;
    let proof = answer(client).await?;
    let last = exchange.finish(proof.body()).map_err(failed)?;
    out.clear();
    put_sasl_step(&mut out, last.as_bytes(), true).map_err(unbuildable)?;
    client.send(&out).await?;
    Ok(user)
}

/// What is not known of the protocol, and the mechanisms.
fn offer(opening: &Opening, binds: bool) -> Result<Vec<u8>, PgError> {
    let mut out = Vec::new();
    opening.put_unknown(&mut out)?;
    let mechanisms: &[&[u8]] = if binds { &[PLUS, PLAIN] } else { &[PLAIN] };
    put_sasl(&mut out, mechanisms.iter().copied()).map_err(unbuildable)?;
    Ok(out)
}

/// The client's next message, which must be one of a login.
async fn answer(client: &mut Link) -> Result<Message, Ended> {
    loop {
        // Its type is looked at first: another message may be longer than those of a login.
        if let Some(other) = client.input.first().filter(|first| **first != tag::PASSWORD) {
            let text = format!("expected SASL response, got message type {other}");
            return Err(PgError::fatal(SqlState::PROTOCOL_VIOLATION, text).into());
        }
        let message = client.message(MAX_AUTH).map_err(|error| {
            PgError::fatal(SqlState::PROTOCOL_VIOLATION, format!("{error} from the client during the login"))
        })?;
        match message {
            Some(message) if message.raw().len() > HEADER => return Ok(message),
            Some(_) => {
                return Err(PgError::fatal(SqlState::PROTOCOL_VIOLATION, "empty SASL response").into());
            }
            None if !client.fill().await? => return Err(Ended::Quiet),
            None => {}
        }
    }
}

/// The server's error is about who logs in, and so about the proxy's account, of which a client is told nothing.
pub(super) fn is_about_login(message: &Message) -> bool {
    ErrorView::parse(message.body()).is_ok_and(|view| view.sqlstate().starts_with(b"28"))
}

/// The server does not let the proxy in.
pub(super) fn not_let_in(message: &Message) -> PgError {
    let told = ErrorView::parse(message.body()).map(|view| String::from_utf8_lossy(view.message()).into_owned());
    no_login(&told.unwrap_or_default())
}

/// The proxy cannot log in.
pub(super) fn no_login(why: &dyn std::fmt::Display) -> PgError {
    // As a value, in which letters that end a line are written out: it may name a database that is not there.
    tracing::error!(why = why.to_string(), "the proxy's own login to the database failed");
    PgError::fatal(SqlState::CANNOT_CONNECT, "the proxy could not log in to the database")
        .hint("Look at the proxy's log, and at its [database] user and password.")
}
