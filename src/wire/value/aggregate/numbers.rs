//! Aggregates of integers, decimals and floats.

use super::Function;
use super::decimal::{Decimal, Sum};
use crate::wire::sqlstate::SqlState;
use crate::wire::value::error::{Result, ValueError};
use crate::wire::value::numeric::{INFINITY, MINUS_INFINITY, NAN, View, push_special};
use crate::wire::value::{PlainType, float, number};

/// Most groups of four digits of a number whose square is taken.
const MAX_SQUARED: usize = 500;

/// Most groups of four digits of a sum whose square is taken, and of a variance whose root is: the time that it takes grows with
/// their square.
const MAX_SPREAD: i64 = 2_000;

/// Of int2, int4 and int8.
pub(super) struct Ints {
    count: u64,
    total: i128,
    squares: Option<Sum>,
}

impl Ints {
    pub(super) fn new(squares: bool) -> Ints {
        Ints { count: 0, total: 0, squares: squares.then(Sum::default) }
    }

    pub(super) fn add(&mut self, value: i64) {
        let value = i128::from(value);
        self.count += 1;
        self.total += value;
        if let Some(squares) = &mut self.squares {
            squares.add_signed(&Decimal::of_int(value * value));
        }
    }

    pub(super) fn finish(&self, function: Function, plain: PlainType, out: &mut Vec<u8>) -> Result<bool> {
        match (&self.squares, function) {
            _ if self.count == 0 => Ok(false),
            (Some(squares), Function::Spread { sample, root }) => {
                let sums = Sums { count: self.count, total: Decimal::of_int(self.total), squares: squares.total() };
                sums.spread(sample, root, out)
            }
            (_, Function::Sum) if plain != PlainType::Int8 => {
                let total = i64::try_from(self.total).map_err(|_| ValueError::out_of_range("bigint"))?;
                number::store_int(PlainType::Int8, total, out).map(|()| true)
            }
            (_, Function::Sum) => Decimal::of_int(self.total).store(out).map(|()| true),
            _ => Decimal::of_int(self.total).over(self.count.into()).store(out).map(|()| true),
        }
    }
}

/// Of numeric.
pub(super) struct Decimals {
    count: u64,
    nans: u64,
    infinities: u64,
    minus_infinities: u64,
    total: Sum,
    squares: Option<Sum>,
}

impl Decimals {
    pub(super) fn new(squares: bool) -> Decimals {
        let (total, squares) = (Sum::default(), squares.then(Sum::default));
        Decimals { count: 0, nans: 0, infinities: 0, minus_infinities: 0, total, squares }
    }

    pub(super) fn add(&mut self, stored: &[u8]) -> Result<()> {
        let view = View::stored(stored)?;
        match view.sign {
            NAN => self.nans += 1,
            INFINITY => self.infinities += 1,
            MINUS_INFINITY => self.minus_infinities += 1,
            _ => {
                let value = Decimal::of(&view);
                if let Some(squares) = &mut self.squares {
                    if value.len() > MAX_SQUARED {
                        return Err(too_long());
                    }
                    squares.add_signed(&value.times(&value));
                }
                self.total.add_signed(&value);
                self.count += 1;
            }
        }
        Ok(())
    }

    pub(super) fn finish(&self, function: Function, out: &mut Vec<u8>) -> Result<bool> {
        let special = self.nans + self.infinities + self.minus_infinities;
        if let (Some(squares), Function::Spread { sample, root }) = (&self.squares, function) {
            if special == 0 {
                let sums = Sums { count: self.count, total: self.total.total(), squares: squares.total() };
                return sums.spread(sample, root, out);
            }
            let defined = self.count + special > u64::from(sample);
            if defined {
                push_special(NAN, out);
            }
            return Ok(defined);
        }
        if special > 0 {
            let sign = match (self.nans, self.infinities, self.minus_infinities) {
                (0, _, 0) => INFINITY,
                (0, 0, _) => MINUS_INFINITY,
                _ => NAN,
            };
            push_special(sign, out);
            return Ok(true);
        }
        let total = match function {
            _ if self.count == 0 => return Ok(false),
            Function::Sum => self.total.total(),
            _ => self.total.total().over(self.count.into()),
        };
        total.store(out).map(|()| true)
    }
}

