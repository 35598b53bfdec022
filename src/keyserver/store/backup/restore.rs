//! Making a new store from a backup. It comes up sealed: what was taken away since the backup must be taken away again.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::crypto::ClientId;
use crate::keys::clock::{rfc3339, wall_ms};
use crate::keys::error::KeysError;

use super::super::super::files::file_error;
use super::super::spec::StoreSpec;
use super::super::tables::audit::{self, Entry};
use super::super::tables::workspace;
use super::super::{Tx, migrations};
use super::again::take_away;
use super::format::{Header, Line, read, read_header};
use super::revocations::Revocation;
use super::{TRANSIENT, value};

/// No line is longer: the longest field and what base64 and JSON add.
const LONGEST: u64 = 8 << 20;

/// A store that was made from a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// What the backup is of.
    pub header: Header,
    /// Rows in it.
    pub rows: u64,
    /// Revocations since, which were applied.
    pub revocations: u64,
}

/// Makes a new store from a backup, after the whole file was checked. The target must not hold anything; all is done
/// or nothing. The store is sealed, its generation raised.
pub fn restore(file: &Path, to: &StoreSpec, revocations: Option<&Path>) -> Result<Restored, KeysError> {
    let header = check(file)?;
    let since = revocations.map(|path| load(path, header.changes)).transpose()?.unwrap_or_default();
    let store = to.create_at(header.schema)?;
    let rows = super::super::write(&*store, |tx| fill(tx, (file, &header), &since))?;
    drop(store);
    // Brings the schema up to date.
    to.open()?;
    Ok(Restored { header, rows, revocations: since.len() as u64 })
}

fn fill(tx: &dyn Tx, (file, header): (&Path, &Header), since: &[Revocation]) -> Result<u64, KeysError> {
    if migrations::version(tx)? != header.schema || workspace::find(tx)?.is_some() {
        return Err(KeysError::Exists { what: "the key store to restore to".to_owned() });
    }
    let mut insert = Insert { tx, sql: String::new(), rows: 0 };
    let (mut lines, _) = Lines::open(file)?;
    while let Some(line) = lines.next()? {
        match line {
            Line::Table { name, columns } => insert.table(&lines, &name, &columns)?,
            Line::Row(cells) => insert.row(&lines, &cells)?,
            Line::End { .. } => break,
        }
    }
    let rows = insert.rows;
    workspace::seal(tx, wall_ms())?;
    take_away(tx, since)?;
    let told = format!("a backup of {}, {} revocations since", rfc3339(header.time_ms), since.len());
    audit::append(tx, Entry::new(wall_ms(), ClientId([0; 16]), "store.restore", &told))?;
    Ok(rows)
}

struct Insert<'a> {
    tx: &'a dyn Tx,
    sql: String,
    rows: u64,
}

impl Insert<'_> {
    fn table(&mut self, lines: &Lines, name: &str, columns: &[String]) -> Result<(), KeysError> {
        // Names go into SQL: only those that the schema has.
        let known = self.tx.columns(name)?;
        let table = !known.is_empty() && !TRANSIENT.contains(&name);
        if !table || !columns.iter().all(|column| known.contains(column)) {
            return Err(lines.bad("it holds a table or column that its schema does not have"));
        }
        let places = (1..=columns.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        self.sql = format!("INSERT INTO {name} ({}) VALUES ({places})", columns.join(", "));
        Ok(())
    }

    fn row(&mut self, lines: &Lines, cells: &[super::Cell]) -> Result<(), KeysError> {
        let values = cells.iter().map(value).collect::<Option<Vec<_>>>();
        let values = values.ok_or_else(|| lines.bad("it holds a negative number"))?;
        self.rows += 1;
        self.tx.execute(&self.sql, &values).map(drop)
    }
}

/// Reads the whole file: that it is one, of a schema this binary knows, and as it was written.
fn check(file: &Path) -> Result<Header, KeysError> {
    let (mut lines, header) = Lines::open(file)?;
    if header.schema > migrations::newest() {
        let (found, known) = (header.schema, migrations::newest());
        return Err(KeysError::StoreNewer { path: file.to_owned(), found, known });
    }
    let (mut rows, mut width) = (0, None);
    loop {
        // The last line's hash is of those before it.
        let before = lines.hash.clone().finalize();
        match lines.next()?.ok_or_else(|| lines.bad("it ends too early"))? {
            Line::Table { name, columns } => {
                let known = migrations::tables(header.schema).contains(&name.as_str());
                width = known.then_some(columns.len());
            }
            Line::Row(cells) if width == Some(cells.len()) => rows += 1,
            Line::Row(_) => return Err(lines.bad("a row does not belong to a table")),
            Line::End { rows: told, hash } => {
                let whole = told == rows && hash == <[u8; 32]>::from(before) && lines.next()?.is_none();
                return if whole { Ok(header) } else { Err(lines.bad("its checksum does not fit")) };
            }
        }
    }
}

/// The lines of a backup behind its header.
struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    hash: Sha256,
}

impl Lines {
    fn open(path: &Path) -> Result<(Self, Header), KeysError> {
        let file = File::open(path).map_err(|e| file_error(path, &e))?;
        let mut lines = Self { path: path.to_owned(), file: BufReader::new(file), hash: Sha256::new() };
        let header = lines.text()?.as_deref().and_then(read_header);
        let header = header.ok_or_else(|| lines.bad("it is no backup of a key store"))?;
        Ok((lines, header))
    }

    fn next(&mut self) -> Result<Option<Line>, KeysError> {
        let Some(text) = self.text()? else { return Ok(None) };
        read(&text).map(Some).ok_or_else(|| self.bad("a line is malformed"))
    }

    fn text(&mut self) -> Result<Option<String>, KeysError> {
        use std::io::Read;
        let mut line = Vec::new();
        let read = Read::by_ref(&mut self.file).take(LONGEST).read_until(b'\n', &mut line);
        if read.map_err(|e| file_error(&self.path, &e))? == 0 {
            return Ok(None);
        }
        self.hash.update(&line);
        if line.pop() != Some(b'\n') {
            return Err(self.bad("it ends too early"));
        }
        String::from_utf8(line).map(Some).map_err(|_| self.bad("a line is malformed"))
    }

    fn bad(&self, what: &str) -> KeysError {
        KeysError::StoreCorrupt { path: self.path.clone(), what: what.to_owned() }
    }
}

/// Revocations of a file that came after that place of the chain of changes.
fn load(path: &Path, after: u64) -> Result<Vec<Revocation>, KeysError> {
    let text = std::fs::read_to_string(path).map_err(|e| file_error(path, &e))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let mut all = Vec::new();
    for (number, line) in lines {
        let bad = |_| KeysError::File { path: path.to_owned(), why: format!("line {number} is no revocation") };
        let revocation = serde_json::from_str::<Revocation>(line).map_err(bad)?;
        if revocation.sequence > after {
            all.push(revocation);
        }
    }
    all.sort_by_key(|revocation| revocation.sequence);
    Ok(all)
}
