//! `columnseal doctor`.

use columnseal::app::doctor::{Check, doctor};
use columnseal::config::{load, load_database};
use columnseal::doctor::Level;
use serde_json::{Value, json};

use super::Context;
use super::output::{Exit, Failure, Outcome};
use super::proxy::failure;

/// Arguments of `doctor`.
#[derive(clap::Args, Debug)]
#[command(long_about = "Check the whole set-up and every object of the database, and say what to do.\n\n\
    Looks at settings, client key, key service, database, seal schema, types and pins; then at indexes, functions, \
    triggers, views and all else that breaks over encrypted columns, and at plain columns that look forgotten; then tries \
    whether a dump of the schema restores, in a database that it drops again. Changes nothing else. \
    The exit code is 0 where there is no fault, else that of the first one (docs/errors.md).")]
pub(super) struct Doctor {
    /// The database [default: that of the settings]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

/// A line of the report.
struct Line {
    what: String,
    name: String,
    level: Level,
    why: String,
    advice: String,
    exit: Exit,
}

impl Doctor {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let loaded = load(&context.environment, &context.sources).and_then(|mut config| {
            if let Some(url) = &self.database {
                config.session.database = load_database(&context.environment, &context.sources, Some(url))?;
            }
            Ok(config)
        });
        let lines = match loaded {
            Err(faults) => {
                let mut lines: Vec<Line> = faults.0.iter().map(of_fault).collect();
                lines.push(Line {
                    what: "settings".to_owned(),
                    name: String::new(),
                    level: Level::Warning,
                    why: "nothing else was looked at".to_owned(),
                    advice: "correct the settings, and run this again".to_owned(),
                    exit: Exit::Settings,
                });
                lines
            }
            Ok(config) => {
                let checks = context
                    .block_on("look at the set-up", async { Ok(doctor(&config, &context.environment).await) })?;
                checks.iter().map(of_check).collect()
            }
        };
        context.output.result(&as_json(&lines), &as_text(&lines));
        match lines.iter().find(|line| line.level == Level::Fault) {
            None => Ok(()),
            Some(first) => context.output.exit(first.exit),
        }
    }
}

fn of_fault(fault: &columnseal::config::Fault) -> Line {
    let origin = if fault.origin.is_empty() { String::new() } else { format!(" (from {})", fault.origin) };
    Line {
        what: "settings".to_owned(),
        name: String::new(),
        level: Level::Fault,
        why: format!("{}{origin} {}", fault.key, fault.problem),
        advice: fault.advice.clone(),
        exit: Exit::Settings,
    }
}

fn of_check(check: &Check) -> Line {
    let (what, name, level) = (check.what.to_owned(), check.name.clone(), check.level);
    match &check.error {
        Some(error) => {
            let Failure { why, advice, exit, .. } = failure("look at the set-up", error);
            Line { what, name, level, why: why.replace('\n', "; "), advice, exit }
        }
        None => {
            let exit = if check.what == "lease" { Exit::Store } else { Exit::Database };
            Line { what, name, level, why: check.why.clone(), advice: check.advice.clone(), exit }
        }
    }
}

fn count(lines: &[Line], level: Level) -> usize {
    lines.iter().filter(|line| line.level == level).count()
}

fn as_json(lines: &[Line]) -> Value {
    let one = |line: &Line| json!({ "check": line.what, "object": line.name, "level": line.level.word(), "why": line.why, "advice": line.advice });
    json!({
        "checks": lines.iter().map(one).collect::<Vec<_>>(),
        "faults": count(lines, Level::Fault),
        "warnings": count(lines, Level::Warning),
    })
}

fn as_text(lines: &[Line]) -> String {
    let mut out: Vec<String> =
        lines.iter().map(|line| entry(line.level.word(), &line.what, (&line.name, &line.why), &line.advice)).collect();
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    out.push(format!(
        "{}, {}",
        plural(count(lines, Level::Fault), "fault"),
        plural(count(lines, Level::Warning), "warning")
    ));
    out.join("\n")
}

/// A line of a report, and the line of what to do under it.
pub(super) fn entry(head: &str, what: &str, (name, why): (&str, &str), advice: &str) -> String {
    let about = match (name.is_empty(), why.is_empty()) {
        (true, _) => why.to_owned(),
        (false, true) => name.to_owned(),
        (false, false) => format!("{name}: {why}"),
    };
    let first = format!("{head:<10}{what:<18}{about}");
    if advice.is_empty() { first } else { format!("{first}\n{:<28}do: {advice}", "") }
}
