//! The grammar of written dates and times: words in any order that PostgreSQL takes and that mean one thing.

use super::fields::{self, Fields, Half, Written, ZoneField};
use super::zone::{self, Zone};
use crate::wire::value::error::{Result, ValueError};
use crate::wire::value::scan::trim;
use crate::wire::value::settings::DateOrder;

/// What was written.
pub(super) enum Input {
    Infinity,
    MinusInfinity,
    /// 1970-01-01 00:00:00 UTC.
    Epoch,
    Fields(Fields),
}

/// Words that depend on the moment they are read at.
const MOVING: [&str; 5] = ["now", "today", "tomorrow", "yesterday", "allballs"];

/// What is read for.
#[derive(Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub(super) order: DateOrder,
    /// For errors.
    pub(super) type_name: &'a str,
    /// A time of day must be there; a date only in digits, before a blank.
    pub(super) time_only: bool,
}

/// Reads a date, a time, or both.
pub(super) fn read(text: &str, purpose: Purpose<'_>) -> Result<Input> {
    let text = trim(text);
    if let Some(special) = special(text) {
        return Ok(special);
    }
    if MOVING.iter().any(|w| text.split_ascii_whitespace().any(|t| t.eq_ignore_ascii_case(w))) {
        return Err(ValueError::unsupported(
            "a date word that depends on the clock",
            "Write the date itself, or use now() outside the encrypted value.",
        ));
    }
    let mut reader = Reader::new(purpose);
    for word in text.split([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']).filter(|w| !w.is_empty()) {
        reader.word(word)?;
    }
    reader.finish().map(Input::Fields)
}

fn special(text: &str) -> Option<Input> {
    let is = |word| text.eq_ignore_ascii_case(word);
    if is("infinity") {
        Some(Input::Infinity)
    } else if is("-infinity") {
        Some(Input::MinusInfinity)
    } else if is("epoch") {
        Some(Input::Epoch)
    } else {
        None
    }
}

/// Collects the parts.
struct Reader<'a> {
    purpose: Purpose<'a>,
    date: Option<Written>,
    month: Option<i64>,
    day: Option<i64>,
    year: Option<i64>,
    time: Option<[i64; 4]>,
    half: Option<Half>,
    zone: Option<ZoneField>,
    before_christ: Option<bool>,
}

impl<'a> Reader<'a> {
    fn new(purpose: Purpose<'a>) -> Self {
        Reader {
            purpose,
            date: None,
            month: None,
            day: None,
            year: None,
            time: None,
            half: None,
            zone: None,
            before_christ: None,
        }
    }

    fn syntax(&self) -> ValueError {
        ValueError::datetime_syntax(self.purpose.type_name)
            .hint("Dates and times are read in ISO 8601 and in the forms that PostgreSQL prints.")
    }

