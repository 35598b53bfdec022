//! Adding up the fields of a written interval, with PostgreSQL's rounding and overflow.

use super::Interval;
use crate::wire::value::datetime::calendar::DAY;
use crate::wire::value::error::{INTERVAL_FIELD_OVERFLOW, Result, ValueError};

/// A unit of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    /// So many microseconds.
    Micros(i64),
    Day,
    Week,
    Month,
    /// So many years.
    Years(i32),
}

pub(super) fn syntax() -> ValueError {
    ValueError::datetime_syntax("interval")
        .hint("Intervals are read in ISO 8601 with designators and in the forms that PostgreSQL prints.")
}

pub(super) fn field_range() -> ValueError {
    ValueError::new(INTERVAL_FIELD_OVERFLOW, "interval field value out of range")
}

/// The fields so far.
#[derive(Default)]
pub(super) struct Sum {
    micros: i64,
    days: i32,
    months: i32,
    years: i32,
}

impl Sum {
    /// Adds `whole + fraction` units; fractions spill into the next smaller field.
    pub(super) fn add(&mut self, unit: Unit, whole: i64, fraction: f64) -> Result<()> {
        match unit {
            Unit::Micros(scale) => {
                self.add_micros(whole.checked_mul(scale).ok_or_else(field_range)?)?;
                self.add_fraction(fraction, scale)
            }
            Unit::Day => {
                add_scaled(&mut self.days, whole, 1)?;
                self.add_fraction(fraction, DAY)
            }
            Unit::Week => {
                add_scaled(&mut self.days, whole, 7)?;
                self.add_day_fraction(fraction, 7.0)
            }
            Unit::Month => {
                add_scaled(&mut self.months, whole, 1)?;
                self.add_day_fraction(fraction, 30.0)
            }
            Unit::Years(scale) => {
                add_scaled(&mut self.years, whole, scale)?;
                let months = (fraction * f64::from(scale) * 12.0).round_ties_even() as i32;
                add_scaled(&mut self.months, months.into(), 1)
            }
        }
    }

    pub(super) fn add_micros(&mut self, micros: i64) -> Result<()> {
        self.micros = self.micros.checked_add(micros).ok_or_else(field_range)?;
        Ok(())
    }

    fn add_fraction(&mut self, fraction: f64, scale: i64) -> Result<()> {
        let exact = fraction * scale as f64;
        let whole = exact as i64;
        let rest = exact - whole as f64;
        let round = i64::from(rest > 0.5) - i64::from(rest < -0.5);
        self.add_micros(whole + round)
    }

    fn add_day_fraction(&mut self, fraction: f64, scale: f64) -> Result<()> {
        let exact = fraction * scale;
        let whole = exact as i32;
        add_scaled(&mut self.days, whole.into(), 1)?;
        self.add_fraction(exact - f64::from(whole), DAY)
    }

    /// The interval; `negated` for `ago`.
    pub(super) fn finish(self, negated: bool) -> Result<Interval> {
        let Sum { mut micros, mut days, mut months, mut years } = self;
        if negated {
            micros = micros.checked_neg().ok_or_else(field_range)?;
            days = days.checked_neg().ok_or_else(field_range)?;
            months = months.checked_neg().ok_or_else(field_range)?;
            years = years.checked_neg().ok_or_else(field_range)?;
        }
        let months = i64::from(years) * 12 + i64::from(months);
        let months = i32::try_from(months).map_err(|_| ValueError::datetime_range("interval"))?;
        Ok(Interval { micros, days, months })
    }
}

fn add_scaled(field: &mut i32, whole: i64, scale: i32) -> Result<()> {
    let sum = i32::try_from(whole).ok().and_then(|w| w.checked_mul(scale)).and_then(|w| field.checked_add(w));
    *field = sum.ok_or_else(field_range)?;
    Ok(())
}
