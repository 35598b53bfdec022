//! Bind of a plan: the client's values are sealed or turned into terms, plain ones go on as they are.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use zeroize::Zeroizing;

use super::audit::Tally;
use super::built::{self, Mark};
use super::cell::{self, SealFault, SealKeys};
use super::choice::Pick;
use super::copy_out;
use super::errors;
use super::exchange::Exchange;
use super::finish::Finished;
use super::formula::{self, Computed};
use super::prepared::{Cell, Checked, Copying, Portal, Prepared};
use super::roles::{Sight, Viewer};
use super::rows;
use super::search::Found;
use crate::crypto::KeysetId;
use crate::crypto::envelope::DataKey;
use crate::crypto::term::TermKeys;
use crate::keys::{KeysError, Ring};
use crate::schema::catalog::{EncType, Terms};
use crate::sql::copy::{Copy, InColumn};
use crate::sql::plan::{Check, OutColumn, Param, Role, Source};
use crate::telemetry::metrics::Spent;
use crate::wire::client::{Bind, BindBuilder};
use crate::wire::copy::Kind;
use crate::wire::error::PgError;
use crate::wire::value::{self, Format, Letters, PlainType};

/// Where parameter values and result formats come from.
pub(super) enum Given<'a> {
    /// The client's Bind.
    Bind(Bind<'a>),
    /// A simple query.
    Simple {
        /// Arguments of EXECUTE.
        values: &'a [Option<Zeroizing<String>>],
        results: Format,
        /// It is FETCH or EXECUTE.
        late: bool,
    },
}

impl Given<'_> {
    fn result_format(&self, prepared: &Prepared, column: usize) -> Format {
        if let Some(copy) = prepared.plan.copy_out() {
            return if copy.dialect.kind == Kind::Binary { Format::Binary } else { Format::Text };
        }
        match self {
            Given::Bind(bind) => format(bind.result_formats.of(column)),
            Given::Simple { results, .. } => *results,
        }
    }
}

fn format(code: i16) -> Format {
    if code == 1 { Format::Binary } else { Format::Text }
}

/// What of the session a Bind depends on.
pub(super) struct Within<'a> {
    pub(super) ring: &'a Ring,
    /// How values are read, and printed later.
    pub(super) settings: Arc<value::Settings>,
    /// The keyset chosen.
    pub(super) pick: &'a Pick,
    /// What searches found.
    pub(super) found: &'a [Found],
    /// What values in JSON begin with, where the statement puts some there.
    pub(super) mark: Option<Mark>,
    /// What the database makes of letters, where it is known.
    pub(super) letters: Option<&'a Arc<Letters>>,
    /// What SHOW tells.
    pub(super) shown: Option<&'a str>,
    /// Who will read the results.
    pub(super) viewer: &'a Viewer,
    /// Where values are counted.
    pub(super) tally: &'a mut Tally,
    /// Where time is counted.
    pub(super) exchange: &'a mut Exchange,
}

/// A parameter's value as the client gave it.
pub(super) struct Raw<'a> {
    pub(super) bytes: Option<&'a [u8]>,
    pub(super) format: Format,
    pub(super) declared: u32,
}

