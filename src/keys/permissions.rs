//! What a grant allows.

use std::fmt;
use std::str::FromStr;

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(into = "Vec<&'static str>", try_from = "Vec<String>")]
pub struct Permissions(u8);

crate::crypto::json::schema!(Permissions, {
    "type": "array",
    "items": { "type": "string", "enum": ["encrypt", "decrypt", "query", "grant"] },
    "maxItems": 4,
});

const NAMES: [(u8, &str); 4] = [(1, "encrypt"), (2, "decrypt"), (4, "query"), (8, "grant")];

impl Permissions {
    /// New data keys.
    pub const ENCRYPT: Self = Self(1);
    /// Keys of stored values.
    pub const DECRYPT: Self = Self(2);
    /// Term roots.
    pub const QUERY: Self = Self(4);
    /// Granting the keyset to others. Takes an admin; implies all others.
    pub const GRANT: Self = Self(8);
    /// What an application gets unless asked otherwise.
    pub const APPLICATION: Self = Self(1 | 2 | 4);
    /// Everything.
    pub const ALL: Self = Self(15);

    /// All of `other` are in this set; `grant` implies all.
    pub fn allows(self, other: Self) -> bool {
        self.0 & Self::GRANT.0 != 0 || self.0 & other.0 == other.0
    }

    /// Both sets together.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Nothing is allowed.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits, as grants carry them.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From bits; unknown ones are refused.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (bits <= Self::ALL.0).then_some(Self(bits))
    }

    /// Names, in a fixed order.
    pub fn names(self) -> Vec<&'static str> {
        NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name).collect()
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

impl From<Permissions> for Vec<&'static str> {
    fn from(permissions: Permissions) -> Self {
        permissions.names()
    }
}

impl TryFrom<Vec<String>> for Permissions {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        names.iter().try_fold(Self::default(), |all, name| Ok(all.with(name.parse()?)))
    }
}

impl FromStr for Permissions {
    type Err = String;

    /// Comma-separated names.
    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).try_fold(Self::default(), |all, name| {
            let known = NAMES.iter().find(|(_, n)| *n == name);
            known
                .map(|(bit, _)| all.with(Self(*bit)))
                .ok_or_else(|| format!("unknown permission \"{name}\": encrypt, decrypt, query or grant"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_agree() {
        for bits in 0..=15 {
            let set = Permissions::from_bits(bits).expect("four bits");
            assert_eq!(set.bits(), bits);
            if bits > 0 {
                assert_eq!(set.to_string().parse::<Permissions>(), Ok(set));
            }
        }
        assert_eq!(Permissions::from_bits(16), None);
        assert!("encrypt,fly".parse::<Permissions>().is_err());
        assert!("".parse::<Permissions>().is_err());
    }

    #[test]
    fn grant_implies_all_and_nothing_implies_grant() {
        assert!(Permissions::GRANT.allows(Permissions::APPLICATION));
        assert!(!Permissions::APPLICATION.allows(Permissions::GRANT));
        assert!(!Permissions::ENCRYPT.allows(Permissions::DECRYPT));
    }
}
