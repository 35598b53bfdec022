//! Aggregates that the proxy computes: the values of a group are opened one after another and taken together.
//!
//! A group may be long: it is gone through in parts, between which others have their turn, and what was reached is kept while
//! keys are fetched.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::errors;
use super::formula;
use super::roles::{Sight, Viewer};
use super::rows::{FETCH_MAX, Missing, Opener, RowFault, Seen, key_for};
use super::seal;
use super::state::State;
use crate::crypto::envelope::Header;
use crate::keys::Ring;
use crate::sql::plan::{Finish, Of, Then};
use crate::wire::error::PgError;
use crate::wire::sqlstate::SqlState;
use crate::wire::value::{self, Elements, Format, Means, Running, ValueError};

/// Values that are opened before others have their turn.
const PART: usize = 4_096;

/// Values that are looked at for the keys that they need.
const AHEAD: usize = 16_384;

/// OID of `bytea`.
const BYTEA: u32 = 17;

/// How an aggregate reaches the client.
pub(super) struct Finished {
    pub(super) finish: Arc<Finish>,
    /// By value of a row; `None` of plain ones.
    sights: Box<[Option<Sight>]>,
    /// The format that the client asked for.
    pub(super) format: Format,
}

impl Finished {
    /// As this role may see it.
    pub(super) fn seen_by(viewer: &Viewer, finish: &Arc<Finish>, format: Format) -> Result<Finished, PgError> {
        let sights = match &finish.of {
            Of::Value(enc) => [Some(seal::sight(viewer, enc, &finish.column)?)].into(),
            Of::Formula(formula) => formula::sights(viewer, formula)?,
        };
        Ok(Finished { finish: Arc::clone(finish), sights, format })
    }

    /// The next row of a group; what the role does not see as it is, is NULL. `None`: there is no other.
    fn next<'g>(
        &self,
        elements: &mut Elements,
        group: &'g [u8],
        row: &mut Vec<Option<&'g [u8]>>,
    ) -> Result<Option<()>, ValueError> {
        row.clear();
        for sight in &self.sights {
            let Some(item) = elements.next(group)? else {
                return if row.is_empty() { Ok(None) } else { Err(ValueError::short()) };
            };
            row.push(item.filter(|_| sight.is_none_or(|sight| sight == Sight::Whole)));
        }
        Ok(Some(()))
    }
}

/// Aggregates of the row at hand, as far as they are computed.
#[derive(Default)]
pub(super) struct Progress {
    done: Vec<Done>,
    now: Option<Now>,
    /// Something was reached since this was last asked.
    moved: bool,
}

/// One that is computed. `None`: it is NULL.
struct Done {
    index: usize,
    opened: Box<[u64]>,
    value: Option<Zeroizing<Vec<u8>>>,
}

/// One that is being computed.
struct Now {
    index: usize,
    /// By value of a row.
    opened: Box<[u64]>,
    elements: Elements,
    running: Running,
}

impl Progress {
    /// The row is done, or refused.
    pub(super) fn clear(&mut self) {
        self.done.clear();
        self.now = None;
    }

    /// Something was reached since this was last asked.
    pub(super) fn moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }
}

