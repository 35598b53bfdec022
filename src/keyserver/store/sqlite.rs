//! The store in one SQLite file: write-ahead log, deleted content overwritten, several processes at once.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::keys::error::KeysError;

use super::super::files::{file_error, private, private_folder};
use super::migrations;
use super::{Cell, Row, Store, Tx, Value};

/// How long to wait for another process.
const BUSY: Duration = Duration::from_secs(5);

/// How often a checkpoint is tried that others' reads hold up; SQLite waits [`BUSY`] each time.
const SCRUB_TRIES: u32 = 3;
const SCRUB_PAUSE: Duration = Duration::from_millis(50);

type Work<'a> = &'a mut dyn FnMut(&dyn Tx) -> Result<(), KeysError>;

/// A store in a file.
pub struct Sqlite {
    path: PathBuf,
    /// Device and inode of the file that was opened.
    file: (u64, u64),
    connection: Mutex<Connection>,
    /// A connection does not see its own changes in `data_version`, and readers need not wait behind our own writers.
    watch: Mutex<Connection>,
}

impl Sqlite {
    /// Opens an existing store and brings its schema up to date. Never makes one.
    pub fn open(path: &Path) -> Result<Self, KeysError> {
        Self::open_at(path, migrations::newest())
    }

    fn open_at(path: &Path, version: u32) -> Result<Self, KeysError> {
        check_file(path)?;
        let fault = |e| fault(path, &e);
        let mut connection = connect(path).map_err(fault)?;
        quick_check(path, &connection)?;
        migrate(path, &mut connection, version)?;
        let watch = connect(path).map_err(fault)?;
        let (connection, watch) = (Mutex::new(connection), Mutex::new(watch));
        Ok(Self { path: path.to_owned(), file: identity(path)?, connection, watch })
    }

    /// Makes an empty store, in a folder made for it where there is none; one that is there is opened.
    pub fn create(path: &Path) -> Result<Self, KeysError> {
        Self::create_at(path, migrations::newest())
    }

    /// As [`create`](Self::create), with an older schema.
    pub(super) fn create_at(path: &Path, version: u32) -> Result<Self, KeysError> {
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(file_error(path, &e)),
        }
        let fault = |e| fault(path, &e);
        let mut connection = connect(path).map_err(fault)?;
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
        if tables(&tx).map_err(fault)? == 0 {
            migrations::prepare(&Open { tx: &tx, path })?;
        }
        tx.commit().map_err(fault)?;
        drop(connection);
        Self::open_at(path, version)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction has rolled it back; the connection is as good as before.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, connection: &mut Connection, behavior: TransactionBehavior, work: Work<'_>) -> Result<(), KeysError> {
        self.same_file()?;
        let fault = |e| fault(&self.path, &e);
        let tx = connection.transaction_with_behavior(behavior).map_err(fault)?;
        work(&Open { tx: &tx, path: &self.path })?;
        tx.commit().map_err(fault)
    }

    fn watch(&self) -> MutexGuard<'_, Connection> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An open connection goes on with a file that was deleted or replaced: what it says is no longer the store's.
    fn same_file(&self) -> Result<(), KeysError> {
        if identity(&self.path)? == self.file {
            return Ok(());
        }
        Err(KeysError::unavailable(format!("the key store {} was replaced by another file", self.path.display())))
    }
}

impl Store for Sqlite {
    fn read(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.run(&mut self.connection(), TransactionBehavior::Deferred, work)
    }

    fn write(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.run(&mut self.connection(), TransactionBehavior::Immediate, work)
    }

    fn append(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.write(work)
    }

    fn shared(&self) -> bool {
        false
    }

    fn peek(&self, work: Work<'_>) -> Result<(), KeysError> {
        self.run(&mut self.watch(), TransactionBehavior::Deferred, work)
    }

    fn version(&self) -> Result<i64, KeysError> {
        self.same_file()?;
        let version = self.watch().query_row("PRAGMA data_version", [], |row| row.get(0));
        version.map_err(|e| fault(&self.path, &e))
    }

    fn scrub(&self) -> Result<(), KeysError> {
        for _ in 0..SCRUB_TRIES {
            let checkpoint = self.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
            let busy: i64 = checkpoint.map_err(|e| fault(&self.path, &e))?;
            if busy == 0 {
                return Ok(());
            }
            // A reader is in the middle of an older state.
            std::thread::sleep(SCRUB_PAUSE);
        }
        Err(KeysError::StoreLocked { path: self.path.clone() })
    }

    fn corrupt(&self, what: &str) -> KeysError {
        corrupt(&self.path, what)
    }
}

/// A running transaction.
struct Open<'a> {
    tx: &'a rusqlite::Transaction<'a>,
    path: &'a Path,
}

