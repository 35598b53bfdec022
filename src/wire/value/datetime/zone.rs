//! The session's time zone: named zones from the embedded time zone database, and POSIX forms as PostgreSQL
//! reports them (`<+02>-02`).

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use super::calendar::UNIX_EPOCH;
use crate::wire::value::error::{INVALID_PARAMETER_VALUE, Result, ValueError};

/// Seconds of 400 years: rules of the far future repeat so.
const CYCLE: i64 = 146_097 * 86_400;
/// 9000-01-01 UTC in Unix seconds; within what the database crate can hold.
const FAR: i64 = 221_845_392_000;

/// A time zone by name. One that is not known makes an error when it is used.
#[derive(Clone, Debug)]
pub struct Zone {
    rules: Option<Rules>,
}

#[derive(Clone, Debug)]
enum Rules {
    Changing(TimeZone),
    /// An offset by itself, as `SET TIME ZONE -3.5` makes it: `<-03:30>+03:30`.
    Fixed(Local),
}

/// Offset and abbreviation at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    /// Seconds east of UTC.
    pub(crate) offset: i32,
    abbreviation: [u8; 16],
    len: u8,
}

impl Local {
    fn new(offset: i32, name: &[u8]) -> Local {
        let len = name.len().min(10);
        let mut abbreviation = [0; 16];
        abbreviation[..len].copy_from_slice(&name[..len]);
        Local { offset, abbreviation, len: len as u8 }
    }

    pub(crate) fn abbreviation(&self) -> &[u8] {
        &self.abbreviation[..usize::from(self.len)]
    }
}

fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

/// A moment that the database crate can hold and where the same rules hold.
fn representative(unix: i64) -> Timestamp {
    let near = if unix > FAR { FAR - CYCLE + (unix - FAR).rem_euclid(CYCLE) } else { unix };
    Timestamp::from_second(near).unwrap_or(Timestamp::MIN)
}

impl Zone {
    /// The zone of this name, as `TimeZone` reports it. Looks it up once; clones are cheap.
    pub fn named(name: &str) -> Zone {
        let rules = Zone::find(name).or_else(|| TimeZone::posix(name).ok()).map(Rules::Changing);
        Zone { rules: rules.or_else(|| fixed(name).map(Rules::Fixed)) }
    }

    /// A zone of the database; not POSIX forms.
    pub(crate) fn find(name: &str) -> Option<TimeZone> {
        database().get(name).ok().filter(|zone| !zone.is_unknown())
    }

    /// A zone given by its rules.
    pub(crate) fn of(rules: TimeZone) -> Zone {
        Zone { rules: Some(Rules::Changing(rules)) }
    }

    fn rules(&self) -> Result<&Rules> {
        self.rules.as_ref().ok_or_else(|| {
            ValueError::new(INVALID_PARAMETER_VALUE, "the session's time zone is not known to the proxy")
                .hint("Set TimeZone to a name of the IANA time zone database.")
        })
    }

    /// Seconds east of UTC at a moment, in seconds since 2000-01-01 UTC.
    pub(crate) fn offset_at(&self, seconds: i64) -> Result<i32> {
        Ok(match self.rules()? {
            Rules::Changing(zone) => zone.to_offset(representative(seconds + UNIX_EPOCH)).seconds(),
            Rules::Fixed(local) => local.offset,
        })
    }

    /// Offset and abbreviation at a moment, in seconds since 2000-01-01 UTC.
    pub(crate) fn at(&self, seconds: i64) -> Result<Local> {
        Ok(match self.rules()? {
            Rules::Changing(zone) => {
                let info = zone.to_offset_info(representative(seconds + UNIX_EPOCH));
                Local::new(info.offset().seconds(), info.abbreviation().as_bytes())
            }
            Rules::Fixed(local) => *local,
        })
    }

