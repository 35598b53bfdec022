//! SQLSTATE codes that this proxy raises or looks for (PostgreSQL, appendix A).

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SqlState(pub &'static str);

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl SqlState { $($(#[$doc])* pub const $name: SqlState = SqlState($code);)* }
    };
}

states! {
    /// The construct is not supported on an encrypted value.
    FEATURE_NOT_SUPPORTED = "0A000";
    /// The client broke the protocol.
    PROTOCOL_VIOLATION = "08P01";
    /// The server could not be reached.
    CONNECTION_FAILURE = "08006";
    /// The server could not be reached at connection start.
    CANNOT_CONNECT = "08001";
    /// A value out of the range of its type.
    NUMERIC_VALUE_OUT_OF_RANGE = "22003";
    /// A date or time that cannot be read.
    INVALID_DATETIME_FORMAT = "22007";
    /// A date or time out of range.
    DATETIME_FIELD_OVERFLOW = "22008";
    /// A text form that its type cannot read.
    INVALID_TEXT_REPRESENTATION = "22P02";
    /// A binary form that its type cannot read.
    INVALID_BINARY_REPRESENTATION = "22P03";
    /// Bytes that are not valid in the encoding.
    CHARACTER_NOT_IN_REPERTOIRE = "22021";
    /// A value too long for its type.
    STRING_DATA_RIGHT_TRUNCATION = "22001";
    /// A stored value that does not decrypt.
    DATA_CORRUPTED = "XX001";
    /// A grant is missing or revoked.
    INSUFFICIENT_PRIVILEGE = "42501";
    /// The login was refused.
    INVALID_AUTHORIZATION = "28000";
    /// The password is wrong.
    INVALID_PASSWORD = "28P01";
    /// The transaction is aborted.
    IN_FAILED_SQL_TRANSACTION = "25P02";
    /// Cancelled, or out of time.
    QUERY_CANCELED = "57014";
    /// Too many connections.
    TOO_MANY_CONNECTIONS = "53300";
    /// A limit of this proxy was exceeded.
    PROGRAM_LIMIT_EXCEEDED = "54000";
    /// The proxy or the server is shutting down.
    ADMIN_SHUTDOWN = "57P01";
    /// The service cannot serve now (key service, catalog).
    CANNOT_CONNECT_NOW = "57P03";
    /// A prepared statement that does not exist.
    INVALID_SQL_STATEMENT_NAME = "26000";
    /// A portal that does not exist.
    INVALID_CURSOR_NAME = "34000";
    /// A type definition or the schema `seal` is not as it should be.
    INVALID_OBJECT_DEFINITION = "42P17";
    /// The key service cannot be reached or refused.
    EXTERNAL_ROUTINE_EXCEPTION = "38000";
    /// The session is not in the state that the act needs.
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";
    /// An internal fault of the proxy.
    INTERNAL_ERROR = "XX000";
}
