//! Fields of the answers to the catalog queries, read with suspicion.

use std::str::FromStr;

use crate::schema::SchemaError;
use crate::schema::catalog::Oid;

/// Rows of one answer.
pub(super) type Answer = [Vec<Option<String>>];

/// One row of an answer.
#[derive(Clone, Copy)]
pub(super) struct Row<'a>(pub(super) &'a [Option<String>]);

impl<'a> Row<'a> {
    /// A text that cannot be NULL.
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

    pub(super) fn oid(self, index: usize) -> Result<Oid, SchemaError> {
        self.number(index)
    }

    pub(super) fn boolean(self, index: usize) -> Result<bool, SchemaError> {
        match self.optional(index)? {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            _ => Err(SchemaError::Answer("a field is not a boolean")),
        }
    }
}

/// Pairs of OIDs, as most edges are.
pub(super) fn pairs(answer: &Answer) -> Result<Vec<(Oid, Oid)>, SchemaError> {
    answer.iter().map(|row| Ok((Row(row).oid(0)?, Row(row).oid(1)?))).collect()
}
