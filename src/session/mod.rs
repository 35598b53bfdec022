//! One connection: a client on one side, its server on the other, one task for both.
//!
//! ```text
//! listen -> handshake -> Session::run:   fast  (client bytes that need no look)
//!                                        front, run (those that do)          -> server
//!                                        back  (server bytes; rows opened)   -> client
//!                                        copying, copy_in, copy_seal  (rows of COPY FROM, sealed) -> server
//!                                        search  (values that LIKE looks at before its statement runs)
//!                                        copy_out  (rows of COPY TO, printed)                     -> client
//! ```
//! Messages are never reordered. Errors of ours are made where PostgreSQL would make them: by having it fail at that
//! place (`front::poison`) and replacing its words.

mod alarms;
pub mod audit;
mod back;
mod built;
pub mod cancel;
pub mod catalog;
mod cell;
mod choice;
mod confirm;
mod copy_in;
mod copy_out;
mod copy_seal;
mod copying;
mod cursors;
mod documents;
mod encoding;
mod errors;
mod exchange;
mod execute;
mod fast;
mod finish;
mod formula;
mod front;
pub mod handshake;
mod identity;
mod introspect;
mod ledger;
mod link;
pub mod listen;
mod managed;
mod operands;
mod own;
mod pipe;
mod prepared;
mod replication;
pub mod roles;
mod rows;
mod run;
mod scram;
mod seal;
mod search;
mod shown;
mod simple;
mod startup;
mod state;
mod steps;
mod watch;

pub mod settings;
pub mod upstream;
pub mod users;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::audit::{Audit, Observer, Who};
use self::back::{Halt, Outputs};
use self::cancel::Asked;
use self::catalog::Catalogs;
use self::choice::Choice;
use self::fast::Stop;
use self::handshake::Replication;
use self::pipe::{HIGH_WATER, Pipe, Side, Want};
use self::roles::{Roles, Viewer};
use self::settings::Limits;
use self::startup::Chosen;
use self::state::State;
use crate::keys::access::MAX_NAME;
use crate::keys::{KeysError, Ring};
use crate::sql::PlanCache;
use crate::sql::introspect::Introspection;
use crate::telemetry::metrics::{Connected, Metrics, Spent};
use crate::telemetry::slow::SlowLimit;
use crate::telemetry::traces::{Context, Tracer};
use crate::wire::client;
use crate::wire::error::PgError;
use crate::wire::frame::BuildError;
use crate::wire::server::TransactionStatus;
use crate::wire::sqlstate::SqlState;

/// Answers owed at most: a client that pipelines more is not read until some came.
const LEDGER_MAX: usize = 100_000;

/// A row whose keys are fetched this often and are still not at hand is refused.
const FETCH_TRIES: u32 = 3;

/// What all sessions share.
pub struct Shared {
    /// Keys.
    pub ring: Arc<Ring>,
    /// Statement plans.
    pub plans: PlanCache,
    /// Catalog snapshots.
    pub catalogs: Arc<Catalogs>,
    /// Metric handles.
    pub metrics: Arc<Metrics>,
    /// Statements may choose the keyset, not the startup packet alone.
    pub keyset_by_sql: bool,
    /// How sessions see catalogs, unless they choose.
    pub introspection: Introspection,
    /// What roles may read.
    pub roles: Roles,
    /// Who read what.
    pub audit: Arc<Audit>,
    /// Limits of time.
    pub limits: Limits,
    /// From when on a statement is slow.
    pub slow: SlowLimit,
    /// Where spans go.
    pub tracer: Option<Tracer>,
}

/// A connection that was logged in.
pub struct Login<C, S> {
    /// The client's stream, and bytes already read from it.
    pub client: (C, BytesMut),
    /// The server's stream, and bytes already read from it.
    pub server: (S, BytesMut),
    /// Database of the connection.
    pub database: String,
    /// The role that logged in.
    pub user: String,
    /// Address of the client, over TCP.
    pub peer: Option<SocketAddr>,
    /// Requests to cancel what the session does.
    pub asked: Arc<Asked>,
    /// ParameterStatus values of the login.
    pub parameters: HashMap<String, String>,
    /// What kind of replication connection it is, if one.
    pub replication: Replication,
    /// What the startup packet chooses.
    pub chosen: Chosen,
}

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A stream failed.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// The client is told, then the connection is closed.
    #[error("{0}")]
    Tell(PgError),
    /// A whole message whose inside is not as the protocol says: an error at its place.
    #[error("invalid message format")]
    Malformed,
    /// A side closed.
    #[error("connection closed")]
    Closed,
}

