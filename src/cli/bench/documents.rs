//! JSON and texts that are searched: what the columns and their indexes take, and what a search of them takes, beside plain `jsonb` and `pg_trgm`.

use std::time::Instant;

use super::BenchArgs;
use super::contest::{self, CONTESTANTS};
use super::corpus::{self, STRIDE};
use super::figures::Report;
use super::pgbench::{Needles, Run, Script};
use super::searches::{SEARCHES, Search, Subject};
use super::stage::{Stage, Way};

pub(super) const SECTION: &str = "documents";
/// Larger tables are left out: their encrypted documents would take tens of gigabytes.
const MOST: u32 = 1_000_000;
/// Values that are searched for in one load, asked for at random.
const NEEDLES: u32 = 100;
/// Unit of sizes.
pub(super) const WEIGHT: &str = "bytes a row";
/// Rows of the table of every type.
const STORED: u32 = 1000;
/// Types whose values are weighed, plain and encrypted.
const TYPES: [(&str, Subject); 9] = [
    ("jsonb", Subject::Documents),
    ("seal.jsonb", Subject::Documents),
    ("seal.jsonb_eq", Subject::Documents),
    ("seal.jsonb_search", Subject::Documents),
    ("text", Subject::Texts),
    ("seal.text", Subject::Texts),
    ("seal.text_eq", Subject::Texts),
    ("seal.text_match", Subject::Texts),
    ("seal.text_search", Subject::Texts),
];

/// An index: what it is, and over what, of a plain column and of an encrypted one.
type Index = (&'static str, Option<&'static str>, Option<&'static str>);

/// `jsonb_path_ops` serves `@>` alone, in less room; a part of a document needs an index of its own.
const OF_DOCUMENTS: [Index; 5] = [
    ("GIN index (plain: jsonb_ops)", Some("USING gin (v)"), Some("USING gin (v)")),
    ("GIN index, jsonb_path_ops", Some("USING gin (v jsonb_path_ops)"), None),
    ("index of v ->> 'ref'", Some("((v ->> 'ref'))"), None),
    ("index of v ->> 'batch'", Some("((v ->> 'batch'))"), None),
    ("index of v #>> '{customer,email}'", Some("((v #>> '{customer,email}'))"), None),
];
const OF_TEXTS: [Index; 3] = [
    ("GIN index (plain: gin_trgm_ops)", Some("USING gin (v gin_trgm_ops)"), Some("USING gin (v)")),
    ("index of v", Some("(v)"), Some("(v)")),
    ("index of lower(v)", Some("(lower(v))"), None),
];

/// Weighs, and runs every search at every size.
///
/// # Errors
/// What could not be measured, in words.
pub(super) async fn measure(stage: &mut Stage, args: &BenchArgs, report: &mut Report) -> Result<(), String> {
    stored(stage, report).await?;
    let trigrams = stage.trigrams().await?;
    if !trigrams {
        report.note(SECTION, "pg_trgm is not installed: plain texts have no index for LIKE");
    }
    for search in SEARCHES.iter().filter(|search| args.wants(search.name)) {
        report.note(SECTION, format!("{}: `{}`", search.name, search.sql.replace("{t}", "t").replace("{x}", "$1")));
    }
    for &rows in &args.rows {
        if rows > MOST {
            report.note(SECTION, format!("{rows} rows: not measured, {MOST} are the most"));
            continue;
        }
        for subject in [Subject::Documents, Subject::Texts] {
            let searches: Vec<&Search> =
                SEARCHES.iter().filter(|search| search.subject == subject && args.wants(search.name)).collect();
            if searches.is_empty() {
                continue;
            }
            prepare(stage, report, (subject, rows), trigrams).await?;
            for search in searches {
                alike(stage, search, rows).await?;
                contest::run(stage, args, report, (SECTION, search.name, rows), &|sealed| {
                    run(stage, args, search, (sealed, rows))
                })?;
            }
        }
    }
    Ok(())
}

fn run(stage: &Stage, args: &BenchArgs, search: &Search, (sealed, rows): (bool, u32)) -> Result<Run, String> {
    let values = (0..NEEDLES).map(|n| (search.needle)(&corpus::row(chosen(n, rows), rows))).collect();
    let sql = search.sql.replace("{t}", &table(search.subject, sealed));
    Ok(Run {
        protocol: "prepared",
        script: Script::Needles(Needles::write(stage, &sql, values)?),
        statements: 1,
        clients: contest::clients(args),
        seconds: args.seconds,
        scale: 1,
        connects: false,
    })
}

/// A row that is searched for.
fn chosen(n: u32, rows: u32) -> u32 {
    (u64::from(n) * STRIDE % u64::from(rows)) as u32 + 1
}

fn table(subject: Subject, sealed: bool) -> String {
    format!("bench_{}_{}", subject.name(), if sealed { "sealed" } else { "plain" })
}

/// Makes, fills and weighs the tables of a subject.
async fn prepare(
    stage: &Stage,
    report: &mut Report,
    (subject, rows): (Subject, u32),
    trigrams: bool,
) -> Result<(), String> {
    let line = |n: u32| {
        let row = corpus::row(n, rows);
        format!("{n}\t{}\n", subject.of(&row))
    };
    let file = stage.file("documents", rows, &line)?;
    let mut loads = [None; 2];
    for (sealed, load) in [false, true].into_iter().zip(&mut loads) {
        let (table, kind) = (table(subject, sealed), subject.kind(sealed));
        let way = if sealed { Way::Proxy } else { Way::Direct };
        stage.tell(&format!("{SECTION}, {rows} rows: loading {table}"));
        let ddl = format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id bigint PRIMARY KEY, v {kind})");
        stage.execute(Way::Proxy, &ddl).await?;
        let began = Instant::now();
        stage.psql(way, &format!("\\copy {table} FROM '{}'", file.display()))?;
        *load = Some(f64::from(rows) / began.elapsed().as_secs_f64());
    }
    stage.remove(&file);
    let name = subject.name();
    report.pair(SECTION, (format!("{name}: COPY FROM"), rows), loads, "rows a second");
    let indexes: &[Index] = if subject == Subject::Documents { &OF_DOCUMENTS } else { &OF_TEXTS };
    let mut built = Vec::new();
    for (n, (what, plain, encrypted)) in indexes.iter().enumerate() {
        let plain = plain.filter(|over| trigrams || !over.contains("trgm"));
        let (of_plain, of_sealed) = (table(subject, false), table(subject, true));
        let plain = index(stage, &of_plain, n, plain).await?;
        built.push((what, [plain, index(stage, &of_sealed, n, *encrypted).await?]));
    }
    for sealed in [false, true] {
        stage.execute(Way::Direct, &format!("VACUUM ANALYZE {}", table(subject, sealed))).await?;
    }
    weigh(stage, report, subject, rows).await?;
    for (what, built) in built {
        let bytes = built.map(|index| index.map(|(_, bytes)| bytes / f64::from(rows)));
        report.pair(SECTION, (format!("{name}: {what}"), rows), bytes, WEIGHT);
        let seconds = built.map(|index| index.map(|(seconds, _)| seconds));
        report.pair(SECTION, (format!("{name}: {what}, building it"), rows), seconds, "s");
    }
    Ok(())
}

