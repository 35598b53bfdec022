//! What a client may read of an error: the one place where faults of other rooms become SQLSTATE, message and hint.
//!
//! Columns, types and constructs are named; values, literals and bytes never.

use super::catalog::CatalogError;
use super::cell::SealFault;
use super::prepared::Prepared;
use crate::keys::KeysError;
use crate::schema::catalog::Catalog;
use crate::sql::PositionMap;
use crate::sql::plan::Refusal;
use crate::wire::error::{Edit, ErrorView, PgError, field};
use crate::wire::frame::BuildError;
use crate::wire::server::tag;
use crate::wire::sqlstate::SqlState;
use crate::wire::value::ValueError;

/// Begins the names of the session's own statements and portals.
const OWN: &[u8] = b"\"_columnseal_";

/// `invalid_parameter_value`.
const INVALID_VALUE: SqlState = SqlState("22023");

/// A refusal by analysis. `text`: what was analysed.
pub(super) fn refusal(refusal: &Refusal, text: &str) -> PgError {
    let mut error = PgError::error(refusal.sqlstate, refusal.message.clone());
    error.hint.clone_from(&refusal.hint);
    let characters = refusal.position.and_then(|bytes| text.get(..bytes)).map(|before| before.chars().count() + 1);
    error.position = characters.and_then(|c| u32::try_from(c).ok());
    error
}

/// A key that cannot be had. `column`: for which column, or empty.
pub(super) fn keys(error: &KeysError, column: &str) -> PgError {
    let subject = if column.is_empty() { String::new() } else { format!("column {column}: ") };
    let (sqlstate, hint) = keys_advice(error);
    PgError::error(sqlstate, format!("{subject}{error}")).hint(hint)
}

fn keys_advice(error: &KeysError) -> (SqlState, &'static str) {
    match error {
        KeysError::Revoked { .. } | KeysError::NoGrant { .. } | KeysError::GrantExpired { .. } => {
            (SqlState::INSUFFICIENT_PRIVILEGE, "An admin can grant it: columnseal client grant CLIENT KEYSET.")
        }
        KeysError::PermissionMissing { .. } | KeysError::NotAdmin { .. } => (
            SqlState::INSUFFICIENT_PRIVILEGE,
            "An admin can grant the permission: columnseal client grant CLIENT KEYSET.",
        ),
        KeysError::ClientUnknown { .. } | KeysError::ClientDisabled { .. } | KeysError::ClientExpired { .. } => {
            (SqlState::INSUFFICIENT_PRIVILEGE, "See \"columnseal client list\" for the clients of the workspace.")
        }
        KeysError::NoKeysetChosen => (
            SqlState::INSUFFICIENT_PRIVILEGE,
            "SET columnseal.keyset = '<name>', or name one in the proxy's setting [keys] keyset.",
        ),
        KeysError::UnknownKeyset { .. } | KeysError::KeysetDisabled { .. } => {
            (SqlState::INSUFFICIENT_PRIVILEGE, "See \"columnseal keyset list\" and the setting [keys] keyset.")
        }
        KeysError::Tampered { .. } | KeysError::RolledBack { .. } | KeysError::OtherWorkspace { .. } => (
            SqlState::DATA_CORRUPTED,
            "The key store was changed outside columnseal. Do not go on before you know why.",
        ),
        KeysError::BadAnswer { .. } => (
            SqlState::DATA_CORRUPTED,
            "The key service answers wrongly. Nothing was read or written with what it said; do not go on before you know why.",
        ),
        KeysError::StoreCorrupt { .. } => (
            SqlState::DATA_CORRUPTED,
            "The key store is damaged: restore it from a backup. Nothing was read or written.",
        ),
        _ => (
            SqlState::CANNOT_CONNECT_NOW,
            "Nothing was read or written in plain. Try again once the key service answers.",
        ),
    }
}

/// `cipherstash.keyset_id` takes ids alone.
pub(super) fn no_id() -> PgError {
    PgError::error(INVALID_VALUE, "the id of a keyset is a uuid")
        .hint("Names are given by columnseal.keyset or cipherstash.keyset_name.")
}

