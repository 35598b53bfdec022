//! The database target, dialing it, and TLS on both sides. Libpq's meanings throughout.
//!
//! Nothing here knows PostgreSQL's messages except SSLRequest.

pub mod acceptor;
pub mod connect;
pub mod dial;
pub mod hosts;
pub mod proxied;
pub mod settings;
pub mod stream;
pub mod target;
mod tls;
mod verify;

pub use self::tls::{TlsError, https_client_config};

#[cfg(test)]
mod tests;
