//! Pages beside the API: whoever puts the server together may have some served, and is lent what they need of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::crypto::ClientId;
use crate::keys::error::KeysError;

use super::super::engine::Engine;
use super::host::Host;

/// What metrics and log call every path of a page.
pub(super) const PAGE: &str = "page";

/// Makes the pages. Each request carries its [`Peer`](super::Peer).
pub type Pages = fn(PageHost) -> Router;

/// The server, for pages.
#[derive(Clone)]
pub struct PageHost(Arc<Host>);

impl PageHost {
    pub(super) fn of(host: &Arc<Host>) -> Self {
        Self(Arc::clone(host))
    }

    /// The engine, once there is a workspace.
    pub fn engine(&self) -> Option<&Engine> {
        self.0.engine()
    }

    /// The connection is encrypted.
    pub fn tls(&self) -> bool {
        self.0.settings.tls.is_some()
    }

    /// The host that it listens on, as settings name it.
    pub fn listens_on(&self) -> &str {
        &self.0.settings.listen.0
    }

    /// Pages are served.
    pub fn enabled(&self) -> bool {
        self.0.settings.dashboard
    }

    /// An admin who does nothing is signed out after this.
    pub fn session(&self) -> Duration {
        self.0.settings.session
    }

    /// Something was changed: event streams tell it at once.
    pub fn changed(&self) {
        self.0.hub.poke();
    }

    /// Before anything is looked at: the address has not failed too often.
    pub fn admit(&self, address: Option<IpAddr>) -> Result<(), KeysError> {
        self.0.limits.admit(address, None)
    }

    /// Nothing showed that an admin asked.
    pub fn unproven(&self, address: Option<IpAddr>) {
        self.0.limits.unproven(address);
    }

    /// An admin asked.
    pub fn proven(&self, client: ClientId) {
        self.0.limits.proven(client);
    }
}
