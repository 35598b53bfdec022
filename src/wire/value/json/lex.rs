//! Tokens of JSON text. Checks what a token may be made of; knows nothing of what may follow what.

use std::borrow::Cow;

use super::syntax;
use crate::wire::value::error::{Result, UNTRANSLATABLE_CHARACTER, ValueError};

/// A token.
pub(super) enum Token<'a> {
    /// One of `[ ] { } , :`.
    Mark(u8),
    /// The content of a string; unescaped if the lexer was asked to.
    Text(Cow<'a, str>),
    /// A number as it is written.
    Number(&'a str),
    /// `true`, `false` or `null`.
    Word(&'static str),
}

impl Token<'_> {
    /// The mark itself, `"` for strings, `v` for other scalars.
    pub(super) fn kind(&self) -> u8 {
        match self {
            Token::Mark(mark) => *mark,
            Token::Text(_) => b'"',
            Token::Number(_) | Token::Word(_) => b'v',
        }
    }
}

/// Splits text into tokens.
pub(super) struct Lexer<'a> {
    text: &'a str,
    /// Where the last token begins.
    start: usize,
    at: usize,
    unescape: bool,
}

impl<'a> Lexer<'a> {
    /// `unescape`: resolve escapes in strings, and refuse those that name no character.
    pub(super) fn new(text: &'a str, unescape: bool) -> Self {
        Lexer { text, start: 0, at: 0, unescape }
    }

    /// Where the last token begins.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Where the last token ends.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    /// Steps over the value of which this token, the last one, is the first; its start becomes that of the value.
    pub(super) fn skip(&mut self, first: &Token<'_>) -> Result<()> {
        let (start, unescape) = (self.start, std::mem::replace(&mut self.unescape, false));
        let mut depth = usize::from(matches!(first, Token::Mark(b'[' | b'{')));
        while depth > 0 {
            match self.next()?.ok_or_else(syntax)? {
                Token::Mark(b'[' | b'{') => depth += 1,
                Token::Mark(b']' | b'}') => depth -= 1,
                _ => {}
            }
        }
        (self.start, self.unescape) = (start, unescape);
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next token, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let Some(byte) = self.peek() else { return Ok(None) };
        self.start = self.at;
        let token = match byte {
            b'[' | b']' | b'{' | b'}' | b',' | b':' => {
                self.at += 1;
                Token::Mark(byte)
            }
            b'"' => self.string()?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.word()?,
        };
        Ok(Some(token))
    }

    fn word(&mut self) -> Result<Token<'a>> {
        let rest = &self.text[self.at..];
        let word = ["true", "false", "null"].into_iter().find(|w| rest.starts_with(w)).ok_or_else(syntax)?;
        self.at += word.len();
        self.end_of_word()?;
        Ok(Token::Word(word))
    }

    /// No letter, digit, underscore or non-ASCII character may follow a word or number.
    fn end_of_word(&self) -> Result<()> {
        match self.peek() {
            Some(b) if b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80 => Err(syntax()),
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Token<'a>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (zero && whole > 1) {
            return Err(syntax());
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(syntax());
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(syntax());
            }
        }
        self.end_of_word()?;
        Ok(Token::Number(&self.text[start..self.at]))
    }

    fn string(&mut self) -> Result<Token<'a>> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        loop {
            match self.peek().ok_or_else(syntax)? {
                b'"' => break,
                b'\\' => {
                    let before = self.at;
                    let c = self.escape()?;
                    if let (true, Some(c)) = (self.unescape, c) {
                        let text = owned.get_or_insert_default();
                        text.push_str(&self.text[copied..before]);
                        text.push(c);
                        copied = self.at;
                    }
                }
                0..0x20 => return Err(syntax()),
                _ => self.at += 1,
            }
        }
        let tail = &self.text[copied..self.at];
        self.at += 1;
        Ok(Token::Text(match owned {
            Some(text) => Cow::Owned(text + tail),
            None => Cow::Borrowed(tail),
        }))
    }

    /// Steps over an escape; the character it stands for, if that was asked for.
    fn escape(&mut self) -> Result<Option<char>> {
        self.at += 1;
        let byte = self.peek().ok_or_else(syntax)?;
        self.at += 1;
        Ok(Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex4()?;
                return if self.unescape { self.unicode(unit).map(Some) } else { Ok(None) };
            }
            _ => return Err(syntax()),
        }))
    }

    fn hex4(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or_else(syntax)?;
        let mut unit = 0;
        for byte in digits {
            unit = unit * 16 + char::from(*byte).to_digit(16).ok_or_else(syntax)?;
        }
        self.at += 4;
        Ok(unit)
    }

    fn unicode(&mut self, unit: u32) -> Result<char> {
        let code = match unit {
            0 => {
                return Err(ValueError::new(UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
                    .hint("\\u0000 cannot be converted to text."));
            }
            0xd800..0xdc00 => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err(syntax());
                }
                self.at += 2;
                let low = self.hex4()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return Err(syntax());
                }
                0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            unit => unit,
        };
        char::from_u32(code).ok_or_else(syntax)
    }
}
