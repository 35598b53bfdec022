//! No value of an encrypted column is sent to the server or logged by it, and no ciphertext comes back: neither by statements that are
//! supported, failing ones among them, nor by ones that are made to draw values out. Those are refused, or right.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::generate::{self, Generator};
use super::random::Random;
use super::replay::Pair;
use super::values::Values;
use super::watch::{PREFIX, Watch};
use super::{STEPS, setting};
use crate::support::{Options, ProxyOptions, Twin, raw};

/// What may stand in for PostgreSQL's answer: not supported, or what PostgreSQL says where an encrypted type does not fit.
const CLEAR: &[&str] = &["0A000", "42883", "42804", "42846", "42P17", "54000"];

/// So many finds end a run.
const MOST: usize = 200;

#[derive(Default)]
struct Report {
    scripts: u64,
    statements: usize,
    refusals: BTreeMap<String, usize>,
    wrong: usize,
}

#[test]
fn statements_tell_the_server_nothing_and_hostile_ones_are_refused_or_right() {
    let seed = setting("COLUMNSEAL_DIFF_SEED", 20_261_126);
    let count = setting("COLUMNSEAL_DIFF_COUNT", 16);
    let until = Instant::now() + Duration::from_secs(setting("COLUMNSEAL_DIFF_SECONDS", 0));
    let options = Options::logged().with("log_min_error_statement = 'debug5'").with(PREFIX);
    let twin = Twin::start_with(options, &ProxyOptions::default());
    generate::tables(&twin);
    let values = Values::marked(&mut twin.raw_plain());
    let watch = Watch::new(&values);
    let mut report = Report::default();
    while (report.scripts < count || Instant::now() < until) && report.wrong < MOST {
        let number = seed + report.scripts;
        run(&twin, &values, &watch, number, &mut report);
        report.scripts += 1;
    }
    let Report { scripts, statements, refusals, wrong } = report;
    eprintln!("{statements} statements in {scripts} scripts from seed {seed}; refused, by SQLSTATE: {refusals:?}");
    assert_eq!(wrong, 0, "finds, shown above");
    assert!(refusals.contains_key("0A000"), "nothing was refused");
}

#[test]
fn the_watch_finds_what_is_sent_plain() {
    let twin = Twin::start_with(Options::logged().with(PREFIX), &ProxyOptions::default());
    twin.sealed.sql("CREATE TABLE notes (p text)");
    let values = Values::marked(&mut twin.raw_plain());
    let watch = Watch::new(&values);
    twin.relay.clear();
    let marked = &values.of("text").values[1].text;
    twin.raw_sealed().ask(&raw::extended("INSERT INTO notes VALUES ($1)", &[Some(marked)]));
    let finds = watch.finds(&twin);
    for place in ["sent to the server: text", "in the server's log: text"] {
        assert!(finds.iter().any(|find| find.starts_with(place) && find.contains(marked)), "{place}: {finds:?}");
    }
    assert_eq!(watch.finds(&twin), [""; 0], "both are forgotten");
}

/// Two of three scripts are hostile.
fn run(twin: &Twin, values: &Values, watch: &Watch, number: u64, report: &mut Report) {
    let mut generator = Generator::new(Random::new(number), values);
    let script = if number.is_multiple_of(3) { generator.script(STEPS) } else { generator.hostile_script(2 * STEPS) };
    let mut pair = Pair::new(twin);
    (pair.clear, pair.lenient) = (CLEAR, true);
    twin.relay.clear();
    report.statements += script.len();
    for step in &script {
        let mut wrong = pair.run_all(std::slice::from_ref(step));
        wrong.extend(watch.finds(twin).into_iter().map(|find| format!("{step}\n{find}")));
        for what in wrong {
            eprintln!("seed {number}: {what}\n");
            report.wrong += 1;
        }
    }
    for (code, n) in pair.refusals {
        *report.refusals.entry(code).or_default() += n;
    }
}
