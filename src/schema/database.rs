//! The `seal` schema on a connection of our own: install, status, new types, and loading the catalog.

use std::collections::HashSet;

use tokio_postgres::Client;

use super::catalog::{Catalog, Standing, TypeDef};
use super::rows::query;
use super::snapshot::{self, CHANGE_PROBE, HEAD};
use super::{SchemaError, install, registry};
use crate::crypto::{ClientId, TypeId};

/// What an installation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Installed {
    /// There was none; now there is this version.
    New(u32),
    /// It was upgraded in place.
    Upgraded {
        /// Version before.
        from: u32,
        /// Version now.
        to: u32,
    },
    /// Nothing was to be done.
    Current(u32),
}

/// State of the schema in a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Version installed.
    pub installed: Option<u32>,
    /// Version that this program would install.
    pub available: u32,
    /// Encrypted types that can be used.
    pub types: usize,
    /// Encrypted columns of tables and views.
    pub columns: usize,
    /// Names of types made by SQL alone, in order.
    pub unsigned: Vec<String>,
    /// What is wrong, one sentence each, without a full stop.
    pub problems: Vec<String>,
}

/// Indexes that stand on a composite itself: PostgreSQL accepts them and fails at the second row.
const BAD_INDEXES: &str = "\
SELECT i.indexrelid::pg_catalog.regclass::pg_catalog.text, t.typname::pg_catalog.text \
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indexrelid \
  AND a.attnum OPERATOR(pg_catalog.<=) i.indnkeyatts \
JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid \
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace \
WHERE n.nspname OPERATOR(pg_catalog.=) 'seal' AND t.typtype OPERATOR(pg_catalog.=) 'c' ORDER BY 1";

/// Rows of the registry whose composite is gone.
const ORPHANS: &str = "\
SELECT r.name::pg_catalog.text FROM seal.types r \
WHERE pg_catalog.to_regtype(pg_catalog.format('seal.%I', r.name)) IS NULL ORDER BY 1";

/// Installs or upgrades the schema in one transaction. Not cancel safe: the connection is left in the transaction.
pub async fn install(client: &Client) -> Result<Installed, SchemaError> {
    let before = version(client).await?;
    match before {
        Some(installed) if installed > install::VERSION => {
            return Err(SchemaError::Newer { installed, known: install::VERSION });
        }
        Some(installed) if installed == install::VERSION => return Ok(Installed::Current(installed)),
        _ => {}
    }
    let done = client.batch_execute(&format!("BEGIN;\n{}\nCOMMIT;", install::install_sql())).await;
    if let Err(error) = done {
        client.batch_execute("ROLLBACK").await?;
        return Err(error.into());
    }
    Ok(match before {
        None => Installed::New(install::VERSION),
        Some(from) => Installed::Upgraded { from, to: install::VERSION },
    })
}

/// Version of the installed schema. Cancel safe.
pub async fn version(client: &Client) -> Result<Option<u32>, SchemaError> {
    let head = query(client, HEAD).await?;
    Ok(head.first().and_then(|row| row.first()?.as_deref()?.parse().ok()))
}

/// The catalog, read in one transaction of its own. `signed`: id and canonical definition of the types the workspace
/// knows; `pinned`: some columns are pinned or configured, so relations are wanted even without the schema. Not
/// cancel safe: the connection is left in the transaction.
pub async fn load(
    client: &Client,
    signed: &[(TypeId, String)],
    trusted_functions: &[String],
    pinned: bool,
) -> Result<Catalog, SchemaError> {
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let answers = answers(client, pinned).await;
    client.batch_execute("ROLLBACK").await?;
    snapshot::build(&answers?, signed, trusted_functions)
}

async fn answers(client: &Client, pinned: bool) -> Result<Vec<Vec<Vec<Option<String>>>>, SchemaError> {
    let mut rows = vec![query(client, HEAD).await?];
    for text in snapshot::rest(&rows[0], pinned) {
        rows.push(query(client, text).await?);
    }
    Ok(rows)
}

/// The answer to the change probe. Cancel safe.
pub async fn change_probe(client: &Client) -> Result<String, SchemaError> {
    let rows = query(client, CHANGE_PROBE).await?;
    rows.into_iter().flatten().next().flatten().ok_or(SchemaError::Answer("the change probe gave nothing"))
}

