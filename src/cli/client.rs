//! `columnseal client …`: client keys and their grants.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use columnseal::keys::permissions::Permissions;
use columnseal::keyserver::workspace::{ClientInfo, ClientKind, CreatedClient, GrantInfo, NewClient};
use secrecy::ExposeSecret;
use serde_json::json;

use super::Context;
use super::output::{Exit, Failure, Outcome};
use super::workspace::{failure, json as as_json, lifetime, open, or_dash};

/// Subcommands of `client`. CLIENT is an id or a name, KEYSET as well.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Client {
    /// Make a client key and print it once
    Create(Create),
    /// List all clients
    List,
    /// Show one client and its grants
    Show {
        /// Id or name
        client: String,
    },
    /// Let a client use a keyset
    Grant {
        /// Id or name
        client: String,
        /// Id or name
        keyset: String,
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
    /// Remove a client and its grants
    Delete {
        /// Id or name
        client: String,
    },
}

/// Arguments of `client create`.
#[derive(clap::Args, Debug)]
pub(super) struct Create {
    /// A name, unique in the workspace
    name: String,
    /// A keyset to grant; may be repeated [default: none]
    #[arg(long = "keyset", value_name = "KEYSET")]
    keysets: Vec<String>,
    /// What the key is for
    #[arg(long, value_enum, default_value_t = Kind::Application)]
    kind: Kind,
    /// What the grants allow
    #[arg(long, value_name = "PERMISSIONS", default_value_t = Permissions::APPLICATION)]
    allow: Permissions,
    /// The client ends after this, as 90d [default: never]
    #[arg(long, value_name = "SPAN", value_parser = lifetime)]
    expires: Option<Duration>,
    /// Form of the result: env, json or file:PATH (mode 0600)
    #[arg(long, value_name = "FORM", default_value = "env", value_parser = form)]
    output: Form,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Kind {
    Application,
    Device,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Env,
    Json,
    File(PathBuf),
}

fn form(text: &str) -> Result<Form, String> {
    match text {
        "env" => Ok(Form::Env),
        "json" => Ok(Form::Json),
        other => match other.strip_prefix("file:").filter(|path| !path.is_empty()) {
            Some(path) => Ok(Form::File(path.into())),
            None => Err("write env, json or file:PATH".to_owned()),
        },
    }
}

impl Client {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Client::Create(create) => create.run(context),
            Client::List => list(context),
            Client::Show { client } => {
                let attempted = format!("show client {client}");
                let workspace = open(context, &attempted)?;
                let info = workspace.client(client).map_err(|error| failure(&attempted, &error))?;
                context.output.result(&as_json(&info), &described(&info));
                Ok(())
            }
            Client::Grant { client, keyset, allow, expires } => grant(context, client, keyset, *allow, *expires),
            Client::Revoke { client, keyset } => revoke(context, client, keyset.as_deref()),
            Client::Disable { client } => switch(context, client, false),
            Client::Enable { client } => switch(context, client, true),
            Client::Rename { client, name } => {
                let attempted = format!("rename client {client}");
                let workspace = open(context, &attempted)?;
                let info = workspace.rename_client(client, name).map_err(|error| failure(&attempted, &error))?;
                context.output.result(&as_json(&info), &format!("{} is now {}", info.id, info.name));
                Ok(())
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

impl Create {
    fn run(&self, context: &Context) -> Outcome {
        let attempted = format!("create client key {}", self.name);
        let workspace = open(context, &attempted)?;
        // The file is made before the key, so that no key is made that cannot be handed over.
        let file = match &self.output {
            Form::File(path) => Some((path, private_file(path, &attempted)?)),
            Form::Env | Form::Json => None,
        };
        let kind = match self.kind {
            Kind::Application => ClientKind::Application,
            Kind::Device => ClientKind::Device,
        };
        let new = NewClient {
            name: self.name.clone(),
            kind,
            keysets: self.keysets.clone(),
            permissions: self.allow,
            expires: self.expires,
        };
        let created = workspace.create_client(&new).map_err(|error| {
            if let Some((path, _)) = &file {
                drop(std::fs::remove_file(path));
            }
            failure(&attempted, &error)
        })?;
        if self.keysets.is_empty() {
            context.output.note("No keyset is granted yet: `columnseal client grant ID KEYSET`.");
        }
        match file {
            Some((path, file)) => self.to_file(context, &attempted, path, file, &created),
            None => self.to_stdout(context, &created).map_err(|error| {
                // A key that nobody has is of no use to anybody.
                let removed = workspace.delete_client(&created.client.id);
                let why = format!("standard output does not take the key: {error}");
                let advice = match removed {
                    Ok(_) => {
                        "the client was removed again; give the output another way, or --output file:PATH".to_owned()
                    }
                    Err(_) => format!("delete the client ({}) and make another", created.client.id),
                };
                Failure::new(Exit::Failed, "files", &attempted, why, advice)
            }),
        }
    }

    fn to_stdout(&self, context: &Context, created: &CreatedClient) -> std::io::Result<()> {
        let secret = created.secret.expose_secret();
        let value = json!({
            "CS_CLIENT_ID": created.client.id,
            "CS_CLIENT_KEY": secret,
            "client": as_json(&created.client),
        });
        if self.output == Form::Json {
            super::output::Output { json: true, ..context.output }.hand_over(&value, "")?;
        } else {
            context.output.hand_over(&value, env_lines(created).trim_end())?;
        }
        context.output.note("The key is shown this once. Keep it where your secrets live.");
        Ok(())
    }

    fn to_file(
        &self,
        context: &Context,
        attempted: &str,
        path: &Path,
        mut file: std::fs::File,
        created: &CreatedClient,
    ) -> Outcome {
        let written = file.write_all(env_lines(created).as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| {
            let why = format!("the key was made, but {} could not be written: {error}", path.display());
            let advice = format!("delete the client ({}) and make another", created.client.id);
            Failure::new(Exit::Failed, "files", attempted, why, advice)
        })?;
        let value = json!({ "file": path, "client": as_json(&created.client) });
        context.output.result(&value, &format!("CS_CLIENT_ID={}", created.client.id));
        context.output.note(&format!("The key is in {} (mode 0600) and nowhere else.", path.display()));
        Ok(())
    }
}

fn env_lines(created: &CreatedClient) -> String {
    format!("CS_CLIENT_ID={}\nCS_CLIENT_KEY={}\n", created.client.id, created.secret.expose_secret())
}

/// A new file that only its owner can read. An existing file is never overwritten.
fn private_file(path: &Path, attempted: &str) -> Result<std::fs::File, Failure> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let why = format!("{}: {error}", path.display());
        Failure::new(Exit::Failed, "files", attempted, why, "name a file that does not exist yet")
    })
}

