//! Aggregate functions over stored values, as PostgreSQL computes them. NULLs are left out by the caller.
//!
//! Not here: what depends on how the server was built (the variance of floats), and what depends on a collation.

pub(super) mod decimal;
mod moment;
mod numbers;

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use zeroize::Zeroizing;

use super::convert::{Cast, Conversion, convert};
use super::error::Result;
use super::{PlainType, Settings, ValueError, canonical, number, order};

use moment::Spans;
use numbers::{Decimals, FloatSum, Floats, Ints};

/// An aggregate function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `bool_and`, `every`
    And,
    /// `bool_or`
    Or,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `variance`, `stddev` and their kin.
    Spread {
        /// Of a sample, not of the population.
        sample: bool,
        /// The root of it: the standard deviation.
        root: bool,
    },
}

/// What a function gives of values of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gives {
    /// A value of this type.
    Type(PlainType),
    /// PostgreSQL has no such function.
    Nothing,
    /// PostgreSQL has one, but it is not computed here.
    Other,
}

impl Function {
    /// The function of this name.
    pub fn named(name: &str) -> Option<Function> {
        Some(match name {
            "sum" => Function::Sum,
            "avg" => Function::Avg,
            "bool_and" | "every" => Function::And,
            "bool_or" => Function::Or,
            "min" => Function::Min,
            "max" => Function::Max,
            "stddev" | "stddev_samp" => Function::Spread { sample: true, root: true },
            "stddev_pop" => Function::Spread { sample: false, root: true },
            "variance" | "var_samp" => Function::Spread { sample: true, root: false },
            "var_pop" => Function::Spread { sample: false, root: false },
            _ => return None,
        })
    }

    /// What it gives of values of a type.
    pub fn gives(self, plain: PlainType) -> Gives {
        use PlainType::*;
        match (self, plain) {
            (Function::Sum, Int2 | Int4) => Gives::Type(Int8),
            (Function::Sum, Int8 | Numeric) => Gives::Type(Numeric),
            (Function::Sum, Float4 | Float8 | Interval) => Gives::Type(plain),
            (Function::Avg, Int2 | Int4 | Int8 | Numeric) => Gives::Type(Numeric),
            (Function::Avg, Float4 | Float8) => Gives::Type(Float8),
            (Function::Avg, Interval) => Gives::Type(Interval),
            // By way of interval.
            (Function::Sum | Function::Avg, Time) => Gives::Other,
            (Function::And | Function::Or, Bool) => Gives::Type(Bool),
            (Function::Spread { .. }, Int2 | Int4 | Int8 | Numeric) => Gives::Type(Numeric),
            (Function::Spread { .. }, Float4 | Float8) => Gives::Other,
            (Function::Min | Function::Max, Cidr) => Gives::Type(Inet),
            (Function::Min | Function::Max, Int2 | Int4 | Int8 | Float4 | Float8 | Numeric | Interval | Inet) => {
                Gives::Type(plain)
            }
            (Function::Min | Function::Max, Date | Time | Timetz | Timestamp | Timestamptz) => Gives::Type(plain),
            (Function::Min | Function::Max, Text | Varchar | Bpchar | Citext | Enum) => Gives::Other,
            _ => Gives::Nothing,
        }
    }

    /// Values that are equal can be told apart by no result, or PostgreSQL does not say which of them counts.
    pub fn takes_distinct(self, plain: PlainType) -> bool {
        use PlainType::*;
        match self {
            Function::Sum | Function::Avg | Function::Spread { .. } => matches!(plain, Int2 | Int4 | Int8 | Numeric),
            Function::And | Function::Or | Function::Min | Function::Max => true,
        }
    }
}

/// A function of values of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aggregate {
    /// The function.
    pub function: Function,
    /// The type of the values, of which the function [gives](Function::gives) something.
    pub plain: PlainType,
    /// Of equal values one counts.
    pub distinct: bool,
}

/// An aggregate under way.
pub struct Running {
    aggregate: Aggregate,
    state: State,
    seen: HashSet<Value>,
}

enum State {
    Ints(Ints),
    Decimals(Decimals),
    FloatSum(FloatSum),
    Floats(Floats),
    Spans(Spans),
    Truth(Option<bool>),
    Extreme(Option<Extreme>),
}

/// The least or greatest value so far, with its ordering bytes.
struct Extreme {
    order: Zeroizing<Vec<u8>>,
    stored: Zeroizing<Vec<u8>>,
}

