//! Why a value cannot be read or written. Messages are worded as PostgreSQL words them, without the value.

use super::PlainType;
use crate::wire::sqlstate::SqlState;

/// `invalid_parameter_value`.
pub(crate) const INVALID_PARAMETER_VALUE: SqlState = SqlState("22023");
/// `invalid_time_zone_displacement_value`.
pub(crate) const INVALID_TIME_ZONE_DISPLACEMENT: SqlState = SqlState("22009");
/// `interval_field_overflow`.
pub(crate) const INTERVAL_FIELD_OVERFLOW: SqlState = SqlState("22015");
/// `untranslatable_character`.
pub(crate) const UNTRANSLATABLE_CHARACTER: SqlState = SqlState("22P05");
/// `datatype_mismatch`.
pub(crate) const DATATYPE_MISMATCH: SqlState = SqlState("42804");
/// `statement_too_complex`.
pub(crate) const STATEMENT_TOO_COMPLEX: SqlState = SqlState("54001");
/// `array_subscript_error`.
pub(crate) const ARRAY_SUBSCRIPT_ERROR: SqlState = SqlState("2202E");
/// `undefined_function`.
pub(crate) const UNDEFINED_FUNCTION: SqlState = SqlState("42883");

/// A value that cannot be read or written. Carries type names, never the value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ValueError {
    /// The SQLSTATE PostgreSQL gives.
    pub sqlstate: SqlState,
    /// PostgreSQL's wording, without the value.
    pub message: String,
    /// What would work, where that is known.
    pub hint: Option<String>,
}

pub(crate) type Result<T> = std::result::Result<T, ValueError>;

impl ValueError {
    #[cold]
    pub(crate) fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        ValueError { sqlstate, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }

    /// Text that the type's grammar does not know.
    #[cold]
    pub(crate) fn syntax(type_name: &str) -> Self {
        let message = format!("invalid input syntax for type {type_name}");
        ValueError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    }

    /// Text that no date or time grammar knows.
    #[cold]
    pub(crate) fn datetime_syntax(type_name: &str) -> Self {
        let message = format!("invalid input syntax for type {type_name}");
        ValueError::new(SqlState::INVALID_DATETIME_FORMAT, message)
    }

    /// A number outside its type, as it was written.
    #[cold]
    pub(crate) fn number_range(type_name: &str) -> Self {
        let message = format!("value is out of range for type {type_name}");
        ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
    }

    /// A number outside the type it is assigned to.
    #[cold]
    pub(crate) fn out_of_range(type_name: &str) -> Self {
        let message = format!("{type_name} out of range");
        ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
    }

    /// A month, day, hour, ... outside its range.
    #[cold]
    pub(crate) fn field_range() -> Self {
        ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date/time field value out of range")
    }

    /// A moment that its type cannot hold.
    #[cold]
    pub(crate) fn datetime_range(type_name: &str) -> Self {
        let message = format!("{type_name} out of range");
        ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
    }

    /// Binary input that its type cannot read.
    #[cold]
    pub(crate) fn binary(plain: PlainType) -> Self {
        let message = format!("incorrect binary data format for type {}", plain.sql_name());
        ValueError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
    }

    /// Binary input that ends too early.
    #[cold]
    pub(crate) fn short() -> Self {
        ValueError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
    }

    /// Bytes that are not UTF-8, or hold a NUL.
    #[cold]
    pub(crate) fn encoding() -> Self {
        ValueError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"")
    }

    /// A stored form that cannot be of its type.
    #[cold]
    pub(crate) fn corrupt(plain: PlainType) -> Self {
        let message = format!("stored value is not of type {}", plain.sql_name());
        ValueError::new(SqlState::DATA_CORRUPTED, message)
    }

    /// A value of a type that cannot be assigned to this one.
    #[cold]
    pub(crate) fn mismatch(to: PlainType, from: &str) -> Self {
        let to = to.sql_name();
        let message = format!("encrypted value is of type {to} but the parameter is of type {from}");
        ValueError::new(DATATYPE_MISMATCH, message).hint("You will need to rewrite or cast the expression.")
    }

    /// A form that PostgreSQL takes and this proxy does not.
    #[cold]
    pub(crate) fn unsupported(what: &str, hint: &str) -> Self {
        ValueError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported for an encrypted value"))
            .hint(hint)
    }
}