/// State of the schema. Not cancel safe, as [`load`].
pub async fn status(client: &Client, signed: &[(TypeId, String)]) -> Result<Status, SchemaError> {
    let catalog = load(client, signed, &[], false).await?;
    let mut status = Status {
        installed: catalog.seal_version,
        available: install::VERSION,
        types: catalog.types.values().filter(|t| t.standing == Standing::Verified && t.whole.is_none()).count(),
        columns: 0,
        unsigned: Vec::new(),
        problems: Vec::new(),
    };
    let Some(installed) = catalog.seal_version else {
        return Ok(status);
    };
    if installed > install::VERSION {
        status
            .problems
            .push(format!("version {installed} is newer than this program, which knows {}", install::VERSION));
    }
    describe_types(&catalog, &mut status);
    status.problems.extend(registry_problems(client, &catalog).await?);
    for row in query(client, BAD_INDEXES).await? {
        if let [Some(index), Some(name)] = row.as_slice() {
            status
                .problems
                .push(format!("index {index} stands on seal.{name} itself and not on one of its terms: drop it"));
        }
    }
    status.problems.sort();
    Ok(status)
}

/// Types that are missing, one sentence each, without a full stop. Cancel safe.
pub async fn registry_problems(client: &Client, catalog: &Catalog) -> Result<Vec<String>, SchemaError> {
    let names: HashSet<&str> = catalog.types.values().map(|t| t.def.name.as_str()).collect();
    let missing = registry::ready_made().iter().filter(|def| !names.contains(def.name.as_str()));
    let mut problems: Vec<String> =
        missing.map(|def| format!("the ready-made type seal.{} is missing", def.name)).collect();
    for row in query(client, ORPHANS).await? {
        if let [Some(name)] = row.as_slice() {
            problems.push(format!("seal.types has a row for {name}, but there is no such type"));
        }
    }
    problems.sort();
    Ok(problems)
}

fn describe_types(catalog: &Catalog, status: &mut Status) {
    for kind in catalog.types.values().filter(|kind| kind.whole.is_none()) {
        match &kind.standing {
            Standing::Verified => {}
            Standing::Unsigned => status.unsigned.push(kind.def.name.clone()),
            Standing::Broken(why) => status.problems.push(format!("type seal.{} is refused: {why}", kind.def.name)),
        }
    }
    status.unsigned.sort();
    let relations = catalog.relations.values().flat_map(|r| r.values());
    status.columns = relations.flat_map(|r| &r.columns).filter(|c| c.direct).count();
}

/// Makes an encrypted type by `seal.create_type` and gives back its definition as the database entered it, to be
/// signed. Not cancel safe: the type may have been made.
pub async fn create_type(
    client: &Client,
    name: &str,
    plain: &str,
    terms: &str,
    (options, paths): (&str, &str),
) -> Result<TypeDef, SchemaError> {
    if version(client).await?.is_none() {
        return Err(SchemaError::NotInstalled);
    }
    client
        .query_one(
            "SELECT seal.create_type($1, $2, $3, $4::pg_catalog.text::pg_catalog.json, $5::pg_catalog.text::pg_catalog.json)::pg_catalog.text",
            &[&name, &plain, &terms, &options, &paths],
        )
        .await?;
    definition(client, name).await?.ok_or(SchemaError::Registry)
}

/// The definition that the database's registry holds for a name. Cancel safe.
pub async fn definition(client: &Client, name: &str) -> Result<Option<TypeDef>, SchemaError> {
    const ROW: &str = "SELECT name::text, id::text, plain::text, terms::text, options::text, keyset::text FROM seal.types WHERE name = $1";
    let Some(row) = client.query_opt(ROW, &[&name]).await? else {
        return Ok(None);
    };
    let fields: [Option<&str>; 6] = [row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5)];
    registry::from_row(fields).map(Some)
}

/// Stores a definition's signature beside it, for tools that read the registry. Cancel safe.
pub async fn record_signature(
    client: &Client,
    id: TypeId,
    signer: ClientId,
    signature: &[u8],
) -> Result<(), SchemaError> {
    const UPDATE: &str = "UPDATE seal.types SET signature = $2, signer = $3::text::uuid WHERE id = $1::text::uuid";
    client.execute(UPDATE, &[&id.to_string(), &signature, &signer.to_string()]).await?;
    Ok(())
}
