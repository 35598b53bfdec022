//! `columnseal db …`: the `seal` schema of a database.

use columnseal::config::{load_database, load_store};
use columnseal::crypto::TypeId;
use columnseal::keyserver::workspace::Workspace;
use columnseal::net::connect::connect;
use columnseal::net::settings::Target;
use columnseal::schema::SchemaError;
use columnseal::schema::database::{self, Installed, Status};
use columnseal::schema::install::install_sql;
use serde_json::json;
use tokio_postgres::Client;

use super::Context;
use super::output::{Exit, Failure, Outcome};

/// Subcommands of `db`.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Db {
    /// Install the seal schema; where it is there already, nothing changes
    Install(Act),
    /// Bring an installed seal schema to this version
    Upgrade(Act),
    /// Show what is installed and what is wrong with it
    Status {
        /// The database [default: that of the settings]
        #[arg(long, value_name = "URL")]
        database: Option<String>,
        /// Print the SQL that `db install` or `db upgrade` would run, and nothing else
        #[arg(long)]
        print: bool,
    },
}

/// Arguments of `db install` and `db upgrade`.
#[derive(clap::Args, Debug)]
pub(super) struct Act {
    /// The database [default: that of the settings]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Print the SQL instead of running it
    #[arg(long)]
    print: bool,
}

impl Db {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Db::Install(act) => act.run(context, "install the seal schema"),
            Db::Upgrade(act) => act.run(context, "upgrade the seal schema"),
            Db::Status { print: true, .. } => print_sql(context),
            Db::Status { database, print: false } => status(context, database.as_deref()),
        }
    }
}

impl Act {
    fn run(&self, context: &Context, attempted: &str) -> Outcome {
        if self.print {
            return print_sql(context);
        }
        let target = target(context, self.database.as_deref(), attempted)?;
        let done = context.block_on(attempted, async { install(&target, attempted).await })?;
        let (version, text) = told(done);
        context.output.result(&json!({ "version": version, "changed": !matches!(done, Installed::Current(_)) }), &text);
        Ok(())
    }
}

fn print_sql(context: &Context) -> Outcome {
    let sql = install_sql();
    context.output.result(&json!({ "sql": sql }), sql.trim_end());
    Ok(())
}

/// The database that a command acts on.
pub(super) fn target(context: &Context, url: Option<&str>, attempted: &str) -> Result<Target, Failure> {
    context.settings(attempted, load_database(&context.environment, &context.sources, url))
}

/// A connection of our own, or a failure of `attempted`.
pub(super) async fn reach(target: &Target, attempted: &str) -> Result<Client, Failure> {
    connect(target, None).await.map_err(|error| {
        let advice = "look at [database] (or --database): host, port, role, password, tls";
        Failure::new(Exit::Database, "database", attempted, error, advice)
    })
}

/// Installs or upgrades.
pub(super) async fn install(target: &Target, attempted: &str) -> Result<Installed, Failure> {
    let client = reach(target, attempted).await?;
    database::install(&client).await.map_err(|error| failure(attempted, &error))
}

/// What an installation did, as version and sentence.
pub(super) fn told(done: Installed) -> (u32, String) {
    match done {
        Installed::New(version) => (version, format!("the seal schema is installed (version {version})")),
        Installed::Upgraded { from, to } => (to, format!("the seal schema is upgraded from version {from} to {to}")),
        Installed::Current(version) => (version, format!("the seal schema is there already (version {version})")),
    }
}

/// What the user sees of an error of the schema room.
pub(super) fn failure(attempted: &str, error: &SchemaError) -> Failure {
    let (anchor, advice) = match error {
        SchemaError::Database(inner) if inner.as_db_error().is_some_and(|said| said.code().code() == "42501") => {
            ("database", "the role must own the database, or be allowed to create schemas in it")
        }
        SchemaError::Database(_) => ("database", "correct what the database names; docs/sql.md lists types and terms"),
        SchemaError::StillOpen => {
            ("drop-epoch", "let them end (pg_stat_activity, pg_prepared_xacts), then run this again")
        }
        SchemaError::NotInstalled => ("seal-missing", "run `columnseal db install`"),
        SchemaError::Newer { .. } => ("seal-newer", "use the newer columnseal that installed it"),
        SchemaError::Registry => {
            ("seal-registry", "run `columnseal db install`, or grant the role USAGE on schema seal")
        }
        _ => ("type-definition", "correct what is named; docs/sql.md lists plaintext types and terms"),
    };
    Failure::new(Exit::Database, anchor, attempted, told_error(error), advice)
}

/// The database's own words where it spoke.
fn told_error(error: &SchemaError) -> String {
    match error {
        SchemaError::Database(inner) => match inner.as_db_error() {
            Some(said) => {
                let hint = said.hint().map(|hint| format!("\n{hint}")).unwrap_or_default();
                format!("the database says: {} ({}){hint}", said.message(), said.code().code())
            }
            None => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// Type definitions that the workspace of this device has signed, or why they cannot be had.
pub(super) fn signed(context: &Context) -> Result<Vec<(TypeId, String)>, String> {
    let loaded = load_store(&context.environment, &context.sources);
    let (settings, root_key) = loaded.map_err(|faults| faults.to_string())?;
    let workspace = Workspace::of(&settings, &root_key).map_err(|error| error.to_string())?;
    let types = workspace.types().map_err(|error| error.to_string())?;
    Ok(types.into_iter().filter_map(|info| Some((info.id.parse().ok()?, info.definition))).collect())
}

fn status(context: &Context, url: Option<&str>) -> Outcome {
    let attempted = "read the state of the seal schema";
    let target = target(context, url, attempted)?;
    let (signed, unchecked) = match signed(context) {
        Ok(signed) => (signed, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let mut status = context.block_on(attempted, async {
        let client = reach(&target, attempted).await?;
        database::status(&client, &signed).await.map_err(|error| failure(attempted, &error))
    })?;
    let mut lines = described(&status);
    if let Some(why) = &unchecked {
        // Without the workspace nothing can be said of signatures.
        status.unsigned.clear();
        lines = described(&status) + &format!("\nsignatures not checked: {why}");
    }
    let value = json!({
        "installed": status.installed,
        "available": status.available,
        "types": status.types,
        "columns": status.columns,
        "unsigned": status.unsigned,
        "signatures_checked": unchecked.is_none(),
        "problems": status.problems,
    });
    context.output.result(&value, &lines);
    if status.problems.is_empty() {
        return Ok(());
    }
    context.output.exit(Exit::Database)
}

fn described(status: &Status) -> String {
    let Some(installed) = status.installed else {
        let available = status.available;
        return format!("installed  no (this columnseal has version {available}: `columnseal db install`)");
    };
    let version = match installed {
        same if same == status.available => format!("installed  version {same}, current"),
        newer if newer > status.available => {
            format!("installed  version {newer}, newer than this columnseal ({}): use a newer one", status.available)
        }
        old => format!("installed  version {old}, this columnseal has {}: `columnseal db upgrade`", status.available),
    };
    let mut lines = vec![
        version,
        format!("types      {} usable", status.types),
        format!("columns    {} encrypted", status.columns),
    ];
    lines.extend(status.unsigned.iter().map(|name| format!("unsigned   {name}: `columnseal type adopt {name}`")));
    lines.extend(status.problems.iter().map(|problem| format!("problem    {problem}")));
    lines.join("\n")
}