    /// Sets a part that may stand once only.
    fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
        slot.replace(value).is_none().then_some(())
    }

    fn word(&mut self, word: &'a str) -> Result<()> {
        let taken = match word.as_bytes()[0] {
            b'0'..=b'9' => self.digits(word)?,
            b'+' | b'-' => self.zone(word)?,
            _ => self.letters(word)?,
        };
        taken.ok_or_else(|| self.syntax())
    }

    fn digits(&mut self, word: &'a str) -> Result<Option<()>> {
        if let Some((date, time)) = split_at_t(word) {
            if self.purpose.time_only {
                return Ok(None);
            }
            let Some(written) = self.date_part(date) else { return Ok(None) };
            if Self::once(&mut self.date, written).is_none() {
                return Ok(None);
            }
            return self.clock(time, true);
        }
        if let Some(written) = self.date_part(word) {
            return Ok(Self::once(&mut self.date, written));
        }
        if word.contains(':') {
            return self.clock(word, false);
        }
        Ok(self.bare_number(word.strip_suffix(',').unwrap_or(word)))
    }

    fn date_part(&self, text: &str) -> Option<Written> {
        if text.contains(':') {
            return None;
        }
        let alone = self.date.is_none() && self.month.is_none() && self.time.is_none();
        fields::date(text, self.purpose.order).or_else(|| fields::compact_date(text).filter(|_| alone))
    }

    /// Day or year beside a month's name.
    fn bare_number(&mut self, digits: &str) -> Option<()> {
        let value = fields::number(digits)?;
        match digits.len() {
            1 | 2 => Self::once(&mut self.day, value),
            3..=5 => Self::once(&mut self.year, value),
            _ if self.time.is_some() && self.month.is_some() => Self::once(&mut self.year, value),
            _ => None,
        }
    }

    /// A time of day, with what is attached to it.
    fn clock(&mut self, word: &'a str, compact: bool) -> Result<Option<()>> {
        let end = word.find(|c: char| !matches!(c, '0'..='9' | ':' | '.')).unwrap_or(word.len());
        let (time, rest) = word.split_at(end);
        let Some(time) = fields::time(time, compact) else { return Ok(None) };
        if Self::once(&mut self.time, time).is_none() {
            return Ok(None);
        }
        match rest.as_bytes().first() {
            None => Ok(Some(())),
            Some(b'+' | b'-') => self.zone(rest),
            Some(_) => match half(rest) {
                Some(half) => Ok(Self::once(&mut self.half, half)),
                None => self.zone(rest),
            },
        }
    }

    fn letters(&mut self, word: &'a str) -> Result<Option<()>> {
        if let Some(time) = word.strip_prefix(['T', 't'])
            && self.purpose.time_only
            && time.starts_with(|c: char| c.is_ascii_digit())
        {
            return self.clock(time, true);
        }
        let bare = word.strip_suffix(',').unwrap_or(word);
        if let Some(month) = fields::month(bare).filter(|_| !self.purpose.time_only) {
            return Ok(Self::once(&mut self.month, month));
        }
        if fields::is_weekday(bare) {
            return Ok(Some(()));
        }
        if let Some(half) = half(word) {
            return Ok(Self::once(&mut self.half, half));
        }
        let before_christ = word.eq_ignore_ascii_case("bc");
        if before_christ || word.eq_ignore_ascii_case("ad") {
            return Ok(Self::once(&mut self.before_christ, before_christ));
        }
        if bare.starts_with(|c: char| c.is_ascii_alphabetic()) && bare.contains('-') {
            let written = fields::date(bare, self.purpose.order);
            if let Some(written) = written {
                return Ok(Self::once(&mut self.date, written));
            }
        }
        self.zone(word)
    }

    fn zone(&mut self, word: &'a str) -> Result<Option<()>> {
        let zone = if let Some(offset) = fields::offset(word) {
            ZoneField::Offset(offset?)
        } else if word.eq_ignore_ascii_case("z") || word.eq_ignore_ascii_case("utc") {
            ZoneField::Offset(0)
        } else if zone::abbreviation(word).is_some() {
            ZoneField::Word(word.into())
        } else if word.contains('/') {
            match Zone::find(word) {
                Some(rules) => ZoneField::Named(rules),
                None => return Err(super::unknown_zone()),
            }
        } else {
            return Ok(None);
        };
        Ok(Self::once(&mut self.zone, zone))
    }

    fn finish(self) -> Result<Fields> {
        let date = match (self.date, self.month, self.day, self.year) {
            (Some(date), None, None, None) => Some(date),
            (None, Some(month), Some(day), Some(year)) => Some(Written { year, short_year: false, month, day }),
            (None, None, None, None) => None,
            _ => return Err(self.syntax()),
        };
        if (date.is_none() && self.before_christ.is_some()) || (self.time.is_none() && self.half.is_some()) {
            return Err(self.syntax());
        }
        if self.time.is_none() && (date.is_none() || self.purpose.time_only) {
            return Err(self.syntax());
        }
        Ok(Fields {
            date: date.map(|d| d.civil(self.before_christ.unwrap_or(false))).transpose()?,
            time: self.time.map(|t| fields::of_day(t, self.half)).transpose()?,
            zone: self.zone.unwrap_or(ZoneField::None),
        })
    }
}

fn half(word: &str) -> Option<Half> {
    if word.eq_ignore_ascii_case("am") {
        Some(Half::Am)
    } else if word.eq_ignore_ascii_case("pm") {
        Some(Half::Pm)
    } else {
        None
    }
}

/// ISO 8601's `T` between a date and a time.
fn split_at_t(word: &str) -> Option<(&str, &str)> {
    let (date, time) = word.split_once(['T', 't'])?;
    let fits = date.ends_with(|c: char| c.is_ascii_digit()) && time.starts_with(|c: char| c.is_ascii_digit());
    fits.then_some((date, time))
}
