//! Many rows at once: SELECT, and COPY in both directions, of tables with 0, 1, 5 and 20 encrypted columns of 20.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use columnseal::wire::client;

use super::BenchArgs;
use super::connections::connect;
use super::figures::{Place, Report};
use super::pgbench::Sample;
use super::process::{self, Usage};
use super::stage::{Stage, Way};

pub(super) const SECTION: &str = "bulk";
const COLUMNS: u32 = 20;
/// Encrypted columns of a table.
const ENCRYPTED: [u32; 4] = [0, 1, 5, 20];
/// Rows in one SELECT or COPY.
const ROWS: u32 = 100_000;

/// ReadyForQuery.
const READY: [[u8; 6]; 3] = [*b"Z\0\0\0\x05I", *b"Z\0\0\0\x05T", *b"Z\0\0\0\x05E"];
/// Bytes that a CommandComplete and a ReadyForQuery fit in.
const TAIL: usize = 64;

/// What is done with a whole table.
const LOADS: [&str; 3] = ["SELECT", "COPY TO", "COPY FROM"];

/// Runs every load on every table.
///
/// # Errors
/// What could not be measured, in words.
pub(super) async fn measure(stage: &mut Stage, args: &BenchArgs, report: &mut Report) -> Result<(), String> {
    let rows = args.rows.iter().copied().max().unwrap_or(ROWS).min(ROWS);
    prepare(stage, rows).await?;
    for load in LOADS.into_iter().filter(|load| args.wants(load)) {
        let mut bytes = ENCRYPTED.map(|_| 0.0);
        for round in 0..args.rounds {
            stage.tell(&format!("{SECTION}: {load}, round {}", round + 1));
            add(report, load, 0, "direct", once(stage, load, Way::Direct, 0, rows).await?);
            for (encrypted, bytes) in ENCRYPTED.into_iter().zip(&mut bytes) {
                let before = stage.upstream_bytes()?;
                add(report, load, encrypted, "columnseal", once(stage, load, Way::Proxy, encrypted, rows).await?);
                *bytes += stage.upstream_bytes()? - before;
            }
        }
        for (encrypted, bytes) in ENCRYPTED.into_iter().zip(bytes) {
            let what = format!("{load}, {encrypted} encrypted columns, between proxy and PostgreSQL");
            report.single(SECTION, what, bytes / f64::from(args.rounds) / f64::from(rows), "bytes a row");
        }
    }
    opened(report, rows);
    Ok(())
}

fn add(report: &mut Report, load: &str, encrypted: u32, way: &'static str, sample: Sample) {
    report.add(Place { section: SECTION, load: load.into(), size: encrypted, way }, sample);
}

async fn prepare(stage: &Stage, rows: u32) -> Result<(), String> {
    let value = |n: u32, column: u32| format!("value {n:07} of {column:02}");
    let line = |n: u32| {
        let values: Vec<String> = (0..COLUMNS).map(|column| value(n, column)).collect();
        format!("{}\n", values.join("\t"))
    };
    let file = stage.file("bulk", rows, &line)?;
    for encrypted in ENCRYPTED {
        let kind = |column: u32| if column < encrypted { "seal.text_eq" } else { "text" };
        let columns: Vec<String> = (0..COLUMNS).map(|column| format!("c{column} {}", kind(column))).collect();
        let table = table(encrypted);
        stage.tell(&format!("{SECTION}: loading {table}"));
        stage
            .execute(
                Way::Proxy,
                &format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({})", columns.join(", ")),
            )
            .await?;
        stage.psql(Way::Proxy, &format!("\\copy {table} FROM '{}'", file.display()))?;
        stage.execute(Way::Direct, &format!("VACUUM ANALYZE {table}")).await?;
    }
    Ok(())
}

fn table(encrypted: u32) -> String {
    format!("bulk_{encrypted}")
}

/// Rows in a second, and processor time of the proxy for 1,000 rows.
async fn once(stage: &Stage, load: &str, way: Way, encrypted: u32, rows: u32) -> Result<Sample, String> {
    let (table, file) = (table(encrypted), stage.dir.join("bulk"));
    if load == "COPY FROM" {
        stage.execute(Way::Direct, &format!("TRUNCATE {table}")).await?;
    }
    if let Some(pid) = stage.pid(way) {
        process::forget_peak(pid);
    }
    let used = || stage.pid(way).map(process::usage);
    let (before, began) = (used(), Instant::now());
    match load {
        "SELECT" => select(stage, way, &format!("SELECT * FROM {table}"), rows)?,
        "COPY TO" => stage.psql(way, &format!("\\copy {table} TO '/dev/null'"))?,
        _ => stage.psql(way, &format!("\\copy {table} FROM '{}'", file.display()))?,
    }
    let (taken, after) = (began.elapsed().as_secs_f64(), used());
    let cpu = |before: Usage, after: Usage| (after.cpu - before.cpu) * 1e6 / f64::from(rows);
    Ok(Sample {
        rate: f64::from(rows) / taken,
        times: [taken * 1e6; 3],
        cpu: before.zip(after).map(|(before, after)| cpu(before, after)),
        peak: after.map(|after| after.peak),
    })
}

/// Reads a whole result of so many rows in binary form, as the least that a client can do.
fn select(stage: &Stage, way: Way, sql: &str, rows: u32) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("the result of {sql} could not be read: {e}");
    let mut stream = connect(stage.port(way).ok_or("not there")?)?;
    let mut ask = Vec::new();
    let built = client::parse(&mut ask, b"", sql.as_bytes(), []).and_then(|()| {
        client::BindBuilder::new(&mut ask, b"", b"", [])?.finish([1])?;
        client::execute(&mut ask, b"", 0)
    });
    built.map_err(|e| e.to_string())?;
    client::sync(&mut ask);
    stream.write_all(&ask).map_err(failed)?;
    until_ready(&mut stream, &format!("SELECT {rows}\0")).map_err(failed)
}

/// Reads up to ReadyForQuery, which must stand behind this command tag: an error of the server has none.
fn until_ready(stream: &mut TcpStream, tag: &str) -> std::io::Result<()> {
    let (mut buffer, mut tail) = (vec![0; 1 << 18], Vec::new());
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        tail.extend_from_slice(&buffer[read.saturating_sub(TAIL)..read]);
        tail.drain(..tail.len().saturating_sub(TAIL));
        if let Some(told) = READY.iter().find_map(|ready| tail.strip_suffix(&ready[..])) {
            return match told.ends_with(tag.as_bytes()) {
                true => Ok(()),
                false => Err(std::io::Error::other("the server did not give all rows")),
            };
        }
    }
}

/// Values that one processor opens in a second, from what encrypted columns cost beyond plain ones.
fn opened(report: &mut Report, rows: u32) {
    let cpu = |encrypted: u32| report.at((SECTION, "SELECT", encrypted), "columnseal")?.cpu();
    if let (Some(plain), Some(sealed)) = (cpu(0), cpu(COLUMNS)) {
        // Milliseconds for 1,000 rows of 20 values.
        let each = (sealed - plain) / 1e3 / 1e3 / f64::from(COLUMNS);
        if each > 0.0 {
            report.single(SECTION, format!("values opened by one processor, {rows} rows"), 1.0 / each, "a second");
        }
    }
}