/// SET where the keyset is settled when the session begins.
pub(super) fn keyset_at_startup() -> PgError {
    PgError::error(SqlState("55P02"), "the keyset cannot be set after connection start")
        .hint("Give it as a startup option, options=-c columnseal.keyset=..., or ask for [policy] keyset_scope = \"session\".")
}

/// The server's answers do not say which choice holds.
pub(super) fn lost_choice() -> PgError {
    PgError::error(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        "it is not known which keyset this session has chosen, since the server answered what cannot be",
    )
    .hint("SET columnseal.keyset again, outside a transaction, or RESET it.")
}

/// set_config with the name of a setting of ours among its parameters.
pub(super) fn own_setting_by_parameter() -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        "settings columnseal.* and cipherstash.* cannot be changed by set_config",
    )
    .hint("Use SET columnseal.keyset = '...', SET LOCAL or RESET, with the value written out.")
}

/// A value that cannot be sealed.
pub(super) fn seal(fault: &SealFault, column: &str) -> PgError {
    match fault {
        SealFault::Value(value) => {
            let mut error = PgError::error(value.sqlstate, value.message.clone());
            error.hint.clone_from(&value.hint);
            error.context = Some(format!("value for encrypted column {column}"));
            error
        }
        SealFault::Engine => PgError::error(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("value for encrypted column {column} cannot be encrypted"),
        ),
        SealFault::Terms => PgError::error(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("the type of encrypted column {column} has search terms that this version cannot make"),
        ),
        SealFault::Path(path, fault) => {
            let column = format!("{column}, promoted path {path}");
            let told = seal(fault, &column);
            let message = format!("{} at promoted path \"{path}\" of the document", told.message);
            PgError { message, ..told }
        }
    }
}

/// A column that the role may not read.
pub(super) fn unreadable_for(role: &str, column: &str, type_name: &str) -> PgError {
    PgError::error(
        SqlState::INSUFFICIENT_PRIVILEGE,
        format!("role \"{role}\" may not read encrypted column {column} of type seal.{type_name}"),
    )
    .hint("Leave the column out of the result, and out of LIKE. The proxy's setting [policy.roles] says what the role may read, and may give it a mask.")
}

/// Statements that must be recorded and cannot be.
pub(super) fn unrecorded() -> PgError {
    PgError::error(
        SqlState::CANNOT_CONNECT_NOW,
        "access to encrypted columns cannot be recorded now, so the statement was not run",
    )
    .hint("The proxy's log says why its [audit] sink takes no records. Try again once it does.")
}

/// A stored value that does not decrypt. Rows are counted from 0 here and from 1 towards the client.
pub(super) fn unreadable(column: &str, row: u64) -> PgError {
    PgError::error(
        SqlState::DATA_CORRUPTED,
        format!("value of encrypted column {column} in row {} of the result cannot be decrypted", row + 1),
    )
    .hint("The stored value was damaged, moved from a column of another type, or written outside the proxy.")
}

/// A value that was found by a term that is not its own.
pub(super) fn swapped(column: &str, row: u64) -> PgError {
    PgError::error(
        SqlState::DATA_CORRUPTED,
        format!("value of encrypted column {column} in row {} of the result is not the one searched for", row + 1),
    )
    .hint("The search term stored beside it belongs to another value: somebody changed the row outside the proxy.")
}

/// A row that is not one.
pub(super) fn forged_row(row: u64) -> PgError {
    PgError::error(SqlState::PROTOCOL_VIOLATION, format!("row {} of the result is not as described", row + 1))
}

/// A value that was opened and cannot be printed with the session's settings. The value itself is not told.
pub(super) fn unprintable(fault: &ValueError, column: &str, row: u64) -> PgError {
    if fault.sqlstate == SqlState::DATA_CORRUPTED {
        return unreadable(column, row);
    }
    let mut error = PgError::error(fault.sqlstate, fault.message.clone());
    error.hint.clone_from(&fault.hint);
    error.context = Some(format!("value of encrypted column {column}"));
    error
}

