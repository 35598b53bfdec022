//! Random statements on encrypted tables through the proxy and on plain twins directly: rows, types, tags,
//! SQLSTATEs and transaction states must be the same. Statements outside the scope must be refused (0A000) or right.
//!
//! `COLUMNSEAL_DIFF_SEED` picks the seed and `COLUMNSEAL_DIFF_COUNT` how many scripts are run; `COLUMNSEAL_DIFF_SECONDS` lets hostile ones
//! run for that long. A difference is shown with its seed and the fewest steps that still show it.

mod cases;
mod constraints;
mod equality;
mod generate;
mod hostile;
mod indexes;
mod plans;
pub mod random;
mod replay;
mod statements;
mod values;
mod watch;

use crate::support::{ProxyOptions, Twin};

use generate::Generator;
use random::Random;
use replay::{Outcome, Pair, minimise};
use values::Values;

/// Steps of one script; the tables are emptied between scripts.
const STEPS: usize = 30;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn random_statements_give_the_same_as_on_plain_tables() {
    let seed = setting("COLUMNSEAL_DIFF_SEED", 20_261_124);
    let count = setting("COLUMNSEAL_DIFF_COUNT", 25);
    let twin = Twin::start_with(crate::support::Options::default(), &ProxyOptions::default());
    generate::tables(&twin);
    let values = Values::load(&mut twin.raw_plain());
    let mut refused = 0;
    for number in 0..count {
        let script = Generator::new(Random::new(seed + number), &values).script(STEPS);
        match Pair::new(&twin).run(&script) {
            Outcome::Same { refused: n } => refused += n,
            Outcome::Different(difference) => {
                let script = minimise(&twin, &script, difference.step);
                let Outcome::Different(shown) = Pair::new(&twin).run(&script) else {
                    panic!("COLUMNSEAL_DIFF_SEED={}: a difference that does not repeat:\n{difference}", seed + number);
                };
                let log = twin.proxy.log();
                let tail: Vec<&str> = log.lines().rev().take(5).collect();
                panic!(
                    "COLUMNSEAL_DIFF_SEED={} COLUMNSEAL_DIFF_COUNT=1\n{shown}\nproxy log, last first: {tail:#?}",
                    seed + number
                );
            }
        }
    }
    let leaked = twin.stored("SELECT count(*) FROM a WHERE a::text LIKE '%O''Brien%'");
    assert_eq!(leaked.trim(), "0", "plaintext is stored");
    assert!(refused > 0 || count < 5, "some statement lies outside the scope");
}
