//! Backups: one file that holds a whole store as it rests, of either kind, taken while it is in use. Shares in it are
//! wrapped by the root key, which is not in it.
//!
//! A line of JSON each: a header, tables and their rows in an order that can be inserted, and last the number of rows
//! and the SHA-256 of every byte before. A file that was cut, altered or continued is refused before anything is done.

mod again;
mod format;
mod restore;
mod revocations;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;

use super::super::files::file_error;
use super::tables::{audit, workspace};
use super::{Cell, Row, Store, Tx, Value, migrations};

pub use format::Header;
pub use restore::{Restored, restore};
pub use revocations::{Act, Revocation, since};

/// What only servers on one database need, and only while they run.
const TRANSIENT: [&str; 2] = ["turns", "writers"];
/// Rows of the audit trail read at a time.
const PAGE: u32 = 2_000;

/// A backup that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// What it is of.
    pub header: Header,
    /// Rows in it.
    pub rows: u64,
}

/// Writes a backup to a new file, mode 0600. The file is there whole or not at all.
pub fn backup(store: &dyn Store, to: &Path) -> Result<Made, KeysError> {
    if to.exists() {
        return Err(KeysError::Exists { what: format!("the file {}", to.display()) });
    }
    let partial = partial(to);
    let made = super::read(store, |tx| write(tx, &partial));
    let kept = made.and_then(|made| keep(&partial, to).map(|()| made));
    if kept.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    kept
}

fn partial(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}", std::process::id()));
    to.with_file_name(name)
}

/// Gives the whole file its name, unless somebody else took it.
fn keep(partial: &Path, to: &Path) -> Result<(), KeysError> {
    std::fs::hard_link(partial, to).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => KeysError::Exists { what: format!("the file {}", to.display()) },
        _ => file_error(to, &e),
    })?;
    std::fs::remove_file(partial).map_err(|e| file_error(partial, &e))?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| file_error(to, &e))
}

/// A transaction may be begun anew: so is the file.
fn write(tx: &dyn Tx, path: &Path) -> Result<Made, KeysError> {
    let error = |e: std::io::Error| file_error(path, &e);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(error)?;
    let mut out = Hashed { out: BufWriter::new(file), hash: Sha256::new() };
    let header = header(tx)?;
    out.line(&format::header(&header)).map_err(error)?;
    let mut rows = 0;
    for table in migrations::tables(header.schema).into_iter().filter(|table| !TRANSIENT.contains(table)) {
        let columns = tx.columns(table)?;
        out.line(&format::table(table, &columns)).map_err(error)?;
        let names = columns.join(", ");
        each(tx, table, &names, &mut |row| {
            rows += 1;
            out.line(&format::row(&row.rest())).map_err(error)
        })?;
    }
    let Hashed { mut out, hash } = out;
    writeln!(out, "{}", format::end(rows, &hash.finalize().into())).map_err(error)?;
    let file = out.into_inner().map_err(|e| error(e.into_error()))?;
    file.sync_all().map_err(error)?;
    Ok(Made { header, rows })
}

fn header(tx: &dyn Tx) -> Result<Header, KeysError> {
    let row = workspace::require(tx)?;
    let changes = audit::chain(tx, audit::main(tx)?)?.map_or(0, |chain| chain.head.sequence);
    let schema = migrations::version(tx)?;
    Ok(Header { schema, service: row.service, revision: row.revision, changes, time_ms: wall_ms() })
}

type Each<'a> = &'a mut dyn FnMut(Row) -> Result<(), KeysError>;

/// Every row of a table; those of the audit trail, of which there may be very many, in pages.
fn each(tx: &dyn Tx, table: &str, names: &str, take: Each<'_>) -> Result<(), KeysError> {
    if table != "audit_entries" {
        return tx.rows(&format!("SELECT {names} FROM {table}"), &[])?.into_iter().try_for_each(take);
    }
    let sql =
        format!("SELECT {names} FROM audit_entries WHERE replica = $1 AND sequence > $2 ORDER BY sequence LIMIT $3");
    for chain in audit::chains(tx)? {
        let mut seen = 0;
        while seen < chain.head.sequence {
            let values = [Value::Bytes(&chain.head.replica.0), Value::Int(seen), Value::Int(PAGE.into())];
            let page = tx.rows(&sql, &values)?;
            if page.is_empty() {
                break;
            }
            // The last row's sequence is asked for anew: columns stand in any order here.
            let last = "SELECT max(sequence) FROM (SELECT sequence FROM audit_entries
                WHERE replica = $1 AND sequence > $2 ORDER BY sequence LIMIT $3) page";
            let mut rows = tx.rows(last, &values)?;
            seen = rows.pop().and_then(|mut row| row.int().ok()).ok_or_else(|| tx.corrupt("the audit trail"))?;
            page.into_iter().try_for_each(&mut *take)?;
        }
    }
    Ok(())
}

/// What was written, and its hash.
struct Hashed<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Hashed<W> {
    fn line(&mut self, line: &str) -> std::io::Result<()> {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }
}

/// A cell as a parameter.
fn value(cell: &Cell) -> Option<Value<'_>> {
    Some(match cell {
        Cell::Int(number) => Value::Int(u64::try_from(*number).ok()?),
        Cell::Text(text) => Value::Text(text),
        Cell::Bytes(bytes) => Value::Bytes(bytes),
        Cell::Null => Value::Null,
    })
}
