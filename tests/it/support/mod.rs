//! What the tests stand on: a private PostgreSQL, a workspace, the proxy as a process, a relay that records
//! what goes to the database, and a client that sends exactly the messages it is told to.
//!
//! Every test starts its own cluster (a copy of a template directory, about 0.3 s): tests do not share
//! databases, logs or settings, so they may run in any order and at once, in one process or in many.

pub mod cluster;
pub mod options;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod relay;
pub mod tls;
pub mod twin;
pub mod workspace;

pub use cluster::{Cluster, Database};
pub use options::{Auth, Options};
pub use proxy::{Proxy, ProxyOptions};
pub use relay::Relay;
pub use twin::Twin;
pub use workspace::Workspace;

use std::time::{Duration, Instant};

/// How long anything that should happen at once may take on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `probe` again and again until it gives a value; panics with `what` after [`PATIENCE`].
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "did not happen in {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A TCP port that was free a moment ago. Whoever uses it must cope with having lost it.
pub fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    socket.local_addr().unwrap().port()
}
