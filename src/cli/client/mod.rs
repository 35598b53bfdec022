//! `columnseal client …`: client keys and their grants.

mod create;
mod list;
mod output;

use std::time::Duration;

use columnseal::keys::permissions::Permissions;
use columnseal::keyserver::workspace::{ClientInfo, ClientUpdate, GrantInfo};
use serde_json::json;

use super::Context;
use super::output::Outcome;
use super::workspace::{failure, json as as_json, lifetime, open};

/// Subcommands of `client`. CLIENT is an id or a name, KEYSET as well.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Client {
    /// Make a client key and print it once
    Create(create::Create),
    /// Make a client key on the machine that will use it, and print what an admin approves
    Request(create::Request),
    /// Let in a client whose key was made elsewhere
    Approve(create::Approve),
    /// List clients
    List(list::List),
    /// Show one client and its grants
    Show {
        /// Id or name
        client: String,
    },
    /// Let a client use a keyset, or several
    Grant {
        /// Id or name
        client: String,
        /// Id or name
        #[arg(value_name = "KEYSET", required = true)]
        keysets: Vec<String>,
        /// Of encrypt, decrypt, query, grant
        #[arg(long, value_name = "PERMISSIONS", default_value_t = Permissions::APPLICATION)]
        allow: Permissions,
        /// The grant ends after this, as 90d
        #[arg(long, value_name = "SPAN", value_parser = lifetime)]
        expires: Option<Duration>,
    },
    /// Take a grant away, or all grants where no keyset is named
    Revoke {
        /// Id or name
        client: String,
        /// Id or name
        keyset: Option<String>,
        /// Somebody else may have the key: take all grants, disable the client, and say what is to be done
        #[arg(long, conflicts_with = "keyset")]
        compromised: bool,
    },
    /// Refuse a client until it is enabled again
    Disable {
        /// Id or name
        client: String,
    },
    /// Let a disabled client work again
    Enable {
        /// Id or name
        client: String,
    },
    /// Give a client another name
    Rename {
        /// Id or name
        client: String,
        /// The new name
        name: String,
    },
    /// Change what is said of a client
    Update {
        /// Id or name
        client: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// Whose it is; empty: not said
        #[arg(long, value_name = "TEXT")]
        owner: Option<String>,
        /// When it ends, from now, as 90d, or never
        #[arg(long, value_name = "SPAN", value_parser = end)]
        expires: Option<End>,
    },
    /// Change when a client ends
    Expire {
        /// Id or name
        client: String,
        /// From now, as 90d, or never
        #[arg(value_name = "SPAN", value_parser = end)]
        when: End,
    },
    /// Give a client a new key with the same grants, and print it once
    Rotate(create::Rotate),
    /// Remove a client and its grants
    Delete {
        /// Id or name
        client: String,
    },
}

/// When a key ends; `None`: never.
type End = Option<Duration>;

fn end(text: &str) -> Result<End, String> {
    if text == "never" {
        return Ok(None);
    }
    lifetime(text).map(Some).map_err(|_| "write a time span such as 90d or 12h, or never".to_owned())
}

impl Client {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Client::Create(create) => create.run(context),
            Client::Request(request) => request.run(context),
            Client::Approve(approve) => approve.run(context),
            Client::Rotate(rotate) => rotate.run(context),
            Client::List(list) => list.run(context),
            Client::Show { client } => {
                let attempted = format!("show client {client}");
                let workspace = open(context, &attempted)?;
                let info = workspace.client(client).map_err(|error| failure(&attempted, &error))?;
                context.output.result(&as_json(&info), &list::described(&info));
                Ok(())
            }
            Client::Grant { client, keysets, allow, expires } => grant(context, client, keysets, *allow, *expires),
            Client::Revoke { client, compromised: true, .. } => compromised(context, client),
            Client::Revoke { client, keyset, .. } => revoke(context, client, keyset.as_deref()),
            Client::Disable { client } => switch(context, client, false),
            Client::Enable { client } => switch(context, client, true),
            Client::Rename { client, name } => {
                update(context, client, &ClientUpdate { name: Some(name.clone()), ..ClientUpdate::default() })
            }
            Client::Update { client, name, owner, expires } => {
                update(context, client, &ClientUpdate { name: name.clone(), owner: owner.clone(), expires: *expires })
            }
            Client::Expire { client, when } => {
                update(context, client, &ClientUpdate { expires: Some(*when), ..ClientUpdate::default() })
            }
            Client::Delete { client } => {
                let attempted = format!("delete client {client}");
                let workspace = open(context, &attempted)?;
                let info = workspace.delete_client(client).map_err(|error| failure(&attempted, &error))?;
                context.output.result(&as_json(&info), &format!("{} ({}) is deleted", info.name, info.id));
                Ok(())
            }
        }
    }
}

