//! Rounds of one load on plain columns and on encrypted ones, within the time that a statement may take.

use std::time::Instant;

use super::BenchArgs;
use super::figures::{Place, Report};
use super::pgbench::{self, Run};
use super::stage::{Stage, Way};

/// A name, the way, and whether the columns are encrypted.
pub(super) const CONTESTANTS: [(&str, Way, bool); 3] = [
    ("direct, plain", Way::Direct, false),
    ("columnseal, plain", Way::Proxy, false),
    ("columnseal, encrypted", Way::Proxy, true),
];

/// Clients of a load that is not one client's: of the numbers asked for the nearest to 8.
pub(super) fn clients(args: &BenchArgs) -> u32 {
    args.clients.iter().copied().min_by_key(|clients| clients.abs_diff(8)).unwrap_or(8)
}

/// Runs every contestant in every round, each round beginning with another one. A contestant whose statement takes longer than it may is left
/// out, and rounds that take much longer than asked for are not repeated; the report says both.
///
/// # Errors
/// What could not be measured, in words.
pub(super) fn run(
    stage: &Stage,
    args: &BenchArgs,
    report: &mut Report,
    (section, load, rows): (&'static str, &str, u32),
    run: &dyn Fn(bool) -> Result<Run, String>,
) -> Result<(), String> {
    let mut absent = Vec::new();
    for round in 0..args.rounds as usize {
        let began = Instant::now();
        for n in 0..CONTESTANTS.len() {
            let (name, way, sealed) = CONTESTANTS[(n + round) % CONTESTANTS.len()];
            if absent.contains(&name) {
                continue;
            }
            stage.tell(&format!("{section}, {rows} rows: {load}, {name}, round {}", round + 1));
            let place = Place { section, load: load.to_owned(), size: rows, way: name };
            match pgbench::within(stage, way, &run(sealed)?, args.patience)? {
                Some(sample) => report.add(place, sample),
                None => {
                    absent.push(name);
                    let told =
                        format!("{load}, {rows} rows, {name}: a statement takes longer than {} s", args.patience);
                    report.note(section, told);
                }
            }
        }
        let asked = f64::from(args.seconds) * CONTESTANTS.len() as f64;
        let (done, beyond) = (round + 1, began.elapsed().as_secs_f64() - asked);
        if done < args.rounds as usize && beyond > f64::from(args.patience) {
            report.note(
                section,
                format!("{load}, {rows} rows: {done} of {} rounds, for the time they take", args.rounds),
            );
            break;
        }
    }
    Ok(())
}
