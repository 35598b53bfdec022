//! What in a database breaks with encrypted columns, or keeps plaintext beside them: `columnseal doctor`, and the dry run of
//! `columnseal encrypt`.
//!
//! The definitions of views, triggers, functions and all other objects go through the analysis of statements, as the
//! proxy would be sent them: what it refuses is told in its own words. Beside it stands what PostgreSQL itself would
//! fail at. Nothing is changed, and no value is told.

mod bodies;
mod columns;
mod dump;
mod estimates;
mod existing;
mod forecast;
mod judge;
mod objects;
mod plpgsql;
mod publications;
mod routines;
mod values;
mod variables;

use tokio_postgres::Client;

use crate::schema::SchemaError;
use crate::schema::catalog::Catalog;

pub use dump::{Dumped, Trial, dump_and_restore};
pub use forecast::{Effect, Forecast, ForecastError, Item, Wish, forecast};
pub use objects::Kind;
pub use values::{Counted, Fault as ValueFault};

/// How bad something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// All is well.
    Ok,
    /// It works, and should be looked at.
    Warning,
    /// It fails, gives wrong answers or tells values.
    Fault,
}

impl Level {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Fault => "fault",
        }
    }
}

/// Something that was looked at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    /// What kind of thing it is, as `view`.
    pub what: &'static str,
    /// Its name, with its schema.
    pub name: String,
    /// How bad it is.
    pub level: Level,
    /// What is found, without a full stop.
    pub why: String,
    /// What to do about it; empty where nothing is to be done.
    pub advice: String,
}

impl Finding {
    fn new(kind: Kind, name: &str, level: Level, why: impl Into<String>, advice: impl Into<String>) -> Finding {
        let (why, advice) = (sentence(&why.into()), sentence(&advice.into()));
        Finding { what: kind.word(), name: name.to_owned(), level, why, advice }
    }
}

/// Without the full stop at its end.
fn sentence(text: &str) -> String {
    text.trim_end_matches('.').to_owned()
}

/// All objects of the database that break with encrypted columns or look forgotten, sorted. The catalog must be of the
/// same database. Not cancel safe: the connection is left in a transaction.
///
/// # Errors
/// The catalogs cannot be read.
pub async fn examine(client: &Client, catalog: &Catalog) -> Result<Vec<Finding>, SchemaError> {
    begin(client).await?;
    let found = existing::examine(client, catalog).await;
    client.batch_execute("ROLLBACK").await?;
    let mut found = found?;
    found.sort();
    found.dedup();
    Ok(found)
}

/// A transaction in which definitions are printed as [`objects`] wants them.
async fn begin(client: &Client) -> Result<(), SchemaError> {
    const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = seal";
    Ok(client.batch_execute(BEGIN).await?)
}
