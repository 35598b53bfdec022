//! Whether the role that a client names may be taken for its identity, where rules for roles depend on it.
//!
//! The login itself is the database's: see `docs/security.md` for what that is worth.

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::handshake::Opening;
use crate::net::stream::Stream;
use crate::wire::error::PgError;
use crate::wire::sqlstate::SqlState;

/// Longest name of a role. PostgreSQL cuts longer ones, so that the role would be another than the one named.
const MAX_ROLE: usize = 63;

/// What identities rest on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Identity {
    /// No rule depends on the role.
    Any,
    /// The login alone.
    Login,
    /// The login, and a certificate whose common name is the role.
    Certificate,
}

impl Identity {
    /// Checks what can be checked before the login.
    ///
    /// # Errors
    /// What the client is told.
    pub(super) fn check(self, stream: &Stream, opening: &Opening) -> Result<(), PgError> {
        if self == Identity::Any {
            return Ok(());
        }
        // `db_user_namespace` takes the sign away.
        if opening.user.len() > MAX_ROLE || opening.user.ends_with('@') {
            return Err(refused("this name of a role is not taken where [policy.roles] is set")
                .hint(format!("Names longer than {MAX_ROLE} bytes, and names that end in @, may mean another role.")));
        }
        if self == Identity::Login {
            return Ok(());
        }
        let shown = stream.tls().and_then(|tls| tls.peer_certificate);
        match shown.as_deref().map(common_name) {
            Some(Some(name)) if name == opening.user => Ok(()),
            Some(_) => Err(refused(format!("the client's certificate is not that of role \"{}\"", opening.user))
                .hint("Where [policy.roles] and [tls] client_ca are set, the common name of the certificate must be the role.")),
            None => Err(refused("a client certificate is needed")
                .hint("Connect with TLS, sslcert and sslkey: [policy.roles] and [tls] client_ca are set.")),
        }
    }
}

fn refused(message: impl Into<String>) -> PgError {
    PgError::fatal(SqlState::INVALID_AUTHORIZATION, message)
}

/// The common name of a certificate. `None`: it has none, or several.
fn common_name(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().ok().map(str::to_owned),
        _ => None,
    }
}
