//! Arithmetic of integers and numerics. Floats are left out: their functions differ from server to server.

use super::{Scalar, Signature, Sort, int4, widens};
use crate::wire::sqlstate::SqlState;
use crate::wire::value::PlainType::{self, Int2, Int4, Int8, Numeric};
use crate::wire::value::aggregate::decimal::Decimal;
use crate::wire::value::error::{Result, ValueError};
use crate::wire::value::number::{load_int, store_int};
use crate::wire::value::numeric::{self, INFINITY, MINUS_INFINITY, NAN, View};

/// Scales that can be asked for.
const MAX_SCALE: i64 = 2_000;
/// Scales that a product can have.
const MAX_SHOWN: i64 = 0x3fff;
/// Groups of digits that operands of `*`, `/` and `%` may have together: beyond it PostgreSQL takes seconds too.
const MAX_GROUPS: usize = 4_000;

/// Numbers that are computed with.
pub(super) fn is_exact(plain: PlainType) -> bool {
    matches!(plain, Int2 | Int4 | Int8 | Numeric)
}

/// The type in which two operands meet. One whose type is not known is of the other's.
fn common(left: Option<Sort>, right: Option<Sort>) -> Option<PlainType> {
    match (left, right) {
        (Some(Sort::Value(one)), None) | (None, Some(Sort::Value(one))) => Some(one).filter(|one| is_exact(*one)),
        (Some(Sort::Value(left)), Some(Sort::Value(right))) => {
            let wider = if widens(left, right) { right } else { left };
            (widens(left, wider) && widens(right, wider)).then_some(wider)
        }
        _ => None,
    }
}

pub(super) fn operator(name: &str, operands: &[Option<Sort>]) -> Option<Signature> {
    let function = match (name, operands.len()) {
        ("-", 1) => Scalar::Negative,
        ("@", 1) => Scalar::Abs,
        ("+", 2) => Scalar::Plus,
        ("-", 2) => Scalar::Minus,
        ("*", 2) => Scalar::Times,
        ("/", 2) => Scalar::Over,
        ("%", 2) => Scalar::Modulo,
        _ => return None,
    };
    let plain = match operands {
        [one] => common(*one, None)?,
        [left, right] => common(*left, *right)?,
        _ => return None,
    };
    Some(Signature { function, takes: vec![Sort::Value(plain); operands.len()], gives: plain })
}

/// A function whose first argument is a number that is computed with.
pub(super) fn function(name: &str, given: &[Option<Sort>]) -> Option<Signature> {
    let one = |function, plain: PlainType| Signature { function, takes: vec![Sort::Value(plain)], gives: plain };
    match (name, given) {
        ("abs", [first]) => common(*first, None).map(|plain| one(Scalar::Abs, plain)),
        ("mod", [left, right]) => operator("%", &[*left, *right]),
        // Of an integer they are those of floats.
        ("sign", [Some(Sort::Value(Numeric))]) => Some(one(Scalar::Sign, Numeric)),
        ("ceil" | "ceiling", [Some(Sort::Value(Numeric))]) => Some(one(Scalar::Ceil, Numeric)),
        ("floor", [Some(Sort::Value(Numeric))]) => Some(one(Scalar::Floor, Numeric)),
        ("round", [Some(Sort::Value(Numeric))]) => Some(one(Scalar::Round, Numeric)),
        ("trunc", [Some(Sort::Value(Numeric))]) => Some(one(Scalar::Trunc, Numeric)),
        ("round" | "trunc", [_, None | Some(Sort::Value(Int2 | Int4))]) => {
            let function = if name == "round" { Scalar::Round } else { Scalar::Trunc };
            Some(Signature { function, takes: vec![Sort::Value(Numeric), Sort::Value(Int4)], gives: Numeric })
        }
        _ => None,
    }
}

pub(super) fn apply(function: Scalar, of: PlainType, arguments: &[&[u8]], out: &mut Vec<u8>) -> Result<()> {
    match (of, arguments) {
        (Numeric, [one]) => numeric_of_one(function, &Number::load(one)?, 0, out),
        (Numeric, [one, scale]) if matches!(function, Scalar::Round | Scalar::Trunc) => {
            numeric_of_one(function, &Number::load(one)?, int4(scale)?.into(), out)
        }
        (Numeric, [left, right]) => numerics(function, Number::load(left)?, Number::load(right)?)?.store(out),
        (_, [one]) => {
            let value = i128::from(load_int(of, one)?);
            store(of, if function == Scalar::Abs { value.abs() } else { -value }, out)
        }
        (_, [left, right]) => integers(function, of, load_int(of, left)?.into(), load_int(of, right)?.into(), out),
        _ => Err(ValueError::corrupt(of)),
    }
}

fn store(of: PlainType, value: i128, out: &mut Vec<u8>) -> Result<()> {
    let value = i64::try_from(value).map_err(|_| ValueError::out_of_range(of.sql_name()))?;
    store_int(of, value, out)
}

fn by_zero() -> ValueError {
    ValueError::new(SqlState("22012"), "division by zero")
}

