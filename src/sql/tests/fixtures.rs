//! Text fixtures: `tests/fixtures/sql/*.txt`. A case is a statement and what analysis says of it, between lines of
//! `----`; the statement ends at the first line that begins with `=>`.
//!
//! `UPDATE_FIXTURES=1` writes what analysis says; read the difference before it is committed.

use std::path::Path;

use super::support;

#[test]
fn fixtures_hold() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sql");
    let mut files: Vec<_> =
        std::fs::read_dir(&dir).expect("fixtures exist").map(|e| e.expect("readable").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "txt"));
    files.sort();
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let (catalog, path) = (support::catalog(), support::path());
    let mut wrong = String::new();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("readable");
        let mut out = String::new();
        for case in text.split("----\n") {
            let (sql, said) = case.split_once("\n=>\n").unwrap_or((case.trim_end(), ""));
            let now = support::describe(sql, &catalog, &path);
            if now != said {
                wrong += &format!("{}:\n{sql}\n=> now\n{now}=> was\n{said}\n", file.display());
            }
            out += &format!("{}{sql}\n=>\n{now}", if out.is_empty() { "" } else { "----\n" });
        }
        if update && out != text {
            std::fs::write(file, out).expect("writable");
        }
    }
    assert!(update || wrong.is_empty(), "{wrong}");
}
