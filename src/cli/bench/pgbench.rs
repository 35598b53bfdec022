//! One run of pgbench: rate, times, and what the process between used.

use std::path::PathBuf;
use std::process::Command;

use super::process::{self, Usage};
use super::stage::{self, DATABASE, ROLE, Stage, Way};

/// Times that are kept for percentiles.
const KEPT: usize = 200_000;

/// What pgbench is to do.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// `simple`, `extended` or `prepared`.
    pub(super) protocol: &'static str,
    /// The script: a built-in's name, or a file.
    pub(super) script: Script,
    /// Statements in one of its transactions.
    pub(super) statements: u32,
    pub(super) clients: u32,
    pub(super) seconds: u32,
    pub(super) scale: u32,
    /// A new connection for each transaction.
    pub(super) connects: bool,
}

/// A script of pgbench.
#[derive(Clone, Debug)]
pub(super) enum Script {
    BuiltIn(&'static str),
    File(PathBuf),
    Needles(Needles),
}

/// One statement with many values for its `{x}`, of which each transaction takes one at random. pgbench makes no strings, but takes them as
/// variables: so each value has a variable, and a script that names it.
#[derive(Clone, Debug)]
pub(super) struct Needles {
    scripts: Vec<PathBuf>,
    values: Vec<String>,
}

impl Needles {
    /// Writes the scripts; pgbench takes 128 at most.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn write(stage: &Stage, sql: &str, values: Vec<String>) -> Result<Needles, String> {
        let mut scripts = Vec::new();
        for n in 0..values.len() {
            let path = stage.dir.join(format!("needle-{n}.sql"));
            let text = format!("{};\n", sql.replace("{x}", &format!(":x{n}")));
            std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
            scripts.push(path);
        }
        Ok(Needles { scripts, values })
    }

    fn put<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (n, (script, value)) in self.scripts.iter().zip(&self.values).enumerate() {
            command.arg("-D").arg(format!("x{n}={value}")).arg("-f").arg(script);
        }
        command
    }
}

/// One measurement.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// Transactions in a second, over all clients.
    pub(super) rate: f64,
    /// Times of transactions in µs: p50, p99, p99.9.
    pub(super) times: [f64; 3],
    /// Milliseconds of processor time of the process between, for 1,000 statements.
    pub(super) cpu: Option<f64>,
    /// Most memory of that process, in KiB.
    pub(super) peak: Option<u64>,
}

/// Seconds after which a run in which nothing was done is not made longer.
const LONGEST: u32 = 60;
/// How PostgreSQL names the end of a statement that took too long.
const TIMED_OUT: &str = "due to statement timeout";

/// Runs pgbench by a way.
///
/// # Errors
/// It fails, or a transaction of it does.
pub(super) fn run(stage: &Stage, way: Way, run: &Run) -> Result<Sample, String> {
    with(stage, way, run, "")
}