impl Opener<'_> {
    /// Opens the values of a group and computes what the client is to read of them; `plaintext` is then its stored form.
    pub(super) fn finished(
        &mut self,
        (index, cell): (usize, &Finished),
        group: Option<&[u8]>,
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Seen, RowFault> {
        let Some(group) = group else { return Ok(Seen::Null) };
        let known = self.state.progress.done.iter().position(|done| done.index == index);
        let known = match known {
            Some(known) => known,
            None => {
                let done = self.computed((index, cell), group, plaintext)?;
                self.state.progress.done.push(done);
                self.state.progress.done.len() - 1
            }
        };
        let done = &self.state.progress.done[known];
        let counts = done.opened.iter().zip(&cell.sights).filter(|(_, sight)| sight.is_some());
        for ((enc, _), (count, _)) in cell.finish.sealed().zip(counts) {
            self.state.tally.opened_many(enc, *count);
        }
        plaintext.clear();
        match &done.value {
            None => Ok(Seen::Null),
            Some(value) => {
                plaintext.extend_from_slice(value);
                Ok(Seen::Opened)
            }
        }
    }

    fn computed(
        &mut self,
        (index, cell): (usize, &Finished),
        group: &[u8],
        plaintext: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Done, RowFault> {
        let (row, column) = (self.row, cell.finish.column.as_str());
        let fault = |fault: ValueError| RowFault::from(errors::unprintable(&fault, column, row));
        let unreadable = |_| RowFault::from(errors::unreadable(column, row));
        let mut now = match self.state.progress.now.take() {
            Some(now) if now.index == index => now,
            _ => {
                let (element, elements) = Elements::of(group).map_err(unreadable)?;
                if element != BYTEA {
                    return Err(errors::unreadable(column, row).into());
                }
                Now {
                    index,
                    opened: cell.sights.iter().map(|_| 0).collect(),
                    elements,
                    running: cell.finish.aggregate.begin(),
                }
            }
        };
        let (mut left, mut items) = (PART, Vec::with_capacity(cell.sights.len()));
        loop {
            let before = now.elements;
            if cell.next(&mut now.elements, group, &mut items).map_err(unreadable)?.is_none() {
                break;
            }
            // To a role that sees NULL in place of each value, it is an aggregate of NULLs.
            if items.iter().all(Option::is_none) && matches!(cell.finish.of, Of::Value(_)) {
                continue;
            }
            let outcome = match (&cell.finish.of, left) {
                (_, 0) => Err(RowFault::Pause),
                (Of::Value(enc), _) => self.open_one((enc, column), items[0], plaintext).map(|_| true),
                (Of::Formula(formula), _) => {
                    self.computed_of(formula, (&cell.sights, &items), false, plaintext).map(|result| {
                        let known = result.is_some();
                        result.into_iter().for_each(|value| *plaintext = value);
                        known
                    })
                }
            };
            let known = match outcome {
                Ok(known) => known,
                Err(stop) => {
                    now.elements = before;
                    self.state.progress.moved |= left < PART;
                    self.state.progress.now = Some(now);
                    return Err(stop);
                }
            };
            left -= 1;
            for (count, item) in now.opened.iter_mut().zip(&items) {
                *count += u64::from(item.is_some());
            }
            if known {
                now.running.add(plaintext).map_err(fault)?;
            }
        }
        let value = concluded(&cell.finish, &now.running, &self.portal.settings).map_err(fault)?;
        Ok(Done { index, opened: now.opened, value })
    }

    /// Appends an aggregate as the client reads it.
    pub(super) fn print_finished(
        &self,
        cell: &Finished,
        plaintext: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        value::write(cell.finish.result(), plaintext, cell.format, &self.portal.settings, out)
    }
}

/// The result in its stored form, with what follows the aggregate. `None`: it is NULL.
fn concluded(
    finish: &Finish,
    running: &Running,
    settings: &value::Settings,
) -> Result<Option<Zeroizing<Vec<u8>>>, ValueError> {
    let mut value = Zeroizing::new(Vec::new());
    let mut known = running.finish(settings, &mut value)?;
    let mut plain = finish.given();
    for then in &finish.then {
        match then {
            Then::Cast(to) => {
                if known {
                    let mut cast = Zeroizing::new(Vec::new());
                    value::cast(plain, *to, &value, settings, &mut cast)?;
                    value = cast;
                }
                plain = *to;
            }
            Then::Fit(digits) if known => value::fit_numeric(&mut value, *digits)?,
            Then::Call(function, argument) if known => {
                let argument = argument.map(i32::to_be_bytes);
                let arguments: Vec<&[u8]> =
                    std::iter::once(&value[..]).chain(argument.iter().map(|bytes| &bytes[..])).collect();
                let mut result = Zeroizing::new(Vec::new());
                known = function.apply(plain, &arguments, Means { settings, letters: None }, &mut result)?;
                value = result;
            }
            Then::Fit(_) | Then::Call(..) => {}
            Then::Otherwise(other) if !known => {
                value.extend_from_slice(other);
                known = true;
            }
            Then::Otherwise(_) => {}
        }
    }
    Ok(known.then_some(value))
}

/// A group whose values are more than may be taken together. `most`: bytes.
pub(super) fn too_much(most: usize) -> PgError {
    let message = format!("the values of an aggregate take more than the {} MiB allowed", most >> 20);
    PgError::error(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
        .hint("This limit is the proxy's: [server] max_aggregate_mib. Smaller groups, by GROUP BY or WHERE, take less.")
}

/// Adds the keys that the next values of an aggregate need and that are not at hand.
pub(super) fn missing(
    state: &mut State,
    ring: &Ring,
    (index, finished): (usize, &Finished),
    group: &[u8],
    wanted: &mut Vec<Missing>,
) {
    if state.progress.done.iter().any(|done| done.index == index) {
        return;
    }
    let reached = state.progress.now.as_ref().filter(|now| now.index == index).map(|now| now.elements);
    let Some(mut elements) = reached.or_else(|| Some(Elements::of(group).ok()?.1)) else { return };
    let mut last = None;
    for sight in finished.sights.iter().cycle().take(AHEAD) {
        let Ok(Some(item)) = elements.next(group) else { return };
        let item = item.filter(|_| *sight == Some(Sight::Whole));
        let Some(header) = item.and_then(|item| Header::parse(item).ok()) else { continue };
        let name = (header.kref, header.key_id);
        if last == Some(name) || wanted.contains(&name) {
            continue;
        }
        last = Some(name);
        if key_for(state, ring, name.0, name.1).is_none() {
            if wanted.len() == FETCH_MAX {
                return;
            }
            wanted.push(name);
        }
    }
}
