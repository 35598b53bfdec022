//! Queries whose answers are read as text, and the fields of those, read with suspicion.

use std::str::FromStr;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::SchemaError;
use super::catalog::Oid;

/// Rows of one answer.
pub(crate) type Answer = [Vec<Option<String>>];

/// Rows of a query, as text. Cancel safe.
pub(crate) async fn query(client: &Client, text: &str) -> Result<Vec<Vec<Option<String>>>, SchemaError> {
    let messages = client.simple_query(text).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(String::from)).collect()),
        _ => None,
    });
    Ok(rows.collect())
}

/// One row of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a>(pub(crate) &'a [Option<String>]);

impl<'a> Row<'a> {
    /// A text that cannot be NULL.
    pub(crate) fn text(self, index: usize) -> Result<&'a str, SchemaError> {
        self.optional(index)?.ok_or(SchemaError::Answer("a field is NULL"))
    }

    pub(crate) fn optional(self, index: usize) -> Result<Option<&'a str>, SchemaError> {
        let field = self.0.get(index).ok_or(SchemaError::Answer("a row is too short"))?;
        Ok(field.as_deref())
    }

    pub(crate) fn number<T: FromStr>(self, index: usize) -> Result<T, SchemaError> {
        self.text(index)?.parse().map_err(|_| SchemaError::Answer("a field is not a number"))
    }

    pub(crate) fn oid(self, index: usize) -> Result<Oid, SchemaError> {
        self.number(index)
    }

    /// A boolean that the query casts to text; NULL is false.
    pub(crate) fn boolean(self, index: usize) -> Result<bool, SchemaError> {
        match self.optional(index)? {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            _ => Err(SchemaError::Answer("a field is not a boolean")),
        }
    }

    /// A JSON array of texts; NULL is none.
    pub(crate) fn list(self, index: usize) -> Result<Vec<String>, SchemaError> {
        let Some(text) = self.optional(index)? else { return Ok(Vec::new()) };
        let list: Vec<Option<String>> =
            serde_json::from_str(text).map_err(|_| SchemaError::Answer("a field is no list"))?;
        Ok(list.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// Pairs of OIDs, as most edges are.
pub(super) fn pairs(answer: &Answer) -> Result<Vec<(Oid, Oid)>, SchemaError> {
    answer.iter().map(|row| Ok((Row(row).oid(0)?, Row(row).oid(1)?))).collect()
}
