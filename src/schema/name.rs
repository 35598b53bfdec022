//! Names and strings as SQL writes them.

use std::borrow::Cow;

/// An identifier that may follow a point, quoted if it must be.
pub(crate) fn quoted(name: &str) -> Cow<'_, str> {
    let simple =
        name.bytes().enumerate().all(|(i, b)| b.is_ascii_lowercase() || b == b'_' || (i > 0 && b.is_ascii_digit()));
    if simple && !name.is_empty() { name.into() } else { always_quoted(name).into() }
}

/// An identifier in quotes.
pub(crate) fn always_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The name of something in a schema, each part in quotes.
pub(crate) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", always_quoted(schema), always_quoted(name))
}

/// A string, whatever `standard_conforming_strings` is.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}