/// Seals and appends Bind; returns the portal and how many values of which keyset were sealed. Nothing is appended on error.
///
/// # Errors
/// What the client is told: a value that is not one of its type, a key that cannot be had.
pub(super) async fn bind(
    within: Within<'_>,
    prepared: &Arc<Prepared>,
    portal: &[u8],
    statement: &[u8],
    given: &Given<'_>,
    out: &mut Vec<u8>,
) -> Result<(Portal, Vec<(KeysetId, u32)>), PgError> {
    let Within { ring, settings, pick, shown, found, mark, letters, viewer, tally, exchange } = within;
    let raws = raw_values(prepared, given, shown)?;
    if let Some(column) = told_in_plain(prepared, &raws) {
        return Err(errors::told_in_plain(column));
    }
    exchange.turn_to(Some(Spent::Keys));
    let keys = Keys::gather(ring, pick, prepared, &raws, &settings).await?;
    exchange.turn_to(Some(Spent::Sealing));
    let mut portal_state = open_portal(prepared, given, &settings, viewer)?;
    portal_state.copy = copying(ring, pick, prepared)?;
    portal_state.held = match &prepared.cursor {
        Some(declared) => declared.held.clone(),
        None => formula::held(prepared, &raws, &settings, letters)?,
    };
    tally.turn_to(prepared.entry.as_ref());
    let checked = &prepared.plan.checks[..];
    let mut work = Work { keys, settings: &settings, tally, scratch: Zeroizing::default(), checked, terms: Vec::new() };
    let formats = prepared.plan.params.iter().zip(&raws).map(|(param, raw)| match param.role {
        Role::Plain => i16::from(raw.format == Format::Binary),
        Role::Shown(_) => 0,
        _ => 1,
    });
    let mut builder = BindBuilder::new(out, portal, statement, formats).map_err(|_| errors::too_many())?;
    for (index, (param, raw)) in prepared.plan.params.iter().zip(&raws).enumerate() {
        match (&param.role, raw.bytes) {
            (Role::Test(test), bytes) => {
                builder.params().value(test.of(bytes).map(|outcome| if outcome { &[1u8][..] } else { &[0u8][..] }));
            }
            (Role::Pattern(_) | Role::Patterns(_) | Role::Given(..) | Role::Held(_), _) => {
                builder.params().value(None);
            }
            (Role::Tokens(n), _) => builder.params().value(found.get(*n).and_then(|f| f.tokens.as_deref())),
            (Role::Matching(n), _) => builder.params().value(found.get(*n).and_then(|f| f.matching.as_deref())),
            (Role::Mark, _) => builder.params().value(mark.as_ref().map(|mark| &mark[..])),
            (Role::Others(n), _) => builder.params().value(found.get(*n).and_then(|f| f.others.as_deref())),
            (_, None) => builder.params().value(None),
            (_, Some(bytes)) => builder.params().value_with(|out| work.value(index, param, raw, bytes, out))?,
        }
    }
    let result = portal_state.cells.iter().enumerate();
    let result = result.map(|(i, c)| rows::server_format(c, given.result_format(prepared, i)));
    builder.finish(result).map_err(|_| errors::too_many())?;
    portal_state.checks = match &prepared.cursor {
        Some(declared) => Arc::clone(&declared.checks),
        None => work.checks(prepared),
    };
    Ok((portal_state, work.keys.stored))
}

pub(super) fn raw_values<'a>(
    prepared: &'a Prepared,
    given: &'a Given<'_>,
    shown: Option<&'a str>,
) -> Result<Vec<Raw<'a>>, PgError> {
    let texts = |values: &'a [Option<Zeroizing<String>>]| -> Vec<Option<&'a [u8]>> {
        values.iter().map(|v| v.as_ref().map(|v| v.as_bytes())).collect()
    };
    let values = match (given, &prepared.runs) {
        (Given::Bind(bind), Some(_)) if !bind.params.is_empty() => {
            return Err(errors::parameter_count(bind.params.len(), 0));
        }
        (_, Some(runs)) => texts(&runs.arguments),
        (Given::Bind(bind), None) => bind.params.iter().collect(),
        (Given::Simple { values, .. }, None) => texts(values),
    };
    if values.len() != prepared.plan.client_params {
        return Err(errors::parameter_count(values.len(), prepared.plan.client_params));
    }
    let one = |(param, literal): (&Param, &'a Option<Zeroizing<String>>)| match (param.source, given) {
        (Source::Client(n), Given::Bind(bind)) if prepared.runs.is_none() => {
            Raw { bytes: values[n], format: format(bind.formats.of(n)), declared: prepared.declared(n) }
        }
        (Source::Search, _) => Raw { bytes: None, format: Format::Binary, declared: 0 },
        (Source::Shown, _) => Raw { bytes: shown.map(str::as_bytes), format: Format::Text, declared: 0 },
        (Source::Client(n), _) => Raw { bytes: values[n], format: Format::Text, declared: prepared.declared(n) },
        (Source::Literal(_) | Source::Negated(_) | Source::Bool(_), _) => {
            Raw { bytes: literal.as_ref().map(|text| text.as_bytes()), format: Format::Text, declared: 0 }
        }
    };
    Ok(prepared.plan.params.iter().zip(&prepared.literals).map(one).collect())
}

