//! `columnseal keyset …`.

use columnseal::keyserver::workspace::KeysetInfo;

use super::output::Outcome;
use super::workspace::{failure, json, open};
use super::{Context, rotate};

/// Subcommands of `keyset`. KEYSET is an id or a name.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Keyset {
    /// Make a keyset, or several
    Create {
        /// A name, unique in the workspace
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        /// For development: device keys may have it
        #[arg(long)]
        development: bool,
    },
    /// List all keysets
    List,
    /// Show one keyset
    Show {
        /// Id or name
        keyset: String,
    },
    /// Give a keyset another name; `default` keeps its own
    Rename {
        /// Id or name
        keyset: String,
        /// The new name
        name: String,
    },
    /// Refuse all use of a keyset until it is enabled again; not for `default`
    Disable {
        /// Id or name
        keyset: String,
    },
    /// Let a disabled keyset be used again
    Enable {
        /// Id or name
        keyset: String,
    },
    /// Give a keyset a new epoch: new values use it, old ones stay readable
    Rotate(rotate::Rotate),
}

impl Keyset {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = self.attempted();
        let workspace = open(context, &attempted)?;
        let (info, done) = match self {
            Keyset::List => {
                let keysets = workspace.keysets().map_err(|error| failure(&attempted, &error))?;
                list(context, &keysets);
                return Ok(());
            }
            Keyset::Create { names, development } => match names.as_slice() {
                [name] => (workspace.create_keyset_for(name, *development), Some("is made")),
                names => {
                    let made = workspace.create_keysets(names, *development);
                    made.map_err(|error| failure(&attempted, &error))?;
                    context.output.result(&json(&names), &format!("{} keysets are made", names.len()));
                    return Ok(());
                }
            },
            Keyset::Show { keyset } => (workspace.keyset(keyset), None),
            Keyset::Rename { keyset, name } => (workspace.rename_keyset(keyset, name), Some("has its new name")),
            Keyset::Disable { keyset } => (workspace.set_keyset_enabled(keyset, false), Some("is disabled")),
            Keyset::Enable { keyset } => (workspace.set_keyset_enabled(keyset, true), Some("is enabled")),
            Keyset::Rotate(rotate) => return rotate.run(context, &workspace, &attempted),
        };
        let info = info.map_err(|error| failure(&attempted, &error))?;
        let text = match done {
            Some(done) => format!("{} ({}) {done}", info.name, info.id),
            None => described(&info),
        };
        context.output.result(&json(&info), &text);
        Ok(())
    }

    fn attempted(&self) -> String {
        match self {
            Keyset::Create { names, .. } => match names.as_slice() {
                [name] => format!("create keyset {name}"),
                names => format!("create {} keysets", names.len()),
            },
            Keyset::List => "list keysets".to_owned(),
            Keyset::Show { keyset } => format!("show keyset {keyset}"),
            Keyset::Rename { keyset, .. } => format!("rename keyset {keyset}"),
            Keyset::Disable { keyset } => format!("disable keyset {keyset}"),
            Keyset::Enable { keyset } => format!("enable keyset {keyset}"),
            Keyset::Rotate(rotate) => rotate.attempted(),
        }
    }
}

fn list(context: &Context, keysets: &[KeysetInfo]) {
    let rows: Vec<Vec<String>> = keysets
        .iter()
        .map(|keyset| {
            let (status, clients) = (keyset.status.to_owned(), keyset.clients.to_string());
            vec![keyset.id.clone(), keyset.name.clone(), status, keyset.data_epoch.to_string(), clients]
        })
        .collect();
    context.output.list(&json(&keysets), &["id", "name", "status", "epoch", "clients"], &rows);
}

fn described(keyset: &KeysetInfo) -> String {
    [
        format!("id       {}", keyset.id),
        format!("name     {}", keyset.name),
        format!("for      {}", if keyset.development { "development" } else { "production" }),
        format!("status   {}", keyset.status),
        epochs(keyset),
        format!("kref     {}", keyset.kref),
        format!("created  {}", keyset.created),
        format!("clients  {}", keyset.clients),
    ]
    .join("\n")
}

fn epochs(keyset: &KeysetInfo) -> String {
    let readable = match keyset.oldest_epoch {
        oldest if oldest == keyset.data_epoch => String::new(),
        oldest => format!(" (values from {oldest} on can be read)"),
    };
    let unfinished = match keyset.rotating {
        true => format!("; rotation not finished: `columnseal keyset rotate {}`", keyset.name),
        false => String::new(),
    };
    format!("epochs   data {}{readable}, index {}{unfinished}", keyset.data_epoch, keyset.index_epoch)
}
