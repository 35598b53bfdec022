//! `columnseal keyset rotate`: new epochs, and dropping old ones once nothing uses them.

use std::cell::Cell;
use std::collections::BTreeSet;

use columnseal::config::{load_database, names_database};
use columnseal::crypto::Kref;
use columnseal::keyserver::workspace::Workspace;
use columnseal::net::connect::connect;
use columnseal::net::settings::Target;
use columnseal::schema::epochs::{Found, values_of};
use serde_json::json as value;

use super::Context;
use super::db;
use super::output::{Exit, Failure, Outcome};
use super::workspace::{failure, json};

/// Arguments of `keyset rotate`.
#[derive(clap::Args, Debug)]
pub(super) struct Rotate {
    /// Id or name
    keyset: String,
    /// Shred this epoch and all before it instead: what is encrypted under them is lost for good. Refused while any
    /// database holds such a value
    #[arg(long, value_name = "EPOCH")]
    drop_epoch: Option<u32>,
    /// With --drop-epoch: a database to look in; may be repeated [default: that of the settings]
    #[arg(long = "database", value_name = "URL", requires = "drop_epoch")]
    databases: Vec<String>,
    /// With --drop-epoch: do not look in any database, for values that are not wanted any more
    #[arg(long, requires = "drop_epoch", conflicts_with = "databases")]
    unchecked: bool,
    /// Forget an epoch that was published by an unfinished rotation
    #[arg(long, conflicts_with = "drop_epoch")]
    abandon: bool,
}

impl Rotate {
    pub(super) fn attempted(&self) -> String {
        match self.drop_epoch {
            Some(epoch) => format!("drop epoch {epoch} of keyset {}", self.keyset),
            None if self.abandon => format!("abandon the rotation of keyset {}", self.keyset),
            None => format!("rotate keyset {}", self.keyset),
        }
    }

    pub(super) fn run(&self, context: &Context, workspace: &Workspace, attempted: &str) -> Outcome {
        if let Some(epoch) = self.drop_epoch {
            return self.drop(context, workspace, (attempted, epoch));
        }
        let told = Cell::new(usize::MAX);
        let progress = |done: usize, all: usize| {
            if told.replace(done) != done && done < all {
                context.output.note(&format!("{done} of {all} clients have the new epoch"));
            }
        };
        let info = match self.abandon {
            true => workspace.abandon_epoch(&self.keyset),
            false => workspace.rotate_keyset(&self.keyset, &progress),
        };
        let info = info.map_err(|error| failure(attempted, &error))?;
        let text = match self.abandon {
            true => format!("{} goes on with epoch {}", info.name, info.data_epoch),
            false => format!("{} ({}) uses epoch {} for new values", info.name, info.id, info.data_epoch),
        };
        context.output.result(&json(&info), &text);
        if !self.abandon {
            context.output.note(
                "Values of older epochs stay readable. Once they are written anew through a proxy, shred the old epoch:\n\
                 columnseal keyset rotate KEYSET --drop-epoch N",
            );
        }
        Ok(())
    }

    fn drop(&self, context: &Context, workspace: &Workspace, (attempted, epoch): (&str, u32)) -> Outcome {
        let keys = |error| failure(attempted, &error);
        let krefs = workspace.epoch_krefs(&self.keyset, epoch).map_err(keys)?;
        let mut looked = 0;
        if !self.unchecked {
            let targets = self.targets(context, attempted)?;
            let pinned = workspace.pins(None).map_err(keys)?.into_iter().map(|pin| pin.database);
            covered(&targets, &pinned.collect(), attempted)?;
            for target in &targets {
                looked += look(context, target, &krefs, attempted)?;
            }
        }
        let info = workspace.drop_epoch(&self.keyset, epoch).map_err(keys)?;
        let text =
            format!("epoch {epoch} of {} and all before it are shredded; {looked} columns were looked at", info.name);
        context.output.result(&value!({ "keyset": json(&info), "columns_checked": looked }), &text);
        Ok(())
    }

    fn targets(&self, context: &Context, attempted: &str) -> Result<Vec<Target>, Failure> {
        if !self.databases.is_empty() {
            return self.databases.iter().map(|url| db::target(context, Some(url), attempted)).collect();
        }
        if !names_database(&context.environment, &context.sources) {
            let why = "no database is named, so it cannot be known whether one holds values of the epoch";
            let advice = "pass --database URL for every database; --unchecked where the values are not wanted any more";
            return Err(Failure::new(Exit::Settings, "drop-epoch", attempted, why, advice));
        }
        let loaded = load_database(&context.environment, &context.sources, None);
        Ok(vec![context.settings(attempted, loaded)?])
    }
}

/// Every database that proxies have seen encrypted columns in must be looked at.
fn covered(targets: &[Target], pinned: &BTreeSet<String>, attempted: &str) -> Outcome {
    let named = |name: &String| targets.iter().any(|target| target.name.as_ref() == Some(name));
    let missing: Vec<&str> = pinned.iter().filter(|name| !named(name)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("proxies use encrypted columns in databases that are not named: {}", missing.join(", "));
    Err(Failure::new(Exit::Failed, "drop-epoch", attempted, why, "pass --database URL for each of them as well"))
}

/// Refuses if the database holds values of the epochs; the number of columns looked at.
fn look(context: &Context, target: &Target, krefs: &[Kref], attempted: &str) -> Result<usize, Failure> {
    let found: Found = context.block_on(attempted, async {
        let mut client = connect(target, None).await.map_err(|error| {
            let advice = "look at --database: host, port, role, password, tls";
            Failure::new(Exit::Database, "database", attempted, error, advice)
        })?;
        values_of(&mut client, krefs).await.map_err(|error| db::failure(attempted, &error))
    })?;
    let database = target.name.as_deref().unwrap_or("the database");
    let mut why: Vec<String> =
        found.values.iter().map(|(name, n)| format!("{database}: {name} holds {n} such values")).collect();
    why.extend(found.unseen.iter().map(|name| format!("{database}: {name} cannot be looked into")));
    if why.is_empty() {
        return Ok(found.columns);
    }
    let advice = "read these values and write them back through a proxy, then try again";
    Err(Failure::new(Exit::Failed, "drop-epoch", attempted, why.join("\n"), advice))
}
