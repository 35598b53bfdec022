//! Decimals of any length, computed with as PostgreSQL does: sums, products and differences are exact, quotients and roots
//! rounded half away from zero at a scale that PostgreSQL's rules give.

use std::cmp::Ordering;

use crate::wire::value::error::Result;
use crate::wire::value::numeric::{self, NEGATIVE, View};

const BASE: u16 = 10_000;
/// Decimal digits of a group.
const WIDTH: i64 = 4;
/// Digits that a quotient has at least.
const MIN_SIGNIFICANT: i64 = 16;
/// Fractional digits that a quotient has at most.
const MAX_DISPLAY: i64 = 1000;

/// A number: groups of four decimal digits, the highest first, without zero groups at the ends.
#[derive(Clone, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Debug))]
pub(in crate::wire::value) struct Decimal {
    negative: bool,
    /// Of the first group; 0 is that of units.
    weight: i64,
    groups: Vec<u16>,
    /// Fractional digits that are shown.
    scale: i64,
}

impl Decimal {
    fn new(negative: bool, mut weight: i64, mut groups: Vec<u16>, scale: i64) -> Decimal {
        let leading = groups.iter().take_while(|g| **g == 0).count();
        groups.drain(..leading);
        weight -= leading as i64;
        let kept = groups.iter().rposition(|g| *g != 0).map_or(0, |last| last + 1);
        groups.truncate(kept);
        match groups.is_empty() {
            true => Decimal { scale, ..Decimal::default() },
            false => Decimal { negative, weight, groups, scale },
        }
    }

    pub(in crate::wire::value) fn of(view: &View<'_>) -> Decimal {
        Decimal::new(view.sign == NEGATIVE, view.weight.into(), view.groups().collect(), view.dscale.into())
    }

    pub(in crate::wire::value) fn of_int(value: i128) -> Decimal {
        let mut rest = value.unsigned_abs();
        let mut groups = Vec::with_capacity(10);
        while rest > 0 {
            groups.push((rest % u128::from(BASE)) as u16);
            rest /= u128::from(BASE);
        }
        groups.reverse();
        Decimal::new(value < 0, groups.len() as i64 - 1, groups, 0)
    }

    pub(super) fn is_positive(&self) -> bool {
        !self.negative && !self.groups.is_empty()
    }

    /// Groups that it has.
    pub(in crate::wire::value) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Groups from its first one to its last place.
    pub(super) fn extent(&self) -> i64 {
        (self.weight + 1).max(0) + (self.scale + WIDTH - 1) / WIDTH
    }

    /// Appends the stored form.
    ///
    /// # Errors
    /// 22003 for a number that is too long.
    pub(in crate::wire::value) fn store(&self, out: &mut Vec<u8>) -> Result<()> {
        let sign = if self.negative { NEGATIVE } else { 0 };
        numeric::push(sign, self.weight, self.scale, self.groups.iter().copied(), out)
    }

    pub(in crate::wire::value) fn times(&self, other: &Decimal) -> Decimal {
        let mut slots = vec![0u64; self.len() + other.len()];
        for (i, a) in self.groups.iter().enumerate() {
            for (j, b) in other.groups.iter().enumerate() {
                // At most 10^8 for each of at most 32,768 groups.
                slots[i + j + 1] += u64::from(*a) * u64::from(*b);
            }
        }
        let mut carry = 0;
        for slot in slots.iter_mut().rev() {
            let value = *slot + carry;
            carry = value / u64::from(BASE);
            *slot = value % u64::from(BASE);
        }
        let groups = slots.into_iter().map(|slot| slot as u16).collect();
        let negative = self.negative != other.negative;
        Decimal::new(negative, self.weight + other.weight + 1, groups, self.scale + other.scale)
    }

    pub(in crate::wire::value) fn minus(&self, other: &Decimal) -> Decimal {
        let mut sum = Sum::default();
        sum.add(self, self.negative);
        sum.add(other, !other.negative);
        sum.total()
    }

    pub(in crate::wire::value) fn plus(&self, other: &Decimal) -> Decimal {
        let mut sum = Sum::default();
        sum.add(self, self.negative);
        sum.add(other, other.negative);
        sum.total()
    }

    pub(in crate::wire::value) fn negated(self) -> Decimal {
        Decimal { negative: !self.negative && !self.groups.is_empty(), ..self }
    }

