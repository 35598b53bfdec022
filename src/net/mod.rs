//! The database target, dialing it, and TLS on both sides. Libpq's meanings throughout.
//!
//! Of PostgreSQL's messages only SSLRequest and those of a login are known here.

pub mod acceptor;
mod binding;
pub mod connect;
pub mod dial;
pub mod files;
pub mod hosts;
pub mod lend;
pub(crate) mod link;
pub mod login;
mod passfile;
pub mod proxied;
pub mod settings;
pub mod stream;
pub mod target;
mod tls;
mod verify;

pub use self::passfile::PassfileError;
pub use self::tls::{TlsError, https_client_config};

#[cfg(test)]
mod tests;
