//! `columnseal proxy`.

use columnseal::app::{self, App, Checked, StartError};
use columnseal::config::{Config, load};
use columnseal::session::listen::GateError;
use columnseal::telemetry::log::{self, LogHandle};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::db;
use super::output::{Exit, Failure, Outcome};
use super::reload::Reload;
use super::signals::Signals;
use super::workspace;

/// Arguments of `proxy`.
#[derive(clap::Args, Debug)]
pub(super) struct Proxy {
    /// Try all settings, the client key, the database and its types, and end
    #[arg(long)]
    check: bool,
}

impl Proxy {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let attempted = if self.check { "check the proxy" } else { "start the proxy" };
        let config = context.settings(attempted, load(&context.environment, &context.sources))?;
        let log = log::init(&config.telemetry);
        if self.check {
            let checked = context
                .block_on(attempted, async { app::check(&config).await.map_err(|error| failure(attempted, &error)) })?;
            return report(context, &checked);
        }
        context.block_on(attempted, serve(context, &config, &log, attempted))
    }
}

async fn serve(context: &Context, config: &Config, log: &LogHandle, attempted: &str) -> Outcome {
    let shutdown = CancellationToken::new();
    let app = App::start(config, shutdown.clone()).await.map_err(|error| failure(attempted, &error))?;
    let addresses = app.addresses();
    let metrics = addresses.metrics.map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), proxy = addresses.proxy.join(" "), metrics, "listening");
    let signals = Signals::new().map_err(|error| {
        Failure::new(Exit::Failed, "system", attempted, error, "look at the limits of this process (ulimit -a)")
    })?;
    let (audit, gate, slow, counts) = (app.audit(), app.gate(), app.slow(), app.reloads());
    let mut reload = Reload::new(context, &["log.level", "log.slow_statement"]);
    let load = || load(&context.environment, &context.sources).map(|config| config.telemetry);
    let watch = signals.watch(&shutdown, || {
        audit.reopen();
        gate.reload_users();
        let applied = reload.run(load, |telemetry| {
            log.set_level(&telemetry.level);
            slow.set(telemetry.slow_statement);
        });
        if applied { &counts.applied } else { &counts.refused }.increment(1);
    });
    tokio::select! {
        () = app.run() => {}
        () = watch => {}
    }
    tracing::info!("ended");
    Ok(())
}

fn report(context: &Context, checked: &Checked) -> Outcome {
    let mut lines = vec![
        "settings   no faults".to_owned(),
        format!("client     {}: known, its grants can be used", checked.client),
        match &*checked.keyset {
            "" => "keyset     none: every session must choose one".to_owned(),
            keyset => format!("keyset     {keyset}: new values can be encrypted and searched for"),
        },
    ];
    lines.extend(checked.users.map(|users| format!("users      {users}: the proxy checks their passwords itself")));
    let (mut seal, mut problems) = (None, Vec::new());
    match &checked.schema {
        None => {
            lines.push("database   answers; its types are not looked at, since [database] user is not set".to_owned());
        }
        Some(status) => {
            lines.push("database   answers, and lets the proxy log in".to_owned());
            lines.push(match status.installed {
                Some(version) => {
                    format!("seal       version {version}, {} types, {} columns", status.types, status.columns)
                }
                None => "seal       not installed".to_owned(),
            });
            if status.installed.is_none() {
                problems.push("schema seal is not installed: run `columnseal db install`".to_owned());
            }
            let unsigned =
                |name: &String| format!("type seal.{name} is not signed: run `columnseal type adopt {name}`");
            problems.extend(status.unsigned.iter().map(unsigned));
            problems.extend(status.problems.iter().cloned());
            seal = status.installed;
        }
    }
    lines.extend(problems.iter().map(|problem| format!("problem    {problem}")));
    let value = json!({
        "client": checked.client, "keyset": checked.keyset, "users": checked.users, "seal_version": seal, "problems": problems,
    });
    context.output.result(&value, &lines.join("\n"));
    if problems.is_empty() { Ok(()) } else { context.output.exit(Exit::Database) }
}

/// What the user sees of a proxy that does not start.
pub(super) fn failure(attempted: &str, error: &StartError) -> Failure {
    let advice = match error {
        StartError::Keys(error) => return workspace::failure(attempted, error),
        StartError::Schema(error) => return db::failure(attempted, error),
        StartError::NoClientKey => "set what `columnseal client create NAME --keyset default` printed",
        StartError::ClientKey(_) => "copy CS_CLIENT_KEY again, whole and as it was printed",
        StartError::OtherClient { .. } => "set the CS_CLIENT_ID that was printed with this key",
        StartError::Gate(GateError::Users(_)) => {
            "correct the file of auth.users; `columnseal auth add USER` writes a line"
        }
        StartError::Gate(GateError::Random) => "look at the limits of this process (ulimit -a)",
        StartError::Tls(_) | StartError::Gate(GateError::Tls(_)) => "look at [tls] and [database] root_certificate",
        StartError::Listen { .. } => "end what listens there, or choose another [server] or [metrics] address",
        StartError::Audit(_) => "make the file of [audit] sink writable, or set [audit] required = false",
        StartError::Database(_) => "look at [database]: host, port, role, password, tls",
    };
    let (exit, anchor) = match error {
        StartError::NoClientKey | StartError::ClientKey(_) | StartError::OtherClient { .. } => {
            (Exit::Keys, "client-key")
        }
        StartError::Tls(_) | StartError::Gate(GateError::Tls(_)) => (Exit::Settings, "tls"),
        StartError::Gate(GateError::Users(_)) => (Exit::Settings, "users"),
        StartError::Audit(_) => (Exit::Failed, "audit"),
        StartError::Database(_) => (Exit::Database, "database"),
        _ => (Exit::Failed, "listen"),
    };
    Failure::new(exit, anchor, attempted, error, advice)
}