fn list(context: &Context) -> Outcome {
    let attempted = "list clients";
    let clients = open(context, attempted)?.clients().map_err(|error| failure(attempted, &error))?;
    let rows: Vec<Vec<String>> = clients
        .iter()
        .map(|client| {
            let keysets: Vec<&str> = client.grants.iter().map(|grant| grant.keyset_name.as_str()).collect();
            let keysets = if keysets.is_empty() { "-".to_owned() } else { keysets.join(",") };
            let kind = if client.admin { format!("{} (admin)", client.kind) } else { client.kind.to_owned() };
            let status = client.status.to_owned();
            vec![client.id.clone(), client.name.clone(), kind, status, keysets, or_dash(client.expires.as_ref())]
        })
        .collect();
    context.output.list(&as_json(&clients), &["id", "name", "kind", "status", "keysets", "expires"], &rows);
    Ok(())
}

fn grant(context: &Context, client: &str, keyset: &str, allow: Permissions, expires: Option<Duration>) -> Outcome {
    let attempted = format!("grant keyset {keyset} to client {client}");
    let workspace = open(context, &attempted)?;
    let grant = workspace.grant(client, keyset, allow, expires).map_err(|error| failure(&attempted, &error))?;
    let text = format!("{} may {} in keyset {}", grant.client, grant.permissions.join(", "), grant.keyset_name);
    context.output.result(&as_json(&grant), &text);
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

fn described(client: &ClientInfo) -> String {
    let mut lines = vec![
        format!("id       {}", client.id),
        format!("name     {}", client.name),
        format!("kind     {}{}", client.kind, if client.admin { " (admin)" } else { "" }),
        format!("status   {}", client.status),
        format!("created  {}", client.created),
        format!("expires  {}", or_dash(client.expires.as_ref())),
    ];
    lines.extend(client.grants.iter().map(grant_line));
    if client.grants.is_empty() {
        lines.push("grants   none".to_owned());
    }
    lines.join("\n")
}

fn grant_line(grant: &GrantInfo) -> String {
    let until = grant.expires.as_ref().map(|expires| format!(", until {expires}")).unwrap_or_default();
    format!("grant    {} ({}): {}{until}", grant.keyset_name, grant.keyset, grant.permissions.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_output() {
        assert_eq!(form("env"), Ok(Form::Env));
        assert_eq!(form("file:/run/key"), Ok(Form::File("/run/key".into())));
        for bad in ["", "file:", "yaml", "ENV"] {
            assert!(form(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("key.env");
        private_file(&path, "x").expect("it is new");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(private_file(&path, "x").expect_err("it is there now").exit, Exit::Failed);
    }
}
