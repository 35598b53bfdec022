//! Expressions that the proxy computes of opened values, row by row, and what the client gave for them.

use std::ops::Deref;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::errors;
use super::prepared::Prepared;
use super::roles::{self, Sight, Viewer};
use super::rows::{Missing, Opener, RowFault, Seen};
use super::seal::{self, Raw};
use crate::crypto::envelope::Header;
use crate::sql::formula::{Expr, Formula, Input};
use crate::sql::plan::{Of, OutColumn, Role};
use crate::wire::error::PgError;
use crate::wire::value::{self, Format, Letters, Means, Parts, PlainType, Settings, Sort, ValueError};

/// OID of `bytea`.
const BYTEA: u32 = 17;

/// How a computed column reaches the client.
pub(super) struct Computed {
    pub(super) formula: Arc<Formula>,
    /// By input; `None` of plain ones.
    sights: Box<[Option<Sight>]>,
    /// The format that the client asked for.
    pub(super) format: Format,
}

impl Computed {
    /// As this role may see it.
    pub(super) fn seen_by(viewer: &Viewer, formula: &Arc<Formula>, format: Format) -> Result<Computed, PgError> {
        Ok(Computed { formula: Arc::clone(formula), sights: sights(viewer, formula)?, format })
    }

    /// Envelopes and plain values of one row, by input; those that are not to be opened left out. `None`: it is none of ours.
    fn parts<'b>(&self, bytes: &'b [u8]) -> Option<Vec<Option<&'b [u8]>>> {
        let mut items = match self.formula.gathers() {
            false => vec![Some(bytes)],
            true => {
                let parts = Parts::parse(bytes).ok().filter(|parts| parts.element == BYTEA)?;
                Some(parts.items).filter(|items| items.len() == self.sights.len())?
            }
        };
        for (item, sight) in items.iter_mut().zip(&self.sights) {
            *item = item.filter(|_| *sight != Some(Sight::Hidden));
        }
        Some(items)
    }

    /// The keys that a row needs. What is odd there is told when it is opened.
    pub(super) fn keys(&self, bytes: &[u8]) -> Vec<Missing> {
        let parts = self.parts(bytes).unwrap_or_default();
        let envelopes = parts.into_iter().zip(&self.sights).filter_map(|(part, sight)| sight.and(part));
        let headers = envelopes.filter_map(|envelope| Header::parse(envelope).ok());
        headers.map(|header| (header.kref, header.key_id)).collect()
    }

    /// Appends a result as the client reads it.
    pub(super) fn print(&self, stored: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<(), ValueError> {
        value::write(self.formula.gives, stored, self.format, settings, out)
    }
}

/// How a role sees the values that something is computed of, by input; `None` of plain ones.
pub(super) fn sights(viewer: &Viewer, formula: &Formula) -> Result<Box<[Option<Sight>]>, PgError> {
    let sight = |input: &Input| match input {
        Input::Sealed { enc, column } => seal::sight(viewer, enc, column).map(Some),
        Input::Plain(_) => Ok(None),
    };
    formula.inputs.iter().map(sight).collect()
}

/// What expressions are computed with beside the values of a row.
pub(super) struct Held {
    /// By parameter of the plan, in their stored form.
    values: Vec<Option<Zeroizing<Vec<u8>>>>,
    letters: Option<Arc<Letters>>,
}

