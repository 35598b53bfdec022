//! PostgreSQL messages and values (protocol 3.x). Sync, no sockets.
//!
//! Headers are walked and frames forwarded as bytes; only messages that must be looked at are decoded.
//! Decoding borrows and never copies, never panics and never allocates by a peer's word; text is bytes,
//! since `client_encoding` may be anything. Encoding appends to a `Vec<u8>`.

mod build;
mod read;

pub mod client;
pub mod copy;
pub mod error;
pub mod frame;
pub mod server;
pub mod sqlstate;
pub mod startup;
pub mod value;

pub use self::build::ValuesBuilder;
pub use self::read::{Formats, MessageError, Oids, Values, ValuesIter, read_error};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_peer;
