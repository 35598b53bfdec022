//! `columnseal admin …` and `columnseal recover`: who the admins are. Both need the recovery kit to change anything.

use std::path::{Path, PathBuf};

use columnseal::config::load_store;
use columnseal::keys::settings::Service;
use columnseal::keyserver::workspace::{AdminsInfo, InitOptions, RecoverReport, Workspace};

use super::Context;
use super::init::{confirm, device_name};
use super::output::{Exit, Failure, Outcome};
use super::workspace::{failure, json, open};

/// Subcommands of `admin`.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Admin {
    /// List the admins, and the keysets that each can grant
    List,
    /// Make a client an admin
    Add(Change),
    /// Take a client out of the admins
    Remove(Change),
}

/// Arguments of `admin add` and `admin remove`.
#[derive(clap::Args, Debug)]
pub(super) struct Change {
    /// Id or name
    client: String,
    /// The recovery kit; it is read, used and forgotten
    #[arg(long, value_name = "FILE")]
    recovery_file: PathBuf,
}

/// Arguments of `recover`.
#[derive(clap::Args, Debug)]
pub(super) struct Recover {
    /// The recovery kit; it is read, used and forgotten
    #[arg(long, value_name = "FILE")]
    recovery_file: PathBuf,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
}

impl Admin {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let (attempted, change) = match self {
            Admin::List => ("list admins".to_owned(), None),
            Admin::Add(change) => (format!("make {} an admin", change.client), Some(change)),
            Admin::Remove(change) => (format!("take {} out of the admins", change.client), Some(change)),
        };
        let workspace = open(context, &attempted)?;
        let kit = change.map(|change| context.environment.directory().join(&change.recovery_file));
        let info = match (self, kit) {
            (Admin::Add(change), Some(kit)) => workspace.add_admin(&change.client, &kit),
            (Admin::Remove(change), Some(kit)) => workspace.remove_admin(&change.client, &kit),
            _ => workspace.admins(),
        };
        let info = info.map_err(|error| failure(&attempted, &error))?;
        list(context, &info);
        if matches!(self, Admin::Add(_)) {
            context.output.note(
                "To grant a keyset, an admin needs that permission itself: columnseal client grant CLIENT KEYSET --allow grant",
            );
        }
        if let Some(change) = change {
            advise(context, &change.recovery_file);
        }
        Ok(())
    }
}

impl Recover {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = "recover the workspace";
        let (keys, root_key) = context.settings(attempted, load_store(&context.environment, &context.sources))?;
        if let Service::Server(server) = &keys.service {
            let why = format!("recovery needs the store itself, and keys.service names {}", server.urls.join(", "));
            let advice = "run it on the key server's machine, with keys.store and keys.root_key set to its SQLite store and root key";
            return Err(Failure::new(Exit::Settings, "settings", attempted, why, advice));
        }
        let kit = context.environment.directory().join(&self.recovery_file);
        if !self.yes {
            confirm(attempted, "This device becomes the only admin; all other admins are disabled.", "recover --yes")?;
        }
        let options = InitOptions {
            recovery_file: kit.clone(),
            device_name: device_name(),
            home: keys.home,
            store: keys.store.into(),
            root_key,
            devices: keys.devices,
        };
        let report = Workspace::recover(&options, &kit).map_err(|error| failure(attempted, &error))?;
        context.output.result(&json(&report), &described(&report));
        if !report.orphans.is_empty() {
            context.output.note(
                "Clients go on with the grants they have, and can be revoked, disabled, renamed and deleted.\n\
                 The keysets above cannot be granted to anybody any more: the admin's share of them was on the lost device,\n\
                 and the kit holds none. For new clients make a new keyset. Should a copy of the old device key be found:\n\
                 docs/keys.md, \"Recovery kit\".",
            );
        }
        advise(context, &self.recovery_file);
        Ok(())
    }
}

fn advise(context: &Context, kit: &Path) {
    context.output.note(&format!("Take {} off this machine again.", kit.display()));
}

fn list(context: &Context, info: &AdminsInfo) {
    let row = |admin: &columnseal::keyserver::workspace::AdminInfo| {
        let grants = if admin.grants.is_empty() { "-".to_owned() } else { admin.grants.join(",") };
        vec![admin.id.clone(), admin.name.clone(), admin.status.to_owned(), grants]
    };
    let rows: Vec<Vec<String>> = info.admins.iter().map(row).collect();
    context.output.list(&json(info), &["id", "name", "status", "can grant"], &rows);
    if !info.orphans.is_empty() {
        context.output.note(&format!("No admin can grant: {}", info.orphans.join(", ")));
    }
}

fn described(report: &RecoverReport) -> String {
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    [
        format!("workspace  {}", report.root),
        format!("device     {} ({})", report.device, report.device_file.display()),
        format!("admins     this device alone, version {}", report.version),
        format!("dismissed  {}", list(&report.dismissed)),
        format!("lost       {}", list(&report.orphans)),
    ]
    .join("\n")
}
