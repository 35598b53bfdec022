//! One transaction on one connection.

use std::cell::{Cell as Slot, RefCell};

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Error, Statement};

use crate::keys::error::KeysError;

use super::super::{Cell, Row, Tx, Value};
use super::drive::Driver;
use super::fault::{Place, Remedy};
use super::pool::{Lent, PATIENCE, Session};

/// A running transaction.
pub(super) struct Open<'a> {
    driver: &'a Driver,
    place: &'a Place,
    session: RefCell<&'a mut Session>,
    /// The first failure: after it nothing can be done in this transaction.
    failed: Slot<Option<Remedy>>,
}

/// How a commit went.
pub(super) enum Commit {
    Done,
    /// It was refused: nothing is done.
    Refused(Remedy, KeysError),
    /// The connection was lost while it ran.
    Unknown,
}

impl<'a> Open<'a> {
    pub(super) fn begin(
        driver: &'a Driver,
        place: &'a Place,
        lent: &'a mut Lent<'_>,
        begin: &str,
    ) -> Result<Self, (Remedy, KeysError)> {
        let open = Self { driver, place, session: RefCell::new(lent.session()), failed: Slot::new(None) };
        let begun = open.run(begin);
        begun.map_err(|error| (open.remedy(), error))?;
        Ok(open)
    }

    /// What to do about the first failure.
    pub(super) fn remedy(&self) -> Remedy {
        self.failed.take().unwrap_or(Remedy::Tell)
    }

    /// A statement has failed.
    pub(super) fn has_failed(&self) -> bool {
        let failed = self.failed.take();
        let has = failed.is_some();
        self.failed.set(failed);
        has
    }

    /// Commits. A server that refuses has done nothing; one that does not answer may have.
    pub(super) fn commit(&self) -> Commit {
        let session = self.session.borrow();
        match self.driver.wait(PATIENCE, session.client.batch_execute("COMMIT")) {
            Ok(Ok(())) => Commit::Done,
            Ok(Err(error)) if error.as_db_error().is_some() && Remedy::of(&error) != Remedy::Reconnect => {
                Commit::Refused(Remedy::of(&error), self.place.fault(&error))
            }
            Ok(Err(_)) | Err(_) => Commit::Unknown,
        }
    }

    /// Undoes it. `false`: the connection cannot be used again.
    pub(super) fn roll_back(&self) -> bool {
        let session = self.session.borrow();
        matches!(self.driver.wait(PATIENCE, session.client.batch_execute("ROLLBACK")), Ok(Ok(())))
    }

    pub(super) fn run(&self, sql: &str) -> Result<(), KeysError> {
        let session = self.session.borrow();
        self.answered(self.driver.wait(PATIENCE, session.client.batch_execute(sql)))
    }

    fn answered<T>(&self, answer: Result<Result<T, Error>, super::drive::TimedOut>) -> Result<T, KeysError> {
        let (remedy, error) = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => (Remedy::of(&error), self.place.fault(&error)),
            Err(_) => (Remedy::Tell, self.place.unavailable("it does not answer")),
        };
        let first = self.failed.take().unwrap_or(remedy);
        self.failed.set(Some(first));
        Err(error)
    }

    fn prepared(&self, sql: &str) -> Result<Statement, KeysError> {
        let mut session = self.session.borrow_mut();
        if let Some(statement) = session.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.answered(self.driver.wait(PATIENCE, session.client.prepare(sql)))?;
        session.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Tx for Open<'_> {
    fn execute(&self, sql: &str, parameters: &[Value<'_>]) -> Result<u64, KeysError> {
        if parameters.is_empty() && !sql.starts_with("UPDATE") && !sql.starts_with("DELETE") {
            return self.run(sql).map(|()| 0);
        }
        let statement = self.prepared(sql)?;
        let parameters = used(&statement, parameters);
        let session = self.session.borrow();
        self.answered(self.driver.wait(PATIENCE, session.client.execute(&statement, &parameters)))
    }

    fn columns(&self, table: &str) -> Result<Vec<String>, KeysError> {
        let sql = "SELECT column_name::text FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
        let name = |mut row: Row| row.text().map_err(|_| self.corrupt("a table's columns are unreadable"));
        self.rows(sql, &[Value::Text(table)])?.into_iter().map(name).collect()
    }

    fn rows(&self, sql: &str, parameters: &[Value<'_>]) -> Result<Vec<Row>, KeysError> {
        let statement = self.prepared(sql)?;
        let parameters = used(&statement, parameters);
        let session = self.session.borrow();
        let rows = self.answered(self.driver.wait(PATIENCE, session.client.query(&statement, &parameters)))?;
        let cells =
            |row: tokio_postgres::Row| (0..row.len()).map(|i| row.try_get::<_, Cell>(i)).collect::<Result<_, _>>();
        let row = |row| cells(row).map(Row::new).map_err(|_| self.corrupt("a row is not as it was written"));
        rows.into_iter().map(row).collect()
    }

    fn corrupt(&self, what: &str) -> KeysError {
        self.place.corrupt(what)
    }
}

/// A statement may name fewer parameters than it is given.
fn used<'a>(statement: &Statement, parameters: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    parameters.iter().take(statement.params().len()).map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Int(value) => match *ty {
                Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
                Type::INT8 => i64::try_from(*value)?.to_sql(ty, out),
                _ => Err("not a number".into()),
            },
            Value::Text(text) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            Value::Bytes(bytes) if *ty == Type::BYTEA => bytes.to_sql(ty, out),
            Value::Null => Ok(IsNull::Yes),
            Value::Text(_) | Value::Bytes(_) => Err("another type".into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *ty {
            Type::INT8 => Cell::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Cell::Int(i32::from_sql(ty, raw)?.into()),
            Type::BYTEA => Cell::Bytes(raw.to_owned()),
            _ => Cell::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::BYTEA | Type::TEXT | Type::VARCHAR | Type::NAME)
    }
}
