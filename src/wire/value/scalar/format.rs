//! `format`: texts where `%s`, `%2$s` and `%-10s` stand. As text_format in PostgreSQL's varlena.c.

use crate::wire::value::error::{INVALID_PARAMETER_VALUE, Result, ValueError};

/// Appends the format with its arguments.
pub(super) fn apply(format: &str, arguments: &[&str], most: usize, out: &mut Vec<u8>) -> Result<()> {
    let mut rest = Rest(format);
    let mut next = 0;
    while let Some(at) = rest.0.find('%') {
        out.extend_from_slice(&rest.0.as_bytes()[..at]);
        rest.0 = &rest.0[at + 1..];
        if rest.peek()? == '%' {
            rest.0 = &rest.0[1..];
            out.push(b'%');
            continue;
        }
        let Place { argument, left, width } = rest.place()?;
        next = argument.unwrap_or(next);
        let text = arguments.get(next).ok_or_else(|| wrong("too few arguments for format()"))?;
        next += 1;
        let lacking = width.saturating_sub(text.chars().count());
        if out.len() + text.len() + lacking > most {
            return Err(super::text::too_long());
        }
        let blanks = |out: &mut Vec<u8>| out.resize(out.len() + lacking, b' ');
        if !left {
            blanks(out);
        }
        out.extend_from_slice(text.as_bytes());
        if left {
            blanks(out);
        }
    }
    out.extend_from_slice(rest.0.as_bytes());
    Ok(())
}

/// Where an argument stands.
struct Place {
    /// Which one, counted from 0; else the next.
    argument: Option<usize>,
    left: bool,
    width: usize,
}

/// What of the format follows.
struct Rest<'f>(&'f str);

impl Rest<'_> {
    fn peek(&self) -> Result<char> {
        self.0.chars().next().ok_or_else(|| wrong("unterminated format() type specifier"))
    }

    /// A number, after which something stands.
    fn number(&mut self) -> Result<Option<usize>> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        let number: i32 = digits.parse().map_err(|_| ValueError::out_of_range("number"))?;
        self.0 = rest;
        self.peek()?;
        Ok(usize::try_from(number).ok())
    }

    /// What stands after `%`, to its end.
    fn place(&mut self) -> Result<Place> {
        let mut place = Place { argument: None, left: false, width: 0 };
        let first = self.number()?;
        match (first, self.peek()?) {
            (Some(0), '$') => {
                return Err(wrong("format specifies argument 0, but arguments are numbered from 1"));
            }
            (Some(number), '$') => {
                place.argument = Some(number - 1);
                self.0 = &self.0[1..];
                self.flags(&mut place)?;
            }
            (Some(width), _) => place.width = width,
            (None, _) => self.flags(&mut place)?,
        }
        let kind = self.peek()?;
        match kind {
            's' => {}
            'I' | 'L' | '*' => {
                let what = format!("%{kind} in format()");
                return Err(ValueError::unsupported(&what, "Write %s, and a width as a number."));
            }
            _ => return Err(wrong("unrecognized format() type specifier")),
        }
        self.0 = &self.0[1..];
        Ok(place)
    }

    fn flags(&mut self, place: &mut Place) -> Result<()> {
        while self.peek()? == '-' {
            place.left = true;
            self.0 = &self.0[1..];
        }
        place.width = self.number()?.unwrap_or(0);
        Ok(())
    }
}

fn wrong(message: &'static str) -> ValueError {
    ValueError::new(INVALID_PARAMETER_VALUE, message)
}
