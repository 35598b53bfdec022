//! Whether a dump of the schema restores: `pg_dump` direct, into a database that is dropped again.

use std::process::Stdio;

use secrecy::ExposeSecret;
use tokio_postgres::Client;

use crate::net::connect::connect;
use crate::net::settings::{SslMode, Target};
use crate::schema::SchemaError;
use crate::schema::name::literal;

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dumped {
    /// It restores.
    Restored,
    /// It was not tried, and why.
    NotTried(String),
    /// It does not restore, and why.
    Failed(String),
}

/// `insufficient_privilege`.
const DENIED: &str = "42501";

/// Dumps the schema of the database that `client` is connected to by `target`, and restores it into a new one. That one is
/// dropped again whatever comes of it, also where this is dropped halfway through a signal.
///
/// # Errors
/// The database cannot be asked.
pub async fn dump_and_restore(client: &Client, target: &Target) -> Result<Dumped, SchemaError> {
    const ASK: &str = "SELECT r.rolcreatedb OR r.rolsuper, pg_catalog.current_database()::text, pg_catalog.pg_encoding_to_char(d.encoding)::text, \
        d.datcollate::text, d.datctype::text, pg_catalog.gen_random_uuid()::text FROM pg_catalog.pg_roles r, pg_catalog.pg_database d \
        WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()";
    let row = client.query_one(ASK, &[]).await?;
    if !row.get::<_, bool>(0) {
        return Ok(Dumped::NotTried("the role may not create databases (CREATEDB)".to_owned()));
    }
    let database: String = row.get(1);
    let dump = match dump(target, &database).await {
        Ok(dump) => dump,
        Err(why) => return Ok(Dumped::NotTried(why)),
    };
    let scratch = format!("columnseal_doctor_{}", row.get::<_, String>(5).replace('-', ""));
    let quote = |name: String| literal(&name);
    let create = format!(
        "CREATE DATABASE {scratch} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
        quote(row.get(2)),
        quote(row.get(3)),
        quote(row.get(4))
    );
    if let Err(error) = client.batch_execute(&create).await {
        return Ok(Dumped::NotTried(format!("a database to try it in could not be made: {}", said(&error))));
    }
    let restored = tokio::select! {
        restored = restore(target, &scratch, &dump) => restored,
        _ = tokio::signal::ctrl_c() => Dumped::NotTried("it was interrupted".to_owned()),
    };
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {scratch} WITH (FORCE)")).await?;
    Ok(restored)
}

async fn restore(target: &Target, scratch: &str, dump: &str) -> Dumped {
    let client = match connect(target, Some(scratch)).await {
        Ok(client) => client,
        Err(error) => return Dumped::NotTried(format!("the database to try it in cannot be reached: {error}")),
    };
    match client.batch_execute(dump).await {
        Ok(()) => Dumped::Restored,
        Err(error) if error.code().is_some_and(|code| code.code() == DENIED) => {
            Dumped::NotTried(format!("the role may not make all that the schema holds: {}", said(&error)))
        }
        Err(error) => Dumped::Failed(said(&error)),
    }
}

/// The schema as SQL.
async fn dump(target: &Target, database: &str) -> Result<String, String> {
    let mut command = std::process::Command::new("pg_dump");
    command.args([
        "--schema-only",
        "--no-owner",
        "--no-privileges",
        "--no-publications",
        "--no-subscriptions",
        "--no-comments",
    ]);
    command.arg("--no-password").stdin(Stdio::null());
    let (hosts, ports): (Vec<_>, Vec<_>) =
        target.hosts.iter().map(|(host, port)| (host.clone(), port.to_string())).unzip();
    command.env("PGHOST", hosts.join(",")).env("PGPORT", ports.join(",")).env("PGDATABASE", database);
    command.env("PGSSLMODE", target.sslmode.name());
    command.env("PGCONNECT_TIMEOUT", target.connect_timeout.as_secs().max(2).to_string());
    let root = target.sslrootcert.as_ref().map(|path| path.as_os_str());
    command.env("PGSSLROOTCERT", root.unwrap_or_else(|| std::ffi::OsStr::new("system")));
    if target.sslrootcert.is_none() && !matches!(target.sslmode, SslMode::VerifyCa | SslMode::VerifyFull) {
        command.env_remove("PGSSLROOTCERT");
    }
    if let Some(user) = &target.user {
        command.env("PGUSER", user);
    }
    if let Some(password) = &target.password {
        command.env("PGPASSWORD", password.expose_secret());
    }
    let run = tokio::task::spawn_blocking(move || command.output()).await;
    let output = run.map_err(|error| error.to_string())?.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "pg_dump is not installed here".to_owned(),
        _ => format!("pg_dump cannot be run: {error}"),
    })?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let first = told.lines().next().unwrap_or("it failed").to_owned();
        return Err(first);
    }
    let text = String::from_utf8(output.stdout).map_err(|_| "pg_dump gives text that is not UTF-8".to_owned())?;
    // Commands of psql, which newer ones write at begin and end.
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// The server's own words where it spoke, without details; not where they may quote a value.
fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) if said.code().code().starts_with("22") => {
            format!("a value of the schema is refused ({})", said.code().code())
        }
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => error.to_string(),
    }
}
