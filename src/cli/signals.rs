//! The signals that a server heeds.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// SIGTERM, SIGINT and SIGHUP, from when it is made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// A file that reaches a limit is an error of that write, and not the end of the process.
    _file_size: Signal,
}

/// SIGXFSZ of Linux.
const FILE_SIZE: i32 = 25;

impl Signals {
    pub(super) fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(FILE_SIZE))?,
        })
    }

    /// The first SIGTERM or SIGINT asks for a graceful end; a second one ends at once, by returning. SIGHUP runs `reload`.
    pub(super) async fn watch(mut self, shutdown: &CancellationToken, mut reload: impl FnMut()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.hangup.recv() => {
                    reload();
                    continue;
                }
            }
            if shutdown.is_cancelled() {
                return tracing::warn!("ending at once: what is under way is cut off");
            }
            tracing::info!("shutting down: what is under way may end first; a second signal ends at once");
            shutdown.cancel();
        }
    }
}