/// A row that became too long.
pub(super) fn too_long(row: u64) -> PgError {
    PgError::error(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("row {} of the result is longer than 1 GiB", row + 1))
}

/// A message that became too long.
pub(super) fn too_many() -> PgError {
    PgError::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "the statement with its encrypted values is too long for one message",
    )
}

/// PostgreSQL's description is not what analysis expects.
pub(super) fn disagreement(what: &str) -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("the server does not agree with the analysis of this statement about {what}, so it was not run"),
    )
    .hint(
        "The schema may just have changed: try again. If it stays so, please report the statement without its values.",
    )
}

/// Bind with too few or too many values.
pub(super) fn parameter_count(given: usize, wanted: usize) -> PgError {
    PgError::error(
        SqlState::PROTOCOL_VIOLATION,
        format!("bind message supplies {given} parameters, but prepared statement requires {wanted}"),
    )
}

/// Bind with result formats that do not fit.
pub(super) fn format_count(given: usize, columns: usize) -> PgError {
    PgError::error(
        SqlState::PROTOCOL_VIOLATION,
        format!("bind message has {given} result formats but query has {columns} columns"),
    )
}

/// An encrypted type without signature.
pub(super) fn unsigned_type(name: &str) -> PgError {
    PgError::error(
        SqlState::INVALID_OBJECT_DEFINITION,
        format!("encrypted type seal.{name} is not signed, so nothing is read or written with it"),
    )
    .hint(format!("Run \"columnseal type adopt {name}\", or set [policy] unsigned_types = \"adopt\" for development."))
}

/// An encrypted type that is not as it was signed.
pub(super) fn broken_type(name: &str, why: &str) -> PgError {
    PgError::error(
        SqlState::INVALID_OBJECT_DEFINITION,
        format!("the definition of encrypted type seal.{name} does not check out: {why}"),
    )
    .hint("Somebody changed the schema seal in the database. Restore the definition; \"columnseal db status\" shows the differences.")
}

/// The session's encoding is not one that values can be read in.
pub(super) fn client_encoding(encoding: &str) -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!(
            "statements on encrypted columns, and names with letters beyond ASCII, are not supported with client_encoding {encoding}"
        ),
    )
    .hint("SET client_encoding = 'UTF8'.")
}

/// EXECUTE of a plan within another statement.
pub(super) fn execute_within() -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        "EXECUTE of a statement on encrypted columns within EXPLAIN or CREATE TABLE AS is not supported",
    )
    .hint("Write the statement itself.")
}

/// A statement on encrypted columns over a replication connection, which takes no extended protocol.
pub(super) fn on_replication() -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        "statements on encrypted columns are not supported on a replication connection",
    )
    .hint("Use an ordinary connection. COPY of a table TO STDOUT gives encrypted columns as they are stored, for subscribers.")
}

/// A message of physical replication that is no replication command.
pub(super) fn on_physical_replication() -> PgError {
    PgError::fatal(
        SqlState::FEATURE_NOT_SUPPORTED,
        "a connection for physical replication takes replication commands alone",
    )
    .hint("Connect without replication=true for statements.")
}

/// PREPARE or EXECUTE of a plan by a message of the extended protocol.
pub(super) fn simple_only(what: &str) -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("{what} by SQL of a statement on encrypted columns is supported as a simple query only"),
    )
    .hint("Use the driver's own prepared statements, or send it without parameters as a simple query.")
}

/// EXECUTE with too few or too many arguments, as PostgreSQL words it.
pub(super) fn argument_count(name: &str, given: usize, wanted: usize) -> PgError {
    PgError::error(SqlState("42601"), format!("wrong number of parameters for prepared statement \"{name}\""))
        .detail(format!("Expected {wanted} parameters but got {given}."))
}

/// An argument of EXECUTE that is no constant of the parameter's type.
pub(super) fn argument(number: usize) -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("argument {number} of EXECUTE must be a constant of the parameter's type where the statement touches encrypted columns"),
    )
    .hint("Write a string: its value is read as the parameter's type.")
}

/// As PostgreSQL words it.
pub(super) fn no_column(name: &str) -> PgError {
    PgError::error(SqlState("42703"), format!("column \"{name}\" does not exist"))
}

