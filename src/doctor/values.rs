//! Values of a plain column that its encrypted type could not hold: how many, and why; never which.

use tokio_postgres::{Client, SimpleQueryMessage};
use zeroize::Zeroizing;

use crate::schema::SchemaError;
use crate::schema::catalog::{EncType, Relation};
use crate::schema::name::{always_quoted, qualified};
use crate::wire::value::{self, Format, Settings, ordering};

/// Rows that are read at once, at the most.
const ROWS: usize = 1_000;
/// Bytes that rows read at once should have, as far as those before them tell.
const BYTES: usize = 1 << 20;

/// What the rows of a column hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// Rows of the table.
    pub rows: u64,
    /// Those in which the column is NULL.
    pub nulls: u64,
    /// Values that could not be stored, by reason.
    pub faults: Vec<Fault>,
}

/// A reason why values cannot be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// SQLSTATE that storing one through the proxy gives.
    pub sqlstate: &'static str,
    /// The message, without the value.
    pub why: String,
    /// How many values.
    pub values: u64,
}

/// Reads the column. In a transaction.
pub(super) async fn count(
    client: &Client,
    relation: &Relation,
    column: &str,
    enc: &EncType,
) -> Result<Counted, SchemaError> {
    // As the default settings of values say, so that they are read as they were printed; and no policy hides rows: where one
    // would, that is an error.
    const PRINTED: &str = "SET LOCAL row_security = off; SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL TimeZone = 'UTC'; \
        SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'";
    client.batch_execute(PRINTED).await?;
    let table = qualified(&relation.schema, &relation.name);
    let declare = format!(
        "DECLARE columnseal_values NO SCROLL CURSOR FOR SELECT {}::pg_catalog.text FROM {table}",
        always_quoted(column)
    );
    client.batch_execute(&declare).await?;
    let mut counted = Counted::default();
    let settings = Settings::default();
    let (mut rows, mut longest) = (1, 1);
    loop {
        let before = counted.rows;
        for message in client.simple_query(&format!("FETCH {rows} FROM columnseal_values")).await? {
            if let SimpleQueryMessage::Row(row) = message {
                let value = row.get(0);
                longest = longest.max(value.map_or(0, str::len));
                counted.add(value, enc, &settings);
            }
        }
        if counted.rows == before {
            break;
        }
        rows = (BYTES / longest).clamp(1, ROWS.min(rows * 4));
    }
    client.batch_execute("CLOSE columnseal_values").await?;
    counted.faults.sort_by(|a, b| (a.sqlstate, &a.why).cmp(&(b.sqlstate, &b.why)));
    Ok(counted)
}

impl Counted {
    fn add(&mut self, text: Option<&str>, enc: &EncType, settings: &Settings) {
        self.rows += 1;
        let Some(text) = text else {
            self.nulls += 1;
            return;
        };
        let Err(error) = fits(text, enc, settings) else { return };
        let same = |fault: &&mut Fault| fault.sqlstate == error.sqlstate.0 && fault.why == error.message;
        match self.faults.iter_mut().find(same) {
            Some(fault) => fault.values += 1,
            None => self.faults.push(Fault { sqlstate: error.sqlstate.0, why: error.message, values: 1 }),
        }
    }
}

/// As sealing does it, up to where keys are needed.
fn fits(text: &str, enc: &EncType, settings: &Settings) -> Result<(), value::ValueError> {
    let plain = enc.def.plain;
    let mut stored = Zeroizing::new(Vec::with_capacity(text.len() + 16));
    value::read(plain, 0, None, Format::Text, text.as_bytes(), settings, &mut stored)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(stored.len() + 16));
    if enc.def.terms.eq {
        value::canonical(plain, &stored, &mut bytes)?;
    }
    if enc.def.terms.ord {
        bytes.clear();
        ordering(plain, &stored, &mut bytes)?;
    }
    for path in &enc.promoted.paths {
        let doc = std::str::from_utf8(&stored).unwrap_or_default();
        let within = |error: value::ValueError| value::ValueError {
            message: format!("{} at promoted path \"{}\"", error.message, path.shown()),
            ..error
        };
        let Some(part) = value::at_path(doc, &path.keys, path.ty.def.plain).map_err(within)? else { continue };
        if path.ty.def.terms.ord {
            bytes.clear();
            ordering(path.ty.def.plain, &part, &mut bytes).map_err(within)?;
        }
    }
    Ok(())
}
