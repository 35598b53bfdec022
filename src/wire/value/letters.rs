//! Upper and lower case as one database tells them: what its `lower` and `upper` make of every letter.
//!
//! Locales differ in this, and no two libraries know the same letters. So the database is asked once, about the whole alphabet:
//!
//! ```text
//! asked      lower and upper of  c1|c2|...|cn|groups       every character that may have two forms, and a few groups of them
//! then       lower(text) = each character's answer, joined
//! ```
//!
//! A locale that looks at a letter's neighbours too is known by its answer for the groups. Of those only one rule is known here, the
//! final form of the Greek sigma; another locale is refused.

use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::like::fold;

/// Stands between what is asked; no letter, and nothing that joins letters.
const BETWEEN: char = '|';

/// Groups of letters whose case depends on one another in some locale.
const GROUPS: [&str; 5] = ["\u{391}\u{3a3}", "I\u{307}", "\u{3ac}\u{3c5}", "i\u{307}", "I\u{300}"];

/// The letter that a locale may write otherwise at the end of a word.
const SIGMA: char = '\u{3a3}';

/// Characters without case that are asked about too, rather than to begin another range.
const GAP: u32 = 64;

/// Bytes that a character becomes at most.
const MAX_MAPPED: usize = 64;

/// The two forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as SQL names them")]
pub enum Form {
    Lower,
    Upper,
}

/// What a database makes of letters.
pub struct Letters {
    lower: Table,
    upper: Table,
    /// `lower` gives the sigma at the end of a word its final form.
    final_sigma: bool,
}

/// What one form makes of each character that it changes, in their order.
struct Table {
    /// ASCII letters are changed as in English.
    english: bool,
    one: Vec<(char, char)>,
    more: Vec<(char, Box<str>)>,
}

/// A locale that cannot be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unfollowed;

impl Letters {
    /// Ranges of code points to ask about, both ends within.
    pub fn ranges() -> &'static [(u32, u32)] {
        static RANGES: OnceLock<Vec<(u32, u32)>> = OnceLock::new();
        RANGES.get_or_init(|| {
            let mut ranges: Vec<(u32, u32)> = Vec::new();
            for c in ('\0'..=char::MAX).filter(|c| !c.to_lowercase().eq([*c]) || !c.to_uppercase().eq([*c])) {
                match ranges.last_mut() {
                    Some(last) if u32::from(c) - last.1 <= GAP => last.1 = c.into(),
                    _ => ranges.push((c.into(), c.into())),
                }
            }
            ranges
        })
    }

    /// The groups to ask about, with what stands before and between them.
    pub fn groups() -> String {
        GROUPS.iter().flat_map(|group| [BETWEEN.to_string(), (*group).to_owned()]).collect()
    }

    /// Reads what a database answered.
    ///
    /// # Errors
    /// A locale that goes by rules of its own, or an answer to something else.
    pub fn read(lower: &str, upper: &str) -> Result<Letters, Unfollowed> {
        let mut letters = Letters { lower: Table::read(lower)?, upper: Table::read(upper)?, final_sigma: false };
        for (group, answers) in GROUPS.iter().zip(groups_of(lower)?.into_iter().zip(groups_of(upper)?)) {
            if letters.map(group, Form::Upper).as_str() != answers.1 {
                return Err(Unfollowed);
            }
            if letters.map(group, Form::Lower).as_str() != answers.0 {
                letters.final_sigma |= group.contains(SIGMA);
                if letters.map(group, Form::Lower).as_str() != answers.0 {
                    return Err(Unfollowed);
                }
            }
        }
        Ok(letters)
    }

    /// Unicode's simple forms, or those of ASCII alone: for a database whose encoding has no code points to ask about.
    pub fn simple(unicode: bool) -> Letters {
        let table = |form: fn(char) -> Option<char>| {
            let chars = alphabet().filter(|c| unicode && !c.is_ascii());
            let one = chars.filter_map(|c| form(c).filter(|other| *other != c).map(|other| (c, other))).collect();
            Table { english: true, one, more: Vec::new() }
        };
        let upper = |c: char| {
            let mut upper = c.to_uppercase();
            upper.next().filter(|_| upper.next().is_none())
        };
        Letters { lower: table(|c| c.to_lowercase().next()), upper: table(upper), final_sigma: false }
    }

    /// A text in one form.
    pub fn map(&self, text: &str, form: Form) -> Zeroizing<String> {
        let table = match form {
            Form::Lower => &self.lower,
            Form::Upper => &self.upper,
        };
        let mut mapped = Zeroizing::new(String::with_capacity(text.len() + text.len() / 4 + MAX_MAPPED));
        let sigmas = self.final_sigma && form == Form::Lower && text.contains(SIGMA);
        let finals = if sigmas { finals(text) } else { Vec::new() };
        let mut finals = finals.into_iter();
        for c in text.chars() {
            // Wiped even where it grows.
            if mapped.capacity() - mapped.len() < MAX_MAPPED {
                let mut larger = Zeroizing::new(String::with_capacity(mapped.capacity() * 2 + MAX_MAPPED));
                larger.push_str(&mapped);
                mapped = larger;
            }
            match c {
                SIGMA if sigmas => mapped.extend(finals.next()),
                c => table.push(c, form, &mut mapped),
            }
        }
        mapped
    }
}