impl Aggregate {
    /// Of no value yet.
    pub fn begin(self) -> Running {
        use PlainType::*;
        let spread = matches!(self.function, Function::Spread { .. });
        let state = match (self.function, self.plain) {
            (Function::And | Function::Or, _) => State::Truth(None),
            (Function::Min | Function::Max, _) => State::Extreme(None),
            (_, Int2 | Int4 | Int8) => State::Ints(Ints::new(spread)),
            (Function::Sum, Float4 | Float8) => State::FloatSum(FloatSum::default()),
            (_, Float4 | Float8) => State::Floats(Floats::default()),
            (_, Interval) => State::Spans(Spans::default()),
            _ => State::Decimals(Decimals::new(spread)),
        };
        Running { aggregate: self, state, seen: HashSet::new() }
    }
}

impl Running {
    /// Takes a stored value.
    ///
    /// # Errors
    /// As PostgreSQL's functions; XX001 for a stored form that cannot be of its type.
    pub fn add(&mut self, stored: &[u8]) -> std::result::Result<(), ValueError> {
        let Aggregate { function, plain, distinct } = self.aggregate;
        if distinct && !matches!(function, Function::Min | Function::Max) {
            let mut value = Zeroizing::new(Vec::new());
            canonical(plain, stored, &mut value)?;
            if !self.seen.insert(Value(value)) {
                return Ok(());
            }
        }
        match &mut self.state {
            State::Ints(ints) => {
                ints.add(number::load_int(plain, stored)?);
                Ok(())
            }
            State::Decimals(decimals) => decimals.add(stored),
            State::FloatSum(sum) => sum.add(plain, stored),
            State::Floats(floats) => floats.add(plain, stored),
            State::Spans(spans) => spans.add(stored),
            State::Truth(truth) => {
                let value = number::load_bool(stored)?;
                *truth = Some(match (function, *truth) {
                    (_, None) => value,
                    (Function::And, Some(before)) => before && value,
                    (_, Some(before)) => before || value,
                });
                Ok(())
            }
            State::Extreme(extreme) => add_extreme(extreme, function, plain, stored),
        }
    }

    /// Appends the result in its stored form. `false`: it is NULL.
    ///
    /// # Errors
    /// As PostgreSQL's functions.
    pub fn finish(&self, settings: &Settings, out: &mut Vec<u8>) -> std::result::Result<bool, ValueError> {
        let Aggregate { function, plain, .. } = self.aggregate;
        match &self.state {
            State::Ints(ints) => ints.finish(function, plain, out),
            State::Decimals(decimals) => decimals.finish(function, out),
            State::FloatSum(sum) => Ok(sum.finish(plain, out)),
            State::Floats(floats) => Ok(floats.mean(out)),
            State::Spans(spans) => spans.finish(function, out),
            State::Truth(truth) => {
                out.extend(truth.map(u8::from));
                Ok(truth.is_some())
            }
            State::Extreme(None) => Ok(false),
            State::Extreme(Some(extreme)) => {
                let to = if plain == PlainType::Cidr { PlainType::Inet } else { plain };
                let conversion = Conversion { cast: Cast::Assignment, from: plain, to, settings };
                convert(conversion, &extreme.stored, out).map(|()| true)
            }
        }
    }
}

/// Of equal values the later one stays, as in PostgreSQL.
fn add_extreme(extreme: &mut Option<Extreme>, function: Function, plain: PlainType, stored: &[u8]) -> Result<()> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(16));
    order::append(plain, stored, &mut bytes)?;
    let stays = extreme.as_ref().is_some_and(|before| match function {
        Function::Min => *before.order < *bytes,
        _ => *before.order > *bytes,
    });
    if !stays {
        *extreme = Some(Extreme { order: bytes, stored: Zeroizing::new(stored.to_vec()) });
    }
    Ok(())
}

