//! What conditions that the proxy decides compare with: the client's values, read.

use zeroize::Zeroizing;

use super::errors;
use super::prepared::Prepared;
use super::seal::{self, Given, Raw};
use super::search::{self, Wanted};
use crate::wire::error::PgError;
use crate::wire::value::{self, Document, Letters, PlainType, ValueError};

type Text = Zeroizing<String>;

/// The values of a statement's parameters.
pub(super) struct Operands<'a> {
    raws: Vec<Raw<'a>>,
    prepared: &'a Prepared,
    settings: value::Settings,
}

/// What the searches of a statement look for.
///
/// # Errors
/// A value that is not one of its type, a pattern that is none.
pub(super) fn wanted(
    prepared: &Prepared,
    given: &Given<'_>,
    letters: Option<&Letters>,
) -> Result<Vec<Option<Wanted>>, PgError> {
    let operands =
        Operands { raws: seal::raw_values(prepared, given, None)?, prepared, settings: value::Settings::default() };
    prepared.plan.searches.iter().map(|search| search::read(search, letters, &operands)).collect()
}

impl Operands<'_> {
    fn fault(&self, n: usize, error: ValueError) -> PgError {
        let column = self.prepared.plan.params.get(n).map_or("", |p| p.column.as_str());
        errors::seal(&error.into(), column)
    }

    fn read(&self, n: usize, plain: PlainType) -> Result<Option<Zeroizing<Vec<u8>>>, PgError> {
        let Some((raw, bytes)) = self.raws.get(n).and_then(|raw| Some((raw, raw.bytes?))) else { return Ok(None) };
        let mut stored = Zeroizing::new(Vec::new());
        value::read(plain, raw.declared, None, raw.format, bytes, &self.settings, &mut stored)
            .map_err(|e| self.fault(n, e))?;
        Ok(Some(stored))
    }

    /// A text; `None` is NULL.
    pub(super) fn text(&self, n: usize) -> Result<Option<Text>, PgError> {
        Ok(self.read(n, PlainType::Text)?.map(|stored| owned(&stored)))
    }

    /// A JSON document.
    pub(super) fn document(&self, n: usize) -> Result<Option<Document<'static>>, PgError> {
        let Some(stored) = self.read(n, PlainType::Jsonb)? else { return Ok(None) };
        Document::read(&stored).map(|document| Some(document.into_owned())).map_err(|e| self.fault(n, e))
    }

    /// The number of an element.
    pub(super) fn index(&self, n: usize) -> Result<Option<i64>, PgError> {
        let Some(stored) = self.read(n, PlainType::Int4)? else { return Ok(None) };
        Ok(stored.first_chunk().map(|bytes| i32::from_be_bytes(*bytes).into()))
    }

    /// An array of texts.
    pub(super) fn array(&self, n: usize) -> Result<Option<Vec<Option<Text>>>, PgError> {
        let Some((raw, bytes)) = self.raws.get(n).and_then(|raw| Some((raw, raw.bytes?))) else { return Ok(None) };
        let array = value::read_array(PlainType::Text, raw.declared, raw.format, bytes, &self.settings)
            .map_err(|e| self.fault(n, e))?;
        Ok(Some(array.iter().map(|element| element.map(owned)).collect()))
    }
}

fn owned(bytes: &[u8]) -> Text {
    Zeroizing::new(String::from_utf8_lossy(bytes).into_owned())
}
