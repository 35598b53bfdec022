//! `columnseal bench`: what the proxy costs beside a direct connection, PgBouncer and a bare splice, and what encryption costs beside plain
//! columns. Starts what it needs; contestants are interleaved round by round, so that whatever else the machine does touches all of them.

mod bulk;
mod columns;
mod connections;
mod contest;
mod corpus;
mod documents;
mod figures;
mod keys;
mod loads;
mod markdown;
mod pgbench;
mod plot;
mod process;
mod searches;
mod splice;
mod stage;
mod targets;
mod wire;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use self::figures::Report;
use self::stage::Stage;
use super::output::Output;

/// Measures and prints tables of ratios.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    only: Option<Only>,
    /// What to measure; default: all
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SECTION")]
    sections: Vec<Section>,
    /// Only loads whose name holds this
    #[arg(long, value_name = "TEXT")]
    load: Vec<String>,
    /// Rows of the tables with and without encrypted columns; several sizes are measured one after the other
    #[arg(long, value_delimiter = ',', default_value = "10000", value_name = "ROWS", value_parser = positive::<u32>)]
    rows: Vec<u32>,
    /// Clients, each with a connection of its own
    #[arg(long, value_delimiter = ',', default_value = "1,8,32", value_name = "CLIENTS", value_parser = positive::<u32>)]
    clients: Vec<u32>,
    /// Seconds of each load in each round
    #[arg(long, default_value_t = 2, value_parser = positive::<u32>)]
    seconds: u32,
    /// Rounds; medians are printed
    #[arg(long, default_value_t = 3, value_parser = positive::<u32>)]
    rounds: u32,
    /// Longest that a statement on columns or documents may take, in seconds: what takes longer is left out, and the tables say so
    #[arg(long, default_value_t = 60, value_parser = positive::<u32>, value_name = "SECONDS")]
    patience: u32,
    /// Scale of pgbench's tables, 100,000 rows each
    #[arg(long, default_value_t = 10, value_parser = positive::<u32>)]
    scale: u32,
    /// Idle connections to hold open
    #[arg(long, default_value_t = 1_000, value_parser = positive::<u32>)]
    idle: u32,
    /// Folder for bench.md, bench.json and plots, made where it is missing
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Section {
    /// pgbench on plain tables: direct, PgBouncer, a bare splice, the proxy
    Wire,
    /// Lookups, ranges, LIKE, joins, sorts and groups on encrypted columns beside plain ones
    Columns,
    /// Conditions on JSON and LIKE beside plain jsonb and pg_trgm, with sizes of columns and indexes; tables of 1,000,000 rows at most
    Documents,
    /// SELECT of many rows and COPY both ways, with 0 to 20 encrypted columns
    Bulk,
    /// Rate of new connections, idle connections, start to first encrypted query
    Connections,
}

impl Section {
    const ALL: [Section; 5] =
        [Section::Wire, Section::Columns, Section::Documents, Section::Bulk, Section::Connections];
}

/// A benchmark of its own.
#[derive(clap::Subcommand, Debug)]
enum Only {
    /// Measure the key service: keys, grants, fetches, revocation, event streams
    Keys(keys::KeysArgs),
    /// Forward bytes between two ports, as the least that a proxy can do
    #[command(hide = true)]
    Splice(splice::SpliceArgs),
}

impl BenchArgs {
    /// What is to be measured, in this order.
    fn sections(&self) -> &[Section] {
        if self.sections.is_empty() { &Section::ALL } else { &self.sections }
    }

    /// Connections at once, but for idle ones.
    fn most_clients(&self) -> u32 {
        self.clients.iter().copied().max().unwrap_or(1)
    }

    /// Whether a load is to be run.
    fn wants(&self, load: &str) -> bool {
        self.load.is_empty() || self.load.iter().any(|part| load.contains(part.as_str()))
    }
}

fn positive<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    text.parse().ok().filter(|number| *number >= T::from(1)).ok_or_else(|| "write a whole number from 1".to_owned())
}

/// Runs the benchmark.
///
/// # Errors
/// What could not be started or measured, in words.
pub(super) async fn run(args: &BenchArgs, output: Output) -> Result<(), String> {
    match &args.only {
        Some(Only::Keys(only)) => return keys::run(only, output.json).await,
        Some(Only::Splice(only)) => return splice::run(only).await,
        None => {}
    }
    let mut interrupted = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
    connections::prepare(args)?;
    let mut stage = Stage::start(args.most_clients(), output).await?;
    let mut report = Report::new(&stage, args);
    // Not to leave the servers behind.
    let measured = tokio::select! {
        measured = measure(&mut stage, args, &mut report) => measured,
        _ = interrupted.recv() => Err("interrupted".to_owned()),
    };
    drop(stage);
    // What was measured until then is not lost.
    if measured.is_ok() || !report.figures.is_empty() {
        report.publish(args.output.as_deref(), output.json)?;
    }
    measured
}

async fn measure(stage: &mut Stage, args: &BenchArgs, report: &mut Report) -> Result<(), String> {
    for section in args.sections() {
        match section {
            Section::Wire => wire::measure(stage, args, report).await?,
            Section::Columns => columns::measure(stage, args, report).await?,
            Section::Documents => documents::measure(stage, args, report).await?,
            Section::Bulk => bulk::measure(stage, args, report).await?,
            Section::Connections => connections::measure(stage, args, report).await?,
        }
    }
    Ok(())
}
