//! Rows of COPY FROM STDIN: fields of encrypted columns become composites, the others stay as they are.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::cell::{self, SealFault, SealKeys};
use super::copy_in::Around;
use super::errors;
use super::prepared::{Copying, Portal};
use super::state::ByKeyset;
use crate::crypto::envelope::DataKey;
use crate::crypto::term::TermKeys;
use crate::crypto::{KeysetId, TypeId};
use crate::keys::Ring;
use crate::schema::catalog::{EncType, Terms};
use crate::sql::copy::CopyIn;
use crate::wire::copy::{self, BINARY_HEADER, CopyError, Dialect, Field, Fields, Header, Kind, Meaning, Rows, Step};
use crate::wire::error::PgError;
use crate::wire::value::{self, Format, Parts, ValueError};

/// Values that are asked for at first, of a data key's; each time more.
const FEW: u32 = 8;
/// Values that are asked for at most.
const MANY: u32 = 256;

/// A key that is not at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    /// One to seal with.
    Data(KeysetId),
    /// Those of a type's terms.
    Terms(KeysetId, TypeId),
}

/// Why a row does not go on.
pub(super) enum Stuck {
    /// A key must be fetched first.
    Keys(Wanted),
    /// The COPY ends.
    Bad(Box<PgError>),
}

/// Where a field stands in its line, and whether some of it is quoted.
type Place = (usize, usize, bool);

/// What seals the rows of one COPY.
pub(super) struct Sealer {
    portal: Arc<Portal>,
    dialect: Dialect,
    rows: Rows,
    keys: Keys,
    /// Fields of the line at hand.
    places: Vec<Place>,
    /// The value at hand: as it was given, as it is stored, sealed, and as text.
    given: Zeroizing<Vec<u8>>,
    stored: Zeroizing<Vec<u8>>,
    record: Vec<u8>,
    text: Vec<u8>,
    /// Arrays and documents with promoted paths of the row at hand that are sealed, by column: keys for the others may be missing.
    arrays: Vec<(usize, Vec<u8>)>,
    begun: bool,
    /// Values sealed.
    pub(super) sealed: ByKeyset,
}

impl Sealer {
    /// At the beginning. `None`: the portal is of no COPY FROM.
    pub(super) fn new(portal: Arc<Portal>, csv_marker: bool) -> Option<Self> {
        let copy = portal.prepared.plan.copy_in()?;
        let Some(Copying::In(keysets)) = &portal.copy else { return None };
        let dialect = Dialect { csv_marker, ..copy.dialect.clone() };
        Some(Sealer {
            rows: Rows::new(&dialect, copy.columns.len()),
            keys: Keys {
                of: keysets.clone(),
                terms: vec![None; keysets.len()],
                paths: Vec::new(),
                data: Vec::new(),
                ask: FEW,
            },
            dialect,
            portal,
            places: Vec::new(),
            given: Zeroizing::default(),
            stored: Zeroizing::default(),
            record: Vec::new(),
            text: Vec::new(),
            arrays: Vec::new(),
            begun: false,
            sealed: ByKeyset::default(),
        })
    }

    /// Lets go of keys, so that a revocation is noticed.
    pub(super) fn renew(&mut self, around: &mut Around<'_>) {
        around.tally.turn_to(self.portal.prepared.entry.as_ref());
        self.keys.terms.fill(None);
        self.keys.paths.clear();
        self.keys.data.clear();
        self.keys.ask = FEW;
    }

    /// What `input` begins with.
    pub(super) fn next(&mut self, input: &[u8], ended: bool) -> Result<Step, Stuck> {
        self.rows.next(input, ended).map_err(|fault| self.broken(&fault))
    }

    fn copy(&self) -> Result<&CopyIn, Stuck> {
        let copy = self.portal.prepared.plan.copy_in();
        copy.ok_or_else(|| Stuck::Bad(Box::new(errors::internal("rows of no COPY"))))
    }

    /// Where an error is, in PostgreSQL's words: `ahead` lines after the last one.
    pub(super) fn context(&self, ahead: u64, column: Option<usize>) -> String {
        let Some(copy) = self.portal.prepared.plan.copy_in() else { return String::new() };
        let place = format!("COPY {}, line {}", copy.table, self.rows.line() + ahead);
        match column.and_then(|index| copy.columns.get(index)) {
            Some(column) => format!("{place}, column {}", column.name),
            None => place,
        }
    }

    fn bad(&self, mut error: PgError, column: Option<usize>) -> Stuck {
        error.context = Some(self.context(0, column));
        Stuck::Bad(Box::new(error))
    }

