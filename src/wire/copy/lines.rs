//! Lines of text and CSV, as `CopyReadLineText` finds them.

use memchr::{memchr_iter, memchr2, memchr3};

use super::{CopyError, Dialect, Header, Kind, Step};

/// How lines end: as the first one did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Eol {
    Unknown,
    Nl,
    Cr,
    CrNl,
}

/// Where lines end.
#[derive(Debug)]
pub(super) struct Lines {
    csv: bool,
    quote: u8,
    /// `None`: the quote itself, which needs no look.
    escape: Option<u8>,
    marker: bool,
    header: bool,
    eol: Eol,
    /// How much of the line at hand was looked at.
    at: usize,
    in_quote: bool,
    escaped: bool,
    /// Line ends within quotes of the line at hand.
    within: u64,
    /// Nothing follows.
    finished: bool,
    pub(super) line: u64,
}

/// What a backslash begins.
enum Marker {
    More,
    No,
    /// The end-of-copy marker.
    End,
}

impl Lines {
    pub(super) fn new(dialect: &Dialect) -> Self {
        let csv = dialect.kind == Kind::Csv;
        Lines {
            csv,
            quote: dialect.quote,
            escape: Some(dialect.escape).filter(|escape| *escape != dialect.quote),
            marker: !csv || dialect.csv_marker,
            header: dialect.header != Header::None,
            eol: Eol::Unknown,
            at: 0,
            in_quote: false,
            escaped: false,
            within: 0,
            finished: false,
            line: 0,
        }
    }

    pub(super) fn next(&mut self, input: &[u8], ended: bool) -> Result<Step, CopyError> {
        if self.finished || (ended && input.is_empty() && !self.header) {
            return Ok(Step::End);
        }
        let found = self.find(input, ended);
        if found.is_err() {
            self.line += 1 + self.within;
        }
        found
    }

    fn find(&mut self, input: &[u8], ended: bool) -> Result<Step, CopyError> {
        while let Some(i) = self.jump(input) {
            let byte = input[i];
            let ahead = input.get(i + 1).copied();
            self.at = i;
            if matches!(byte, b'\\' | b'\r') && ahead.is_none() && !ended {
                return Ok(Step::More);
            }
            if byte == b'\\' && self.marker && (!self.csv || i == 0) {
                match self.marker(&input[i..], ended)? {
                    Marker::More => return Ok(Step::More),
                    Marker::End => {
                        self.finished = true;
                        return Ok(if i == 0 && !self.header { Step::End } else { self.line(i, i) });
                    }
                    Marker::No => {}
                }
            }
            if self.csv {
                self.quotes(byte);
            }
            if !self.in_quote {
                match byte {
                    b'\r' => return self.carriage_return(i, ahead),
                    b'\n' => return self.newline(i),
                    _ => {}
                }
            }
            // Of text, what follows a backslash is data.
            let two = !self.csv && byte == b'\\' && ahead.is_some();
            self.at = i + if two { 2 } else { 1 };
        }
        self.at = input.len();
        Ok(if ended { self.line(input.len(), input.len()) } else { Step::More })
    }

    /// The next byte that may mean something.
    fn jump(&mut self, input: &[u8]) -> Option<usize> {
        let rest = &input[self.at..];
        if self.csv && self.at == 0 && rest.first() == Some(&b'\\') {
            return Some(0);
        }
        let found = match (self.csv, self.in_quote) {
            (false, _) => memchr3(b'\n', b'\r', b'\\', rest),
            (true, false) => memchr3(b'\n', b'\r', self.quote, rest),
            (true, true) => memchr2(self.quote, self.escape.unwrap_or(self.quote), rest),
        };
        if self.in_quote {
            let passed = &rest[..found.unwrap_or(rest.len())];
            self.escaped &= passed.is_empty();
            let end = if self.eol == Eol::Nl { b'\n' } else { b'\r' };
            self.within += memchr_iter(end, passed).count() as u64;
        }
        found.map(|d| self.at + d)
    }

    fn quotes(&mut self, byte: u8) {
        let is_escape = self.escape == Some(byte);
        if self.in_quote && is_escape {
            self.escaped = !self.escaped;
        }
        if byte == self.quote && !self.escaped {
            self.in_quote = !self.in_quote;
        }
        if !is_escape {
            self.escaped = false;
        }
    }

    fn line(&mut self, len: usize, used: usize) -> Step {
        self.line += 1 + self.within;
        (self.at, self.in_quote, self.escaped, self.within) = (0, false, false, 0);
        match std::mem::take(&mut self.header) {
            true => Step::Head { len, used },
            false => Step::Row { len, used },
        }
    }

    fn carriage_return(&mut self, i: usize, ahead: Option<u8>) -> Result<Step, CopyError> {
        match self.eol {
            Eol::Unknown | Eol::CrNl if ahead == Some(b'\n') => {
                self.eol = Eol::CrNl;
                Ok(self.line(i, i + 2))
            }
            Eol::Unknown | Eol::Cr => {
                self.eol = Eol::Cr;
                Ok(self.line(i, i + 1))
            }
            Eol::CrNl | Eol::Nl => Err(self.stray("carriage return")),
        }
    }

    fn newline(&mut self, i: usize) -> Result<Step, CopyError> {
        match self.eol {
            Eol::Unknown | Eol::Nl => {
                self.eol = Eol::Nl;
                Ok(self.line(i, i + 1))
            }
            Eol::Cr | Eol::CrNl => Err(self.stray("newline")),
        }
    }

    fn stray(&self, what: &str) -> CopyError {
        CopyError::format(format!("{} {what} found in data", if self.csv { "unquoted" } else { "literal" }))
    }

    /// What the backslash at the start of `rest` begins.
    fn marker(&self, rest: &[u8], ended: bool) -> Result<Marker, CopyError> {
        let corrupt = || match self.csv {
            true => Ok(Marker::No),
            false => Err(CopyError::format("end-of-copy marker corrupt")),
        };
        let style = || CopyError::format("end-of-copy marker does not match previous newline style");
        match rest.get(1) {
            Some(b'.') => {}
            _ => return Ok(Marker::No),
        }
        let mut next = 2;
        // Beyond the end PostgreSQL sees a NUL.
        let byte = |at: usize| rest.get(at).copied().or(ended.then_some(0));
        if self.eol == Eol::CrNl {
            match byte(next) {
                None => return Ok(Marker::More),
                Some(b'\n') if !self.csv => return Err(style()),
                Some(b'\r') => next += 1,
                Some(_) => return corrupt(),
            }
        }
        let Some(last) = byte(next) else { return Ok(Marker::More) };
        match (self.eol, last) {
            (Eol::Unknown, b'\r' | b'\n') | (Eol::Nl | Eol::CrNl, b'\n') | (Eol::Cr, b'\r') => Ok(Marker::End),
            (_, b'\r' | b'\n') => Err(style()),
            _ => corrupt(),
        }
    }
}
