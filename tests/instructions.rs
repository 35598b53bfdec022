//! Instructions of the hot paths, counted by callgrind: unlike times they are the same on a busy machine. A path that takes
//! more than it did fails; one that takes less asks for a new entry in `tests/fixtures/instructions.txt`
//! (`UPDATE_FIXTURES=1`). The counts are of the profile that CI builds; another one is not measured.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "test code")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use columnseal::crypto::envelope::{DataKey, Padding};
use columnseal::crypto::secret::{Key32, TermRoot};
use columnseal::crypto::term::TermKeys;
use columnseal::crypto::term::order::Digits;
use columnseal::crypto::{Epoch, KeyId, KeysetId, Kref, TypeId};
use columnseal::sql::plan::SessionState;
use columnseal::sql::{PlanCache, analyze};
use columnseal::wire::frame::{self, MAX_LARGE, Step};
use columnseal::wire::server::{DataRow, DataRowBuilder};
use columnseal::wire::value::{Format, PlainType, Settings, canonical, fold, ordering, read, write};

#[allow(unreachable_pub, dead_code, reason = "public for the fuzz targets")]
#[path = "../fuzz/harness/catalog.rs"]
mod catalog;

/// How far a count may go from what it was.
const MARGIN: f64 = 0.05;
/// Rounds of the two runs whose difference is counted.
const FEW: u32 = 20;
const MANY: u32 = 220;
/// Which path a child runs, and how often.
const PATH: &str = "COLUMNSEAL_PATH";
const ROUNDS: &str = "COLUMNSEAL_ROUNDS";

const LOOKUP: &str = "SELECT id, email, name FROM users WHERE email = $1";
const TEXT: &[u8] = b"ada.lovelace@example.com ";

/// A hot path: prepared once, then run over and over.
type HotPath = fn() -> Box<dyn FnMut()>;

const PATHS: [(&str, HotPath); 11] = [
    ("statement seen before, encrypted", || seen(LOOKUP)),
    ("statement seen before, plain", || seen("SELECT id, total FROM orders WHERE user_id = $1")),
    ("statement seen before, other literals", || seen_alike()),
    ("new statement, encrypted", || {
        let (catalog, path) = (catalog::catalog(), path());
        Box::new(move || {
            let session = SessionState { search_path: Some(&path), standard_conforming_strings: true };
            black_box(analyze(black_box(LOOKUP), &[], &catalog, &session).unwrap());
        })
    }),
    ("seal 25 characters", || {
        let (key, mut out) = (key(), Vec::new());
        Box::new(move || {
            out.clear();
            key.seal(&TYPE, Padding::To16, 8, black_box(TEXT), &mut out).unwrap();
        })
    }),
    ("open 25 characters", || {
        let (key, mut sealed, mut out) = (key(), Vec::new(), Vec::new());
        key.seal(&TYPE, Padding::To16, 8, TEXT, &mut sealed).unwrap();
        Box::new(move || {
            out.clear();
            key.open(&TYPE, black_box(&sealed), &mut out).unwrap();
        })
    }),
    ("equality term of 25 characters", || {
        let keys = TermKeys::new(&TermRoot::new(Key32::new([7; 32])));
        Box::new(move || {
            let mut bytes = Vec::new();
            canonical(PlainType::Text, black_box(TEXT), &mut bytes).unwrap();
            black_box(keys.eq.term(&bytes));
        })
    }),
    ("order term of an int8", || {
        let (keys, mut out) = (TermKeys::new(&TermRoot::new(Key32::new([7; 32]))), Vec::new());
        Box::new(move || {
            out.clear();
            let mut bytes = Vec::new();
            ordering(PlainType::Int8, black_box(&[0, 0, 0, 1, 2, 3, 4, 5]), &mut bytes).unwrap();
            keys.ord(Digits::Short).term(&bytes, &mut out);
        })
    }),
    ("match term of 25 characters", || {
        let keys = TermKeys::new(&TermRoot::new(Key32::new([7; 32])));
        let text = std::str::from_utf8(TEXT).unwrap();
        Box::new(move || {
            black_box(keys.matching.term(&fold(black_box(text)), true));
        })
    }),
    ("timestamptz to its stored form and back", || {
        let settings = Settings::default();
        Box::new(move || {
            let (mut stored, mut shown) = (Vec::new(), Vec::new());
            let text = black_box(&b"2001-02-03 04:05:06.789+00"[..]);
            read(PlainType::Timestamptz, 0, None, Format::Text, text, &settings, &mut stored).unwrap();
            write(PlainType::Timestamptz, &stored, Format::Text, &settings, &mut shown).unwrap();
            black_box(shown);
        })
    }),
    ("a row of 20 values taken apart and put together", || {
        let (mut row, mut out) = (Vec::new(), Vec::new());
        copy_row((0..20).map(|_| Some(TEXT)), &mut row);
        Box::new(move || {
            out.clear();
            let Ok(Step::Frame(frame)) = frame::step(black_box(&row), MAX_LARGE) else { panic!("a whole row") };
            copy_row(DataRow::parse(frame.body).unwrap().iter(), &mut out);
        })
    }),
];