/// As [`run`], with so many seconds for a statement: `None` where one took longer.
///
/// # Errors
/// As [`run`].
pub(super) fn within(stage: &Stage, way: Way, run: &Run, seconds: u32) -> Result<Option<Sample>, String> {
    match with(stage, way, run, &format!("-c statement_timeout={seconds}s")) {
        Ok(sample) => Ok(Some(sample)),
        Err(error) if error.contains(TIMED_OUT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn with(stage: &Stage, way: Way, run: &Run, options: &str) -> Result<Sample, String> {
    let mut seconds = run.seconds;
    loop {
        match once(stage, way, &Run { seconds, ..run.clone() }, options)? {
            Some(sample) => return Ok(sample),
            // pgbench's time begins before its clients have connected, which many may not have done by its end.
            None if seconds < LONGEST => seconds = seconds.saturating_mul(4),
            None => return Err(format!("{}: {} clients did nothing in {seconds} s", way.name(), run.clients)),
        }
    }
}

/// One run of pgbench; `None` where it did nothing.
fn once(stage: &Stage, way: Way, run: &Run, options: &str) -> Result<Option<Sample>, String> {
    let port = stage.port(way).ok_or_else(|| format!("{} is not there", way.name()))?;
    let logs = stage.dir.join("times");
    let _ = std::fs::remove_dir_all(&logs);
    std::fs::create_dir_all(&logs).map_err(|e| e.to_string())?;
    let mut command = Command::new(stage.bin.join("pgbench"));
    command.arg("-p").arg(port.to_string()).arg("-l").arg("--log-prefix").arg(logs.join("run"));
    run.put(&mut command);
    if !options.is_empty() {
        // PgBouncer takes none.
        command.env("PGOPTIONS", options);
    }
    let pid = stage.pid(way);
    if let Some(pid) = pid {
        process::forget_peak(pid);
    }
    let before = pid.map(process::usage).unwrap_or_default();
    let printed = stage::output(command)?;
    let after = pid.map(process::usage).unwrap_or_default();
    let count = count(&printed)?;
    if count == 0.0 {
        return Ok(None);
    }
    let sample = Sample { rate: rate(&printed)?, times: times(&logs)?, ..Sample::default() };
    let used = |before: Usage, after: Usage| (after.cpu - before.cpu) * 1e6 / (count * f64::from(run.statements));
    Ok(Some(Sample { cpu: pid.map(|_| used(before, after)), peak: pid.map(|_| after.peak), ..sample }))
}

impl Run {
    /// All that pgbench is told but where to connect.
    fn put(&self, command: &mut Command) {
        command.args(["-n", "-h", "127.0.0.1", "-U", ROLE, "-M", self.protocol]);
        command.arg("-c").arg(self.clients.to_string()).arg("-j").arg(self.clients.min(2).to_string());
        command.arg("-T").arg(self.seconds.to_string()).arg("-s").arg(self.scale.to_string());
        match &self.script {
            Script::BuiltIn(name) => command.args(["-b", name]),
            Script::File(path) => command.arg("-f").arg(path),
            Script::Needles(needles) => needles.put(command),
        };
        if self.connects {
            command.arg("-C");
        }
        command.arg(DATABASE);
    }
}

/// `tps = 1234.5 (...)`.
fn rate(printed: &str) -> Result<f64, String> {
    after(printed, "tps = ").ok_or_else(|| format!("pgbench gave no rate:\n{printed}"))
}

/// `number of transactions actually processed: 1234`.
fn count(printed: &str) -> Result<f64, String> {
    after(printed, "number of transactions actually processed: ")
        .ok_or_else(|| format!("pgbench gave no count:\n{printed}"))
}

fn after(printed: &str, name: &str) -> Option<f64> {
    let line = printed.lines().find_map(|line| line.strip_prefix(name))?;
    line.split(['/', ' ']).next()?.parse().ok()
}

/// The third column of pgbench's logs is the time in µs.
fn times(logs: &std::path::Path) -> Result<[f64; 3], String> {
    let mut times: Vec<f64> = Vec::new();
    for entry in std::fs::read_dir(logs).map_err(|e| e.to_string())?.flatten() {
        let text = std::fs::read_to_string(entry.path()).map_err(|e| e.to_string())?;
        times.extend(text.lines().take(KEPT).filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok()));
    }
    times.sort_by(f64::total_cmp);
    Ok([0.5, 0.99, 0.999].map(|q| quantile(&times, q)))
}

/// Of sorted numbers.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * q).round() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbench_prints_is_read() {
        let printed = "pgbench (15.18)\nnumber of transactions actually processed: 1234/0\ntps = 617.25 (without initial connection time)\n";
        assert_eq!((rate(printed), count(printed)), (Ok(617.25), Ok(1234.0)));
        assert!(rate("failed").is_err() && count("failed").is_err());
        assert_eq!(count("number of transactions actually processed: 0\n"), Ok(0.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.999), 3.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