    /// Seconds east of UTC for a local time, in seconds since 2000-01-01 on the local clock. In a gap the offset
    /// before it, in a fold the one after it, as PostgreSQL chooses.
    pub(crate) fn offset_of_local(&self, seconds: i64) -> Result<i32> {
        let zone = match self.rules()? {
            Rules::Changing(zone) => zone,
            Rules::Fixed(local) => return Ok(local.offset),
        };
        let clock = Offset::UTC.to_datetime(representative(seconds + UNIX_EPOCH));
        let offset = match zone.to_ambiguous_timestamp(clock).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } => after,
        };
        Ok(offset.seconds())
    }

    /// The offset, where it is the same for days around now; `None` near a change.
    pub(crate) fn steady_offset(&self) -> Result<Option<i32>> {
        let now = Timestamp::now().as_second() - UNIX_EPOCH;
        let offset = self.offset_at(now)?;
        let steady = self.offset_at(now - 7 * 86_400)? == offset && self.offset_at(now + 86_400)? == offset;
        Ok(steady.then_some(offset))
    }
}

/// `<name>` and an offset with its sign the POSIX way round: positive west of UTC.
fn fixed(text: &str) -> Option<Local> {
    let (name, offset) = text.strip_prefix('<')?.split_once('>')?;
    let signed = if offset.starts_with(['+', '-']) { offset.to_owned() } else { format!("+{offset}") };
    let west = super::fields::offset(&signed)?.ok()?;
    Some(Local::new(-west, name.as_bytes()))
}

/// How an abbreviation in a date is read.
pub(crate) enum Abbreviation {
    /// Seconds east of UTC.
    Fixed(i32),
    /// By the zone that uses it.
    Of(&'static str),
}

/// Abbreviations of PostgreSQL's default set (`timezone_abbreviations = Default`) that zones still use.
#[rustfmt::skip]
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("UTC", 0), ("GMT", 0), ("Z", 0), ("UT", 0), ("UCT", 0), ("ZULU", 0), ("WET", 0),
    ("EST", -18000), ("EDT", -14400), ("CST", -21600), ("CDT", -18000), ("MST", -25200), ("MDT", -21600),
    ("PST", -28800), ("PDT", -25200), ("AKST", -32400), ("AKDT", -28800), ("HST", -36000),
    ("AST", -14400), ("ADT", -10800), ("NST", -12600), ("NDT", -9000),
    ("BST", 3600), ("CET", 3600), ("CEST", 7200), ("MET", 3600), ("MEST", 7200), ("EET", 7200), ("EEST", 10800), ("MSD", 14400),
    ("EAT", 10800), ("SAST", 7200), ("WAT", 3600), ("IST", 7200), ("IDT", 10800), ("PKT", 18000),
    ("HKT", 28800), ("JST", 32400), ("KST", 32400), ("AWST", 28800), ("ACST", 34200), ("ACDT", 37800),
    ("AEST", 36000), ("AEDT", 39600), ("NZST", 43200), ("NZDT", 46800),
];

/// Looks an abbreviation up, in any case.
pub(crate) fn abbreviation(word: &str) -> Option<Abbreviation> {
    if word.eq_ignore_ascii_case("MSK") {
        return Some(Abbreviation::Of("Europe/Moscow"));
    }
    ABBREVIATIONS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, offset)| Abbreviation::Fixed(*offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_posix_and_unknown_zones() {
        assert_eq!(Zone::named("UTC").offset_at(0).ok(), Some(0));
        assert_eq!(Zone::named("europe/berlin").offset_at(0).ok(), Some(3600));
        assert_eq!(Zone::named("<+02>-02").offset_at(0).ok(), Some(7200));
        assert_eq!(Zone::named("<-03:30>+03:30").offset_at(0).ok(), Some(-12600));
        for name in ["", "Middle/Earth", "Etc/Unknown", "../../etc/passwd", "\u{0}"] {
            assert!(Zone::named(name).offset_at(0).is_err(), "{name}");
        }
    }

    #[test]
    fn gaps_and_folds() {
        let zone = Zone::named("America/New_York");
        let local = |y, m, d, h: i64, min: i64| {
            let days = super::super::calendar::Civil::new(y, m, d).expect("a day").days();
            zone.offset_of_local(days * 86_400 + h * 3600 + min * 60).expect("known")
        };
        assert_eq!(local(2024, 3, 10, 2, 30), -18000);
        assert_eq!(local(2024, 11, 3, 1, 30), -18000);
        assert_eq!(local(2024, 7, 1, 0, 0), -14400);
        assert_eq!(local(290_000, 7, 1, 0, 0), -14400);
        assert_eq!(local(-4000, 7, 1, 0, 0), -17762);
    }
}
