//! `columnseal keyserver`.

use columnseal::app::KeyServer as Server;
use columnseal::config::{KeyServerConfig, load_keyserver};
use columnseal::keyserver::http::{self, ServeError};
use columnseal::telemetry::log::{self, LogHandle};
use columnseal::telemetry::settings::Settings as Telemetry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::output::{Exit, Failure, Outcome};
use super::reload::Reload;
use super::signals::Signals;
use super::workspace;

const ATTEMPTED: &str = "start the key server";

/// Arguments of `keyserver`.
#[derive(clap::Args, Debug)]
pub(super) struct KeyServer {
    /// Print the OpenAPI document, and end
    #[arg(long)]
    openapi: bool,
}

impl KeyServer {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        if self.openapi {
            let document = http::document();
            context.output.result(document, &format!("{document:#}"));
            return Ok(());
        }
        let config = context.settings(ATTEMPTED, load_keyserver(&context.environment, &context.sources))?;
        let log = log::init(&config.telemetry);
        raise_open_files();
        context.block_on(ATTEMPTED, serve(context, config, &log))
    }
}

/// As many connections as the system lets this process have.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files could not be raised: many proxies may need more (ulimit -n)");
    }
}

async fn serve(context: &Context, config: KeyServerConfig, log: &LogHandle) -> Outcome {
    let system = |error: std::io::Error| {
        Failure::new(Exit::Failed, "system", ATTEMPTED, error, "look at the limits of this process (ulimit -a)")
    };
    let shutdown = CancellationToken::new();
    let signals = Signals::new().map_err(system)?;
    let tls = config.server.tls.is_some();
    let server = Server::start(config, shutdown.clone()).await.map_err(|error| failure(&error))?;
    let address = server.address().map_err(system)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %address, tls, "listening");
    if let Some(path) = server.bootstrap_token() {
        tracing::info!(
            token = %path.display(),
            "there is no workspace yet: `columnseal init --server URL --bootstrap-token FILE` makes it with this token"
        );
    }
    let mut reload = Reload::new(context, &["log.level"]);
    let apply = |telemetry: &Telemetry| log.set_level(&telemetry.level);
    let load = || load_keyserver(&context.environment, &context.sources).map(|config| config.telemetry);
    let watch = signals.watch(&shutdown, || {
        reload.run(load, apply);
    });
    tokio::select! {
        () = server.run() => {}
        () = watch => {}
    }
    tracing::info!("ended");
    Ok(())
}

fn failure(error: &ServeError) -> Failure {
    match error {
        ServeError::Keys(error) => workspace::failure(ATTEMPTED, error),
        ServeError::Tls(_) => {
            Failure::new(Exit::Settings, "tls", ATTEMPTED, error, "look at tls.certificate and tls.private_key")
        }
        ServeError::Listen { .. } => {
            let advice = "end what listens there, or choose another [keyserver] or [metrics] address";
            Failure::new(Exit::Failed, "listen", ATTEMPTED, error, advice)
        }
    }
}