impl Tx for Open<'_> {
    fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, KeysError> {
        let fault = |e| fault(self.path, &e);
        let mut statement = self.tx.prepare_cached(sql).map_err(fault)?;
        bind(&mut statement, parameters).map_err(fault)?;
        statement.raw_execute().map(|rows| rows as u64).map_err(fault)
    }

    fn columns(&self, table: &str) -> Result<Vec<String>, KeysError> {
        let rows = self.rows("SELECT name FROM pragma_table_info($1) ORDER BY cid", &[Value::Text(table)])?;
        let name = |mut row: Row| row.text().map_err(|_| self.corrupt("a table's columns are unreadable"));
        rows.into_iter().map(name).collect()
    }

    fn rows(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Vec<Row>, KeysError> {
        let fault = |e| fault(self.path, &e);
        let mut statement = self.tx.prepare_cached(sql).map_err(fault)?;
        bind(&mut statement, parameters).map_err(fault)?;
        let columns = statement.column_count();
        let mut found = statement.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(fault)? {
            let cells = (0..columns).map(|column| row.get_ref(column).map(cell)).collect::<Result<_, _>>();
            rows.push(Row::new(cells.map_err(fault)?));
        }
        Ok(rows)
    }

    fn corrupt(&self, what: &str) -> KeysError {
        corrupt(self.path, what)
    }
}

/// Binds `$n` by name: SQLite numbers parameters by where they first stand.
fn bind(statement: &mut rusqlite::Statement<'_>, parameters: &[Value<'_>]) -> rusqlite::Result<()> {
    for (number, value) in (1..).zip(parameters) {
        if let Some(index) = statement.parameter_index(&format!("${number}"))? {
            statement.raw_bind_parameter(index, value)?;
        }
    }
    Ok(())
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Int(value) => {
                let value = i64::try_from(*value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
                return Ok(ToSqlOutput::Owned(rusqlite::types::Value::Integer(value)));
            }
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::Null => ValueRef::Null,
        }))
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Text(text) => std::str::from_utf8(text).map_or(Cell::Null, |text| Cell::Text(text.to_owned())),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_owned()),
        ValueRef::Null | ValueRef::Real(_) => Cell::Null,
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    for (pragma, value) in
        [("secure_delete", "ON"), ("foreign_keys", "ON"), ("trusted_schema", "OFF"), ("cell_size_check", "ON")]
    {
        connection.pragma_update(None, pragma, value)?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // Losing a new keyset at a power failure would lose what was sealed under it: every commit reaches the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn tables(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
}

fn quick_check(path: &Path, connection: &Connection) -> Result<(), KeysError> {
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match verdict.map_err(|e| fault(path, &e))?.as_str() {
        "ok" => Ok(()),
        _ => Err(corrupt(path, "SQLite's own check finds damage")),
    }
}

fn migrate(path: &Path, connection: &mut Connection, until: u32) -> Result<(), KeysError> {
    let fault = |e| fault(path, &e);
    let sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_versions'";
    if connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fault)? == 0 {
        return Err(corrupt(path, "it is no columnseal key store"));
    }
    let newest = migrations::newest();
    let version = |tx: &rusqlite::Transaction<'_>| migrations::version(&Open { tx, path });
    let found = version(&connection.transaction().map_err(fault)?)?;
    if found > newest {
        return Err(KeysError::StoreNewer { path: path.to_owned(), found, known: newest });
    }
    if found < until {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
        let from = version(&tx)?;
        migrations::apply_until(&Open { tx: &tx, path }, from, until)?;
        tx.commit().map_err(fault)?;
    }
    Ok(())
}

/// The file must be there, be a file, and be nobody else's to read.
fn check_file(path: &Path) -> Result<(), KeysError> {
    let found = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => KeysError::StoreMissing { path: path.to_owned() },
        _ => file_error(path, &e),
    })?;
    if !found.is_file() {
        return Err(corrupt(path, "it is not a file"));
    }
    private(path, found.permissions().mode())
}

fn identity(path: &Path) -> Result<(u64, u64), KeysError> {
    let found = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => KeysError::StoreMissing { path: path.to_owned() },
        _ => file_error(path, &e),
    })?;
    Ok((found.dev(), found.ino()))
}

fn corrupt(path: &Path, what: &str) -> KeysError {
    KeysError::StoreCorrupt { path: path.to_owned(), what: what.to_owned() }
}

fn fault(path: &Path, error: &rusqlite::Error) -> KeysError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => KeysError::StoreLocked { path },
        Some(ErrorCode::DatabaseCorrupt) => KeysError::StoreCorrupt { path, what: "a page is damaged".to_owned() },
        Some(ErrorCode::NotADatabase) => KeysError::StoreCorrupt { path, what: "it is no SQLite file".to_owned() },
        Some(ErrorCode::DiskFull) => not_writable(&path, "its disk is full"),
        Some(ErrorCode::ReadOnly) => not_writable(&path, "it is read-only"),
        Some(ErrorCode::SystemIoFailure) if is_write(error) => {
            not_writable(&path, "writing fails: its disk, a quota or a limit")
        }
        Some(ErrorCode::ConstraintViolation) => {
            KeysError::StoreCorrupt { path, what: "its rows contradict each other".to_owned() }
        }
        Some(_) => KeysError::unavailable(format!("the key store {}: {error}", path.display())),
        None => KeysError::StoreCorrupt { path, what: "a row is not as it was written".to_owned() },
    }
}

fn not_writable(path: &Path, why: &'static str) -> KeysError {
    KeysError::NotWritable { store: format!("the key store {}", path.display()).into(), why: why.into() }
}

/// It is a write that failed.
fn is_write(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE};
    let writes = [SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_SHMSIZE];
    error.sqlite_error().is_some_and(|error| writes.contains(&error.extended_code))
}
