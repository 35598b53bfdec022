//! The private PostgreSQL and the key server of the tests in `tests/it`.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "test code: a panic is the report, and not every part is used"
)]

#[path = "../../tests/it/support/cluster.rs"]
mod cluster;
#[path = "../../tests/it/support/keyserver.rs"]
mod keyserver;
#[path = "../../tests/it/support/options.rs"]
mod options;
#[path = "../../tests/it/support/process.rs"]
mod process;
#[path = "../../tests/it/support/proxy.rs"]
mod proxy;
#[path = "../../tests/it/support/tls.rs"]
mod tls;
#[path = "../../tests/it/support/wait.rs"]
mod wait;
#[path = "../../tests/it/support/workspace.rs"]
mod workspace;

pub use cluster::{Cluster, Database};
pub use keyserver::KeyServer;
pub use options::Options;
pub use wait::{eventually, free_port};
pub use workspace::Workspace;
