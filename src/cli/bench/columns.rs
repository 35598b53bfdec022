//! The same statements on encrypted columns and on plain ones, at several sizes of the table.

use super::BenchArgs;
use super::contest;
use super::corpus::STRIDE;
use super::figures::Report;
use super::loads::{COLUMNS, ColumnLoad};
use super::pgbench::Run;
use super::stage::{Stage, Way};

pub(super) const SECTION: &str = "columns";
/// Rows in one group.
const GROUP: u32 = 100;

/// Runs every load at every size.
///
/// # Errors
/// What could not be measured, in words.
pub(super) async fn measure(stage: &mut Stage, args: &BenchArgs, report: &mut Report) -> Result<(), String> {
    let loads: Vec<&ColumnLoad> = COLUMNS.iter().filter(|load| args.wants(load.name)).collect();
    let searches = loads.iter().any(|load| load.searches);
    let trigrams = stage.trigrams().await?;
    if searches && !trigrams {
        report.note(SECTION, "pg_trgm is not installed: plain columns have no index for LIKE");
    }
    for &rows in &args.rows {
        for sealed in [false, true] {
            prepare(stage, rows, sealed, searches && (sealed || trigrams)).await?;
        }
        for load in &loads {
            contest::run(stage, args, report, (SECTION, load.name, rows), &|sealed| {
                run(stage, args, load, (table(sealed), rows))
            })?;
        }
        sizes(stage, report, rows, searches).await?;
    }
    Ok(())
}

fn table(sealed: bool) -> &'static str {
    if sealed { "bench_sealed" } else { "bench_plain" }
}

fn run(stage: &Stage, args: &BenchArgs, load: &ColumnLoad, (table, rows): (&str, u32)) -> Result<Run, String> {
    Ok(Run {
        protocol: load.protocol,
        script: load.script(stage, table, rows)?,
        statements: 1,
        clients: if load.alone { 1 } else { contest::clients(args) },
        seconds: args.seconds,
        scale: 1,
        connects: false,
    })
}

/// Makes, fills and indexes the plain tables, or the encrypted ones of the same rows.
async fn prepare(stage: &Stage, rows: u32, sealed: bool, searched: bool) -> Result<(), String> {
    let table = table(sealed);
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
    let mut indexes = vec![
        format!("{table} (account)"),
        format!("{table} (age)"),
        format!("{table}_more (account)"),
        format!("{table}_new (account)"),
    ];
    if searched {
        indexes.push(format!("{table} USING gin (bio{})", if sealed { "" } else { " gin_trgm_ops" }));
    }
    for index in indexes {
        stage.tell(&format!("{SECTION}, {rows} rows: index of {index}"));
        stage.execute(Way::Proxy, &format!("CREATE INDEX ON {index}")).await?;
    }
    if sealed {
        // Of a plain column ANALYZE counts the groups by itself. Of an expression they are to be less than a tenth of its sample, which is of 300
        // rows a target.
        let target = (rows / GROUP / 15).clamp(100, 10_000);
        let statistics = format!(
            "CREATE STATISTICS {table}_grp ON grp FROM {table}; ALTER STATISTICS {table}_grp SET STATISTICS {target}"
        );
        stage.execute(Way::Proxy, &statistics).await?;
    }
    stage.execute(Way::Direct, &format!("VACUUM ANALYZE {table}, {table}_more, {table}_new")).await
}

/// Loads the rows through the proxy.
async fn fill(stage: &Stage, table: &str, rows: u32) -> Result<(), String> {
    stage.tell(&format!("{SECTION}, {rows} rows: loading {table}"));
    let groups = rows.div_ceil(GROUP);
    let line = |n: u32| {
        let age = u64::from(n) * STRIDE % u64::from(rows) + 1;
        format!(
            "{n}\t{n}\tperson{n}@example.com\tPerson number {n}\tgroup {}\t{age}\tentry {n} of a diary\tnothing\n",
            n % groups
        )
    };
    let file = stage.file("rows", rows, &line)?;
    stage.psql(Way::Proxy, &format!("\\copy {table} FROM '{}'", file.display()))?;
    let file = stage.file("rows", rows, &|n| format!("{n}\t{n}\n"))?;
    stage.psql(Way::Proxy, &format!("\\copy {table}_more FROM '{}'", file.display()))?;
    stage.remove(&file);
    Ok(())
}

/// What is on disk.
async fn sizes(stage: &Stage, report: &mut Report, rows: u32, searched: bool) -> Result<(), String> {
    if !searched {
        report.note(SECTION, format!("{rows} rows: the sizes are without indexes for LIKE, which was not measured"));
    }
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
