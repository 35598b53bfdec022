//! PostgreSQL's lexical rules (scan.l), token by token, over the client's text.
//!
//! Not a parser: it knows where tokens begin and end and what class they are of, nothing more. It exists beside
//! libpg_query because rewriting needs token ends, and because most statements are decided by their words alone.

use std::borrow::Cow;

/// Class of a string literal, which decides how its value is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StringKind {
    /// `'…'` (backslashes are ordinary unless standard_conforming_strings is off).
    Plain,
    /// `E'…'`.
    Escape,
    /// `U&'…'`.
    Unicode,
    /// `B'…'`.
    Bits,
    /// `X'…'`.
    Hex,
    /// `$tag$…$tag$`.
    Dollar,
}

/// Class of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Identifier or key word without quotes.
    Word,
    /// `"…"`.
    Quoted,
    /// `U&"…"`.
    UnicodeQuoted,
    /// String literal, continuations included.
    Str(StringKind),
    /// Integer in any base.
    Int,
    /// Number with a point or an exponent.
    Float,
    /// `$n`.
    Param,
    /// Operator, of any characters that may form one.
    Op,
    /// One of `( ) [ ] , ; : .`, or `::`, `:=`, `..`.
    Punct,
    /// A character that begins no token.
    Other,
}

/// A token: bytes `start..end` of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
    /// Class.
    pub kind: Kind,
}

impl Token {
    /// The token's bytes.
    pub fn text<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start as usize..self.end as usize]
    }

    /// A literal: string or number.
    pub fn is_literal(&self) -> bool {
        matches!(self.kind, Kind::Str(_) | Kind::Int | Kind::Float)
    }

    /// This key word, without quotes, in any case.
    pub fn is_word(&self, text: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.text(text).eq_ignore_ascii_case(word)
    }

    /// The name that this identifier means: folded, unquoted, cut to 63 bytes. `None` for other tokens and for
    /// `U&"…"`, whose value depends on what follows.
    pub fn name<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        let raw = self.text(text);
        let name = match self.kind {
            Kind::Word if raw.bytes().any(|b| b.is_ascii_uppercase()) => Cow::Owned(raw.to_ascii_lowercase()),
            Kind::Word => Cow::Borrowed(raw),
            Kind::Quoted => {
                let inner = &raw[1..raw.len() - 1];
                if inner.contains('"') { Cow::Owned(inner.replace("\"\"", "\"")) } else { Cow::Borrowed(inner) }
            }
            _ => return None,
        };
        Some(cut(name))
    }
}

/// PostgreSQL cuts identifiers to NAMEDATALEN - 1 bytes, at a character boundary.
pub(super) fn cut(name: Cow<'_, str>) -> Cow<'_, str> {
    const MAX: usize = 63;
    if name.len() <= MAX {
        return name;
    }
    let end = (0..=MAX).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0);
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(&name[..end]),
        Cow::Owned(mut name) => {
            name.truncate(end);
            Cow::Owned(name)
        }
    }
}

/// Why a text has no tokens. Messages are PostgreSQL's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LexError {
    /// What PostgreSQL says, without the text it quotes.
    pub message: &'static str,
    /// Byte offset of the token at fault.
    pub position: usize,
}

/// A text's tokens.
#[derive(Clone, Debug, Default)]
pub struct Lexed {
    /// Tokens in order.
    pub tokens: Vec<Token>,
    /// Comments between tokens (those inside a continued string belong to it), in order.
    pub comments: Vec<(u32, u32)>,
}

impl Lexed {
    /// Reads a text. `conforming`: the session's standard_conforming_strings.
    pub fn new(text: &str, conforming: bool) -> Result<Lexed, LexError> {
        let mut lexer = Lexer { text: text.as_bytes(), at: 0, conforming, out: Lexed::default() };
        lexer.out.tokens.reserve(text.len() / 5 + 4);
        while lexer.next()? {}
        Ok(lexer.out)
    }

    /// The text reads the same whatever standard_conforming_strings says.
    pub fn is_sure(&self, text: &str) -> bool {
        if memchr::memchr(b'\\', text.as_bytes()).is_none() {
            return true;
        }
        let places = |lexed: &Lexed| -> Vec<_> { lexed.tokens.iter().map(|t| (t.start, t.end)).collect() };
        let all = [true, false].map(|conforming| Lexed::new(text, conforming).map(|lexed| places(&lexed)).ok());
        all[0].is_some() && all[0] == all[1] && all[0] == Some(places(self))
    }

    /// Index of the token that starts at this byte.
    pub fn at(&self, start: usize) -> Option<usize> {
        self.tokens.binary_search_by_key(&start, |t| t.start as usize).ok()
    }
}

struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    conforming: bool,
    out: Lexed,
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b)
}

fn is_newline(b: u8) -> bool {
    matches!(b, b'\n' | b'\r')
}

/// May begin an identifier.
pub(super) fn is_word_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

