//! Encrypted types and who uses them: the `seal` schema, its registry, and the catalog snapshot.
//!
//! Not here: what a statement does with encrypted columns (`sql`), and how values are sealed (`crypto`).

pub mod catalog;
pub mod database;
pub mod epochs;
pub mod error;
pub mod foresight;
pub mod install;
pub(crate) mod name;
pub mod node_tree;
pub mod paths;
pub mod pins;
pub mod registry;
pub mod routine;
pub(crate) mod rows;
pub mod snapshot;

pub use error::SchemaError;
