//! The audit trail: chains of entries, each entry's hash over the one before. Changes go into one chain, in their own
//! transactions; what a server only gives away (keys, refusals) goes into a chain of its own, so that servers on one
//! store do not wait for each other. A chain's row holds where it ends, and the newest head that the service signed.

mod verify;

use sha2::{Digest, Sha256};

use crate::crypto::ClientId;
use crate::crypto::sign::Signature;
use crate::keys::admin::AuditEntry;
use crate::keys::audit::{AuditHead, ReplicaId, SignedHead};
use crate::keys::codec::Writer;
use crate::keys::error::KeysError;

use super::super::{Row, Tx, Value, WrongCell};
use super::{all, one, workspace};

pub use verify::{Finding, Flaw, Report, Trail, verify};

/// What is in an entry's `result` where nothing was refused.
pub const OK: &str = "ok";

/// The entry that opens a server's own chain, in the chain of changes: so a chain that vanished whole is missed.
pub const CHAIN_OPENED: &str = "audit.chain";

/// How entries were hashed before there were several chains.
const FORMAT_V1: u64 = 1;
const FORMAT: u64 = 2;

/// What is written down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Milliseconds since 1970.
    pub time_ms: u64,
    /// The acting client, as it named itself.
    pub client: ClientId,
    /// What was done, or asked for.
    pub action: String,
    /// On what.
    pub detail: String,
    /// `ok`, or the code of the refusal.
    pub result: String,
    /// Where the request came from; `None`: from within the process.
    pub address: Option<String>,
    /// Which columnseal asked.
    pub version: Option<String>,
}

/// An entry in its chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// Its chain.
    pub replica: ReplicaId,
    /// Place in the chain, from 1.
    pub sequence: u64,
    /// What was written down.
    pub entry: Entry,
    /// Over all of it and the hash before.
    pub hash: [u8; 32],
    format: u64,
}

/// A chain's row.
#[derive(Clone, Debug)]
pub struct ChainRow {
    /// Where it ends.
    pub head: AuditHead,
    /// The newest signed head.
    pub signed: Option<SignedHead>,
}

impl Entry {
    /// Something that was done.
    pub fn new(time_ms: u64, client: ClientId, action: &str, detail: &str) -> Self {
        let (action, detail) = (action.to_owned(), detail.to_owned());
        Self { time_ms, client, action, detail, result: OK.to_owned(), address: None, version: None }
    }
}

/// Adds a change to the chain of changes; belongs into the transaction that makes the change.
pub fn append(tx: &dyn Tx, entry: Entry) -> Result<AuditHead, KeysError> {
    extend(tx, main(tx)?, vec![entry])
}

/// The chain of changes.
pub fn main(tx: &dyn Tx) -> Result<ReplicaId, KeysError> {
    Ok(ReplicaId(workspace::require(tx)?.service.0))
}

/// Begins an empty chain.
pub fn open_chain(tx: &dyn Tx, replica: ReplicaId, now_ms: u64) -> Result<(), KeysError> {
    let sql = "INSERT INTO replicas (replica, started_ms, sequence, head) VALUES ($1, $2, 0, $3)";
    tx.execute(sql, &[Value::Bytes(&replica.0), Value::Int(now_ms), Value::Bytes(&[0; 32])]).map(drop)
}

/// Adds entries to a chain that nobody else adds to at the same time.
pub fn extend(tx: &dyn Tx, replica: ReplicaId, entries: Vec<Entry>) -> Result<AuditHead, KeysError> {
    let mut head = chain(tx, replica)?.ok_or_else(|| tx.corrupt("an audit chain has no row"))?.head;
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut row = AuditRow { replica, sequence: head.sequence + 1, entry, hash: [0; 32], format: FORMAT };
        row.hash = row.follows(&head.hash);
        (head.sequence, head.hash) = (row.sequence, row.hash);
        rows.push(row);
    }
    insert(tx, &rows)?;
    let values = [Value::Bytes(&replica.0), Value::Int(head.sequence), Value::Bytes(&head.hash)];
    tx.execute("UPDATE replicas SET sequence = $2, head = $3 WHERE replica = $1", &values)?;
    Ok(head)
}

/// As many rows to a statement as fit one of few sizes, so that statements stay prepared.
fn insert(tx: &dyn Tx, mut rows: &[AuditRow]) -> Result<(), KeysError> {
    const SIZES: [usize; 3] = [32, 6, 1];
    while let Some(size) = SIZES.into_iter().find(|size| *size <= rows.len()) {
        let (now, later) = rows.split_at(size);
        let places = (0..size).map(|row| {
            let cells = (1..=COLUMNS).map(|cell| format!("${}", row * COLUMNS + cell)).collect::<Vec<_>>();
            format!("({})", cells.join(", "))
        });
        let places = places.collect::<Vec<_>>().join(", ");
        let sql = format!("INSERT INTO audit_entries ({NAMES}) VALUES {places}");
        tx.execute(&sql, &now.iter().flat_map(AuditRow::values).collect::<Vec<_>>())?;
        rows = later;
    }
    Ok(())
}

/// All chains.
pub fn chains(tx: &dyn Tx) -> Result<Vec<ChainRow>, KeysError> {
    all(tx, "replicas", &format!("{CHAIN} ORDER BY replica"), &[], chain_row)
}

/// One chain.
pub fn chain(tx: &dyn Tx, replica: ReplicaId) -> Result<Option<ChainRow>, KeysError> {
    one(tx, "replicas", &format!("{CHAIN} WHERE replica = $1"), &[Value::Bytes(&replica.0)], chain_row)
}

