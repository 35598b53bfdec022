//! `[policy.roles]`: which encrypted types a database role may read, and what it sees of the others.
//!
//! A role is the one that a client logged in as, looked up once per connection. Nothing that SQL or the server says later
//! changes it. Rules only take away: keys and grants are those of the proxy's client key.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroize;

use crate::crypto::TypeId;
use crate::schema::catalog::EncType;
use crate::wire::value::PlainType;

/// The name of the rule for roles that are not listed.
pub const ANY: &str = "*";

/// Characters that a partial mask leaves.
const SHOWN: usize = 4;
/// A value of fewer characters is masked as a whole: what is left of it would be half of it or more.
const SHORTEST: usize = 2 * SHOWN;
/// What [`Mask::Full`] shows of every value, so that not even the length is told.
const FULL: &[u8] = b"********";

/// What a role sees of a value that it may not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mask {
    /// The statement is refused.
    #[default]
    Error,
    /// NULL.
    Null,
    /// The last four characters, `*` for each one before. Of values that are no text: NULL.
    Last4,
    /// The first four characters, `*` for each one after. Of values that are no text: NULL.
    First4,
    /// Eight `*`. Of values that are no text: NULL.
    Full,
}

/// An encrypted type as settings name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeRef {
    /// Its name in schema `seal`.
    Name(String),
    /// Its id.
    Id(TypeId),
}

/// What one role may read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// It may read at all.
    pub decrypt: bool,
    /// Only values of these types; `None`: of all.
    pub types: Option<Vec<TypeRef>>,
    /// What it sees of the others.
    pub mask: Mask,
}

impl Default for Rule {
    fn default() -> Self {
        Rule { decrypt: true, types: None, mask: Mask::Error }
    }
}

/// How a value reaches a role that may run the statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// As it is.
    Whole,
    /// Opened, then masked.
    Masked(Mask),
    /// As NULL; it is not opened.
    Hidden,
}

impl Rule {
    /// How values of a type are seen. `None`: a statement that would give one is refused.
    pub(super) fn sight(&self, enc: &EncType) -> Option<Sight> {
        if self.reads(enc) {
            return Some(Sight::Whole);
        }
        match self.mask {
            Mask::Error => None,
            Mask::Null => Some(Sight::Hidden),
            mask if is_text(enc.def.plain) => Some(Sight::Masked(mask)),
            _ => Some(Sight::Hidden),
        }
    }

    /// Whoever reads documents reads what is at their promoted paths.
    fn reads(&self, enc: &EncType) -> bool {
        let named = |wanted: &TypeRef| match wanted {
            TypeRef::Name(name) => *name == enc.known_name(),
            TypeRef::Id(id) => *id == enc.whole.unwrap_or(enc.def.id),
        };
        self.decrypt && self.types.as_ref().is_none_or(|types| types.iter().any(named))
    }
}

/// Every rule, by role.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roles(BTreeMap<String, Arc<Rule>>);

impl Roles {
    /// From rules by role; that of [`ANY`] holds for roles that are not listed.
    pub fn new(rules: impl IntoIterator<Item = (String, Rule)>) -> Self {
        Roles(rules.into_iter().map(|(role, rule)| (role, Arc::new(rule))).collect())
    }

    /// No role is restricted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rule of a role. Without one of its own and without one for all, it may read everything.
    pub fn of(&self, role: &str) -> Arc<Rule> {
        // A role may really have the name `*`: the rule for all is meant then too.
        self.0.get(role).or_else(|| self.0.get(ANY)).map_or_else(Arc::default, Arc::clone)
    }
}

/// Who reads the results of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Viewer {
    /// The role that logged in.
    pub(super) role: Arc<str>,
    pub(super) rule: Arc<Rule>,
}

/// The stored form is text whose characters can be masked one by one. Enum labels are not: masked ones are no labels.
fn is_text(plain: PlainType) -> bool {
    matches!(plain, PlainType::Text | PlainType::Varchar | PlainType::Bpchar | PlainType::Citext)
}

