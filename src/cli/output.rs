//! The only code that prints: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use columnseal::telemetry::redact::redact;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// Where a failure leads to. The numbers are documented in `docs/errors.md` and never change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// The act failed.
    Failed = 1,
    /// Settings have faults.
    Settings = 3,
    /// The key store is missing, locked, corrupt or of another workspace.
    Store = 4,
    /// A client key or grant is missing, wrong, expired or revoked.
    Keys = 5,
    /// The database cannot be reached or refused.
    Database = 6,
}

/// Why a command failed, in the four lines that the user sees.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What was attempted, as "create client key `web`".
    pub(crate) attempted: String,
    /// Why it failed. May hold several lines.
    pub(crate) why: String,
    /// What to do about it.
    pub(crate) advice: String,
    /// Anchor in `docs/errors.md`.
    pub(crate) anchor: &'static str,
    /// Exit code.
    pub(crate) exit: Exit,
}

impl Failure {
    /// A failure of `attempted`.
    pub(crate) fn new(
        exit: Exit,
        anchor: &'static str,
        attempted: impl Into<String>,
        why: impl ToString,
        advice: impl Into<String>,
    ) -> Failure {
        Failure { attempted: attempted.into(), why: why.to_string(), advice: advice.into(), anchor, exit }
    }

    fn json(&self) -> Value {
        serde_json::json!({ "error": {
            "attempted": self.attempted,
            "why": self.why,
            "advice": self.advice,
            "docs": format!("docs/errors.md#{}", self.anchor),
            "exit": self.exit as u8,
        }})
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<(), Failure>;

impl Failure {
    /// The result is printed already: only the exit code is left to give.
    fn silent(exit: Exit) -> Failure {
        Failure { attempted: String::new(), why: String::new(), advice: String::new(), anchor: "", exit }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// One JSON document on standard output instead of text.
    pub(crate) json: bool,
    /// Results and errors only.
    pub(crate) quiet: bool,
    /// Errors may be coloured.
    pub(crate) color: bool,
}

impl Output {
    /// The result of a command: `value` as JSON, or `text`.
    pub(crate) fn result(self, value: &Value, text: &str) {
        drop(self.hand_over(value, text));
    }

    /// As [`Output::result`], for what exists nowhere else.
    ///
    /// # Errors
    /// It did not reach whoever reads.
    pub(crate) fn hand_over(self, value: &Value, text: &str) -> io::Result<()> {
        if self.json { stdout(&format!("{value:#}")) } else { stdout(text) }
    }

    /// A list: JSON array of objects, or a table of `columns`.
    pub(crate) fn list(self, value: &Value, columns: &[&str], rows: &[Vec<String>]) {
        if self.json {
            drop(stdout(&format!("{value:#}")));
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>());
        for row in rows {
            table.add_row(row);
        }
        for line in table.to_string().lines() {
            drop(stdout(line.trim()));
        }
    }

    /// Ends with this exit code; what there is to say has been said.
    pub(crate) fn exit(self, exit: Exit) -> Outcome {
        Err(Failure::silent(exit))
    }

    /// A remark for people, on standard error; silent with `--quiet` or `--json`.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet && !self.json {
            stderr(text);
        }
    }

    /// Something that must be seen even with `--quiet`.
    pub(crate) fn warn(self, text: &str) {
        stderr(&format!("{} {text}", self.paint("33", "warning:")));
    }

    /// A failure, and the exit code it leads to.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        if failure.attempted.is_empty() {
            return ExitCode::from(failure.exit as u8);
        }
        if self.json {
            let text = redact(format!("{:#}", failure.json()).as_bytes());
            drop(stdout(&String::from_utf8_lossy(&text)));
        } else {
            stderr(&format!("{} cannot {}", self.paint("31", "error:"), failure.attempted));
            for line in failure.why.lines() {
                stderr(&format!("  why:  {line}"));
            }
            stderr(&format!("  do:   {}", failure.advice));
            stderr(&format!("  more: docs/errors.md#{}", failure.anchor));
        }
        ExitCode::from(failure.exit as u8)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Some line did not reach standard output.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether something was to be printed and could not be. A reader that left early is no failure.
pub(super) fn failed() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Standard error goes to a terminal that takes colours.
pub(super) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Writes a line to standard output.
pub(super) fn stdout(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if written.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        LOST.store(true, Ordering::Relaxed);
    }
    written
}

/// Writes a line to standard error, secrets redacted.
pub(super) fn stderr(text: &str) {
    let mut line = redact(text.as_bytes());
    line.push(b'\n');
    drop(io::stderr().lock().write_all(&line));
}
