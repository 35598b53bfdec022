//! The command line: one file per subcommand. The only code that prints.

mod admin;
mod audit;
mod auth;
mod bench;
mod client;
mod completions;
mod dashboard;
mod db;
mod device;
mod doctor;
mod encrypt;
mod init;
mod keyserver;
mod keyset;
mod login;
mod output;
mod proxy;
mod reload;
mod rewrap;
mod rotate;
mod signals;
mod store;
mod types;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use columnseal::config::{Environment, Faults, Sources};

use output::{Exit, Failure, Outcome, Output};

/// Self-hosted encryption proxy for PostgreSQL.
#[derive(Parser, Debug)]
#[command(name = "columnseal", version, about, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args, Debug)]
struct Global {
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print no colours
    #[arg(long, global = true)]
    no_color: bool,
    /// Settings file [default: columnseal.toml in this directory, if there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use the key server at this address instead of the embedded one, as keys.service does
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Override a setting, as server.port=6432
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the proxy
    Proxy(proxy::Proxy),
    /// Run the key server
    Keyserver(keyserver::KeyServer),
    /// Serve the dashboard on this machine, with its admin's key
    Dashboard(dashboard::Dashboard),
    /// Sign in to the page of the key server: prints an address that works once
    Login(login::Login),
    /// Set up a workspace on this device, and the seal schema where a database is given
    Init(init::Init),
    /// Manage client keys and their grants
    #[command(subcommand)]
    Client(client::Client),
    /// Let developers' devices in
    #[command(subcommand)]
    Device(device::Device),
    /// See and change who the admins are
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Make this device the admin, with the recovery kit, when every admin's device is lost
    Recover(admin::Recover),
    /// Users that the proxy lets in itself (auth.mode = "managed")
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Manage keysets
    #[command(subcommand)]
    Keyset(keyset::Keyset),
    /// Show and verify the audit trail
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Look after the key store: backups, root keys
    #[command(subcommand)]
    Store(store::Store),
    /// Manage encrypted types and pins
    #[command(subcommand)]
    Type(types::Type),
    /// Install and look after the seal schema
    #[command(subcommand)]
    Db(db::Db),
    /// Check the whole set-up and every object of the database, and say what to do
    Doctor(doctor::Doctor),
    /// Say what encrypting a column would need (--dry-run)
    Encrypt(encrypt::Encrypt),
    /// Measure statements direct, through the proxy, and encrypted
    Bench(bench::BenchArgs),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// What every command is handed.
struct Context {
    environment: Environment,
    sources: Sources,
    output: Output,
}

impl Context {
    /// Turns faults in settings into a failure of `attempted`.
    fn settings<T>(&self, attempted: &str, result: Result<T, Faults>) -> Result<T, Failure> {
        result.map_err(|faults| {
            let advice = "correct what is named; config/example.toml lists every key";
            Failure::new(Exit::Settings, "settings", attempted, faults, advice)
        })
    }

    fn bench(&self, arguments: &bench::BenchArgs) -> Outcome {
        let attempted = "run the benchmark";
        self.block_on(attempted, async {
            bench::run(arguments, self.output).await.map_err(|why| {
                let advice = "read what failed above; PostgreSQL's server with pgbench must be installed";
                Failure::new(Exit::Failed, "bench", attempted, why, advice)
            })
        })
    }

    /// Runs asynchronous work to its end on this thread and a few others.
    fn block_on<T>(&self, attempted: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
            Failure::new(Exit::Failed, "system", attempted, error, "look at the limits of this process (ulimit -a)")
        })?;
        runtime.block_on(work)
    }
}

/// Tells where the program failed, and nothing of what it was working on.
pub(crate) fn panicked(info: &std::panic::PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    output::stderr(&format!("internal error at {place}; please report it"));
}

/// Reads the arguments. A mistake in them may hold a key that was pasted to the wrong place.
pub(crate) fn arguments() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|error| {
        let text = if output::is_terminal() { error.render().ansi().to_string() } else { error.render().to_string() };
        match error.use_stderr() {
            true => output::stderr(text.trim_end()),
            false => drop(output::stdout(text.trim_end())),
        }
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

/// Runs the command. `hygiene` says whether memory could be kept private.
pub(crate) fn run(arguments: &Arguments, hygiene: std::io::Result<()>) -> ExitCode {
    let environment = Environment::of_process();
    let global = &arguments.global;
    let color = !global.no_color && environment.variable("NO_COLOR").is_none() && environment.on_terminal();
    let output = Output { json: global.json, quiet: global.quiet, color };
    if let Err(error) = hygiene {
        output.warn(&format!("core dumps could not be turned off ({error}); keys may reach a dump"));
    }
    let mut flags = global.set.clone();
    flags.extend(global.server.iter().map(|url| ("keys.service".to_owned(), url.clone())));
    let sources = Sources { file: global.config.clone(), flags };
    let context = Context { environment, sources, output };
    let outcome = match &arguments.command {
        Command::Proxy(command) => command.run(&context),
        Command::Keyserver(command) => command.run(&context),
        Command::Dashboard(command) => command.run(&context),
        Command::Login(command) => command.run(&context),
        Command::Init(command) => command.run(&context),
        Command::Client(command) => command.run(&context),
        Command::Device(command) => command.run(&context),
        Command::Admin(command) => command.run(&context),
        Command::Recover(command) => command.run(&context),
        Command::Auth(command) => command.run(&context),
        Command::Keyset(command) => command.run(&context),
        Command::Type(command) => command.run(&context),
        Command::Db(command) => command.run(&context),
        Command::Audit(command) => command.run(&context),
        Command::Store(command) => command.run(&context),
        Command::Doctor(command) => command.run(&context),
        Command::Encrypt(command) => command.run(&context),
        Command::Bench(arguments) => context.bench(arguments),
        Command::Completions(command) => command.run(&context),
    };
    match outcome {
        Ok(()) if output::failed() => {
            let advice = "look at where standard output goes";
            context.output.failure(&Failure::new(
                Exit::Failed,
                "system",
                "write the result",
                "it was not taken",
                advice,
            ))
        }
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => context.output.failure(&failure),
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write section.key=value")?;
    if key.split('.').count() != 2 {
        return Err("write section.key=value".to_owned());
    }
    Ok((key.trim().to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn settings_are_split_at_the_first_sign() {
        assert_eq!(setting("database.url=a=b"), Ok(("database.url".to_owned(), "a=b".to_owned())));
        for bad in ["port", "port=1", "a.b.c=1", "=1", ""] {
            assert!(setting(bad).is_err(), "{bad}");
        }
    }
}
