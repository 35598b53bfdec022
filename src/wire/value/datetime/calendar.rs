//! The proleptic Gregorian calendar, in days and microseconds since 2000-01-01, and PostgreSQL's ranges.

/// Microseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000;
/// Microseconds of a minute.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// Microseconds of an hour.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// Microseconds of a day.
pub(crate) const DAY: i64 = 24 * HOUR;
/// Seconds from 1970-01-01 to 2000-01-01.
pub(crate) const UNIX_EPOCH: i64 = 946_684_800;

/// First valid day: 4714-11-24 BC.
pub(crate) const MIN_DAY: i64 = -2_451_545;
/// First day after the last valid date, 5874897-12-31.
const END_DAY: i64 = 2_147_483_494 - 2_451_545;
/// First day after the last valid timestamp, 294276-12-31.
const END_TIMESTAMP_DAY: i64 = 106_751_983;

/// A day as written. Year 0 is 1 BC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

impl Civil {
    /// `None`: no such month or day.
    pub(crate) fn new(year: i64, month: i64, day: i64) -> Option<Civil> {
        let (month, day) = (u8::try_from(month).ok()?, u8::try_from(day).ok()?);
        let valid = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        valid.then_some(Civil { year, month, day })
    }

    /// Days since 2000-01-01.
    pub(crate) fn days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let month = (i64::from(self.month) + 9) % 12;
        let of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 730_425
    }

    /// The day so many days after 2000-01-01.
    pub(crate) fn of(days: i64) -> Civil {
        let days = days + 730_425;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * month + 2) / 5 + 1) as u8;
        let month = (if month < 10 { month + 3 } else { month - 9 }) as u8;
        let year = year + era * 400 + i64::from(month <= 2);
        Civil { year, month, day }
    }
}

fn days_in_month(year: i64, month: u8) -> u8 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Day of the week, 0 for Sunday.
pub(crate) fn weekday(days: i64) -> usize {
    (days + 6).rem_euclid(7) as usize
}

/// Whether a date may be so many days after 2000-01-01.
pub(crate) fn valid_date(days: i64) -> bool {
    (MIN_DAY..END_DAY).contains(&days)
}

/// Whether a timestamp may be so many microseconds after 2000-01-01.
pub(crate) fn valid_timestamp(micros: i64) -> bool {
    (MIN_DAY * DAY..END_TIMESTAMP_DAY * DAY).contains(&micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates() {
        let days = |y, m, d| Civil::new(y, m, d).map(Civil::days);
        assert_eq!(days(2000, 1, 1), Some(0));
        assert_eq!(days(1970, 1, 1), Some(-UNIX_EPOCH / 86_400));
        assert_eq!(days(-4713, 11, 24), Some(MIN_DAY));
        assert_eq!(days(5_874_898, 1, 1), Some(END_DAY));
        assert_eq!(days(294_277, 1, 1), Some(END_TIMESTAMP_DAY));
        assert_eq!(days(2023, 2, 29), None);
        assert_eq!(days(1900, 2, 29), None);
        assert_eq!(days(2000, 13, 1), None);
        assert_eq!(days(2000, 4, 31), None);
        for day in (MIN_DAY..800_000).step_by(17) {
            assert_eq!(Civil::of(day).days(), day);
        }
        assert_eq!(weekday(0), 6);
    }
}
