//! What is kept, one file per kind: typed reads and writes over a transaction.

pub mod audit;
pub mod changes;
pub mod clients;
pub mod enrolments;
pub mod grants;
pub mod keysets;
pub mod root_keys;
pub mod seen;
pub mod types;
pub mod usage;
pub mod workspace;

use crate::crypto::ClientId;
use crate::crypto::sign::Signature;
use crate::keys::claims::Signed;
use crate::keys::error::KeysError;

use super::{Row, Tx, Value, WrongCell};

/// Reads rows, each by `each`; one that cannot be read means that table `what` is corrupt.
fn all<T>(
    tx: &dyn Tx,
    what: &str,
    sql: &str,
    parameters: &[Value<'_>],
    each: impl Fn(&mut Row) -> Result<T, WrongCell>,
) -> Result<Vec<T>, KeysError> {
    let rows = tx.rows(sql, parameters)?;
    let bad = |_| tx.corrupt(&format!("a row of table {what} is unreadable"));
    rows.into_iter().map(|mut row| each(&mut row).map_err(bad)).collect()
}

/// Reads at most one row.
fn one<T>(
    tx: &dyn Tx,
    what: &str,
    sql: &str,
    parameters: &[Value<'_>],
    each: impl Fn(&mut Row) -> Result<T, WrongCell>,
) -> Result<Option<T>, KeysError> {
    Ok(all(tx, what, sql, parameters, each)?.pop())
}

/// Columns body, signer, signature.
fn signed(row: &mut Row) -> Result<Signed, WrongCell> {
    Ok(Signed { body: row.bytes()?, signer: ClientId(row.fixed()?), signature: Signature(row.fixed()?) })
}

fn signed_values(signed: &Signed) -> [Value<'_>; 3] {
    [Value::Bytes(&signed.body), Value::Bytes(&signed.signer.0), Value::Bytes(&signed.signature.0)]
}
