//! Where a key service keeps its state. [`Store`] is transactions over portable SQL; `tables` is what is kept; `sqlite` and
//! `postgres` are where, `spec` names which, `backup` takes it from one to the other. No signature or permission is checked here.

pub mod backup;
pub mod migrations;
pub mod postgres;
pub mod spec;
pub mod sqlite;
pub mod tables;

use crate::keys::error::KeysError;

/// A database that holds the key service's tables. Several processes may use one at the same time.
pub trait Store: Send + Sync {
    /// Runs `work` on one consistent state, without changing it.
    fn read(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<(), KeysError>) -> Result<(), KeysError>;

    /// Runs `work` alone among writers; what it wrote is kept, durably, if it returns `Ok`, and undone otherwise.
    fn write(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<(), KeysError>) -> Result<(), KeysError>;

    /// As [`write`](Self::write), but not alone where [`shared`](Self::shared): for what no other server writes.
    fn append(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<(), KeysError>) -> Result<(), KeysError>;

    /// Several servers may write at the same time.
    fn shared(&self) -> bool;

    /// As [`read`](Self::read), but never waits behind a writer of this process.
    fn peek(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<(), KeysError>) -> Result<(), KeysError>;

    /// A number that changes whenever anything was changed, by whomever. Cheap: asked four times a second.
    fn version(&self) -> Result<i64, KeysError>;

    /// Removes what deleted rows left in journals. Best effort: a busy reader may delay it to the next call.
    fn scrub(&self) -> Result<(), KeysError>;

    /// The error for contents that cannot be.
    fn corrupt(&self, what: &str) -> KeysError;
}

/// One transaction. Parameters are `$1` to `$n`.
pub trait Tx {
    /// Runs a statement; the number of rows it changed.
    fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, KeysError>;

    /// Names of a table's columns.
    fn columns(&self, table: &str) -> Result<Vec<String>, KeysError>;

    /// Runs a query.
    fn rows(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Vec<Row>, KeysError>;

    /// The error for contents that cannot be.
    fn corrupt(&self, what: &str) -> KeysError;
}

/// A parameter.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// BIGINT.
    Int(u64),
    /// TEXT.
    Text(&'a str),
    /// BYTEA.
    Bytes(&'a [u8]),
    /// NULL.
    Null,
}

/// Its kind alone: values may be secrets.
impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Value::Int(_) => "Int",
            Value::Text(_) => "Text",
            Value::Bytes(_) => "Bytes",
            Value::Null => "Null",
        })
    }
}

/// A row's cells, taken in order.
pub struct Row(std::vec::IntoIter<Cell>);

/// A cell.
pub enum Cell {
    /// BIGINT.
    Int(i64),
    /// TEXT.
    Text(String),
    /// BYTEA.
    Bytes(Vec<u8>),
    /// NULL.
    Null,
}

/// A cell that is not what its column should hold.
pub struct WrongCell;

impl Row {
    /// Of cells.
    pub fn new(cells: Vec<Cell>) -> Self {
        Self(cells.into_iter())
    }

    /// The next cell, a number that is not negative.
    pub fn int(&mut self) -> Result<u64, WrongCell> {
        match self.0.next() {
            Some(Cell::Int(value)) => u64::try_from(value).map_err(|_| WrongCell),
            _ => Err(WrongCell),
        }
    }

    /// The next cell, a number of 32 bits.
    pub fn int32(&mut self) -> Result<u32, WrongCell> {
        u32::try_from(self.int()?).map_err(|_| WrongCell)
    }

    /// The next cell, a text.
    pub fn text(&mut self) -> Result<String, WrongCell> {
        match self.0.next() {
            Some(Cell::Text(value)) => Ok(value),
            _ => Err(WrongCell),
        }
    }

    /// The next cell, bytes.
    pub fn bytes(&mut self) -> Result<Vec<u8>, WrongCell> {
        match self.0.next() {
            Some(Cell::Bytes(value)) => Ok(value),
            _ => Err(WrongCell),
        }
    }

    /// The next cell, a number that is not negative, or NULL.
    pub fn optional_int(&mut self) -> Result<Option<u64>, WrongCell> {
        self.optional(Self::int)
    }

    /// The next cell, a text or NULL.
    pub fn optional_text(&mut self) -> Result<Option<String>, WrongCell> {
        self.optional(Self::text)
    }

    /// Every cell that is left.
    pub fn rest(self) -> Vec<Cell> {
        self.0.collect()
    }

    fn optional<T>(&mut self, some: impl Fn(&mut Self) -> Result<T, WrongCell>) -> Result<Option<T>, WrongCell> {
        if let Some(Cell::Null) = self.0.as_slice().first() {
            self.0.next();
            return Ok(None);
        }
        some(self).map(Some)
    }

    /// The next cell, `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WrongCell> {
        self.bytes()?.try_into().map_err(|_| WrongCell)
    }
}

/// Reads, and returns what `work` returns.
pub fn read<T>(store: &dyn Store, work: impl Fn(&dyn Tx) -> Result<T, KeysError>) -> Result<T, KeysError> {
    let mut result = None;
    store.read(&mut |tx| {
        result = Some(work(tx)?);
        Ok(())
    })?;
    Ok(result.expect("a store runs the work before it returns Ok"))
}

/// Peeks, and returns what `work` returns.
pub fn peek<T>(store: &dyn Store, work: impl Fn(&dyn Tx) -> Result<T, KeysError>) -> Result<T, KeysError> {
    let mut result = None;
    store.peek(&mut |tx| {
        result = Some(work(tx)?);
        Ok(())
    })?;
    Ok(result.expect("a store runs the work before it returns Ok"))
}

/// Appends, and returns what `work` returns.
pub fn append<T>(store: &dyn Store, mut work: impl FnMut(&dyn Tx) -> Result<T, KeysError>) -> Result<T, KeysError> {
    let mut result = None;
    store.append(&mut |tx| {
        result = Some(work(tx)?);
        Ok(())
    })?;
    Ok(result.expect("a store runs the work before it returns Ok"))
}

/// Writes, and returns what `work` returns.
pub fn write<T>(store: &dyn Store, mut work: impl FnMut(&dyn Tx) -> Result<T, KeysError>) -> Result<T, KeysError> {
    let mut result = None;
    store.write(&mut |tx| {
        result = Some(work(tx)?);
        Ok(())
    })?;
    Ok(result.expect("a store runs the work before it returns Ok"))
}
