//! The key service: its engine, its store, and the admin's view of an embedded workspace. Holds the service's half of
//! every grant; alone it can derive no data key.
//!
//! ```text
//! engine       what clients and admins may ask, each in one transaction
//! authorize    request -> permit -> allowed
//! store        transactions, tables, migrations, SQLite
//! policy       whom the service lets in
//! root_key     store key, and the root keys that open it: file, environment, AWS KMS, Vault, PKCS#11
//! workspace    an admin's device and a key service: init, clients, keysets, grants
//! bootstrap    the first admin of a key server
//! http         the key server
//! ```

pub mod authorize;
pub mod bootstrap;
pub mod engine;
mod files;
pub mod http;
pub mod policy;
pub mod root_key;
pub mod settings;
pub mod store;
mod stores;
pub mod workspace;

pub use engine::Engine;
pub use policy::Policy;
pub use workspace::Workspace;

#[cfg(test)]
mod tests;
