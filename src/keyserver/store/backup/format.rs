//! The lines of a backup.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::crypto::json::{decode, encode};
use crate::keys::request::ServiceId;
use crate::keys::service::Revision;

use super::super::Cell;

/// Grows with the format, not with the schema.
const FORMAT: u32 = 1;

/// What a backup is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The schema's version.
    pub schema: u32,
    /// Which key service.
    pub service: ServiceId,
    /// How new its state is.
    pub revision: Revision,
    /// Entries of the chain of changes: later revocations are not in it.
    pub changes: u64,
    /// When it was made, milliseconds since 1970.
    pub time_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    columnseal_backup: u32,
    schema: u32,
    service: String,
    generation: u64,
    revision: u64,
    changes: u64,
    time_ms: u64,
}

/// A line.
pub(super) enum Line {
    Table { name: String, columns: Vec<String> },
    Row(Vec<Cell>),
    End { rows: u64, hash: [u8; 32] },
}

pub(super) fn header(header: &Header) -> String {
    let line = HeaderLine {
        columnseal_backup: FORMAT,
        schema: header.schema,
        service: encode(&header.service.0),
        generation: header.revision.generation,
        revision: header.revision.revision,
        changes: header.changes,
        time_ms: header.time_ms,
    };
    serde_json::to_string(&line).expect("numbers and a text")
}

pub(super) fn table(name: &str, columns: &[String]) -> String {
    json!({ "table": name, "columns": columns }).to_string()
}

pub(super) fn row(cells: &[Cell]) -> String {
    let cell = |cell: &Cell| match cell {
        Cell::Int(number) => json!(number),
        Cell::Text(text) => json!(text),
        Cell::Bytes(bytes) => json!({ "b": encode(bytes) }),
        Cell::Null => Json::Null,
    };
    Json::Array(cells.iter().map(cell).collect()).to_string()
}

pub(super) fn end(rows: u64, hash: &[u8; 32]) -> String {
    json!({ "rows": rows, "sha256": hex::encode(hash) }).to_string()
}

/// `None`: it is no header of this format.
pub(super) fn read_header(line: &str) -> Option<Header> {
    let line = serde_json::from_str::<HeaderLine>(line).ok().filter(|line| line.columnseal_backup == FORMAT)?;
    let revision = Revision { generation: line.generation, revision: line.revision };
    let service = ServiceId(decode(&line.service)?);
    Some(Header { schema: line.schema, service, revision, changes: line.changes, time_ms: line.time_ms })
}

/// `None`: it is no line of this format.
pub(super) fn read(line: &str) -> Option<Line> {
    match serde_json::from_str::<Json>(line).ok()? {
        Json::Array(cells) => cells.into_iter().map(cell).collect::<Option<_>>().map(Line::Row),
        Json::Object(fields) if fields.len() == 2 && fields.contains_key("table") => {
            let columns = fields.get("columns")?.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
            let (name, columns) = (fields.get("table")?.as_str()?.to_owned(), columns.collect::<Option<_>>()?);
            Some(Line::Table { name, columns })
        }
        Json::Object(fields) if fields.len() == 2 => {
            let mut hash = [0; 32];
            hex::decode_to_slice(fields.get("sha256")?.as_str()?, &mut hash).ok()?;
            Some(Line::End { rows: fields.get("rows")?.as_u64()?, hash })
        }
        _ => None,
    }
}

fn cell(value: Json) -> Option<Cell> {
    Some(match value {
        Json::Null => Cell::Null,
        Json::Number(number) => Cell::Int(number.as_i64()?),
        Json::String(text) => Cell::Text(text),
        Json::Object(fields) if fields.len() == 1 => Cell::Bytes(decode(fields.get("b")?.as_str()?)?),
        _ => return None,
    })
}
