//! `columnseal init`: a workspace on this device, and the `seal` schema where a database is given.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use columnseal::config::load_store;
use columnseal::keys::settings::Service;
use columnseal::keyserver::workspace::{InitOptions, InitReport, Workspace};
use columnseal::net::settings::{SslMode, Target};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::Context;
use super::db;
use super::output::{Exit, Failure, Outcome};
use super::workspace::failure;

const ATTEMPTED: &str = "set up the workspace";
const SETTINGS_FILE: &str = "columnseal.toml";

/// Arguments of `init`.
#[derive(clap::Args, Debug)]
pub(super) struct Init {
    /// Install the seal schema in this database, and name it in columnseal.toml
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where the recovery kit goes [default: recovery-kit.txt in COLUMNSEAL_HOME]
    #[arg(long, value_name = "FILE")]
    recovery_file: Option<PathBuf>,
    /// The one-time token that a key server without a workspace wrote, to make its workspace
    #[arg(long, value_name = "FILE")]
    bootstrap_token: Option<PathBuf>,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
}

impl Init {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let (keys, root_key) = context.settings(ATTEMPTED, load_store(&context.environment, &context.sources))?;
        let target = match &self.database {
            Some(url) => Some(db::target(context, Some(url), ATTEMPTED)?),
            None => None,
        };
        let known = match &keys.service {
            Service::Embedded => keys.store.exists(),
            Service::Server(_) => self.bootstrap_token.is_none(),
        };
        if !self.yes && !known {
            confirm(&keys.home)?;
        }
        let recovery = self.recovery_file.as_ref().map(|file| context.environment.directory().join(file));
        let options = InitOptions {
            recovery_file: recovery.unwrap_or_else(|| keys.home.join("recovery-kit.txt")),
            device_name: device_name(),
            home: keys.home,
            store: keys.store.into(),
            root_key,
        };
        let token = self.bootstrap_token.as_ref().map(|file| context.environment.directory().join(file));
        let made = match &keys.service {
            Service::Embedded => Workspace::init(&options),
            Service::Server(server) => Workspace::init_server(&options, server, token.as_deref()),
        };
        let report = made.map_err(|error| failure(ATTEMPTED, &error))?;
        let mut lines = described(&report);
        let mut schema = None;
        if let Some(target) = &target {
            let attempted = "install the seal schema";
            let done = context.block_on(attempted, async { db::install(target, attempted).await })?;
            let (version, text) = db::told(done);
            schema = Some(version);
            lines.push(format!("database   {text}"));
        }
        let settings = self.settings_file(context, target.as_ref());
        if let Some(path) = &settings {
            lines.push(format!("settings   {} is written", path.display()));
        }
        let value = json!({ "workspace": report, "seal_version": schema, "settings_file": settings });
        context.output.result(&value, &lines.join("\n"));
        advise(context, &report);
        Ok(())
    }

    /// Writes a starter file where there is none, and says where. It is a convenience: failing is a remark.
    fn settings_file(&self, context: &Context, target: Option<&Target>) -> Option<PathBuf> {
        let name = context.sources.file.as_deref().unwrap_or(Path::new(SETTINGS_FILE));
        let path = context.environment.directory().join(name);
        if path.exists() {
            return None;
        }
        match std::fs::write(&path, starter(target)) {
            Ok(()) => Some(path),
            Err(error) => {
                context
                    .output
                    .note(&format!("{} could not be written ({error}); settings keep their defaults.", path.display()));
                None
            }
        }
    }
}

/// Asks on the terminal; without one, `--yes` is needed.
fn confirm(home: &Path) -> Outcome {
    let refused = |why: &str| Failure::new(Exit::Failed, "init", ATTEMPTED, why, "run `columnseal init --yes`");
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(refused("there is no terminal to ask on"));
    }
    let mut error = std::io::stderr().lock();
    drop(write!(error, "This makes a workspace, its keys and a recovery kit in {}. Go on? [Y/n] ", home.display()));
    drop(error.flush());
    let mut answer = String::new();
    let read = input.read_line(&mut answer).is_ok();
    match answer.trim().to_ascii_lowercase().as_str() {
        "" | "y" | "yes" if read => Ok(()),
        _ => Err(refused("it was not confirmed")),
    }
}

/// The host's name.
fn device_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "device".to_owned() } else { name }
}

fn described(report: &InitReport) -> Vec<String> {
    let made = |made: bool| if made { "made" } else { "there already" };
    vec![
        format!("workspace  {} ({})", report.root, made(report.created)),
        format!("store      {}", report.store),
        format!("device     {} ({}, {})", report.device, report.device_file.display(), made(report.device_created)),
        format!("keyset     default ({})", made(report.keyset_created)),
    ]
}

fn advise(context: &Context, report: &InitReport) {
    if let Some(file) = &report.recovery_file {
        context.output.note(&format!(
            "\nThe recovery kit is in {}. It names the admins of this workspace when every\n\
             device is lost, and whoever holds it is an admin: move it off this machine now.",
            file.display()
        ));
    }
    if report.created {
        context.output.note("\nNext: columnseal client create NAME --keyset default");
    }
}

/// A small settings file. Passwords never go into it.
fn starter(target: Option<&Target>) -> String {
    let database = match target {
        Some(target) => format!("[database]\nurl = {:?}\n", without_password(target)),
        None => "# [database]\n# url = \"postgres://app@127.0.0.1:5432/shop\"\n".to_owned(),
    };
    format!(
        "# Settings of Columnseal. config/example.toml lists every key with its default and the reason for it.\n\
         # The client key is not here: set CS_CLIENT_ID and CS_CLIENT_KEY in the proxy's environment.\n\n\
         [server]\nhost = \"127.0.0.1\"\nport = 6432\n\n\
         # A password goes into CS_DATABASE__PASSWORD or a file named by CS_DATABASE__PASSWORD_FILE.\n{database}"
    )
}

/// The target as a URL, without its password.
fn without_password(target: &Target) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let host = |host: &str| {
        let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        match host.parse::<std::net::Ipv6Addr>() {
            Ok(_) => format!("[{host}]"),
            Err(_) if plain => host.to_owned(),
            Err(_) => encode(host),
        }
    };
    let hosts: Vec<String> = target.hosts.iter().map(|(name, port)| format!("{}:{port}", host(name))).collect();
    let user = target.user.as_deref().map(|user| format!("{}@", encode(user))).unwrap_or_default();
    let name = target.name.as_deref().map(encode).unwrap_or_default();
    let mode = match target.sslmode {
        SslMode::Disable => "disable",
        SslMode::Allow => "allow",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    };
    let root = target.sslrootcert.as_deref().map(|path| format!("&sslrootcert={}", encode(&path.to_string_lossy())));
    format!("postgres://{user}{}/{name}?sslmode={mode}{}", hosts.join(","), root.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_starter_holds_the_target_but_not_its_password() {
        let url = "postgres://a%40b:geheim@db1:6000,[::1]:7000/my%20shop?sslmode=require";
        let target = Target::parse(url, None).expect("a good URL");
        let text = starter(Some(&target));
        assert!(!text.contains("geheim"), "{text}");
        assert!(text.contains("postgres://a%40b@db1:6000,[::1]:7000/my%20shop?sslmode=require"), "{text}");
        let socket = Target::parse("postgres://u@%2Frun%2Fpostgresql/x", None).expect("a good URL");
        let again = Target::parse(&without_password(&socket), None).expect("what we write can be read");
        assert_eq!(again.hosts, socket.hosts);
        assert!(starter(None).contains("# [database]"));
    }
}
