//! Rows with encrypted columns: opened and handed on, one pass per row, without allocation but for arrays and what is built.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use super::built::{self, Mark};
use super::cell;
use super::copy_out;
use super::errors;
use super::finish;
use super::prepared::{Cell, Portal};
use super::roles::{self, Sight};
use super::state::State;
use crate::crypto::envelope::{DataKey, Header};
use crate::crypto::{KeyId, KeysetId, Kref};
use crate::keys::Ring;
use crate::schema::catalog::EncType;
use crate::wire::error::PgError;
use crate::wire::frame::{self, BuildError, HEADER, MAX_LARGE};
use crate::wire::server::{DataRow, DataRowBuilder, RowDescription, row_description, tag};
use crate::wire::value::{self, Array, Format, Parts};

/// A data key that must be fetched.
pub(super) type Missing = (Kref, KeyId);

/// Most keys fetched at once for rows at hand.
pub(super) const FETCH_MAX: usize = 256;

/// Why a row cannot be handed on.
pub(super) enum RowFault {
    /// A data key is not at hand.
    Missing,
    /// A value does not open under the key at hand, which was not proved when it was fetched.
    Suspect(Missing),
    /// Others are to have their turn before the row is gone on with.
    Pause,
    /// The row is refused.
    Bad(Box<PgError>),
}

impl From<PgError> for RowFault {
    fn from(e: PgError) -> Self {
        RowFault::Bad(Box::new(e))
    }
}

/// Appends a RowDescription made from the body of another, with the formats of a portal's columns.
pub(super) fn describe(body: &[u8], formats: Option<&[i16]>, out: &mut Vec<u8>) -> Result<(), BuildError> {
    let Ok(description) = RowDescription::parse(body) else { return Ok(()) };
    let fields = description.fields().enumerate().map(|(i, mut field)| {
        field.format = formats.and_then(|f| f.get(i).copied()).unwrap_or(0);
        field
    });
    row_description(out, fields)
}

/// Appends the row that the client reads.
pub(super) fn open(
    state: &mut State,
    ring: &Ring,
    portal: &Arc<Portal>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), RowFault> {
    let mut plaintext = std::mem::take(&mut state.scratch);
    state.tally.turn_to(portal.prepared.entry.as_ref());
    let outcome = open_with(state, ring, portal, body, &mut plaintext, out);
    let again = matches!(outcome, Err(RowFault::Missing | RowFault::Suspect(_) | RowFault::Pause));
    state.tally.row_ends(!again);
    if !again {
        state.progress.clear();
    }
    state.scratch = plaintext;
    outcome
}

fn open_with(
    state: &mut State,
    ring: &Ring,
    portal: &Arc<Portal>,
    body: &[u8],
    plaintext: &mut Zeroizing<Vec<u8>>,
    out: &mut Vec<u8>,
) -> Result<(), RowFault> {
    let row = portal.rows.load(Ordering::Relaxed) + state.row;
    let values = DataRow::parse(body).map_err(|_| errors::forged_row(row))?;
    if values.len() != portal.cells.len() {
        return Err(errors::forged_row(row).into());
    }
    let mut opener = Opener { state, ring, portal, row, array: Array::default() };
    if let Some(printer) = portal.printer() {
        return copy_out::row(&mut opener, printer, values, plaintext, out);
    }
    let mut builder = DataRowBuilder::new(out);
    for (index, value) in values.iter().enumerate() {
        match opener.value(index, value, plaintext)? {
            Seen::AsSent => builder.values().value(value),
            Seen::Null => builder.values().value(None),
            Seen::Opened => builder.values().value_with(|out| opener.print(index, plaintext, out))?,
        }
    }
    builder.finish().map_err(|_| errors::too_long(row).into())
}

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// It is not encrypted.
    AsSent,
    /// The client reads NULL.
    Null,
    /// It was opened.
    Opened,
}

