//! Queries of the doctor's own, and the fields of their answers.

use std::str::FromStr;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::schema::SchemaError;

/// Rows of a query, as text.
pub(super) async fn query(client: &Client, text: &str) -> Result<Vec<Vec<Option<String>>>, SchemaError> {
    let messages = client.simple_query(text).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(String::from)).collect()),
        _ => None,
    });
    Ok(rows.collect())
}

/// One row of an answer.
#[derive(Clone, Copy)]
pub(super) struct Row<'a>(pub(super) &'a [Option<String>]);

impl<'a> Row<'a> {
    pub(super) fn text(self, index: usize) -> Result<&'a str, SchemaError> {
        self.optional(index)?.ok_or(SchemaError::Answer("a field is NULL"))
    }

    pub(super) fn optional(self, index: usize) -> Result<Option<&'a str>, SchemaError> {
        let field = self.0.get(index).ok_or(SchemaError::Answer("a row is too short"))?;
        Ok(field.as_deref())
    }

    pub(super) fn number<T: FromStr>(self, index: usize) -> Result<T, SchemaError> {
        self.text(index)?.parse().map_err(|_| SchemaError::Answer("a field is not a number"))
    }

    /// `t` or `f`.
    pub(super) fn is_true(self, index: usize) -> Result<bool, SchemaError> {
        Ok(matches!(self.optional(index)?, Some("t" | "true")))
    }

    /// A JSON array of texts.
    pub(super) fn list(self, index: usize) -> Result<Vec<String>, SchemaError> {
        let Some(text) = self.optional(index)? else { return Ok(Vec::new()) };
        let list: Vec<Option<String>> =
            serde_json::from_str(text).map_err(|_| SchemaError::Answer("a field is no list"))?;
        Ok(list.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// A string of SQL.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A name of SQL.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