impl Table {
    fn read(answer: &str) -> Result<Table, Unfollowed> {
        let mut table = Table { english: false, one: Vec::new(), more: Vec::new() };
        let mut answers = answer.split(BETWEEN);
        for c in alphabet() {
            // It is what stands between the others.
            if c == BETWEEN {
                answers.nth(1).ok_or(Unfollowed)?;
                continue;
            }
            let answer = answers.next().ok_or(Unfollowed)?;
            if without_dots(&fold(answer)) != without_dots(&fold(c.encode_utf8(&mut [0; 4])))
                || answer.len() > MAX_MAPPED
            {
                return Err(Unfollowed);
            }
            let mut chars = answer.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) if one == c => {}
                (Some(one), None) => table.one.push((c, one)),
                _ => table.more.push((c, answer.into())),
            }
        }
        let ascii = || table.one.iter().filter(|(c, _)| c.is_ascii());
        table.english = ascii().count() == 26
            && ascii().all(|(c, other)| other.eq_ignore_ascii_case(c))
            && !table.more.iter().any(|(c, _)| c.is_ascii());
        table.one.shrink_to_fit();
        Ok(table)
    }

    fn push(&self, c: char, form: Form, out: &mut String) {
        if c.is_ascii() && self.english {
            out.push(if form == Form::Lower { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() });
        } else if let Ok(at) = self.one.binary_search_by_key(&c, |one| one.0) {
            out.push(self.one[at].1);
        } else if let Ok(at) = self.more.binary_search_by_key(&c, |more| more.0) {
            out.push_str(&self.more[at].1);
        } else {
            out.push(c);
        }
    }
}

/// Every character that is asked about.
fn alphabet() -> impl Iterator<Item = char> {
    Letters::ranges().iter().flat_map(|&(from, to)| from..=to).filter_map(char::from_u32)
}

/// Answers for the groups.
fn groups_of(answer: &str) -> Result<Vec<&str>, Unfollowed> {
    let answers: Vec<&str> = answer.rsplitn(GROUPS.len() + 1, BETWEEN).collect();
    match answers.split_last() {
        Some((_, groups)) if groups.len() == GROUPS.len() => Ok(groups.iter().rev().copied().collect()),
        _ => Err(Unfollowed),
    }
}

/// Lower-case forms of the sigmas of a text, by Unicode's rule.
fn finals(text: &str) -> Vec<char> {
    let lower = Zeroizing::new(text.to_lowercase());
    let mut lower = lower.chars();
    let mut finals = Vec::new();
    for c in text.chars() {
        let next = lower.nth(c.to_lowercase().count() - 1);
        finals.extend(next.filter(|_| c == SIGMA));
    }
    finals
}

/// Some locales keep the dot of `İ` as a mark of its own; a search does not go by it.
fn without_dots(folded: &str) -> String {
    folded.chars().filter(|c| *c != '\u{307}').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of a database that maps so.
    fn answer(map: impl Fn(&str) -> String) -> String {
        let each: Vec<String> = alphabet().map(|c| map(&c.to_string())).collect();
        let groups: Vec<String> = GROUPS.iter().map(|group| map(group)).collect();
        format!("{}{BETWEEN}{}", each.join("|"), groups.join("|"))
    }

    fn full() -> Letters {
        Letters::read(&answer(str::to_lowercase), &answer(str::to_uppercase)).expect("Unicode's own rules")
    }

    #[test]
    fn a_database_is_followed_letter_by_letter() {
        let letters = full();
        for text in ["", "abc XYZ", "Straße ﬃ", "İstanbul", "ΟΔΟΣ ΣΑΣ, Σ", "Ǆ ǅ ǆ", "日本|x", "K\u{212a}", "aͅΣ."]
        {
            assert_eq!(letters.map(text, Form::Lower).as_str(), text.to_lowercase(), "{text}");
            assert_eq!(letters.map(text, Form::Upper).as_str(), text.to_uppercase(), "{text}");
        }
        let long = "ß".repeat(1000);
        assert_eq!(letters.map(&long, Form::Upper).len(), 2000);
    }

    #[test]
    fn a_locale_of_ascii_alone() {
        let letters = Letters::read(&answer(str::to_ascii_lowercase), &answer(str::to_ascii_uppercase));
        let letters = letters.expect("a locale");
        assert_eq!(letters.map("ÄbC", Form::Lower).as_str(), "Äbc");
        assert_eq!(letters.map("äbC", Form::Upper).as_str(), "äBC");
    }

    #[test]
    fn turkish_letters() {
        let lower = |text: &str| text.replace('I', "ı").replace('İ', "i").to_lowercase();
        let letters = Letters::read(&answer(lower), &answer(|text| text.replace('i', "İ").to_uppercase()));
        let letters = letters.expect("one letter for one");
        assert_eq!(letters.map("Iİi", Form::Lower).as_str(), "ıii");
        assert_eq!(letters.map("iı", Form::Upper).as_str(), "İI");
    }

    #[test]
    fn locales_that_cannot_be_followed() {
        let upper = answer(str::to_uppercase);
        let no_accents = |text: &str| text.replace('\u{3ac}', "\u{3b1}").to_uppercase();
        assert_eq!(Letters::read(&answer(str::to_lowercase), &answer(no_accents)).err(), Some(Unfollowed));
        let dots = |text: &str| text.replace("I\u{307}", "i").to_lowercase();
        assert_eq!(Letters::read(&answer(dots), &upper).err(), Some(Unfollowed));
        for odd in ["", "a", "|||||||", &upper[1..], upper.trim_end_matches(|c| c != BETWEEN)] {
            assert_eq!(Letters::read(odd, odd).err(), Some(Unfollowed));
        }
    }

    #[test]
    fn simple_forms() {
        let letters = Letters::simple(true);
        assert_eq!(letters.map("ÄBC", Form::Lower).as_str(), "äbc");
        assert_eq!(letters.map("straße", Form::Upper).as_str(), "STRAßE");
        assert_eq!(Letters::simple(false).map("ÄBC", Form::Lower).as_str(), "Äbc");
    }
}
