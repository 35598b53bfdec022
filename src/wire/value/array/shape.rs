//! Lengths and lower bounds of arrays, and the forms that they give them.

use zeroize::Zeroizing;

use crate::wire::sqlstate::SqlState;
use crate::wire::value::error::{Result, ValueError};
use crate::wire::value::plain::Oid;
use crate::wire::value::scan::is_space;

/// Length and lower bound of each dimension; none of an empty array.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dimensions(Vec<(i32, i32)>);

impl Dimensions {
    /// Of lengths, none negative, and lower bounds. A length of 0 makes an empty array, which has no dimensions.
    ///
    /// # Errors
    /// What follows the last element has no number.
    pub(super) fn new(dimensions: Vec<(i32, i32)>) -> Result<Dimensions> {
        if dimensions.iter().any(|(length, lower)| lower.checked_add(*length).is_none()) {
            return Err(ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "array lower bound is too large"));
        }
        let empty = dimensions.iter().any(|(length, _)| *length == 0);
        Ok(if empty { Dimensions::default() } else { Dimensions(dimensions) })
    }

    /// One dimension from 1.
    ///
    /// # Panics
    /// With more elements than a message has bytes.
    pub fn one(length: usize) -> Dimensions {
        let length = i32::try_from(length).expect("elements of one message");
        Dimensions::new(vec![(length, 1)]).expect("elements of one message")
    }

    /// How many elements there are; `usize::MAX` if they cannot be counted.
    pub fn count(&self) -> usize {
        if self.0.is_empty() { 0 } else { self.block(0) }
    }

    /// Elements of one array of this level.
    fn block(&self, level: usize) -> usize {
        self.0[level..]
            .iter()
            .fold(1, |count: usize, (length, _)| count.saturating_mul(usize::try_from(*length).unwrap_or(usize::MAX)))
    }

    /// Appends what stands before the elements in binary form.
    pub fn send(&self, element: Oid, nulls: bool, out: &mut Vec<u8>) {
        let count = i32::try_from(self.0.len()).expect("a few dimensions");
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&i32::from(nulls).to_be_bytes());
        out.extend_from_slice(&element.to_be_bytes());
        for (length, lower) in &self.0 {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&lower.to_be_bytes());
        }
    }

    /// Appends an array as text. `next` appends the text of the next element, or says that it is NULL by `false`.
    ///
    /// # Errors
    /// Those of `next`.
    pub fn print<E>(
        &self,
        out: &mut Vec<u8>,
        mut next: impl FnMut(&mut Vec<u8>) -> std::result::Result<bool, E>,
    ) -> std::result::Result<(), E> {
        if self.0.is_empty() {
            out.extend_from_slice(b"{}");
            return Ok(());
        }
        if self.0.iter().any(|(_, lower)| *lower != 1) {
            for (length, lower) in &self.0 {
                out.extend_from_slice(format!("[{lower}:{}]", lower + length - 1).as_bytes());
            }
            out.push(b'=');
        }
        let blocks: Vec<usize> = (0..self.0.len()).map(|level| self.block(level)).collect();
        let mut printed = Zeroizing::new(Vec::new());
        for index in 0..self.count() {
            if index > 0 {
                out.push(b',');
            }
            blocks.iter().filter(|block| index % **block == 0).for_each(|_| out.push(b'{'));
            printed.clear();
            match next(&mut printed)? {
                true => push_element(&printed, out),
                false => out.extend_from_slice(b"NULL"),
            }
            blocks.iter().filter(|block| (index + 1) % **block == 0).for_each(|_| out.push(b'}'));
        }
        Ok(())
    }
}

fn push_element(text: &[u8], out: &mut Vec<u8>) {
    let special = |b: &u8| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(*b);
    if !text.is_empty() && !text.eq_ignore_ascii_case(b"null") && !text.iter().any(special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
