//! Whether a dump of the schema restores: `pg_dump` direct, into a database that is dropped again.

use std::process::{Command, Output, Stdio};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_postgres::Client;
use tokio_postgres::error::Severity;

use crate::net::connect::connect_with;
use crate::net::dial::Dialer;
use crate::net::lend::Lent;
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

/// One trial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// What came of it.
    pub outcome: Dumped,
    /// A database that it may have left behind, and why.
    pub left: Option<(String, String)>,
}

impl From<Dumped> for Trial {
    fn from(outcome: Dumped) -> Trial {
        Trial { outcome, left: None }
    }
}

const INTERRUPTED: &str = "it was interrupted";

/// Dumps the schema of the database that `client` is connected to by `dialer`, and restores it into a new one. That one is
/// dropped again whatever comes of it, also after a signal to end. `pg_dump` is run with these environment variables and no
/// others. Blocks on files.
///
/// # Errors
/// The database cannot be asked.
pub async fn dump_and_restore(
    client: &Client,
    dialer: &Dialer,
    environment: &[(&str, &str)],
) -> Result<Trial, SchemaError> {
    const ASK: &str = "SELECT r.rolcreatedb OR r.rolsuper, pg_catalog.current_database()::text, pg_catalog.pg_encoding_to_char(d.encoding)::text, \
        d.datcollate::text, d.datctype::text, pg_catalog.gen_random_uuid()::text, session_user::text FROM pg_catalog.pg_roles r, pg_catalog.pg_database d \
        WHERE r.rolname = current_user AND d.datname = pg_catalog.current_database()";
    let row = client.query_one(ASK, &[]).await?;
    if !row.get::<_, bool>(0) {
        return Ok(Dumped::NotTried("the role may not create databases (CREATEDB)".to_owned()).into());
    }
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return Ok(Dumped::NotTried(format!("signals cannot be heeded: {error}")).into()),
    };
    let (database, role) = (row.get(1), row.get(6));
    let dumped = tokio::select! {
        dumped = dump(dialer, role, database, environment) => dumped,
        () = signals.any() => Err(INTERRUPTED.to_owned()),
    };
    let dump = match dumped {
        Ok(dump) => dump,
        Err(why) => return Ok(Dumped::NotTried(why).into()),
    };
    let scratch = format!("columnseal_doctor_{}", row.get::<_, String>(5).replace('-', ""));
    let create = format!(
        "CREATE DATABASE {scratch} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
        literal(row.get(2)),
        literal(row.get(3)),
        literal(row.get(4))
    );
    let outcome = match client.batch_execute(&create).await {
        Ok(()) => tokio::select! {
            restored = restore(dialer, &scratch, &dump) => restored,
            () = signals.any() => Dumped::NotTried(INTERRUPTED.to_owned()),
        },
        Err(error) => {
            let outcome = Dumped::NotTried(format!("a database to try it in could not be made: {}", said(&error)));
            let refused = error.as_db_error().is_some_and(|said| said.parsed_severity() == Some(Severity::Error));
            if refused {
                return Ok(outcome.into());
            }
            outcome
        }
    };
    let left = tokio::select! {
        left = drop_again(client, dialer, &scratch) => left,
        () = signals.any() => Err(INTERRUPTED.to_owned()),
    };
    Ok(Trial { outcome, left: left.err().map(|why| (scratch, why)) })
}

/// SIGTERM, SIGINT and SIGHUP, from when it is made: until then they end the process at once.
struct Signals(Signal, Signal, Signal);

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?))
    }

    /// Until one comes. Cancel safe.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
            _ = self.2.recv() => {}
        }
    }
}

/// Drops the database, whoever is in it; over a new connection where the old one was lost.
async fn drop_again(client: &Client, dialer: &Dialer, scratch: &str) -> Result<(), String> {
    let drop = format!("DROP DATABASE IF EXISTS {scratch} WITH (FORCE)");
    if client.batch_execute(&drop).await.is_ok() {
        return Ok(());
    }
    let again = connect_with(dialer, None).await.map_err(|error| error.to_string())?;
    again.batch_execute(&drop).await.map_err(|error| said(&error))
}