fn integers(function: Scalar, of: PlainType, left: i128, right: i128, out: &mut Vec<u8>) -> Result<()> {
    let value = match function {
        Scalar::Plus => left + right,
        Scalar::Minus => left - right,
        Scalar::Times => left * right,
        Scalar::Over => left.checked_div(right).ok_or_else(by_zero)?,
        _ => left.checked_rem(right).ok_or_else(by_zero)?,
    };
    store(of, value, out)
}

/// A numeric.
enum Number {
    Finite(Decimal),
    NaN,
    /// With `true` the negative one.
    Infinite(bool),
}

impl Number {
    fn load(stored: &[u8]) -> Result<Number> {
        let view = View::stored(stored)?;
        Ok(match view.sign {
            NAN => Number::NaN,
            INFINITY => Number::Infinite(false),
            MINUS_INFINITY => Number::Infinite(true),
            _ => Number::Finite(Decimal::of(&view)),
        })
    }

    fn store(&self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Number::NaN => numeric::push_special(NAN, out),
            Number::Infinite(negative) => {
                numeric::push_special(if *negative { MINUS_INFINITY } else { INFINITY }, out);
            }
            Number::Finite(value) => return value.store(out),
        }
        Ok(())
    }

    fn sign(&self) -> i32 {
        match self {
            Number::Finite(value) => value.sign(),
            Number::NaN => 0,
            Number::Infinite(negative) => 1 - 2 * i32::from(*negative),
        }
    }

    fn negated(self) -> Number {
        match self {
            Number::Finite(value) => Number::Finite(value.negated()),
            Number::NaN => Number::NaN,
            Number::Infinite(negative) => Number::Infinite(!negative),
        }
    }
}

fn numeric_of_one(function: Scalar, value: &Number, scale: i64, out: &mut Vec<u8>) -> Result<()> {
    let value = match (function, value) {
        (Scalar::Abs, Number::Infinite(_)) => Number::Infinite(false),
        (Scalar::Sign, Number::Infinite(_)) => Number::Finite(Decimal::of_int(value.sign().into())),
        (Scalar::Negative, Number::Infinite(negative)) => Number::Infinite(!negative),
        (_, Number::NaN) => Number::NaN,
        (_, Number::Infinite(negative)) => Number::Infinite(*negative),
        (_, Number::Finite(value)) => Number::Finite(finite(function, value.clone(), scale)),
    };
    value.store(out)
}

fn finite(function: Scalar, value: Decimal, scale: i64) -> Decimal {
    let sign = value.sign();
    let scale = scale.clamp(-MAX_SCALE, MAX_SCALE);
    match function {
        Scalar::Negative => value.negated(),
        Scalar::Abs if sign < 0 => value.negated(),
        Scalar::Sign => Decimal::of_int(sign.into()),
        Scalar::Round => value.rounded(scale),
        Scalar::Trunc => value.truncated(scale),
        Scalar::Ceil | Scalar::Floor => {
            let whole = value.clone().truncated(0);
            let rest = value.minus(&whole).sign();
            match (function, rest) {
                (Scalar::Ceil, 1) => whole.plus(&Decimal::of_int(1)),
                (Scalar::Floor, -1) => whole.minus(&Decimal::of_int(1)),
                _ => whole,
            }
        }
        _ => value,
    }
}

fn numerics(function: Scalar, left: Number, right: Number) -> Result<Number> {
    use Number::{Finite, Infinite, NaN};
    if let (Finite(left), Finite(right)) = (&left, &right) {
        if !matches!(function, Scalar::Plus | Scalar::Minus) && left.len() + right.len() > MAX_GROUPS {
            return Err(ValueError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "numbers of so many digits are not multiplied or divided",
            ));
        }
        let by_zero = || if right.sign() == 0 { Err(by_zero()) } else { Ok(()) };
        return Ok(Finite(match function {
            Scalar::Plus => left.plus(right),
            Scalar::Minus => left.minus(right),
            Scalar::Times => match left.times(right) {
                long if long.scale() > MAX_SHOWN => long.rounded(MAX_SHOWN),
                product => product,
            },
            Scalar::Over => by_zero().map(|()| left.divided(right))?,
            _ => by_zero().map(|()| left.remainder(right))?,
        }));
    }
    let signs = left.sign() * right.sign();
    Ok(match (function, left, right) {
        (_, NaN, _) | (_, _, NaN) => NaN,
        (Scalar::Minus, left, right) => numerics(Scalar::Plus, left, right.negated())?,
        (Scalar::Plus, Infinite(left), Infinite(right)) if left != right => NaN,
        (Scalar::Plus, Infinite(negative), _) | (Scalar::Plus, _, Infinite(negative)) => Infinite(negative),
        (Scalar::Times, ..) if signs == 0 => NaN,
        (Scalar::Times, ..) => Infinite(signs < 0),
        (Scalar::Over, Infinite(_), Infinite(_)) => NaN,
        (Scalar::Over, Infinite(_), _) if signs == 0 => return Err(by_zero()),
        (Scalar::Over, Infinite(_), _) => Infinite(signs < 0),
        (Scalar::Over, ..) => Finite(Decimal::of_int(0)),
        (_, Infinite(_), Finite(zero)) if zero.sign() == 0 => return Err(by_zero()),
        (_, Infinite(_), _) => NaN,
        (_, left, _) => left,
    })
}