/// CopyFail by the client; `body` holds its reason, which the server is not told.
pub(super) fn copy_failed(body: &[u8]) -> PgError {
    let reason = String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body)).into_owned();
    PgError::error(SqlState::QUERY_CANCELED, format!("COPY from stdin failed: {reason}"))
}

/// As PostgreSQL words it. The connection ends.
pub(super) fn unexpected_in_copy(kind: u8) -> PgError {
    let message = format!("unexpected message type 0x{kind:02X} during COPY from stdin");
    PgError::fatal(SqlState::PROTOCOL_VIOLATION, message)
}

/// A row of COPY FROM that is too long to be held.
pub(super) fn copy_row_too_long(most: usize, context: String) -> PgError {
    let message = format!("a row of COPY into encrypted columns is longer than {} MiB", most >> 20);
    let mut error = PgError::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    error.context = Some(context);
    error
}

/// A function call message.
pub(super) fn function_call() -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        "where there are encrypted columns, function call messages are supported for large objects only",
    )
    .hint("Call the function by SELECT.")
}

/// Bind to a statement that was not prepared, or was refused. Its values are not sent.
pub(super) fn no_statement(name: &[u8]) -> PgError {
    let message = match name {
        b"" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name)),
    };
    PgError::error(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

/// A literal that PostgreSQL could not read either.
pub(super) fn unreadable_literal() -> PgError {
    PgError::error(SqlState("42601"), "invalid escape in a literal for an encrypted column")
}

/// A value of an encrypted column that also stands where the server would read it.
pub(super) fn told_in_plain(column: &str) -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("one value is used for encrypted column {column} and in another way"),
    )
    .hint("Compute what depends on the value before sending it.")
}

/// The session waited too long for its client.
pub(super) fn idle_too_long(in_transaction: bool) -> PgError {
    let (sqlstate, what, setting) = match in_transaction {
        true => ("25P03", "idle-in-transaction", "idle_transaction_timeout"),
        false => ("57P05", "idle-session", "idle_timeout"),
    };
    PgError::fatal(SqlState(sqlstate), format!("terminating connection due to {what} timeout"))
        .hint(format!("This limit is the proxy's: [server] {setting}."))
}

/// A pattern that no term narrows, where nothing else decides.
pub(super) fn short_pattern(column: &str) -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("this pattern of LIKE on encrypted column {column} is too short for its match term"),
    )
    .hint("Search for three characters in a row, or for the beginning or end of the value.")
}

/// The database's locale tells case by rules that are not known here.
pub(super) fn unfollowed_locale(column: &str) -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("this search on encrypted column {column} goes by case, which the locale of this database tells by rules of its own"),
    )
    .hint("LIKE and = without lower and upper work.")
}

/// More values than one condition may look at.
pub(super) fn too_many_looked(column: &str, most: usize) -> PgError {
    PgError::error(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("a search on encrypted column {column} would have to look at more than {most} values"),
    )
    .hint("Search for more characters in a row (three at least, or the beginning or end of the value), or for a part of JSON by =.")
}

/// Patterns of ANY or ALL whose outcome depends on more than the value.
pub(super) fn odd_patterns(column: &str, what: &str) -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("{what} of ANY, ALL or IN in a search on encrypted column {column} is not supported"),
    )
    .hint("Give one pattern or value or more, none of them NULL.")
}

/// A message whose inside is not as the protocol says.
pub(super) fn malformed() -> PgError {
    PgError::error(SqlState::PROTOCOL_VIOLATION, "invalid message format")
}

/// As PostgreSQL words it.
pub(super) fn several_statements() -> PgError {
    PgError::error(SqlState("42601"), "cannot insert multiple commands into a prepared statement")
}

