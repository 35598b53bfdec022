//! Aggregates of intervals.

use super::Function;
use crate::wire::sqlstate::SqlState;
use crate::wire::value::error::{Result, ValueError};
use crate::wire::value::interval::Interval;

const DAYS_PER_MONTH: f64 = 30.0;
const SECONDS_PER_DAY: f64 = 86_400.0;
const MICROS: f64 = 1_000_000.0;

/// The sum of intervals.
#[derive(Default)]
pub(super) struct Spans {
    count: u64,
    total: Option<Interval>,
}

impl Spans {
    pub(super) fn add(&mut self, stored: &[u8]) -> Result<()> {
        let value = Interval::load(stored)?;
        if is_infinite(value) {
            return Err(ValueError::unsupported("an aggregate of infinite intervals", "Leave them out by FILTER."));
        }
        self.count += 1;
        self.total = Some(match self.total {
            None => value,
            Some(before) => {
                let sum = (
                    before.months.checked_add(value.months),
                    before.days.checked_add(value.days),
                    before.micros.checked_add(value.micros),
                );
                let (Some(months), Some(days), Some(micros)) = sum else { return Err(out_of_range()) };
                Interval { micros, days, months }
            }
        });
        Ok(())
    }

    pub(super) fn finish(&self, function: Function, out: &mut Vec<u8>) -> Result<bool> {
        let Some(total) = self.total else { return Ok(false) };
        let result = if function == Function::Avg { divided(total, self.count as f64) } else { total };
        // Some versions of PostgreSQL take these for the infinities, and fail.
        if is_infinite(result) {
            return Err(out_of_range());
        }
        result.store(out);
        Ok(true)
    }
}

fn out_of_range() -> ValueError {
    ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// As PostgreSQL writes infinity from version 17 on. Before, it is an interval as any other.
fn is_infinite(value: Interval) -> bool {
    let Interval { micros, days, months } = value;
    (micros, days, months) == (i64::MAX, i32::MAX, i32::MAX) || (micros, days, months) == (i64::MIN, i32::MIN, i32::MIN)
}

/// As interval_div in PostgreSQL's timestamp.c: what is left of months goes to days, and of days to time.
fn divided(total: Interval, by: f64) -> Interval {
    let (months, days) = (f64::from(total.months), f64::from(total.days));
    let mut result = Interval { micros: 0, days: (days / by) as i32, months: (months / by) as i32 };
    let month_rest = to_micros((months / by - f64::from(result.months)) * DAYS_PER_MONTH);
    let day_rest = days / by - f64::from(result.days) + month_rest - f64::from(month_rest as i32);
    let mut seconds = to_micros(day_rest * SECONDS_PER_DAY);
    if seconds.abs() >= SECONDS_PER_DAY {
        let more = (seconds / SECONDS_PER_DAY) as i32;
        result.days = result.days.wrapping_add(more);
        seconds -= f64::from(more) * SECONDS_PER_DAY;
    }
    result.days = result.days.wrapping_add(month_rest as i32);
    result.micros = (total.micros as f64 / by + seconds * MICROS).round_ties_even() as i64;
    result
}

/// Rounded to microseconds.
fn to_micros(seconds: f64) -> f64 {
    (seconds * MICROS).round_ties_even() / MICROS
}
