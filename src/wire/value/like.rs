//! LIKE: what a pattern matches, exactly as PostgreSQL decides it, and the runs of characters that a value must hold.
//!
//! Not here: terms made of those runs.

use zeroize::Zeroizing;

use super::PlainType;
use super::error::{Result, ValueError};
use super::letters::{Form, Letters};
use crate::wire::sqlstate::SqlState;

/// `invalid_escape_sequence`.
const INVALID_ESCAPE_SEQUENCE: SqlState = SqlState("22025");

/// The escape character where none is named.
const ESCAPE: char = '\\';

/// A dot above the letter before it.
const DOT: char = '\u{307}';

impl PlainType {
    /// Values can be compared by LIKE.
    pub fn has_match(self) -> bool {
        matches!(self, PlainType::Text | PlainType::Varchar | PlainType::Bpchar | PlainType::Citext)
    }
}

/// A part of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// This character.
    Char(char),
    /// `_`
    One,
    /// `%`
    Many,
    /// An escape character at the end, with nothing to escape.
    Dangling,
}

/// A pattern. Wiped on drop.
pub struct Like {
    /// As it was written, with what an escape character stands before as one part.
    pieces: Vec<Piece>,
}

impl Drop for Like {
    fn drop(&mut self) {
        self.pieces.fill(Piece::Many);
        std::hint::black_box(&self.pieces);
    }
}

/// A run of characters between wildcards.
pub struct Literal {
    /// Folded as [`fold`] does it.
    pub text: Zeroizing<String>,
    /// The value begins with it.
    pub starts: bool,
    /// The value ends with it.
    pub ends: bool,
}

impl Like {
    /// The pattern of LIKE. `escape`: what stands after ESCAPE, if that is written.
    ///
    /// # Errors
    /// 22025 for an escape string of several characters.
    pub fn new(pattern: &str, escape: Option<&str>) -> std::result::Result<Self, ValueError> {
        Ok(Like::with(pattern, escape_character(escape)?))
    }

