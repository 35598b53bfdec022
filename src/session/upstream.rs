//! The login: a connection to the server, and the server's questions and the client's answers relayed until
//! the server is ready for queries.
//!
//! The proxy learns no password. Only what cannot hold through a proxy is changed: SCRAM with channel
//! binding is not offered, and the protocol version is kept to what this proxy knows. Where logins are managed, the client was let in
//! before, and the server's questions are answered with an account of the proxy's.

use std::collections::HashMap;
use std::net::SocketAddr;

use bytes::BytesMut;
use zeroize::{Zeroize, Zeroizing};

use super::cancel::{CancelGuard, Route};
use super::handshake::{Ended, Opening, unbuildable};
use super::link::{Link, Message, Patience};
use super::listen::Gate;
use super::managed;
use super::scram::{PLAIN, PLUS};
use crate::net::dial::{Address, DialError, Security};
use crate::net::login::{self, Answers, LoginError, MAX_LOGIN, Reply};
use crate::net::settings::SslMode;
use crate::net::stream::{ClientStream, ServerStream, TlsInfo};
use crate::wire::error::{ErrorView, PgError};
use crate::wire::frame::FrameError;
use crate::wire::read_error;
use crate::wire::server::{self, BackendKeyData, tag};
use crate::wire::sqlstate::SqlState;
use crate::wire::startup::{
    Authentication, MAX_AUTH, Mechanisms, NEWEST_MINOR, Negotiate, SaslInitial, put_negotiate, put_ok, put_sasl,
    put_startup,
};
use crate::wire::{MessageError, client};

/// A connection that is logged in: the client has read ReadyForQuery, outside a transaction.
pub struct LoggedIn {
    /// Towards the client.
    pub client: ClientStream,
    /// Bytes already read from the client.
    pub client_read: BytesMut,
    /// Towards the server.
    pub server: ServerStream,
    /// Bytes already read from the server.
    pub server_read: BytesMut,
    /// What the client asked for.
    pub opening: Opening,
    /// Minor version of protocol 3 in use.
    pub minor: u16,
    /// ParameterStatus values by name. Bytes that are not UTF-8 are replaced.
    pub parameters: HashMap<String, String>,
    /// TLS towards the client.
    pub client_tls: Option<TlsInfo>,
    /// TLS towards the server.
    pub server_tls: Option<TlsInfo>,
    /// Address of the client, over TCP.
    pub peer: Option<SocketAddr>,
    /// The server that answered.
    pub address: Address,
    /// The server's process, where it told.
    pub backend_pid: Option<u32>,
    /// Keeps the session's cancel key known.
    pub cancel: Option<CancelGuard>,
}

/// Logs the client in. On error the link is given back.
pub(super) async fn log_in(
    gate: &Gate,
    mut client: Link,
    opening: Opening,
    patience: &Patience<'_>,
) -> Result<LoggedIn, (Link, Ended)> {
    let login = patience.with(decided(gate, &mut client, &opening)).await;
    match login {
        Err(ended) => Err((client, ended)),
        Ok(login) => Ok(LoggedIn {
            client_tls: client.stream.tls(),
            server_tls: login.server.stream.tls(),
            peer: client.stream.socket().peer(),
            client: client.stream,
            client_read: client.input,
            server: login.server.stream,
            server_read: login.server.input,
            minor: login.minor,
            parameters: login.parameters,
            address: login.address,
            backend_pid: login.backend_pid,
            cancel: login.cancel,
            opening,
        }),
    }
}

/// By the server, or by the proxy and then by the server.
async fn decided<'a>(gate: &'a Gate, client: &mut Link, opening: &'a Opening) -> Result<Login<'a>, Ended> {
    let role = match &gate.users {
        None => None,
        Some(users) => {
            let user = managed::verify(client, opening, users, &gate.decoy).await?;
            // Settings without such a user are refused.
            Some(user.role.clone().or_else(|| gate.dialer.target().user.clone()).unwrap_or_default())
        }
    };
    attempts(gate, client, opening, role.as_deref()).await
}

/// By each kind of connection that `sslmode` allows, while the server refuses at the start.
async fn attempts<'a>(
    gate: &'a Gate,
    client: &mut Link,
    opening: &'a Opening,
    role: Option<&str>,
) -> Result<Login<'a>, Ended> {
    let mut refusal: Option<Message> = None;
    for security in gate.dialer.attempts() {
        let mut login = match (Login::start(gate, opening, *security, role).await, refusal.is_some()) {
            (Ok(login), _) => login,
            (Err(_), true) => break,
            (Err(ended), false) => return Err(ended),
        };
        match login.relay(client).await? {
            Outcome::Ready => return Ok(login),
            // What the first attempt met is the better account.
            Outcome::NotAdmitted(message) => refusal = refusal.or(Some(message)),
        }
    }
    match refusal {
        Some(message) if role.is_some() => Err(managed::not_let_in(&message).into()),
        Some(message) => {
            client.send(message.raw()).await?;
            Err(Ended::NotLoggedIn)
        }
        None => Err(Ended::Quiet),
    }
}

