//! pgbench on plain tables by every way: what a proxy in between costs.

use std::process::Command;

use super::BenchArgs;
use super::figures::{Place, Report};
use super::loads::WIRE;
use super::pgbench::{self, Run};
use super::stage::{self, DATABASE, ROLE, Stage, Way};

pub(super) const SECTION: &str = "wire";

/// Runs each load at each number of clients, round by round, each time by every way.
///
/// # Errors
/// What could not be measured, in words.
pub(super) async fn measure(stage: &mut Stage, args: &BenchArgs, report: &mut Report) -> Result<(), String> {
    prepare(stage, args.scale)?;
    let ways: Vec<Way> = stage.posts.iter().map(|post| post.way).collect();
    for load in WIRE.iter().filter(|load| args.wants(load.name)) {
        for &clients in &args.clients {
            for round in 0..args.rounds as usize {
                for n in 0..ways.len() {
                    // Each round begins with another one.
                    let way = ways[(n + round) % ways.len()];
                    if way == Way::Transaction && load.names_statements() {
                        continue;
                    }
                    stage.tell(&format!(
                        "{SECTION}, {clients} clients: {}, {}, round {}",
                        load.name,
                        way.name(),
                        round + 1
                    ));
                    let run = Run {
                        protocol: load.protocol,
                        script: load.script(stage)?,
                        statements: load.statements,
                        clients,
                        seconds: args.seconds,
                        scale: args.scale,
                        connects: false,
                    };
                    let sample = pgbench::run(stage, way, &run)?;
                    let place = Place { section: SECTION, load: load.name.into(), size: clients, way: way.name() };
                    report.add(place, sample);
                }
            }
        }
    }
    Ok(())
}

/// pgbench's tables.
///
/// # Errors
/// They cannot be made.
pub(super) fn prepare(stage: &Stage, scale: u32) -> Result<(), String> {
    let port = stage.port(Way::Direct).ok_or("no PostgreSQL")?;
    let mut command = Command::new(stage.bin.join("pgbench"));
    command.args([
        "-i",
        "-q",
        "-h",
        "127.0.0.1",
        "-U",
        ROLE,
        "-p",
        &port.to_string(),
        "-s",
        &scale.to_string(),
        DATABASE,
    ]);
    stage::output(command).map(drop)
}
