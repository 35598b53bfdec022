//! What was prepared by SQL and forwarded, so that an EXECUTE after a change of the schema or the search_path can be
//! judged by the text that it runs.
//!
//! A PREPARE may fail without being told apart from one that did not, so a name keeps every text that it may stand for.

use std::collections::HashMap;
use std::sync::Arc;

use super::prepared::Seen;

/// Bytes of text that a session keeps. Beyond, nothing is known of any name.
const MOST: usize = 1 << 20;

/// Statements prepared by SQL that may still be there.
#[derive(Default)]
pub(super) struct BySql {
    /// What the first of them was judged by.
    since: Option<Seen>,
    /// By name, each text that it may stand for; `None`: it may stand for others.
    texts: HashMap<Box<str>, Option<Vec<Arc<str>>>>,
    /// By name, how many of its texts the last DEALLOCATE that was sent is about.
    leaving: HashMap<Box<str>, usize>,
    bytes: usize,
}

impl BySql {
    /// Something is about to be prepared.
    pub(super) fn begins(&mut self, seen: Seen) {
        self.since.get_or_insert(seen);
    }

    /// A text with a PREPARE of this name is about to run; `None`: one that is not at hand.
    pub(super) fn keep(&mut self, name: &str, text: Option<&str>) {
        self.bytes += text.map_or(0, str::len);
        if self.bytes > MOST {
            self.texts.values_mut().for_each(|texts| *texts = None);
        }
        let known = text.filter(|_| self.bytes <= MOST);
        let texts = self.texts.entry(name.into()).or_insert_with(|| Some(Vec::new()));
        match (known, texts) {
            (Some(text), Some(texts)) => texts.push(text.into()),
            (_, texts) => *texts = None,
        }
    }

    /// The server says that it is there.
    pub(super) fn prepared(&mut self, name: &str, seen: Seen) {
        self.begins(seen);
        self.texts.entry(name.into()).or_insert(None);
    }

    /// A DEALLOCATE of this name is about to run.
    pub(super) fn leaves(&mut self, name: &str) {
        if let Some(texts) = self.texts.get(name) {
            self.leaving.insert(name.into(), texts.as_ref().map_or(0, Vec::len));
        }
    }

    /// The server says that it is gone. What was sent since may have made another of this name.
    pub(super) fn gone(&mut self, name: &str) {
        let leaving = self.leaving.remove(name).unwrap_or_default();
        if let Some(Some(texts)) = self.texts.get_mut(name) {
            let gone: usize = texts.drain(..leaving.min(texts.len())).map(|text| text.len()).sum();
            self.bytes -= gone.min(self.bytes);
            if !texts.is_empty() {
                return;
            }
        }
        self.texts.remove(name);
    }

    /// All are gone.
    pub(super) fn forget(&mut self) {
        *self = BySql::default();
    }

    /// Some were prepared under another catalog or search_path than `now`.
    pub(super) fn is_older(&self, now: Seen) -> bool {
        self.since.is_some_and(|since| since != now)
    }

    /// The texts that a name may stand for. `None`: it was not prepared; `Some(None)`: nothing is known of it.
    pub(super) fn texts(&self, name: &str) -> Option<Option<&[Arc<str>]>> {
        self.texts.get(name).map(Option::as_deref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(by_sql: &BySql, name: &str) -> Option<Option<Vec<String>>> {
        by_sql.texts(name).map(|texts| texts.map(|texts| texts.iter().map(|t| t.to_string()).collect()))
    }

    #[test]
    fn a_name_keeps_every_text_until_it_is_gone() {
        let mut by_sql = BySql::default();
        assert_eq!(texts(&by_sql, "q"), None);
        by_sql.keep("q", Some("one"));
        by_sql.keep("q", Some("two"));
        assert_eq!(texts(&by_sql, "q"), Some(Some(vec!["one".into(), "two".into()])));
        by_sql.keep("q", None);
        by_sql.keep("q", Some("three"));
        assert_eq!(texts(&by_sql, "q"), Some(None), "what is not known stays unknown");
        by_sql.leaves("q");
        by_sql.gone("q");
        assert_eq!(texts(&by_sql, "q"), None);
        by_sql.keep("q", Some("one"));
        by_sql.leaves("q");
        by_sql.keep("q", Some("two"));
        by_sql.gone("q");
        assert_eq!(texts(&by_sql, "q"), Some(Some(vec!["two".into()])), "sent after the DEALLOCATE");
        by_sql.leaves("q");
        by_sql.gone("q");
        by_sql.prepared("q", Seen::default());
        assert_eq!(texts(&by_sql, "q"), Some(None));
    }

    #[test]
    fn too_much_text_makes_all_unknown() {
        let mut by_sql = BySql::default();
        by_sql.keep("small", Some("text"));
        by_sql.keep("large", Some(&"x".repeat(MOST)));
        by_sql.keep("later", Some("text"));
        for name in ["small", "large", "later"] {
            assert_eq!(texts(&by_sql, name), Some(None), "{name}");
        }
        by_sql.forget();
        by_sql.keep("later", Some("text"));
        assert_eq!(texts(&by_sql, "later"), Some(Some(vec!["text".into()])));
    }
}