    /// The pattern of ILIKE: values must be in lower case.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn lower(pattern: &str, escape: Option<&str>, letters: &Letters) -> std::result::Result<Self, ValueError> {
        let pattern = backslashed(pattern, escape_character(escape)?);
        Ok(Like::with(&letters.map(&pattern, Form::Lower), Some(ESCAPE)))
    }

    fn with(pattern: &str, escape: Option<char>) -> Self {
        let mut pieces = Vec::with_capacity(pattern.len());
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                c if Some(c) == escape => chars.next().map_or(Piece::Dangling, Piece::Char),
                '_' => Piece::One,
                '%' => Piece::Many,
                c => Piece::Char(c),
            });
        }
        Like { pieces }
    }

    /// What `=` looks for.
    pub fn equal(text: &str) -> Self {
        let mut pieces = Vec::with_capacity(text.len());
        pieces.extend(text.chars().map(Piece::Char));
        Like { pieces }
    }

    /// What `starts_with` and `^@` look for.
    pub fn prefix(prefix: &str) -> Self {
        let mut pieces = Vec::with_capacity(prefix.len() + 1);
        pieces.extend(prefix.chars().map(Piece::Char));
        pieces.push(Piece::Many);
        Like { pieces }
    }

    /// The only text that matches, if there is but one.
    pub fn whole(&self) -> Option<String> {
        let one = |piece: &Piece| if let Piece::Char(c) = piece { Some(*c) } else { None };
        self.pieces.iter().map(one).collect()
    }

    /// Every value matches.
    pub fn is_everything(&self) -> bool {
        !self.pieces.is_empty() && self.pieces.iter().all(|p| *p == Piece::Many)
    }

    /// Whether a value matches.
    ///
    /// # Errors
    /// 22025 where the comparison comes to an escape character that nothing follows. As in PostgreSQL, a value that differs before
    /// it is just no match.
    pub fn matches(&self, value: &str) -> std::result::Result<bool, ValueError> {
        let (mut at, mut rest) = (0, value);
        // Behind the last `%`, and the first place where what follows it may begin.
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let Some((first, tail)) = split(rest) else {
                // A value that has ended matches what only `%` is left of.
                return Ok(self.pieces[at..].iter().all(|p| *p == Piece::Many));
            };
            let fits = match self.pieces.get(at) {
                Some(Piece::Many) => {
                    let Some((after, left)) = self.skip(at, rest) else { return Ok(false) };
                    match self.pieces.get(after) {
                        None => return Ok(true),
                        Some(Piece::Dangling) => return Err(dangling()),
                        Some(_) => {}
                    }
                    (at, rest) = (after, left);
                    retry = Some((at, rest));
                    continue;
                }
                Some(Piece::One) => true,
                Some(Piece::Char(c)) => *c == first,
                Some(Piece::Dangling) => return Err(dangling()),
                None => false,
            };
            if fits {
                (at, rest) = (at + 1, tail);
                continue;
            }
            let Some((behind, from)) = retry else { return Ok(false) };
            let Some((_, next)) = split(from) else { return Ok(false) };
            (at, rest) = (behind, next);
            retry = Some((behind, next));
        }
    }

    /// Over a run of wildcards. `None`: the value is too short for it.
    fn skip<'v>(&self, mut at: usize, mut rest: &'v str) -> Option<(usize, &'v str)> {
        loop {
            match self.pieces.get(at) {
                Some(Piece::Many) => {}
                Some(Piece::One) => rest = split(rest)?.1,
                _ => return Some((at, rest)),
            }
            at += 1;
        }
    }

    /// Runs of characters that every value that matches holds, each folded.
    pub fn literals(&self) -> Vec<Literal> {
        let mut literals = Vec::new();
        // Where a locale keeps the dot of a capital `İ`, the folded value has none.
        let is_char = |p: &Piece| matches!(p, Piece::Char(c) if *c != DOT);
        let mut at = 0;
        while at <= self.pieces.len() {
            let length = self.pieces[at..].iter().take_while(|p| is_char(p)).count();
            let end = at + length;
            // An empty run between both ends is the empty value.
            if length > 0 || self.pieces.is_empty() {
                let mut text = Zeroizing::new(String::with_capacity(length * 4));
                for piece in &self.pieces[at..end] {
                    if let Piece::Char(c) = piece {
                        push_folded(*c, &mut text);
                    }
                }
                literals.push(Literal { text, starts: at == 0, ends: end == self.pieces.len() });
            }
            at = end + 1;
        }
        literals
    }
}

/// First character and the rest.
fn split(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    chars.next().map(|c| (c, chars.as_str()))
}

fn escape_character(escape: Option<&str>) -> Result<Option<char>> {
    let Some(escape) = escape else { return Ok(Some(ESCAPE)) };
    let mut chars = escape.chars();
    match (chars.next(), chars.next()) {
        (first, None) => Ok(first),
        _ => Err(ValueError::new(INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .hint("Escape string must be empty or one character.")),
    }
}

/// A pattern with backslashes for its escape character.
fn backslashed(pattern: &str, escape: Option<char>) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(pattern.len() * 2));
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                out.push(ESCAPE);
                out.extend(chars.next());
            }
            ESCAPE => out.extend([ESCAPE, ESCAPE]),
            c => out.push(c),
        }
    }
    out
}

