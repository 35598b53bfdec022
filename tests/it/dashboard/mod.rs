//! The dashboard on the admin's machine and the page of the key server: what they guard, over plain HTTP; and every flow, in a
//! browser.

mod browser;
mod flows;
mod guards;
mod page;
mod values;

use std::fs::File;
use std::process::Stdio;

use crate::support::process::Tied;
use crate::support::{Workspace, eventually};

pub use browser::{Answer, Browser};

/// `columnseal dashboard`, running. Dropping it ends it.
pub struct Dashboard {
    /// Its port on 127.0.0.1.
    pub port: u16,
    log: std::path::PathBuf,
    _process: Tied,
}

impl Dashboard {
    /// Serves the dashboard of this workspace, and waits for its first address.
    #[track_caller]
    pub fn start(workspace: &Workspace) -> Dashboard {
        Dashboard::start_with(workspace, &[])
    }

    /// As [`start`](Self::start), with further arguments.
    #[track_caller]
    pub fn start_with(workspace: &Workspace, more: &[&str]) -> Dashboard {
        let log = workspace.dir().join("dashboard.log");
        let file = File::create(&log).unwrap();
        let mut command = workspace.command(&["dashboard", "--no-open"]);
        command.args(more).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let process = Tied::spawn(&mut command, "KILL", None);
        let mut dashboard = Dashboard { port: 0, log, _process: process };
        let url = eventually("the dashboard prints its address", || dashboard.addresses().pop());
        let port = url.split(['/', ':']).nth(4).expect("http://127.0.0.1:PORT/…");
        dashboard.port = port.parse().unwrap();
        dashboard
    }

    /// Everything that it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The addresses by which somebody could sign in, in the order printed.
    pub fn addresses(&self) -> Vec<String> {
        let log = self.log();
        log.lines().filter(|line| line.starts_with("http://127.0.0.1:")).map(str::to_owned).collect()
    }

    /// A browser that is signed in.
    #[track_caller]
    pub fn browser(&self) -> Browser {
        let url = self.addresses().pop().expect("one was printed");
        Browser::signed_in(self.port, &url)
    }
}
