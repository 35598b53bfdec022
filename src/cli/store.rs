//! `columnseal store …`: back-ups of the key store, and its return from one.

use std::path::PathBuf;

use columnseal::config::load_store;
use columnseal::keys::clock::rfc3339;
use columnseal::keys::error::KeysError;
use columnseal::keys::settings::Service;
use columnseal::keyserver::store::backup;
use columnseal::keyserver::store::read;
use columnseal::keyserver::store::spec::StoreSpec;
use columnseal::keyserver::workspace::Workspace;
use serde_json::json;

use super::output::{self, Failure, Outcome};
use super::workspace::failure;
use super::{Context, rewrap};

/// Subcommands of `store`.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Store {
    /// Write a back-up of the key store, which may be in use, to a new file
    Backup {
        /// The file; its shares are wrapped by the root key, which is not in it
        file: PathBuf,
        /// The store [default: that of the settings]
        #[arg(long, value_name = "STORE")]
        from: Option<StoreSpec>,
    },
    /// Make a new key store from a back-up; it serves nobody until it is unsealed
    Restore {
        /// The back-up
        file: PathBuf,
        /// The store to make: a path or postgres://… [default: that of the settings]
        #[arg(long, value_name = "STORE")]
        to: Option<StoreSpec>,
        /// What was taken away since, as `columnseal store revocations` printed it
        #[arg(long, value_name = "FILE")]
        revocations: Option<PathBuf>,
    },
    /// Let a restored key store serve again; needs the device key of an admin
    Unseal {
        /// The store [default: that of the settings, or of the key server in them]
        #[arg(long, value_name = "STORE")]
        store: Option<StoreSpec>,
    },
    /// Show which root keys open the store, and try the configured one
    Status,
    /// Make another root key open the store, while it is in use
    Rewrap(rewrap::Rewrap),
    /// Print what was taken away, a line of JSON each, to be kept elsewhere for a restore
    Revocations {
        /// Only what came after this place of the audit trail
        #[arg(long, default_value_t = 0, value_name = "SEQUENCE")]
        after: u64,
        /// The store [default: that of the settings]
        #[arg(long, value_name = "STORE")]
        from: Option<StoreSpec>,
    },
}

impl Store {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Store::Backup { file, from } => back_up(context, file, from.as_ref()),
            Store::Restore { file, to, revocations } => {
                restore(context, file, (to.as_ref(), revocations.as_ref().map(PathBuf::as_path)))
            }
            Store::Unseal { store } => unseal(context, store.as_ref()),
            Store::Status => rewrap::status(context),
            Store::Rewrap(command) => command.run(context),
            Store::Revocations { after, from } => revocations(context, *after, from.as_ref()),
        }
    }
}

fn named(context: &Context, attempted: &str, named: Option<&StoreSpec>) -> Result<StoreSpec, Failure> {
    match named {
        Some(StoreSpec::Sqlite(path)) => Ok(context.environment.directory().join(path).into()),
        Some(database) => Ok(database.clone()),
        None => {
            let (settings, _) = context.settings(attempted, load_store(&context.environment, &context.sources))?;
            Ok(settings.store.into())
        }
    }
}

fn back_up(context: &Context, file: &std::path::Path, from: Option<&StoreSpec>) -> Outcome {
    let attempted = "back up the key store";
    let told = |error: KeysError| failure(attempted, &error);
    let (from, file) = (named(context, attempted, from)?, context.environment.directory().join(file));
    let made = backup::backup(&*from.open().map_err(told)?, &file).map_err(told)?;
    let value = json!({
        "file": file, "rows": made.rows, "generation": made.header.revision.generation,
        "revision": made.header.revision.revision, "sequence": made.header.changes,
    });
    let text = format!(
        "{} holds revision {}, {} rows\nrevocations since: columnseal store revocations --after {}",
        file.display(),
        made.header.revision.revision,
        made.rows,
        made.header.changes
    );
    context.output.result(&value, &text);
    context.output.note("The root key is not in it: without a backup of that, too, it opens nothing.");
    Ok(())
}

fn restore(
    context: &Context,
    file: &std::path::Path,
    (to, revocations): (Option<&StoreSpec>, Option<&std::path::Path>),
) -> Outcome {
    let attempted = "restore the key store";
    let to = named(context, attempted, to)?;
    let directory = context.environment.directory();
    let (file, revocations) = (directory.join(file), revocations.map(|file| directory.join(file)));
    let restored = backup::restore(&file, &to, revocations.as_deref()).map_err(|error| failure(attempted, &error))?;
    let value = json!({
        "store": to.to_string(), "rows": restored.rows, "revocations": restored.revocations, "sealed": true,
        "backup_time": rfc3339(restored.header.time_ms),
    });
    let text = format!(
        "{to} is as it was on {}; {} revocations since were applied",
        rfc3339(restored.header.time_ms),
        restored.revocations
    );
    context.output.result(&value, &text);
    if revocations.is_none() {
        context
            .output
            .warn("grants that were revoked since are back: revoke them again after `columnseal store unseal`");
    }
    context.output.note("It serves nobody yet: columnseal store unseal");
    Ok(())
}

fn unseal(context: &Context, store: Option<&StoreSpec>) -> Outcome {
    let attempted = "unseal the key store";
    let told = |error: KeysError| failure(attempted, &error);
    let (settings, root_key) = context.settings(attempted, load_store(&context.environment, &context.sources))?;
    let (workspace, store) = match (store, &settings.service) {
        (None, Service::Server(server)) => (Workspace::connect(&settings.home, server), server.urls.join(",")),
        (store, _) => {
            let store = named(context, attempted, store)?;
            (Workspace::open_with(&settings.home, &store, &root_key), store.to_string())
        }
    };
    let was_sealed = workspace.and_then(|workspace| workspace.unseal()).map_err(told)?;
    let text = if was_sealed { "the store serves again" } else { "the store was not sealed" };
    context.output.result(&json!({ "store": store, "was_sealed": was_sealed }), text);
    Ok(())
}

fn revocations(context: &Context, after: u64, from: Option<&StoreSpec>) -> Outcome {
    let attempted = "list revocations";
    let told = |error: KeysError| failure(attempted, &error);
    let store = named(context, attempted, from)?.open().map_err(told)?;
    let all = read(&*store, |tx| backup::since(tx, after)).map_err(told)?;
    for revocation in &all {
        drop(output::stdout(&super::workspace::json(revocation).to_string()));
    }
    Ok(())
}
