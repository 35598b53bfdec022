//! The signals that a server heeds.

use columnseal::telemetry::log::LogHandle;
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

    /// The first SIGTERM or SIGINT asks for a graceful end; a second one ends at once, by returning. SIGHUP sets the log
    /// level to what `level` reads.
    pub(super) async fn watch(
        mut self,
        shutdown: &CancellationToken,
        log: &LogHandle,
        level: impl Fn() -> Result<String, columnseal::config::Faults>,
    ) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.hangup.recv() => {
                    reload(log, level());
                    continue;
                }
            }
            if shutdown.is_cancelled() {
                return tracing::warn!("ending at once: what is under way is cut off");
            }
            tracing::info!("shutting down: what is under way may end first");
            shutdown.cancel();
        }
    }
}

/// Applies what can change while running: the log level. Certificates are read again when their files change.
fn reload(log: &LogHandle, level: Result<String, columnseal::config::Faults>) {
    match level {
        Ok(level) => {
            log.set_level(&level);
            tracing::info!(level, "settings read again; what is not the log level needs a restart");
        }
        Err(faults) => tracing::error!(%faults, "settings have faults; the old ones stay in force"),
    }
}
