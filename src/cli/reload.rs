//! Settings read again while a server runs.

use columnseal::config::{Faults, Written, written};
use columnseal::telemetry::settings::Settings;

use super::Context;

/// Remembers what was written, so that it can tell what changed.
pub(super) struct Reload<'a> {
    context: &'a Context,
    /// What can change while this server runs.
    can_change: &'static [&'static str],
    known: Written,
}

impl<'a> Reload<'a> {
    /// `can_change`: names of settings that `run` applies.
    pub(super) fn new(context: &'a Context, can_change: &'static [&'static str]) -> Self {
        Reload { context, can_change, known: written(&context.environment, &context.sources) }
    }

    /// Reads the settings and applies what can change. Says what changed, and what of it needs a restart.
    pub(super) fn run(&mut self, load: impl Fn() -> Result<Settings, Faults>, apply: impl Fn(&Settings)) -> bool {
        let telemetry = match load() {
            Ok(telemetry) => telemetry,
            Err(faults) => {
                tracing::error!(%faults, "settings have faults; the old ones stay in force: correct them and send SIGHUP again");
                return false;
            }
        };
        apply(&telemetry);
        let now = written(&self.context.environment, &self.context.sources);
        let changed = now.differs(&self.known);
        let (applied, waiting): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|key| self.can_change.contains(&key.as_str()));
        // What waits for a restart is told each time, until it comes.
        for key in &applied {
            self.known.take(key, &now);
        }
        let level = telemetry.level;
        match (applied.is_empty(), waiting.is_empty()) {
            (true, true) => tracing::info!(level, "settings read again: nothing changed"),
            (false, true) => tracing::info!(level, applied = applied.join(" "), "settings read again and applied"),
            (_, false) => {
                let (applied, restart) = (applied.join(" "), waiting.join(" "));
                tracing::warn!(
                    level,
                    applied,
                    restart,
                    "settings read again; those named by `restart` are in force after a restart only"
                );
            }
        }
        true
    }
}