enum Outcome {
    Ready,
    /// The server's first word was that this kind of connection is not let in.
    NotAdmitted(Message),
}

/// What the client owes the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owes {
    Nothing,
    /// The choice of a mechanism.
    Mechanism,
    /// An answer whose inside is not looked at.
    Answer,
}

struct Login<'a> {
    gate: &'a Gate,
    opening: &'a Opening,
    /// Answers the server in the client's stead, with the proxy's account.
    own: Option<Answers>,
    server: Link,
    address: Address,
    to_client: Vec<u8>,
    /// Passwords among it.
    to_server: Zeroizing<Vec<u8>>,
    owes: Owes,
    /// The server has said something.
    spoken: bool,
    /// The server has said that the login is complete.
    authenticated: bool,
    /// The server offered SCRAM with channel binding.
    plus: bool,
    minor: u16,
    parameters: HashMap<String, String>,
    backend_pid: Option<u32>,
    cancel: Option<CancelGuard>,
}

impl<'a> Login<'a> {
    async fn start(
        gate: &'a Gate,
        opening: &'a Opening,
        security: Security,
        role: Option<&str>,
    ) -> Result<Self, Ended> {
        let dialed = gate.dialer.dial(security).await.map_err(unreachable)?;
        let own = match role {
            Some(role) => {
                let account = gate.dialer.account(role, &dialed.address, &opening.database).await;
                let channel = gate.dialer.channel(&dialed.stream);
                let account = account.map_err(|error| managed::no_login(&error))?;
                Some(Answers::new(account, gate.dialer.target().channel_binding, channel))
            }
            None => None,
        };
        let mut login = Login {
            gate,
            opening,
            own,
            server: Link::new(dialed.stream),
            address: dialed.address,
            to_client: Vec::new(),
            to_server: Zeroizing::default(),
            owes: Owes::Nothing,
            spoken: false,
            authenticated: false,
            plus: false,
            minor: opening.minor.min(NEWEST_MINOR),
            parameters: HashMap::new(),
            backend_pid: None,
            cancel: None,
        };
        login.send_startup().await?;
        Ok(login)
    }

    async fn send_startup(&mut self) -> Result<(), Ended> {
        let given = self.opening.parameters.iter().map(|(n, v)| (n.as_slice(), v.as_slice()));
        let mut packet = Vec::new();
        let put = match &self.own {
            None => put_startup(&mut packet, self.minor, given),
            Some(own) => {
                let rest = given.filter(|(name, _)| !matches!(*name, b"user" | b"database"));
                let database = self.opening.database.as_bytes();
                let first = [(&b"user"[..], own.role().as_bytes()), (b"database", database)];
                put_startup(&mut packet, self.minor, first.into_iter().chain(rest))
            }
        };
        put.map_err(unbuildable)?;
        self.server.send(&packet).await.map_err(|_| self.lost())
    }

    /// Until the server is ready. Not cancel safe: messages may be half written.
    async fn relay(&mut self, client: &mut Link) -> Result<Outcome, Ended> {
        loop {
            while let Some(message) = self.next_from_server()? {
                match self.server_says(message)? {
                    Step::On => {}
                    Step::NotAdmitted(message) => return Ok(Outcome::NotAdmitted(message)),
                    step @ (Step::Ready | Step::Over) => {
                        if matches!(step, Step::Ready) {
                            // Who is not logged in is told nothing of keysets.
                            self.gate.allows(self.opening.chosen.keyset.as_ref())?;
                        }
                        client.send(&self.to_client).await?;
                        return match step {
                            Step::Ready => Ok(Outcome::Ready),
                            _ => Err(Ended::NotLoggedIn),
                        };
                    }
                }
            }
            if self.owes != Owes::Nothing
                && let Some(message) = client.message(MAX_AUTH).map_err(|e| out_of_step(e, "client"))?
            {
                self.client_says(&message).await?;
            }
            self.flush(client).await?;
            self.wait(client).await?;
        }
    }

    async fn flush(&mut self, client: &mut Link) -> Result<(), Ended> {
        if !self.to_client.is_empty() {
            client.send(&self.to_client).await?;
            self.to_client.clear();
        }
        if !self.to_server.is_empty() {
            self.server.send(&self.to_server).await.map_err(|_| self.lost())?;
            self.to_server.zeroize();
        }
        Ok(())
    }