    /// -1, 0 or 1
    pub(in crate::wire::value) fn sign(&self) -> i32 {
        match (self.groups.is_empty(), self.negative) {
            (true, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }

    /// Fractional digits that are shown.
    pub(in crate::wire::value) fn scale(&self) -> i64 {
        self.scale
    }

    /// The number at this scale, rounded half away from zero; digits before the point where it is negative.
    pub(in crate::wire::value) fn rounded(self, scale: i64) -> Decimal {
        Decimal { scale: scale.max(0), ..round(self.negative, self.weight, self.groups, scale) }
    }

    /// The same, with what is left over cut away.
    pub(in crate::wire::value) fn truncated(mut self, scale: i64) -> Decimal {
        let kept = usize::try_from((self.weight + 1) * WIDTH + scale).unwrap_or(0);
        let (index, within) = (kept / 4, kept % 4);
        if index < self.groups.len() {
            self.groups[index] -= self.groups[index] % [BASE, 1000, 100, 10][within];
            self.groups.truncate(index + 1);
        }
        Decimal::new(self.negative, self.weight, self.groups, scale.max(0))
    }

    /// The quotient by a number that is not 0, at the scale that PostgreSQL's division gives it.
    pub(in crate::wire::value) fn divided(&self, by: &Decimal) -> Decimal {
        let scale = self.scale_over(by).max(by.scale).min(MAX_DISPLAY);
        self.quotient(by, scale).rounded(scale)
    }

    /// What is left of the division by a number that is not 0.
    pub(in crate::wire::value) fn remainder(&self, by: &Decimal) -> Decimal {
        let scale = self.scale.max(by.scale);
        let whole = self.quotient(by, 0).truncated(0);
        Decimal { scale, ..self.minus(&whole.times(by)) }
    }

    /// The quotient with more than `scale` digits behind the point, cut off where they end.
    fn quotient(&self, by: &Decimal, scale: i64) -> Decimal {
        let weight = self.weight - by.weight;
        let count = usize::try_from(weight + 1 + (scale + WIDTH - 1) / WIDTH + 2).unwrap_or(0);
        let (base, length) = (i64::from(BASE), by.len());
        // The first group of the divisor is made half of the base or more, so that a guess is at most two too high.
        let factor = base / (i64::from(by.groups[0]) + 1);
        let grown = |groups: &mut dyn DoubleEndedIterator<Item = u16>| {
            let mut carry = 0;
            let mut grown: Vec<i64> = Vec::new();
            for group in groups.rev() {
                carry += i64::from(group) * factor;
                grown.push(carry % base);
                carry /= base;
            }
            grown.push(carry);
            grown.reverse();
            grown
        };
        let divisor = grown(&mut by.groups.iter().copied())[1..].to_vec();
        let mut padded = self.groups.clone();
        padded.resize((count + length).max(padded.len()), 0);
        let mut rest = grown(&mut padded.into_iter());
        let mut groups = Vec::with_capacity(count);
        for at in 0..count {
            let high = rest[at] * base + rest[at + 1];
            let mut guess = (high / divisor[0]).min(base - 1);
            let mut carry = 0;
            for (slot, group) in rest[at..=at + length].iter_mut().rev().zip(divisor.iter().rev().chain([&0])) {
                let value = *slot - guess * group + carry;
                *slot = value.rem_euclid(base);
                carry = value.div_euclid(base);
            }
            while carry < 0 {
                guess -= 1;
                let mut over = 0;
                for (slot, group) in rest[at..=at + length].iter_mut().rev().zip(divisor.iter().rev().chain([&0])) {
                    let value = *slot + group + over;
                    *slot = value % base;
                    over = value / base;
                }
                carry += over;
            }
            groups.push(guess as u16);
        }
        // Whatever is left does not change how it is rounded but where it lies on the half: then the digits end here.
        let negative = self.negative != by.negative;
        Decimal::new(negative, weight, groups, scale + 2 * WIDTH)
    }

    /// The quotient, at the scale that PostgreSQL's division gives it.
    pub(super) fn over(&self, divisor: u128) -> Decimal {
        let scale = self.quotient_scale(divisor);
        let count = self.weight + 1 + (scale + WIDTH - 1) / WIDTH + 1;
        let mut rest = 0;
        let mut groups = Vec::new();
        for at in 0..usize::try_from(count).unwrap_or(0) {
            rest = rest * u128::from(BASE) + u128::from(self.groups.get(at).copied().unwrap_or(0));
            groups.push((rest / divisor) as u16);
            rest %= divisor;
        }
        round(self.negative, self.weight, groups, scale)
    }

    /// As select_div_scale in PostgreSQL's numeric.c.
    fn quotient_scale(&self, divisor: u128) -> i64 {
        self.scale_over(&Decimal::of_int(divisor as i128)).clamp(0, MAX_DISPLAY)
    }

    fn scale_over(&self, by: &Decimal) -> i64 {
        let first = |d: &Decimal| d.groups.first().copied().unwrap_or(0);
        let mut weight = self.weight - by.weight;
        if first(self) <= first(by) {
            weight -= 1;
        }
        (MIN_SIGNIFICANT - weight * WIDTH).max(self.scale).max(0)
    }

    /// The square root of a positive number, at its own scale.
    pub(super) fn root(&self) -> Decimal {
        let scale = self.scale;
        // One more digit decides how the last one is rounded.
        let length = (self.weight + 1) * WIDTH + 2 * (scale + 1);
        let mut digits = self.groups.iter().flat_map(|g| [g / 1000, g / 100 % 10, g / 10 % 10, g % 10]);
        let mut found = Vec::new();
        let (mut rest, mut odd) = (Long::default(), Long(vec![1]));
        for _ in 0..length / 2 {
            rest.push(digits.next().unwrap_or(0) as u8);
            rest.push(digits.next().unwrap_or(0) as u8);
            let mut digit = 0;
            while rest.cmp(&odd) != Ordering::Less {
                rest.subtract(&odd);
                odd.add_two();
                digit += 1;
            }
            odd.next_place();
            found.push(digit);
        }
        // The root's digits end at the place `scale + 1` behind the point: to groups of four.
        let fraction = scale + 1;
        found.resize(found.len() + (WIDTH - 1 - (fraction - 1).rem_euclid(WIDTH)) as usize, 0);
        let behind = (fraction + WIDTH - 1) / WIDTH;
        let padding = (WIDTH as usize - found.len() % WIDTH as usize) % WIDTH as usize;
        let mut all = vec![0; padding];
        all.append(&mut found);
        let groups: Vec<u16> = all.chunks_exact(4).map(|c| c.iter().fold(0, |n, d| n * 10 + d)).collect();
        round(false, groups.len() as i64 - behind - 1, groups, scale)
    }
}

/// The number with no more than `scale` fractional digits, rounded half away from zero.
fn round(negative: bool, mut weight: i64, mut groups: Vec<u16>, scale: i64) -> Decimal {
    let kept = (weight + 1) * WIDTH + scale;
    let Ok(kept) = usize::try_from(kept) else { return Decimal { scale, ..Decimal::default() } };
    let (index, within) = (kept / 4, kept % 4);
    if index < groups.len() {
        let unit = [BASE, 1000, 100, 10][within];
        let cut = groups[index] % unit;
        groups.truncate(index + 1);
        groups[index] -= cut;
        let mut carry = cut >= unit / 2;
        if carry && within > 0 {
            groups[index] += unit;
            carry = groups[index] == BASE;
        }
        if within == 0 || carry {
            groups[index] = 0;
        }
        for group in groups[..index].iter_mut().rev() {
            if !carry {
                break;
            }
            carry = *group + 1 == BASE;
            *group = if carry { 0 } else { *group + 1 };
        }
        if carry {
            groups.insert(0, 1);
            weight += 1;
        }
    }
    Decimal::new(negative, weight, groups, scale)
}

/// An exact sum of decimals.
#[derive(Default)]
pub(super) struct Sum {
    /// By weight, from `low` on. Each may be of either sign and above the base.
    slots: Vec<i64>,
    low: i64,
    scale: i64,
}

impl Sum {
    /// Adds the absolute value, or takes it away.
    pub(super) fn add(&mut self, value: &Decimal, negative: bool) {
        self.scale = self.scale.max(value.scale);
        let low = value.weight + 1 - value.len() as i64;
        if value.groups.is_empty() {
            return;
        }
        if self.slots.is_empty() {
            self.low = low;
        }
        if low < self.low {
            let more = usize::try_from(self.low - low).unwrap_or(0);
            self.slots.splice(0..0, std::iter::repeat_n(0, more));
            self.low = low;
        }
        let first = usize::try_from(low - self.low).unwrap_or(0);
        if self.slots.len() < first + value.len() {
            self.slots.resize(first + value.len(), 0);
        }
        for (slot, group) in self.slots[first..].iter_mut().zip(value.groups.iter().rev()) {
            // 9,999 at most for each value: no number of values that fits in memory overflows it.
            *slot += if negative { -i64::from(*group) } else { i64::from(*group) };
        }
    }

    /// Adds a number with its sign.
    pub(super) fn add_signed(&mut self, value: &Decimal) {
        self.add(value, value.negative);
    }

    pub(super) fn total(&self) -> Decimal {
        let base = i64::from(BASE);
        let mut groups: Vec<u16> = Vec::with_capacity(self.slots.len() + 4);
        let mut carry = 0;
        for slot in &self.slots {
            let value = slot + carry;
            groups.push(value.rem_euclid(base) as u16);
            carry = value.div_euclid(base);
        }
        while !matches!(carry, 0 | -1) {
            groups.push(carry.rem_euclid(base) as u16);
            carry = carry.div_euclid(base);
        }
        let negative = carry == -1;
        if negative {
            // What lacks to the next power of the base.
            let mut borrow = 0;
            for group in &mut groups {
                let value = i64::from(*group) + borrow;
                *group = (-value).rem_euclid(base) as u16;
                borrow = i64::from(value > 0);
            }
            if borrow == 0 {
                groups.push(1);
            }
        }
        let weight = self.low + groups.len() as i64 - 1;
        groups.reverse();
        Decimal::new(negative, weight, groups, self.scale)
    }
}

/// A whole number by its decimal digits, the highest first.
#[derive(Default)]
struct Long(Vec<u8>);

impl Long {
    fn push(&mut self, digit: u8) {
        if digit > 0 || !self.0.is_empty() {
            self.0.push(digit);
        }
    }

    fn cmp(&self, other: &Long) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }

    /// Takes away a number that is not greater.
    fn subtract(&mut self, other: &Long) {
        let mut borrow = 0;
        let mut others = other.0.iter().rev();
        for digit in self.0.iter_mut().rev() {
            let taken = others.next().copied().unwrap_or(0) + borrow;
            borrow = u8::from(*digit < taken);
            *digit = *digit + 10 * borrow - taken;
        }
        let leading = self.0.iter().take_while(|d| **d == 0).count();
        self.0.drain(..leading);
    }

    /// Adds two to an odd number.
    fn add_two(&mut self) {
        let mut carry = 2;
        for digit in self.0.iter_mut().rev() {
            let sum = *digit + carry;
            *digit = sum % 10;
            carry = sum / 10;
            if carry == 0 {
                return;
            }
        }
        self.0.insert(0, carry);
    }

    /// From `20 p + 1` to `200 p + 1`, of an odd number.
    fn next_place(&mut self) {
        if let Some(last) = self.0.last_mut() {
            *last -= 1;
        }
        if self.0 == [0] {
            self.0.clear();
        }
        self.0.push(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        let mut stored = Vec::new();
        numeric::parse(text, &mut stored).expect("a number");
        Decimal::of(&View::stored(&stored).expect("stored"))
    }

    fn shown(value: &Decimal) -> String {
        let (mut stored, mut out) = (Vec::new(), Vec::new());
        value.store(&mut stored).and_then(|()| numeric::print(&stored, &mut out)).expect("in range");
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn sums() {
        for (values, want) in [
            (&["1.5", "-2.25", "0.75"][..], "0.00"),
            (&["-1"], "-1"),
            (&["-10000"], "-10000"),
            (&["9999", "1"], "10000"),
            (&["1e30", "1e-30", "-1e30"], "0.000000000000000000000000000001"),
            (&["-99999999", "-1"], "-100000000"),
            (&["-0.0001", "0.00005"], "-0.00005"),
            (&["123456789.987654321", "-123456789.987654322"], "-0.000000001"),
            (&[], "0"),
        ] {
            let mut sum = Sum::default();
            values.iter().for_each(|v| sum.add_signed(&decimal(v)));
            assert_eq!(shown(&sum.total()), want, "{values:?}");
        }
    }

    /// As PostgreSQL's `/` gives.
    #[test]
    fn quotients() {
        for (dividend, divisor, want) in [
            ("10", 3, "3.3333333333333333"),
            ("1", 3, "0.33333333333333333333"),
            ("2", 3, "0.66666666666666666667"),
            ("-2", 3, "-0.66666666666666666667"),
            ("0", 3, "0.00000000000000000000"),
            ("100000", 7, "14285.714285714286"),
            ("99999", 99998, "1.00001000020000400008"),
            ("1.000000000000000000000000001", 2, "0.500000000000000000000000001"),
            ("1e-10", 3, "0.0000000000333333333333333333"),
        ] {
            assert_eq!(shown(&decimal(dividend).over(divisor)), want, "{dividend} / {divisor}");
        }
    }

    #[test]
    fn roots() {
        for (value, want) in [
            ("4", "2"),
            ("2.0000000000000000", "1.4142135623730950"),
            ("0.0001", "0.0100"),
            ("1000000", "1000"),
            ("99980001", "9999"),
            ("0.00000000000000000002", "0.00000000014142135624"),
            ("15241578750190521.000", "123456789.000"),
            ("2.25", "1.50"),
            ("0.5", "0.7"),
            ("999999999999.9", "1000000.0"),
        ] {
            assert_eq!(shown(&decimal(value).root()), want, "root of {value}");
        }
    }

    #[test]
    fn products() {
        for (a, b, want) in [
            ("99999999", "-99999999", "-9999999800000001"),
            ("0.00001", "0.00001", "0.0000000001"),
            ("0", "5.25", "0.00"),
            ("1.50", "2", "3.00"),
        ] {
            assert_eq!(shown(&decimal(a).times(&decimal(b))), want, "{a} * {b}");
        }
    }
}