fn update(context: &Context, client: &str, update: &ClientUpdate) -> Outcome {
    let attempted = format!("change client {client}");
    let workspace = open(context, &attempted)?;
    let info = workspace.update_client(client, update).map_err(|error| failure(&attempted, &error))?;
    let ends = info.expires.as_ref().map_or_else(|| "does not end".to_owned(), |end| format!("ends {end}"));
    let owner = info.owner.as_ref().map(|owner| format!(", of {owner}")).unwrap_or_default();
    context.output.result(&as_json(&info), &format!("{} ({}){owner}, {ends}", info.name, info.id));
    Ok(())
}

fn grant(
    context: &Context,
    client: &str,
    keysets: &[String],
    allow: Permissions,
    expires: Option<Duration>,
) -> Outcome {
    let attempted = match keysets {
        [keyset] => format!("grant keyset {keyset} to client {client}"),
        keysets => format!("grant {} keysets to client {client}", keysets.len()),
    };
    let workspace = open(context, &attempted)?;
    let granted = workspace.grant_all(client, keysets, allow, expires).map_err(|error| failure(&attempted, &error))?;
    match granted.as_slice() {
        [grant] => {
            let text = format!("{} may {} in keyset {}", grant.client, grant.permissions.join(", "), grant.keyset_name);
            context.output.result(&as_json(grant), &text);
        }
        all => {
            let text = format!("{client} may {} in {} keysets", allow.names().join(", "), all.len());
            context.output.result(&as_json(&all), &text);
        }
    }
    Ok(())
}

fn revoke(context: &Context, client: &str, keyset: Option<&str>) -> Outcome {
    let attempted = match keyset {
        Some(keyset) => format!("revoke the grant of client {client} for keyset {keyset}"),
        None => format!("revoke every grant of client {client}"),
    };
    let workspace = open(context, &attempted)?;
    let revoked = workspace.revoke(client, keyset).map_err(|error| failure(&attempted, &error))?;
    if revoked.is_empty() {
        context.output.result(&as_json(&revoked), &format!("{client} had no such grant"));
        return Ok(());
    }
    let names: Vec<&str> = revoked.iter().map(|grant| grant.keyset_name.as_str()).collect();
    context.output.result(&as_json(&revoked), &format!("revoked {client}'s grant for {}", names.join(", ")));
    context.output.note(
        "Running proxies refuse within a second. If the client may be compromised, what it already\n\
         read is read: docs/keys.md says what revoking does not undo.",
    );
    Ok(())
}

fn switch(context: &Context, client: &str, enabled: bool) -> Outcome {
    let attempted = format!("{} client {client}", if enabled { "enable" } else { "disable" });
    let workspace = open(context, &attempted)?;
    let info = workspace.set_client_enabled(client, enabled).map_err(|error| failure(&attempted, &error))?;
    context.output.result(&as_json(&info), &format!("{} ({}) is {}", info.name, info.id, info.status));
    Ok(())
}

/// Somebody else may have the key: what is cut off at once, and what only rotating undoes.
fn compromised(context: &Context, client: &str) -> Outcome {
    let attempted = format!("cut off client {client}");
    let workspace = open(context, &attempted)?;
    let known = workspace.client(client).map_err(|error| failure(&attempted, &error))?;
    let info = workspace.set_client_enabled(&known.id, false).map_err(|error| failure(&attempted, &error))?;
    let revoked = workspace.revoke(&known.id, None).map_err(|error| failure(&attempted, &error))?;
    // Keysets whose grants ended before are not in the list: shares of those may have been copied as well.
    let mut keysets: Vec<&str> = known.grants.iter().map(|grant| grant.keyset_name.as_str()).collect();
    keysets.sort_unstable();
    let rotate: Vec<String> = keysets.iter().map(|name| format!("columnseal keyset rotate {name}")).collect();
    let value = json!({ "client": as_json(&info), "revoked": as_json(&revoked), "keysets": keysets, "next": rotate });
    let mut lines = vec![format!("{} ({}) is disabled and has no grants any more", info.name, info.id)];
    lines.extend(keysets.iter().map(|name| format!("keyset   {name}")));
    context.output.result(&value, &lines.join("\n"));
    context.output.note(
        "What it read is read. With keys it kept, it opens values that were sealed under them, and tests guesses against\n\
         search terms. To end that: rotate these keysets, encrypt the columns anew, and drop the old epochs.\n\
         If the key was copied from a backup or an image, others may have been as well.",
    );
    Ok(())
}

/// As lists and results show a grant.
fn grant_line(grant: &GrantInfo) -> String {
    let until = grant.expires.as_ref().map(|expires| format!(", until {expires}")).unwrap_or_default();
    format!("grant    {} ({}): {}{until}", grant.keyset_name, grant.keyset, grant.permissions.join(", "))
}

/// Name and id.
fn shown(client: &ClientInfo) -> String {
    format!("{} ({})", client.name, client.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_spans_or_never() {
        assert_eq!(end("never"), Ok(None));
        assert_eq!(end("1d"), Ok(Some(Duration::from_secs(86_400))));
        for bad in ["", "0d", "Never", "tomorrow", "-1d"] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }
}