impl From<PgError> for Fault {
    fn from(e: PgError) -> Self {
        Fault::Tell(e)
    }
}

impl From<BuildError> for Fault {
    fn from(e: BuildError) -> Self {
        Fault::Tell(PgError::fatal(SqlState::PROGRAM_LIMIT_EXCEEDED, e.to_string()))
    }
}

struct Session<C, S> {
    pipe: Pipe<C, S>,
    state: State,
    shared: Arc<Shared>,
    database: String,
    presence: Connected,
    /// The span of the connection, and when it began.
    connection: (Context, std::time::Instant),
}

/// Serves one connection until either side closes or `drain` asks idle sessions to end.
///
/// # Errors
/// See [`Fault`]; the client has been told where it could be.
pub async fn serve<C, S>(mut login: Login<C, S>, shared: Arc<Shared>, drain: CancellationToken) -> Result<(), Fault>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if login.replication == Replication::Physical {
        return replication::serve(login, shared).await;
    }
    let presence = shared.metrics.connections.opens();
    // As PostgreSQL cuts them: records of access name the role and the database that it takes.
    for name in [&mut login.user, &mut login.database] {
        name.truncate(name.floor_char_boundary(MAX_NAME));
    }
    let connection = (shared.tracer.as_ref().map(Tracer::begin).unwrap_or_default(), Instant::now().into_std());
    let slot = shared.catalogs.slot(&login.database);
    let pick = startup::pick(&shared.ring, login.chosen.keyset.as_ref());
    let introspection = login.chosen.introspection.unwrap_or(shared.introspection);
    let choice = Choice::new(pick.clone().unwrap_or_default(), introspection);
    let mut state = State::new(slot, choice, shared.watched());
    state.most_gathered = shared.limits.gathered;
    state.asked = login.asked;
    state.replication = login.replication == Replication::Database;
    for (name, value) in &login.parameters {
        state.reported(name.as_bytes(), value.as_bytes());
    }
    let user: Arc<str> = login.user.into();
    let peer = login.peer.map_or_else(|| "local".to_owned(), |peer| peer.ip().to_canonical().to_string());
    let who = Who { user: Arc::clone(&user), database: login.database.as_str().into(), peer: peer.into() };
    state.observer = Some(Observer::new(&shared.audit, who));
    state.viewer = Viewer { rule: shared.roles.of(&user), role: user };
    let mut session = Session {
        pipe: Pipe {
            client: Side::new(login.client.0, login.client.1),
            server: Side::new(login.server.0, login.server.1),
        },
        state,
        shared,
        database: login.database,
        presence,
        connection,
    };
    let outcome = match pick {
        Ok(_) => session.run(&drain).await,
        Err(error) => Err(error.into()),
    };
    if let Err(Fault::Tell(error)) = &outcome {
        session.shared.metrics.told(true, error.sqlstate.0);
        error.write(&mut session.pipe.client.output);
    }
    session.close().await;
    session.trace_connection(!matches!(outcome, Ok(()) | Err(Fault::Closed)));
    match outcome {
        Err(Fault::Closed) => Ok(()),
        other => other,
    }
}

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    async fn run(&mut self, drain: &CancellationToken) -> Result<(), Fault> {
        loop {
            self.take_server().await?;
            self.take_client().await?;
            self.count();
            self.ended()?;
            let idle =
                self.state.ledger.is_empty() && self.state.status == TransactionStatus::Idle && !self.state.in_batch;
            if idle && drain.is_cancelled() {
                return Err(Fault::Tell(PgError::fatal(
                    SqlState::ADMIN_SHUTDOWN,
                    "terminating connection: the proxy is shutting down",
                )));
            }
            let want = Want { client: self.takes_more() && !self.state.leaving, server: true, own: false };
            self.state.keys.clear();
            let ends = self.idles_until();
            let over = async {
                match ends {
                    Some((at, _)) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            self.waits();
            tokio::select! {
                turned = self.pipe.turn(want) => turned?,
                () = drain.cancelled(), if idle => {}
                () = over, if ends.is_some() => return Err(Fault::Tell(errors::idle_too_long(ends.is_some_and(|e| e.1)))),
            }
            self.woke();
        }
    }

    /// When a session that waits for its client has waited too long, and whether a transaction is open.
    fn idles_until(&mut self) -> Option<(Instant, bool)> {
        let state = &mut self.state;
        let waits = state.ledger.is_empty() && !state.copying && !state.leaving && !self.pipe.client.ended;
        let Limits { idle, idle_transaction, .. } = self.shared.limits;
        let open = state.status != TransactionStatus::Idle || state.in_batch;
        let limit = if open { idle_transaction } else { idle };
        let Some(limit) = limit.filter(|_| waits) else {
            state.idle_since = None;
            return None;
        };
        // Bytes of the client's begin the time anew, notifications of the server's do not.
        let taken = self.pipe.client.taken;
        let (since, at) = state.idle_since.unwrap_or_else(|| (Instant::now(), taken));
        let since = if at == taken { since } else { Instant::now() };
        state.idle_since = Some((since, taken));
        Some((since + limit, open))
    }

    fn takes_more(&self) -> bool {
        !self.state.fenced && self.state.ledger.len() < LEDGER_MAX
    }

    /// Once the client has said all it will, the server is told, and its last answers are delivered.
    fn ended(&mut self) -> Result<(), Fault> {
        if self.pipe.server.ended {
            return Err(Fault::Closed);
        }
        if self.pipe.client.ended && self.takes_more() && self.pipe.server.pending() < HIGH_WATER {
            if self.state.passing_client > 0 {
                // In the middle of a message whose beginning the server has.
                return Err(Fault::Closed);
            }
            self.leave();
        }
        Ok(())
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.state.leaving, true) {
            if self.state.copying {
                // Amid rows the server would take Terminate for one of them.
                let _ = client::copy_fail(&mut self.pipe.server.output, copy_in::OURS);
            }
            client::terminate(&mut self.pipe.server.output);
            self.pipe.client.parting = true;
        }
    }

    /// Takes what there is of the client's messages, as long as the server's side has room.
    async fn take_client(&mut self) -> Result<(), Fault> {
        while self.takes_more()
            && !self.state.leaving
            && self.pipe.server.pending() < HIGH_WATER
            && !self.pipe.client.input.is_empty()
        {
            self.state.exchange.reads();
            let (used, stop) = fast::forward(
                &mut self.state,
                &self.shared.plans,
                &self.pipe.client.input,
                &mut self.pipe.server.output,
            )?;
            self.pipe.client.consume(used);
            match stop {
                Stop::Dry => return Ok(()),
                Stop::Look(total) => {
                    self.state.exchange.looking = true;
                    self.look(total).await?;
                    self.state.exchange.looking = false;
                }
                Stop::Bye => {
                    self.leave();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Takes what there is of the server's messages; fetches the keys that rows need.
    async fn take_server(&mut self) -> Result<(), Fault> {
        let mut fetched = 0;
        while !self.pipe.server.input.is_empty() {
            let mut outputs = Outputs { client: &mut self.pipe.client.output, server: &mut self.pipe.server.output };
            let (used, halt) = back::take(&mut self.state, &self.shared.ring, &self.pipe.server.input, &mut outputs)?;
            self.pipe.server.consume(used);
            self.count();
            self.note();
            fetched = if used > 0 || self.state.progress.moved() { 1 } else { fetched + 1 };
            let outcome = match halt {
                Halt::Dry => return Ok(()),
                Halt::Pause => {
                    // Keys are asked for anew, so that a revocation is noticed.
                    self.state.keys.clear();
                    tokio::task::yield_now().await;
                    Ok(())
                }
                Halt::Suspect(key) => self.prove(key).await,
                Halt::Keys(_) if fetched > FETCH_TRIES => {
                    Err(KeysError::unavailable("a fetched data key was not kept"))
                }
                Halt::Keys(missing) => self.fetch(&missing).await,
            };
            if let Err(error) = outcome {
                let error = errors::keys(&error, "");
                self.shared.refused(error.sqlstate.0);
                self.state.exchange.failed(error.sqlstate.0.as_bytes());
                back::refuse(&mut self.state, &error, &mut self.pipe.client.output);
            }
        }
        Ok(())
    }

    /// Goes on with everything but the client's messages until `done`.
    async fn until(&mut self, done: impl Fn(&State) -> bool) -> Result<(), Fault> {
        self.until_with(false, done).await
    }

    /// `own`: all that is awaited is for the session itself.
    async fn until_with(&mut self, own: bool, done: impl Fn(&State) -> bool) -> Result<(), Fault> {
        loop {
            self.take_server().await?;
            if done(&self.state) {
                self.state.exchange.turn_to(Some(Spent::Analysis));
                return Ok(());
            }
            if self.pipe.server.ended {
                return Err(Fault::Closed);
            }
            self.state.keys.clear();
            self.turn(Want { client: false, server: true, own }).await?;
        }
    }

    /// Says goodbye to the server and writes what the client still has to read.
    async fn close(&mut self) {
        if !self.pipe.server.ended {
            self.leave();
            let _ = self.pipe.drain_server().await;
        }
        let _ = self.pipe.drain_client().await;
    }
}
