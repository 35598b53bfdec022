//! New connections, idle connections, and the start of a proxy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use columnseal::wire::startup;
use tokio_postgres::NoTls;

use super::figures::{Place, Report};
use super::pgbench::{self, Run, Sample};
use super::stage::{DATABASE, ROLE, Stage, Way, answers, free_port, say, url};
use super::{BenchArgs, Section, loads, process, wire};

pub(super) const SECTION: &str = "connections";
/// Connections of a pool behind the proxy, so that PostgreSQL need not hold all the idle ones.
const POOL: u32 = 20;
/// Open files of a process beside its connections.
const SPARE_OF_BUSY: u64 = 200;
const SPARE_OF_IDLE: u64 = 1000;
/// Clients that connect all the time.
const CLIENTS: u32 = 8;

/// Whether as many connections can be held as are asked for: told before anything is measured.
///
/// # Errors
/// Too few open files are allowed.
pub(super) fn prepare(args: &BenchArgs) -> Result<(), String> {
    // The proxy has two for each.
    let busy = 2 * u64::from(args.most_clients()) + SPARE_OF_BUSY;
    let idle = args.sections().contains(&Section::Connections).then(|| 2 * u64::from(args.idle) + SPARE_OF_IDLE);
    raise_files(busy.max(idle.unwrap_or(0)))
}

/// Measures all three.
///
/// # Errors
/// What could not be measured, in words.
pub(super) async fn measure(stage: &mut Stage, args: &BenchArgs, report: &mut Report) -> Result<(), String> {
    wire::prepare(stage, 1)?;
    let ways: Vec<Way> = stage.posts.iter().map(|post| post.way).collect();
    for round in 0..args.rounds as usize {
        for n in 0..ways.len() {
            let way = ways[(n + round) % ways.len()];
            stage.tell(&format!("{SECTION}: {}, round {}", way.name(), round + 1));
            let run = Run {
                protocol: "simple",
                script: loads::connect(stage)?,
                statements: 1,
                clients: CLIENTS,
                seconds: args.seconds,
                scale: 1,
                connects: true,
            };
            let sample = pgbench::run(stage, way, &run)?;
            report.add(
                Place { section: SECTION, load: "connect, select, leave".into(), size: CLIENTS, way: way.name() },
                sample,
            );
        }
    }
    starts(stage, args, report).await?;
    if stage.port(Way::Transaction).is_some() {
        idle(stage, args.idle, report).await?;
    }
    Ok(())
}

/// From the start of the process to the answer of the first encrypted lookup.
async fn starts(stage: &mut Stage, args: &BenchArgs, report: &mut Report) -> Result<(), String> {
    let ddl = "DROP TABLE IF EXISTS bench_start; CREATE TABLE bench_start (id int, e seal.text_eq); INSERT INTO bench_start VALUES (1, 'one')";
    stage.execute(Way::Proxy, ddl).await?;
    let direct = stage.port(Way::Direct).ok_or("no PostgreSQL")?;
    for _ in 0..args.rounds {
        let port = free_port()?;
        let mut command = stage.proxy(port, direct)?;
        let began = Instant::now();
        let pid = stage.keep(&mut command)?;
        let client = loop {
            if let Ok((client, connection)) = tokio_postgres::connect(&url(port), NoTls).await {
                tokio::spawn(connection);
                break client;
            }
            if began.elapsed() > Duration::from_secs(30) {
                return Err("a proxy did not come up".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        client.query_one("SELECT id FROM bench_start WHERE e = 'one'", &[]).await.map_err(|e| say(&e))?;
        let taken = began.elapsed().as_secs_f64();
        stage.end(pid);
        let sample = Sample { rate: 1.0 / taken, times: [taken * 1e6; 3], ..Sample::default() };
        report.add(
            Place { section: SECTION, load: "start to first encrypted answer".into(), size: 1, way: "columnseal" },
            sample,
        );
    }
    Ok(())
}

/// Memory of a proxy with many connections that do nothing.
async fn idle(stage: &mut Stage, count: u32, report: &mut Report) -> Result<(), String> {
    let direct = stage.port(Way::Direct).ok_or("no PostgreSQL")?;
    let (pool, mut command) = stage.pgbouncer("transaction", direct, POOL)?;
    stage.keep(&mut command)?;
    answers(pool, "PgBouncer").await?;
    let port = free_port()?;
    let mut command = stage.proxy(port, pool)?;
    let pid = stage.keep(&mut command)?;
    answers(port, "the proxy").await?;
    let before = process::usage(pid).resident;
    stage.tell(&format!("{SECTION}: {count} idle ones"));
    let mut open = Vec::new();
    for n in 0..count {
        open.push(connect(port).map_err(|e| format!("idle connection {n} of {count}: {e}"))?);
    }
    let after = process::usage(pid).resident;
    report.single(SECTION, format!("memory with {count} idle connections"), after as f64 / 1024.0, "MiB");
    report.single(SECTION, "memory of one of them", after.saturating_sub(before) as f64 / f64::from(count), "KiB");
    Ok(())
}

/// A connection that is logged in and does nothing.
pub(super) fn connect(port: u16) -> Result<TcpStream, String> {
    let failed = |e: std::io::Error| e.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
    let mut hello = Vec::new();
    let parameters = [(&b"user"[..], ROLE.as_bytes()), (b"database", DATABASE.as_bytes())];
    startup::put_startup(&mut hello, 0, parameters).map_err(|e| e.to_string())?;
    stream.write_all(&hello).map_err(failed)?;
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !seen.ends_with(b"Z\0\0\0\x05I") {
        match stream.read(&mut buffer).map_err(failed)? {
            0 => return Err(String::from_utf8_lossy(&seen).into_owned()),
            read => seen.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(stream)
}

/// As many open files as that. What is started has the limits of this process.
fn raise_files(files: u64) -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|now| now >= files) {
        return Ok(());
    }
    let most = limit.maximum.map(|most| most.max(files));
    setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: most }).map_err(|_| {
        let may = limit.maximum.map_or_else(|| "fewer".to_owned(), |most| most.to_string());
        format!("this needs {files} open files, and {may} are allowed: raise the limit (`ulimit -n`), or measure fewer connections (--idle, --clients)")
    })
}