/// Masks a text in place; what is taken away is wiped. What is not UTF-8 has no characters to leave: [`Mask::Full`] it is.
pub(super) fn mask(mask: Mask, stored: &mut Vec<u8>) {
    let (mask, text) = std::str::from_utf8(stored).map_or((Mask::Full, ""), |text| (mask, text));
    // The blanks that pad a `char(n)` are no part of the value.
    let trimmed = text.trim_end_matches(' ');
    let length = trimmed.chars().count();
    let boundary = |characters: usize| trimmed.char_indices().nth(characters).map_or(trimmed.len(), |(at, _)| at);
    let (hidden, kept) = match mask {
        Mask::First4 | Mask::Last4 if length < SHORTEST => (length, 0..0),
        Mask::First4 => (length - SHOWN, 0..boundary(SHOWN)),
        Mask::Last4 => (length - SHOWN, boundary(length - SHOWN)..trimmed.len()),
        Mask::Full | Mask::Null | Mask::Error => (FULL.len(), 0..0),
    };
    let mut masked = Vec::with_capacity(hidden + kept.len());
    if mask == Mask::First4 {
        masked.extend_from_slice(&stored[kept.clone()]);
    }
    masked.resize(masked.len() + hidden, b'*');
    if mask == Mask::Last4 {
        masked.extend_from_slice(&stored[kept]);
    }
    stored.as_mut_slice().zeroize();
    stored.clear();
    stored.extend_from_slice(&masked);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(style: Mask, text: &str) -> String {
        let mut stored = text.as_bytes().to_vec();
        mask(style, &mut stored);
        String::from_utf8(stored).expect("text stays text")
    }

    #[test]
    fn the_last_and_first_four_characters_stay() {
        assert_eq!(masked(Mask::Last4, "4111111111111234"), "************1234");
        assert_eq!(masked(Mask::First4, "4111111111111234"), "4111************");
        assert_eq!(masked(Mask::Last4, "12345678"), "****5678");
        assert_eq!(masked(Mask::Last4, "Grüße aus Köln"), "**********Köln");
        assert_eq!(masked(Mask::First4, "äöüßabcd"), "äöüß****");
        assert_eq!(masked(Mask::Last4, "abcdefgh  "), "****efgh");
    }

    #[test]
    fn short_values_are_masked_as_a_whole() {
        for style in [Mask::Last4, Mask::First4] {
            assert_eq!(masked(style, ""), "");
            assert_eq!(masked(style, "a"), "*");
            assert_eq!(masked(style, "1234"), "****");
            assert_eq!(masked(style, "Köln-12"), "*******");
            assert_eq!(masked(style, "1234      "), "****", "padding makes no value long");
        }
    }

    #[test]
    fn a_full_mask_tells_no_length() {
        for text in ["", "a", "4111111111111234", "ß"] {
            assert_eq!(masked(Mask::Full, text), "********");
        }
    }

    #[test]
    fn what_is_not_text_is_masked_as_a_whole() {
        for style in [Mask::Last4, Mask::First4, Mask::Full] {
            let mut stored = b"\xff\xfe12345678".to_vec();
            mask(style, &mut stored);
            assert_eq!(stored, FULL, "{style:?}");
        }
    }

    #[test]
    fn roles_that_are_not_listed_have_the_rule_for_all() {
        let none = Rule { decrypt: false, ..Rule::default() };
        let roles = Roles::new([("app".to_owned(), Rule::default()), (ANY.to_owned(), none.clone())]);
        assert_eq!(*roles.of("app"), Rule::default());
        for other in ["App", "app ", "", "*", "postgres"] {
            assert_eq!(*roles.of(other), none, "{other}");
        }
        assert_eq!(*Roles::default().of("anyone"), Rule::default());
    }
}
