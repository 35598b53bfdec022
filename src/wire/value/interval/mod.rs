//! interval: months, days and microseconds. Stored: microseconds (i64), days (i32), months (i32).

mod iso;
mod print;
mod sum;
mod words;

use super::PlainType;
use super::error::Result;
use super::scan;
use super::settings::{IntervalStyle, Settings};

/// An interval as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Interval {
    pub(crate) micros: i64,
    pub(crate) days: i32,
    pub(crate) months: i32,
}

impl Interval {
    /// From the stored form.
    pub(crate) fn load(stored: &[u8]) -> Result<Interval> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = scan::stored(PlainType::Interval, stored)?;
        Ok(Interval {
            micros: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            days: i32::from_be_bytes([i, j, k, l]),
            months: i32::from_be_bytes([m, n, o, p]),
        })
    }

    pub(crate) fn store(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.micros.to_be_bytes());
        out.extend_from_slice(&self.days.to_be_bytes());
        out.extend_from_slice(&self.months.to_be_bytes());
    }

    /// Length in microseconds with months of 30 days and days of 24 hours: what PostgreSQL compares.
    fn span(self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * 86_400_000_000 + i128::from(self.micros)
    }
}

/// Reads the forms of all four IntervalStyles.
pub(crate) fn parse(text: &str, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let interval = if text.starts_with('P') {
        iso::read(text)?
    } else {
        words::read(scan::trim(text), settings.interval_style == IntervalStyle::SqlStandard)?
    };
    interval.store(out);
    Ok(())
}

/// Binary input: any sixteen bytes.
pub(crate) fn receive(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let bytes: [u8; 16] = scan::received(PlainType::Interval, bytes)?;
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Prints under the session's IntervalStyle.
pub(crate) fn write_text(stored: &[u8], style: IntervalStyle, out: &mut Vec<u8>) -> Result<()> {
    print::interval(Interval::load(stored)?, style, out);
    Ok(())
}

/// Appends sixteen bytes that are equal exactly when PostgreSQL finds the intervals equal.
pub(crate) fn canonical(stored: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&Interval::load(stored)?.span().to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLES: [IntervalStyle; 4] =
        [IntervalStyle::Postgres, IntervalStyle::PostgresVerbose, IntervalStyle::SqlStandard, IntervalStyle::Iso8601];

    fn settings(style: IntervalStyle) -> Settings {
        Settings { interval_style: style, ..Settings::default() }
    }

    fn read(text: &str) -> std::result::Result<(i32, i32, i64), &'static str> {
        let mut out = Vec::new();
        parse(text, &Settings::default(), &mut out).map_err(|e| e.sqlstate.0)?;
        let interval = Interval::load(&out).map_err(|e| e.sqlstate.0)?;
        Ok((interval.months, interval.days, interval.micros))
    }

    #[test]
    fn reads_all_forms() {
        const H: i64 = 3_600_000_000;
        for (text, want) in [
            ("1 year 2 mons 3 days 04:05:06", (14, 3, 4 * H + 306_000_000)),
            ("@ 1 year 2 mons -3 days 4 hours ago", (-14, 3, -4 * H)),
            ("1-2 3 4:00:00", (14, 3, 4 * H)),
            ("+1-2 -3 +4:00:00", (14, -3, 4 * H)),
            ("P1Y2M3DT4H", (14, 3, 4 * H)),
            ("PT-0.5S", (0, 0, -500_000)),
            ("1.5 days", (0, 1, 12 * H)),
            ("1.5 mons", (1, 15, 0)),
            ("2 weeks", (0, 14, 0)),
            ("1day", (0, 1, 0)),
            ("5", (0, 0, 5_000_000)),
            ("-1:30", (0, 0, -H - H / 2)),
            ("100 centuries", (120_000, 0, 0)),
        ] {
            assert_eq!(read(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            " ",
            "x",
            "1 fortnight",
            "P",
            "PT",
            "P1",
            "P1YT",
            "1 day 2 days",
            "day",
            "ago",
            "1:2:3:4",
            "--1",
            "@",
            "1 2 3",
            "infinity",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("1:60"), Err("22015"));
        assert_eq!(read("99999999999 years"), Err("22015"));
        assert_eq!(read("200000000 years"), Err("22008"));
    }

    #[test]
    fn every_style_reads_back() {
        for months in [0, 1, -1, 12, -14, 25] {
            for days in [0, 1, -3] {
                for micros in [0, 1, -1, 1_500_000, -90_061_000_000, 86_400_000_000] {
                    let want = Interval { micros, days, months };
                    for style in STYLES {
                        let (mut stored, mut text, mut again) = (Vec::new(), Vec::new(), Vec::new());
                        want.store(&mut stored);
                        write_text(&stored, style, &mut text).expect("interval");
                        let text = String::from_utf8(text).expect("ascii");
                        parse(&text, &settings(style), &mut again).expect(&text);
                        assert_eq!(again, stored, "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn equality_is_of_spans() {
        let canon = |text: &str| {
            let (mut stored, mut out) = (Vec::new(), Vec::new());
            parse(text, &Settings::default(), &mut stored).and_then(|()| canonical(&stored, &mut out)).expect(text);
            out
        };
        assert_eq!(canon("1 mon"), canon("30 days"));
        assert_eq!(canon("1 day"), canon("24:00:00"));
        assert_ne!(canon("1 year"), canon("365 days"));
    }
}
