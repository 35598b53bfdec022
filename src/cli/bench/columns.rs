//! The same statements on encrypted columns and on plain ones, at several sizes of the table.

use super::BenchArgs;
use super::figures::{Place, Report};
use super::loads::{COLUMNS, ColumnLoad};
use super::pgbench::{self, Run};
use super::stage::{Stage, Way};

pub(super) const SECTION: &str = "columns";
/// Tables with more rows are not searched by LIKE: making the index takes too long.
const MOST_SEARCHED: u32 = 1_000_000;
/// Rows in one group.
const GROUP: u32 = 100;

/// Which way, and which table.
const CONTESTANTS: [(&str, Way, &str); 3] = [
    ("direct, plain", Way::Direct, "bench_plain"),
    ("columnseal, plain", Way::Proxy, "bench_plain"),
    ("columnseal, encrypted", Way::Proxy, "bench_sealed"),
];

/// Runs every load at every size.
///
/// # Errors
/// What could not be measured, in words.
pub(super) async fn measure(stage: &mut Stage, args: &BenchArgs, report: &mut Report) -> Result<(), String> {
    for &rows in &args.rows {
        prepare(stage, rows).await?;
        for load in COLUMNS.iter().filter(|load| args.wants(load.name) && (!load.searches || rows <= MOST_SEARCHED)) {
            for round in 0..args.rounds as usize {
                for n in 0..CONTESTANTS.len() {
                    let (name, way, table) = CONTESTANTS[(n + round) % CONTESTANTS.len()];
                    let sample = pgbench::run(stage, way, &run(stage, args, load, table, rows)?)?;
                    report.add(Place { section: SECTION, load: load.name.into(), size: rows, way: name }, sample);
                }
            }
        }
        sizes(stage, report, rows).await?;
    }
    Ok(())
}

fn run(stage: &Stage, args: &BenchArgs, load: &ColumnLoad, table: &str, rows: u32) -> Result<Run, String> {
    Ok(Run {
        protocol: load.protocol,
        script: load.script(stage, table, rows)?,
        statements: 1,
        // Else the number that is nearest to 8.
        clients: if load.alone { 1 } else { args.clients.iter().copied().min_by_key(|c| c.abs_diff(8)).unwrap_or(8) },
        seconds: args.seconds,
        scale: 1,
        connects: false,
    })
}

/// Makes and fills the tables, of the same rows.
async fn prepare(stage: &Stage, rows: u32) -> Result<(), String> {
    stage.execute(Way::Direct, "CREATE EXTENSION IF NOT EXISTS pg_trgm").await?;
    for (table, sealed) in [("bench_plain", false), ("bench_sealed", true)] {
        let kind = |seal: &str, plain: &str| if sealed { format!("seal.{seal}") } else { plain.to_owned() };
        let (account, text, age, bio) =
            (kind("int8_eq", "int8"), kind("text_eq", "text"), kind("int4_ord", "int4"), kind("text_match", "text"));
        let ddl = format!(
            "DROP TABLE IF EXISTS {table}, {table}_more, {table}_new;
             CREATE TABLE {table} (id bigint PRIMARY KEY, account {account}, email {text}, name {text}, grp {text}, age {age}, bio {bio}, note text);
             CREATE TABLE {table}_more (id bigint PRIMARY KEY, account {account});
             CREATE TABLE {table}_new (id bigint, account {account}, email {text}, name {text});"
        );
        stage.execute(Way::Proxy, &ddl).await?;
        fill(stage, table, rows).await?;
        let search = if sealed { "gin (bio)" } else { "gin (bio gin_trgm_ops)" };
        let mut indexes = format!(
            "CREATE INDEX ON {table} (account); CREATE INDEX ON {table} (age); CREATE INDEX ON {table}_more (account);
             CREATE INDEX ON {table}_new (account);"
        );
        if rows <= MOST_SEARCHED {
            indexes.push_str(&format!("CREATE INDEX ON {table} USING {search};"));
        }
        stage.execute(Way::Proxy, &indexes).await?;
        stage.execute(Way::Direct, &format!("VACUUM ANALYZE {table}, {table}_more, {table}_new")).await?;
    }
    Ok(())
}

/// Loads the rows through the proxy.
async fn fill(stage: &Stage, table: &str, rows: u32) -> Result<(), String> {
    let groups = rows.div_ceil(GROUP);
    let line = |n: u32| {
        // A permutation of the rows, so that neighbours in one order are none in the other.
        let age = u64::from(n) * 7_368_787 % u64::from(rows) + 1;
        format!(
            "{n}\t{n}\tperson{n}@example.com\tPerson number {n}\tgroup {}\t{age}\tentry {n} of a diary\tnothing\n",
            n % groups
        )
    };
    let file = stage.file("rows", rows, &line)?;
    stage.psql(Way::Proxy, &format!("\\copy {table} FROM '{}'", file.display()))?;
    let file = stage.file("rows", rows, &|n| format!("{n}\t{n}\n"))?;
    stage.psql(Way::Proxy, &format!("\\copy {table}_more FROM '{}'", file.display()))
}

/// What is on disk.
async fn sizes(stage: &Stage, report: &mut Report, rows: u32) -> Result<(), String> {
    for (what, table) in [("plain", "bench_plain"), ("encrypted", "bench_sealed")] {
        let bytes = stage.number(&format!("SELECT pg_total_relation_size('{table}')::float8")).await?;
        report.single(
            SECTION,
            format!("table and indexes, {what}, {rows} rows"),
            bytes / f64::from(rows),
            "bytes a row",
        );
    }
    for (what, column) in [
        ("int8_eq", "account"),
        ("text_eq, 20 characters", "email"),
        ("int4_ord", "age"),
        ("text_match, 20 characters", "bio"),
    ] {
        let sql = format!("SELECT avg(pg_column_size({column}))::float8 FROM bench_sealed WHERE id <= 1000");
        report.single(SECTION, format!("stored value of {what}, {rows} rows"), stage.number(&sql).await?, "bytes");
    }
    Ok(())
}