/// May go on an identifier.
pub(super) fn is_word_part(b: u8) -> bool {
    is_word_start(b) || b.is_ascii_digit() || b == b'$'
}

fn is_operator(b: u8) -> bool {
    matches!(
        b,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, start: usize, kind: Kind) {
        let token = Token { start: start as u32, end: self.at as u32, kind };
        self.out.tokens.push(token);
    }

    /// Reads one token, comment or run of white space; false at the end.
    fn next(&mut self) -> Result<bool, LexError> {
        let Some(&b) = self.text.get(self.at) else { return Ok(false) };
        let start = self.at;
        match b {
            _ if is_space(b) => self.at += 1,
            b'-' if self.peek(1) == b'-' => {
                self.line_comment();
                self.out.comments.push((start as u32, self.at as u32));
            }
            b'/' if self.peek(1) == b'*' => {
                self.block_comment()?;
                self.out.comments.push((start as u32, self.at as u32));
            }
            b'\'' => {
                let kind = if self.conforming { StringKind::Plain } else { StringKind::Escape };
                self.string(start, 0, kind)?;
                if kind == StringKind::Escape {
                    self.relabel();
                }
            }
            b'e' | b'E' if self.peek(1) == b'\'' => self.string(start, 1, StringKind::Escape)?,
            b'b' | b'B' if self.peek(1) == b'\'' => self.string(start, 1, StringKind::Bits)?,
            b'x' | b'X' if self.peek(1) == b'\'' => self.string(start, 1, StringKind::Hex)?,
            b'n' | b'N' if self.peek(1) == b'\'' => {
                self.at += 1;
                self.push(start, Kind::Word);
            }
            b'u' | b'U' if self.peek(1) == b'&' && self.peek(2) == b'\'' => {
                self.string(start, 2, StringKind::Unicode)?
            }
            b'u' | b'U' if self.peek(1) == b'&' && self.peek(2) == b'"' => {
                self.quoted(start, 2, Kind::UnicodeQuoted)?
            }
            b'"' => self.quoted(start, 0, Kind::Quoted)?,
            b'$' => self.dollar(start)?,
            b'0'..=b'9' => self.number(start),
            b'.' if self.peek(1).is_ascii_digit() => self.number(start),
            b'.' | b':' => self.dots(start, b),
            b'(' | b')' | b'[' | b']' | b',' | b';' => {
                self.at += 1;
                self.push(start, Kind::Punct);
            }
            _ if is_operator(b) => self.operator(start),
            _ if is_word_start(b) => {
                while self.at < self.text.len() && is_word_part(self.text[self.at]) {
                    self.at += 1;
                }
                self.push(start, Kind::Word);
            }
            _ => {
                self.at += 1;
                self.push(start, Kind::Other);
            }
        }
        Ok(true)
    }

    /// With standard_conforming_strings off, `'…'` is read as `E'…'`; it is still the plain kind of the text.
    fn relabel(&mut self) {
        if let Some(last) = self.out.tokens.last_mut() {
            last.kind = Kind::Str(StringKind::Plain);
        }
    }

    fn line_comment(&mut self) {
        while self.at < self.text.len() && !is_newline(self.text[self.at]) {
            self.at += 1;
        }
    }

    fn block_comment(&mut self) -> Result<(), LexError> {
        let position = self.at;
        let mut depth = 0usize;
        while self.at < self.text.len() {
            match (self.text[self.at], self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
        Err(LexError { message: "unterminated /* comment", position })
    }

    /// A string whose opening quote stands `prefix` bytes on, with its continuations on following lines.
    fn string(&mut self, start: usize, prefix: usize, kind: StringKind) -> Result<(), LexError> {
        self.at += prefix;
        loop {
            self.at += 1;
            self.string_body(start, kind)?;
            match self.continuation() {
                Some(quote) => self.at = quote,
                None => break,
            }
        }
        self.push(start, Kind::Str(kind));
        Ok(())
    }

    /// From after the opening quote to after the closing one.
    fn string_body(&mut self, start: usize, kind: StringKind) -> Result<(), LexError> {
        loop {
            let rest = &self.text[self.at..];
            let found = if kind == StringKind::Escape {
                memchr::memchr2(b'\'', b'\\', rest)
            } else {
                memchr::memchr(b'\'', rest)
            };
            let Some(i) = found else { return Err(LexError { message: unterminated(kind), position: start }) };
            self.at += i;
            if self.text[self.at] == b'\\' {
                self.at = (self.at + 2).min(self.text.len());
            } else if self.peek(1) == b'\'' {
                self.at += 2;
            } else {
                self.at += 1;
                return Ok(());
            }
        }
    }

    /// Where the next quote stands, if only white space with a newline (and line comments) lies before it.
    fn continuation(&self) -> Option<usize> {
        let mut at = self.at;
        let mut newline = false;
        loop {
            match self.text.get(at).copied()? {
                b'\'' if newline => return Some(at),
                b if is_newline(b) => {
                    newline = true;
                    at += 1;
                }
                b if is_space(b) => at += 1,
                b'-' if self.text.get(at + 1) == Some(&b'-') => {
                    while at < self.text.len() && !is_newline(self.text[at]) {
                        at += 1;
                    }
                }
                _ => return None,
            }
        }
    }

    fn quoted(&mut self, start: usize, prefix: usize, kind: Kind) -> Result<(), LexError> {
        self.at += prefix + 1;
        let body = self.at;
        loop {
            let Some(i) = memchr::memchr(b'"', &self.text[self.at..]) else {
                return Err(LexError { message: "unterminated quoted identifier", position: start });
            };
            self.at += i + 1;
            if self.peek(0) != b'"' {
                break;
            }
            self.at += 1;
        }
        if self.at == body + 1 {
            return Err(LexError { message: "zero-length delimited identifier at or near \"\"\"\"", position: start });
        }
        self.push(start, kind);
        Ok(())
    }

    fn dollar(&mut self, start: usize) -> Result<(), LexError> {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            self.push(start, Kind::Param);
            return Ok(());
        }
        let mut end = self.at + 1;
        if self.text.get(end).is_some_and(|&b| is_word_start(b)) {
            while self.text.get(end).is_some_and(|&b| is_word_part(b) && b != b'$') {
                end += 1;
            }
        }
        if self.text.get(end) != Some(&b'$') {
            self.at += 1;
            self.push(start, Kind::Other);
            return Ok(());
        }
        let (tag, body) = (start..end + 1, end + 1);
        match memchr::memmem::find(&self.text[body..], &self.text[tag.clone()]) {
            Some(i) => {
                self.at = body + i + tag.len();
                self.push(start, Kind::Str(StringKind::Dollar));
                Ok(())
            }
            None => Err(LexError { message: "unterminated dollar-quoted string", position: start }),
        }
    }

    /// Digits with single underscores between them.
    fn digits(&mut self, is_digit: fn(&u8) -> bool) {
        loop {
            if self.text.get(self.at).is_some_and(is_digit) {
                self.at += 1;
            } else if self.peek(0) == b'_' && self.text.get(self.at + 1).is_some_and(is_digit) {
                self.at += 2;
            } else {
                return;
            }
        }
    }

    fn number(&mut self, start: usize) {
        if self.based_number(start) {
            return;
        }
        let mut kind = Kind::Int;
        self.digits(u8::is_ascii_digit);
        if self.peek(0) == b'.' && !(kind == Kind::Int && self.at > start && self.peek(1) == b'.') {
            kind = Kind::Float;
            self.at += 1;
            if self.peek(0).is_ascii_digit() {
                self.digits(u8::is_ascii_digit);
            }
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                kind = Kind::Float;
                self.at += 1 + sign;
                self.digits(u8::is_ascii_digit);
            }
        }
        self.push(start, kind);
    }

    /// `0x…`, `0o…`, `0b…`.
    fn based_number(&mut self, start: usize) -> bool {
        let is_digit: fn(&u8) -> bool = match self.peek(1) {
            b'x' | b'X' => u8::is_ascii_hexdigit,
            b'o' | b'O' => |b| (b'0'..=b'7').contains(b),
            b'b' | b'B' => |b| (b'0'..=b'1').contains(b),
            _ => return false,
        };
        let first = usize::from(self.peek(2) == b'_');
        if self.peek(0) != b'0' || !self.text.get(start + 2 + first).is_some_and(is_digit) {
            return false;
        }
        self.at += 2;
        self.digits(is_digit);
        self.push(start, Kind::Int);
        true
    }

    fn dots(&mut self, start: usize, b: u8) {
        let double = match b {
            b'.' => self.peek(1) == b'.',
            _ => matches!(self.peek(1), b':' | b'='),
        };
        self.at += 1 + usize::from(double);
        self.push(start, Kind::Punct);
    }

    /// The longest operator, cut before a comment, and before a trailing `+` or `-` that the standard forbids.
    fn operator(&mut self, start: usize) {
        let mut end = start + 1;
        while self.text.get(end).is_some_and(|&b| is_operator(b)) {
            if matches!((self.text[end], self.text.get(end + 1)), (b'-', Some(b'-')) | (b'/', Some(b'*'))) {
                break;
            }
            end += 1;
        }
        let special = |b: &u8| matches!(b, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%');
        while end - start > 1
            && matches!(self.text[end - 1], b'+' | b'-')
            && !self.text[start..end - 1].iter().any(special)
        {
            end -= 1;
        }
        self.at = end;
        self.push(start, Kind::Op);
    }
}

fn unterminated(kind: StringKind) -> &'static str {
    match kind {
        StringKind::Bits => "unterminated bit string literal",
        StringKind::Hex => "unterminated hexadecimal string literal",
        _ => "unterminated quoted string",
    }
}