async fn restore(dialer: &Dialer, scratch: &str, dump: &str) -> Dumped {
    let client = match connect_with(dialer, Some(scratch)).await {
        Ok(client) => client,
        Err(error) => return Dumped::NotTried(format!("the database to try it in cannot be reached: {error}")),
    };
    match client.batch_execute(dump).await {
        Ok(()) => Dumped::Restored,
        Err(error) => match error.code() {
            Some(code) if code.code() == "42501" => {
                Dumped::NotTried(format!("the role may not make all that the schema holds: {}", said(&error)))
            }
            Some(code) if is_of_dump(code.code()) => Dumped::Failed(said(&error)),
            _ => Dumped::NotTried(format!("restoring it was cut short: {}", said(&error))),
        },
    }
}

/// The error tells of what was to be restored, and not of the server's state: of connections, conflicts, resources, its
/// operators and its system.
fn is_of_dump(sqlstate: &str) -> bool {
    !["08", "25006", "40", "53", "55P03", "57", "58", "XX"].iter().any(|class| sqlstate.starts_with(class))
}

/// The schema as SQL. The password and what TLS is checked by stay here: `pg_dump` is lent a connection.
async fn dump(dialer: &Dialer, role: &str, database: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    let lent = Lent::new().map_err(|error| format!("pg_dump cannot be lent a connection: {error}"))?;
    let mut command = Command::new("pg_dump");
    command.args(["--schema-only", "--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions"]);
    command.args(["--no-comments", "--encoding=UTF8", "--no-password"]).stdin(Stdio::null());
    command.env_clear().envs(environment.iter().copied()).env("LC_ALL", "C");
    command.env("PGHOST", lent.folder()).env("PGPORT", Lent::PORT.to_string());
    command.env("PGDATABASE", database).env("PGUSER", role);
    for name in ["PGSSLMODE", "PGGSSENCMODE", "PGCHANNELBINDING"] {
        command.env(name, "disable");
    }
    let mut run = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::select! {
        biased;
        served = lent.serve(dialer, role, database) => {
            served.map_err(|error| format!("pg_dump cannot be lent a connection: {error}"))?;
            run.await
        }
        output = &mut run => output,
    };
    let output = output.map_err(|error| error.to_string())?.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "pg_dump is not installed here".to_owned(),
        _ => format!("pg_dump cannot be run: {error}"),
    })?;
    text_of(output)
}

fn text_of(output: Output) -> Result<String, String> {
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let first = told.lines().next().unwrap_or("it failed").to_owned();
        return Err(first);
    }
    let text = String::from_utf8(output.stdout).map_err(|_| "pg_dump gives text that is not UTF-8".to_owned())?;
    Ok(for_any_server(&text))
}

/// Without commands of psql, which newer ones write at begin and end, and a setting that servers before 17 do not know.
fn for_any_server(dump: &str) -> String {
    let odd = ["\\restrict ", "\\unrestrict ", "SET transaction_timeout = "];
    let lines: Vec<&str> = dump.lines().filter(|line| !odd.iter().any(|odd| line.starts_with(odd))).collect();
    lines.join("\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_of_newer_programs_run_on_older_servers() {
        let dump = "--\n\\restrict aB3\n\nSET lock_timeout = 0;\nSET transaction_timeout = 0;\nCREATE TABLE t (id int);\n\\unrestrict aB3\n";
        assert_eq!(for_any_server(dump), "--\n\nSET lock_timeout = 0;\nCREATE TABLE t (id int);");
    }

    #[test]
    fn errors_of_the_server_say_nothing_of_the_dump() {
        for code in ["08006", "25006", "40P01", "53100", "53300", "55P03", "57014", "57P01", "58030", "XX000"] {
            assert!(!is_of_dump(code), "{code}");
        }
        for code in ["42883", "42P01", "42704", "22P02", "23514", "0A000", "55000", "2BP01"] {
            assert!(is_of_dump(code), "{code}");
        }
    }
}
