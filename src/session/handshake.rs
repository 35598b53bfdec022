//! The client's opening: requests for encryption in any order, TLS, then a startup packet or a cancel request.
//!
//! Nothing is sent to the server here, and every reading has a limit of length and time.

use std::time::Duration;

use super::link::{Link, Patience};
use super::startup::{Chosen, chosen};
use crate::net::acceptor::Acceptor;
use crate::net::stream::{Socket, Stream};
use crate::wire::client::tag;
use crate::wire::error::PgError;
use crate::wire::frame::BuildError;
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::{self as packets, MAX_STARTUP, NEWEST_MINOR, Packet, PacketError, Startup};

/// First byte of a TLS record that holds a handshake. No startup packet begins so: it would be too long.
const TLS_HANDSHAKE: u8 = 0x16;

/// Why a connection ends before it is a session.
pub(super) enum Ended {
    /// The peer is gone, or was told already.
    Quiet,
    /// PostgreSQL refused the login, and the client was told so in its words.
    NotLoggedIn,
    /// The client is to be told.
    Tell(PgError),
}

impl From<std::io::Error> for Ended {
    fn from(_: std::io::Error) -> Self {
        Ended::Quiet
    }
}

impl From<PgError> for Ended {
    fn from(error: PgError) -> Self {
        Ended::Tell(error)
    }
}

/// A connection that came to no request.
pub(super) struct Unopened {
    /// Where the client can be told; `None` where the stream was lost in a TLS handshake.
    pub(super) link: Option<Link>,
    pub(super) ended: Ended,
}

impl Unopened {
    fn lost(ended: Ended) -> Self {
        Unopened { link: None, ended }
    }
}

/// What a client wants.
pub(super) enum Request {
    /// To log in.
    Open(Opening),
    /// To cancel what another connection does.
    Cancel { pid: u32, key: Vec<u8> },
}

/// A startup packet that can be sent on.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Minor version of protocol 3 that the client asked for.
    pub minor: u16,
    /// Everything in it, in order, without the protocol options (`_pq_.…`).
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names of the protocol options, none of which this proxy knows.
    pub protocol_options: Vec<Vec<u8>>,
    /// Role.
    pub user: String,
    /// Database; the role's name where none is given.
    pub database: String,
    /// Kind of connection.
    pub replication: Replication,
    /// What the session begins with.
    pub chosen: Chosen,
}

impl Opening {
    /// Tells the client what it asked for and this proxy does not know: a newer minor version, and options.
    pub(super) fn put_unknown(&self, out: &mut Vec<u8>) -> Result<(), PgError> {
        if self.minor <= NEWEST_MINOR && self.protocol_options.is_empty() {
            return Ok(());
        }
        let unknown: Vec<&[u8]> = self.protocol_options.iter().map(Vec::as_slice).collect();
        packets::put_negotiate(out, self.minor.min(NEWEST_MINOR), &unknown).map_err(unbuildable)
    }
}

/// A message of a login that would be too long, or not what it seems.
pub(super) fn unbuildable(error: BuildError) -> PgError {
    PgError::fatal(SqlState::PROTOCOL_VIOLATION, error.to_string())
}

/// What the startup parameter `replication` makes of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replication {
    /// An ordinary session.
    No,
    /// Physical replication: replication commands alone.
    Physical,
    /// Logical replication: replication commands, and SQL by simple queries.
    Database,
}

/// Reads up to a startup packet or cancel request.
pub(super) async fn open(
    stream: Socket,
    tls: Option<&Acceptor>,
    require_tls: bool,
    patience: &Patience<'_>,
) -> Result<(Link, Request), Unopened> {
    let mut link = patience.with(direct(stream, tls)).await.map_err(Unopened::lost)?;
    let mut asked = Asked::default();
    loop {
        let packet = match patience.with(read(&mut link, &mut asked)).await {
            Ok(packet) => packet,
            Err(ended) => {
                return Err(Unopened { link: Some(link), ended });
            }
        };
        match (packet, tls) {
            (Next::Ssl, Some(acceptor)) if !link.stream.is_tls() => {
                if let Err(error) = may_upgrade(&link) {
                    return Err(Unopened { link: Some(link), ended: error.into() });
                }
                link = patience.with(upgrade(link, acceptor)).await.map_err(Unopened::lost)?;
            }
            (Next::Ssl | Next::GssEnc, _) => {
                link.send(b"N").await.map_err(|e| Unopened::lost(e.into()))?;
            }
            (Next::Request(Request::Open(_)), _) if require_tls && !is_private(&link.stream) => {
                return Err(Unopened { link: Some(link), ended: tls_required().into() });
            }
            (Next::Request(request), _) => return Ok((link, request)),
        }
    }
}