/// Reads what the client gave for a statement's expressions. `None`: it has none.
///
/// # Errors
/// A value that is not one of its type.
pub(super) fn held(
    prepared: &Prepared,
    raws: &[Raw<'_>],
    settings: &Settings,
    letters: Option<&Arc<Letters>>,
) -> Result<Option<Arc<Held>>, PgError> {
    let computes = |column: &OutColumn| match column {
        OutColumn::Computed(_) => true,
        OutColumn::Finished(finish) => matches!(finish.of, Of::Formula(_)),
        _ => false,
    };
    if !prepared.plan.columns.iter().flatten().any(computes) {
        return Ok(None);
    }
    let mut values = Vec::with_capacity(raws.len());
    for (param, raw) in prepared.plan.params.iter().zip(raws) {
        let (Role::Held(sort), Some(bytes)) = (&param.role, raw.bytes) else {
            values.push(None);
            continue;
        };
        let mut stored = Zeroizing::new(Vec::new());
        match sort {
            Sort::Value(plain) => {
                value::read(*plain, raw.declared, param.cast, raw.format, bytes, settings, &mut stored)
            }
            Sort::Texts => {
                let declared = if raw.declared == 0 { param.cast.unwrap_or(0) } else { raw.declared };
                value::read_array(PlainType::Text, declared, raw.format, bytes, settings).and_then(|array| {
                    value::write_array(PlainType::Text, &array, Format::Binary, settings, &mut stored)
                })
            }
        }
        .map_err(|fault| errors::seal(&fault.into(), &param.column))?;
        values.push(Some(stored));
    }
    Ok(Some(Arc::new(Held { values, letters: letters.map(Arc::clone) })))
}

impl Opener<'_> {
    /// Opens the values of an expression and computes it; `plaintext` is then its stored form.
    pub(super) fn formula(
        &mut self,
        cell: &Computed,
        bytes: Option<&[u8]>,
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Seen, RowFault> {
        let Some(bytes) = bytes else { return Ok(Seen::Null) };
        let (row, formula) = (self.row, &*cell.formula);
        let unreadable = || RowFault::from(errors::unreadable(&formula.column, row));
        let parts = cell.parts(bytes).ok_or_else(unreadable)?;
        Ok(match self.computed_of(formula, (&cell.sights, &parts), true, plaintext)? {
            None => Seen::Null,
            Some(result) => {
                plaintext.clear();
                plaintext.extend_from_slice(&result);
                Seen::Opened
            }
        })
    }

    /// Opens the values of one row and computes what is computed of them, in its stored form; `None` is NULL. `tell`: the audit is told now
    /// of what was opened.
    pub(super) fn computed_of(
        &mut self,
        formula: &Formula,
        (sights, parts): (&[Option<Sight>], &[Option<&[u8]>]),
        tell: bool,
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, RowFault> {
        let row = self.row;
        let unreadable = || RowFault::from(errors::unreadable(&formula.column, row));
        let mut inputs = Vec::with_capacity(parts.len());
        for ((part, sight), input) in parts.iter().zip(sights).zip(&formula.inputs) {
            let Some(part) = *part else {
                inputs.push(None);
                continue;
            };
            match (input, sight) {
                (Input::Sealed { enc, column }, Some(sight)) => {
                    self.open_one((enc, column.as_str()), Some(part), plaintext)?;
                    if tell {
                        self.state.tally.opened(enc, *sight != Sight::Whole);
                    }
                    if let Sight::Masked(mask) = sight {
                        roles::mask(*mask, plaintext);
                    }
                }
                (Input::Plain(plain), _) => {
                    plaintext.clear();
                    value::read(*plain, plain.oid(), None, Format::Binary, part, &self.portal.settings, plaintext)
                        .map_err(|_| unreadable())?;
                }
                (Input::Sealed { .. }, None) => return Err(unreadable()),
            }
            inputs.push(Some(std::mem::take(plaintext)));
        }
        let held = self.portal.held.as_deref();
        let means = Means { settings: &self.portal.settings, letters: held.and_then(|held| held.letters.as_deref()) };
        let values = held.map_or(&[][..], |held| &held.values);
        let result = Row { inputs: &inputs, values, means }.compute(&formula.expr);
        let result = result.map_err(|fault| errors::unprintable(&fault, &formula.column, row))?;
        Ok(result.map(|value| match value {
            Value::At(bytes) => Zeroizing::new(bytes.to_vec()),
            Value::Made(bytes) => bytes,
        }))
    }
}

/// What is computed of.
struct Row<'r> {
    inputs: &'r [Option<Zeroizing<Vec<u8>>>],
    values: &'r [Option<Zeroizing<Vec<u8>>>],
    means: Means<'r>,
}

/// A value in its stored form.
enum Value<'r> {
    At(&'r [u8]),
    Made(Zeroizing<Vec<u8>>),
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Value::At(bytes) => bytes,
            Value::Made(bytes) => bytes,
        }
    }
}

impl<'r> Row<'r> {
    /// The value of an expression; `None` is NULL.
    fn compute(&self, expr: &Expr) -> Result<Option<Value<'r>>, ValueError> {
        let at = |value: &'r Option<Zeroizing<Vec<u8>>>| value.as_ref().map(|bytes| Value::At(bytes));
        let mut made = Zeroizing::new(Vec::new());
        match expr {
            Expr::Input(n) => return Ok(self.inputs.get(*n).and_then(at)),
            Expr::Held(n) => return Ok(self.values.get(*n).and_then(at)),
            Expr::Null => return Ok(None),
            Expr::Number(number) => made.extend_from_slice(&number.to_be_bytes()),
            Expr::Word(word) => made.extend_from_slice(word.as_bytes()),
            Expr::Coalesce(parts) => {
                for part in parts {
                    if let Some(value) = self.compute(part)? {
                        return Ok(Some(value));
                    }
                }
                return Ok(None);
            }
            Expr::Call(function, of, parts) => {
                let parts = parts.iter().map(|part| self.compute(part));
                let Some(parts) = parts.collect::<Result<Option<Vec<_>>, _>>()? else { return Ok(None) };
                let arguments: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
                if !function.apply(*of, &arguments, self.means, &mut made)? {
                    return Ok(None);
                }
            }
            Expr::Cast(from, to, part) => {
                let Some(value) = self.compute(part)? else { return Ok(None) };
                value::cast(*from, *to, &value, self.means.settings, &mut made)?;
            }
            Expr::Fit(digits, part) => {
                let Some(value) = self.compute(part)? else { return Ok(None) };
                made.extend_from_slice(&value);
                value::fit_numeric(&mut made, *digits)?;
            }
        }
        Ok(Some(Value::Made(made)))
    }
}