const TYPE: TypeId = TypeId([3; 16]);

fn key() -> DataKey {
    DataKey::new(Kref(1), KeysetId([1; 16]), Epoch(1), KeyId([2; 8]), Key32::new([4; 32]))
}

fn path() -> [String; 2] {
    ["pg_catalog", "public"].map(String::from)
}

fn seen(sql: &'static str) -> Box<dyn FnMut()> {
    let (catalog, path, cache) = (catalog::catalog(), path(), PlanCache::new(1024));
    Box::new(move || {
        let session = SessionState { search_path: Some(&path), standard_conforming_strings: true };
        black_box(cache.analyze(black_box(sql), &[], &catalog, &session).unwrap());
    })
}

fn seen_alike() -> Box<dyn FnMut()> {
    let (catalog, path, cache, mut n) = (catalog::catalog(), path(), PlanCache::new(1024), 100_000);
    Box::new(move || {
        n += 1;
        let session = SessionState { search_path: Some(&path), standard_conforming_strings: true };
        let sql = format!("SELECT id, email FROM users WHERE email = 'person{n}@example.com'");
        black_box(cache.analyze(&sql, &[], &catalog, &session).unwrap());
    })
}

fn copy_row<'a>(values: impl Iterator<Item = Option<&'a [u8]>>, out: &mut Vec<u8>) {
    let mut row = DataRowBuilder::new(out);
    values.for_each(|value| row.values().value(value));
    row.finish().unwrap();
}

fn main() {
    if let Ok(name) = std::env::var(PATH) {
        let rounds = std::env::var(ROUNDS).unwrap().parse().unwrap();
        let mut run = PATHS.iter().find(|(path, _)| *path == name).unwrap().1();
        return (0..rounds).for_each(|_| run());
    }
    // As a test without the usual harness: listed under its own name, run when asked for.
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|arg| arg == "--list") {
        if !args.iter().any(|arg| arg == "--ignored") {
            println!("hot_paths_take_no_more_instructions: test");
        }
        return;
    }
    if option_env!("CARGO_PROFILE_DEV_OPT_LEVEL").is_some() || !cfg!(debug_assertions) {
        return println!("not measured: this is not the profile that the counts are of");
    }
    compare();
}

fn compare() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/instructions.txt");
    let expected: BTreeMap<String, f64> = std::fs::read_to_string(&file)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.rsplit_once(": ").map(|(name, count)| (name.to_owned(), count.parse().unwrap())))
        .collect();
    let (mut told, mut differs) = (String::new(), Vec::new());
    for (name, _) in PATHS {
        let each = (count(name, MANY) - count(name, FEW)) / f64::from(MANY - FEW);
        println!("{name}: {each:.0}");
        _ = writeln!(told, "{name}: {each:.0}");
        match expected.get(name) {
            Some(before) if (each / before - 1.0).abs() <= MARGIN => {}
            before => differs.push(format!("{name}: {each:.0} instructions, {before:?} before")),
        }
    }
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        return std::fs::write(file, told).unwrap();
    }
    assert!(differs.is_empty(), "{}\nUPDATE_FIXTURES=1 writes what is", differs.join("\n"));
}

/// Instructions of a process that runs a path so often.
fn count(name: &str, rounds: u32) -> f64 {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .env(PATH, name)
        .env(ROUNDS, rounds.to_string())
        .output()
        .expect("valgrind is installed");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{name}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind counts");
    collected.1.trim().parse().unwrap()
}