#[cold]
fn dangling() -> ValueError {
    ValueError::new(INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")
}

/// A value folded for its match term: values that differ in case alone, by any locale's rules, are the same. Folding goes
/// character by character, so that a part of a value becomes a part of the folded value.
pub fn fold(value: &str) -> Zeroizing<String> {
    // Wiped even where it grows.
    let mut folded = Zeroizing::new(String::with_capacity(value.len() * 2));
    if value.is_ascii() {
        folded.extend(value.chars().map(|c| c.to_ascii_lowercase()));
        return folded;
    }
    for c in value.chars() {
        if folded.capacity() - folded.len() < MAX_FOLDED {
            let mut larger = Zeroizing::new(String::with_capacity(folded.capacity() * 2 + MAX_FOLDED));
            larger.push_str(&folded);
            folded = larger;
        }
        push_folded(c, &mut folded);
    }
    folded
}

/// Bytes of a folded character at most, generously.
const MAX_FOLDED: usize = 64;

fn push_folded(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
        return;
    }
    // Lower, upper and lower again: `ẞ`, `ß` and `SS` meet, and so do `K` (Kelvin) and `k`, `ſ` and `s`. A dot that only a
    // capital `İ` carries goes, since the C library lowers that to a plain `i`.
    let folded = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    match c {
        'İ' => out.push('i'),
        _ => out.extend(folded),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn like(value: &str, pattern: &str) -> bool {
        Like::new(pattern, None).expect("a pattern").matches(value).expect("no dangling escape")
    }

    #[test]
    fn patterns_match_as_in_postgresql() {
        for (value, pattern) in [
            ("", ""),
            ("", "%"),
            ("", "%%"),
            ("abc", "abc"),
            ("abc", "a%"),
            ("abc", "%c"),
            ("abc", "a_c"),
            ("abc", "___"),
            ("abc", "%b%"),
            ("abc", "_%_"),
            ("a%c", "a\\%c"),
            ("a_c", "a\\_c"),
            ("a\\c", "a\\\\c"),
            ("äbc", "_bc"),
            ("aab", "%ab"),
            ("mississippi", "m%iss%pi"),
            ("mississippi", "%issip%"),
            ("xaxbxaxb", "%a%b"),
            ("abab", "%_b"),
        ] {
            assert!(like(value, pattern), "{value} LIKE {pattern}");
        }
        for (value, pattern) in [
            ("", "_"),
            ("abc", ""),
            ("abc", "ab"),
            ("abc", "ABC"),
            ("abc", "a%b"),
            ("abc", "____"),
            ("abc", "a\\%c"),
            ("abc", "_%_%_%_"),
            ("mississippi", "m%issi%issi"),
            ("aXb", "a\\_b"),
            ("ä", "__"),
        ] {
            assert!(!like(value, pattern), "{value} NOT LIKE {pattern}");
        }
    }

    #[test]
    fn escapes() {
        let with = |value: &str, pattern: &str, escape: &str| {
            Like::new(pattern, Some(escape)).expect("a pattern").matches(value)
        };
        assert_eq!(with("a%", "a!%", "!"), Ok(true));
        assert_eq!(with("ab", "a!%", "!"), Ok(false));
        assert_eq!(with("a\\b", "a\\b", "!"), Ok(true), "the backslash is a character of its own");
        assert_eq!(with("a\\b", "a\\b", ""), Ok(true));
        assert_eq!(with("a\\%", "a\\%", ""), Ok(true));
        assert_eq!(with("aÄb", "aÄÄb", "Ä"), Ok(true));
        assert!(Like::new("a", Some("ab")).is_err());
        for (value, fails) in [("ab", true), ("a", false), ("b", false), ("", false)] {
            assert_eq!(with(value, "a!", "!").is_err(), fails, "{value}");
        }
        assert!(with("x", "%!", "!").is_err());
        assert_eq!(with("", "%!", "!"), Ok(false));
    }

    #[test]
    fn case() {
        let ilike = |value: &str, pattern: &str, unicode| {
            let letters = Letters::simple(unicode);
            let like = Like::lower(pattern, None, &letters).expect("a pattern");
            like.matches(&letters.map(value, Form::Lower))
        };
        assert_eq!(ilike("ÄBC", "äb_", true), Ok(true));
        assert_eq!(ilike("ÄBC", "äb_", false), Ok(false));
        assert_eq!(ilike("ÄBC", "Äb_", false), Ok(true));
        assert_eq!(ilike("İ", "i", true), Ok(true));
        let with = |value: &str, pattern: &str, escape: &str| {
            Like::lower(pattern, Some(escape), &Letters::simple(true)).expect("a pattern").matches(value)
        };
        assert_eq!(with("a%", "aX%", "X"), Ok(true));
        assert_eq!(with("ax%b", "ax%", "X"), Ok(true), "the escape is told by its own case");
        assert_eq!(with("a\\b", "A\\B", ""), Ok(true));
        assert_eq!(with("x\\_", "X\\!_", "!"), Ok(true));
        assert!(with("a", "A!", "!").is_ok_and(|matches| !matches) && with("ab", "A!", "!").is_err());
    }

    #[test]
    fn equality() {
        for (value, other) in [("", ""), ("a%", "a%"), ("\\", "\\")] {
            assert_eq!(Like::equal(other).matches(value), Ok(true));
        }
        for (value, other) in [("", "a"), ("a", ""), ("ab", "a%"), ("a", "_")] {
            assert_eq!(Like::equal(other).matches(value), Ok(false), "{value} {other}");
        }
    }

    #[test]
    fn literals_are_what_a_value_must_hold() {
        let found = |pattern: &str| -> Vec<(String, bool, bool)> {
            let like = Like::new(pattern, None).expect("a pattern");
            like.literals().iter().map(|l| (l.text.to_string(), l.starts, l.ends)).collect()
        };
        let one = |text: &str, starts, ends| (text.to_owned(), starts, ends);
        assert_eq!(found(""), [one("", true, true)]);
        assert_eq!(found("Abc"), [one("abc", true, true)]);
        assert_eq!(found("a%\\%B_cd"), [one("a", true, false), one("%b", false, false), one("cd", false, true)]);
        assert_eq!(found("a\\"), [one("a", true, false)]);
        for empty in ["%", "_", "%_%", "\\"] {
            assert_eq!(found(empty), [], "{empty}");
        }
    }

    /// Characters that any comparison takes for the same fold to the same.
    #[test]
    fn folding_is_coarser_than_every_case() {
        let folded = |text: String| fold(&text).to_string();
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let own = folded(c.to_string());
            assert!(own.len() <= MAX_FOLDED);
            let lower = c.to_lowercase().next().unwrap_or(c).to_string();
            assert_eq!(own, folded(lower), "lower case of {c:?}");
            if c != 'İ' {
                let upper: String = c.to_uppercase().collect();
                assert_eq!(own, folded(upper), "upper case of {c:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_match_holds_every_literal(value in "[ab%_\\\\ßSİi\u{307}]{0,8}", pattern in "[ab%_\\\\ßSİi\u{307}]{0,6}") {
            static LETTERS: std::sync::LazyLock<Letters> = std::sync::LazyLock::new(|| Letters::simple(true));
            let lower = Like::lower(&pattern, None, &LETTERS).expect("a pattern");
            let exact = Like::new(&pattern, None).expect("a pattern");
            for (like, shown) in [(exact, value.clone()), (lower, LETTERS.map(&value, Form::Lower).to_string())] {
                if like.matches(&shown) == Ok(true) {
                    let folded = fold(&value);
                    for literal in like.literals() {
                        prop_assert!(folded.contains(literal.text.as_str()));
                        prop_assert!(!literal.starts || folded.starts_with(literal.text.as_str()));
                        prop_assert!(!literal.ends || folded.ends_with(literal.text.as_str()));
                        prop_assert!(!literal.starts || !literal.ends || *folded == *literal.text);
                    }
                }
            }
        }

        #[test]
        fn everything_is_everything(value: String) {
            prop_assert_eq!(Like::new("%%", None).expect("a pattern").matches(&value), Ok(true));
        }
    }
}