/// What a variance is made of.
struct Sums {
    count: u64,
    total: Decimal,
    squares: Decimal,
}

impl Sums {
    /// As numeric_stddev_internal in PostgreSQL's numeric.c.
    fn spread(&self, sample: bool, root: bool, out: &mut Vec<u8>) -> Result<bool> {
        if self.count <= u64::from(sample) {
            return Ok(false);
        }
        if self.total.len() as i64 > MAX_SPREAD {
            return Err(too_long());
        }
        let count = Decimal::of_int(self.count.into());
        let spread = count.times(&self.squares).minus(&self.total.times(&self.total));
        if !spread.is_positive() {
            Decimal::default().store(out)?;
            return Ok(true);
        }
        let count = u128::from(self.count);
        let variance = spread.over(count * (count - u128::from(sample)));
        if root {
            if variance.extent() > MAX_SPREAD {
                return Err(too_long());
            }
            variance.root().store(out)?
        } else {
            variance.store(out)?
        }
        Ok(true)
    }
}

fn too_long() -> ValueError {
    ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a numeric of so many digits is too long for this function")
}

fn overflow() -> ValueError {
    ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

/// `sum` of floats, added in the order that they come in.
#[derive(Default)]
pub(super) struct FloatSum(Option<f64>);

impl FloatSum {
    pub(super) fn add(&mut self, plain: PlainType, stored: &[u8]) -> Result<()> {
        let value = float::load(plain, stored)?;
        let Some(before) = self.0 else {
            self.0 = Some(value);
            return Ok(());
        };
        // A sum of two float4 that is rounded to float8 first is rounded to the same float4.
        let sum = match plain {
            PlainType::Float4 => f64::from(before as f32 + value as f32),
            _ => before + value,
        };
        if sum.is_infinite() && !before.is_infinite() && !value.is_infinite() {
            return Err(overflow());
        }
        self.0 = Some(sum);
        Ok(())
    }

    /// `false`: there was none.
    pub(super) fn finish(&self, plain: PlainType, out: &mut Vec<u8>) -> bool {
        match (self.0, plain) {
            (None, _) => return false,
            (Some(sum), PlainType::Float4) => out.extend_from_slice(&(sum as f32).to_be_bytes()),
            (Some(sum), _) => out.extend_from_slice(&sum.to_be_bytes()),
        }
        true
    }
}

/// As float8_accum in PostgreSQL's float.c: the squares of differences are kept since their overflow fails the mean too.
#[derive(Default)]
pub(super) struct Floats {
    count: f64,
    total: f64,
    squares: f64,
}

impl Floats {
    pub(super) fn add(&mut self, plain: PlainType, stored: &[u8]) -> Result<()> {
        let value = float::load(plain, stored)?;
        let before = Floats { ..*self };
        self.count += 1.0;
        self.total += value;
        if before.count > 0.0 {
            let difference = value * self.count - self.total;
            self.squares += difference * difference / (self.count * before.count);
            if self.total.is_infinite() || self.squares.is_infinite() {
                if !before.total.is_infinite() && !value.is_infinite() {
                    return Err(overflow());
                }
                self.squares = f64::NAN;
            }
        } else if !value.is_finite() {
            self.squares = f64::NAN;
        }
        Ok(())
    }

    /// `false`: there was none.
    pub(super) fn mean(&self, out: &mut Vec<u8>) -> bool {
        if self.count == 0.0 {
            return false;
        }
        out.extend_from_slice(&(self.total / self.count).to_be_bytes());
        true
    }
}