/// What may be asked for once.
#[derive(Default)]
struct Asked {
    ssl: bool,
    gss: bool,
}

enum Next {
    Ssl,
    GssEnc,
    Request(Request),
}

/// TLS without SSLRequest, told by its first byte.
async fn direct(socket: Socket, tls: Option<&Acceptor>) -> Result<Link, Ended> {
    if let (Some(acceptor), Socket::Tcp(tcp) | Socket::Proxied(tcp, _)) = (tls, &socket) {
        let mut first = [0];
        if tcp.peek(&mut first).await? == 0 {
            return Err(Ended::Quiet);
        }
        if first[0] == TLS_HANDSHAKE {
            return Ok(Link::new(acceptor.accept_direct(socket).await?));
        }
    }
    Ok(Link::new(Stream::Plain(socket)))
}

/// Bytes sent before the handshake could be anyone's: they must not be taken for the client's.
fn may_upgrade(link: &Link) -> Result<(), PgError> {
    if link.input.is_empty() {
        return Ok(());
    }
    Err(PgError::fatal(SqlState::PROTOCOL_VIOLATION, "received unencrypted data after SSL request")
        .detail("This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."))
}

async fn upgrade(mut link: Link, acceptor: &Acceptor) -> Result<Link, Ended> {
    link.send(b"S").await?;
    let Stream::Plain(socket) = link.stream else {
        return Err(Ended::Quiet);
    };
    match acceptor.accept(socket).await {
        Ok(stream) => Ok(Link::new(stream)),
        Err(error) => {
            tracing::info!(%error, "TLS handshake with a client failed");
            Err(Ended::Quiet)
        }
    }
}

/// The length that a Terminate message has where a startup packet is awaited.
const LEAVES: u32 = u32::from_be_bytes([tag::TERMINATE, 0, 0, 0]);

/// Not cancel safe in general; a connection whose time is over is closed anyway.
async fn read(link: &mut Link, asked: &mut Asked) -> Result<Next, Ended> {
    loop {
        match packets::packet(&link.input) {
            // A client that leaves before it has said anything says so as in a session.
            Err(PacketError::Length(LEAVES)) => return Err(Ended::Quiet),
            Err(error) => return Err(malformed(error).into()),
            Ok(Some((packet, total))) => {
                let next = take(packet, asked)?;
                let _ = link.input.split_to(total);
                return Ok(next);
            }
            Ok(None) => {}
        }
        if !link.fill().await? {
            return Err(Ended::Quiet);
        }
    }
}

fn take(packet: Packet<'_>, asked: &mut Asked) -> Result<Next, PgError> {
    match packet {
        Packet::Ssl if !asked.ssl => {
            asked.ssl = true;
            Ok(Next::Ssl)
        }
        Packet::GssEnc if !asked.gss => {
            asked.gss = true;
            Ok(Next::GssEnc)
        }
        Packet::Ssl | Packet::GssEnc => {
            let what = if matches!(packet, Packet::Ssl) { "SSL" } else { "GSSAPI encryption" };
            Err(PgError::fatal(SqlState::PROTOCOL_VIOLATION, format!("{what} was requested twice")))
        }
        Packet::Cancel { pid, key } => Ok(Next::Request(Request::Cancel { pid, key: key.to_vec() })),
        Packet::Startup(startup) => opening(&startup).map(|o| Next::Request(Request::Open(o))),
    }
}

fn opening(startup: &Startup<'_>) -> Result<Opening, PgError> {
    let user = text(startup, b"user")?.ok_or_else(|| {
        PgError::fatal(SqlState::INVALID_AUTHORIZATION, "no PostgreSQL user name specified in startup packet")
    })?;
    let database = text(startup, b"database")?.unwrap_or_else(|| user.clone());
    let (protocol, parameters): (Vec<_>, Vec<_>) =
        startup.parameters().partition(|(name, _)| name.starts_with(b"_pq_."));
    Ok(Opening {
        minor: startup.minor,
        parameters: parameters.into_iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect(),
        protocol_options: protocol.into_iter().map(|(n, _)| n.to_vec()).collect(),
        user,
        database,
        replication: replication(startup),
        chosen: chosen(startup)?,
    })
}

