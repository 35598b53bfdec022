//! Columnseal: an encryption proxy for PostgreSQL.
//!
//! The map of rooms. A room may use only the rooms listed beside it; `tests/layering.rs` holds that.
//!
//! ```text
//! wire      -> -                   PostgreSQL messages and values. Sync, no sockets
//! crypto    -> -                   envelope, terms, split keys, client keys. Sync, no I/O
//! telemetry -> -                   log, metrics, traces, health endpoint
//! net       -> wire                database target, dialing, TLS on both sides
//! schema    -> crypto wire net     encrypted types, `seal` schema, catalog snapshot
//! sql       -> crypto wire schema  statement -> plan. Sync, pure
//! doctor    -> wire net schema sql  what in a database breaks with encrypted columns
//! keys      -> crypto net telemetry  client side of keys: grants, data-key pool, decrypt cache, lease
//! keyserver -> crypto keys net telemetry wire   key service: engine, store, HTTP
//! dashboard -> crypto wire net schema keys keyserver   pages for admins
//! session   -> wire crypto telemetry net schema sql keys   one connection
//! config    -> Settings of every room
//! app       -> all
//! ```

pub mod app;
pub mod config;
pub mod crypto;
pub mod dashboard;
pub mod doctor;
pub mod keys;
pub mod keyserver;
pub mod net;
pub mod schema;
pub mod session;
pub mod sql;
pub mod telemetry;
pub mod wire;