/// Makes an index: seconds and bytes.
async fn index(stage: &Stage, table: &str, n: usize, over: Option<&str>) -> Result<Option<(f64, f64)>, String> {
    let Some(over) = over else { return Ok(None) };
    stage.tell(&format!("{SECTION}: index of {table} {over}"));
    let began = Instant::now();
    stage.execute(Way::Proxy, &format!("CREATE INDEX {table}_{n} ON {table} {over}")).await?;
    let seconds = began.elapsed().as_secs_f64();
    let bytes = stage.number(&format!("SELECT pg_relation_size('{table}_{n}')::float8")).await?;
    Ok(Some((seconds, bytes)))
}

/// The tables without their indexes, and the columns in them.
async fn weigh(stage: &Stage, report: &mut Report, subject: Subject, rows: u32) -> Result<(), String> {
    let (mut tables, mut columns) = ([None; 2], [None; 2]);
    for (n, sealed) in [false, true].into_iter().enumerate() {
        let table = table(subject, sealed);
        let bytes = stage.number(&format!("SELECT pg_table_size('{table}')::float8")).await?;
        tables[n] = Some(bytes / f64::from(rows));
        columns[n] = Some(stage.number(&format!("SELECT avg(pg_column_size(v))::float8 FROM {table}")).await?);
    }
    let name = subject.name();
    report.pair(SECTION, (format!("{name}: table without indexes"), rows), tables, WEIGHT);
    report.pair(SECTION, (format!("{name}: column v"), rows), columns, WEIGHT);
    Ok(())
}

/// Bytes of a value under every type that could hold it.
async fn stored(stage: &Stage, report: &mut Report) -> Result<(), String> {
    let columns: Vec<String> = TYPES.iter().enumerate().map(|(n, (kind, _))| format!("c{n} {kind}")).collect();
    let ddl = format!("DROP TABLE IF EXISTS bench_stored; CREATE TABLE bench_stored ({})", columns.join(", "));
    stage.execute(Way::Proxy, &ddl).await?;
    let line = |n: u32| {
        let row = corpus::row(n, STORED);
        let values: Vec<&str> = TYPES.iter().map(|(_, subject)| subject.of(&row)).collect();
        format!("{}\n", values.join("\t"))
    };
    let file = stage.file("stored", STORED, &line)?;
    stage.psql(Way::Proxy, &format!("\\copy bench_stored FROM '{}'", file.display()))?;
    stage.remove(&file);
    for (n, (kind, subject)) in TYPES.iter().enumerate() {
        let bytes = stage.number(&format!("SELECT avg(pg_column_size(c{n}))::float8 FROM bench_stored")).await?;
        report.single(SECTION, format!("one of the {} as {kind}", subject.name()), bytes, "bytes");
    }
    Ok(())
}

/// Whether a search finds the same rows by every contestant: a rate of wrong answers is none.
async fn alike(stage: &Stage, search: &Search, rows: u32) -> Result<(), String> {
    let value = (search.needle)(&corpus::row(chosen(1, rows), rows));
    let mut first: Option<Vec<Vec<Option<String>>>> = None;
    for (name, way, sealed) in CONTESTANTS {
        let sql = search.sql.replace("{t}", &table(search.subject, sealed)).replace("{x}", &format!("'{value}'"));
        let found = stage.rows(way, &sql).await?;
        let expected = first.get_or_insert_with(|| found.clone());
        if found.is_empty() || found != *expected {
            let (found, direct) = (found.len(), expected.len());
            return Err(format!("{}, {name}: {found} rows, others than the {direct} on plain columns", search.name));
        }
    }
    Ok(())
}
