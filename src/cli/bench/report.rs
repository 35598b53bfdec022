//! Medians and ratios, printed.
#![expect(clippy::print_stdout, reason = "this command's output")]

use std::time::Duration;

use super::BenchArgs;
use super::load::{Contestant, Load, Sample};

/// Samples by load and contestant.
#[derive(Default)]
pub(super) struct Results {
    samples: Vec<(Load, Contestant, Sample)>,
}

impl Results {
    pub(super) fn add(&mut self, load: Load, contestant: Contestant, sample: Sample) {
        self.samples.push((load, contestant, sample));
    }

    fn of(&self, load: Load, contestant: Contestant) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |(l, c, _)| *l == load && *c == contestant).map(|(_, _, s)| s)
    }

    fn rate(&self, load: Load, contestant: Contestant) -> f64 {
        let mut rates: Vec<f64> = self.of(load, contestant).map(|s| s.per_second).collect();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(0.0)
    }

    fn time(&self, load: Load, contestant: Contestant, pick: impl Fn(&Sample) -> Duration) -> Duration {
        let mut times: Vec<Duration> = self.of(load, contestant).map(pick).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn print_table(&self, args: &BenchArgs) {
        println!(
            "{} rows, {} clients, {} rounds of {} s, medians; ratios are to direct and to the proxy on plain tables\n",
            args.rows, args.clients, args.rounds, args.seconds
        );
        println!("| load | way | statements/s | / direct | / proxy, plain | p50 µs | p99 µs |");
        println!("|---|---|---|---|---|---|---|");
        for load in Load::ALL {
            let (direct, plain) = (self.rate(load, Contestant::Direct), self.rate(load, Contestant::ProxyPlain));
            for contestant in Contestant::ALL {
                let rate = self.rate(load, contestant);
                println!(
                    "| {} | {} | {rate:.0} | {:.2} | {:.2} | {} | {} |",
                    load.name(),
                    contestant.name(),
                    rate / direct,
                    rate / plain,
                    self.time(load, contestant, |s| s.p50).as_micros(),
                    self.time(load, contestant, |s| s.p99).as_micros(),
                );
            }
        }
    }

    pub(super) fn print_json(&self) {
        let rows: Vec<serde_json::Value> = Load::ALL
            .into_iter()
            .flat_map(|load| Contestant::ALL.map(|contestant| (load, contestant)))
            .map(|(load, contestant)| {
                serde_json::json!({
                    "load": load.name(),
                    "way": contestant.name(),
                    "per_second": self.rate(load, contestant),
                    "p50_us": self.time(load, contestant, |s| s.p50).as_micros() as u64,
                    "p99_us": self.time(load, contestant, |s| s.p99).as_micros() as u64,
                })
            })
            .collect();
        println!("{}", serde_json::Value::from(rows));
    }
}