/// Opens the values of one row.
pub(super) struct Opener<'a> {
    pub(super) state: &'a mut State,
    ring: &'a Ring,
    pub(super) portal: &'a Portal,
    /// Its number in the result, from 0.
    pub(super) row: u64,
    /// The array that was opened last.
    array: Array,
}

impl Opener<'_> {
    /// Opens a value into `plaintext`, or an array into `array`, as far as the role may see it.
    pub(super) fn value(
        &mut self,
        index: usize,
        value: Option<&[u8]>,
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Seen, RowFault> {
        let Opener { portal, row, .. } = *self;
        let (enc, sight, composite, column) = match &portal.cells[index] {
            Cell::Sealed { enc, sight, composite, column, .. } => (enc, sight, composite, column),
            Cell::Plain => return Ok(Seen::AsSent),
            Cell::Finished(finished) => return self.finished((index, finished), value, plaintext),
            Cell::Computed(computed) => return self.formula(computed, value, plaintext),
            cell @ Cell::Built { .. } => {
                return value.map_or(Ok(Seen::AsSent), |built| self.built(built, cell, plaintext));
            }
        };
        let Some(bytes) = value else {
            if portal.checks.iter().any(|check| check.column == index) {
                return Err(errors::swapped(column, row).into());
            }
            return Ok(Seen::Null);
        };
        if *sight == Sight::Hidden {
            return Ok(Seen::Null);
        }
        match enc.is_array() {
            true => self.elements(index, bytes, plaintext)?,
            false => self.one(index, if *composite { cell::envelope_of(bytes) } else { Some(bytes) }, plaintext)?,
        }
        Ok(Seen::Opened)
    }

    /// Opens the elements of an array.
    fn elements(&mut self, index: usize, bytes: &[u8], plaintext: &mut Zeroizing<Vec<u8>>) -> Result<(), RowFault> {
        let Opener { portal, row, .. } = *self;
        let Cell::Sealed { enc, column, .. } = &portal.cells[index] else { return Ok(()) };
        let parts = Parts::parse(bytes).ok().filter(|parts| parts.element == enc.single().oid);
        let parts = parts.ok_or_else(|| errors::unreadable(column, row))?;
        let mut array = Array::like(&parts);
        for item in parts.items {
            let Some(record) = item else {
                array.push_stored(None);
                continue;
            };
            self.one(index, cell::envelope_of(record), plaintext)?;
            array.push_stored(Some(plaintext));
        }
        self.array = array;
        Ok(())
    }

    fn one(
        &mut self,
        index: usize,
        envelope: Option<&[u8]>,
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<(), RowFault> {
        let Opener { portal, row, .. } = *self;
        let Cell::Sealed { enc, sight, column, .. } = &portal.cells[index] else { return Ok(()) };
        let keyset = self.unseal((enc, *sight, column.as_str()), envelope, plaintext)?;
        check(portal, index, enc, keyset, plaintext).map_err(|()| errors::swapped(column, row))?;
        if let Sight::Masked(mask) = sight {
            roles::mask(*mask, plaintext);
        }
        Ok(())
    }

    /// Puts values in place of their marks; `plaintext` is then the whole column.
    fn built(&mut self, json: &[u8], cell: &Cell, plaintext: &mut Zeroizing<Vec<u8>>) -> Result<Seen, RowFault> {
        let Cell::Built { values, quoted, settings, column } = cell else { return Ok(Seen::AsSent) };
        let row = self.row;
        let unreadable = || RowFault::from(errors::unreadable(column, row));
        let Some(mark) = self.state.mark else { return Ok(Seen::AsSent) };
        let mut rest = json;
        let mut out = Zeroizing::new(Vec::with_capacity(json.len()));
        let (mut envelope, mut text) = (Vec::new(), Zeroizing::new(Vec::new()));
        while let Some(token) = built::next(&mark, rest, *quoted).map_err(|_| unreadable())? {
            out.extend_from_slice(token.before);
            rest = token.rest;
            let value = values.get(token.value).ok_or_else(unreadable)?;
            if value.sight == Sight::Hidden {
                out.extend_from_slice(b"null");
                continue;
            }
            envelope.resize(token.envelope.len() / 2, 0);
            hex::decode_to_slice(token.envelope, &mut envelope).map_err(|_| unreadable())?;
            self.unseal((&value.enc, value.sight, value.column.as_str()), Some(&envelope), plaintext)?;
            if let Sight::Masked(mask) = value.sight {
                roles::mask(mask, plaintext);
            }
            built::write(value, plaintext, settings, &mut text, &mut out)
                .map_err(|fault| errors::unprintable(&fault, &value.column, row))?;
        }
        out.extend_from_slice(rest);
        std::mem::swap(plaintext, &mut out);
        Ok(Seen::Opened)
    }

    /// Opens an envelope. Returns the keyset it was sealed in.
    pub(super) fn unseal(
        &mut self,
        (enc, sight, column): (&Arc<EncType>, Sight, &str),
        envelope: Option<&[u8]>,
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<KeysetId, RowFault> {
        let keyset = self.open_one((enc, column), envelope, plaintext)?;
        self.state.tally.opened(enc, sight != Sight::Whole);
        Ok(keyset)
    }

    /// Opens an envelope, and leaves it to the caller to count it for the audit.
    pub(super) fn open_one(
        &mut self,
        (enc, column): (&Arc<EncType>, &str),
        envelope: Option<&[u8]>,
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<KeysetId, RowFault> {
        let row = self.row;
        let header = envelope.and_then(|e| Header::parse(e).ok());
        let (Some(envelope), Some(header)) = (envelope, header) else {
            return Err(errors::unreadable(column, row).into());
        };
        let key = key_for(self.state, self.ring, header.kref, header.key_id).ok_or(RowFault::Missing)?;
        plaintext.clear();
        let Ok(codec) = key.open(&enc.def.id, envelope, plaintext) else {
            let name = (header.kref, header.key_id);
            return Err(match self.state.proved == Some(name) {
                true => errors::unreadable(column, row).into(),
                false => RowFault::Suspect(name),
            });
        };
        if codec != enc.def.plain.code() {
            return Err(errors::unreadable(column, row).into());
        }
        let keyset = key.keyset();
        self.state.counted.opened.add(keyset);
        Ok(keyset)
    }

    /// Appends an opened value as the client reads it.
    pub(super) fn print(&self, index: usize, plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), RowFault> {
        let (enc, format, column) = match &self.portal.cells[index] {
            Cell::Sealed { enc, format, column, .. } => (enc, format, column),
            Cell::Built { .. } => {
                out.extend_from_slice(plaintext);
                return Ok(());
            }
            Cell::Finished(cell) => {
                let printed = self.print_finished(cell, plaintext, out);
                return printed.map_err(|fault| errors::unprintable(&fault, &cell.finish.column, self.row).into());
            }
            Cell::Computed(cell) => {
                let printed = cell.print(plaintext, &self.portal.settings, out);
                return printed.map_err(|fault| errors::unprintable(&fault, &cell.formula.column, self.row).into());
            }
            Cell::Plain => return Ok(()),
        };
        let (settings, plain) = (&self.portal.settings, enc.def.plain);
        let printed = match &enc.element {
            Some(element) => {
                let shown = (enc.shown, element.plain_oid);
                value::write_array_as(shown, (plain, &self.array), *format, settings, out)
            }
            None => value::write_as(enc.shown, (plain, plaintext), *format, settings, out),
        };
        printed.map_err(|fault| errors::unprintable(&fault, column, self.row).into())
    }
}

/// A selected value under `e = operand` must have the operand's term: whoever can write the database could have swapped terms.
fn check(portal: &Portal, column: usize, enc: &EncType, keyset: KeysetId, plaintext: &[u8]) -> Result<(), ()> {
    let mut term = Vec::new();
    for check in portal.checks.iter().filter(|check| check.column == column) {
        term.clear();
        cell::operand(enc, enc.def.plain, plaintext, &check.keys, &mut term).map_err(|_| ())?;
        if keyset != check.keyset || *term != *check.term {
            return Err(());
        }
    }
    Ok(())
}

/// The key of a value, if it is at hand.
pub(super) fn key_for(state: &mut State, ring: &Ring, kref: Kref, key_id: KeyId) -> Option<Arc<DataKey>> {
    if let Some((_, _, key)) = state.keys.iter().rev().find(|(k, i, _)| *k == kref && *i == key_id) {
        return Some(Arc::clone(key));
    }
    let key = ring.cached(kref, key_id)?;
    state.keys.push((kref, key_id, Arc::clone(&key)));
    Some(key)
}

/// The distinct keys that the rows at the start of `input` need and that are not at hand.
pub(super) fn missing(state: &mut State, ring: &Ring, portal: &Arc<Portal>, input: &[u8]) -> Vec<Missing> {
    let mut wanted = Vec::new();
    let mut rest = input;
    while wanted.len() < FETCH_MAX
        && let Ok(Some((kind, total))) = frame::header(rest, MAX_LARGE)
        && kind == tag::DATA_ROW
        && let Some(raw) = rest.get(..total)
        && let Ok(values) = DataRow::parse(&raw[HEADER..])
    {
        for (index, (value, cell)) in values.iter().zip(&portal.cells).enumerate() {
            let Some(bytes) = value else { continue };
            if let Cell::Finished(finished) = cell {
                finish::missing(state, ring, (index, finished), bytes, &mut wanted);
                continue;
            }
            for name in names(cell, state.mark.as_ref(), bytes) {
                if wanted.len() < FETCH_MAX && !wanted.contains(&name) && key_for(state, ring, name.0, name.1).is_none()
                {
                    wanted.push(name);
                }
            }
        }
        rest = &rest[total..];
    }
    wanted
}

/// The keys that a value needs: several where it is an array.
fn names(cell: &Cell, mark: Option<&Mark>, bytes: &[u8]) -> Vec<Missing> {
    let (enc, composite, sight) = match cell {
        Cell::Sealed { enc, composite, sight, .. } => (enc, composite, sight),
        Cell::Built { values, quoted, .. } => {
            return mark.map_or_else(Vec::new, |mark| built_names((values, *quoted), mark, bytes));
        }
        Cell::Computed(computed) => return computed.keys(bytes),
        Cell::Plain | Cell::Finished(_) => return Vec::new(),
    };
    let envelopes = match (*sight == Sight::Hidden, enc.is_array()) {
        (true, _) => Vec::new(),
        (_, true) => {
            let items = Parts::parse(bytes).map(|parts| parts.items).unwrap_or_default();
            items.into_iter().flatten().filter_map(cell::envelope_of).collect()
        }
        (_, false) if *composite => cell::envelope_of(bytes).into_iter().collect(),
        (_, false) => vec![bytes],
    };
    let headers = envelopes.into_iter().filter_map(|envelope| Header::parse(envelope).ok());
    headers.map(|header| (header.kref, header.key_id)).collect()
}

/// The keys that values within JSON need. What is odd there is told when the row is opened.
fn built_names((values, quoted): (&[built::Value], bool), mark: &Mark, mut json: &[u8]) -> Vec<Missing> {
    let mut names = Vec::new();
    while let Ok(Some(token)) = built::next(mark, json, quoted) {
        json = token.rest;
        let seen = values.get(token.value).is_some_and(|value| value.sight != Sight::Hidden);
        let header = hex::decode(token.envelope).ok().filter(|_| seen).and_then(|e| Header::parse(&e).ok());
        names.extend(header.map(|header| (header.kref, header.key_id)).filter(|name| !names.contains(name)));
    }
    names
}

/// Formats of a portal's result columns towards the server: envelopes and composites are asked for in binary.
pub(super) fn server_format(cell: &Cell, client: Format) -> i16 {
    match (cell, client) {
        (Cell::Sealed { .. } | Cell::Finished(_) | Cell::Computed(_), _) | (_, Format::Binary) => 1,
        (Cell::Plain | Cell::Built { .. }, Format::Text) => 0,
    }
}
