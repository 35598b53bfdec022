//! Fields of a form or of an address, as they came.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Most fields of one form: keysets are ticked one by one.
const MOST: usize = 1_024;

/// What need not be escaped in a part of an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Names and values in their order. A name may come several times.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `a=b&c=d`. `None`: it is not UTF-8, or has too many fields.
    pub(super) fn read(text: &str) -> Option<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let mut fields = Vec::new();
        for pair in pairs {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            fields.push((decoded(name)?, decoded(value)?));
            if fields.len() > MOST {
                return None;
            }
        }
        Some(Self(fields))
    }

    /// One field.
    pub(super) fn of(name: &str, value: &str) -> Self {
        Self(vec![(name.to_owned(), value.to_owned())])
    }

    /// The first value of that name, without blanks around it; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.trim())
    }

    /// As [`text`](Self::text), where it is not empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Every value of that name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned()).collect()
    }

    /// The name came at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Everything.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All but these.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect())
    }

    /// These, and behind them others.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// As part of an address, with `change` in place of what it says of those names; an empty value leaves the name out.
    pub(super) fn with(&self, change: &[(&str, &str)]) -> String {
        let changed = |name: &str| change.iter().any(|(other, _)| *other == name);
        let kept = self.fields().filter(|(name, _)| !changed(name));
        query(kept.chain(change.iter().copied()).filter(|(_, value)| !value.is_empty()))
    }
}

/// `?a=b&c=d`, or nothing.
pub(super) fn query<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = fields.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// A part of an address.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let form = Form::read("name=a+b%26c&keyset=1&keyset=2&empty=&flag").expect("well formed");
        assert_eq!((form.text("name"), form.all("keyset").len(), form.given("empty")), ("a b&c", 2, None));
        assert!(form.has("flag") && !form.has("other") && form.text("other").is_empty());
        assert!(Form::read("a=%ff").is_none(), "not UTF-8");
        assert!(Form::read(&"a=b&".repeat(MOST + 1)).is_none(), "too many");
        assert_eq!(Form::read("a=%").expect("as it stands").text("a"), "%");
    }

    #[test]
    fn addresses_are_escaped() {
        let form = Form::read("q=x&kind=device&page=2").expect("well formed");
        assert_eq!(form.with(&[("q", "a&b=\"c\""), ("page", "")]), "?kind=device&q=a%26b%3D%22c%22");
        assert_eq!(Form::default().with(&[]), "");
    }
}
