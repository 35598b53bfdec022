//! Client side of keys: grants, the data-key pool, the decrypt cache, the lease. Holds no share of the key service.
//!
//! ```text
//! ring         what a session uses: keys to encrypt with, keys to decrypt with, types, pins
//! service      what may be asked of a key service
//! remote       a key server
//! request      signed requests
//! claims       everything signed, and the trust that checks it
//! access       records of data access, as the audit trail keeps them
//! alarm        alarms of pins, as the audit trail keeps them
//! signed       answers and events as the service signs them
//! usage        what clients tell of their work
//! admin        an admin's arithmetic: keysets, grants
//! audit        heads of audit chains
//! enrol        how a new device is let in
//! ```

pub mod access;
pub mod admin;
pub mod alarm;
pub mod audit;
pub mod claims;
pub mod clock;
pub mod codec;
pub mod enrol;
pub mod error;
mod metered;
pub mod permissions;
pub mod remote;
pub mod request;
pub mod ring;
mod root_fault;
pub mod service;
pub mod settings;
pub mod signed;
pub mod usage;

pub use error::KeysError;
pub use metered::Metered;
pub use permissions::Permissions;
pub use ring::{Pin, Ring};
pub use root_fault::RootKeyFault;
pub use service::KeyService;
