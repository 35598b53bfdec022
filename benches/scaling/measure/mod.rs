//! What one key server takes of processor and memory, and its store beside it: real processes over HTTPS, driven by this one.
//! Processor time is that of the processes (`/proc`), so that what else the machine does hardly counts.

mod changes;
mod process;
mod requests;
mod stage;

use process::Cpu;
use stage::{Kind, Stage};

/// One line of what was measured.
pub struct Figure {
    /// What one of these is.
    what: String,
    /// Of the key server, and of PostgreSQL; in microseconds.
    cpu: Cpu,
}

/// Measures on both kinds of store, and prints.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let stage = Stage::new(Kind::Logged);
    println!("round trips to PostgreSQL");
    runtime.block_on(requests::round_trips(&stage));
    drop(stage);
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let stage = Stage::new(kind);
        println!("\n{kind:?}: microseconds of processor time, of key server and store");
        runtime.block_on(async {
            requests::run(&stage).await;
            changes::run(&stage).await;
        });
    }
}

impl Figure {
    /// Prints one.
    fn show(&self) {
        println!("{:<58} {:>9.1} {:>9.1}", self.what, self.cpu.server * 1e6, self.cpu.store * 1e6);
    }
}

/// Prints a figure that is no processor time.
fn show(what: &str, number: f64, unit: &str) {
    println!("{what:<58} {number:>9.1} {unit}");
}