/// The type that an operand is read as: that of the comparison PostgreSQL would make.
fn operand_type(enc: &EncType, cast: Option<u32>, declared: u32, listed: bool) -> PlainType {
    let own = enc.def.plain.compared();
    let int = |plain: PlainType| matches!(plain, PlainType::Int2 | PlainType::Int4 | PlainType::Int8);
    let given = cast.or(Some(declared)).and_then(PlainType::from_oid);
    match (own, given) {
        // Integers of any size are compared as they are.
        (own, Some(given)) if int(own) && int(given) => PlainType::Int8,
        // PostgreSQL takes the operator of text: blanks at the operand's end count, and no stored value has any. A list is of
        // the column's type.
        (PlainType::Bpchar, Some(PlainType::Text)) if !listed => PlainType::Text,
        (own, _) => own,
    }
}

/// The column of a sealed text whose value is also bound where it is sent in plain and belongs to no column.
fn told_in_plain<'p>(prepared: &'p Prepared, raws: &[Raw<'_>]) -> Option<&'p str> {
    /// `text` and `varchar`.
    const TEXT: [u32; 2] = [25, 1043];
    let plan = &prepared.plan;
    if plan.loose.params.is_empty() {
        return None;
    }
    let told = plan.confirmed.get().map_or(&[][..], |c| &c.client_param_oids);
    let is_text =
        |p: &Param| matches!(p.source, Source::Client(n) if told.get(n).is_some_and(|oid| TEXT.contains(oid)));
    let is_loose =
        |p: &Param| matches!((&p.role, p.source), (Role::Plain, Source::Client(n)) if plan.loose.params.contains(&n));
    let pairs = || plan.params.iter().zip(raws).filter(|(p, _)| is_text(p));
    let mut values = pairs().filter(|(p, _)| is_loose(p)).filter_map(|(_, raw)| raw.bytes).filter(|v| !v.is_empty());
    let sealed = |value: &[u8]| pairs().find(|(p, raw)| p.role.holds() && raw.bytes == Some(value));
    values.find_map(sealed).map(|(p, _)| p.column.as_str())
}

/// How the role sees values of a type.
pub(super) fn sight(viewer: &Viewer, enc: &EncType, column: &str) -> Result<Sight, PgError> {
    viewer.rule.sight(enc).ok_or_else(|| errors::unreadable_for(&viewer.role, column, enc.known_name()))
}

fn open_portal(
    prepared: &Arc<Prepared>,
    given: &Given<'_>,
    settings: &Arc<value::Settings>,
    viewer: &Viewer,
) -> Result<Portal, PgError> {
    let columns = prepared.plan.returned().unwrap_or_default();
    // As of every statement without result columns, formats of COPY mean nothing.
    if let Given::Bind(bind) = given
        && prepared.plan.copy.is_none()
        && !bind.result_formats.fits(columns.len())
    {
        return Err(errors::format_count(bind.result_formats.len(), columns.len()));
    }
    let values = built::values(&prepared.plan, viewer)?;
    let cells = columns.iter().enumerate().map(|(i, column)| match column {
        OutColumn::Plain => Ok(Cell::Plain),
        OutColumn::Built(column) => Ok(Cell::Built {
            values: Arc::clone(&values),
            quoted: true,
            settings: Arc::new(built::settings(settings)),
            column: column.clone(),
        }),
        OutColumn::Joined(column) => Ok(Cell::Built {
            values: Arc::clone(&values),
            quoted: false,
            settings: Arc::clone(settings),
            column: column.clone(),
        }),
        OutColumn::Computed(formula) => {
            Computed::seen_by(viewer, formula, given.result_format(prepared, i)).map(Cell::Computed)
        }
        OutColumn::Finished(finish) => {
            Finished::seen_by(viewer, finish, given.result_format(prepared, i)).map(Cell::Finished)
        }
        OutColumn::Envelope(enc, name) | OutColumn::Composite(enc, name) => Ok(Cell::Sealed {
            enc: Arc::clone(enc),
            sight: sight(viewer, enc, name)?,
            composite: matches!(column, OutColumn::Composite(..)),
            format: given.result_format(prepared, i),
            column: name.clone(),
        }),
    });
    let cells = cells.collect::<Result<_, PgError>>()?;
    let mut row_description = None;
    if let Some(body) = prepared.plan.row_description() {
        let formats: Vec<i16> =
            (0..columns.len()).map(|i| i16::from(given.result_format(prepared, i) == Format::Binary)).collect();
        let mut message = Vec::new();
        rows::describe(body, Some(&formats), &mut message).map_err(|_| errors::too_many())?;
        row_description = Some(message);
    }
    Ok(Portal {
        prepared: Arc::clone(prepared),
        cells,
        copy: None,
        row_description,
        settings: Arc::clone(settings),
        checks: Arc::default(),
        held: None,
        late: matches!(given, Given::Simple { late: true, .. }),
        rows: AtomicU64::new(0),
    })
}

/// What a COPY needs besides.
fn copying(ring: &Ring, pick: &Pick, prepared: &Prepared) -> Result<Option<Copying>, PgError> {
    match &prepared.plan.copy {
        None => Ok(None),
        Some(Copy::Out(copy)) => copy_out::printer(copy, prepared).map(|printer| Some(Copying::Out(printer))),
        Some(Copy::In(copy)) => {
            let keyset = |column: &InColumn| match column.enc.as_ref().map(|enc| enc.def.keyset) {
                Some(None) => pick.keyset(ring, &format!("{}.{}", copy.table, column.name)).map(Some),
                pinned => Ok(pinned.flatten()),
            };
            Ok(Some(Copying::In(copy.columns.iter().map(keyset).collect::<Result<_, PgError>>()?)))
        }
    }
}

/// The keys of a type's terms. `column`: for which column.
pub(super) async fn term_keys(
    ring: &Ring,
    keyset: KeysetId,
    enc: &EncType,
    column: &str,
) -> Result<Arc<TermKeys>, PgError> {
    match ring.term_keys(keyset, enc.def.id) {
        Some(keys) => Ok(keys),
        None => ring.fetch_term_keys(keyset, enc.def.id).await.map_err(|e| errors::keys(&e, column)),
    }
}

/// Keys for all values of one Bind, had before the first value is sealed.
struct Keys {
    terms: Vec<(crate::crypto::TypeId, Arc<TermKeys>)>,
    data: Vec<(KeysetId, Arc<DataKey>, u32)>,
    /// How many values are to be sealed.
    stored: Vec<(KeysetId, u32)>,
    chosen: Option<KeysetId>,
}

impl Keys {
    async fn gather(
        ring: &Ring,
        pick: &Pick,
        prepared: &Prepared,
        raws: &[Raw<'_>],
        settings: &value::Settings,
    ) -> Result<Keys, PgError> {
        let mut keys = Keys { terms: Vec::new(), data: Vec::new(), stored: Vec::new(), chosen: None };
        let mut envelopes = Vec::new();
        let count = |of: &mut Vec<(KeysetId, u32)>, keyset, more: u32| match of.iter_mut().find(|(k, _)| *k == keyset) {
            Some((_, n)) => *n += more,
            None => of.push((keyset, more)),
        };
        for (param, raw) in prepared.plan.params.iter().zip(raws) {
            let (Role::Store(enc) | Role::Equal(enc) | Role::EqualArray(enc)) = &param.role else { continue };
            let enc = enc.single();
            let Some(bytes) = raw.bytes else { continue };
            let keyset = match enc.def.keyset.or(keys.chosen) {
                Some(keyset) => keyset,
                None => *keys.chosen.insert(pick.keyset(ring, &param.column)?),
            };
            let stores = matches!(param.role, Role::Store(_));
            for of in enc.sealed_with().take(if stores { usize::MAX } else { 1 }) {
                if of.def.terms != Terms::default() && keys.terms(of).is_none() {
                    keys.terms.push((of.def.id, term_keys(ring, keyset, of, &param.column).await?));
                }
            }
            let stored = match &param.role {
                Role::Store(of) if of.is_array() => {
                    let array = elements(enc, param, raw, bytes, settings);
                    array.map_err(|e| errors::seal(&e.into(), &param.column))?.iter().flatten().count() as u32
                }
                Role::Store(_) => 1,
                _ => continue,
            };
            count(&mut keys.stored, keyset, stored);
            count(&mut envelopes, keyset, stored.saturating_mul(cell::envelopes(enc)));
        }
        for (keyset, n) in &envelopes {
            keys.take(ring, *keyset, *n).await.map_err(|e| errors::keys(&e, ""))?;
        }
        Ok(keys)
    }

    async fn take(&mut self, ring: &Ring, keyset: KeysetId, mut n: u32) -> Result<(), KeysError> {
        while n > 0 {
            match ring.data_key(keyset, n) {
                Some((key, granted)) => {
                    let granted = granted.min(n);
                    self.data.push((keyset, key, granted));
                    n -= granted;
                }
                None => ring.ready(keyset).await?,
            }
        }
        Ok(())
    }

    fn data_key(&mut self, enc: &EncType) -> Option<Arc<DataKey>> {
        let keyset = enc.def.keyset.or(self.chosen)?;
        let (_, key, left) = self.data.iter_mut().find(|(k, _, left)| *k == keyset && *left > 0)?;
        *left -= 1;
        Some(Arc::clone(key))
    }

    fn terms(&self, enc: &EncType) -> Option<&Arc<TermKeys>> {
        self.terms.iter().find(|(id, _)| *id == enc.def.id).map(|(_, keys)| keys)
    }
}

struct Work<'a> {
    keys: Keys,
    settings: &'a value::Settings,
    tally: &'a mut Tally,
    scratch: Zeroizing<Vec<u8>>,
    /// Columns that must equal an operand.
    checked: &'a [Check],
    /// Terms of their operands, by parameter.
    terms: Vec<(usize, Box<[u8]>)>,
}

impl Work<'_> {
    fn checks(&self, prepared: &Prepared) -> Arc<[Checked]> {
        let one = |check: &Check| {
            let (_, term) = self.terms.iter().find(|(param, _)| *param == check.param)?;
            let enc = prepared.plan.params.get(check.param)?.role.enc()?;
            let keys = Arc::clone(self.keys.terms(enc)?);
            let keyset = enc.def.keyset.or(self.keys.chosen)?;
            Some(Checked { column: check.column, term: term.clone(), keyset, keys })
        };
        prepared.plan.checks.iter().filter_map(one).collect()
    }

    fn value(
        &mut self,
        index: usize,
        param: &Param,
        raw: &Raw<'_>,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), PgError> {
        let outcome = match &param.role {
            // Tests are bound by themselves.
            Role::Plain | Role::Test(_) | Role::Shown(_) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Role::Store(enc) if enc.is_array() => self.store_array(enc.single(), param, raw, bytes, out),
            Role::Store(enc) => self.store(enc, param, raw, bytes, out),
            Role::Equal(enc) => self.equal(index, enc, param, raw, bytes, out),
            Role::EqualArray(enc) => self.equal_array(enc, param, raw, bytes, out),
            // Bound by themselves.
            Role::Pattern(_) | Role::Patterns(_) | Role::Tokens(_) | Role::Matching(_) | Role::Others(_) => Ok(()),
            Role::Given(..) | Role::Held(_) | Role::Mark => Ok(()),
        };
        outcome.map_err(|fault| errors::seal(&fault, &param.column))
    }

    fn store(
        &mut self,
        enc: &Arc<EncType>,
        param: &Param,
        raw: &Raw<'_>,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealFault> {
        self.scratch.clear();
        let plain = enc.def.plain;
        value::read(plain, raw.declared, param.cast, raw.format, bytes, self.settings, &mut self.scratch)?;
        self.fit(param)?;
        let scratch = std::mem::take(&mut self.scratch);
        let outcome = self.seal(enc, &scratch, out);
        self.scratch = scratch;
        outcome
    }

    /// Appends a value in its stored form, sealed.
    fn seal(&mut self, enc: &Arc<EncType>, stored: &[u8], out: &mut Vec<u8>) -> Result<(), SealFault> {
        let terms = self.keys.terms(enc).map(Arc::clone);
        let paths = enc.promoted.paths.iter().filter_map(|path| self.keys.terms(&path.ty).map(Arc::clone)).collect();
        let mut keys = SealKeys { terms, paths, data: &mut || self.keys.data_key(enc) };
        let outcome = cell::store(enc, stored, &mut keys, out);
        self.tally.sealed(enc);
        outcome
    }

    fn store_array(
        &mut self,
        enc: &Arc<EncType>,
        param: &Param,
        raw: &Raw<'_>,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealFault> {
        let array = elements(enc, param, raw, bytes, self.settings)?;
        let mut one = |stored: &[u8]| {
            let mut composite = Vec::new();
            self.seal(enc, stored, &mut composite).map(|()| composite)
        };
        let sealed = array.iter().map(|element| element.map(&mut one).transpose());
        let sealed = sealed.collect::<Result<Vec<_>, _>>()?;
        cell::array(enc.oid, array.dimensions(), &sealed, out);
        Ok(())
    }

    /// Rounds the value in `scratch` where a cast says so. Only a numeric's has digits.
    fn fit(&mut self, param: &Param) -> Result<(), SealFault> {
        Ok(param.digits.map_or(Ok(()), |digits| value::fit_numeric(&mut self.scratch, digits))?)
    }

    fn equal(
        &mut self,
        index: usize,
        enc: &Arc<EncType>,
        param: &Param,
        raw: &Raw<'_>,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealFault> {
        self.scratch.clear();
        let plain = operand_type(enc, param.cast, raw.declared, param.listed);
        value::read_operand(plain, raw.declared, param.cast, raw.format, bytes, self.settings, &mut self.scratch)?;
        self.fit(param)?;
        let keys = self.keys.terms(enc).ok_or(SealFault::Terms)?;
        let start = out.len();
        cell::operand(enc, plain, &self.scratch, keys, out)?;
        if self.checked.iter().any(|check| check.param == index) {
            self.terms.push((index, out[start..].into()));
        }
        self.tally.searched(enc, 1);
        Ok(())
    }

    fn equal_array(
        &mut self,
        enc: &Arc<EncType>,
        param: &Param,
        raw: &Raw<'_>,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), SealFault> {
        let keys = self.keys.terms(enc).ok_or(SealFault::Terms)?;
        let plain = operand_type(enc, None, PlainType::element_of(raw.declared), param.listed);
        let array = value::read_array(plain, raw.declared, raw.format, bytes, self.settings)?;
        let one = |stored: &[u8]| {
            let mut term = Vec::new();
            cell::operand(enc, plain, stored, keys, &mut term).map(|()| term)
        };
        let term = |element: Option<&[u8]>| element.map(one).transpose();
        let terms = array.iter().map(term).collect::<Result<Vec<_>, _>>()?;
        self.tally.searched(enc, terms.len());
        cell::array(enc.def.terms.compared().1, array.dimensions(), &terms, out);
        Ok(())
    }
}

/// The elements of an array of values to store. What its type cannot hold exactly is an error.
fn elements(
    enc: &EncType,
    param: &Param,
    raw: &Raw<'_>,
    bytes: &[u8],
    settings: &value::Settings,
) -> Result<value::Array, value::ValueError> {
    let declared = if raw.declared == 0 { param.cast.unwrap_or(0) } else { raw.declared };
    value::read_array(enc.def.plain, declared, raw.format, bytes, settings)
}
