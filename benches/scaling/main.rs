//! What one key server carries, and a simulation of many proxies on it.
//!
//! ```text
//! cargo bench --bench scaling                   the simulation: tables on standard output
//! cargo bench --bench scaling -- measure        what a key server takes, as the simulation's figures were measured
//! ```
#![expect(clippy::print_stdout, reason = "a benchmark prints what it finds")]
#![expect(unreachable_pub, reason = "the simulation is part of a test as well")]

mod figures;
mod measure;
mod model;
mod scenarios;
mod support;

use model::Setting;

fn main() {
    if std::env::args().any(|arg| arg == "measure") {
        measure::run();
        return;
    }
    let setting = Setting::default();
    println!("{}", figures::table());
    println!("{}", scenarios::small().text());
    for table in [scenarios::by_kind, scenarios::memory, scenarios::growth, scenarios::disturbances] {
        println!("{}", table(&setting).text());
    }
}
