//! `columnseal store`: the root keys that open the key store, and replacing one while the store is in use. No device key
//! is needed: whoever holds the store and its root key may do it.

use columnseal::config::{load_root_key, load_store};
use columnseal::keys::clock::rfc3339;
use columnseal::keyserver::root_key::rewrap::Rewrapped;
use columnseal::keyserver::root_key::{self, RootKeyInfo, Source};
use columnseal::keyserver::store::sqlite::Sqlite;
use serde_json::json;

use super::Context;
use super::output::{Exit, Outcome};
use super::workspace::failure;

/// Arguments of `store rewrap`.
#[derive(clap::Args, Debug)]
pub(super) struct Rewrap {
    /// The new root key: file:PATH, env:NAME, awskms:KEY, vault:URL/MOUNT/KEY or pkcs11:…
    #[arg(long, value_name = "ROOT_KEY")]
    to: String,
    /// Take every other root key away, once nothing is configured with one
    #[arg(long)]
    finish: bool,
}

impl Rewrap {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = if self.finish { "finish the rewrap of the key store" } else { "rewrap the key store" };
        let (store, from) = open(context, attempted)?;
        let to = context.settings(attempted, load_root_key(&context.environment, &self.to))?;
        let done = root_key::rewrap(&store, &from, &to, self.finish).map_err(|error| failure(attempted, &error))?;
        let Rewrapped { root_key, added, removed, remaining } = &done;
        let value = json!({ "root_key": root_key, "added": added, "removed": removed, "remaining": remaining });
        let mut lines = vec![match added {
            true => format!("added      {root_key}: it opens the store from now on"),
            false => format!("there      {root_key}: it opens the store already"),
        }];
        lines.extend(removed.iter().map(|name| format!("removed    {name}: it opens the store no longer")));
        lines.extend(remaining.iter().map(|name| format!("remaining  {name}: it opens the store as well")));
        context.output.result(&value, &lines.join("\n"));
        if !remaining.is_empty() {
            context.output.note(
                "Set root_key to the new one wherever this store is used, restart what uses it, one after the other, then \
                 run this again with --finish.",
            );
        } else if !removed.is_empty() {
            context.output.note(
                "Older backups of the store still open by the old root key: keep it as long as them, or destroy both.",
            );
        }
        Ok(())
    }
}

pub(super) fn status(context: &Context) -> Outcome {
    let attempted = "read the root keys of the key store";
    let (store, source) = open(context, attempted)?;
    let (keys, usable) = root_key::status(&store, &source).map_err(|error| failure(attempted, &error))?;
    let shown = |key: &RootKeyInfo| {
        json!({
            "id": key.id, "root_key": key.description, "created": rfc3339(key.created_ms), "configured": key.configured,
        })
    };
    let value = json!({
        "root_keys": keys.iter().map(shown).collect::<Vec<_>>(),
        "configured": source.to_string(),
        "problem": usable.as_ref().err().map(ToString::to_string),
    });
    let line = |key: &RootKeyInfo| {
        let mark = if key.configured { "  configured" } else { "" };
        format!("root key   {} since {}{mark}", key.description, rfc3339(key.created_ms))
    };
    let mut lines: Vec<String> = keys.iter().map(line).collect();
    if keys.is_empty() {
        lines.push(
            "root key   none yet: the rows lie under the root key itself, until the store is next opened".to_owned(),
        );
    }
    lines.extend(usable.as_ref().err().map(|error| format!("problem    {error}")));
    context.output.result(&value, &lines.join("\n"));
    if usable.is_ok() { Ok(()) } else { context.output.exit(Exit::Store) }
}

fn open(context: &Context, attempted: &str) -> Result<(Sqlite, Source), super::output::Failure> {
    let (settings, source) = context.settings(attempted, load_store(&context.environment, &context.sources))?;
    let store = Sqlite::open(&settings.store).map_err(|error| failure(attempted, &error))?;
    Ok((store, source))
}
