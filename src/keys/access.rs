//! Records of data access: what a proxy says to the audit trail of the statements on encrypted columns that it ran.
//!
//! They hold names, ids and counts, never values, literals or parameters. Counts are summed up over a window of time for each
//! shape of statement, user, database and address.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::body;

/// Longest name of a user or database in a record, in bytes: what PostgreSQL's own names have.
pub const MAX_NAME: usize = 63;
/// Longest text of a shape, in bytes.
pub const MAX_STATEMENT: usize = 1024;
/// Most types in one record.
pub const MAX_TYPES: usize = 1600;
/// Most records in one batch.
pub const MAX_RECORDS: usize = 1024;

/// What one user did with one shape of statement in a window of time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRecord {
    /// Begin of the window, in milliseconds since 1970.
    pub from_ms: u64,
    /// Its end.
    pub until_ms: u64,
    /// Id of the client key that the proxy uses.
    pub client: String,
    /// Database.
    pub database: String,
    /// The database role that logged in, as the proxy verified it.
    pub user: String,
    /// Address that the connections came from, without port; `local` for a Unix socket.
    pub peer: String,
    /// Id of the shape: 16 hexadecimal digits, the same in every proxy; `other` for all statements beyond what the proxy keeps
    /// apart.
    pub shape: String,
    /// The statement with `?` for every value, cut to [`MAX_STATEMENT`].
    pub statement: String,
    /// How often it was run.
    pub statements: u64,
    /// How often it was refused since the user's role may not read what it would give.
    pub refused: u64,
    /// What was done with values, by encrypted type.
    pub types: Vec<TypeAccess>,
    /// Runs of statements that are in no record, since there were too many to be kept apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
}

/// What was done with values of one encrypted type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeAccess {
    /// Its id.
    pub id: String,
    /// Its name in schema `seal`.
    pub name: String,
    /// Values that were decrypted.
    pub opened: u64,
    /// Of those, the ones that the user saw only in part, by its role's mask.
    pub masked: u64,
    /// Values that were encrypted to be stored.
    pub sealed: u64,
    /// Values that were searched for.
    pub searched: u64,
}

/// Records that are kept or not as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessBatch {
    /// At most [`MAX_RECORDS`].
    pub records: Vec<AccessRecord>,
}

body!(AccessBatch -> (), "/v1/audit/access", true);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"from_ms":1,"until_ms":2,"client":"c","database":"d","user":"u","peer":"::1","shape":"00112233aabbccdd","statement":"select ?","statements":3,"refused":0,"types":[{"id":"i","name":"email","opened":4,"masked":0,"sealed":5,"searched":6}]}"#;

    #[test]
    fn a_record_is_one_line_and_reads_back() {
        let record: AccessRecord = serde_json::from_str(LINE).expect("it is a record");
        assert_eq!((record.lost, record.types[0].opened), (0, 4));
        assert_eq!(serde_json::to_string(&record).expect("it can be written"), LINE);
    }

    #[test]
    fn what_is_unknown_or_missing_is_refused() {
        for (from, to) in [
            ("\"statements\":3,", ""),
            ("\"statements\":3", "\"statements\":-3"),
            ("\"statements\":3", "\"statements\":3,\"literals\":[\"secret\"]"),
            ("\"opened\":4", "\"opened\":4,\"values\":1"),
            ("\"peer\":\"::1\"", "\"peer\":1"),
        ] {
            let line = LINE.replacen(from, to, 1);
            assert_ne!(line, LINE);
            assert!(serde_json::from_str::<AccessRecord>(&line).is_err(), "{line}");
        }
    }
}
