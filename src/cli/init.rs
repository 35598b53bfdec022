//! `columnseal init`: a workspace on this device, and the `seal` schema where a database is given.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use columnseal::config::load_store;
use columnseal::keys::settings::Service;
use columnseal::keyserver::workspace::{EnrolReport, Enrolling, InitOptions, InitReport, Progress, Workspace};
use columnseal::net::settings::Target;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::Context;
use super::db;
use super::device::enrolment;
use super::output::{self, Exit, Failure, Outcome};
use super::workspace::{failure, json as as_json};

const ATTEMPTED: &str = "set up the workspace";
/// How often a waiting device asks.
const POLL: Duration = Duration::from_millis(300);
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
    /// Whose device this is, for the admin who lets it in [default: the user's name]
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
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
            let question = format!("This makes a workspace, its keys and a recovery kit in {}.", keys.home.display());
            confirm(ATTEMPTED, &question, "init --yes")?;
        }
        let recovery = self.recovery_file.as_ref().map(|file| context.environment.directory().join(file));
        let options = InitOptions {
            recovery_file: recovery.unwrap_or_else(|| keys.home.join("recovery-kit.txt")),
            device_name: device_name(),
            home: keys.home,
            store: keys.store.into(),
            root_key,
            devices: keys.devices,
        };
        let token = self.bootstrap_token.as_ref().map(|file| context.environment.directory().join(file));
        let (workspace, mut lines, report) = if self.enrols(&options, &keys.service)? {
            let enrolled = self.enrol(context, &options, &keys.service)?;
            (as_json(&enrolled), enrolled_lines(&enrolled), None)
        } else {
            let made = match &keys.service {
                Service::Embedded => Workspace::init(&options),
                Service::Server(server) => Workspace::init_server(&options, server, token.as_deref()),
            };
            let report = made.map_err(|error| failure(ATTEMPTED, &error))?;
            (as_json(&report), described(&report), Some(report))
        };
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
        let value = json!({ "workspace": workspace, "seal_version": schema, "settings_file": settings });
        context.output.result(&value, &lines.join("\n"));
        if let Some(report) = &report {
            advise(context, report);
        }
        Ok(())
    }

    /// This device is to be let into a workspace that there is. With a token it makes the workspace.
    fn enrols(&self, options: &InitOptions, service: &Service) -> Result<bool, Failure> {
        let needed = || Enrolling::is_needed(options, service).map_err(|error| failure(ATTEMPTED, &error));
        if self.bootstrap_token.is_some() { Ok(false) } else { needed() }
    }

    /// The workspace is there, but no key of this device: shows a code and waits for an admin.
    fn enrol(&self, context: &Context, options: &InitOptions, service: &Service) -> Result<EnrolReport, Failure> {
        let attempted = "have this device let in";
        let owner = self.owner.as_deref().or_else(|| context.environment.variable("USER")).unwrap_or_default();
        let failed = |error| enrolment(attempted, &error);
        let mut waiting = Enrolling::begin(options, service, owner).map_err(failed)?;
        let said = "This workspace has an admin already. Ask one to run, within five minutes: columnseal device list";
        output::stderr(said);
        context.output.note("If no admin has a device any more: columnseal recover --recovery-file FILE.");
        let mut shown = false;
        loop {
            match waiting.poll().map_err(failed)? {
                Progress::Waiting => {}
                Progress::Code(code) => {
                    if !shown {
                        output::stderr(&format!("code  {code}\nRead it to the admin: columnseal device approve CODE"));
                    }
                    shown = true;
                }
                Progress::Approved(report) => return Ok(report),
                Progress::Refused(why) => {
                    let advice = "talk to the admin, and begin again";
                    return Err(Failure::new(
                        Exit::Keys,
                        "enrolment",
                        attempted,
                        format!("the admin's side says: {why}"),
                        advice,
                    ));
                }
            }
            std::thread::sleep(POLL);
        }
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

fn enrolled_lines(report: &EnrolReport) -> Vec<String> {
    vec![
        format!("workspace  {} (let in by an admin)", report.root),
        format!("device     {} as {} ({})", report.device, report.name, report.device_file.display()),
        format!("keysets    {}", report.keysets.join(", ")),
    ]
}

/// Asks on the terminal; without one, `--yes` is needed.
pub(super) fn confirm(attempted: &str, question: &str, instead: &str) -> Outcome {
    let advice = format!("run `columnseal {instead}`");
    let refused = |why: &str| Failure::new(Exit::Failed, "init", attempted, why, advice.clone());
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(refused("there is no terminal to ask on"));
    }
    let mut error = std::io::stderr().lock();
    drop(write!(error, "{question} Go on? [Y/n] "));
    drop(error.flush());
    let mut answer = String::new();
    let read = input.read_line(&mut answer).is_ok();
    match answer.trim().to_ascii_lowercase().as_str() {
        "" | "y" | "yes" if read => Ok(()),
        _ => Err(refused("it was not confirmed")),
    }
}

/// The host's name.
pub(super) fn device_name() -> String {
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
    let mode = target.sslmode.name();
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
