//! The whole dashboard, on the admin's own machine: loopback only, opened by an address that works once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::crypto::ClientId;
use crate::crypto::json::encode;
use crate::crypto::random;
use crate::crypto::sign::SigningKey;
use crate::keys::error::KeysError;
use crate::keys::request::Origin;
use crate::keyserver::Workspace;

use super::door;
use super::place::{Kind, Place};

/// An address works for this long.
const LIFE: Duration = Duration::from_secs(120);
/// A new one is told at most this often.
const PAUSE: Duration = Duration::from_secs(2);

/// How the dashboard is served.
pub struct LocalSettings {
    /// On loopback; 0: any that is free.
    pub port: u16,
    /// Who does nothing is signed out after this.
    pub idle: Duration,
}

/// Why the dashboard does not start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The port cannot be had.
    #[error("127.0.0.1:{port} cannot be listened on: {why}")]
    Listen {
        /// Which.
        port: u16,
        /// What the operating system says.
        why: std::io::Error,
    },
    /// No randomness.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// A dashboard that is ready to be served.
pub struct Dashboard {
    listener: TcpListener,
    place: Arc<Local>,
}

struct Local {
    workspace: Workspace,
    signing: SigningKey,
    hosts: Vec<String>,
    cookie: String,
    idle: Duration,
    address: SocketAddr,
    ticket: Mutex<Ticket>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// The address that works, if one does.
#[derive(Default)]
struct Ticket {
    good: Option<(String, Instant)>,
    told: Option<Instant>,
}

impl Dashboard {
    /// Listens. `tell` is given each address by which somebody can sign in; it is for whoever runs this, and nobody else.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn bind(
        workspace: Workspace,
        settings: LocalSettings,
        tell: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, LocalError> {
        let LocalSettings { port, idle } = settings;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|why| LocalError::Listen { port, why })?;
        let address = listener.local_addr().map_err(|why| LocalError::Listen { port, why })?;
        let port = address.port();
        let hosts = vec![format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        let signing = SigningKey::generate().map_err(KeysError::from)?;
        let (cookie, ticket) = (format!("columnseal-{port}"), Mutex::default());
        let place = Local { workspace, signing, hosts, cookie, idle, address, ticket, tell: Box::new(tell) };
        place.invite()?;
        Ok(Self { listener, place: Arc::new(place) })
    }

    /// Serves until the shutdown. Not cancel safe.
    pub async fn run(self, shutdown: CancellationToken) -> std::io::Result<()> {
        let router = door::router(self.place).into_make_service_with_connect_info::<SocketAddr>();
        let ended = shutdown.clone();
        let served = axum::serve(self.listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
        tokio::select! {
            served = async { served.await } => served,
            // Browsers keep connections open.
            () = async { ended.cancelled().await; tokio::time::sleep(Duration::from_millis(500)).await } => Ok(()),
        }
    }
}

impl Local {
    /// Makes an address and tells it.
    fn invite(&self) -> Result<(), KeysError> {
        let bytes: [u8; 32] = random::array()?;
        let text = encode(&bytes);
        let url = format!("http://{}/login?ticket={text}", self.address);
        let now = Instant::now();
        *self.ticket() = Ticket { good: Some((text, now)), told: Some(now) };
        (self.tell)(&url);
        Ok(())
    }

    fn ticket(&self) -> std::sync::MutexGuard<'_, Ticket> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place for Local {
    fn kind(&self) -> Kind {
        Kind::Local
    }

    fn tls(&self) -> bool {
        false
    }

    fn hosts(&self) -> Option<&[String]> {
        Some(&self.hosts)
    }

    fn idle(&self) -> Duration {
        self.idle
    }

    fn cookie(&self) -> &str {
        &self.cookie
    }

    fn signing(&self, work: &mut dyn FnMut(&SigningKey)) -> Result<(), KeysError> {
        work(&self.signing);
        Ok(())
    }

    fn redeem(&self, ticket: &str, _: &Origin) -> Result<ClientId, KeysError> {
        let mut known = self.ticket();
        let fits = |(text, made): &(String, Instant)| {
            bool::from(text.as_bytes().ct_eq(ticket.as_bytes())) && made.elapsed() < LIFE
        };
        if !known.good.as_ref().is_some_and(fits) {
            return Err(KeysError::refused("this address does not work any more: each works once, for two minutes"));
        }
        known.good = None;
        Ok(self.workspace.device())
    }

    fn workspace(&self, _: ClientId, _: Origin) -> Result<Workspace, KeysError> {
        Ok(self.workspace.clone())
    }

    fn admit(&self, _: Option<IpAddr>) -> Result<(), KeysError> {
        Ok(())
    }

    fn note(&self, _: Option<IpAddr>, _: Option<ClientId>) {}

    fn changed(&self) {}

    fn is_empty(&self) -> bool {
        false
    }

    fn knocked(&self) {
        let known = self.ticket();
        let good = known.good.as_ref().is_some_and(|(_, made)| made.elapsed() < LIFE);
        let recent = known.told.is_some_and(|told| told.elapsed() < PAUSE);
        drop(known);
        if !good && !recent {
            if let Err(error) = self.invite() {
                tracing::warn!(%error, "no address can be made");
            }
        }
    }
}
