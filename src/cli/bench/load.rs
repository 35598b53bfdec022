//! The loads: what one client does over and over, and how long each took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls, Statement};

use super::setup::Stage;

/// What is done over and over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Load {
    /// One row by its primary key: no encrypted column is named.
    ById,
    /// One row by its email, two text columns returned.
    ByEmail,
    /// One row inserted.
    Insert,
    /// 1,000 rows, three columns of which two are text.
    Bulk,
}

impl Load {
    pub(super) const ALL: [Load; 4] = [Load::ById, Load::ByEmail, Load::Insert, Load::Bulk];

    pub(super) fn name(self) -> &'static str {
        match self {
            Load::ById => "select by id",
            Load::ByEmail => "select by email",
            Load::Insert => "insert",
            Load::Bulk => "select 1,000 rows",
        }
    }

    fn sql(self, table: &str) -> String {
        match self {
            Load::ById => format!("SELECT plain FROM {table} WHERE id = $1"),
            Load::ByEmail => format!("SELECT email, name FROM {table} WHERE email = $1"),
            Load::Insert => format!("INSERT INTO {table} (id, email, name, plain) VALUES ($1, $2, $3, 'x')"),
            Load::Bulk => format!("SELECT id, email, name FROM {table} WHERE id > $1 ORDER BY id LIMIT 1000"),
        }
    }
}

/// Which way, and which table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Contestant {
    /// Straight to PostgreSQL.
    Direct,
    /// Through the proxy, a table without encrypted columns.
    ProxyPlain,
    /// Through the proxy, a table whose text columns are encrypted.
    ProxySealed,
}

impl Contestant {
    pub(super) const ALL: [Contestant; 3] = [Contestant::Direct, Contestant::ProxyPlain, Contestant::ProxySealed];

    pub(super) fn name(self) -> &'static str {
        match self {
            Contestant::Direct => "direct",
            Contestant::ProxyPlain => "proxy, plain",
            Contestant::ProxySealed => "proxy, encrypted",
        }
    }

    fn table(self) -> &'static str {
        match self {
            Contestant::Direct | Contestant::ProxyPlain => "bench_plain",
            Contestant::ProxySealed => "bench_sealed",
        }
    }
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Statements per second over all clients.
    pub(super) per_second: f64,
    /// Median time of a statement.
    pub(super) p50: Duration,
    /// 99th percentile.
    pub(super) p99: Duration,
}

pub(super) fn email(n: u32) -> String {
    format!("person{n}@example.com")
}

async fn connect(url: &str) -> Result<Client, String> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(|e| format!("cannot connect for the benchmark: {e}"))?;
    tokio::spawn(connection);
    Ok(client)
}

fn say(e: &tokio_postgres::Error) -> String {
    match e.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => e.to_string(),
    }
}

/// Makes and fills both tables.
pub(super) async fn prepare(stage: &Stage, rows: u32) -> Result<(), String> {
    let client = connect(&stage.proxy).await?;
    let ddl = "DROP TABLE IF EXISTS bench_plain; DROP TABLE IF EXISTS bench_sealed;";
    client.batch_execute(ddl).await.map_err(|e| say(&e))?;
    for (table, kind) in [("bench_plain", "text"), ("bench_sealed", "seal.text_eq")] {
        let create = format!("CREATE TABLE {table} (id bigint PRIMARY KEY, email {kind}, name {kind}, plain text)");
        client.batch_execute(&create).await.map_err(|e| say(&e))?;
        let insert = format!("INSERT INTO {table} (id, email, name, plain) VALUES ($1, $2, $3, 'x')");
        let statement = client.prepare(&insert).await.map_err(|e| say(&e))?;
        client.batch_execute("BEGIN").await.map_err(|e| say(&e))?;
        for n in 0..rows {
            let name = format!("Person number {n}");
            client.execute(&statement, &[&i64::from(n), &email(n), &name]).await.map_err(|e| say(&e))?;
        }
        client.batch_execute("COMMIT").await.map_err(|e| say(&e))?;
        client.batch_execute(&format!("CREATE INDEX ON {table} (email)")).await.map_err(|e| say(&e))?;
    }
    let direct = connect(&stage.direct).await?;
    direct.batch_execute("VACUUM ANALYZE bench_plain, bench_sealed").await.map_err(|e| say(&e))
}

/// Drops both tables. The schema `seal` stays: others may use it.
pub(super) async fn clean(stage: &Stage) -> Result<(), String> {
    let client = connect(&stage.direct).await?;
    client.batch_execute("DROP TABLE bench_plain, bench_sealed").await.map_err(|e| say(&e))
}

/// Runs one load one way for some time.
pub(super) async fn measure(
    stage: &Stage,
    load: Load,
    contestant: Contestant,
    rows: u32,
    clients: usize,
    time: Duration,
) -> Result<Sample, String> {
    let url = if contestant == Contestant::Direct { &stage.direct } else { &stage.proxy };
    let url: Arc<str> = url.as_str().into();
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let url = Arc::clone(&url);
        tasks.spawn(async move { one_client(&url, load, contestant, rows, number, time).await });
    }
    let mut times = Vec::new();
    let mut rate = 0.0;
    while let Some(done) = tasks.join_next().await {
        let own = done.map_err(|e| e.to_string())??;
        let spent: Duration = own.iter().sum();
        if !spent.is_zero() {
            rate += own.len() as f64 / spent.as_secs_f64();
        }
        times.extend(own);
    }
    times.sort_unstable();
    let at = |q: f64| times.get(((times.len() as f64 - 1.0) * q) as usize).copied().unwrap_or_default();
    Ok(Sample { per_second: rate, p50: at(0.5), p99: at(0.99) })
}

async fn one_client(
    url: &str,
    load: Load,
    contestant: Contestant,
    rows: u32,
    number: usize,
    time: Duration,
) -> Result<Vec<Duration>, String> {
    let client = connect(url).await?;
    let statement = client.prepare(&load.sql(contestant.table())).await.map_err(|e| say(&e))?;
    let mut times = Vec::new();
    let mut state = 0x9e37_79b9_u32.wrapping_mul(number as u32 + 1);
    let end = Instant::now() + time;
    while Instant::now() < end {
        // A linear congruential step: spreads accesses, the same for every contestant.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let started = Instant::now();
        once(&client, &statement, load, state, rows).await.map_err(|e| say(&e))?;
        times.push(started.elapsed());
    }
    Ok(times)
}

async fn once(
    client: &Client,
    statement: &Statement,
    load: Load,
    random: u32,
    rows: u32,
) -> Result<(), tokio_postgres::Error> {
    let n = random % rows.max(1);
    match load {
        Load::ById => client.query(statement, &[&i64::from(n)]).await.map(drop),
        Load::ByEmail => client.query(statement, &[&email(n)]).await.map(drop),
        Load::Bulk => client.query(statement, &[&i64::from(n.min(rows.saturating_sub(1000)))]).await.map(drop),
        Load::Insert => {
            let id = uuid::Uuid::new_v4().as_u64_pair().0 >> 1;
            let id = i64::try_from(id | 1 << 40).expect("63 bits");
            client.execute(statement, &[&id, &email(random), &"A new person"]).await.map(drop)
        }
    }
}
