//! What the tests stand on: a private PostgreSQL, a workspace, the proxy as a process, a relay that records
//! what goes to the database, and a client that sends exactly the messages it is told to.
//!
//! Every test starts its own cluster (a copy of a template directory, about 0.3 s): tests do not share
//! databases, logs or settings, so they may run in any order and at once, in one process or in many.

pub mod cluster;
pub mod collector;
pub mod keyserver;
pub mod options;
pub mod pair;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod relay;
pub mod tls;
pub mod twin;
pub mod wait;
pub mod workspace;

pub use cluster::{Cluster, Database};
pub use keyserver::KeyServer;
pub use options::{Auth, Options};
pub use pair::Pair;
pub use proxy::{Proxy, ProxyOptions};
pub use relay::Relay;
pub use twin::{Twin, placed};
pub use wait::{PATIENCE, eventually, free_port};
pub use workspace::Workspace;
