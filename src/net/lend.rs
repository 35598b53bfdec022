//! A connection of our own, lent to another program.
//!
//! The program connects to a Unix socket in a folder that nobody else may enter. Behind it one connection is made and logged in
//! as all of ours are: the program is handed no password, and has no TLS to check.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::dial::{DialError, Dialer, Security};
use super::link::{Link, Message};
use super::login::{Answers, LoginError, MAX_LOGIN, Reply, is_not_admitted};
use super::passfile::PassfileError;
use super::stream::{Socket, Stream};
use crate::wire::error::ErrorView;
use crate::wire::server::tag;
use crate::wire::startup::{Authentication, Packet, packet, put_negotiate, put_ok, put_startup};

/// Why a connection could not be lent.
#[derive(Debug, thiserror::Error)]
pub enum LendError {
    /// The socket cannot be made, or a connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No host answers.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The file of passwords cannot be used.
    #[error(transparent)]
    Passfile(#[from] PassfileError),
    /// The server asked for what we do not give.
    #[error("login to the database failed: {0}")]
    Login(#[from] LoginError),
    /// The server's own words.
    #[error("login to the database failed: {0}")]
    Refused(String),
    /// The login did not end in time.
    #[error("login to the database failed: timeout expired")]
    Timeout,
    /// Either side does not speak as the protocol says.
    #[error("{0}")]
    Protocol(String),
}

/// A socket that a program is told of. Dropping it removes it.
pub struct Lent {
    folder: PathBuf,
    listener: UnixListener,
}

/// What the program asked for, as it is asked of the server.
struct Asked<'a> {
    role: &'a str,
    database: &'a str,
    startup: Vec<u8>,
}

enum Outcome {
    In(Link),
    /// The server's first word was that this kind of connection is not let in.
    NotAdmitted(String),
}

impl Lent {
    /// The port that the program is told beside [`Lent::folder`].
    pub const PORT: u16 = 5432;

    /// Makes the socket.
    ///
    /// # Errors
    /// The folder for temporary files takes none.
    pub fn new() -> io::Result<Lent> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        // Short, for the path of a socket is.
        let folder = std::path::absolute(std::env::temp_dir())?.join(format!("columnseal-{}", &name[..16]));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let listener = UnixListener::bind(folder.join(format!(".s.PGSQL.{}", Lent::PORT))).inspect_err(|_| {
            let _ = std::fs::remove_dir(&folder);
        })?;
        Ok(Lent { folder, listener })
    }

    /// The host that the program is told.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lends one connection to this database, until either side closes it. Not cancel safe: it ends where it is.
    ///
    /// # Errors
    /// The server cannot be reached, or lets nobody in. The program is hung up on.
    pub async fn serve(&self, dialer: &Dialer, role: &str, database: &str) -> Result<(), LendError> {
        let (program, _) = self.listener.accept().await?;
        let mut program = Link::new(Stream::Plain(Socket::Unix(program)));
        let (asked, mut said) = opening(&mut program, role, database).await?;
        let mut server = log_in(dialer, &asked).await?;
        put_ok(&mut said);
        said.extend_from_slice(&server.input);
        program.send(&said).await?;
        server.send(&program.input).await?;
        // How it ended is for the program to tell.
        let _ = tokio::io::copy_bidirectional(&mut program.stream, &mut server.stream).await;
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What the program asks for, and what it is told of the protocol.
async fn opening<'a>(program: &mut Link, role: &'a str, database: &'a str) -> Result<(Asked<'a>, Vec<u8>), LendError> {
    loop {
        if let Some((asked, length)) = packet(&program.input).map_err(odd)? {
            let Packet::Startup(startup) = asked else {
                return Err(LendError::Protocol("the program asks for no session".to_owned()));
            };
            let is_option = |name: &[u8]| name.starts_with(b"_pq_.");
            let own = [(&b"user"[..], role.as_bytes()), (b"database", database.as_bytes())];
            let rest = startup.parameters();
            let rest = rest.filter(|(name, _)| !matches!(*name, b"user" | b"database") && !is_option(name));
            let (mut out, mut said) = (Vec::new(), Vec::new());
            put_startup(&mut out, 0, own.into_iter().chain(rest)).map_err(odd)?;
            let unknown: Vec<&[u8]> = startup.parameters().map(|(name, _)| name).filter(|n| is_option(n)).collect();
            if startup.minor > 0 || !unknown.is_empty() {
                put_negotiate(&mut said, 0, &unknown).map_err(odd)?;
            }
            let _ = program.input.split_to(length);
            return Ok((Asked { role, database, startup: out }, said));
        }
        if !program.fill().await? {
            return Err(LendError::Protocol("the program hung up".to_owned()));
        }
    }
}

/// By each kind of connection that `sslmode` allows, while the server refuses at the start.
async fn log_in(dialer: &Dialer, asked: &Asked<'_>) -> Result<Link, LendError> {
    let mut refusal = None;
    for security in dialer.attempts() {
        match (attempt(dialer, *security, asked).await, refusal.is_some()) {
            (Ok(Outcome::In(link)), _) => return Ok(link),
            // What the first attempt met is the better account.
            (Ok(Outcome::NotAdmitted(why)), _) => refusal = refusal.or(Some(why)),
            (Err(_), true) => break,
            (Err(error), false) => return Err(error),
        }
    }
    Err(LendError::Refused(refusal.unwrap_or_default()))
}

async fn attempt(dialer: &Dialer, security: Security, asked: &Asked<'_>) -> Result<Outcome, LendError> {
    let dialed = dialer.dial(security).await?;
    let account = dialer.account(asked.role, &dialed.address, asked.database).await?;
    let channel = dialer.channel(&dialed.stream);
    let answers = Answers::new(account, dialer.target().channel_binding, channel);
    let login = answered(Link::new(dialed.stream), answers, asked);
    tokio::time::timeout(dialer.target().connect_timeout, login).await.unwrap_or(Err(LendError::Timeout))
}

async fn answered(mut server: Link, mut answers: Answers, asked: &Asked<'_>) -> Result<Outcome, LendError> {
    server.send(&asked.startup).await?;
    let mut spoken = false;
    loop {
        let Some(message) = server.message(MAX_LOGIN).map_err(odd)? else {
            if !server.fill().await? {
                return Err(LendError::Protocol("the database server closed the connection unexpectedly".to_owned()));
            }
            continue;
        };
        let first = !std::mem::replace(&mut spoken, true);
        match message.tag {
            tag::AUTHENTICATION => match answers.answer(Authentication::parse(message.body()).map_err(odd)?)? {
                Reply::Send(answer) => server.send(&answer).await?,
                Reply::Wait => {}
                Reply::In => return Ok(Outcome::In(server)),
            },
            tag::ERROR_RESPONSE => return refusal(&message, first),
            tag::NOTICE_RESPONSE | tag::NEGOTIATE_PROTOCOL_VERSION => {}
            _ => return Err(LendError::Login(LoginError::Order)),
        }
    }
}

fn refusal(message: &Message, first: bool) -> Result<Outcome, LendError> {
    let view = ErrorView::parse(message.body()).map_err(odd)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let why = format!("{} ({})", text(view.message()), text(view.sqlstate()));
    match first && is_not_admitted(&view) {
        true => Ok(Outcome::NotAdmitted(why)),
        false => Err(LendError::Refused(why)),
    }
}

/// What cannot be read or built.
fn odd(error: impl std::fmt::Display) -> LendError {
    LendError::Protocol(format!("{error} during the login"))
}
