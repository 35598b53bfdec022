//! What the two applications share.

use std::fmt::Debug;
use std::path::Path;

use tempfile::TempDir;

/// Where the database is.
pub fn url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL is set by the test")
}

/// The same, for a session that sees the catalogs as plain.
pub fn plain_url() -> String {
    url() + "?options=-c%20columnseal.introspection%3Dplain"
}

/// Prints what was seen.
pub fn show(label: &str, value: impl Debug) {
    println!("{label} {value:?}");
}

/// Columns of encrypted types; on plain PostgreSQL of the plaintext types of the same names.
fn sealed(sql: &str) -> String {
    if std::env::var_os("SEALED").is_some() {
        return sql.to_owned();
    }
    let mut pieces = sql.split("seal.");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(piece.len());
        let (name, rest) = piece.split_at(end);
        plain += name.split('_').next().unwrap_or_default();
        plain += rest;
    }
    plain
}

/// A copy of a folder of migrations, for the database at hand.
pub fn migrations(of: &str) -> TempDir {
    fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let (from, to) = (entry.as_ref().map_err(|e| e.kind())?.path(), to.join(entry?.file_name()));
            if from.is_dir() {
                copy(&from, &to)?;
            } else {
                std::fs::write(to, sealed(&std::fs::read_to_string(from)?))?;
            }
        }
        Ok(())
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(of), folder.path())
        .expect("migrations are readable");
    folder
}