/// As PostgreSQL words it.
pub(super) fn in_failed_transaction() -> PgError {
    PgError::error(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

/// The catalog cannot be had, so nothing can be judged.
pub(super) fn catalog(error: &CatalogError) -> PgError {
    match error {
        CatalogError::Keys(error) => keys(error, ""),
        CatalogError::Schema(error) => {
            PgError::error(SqlState::CANNOT_CONNECT_NOW, format!("the catalog cannot be read: {error}"))
                .hint("Run \"columnseal db status\" to see what is wrong with the schema seal.")
        }
    }
}

/// The schema changed while a transaction was open that cannot see it, or changes all the time.
pub(super) fn catalog_changed() -> PgError {
    PgError::error(SqlState("40001"), "the schema changed during this transaction, so the statement cannot be judged")
        .hint("Roll back and try again.")
}

/// EXECUTE after the schema changed.
pub(super) fn execute_after_change() -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        "EXECUTE is not supported of a statement that was prepared while nothing in it was encrypted",
    )
    .hint("DEALLOCATE it, then PREPARE again.")
}

/// FETCH from a portal of a plan.
pub(super) fn fetch_of_plan() -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        "FETCH from a portal of the protocol is not supported for statements on encrypted columns",
    )
    .hint("Read portals by Execute, as drivers do, or DECLARE a cursor.")
}

/// Execute of a cursor of a plan.
pub(super) fn execute_of_cursor() -> PgError {
    PgError::error(
        SqlState::FEATURE_NOT_SUPPORTED,
        "Execute messages for a cursor that was declared over encrypted columns are not supported",
    )
    .hint("Use FETCH.")
}

