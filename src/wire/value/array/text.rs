//! Array literals: `{a,"b c",NULL}`, nested braces, bounds.

use zeroize::Zeroizing;

use super::{Array, Dimensions, MAX_DIMENSIONS, too_many_dimensions};
use crate::wire::sqlstate::SqlState;
use crate::wire::value::error::{ARRAY_SUBSCRIPT_ERROR, Result, ValueError};
use crate::wire::value::plain::Oid;
use crate::wire::value::scan::is_space;
use crate::wire::value::{Format, PlainType, Settings, read_operand};

/// Reads a literal. `element`: the elements' declared type, if any.
pub(super) fn read_text(plain: PlainType, element: Option<Oid>, text: &str, settings: &Settings) -> Result<Array> {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0 };
    let bounds = scanner.bounds()?;
    let mut shape = Shape::default();
    let mut array = Array::default();
    let mut scratch = Zeroizing::new(Vec::new());
    scanner.skip_blanks();
    if scanner.peek() != Some(b'{') {
        return Err(malformed());
    }
    loop {
        scanner.skip_blanks();
        match scanner.peek() {
            Some(b'{') => {
                scanner.at += 1;
                shape.open()?;
            }
            Some(b'}') => {
                scanner.at += 1;
                shape.close()?;
            }
            _ => {
                shape.element()?;
                let null = scanner.element(&mut scratch)?;
                let value = &scratch;
                let read = |out: &mut Vec<u8>| {
                    read_operand(plain, element.unwrap_or(0), None, Format::Text, value, settings, out)
                };
                array.push((!null).then_some(read))?;
            }
        }
        if shape.is_closed() {
            break;
        }
        scanner.skip_blanks();
        if scanner.peek() == Some(b',') {
            scanner.at += 1;
            shape.comma()?;
        } else if !shape.may_go_on(scanner.peek()) {
            return Err(malformed());
        }
    }
    scanner.skip_blanks();
    if scanner.peek().is_some() || bounds.as_ref().is_some_and(|bounds| !shape.matches(bounds)) {
        return Err(malformed());
    }
    array.dimensions = shape.dimensions(&bounds.unwrap_or_default())?;
    Ok(array)
}

/// What the last token was.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    #[default]
    Open,
    Item,
    Comma,
}

/// The braces so far: arrays must be rectangular, elements all on one level.
#[derive(Default)]
struct Shape {
    /// Items seen so far on each open level.
    open: Vec<i64>,
    /// Length of each level, once one of its arrays was closed.
    lengths: [Option<i64>; MAX_DIMENSIONS],
    /// Level that elements stand on.
    leaf: Option<usize>,
    last: Last,
    closed: bool,
}

impl Shape {
    fn open(&mut self) -> Result<()> {
        if self.closed || (self.last == Last::Item) || self.leaf.is_some_and(|leaf| self.open.len() >= leaf) {
            return Err(malformed());
        }
        if self.open.len() == MAX_DIMENSIONS {
            return Err(too_many_dimensions());
        }
        if let Some(items) = self.open.last_mut() {
            *items += 1;
        }
        self.open.push(0);
        self.last = Last::Open;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let items = self.open.pop().filter(|_| self.last != Last::Comma).ok_or_else(malformed)?;
        let level = self.open.len();
        // Only the outermost array may be empty.
        if items == 0 && level > 0 {
            return Err(malformed());
        }
        if *self.lengths[level].get_or_insert(items) != items {
            return Err(malformed());
        }
        self.last = Last::Item;
        self.closed = level == 0;
        Ok(())
    }

    fn element(&mut self) -> Result<()> {
        let level = self.open.len();
        if self.last == Last::Item || level == 0 || *self.leaf.get_or_insert(level) != level {
            return Err(malformed());
        }
        self.open[level - 1] += 1;
        self.last = Last::Item;
        Ok(())
    }