fn text(startup: &Startup<'_>, name: &[u8]) -> Result<Option<String>, PgError> {
    let Some(value) = startup.parameter(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    String::from_utf8(value.to_vec()).map(Some).map_err(|_| {
        PgError::fatal(SqlState::CHARACTER_NOT_IN_REPERTOIRE, "the names of role and database must be UTF-8")
    })
}

/// As PostgreSQL reads it, in the order given. What it would not take for a replication connection must
/// not pass for one here, since its statements would go unlooked at.
fn replication(startup: &Startup<'_>) -> Replication {
    let given = startup.parameters().filter(|(name, _)| *name == b"replication");
    given.fold(Replication::No, |so_far, (_, value)| match (value, boolean(value)) {
        (b"database", _) => Replication::Database,
        (_, Some(true)) if so_far == Replication::No => Replication::Physical,
        (_, Some(true)) => so_far,
        _ => Replication::No,
    })
}

/// PostgreSQL's spellings of a boolean: the words or an unambiguous start of them.
fn boolean(value: &[u8]) -> Option<bool> {
    let lower = value.to_ascii_lowercase();
    let starts = |word: &[u8], least: usize| lower.len() >= least && word.starts_with(&lower);
    if starts(b"true", 1) || starts(b"yes", 1) || starts(b"on", 2) || starts(b"1", 1) {
        Some(true)
    } else if starts(b"false", 1) || starts(b"no", 1) || starts(b"off", 2) || starts(b"0", 1) {
        Some(false)
    } else {
        None
    }
}

/// TLS, or a socket that only this machine has.
fn is_private(stream: &Stream) -> bool {
    stream.is_tls() || matches!(stream.socket(), Socket::Unix(_) | Socket::Pipe(_))
}

fn malformed(error: PacketError) -> PgError {
    match error {
        PacketError::Length(_) => PgError::fatal(SqlState::PROTOCOL_VIOLATION, error.to_string())
            .detail(format!("A startup packet has 8 to {MAX_STARTUP} bytes. This port speaks PostgreSQL's protocol.")),
        PacketError::Version { .. } => PgError::fatal(SqlState::FEATURE_NOT_SUPPORTED, error.to_string()),
        PacketError::Layout(_) => PgError::fatal(SqlState::PROTOCOL_VIOLATION, error.to_string()),
    }
}

fn tls_required() -> PgError {
    PgError::fatal(SqlState::INVALID_AUTHORIZATION, "this proxy takes only connections with TLS")
        .hint("Connect with sslmode=require or stronger.")
}

/// What a client is told whose time is over.
pub(super) fn out_of_time(limit: Duration) -> PgError {
    PgError::fatal(SqlState::QUERY_CANCELED, "canceling authentication due to timeout")
        .detail(format!("Startup or login took longer than {} s.", limit.as_secs_f32()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(parameters: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        packets::put_startup(&mut out, 0, parameters.iter().copied()).expect("small");
        out
    }

    fn opened(parameters: &[(&[u8], &[u8])]) -> Result<Opening, PgError> {
        match packets::packet(&packet(parameters)) {
            Ok(Some((Packet::Startup(startup), _))) => opening(&startup),
            _ => panic!("not a startup packet"),
        }
    }

    #[test]
    fn the_database_is_the_role_by_default() {
        let given = opened(&[(b"user", b"app"), (b"_pq_.grease", b"1"), (b"options", b"-c a.b=c")]);
        let opening = given.expect("valid");
        assert_eq!((opening.user.as_str(), opening.database.as_str()), ("app", "app"));
        assert_eq!(opening.protocol_options, [b"_pq_.grease".to_vec()]);
        assert_eq!(opening.parameters.len(), 2);
        assert_eq!(opening.replication, Replication::No);
    }

    #[test]
    fn a_role_is_needed_and_must_be_text() {
        assert!(opened(&[(b"database", b"shop")]).is_err());
        assert!(opened(&[(b"user", b"")]).is_err());
        assert!(opened(&[(b"user", b"\xff")]).is_err());
    }

    #[test]
    fn replication_is_what_postgresql_takes_for_it() {
        let kind = |values: &[&[u8]]| {
            let mut all: Vec<(&[u8], &[u8])> = vec![(b"user", b"app")];
            all.extend(values.iter().map(|v| (&b"replication"[..], *v)));
            opened(&all).expect("valid").replication
        };
        for value in [&b"true"[..], b"T", b"yes", b"on", b"1"] {
            assert_eq!(kind(&[value]), Replication::Physical);
        }
        for value in [&b"false"[..], b"o", b"", b"0", b"Database", b"database ", b"11", b"trues"] {
            assert_eq!(kind(&[value]), Replication::No);
        }
        assert_eq!(kind(&[b"database"]), Replication::Database);
        assert_eq!(kind(&[b"database", b"on"]), Replication::Database);
        assert_eq!(kind(&[b"database", b"off"]), Replication::No);
    }
}