    /// Until either side that may speak has spoken.
    async fn wait(&mut self, client: &mut Link) -> Result<(), Ended> {
        let listens = self.owes != Owes::Nothing;
        tokio::select! {
            read = self.server.fill() => match read {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => Err(self.lost()),
            },
            read = client.fill(), if listens => match read {
                Ok(true) => Ok(()),
                Ok(false) | Err(_) => Err(Ended::Quiet),
            },
        }
    }

    fn next_from_server(&mut self) -> Result<Option<Message>, Ended> {
        Ok(self.server.message(MAX_LOGIN).map_err(|e| out_of_step(e, "database server"))?)
    }

    fn server_says(&mut self, message: Message) -> Result<Step, Ended> {
        let first = !std::mem::replace(&mut self.spoken, true);
        if message.tag == tag::NEGOTIATE_PROTOCOL_VERSION {
            return self.negotiate(&message).map(|()| Step::On);
        }
        if first && message.tag != tag::ERROR_RESPONSE && self.own.is_none() {
            // It had nothing to negotiate, but was not told all.
            self.opening.put_unknown(&mut self.to_client)?;
        }
        match message.tag {
            tag::AUTHENTICATION => return self.authentication(&message).map(|()| Step::On),
            tag::ERROR_RESPONSE if first && is_not_admitted(&message) => {
                return Ok(Step::NotAdmitted(message));
            }
            tag::ERROR_RESPONSE if self.own.is_some() && managed::is_about_login(&message) => {
                return Err(managed::not_let_in(&message).into());
            }
            // The client waits for the end of its login.
            tag::NOTICE_RESPONSE if self.own.is_some() && !self.authenticated => return Ok(Step::On),
            tag::PARAMETER_STATUS => self.parameter(&message)?,
            tag::BACKEND_KEY_DATA => self.key(&message)?,
            // Who is connected rests on the login.
            tag::READY_FOR_QUERY if !self.authenticated => return Err(not_logged_in().into()),
            _ => {}
        }
        self.to_client.extend_from_slice(message.raw());
        Ok(match message.tag {
            tag::ERROR_RESPONSE => Step::Over,
            tag::READY_FOR_QUERY => Step::Ready,
            _ => Step::On,
        })
    }

    /// The server speaks an older version than asked for, or does not know options; what this proxy does
    /// not know joins that.
    fn negotiate(&mut self, message: &Message) -> Result<(), Ended> {
        let view = Negotiate::parse(message.body()).map_err(unreadable)?;
        self.minor = self.minor.min(view.minor);
        if self.own.is_some() {
            // The client was told what this proxy knows. Keys of either length are well to its version.
            return Ok(());
        }
        let ours = self.opening.protocol_options.iter().map(Vec::as_slice);
        let unknown: Vec<&[u8]> = view.unknown().chain(ours).collect();
        put_negotiate(&mut self.to_client, self.minor, &unknown).map_err(unbuildable)?;
        Ok(())
    }

    fn authentication(&mut self, message: &Message) -> Result<(), Ended> {
        if let Some(own) = &mut self.own {
            let question = Authentication::parse(message.body()).map_err(unreadable)?;
            match own.answer(question).map_err(|error: LoginError| managed::no_login(&error))? {
                Reply::Send(answer) => self.to_server.extend_from_slice(&answer),
                Reply::Wait => {}
                Reply::In => {
                    self.authenticated = true;
                    put_ok(&mut self.to_client);
                }
            }
            return Ok(());
        }
        self.owes = match Authentication::parse(message.body()).map_err(unreadable)? {
            Authentication::Ok => {
                self.authenticated = true;
                Owes::Nothing
            }
            Authentication::SaslFinal(_) => Owes::Nothing,
            Authentication::Sasl(offered) => return self.offer(offered),
            _ => Owes::Answer,
        };
        self.to_client.extend_from_slice(message.raw());
        Ok(())
    }

    fn offer(&mut self, offered: Mechanisms<'_>) -> Result<(), Ended> {
        self.owes = Owes::Mechanism;
        self.plus = offered.iter().any(|name| name == PLUS);
        let kept: Vec<&[u8]> = offered.iter().filter(|name| *name != PLUS).collect();
        if kept.is_empty() {
            return Err(binding_demanded("The database server offers no other way to log in.").into());
        }
        put_sasl(&mut self.to_client, kept).map_err(unbuildable)?;
        Ok(())
    }

    fn parameter(&mut self, message: &Message) -> Result<(), Ended> {
        let (name, value) = server::parameter_status(message.body()).map_err(unreadable)?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        self.parameters.insert(text(name), text(value));
        Ok(())
    }

    fn key(&mut self, message: &Message) -> Result<(), Ended> {
        let key = BackendKeyData::parse(message.body()).map_err(unreadable)?;
        let route = Route { address: self.address.clone(), tls: self.server.stream.is_tls() };
        self.backend_pid = Some(key.pid);
        self.cancel = Some(self.gate.cancels.register(key.pid, key.key, route));
        Ok(())
    }