    fn comma(&mut self) -> Result<()> {
        if self.last != Last::Item {
            return Err(malformed());
        }
        self.last = Last::Comma;
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the next token may stand here without a comma.
    fn may_go_on(&self, next: Option<u8>) -> bool {
        next.is_some() && (self.last != Last::Item || next == Some(b'}'))
    }

    fn matches(&self, bounds: &[(i64, i32)]) -> bool {
        bounds.len() == self.lengths.iter().flatten().count()
            && bounds.iter().zip(self.lengths).all(|((want, _), have)| Some(*want) == have)
    }

    /// With the lower bounds that were written, or from 1.
    fn dimensions(&self, bounds: &[(i64, i32)]) -> Result<Dimensions> {
        let lower = |level: usize| bounds.get(level).map_or(1, |(_, lower)| *lower);
        let one = |(level, length): (usize, &i64)| i32::try_from(*length).map(|length| (length, lower(level)));
        let dimensions = self.lengths.iter().flatten().enumerate().map(one).collect::<std::result::Result<_, _>>();
        Dimensions::new(dimensions.map_err(|_| malformed())?)
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn integer(&mut self) -> Result<i64> {
        let start = self.at;
        if matches!(self.peek(), Some(b'+' | b'-')) {
            self.at += 1;
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| malformed())?;
        digits.parse::<i32>().map(i64::from).map_err(|_| malformed())
    }

    /// `[1:3][1:2]=`, giving lengths and lower bounds, or nothing.
    fn bounds(&mut self) -> Result<Option<Vec<(i64, i32)>>> {
        let mut lengths = Vec::new();
        self.skip_blanks();
        while self.peek() == Some(b'[') {
            if lengths.len() == MAX_DIMENSIONS {
                return Err(too_many_dimensions());
            }
            self.at += 1;
            let first = self.integer()?;
            let (lower, upper) = if self.peek() == Some(b':') {
                self.at += 1;
                (first, self.integer()?)
            } else {
                (1, first)
            };
            if self.peek() != Some(b']') {
                return Err(malformed());
            }
            self.at += 1;
            if upper < lower {
                let message = "upper bound cannot be less than lower bound";
                return Err(ValueError::new(ARRAY_SUBSCRIPT_ERROR, message));
            }
            lengths.push((upper - lower + 1, i32::try_from(lower).map_err(|_| malformed())?));
            self.skip_blanks();
        }
        if lengths.is_empty() {
            return Ok(None);
        }
        if self.peek() != Some(b'=') {
            return Err(malformed());
        }
        self.at += 1;
        Ok(Some(lengths))
    }

    /// One element, unescaped into `out`. True for NULL.
    fn element(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        out.clear();
        if self.peek() == Some(b'"') {
            self.quoted(out)?;
            return Ok(false);
        }
        let mut escaped = false;
        let mut kept = 0;
        loop {
            match self.peek().ok_or_else(malformed)? {
                b',' | b'}' => break,
                b'"' | b'{' => return Err(malformed()),
                b'\\' => {
                    self.at += 1;
                    out.push(self.peek().ok_or_else(malformed)?);
                    escaped = true;
                    kept = out.len();
                }
                byte => {
                    out.push(byte);
                    if !is_space(byte) {
                        kept = out.len();
                    }
                }
            }
            self.at += 1;
        }
        out.truncate(kept);
        if out.is_empty() {
            return Err(malformed());
        }
        Ok(!escaped && out.eq_ignore_ascii_case(b"null"))
    }

    fn quoted(&mut self, out: &mut Vec<u8>) -> Result<()> {
        loop {
            self.at += 1;
            match self.peek().ok_or_else(malformed)? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    out.push(self.peek().ok_or_else(malformed)?);
                }
                byte => out.push(byte),
            }
        }
        self.at += 1;
        Ok(())
    }
}

fn malformed() -> ValueError {
    ValueError::new(SqlState::INVALID_TEXT_REPRESENTATION, "malformed array literal")
}
