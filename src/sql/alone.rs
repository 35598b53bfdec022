//! Conditions over one given value alone: `$1 IS NULL OR e = $1`, `'x' = '' OR e = 'x'`.
//!
//! Applications write optional filters so. Where the statement also seals values, such a condition is decided by the
//! proxy and sent as a boolean: its value is most likely that of the encrypted column, and must not be sent in plain.

use super::analyzer::Analyzer;
use super::expr::Open;
use super::lex::Kind;
use super::plan::{Loose, Param, Role, Source, Test};
use super::scope::Span;
use super::site::{Decision, Site};
use super::types::{self, Named};

/// A condition that could be decided by the proxy.
pub(super) struct Alone {
    /// The value.
    site: usize,
    /// The empty string that it is compared with.
    empty: Option<usize>,
    /// The whole condition.
    span: Span,
    test: Test,
}

impl Analyzer<'_> {
    /// Notes `value IS [NOT] NULL`.
    pub(super) fn note_null_test(&mut self, open: &Open, negated: bool) {
        let Some(next) = self.after_casts(open) else { return };
        let word = |i: usize, word: &str| self.is_word(i, word);
        let last = match negated {
            false if word(next, "is") && word(next + 1, "null") => next + 1,
            true if word(next, "is") && word(next + 1, "not") && word(next + 2, "null") => next + 2,
            false if word(next, "isnull") => next,
            true if word(next, "notnull") => next,
            _ => return,
        };
        let span = (open.span.0, self.lexed.tokens[last].end);
        let test = if negated { Test::NotNull } else { Test::Null };
        self.alone.push(Alone { site: open.sites[0], empty: None, span, test });
    }

    /// Notes `value = ''` and `value <> ''`. `operator`: where that stands.
    pub(super) fn note_empty_test(&mut self, left: &Open, right: &Open, operator: i32, name: &str) {
        let test = match name {
            "=" => Test::Empty,
            "<>" => Test::NotEmpty,
            _ => return,
        };
        let Some(Source::Literal(k)) = self.sites[right.sites[0]].source else { return };
        let token = self.literals[k] as usize;
        let is_empty = super::literal::value(self.text, &self.lexed.tokens[token]).is_some_and(|v| v.is_empty());
        if !matches!(self.lexed.tokens[token].kind, Kind::Str(_)) || !is_empty {
            return;
        }
        let (Some(next), Some(end)) = (self.after_casts(left), self.after_casts(right)) else { return };
        if self.token(operator).ok() != Some(next) || self.lexed.at(right.span.0 as usize) != Some(next + 1) {
            return;
        }
        self.fixed.push(k);
        let span = (left.span.0, self.lexed.tokens[end - 1].end);
        self.alone.push(Alone { site: left.sites[0], empty: Some(right.sites[0]), span, test });
    }

    /// The token after a simple value and the casts behind it, if these leave a text as it is.
    fn after_casts(&self, open: &Open) -> Option<usize> {
        let site = &self.sites[*open.sites.first()?];
        let is_text = |cast: &Named| matches!(cast, Named::Builtin { plain, array: false, modified: false, .. } if types::is_plain_text(*plain));
        let mut next = self.lexed.tokens.partition_point(|t| t.start < open.span.1);
        let mut behind = 0;
        while self.is(next, "::") {
            next = self.type_end(next + 1).ok()? + 1;
            behind += 1;
        }
        // Casts in front, as in `text 'x'`, and numbers, which have a type of their own, are not followed.
        let plain = site.casts.iter().all(is_text) && site.casts.len() == behind;
        (open.simple && next > 0 && plain).then_some(next)
    }

    /// Replaces the conditions where values of the same origin are sealed. Returns, by site, whether it is gone.
    pub(super) fn place_alone(&mut self, params: &mut Vec<Param>) -> Vec<bool> {
        let mut gone = vec![false; self.sites.len()];
        for alone in std::mem::take(&mut self.alone) {
            let Some(source) = self.sites[alone.site].source else { continue };
            if !self.seals_others(&alone, source) {
                continue;
            }
            for site in std::iter::once(alone.site).chain(alone.empty) {
                (gone[site], self.sites[site].firm) = (true, true);
            }
            params.push(Param::new(source, Role::Test(alone.test), ""));
            self.edits.both(alone.span, format!("(${}::pg_catalog.bool AND true)", params.len()));
        }
        gone
    }

    fn seals_others(&self, alone: &Alone, source: Source) -> bool {
        self.sites.iter().any(|other| {
            let Some(ty) = other.decision.as_ref().and_then(Decision::enc) else { return false };
            // A value that is no text is never the empty string.
            let fits = alone.empty.is_none() || types::is_text(ty.def.plain);
            fits && match (source, other.source) {
                // Drivers bind one value as many parameters.
                (Source::Client(n), Some(Source::Client(_))) => alone.empty.is_none() || self.is_texty(n),
                (Source::Literal(_), Some(Source::Literal(_))) => true,
                _ => false,
            }
        })
    }

    /// The client's parameter is text as far as it says.
    fn is_texty(&self, n: usize) -> bool {
        /// `text`, `varchar`, `unknown`.
        const TEXT: [u32; 4] = [0, 25, 1043, 705];
        self.declared.get(n).is_none_or(|oid| TEXT.contains(oid))
    }

    /// Values that are sent in plain though they belong to no plain column, where the statement seals others.
    pub(super) fn loose(&self) -> Loose {
        let mut loose = Loose::default();
        if self.sites.iter().all(Site::is_plain) {
            return loose;
        }
        let plain = |s: &&Site| s.is_plain();
        for site in self.sites.iter().filter(plain).filter(|s| !s.firm) {
            match site.source {
                Some(Source::Literal(k)) => {
                    let kind = self.lexed.tokens[self.literals[k] as usize].kind;
                    loose.literals.extend(matches!(kind, Kind::Str(_)).then_some(k));
                }
                Some(Source::Client(n)) if !loose.params.contains(&n) => loose.params.push(n),
                _ => {}
            }
        }
        loose
    }
}
