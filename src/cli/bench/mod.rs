//! `columnseal bench`: the same loads direct, through the proxy on plain tables and on encrypted ones; ratios of one run.
//!
//! Contestants are interleaved round by round, so that whatever else the machine does touches all of them.

mod keys;
mod load;
mod report;
mod setup;

use std::time::Duration;

use clap::Args;

use self::load::{Contestant, Load, measure};
use self::report::Results;

/// Loads the database through all ways there are and prints ratios.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    only: Option<Only>,
    /// Database to use, reached directly; default: a private PostgreSQL is started
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Rows in each table
    #[arg(long, default_value_t = 10_000, value_parser = positive::<u32>)]
    rows: u32,
    /// Clients, each with a connection of its own
    #[arg(long, default_value_t = 8, value_parser = positive::<usize>)]
    clients: usize,
    /// Seconds of each load in each round
    #[arg(long, default_value_t = 2, value_parser = positive::<u64>)]
    seconds: u64,
    /// Rounds; medians are printed
    #[arg(long, default_value_t = 3, value_parser = positive::<usize>)]
    rounds: usize,
}

/// A benchmark of its own.
#[derive(clap::Subcommand, Debug)]
enum Only {
    /// Measure the key service: keys, grants, fetches, revocation, event streams
    Keys(keys::KeysArgs),
}

fn positive<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    text.parse().ok().filter(|number| *number >= T::from(1)).ok_or_else(|| "write a whole number from 1".to_owned())
}

/// Runs the benchmark.
///
/// # Errors
/// What could not be started or measured, in words.
pub(super) async fn run(args: &BenchArgs, json: bool) -> Result<(), String> {
    if let Some(Only::Keys(only)) = &args.only {
        return keys::run(only, json).await;
    }
    let stage = setup::Stage::start(args.database.as_deref()).await?;
    load::prepare(&stage, args.rows).await?;
    let mut results = Results::default();
    for _ in 0..args.rounds {
        for load in Load::ALL {
            for contestant in Contestant::ALL {
                let sample =
                    measure(&stage, load, contestant, args.rows, args.clients, Duration::from_secs(args.seconds))
                        .await?;
                results.add(load, contestant, sample);
            }
        }
    }
    load::clean(&stage).await?;
    if json {
        results.print_json()
    } else {
        results.print_table(args)
    }
    Ok(())
}
