//! `columnseal login`: signing in to the page that the key server serves. The device's key signs here; the page never has it.

use std::process::{Command, Stdio};

use columnseal::config::load_store;
use columnseal::keys::settings::Service;
use serde_json::json;

use super::Context;
use super::output::{Exit, Failure, Outcome};
use super::workspace::{failure, open};

const ATTEMPTED: &str = "sign in to the key server's page";

/// Arguments of `login`.
#[derive(clap::Args, Debug)]
pub(super) struct Login {
    /// Only print the address, do not open a browser
    #[arg(long)]
    no_open: bool,
}

impl Login {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let (settings, _) = context.settings(ATTEMPTED, load_store(&context.environment, &context.sources))?;
        let Service::Server(server) = &settings.service else {
            let advice = "run `columnseal dashboard`, or name the key server with --server URL";
            return Err(Failure::new(Exit::Settings, "settings", ATTEMPTED, "there is no key server", advice));
        };
        let ticket = open(context, ATTEMPTED)?.open_session().map_err(|error| failure(ATTEMPTED, &error))?;
        let base = server.urls.first().map_or("", String::as_str);
        let url = format!("{base}/login?ticket={}", ticket.ticket);
        context.output.result(&json!({ "url": url, "valid_ms": ticket.valid_ms }), &url);
        context.output.note("The address works once, for a minute.");
        if !self.no_open {
            open_browser(&url);
        }
        Ok(())
    }
}

/// Opens an address where there is a browser; where there is none, the address was printed.
pub(super) fn open_browser(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let started =
        Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if let Ok(mut child) = started {
        // It hands the address over and ends.
        drop(std::thread::spawn(move || child.wait()));
    }
}
