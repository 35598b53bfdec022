//! What proxies told of values sealed and opened, by spans of time.

use crate::crypto::KeysetId;
use crate::keys::admin::UsageScale;
use crate::keys::error::KeysError;

use super::super::{Tx, Value};
use super::all;

/// More than this is not counted in one span.
pub const MOST: u64 = 1 << 62;

/// A span of time, of one keyset or of all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Span {
    /// How long it is.
    pub scale: UsageScale,
    /// `None`: of all.
    pub keyset: Option<KeysetId>,
    /// When it begins, in milliseconds since 1970.
    pub begin_ms: u64,
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Values sealed.
    pub sealed: u64,
    /// Values opened.
    pub opened: u64,
    /// Statements refused.
    pub refused: u64,
}

impl Counts {
    /// Both together, at most [`MOST`].
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let sum = |a: u64, b: u64| a.saturating_add(b).min(MOST);
        Self {
            sealed: sum(self.sealed, other.sealed),
            opened: sum(self.opened, other.opened),
            refused: sum(self.refused, other.refused),
        }
    }

    /// Nothing.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// A number that does not change: it stands in the store.
fn number(scale: UsageScale) -> u64 {
    match scale {
        UsageScale::Moment => 1,
        UsageScale::Minute => 2,
        UsageScale::Day => 3,
    }
}

fn name(keyset: &Option<KeysetId>) -> Value<'_> {
    Value::Bytes(keyset.as_ref().map_or(&[], |id| &id.0))
}

/// Adds to a span.
pub fn add(tx: &dyn Tx, span: Span, counts: Counts) -> Result<(), KeysError> {
    let sum = |column: &str| {
        format!(
            "{column} = CASE WHEN usage.{column} > {MOST} - excluded.{column} THEN {MOST} ELSE usage.{column} + excluded.{column} END"
        )
    };
    let sql = format!(
        "INSERT INTO usage (keyset, scale, begin_ms, sealed, opened, refused) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (keyset, scale, begin_ms) DO UPDATE SET {}, {}, {}",
        sum("sealed"),
        sum("opened"),
        sum("refused")
    );
    let values = [
        name(&span.keyset),
        Value::Int(number(span.scale)),
        Value::Int(span.begin_ms),
        Value::Int(counts.sealed.min(MOST)),
        Value::Int(counts.opened.min(MOST)),
        Value::Int(counts.refused.min(MOST)),
    ];
    tx.execute(&sql, &values).map(drop)
}

/// Spans that begin then or later, in order.
pub fn since(
    tx: &dyn Tx,
    scale: UsageScale,
    keyset: Option<KeysetId>,
    begin_ms: u64,
) -> Result<Vec<(u64, Counts)>, KeysError> {
    let sql = "SELECT begin_ms, sealed, opened, refused FROM usage
        WHERE keyset = $1 AND scale = $2 AND begin_ms >= $3 ORDER BY begin_ms";
    all(tx, "usage", sql, &[name(&keyset), Value::Int(number(scale)), Value::Int(begin_ms)], |row| {
        Ok((row.int()?, Counts { sealed: row.int()?, opened: row.int()?, refused: row.int()? }))
    })
}

/// Forgets spans that began before.
pub fn forget(tx: &dyn Tx, scale: UsageScale, begin_ms: u64) -> Result<(), KeysError> {
    let sql = "DELETE FROM usage WHERE scale = $1 AND begin_ms < $2";
    tx.execute(sql, &[Value::Int(number(scale)), Value::Int(begin_ms)]).map(drop)
}
