//! The page that the key server serves. There is no key here: it shows, disables and revokes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::crypto::ClientId;
use crate::crypto::sign::SigningKey;
use crate::keys::error::KeysError;
use crate::keys::request::Origin;
use crate::keyserver::http::PageHost;
use crate::keyserver::{Engine, Workspace};
use crate::net::target::is_loopback;

use super::door;
use super::place::{Kind, Place};

/// The pages of a key server.
pub fn pages(host: PageHost) -> Router {
    if !host.enabled() {
        return Router::new();
    }
    // Plain HTTP is for loopback: there a name that is none of loopback's was made to point here by somebody.
    let local = !host.tls() && is_loopback(host.listens_on().trim_matches(['[', ']']));
    let hosts = local.then(|| ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec());
    door::router(Arc::new(Served { host, hosts }))
}

struct Served {
    host: PageHost,
    hosts: Option<Vec<String>>,
}

impl Served {
    fn engine(&self) -> Result<&Engine, KeysError> {
        let none =
            "this key server has no workspace yet: `columnseal init --server URL --bootstrap-token FILE` makes it";
        self.host.engine().ok_or_else(|| KeysError::unavailable(none))
    }
}

impl Place for Served {
    fn kind(&self) -> Kind {
        Kind::Server
    }

    fn tls(&self) -> bool {
        self.host.tls()
    }

    fn hosts(&self) -> Option<&[String]> {
        self.hosts.as_deref()
    }

    fn idle(&self) -> Duration {
        self.host.session()
    }

    fn cookie(&self) -> &str {
        // The prefix holds the browser to Secure, the whole host and no other domain.
        if self.host.tls() { "__Host-columnseal" } else { "columnseal" }
    }

    fn signing(&self, work: &mut dyn FnMut(&SigningKey)) -> Result<(), KeysError> {
        work(self.engine()?.signing_key());
        Ok(())
    }

    fn redeem(&self, ticket: &str, origin: &Origin) -> Result<ClientId, KeysError> {
        self.engine()?.redeem(ticket, origin)
    }

    fn workspace(&self, who: ClientId, origin: Origin) -> Result<Workspace, KeysError> {
        Ok(Workspace::of_session(self.engine()?, who, origin))
    }

    fn admit(&self, address: Option<IpAddr>) -> Result<(), KeysError> {
        self.host.admit(address)
    }

    fn note(&self, address: Option<IpAddr>, who: Option<ClientId>) {
        match who {
            Some(client) => self.host.proven(client),
            None => self.host.unproven(address),
        }
    }

    fn changed(&self) {
        self.host.changed();
    }

    fn knocked(&self) {}

    fn is_empty(&self) -> bool {
        self.host.engine().is_none()
    }
}
