//! Log lines on standard error: names, counts and ids; never literals, parameters, rows or keys.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::redact::Redacting;
use super::settings::{LogFormat, Settings};

/// Whether `level` is a level or filter that [`init`] takes, else why not.
pub fn check_level(level: &str) -> Result<(), String> {
    filter(level).map(|_| ())
}

/// The running log.
pub struct LogHandle(Option<Box<dyn Fn(EnvFilter) -> bool + Send + Sync>>);

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogHandle")
    }
}

impl LogHandle {
    /// Changes the level or filter; one that [`check_level`] refuses changes nothing.
    pub fn set_level(&self, level: &str) {
        if let (Some(set), Ok(filter)) = (&self.0, filter(level)) {
            set(filter);
        }
    }
}

/// Sets up the process-wide log. A second call changes nothing (tests share one process).
pub fn init(settings: &Settings) -> LogHandle {
    let filter = filter(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_writer(Stderr).with_env_filter(filter);
    match settings.format {
        LogFormat::Pretty => {
            let builder = builder.with_target(false).with_ansi(io::stderr().is_terminal()).with_filter_reloading();
            let handle = builder.reload_handle();
            let set = builder.try_init().is_ok();
            LogHandle(set.then(|| Box::new(move |filter| handle.reload(filter).is_ok()) as _))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_ansi(false).with_filter_reloading();
            let handle = builder.reload_handle();
            let set = builder.try_init().is_ok();
            LogHandle(set.then(|| Box::new(move |filter| handle.reload(filter).is_ok()) as _))
        }
    }
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    if level.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    for directive in level.split(',') {
        let named = directive.rsplit('=').next().unwrap_or(directive).trim();
        if !["off", "error", "warn", "info", "debug", "trace"].contains(&named.to_ascii_lowercase().as_str()) {
            return Err("names a level other than off, error, warn, info, debug, trace".to_owned());
        }
    }
    EnvFilter::try_new(level).map_err(|_| "cannot be read as a log filter".to_owned())
}

/// Standard error behind the redacting writer.
struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Redacting<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Redacting(io::stderr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_taken() {
        for good in ["info", "WARN", "off", "columnseal=debug,info", "columnseal::session=trace"] {
            assert_eq!(check_level(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn anything_else_is_a_fault() {
        for bad in ["", "  ", "loud", "columnseal=", "info,", "columnseal=chatty"] {
            assert!(check_level(bad).is_err(), "{bad:?}");
        }
    }
}