    fn broken(&self, fault: &CopyError) -> Stuck {
        self.bad(PgError::error(fault.sqlstate, fault.message.clone()), None)
    }

    /// What stands before binary tuples goes on as it always is; what stands after them does not go on.
    pub(super) fn skip(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(&BINARY_HEADER);
        }
    }

    /// The header line. It may be a row by mistake, so only its end goes on, or what is known to be the columns' names.
    pub(super) fn head(&mut self, line: &[u8], end: &[u8], out: &mut Vec<u8>) -> Result<(), Stuck> {
        if self.dialect.header == Header::Match {
            self.match_header(line)?;
            out.extend_from_slice(line);
        }
        out.extend_from_slice(end);
        Ok(())
    }

    fn match_header(&mut self, line: &[u8]) -> Result<(), Stuck> {
        self.split(line)?;
        let expected = self.copy()?.columns.len();
        let got = self.places.len();
        let format = |message: String| CopyError::format(message);
        if got != expected {
            let message = format!("wrong number of fields in header line: got {got}, expected {expected}");
            return Err(self.broken(&format(message)));
        }
        for (index, place) in self.places.iter().enumerate() {
            let name = &self.copy()?.columns[index].name;
            let mut given = Zeroizing::new(Vec::new());
            let field = field(line, *place);
            let meaning = self.dialect.read(&field, copy::Force::default(), &mut given);
            if meaning != Meaning::Value || given.as_slice() != name.as_bytes() {
                let message = format!("column name mismatch in header line field {}: expected \"{name}\"", index + 1);
                return Err(self.broken(&format(message)));
            }
        }
        Ok(())
    }

    /// A row: `end` is the line's. Appends what goes to the server.
    pub(super) fn row(
        &mut self,
        around: &mut Around<'_>,
        line: &[u8],
        end: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Stuck> {
        match self.dialect.kind {
            Kind::Binary => self.tuple(around, line, out)?,
            Kind::Text | Kind::Csv => {
                self.line(around, line, out)?;
                out.extend_from_slice(end);
            }
        }
        self.arrays.clear();
        Ok(())
    }

    fn split(&mut self, line: &[u8]) -> Result<(), Stuck> {
        self.places.clear();
        let origin = line.as_ptr() as usize;
        for field in Fields::new(line, &self.dialect) {
            let field = field.map_err(|fault| self.broken(&fault))?;
            let start = field.raw.as_ptr() as usize - origin;
            self.places.push((start, start + field.raw.len(), field.quoted));
        }
        Ok(())
    }

    fn line(&mut self, around: &mut Around<'_>, line: &[u8], out: &mut Vec<u8>) -> Result<(), Stuck> {
        self.split(line)?;
        let portal = Arc::clone(&self.portal);
        let Some(copy) = portal.prepared.plan.copy_in() else { return Ok(()) };
        if self.places.len() > copy.columns.len() {
            return Err(self.broken(&CopyError::format("extra data after last expected column")));
        }
        for (index, column) in copy.columns.iter().enumerate() {
            let Some(place) = self.places.get(index).copied() else {
                let message = format!("missing data for column \"{}\"", column.name);
                return Err(self.broken(&CopyError::format(message)));
            };
            if index > 0 {
                out.push(self.dialect.delimiter);
            }
            let field = field(line, place);
            let Some(enc) = &column.enc else {
                out.extend_from_slice(field.raw);
                continue;
            };
            self.given.clear();
            match self.dialect.read(&field, column.force, &mut self.given) {
                Meaning::Null => self.dialect.print_null(column.force.null, out),
                Meaning::Default => out.extend_from_slice(field.raw),
                Meaning::Value => {
                    // The buffer itself, without its guard: dropping an empty guard costs a call that wipes nothing.
                    let given = std::mem::take(&mut *self.given);
                    let sealed = self.seal(around, index, enc, (Format::Text, &given));
                    *self.given = given;
                    sealed?;
                    self.text.clear();
                    sealed_text(enc, &self.record, &mut self.text)
                        .map_err(|_| self.bad(errors::internal("a sealed value is no composite"), Some(index)))?;
                    self.dialect.print_firm(&self.text, out);
                }
            }
        }
        Ok(())
    }

    fn tuple(&mut self, around: &mut Around<'_>, tuple: &[u8], out: &mut Vec<u8>) -> Result<(), Stuck> {
        let portal = Arc::clone(&self.portal);
        let Some(copy) = portal.prepared.plan.copy_in() else { return Ok(()) };
        let count = u16::try_from(copy.columns.len()).map_err(|_| self.bad(errors::too_many(), None))?;
        out.extend_from_slice(&count.to_be_bytes());
        for (index, (column, field)) in copy.columns.iter().zip(copy::tuple_fields(tuple)).enumerate() {
            let field = field.map_err(|_| self.broken(&CopyError::format("invalid field size")))?;
            let bytes = match (field, &column.enc) {
                (None, _) => {
                    out.extend_from_slice(&(-1i32).to_be_bytes());
                    continue;
                }
                (Some(bytes), None) => bytes,
                (Some(bytes), Some(enc)) => {
                    self.seal(around, index, enc, (Format::Binary, bytes))?;
                    &self.record
                }
            };
            let length = u32::try_from(bytes.len()).map_err(|_| self.bad(errors::too_many(), Some(index)))?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Seals a value into `record`.
    fn seal(
        &mut self,
        around: &mut Around<'_>,
        index: usize,
        enc: &Arc<EncType>,
        (format, given): (Format, &[u8]),
    ) -> Result<(), Stuck> {
        if enc.is_array() {
            return self.seal_array(around, index, enc.single(), (format, given));
        }
        self.stored.clear();
        self.record.clear();
        if let Some((_, sealed)) = self.arrays.iter().find(|(column, _)| *column == index) {
            self.record.extend_from_slice(sealed);
            return Ok(());
        }
        let read = value::read(enc.def.plain, 0, None, format, given, &self.portal.settings, &mut self.stored);
        if let Err(fault) = read {
            return Err(self.unfit(index, &fault.into()));
        }
        let stored = std::mem::take(&mut *self.stored);
        let mut record = std::mem::take(&mut self.record);
        let sealed = self.seal_one(around, (index, enc), &stored, &mut record);
        (*self.stored, self.record) = (stored, record);
        if sealed.is_ok() && !enc.promoted.paths.is_empty() {
            self.arrays.push((index, self.record.clone()));
        }
        sealed
    }

    /// Seals the elements of an array into `record`.
    fn seal_array(
        &mut self,
        around: &mut Around<'_>,
        index: usize,
        element: &Arc<EncType>,
        (format, given): (Format, &[u8]),
    ) -> Result<(), Stuck> {
        self.record.clear();
        if let Some((_, sealed)) = self.arrays.iter().find(|(column, _)| *column == index) {
            self.record.extend_from_slice(sealed);
            return Ok(());
        }
        let read = value::read_array(element.def.plain, 0, format, given, &self.portal.settings);
        let array = read.map_err(|fault: ValueError| self.unfit(index, &fault.into()))?;
        let count = array.iter().flatten().count();
        self.keys.reserve(around.ring, index, count * cell::envelopes(element) as usize).map_err(Stuck::Keys)?;
        let mut sealed = Vec::with_capacity(array.len());
        for stored in array.iter() {
            let Some(stored) = stored else {
                sealed.push(None);
                continue;
            };
            let mut record = Vec::new();
            self.seal_one(around, (index, element), stored, &mut record)?;
            sealed.push(Some(record));
        }
        cell::array(element.oid, array.dimensions(), &sealed, &mut self.record);
        self.arrays.push((index, self.record.clone()));
        Ok(())
    }

    /// Seals a value in its stored form.
    fn seal_one(
        &mut self,
        around: &mut Around<'_>,
        (index, enc): (usize, &Arc<EncType>),
        stored: &[u8],
        record: &mut Vec<u8>,
    ) -> Result<(), Stuck> {
        let Some(keyset) = self.keys.of[index] else {
            return Err(self.bad(errors::internal("a column has no keyset"), Some(index)));
        };
        let terms = self.keys.terms(around.ring, index, enc).map_err(Stuck::Keys)?;
        let paths = enc.promoted.paths.iter().map(|path| self.keys.terms_of(around.ring, keyset, &path.ty));
        let paths = paths.collect::<Result<Vec<_>, _>>().map_err(Stuck::Keys)?;
        if !paths.is_empty() {
            self.keys.reserve(around.ring, index, cell::envelopes(enc) as usize).map_err(Stuck::Keys)?;
        }
        let (held, mut missing) = (&mut self.keys, None);
        let mut data = || match held.data(around.ring, index) {
            Ok(key) => key,
            Err(wanted) => {
                missing = Some(wanted);
                None
            }
        };
        let mut keys = SealKeys { terms, paths, data: &mut data };
        let outcome = cell::store(enc, stored, &mut keys, record);
        if let Some(wanted) = missing {
            return Err(Stuck::Keys(wanted));
        }
        outcome.map_err(|fault| self.unfit(index, &fault))?;
        self.sealed.add(keyset);
        around.tally.sealed(enc);
        Ok(())
    }

    /// A value that is not one of its column.
    fn unfit(&self, index: usize, fault: &SealFault) -> Stuck {
        let column = self.portal.prepared.plan.copy_in().and_then(|copy| copy.columns.get(index));
        self.bad(errors::seal(fault, column.map_or("", |c| c.name.as_str())), Some(index))
    }
}

/// A sealed value or an array of such values as text.
fn sealed_text(enc: &EncType, sealed: &[u8], out: &mut Vec<u8>) -> Result<(), Odd> {
    let promoted = &enc.promoted;
    let nested: Vec<u32> = match promoted.paths.is_empty() {
        true => Vec::new(),
        false => promoted.paths.iter().map(|path| path.ty.oid).chain([promoted.row]).collect(),
    };
    if !enc.is_array() {
        return copy::record_text(sealed, &nested, out).map_err(|_| Odd);
    }
    let parts = Parts::parse(sealed).map_err(|_| Odd)?;
    let mut items = parts.items.into_iter();
    parts.dimensions.print(out, |printed| match items.next().flatten() {
        Some(record) => copy::record_text(record, &nested, printed).map(|()| true).map_err(|_| Odd),
        None => Ok(false),
    })
}

/// What was sealed is not in the form it should be.
struct Odd;

fn field(line: &[u8], (start, end, quoted): Place) -> Field<'_> {
    Field { raw: &line[start..end], quoted }
}

/// Keys of the columns at hand.
struct Keys {
    /// Keyset of each encrypted column.
    of: Vec<Option<KeysetId>>,
    /// Keys of terms, by column.
    terms: Vec<Option<Arc<TermKeys>>>,
    /// Keys of the terms of promoted paths.
    paths: Vec<(KeysetId, TypeId, Arc<TermKeys>)>,
    /// Keys to seal with, and for how many values.
    data: Vec<(KeysetId, Arc<DataKey>, u32)>,
    /// How many to ask for next.
    ask: u32,
}

impl Keys {
    fn terms(&mut self, ring: &Ring, index: usize, enc: &EncType) -> Result<Option<Arc<TermKeys>>, Wanted> {
        let Some(keyset) = self.of[index].filter(|_| enc.def.terms != Terms::default()) else { return Ok(None) };
        if self.terms[index].is_none() {
            self.terms[index] = ring.term_keys(keyset, enc.def.id);
        }
        self.terms[index].clone().map(Some).ok_or(Wanted::Terms(keyset, enc.def.id))
    }

    /// Keys of the terms of a promoted path.
    fn terms_of(&mut self, ring: &Ring, keyset: KeysetId, enc: &EncType) -> Result<Arc<TermKeys>, Wanted> {
        if let Some((_, _, keys)) = self.paths.iter().find(|(k, id, _)| *k == keyset && *id == enc.def.id) {
            return Ok(Arc::clone(keys));
        }
        let keys = ring.term_keys(keyset, enc.def.id).ok_or(Wanted::Terms(keyset, enc.def.id))?;
        self.paths.push((keyset, enc.def.id, Arc::clone(&keys)));
        Ok(keys)
    }

    /// Has keys at hand for so many values.
    fn reserve(&mut self, ring: &Ring, index: usize, values: usize) -> Result<(), Wanted> {
        let Some(keyset) = self.of[index] else { return Ok(()) };
        let values = u32::try_from(values).unwrap_or(u32::MAX);
        loop {
            let own = self.data.iter().filter(|(of, ..)| *of == keyset);
            let held = own.fold(0u32, |sum, (_, _, left)| sum.saturating_add(*left));
            if held >= values {
                return Ok(());
            }
            let (key, granted) = ring.data_key(keyset, values - held).ok_or(Wanted::Data(keyset))?;
            self.data.push((keyset, key, granted));
        }
    }

    fn data(&mut self, ring: &Ring, index: usize) -> Result<Option<Arc<DataKey>>, Wanted> {
        let Some(keyset) = self.of[index] else { return Ok(None) };
        let at = match self.data.iter().position(|(of, _, left)| *of == keyset && *left > 0) {
            Some(at) => at,
            None => {
                let (key, granted) = ring.data_key(keyset, self.ask).ok_or(Wanted::Data(keyset))?;
                self.ask = (self.ask * 2).min(MANY);
                self.data.retain(|(of, ..)| *of != keyset);
                self.data.push((keyset, key, granted));
                self.data.len() - 1
            }
        };
        let (_, key, left) = &mut self.data[at];
        *left = left.saturating_sub(1);
        Ok(Some(Arc::clone(key)))
    }
}
