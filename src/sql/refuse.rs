//! Refusals: one place that words them. They name columns and constructs, never values.

use crate::wire::sqlstate::SqlState;

use super::plan::Refusal;

/// `syntax_error`.
pub(super) const SYNTAX_ERROR: SqlState = SqlState("42601");
/// `undefined_table`.
pub(super) const UNDEFINED_TABLE: SqlState = SqlState("42P01");
/// `duplicate_column`.
pub(super) const DUPLICATE_COLUMN: SqlState = SqlState("42701");
/// `invalid_table_definition`.
pub(super) const INVALID_TABLE_DEFINITION: SqlState = SqlState("42P16");
/// `undefined_column`.
pub(super) const UNDEFINED_COLUMN: SqlState = SqlState("42703");
/// `ambiguous_column`.
pub(super) const AMBIGUOUS_COLUMN: SqlState = SqlState("42702");
/// `undefined_function`, also of operators.
pub(super) const UNDEFINED_FUNCTION: SqlState = SqlState("42883");
/// `indeterminate_datatype`.
pub(super) const INDETERMINATE_DATATYPE: SqlState = SqlState("42P18");
/// `datatype_mismatch`.
pub(super) const DATATYPE_MISMATCH: SqlState = SqlState("42804");
/// `statement_too_complex`.
pub(super) const TOO_COMPLEX: SqlState = SqlState("54001");

/// What to say where a refusal has nothing better.
pub const WHAT_WORKS: &str = "Encrypted columns can be stored and selected, and compared by =, <>, IN, = ANY, IS [NOT] NULL and \
IS [NOT] DISTINCT FROM with parameters, literals and columns of the same type.";

/// Outcome of analysing a part of a statement.
pub(super) type Result<T, E = Box<Refusal>> = std::result::Result<T, E>;

/// A refusal of any SQLSTATE.
pub(super) fn with(sqlstate: SqlState, message: impl Into<String>) -> Box<Refusal> {
    Box::new(Refusal { sqlstate, message: message.into(), hint: None, position: None })
}

/// A construct that is not supported where encrypted columns are touched.
pub(super) fn unsupported(message: impl Into<String>) -> Box<Refusal> {
    with(SqlState::FEATURE_NOT_SUPPORTED, message)
}

/// This construct on this encrypted column.
pub(super) fn on_column(construct: &str, column: &str) -> Box<Refusal> {
    unsupported(format!("{construct} is not supported on encrypted column {column}"))
}

/// Details added to a refusal.
pub(super) trait Detail: Sized {
    /// What would work.
    fn hint(self, hint: impl Into<String>) -> Self;
    /// Byte offset; a negative one, as the grammar gives for "unknown", is none.
    fn at(self, location: i32) -> Self;
}

impl Detail for Box<Refusal> {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    fn at(mut self, location: i32) -> Self {
        if self.position.is_none() {
            self.position = usize::try_from(location).ok();
        }
        self
    }
}