    async fn client_says(&mut self, message: &Message) -> Result<(), Ended> {
        if message.tag != client::tag::PASSWORD {
            let text = format!("expected a password or SASL response, got message type {}", message.tag);
            return Err(PgError::fatal(SqlState::PROTOCOL_VIOLATION, text).into());
        }
        if self.owes == Owes::Mechanism {
            self.mechanism(message).await?;
        }
        self.owes = Owes::Nothing;
        self.to_server.extend_from_slice(message.raw());
        Ok(())
    }

    /// A proxy cannot be the end of a channel that client and server bind their login to.
    async fn mechanism(&mut self, message: &Message) -> Result<(), Ended> {
        let initial = SaslInitial::parse(message.body()).map_err(read_error)?;
        let flag = initial.data.and_then(|data| data.first());
        match (initial.mechanism, flag) {
            (PLUS, _) | (PLAIN, Some(b'p')) => Err(binding_demanded("The client demands channel binding.").into()),
            // "I saw no offer of binding": true for the client, but the server made one.
            (PLAIN, Some(b'y')) if self.plus => self.without_tls().await,
            _ => Ok(()),
        }
    }

    /// Begins again over a connection without TLS, where the server offers no binding. Only where
    /// `sslmode=prefer` leaves the choice and the bytes do not leave this machine.
    async fn without_tls(&mut self) -> Result<(), Ended> {
        let free = self.gate.dialer.target().sslmode == SslMode::Prefer;
        if !free || !self.server.stream.socket().is_local() {
            return Err(binding_seen().into());
        }
        let stream = self.gate.dialer.dial_address(&self.address, Security::Plain).await;
        self.server = Link::new(stream.map_err(|_| binding_seen())?);
        self.send_startup().await?;
        loop {
            while let Some(message) = self.next_from_server()? {
                match message.tag {
                    tag::AUTHENTICATION if asks_scram(&message) => return Ok(()),
                    tag::NEGOTIATE_PROTOCOL_VERSION | tag::NOTICE_RESPONSE => {}
                    _ => return Err(binding_seen().into()),
                }
            }
            if !matches!(self.server.fill().await, Ok(true)) {
                return Err(self.lost());
            }
        }
    }

    fn lost(&self) -> Ended {
        let text = format!("the database server at \"{}\" closed the connection unexpectedly", self.address);
        PgError::fatal(SqlState::CONNECTION_FAILURE, text).into()
    }
}

enum Step {
    On,
    /// The client can be told that it is in.
    Ready,
    /// The server refused; the client can be told.
    Over,
    NotAdmitted(Message),
}

fn is_not_admitted(message: &Message) -> bool {
    ErrorView::parse(message.body()).is_ok_and(|view| login::is_not_admitted(&view))
}

fn asks_scram(message: &Message) -> bool {
    match Authentication::parse(message.body()) {
        Ok(Authentication::Sasl(offered)) => {
            offered.iter().any(|name| name == PLAIN) && offered.iter().all(|name| name != PLUS)
        }
        _ => false,
    }
}

fn unreachable(error: DialError) -> Ended {
    tracing::warn!(%error, "database server out of reach: look whether it runs, and at [database]");
    PgError::fatal(SqlState::CANNOT_CONNECT, error.to_string())
        .hint("This comes from the proxy: check that the database runs, and the proxy's [database] settings.")
        .into()
}

fn binding_demanded(why: &str) -> PgError {
    PgError::fatal(SqlState::INVALID_AUTHORIZATION, "SCRAM with channel binding cannot pass through a proxy")
        .detail(why)
        .hint("Connect with channel_binding=disable; or let the proxy check logins itself ([auth] mode = \"managed\").")
}

fn binding_seen() -> PgError {
    PgError::fatal(SqlState::INVALID_AUTHORIZATION, "SCRAM channel binding negotiation cannot pass through a proxy")
        .detail(
            "The client would use channel binding over its TLS connection, and the database server offers it to \
             the proxy: the server would take the client's login for a downgrade attack.",
        )
        .hint(
            "Connect with channel_binding=disable, or without TLS to the proxy; or let the proxy reach a database \
             on its own machine without TLS (sslmode=disable in [database] url), or check logins itself ([auth] mode = \
             \"managed\").",
        )
}

fn out_of_step(error: FrameError, who: &str) -> PgError {
    PgError::fatal(SqlState::PROTOCOL_VIOLATION, format!("{error} from the {who} during the login"))
}

fn not_logged_in() -> PgError {
    PgError::fatal(
        SqlState::PROTOCOL_VIOLATION,
        "the database server is ready, but did not say that the login is complete",
    )
}

fn unreadable(error: MessageError) -> PgError {
    PgError::fatal(SqlState::PROTOCOL_VIOLATION, format!("{error} from the database server during the login"))
}
