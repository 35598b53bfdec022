//! Where pages are served, and what differs.

use std::net::IpAddr;
use std::time::Duration;

use crate::crypto::ClientId;
use crate::crypto::sign::SigningKey;
use crate::keys::error::KeysError;
use crate::keys::request::Origin;
use crate::keyserver::Workspace;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// On the admin's machine: everything.
    Local,
    /// By the key server: shows, disables, revokes.
    Server,
}

/// A place. `redeem`, `workspace` and `knocked` may block; the others answer at once.
pub(super) trait Place: Send + Sync + 'static {
    /// Which.
    fn kind(&self) -> Kind;
    /// The connection is encrypted.
    fn tls(&self) -> bool;
    /// The names by which a browser may have found it; `None`: any.
    fn hosts(&self) -> Option<&[String]>;
    /// Somebody who does nothing is signed out after this.
    fn idle(&self) -> Duration;
    /// Name of the cookie: cookies do not tell ports apart.
    fn cookie(&self) -> &str;
    /// Runs `work` with what signs sessions.
    fn signing(&self, work: &mut dyn FnMut(&SigningKey)) -> Result<(), KeysError>;
    /// Uses an address up by which somebody signs in.
    fn redeem(&self, ticket: &str, origin: &Origin) -> Result<ClientId, KeysError>;
    /// The workspace, as whoever is signed in may act on it.
    fn workspace(&self, who: ClientId, origin: Origin) -> Result<Workspace, KeysError>;
    /// Before anything is looked at: may this address ask?
    fn admit(&self, address: Option<IpAddr>) -> Result<(), KeysError>;
    /// What came of it: who asked, or nobody that is known.
    fn note(&self, address: Option<IpAddr>, who: Option<ClientId>);
    /// Something was changed.
    fn changed(&self);
    /// Somebody looks who is not signed in.
    fn knocked(&self);
    /// There is nothing to sign in to yet.
    fn is_empty(&self) -> bool;
}