/// Keeps a signed head.
pub fn keep_signed(tx: &dyn Tx, signed: &SignedHead) -> Result<(), KeysError> {
    let head = &signed.head;
    let values = [
        Value::Bytes(&head.replica.0),
        Value::Int(head.sequence),
        Value::Bytes(&head.hash),
        Value::Bytes(&signed.signature.0),
    ];
    let sql = "UPDATE replicas SET signed_sequence = $2, signed_head = $3, signature = $4 WHERE replica = $1";
    tx.execute(sql, &values).map(drop)
}

/// The last `limit` entries of all chains, by time, oldest first.
pub fn tail(tx: &dyn Tx, limit: u32) -> Result<Vec<AuditRow>, KeysError> {
    let sql = format!("SELECT {NAMES} FROM audit_entries ORDER BY time_ms DESC, replica DESC, sequence DESC LIMIT $1");
    let mut rows = all(tx, "audit_entries", &sql, &[Value::Int(limit.into())], row)?;
    rows.reverse();
    Ok(rows)
}

/// Chains that have entries.
pub fn with_entries(tx: &dyn Tx) -> Result<Vec<ReplicaId>, KeysError> {
    let sql = "SELECT DISTINCT replica FROM audit_entries ORDER BY replica";
    all(tx, "audit_entries", sql, &[], |row| Ok(ReplicaId(row.fixed()?)))
}

/// Entries of one chain after `sequence`, at most `limit`.
pub fn page(tx: &dyn Tx, replica: ReplicaId, sequence: u64, limit: u32) -> Result<Vec<AuditRow>, KeysError> {
    let sql =
        format!("SELECT {NAMES} FROM audit_entries WHERE replica = $1 AND sequence > $2 ORDER BY sequence LIMIT $3");
    let values = [Value::Bytes(&replica.0), Value::Int(sequence), Value::Int(limit.into())];
    all(tx, "audit_entries", &sql, &values, row)
}

const CHAIN: &str = "SELECT replica, sequence, head, signed_sequence, signed_head, signature FROM replicas";

fn chain_row(row: &mut Row) -> Result<ChainRow, WrongCell> {
    let head = AuditHead { replica: ReplicaId(row.fixed()?), sequence: row.int()?, hash: row.fixed()? };
    let signed = match row.optional_int()? {
        None => None,
        Some(sequence) => {
            let head = AuditHead { sequence, hash: row.fixed()?, ..head };
            Some(SignedHead { head, signature: Signature(row.fixed()?) })
        }
    };
    Ok(ChainRow { head, signed })
}

const NAMES: &str = "replica, sequence, format, time_ms, client, action, detail, result, address, version, hash";
const COLUMNS: usize = 11;

fn optional(text: &Option<String>) -> Value<'_> {
    text.as_deref().map_or(Value::Null, Value::Text)
}

fn row(row: &mut Row) -> Result<AuditRow, WrongCell> {
    let (replica, sequence, format) = (ReplicaId(row.fixed()?), row.int()?, row.int()?);
    let entry = Entry {
        time_ms: row.int()?,
        client: ClientId(row.fixed()?),
        action: row.text()?,
        detail: row.text()?,
        result: row.text()?,
        address: row.optional_text()?,
        version: row.optional_text()?,
    };
    Ok(AuditRow { replica, sequence, entry, hash: row.fixed()?, format })
}

impl From<AuditRow> for AuditEntry {
    fn from(AuditRow { replica, sequence, entry, hash, format }: AuditRow) -> Self {
        let Entry { time_ms, client, action, detail, result, address, version } = entry;
        Self { replica, sequence, time_ms, client, action, detail, result, address, version, hash, format }
    }
}

impl From<AuditEntry> for AuditRow {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { replica, sequence, time_ms, client, action, detail, result, address, version, hash, format } =
            entry;
        let entry = Entry { time_ms, client, action, detail, result, address, version };
        Self { replica, sequence, entry, hash, format }
    }
}

impl AuditRow {
    fn values(&self) -> [Value<'_>; COLUMNS] {
        let entry = &self.entry;
        [
            Value::Bytes(&self.replica.0),
            Value::Int(self.sequence),
            Value::Int(self.format),
            Value::Int(entry.time_ms),
            Value::Bytes(&entry.client.0),
            Value::Text(&entry.action),
            Value::Text(&entry.detail),
            Value::Text(&entry.result),
            optional(&entry.address),
            optional(&entry.version),
            Value::Bytes(&self.hash),
        ]
    }

    /// The hash it has behind an entry with this hash.
    fn follows(&self, previous: &[u8; 32]) -> [u8; 32] {
        self.at(self.sequence, previous)
    }

    /// The hash it would have at another place.
    fn at(&self, sequence: u64, previous: &[u8; 32]) -> [u8; 32] {
        let entry = &self.entry;
        let mut writer;
        if self.format == FORMAT_V1 {
            writer = Writer::new("columnseal audit entry v1");
            writer.fixed(previous);
        } else {
            writer = Writer::new("columnseal audit entry v2");
            writer.fixed(previous).fixed(&self.replica.0);
        }
        writer.u64(sequence).u64(entry.time_ms).fixed(&entry.client.0).text(&entry.action).text(&entry.detail);
        if self.format != FORMAT_V1 {
            writer.text(&entry.result);
            for optional in [&entry.address, &entry.version] {
                writer.list(optional.as_slice(), |writer, text| {
                    writer.text(text);
                });
            }
        }
        Sha256::digest(writer.finish()).into()
    }
}
