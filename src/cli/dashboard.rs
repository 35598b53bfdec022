//! `columnseal dashboard`: the whole dashboard, on the machine that holds the admin's key.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use columnseal::dashboard::{Dashboard as Pages, LocalError, LocalSettings};
use columnseal::keyserver::Workspace;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::output::{Exit, Failure, Outcome, Output};
use super::signals::Signals;
use super::workspace::{failure, lifetime, open};
use super::{Context, login};

const ATTEMPTED: &str = "serve the dashboard";

/// Arguments of `dashboard`.
#[derive(clap::Args, Debug)]
pub(super) struct Dashboard {
    /// Port on 127.0.0.1 [default: any that is free]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Only print the address, do not open a browser
    #[arg(long)]
    no_open: bool,
    /// Sign out after so long without a click
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = lifetime)]
    session: Duration,
}

impl Dashboard {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let workspace = open(context, ATTEMPTED)?;
        // Whether this device may do anything is told now, and not on the first page.
        workspace.survey().map_err(|error| failure(ATTEMPTED, &error))?;
        context.block_on(ATTEMPTED, self.serve(context.output, workspace))
    }

    async fn serve(&self, output: Output, workspace: Workspace) -> Outcome {
        let system = |error: std::io::Error| {
            Failure::new(Exit::Failed, "system", ATTEMPTED, error, "look at the limits of this process (ulimit -a)")
        };
        let signals = Signals::new().map_err(system)?;
        let settings = LocalSettings { port: self.port, idle: self.session };
        let first = AtomicBool::new(!self.no_open);
        let tell = move |url: &str| {
            output.result(&json!({ "url": url }), url);
            output.note("The address works once, for two minutes. End with Ctrl-C.");
            if first.swap(false, Ordering::Relaxed) {
                login::open_browser(url);
            }
        };
        let pages = Pages::bind(workspace, settings, tell).await.map_err(|error| match error {
            LocalError::Keys(error) => failure(ATTEMPTED, &error),
            LocalError::Listen { .. } => {
                let advice = "end what listens there, or choose another --port";
                Failure::new(Exit::Failed, "listen", ATTEMPTED, error, advice)
            }
        })?;
        let shutdown = CancellationToken::new();
        tokio::select! {
            served = pages.run(shutdown.clone()) => served.map_err(system),
            () = signals.watch(&shutdown, || ()) => Ok(()),
        }
    }
}