/// A value that was seen, by its canonical bytes.
#[derive(PartialEq, Eq)]
struct Value(Zeroizing<Vec<u8>>);

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_slice().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::value::{Format, decode, write};

    /// The result as text, or its SQLSTATE.
    fn of(name: &str, plain: PlainType, values: &[&str], distinct: bool) -> String {
        let settings = Settings::default();
        let function = Function::named(name).expect("a function");
        let Gives::Type(result) = function.gives(plain) else { panic!("{name} of {plain:?}") };
        let mut running = Aggregate { function, plain, distinct }.begin();
        let (mut stored, mut out) = (Vec::new(), Vec::new());
        let mut finished = || {
            for value in values {
                stored.clear();
                decode(plain, Format::Text, value.as_bytes(), &settings, &mut stored)?;
                running.add(&stored)?;
            }
            stored.clear();
            if !running.finish(&settings, &mut stored)? {
                return Ok("NULL".to_owned());
            }
            write(result, &stored, Format::Text, &settings, &mut out)?;
            Ok::<_, ValueError>(String::from_utf8(out.clone()).expect("ascii"))
        };
        finished().unwrap_or_else(|e| e.sqlstate.0.to_owned())
    }

    #[test]
    fn as_postgresql_computes_them() {
        use PlainType::*;
        for (name, plain, values, want) in [
            ("sum", Int4, &["2147483647", "2147483647", "-1"][..], "4294967293"),
            ("sum", Int8, &["9223372036854775807", "9223372036854775807"], "18446744073709551614"),
            ("avg", Int2, &["1", "2", "2"], "1.6666666666666667"),
            ("avg", Int8, &["-9223372036854775808", "-9223372036854775807"], "-9223372036854775808"),
            ("sum", Numeric, &["1.50", "2.5", "-0.001"], "3.999"),
            ("sum", Numeric, &["1", "NaN", "inf"], "NaN"),
            ("sum", Numeric, &["inf", "-inf"], "NaN"),
            ("avg", Numeric, &["-inf", "1"], "-Infinity"),
            ("avg", Numeric, &["1.00", "2"], "1.5000000000000000"),
            ("sum", Numeric, &["9e131071", "9e131071"], "22003"),
            ("sum", Float8, &["1e308", "1e308"], "22003"),
            ("sum", Float8, &["inf", "1", "-inf"], "NaN"),
            ("sum", Float4, &["16777216", "1"], "1.6777216e+07"),
            ("sum", Float8, &["-0"], "-0"),
            ("avg", Float4, &["1", "2", "4"], "2.3333333333333335"),
            ("avg", Float8, &["1e308", "1e308"], "22003"),
            ("sum", Interval, &["1 mon -1 day", "23:00", "-2 mons"], "-1 mons -1 days +23:00:00"),
            ("avg", Interval, &["1 mon", "2 days"], "16 days"),
            ("avg", Interval, &["1 day 00:00:01", "00:00:00", "1 mon"], "10 days 08:00:00.333333"),
            ("sum", Interval, &["2147483647 mons", "1 mon"], "22008"),
            ("bool_and", Bool, &["t", "f"], "f"),
            ("every", Bool, &["t"], "t"),
            ("bool_or", Bool, &["f", "t", "f"], "t"),
            ("min", Numeric, &["2", "1.0", "1.00", "NaN"], "1.00"),
            ("max", Float8, &["2", "NaN", "inf"], "NaN"),
            ("max", Interval, &["1 mon", "30 days"], "30 days"),
            ("max", Cidr, &["10.0.0.0/8", "9.0.0.0/8"], "10.0.0.0/8"),
            ("stddev", Int4, &["1", "2", "3", "4"], "1.2909944487358056"),
            ("var_pop", Numeric, &["1.5", "2.5"], "0.25000000000000000000"),
            (
                "variance",
                Int8,
                &["9223372036854775807", "-9223372036854775808"],
                "170141183460469231713240559642174554113",
            ),
            ("stddev_pop", Numeric, &["3"], "0"),
            ("stddev", Numeric, &["3"], "NULL"),
            ("stddev_pop", Numeric, &["inf"], "NaN"),
            ("variance", Numeric, &["NaN"], "NULL"),
            // Longer than what is computed in passing.
            ("stddev", Numeric, &["1e5000", "1"], "54000"),
            ("variance", Numeric, &["1e9000", "1"], "54000"),
        ] {
            assert_eq!(of(name, plain, values, false), want, "{name} of {plain:?} {values:?}");
            assert_eq!(of(name, plain, &[], false), "NULL", "{name} of nothing");
        }
    }

    #[test]
    fn equal_values_count_once() {
        for (name, plain, values, want) in [
            ("sum", PlainType::Int4, &["1", "1", "2"][..], "3"),
            ("avg", PlainType::Numeric, &["1", "1.0", "4"], "2.5000000000000000"),
            ("bool_and", PlainType::Bool, &["t", "t"], "t"),
        ] {
            assert_eq!(of(name, plain, values, true), want, "{name} {values:?}");
        }
    }

    #[test]
    fn forged_values_are_refused() {
        for plain in PlainType::all() {
            for name in ["sum", "avg", "bool_and", "max", "stddev"] {
                let Some(function) = Function::named(name) else { continue };
                if !matches!(function.gives(plain), Gives::Type(_)) {
                    continue;
                }
                for bytes in [&[][..], &[1, 2, 3], &[0xff; 17]] {
                    let mut running = Aggregate { function, plain, distinct: false }.begin();
                    assert!(running.add(bytes).is_err(), "{name} of {plain:?}: {bytes:?}");
                }
            }
        }
    }
}