/// As PostgreSQL words it.
pub(super) fn changed_result() -> PgError {
    PgError::error(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")
        .hint("Prepare the statement again.")
}

/// A fault of this program.
pub(super) fn internal(what: &str) -> PgError {
    PgError::error(SqlState::INTERNAL_ERROR, what)
}

/// Hands on an error of the server. Of a statement that was rewritten or `edited`, positions become the client's, and what shows
/// stored terms or rows is dropped or said in the client's words.
///
/// # Errors
/// A field with NUL, which the server cannot have sent.
pub(super) fn translate(
    view: ErrorView<'_>,
    prepared: Option<&Prepared>,
    edited: Option<&PositionMap>,
    catalog: &Catalog,
    out: &mut Vec<u8>,
) -> Result<(), BuildError> {
    view.rewrite(out, tag::ERROR_RESPONSE, |code, text| match code {
        field::POSITION => match (prepared, edited) {
            (Some(prepared), _) => position(text, |sent| prepared.to_client(sent)),
            (None, Some(edited)) => position(text, |sent| edited.to_client(sent)),
            (None, None) => Edit::Keep,
        },
        field::DETAIL if is_row(text) && row_is_plain(&view, prepared.is_none(), catalog) => Edit::Keep,
        field::DETAIL => detail(text),
        // Of what the session itself asked.
        field::CONTEXT if text.windows(OWN.len()).any(|part| part == OWN) => Edit::Drop,
        field::CONTEXT if prepared.is_some_and(|p| p.plan.copy_in().is_some()) => copy_context(text),
        field::INTERNAL_POSITION | field::INTERNAL_QUERY | field::CONTEXT if prepared.is_some() => Edit::Drop,
        _ => Edit::Keep,
    })
}

/// As [`translate`], of a statement that the client did not write.
///
/// # Errors
/// A field with NUL, which the server cannot have sent.
pub(super) fn translate_step(view: ErrorView<'_>, out: &mut Vec<u8>) -> Result<(), BuildError> {
    view.rewrite(out, tag::ERROR_RESPONSE, |code, text| match code {
        field::POSITION | field::INTERNAL_POSITION | field::INTERNAL_QUERY | field::CONTEXT => Edit::Drop,
        field::DETAIL => detail(text),
        _ => Edit::Keep,
    })
}

/// `COPY users, line 2: "1\t(...)"`: the place stays, the row, or what is left of it, goes.
fn copy_context<'e>(text: &[u8]) -> Edit<'e> {
    let last = text.rsplit(|b| *b == b'\n').next().unwrap_or_default();
    if !last.starts_with(b"COPY ") {
        return Edit::Drop;
    }
    let end = last.windows(3).position(|part| part == b": \"").unwrap_or(last.len());
    Edit::Replace(last[..end].to_vec().into())
}

fn position<'e>(text: &[u8], to_client: impl Fn(u32) -> Option<u32>) -> Edit<'e> {
    let sent = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
    match sent.and_then(to_client) {
        Some(original) => Edit::Replace(original.to_string().into_bytes().into()),
        None => Edit::Drop,
    }
}

/// `Failing row contains (1, x).`
fn is_row(text: &[u8]) -> bool {
    text.starts_with(b"Failing row contains")
}

/// The row that is shown is one of a relation without encrypted columns. Where the relation is not told, as of a view's check
/// option, or is not known yet: that of a statement which touches nothing, and no envelope (which begins with 0xC1) in it.
fn row_is_plain(view: &ErrorView<'_>, untouched: bool, catalog: &Catalog) -> bool {
    let name = |code| view.field(code).and_then(|name| std::str::from_utf8(name).ok());
    let relation = name(field::SCHEMA).zip(name(field::TABLE));
    match relation.and_then(|(schema, table)| catalog.relations.get(schema)?.get(table)) {
        Some(relation) => !relation.touching,
        None => {
            untouched && view.field(field::DETAIL).is_some_and(|text| !text.windows(4).any(|part| part == b"\\xc1"))
        }
    }
}

/// Terms as PostgreSQL prints what an index is over: `((email).eq)`.
const TERMS: [&str; 4] = [").eq)", ").ord)", ").m)", ").j)"];

/// `Key (((email).eq))=(…) already exists.` becomes `Key (email)=(encrypted) already exists.`; whole rows are dropped.
fn detail<'e>(text: &[u8]) -> Edit<'e> {
    let Ok(text) = std::str::from_utf8(text) else { return Edit::Drop };
    if text.starts_with("Failing row contains") {
        return Edit::Drop;
    }
    // `((doc).p.p1.eq)`, of a promoted path.
    if text.starts_with("Key (") && text.contains(").p.p") {
        return Edit::Drop;
    }
    if !TERMS.iter().any(|term| text.contains(term)) {
        return Edit::Keep;
    }
    let Some((head, tail)) = text.strip_prefix("Key (").and_then(|rest| rest.split_once(")=(")) else {
        return Edit::Drop;
    };
    let Some(end) = tail.rfind(") ") else { return Edit::Drop };
    let columns = TERMS.iter().fold(head.replace("((", ""), |head, term| head.replace(term, ""));
    Edit::Replace(format!("Key ({columns})=(encrypted){}", &tail[end + 1..]).into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Option<String> {
        match detail(text.as_bytes()) {
            Edit::Keep => Some(text.to_owned()),
            Edit::Drop => None,
            Edit::Replace(with) => Some(String::from_utf8(with.into_owned()).expect("text")),
        }
    }

    #[test]
    fn keys_of_terms_are_said_in_the_clients_words() {
        let detail = "Key (((email).eq))=(0b5d6c1e-0000-0000-0000-000000000000) already exists.";
        assert_eq!(after(detail).as_deref(), Some("Key (email)=(encrypted) already exists."));
        let detail = "Key (tenant, ((email).eq))=(7, 0b5d6c1e-0000-0000-0000-000000000000) already exists.";
        assert_eq!(after(detail).as_deref(), Some("Key (tenant, email)=(encrypted) already exists."));
        let detail =
            "Key (((a).ord), b, ((\"C d\").eq))=(\\x00ff, 7, 0b5d6c1e-0000-0000-0000-000000000000) is duplicated.";
        assert_eq!(after(detail).as_deref(), Some("Key (a, b, \"C d\")=(encrypted) is duplicated."));
        let detail = "Key ((doc).p.p1.eq, id)=(0b5d6c1e-0000-0000-0000-000000000000, 1) already exists.";
        assert_eq!(after(detail), None);
        assert_eq!(after("Key (id)=(1) already exists.").as_deref(), Some("Key (id)=(1) already exists."));
    }

    #[test]
    fn failing_rows_are_not_shown() {
        assert_eq!(after("Failing row contains (1, (1,\"\\xc1\",..))."), None);
    }
}
